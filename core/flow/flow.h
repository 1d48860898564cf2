/* The connection table: which connection a packet belongs to, and its bytes in order.
 *
 * A table holds the connections of one shard: a fixed share of all address pairs, chosen by flow_hash(). Everything
 * that depends on other connections (memory, eviction, timeouts) happens within a shard, so that a result does not depend
 * on how many threads share the shards. A table is used by one thread at a time.
 *
 * Upwards the table speaks through struct flow_ops; it knows nothing of dissectors. Directions are called sides here:
 * side 0 is the endpoint that sorts lower. Who is client and who is server is told apart by SYN, or by those above. */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <stdbool.h>

#include "packet/decode.h"
#include "tapedeck/slice.h"

/* ---- Packets ---- */

/* A decoded packet on its way to its connection. */
struct flow_packet {
    const uint8_t *ip, *l4; /* as in struct decoded */
    uint32_t l4_caplen, l4_len;
    int64_t time_ns;
    uint64_t frame;
    struct decode_datagram *datagram; /* fragments' frames, or NULL */
    uint32_t hash;                    /* flow_hash() with a seed that nobody can guess */
    uint8_t ip_version, transport;
    uint8_t shard; /* for the caller: which table it is for */
};

/* The same for both directions. Depends on nothing but addresses, ports, protocol and the seed. Tables need a secret seed, or
 * a sender could choose connections that all collide; the choice of the shard needs one that never changes. */
uint32_t flow_hash(const struct decoded *d, uint64_t seed);

/* What stands behind one delivered run of bytes. */
struct flow_origin {
    uint64_t frame;
    int64_t time_ns;
    const struct decode_datagram *datagram; /* NULL, or the frames of all its fragments */
};

/* ---- Connections ---- */

struct flow_key {
    uint8_t ip[2][16]; /* IPv4 in the first four bytes */
    uint16_t port[2];
    uint8_t ip_version, transport;
};

enum flow_close { /* why a connection ended; the values of td_close_why */
                  FLOW_CLOSE_FIN = 1,
                  FLOW_CLOSE_RESET,
                  FLOW_CLOSE_TIMEOUT,
                  FLOW_CLOSE_EVICTED,
                  FLOW_CLOSE_END
};

enum flow_state { FLOW_EMBRYONIC, FLOW_ACTIVE, FLOW_CLOSED };

struct tcp_segment;

/* One direction of a TCP connection. Offsets count the bytes of the stream from its first known one. */
struct tcp_side {
    uint64_t next;             /* offset of the next byte to deliver */
    uint64_t acked;            /* the other side has acknowledged everything before */
    uint64_t fin;              /* offset of the FIN, UINT64_MAX while none was seen */
    struct tcp_segment *queue; /* waiting, ascending, not overlapping */
    struct tcp_segment *last;  /* its end, or NULL */
    uint32_t seq0;             /* sequence number of offset 0 */
    bool started, syn, eof;
};

struct flow {
    struct flow_key key;
    uint32_t hash;
    uint32_t self;         /* index in the table */
    uint32_t older, newer; /* neighbours in the list of its state */
    uint8_t list;
    uint8_t state; /* flow_state */
    int8_t client; /* side that is the client; -1: unknown */
    bool ignored;  /* nobody wants the bytes: no reassembly */
    bool saw_reset;
    bool simultaneous; /* both sides sent a bare SYN */
    bool client_fixed; /* those above rely on `client`: no later SYN changes it */
    uint8_t gaps;      /* holes declared so far, saturating */
    uint16_t waited;   /* packets since a hole that was acknowledged was first seen */
    uint64_t id;       /* frame of its first packet: unique and independent of threads */
    int64_t first_ns, last_ns;
    int64_t hole_ns;               /* when `waited` began */
    uint64_t packets[2], bytes[2]; /* as captured, retransmissions included */
    size_t memory;                 /* bytes held for it, by this table and by those above */
    void *user;                    /* for those above; NULL at the start */
    struct tcp_side side[2];
};

/* Called by the table; `origin` and bytes die with the call. */
struct flow_ops {
    /* In-order bytes from `side`, beginning at `offset`. */
    void (*data)(void *ctx, struct flow *, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *);
    /* One datagram; `cut`: the snaplen took its end. */
    void (*datagram)(void *ctx, struct flow *, int side, struct td_slice bytes, bool cut, const struct flow_origin *);
    /* Bytes [offset, offset + len) never come. */
    void (*gap)(void *ctx, struct flow *, int side, uint64_t offset, uint64_t len);
    void (*eof)(void *ctx, struct flow *, int side);
    /* Once, for each connection that has `user` set; it must release that. */
    void (*close)(void *ctx, struct flow *, enum flow_close why);
};

struct flow_limits {
    size_t max_memory;            /* of the table and what it holds */
    size_t max_connection_memory; /* of one connection */
    int64_t tcp_idle_ns, udp_idle_ns;
};

struct flow_stats {
    uint64_t tcp_connections, udp_connections;
    uint64_t packets, bytes;    /* transport payload, as captured */
    uint64_t retransmitted;     /* segments that brought nothing new */
    uint64_t reordered;         /* segments that had to wait */
    uint64_t gaps, gap_bytes;   /* holes declared lost */
    uint64_t midstream;         /* TCP connections whose beginning was not captured */
    uint64_t evicted;           /* connections closed because memory was needed */
    uint64_t evicted_embryonic; /* of these: without any payload (SYN floods) */
    uint64_t timed_out;
    uint64_t before_start; /* segments older than the first one seen of their side */
    uint64_t no_memory;    /* packets left out because the system had no memory for their connection */
};

struct flow_table;

struct flow_table *flow_table_new(const struct flow_limits *, const struct flow_ops *, void *ctx);
/* Closes what is left and frees everything. */
void flow_table_free(struct flow_table *);

/* Asks the processor for what flow_table_packet() will touch. */
void flow_table_prefetch(const struct flow_table *, uint32_t hash);
void flow_table_packet(struct flow_table *, const struct flow_packet *);
/* At the end of the capture: how many connections there are, all of them (in no order), and the end of one. */
uint32_t flow_table_count(const struct flow_table *);
void flow_table_list(const struct flow_table *, struct flow **ret_flows);
void flow_table_end(struct flow_table *, struct flow *);
const struct flow_stats *flow_table_stats(const struct flow_table *);
/* Bytes held now. */
size_t flow_table_memory(const struct flow_table *);

/* Those above account for what they hold on a connection's behalf. False: over the connection's limit; nothing
 * is taken then. The table's own limit is kept by evicting others, before the next packet. */
size_t flow_limit(const struct flow_table *); /* of one connection, in bytes */
bool flow_take(struct flow_table *, struct flow *, size_t n);
void flow_give(struct flow_table *, struct flow *, size_t n);

#endif
