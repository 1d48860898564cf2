/* A shared, counted piece of memory that packets point into: a filled read buffer, or a
 * datagram put together from fragments. Whoever keeps a packet holds a reference to its block. */
#ifndef PACKET_BLOCK_H
#define PACKET_BLOCK_H

#include <stdatomic.h>

struct block {
    atomic_uint refs;
    void (*release)(struct block *); /* called once, by whichever thread drops the last reference */
};

static inline void block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

static inline void block_unref(struct block *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        b->release(b);
}

#endif
