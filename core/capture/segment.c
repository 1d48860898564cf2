/* Pinned segments: reading while the ring goes on. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/ring_internal.h"

struct segment {
    struct ring *ring;
    struct body *body;
    struct open_segment *open; /* NULL: it was sealed when it was pinned */
    struct segment_summary summary;
    enum segment_state state;
    uint64_t file_bytes;
    bool reads;            /* it counts among its body's readers */
    bool looked_for_index; /* and opened what there is */
    struct segment_index *index;
    struct notes *rebuilt; /* what `index` is of, if the file was not right */
    struct segment_frames own_frames;
    const struct segment_frames *layout; /* of a compressed file: the index's, or own_frames */
    struct frames_reader *frames;
};

/* ---- Pins ---- */

int segment_pin(struct ring *r, struct entry *e, struct segment **ret, struct error *err)
{
    struct segment *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->ring = r;
    s->body = e->body;
    s->open = e->open;
    s->summary = e->summary;
    s->file_bytes = e->open ? e->summary.bytes : e->body->file_bytes;
    s->state = e->open ? SEGMENT_WRITING : e->body->kind == SEGMENT_FILE_COMPRESSED ? SEGMENT_COMPRESSED : SEGMENT_SEALED;
    s->body->pins++;
    if (s->open)
        s->open->refs++;
    *ret = s;
    return TD_OK;
}

/* From the same state as that of `of`, whatever has become of the segment. */
int segment_share(const struct segment *of, struct segment **ret, struct error *err)
{
    struct segment *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->ring = of->ring;
    s->body = of->body;
    s->open = of->open;
    s->summary = of->summary;
    s->state = of->state;
    s->file_bytes = of->file_bytes;
    pthread_mutex_lock(&s->ring->lock);
    s->body->pins++;
    if (s->open)
        s->open->refs++;
    pthread_mutex_unlock(&s->ring->lock);
    *ret = s;
    return TD_OK;
}

/* Lock held. Descriptors are not kept for nobody: pins may be many, and last. Without a name they are all that there is. */
static void rest(struct ring *r, struct body *b)
{
    if (!b->current)
        return;
    pthread_rwlock_wrlock(&b->access);
    body_close(b);
    pthread_rwlock_unlock(&b->access);
    r->used -= b->stale;
    b->cost -= b->stale;
    b->stale = 0;
}

/* Lock held; it is let go while a file is closed that has no name any more, since that removes it. The last who has pinned it leaves. */
static void let_go(struct ring *r, struct body *b)
{
    if (b->current)
        return;
    for (struct body **p = &r->orphans; *p; p = &(*p)->next_orphan)
        if (*p == b) {
            *p = b->next_orphan;
            break;
        }
    /* Nobody finds it any more. */
    pthread_mutex_unlock(&r->lock);
    body_close(b);
    pthread_mutex_lock(&r->lock);
    r->pinned -= b->cost;
    body_free(b);
}

void segment_unpin(struct segment *s)
{
    if (!s)
        return;
    struct ring *r = s->ring;
    segment_index_close(s->index);
    frames_reader_free(s->frames);
    segment_frames_clear(&s->own_frames);
    notes_free(s->rebuilt);
    pthread_mutex_lock(&r->lock);
    open_segment_unref(s->open);
    s->body->readers -= s->reads;
    if (!s->body->readers)
        rest(r, s->body);
    if (--s->body->pins == 0)
        let_go(r, s->body);
    pthread_mutex_unlock(&r->lock);
    mem_free(s);
}

const struct segment_summary *segment_summary(const struct segment *s)
{
    return &s->summary;
}

enum segment_state segment_state(const struct segment *s)
{
    return s->state;
}

uint64_t segment_file_bytes(const struct segment *s)
{
    return s->file_bytes;
}

/* ---- Reading ---- */

static int revoked(const struct segment *s, struct error *err)
{
    return error_set(err, TD_E_NOT_FOUND, "segment %llu was recycled while it was read: the raw capture needed its room",
                     (unsigned long long)s->summary.sequence);
}

/* Its body's descriptors are open and stay so until the matching unlock of `access`; they stay the same as long as the pin, unless the
 * ring takes them away. */
static int begin_access(struct segment *s, struct error *err)
{
    struct body *b = s->body;
    if (!s->reads) {
        pthread_mutex_lock(&s->ring->lock);
        b->readers++;
        s->reads = true;
        pthread_mutex_unlock(&s->ring->lock);
    }
    for (;;) {
        pthread_rwlock_rdlock(&b->access);
        if (b->revoked) {
            pthread_rwlock_unlock(&b->access);
            return revoked(s, err);
        }
        if (b->fd >= 0 && (b->index_fd >= 0 || s->open || s->looked_for_index))
            return TD_OK;
        pthread_rwlock_unlock(&b->access);
        pthread_rwlock_wrlock(&b->access);
        int status = b->revoked ? TD_OK : body_open(s->ring, b, s->state != SEGMENT_WRITING, err);
        s->looked_for_index = true;
        pthread_rwlock_unlock(&b->access);
        if (status != TD_OK)
            return status;
    }
}

static int read_fully(int fd, uint64_t offset, void *p, size_t n, uint64_t sequence, struct error *err)
{
    ssize_t got = file_read_at(fd, offset, p, n);
    if (got == (ssize_t)n)
        return TD_OK;
    if (got < 0)
        return error_set(err, TD_E_DENIED, "segment %llu, offset %llu: %s", (unsigned long long)sequence, (unsigned long long)offset,
                         strerror(errno));
    return error_set(err, TD_E_CORRUPT, "segment %llu ends at %llu, before its index says", (unsigned long long)sequence,
                     (unsigned long long)(offset + (uint64_t)got));
}

/* From the disk, or from the blocks on the way to it. */
static int read_open(struct segment *s, uint64_t offset, void *p, size_t n, struct error *err)
{
    uint8_t *to = p;
    while (n) {
        uint64_t flushed = atomic_load_explicit(&s->open->file.flushed, memory_order_acquire);
        size_t one = 0;
        int status = TD_OK;
        if (offset < flushed) {
            one = n < flushed - offset ? n : (size_t)(flushed - offset);
            status = read_fully(s->body->fd, offset, to, one, s->summary.sequence, err);
        } else if (atomic_load(&s->open->file.failure)) {
            status = error_set(err, TD_E_NOT_FOUND, "segment %llu could not be written to its end: %s",
                               (unsigned long long)s->summary.sequence, strerror(atomic_load(&s->open->file.failure)));
        } else {
            one = block_writer_copy(s->ring->writer, &s->open->file, offset, to, n);
        }
        if (status != TD_OK)
            return status;
        to += one;
        offset += one;
        n -= one;
    }
    return TD_OK;
}

static int check_sealed(const struct segment *s, struct error *err)
{
    return !s->open ? TD_OK
                    : error_set(err, TD_E_UNSUPPORTED, "segment %llu is still being written", (unsigned long long)s->summary.sequence);
}

static int check_range(const struct segment *s, uint64_t offset, size_t n, uint64_t size, struct error *err)
{
    if (offset > size || n > size - offset)
        return error_set(err, TD_E_LIMIT, "segment %llu has %llu bytes; %zu from %llu were asked for",
                         (unsigned long long)s->summary.sequence, (unsigned long long)size, n, (unsigned long long)offset);
    return TD_OK;
}

/* [access held] */
static int read_frames(struct segment *s, uint64_t offset, void *p, size_t n, struct error *err)
{
    int status = TD_OK;
    if (!s->layout) {
        status = segment_frames_scan(s->body->fd, &s->own_frames, err);
        if (status != TD_OK)
            return status;
        s->layout = &s->own_frames;
    }
    if (!s->frames)
        status = frames_reader_new(s->body->fd, s->layout, &s->frames, err);
    return status == TD_OK ? frames_read(s->frames, offset, p, n, err) : status;
}

int segment_read_any(void *segment, uint64_t offset, void *p, size_t n, struct error *err)
{
    struct segment *s = segment;
    int status = check_range(s, offset, n, s->summary.bytes, err);
    if (status == TD_OK)
        status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    if (s->open)
        status = read_open(s, offset, p, n, err);
    else if (s->state == SEGMENT_COMPRESSED)
        status = read_frames(s, offset, p, n, err);
    else
        status = read_fully(s->body->fd, offset, p, n, s->summary.sequence, err);
    pthread_rwlock_unlock(&s->body->access);
    return status;
}

/* A compressed file is read by its index; without one that is right, by itself. */
int segment_read(struct segment *s, uint64_t offset, void *p, size_t n, struct error *err)
{
    if (s->state == SEGMENT_COMPRESSED && !s->layout) {
        struct segment_index *ignored;
        int status = segment_index(s, &ignored, err);
        if (status != TD_OK)
            return status;
    }
    return segment_read_any(s, offset, p, n, err);
}

void segment_will_read(struct segment *s, uint64_t offset, uint64_t n)
{
    struct error ignored;
    if (s->state != SEGMENT_SEALED || begin_access(s, &ignored) != TD_OK)
        return;
    posix_fadvise(s->body->fd, (off_t)offset, (off_t)n, POSIX_FADV_WILLNEED);
    pthread_rwlock_unlock(&s->body->access);
}

bool segment_is_cached(struct segment *s, uint64_t offset)
{
    struct error ignored;
    uint8_t byte;
    const struct iovec one = {.iov_base = &byte, .iov_len = sizeof(byte)};
    if (s->state != SEGMENT_SEALED || begin_access(s, &ignored) != TD_OK)
        return false;
    bool cached = preadv2(s->body->fd, &one, 1, (off_t)offset, RWF_NOWAIT) == 1;
    pthread_rwlock_unlock(&s->body->access);
    return cached;
}

int segment_read_file(struct segment *s, uint64_t offset, void *p, size_t n, struct error *err)
{
    int status = check_range(s, offset, n, s->file_bytes, err);
    if (status == TD_OK && s->open)
        return error_set(err, TD_E_UNSUPPORTED, "segment %llu is still being written", (unsigned long long)s->summary.sequence);
    if (status == TD_OK)
        status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    status = read_fully(s->body->fd, offset, p, n, s->summary.sequence, err);
    pthread_rwlock_unlock(&s->body->access);
    return status;
}

/* ---- The index ---- */

/* Does it belong to this file? */
static bool fits(const struct segment *s, const struct segment_index *index)
{
    const struct segment_summary *sum = segment_index_summary(index);
    const struct segment_frames *frames = segment_index_frames(index);
    if (sum->sequence != s->summary.sequence || sum->bytes != s->summary.bytes)
        return false;
    return s->state == SEGMENT_COMPRESSED ? frames && frames->compressed == s->file_bytes : !frames;
}

static int open_index(struct segment *s, struct error *err)
{
    int status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    if (s->body->index_fd < 0)
        status = error_set(err, TD_E_CORRUPT, "there is no index");
    if (status == TD_OK)
        status = segment_index_open(s->body->index_fd, &s->index, err);
    if (status == TD_OK && !fits(s, s->index)) {
        segment_index_close(s->index);
        s->index = NULL;
        status = error_set(err, TD_E_CORRUPT, "its index is of another segment");
    }
    pthread_rwlock_unlock(&s->body->access);
    return status;
}

static int rebuild_index(struct segment *s, struct error *err)
{
    const struct segment_bytes bytes = {s, segment_read_any, s->summary.bytes};
    struct segment_summary found;
    uint64_t end;
    s->rebuilt = notes_new(s->summary.bytes);
    int status = s->rebuilt ? segment_index_scan(&bytes, s->rebuilt, &found, &end, err) : error_nomem(err);
    if (status == TD_OK)
        status = segment_index_of_notes(s->rebuilt, &s->index, err);
    if (status != TD_OK) {
        notes_free(s->rebuilt);
        s->rebuilt = NULL;
    }
    return status;
}

int segment_index(struct segment *s, struct segment_index **ret, struct error *err)
{
    int status = TD_OK;
    struct error why;
    if (!s->index && s->open) {
        status = segment_index_of_notes(s->open->notes, &s->index, err);
    } else if (!s->index) {
        status = open_index(s, &why);
        if (status == TD_OK) {
            s->layout = segment_index_frames(s->index);
        } else if (status == TD_E_CORRUPT || status == TD_E_UNSUPPORTED) {
            log_event(TD_LOG_WARN, "ring", "segment %llu: %s; it is read without", (unsigned long long)s->summary.sequence, why.text);
            status = rebuild_index(s, err);
        } else {
            status = error_set(err, status, "%s", why.text);
        }
    }
    if (status == TD_OK)
        *ret = s->index;
    return status;
}

int segment_index_again(struct segment *s, const struct segment_summary *summary, struct buf *ret, struct error *err)
{
    struct segment_index *index;
    int status = segment_index(s, &index, err);
    if (status == TD_OK && !segment_index_summary(index))
        status = error_set(err, TD_E_CORRUPT, "its index is not right");
    if (status == TD_OK)
        status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    status = segment_index_rewrite(index, summary, ret, err);
    pthread_rwlock_unlock(&s->body->access);
    return status;
}

/* ---- Files ---- */

/* By its descriptor, or by its name while it is not open: then it has one. [access held] */
static int look_at(const struct segment *s, int fd, const char *name, struct stat *ret)
{
    return (fd >= 0 ? fstat(fd, ret) : fstatat(s->ring->dir_fd, name, ret, AT_SYMLINK_NOFOLLOW)) == 0 ? 0 : errno;
}

int segment_files(struct segment *s, struct segment_files *ret, struct error *err)
{
    struct body *b = s->body;
    struct stat file, index;
    struct segment_files f = {0};
    int status = check_sealed(s, err);
    if (status != TD_OK)
        return status;
    segment_file_name(s->summary.sequence, b->kind, false, f.name);
    segment_file_name(s->summary.sequence, SEGMENT_FILE_INDEX, false, f.index_name);
    pthread_rwlock_rdlock(&b->access);
    int failure = b->revoked ? 0 : look_at(s, b->fd, f.name, &file);
    f.has_index = !b->revoked && !failure && look_at(s, b->index_fd, f.index_name, &index) == 0;
    if (b->revoked)
        status = revoked(s, err);
    pthread_rwlock_unlock(&b->access);
    if (failure)
        status = error_set(err, failure == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "%s/%s: %s", s->ring->dir, f.name, strerror(failure));
    if (status != TD_OK)
        return status;
    f.device = (uint64_t)file.st_dev;
    f.inode = (uint64_t)file.st_ino;
    f.bytes = (uint64_t)file.st_size;
    f.index_inode = f.has_index ? (uint64_t)index.st_ino : 0;
    f.index_bytes = f.has_index ? (uint64_t)index.st_size : 0;
    *ret = f;
    return TD_OK;
}

int segment_read_index(struct segment *s, uint64_t offset, void *p, size_t n, struct error *err)
{
    int status = check_sealed(s, err);
    if (status == TD_OK)
        status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    if (s->body->index_fd < 0)
        status = error_set(err, TD_E_CORRUPT, "segment %llu has no index", (unsigned long long)s->summary.sequence);
    else
        status = read_fully(s->body->index_fd, offset, p, n, s->summary.sequence, err);
    pthread_rwlock_unlock(&s->body->access);
    return status;
}

void segment_forget(struct segment *s)
{
    struct error ignored;
    if (s->open || begin_access(s, &ignored) != TD_OK)
        return;
    posix_fadvise(s->body->fd, 0, 0, POSIX_FADV_DONTNEED);
    pthread_rwlock_unlock(&s->body->access);
}

/* [access held] */
static int link_as(const struct segment *s, int fd, int dir_fd, const char *name, struct error *err)
{
    char path[64];
    if (fd < 0)
        return error_set(err, TD_E_CORRUPT, "segment %llu has no index", (unsigned long long)s->summary.sequence);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) == 0)
        return TD_OK;
    int status = errno == EXDEV ? TD_E_UNSUPPORTED : errno == EEXIST ? TD_E_EXISTS : errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED;
    return error_set(err, status, "segment %llu cannot be linked as %s: %s", (unsigned long long)s->summary.sequence, name,
                     errno == ENOENT ? "it was recycled" : strerror(errno));
}

int segment_link(struct segment *s, int dir_fd, const char *name, struct error *err)
{
    int status = check_sealed(s, err);
    if (status == TD_OK)
        status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    status = link_as(s, s->body->fd, dir_fd, name, err);
    pthread_rwlock_unlock(&s->body->access);
    return status;
}

int segment_link_index(struct segment *s, int dir_fd, const char *name, struct error *err)
{
    int status = check_sealed(s, err);
    if (status == TD_OK)
        status = begin_access(s, err);
    if (status != TD_OK)
        return status;
    status = link_as(s, s->body->index_fd, dir_fd, name, err);
    pthread_rwlock_unlock(&s->body->access);
    return status;
}
