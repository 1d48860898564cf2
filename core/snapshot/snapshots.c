#include "snapshot/snapshots_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"

enum { PATIENCE_S = 2 /* of deleting with those who have pinned it */ };

const char *snapshots_key(char out[SNAPSHOT_KEY], const char *id, const char *rest)
{
    snprintf(out, SNAPSHOT_KEY, "%s/%s", id, rest);
    return out;
}

/* ---- Opening ---- */

int snapshots_open(struct storage *local, uint64_t limit, bool (*is_busy)(void *ctx, const char *id), void *ctx, struct snapshots **ret,
                   struct error *err)
{
    pthread_condattr_t monotonic;
    struct snapshots *all = mem_calloc(1, sizeof(*all));
    if (!all)
        return error_nomem(err);
    all->storage = local;
    all->limit = limit;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->unpinned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int status = snapshots_load(all, is_busy, ctx, err);
    if (status != TD_OK)
        snapshots_close(all);
    else
        *ret = all;
    return status;
}

static void snapshot_free(struct snapshot *s)
{
    if (s)
        manifest_free(s->manifest);
    mem_free(s);
}

void snapshots_close(struct snapshots *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++)
        snapshot_free(all->v[i]);
    mem_free(all->v);
    pthread_cond_destroy(&all->unpinned);
    pthread_mutex_destroy(&all->lock);
    mem_free(all);
}

struct storage *snapshots_storage(struct snapshots *all)
{
    return all->storage;
}

bool snapshots_grow(struct snapshots *all)
{
    if (all->n < all->cap)
        return true;
    size_t cap = all->cap ? 2 * all->cap : 64;
    struct snapshot **v = mem_realloc(all->v, cap * sizeof(*v));
    if (!v)
        return false;
    all->v = v;
    all->cap = cap;
    return true;
}

/* ---- Finding: the lock is held ---- */

static struct snapshot *find_name(struct snapshots *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i]->manifest->name, name) == 0)
            return all->v[i];
    return NULL;
}

static struct snapshot *find_id(struct snapshots *all, const char *id)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i]->manifest->id, id) == 0)
            return all->v[i];
    return NULL;
}

static void forget(struct snapshots *all, const struct snapshot *s)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->v[i] != s)
            continue;
        all->v[i] = all->v[--all->n];
        return;
    }
}

bool snapshots_has_id(struct snapshots *all, const char *id)
{
    pthread_mutex_lock(&all->lock);
    bool has = find_id(all, id);
    pthread_mutex_unlock(&all->lock);
    return has;
}

bool snapshots_has_name(struct snapshots *all, const char *name)
{
    pthread_mutex_lock(&all->lock);
    bool has = find_name(all, name);
    pthread_mutex_unlock(&all->lock);
    return has;
}

/* ---- Pins ---- */

/* Lock held. */
static struct snapshot *pin(struct snapshot *s)
{
    if (!s || s->hidden)
        return NULL;
    s->pins++;
    return s;
}

struct snapshot *snapshots_pin(struct snapshots *all, const char *name)
{
    pthread_mutex_lock(&all->lock);
    struct snapshot *s = pin(find_name(all, name));
    pthread_mutex_unlock(&all->lock);
    return s;
}

struct snapshot *snapshots_pin_id(struct snapshots *all, const char *id)
{
    pthread_mutex_lock(&all->lock);
    struct snapshot *s = pin(find_id(all, id));
    pthread_mutex_unlock(&all->lock);
    return s;
}

void snapshot_unpin(struct snapshot *s)
{
    struct snapshots *all = s->all;
    pthread_mutex_lock(&all->lock);
    if (--s->pins == 0)
        pthread_cond_broadcast(&all->unpinned);
    pthread_mutex_unlock(&all->lock);
}

const struct manifest *snapshot_manifest(const struct snapshot *s)
{
    return s->manifest;
}

struct storage *snapshot_storage(const struct snapshot *s)
{
    return s->all->storage;
}

static int newest_first(const void *a, const void *b)
{
    const struct manifest *left = (*(struct snapshot *const *)a)->manifest, *right = (*(struct snapshot *const *)b)->manifest;
    if (left->created_ns != right->created_ns)
        return left->created_ns > right->created_ns ? -1 : 1;
    return strcmp(right->id, left->id);
}

int snapshots_pin_all(struct snapshots *all, struct snapshot ***ret, size_t *ret_n, struct error *err)
{
    size_t n = 0;
    pthread_mutex_lock(&all->lock);
    struct snapshot **v = mem_alloc((all->n + 1) * sizeof(struct snapshot *));
    for (size_t i = 0; v && i < all->n; i++) {
        if (all->v[i]->hidden)
            continue;
        all->v[i]->pins++;
        v[n++] = all->v[i];
    }
    pthread_mutex_unlock(&all->lock);
    if (!v)
        return error_nomem(err);
    qsort(v, n, sizeof(struct snapshot *), newest_first);
    *ret = v;
    *ret_n = n;
    return TD_OK;
}

/* ---- Room ---- */

/* Lock held. */
static int reserve(struct snapshots *all, uint64_t bytes, struct error *err)
{
    char want[UNITS_TEXT], left[UNITS_TEXT], limit[UNITS_TEXT];
    uint64_t taken = all->used + all->reserved, room = taken < all->limit ? all->limit - taken : 0;
    if (bytes <= room) {
        all->reserved += bytes;
        return TD_OK;
    }
    return error_set(err, TD_E_LIMIT,
                     "no room: %s are needed, and %s of the %s for snapshots are left; delete snapshots, or raise "
                     "tap.snapshots.local.storageSize",
                     units_format_size(bytes, want), units_format_size(room, left), units_format_size(all->limit, limit));
}

int snapshots_reserve(struct snapshots *all, uint64_t bytes, struct error *err)
{
    pthread_mutex_lock(&all->lock);
    int status = reserve(all, bytes, err);
    pthread_mutex_unlock(&all->lock);
    return status;
}

void snapshots_take(struct snapshots *all, uint64_t bytes)
{
    pthread_mutex_lock(&all->lock);
    all->reserved += bytes;
    pthread_mutex_unlock(&all->lock);
}

void snapshots_release(struct snapshots *all, uint64_t bytes)
{
    pthread_mutex_lock(&all->lock);
    snapshots_take_away(&all->reserved, bytes);
    pthread_mutex_unlock(&all->lock);
}

void snapshots_room(struct snapshots *all, struct snapshots_room *ret)
{
    pthread_mutex_lock(&all->lock);
    *ret = (struct snapshots_room){all->limit, all->used, all->reserved};
    pthread_mutex_unlock(&all->lock);
}

void snapshots_set_limit(struct snapshots *all, uint64_t bytes)
{
    pthread_mutex_lock(&all->lock);
    all->limit = bytes;
    pthread_mutex_unlock(&all->lock);
}

/* ---- Adding ---- */

/* The file, which can be read again: nobody could mend it later. */
static int write_manifest(const struct manifest *m, struct buf *ret, struct error *err)
{
    struct manifest *again;
    struct error why = {0};
    manifest_write(m, ret);
    if (ret->failed)
        return error_set(err, TD_E_LIMIT, "the manifest of snapshot %s gets longer than %d MiB, or memory is short", m->name,
                         MANIFEST_MAX_BYTES >> 20);
    int status = manifest_read(buf_slice(ret), &again, &why);
    if (status != TD_OK)
        return error_set(err, status == TD_E_NOMEM ? TD_E_NOMEM : TD_E_INTERNAL, "snapshot %s: %.900s", m->name, why.text);
    manifest_free(again);
    return TD_OK;
}

/* Takes the name, and room for the manifest's file. */
static int begin_adding(struct snapshots *all, struct snapshot *s, uint64_t file_bytes, struct error *err)
{
    const struct manifest *m = s->manifest;
    pthread_mutex_lock(&all->lock);
    int status = TD_OK;
    if (find_name(all, m->name) || find_id(all, m->id))
        status = error_set(err, TD_E_EXISTS, "there is a snapshot %s already; choose another name, or delete it first", m->name);
    else if (!snapshots_grow(all))
        status = error_nomem(err);
    else
        status = reserve(all, file_bytes, err);
    if (status == TD_OK)
        all->v[all->n++] = s;
    pthread_mutex_unlock(&all->lock);
    return status;
}

static int put_manifest(struct snapshots *all, struct snapshot *s, struct td_slice json, struct error *err)
{
    char key[SNAPSHOT_KEY];
    int status = storage_put_bytes(all->storage, snapshots_key(key, s->manifest->id, "manifest.json"), json, err);
    pthread_mutex_lock(&all->lock);
    if (status == TD_OK) {
        s->hidden = false;
        all->used += s->bytes;
        snapshots_take_away(&all->reserved, s->bytes);
    } else {
        snapshots_take_away(&all->reserved, json.n);
        forget(all, s);
    }
    pthread_mutex_unlock(&all->lock);
    return status;
}

int snapshots_add(struct snapshots *all, struct manifest *m, struct error *err)
{
    return snapshots_add_with(all, m, 0, err);
}

int snapshots_add_with(struct snapshots *all, struct manifest *m, uint64_t dissection_bytes, struct error *err)
{
    struct buf json;
    buf_init(&json, MANIFEST_MAX_BYTES);
    struct snapshot *s = mem_calloc(1, sizeof(*s));
    int status = s ? write_manifest(m, &json, err) : error_nomem(err);
    if (status == TD_OK) {
        *s = (struct snapshot){.all = all, .manifest = m, .hidden = true, .bytes = m->bytes + dissection_bytes + json.n};
        status = begin_adding(all, s, json.n, err);
    }
    if (status == TD_OK)
        status = put_manifest(all, s, buf_slice(&json), err);
    if (status != TD_OK)
        mem_free(s);
    buf_clear(&json);
    return status;
}

/* ---- Deleting ---- */

struct removal {
    struct storage *storage;
    uint64_t bytes;
    struct error *err;
};

/* Their order, and when they are gone for good, does not matter: without a manifest they are orphans, which the next start removes. */
static int remove_listed(void *ctx, const char *key, const struct storage_object *o)
{
    struct removal *r = ctx;
    int status = storage_remove(r->storage, key, r->err);
    if (status == TD_OK)
        r->bytes += o->bytes;
    return status;
}

int snapshots_remove_all(struct storage *storage, const char *id, uint64_t *ret_bytes, struct error *err)
{
    char prefix[SNAPSHOT_KEY];
    struct removal r = {storage, 0, err};
    int status = storage_list(storage, snapshots_key(prefix, id, ""), NULL, remove_listed, &r, err);
    *ret_bytes = r.bytes;
    return status;
}

int snapshots_clean(struct snapshots *all, const char *id, struct error *err)
{
    uint64_t bytes;
    if (!manifest_is_id(id))
        return error_set(err, TD_E_CONFIG, "\"%.64s\" is no snapshot's id", id);
    if (snapshots_has_id(all, id))
        return error_set(err, TD_E_EXISTS, "%s is the id of a snapshot", id);
    return snapshots_remove_all(all->storage, id, &bytes, err);
}

/* Waits until nobody has it, and hides it. [lock held] */
static int hide(struct snapshots *all, const char *name, struct snapshot **ret, struct error *err)
{
    struct timespec until;
    struct snapshot *s;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    for (int waited = 0; (s = find_name(all, name)) && !s->hidden && s->pins && waited != ETIMEDOUT;)
        waited = pthread_cond_timedwait(&all->unpinned, &all->lock, &until);
    if (!s || s->hidden)
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot %s", name);
    if (s->pins)
        return error_set(err, TD_E_RETRY, "snapshot %s is in use; try again when what reads it has ended", name);
    s->hidden = true;
    *ret = s;
    return TD_OK;
}

/* Gone or there: what is not known after a failure is asked for. */
static int remove_manifest(struct snapshots *all, const char *id, struct error *err)
{
    char key[SNAPSHOT_KEY];
    struct storage_object o;
    struct error why;
    int status = storage_remove(all->storage, snapshots_key(key, id, "manifest.json"), err);
    if (status != TD_OK && storage_head(all->storage, key, &o, &why) == TD_E_NOT_FOUND)
        status = TD_OK;
    return status;
}

int snapshots_delete(struct snapshots *all, const char *name, struct error *err)
{
    struct snapshot *s = NULL;
    struct error why;
    uint64_t removed = 0;
    pthread_mutex_lock(&all->lock);
    int status = hide(all, name, &s, err);
    pthread_mutex_unlock(&all->lock);
    if (status != TD_OK)
        return status;
    status = remove_manifest(all, s->manifest->id, err);
    bool gone = status == TD_OK;
    if (gone && snapshots_remove_all(all->storage, s->manifest->id, &removed, &why) == TD_OK)
        removed = s->bytes;
    else if (gone)
        log_event(TD_LOG_WARN, "snapshots", "objects of the deleted snapshot %s stay until the next start: %s", name, why.text);
    pthread_mutex_lock(&all->lock);
    s->hidden = false;
    snapshots_take_away(&all->used, removed);
    if (gone)
        forget(all, s);
    pthread_mutex_unlock(&all->lock);
    if (gone)
        snapshot_free(s);
    return status;
}
