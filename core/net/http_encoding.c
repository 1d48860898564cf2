#include "net/http_encoding.h"

#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum {
    GZIP_LEVEL = 4, /* five times as fast as the highest, a few percent longer */
    ZSTD_LEVEL = 3,
    LIVE_WINDOW_LOG = 17, /* 128 KiB: half a megabyte for each stream, not four */
    LIVE_GZIP_MEMORY = 6,
    OUT_BLOCK = 32 << 10,
};

/* ---- Choosing ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct td_slice trim(struct td_slice s)
{
    while (s.n && is_space((char)s.p[0]))
        s = td_sub(s, 1, s.n);
    while (s.n && is_space((char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* The part up to `separator`, which *rest begins behind afterwards. */
static struct td_slice take_until(struct td_slice *rest, char separator)
{
    const uint8_t *end = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    struct td_slice part = td_sub(*rest, 0, n);
    *rest = td_sub(*rest, end ? n + 1 : n, rest->n);
    return trim(part);
}

/* "q=0.5" in thousandths (RFC 9110 section 12.4.2); -1: not that. */
static int parse_weight(struct td_slice text)
{
    if (text.n < 3 || text.n > 7 || td_ascii_lower(text.p[0]) != 'q' || text.p[1] != '=' || (text.p[2] != '0' && text.p[2] != '1') ||
        (text.n > 3 && text.p[3] != '.'))
        return -1;
    int weight = text.p[2] == '1' ? 1000 : 0, unit = 100;
    for (size_t i = 4; i < text.n; i++, unit /= 10) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        weight += (text.p[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : -1;
}

enum { UNTOLD = -1 };

struct wishes {
    int identity, gzip, zstd, any; /* in thousandths */
};

static void take_wish(struct wishes *w, struct td_slice element)
{
    struct td_slice coding = take_until(&element, ';');
    int weight = element.n ? parse_weight(trim(element)) : 1000;
    if (weight < 0)
        return;
    if (td_eq_nocase(coding, TD_LIT("gzip")) || td_eq_nocase(coding, TD_LIT("x-gzip")))
        w->gzip = weight;
    else if (td_eq_nocase(coding, TD_LIT("zstd")))
        w->zstd = weight;
    else if (td_eq_nocase(coding, TD_LIT("identity")))
        w->identity = weight;
    else if (td_eq(coding, TD_LIT("*")))
        w->any = weight;
}

enum http_coding http_coding_choose(const char *accept)
{
    struct wishes w = {UNTOLD, UNTOLD, UNTOLD, UNTOLD};
    for (struct td_slice rest = td_str(accept); rest.n;)
        take_wish(&w, take_until(&rest, ','));
    int identity = w.identity != UNTOLD ? w.identity : w.any;
    if (w.zstd > 0 && w.zstd >= w.gzip && w.zstd >= identity)
        return HTTP_ZSTD;
    return w.gzip > 0 && w.gzip >= identity ? HTTP_GZIP : HTTP_IDENTITY;
}

const char *http_coding_name(enum http_coding coding)
{
    return coding == HTTP_ZSTD ? "zstd" : coding == HTTP_GZIP ? "gzip" : "identity";
}

static bool ends(struct td_slice s, struct td_slice suffix)
{
    return s.n >= suffix.n && td_eq_nocase(td_sub(s, s.n - suffix.n, s.n), suffix);
}

bool http_type_is_text(const char *type)
{
    static const char *const names[] = {"application/json", "application/x-ndjson", "application/javascript", "application/yaml",
                                        "application/openmetrics-text"};
    struct td_slice rest = td_str(type), name = take_until(&rest, ';');
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (td_eq_nocase(name, td_str(names[i])))
            return true;
    return (name.n > 5 && td_eq_nocase(td_sub(name, 0, 5), TD_LIT("text/"))) || ends(name, TD_LIT("+json")) || ends(name, TD_LIT("+xml"));
}

/* ---- Coding ---- */

struct http_encoder {
    enum http_coding coding;
    z_stream gzip;
    bool gzip_open;
    ZSTD_CCtx *zstd;
};

static bool open_gzip(struct http_encoder *e, bool live)
{
    /* 16 more: a gzip head. */
    e->gzip_open = deflateInit2(&e->gzip, GZIP_LEVEL, Z_DEFLATED, MAX_WBITS + 16, live ? LIVE_GZIP_MEMORY : 8, Z_DEFAULT_STRATEGY) == Z_OK;
    return e->gzip_open;
}

static bool open_zstd(struct http_encoder *e, bool live)
{
    e->zstd = ZSTD_createCCtx();
    return e->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, live ? 1 : ZSTD_LEVEL)) &&
           (!live || !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_windowLog, LIVE_WINDOW_LOG)));
}

int http_encoder_new(enum http_coding coding, bool live, struct http_encoder **ret, struct error *err)
{
    struct http_encoder *e = mem_calloc(1, sizeof(*e));
    if (!e)
        return error_nomem(err);
    e->coding = coding;
    if (coding == HTTP_ZSTD ? open_zstd(e, live) : open_gzip(e, live)) {
        *ret = e;
        return TD_OK;
    }
    http_encoder_free(e);
    return error_nomem(err);
}

void http_encoder_free(struct http_encoder *e)
{
    if (!e)
        return;
    if (e->gzip_open)
        deflateEnd(&e->gzip);
    ZSTD_freeCCtx(e->zstd);
    mem_free(e);
}

/* How much room there is behind the end of `out`; at least some, or it has failed. */
static size_t room(struct buf *out)
{
    size_t want = OUT_BLOCK;
    if (out->max && out->max - out->n < want)
        want = out->max > out->n ? out->max - out->n : 1;
    return buf_reserve(out, want) ? want : 0;
}

static bool encode_gzip(struct http_encoder *e, struct td_slice in, int flush, struct buf *out)
{
    e->gzip.next_in = (z_const Bytef *)(uintptr_t)in.p;
    e->gzip.avail_in = (uInt)in.n;
    for (;;) {
        size_t n = room(out);
        if (!n)
            return false;
        e->gzip.next_out = out->p + out->n;
        e->gzip.avail_out = (uInt)n;
        int status = deflate(&e->gzip, flush);
        out->n += n - e->gzip.avail_out;
        if (status == Z_STREAM_END || (status == Z_BUF_ERROR && e->gzip.avail_in == 0))
            return true;
        if (status != Z_OK)
            return false;
        if (e->gzip.avail_out && e->gzip.avail_in == 0 && flush != Z_FINISH)
            return true;
    }
}

static bool encode_zstd(struct http_encoder *e, struct td_slice in, ZSTD_EndDirective flush, struct buf *out)
{
    ZSTD_inBuffer from = {in.p, in.n, 0};
    for (;;) {
        size_t n = room(out);
        if (!n)
            return false;
        ZSTD_outBuffer to = {out->p + out->n, n, 0};
        size_t left = ZSTD_compressStream2(e->zstd, &to, &from, flush);
        out->n += to.pos;
        if (ZSTD_isError(left))
            return false;
        if (flush == ZSTD_e_continue ? from.pos == from.size : left == 0)
            return true;
    }
}

int http_encode(struct http_encoder *e, struct td_slice in, enum http_coding_flush flush, struct buf *out, struct error *err)
{
    static const int gzip_flush[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    static const ZSTD_EndDirective zstd_flush[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    enum { PART = 1 << 30 }; /* zlib counts in unsigned int */
    bool good = !out->failed;
    if (e->coding == HTTP_ZSTD)
        good = good && encode_zstd(e, in, zstd_flush[flush], out);
    for (bool last = e->coding == HTTP_ZSTD; good && !last;) {
        struct td_slice part = td_sub(in, 0, PART);
        in = td_sub(in, part.n, in.n);
        last = in.n == 0;
        good = encode_gzip(e, part, last ? gzip_flush[flush] : Z_NO_FLUSH, out);
    }
    return good ? TD_OK : error_set(err, TD_E_NOMEM, "the answer cannot be compressed: there is not enough room");
}
