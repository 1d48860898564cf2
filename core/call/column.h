/* Columns: values of calls as text, chosen by name. */
#ifndef CALL_COLUMN_H
#define CALL_COLUMN_H

#include "call/call.h"

enum column_kind {
    COLUMN_FIELD, /* of a dissector */
    COLUMN_CORE,  /* of the core: the registry's */
    COLUMN_SRC,   /* with port */
    COLUMN_DST,
    COLUMN_METHOD,
    COLUMN_TARGET,
    COLUMN_STATUS, /* the summary's, by the fields' flags */
    COLUMN_REQUEST_FRAMES,
    COLUMN_RESPONSE_FRAMES
};

enum { COLUMN_MAX = 64 };

struct column {
    const char *name;
    uint8_t kind;
    uint8_t core, type; /* CORE: core_field and registry_type */
    int16_t *fields;    /* by component; -1: it has no such field */
};

struct column_set {
    struct column v[COLUMN_MAX];
    uint32_t n;
    char *names; /* the list as given, cut at its commas */
};

/* From "timestamp,src.ip,method". `components`: the field sets of all dissectors. Unknown names are errors that
 * say the nearest. */
int column_set_parse(struct column_set *set, const char *list, const struct field_set *const *components, uint32_t component_n,
                     struct error *err) MUST_CHECK;
void column_set_clear(struct column_set *set);

/* A value as text, without tabs, newlines and what else steers a terminal (they become \t, \n, \xNN). Lists are joined by
 * commas, maps by "; ". */
void column_put(struct buf *out, const struct column *col, const struct td_call *c);
/* The same, but text stays as it was on the wire, save that it is made UTF-8 (see utf8_put_text). */
void column_put_exact(struct buf *out, const struct column *col, const struct td_call *c);
/* COLUMN_METHOD, _TARGET or _STATUS of a call without a set of columns; nothing where its dissector has no such field. */
void column_put_summary(struct buf *out, enum column_kind kind, const struct td_call *c);
/* All columns, separated by tabs, and a newline. */
void column_put_row(struct buf *out, const struct column_set *set, const struct td_call *c);

#endif
