#include "block_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

enum { DISK_UNIT = 4096 /* what offsets and lengths of direct writes are multiples of */ };

struct block {
    struct block *next;
    uint8_t *bytes; /* BLOCK_BYTES, aligned to a page */
    struct block_file *file;
    uint64_t offset; /* in the file; a multiple of BLOCK_BYTES */
    size_t n;
    bool partial; /* a copy of what stands in an unfinished block: its bytes come again */
    bool last;
};

struct block_writer {
    /* The appending thread's. */
    struct block *current;
    struct block_file *file;
    uint64_t flush_asked; /* bytes of the file that were flushed, or are about to be */

    atomic_uint_fast64_t published; /* bytes of the file */
    atomic_uint_fast64_t written;

    pthread_mutex_t lock;
    pthread_cond_t work, room;
    struct block *free;
    struct block *queue, **queue_tail; /* the first one is being written */
    struct block *unfinished;          /* current, for readers */
    bool stop;
    pthread_t thread;
    uint8_t *memory;
    struct block blocks[BLOCK_WRITER_BLOCKS];
};

/* ---- The disk ---- */

static size_t round_up(size_t n)
{
    return (n + DISK_UNIT - 1) / DISK_UNIT * DISK_UNIT;
}

/* Through the page cache instead. */
static bool go_buffered(struct block_file *f)
{
    int flags = fcntl(f->fd, F_GETFL);
    if (f->buffered || flags < 0 || fcntl(f->fd, F_SETFL, flags & ~O_DIRECT) != 0)
        return false;
    f->buffered = true;
    return true;
}

/* 0, or an errno; *ret_done counts what is on disk all the same. */
static int write_whole(struct block_file *f, const uint8_t *p, size_t n, uint64_t offset, size_t *ret_done)
{
    size_t done = 0;
    int failure = 0;
    while (done < n && !failure) {
        ssize_t one = pwrite(f->fd, p + done, n - done, (off_t)(offset + done));
        if (one > 0)
            done += (size_t)one;
        else if (one == 0)
            failure = ENOSPC;
        else if (errno == EINVAL && go_buffered(f))
            continue; /* this file system has no direct writes, or not at a short write's end */
        else if (errno != EINTR)
            failure = errno;
    }
    *ret_done = done;
    return failure;
}

static void write_block(struct block_writer *w, const struct block *b)
{
    struct block_file *f = b->file;
    if (atomic_load(&f->failure))
        return;
    size_t padded = f->buffered ? b->n : round_up(b->n), done;
    if (padded > b->n)
        memset(b->bytes + b->n, 0, padded - b->n);
    int failure = write_whole(f, b->bytes, padded, b->offset, &done);
    if (done > b->n)
        done = b->n;
    /* The padding must not stay: a segment ends with its last block. */
    if (padded > b->n && !failure && ftruncate(f->fd, (off_t)(b->offset + b->n)) != 0)
        failure = errno;
    if (f->buffered && done) {
        sync_file_range(f->fd, (off_t)b->offset, (off_t)b->n,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        posix_fadvise(f->fd, (off_t)b->offset, (off_t)b->n, POSIX_FADV_DONTNEED);
    }
    atomic_fetch_add_explicit(&w->written, done, memory_order_relaxed);
    if (b->offset + done > atomic_load(&f->flushed))
        atomic_store_explicit(&f->flushed, b->offset + done, memory_order_release);
    if (failure)
        atomic_store(&f->failure, failure);
}

static void *run(void *arg)
{
    struct block_writer *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->queue && !w->stop)
            pthread_cond_wait(&w->work, &w->lock);
        struct block *b = w->queue;
        if (!b)
            break;
        pthread_mutex_unlock(&w->lock);
        write_block(w, b);
        struct block_file *ended = b->last ? b->file : NULL;
        pthread_mutex_lock(&w->lock);
        w->queue = b->next;
        if (!w->queue)
            w->queue_tail = &w->queue;
        b->file = NULL;
        b->next = w->free;
        w->free = b;
        pthread_cond_signal(&w->room);
        if (ended) {
            pthread_mutex_unlock(&w->lock);
            ended->ended(ended);
            pthread_mutex_lock(&w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- Life ---- */

int block_writer_new(struct block_writer **ret, struct error *err)
{
    struct block_writer *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return error_nomem(err);
    /* All of it from the start: memory that is first touched when the disk stalls would come when it is needed least. */
    w->memory =
        mmap(NULL, (size_t)BLOCK_BYTES * BLOCK_WRITER_BLOCKS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (w->memory == MAP_FAILED) {
        mem_free(w);
        return error_nomem(err);
    }
    /* Blocks that wait are used last: what is used again and again stays in the caches. */
    for (size_t i = 0; i < BLOCK_WRITER_BLOCKS; i++) {
        w->blocks[i].bytes = w->memory + i * BLOCK_BYTES;
        w->blocks[i].next = w->free;
        w->free = &w->blocks[i];
    }
    w->queue_tail = &w->queue;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->room, NULL);
    int failure = pthread_create(&w->thread, NULL, run, w);
    if (failure) {
        munmap(w->memory, (size_t)BLOCK_BYTES * BLOCK_WRITER_BLOCKS);
        mem_free(w);
        return error_set(err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure));
    }
    *ret = w;
    return TD_OK;
}

void block_writer_free(struct block_writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    munmap(w->memory, (size_t)BLOCK_BYTES * BLOCK_WRITER_BLOCKS);
    pthread_cond_destroy(&w->room);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

/* ---- Appending ---- */

/* Lock held. */
static void enqueue(struct block_writer *w, struct block *b)
{
    b->next = NULL;
    *w->queue_tail = b;
    w->queue_tail = &b->next;
    pthread_cond_signal(&w->work);
}

/* Lock held, a block is free. */
static struct block *take_free(struct block_writer *w, uint64_t offset)
{
    struct block *b = w->free;
    w->free = b->next;
    b->file = w->file;
    b->offset = offset;
    b->n = 0;
    b->partial = b->last = false;
    return b;
}

/* The next block to fill; true if that took waiting. */
static bool next_block(struct block_writer *w, uint64_t offset)
{
    bool waited = false;
    pthread_mutex_lock(&w->lock);
    if (w->current)
        enqueue(w, w->current);
    w->current = w->unfinished = NULL;
    while (!w->free) {
        waited = true;
        pthread_cond_wait(&w->room, &w->lock);
    }
    w->current = w->unfinished = take_free(w, offset);
    pthread_mutex_unlock(&w->lock);
    return waited;
}

void block_writer_begin(struct block_writer *w, struct block_file *f)
{
    atomic_store(&f->flushed, 0);
    atomic_store(&f->failure, 0);
    atomic_store(&w->published, 0);
    w->file = f;
    w->flush_asked = 0;
    next_block(w, 0);
}

bool block_writer_put(struct block_writer *w, const void *p, size_t n)
{
    const uint8_t *from = p;
    bool waited = false;
    while (n) {
        struct block *b = w->current;
        size_t room = BLOCK_BYTES - b->n, one = n < room ? n : room;
        memcpy(b->bytes + b->n, from, one);
        b->n += one;
        from += one;
        n -= one;
        if (b->n == BLOCK_BYTES)
            waited |= next_block(w, b->offset + BLOCK_BYTES);
    }
    return waited;
}

uint8_t *block_writer_room(struct block_writer *w, size_t n)
{
    struct block *b = w->current;
    return n < BLOCK_BYTES - b->n ? b->bytes + b->n : NULL;
}

void block_writer_took(struct block_writer *w, size_t n)
{
    w->current->n += n;
}

void block_writer_publish(struct block_writer *w)
{
    atomic_store_explicit(&w->published, w->current->offset + w->current->n, memory_order_release);
}

void block_writer_flush(struct block_writer *w)
{
    struct block *b = w->current, *copy = NULL;
    uint64_t end = b->offset + b->n;
    if (end == w->flush_asked || !b->n)
        return;
    pthread_mutex_lock(&w->lock);
    if (w->free)
        copy = take_free(w, b->offset);
    pthread_mutex_unlock(&w->lock);
    if (!copy)
        return;
    memcpy(copy->bytes, b->bytes, b->n);
    copy->n = b->n;
    copy->partial = true;
    w->flush_asked = end;
    pthread_mutex_lock(&w->lock);
    enqueue(w, copy);
    pthread_mutex_unlock(&w->lock);
}

void block_writer_end(struct block_writer *w)
{
    block_writer_publish(w);
    pthread_mutex_lock(&w->lock);
    w->current->last = true;
    enqueue(w, w->current);
    w->current = w->unfinished = NULL;
    w->file = NULL;
    pthread_mutex_unlock(&w->lock);
}

/* ---- Reading ---- */

static size_t copy_from(const struct block *b, uint64_t offset, uint64_t end, void *p, size_t n)
{
    if (offset < b->offset || offset >= end)
        return 0;
    if (n > end - offset)
        n = (size_t)(end - offset);
    memcpy(p, b->bytes + (offset - b->offset), n);
    return n;
}

size_t block_writer_copy(struct block_writer *w, const struct block_file *f, uint64_t offset, void *p, size_t n)
{
    size_t copied = 0;
    pthread_mutex_lock(&w->lock);
    for (const struct block *b = w->queue; b && !copied; b = b->next)
        if (b->file == f && !b->partial)
            copied = copy_from(b, offset, b->offset + b->n, p, n);
    const struct block *u = w->unfinished;
    if (!copied && u && u->file == f) {
        uint64_t published = atomic_load_explicit(&w->published, memory_order_acquire);
        copied = copy_from(u, offset, published, p, n);
    }
    pthread_mutex_unlock(&w->lock);
    return copied;
}

uint64_t block_writer_published(const struct block_writer *w)
{
    return atomic_load_explicit(&w->published, memory_order_acquire);
}

uint64_t block_writer_written(const struct block_writer *w)
{
    return atomic_load_explicit(&w->written, memory_order_relaxed);
}
