/* Uploading a snapshot: it is looked what is there, what is missing is sent, it is looked again; then the manifest, and looked once more.
 * So it ends whole also if another hub uploads, gives up or removes the same snapshot meanwhile, as long as that one comes to an end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "cloud/upload_internal.h"
#include "snapshot/sha256.h"

/* If somebody waits for the end of what was given up; what stays then is kept in mind, in the work directory. */
#define CLEAN_PATIENCE_NS ((int64_t)20 * NS_PER_S)

enum { ROUNDS = 20 /* of looking and sending, before it is said that somebody works against us */ };

/* ---- What is to be there ---- */

static int open_source(struct upload *u, struct error *err)
{
    char key[CLOUD_KEY], path[STORAGE_MAX_PATH];
    snprintf(key, sizeof(key), "%s/manifest.json", u->id);
    if (!storage_path(snapshot_storage(u->snapshot), key, path))
        return error_set(err, TD_E_UNSUPPORTED, "snapshot %s is not kept in files here, and cannot be uploaded", u->id);
    *strrchr(path, '/') = 0;
    u->source_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return u->source_fd >= 0 ? TD_OK : work_fail(err, "cannot be opened", path);
}

struct adding {
    struct upload *u;
    struct error *err;
};

static int add_dissection(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    struct adding *a = ctx;
    (void)mtime_ns;
    return cloud_plan_add_dissection(&a->u->plan, name, bytes, a->err);
}

/* As this hub would write both: there may be fields that only newer ones know. */
static bool is_same(const struct manifest *a, const struct manifest *b)
{
    struct buf left = {0}, right = {0};
    manifest_write(a, &left);
    manifest_write(b, &right);
    bool same = !left.failed && !right.failed && td_eq(buf_slice(&left), buf_slice(&right));
    buf_clear(&left);
    buf_clear(&right);
    return same;
}

/* The file, as long as it says what is known of the snapshot since it was read: no sum tells whether it is still good. */
static int take_manifest(struct upload *u, struct error *err)
{
    char key[CLOUD_KEY];
    struct error why = {.text = "it is another one"};
    struct manifest *read = NULL;
    snprintf(key, sizeof(key), "%s/manifest.json", u->id);
    int status = storage_get_bytes(snapshot_storage(u->snapshot), key, MANIFEST_MAX_BYTES, &u->manifest, err);
    if (status != TD_OK)
        return status;
    if (manifest_read(buf_slice(&u->manifest), &read, &why) != TD_OK || !is_same(read, snapshot_manifest(u->snapshot))) {
        log_event(TD_LOG_WARN, "cloud", "snapshot %s: its manifest here is damaged, and is uploaded as it was: %s", u->id, why.text);
        buf_reset(&u->manifest);
        manifest_write(snapshot_manifest(u->snapshot), &u->manifest);
    }
    manifest_free(read);
    return u->manifest.failed ? error_nomem(err) : TD_OK;
}

static int make_plan(struct upload *u, struct error *err)
{
    struct adding a = {u, err};
    int status = cloud_plan_make(&u->plan, snapshot_manifest(u->snapshot), err);
    if (status == TD_OK)
        status = snapshot_list_dissections(u->snapshot, add_dissection, &a, err);
    cloud_plan_sort(&u->plan);
    if (status == TD_OK)
        status = take_manifest(u, err);
    if (status == TD_OK)
        status = open_source(u, err);
    u->items = mem_calloc(u->plan.n + 1, sizeof(*u->items));
    u->order = mem_calloc(u->plan.n + 1, sizeof(*u->order));
    return status == TD_OK && (!u->items || !u->order) ? error_nomem(err) : status;
}

/* ---- The manifest that is there ---- */

static int compare_manifest(struct upload *u, struct error *err)
{
    struct manifest *there = NULL;
    int status = cloud_get_manifest(&u->run, u->id, NULL, &there, err);
    if (status == TD_E_CORRUPT) {
        log_event(TD_LOG_WARN, "cloud", "snapshot %s: the manifest in the cloud is replaced: %s", u->id, err->text);
        u->replace = true;
    }
    if (status == TD_E_NOT_FOUND || status == TD_E_CORRUPT)
        return TD_OK;
    if (status != TD_OK)
        return status;
    u->was_there = is_same(there, snapshot_manifest(u->snapshot));
    if (!u->was_there)
        status = error_set(err, TD_E_EXISTS, "another snapshot with the id %s, \"%s\", is in the cloud already", u->id, there->name);
    manifest_free(there);
    return status;
}

static int put_manifest(void *ctx, struct error *err)
{
    struct upload *u = ctx;
    char key[CLOUD_KEY];
    uint8_t digest[SHA256_BYTES];
    struct storage_upload *put = NULL;
    struct sha256 *hash = sha256_new();
    if (!hash)
        return error_nomem(err);
    sha256_begin(hash);
    sha256_add(hash, buf_slice(&u->manifest));
    bool summed = sha256_end(hash, digest);
    sha256_free(hash);
    int status = storage_put_open(u->run.cloud->storage, cloud_key(u->run.cloud, u->id, "manifest.json", key), u->manifest.n, &put, err);
    if (status != TD_OK)
        return status;
    (void)!storage_put_write(put, buf_slice(&u->manifest), err); /* the commit fails likewise */
    return storage_put_commit(put, summed ? digest : NULL, NULL, err);
}

/* ---- Rounds ---- */

static bool is_to_be_sent(const struct upload *u, size_t i)
{
    const struct object *o = &u->plan.v[i];
    const struct upload_item *item = &u->items[i];
    if (item->gone)
        return false;
    if (o->dissection) /* another hub may have another one of this name: one of both is enough */
        return !o->there || !item->confirmed;
    return !o->there || o->there_bytes != o->bytes || (!item->confirmed && !u->was_there);
}

static int compare_sizes(const void *a, const void *b, void *ctx)
{
    const struct object *v = ctx;
    uint64_t left = v[*(const size_t *)a].bytes, right = v[*(const size_t *)b].bytes;
    return left > right ? -1 : left < right;
}

/* What is there already counts as done. */
static void choose(struct upload *u)
{
    u->order_n = 0;
    for (size_t i = 0; i < u->plan.n; i++) {
        struct upload_item *item = &u->items[i];
        if (is_to_be_sent(u, i)) {
            item->confirmed = false;
            u->order[u->order_n++] = i;
        } else if (!item->confirmed && !item->gone) {
            item->confirmed = true;
            run_count(&u->run, (int64_t)(u->plan.v[i].bytes - item->counted));
            item->counted = u->plan.v[i].bytes;
        }
    }
    qsort_r(u->order, u->order_n, sizeof(*u->order), compare_sizes, u->plan.v);
}

static int one_round(struct upload *u, bool *ret_whole, struct error *err)
{
    size_t threads = u->run.cloud->parallel;
    int status = cloud_plan_look(&u->plan, &u->run, NULL, NULL, err);
    if (status != TD_OK)
        return status;
    choose(u);
    if (u->order_n) {
        atomic_store(&u->next, 0);
        return run_work(&u->run, u->order_n < threads ? u->order_n : threads, upload_send, u, err);
    }
    if (u->plan.has_manifest && !u->replace) {
        *ret_whole = true;
        return TD_OK;
    }
    status = run_call(&u->run, put_manifest, u, err);
    if (status == TD_OK) {
        u->replace = false;
        atomic_fetch_add(&u->sent_objects, 1);
        atomic_fetch_add(&u->sent_bytes, u->manifest.n);
    }
    return status;
}

/* ---- Unfinished puts ---- */

struct unfinished {
    struct storage *storage;
    const struct put_state *state;
};

static int forget(void *ctx, struct error *err)
{
    const struct unfinished *p = ctx;
    return storage_forget(p->storage, p->state->key, p->state->text, err);
}

static int give_up_put(struct run *r, int work_fd, const struct put_state *s, struct error *err)
{
    struct unfinished p = {r->cloud->storage, s};
    int status = run_call(r, forget, &p, err);
    if (cloud_is_refused(status)) {
        log_event(TD_LOG_WARN, "cloud", "what was sent of %s stays in the cloud: %s", s->key, err->text);
        status = TD_OK;
    }
    if (status == TD_OK)
        put_state_remove(work_fd, s->key);
    return status;
}

/* What was begun for other files than there are now: of dissections that were deleted since, or under another prefix. */
static int forget_stale(void *ctx, const struct put_state *s, struct error *err)
{
    struct upload *u = ctx;
    char prefix[CLOUD_KEY];
    size_t n = strlen(cloud_key(u->run.cloud, u->id, "", prefix));
    bool ours = strncmp(s->key, prefix, n) == 0;
    for (size_t i = 0; ours && i < u->plan.n; i++)
        if (strcmp(u->plan.v[i].key, s->key + n) == 0)
            return TD_OK;
    return give_up_put(&u->run, u->work_fd, s, err);
}

/* ---- The whole ---- */

static bool has_dissections(const struct upload *u)
{
    for (size_t i = 0; i < u->plan.n; i++)
        if (u->plan.v[i].dissection && !u->items[i].gone)
            return true;
    return false;
}

static int upload(struct upload *u, struct error *err)
{
    bool whole = false;
    struct error why;
    int status = make_plan(u, err);
    if (status == TD_OK)
        status = catalog_prove_for(&u->run, err);
    if (status == TD_OK)
        status = compare_manifest(u, err);
    run_expect(&u->run, u->plan.bytes);
    if (status == TD_OK)
        status = put_state_each(u->work_fd, forget_stale, u, err);
    for (int i = 0; status == TD_OK && !whole && i < ROUNDS; i++)
        status = one_round(u, &whole, err);
    if (status == TD_OK && !whole)
        status = error_set(err, TD_E_RETRY, "snapshot %s: somebody removes its objects from the cloud while they are uploaded", u->id);
    if (status == TD_OK && remove_unfinished(&u->run, u->id, &why) != TD_OK) /* it is whole all the same */
        log_event(TD_LOG_WARN, "cloud", "snapshot %s: what unfinished uploads left in the cloud stays there: %s", u->id, why.text);
    if (status == TD_OK && catalog_add(u->run.cloud, snapshot_manifest(u->snapshot), has_dissections(u), &why) != TD_OK)
        log_event(TD_LOG_WARN, "cloud", "snapshot %s is in the cloud, and not listed: %s", u->id, why.text);
    return status;
}

static void tell_result(const struct upload *u, struct transfer_result *ret)
{
    *ret = (struct transfer_result){.objects = 1,
                                    .bytes = u->manifest.n,
                                    .sent_objects = atomic_load(&u->sent_objects),
                                    .sent_bytes = atomic_load(&u->sent_bytes),
                                    .retries = atomic_load(&u->run.retries)};
    for (size_t i = 0; i < u->plan.n; i++) {
        ret->objects += u->items && !u->items[i].gone;
        ret->bytes += u->items && !u->items[i].gone ? u->plan.v[i].bytes : 0;
    }
}

static void clear(struct upload *u)
{
    cloud_plan_clear(&u->plan);
    buf_clear(&u->manifest);
    mem_free(u->items);
    mem_free(u->order);
    if (u->source_fd >= 0)
        close(u->source_fd);
}

int cloud_upload(struct cloud *c, struct snapshot *s, const struct transfer *t, struct transfer_result *ret, struct error *err)
{
    struct error unread = {0};
    struct upload u = {.snapshot = s, .id = snapshot_manifest(s)->id, .source_fd = -1};
    err = err ? err : &unread;
    int status = work_open(c, u.id, "upload", true, &u.work_fd, err);
    if (status != TD_OK)
        return status;
    status = run_begin(&u.run, c, t, err);
    if (status == TD_OK) {
        status = upload(&u, err);
        tell_result(&u, ret);
        run_end(&u.run);
    }
    if (status == TD_OK)
        status = work_remove(c, u.id, "upload", err);
    clear(&u);
    close(u.work_fd);
    return status;
}

/* ---- Giving up ---- */

struct cleaning {
    struct run run;
    const char *id;
    int work_fd;
};

static int forget_each(void *ctx, const struct put_state *state, struct error *err)
{
    struct cleaning *k = ctx;
    return give_up_put(&k->run, k->work_fd, state, err);
}

/* That objects were removed is known by this file, also to who goes on after a kill. */
static const char removing[] = "removing";

static int note_removing(const struct cleaning *k, struct error *err)
{
    int fd = openat(k->work_fd, removing, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return work_fail(err, "cannot be written", removing);
    close(fd);
    return TD_OK;
}

/* *ret_torn: another hub has ended its upload of the same snapshot meanwhile, and may have counted on what was removed. */
static int remove_sent(struct cleaning *k, bool *ret_torn, struct error *err)
{
    bool removed = faccessat(k->work_fd, removing, F_OK, 0) == 0;
    int status = cloud_head_manifest(&k->run, k->id, err);
    if (status == TD_E_NOT_FOUND) {
        removed = true;
        status = note_removing(k, err);
        if (status == TD_OK)
            status = remove_objects(&k->run, k->id, true, err);
        if (status == TD_OK)
            status = cloud_head_manifest(&k->run, k->id, err);
        else if (status == TD_E_EXISTS)
            status = TD_OK;
    }
    *ret_torn = status == TD_OK && removed;
    return status == TD_E_NOT_FOUND ? TD_OK : status;
}

static int clean(struct cleaning *k, bool *ret_torn, struct error *err)
{
    int status = catalog_prove_for(&k->run, err);
    if (status == TD_OK)
        status = put_state_each(k->work_fd, forget_each, k, err);
    if (status == TD_OK)
        status = remove_sent(k, ret_torn, err);
    return status == TD_OK ? remove_unfinished(&k->run, k->id, err) : status;
}

int cloud_clean_upload(struct cloud *c, const char *id, const struct transfer *t, struct error *err)
{
    struct error unread = {0};
    struct cleaning k = {.id = id};
    bool torn = false;
    err = err ? err : &unread;
    int status = work_open(c, id, "upload", false, &k.work_fd, err);
    if (status == TD_E_NOT_FOUND)
        return TD_OK; /* nothing was begun */
    if (status != TD_OK)
        return status;
    status = run_begin(&k.run, c, t, err);
    if (status == TD_OK) {
        if (t)
            k.run.policy.patience_ns = INT64_MAX;
        else if (k.run.policy.patience_ns > CLEAN_PATIENCE_NS)
            k.run.policy.patience_ns = CLEAN_PATIENCE_NS;
        status = clean(&k, &torn, err);
        run_end(&k.run);
    }
    if (status == TD_OK)
        status = work_remove(c, id, "upload", err);
    close(k.work_fd);
    if (status == TD_OK && torn)
        status = error_set(
            err, TD_E_EXISTS,
            "snapshot %s came to the cloud while objects of it were removed; uploading it once more puts there what is missing", id);
    return status;
}
