/* A stream, plain or compressed, read into pooled buffers.
 *
 * A buffer is a block. It goes back to the pool when the last packet that points into it is let go; the reader
 * takes it from there again, so its pages stay warm. The reader never waits for a buffer, since those who hold them may
 * be waiting for the reader: when the pool is empty it makes another one. So memory is what the consumers hold, plus
 * at most STREAM_SPARE buffers. Only the cut record at a buffer's end is copied, to the next one's beginning. */
#ifndef PACKET_STREAM_H
#define PACKET_STREAM_H

#include "packet/decompress.h"
#include "packet/input.h"

enum { STREAM_BUFFER = 512 << 10, STREAM_SPARE = 4 };

/* Reads from a copy of `raw`; whose descriptor it takes over when it succeeds. */
int stream_open(struct input *in, const struct raw *raw, enum decompress_kind, struct error *err) MUST_CHECK;

#endif
