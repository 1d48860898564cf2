/* Calls for people: a table on a terminal, and under each call, if asked for, its headers and bodies. */
#ifndef CLI_CALL_TABLE_H
#define CLI_CALL_TABLE_H

#include "call/column.h"

enum { CALL_TABLE_COLUMNS = 8 };
/* Time, protocol, method, target, status, latency, from, to. */
#define CALL_TABLE_FIELDS "timestamp,protocol,summary.method,summary.target,summary.status,latency,src,dst"

struct call_table {
    struct column_set columns; /* of CALL_TABLE_FIELDS */
    int last;                  /* shown; on a narrow terminal FROM is left out, on a narrower one TO as well */
    bool with_from;
    unsigned target_width;
    bool colour;
};

/* For a terminal of `width` columns. */
void call_table_init(struct call_table *t, unsigned width, bool colour);

void call_table_put_header(struct buf *out, const struct call_table *t);
void call_table_put_row(struct buf *out, const struct call_table *t, const struct td_call *c);
/* The same for values that are text already, in the order of CALL_TABLE_FIELDS. `complete`: both halves of the call are. */
void call_table_put_cells(struct buf *out, const struct call_table *t, const struct td_slice cells[CALL_TABLE_COLUMNS], bool complete);
/* Maps ("> Name: value" for the request, "< " for the response) and bodies, indented. */
void call_put_payload(struct buf *out, const struct td_call *c);

#endif
