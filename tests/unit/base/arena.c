#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

#include "base/mem.h"
#include "tap.h"

static bool is_aligned(const void *p, size_t align)
{
    return ((uintptr_t)p & (align - 1)) == 0;
}

static void test_allocation(void)
{
    struct arena a;
    uint8_t *parts[2000];
    size_t wrong = 0;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 2000; i++) {
        size_t n = i % 97;
        parts[i] = arena_alloc(&a, n, (size_t)1 << i % 5);
        wrong += !parts[i] || !is_aligned(parts[i], (size_t)1 << i % 5);
        for (size_t j = 0; parts[i] && j < n; j++)
            wrong += parts[i][j] != 0;
        if (parts[i])
            memset(parts[i], (int)(i & 0xff), n);
    }
    for (size_t i = 0; i < 2000; i++)
        for (size_t j = 0; parts[i] && j < i % 97; j++)
            wrong += parts[i][j] != (i & 0xff);
    is_int(wrong, 0, "zeroed, aligned, apart from each other");
    ok(a.used >= 2000 * 48 && a.used < 300000, "%zu bytes from the heap are counted", a.used);
    arena_clear(&a);
    ok(a.used == 0 && !a.blocks && a.max == 1 << 20, "cleared");
    ok(arena_alloc(&a, 1, 1), "and usable again");
    arena_clear(&a);
}

static void test_nothing(void)
{
    struct arena a;
    arena_init(&a, 1000);
    ok(arena_alloc(&a, 0, 1), "nothing, too, has an address");
    const char *empty = arena_strndup(&a, NULL, 0);
    is_str(empty, "", "a copy of nothing");
    is_str(arena_strndup(&a, "tape deck", 4), "tape", "a copy of a part");
    arena_clear(&a);
}

static void test_ceiling(void)
{
    struct arena a;
    arena_init(&a, 4096);
    size_t given = 0;
    while (arena_alloc(&a, 100, 8) && given < 4096)
        given += 100;
    ok(given >= 3500 && a.used <= 4096, "the budget is used to its end: %zu of 4096", given);
    ok(!arena_alloc(&a, 4096, 1), "and not beyond");
    arena_clear(&a);

    arena_init(&a, 1 << 20);
    uint8_t *large = arena_alloc(&a, 300000, 16);
    ok(large && is_aligned(large, 16), "one part that is larger than any block");
    ok(!arena_alloc(&a, SIZE_MAX, 1) && !arena_alloc(&a, SIZE_MAX / 2, 16), "sizes that overflow");
    ok(!arena_strndup(&a, "", SIZE_MAX), "a string without an end");
    ok(arena_alloc(&a, 300000, 16), "it goes on after a refusal");
    arena_clear(&a);

    arena_init(&a, 100);
    ok(arena_alloc(&a, 50, 1), "a budget smaller than the first block serves what fits");
    ok(!arena_alloc(&a, 100, 1), "and only that");
    arena_clear(&a);
}

static void test_lent(void)
{
    alignas(16) uint8_t memory[256];
    struct arena a;
    memset(memory, 0xff, sizeof(memory));
    arena_init(&a, 4096);
    arena_lend(&a, memory, sizeof(memory));
    uint8_t *first = arena_alloc(&a, 100, 16), *second = arena_alloc(&a, 100, 16);
    ok(first == memory && second == memory + 112, "lent memory comes first");
    ok(first && first[99] == 0 && second && second[99] == 0, "and is zeroed");
    is_int(a.used, 0, "and not counted");
    uint8_t *third = arena_alloc(&a, 100, 16);
    ok(third && (third < memory || third >= memory + sizeof(memory)), "then the heap");
    ok(a.used > 100, "which is counted");
    arena_clear(&a);
    uint8_t *after = arena_alloc(&a, 8, 8);
    ok(after && (after < memory || after >= memory + sizeof(memory)), "cleared, it no longer knows what was lent");
    arena_clear(&a);
}

static void test_short_memory(void)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    mem_fail_at(1);
    ok(!arena_alloc(&a, 10, 1) && a.used == 0, "no memory, nothing counted");
    ok(arena_alloc(&a, 10, 1), "later there is some");
    mem_fail_at(1);
    ok(!arena_alloc(&a, 5000, 1), "no memory for another block");
    mem_fail_at(0);
    arena_clear(&a);
}

int main(void)
{
    test_allocation();
    test_nothing();
    test_ceiling();
    test_lent();
    test_short_memory();
    return tap_done();
}
