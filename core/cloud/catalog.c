/* Which snapshots are in the cloud: folders are listed, and the manifests of those that are new are read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "cloud/cloud_internal.h"

enum {
    READERS = 4, /* a manifest may be large */
    ROUNDS = 3   /* of asking, if this hub changes what is there meanwhile */
};
#define ASK_PATIENCE_NS ((int64_t)10 * NS_PER_S)

/* ---- What is known: sorted by id ---- */

/* Where it is, or where it belongs. [lock] */
static size_t place_of(const struct cloud *c, const char *id)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(c->v[middle]->manifest->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct cloud_snapshot *find(const struct cloud *c, const char *id)
{
    size_t i = place_of(c, id);
    return i < c->n && strcmp(c->v[i]->manifest->id, id) == 0 ? c->v[i] : NULL;
}

static void unpin(struct cloud_snapshot *s)
{
    if (--s->pins)
        return;
    manifest_free(s->manifest);
    mem_free(s);
}

static void drop_at(struct cloud *c, size_t i)
{
    unpin(c->v[i]);
    memmove(c->v + i, c->v + i + 1, (--c->n - i) * sizeof(*c->v));
    atomic_fetch_add(&c->version, 1);
}

/* Takes the manifest. */
static int insert(struct cloud *c, struct manifest *m, uint64_t born, struct error *err)
{
    size_t i = place_of(c, m->id);
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        struct cloud_snapshot **v = mem_realloc(c->v, cap * sizeof(*v));
        if (!v)
            return error_nomem(err);
        c->v = v;
        c->cap = cap;
    }
    struct cloud_snapshot *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    *s = (struct cloud_snapshot){.cloud = c, .manifest = m, .pins = 1, .born = born};
    memmove(c->v + i + 1, c->v + i, (c->n++ - i) * sizeof(*c->v));
    c->v[i] = s;
    atomic_fetch_add(&c->version, 1);
    return TD_OK;
}

static int add(struct cloud *c, const struct manifest *m, bool own, struct error *err)
{
    struct manifest *brief = catalog_brief(m);
    if (!brief)
        return error_set(err, TD_E_LIMIT, "the manifest of snapshot %s is larger than a list can hold, or memory is short", m->id);
    pthread_mutex_lock(&c->lock);
    c->changes += own;
    int status = TD_OK;
    struct cloud_snapshot *there = find(c, m->id);
    if (there)
        there->born = own ? c->changes : there->born;
    else
        status = insert(c, brief, own ? c->changes : 0, err);
    pthread_mutex_unlock(&c->lock);
    if (there || status != TD_OK)
        manifest_free(brief);
    return status;
}

int catalog_add(struct cloud *c, const struct manifest *m, struct error *err)
{
    return add(c, m, true, err);
}

void catalog_drop(struct cloud *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    c->changes++;
    if (find(c, id))
        drop_at(c, place_of(c, id));
    pthread_mutex_unlock(&c->lock);
}

void catalog_clear(struct cloud *c)
{
    for (size_t i = 0; i < c->n; i++)
        unpin(c->v[i]);
    mem_free(c->v);
    mem_free(c->bad);
}

/* ---- Pins ---- */

struct cloud_snapshot *cloud_pin(struct cloud *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    struct cloud_snapshot *s = find(c, id);
    if (s)
        s->pins++;
    pthread_mutex_unlock(&c->lock);
    return s;
}

static int newest_first(const void *a, const void *b)
{
    const struct manifest *left = (*(struct cloud_snapshot *const *)a)->manifest, *right = (*(struct cloud_snapshot *const *)b)->manifest;
    if (left->created_ns != right->created_ns)
        return left->created_ns > right->created_ns ? -1 : 1;
    return strcmp(right->id, left->id);
}

struct cloud_snapshot *cloud_pin_name(struct cloud *c, const char *name, size_t *ret_n)
{
    struct cloud_snapshot *best = NULL;
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->v[i]->manifest->name, name) != 0)
            continue;
        if (!n++ || newest_first(&c->v[i], &best) < 0)
            best = c->v[i];
    }
    if (best)
        best->pins++;
    pthread_mutex_unlock(&c->lock);
    *ret_n = n;
    return best;
}

int cloud_pin_all(struct cloud *c, struct cloud_snapshot ***ret, size_t *ret_n, struct error *err)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->n;
    struct cloud_snapshot **v = mem_alloc((n + 1) * sizeof(struct cloud_snapshot *));
    for (size_t i = 0; v && i < n; i++) {
        v[i] = c->v[i];
        v[i]->pins++;
    }
    pthread_mutex_unlock(&c->lock);
    if (!v)
        return error_nomem(err);
    if (n)
        qsort(v, n, sizeof(struct cloud_snapshot *), newest_first);
    *ret = v;
    *ret_n = n;
    return TD_OK;
}

void cloud_snapshot_unpin(struct cloud_snapshot *s)
{
    struct cloud *c = s->cloud;
    pthread_mutex_lock(&c->lock);
    unpin(s);
    pthread_mutex_unlock(&c->lock);
}

const struct manifest *cloud_snapshot_manifest(const struct cloud_snapshot *s)
{
    return s->manifest;
}

/* ---- Manifests that are none ---- */

/* [lock] */
static struct cloud_bad *find_bad(const struct cloud *c, const char *id)
{
    for (size_t i = 0; i < c->bad_n; i++)
        if (strcmp(c->bad[i].id, id) == 0)
            return &c->bad[i];
    return NULL;
}

/* Those that cannot be kept are told again the next time. */
static void note_bad(struct cloud *c, const char *id, const struct storage_object *o, const struct error *why)
{
    pthread_mutex_lock(&c->lock);
    struct cloud_bad *b = find_bad(c, id);
    struct cloud_bad *v = b ? c->bad : mem_realloc(c->bad, (c->bad_n + 1) * sizeof(*v));
    if (v) {
        c->bad = v;
        b = b ? b : &c->bad[c->bad_n++];
        *b = (struct cloud_bad){.object = *o};
        snprintf(b->id, sizeof(b->id), "%s", id);
    }
    pthread_mutex_unlock(&c->lock);
    log_event(TD_LOG_WARN, "cloud", "what lies in %s%s is passed over: %s", c->prefix, id, why->text);
}

static bool is_still_bad(struct cloud *c, const char *id, const struct storage_object *o)
{
    pthread_mutex_lock(&c->lock);
    const struct cloud_bad *b = find_bad(c, id);
    bool same = b && b->object.bytes == o->bytes && b->object.mtime_ns == o->mtime_ns && strcmp(b->object.etag, o->etag) == 0;
    pthread_mutex_unlock(&c->lock);
    return same;
}

/* ---- Asking ---- */

struct asking {
    struct cloud *cloud;
    struct run run;
    char (*ids)[MANIFEST_ID]; /* of the folders that are there, ascending */
    size_t n, cap;
    bool too_many;
    atomic_size_t next;
    uint64_t changes; /* as it began */
};

static int note_folder(void *ctx, const char *name)
{
    struct asking *a = ctx;
    if (!run_goes_on(&a->run))
        return TD_E_CANCELLED;
    if (!manifest_is_id(name))
        return TD_OK; /* none of ours */
    a->too_many = a->n == CLOUD_MAX_SNAPSHOTS;
    if (a->too_many)
        return TD_OK;
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 256;
        char(*v)[MANIFEST_ID] = mem_realloc(a->ids, cap * sizeof(*v));
        if (!v)
            return TD_E_NOMEM;
        a->ids = v;
        a->cap = cap;
    }
    snprintf(a->ids[a->n++], MANIFEST_ID, "%s", name);
    return TD_OK;
}

static int list_folders(void *ctx, struct error *err)
{
    struct asking *a = ctx;
    struct error why = {0}; /* not touched if note_folder() ended it */
    const char *prefix = a->cloud->prefix;
    int status = storage_folders(a->cloud->storage, prefix, a->n ? a->ids[a->n - 1] : NULL, note_folder, a, &why);
    return status == TD_OK ? status : error_set(err, status, "%s", why.status ? why.text : error_name(status));
}

static bool is_known(struct cloud *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    bool known = find(c, id);
    pthread_mutex_unlock(&c->lock);
    return known;
}

struct heading {
    struct storage *storage;
    const char *key;
    struct storage_object object;
};

static int head(void *ctx, struct error *err)
{
    struct heading *h = ctx;
    return storage_head(h->storage, h->key, &h->object, err);
}

static bool is_bad(struct cloud *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    bool bad = find_bad(c, id);
    pthread_mutex_unlock(&c->lock);
    return bad;
}

/* Nothing is said of what has no manifest: somebody puts it there, or removes it. */
static int read_one(struct asking *a, const char *id, struct error *err)
{
    char key[CLOUD_KEY];
    struct cloud *c = a->cloud;
    struct heading h = {.storage = c->storage, .key = cloud_key(c, id, "manifest.json", key)};
    struct manifest *m = NULL;
    struct error why;
    int status = is_bad(c, id) ? run_call(&a->run, head, &h, err) : TD_OK;
    if (status == TD_OK && is_still_bad(c, id, &h.object))
        return TD_OK;
    if (status == TD_OK)
        status = cloud_get_manifest(&a->run, id, NULL, &m, err);
    if (status == TD_OK)
        status = add(c, m, false, err);
    manifest_free(m);
    if (status != TD_E_CORRUPT && status != TD_E_UNSUPPORTED && status != TD_E_LIMIT)
        return status == TD_E_NOT_FOUND ? TD_OK : status;
    if (run_call(&a->run, head, &h, &why) == TD_OK)
        note_bad(c, id, &h.object, err);
    return TD_OK;
}

static void read_new(struct run *r, void *ctx)
{
    struct asking *a = ctx;
    struct error err = {0};
    for (size_t i; (i = atomic_fetch_add(&a->next, 1)) < a->n && run_goes_on(r);)
        if (!is_known(a->cloud, a->ids[i]) && read_one(a, a->ids[i], &err) != TD_OK)
            run_fail(r, &err);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool has_folder(const struct asking *a, const char *id)
{
    return a->n && bsearch(id, a->ids, a->n, sizeof(*a->ids), compare_ids);
}

/* What has no folder any more is gone, unless this hub has put it there since. */
static void drop_gone(struct asking *a)
{
    struct cloud *c = a->cloud;
    size_t kept = 0;
    pthread_mutex_lock(&c->lock);
    for (size_t i = c->n; i-- && !a->too_many;)
        if (c->v[i]->born <= a->changes && !has_folder(a, c->v[i]->manifest->id))
            drop_at(c, i);
    for (size_t i = 0; i < c->bad_n; i++)
        if (has_folder(a, c->bad[i].id))
            c->bad[kept++] = c->bad[i];
    c->bad_n = kept;
    pthread_mutex_unlock(&c->lock);
}

static uint64_t changes_now(struct cloud *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t changes = c->changes;
    pthread_mutex_unlock(&c->lock);
    return changes;
}

static int ask_once(struct asking *a, struct error *err)
{
    a->n = 0;
    a->changes = changes_now(a->cloud);
    atomic_store(&a->next, 0);
    int status = run_call(&a->run, list_folders, a, err);
    if (status == TD_OK && a->too_many)
        log_event(TD_LOG_WARN, "cloud", "more than %d snapshots are there; only the oldest are listed", CLOUD_MAX_SNAPSHOTS);
    if (status == TD_OK)
        status = run_work(&a->run, a->n < READERS ? a->n : READERS, read_new, a, err);
    if (status == TD_OK)
        drop_gone(a);
    return status;
}

static int prove(void *ctx, struct error *err)
{
    struct cloud *c = ctx;
    int status = atomic_load(&c->proved) ? TD_OK : storage_check_below(c->storage, c->prefix, err);
    atomic_store(&c->proved, status == TD_OK);
    return status;
}

int catalog_prove_for(struct run *r, struct error *err)
{
    struct cloud *c = r->cloud;
    if (atomic_load(&c->proved))
        return TD_OK;
    pthread_mutex_lock(&c->asking);
    int status = run_call(r, prove, c, err);
    pthread_mutex_unlock(&c->asking);
    return status;
}

static void set_status(struct cloud *c, int status, const struct error *err)
{
    const char *text = status == TD_OK ? "" : err->text;
    pthread_mutex_lock(&c->lock);
    bool first = !c->asked_ns, changed = first || c->connected != (status == TD_OK);
    bool differs = changed || strncmp(c->error, text, sizeof(c->error) - 1) != 0;
    c->connected = status == TD_OK;
    c->asked_ns = clock_ns(CLOCK_REALTIME);
    snprintf(c->error, sizeof(c->error), "%s", text);
    pthread_mutex_unlock(&c->lock);
    if (differs)
        atomic_fetch_add(&c->version, 1);
    if (changed && status != TD_OK && !c->starting)
        log_event(TD_LOG_WARN, "cloud", "storage \"%s\" does not answer: %s", storage_name(c->storage), text);
    else if (changed && !first)
        log_event(TD_LOG_INFO, "cloud", "storage \"%s\" answers again", storage_name(c->storage));
}

static int begin(struct run *r, struct cloud *c, struct error *err)
{
    int status = run_begin(r, c, NULL, err);
    if (status == TD_OK && r->policy.patience_ns > ASK_PATIENCE_NS)
        r->policy.patience_ns = ASK_PATIENCE_NS; /* it is asked again soon */
    return status;
}

int catalog_prove(struct cloud *c, struct error *err)
{
    struct run r;
    int status = begin(&r, c, err);
    if (status != TD_OK)
        return status;
    status = run_call(&r, prove, c, err);
    run_end(&r);
    if (status != TD_OK && status != TD_E_CANCELLED)
        set_status(c, status, err);
    return status;
}

int catalog_ask(struct cloud *c, struct error *err)
{
    struct asking a = {.cloud = c};
    int status = begin(&a.run, c, err);
    if (status != TD_OK)
        return status;
    status = run_call(&a.run, prove, c, err);
    for (int i = 0; status == TD_OK && i < ROUNDS; i++) {
        status = ask_once(&a, err);
        if (changes_now(c) == a.changes)
            break;
    }
    run_end(&a.run);
    mem_free(a.ids);
    if (status != TD_E_CANCELLED)
        set_status(c, status, err);
    return status;
}
