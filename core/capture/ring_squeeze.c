/* Compressing a sealed segment. */
#include "ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "base/mem.h"

/* Who writes the frames of a compressed file. */
struct packer {
    struct ring *ring;
    EVP_MD_CTX *digest; /* of what was written */
};

static bool take_frame(void *ctx, struct td_slice frame)
{
    struct packer *p = ctx;
    return ring_tidy_reserve(p->ring, frame.n) && EVP_DigestUpdate(p->digest, frame.p, frame.n);
}

static int write_compressed(struct packer *p, struct segment *s, int level, struct segment_frames *ret, struct error *err)
{
    char from[SEGMENT_NAME], name[SEGMENT_NAME];
    struct ring *r = p->ring;
    const struct segment_summary *sum = segment_summary(s);
    segment_file_name(sum->sequence, SEGMENT_FILE_PLAIN, false, from);
    segment_file_name(sum->sequence, SEGMENT_FILE_COMPRESSED, true, name);
    int in = openat(r->dir_fd, from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : openat(r->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    int status = out < 0 ? error_set(err, TD_E_NOT_FOUND, "%s/%s: %s", r->dir, in < 0 ? from : name, strerror(errno)) : TD_OK;
    if (status == TD_OK)
        status = segment_frames_write(in, sum->bytes, out, level, &r->tidy_cancel, take_frame, p, ret, err);
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

/* Lock held. The compressed file takes the plain one's place, unless the segment was recycled meanwhile. Whatever happens in between, one
 * of the two is whole; ring_recover() prefers the plain one. The tidier has read through its pin, so the plain file and its index are open
 * for whoever else has pinned it. */
static int exchange(struct ring *r, const struct segment_summary *sum, struct body *compressed, struct error *err)
{
    char from[SEGMENT_NAME], to[SEGMENT_NAME];
    uint64_t sequence = sum->sequence;
    struct entry *e = ring_find(r, sequence);
    if (!e)
        return error_set(err, TD_E_CANCELLED, "segment %llu was recycled meanwhile", (unsigned long long)sequence);
    segment_file_name(sequence, SEGMENT_FILE_COMPRESSED, true, from);
    segment_file_name(sequence, SEGMENT_FILE_COMPRESSED, false, to);
    if (renameat(r->dir_fd, from, r->dir_fd, to) != 0)
        return error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, to, strerror(errno));
    struct body *plain = e->body;
    int status = ring_commit_index(r, sequence, err);
    if (status != TD_OK) {
        unlinkat(r->dir_fd, to, 0);
        return status;
    }
    e->body = compressed;
    e->summary.hashed = sum->hashed;
    memcpy(e->summary.sha256, sum->sha256, sizeof(sum->sha256));
    r->used += compressed->cost;
    r->compressed++;
    r->hashed += sum->hashed;
    body_unlink(r, plain, true, false);
    body_release(r, plain);
    return TD_OK;
}

static int take_over(struct ring *r, struct segment *s, const struct segment_summary *sum, const struct segment_frames *frames,
                     struct error *err)
{
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
        status = exchange(r, sum, compressed, err);
        pthread_mutex_unlock(&r->lock);
    }
    if (status != TD_OK)
        body_free(compressed);
    notes_free(notes);
    return status;
}

int ring_squeeze(struct ring *r, struct segment *s, int level, struct error *err)
{
    struct packer packer = {.ring = r, .digest = EVP_MD_CTX_new()};
    struct segment_frames frames = {0};
    struct segment_summary sum = *segment_summary(s);
    char name[SEGMENT_NAME];
    int status = packer.digest && EVP_DigestInit_ex(packer.digest, EVP_sha256(), NULL) ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = write_compressed(&packer, s, level, &frames, err);
    if (status == TD_OK) {
        sum.hashed = EVP_DigestFinal_ex(packer.digest, sum.sha256, NULL);
        status = take_over(r, s, &sum, &frames, err);
    }
    if (status != TD_OK) {
        unlinkat(r->dir_fd, segment_file_name(sum.sequence, SEGMENT_FILE_COMPRESSED, true, name), 0);
        unlinkat(r->dir_fd, segment_file_name(sum.sequence, SEGMENT_FILE_INDEX, true, name), 0);
    }
    EVP_MD_CTX_free(packer.digest);
    segment_frames_clear(&frames);
    return status;
}
