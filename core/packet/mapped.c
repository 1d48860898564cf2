#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "packet/mapguard.h"

/* Outlives the input while windows do. */
struct mapped_state {
    atomic_uint refs;
    atomic_bool fault; /* a page behind the file's end was touched */
};

struct window {
    struct block block; /* first: released through it */
    struct mapguard *guard;
    struct mapped_state *state;
    void *start;
    size_t len;
};

struct mapped {
    int fd;
    size_t window_size; /* of the next window */
    size_t page_size;
    struct mapped_state *state;
};

static void unref_state(struct mapped_state *state)
{
    if (atomic_fetch_sub(&state->refs, 1) == 1)
        mem_free(state);
}

static void release_window(struct block *block)
{
    struct window *w = (struct window *)block;
    mapguard_remove(w->guard);
    munmap(w->start, w->len);
    unref_state(w->state);
    mem_free(w);
}

/* NULL with errno set. */
static struct window *map_window(struct mapped *m, uint64_t begin, size_t len)
{
    struct window *w = mem_calloc(1, sizeof(*w));
    if (!w) {
        errno = ENOMEM;
        return NULL;
    }
    /* Plain faults, which the kernel serves 64 KiB at a time, measured a third faster here than MAP_POPULATE. */
    w->start = mmap(NULL, len, PROT_READ, MAP_PRIVATE, m->fd, (off_t)begin);
    if (w->start == MAP_FAILED)
        goto fail_window;
    madvise(w->start, len, MADV_SEQUENTIAL);
    w->guard = mapguard_add(w->start, len, &m->state->fault);
    if (!w->guard) {
        errno = ENOMEM;
        goto fail_map;
    }
    w->len = len;
    w->state = m->state;
    atomic_fetch_add(&m->state->refs, 1);
    atomic_init(&w->block.refs, 1);
    w->block.release = release_window;
    return w;

fail_map:
    munmap(w->start, len);
fail_window:
    mem_free(w);
    return NULL;
}

static void mapped_fail(struct input *in, int status, const char *what)
{
    error_set(&in->error, status, "offset %llu: %s", (unsigned long long)input_offset(in), what);
    in->ended = true;
}

static void mapped_more(struct input *in, size_t n)
{
    struct mapped *m = in->source;
    struct stat st;
    uint64_t offset = input_offset(in);
    if (fstat(m->fd, &st) != 0) {
        mapped_fail(in, TD_E_INTERNAL, strerror(errno));
        return;
    }
    /* A file that is still being written may have grown: what came is read as well. */
    uint64_t size = (uint64_t)st.st_size;
    if (size < in->end_offset) {
        mapped_fail(in, TD_E_CORRUPT, "the file was made shorter while it was read");
        return;
    }
    in->size = size;
    if (size == in->end_offset) {
        in->ended = true;
        return;
    }

    uint64_t begin = offset & ~(uint64_t)(m->page_size - 1);
    size_t before = (size_t)(offset - begin);
    uint64_t len = before + n > m->window_size ? before + n : m->window_size;
    if (len > size - begin)
        len = size - begin;
    struct window *w = map_window(m, begin, (size_t)len);
    if (!w) {
        mapped_fail(in, errno == ENOMEM ? TD_E_NOMEM : TD_E_INTERNAL, strerror(errno));
        return;
    }
    block_unref(in->block);
    in->block = &w->block;
    in->p = (const uint8_t *)w->start + before;
    in->end = (const uint8_t *)w->start + len;
    in->end_offset = begin + len;
    if (m->window_size < MAPPED_MAX_WINDOW)
        m->window_size *= 2;
}

static uint64_t mapped_position(const struct input *in)
{
    return input_offset(in);
}

static uint64_t mapped_shrunk_to(struct input *in)
{
    struct mapped *m = in->source;
    struct stat st;
    if (fstat(m->fd, &st) != 0)
        return UINT64_MAX;
    uint64_t size = (uint64_t)st.st_size;
    /* The file may have grown again since the fault, but what was read is not what stood there. */
    if (size < in->end_offset || atomic_load(&m->state->fault))
        return size;
    return UINT64_MAX;
}

static void mapped_close(struct input *in)
{
    struct mapped *m = in->source;
    close(m->fd);
    unref_state(m->state);
    mem_free(m);
}

static const struct input_ops mapped_ops = {mapped_more, mapped_position, mapped_shrunk_to, mapped_close};

int mapped_open(struct input *in, int fd, uint64_t start, struct error *err)
{
    struct mapped *m = mem_calloc(1, sizeof(*m));
    struct mapped_state *state = mem_calloc(1, sizeof(*state));
    if (!m || !state) {
        mem_free(m);
        mem_free(state);
        return error_nomem(err);
    }
    /* Advice only: a file system that does not know it loses nothing. */
    (void)posix_fadvise(fd, (off_t)start, 0, POSIX_FADV_SEQUENTIAL);
    atomic_init(&state->refs, 1);
    m->fd = fd;
    m->window_size = MAPPED_MIN_WINDOW;
    m->page_size = (size_t)sysconf(_SC_PAGESIZE);
    m->state = state;
    in->source = m;
    in->ops = &mapped_ops;
    in->end_offset = start;
    in->fault = &state->fault;
    return TD_OK;
}
