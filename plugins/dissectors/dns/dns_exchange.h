/* Queries and answers become calls: matching by id and question, retransmissions, duplicates, transfers, timeouts.
 *
 * [worker] One struct for each connection, in its arena.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_EXCHANGE_H
#define DNS_EXCHANGE_H

#include "dns_message.h"
#include "dns_pending.h"

/* The component's options. */
struct dns_config {
    int64_t query_timeout_ns;
    int64_t max_pending;
    uint64_t max_text;
};

/* What makes a response recognisable when it comes twice. */
struct dns_seen {
    uint64_t key;
    int64_t time_ns;
    struct dns_header header;
    uint32_t size;
};

enum { DNS_SEEN = 2 };

struct dns_exchange {
    const struct td_host *host;
    const struct dns_config *config;
    struct td_conn *conn;
    struct td_arena *arena;
    struct dns_wants wants;
    enum dns_variant variant;
    bool to_group;  /* one end is a multicast group: no answer ever comes back on this flow */
    bool datagrams; /* UDP */
    bool confirmed;
    uint8_t seen_at;
    struct dns_seen seen[DNS_SEEN];
    struct dns_pending_set pending;
};

/* Where a message was found. */
struct dns_place {
    struct td_slice bytes;
    uint64_t begin, end; /* in the stream of `dir`, with the length before it */
    int64_t time_ns;
    int dir;
    bool cut; /* the end was not captured */
};

/* A message. False if it is none; then nothing was done with it but to count the violation. */
bool dns_exchange_message(struct dns_exchange *x, const struct dns_place *at);

/* Bytes of what `dir` sends are missing. */
void dns_exchange_gap(struct dns_exchange *x, int dir);

/* Commits all that is open. */
void dns_exchange_close(struct dns_exchange *x);

#endif
