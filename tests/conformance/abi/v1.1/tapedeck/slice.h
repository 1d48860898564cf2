/* A slice: a borrowed run of bytes. The one way in which bytes cross the plugin interface.
 *
 * A slice never owns what it points to. Whoever hands one out says how long it lives; in callbacks that is
 * always "until this call returns". An empty slice may have a null pointer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TAPEDECK_SLICE_H
#define TAPEDECK_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Passed by value, so frozen for the whole of ABI major 1. */
struct td_slice {
    const uint8_t *p;
    size_t n;
};

/* A slice over `n` bytes at `p`. */
static inline struct td_slice td_bytes(const void *p, size_t n)
{
    struct td_slice s;
    s.p = (const uint8_t *)p;
    s.n = n;
    return s;
}

/* A slice over a string, without its terminating zero. A null pointer gives an empty slice. */
static inline struct td_slice td_str(const char *s)
{
    return td_bytes(s, s ? strlen(s) : 0);
}

/* A slice over a string literal; its length is known to the compiler. */
#define TD_LIT(literal) td_bytes("" literal, sizeof(literal) - 1)

/* The part of `s` from `from` up to but not including `to`; both are clipped to the slice. */
static inline struct td_slice td_sub(struct td_slice s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return td_bytes(s.p ? s.p + from : s.p, to - from);
}

static inline bool td_eq(struct td_slice a, struct td_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline uint8_t td_ascii_lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26u ? (uint8_t)(c | 0x20u) : c;
}

/* Equality that folds the case of ASCII letters only (RFC 9110 section 5.1, RFC 4343). */
static inline bool td_eq_nocase(struct td_slice a, struct td_slice b)
{
    size_t i;
    if (a.n != b.n)
        return false;
    for (i = 0; i < a.n; i++)
        if (td_ascii_lower(a.p[i]) != td_ascii_lower(b.p[i]))
            return false;
    return true;
}

static inline bool td_starts(struct td_slice s, struct td_slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

#ifdef __cplusplus
}
#endif
#endif
