#include "net/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_error(const char *path, const char *what, struct error *err)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return error_set(err, TD_E_NOT_FOUND, "%s: %s is not there", path, what);
    if (errno == EACCES || errno == EPERM)
        return error_set(err, TD_E_DENIED, "%s: this process may not read %s; give it to its user, or its group with mode 0640", path,
                         what);
    return error_set(err, TD_E_INTERNAL, "%s: cannot read %s: %s", path, what, strerror(errno));
}

static int check(const char *path, const char *what, bool secret, const struct stat *st, struct error *err)
{
    if (!S_ISREG(st->st_mode))
        return error_set(err, TD_E_CONFIG, "%s: %s has to be a plain file", path, what);
    if (secret && (st->st_mode & (S_IRWXO | S_IWGRP)))
        return error_set(err, TD_E_DENIED,
                         "%s: others have access to %s (mode %04o); take it from them: chmod 600 (in Kubernetes: defaultMode: 0440)", path,
                         what, (unsigned)st->st_mode & 07777);
    return TD_OK;
}

int small_file_read(const char *path, const char *what, bool secret, struct buf *ret, struct error *err)
{
    struct stat st;
    int status = TD_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a fifo must not stop us */
    if (fd < 0)
        return system_error(path, what, err);
    if (fstat(fd, &st) != 0)
        status = system_error(path, what, err);
    else
        status = check(path, what, secret, &st, err);
    while (status == TD_OK) {
        uint8_t part[4096];
        ssize_t n = read(fd, part, sizeof(part));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = system_error(path, what, err);
        else
            buf_put(ret, part, (size_t)n);
        explicit_bzero(part, sizeof(part));
        if (n <= 0 || ret->failed)
            break;
    }
    close(fd);
    if (status != TD_OK)
        return status;
    buf_cstr(ret);
    if (ret->failed && ret->n + 4096 > ret->max)
        return error_set(err, TD_E_CONFIG, "%s: %s is longer than %zu bytes", path, what, ret->max);
    return ret->failed ? error_nomem(err) : TD_OK;
}
