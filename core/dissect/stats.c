#include "dissect/stats.h"

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

void stats_count_port(struct dissect_stats *stats, const struct dissect_port *port)
{
    for (uint32_t i = 0; i < stats->port_n; i++) {
        struct dissect_port *p = &stats->ports[i];
        if (p->transport == port->transport && p->port == port->port && p->tls == port->tls) {
            p->connections += port->connections;
            p->bytes += port->bytes;
            return;
        }
    }
    if (stats->port_n < PORT_MAX)
        stats->ports[stats->port_n++] = *port;
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
    for (uint32_t i = 0; i < stats->port_n; i++)
        stats_count_port(sum, &stats->ports[i]);
}
