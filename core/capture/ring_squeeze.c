/* The squeezer: compresses sealed segments, oldest first, when nothing else wants the processor or the disk. */
#include "ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* What linux/ioprio.h has in newer headers. */
enum { IO_CLASS_IDLE = 3, IO_CLASS_SHIFT = 13, IO_WHO_PROCESS = 1 };

/* Room for a piece of the compressed file. The segment at hand is pinned, so it may be recycled meanwhile without harm. */
static bool reserve(void *ctx, uint64_t bytes)
{
    struct ring *r = ctx;
    pthread_mutex_lock(&r->lock);
    bool fits = !r->stop && ring_make_room(r, bytes);
    if (fits) {
        r->reserved += bytes;
        r->squeezing += bytes;
    }
    pthread_mutex_unlock(&r->lock);
    return fits;
}

static int write_compressed(struct ring *r, struct segment *s, int level, struct segment_frames *ret, struct error *err)
{
    char from[SEGMENT_NAME], name[SEGMENT_NAME];
    const struct segment_summary *sum = segment_summary(s);
    segment_file_name(sum->sequence, SEGMENT_FILE_PLAIN, false, from);
    segment_file_name(sum->sequence, SEGMENT_FILE_COMPRESSED, true, name);
    int in = openat(r->dir_fd, from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : openat(r->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    int status = out < 0 ? error_set(err, TD_E_NOT_FOUND, "%s/%s: %s", r->dir, in < 0 ? from : name, strerror(errno)) : TD_OK;
    if (status == TD_OK)
        status = segment_frames_write(in, sum->bytes, out, level, &r->squeeze_cancel, reserve, r, ret, err);
    if (status == TD_OK && fdatasync(out) != 0 && errno != EINVAL)
        status = error_set(err, TD_E_LIMIT, "%s/%s: %s", r->dir, name, strerror(errno));
    if (in >= 0) {
        posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED);
        close(in);
    }
    if (out >= 0 && close(out) != 0 && status == TD_OK)
        status = error_set(err, TD_E_LIMIT, "%s/%s: %s", r->dir, name, strerror(errno));
    return status;
}

/* The compressed file takes the plain one's place, unless the segment was recycled meanwhile. Whatever happens in between, one of
 * the two is whole; ring_recover() prefers the plain one. */
static int exchange(struct ring *r, uint64_t sequence, struct body *compressed, struct error *err)
{
    char from[SEGMENT_NAME], to[SEGMENT_NAME];
    struct entry *e = ring_find(r, sequence);
    if (!e)
        return error_set(err, TD_E_CANCELLED, "segment %llu was recycled meanwhile", (unsigned long long)sequence);
    segment_file_name(sequence, SEGMENT_FILE_COMPRESSED, true, from);
    segment_file_name(sequence, SEGMENT_FILE_COMPRESSED, false, to);
    if (renameat(r->dir_fd, from, r->dir_fd, to) != 0)
        return error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, to, strerror(errno));
    int status = ring_commit_index(r, sequence, err);
    if (status != TD_OK) {
        unlinkat(r->dir_fd, to, 0);
        return status;
    }
    struct body *plain = e->body;
    e->body = compressed;
    r->used += compressed->cost;
    r->compressed++;
    body_unlink(r, plain, true, false);
    body_release(r, plain);
    return TD_OK;
}

static int take_over(struct ring *r, struct segment *s, const struct segment_frames *frames, struct error *err)
{
    const struct segment_summary *sum = segment_summary(s);
    const struct segment_bytes bytes = {s, segment_read_any, sum->bytes};
    struct segment_summary found;
    uint64_t end, index_bytes = 0;
    struct notes *notes = notes_new(sum->bytes);
    struct body *compressed = body_new(sum->sequence, SEGMENT_FILE_COMPRESSED);
    int status = notes && compressed ? segment_index_scan(&bytes, notes, &found, &end, err) : error_nomem(err);
    if (status == TD_OK)
        status = ring_write_index(r, notes, sum, frames, &index_bytes, err);
    if (status == TD_OK) {
        compressed->file_bytes = frames->compressed;
        compressed->cost = segment_file_cost(frames->compressed) + segment_file_cost(index_bytes);
        pthread_mutex_lock(&r->lock);
        status = exchange(r, sum->sequence, compressed, err);
        pthread_mutex_unlock(&r->lock);
    }
    if (status != TD_OK)
        body_free(compressed);
    notes_free(notes);
    return status;
}

static void squeeze(struct ring *r, uint64_t sequence, int level)
{
    struct segment_frames frames = {0};
    struct segment *s;
    struct error err = {0};
    char name[SEGMENT_NAME];
    int status = ring_pin_one(r, sequence, &s, &err);
    if (status != TD_OK)
        return;
    status = write_compressed(r, s, level, &frames, &err);
    if (status == TD_OK)
        status = take_over(r, s, &frames, &err);
    if (status != TD_OK) {
        unlinkat(r->dir_fd, segment_file_name(sequence, SEGMENT_FILE_COMPRESSED, true, name), 0);
        unlinkat(r->dir_fd, segment_file_name(sequence, SEGMENT_FILE_INDEX, true, name), 0);
    }
    pthread_mutex_lock(&r->lock);
    r->reserved -= r->squeezing;
    r->squeezing = 0;
    if (!r->stop)
        atomic_store(&r->squeeze_cancel, false);
    pthread_cond_signal(&r->keeper_work);
    struct entry *e = ring_find(r, sequence);
    if (e && status != TD_OK && status != TD_E_CANCELLED)
        e->stays_plain = true; /* not again and again */
    pthread_mutex_unlock(&r->lock);
    if (status != TD_OK && status != TD_E_CANCELLED)
        log_event(TD_LOG_WARN, "ring", "segment %llu stays uncompressed: %s", (unsigned long long)sequence, err.text);
    segment_unpin(s);
    segment_frames_clear(&frames);
}

/* Lock held. The oldest segment that can be compressed; 0: none, or capturing has no room for its next segment yet. */
static uint64_t choose(struct ring *r)
{
    for (size_t i = 0; r->next && i < r->n && r->options.compression_level > 0; i++) {
        const struct entry *e = &r->entries[i];
        if (!e->open && e->body->kind == SEGMENT_FILE_PLAIN && !e->stays_plain)
            return e->summary.sequence;
    }
    return 0;
}

/* Not SCHED_IDLE: this thread holds the ring's lock now and then, and must not be kept from giving it back. */
static void step_back(void)
{
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), 19) != 0)
        log_event(TD_LOG_DEBUG, "ring", "compressing at normal priority: %s", strerror(errno));
    syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, IO_CLASS_IDLE << IO_CLASS_SHIFT);
}

void *ring_squeeze(void *arg)
{
    struct ring *r = arg;
    step_back();
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        uint64_t sequence = choose(r);
        int level = r->options.compression_level;
        if (!sequence) {
            pthread_cond_wait(&r->squeezer_work, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        squeeze(r, sequence, level);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}
