#include "websocket_deflate.h"

void ws_deflate_init(struct ws_deflate *d, const struct td_host *host, struct td_arena *arena)
{
    memset(d, 0, sizeof(*d));
    d->host = host;
    d->arena = arena;
}

static voidpf take(voidpf user, uInt items, uInt size)
{
    struct ws_deflate *d = (struct ws_deflate *)user;
    return d->host->alloc(d->arena, (size_t)items * size, 16);
}

/* The arena is freed whole. zlib allocates its state and its window, each once. */
static void keep(voidpf user, voidpf p)
{
    (void)user;
    (void)p;
}

static bool make(struct ws_deflate *d)
{
    if (d->made || d->failed)
        return d->made;
    d->z.zalloc = take;
    d->z.zfree = keep;
    d->z.opaque = d;
    d->made = inflateInit2(&d->z, -MAX_WBITS) == Z_OK;
    d->failed = !d->made;
    return d->made;
}

void ws_deflate_forget(struct ws_deflate *d)
{
    if (d->made)
        (void)inflateReset(&d->z);
}

enum ws_inflated ws_inflate(struct ws_deflate *d, struct td_slice *in, uint8_t *room, size_t *n)
{
    size_t cap = *n < UINT32_MAX ? *n : UINT32_MAX;
    uInt given = (uInt)(in->n < UINT32_MAX ? in->n : UINT32_MAX);
    int rc;
    *n = 0;
    if (!make(d))
        return WS_INFLATED_BAD;
    d->z.next_in = (z_const Bytef *)in->p;
    d->z.avail_in = given;
    d->z.next_out = room;
    d->z.avail_out = (uInt)cap;
    rc = inflate(&d->z, Z_SYNC_FLUSH);
    *n = cap - d->z.avail_out;
    *in = td_sub(*in, given - d->z.avail_in, in->n);
    if (rc == Z_STREAM_END) {
        /* A final block (section 7.2.3.4): the next one begins anew, but may refer to what came before. */
        (void)inflateResetKeep(&d->z);
        return in->n ? WS_INFLATED_ROOM : WS_INFLATED_ALL;
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return WS_INFLATED_BAD;
    return d->z.avail_out == 0 ? WS_INFLATED_ROOM : WS_INFLATED_ALL;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

bool ws_has_deflate(struct td_slice extensions)
{
    struct td_slice name = TD_LIT("permessage-deflate");
    size_t i, begin = 0;
    for (i = 0; i <= extensions.n; i++) {
        struct td_slice one;
        size_t n = 0;
        if (i < extensions.n && extensions.p[i] != ',')
            continue;
        one = td_sub(extensions, begin, i);
        while (one.n && is_space(one.p[0]))
            one = td_sub(one, 1, one.n);
        while (n < one.n && one.p[n] != ';' && !is_space(one.p[n]))
            n++;
        if (td_eq_nocase(td_sub(one, 0, n), name))
            return true;
        begin = i + 1;
    }
    return false;
}
