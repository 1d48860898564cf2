/* Memory for the unpacked columns of a chunk: taken piece by piece, given back whole, kept for the next chunk. */
#ifndef CALL_CHUNK_ROOM_H
#define CALL_CHUNK_ROOM_H

#include <stddef.h>

enum { ROOM_ALIGN = 64, ROOM_MAX = 512 << 20 /* bytes between two resets */ };

struct room_block;

struct room {
    struct room_block *first, *current;
    size_t used, held; /* bytes given out since the last reset; bytes of all blocks */
};

/* `n` bytes, aligned to ROOM_ALIGN and readable that far beyond their end. Not zeroed. NULL when memory is short, or past ROOM_MAX. */
void *room_alloc(struct room *, size_t n);
/* All pieces are given back; blocks are kept. */
void room_reset(struct room *);
void room_clear(struct room *);

#endif
