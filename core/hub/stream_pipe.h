/* Bytes from a thread that pushes them, an exporter's, to one that pulls them, that of an HTTP connection: a bounded pipe between the two.
 *
 * Opened, read and closed by the one who pulls. */
#ifndef HUB_STREAM_PIPE_H
#define HUB_STREAM_PIPE_H

#include <stdatomic.h>

#include "base/error.h"
#include "tapedeck/slice.h"

struct stream_pipe;

struct stream_pipe_options {
    /* [a thread of its own, which takes no signals] Writes all, and returns. */
    int (*push)(void *ctx, struct stream_pipe *, struct error *err);
    bool (*left)(void *ctx); /* [who pulls] asked while it waits: is the one who wants the bytes gone? Then TD_E_CANCELLED */
    void *ctx;
};

int stream_pipe_open(const struct stream_pipe_options *, struct stream_pipe **ret, struct error *err) MUST_CHECK;
/* Cancels what is pushed, and waits for the end of its thread. NULL is fine. */
void stream_pipe_close(struct stream_pipe *);

/* [the thread that pushes] Waits for room; TD_E_CANCELLED: nobody pulls any more. */
int stream_pipe_write(struct stream_pipe *, struct td_slice, struct error *err) MUST_CHECK;
const atomic_bool *stream_pipe_cancelled(const struct stream_pipe *);

/* Waits until there is a byte or the end, at most so long. TD_OK, also if there is neither yet; else how pushing failed before it wrote
 * anything. */
int stream_pipe_wait(struct stream_pipe *, int64_t timeout_ns, struct error *err) MUST_CHECK;
/* At least one byte; 0: the end. An error is that of pushing, behind all that was written. */
int stream_pipe_read(struct stream_pipe *, void *out, size_t n, size_t *ret_n, struct error *err) MUST_CHECK;

#endif
