#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { MODE = 0666 }; /* less the umask */

static int system_error(const struct output_file *f, struct error *err, const char *what)
{
    int status = errno == EACCES || errno == EPERM || errno == EROFS ? TD_E_DENIED : errno == ENOENT ? TD_E_NOT_FOUND : TD_E_INTERNAL;
    return error_set(err, status, "%s: %s: %s", f->path, what, strerror(errno));
}

/* Where the name leads: the file behind a symbolic link is replaced, not the link. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = mem_strdup(real ? real : path);
    free(real);
    return copy;
}

static int open_unnamed(const char *path)
{
    char *folder = mem_strdup(path);
    if (!folder)
        return -1;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = 0;
    int fd = open(slash ? folder : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, MODE);
    mem_free(folder);
    return fd;
}

static int open_temporary(struct output_file *f, struct error *err)
{
    enum { SUFFIX = 32 };
    size_t n = strlen(f->path) + SUFFIX;
    f->temporary = mem_alloc(n);
    if (!f->temporary)
        return error_nomem(err);
    snprintf(f->temporary, n, "%s.tmp-%ld", f->path, (long)getpid());
    f->fd = open_unnamed(f->path);
    if (f->fd >= 0)
        return TD_OK;
    f->fd = open(f->temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, MODE);
    if (f->fd < 0)
        return system_error(f, err, "cannot be created");
    f->named = true;
    return TD_OK;
}

int output_file_open(struct output_file *f, const char *path, struct error *err)
{
    *f = (struct output_file){.fd = -1};
    bool standard = strcmp(path, "-") == 0;
    f->path = standard ? mem_strdup("standard output") : resolve(path);
    if (!f->path)
        return error_nomem(err);
    struct stat st;
    bool exists = !standard && stat(f->path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return error_set(err, TD_E_CONFIG, "%s: is a folder; name a file in it", f->path);
    f->direct = standard || (exists && !S_ISREG(st.st_mode));
    if (!f->direct)
        return open_temporary(f, err);
    f->fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : open(f->path, O_WRONLY | O_CLOEXEC);
    return f->fd >= 0 ? TD_OK : system_error(f, err, "cannot be opened");
}

int output_file_write(struct output_file *f, struct td_slice bytes, struct error *err)
{
    while (bytes.n) {
        ssize_t n = write(f->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ENOSPC)
            return error_set(err, TD_E_LIMIT, "%s: the disk is full; make room or choose another place", f->path);
        if (n < 0)
            return system_error(f, err, "cannot write");
        bytes = td_sub(bytes, (size_t)n, bytes.n);
    }
    return TD_OK;
}

bool output_file_rewind(struct output_file *f)
{
    return !f->direct && ftruncate(f->fd, 0) == 0 && lseek(f->fd, 0, SEEK_SET) == 0;
}

/* From no name to the temporary one. */
static int give_temporary_name(struct output_file *f, struct error *err)
{
    char self[64];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
    if (!f->named && linkat(AT_FDCWD, self, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW) != 0)
        return system_error(f, err, "cannot be created");
    f->named = true;
    return TD_OK;
}

int output_file_commit(struct output_file *f, struct error *err)
{
    if (!f->direct) {
        int status = give_temporary_name(f, err);
        if (status != TD_OK)
            return status;
        /* Renaming cannot replace half: the name means the old file or the whole new one. */
        if (rename(f->temporary, f->path) != 0)
            return system_error(f, err, "cannot be replaced");
        f->named = false;
    }
    int fd = f->fd;
    f->fd = -1;
    if (close(fd) != 0)
        return system_error(f, err, "cannot write");
    output_file_abort(f);
    return TD_OK;
}

void output_file_abort(struct output_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->named)
        unlink(f->temporary);
    mem_free(f->path);
    mem_free(f->temporary);
    *f = (struct output_file){.fd = -1};
}
