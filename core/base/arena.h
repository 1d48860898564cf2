/* An arena: memory that is freed whole, drawn from a budget.
 *
 * Blocks double from a small first one, so that the thousands of connections that hold little cost little. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    uint8_t *next, *end;        /* free room in the newest */
    size_t used;                /* bytes taken from the heap, headers included */
    size_t max;                 /* ceiling for `used` */
    bool full;                  /* it was the ceiling that refused something */
};

void arena_init(struct arena *a, size_t max);
/* Lends an empty arena its first memory: `n` bytes at `p`, aligned to 16, that outlive its use. Not counted in `used`. */
void arena_lend(struct arena *a, void *p, size_t n);
/* Frees everything. The arena is empty and usable again. */
void arena_clear(struct arena *a);
/* `n` zeroed bytes, aligned to `align` (a power of two up to 16). NULL past the ceiling or when memory is short. */
void *arena_alloc(struct arena *a, size_t n, size_t align);
/* A zero-terminated copy. NULL as above. */
char *arena_strndup(struct arena *a, const char *s, size_t n);

#endif
