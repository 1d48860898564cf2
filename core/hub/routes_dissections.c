/* Dissections of snapshots: starting, listing, stopping, deleting; and where the calls of one are. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store.h"
#include "hub/routes.h"

enum { BODY_MAX = 16 << 10 };

#define DEFAULT_NAME "default"

/* ---- Finding ---- */

struct first_name {
    char name[MANIFEST_NAME];
    size_t n;
};

static int count_dissection(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    struct first_name *f = ctx;
    (void)bytes;
    (void)mtime_ns;
    if (f->n++ == 0)
        snprintf(f->name, sizeof(f->name), "%s", name);
    return TD_OK;
}

/* The name of the dissection that is meant: the one that is named, or the only one. */
static int choose_dissection(struct snapshot *s, const char *snapshot, const char *named, char out[MANIFEST_NAME], struct error *err)
{
    struct first_name f = {.name = "", .n = 0};
    if (named) {
        snprintf(out, MANIFEST_NAME, "%s", named);
        return manifest_check_name(named, NULL) == TD_OK ? TD_OK
                                                         : error_set(err, TD_E_NOT_FOUND, "there is no dissection \"%.128s\"", named);
    }
    int status = snapshot_list_dissections(s, count_dissection, &f, err);
    if (status == TD_OK && f.n == 0)
        status = error_set(err, TD_E_NOT_FOUND, "snapshot %s is not dissected; `tapedeck snapshot dissect %s` does it", snapshot, snapshot);
    if (status == TD_OK && f.n > 1)
        status = error_set(err, TD_E_CONFIG, "snapshot %s has %zu dissections; name one: %s/%s", snapshot, f.n, snapshot, f.name);
    snprintf(out, MANIFEST_NAME, "%s", f.name);
    return status;
}

int hub_find_calls(struct hub *hub, const char *db, struct hub_calls *ret, struct error *err)
{
    char snapshot[MANIFEST_NAME], name[MANIFEST_NAME];
    const char *slash = strchr(db, '/');
    ret->pin = NULL;
    ret->growing = false;
    size_t n = slash ? (size_t)(slash - db) : strlen(db);
    snprintf(snapshot, sizeof(snapshot), "%.*s", n < sizeof(snapshot) ? (int)n : 0, db);
    struct snapshot *s = snapshots_pin(hub->snapshots, snapshot);
    if (!s)
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot \"%.128s\"", db);
    int status = choose_dissection(s, snapshot, slash ? slash + 1 : NULL, name, err);
    if (status == TD_OK && !snapshot_dissection_path(s, name, ret->path))
        status = error_set(err, TD_E_NOT_FOUND, "snapshot %s has no dissection %s", snapshot, name);
    snprintf(ret->db, sizeof(ret->db), "%s/%s", snapshot, name);
    ret->pin = status == TD_OK ? s : NULL;
    if (status != TD_OK)
        snapshot_unpin(s);
    return status;
}

/* ---- What there is ---- */

/* Jobs that have not become a dissection; of those that have, the job is told with it. */
struct unborn {
    struct buf *b;
    json_t *seen; /* subjects that are in `b` */
    const char *only;
};

static void put_protocols(struct buf *b, const struct store *store)
{
    struct td_slice summary = store_summary(store);
    json_t *v = summary.n ? json_loadb((const char *)summary.p, summary.n, 0, NULL) : NULL;
    if (json_is_object(v)) {
        json_put_key(b, "summary");
        buf_put_slice(b, summary);
    }
    json_decref(v);
}

struct last_job {
    struct hub *hub;
    struct buf *b;
    bool found;
};

/* What only the job knows, as long as it is kept: how many packets it read, and what went wrong on the way. */
static int put_last_job(void *ctx, const struct job_status *s)
{
    static const char *const members[] = {"packets", "crashes", "damaged_captures", "quarantined"};
    struct last_job *last = ctx;
    struct buf result = {.n = 0};
    if (s->state != JOB_COMPLETED || last->found)
        return TD_OK;
    last->found = true;
    json_put_text(last->b, "job", s->id);
    json_put_time(last->b, "finished_at", s->finished_ns, true);
    json_t *v = jobs_result(last->hub->jobs, s->id, &result, NULL) == TD_OK && result.n
                    ? json_loadb((const char *)result.p, result.n, 0, NULL)
                    : NULL;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const json_t *one = json_object_get(v, members[i]);
        char *text = one ? json_dumps(one, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (text) {
            json_put_key(last->b, members[i]);
            buf_puts(last->b, text);
        }
        free(text);
    }
    json_decref(v);
    buf_clear(&result);
    return TD_OK;
}

static int put_stored(struct hub *hub, struct buf *b, struct snapshot *s, const char *name, uint64_t bytes, int64_t mtime_ns,
                      struct error *err)
{
    char path[STORAGE_MAX_PATH], subject[JOB_SUBJECT];
    struct store *store = NULL;
    int64_t first_ns = 0, last_ns = 0;
    if (!snapshot_dissection_path(s, name, path))
        return TD_OK; /* deleted meanwhile */
    int status = store_open(path, &store, err);
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_text(b, "snapshot", snapshot_manifest(s)->name);
    json_put_text(b, "name", name);
    json_put_text(b, "state", status == TD_OK ? "completed" : "failed");
    if (status != TD_OK)
        json_put_text(b, "error", err->text);
    json_put_u64(b, "progress", 100);
    json_put_u64(b, "size", bytes);
    json_put_time(b, "created_at", mtime_ns, true);
    if (status == TD_OK) {
        bool any = store_times(store, &first_ns, &last_ns);
        json_put_u64(b, "calls", store_count(store));
        json_put_time(b, "first", first_ns, any);
        json_put_time(b, "last", last_ns, any);
        put_protocols(b, store);
    }
    store_free(store);
    struct last_job last = {hub, b, false};
    snprintf(subject, sizeof(subject), "%s/%s", snapshot_manifest(s)->name, name);
    status = jobs_each(hub->jobs, "dissect", subject, put_last_job, &last, err);
    buf_putc(b, '}');
    return status;
}

struct stored {
    struct hub *hub;
    struct buf *b;
    struct snapshot *s;
    json_t *seen;
    const char *only;
    struct error *err;
};

static int put_one_stored(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    struct stored *l = ctx;
    char subject[JOB_SUBJECT];
    if (l->only && strcmp(l->only, name) != 0)
        return TD_OK;
    snprintf(subject, sizeof(subject), "%s/%s", snapshot_manifest(l->s)->name, name);
    json_object_set_new(l->seen, subject, json_true());
    return put_stored(l->hub, l->b, l->s, name, bytes, mtime_ns, l->err);
}

static int put_unborn(void *ctx, const struct job_status *s)
{
    struct unborn *u = ctx;
    const char *slash = strchr(s->subject, '/');
    if (!slash || s->state == JOB_COMPLETED || json_object_get(u->seen, s->subject) || (u->only && strcmp(u->only, s->subject) != 0))
        return TD_OK;
    json_object_set_new(u->seen, s->subject, json_true());
    json_put_comma(u->b);
    buf_putc(u->b, '{');
    json_put_key(u->b, "snapshot");
    buf_printf(u->b, "\"%.*s\"", (int)(slash - s->subject), s->subject); /* names need no escapes */
    json_put_text(u->b, "name", slash + 1);
    json_put_text(u->b, "state", job_state_name(s->state));
    json_put_key(u->b, "progress");
    buf_printf(u->b, "%.1f", s->all ? (double)(s->done < s->all ? s->done : s->all) * 100 / (double)s->all : 0);
    if (*s->error)
        json_put_text(u->b, "error", s->error);
    json_put_text(u->b, "job", s->id);
    json_put_time(u->b, "created_at", s->created_ns, true);
    buf_putc(u->b, '}');
    return TD_OK;
}

/* Those that run first: a dissection that is made anew is there all the while. */
static int put_all(struct hub *hub, struct buf *b, struct error *err)
{
    struct snapshot **v = NULL;
    size_t n = 0;
    struct unborn u = {b, json_object(), NULL};
    int status = u.seen ? snapshots_pin_all(hub->snapshots, &v, &n, err) : error_nomem(err);
    for (size_t i = 0; i < n; i++) {
        struct stored l = {hub, b, v[i], u.seen, NULL, err};
        if (status == TD_OK)
            status = snapshot_list_dissections(v[i], put_one_stored, &l, err);
        snapshot_unpin(v[i]);
    }
    mem_free(v);
    if (status == TD_OK)
        status = jobs_each(hub->jobs, "dissect", NULL, put_unborn, &u, err);
    json_decref(u.seen);
    return status;
}

static int get_dissections(void *ctx, struct http_request *q, struct error *err)
{
    struct buf b = {.n = 0};
    buf_lit(&b, "{\"dissections\":[");
    int status = put_all(ctx, &b, err);
    buf_lit(&b, "]}");
    if (status == TD_OK)
        hub_reply_json(q, 200, &b);
    buf_clear(&b);
    return status;
}

static int not_found(struct http_request *q)
{
    http_reply_problem(q, 404, "dissection_not_found", "snapshot %.128s has no dissection %.128s", http_segment(q, "snapshot"),
                       http_segment(q, "name"));
    return TD_OK;
}

/* "snapshot/name", as jobs have it; false: they are no names. */
static bool subject_of(const struct http_request *q, char out[JOB_SUBJECT])
{
    const char *snapshot = http_segment(q, "snapshot"), *name = http_segment(q, "name");
    if (manifest_check_name(snapshot, NULL) != TD_OK || manifest_check_name(name, NULL) != TD_OK)
        return false;
    return snprintf(out, JOB_SUBJECT, "%s/%s", snapshot, name) < JOB_SUBJECT;
}

static int get_dissection(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    char subject[JOB_SUBJECT];
    struct buf b = {.n = 0};
    if (!subject_of(q, subject))
        return not_found(q);
    struct unborn u = {&b, json_object(), subject};
    struct snapshot *s = snapshots_pin(hub->snapshots, http_segment(q, "snapshot"));
    struct stored l = {hub, &b, s, u.seen, http_segment(q, "name"), err};
    int status = !u.seen ? error_nomem(err) : s ? snapshot_list_dissections(s, put_one_stored, &l, err) : TD_OK;
    if (s)
        snapshot_unpin(s);
    if (status == TD_OK)
        status = jobs_each(hub->jobs, "dissect", subject, put_unborn, &u, err);
    json_decref(u.seen);
    if (status == TD_OK && b.n == 0)
        return not_found(q);
    if (status == TD_OK)
        hub_reply_json(q, 200, &b);
    buf_clear(&b);
    return status;
}

/* ---- Changing ---- */

static int post_dissection(void *ctx, struct http_request *q, struct error *err)
{
    static const char *const members[] = {"snapshot", "name", NULL};
    struct hub *hub = ctx;
    const char *snapshot = NULL, *name = NULL;
    char subject[JOB_SUBJECT];
    json_t *body = NULL;
    struct buf request = {.n = 0};
    int status = hub_body(q, members, &body, err);
    if (status == TD_OK)
        status = hub_take_text(body, "snapshot", NULL, &snapshot, err);
    if (status == TD_OK && !snapshot)
        status = error_set(err, TD_E_CONFIG, "snapshot is missing: the name of the one to dissect");
    if (status == TD_OK)
        status = hub_take_text(body, "name", DEFAULT_NAME, &name, err);
    if (status == TD_OK)
        status = manifest_check_name(name, err);
    if (status == TD_OK && !snapshots_has_name(hub->snapshots, snapshot)) {
        status = hub_no_snapshot(hub, q, snapshot);
    } else if (status == TD_OK) {
        snprintf(subject, sizeof(subject), "%s/%s", snapshot, name);
        buf_putc(&request, '{');
        json_put_text(&request, "snapshot", snapshot);
        json_put_text(&request, "name", name);
        buf_putc(&request, '}');
        status = hub_submit(hub, q, "dissect", subject, &request, err);
    }
    buf_clear(&request);
    json_decref(body);
    return status;
}

static int take_running(void *ctx, const struct job_status *s)
{
    char *id = ctx;
    if (s->state <= JOB_RUNNING)
        memcpy(id, s->id, JOB_ID);
    return TD_OK;
}

/* The job that is at it; "": none. */
static int find_running(struct hub *hub, const char *subject, char id[JOB_ID], struct error *err)
{
    id[0] = '\0';
    return jobs_each(hub->jobs, "dissect", subject, take_running, id, err);
}

static int post_stop(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    char subject[JOB_SUBJECT], id[JOB_ID] = "";
    struct buf b = {.n = 0};
    if (!subject_of(q, subject))
        return not_found(q);
    int status = find_running(hub, subject, id, err);
    if (status == TD_OK)
        status = *id ? jobs_cancel(hub->jobs, id, err) : TD_E_EXISTS;
    if (status == TD_E_EXISTS) { /* or it has just ended */
        http_reply_problem(q, 409, "not_running", "%s is not being dissected", subject);
        return TD_OK;
    }
    if (status != TD_OK)
        return status;
    buf_putc(&b, '{');
    json_put_text(&b, "job", id);
    buf_putc(&b, '}');
    hub_reply_json(q, 202, &b);
    return TD_OK;
}

static int delete_dissection(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    char subject[JOB_SUBJECT], id[JOB_ID] = "";
    if (!subject_of(q, subject))
        return not_found(q);
    int status = find_running(hub, subject, id, err);
    if (status == TD_OK && *id) {
        http_reply_problem(q, 409, "in_use", "%s is being dissected; stop that first", subject);
        return TD_OK;
    }
    struct snapshot *s = status == TD_OK ? snapshots_pin(hub->snapshots, http_segment(q, "snapshot")) : NULL;
    if (status == TD_OK)
        status = s ? snapshot_remove_dissection(s, http_segment(q, "name"), err) : TD_E_NOT_FOUND;
    if (s)
        snapshot_unpin(s);
    if (status == TD_E_NOT_FOUND)
        return not_found(q);
    if (status == TD_OK)
        http_reply_empty(q, 204);
    return status;
}

/* ---- Routes ---- */

#define NAME "{\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$\"}"

static const struct hub_parameter parameters[] = {{"snapshot", NAME, "The snapshot", true}, {"name", NAME, "The dissection", true}, {0}};
static const struct hub_answer create_answers[] = {
    {202, JSON_TYPE, "The job that dissects it"},
    {404, "application/problem+json", "snapshot_not_found"},
    {409, "application/problem+json", "exists: a job is at it; not_local: the snapshot is in the cloud only"},
    {503, "application/problem+json", "cloud_unavailable: the snapshot is not here, and the cloud does not answer"},
    {0}};
static const struct hub_answer list_answers[] = {{200, JSON_TYPE, "Dissections: whole ones, those that run, and those that failed"}, {0}};
static const struct hub_answer one_answers[] = {
    {200, JSON_TYPE, "The dissection, with its statistics"}, {404, "application/problem+json", "dissection_not_found"}, {0}};
static const struct hub_answer stop_answers[] = {
    {202, JSON_TYPE, "It will end soon"}, {409, "application/problem+json", "not_running"}, {0}};
static const struct hub_answer delete_answers[] = {{204, NULL, "It is gone"},
                                                   {404, "application/problem+json", "dissection_not_found"},
                                                   {409, "application/problem+json", "in_use: it runs"},
                                                   {0}};

static const struct hub_route routes[] = {
    {"POST", API "/dissections", HTTP_OPERATOR, BODY_MAX, post_dissection, "createDissection", "Dissect a snapshot into calls", NULL,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"snapshot\"],\"properties\":{\"snapshot\":" NAME ",\"name\":" NAME
     "}}",
     create_answers},
    {"GET", API "/dissections", HTTP_VIEWER, 0, get_dissections, "listDissections", "Dissections of all snapshots", NULL, NULL,
     list_answers},
    {"GET", API "/dissections/{snapshot}/{name}", HTTP_VIEWER, 0, get_dissection, "getDissection", "One dissection", parameters, NULL,
     one_answers},
    {"POST", API "/dissections/{snapshot}/{name}/stop", HTTP_OPERATOR, 0, post_stop, "stopDissection", "Stop a dissection that runs",
     parameters, NULL, stop_answers},
    {"DELETE", API "/dissections/{snapshot}/{name}", HTTP_ADMIN, 0, delete_dissection, "deleteDissection", "Delete a dissection",
     parameters, NULL, delete_answers},
};

const struct hub_subject *hub_routes_dissections(void)
{
    static const struct hub_subject subject = {"dissections", "Snapshots turned into calls", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
