/* What may stand at a place in a filter: for editors, the command line and the API. Everything comes from the tables: fields and
 * their values from the environment, methods and functions from filter_functions(), other names from filter_aliases(). */
#ifndef FILTER_COMPLETE_H
#define FILTER_COMPLETE_H

#include "base/arena.h"
#include "base/buf.h"
#include "filter/check.h"

enum { FILTER_MAX_CANDIDATES = 200 };

enum filter_candidate_kind {
    FILTER_CANDIDATE_VALUE, /* of the field that is compared */
    FILTER_CANDIDATE_VARIABLE,
    FILTER_CANDIDATE_FIELD,
    FILTER_CANDIDATE_ALIAS,
    FILTER_CANDIDATE_METHOD,
    FILTER_CANDIDATE_FUNCTION,
    FILTER_CANDIDATE_MACRO,
    FILTER_CANDIDATE_OPERATOR,
    FILTER_CANDIDATE_KEYWORD
};

struct filter_candidate {
    const char *text; /* what to put there */
    const char *type; /* of what it gives: "string"; or "" */
    const char *doc;  /* one line, or "" */
    uint8_t kind;     /* filter_candidate_kind */
};

struct filter_completion {
    struct filter_span span; /* what it takes the place of: the word at the cursor */
    struct filter_candidate v[FILTER_MAX_CANDIDATES];
    uint32_t n;
    bool cut; /* there are more */
};

/* `at` is the cursor, in bytes; what stands behind it does not matter. The texts live in the arena, or as long as the environment. */
int filter_complete(const struct filter_env *, struct td_slice text, size_t at, struct arena *, struct filter_completion *ret) MUST_CHECK;

/* "field", "method" ... */
const char *filter_candidate_kind_name(enum filter_candidate_kind);
void filter_completion_put_json(struct buf *out, const struct filter_completion *);

#endif
