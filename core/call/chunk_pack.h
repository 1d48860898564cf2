/* Numbers and texts as the bytes that a store keeps, and back. What is unpacked may come from anywhere: every size is
 * checked, nothing is trusted.
 *
 * Numbers are kept as distances to the least one, or, if that is shorter, as differences from one to the next. Distances of
 * up to 4 bits stand several in a byte, longer ones are cut into planes: all lowest bytes, then all second bytes, and so on.
 * So the noise of low bytes does not spoil the regular high ones, and a plane is put together into lanes by plain loops.
 * Each plane is compressed by zstd if that saves at least an eighth. */
#ifndef CALL_CHUNK_PACK_H
#define CALL_CHUNK_PACK_H

#include "base/buf.h"
#include "call/chunk.h"
#include "call/chunk_room.h"
#include "tapedeck/cursor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stores hold little-endian lanes, which are used as they are");

enum {
    PACK_MAX_NUMBERS = 1 << 24, /* in one go */
    PACK_MAX_TEXT = 64 << 20    /* bytes of one dictionary */
};

struct packer {
    struct ZSTD_CCtx_s *texts, *numbers; /* apart, or their memory would be taken anew again and again */
    struct buf plane, squeezed, lanes;
};

int packer_init(struct packer *, struct error *err) MUST_CHECK;
void packer_clear(struct packer *);
/* These append; when memory is short, `out` fails. The bounds are those of the numbers (of none: anything). */
struct pack_bounds {
    int64_t min, max;
};
void pack_numbers(struct packer *, struct buf *out, const int64_t *v, uint32_t n, struct pack_bounds *ret_bounds);
/* Numbers from 0 to `limit` - 1, each of which is there; in some order. */
void pack_ids(struct packer *, struct buf *out, const uint32_t *v, uint32_t n, uint32_t limit);
void pack_bytes(struct packer *, struct buf *out, struct td_slice bytes);
/* The same for bytes that repeat nothing: quicker. */
void pack_plain_bytes(struct packer *, struct buf *out, struct td_slice bytes);

struct unpacker {
    struct ZSTD_DCtx_s *zstd;
    struct buf planes, deltas;
};

int unpacker_init(struct unpacker *, struct error *err) MUST_CHECK;
void unpacker_clear(struct unpacker *);
/* `n` numbers. TD_E_CORRUPT or TD_E_NOMEM; no text, for the caller knows what it was. */
int unpack_numbers(struct unpacker *, struct td_cursor *in, uint32_t n, struct room *, struct chunk_lanes *ret) MUST_CHECK;
/* Exactly `n` bytes, at most PACK_MAX_TEXT. */
int unpack_bytes(struct unpacker *, struct td_cursor *in, size_t n, uint8_t *ret) MUST_CHECK;

#endif
