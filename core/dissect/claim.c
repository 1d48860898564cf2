/* Claiming: the user's rule, then the best probe, then the port hint, then the name; never the order of loading. */
#include "dissect/conn.h"

enum {
    SCORE_HINTED = 25,  /* enough with a port hint */
    SCORE_ALONE = 50,   /* enough without */
    SCORE_CERTAIN = 90, /* no need to wait for those who want to see more */
    PROBE_LIMIT = 4096, /* bytes that may be kept for probing */
};

struct candidate {
    const struct dissector *d;
    int score;
    int client;     /* side */
    uint32_t flags; /* of the view, if it is chosen */
};

/* The flow as it would look with `client` as the client. */
static struct td_flow make_view(const struct td_conn *c, int client)
{
    const struct flow_key *key = &c->flow->key;
    struct td_flow view = {.size = sizeof(view),
                           .ip_version = key->ip_version,
                           .transport = key->transport,
                           .flags = c->view.flags & (TD_FLOW_MIDSTREAM | TD_FLOW_ROLE_GUESSED)};
    memcpy(view.ip[TD_CLIENT], key->ip[client], 16);
    memcpy(view.ip[TD_SERVER], key->ip[!client], 16);
    view.port[TD_CLIENT] = key->port[client];
    view.port[TD_SERVER] = key->port[!client];
    if (c->flow->client < 0)
        view.flags |= TD_FLOW_ROLE_GUESSED;
    if (key->transport == 6 && !(c->flow->side[0].syn && c->flow->side[1].syn))
        view.flags |= TD_FLOW_MIDSTREAM;
    return view;
}

/* The rule of the user's that applies, and which side it makes the server. Of several the last one counts. */
static const struct dissect_rule *find_rule(const struct td_conn *c, int *ret_server)
{
    const struct dissector_set *set = c->shard->worker->set;
    const struct flow_key *key = &c->flow->key;
    for (uint32_t i = set->rule_n; i-- > 0;) {
        const struct dissect_rule *rule = &set->rules[i];
        if (rule->transport != key->transport)
            continue;
        for (int side = 0; side < 2; side++)
            if (key->port[side] >= rule->port_lo && key->port[side] <= rule->port_hi) {
                *ret_server = side;
                return rule;
            }
    }
    return NULL;
}

/* Better candidates come first: score, then hint. The set is in the order of names, so the first of equals stays. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
    if (!b->d || a->score != b->score)
        return !b->d || a->score > b->score;
    return (a->flags & TD_FLOW_PORT_HINT) > (b->flags & TD_FLOW_PORT_HINT);
}

/* Asks one dissector, for the role that is known or for both. The bytes have the last word on who asks and who answers
 * (connections that a server opened backwards): against the SYN they must be certain. True: it wants to see more. */
static bool ask(const struct td_conn *c, const struct dissector *d, int side, struct td_slice bytes, struct candidate *best)
{
    bool more = false;
    struct watch *watch = &c->shard->worker->watch;
    if (!d->ops.probe)
        return false;
    int likely = c->flow->client >= 0 ? c->flow->client : side; /* if the bytes fit both roles, who speaks first asks */
    for (int i = 0; i < 2; i++) {
        int client = i ? !likely : likely;
        bool against_syn = c->flow->client >= 0 && c->flow->client != client;
        struct td_flow view = make_view(c, client);
        if (dissector_has_port(d, view.transport, view.port[TD_SERVER]))
            view.flags |= TD_FLOW_PORT_HINT;
        int dir = side == client ? TD_CLIENT : TD_SERVER;
        uint16_t caller = watch_call(watch, (uint32_t)(d - c->shard->worker->set->v));
        int score = d->ops.probe(d->self, &view, dir, bytes);
        watch_return(watch, caller);
        uint32_t limit = d->ops.max_probe < PROBE_LIMIT ? d->ops.max_probe : PROBE_LIMIT;
        if (score < 0 && bytes.n < limit && !against_syn)
            more = true;
        struct candidate mine = {d, score, client, view.flags};
        int enough = against_syn ? SCORE_CERTAIN : (view.flags & TD_FLOW_PORT_HINT) ? SCORE_HINTED : SCORE_ALONE;
        if (score >= enough && is_better(&mine, best))
            *best = mine;
        if (score >= SCORE_CERTAIN)
            break; /* nobody can be more certain of the other role */
    }
    return more;
}

/* The user's rule names the dissector; its own probe may still tell who is who. */
static void apply_rule(const struct td_conn *c, const struct dissect_rule *rule, int server, int side, struct td_slice bytes,
                       struct candidate *best)
{
    const struct dissector *d = &c->shard->worker->set->v[rule->dissector];
    (void)ask(c, d, side, bytes, best);
    if (!best->d)
        *best = (struct candidate){d, SCORE_CERTAIN, c->flow->client >= 0 ? c->flow->client : !server, 0};
    best->flags |= TD_FLOW_CONFIGURED;
}

enum claim_result conn_claim(struct td_conn *c, int side, struct td_slice bytes, bool last)
{
    const struct dissector_set *set = c->shard->worker->set;
    bool udp = c->flow->key.transport == 17, more = false;
    struct candidate best = {0};
    int server = 0;
    const struct dissect_rule *rule = find_rule(c, &server);
    if (rule) {
        apply_rule(c, rule, server, side, bytes, &best);
    } else {
        for (uint32_t i = 0; i < set->n; i++)
            if (udp ? set->v[i].on_udp : set->v[i].on_tcp)
                more |= ask(c, &set->v[i], side, bytes, &best);
    }
    if (more && !last && best.score < SCORE_CERTAIN)
        return CLAIM_MORE;
    if (!best.d)
        return CLAIM_NOBODY;
    int8_t known = c->flow->client;
    if (known < 0)
        c->view.flags |= TD_FLOW_ROLE_GUESSED;
    c->flow->client = (int8_t)best.client;
    if (conn_open(c, best.d, best.flags & TD_FLOW_CONFIGURED))
        return CLAIM_TAKEN;
    c->flow->client = known;
    if (known < 0)
        c->view.flags &= ~(uint32_t)TD_FLOW_ROLE_GUESSED;
    return CLAIM_NOBODY;
}

void conn_clear_arena(struct td_conn *c)
{
    flow_give(c->shard->flows, c->flow, c->arena.used);
    arena_clear(&c->arena);
}

bool conn_open(struct td_conn *c, const struct dissector *d, uint32_t flags)
{
    struct td_flow view = make_view(c, c->flow->client > 0);
    view.flags |= flags;
    if (dissector_has_port(d, view.transport, view.port[TD_SERVER]))
        view.flags |= TD_FLOW_PORT_HINT;
    c->view = view;
    c->owner = d;
    c->kind = &c->shard->worker->set->kinds[conn_owner_index(c)];
    c->state = NULL;
    c->confirmed = c->lost = false;
    c->violations = 0;
    arena_init(&c->arena, 0);
    arena_lend(&c->arena, c->first_memory, sizeof(c->first_memory));
    uint16_t caller = watch_call(&c->shard->worker->watch, conn_owner_index(c));
    int status = d->ops.open(d->self, c, &c->view, (struct td_arena *)&c->arena, &c->state);
    watch_return(&c->shard->worker->watch, caller);
    if (status != TD_OK) {
        conn_discard_calls(c);
        conn_clear_arena(c);
        c->owner = NULL;
        stats_count_reason(&c->shard->worker->stats, d->name, "declined a connection that it had claimed");
        return false;
    }
    c->shard->worker->stats.connections[d - c->shard->worker->set->v]++;
    c->counted = true;
    c->flow->client_fixed = true;
    c->stream[0].need = c->stream[1].need = 0;
    return true;
}

void conn_release_owner(struct td_conn *c, int why)
{
    uint16_t caller = watch_call(&c->shard->worker->watch, conn_owner_index(c));
    c->owner->ops.close(c->state, c, why);
    watch_return(&c->shard->worker->watch, caller);
    while (c->calls) {
        if (c->calls->child)
            child_close(c->calls->child, why);
        conn_commit(c, c->calls, TD_REQUEST_CUT | TD_RESPONSE_CUT);
    }
    if (c->child) /* only now, for its parent may have had something for it until the end */
        child_close(c->child, why);
    if (c->within && !c->confirmed)
        child_drop_layer(c);
    conn_clear_arena(c);
    c->owner = NULL;
    c->state = NULL;
    c->lost = c->takeover = false;
}
