/* Is what came a segment, and is it the one that was promised? */
#include "snapshot/create_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "capture/frames.h"
#include "capture/segment_index.h"

enum { READ_BYTES = 1 << 20 };

int create_hash(struct create *c, int fd, uint8_t sha256[MANIFEST_SHA256], uint64_t *ret_bytes)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint8_t *part = mem_alloc(READ_BYTES);
    uint64_t at = 0;
    ssize_t n = 1;
    bool good = hash && part && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    int status = good ? TD_OK : create_fail(c, TD_E_NOMEM, "out of memory");
    while (status == TD_OK && n > 0) {
        n = pread(fd, part, READ_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            status = create_fail(c, TD_E_CORRUPT, "a segment cannot be read: %s", strerror(errno));
        else if (EVP_DigestUpdate(hash, part, (size_t)n) != 1)
            status = create_fail(c, TD_E_INTERNAL, "SHA-256 cannot be computed");
        else
            at += (uint64_t)n;
        if (atomic_load(&c->stop))
            status = TD_E_CANCELLED;
    }
    if (status == TD_OK && EVP_DigestFinal_ex(hash, sha256, NULL) != 1)
        status = create_fail(c, TD_E_INTERNAL, "SHA-256 cannot be computed");
    *ret_bytes = at;
    mem_free(part);
    EVP_MD_CTX_free(hash);
    return status;
}

/* ---- The data, packet by packet ---- */

struct source {
    int fd;
    struct frames_reader *reader; /* NULL: plain */
};

static int read_data(void *ctx, uint64_t offset, void *p, size_t n, struct error *err)
{
    const struct source *s = ctx;
    if (s->reader)
        return frames_read(s->reader, offset, p, n, err);
    ssize_t got = file_read_at(s->fd, offset, p, n);
    if (got == (ssize_t)n)
        return TD_OK;
    return error_set(err, TD_E_CORRUPT, "a segment cannot be read: %s", got < 0 ? strerror(errno) : "it is shorter than it was");
}

struct scan {
    struct segment_summary summary;
    struct segment_frames frames;
    struct notes *notes;
};

static void scan_clear(struct scan *s)
{
    segment_frames_clear(&s->frames);
    notes_free(s->notes);
}

static int scan_data(const struct piece *p, int fd, struct scan *s, struct error *err)
{
    struct source source = {.fd = fd};
    uint64_t size = p->bytes, end = 0;
    int status = p->compressed ? segment_frames_scan(fd, &s->frames, err) : TD_OK;
    if (status == TD_OK && p->compressed) {
        size = s->frames.size;
        status = frames_reader_new(fd, &s->frames, &source.reader, err);
    }
    if (status == TD_OK && size > NOTES_MAX_SEGMENT)
        status = error_set(err, TD_E_CORRUPT, "it is longer than a segment can be");
    if (status == TD_OK && !(s->notes = notes_new(size)))
        status = error_nomem(err);
    const struct segment_bytes bytes = {&source, read_data, size};
    if (status == TD_OK)
        status = segment_index_scan(&bytes, s->notes, &s->summary, &end, err);
    if (status == TD_OK && end != size)
        status = error_set(err, TD_E_CORRUPT, "it is no whole pcapng: what stands at byte %llu of %llu is no block",
                           (unsigned long long)end, (unsigned long long)size);
    frames_reader_free(source.reader);
    return status;
}

static int write_file(struct create *c, struct create_node *n, const char *name, const char *unfinished, struct td_slice bytes)
{
    int fd = openat(n->dir_fd, unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    bool good = fd >= 0;
    while (good && bytes.n) {
        ssize_t done = write(fd, bytes.p, bytes.n);
        good = done >= 0 || errno == EINTR;
        if (done > 0)
            bytes = td_sub(bytes, (size_t)done, bytes.n);
    }
    good = good && renameat(n->dir_fd, unfinished, n->dir_fd, name) == 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    return good ? TD_OK
                : create_fail(c, number == ENOSPC || number == EDQUOT ? TD_E_LIMIT : TD_E_DENIED, "a segment's index cannot be written: %s",
                              strerror(number));
}

static int write_index(struct create *c, struct create_node *n, struct piece *p, struct scan *s)
{
    char name[CREATE_FILE], unfinished[CREATE_FILE];
    struct buf bytes;
    struct error err;
    buf_init(&bytes, 0);
    s->summary.sequence = p->said.sequence;
    int status = segment_index_write(s->notes, &s->summary, p->compressed ? &s->frames : NULL, &bytes, &err);
    if (status != TD_OK)
        status = create_fail_error(c, &err);
    else
        status = create_reserve(c, p, p->bytes + bytes.n);
    if (status == TD_OK)
        status = write_file(c, n, create_file_name(p, CREATE_INDEX, false, name), create_file_name(p, CREATE_INDEX, true, unfinished),
                            buf_slice(&bytes));
    buf_clear(&bytes);
    return status;
}

/* What was captured is told by blocks of the whole segment: of a part it is what lies within the window. */
static void cut_coverage(const struct create *c, struct segment_summary *s)
{
    const struct create_request *r = c->request;
    s->covered_from_ns = s->covered_from_ns < r->start_ns ? r->start_ns : s->covered_from_ns;
    s->covered_to_ns = s->covered_to_ns > r->end_ns ? r->end_ns : s->covered_to_ns;
}

/* Counts everything in the data, and makes the index anew. */
static int count_again(struct create *c, struct create_node *n, struct piece *p, int fd, struct segment_summary *ret, struct error *err)
{
    struct scan s = {.notes = NULL};
    int status = scan_data(p, fd, &s, err);
    if (status == TD_OK && !p->said.whole)
        cut_coverage(c, &s.summary);
    if (status == TD_OK)
        status = write_index(c, n, p, &s);
    if (status == TD_OK)
        *ret = s.summary;
    scan_clear(&s);
    return status;
}

/* ---- The index that came with it ---- */

/* False: there is none, or it is that of another segment, or damaged; that is only seen if `all` of it is read. */
static bool read_index(struct create_node *n, const struct piece *p, bool all, struct segment_summary *ret)
{
    char name[CREATE_FILE];
    struct error why;
    struct segment_index *index;
    int fd = openat(n->dir_fd, create_file_name(p, CREATE_INDEX, false, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool good = fd >= 0 && segment_index_open(fd, &index, &why) == TD_OK;
    if (good) {
        const struct segment_frames *frames = segment_index_frames(index);
        *ret = *segment_index_summary(index);
        good = ret->sequence == p->said.sequence && p->compressed == (frames != NULL) &&
               (frames ? frames->compressed : ret->bytes) == p->bytes && (!all || segment_index_check(index, &why) == TD_OK);
        segment_index_close(index);
    }
    if (fd >= 0)
        close(fd);
    return good;
}

static bool is_as_said(const struct piece *p, const struct segment_summary *s)
{
    const struct offer_segment *said = &p->said;
    if (s->hashed && said->hashed && memcmp(s->sha256, said->sha256, MANIFEST_SHA256) != 0)
        return false;
    return s->packets == said->packets && s->captured_bytes == said->captured_bytes &&
           (!s->packets || (s->first_ns == said->first_ns && s->last_ns == said->last_ns));
}

bool create_is_promised(struct create_node *n, const struct piece *p)
{
    struct segment_summary s;
    return read_index(n, p, false, &s) && is_as_said(p, &s);
}

static void note_lie(struct piece *p, const struct segment_summary *s)
{
    const struct offer_segment *said = &p->said;
    if (said->packets != s->packets)
        snprintf(p->lie, sizeof(p->lie), "the worker said that segment %llu has %llu packets, and it has %llu",
                 (unsigned long long)said->sequence, (unsigned long long)said->packets, (unsigned long long)s->packets);
    else
        snprintf(p->lie, sizeof(p->lie), "segment %llu has other bytes or times than the worker said", (unsigned long long)said->sequence);
}

static int take_summary(struct create *c, struct piece *p, const struct segment_summary *s, struct error *err)
{
    p->packets = s->packets;
    p->captured_bytes = s->captured_bytes;
    p->first_ns = s->packets ? s->first_ns : INT64_MAX;
    p->last_ns = s->packets ? s->last_ns : INT64_MIN;
    if (s->packets && (s->first_ns < c->request->start_ns || s->last_ns >= c->request->end_ns || s->first_ns > s->last_ns))
        return error_set(err, TD_E_CORRUPT, "it has packets that are not of the window");
    return TD_OK;
}

int create_check(struct create *c, struct create_node *n, struct piece *p, struct error *err)
{
    char name[CREATE_FILE];
    struct segment_summary s = {0};
    if (read_index(n, p, true, &s) && (p->kept || (p->said.whole && is_as_said(p, &s))))
        return take_summary(c, p, &s, err);
    int fd = openat(n->dir_fd, create_file_name(p, CREATE_DATA, false, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return create_fail(c, TD_E_DENIED, "%s/%s: %s", n->name, name, strerror(errno));
    int status = count_again(c, n, p, fd, &s, err);
    close(fd);
    if (status == TD_OK && p->said.whole && !p->kept && !is_as_said(p, &s))
        note_lie(p, &s);
    return status == TD_OK ? take_summary(c, p, &s, err) : status;
}
