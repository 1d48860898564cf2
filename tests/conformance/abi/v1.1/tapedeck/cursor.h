/* A bounds-checked reader over hostile bytes.
 *
 * A cursor never reads outside its slice. The first read that would do so sets `failed`, returns zero (or an
 * empty slice) and moves nothing; every later read fails as well. So a parser reads a whole structure and
 * checks `failed` once at its end. Nothing here allocates. A cursor is a plain value: copy it to look ahead.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TAPEDECK_CURSOR_H
#define TAPEDECK_CURSOR_H

#include "slice.h"

#ifdef __cplusplus
extern "C" {
#endif

struct td_cursor {
    const uint8_t *begin, *p, *end;
    bool failed;
};

static inline struct td_cursor td_cursor(struct td_slice s)
{
    struct td_cursor c;
    c.begin = c.p = s.p;
    c.end = s.p ? s.p + s.n : s.p;
    c.failed = false;
    return c;
}

/* Bytes that are left; zero once the cursor has failed. */
static inline size_t td_left(const struct td_cursor *c)
{
    return c->failed ? 0 : (size_t)(c->end - c->p);
}

/* Bytes read so far. */
static inline size_t td_pos(const struct td_cursor *c)
{
    return (size_t)(c->p - c->begin);
}

/* Claims the next `n` bytes: a pointer to them, or NULL and the cursor fails. */
static inline const uint8_t *td_claim_bytes(struct td_cursor *c, size_t n)
{
    const uint8_t *p = c->p;
    if (c->failed || (size_t)(c->end - c->p) < n) {
        c->failed = true;
        return NULL;
    }
    c->p += n;
    return p;
}

static inline void td_skip(struct td_cursor *c, size_t n)
{
    if (n)
        (void)td_claim_bytes(c, n);
}

/* Moves to absolute position `pos`, backwards or forwards. */
static inline void td_seek(struct td_cursor *c, size_t pos)
{
    if (c->failed || pos > (size_t)(c->end - c->begin))
        c->failed = true;
    else if (c->begin)
        c->p = c->begin + pos;
}

static inline struct td_slice td_take(struct td_cursor *c, size_t n)
{
    const uint8_t *p = n ? td_claim_bytes(c, n) : c->p;
    return td_bytes(p, p ? n : 0);
}

/* Everything that is left. */
static inline struct td_slice td_rest(struct td_cursor *c)
{
    return td_take(c, td_left(c));
}

static inline uint8_t td_u8(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 1);
    return p ? p[0] : 0;
}

/* Big-endian (network order) integers. */
static inline uint16_t td_be16(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 2);
    return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t td_be24(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 3);
    return p ? (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2] : 0;
}

static inline uint32_t td_be32(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 4);
    return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t td_be48(struct td_cursor *c)
{
    uint64_t hi = td_be16(c);
    uint64_t lo = td_be32(c);
    return c->failed ? 0 : hi << 32 | lo;
}

static inline uint64_t td_be64(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 8);
    uint64_t v = 0;
    int i;
    for (i = 0; p && i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* Little-endian integers. */
static inline uint16_t td_le16(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 2);
    return p ? (uint16_t)(p[1] << 8 | p[0]) : 0;
}

static inline uint32_t td_le32(struct td_cursor *c)
{
    const uint8_t *p = td_claim_bytes(c, 4);
    return p ? (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0] : 0;
}

static inline uint64_t td_le64(struct td_cursor *c)
{
    uint64_t lo = td_le32(c);
    uint64_t hi = td_le32(c);
    return c->failed ? 0 : hi << 32 | lo;
}

#ifdef __cplusplus
}
#endif
#endif
