/* Removing a snapshot from the cloud: the manifest first, so that it is there whole or not at all. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cloud/cloud_internal.h"

enum {
    BATCH = 4096, /* keys that are listed before they are removed */
    FEW = 50,     /* not worth a thread of its own */
    ROUNDS = 100  /* with so many objects that nobody can mean it, or somebody who puts as quickly as we remove */
};

/* ---- What is there ---- */

struct batch {
    struct run *run;
    const char *id;
    struct arena text;
    const char *keys[BATCH];
    size_t n, share; /* keys a thread takes at once */
    atomic_size_t next;
    char prefix[CLOUD_KEY], manifest[CLOUD_KEY];
    bool unless_whole;
};

static int note(void *ctx, const char *key, const struct storage_object *o)
{
    struct batch *b = ctx;
    (void)o;
    if (!run_goes_on(b->run))
        return TD_E_CANCELLED;
    b->keys[b->n] = arena_strndup(&b->text, key, strlen(key));
    if (!b->keys[b->n])
        return TD_E_NOMEM;
    return ++b->n == BATCH;
}

static int list(void *ctx, struct error *err)
{
    struct batch *b = ctx;
    struct error why = {0}; /* not touched if note() ended it */
    b->n = 0;
    arena_clear(&b->text);
    int status = storage_list(b->run->cloud->storage, b->prefix, NULL, note, b, &why);
    return status >= 0 ? TD_OK : error_set(err, status, "%s", why.status ? why.text : error_name(status));
}

/* ---- Removing it ---- */

struct share {
    const struct batch *batch;
    const char *const *keys;
    size_t n;
};

/* With each try it is looked: another hub may have ended its upload of the same snapshot since the last one. */
static int remove_share(void *ctx, struct error *err)
{
    const struct share *s = ctx;
    const struct batch *b = s->batch;
    struct storage *storage = b->run->cloud->storage;
    struct storage_object manifest;
    int status = b->unless_whole ? storage_head(storage, b->manifest, &manifest, err) : TD_E_NOT_FOUND;
    if (status == TD_OK)
        return error_set(err, TD_E_EXISTS, "snapshot %s is in the cloud", b->id);
    return status == TD_E_NOT_FOUND ? storage_remove_many(storage, s->keys, s->n, err) : status;
}

static void remove_shares(struct run *r, void *ctx)
{
    struct batch *b = ctx;
    struct error err = {0};
    for (size_t i; (i = atomic_fetch_add(&b->next, b->share)) < b->n && run_goes_on(r);) {
        struct share s = {b, b->keys + i, b->n - i < b->share ? b->n - i : b->share};
        int status = run_call(r, remove_share, &s, &err);
        if (status == TD_E_EXISTS)
            return; /* which remove_all() finds out likewise */
        if (status != TD_OK)
            run_fail(r, &err);
        else
            run_count(r, (int64_t)s.n);
    }
}

static int remove_batch(struct batch *b, struct error *err)
{
    size_t threads = b->run->cloud->parallel;
    b->share = (b->n + threads - 1) / threads;
    if (b->share < FEW)
        b->share = FEW;
    if (b->share > TD_REMOVE_MAX)
        b->share = TD_REMOVE_MAX;
    atomic_store(&b->next, 0);
    size_t shares = (b->n + b->share - 1) / b->share;
    return run_work(b->run, shares < threads ? shares : threads, remove_shares, b, err);
}

static int is_whole(struct run *r, const char *id, struct error *err)
{
    int status = cloud_head_manifest(r, id, err);
    if (status == TD_E_NOT_FOUND)
        return TD_OK;
    return status == TD_OK ? error_set(err, TD_E_EXISTS, "snapshot %s is in the cloud", id) : status;
}

static int remove_all(struct batch *b, struct error *err)
{
    int status = TD_OK;
    for (int i = 0; status == TD_OK && i < ROUNDS; i++) {
        if (b->unless_whole)
            status = is_whole(b->run, b->id, err);
        if (status == TD_OK)
            status = run_call(b->run, list, b, err);
        if (status != TD_OK || !b->n)
            return status;
        status = remove_batch(b, err);
    }
    return status == TD_OK ? error_set(err, TD_E_RETRY, "%s fills up while it is removed", b->prefix) : status;
}

int remove_objects(struct run *r, const char *id, bool unless_whole, struct error *err)
{
    struct batch *b = mem_calloc(1, sizeof(*b));
    if (!b)
        return error_nomem(err);
    b->run = r;
    b->id = id;
    b->unless_whole = unless_whole;
    arena_init(&b->text, (size_t)BATCH * (CLOUD_KEY + 64));
    cloud_key(r->cloud, id, "", b->prefix);
    cloud_key(r->cloud, id, "manifest.json", b->manifest);
    int status = remove_all(b, err);
    arena_clear(&b->text);
    mem_free(b);
    return status;
}

/* ---- What unfinished puts left ---- */

bool cloud_is_refused(int status)
{
    return status == TD_E_DENIED || status == TD_E_UNSUPPORTED;
}

struct below {
    struct storage *storage;
    char prefix[CLOUD_KEY];
};

static int sweep(void *ctx, struct error *err)
{
    const struct below *b = ctx;
    return storage_sweep(b->storage, b->prefix, err);
}

int remove_unfinished(struct run *r, const char *id, struct error *err)
{
    struct below b = {.storage = r->cloud->storage};
    cloud_key(r->cloud, id, "", b.prefix);
    int status = run_call(r, sweep, &b, err);
    if (!cloud_is_refused(status))
        return status;
    log_event(TD_LOG_WARN, "cloud", "snapshot %s: what unfinished uploads left in the cloud stays there: %s", id, err->text);
    return TD_OK;
}

/* ---- The whole ---- */

struct single {
    struct storage *storage;
    const char *key;
};

static int remove_one(void *ctx, struct error *err)
{
    const struct single *s = ctx;
    return storage_remove(s->storage, s->key, err);
}

int cloud_remove(struct cloud *c, const char *id, const struct transfer *t, struct error *err)
{
    struct error unread = {0};
    struct run r;
    err = err ? err : &unread;
    char manifest[CLOUD_KEY];
    int status = work_check_id(id, err);
    if (status == TD_OK)
        status = run_begin(&r, c, t, err);
    if (status != TD_OK)
        return status;
    struct single first = {c->storage, cloud_key(c, id, "manifest.json", manifest)};
    status = catalog_prove_for(&r, err);
    if (status == TD_OK)
        status = run_call(&r, remove_one, &first, err);
    if (status == TD_OK) {
        catalog_drop(c, id);
        status = remove_objects(&r, id, false, err);
        if (status == TD_OK)
            status = remove_unfinished(&r, id, err);
        catalog_drop(c, id); /* again: its manifest may have been read just before it went */
    }
    if (status == TD_OK)
        log_event(TD_LOG_INFO, "cloud", "snapshot %s was removed from the cloud", id);
    run_end(&r);
    return status;
}
