/* A growable run of bytes with a ceiling.
 *
 * Appending past the ceiling, or when memory is short, sets `failed` and appends nothing more, so that a writer
 * checks once at its end. A zeroed struct with `max` set is a valid empty buffer. Not for sharing between threads. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tapedeck/slice.h"

struct buf {
    uint8_t *p;
    size_t n, cap;
    size_t max; /* 0: no ceiling but memory */
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_clear(struct buf *b); /* frees; the buffer is empty and usable again, its ceiling kept */
static inline void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

/* Makes room for `n` more bytes; false if that cannot be. */
bool buf_grow(struct buf *b, size_t n);

static inline bool buf_reserve(struct buf *b, size_t n)
{
    return b->cap - b->n >= n ? !b->failed : buf_grow(b, n);
}

static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n && buf_reserve(b, n)) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}

static inline void buf_put_slice(struct buf *b, struct td_slice s)
{
    buf_put(b, s.p, s.n);
}

static inline void buf_putc(struct buf *b, char c)
{
    if (buf_reserve(b, 1))
        b->p[b->n++] = (uint8_t)c;
}

#define buf_lit(b, literal) buf_put((b), "" literal, sizeof(literal) - 1)

void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An unsigned number in decimal; much faster than buf_printf. */
void buf_u64(struct buf *b, uint64_t v);
void buf_i64(struct buf *b, int64_t v);
/* The text with a terminating zero behind it (not counted in n); "" when that failed. */
const char *buf_cstr(struct buf *b);

static inline struct td_slice buf_slice(const struct buf *b)
{
    return td_bytes(b->p, b->n);
}

#endif
