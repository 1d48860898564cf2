/* Hubs, each with local storage and a work directory of its own, and the cloud that they share. */
#ifndef TESTS_UNIT_CLOUD_RIG_H
#define TESTS_UNIT_CLOUD_RIG_H

#include <ftw.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "cloud/cloud.h"
#include "cloud/transfer.h"
#include "fake_cloud.h"
#include "plugin/host.h"
#include "snapshot/snapshots.h"
#include "tap.h"

extern const struct td_plugin td_plugin_v1_local;

enum { CLOUD_RIG_GIB = 1 << 30 };
#define CLOUD_RIG_T0 ((int64_t)1700000000 * NS_PER_S)

struct hub_rig {
    char dir[96], work[112], stored[112];
    struct storage *storage;
    struct snapshots *snapshots;
    struct cloud *cloud;
    bool knows_more;        /* of the first node of what is made, besides packets */
    const char *first_node; /* how that one is called; NULL: node-1 */
};

struct cloud_rig {
    struct registry *registry;
    struct td_host host;
    char dir[64], bucket[80];
    struct storage *seen; /* what is in the cloud, without faults */
    struct error err;
};

static struct cloud_rig t;

static inline void must(int status, const char *what)
{
    if (status == TD_OK)
        return;
    printf("not ok - %s: %s\n", what, t.err.text);
    exit(1);
}

static inline void rig_begin(void)
{
    memset(&t, 0, sizeof(t));
    log_set_level(getenv("VERBOSE") ? TD_LOG_DEBUG : TD_LOG_ERROR);
    snprintf(t.dir, sizeof(t.dir), "/tmp/tapedeck-cloud-XXXXXX");
    if (!mkdtemp(t.dir))
        exit(1);
    snprintf(t.bucket, sizeof(t.bucket), "%s/bucket", t.dir);
    host_init_control(&t.host);
    must(registry_new(&t.registry, &t.err), "a registry");
    must(registry_add_static(t.registry, &td_plugin_v1_local, &t.err), "the plugin local");
    must(registry_add_static(t.registry, &fake_plugin, &t.err), "the plugin fake");
    fake_init(t.registry);
    must(storage_open_local(t.registry, &t.host, t.bucket, &t.seen, &t.err), "the bucket");
}

static inline int rig_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void rig_end(void)
{
    storage_close(t.seen);
    registry_free(t.registry);
    ok(nftw(t.dir, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "nothing is left behind");
}

/* ---- Hubs ---- */

static inline bool rig_is_busy(void *ctx, const char *id)
{
    (void)ctx, (void)id;
    return true;
}

static inline struct storage *rig_open_storage(const char *plugin, const char *path)
{
    char text[256];
    struct yaml_tree *tree;
    struct storage *s = NULL;
    snprintf(text, sizeof(text), "{path: %s%s}", path, strcmp(plugin, "local") == 0 ? ", sync: false" : "");
    must(yaml_tree_parse(td_str(text), "c.yaml", &tree, &t.err), "options");
    must(storage_open(t.registry, &t.host, plugin, yaml_tree_root(tree), &s, &t.err), "a storage");
    yaml_tree_free(tree);
    return s;
}

static inline struct cloud_options hub_options(const struct hub_rig *h, const char *plugin)
{
    return (struct cloud_options){
        .storage = rig_open_storage(plugin, t.bucket),
        .prefix = "production/hub/",
        .work_dir = h->work,
        .parallel = 4,
        .refresh_ns = (int64_t)3600 * NS_PER_S,
        .retry = {.first_ns = NS_PER_MS / 10, .longest_ns = 2 * NS_PER_MS, .patience_ns = NS_PER_S},
    };
}

static inline void hub_open_with(struct hub_rig *h, const char *name, const char *plugin, uint64_t room)
{
    memset(h, 0, sizeof(*h));
    snprintf(h->dir, sizeof(h->dir), "%s/%s", t.dir, name);
    snprintf(h->work, sizeof(h->work), "%s/work", h->dir);
    snprintf(h->stored, sizeof(h->stored), "%s/snapshots", h->dir);
    mkdir(h->dir, 0750);
    mkdir(h->work, 0750);
    h->storage = rig_open_storage("local", h->stored);
    must(storage_check(h->storage, &t.err), "local storage works");
    must(snapshots_open(h->storage, room, rig_is_busy, NULL, &h->snapshots, &t.err), "snapshots");
    struct cloud_options o = hub_options(h, plugin);
    must(cloud_open(&o, &h->cloud, &t.err), "a cloud");
}

static inline void hub_open(struct hub_rig *h, const char *name)
{
    hub_open_with(h, name, "fake", CLOUD_RIG_GIB);
}

static inline void hub_close(struct hub_rig *h)
{
    cloud_close(h->cloud);
    snapshots_close(h->snapshots);
    storage_close(h->storage);
}

/* ---- At a call of the cloud something happens ---- */

static struct {
    atomic_int left;         /* how often it is done */
    const char *verb, *part; /* before which call */
} meddler;

static inline bool is_time(const char *verb, const char *key)
{
    return strcmp(verb, meddler.verb) == 0 && strstr(key, meddler.part) && atomic_fetch_sub(&meddler.left, 1) > 0;
}

static inline void set_meddler(void (*what)(const char *verb, const char *key), const char *verb, const char *part, int times)
{
    fake.before = what;
    meddler.verb = verb;
    meddler.part = part;
    atomic_store(&meddler.left, times);
}

/* ---- Snapshots ---- */

static inline void rig_fill(uint8_t *p, size_t n, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = (uint8_t)(x >> 32);
    }
}

static inline void rig_object(struct hub_rig *h, struct manifest *m, struct manifest_object *o, const char *key, size_t n, uint64_t seed)
{
    char whole[512];
    uint8_t *bytes = malloc(n + 1);
    struct sha256 *hash = sha256_new();
    rig_fill(bytes, n, seed);
    sha256_begin(hash);
    sha256_add(hash, td_bytes(bytes, n));
    sha256_end(hash, o->sha256);
    sha256_free(hash);
    o->key = key;
    o->bytes = n;
    snprintf(whole, sizeof(whole), "%s/%s", m->id, key);
    must(storage_put_bytes(h->storage, whole, td_bytes(bytes, n), &t.err), whole);
    free(bytes);
}

/* `segments` on each of two nodes, of `bytes` and a few; the last index has one byte. */
static inline void hub_make(struct hub_rig *h, const char *id, const char *name, size_t segments, size_t bytes)
{
    const char *nodes[] = {h->first_node ? h->first_node : "node-1", "node-1-b"}; /* whose keys are in another order than the names */
    struct manifest *m = manifest_new();
    snprintf(m->id, sizeof(m->id), "%s", id);
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->version = "0.5";
    m->created_ns = m->completed_ns = CLOUD_RIG_T0 + id[MANIFEST_ID - 16];
    m->start_ns = CLOUD_RIG_T0;
    m->end_ns = CLOUD_RIG_T0 + 100;
    m->node_count = 2;
    m->nodes = arena_alloc(&m->arena, 2 * sizeof(*m->nodes), 16);
    for (size_t i = 0; i < 2; i++) {
        struct manifest_node *n = &m->nodes[i];
        *n = (struct manifest_node){.name = nodes[i], .covered_from_ns = CLOUD_RIG_T0, .covered_to_ns = CLOUD_RIG_T0 + 100};
        n->segments = arena_alloc(&m->arena, segments * sizeof(*n->segments), 16);
        n->segment_count = segments;
        for (size_t k = 0; k < segments; k++) {
            struct manifest_segment *s = &n->segments[k];
            *s = (struct manifest_segment){
                .sequence = k + 1, .packets = 1, .captured_bytes = 5, .first_ns = CLOUD_RIG_T0, .last_ns = CLOUD_RIG_T0};
            rig_object(h, m, &s->data, manifest_key(m, n->name, k + 1, k % 2 ? MANIFEST_PCAPNG : MANIFEST_PCAPNG_ZST), bytes + 7 * k + i,
                       10 * k + i);
            rig_object(h, m, &s->index, manifest_key(m, n->name, k + 1, MANIFEST_INDEX), k + 1 == segments ? 1 : 100 + k, 10 * k + i + 5);
        }
    }
    if (h->knows_more)
        rig_object(h, m, &m->nodes[0].context, manifest_context_key(m, nodes[0]), 77, 4);
    manifest_sum(m);
    must(snapshots_reserve(h->snapshots, m->bytes, &t.err), "room");
    must(snapshots_add(h->snapshots, m, &t.err), name);
}

static inline void hub_add_dissection(struct hub_rig *h, const char *name, const char *dissection, size_t n, uint64_t seed)
{
    char path[256];
    uint8_t *bytes = malloc(n);
    struct snapshot *s = snapshots_pin(h->snapshots, name);
    rig_fill(bytes, n, seed);
    snprintf(path, sizeof(path), "%s/fresh.calls", h->work);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (!s || fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        exit(1);
    close(fd);
    free(bytes);
    must(snapshots_reserve(h->snapshots, n, &t.err), "room");
    must(snapshot_add_dissection(s, dissection, AT_FDCWD, path, &t.err), dissection);
    unlink(path);
    snapshot_unpin(s);
}

/* ---- What is where ---- */

static inline int rig_count_one(void *ctx, const char *key, const struct storage_object *o)
{
    (void)key, (void)o;
    ++*(size_t *)ctx;
    return TD_OK;
}

static inline size_t rig_count(struct storage *s, const char *prefix)
{
    size_t n = 0;
    must(storage_list(s, prefix, NULL, rig_count_one, &n, &t.err), "objects are listed");
    return n;
}

static inline size_t cloud_count(const char *id)
{
    char prefix[256];
    snprintf(prefix, sizeof(prefix), "production/hub/%s", id);
    return rig_count(t.seen, prefix);
}

/* Unfinished puts in the cloud. */
static inline size_t cloud_parts(void)
{
    char path[96];
    struct storage *parts;
    snprintf(path, sizeof(path), "%s-parts", t.bucket);
    must(storage_open_local(t.registry, &t.host, path, &parts, &t.err), "parts");
    size_t n = rig_count(parts, "");
    storage_close(parts);
    return n;
}

static inline int rig_count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)path, (void)st;
    return type == FTW_F || ftw->level ? 1 : 0;
}

static inline bool work_is_empty(const struct hub_rig *h)
{
    return nftw(h->work, rig_count_file, 8, FTW_PHYS) == 0;
}

/* Everything of it is there, and right. */
static inline bool hub_has(struct hub_rig *h, const char *name)
{
    struct snapshot *s = snapshots_pin(h->snapshots, name);
    if (!s)
        return false;
    int status = snapshot_verify(s, NULL, NULL, NULL, &t.err);
    snapshot_unpin(s);
    if (status != TD_OK)
        tap_diag("%s", t.err.text);
    return status == TD_OK;
}

static inline int hub_upload(struct hub_rig *h, const char *name, const struct transfer *transfer, struct transfer_result *ret)
{
    struct snapshot *s = snapshots_pin(h->snapshots, name);
    struct transfer_result ignored;
    if (!s)
        return error_set(&t.err, TD_E_NOT_FOUND, "no such snapshot");
    int status = cloud_upload(h->cloud, s, transfer, ret ? ret : &ignored, &t.err);
    snapshot_unpin(s);
    return status;
}

static inline int hub_download(struct hub_rig *h, const char *id, const struct transfer *transfer, struct transfer_result *ret)
{
    struct transfer_result ignored;
    return cloud_download(h->cloud, h->snapshots, id, transfer, ret ? ret : &ignored, &t.err);
}

#endif
