/* The memory of bodies whose calls have ended, for those that come next: bodies grow by doubling, and fresh memory for each step costs more
 * than what is done with it. [worker]
 *
 * A body gets from here just what buf_grow() would have made for it, so that what bodies hold does not depend on what was before. All
 * zero: an empty pool. */
#ifndef DISSECT_BODY_POOL_H
#define DISSECT_BODY_POOL_H

#include "base/buf.h"

enum {
    BODY_POOL_LOW = 12, /* log2 of the least bytes that a buffer has which is kept, */
    BODY_POOL_HIGH = 20 /* and of the most */
};
#define BODY_POOL_MAX ((size_t)4 << 20) /* bytes of all buffers that a pool keeps */

struct body_spare;

struct body_pool {
    struct body_spare *spares[BODY_POOL_HIGH - BODY_POOL_LOW + 1]; /* by log2 of their size */
    size_t bytes;                                                  /* of all of them */
};

/* Makes room for `n` more bytes, if there is a buffer of the right size; otherwise `b` is as it was, and grows by itself. */
void body_pool_reserve(struct body_pool *pool, struct buf *b, size_t n);
/* Takes the buffer's memory, if it is worth keeping and there is room. The buffer is then empty. */
void body_pool_take(struct body_pool *pool, struct buf *b);
void body_pool_clear(struct body_pool *pool);

#endif
