/* Opening a ring: what is in the directory, and mending what a crash left.
 *
 * A segment with an index that fits it was sealed and is left alone. Any other one is read block by block: behind its last whole block it
 * is cut, and its index is made anew. Files without a name of their own yet are removed. */
#include "ring_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* What is there of a segment. */
struct found {
    uint64_t sequence;
    bool have[SEGMENT_FILE_KINDS];
    uint64_t bytes[SEGMENT_FILE_KINDS];
};

int segment_source_read(void *ctx, uint64_t offset, void *p, size_t n, struct error *err)
{
    struct segment_source *s = ctx;
    if (s->frames)
        return frames_read(s->frames, offset, p, n, err);
    ssize_t got = file_read_at(s->fd, offset, p, n);
    if (got == (ssize_t)n)
        return TD_OK;
    return error_set(err, TD_E_CORRUPT, "offset %llu: %s", (unsigned long long)(got < 0 ? offset : offset + (uint64_t)got),
                     got < 0 ? strerror(errno) : "the file ends here");
}

/* ---- The directory ---- */

static int by_sequence(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* One more file; those of one segment are joined later. */
static int add_found(struct buf *list, uint64_t sequence, enum segment_file_kind kind, uint64_t bytes, struct error *err)
{
    struct found f = {.sequence = sequence};
    f.have[kind] = true;
    f.bytes[kind] = bytes;
    buf_put(list, &f, sizeof(f));
    return list->failed ? error_nomem(err) : TD_OK;
}

static int list_directory(struct ring *r, struct buf *list, struct error *err)
{
    int fd = dup(r->dir_fd);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return error_set(err, TD_E_DENIED, "cannot read the directory %s: %s", r->dir, strerror(errno));
    }
    rewinddir(dir);
    int status = TD_OK;
    for (struct dirent *e; status == TD_OK && (e = readdir(dir));) {
        uint64_t sequence;
        enum segment_file_kind kind;
        bool unfinished;
        struct stat st;
        if (!segment_file_parse(e->d_name, &sequence, &kind, &unfinished))
            continue;
        if (unfinished && !r->read_only)
            unlinkat(r->dir_fd, e->d_name, 0);
        else if (!unfinished && fstatat(r->dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            status = add_found(list, sequence, kind, (uint64_t)st.st_size, err);
    }
    closedir(dir);
    return status;
}

/* Sorted, and one of each sequence. Returns how many. */
static size_t join(struct found *v, size_t n)
{
    size_t kept = 0;
    if (n)
        qsort(v, n, sizeof(*v), by_sequence);
    for (size_t i = 0; i < n; i++) {
        if (!kept || v[kept - 1].sequence != v[i].sequence) {
            v[kept++] = v[i];
            continue;
        }
        for (int kind = 0; kind < SEGMENT_FILE_KINDS; kind++)
            if (v[i].have[kind]) {
                v[kept - 1].have[kind] = true;
                v[kept - 1].bytes[kind] = v[i].bytes[kind];
            }
    }
    return kept;
}

/* ---- One segment ---- */

struct recovery {
    struct ring *ring;
    const struct found *found;
    enum segment_file_kind kind;
    struct segment_source source;
    struct segment_frames frames;
    struct segment_summary summary;
    uint64_t index_bytes;
};

static void remove_files(struct ring *r, const struct found *f)
{
    char name[SEGMENT_NAME];
    for (int kind = 0; kind < SEGMENT_FILE_KINDS && !r->read_only; kind++)
        if (f->have[kind])
            unlinkat(r->dir_fd, segment_file_name(f->sequence, (enum segment_file_kind)kind, false, name), 0);
}

/* Does its index say that it is whole? Then *summary is filled. */
static bool is_sealed(struct recovery *v)
{
    char name[SEGMENT_NAME];
    const struct found *f = v->found;
    struct segment_index *index = NULL;
    struct error why;
    bool sealed = false;
    if (!f->have[SEGMENT_FILE_INDEX])
        return false;
    int fd = openat(v->ring->dir_fd, segment_file_name(f->sequence, SEGMENT_FILE_INDEX, false, name), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (segment_index_open(fd, &index, &why) == TD_OK) {
        const struct segment_summary *s = segment_index_summary(index);
        const struct segment_frames *frames = segment_index_frames(index);
        sealed = s->sequence == f->sequence && (v->kind == SEGMENT_FILE_COMPRESSED) == (frames != NULL) &&
                 f->bytes[v->kind] == (frames ? frames->compressed : s->bytes);
        v->summary = *s;
        v->index_bytes = f->bytes[SEGMENT_FILE_INDEX];
        segment_index_close(index);
    } else {
        log_event(TD_LOG_WARN, "ring", "%s/%s: %s; it is made anew", v->ring->dir, name, why.text);
    }
    close(fd);
    return sealed;
}

/* Reads it from its beginning; *ret_end is the end of its last whole block. */
static int scan(struct recovery *v, struct notes **ret_notes, uint64_t *ret_end, struct error *err)
{
    uint64_t size = v->found->bytes[v->kind];
    int status = TD_OK;
    if (v->kind == SEGMENT_FILE_COMPRESSED) {
        status = segment_frames_scan(v->source.fd, &v->frames, err);
        if (status == TD_OK)
            status = frames_reader_new(v->source.fd, &v->frames, &v->source.frames, err);
        size = v->frames.size;
    }
    if (status != TD_OK)
        return status;
    const struct segment_bytes bytes = {&v->source, segment_source_read, size};
    struct notes *notes = notes_new(size);
    if (!notes)
        return error_nomem(err);
    status = segment_index_scan(&bytes, notes, &v->summary, ret_end, err);
    if (status == TD_OK)
        *ret_notes = notes;
    else
        notes_free(notes);
    return status;
}

static void read_head(struct recovery *v, uint64_t end)
{
    uint8_t head[1024];
    size_t n = end < sizeof(head) ? (size_t)end : sizeof(head);
    struct error ignored;
    if (segment_source_read(&v->source, 0, head, n, &ignored) == TD_OK)
        segment_file_read_head(td_bytes(head, n), &v->summary);
}

/* A new file with the first `end` bytes, which takes the place of the old one; *ret_fd is the new one's. */
static int copy_beginning(const struct recovery *v, const char *name, uint64_t end, int *ret_fd)
{
    char unfinished[SEGMENT_NAME];
    int dir_fd = v->ring->dir_fd;
    segment_file_name(v->found->sequence, v->kind, true, unfinished);
    int fd = openat(dir_fd, unfinished, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = fd >= 0;
    for (off_t at = 0; good && (uint64_t)at < end;) {
        ssize_t n = sendfile(fd, v->source.fd, &at, (size_t)(end - (uint64_t)at));
        if (n == 0)
            errno = EIO; /* it has become shorter */
        good = n > 0 || (n < 0 && errno == EINTR);
    }
    good = good && fdatasync(fd) == 0 && renameat(dir_fd, unfinished, dir_fd, name) == 0;
    if (!good && fd >= 0) {
        int number = errno;
        unlinkat(dir_fd, unfinished, 0);
        close(fd);
        errno = number;
    }
    *ret_fd = fd;
    return good ? 0 : -1;
}

/* A file that has another name is not the ring's alone: a snapshot may have it, which never changes. 0, or -1 with errno. */
static int cut(struct recovery *v, const char *name, uint64_t end)
{
    struct stat st;
    int fd;
    if (fstat(v->source.fd, &st) != 0)
        return -1;
    if (st.st_nlink <= 1)
        return ftruncate(v->source.fd, (off_t)end) != 0 || fdatasync(v->source.fd) != 0 ? -1 : 0;
    if (copy_beginning(v, name, end, &fd) != 0)
        return -1;
    close(v->source.fd);
    v->source.fd = fd;
    return 0;
}

/* Without a whole section header there is nothing in it that could be told. */
static int rebuild(struct recovery *v, struct error *err)
{
    struct ring *r = v->ring;
    char name[SEGMENT_NAME];
    struct notes *notes = NULL;
    uint64_t end = 0, size = v->found->bytes[v->kind];
    segment_file_name(v->found->sequence, v->kind, false, name);
    v->source.fd = openat(r->dir_fd, name, (r->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (v->source.fd < 0)
        return error_set(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "%s/%s: %s", r->dir, name, strerror(errno));
    int status = scan(v, &notes, &end, err);
    if (status == TD_OK && v->kind == SEGMENT_FILE_PLAIN && end < size) {
        log_event(TD_LOG_WARN, "ring", "%s/%s: cut at the end of its last whole packet, %llu bytes before its end", r->dir, name,
                  (unsigned long long)(size - end));
        if (!r->read_only && cut(v, name, end) != 0)
            status = error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, name, strerror(errno));
        v->summary.recovered = 1;
    }
    if (status == TD_OK) {
        read_head(v, end);
        v->summary.sequence = v->found->sequence;
        v->summary.bytes = end;
        v->summary.hashed = false;                                   /* what the index said may have been of another file */
        v->summary.recovered |= !v->found->have[SEGMENT_FILE_INDEX]; /* nobody had sealed it */
        *(v->summary.recovered ? &r->recovered : &r->rebuilt) += 1;
    }
    const struct segment_frames *frames = v->kind == SEGMENT_FILE_COMPRESSED ? &v->frames : NULL;
    if (status == TD_OK && !r->read_only &&
        (ring_write_index(r, notes, &v->summary, frames, &v->index_bytes, err) != TD_OK ||
         ring_commit_index(r, v->found->sequence, err) != TD_OK))
        log_event(TD_LOG_WARN, "ring", "%s/%s has no index: %s", r->dir, name, err->text); /* it is read without */
    notes_free(notes);
    frames_reader_free(v->source.frames);
    close(v->source.fd);
    return status;
}

/* The files of one segment become an entry, or go. */
static int recover_segment(struct ring *r, const struct found *f, struct error *err)
{
    struct recovery v = {.ring = r, .found = f};
    struct error why = {0};
    char name[SEGMENT_NAME];
    v.kind = f->have[SEGMENT_FILE_PLAIN] ? SEGMENT_FILE_PLAIN : SEGMENT_FILE_COMPRESSED;
    if (!f->have[v.kind] || !f->bytes[v.kind]) {
        remove_files(r, f);
        return TD_OK;
    }
    if (f->have[SEGMENT_FILE_PLAIN] && f->have[SEGMENT_FILE_COMPRESSED] && !r->read_only) /* compressing it was not finished */
        unlinkat(r->dir_fd, segment_file_name(f->sequence, SEGMENT_FILE_COMPRESSED, false, name), 0);
    int status = is_sealed(&v) ? TD_OK : rebuild(&v, &why);
    if (status == TD_E_CORRUPT) {
        log_event(TD_LOG_ERROR, "ring", "%s: segment %llu holds nothing that can be read and is removed: %s", r->dir,
                  (unsigned long long)f->sequence, why.text);
        remove_files(r, f);
    }
    segment_frames_clear(&v.frames);
    if (status == TD_E_CORRUPT || status == TD_E_NOT_FOUND)
        return TD_OK;
    if (status != TD_OK)
        return error_set(err, status, "%s", why.text);
    struct entry e = {.summary = v.summary, .body = body_new(f->sequence, v.kind)};
    if (!e.body)
        return error_nomem(err);
    e.body->file_bytes = v.kind == SEGMENT_FILE_COMPRESSED ? f->bytes[v.kind] : v.summary.bytes;
    e.body->cost = segment_file_cost(e.body->file_bytes) + segment_file_cost(v.index_bytes);
    status = ring_insert(r, &e, err);
    if (status != TD_OK)
        body_free(e.body);
    return status;
}

int ring_recover(struct ring *r, struct error *err)
{
    struct buf list;
    buf_init(&list, 0);
    int status = list_directory(r, &list, err);
    struct found *v = (struct found *)(void *)list.p;
    size_t n = status == TD_OK ? join(v, list.n / sizeof(*v)) : 0;
    for (size_t i = 0; i < n && status == TD_OK; i++)
        status = recover_segment(r, &v[i], err);
    if (n)
        r->next_sequence = v[n - 1].sequence + 1;
    buf_clear(&list);
    if (r->n) {
        const struct segment_summary *last = &r->entries[r->n - 1].summary;
        r->covered_to_ns = last->covered_to_ns;
        r->gap_before_next = last->recovered ? GAP_KILLED : GAP_STOPPED;
    } else {
        r->gap_before_next = GAP_FIRST;
    }
    return status;
}
