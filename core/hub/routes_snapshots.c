/* Snapshots: creating, listing, showing, verifying, deleting. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/routes.h"
#include "hub/snapshot_json.h"
#include "snapshot/create.h"

enum { BODY_MAX = 256 << 10, ESTIMATE_PATIENCE_S = 10 };

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
    int64_t now_ns = clock_ns(CLOCK_REALTIME), last_ns;
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
            int64_t created_ns = clock_ns(CLOCK_REALTIME);
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

/* What is listed: those here, the newest first, and those in the cloud likewise. */
struct listing {
    struct hub *hub;
    struct buf b;
    struct hub_moves *moves;
    struct snapshot **here;
    struct cloud_snapshot **there;
    size_t here_n, there_n, here_at, there_at;
    bool only_there;
};

static bool is_there(const struct hub *hub, const char *id)
{
    struct cloud_snapshot *s = hub->cloud.cloud ? cloud_pin(hub->cloud.cloud, id) : NULL;
    if (s)
        cloud_snapshot_unpin(s);
    return s != NULL;
}

static int put_one_here(struct listing *l, struct snapshot *s, struct error *err)
{
    bool there = is_there(l->hub, snapshot_manifest(s)->id);
    return there || !l->only_there ? hub_put_here(&l->b, s, there, l->moves, err) : TD_OK;
}

static bool is_newer(const struct manifest *a, const struct manifest *b)
{
    return a->created_ns != b->created_ns ? a->created_ns > b->created_ns : strcmp(a->id, b->id) > 0;
}

/* Both lists together; one that is here and there is told by what is here. */
static int put_all(struct listing *l, struct error *err)
{
    int status = TD_OK;
    while (status == TD_OK && (l->here_at < l->here_n || l->there_at < l->there_n)) {
        struct snapshot *here = l->here_at < l->here_n ? l->here[l->here_at] : NULL;
        const struct manifest *m = l->there_at < l->there_n ? cloud_snapshot_manifest(l->there[l->there_at]) : NULL;
        if (here && (!m || !is_newer(m, snapshot_manifest(here)))) {
            l->here_at++;
            status = put_one_here(l, here, err);
        } else {
            struct cloud_snapshot *there = l->there[l->there_at++];
            if (!snapshots_has_id(l->hub->snapshots, m->id))
                hub_put_there(&l->b, there, l->moves);
        }
    }
    return status;
}

static void listing_clear(struct listing *l)
{
    for (size_t i = 0; i < l->here_n; i++)
        snapshot_unpin(l->here[i]);
    for (size_t i = 0; i < l->there_n; i++)
        cloud_snapshot_unpin(l->there[i]);
    mem_free(l->here);
    mem_free(l->there);
    mem_free(l->moves);
    buf_clear(&l->b);
}

static int list_snapshots(struct listing *l, const char *location, struct error *err)
{
    struct hub *hub = l->hub;
    struct snapshots_room room;
    bool local = location && strcmp(location, "local") == 0;
    size_t unborn;
    l->only_there = location && !local;
    int status = l->moves ? hub_find_moves(hub, l->moves, err) : error_nomem(err);
    if (status == TD_OK)
        status = snapshots_pin_all(hub->snapshots, &l->here, &l->here_n, err);
    if (status == TD_OK && !local && hub->cloud.cloud)
        status = cloud_pin_all(hub->cloud.cloud, &l->there, &l->there_n, err);
    buf_lit(&l->b, "{\"snapshots\":[");
    if (status == TD_OK && !l->only_there)
        status = put_all_unborn(hub, &l->b, NULL, &unborn, err);
    if (status == TD_OK)
        status = put_all(l, err);
    snapshots_room(hub->snapshots, &room);
    buf_lit(&l->b, "],\"room\":{");
    json_put_u64(&l->b, "limit", room.limit);
    json_put_u64(&l->b, "used", room.used);
    json_put_u64(&l->b, "reserved", room.reserved);
    buf_lit(&l->b, "}}");
    return status;
}

static int get_snapshots(void *ctx, struct http_request *q, struct error *err)
{
    struct listing l = {.hub = ctx, .moves = mem_alloc(sizeof(*l.moves))};
    const char *location = http_parameter(q, "location");
    int status = TD_OK;
    if (location && strcmp(location, "local") != 0 && strcmp(location, "cloud") != 0)
        status = error_set(err, TD_E_CONFIG, "location must be local or cloud");
    if (status == TD_OK)
        status = list_snapshots(&l, location, err);
    if (status == TD_OK)
        hub_reply_json(q, 200, &l.b);
    listing_clear(&l);
    return status;
}

/* The copy that is meant is there only. */
static int put_there(struct hub *hub, const char *id, const struct hub_moves *moves, struct buf *b)
{
    struct cloud_snapshot *s = cloud_pin(hub->cloud.cloud, id);
    if (!s)
        return TD_E_NOT_FOUND; /* removed meanwhile */
    hub_put_there(b, s, moves);
    cloud_snapshot_unpin(s);
    return TD_OK;
}

/* What is here goes before what is in the cloud, and that before what is being made or could not be. *ret_answered: why there is none to
 * show. */
static int put_meant(struct hub *hub, struct http_request *q, const char *what, const struct hub_moves *moves, struct buf *b,
                     bool *ret_answered, struct error *err)
{
    struct hub_copy copy;
    struct hub_copies all;
    size_t n = 0;
    int status = TD_OK;
    struct snapshot *s = hub_pin(hub, what);
    if (s) {
        status = hub_put_here(b, s, is_there(hub, snapshot_manifest(s)->id), moves, err);
        snapshot_unpin(s);
        return status;
    }
    status = hub_find_copies(hub, what, &all, err);
    if (status == TD_OK && !all.n)
        status = put_all_unborn(hub, b, what, &n, err);
    if (status != TD_OK || n)
        return status;
    *ret_answered = !hub_choose_copy(hub, q, what, false, &copy, &status, err);
    if (*ret_answered)
        return status;
    if (copy.here || put_there(hub, copy.id, moves, b) != TD_OK)
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot %.128s any more", what);
    return status;
}

static int get_snapshot(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct hub_moves *moves = mem_alloc(sizeof(*moves));
    struct buf b = {.n = 0};
    bool answered = false;
    int status = moves ? hub_find_moves(hub, moves, err) : error_nomem(err);
    if (status == TD_OK)
        status = put_meant(hub, q, http_segment(q, "name"), moves, &b, &answered, err);
    if (status == TD_OK && !answered)
        hub_reply_json(q, 200, &b);
    mem_free(moves);
    buf_clear(&b);
    return status;
}

/* ---- Deleting ---- */

static bool refuse_moving(struct hub *hub, struct http_request *q, const struct hub_copy *copy)
{
    struct job_status job;
    bool moving = hub_find_move(hub, copy->id, &job);
    if (moving)
        http_reply_problem(q, 409, "in_use", "job %s is at snapshot %s: %s; wait for it, or end it (tapedeck job cancel %s)", job.id,
                           copy->name, job.kind, job.id);
    return moving;
}

/* The mutex keeps away whoever would begin to move it. */
static int delete_here(struct hub *hub, struct http_request *q, const struct hub_copy *copy, bool *ret_gone, struct error *err)
{
    int status = TD_OK;
    pthread_mutex_lock(&hub->cloud.moving);
    bool moving = refuse_moving(hub, q, copy);
    if (!moving)
        status = snapshots_delete(hub->snapshots, copy->name, err);
    pthread_mutex_unlock(&hub->cloud.moving);
    *ret_gone = status == TD_OK && !moving;
    if (status == TD_E_NOT_FOUND)
        return hub_no_snapshot(hub, q, copy->id); /* somebody was faster */
    if (status != TD_E_RETRY)
        return status;
    http_reply_problem(q, 409, "in_use", "%s", err->text);
    return TD_OK;
}

/* Which one is meant. What an interrupted deletion left there is known by its id only. False: answered, or *status is an error. */
static bool choose_for_delete(struct hub *hub, struct http_request *q, const char *what, const char *from, struct hub_copy *ret,
                              int *status, struct error *err)
{
    struct hub_copies all;
    bool there = from && strcmp(from, "local") != 0;
    if (there && !hub_has_cloud(hub, q))
        return false;
    *status = hub_find_copies(hub, what, &all, err);
    if (*status != TD_OK)
        return false;
    if (all.n && all.v[0].here && from && !there) {
        *ret = all.v[0]; /* here, names are unique */
        return true;
    }
    if (!all.n && there && manifest_is_id(what)) {
        *ret = (struct hub_copy){.there = true};
        snprintf(ret->id, sizeof(ret->id), "%s", what);
        snprintf(ret->name, sizeof(ret->name), "%s", what);
        return true;
    }
    return hub_choose_copy(hub, q, what, there && !all.n, ret, status, err);
}

/* What the list says may be old. Before one is deleted here because there is another copy, or because there is none, the cloud is asked;
 * who deletes the last copy is to know that it is the last. False: answered. */
static bool look_for_other(struct hub *hub, struct http_request *q, struct hub_copy *copy, const char *from)
{
    bool here_only = from && strcmp(from, "local") == 0;
    if (!copy->here || here_only != copy->there)
        return true;
    if (refuse_moving(hub, q, copy) || !hub_look_there(hub, q, copy))
        return false;
    bool last = here_only && !copy->there;
    if (last)
        http_reply_problem(
            q, 409, "not_in_cloud",
            "snapshot %s is not in the cloud any more: what is here is the only copy; nothing is deleted, and from=local, said "
            "once more, deletes it for good",
            copy->name);
    return !last;
}

static void refuse_delete(struct http_request *q, const struct hub_copy *copy, const char *from)
{
    if (!from)
        http_reply_problem(q, 409, "in_both_places",
                           "snapshot %s is here and in the cloud: say where it is to be deleted, from=local, from=cloud or from=all "
                           "(tapedeck snapshot delete %s --from ...)",
                           copy->name, copy->name);
    else if (copy->here)
        http_reply_problem(q, 409, "not_in_cloud", "snapshot %s is here only, not in the cloud; from=local deletes it", copy->name);
    else
        http_reply_problem(q, 409, "not_local", "snapshot %s is in the cloud only; from=cloud deletes it there", copy->name);
}

static int delete_snapshot(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *what = http_segment(q, "name"), *from = http_parameter(q, "from");
    struct hub_copy copy;
    bool gone = true;
    int status = TD_OK;
    bool all = from && strcmp(from, "all") == 0, here = from && strcmp(from, "local") == 0, there = from && strcmp(from, "cloud") == 0;
    if (from && !all && !here && !there)
        return error_set(err, TD_E_CONFIG, "from=%.32s: it is deleted from local, cloud or all", from);
    if (!choose_for_delete(hub, q, what, from, &copy, &status, err) || !look_for_other(hub, q, &copy, from))
        return status;
    if ((!from && copy.here && copy.there) || (here && !copy.here) || (there && !copy.there)) {
        refuse_delete(q, &copy, from);
        return TD_OK;
    }
    if (copy.here && !there)
        status = delete_here(hub, q, &copy, &gone, err);
    if (status != TD_OK || !gone)
        return status;
    if (copy.there && !here)
        return hub_submit_move(hub, q, "delete", &copy, manifest_is_id(what) ? copy.id : copy.name, err);
    http_reply_empty(q, 204);
    return TD_OK;
}

/* ---- Verifying ---- */

static int verify_there(struct hub *hub, struct http_request *q, const char *what, struct error *err)
{
    struct hub_copy copy;
    struct buf request = {.n = 0};
    int status = TD_OK;
    if (!hub_has_cloud(hub, q) || !hub_choose_copy(hub, q, what, true, &copy, &status, err))
        return status;
    buf_putc(&request, '{');
    json_put_text(&request, "location", "cloud");
    json_put_text(&request, "id", copy.id);
    buf_putc(&request, '}');
    status = hub_submit(hub, q, "verify", manifest_is_id(what) ? copy.id : copy.name, &request, err);
    buf_clear(&request);
    return status;
}

static int post_verify(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *what = http_segment(q, "name"), *location = http_parameter(q, "location");
    struct buf request = {.n = 0};
    if (location && strcmp(location, "local") != 0 && strcmp(location, "cloud") != 0)
        return error_set(err, TD_E_CONFIG, "location must be local or cloud");
    if (location && strcmp(location, "cloud") == 0)
        return verify_there(hub, q, what, err);
    struct snapshot *s = hub_pin(hub, what);
    if (!s)
        return hub_no_snapshot(hub, q, what);
    buf_lit(&request, "{}");
    int status = hub_submit(hub, q, "verify", snapshot_manifest(s)->name, &request, err);
    snapshot_unpin(s);
    buf_clear(&request);
    return status;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"
#define NAME "{\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$\"}"

#define NAME_OR_ID TEXT
#define PROBLEM "application/problem+json"

#define STATUS                                                                                                                            \
    "status is Pending, In Progress, Completed, Dissected (there are dissections of it; in the cloud, of one that is there only, as far " \
    "as "                                                                                                                                 \
    "was seen when it was last looked at) or Failed; of one that is made, complete is false if a node, a part of the window or every "    \
    "packet is missing, which reason tells. location is Local, Cloud, or Local + Cloud; transfer is there while a "                       \
    "job moves it"

static const struct hub_parameter list_parameters[] = {
    {"location", "{\"type\":\"string\",\"enum\":[\"local\",\"cloud\"]}", "Only those there", false}, {0}};
static const struct hub_parameter name_parameters[] = {{"name", NAME_OR_ID, "The snapshot's name or id", true}, {0}};
static const struct hub_parameter delete_parameters[] = {{"name", NAME_OR_ID, "The snapshot's name or id", true},
                                                         {"from", "{\"type\":\"string\",\"enum\":[\"local\",\"cloud\",\"all\"]}",
                                                          "From where; must be said of one that is in both places", false},
                                                         {0}};
static const struct hub_parameter verify_parameters[] = {
    {"name", NAME_OR_ID, "The snapshot's name or id", true},
    {"location", "{\"type\":\"string\",\"enum\":[\"local\",\"cloud\"],\"default\":\"local\"}", "Which copy of it", false},
    {0}};
static const struct hub_answer create_answers[] = {{202, JSON_TYPE, "The job that makes it"},
                                                   {409, "application/problem+json", "name_taken, or a job is making it: exists"},
                                                   {422, "application/problem+json", "window_not_available: says what is"},
                                                   {507, "application/problem+json", "no_room"},
                                                   {0}};
static const struct hub_answer list_answers[] = {
    {200, JSON_TYPE, "Snapshots, here and in the cloud, those that are being made, and those that failed; " STATUS}, {0}};
static const struct hub_answer one_answers[] = {{200, JSON_TYPE, "The snapshot, with its nodes, coverage and drops; " STATUS},
                                                {404, PROBLEM, "snapshot_not_found"},
                                                {409, PROBLEM, "ambiguous_name: several in the cloud are called so; the ids are listed"},
                                                {503, PROBLEM, "cloud_unavailable: it is not here, and the cloud does not answer"},
                                                {0}};
static const struct hub_answer delete_answers[] = {
    {202, JSON_TYPE, "The job that removes it from the cloud; it is gone from here"},
    {204, NULL, "It is gone"},
    {404, PROBLEM, "snapshot_not_found"},
    {409, PROBLEM,
     "in_use: somebody reads or moves it; in_both_places: say from; ambiguous_name; not_local; not_in_cloud: is "
     "it the last copy?; no_cloud"},
    {503, PROBLEM, "cloud_unavailable: what is there cannot be told, and nothing is deleted"},
    {0}};
static const struct hub_answer verify_answers[] = {
    {202, JSON_TYPE, "The job that verifies it"},
    {404, PROBLEM, "snapshot_not_found"},
    {409, PROBLEM, "not_local: it is in the cloud only; not_in_cloud; ambiguous_name; no_cloud; exists: a job is at it"},
    {503, PROBLEM, "cloud_unavailable"},
    {0}};

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
     verify_parameters, NULL, verify_answers},
};

const struct hub_subject *hub_routes_snapshots(void)
{
    static const struct hub_subject subject = {"snapshots", "Time windows kept for good", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
