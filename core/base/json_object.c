#include "base/json_object.h"

#include "base/json.h"
#include "base/units.h"

void json_put_comma(struct buf *b)
{
    if (b->n && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[') /* empty: out of memory */
        buf_putc(b, ',');
}

void json_put_key(struct buf *b, const char *key)
{
    json_put_comma(b);
    json_put_string(b, td_str(key));
    buf_putc(b, ':');
}

void json_put_text(struct buf *b, const char *key, const char *text)
{
    json_put_key(b, key);
    if (text)
        json_put_string(b, td_str(text));
    else
        buf_lit(b, "null");
}

void json_put_u64(struct buf *b, const char *key, uint64_t v)
{
    json_put_key(b, key);
    buf_u64(b, v);
}

void json_put_i64(struct buf *b, const char *key, int64_t v)
{
    json_put_key(b, key);
    buf_i64(b, v);
}

void json_put_bool(struct buf *b, const char *key, bool v)
{
    json_put_key(b, key);
    buf_puts(b, v ? "true" : "false");
}

void json_put_time(struct buf *b, const char *key, int64_t ns, bool known)
{
    char text[UNITS_TEXT];
    json_put_key(b, key);
    if (known)
        json_put_string(b, td_bytes(text, units_format_time(ns, text)));
    else
        buf_lit(b, "null");
}

void json_put_hex(struct buf *b, const char *key, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    json_put_key(b, key);
    if (!bytes) {
        buf_lit(b, "null");
        return;
    }
    buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        buf_putc(b, digits[bytes[i] >> 4]);
        buf_putc(b, digits[bytes[i] & 15]);
    }
    buf_putc(b, '"');
}
