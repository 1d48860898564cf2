/* The DNS dissector: messages over UDP, each a datagram, and over TCP, each after its length in two octets (RFC 1035
 * section 4.2, RFC 7766); multicast DNS (RFC 6762) and LLMNR (RFC 4795).
 *
 * This file has the descriptor and the framing. dns_exchange.c makes calls, dns_message.c their fields; dns_parse.c and
 * what it is joined by are pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "dns_exchange.h"

#include <stdlib.h>

enum { TCP = 6, LENGTH = 2, MAX_PROBE = 512 };

struct instance {
    const struct td_host *host;
    const struct dns_config *config;
};

/* One direction of a TCP connection. */
struct side {
    bool lost;        /* where the next message begins is not known */
    uint64_t skip_to; /* ... but not before this */
};

struct connection {
    struct dns_exchange exchange;
    struct side side[2];
};

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct instance *self = malloc(sizeof(*self));
    if (!self)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    self->host = host;
    self->config = config;
    *ret_self = self;
    return TD_OK;
}

static bool has_port(const struct td_flow *flow, unsigned port)
{
    return flow->port[0] == port || flow->port[1] == port;
}

static enum dns_variant variant_of(const struct td_flow *flow)
{
    return has_port(flow, DNS_MULTICAST_PORT) ? DNS_MULTICAST : has_port(flow, DNS_LLMNR_PORT) ? DNS_LLMNR : DNS_UNICAST;
}

static int probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    (void)self;
    /* NetBIOS names have the same header and questions. */
    if (has_port(flow, DNS_NBNS_PORT) || has_port(flow, DNS_NBDS_PORT))
        return DNS_NO;
    if (flow->transport == TCP)
        return dns_plausible_tcp(bytes, dir == TD_SERVER);
    return dns_plausible(bytes, bytes.n, dir == TD_SERVER, variant_of(flow));
}

static bool is_group(const struct td_flow *flow, int end)
{
    return flow->ip_version == 4 ? flow->ip[end][0] >> 4 == 14 : flow->ip[end][0] == 0xff;
}

static int open_connection(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct instance *inst = self;
    struct connection *c = inst->host->alloc(arena, sizeof(*c), _Alignof(struct connection));
    if (!c)
        return TD_E_NOMEM;
    struct dns_exchange *x = &c->exchange;
    x->host = inst->host;
    x->config = inst->config;
    x->conn = conn;
    x->arena = arena;
    x->wants = dns_wants(inst->host, conn);
    x->variant = variant_of(flow);
    x->datagrams = flow->transport != TCP;
    x->to_group = x->variant != DNS_UNICAST && (is_group(flow, 0) || is_group(flow, 1));
    dns_pending_init(&x->pending);
    c->side[0].lost = c->side[1].lost = flow->flags & TD_FLOW_MIDSTREAM;
    *ret_state = c;
    return TD_OK;
}

static struct td_step datagram(struct connection *c, int dir, const struct td_chunk *chunk)
{
    struct dns_place at = {chunk->bytes, chunk->offset, chunk->offset + chunk->bytes.n, chunk->time_ns, dir, chunk->flags & TD_CHUNK_CUT};
    dns_exchange_message(&c->exchange, &at);
    return td_used(chunk->bytes.n);
}

/* One message at the beginning of `rest`, which begins at stream position `begin`. Says what to do next: `used` 0 is to
 * wait for `need` bytes. */
static struct td_step framed(struct connection *c, int dir, const struct td_chunk *chunk, struct td_slice rest, uint64_t begin)
{
    struct side *side = &c->side[dir];
    struct td_cursor cursor = td_cursor(rest);
    size_t size = td_be16(&cursor) + (size_t)LENGTH;
    struct dns_place at = {td_sub(rest, LENGTH, size), begin, begin + size, chunk->time_ns, dir, rest.n < size};
    if (at.cut && !(chunk->flags & TD_CHUNK_LAST)) {
        if (rest.n < LENGTH + DNS_HEADER_SIZE)
            return td_need(0, LENGTH + DNS_HEADER_SIZE);
        if (dns_header_possible(at.bytes, size - LENGTH))
            return td_need(0, size);
        c->exchange.host->violation(c->exchange.conn, "a length without a message");
        side->lost = true;
        return td_used(1);
    }
    if (at.cut) /* the next one's place is known even if what lies before it is missing */
        side->skip_to = at.end;
    if (at.cut && at.bytes.n < DNS_HEADER_SIZE)
        return td_used(rest.n);
    if (!dns_exchange_message(&c->exchange, &at)) {
        side->lost = true;
        return td_used(1);
    }
    return td_used(at.cut ? rest.n : size);
}

/* Looks for a message after bytes of which nothing is known. With each packet that comes: what may begin here would need more
 * bytes to tell, but a message that is certain may follow it at once. */
static struct td_step resync(struct connection *c, int dir, const struct td_chunk *chunk, struct td_slice rest)
{
    size_t need, skipped = dns_find_frame(rest, dir == TD_SERVER, &need);
    if (need == 0)
        c->side[dir].lost = false;
    else if (chunk->flags & TD_CHUNK_LAST)
        skipped = rest.n;
    return td_used(skipped);
}

static struct td_step stream(struct connection *c, int dir, const struct td_chunk *chunk)
{
    struct side *side = &c->side[dir];
    size_t used = 0, n = chunk->bytes.n;
    if (side->skip_to > chunk->offset)
        used = (size_t)(side->skip_to - chunk->offset);
    while (used < n) {
        struct td_slice rest = td_sub(chunk->bytes, used, n);
        bool lost = side->lost;
        struct td_step step = lost ? resync(c, dir, chunk, rest) : framed(c, dir, chunk, rest, chunk->offset + used);
        used += step.used;
        if (step.used == 0 && lost == side->lost)
            return td_need(used, step.need);
    }
    return td_used(used);
}

static struct td_step data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct connection *c = state;
    (void)conn;
    return c->exchange.datagrams ? datagram(c, dir, chunk) : stream(c, dir, chunk);
}

/* Queries that wait go on waiting: their answers may still come. */
static int gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct connection *c = state;
    struct side *side = &c->side[dir];
    (void)conn;
    dns_exchange_gap(&c->exchange, dir);
    if (side->skip_to < offset + len)
        side->lost = true;
    return TD_OK;
}

static void close_connection(void *state, struct td_conn *conn, int why)
{
    struct connection *c = state;
    (void)conn;
    (void)why;
    dns_exchange_close(&c->exchange);
}

static const struct td_option options[] = {
    TD_DUR_OPT(struct dns_config, query_timeout_ns, "queryTimeout", "30s", 1, 3600 * 1000000000ll,
               "How long a query waits for its answer before it counts as unanswered. Late answers become calls of their own."),
    TD_INT_OPT(struct dns_config, max_pending, "maxPending", "1024", 1, 65536,
               "Queries of one connection that may wait at the same time; the oldest then counts as unanswered."),
    TD_SIZE_OPT(struct dns_config, max_text, "maxRecordText", "1Mi", 1024, 1ll << 30,
                "Bytes of record text that one call keeps, as of a zone transfer. What is beyond is left out and the call marked partial."),
};

static const struct td_claim claims[] = {
    {TD_ON_UDP, DNS_PORT, DNS_PORT, NULL, NULL},
    {TD_ON_UDP, DNS_MULTICAST_PORT, DNS_MULTICAST_PORT, NULL, NULL},
    {TD_ON_UDP, DNS_LLMNR_PORT, DNS_LLMNR_PORT, NULL, NULL},
    {TD_ON_TCP, DNS_PORT, DNS_PORT, NULL, NULL},
    {TD_ON_TCP, DNS_LLMNR_PORT, DNS_LLMNR_PORT, NULL, NULL},
};

static const struct td_dissector dissector = {
    .size = sizeof(struct td_dissector),
    .max_probe = MAX_PROBE,
    .fields = TD_TABLE(dns_fields),
    .claims = TD_TABLE(claims),
    .probe = probe,
    .open = open_connection,
    .data = data,
    .gap = gap,
    .close = close_connection,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_DISSECTOR,
    .name = "dns",
    .summary = "DNS over UDP and TCP, multicast DNS and LLMNR: queries and their answers",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct dns_config),
    .create = create,
    .destroy = free,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(dns) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "dns",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
