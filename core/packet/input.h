/* The bytes of a capture, as runs in blocks that packets may point into.
 *
 * A format's reader looks at [p, end), moves `p` over what it has used, and calls input_need() when a record is not
 * whole. Behind it is one of two: memory, or a stream read into pooled buffers (stream.h), which may be decompressed on the
 * way. One thread. */
#ifndef PACKET_INPUT_H
#define PACKET_INPUT_H

#include "base/error.h"
#include "packet/block.h"
#include "packet/raw.h"

struct input;

struct input_ops {
    /* Called with fewer than `n` bytes in [p, end): gets more, or sets `ended`, and `error` if that is not the data's
     * plain end. May change `block`, p and end; the bytes from p on stay the same. */
    void (*more)(struct input *, size_t n);
    /* Bytes of the file used so far, compressed if it is. */
    uint64_t (*position)(const struct input *);
    void (*close)(struct input *);
};

struct input {
    const uint8_t *p, *end;
    struct block *block; /* holds them; the input's own reference */
    uint64_t end_offset; /* of `end` in the (decompressed) data */
    uint64_t size;       /* of what there was to read of the file when it was opened, 0: unknown */
    struct error error;  /* what ended it too early, without the file's name; status TD_OK: nothing */
    bool ended;          /* nothing follows `end` */
    bool live;           /* a pipe: more may arrive later */
    bool size_is_a_hint;
    const char *packing; /* "gzip", "zstd" or NULL */
    const struct input_ops *ops;
    void *source; /* the ops' own */
};

/* Opens a file; "-" is standard input. With O_NONBLOCK in `flags` nobody waits for a fifo's writer. The error has no name. */
int input_open_path(const char *path, int flags, int *ret_fd, struct error *err) MUST_CHECK;
/* The same, and reads it. */
int input_open(struct input *in, const char *path, struct error *err) MUST_CHECK;
/* Takes `fd` over when it succeeds. `cancel_fd`: see raw.h; -1: none. */
int input_open_fd(struct input *in, int fd, int cancel_fd, struct error *err) MUST_CHECK;
/* `size`: about how many bytes there are, for progress; 0: unknown. */
int input_open_reader(struct input *in, raw_read_fn *read, void *ctx, uint64_t size, struct error *err) MUST_CHECK;
/* `data` must outlive the blocks. */
int input_open_memory(struct input *in, struct td_slice data, struct error *err) MUST_CHECK;
/* Blocks that others still hold live on. */
void input_close(struct input *in);

static inline size_t input_left(const struct input *in)
{
    return (size_t)(in->end - in->p);
}

/* The offset of `p` in the (decompressed) data. */
static inline uint64_t input_offset(const struct input *in)
{
    return in->end_offset - input_left(in);
}

/* Makes at least `n` bytes contiguous at `p`; false if the data ends before. */
static inline bool input_need(struct input *in, size_t n)
{
    while (input_left(in) < n && !in->ended)
        in->ops->more(in, n);
    return input_left(in) >= n;
}

#endif
