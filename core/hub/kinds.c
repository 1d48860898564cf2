#include "hub/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/json_object.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "dissect/dissection.h"
#include "hub/job_request.h"
#include "hub/routes.h"
#include "snapshot/create.h"

struct job_kind *hub_kinds(struct hub *hub, size_t *ret_n)
{
    const struct job_kind all[] = {
        {"create", 2, true, hub_run_create, hub_clean_create, hub, false},
        {"verify", 1, true, hub_run_verify, NULL, hub, false},
        {"dissect", 1, true, hub_run_dissect, hub_clean_dissect, hub, false},
        {"import", 1, true, hub_run_import, hub_clean_import, hub, true}, /* of what was uploaded */
        {"upload", 2, true, hub_run_upload, hub_clean_upload, hub, false},
        {"download", 2, true, hub_run_download, hub_clean_download, hub, false},
        {"delete", 1, true, hub_run_delete, hub_clean_delete, hub, false},
        {"cleanup", 1, true, hub_run_cleanup, NULL, hub, false},
    };
    enum { KINDS = sizeof(all) / sizeof(all[0]) };
    struct job_kind *v = mem_calloc(KINDS, sizeof(*v));
    for (size_t i = 0; v && i < KINDS; i++)
        v[i] = all[i];
    *ret_n = KINDS;
    return v;
}

bool hub_is_busy(void *hub, const char *id)
{
    return hub_has_job(hub, "create", id) || hub_has_job(hub, "download", id);
}

/* ---- Creating ---- */

struct create_parts {
    struct job_request request;
    struct node *nodes;
    size_t node_count;
    struct create_worker *workers;
};

static void clear_parts(struct create_parts *p)
{
    nodes_list_free(p->nodes, p->node_count);
    mem_free(p->workers);
    job_request_close(&p->request);
}

/* The workers that were asked for; tokens are never written down, and come from those that are known now. */
static int take_workers(struct hub *hub, struct create_parts *p, struct create_request *r, struct error *err)
{
    const json_t *list = json_object_get(p->request.body, "workers");
    size_t n = json_array_size(list);
    int status = nodes_list(hub->nodes, &p->nodes, &p->node_count, err);
    p->workers = status == TD_OK ? mem_calloc(n + 1, sizeof(*p->workers)) : NULL;
    if (status == TD_OK && !p->workers)
        status = error_nomem(err);
    for (size_t i = 0; status == TD_OK && i < n; i++) {
        const json_t *one = json_array_get(list, i);
        struct create_worker *w = &p->workers[i];
        *w = (struct create_worker){.url = job_request_text(one, "url"), .node = json_string_value(json_object_get(one, "node"))};
        for (size_t k = 0; k < p->node_count; k++)
            if (strcmp(p->nodes[k].url, w->url) == 0) {
                w->token = p->nodes[k].token;
                w->ca = p->nodes[k].ca;
            }
    }
    r->workers = p->workers;
    r->worker_count = n;
    return status;
}

static void tell_create(void *ctx, uint64_t done, uint64_t all)
{
    job_progress(ctx, done, all);
}

/* Result: what the manifest says in short. */
static void put_result(struct hub *hub, const char *name, struct buf *result)
{
    struct snapshot *s = snapshots_pin(hub->snapshots, name);
    if (!s)
        return;
    const struct manifest *m = snapshot_manifest(s);
    struct buf reason = {.n = 0};
    buf_putc(result, '{');
    json_put_text(result, "id", m->id);
    json_put_u64(result, "bytes", m->bytes);
    json_put_u64(result, "packets", m->packets);
    json_put_bool(result, "complete", manifest_is_whole(m, &reason));
    if (reason.n)
        json_put_text(result, "reason", buf_cstr(&reason));
    buf_putc(result, '}');
    buf_clear(&reason);
    snapshot_unpin(s);
}

int hub_run_create(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct create_parts p = {.nodes = NULL};
    (void)again; /* what is there already is found by its id */
    int status = job_request_open_id(request, &p.request, err);
    const json_t *body = p.request.body;
    struct create_request r = {.id = p.request.id,
                               .name = p.request.name,
                               .version = hub->version,
                               .created_ns = json_integer_value(json_object_get(body, "created_ns")),
                               .start_ns = json_integer_value(json_object_get(body, "start_ns")),
                               .end_ns = json_integer_value(json_object_get(body, "end_ns")),
                               .allow_partial = json_is_true(json_object_get(body, "allow_partial")),
                               .patience_ns = hub->config->hub.worker_patience_ns,
                               .work_dir = hub->work_dir,
                               .cancel = job_cancelled(job),
                               .progress = tell_create,
                               .ctx = job};
    if (status == TD_OK)
        status = take_workers(hub, &p, &r, err);
    if (status == TD_OK)
        status = create_run(hub->snapshots, &r, err);
    if (status == TD_OK)
        put_result(hub, r.name, result);
    clear_parts(&p);
    return status;
}

void hub_clean_create(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct error why;
    struct job_request r;
    if (job_request_open_id(request, &r, NULL) == TD_OK && create_clean(hub->snapshots, hub->work_dir, r.id, &why) != TD_OK)
        log_event(TD_LOG_ERROR, "hub", "what was there of snapshot %s cannot be removed: %s", subject, why.text);
    job_request_close(&r);
}

/* ---- Verifying ---- */

static bool tell_verify(void *ctx, uint64_t done, uint64_t all)
{
    struct hub_faults *f = ctx;
    job_progress(f->job, done, all);
    return !atomic_load(job_cancelled(f->job));
}

void hub_put_fault(void *ctx, const char *key, const char *what)
{
    struct hub_faults *f = ctx;
    if (f->out->n > JOB_MAX_REQUEST / 2)
        return;
    json_put_comma(f->out);
    buf_putc(f->out, '{');
    json_put_text(f->out, "object", key);
    json_put_text(f->out, "fault", what);
    buf_putc(f->out, '}');
}

static int verify_here(struct hub *hub, struct job *job, struct buf *result, struct error *err)
{
    struct hub_faults f = {job, result};
    struct snapshot *s = snapshots_pin(hub->snapshots, job_subject(job));
    if (!s)
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot %s any more", job_subject(job));
    int status = snapshot_verify(s, tell_verify, hub_put_fault, &f, err);
    snapshot_unpin(s);
    return status;
}

/* With an id it is the one in the cloud. */
int hub_run_verify(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct job_request r;
    (void)again; /* from the beginning: it leaves nothing */
    int status = job_request_open(request, &r, err);
    buf_lit(result, "{\"faults\":[");
    if (status == TD_OK)
        status = *r.id ? hub_verify_there(hub, job, r.id, result, err) : verify_here(hub, job, result, err);
    buf_lit(result, "]}");
    job_request_close(&r);
    return status;
}

/* ---- Dissecting ---- */

struct dissect_parts {
    struct arena arena;
    struct dissection_node *nodes;
    size_t n;
};

static const char *copy_path(struct arena *arena, struct hub *hub, const char *id, const char *key, bool *ret_missing)
{
    char path[STORAGE_MAX_PATH], whole[STORAGE_MAX_KEY];
    int n = snprintf(whole, sizeof(whole), "%s/%s", id, key);
    *ret_missing = n <= 0 || n >= (int)sizeof(whole) || !storage_path(hub->storage, whole, path);
    return *ret_missing ? NULL : arena_strndup(arena, path, strlen(path));
}

/* The captures in the order of the manifest, on which the numbers of packets rest. */
static int take_captures(struct hub *hub, const struct manifest *m, struct dissect_parts *p, struct error *err)
{
    p->nodes = arena_alloc(&p->arena, (m->node_count + 1) * sizeof(*p->nodes), _Alignof(struct dissection_node));
    if (!p->nodes)
        return error_nomem(err);
    for (size_t i = 0; i < m->node_count; i++) {
        const struct manifest_node *node = &m->nodes[i];
        const char **paths = arena_alloc(&p->arena, (node->segment_count + 1) * sizeof(*paths), _Alignof(const char *));
        bool missing = false;
        for (size_t k = 0; paths && k < node->segment_count; k++) {
            paths[k] = copy_path(&p->arena, hub, m->id, node->segments[k].data.key, &missing);
            if (missing)
                return error_set(err, TD_E_NOT_FOUND, "%s of snapshot %s is not there; `tapedeck snapshot verify` tells what is",
                                 node->segments[k].data.key, m->name);
            if (!paths[k])
                return error_nomem(err);
        }
        if (!paths)
            return error_nomem(err);
        if (node->segment_count)
            p->nodes[p->n++] = (struct dissection_node){node->name, paths, node->segment_count};
    }
    return p->n ? TD_OK : error_set(err, TD_E_NOT_FOUND, "snapshot %s has no packets", m->name);
}

static void tell_dissect(void *ctx, uint64_t done, uint64_t all, uint64_t packets, uint64_t calls)
{
    (void)packets;
    (void)calls;
    job_progress(ctx, done, all);
}

static void put_dissection(const struct dissection_result *r, const struct buf *summary, struct buf *result)
{
    buf_putc(result, '{');
    json_put_u64(result, "packets", r->packets);
    json_put_u64(result, "bytes", r->bytes);
    json_put_u64(result, "calls", r->calls);
    json_put_u64(result, "crashes", r->crashes);
    json_put_u64(result, "damaged_captures", r->damaged);
    json_put_key(result, "quarantined");
    buf_putc(result, '[');
    for (size_t i = 0; i < r->quarantined_count; i++) {
        json_put_comma(result);
        buf_putc(result, '{');
        json_put_text(result, "node", r->quarantined[i].node);
        json_put_text(result, "connection", r->quarantined[i].connection);
        json_put_text(result, "dissector", r->quarantined[i].dissector);
        json_put_text(result, "why", r->quarantined[i].why);
        buf_putc(result, '}');
    }
    buf_putc(result, ']');
    if (summary->n && !summary->failed) {
        json_put_key(result, "summary");
        buf_put_slice(result, buf_slice(summary));
    }
    buf_putc(result, '}');
}

void hub_store_name(const char *subject, char out[HUB_STORE_NAME])
{
    snprintf(out, HUB_STORE_NAME, "%s.calls", subject);
    for (char *p = out; *p; p++) /* names have no colons */
        if (*p == '/')
            *p = ':';
}

/* What the store may become: no more than is left for snapshots, and of the disk a little less than all, for others write there, too. */
static int find_room(struct hub *hub, uint64_t *ret, struct error *err)
{
    struct snapshots_room room;
    struct statvfs disk;
    char limit[UNITS_TEXT];
    snapshots_room(hub->snapshots, &room);
    uint64_t taken = room.used + room.reserved;
    *ret = room.limit > taken ? room.limit - taken : 0;
    if (statvfs(hub->work_dir, &disk) == 0) {
        uint64_t unused = (uint64_t)disk.f_bavail * disk.f_frsize;
        unused -= unused / 16;
        *ret = unused < *ret ? unused : *ret;
    }
    if (*ret)
        return TD_OK;
    return error_set(err, TD_E_LIMIT, "no room: nothing is left of the %s for snapshots, or of the disk; delete snapshots",
                     units_format_size(room.limit, limit));
}

/* The store goes into storage: how much it takes is known only now. */
static int keep_store(struct hub *hub, struct snapshot *s, const char *name, const char *file, struct error *err)
{
    struct stat st;
    int dir = open(hub->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstatat(dir, file, &st, 0) != 0) {
        if (dir >= 0)
            close(dir);
        return error_set(err, TD_E_INTERNAL, "%s/%s: %s", hub->work_dir, file, strerror(errno));
    }
    uint64_t bytes = (uint64_t)st.st_size;
    int status = snapshots_reserve(hub->snapshots, bytes, err);
    if (status == TD_OK && (status = snapshot_add_dissection(s, name, dir, file, err)) != TD_OK)
        snapshots_release(hub->snapshots, bytes);
    unlinkat(dir, file, 0);
    close(dir);
    return status;
}

static int dissect(struct hub *hub, struct job *job, struct snapshot *s, const char *name, struct buf *result, struct error *err)
{
    struct dissect_parts p = {.n = 0};
    struct dissection_result *r = mem_calloc(1, sizeof(*r));
    struct buf summary = {.n = 0}, about = {.n = 0};
    char file[HUB_STORE_NAME];
    const struct manifest *m = snapshot_manifest(s);
    arena_init(&p.arena, 64 << 20);
    hub_store_name(job_subject(job), file);
    buf_putc(&about, '{');
    json_put_text(&about, "snapshot", m->name);
    json_put_text(&about, "id", m->id);
    buf_putc(&about, '}');
    uint64_t left = 0;
    int status = r ? take_captures(hub, m, &p, err) : error_nomem(err);
    if (status == TD_OK)
        status = find_room(hub, &left, err);
    const struct dissection_request request = {.config = hub->config,
                                               .nodes = p.nodes,
                                               .node_count = p.n,
                                               .out_dir = hub->work_dir,
                                               .out_name = file,
                                               .work_file = true,
                                               .payloads = true,
                                               .about = buf_slice(&about),
                                               .max_bytes = left,
                                               .cancel = job_cancelled(job),
                                               .progress = tell_dissect,
                                               .ctx = job};
    if (status == TD_OK) {
        r->summary = &summary;
        status = dissection_run(&request, r, err);
    }
    if (status == TD_OK)
        status = keep_store(hub, s, name, file, err);
    if (status == TD_OK)
        put_dissection(r, &summary, result);
    buf_clear(&summary);
    buf_clear(&about);
    arena_clear(&p.arena);
    mem_free(r);
    return status;
}

int hub_run_dissect(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct job_request r;
    (void)again;
    hub_clean_dissect(hub, job_subject(job), request); /* a child that is gone cannot be gone on with */
    int status = job_request_open(request, &r, err);
    const char *name = job_request_text(r.body, "snapshot");
    struct snapshot *s = status == TD_OK ? snapshots_pin(hub->snapshots, name) : NULL;
    if (s)
        status = dissect(hub, job, s, r.name, result, err);
    else if (status == TD_OK)
        status = error_set(err, TD_E_NOT_FOUND, "there is no snapshot %s any more", name);
    if (s)
        snapshot_unpin(s);
    job_request_close(&r);
    return status;
}

void hub_clean_dissect(void *ctx, const char *subject, struct td_slice request)
{
    static const char *const ends[] = {"", ".tmp", "-journal", ".tmp-journal"};
    struct hub *hub = ctx;
    char file[HUB_STORE_NAME], path[HUB_PATH + JOB_SUBJECT + 64];
    (void)request;
    hub_store_name(subject, file);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s%s", hub->work_dir, file, ends[i]);
        unlink(path);
    }
}
