#include "content_decode.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

enum { ZSTD_WINDOW_LOG = 23 };

/* One coding's input and output. */
struct step {
    struct td_slice in;
    uint8_t *out;
    size_t cap, n; /* of `out`: room, bytes written */
};

static enum content_decoded inflate_all(z_stream *z, struct step *s, bool members)
{
    for (;;) {
        int rc = inflate(z, Z_NO_FLUSH);
        s->n = s->cap - z->avail_out;
        if (rc == Z_STREAM_END) {
            /* A gzip file may have several members, one behind the other (RFC 1952 section 2.2). */
            if (!members || z->avail_in < 2 || z->next_in[0] != 0x1f || z->next_in[1] != 0x8b || inflateReset(z) != Z_OK)
                return CONTENT_DECODED;
        } else if (rc == Z_BUF_ERROR || rc == Z_OK) {
            if (z->avail_out == 0)
                return CONTENT_DECODED;
            if (z->avail_in == 0)
                return CONTENT_DECODED_CUT;
        } else {
            return CONTENT_DECODED_BAD;
        }
    }
}

/* `window_bits` as inflateInit2() takes it: which of the three wrappings. */
static enum content_decoded decode_zlib(struct step *s, int window_bits)
{
    z_stream z;
    enum content_decoded result;
    memset(&z, 0, sizeof(z));
    if (inflateInit2(&z, window_bits) != Z_OK)
        return CONTENT_DECODED_BAD;
    /* Bodies and buffers are below 4 GiB by the option's limit; this makes it visible. */
    z.next_in = (z_const Bytef *)s->in.p;
    z.avail_in = (uInt)(s->in.n < UINT32_MAX ? s->in.n : UINT32_MAX);
    z.next_out = s->out;
    z.avail_out = (uInt)s->cap;
    result = inflate_all(&z, s, window_bits > MAX_WBITS);
    (void)inflateEnd(&z);
    return result;
}

/* "deflate" is the zlib format by the book; some servers send the raw one (RFC 9110 section 8.4.1.2). */
static enum content_decoded decode_deflate(struct step *s)
{
    enum content_decoded result = decode_zlib(s, MAX_WBITS);
    if (result == CONTENT_DECODED_BAD && s->n == 0)
        result = decode_zlib(s, -MAX_WBITS);
    return result;
}

static enum content_decoded decode_brotli(struct step *s)
{
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    BrotliDecoderResult result;
    size_t in_left = s->in.n, out_left = s->cap;
    const uint8_t *in = s->in.p;
    uint8_t *out = s->out;
    if (!state)
        return CONTENT_DECODED_BAD;
    result = BrotliDecoderDecompressStream(state, &in_left, &in, &out_left, &out, NULL);
    s->n = s->cap - out_left;
    BrotliDecoderDestroyInstance(state);
    switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return CONTENT_DECODED;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return CONTENT_DECODED_CUT;
    default: return CONTENT_DECODED_BAD;
    }
}

static enum content_decoded decode_zstd(struct step *s)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {s->in.p, s->in.n, 0};
    ZSTD_outBuffer out = {s->out, s->cap, 0};
    enum content_decoded result = CONTENT_DECODED;
    size_t hint = 1;
    if (!stream)
        return CONTENT_DECODED_BAD;
    (void)ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    /* Each round takes input or fills the buffer. A hint of 0 ends a frame; others may follow. */
    while (in.pos < in.size && out.pos < out.size) {
        hint = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(hint)) {
            result = CONTENT_DECODED_BAD;
            break;
        }
    }
    s->n = out.pos;
    if (result == CONTENT_DECODED && hint != 0 && out.pos < out.size)
        result = CONTENT_DECODED_CUT;
    (void)ZSTD_freeDStream(stream);
    return result;
}

static enum content_decoded decode_step(uint8_t coding, struct step *s)
{
    switch (coding) {
    case CONTENT_GZIP: return decode_zlib(s, MAX_WBITS + 16);
    case CONTENT_DEFLATE: return decode_deflate(s);
    case CONTENT_BROTLI: return decode_brotli(s);
    case CONTENT_ZSTD: return decode_zstd(s);
    default: return CONTENT_DECODED_BAD;
    }
}

enum content_decoded content_decode(const uint8_t *codings, size_t n, struct td_slice in, uint8_t *room, size_t cap,
                                    struct td_slice *ret_out)
{
    enum content_decoded result = CONTENT_DECODED;
    struct td_slice bytes = in;
    size_t i;
    *ret_out = td_bytes(NULL, 0);
    /* The last one applied comes off first. Odd steps write behind the even ones. */
    for (i = 0; i < n; i++) {
        struct step s = {bytes, i % 2 ? room + cap : room, cap, 0};
        enum content_decoded one = bytes.n ? decode_step(codings[n - 1 - i], &s) : CONTENT_DECODED;
        /* An inner coding that ends early is no wonder once the outer one did. */
        if (one > result)
            result = one;
        bytes = td_bytes(s.out, s.n);
        if (one == CONTENT_DECODED_BAD && (s.n == 0 || i + 1 < n))
            return CONTENT_DECODED_BAD;
    }
    *ret_out = bytes;
    return result;
}

static bool is_name(struct td_slice s, const char *name)
{
    return td_eq_nocase(s, td_str(name));
}

enum content_coding content_coding_by_name(struct td_slice name)
{
    if (is_name(name, "gzip") || is_name(name, "x-gzip"))
        return CONTENT_GZIP;
    if (is_name(name, "deflate"))
        return CONTENT_DEFLATE;
    if (is_name(name, "br"))
        return CONTENT_BROTLI;
    if (is_name(name, "zstd"))
        return CONTENT_ZSTD;
    return CONTENT_CODING_UNKNOWN;
}

bool content_is_identity(struct td_slice name)
{
    return is_name(name, "identity") || is_name(name, "none");
}
