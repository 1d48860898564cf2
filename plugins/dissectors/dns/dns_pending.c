/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_pending.h"

enum { FEW = 8, BUCKETS = 256 };

void dns_pending_init(struct dns_pending_set *set)
{
    set->free = &set->first;
}

static struct dns_pending **bucket_of(const struct dns_pending_set *set, unsigned id)
{
    return &set->buckets[id % BUCKETS];
}

static bool fits(const struct dns_pending *p, unsigned id, uint64_t key, int dir)
{
    return p->id == id && p->dir == dir && (p->key == key || key == 0 || p->key == 0);
}

struct dns_pending *dns_pending_find(const struct dns_pending_set *set, unsigned id, uint64_t key, int dir)
{
    if (!set->buckets) {
        for (struct dns_pending *p = set->oldest; p; p = p->newer)
            if (fits(p, id, key, dir))
                return p;
        return NULL;
    }
    for (struct dns_pending *p = *bucket_of(set, id); p; p = p->next)
        if (fits(p, id, key, dir))
            return p;
    return NULL;
}

struct dns_pending *dns_pending_new(struct dns_pending_set *set, const struct td_host *host, struct td_arena *arena)
{
    struct dns_pending *p = set->free;
    if (!p)
        return host->alloc(arena, sizeof(*p), _Alignof(struct dns_pending));
    set->free = p->next;
    memset(p, 0, sizeof(*p));
    return p;
}

/* At the end, so that a bucket is ordered by age. */
static void put_in_bucket(struct dns_pending_set *set, struct dns_pending *p)
{
    struct dns_pending **at = bucket_of(set, p->id);
    while (*at)
        at = &(*at)->next;
    *at = p;
    p->next = NULL;
}

static void append(struct dns_pending_set *set, struct dns_pending *p)
{
    p->newer = NULL;
    p->older = set->newest;
    if (set->newest)
        set->newest->newer = p;
    else
        set->oldest = p;
    set->newest = p;
}

static void unlink_entry(struct dns_pending_set *set, struct dns_pending *p)
{
    if (p->older)
        p->older->newer = p->newer;
    else
        set->oldest = p->newer;
    if (p->newer)
        p->newer->older = p->older;
    else
        set->newest = p->older;
}

void dns_pending_add(struct dns_pending_set *set, struct dns_pending *p, const struct td_host *host, struct td_arena *arena)
{
    append(set, p);
    if (++set->count > FEW && !set->buckets) {
        set->buckets = host->alloc(arena, BUCKETS * sizeof(*set->buckets), _Alignof(struct dns_pending *));
        for (struct dns_pending *q = set->oldest; set->buckets && q; q = q->newer)
            put_in_bucket(set, q);
        return;
    }
    if (set->buckets)
        put_in_bucket(set, p);
}

void dns_pending_touch(struct dns_pending_set *set, struct dns_pending *p, int64_t time_ns)
{
    p->time_ns = time_ns;
    unlink_entry(set, p);
    append(set, p);
}

void dns_pending_remove(struct dns_pending_set *set, struct dns_pending *p)
{
    unlink_entry(set, p);
    if (set->buckets) {
        struct dns_pending **at = bucket_of(set, p->id);
        while (*at != p)
            at = &(*at)->next;
        *at = p->next;
    }
    set->count--;
    p->next = set->free;
    set->free = p;
}
