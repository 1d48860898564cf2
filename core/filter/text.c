#include "filter/text.h"

#include "base/arena.h"

uint8_t *filter_room(struct arena *arena, size_t n)
{
    return arena_alloc(arena, n, 1);
}

static bool grow(struct filter_text *t, size_t n)
{
    size_t cap = t->cap ? t->cap : 64;
    while (cap - t->n < n)
        cap *= 2;
    uint8_t *p = n < SIZE_MAX / 4 ? filter_room(t->arena, cap) : NULL;
    if (!p) {
        t->failed = true;
        return false;
    }
    if (t->n)
        memcpy(p, t->p, t->n);
    t->p = p;
    t->cap = cap;
    return true;
}

void filter_text_put(struct filter_text *t, struct td_slice s)
{
    if (t->failed || !s.n || (t->cap - t->n < s.n && !grow(t, s.n)))
        return;
    memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

void filter_text_u64(struct filter_text *t, uint64_t v)
{
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    filter_text_put(t, td_bytes(p, (size_t)(digits + sizeof digits - p)));
}

void filter_text_i64(struct filter_text *t, int64_t v)
{
    if (v < 0)
        filter_text_putc(t, '-');
    filter_text_u64(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

struct filter_value filter_text_value(const struct filter_text *t)
{
    return t->failed ? filter_fail(FILTER_E_LIMIT) : filter_string(td_bytes(t->p, t->n));
}

struct filter_value filter_join_two(struct arena *arena, enum filter_kind kind, struct td_slice a, struct td_slice b)
{
    uint8_t *p = filter_room(arena, a.n + b.n);
    if (!p)
        return filter_fail(FILTER_E_LIMIT);
    if (a.n)
        memcpy(p, a.p, a.n);
    if (b.n)
        memcpy(p + a.n, b.p, b.n);
    return (struct filter_value){.kind = (uint8_t)kind, .bytes = td_bytes(p, a.n + b.n)};
}

size_t filter_utf8_count(struct td_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += (text.p[i] & 0xc0) != 0x80;
    return n;
}

size_t filter_utf8_offset(struct td_slice text, uint64_t n)
{
    for (size_t i = 0; i < text.n; i++)
        if ((text.p[i] & 0xc0) != 0x80 && n-- == 0)
            return i;
    return n == 0 ? text.n : SIZE_MAX;
}
