/* The blocks of a pinned segment, read in pieces and checked: nothing that a file says of itself is believed without its bounds.
 *
 * One thread. */
#ifndef CAPTURE_SEGMENT_BLOCKS_H
#define CAPTURE_SEGMENT_BLOCKS_H

#include "capture/segment.h"

enum {
    BLOCKS_MAX_BLOCK = 1 << 20, /* bytes; the ring writes none of half of it */
    BLOCKS_PIECE = 1 << 20,     /* read at once */
    BLOCKS_HEAD = 8,            /* type, length */
    BLOCKS_MIN_BLOCK = 12       /* and the length again */
};

enum segment_block_type {
    BLOCK_TYPE_SECTION = 0x0a0d0d0a,
    BLOCK_TYPE_INTERFACE = 1,
    BLOCK_TYPE_PACKET = 6,
};

/* The blocks of one segment: bytes [from, from + n) of it lie at `p`. */
struct segment_blocks {
    struct segment *segment;
    uint64_t end; /* nothing from here on is read */
    uint8_t *p;
    uint64_t from;
    size_t n;
    uint64_t bytes_read; /* in all, for statistics */
};

int segment_blocks_init(struct segment_blocks *, struct error *err) MUST_CHECK;
void segment_blocks_clear(struct segment_blocks *);
/* Another segment; keeps the memory. */
void segment_blocks_begin(struct segment_blocks *, struct segment *, uint64_t end);

/* Bytes at hand from `at` on; 0 if that place has not been read. */
static inline size_t segment_blocks_left(const struct segment_blocks *b, uint64_t at)
{
    return at >= b->from && at - b->from < b->n ? (size_t)(b->from + b->n - at) : 0;
}

static inline const uint8_t *segment_blocks_at(const struct segment_blocks *b, uint64_t at)
{
    return b->p + (at - b->from);
}

/* Brings bytes from `at` to `until` to hand, as far as there is room and before `end`; what was at hand before `at` is gone. */
int segment_blocks_read(struct segment_blocks *, uint64_t at, uint64_t until, struct error *err) MUST_CHECK;

struct segment_block {
    const uint8_t *p;
    uint32_t type, length;
};
/* The block at `at` if it is at hand: 1; 0: more bytes are needed, at least up to *ret_until. TD_E_CORRUPT: there is no block. */
int segment_blocks_get(const struct segment_blocks *, uint64_t at, struct segment_block *ret, uint64_t *ret_until,
                       struct error *err) MUST_CHECK;
/* TD_E_CORRUPT, with the place. */
int segment_blocks_damaged(const struct segment_blocks *, uint64_t at, const char *what, struct error *err);

#endif
