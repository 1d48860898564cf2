/* TCP reassembly (RFC 9293): from segments, as a capture shows them, to two byte streams.
 *
 * A capture differs from what an endpoint sees. Packets may be missing that the receiver had, may stand twice or
 * in the wrong order, may be cut. So:
 *   - In-order data goes up where it lies, uncopied. Other data waits in a queue, as copies.
 *   - Of data that overlaps, what came first counts.
 *   - A hole is declared lost once the other side has acknowledged what lies behind its beginning (it had the
 *     bytes, so no retransmission will come) and HOLE_PACKETS more packets or HOLE_NS have passed without it; or when
 *     the queue is full; or when the connection ends.
 *   - Causality: a segment that acknowledges bytes of the other direction that have not been delivered yet waits for
 *     them, so that an answer is not seen before its question. */
#include "flow/table.h"

#include <string.h>

#include "base/mem.h"
#include "base/units.h"

enum {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_ACK = 0x10,
    HOLE_PACKETS = 24,  /* how far capture threads and multiqueue devices reorder packets */
    PATIENT_GAPS = 8,   /* a connection with more holes than this (one direction is not captured) waits no more */
    QUEUE_STEPS = 4096, /* segments passed on the way to a place in the queue; beyond, the hole is declared lost */
};
#define HOLE_NS (15ll * NS_PER_S) /* long: files put together from several captures jump in time */
#define FAR_AHEAD (1ull << 30)    /* the largest window that window scaling allows (RFC 7323 section 2.3) */

struct tcp_segment {
    struct tcp_segment *next;
    uint64_t offset;
    uint64_t after; /* bytes of the other direction that it acknowledges: deliver those first */
    uint64_t frame;
    int64_t time_ns;
    uint32_t n;    /* bytes held */
    uint32_t lost; /* bytes behind them that the snaplen cut off */
    uint8_t bytes[];
};

struct tcp_header {
    uint32_t seq, ack;
    uint32_t header_len;
    uint8_t flags;
};

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The offset of a sequence number, taken as near as possible to `near`. May lie before 0: then it is "negative". */
static int64_t to_offset(const struct tcp_side *s, uint32_t seq, uint64_t near)
{
    uint32_t near_seq = s->seq0 + (uint32_t)near;
    return (int64_t)near + (int32_t)(seq - near_seq);
}

static size_t segment_size(const struct tcp_segment *seg)
{
    return sizeof(*seg) + seg->n;
}

static void free_segment(struct flow_table *t, struct flow *f, struct tcp_side *s, struct tcp_segment *seg)
{
    if (s->last == seg)
        s->last = NULL;
    flow_give(t, f, segment_size(seg));
    mem_free(seg);
}

static void release_side(struct flow_table *t, struct flow *f, int side)
{
    struct tcp_side *s = &f->side[side];
    while (s->queue) {
        struct tcp_segment *seg = s->queue;
        s->queue = seg->next;
        free_segment(t, f, s, seg);
    }
}

void tcp_release(struct flow_table *t, struct flow *f)
{
    release_side(t, f, 0);
    release_side(t, f, 1);
}

/* ---- Delivery ---- */

static void declare_gap(struct flow_table *t, struct flow *f, int side, uint64_t to)
{
    struct tcp_side *s = &f->side[side];
    uint64_t from = s->next;
    t->stats.gaps++;
    t->stats.gap_bytes += to - from;
    s->next = to;
    if (!f->ignored)
        t->ops->gap(t->ctx, f, side, from, to - from);
}

/* Ends a side once everything before its FIN has been delivered. What is said to lie behind a FIN cannot be. */
static void check_fin(struct flow_table *t, struct flow *f, int side)
{
    struct tcp_side *s = &f->side[side];
    if (s->eof || s->next < s->fin)
        return;
    s->eof = true;
    release_side(t, f, side);
    if (f->user && !f->ignored)
        t->ops->eof(t->ctx, f, side);
}

static void deliver(struct flow_table *t, struct flow *f, int side, const uint8_t *p, uint32_t n, uint32_t lost,
                    const struct flow_origin *origin)
{
    struct tcp_side *s = &f->side[side];
    uint64_t offset = s->next;
    s->next += n;
    if (n && !f->ignored)
        t->ops->data(t->ctx, f, side, offset, td_bytes(p, n), origin);
    if (lost)
        declare_gap(t, f, side, s->next + lost);
    check_fin(t, f, side);
}

/* Where a side's stream ends for one who has acknowledged everything before `acked`: a FIN is no byte. */
static uint64_t without_fin(const struct tcp_side *s, uint64_t acked)
{
    return acked > s->fin ? s->fin : acked;
}

/* Must this wait until the other direction has got further? */
static bool must_wait(const struct flow *f, int side, uint64_t after)
{
    const struct tcp_side *other = &f->side[!side];
    after = without_fin(other, after);
    return other->started && after > other->next && after - other->next < FAR_AHEAD;
}

/* Delivers the front of one queue if its turn has come. */
static bool deliver_front(struct flow_table *t, struct flow *f, int side)
{
    struct tcp_side *s = &f->side[side];
    struct tcp_segment *seg = s->queue;
    if (!seg || seg->offset > s->next || must_wait(f, side, seg->after))
        return false;
    s->queue = seg->next;
    uint64_t end = seg->offset + seg->n, whole_end = end + seg->lost;
    if (whole_end > s->next) {
        uint64_t skip = s->next - seg->offset; /* a gap may have been declared over its beginning */
        uint32_t have = skip < seg->n ? (uint32_t)(seg->n - skip) : 0;
        uint32_t lost = (uint32_t)(whole_end - (s->next + have));
        struct flow_origin origin = {seg->frame, seg->time_ns, NULL};
        deliver(t, f, side, have ? seg->bytes + skip : seg->bytes, have, lost, &origin);
    }
    free_segment(t, f, s, seg);
    return true;
}

static void drain(struct flow_table *t, struct flow *f)
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (int side = 0; side < 2; side++)
            while (deliver_front(t, f, side))
                progress = true;
    }
}

/* Waits no longer for the bytes before `to`. */
static void give_up(struct flow_table *t, struct flow *f, int side, uint64_t to)
{
    if (f->gaps < UINT8_MAX)
        f->gaps++;
    declare_gap(t, f, side, to);
    check_fin(t, f, side);
}

/* Declares the first hole of a side lost, up to what waits behind it or to what was acknowledged. False: no hole. */
static bool skip_acked_hole(struct flow_table *t, struct flow *f, int side)
{
    struct tcp_side *s = &f->side[side];
    uint64_t to = without_fin(s, s->queue && s->queue->offset < s->acked ? s->queue->offset : s->acked);
    if (to <= s->next || to - s->next >= FAR_AHEAD)
        return false;
    give_up(t, f, side, to);
    return true;
}

/* Lets the oldest waiting segment through. What it waits for is lost: a hole before it or, so that the loss of a question is
 * told before its answer, one in the other direction. */
static void force_front(struct flow_table *t, struct flow *f)
{
    struct tcp_segment *a = f->side[0].queue, *b = f->side[1].queue;
    int side = !a || (b && b->frame < a->frame);
    const struct tcp_side *s = &f->side[side], *other = &f->side[!side];
    uint64_t to = without_fin(s, s->queue->offset);
    uint64_t other_to = other->queue && other->queue->offset < s->queue->after ? other->queue->offset : s->queue->after;
    if (to > s->next) /* however far: what was kept before a hole and what follows it must not be taken for neighbours */
        give_up(t, f, side, to);
    else if (must_wait(f, side, other_to))
        give_up(t, f, !side, without_fin(other, other_to));
    else
        s->queue->after = 0; /* the two directions wait for each other */
    (void)deliver_front(t, f, side);
}

void tcp_flush(struct flow_table *t, struct flow *f)
{
    while (f->side[0].queue || f->side[1].queue) {
        drain(t, f);
        if (f->side[0].queue || f->side[1].queue)
            force_front(t, f);
    }
}

/* Has one side acknowledged what we have not got from the other? */
static bool has_acked_hole(const struct flow *f)
{
    for (int side = 0; side < 2; side++) {
        const struct tcp_side *s = &f->side[side];
        uint64_t known = without_fin(s, s->acked);
        if (s->started && known > s->next && known - s->next < FAR_AHEAD)
            return true;
    }
    return false;
}

/* Gives up waiting for what was captured neither in time nor late. */
static void check_holes(struct flow_table *t, struct flow *f)
{
    if (!has_acked_hole(f)) {
        f->waited = 0;
        return;
    }
    if (f->waited++ == 0)
        f->hole_ns = t->clock_ns;
    bool patient = f->gaps < PATIENT_GAPS;
    if (patient && f->waited < HOLE_PACKETS && t->clock_ns < flow_add_time(f->hole_ns, HOLE_NS))
        return;
    f->waited = 0;
    bool skipped = false;
    for (int side = 0; side < 2; side++)
        skipped |= f->side[side].started && skip_acked_hole(t, f, side);
    if (!skipped && (f->side[0].queue || f->side[1].queue))
        force_front(t, f); /* no hole: the two directions wait for each other */
    drain(t, f);
}

/* ---- Segments ---- */

/* A run of new stream bytes. */
struct piece {
    int64_t offset;
    const uint8_t *p;
    uint32_t n;     /* bytes that were captured */
    uint32_t lost;  /* bytes behind them that the snaplen cut off */
    uint64_t after; /* as in struct tcp_segment */
    const struct flow_origin *origin;
};

/* Cuts off the first `n` bytes. */
static void piece_advance(struct piece *piece, uint64_t n)
{
    uint32_t held = n < piece->n ? (uint32_t)n : piece->n;
    piece->offset += (int64_t)n;
    piece->p += held;
    piece->n -= held;
    piece->lost -= (uint32_t)(n - held);
}

/* Cuts off what has been delivered already. False: nothing is left. */
static bool piece_trim(struct piece *piece, const struct tcp_side *s)
{
    int64_t next = (int64_t)s->next;
    if (piece->offset + piece->n + piece->lost <= next)
        return false;
    if (piece->offset < next)
        piece_advance(piece, (uint64_t)(next - piece->offset));
    return true;
}

/* A copy of the piece's first `n` bytes, at its place in the queue. */
static bool enqueue(struct flow_table *t, struct flow *f, struct tcp_side *s, struct tcp_segment **at, const struct piece *piece,
                    uint32_t n, uint32_t lost)
{
    size_t size = sizeof(struct tcp_segment) + n;
    if (!flow_take(t, f, size))
        return false;
    struct tcp_segment *seg = mem_alloc(size);
    if (!seg) {
        flow_give(t, f, size);
        return false;
    }
    *seg = (struct tcp_segment){.next = *at,
                                .offset = (uint64_t)piece->offset,
                                .after = piece->after,
                                .frame = piece->origin->frame,
                                .time_ns = piece->origin->time_ns,
                                .n = n,
                                .lost = lost};
    if (n)
        memcpy(seg->bytes, piece->p, n);
    *at = seg;
    if (!seg->next)
        s->last = seg;
    return true;
}

/* Queues the parts of a piece that no waiting segment covers. False: no room; what fitted is queued. */
static bool queue_piece(struct flow_table *t, struct flow *f, struct tcp_side *s, struct piece piece)
{
    struct tcp_segment **at = &s->queue;
    if (s->last && s->last->offset <= (uint64_t)piece.offset)
        at = &s->last; /* the usual place: behind everything that waits */
    for (unsigned passed = 0; piece.n + piece.lost > 0; passed++) {
        struct tcp_segment *old = *at;
        uint64_t begin = (uint64_t)piece.offset, end = begin + piece.n + piece.lost;
        if (passed == QUEUE_STEPS)
            return false;
        if (old && old->offset <= begin) { /* its bytes came first */
            uint64_t old_end = old->offset + old->n + old->lost;
            if (old_end > begin)
                piece_advance(&piece, (old_end < end ? old_end : end) - begin);
            at = &old->next;
            continue;
        }
        uint64_t room = (old && old->offset < end ? old->offset : end) - begin;
        uint32_t n = room < piece.n ? (uint32_t)room : piece.n;
        if (!enqueue(t, f, s, at, &piece, n, (uint32_t)(room - n)))
            return false;
        piece_advance(&piece, room);
        at = &(*at)->next;
    }
    return true;
}

/* Queues a piece, or delivers it behind everything that waits if there is no room: holes before it are given up then. */
static void hold_piece(struct flow_table *t, struct flow *f, int side, struct piece piece)
{
    struct tcp_side *s = &f->side[side];
    if (queue_piece(t, f, s, piece))
        return;
    tcp_flush(t, f);
    if (s->eof || !piece_trim(&piece, s))
        return;
    if ((uint64_t)piece.offset > s->next)
        declare_gap(t, f, side, (uint64_t)piece.offset);
    deliver(t, f, side, piece.p, piece.n, piece.lost, piece.origin);
}

/* Delivers a piece whose turn it is, in turn with what waits; of bytes that are in both, those that waited count. */
static void deliver_piece(struct flow_table *t, struct flow *f, int side, struct piece piece)
{
    struct tcp_side *s = &f->side[side];
    do {
        uint64_t room = s->queue ? s->queue->offset - s->next : UINT64_MAX;
        uint64_t all = piece.n + (uint64_t)piece.lost, now = all < room ? all : room;
        uint32_t n = now < piece.n ? (uint32_t)now : piece.n;
        deliver(t, f, side, piece.p, n, (uint32_t)(now - n), piece.origin);
        piece_advance(&piece, now);
        if (now == all)
            return;
    } while (deliver_front(t, f, side) && !s->eof && piece_trim(&piece, s));
    if (!s->eof && piece_trim(&piece, s))
        hold_piece(t, f, side, piece);
}

static void take_payload(struct flow_table *t, struct flow *f, int side, const struct tcp_header *h, const uint8_t *p, uint32_t have,
                         uint32_t len, const struct flow_origin *origin)
{
    struct tcp_side *s = &f->side[side];
    const struct tcp_side *other = &f->side[!side];
    uint32_t seq = h->seq + ((h->flags & TCP_SYN) ? 1 : 0);
    if (!s->started) {
        *s = (struct tcp_side){.started = true, .seq0 = seq, .fin = UINT64_MAX};
        t->stats.midstream += !other->started;
    }
    struct piece piece = {.offset = to_offset(s, seq, s->next), .p = p, .n = have, .lost = len - have, .origin = origin};
    if ((h->flags & TCP_ACK) && other->started) {
        int64_t acked = to_offset(other, h->ack, other->acked);
        piece.after = acked > 0 ? (uint64_t)acked : 0;
    }
    if (s->eof || !piece_trim(&piece, s)) {
        if (piece.offset < 0)
            t->stats.before_start++;
        else
            t->stats.retransmitted++;
        return;
    }
    if ((uint64_t)piece.offset == s->next && !must_wait(f, side, piece.after)) {
        deliver_piece(t, f, side, piece);
    } else {
        t->stats.reordered++;
        hold_piece(t, f, side, piece);
    }
}

/* A SYN on a known connection: the same one again, or a new connection between the same ports? */
static bool begins_anew(const struct flow *f, int side, const struct tcp_header *h)
{
    const struct tcp_side *s = &f->side[side];
    if (!(h->flags & TCP_SYN))
        return false;
    if (!s->started)
        return f->state == FLOW_CLOSED || (!(h->flags & TCP_ACK) && f->side[!side].started && f->side[!side].next > 0);
    if (s->seq0 == h->seq + 1)
        return false; /* retransmitted, or late: its data came first */
    return true;
}

static void take_syn(struct flow *f, int side, const struct tcp_header *h)
{
    struct tcp_side *s = &f->side[side];
    if (!s->started)
        *s = (struct tcp_side){.started = true, .seq0 = h->seq + 1, .fin = UINT64_MAX};
    s->syn = true;
    if (f->client_fixed)
        return;
    if (!(h->flags & TCP_ACK) && f->client == !side && f->side[!side].syn)
        f->simultaneous = true; /* RFC 9293 section 3.5: the bytes must tell who asks */
    f->client = f->simultaneous ? -1 : (int8_t)((h->flags & TCP_ACK) ? !side : side);
}

static void take_ack(struct flow *f, int side, const struct tcp_header *h)
{
    struct tcp_side *other = &f->side[!side];
    if (!(h->flags & TCP_ACK) || !other->started)
        return;
    int64_t acked = to_offset(other, h->ack, other->acked);
    if (acked > (int64_t)other->acked)
        other->acked = (uint64_t)acked;
}

static void take_fin(struct flow_table *t, struct flow *f, int side, const struct tcp_header *h, uint32_t len)
{
    struct tcp_side *s = &f->side[side];
    uint32_t seq = h->seq + ((h->flags & TCP_SYN) ? 1 : 0) + len;
    if (!s->started)
        *s = (struct tcp_side){.started = true, .seq0 = seq, .fin = UINT64_MAX};
    int64_t fin = to_offset(s, seq, s->next);
    if (s->fin == UINT64_MAX && fin >= 0 && (uint64_t)fin >= s->next)
        s->fin = (uint64_t)fin;
    check_fin(t, f, side);
}

static void take_reset(struct flow_table *t, struct flow *f, int side, const struct tcp_header *h)
{
    struct tcp_side *s = &f->side[side];
    f->saw_reset = true;
    /* In its place, it ends the connection now. Else it may be forged or early: the connection ends when it is idle. */
    bool in_place = !s->started || to_offset(s, h->seq, s->next) == (int64_t)s->next;
    if (in_place && !f->side[0].queue && !f->side[1].queue && !has_acked_hole(f))
        flow_close(t, f, FLOW_CLOSE_RESET);
    flow_set_list(t, f, LIST_CLOSED);
}

/* Is this the late rest of a connection that is over? */
static bool is_stray(const struct flow *f, int side, const struct tcp_header *h, uint32_t len)
{
    const struct tcp_side *s = &f->side[side];
    if (len == 0 || !s->started)
        return len == 0;
    int64_t begin = to_offset(s, h->seq, s->next);
    /* After a reset, data that follows on exactly shows that the reset did not take. */
    return !f->saw_reset || s->eof || begin != (int64_t)s->next;
}

void tcp_packet(struct flow_table *t, const struct flow_packet *pkt)
{
    struct tcp_header h = {
        .seq = read32(pkt->l4 + 4), .ack = read32(pkt->l4 + 8), .flags = pkt->l4[13], .header_len = (uint32_t)(pkt->l4[12] >> 4) * 4};
    uint32_t len = pkt->l4_len - h.header_len;
    uint32_t have = pkt->l4_caplen > h.header_len ? pkt->l4_caplen - h.header_len : 0;
    const uint8_t *payload = pkt->l4 + h.header_len;
    if (h.flags & TCP_RST) /* a reset may carry text for people (RFC 9293 section 3.5.2): not stream data */
        len = have = 0;
    int side;
    struct flow *f = flow_find(t, pkt, len > 0 || (h.flags & (TCP_SYN | TCP_RST)) == TCP_SYN, &side);
    if (!f)
        return;
    if (begins_anew(f, side, &h) || (f->state == FLOW_CLOSED && !(h.flags & TCP_SYN) && !is_stray(f, side, &h, len))) {
        flow_remove(t, f, f->saw_reset ? FLOW_CLOSE_RESET : FLOW_CLOSE_FIN);
        f = flow_find(t, pkt, true, &side);
        if (!f)
            return;
    }
    f->last_ns = pkt->time_ns;
    f->packets[side]++;
    f->bytes[side] += len;
    t->stats.bytes += have;
    if (f->state == FLOW_CLOSED)
        return;
    if (h.flags & TCP_SYN)
        take_syn(f, side, &h);
    if (f->ignored) {
        tcp_release(t, f);
        if (h.flags & TCP_FIN)
            f->side[side].eof = true;
    } else {
        take_ack(f, side, &h);
        if (len) {
            if (f->state == FLOW_EMBRYONIC) {
                f->state = FLOW_ACTIVE;
                flow_set_list(t, f, LIST_ACTIVE);
            }
            struct flow_origin origin = {pkt->frame, pkt->time_ns, pkt->datagram};
            take_payload(t, f, side, &h, payload, have, len, &origin);
        }
        if (h.flags & TCP_FIN)
            take_fin(t, f, side, &h, len);
        drain(t, f);
        check_holes(t, f);
        check_fin(t, f, side);
    }
    if (h.flags & TCP_RST) {
        take_reset(t, f, side, &h);
    } else if (f->side[0].eof && f->side[1].eof) {
        flow_close(t, f, FLOW_CLOSE_FIN);
        flow_set_list(t, f, LIST_CLOSED);
    }
}
