/* A hub's local storage in a directory of its own, for tests of what is kept there. */
#ifndef TESTS_UNIT_SNAPSHOT_RIG_H
#define TESTS_UNIT_SNAPSHOT_RIG_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "plugin/host.h"
#include "snapshot/snapshots.h"
#include "tap.h"

extern const struct td_plugin td_plugin_v1_local;

struct snapshot_rig {
    struct registry *registry;
    struct td_host host;
    char dir[64], work[80], stored[80];
    struct storage *storage;
    struct snapshots *snapshots;
    struct error err;
};

enum { RIG_SECOND = 1000000000 };
#define RIG_T0 ((int64_t)1700000000 * RIG_SECOND)

static inline void rig_must(int status, const struct error *err, const char *what)
{
    if (status == TD_OK)
        return;
    printf("not ok - %s: %s\n", what, err->text);
    exit(1);
}

static inline void snapshot_rig_open(struct snapshot_rig *r, bool flushed)
{
    char text[128];
    struct yaml_tree *tree;
    memset(r, 0, sizeof(*r));
    log_set_level(TD_LOG_ERROR);
    snprintf(r->dir, sizeof(r->dir), "/tmp/tapedeck-snapshot-XXXXXX");
    if (!mkdtemp(r->dir))
        exit(1);
    snprintf(r->work, sizeof(r->work), "%s/work", r->dir);
    snprintf(r->stored, sizeof(r->stored), "%s/snapshots", r->dir);
    mkdir(r->work, 0750);
    host_init_control(&r->host);
    rig_must(registry_new(&r->registry, &r->err), &r->err, "a registry");
    rig_must(registry_add_static(r->registry, &td_plugin_v1_local, &r->err), &r->err, "the plugin local");
    snprintf(text, sizeof(text), "{path: %s, sync: %s}", r->stored, flushed ? "true" : "false");
    rig_must(yaml_tree_parse(td_str(text), "c.yaml", &tree, &r->err), &r->err, "options");
    rig_must(storage_open(r->registry, &r->host, "local", yaml_tree_root(tree), &r->storage, &r->err), &r->err, "a storage");
    yaml_tree_free(tree);
    rig_must(storage_check(r->storage, &r->err), &r->err, "the storage works");
}

/* Opens the snapshots, or closes and opens them again, as a restart does. */
static inline void snapshot_rig_load(struct snapshot_rig *r, uint64_t limit, bool (*is_busy)(void *ctx, const char *id), void *ctx)
{
    snapshots_close(r->snapshots);
    r->snapshots = NULL;
    rig_must(snapshots_open(r->storage, limit, is_busy, ctx, &r->snapshots, &r->err), &r->err, "snapshots are loaded");
}

static inline int rig_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void snapshot_rig_close(struct snapshot_rig *r)
{
    snapshots_close(r->snapshots);
    storage_close(r->storage);
    registry_free(r->registry);
    ok(nftw(r->dir, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "nothing is left behind");
}

static inline int rig_count_one(void *ctx, const char *key, const struct storage_object *o)
{
    (void)key;
    (void)o;
    ++*(size_t *)ctx;
    return TD_OK;
}

/* Objects below a prefix. */
static inline size_t rig_objects(struct snapshot_rig *r, const char *prefix)
{
    size_t n = 0;
    rig_must(storage_list(r->storage, prefix, NULL, rig_count_one, &n, &r->err), &r->err, "objects are listed");
    return n;
}

#endif
