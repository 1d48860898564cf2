/* The keeper: has the next segment ready before it is needed, seals those that have ended, keeps the budget. */
#include "ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- Notes and open segments ---- */

static struct notes *take_notes(struct ring *r, uint64_t segment_size)
{
    struct notes *notes = NULL;
    pthread_mutex_lock(&r->lock);
    if (r->spare_bytes == segment_size && r->spare_n)
        notes = r->spare[--r->spare_n];
    pthread_mutex_unlock(&r->lock);
    if (notes)
        notes_reset(notes);
    return notes ? notes : notes_new(segment_size);
}

/* Lock held. */
static void drop_notes(struct ring *r, struct notes *notes, uint64_t segment_size)
{
    if (r->spare_bytes != segment_size) { /* those in store are of no use any more */
        while (r->spare_n)
            notes_free(r->spare[--r->spare_n]);
        r->spare_bytes = segment_size;
    }
    if (notes && r->spare_n < RING_SPARE_NOTES && segment_size == r->segment_size)
        r->spare[r->spare_n++] = notes;
    else
        notes_free(notes);
}

void open_segment_unref(struct open_segment *s)
{
    if (!s || --s->refs)
        return;
    drop_notes(s->ring, s->notes, s->size);
    mem_free(s);
}

/* [the block writer's thread] */
static void segment_ended(struct block_file *f)
{
    struct open_segment *s = (struct open_segment *)(void *)f;
    struct ring *r = s->ring;
    pthread_mutex_lock(&r->lock);
    s->next = NULL;
    *r->ended_tail = s;
    r->ended_tail = &s->next;
    pthread_cond_signal(&r->keeper_work);
    pthread_mutex_unlock(&r->lock);
}

/* ---- Preparing ---- */

static int create_file(struct ring *r, uint64_t sequence, struct block_file *f)
{
    char name[SEGMENT_NAME];
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    segment_file_name(sequence, SEGMENT_FILE_PLAIN, true, name);
    f->buffered = false;
    f->fd = openat(r->dir_fd, name, flags | O_DIRECT, 0640);
    if (f->fd < 0 && errno == EINVAL) { /* a file system without direct writes */
        f->buffered = true;
        f->fd = openat(r->dir_fd, name, flags, 0640);
    }
    return f->fd < 0 ? errno : 0;
}

static struct open_segment *new_open_segment(struct ring *r, uint64_t sequence, uint64_t size)
{
    struct open_segment *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->ring = r;
    s->refs = 1;
    s->size = size;
    s->file.ended = segment_ended;
    s->summary = (struct segment_summary){.sequence = sequence, .first_ns = INT64_MAX, .last_ns = INT64_MIN};
    atomic_store(&s->first_ns, INT64_MAX);
    atomic_store(&s->last_ns, INT64_MIN);
    s->notes = take_notes(r, size);
    s->body = body_new(sequence, SEGMENT_FILE_PLAIN);
    if (!s->notes || !s->body) {
        notes_free(s->notes);
        body_free(s->body);
        mem_free(s);
        return NULL;
    }
    s->body->writing = true;
    return s;
}

/* Lock held. Segments that are sealed soon can be recycled then; what the tidier does waits for capturing, not the other way round. */
static bool room_will_come(struct ring *r)
{
    if (r->tidying)
        atomic_store(&r->tidy_cancel, true);
    return r->tidying || r->unsealed;
}

/* Lock held; it is let go meanwhile. */
static void prepare_next(struct ring *r)
{
    uint64_t size = r->segment_size, sequence = r->next_sequence;
    int failure = 0;
    if (!ring_make_room(r, size)) {
        if (room_will_come(r))
            return;
        ring_set_trouble(r, "there is no room for another segment", 0);
        pthread_cond_broadcast(&r->next_ready);
        return;
    }
    r->reserved += size;
    r->next_sequence++;
    pthread_mutex_unlock(&r->lock);
    struct open_segment *s = new_open_segment(r, sequence, size);
    if (!s)
        failure = ENOMEM;
    else if ((failure = create_file(r, sequence, &s->file)) != 0)
        body_free(s->body);
    pthread_mutex_lock(&r->lock);
    if (failure) {
        open_segment_unref(s);
        r->reserved -= size;
        r->next_sequence--;
        ring_set_trouble(r, "cannot make another segment", failure);
    } else {
        r->next = s;
        ring_set_trouble(r, NULL, 0);
        pthread_cond_signal(&r->tidier_work);
    }
    pthread_cond_broadcast(&r->next_ready);
}

/* ---- Sealing ---- */

static int write_whole(int fd, const uint8_t *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t one = write(fd, p + done, n - done);
        if (one < 0 && errno != EINTR)
            return errno;
        done += one > 0 ? (size_t)one : 0;
    }
    return 0;
}

int ring_put_index(struct ring *r, uint64_t sequence, struct td_slice bytes, bool flushed, struct error *err)
{
    char name[SEGMENT_NAME];
    segment_file_name(sequence, SEGMENT_FILE_INDEX, true, name);
    int fd = openat(r->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    int failure = fd < 0 ? errno : write_whole(fd, bytes.p, bytes.n);
    if (!failure && flushed && fdatasync(fd) != 0 && errno != EINVAL)
        failure = errno;
    if (fd >= 0 && close(fd) != 0 && !failure)
        failure = errno;
    if (!failure)
        return TD_OK;
    unlinkat(r->dir_fd, name, 0);
    return error_set(err, failure == ENOSPC ? TD_E_LIMIT : TD_E_DENIED, "%s/%s: %s", r->dir, name, strerror(failure));
}

int ring_write_index(struct ring *r, const struct notes *notes, const struct segment_summary *summary, const struct segment_frames *frames,
                     uint64_t *ret_bytes, struct error *err)
{
    struct buf bytes;
    buf_init(&bytes, 0);
    int status = segment_index_write(notes, summary, frames, &bytes, err);
    if (status == TD_OK)
        status = ring_put_index(r, summary->sequence, buf_slice(&bytes), false, err);
    *ret_bytes = bytes.n;
    buf_clear(&bytes);
    return status;
}

int ring_commit_index(struct ring *r, uint64_t sequence, struct error *err)
{
    char from[SEGMENT_NAME], to[SEGMENT_NAME];
    segment_file_name(sequence, SEGMENT_FILE_INDEX, true, from);
    segment_file_name(sequence, SEGMENT_FILE_INDEX, false, to);
    if (renameat(r->dir_fd, from, r->dir_fd, to) != 0)
        return error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, to, strerror(errno));
    return TD_OK;
}

/* The file ends where the disk took no more: cut at the last whole packet, and what was lost is counted. */
static int mend_broken(struct ring *r, struct open_segment *s, struct error *err)
{
    char name[SEGMENT_NAME];
    struct segment_summary found, *sum = &s->summary;
    uint64_t flushed = atomic_load(&s->file.flushed), end = 0, appended = sum->packets;
    segment_file_name(sum->sequence, SEGMENT_FILE_PLAIN, false, name);
    struct segment_source source = {.fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC)};
    if (source.fd < 0)
        return error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, name, strerror(errno));
    struct notes *notes = take_notes(r, s->size);
    int status = notes ? TD_OK : error_nomem(err);
    const struct segment_bytes bytes = {&source, segment_source_read, flushed};
    if (status == TD_OK)
        status = segment_index_scan(&bytes, notes, &found, &end, err);
    close(source.fd);
    if (status == TD_E_CORRUPT) { /* not even its head was written */
        found = (struct segment_summary){.first_ns = INT64_MAX, .last_ns = INT64_MIN};
        s->empty_at_end = true;
        status = TD_OK;
    }
    if (status == TD_OK && ftruncate(s->file.fd, (off_t)end) != 0)
        status = error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, name, strerror(errno));
    uint64_t lost = status == TD_OK && appended > found.packets ? appended - found.packets : 0;
    atomic_fetch_add_explicit(&r->taken_back, lost, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->dropped_by_disk, lost, memory_order_relaxed);
    pthread_mutex_lock(&r->lock);
    ring_set_disk_failure(r, sum->sequence, atomic_load(&s->file.failure));
    if (status == TD_OK) { /* windows that are open keep the notes that they have */
        sum->bytes = end;
        sum->packets = found.packets;
        sum->captured_bytes = found.captured_bytes;
        sum->original_bytes = found.original_bytes;
        sum->first_ns = found.first_ns;
        sum->last_ns = found.last_ns;
        sum->covered_to_ns = found.packets ? found.last_ns + 1 : sum->covered_from_ns;
        sum->dropped_by_disk = lost;
        sum->recovered = 1;
        s->mended = notes;
    } else {
        drop_notes(r, notes, s->size);
    }
    pthread_mutex_unlock(&r->lock);
    log_event(TD_LOG_ERROR, "ring", "segment %llu could not be written to its end: %s; %llu packets were lost",
              (unsigned long long)sum->sequence, strerror(atomic_load(&s->file.failure)), (unsigned long long)lost);
    return status;
}

/* Lock held; *entry is no entry of the ring any more. */
static void forget_segment(struct ring *r, struct entry *e)
{
    char name[SEGMENT_NAME];
    struct body *b = e->body;
    unlinkat(r->dir_fd, segment_file_name(b->sequence, SEGMENT_FILE_PLAIN, false, name), 0);
    size_t at = (size_t)(e - r->entries);
    memmove(e, e + 1, (r->n - at - 1) * sizeof(*e));
    r->n--;
    b->cost = 0;
    body_release(r, b);
}

/* Lock held. The segment behind one that has lost its end begins with a gap. */
static void tell_next(struct ring *r, struct entry *broken)
{
    struct entry *next = broken + 1;
    if (next == r->entries + r->n)
        return;
    next->summary.gap = GAP_DISK;
    if (next->open)
        next->open->after_broken = true;
}

/* The index says that a segment is whole, so what it says must be on the disk before. */
static int flush(struct ring *r, const struct open_segment *s, struct error *err)
{
    if (fdatasync(s->file.fd) == 0 || errno == EINVAL) /* EINVAL: a file system that has nothing to flush */
        return TD_OK;
    int failure = errno;
    pthread_mutex_lock(&r->lock);
    ring_set_disk_failure(r, r->next_sequence, failure); /* flushing it is the next proof, and not those that are open by now */
    pthread_mutex_unlock(&r->lock);
    return error_set(err, TD_E_DENIED, "it may not have reached the disk: %s", strerror(failure));
}

static void seal(struct ring *r, struct open_segment *s)
{
    struct error err = {0};
    uint64_t index_bytes = 0;
    int status = atomic_load(&s->file.failure) ? mend_broken(r, s, &err) : TD_OK;
    pthread_mutex_lock(&r->lock);
    if (s->after_broken)
        s->summary.gap = GAP_DISK;
    pthread_mutex_unlock(&r->lock);
    if (status == TD_OK)
        status = flush(r, s, &err);
    close(s->file.fd);
    s->file.fd = -1;
    if (status == TD_OK && !s->empty_at_end)
        status = ring_write_index(r, s->mended ? s->mended : s->notes, &s->summary, NULL, &index_bytes, &err);
    if (status == TD_OK && !s->empty_at_end)
        status = ring_commit_index(r, s->summary.sequence, &err);
    if (status != TD_OK) /* it is rebuilt when it is needed */
        log_event(TD_LOG_WARN, "ring", "segment %llu has no index: %s", (unsigned long long)s->summary.sequence, err.text);
    pthread_mutex_lock(&r->lock);
    struct entry *e = ring_find(r, s->summary.sequence);
    r->reserved -= s->size;
    r->unsealed--;
    if (s->mended)
        tell_next(r, e);
    if (s->empty_at_end) {
        forget_segment(r, e);
    } else {
        e->summary = s->summary;
        e->open = NULL;
        e->body->writing = false;
        e->body->file_bytes = s->summary.bytes;
        e->body->cost = segment_file_cost(s->summary.bytes) + segment_file_cost(index_bytes);
        r->used += e->body->cost;
    }
    if (s->mended)
        drop_notes(r, s->mended, s->size);
    open_segment_unref(s);
    pthread_cond_signal(&r->tidier_work);
    pthread_mutex_unlock(&r->lock);
}

/* ---- The thread ---- */

static void wait_a_second(struct ring *r)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_cond_timedwait(&r->keeper_work, &r->lock, &until);
}

void *ring_keep(void *arg)
{
    struct ring *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        if (!r->next && !r->stop)
            prepare_next(r);
        struct open_segment *s = r->ended;
        if (s) {
            r->ended = s->next;
            if (!r->ended)
                r->ended_tail = &r->ended;
            pthread_mutex_unlock(&r->lock);
            seal(r, s);
            pthread_mutex_lock(&r->lock);
        } else if (r->stop) {
            break;
        } else {
            (void)ring_make_room(r, 0);
            if (!r->ended && !r->stop)
                wait_a_second(r);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}
