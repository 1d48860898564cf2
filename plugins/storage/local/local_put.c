#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    TRIES = 100,           /* when others remove what was found a moment ago */
    WRITE_BYTES = 8 << 20, /* between two questions whether to stop */
    TEMPORARY_NAME = 32
};

/* Written under a temporary name. The lock on it tells local_clean(), of any process, that somebody still writes it. */
struct upload {
    struct local *local;
    int fd;
    bool later; /* not to be durable yet */
    char temporary[TEMPORARY_NAME];
    char key[TD_KEY_MAX + 1];
};

static int name_temporary(char out[TEMPORARY_NAME])
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return -1;
    snprintf(out, TEMPORARY_NAME, "%016llx", (unsigned long long)number);
    return 0;
}

/* ---- Writing ---- */

static int open_temporary(struct upload *u)
{
    struct stat st;
    int at = local_temporary(u->local);
    for (int i = 0; i < TRIES && at >= 0; i++) {
        if (name_temporary(u->temporary) != 0)
            return -1;
        int fd = openat(at, u->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LOCAL_FILE_MODE);
        if (fd < 0 && errno != EEXIST)
            return -1;
        /* Until it is locked, it may be taken for a leftover and be removed. */
        if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && fstat(fd, &st) == 0 && st.st_nlink)
            return fd;
        local_close(fd);
        errno = EBUSY;
    }
    return -1;
}

static int fail_key(struct local *l, const char *key)
{
    return l->host->fail(l->inst, TD_E_UNSUPPORTED, "\"%.900s\" is no key: a part is empty, too long or begins with a dot", key);
}

int local_put_open(void *self, const char *key, const struct td_put *put, void **ret_upload)
{
    struct local *l = self;
    if (!local_is_key(key))
        return fail_key(l, key);
    struct upload *u = malloc(sizeof(*u));
    if (!u)
        return l->host->fail(l->inst, TD_E_NOMEM, "out of memory");
    u->local = l;
    u->later = put->flags & TD_PUT_LATER;
    memcpy(u->key, key, strlen(key) + 1);
    u->fd = open_temporary(u);
    if (u->fd < 0) {
        free(u);
        return local_fail(l, LOCAL_TEMPORARY, "cannot begin to write");
    }
    *ret_upload = u;
    return TD_OK;
}

int local_put_write(void *upload, struct td_slice bytes)
{
    struct upload *u = upload;
    struct local *l = u->local;
    while (bytes.n) {
        if (l->host->cancelled(l->inst))
            return TD_E_CANCELLED;
        ssize_t n = write(u->fd, bytes.p, bytes.n < WRITE_BYTES ? bytes.n : WRITE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return local_fail(l, u->key, "cannot be written");
        bytes = td_sub(bytes, (size_t)n, bytes.n);
    }
    return TD_OK;
}

/* ---- Placing ---- */

/* Gives the file with a temporary name its own. What had that name is gone, whole, at the same instant. 0, or -1 with errno. */
static int rename_to_key(struct local *l, const char *temporary, const char *key, bool later)
{
    const char *base;
    int at = local_temporary(l);
    for (int i = 0; i < TRIES; i++) {
        int folder = local_open_parent(l, key, true, &base);
        if (folder < 0 && errno == ENOENT)
            continue; /* removed again, since it was empty */
        if (folder < 0)
            return -1;
        int result = renameat(at, temporary, folder, base);
        if (result != 0 && errno == EISDIR && unlinkat(folder, base, AT_REMOVEDIR) == 0)
            result = renameat(at, temporary, folder, base); /* it was empty: no object stands in the way */
        if (result == 0 && !later && local_sync(l, folder) != 0) {
            int number = errno;
            unlinkat(folder, base, 0);
            errno = number;
            result = -1;
        } else if (result != 0 && errno == ENOENT) {
            local_close(folder);
            continue;
        }
        local_close(folder);
        return result;
    }
    errno = ESTALE;
    return -1;
}

static void remove_temporary(struct local *l, const char *temporary)
{
    int number = errno;
    unlinkat(local_temporary(l), temporary, 0);
    errno = number;
}

static int place(struct local *l, const char *temporary, const char *key, bool later)
{
    if (rename_to_key(l, temporary, key, later) == 0)
        return TD_OK;
    remove_temporary(l, temporary);
    int status = local_fail(l, key, "cannot be put in its place");
    (void)local_prune(l, key); /* folders that were made for it */
    return status;
}

int local_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    struct upload *u = upload;
    struct local *l = u->local;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    struct stat st;
    (void)sha256;
    /* To the nanosecond, where the file system's own clock has ticks: it tells objects of one key apart. */
    clock_gettime(CLOCK_REALTIME, &times[1]);
    if (futimens(u->fd, times) != 0 || (!u->later && local_sync(l, u->fd) != 0) || fstat(u->fd, &st) != 0) {
        int status = local_fail(l, u->key, "cannot be written");
        local_put_abort(u);
        return status;
    }
    int status = place(l, u->temporary, u->key, u->later);
    if (status == TD_OK)
        local_object(&st, ret);
    close(u->fd);
    free(u);
    return status;
}

void local_put_abort(void *upload)
{
    struct upload *u = upload;
    remove_temporary(u->local, u->temporary);
    close(u->fd);
    free(u);
}

/* ---- Taking over a file ---- */

/* Why a link cannot be, though a copy may. */
static bool means_copy(int number)
{
    return number == EXDEV || number == EPERM || number == EMLINK || number == EOPNOTSUPP || number == ENOENT || number == EWOULDBLOCK ||
           number == ENOLCK;
}

/* Another name, among the temporary ones, for an open file. */
static int link_temporary(struct local *l, int fd, char temporary[TEMPORARY_NAME])
{
    char self[64];
    int at = local_temporary(l);
    if (at < 0 || name_temporary(temporary) != 0)
        return -1;
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, at, temporary, AT_SYMLINK_FOLLOW);
}

int local_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *put, bool *ret_linked)
{
    struct local *l = self;
    bool later = put->flags & TD_PUT_LATER;
    struct stat st;
    char temporary[TEMPORARY_NAME];
    if (!local_is_key(key))
        return fail_key(l, key);
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        local_close(fd);
        return TD_E_UNSUPPORTED; /* whoever copies it says what is wrong */
    }
    int status;
    /* The lock keeps local_clean() off the temporary name. */
    if ((!later && local_sync(l, fd) != 0) || flock(fd, LOCK_SH | LOCK_NB) != 0 || link_temporary(l, fd, temporary) != 0) {
        status = means_copy(errno) ? TD_E_UNSUPPORTED : local_fail(l, key, "cannot be linked");
    } else {
        status = place(l, temporary, key, later);
        /* Renaming does nothing if the object is this very file already. */
        if (status == TD_OK)
            remove_temporary(l, temporary);
        *ret_linked = status == TD_OK;
    }
    close(fd);
    return status;
}

/* One flush of the file system takes about as long as one of a single object, but for what others have written. */
int local_flush(void *self, const char *prefix)
{
    struct local *l = self;
    int root = local_root(l, true);
    (void)prefix;
    if (root < 0 || (l->sync && syncfs(root) != 0))
        return local_fail(l, NULL, "cannot be flushed");
    return TD_OK;
}

/* ---- Cleaning up ---- */

/* Removes a file that nobody writes. */
static bool remove_leftover(int at, const char *name, uint64_t *ret_bytes)
{
    struct stat st;
    int fd = openat(at, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); /* some file systems lock only what may be written */
    if (fd < 0)
        fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool removed = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(at, name, 0) == 0;
    *ret_bytes += removed && st.st_nlink == 1 ? (uint64_t)st.st_size : 0;
    close(fd);
    return removed;
}

int local_clean(struct local *l)
{
    int at = local_temporary(l), fd = at < 0 ? -1 : openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        local_close(fd);
        return local_fail(l, LOCAL_TEMPORARY, "cannot be listed");
    }
    uint64_t bytes = 0;
    unsigned removed = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) && !l->host->cancelled(l->inst);)
        removed += entry->d_name[0] != '.' && remove_leftover(at, entry->d_name, &bytes);
    closedir(dir);
    if (removed)
        l->host->log(l->inst, TD_LOG_INFO, "%s: removed %u unfinished objects of %llu bytes, left by a process that was stopped", l->path,
                     removed, (unsigned long long)bytes);
    return l->host->cancelled(l->inst) ? TD_E_CANCELLED : TD_OK;
}
