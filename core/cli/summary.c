#include "cli/summary.h"

#include <stdlib.h>

#include "base/units.h"

enum { PORTS_SHOWN = 5 };

static unsigned long long ull(uint64_t v)
{
    return v;
}

static void print_decode(FILE *out, const struct decode_stats *s)
{
    uint64_t skipped = 0;
    for (int i = 1; i < DECODE_SKIP_COUNT; i++)
        skipped += s->skipped[i];
    if (skipped) {
        fprintf(out, "not dissected: %llu packets (", ull(skipped));
        for (int i = 1, n = 0; i < DECODE_SKIP_COUNT; i++)
            if (s->skipped[i])
                fprintf(out, "%s%s: %llu", n++ ? ", " : "", decode_skip_name((enum decode_skip)i), ull(s->skipped[i]));
        fprintf(out, ")\n");
    }
    if (s->datagrams || s->fragments_lost)
        fprintf(out, "fragments: %llu datagrams put together, %llu given up\n", ull(s->datagrams), ull(s->fragments_lost));
    if (s->tunnels)
        fprintf(out, "tunnels: %llu headers taken off\n", ull(s->tunnels));
}

static void print_unclaimed(FILE *out, const struct dissect_stats *s)
{
    char size[UNITS_TEXT];
    if (!s->unclaimed_tcp && !s->unclaimed_udp)
        return;
    const struct dissect_port *ports = s->ports;
    fprintf(out, "no dissector: %llu TCP connections, %llu UDP flows", ull(s->unclaimed_tcp), ull(s->unclaimed_udp));
    for (uint32_t i = 0; i < s->port_n && i < PORTS_SHOWN; i++)
        fprintf(out, "%s%s %u%s: %llu, %s", i ? "; " : " (", ports[i].transport == 6 ? "tcp" : "udp", ports[i].port,
                ports[i].tls ? " TLS" : "", ull(ports[i].connections), units_format_size(ports[i].bytes, size));
    fprintf(out, "%s)\n", s->port_n > PORTS_SHOWN ? "; ..." : "");
}

static void print_flow(FILE *out, const struct flow_stats *s)
{
    char size[UNITS_TEXT];
    if (s->gaps)
        fprintf(out, "gaps: %llu, %s missing\n", ull(s->gaps), units_format_size(s->gap_bytes, size));
    if (s->retransmitted || s->reordered)
        fprintf(out, "tcp: %llu segments retransmitted, %llu out of order\n", ull(s->retransmitted), ull(s->reordered));
}

static int by_count(const void *a, const void *b)
{
    const struct dissect_reason *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    int order = strcmp(x->dissector, y->dissector);
    return order ? order : strcmp(x->why, y->why);
}

static void print_reasons(FILE *out, const struct dissect_stats *s)
{
    struct dissect_reason reasons[REASON_MAX];
    memcpy(reasons, s->reasons, sizeof(reasons));
    qsort(reasons, s->reason_n, sizeof(reasons[0]), by_count);
    for (uint32_t i = 0; i < s->reason_n; i++)
        fprintf(out, "%s: %s: %llu\n", reasons[i].dissector, reasons[i].why, ull(reasons[i].count));
}

static void print_limits(FILE *out, const struct engine_stats *s)
{
    if (s->flow.evicted)
        fprintf(out,
                "evicted: %llu connections closed early because memory was needed, %llu of them with open calls, %llu without any "
                "payload; tap.dissection.maxMemory sets the limit\n",
                ull(s->flow.evicted), ull(s->dissect.evicted_calls), ull(s->flow.evicted_embryonic));
    if (s->dissect.over_limit)
        fprintf(out, "limit: tap.dissection.maxConnectionMemory was reached %llu times; calls are cut there\n", ull(s->dissect.over_limit));
    if (s->flow.no_memory || s->dissect.no_memory)
        fprintf(out, "memory: the system had none left %llu times; packets or calls were left out\n",
                ull(s->flow.no_memory + s->dissect.no_memory));
    if (s->dissect.misuse)
        fprintf(out, "defect: dissectors set fields that they have not declared so %llu times\n", ull(s->dissect.misuse));
}

void summary_print(FILE *out, const struct engine_stats *s, const struct dissector_set *set)
{
    char size[UNITS_TEXT];
    fprintf(out, "%llu packets (%s), %llu TCP connections (%llu from mid-stream), %llu UDP flows\n", ull(s->packets),
            units_format_size(s->bytes, size), ull(s->flow.tcp_connections), ull(s->flow.midstream), ull(s->flow.udp_connections));
    for (uint32_t i = 0; i < set->n; i++)
        if (s->dissect.connections[i])
            fprintf(out, "%s: %llu calls (%llu incomplete) on %llu connections%s\n", set->v[i].protocol, ull(s->dissect.calls[i]),
                    ull(s->dissect.incomplete[i]), ull(s->dissect.connections[i]),
                    s->dissect.lost_claims[i] ? ", of which some turned out to be something else" : "");
    print_unclaimed(out, &s->dissect);
    print_decode(out, &s->decode);
    print_flow(out, &s->flow);
    print_reasons(out, &s->dissect);
    print_limits(out, s);
}
