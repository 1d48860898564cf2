#include "dissect/stats.h"

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

/* Every port has a place: transport, TLS or not, number. Pages that nobody touches take no memory. */
enum { PORT_PLACES = 1 << 18 };

static struct dissect_port port_at(uint32_t place)
{
    return (struct dissect_port){place >> 17 ? 17 : 6, (uint16_t)place, place >> 16 & 1, {0, 0}};
}

void stats_count_port(struct dissect_stats *stats, uint8_t transport, uint16_t port, bool tls, uint64_t bytes)
{
    if (!stats->all_ports)
        stats->all_ports = mem_calloc(PORT_PLACES, sizeof(*stats->all_ports));
    if (!stats->all_ports) {
        stats->no_memory++;
        return;
    }
    struct port_count *p = &stats->all_ports[(transport == 17 ? 1u << 17 : 0) | (tls ? 1u << 16 : 0) | port];
    p->connections++;
    p->bytes += bytes;
}

void stats_clear(struct dissect_stats *stats)
{
    mem_free(stats->all_ports);
}

/* Puts a port where it belongs among those with most connections; the last one may fall out. */
static void rank_port(struct dissect_stats *sum, const struct dissect_port *port)
{
    if (sum->port_n == PORT_MAX && sum->ports[PORT_MAX - 1].count.connections >= port->count.connections)
        return;
    uint32_t at = sum->port_n < PORT_MAX ? sum->port_n++ : PORT_MAX - 1;
    for (; at > 0 && sum->ports[at - 1].count.connections < port->count.connections; at--)
        sum->ports[at] = sum->ports[at - 1];
    sum->ports[at] = *port;
}

void stats_add_ports(struct dissect_stats *sum, const struct dissect_stats *const *workers, unsigned worker_n)
{
    for (uint32_t place = 0; place < PORT_PLACES; place++) {
        struct dissect_port port = port_at(place);
        for (unsigned i = 0; i < worker_n; i++)
            if (workers[i]->all_ports) {
                port.count.connections += workers[i]->all_ports[place].connections;
                port.count.bytes += workers[i]->all_ports[place].bytes;
            }
        if (port.count.connections)
            rank_port(sum, &port);
    }
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
