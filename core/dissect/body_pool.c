#include "dissect/body_pool.h"

#include "base/mem.h"

/* Stands in the memory itself. */
struct body_spare {
    struct body_spare *next;
};

/* For `size` bytes; -1: none are kept of that size. */
static int place_of(size_t size)
{
    if (size <= (size_t)1 << (BODY_POOL_LOW - 1) || size > (size_t)1 << BODY_POOL_HIGH)
        return -1;
    return 64 - __builtin_clzll(size - 1) - BODY_POOL_LOW;
}

static size_t size_of(int place)
{
    return (size_t)1 << (place + BODY_POOL_LOW);
}

void body_pool_take(struct body_pool *pool, struct buf *b)
{
    int place = place_of(b->cap);
    if (place < 0 || b->cap != size_of(place) || pool->bytes + b->cap > BODY_POOL_MAX)
        return;
    struct body_spare *spare = (void *)b->p;
    spare->next = pool->spares[place];
    pool->spares[place] = spare;
    pool->bytes += b->cap;
    *b = (struct buf){.max = b->max};
}

void body_pool_reserve(struct body_pool *pool, struct buf *b, size_t n)
{
    if (b->cap - b->n >= n || n > SIZE_MAX / 2 || b->max || b->failed)
        return;
    int place = place_of(b->n + n);
    struct body_spare *spare = place < 0 ? NULL : pool->spares[place];
    if (!spare)
        return;
    pool->spares[place] = spare->next;
    struct buf grown = {.p = (uint8_t *)spare, .n = b->n, .cap = size_of(place)};
    pool->bytes -= grown.cap;
    if (b->n)
        memcpy(grown.p, b->p, b->n);
    body_pool_take(pool, b);
    mem_free(b->p); /* what was not worth keeping */
    *b = grown;
}

void body_pool_clear(struct body_pool *pool)
{
    for (int place = 0; place <= BODY_POOL_HIGH - BODY_POOL_LOW; place++)
        while (pool->spares[place]) {
            struct body_spare *spare = pool->spares[place];
            pool->spares[place] = spare->next;
            mem_free(spare);
        }
    pool->bytes = 0;
}
