#include "kafka_escape.h"

#include <endian.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#ifdef __x86_64__
/* For each set of eight bytes that get a backslash in front: where each byte of the result comes from, 8 for a backslash. */
#define TAKE_0(i) i,
#define TAKE_1(i) 8, i,
#define ROW(a, b, c, d, e, f, g, h)                                                                     \
    {                                                                                                   \
        TAKE_##a(0) TAKE_##b(1) TAKE_##c(2) TAKE_##d(3) TAKE_##e(4) TAKE_##f(5) TAKE_##g(6) TAKE_##h(7) \
    }
#define ROWS_2(...) ROW(0, __VA_ARGS__), ROW(1, __VA_ARGS__)
#define ROWS_4(...) ROWS_2(0, __VA_ARGS__), ROWS_2(1, __VA_ARGS__)
#define ROWS_8(...) ROWS_4(0, __VA_ARGS__), ROWS_4(1, __VA_ARGS__)
#define ROWS_16(...) ROWS_8(0, __VA_ARGS__), ROWS_8(1, __VA_ARGS__)
#define ROWS_32(...) ROWS_16(0, __VA_ARGS__), ROWS_16(1, __VA_ARGS__)
#define ROWS_64(...) ROWS_32(0, __VA_ARGS__), ROWS_32(1, __VA_ARGS__)
#define ROWS_128(h) ROWS_64(0, h), ROWS_64(1, h)
static const uint8_t spread[256][16] = {ROWS_128(0), ROWS_128(1)};

/* Writes sixteen bytes to `to`, those in `set` with a backslash in front, and returns where they end. */
__attribute__((target("avx,popcnt"))) static inline uint8_t *put_spread(uint8_t *to, __m128i v, unsigned set)
{
    const __m128i slash = _mm_set1_epi8('\\');
    __m128i first = _mm_loadu_si128((const void *)spread[set & 0xff]), second = _mm_loadu_si128((const void *)spread[set >> 8]);
    uint8_t *middle = to + 8 + __builtin_popcount(set & 0xff);
    _mm_storeu_si128((void *)to, _mm_shuffle_epi8(_mm_unpacklo_epi64(v, slash), first));
    _mm_storeu_si128((void *)middle, _mm_shuffle_epi8(_mm_unpackhi_epi64(v, slash), second));
    return middle + 8 + __builtin_popcount(set >> 8);
}

/* Which of sixteen bytes are control characters or not ASCII (as signed numbers, all of these are small), and which get a backslash. */
__attribute__((target("avx,popcnt"))) static inline unsigned odd_ones(__m128i v, unsigned *ret_marks)
{
    __m128i others = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    *ret_marks = (unsigned)_mm_movemask_epi8(marks);
    return (unsigned)_mm_movemask_epi8(others);
}

/* Sixteen bytes at a time, without a branch that depends on how many of them get a backslash; at the text's end also fewer, where what is
 * behind it may be read. */
__attribute__((target("avx,popcnt"))) static struct kafka_escaped escape_wide(struct td_slice text, size_t behind, uint8_t *to,
                                                                              const uint8_t *end)
{
    const uint8_t *p = text.p, *text_end = text.p + text.n;
    unsigned set;
    for (; text_end - p >= 16 && end - to >= KAFKA_ESCAPE_SLACK; p += 16) {
        __m128i v = _mm_loadu_si128((const void *)p);
        if (odd_ones(v, &set))
            return (struct kafka_escaped){(size_t)(p - text.p), to};
        to = put_spread(to, v, set);
    }
    size_t n = (size_t)(text_end - p);
    if (n && n < 16 && behind >= 16 - n && end - to >= KAFKA_ESCAPE_SLACK) {
        __m128i v = _mm_loadu_si128((const void *)p);
        unsigned valid = 0xffffu >> (16 - n);
        if (!(odd_ones(v, &set) & valid)) {
            to = put_spread(to, v, set & valid) - (16 - n);
            p = text_end;
        }
    }
    return (struct kafka_escaped){(size_t)(p - text.p), to};
}
#endif

/* From what is done on; eight bytes at a time, in portable C. */
static struct kafka_escaped escape_words(struct td_slice text, struct kafka_escaped done, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (done.used + 8 <= text.n && end - done.to >= KAFKA_ESCAPE_SLACK) {
        uint64_t w;
        memcpy(&w, text.p + done.used, 8);
        uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\', rubout = w ^ ones * 0x7f;
        uint64_t odd = (w | (w - ones * 0x20) | (quote - ones) | (slash - ones) | (rubout - ones)) & highs;
        memcpy(done.to, &w, 8);
        /* A borrow may make the byte behind an odd one look odd, but never one before it. */
        size_t plain = odd ? (size_t)__builtin_ctzll(le64toh(odd)) / 8 : 8;
        done.used += plain;
        done.to += plain;
        if (!odd)
            continue;
        uint8_t c = text.p[done.used];
        if (c != '"' && c != '\\')
            break;
        *done.to++ = '\\';
        *done.to++ = c;
        done.used++;
    }
    return done;
}

struct kafka_escaped kafka_escape(struct td_slice text, size_t behind, uint8_t *to, const uint8_t *end)
{
    struct kafka_escaped done = {0, to};
    if (!text.n)
        return done; /* perhaps nowhere */
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx") && __builtin_cpu_supports("popcnt"))
        done = escape_wide(text, behind, to, end);
    if (done.used == text.n)
        return done;
#else
    (void)behind;
#endif
    if (done.used + 8 <= text.n)
        done = escape_words(text, done, end);
    for (; done.used < text.n && end - done.to >= KAFKA_ESCAPE_SLACK; done.used++) {
        uint8_t c = text.p[done.used];
        if (!kafka_is_plain(c)) {
            if (c != '"' && c != '\\')
                break;
            *done.to++ = '\\';
        }
        *done.to++ = c;
    }
    return done;
}

size_t kafka_utf8_length(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (size <= 1)
        return size;
    if (size > n)
        return 0;
    uint32_t code = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : size;
}

size_t kafka_readable_length(const uint8_t *p, size_t n)
{
    size_t length = kafka_utf8_length(p, n);
    return length == 1 && (p[0] == 0x7f || (p[0] < 0x20 && p[0] != '\t' && p[0] != '\n' && p[0] != '\r')) ? 0 : length;
}

/* One character that does not stand as it is, `n` bytes long; 0: one that people cannot read. */
static uint8_t *put_other(uint8_t *to, const uint8_t *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    if (n > 1) {
        memcpy(to, p, n);
        return to + n;
    }
    if (p[0] >= 0x80) {
        memcpy(to, "\xef\xbf\xbd", 3);
        return to + 3;
    }
    if (p[0] == '\n') {
        memcpy(to, "\\n", 2);
        return to + 2;
    }
    memcpy(to, (char[]){'\\', 'u', '0', '0', hex[p[0] >> 4], hex[p[0] & 15]}, KAFKA_ESCAPED_MOST);
    return to + KAFKA_ESCAPED_MOST;
}

uint8_t *kafka_escape_all(struct td_slice text, size_t behind, bool readable, uint8_t *to, const uint8_t *end)
{
    for (;;) {
        struct kafka_escaped done = kafka_escape(text, behind, to, end);
        to = done.to;
        if (done.used == text.n)
            return to;
        text = td_sub(text, done.used, text.n);
        size_t n = kafka_readable_length(text.p, text.n);
        if (n == 0 && readable)
            return NULL;
        to = put_other(to, text.p, n);
        text = td_sub(text, n ? n : 1, text.n);
    }
}
