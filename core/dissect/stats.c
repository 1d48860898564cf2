#include "dissect/stats.h"

#include <stdlib.h>

#include "base/mem.h"

static void add_reason(struct dissect_stats *stats, const char *dissector, const char *why, uint64_t count)
{
    for (uint32_t i = 0; i < stats->reason_n; i++) {
        struct dissect_reason *r = &stats->reasons[i];
        if (strcmp(r->why, why) == 0 && strcmp(r->dissector, dissector) == 0) {
            r->count += count;
            return;
        }
    }
    if (stats->reason_n < REASON_MAX)
        stats->reasons[stats->reason_n++] = (struct dissect_reason){dissector, why, count};
}

void stats_count_reason(struct dissect_stats *stats, const char *dissector, const char *why)
{
    add_reason(stats, dissector, why, 1);
}

/* What tells ports apart, in the order in which equals are shown. Never 0. */
static uint32_t port_key(const struct dissect_port *p)
{
    return (uint32_t)p->transport << 17 | (uint32_t)p->tls << 16 | p->port;
}

/* Where a port is in the table, or the empty row for it. There is one. */
static struct dissect_port *find_port(const struct dissect_stats *stats, const struct dissect_port *port)
{
    uint32_t mask = stats->all_port_cap - 1;
    uint32_t i = (port_key(port) * 0x9e3779b1u) >> 8;
    while (stats->all_ports[i & mask].connections && port_key(&stats->all_ports[i & mask]) != port_key(port))
        i++;
    return &stats->all_ports[i & mask];
}

/* Twice the rows, before they are three quarters full: 2^18 ports at most. */
static bool grow_ports(struct dissect_stats *stats)
{
    struct dissect_stats old = *stats;
    stats->all_port_cap = old.all_port_cap ? old.all_port_cap * 2 : 16;
    stats->all_ports = mem_calloc(stats->all_port_cap, sizeof(*stats->all_ports));
    if (!stats->all_ports) {
        stats->all_ports = old.all_ports;
        stats->all_port_cap = old.all_port_cap;
        return false;
    }
    for (uint32_t i = 0; i < old.all_port_cap; i++)
        if (old.all_ports[i].connections)
            *find_port(stats, &old.all_ports[i]) = old.all_ports[i];
    mem_free(old.all_ports);
    return true;
}

void stats_count_port(struct dissect_stats *stats, uint8_t transport, uint16_t port, bool tls, uint64_t bytes)
{
    if ((stats->all_port_n + 1) * 4 > stats->all_port_cap * 3 && !grow_ports(stats)) {
        stats->no_memory++;
        return;
    }
    struct dissect_port row = {transport, port, tls, 0, 0}, *p = find_port(stats, &row);
    if (!p->connections) {
        *p = row;
        stats->all_port_n++;
    }
    p->connections++;
    p->bytes += bytes;
}

void stats_clear(struct dissect_stats *stats)
{
    mem_free(stats->all_ports);
}

/* Those with most connections first. */
static int compare_ports(const void *a, const void *b)
{
    const struct dissect_port *x = a, *y = b;
    if (x->connections != y->connections)
        return x->connections < y->connections ? 1 : -1;
    return (port_key(x) > port_key(y)) - (port_key(x) < port_key(y));
}

/* Adds up what the workers have counted, in a table of its own. */
static bool sum_ports(struct dissect_stats *all, const struct dissect_stats *const *workers, unsigned worker_n)
{
    for (unsigned i = 0; i < worker_n; i++)
        for (uint32_t j = 0; j < workers[i]->all_port_cap; j++) {
            const struct dissect_port *from = &workers[i]->all_ports[j];
            if (!from->connections)
                continue;
            if ((all->all_port_n + 1) * 4 > all->all_port_cap * 3 && !grow_ports(all))
                return false;
            struct dissect_port *to = find_port(all, from);
            all->all_port_n += !to->connections;
            *to =
                (struct dissect_port){from->transport, from->port, from->tls, to->connections + from->connections, to->bytes + from->bytes};
        }
    return true;
}

void stats_add_ports(struct dissect_stats *sum, const struct dissect_stats *const *workers, unsigned worker_n)
{
    if (sum_ports(sum, workers, worker_n) && sum->all_port_n) {
        qsort(sum->all_ports, sum->all_port_cap, sizeof(*sum->all_ports), compare_ports); /* empty rows last */
        sum->port_n = sum->all_port_n < PORT_MAX ? sum->all_port_n : PORT_MAX;
        memcpy(sum->ports, sum->all_ports, sum->port_n * sizeof(*sum->ports));
    }
    stats_clear(sum);
    sum->all_ports = NULL;
    sum->all_port_n = sum->all_port_cap = 0;
}

void stats_add(struct dissect_stats *sum, const struct dissect_stats *stats)
{
    for (int i = 0; i < DISSECTOR_MAX; i++) {
        sum->connections[i] += stats->connections[i];
        sum->calls[i] += stats->calls[i];
        sum->incomplete[i] += stats->incomplete[i];
        sum->lost_claims[i] += stats->lost_claims[i];
    }
    sum->unclaimed_tcp += stats->unclaimed_tcp;
    sum->unclaimed_udp += stats->unclaimed_udp;
    sum->over_limit += stats->over_limit;
    sum->no_memory += stats->no_memory;
    sum->evicted_calls += stats->evicted_calls;
    sum->misuse += stats->misuse;
    for (uint32_t i = 0; i < stats->reason_n; i++)
        add_reason(sum, stats->reasons[i].dissector, stats->reasons[i].why, stats->reasons[i].count);
}
