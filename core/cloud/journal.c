/* Which ranges of a download are on disk: a file of lines, of which the first one names the boot.
 *
 *     tapedeck download 1 <bytes of a range> <boot>
 *     12 node-1/0000000042.pcapng      range 12 of this object is written
 *     = node-1/0000000042.pcapng       all of it is, and its sum is right
 *     ! node-1/0000000042.pcapng       it begins anew
 *
 * Nothing is flushed. What a killed process has written is there for the next one, lines as well as bytes, in the order in which it was
 * written. After a loss of power lines may be there without their bytes: as the boot is another one then, sums that were right are
 * computed again, and they tell. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cloud/cloud_internal.h"

enum { BOOT = 64, MAX_BYTES = 256 << 20, LINE = CLOUD_KEY + 32 };

/* No folder of a node beside it begins with a dot. */
static const char file_name[] = ".ranges", fresh_name[] = ".ranges.new";

struct journal {
    int fd;
};

/* ---- Reading what is there ---- */

/* Empty: it cannot be known, and is never the same. */
static void read_boot(char out[BOOT])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, BOOT - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, " \n")] = 0;
}

static bool read_file(int dir_fd, struct buf *ret)
{
    struct stat st;
    int fd = openat(dir_fd, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < MAX_BYTES && buf_reserve(ret, (size_t)st.st_size + 1);
    for (ssize_t n = 1; good && n && buf_reserve(ret, 64 << 10);) {
        n = read(fd, ret->p + ret->n, ret->cap - ret->n - 1);
        good = n >= 0 && ret->n + (size_t)n < MAX_BYTES;
        ret->n += good ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return good && !ret->failed;
}

/* What a line tells, as the last one of its object and range: earlier ones may be taken back. */
struct reading {
    journal_note_fn *note;
    void *ctx;
    bool same_boot;
    struct buf *kept; /* the lines that hold */
};

/* A line that is none is passed over: what it told is fetched again. */
static void read_line(struct reading *r, char *line)
{
    char *key = strchr(line, ' '), *end;
    if (!key || !storage_is_key(key + 1))
        return;
    *key++ = 0;
    errno = 0;
    uint64_t range = *line == '=' ? UINT64_MAX : strtoull(line, &end, 10);
    bool good = *line == '=' ? line[1] == 0 && r->same_boot : !errno && end != line && !*end && *line != '-' && range != UINT64_MAX;
    if (!good || !r->note(r->ctx, key, range))
        return;
    if (range == UINT64_MAX)
        buf_printf(r->kept, "= %s\n", key);
    else
        buf_printf(r->kept, "%llu %s\n", (unsigned long long)range, key);
}

/* Blanks all lines of an object that stand before the one that begins it anew. */
static void take_back(char *from, char *until)
{
    const char *key = until + 2;
    size_t n = strcspn(key, "\n");
    for (char *line = from, *next; line < until; line = next) {
        size_t length = strcspn(line, "\n"), word = strcspn(line, " \n");
        next = line + length + 1;
        if (length == word + 1 + n && memcmp(line + word + 1, key, n) == 0)
            *line = '#';
    }
}

static void read_lines(struct reading *r, char *text)
{
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
        if (strncmp(line, "! ", 2) == 0)
            take_back(text, line);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) { /* without an end: torn by a kill */
        *end = 0;
        read_line(r, line);
    }
}

static void make_head(uint64_t range_bytes, const char *boot, char out[LINE])
{
    snprintf(out, LINE, "tapedeck download 1 %llu %s\n", (unsigned long long)range_bytes, boot);
}

static void read_old(int dir_fd, uint64_t range_bytes, struct reading *r, const char *boot)
{
    struct buf file = {0};
    char head[LINE], same[LINE];
    make_head(range_bytes, "", head);
    make_head(range_bytes, boot, same);
    if (read_file(dir_fd, &file)) {
        char *text = (char *)file.p;
        text[file.n] = 0;
        if (strncmp(text, head, strlen(head) - 1) == 0) {
            r->same_boot = *boot && strncmp(text, same, strlen(same)) == 0;
            read_lines(r, text + strcspn(text, "\n") + (strchr(text, '\n') ? 1 : 0));
        }
    }
    buf_clear(&file);
}

/* ---- Writing ---- */

static int write_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n) {
        ssize_t one = write(fd, at, n);
        if (one < 0 && errno == EINTR)
            continue;
        if (one < 0)
            return -1;
        at += one;
        n -= (size_t)one;
    }
    return 0;
}

int journal_open(int dir_fd, uint64_t range_bytes, journal_note_fn *note, void *ctx, struct journal **ret, struct error *err)
{
    char boot[BOOT], head[LINE];
    struct buf kept = {0};
    struct reading r = {.note = note, .ctx = ctx, .kept = &kept};
    read_boot(boot);
    make_head(range_bytes, boot, head);
    buf_puts(&kept, head);
    read_old(dir_fd, range_bytes, &r, boot);
    struct journal *j = kept.failed ? NULL : mem_calloc(1, sizeof(*j));
    int status = j ? TD_OK : error_nomem(err);
    if (j) {
        j->fd = openat(dir_fd, fresh_name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
        if (j->fd < 0 || write_all(j->fd, kept.p, kept.n) != 0 || renameat(dir_fd, fresh_name, dir_fd, file_name) != 0)
            status = work_fail(err, "cannot be written", file_name);
    }
    buf_clear(&kept);
    if (status == TD_OK)
        *ret = j;
    else
        journal_close(j);
    return status;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    mem_free(j);
}

/* One write() each, at the end of the file, so that lines of several threads do not mix. */
static int put_line(struct journal *j, const char *line, int n, struct error *err)
{
    return write_all(j->fd, line, (size_t)n) == 0 ? TD_OK : work_fail(err, "cannot be written", file_name);
}

int journal_note(struct journal *j, const char *key, uint64_t range, struct error *err)
{
    char line[LINE];
    int n = range == UINT64_MAX ? snprintf(line, sizeof(line), "= %s\n", key)
                                : snprintf(line, sizeof(line), "%llu %s\n", (unsigned long long)range, key);
    return put_line(j, line, n, err);
}

int journal_forget(struct journal *j, const char *key, struct error *err)
{
    char line[LINE];
    return put_line(j, line, snprintf(line, sizeof(line), "! %s\n", key), err);
}
