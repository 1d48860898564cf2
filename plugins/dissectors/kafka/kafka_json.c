#include "kafka_json.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    LEAST = 24, /* room without which nothing is begun any more */
    LOW = 256   /* of the buffer, below which it is flushed before much is put */
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

static size_t decimal(char out[24], int64_t value)
{
    uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char digits[24];
    size_t at = sizeof(digits);
    for (; v >= 100; v /= 100) {
        unsigned pair = (unsigned)(v % 100);
        digits[--at] = (char)('0' + pair % 10);
        digits[--at] = (char)('0' + pair / 10);
    }
    if (v >= 10)
        digits[--at] = (char)('0' + v % 10);
    digits[--at] = (char)('0' + (v >= 10 ? v / 10 : v));
    if (value < 0)
        digits[--at] = '-';
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

static uint8_t *put_member(uint8_t *to, const char *name, int64_t value)
{
    size_t n = strlen(name);
    *to++ = '"';
    memcpy(to, name, n);
    to += n;
    *to++ = '"';
    *to++ = ':';
    return to + decimal((char *)to, value);
}

bool kafka_json_open_with(struct kafka_json *j, const char *name, int64_t value, const char *second, int64_t second_value)
{
    if (j->full || j->room < LOW || j->depth == 0 || j->depth == KAFKA_JSON_DEPTH) {
        j->full = true; /* also if a little of it would fit */
        return false;
    }
    if (j->cap - j->n < LOW)
        kafka_json_flush(j);
    uint8_t *to = j->buffer + j->n;
    if (j->filled >> (j->depth - 1) & 1)
        *to++ = ',';
    *to++ = '{';
    to = put_member(to, name, value);
    if (second_value >= 0) {
        *to++ = ',';
        to = put_member(to, second, second_value);
    }
    j->room -= (size_t)(to - j->buffer) - j->n;
    j->n = (size_t)(to - j->buffer);
    j->filled |= 1u << (j->depth - 1) | 1u << j->depth;
    j->closers[j->depth++] = '}';
    return true;
}

void kafka_json_close(struct kafka_json *j)
{
    if (j->depth)
        put_byte(j, (char)j->closers[--j->depth]);
}

void kafka_json_integer(struct kafka_json *j, const char *name, int64_t value)
{
    char digits[24];
    size_t n = decimal(digits, value);
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

/* Length of the well-formed UTF-8 character at `p` (RFC 3629); 0: it is none. */
static size_t utf8_length(const uint8_t *p, size_t n)
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

/* What stands as it is in a JSON string, and in text that people read. */
static const uint8_t is_plain[256] = {[' '] = 1, 1, ['#'] = 1, 1, 1, 1, 1,         1, 1, 1, 1, 1, 1,         1, 1, ['0'] = 1, 1, 1, 1,
                                      1,         1, 1,         1, 1, 1, 1,         1, 1, 1, 1, 1, ['@'] = 1, 1, 1, 1,         1, 1, 1,
                                      1,         1, 1,         1, 1, 1, 1,         1, 1, 1, 1, 1, 1,         1, 1, 1,         1, 1, 1,
                                      1,         1, [']'] = 1, 1, 1, 1, ['a'] = 1, 1, 1, 1, 1, 1, 1,         1, 1, 1,         1, 1, 1,
                                      1,         1, 1,         1, 1, 1, 1,         1, 1, 1, 1, 1, 1,         1, 1, 1,         1};

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
    while (i < n && is_plain[p[i]])
        i++;
    return i;
}

/* What put_wide() and put_ascii() have reached. */
struct progress {
    size_t used;
    uint8_t *to;
};

#ifdef __SSE2__
/* Sixteen bytes at a time, as far as thirty-two are there: where a quote or backslash is, the bytes from it on are stored once more, one
 * further. `limit`: 64 bytes before the buffer's end. */
static struct progress put_wide(struct td_slice s, uint8_t *to, const uint8_t *limit)
{
    size_t i = 0;
    for (; i + 32 <= s.n && to <= limit; i += 16) {
        const uint8_t *p = s.p + i;
        __m128i v = _mm_loadu_si128((const void *)p);
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        /* As signed numbers: control characters, and all that is not ASCII. */
        __m128i others = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
        unsigned escape = (unsigned)_mm_movemask_epi8(marks);
        if (_mm_movemask_epi8(others))
            break;
        _mm_storeu_si128((void *)to, v);
        for (; escape; escape &= escape - 1) {
            unsigned at = (unsigned)__builtin_ctz(escape);
            to[at] = '\\';
            to++;
            _mm_storeu_si128((void *)(to + at), _mm_loadu_si128((const void *)(p + at)));
        }
        to += 16;
    }
    return (struct progress){i, to};
}
#else
static struct progress put_wide(struct td_slice s, uint8_t *to, const uint8_t *limit)
{
    (void)s;
    (void)limit;
    return (struct progress){0, to};
}
#endif

/* As plain_run(), with quotes and backslashes; those escaped, into the buffer, as far as it reaches. Much of what is sent through Kafka
 * is JSON: each quote costs no more than the bytes before it. Returns how much of the text it has put. There must be room. */
static size_t put_ascii(struct kafka_json *j, struct td_slice s)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    struct progress wide = put_wide(s, j->buffer + j->n, j->buffer + j->cap - 64);
    uint8_t *to = wide.to, *limit = j->buffer + j->cap - 16;
    size_t i = wide.used;
    while (i + 8 <= s.n && to <= limit) {
        uint64_t w;
        memcpy(&w, s.p + i, 8);
        uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\', rubout = w ^ ones * 0x7f;
        uint64_t odd = (w | (w - ones * 0x20) | (quote - ones) | (slash - ones) | (rubout - ones)) & highs;
        memcpy(to, &w, 8);
        size_t plain = odd ? (size_t)__builtin_ctzll(le64toh(odd)) / 8 : 8;
        i += plain;
        to += plain;
        if (!odd)
            continue;
        if (s.p[i] != '"' && s.p[i] != '\\')
            break;
        *to++ = '\\';
        *to++ = s.p[i++];
    }
    for (; i < s.n && i + 8 > s.n && to <= limit; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            *to++ = '\\';
        else if (!is_plain[s.p[i]])
            break;
        *to++ = s.p[i];
    }
    j->room -= (size_t)(to - j->buffer) - j->n;
    j->n = (size_t)(to - j->buffer);
    return i;
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
            if (is_plain[s.p[0]])
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
        if (!s.n || is_plain[s.p[0]])
            continue;
        size_t character = utf8_length(s.p, s.n);
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
        n = utf8_length(s.p, s.n);
        if (n == 0 || (n == 1 && (s.p[0] == 0x7f || (s.p[0] < 0x20 && s.p[0] != '\t' && s.p[0] != '\n' && s.p[0] != '\r'))))
            return false;
        s = td_sub(s, n, s.n);
    }
    return true;
}

static void put_base64(struct kafka_json *j, struct td_slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = s.n - i < 3 ? s.n - i : 3;
        uint32_t v = (uint32_t)s.p[i] << 16 | (n > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (n > 2 ? s.p[i + 2] : 0);
        if (!take(j, 4))
            return;
        put(j, (char[]){digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '='}, 4);
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
