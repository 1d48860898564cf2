/* The jobs between here and the cloud: upload, download, delete, and verifying there. Each is resumed after a restart by the id that its
 * request has: what is there by then is found. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json_object.h"
#include "base/log.h"
#include "hub/kinds.h"
#include "hub/routes.h"

/* What a request names. */
struct moving {
    json_t *body;
    const char *id, *name;
};

static int open_request(struct hub *hub, struct td_slice request, struct moving *ret, struct error *err)
{
    ret->body = json_loadb(request.n ? (const char *)request.p : "", request.n, JSON_REJECT_DUPLICATES, NULL);
    ret->id = json_string_value(json_object_get(ret->body, "id"));
    ret->name = json_string_value(json_object_get(ret->body, "name"));
    if (!ret->id || !ret->name || !manifest_is_id(ret->id))
        return error_set(err, TD_E_CORRUPT, "what was asked for cannot be read any more: the hub's database is damaged");
    if (!hub->cloud.cloud)
        return error_set(err, TD_E_CONFIG, "this hub has no cloud storage any more: tap.snapshots.cloud.provider names none");
    return TD_OK;
}

static void tell_progress(void *ctx, uint64_t done, uint64_t all)
{
    job_progress(ctx, done, all);
}

static void put_result(struct hub *hub, enum hub_direction to, const struct moving *m, const struct transfer_result *r, struct buf *out)
{
    struct hub_cloud_count *count = &hub->cloud.counts[to];
    atomic_fetch_add(&count->objects, r->sent_objects);
    atomic_fetch_add(&count->bytes, r->sent_bytes);
    atomic_fetch_add(&count->retries, r->retries);
    buf_putc(out, '{');
    json_put_text(out, "id", m->id);
    json_put_text(out, "name", m->name);
    json_put_u64(out, "objects", r->objects);
    json_put_u64(out, "bytes", r->bytes);
    json_put_u64(out, "transferred_objects", r->sent_objects);
    json_put_u64(out, "transferred_bytes", r->sent_bytes);
    json_put_u64(out, "retries", r->retries);
    buf_putc(out, '}');
}

/* ---- Uploading ---- */

/* Another hub may have used its name since it was last asked what is there. If the cloud does not answer, the upload waits for it. */
static int check_name(struct hub *hub, const struct moving *m, const struct transfer *t, struct error *err)
{
    struct error why;
    struct hub_copy copy = {.here = true, .allow_same_name = json_is_true(json_object_get(m->body, "allow_same_name"))};
    snprintf(copy.id, sizeof(copy.id), "%s", m->id);
    snprintf(copy.name, sizeof(copy.name), "%s", m->name);
    int status = copy.allow_same_name ? TD_OK : cloud_refresh_unless(hub->cloud.cloud, t->cancel, &why);
    return status == TD_E_CANCELLED ? error_set(err, status, "cancelled") : hub_check_name_there(hub, &copy, err);
}

int hub_run_upload(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct moving m;
    struct transfer_result r = {0};
    const struct transfer t = {job_cancelled(job), tell_progress, job};
    (void)again;
    int status = open_request(hub, request, &m, err);
    struct snapshot *s = status == TD_OK ? snapshots_pin_id(hub->snapshots, m.id) : NULL;
    if (status == TD_OK && !s)
        status = error_set(err, TD_E_NOT_FOUND, "there is no snapshot %s here any more", m.name);
    if (status == TD_OK)
        status = check_name(hub, &m, &t, err);
    if (status == TD_OK) {
        status = cloud_upload(hub->cloud.cloud, s, &t, &r, err);
        put_result(hub, HUB_UP, &m, &r, result);
    }
    if (s)
        snapshot_unpin(s);
    json_decref(m.body);
    return status;
}

void hub_clean_upload(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct moving m;
    struct error why;
    int status = open_request(hub, request, &m, &why);
    if (status == TD_OK)
        status = cloud_clean_upload(hub->cloud.cloud, m.id, &why);
    if (status != TD_OK)
        log_event(TD_LOG_ERROR, "hub",
                  "what an upload of snapshot %s left in the cloud cannot be removed now; the next start tries again: %s", subject,
                  why.text);
    json_decref(m.body);
}

int hub_run_cleanup(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct moving m;
    (void)job;
    (void)again;
    (void)result;
    int status = open_request(hub, request, &m, err);
    if (status == TD_OK)
        status = cloud_clean_upload(hub->cloud.cloud, m.id, err);
    json_decref(m.body);
    return status;
}

/* ---- Downloading ---- */

int hub_run_download(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct moving m;
    struct transfer_result r = {0};
    const struct transfer t = {job_cancelled(job), tell_progress, job};
    int status = open_request(hub, request, &m, err);
    if (status == TD_OK) {
        status = cloud_download(hub->cloud.cloud, hub->snapshots, m.id, &t, &r, err);
        if (status == TD_E_EXISTS && again && snapshots_has_id(hub->snapshots, m.id))
            status = TD_OK; /* an earlier run came to its end, and nobody noted it */
        put_result(hub, HUB_DOWN, &m, &r, result);
    }
    json_decref(m.body);
    return status;
}

static void download_folder(const struct hub *hub, const char *id, char out[HUB_PATH + MANIFEST_ID + 16])
{
    snprintf(out, HUB_PATH + MANIFEST_ID + 16, "%s/%s.download", hub->work_dir, id);
}

/* Needs no cloud: also when it is not configured any more. */
void hub_clean_download(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct moving m;
    struct error why;
    char folder[HUB_PATH + MANIFEST_ID + 16];
    int status = open_request(hub, request, &m, &why);
    if (status == TD_OK) {
        status = cloud_clean_download(hub->cloud.cloud, hub->snapshots, m.id, &why);
    } else if (status == TD_E_CONFIG) {
        status = snapshots_has_id(hub->snapshots, m.id) ? TD_OK : snapshots_clean(hub->snapshots, m.id, &why);
        download_folder(hub, m.id, folder);
        hub_remove_tree(folder);
    }
    if (status != TD_OK)
        log_event(TD_LOG_ERROR, "hub", "what was there of the download of snapshot %s cannot be removed: %s", subject, why.text);
    json_decref(m.body);
}

/* "cleanup" of what lies there below an id without a manifest. */
static void clean_later(struct hub *hub, const char *id)
{
    char job[JOB_ID];
    struct error why;
    struct buf request = {.n = 0};
    buf_putc(&request, '{');
    json_put_text(&request, "id", id);
    json_put_text(&request, "name", id);
    buf_putc(&request, '}');
    if (request.failed || jobs_submit(hub->jobs, "cleanup", id, buf_slice(&request), job, &why) != TD_OK)
        log_event(TD_LOG_WARN, "hub", "what an upload of %s left in the cloud stays until the next start", id);
    buf_clear(&request);
}

/* ---- Deleting ---- */

/* Without its manifest nobody finds it any more; but what is left of it can still be named. */
int hub_run_delete(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct moving m;
    const struct transfer t = {job_cancelled(job), tell_progress, job};
    (void)again;
    int status = open_request(hub, request, &m, err);
    if (status == TD_OK) {
        status = cloud_remove(hub->cloud.cloud, m.id, &t, err);
        buf_putc(result, '{');
        json_put_text(result, "id", m.id);
        json_put_text(result, "name", m.name);
        buf_putc(result, '}');
        if (status != TD_OK && status != TD_E_CANCELLED)
            error_prefix(err, "some of it may still be there; `tapedeck snapshot delete %s --from cloud` tries again: ", m.id);
    }
    json_decref(m.body);
    return status;
}

/* A deletion that has begun cannot be taken back: what is left is for "cleanup", now and at each start until it is gone. */
void hub_clean_delete(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct moving m;
    struct error why;
    char folder[HUB_PATH + MANIFEST_ID + 16];
    (void)subject;
    if (open_request(hub, request, &m, &why) == TD_OK) {
        struct cloud_snapshot *there = cloud_pin(hub->cloud.cloud, m.id);
        snprintf(folder, sizeof(folder), "%s/%s.upload", hub->work_dir, m.id);
        if (there)
            cloud_snapshot_unpin(there);
        else if (mkdir(folder, 0750) == 0 || errno == EEXIST)
            clean_later(hub, m.id);
    }
    json_decref(m.body);
}

/* ---- Verifying ---- */

static void tell_verify(void *ctx, uint64_t done, uint64_t all)
{
    struct hub_faults *f = ctx;
    job_progress(f->job, done, all);
}

int hub_verify_there(struct hub *hub, struct job *job, const char *id, struct buf *result, struct error *err)
{
    struct hub_faults faults = {job, result};
    const struct transfer t = {job_cancelled(job), tell_verify, &faults};
    if (!hub->cloud.cloud)
        return error_set(err, TD_E_CONFIG, "this hub has no cloud storage any more: tap.snapshots.cloud.provider names none");
    return cloud_verify(hub->cloud.cloud, id, &t, hub_put_fault, err);
}

/* ---- What is left over ---- */

struct owner {
    struct hub *hub;
    const char *id;
    bool found;
};

static int compare_owner(void *ctx, const struct job_status *s)
{
    struct owner *o = ctx;
    char id[MANIFEST_ID];
    if (s->state <= JOB_RUNNING && !o->found && hub_job_id(o->hub, s->id, id))
        o->found = strcmp(id, o->id) == 0;
    return TD_OK;
}

static bool is_owned(struct hub *hub, const char *kind, const char *id)
{
    struct owner o = {hub, id, false};
    return jobs_each(hub->jobs, kind, NULL, compare_owner, &o, NULL) != TD_OK || o.found;
}

/* "<id>.upload", "<id>.download" */
static void sweep_folder(struct hub *hub, const char *name)
{
    char id[MANIFEST_ID], path[HUB_PATH + MANIFEST_ID + 16];
    const char *dot = strrchr(name, '.');
    if (!dot || (size_t)(dot - name) >= sizeof(id))
        return;
    snprintf(id, sizeof(id), "%.*s", (int)(dot - name), name);
    if (!manifest_is_id(id))
        return;
    if (strcmp(dot, ".download") == 0 && !is_owned(hub, "download", id)) {
        download_folder(hub, id, path);
        hub_remove_tree(path);
    } else if (strcmp(dot, ".upload") == 0 && hub->cloud.cloud && !is_owned(hub, "upload", id) && !is_owned(hub, "cleanup", id)) {
        clean_later(hub, id);
    }
}

void hub_sweep_transfers(struct hub *hub)
{
    DIR *dir = opendir(hub->work_dir);
    struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL)
        sweep_folder(hub, e->d_name);
    if (dir)
        closedir(dir);
}
