/* The table: finding, ageing, evicting. What TCP does with a segment is in tcp.c. */
#include "flow/table.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/units.h"

enum {
    FLOW_CHUNK = 64, /* connections allocated together */
    FIRST_SLOTS = 64,
    LINGER_NS = 2 * NS_PER_S, /* a closed connection absorbs stray packets for so long */
};
#define EMBRYONIC_NS (60ll * NS_PER_S) /* a handshake without payload */
#define NEVER INT64_MAX

struct flow_slot {
    uint32_t hash;
    uint32_t index; /* FLOW_NONE: empty */
};

static inline uint16_t read16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint64_t read_word(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* ---- Keys and hashes ---- */

static uint64_t hash_endpoint(const uint8_t *ip, size_t ip_size, uint16_t port, uint64_t seed)
{
    const uint64_t k0 = 0xa0761d6478bd642fu ^ seed, k1 = 0xe7037ed1a0b428dbu ^ seed;
    if (ip_size == 4)
        return hash_mix(read_word(ip, 4) << 16 ^ port ^ k0, k1);
    return hash_mix(read_word(ip, 8) ^ k0, read_word(ip + 8, 8) ^ k1 ^ port);
}

uint32_t flow_hash(const struct decoded *d, uint64_t seed)
{
    size_t n = d->ip_version == 4 ? 4 : 16;
    const uint8_t *src = d->ip + (n == 4 ? 12 : 8);
    /* The sum does not know who is who. */
    uint64_t sum = hash_endpoint(src, n, read16(d->l4), seed) + hash_endpoint(src + n, n, read16(d->l4 + 2), seed);
    return (uint32_t)(hash_mix(sum ^ d->transport, 0x8ebc6af09c88c6e3u ^ seed) >> 32);
}

/* Fills the key, lower endpoint first; returns the sender's side. */
static int make_key(const struct flow_packet *pkt, struct flow_key *key)
{
    size_t n = pkt->ip_version == 4 ? 4 : 16;
    const uint8_t *src = pkt->ip + (n == 4 ? 12 : 8), *dst = src + n;
    uint16_t sport = read16(pkt->l4), dport = read16(pkt->l4 + 2);
    int order = memcmp(src, dst, n);
    int side = order > 0 || (order == 0 && sport > dport);
    memset(key, 0, sizeof(*key));
    memcpy(key->ip[side], src, n);
    memcpy(key->ip[!side], dst, n);
    key->port[side] = sport;
    key->port[!side] = dport;
    key->ip_version = pkt->ip_version;
    key->transport = pkt->transport;
    return side;
}

/* ---- Storage ---- */

static struct flow *flow_at(const struct flow_table *t, uint32_t index)
{
    return &t->chunks[index / FLOW_CHUNK][index % FLOW_CHUNK];
}

struct flow_table *flow_table_new(const struct flow_limits *limits, const struct flow_ops *ops, void *ctx)
{
    struct flow_table *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->limits = *limits;
    t->ops = ops;
    t->ctx = ctx;
    t->free_flows = FLOW_NONE;
    t->clock_ns = INT64_MIN;
    t->next_expiry_ns = NEVER;
    for (int i = 0; i < LIST_COUNT; i++)
        t->oldest[i] = t->newest[i] = FLOW_NONE;
    t->slots = mem_alloc(FIRST_SLOTS * sizeof(*t->slots));
    if (!t->slots) {
        mem_free(t);
        return NULL;
    }
    memset(t->slots, 0xff, FIRST_SLOTS * sizeof(*t->slots));
    t->slot_mask = FIRST_SLOTS - 1;
    t->memory = FIRST_SLOTS * sizeof(*t->slots);
    return t;
}

void flow_table_free(struct flow_table *t)
{
    if (!t)
        return;
    for (unsigned list = 0; list < LIST_COUNT; list++)
        while (t->oldest[list] != FLOW_NONE)
            flow_table_end(t, flow_at(t, t->oldest[list]));
    for (uint32_t i = 0; i < t->chunk_count; i++)
        mem_free(t->chunks[i]);
    mem_free(t->chunks);
    mem_free(t->slots);
    mem_free(t);
}

static void insert_slot(struct flow_slot *slots, uint32_t mask, uint32_t hash, uint32_t index)
{
    uint32_t i = hash & mask;
    while (slots[i].index != FLOW_NONE)
        i = (i + 1) & mask;
    slots[i] = (struct flow_slot){hash, index};
}

/* Doubles the slots before they are three quarters full. */
static bool grow_slots(struct flow_table *t)
{
    uint32_t mask = t->slot_mask * 2 + 1;
    size_t bytes = ((size_t)mask + 1) * sizeof(*t->slots);
    struct flow_slot *slots = mem_alloc(bytes);
    if (!slots)
        return false;
    memset(slots, 0xff, bytes);
    for (uint32_t i = 0; i <= t->slot_mask; i++)
        if (t->slots[i].index != FLOW_NONE)
            insert_slot(slots, mask, t->slots[i].hash, t->slots[i].index);
    t->memory += bytes / 2;
    mem_free(t->slots);
    t->slots = slots;
    t->slot_mask = mask;
    return true;
}

/* Takes an empty slot's neighbours back to where probing finds them. */
static void remove_slot(struct flow_table *t, uint32_t hash, uint32_t index)
{
    uint32_t mask = t->slot_mask, hole = hash & mask;
    while (t->slots[hole].index != index)
        hole = (hole + 1) & mask;
    for (uint32_t i = (hole + 1) & mask; t->slots[i].index != FLOW_NONE; i = (i + 1) & mask) {
        uint32_t home = t->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole].index = FLOW_NONE;
}

static bool add_chunk(struct flow_table *t)
{
    if (t->chunk_count == t->chunk_cap) {
        uint32_t cap = t->chunk_cap ? t->chunk_cap * 2 : 16;
        struct flow **chunks = mem_realloc(t->chunks, cap * sizeof(*chunks));
        if (!chunks)
            return false;
        t->chunks = chunks;
        t->chunk_cap = cap;
    }
    struct flow *chunk = mem_calloc(FLOW_CHUNK, sizeof(*chunk));
    if (!chunk)
        return false;
    uint32_t first = t->chunk_count * FLOW_CHUNK;
    for (uint32_t i = FLOW_CHUNK; i-- > 0;) {
        chunk[i].newer = t->free_flows;
        t->free_flows = first + i;
    }
    t->chunks[t->chunk_count++] = chunk;
    return true;
}

/* ---- Lists and ageing ---- */

static void unlink_flow(struct flow_table *t, struct flow *f)
{
    if (f->older != FLOW_NONE)
        flow_at(t, f->older)->newer = f->newer;
    else
        t->oldest[f->list] = f->newer;
    if (f->newer != FLOW_NONE)
        flow_at(t, f->newer)->older = f->older;
    else
        t->newest[f->list] = f->older;
}

static void link_newest(struct flow_table *t, struct flow *f, enum flow_list list)
{
    f->list = (uint8_t)list;
    f->newer = FLOW_NONE;
    f->older = t->newest[list];
    if (f->older != FLOW_NONE)
        flow_at(t, f->older)->newer = f->self;
    else
        t->oldest[list] = f->self;
    t->newest[list] = f->self;
}

static int64_t list_timeout(const struct flow_table *t, unsigned list)
{
    switch (list) {
    case LIST_CLOSED: return LINGER_NS;
    case LIST_EMBRYONIC: return EMBRYONIC_NS;
    case LIST_UDP: return t->limits.udp_idle_ns;
    default: return t->limits.tcp_idle_ns;
    }
}

void flow_set_list(struct flow_table *t, struct flow *f, enum flow_list list)
{
    unlink_flow(t, f);
    link_newest(t, f, list);
    int64_t expiry = flow_add_time(f->last_ns, list_timeout(t, list));
    if (expiry < t->next_expiry_ns)
        t->next_expiry_ns = expiry;
}

/* Closes what has been idle for too long. Called when the clock has passed next_expiry_ns. */
static void expire(struct flow_table *t)
{
    t->next_expiry_ns = NEVER;
    for (unsigned list = 0; list < LIST_COUNT; list++) {
        int64_t timeout = list_timeout(t, list);
        /* A connection that was used since it was queued goes to the back; `last` ends the round. */
        uint32_t last = t->newest[list];
        while (t->oldest[list] != FLOW_NONE) {
            struct flow *f = flow_at(t, t->oldest[list]);
            bool round_ends = f->self == last;
            int64_t expiry = flow_add_time(f->last_ns, timeout);
            if (expiry <= t->clock_ns) {
                if (list != LIST_CLOSED)
                    t->stats.timed_out++;
                flow_remove(t, f, f->saw_reset ? FLOW_CLOSE_RESET : FLOW_CLOSE_TIMEOUT);
            } else {
                struct flow *after = f->newer != FLOW_NONE ? flow_at(t, f->newer) : NULL;
                if (!after || after->last_ns >= f->last_ns) {
                    if (expiry < t->next_expiry_ns)
                        t->next_expiry_ns = expiry;
                    break; /* the list is in order from here */
                }
                unlink_flow(t, f);
                link_newest(t, f, (enum flow_list)list);
                if (expiry < t->next_expiry_ns)
                    t->next_expiry_ns = expiry;
            }
            if (round_ends)
                break;
        }
    }
}

/* The least useful connection: closed, then without payload, then the one not used for longest. */
static struct flow *choose_victim(struct flow_table *t)
{
    struct flow *victim = NULL;
    for (unsigned list = 0; list < LIST_COUNT; list++) {
        for (int chances = 0; chances < 8; chances++) {
            uint32_t index = t->oldest[list];
            if (index == FLOW_NONE)
                break;
            struct flow *f = flow_at(t, index);
            struct flow *after = f->newer != FLOW_NONE ? flow_at(t, f->newer) : NULL;
            if (after && after->last_ns < f->last_ns && chances < 7) {
                unlink_flow(t, f);
                link_newest(t, f, (enum flow_list)list);
                continue;
            }
            if (list <= LIST_EMBRYONIC)
                return f;
            if (!victim || f->last_ns < victim->last_ns)
                victim = f;
            break;
        }
    }
    return victim;
}

/* When memory is full, every new connection drives out one that nobody has touched for long: so the next two victims are
 * fetched from memory while there is other work to do. */
static void prefetch_victims(const struct flow_table *t, const struct flow *victim)
{
    enum { LINE = 64, USER_LINES = 12 };
    if (victim->newer == FLOW_NONE)
        return;
    const struct flow *next = flow_at(t, victim->newer); /* fetched last time */
    for (size_t i = 0; next->user && i < USER_LINES; i++)
        __builtin_prefetch((const uint8_t *)next->user + i * LINE);
    if (next->newer == FLOW_NONE)
        return;
    const uint8_t *after = (const uint8_t *)flow_at(t, next->newer);
    for (size_t i = 0; i < sizeof(struct flow); i += LINE)
        __builtin_prefetch(after + i);
}

static void make_room(struct flow_table *t)
{
    while (t->memory > t->limits.max_memory) {
        struct flow *victim = choose_victim(t);
        if (!victim)
            return;
        if (victim->state != FLOW_CLOSED) {
            t->stats.evicted++;
            t->stats.evicted_embryonic += victim->state == FLOW_EMBRYONIC;
        }
        prefetch_victims(t, victim);
        flow_remove(t, victim, FLOW_CLOSE_EVICTED);
    }
}

/* ---- Connections ---- */

static struct flow *new_flow(struct flow_table *t, const struct flow_packet *pkt, const struct flow_key *key, uint32_t hash)
{
    if ((t->count + 1) * 4ull > (t->slot_mask + 1ull) * 3 && !grow_slots(t))
        return NULL;
    if (t->free_flows == FLOW_NONE && !add_chunk(t))
        return NULL;
    uint32_t index = t->free_flows;
    struct flow *f = flow_at(t, index);
    t->free_flows = f->newer;
    *f = (struct flow){
        .key = *key,
        .hash = hash,
        .self = index,
        .client = -1,
        .id = pkt->frame,
        .first_ns = pkt->time_ns,
        .last_ns = pkt->time_ns,
        .memory = sizeof(*f),
        .side = {{.fin = UINT64_MAX}, {.fin = UINT64_MAX}},
    };
    insert_slot(t->slots, t->slot_mask, hash, index);
    t->count++;
    t->memory += sizeof(*f);
    bool udp = key->transport == 17;
    link_newest(t, f, udp ? LIST_UDP : LIST_EMBRYONIC);
    int64_t expiry = flow_add_time(f->last_ns, list_timeout(t, f->list));
    if (expiry < t->next_expiry_ns)
        t->next_expiry_ns = expiry;
    if (udp)
        t->stats.udp_connections++;
    else
        t->stats.tcp_connections++;
    return f;
}

struct flow *flow_find(struct flow_table *t, const struct flow_packet *pkt, bool create, int *ret_side)
{
    struct flow_key key;
    *ret_side = make_key(pkt, &key);
    uint32_t hash = pkt->hash;
    for (uint32_t i = hash & t->slot_mask; t->slots[i].index != FLOW_NONE; i = (i + 1) & t->slot_mask) {
        if (t->slots[i].hash != hash)
            continue;
        struct flow *f = flow_at(t, t->slots[i].index);
        if (memcmp(&f->key, &key, sizeof(key)) == 0)
            return f;
    }
    struct flow *f = create ? new_flow(t, pkt, &key, hash) : NULL;
    t->stats.no_memory += create && !f;
    return f;
}

void flow_close(struct flow_table *t, struct flow *f, enum flow_close why)
{
    if (f->state == FLOW_CLOSED)
        return;
    if (f->key.transport == 6)
        tcp_flush(t, f);
    f->state = FLOW_CLOSED;
    if (f->user)
        t->ops->close(t->ctx, f, why);
    tcp_release(t, f);
}

void flow_remove(struct flow_table *t, struct flow *f, enum flow_close why)
{
    flow_close(t, f, why);
    remove_slot(t, f->hash, f->self);
    unlink_flow(t, f);
    t->memory -= sizeof(*f);
    t->count--;
    f->newer = t->free_flows;
    t->free_flows = f->self;
}

size_t flow_limit(const struct flow_table *t)
{
    return t->limits.max_connection_memory;
}

bool flow_take(struct flow_table *t, struct flow *f, size_t n)
{
    if (n > t->limits.max_connection_memory || f->memory > t->limits.max_connection_memory - n)
        return false;
    f->memory += n;
    t->memory += n;
    return true;
}

void flow_give(struct flow_table *t, struct flow *f, size_t n)
{
    f->memory -= n;
    t->memory -= n;
}

/* ---- Packets ---- */

static void udp_packet(struct flow_table *t, const struct flow_packet *pkt)
{
    uint32_t udp_len = read16(pkt->l4 + 4);
    uint32_t len = pkt->l4_len;
    if (udp_len && udp_len < len) /* 0 is a jumbogram (RFC 2675) */
        len = udp_len;            /* padding behind the datagram */
    int side;
    struct flow *f = flow_find(t, pkt, true, &side);
    if (!f)
        return;
    uint32_t have = pkt->l4_caplen < len ? pkt->l4_caplen : len;
    struct flow_origin origin = {pkt->frame, pkt->time_ns, pkt->datagram};
    f->last_ns = pkt->time_ns;
    f->state = FLOW_ACTIVE;
    f->packets[side]++;
    f->bytes[side] += len - 8;
    t->stats.bytes += have - 8;
    if (!f->ignored)
        t->ops->datagram(t->ctx, f, side, td_bytes(pkt->l4 + 8, have - 8), have < len || udp_len > pkt->l4_len, &origin);
}

void flow_table_prefetch(const struct flow_table *t, uint32_t hash)
{
    __builtin_prefetch(&t->slots[hash & t->slot_mask]);
}

void flow_table_packet(struct flow_table *t, const struct flow_packet *pkt)
{
    t->stats.packets++;
    if (pkt->time_ns > t->clock_ns) {
        t->clock_ns = pkt->time_ns;
        if (t->clock_ns >= t->next_expiry_ns)
            expire(t);
    }
    if (pkt->transport == 6)
        tcp_packet(t, pkt);
    else
        udp_packet(t, pkt);
    if (t->memory > t->limits.max_memory)
        make_room(t);
}

uint32_t flow_table_count(const struct flow_table *t)
{
    return t->count;
}

void flow_table_list(const struct flow_table *t, struct flow **ret_flows)
{
    for (uint32_t i = 0; i <= t->slot_mask; i++)
        if (t->slots[i].index != FLOW_NONE)
            *ret_flows++ = flow_at(t, t->slots[i].index);
}

void flow_table_end(struct flow_table *t, struct flow *f)
{
    flow_remove(t, f, f->saw_reset ? FLOW_CLOSE_RESET : FLOW_CLOSE_END);
}

const struct flow_stats *flow_table_stats(const struct flow_table *t)
{
    return &t->stats;
}

size_t flow_table_memory(const struct flow_table *t)
{
    return t->memory;
}
