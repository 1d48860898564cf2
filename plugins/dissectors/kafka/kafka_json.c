#include "kafka_json.h"

#include "kafka_escape.h"

#include <math.h>
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    LEAST = 24, /* room without which nothing is begun any more */
    LOW = 256,  /* of the buffer, below which it is flushed before much is put */
    DIGITS = 24 /* room for a number */
};

void kafka_json_init(struct kafka_json *j, uint64_t max)
{
    memset(j, 0, sizeof(*j));
    j->room = max > 2 * KAFKA_JSON_DEPTH ? max - 2 * KAFKA_JSON_DEPTH : 0;
}

void kafka_json_borrow(struct kafka_json *j, uint8_t *buffer, size_t cap, kafka_json_sink *sink, void *ctx)
{
    j->buffer = buffer;
    j->n = 0;
    j->cap = cap;
    j->sink = sink;
    j->ctx = ctx;
}

void kafka_json_flush(struct kafka_json *j)
{
    if (j->n)
        j->sink(j->ctx, td_bytes(j->buffer, j->n));
    j->n = 0;
}

static void put_after_flush(struct kafka_json *j, const void *p, size_t n)
{
    kafka_json_flush(j);
    if (n > j->cap) {
        j->sink(j->ctx, td_bytes(p, n));
        return;
    }
    memcpy(j->buffer, p, n);
    j->n = n;
}

/* Without regard for the room. */
static inline void put(struct kafka_json *j, const void *p, size_t n)
{
    if (n > j->cap - j->n) {
        put_after_flush(j, p, n);
        return;
    }
    memcpy(j->buffer + j->n, p, n);
    j->n += n;
}

static void put_byte(struct kafka_json *j, char c)
{
    if (j->n == j->cap)
        kafka_json_flush(j);
    j->buffer[j->n++] = (uint8_t)c;
}

/* Takes `n` bytes of room. */
static bool take(struct kafka_json *j, size_t n)
{
    if (j->full || n > j->room) {
        j->full = true;
        return false;
    }
    j->room -= n;
    return true;
}

/* Comma and name; `more`: bytes that must have room behind it, at most LOW / 2 of them. */
static inline bool begin(struct kafka_json *j, const char *name, size_t more)
{
    size_t n = name ? strlen(name) : 0;
    if (!take(j, n + 4 + more))
        return false;
    if (j->cap - j->n < LOW)
        kafka_json_flush(j);
    uint8_t *to = j->buffer + j->n;
    if (j->depth && j->filled >> (j->depth - 1) & 1)
        *to++ = ',';
    if (j->depth)
        j->filled |= 1u << (j->depth - 1);
    if (name) {
        *to++ = '"';
        memcpy(to, name, n);
        to += n;
        *to++ = '"';
        *to++ = ':';
    }
    j->n = (size_t)(to - j->buffer);
    return true;
}

bool kafka_json_open(struct kafka_json *j, const char *name, uint8_t closer)
{
    if (j->depth == KAFKA_JSON_DEPTH || j->room < LEAST) {
        j->full = true;
        return false;
    }
    if (!begin(j, name, 1))
        return false;
    put_byte(j, closer == '}' ? '{' : '[');
    j->closers[j->depth] = closer;
    j->filled &= ~(1u << j->depth);
    j->depth++;
    return true;
}

/* How many digits it has. */
static unsigned digits_of(uint64_t v)
{
    static const uint64_t powers[] = {UINT64_C(0),
                                      UINT64_C(10),
                                      UINT64_C(100),
                                      UINT64_C(1000),
                                      UINT64_C(10000),
                                      UINT64_C(100000),
                                      UINT64_C(1000000),
                                      UINT64_C(10000000),
                                      UINT64_C(100000000),
                                      UINT64_C(1000000000),
                                      UINT64_C(10000000000),
                                      UINT64_C(100000000000),
                                      UINT64_C(1000000000000),
                                      UINT64_C(10000000000000),
                                      UINT64_C(100000000000000),
                                      UINT64_C(1000000000000000),
                                      UINT64_C(10000000000000000),
                                      UINT64_C(100000000000000000),
                                      UINT64_C(1000000000000000000),
                                      UINT64_C(10000000000000000000)};
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1), n = bits * 1233 >> 12; /* 1233 / 4096: a little more than log10(2) */
    return n + (v >= powers[n]);
}

static void put_pair(uint8_t *to, unsigned pair)
{
    static const char digits[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                                 "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
                                 "99";
    memcpy(to, digits + (size_t)2 * pair, 2);
}

uint8_t *kafka_put_decimal(uint8_t *to, int64_t value)
{
    uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0)
        *to++ = '-';
    unsigned n = digits_of(v), at = n;
    for (; at >= 4; at -= 4) {
        unsigned four = (unsigned)(v % 10000);
        v /= 10000;
        put_pair(to + at - 2, four % 100);
        put_pair(to + at - 4, four / 100);
    }
    unsigned rest = (unsigned)v;
    if (at >= 2) {
        put_pair(to + at - 2, rest % 100);
        rest /= 100;
    }
    if (at & 1)
        to[0] = (uint8_t)('0' + rest);
    return to + n;
}

uint8_t *kafka_json_begin_quick(struct kafka_json *j, size_t most)
{
    if (j->full || !j->depth || j->room <= j->cap || most >= j->cap)
        return NULL;
    if (j->cap - j->n <= most)
        kafka_json_flush(j);
    if (j->filled >> (j->depth - 1) & 1)
        j->buffer[j->n++] = ',';
    j->room -= j->filled >> (j->depth - 1) & 1;
    j->filled |= 1u << (j->depth - 1);
    return j->buffer + j->n;
}

void kafka_json_end_quick(struct kafka_json *j, const uint8_t *to)
{
    size_t n = (size_t)(to - j->buffer);
    j->room -= n - j->n;
    j->n = n;
}

void kafka_json_close(struct kafka_json *j)
{
    if (j->depth)
        put_byte(j, (char)j->closers[--j->depth]);
}

void kafka_json_integer(struct kafka_json *j, const char *name, int64_t value)
{
    uint8_t digits[DIGITS];
    size_t n = (size_t)(kafka_put_decimal(digits, value) - digits);
    if (begin(j, name, n))
        put(j, digits, n);
}

void kafka_json_real(struct kafka_json *j, const char *name, double value)
{
    char digits[40];
    if (!isfinite(value)) {
        kafka_json_word(j, name, "null");
        return;
    }
    size_t n = (size_t)snprintf(digits, sizeof(digits), "%.17g", value);
    if (begin(j, name, n))
        put(j, digits, n);
}

void kafka_json_word(struct kafka_json *j, const char *name, const char *word)
{
    size_t n = strlen(word);
    if (begin(j, name, n))
        put(j, word, n);
}

/* How many bytes from `p` on stand as they are. */
static size_t plain_run(const uint8_t *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\', rubout = w ^ ones * 0x7f;
        uint64_t odd = w | (w - ones * 0x20) | (quote - ones) | (slash - ones) | (rubout - ones);
        if (odd & highs)
            break;
    }
    while (i < n && kafka_is_plain(p[i]))
        i++;
    return i;
}

/* What the text begins with, as far as that is ASCII without control characters and the buffer reaches. Returns how much of the text that
 * was. There must be room. */
static size_t put_ascii(struct kafka_json *j, struct td_slice s)
{
    struct kafka_escaped done = kafka_escape(s, 0, j->buffer + j->n, j->buffer + j->cap);
    size_t n = (size_t)(done.to - j->buffer);
    j->room -= n - j->n;
    j->n = n;
    return done.used;
}

/* The text between quotes, escaped; as much of it as there is room for. */
static void put_escaped(struct kafka_json *j, struct td_slice s)
{
    static const char hex[] = "0123456789abcdef";
    while (s.n) {
        if (j->room > j->cap) {
            if (j->cap - j->n < LOW)
                kafka_json_flush(j);
            s = td_sub(s, put_ascii(j, s), s.n);
            if (!s.n)
                return;
            if (kafka_is_plain(s.p[0]))
                continue; /* the buffer was full */
        }
        size_t n = plain_run(s.p, s.n);
        if (n > j->room) {
            j->full = true;
            n = (size_t)j->room;
        }
        put(j, s.p, n);
        j->room -= n;
        s = td_sub(s, n, s.n);
        if (j->full)
            return;
        if (!s.n || kafka_is_plain(s.p[0]))
            continue;
        size_t character = kafka_utf8_length(s.p, s.n);
        const char *replacement = "\xef\xbf\xbd";
        if (!take(j, 6))
            return;
        if (character > 1)
            put(j, s.p, character);
        else if (!character)
            put(j, replacement, 3);
        else if (s.p[0] == '"' || s.p[0] == '\\')
            put(j, (char[]){'\\', (char)s.p[0]}, 2);
        else if (s.p[0] == '\n')
            put(j, "\\n", 2);
        else
            put(j, (char[]){'\\', 'u', '0', '0', hex[s.p[0] >> 4], hex[s.p[0] & 15]}, 6);
        s = td_sub(s, character ? character : 1, s.n);
    }
}

void kafka_json_text(struct kafka_json *j, const char *name, struct td_slice text)
{
    if (!begin(j, name, 2))
        return;
    put_byte(j, '"');
    put_escaped(j, text);
    put_byte(j, '"');
}

/* How many bytes from `p` on are ASCII without control characters. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
#ifdef __SSE2__
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const void *)(p + i));
        __m128i others = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
        if (_mm_movemask_epi8(others))
            break;
    }
#endif
    while (i < n && p[i] >= 0x20 && p[i] < 0x7f)
        i++;
    return i;
}

static bool is_readable(struct td_slice s)
{
    while (s.n) {
        size_t n = ascii_run(s.p, s.n);
        s = td_sub(s, n, s.n);
        if (!s.n)
            return true;
        n = kafka_readable_length(s.p, s.n);
        if (n == 0)
            return false;
        s = td_sub(s, n, s.n);
    }
    return true;
}

uint8_t *kafka_put_base64(uint8_t *to, struct td_slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = s.n - i < 3 ? s.n - i : 3;
        uint32_t v = (uint32_t)s.p[i] << 16 | (n > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (n > 2 ? s.p[i + 2] : 0);
        *to++ = (uint8_t)digits[v >> 18];
        *to++ = (uint8_t)digits[v >> 12 & 63];
        *to++ = n > 1 ? (uint8_t)digits[v >> 6 & 63] : '=';
        *to++ = n > 2 ? (uint8_t)digits[v & 63] : '=';
    }
    return to;
}

static void put_base64(struct kafka_json *j, struct td_slice s)
{
    enum { STEP = 48 };
    uint8_t text[STEP / 3 * 4];
    for (size_t i = 0; i < s.n; i += STEP) {
        size_t n = (size_t)(kafka_put_base64(text, td_sub(s, i, i + STEP)) - text);
        size_t fits = n < j->room ? n : (size_t)j->room / 4 * 4;
        if (!fits || !take(j, fits))
            return;
        put(j, text, fits);
        if (fits < n)
            j->full = true;
    }
}

void kafka_json_base64(struct kafka_json *j, const char *name, struct td_slice bytes)
{
    if (!begin(j, name, 2))
        return;
    put_byte(j, '"');
    put_base64(j, bytes);
    put_byte(j, '"');
}

void kafka_json_bytes(struct kafka_json *j, const char *name, const char *base64_name, struct td_slice bytes)
{
    if (j->full || is_readable(bytes))
        kafka_json_text(j, name, bytes);
    else
        kafka_json_base64(j, base64_name, bytes);
}

void kafka_json_pair(struct kafka_json *j, struct td_slice name, bool has_value, struct td_slice value)
{
    if (!kafka_json_open(j, NULL, '}'))
        return;
    kafka_json_text(j, "key", name);
    if (has_value)
        kafka_json_bytes(j, "value", "valueBase64", value);
    else
        kafka_json_word(j, "value", "null");
    kafka_json_close(j);
}
