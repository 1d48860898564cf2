/* Writing files in large aligned blocks, past the page cache, off the capture path.
 *
 * One thread appends bytes to one file at a time; they are copied into blocks, and a thread of the writer's own brings full blocks to the
 * disk. Between the two lie BLOCK_WRITER_BLOCKS blocks: so long may the disk stall before the appending thread has to wait. Where a file
 * system cannot do without its page cache, what was written is pushed out at once, so that it never piles up.
 *
 * What was appended and published can be read by any thread, whether it is on disk yet or not. */
#ifndef CAPTURE_BLOCK_WRITER_H
#define CAPTURE_BLOCK_WRITER_H

#include <stdatomic.h>

#include "base/error.h"

enum { BLOCK_BYTES = 1 << 20, BLOCK_WRITER_BLOCKS = 32 };

/* A file that is being written. Its user keeps it until `ended`, and opens and closes its descriptor. */
struct block_file {
    int fd;
    bool buffered;                /* written through the page cache */
    atomic_uint_fast64_t flushed; /* bytes on their way to the disk no more, from the beginning */
    atomic_int failure;           /* errno: nothing behind `flushed` will be there */
    /* [the writer's thread] All its bytes are written, or have failed. */
    void (*ended)(struct block_file *);
};

struct block_writer;

int block_writer_new(struct block_writer **ret, struct error *err) MUST_CHECK;
/* Waits until all is written. No file is begun. */
void block_writer_free(struct block_writer *);

/* ---- The appending thread ---- */

/* The file that what follows goes to, from its beginning. */
void block_writer_begin(struct block_writer *, struct block_file *);
/* Waits while no block is free. Returns true if it had to. */
bool block_writer_put(struct block_writer *, const void *p, size_t n);
/* Room for `n` bytes in one piece, or NULL: put them instead. What is written there counts with block_writer_took(). */
uint8_t *block_writer_room(struct block_writer *, size_t n);
void block_writer_took(struct block_writer *, size_t n);
/* What was appended so far may be read by others. */
void block_writer_publish(struct block_writer *);
/* Brings what stands in an unfinished block to the disk as well. Without a free block it does nothing: then the disk is busy anyway. */
void block_writer_flush(struct block_writer *);
/* Ends the file: its last bytes are written, its size is what was appended, and `ended` is called. */
void block_writer_end(struct block_writer *);

/* ---- Any thread ---- */

/* Copies bytes of a file that were published and are not flushed. Returns how many, from `offset` on; 0: they are flushed meanwhile, read
 * the file. */
size_t block_writer_copy(struct block_writer *, const struct block_file *, uint64_t offset, void *p, size_t n);
/* The bytes published of the file at hand. */
uint64_t block_writer_published(const struct block_writer *);
uint64_t block_writer_written(const struct block_writer *); /* bytes, all files */

#endif
