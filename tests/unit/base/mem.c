#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#include "tap.h"

static void test_allocation(void)
{
    uint8_t *p = mem_calloc(1000, 3);
    size_t zero = 0;
    for (size_t i = 0; p && i < 3000; i++)
        zero += p[i] == 0;
    is_int(zero, 3000, "calloc zeroes all");
    p = mem_realloc(p, 6000);
    ok(p && p[2999] == 0, "realloc keeps what there was");
    mem_free(p);
    volatile size_t half = SIZE_MAX / 2 + 2; /* not seen through by the compiler */
    ok(!mem_calloc(half, 2), "a product that overflows is refused");

    void *nothing = mem_alloc(0), *no_elements = mem_calloc(0, 8), *shrunk = mem_realloc(NULL, 0);
    ok(nothing && no_elements && shrunk, "no bytes are not an error");
    mem_free(nothing);
    mem_free(no_elements);
    mem_free(shrunk);
    mem_free(NULL);

    char *copy = mem_strdup("tape");
    is_str(copy, "tape", "strdup");
    mem_free(copy);
}

static void test_failing(void)
{
    mem_fail_at(2);
    void *first = mem_alloc(1);
    ok(first && !mem_failed(), "the first allocation is as always");
    void *second = mem_calloc(1, 1);
    ok(!second && mem_failed(), "the second fails");
    void *third = mem_realloc(first, 10);
    ok(third, "and only that");
    mem_fail_at(1);
    ok(!mem_realloc(third, 20), "realloc fails, and leaves its argument");
    mem_free(third);
    mem_fail_at(1);
    ok(!mem_strdup("x"), "strdup fails");
    mem_fail_at(0);
    ok(!mem_failed(), "switched off");
    char *again = mem_strdup("x");
    ok(again && !mem_failed(), "nothing fails any more");
    mem_free(again);
}

int main(void)
{
    test_allocation();
    test_failing();
    return tap_done();
}
