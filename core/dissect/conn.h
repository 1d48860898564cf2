/* A connection as its dissector sees it: claimed by what its bytes look like, then fed in order.
 *
 * The flow table below delivers bytes, gaps and ends; the plugin above sees them through td_plugin.h. A shard owns all
 * connections of one flow table; its worker is the thread that runs it. */
#ifndef DISSECT_CONN_H
#define DISSECT_CONN_H

#include <assert.h>
#include <stdalign.h>

#include "base/arena.h"
#include "call/call.h"
#include "dissect/body_pool.h"
#include "dissect/dissector.h"
#include "dissect/stats.h"
#include "dissect/watch.h"
#include "flow/flow.h"

/* ---- Worker and shard ---- */

/* Takes a committed call; the call dies when it returns. */
typedef void dissect_call_fn(void *ctx, const struct td_call *, struct buf *out);

struct out_mark { /* output up to `end` belongs to `key` and what came before */
    uint64_t key;
    size_t end;
};

struct worker {
    unsigned index; /* from 0 */
    const struct dissector_set *set;
    dissect_call_fn *on_call;
    void *on_call_ctx;
    struct buf out; /* what on_call wrote since it was last taken */
    uint8_t *scratch;
    size_t scratch_n;
    struct td_call *call_pool;
    struct td_conn *conn_pool;
    uint32_t call_pool_n, conn_pool_n;
    struct body_pool bodies;
    struct dissect_stats stats;
    const char *node; /* whose packets these are, or NULL */
    struct watch watch;
};

struct shard {
    struct worker *worker;
    struct flow_table *flows;
};

void worker_init(struct worker *w, const struct dissector_set *set, dissect_call_fn *on_call, void *ctx);
void worker_clear(struct worker *w);
/* NULL when memory is short. */
struct flow_table *shard_flows_new(struct shard *s, const struct flow_limits *limits);

/* ---- Connection ---- */

struct conn_piece { /* which packet brought the bytes up to `end` */
    uint64_t end;
    uint64_t frame;
    int64_t time_ns;
};

enum { CONN_FEW_PIECES = 2, CONN_MARKS = 64 };

struct conn_stream {
    uint64_t next;    /* first byte not used yet */
    uint64_t end;     /* behind the last byte that came */
    uint64_t skip_to; /* bytes before this are dropped */
    size_t need;      /* do not present fewer bytes than this; 0: any more will do */
    struct buf kept;  /* [next, end), if they had to be kept */
    struct conn_piece few[CONN_FEW_PIECES], *pieces;
    uint32_t piece_at, piece_n, piece_cap;  /* pieces [at, n) are alive; if none is, the first is what the newest was */
    const struct decode_datagram *datagram; /* of the last piece, while it is delivered */
    bool eof;
};

struct conn_mark { /* bytes to come that belong to a call */
    struct td_call *call;
    uint64_t begin, end;
    uint8_t dir;
};

enum { CONN_LAYER = 3 }; /* bits of a call's handle: which child's it is, counted from 1; 0: its parent's */
static_assert((int)KIND_LAYERS <= CONN_LAYER + 1, "a handle tells each layer");

struct td_conn {
    struct td_conn *pool_next;
    struct shard *shard;
    struct flow *flow;
    const struct dissector *owner; /* NULL: not claimed */
    const struct call_kind *kind;  /* of its calls; of a child: of the call that it is on, with its layer */
    /* Of a child: */
    struct td_conn *parent, *child; /* the latter: that is open on its layer */
    struct td_call *within;         /* NULL: it is none */
    uint32_t layer;
    void *state;
    struct td_flow view;
    struct conn_stream stream[2];       /* by side */
    struct td_call *calls, **calls_end; /* open, in the order of their beginning; where the next one is linked in */
    struct conn_mark *marks;
    uint32_t mark_n, mark_cap;
    struct arena arena;
    uint64_t layers_seen; /* of others on its calls: dissectors, a bit each */
    bool confirmed, lost, tls, counted;
    uint8_t violations;
    uint16_t probes;
    bool feeding;  /* within data() */
    bool takeover; /* asked for there */
    const char *takeover_point;
    char takeover_key[64];
    struct buf told; /* by the owner before, or for the one that follows: two lengths, a name, a value, and so on */
    alignas(16) uint8_t first_memory[320];
};

/* What a side of the flow is for the dissector: TD_CLIENT or TD_SERVER, and back. */
static inline int conn_dir(const struct td_conn *c, int side)
{
    return c->flow->client == 1 ? !side : side;
}

/* Whose call it is, within on_call: workers run in threads of their own. */
static inline unsigned call_worker(const struct td_call *call)
{
    return call->conn->shard->worker->index;
}

static inline uint32_t conn_owner_index(const struct td_conn *c)
{
    return (uint32_t)(c->owner - c->shard->worker->set->v);
}

/* Events from the flow table; `ctx` is the shard. */
extern const struct flow_ops conn_flow_ops;

/* conn.c */

/* A connection that nobody has claimed; NULL when memory is short. */
struct td_conn *conn_new(struct shard *shard, struct flow *f);
void conn_free(struct td_conn *c);
/* `n` bytes more came on a side, by this packet. */
void conn_add_piece(struct td_conn *c, int side, uint64_t n, const struct flow_origin *origin);
/* These bytes are for the owner; their pieces have been added. `origin`: of them all, if one packet brought them; or NULL. */
void conn_take(struct td_conn *c, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *origin);
void conn_take_gap(struct td_conn *c, int side, uint64_t offset, uint64_t len);
void conn_take_eof(struct td_conn *c, int side);
/* Shows what was kept a last time; nothing more comes. */
void conn_finish_side(struct td_conn *c, int side);

/* claim.c: chooses a dissector by the beginning of what `side` sent. */
enum claim_result { CLAIM_NOBODY, CLAIM_MORE, CLAIM_TAKEN };
enum claim_result conn_claim(struct td_conn *c, int side, struct td_slice bytes, bool last);
/* Opens `d` on the connection; false if it declined. `flags`: TD_FLOW_CONFIGURED or 0. */
bool conn_open(struct td_conn *c, const struct dissector *d, uint32_t flags);
void conn_clear_arena(struct td_conn *c);
/* Ends the claim; calls that are open are committed as cut. */
void conn_release_owner(struct td_conn *c, int why);

/* host.c */
extern const struct td_host dissect_host_template; /* the dissection part of td_host */
void call_set_kind(struct td_call *call, const struct call_kind *kind);
/* The first piece that reaches beyond `offset`; piece_n: none. */
uint32_t conn_find_piece(const struct conn_stream *s, uint64_t offset);
void conn_commit(struct td_conn *c, struct td_call *call, uint32_t flags);
/* Ends all open calls without anybody seeing them. */
void conn_discard_calls(struct td_conn *c);
/* Adds a packet's bytes to a call, which pays for the list of frames. */
void conn_add_packet(struct td_call *call, int dir, const struct flow_origin *origin, uint64_t bytes);

/* child.c: what the host offers for children (plugin.h, sub_open()) */
struct td_conn *child_open(struct td_conn *parent, struct td_call *handle, const char *point, struct td_slice key);
int child_data(struct td_conn *c, int dir, struct td_slice bytes, uint64_t begin, uint64_t end);
int child_gap(struct td_conn *c, int dir, uint64_t len);
void child_eof(struct td_conn *c, int dir);
void child_close(struct td_conn *c, int why);
struct td_call *child_layer(struct td_conn *c);
/* The call that it is on becomes one of its protocol. */
void child_confirm(struct td_conn *c);
/* What it has set is no part of the call. */
void child_drop_layer(struct td_conn *c);
/* The call's kind, as far as this layer, counted from 1; NULL: it has none there. */
const struct call_kind *child_kind(const struct td_call *call, uint32_t layers);

#endif
