#include "arena.h"

#include <stdalign.h>
#include <string.h>

#include "mem.h"

enum { FIRST_BLOCK = 512, LARGEST_BLOCK = 64 * 1024 };

struct arena_block {
    struct arena_block *older;
    size_t size;
    alignas(16) uint8_t bytes[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_lend(struct arena *a, void *p, size_t n)
{
    a->next = p;
    a->end = a->next + n;
}

void arena_clear(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *older = a->blocks->older;
        mem_free(a->blocks);
        a->blocks = older;
    }
    *a = (struct arena){.max = a->max};
}

static int add_block(struct arena *a, size_t n)
{
    size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size > a->max - a->used)
        size = a->max - a->used; /* the last block takes what is left */
    if (n <= SIZE_MAX / 2 && size < n + sizeof(struct arena_block))
        size = n + sizeof(struct arena_block);
    if (n > SIZE_MAX / 2 || size > a->max - a->used) {
        a->full = true;
        return 0;
    }
    struct arena_block *block = mem_alloc(size);
    if (!block)
        return 0;
    block->older = a->blocks;
    block->size = size;
    a->blocks = block;
    a->next = block->bytes;
    a->end = (uint8_t *)block + size;
    a->used += size;
    return 1;
}

void *arena_alloc(struct arena *a, size_t n, size_t align)
{
    n += !n; /* nothing, too, has an address */
    size_t pad = (size_t)(-(uintptr_t)a->next) & (align - 1);
    if ((size_t)(a->end - a->next) < pad || (size_t)(a->end - a->next) - pad < n) {
        if (!add_block(a, n))
            return NULL;
        pad = 0;
    }
    uint8_t *p = a->next + pad;
    a->next = p + n;
    return memset(p, 0, n);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1, 1) : NULL;
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}
