#include "base/utf8.h"

#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

size_t utf8_plain_run(const uint8_t *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\', del = v ^ ones * 0x7f;
        uint64_t odd = ((v - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones) | v) & highs;
        if (odd)
            break;
    }
    while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '\\';
}

/* Length of what may stand as it is at `p`; 0: the byte is to be escaped. */
static size_t printable_length(const uint8_t *p, size_t n, enum utf8_style style)
{
    if (p[0] < 0x80)
        return is_plain(p[0]) || (style == UTF8_PROSE && (p[0] == '\t' || p[0] == '\\'));
    if (p[0] == 0xc2 && n > 1 && p[1] < 0xa0)
        return 0;
    return utf8_length(p, n);
}

static void put_escaped(struct buf *out, uint8_t c)
{
    switch (c) {
    case '\t': buf_lit(out, "\\t"); break;
    case '\n': buf_lit(out, "\\n"); break;
    case '\r': buf_lit(out, "\\r"); break;
    case '\\': buf_lit(out, "\\\\"); break;
    default: buf_printf(out, "\\x%02x", c); break;
    }
}

/* As utf8_put_slashed(), sixteen bytes at a time, as far as thirty-two are there: where a backslash goes in front, the bytes from there on
 * are stored once more, one further. */
static inline uint8_t *put_wide(const uint8_t *text, size_t *at, size_t end, uint8_t *to, bool quotes)
{
#ifdef __SSE2__
    for (; *at + 32 <= end; *at += 16) {
        const uint8_t *p = text + *at;
        __m128i v = _mm_loadu_si128((const void *)p);
        /* As signed numbers: control characters, and all that is not ASCII. */
        __m128i others = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
        __m128i marks = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
        if (quotes)
            marks = _mm_or_si128(marks, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
        unsigned slashes = (unsigned)_mm_movemask_epi8(marks);
        if (_mm_movemask_epi8(others))
            break;
        _mm_storeu_si128((void *)to, v);
        for (; slashes; slashes &= slashes - 1) {
            unsigned slash = (unsigned)__builtin_ctz(slashes);
            to[slash] = '\\';
            to++;
            _mm_storeu_si128((void *)(to + slash), _mm_loadu_si128((const void *)(p + slash)));
        }
        to += 16;
    }
#else
    (void)text;
    (void)at;
    (void)end;
    (void)quotes;
#endif
    return to;
}

static inline size_t put_slashed(struct buf *out, struct td_slice text, bool quotes)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    enum { BLOCK = 4096 };
    size_t i = 0;
    while (i + 8 <= text.n) {
        size_t end = text.n - i < BLOCK ? text.n : i + BLOCK;
        if (!buf_reserve(out, 2 * (end - i) + 32))
            return i;
        uint8_t *to = put_wide(text.p, &i, end, out->p + out->n, quotes);
        while (i + 8 <= end) {
            uint64_t v;
            memcpy(&v, text.p + i, 8);
            uint64_t slash = v ^ ones * '\\', quote = quotes ? v ^ ones * '"' : ones, del = v ^ ones * 0x7f;
            uint64_t odd = ((v - ones * 0x20) | (slash - ones) | (quote - ones) | (del - ones) | v) & highs;
            memcpy(to, &v, 8);
            size_t plain = odd ? (size_t)__builtin_ctzll(le64toh(odd)) / 8 : 8;
            i += plain;
            to += plain;
            if (!odd)
                continue;
            if (text.p[i] != '\\' && !(quotes && text.p[i] == '"'))
                break;
            *to++ = '\\';
            *to++ = text.p[i++];
        }
        bool stopped = i + 8 <= end;
        out->n = (size_t)(to - out->p);
        if (stopped)
            break;
    }
    return i;
}

size_t utf8_put_slashed(struct buf *out, struct td_slice text)
{
    return put_slashed(out, text, true);
}

void utf8_put_printable(struct buf *out, struct td_slice text, enum utf8_style style)
{
    size_t begin = style == UTF8_CELL ? put_slashed(out, text, false) : 0; /* of what was not yet put */
    for (size_t i = begin ? begin : utf8_plain_run(text.p, text.n); i < text.n;) {
        size_t length = is_plain(text.p[i]) ? 1 : printable_length(text.p + i, text.n - i, style);
        if (!length) {
            buf_put(out, text.p + begin, i - begin);
            put_escaped(out, text.p[i]);
            begin = i + 1;
        }
        i += length ? length : 1;
    }
    if (text.n > begin)
        buf_put(out, text.p + begin, text.n - begin);
}

void utf8_put_text(struct buf *out, struct td_slice text)
{
    size_t begin = 0; /* of what was not yet put */
    for (size_t i = utf8_plain_run(text.p, text.n); i < text.n;) {
        size_t length = text.p[i] ? utf8_length(text.p + i, text.n - i) : 0;
        if (!length) {
            buf_put_slice(out, td_sub(text, begin, i));
            buf_lit(out, "\xef\xbf\xbd");
            begin = i + 1;
        }
        i += length ? length : 1;
    }
    buf_put_slice(out, td_sub(text, begin, text.n));
}
