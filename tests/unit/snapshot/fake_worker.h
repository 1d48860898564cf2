/* A worker that has every fault that one can have: it stalls, cuts connections, forgets holds, and lies. What it says is made of the
 * segments of segment_build.h. */
#ifndef TESTS_UNIT_SNAPSHOT_FAKE_WORKER_H
#define TESTS_UNIT_SNAPSHOT_FAKE_WORKER_H

#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "../capture/segment_build.h"
#include "base/json.h"
#include "capture/segment_file.h"
#include "net/http_request.h"
#include "rig.h"

enum { FAKE_SEGMENTS = 6, FAKE_PACKETS = 3000, FAKE_SPAN_S = 1000, FAKE_FIRST = 41 };

struct fake_segment {
    struct built built;
    struct buf index;
    uint8_t sha256[32];
    uint64_t inode, index_inode;
};

struct fake_worker {
    struct http_server *server;
    const char *node;
    char dir[96];
    uint64_t device;
    struct fake_segment segments[FAKE_SEGMENTS];
    /* What it does wrong; counters go down to 0. */
    bool tells_directory, unhashed;
    int64_t covered_from_ns, covered_to_ns, clock_ahead_ns;
    const char *gap;         /* JSON of gaps, without brackets */
    uint64_t recycled_below; /* sequences that it has no more */
    atomic_int cuts;         /* answers that end after `cut_after` bytes */
    size_t cut_after;
    atomic_int stalls;  /* answers that stop after `cut_after` bytes until the client leaves */
    atomic_bool slow;   /* a block now and then */
    atomic_bool drips;  /* a byte now and then */
    atomic_int flips;   /* answers with a wrong byte */
    atomic_int forgets; /* requests that are told that the hold is gone */
    uint64_t lies_length, lies_packets, lies_digest, lies_index, lies_size; /* of the segment of this number */
    uint64_t refuses;                                                       /* a segment that is always 404 */
    uint64_t grows;   /* bytes by which segments are said to be longer when another hold is asked for */
    const char *says; /* this text instead of the answer to a hold */
    atomic_bool gone; /* answers nothing but 503 */
    /* What it was asked. */
    atomic_int holds, drops, renewals, requests, ranges;
    atomic_ulong served; /* bytes */
};

/* ---- Segments ---- */

static inline void fake_sha256(const struct buf *b, uint8_t out[32])
{
    EVP_Digest(b->p, b->n, out, NULL, EVP_sha256(), NULL);
}

/* Segment i has packets from T0 + i * span on, evenly. */
static inline void fake_make_segment(struct fake_segment *s, unsigned i)
{
    uint64_t seed = 0x1234567 + i;
    struct sample sample;
    struct error err;
    int64_t from_ns = RIG_T0 + (int64_t)i * FAKE_SPAN_S * RIG_SECOND, step_ns = (int64_t)FAKE_SPAN_S * RIG_SECOND / FAKE_PACKETS;
    built_begin(&s->built, 64 << 20);
    built_interface(&s->built, 1);
    for (int k = 0; k < FAKE_PACKETS; k++) {
        make_sample(&seed, 1, 20, &sample);
        built_packet(&s->built, 0, from_ns + k * step_ns, &sample);
    }
    built_statistics(&s->built, 0, from_ns, from_ns + (int64_t)FAKE_SPAN_S * RIG_SECOND, 0, 0);
    notes_publish(s->built.notes);
    s->built.summary.sequence = FAKE_FIRST + i;
    s->built.summary.covered_from_ns = from_ns;
    s->built.summary.covered_to_ns = from_ns + (int64_t)FAKE_SPAN_S * RIG_SECOND;
    rig_must(segment_index_write(s->built.notes, &s->built.summary, NULL, &s->index, &err), &err, "an index");
    fake_sha256(&s->built.bytes, s->sha256);
}

static inline uint64_t fake_write_file(const struct fake_worker *w, const char *name, const struct buf *b)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0 || write(fd, b->p, b->n) != (ssize_t)b->n || fstat(fd, &st) != 0)
        exit(1);
    close(fd);
    return st.st_ino;
}

static inline void fake_write_files(struct fake_worker *w)
{
    char name[SEGMENT_NAME];
    struct stat st;
    mkdir(w->dir, 0750);
    for (unsigned i = 0; i < FAKE_SEGMENTS; i++) {
        struct fake_segment *s = &w->segments[i];
        s->inode = fake_write_file(w, segment_file_name(FAKE_FIRST + i, SEGMENT_FILE_PLAIN, false, name), &s->built.bytes);
        s->index_inode = fake_write_file(w, segment_file_name(FAKE_FIRST + i, SEGMENT_FILE_INDEX, false, name), &s->index);
    }
    if (stat(w->dir, &st) != 0)
        exit(1);
    w->device = st.st_dev;
}

/* Packets of [start, end) of all segments, or of one (FAKE_FIRST + i). */
static inline uint64_t fake_count(const struct fake_worker *w, int64_t start_ns, int64_t end_ns)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < FAKE_SEGMENTS; i++)
        for (size_t k = 0; k < w->segments[i].built.n; k++)
            n += w->segments[i].built.packets[k].time_ns >= start_ns && w->segments[i].built.packets[k].time_ns < end_ns;
    return n;
}

/* ---- Answers ---- */

static inline bool fake_take(atomic_int *counter)
{
    int n = atomic_load(counter);
    while (n > 0)
        if (atomic_compare_exchange_weak(counter, &n, n - 1))
            return true;
    return false;
}

static inline void fake_put_time(struct buf *b, const char *key, int64_t ns)
{
    char text[UNITS_TEXT];
    units_format_time(ns, text);
    buf_printf(b, ",\"%s\":\"%s\"", key, text);
}

static inline int64_t fake_now(const struct fake_worker *w)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * RIG_SECOND + t.tv_nsec + w->clock_ahead_ns;
}

static inline void fake_put_segment(const struct fake_worker *w, struct buf *b, unsigned i, int64_t start_ns, int64_t end_ns)
{
    const struct fake_segment *s = &w->segments[i];
    const struct segment_summary *sum = &s->built.summary;
    char name[SEGMENT_NAME];
    uint64_t sequence = sum->sequence;
    bool whole = sum->first_ns >= start_ns && sum->last_ns < end_ns;
    if (b->p[b->n - 1] != '[')
        buf_putc(b, ',');
    uint64_t grown = atomic_load(&w->holds) > 1 ? w->grows : 0;
    buf_printf(b, "{\"sequence\":%" PRIu64 ",\"whole\":%s", sequence, whole ? "true" : "false");
    if (!whole) {
        buf_printf(b, ",\"estimated_bytes\":%" PRIu64 "}", s->built.bytes.n / 2 + grown);
        return;
    }
    buf_printf(b, ",\"file\":\"%s\"", segment_file_name(sequence, SEGMENT_FILE_PLAIN, false, name));
    buf_printf(b, ",\"inode\":%" PRIu64 ",\"bytes\":%zu,\"sha256\":", s->inode, s->built.bytes.n + (w->lies_size == sequence) + grown);
    if (w->unhashed) {
        buf_lit(b, "null");
    } else {
        buf_putc(b, '"');
        for (int k = 0; k < 32; k++)
            buf_printf(b, "%02x", s->sha256[k] ^ (w->lies_digest == sequence));
        buf_putc(b, '"');
    }
    buf_printf(b, ",\"index\":\"%s\"", segment_file_name(sequence, SEGMENT_FILE_INDEX, false, name));
    buf_printf(b, ",\"index_inode\":%" PRIu64 ",\"index_bytes\":%zu,\"packets\":%" PRIu64 ",\"captured_bytes\":%" PRIu64, s->index_inode,
               s->index.n, sum->packets + (w->lies_packets == sequence), sum->captured_bytes);
    fake_put_time(b, "first", sum->first_ns);
    fake_put_time(b, "last", sum->last_ns);
    buf_putc(b, '}');
}

static inline int64_t fake_parameter(const struct http_request *q, const char *name)
{
    int64_t ns = 0;
    const char *text = http_parameter(q, name);
    if (!text || !units_parse_time(text, 0, &ns))
        tap_diag("the worker was asked for %s=%s", name, text ? text : "nothing");
    return ns;
}

static inline bool fake_is_gone(struct fake_worker *w, struct http_request *q)
{
    atomic_fetch_add(&w->requests, 1);
    if (atomic_load(&w->gone)) {
        http_reply_problem(q, 503, "gone", "the worker is about to end");
        return true;
    }
    return false;
}

static inline void fake_put_hold(struct fake_worker *w, struct buf *b, int64_t start_ns, int64_t end_ns)
{
    int64_t from = start_ns > w->covered_from_ns ? start_ns : w->covered_from_ns,
            to = end_ns < w->covered_to_ns ? end_ns : w->covered_to_ns;
    buf_printf(b, "{\"id\":\"hold-%d\",\"expires_s\":3,\"node\":", atomic_fetch_add(&w->holds, 1));
    json_put_string(b, td_str(w->node));
    buf_lit(b, ",\"version\":\"0.4\"");
    fake_put_time(b, "now", fake_now(w));
    if (w->tells_directory) {
        buf_lit(b, ",\"directory\":");
        json_put_string(b, td_str(w->dir));
        buf_printf(b, ",\"device\":%" PRIu64, w->device);
    }
    if (from < to) {
        fake_put_time(b, "covered_from", from);
        fake_put_time(b, "covered_to", to);
    } else {
        buf_lit(b, ",\"covered_from\":null,\"covered_to\":null");
    }
    buf_printf(b, ",\"dropped_by_kernel\":7,\"dropped_by_interface\":8,\"dropped_by_disk\":9,\"gaps\":[%s],\"segments\":[",
               w->gap ? w->gap : "");
    for (unsigned i = 0; i < FAKE_SEGMENTS; i++) {
        const struct segment_summary *sum = &w->segments[i].built.summary;
        if (sum->covered_from_ns < end_ns && sum->covered_to_ns > start_ns && sum->sequence >= w->recycled_below)
            fake_put_segment(w, b, i, start_ns, end_ns);
    }
    buf_lit(b, "]}");
}

static inline int fake_hold(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    struct buf b;
    (void)err;
    if (fake_is_gone(w, q))
        return TD_OK;
    buf_init(&b, 0);
    if (w->says)
        buf_puts(&b, w->says);
    else
        fake_put_hold(w, &b, fake_parameter(q, "start"), fake_parameter(q, "end"));
    http_reply_body(q, 201, "application/json", &b);
    return TD_OK;
}

static inline int fake_drop(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    (void)err;
    atomic_fetch_add(&w->drops, 1);
    http_reply_empty(q, 204);
    return TD_OK;
}

static inline int fake_renew(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    (void)err;
    atomic_fetch_add(&w->renewals, 1);
    http_reply_empty(q, 204);
    return TD_OK;
}

static inline int fake_node(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    struct buf b;
    (void)err;
    if (fake_is_gone(w, q))
        return TD_OK;
    buf_init(&b, 0);
    buf_lit(&b, "{\"status\":\"capturing\"");
    fake_put_time(&b, "now", fake_now(w));
    buf_putc(&b, '}');
    http_reply_body(q, 200, "application/json", &b);
    return TD_OK;
}

static inline int fake_boundaries(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    struct buf b;
    (void)err;
    buf_init(&b, 0);
    buf_lit(&b, "{\"x\":1");
    fake_put_time(&b, "covered_from", w->covered_from_ns);
    fake_put_time(&b, "covered_to", w->covered_to_ns);
    buf_putc(&b, '}');
    http_reply_body(q, 200, "application/json", &b);
    return TD_OK;
}

/* ---- Bodies ---- */

struct fake_body {
    struct fake_worker *w;
    struct http_request *q;
    struct buf bytes;
    uint64_t at, given, size; /* size: as told */
    bool cut, stall, flip;
};

static inline int fake_read_at(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct fake_body *f = ctx;
    size_t left = offset < f->bytes.n ? f->bytes.n - (size_t)offset : 0;
    n = n < 4096 ? n : 4096;
    if ((f->cut || f->stall) && f->given + n > f->w->cut_after) {
        while (f->stall && !http_cancelled(f->q))
            usleep(2000);
        return error_set(err, TD_E_INTERNAL, "cut");
    }
    if (atomic_load(&f->w->drips)) {
        n = 1;
        usleep(20000);
    }
    if (atomic_load(&f->w->slow))
        usleep(3000);
    *ret_n = n < left ? n : left;
    memcpy(p, f->bytes.p + offset, *ret_n);
    if (f->flip && *ret_n)
        ((uint8_t *)p)[*ret_n / 2] ^= 1;
    f->given += *ret_n;
    atomic_fetch_add(&f->w->served, *ret_n);
    return TD_OK;
}

static inline int fake_read(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct fake_body *f = ctx;
    int status = fake_read_at(f, f->at, p, n, ret_n, err);
    if (status == TD_OK)
        f->at += *ret_n;
    return status;
}

static inline void fake_close(void *ctx)
{
    struct fake_body *f = ctx;
    buf_clear(&f->bytes);
    free(f);
}

/* NULL: answered. */
static inline struct fake_body *fake_begin(struct fake_worker *w, struct http_request *q, struct fake_segment **ret)
{
    uint64_t sequence = strtoull(http_segment(q, "sequence"), NULL, 10);
    if (fake_is_gone(w, q))
        return NULL;
    if (fake_take(&w->forgets)) {
        http_reply_problem(q, 410, "hold_gone", "there is no such hold");
        return NULL;
    }
    if (sequence < FAKE_FIRST || sequence >= FAKE_FIRST + FAKE_SEGMENTS || sequence < w->recycled_below || sequence == w->refuses) {
        http_reply_problem(q, 404, "not_found", "segment %" PRIu64 " is not there", sequence);
        return NULL;
    }
    *ret = &w->segments[sequence - FAKE_FIRST];
    struct fake_body *f = calloc(1, sizeof(*f));
    *f = (struct fake_body){.w = w, .q = q, .cut = fake_take(&w->cuts), .stall = fake_take(&w->stalls), .flip = fake_take(&w->flips)};
    return f;
}

static inline int fake_data(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    struct fake_segment *s;
    struct fake_body *f = fake_begin(w, q, &s);
    char etag[32];
    (void)err;
    if (!f)
        return TD_OK;
    if (http_header(q, "Range"))
        atomic_fetch_add(&w->ranges, 1);
    buf_put_slice(&f->bytes, buf_slice(&s->built.bytes));
    snprintf(etag, sizeof(etag), "%" PRIu64, s->built.summary.sequence);
    f->size = f->bytes.n - (w->lies_length == s->built.summary.sequence);
    const struct http_object object = {f, f->size, etag, fake_read_at, fake_close};
    http_reply_object(q, "application/x-pcapng", &object);
    return TD_OK;
}

static inline int fake_index(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    struct fake_segment *s;
    struct fake_body *f = fake_begin(w, q, &s);
    (void)err;
    if (!f)
        return TD_OK;
    buf_put_slice(&f->bytes, buf_slice(&s->index));
    if (w->lies_index == s->built.summary.sequence)
        f->bytes.p[f->bytes.n / 2] ^= 0xff;
    const struct http_object object = {f, f->bytes.n, "index", fake_read_at, fake_close};
    http_reply_object(q, "application/octet-stream", &object);
    return TD_OK;
}

/* As the real one: the head, and the packets' blocks as they are. */
static inline int fake_window(void *ctx, struct http_request *q, struct error *err)
{
    struct fake_worker *w = ctx;
    struct fake_segment *s;
    int64_t start_ns = fake_parameter(q, "start"), end_ns = fake_parameter(q, "end");
    struct fake_body *f = fake_begin(w, q, &s);
    (void)err;
    if (!f)
        return TD_OK;
    const struct built *b = &s->built;
    buf_put(&f->bytes, b->bytes.p, b->packets[0].at);
    for (size_t i = 0; i < b->n; i++)
        if (b->packets[i].time_ns >= start_ns && b->packets[i].time_ns < end_ns)
            buf_put(&f->bytes, b->bytes.p + b->packets[i].at, b->packets[i].end - b->packets[i].at);
    const struct http_stream stream = {f, fake_read, fake_close};
    http_reply_stream(q, 200, "application/x-pcapng", HTTP_LENGTH_UNKNOWN, &stream);
    return TD_OK;
}

static const char *const fake_window_parameters[] = {"start", "end", NULL};
static const struct http_route fake_routes[] = {
    {"GET", "/api/v1/node", HTTP_VIEWER, NULL, 0, fake_node},
    {"GET", "/api/v1/data-boundaries", HTTP_VIEWER, NULL, 0, fake_boundaries},
    {"POST", "/api/v1/holds", HTTP_VIEWER, fake_window_parameters, 0, fake_hold},
    {"POST", "/api/v1/holds/{id}/renew", HTTP_VIEWER, NULL, 0, fake_renew},
    {"DELETE", "/api/v1/holds/{id}", HTTP_VIEWER, NULL, 0, fake_drop},
    {"GET", "/api/v1/holds/{id}/segments/{sequence}/data", HTTP_VIEWER, NULL, 0, fake_data},
    {"GET", "/api/v1/holds/{id}/segments/{sequence}/index", HTTP_VIEWER, NULL, 0, fake_index},
    {"GET", "/api/v1/holds/{id}/segments/{sequence}/window", HTTP_VIEWER, fake_window_parameters, 0, fake_window},
};

static inline void fake_listen(struct fake_worker *w)
{
    const struct http_route_set set = {fake_routes, sizeof(fake_routes) / sizeof(fake_routes[0]), w};
    const struct http_server_options o = {.component = "worker", .listen = "127.0.0.1:0", .sets = &set, .set_count = 1};
    struct error err;
    signal(SIGPIPE, SIG_IGN);
    rig_must(http_server_open(&o, &w->server, &err), &err, "a worker listens");
    rig_must(http_server_start(w->server, &err), &err, "a worker begins");
}

static inline void fake_start(struct fake_worker *w, const char *node, const char *dir)
{
    memset(w, 0, sizeof(*w));
    w->node = node;
    w->covered_from_ns = RIG_T0;
    w->covered_to_ns = RIG_T0 + (int64_t)FAKE_SEGMENTS * FAKE_SPAN_S * RIG_SECOND;
    w->cut_after = 100000;
    snprintf(w->dir, sizeof(w->dir), "%s", dir);
    for (unsigned i = 0; i < FAKE_SEGMENTS; i++)
        fake_make_segment(&w->segments[i], i);
    fake_write_files(w);
    fake_listen(w);
}

static inline void fake_stop(struct fake_worker *w)
{
    http_server_stop(w->server);
    for (unsigned i = 0; i < FAKE_SEGMENTS; i++) {
        built_clear(&w->segments[i].built);
        buf_clear(&w->segments[i].index);
    }
}

#endif
