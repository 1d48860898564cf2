/* The different texts of a column while a chunk is filled, each with a number in the order of first sight. */
#ifndef CALL_TEXT_SET_H
#define CALL_TEXT_SET_H

#include "base/buf.h"
#include "base/hash.h"

struct text_set {
    struct buf bytes; /* one text behind the other */
    struct buf ends;  /* uint32_t each */
    uint32_t n;
    uint32_t last;   /* what was found last; very often it is asked for again */
    uint32_t mask;   /* of `slots`, less one */
    uint64_t *slots; /* upper half: of the hash; lower half: the text's number + 1; 0: free */
};

void text_set_reset(struct text_set *); /* keeps its memory */
void text_set_clear(struct text_set *);
/* The number of a text, which is added if it is new. `hash` is of its bytes with a secret seed, always the same one. False
 * when memory is short. */
bool text_set_find(struct text_set *, struct td_slice text, uint64_t hash, uint32_t *ret);

/* A new entry, whether the text is there already or not; such a set is not searched. False when memory is short. */
bool text_set_append(struct text_set *, struct td_slice text);

/* td_eq() for texts that are short as a rule: two words tell, without a call. */
static inline bool text_equal(struct td_slice a, struct td_slice b)
{
    if (a.n != b.n)
        return false;
    if (a.n < 8)
        return hash_short(a.p, a.n) == hash_short(b.p, b.n);
    if (hash_word(a.p) != hash_word(b.p) || hash_word(a.p + a.n - 8) != hash_word(b.p + b.n - 8))
        return false;
    return a.n <= 16 || memcmp(a.p + 8, b.p + 8, a.n - 16) == 0;
}

/* Fetch what text_set_find() will look at: first this, for some texts, ... */
static inline void text_set_prefetch(const struct text_set *s, uint64_t hash)
{
    if (s->slots)
        __builtin_prefetch(&s->slots[hash >> 32 & s->mask]);
}

/* ... then this ... */
static inline void text_set_prefetch_end(const struct text_set *s, uint64_t hash)
{
    uint64_t slot = s->slots ? s->slots[hash >> 32 & s->mask] : 0;
    if (slot >> 32 == hash >> 32 && slot)
        __builtin_prefetch(s->ends.p + sizeof(uint32_t) * ((uint32_t)slot - 1));
}

static inline struct td_slice text_set_at(const struct text_set *s, uint32_t i)
{
    const uint32_t *ends = (const uint32_t *)(const void *)s->ends.p;
    uint32_t from = i ? ends[i - 1] : 0;
    return td_bytes(s->bytes.p + from, ends[i] - from);
}

/* ... then the text itself. */
static inline void text_set_prefetch_text(const struct text_set *s, uint64_t hash)
{
    uint64_t slot = s->slots ? s->slots[hash >> 32 & s->mask] : 0;
    if (slot >> 32 == hash >> 32 && slot)
        __builtin_prefetch(text_set_at(s, (uint32_t)slot - 1).p);
}

/* The number of a text that is at the first place looked at, as most are. */
static inline bool text_set_look(const struct text_set *s, struct td_slice text, uint64_t hash, uint32_t *ret)
{
    uint64_t slot = s->slots ? s->slots[hash >> 32 & s->mask] : 0;
    if (!slot || slot >> 32 != hash >> 32 || !text_equal(text_set_at(s, (uint32_t)slot - 1), text))
        return false;
    *ret = (uint32_t)slot - 1;
    return true;
}

/* The same, for texts that often are what came before. */
static inline bool text_set_add(struct text_set *s, struct td_slice text, uint64_t seed, uint32_t *ret)
{
    if (s->n && text_equal(text_set_at(s, s->last), text)) {
        *ret = s->last;
        return true;
    }
    return text_set_find(s, text, hash_bytes(text.p, text.n, seed), ret);
}

#endif
