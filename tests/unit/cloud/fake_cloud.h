/* A cloud made for tests: the plugin "local" in three directories, seen through a storage plugin of its own that does what clouds do - it
 * keeps sums, and unfinished puts in parts that can be resumed - and what they do at times: it fails in passing, sends wrong bytes, breaks
 * off. Its switches lie in shared memory, so that processes share them. */
#ifndef TESTS_UNIT_CLOUD_FAKE_CLOUD_H
#define TESTS_UNIT_CLOUD_FAKE_CLOUD_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/sha256.h"
#include "snapshot/storage.h"

enum { FAKE_PART = 64 << 10, FAKE_MAX_PARTS = 4096 };

struct fake_switches {
    atomic_long fail_in;      /* the nth operation from now on fails with TD_E_RETRY; 0: none */
    atomic_uint fail_percent; /* of all operations fail with TD_E_RETRY, half of them after they have worked */
    atomic_bool down;         /* all do */
    atomic_uint damaged_gets; /* so many gets from now on give a wrong byte */
    atomic_uint broken_gets;  /* so many break off in the middle */
    atomic_uint broken_puts;  /* so many puts break off after two parts */
    atomic_uint slow_us;      /* a round trip takes so long */
    atomic_bool keeps_no_sums;
    atomic_ulong heads, gets, puts, lists, removes, part_bytes, got_bytes;
    atomic_uint at_once, most_at_once;
};

static struct {
    struct fake_switches *now;
    const struct registry *registry;
    void (*before)(const char *verb, const char *key); /* of this process: called before what changes or reads an object */
    const char *damaged_key;                           /* damaged_gets counts only those of keys with this in them */
    const char *denied_key;                            /* nobody may get those with this in them */
    const char *denied_verbs;                          /* instead of "get": "head sweep" */
    const char *hidden_key;                            /* lists do not show keys with this in them */
    uint8_t flipped;                                   /* bits of the byte that is wrong; 0: the lowest, and text stays text */
} fake;

struct fake_config {
    const char *path;
};

struct fake_cloud {
    struct td_inst *inst;
    const struct td_host *host;
    struct storage *objects, *sums, *parts;
};

static inline void fake_init(const struct registry *registry)
{
    void *p = mmap(NULL, sizeof(*fake.now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(1);
    fake.now = p;
    fake.registry = registry;
}

static inline void fake_reset(void)
{
    memset((void *)fake.now, 0, sizeof(*fake.now));
    fake.before = NULL;
    fake.damaged_key = fake.denied_verbs = fake.denied_key = fake.hidden_key = NULL;
    fake.flipped = 0;
}

/* ---- Failing ---- */

static inline int fake_pass(const struct fake_cloud *f, int status, const struct error *err)
{
    return status == TD_OK ? TD_OK : f->host->fail(f->inst, status, "%s", err->text);
}

static inline int fake_fail(const struct fake_cloud *f)
{
    return f->host->fail(f->inst, TD_E_RETRY, "503 Slow Down");
}

/* True: it was denied, and *ret is the answer. */
static inline bool fake_denies(const struct fake_cloud *f, const char *verb, const char *key, int *ret)
{
    bool denied = fake.denied_key && strstr(key, fake.denied_key) && strstr(fake.denied_verbs ? fake.denied_verbs : "get", verb);
    *ret = denied ? f->host->fail(f->inst, TD_E_DENIED, "403 AccessDenied") : TD_OK;
    return denied;
}

static inline bool fake_take(atomic_uint *n)
{
    unsigned left = atomic_load(n);
    while (left)
        if (atomic_compare_exchange_weak(n, &left, left - 1))
            return true;
    return false;
}

/* An operation begins. 0, or it fails. */
static inline bool fake_begins(void)
{
    struct fake_switches *s = fake.now;
    unsigned n = atomic_fetch_add(&s->at_once, 1) + 1, most = atomic_load(&s->most_at_once);
    while (n > most && !atomic_compare_exchange_weak(&s->most_at_once, &most, n))
        continue;
    if (atomic_load(&s->slow_us))
        usleep(atomic_load(&s->slow_us));
    atomic_fetch_sub(&s->at_once, 1);
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        return false;
    bool fails = atomic_load(&s->down) || chance % 200 < atomic_load(&s->fail_percent);
    if (atomic_load(&s->fail_in) > 0 && atomic_fetch_sub(&s->fail_in, 1) == 1)
        fails = true;
    return !fails;
}

/* It has worked, and its answer may be lost all the same. */
static inline int fake_ends(const struct fake_cloud *f, int status, const struct error *err)
{
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), 0) == sizeof(chance) && chance % 200 < atomic_load(&fake.now->fail_percent))
        return fake_fail(f);
    return fake_pass(f, status, err);
}

/* ---- Life ---- */

static inline int fake_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret)
{
    static const char *const ends[] = {"", "-sums", "-parts"};
    const struct fake_config *c = config;
    struct fake_cloud *f = calloc(1, sizeof(*f));
    struct storage **all[] = {&f->objects, &f->sums, &f->parts};
    char path[512], text[600];
    struct error err;
    struct yaml_tree *tree;
    f->inst = inst;
    f->host = host;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", c->path, ends[i]);
        snprintf(text, sizeof(text), "{path: %s, sync: false}", path);
        if (yaml_tree_parse(td_str(text), "fake", &tree, &err) != TD_OK ||
            storage_open(fake.registry, host, "local", yaml_tree_root(tree), all[i], &err) != TD_OK)
            exit(1);
        yaml_tree_free(tree);
    }
    *ret = f;
    return TD_OK;
}

static inline void fake_destroy(void *self)
{
    struct fake_cloud *f = self;
    storage_close(f->objects);
    storage_close(f->sums);
    storage_close(f->parts);
    free(f);
}

static inline int fake_check(void *self)
{
    struct fake_cloud *f = self;
    return fake_begins() ? TD_OK : fake_fail(f);
}

/* ---- Reading ---- */

static inline void fake_tell(const struct fake_cloud *f, const char *key, const struct storage_object *o, bool with_sum,
                             struct td_object *ret)
{
    struct buf sum = {0};
    uint32_t size = ret->size;
    *ret = (struct td_object){.size = size, .bytes = o->bytes, .mtime_ns = o->mtime_ns};
    memcpy(ret->etag, o->etag, sizeof(ret->etag));
    if (with_sum && !atomic_load(&fake.now->keeps_no_sums) && storage_get_bytes(f->sums, key, 32, &sum, NULL) == TD_OK && sum.n == 32) {
        ret->flags = TD_OBJECT_SHA256;
        memcpy(ret->sha256, sum.p, 32);
    }
    buf_clear(&sum);
}

static inline int fake_head(void *self, const char *key, struct td_object *ret)
{
    struct fake_cloud *f = self;
    struct storage_object o;
    struct error err;
    int status;
    atomic_fetch_add(&fake.now->heads, 1);
    if (fake.before)
        fake.before("head", key);
    if (!fake_begins())
        return fake_fail(f);
    if (fake_denies(f, "head", key, &status))
        return status;
    status = storage_head(f->objects, key, &o, &err);
    if (status == TD_OK)
        fake_tell(f, key, &o, true, ret);
    return fake_ends(f, status, &err);
}

struct fake_get {
    td_sink_fn *sink;
    void *ctx;
    bool damaged;
    uint64_t left; /* until it breaks off */
};

static inline int fake_sink(void *ctx, struct td_slice bytes)
{
    struct fake_get *g = ctx;
    uint8_t *copy = NULL;
    if (bytes.n > g->left)
        bytes.n = (size_t)g->left;
    atomic_fetch_add(&fake.now->got_bytes, bytes.n);
    if (g->damaged && bytes.n) {
        copy = malloc(bytes.n);
        memcpy(copy, bytes.p, bytes.n);
        copy[bytes.n / 2] ^= fake.flipped ? fake.flipped : 1;
        bytes.p = copy;
        g->damaged = false;
    }
    g->left -= g->left == UINT64_MAX ? 0 : bytes.n;
    int status = bytes.n ? g->sink(g->ctx, bytes) : 0;
    free(copy);
    return status || g->left ? status : 1000;
}

static inline int fake_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    struct fake_cloud *f = self;
    bool hit = !fake.damaged_key || strstr(key, fake.damaged_key);
    struct fake_get g = {sink, ctx, hit && fake_take(&fake.now->damaged_gets), UINT64_MAX};
    struct error err;
    int status;
    atomic_fetch_add(&fake.now->gets, 1);
    if (!fake_begins())
        return fake_fail(f);
    if (fake_denies(f, "get", key, &status))
        return status;
    if (fake.before)
        fake.before("get", key);
    if (n > 1 && n != UINT64_MAX && fake_take(&fake.now->broken_gets))
        g.left = n / 2;
    status = storage_get(f->objects, key, offset, n, fake_sink, &g, &err);
    return status == 1000 ? fake_fail(f) : status > 0 ? status : fake_ends(f, status, &err);
}

struct fake_list {
    const struct fake_cloud *f;
    td_list_fn *each;
    void *ctx;
};

static inline int fake_list_one(void *ctx, const char *key, const struct storage_object *o)
{
    struct fake_list *l = ctx;
    struct td_object object = {.size = sizeof(object)};
    if (fake.hidden_key && strstr(key, fake.hidden_key))
        return TD_OK;
    fake_tell(l->f, key, o, false, &object);
    return l->each(l->ctx, key, &object);
}

static inline int fake_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    struct fake_list l = {self, each, ctx};
    struct error err;
    atomic_fetch_add(&fake.now->lists, 1);
    if (fake.before)
        fake.before("list", prefix);
    if (!fake_begins())
        return fake_fail(self);
    int status = storage_list(l.f->objects, prefix, after, fake_list_one, &l, &err);
    return status > 0 ? status : fake_ends(l.f, status, &err);
}

static inline int fake_remove(void *self, const char *key)
{
    struct fake_cloud *f = self;
    struct error err;
    atomic_fetch_add(&fake.now->removes, 1);
    if (fake.before)
        fake.before("remove", key);
    if (!fake_begins())
        return fake_fail(f);
    return fake_ends(f, storage_remove(f->objects, key, &err), &err);
}

/* ---- Putting as a stream ---- */

struct fake_put {
    struct fake_cloud *f;
    struct storage_upload *upload;
    char key[STORAGE_MAX_KEY + 1];
};

static inline int fake_put_open(void *self, const char *key, const struct td_put *put, void **ret)
{
    struct fake_put *p = calloc(1, sizeof(*p));
    struct error err;
    p->f = self;
    snprintf(p->key, sizeof(p->key), "%s", key);
    atomic_fetch_add(&fake.now->puts, 1);
    int status =
        fake_begins() ? fake_pass(self, storage_put_open(p->f->objects, key, put->expected, &p->upload, &err), &err) : fake_fail(self);
    if (status == TD_OK)
        *ret = p;
    else
        free(p);
    return status;
}

static inline int fake_put_write(void *upload, struct td_slice bytes)
{
    struct fake_put *p = upload;
    struct error err;
    return fake_pass(p->f, storage_put_write(p->upload, bytes, &err), &err);
}

static inline int fake_keep_sum(struct fake_cloud *f, const char *key, const uint8_t *sha256)
{
    struct error err;
    return sha256 ? fake_pass(f, storage_put_bytes(f->sums, key, td_bytes(sha256, 32), &err), &err) : TD_OK;
}

static inline int fake_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    struct fake_put *p = upload;
    struct fake_cloud *f = p->f;
    struct storage_object o = {0};
    struct error err;
    if (fake.before)
        fake.before("put", p->key);
    int status = fake_keep_sum(f, p->key, sha256);
    if (status == TD_OK)
        status = fake_ends(f, storage_put_commit(p->upload, sha256, &o, &err), &err);
    else
        storage_put_abort(p->upload);
    fake_tell(f, p->key, &o, false, ret);
    free(p);
    return status;
}

static inline void fake_put_abort(void *upload)
{
    struct fake_put *p = upload;
    storage_put_abort(p->upload);
    free(p);
}

/* ---- Putting a file: in parts that stay, as multipart uploads do ---- */

static inline void fake_part_key(const char *id, const char *key, unsigned n, char out[STORAGE_MAX_KEY + 1])
{
    snprintf(out, STORAGE_MAX_KEY + 1, "%.900s/%.40s/%05u", key, id, n % FAKE_MAX_PARTS);
}

static inline int fake_remove_part(void *ctx, const char *key, const struct storage_object *o)
{
    struct error err;
    (void)o;
    return storage_remove(((struct fake_cloud *)ctx)->parts, key, &err);
}

static inline int fake_forget(void *self, const char *key, const char *state)
{
    struct fake_cloud *f = self;
    char prefix[STORAGE_MAX_KEY + 1];
    struct error err = {0};
    int status;
    if (!fake_begins())
        return fake_fail(f);
    if (fake_denies(f, "forget", key, &status))
        return status;
    snprintf(prefix, sizeof(prefix), "%.900s/%.40s/", key, state);
    return fake_ends(f, storage_list(f->parts, prefix, NULL, fake_remove_part, f, &err), &err);
}

static inline int fake_sweep(void *self, const char *prefix)
{
    struct fake_cloud *f = self;
    struct error err = {0};
    int status;
    if (!fake_begins())
        return fake_fail(f);
    if (fake_denies(f, "sweep", prefix, &status))
        return status;
    return fake_ends(f, storage_list(f->parts, prefix, NULL, fake_remove_part, f, &err), &err);
}

static inline int fake_put_part(struct fake_cloud *f, const char *key, struct td_slice bytes)
{
    struct storage_object o;
    struct error err;
    if (storage_head(f->parts, key, &o, NULL) == TD_OK && o.bytes == bytes.n)
        return TD_OK; /* is there; a real one compares sums */
    if (!fake_begins())
        return fake_fail(f);
    atomic_fetch_add(&fake.now->part_bytes, bytes.n);
    if (fake.before)
        fake.before("part", key);
    return fake_ends(f, storage_put_bytes(f->parts, key, bytes, &err), &err);
}

/* All parts as one object. */
static inline int fake_complete(struct fake_cloud *f, const char *key, const char *id, unsigned n, const struct td_put *put)
{
    char part[STORAGE_MAX_KEY + 1];
    struct storage_upload *u;
    struct sha256 *hash = sha256_new();
    uint8_t digest[32];
    struct buf bytes = {0};
    struct error err = {0};
    sha256_begin(hash);
    int status = storage_put_open(f->objects, key, UINT64_MAX, &u, &err);
    for (unsigned i = 0; status == TD_OK && i < n; i++) {
        fake_part_key(id, key, i, part);
        buf_reset(&bytes);
        status = storage_get_bytes(f->parts, part, FAKE_PART, &bytes, &err);
        status = status == TD_E_NOT_FOUND ? error_set(&err, TD_E_RETRY, "NoSuchUpload") : status;
        sha256_add(hash, buf_slice(&bytes));
        if (status == TD_OK)
            status = storage_put_write(u, buf_slice(&bytes), &err);
    }
    sha256_end(hash, digest);
    if (status == TD_OK && put->sha256 && memcmp(digest, put->sha256, 32) != 0)
        status = error_set(&err, TD_E_CORRUPT, "%s: BadDigest", key);
    if (status == TD_OK)
        status = fake_keep_sum(f, key, digest);
    if (status == TD_OK)
        status = storage_put_commit(u, digest, NULL, &err);
    else
        storage_put_abort(u);
    sha256_free(hash);
    buf_clear(&bytes);
    return fake_ends(f, status, &err);
}

static inline int fake_put_parts(struct fake_cloud *f, const char *key, int fd, const char *id, const struct td_put *put)
{
    static _Thread_local uint8_t bytes[FAKE_PART];
    char part[STORAGE_MAX_KEY + 1];
    uint64_t done = 0;
    unsigned n = 0;
    bool breaks = fake_take(&fake.now->broken_puts);
    int status = TD_OK;
    for (ssize_t got; status == TD_OK && (got = pread(fd, bytes, sizeof(bytes), (off_t)done)) > 0; n++) {
        fake_part_key(id, key, n, part);
        status = fake_put_part(f, part, td_bytes(bytes, (size_t)got));
        done += (uint64_t)got;
        if (status == TD_OK && put->progress && put->progress(put->ctx, done) != 0)
            status = TD_E_CANCELLED;
        if (status == TD_OK && breaks && n == 1)
            status = fake_fail(f);
    }
    return status == TD_OK ? fake_complete(f, key, id, n, put) : status;
}

/* Small ones go in one request. */
static inline int fake_put_small(struct fake_cloud *f, const char *key, int fd, const struct td_put *put)
{
    uint8_t digest[32], bytes[FAKE_PART];
    struct sha256 *hash = sha256_new();
    struct error err = {0};
    ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
    sha256_begin(hash);
    sha256_add(hash, td_bytes(bytes, n > 0 ? (size_t)n : 0));
    sha256_end(hash, digest);
    sha256_free(hash);
    atomic_fetch_add(&fake.now->part_bytes, (unsigned long)n);
    if (n < 0 || (put->sha256 && memcmp(digest, put->sha256, 32) != 0))
        return f->host->fail(f->inst, TD_E_CORRUPT, "%s: BadDigest", key);
    int status = fake_keep_sum(f, key, digest);
    return status == TD_OK ? fake_ends(f, storage_put_bytes(f->objects, key, td_bytes(bytes, (size_t)n), &err), &err) : status;
}

static inline int fake_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *put, bool *ret_linked)
{
    struct fake_cloud *f = self;
    char id[48];
    struct stat st;
    uint64_t number;
    atomic_fetch_add(&fake.now->puts, 1);
    *ret_linked = false;
    if (!fake_begins())
        return fake_fail(f);
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return f->host->fail(f->inst, TD_E_NOT_FOUND, "%s: no such file", name);
    if (fstat(fd, &st) == 0 && st.st_size <= FAKE_PART) {
        int small = fake_put_small(f, key, fd, put);
        close(fd);
        return small;
    }
    snprintf(id, sizeof(id), "%.40s", put->state ? put->state : "");
    bool kept = *id;
    if (!kept && getrandom(&number, sizeof(number), 0) == sizeof(number)) {
        snprintf(id, sizeof(id), "u%016llx", (unsigned long long)number);
        kept = put->save && put->save(put->ctx, id) == 0;
    }
    int status = fake_put_parts(f, key, fd, id, put);
    close(fd);
    if (status != TD_E_CANCELLED && (status != TD_E_RETRY || !kept)) {
        struct error err;
        char prefix[STORAGE_MAX_KEY + 1];
        snprintf(prefix, sizeof(prefix), "%.900s/%.40s/", key, id);
        (void)!storage_list(f->parts, prefix, NULL, fake_remove_part, f, &err);
    }
    return status;
}

/* ---- The plugin ---- */

static const struct td_option fake_options[] = {TD_REQUIRED_STR_OPT(struct fake_config, path, "path", "Where it keeps what it has.")};
static const struct td_storage fake_ops = {.size = sizeof(struct td_storage),
                                           .check = fake_check,
                                           .head = fake_head,
                                           .get = fake_get,
                                           .put_open = fake_put_open,
                                           .put_write = fake_put_write,
                                           .put_commit = fake_put_commit,
                                           .put_abort = fake_put_abort,
                                           .list = fake_list,
                                           .remove = fake_remove,
                                           .put_file = fake_put_file,
                                           .forget = fake_forget,
                                           .sweep = fake_sweep};
static const struct td_component fake_component = {.size = sizeof(struct td_component),
                                                   .kind = TD_KIND_STORAGE,
                                                   .name = "fake",
                                                   .summary = "A cloud for tests",
                                                   .options = TD_TABLE(fake_options),
                                                   .config_size = sizeof(struct fake_config),
                                                   .create = fake_create,
                                                   .destroy = fake_destroy,
                                                   .ops = &fake_ops};
static const struct td_component *const fake_components[] = {&fake_component, NULL};
static const struct td_plugin fake_plugin = {.size = sizeof(struct td_plugin),
                                             .target_minor = TD_ABI_MINOR,
                                             .header_minor = TD_ABI_MINOR,
                                             .name = "fake",
                                             .version = "1.0.0",
                                             .license = "Apache-2.0",
                                             .components = fake_components};

#endif
