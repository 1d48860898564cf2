#include "base/utf8.h"

#include <endian.h>
#ifdef __x86_64__
#include <immintrin.h>
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

#ifdef __x86_64__
/* As put_wide(), thirty-two bytes at a time and up to the end, without a branch that depends on how many get a backslash, which in text
 * that quotes text nobody can foretell: each byte gets one, and those that are not wanted are squeezed out. */
__attribute__((target("avx512bw,avx512vl,avx512vbmi2,bmi2,popcnt"))) static uint8_t *put_widest(const uint8_t *text, size_t *at, size_t end,
                                                                                                uint8_t *to, bool quotes)
{
    const __m256i space = _mm256_set1_epi8(0x20), above = _mm256_set1_epi8(0x7f - 0x20);
    const __m256i slash = _mm256_set1_epi8('\\'), other = _mm256_set1_epi8(quotes ? '"' : '\\');
    const __m512i slashes = _mm512_set1_epi16('\\');
    uint32_t plain = UINT32_MAX;
    while (*at < end && plain == UINT32_MAX) {
        uint32_t valid = end - *at < 32 ? _bzhi_u32(UINT32_MAX, (uint32_t)(end - *at)) : UINT32_MAX;
        __m256i v = _mm256_maskz_loadu_epi8(valid, text + *at);
        plain = _mm256_mask_cmplt_epu8_mask(valid, _mm256_sub_epi8(v, space), above);
        uint32_t set = _mm256_cmpeq_epi8_mask(v, slash) | _mm256_cmpeq_epi8_mask(v, other);
        size_t n = plain == UINT32_MAX ? 32 : (size_t)__builtin_ctz(~plain);
        /* Low bytes for backslashes, high ones for what is there. */
        __m512i wide = _mm512_or_si512(_mm512_slli_epi16(_mm512_cvtepu8_epi16(v), 8), slashes);
        uint64_t kept = _bzhi_u64(_pdep_u64(set, 0x5555555555555555u) | 0xaaaaaaaaaaaaaaaau, (uint32_t)(2 * n));
        _mm512_storeu_si512((void *)to, _mm512_maskz_compress_epi8(kept, wide));
        to += __builtin_popcountll(kept);
        *at += n;
    }
    return to;
}

static inline bool has_widest(void)
{
    return __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
#endif

static inline uint8_t *put_many(const uint8_t *text, size_t *at, size_t end, uint8_t *to, bool quotes)
{
#ifdef __x86_64__
    if (has_widest())
        return put_widest(text, at, end, to, quotes);
#endif
    return put_wide(text, at, end, to, quotes);
}

static inline size_t put_slashed(struct buf *out, struct td_slice text, bool quotes)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    enum { BLOCK = 4096, SLACK = 64 /* that is written behind what counts */ };
    size_t i = 0;
    while (i + 8 <= text.n) {
        size_t end = text.n - i < BLOCK ? text.n : i + BLOCK;
        if (!buf_reserve(out, 2 * (end - i) + SLACK))
            return i;
        uint8_t *to = put_many(text.p, &i, end, out->p + out->n, quotes);
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
