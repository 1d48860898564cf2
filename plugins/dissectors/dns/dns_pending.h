/* The queries of one connection that wait for their answers, found by id and question, ordered by age.
 *
 * Entries live in the connection's arena and are used again and again. The first one needs no allocation: most UDP
 * flows see one query. Beyond a few there is a hash table.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_PENDING_H
#define DNS_PENDING_H

#include "dns_transfer.h"

#include <tapedeck/plugin.h>

struct dns_pending {
    struct dns_pending *older, *newer; /* by the last time that something was heard of it */
    struct dns_pending *next;          /* in the bucket, or in the free list */
    struct td_call *call;
    uint64_t key; /* hash of the question; 0: it had none */
    int64_t time_ns;
    uint64_t response_size;
    size_t text; /* bytes of record text that the call holds */
    uint32_t request_size;
    uint32_t retransmissions, responses;
    uint32_t flags; /* for commit() */
    uint16_t id;
    uint8_t dir; /* who asked */
    struct dns_transfer transfer;
};

struct dns_pending_set {
    struct dns_pending *oldest, *newest, *free;
    struct dns_pending **buckets; /* NULL as long as there are few */
    uint32_t count;
    struct dns_pending first;
};

/* `set` must be zeroed. */
void dns_pending_init(struct dns_pending_set *set);

/* The oldest query of `dir` with this id whose question has this key; a key of 0, on either side, fits all. */
struct dns_pending *dns_pending_find(const struct dns_pending_set *set, unsigned id, uint64_t key, int dir);

/* A zeroed entry that is not in the set yet; NULL when the arena is used up. */
struct dns_pending *dns_pending_new(struct dns_pending_set *set, const struct td_host *host, struct td_arena *arena);

/* Puts the entry, whose id, key and dir are set, at the newest end. */
void dns_pending_add(struct dns_pending_set *set, struct dns_pending *p, const struct td_host *host, struct td_arena *arena);

/* Makes it the newest again. */
void dns_pending_touch(struct dns_pending_set *set, struct dns_pending *p, int64_t time_ns);

/* Takes it out; the entry may be reused from now on. */
void dns_pending_remove(struct dns_pending_set *set, struct dns_pending *p);

#endif
