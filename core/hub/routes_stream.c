/* Calls as they come: server-sent events.
 *
 * Of a dissection that is finished, the oldest first. Of one that runs, as it finds them: what its child has committed is read over and
 * over until the job has ended, and comes in the order of its ids, so that whatever is added comes behind what was sent. The file stays the
 * same when it becomes the snapshot's, so that an event's id is good afterwards as well. After a crash of a dissector the child begins
 * anew, with another file: then the listener is told that what came before is void. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store.h"
#include "filter/search.h"
#include "hub/routes.h"
#include "net/http_events.h"

enum { AT_ONCE_BYTES = 256 << 10, AT_ONCE_CALLS = 500, LOOK_MS = 50 /* at least, or little is found */, EVENT_ID = 64 };

/* A child that is killed may leave its file damaged, and its job is begun anew or ends soon after. Damage that stays is told. */
#define DAMAGE_PATIENCE_NS (2 * (int64_t)NS_PER_S)

struct stream {
    struct hub *hub;
    struct http_request *q;
    const char *db, *filter;
    bool payload;
    bool as_found;               /* by id; otherwise the oldest first */
    bool running;                /* the job had not ended when it was last looked at ... */
    bool pending;                /* ... nor begun */
    bool waits;                  /* there was nothing new */
    bool owes_job, owes_restart; /* events */
    char job[JOB_ID];            /* that fills the store; "": none */
    char subject[JOB_SUBJECT];
    uint64_t version;                       /* of the jobs */
    uint64_t birth;                         /* of the store that calls were sent of; 0: none yet */
    int64_t damaged_ns;                     /* since when; 0: it is not */
    int64_t until_ns;                       /* so long calls are looked for at once */
    struct store_position after, sent, end; /* the next one is behind it; the last that was sent; of what is being searched */
    bool has_after;
    struct hub_calls calls;
    struct store *store;
    struct search *search;
    uint64_t n, not_judged;
};

static void close_search(struct stream *s)
{
    if (s->search)
        s->not_judged += search_errors(s->search);
    search_close(s->search);
    s->search = NULL;
}

static void close_store(struct stream *s)
{
    close_search(s);
    hub_close_calls(&s->calls, s->store);
    s->store = NULL;
}

static void close_stream(void *ctx)
{
    close_store(ctx);
    mem_free(ctx);
}

/* ---- Searching ---- */

static bool nobody_waits(void *ctx)
{
    const struct stream *s = ctx;
    return http_cancelled(s->q);
}

/* A filter that little fits may look for long. Meanwhile heartbeats have to be sent. */
static bool is_time_up(void *ctx)
{
    const struct stream *s = ctx;
    return clock_ns(CLOCK_MONOTONIC) >= s->until_ns;
}

static int open_search(struct stream *s, struct filter_diagnostics *diagnostics, struct error *err)
{
    const struct search_options options = {.filter = s->filter,
                                           .oldest_first = true,
                                           .as_found = s->as_found,
                                           .payload = s->payload,
                                           .now_ns = clock_ns(CLOCK_REALTIME),
                                           .from_ns = INT64_MIN,
                                           .to_ns = INT64_MAX,
                                           .after = s->has_after ? &s->after : NULL,
                                           .stop = nobody_waits,
                                           .pause = is_time_up,
                                           .ctx = s};
    s->end = store_end(s->store);
    return search_open(s->store, &options, &s->search, diagnostics, err);
}

/* Its filter is only held against the fields that are known now; those of the store may be others. */
static int check_filter(const struct stream *s, struct filter_diagnostics *diagnostics, struct error *err)
{
    struct filter *filter = NULL;
    int status = filter_compile(s->hub->fields, td_str(s->filter ? s->filter : ""), clock_ns(CLOCK_REALTIME), &filter, diagnostics, err);
    filter_free(filter);
    return status;
}

/* ---- Events ---- */

/* `data` is an object that lacks its end. */
static void put_event(struct buf *out, const char *name, struct buf *data)
{
    buf_putc(data, '}');
    http_put_event(out, &(struct http_event){.name = name, .data = buf_slice(data)});
    out->failed |= data->failed;
    buf_clear(data);
}

static void put_problem(struct buf *out, const char *code, const char *detail)
{
    struct buf data = {.n = 0};
    buf_putc(&data, '{');
    json_put_text(&data, "type", "about:blank");
    json_put_text(&data, "title", "The stream ends");
    json_put_text(&data, "detail", detail);
    json_put_text(&data, "code", code);
    put_event(out, "problem", &data);
}

static void put_end(const struct stream *s, struct buf *out)
{
    struct buf data = {.n = 0};
    buf_putc(&data, '{');
    json_put_u64(&data, "calls", s->n);
    json_put_u64(&data, "not_judged", s->not_judged);
    put_event(out, "end", &data);
}

static void put_restart(struct buf *out)
{
    struct buf data = {.n = 0};
    buf_putc(&data, '{');
    json_put_text(&data, "detail", "the dissection began anew: the calls that came before are void, and come again");
    put_event(out, "restart", &data);
}

static void put_call(struct stream *s, const struct td_call *call, struct buf *out)
{
    struct buf data = {.n = 0};
    char id[EVENT_ID];
    s->sent = search_position(s->search);
    if (s->as_found)
        snprintf(id, sizeof(id), "f%" PRIu64 ".%" PRIu64, s->birth, s->sent.id);
    else
        snprintf(id, sizeof(id), "o%" PRId64 ".%" PRIu64, s->sent.time_ns, s->sent.id);
    hub_put_call(&data, s->calls.db, call, s->payload);
    http_put_event(out, &(struct http_event){.id = id, .data = buf_slice(&data)});
    out->failed |= data.failed;
    buf_clear(&data);
    s->n++;
}

/* What can be sent at once, or found in so long; then the search is closed if that was all of it. */
static int put_calls(struct stream *s, unsigned wait_ms, struct buf *out, struct error *err)
{
    const struct td_call *call = NULL;
    s->until_ns = clock_ns(CLOCK_MONOTONIC) + (wait_ms > LOOK_MS ? wait_ms : LOOK_MS) * (int64_t)NS_PER_MS;
    for (size_t i = 0; i < AT_ONCE_CALLS && out->n < AT_ONCE_BYTES; i++) {
        int status = search_next(s->search, &call, err);
        if (status == TD_E_RETRY && search_paused(s->search))
            return TD_OK;
        if (status != TD_OK) {
            close_search(s); /* to be gone on with behind the last that was sent */
            return status;
        }
        if (!call) {
            s->after = s->end;
            s->has_after = true;
            close_search(s);
            return TD_OK;
        }
        put_call(s, call, out);
        s->damaged_ns = 0;
        if (s->as_found) {
            s->after = s->sent;
            s->has_after = true;
        }
    }
    return TD_OK;
}

/* ---- The store of a dissection that runs ---- */

/* Is it the one that calls were sent of? If not, they are void. */
static void take_birth(struct stream *s)
{
    uint64_t birth = store_birth(s->store);
    if (s->birth && s->birth != birth) {
        s->owes_restart = true;
        s->has_after = false;
        s->n = s->not_judged = 0;
        s->damaged_ns = 0;
    }
    s->birth = birth;
}

static int open_store(struct stream *s, struct error *err)
{
    int status;
    if (s->running) {
        status = hub_open_growing(s->hub, s->subject, &s->store, err);
        snprintf(s->calls.db, sizeof(s->calls.db), "%s", s->subject);
    } else {
        status = hub_find_calls(s->hub, *s->subject ? s->subject : s->db, &s->calls, err);
        if (status == TD_OK)
            status = store_open(s->calls.path, &s->store, err);
    }
    if (status != TD_OK)
        close_store(s);
    else if (s->as_found)
        take_birth(s);
    return status;
}

/* What came since. A store whose writer is dead is let go, for the next one's. */
static int refresh_store(struct stream *s, struct error *err)
{
    bool more;
    int status = s->store ? store_refresh(s->store, &more, err) : TD_OK;
    if (status != TD_OK || (s->store && store_state(s->store) == STORE_INCOMPLETE))
        close_store(s);
    if (status == TD_OK && !s->store)
        status = open_store(s, err);
    return status;
}

/* *ret_end: it has failed, and that was told. */
static int look_at_job(struct stream *s, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    struct job_status job;
    if (!s->running)
        return TD_OK;
    if (s->waits)
        s->version = jobs_wait(s->hub->jobs, s->version, (int64_t)wait_ms * NS_PER_MS);
    s->waits = true;
    int status = jobs_status(s->hub->jobs, s->job, &job, err);
    if (status != TD_OK)
        return status;
    s->pending = job.state == JOB_PENDING;
    s->running = job.state <= JOB_RUNNING;
    if (s->running || job.state == JOB_COMPLETED)
        return TD_OK;
    put_problem(out, *job.code ? job.code : "cancelled", *job.error ? job.error : "the dissection was stopped");
    *ret_end = true;
    return TD_OK;
}

/* Nothing is there yet, or a child that was killed has left something. As long as the job runs, that may pass. */
static int may_pass(struct stream *s, int status)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (!s->running || status == TD_E_NOMEM)
        return status;
    if (status == TD_E_NOT_FOUND || status == TD_E_RETRY)
        return TD_OK;
    if (!s->damaged_ns)
        s->damaged_ns = now;
    close_store(s);
    return now - s->damaged_ns < DAMAGE_PATIENCE_NS ? TD_OK : status;
}

/* Opens a search in what is new, if anything is; if nothing can come any more, this is the end. */
static int find_more(struct stream *s, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    struct filter_diagnostics diagnostics;
    int status = look_at_job(s, wait_ms, out, ret_end, err);
    if (status != TD_OK || *ret_end || s->pending)
        return status;
    status = refresh_store(s, err); /* after the job: one that has ended has added all */
    if (status != TD_OK)
        return status;
    if (s->has_after && s->after.id >= store_end(s->store).id) {
        if (!s->running)
            put_end(s, out);
        *ret_end = !s->running;
        return TD_OK;
    }
    filter_diagnostics_init(&diagnostics);
    status = open_search(s, &diagnostics, err);
    if (diagnostics.fault_n) {
        put_problem(out, "filter_error", err->text);
        *ret_end = true;
        status = TD_OK;
    }
    filter_diagnostics_clear(&diagnostics);
    s->waits = false;
    return status;
}

static void pay_debts(struct stream *s, struct buf *out)
{
    struct buf data = {.n = 0};
    if (s->owes_job) {
        buf_putc(&data, '{');
        json_put_text(&data, "job", s->job);
        put_event(out, "dissecting", &data);
    }
    if (s->owes_restart)
        put_restart(out);
    s->owes_job = s->owes_restart = false;
}

static int next_found(struct stream *s, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    pay_debts(s, out);
    int status = s->search ? TD_OK : find_more(s, wait_ms, out, ret_end, err);
    pay_debts(s, out);
    if (status == TD_OK && s->search)
        status = put_calls(s, wait_ms, out, err);
    return status == TD_OK || status == TD_E_CANCELLED ? status : may_pass(s, status);
}

/* Of a dissection that is finished, in the order of time. */
static int next_oldest(struct stream *s, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    int status = put_calls(s, wait_ms, out, err);
    if (status == TD_OK && !s->search) {
        put_end(s, out);
        *ret_end = true;
    }
    return status;
}

static int next_events(void *ctx, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    struct stream *s = ctx;
    int status = s->as_found ? next_found(s, wait_ms, out, ret_end, err) : next_oldest(s, wait_ms, out, ret_end, err);
    if (status == TD_OK || status == TD_E_CANCELLED)
        return status;
    put_problem(out, status == TD_E_NOT_FOUND ? "not_found" : "internal_error", err->text);
    *ret_end = true;
    return TD_OK;
}

/* ---- The request ---- */

/* "f42.7": call 7, as found, of the store that was born with 42. */
static bool parse_found(const char *text, struct stream *s)
{
    char *end;
    if (text[0] != 'f' || strspn(text + 1, ".0123456789") != strlen(text + 1) || strlen(text) > 48)
        return false;
    s->birth = strtoull(text + 1, &end, 10);
    if (end == text + 1 || *end != '.' || !s->birth)
        return false;
    s->after = (struct store_position){0, strtoull(end + 1, &end, 10)};
    return !*end && s->after.id > 0;
}

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
    s->as_found = last && parse_found(last, s);
    if (last && !s->as_found && !hub_parse_cursor(last, true, &s->after))
        return error_set(err, TD_E_CONFIG, "\"%.64s\" is no id of an event of this stream", last);
    return TD_OK;
}

/* Its store, or the job that makes it. Who was sent calls in the order of time, of an older store, begins anew. */
static int begin(struct stream *s, struct filter_diagnostics *diagnostics, struct error *err)
{
    struct job_status job;
    int status = hub_find_dissecting(s->hub, s->db, &job, &s->running, err);
    if (status == TD_OK && !s->running) {
        status = open_store(s, err);
        return status == TD_OK ? open_search(s, diagnostics, err) : status;
    }
    if (status != TD_OK)
        return status;
    memcpy(s->job, job.id, sizeof(s->job));
    memcpy(s->subject, job.subject, sizeof(s->subject));
    s->owes_job = true;
    s->owes_restart = s->has_after && !s->as_found;
    s->has_after &= s->as_found;
    s->as_found = true;
    return check_filter(s, diagnostics, err);
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
    bool refused = (status == TD_E_CONFIG && diagnostics.fault_n) || (status == TD_E_NOT_FOUND && hub_refuse_remote(ctx, q, s->db));
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
     "A message for each call, as /calls has it: the oldest first, or, of a dissection that runs, as they are found, until it ends. An "
     "event "
     "named end says that there are no more, one named problem why it ends before, one named restart that the dissection began anew and "
     "that "
     "the calls before it are void. Last-Event-ID goes on behind that call"},
    {400, "application/problem+json", "filter_error: with diagnostics, as /filter/check has them; or invalid_request"},
    {404, "application/problem+json", "There is no such snapshot or dissection, and none is made"},
    {409, "application/problem+json", "not_local: the snapshot is in the cloud only"},
    {503, "application/problem+json", "cloud_unavailable: the snapshot is not here, and the cloud does not answer"},
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
