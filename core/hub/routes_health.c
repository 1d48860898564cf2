/* Health, metrics, and the description of the API. */
#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/routes.h"
#include "net/metrics.h"

enum { MAX_SERIES = 64 };

static int get_health(void *ctx, struct http_request *q, struct error *err)
{
    struct buf b = {.n = 0};
    (void)ctx;
    (void)err;
    buf_lit(&b, "ok\n");
    http_reply_body(q, 200, "text/plain", &b);
    return TD_OK;
}

static int get_openapi(void *ctx, struct http_request *q, struct error *err)
{
    const struct hub *hub = ctx;
    struct buf b = {.n = 0};
    (void)err;
    hub_put_openapi(&b, hub->version);
    hub_reply_json(q, 200, &b);
    return TD_OK;
}

/* ---- Metrics ---- */

struct series {
    char kind[JOB_KIND];
    enum job_state state;
    uint64_t n;
};

struct tally {
    struct series v[MAX_SERIES];
    size_t n;
};

static int count_job(void *ctx, const struct job_status *s)
{
    struct tally *t = ctx;
    size_t i = 0;
    while (i < t->n && (t->v[i].state != s->state || strcmp(t->v[i].kind, s->kind) != 0))
        i++;
    if (i == MAX_SERIES)
        return TD_OK;
    if (i == t->n) {
        t->v[t->n] = (struct series){.state = s->state};
        memcpy(t->v[t->n++].kind, s->kind, sizeof(s->kind));
    }
    t->v[i].n++;
    return TD_OK;
}

static int put_jobs(struct hub *hub, struct metrics *m, struct error *err)
{
    struct tally t = {.n = 0};
    int status = jobs_each(hub->jobs, NULL, NULL, count_job, &t, err);
    if (status != TD_OK || t.n == 0)
        return status;
    metrics_family(m, METRIC_GAUGE, "tapedeck_snapshot_jobs", "Jobs that are known, by kind and state.");
    for (size_t i = 0; i < t.n; i++) {
        const struct metric_label labels[] = {{"kind", t.v[i].kind}, {"state", job_state_name(t.v[i].state)}};
        metrics_u64(m, t.v[i].n, labels, 2);
    }
    return TD_OK;
}

static void put_snapshots(struct hub *hub, struct metrics *m)
{
    struct snapshots_room room;
    snapshots_room(hub->snapshots, &room);
    metrics_family(m, METRIC_GAUGE, "tapedeck_snapshots_bytes", "Disk space of the snapshots.");
    metrics_u64(m, room.used, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_snapshots_reserved_bytes", "Disk space for what is being written.");
    metrics_u64(m, room.reserved, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_snapshots_limit_bytes", "The most that snapshots may take.");
    metrics_u64(m, room.limit, NULL, 0);
}

/* A name that two workers have would make the page one that no scraper takes. */
static bool is_repeated(const struct node *v, size_t i)
{
    return !*v[i].name || (i && strcmp(v[i].name, v[i - 1].name) == 0);
}

static void put_times(struct metrics *m, const char *name, const char *help, const struct node *v, size_t n, bool newest)
{
    bool begun = false;
    for (size_t i = 0; i < n; i++) {
        if (!v[i].has_packets || is_repeated(v, i))
            continue;
        if (!begun)
            metrics_family(m, METRIC_GAUGE, name, help);
        begun = true;
        const struct metric_label label = {"node", v[i].name};
        metrics_double(m, (double)(newest ? v[i].newest_ns : v[i].oldest_ns) / NS_PER_S, &label, 1);
    }
}

static void put_nodes(struct metrics *m, const struct node *v, size_t n)
{
    uint64_t counts[NODE_UNREACHABLE + 1] = {0};
    for (size_t i = 0; i < n; i++)
        counts[v[i].health]++;
    metrics_family(m, METRIC_GAUGE, "tapedeck_nodes", "Workers, by health.");
    for (int i = 0; i <= NODE_UNREACHABLE; i++)
        metrics_u64(m, counts[i], &(const struct metric_label){"status", node_health_name((enum node_health)i)}, 1);
    put_times(m, "tapedeck_capture_oldest_timestamp_seconds", "Time of the oldest packet in the raw capture.", v, n, false);
    put_times(m, "tapedeck_capture_newest_timestamp_seconds", "Time of the newest packet in the raw capture.", v, n, true);
}

/* Bytes and objects of transfers that have ended, however they did. */
static void put_cloud(struct hub *hub, struct metrics *m)
{
    static const char *const directions[HUB_DIRECTIONS] = {[HUB_UP] = "upload", [HUB_DOWN] = "download"};
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {{"tapedeck_cloud_transferred_objects_total", "Objects that were sent to the cloud or fetched from it.",
                     offsetof(struct hub_cloud_count, objects)},
                    {"tapedeck_cloud_transferred_bytes_total", "Their bytes.", offsetof(struct hub_cloud_count, bytes)},
                    {"tapedeck_cloud_retries_total", "Requests that failed in passing and were tried again.",
                     offsetof(struct hub_cloud_count, retries)}};
    struct cloud_status s;
    if (!hub->cloud.cloud)
        return;
    cloud_status(hub->cloud.cloud, &s);
    const struct metric_label provider = {"provider", s.provider};
    metrics_family(m, METRIC_GAUGE, "tapedeck_cloud_connected", "1: cloud storage answered when it was last asked.");
    metrics_u64(m, s.connected, &provider, 1);
    metrics_family(m, METRIC_GAUGE, "tapedeck_cloud_snapshots", "Snapshots in the cloud.");
    metrics_u64(m, s.snapshots, &provider, 1);
    metrics_family(m, METRIC_GAUGE, "tapedeck_cloud_bytes", "What they take there.");
    metrics_u64(m, s.bytes, &provider, 1);
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        metrics_family(m, METRIC_COUNTER, families[f].name, families[f].help);
        for (size_t i = 0; i < HUB_DIRECTIONS; i++) {
            const _Atomic uint64_t *value = (const void *)((const uint8_t *)&hub->cloud.counts[i] + families[f].offset);
            const struct metric_label labels[] = {provider, {"direction", directions[i]}};
            metrics_u64(m, atomic_load(value), labels, 2);
        }
    }
}

static void put_server(struct hub *hub, struct metrics *m)
{
    struct http_server_stats s;
    http_server_stats(hub->server, &s);
    metrics_family(m, METRIC_COUNTER, "tapedeck_http_requests_total", "Requests to the API.");
    metrics_u64(m, s.requests, NULL, 0);
    metrics_family(m, METRIC_COUNTER, "tapedeck_http_failures_total", "Of these, failed on this side.");
    metrics_u64(m, s.failures, NULL, 0);
    metrics_family(m, METRIC_COUNTER, "tapedeck_http_sent_bytes_total", "Bytes of answers.");
    metrics_u64(m, s.sent_bytes, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_http_connections", "Connections at the moment.");
    metrics_u64(m, s.connections, NULL, 0);
}

static int get_metrics(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct metrics m;
    struct buf b = {.n = 0};
    struct node *v = NULL;
    size_t n = 0;
    int status = nodes_list(hub->nodes, &v, &n, err);
    if (status != TD_OK)
        return status;
    metrics_begin(&m, &b);
    put_nodes(&m, v, n);
    put_snapshots(hub, &m);
    put_cloud(hub, &m);
    put_server(hub, &m);
    status = put_jobs(hub, &m, err);
    nodes_list_free(v, n);
    if (status == TD_OK)
        status = metrics_end(&m, err);
    if (status == TD_OK)
        http_reply_body(q, 200, METRICS_CONTENT_TYPE, &b);
    buf_clear(&b);
    return status;
}

static const struct hub_answer ok_answers[] = {{200, "text/plain", "It is"}, {0}};
static const struct hub_answer metrics_answers[] = {{200, "text/plain", "Metrics as Prometheus reads them"}, {0}};
static const struct hub_answer openapi_answers[] = {{200, JSON_TYPE, "This description"}, {0}};

static const struct hub_route routes[] = {
    {"GET", "/healthz", HTTP_ANYONE, 0, get_health, "getHealth", "Is the hub alive?", NULL, NULL, ok_answers},
    {"GET", "/readyz", HTTP_ANYONE, 0, get_health, "getReadiness", "Can it serve? Workers and clouds that are away do not matter", NULL,
     NULL, ok_answers},
    {"GET", "/metrics", HTTP_VIEWER, 0, get_metrics, "getMetrics", "Counters for Prometheus", NULL, NULL, metrics_answers},
    {"GET", API "/openapi.json", HTTP_ANYONE, 0, get_openapi, "getOpenapi", "This description", NULL, NULL, openapi_answers},
};

const struct hub_subject *hub_routes_health(void)
{
    static const struct hub_subject subject = {"health", "Health, metrics, and this description", routes,
                                               sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
