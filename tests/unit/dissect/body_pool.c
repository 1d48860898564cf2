/* Bodies' memory that is used again. */
#include "dissect/body_pool.h"

#include "base/mem.h"
#include "tap.h"

static void fill(struct buf *b, size_t n)
{
    while (b->n < n)
        buf_putc(b, (char)('a' + b->n % 26));
}

static void test_again(void)
{
    struct body_pool pool = {0};
    struct buf b = {0};
    fill(&b, 20000);
    const uint8_t *memory = b.p;
    body_pool_take(&pool, &b);
    ok(!b.p && !b.n && !b.cap, "what a body had is gone from it");
    is_int(pool.bytes, 32768, "... and kept");
    fill(&b, 3000);
    body_pool_reserve(&pool, &b, 10000);
    ok(b.p != memory && b.cap == 4096, "memory that is larger than needed is not given");
    body_pool_reserve(&pool, &b, 14000);
    ok(b.p == memory && b.cap == 32768, "memory of the right size is");
    ok(b.n == 3000 && b.p[0] == 'a' && b.p[2999] == 'a' + 2999 % 26, "what there was is there");
    is_int(pool.bytes, 4096, "the smaller memory is kept instead");
    body_pool_reserve(&pool, &b, 100);
    ok(b.p == memory, "what has room stays where it is");
    body_pool_take(&pool, &b);
    body_pool_clear(&pool);
    is_int(pool.bytes, 0, "cleared");
}

static void test_limits(void)
{
    struct body_pool pool = {0};
    struct buf small = {0}, large = {0}, bounded = {.max = 100000};
    fill(&small, 1000);
    fill(&large, (size_t)1 << (BODY_POOL_HIGH + 1));
    body_pool_take(&pool, &small);
    body_pool_take(&pool, &large);
    ok(small.p && large.p && pool.bytes == 0, "neither the smallest nor the largest are kept");
    buf_clear(&small);
    buf_clear(&large);
    for (int i = 0; i < 100; i++) {
        struct buf b = {0};
        ok(buf_reserve(&b, 100000), "a body");
        body_pool_take(&pool, &b);
        buf_clear(&b);
    }
    is_int(pool.bytes, BODY_POOL_MAX, "no more than the limit is kept");
    body_pool_reserve(&pool, &bounded, 99000);
    ok(!bounded.p && pool.bytes == BODY_POOL_MAX, "a buffer with a ceiling of its own grows by itself");
    body_pool_clear(&pool);
}

int main(void)
{
    test_again();
    test_limits();
    return tap_done();
}
