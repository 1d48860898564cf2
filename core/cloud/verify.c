/* Is every object in the cloud still as the manifest says? */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cloud/cloud_internal.h"
#include "snapshot/sha256.h"

struct verification {
    struct run run;
    struct cloud_plan plan;
    atomic_size_t next;
    void (*told)(void *ctx, const char *key, const char *what);
    size_t wrong;                /* [run.lock] */
    char first[CLOUD_KEY + 256]; /* [run.lock] what is wrong with the first one */
};

static void tell(struct verification *v, const char *key, const char *what)
{
    pthread_mutex_lock(&v->run.lock);
    if (v->wrong++ == 0)
        snprintf(v->first, sizeof(v->first), "%s: %s", key, what);
    if (v->told)
        v->told(v->run.transfer->ctx, key, what);
    pthread_mutex_unlock(&v->run.lock);
}

/* ---- One object ---- */

struct reading {
    struct verification *v;
    struct sha256 *hash;
    struct retry retry;
    uint64_t at;
};

static int take(void *ctx, struct td_slice bytes)
{
    struct reading *r = ctx;
    if (!run_goes_on(&r->v->run))
        return TD_E_CANCELLED;
    sha256_add(r->hash, bytes);
    r->at += bytes.n;
    retry_forward(&r->retry);
    run_count(&r->v->run, (int64_t)bytes.n);
    return TD_OK;
}

/* Goes on where it broke off: the bytes of an object are always the same. */
static int read_whole(struct reading *r, const struct object *o, uint8_t digest[SHA256_BYTES], struct error *err)
{
    struct run *run = &r->v->run;
    char key[CLOUD_KEY];
    int status;
    cloud_key(run->cloud, r->v->plan.id, o->key, key);
    r->at = 0;
    sha256_begin(r->hash);
    run_retry_begin(run, &r->retry);
    do {
        status = storage_get(run->cloud->storage, key, r->at, o->bytes - r->at, take, r, err);
        if (status == TD_E_CANCELLED)
            error_set(err, status, "cancelled");
    } while (run_again(run, &r->retry, &status, err));
    if (status == TD_OK && !sha256_end(r->hash, digest))
        status = error_set(err, TD_E_INTERNAL, "SHA-256 cannot be computed");
    return status;
}

static bool means_damage(int status)
{
    return status == TD_E_CORRUPT || status == TD_E_LIMIT || status == TD_E_NOT_FOUND;
}

/* What was not listed is asked for by its name. */
static int look(struct run *run, const char *id, struct object *o, struct error *err)
{
    struct storage_object there;
    int status = o->there ? TD_OK : cloud_head(run, id, o->key, &there, err);
    if (status == TD_OK && !o->there) {
        o->there = true;
        o->there_bytes = there.bytes;
    }
    return status == TD_E_NOT_FOUND ? TD_OK : status;
}

/* Read once more before it is called damaged: it may have been the network. */
static int verify_object(struct reading *r, struct object *o, struct error *err)
{
    uint8_t digest[SHA256_BYTES] = {0};
    char what[160];
    int status = look(&r->v->run, r->v->plan.id, o, err);
    if (status != TD_OK)
        return status;
    if (!o->there) {
        tell(r->v, o->key, "is missing");
    } else if (o->there_bytes != o->bytes) {
        snprintf(what, sizeof(what), "has %llu bytes instead of %llu", (unsigned long long)o->there_bytes, (unsigned long long)o->bytes);
        tell(r->v, o->key, what);
    } else {
        bool good = false;
        for (int i = 0; i < 2 && !good && (status == TD_OK || means_damage(status)); i++) {
            run_count(&r->v->run, -(int64_t)r->at);
            status = read_whole(r, o, digest, err);
            good = status == TD_OK && memcmp(digest, o->sha256, SHA256_BYTES) == 0;
        }
        if (!good && (status == TD_OK || means_damage(status)))
            tell(r->v, o->key, status == TD_E_NOT_FOUND ? "is missing" : status == TD_OK ? "its SHA-256 is another one" : err->text);
    }
    run_count(&r->v->run, (int64_t)(o->bytes - r->at));
    r->at = 0;
    return means_damage(status) ? TD_OK : status;
}

static void verify_objects(struct run *run, void *ctx)
{
    struct verification *v = ctx;
    struct error err = {0};
    struct reading r = {.v = v, .hash = sha256_new()};
    if (!r.hash) {
        error_nomem(&err);
        run_fail(run, &err);
    }
    for (size_t i; r.hash && (i = atomic_fetch_add(&v->next, 1)) < v->plan.n && run_goes_on(run);)
        if (verify_object(&r, &v->plan.v[i], &err) != TD_OK)
            run_fail(run, &err);
    sha256_free(r.hash);
}

/* ---- The whole ---- */

static int verify(struct verification *v, const char *id, struct error *err)
{
    struct cloud *c = v->run.cloud;
    struct manifest *m = NULL;
    int status = catalog_prove_for(&v->run, err);
    if (status == TD_OK)
        status = cloud_get_manifest(&v->run, id, NULL, &m, err);
    if (status == TD_E_NOT_FOUND) {
        catalog_drop(c, id);
        return error_set(err, status, "snapshot %s is not in the cloud", id);
    }
    if (status == TD_E_CORRUPT) {
        tell(v, "manifest.json", err->text);
        return TD_OK;
    }
    if (status == TD_OK)
        status = cloud_plan_make(&v->plan, m, err);
    run_expect(&v->run, v->plan.bytes);
    if (status == TD_OK)
        status = cloud_plan_look(&v->plan, &v->run, NULL, NULL, err);
    if (status == TD_OK)
        status = run_work(&v->run, v->plan.n < c->parallel ? v->plan.n : c->parallel, verify_objects, v, err);
    cloud_plan_clear(&v->plan);
    manifest_free(m);
    return status;
}

int cloud_verify(struct cloud *c, const char *id, const struct transfer *t, void (*told)(void *ctx, const char *key, const char *what),
                 struct error *err)
{
    struct error unread = {0};
    err = err ? err : &unread;
    int status = work_check_id(id, err);
    struct verification *v = status == TD_OK ? mem_calloc(1, sizeof(*v)) : NULL;
    if (!v)
        return status == TD_OK ? error_nomem(err) : status;
    v->told = t ? told : NULL;
    status = run_begin(&v->run, c, t, err);
    if (status == TD_OK) {
        status = verify(v, id, err);
        run_end(&v->run);
    }
    if (status == TD_OK && v->wrong)
        status = error_set(err, TD_E_CORRUPT, "snapshot %s is damaged in the cloud: %zu objects; %.700s", id, v->wrong, v->first);
    mem_free(v);
    return status;
}
