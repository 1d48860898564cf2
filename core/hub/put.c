#include "hub/put.h"

#include "base/json.h"
#include "base/units.h"

void put_comma(struct buf *b)
{
    if (b->n && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[') /* empty: out of memory */
        buf_putc(b, ',');
}

void put_key(struct buf *b, const char *key)
{
    put_comma(b);
    json_put_string(b, td_str(key));
    buf_putc(b, ':');
}

void put_text(struct buf *b, const char *key, const char *text)
{
    put_key(b, key);
    if (text)
        json_put_string(b, td_str(text));
    else
        buf_lit(b, "null");
}

void put_number(struct buf *b, const char *key, uint64_t v)
{
    put_key(b, key);
    buf_u64(b, v);
}

void put_signed(struct buf *b, const char *key, int64_t v)
{
    put_key(b, key);
    buf_i64(b, v);
}

void put_bool(struct buf *b, const char *key, bool v)
{
    put_key(b, key);
    buf_puts(b, v ? "true" : "false");
}

void put_time(struct buf *b, const char *key, int64_t ns, bool known)
{
    char text[UNITS_TEXT];
    put_key(b, key);
    if (known)
        json_put_string(b, td_bytes(text, units_format_time(ns, text)));
    else
        buf_lit(b, "null");
}
