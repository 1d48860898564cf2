#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "packet/stream.h"

enum { PIPE_BYTES = 1 << 20 };

/* Bytes in memory: one block from beginning to end. */

static void release_memory(struct block *block)
{
    mem_free(block);
}

static void memory_more(struct input *in, size_t n)
{
    (void)n;
    in->ended = true;
}

static uint64_t memory_position(const struct input *in)
{
    return input_offset(in);
}

static void memory_close(struct input *in)
{
    (void)in;
}

static const struct input_ops memory_ops = {memory_more, memory_position, memory_close};

static int memory_open(struct input *in, struct td_slice data, struct error *err)
{
    struct block *block = mem_calloc(1, sizeof(*block));
    if (!block)
        return error_nomem(err);
    atomic_init(&block->refs, 1);
    block->release = release_memory;
    in->block = block;
    in->p = data.p;
    in->end = data.n ? data.p + data.n : data.p;
    in->end_offset = data.n;
    in->ops = &memory_ops;
    return TD_OK;
}

static const char *packing_name(enum decompress_kind kind)
{
    return kind == DECOMPRESS_GZIP ? "gzip" : kind == DECOMPRESS_ZSTD ? "zstd" : NULL;
}

int input_open_memory(struct input *in, struct td_slice data, struct error *err)
{
    *in = (struct input){.size = data.n};
    enum decompress_kind kind = decompress_detect(data);
    in->packing = packing_name(kind);
    if (kind == DECOMPRESS_NONE)
        return memory_open(in, data, err);
    struct raw raw;
    raw_open_memory(&raw, data);
    return stream_open(in, &raw, kind, err);
}

int input_open_path(const char *path, int flags, int *ret_fd, struct error *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd >= 0) {
        *ret_fd = fd;
        return TD_OK;
    }
    int status = TD_E_INTERNAL;
    if (errno == ENOENT)
        status = TD_E_NOT_FOUND;
    else if (errno == EACCES)
        status = TD_E_DENIED;
    return error_set(err, status, "cannot open: %s", strerror(errno));
}

/* Whatever it is packed in. */
static int open_raw(struct input *in, struct raw *raw, struct error *err)
{
    struct td_slice head;
    int status = raw_peek(raw, &head, err);
    if (status != TD_OK)
        return status;
    enum decompress_kind kind = decompress_detect(head);
    in->packing = packing_name(kind);
    return stream_open(in, raw, kind, err);
}

int input_open_fd(struct input *in, int fd, int cancel_fd, struct error *err)
{
    *in = (struct input){0};
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot read: %s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return error_set(err, TD_E_UNSUPPORTED, "is a folder; name the capture files in it");
    /* Standard input may be a regular file that somebody has read the beginning of. Files of /proc say size 0. */
    off_t start = S_ISREG(st.st_mode) && st.st_size > 0 ? lseek(fd, 0, SEEK_CUR) : -1;
    in->size = start >= 0 && st.st_size > start ? (uint64_t)(st.st_size - start) : 0;
    in->live = !S_ISREG(st.st_mode);
    if (S_ISFIFO(st.st_mode))
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* fewer, larger reads; a refusal costs nothing */
    if (start >= 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* read further ahead */
    struct raw raw;
    raw_open_fd(&raw, fd, cancel_fd);
    return open_raw(in, &raw, err);
}

int input_open_reader(struct input *in, raw_read_fn *read, void *ctx, uint64_t size, struct error *err)
{
    struct raw raw;
    *in = (struct input){.size = size, .size_is_a_hint = true};
    raw_open_reader(&raw, read, ctx);
    return open_raw(in, &raw, err);
}

int input_open(struct input *in, const char *path, struct error *err)
{
    *in = (struct input){0};
    int fd = -1;
    int status = input_open_path(path, 0, &fd, err);
    if (status != TD_OK)
        return status;
    status = input_open_fd(in, fd, -1, err);
    if (status != TD_OK)
        close(fd);
    return status;
}

void input_close(struct input *in)
{
    block_unref(in->block);
    if (in->ops)
        in->ops->close(in);
    *in = (struct input){0};
}
