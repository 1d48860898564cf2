#include "connection_set.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/mem.h"

enum { FIRST_SLOTS = 64 };

struct connection_set {
    struct select_connection *slots; /* ip_version 0: free */
    size_t cap, n;                   /* cap: a power of two, more than half of it free */
    uint64_t seed;                   /* addresses come from captures: nobody shall choose those that collide */
};

struct connection_set *connection_set_new(void)
{
    struct connection_set *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) != (ssize_t)sizeof(s->seed))
        s->seed = (uint64_t)(uintptr_t)s;
    return s;
}

void connection_set_free(struct connection_set *s)
{
    if (!s)
        return;
    mem_free(s->slots);
    mem_free(s);
}

/* The same for both directions: the lower end first, and nothing behind addresses. */
static struct select_connection normal(const struct select_connection *c)
{
    size_t n = c->ip_version == 4 ? 4 : 16;
    int order = memcmp(c->ip[0], c->ip[1], n);
    int first = order > 0 || (order == 0 && c->port[0] > c->port[1]);
    struct select_connection ret;
    memset(&ret, 0, sizeof(ret));
    memcpy(ret.ip[0], c->ip[first], n);
    memcpy(ret.ip[1], c->ip[!first], n);
    ret.port[0] = c->port[first];
    ret.port[1] = c->port[!first];
    ret.ip_version = c->ip_version;
    ret.transport = c->transport;
    return ret;
}

/* Where it is, or the free place where it would be. */
static struct select_connection *find(const struct connection_set *s, const struct select_connection *c)
{
    size_t i = (size_t)hash_bytes(c, sizeof(*c), s->seed) & (s->cap - 1);
    while (s->slots[i].ip_version && memcmp(&s->slots[i], c, sizeof(*c)) != 0)
        i = (i + 1) & (s->cap - 1);
    return &s->slots[i];
}

static bool grow(struct connection_set *s)
{
    struct connection_set bigger = *s;
    bigger.cap = s->cap ? s->cap * 2 : FIRST_SLOTS;
    bigger.slots = mem_calloc(bigger.cap, sizeof(*bigger.slots));
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->slots[i].ip_version)
            *find(&bigger, &s->slots[i]) = s->slots[i];
    mem_free(s->slots);
    *s = bigger;
    return true;
}

int connection_set_add(struct connection_set *s, const struct select_connection *c, struct error *err)
{
    struct select_connection key = normal(c);
    if (2 * s->n >= s->cap && !grow(s))
        return error_nomem(err);
    struct select_connection *slot = find(s, &key);
    s->n += !slot->ip_version;
    *slot = key;
    return TD_OK;
}

bool connection_set_has(const struct connection_set *s, const struct select_connection *c)
{
    struct select_connection key = normal(c);
    return s->n && find(s, &key)->ip_version;
}

size_t connection_set_count(const struct connection_set *s)
{
    return s->n;
}
