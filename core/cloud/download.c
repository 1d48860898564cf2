/* Downloading a snapshot: room is reserved, all objects come into files of the work directory, where what an earlier run has fetched still
 * is, and become objects of local storage when the last one is whole; the manifest makes them a snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cloud/download_internal.h"

enum { MAX_DISSECTIONS = 1024 };

/* ---- What is to be fetched ---- */

static int get_manifest(struct download *d, struct error *err)
{
    struct buf json = {0};
    int status = cloud_get_manifest(&d->run, d->id, &json, &d->manifest, err);
    d->manifest_bytes = json.n;
    buf_clear(&json);
    if (status == TD_E_NOT_FOUND) {
        catalog_drop(d->run.cloud, d->id);
        return error_set(err, status, "snapshot %s is not in the cloud", d->id);
    }
    if (status == TD_E_CORRUPT)
        error_prefix(err, "snapshot %s is damaged in the cloud: ", d->id);
    if (status == TD_OK && snapshots_has_name(d->snapshots, d->manifest->name))
        status = error_set(err, TD_E_EXISTS, "there is a snapshot %s here already; delete it first", d->manifest->name);
    return status;
}

static int note_dissection(void *ctx, const char *key, uint64_t bytes, struct error *err)
{
    struct download *d = ctx;
    char name[MANIFEST_NAME];
    if (!cloud_plan_is_dissection(key, name) || d->dissections == MAX_DISSECTIONS)
        return TD_OK;
    d->dissections++;
    int status = cloud_plan_add_dissection(&d->plan, name, bytes, err);
    if (status == TD_OK) {
        d->plan.v[d->plan.n - 1].there = true;
        d->plan.v[d->plan.n - 1].there_bytes = bytes;
    }
    return status;
}

static void leave_out(const struct download *d, const struct object *o, const struct error *why)
{
    log_event(TD_LOG_WARN, "cloud", "%s of snapshot %s is left in the cloud: %s", o->key, d->id, why->text);
}

/* Dissections may be replaced or deleted at any time, and their sums are nowhere else: they are taken as they are now. */
static void ask_sums(struct run *r, void *ctx)
{
    struct download *d = ctx;
    struct storage_object now;
    struct error err = {0};
    for (size_t i; (i = atomic_fetch_add(&d->next, 1)) < d->plan.n && run_goes_on(r);) {
        struct object *o = &d->plan.v[i];
        if (!o->dissection)
            continue;
        int status = cloud_head(r, d->id, o->key, &now, &err);
        o->there = status == TD_OK;
        if (status == TD_E_NOT_FOUND || status == TD_E_DENIED) {
            leave_out(d, o, &err);
        } else if (status != TD_OK) {
            run_fail(r, &err);
        } else {
            o->bytes = o->there_bytes = now.bytes;
            o->has_sha256 = now.has_sha256;
            memcpy(o->sha256, now.sha256, sizeof(o->sha256));
        }
    }
}

/* Without those that are left out. */
static void settle(struct cloud_plan *p)
{
    size_t n = 0;
    p->bytes = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (!p->v[i].there)
            continue;
        p->bytes += p->v[i].bytes;
        p->v[n++] = p->v[i];
    }
    p->n = n;
}

/* What is missing is found out before the rest is fetched. Lists of some clouds lag behind, so that it is asked for by its name. */
static int check_there(struct download *d, struct error *err)
{
    struct storage_object there;
    int status = TD_OK;
    for (size_t i = 0; status == TD_OK && i < d->plan.n; i++) {
        struct object *o = &d->plan.v[i];
        if (!o->there) {
            status = cloud_head(&d->run, d->id, o->key, &there, err);
            o->there = status == TD_OK;
            o->there_bytes = there.bytes;
        }
        if (status == TD_E_NOT_FOUND && cloud_head_manifest(&d->run, d->id, err) == TD_E_NOT_FOUND)
            return error_set(err, status, "snapshot %s was deleted from the cloud", d->id);
        if (status == TD_E_NOT_FOUND)
            return error_set(err, TD_E_CORRUPT, "snapshot %s is damaged in the cloud: %.600s is missing", d->id, o->key);
        if (status == TD_OK && o->there_bytes != o->bytes)
            return error_set(err, TD_E_CORRUPT, "snapshot %s is damaged in the cloud: %.600s has %llu bytes instead of %llu", d->id, o->key,
                             (unsigned long long)o->there_bytes, (unsigned long long)o->bytes);
    }
    return status;
}

static int make_plan(struct download *d, struct error *err)
{
    size_t threads = d->run.cloud->parallel;
    int status = cloud_plan_make(&d->plan, d->manifest, err);
    if (status == TD_OK)
        status = cloud_plan_look(&d->plan, &d->run, note_dissection, d, err);
    cloud_plan_sort(&d->plan);
    if (status == TD_OK)
        status = check_there(d, err);
    if (status == TD_OK && d->dissections)
        status = run_work(&d->run, d->dissections < threads ? d->dissections : threads, ask_sums, d, err);
    if (status == TD_OK)
        settle(&d->plan);
    return status;
}

static int reserve(struct download *d, struct error *err)
{
    int status = snapshots_reserve(d->snapshots, d->plan.bytes, err);
    d->reserved = status == TD_OK ? d->plan.bytes : 0;
    return status;
}

/* ---- What is there already ---- */

static size_t find(const struct cloud_plan *p, const char *key)
{
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(p->v[middle].key, key);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return p->n;
}

/* A dissection may have been replaced since: it is fetched anew, or compared with the sum that it has now. */
static bool take_note(void *ctx, const char *key, uint64_t range)
{
    struct download *d = ctx;
    struct stat st;
    size_t n = find(&d->plan, key);
    if (n == d->plan.n)
        return false;
    const struct object *o = &d->plan.v[n];
    struct download_item *i = &d->items[n];
    if (fstatat(d->work_fd, key, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != o->bytes)
        return false;
    if (o->dissection && (!o->has_sha256 || range == UINT64_MAX))
        return false;
    if (range == UINT64_MAX) {
        i->whole = true;
        run_count(&d->run, (int64_t)(o->bytes - i->counted));
        i->counted = o->bytes;
        return true;
    }
    if (range >= i->ranges || download_has(i, (uint32_t)range))
        return false;
    uint64_t from = range * DOWNLOAD_RANGE, bytes = o->bytes - from < DOWNLOAD_RANGE ? o->bytes - from : DOWNLOAD_RANGE;
    download_set(i, (uint32_t)range);
    if (!i->whole) {
        i->counted += bytes;
        run_count(&d->run, (int64_t)bytes);
    }
    return true;
}

static int make_items(struct download *d, struct error *err)
{
    d->items = mem_calloc(d->plan.n + 1, sizeof(*d->items));
    for (size_t n = 0; d->items && n < d->plan.n; n++)
        d->items[n].fd = -1;
    for (size_t n = 0; d->items && n < d->plan.n; n++) {
        struct download_item *i = &d->items[n];
        uint64_t ranges = d->plan.v[n].bytes / DOWNLOAD_RANGE + (d->plan.v[n].bytes % DOWNLOAD_RANGE != 0);
        if (ranges > UINT32_MAX - 1)
            return error_set(err, TD_E_LIMIT, "%.600s is too large", d->plan.v[n].key);
        i->ranges = (uint32_t)ranges;
        i->came = arena_alloc(&d->bits, i->ranges / 8 + 1, 1);
        if (!i->came)
            return error_nomem(err);
    }
    return d->items ? journal_open(d->work_fd, DOWNLOAD_RANGE, take_note, d, &d->journal, err) : error_nomem(err);
}

static int fetch_all(struct download *d, struct error *err)
{
    size_t threads = d->run.cloud->parallel, n = 0;
    run_expect(&d->run, d->plan.bytes);
    int status = make_items(d, err);
    for (size_t i = 0; status == TD_OK && i < d->plan.n && n < threads; i++)
        n += (size_t)d->items[i].ranges + 1;
    return status == TD_OK ? run_work(&d->run, n < threads ? n : threads, download_ranges, d, err) : status;
}

/* ---- Into local storage ---- */

/* What an earlier run has put goes first: its files are still in the work directory, if they are the same as now. */
static int put_all(struct download *d, struct error *err)
{
    char key[CLOUD_KEY];
    struct storage *local = snapshots_storage(d->snapshots);
    int status = snapshots_clean(d->snapshots, d->id, err);
    for (size_t i = 0; status == TD_OK && i < d->plan.n; i++) {
        if (!run_goes_on(&d->run))
            return run_status(&d->run, err);
        if (d->items[i].skipped)
            continue;
        snprintf(key, sizeof(key), "%s/%s", d->id, d->plan.v[i].key);
        status = storage_put_file_later(local, key, d->work_fd, d->plan.v[i].key, NULL, err);
    }
    snprintf(key, sizeof(key), "%s/", d->id);
    return status == TD_OK ? storage_flush(local, key, err) : status;
}

static int add(struct download *d, struct error *err)
{
    uint64_t dissections = 0, bytes = d->manifest->bytes;
    for (size_t i = 0; i < d->plan.n; i++)
        dissections += d->plan.v[i].dissection && !d->items[i].skipped ? d->plan.v[i].bytes : 0;
    int status = snapshots_add_with(d->snapshots, d->manifest, dissections, err);
    if (status != TD_OK)
        return status;
    d->manifest = NULL; /* theirs now */
    d->reserved -= bytes + dissections;
    return TD_OK;
}

/* ---- The whole ---- */

static int download(struct download *d, struct transfer_result *ret, struct error *err)
{
    int status = catalog_prove_for(&d->run, err);
    if (status == TD_OK)
        status = get_manifest(d, err);
    if (status == TD_OK)
        status = make_plan(d, err);
    if (status == TD_OK)
        status = reserve(d, err);
    if (status == TD_OK)
        status = fetch_all(d, err);
    if (status == TD_OK)
        status = put_all(d, err);
    if (d->manifest)
        *ret = (struct transfer_result){.objects = d->plan.n + 1,
                                        .bytes = d->plan.bytes + d->manifest_bytes,
                                        .sent_objects = d->got_objects + 1,
                                        .sent_bytes = atomic_load(&d->got_bytes) + d->manifest_bytes};
    ret->retries = atomic_load(&d->run.retries);
    return status == TD_OK ? add(d, err) : status;
}

static void clear(struct download *d)
{
    for (size_t i = 0; d->items && i < d->plan.n; i++) {
        if (d->items[i].fd >= 0)
            close(d->items[i].fd);
        sha256_free(d->items[i].sum);
    }
    journal_close(d->journal);
    mem_free(d->items);
    arena_clear(&d->bits);
    cloud_plan_clear(&d->plan);
    manifest_free(d->manifest);
    if (d->reserved)
        snapshots_release(d->snapshots, d->reserved);
}

static int run(struct cloud *c, struct snapshots *snapshots, const char *id, int work_fd, const struct transfer *t,
               struct transfer_result *ret, struct error *err)
{
    struct download d = {.snapshots = snapshots, .id = id, .work_fd = work_fd};
    arena_init(&d.bits, 64 << 20);
    int status = run_begin(&d.run, c, t, err);
    if (status != TD_OK)
        return status;
    status = download(&d, ret, err);
    run_end(&d.run);
    clear(&d);
    return status;
}

int cloud_download(struct cloud *c, struct snapshots *snapshots, const char *id, const struct transfer *t, struct transfer_result *ret,
                   struct error *err)
{
    struct error unread = {0};
    bool here = manifest_is_id(id) && snapshots_has_id(snapshots, id);
    err = err ? err : &unread;
    int work_fd, status = work_open(c, id, "download", !here, &work_fd, err);
    if (here && status == TD_E_NOT_FOUND)
        return error_set(err, TD_E_EXISTS, "snapshot %s is here already", id);
    if (status != TD_OK)
        return status;
    *ret = (struct transfer_result){0};
    if (!here) /* else an earlier run came to its end, but for tidying up */
        status = run(c, snapshots, id, work_fd, t, ret, err);
    if (status == TD_OK)
        status = work_remove(c, id, "download", err);
    close(work_fd);
    return status;
}

int cloud_clean_download(struct cloud *c, struct snapshots *snapshots, const char *id, struct error *err)
{
    struct error unread = {0};
    err = err ? err : &unread;
    int work_fd = -1, status = work_open(c, id, "download", false, &work_fd, err);
    if (status != TD_OK && status != TD_E_NOT_FOUND)
        return status;
    status = snapshots_has_id(snapshots, id) ? TD_OK : snapshots_clean(snapshots, id, err);
    if (status == TD_OK && work_fd >= 0)
        status = work_remove(c, id, "download", err);
    if (work_fd >= 0)
        close(work_fd);
    return status;
}
