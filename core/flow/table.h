/* Inside core/flow: the table's parts that tcp.c shares with table.c. */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include "flow/flow.h"

enum { FLOW_NONE = UINT32_MAX };

/* Connections are kept in lists by what may happen to them next; each is in the order of last use, roughly: a
 * connection that was used since it came to the front goes to the back when its turn comes (second chance). */
enum flow_list { LIST_CLOSED, LIST_EMBRYONIC, LIST_UDP, LIST_ACTIVE, LIST_COUNT };

struct flow_table {
    struct flow_limits limits;
    const struct flow_ops *ops;
    void *ctx;
    struct flow_slot *slots; /* open addressing, linear probing */
    uint32_t slot_mask;
    uint32_t count;
    struct flow **chunks; /* connections, FLOW_CHUNK each */
    uint32_t chunk_count, chunk_cap;
    uint32_t free_flows; /* list through `newer` */
    uint32_t oldest[LIST_COUNT], newest[LIST_COUNT];
    int64_t clock_ns;       /* latest time seen */
    int64_t next_expiry_ns; /* no list needs a look before */
    size_t memory;
    struct flow_stats stats;
};

/* Times come from captures and may be anything: the end of time instead of an overflow. */
static inline int64_t flow_add_time(int64_t ns, int64_t later)
{
    int64_t sum;
    return __builtin_add_overflow(ns, later, &sum) ? INT64_MAX : sum;
}

void flow_set_list(struct flow_table *, struct flow *, enum flow_list);
/* Finishes both directions, tells those above, leaves a tombstone that absorbs stray packets. */
void flow_close(struct flow_table *, struct flow *, enum flow_close why);
/* Removes a connection, closing it first if need be. */
void flow_remove(struct flow_table *, struct flow *, enum flow_close why);

/* tcp.c */
void tcp_packet(struct flow_table *, const struct flow_packet *);
/* Delivers what waits, declaring holes where there are any. */
void tcp_flush(struct flow_table *, struct flow *);
void tcp_release(struct flow_table *, struct flow *);

/* The connection of a packet, or NULL; *ret_side is the sender's. `create` makes it if it is not there. */
struct flow *flow_find(struct flow_table *, const struct flow_packet *, bool create, int *ret_side);

#endif
