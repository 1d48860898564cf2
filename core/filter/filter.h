/* KFL, the filter language over fields of calls: CEL's grammar, types and functions, with what people who come from Kubeshark
 * and Wireshark write. A filter is compiled once, then run over many records. A compiled filter is immutable and may be
 * shared by threads; each has a filter_run of its own. */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include "base/error.h"
#include "call/registry.h"
#include "filter/diagnostic.h"
#include "filter/value.h"

enum {
    FILTER_MAX_TEXT = 64 << 10,
    FILTER_MAX_NESTING = 250,
    FILTER_MAX_NODES = 10000,
    FILTER_MAX_LOOPS = 3,            /* macros within macros */
    FILTER_MAX_ITERATIONS = 100000,  /* and this many ... */
    FILTER_MAX_NS = 10 * 1000 * 1000 /* ... or so long for one record: processor time, so that a busy machine changes nothing */
};

struct filter;
struct filter_run;

/* A record as a filter sees it: its fields by the index in the registry. */
struct filter_record {
    const void *ctx;
    bool (*has)(const void *ctx, uint32_t field);
    /* The field's value, of the field's own type; its zero (the registry's `absent`) where the record lacks it. What is made
     * on the way goes into the arena. */
    struct filter_value (*get)(const void *ctx, uint32_t field, struct arena *arena);
};

/* Compiles; blank text matches everything. On failure the diagnostics have at least one error, and *err its first. */
int filter_compile(const struct field_registry *, struct td_slice text, int64_t now_ns, struct filter **ret, struct filter_diagnostics *,
                   struct error *err) MUST_CHECK;
void filter_free(struct filter *);
/* The canonical text: plain CEL, as short as it gets. */
void filter_put_text(struct buf *out, const struct filter *);

int filter_run_new(const struct filter *, struct filter_run **ret, struct error *err) MUST_CHECK;
void filter_run_free(struct filter_run *);
/* Does it match? An error is no match; it is counted, and the first one is kept. */
bool filter_match(struct filter_run *, const struct filter_record *);

/* The errors of a run so far. An error that && || or a macro took in is none. */
struct filter_run_errors {
    uint64_t count;
    uint8_t first;  /* filter_error */
    uint32_t place; /* of the first, in the filter's text, in bytes */
};
const struct filter_run_errors *filter_run_errors(const struct filter_run *);

#endif
