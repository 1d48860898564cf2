/* What a dissection counts: calls, and everything that did not become one, with the reason. Each worker has its own. */
#ifndef DISSECT_STATS_H
#define DISSECT_STATS_H

#include "dissect/dissector.h"

enum { REASON_MAX = 64, PORT_MAX = 64 };

struct dissect_reason { /* a constant text and how often */
    const char *dissector, *why;
    uint64_t count;
};

struct dissect_port { /* connections that nobody claimed, by the likely server's port */
    uint8_t transport;
    uint16_t port;
    bool tls;
    uint64_t connections, bytes;
};

struct dissect_stats {
    uint64_t connections[DISSECTOR_MAX]; /* claimed */
    uint64_t calls[DISSECTOR_MAX], incomplete[DISSECTOR_MAX];
    uint64_t lost_claims[DISSECTOR_MAX];
    uint64_t unclaimed_tcp, unclaimed_udp;
    uint64_t over_limit;    /* times that a connection reached its memory limit */
    uint64_t no_memory;     /* times that the system had none: packets or calls were left out */
    uint64_t evicted_calls; /* connections evicted while calls were open */
    uint64_t misuse;        /* setter calls with a wrong field or type */
    struct dissect_reason reasons[REASON_MAX];
    uint32_t reason_n;
    struct dissect_port *all_ports; /* of a worker: a hash table of every port */
    uint32_t all_port_n, all_port_cap;
    struct dissect_port ports[PORT_MAX]; /* of a sum: those with most connections come first */
    uint32_t port_n;
};

/* `why` is a constant text. Reasons beyond the table's end are not counted. */
void stats_count_reason(struct dissect_stats *stats, const char *dissector, const char *why);
/* A connection that nobody claimed. `transport`: 6 or 17. */
void stats_count_port(struct dissect_stats *stats, uint8_t transport, uint16_t port, bool tls, uint64_t bytes);
/* Frees what a worker's counts hold. */
void stats_clear(struct dissect_stats *stats);
/* Adds one worker's counts to a sum, but for those of ports. */
void stats_add(struct dissect_stats *sum, const struct dissect_stats *stats);
/* Chooses the sum's ports: by what all workers have counted, so that it does not matter how many there are. None if memory
 * is short. */
void stats_add_ports(struct dissect_stats *sum, const struct dissect_stats *const *workers, unsigned worker_n);

#endif
