/* Jobs: lists, one of them, cancelling, and events as they go on. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/routes.h"
#include "net/http_events.h"

enum { MAX_WAIT_S = 30 };
#define LOOK_NS (250 * (int64_t)NS_PER_MS) /* so soon it is seen that the client has left */

/* Without its closing brace. */
static void put_job(struct buf *b, const struct job_status *s)
{
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_text(b, "id", s->id);
    json_put_text(b, "kind", s->kind);
    json_put_text(b, "subject", s->subject);
    json_put_text(b, "state", job_state_name(s->state));
    json_put_u64(b, "done", s->done);
    json_put_u64(b, "all", s->all);
    json_put_key(b, "progress");
    buf_printf(b, "%.1f",
               s->state == JOB_COMPLETED ? 100
               : s->all                  ? (double)(s->done < s->all ? s->done : s->all) * 100 / (double)s->all
                                         : 0);
    json_put_time(b, "created_at", s->created_ns, true);
    json_put_time(b, "started_at", s->started_ns, s->started_ns != 0);
    json_put_time(b, "finished_at", s->finished_ns, s->finished_ns != 0);
    json_put_u64(b, "attempts", s->attempts);
    if (*s->error)
        json_put_text(b, "error", s->error);
    if (*s->code)
        json_put_text(b, "code", s->code);
}

struct listing {
    struct buf b;
    const char *state; /* NULL: all */
};

static int put_one(void *ctx, const struct job_status *s)
{
    struct listing *l = ctx;
    if (!l->state || strcmp(l->state, job_state_name(s->state)) == 0) {
        put_job(&l->b, s);
        buf_putc(&l->b, '}');
    }
    return TD_OK;
}

static int get_jobs(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct listing l = {.state = http_parameter(q, "state")};
    buf_lit(&l.b, "{\"jobs\":[");
    int status = jobs_each(hub->jobs, http_parameter(q, "kind"), http_parameter(q, "subject"), put_one, &l, err);
    if (status != TD_OK) {
        buf_clear(&l.b);
        return status;
    }
    buf_putc(&l.b, ']');
    if (*jobs_note(hub->jobs))
        json_put_text(&l.b, "note", jobs_note(hub->jobs));
    buf_putc(&l.b, '}');
    hub_reply_json(q, 200, &l.b);
    return TD_OK;
}

/* What was given as JSON; what is none is left out. */
static void put_given(struct buf *b, const char *key, const struct buf *json)
{
    json_t *v = json->n ? json_loadb((const char *)json->p, json->n, JSON_DECODE_ANY, NULL) : NULL;
    if (v) {
        json_put_key(b, key);
        buf_put_slice(b, buf_slice(json));
    }
    json_decref(v);
}

/* For those who would ask over and over. */
static int take_wait(const struct http_request *q, int64_t *ret_ns, struct error *err)
{
    const char *text = http_parameter(q, "wait");
    size_t n = text ? strlen(text) : 0;
    *ret_ns = 0;
    if (!text)
        return TD_OK;
    if (n < 1 || n > 2 || strspn(text, "0123456789") != n || strtol(text, NULL, 10) > MAX_WAIT_S)
        return error_set(err, TD_E_CONFIG, "wait must be a number of seconds, at most %d", MAX_WAIT_S);
    *ret_ns = strtol(text, NULL, 10) * (int64_t)NS_PER_S;
    return TD_OK;
}

/* Its state when it has ended, or after so long. */
static int await_job(struct jobs *jobs, const struct http_request *q, int64_t wait_ns, struct job_status *ret, struct error *err)
{
    const char *id = http_segment(q, "id");
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns, left_ns;
    uint64_t version = jobs_wait(jobs, 0, 0);
    int status;
    while ((status = jobs_status(jobs, id, ret, err)) == TD_OK && ret->state <= JOB_RUNNING &&
           (left_ns = until_ns - clock_ns(CLOCK_MONOTONIC)) > 0 && !http_cancelled(q))
        version = jobs_wait(jobs, version, left_ns < LOOK_NS ? left_ns : LOOK_NS);
    return status;
}

static int get_job(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct job_status s;
    struct buf b = {.n = 0}, request = {.n = 0}, result = {.n = 0};
    const char *id = http_segment(q, "id");
    int64_t wait_ns;
    int status = take_wait(q, &wait_ns, err);
    if (status == TD_OK)
        status = await_job(hub->jobs, q, wait_ns, &s, err);
    if (status == TD_OK)
        status = jobs_request(hub->jobs, id, &request, err);
    if (status == TD_OK)
        status = jobs_result(hub->jobs, id, &result, err);
    if (status == TD_OK) {
        put_job(&b, &s);
        put_given(&b, "request", &request);
        put_given(&b, "result", &result);
        buf_putc(&b, '}');
        hub_reply_json(q, 200, &b);
    }
    buf_clear(&request);
    buf_clear(&result);
    return status;
}

static int cancel_job(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct job_status s;
    struct buf b = {.n = 0};
    const char *id = http_segment(q, "id");
    int status = jobs_cancel(hub->jobs, id, err);
    if (status == TD_E_EXISTS) {
        http_reply_problem(q, 409, "job_ended", "%s", err->text);
        return TD_OK;
    }
    if (status == TD_OK)
        status = jobs_status(hub->jobs, id, &s, err);
    if (status != TD_OK)
        return status;
    put_job(&b, &s);
    buf_putc(&b, '}');
    hub_reply_json(q, 202, &b);
    return TD_OK;
}

/* ---- Events ---- */

/* What a listener was told of jobs that have not ended. */
struct told {
    char id[JOB_ID];
    enum job_state state;
    uint64_t done;
};

struct listener {
    struct hub *hub;
    struct jobs *jobs;
    uint64_t version, cloud_version;
    int64_t looked_ns; /* those that ended before it are no news */
    struct told *v, *next;
    size_t n, next_n, room;
    struct buf *out;
};

static const struct told *find_told(const struct listener *l, const char *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].id, id) == 0)
            return &l->v[i];
    return NULL;
}

static int tell_job(void *ctx, const struct job_status *s)
{
    struct listener *l = ctx;
    const struct told *before = find_told(l, s->id);
    bool ended = s->state > JOB_RUNNING;
    if (ended && !before && s->finished_ns < l->looked_ns)
        return TD_OK;
    if (!ended && l->next_n < l->room) {
        struct told *t = &l->next[l->next_n++];
        memcpy(t->id, s->id, sizeof(t->id));
        t->state = s->state;
        t->done = s->done;
    }
    if (before && before->state == s->state && before->done == s->done)
        return TD_OK;
    struct buf data = {.n = 0};
    put_job(&data, s);
    buf_putc(&data, '}');
    http_put_event(l->out, &(struct http_event){.name = "job", .data = buf_slice(&data)});
    l->out->failed |= data.failed;
    buf_clear(&data);
    return TD_OK;
}

static uint64_t cloud_version_of(const struct hub *hub)
{
    return hub->cloud.cloud ? cloud_version(hub->cloud.cloud) : 0;
}

/* What lies in the cloud, or whether it answers, has changed: by this hub or by another one. */
static void tell_cloud(struct listener *l, struct buf *out)
{
    struct buf data = {.n = 0};
    uint64_t version = cloud_version_of(l->hub);
    if (version == l->cloud_version)
        return;
    l->cloud_version = version;
    hub_put_cloud(l->hub, &data);
    http_put_event(out, &(struct http_event){.name = "cloud", .data = buf_slice(&data)});
    out->failed |= data.failed;
    buf_clear(&data);
}

static int next_events(void *ctx, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err)
{
    struct listener *l = ctx;
    (void)ret_end;
    uint64_t version = jobs_wait(l->jobs, l->version, (int64_t)wait_ms * NS_PER_MS);
    tell_cloud(l, out);
    if (version == l->version)
        return TD_OK;
    int64_t now_ns = clock_ns(CLOCK_REALTIME);
    l->version = version;
    l->out = out;
    l->next_n = 0;
    int status = jobs_each(l->jobs, NULL, NULL, tell_job, l, err);
    struct told *last = l->v;
    l->v = l->next;
    l->n = l->next_n;
    l->next = last;
    l->looked_ns = now_ns;
    return status;
}

static void close_events(void *ctx)
{
    struct listener *l = ctx;
    mem_free(l->v);
    mem_free(l->next);
    mem_free(l);
}

/* At first all that have not ended; then each that comes, goes on or ends. */
static int get_events(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct listener *l = mem_calloc(1, sizeof(*l));
    if (!l)
        return error_nomem(err);
    l->hub = hub;
    l->jobs = hub->jobs;
    l->cloud_version = cloud_version_of(hub);
    l->room = JOBS_MAX_WAITING;
    l->looked_ns = clock_ns(CLOCK_REALTIME);
    l->v = mem_calloc(l->room, sizeof(*l->v));
    l->next = mem_calloc(l->room, sizeof(*l->next));
    if (!l->v || !l->next) {
        close_events(l);
        return error_nomem(err);
    }
    http_reply_events(q, &(struct http_events){l, next_events, close_events});
    return TD_OK;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"

static const struct hub_parameter list_parameters[] = {
    {"kind", TEXT, "Only of this kind", false},
    {"subject", TEXT, "Only those that work on this: a snapshot, or snapshot/dissection", false},
    {"state", "{\"type\":\"string\",\"enum\":[\"pending\",\"running\",\"completed\",\"failed\",\"cancelled\"]}", "Only in this state",
     false},
    {0}};
static const struct hub_parameter id_parameters[] = {{"id", TEXT, "The job's id", true}, {0}};
static const struct hub_parameter one_parameters[] = {{"id", TEXT, "The job's id", true},
                                                      {"wait", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":30}",
                                                       "Seconds: the answer comes when the job has ended, or after so long", false},
                                                      {0}};
static const struct hub_answer list_answers[] = {{200, JSON_TYPE, "The jobs, the newest first"}, {0}};
static const struct hub_answer one_answers[] = {{200, JSON_TYPE, "The job, with its request and its result"}, {0}};
static const struct hub_answer cancel_answers[] = {
    {202, JSON_TYPE, "It will end soon"}, {409, "application/problem+json", "It had ended already: job_ended"}, {0}};
static const struct hub_answer event_answers[] = {
    {200, "text/event-stream",
     "Events named job, each with a job as its data: first all that have not ended, then every change. Events named cloud, with what GET "
     "/cloud tells: whether it answers, or what lies there, has changed, so that lists of snapshots may be others now"},
    {0}};

static const struct hub_route routes[] = {
    {"GET", API "/jobs", HTTP_VIEWER, 0, get_jobs, "listJobs", "Jobs: those that run, and those of the last week", list_parameters, NULL,
     list_answers},
    {"GET", API "/jobs/events", HTTP_VIEWER, 0, get_events, "watchJobs", "Jobs as they go on: server-sent events", NULL, NULL,
     event_answers},
    {"GET", API "/jobs/{id}", HTTP_VIEWER, 0, get_job, "getJob", "One job", one_parameters, NULL, one_answers},
    {"POST", API "/jobs/{id}/cancel", HTTP_OPERATOR, 0, cancel_job, "cancelJob", "Cancel a job", id_parameters, NULL, cancel_answers},
};

const struct hub_subject *hub_routes_jobs(void)
{
    static const struct hub_subject subject = {"jobs", "Long work: creating, dissecting, verifying, uploading", routes,
                                               sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
