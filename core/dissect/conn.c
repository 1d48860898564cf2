/* Feeding: what arrives from the flow table goes through the stream of its side to the plugin that owns the connection. */
#include "dissect/conn.h"

#include "base/mem.h"

enum {
    TCP_PROBES = 64, /* segments whose beginning is looked at before a connection is given up */
    UDP_PROBES = 4,
    CONN_POOL = 64, /* kept for reuse by each worker */
    TAKEOVERS = 8,  /* protocols that may follow each other within one delivery */
};

/* ---- Pieces: which packet brought which bytes ---- */

/* Makes room for one more piece at the end. */
static bool grow_pieces(struct td_conn *c, struct conn_stream *s)
{
    if (s->piece_at > s->piece_cap / 2) { /* more than half are done with */
        s->piece_n -= s->piece_at;
        memmove(s->pieces, s->pieces + s->piece_at, s->piece_n * sizeof(*s->pieces));
        s->piece_at = 0;
        return true;
    }
    bool first = s->pieces == s->few;
    uint32_t cap = s->piece_cap * 2;
    size_t more = (size_t)(first ? cap : cap - s->piece_cap) * sizeof(*s->pieces);
    struct dissect_stats *stats = &c->shard->worker->stats;
    if (!flow_take(c->shard->flows, c->flow, more)) {
        stats->over_limit++;
        return false;
    }
    struct conn_piece *pieces = mem_realloc(first ? NULL : s->pieces, cap * sizeof(*pieces));
    if (!pieces) {
        flow_give(c->shard->flows, c->flow, more);
        stats->no_memory++;
        return false;
    }
    if (first)
        memcpy(pieces, s->few, sizeof(s->few));
    s->pieces = pieces;
    s->piece_cap = cap;
    return true;
}

static void add_piece(struct td_conn *c, struct conn_stream *s, uint64_t n, const struct flow_origin *origin)
{
    s->end += n;
    s->datagram = origin->datagram;
    if (s->piece_n == s->piece_cap && !grow_pieces(c, s))
        s->pieces[s->piece_n - 1].end = s->end; /* no memory: these bytes are put down to the packet before them */
    else
        s->pieces[s->piece_n++] = (struct conn_piece){s->end, origin->frame, origin->time_ns};
}

/* A child may be given something later, which the newest packet has brought then. */
static void drop_all_pieces(struct conn_stream *s)
{
    if (s->piece_n > 1)
        s->pieces[0] = s->pieces[s->piece_n - 1];
    s->piece_at = s->piece_n = 0;
}

static void drop_pieces(struct conn_stream *s)
{
    while (s->piece_at < s->piece_n && s->pieces[s->piece_at].end <= s->next)
        s->piece_at++;
    if (s->piece_at == s->piece_n)
        drop_all_pieces(s);
}

static void drop_kept(struct td_conn *c, struct conn_stream *s)
{
    s->next = s->end;
    s->need = 0;
    drop_all_pieces(s);
    if (s->kept.cap) {
        flow_give(c->shard->flows, c->flow, s->kept.cap);
        buf_clear(&s->kept);
    }
}

/* Gives new bytes, or what is missing in their place (no origin), to the calls that were promised them. */
static void feed_marks(struct td_conn *c, int dir, uint64_t begin, uint64_t end, const struct flow_origin *origin)
{
    for (uint32_t i = 0; i < c->mark_n; i++) {
        struct conn_mark *m = &c->marks[i];
        if (m->dir != dir)
            continue;
        uint64_t from = m->begin > begin ? m->begin : begin, to = m->end < end ? m->end : end;
        if (from < to && origin)
            conn_add_packet(m->call, dir, origin, to - from);
        else if (from < to)
            m->call->half[dir].missing += to - from;
        if (m->end <= end)
            c->marks[i--] = c->marks[--c->mark_n];
    }
}

/* ---- Life ---- */

struct td_conn *conn_new(struct shard *shard, struct flow *f)
{
    struct worker *w = shard->worker;
    if (!flow_take(shard->flows, f, sizeof(struct td_conn))) {
        w->stats.over_limit++;
        return NULL;
    }
    struct td_conn *c = w->conn_pool;
    if (c) {
        w->conn_pool = c->pool_next;
        w->conn_pool_n--;
    } else if (!(c = mem_alloc(sizeof(*c)))) {
        flow_give(shard->flows, f, sizeof(*c));
        w->stats.no_memory++;
        return NULL;
    }
    memset(c, 0, offsetof(struct td_conn, first_memory));
    c->shard = shard;
    c->flow = f;
    for (int side = 0; side < 2; side++) {
        c->stream[side].pieces = c->stream[side].few;
        c->stream[side].piece_cap = CONN_FEW_PIECES;
    }
    c->calls_end = &c->calls;
    return c;
}

void conn_free(struct td_conn *c)
{
    struct worker *w = c->shard->worker;
    struct flow_table *flows = c->shard->flows;
    for (int side = 0; side < 2; side++) {
        struct conn_stream *s = &c->stream[side];
        drop_kept(c, s);
        if (s->pieces != s->few) {
            flow_give(flows, c->flow, s->piece_cap * sizeof(*s->pieces));
            mem_free(s->pieces);
        }
    }
    if (c->marks) {
        flow_give(flows, c->flow, c->mark_cap * sizeof(*c->marks));
        mem_free(c->marks);
    }
    flow_give(flows, c->flow, c->told.n);
    buf_clear(&c->told);
    flow_give(flows, c->flow, sizeof(*c));
    if (w->conn_pool_n < CONN_POOL) {
        c->pool_next = w->conn_pool;
        w->conn_pool = c;
        w->conn_pool_n++;
    } else {
        mem_free(c);
    }
}

/* The flow's own. */
static struct td_conn *conn_of(struct shard *shard, struct flow *f)
{
    struct worker *w = shard->worker;
    if (f->user)
        return f->user;
    if (w->watch.banned_n && watch_banned(&w->watch, f)) {
        f->ignored = true;
        return NULL;
    }
    struct td_conn *c = conn_new(shard, f);
    f->user = c;
    return c;
}

/* The claim is over and nobody follows: the connection's bytes are of no interest any more. */
static void lose(struct td_conn *c)
{
    if (!c->owner)
        return;
    c->shard->worker->stats.lost_claims[c->owner - c->shard->worker->set->v]++;
    conn_release_owner(c, TD_CLOSE_LOST);
    if (!c->within && (c->view.flags & TD_FLOW_ROLE_GUESSED)) { /* by one who was wrong */
        c->flow->client = -1;
        c->flow->client_fixed = false;
    }
    c->view.flags = TD_FLOW_MIDSTREAM;
    for (int side = 0; side < 2; side++) {
        c->stream[side].skip_to = 0;
        drop_kept(c, &c->stream[side]);
    }
}

/* ---- Presenting bytes to the owner ---- */

static struct td_step show(struct td_conn *c, int side, const struct td_chunk *chunk)
{
    struct watch *watch = &c->shard->worker->watch;
    c->feeding = true;
    uint16_t caller = watch_call(watch, conn_owner_index(c));
    struct td_step step = c->owner->ops.data(c->state, c, conn_dir(c, side), chunk);
    watch_return(watch, caller);
    c->feeding = false;
    return step;
}

/* Presents [next, end) of a stream; returns how many bytes are left over. After a takeover the rest is for others. */
static size_t present(struct td_conn *c, int side, struct td_slice bytes, uint32_t flags)
{
    struct conn_stream *s = &c->stream[side];
    int64_t time_ns = s->pieces[s->piece_n - 1].time_ns;
    while (bytes.n) {
        struct td_chunk chunk = {.bytes = bytes, .offset = s->next, .time_ns = time_ns, .flags = flags};
        struct td_step step = show(c, side, &chunk);
        if (step.status != TD_OK || c->lost) {
            lose(c);
            return 0;
        }
        if (step.used > bytes.n) {
            s->skip_to = s->next + step.used < s->next ? UINT64_MAX : s->next + step.used;
            s->next += bytes.n;
            bytes = td_sub(bytes, bytes.n, bytes.n);
        } else {
            s->next += step.used;
            bytes = td_sub(bytes, step.used, bytes.n);
        }
        drop_pieces(s);
        if (c->takeover)
            return bytes.n;
        s->need = step.need > bytes.n ? step.need : 0;
        if (step.used == 0 || step.need == 0 || s->need)
            break;
    }
    return bytes.n;
}

/* Room for `more` kept bytes, within the connection's limit. */
static bool reserve_kept(struct td_conn *c, struct buf *kept, size_t more)
{
    if (kept->cap - kept->n >= more)
        return true;
    size_t before = kept->cap, held = c->flow->memory, limit = flow_limit(c->shard->flows);
    if (held >= limit)
        return false;
    kept->max = before + (limit - held);
    kept->failed = false;
    return buf_reserve(kept, more) && flow_take(c->shard->flows, c->flow, kept->cap - before);
}

static void keep(struct td_conn *c, int side, struct td_slice bytes)
{
    struct conn_stream *s = &c->stream[side];
    if (!bytes.n)
        return;
    if (reserve_kept(c, &s->kept, bytes.n)) {
        buf_put_slice(&s->kept, bytes);
        return;
    }
    c->shard->worker->stats.over_limit++;
    if (c->owner)
        stats_count_reason(&c->shard->worker->stats, c->owner->name, "more bytes to be kept than maxConnectionMemory allows");
    lose(c);
    drop_kept(c, s);
}

/* Presents what was kept and keeps what is left. */
static void present_kept(struct td_conn *c, int side, uint32_t flags)
{
    struct conn_stream *s = &c->stream[side];
    size_t left = present(c, side, buf_slice(&s->kept), flags);
    if (!c->owner) {
        drop_kept(c, s);
    } else if (left == 0) {
        buf_reset(&s->kept);
        if (s->kept.cap > 4096)
            drop_kept(c, s);
    } else if (left < s->kept.n) {
        memmove(s->kept.p, s->kept.p + s->kept.n - left, left);
        s->kept.n = left;
    }
}

/* What one side says may tell how to read what the other has sent (the answer to a request to upgrade): once `side` has got
 * further, bytes that were kept of the other are shown again, and so in turn. */
static void resume_other(struct td_conn *c, int side, uint64_t before)
{
    while (c->owner && !c->takeover && c->stream[side].next != before) {
        side = !side;
        const struct conn_stream *s = &c->stream[side];
        if (!s->kept.n || s->kept.n < s->need)
            return;
        before = s->next;
        present_kept(c, side, 0);
    }
}

/* Looks for an owner by the bytes at the front of a side. True: there is one, and these bytes are next for it. */
static bool find_owner(struct td_conn *c, int side, struct td_slice bytes, bool last)
{
    struct conn_stream *s = &c->stream[side];
    bool udp = c->flow->key.transport == 17;
    switch (conn_claim(c, side, bytes, last)) {
    case CLAIM_TAKEN:
        if (c->stream[!side].kept.n) /* it came first, but was not enough to tell by */
            present_kept(c, !side, 0);
        return c->owner && !c->takeover;
    case CLAIM_MORE: s->need = bytes.n + 1; return false;
    default: break;
    }
    if (bytes.n >= 3 && bytes.p[0] == 0x16 && bytes.p[1] == 0x03 && bytes.p[2] <= 4)
        c->tls = true; /* a TLS handshake record: for the summary */
    drop_kept(c, s);
    if (++c->probes >= (udp ? UDP_PROBES : TCP_PROBES))
        c->flow->ignored = true;
    return false;
}

static void takeover(struct td_conn *c)
{
    const char *point = c->takeover_point;
    struct td_slice key = td_str(c->takeover_key);
    const struct dissector_set *set = c->shard->worker->set;
    const struct dissector *parent = c->owner;
    conn_release_owner(c, TD_CLOSE_TAKEOVER);
    c->stream[0].need = c->stream[1].need = 0;
    c->probes = 0;
    if (!point)
        return;
    uint32_t at = 0;
    const struct dissector *child = dissector_for_point(set, point, key, &at);
    if (child && conn_open(c, child, 0))
        return;
    c->flow->ignored = true;
    stats_count_reason(&c->shard->worker->stats, parent->name, "handed over to a protocol without dissector");
}

/* Lets both sides' kept bytes on, for as long as hand-overs give them new owners. `ending`: the side to which nothing can
 * be added, or -1. */
static void resume(struct td_conn *c, int ending)
{
    for (int round = 0; c->takeover && round < TAKEOVERS; round++) {
        takeover(c);
        for (int i = 0; i < 2; i++) {
            int side = c->flow->client == 1 ? !i : i; /* client first */
            bool last = side == ending;
            struct conn_stream *s = &c->stream[side];
            if (c->flow->ignored)
                drop_kept(c, s);
            if (s->kept.n && (c->owner || find_owner(c, side, buf_slice(&s->kept), last)) && !c->takeover)
                present_kept(c, side, last ? TD_CHUNK_LAST : 0);
        }
    }
    if (c->takeover) {
        lose(c);
        c->flow->ignored = true;
    }
}

/* Nothing can be added to what was kept of a side: shows it a last time. */
static void flush_side(struct td_conn *c, int side)
{
    struct conn_stream *s = &c->stream[side];
    if (s->kept.n && (c->owner || find_owner(c, side, buf_slice(&s->kept), true)))
        present_kept(c, side, TD_CHUNK_LAST);
    if (c->takeover)
        resume(c, side);
    drop_kept(c, s);
}

/* ---- Events ---- */

void conn_add_piece(struct td_conn *c, int side, uint64_t n, const struct flow_origin *origin)
{
    struct conn_stream *s = &c->stream[side];
    uint64_t offset = s->end;
    add_piece(c, s, n, origin);
    if (c->mark_n)
        feed_marks(c, conn_dir(c, side), offset, s->end, origin);
}

/* Bytes for which nothing was kept. */
static void take_fresh(struct td_conn *c, int side, struct td_slice bytes)
{
    struct conn_stream *s = &c->stream[side];
    if (bytes.n && (c->owner || find_owner(c, side, bytes, false))) {
        size_t left = present(c, side, bytes, 0);
        keep(c, side, td_sub(bytes, bytes.n - left, bytes.n));
    } else if (s->need || c->takeover) {
        keep(c, side, bytes);
    }
}

/* Somebody had asked for more than the end of what was cut off, and it was nobody's; but a protocol may begin with the packet that
 * brought more. */
static void look_anew(struct td_conn *c, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *origin)
{
    struct conn_stream *s = &c->stream[side];
    s->next = s->end = offset;
    add_piece(c, s, bytes.n, origin);
    take_fresh(c, side, bytes);
}

void conn_take(struct td_conn *c, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *origin)
{
    struct conn_stream *s = &c->stream[side];
    uint64_t before = s->next;
    if (s->skip_to > offset) {
        uint64_t skip = s->skip_to - offset < bytes.n ? s->skip_to - offset : bytes.n;
        bytes = td_sub(bytes, (size_t)skip, bytes.n);
        s->next += skip;
        drop_pieces(s);
    }
    if (s->kept.n) {
        keep(c, side, bytes);
        if (s->kept.n && s->kept.n >= s->need && (c->owner || find_owner(c, side, buf_slice(&s->kept), false)))
            present_kept(c, side, 0);
        else if (origin && !c->owner && !s->kept.n && !c->flow->ignored)
            look_anew(c, side, offset, bytes, origin);
    } else {
        take_fresh(c, side, bytes);
    }
    if (!c->owner && !s->kept.n)
        drop_kept(c, s);
    s->datagram = NULL;
    resume_other(c, side, before);
    if (c->takeover)
        resume(c, -1);
}

static void take_data(struct shard *shard, struct flow *f, int side, uint64_t offset, struct td_slice bytes,
                      const struct flow_origin *origin)
{
    struct td_conn *c = conn_of(shard, f);
    if (!c)
        return;
    struct conn_stream *s = &c->stream[side];
    if (s->end != offset) /* the connection's first bytes here, or it could not be made before */
        s->next = s->end = offset;
    conn_add_piece(c, side, bytes.n, origin);
    conn_take(c, side, offset, bytes, origin);
}

static void take_datagram(struct shard *shard, struct flow *f, int side, struct td_slice bytes, bool cut, const struct flow_origin *origin)
{
    struct td_conn *c = conn_of(shard, f);
    if (!c || !bytes.n)
        return;
    struct conn_stream *s = &c->stream[side];
    uint64_t offset = s->end;
    s->next = offset;
    conn_add_piece(c, side, bytes.n, origin);
    if (c->owner || find_owner(c, side, bytes, true)) {
        struct td_chunk chunk = {.bytes = bytes,
                                 .offset = offset,
                                 .time_ns = origin->time_ns,
                                 .flags = TD_CHUNK_DATAGRAM | TD_CHUNK_LAST | (cut ? TD_CHUNK_CUT : 0)};
        struct td_step step = show(c, side, &chunk);
        if (step.status != TD_OK || c->lost)
            lose(c);
        if (c->takeover)
            takeover(c);
    }
    s->datagram = NULL;
    drop_kept(c, s);
}

void conn_take_gap(struct td_conn *c, int side, uint64_t offset, uint64_t len)
{
    struct conn_stream *s = &c->stream[side];
    uint64_t end = offset + len;
    flush_side(c, side);
    if (c->mark_n)
        feed_marks(c, conn_dir(c, side), offset, end, NULL);
    s->next = s->end = end;
    if (s->skip_to >= end)
        return;
    uint64_t from = s->skip_to > offset ? s->skip_to : offset;
    c->view.flags |= TD_FLOW_MIDSTREAM;
    if (!c->owner)
        return;
    struct watch *watch = &c->shard->worker->watch;
    uint16_t caller = watch_call(watch, conn_owner_index(c));
    bool on = c->owner->ops.gap && c->owner->ops.gap(c->state, c, conn_dir(c, side), from, end - from) == TD_OK;
    watch_return(watch, caller);
    if (!on || c->lost)
        lose(c);
}

static void take_gap(struct shard *shard, struct flow *f, int side, uint64_t offset, uint64_t len)
{
    struct td_conn *c = conn_of(shard, f);
    if (c)
        conn_take_gap(c, side, offset, len);
}

void conn_finish_side(struct td_conn *c, int side)
{
    if (!c->stream[side].eof)
        flush_side(c, side);
    c->stream[side].eof = true;
}

void conn_take_eof(struct td_conn *c, int side)
{
    conn_finish_side(c, side);
    if (!c->owner || !c->owner->ops.eof)
        return;
    struct watch *watch = &c->shard->worker->watch;
    uint16_t caller = watch_call(watch, conn_owner_index(c));
    c->owner->ops.eof(c->state, c, conn_dir(c, side));
    watch_return(watch, caller);
    if (c->lost)
        lose(c);
}

/* For the summary: which ports carried what nobody could dissect. */
static void count_unclaimed(struct td_conn *c)
{
    struct dissect_stats *stats = &c->shard->worker->stats;
    const struct flow *f = c->flow;
    if (f->key.transport == 6)
        stats->unclaimed_tcp++;
    else
        stats->unclaimed_udp++;
    int server = f->client >= 0 ? !f->client : f->key.port[0] > f->key.port[1];
    uint16_t port = f->key.port[server];
    stats_count_port(stats, f->key.transport, port, c->tls, f->bytes[0] + f->bytes[1]);
}

static void take_close(struct flow *f, enum flow_close why)
{
    struct td_conn *c = f->user;
    for (int i = 0; i < 2; i++)
        conn_finish_side(c, f->client == 1 ? !i : i);
    c->shard->worker->stats.evicted_calls += why == FLOW_CLOSE_EVICTED && c->calls;
    if (c->owner)
        conn_release_owner(c, (int)why);
    if (!c->counted)
        count_unclaimed(c);
    conn_free(c);
    f->user = NULL;
}

/* Whoever watches is told which connection the event is of. */

static void on_data(void *ctx, struct flow *f, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *origin)
{
    struct shard *shard = ctx;
    watch_enter(&shard->worker->watch, f);
    take_data(shard, f, side, offset, bytes, origin);
    watch_leave(&shard->worker->watch);
}

static void on_datagram(void *ctx, struct flow *f, int side, struct td_slice bytes, bool cut, const struct flow_origin *origin)
{
    struct shard *shard = ctx;
    watch_enter(&shard->worker->watch, f);
    take_datagram(shard, f, side, bytes, cut, origin);
    watch_leave(&shard->worker->watch);
}

static void on_gap(void *ctx, struct flow *f, int side, uint64_t offset, uint64_t len)
{
    struct shard *shard = ctx;
    watch_enter(&shard->worker->watch, f);
    take_gap(shard, f, side, offset, len);
    watch_leave(&shard->worker->watch);
}

static void on_eof(void *ctx, struct flow *f, int side)
{
    struct shard *shard = ctx;
    watch_enter(&shard->worker->watch, f);
    conn_take_eof(f->user, side);
    watch_leave(&shard->worker->watch);
}

static void on_close(void *ctx, struct flow *f, enum flow_close why)
{
    struct shard *shard = ctx;
    watch_enter(&shard->worker->watch, f);
    take_close(f, why);
    watch_leave(&shard->worker->watch);
}

const struct flow_ops conn_flow_ops = {on_data, on_datagram, on_gap, on_eof, on_close};

/* ---- Workers ---- */

void worker_init(struct worker *w, const struct dissector_set *set, dissect_call_fn *on_call, void *ctx)
{
    *w = (struct worker){.set = set, .on_call = on_call, .on_call_ctx = ctx};
}

void worker_clear(struct worker *w)
{
    while (w->call_pool) {
        struct td_call *call = w->call_pool;
        w->call_pool = call->next;
        call_clear(call);
        mem_free(call);
    }
    while (w->conn_pool) {
        struct td_conn *c = w->conn_pool;
        w->conn_pool = c->pool_next;
        mem_free(c);
    }
    body_pool_clear(&w->bodies);
    mem_free(w->scratch);
    stats_clear(&w->stats);
    buf_clear(&w->out);
}

struct flow_table *shard_flows_new(struct shard *s, const struct flow_limits *limits)
{
    return flow_table_new(limits, &conn_flow_ops, s);
}
