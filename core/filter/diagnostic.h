/* What is wrong with a filter, or doubtful: for people, for editors, and for the API.
 *
 * A list in the order in which things were found; its memory grows with it and is freed whole. Places are kept in bytes;
 * editors count UTF-16 units, which the JSON has too. */
#ifndef FILTER_DIAGNOSTIC_H
#define FILTER_DIAGNOSTIC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "filter/ast.h"

enum { FILTER_MAX_DIAGNOSTICS = 32, FILTER_MAX_FIXES = 4 };

enum filter_severity {
    FILTER_FAULT = 1, /* the filter does not run */
    FILTER_WARNING    /* it runs, but may not mean what it seems to */
};

/* A way out: put `text` where `span` is. */
struct filter_fix {
    struct filter_span span;
    const char *text;
    const char *title; /* "use src.ip" */
};

struct filter_diagnostic {
    struct filter_span span;
    uint8_t severity;
    uint8_t fix_n;
    const char *code; /* stable, for programs: "undeclared" */
    const char *message;
    struct filter_fix fixes[FILTER_MAX_FIXES];
};

/* Zero is an empty list. */
struct filter_diagnostics {
    struct arena arena;
    struct filter_diagnostic *v;    /* room for FILTER_MAX_DIAGNOSTICS; NULL while there are none */
    struct filter_diagnostic *last; /* what filter_add_fix() adds to; NULL: what was said last is not in the list */
    uint32_t n;
    uint32_t fault_n; /* also those that are not in the list */
    bool cut;         /* there were more, or memory was short */
};

void filter_diagnostics_init(struct filter_diagnostics *);
void filter_diagnostics_clear(struct filter_diagnostics *); /* frees; empty and usable again */

/* Adds one; the text is formatted into the list's memory. The same text at the same place is told once.
 * Without a list, nobody wants to know. */
void filter_fault(struct filter_diagnostics *, struct filter_span, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void filter_warning(struct filter_diagnostics *, struct filter_span, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds a fix to the last diagnostic; `text` is copied. Beyond FILTER_MAX_FIXES nothing happens. */
void filter_add_fix(struct filter_diagnostics *, struct filter_span, struct td_slice text, const char *title, ...)
    __attribute__((format(printf, 4, 5)));

/* The filter with one fix applied. */
void filter_put_fixed(struct buf *out, struct td_slice text, const struct filter_fix *);

/* For people: each with the line that it stands in and a caret under the place. */
void filter_diagnostics_put_text(struct buf *out, const struct filter_diagnostics *, struct td_slice text);
/* A JSON array: [{"from":0,"to":4,"from_utf16":0,"to_utf16":4,"severity":"error","code":"..","message":"..","fixes":[..]}]. */
void filter_diagnostics_put_json(struct buf *out, const struct filter_diagnostics *, struct td_slice text);
/* The first fault as an error: "filter:1:5: no field ..."; returns TD_E_CONFIG, or TD_OK if there is none. */
int filter_diagnostics_error(const struct filter_diagnostics *, struct td_slice text, struct error *err);

#endif
