/* The job "import": an upload becomes a snapshot. It is begun anew after a restart: the upload is there until the job has ended. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_object.h"
#include "base/log.h"
#include "hub/kinds.h"
#include "hub/job_request.h"
#include "hub/routes.h"
#include "snapshot/import.h"

enum { IMPORT_DEPTH = 16 };

#define FOLDER_PREFIX "import-"

/* ---- The folder ---- */

void hub_import_path(const struct hub *hub, const char *id, const char *rest, char out[], size_t n)
{
    snprintf(out, n, "%s/" FOLDER_PREFIX "%s%s%s", hub->work_dir, id, *rest ? "/" : "", rest);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    if (remove(path) != 0)
        log_event(TD_LOG_WARN, "hub", "%s cannot be removed: %s", path, strerror(errno));
    return 0;
}

void hub_remove_tree(const char *path)
{
    nftw(path, remove_entry, IMPORT_DEPTH, FTW_DEPTH | FTW_PHYS);
}

void hub_import_remove(const struct hub *hub, const char *id)
{
    char path[HUB_PATH + MANIFEST_ID];
    hub_import_path(hub, id, "", path, sizeof(path));
    hub_remove_tree(path);
}

static uint64_t upload_bytes(const struct hub *hub, const char *id)
{
    char path[HUB_PATH + MANIFEST_ID];
    struct stat st;
    hub_import_path(hub, id, "upload", path, sizeof(path));
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* When its job has ended. */
static void give_up(const struct hub *hub, const char *id)
{
    uint64_t bytes = upload_bytes(hub, id);
    hub_import_remove(hub, id);
    snapshots_release(hub->snapshots, bytes);
}

void hub_sweep_imports(struct hub *hub)
{
    static const size_t prefix = sizeof(FOLDER_PREFIX) - 1;
    DIR *dir = opendir(hub->work_dir);
    struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        const char *id = e->d_name + prefix;
        if (strncmp(e->d_name, FOLDER_PREFIX, prefix) != 0 || !manifest_is_id(id))
            continue;
        if (hub_has_job(hub, "import", id))
            snapshots_take(hub->snapshots, upload_bytes(hub, id));
        else
            hub_import_remove(hub, id);
    }
    if (dir)
        closedir(dir);
}

/* ---- Running ---- */

struct importing {
    struct hub *hub;
    struct job *job;
    const char *id, *name;
    char upload[HUB_PATH + MANIFEST_ID], files[HUB_PATH + MANIFEST_ID];
    uint64_t reserved; /* not yet used */
    int files_fd;
};

static void tell_import(void *ctx, uint64_t done, uint64_t all)
{
    struct importing *i = ctx;
    job_progress(i->job, done, all);
}

static int reserve(void *ctx, uint64_t bytes, struct error *err)
{
    struct importing *i = ctx;
    int status = snapshots_reserve(i->hub->snapshots, bytes, err);
    if (status == TD_OK)
        i->reserved += bytes;
    return status;
}

static int open_folder(struct importing *i, struct error *err)
{
    struct stat st;
    hub_import_path(i->hub, i->id, "upload", i->upload, sizeof(i->upload));
    hub_import_path(i->hub, i->id, "files", i->files, sizeof(i->files));
    hub_remove_tree(i->files); /* of an earlier run */
    if (stat(i->upload, &st) != 0)
        return error_set(err, TD_E_NOT_FOUND, "what was uploaded is not there any more: %s: %s; send it again", i->upload, strerror(errno));
    if (mkdir(i->files, 0750) != 0 || (i->files_fd = open(i->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return error_set(err, errno == ENOSPC ? TD_E_LIMIT : TD_E_INTERNAL, "%s: %s", i->files, strerror(errno));
    return TD_OK;
}

static int put_object(struct importing *i, const struct manifest *m, const struct manifest_object *o, struct error *err)
{
    char key[STORAGE_MAX_KEY];
    if (!o->key || snprintf(key, sizeof(key), "%s/%s", m->id, o->key) >= (int)sizeof(key))
        return error_set(err, TD_E_LIMIT, "the name of an object is too long");
    if (atomic_load(job_cancelled(i->job)))
        return error_set(err, TD_E_CANCELLED, "stopped");
    return storage_put_file_later(i->hub->storage, key, i->files_fd, o->key, NULL, err);
}

static int put_objects(struct importing *i, const struct manifest *m, struct error *err)
{
    char prefix[MANIFEST_ID + 1];
    int status = TD_OK;
    for (size_t n = 0; n < m->node_count && status == TD_OK; n++) {
        if (m->nodes[n].context.key)
            status = put_object(i, m, &m->nodes[n].context, err);
        for (size_t k = 0; k < m->nodes[n].segment_count && status == TD_OK; k++) {
            status = put_object(i, m, &m->nodes[n].segments[k].data, err);
            if (status == TD_OK)
                status = put_object(i, m, &m->nodes[n].segments[k].index, err);
        }
    }
    snprintf(prefix, sizeof(prefix), "%s/", m->id);
    return status == TD_OK ? storage_flush(i->hub->storage, prefix, err) : status;
}

/* The snapshot has the id of the job, so that a second run finds what the first one has added. Takes the manifest. */
static int add(struct importing *i, struct manifest *m, struct error *err)
{
    uint64_t bytes = m->bytes;
    snprintf(m->id, sizeof(m->id), "%s", i->id);
    int status = put_objects(i, m, err);
    if (status == TD_OK && bytes > i->reserved)
        status = reserve(i, bytes - i->reserved, err);
    if (status == TD_OK)
        status = snapshots_add(i->hub->snapshots, m, err);
    if (status == TD_OK)
        i->reserved -= bytes;
    else
        manifest_free(m);
    return status;
}

static int add_dissection(struct importing *i, struct snapshot *s, const char *name, struct error *err)
{
    char file[sizeof("dissections/.calls") + MANIFEST_NAME];
    struct stat st;
    snprintf(file, sizeof(file), "dissections/%s.calls", name);
    if (fstatat(i->files_fd, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set(err, TD_E_INTERNAL, "%s/%s: %s", i->files, file, strerror(errno));
    uint64_t bytes = (uint64_t)st.st_size;
    int status = bytes > i->reserved ? reserve(i, bytes - i->reserved, err) : TD_OK;
    if (status == TD_OK)
        status = snapshot_add_dissection(s, name, i->files_fd, file, err);
    if (status == TD_OK)
        i->reserved -= bytes;
    return status;
}

static int add_dissections(struct importing *i, const struct import_result *r, struct error *err)
{
    struct snapshot *s = snapshots_pin(i->hub->snapshots, i->name);
    int status = s ? TD_OK : error_set(err, TD_E_NOT_FOUND, "snapshot %s was deleted meanwhile", i->name);
    for (size_t k = 0; k < r->dissection_count && status == TD_OK; k++)
        status = add_dissection(i, s, r->dissections[k], err);
    if (s)
        snapshot_unpin(s);
    return status;
}

static void put_import(const struct manifest *m, size_t dissections, struct buf *result)
{
    buf_putc(result, '{');
    json_put_text(result, "id", m->id);
    json_put_text(result, "name", m->name);
    json_put_u64(result, "bytes", m->bytes);
    json_put_u64(result, "packets", m->packets);
    json_put_u64(result, "dissections", dissections);
    buf_putc(result, '}');
}

static int import(struct importing *i, struct buf *result, struct error *err)
{
    const char *paths[] = {i->upload};
    struct import_result r = {0};
    struct buf told = {.n = 0}; /* `r` gives its manifest away */
    const struct import_request request = {.paths = paths,
                                           .path_count = 1,
                                           .name = i->name,
                                           .version = i->hub->version,
                                           .now_ns = clock_ns(CLOCK_REALTIME),
                                           .work_dir = i->files,
                                           .reserve = reserve,
                                           .cancel = job_cancelled(i->job),
                                           .progress = tell_import,
                                           .ctx = i};
    int status = import_run(&request, &r, err);
    if (status != TD_OK)
        return status;
    put_import(r.manifest, r.dissection_count, &told);
    if (!snapshots_has_id(i->hub->snapshots, i->id)) {
        status = add(i, r.manifest, err);
        r.manifest = NULL;
    }
    if (status == TD_OK)
        status = add_dissections(i, &r, err);
    if (status == TD_OK)
        buf_put_slice(result, buf_slice(&told));
    result->failed |= told.failed;
    buf_clear(&told);
    import_result_clear(&r);
    return status;
}

static int count_dissection(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    size_t *n = ctx;
    (void)name, (void)bytes, (void)mtime_ns;
    (*n)++;
    return TD_OK;
}

/* The snapshot that an earlier run has added. NULL: it has not; the name alone may be another's. Unpin it. */
static struct snapshot *pin_added(const struct importing *i)
{
    struct snapshot *s = snapshots_pin(i->hub->snapshots, i->name);
    if (s && strcmp(snapshot_manifest(s)->id, i->id) == 0)
        return s;
    if (s)
        snapshot_unpin(s);
    return NULL;
}

/* As put_import(), of a snapshot that is there. */
static int put_added(struct snapshot *s, struct buf *result, struct error *err)
{
    size_t dissections = 0;
    int status = snapshot_list_dissections(s, count_dissection, &dissections, err);
    if (status == TD_OK)
        put_import(snapshot_manifest(s), dissections, result);
    return status;
}

/* After the hub has died behind snapshots_add(): the snapshot stays, so the job does not fail any more. The upload goes when all of it is
 * kept; as long as it is there, dissections of an archive may be missing. */
static int import_rest(struct importing *i, struct snapshot *added, struct buf *result, struct error *err)
{
    char upload[HUB_PATH + MANIFEST_ID];
    struct stat st;
    hub_import_path(i->hub, i->id, "upload", upload, sizeof(upload));
    if (stat(upload, &st) != 0)
        return put_added(added, result, err);
    int status = open_folder(i, err);
    if (status == TD_OK)
        status = import(i, result, err);
    if (status == TD_OK || status == TD_E_CANCELLED)
        return status;
    log_event(TD_LOG_WARN, "hub", "snapshot %s was imported before the hub ended; what else its file may have is not read again: %s",
              i->name, err->text);
    buf_reset(result);
    return put_added(added, result, err);
}

static int import_all(struct importing *i, struct buf *result, struct error *err)
{
    struct snapshot *added = pin_added(i);
    if (added) {
        int status = import_rest(i, added, result, err);
        snapshot_unpin(added);
        return status;
    }
    int status = open_folder(i, err);
    return status == TD_OK ? import(i, result, err) : status;
}

int hub_run_import(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct hub *hub = ctx;
    struct job_request r;
    (void)again; /* always from the beginning */
    int status = job_request_open_id(request, &r, err);
    struct importing i = {.hub = hub, .job = job, .id = r.id, .name = r.name, .files_fd = -1};
    if (status == TD_OK)
        status = import_all(&i, result, err);
    if (i.files_fd >= 0)
        close(i.files_fd);
    snapshots_release(hub->snapshots, i.reserved);
    if (status == TD_OK)
        give_up(hub, i.id);
    job_request_close(&r);
    return status;
}

void hub_clean_import(void *ctx, const char *subject, struct td_slice request)
{
    struct hub *hub = ctx;
    struct error why;
    struct job_request r;
    if (job_request_open_id(request, &r, NULL) == TD_OK) {
        int status = snapshots_clean(hub->snapshots, r.id, &why);
        if (status != TD_OK && status != TD_E_EXISTS)
            log_event(TD_LOG_ERROR, "hub", "what was there of the import %s cannot be removed: %s", subject, why.text);
        give_up(hub, r.id);
    }
    job_request_close(&r);
}
