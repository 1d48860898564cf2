#include "call/text_set.h"

#include "base/mem.h"

enum { FIRST_SLOTS = 64 };

void text_set_reset(struct text_set *s)
{
    buf_reset(&s->bytes);
    buf_reset(&s->ends);
    s->n = s->last = 0;
    if (s->slots)
        memset(s->slots, 0, sizeof(*s->slots) * ((size_t)s->mask + 1));
}

void text_set_clear(struct text_set *s)
{
    buf_clear(&s->bytes);
    buf_clear(&s->ends);
    mem_free(s->slots);
    *s = (struct text_set){0};
}

static bool grow(struct text_set *s)
{
    size_t n = s->slots ? 2 * ((size_t)s->mask + 1) : FIRST_SLOTS;
    uint64_t *slots = mem_calloc(n, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; s->slots && i <= s->mask; i++) {
        if (!s->slots[i])
            continue;
        size_t at = s->slots[i] >> 32 & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = s->slots[i];
    }
    mem_free(s->slots);
    s->slots = slots;
    s->mask = (uint32_t)n - 1;
    return true;
}

bool text_set_append(struct text_set *s, struct td_slice text)
{
    if (!buf_reserve(&s->bytes, text.n + 1)) /* so that there are bytes to point to, be the text empty */
        return false;
    buf_put_slice(&s->bytes, text);
    uint32_t end = (uint32_t)s->bytes.n;
    buf_put(&s->ends, &end, sizeof(end));
    if (s->bytes.failed || s->ends.failed || s->bytes.n > UINT32_MAX)
        return false;
    s->n++;
    return true;
}

bool text_set_find(struct text_set *s, struct td_slice text, uint64_t hash, uint32_t *ret)
{
    if (!s->slots || s->n >= s->mask / 4 * 3) {
        if (!grow(s))
            return false;
    }
    uint64_t upper = hash >> 32;
    uint32_t at = (uint32_t)upper & s->mask;
    for (; s->slots[at]; at = (at + 1) & s->mask) {
        uint32_t i = (uint32_t)s->slots[at] - 1;
        if (s->slots[at] >> 32 != upper || !text_equal(text_set_at(s, i), text))
            continue;
        *ret = s->last = i;
        return true;
    }
    if (!text_set_append(s, text))
        return false;
    *ret = s->last = s->n - 1;
    s->slots[at] = upper << 32 | s->n;
    return true;
}
