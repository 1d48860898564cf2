/* Escaping that takes many bytes at a time, against the plainest way to do the same: every byte at every place, every length about the
 * steps, and texts by chance. */
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "tap.h"

enum { LONGEST = 96, WANT = 8 * LONGEST + 16 };

static struct buf out;
static uint32_t state = 1;

static uint32_t chance(uint32_t n)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % n;
}

/* A character as RFC 3629 defines it, by its number; 0: none. */
static size_t plain_length(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (size <= 1 || size > n)
        return size == 1;
    uint32_t code = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : size;
}

static size_t put(char *to, const void *bytes, size_t n)
{
    memcpy(to, bytes, n);
    return n;
}

static size_t want_json(const uint8_t *p, size_t n, char *to)
{
    size_t at = put(to, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t length = plain_length(p + i, n - i);
        uint8_t c = p[i];
        if (c == '"' || c == '\\')
            at += (size_t)snprintf(to + at, 16, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            at += (size_t)snprintf(to + at, 16, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 0x20 || c == 0x7f)
            at += (size_t)snprintf(to + at, 16, "\\u%04x", c);
        else if (length)
            at += put(to + at, p + i, length);
        else
            at += put(to + at, "\xef\xbf\xbd", 3);
        i += length ? length : 1;
    }
    return at + put(to + at, "\"", 1);
}

static size_t want_cell(const uint8_t *p, size_t n, char *to)
{
    size_t at = 0;
    for (size_t i = 0; i < n;) {
        size_t length = plain_length(p + i, n - i);
        uint8_t c = p[i];
        bool steers = c < 0x20 || c == 0x7f || (length == 2 && c == 0xc2 && p[i + 1] < 0xa0);
        if (c == '\\')
            at += put(to + at, "\\\\", 2);
        else if (c == '\n' || c == '\r' || c == '\t')
            at += (size_t)snprintf(to + at, 16, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (!length || steers) {
            at += (size_t)snprintf(to + at, 16, "\\x%02x", c);
            length = 1;
        } else
            at += put(to + at, p + i, length);
        i += length;
    }
    return at;
}

static bool is_utf8(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = plain_length(p + i, n - i);
        if (!length)
            return false;
        i += length;
    }
    return true;
}

static bool is_as(const char *what, const uint8_t *p, size_t n, const char *want, size_t want_n)
{
    if (out.n == want_n && memcmp(out.p, want, want_n) == 0)
        return true;
    fputs("# bytes:", stdout);
    for (size_t i = 0; i < n; i++)
        printf(" %02x", p[i]);
    tap_diag("as %s: %s", what, buf_cstr(&out));
    return false;
}

/* From memory that ends where the text does, so that no byte behind it may be looked at. */
static bool agrees(const void *bytes, size_t n)
{
    char want[WANT];
    uint8_t *p = malloc(n ? n : 1);
    if (n)
        memcpy(p, bytes, n);
    buf_reset(&out);
    json_put_string(&out, td_bytes(p, n));
    bool fine = is_as("JSON", p, n, want, want_json(p, n, want));
    buf_reset(&out);
    utf8_put_printable(&out, td_bytes(p, n), UTF8_CELL);
    fine &= is_as("a cell", p, n, want, want_cell(p, n, want));
    fine &= json_is_utf8(td_bytes(p, n)) == is_utf8(p, n);
    size_t plain = 0;
    while (plain < n && p[plain] >= 0x20 && p[plain] < 0x7f && p[plain] != '"' && p[plain] != '\\')
        plain++;
    fine &= utf8_plain_run(p, n) == plain;
    free(p);
    return fine;
}

static void test_each_byte(void)
{
    static const size_t lengths[] = {1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 64};
    uint8_t text[LONGEST];
    int wrong = 0;
    for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
        for (size_t at = 0; at < lengths[l]; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, 'a', sizeof(text));
                text[at] = (uint8_t)byte;
                wrong += !agrees(text, lengths[l]);
            }
    is_int(wrong, 0, "each byte at each place of texts of all lengths about the steps");
}

/* Neighbours: what one byte borrows from the next must not show. */
static void test_each_pair(void)
{
    uint8_t text[20];
    int wrong = 0;
    for (unsigned pair = 0; pair < 65536; pair++) {
        memset(text, 'a', sizeof(text));
        text[7] = (uint8_t)pair;
        text[8] = (uint8_t)(pair >> 8);
        wrong += !agrees(text, sizeof(text));
        wrong += !agrees(text + 4, 12);
    }
    is_int(wrong, 0, "each pair of bytes, within a word and across two");
}

/* Every set of quotes in sixteen bytes: the wide way treats them all alike. */
static void test_each_set(void)
{
    uint8_t text[40];
    int wrong = 0;
    for (unsigned set = 0; set < 65536; set++) {
        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = (uint8_t)(set >> (i % 16) & 1 ? "\"\\"[i & 1] : 'b' + (char)(i % 16));
        wrong += !agrees(text, 32 + set % 9);
    }
    is_int(wrong, 0, "each set of sixteen bytes with a backslash in front");
}

static void test_by_chance(void)
{
    static const char *const pieces[] = {"\"",
                                         "\\",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         "\xc2\x85",
                                         "\xe2\x82",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "\xc0\xaf",
                                         "\t",
                                         "\n",
                                         "\x7f",
                                         "\x1b",
                                         "\x80",
                                         "\xff",
                                         "\xf0\x9f\x98",
                                         "\x00"};
    enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };
    char text[LONGEST];
    int wrong = 0;
    for (int round = 0; round < 60000; round++) {
        size_t n = 0, length = chance(LONGEST - 4);
        uint32_t rare = 1 + chance(24); /* how far apart what is odd stands */
        while (n < length) {
            const char *piece = pieces[chance(PIECES)];
            size_t size = *piece ? strlen(piece) : 1;
            if (chance(rare) || n + size > length)
                text[n++] = (char)(' ' + chance(95));
            else
                n += put(text + n, piece, size);
        }
        wrong += !agrees(text, n);
    }
    is_int(wrong, 0, "texts by chance, with all that is odd, and cut anywhere");
}

/* Long ones go through a block at a time. */
static void test_long(void)
{
    enum { LONG = 3 * 4096 + 100 };
    uint8_t *text = malloc(LONG);
    char *want = malloc(8 * LONG);
    int wrong = 0;
    for (size_t n = LONG - 300; n < LONG; n++) {
        for (size_t i = 0; i < n; i++)
            text[i] = chance(5) ? (uint8_t)('a' + chance(26)) : '"';
        text[n - 1 - chance(200)] = (uint8_t)(chance(2) ? '\\' : 0xe9);
        buf_reset(&out);
        json_put_string(&out, td_bytes(text, n));
        size_t want_n = want_json(text, n, want);
        wrong += out.n != want_n || memcmp(out.p, want, want_n) != 0;
        buf_reset(&out);
        utf8_put_printable(&out, td_bytes(text, n), UTF8_CELL);
        want_n = want_cell(text, n, want);
        wrong += out.n != want_n || memcmp(out.p, want, want_n) != 0;
    }
    free(text);
    free(want);
    is_int(wrong, 0, "long texts of all lengths about the blocks");
}

/* A buffer with a ceiling: what is there stays, and nothing is written behind it. */
static void test_ceiling(void)
{
    int wrong = 0;
    for (size_t max = 1; max < 200; max++) {
        struct buf small;
        buf_init(&small, max);
        utf8_put_printable(&small,
                           TD_LIT("\"quoted\" \\ and \\ more \\ of the same, until it is longer than any of the ceilings \\\\\\\\\\\\\\\\"),
                           UTF8_CELL);
        wrong += small.n > max || (max < 90 && !small.failed);
        buf_clear(&small);
    }
    is_int(wrong, 0, "no more than the ceiling, and what does not fit is known");
}

int main(void)
{
    test_each_byte();
    test_each_pair();
    test_each_set();
    test_by_chance();
    test_long();
    test_ceiling();
    buf_clear(&out);
    return tap_done();
}
