/* The hub's workers: what is known of them, clocks, those that stall, lie or go, names with several addresses. */
#include "hub/nodes.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "net/http_request.h"
#include "tap.h"

#define TOKEN "worker-0123456789abcdef"

/* A worker as the hub sees it. */
struct fake {
    struct http_server *server;
    const char *name;
    int64_t ahead_ns; /* its clock */
    atomic_uint asked;
    atomic_bool stalls, lies, fails;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Waits at most ten seconds. */
#define eventually(cond)                                    \
    ({                                                      \
        int64_t until_ = now_ns() + 10 * (int64_t)NS_PER_S; \
        while (!(cond) && now_ns() < until_)                \
            usleep(2000);                                   \
        (bool)(cond);                                       \
    })

static int get_node(void *ctx, struct http_request *q, struct error *err)
{
    struct fake *f = ctx;
    struct buf b = {.n = 0};
    char text[UNITS_TEXT];
    (void)err;
    atomic_fetch_add(&f->asked, 1);
    while (atomic_load(&f->stalls) && !http_cancelled(q))
        usleep(1000);
    units_format_time(now_ns() + f->ahead_ns, text);
    if (atomic_load(&f->lies))
        buf_lit(&b, "[\"no\",\"worker\"]");
    else
        buf_printf(&b, "{\"node\":\"%s\",\"version\":\"9.9\",\"status\":\"%s\",\"reason\":\"%s\",\"now\":\"%s\"}", f->name,
                   atomic_load(&f->fails) ? "failing" : "capturing", atomic_load(&f->fails) ? "the disk is full" : "", text);
    http_reply_body(q, 200, "application/json", &b);
    return TD_OK;
}

static int get_boundaries(void *ctx, struct http_request *q, struct error *err)
{
    struct buf b = {.n = 0};
    (void)ctx;
    (void)err;
    buf_lit(&b, "{\"oldest\":\"2026-01-01T00:00:00Z\",\"newest\":\"2026-01-01T00:00:10Z\",\"covered_from\":\"2026-01-01T00:00:00Z\","
                "\"covered_to\":null,\"packets\":7,\"dropped_by_kernel\":1,\"dropped_by_interface\":2,\"dropped_by_disk\":-3}");
    http_reply_body(q, 200, "application/json", &b);
    return TD_OK;
}

static const struct http_route routes[] = {
    {"GET", "/api/v1/node", HTTP_VIEWER, NULL, 0, get_node},
    {"GET", "/api/v1/data-boundaries", HTTP_VIEWER, NULL, 0, get_boundaries},
};

static void start(struct fake *f, const char *name, const char *listen)
{
    static const struct http_token token = {.text = TOKEN, .role = HTTP_ADMIN};
    const struct http_route_set set = {routes, 2, f};
    const struct http_server_options o = {
        .component = "fake", .listen = listen, .tokens = &token, .token_count = 1, .sets = &set, .set_count = 1};
    struct error err = {.text = ""};
    f->name = name;
    int status = http_server_open(&o, &f->server, &err);
    if (status == TD_OK)
        status = http_server_start(f->server, &err);
    if (!ok(status == TD_OK, "worker %s starts", name))
        tap_diag("%s", err.text);
}

/* The i-th that is listed, as it is now; `n` of them. */
static struct node look(struct nodes *ns, size_t i, size_t *ret_n)
{
    struct node *v = NULL, one = {.health = NODE_UNKNOWN};
    struct error err;
    *ret_n = 0;
    if (nodes_list(ns, &v, ret_n, &err) == TD_OK && i < *ret_n)
        one = v[i];
    nodes_list_free(v, *ret_n);
    return one;
}

static enum node_health health(struct nodes *ns, size_t i)
{
    size_t n;
    return look(ns, i, &n).health;
}

static struct nodes *open_nodes(const struct nodes_source *v, size_t n)
{
    struct nodes *ns = NULL;
    struct error err = {.text = ""};
    const struct nodes_options o = {
        .sources = v, .source_count = n, .agent = "tapedeck/test", .interval_ns = 20 * NS_PER_MS, .lookup_ns = 20 * NS_PER_MS};
    if (!ok(nodes_open(&o, &ns, &err) == TD_OK, "%zu workers are asked", n))
        tap_diag("%s", err.text);
    return ns;
}

static void test_clock(void)
{
    struct node_clock c = {.n = 0};
    int64_t offset, error;
    ok(!node_clock_best(&c, &offset, &error) && offset == INT64_MAX && error == INT64_MAX, "at first nothing is known of a clock");
    node_clock_add(&c, 1000, 2000, 1600);
    ok(node_clock_best(&c, &offset, &error) && offset == 100 && error == 501, "its time is set against the middle of the question");
    node_clock_add(&c, 10000, 10100, 10250);
    node_clock_add(&c, 20000, 29000, 20000);
    ok(node_clock_best(&c, &offset, &error) && offset == 200 && error == 51, "the quickest answer is the best");
    for (int i = 0; i < NODE_CLOCK_SAMPLES; i++)
        node_clock_add(&c, 100000, 100500, 100250);
    ok(node_clock_best(&c, &offset, &error) && offset == 0 && error == 251, "but not for ever");
    node_clock_add(&c, 2000, 1000, 1);
    node_clock_add(&c, 0, 0, INT64_MIN);
    node_clock_add(&c, INT64_MIN, INT64_MAX, 0);
    node_clock_add(&c, INT64_MIN, INT64_MIN, INT64_MAX);
    ok(node_clock_best(&c, &offset, &error) && error == 1, "what went backwards, or would overflow, is left out: %lld", (long long)offset);
}

static void test_specs(void)
{
    static const char *const good[] = {"http://a:1", "https://a.b:48999", "http://[::1]:1", "dns:a:1", "dns:workers.ns.svc:48999"};
    static const char *const bad[] = {"",         "a:1",       "ftp://a:1", "dns:a",     "dns::1",     "dns:a:0",   "dns:a:65536",
                                      "dns:a:1x", "dns:a/b:1", "http://",   "http:///x", "http://a b", "http://\n", "dns:a:123456",
                                      "https://", "dns:"};
    struct error err;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ok(nodes_check_spec(good[i], &err) == TD_OK, "%s is a worker", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(nodes_check_spec(bad[i], &err) == TD_E_CONFIG, "\"%zu\" is none", i);
    struct nodes *ns = NULL;
    const struct nodes_source source = {"x", NULL, NULL};
    const struct nodes_options o = {.sources = &source, .source_count = 1};
    is_int(nodes_open(&o, &ns, &err), TD_E_CONFIG, "and such are refused");
    like(err.text, "\"x\" is no worker", "by name");
}

/* The first of many come before it is seen that there are too many. */
static void check_too_many(struct nodes *ns, const struct nodes_source *own)
{
    static char specs[NODES_MAX][32];
    static struct nodes_source v[NODES_MAX + 1];
    struct error err;
    size_t n;
    for (size_t i = 0; i < NODES_MAX; i++) {
        snprintf(specs[i], sizeof(specs[i]), "http://127.0.0.1:%zu", i + 1);
        v[i] = (struct nodes_source){specs[i], NULL, NULL};
    }
    v[NODES_MAX] = *own;
    is_int(nodes_set_sources(ns, v, NODES_MAX + 1, &err), TD_E_LIMIT, "too many are refused");
    look(ns, 0, &n);
    is_int(n, 2, "and leave the list as it was");
    ok(health(ns, 0) == NODE_CAPTURING && health(ns, 1) == NODE_CAPTURING, "with what is known");
}

static void test_asking(void)
{
    struct fake a = {.ahead_ns = 3600 * (int64_t)NS_PER_S}, b = {.ahead_ns = 0};
    start(&a, "a", "127.0.0.1:0");
    start(&b, "b", "127.0.0.1:0");
    const struct nodes_source v[] = {{http_server_url(b.server), TOKEN, NULL}, {http_server_url(a.server), TOKEN, ""}};
    struct nodes *ns = open_nodes(v, 2);
    struct error err;
    size_t n;
    ok(nodes_wait_asked(ns, 10 * (int64_t)NS_PER_S), "both are asked");
    ok(eventually(health(ns, 0) == NODE_CAPTURING && health(ns, 1) == NODE_CAPTURING), "both capture");
    check_too_many(ns, &v[0]);
    struct node one = look(ns, 0, &n);
    is_int(n, 2, "both are listed");
    is_str(one.name, "a", "by name");
    is_str(one.version, "9.9", "with the version");
    ok(one.has_packets && !one.has_cover && one.packets == 7 && one.newest_ns - one.oldest_ns == 10 * (int64_t)NS_PER_S, "boundaries");
    ok(one.dropped_by_kernel == 1 && one.dropped_by_interface == 2 && one.dropped_by_disk == 0, "drops; what is below nothing is nothing");
    int64_t off = one.clock_offset_ns - a.ahead_ns;
    ok(one.clock_error_ns < NS_PER_S && off <= one.clock_error_ns && off >= -one.clock_error_ns,
       "an hour ahead, within the error that is told");
    ok(one.seen_ns > now_ns() - 10 * (int64_t)NS_PER_S, "and when it was seen");

    atomic_store(&a.fails, true);
    ok(eventually(health(ns, 0) == NODE_FAILING), "one that cannot write is told");
    is_str(look(ns, 0, &n).reason, "the disk is full", "with the reason");
    atomic_store(&a.fails, false);
    atomic_store(&b.stalls, true);
    unsigned before = atomic_load(&a.asked);
    ok(eventually(atomic_load(&a.asked) > before + 5), "one that stalls keeps no other waiting");
    int64_t begin = now_ns();
    look(ns, 0, &n);
    ok(now_ns() - begin < NS_PER_S, "nor those who want to know");
    atomic_store(&b.stalls, false);
    atomic_store(&b.lies, true);
    ok(eventually(health(ns, 1) == NODE_UNREACHABLE), "one that answers nonsense");
    like(look(ns, 1, &n).reason, "none of a worker", "is told");
    is_str(look(ns, 1, &n).name, "b", "its name stays known");
    atomic_store(&b.lies, false);
    ok(eventually(health(ns, 1) == NODE_CAPTURING), "and may come back");
    http_server_stop(b.server);
    ok(eventually(health(ns, 1) == NODE_UNREACHABLE && *look(ns, 1, &n).reason), "one that is gone is told: %s", look(ns, 1, &n).reason);

    const struct nodes_source wrong = {http_server_url(a.server), "wrong-0123456789abcdef", NULL};
    is_int(nodes_set_sources(ns, &wrong, 1, &err), TD_OK, "they may change while it runs");
    ok(eventually(health(ns, 0) == NODE_UNREACHABLE), "a token that is not the worker's");
    look(ns, 0, &n);
    is_int(n, 1, "and the others are forgotten");
    is_int(nodes_set_sources(ns, &v[1], 1, &err), TD_OK, "the right token again");
    ok(eventually(health(ns, 0) == NODE_CAPTURING), "and all is well");
    atomic_store(&a.stalls, true);
    ok(eventually((before = atomic_load(&a.asked)) && (usleep(50000), atomic_load(&a.asked) == before)), "while it is being asked");
    begin = now_ns();
    nodes_close(ns);
    ok(now_ns() - begin < 5 * (int64_t)NS_PER_S, "closing does not wait for it");
    http_server_stop(a.server);
}

static void test_names(void)
{
    struct fake a = {.ahead_ns = 0};
    char spec[64];
    size_t n;
    start(&a, "a", "127.0.0.1:0");
    snprintf(spec, sizeof(spec), "dns:localhost:%u", http_server_port(a.server));
    const struct nodes_source v[] = {{spec, TOKEN, NULL}, {"dns:nowhere.invalid:1", TOKEN, NULL}};
    struct nodes *ns = open_nodes(v, 2);
    ok(eventually(health(ns, 1) == NODE_CAPTURING || health(ns, 2) == NODE_CAPTURING), "a name's addresses are workers");
    ok(eventually(look(ns, 0, &n).health == NODE_UNREACHABLE && strstr(look(ns, 0, &n).url, "nowhere")),
       "a name that there is not is listed as it is");
    like(look(ns, 0, &n).reason, "the name cannot be looked up", "with the reason");
    usleep(100000);
    look(ns, 0, &n);
    ok(n == 2 || n == 3, "looked up again and again, they stay as many"); /* localhost has one address or two */
    struct error err;
    is_int(nodes_set_sources(ns, NULL, 0, &err), TD_OK, "without the name");
    look(ns, 0, &n);
    is_int(n, 0, "its addresses go as well");
    nodes_close(ns);
    http_server_stop(a.server);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    log_set_level(0);
    test_clock();
    test_specs();
    test_asking();
    test_names();
    return tap_done();
}
