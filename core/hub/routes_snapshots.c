/* Snapshots: creating, listing, showing, verifying, deleting. */
#include <stdio.h>
#include <time.h>

#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/routes.h"
#include "snapshot/create.h"

enum { BODY_MAX = 256 << 10, ESTIMATE_PATIENCE_S = 10 };

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ---- What was asked ---- */

struct wanted {
    json_t *body;
    const char *name;
    int64_t start_ns, end_ns;
    bool allow_partial;
    struct node *nodes;
    size_t node_count;
    struct create_worker *workers;
    size_t worker_count;
};

static void wanted_clear(struct wanted *w)
{
    nodes_list_free(w->nodes, w->node_count);
    mem_free(w->workers);
    json_decref(w->body);
}

static int take_time(const json_t *body, const char *name, int64_t now_ns, int64_t *ret, struct error *err)
{
    const char *text;
    int status = hub_take_text(body, name, NULL, &text, err);
    if (status == TD_OK && !text)
        status = error_set(err, TD_E_CONFIG, "%s is missing: give start and end, or last", name);
    if (status == TD_OK && !units_parse_time(text, now_ns, ret))
        status = error_set(err, TD_E_CONFIG, "%s: \"%.64s\" is no time; write it as 2026-01-02T03:04:05.6Z, or as now-5m", name, text);
    return status;
}

static int take_window(struct wanted *w, struct error *err)
{
    const char *last = NULL;
    int64_t now_ns = now(), last_ns;
    int status = hub_take_text(w->body, "last", NULL, &last, err);
    if (status == TD_OK && last && (json_object_get(w->body, "start") || json_object_get(w->body, "end")))
        status = error_set(err, TD_E_CONFIG, "last goes without start and end");
    if (status == TD_OK && last && (!units_parse_duration(last, &last_ns) || last_ns <= 0))
        status = error_set(err, TD_E_CONFIG, "last: \"%.64s\" is no duration; write it as 30s, 5m, 1h30m", last);
    if (status == TD_OK && last) {
        w->start_ns = now_ns - last_ns;
        w->end_ns = now_ns;
        return TD_OK;
    }
    if (status == TD_OK)
        status = take_time(w->body, "start", now_ns, &w->start_ns, err);
    if (status == TD_OK)
        status = take_time(w->body, "end", now_ns, &w->end_ns, err);
    if (status == TD_OK && w->end_ns <= w->start_ns)
        status = error_set(err, TD_E_CONFIG, "the window ends before it starts");
    return status;
}

static bool is_named(const json_t *names, const char *node)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), node) == 0)
            return true;
    return names == NULL;
}

/* All workers, or those of the nodes that are named. */
static int take_workers(struct hub *hub, struct wanted *w, struct error *err)
{
    const json_t *names = json_object_get(w->body, "nodes");
    if (json_is_null(names))
        names = NULL;
    bool good = !names || (json_is_array(names) && json_array_size(names) > 0);
    for (size_t i = 0; good && i < json_array_size(names); i++)
        good = json_is_string(json_array_get(names, i));
    if (!good)
        return error_set(err, TD_E_CONFIG, "nodes must be a list of names; without it, all are taken");
    int status = nodes_list(hub->nodes, &w->nodes, &w->node_count, err);
    w->workers = status == TD_OK ? mem_calloc(w->node_count + 1, sizeof(*w->workers)) : NULL;
    if (status != TD_OK || !w->workers)
        return status != TD_OK ? status : error_nomem(err);
    for (size_t i = 0; i < w->node_count; i++) {
        const struct node *n = &w->nodes[i];
        if (is_named(names, n->name) && strncmp(n->url, "dns:", 4) != 0) /* else a name that has no addresses yet */
            w->workers[w->worker_count++] = (struct create_worker){n->url, n->token, n->ca, *n->name ? n->name : NULL};
    }
    for (size_t i = 0; i < json_array_size(names); i++) {
        bool found = false;
        const char *name = json_string_value(json_array_get(names, i));
        for (size_t k = 0; k < w->worker_count; k++)
            found |= w->workers[k].node && strcmp(w->workers[k].node, name) == 0;
        if (!found)
            return error_set(err, TD_E_NOT_FOUND, "there is no node %.128s; GET /api/v1/nodes lists them", name);
    }
    return w->worker_count ? TD_OK : error_set(err, TD_E_NOT_FOUND, "the hub knows no workers; name them in tap.hub.workers");
}

static int take_wanted(struct hub *hub, struct http_request *q, struct wanted *w, struct error *err)
{
    static const char *const members[] = {"name", "nodes", "start", "end", "last", "allow_partial", NULL};
    int status = hub_body(q, members, &w->body, err);
    if (status == TD_OK)
        status = hub_take_text(w->body, "name", NULL, &w->name, err);
    if (status == TD_OK && !w->name)
        status = error_set(err, TD_E_CONFIG, "name is missing: what the snapshot is to be called");
    if (status == TD_OK)
        status = manifest_check_name(w->name, err);
    if (status == TD_OK)
        status = hub_take_bool(w->body, "allow_partial", false, &w->allow_partial, err);
    if (status == TD_OK)
        status = take_window(w, err);
    if (status == TD_OK)
        status = take_workers(hub, w, err);
    return status;
}

/* ---- Creating ---- */

/* Answers itself if it cannot be: the window is not there, or there is no room. */
static int estimate(struct hub *hub, struct http_request *q, const struct wanted *w, bool *ret_good, struct error *err)
{
    struct create_estimate e;
    struct snapshots_room room;
    char oldest[UNITS_TEXT], newest[UNITS_TEXT], want[UNITS_TEXT], have[UNITS_TEXT];
    const int64_t patience_ns = hub->config->hub.worker_patience_ns, most_ns = ESTIMATE_PATIENCE_S * (int64_t)NS_PER_S;
    const struct create_request r = {.id = "",
                                     .name = w->name,
                                     .version = hub->version,
                                     .start_ns = w->start_ns,
                                     .end_ns = w->end_ns,
                                     .workers = w->workers,
                                     .worker_count = w->worker_count,
                                     .allow_partial = true,
                                     .patience_ns = patience_ns < most_ns ? patience_ns : most_ns,
                                     .work_dir = hub->work_dir};
    *ret_good = false;
    int status = create_estimate(&r, &e, err);
    if (status != TD_OK)
        return status;
    snapshots_room(hub->snapshots, &room);
    uint64_t taken = room.used + room.reserved, left = room.limit > taken ? room.limit - taken : 0;
    units_format_time(e.oldest_ns, oldest);
    units_format_time(e.newest_ns, newest);
    bool lacks = e.partial + e.missing > 0, none = e.whole + e.partial == 0;
    if (none || (lacks && !w->allow_partial)) {
        if (e.oldest_ns < e.newest_ns)
            http_reply_problem(q, 422, "window_not_available",
                               "of %zu nodes, %zu have the whole window, %zu a part, %zu nothing; all have %s to %s. allow_partial takes "
                               "what there is",
                               w->worker_count, e.whole, e.partial, e.missing, oldest, newest);
        else
            http_reply_problem(q, 422, "window_not_available", "of %zu nodes, %zu have the whole window, %zu a part, %zu nothing%s",
                               w->worker_count, e.whole, e.partial, e.missing, none ? "" : ". allow_partial takes what there is");
    } else if (e.bytes > left) {
        http_reply_problem(q, 507, "no_room",
                           "the snapshot takes about %s, and %s are left of tap.snapshots.local.storageSize; delete snapshots",
                           units_format_size(e.bytes, want), units_format_size(left, have));
    } else {
        *ret_good = true;
    }
    return TD_OK;
}

static void put_request(struct buf *b, const struct wanted *w, const char *id, int64_t created_ns)
{
    buf_putc(b, '{');
    json_put_text(b, "id", id);
    json_put_text(b, "name", w->name);
    json_put_i64(b, "created_ns", created_ns);
    json_put_i64(b, "start_ns", w->start_ns);
    json_put_i64(b, "end_ns", w->end_ns);
    json_put_bool(b, "allow_partial", w->allow_partial);
    json_put_key(b, "workers");
    buf_putc(b, '[');
    for (size_t i = 0; i < w->worker_count; i++) {
        json_put_comma(b);
        buf_putc(b, '{');
        json_put_text(b, "url", w->workers[i].url);
        json_put_text(b, "node", w->workers[i].node);
        buf_putc(b, '}');
    }
    buf_lit(b, "]}");
}

int hub_submit(struct hub *hub, struct http_request *q, const char *kind, const char *subject, const struct buf *request, struct error *err)
{
    char id[JOB_ID];
    struct buf b = {.n = 0};
    if (request->failed)
        return error_nomem(err);
    int status = jobs_submit(hub->jobs, kind, subject, buf_slice(request), id, err);
    if (status == TD_E_LIMIT) {
        http_reply_problem(q, 507, "no_room", "%s", err->text);
        return TD_OK;
    }
    if (status != TD_OK)
        return status;
    buf_putc(&b, '{');
    json_put_text(&b, "job", id);
    json_put_text(&b, "kind", kind);
    json_put_text(&b, "subject", subject);
    buf_putc(&b, '}');
    http_reply_header(q, "Location", API "/jobs/%s", id);
    hub_reply_json(q, 202, &b);
    return TD_OK;
}

static int post_snapshot(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct wanted w = {.body = NULL};
    struct buf request = {.n = 0};
    char id[MANIFEST_ID];
    bool good = false;
    int status = take_wanted(hub, q, &w, err);
    if (status == TD_OK && snapshots_has_name(hub->snapshots, w.name)) {
        http_reply_problem(q, 409, "name_taken", "there is a snapshot %s already; choose another name, or delete it", w.name);
    } else if (status == TD_OK) {
        status = estimate(hub, q, &w, &good, err);
        if (status == TD_OK && good) {
            int64_t created_ns = now();
            manifest_new_id(created_ns, id);
            put_request(&request, &w, id, created_ns);
            status = hub_submit(hub, q, "create", w.name, &request, err);
        }
    }
    buf_clear(&request);
    wanted_clear(&w);
    return status;
}

/* ---- What there is ---- */

struct dissections {
    struct buf *b;
    size_t n;
};

static int put_dissection(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    struct dissections *d = ctx;
    json_put_comma(d->b);
    buf_putc(d->b, '{');
    json_put_text(d->b, "name", name);
    json_put_u64(d->b, "size", bytes);
    json_put_time(d->b, "created_at", mtime_ns, true);
    buf_putc(d->b, '}');
    d->n++;
    return TD_OK;
}

static void put_node(struct buf *b, const struct manifest_node *n)
{
    static const char *const states[] = {"complete", "partial", "missing"};
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_text(b, "name", n->name);
    json_put_text(b, "state", states[n->state]);
    if (n->reason)
        json_put_text(b, "reason", n->reason);
    json_put_time(b, "covered_from", n->covered_from_ns, n->covered_from_ns < n->covered_to_ns);
    json_put_time(b, "covered_to", n->covered_to_ns, n->covered_from_ns < n->covered_to_ns);
    json_put_u64(b, "packets", n->packets);
    json_put_u64(b, "captured_bytes", n->captured_bytes);
    json_put_u64(b, "dropped_by_kernel", n->dropped_by_kernel);
    json_put_u64(b, "dropped_by_interface", n->dropped_by_interface);
    json_put_u64(b, "dropped_by_disk", n->dropped_by_disk);
    json_put_u64(b, "segments", n->segment_count);
    if (n->clock_offset_ns != INT64_MAX) {
        json_put_i64(b, "clock_offset_ns", n->clock_offset_ns);
        json_put_i64(b, "clock_error_ns", n->clock_error_ns);
    }
    json_put_key(b, "gaps");
    buf_putc(b, '[');
    for (size_t i = 0; i < n->gap_count; i++) {
        json_put_comma(b);
        buf_putc(b, '{');
        json_put_time(b, "start", n->gaps[i].start_ns, true);
        json_put_time(b, "end", n->gaps[i].end_ns, true);
        json_put_text(b, "reason", n->gaps[i].reason);
        buf_putc(b, '}');
    }
    buf_lit(b, "]}");
}

/* How much of the window was captured, over all nodes, in percent. Drops and gaps are told with each node. */
static double coverage(const struct manifest *m)
{
    double window = ((double)m->end_ns - (double)m->start_ns) * (double)m->node_count, covered = 0;
    for (size_t i = 0; i < m->node_count; i++)
        covered += (double)m->nodes[i].covered_to_ns - (double)m->nodes[i].covered_from_ns;
    return window > 0 ? covered * 100 / window : 0;
}

/* One that lacks something is told apart: its status says how far it is, not how whole. */
static int put_snapshot(struct buf *b, struct snapshot *s, struct error *err)
{
    const struct manifest *m = snapshot_manifest(s);
    struct buf reason = {.n = 0}, dissections = {.n = 0};
    struct dissections d = {&dissections, 0};
    bool whole = manifest_is_whole(m, &reason);
    int status = snapshot_list_dissections(s, put_dissection, &d, err);
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_text(b, "name", m->name);
    json_put_text(b, "id", m->id);
    json_put_text(b, "status", d.n ? "Dissected" : "Completed");
    json_put_bool(b, "complete", whole);
    if (!whole)
        json_put_text(b, "reason", buf_cstr(&reason));
    json_put_text(b, "location", "Local");
    json_put_u64(b, "size", m->bytes);
    json_put_u64(b, "packets", m->packets);
    json_put_time(b, "start", m->start_ns, true);
    json_put_time(b, "end", m->end_ns, true);
    json_put_time(b, "created_at", m->created_ns, true);
    json_put_time(b, "completed_at", m->completed_ns, true);
    json_put_bool(b, "imported", m->imported);
    json_put_key(b, "coverage");
    buf_printf(b, "%.3f", coverage(m));
    json_put_key(b, "dissections");
    buf_putc(b, '[');
    buf_put_slice(b, buf_slice(&dissections));
    buf_putc(b, ']');
    json_put_key(b, "nodes");
    buf_putc(b, '[');
    for (size_t i = 0; i < m->node_count; i++)
        put_node(b, &m->nodes[i]);
    buf_lit(b, "]}");
    b->failed |= dissections.failed || reason.failed;
    buf_clear(&reason);
    buf_clear(&dissections);
    return status;
}

/* Those that are no snapshots yet, or failed to become one: the last job of each name that makes one, of windows or of files. */
struct unborn {
    struct hub *hub;
    struct buf *b;
    json_t *seen;
    size_t n;
};

static int put_unborn(void *ctx, const struct job_status *s)
{
    static const char *const statuses[] = {"Pending", "In Progress", NULL, "Failed", "Failed"};
    struct unborn *u = ctx;
    bool imported = strcmp(s->kind, "import") == 0;
    if ((!imported && strcmp(s->kind, "create") != 0) || json_object_get(u->seen, s->subject) ||
        snapshots_has_name(u->hub->snapshots, s->subject))
        return TD_OK;
    json_object_set_new(u->seen, s->subject, json_true());
    if (!statuses[s->state]) /* it was born, and is deleted */
        return TD_OK;
    json_put_comma(u->b);
    buf_putc(u->b, '{');
    json_put_text(u->b, "name", s->subject);
    json_put_text(u->b, "status", statuses[s->state]);
    if (s->state == JOB_CANCELLED)
        json_put_text(u->b, "reason", "cancelled");
    else if (*s->error)
        json_put_text(u->b, "reason", s->error);
    json_put_text(u->b, "job", s->id);
    json_put_key(u->b, "progress");
    buf_printf(u->b, "%.1f", s->all ? (double)(s->done < s->all ? s->done : s->all) * 100 / (double)s->all : 0);
    json_put_time(u->b, "created_at", s->created_ns, true);
    json_put_bool(u->b, "imported", imported);
    buf_putc(u->b, '}');
    u->n++;
    return TD_OK;
}

static int put_all_unborn(struct hub *hub, struct buf *b, const char *name, size_t *ret_n, struct error *err)
{
    struct unborn u = {hub, b, json_object(), 0};
    int status = u.seen ? jobs_each(hub->jobs, NULL, name, put_unborn, &u, err) : error_nomem(err);
    json_decref(u.seen);
    *ret_n = u.n;
    return status;
}

static int get_snapshots(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct snapshot **v = NULL;
    struct snapshots_room room;
    struct buf b = {.n = 0};
    size_t n = 0, unborn;
    const char *location = http_parameter(q, "location");
    bool local = !location || strcmp(location, "local") == 0;
    if (!local && strcmp(location, "cloud") != 0)
        return error_set(err, TD_E_CONFIG, "location must be local or cloud");
    int status = local ? snapshots_pin_all(hub->snapshots, &v, &n, err) : TD_OK;
    buf_lit(&b, "{\"snapshots\":[");
    if (status == TD_OK && local)
        status = put_all_unborn(hub, &b, NULL, &unborn, err);
    for (size_t i = 0; i < n; i++) {
        if (status == TD_OK)
            status = put_snapshot(&b, v[i], err);
        snapshot_unpin(v[i]);
    }
    mem_free(v);
    snapshots_room(hub->snapshots, &room);
    buf_lit(&b, "],\"room\":{");
    json_put_u64(&b, "limit", room.limit);
    json_put_u64(&b, "used", room.used);
    json_put_u64(&b, "reserved", room.reserved);
    buf_lit(&b, "}}");
    if (status == TD_OK)
        hub_reply_json(q, 200, &b);
    buf_clear(&b);
    return status;
}

static int no_snapshot(struct http_request *q, const char *name)
{
    http_reply_problem(q, 404, "snapshot_not_found", "there is no snapshot %.128s", name);
    return TD_OK;
}

static int get_snapshot(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *name = http_segment(q, "name");
    struct buf b = {.n = 0};
    size_t n = 0;
    struct snapshot *s = snapshots_pin(hub->snapshots, name);
    int status = s ? put_snapshot(&b, s, err) : put_all_unborn(hub, &b, name, &n, err);
    if (s)
        snapshot_unpin(s);
    if (status == TD_OK && !s && !n)
        return no_snapshot(q, name);
    if (status == TD_OK)
        hub_reply_json(q, 200, &b);
    buf_clear(&b);
    return status;
}

static int delete_snapshot(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *name = http_segment(q, "name"), *from = http_parameter(q, "from");
    if (from && strcmp(from, "local") != 0)
        return error_set(err, TD_E_CONFIG, "from=%.32s: only local can be deleted from here", from);
    int status = snapshots_delete(hub->snapshots, name, err);
    if (status == TD_OK)
        http_reply_empty(q, 204);
    else if (status == TD_E_NOT_FOUND)
        return no_snapshot(q, name);
    else if (status == TD_E_RETRY)
        http_reply_problem(q, 409, "in_use", "%s", err->text);
    else
        return status;
    return TD_OK;
}

static int post_verify(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *name = http_segment(q, "name");
    struct buf request = {.n = 0};
    if (!snapshots_has_name(hub->snapshots, name))
        return no_snapshot(q, name);
    buf_lit(&request, "{}");
    int status = hub_submit(hub, q, "verify", name, &request, err);
    buf_clear(&request);
    return status;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"
#define NAME "{\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$\"}"

#define STATUS                                                                                                                     \
    "status is Pending, In Progress, Completed, Dissected or Failed; of one that is made, complete is false if a node, a part of " \
    "the window or every packet is missing, which reason tells"

static const struct hub_parameter list_parameters[] = {
    {"location", "{\"type\":\"string\",\"enum\":[\"local\",\"cloud\"]}", "Only those there", false}, {0}};
static const struct hub_parameter name_parameters[] = {{"name", NAME, "The snapshot's name", true}, {0}};
static const struct hub_parameter delete_parameters[] = {
    {"name", NAME, "The snapshot's name", true}, {"from", "{\"type\":\"string\",\"enum\":[\"local\"]}", "From where", false}, {0}};
static const struct hub_answer create_answers[] = {{202, JSON_TYPE, "The job that makes it"},
                                                   {409, "application/problem+json", "name_taken, or a job is making it: exists"},
                                                   {422, "application/problem+json", "window_not_available: says what is"},
                                                   {507, "application/problem+json", "no_room"},
                                                   {0}};
static const struct hub_answer list_answers[] = {{200, JSON_TYPE, "Snapshots, those that are being made, and those that failed; " STATUS},
                                                 {0}};
static const struct hub_answer one_answers[] = {{200, JSON_TYPE, "The snapshot, with its nodes, coverage and drops; " STATUS},
                                                {404, "application/problem+json", "snapshot_not_found"},
                                                {0}};
static const struct hub_answer delete_answers[] = {{204, NULL, "It is gone"},
                                                   {404, "application/problem+json", "snapshot_not_found"},
                                                   {409, "application/problem+json", "in_use: somebody reads it"},
                                                   {0}};
static const struct hub_answer verify_answers[] = {
    {202, JSON_TYPE, "The job that verifies it"}, {404, "application/problem+json", "snapshot_not_found"}, {0}};

static const struct hub_route routes[] = {
    {"POST", API "/snapshots", HTTP_OPERATOR, BODY_MAX, post_snapshot, "createSnapshot", "Cut a window of time into a snapshot", NULL,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\"],\"properties\":{\"name\":" NAME
     ",\"nodes\":{\"type\":\"array\",\"minItems\":1,\"items\":" TEXT "},\"start\":" TEXT ",\"end\":" TEXT ",\"last\":" TEXT
     ",\"allow_partial\":{\"type\":\"boolean\",\"default\":false}}}",
     create_answers},
    {"GET", API "/snapshots", HTTP_VIEWER, 0, get_snapshots, "listSnapshots", "Snapshots, the newest first", list_parameters, NULL,
     list_answers},
    {"GET", API "/snapshots/{name}", HTTP_VIEWER, 0, get_snapshot, "getSnapshot", "One snapshot", name_parameters, NULL, one_answers},
    {"DELETE", API "/snapshots/{name}", HTTP_ADMIN, 0, delete_snapshot, "deleteSnapshot", "Delete a snapshot for good", delete_parameters,
     NULL, delete_answers},
    {"POST", API "/snapshots/{name}/verify", HTTP_OPERATOR, 0, post_verify, "verifySnapshot", "Read and hash every object again",
     name_parameters, NULL, verify_answers},
};

const struct hub_subject *hub_routes_snapshots(void)
{
    static const struct hub_subject subject = {"snapshots", "Time windows kept for good", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
