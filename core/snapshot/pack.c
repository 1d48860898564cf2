#include "snapshot/pack.h"

#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum { OUT_BYTES = 128 << 10, ZSTD_LEVEL = 3, GZIP_LEVEL = 6, GZIP_WINDOW = 15, GZIP_FORMAT = 16, GZIP_MEMORY = 8 };

struct pack {
    enum archive_packing packing;
    pack_write_fn *write;
    void *ctx;
    ZSTD_CCtx *zstd;
    z_stream gzip;
    bool gzip_begun;
    uint8_t out[OUT_BYTES];
};

int pack_new(enum archive_packing packing, int level, pack_write_fn *write, void *ctx, struct pack **ret, struct error *err)
{
    struct pack *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return error_nomem(err);
    p->packing = packing;
    p->write = write;
    p->ctx = ctx;
    bool good = true;
    if (packing == ARCHIVE_ZSTD) {
        p->zstd = ZSTD_createCCtx();
        good = p->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level ? level : ZSTD_LEVEL)) &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1));
    } else if (packing == ARCHIVE_GZIP) {
        p->gzip_begun = good = deflateInit2(&p->gzip, level ? level : GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW + GZIP_FORMAT, GZIP_MEMORY,
                                            Z_DEFAULT_STRATEGY) == Z_OK;
    }
    if (!good) {
        pack_free(p);
        return error_nomem(err);
    }
    *ret = p;
    return TD_OK;
}

void pack_free(struct pack *p)
{
    if (!p)
        return;
    ZSTD_freeCCtx(p->zstd);
    if (p->gzip_begun)
        deflateEnd(&p->gzip);
    mem_free(p);
}

static int zstd_step(struct pack *p, struct td_slice bytes, ZSTD_EndDirective how, struct error *err)
{
    ZSTD_inBuffer in = {bytes.p, bytes.n, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {p->out, sizeof(p->out), 0};
        left = ZSTD_compressStream2(p->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return error_set(err, TD_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
        int status = out.pos ? p->write(p->ctx, td_bytes(p->out, out.pos), err) : TD_OK;
        if (status != TD_OK)
            return status;
    } while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
    return TD_OK;
}

static int gzip_step(struct pack *p, struct td_slice bytes, int how, struct error *err)
{
    p->gzip.next_in = (Bytef *)(uintptr_t)bytes.p; /* which it does not change */
    p->gzip.avail_in = (uInt)bytes.n;
    int code;
    do {
        p->gzip.next_out = p->out;
        p->gzip.avail_out = sizeof(p->out);
        code = deflate(&p->gzip, how);
        if (code == Z_STREAM_ERROR)
            return error_set(err, TD_E_INTERNAL, "zlib: a stream error");
        size_t n = sizeof(p->out) - p->gzip.avail_out;
        int status = n ? p->write(p->ctx, td_bytes(p->out, n), err) : TD_OK;
        if (status != TD_OK)
            return status;
    } while (how == Z_FINISH ? code != Z_STREAM_END : p->gzip.avail_out == 0);
    return TD_OK;
}

int pack_write(struct pack *p, struct td_slice bytes, struct error *err)
{
    enum { AT_ONCE = 1 << 30 };
    int status = TD_OK;
    while (bytes.n && status == TD_OK) {
        struct td_slice part = td_sub(bytes, 0, bytes.n < AT_ONCE ? bytes.n : AT_ONCE);
        switch (p->packing) {
        case ARCHIVE_ZSTD: status = zstd_step(p, part, ZSTD_e_continue, err); break;
        case ARCHIVE_GZIP: status = gzip_step(p, part, Z_NO_FLUSH, err); break;
        default: status = p->write(p->ctx, part, err); break;
        }
        bytes = td_sub(bytes, part.n, bytes.n);
    }
    return status;
}

int pack_end(struct pack *p, struct error *err)
{
    switch (p->packing) {
    case ARCHIVE_ZSTD: return zstd_step(p, td_bytes(NULL, 0), ZSTD_e_end, err);
    case ARCHIVE_GZIP: return gzip_step(p, td_bytes(NULL, 0), Z_FINISH, err);
    default: return TD_OK;
    }
}
