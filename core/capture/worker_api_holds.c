/* The worker's HTTP API for the hub: holds of windows, and their segments as files or trimmed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/json_object.h"
#include "base/mem.h"
#include "capture/coverage.h"
#include "capture/window.h"
#include "capture/worker_internal.h"
#include "net/http_request.h"

enum { SECTION_BYTES = 1024 /* about: what stands in front of the packets of a trimmed segment */ };

static const char json_type[] = "application/json", pcapng_type[] = "application/x-pcapng";

/* ---- What a hold has ---- */

/* As a file it can only be taken with its index. */
static bool is_whole(const struct hold *h, struct segment *s, struct segment_files *ret)
{
    struct error ignored;
    return window_has_whole(segment_summary(s), segment_state(s), h->start_ns, h->end_ns) && segment_files(s, ret, &ignored) == TD_OK &&
           ret->has_index;
}

static void put_whole(struct buf *b, const struct segment_summary *s, const struct segment_files *f)
{
    json_put_text(b, "file", f->name);
    json_put_u64(b, "inode", f->inode);
    json_put_u64(b, "bytes", f->bytes);
    json_put_hex(b, "sha256", s->hashed ? s->sha256 : NULL, sizeof(s->sha256));
    json_put_text(b, "index", f->index_name);
    json_put_u64(b, "index_inode", f->index_inode);
    json_put_u64(b, "index_bytes", f->index_bytes);
    json_put_u64(b, "packets", s->packets);
    json_put_u64(b, "captured_bytes", s->captured_bytes);
    json_put_time(b, "first", s->first_ns, s->packets > 0);
    json_put_time(b, "last", s->last_ns, s->packets > 0);
}

static void put_segment(struct buf *b, const struct hold *h, struct segment *s)
{
    const struct segment_summary *sum = segment_summary(s);
    struct segment_files files;
    bool whole = is_whole(h, s, &files);
    uint64_t bytes = sum->bytes;
    struct error ignored;
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_u64(b, "sequence", sum->sequence);
    json_put_bool(b, "whole", whole);
    if (whole) {
        put_whole(b, sum, &files);
    } else {
        (void)!window_estimate(s, h->start_ns, h->end_ns, &bytes, &ignored);
        json_put_u64(b, "estimated_bytes", bytes + SECTION_BYTES);
    }
    buf_putc(b, '}');
}

/* The summaries of what is held, from *ret_at on, with one before and one behind, if there are, since between them and the window may be
 * a gap. Without a segment all that there are. */
static int join(const struct hold *h, const struct segment_summary *all, size_t n, struct segment_summary **ret, size_t *ret_n,
                size_t *ret_at, struct error *err)
{
    struct segment_summary *v = mem_calloc(n + h->n + 1, sizeof(*v));
    size_t count = 0, before = 0, behind;
    if (!v)
        return error_nomem(err);
    uint64_t first = h->n ? segment_summary(h->segments[0])->sequence : UINT64_MAX;
    uint64_t last = h->n ? segment_summary(h->segments[h->n - 1])->sequence : UINT64_MAX;
    while (before < n && all[before].sequence < first)
        before++;
    for (size_t i = h->n && before ? before - 1 : 0; i < before; i++)
        v[count++] = all[i];
    *ret_at = count;
    for (size_t i = 0; i < h->n; i++)
        v[count++] = *segment_summary(h->segments[i]);
    for (behind = before; behind < n && all[behind].sequence <= last;)
        behind++;
    if (behind < n)
        v[count++] = all[behind];
    *ret = v;
    *ret_n = count;
    return TD_OK;
}

/* Times, drops and gaps inside of the window, as of `now_ns`; if nothing was captured in it from and to are its start. */
static int put_coverage(struct buf *b, const struct worker *w, const struct hold *h, int64_t now_ns, struct error *err)
{
    struct segment_summary *all = NULL, *v = NULL;
    struct coverage c;
    size_t n = 0, at = 0;
    int status = ring_summaries(w->ring, &all, &n, err);
    if (status == TD_OK)
        status = join(h, all, n, &v, &n, &at, err);
    mem_free(all);
    if (status != TD_OK)
        return status;
    coverage_settle(v, n, now_ns, w->replays);
    coverage_of(v + at, h->n, h->start_ns, h->end_ns, &c);
    bool covered = c.from_ns < c.to_ns;
    json_put_time(b, "covered_from", covered ? c.from_ns : h->start_ns, true);
    json_put_time(b, "covered_to", covered ? c.to_ns : h->start_ns, true);
    json_put_u64(b, "dropped_by_kernel", c.dropped_by_kernel);
    json_put_u64(b, "dropped_by_interface", c.dropped_by_interface);
    json_put_u64(b, "dropped_by_disk", c.dropped_by_disk);
    json_put_key(b, "gaps");
    buf_putc(b, '[');
    coverage_each_gap(v, n, h->start_ns, h->end_ns, worker_put_gap, b);
    buf_putc(b, ']');
    mem_free(v);
    return TD_OK;
}

static void put_place(struct buf *b, const struct worker *w)
{
    struct stat st;
    char *path = realpath(w->dir, NULL);
    json_put_text(b, "directory", path ? path : w->dir);
    json_put_u64(b, "device", stat(w->dir, &st) == 0 ? (uint64_t)st.st_dev : 0);
    free(path);
}

static int put_hold(struct buf *b, const struct worker *w, const struct hold *h, int64_t pinned_ns, struct error *err)
{
    buf_putc(b, '{');
    json_put_text(b, "id", h->id);
    json_put_u64(b, "expires_s", HOLD_EXPIRES_S);
    json_put_text(b, "node", w->node);
    json_put_text(b, "version", w->version);
    put_place(b, w);
    int status = put_coverage(b, w, h, pinned_ns, err);
    json_put_key(b, "segments");
    buf_putc(b, '[');
    for (size_t i = 0; i < h->n; i++)
        put_segment(b, h, h->segments[i]);
    buf_putc(b, ']');
    json_put_time(b, "now", worker_now(), true); /* last: looking at the segments took a while */
    buf_putc(b, '}');
    return status;
}

/* ---- Holds ---- */

static int add_hold(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct hold *h;
    struct buf b;
    int64_t start_ns, end_ns, now_ns = worker_now(); /* what comes later may not be held */
    int status = worker_take_window(q, &start_ns, &end_ns, err);
    if (status == TD_OK)
        status = holds_add(w->holds, start_ns, end_ns, w->replays, &h, err);
    if (status == TD_E_LIMIT) {
        http_reply_header(q, "Retry-After", "%d", HOLD_EXPIRES_S);
        http_reply_problem(q, 503, "too_many_holds", "%s", err->text);
        return TD_OK;
    }
    if (status != TD_OK)
        return status;
    char id[HOLD_ID];
    snprintf(id, sizeof(id), "%s", h->id);
    buf_init(&b, 0);
    status = put_hold(&b, w, h, now_ns, err);
    hold_done(h);
    if (status == TD_OK) {
        http_reply_header(q, "Location", "/api/v1/holds/%s", id);
        http_reply_body(q, 201, json_type, &b);
    } else {
        struct error ignored;
        (void)!holds_end(w->holds, id, &ignored);
    }
    buf_clear(&b);
    return status;
}

/* Answers itself if the hold is not there. */
static int tell_gone(struct http_request *q, int status, const struct error *err)
{
    if (status != TD_E_CANCELLED)
        return status;
    http_reply_problem(q, 410, "hold_expired", "%s", err->text);
    return TD_OK;
}

static int renew_hold(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    struct hold *h;
    struct buf b;
    int status = holds_use(w->holds, http_segment(q, "id"), &h, err);
    if (status != TD_OK)
        return tell_gone(q, status, err);
    buf_init(&b, 0);
    buf_putc(&b, '{');
    json_put_text(&b, "id", h->id);
    json_put_u64(&b, "expires_s", HOLD_EXPIRES_S);
    json_put_time(&b, "now", worker_now(), true);
    buf_putc(&b, '}');
    hold_done(h);
    http_reply_body(q, 200, json_type, &b);
    return TD_OK;
}

static int end_hold(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    int status = holds_end(w->holds, http_segment(q, "id"), err);
    if (status != TD_OK)
        return tell_gone(q, status, err);
    http_reply_empty(q, 204);
    return TD_OK;
}

/* ---- Segments of a hold ---- */

/* One that is being given out; the hold does not expire meanwhile. */
struct held {
    struct hold *hold;
    struct segment *segment;
    struct segment_files files;
    struct window *window;
};

static void held_free(void *ctx)
{
    struct held *x = ctx;
    if (!x)
        return;
    window_close(x->window);
    segment_unpin(x->segment);
    if (x->hold)
        hold_done(x->hold);
    mem_free(x);
}

static struct segment *find_segment(const struct hold *h, const char *text)
{
    char *end;
    unsigned long long sequence = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end)
        return NULL;
    for (size_t i = 0; i < h->n; i++)
        if (segment_summary(h->segments[i])->sequence == sequence)
            return h->segments[i];
    return NULL;
}

/* NULL: answered already, or *ret_status is an error. The segment is readable at this moment. */
static struct held *find_held(struct worker *w, struct http_request *q, int *ret_status, struct error *err)
{
    const char *sequence = http_segment(q, "sequence");
    uint8_t byte;
    struct held *x = mem_calloc(1, sizeof(*x));
    int status = x ? holds_use(w->holds, http_segment(q, "id"), &x->hold, err) : error_nomem(err);
    struct segment *s = status == TD_OK ? find_segment(x->hold, sequence) : NULL;
    if (status != TD_OK) {
        status = tell_gone(q, status, err);
    } else if (!s) {
        http_reply_problem(q, 404, "segment_not_held", "the hold has no segment \"%.32s\"", sequence);
    } else {
        status = segment_share(s, &x->segment, err);
        if (status == TD_OK && segment_summary(s)->bytes)
            status = segment_read(x->segment, 0, &byte, 1, err);
        if (status == TD_OK)
            return x;
        if (status == TD_E_NOT_FOUND) {
            http_reply_problem(q, 410, "hold_lost", "%s", err->text);
            status = TD_OK;
        }
    }
    held_free(x);
    *ret_status = status;
    return NULL;
}

static int read_data(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct held *x = ctx;
    uint64_t left = x->files.bytes - offset;
    *ret_n = n < left ? n : (size_t)left;
    return segment_read_file(x->segment, offset, p, *ret_n, err);
}

static int read_index(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct held *x = ctx;
    uint64_t left = x->files.index_bytes - offset;
    *ret_n = n < left ? n : (size_t)left;
    return segment_read_index(x->segment, offset, p, *ret_n, err);
}

/* The tag names the very file: it stays the same over holds, so that a broken transfer can go on in another one. */
static int get_file(struct worker *w, struct http_request *q, bool index, struct error *err)
{
    int status = TD_OK;
    char etag[100];
    struct held *x = find_held(w, q, &status, err);
    if (!x)
        return status;
    if (segment_state(x->segment) == SEGMENT_WRITING) {
        http_reply_problem(q, 409, "segment_not_sealed", "segment %llu was being written when it was held; ask for its window",
                           (unsigned long long)segment_summary(x->segment)->sequence);
        held_free(x);
        return TD_OK;
    }
    status = segment_files(x->segment, &x->files, err);
    if (status == TD_OK && index && !x->files.has_index)
        status = error_set(err, TD_E_NOT_FOUND, "segment %llu has no index", (unsigned long long)segment_summary(x->segment)->sequence);
    if (status != TD_OK) {
        held_free(x);
        return status;
    }
    const struct segment_files *f = &x->files;
    snprintf(etag, sizeof(etag), "%s-%llu-%llu", index ? f->index_name : f->name, (unsigned long long)(index ? f->index_inode : f->inode),
             (unsigned long long)(index ? f->index_bytes : f->bytes));
    const struct http_object object = {x, index ? f->index_bytes : f->bytes, etag, index ? read_index : read_data, held_free};
    bool compressed = segment_state(x->segment) == SEGMENT_COMPRESSED;
    http_reply_object(q, index ? "application/octet-stream" : compressed ? "application/zstd" : pcapng_type, &object);
    return TD_OK;
}

static int get_data(void *ctx, struct http_request *q, struct error *err)
{
    return get_file(ctx, q, false, err);
}

static int get_index(void *ctx, struct http_request *q, struct error *err)
{
    return get_file(ctx, q, true, err);
}

static int read_window(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    return window_read(((struct held *)ctx)->window, p, n, ret_n, err);
}

/* Without parameters the window of the hold. */
static int get_window(void *ctx, struct http_request *q, struct error *err)
{
    struct worker *w = ctx;
    int status = TD_OK;
    struct window_request want;
    struct held *x = find_held(w, q, &status, err);
    if (!x)
        return status;
    status = worker_take_window(q, &want.start_ns, &want.end_ns, err);
    want.start_ns = http_parameter(q, "start") ? want.start_ns : x->hold->start_ns;
    want.end_ns = http_parameter(q, "end") ? want.end_ns : x->hold->end_ns;
    want.filter = NULL;
    if (status == TD_OK)
        status = window_open_segment(x->segment, &want, &x->window, err);
    if (status != TD_OK) {
        held_free(x);
        return status;
    }
    const struct http_stream stream = {x, read_window, held_free};
    http_reply_stream(q, 200, pcapng_type, HTTP_LENGTH_UNKNOWN, &stream);
    return TD_OK;
}

/* ---- Routes ---- */

static const char *const hold_parameters[] = {"start", "end", "last", NULL};
static const char *const window_parameters[] = {"start", "end", NULL};

static const struct http_route routes[] = {
    {"POST", "/api/v1/holds", HTTP_OPERATOR, hold_parameters, 0, add_hold},
    {"POST", "/api/v1/holds/{id}/renew", HTTP_OPERATOR, NULL, 0, renew_hold},
    {"DELETE", "/api/v1/holds/{id}", HTTP_OPERATOR, NULL, 0, end_hold},
    {"GET", "/api/v1/holds/{id}/segments/{sequence}/data", HTTP_VIEWER, NULL, 0, get_data},
    {"GET", "/api/v1/holds/{id}/segments/{sequence}/index", HTTP_VIEWER, NULL, 0, get_index},
    {"GET", "/api/v1/holds/{id}/segments/{sequence}/window", HTTP_VIEWER, window_parameters, 0, get_window},
};

const struct http_route *worker_api_holds_routes(size_t *ret_n)
{
    *ret_n = sizeof(routes) / sizeof(routes[0]);
    return routes;
}
