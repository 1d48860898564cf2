/* What is in storage when the hub starts. */
#include "snapshot/snapshots_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* What was listed below an id. */
struct found {
    char id[MANIFEST_ID];
    bool has_manifest;
    size_t objects;
    uint64_t bytes;
};

struct survey {
    struct storage *storage;
    struct found *v;
    size_t n, cap;
    size_t foreign; /* objects of no id */
    struct error *err;
};

static struct found *add_found(struct survey *s, const char *id)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        struct found *v = mem_realloc(s->v, cap * sizeof(*v));
        if (!v)
            return NULL;
        s->v = v;
        s->cap = cap;
    }
    struct found *f = &s->v[s->n++];
    memset(f, 0, sizeof(*f));
    snprintf(f->id, sizeof(f->id), "%s", id);
    return f;
}

/* Keys ascend, so that those of an id come one after the other. */
static int note_object(void *ctx, const char *key, const struct storage_object *o)
{
    struct survey *s = ctx;
    char id[MANIFEST_ID];
    size_t n = strcspn(key, "/");
    if (strncmp(key, STORAGE_TRIAL, sizeof(STORAGE_TRIAL) - 1) == 0) { /* a hub was killed while it tried the storage */
        struct error why;
        if (storage_remove(s->storage, key, &why) != TD_OK)
            log_event(TD_LOG_WARN, "snapshots", "%s cannot be removed: %s", key, why.text);
        return TD_OK;
    }
    if (!key[n] || n >= sizeof(id)) {
        s->foreign++;
        return TD_OK;
    }
    memcpy(id, key, n);
    id[n] = 0;
    if (!manifest_is_id(id)) {
        s->foreign++;
        return TD_OK;
    }
    struct found *f = s->n && strcmp(s->v[s->n - 1].id, id) == 0 ? &s->v[s->n - 1] : add_found(s, id);
    if (!f)
        return error_nomem(s->err);
    f->objects++;
    f->bytes += o->bytes;
    f->has_manifest |= strcmp(key + n, "/manifest.json") == 0;
    return TD_OK;
}

static int read_manifest(struct snapshots *all, const char *id, struct manifest **ret, struct error *err)
{
    char key[SNAPSHOT_KEY];
    struct buf json;
    buf_init(&json, 0);
    int status = storage_get_bytes(all->storage, snapshots_key(key, id, "manifest.json"), MANIFEST_MAX_BYTES, &json, err);
    if (status == TD_OK)
        status = manifest_read(buf_slice(&json), ret, err);
    buf_clear(&json);
    if (status == TD_OK && strcmp((*ret)->id, id) != 0) {
        status = error_set(err, TD_E_CORRUPT, "manifest: it is that of %s", (*ret)->id);
        manifest_free(*ret);
    }
    return status;
}

/* Cheap: whether bytes have changed is for verifying. */
static void check_objects(const struct manifest *m, const struct found *f)
{
    size_t objects = 1; /* itself */
    for (size_t i = 0; i < m->node_count; i++)
        objects += 2 * m->nodes[i].segment_count + (m->nodes[i].context.key != NULL);
    if (f->objects < objects || f->bytes < m->bytes)
        log_event(TD_LOG_ERROR, "snapshots",
                  "snapshot %s (%s) has %zu objects of %llu bytes, and should have %zu of more than %llu; verify it", m->name, m->id,
                  f->objects, (unsigned long long)f->bytes, objects, (unsigned long long)m->bytes);
}

/* Those that cannot be read are told, and count in the room. */
static int load_one(struct snapshots *all, const struct found *f, struct error *err)
{
    struct manifest *m = NULL;
    struct error why = {0};
    all->used += f->bytes;
    int status = read_manifest(all, f->id, &m, &why);
    if (status == TD_E_NOMEM || status == TD_E_CANCELLED)
        return error_set(err, status, "%s", why.text);
    if (status == TD_OK && snapshots_has_name(all, m->name)) {
        status = error_set(&why, TD_E_EXISTS, "another snapshot has its name %s", m->name);
        manifest_free(m);
    }
    if (status != TD_OK) {
        log_event(TD_LOG_ERROR, "snapshots", "the snapshot in %s is left alone: %s", f->id, why.text);
        return TD_OK;
    }
    struct snapshot *s = snapshots_grow(all) ? mem_calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        manifest_free(m);
        return error_nomem(err);
    }
    check_objects(m, f);
    *s = (struct snapshot){.all = all, .manifest = m, .bytes = f->bytes};
    all->v[all->n++] = s;
    return TD_OK;
}

/* What remained of a snapshot that was being made or deleted. That it cannot be removed keeps nobody from the others. */
static void remove_orphan(struct snapshots *all, const struct found *f)
{
    struct error why;
    uint64_t removed;
    if (snapshots_remove_all(all->storage, f->id, &removed, &why) != TD_OK) {
        log_event(TD_LOG_ERROR, "snapshots", "what is left of %s cannot be removed: %s", f->id, why.text);
        all->used += f->bytes - (removed < f->bytes ? removed : f->bytes);
    } else {
        log_event(TD_LOG_INFO, "snapshots", "removed what was left of %s: %llu bytes", f->id, (unsigned long long)f->bytes);
    }
}

int snapshots_load(struct snapshots *all, bool (*is_busy)(void *ctx, const char *id), void *ctx, struct error *err)
{
    struct survey s = {.storage = all->storage, .err = err};
    int status = storage_list(all->storage, "", NULL, note_object, &s, err);
    for (size_t i = 0; status == TD_OK && i < s.n; i++) {
        if (s.v[i].has_manifest)
            status = load_one(all, &s.v[i], err);
        else if (!is_busy || !is_busy(ctx, s.v[i].id))
            remove_orphan(all, &s.v[i]);
    }
    if (s.foreign)
        log_event(TD_LOG_WARN, "snapshots", "the storage for snapshots has %zu objects that belong to no snapshot; they are left alone",
                  s.foreign);
    mem_free(s.v);
    return status;
}
