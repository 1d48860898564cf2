/* The objects of a snapshot, and which of them are in the cloud. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cloud/cloud_internal.h"
#include "snapshot/sha256.h"

static const char folder[] = "dissections/", suffix[] = ".calls", manifest_file[] = "manifest.json";

const char *cloud_key(const struct cloud *c, const char *id, const char *rest, char out[CLOUD_KEY])
{
    snprintf(out, CLOUD_KEY, "%s%s/%s", c->prefix, id, rest);
    return out;
}

/* ---- Making ---- */

static int add(struct cloud_plan *p, const struct object *o, struct error *err)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct object *v = mem_realloc(p->v, cap * sizeof(*v));
        if (!v)
            return error_nomem(err);
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = *o;
    p->bytes += o->bytes;
    return TD_OK;
}

static int add_object(struct cloud_plan *p, const struct manifest_object *m, struct error *err)
{
    struct object o = {.key = m->key, .bytes = m->bytes, .has_sha256 = true};
    memcpy(o.sha256, m->sha256, sizeof(o.sha256));
    return add(p, &o, err);
}

int cloud_plan_make(struct cloud_plan *p, const struct manifest *m, struct error *err)
{
    int status = TD_OK;
    *p = (struct cloud_plan){.id = m->id};
    arena_init(&p->keys, 16 << 20);
    for (size_t i = 0; i < m->node_count && status == TD_OK; i++) {
        const struct manifest_node *node = &m->nodes[i];
        if (node->context.key)
            status = add_object(p, &node->context, err);
        for (size_t k = 0; status == TD_OK && k < node->segment_count; k++) {
            status = add_object(p, &node->segments[k].data, err);
            if (status == TD_OK)
                status = add_object(p, &node->segments[k].index, err);
        }
    }
    cloud_plan_sort(p);
    return status;
}

void cloud_plan_clear(struct cloud_plan *p)
{
    mem_free(p->v);
    arena_clear(&p->keys);
    *p = (struct cloud_plan){0};
}

int cloud_plan_add_dissection(struct cloud_plan *p, const char *name, uint64_t bytes, struct error *err)
{
    char key[sizeof(folder) + sizeof(suffix) + MANIFEST_NAME];
    struct object o = {.bytes = bytes, .dissection = true};
    int n = snprintf(key, sizeof(key), "%s%s%s", folder, name, suffix);
    o.key = n < (int)sizeof(key) ? arena_strndup(&p->keys, key, (size_t)n) : NULL;
    return o.key ? add(p, &o, err) : error_nomem(err);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

void cloud_plan_sort(struct cloud_plan *p)
{
    if (p->n)
        qsort(p->v, p->n, sizeof(*p->v), by_key);
}

bool cloud_plan_is_dissection(const char *key, char name[MANIFEST_NAME])
{
    struct error why;
    size_t n = strlen(key), begin = sizeof(folder) - 1, tail = sizeof(suffix) - 1;
    if (strncmp(key, folder, begin) != 0 || n <= begin + tail || n - begin - tail >= MANIFEST_NAME || strcmp(key + n - tail, suffix) != 0)
        return false;
    memcpy(name, key + begin, n - begin - tail);
    name[n - begin - tail] = 0;
    return manifest_check_name(name, &why) == TD_OK;
}

/* ---- Looking ---- */

/* Keys ascend on both sides, so that nothing but the plan is kept. */
struct look {
    struct cloud_plan *plan;
    struct run *run;
    size_t skip; /* bytes of the prefix and the id */
    size_t at;
    char prefix[CLOUD_KEY], last[CLOUD_KEY]; /* last: "" none yet */
    cloud_plan_other_fn *other;
    void *ctx;
    struct error *err;
    bool told; /* `other` has filled *err */
};

static int note(void *ctx, const char *key, const struct storage_object *o)
{
    struct look *l = ctx;
    struct cloud_plan *p = l->plan;
    const char *rest = key + l->skip;
    int order = 1;
    if (!run_goes_on(l->run))
        return error_set(l->err, TD_E_CANCELLED, "cancelled");
    snprintf(l->last, sizeof(l->last), "%s", key);
    while (l->at < p->n && (order = strcmp(p->v[l->at].key, rest)) < 0)
        l->at++;
    if (l->at < p->n && order == 0) {
        p->v[l->at].there = true;
        p->v[l->at].there_bytes = o->bytes;
        return TD_OK;
    }
    if (strcmp(rest, manifest_file) == 0) {
        p->has_manifest = true;
        return TD_OK;
    }
    int status = l->other ? l->other(l->ctx, rest, o->bytes, l->err) : TD_OK;
    l->told = status != TD_OK;
    return status;
}

static int list(void *ctx, struct error *err)
{
    struct look *l = ctx;
    struct error why = {0}; /* not touched if note() ended it */
    l->err = err;
    int status = storage_list(l->run->cloud->storage, l->prefix, *l->last ? l->last : NULL, note, l, &why);
    return status == TD_OK || l->told || !why.status ? status : error_set(err, status, "%s", why.text);
}

int cloud_plan_look(struct cloud_plan *p, struct run *r, cloud_plan_other_fn *other, void *ctx, struct error *err)
{
    struct look l = {.plan = p, .run = r, .other = other, .ctx = ctx};
    cloud_key(r->cloud, p->id, "", l.prefix);
    l.skip = strlen(l.prefix);
    p->has_manifest = false;
    for (size_t i = 0; i < p->n; i++)
        p->v[i].there = false;
    return run_call(r, list, &l, err); /* a list that breaks off goes on behind the last key */
}

/* ---- The manifest ---- */

struct getting {
    struct storage *storage;
    const char *key, *id;
    struct buf *bytes;
    size_t most;
    unsigned damaged;
    struct storage_object object;
    struct manifest *manifest;
};

static bool has_other_sum(const struct getting *g, struct td_slice bytes)
{
    uint8_t digest[SHA256_BYTES] = {0};
    struct sha256 *hash = sha256_new();
    bool summed = hash != NULL;
    if (summed) {
        sha256_begin(hash);
        sha256_add(hash, bytes);
        summed = sha256_end(hash, digest);
    }
    sha256_free(hash);
    return !summed || memcmp(digest, g->object.sha256, sizeof(digest)) != 0;
}

static int read_manifest(struct getting *g, struct td_slice bytes, struct error *err)
{
    int status = manifest_read(bytes, &g->manifest, err);
    if (status != TD_OK || strcmp(g->manifest->id, g->id) == 0)
        return status;
    status = error_set(err, TD_E_CORRUPT, "manifest: it is that of %s", g->manifest->id);
    manifest_free(g->manifest);
    return status;
}

/* No other sum tells of a manifest, and one with a digit changed can be read as well. If its own sum is not kept there either, what cannot
 * be read may have been damaged on the way. */
static int get(void *ctx, struct error *err)
{
    struct getting *g = ctx;
    size_t begin = g->bytes->n;
    bool sure = false;
    int status = storage_get_bytes(g->storage, g->key, g->most, g->bytes, err);
    if (status == TD_OK)
        status = storage_head(g->storage, g->key, &g->object, err);
    if (status == TD_OK) {
        struct td_slice bytes = td_sub(buf_slice(g->bytes), begin, g->bytes->n);
        bool other = g->object.has_sha256 && has_other_sum(g, bytes);
        sure = g->object.has_sha256 && !other;
        status = other ? error_set(err, TD_E_CORRUPT, "%.500s: its SHA-256 is another one", g->key) : read_manifest(g, bytes, err);
    }
    if (status == TD_E_CORRUPT && !sure && ++g->damaged < CLOUD_TRIES)
        status = err->status = TD_E_RETRY;
    if (status != TD_OK)
        g->bytes->n = begin;
    return status;
}

static int head(void *ctx, struct error *err)
{
    struct getting *g = ctx;
    return storage_head(g->storage, g->key, &g->object, err);
}

static int get_manifest(struct run *r, const char *id, size_t most, struct buf *json, struct manifest **ret, struct error *err)
{
    char key[CLOUD_KEY];
    struct buf own;
    buf_init(&own, 0);
    struct getting g = {.storage = r->cloud->storage,
                        .key = cloud_key(r->cloud, id, manifest_file, key),
                        .id = id,
                        .bytes = json ? json : &own,
                        .most = most};
    int status = run_call(r, get, &g, err);
    buf_clear(&own);
    if (status == TD_OK)
        *ret = g.manifest;
    return status;
}

int cloud_get_manifest(struct run *r, const char *id, struct buf *json, struct manifest **ret, struct error *err)
{
    return get_manifest(r, id, MANIFEST_MAX_BYTES, json, ret, err);
}

int cloud_get_manifest_within(struct run *r, const char *id, size_t most, struct manifest **ret, struct error *err)
{
    return get_manifest(r, id, most, NULL, ret, err);
}

int cloud_head(struct run *r, const char *id, const char *rest, struct storage_object *ret, struct error *err)
{
    char key[CLOUD_KEY];
    struct getting g = {.storage = r->cloud->storage, .key = cloud_key(r->cloud, id, rest, key)};
    int status = run_call(r, head, &g, err);
    *ret = g.object;
    return status;
}

int cloud_head_manifest(struct run *r, const char *id, struct error *err)
{
    struct storage_object there;
    return cloud_head(r, id, manifest_file, &there, err);
}
