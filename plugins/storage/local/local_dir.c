#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* ---- Errors ---- */

struct fault {
    int number, status;
    const char *text; /* what it means and what to do; NULL: the system's words */
};

static const struct fault faults[] = {
    {ENOENT, TD_E_NOT_FOUND, "there is no such object"},
    {ENOTDIR, TD_E_EXISTS, "a part of its path is a file or a link, not a folder"},
    {EISDIR, TD_E_EXISTS, "there are objects below it, so it is a folder"},
    {ENOTEMPTY, TD_E_EXISTS, "there are objects below it, so it is a folder"},
    {ELOOP, TD_E_DENIED, "a part of its path is a symbolic link, which is not followed"},
    {ENOSPC, TD_E_LIMIT, "the disk is full; make room or choose another place"},
    {EDQUOT, TD_E_LIMIT, "the user's disk quota is used up; make room or raise it"},
    {EFBIG, TD_E_LIMIT, "larger than the file system or this process's limit on files allows"},
    {EMLINK, TD_E_LIMIT, "the file system allows no more links"},
    {EACCES, TD_E_DENIED, "not allowed; give this process's user the right to read and write there"},
    {EPERM, TD_E_DENIED, "not permitted; look at the owner and the attributes of the folder"},
    {EROFS, TD_E_DENIED, "the file system is mounted read-only"},
    {EMFILE, TD_E_RETRY, "too many open files; raise this process's limit"},
    {ENFILE, TD_E_RETRY, "too many open files in the system"},
    {EAGAIN, TD_E_RETRY, NULL},
    {EINTR, TD_E_RETRY, NULL},
    {EBUSY, TD_E_RETRY, NULL},
    {ESTALE, TD_E_RETRY, "its folder went away while it was used"},
    {ETIMEDOUT, TD_E_RETRY, NULL},
    {ENAMETOOLONG, TD_E_UNSUPPORTED, "the name is too long for the file system"},
    {EINVAL, TD_E_UNSUPPORTED, "not a name that the file system can keep"},
    {EILSEQ, TD_E_UNSUPPORTED, "not a name that the file system can keep"},
    {EIO, TD_E_CORRUPT, "the disk fails; look at the system's log"},
    {EUCLEAN, TD_E_CORRUPT, "the file system is damaged; look at the system's log"},
    {EBADMSG, TD_E_CORRUPT, "the file system is damaged; look at the system's log"},
    {ENOMEM, TD_E_NOMEM, NULL},
};

int local_fail(struct local *l, const char *key, const char *what)
{
    int number = errno, status = TD_E_INTERNAL;
    const char *text = NULL;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        if (faults[i].number == number) {
            status = faults[i].status;
            text = faults[i].text;
        }
    if (!key && number == ENOENT)
        text = "there is no such folder";
    /* Keys and paths are long: what went wrong must not be cut off. */
    return l->host->fail(l->inst, status, "%.400s%s%.400s: %s: %s", l->path, key ? "/" : "", key ? key : "", what,
                         text ? text : strerror(number));
}

/* ---- Folders ---- */

void local_close(int fd)
{
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
}

int local_sync(const struct local *l, int fd)
{
    int result = l->sync ? fsync(fd) : 0;
    return result != 0 && errno == EINVAL ? 0 : result; /* a file system that cannot flush folders */
}

/* Makes a folder if it is missing. 0, or -1 with errno. */
static int make_folder(const struct local *l, const char *path)
{
    if (mkdir(path, LOCAL_FOLDER_MODE) != 0) {
        int number = errno; /* of a folder that is there, it may be any */
        int result = access(path, F_OK);
        errno = number;
        return result;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int above = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = above < 0 ? -1 : local_sync(l, above);
    local_close(above);
    local_close(fd);
    return result;
}

/* Makes all missing folders of the path that the configuration names; symbolic links in it are the administrator's. */
static int make_path(const struct local *l)
{
    char path[LOCAL_MAX_PATH]; /* create() made sure that it fits */
    for (size_t n = 1; l->path[n - 1]; n++) {
        n += strcspn(l->path + n, "/");
        memcpy(path, l->path, n);
        path[n] = 0;
        if (make_folder(l, path) != 0)
            return -1;
    }
    return 0;
}

static int root_locked(struct local *l, bool create)
{
    if (l->root_fd >= 0)
        return l->root_fd;
    const char *path = *l->path ? l->path : "/";
    l->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->root_fd < 0 && errno == ENOENT && create && make_path(l) == 0)
        l->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return l->root_fd;
}

int local_root(struct local *l, bool create)
{
    pthread_mutex_lock(&l->lock);
    int fd = root_locked(l, create);
    pthread_mutex_unlock(&l->lock);
    return fd;
}

/* Opens a folder in a folder; with `create` it is made if it is missing. */
static int open_part(const struct local *l, int at, const char *part, bool create)
{
    int fd = openat(at, part, OPEN_FOLDER);
    if (fd >= 0 || errno != ENOENT || !create)
        return fd;
    if (mkdirat(at, part, LOCAL_FOLDER_MODE) != 0 && errno != EEXIST)
        return -1;
    return local_sync(l, at) == 0 ? openat(at, part, OPEN_FOLDER) : -1;
}

int local_temporary(struct local *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->temporary_fd < 0) {
        int root = root_locked(l, true);
        l->temporary_fd = root < 0 ? -1 : open_part(l, root, LOCAL_TEMPORARY, true);
    }
    int fd = l->temporary_fd;
    pthread_mutex_unlock(&l->lock);
    return fd;
}

/* A part of a path as a string, if a key can have it. */
static bool take_part(const char *path, size_t n, char part[TD_KEY_PART_MAX + 1])
{
    errno = n > TD_KEY_PART_MAX ? ENAMETOOLONG : ENOENT;
    if (!n || n > TD_KEY_PART_MAX || path[0] == '.')
        return false;
    memcpy(part, path, n);
    part[n] = 0;
    return true;
}

bool local_is_key(const char *key)
{
    char part[TD_KEY_PART_MAX + 1];
    size_t n = strlen(key), i = 0;
    for (bool good = n <= TD_KEY_MAX; good; i++) {
        size_t length = strcspn(key + i, "/");
        good = take_part(key + i, length, part);
        i += length;
        if (good && !key[i])
            return true;
    }
    return false;
}

static int walk(struct local *l, const char *path, size_t n, bool create)
{
    char part[TD_KEY_PART_MAX + 1];
    int at = root_locked(l, create);
    if (at >= 0)
        at = fcntl(at, F_DUPFD_CLOEXEC, 0);
    for (size_t i = 0; i < n && at >= 0;) {
        const char *slash = memchr(path + i, '/', n - i);
        size_t length = slash ? (size_t)(slash - path) - i : n - i;
        int next = take_part(path + i, length, part) ? open_part(l, at, part, create) : -1;
        local_close(at);
        at = next;
        i += length + 1;
    }
    return at;
}

int local_open_folder(struct local *l, const char *path, size_t n, bool create)
{
    if (!create && local_root(l, false) < 0)
        return -1;
    if (create)
        pthread_mutex_lock(&l->lock);
    int fd = walk(l, path, n, create);
    int number = errno;
    if (create)
        pthread_mutex_unlock(&l->lock);
    errno = number;
    return fd;
}

/* Length of the path of the folder that a path lies in. */
static size_t parent_length(const char *path, size_t n)
{
    const char *slash = memrchr(path, '/', n);
    return slash ? (size_t)(slash - path) : 0;
}

int local_open_parent(struct local *l, const char *key, bool create, const char **ret_base)
{
    size_t length = strlen(key), n = parent_length(key, length);
    *ret_base = key + n + (key[n] == '/');
    if (**ret_base && **ret_base != '.')
        return local_open_folder(l, key, n, create);
    errno = ENOENT;
    return -1;
}

/* ---- What was removed ---- */

/* Removes the folders that are empty, from the one whose path is the first `n` bytes of `path` on upwards; returns the length of the path
 * of the first that stays. */
static size_t remove_empty(struct local *l, char *path, size_t n)
{
    const char *base;
    bool removed = true;
    while (n && removed) {
        path[n] = 0;
        int fd = local_open_parent(l, path, false, &base);
        removed = fd >= 0 ? unlinkat(fd, base, AT_REMOVEDIR) == 0 || errno == ENOENT : errno == ENOENT;
        local_close(fd);
        if (removed)
            n = parent_length(path, n);
    }
    return n;
}

/* Flushes a folder, or, where it was removed meanwhile, the next above it. 0, or -1 with errno. */
static int sync_folder(struct local *l, const char *path, size_t n)
{
    int fd = local_open_folder(l, path, n, false);
    while (fd < 0 && errno == ENOENT && n) {
        n = parent_length(path, n);
        fd = local_open_folder(l, path, n, false);
    }
    int result = fd < 0 ? -1 : local_sync(l, fd);
    local_close(fd);
    return result;
}

static int sync_listed(struct local *l, struct local_listing *v)
{
    int result = v->pending ? sync_folder(l, v->folder, v->n) : 0;
    v->pending = false;
    return result;
}

void local_listing_begin(struct local *l, struct local_listing *v)
{
    v->thread = pthread_self();
    v->pending = false;
    pthread_mutex_lock(&l->lock);
    v->next = l->listings;
    l->listings = v;
    pthread_mutex_unlock(&l->lock);
}

int local_listing_end(struct local *l, struct local_listing *v)
{
    pthread_mutex_lock(&l->lock);
    struct local_listing **at = &l->listings;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    pthread_mutex_unlock(&l->lock);
    return sync_listed(l, v);
}

/* This thread's innermost list() that runs; NULL: none. Nobody else touches it. */
static struct local_listing *own_listing(struct local *l)
{
    pthread_mutex_lock(&l->lock);
    struct local_listing *v = l->listings;
    while (v && !pthread_equal(v->thread, pthread_self()))
        v = v->next;
    pthread_mutex_unlock(&l->lock);
    return v;
}

int local_prune(struct local *l, const char *key)
{
    char path[TD_KEY_MAX + 1];
    size_t n = parent_length(key, strlen(key));
    memcpy(path, key, n);
    n = remove_empty(l, path, n);
    if (!l->sync)
        return 0;
    struct local_listing *v = own_listing(l);
    if (!v)
        return sync_folder(l, path, n);
    int result = v->n == n && memcmp(v->folder, path, n) == 0 ? 0 : sync_listed(l, v);
    memcpy(v->folder, path, n);
    v->n = n;
    v->pending = true;
    return result;
}

/* ---- Objects ---- */

void local_object(const struct stat *st, struct td_object *ret)
{
    struct td_object object = {.bytes = (uint64_t)st->st_size, .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec};
    /* A replaced object is another file, written at another time. */
    snprintf(object.etag, sizeof(object.etag), "%llx-%llx-%llx", (unsigned long long)st->st_ino, (unsigned long long)object.mtime_ns,
             (unsigned long long)object.bytes);
    uint32_t size = ret->size;
    object.size = size;
    memcpy(ret, &object, size < sizeof(object) ? size : sizeof(object));
}
