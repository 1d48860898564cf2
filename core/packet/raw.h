/* Bytes one after the other, from a descriptor from a callback or from memory: what lies under pooled buffers and decompressors. */
#ifndef PACKET_RAW_H
#define PACKET_RAW_H

#include "base/error.h"

enum { RAW_HEAD = 8 };

/* Up to `n` bytes; *ret_n is 0 at the end. */
typedef int raw_read_fn(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err);

struct raw {
    int fd;            /* -1: `read`, or `memory` instead */
    raw_read_fn *read; /* NULL: none */
    void *read_ctx;
    int cancel_fd;          /* when it gets readable, reading ends with TD_E_CANCELLED; -1: none */
    struct td_slice memory; /* what is left of it */
    uint8_t head[RAW_HEAD]; /* read ahead to see what it is; given out first */
    size_t head_n;
    uint64_t position; /* bytes given out */
};

void raw_open_fd(struct raw *, int fd, int cancel_fd);
void raw_open_reader(struct raw *, raw_read_fn *read, void *ctx);
void raw_open_memory(struct raw *, struct td_slice data);
/* The first RAW_HEAD bytes (fewer if there are no more), which raw_read() gives out again. Only before raw_read(). */
int raw_peek(struct raw *, struct td_slice *ret_head, struct error *err) MUST_CHECK;
/* Up to `n` bytes; *ret_n is 0 at the end. May give fewer than there are; waits until there is one. */
int raw_read(struct raw *, uint8_t *to, size_t n, size_t *ret_n, struct error *err) MUST_CHECK;

#endif
