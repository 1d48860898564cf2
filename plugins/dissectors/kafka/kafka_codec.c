#include "kafka_codec.h"

#include <tapedeck/cursor.h>

#include <libdeflate.h>
#include <limits.h>
#include <lz4.h>
#include <snappy-c.h>
#include <stdatomic.h>
#include <zlib.h>
#include <zstd.h>

enum { ZSTD_WINDOW_LOG_LEAST = 10, ZSTD_WINDOW_LOG_MOST = 27 /* what decoders take by default */ };

const char *kafka_codec_name(unsigned codec)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    return codec < KAFKA_CODECS ? names[codec] : NULL;
}

/* Bytes before the deflated content of a gzip member with a plain header (RFC 1952 section 2.3); 0: another one, or zlib's. */
static size_t plain_gzip_header(struct td_slice in)
{
    enum { HEADER = 10, FLAGS_AT = 3 };
    return in.n > HEADER && td_starts(in, TD_LIT("\x1f\x8b\x08")) && in.p[FLAGS_AT] == 0 ? HEADER : 0;
}

enum { GZIP_TRAILER = 8 };

/* Of one whole member that fits, as nearly all are; false: of none, and zlib is to see how far it comes. */
static bool decode_member(struct td_slice in, size_t header, uint8_t *room, size_t cap, size_t *ret_n)
{
    struct libdeflate_decompressor *d = header ? libdeflate_alloc_decompressor() : NULL;
    size_t used;
    bool whole = d && libdeflate_deflate_decompress_ex(d, in.p + header, in.n - header, room, cap, &used, ret_n) == LIBDEFLATE_SUCCESS &&
                 in.n - header - used == GZIP_TRAILER;
    libdeflate_free_decompressor(d);
    return whole;
}

/* Checksums are left out where that can be: what came through TCP is as it was sent. */
static size_t decode_gzip(struct td_slice in, uint8_t *room, size_t cap, bool *ret_whole)
{
    z_stream z = {0};
    size_t header = plain_gzip_header(in), n;
    *ret_whole = decode_member(in, header, room, cap, &n);
    if (*ret_whole)
        return n;
    if (in.n > UINT_MAX || cap > UINT_MAX || inflateInit2(&z, header ? -15 : 15 + 32) != Z_OK) /* 32: gzip or zlib, as the header says */
        return 0;
    z.next_in = (Bytef *)(uintptr_t)in.p + header;
    z.avail_in = (uInt)(in.n - header);
    z.next_out = room;
    z.avail_out = (uInt)cap;
    int result = inflate(&z, Z_FINISH);
    bool more = z.avail_in > (header ? GZIP_TRAILER : 0);
    while (result == Z_STREAM_END && more && z.avail_out) { /* members may follow each other */
        z.next_in += header ? GZIP_TRAILER : 0;
        z.avail_in -= header ? GZIP_TRAILER : 0;
        header = 0;
        result = inflateReset2(&z, 15 + 32) == Z_OK ? inflate(&z, Z_FINISH) : Z_DATA_ERROR;
        more = z.avail_in > 0;
    }
    n = cap - z.avail_out;
    *ret_whole = result == Z_STREAM_END;
    inflateEnd(&z);
    return n;
}

static size_t snappy_block(struct td_slice in, uint8_t *room, size_t cap, bool *ret_whole)
{
    size_t n = 0;
    *ret_whole = snappy_uncompressed_length((const char *)in.p, in.n, &n) == SNAPPY_OK && n <= cap &&
                 snappy_uncompress((const char *)in.p, in.n, (char *)room, &n) == SNAPPY_OK;
    return *ret_whole ? n : 0;
}

/* Java's clients: a header of 16 bytes (magic, version, compatible version), then blocks, each after its length. */
static size_t decode_snappy(struct td_slice in, uint8_t *room, size_t cap, bool *ret_whole)
{
    static const uint8_t xerial[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    size_t n = 0;
    if (!td_starts(in, td_bytes(xerial, sizeof(xerial))))
        return snappy_block(in, room, cap, ret_whole);
    struct td_cursor c = td_cursor(in);
    td_skip(&c, 16);
    *ret_whole = !c.failed;
    while (*ret_whole && td_left(&c)) {
        uint32_t size = td_be32(&c);
        struct td_slice block = td_take(&c, size);
        *ret_whole = !c.failed;
        if (*ret_whole)
            n += snappy_block(block, room + n, cap - n, ret_whole);
    }
    return n;
}

/* Behind the frame's descriptor (lz4_Frame_format.md); false: none that can be read. */
static bool lz4_descriptor(struct td_cursor *c, bool *ret_block_checksums)
{
    if (td_le32(c) != 0x184d2204)
        return false;
    uint8_t flags = td_u8(c);
    td_skip(c, 1);
    td_skip(c, (flags & 0x08 ? 8u : 0u) + (flags & 0x01 ? 4u : 0u) + 1u); /* content size, dictionary id, checksum */
    *ret_block_checksums = flags & 0x10;
    return !c->failed && flags >> 6 == 1;
}

/* Blocks may refer to what the 64 KiB before them came to. */
static size_t lz4_blocks(struct td_cursor *c, bool checksums, uint8_t *room, size_t cap, bool *ret_whole)
{
    enum { WINDOW = 64 * 1024 };
    size_t n = 0;
    for (;;) {
        uint32_t size = td_le32(c);
        if (c->failed || size == 0) {
            *ret_whole = !c->failed;
            return n;
        }
        struct td_slice block = td_take(c, size & 0x7fffffff);
        size_t room_left = cap - n > INT_MAX ? INT_MAX : cap - n, window = n < WINDOW ? n : WINDOW;
        if (c->failed || block.n > INT_MAX || (size >> 31 && block.n > room_left))
            return n;
        if (size >> 31) {
            memcpy(room + n, block.p, block.n);
            n += block.n;
        } else {
            int got = LZ4_decompress_safe_usingDict((const char *)block.p, (char *)room + n, (int)block.n, (int)room_left,
                                                    (const char *)room + n - window, (int)window);
            if (got < 0)
                return n;
            n += (size_t)got;
        }
        td_skip(c, checksums ? 4 : 0);
    }
}

static size_t decode_lz4(struct td_slice in, uint8_t *room, size_t cap, bool *ret_whole)
{
    struct td_cursor c = td_cursor(in);
    bool checksums;
    return lz4_descriptor(&c, &checksums) ? lz4_blocks(&c, checksums, room, cap, ret_whole) : 0;
}

/* A window is memory, as much as the frame says: none is worth more than what may come out. */
static int window_log(size_t cap)
{
    int log = ZSTD_WINDOW_LOG_LEAST;
    while (log < ZSTD_WINDOW_LOG_MOST && (size_t)1 << log < cap)
        log++;
    return log;
}

/* What there is room for, or what comes before a damage. */
static size_t zstd_beginning(ZSTD_DCtx *ctx, struct td_slice in, uint8_t *room, size_t cap, bool *ret_whole)
{
    ZSTD_inBuffer from = {in.p, in.n, 0};
    ZSTD_outBuffer to = {room, cap, 0};
    size_t result = 1;
    (void)ZSTD_DCtx_reset(ctx, ZSTD_reset_session_only);
    (void)ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, window_log(cap));
    while (from.pos < from.size && !ZSTD_isError(result)) {
        size_t in_before = from.pos, out_before = to.pos;
        result = ZSTD_decompressStream(ctx, &to, &from);
        if (from.pos == in_before && to.pos == out_before)
            break; /* no room */
    }
    *ret_whole = result == 0 && from.pos == from.size;
    return to.pos;
}

static size_t decode_zstd(struct td_slice in, struct kafka_spare *spare, uint8_t *room, size_t cap, bool *ret_whole)
{
    ZSTD_DCtx *ctx = atomic_exchange(&spare->zstd, NULL);
    if (!ctx)
        ctx = ZSTD_createDCtx();
    if (!ctx)
        return 0;
    size_t n = ZSTD_decompressDCtx(ctx, room, cap, in.p, in.n); /* without a window of its own */
    *ret_whole = !ZSTD_isError(n);
    if (*ret_whole)
        ctx = atomic_exchange(&spare->zstd, ctx);
    else
        n = zstd_beginning(ctx, in, room, cap, ret_whole); /* may come to hold a whole window: not kept */
    ZSTD_freeDCtx(ctx);
    return n;
}

void kafka_spare_clear(struct kafka_spare *spare)
{
    ZSTD_freeDCtx(atomic_exchange(&spare->zstd, NULL));
}

size_t kafka_decode(unsigned codec, struct td_slice in, struct kafka_spare *spare, uint8_t *room, size_t cap, bool *ret_whole)
{
    *ret_whole = false;
    if (in.n == 0 || cap == 0)
        return 0;
    switch (codec) {
    case KAFKA_GZIP: return decode_gzip(in, room, cap, ret_whole);
    case KAFKA_SNAPPY: return decode_snappy(in, room, cap, ret_whole);
    case KAFKA_LZ4: return decode_lz4(in, room, cap, ret_whole);
    case KAFKA_ZSTD: return decode_zstd(in, spare, room, cap, ret_whole);
    default: return 0;
    }
}
