/* The digest of a sealed segment's file, made when capturing is calm, into its index. */
#include "ring_internal.h"

#include <openssl/evp.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"

enum { PIECE_BYTES = 1 << 20 /* read at once; after each it is asked whether capturing is still calm */ };

bool ring_is_calm(const struct ring *r, struct ring_calm *c)
{
    int64_t now_ns = ring_uptime();
    uint64_t bytes = atomic_load_explicit(&r->published_bytes, memory_order_relaxed);
    if (bytes - c->bytes > RING_CALM_BYTES) {
        *c = (struct ring_calm){.since_ns = now_ns, .bytes = bytes};
    } else if (now_ns - c->since_ns >= (int64_t)NS_PER_S) {
        *c = (struct ring_calm){.since_ns = now_ns, .bytes = bytes, .seconds = c->seconds + 1};
    }
    return c->seconds >= RING_CALM_SECONDS;
}

static int update(struct ring *r, struct segment *s, struct ring_calm *calm, EVP_MD_CTX *digest, uint8_t *piece, struct error *err)
{
    uint64_t size = segment_file_bytes(s);
    for (uint64_t at = 0; at < size; at += PIECE_BYTES) {
        size_t n = size - at < PIECE_BYTES ? (size_t)(size - at) : PIECE_BYTES;
        if (atomic_load_explicit(&r->tidy_cancel, memory_order_relaxed) || !ring_is_calm(r, calm))
            return error_set(err, TD_E_CANCELLED, "capturing needs the processor");
        int status = segment_read_file(s, at, piece, n, err);
        if (status != TD_OK)
            return status;
        if (!EVP_DigestUpdate(digest, piece, n))
            return error_set(err, TD_E_INTERNAL, "SHA-256 cannot be made");
    }
    return TD_OK;
}

static int make_digest(struct ring *r, struct segment *s, struct ring_calm *calm, uint8_t sha256[SEGMENT_SHA256], struct error *err)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    int status = digest && piece ? TD_OK : error_nomem(err);
    if (status == TD_OK && !EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
        status = error_set(err, TD_E_INTERNAL, "SHA-256 cannot be made");
    if (status == TD_OK)
        status = update(r, s, calm, digest, piece, err);
    if (status == TD_OK && !EVP_DigestFinal_ex(digest, sha256, NULL))
        status = error_set(err, TD_E_INTERNAL, "SHA-256 cannot be made");
    segment_forget(s);
    EVP_MD_CTX_free(digest);
    mem_free(piece);
    return status;
}

/* Lock held. The index that was written takes the place of the one that is there, unless the segment was recycled meanwhile. Who has opened
 * the old one keeps it, and it keeps its room. */
static int exchange_index(struct ring *r, const struct segment_summary *sum, uint64_t index_bytes, struct error *err)
{
    struct entry *e = ring_find(r, sum->sequence);
    if (!e)
        return error_set(err, TD_E_CANCELLED, "segment %llu was recycled meanwhile", (unsigned long long)sum->sequence);
    int status = ring_commit_index(r, sum->sequence, err);
    if (status != TD_OK)
        return status;
    struct body *b = e->body;
    uint64_t before = b->cost, file = segment_file_cost(b->file_bytes), old_index = before - b->stale - file;
    b->stale += b->index_fd >= 0 ? old_index : 0;
    b->cost = file + segment_file_cost(index_bytes) + b->stale;
    r->used = r->used - before + b->cost;
    r->hashed++;
    e->summary.hashed = true;
    memcpy(e->summary.sha256, sum->sha256, sizeof(sum->sha256));
    return TD_OK;
}

int ring_hash(struct ring *r, struct segment *s, struct ring_calm *calm, struct error *err)
{
    struct segment_summary sum = *segment_summary(s);
    struct buf index;
    char name[SEGMENT_NAME];
    buf_init(&index, 0);
    int status = make_digest(r, s, calm, sum.sha256, err);
    sum.hashed = true;
    if (status == TD_OK)
        status = segment_index_again(s, &sum, &index, err);
    if (status == TD_OK && !ring_tidy_reserve(r, segment_file_cost(index.n)))
        status = error_set(err, TD_E_LIMIT, "there is no room for its index beside the old one");
    if (status == TD_OK)
        status = ring_put_index(r, sum.sequence, buf_slice(&index), true, err);
    if (status == TD_OK) {
        pthread_mutex_lock(&r->lock);
        status = exchange_index(r, &sum, index.n, err);
        pthread_mutex_unlock(&r->lock);
        if (status != TD_OK)
            unlinkat(r->dir_fd, segment_file_name(sum.sequence, SEGMENT_FILE_INDEX, true, name), 0);
    }
    buf_clear(&index);
    return status;
}
