/* Which snapshots are in the cloud: folders are listed, the manifests of those that are new are read, and some of the others are looked at
 * again: a folder may outlive its manifest. */
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
    READERS = 4,
    SMALL = 4 << 20, /* bytes of a manifest; larger ones are read one at a time, as what is read takes many times as much */
    AGAIN = 16,      /* of those that are known, looked at each time */
    ROUNDS = 3       /* of asking, if this hub changes what is there meanwhile */
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
    c->bytes -= c->v[i]->manifest->arena.used;
    unpin(c->v[i]);
    memmove(c->v + i, c->v + i + 1, (--c->n - i) * sizeof(*c->v));
    atomic_fetch_add(&c->version, 1);
}

/* [lock] Of what there is no room for, the oldest is left out. */
static void make_room(struct cloud *c)
{
    while (c->n > 1 && c->bytes > c->most_bytes) {
        if (strcmp(c->v[0]->manifest->id, c->left_out) > 0)
            snprintf(c->left_out, sizeof(c->left_out), "%s", c->v[0]->manifest->id);
        drop_at(c, 0);
    }
}

/* Room again for those that were left out, when there is much. */
static bool has_room(struct cloud *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    if (c->bytes < c->most_bytes / 2)
        *c->left_out = 0;
    bool room = strcmp(id, c->left_out) > 0;
    pthread_mutex_unlock(&c->lock);
    return room;
}

/* Takes the manifest. */
static int insert(struct cloud *c, struct manifest *m, bool dissected, uint64_t born, struct error *err)
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
    *s = (struct cloud_snapshot){.cloud = c, .manifest = m, .pins = 1, .born = born, .dissected = dissected};
    memmove(c->v + i + 1, c->v + i, (c->n++ - i) * sizeof(*c->v));
    c->v[i] = s;
    c->bytes += m->arena.used;
    atomic_fetch_add(&c->version, 1);
    make_room(c);
    return TD_OK;
}

/* [lock] */
static void set_dissected(struct cloud_snapshot *s, bool dissected)
{
    if (s->dissected != dissected)
        atomic_fetch_add(&s->cloud->version, 1);
    s->dissected = dissected;
}

static int add(struct cloud *c, const struct manifest *m, bool dissected, bool own, struct error *err)
{
    struct manifest *brief = catalog_brief(m);
    if (!brief)
        return error_set(err, TD_E_LIMIT, "the manifest of snapshot %s is larger than a list can hold, or memory is short", m->id);
    pthread_mutex_lock(&c->lock);
    c->changes += own;
    int status = TD_OK;
    struct cloud_snapshot *there = find(c, m->id);
    if (there) {
        there->born = own ? c->changes : there->born;
        set_dissected(there, dissected || there->dissected);
    } else {
        status = insert(c, brief, dissected, own ? c->changes : 0, err);
    }
    pthread_mutex_unlock(&c->lock);
    if (there || status != TD_OK)
        manifest_free(brief);
    return status;
}

int catalog_add(struct cloud *c, const struct manifest *m, bool dissected, struct error *err)
{
    return add(c, m, dissected, true, err);
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

bool cloud_snapshot_is_dissected(struct cloud_snapshot *s)
{
    pthread_mutex_lock(&s->cloud->lock);
    bool dissected = s->dissected;
    pthread_mutex_unlock(&s->cloud->lock);
    return dissected;
}

/* ---- Manifests that cannot be read ---- */

/* [lock] */
static struct cloud_bad *find_bad(const struct cloud *c, const char *id)
{
    for (size_t i = 0; i < c->bad_n; i++)
        if (strcmp(c->bad[i].id, id) == 0)
            return &c->bad[i];
    return NULL;
}

/* `o` NULL: it is read again each time. Those that cannot be kept are told again the next time. */
static void note_bad(struct cloud *c, const char *id, const struct storage_object *o, const struct error *why)
{
    static const struct storage_object none;
    pthread_mutex_lock(&c->lock);
    struct cloud_bad *b = find_bad(c, id);
    bool told = b && b->status == why->status && !o;
    struct cloud_bad *v = b ? c->bad : mem_realloc(c->bad, (c->bad_n + 1) * sizeof(*v));
    if (v) {
        c->bad = v;
        b = b ? b : &c->bad[c->bad_n++];
        *b = (struct cloud_bad){.status = why->status, .object = o ? *o : none};
        snprintf(b->id, sizeof(b->id), "%s", id);
    }
    pthread_mutex_unlock(&c->lock);
    if (!told)
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
    char (*ids)[MANIFEST_ID]; /* of the folders that are there, ascending: the newest of them */
    size_t n, cap;
    atomic_bool leaves_out; /* some of them */
    pthread_mutex_t large;  /* whoever reads one that is not SMALL */
    atomic_size_t next;
    uint64_t changes; /* as it began */
};

/* Ids ascend with time. */
static void keep_newest(struct asking *a)
{
    size_t most = a->cloud->most;
    if (a->n <= most)
        return;
    memmove(a->ids, a->ids + (a->n - most), most * sizeof(*a->ids));
    a->n = most;
    atomic_store(&a->leaves_out, true);
}

static int note_folder(void *ctx, const char *name)
{
    struct asking *a = ctx;
    if (!run_goes_on(&a->run))
        return TD_E_CANCELLED;
    if (!manifest_is_id(name))
        return TD_OK; /* none of ours */
    if (a->n == 2 * a->cloud->most)
        keep_newest(a);
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

/* Is it no use to ask for others? What fails for good says nothing of them. */
static bool ends_question(int status)
{
    return status == TD_E_RETRY || status == TD_E_CANCELLED;
}

struct dissections {
    struct cloud *cloud;
    char prefix[CLOUD_KEY];
    size_t skip; /* bytes of the prefix and the id */
    bool found;
};

static int note_dissection(void *ctx, const char *key, const struct storage_object *o)
{
    struct dissections *d = ctx;
    char name[MANIFEST_NAME];
    (void)o;
    d->found = cloud_plan_is_dissection(key + d->skip, name);
    return d->found; /* one is enough */
}

static int list_dissections(void *ctx, struct error *err)
{
    struct dissections *d = ctx;
    int status = storage_list(d->cloud->storage, d->prefix, NULL, note_dissection, d, err);
    return status > 0 ? TD_OK : status;
}

/* None if they cannot be listed. */
static int find_dissections(struct asking *a, const char *id, bool *ret, struct error *err)
{
    struct dissections d = {.cloud = a->cloud};
    d.skip = strlen(cloud_key(a->cloud, id, "", d.prefix));
    cloud_key(a->cloud, id, "dissections/", d.prefix);
    int status = run_call(&a->run, list_dissections, &d, err);
    *ret = d.found;
    return ends_question(status) ? status : TD_OK;
}

static int read_manifest(struct asking *a, const char *id, struct manifest **ret, struct error *err)
{
    int status = cloud_get_manifest_within(&a->run, id, SMALL, ret, err);
    if (status != TD_E_LIMIT)
        return status;
    pthread_mutex_lock(&a->large);
    status = cloud_get_manifest(&a->run, id, NULL, ret, err);
    pthread_mutex_unlock(&a->large);
    return status;
}

/* Nothing is said of what has no manifest: somebody puts it there, or removes it. */
static int read_one(struct asking *a, const char *id, struct error *err)
{
    char key[CLOUD_KEY];
    struct cloud *c = a->cloud;
    struct heading h = {.storage = c->storage, .key = cloud_key(c, id, "manifest.json", key)};
    struct manifest *m = NULL;
    struct error why;
    bool dissected = false;
    int status = is_bad(c, id) ? run_call(&a->run, head, &h, err) : TD_OK;
    if (status == TD_OK && is_still_bad(c, id, &h.object))
        return TD_OK;
    if (status == TD_OK)
        status = read_manifest(a, id, &m, err);
    if (status == TD_OK)
        status = find_dissections(a, id, &dissected, err);
    if (status == TD_OK)
        status = add(c, m, dissected, false, err);
    manifest_free(m);
    if (status == TD_OK || status == TD_E_NOT_FOUND || ends_question(status))
        return status == TD_E_NOT_FOUND ? TD_OK : status;
    bool is_none = status == TD_E_CORRUPT || status == TD_E_UNSUPPORTED || status == TD_E_LIMIT;
    note_bad(c, id, is_none && run_call(&a->run, head, &h, &why) == TD_OK ? &h.object : NULL, err);
    return TD_OK;
}

/* What this hub has put there since it was asked for stays. */
static void drop_if_older(struct asking *a, const char *id)
{
    struct cloud *c = a->cloud;
    pthread_mutex_lock(&c->lock);
    const struct cloud_snapshot *s = find(c, id);
    if (s && s->born <= a->changes)
        drop_at(c, place_of(c, id));
    pthread_mutex_unlock(&c->lock);
}

static void note_dissections(struct cloud *c, const char *id, bool dissected)
{
    pthread_mutex_lock(&c->lock);
    struct cloud_snapshot *s = find(c, id);
    if (s)
        set_dissected(s, dissected);
    pthread_mutex_unlock(&c->lock);
}

static int look_again(struct asking *a, const char *id, struct error *err)
{
    bool dissected = false;
    int status = cloud_head_manifest(&a->run, id, err);
    if (status == TD_E_NOT_FOUND)
        drop_if_older(a, id);
    if (status == TD_OK)
        status = find_dissections(a, id, &dissected, err);
    if (status == TD_OK)
        note_dissections(a->cloud, id, dissected);
    return ends_question(status) ? status : TD_OK;
}

static bool is_its_turn(const struct asking *a, size_t i)
{
    return (i + a->n - a->cloud->turn % a->n) % a->n < AGAIN;
}

static int ask_for(struct asking *a, size_t i, struct error *err)
{
    const char *id = a->ids[a->n - 1 - i]; /* the newest first: there may not be room for all */
    if (is_known(a->cloud, id))
        return is_its_turn(a, i) ? look_again(a, id, err) : TD_OK;
    if (has_room(a->cloud, id))
        return read_one(a, id, err);
    atomic_store(&a->leaves_out, true);
    return TD_OK;
}

static void read_new(struct run *r, void *ctx)
{
    struct asking *a = ctx;
    struct error err = {0};
    for (size_t i; (i = atomic_fetch_add(&a->next, 1)) < a->n && run_goes_on(r);)
        if (ask_for(a, i, &err) != TD_OK)
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
    for (size_t i = c->n; i--;)
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

static void tell_left_out(struct asking *a)
{
    struct cloud *c = a->cloud;
    bool leaves_out = atomic_load(&a->leaves_out);
    if (leaves_out && !c->leaves_out)
        log_event(TD_LOG_WARN, "cloud", "more snapshots are there than can be listed (%zu, or %zu MiB of memory): the oldest are left out",
                  c->most, c->most_bytes >> 20);
    c->leaves_out = leaves_out;
}

static int ask_once(struct asking *a, struct error *err)
{
    a->n = 0;
    atomic_store(&a->leaves_out, false);
    a->changes = changes_now(a->cloud);
    atomic_store(&a->next, 0);
    int status = run_call(&a->run, list_folders, a, err);
    keep_newest(a);
    if (status == TD_OK)
        status = run_work(&a->run, a->n < READERS ? a->n : READERS, read_new, a, err);
    if (status != TD_OK)
        return status;
    drop_gone(a);
    tell_left_out(a);
    a->cloud->turn += AGAIN;
    return status;
}

/* Waits as long as it takes, unless the run ends. */
static int begin_asking(struct run *r, struct error *err)
{
    static const struct timespec nap = {.tv_nsec = 20 * NS_PER_MS};
    while (run_goes_on(r)) {
        if (pthread_mutex_trylock(&r->cloud->asking) == 0)
            return TD_OK;
        nanosleep(&nap, NULL);
    }
    return error_set(err, TD_E_CANCELLED, "cancelled");
}

static int prove(void *ctx, struct error *err)
{
    struct cloud *c = ctx;
    int status = atomic_load(&c->proved) ? TD_OK : storage_check_below(c->storage, c->prefix, err);
    atomic_store(&c->proved, status == TD_OK);
    return status;
}

/* Others have their turn between two tries. */
static int prove_in_turn(void *ctx, struct error *err)
{
    struct run *r = ctx;
    int status = begin_asking(r, err);
    if (status != TD_OK)
        return status;
    status = prove(r->cloud, err);
    pthread_mutex_unlock(&r->cloud->asking);
    return status;
}

int catalog_prove_for(struct run *r, struct error *err)
{
    return atomic_load(&r->cloud->proved) ? TD_OK : run_call(r, prove_in_turn, r, err);
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

static int begin(struct run *r, struct cloud *c, const struct transfer *t, int64_t patience_ns, struct error *err)
{
    int status = run_begin(r, c, t, err);
    if (status == TD_OK && r->policy.patience_ns > patience_ns)
        r->policy.patience_ns = patience_ns;
    return status;
}

int catalog_prove(struct cloud *c, struct error *err)
{
    struct run r;
    int status = begin(&r, c, NULL, ASK_PATIENCE_NS, err);
    if (status != TD_OK)
        return status;
    status = run_call(&r, prove, c, err);
    run_end(&r);
    if (status != TD_OK && status != TD_E_CANCELLED)
        set_status(c, status, err);
    return status;
}

static int ask(struct asking *a, struct error *err)
{
    struct cloud *c = a->cloud;
    int status = run_call(&a->run, prove, c, err);
    for (int i = 0; status == TD_OK && i < ROUNDS; i++) {
        status = ask_once(a, err);
        if (changes_now(c) == a->changes)
            break;
    }
    if (status != TD_E_CANCELLED)
        set_status(c, status, err);
    return status;
}

int catalog_ask(struct cloud *c, const atomic_bool *cancel, struct error *err)
{
    struct asking a = {.cloud = c};
    const struct transfer t = {.cancel = cancel};
    int status = begin(&a.run, c, &t, ASK_PATIENCE_NS, err); /* it is asked again soon */
    if (status != TD_OK)
        return status;
    pthread_mutex_init(&a.large, NULL);
    status = begin_asking(&a.run, err);
    if (status == TD_OK) {
        status = ask(&a, err);
        pthread_mutex_unlock(&c->asking);
    }
    run_end(&a.run);
    pthread_mutex_destroy(&a.large);
    mem_free(a.ids);
    return status;
}

int cloud_look(struct cloud *c, const char *id, int64_t patience_ns, struct error *err)
{
    struct run r;
    int status = begin(&r, c, NULL, patience_ns, err);
    if (status != TD_OK)
        return status;
    status = catalog_prove_for(&r, err);
    if (status == TD_OK)
        status = cloud_head_manifest(&r, id, err);
    run_end(&r);
    if (status == TD_E_NOT_FOUND)
        catalog_drop(c, id);
    return status;
}
