/* Children: what one call of a connection carries, seen by another dissector (plugin.h, sub_open()). A child is a connection whose bytes
 * come from its parent instead of the flow table, and whose memory is its flow's. */
#include "dissect/conn.h"

static const struct dissector_set *set_of(const struct td_conn *c)
{
    return c->shard->worker->set;
}

enum { NESTED = 8 /* connections within each other: a layer of a call comes once, but a child's own calls have children as well */ };

/* Where the child that is open on this connection's call, or on its layer of its parent's, is noted. */
static struct td_conn **slot_of(struct td_conn *parent, struct td_call *call)
{
    return parent->within == call ? &parent->child : &call->child;
}

/* ---- Layers ---- */

const struct call_kind *child_kind(const struct td_call *call, uint32_t layers)
{
    const struct call_kind *k = call->kind;
    while (k->layers > layers)
        k = &set_of(call->conn)->kinds[k->below];
    return k->layers == layers ? k : NULL;
}

struct td_call *child_layer(struct td_conn *c)
{
    return c->within ? (struct td_call *)((uintptr_t)c->within | c->layer) : NULL;
}

void child_confirm(struct td_conn *c)
{
    struct td_call *call = c->within;
    struct td_conn *root = c;
    for (; root->within; root = root->parent)
        root->confirmed |= root->within == call; /* a call of a child's own says nothing of what carries it */
    if (set_of(c)->kinds[call->component].layers < c->kind->layers) {
        call->component = c->kind->index;
        call->protocol = c->kind->protocol;
    }
    uint64_t bit = 1ull << c->kind->dissector;
    c->shard->worker->stats.connections[c->kind->dissector] += !(root->layers_seen & bit);
    root->layers_seen |= bit;
}

void child_drop_layer(struct td_conn *c)
{
    struct td_call *call = c->within;
    const struct call_kind *below = &set_of(c)->kinds[c->kind->below];
    for (uint32_t field = below->fields.n; field < c->kind->fields.n; field++)
        call->set[field / 64] &= ~(1ull << (field % 64));
    for (int i = 0; i < CALL_BODIES; i++)
        if (call->bodies[i].used && call->bodies[i].field >= below->fields.n) {
            call->bodies[i].used = call->bodies[i].cut = false;
            buf_reset(&call->bodies[i].bytes);
        }
    call_set_kind(call, below);
}

/* ---- Life ---- */

static bool open_dissector(struct td_conn *c, const struct dissector *d, const struct call_kind *kind)
{
    struct watch *watch = &c->shard->worker->watch;
    c->owner = d;
    c->kind = kind;
    c->state = NULL;
    arena_init(&c->arena, 0);
    arena_lend(&c->arena, c->first_memory, sizeof(c->first_memory));
    call_set_kind(c->within, kind);
    uint16_t caller = watch_call(watch, conn_owner_index(c));
    int status = d->ops.open(d->self, c, &c->view, (struct td_arena *)&c->arena, &c->state);
    watch_return(watch, caller);
    if (status == TD_OK)
        return true;
    if (c->child)
        child_close(c->child, TD_CLOSE_LOST);
    conn_discard_calls(c);
    conn_clear_arena(c);
    child_drop_layer(c);
    c->owner = NULL;
    return false;
}

static bool is_nested(const struct td_conn *c)
{
    int n = 1;
    for (; c->within && n < NESTED; c = c->parent)
        n++;
    return n == NESTED;
}

/* A child, on whose behalf nobody was opened yet. */
static struct td_conn *make_child(struct td_conn *parent, struct td_call *call)
{
    struct td_conn *c = conn_new(parent->shard, parent->flow);
    if (!c)
        return NULL;
    c->parent = parent;
    c->within = call;
    c->layer = parent->within == call ? parent->layer + 1 : 1;
    c->view = parent->view;
    c->view.flags &= (uint32_t)(TD_FLOW_MIDSTREAM | TD_FLOW_ROLE_GUESSED);
    return c;
}

struct td_conn *child_open(struct td_conn *parent, struct td_call *handle, const char *point, struct td_slice key)
{
    const struct dissector_set *set = set_of(parent);
    struct td_call *call = (struct td_call *)((uintptr_t)handle & ~(uintptr_t)CONN_LAYER);
    if (!call)
        return NULL;
    bool layer = parent->within && handle == child_layer(parent), own = handle == call && call->conn == parent;
    if (!layer && !own) {
        parent->shard->worker->stats.misuse++; /* another one's call */
        return NULL;
    }
    const struct call_kind *expected = layer ? parent->kind : &set->kinds[conn_owner_index(parent)];
    if (*slot_of(parent, call) || call->kind != expected || expected->layers == KIND_LAYERS || is_nested(parent))
        return NULL;
    struct td_conn *c = NULL;
    uint32_t at = 0;
    for (const struct dissector *d; (d = dissector_for_point(set, point, key, &at));) {
        const struct call_kind *kind = call_kind_above(set, call->kind, (uint32_t)(d - set->v));
        if (kind && !c && !(c = make_child(parent, call)))
            return NULL;
        if (kind && open_dissector(c, d, kind))
            return *slot_of(parent, call) = c;
    }
    if (c)
        conn_free(c);
    return NULL;
}

void child_close(struct td_conn *c, int why)
{
    for (int dir = TD_CLIENT; dir <= TD_SERVER; dir++)
        conn_finish_side(c, conn_dir(c, dir));
    if (c->owner)
        conn_release_owner(c, why);
    *slot_of(c->parent, c->within) = NULL;
    conn_free(c);
}

/* ---- Feeding ---- */

/* Which packets brought bytes that stood in [begin, end) of the parent's stream: one by one if they are these bytes, else the last of
 * them brought all. What its parent is done with, and gives only now, the newest one brought. */
static void add_pieces(struct td_conn *c, int side, uint64_t n, uint64_t begin, uint64_t end)
{
    const struct conn_stream *from = &c->parent->stream[side];
    if (!from->pieces[0].frame) /* nothing came of this side: the other one tells what it would say, as with a push */
        from = &c->parent->stream[!side];
    bool same = end - begin == n;
    uint64_t given = 0;
    for (uint32_t i = conn_find_piece(from, same || end <= begin ? begin : end - 1); given < n; i++) {
        const struct conn_piece *piece = &from->pieces[i < from->piece_n ? i : from->piece_n ? from->piece_n - 1 : 0];
        uint64_t until = same && i + 1 < from->piece_n && piece->end < end ? piece->end - begin : n;
        struct flow_origin origin = {.frame = piece->frame, .time_ns = piece->time_ns};
        conn_add_piece(c, side, until - given, &origin);
        given = until;
    }
}

int child_data(struct td_conn *c, int dir, struct td_slice bytes, uint64_t begin, uint64_t end)
{
    int side = conn_dir(c, dir);
    uint64_t offset = c->stream[side].end;
    if (c->owner && bytes.n && !c->stream[side].eof) {
        add_pieces(c, side, bytes.n, begin, end);
        conn_take(c, side, offset, bytes, NULL);
    }
    return c->owner ? TD_OK : TD_E_CORRUPT;
}

int child_gap(struct td_conn *c, int dir, uint64_t len)
{
    int side = conn_dir(c, dir);
    if (c->owner && len && !c->stream[side].eof)
        conn_take_gap(c, side, c->stream[side].end, len);
    return c->owner ? TD_OK : TD_E_CORRUPT;
}

void child_eof(struct td_conn *c, int dir)
{
    int side = conn_dir(c, dir);
    if (!c->stream[side].eof)
        conn_take_eof(c, side);
}
