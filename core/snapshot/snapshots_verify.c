/* Is everything still as the manifest says? */
#include "snapshot/snapshots_internal.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct verification {
    struct snapshot *snapshot;
    bool (*progress)(void *ctx, uint64_t done, uint64_t all);
    void (*told)(void *ctx, const char *key, const char *what);
    void *ctx;
    EVP_MD_CTX *hash;
    uint64_t done;
    bool stopped;
    size_t wrong;
    char first[SNAPSHOT_KEY + 128]; /* what is wrong with the first one */
};

static bool goes_on(struct verification *v)
{
    v->stopped = v->stopped || (v->progress && !v->progress(v->ctx, v->done, v->snapshot->manifest->bytes));
    return !v->stopped;
}

static int take_bytes(void *ctx, struct td_slice bytes)
{
    struct verification *v = ctx;
    v->done += bytes.n;
    if (EVP_DigestUpdate(v->hash, bytes.p, bytes.n) != 1)
        return TD_E_INTERNAL;
    return goes_on(v) ? TD_OK : TD_E_CANCELLED;
}

static void tell(struct verification *v, const char *key, const char *what)
{
    if (v->wrong++ == 0)
        snprintf(v->first, sizeof(v->first), "%s: %s", key, what);
    if (v->told)
        v->told(v->ctx, key, what);
}

/* Not TD_OK: nothing can be said of it, nor of others. */
static int verify_object(struct verification *v, const struct manifest_object *o, struct error *err)
{
    char key[SNAPSHOT_KEY], what[160];
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct storage_object there;
    struct storage *storage = v->snapshot->all->storage;
    uint64_t before = v->done;
    snapshots_key(key, v->snapshot->manifest->id, o->key);
    int status = storage_head(storage, key, &there, err);
    if (status == TD_OK && there.bytes != o->bytes) {
        snprintf(what, sizeof(what), "has %llu bytes instead of %llu", (unsigned long long)there.bytes, (unsigned long long)o->bytes);
        tell(v, o->key, what);
        v->done = before + o->bytes;
        return TD_OK;
    }
    if (status == TD_OK && EVP_DigestInit_ex(v->hash, EVP_sha256(), NULL) != 1)
        status = error_nomem(err);
    if (status == TD_OK)
        status = storage_get(storage, key, 0, UINT64_MAX, take_bytes, v, err);
    if (v->stopped)
        return error_set(err, TD_E_CANCELLED, "verifying snapshot %s was cancelled", v->snapshot->manifest->name);
    if (status == TD_OK && EVP_DigestFinal_ex(v->hash, digest, NULL) != 1)
        status = error_set(err, TD_E_INTERNAL, "SHA-256 cannot be computed");
    if (status == TD_OK && (v->done - before != o->bytes || memcmp(digest, o->sha256, MANIFEST_SHA256) != 0))
        tell(v, o->key, "its SHA-256 is another one");
    if (status == TD_E_NOT_FOUND)
        tell(v, o->key, "is missing");
    else if (status == TD_E_CORRUPT) /* the disk cannot read it any more */
        tell(v, o->key, err ? err->text : "cannot be read");
    else if (status != TD_OK)
        return status;
    v->done = before + o->bytes;
    return TD_OK;
}

/* Read, and written again as this hub writes it: newer ones may have fields that this one does not know. */
static int verify_manifest(struct verification *v, struct error *err)
{
    const struct manifest *m = v->snapshot->manifest;
    char key[SNAPSHOT_KEY];
    struct buf there, again, here;
    struct manifest *read = NULL;
    buf_init(&there, 0);
    buf_init(&again, 0);
    buf_init(&here, 0);
    int status = storage_get_bytes(v->snapshot->all->storage, snapshots_key(key, m->id, "manifest.json"), MANIFEST_MAX_BYTES, &there, err);
    if (status == TD_OK)
        status = manifest_read(buf_slice(&there), &read, err);
    if (status == TD_E_NOT_FOUND) {
        tell(v, "manifest.json", "is missing");
    } else if (status == TD_E_CORRUPT || status == TD_E_UNSUPPORTED || status == TD_E_LIMIT) {
        tell(v, "manifest.json", err ? err->text : "cannot be read");
    } else if (status == TD_OK) {
        manifest_write(read, &again);
        manifest_write(m, &here);
        if (again.failed || here.failed)
            status = error_nomem(err);
        else if (again.n != here.n || memcmp(again.p, here.p, here.n) != 0)
            tell(v, "manifest.json", "is another one than it was");
    }
    manifest_free(read);
    buf_clear(&there);
    buf_clear(&again);
    buf_clear(&here);
    return status == TD_E_NOMEM || status == TD_E_CANCELLED || status == TD_E_RETRY || status == TD_E_DENIED ? status : TD_OK;
}

static int verify_objects(struct verification *v, struct error *err)
{
    const struct manifest *m = v->snapshot->manifest;
    int status = TD_OK;
    for (size_t i = 0; i < m->node_count; i++) {
        const struct manifest_node *n = &m->nodes[i];
        for (size_t k = 0; status == TD_OK && k < n->segment_count; k++) {
            status = verify_object(v, &n->segments[k].data, err);
            if (status == TD_OK)
                status = verify_object(v, &n->segments[k].index, err);
        }
        if (status == TD_OK && n->context.key)
            status = verify_object(v, &n->context, err);
    }
    return status;
}

int snapshot_verify(struct snapshot *s, bool (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void (*told)(void *ctx, const char *key, const char *what), void *ctx, struct error *err)
{
    struct verification v = {.snapshot = s, .progress = progress, .told = told, .ctx = ctx, .hash = EVP_MD_CTX_new()};
    int status = v.hash ? verify_manifest(&v, err) : error_nomem(err);
    if (status == TD_OK)
        status = verify_objects(&v, err);
    EVP_MD_CTX_free(v.hash);
    if (status == TD_OK && !goes_on(&v))
        return error_set(err, TD_E_CANCELLED, "verifying snapshot %s was cancelled", s->manifest->name);
    if (status == TD_OK && v.wrong)
        return error_set(err, TD_E_CORRUPT, "snapshot %s is damaged: %zu objects; %.700s", s->manifest->name, v.wrong, v.first);
    return status;
}
