#include "table.h"

void table_init(struct table *table, size_t columns)
{
    *table = (struct table){.columns = columns};
}

void table_clear(struct table *table)
{
    buf_clear(&table->cells);
}

/* Code points of UTF-8. */
static size_t text_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_cell(struct table *table, const char *text)
{
    size_t column = table->count++ % table->columns;
    text = text && *text ? text : "-";
    size_t width = text_width(text);
    if (width > table->widths[column])
        table->widths[column] = width;
    buf_put(&table->cells, text, strlen(text) + 1);
}

static void put_spaces(struct buf *out, size_t n)
{
    while (n--)
        buf_putc(out, ' ');
}

void table_put(const struct table *table, size_t indent, struct buf *out)
{
    if (table->cells.failed) {
        out->failed = true;
        return;
    }
    const char *text = (const char *)table->cells.p;
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        if (column == 0)
            put_spaces(out, indent);
        buf_puts(out, text);
        if (column + 1 < table->columns)
            put_spaces(out, table->widths[column] - text_width(text) + 2);
        else
            buf_putc(out, '\n');
        text += strlen(text) + 1;
    }
}
