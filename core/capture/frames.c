#include "capture/frames.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/file.h"
#include "base/mem.h"

enum {
    MAX_FRAMES = 1 << 16,                         /* 16 GiB; segments have at most 4 */
    FRAME_CHECKSUM = 4,                           /* in the frame header's descriptor (RFC 8878 section 3.1.1.1.1) */
    FRAME_MAX = ZSTD_COMPRESSBOUND(FRAMES_BYTES), /* bytes of a frame in the file */
    SCAN_BYTES = 1 << 20,                         /* read at once when frames are looked for */
    MIN_LEVEL = 1,
    MAX_LEVEL = 19
};
_Static_assert(SCAN_BYTES >= 2 * FRAME_MAX, "each read brings on at least one frame");

void segment_frames_clear(struct segment_frames *f)
{
    mem_free(f->ends);
    *f = (struct segment_frames){0};
}

/* Nothing is one empty frame, since tools take an empty file for a cut one. */
static uint64_t frames_for(uint64_t size)
{
    return size ? (size - 1) / FRAMES_BYTES + 1 : 1;
}

/* ---- Files ---- */

/* Up to `n` bytes; fewer only where the file ends. */
static int read_at(int fd, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n, struct error *err)
{
    ssize_t got = file_read_at(fd, offset, p, n);
    if (got < 0)
        return error_set(err, TD_E_INTERNAL, "offset %llu: cannot be read: %s", (unsigned long long)offset, strerror(errno));
    *ret_n = (size_t)got;
    return TD_OK;
}

static int write_all(int fd, const uint8_t *p, size_t n, struct error *err)
{
    while (n) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            return error_set(err, full ? TD_E_LIMIT : TD_E_INTERNAL, "the compressed segment cannot be written: %s", strerror(errno));
        }
        p += put;
        n -= (size_t)put;
    }
    return TD_OK;
}

/* ---- Writing ---- */

struct squeeze {
    ZSTD_CCtx *zstd;
    uint8_t *plain, *packed; /* one frame */
    int in, out;
};

static void squeeze_clear(struct squeeze *s)
{
    ZSTD_freeCCtx(s->zstd);
    mem_free(s->plain);
}

static int squeeze_init(struct squeeze *s, int in, int out, int level, struct error *err)
{
    *s = (struct squeeze){.in = in, .out = out};
    s->zstd = ZSTD_createCCtx();
    s->plain = mem_alloc(FRAMES_BYTES + FRAME_MAX);
    if (!s->zstd || !s->plain)
        return error_nomem(err);
    s->packed = s->plain + FRAMES_BYTES;
    size_t code = ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(code))
        code = ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
    if (ZSTD_isError(code))
        return error_set(err, TD_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(code));
    return TD_OK;
}

static int squeeze_frame(struct squeeze *s, uint64_t offset, size_t n, size_t *ret_packed, struct error *err)
{
    size_t got = 0;
    int status = read_at(s->in, offset, s->plain, n, &got, err);
    if (status != TD_OK)
        return status;
    if (got < n)
        return error_set(err, TD_E_CORRUPT, "offset %llu: the segment is cut", (unsigned long long)(offset + got));
    size_t packed = ZSTD_compress2(s->zstd, s->packed, FRAME_MAX, s->plain, n);
    if (ZSTD_isError(packed))
        return error_set(err, ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? TD_E_NOMEM : TD_E_INTERNAL, "zstd: %s",
                         ZSTD_getErrorName(packed));
    *ret_packed = packed;
    return TD_OK;
}

int segment_frames_write(int in, uint64_t size, int out, int level, const atomic_bool *cancel,
                         bool (*room)(void *ctx, struct td_slice frame), void *room_ctx, struct segment_frames *ret, struct error *err)
{
    uint64_t n = frames_for(size);
    if (n > MAX_FRAMES || level < MIN_LEVEL || level > MAX_LEVEL)
        return error_set(err, TD_E_LIMIT, "a segment of %llu bytes cannot be compressed at level %d", (unsigned long long)size, level);
    struct segment_frames f = {.size = size, .ends = mem_calloc(n, sizeof(*f.ends))};
    struct squeeze s;
    int status = squeeze_init(&s, in, out, level, err);
    if (status == TD_OK && !f.ends)
        status = error_nomem(err);
    for (uint64_t at = 0; status == TD_OK && f.n < n; at += FRAMES_BYTES) {
        size_t packed = 0;
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed)) {
            status = error_set(err, TD_E_CANCELLED, "compressing was stopped");
            break;
        }
        status = squeeze_frame(&s, at, size - at < FRAMES_BYTES ? (size_t)(size - at) : FRAMES_BYTES, &packed, err);
        if (status == TD_OK && room && !room(room_ctx, td_bytes(s.packed, packed)))
            status = error_set(err, TD_E_LIMIT, "there is no room for the compressed segment beside the plain one");
        if (status == TD_OK)
            status = write_all(out, s.packed, packed, err);
        f.compressed += packed;
        f.ends[f.n++] = f.compressed;
    }
    squeeze_clear(&s);
    if (status != TD_OK) {
        segment_frames_clear(&f);
        return status;
    }
    *ret = f;
    return TD_OK;
}

/* ---- Finding frames ---- */

static int damaged(uint64_t offset, const char *what, struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "compressed offset %llu: %s", (unsigned long long)offset, what);
}

/* The frame that begins at `p`: its length in the file and what it holds. `offset` is for people. */
static int look_at_frame(const uint8_t *p, size_t n, uint64_t offset, size_t *ret_packed, uint64_t *ret_plain, struct error *err)
{
    if (n < 5 || p[0] != 0x28 || p[1] != 0xb5 || p[2] != 0x2f || p[3] != 0xfd)
        return damaged(offset, "no zstd frame begins here", err);
    size_t packed = ZSTD_findFrameCompressedSize(p, n < FRAME_MAX ? n : FRAME_MAX);
    if (ZSTD_isError(packed))
        return damaged(offset, "a zstd frame that is cut or damaged", err);
    unsigned long long plain = ZSTD_getFrameContentSize(p, packed);
    if (plain > FRAMES_BYTES || !(p[4] & FRAME_CHECKSUM))
        return damaged(offset, "a zstd frame that is none of a segment's: without size or checksum, or too large", err);
    *ret_packed = packed;
    *ret_plain = plain;
    return TD_OK;
}

static int add_frame(struct segment_frames *f, size_t *cap, size_t packed, uint64_t plain, struct error *err)
{
    if (f->n && (f->size % FRAMES_BYTES || !plain))
        return damaged(f->compressed, "a zstd frame behind the one that should be the last", err);
    if (f->n == MAX_FRAMES)
        return damaged(f->compressed, "more frames than a segment can have", err);
    if (f->n == *cap) {
        size_t more = *cap ? *cap * 2 : 256;
        uint64_t *ends = mem_realloc(f->ends, more * sizeof(*ends));
        if (!ends)
            return error_nomem(err);
        f->ends = ends;
        *cap = more;
    }
    f->size += plain;
    f->compressed += packed;
    f->ends[f->n++] = f->compressed;
    return TD_OK;
}

/* The frames in `p`: all of them if this is the file's end, otherwise those that may not reach beyond it. */
static int scan_piece(struct segment_frames *f, size_t *cap, const uint8_t *p, size_t n, bool last, struct error *err)
{
    size_t at = 0;
    while (last ? at < n : n - at >= FRAME_MAX) {
        size_t packed = 0;
        uint64_t plain = 0;
        int status = look_at_frame(p + at, n - at, f->compressed, &packed, &plain, err);
        if (status == TD_OK)
            status = add_frame(f, cap, packed, plain, err);
        if (status != TD_OK)
            return status;
        at += packed;
    }
    return TD_OK;
}

int segment_frames_scan(int fd, struct segment_frames *ret, struct error *err)
{
    struct segment_frames f = {0};
    size_t cap = 0, n = SCAN_BYTES;
    uint8_t *p = mem_alloc(SCAN_BYTES);
    int status = p ? TD_OK : error_nomem(err);
    while (status == TD_OK && n == SCAN_BYTES) {
        status = read_at(fd, f.compressed, p, SCAN_BYTES, &n, err);
        if (status == TD_OK)
            status = scan_piece(&f, &cap, p, n, n < SCAN_BYTES, err);
    }
    if (status == TD_OK && !f.n)
        status = damaged(0, "the file is empty", err);
    mem_free(p);
    if (status != TD_OK) {
        segment_frames_clear(&f);
        return status;
    }
    *ret = f;
    return TD_OK;
}

/* ---- Reading ---- */

struct frames_reader {
    int fd;
    const struct segment_frames *frames;
    ZSTD_DCtx *zstd;
    size_t frame; /* whose bytes are in `plain`; SIZE_MAX: none's */
    uint8_t plain[FRAMES_BYTES], packed[FRAME_MAX];
};

int frames_reader_new(int fd, const struct segment_frames *frames, struct frames_reader **ret, struct error *err)
{
    if (frames->n != frames_for(frames->size))
        return error_set(err, TD_E_CORRUPT, "%zu frames are not those of a segment of %llu bytes", frames->n,
                         (unsigned long long)frames->size);
    struct frames_reader *r = mem_alloc(sizeof(*r));
    if (!r)
        return error_nomem(err);
    r->fd = fd;
    r->frames = frames;
    r->frame = SIZE_MAX;
    r->zstd = ZSTD_createDCtx();
    if (!r->zstd) {
        mem_free(r);
        return error_nomem(err);
    }
    *ret = r;
    return TD_OK;
}

void frames_reader_free(struct frames_reader *r)
{
    if (!r)
        return;
    ZSTD_freeDCtx(r->zstd);
    mem_free(r);
}

static size_t frame_bytes(const struct segment_frames *f, size_t i)
{
    return i + 1 < f->n ? FRAMES_BYTES : (size_t)(f->size - (uint64_t)i * FRAMES_BYTES);
}

/* A whole frame to `to`, which has room for it. */
static int unpack(struct frames_reader *r, size_t i, uint8_t *to, struct error *err)
{
    const struct segment_frames *f = r->frames;
    uint64_t from = i ? f->ends[i - 1] : 0;
    size_t got = 0, packed = (size_t)(f->ends[i] - from), want = frame_bytes(f, i);
    if (f->ends[i] < from || packed > FRAME_MAX)
        return damaged(from, "a frame with a length that it cannot have", err);
    int status = read_at(r->fd, from, r->packed, packed, &got, err);
    if (status != TD_OK)
        return status;
    if (got < packed)
        return damaged(from + got, "the file is cut", err);
    size_t plain = ZSTD_decompressDCtx(r->zstd, to, want, r->packed, packed);
    if (ZSTD_isError(plain))
        return error_set(err, TD_E_CORRUPT, "compressed offset %llu: the frame cannot be decompressed: %s", (unsigned long long)from,
                         ZSTD_getErrorName(plain));
    return plain == want ? TD_OK : damaged(from, "a frame of another size than it should have", err);
}

/* Bytes [from, from + n) of frame `i`. */
static int read_frame(struct frames_reader *r, size_t i, size_t from, uint8_t *to, size_t n, struct error *err)
{
    if (r->frame != i && n == frame_bytes(r->frames, i))
        return unpack(r, i, to, err); /* nothing is left of it for later, so it need not be kept */
    if (r->frame != i) {
        r->frame = SIZE_MAX;
        int status = unpack(r, i, r->plain, err);
        if (status != TD_OK)
            return status;
        r->frame = i;
    }
    memcpy(to, r->plain + from, n);
    return TD_OK;
}

int frames_read(struct frames_reader *r, uint64_t offset, void *p, size_t n, struct error *err)
{
    const struct segment_frames *f = r->frames;
    if (offset > f->size || n > f->size - offset)
        return error_set(err, TD_E_LIMIT, "%zu bytes from offset %llu are not there: the segment has %llu", n, (unsigned long long)offset,
                         (unsigned long long)f->size);
    uint8_t *to = p;
    while (n) {
        size_t i = (size_t)(offset / FRAMES_BYTES), from = (size_t)(offset % FRAMES_BYTES), left = frame_bytes(f, i) - from;
        size_t take = left < n ? left : n;
        int status = read_frame(r, i, from, to, take, err);
        if (status != TD_OK)
            return status;
        to += take;
        offset += take;
        n -= take;
    }
    return TD_OK;
}
