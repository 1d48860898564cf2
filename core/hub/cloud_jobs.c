/* The jobs between here and the cloud: upload, download, delete, and verifying there. Each is resumed after a restart by the id that its
 * request has: what is there by then is found. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json_object.h"
#include "base/log.h"
#include "hub/kinds.h"
#include "hub/job_request.h"
#include "hub/routes.h"

static int check_cloud(const struct hub *hub, struct error *err)
{
    if (hub->cloud.cloud)
        return TD_OK;
    return error_set(err, TD_E_CONFIG, "this hub has no cloud storage any more: tap.snapshots.cloud.provider names none");
}

static int open_request(const struct hub *hub, struct td_slice request, struct job_request *ret, struct error *err)
{
    int status = job_request_open_id(request, ret, err);
    return status == TD_OK ? check_cloud(hub, err) : status;
}

static void tell_progress(void *ctx, uint64_t done, uint64_t all)
{
    job_progress(ctx, done, all);
}

static void put_result(struct hub *hub, enum hub_direction to, const struct job_request *m, const struct transfer_result *r,
                       struct buf *out)
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
static int check_name(struct hub *hub, const struct job_request *m, const struct transfer *t, struct error *err)
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
    struct job_request m;
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
    job_request_close(&m);
    return status;
}

/* Submits one of this kind for a snapshot that no request names. */
static int submit_for(struct hub *hub, const char *kind, const char *id, const char *name, struct error *err)
{
    char job[JOB_ID];
    struct buf request = {.n = 0};
    buf_putc(&request, '{');
    json_put_text(&request, "id", id);
    json_put_text(&request, "name", name);
    json_put_bool(&request, "allow_same_name", true);
    buf_putc(&request, '}');
    int status = request.failed ? error_nomem(err) : jobs_submit(hub->jobs, kind, id, buf_slice(&request), job, err);
    buf_clear(&request);
    return status;
}

/* "cleanup" of what lies there below an id without a manifest. */
static void clean_later(struct hub *hub, const char *id)
{
    struct error why;
    if (submit_for(hub, "cleanup", id, id, &why) != TD_OK)
        log_event(TD_LOG_WARN, "hub", "what an upload of %s left in the cloud stays until the next start: %s", id, why.text);
}

/* Another hub has ended its upload while this one removed what it may have counted on: what is missing is sent once more. */
static int mend(struct hub *hub, const struct job_request *m, struct error *err)
{
    struct error why;
    int status = snapshots_has_id(hub->snapshots, m->id) ? submit_for(hub, "upload", m->id, m->name, &why) : TD_E_NOT_FOUND;
    if (status == TD_OK)
        log_event(TD_LOG_WARN, "hub", "%s; a job does so", err->text);
    return status == TD_OK ? TD_OK : err->status;
}

static int clean_upload(struct hub *hub, const struct job_request *m, const struct transfer *t, struct error *err)
{
    int status = cloud_clean_upload(hub->cloud.cloud, m->id, t, err);
    return status == TD_E_EXISTS ? mend(hub, m, err) : status;
}

/* A cloud that is away is not waited for here, but by a job. */
void hub_clean_upload(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct job_request m;
    struct error why;
    int status = open_request(hub, request, &m, &why);
    if (status == TD_OK)
        status = clean_upload(hub, &m, NULL, &why);
    if (status != TD_OK)
        log_event(TD_LOG_ERROR, "hub", "what an upload of snapshot %s left in the cloud is not removed yet: %s", subject, why.text);
    if (status == TD_E_RETRY || status == TD_E_CANCELLED)
        clean_later(hub, m.id);
    job_request_close(&m);
}

int hub_run_cleanup(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct job_request m;
    const struct transfer t = {job_cancelled(job), NULL, NULL};
    (void)again;
    (void)result;
    int status = open_request(hub, request, &m, err);
    if (status == TD_OK)
        status = clean_upload(hub, &m, &t, err);
    job_request_close(&m);
    return status;
}

/* ---- Downloading ---- */

int hub_run_download(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct job_request m;
    struct transfer_result r = {0};
    const struct transfer t = {job_cancelled(job), tell_progress, job};
    int status = open_request(hub, request, &m, err);
    if (status == TD_OK) {
        status = cloud_download(hub->cloud.cloud, hub->snapshots, m.id, &t, &r, err);
        if (status == TD_E_EXISTS && again && snapshots_has_id(hub->snapshots, m.id))
            status = TD_OK; /* an earlier run came to its end, and nobody noted it */
        put_result(hub, HUB_DOWN, &m, &r, result);
    }
    job_request_close(&m);
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
    struct job_request m;
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
    job_request_close(&m);
}

/* ---- Deleting ---- */

/* Without its manifest nobody finds it any more; but what is left of it can still be named. */
int hub_run_delete(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct job_request m;
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
    job_request_close(&m);
    return status;
}

/* A deletion that has begun cannot be taken back: what is left is for "cleanup", now and at each start until it is gone. */
void hub_clean_delete(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct job_request m;
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
    job_request_close(&m);
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
    int status = check_cloud(hub, err);
    return status == TD_OK ? cloud_verify(hub->cloud.cloud, id, &t, hub_put_fault, err) : status;
}

/* ---- What is left over ---- */

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
    if (strcmp(dot, ".download") == 0 && !hub_has_job(hub, "download", id)) {
        download_folder(hub, id, path);
        hub_remove_tree(path);
    } else if (strcmp(dot, ".upload") == 0 && hub->cloud.cloud && !hub_has_job(hub, "upload", id) && !hub_has_job(hub, "cleanup", id)) {
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
