/* Text that is put together while a filter runs, in the arena of the evaluation. Memory that a growing text leaves behind is
 * freed with the arena. */
#ifndef FILTER_TEXT_H
#define FILTER_TEXT_H

#include "filter/value.h"

struct filter_text {
    struct arena *arena;
    uint8_t *p;
    size_t n, cap;
    bool failed; /* the arena is full */
};

void filter_text_put(struct filter_text *, struct td_slice);
void filter_text_u64(struct filter_text *, uint64_t);
void filter_text_i64(struct filter_text *, int64_t);
static inline void filter_text_putc(struct filter_text *t, char c)
{
    filter_text_put(t, td_bytes(&c, 1));
}
#define filter_text_lit(t, literal) filter_text_put((t), TD_LIT(literal))

/* Exactly `n` bytes of room, zeroed; NULL if the arena is full. */
uint8_t *filter_room(struct arena *arena, size_t n);
/* The STRING, or an ERROR if memory was short. */
struct filter_value filter_text_value(const struct filter_text *);
/* A STRING of the two, one after the other; BYTES if `kind` says so. */
struct filter_value filter_join_two(struct arena *arena, enum filter_kind kind, struct td_slice a, struct td_slice b);

/* Code points of valid UTF-8. */
size_t filter_utf8_count(struct td_slice text);
/* Where the character after the one at `at` begins; `at` is less than text.n. Also over bytes that are no UTF-8. */
static inline size_t filter_utf8_next(struct td_slice text, size_t at)
{
    for (at++; at < text.n && (text.p[at] & 0xc0) == 0x80;)
        at++;
    return at;
}
/* Where the code point number `n` begins, in bytes; text.n for the one past the last, and SIZE_MAX beyond. */
size_t filter_utf8_offset(struct td_slice text, uint64_t n);

#endif
