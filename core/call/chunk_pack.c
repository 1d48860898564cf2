#include "call/chunk_pack.h"

#include <zstd.h>

/* Texts repeat parts of others. Numbers hardly repeat anything, but some of their bytes are more frequent than others: there
 * repetitions are hardly searched for, which takes half the time for the same size. */
enum {
    TEXT_LEVEL = -1,
    NUMBER_LEVEL = -100,
    NUMBER_HASH_BITS = 8, /* of what is remembered to find repetitions; little of it is little to clear for each run */
    CODED_LITERALS = 1, /* ZSTD_ps_enable, for a parameter that zstd's public header numbers but does not name */
    MIN_SQUEEZE = 48,   /* shorter runs are not worth a frame */
    DELTA = 0x80        /* beside the bits: differences, not distances */
};

/* How a run of bytes stands: the upper bits of the word in front, which has its stored size below. */
enum { RUN_RAW, RUN_ZSTD, RUN_SAME, RUN_KIND_SHIFT = 30 };

static void put_le(struct buf *out, uint64_t v, size_t n)
{
    buf_put(out, &v, n);
}

/* ---- Packing ---- */

int packer_init(struct packer *p, struct error *err)
{
    *p = (struct packer){.texts = ZSTD_createCCtx(), .numbers = ZSTD_createCCtx()};
    if (!p->texts || !p->numbers)
        return error_nomem(err);
    ZSTD_CCtx_setParameter(p->texts, ZSTD_c_compressionLevel, TEXT_LEVEL);
    ZSTD_CCtx_setParameter(p->texts, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(p->numbers, ZSTD_c_compressionLevel, NUMBER_LEVEL);
    ZSTD_CCtx_setParameter(p->numbers, ZSTD_c_hashLog, NUMBER_HASH_BITS);
    ZSTD_CCtx_setParameter(p->numbers, ZSTD_c_experimentalParam5, CODED_LITERALS);
    ZSTD_CCtx_setParameter(p->numbers, ZSTD_c_contentSizeFlag, 0);
    return TD_OK;
}

void packer_clear(struct packer *p)
{
    ZSTD_freeCCtx(p->texts);
    ZSTD_freeCCtx(p->numbers);
    buf_clear(&p->plane);
    buf_clear(&p->squeezed);
    buf_clear(&p->lanes);
    *p = (struct packer){0};
}

static bool all_same(const uint8_t *p, size_t n)
{
    return n > 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void put_run(struct buf *out, uint32_t kind, const void *p, size_t n)
{
    put_le(out, (uint32_t)n | kind << RUN_KIND_SHIFT, 4);
    buf_put(out, p, n);
}

/* Would squeezing bytes that hardly repeat anything save too little? By how often two of a sample are the same: for noise, one
 * pair in 256; with one in 100, a sixth could be saved. */
static bool is_noise(struct td_slice bytes)
{
    enum { SAMPLE = 512 };
    uint16_t counts[256] = {0};
    uint32_t pairs = 0;
    if (bytes.n < SAMPLE)
        return false;
    for (size_t i = 0; i < SAMPLE; i++)
        pairs += counts[bytes.p[i * (bytes.n / SAMPLE)]]++;
    return pairs < SAMPLE * (SAMPLE - 1) / 2 / 100;
}

static void pack_run(struct packer *p, struct buf *out, struct td_slice bytes, struct ZSTD_CCtx_s *zstd)
{
    if (bytes.n > 1 && all_same(bytes.p, bytes.n)) {
        put_run(out, RUN_SAME, bytes.p, 1);
        return;
    }
    if (bytes.n >= MIN_SQUEEZE && (zstd == p->texts || !is_noise(bytes))) {
        size_t room = ZSTD_compressBound(bytes.n);
        buf_reset(&p->squeezed);
        if (!buf_reserve(&p->squeezed, room)) {
            out->failed = true;
            return;
        }
        size_t n = ZSTD_compress2(zstd, p->squeezed.p, room, bytes.p, bytes.n);
        if (!ZSTD_isError(n) && n + bytes.n / 8 <= bytes.n) {
            put_run(out, RUN_ZSTD, p->squeezed.p, n);
            return;
        }
    }
    put_run(out, RUN_RAW, bytes.p, bytes.n);
}

void pack_bytes(struct packer *p, struct buf *out, struct td_slice bytes)
{
    pack_run(p, out, bytes, p->texts);
}

void pack_plain_bytes(struct packer *p, struct buf *out, struct td_slice bytes)
{
    pack_run(p, out, bytes, p->numbers);
}

/* Bits for a distance: 0, 1, 2, 4, or whole bytes. */
static unsigned bits_for(uint64_t greatest)
{
    unsigned bits = greatest ? 64 - (unsigned)__builtin_clzll(greatest) : 0;
    if (bits <= 2)
        return bits;
    return bits <= 4 ? 4 : (bits + 7) / 8 * 8;
}

static uint8_t lane_width(unsigned bits)
{
    if (bits <= 8)
        return bits ? 1 : 0;
    return bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
}

/* Several to a byte: a byte holds rows i, i + step, i + 2 * step ..., so that unpacking is a shift of whole vectors. */
static void pack_bits(struct packer *p, struct buf *out, const uint32_t *v, uint32_t n, unsigned bits)
{
    unsigned per_byte = 8 / bits;
    uint32_t step = (n + per_byte - 1) / per_byte;
    memset(p->plane.p, 0, step);
    for (unsigned k = 0; k < per_byte && k * step < n; k++) {
        uint32_t from = k * step, count = n - from < step ? n - from : step;
        for (uint32_t i = 0; i < count; i++)
            p->plane.p[i] = (uint8_t)(p->plane.p[i] | v[from + i] << (k * bits));
    }
    pack_run(p, out, td_bytes(p->plane.p, step), p->numbers);
}

static void pack_planes32(struct packer *p, struct buf *out, const uint32_t *restrict v, uint32_t n, unsigned bits)
{
    uint8_t *restrict plane = p->plane.p;
    if (bits > 0 && bits < 8) {
        pack_bits(p, out, v, n, bits);
        return;
    }
    for (unsigned shift = 0; shift < bits; shift += 8) {
        for (uint32_t i = 0; i < n; i++)
            plane[i] = (uint8_t)(v[i] >> shift);
        pack_run(p, out, td_bytes(plane, n), p->numbers);
    }
}

static void pack_planes64(struct packer *p, struct buf *out, const uint64_t *restrict v, uint32_t n, unsigned bits)
{
    uint8_t *restrict plane = p->plane.p;
    for (unsigned shift = 0; shift < bits; shift += 8) {
        for (uint32_t i = 0; i < n; i++)
            plane[i] = (uint8_t)(v[i] >> shift);
        pack_run(p, out, td_bytes(plane, n), p->numbers);
    }
}

/* Room for a plane, and for a lane of each number. */
static bool make_room(struct packer *p, struct buf *out, uint32_t n)
{
    buf_reset(&p->plane);
    buf_reset(&p->lanes);
    if (!buf_reserve(&p->plane, n) || !buf_reserve(&p->lanes, (size_t)n * sizeof(uint64_t)))
        out->failed = true;
    return !out->failed;
}

struct extent {
    int64_t min, max, min_delta, max_delta;
    bool wide; /* a difference overflows */
};

static struct extent measure(const int64_t *v, uint32_t n)
{
    struct extent e = {.min = v[0], .max = v[0], .min_delta = INT64_MAX, .max_delta = INT64_MIN};
    if (memcmp(v, v + 1, (n - 1) * sizeof(*v)) == 0) { /* very many columns are */
        e.min_delta = e.max_delta = 0;
        return e;
    }
    for (uint32_t i = 1; i < n; i++) {
        int64_t delta = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
        e.min = v[i] < e.min ? v[i] : e.min;
        e.max = v[i] > e.max ? v[i] : e.max;
        e.min_delta = delta < e.min_delta ? delta : e.min_delta;
        e.max_delta = delta > e.max_delta ? delta : e.max_delta;
    }
    e.wide = (uint64_t)e.max - (uint64_t)e.min > INT64_MAX; /* then differences may have wrapped */
    return e;
}

static void pack_distances(struct packer *p, struct buf *out, const int64_t *v, uint32_t n, int64_t min, unsigned bits)
{
    uint64_t *lanes64 = (uint64_t *)(void *)p->lanes.p;
    uint32_t *lanes32 = (uint32_t *)(void *)p->lanes.p;
    put_le(out, bits, 1);
    put_le(out, (uint64_t)min, 8);
    if (bits > 32) {
        for (uint32_t i = 0; i < n; i++)
            lanes64[i] = (uint64_t)v[i] - (uint64_t)min;
        pack_planes64(p, out, lanes64, n, bits);
    } else if (bits) {
        for (uint32_t i = 0; i < n; i++)
            lanes32[i] = (uint32_t)v[i] - (uint32_t)min;
        pack_planes32(p, out, lanes32, n, bits);
    }
}

static void pack_deltas(struct packer *p, struct buf *out, const int64_t *v, uint32_t n, const struct extent *e, unsigned bits,
                        unsigned delta_bits)
{
    uint64_t *lanes64 = (uint64_t *)(void *)p->lanes.p;
    uint32_t *lanes32 = (uint32_t *)(void *)p->lanes.p;
    put_le(out, delta_bits | DELTA, 1);
    put_le(out, (uint64_t)e->min, 8);
    put_le(out, bits, 1);
    put_le(out, (uint64_t)v[0] - (uint64_t)e->min, 8);
    put_le(out, (uint64_t)e->min_delta, 8);
    lanes64[0] = 0;
    if (delta_bits > 32) {
        for (uint32_t i = 1; i < n; i++)
            lanes64[i] = (uint64_t)v[i] - (uint64_t)v[i - 1] - (uint64_t)e->min_delta;
        pack_planes64(p, out, lanes64, n, delta_bits);
    } else if (delta_bits) {
        for (uint32_t i = 1; i < n; i++)
            lanes32[i] = (uint32_t)v[i] - (uint32_t)v[i - 1] - (uint32_t)e->min_delta;
        pack_planes32(p, out, lanes32, n, delta_bits);
    }
}

void pack_numbers(struct packer *p, struct buf *out, const int64_t *v, uint32_t n, struct pack_bounds *ret_bounds)
{
    *ret_bounds = (struct pack_bounds){0};
    if (n == 0) {
        pack_distances(p, out, v, 0, 0, 0);
        return;
    }
    if (!make_room(p, out, n))
        return;
    struct extent e = measure(v, n);
    unsigned bits = bits_for((uint64_t)e.max - (uint64_t)e.min);
    unsigned delta_bits = n > 1 && !e.wide ? bits_for((uint64_t)e.max_delta - (uint64_t)e.min_delta) : 64;
    *ret_bounds = (struct pack_bounds){e.min, e.max};
    if (delta_bits < bits)
        pack_deltas(p, out, v, n, &e, bits, delta_bits);
    else
        pack_distances(p, out, v, n, e.min, bits);
}

void pack_ids(struct packer *p, struct buf *out, const uint32_t *v, uint32_t n, uint32_t limit)
{
    unsigned bits = bits_for(limit ? limit - 1 : 0);
    if (!make_room(p, out, n))
        return;
    if (limit == n && n > 1) { /* each once: perhaps one after the other */
        uint32_t i = 0;
        while (i < n && v[i] == i)
            i++;
        if (i == n) {
            struct extent e = {.min_delta = 1};
            pack_deltas(p, out, (const int64_t[]){0}, 1, &e, bits, 0);
            return;
        }
    }
    put_le(out, bits, 1);
    put_le(out, 0, 8);
    pack_planes32(p, out, v, n, bits);
}

/* ---- Unpacking ---- */

int unpacker_init(struct unpacker *u, struct error *err)
{
    *u = (struct unpacker){.zstd = ZSTD_createDCtx()};
    return u->zstd ? TD_OK : error_nomem(err);
}

void unpacker_clear(struct unpacker *u)
{
    ZSTD_freeDCtx(u->zstd);
    buf_clear(&u->planes);
    buf_clear(&u->deltas);
    *u = (struct unpacker){0};
}

int unpack_bytes(struct unpacker *u, struct td_cursor *in, size_t n, uint8_t *ret)
{
    uint32_t head = td_le32(in);
    struct td_slice run = td_take(in, head & ((1u << RUN_KIND_SHIFT) - 1));
    if (in->failed || n > PACK_MAX_TEXT)
        return TD_E_CORRUPT;
    switch (head >> RUN_KIND_SHIFT) {
    case RUN_RAW:
        if (run.n != n)
            return TD_E_CORRUPT;
        if (n)
            memcpy(ret, run.p, n);
        return TD_OK;
    case RUN_ZSTD: return ZSTD_decompressDCtx(u->zstd, ret, n, run.p, run.n) == n ? TD_OK : TD_E_CORRUPT;
    case RUN_SAME:
        if (run.n != 1)
            return TD_E_CORRUPT;
        memset(ret, run.p[0], n);
        return TD_OK;
    default: return TD_E_CORRUPT;
    }
}

static int unpack_bits(struct unpacker *u, struct td_cursor *in, uint32_t n, unsigned bits, uint8_t *ret)
{
    unsigned per_byte = 8 / bits;
    uint32_t step = (n + per_byte - 1) / per_byte;
    uint8_t mask = (uint8_t)((1u << bits) - 1);
    buf_reset(&u->planes);
    if (!buf_reserve(&u->planes, step))
        return TD_E_NOMEM;
    int status = unpack_bytes(u, in, step, u->planes.p);
    if (status != TD_OK)
        return status;
    for (unsigned k = 0; k < per_byte && k * step < n; k++) {
        uint32_t from = k * step, count = n - from < step ? n - from : step;
        for (uint32_t i = 0; i < count; i++)
            ret[from + i] = (uint8_t)(u->planes.p[i] >> (k * bits) & mask);
    }
    return TD_OK;
}

/* Puts planes together; plane k of lane i is p[k * n + i]. */
static void join2(uint16_t *restrict ret, const uint8_t *restrict p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint16_t)(p[i] | p[n + i] << 8);
}

static void join3(uint32_t *restrict ret, const uint8_t *restrict p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = p[i] | (uint32_t)p[n + i] << 8 | (uint32_t)p[2 * n + i] << 16;
}

static void join4(uint32_t *restrict ret, const uint8_t *restrict p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = p[i] | (uint32_t)p[n + i] << 8 | (uint32_t)p[2 * n + i] << 16 | (uint32_t)p[3 * n + i] << 24;
}

static void join_more(uint64_t *restrict ret, const uint8_t *restrict p, size_t n, unsigned planes)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = p[i] | (uint64_t)p[n + i] << 8 | (uint64_t)p[2 * n + i] << 16 | (uint64_t)p[3 * n + i] << 24;
    for (unsigned k = 4; k < planes; k++)
        for (size_t i = 0; i < n; i++)
            ret[i] |= (uint64_t)p[k * n + i] << (8 * k);
}

/* Distances into lanes of lane_width(bits) bytes at `ret`. */
static int unpack_planes(struct unpacker *u, struct td_cursor *in, uint32_t n, unsigned bits, void *ret)
{
    if (bits < 8)
        return unpack_bits(u, in, n, bits, ret);
    if (bits == 8)
        return unpack_bytes(u, in, n, ret);
    unsigned planes = bits / 8;
    buf_reset(&u->planes);
    if (!buf_reserve(&u->planes, (size_t)n * planes))
        return TD_E_NOMEM;
    for (unsigned k = 0; k < planes; k++) {
        int status = unpack_bytes(u, in, n, u->planes.p + (size_t)k * n);
        if (status != TD_OK)
            return status;
    }
    switch (planes) {
    case 2: join2(ret, u->planes.p, n); break;
    case 3: join3(ret, u->planes.p, n); break;
    case 4: join4(ret, u->planes.p, n); break;
    default: join_more(ret, u->planes.p, n, planes); break;
    }
    return TD_OK;
}

static bool bits_known(unsigned bits)
{
    return bits == 0 || bits == 1 || bits == 2 || bits == 4 || (bits % 8 == 0 && bits <= 64);
}

/* Sums differences up. Whatever they are, lanes wrap within their width. */
#define SUM_UP(width, lane_type, delta)                                 \
    do {                                                                \
        lane_type *to = ret, sum = (lane_type)(first - step);           \
        for (uint32_t i = 0; i < n; i++)                                \
            to[i] = sum = (lane_type)(sum + (lane_type)step + (delta)); \
    } while (0)
#define SUM_UP_FROM(delta)                      \
    switch (width) {                            \
    case 1: SUM_UP(1, uint8_t, delta); break;   \
    case 2: SUM_UP(2, uint16_t, delta); break;  \
    case 4: SUM_UP(4, uint32_t, delta); break;  \
    default: SUM_UP(8, uint64_t, delta); break; \
    }

static void sum_up(void *ret, uint8_t width, const struct chunk_lanes *deltas, uint32_t n, uint64_t first, uint64_t step)
{
    switch (deltas->width) {
    case 0: SUM_UP_FROM(0) break;
    case 1: SUM_UP_FROM(((const uint8_t *)deltas->v)[i]) break;
    case 2: SUM_UP_FROM(((const uint16_t *)deltas->v)[i]) break;
    case 4: SUM_UP_FROM((uint32_t)((const uint32_t *)deltas->v)[i]) break;
    default: SUM_UP_FROM(((const uint64_t *)deltas->v)[i]) break;
    }
}

static int unpack_deltas(struct unpacker *u, struct td_cursor *in, uint32_t n, unsigned delta_bits, struct room *room,
                         struct chunk_lanes *ret)
{
    unsigned bits = td_u8(in);
    uint64_t first = td_le64(in), step = td_le64(in);
    struct chunk_lanes deltas = {.width = lane_width(delta_bits)};
    if (in->failed || !bits_known(bits) || bits == 0)
        return TD_E_CORRUPT;
    ret->width = lane_width(bits);
    void *lanes = room_alloc(room, (size_t)n * ret->width);
    buf_reset(&u->deltas);
    if (!lanes || !buf_reserve(&u->deltas, (size_t)n * 8 + 1))
        return TD_E_NOMEM;
    int status = delta_bits ? unpack_planes(u, in, n, delta_bits, u->deltas.p) : TD_OK;
    if (status != TD_OK)
        return status;
    deltas.v = u->deltas.p;
    sum_up(lanes, ret->width, &deltas, n, first, step);
    ret->v = lanes;
    return TD_OK;
}

int unpack_numbers(struct unpacker *u, struct td_cursor *in, uint32_t n, struct room *room, struct chunk_lanes *ret)
{
    unsigned head = td_u8(in), bits = head & (DELTA - 1u);
    *ret = (struct chunk_lanes){.base = (int64_t)td_le64(in)};
    if (in->failed || !bits_known(bits) || n > PACK_MAX_NUMBERS)
        return TD_E_CORRUPT;
    if (head & DELTA)
        return unpack_deltas(u, in, n, bits, room, ret);
    ret->width = lane_width(bits);
    if (bits == 0)
        return TD_OK;
    void *lanes = room_alloc(room, (size_t)n * ret->width);
    if (!lanes)
        return TD_E_NOMEM;
    ret->v = lanes;
    return unpack_planes(u, in, n, bits, lanes);
}
