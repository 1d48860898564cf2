/* A sealed segment squeezed: independent zstd frames, one after the other, so that any place is reached by decompressing
 * one frame. Any zstd tool reads the file as a whole. */
#ifndef CAPTURE_FRAMES_H
#define CAPTURE_FRAMES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

enum { FRAMES_BYTES = 256 << 10 /* of the segment in each frame; the last one may have fewer */ };

struct segment_frames {
    uint64_t size;       /* of the segment, decompressed */
    uint64_t compressed; /* of the file */
    uint64_t *ends;      /* where each frame ends in the file */
    size_t n;
};

void segment_frames_clear(struct segment_frames *);
/* Squeezes `size` bytes from `in` to the end of `out`, whose offset is at 0. `level`: 1 to 19. Stops with TD_E_CANCELLED when *cancel gets
 * true. `room`: is shown the bytes of each frame and asked whether they may be written; false ends it with TD_E_LIMIT. */
int segment_frames_write(int in, uint64_t size, int out, int level, const atomic_bool *cancel,
                         bool (*room)(void *ctx, struct td_slice frame), void *room_ctx, struct segment_frames *ret,
                         struct error *err) MUST_CHECK;
/* Finds the frames in a file without help. TD_E_CORRUPT: damaged, cut, or frames of another size. */
int segment_frames_scan(int fd, struct segment_frames *ret, struct error *err) MUST_CHECK;

/* One reader, one thread; keeps the frame that it read last. `frames` and `fd` must outlive it. */
struct frames_reader;
int frames_reader_new(int fd, const struct segment_frames *, struct frames_reader **ret, struct error *err) MUST_CHECK;
void frames_reader_free(struct frames_reader *);
/* Exactly `n` decompressed bytes from `offset`. */
int frames_read(struct frames_reader *, uint64_t offset, void *p, size_t n, struct error *err) MUST_CHECK;

#endif
