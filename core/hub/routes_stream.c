/* Calls as they come: server-sent events of those that a dissection has found, the oldest first.
 *
 * The store of a dissection that runs can be read by nobody but its sandbox; so what listens to one waits until it is finished. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store.h"
#include "filter/search.h"
#include "hub/routes.h"
#include "net/http_events.h"

enum { AT_ONCE_BYTES = 256 << 10, AT_ONCE_CALLS = 500, EVENT_ID = 64 };

struct stream {
    struct hub *hub;
    struct http_request *q;
    const char *db, *filter;
    bool payload, waits;
    char job[JOB_ID]; /* that is waited for */
    uint64_t version; /* of the jobs */
    struct store_position after;
    bool has_after;
    struct hub_calls calls;
    struct store *store;
    struct search *search;
    uint64_t n;
};

static void close_store(struct stream *s)
{
    search_close(s->search);
    store_free(s->store);
    if (s->calls.pin)
        snapshot_unpin(s->calls.pin);
    s->search = NULL;
    s->store = NULL;
    s->calls.pin = NULL;
}

static void close_stream(void *ctx)
{
    close_store(ctx);
    mem_free(ctx);
}

/* ---- Finding the store ---- */

struct running {
    const char *db;
    char *job;
};

/* "snapshot" is any of its dissections, "snapshot/name" that one. */
static int find_running(void *ctx, const struct job_status *s)
{
    struct running *r = ctx;
    size_t n = strlen(r->db);
    bool same = strncmp(s->subject, r->db, n) == 0 && (!s->subject[n] || (s->subject[n] == '/' && !strchr(r->db, '/')));
    if (same && s->state <= JOB_RUNNING)
        memcpy(r->job, s->id, JOB_ID);
    return TD_OK;
}

static bool nobody_waits(void *ctx)
{
    return http_cancelled(ctx);
}

static int open_search(struct stream *s, struct filter_diagnostics *diagnostics, struct error *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct search_options options = {.filter = s->filter,
                                           .oldest_first = true,
                                           .payload = s->payload,
                                           .now_ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec,
                                           .from_ns = INT64_MIN,
                                           .to_ns = INT64_MAX,
                                           .after = s->has_after ? &s->after : NULL,
                                           .stop = nobody_waits,
                                           .ctx = s->q};
    int status = hub_find_calls(s->hub, s->db, &s->calls, err);
    if (status != TD_OK) {
        s->calls.pin = NULL;
        return status;
    }
    status = store_open(s->calls.path, &s->store, err);
    return status == TD_OK ? search_open(s->store, &options, &s->search, diagnostics, err) : status;
}

/* Its filter is only held against the fields that are known now; those of the store may be others. */
static int check_filter(const struct stream *s, struct filter_diagnostics *diagnostics, struct error *err)
{
    struct filter *filter = NULL;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int status = filter_compile(s->hub->fields, td_str(s->filter ? s->filter : ""), (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, &filter,
                                diagnostics, err);
    filter_free(filter);
    return status;
}

/* ---- Events ---- */

static void put_problem(struct buf *out, const char *code, const char *detail)
{
    struct buf data = {.n = 0};
    buf_putc(&data, '{');
    json_put_text(&data, "type", "about:blank");
    json_put_text(&data, "title", "The stream ends");
    json_put_text(&data, "detail", detail);
    json_put_text(&data, "code", code);
    buf_putc(&data, '}');
    http_put_event(out, &(struct http_event){.name = "problem", .data = buf_slice(&data)});
    out->failed |= data.failed;
    buf_clear(&data);
}

static void put_end(const struct stream *s, struct buf *out)
{
    struct buf data = {.n = 0};
    buf_putc(&data, '{');
    json_put_u64(&data, "calls", s->n);
    json_put_u64(&data, "not_judged", search_errors(s->search));
    buf_putc(&data, '}');
    http_put_event(out, &(struct http_event){.name = "end", .data = buf_slice(&data)});
    out->failed |= data.failed;
    buf_clear(&data);
}

/* Has the job ended? If it has and there is a store, that is opened. */
static int wait_for_store(struct stream *s, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    struct job_status job;
    struct filter_diagnostics diagnostics;
    struct error why = {.text = ""};
    s->version = jobs_wait(s->hub->jobs, s->version, (int64_t)wait_ms * NS_PER_MS);
    int status = jobs_status(s->hub->jobs, s->job, &job, err);
    if (status != TD_OK || job.state <= JOB_RUNNING)
        return status;
    s->waits = false;
    if (job.state != JOB_COMPLETED) {
        put_problem(out, *job.code ? job.code : "cancelled", *job.error ? job.error : "the dissection was stopped");
        *ret_end = true;
        return TD_OK;
    }
    filter_diagnostics_init(&diagnostics);
    if (open_search(s, &diagnostics, &why) != TD_OK) {
        put_problem(out, diagnostics.fault_n ? "filter_error" : "not_found", why.text);
        *ret_end = true;
    }
    filter_diagnostics_clear(&diagnostics);
    return TD_OK;
}

static void put_call(struct stream *s, const struct td_call *call, struct buf *out)
{
    struct buf data = {.n = 0};
    char id[EVENT_ID];
    struct store_position at = search_position(s->search);
    snprintf(id, sizeof(id), "o%" PRId64 ".%" PRIu64, at.time_ns, at.id);
    hub_put_call(&data, s->calls.db, call, s->payload);
    http_put_event(out, &(struct http_event){.id = id, .data = buf_slice(&data)});
    out->failed |= data.failed;
    buf_clear(&data);
    s->n++;
}

static int next_events(void *ctx, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    struct stream *s = ctx;
    const struct td_call *call = NULL;
    int status = TD_OK;
    if (s->waits)
        return wait_for_store(s, wait_ms, out, ret_end, err);
    for (size_t i = 0; i < AT_ONCE_CALLS && out->n < AT_ONCE_BYTES && !*ret_end; i++) {
        status = search_next(s->search, &call, err);
        if (status != TD_OK)
            break;
        if (call)
            put_call(s, call, out);
        else
            *ret_end = true;
    }
    if (status != TD_OK && status != TD_E_CANCELLED) {
        put_problem(out, "internal_error", err->text);
        *ret_end = true;
        return TD_OK;
    }
    if (*ret_end)
        put_end(s, out);
    return status;
}

/* ---- The request ---- */

static int take_query(struct stream *s, struct error *err)
{
    const char *format = http_parameter(s->q, "format"), *last = http_last_event_id(s->q);
    s->db = http_parameter(s->q, "db");
    s->filter = http_parameter(s->q, "filter");
    s->payload = format && strcmp(format, "full") == 0;
    if (!s->db)
        return error_set(err, TD_E_CONFIG, "db is missing: the snapshot or snapshot/dissection whose calls are wanted");
    if (format && !s->payload && strcmp(format, "compact") != 0)
        return error_set(err, TD_E_CONFIG, "format must be compact or full");
    s->has_after = last != NULL;
    if (last && !hub_parse_cursor(last, true, &s->after))
        return error_set(err, TD_E_CONFIG, "\"%.64s\" is no id of an event of this stream", last);
    return TD_OK;
}

/* Its store, or the job that makes it. */
static int begin(struct stream *s, struct filter_diagnostics *diagnostics, struct error *err)
{
    struct running r = {s->db, s->job};
    int status = jobs_each(s->hub->jobs, "dissect", NULL, find_running, &r, err);
    if (status != TD_OK)
        return status;
    s->waits = *s->job != '\0';
    return s->waits ? check_filter(s, diagnostics, err) : open_search(s, diagnostics, err);
}

static int get_stream(void *ctx, struct http_request *q, struct error *err)
{
    struct filter_diagnostics diagnostics;
    struct stream *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->hub = ctx;
    s->q = q;
    filter_diagnostics_init(&diagnostics);
    int status = take_query(s, err);
    if (status == TD_OK)
        status = begin(s, &diagnostics, err);
    if (status == TD_OK)
        http_reply_events(q, &(struct http_events){s, next_events, close_stream});
    else if (status == TD_E_CONFIG && diagnostics.fault_n)
        hub_refuse_filter(q, &diagnostics, s->filter, err);
    bool refused = status == TD_E_CONFIG && diagnostics.fault_n;
    filter_diagnostics_clear(&diagnostics);
    if (status != TD_OK)
        close_stream(s);
    return refused ? TD_OK : status;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"

static const struct hub_parameter parameters[] = {
    {"db", TEXT, "snapshot, if it has one dissection, or snapshot/dissection", true},
    {"filter", TEXT, "Only calls that match it", false},
    {"format", "{\"type\":\"string\",\"enum\":[\"compact\",\"full\"],\"default\":\"compact\"}", "full: with headers and bodies", false},
    {0}};
static const struct hub_answer answers[] = {
    {200, "text/event-stream",
     "A message for each call, as /calls has it, the oldest first. While the dissection runs, they wait for its end. An event named end "
     "says "
     "that there are no more, one named problem why it ends before. Last-Event-ID goes on behind that call"},
    {400, "application/problem+json", "filter_error: with diagnostics, as /filter/check has them; or invalid_request"},
    {404, "application/problem+json", "There is no such snapshot or dissection, and none is made"},
    {0}};

static const struct hub_route routes[] = {
    {"GET", API "/calls/stream", HTTP_VIEWER, 0, get_stream, "streamCalls", "Calls as they come: server-sent events", parameters, NULL,
     answers},
};

const struct hub_subject *hub_routes_stream(void)
{
    static const struct hub_subject subject = {"stream", "Calls as events", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
