#include "capture/segment_blocks.h"

#include <string.h>

#include "base/mem.h"
#include "packet/bytes.h"

enum { ROOM = BLOCKS_PIECE + BLOCKS_MAX_BLOCK };

int segment_blocks_init(struct segment_blocks *b, struct error *err)
{
    *b = (struct segment_blocks){.p = mem_alloc(ROOM)};
    return b->p ? TD_OK : error_nomem(err);
}

void segment_blocks_clear(struct segment_blocks *b)
{
    mem_free(b->p);
    b->p = NULL;
}

void segment_blocks_begin(struct segment_blocks *b, struct segment *segment, uint64_t end)
{
    b->segment = segment;
    b->end = end;
    b->from = b->n = 0;
}

int segment_blocks_read(struct segment_blocks *b, uint64_t at, uint64_t until, struct error *err)
{
    size_t kept = segment_blocks_left(b, at);
    until = until < b->end ? until : b->end;
    until = until - at < ROOM ? until : at + ROOM;
    if (kept)
        memmove(b->p, segment_blocks_at(b, at), kept);
    b->from = at;
    b->n = kept;
    if (until <= at + kept)
        return TD_OK;
    size_t n = (size_t)(until - at) - kept;
    int status = segment_read(b->segment, at + kept, b->p + kept, n, err);
    if (status != TD_OK)
        return status;
    b->n += n;
    b->bytes_read += n;
    return TD_OK;
}

int segment_blocks_damaged(const struct segment_blocks *b, uint64_t at, const char *what, struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "segment %llu, offset %llu: %s; the segment or its index is damaged here",
                     (unsigned long long)segment_summary(b->segment)->sequence, (unsigned long long)at, what);
}

int segment_blocks_get(const struct segment_blocks *b, uint64_t at, struct segment_block *ret, uint64_t *ret_until, struct error *err)
{
    size_t left = segment_blocks_left(b, at);
    if (at > b->end || b->end - at < BLOCKS_MIN_BLOCK)
        return segment_blocks_damaged(b, at, "a block is cut", err);
    if (left < BLOCKS_MIN_BLOCK) {
        *ret_until = at + BLOCKS_MIN_BLOCK;
        return 0;
    }
    const uint8_t *p = segment_blocks_at(b, at);
    uint32_t length = bytes_u32(p + 4, false);
    if (length < BLOCKS_MIN_BLOCK || length % 4 || length > BLOCKS_MAX_BLOCK || length > b->end - at)
        return segment_blocks_damaged(b, at, "a block with a length that it cannot have", err);
    if (left < length) {
        *ret_until = at + length;
        return 0;
    }
    if (bytes_u32(p + length - 4, false) != length)
        return segment_blocks_damaged(b, at, "a block whose length in front is not that behind", err);
    *ret = (struct segment_block){p, bytes_u32(p, false), length};
    return 1;
}
