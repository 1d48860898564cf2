#include "call/chunk_room.h"

#include <stdint.h>

#include "base/mem.h"

enum { BLOCK = 512 << 10 };

struct room_block {
    struct room_block *next;
    size_t size, taken; /* of `bytes`, whose beginning may not be aligned */
    uint8_t bytes[];
};

static struct room_block *block_new(struct room *r, size_t n)
{
    struct room_block *b = mem_alloc(sizeof(*b) + n);
    if (!b)
        return NULL;
    b->size = n;
    b->taken = 0;
    if (r->current) {
        b->next = r->current->next;
        r->current->next = b;
    } else {
        b->next = r->first;
        r->first = b;
    }
    r->held += n;
    r->current = b;
    return b;
}

static void *take(struct room_block *b, size_t n)
{
    size_t at = (size_t)(-(uintptr_t)(b->bytes + b->taken) & (ROOM_ALIGN - 1)) + b->taken;
    if (at > b->size || b->size - at < n)
        return NULL;
    b->taken = at + n;
    return b->bytes + at;
}

void *room_alloc(struct room *r, size_t n)
{
    if (n > ROOM_MAX || r->used > ROOM_MAX - n)
        return NULL;
    n += ROOM_ALIGN;
    r->used += n;
    if (!r->current)
        r->current = r->first;
    for (struct room_block *b = r->current; b; b = b->next) {
        void *p = take(b, n);
        if (!p)
            continue;
        r->current = b;
        return p;
    }
    struct room_block *b = block_new(r, n + ROOM_ALIGN > BLOCK ? n + ROOM_ALIGN : BLOCK);
    return b ? take(b, n) : NULL;
}

void room_reset(struct room *r)
{
    for (struct room_block *b = r->first; b; b = b->next)
        b->taken = 0;
    r->current = r->first;
    r->used = 0;
}

void room_clear(struct room *r)
{
    for (struct room_block *b = r->first, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    *r = (struct room){0};
}
