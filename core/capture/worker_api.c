/* The worker's HTTP API: health, what it holds, what it counts, and windows of it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/coverage.h"
#include "capture/window.h"
#include "capture/worker_internal.h"
#include "net/http_request.h"
#include "net/metrics.h"

static const char json_type[] = "application/json", pcapng_type[] = "application/x-pcapng";

/* ---- Gaps ---- */

void worker_put_gap(void *ctx, int64_t from, int64_t to, uint32_t gap)
{
    struct buf *b = ctx;
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_time(b, "start", from, true);
    json_put_time(b, "end", to, true);
    json_put_text(b, "reason", gap ? segment_gap_name(gap) : "segments are missing");
    buf_putc(b, '}');
}

/* ---- Health ---- */

static int get_health(void *ctx, struct http_request *q, struct error *err)
{
    struct buf b;
    (void)ctx;
    (void)err;
    buf_init(&b, 0);
    buf_lit(&b, "ok\n");
    http_reply_body(q, 200, "text/plain", &b);
    return TD_OK;
}

/* NULL: it captures and writes. */
static const char *what_is_wrong(struct worker *w, const struct ring_stats *s, char text[700])
{
    const char *wrong = NULL;
    pthread_mutex_lock(&w->lock);
    if (*w->failure) {
        snprintf(text, 700, "nothing is captured: %s", w->failure);
        wrong = text;
    }
    pthread_mutex_unlock(&w->lock);
    if (!wrong && s->trouble) {
        snprintf(text, 700, "%s%s%s", s->trouble, s->trouble_errno ? ": " : "", s->trouble_errno ? strerror(s->trouble_errno) : "");
        wrong = text;
    }
    return wrong;
}

static int get_ready(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct ring_stats s;
    char text[700];
    ring_stats(w->ring, &s);
    const char *wrong = what_is_wrong(w, &s, text);
    if (!wrong)
        return get_health(ctx, q, err);
    http_reply_problem(q, 503, "not_ready", "%s", wrong);
    return TD_OK;
}

/* ---- What it is, and what it counts ---- */

static void put_interfaces(struct worker *w, struct buf *b)
{
    json_put_key(b, "interfaces");
    buf_putc(b, '[');
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < WORKER_MAX_INTERFACES; i++) {
        const struct interface_status *s = &w->interfaces[i];
        if (!s->used)
            continue;
        json_put_comma(b);
        buf_putc(b, '{');
        json_put_text(b, "name", s->name);
        json_put_bool(b, "up", s->up);
        json_put_u64(b, "linktype", s->linktype);
        json_put_u64(b, "received_packets", s->received);
        json_put_u64(b, "dropped_by_kernel", s->by_kernel);
        json_put_u64(b, "dropped_by_interface", s->by_interface);
        buf_putc(b, '}');
    }
    pthread_mutex_unlock(&w->lock);
    buf_putc(b, ']');
}

static int get_node(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct ring_stats s;
    struct buf b;
    char text[700];
    (void)err;
    ring_stats(w->ring, &s);
    const char *wrong = what_is_wrong(w, &s, text);
    buf_init(&b, 0);
    buf_putc(&b, '{');
    json_put_text(&b, "node", w->node);
    json_put_text(&b, "version", w->version);
    json_put_text(&b, "status", wrong ? "failing" : "capturing");
    if (wrong)
        json_put_text(&b, "reason", wrong);
    json_put_time(&b, "started", w->started_ns, true);
    json_put_time(&b, "now", worker_now(), true);
    if (*w->source_file) {
        json_put_text(&b, "source_file", w->source_file);
        json_put_bool(&b, "source_ended", atomic_load(&w->source_ended));
    }
    put_interfaces(w, &b);
    buf_putc(&b, '}');
    http_reply_body(q, 200, json_type, &b);
    return TD_OK;
}

static int get_statistics(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct ring_stats s;
    struct buf b;
    (void)err;
    ring_stats(w->ring, &s);
    buf_init(&b, 0);
    buf_putc(&b, '{');
    json_put_text(&b, "node", w->node);
    pthread_mutex_lock(&w->lock);
    json_put_u64(&b, "received_packets", w->received);
    json_put_u64(&b, "dropped_by_kernel", w->by_kernel);
    json_put_u64(&b, "dropped_by_interface", w->by_interface);
    pthread_mutex_unlock(&w->lock);
    json_put_u64(&b, "dropped_by_disk", s.dropped_by_disk);
    json_put_u64(&b, "written_packets", s.packets);
    json_put_u64(&b, "captured_bytes", s.captured_bytes);
    json_put_u64(&b, "written_bytes", s.written_bytes);
    json_put_u64(&b, "waits_for_disk", s.waits);
    json_put_key(&b, "ring");
    buf_putc(&b, '{');
    json_put_u64(&b, "storage_size", s.storage_size);
    json_put_u64(&b, "segment_size", s.segment_size);
    json_put_u64(&b, "used_bytes", s.bytes + s.reserved + s.pinned_bytes);
    json_put_u64(&b, "pinned_bytes", s.pinned_bytes);
    json_put_u64(&b, "segments", s.segments);
    json_put_u64(&b, "recycled", s.recycled);
    json_put_u64(&b, "revoked", s.revoked);
    json_put_u64(&b, "recovered", s.recovered);
    json_put_u64(&b, "rebuilt", s.rebuilt);
    json_put_u64(&b, "compressed", s.compressed);
    json_put_u64(&b, "hashed", s.hashed);
    buf_putc(&b, '}');
    put_interfaces(w, &b);
    buf_putc(&b, '}');
    http_reply_body(q, 200, json_type, &b);
    return TD_OK;
}

static int get_boundaries(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct segment_summary *v = NULL;
    struct coverage c;
    size_t n;
    struct buf b;
    int status = ring_summaries(w->ring, &v, &n, err);
    if (status != TD_OK)
        return status;
    coverage_settle(v, n, worker_now(), w->replays);
    coverage_of(v, n, INT64_MIN, INT64_MAX, &c);
    buf_init(&b, 0);
    buf_putc(&b, '{');
    json_put_text(&b, "node", w->node);
    json_put_time(&b, "oldest", c.first_ns, c.packets > 0);
    json_put_time(&b, "newest", c.last_ns, c.packets > 0);
    json_put_time(&b, "covered_from", c.from_ns, c.from_ns < c.to_ns);
    json_put_time(&b, "covered_to", c.to_ns, c.from_ns < c.to_ns);
    json_put_u64(&b, "packets", c.packets);
    json_put_u64(&b, "segments", n);
    json_put_u64(&b, "dropped_by_kernel", c.dropped_by_kernel);
    json_put_u64(&b, "dropped_by_interface", c.dropped_by_interface);
    json_put_u64(&b, "dropped_by_disk", c.dropped_by_disk);
    json_put_key(&b, "gaps");
    buf_putc(&b, '[');
    coverage_each_gap(v, n, INT64_MIN, INT64_MAX, worker_put_gap, &b);
    buf_lit(&b, "]}");
    mem_free(v);
    http_reply_body(q, 200, json_type, &b);
    return TD_OK;
}

static void put_ring_metrics(struct metrics *m, const struct ring_stats *s)
{
    metrics_family(m, METRIC_COUNTER, "tapedeck_captured_packets_total", "Packets that were taken into the raw capture.");
    metrics_u64(m, s->packets, NULL, 0);
    metrics_family(m, METRIC_COUNTER, "tapedeck_processed_bytes_total", "Bytes of those packets, as captured.");
    metrics_u64(m, s->captured_bytes, NULL, 0);
    metrics_family(m, METRIC_COUNTER, "tapedeck_ring_written_bytes_total", "Bytes written to the disk for segments.");
    metrics_u64(m, s->written_bytes, NULL, 0);
    metrics_family(m, METRIC_COUNTER, "tapedeck_ring_recycled_segments_total", "Segments that made room for newer ones.");
    metrics_u64(m, s->recycled, NULL, 0);
    metrics_family(m, METRIC_COUNTER, "tapedeck_ring_waits_total", "Times that capturing had to wait for the disk.");
    metrics_u64(m, s->waits, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_ring_bytes", "Disk space of the raw capture, with what is reserved for the open segment.");
    metrics_u64(m, s->bytes + s->reserved + s->pinned_bytes, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_ring_limit_bytes", "Its limit.");
    metrics_u64(m, s->storage_size, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_ring_segments", "Segments in the raw capture.");
    metrics_u64(m, s->segments, NULL, 0);
    metrics_family(m, METRIC_GAUGE, "tapedeck_ring_failing", "1 while packets cannot be written.");
    metrics_u64(m, s->trouble ? 1 : 0, NULL, 0);
}

static int get_metrics(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct ring_stats s;
    struct metrics m;
    struct buf b;
    const struct metric_label node = {"node", w->node};
    ring_stats(w->ring, &s);
    pthread_mutex_lock(&w->lock);
    uint64_t received = w->received, by_kernel = w->by_kernel, by_interface = w->by_interface;
    pthread_mutex_unlock(&w->lock);
    buf_init(&b, 0);
    metrics_begin(&m, &b);
    metrics_family(&m, METRIC_COUNTER, "tapedeck_received_packets_total", "Packets that reached the capture's filter.");
    metrics_u64(&m, received, NULL, 0);
    metrics_family(&m, METRIC_COUNTER, "tapedeck_dropped_packets_total", "Packets that are missing in the raw capture, by who lost them.");
    metrics_u64(&m, by_kernel, &(const struct metric_label){"by", "kernel"}, 1);
    metrics_u64(&m, by_interface, &(const struct metric_label){"by", "interface"}, 1);
    metrics_u64(&m, s.dropped_by_disk, &(const struct metric_label){"by", "disk"}, 1);
    put_ring_metrics(&m, &s);
    if (s.oldest_ns <= s.newest_ns) {
        metrics_family(&m, METRIC_GAUGE, "tapedeck_capture_oldest_timestamp_seconds", "Time of the oldest packet in the raw capture.");
        metrics_double(&m, (double)s.oldest_ns / NS_PER_S, &node, 1);
        metrics_family(&m, METRIC_GAUGE, "tapedeck_capture_newest_timestamp_seconds", "Time of the newest packet in the raw capture.");
        metrics_double(&m, (double)s.newest_ns / NS_PER_S, &node, 1);
    }
    int status = metrics_end(&m, err);
    if (status == TD_OK)
        http_reply_body(q, 200, METRICS_CONTENT_TYPE, &b);
    buf_clear(&b);
    return status;
}

/* ---- Windows ---- */

/* The parameter, or `otherwise`. */
static int take_time(const struct http_request *q, const char *name, int64_t now_ns, int64_t otherwise, int64_t *ret_ns, struct error *err)
{
    const char *text = http_parameter(q, name);
    *ret_ns = otherwise;
    if (text && !units_parse_time(text, now_ns, ret_ns))
        return error_set(err, TD_E_CONFIG, "%s=%.64s is no time; write it as 2026-01-02T03:04:05.6Z, as seconds since 1970, or as now-5m",
                         name, text);
    return TD_OK;
}

/* start, end, last: what is not said is open. */
int worker_take_window(const struct http_request *q, int64_t *ret_start_ns, int64_t *ret_end_ns, struct error *err)
{
    int64_t now_ns = worker_now(), last_ns;
    const char *last = http_parameter(q, "last");
    if (last && (http_parameter(q, "start") || http_parameter(q, "end")))
        return error_set(err, TD_E_CONFIG, "last=%.64s goes without start and end", last);
    if (last && (!units_parse_duration(last, &last_ns) || last_ns <= 0))
        return error_set(err, TD_E_CONFIG, "last=%.64s is no duration; write it as 30s, 5m, 1h30m", last);
    if (last) {
        *ret_start_ns = now_ns - last_ns;
        *ret_end_ns = INT64_MAX;
        return TD_OK;
    }
    int status = take_time(q, "start", now_ns, INT64_MIN, ret_start_ns, err);
    if (status == TD_OK)
        status = take_time(q, "end", now_ns, INT64_MAX, ret_end_ns, err);
    if (status == TD_OK && *ret_end_ns <= *ret_start_ns)
        status = error_set(err, TD_E_CONFIG, "the window ends before it starts");
    return status;
}

/* Answers itself if the request is for another node. */
static bool is_for_this_node(const struct worker *w, struct http_request *q)
{
    const char *node = http_parameter(q, "node");
    if (!node || strcmp(node, w->node) == 0)
        return true;
    http_reply_problem(q, 404, "node_not_found", "this is node %s, not %.128s", w->node, node);
    return false;
}

static int read_window(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    return window_read(ctx, p, n, ret_n, err);
}

static void close_window(void *ctx)
{
    window_close(ctx);
}

/* A window without a segment: tells what there is. */
static void refuse_window(struct worker *w, struct http_request *q)
{
    struct ring_stats s;
    char oldest[UNITS_TEXT], newest[UNITS_TEXT];
    ring_stats(w->ring, &s);
    if (s.oldest_ns > s.newest_ns) {
        http_reply_problem(q, 422, "window_not_available", "the raw capture has no packets yet");
        return;
    }
    units_format_time(s.oldest_ns, oldest);
    units_format_time(s.newest_ns, newest);
    http_reply_problem(q, 422, "window_not_available", "the raw capture holds packets from %s to %s", oldest, newest);
}

static int get_window(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct window_request want = {.filter = http_parameter(q, "bpf")};
    struct window *window;
    if (!is_for_this_node(w, q))
        return TD_OK;
    int status = worker_take_window(q, &want.start_ns, &want.end_ns, err);
    if (status == TD_OK)
        status = window_open(w->ring, &want, &window, err);
    if (status != TD_OK)
        return status;
    if (window_stats(window)->segments == 0) {
        window_close(window);
        refuse_window(w, q);
        return TD_OK;
    }
    http_reply_header(q, "Content-Disposition", "attachment; filename=\"%s.pcapng\"", w->node);
    const struct http_stream stream = {window, read_window, close_window};
    http_reply_stream(q, 200, pcapng_type, HTTP_LENGTH_UNKNOWN, &stream);
    return TD_OK;
}

/* ---- Segments as they are ---- */

static void put_piece(struct buf *b, const struct window_piece *p)
{
    static const char *const states[] = {"writing", "sealed", "compressed"};
    const struct segment_summary *s = &p->summary;
    buf_putc(b, '{');
    json_put_u64(b, "sequence", s->sequence);
    json_put_text(b, "state", states[p->state]);
    json_put_bool(b, "whole", p->whole);
    json_put_u64(b, "file_bytes", p->file_bytes);
    json_put_u64(b, "bytes", s->bytes);
    json_put_u64(b, "packets", s->packets);
    json_put_time(b, "first", s->first_ns, s->packets > 0);
    json_put_time(b, "last", s->last_ns, s->packets > 0);
    json_put_time(b, "covered_from", s->covered_from_ns, true);
    json_put_time(b, "covered_to", s->covered_to_ns, s->covered_to_ns != INT64_MAX);
    json_put_u64(b, "dropped_by_kernel", s->dropped_by_kernel);
    json_put_u64(b, "dropped_by_interface", s->dropped_by_interface);
    json_put_u64(b, "dropped_by_disk", s->dropped_by_disk);
    if (s->gap)
        json_put_text(b, "gap_before", segment_gap_name(s->gap));
    json_put_bool(b, "recovered", s->recovered);
    json_put_hex(b, "sha256", s->hashed ? s->sha256 : NULL, sizeof(s->sha256));
    buf_putc(b, '}');
}

static int get_segments(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct window_piece *v = NULL;
    size_t n = 0;
    int64_t start_ns, end_ns;
    struct buf b;
    if (!is_for_this_node(w, q))
        return TD_OK;
    int status = worker_take_window(q, &start_ns, &end_ns, err);
    if (status == TD_OK)
        status = window_pieces(w->ring, start_ns, end_ns, &v, &n, err);
    if (status != TD_OK)
        return status;
    buf_init(&b, 0);
    buf_lit(&b, "{\"segments\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(&b, ',');
        put_piece(&b, &v[i]);
    }
    buf_lit(&b, "]}");
    mem_free(v);
    http_reply_body(q, 200, json_type, &b);
    return TD_OK;
}

static int read_segment(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct segment *s = ctx;
    uint64_t left = segment_file_bytes(s) - offset;
    *ret_n = n < left ? n : (size_t)left;
    return segment_read_file(s, offset, p, *ret_n, err);
}

static void close_segment(void *ctx)
{
    segment_unpin(ctx);
}

static int get_segment(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct segment *s;
    char *end, etag[64];
    const char *text = http_segment(q, "sequence");
    unsigned long long sequence = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end) {
        http_reply_problem(q, 404, "not_found", "\"%.64s\" is no segment's number", text);
        return TD_OK;
    }
    int status = ring_pin_one(w->ring, sequence, &s, err);
    if (status != TD_OK)
        return status;
    if (segment_state(s) == SEGMENT_WRITING) {
        segment_unpin(s);
        http_reply_problem(q, 409, "segment_not_sealed", "segment %llu is still being written; ask for a window", sequence);
        return TD_OK;
    }
    bool compressed = segment_state(s) == SEGMENT_COMPRESSED;
    snprintf(etag, sizeof(etag), "%llu-%llu", sequence, (unsigned long long)segment_file_bytes(s));
    const struct http_object object = {s, segment_file_bytes(s), etag, read_segment, close_segment};
    http_reply_header(q, "Content-Disposition", "attachment; filename=\"%s-%010llu.pcapng%s\"", w->node, sequence,
                      compressed ? ".zst" : "");
    http_reply_object(q, compressed ? "application/zstd" : pcapng_type, &object);
    return TD_OK;
}

/* ---- Routes ---- */

static const char *const window_parameters[] = {"start", "end", "last", "bpf", "node", NULL};
static const char *const segments_parameters[] = {"start", "end", "last", "node", NULL};

static const struct http_route routes[] = {
    {"GET", "/healthz", HTTP_ANYONE, NULL, 0, get_health},
    {"GET", "/readyz", HTTP_ANYONE, NULL, 0, get_ready},
    {"GET", "/metrics", HTTP_VIEWER, NULL, 0, get_metrics},
    {"GET", "/api/v1/node", HTTP_VIEWER, NULL, 0, get_node},
    {"GET", "/api/v1/statistics", HTTP_VIEWER, NULL, 0, get_statistics},
    {"GET", "/api/v1/data-boundaries", HTTP_VIEWER, NULL, 0, get_boundaries},
    {"GET", "/api/v1/window", HTTP_VIEWER, window_parameters, 0, get_window},
    {"GET", "/api/v1/segments", HTTP_VIEWER, segments_parameters, 0, get_segments},
    {"GET", "/api/v1/segments/{sequence}", HTTP_VIEWER, NULL, 0, get_segment},
};

const struct http_route *worker_api_routes(size_t *ret_n)
{
    *ret_n = sizeof(routes) / sizeof(routes[0]);
    return routes;
}
