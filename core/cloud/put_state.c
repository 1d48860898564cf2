/* Unfinished puts, one file each: written under another name and flushed before it counts, since what a lost state stands for would stay in
 * the cloud, unseen and paid for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "cloud/cloud_internal.h"
#include "snapshot/sha256.h"

enum { NAME = 32, MAX_FILE = CLOUD_KEY + TD_PUT_STATE_MAX + 256 };

static const char head[] = "tapedeck put 1\n", suffix[] = ".put";

/* Two keys of one name would only cost what the older one has sent. */
static const char *name_of(const char *key, char out[NAME])
{
    snprintf(out, NAME, "%016llx%s", (unsigned long long)hash_bytes(key, strlen(key), 0), suffix);
    return out;
}

/* ---- Writing ---- */

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t one = write(fd, p, n);
        if (one < 0 && errno == EINTR)
            continue;
        if (one < 0)
            return false;
        p += one;
        n -= (size_t)one;
    }
    return true;
}

int put_state_save(int dir_fd, const struct put_state *s, struct error *err)
{
    char name[NAME], fresh[NAME + 4], file[MAX_FILE], sum[SHA256_HEX];
    sha256_format(s->sha256, sum);
    int n = snprintf(file, sizeof(file), "%s%s\n%llu %s\n%s", head, s->key, (unsigned long long)s->bytes, sum, s->text);
    snprintf(fresh, sizeof(fresh), "%s.new", name_of(s->key, name));
    int fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return work_fail(err, "cannot be written", fresh);
    bool good = write_all(fd, file, (size_t)n) && fsync(fd) == 0 && renameat(dir_fd, fresh, dir_fd, name) == 0 && fsync(dir_fd) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return good ? TD_OK : work_fail(err, "cannot be written", fresh);
}

void put_state_remove(int dir_fd, const char *key)
{
    char name[NAME];
    unlinkat(dir_fd, name_of(key, name), 0);
}

/* ---- Reading ---- */

static bool parse(char *file, struct put_state *ret)
{
    char *key = file + sizeof(head) - 1, *numbers, *text, *sum;
    if (strncmp(file, head, sizeof(head) - 1) != 0 || !(numbers = strchr(key, '\n')) || !(text = strchr(numbers + 1, '\n')))
        return false;
    *numbers++ = 0;
    *text++ = 0;
    errno = 0;
    unsigned long long bytes = strtoull(numbers, &sum, 10);
    if (errno || sum == numbers || *sum != ' ' || strlen(sum + 1) != SHA256_HEX - 1 || !sha256_parse(sum + 1, ret->sha256))
        return false;
    ret->bytes = bytes;
    return storage_is_key(key) && snprintf(ret->key, sizeof(ret->key), "%s", key) < (int)sizeof(ret->key) &&
           snprintf(ret->text, sizeof(ret->text), "%s", text) < (int)sizeof(ret->text);
}

static bool load_file(int dir_fd, const char *name, struct put_state *ret)
{
    char file[MAX_FILE + 1];
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, file, MAX_FILE);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    file[n] = 0;
    return parse(file, ret);
}

bool put_state_load(int dir_fd, const char *key, struct put_state *ret)
{
    char name[NAME];
    return load_file(dir_fd, name_of(key, name), ret) && strcmp(ret->key, key) == 0;
}

int put_state_each(int dir_fd, int (*each)(void *ctx, const struct put_state *, struct error *err), void *ctx, struct error *err)
{
    struct put_state s;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int status = work_fail(err, "cannot be listed", "a folder of unfinished uploads");
        if (fd >= 0)
            close(fd);
        return status;
    }
    int status = TD_OK;
    for (const struct dirent *e; status == TD_OK && (e = readdir(dir));) {
        size_t n = strlen(e->d_name), tail = sizeof(suffix) - 1;
        if (n > tail && strcmp(e->d_name + n - tail, suffix) == 0 && load_file(dir_fd, e->d_name, &s))
            status = each(ctx, &s, err);
    }
    closedir(dir);
    return status;
}
