/* Dissections that a snapshot carries. */
#include "snapshot/snapshots_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char folder[] = "dissections/", suffix[] = ".calls";

static int make_key(const struct snapshot *s, const char *name, char key[SNAPSHOT_KEY], struct error *err)
{
    int status = manifest_check_name(name, err);
    if (status == TD_OK)
        snprintf(key, SNAPSHOT_KEY, "%s/%s%s%s", s->manifest->id, folder, name, suffix);
    return status;
}

/* 0: there is none. */
static uint64_t bytes_of(struct snapshot *s, const char *key)
{
    struct storage_object o;
    struct error why;
    return storage_head(s->all->storage, key, &o, &why) == TD_OK ? o.bytes : 0;
}

static void account(struct snapshot *s, uint64_t came, uint64_t went)
{
    struct snapshots *all = s->all;
    pthread_mutex_lock(&all->lock);
    s->bytes += came;
    all->used += came;
    snapshots_take_away(&all->reserved, came);
    snapshots_take_away(&s->bytes, went);
    snapshots_take_away(&all->used, went);
    pthread_mutex_unlock(&all->lock);
}

int snapshot_add_dissection(struct snapshot *s, const char *name, int dir_fd, const char *file, struct error *err)
{
    char key[SNAPSHOT_KEY];
    struct stat st;
    int status = make_key(s, name, key, err);
    if (status == TD_OK && fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        status = error_set(err, TD_E_NOT_FOUND, "%s: %s", file, strerror(errno));
    if (status != TD_OK)
        return status;
    uint64_t old = bytes_of(s, key);
    status = storage_put_file(s->all->storage, key, dir_fd, file, NULL, err);
    if (status == TD_OK)
        account(s, (uint64_t)st.st_size, old);
    return status;
}

int snapshot_remove_dissection(struct snapshot *s, const char *name, struct error *err)
{
    char key[SNAPSHOT_KEY];
    struct storage_object o;
    int status = make_key(s, name, key, err);
    if (status == TD_OK)
        status = storage_head(s->all->storage, key, &o, err);
    if (status == TD_E_NOT_FOUND)
        return error_set(err, TD_E_NOT_FOUND, "snapshot %s has no dissection %s", s->manifest->name, name);
    if (status == TD_OK)
        status = storage_remove(s->all->storage, key, err);
    if (status == TD_OK)
        account(s, 0, o.bytes);
    return status;
}

bool snapshot_dissection_path(struct snapshot *s, const char *name, char out[STORAGE_MAX_PATH])
{
    char key[SNAPSHOT_KEY];
    struct error why;
    return make_key(s, name, key, &why) == TD_OK && storage_path(s->all->storage, key, out);
}

struct listing {
    snapshot_dissection_fn *each;
    void *ctx;
    size_t prefix;
};

static int list_object(void *ctx, const char *key, const struct storage_object *o)
{
    const struct listing *l = ctx;
    char name[MANIFEST_NAME];
    struct error why;
    size_t n = strlen(key) - l->prefix, tail = sizeof(suffix) - 1;
    const char *file = key + l->prefix;
    if (n <= tail || n - tail >= sizeof(name) || strcmp(file + n - tail, suffix) != 0)
        return TD_OK;
    memcpy(name, file, n - tail);
    name[n - tail] = 0;
    return manifest_check_name(name, &why) == TD_OK ? l->each(l->ctx, name, o->bytes, o->mtime_ns) : TD_OK;
}

int snapshot_list_dissections(struct snapshot *s, snapshot_dissection_fn *each, void *ctx, struct error *err)
{
    char prefix[SNAPSHOT_KEY];
    snapshots_key(prefix, s->manifest->id, folder);
    struct listing l = {each, ctx, strlen(prefix)};
    return storage_list(s->all->storage, prefix, NULL, list_object, &l, err);
}
