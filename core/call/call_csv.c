#include "call/call_csv.h"

/* Must this cell stand in quotes? Some readers strip spaces at the ends, unless they are in quotes. */
static bool needs_quotes(struct td_slice cell, size_t *ret_quotes)
{
    bool needs = cell.n && (cell.p[0] == ' ' || cell.p[cell.n - 1] == ' ');
    size_t quotes = 0;
    for (size_t i = 0; i < cell.n; i++) {
        uint8_t c = cell.p[i];
        quotes += c == '"';
        needs |= c == ',' || c == '\r' || c == '\n';
    }
    *ret_quotes = quotes;
    return needs || quotes;
}

/* Ends the cell that was put at `begin`: puts it in quotes where it stands, from its end to its beginning. */
static void end_cell(struct buf *out, size_t begin)
{
    size_t quotes;
    if (out->failed || !needs_quotes(td_sub(buf_slice(out), begin, out->n), &quotes) || !buf_reserve(out, quotes + 2))
        return;
    size_t from = out->n, to = from + quotes + 2;
    out->n = to;
    out->p[--to] = '"';
    while (from > begin) {
        uint8_t c = out->p[--from];
        out->p[--to] = c;
        if (c == '"')
            out->p[--to] = '"';
    }
    out->p[--to] = '"';
}

void call_csv_put_header(struct buf *out, const struct column_set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (i)
            buf_putc(out, ',');
        size_t begin = out->n;
        buf_puts(out, set->v[i].name);
        end_cell(out, begin);
    }
    buf_lit(out, "\r\n");
}

void call_csv_put_row(struct buf *out, const struct column_set *set, const struct td_call *c)
{
    size_t row = out->n;
    for (uint32_t i = 0; i < set->n; i++) {
        if (i)
            buf_putc(out, ',');
        size_t begin = out->n;
        column_put_exact(out, &set->v[i], c);
        end_cell(out, begin);
    }
    if (out->n == row)
        buf_lit(out, "\"\""); /* a row of one empty cell: readers pass over lines with nothing in them */
    buf_lit(out, "\r\n");
}
