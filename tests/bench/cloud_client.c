/* A hub's cloud by itself, for what measures it, breaks it or kills it: one command a process, with the code that a hub runs.
 *
 *     cloud_client [-p SECONDS] [-j N] CONFIG DIR COMMAND...
 *
 * CONFIG is the configuration of a hub, of which tap.snapshots.cloud is used; DIR holds local storage and what transfers need. `-p`: for
 * how long a failing operation is tried again without coming forward (30); `-j`: objects on the way at once (4).
 *
 *     make NAME SEGMENTS BYTES SEED   a snapshot of two nodes with so many segments each, all of it random; prints its id
 *     upload NAME | download ID | clean-upload ID | clean-download ID | remove ID
 *     verify NAME | delete NAME       here
 *     list                            "ID NAME" of each snapshot in the cloud
 *     keys                            "KEY BYTES" of each object in the bucket or container
 *     clear                           removes them all
 *     ops N THREADS SEED              random operations on objects, each compared with what must come of it
 *
 * Ends with a line "ok ..." and status 0, or "STATUS: why" and status 1. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "cloud/cloud.h"
#include "cloud/transfer.h"
#include "plugin/host.h"
#include "snapshot/sha256.h"
#include "snapshot/snapshots.h"

extern const struct td_plugin td_plugin_v1_local, td_plugin_v1_s3, td_plugin_v1_azblob;

#define PREFIX "hubs/one/"

struct client {
    struct registry *registry;
    struct td_host host;
    struct yaml_tree *tree;
    char stored[4096], work[4096];
    int64_t patience_ns, began_ns;
    unsigned parallel;
    struct storage *local, *bucket; /* bucket: of commands that need no cloud */
    struct snapshots *snapshots;
    struct cloud *cloud;
    struct error err;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x;
}

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i += sizeof(x)) {
        next(&x);
        memcpy(p + i, &x, n - i < sizeof(x) ? n - i : sizeof(x));
    }
}

/* ---- Opening ---- */

static int open_bucket(struct client *c, struct storage **ret)
{
    const struct yaml_node *cloud = yaml_get(yaml_get(yaml_get(yaml_tree_root(c->tree), "tap"), "snapshots"), "cloud");
    const struct yaml_node *provider = yaml_get(cloud, "provider");
    if (!provider || provider->kind != YAML_TEXT)
        return error_set(&c->err, TD_E_CONFIG, "tap.snapshots.cloud.provider is missing");
    return storage_open(c->registry, &c->host, provider->text, yaml_get(cloud, provider->text), ret, &c->err);
}

static int open_all(struct client *c, const char *config, const char *dir)
{
    const struct td_plugin *const plugins[] = {&td_plugin_v1_local, &td_plugin_v1_s3, &td_plugin_v1_azblob};
    host_init_control(&c->host);
    snprintf(c->stored, sizeof(c->stored), "%s/snapshots", dir);
    snprintf(c->work, sizeof(c->work), "%s/work", dir);
    (void)mkdir(dir, 0750);
    (void)mkdir(c->work, 0750);
    int status = registry_new(&c->registry, &c->err);
    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]) && status == TD_OK; i++)
        status = registry_add_static(c->registry, plugins[i], &c->err);
    if (status == TD_OK)
        status = yaml_tree_load(config, &c->tree, &c->err);
    if (status == TD_OK)
        status = storage_open_local(c->registry, &c->host, c->stored, &c->local, &c->err);
    return status;
}

static bool is_busy(void *ctx, const char *id)
{
    (void)ctx, (void)id;
    return true; /* what a download has begun stays */
}

static int open_snapshots(struct client *c)
{
    int status = storage_check(c->local, &c->err);
    return status == TD_OK ? snapshots_open(c->local, (uint64_t)64 << 30, is_busy, NULL, &c->snapshots, &c->err) : status;
}

static int open_cloud(struct client *c)
{
    struct cloud_options o = {.prefix = PREFIX,
                              .work_dir = c->work,
                              .parallel = c->parallel,
                              .refresh_ns = (int64_t)3600 * NS_PER_S,
                              .retry = {.first_ns = 20 * NS_PER_MS, .longest_ns = NS_PER_S, .patience_ns = c->patience_ns},
                              .may_be_away = true};
    int status = open_bucket(c, &o.storage);
    return status == TD_OK ? cloud_open(&o, &c->cloud, &c->err) : status;
}

static void close_all(struct client *c)
{
    cloud_close(c->cloud);
    snapshots_close(c->snapshots);
    storage_close(c->bucket);
    storage_close(c->local);
    yaml_tree_free(c->tree);
    registry_free(c->registry);
}

/* ---- Snapshots ---- */

static int put_random(struct client *c, const struct manifest *m, struct manifest_object *o, const char *key, size_t n, uint64_t seed)
{
    char whole[512];
    uint8_t *bytes = malloc(n + 1);
    struct sha256 *hash = sha256_new();
    int status = bytes && hash ? TD_OK : error_nomem(&c->err);
    if (status == TD_OK) {
        fill(bytes, n, seed);
        sha256_begin(hash);
        sha256_add(hash, td_bytes(bytes, n));
        status = sha256_end(hash, o->sha256) ? TD_OK : error_nomem(&c->err);
        o->key = key;
        o->bytes = n;
        snprintf(whole, sizeof(whole), "%s/%s", m->id, key);
    }
    if (status == TD_OK)
        status = storage_put_bytes(c->local, whole, td_bytes(bytes, n), &c->err);
    sha256_free(hash);
    free(bytes);
    return status;
}

static int make_node(struct client *c, struct manifest *m, struct manifest_node *n, size_t segments, size_t bytes, uint64_t seed)
{
    int status = TD_OK;
    n->covered_from_ns = m->start_ns;
    n->covered_to_ns = m->end_ns;
    n->segments = arena_alloc(&m->arena, segments * sizeof(*n->segments), 16);
    n->segment_count = segments;
    for (size_t k = 0; k < segments && status == TD_OK; k++) {
        struct manifest_segment *s = &n->segments[k];
        *s = (struct manifest_segment){
            .sequence = k + 1, .packets = 1, .captured_bytes = 5, .first_ns = m->start_ns, .last_ns = m->start_ns};
        status = put_random(c, m, &s->data, manifest_key(m, n->name, k + 1, MANIFEST_PCAPNG), bytes, seed + 2 * k);
        if (status == TD_OK)
            status = put_random(c, m, &s->index, manifest_key(m, n->name, k + 1, MANIFEST_INDEX), 1000 + k, seed + 2 * k + 1);
    }
    return status;
}

static int make(struct client *c, char **args)
{
    static const char *const nodes[] = {"node-1", "node-2"};
    struct timespec now;
    int status = open_snapshots(c);
    struct manifest *m = status == TD_OK ? manifest_new() : NULL;
    if (!m)
        return status == TD_OK ? error_nomem(&c->err) : status;
    clock_gettime(CLOCK_REALTIME, &now);
    m->created_ns = m->completed_ns = (int64_t)now.tv_sec * NS_PER_S;
    manifest_new_id(m->created_ns, m->id);
    snprintf(m->name, sizeof(m->name), "%s", args[0]);
    m->version = "0.5";
    m->start_ns = m->created_ns - NS_PER_S;
    m->end_ns = m->created_ns;
    m->node_count = 2;
    m->nodes = arena_alloc(&m->arena, 2 * sizeof(*m->nodes), 16);
    for (size_t i = 0; i < 2 && status == TD_OK; i++) {
        m->nodes[i] = (struct manifest_node){.name = nodes[i]};
        status = make_node(c, m, &m->nodes[i], strtoul(args[1], NULL, 10), strtoul(args[2], NULL, 10),
                           strtoul(args[3], NULL, 10) * 1000 + 500 * i);
    }
    manifest_sum(m);
    printf("%s\n", m->id);
    if (status == TD_OK)
        status = snapshots_reserve(c->snapshots, m->bytes, &c->err);
    if (status == TD_OK)
        status = snapshots_add(c->snapshots, m, &c->err);
    if (status != TD_OK)
        manifest_free(m);
    return status;
}

static void tell(const struct client *c, const struct transfer_result *r)
{
    printf("ok objects=%llu bytes=%llu sent_objects=%llu sent_bytes=%llu retries=%u ms=%lld\n", (unsigned long long)r->objects,
           (unsigned long long)r->bytes, (unsigned long long)r->sent_objects, (unsigned long long)r->sent_bytes, r->retries,
           (long long)((now_ns() - c->began_ns) / NS_PER_MS));
}

static int upload(struct client *c, char **args)
{
    struct transfer_result r = {0};
    int status = open_snapshots(c);
    if (status == TD_OK)
        status = open_cloud(c);
    if (status != TD_OK)
        return status;
    struct snapshot *s = snapshots_pin(c->snapshots, args[0]);
    if (!s)
        return error_set(&c->err, TD_E_NOT_FOUND, "there is no snapshot %s", args[0]);
    status = cloud_upload(c->cloud, s, NULL, &r, &c->err);
    snapshot_unpin(s);
    if (status == TD_OK)
        tell(c, &r);
    return status;
}

static int download(struct client *c, char **args)
{
    struct transfer_result r = {0};
    int status = open_snapshots(c);
    if (status == TD_OK)
        status = open_cloud(c);
    if (status == TD_OK)
        status = cloud_download(c->cloud, c->snapshots, args[0], NULL, &r, &c->err);
    if (status == TD_OK)
        tell(c, &r);
    return status;
}

static int clean_upload(struct client *c, char **args)
{
    int status = open_cloud(c);
    return status == TD_OK ? cloud_clean_upload(c->cloud, args[0], NULL, &c->err) : status;
}

static int clean_download(struct client *c, char **args)
{
    int status = open_snapshots(c);
    if (status == TD_OK)
        status = open_cloud(c);
    return status == TD_OK ? cloud_clean_download(c->cloud, c->snapshots, args[0], &c->err) : status;
}

static int remove_there(struct client *c, char **args)
{
    int status = open_cloud(c);
    return status == TD_OK ? cloud_remove(c->cloud, args[0], NULL, &c->err) : status;
}

static int verify(struct client *c, char **args)
{
    int status = open_snapshots(c);
    struct snapshot *s = status == TD_OK ? snapshots_pin(c->snapshots, args[0]) : NULL;
    if (!s)
        return status == TD_OK ? error_set(&c->err, TD_E_NOT_FOUND, "there is no snapshot %s", args[0]) : status;
    status = snapshot_verify(s, NULL, NULL, NULL, &c->err);
    snapshot_unpin(s);
    return status;
}

static int delete_here(struct client *c, char **args)
{
    int status = open_snapshots(c);
    return status == TD_OK ? snapshots_delete(c->snapshots, args[0], &c->err) : status;
}

/* ---- What is there ---- */

static int list_snapshots(struct client *c, char **args)
{
    struct cloud_snapshot **all = NULL;
    size_t n = 0;
    (void)args;
    int status = open_cloud(c);
    if (status == TD_OK)
        status = cloud_refresh(c->cloud, &c->err);
    if (status == TD_OK)
        status = cloud_pin_all(c->cloud, &all, &n, &c->err);
    for (size_t i = 0; i < n; i++) {
        printf("%s %s\n", cloud_snapshot_manifest(all[i])->id, cloud_snapshot_manifest(all[i])->name);
        cloud_snapshot_unpin(all[i]);
    }
    mem_free(all);
    return status;
}

static int print_key(void *ctx, const char *key, const struct storage_object *o)
{
    (void)ctx;
    printf("%s %llu\n", key, (unsigned long long)o->bytes);
    return TD_OK;
}

static int list_keys(struct client *c, char **args)
{
    (void)args;
    int status = open_bucket(c, &c->bucket);
    return status == TD_OK ? storage_list(c->bucket, "", NULL, print_key, NULL, &c->err) : status;
}

static int remove_key(void *ctx, const char *key, const struct storage_object *o)
{
    struct client *c = ctx;
    (void)o;
    return storage_remove(c->bucket, key, &c->err);
}

static int clear(struct client *c, char **args)
{
    (void)args;
    int status = open_bucket(c, &c->bucket);
    return status == TD_OK ? storage_list(c->bucket, "", NULL, remove_key, c, &c->err) : status;
}

/* ---- Random operations ---- */

enum { KEYS = 24, MOST_BYTES = 24 << 20, MOST_THREADS = 16, KINDS = 8, TRIES = 3 };
static const char *const kinds[KINDS] = {"put", "put in parts", "write", "read", "read a range", "head", "list", "remove"};

/* A thread, and the objects that only it touches. `seed` 0: there is none. */
struct worker {
    struct client *client;
    struct retry_budget *budget;
    unsigned number, operations;
    uint64_t dice;
    int dir_fd;
    struct {
        uint64_t seed, bytes;
    } model[KEYS];
    uint8_t *bytes, *expected; /* MOST_BYTES each */
    uint64_t got;
    bool differs;
    unsigned counts[KINDS], retries;
    char state[TD_PUT_STATE_MAX + 1];
    int status;
    struct error err;
};

struct operation {
    struct worker *o;
    unsigned kind, key;
    char name[64], file[32];
    uint64_t seed, bytes, offset, n;
    struct retry retry;
    unsigned listed;
};

static int save(void *ctx, const char *state)
{
    struct operation *p = ctx;
    snprintf(p->o->state, sizeof(p->o->state), "%s", state);
    return 0;
}

static int progress(void *ctx, uint64_t bytes)
{
    (void)ctx, (void)bytes;
    return 0;
}

static int put_file(struct operation *p, struct error *err)
{
    struct worker *o = p->o;
    char state[TD_PUT_STATE_MAX + 1];
    const struct storage_put put = {.state = state, .save = save, .progress = progress, .ctx = p};
    memcpy(state, o->state, sizeof(state));
    return storage_put_file_as(o->client->bucket, p->name, o->dir_fd, p->file, &put, NULL, err);
}

static int write_stream(struct operation *p, struct error *err)
{
    struct storage_upload *u;
    int status = storage_put_open(p->o->client->bucket, p->name, UINT64_MAX, &u, err);
    if (status != TD_OK)
        return status;
    for (uint64_t at = 0; at < p->bytes && status == TD_OK; at += 300007)
        status = storage_put_write(u, td_sub(td_bytes(p->o->bytes, p->bytes), at, at + 300007), err);
    if (status == TD_OK)
        return storage_put_commit(u, NULL, NULL, err);
    storage_put_abort(u);
    return status;
}

static int compare(void *ctx, struct td_slice bytes)
{
    struct operation *p = ctx;
    struct worker *o = p->o;
    if (bytes.n > p->n - o->got || memcmp(o->expected + p->offset + o->got, bytes.p, bytes.n) != 0)
        o->differs = true;
    o->got += bytes.n;
    return TD_OK;
}

/* Damage on the way is the reader's to find: by sums, as the core's downloads do. Here it is read again. */
static int read_range(struct operation *p, struct error *err)
{
    struct worker *o = p->o;
    o->got = 0;
    o->differs = false;
    int status = storage_get(o->client->bucket, p->name, p->offset, p->n, compare, p, err);
    if (!o->model[p->key].seed)
        return status == TD_E_NOT_FOUND ? TD_OK : status == TD_OK ? error_set(err, TD_E_INTERNAL, "%s is still there", p->name) : status;
    if (status == TD_OK && (o->differs || o->got != p->n))
        return error_set(err, TD_E_RETRY, "%s: %llu of %llu bytes%s", p->name, (unsigned long long)o->got, (unsigned long long)p->n,
                         o->differs ? ", different" : "");
    return status;
}

static int head(struct operation *p, struct error *err)
{
    struct worker *o = p->o;
    struct storage_object object;
    int status = storage_head(o->client->bucket, p->name, &object, err);
    if (!o->model[p->key].seed)
        return status == TD_E_NOT_FOUND ? TD_OK : status == TD_OK ? error_set(err, TD_E_INTERNAL, "%s is still there", p->name) : status;
    if (status == TD_OK && object.bytes != o->model[p->key].bytes)
        return error_set(err, TD_E_INTERNAL, "%s has another size", p->name);
    return status == TD_E_NOT_FOUND ? error_set(err, TD_E_INTERNAL, "%s is lost", p->name) : status;
}

static int note(void *ctx, const char *key, const struct storage_object *object)
{
    struct operation *p = ctx;
    const char *slash = strrchr(key, '/');
    unsigned number = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : KEYS;
    bool good = number < KEYS && p->o->model[number].seed && p->o->model[number].bytes == object->bytes;
    p->listed += good;
    p->o->differs |= !good;
    return TD_OK;
}

static int list_all(struct operation *p, struct error *err)
{
    char prefix[32];
    unsigned n = 0;
    for (unsigned i = 0; i < KEYS; i++)
        n += p->o->model[i].seed != 0;
    p->listed = 0;
    p->o->differs = false;
    snprintf(prefix, sizeof(prefix), "ops/%u/", p->o->number);
    int status = storage_list(p->o->client->bucket, prefix, NULL, note, p, err);
    if (status == TD_OK && (p->o->differs || p->listed != n))
        return error_set(err, TD_E_INTERNAL, "of %u objects %u were listed%s", n, p->listed, p->o->differs ? ", and others" : "");
    return status;
}

static int try_once(struct operation *p, struct error *err)
{
    switch (p->kind) {
    case 0:
    case 1: return put_file(p, err);
    case 2: return write_stream(p, err);
    case 3:
    case 4: return read_range(p, err);
    case 5: return head(p, err);
    case 6: return list_all(p, err);
    default: return storage_remove(p->o->client->bucket, p->name, err);
    }
}

static int write_file(struct operation *p, struct error *err)
{
    int fd = openat(p->o->dir_fd, p->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = fd >= 0 && write(fd, p->o->bytes, p->bytes) == (ssize_t)p->bytes;
    if (fd >= 0)
        close(fd);
    return good ? TD_OK : error_set(err, TD_E_LIMIT, "%s cannot be written", p->file);
}

static int prepare(struct operation *p, struct error *err)
{
    struct worker *o = p->o;
    uint64_t dice = next(&o->dice);
    p->kind = (unsigned)(dice % KINDS);
    p->key = (unsigned)(next(&o->dice) % KEYS);
    snprintf(p->name, sizeof(p->name), "ops/%u/%u", o->number, p->key);
    snprintf(p->file, sizeof(p->file), "file-%u", o->number);
    o->state[0] = 0;
    if (p->kind <= 2) {
        p->seed = next(&o->dice) | 1;
        p->bytes = p->kind == 1 ? ((uint64_t)6 << 20) + next(&o->dice) % (10 << 20) : next(&o->dice) % (200 << 10);
        fill(o->bytes, p->bytes, p->seed);
    } else if (o->model[p->key].seed) {
        fill(o->expected, o->model[p->key].bytes, o->model[p->key].seed);
        p->n = o->model[p->key].bytes;
    }
    if (p->kind == 4 && p->n) {
        p->offset = next(&o->dice) % p->n;
        p->n = 1 + next(&o->dice) % (p->n - p->offset);
    }
    return p->kind <= 1 ? write_file(p, err) : TD_OK;
}

static int operate(struct worker *o)
{
    struct operation p = {.o = o};
    const struct retry_policy policy = {.first_ns = 5 * NS_PER_MS, .longest_ns = NS_PER_S, .patience_ns = o->client->patience_ns};
    int status = prepare(&p, &o->err);
    if (status != TD_OK)
        return status;
    retry_begin(&p.retry, &policy, o->budget, NULL);
    unsigned tries = 0, damaged = 0;
    do {
        status = try_once(&p, &o->err);
        if (status == TD_E_CORRUPT && ++damaged < TRIES) /* as the core does with what is damaged on its way */
            status = TD_E_RETRY;
        o->retries += tries++ > 0;
    } while (retry_again(&p.retry, &status, &o->err));
    if (status != TD_OK)
        return error_prefix(&o->err, "%s %s: ", kinds[p.kind], p.name), status;
    o->counts[p.kind]++;
    if (p.kind <= 2)
        o->model[p.key].seed = p.seed, o->model[p.key].bytes = p.bytes;
    else if (p.kind == KINDS - 1)
        o->model[p.key].seed = 0;
    return TD_OK;
}

static void *work(void *arg)
{
    struct worker *o = arg;
    for (unsigned i = 0; i < o->operations && o->status == TD_OK; i++)
        o->status = operate(o);
    /* What is there at the end is what was put. */
    for (unsigned i = 0; i < KEYS && o->status == TD_OK; i++) {
        struct operation p = {.o = o, .kind = 3, .key = i, .n = o->model[i].seed ? o->model[i].bytes : 0};
        const struct retry_policy policy = {.first_ns = 5 * NS_PER_MS, .longest_ns = NS_PER_S, .patience_ns = o->client->patience_ns};
        snprintf(p.name, sizeof(p.name), "ops/%u/%u", o->number, i);
        fill(o->expected, p.n, o->model[i].seed);
        retry_begin(&p.retry, &policy, o->budget, NULL);
        do
            o->status = try_once(&p, &o->err);
        while (retry_again(&p.retry, &o->status, &o->err));
    }
    return NULL;
}

static int ops(struct client *c, char **args)
{
    struct worker *all = mem_calloc(MOST_THREADS, sizeof(*all));
    struct retry_budget budget;
    pthread_t threads[MOST_THREADS];
    unsigned n = (unsigned)strtoul(args[1], NULL, 10), operations = (unsigned)strtoul(args[0], NULL, 10), retries = 0;
    unsigned counts[KINDS] = {0};
    n = n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : n;
    int status = open_bucket(c, &c->bucket), dir_fd = open(c->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (status != TD_OK || dir_fd < 0 || !all)
        return status != TD_OK ? status : error_set(&c->err, TD_E_CONFIG, "%s cannot be opened", c->work);
    retry_budget_init(&budget);
    for (unsigned i = 0; i < n; i++) {
        all[i] = (struct worker){.client = c,
                                 .budget = &budget,
                                 .number = i,
                                 .operations = operations / n + (i < operations % n),
                                 .dir_fd = dir_fd,
                                 .dice = strtoul(args[2], NULL, 10) * 0x9e3779b97f4a7c15u + i + 1,
                                 .bytes = malloc(MOST_BYTES),
                                 .expected = malloc(MOST_BYTES)};
        if (!all[i].bytes || !all[i].expected || pthread_create(&threads[i], NULL, work, &all[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        if (all[i].status != TD_OK)
            status = error_set(&c->err, all[i].status, "%s", all[i].err.text);
        retries += all[i].retries;
        for (unsigned k = 0; k < KINDS; k++)
            counts[k] += all[i].counts[k];
        free(all[i].bytes);
        free(all[i].expected);
    }
    mem_free(all);
    close(dir_fd);
    for (unsigned i = 0; i < 20; i++) { /* as after an upload: what nobody knows of any more */
        status = status == TD_OK || status == TD_E_RETRY ? storage_sweep(c->bucket, "ops/", &c->err) : status;
        if (status != TD_E_RETRY)
            break;
    }
    if (status != TD_OK)
        return status;
    printf("ok operations=%u retries=%u ms=%lld", operations, retries, (long long)((now_ns() - c->began_ns) / NS_PER_MS));
    for (unsigned k = 0; k < KINDS; k++)
        printf("%s %s: %u", k ? "," : "", kinds[k], counts[k]);
    printf("\n");
    return TD_OK;
}

/* ---- Commands ---- */

static const struct command {
    const char *name;
    int args;
    int (*run)(struct client *, char **args);
    bool told; /* it prints "ok" itself */
} commands[] = {{"make", 4, make, true},
                {"upload", 1, upload, true},
                {"download", 1, download, true},
                {"clean-upload", 1, clean_upload, false},
                {"clean-download", 1, clean_download, false},
                {"remove", 1, remove_there, false},
                {"verify", 1, verify, false},
                {"delete", 1, delete_here, false},
                {"list", 0, list_snapshots, true},
                {"keys", 0, list_keys, true},
                {"clear", 0, clear, false},
                {"ops", 3, ops, true}};

int main(int argc, char **argv)
{
    struct client c = {.patience_ns = (int64_t)30 * NS_PER_S, .parallel = 4, .began_ns = now_ns()};
    int at = 1;
    log_set_level(TD_LOG_WARN);
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2)
        if (argv[at][1] == 'p')
            c.patience_ns = (int64_t)(strtod(argv[at + 1], NULL) * 1e9);
        else
            c.parallel = (unsigned)strtoul(argv[at + 1], NULL, 10);
    const struct command *command = NULL;
    for (size_t i = 0; at + 2 < argc && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[at + 2], commands[i].name) == 0 && argc - at - 3 == commands[i].args)
            command = &commands[i];
    if (!command) {
        fprintf(stderr, "cloud_client: see the comment at the beginning of its source\n");
        return 2;
    }
    int status = open_all(&c, argv[at], argv[at + 1]);
    if (status == TD_OK)
        status = command->run(&c, argv + at + 3);
    if (status != TD_OK)
        printf("%s: %s\n", error_name(status), c.err.text);
    else if (!command->told)
        printf("ok ms=%lld\n", (long long)((now_ns() - c.began_ns) / NS_PER_MS));
    close_all(&c);
    return status == TD_OK ? 0 : 1;
}
