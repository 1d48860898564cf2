#include "conversation.h"

#include <stdio.h>
#include <stdlib.h>

#include "flow/flow.h"
#include "packet/capture.h"

/* ---- Reading ---- */

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static struct conversation *conversation_of(struct conversations *all, struct flow *f)
{
    if (!f->user) {
        all->v = must(realloc(all->v, (all->n + 1) * sizeof(*all->v)));
        all->v[all->n] = (struct conversation){.transport = f->key.transport, .frame = f->id};
        f->user = (void *)(uintptr_t)++all->n; /* the array moves */
    }
    return &all->v[(uintptr_t)f->user - 1];
}

/* Sides until the end, when it is known who is the client. */
static void add_event(struct conversation *c, enum told what, int side, struct td_slice bytes, size_t n)
{
    struct told_event *last = c->event_n ? &c->events[c->event_n - 1] : NULL;
    size_t at = c->stream[side].n;
    buf_put_slice(&c->stream[side], bytes);
    if (last && what == TOLD_BYTES && last->what == what && last->dir == side && c->transport == 6) {
        last->n += n;
    } else {
        c->events = must(realloc(c->events, (c->event_n + 1) * sizeof(*c->events)));
        c->events[c->event_n++] = (struct told_event){what, side, at, n, c->length};
    }
    if (what != TOLD_LOST)
        c->length += what == TOLD_BYTES ? n : 1;
}

static void on_data(void *ctx, struct flow *f, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *origin)
{
    (void)offset;
    (void)origin;
    add_event(conversation_of(ctx, f), TOLD_BYTES, side, bytes, bytes.n);
}

static void on_datagram(void *ctx, struct flow *f, int side, struct td_slice bytes, bool cut, const struct flow_origin *origin)
{
    (void)cut;
    (void)origin;
    struct conversation *c = conversation_of(ctx, f);
    if (f->client < 0)
        f->client = (int8_t)side; /* who spoke first */
    if (bytes.n)
        add_event(c, TOLD_BYTES, side, bytes, bytes.n);
}

static void on_gap(void *ctx, struct flow *f, int side, uint64_t offset, uint64_t len)
{
    (void)offset;
    add_event(conversation_of(ctx, f), TOLD_LOST, side, td_bytes(NULL, 0), (size_t)len);
}

static void on_eof(void *ctx, struct flow *f, int side)
{
    add_event(conversation_of(ctx, f), TOLD_FIN, side, td_bytes(NULL, 0), 0);
}

static void on_close(void *ctx, struct flow *f, enum flow_close why)
{
    struct conversation *c = conversation_of(ctx, f);
    int client = f->client >= 0 ? f->client : c->events[0].dir;
    if (why == FLOW_CLOSE_RESET)
        add_event(c, TOLD_RESET, !client, td_bytes(NULL, 0), 0);
    c->port[0] = f->key.port[client];
    c->port[1] = f->key.port[!client];
    if (client == 1) {
        struct buf swap = c->stream[0];
        c->stream[0] = c->stream[1];
        c->stream[1] = swap;
        for (size_t i = 0; i < c->event_n; i++)
            c->events[i].dir = !c->events[i].dir;
    }
    f->user = NULL;
}

static int by_frame(const void *a, const void *b)
{
    const struct conversation *x = a, *y = b;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

struct conversations conversations_read(const char *path)
{
    static const struct flow_ops ops = {on_data, on_datagram, on_gap, on_eof, on_close};
    static const struct flow_limits limits = {1u << 30, 64u << 20, INT64_MAX, INT64_MAX};
    struct conversations all = {0};
    struct capture *capture;
    struct packet packets[64];
    struct block *block;
    struct error err = {0};
    int n;
    if (capture_open(path, &capture, &err) != TD_OK) {
        printf("not ok - %s\n", err.text);
        exit(1);
    }
    struct decoder *decoder = must(decoder_new(1 << 20));
    struct flow_table *table = must(flow_table_new(&limits, &ops, &all));
    while ((n = capture_read(capture, packets, 64, &block, &err)) > 0) {
        for (int i = 0; i < n; i++) {
            struct decoded d;
            if (decode_packet(decoder, &packets[i], &d) != DECODE_OK)
                continue;
            struct flow_packet pkt = {
                d.ip,        d.l4, d.l4_caplen, d.l4_len, packets[i].time_ns, packets[i].frame, d.datagram, flow_hash(&d, 0), d.ip_version,
                d.transport, 0};
            flow_table_packet(table, &pkt);
            if (d.datagram)
                block_unref(&d.datagram->block);
        }
        block_unref(block);
    }
    flow_table_free(table);
    decoder_free(decoder);
    capture_close(capture);
    if (all.n)
        qsort(all.v, all.n, sizeof(*all.v), by_frame);
    return all;
}

void conversations_free(struct conversations *all)
{
    for (size_t i = 0; i < all->n; i++) {
        buf_clear(&all->v[i].stream[0]);
        buf_clear(&all->v[i].stream[1]);
        free(all->v[i].events);
    }
    free(all->v);
    *all = (struct conversations){0};
}

/* ---- Telling ---- */

struct teller {
    struct traffic *t;
    const struct conversation *c;
    const struct variation *v;
    struct peer peer[2];
    uint32_t seq[2]; /* next */
    uint32_t random;
};

static uint32_t next_random(struct teller *s)
{
    s->random = s->random * 1664525u + 1013904223u;
    return s->random >> 8;
}

static void put(struct teller *s, int dir, uint32_t seq, uint8_t flags, struct td_slice bytes)
{
    traffic_tcp(s->t, s->peer[dir], s->peer[!dir], seq, flags & ACK ? s->seq[!dir] : 0, flags, bytes);
}

static void put_flag(struct teller *s, int dir, uint8_t flags)
{
    put(s, dir, s->seq[dir], flags, td_bytes(NULL, 0));
    s->seq[dir] += !!(flags & (SYN | FIN));
}

static void put_in_order(struct teller *s, int dir, struct td_slice bytes)
{
    while (bytes.n) {
        size_t n = 1400;
        if (s->v->how == TELL_BYTES)
            n = 1;
        else if (s->v->how == TELL_CUTS)
            n = 1 + next_random(s) % (next_random(s) % 2 ? 5 : 80);
        struct td_slice now = td_sub(bytes, 0, n);
        put(s, dir, s->seq[dir], ACK | PSH, now);
        s->seq[dir] += (uint32_t)now.n;
        bytes = td_sub(bytes, now.n, bytes.n);
    }
}

/* A window of a few segments after the other: shuffled, some twice, some with a bit of their neighbours. */
static void put_in_disorder(struct teller *s, int dir, struct td_slice bytes)
{
    enum { WINDOW = 6 };
    for (size_t at = 0; at < bytes.n;) {
        struct {
            size_t begin, end;
        } segments[WINDOW * 2];
        unsigned n = 0, count = 1 + next_random(s) % WINDOW;
        uint32_t base = s->seq[dir] - (uint32_t)at;
        for (; n < count && at < bytes.n; n++) {
            size_t end = at + 1 + next_random(s) % 120;
            segments[n].begin = at;
            segments[n].end = at = end < bytes.n ? end : bytes.n;
        }
        for (unsigned i = 0, original = n; i < original; i++) {
            if (next_random(s) % 4 == 0)
                segments[n++] = segments[i];
            if (next_random(s) % 4 == 0)
                segments[i].begin -= segments[i].begin ? next_random(s) % 10 % segments[i].begin : 0;
            if (next_random(s) % 4 == 0 && segments[i].end + 10 < at)
                segments[i].end += next_random(s) % 10;
        }
        for (; n; n--) {
            unsigned i = next_random(s) % n;
            put(s, dir, base + (uint32_t)segments[i].begin, ACK, td_sub(bytes, segments[i].begin, segments[i].end));
            segments[i] = segments[n - 1];
        }
        s->seq[dir] = base + (uint32_t)at;
    }
}

/* What of an event is left once the variation's hole or beginning has taken its part; `*ret_lost` bytes before it. */
static struct td_slice part_of(const struct teller *s, const struct told_event *e, struct td_slice bytes, size_t *ret_lost)
{
    *ret_lost = 0;
    if (s->v->how != TELL_FROM || s->v->at <= e->begin)
        return bytes;
    uint64_t gone = s->v->at - e->begin;
    *ret_lost = gone < bytes.n ? (size_t)gone : bytes.n;
    return td_sub(bytes, *ret_lost, bytes.n);
}

static void tell_bytes(struct teller *s, const struct told_event *e, struct td_slice bytes)
{
    size_t lost;
    bytes = part_of(s, e, bytes, &lost);
    s->seq[e->dir] += (uint32_t)lost;
    if (s->v->how == TELL_DISORDER) {
        put_in_disorder(s, e->dir, bytes);
        return;
    }
    uint64_t hole = s->v->at, hole_end = hole + s->v->n, end = e->at + e->n;
    if (s->v->how != TELL_HOLE || e->dir != s->v->dir || hole >= end || hole_end <= e->at) {
        put_in_order(s, e->dir, bytes);
        return;
    }
    size_t begin = hole > e->at ? (size_t)(hole - e->at) : 0, stop = hole_end < end ? (size_t)(hole_end - e->at) : e->n;
    put_in_order(s, e->dir, td_sub(bytes, 0, begin));
    s->seq[e->dir] += (uint32_t)(stop - begin);
    put_in_order(s, e->dir, td_sub(bytes, stop, bytes.n));
}

static void tell_datagram(struct teller *s, const struct told_event *e, struct td_slice bytes)
{
    bool lost = s->v->how == TELL_HOLE && e->dir == s->v->dir && s->v->at < e->at + e->n && e->at < s->v->at + s->v->n;
    if (lost || (s->v->how == TELL_FROM && s->v->at > e->begin))
        return;
    traffic_udp(s->t, s->peer[e->dir], s->peer[!e->dir], bytes);
}

static void tell_event(struct teller *s, const struct told_event *e)
{
    struct td_slice bytes = td_sub(buf_slice(&s->c->stream[e->dir]), e->at, e->at + e->n);
    if (e->what == TOLD_BYTES && s->c->transport == 17)
        tell_datagram(s, e, bytes);
    else if (e->what == TOLD_BYTES)
        tell_bytes(s, e, bytes);
    else if (e->what == TOLD_LOST)
        s->seq[e->dir] += (uint32_t)e->n;
    else if (s->c->transport == 6)
        put_flag(s, e->dir, e->what == TOLD_FIN ? FIN | ACK : RST | ACK);
}

uint64_t conversation_tell(struct traffic *t, const struct conversation *c, const struct variation *v, uint32_t id)
{
    bool swapped = v->how == TELL_SWAPPED;
    struct teller s = {
        .t = t,
        .c = c,
        .v = v,
        .seq = {1000, 0xffffff00u},
        .random = v->seed,
        .peer = {{{10, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}, c->port[swapped]}, {{198, 51, 100, 7}, c->port[!swapped]}}};
    if (c->transport == 6 && !swapped && v->how != TELL_FROM) {
        put_flag(&s, 0, SYN);
        put_flag(&s, 1, SYN | ACK);
        put_flag(&s, 0, ACK);
    }
    uint64_t first = t->frames + 1;
    for (size_t i = 0; i < c->event_n; i++)
        tell_event(&s, &c->events[i]);
    return first;
}
