#include "dissect/pipeline.h"

#include <unistd.h>

#include "base/json.h"

int pipeline_open(struct pipeline *p, const struct config *config, const struct registry *registry, struct error *err)
{
    *p = (struct pipeline){.config = config};
    int status = enabled_dissectors_open(&p->dissectors, config, registry, err);
    if (status == TD_OK && p->dissectors.set.n == 0)
        status = error_set(err, TD_E_NOT_FOUND, "no dissector was found; `tapedeck plugin list` shows where plugins are looked for");
    if (status == TD_OK)
        status = enabled_dissectors_fields(&p->dissectors, &p->registry, err);
    for (uint32_t i = 0; i < p->dissectors.set.kind_n; i++)
        p->components[i] = &p->dissectors.set.kinds[i].fields;
    return status;
}

void pipeline_close(struct pipeline *p)
{
    engine_free(p->engine);
    store_writer_free(p->store);
    field_registry_free(p->registry);
    enabled_dissectors_close(&p->dissectors);
    buf_clear(&p->packets);
}

unsigned pipeline_threads(const struct config *config, long wanted)
{
    long n = wanted ? wanted : (long)config->dissection.threads;
    if (n <= 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > ENGINE_MAX_THREADS ? ENGINE_MAX_THREADS : (unsigned)n;
}

struct engine_options pipeline_engine_options(const struct pipeline *p, unsigned threads)
{
    const struct dissection_config *d = &p->config->dissection;
    return (struct engine_options){.set = &p->dissectors.set,
                                   .max_memory = d->max_memory,
                                   .max_connection_memory = d->max_connection_memory,
                                   .max_fragment_memory = d->max_fragment_memory,
                                   .tcp_idle_ns = d->tcp_idle_ns,
                                   .udp_idle_ns = d->udp_idle_ns,
                                   .threads = threads};
}

/* ---- The store ---- */

/* Fields that nobody looks at unless asked for: a store keeps them. */
static void want_all(struct dissector_set *set)
{
    for (uint32_t i = 0; i < set->kind_n; i++) {
        struct call_kind *k = &set->kinds[i];
        for (uint32_t j = 0; j < k->fields.n; j++) {
            const struct field *f = &k->fields.fields[j];
            if (f->type == TD_MAP || (f->flags & (TD_F_BODY | TD_F_LIST)))
                k->wanted[j / 64] |= 1ull << (j % 64);
        }
    }
    call_kinds_want_lent(set);
}

int pipeline_create_store(struct pipeline *p, const char *path, struct store_create_options options, struct error *err)
{
    options.registry = p->registry;
    options.components = p->components;
    options.component_n = p->dissectors.set.kind_n;
    want_all(&p->dissectors.set);
    return store_create(path, &options, &p->store, err);
}

void pipeline_store_call(void *ctx, const struct td_call *call, struct buf *out)
{
    struct pipeline *p = ctx;
    (void)out;
    if (store_append(p->store, call_worker(call), call, NULL) != TD_OK)
        atomic_store(&p->store_failed, true);
}

int pipeline_finish_store(struct pipeline *p, struct td_slice more, struct error *err)
{
    struct buf summary = {0};
    buf_putc(&summary, '{');
    pipeline_put_summary(p, store_appended(p->store), &summary);
    buf_put_slice(&summary, more);
    buf_putc(&summary, '}');
    int status = summary.failed ? error_nomem(err) : store_finish(p->store, buf_slice(&summary), err);
    buf_clear(&summary);
    return status;
}

/* ---- Captures ---- */

static void count_packets(struct pipeline *p, uint64_t n)
{
    buf_put(&p->packets, &n, sizeof(n));
}

int pipeline_run(struct pipeline *p, struct capture *capture, struct error *err)
{
    int status = engine_run(p->engine, capture, err);
    count_packets(p, capture_packets(capture));
    return status;
}

void pipeline_skip(struct pipeline *p)
{
    count_packets(p, 0);
}

/* ---- The summary ---- */

static void put_count(struct buf *out, const char *name, uint64_t n)
{
    buf_putc(out, ',');
    json_put_string(out, td_str(name));
    buf_putc(out, ':');
    buf_u64(out, n);
}

static void put_protocols(const struct pipeline *p, const struct dissect_stats *s, struct buf *out)
{
    const struct dissector_set *set = &p->dissectors.set;
    bool first = true;
    buf_lit(out, ",\"protocols\":{");
    for (uint32_t i = 0; i < set->n; i++) {
        if (!s->connections[i])
            continue;
        if (!first)
            buf_putc(out, ',');
        first = false;
        json_put_string(out, td_str(set->v[i].protocol));
        buf_lit(out, ":{\"calls\":");
        buf_u64(out, s->calls[i]);
        put_count(out, "incomplete", s->incomplete[i]);
        put_count(out, "connections", s->connections[i]);
        put_count(out, "lost_connections", s->lost_claims[i]);
        buf_putc(out, '}');
    }
    buf_putc(out, '}');
}

static void put_skipped(const struct decode_stats *s, struct buf *out)
{
    bool first = true;
    buf_lit(out, ",\"not_dissected\":{");
    for (int i = 1; i < DECODE_SKIP_COUNT; i++) {
        if (!s->skipped[i])
            continue;
        if (!first)
            buf_putc(out, ',');
        first = false;
        json_put_string(out, td_str(decode_skip_name((enum decode_skip)i)));
        buf_putc(out, ':');
        buf_u64(out, s->skipped[i]);
    }
    buf_putc(out, '}');
}

void pipeline_put_summary(const struct pipeline *p, uint64_t calls, struct buf *out)
{
    struct engine_stats s;
    const uint64_t *packets = (const uint64_t *)(const void *)p->packets.p;
    engine_stats(p->engine, &s);
    out->failed |= p->packets.failed;
    buf_lit(out, "\"packets\":[");
    for (size_t i = 0; i < p->packets.n / sizeof(*packets); i++) {
        if (i)
            buf_putc(out, ',');
        buf_u64(out, packets[i]);
    }
    buf_putc(out, ']');
    put_count(out, "bytes", s.bytes);
    put_count(out, "calls", calls);
    put_protocols(p, &s.dissect, out);
    put_count(out, "tcp_connections", s.flow.tcp_connections);
    put_count(out, "udp_flows", s.flow.udp_connections);
    put_count(out, "unclaimed_tcp", s.dissect.unclaimed_tcp);
    put_count(out, "unclaimed_udp", s.dissect.unclaimed_udp);
    put_skipped(&s.decode, out);
    put_count(out, "gaps", s.flow.gaps);
    put_count(out, "gap_bytes", s.flow.gap_bytes);
    put_count(out, "evicted", s.flow.evicted);
    put_count(out, "over_limit", s.dissect.over_limit);
}
