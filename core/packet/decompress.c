#include "decompress.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "packet/bytes.h"

enum { INPUT_BYTES = 64 << 10, GZIP_WINDOW = 15, GZIP_ONLY = 16 };

struct decompress {
    enum decompress_kind kind;
    struct raw *raw;
    z_stream gzip;
    ZSTD_DStream *zstd;
    size_t zstd_hint; /* bytes that zstd would like next: up to the end of a block */
    bool in_member;   /* inside a gzip member or zstd frame */
    bool done;
    size_t at, n; /* in[at, n) waits to be decompressed */
    uint8_t in[INPUT_BYTES];
};

static bool is_zstd_magic(uint32_t magic)
{
    return magic == 0xfd2fb528 || (magic & 0xfffffff0) == 0x184d2a50; /* a frame, or a skippable one */
}

static bool is_gzip_magic(const uint8_t *p)
{
    return p[0] == 0x1f && p[1] == 0x8b;
}

enum decompress_kind decompress_detect(struct td_slice head)
{
    if (head.n >= 2 && is_gzip_magic(head.p))
        return DECOMPRESS_GZIP;
    if (head.n >= 4 && is_zstd_magic(bytes_u32(head.p, false)))
        return DECOMPRESS_ZSTD;
    return DECOMPRESS_NONE;
}

int decompress_new(enum decompress_kind kind, struct raw *raw, struct decompress **ret, struct error *err)
{
    struct decompress *d = mem_calloc(1, sizeof(*d));
    if (!d)
        return error_nomem(err);
    d->kind = kind;
    d->raw = raw;
    if (kind == DECOMPRESS_GZIP) {
        if (inflateInit2(&d->gzip, GZIP_WINDOW + GZIP_ONLY) != Z_OK)
            goto fail;
    } else {
        d->zstd = ZSTD_createDStream();
        if (!d->zstd)
            goto fail;
        d->zstd_hint = ZSTD_initDStream(d->zstd);
    }
    *ret = d;
    return TD_OK;

fail:
    mem_free(d);
    return error_nomem(err);
}

void decompress_free(struct decompress *d)
{
    if (!d)
        return;
    if (d->kind == DECOMPRESS_GZIP)
        inflateEnd(&d->gzip);
    ZSTD_freeDStream(d->zstd);
    mem_free(d);
}

static int corrupt(struct decompress *d, struct error *err, const char *why, const char *detail)
{
    return error_set(err, TD_E_CORRUPT, "compressed offset %llu: %s%s", (unsigned long long)(d->raw->position - (d->n - d->at)), why,
                     detail);
}

/* Tops the input up to `want` bytes, unless the data ends before. */
static int fill(struct decompress *d, size_t want, struct error *err)
{
    if (d->n - d->at >= want)
        return TD_OK;
    memmove(d->in, d->in + d->at, d->n - d->at);
    d->n -= d->at;
    d->at = 0;
    for (size_t got = 1; d->n < want && got; d->n += got) {
        int status = raw_read(d->raw, d->in + d->n, sizeof(d->in) - d->n, &got, err);
        if (status != TD_OK)
            return status;
    }
    return TD_OK;
}

/* Between two members: is there another one? */
static int gzip_next_member(struct decompress *d, struct error *err)
{
    int status = fill(d, 2, err);
    if (status != TD_OK)
        return status;
    if (d->n - d->at >= 2 && is_gzip_magic(d->in + d->at)) {
        inflateReset(&d->gzip);
        d->in_member = true;
        return TD_OK;
    }
    while (d->n > d->at) {
        if (d->in[d->at] != 0)
            return corrupt(d, err, "what follows the gzip data is not gzip; the file is damaged from here on", "");
        d->at++;
        status = fill(d, 1, err);
        if (status != TD_OK)
            return status;
    }
    d->done = true;
    return TD_OK;
}

static int gzip_step(struct decompress *d, uint8_t *to, size_t n, size_t *ret_n, struct error *err)
{
    int status = d->in_member ? fill(d, 1, err) : gzip_next_member(d, err);
    if (status != TD_OK || d->done)
        return status;
    if (d->at == d->n)
        return corrupt(d, err, "the gzip stream is cut; the file is incomplete", "");
    d->gzip.next_in = d->in + d->at;
    d->gzip.avail_in = (uInt)(d->n - d->at);
    d->gzip.next_out = to;
    d->gzip.avail_out = (uInt)n;
    int result = inflate(&d->gzip, Z_NO_FLUSH);
    d->at = d->n - d->gzip.avail_in;
    *ret_n = n - d->gzip.avail_out;
    if (result == Z_STREAM_END)
        d->in_member = false;
    else if (result == Z_MEM_ERROR)
        return error_nomem(err);
    else if (result != Z_OK && result != Z_BUF_ERROR && !*ret_n)
        return corrupt(d, err, "the gzip stream is corrupt", "");
    return TD_OK;
}

static int zstd_step(struct decompress *d, uint8_t *to, size_t n, size_t *ret_n, struct error *err)
{
    /* No more than zstd asks for: then each call decodes one block at most, and a corrupt block costs none of
     * those before it. But less, if that is what there is: it asks for the next block's header as well, which a pipe's writer
     * may send much later. */
    size_t want = d->zstd_hint < sizeof(d->in) ? d->zstd_hint : sizeof(d->in);
    int status = fill(d, 1, err);
    if (status != TD_OK)
        return status;
    size_t have = d->n - d->at;
    if (!have && !d->in_member) {
        d->done = true;
        return TD_OK;
    }
    ZSTD_inBuffer in = {d->in + d->at, have < want ? have : want, 0};
    ZSTD_outBuffer out = {to, n, 0};
    size_t result = ZSTD_decompressStream(d->zstd, &out, &in);
    if (ZSTD_isError(result))
        return corrupt(d, err, "the zstd stream cannot be read on: ", ZSTD_getErrorName(result));
    d->at += in.pos;
    *ret_n = out.pos;
    d->in_member = result != 0;
    d->zstd_hint = result ? result : 5; /* the shortest frame header (RFC 8878 section 3.1.1), so that it is seen whole */
    if (!have && !out.pos && result)
        return corrupt(d, err, "the zstd stream is cut; the file is incomplete", "");
    return TD_OK;
}

int decompress_read(struct decompress *d, uint8_t *to, size_t n, size_t *ret_n, struct error *err)
{
    *ret_n = 0;
    while (!*ret_n && !d->done) {
        int status = d->kind == DECOMPRESS_GZIP ? gzip_step(d, to, n, ret_n, err) : zstd_step(d, to, n, ret_n, err);
        if (status != TD_OK)
            return status;
    }
    return TD_OK;
}
