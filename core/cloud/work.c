/* Folders of transfers on disk. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/cloud_internal.h"

enum { DEPTH = 8 };

int work_fail(struct error *err, const char *what, const char *name)
{
    int status = errno == ENOSPC || errno == EDQUOT ? TD_E_LIMIT : errno == EIO ? TD_E_CORRUPT : TD_E_DENIED;
    return error_set(err, status, "%.600s %s: %s%s", name, what, strerror(errno),
                     status == TD_E_LIMIT ? "; make room on the disk of local snapshots" : "");
}

int work_check_id(const char *id, struct error *err)
{
    return manifest_is_id(id) ? TD_OK : error_set(err, TD_E_CONFIG, "\"%.64s\" is no snapshot's id", id);
}

static int make_path(const struct cloud *c, const char *id, const char *what, char out[CLOUD_PATH], struct error *err)
{
    int status = work_check_id(id, err);
    if (status == TD_OK && snprintf(out, CLOUD_PATH, "%s/%s.%s", c->work_dir, id, what) >= CLOUD_PATH)
        status = error_set(err, TD_E_CONFIG, "%.400s: the path is too long", c->work_dir);
    return status;
}

int work_open(const struct cloud *c, const char *id, const char *what, bool create, int *ret_fd, struct error *err)
{
    char path[CLOUD_PATH];
    int status = make_path(c, id, what, path, err);
    if (status != TD_OK)
        return status;
    if (create && mkdir(path, 0750) != 0 && errno != EEXIST)
        return work_fail(err, "cannot be made", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, TD_E_NOT_FOUND, "%.600s is not there", path);
    if (fd < 0)
        return work_fail(err, "cannot be opened", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return error_set(err, TD_E_RETRY, "snapshot %s is being moved already: %.600s is in use", id, path);
    }
    *ret_fd = fd;
    return TD_OK;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int work_remove(const struct cloud *c, const char *id, const char *what, struct error *err)
{
    char path[CLOUD_PATH];
    int status = make_path(c, id, what, path, err);
    if (status == TD_OK && nftw(path, remove_entry, DEPTH, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        status = work_fail(err, "cannot be removed", path);
    return status;
}
