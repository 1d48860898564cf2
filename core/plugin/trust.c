#include "trust.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int check_owner(const char *path, const struct stat *st, struct error *err)
{
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return TD_OK;
    return error_set(err, TD_E_DENIED, "%s is owned by user %u; only root or user %u may own plugins and the directories above them", path,
                     (unsigned)st->st_uid, (unsigned)geteuid());
}

static int check_mode(const char *path, const struct stat *st, struct error *err)
{
    mode_t open = st->st_mode & (S_IWGRP | S_IWOTH);
    if (!open || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)))
        return TD_OK;
    return error_set(err, TD_E_DENIED, "%s can be written by %s (mode %04o); mend it with: chmod go-w %s", path,
                     open & S_IWOTH ? "everybody" : "its group", (unsigned)(st->st_mode & 07777), path);
}

static int check_one(const char *path, struct stat *st, struct error *err)
{
    if (lstat(path, st) != 0)
        return error_set(err, TD_E_NOT_FOUND, "%s: %s", path, strerror(errno));
    int status = check_owner(path, st, err);
    return status == TD_OK ? check_mode(path, st, err) : status;
}

/* The directories above `real`, which has no links in it, from the root down. */
static int check_above(const char *real, struct error *err)
{
    char above[PATH_MAX];
    struct stat st;
    int status = check_one("/", &st, err);
    for (const char *slash = strchr(real + 1, '/'); slash && status == TD_OK; slash = strchr(slash + 1, '/')) {
        size_t n = (size_t)(slash - real);
        memcpy(above, real, n);
        above[n] = 0;
        status = check_one(above, &st, err);
    }
    return status;
}

int trust_check(const char *path, char ret_real[PATH_MAX], struct stat *ret_stat, struct error *err)
{
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real))
        return error_set(err, TD_E_NOT_FOUND, "%s", strerror(errno));
    int status = check_above(real, err);
    if (status == TD_OK)
        status = check_one(real, &st, err);
    if (status == TD_OK && !S_ISREG(st.st_mode))
        status = error_set(err, TD_E_DENIED, "%s is not a regular file", real);
    if (status != TD_OK)
        return status;
    memcpy(ret_real, real, sizeof(real));
    *ret_stat = st;
    return TD_OK;
}
