#include "http2_memory.h"

/* Before each piece; as large as the alignment that it must keep. */
struct piece {
    _Alignas(16) struct piece *next;
    uint32_t class;
};

static void *take(size_t n, void *user)
{
    struct http2_memory *m = (struct http2_memory *)user;
    uint32_t class = 0;
    struct piece *piece;
    while (class < HTTP2_CLASSES && ((size_t)1 << (class + HTTP2_SMALLEST_CLASS)) < n + sizeof(*piece))
        class ++;
    if (class == HTTP2_CLASSES)
        return NULL;
    piece = (struct piece *)m->free[class];
    if (piece)
        m->free[class] = piece->next;
    else
        piece = (struct piece *)m->host->alloc(m->arena, (size_t)1 << (class + HTTP2_SMALLEST_CLASS), 16);
    if (!piece)
        return NULL;
    piece->class = class;
    return piece + 1;
}

static void give_back(void *p, void *user)
{
    struct http2_memory *m = (struct http2_memory *)user;
    struct piece *piece;
    if (!p)
        return;
    piece = (struct piece *)p - 1;
    piece->next = (struct piece *)m->free[piece->class];
    m->free[piece->class] = piece;
}

static void *take_zeroed(size_t n, size_t size, void *user)
{
    size_t all = n * size;
    void *p = size && all / size != n ? NULL : take(all, user);
    if (p)
        memset(p, 0, all);
    return p;
}

static void *take_more(void *p, size_t n, void *user)
{
    const struct piece *piece;
    size_t room;
    void *larger;
    if (!p)
        return take(n, user);
    piece = (const struct piece *)p - 1;
    room = ((size_t)1 << (piece->class + HTTP2_SMALLEST_CLASS)) - sizeof(*piece);
    if (n <= room)
        return p;
    larger = take(n, user);
    if (larger) {
        memcpy(larger, p, room);
        give_back(p, user);
    }
    return larger;
}

void http2_memory_init(struct http2_memory *m, const struct td_host *host, struct td_arena *arena)
{
    memset(m, 0, sizeof(*m));
    m->functions = (nghttp2_mem){m, take, give_back, take_zeroed, take_more};
    m->host = host;
    m->arena = arena;
}
