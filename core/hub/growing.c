/* Calls of a dissection that still runs: what its sandboxed child has committed so far is read like any store. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/units.h"
#include "call/store.h"
#include "hub/hub_internal.h"
#include "hub/kinds.h"

/* A child commits within milliseconds; one that keeps the file must not keep the hub's threads. */
#define PATIENCE_NS (1 * (int64_t)NS_PER_S)

struct dissecting {
    const char *db;
    struct job_status *ret;
    bool found;
};

/* "snapshot" is any of its dissections, "snapshot/name" that one. They come newest first; one that runs is before one that waits. */
static int compare_subject(void *ctx, const struct job_status *s)
{
    struct dissecting *d = ctx;
    size_t n = strlen(d->db);
    bool same = strncmp(s->subject, d->db, n) == 0 && (!s->subject[n] || (s->subject[n] == '/' && !strchr(d->db, '/')));
    if (same && s->state <= JOB_RUNNING && !(d->found && d->ret->state == JOB_RUNNING)) {
        *d->ret = *s;
        d->found = true;
    }
    return TD_OK;
}

int hub_find_dissecting(struct hub *hub, const char *db, struct job_status *ret, bool *ret_found, struct error *err)
{
    struct dissecting d = {db, ret, false};
    int status = jobs_each(hub->jobs, "dissect", NULL, compare_subject, &d, err);
    *ret_found = status == TD_OK && d.found;
    return status;
}

/* A file that is empty has only just been made. */
static int open_part(const char *path, struct store **ret, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0 || info.st_size == 0)
        return error_set(err, TD_E_NOT_FOUND, "%s: nothing is there yet", path);
    return store_open_patient(path, PATIENCE_NS, ret, err);
}

int hub_open_growing(struct hub *hub, const char *subject, struct store **ret, struct error *err)
{
    static const char *const ends[] = {".tmp", ""}; /* in this order, it cannot be renamed between the two looks */
    char file[HUB_STORE_NAME], path[HUB_PATH + HUB_STORE_NAME + 8];
    int status = TD_E_NOT_FOUND;
    hub_store_name(subject, file);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && status == TD_E_NOT_FOUND; i++) {
        snprintf(path, sizeof(path), "%s/%s%s", hub->work_dir, file, ends[i]);
        status = open_part(path, ret, err);
    }
    return status;
}

int hub_open_calls(struct hub *hub, const char *db, struct hub_calls *ret, struct store **ret_store, struct error *err)
{
    struct job_status job;
    struct error why;
    bool dissecting;
    *ret_store = NULL;
    ret->pin = NULL;
    int status = hub_find_dissecting(hub, db, &job, &dissecting, err);
    if (status == TD_OK && dissecting && job.state == JOB_RUNNING) {
        snprintf(ret->db, sizeof(ret->db), "%s", job.subject);
        ret->growing = true;
        status = hub_open_growing(hub, job.subject, ret_store, err);
        if (status != TD_E_NOT_FOUND)
            return status;
        status = TD_OK;
    }
    if (status == TD_OK)
        status = hub_find_calls(hub, db, ret, err);
    if (status == TD_OK && (status = store_open(ret->path, ret_store, err)) != TD_OK)
        hub_close_calls(ret, NULL);
    /* It may have ended since. */
    if (status != TD_E_NOT_FOUND || hub_find_dissecting(hub, db, &job, &dissecting, &why) != TD_OK || !dissecting)
        return status;
    snprintf(ret->db, sizeof(ret->db), "%s", job.subject);
    ret->growing = true;
    return TD_OK;
}

void hub_close_calls(struct hub_calls *calls, struct store *store)
{
    store_free(store);
    if (calls->pin)
        snapshot_unpin(calls->pin);
    calls->pin = NULL;
}
