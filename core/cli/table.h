/* A table for people: columns as wide as their widest cell, two spaces between them, nothing behind the last. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"

enum { TABLE_MAX_COLUMNS = 16 };

struct table {
    struct buf cells; /* each with a zero behind it, row by row */
    size_t columns, count;
    size_t widths[TABLE_MAX_COLUMNS];
};

/* `columns`: at most TABLE_MAX_COLUMNS. */
void table_init(struct table *table, size_t columns);
void table_clear(struct table *table);
/* The next cell, from left to right and then the next row; NULL is shown as "-". */
void table_cell(struct table *table, const char *text);
/* Appends the table, each row indented. */
void table_put(const struct table *table, size_t indent, struct buf *out);

#endif
