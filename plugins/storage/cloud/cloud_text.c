/* Text and bytes that grow. */
#include "cloud_http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void cloud_text_clear(struct cloud_text *t)
{
    free(t->p);
    *t = (struct cloud_text){0};
}

/* Room for `n` more bytes and a zero. */
static bool make_room(struct cloud_text *t, size_t n)
{
    if (t->failed || n >= SIZE_MAX / 2 - t->n) {
        t->failed = true;
        return false;
    }
    if (t->n + n < t->room)
        return true;
    size_t room = t->room ? t->room : 64;
    while (room <= t->n + n)
        room *= 2;
    char *grown = realloc(t->p, room);
    if (!grown) {
        t->failed = true;
        return false;
    }
    t->p = grown;
    t->room = room;
    return true;
}

void cloud_put(struct cloud_text *t, const char *bytes, size_t n)
{
    if (!n || !make_room(t, n))
        return;
    memcpy(t->p + t->n, bytes, n);
    t->n += n;
    t->p[t->n] = 0;
}

void cloud_puts(struct cloud_text *t, const char *text)
{
    cloud_put(t, text, strlen(text));
}

void cloud_printf(struct cloud_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        t->failed = true;
    if (n <= 0 || !make_room(t, (size_t)n))
        return;
    va_start(args, fmt);
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, args);
    va_end(args);
    t->n += (size_t)n;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

void cloud_put_encoded(struct cloud_text *t, const char *text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text; text++) {
        uint8_t byte = (uint8_t)*text;
        if (is_unreserved(*text) || (keep_slash && *text == '/'))
            cloud_put(t, text, 1);
        else
            cloud_put(t, (const char[]){'%', digits[byte >> 4], digits[byte & 15]}, 3);
    }
}

const char *cloud_cstr(struct cloud_text *t)
{
    return t->n ? t->p : "";
}
