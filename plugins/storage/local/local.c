/* The storage backend `local`: life, reading and removing. */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10 };

struct config {
    const char *path;
    bool sync;
};

/* ---- Life ---- */

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    const struct config *c = config;
    size_t n = strlen(c->path);
    if (c->path[0] != '/' || n >= LOCAL_MAX_PATH - TD_KEY_MAX - 1)
        return host->fail(inst, TD_E_CONFIG, "path \"%.400s\" must be absolute, beginning with a slash, and at most %d bytes long", c->path,
                          LOCAL_MAX_PATH - TD_KEY_MAX - 2);
    struct local *l = malloc(sizeof(*l));
    char *path = malloc(n + 1);
    if (!l || !path) {
        free(l);
        free(path);
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    }
    memcpy(path, c->path, n + 1);
    while (n && path[n - 1] == '/')
        path[--n] = 0;
    *l = (struct local){.inst = inst, .host = host, .path = path, .sync = c->sync, .root_fd = -1, .temporary_fd = -1};
    pthread_mutex_init(&l->lock, NULL);
    *ret_self = l;
    return TD_OK;
}

static void destroy(void *self)
{
    struct local *l = self;
    if (l->root_fd >= 0)
        close(l->root_fd);
    if (l->temporary_fd >= 0)
        close(l->temporary_fd);
    pthread_mutex_destroy(&l->lock);
    free((char *)(uintptr_t)l->path); /* made by create() */
    free(l);
}

static int check(void *self)
{
    struct local *l = self;
    if (local_root(l, true) < 0 || local_temporary(l) < 0)
        return local_fail(l, NULL, "cannot be opened as storage");
    int status = local_clean(l);
    return status == TD_OK ? local_remove_empty(l) : status;
}

/* ---- Reading ---- */

/* No object is there: nothing, or something that is no file. */
static bool means_absent(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG;
}

static int stat_object(struct local *l, const char *key, struct stat *ret)
{
    const char *base;
    int folder = local_open_parent(l, key, false, &base);
    int result = folder < 0 ? -1 : fstatat(folder, base, ret, AT_SYMLINK_NOFOLLOW);
    local_close(folder);
    if (result == 0 && S_ISREG(ret->st_mode))
        return TD_OK;
    if (result == 0 || means_absent(errno))
        errno = ENOENT;
    return local_fail(l, key, "cannot be read");
}

static int head(void *self, const char *key, struct td_object *ret)
{
    struct stat st;
    int status = stat_object(self, key, &st);
    if (status == TD_OK)
        local_object(&st, ret);
    return status;
}

static int object_path(void *self, const char *key, char *out, size_t n)
{
    struct local *l = self;
    struct stat st;
    int status = stat_object(l, key, &st);
    if (status != TD_OK)
        return status;
    int length = snprintf(out, n, "%s/%s", l->path, key);
    return length >= 0 && (size_t)length < n ? TD_OK : l->host->fail(l->inst, TD_E_LIMIT, "%.900s: the path is too long", key);
}

static int open_object(struct local *l, const char *key, struct stat *ret)
{
    const char *base;
    int folder = local_open_parent(l, key, false, &base);
    int fd = folder < 0 ? -1 : openat(folder, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    local_close(folder);
    if (fd >= 0 && fstat(fd, ret) == 0 && S_ISREG(ret->st_mode))
        return fd;
    if (fd >= 0 || means_absent(errno))
        errno = ENOENT;
    local_close(fd);
    return -1;
}

static int send_range(struct local *l, const char *key, int fd, uint64_t offset, uint64_t end, td_sink_fn *sink, void *ctx)
{
    int status = TD_OK;
    uint8_t *bytes = malloc(READ_BYTES);
    if (!bytes)
        return l->host->fail(l->inst, TD_E_NOMEM, "out of memory");
    while (offset < end && status == TD_OK) {
        ssize_t n = pread(fd, bytes, end - offset < READ_BYTES ? (size_t)(end - offset) : READ_BYTES, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = local_fail(l, key, "cannot be read");
        else if (n == 0)
            status = l->host->fail(l->inst, TD_E_CORRUPT, "%.900s: became shorter while it was read", key);
        else if (l->host->cancelled(l->inst))
            status = TD_E_CANCELLED;
        else
            status = sink(ctx, td_bytes(bytes, (size_t)n));
        offset += n > 0 ? (uint64_t)n : 0;
    }
    free(bytes);
    return status;
}

static int get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    struct local *l = self;
    struct stat st;
    int fd = open_object(l, key, &st);
    if (fd < 0)
        return local_fail(l, key, "cannot be read");
    uint64_t bytes = (uint64_t)st.st_size;
    int status = TD_OK;
    if (offset > bytes || (n != UINT64_MAX && n > bytes - offset))
        status = l->host->fail(l->inst, TD_E_LIMIT, "%.900s: has %llu bytes; the range asked for ends behind them", key,
                               (unsigned long long)bytes);
    else
        status = send_range(l, key, fd, offset, n == UINT64_MAX ? bytes : offset + n, sink, ctx);
    close(fd);
    return status;
}

/* ---- Removing ---- */

static int remove_object(void *self, const char *key)
{
    struct local *l = self;
    const char *base;
    struct stat st;
    int folder = local_open_parent(l, key, false, &base);
    if (folder < 0)
        return means_absent(errno) ? TD_OK : local_fail(l, key, "cannot be removed");
    bool there = fstatat(folder, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    int result = there ? unlinkat(folder, base, 0) : 0;
    local_close(folder);
    if (result != 0 && errno != ENOENT)
        return local_fail(l, key, "cannot be removed");
    return there && local_prune(l, key) != 0 ? local_fail(l, key, "cannot be removed for good") : TD_OK;
}

/* ---- The plugin ---- */

static const struct td_option options[] = {
    TD_REQUIRED_STR_OPT(struct config, path, "path",
                        "The directory that holds the objects, as an absolute path; it is made if it is missing. Nothing else should write "
                        "there; its folder " LOCAL_TEMPORARY " holds what is not complete yet."),
    TD_BOOL_OPT(
        struct config, sync, "sync", "true",
        "Flush objects and folders to the disk before they count as written. Without it they are written faster, and may be lost or "
        "torn when the machine loses power."),
};

static const struct td_storage ops = {
    .size = sizeof(struct td_storage),
    .check = check,
    .head = head,
    .get = get,
    .put_open = local_put_open,
    .put_write = local_put_write,
    .put_commit = local_put_commit,
    .put_abort = local_put_abort,
    .list = local_list,
    .remove = remove_object,
    .put_file = local_put_file,
    .flush = local_flush,
    .path = object_path,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_STORAGE,
    .name = "local",
    .summary = "Objects as files in a directory, on a disk of this machine or a mounted one",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct config),
    .create = create,
    .destroy = destroy,
    .ops = &ops,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(local) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "local",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
