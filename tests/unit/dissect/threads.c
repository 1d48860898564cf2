/* The same bytes out, whatever the number of threads: with memory to spare and when connections have to be evicted. */
#include "rig.h"

#include <stdlib.h>

#include "tap.h"
#include "toy.h"
#include "traffic.h"

extern const struct td_plugin td_plugin_v1_http, td_plugin_v1_dns;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_toy, &td_plugin_v1_http, &td_plugin_v1_dns, NULL};

enum { TALKS = 300, STEPS = 12000 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* What a client and a server of some protocol say in turn. */
static void say(struct talk *k, unsigned i, unsigned step, uint32_t *random)
{
    struct buf text = {0};
    size_t mss = next_random(random) % 3 ? 0 : 1 + next_random(random) % 40;
    int dir = (int)(step % 2);
    if (i % 3 == 0)
        buf_printf(&text, dir ? "reply %u\n" : "ask t%u-%u\npairs 20\nfill 300\nskip 5\n12345", i, step);
    else if (dir)
        buf_printf(&text, "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n%600u", step);
    else
        buf_printf(&text, "GET /%u/%u HTTP/1.1\r\nHost: h\r\nX: %0*u\r\n\r\n", i, step, (int)(next_random(random) % 300), step);
    if (next_random(random) % 50 == 0)
        talk_lose(k, dir, text.n);
    else
        talk_send(k, dir, buf_slice(&text), mss);
    buf_clear(&text);
}

static void put_query(struct traffic *t, unsigned i, bool answer)
{
    uint8_t query[] = {
        (uint8_t)(i >> 8), (uint8_t)i, answer ? 0x81 : 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, (uint8_t)('a' + i % 26), 0, 0, 1, 0, 1};
    struct peer client = {{10, 2, 0, (uint8_t)(i % 200)}, (uint16_t)(20000 + i)}, server = {{10, 3, 0, 53}, 53};
    traffic_udp(t, answer ? server : client, answer ? client : server, td_bytes(query, sizeof(query)));
}

/* Many connections that speak in turns, some lose packets, some never end. */
static void make_traffic(struct traffic *t)
{
    static struct talk talks[TALKS];
    static unsigned steps[TALKS];
    uint32_t random = 1;
    traffic_init(t);
    memset(steps, 0, sizeof(steps));
    for (unsigned i = 0; i < TALKS; i++)
        talk_open(&talks[i], t, (struct peer){{10, 0, (uint8_t)i, 1}, (uint16_t)(30000 + i)},
                  (struct peer){{10, 1, 0, (uint8_t)(i % 7)}, 8080});
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned which = next_random(&random) % TALKS;
        say(&talks[which], which, steps[which]++, &random);
        if (next_random(&random) % 3 == 0)
            put_query(t, i / 2, i % 2);
    }
    for (unsigned i = 0; i < TALKS; i += 2)
        talk_close(&talks[i]);
    for (unsigned i = 0; i < 2000; i++) /* ports that nobody claims, some more often */
        traffic_udp(t, (struct peer){{10, 4, (uint8_t)(i >> 8), (uint8_t)i}, 50000},
                    (struct peer){{10, 5, 0, 1}, (uint16_t)(2000 + i * i % 500)}, td_str("nonsense"));
}

static bool same_ports(const struct dissect_stats *a, const struct dissect_stats *b)
{
    bool same = a->port_n == PORT_MAX && b->port_n == PORT_MAX;
    for (uint32_t i = 0; same && i < PORT_MAX; i++) {
        const struct dissect_port *x = &a->ports[i], *y = &b->ports[i];
        same = x->transport == y->transport && x->port == y->port && x->tls == y->tls && x->connections == y->connections &&
               x->bytes == y->bytes && (i == 0 || x->connections <= a->ports[i - 1].connections);
    }
    return same;
}

static void compare(struct rig *rig, const struct traffic *t, const char *what)
{
    rig->options.threads = 1;
    char *one = strdup(rig_run(rig, buf_slice(&t->pcap)));
    size_t n = rig->out.n;
    struct engine_stats stats = rig->stats;
    ok(rig->status == TD_OK && n > 100000, "%s: one thread writes %zu bytes", what, n);
    for (unsigned threads = 2; threads <= 4; threads++) {
        rig->options.threads = threads;
        (void)rig_run(rig, buf_slice(&t->pcap));
        ok(rig->out.n == n && memcmp(rig->out.p, one, n) == 0, "%s: %u threads write the same", what, threads);
        ok(memcmp(&rig->stats.flow, &stats.flow, sizeof(stats.flow)) == 0, "and count the same");
        is_int(rig->stats.dissect.over_limit, stats.dissect.over_limit, "even how often a limit was reached");
        ok(same_ports(&rig->stats.dissect, &stats.dissect), "and which ports nobody claimed");
    }
    free(one);
}

static int fail_later(void *ctx, struct td_slice bytes)
{
    size_t *left = ctx;
    if (bytes.n > *left)
        return TD_E_INTERNAL;
    *left -= bytes.n;
    return TD_OK;
}

static bool stop_later(void *ctx, uint64_t packets)
{
    return packets < *(uint64_t *)ctx;
}

/* An engine whose output fails, or that is told to stop, ends at once and in order. */
static void trouble(struct rig *rig, const struct traffic *t)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct engine_options options = rig->options;
        struct engine *engine = NULL;
        struct capture *capture;
        struct error err = {0};
        size_t left = 50000;
        uint64_t limit = 5000;
        options.threads = threads;
        options.write = fail_later;
        options.write_ctx = &left;
        ok(capture_open_memory(buf_slice(&t->pcap), &capture, &err) == TD_OK && engine_new(&options, &engine, &err) == TD_OK, "start");
        is_int(engine_run(engine, capture, &err), TD_E_INTERNAL, "%u threads: the output fails", threads);
        like(err.text, "the output cannot be written", "and that is said");
        is_int(engine_finish(engine, &err), TD_E_INTERNAL, "it stays so to the end");
        engine_free(engine);
        capture_close(capture);

        options.write = rig->options.write;
        options.write_ctx = rig;
        options.progress = stop_later;
        options.progress_ctx = &limit;
        ok(capture_open_memory(buf_slice(&t->pcap), &capture, &err) == TD_OK && engine_new(&options, &engine, &err) == TD_OK, "start");
        is_int(engine_run(engine, capture, &err), TD_E_CANCELLED, "%u threads: told to stop", threads);
        is_int(engine_finish(engine, &err), TD_OK, "what was read is written");
        engine_free(engine);
        capture_close(capture);
    }
}

int main(void)
{
    struct rig rig;
    struct traffic t;
    rig_open(&rig, plugins);
    make_traffic(&t);
    compare(&rig, &t, "with memory to spare");
    rig.options.max_connection_memory = 8 << 10;
    compare(&rig, &t, "with little for each connection");
    rig.options.max_memory = 2 << 20;
    rig.options.max_connection_memory = 64 << 10;
    compare(&rig, &t, "with little for all");
    ok(rig.stats.flow.evicted > 100, "some were evicted");
    trouble(&rig, &t);
    traffic_clear(&t);
    rig_close(&rig);
    return tap_done();
}
