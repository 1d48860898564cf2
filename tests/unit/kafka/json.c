/* What is written many bytes at a time, against the plainest way to do the same: text, records, numbers. */
#include "../../../plugins/dissectors/kafka/kafka_escape.h"
#include "../../../plugins/dissectors/kafka/kafka_json.h"
#include "../../../plugins/dissectors/kafka/kafka_record_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

enum { LONGEST = 96, ROOM = KAFKA_ESCAPED_MOST * LONGEST + KAFKA_ESCAPE_SLACK, BUFFER = 16384 };

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

static size_t want_text(const uint8_t *p, size_t n, char *to, bool *ret_readable)
{
    size_t at = 0;
    *ret_readable = true;
    for (size_t i = 0; i < n;) {
        size_t length = plain_length(p + i, n - i);
        uint8_t c = p[i];
        bool control = c < 0x20 || c == 0x7f;
        if (!length || (control && c != '\t' && c != '\n' && c != '\r'))
            *ret_readable = false;
        if (c == '"' || c == '\\') {
            at += (size_t)snprintf(to + at, 16, "\\%c", c);
        } else if (c == '\n') {
            at += (size_t)snprintf(to + at, 16, "\\n");
        } else if (control) {
            at += (size_t)snprintf(to + at, 16, "\\u%04x", c);
        } else {
            memcpy(to + at, length ? (const char *)p + i : "\xef\xbf\xbd", length ? length : 3);
            at += length ? length : 3;
        }
        i += length ? length : 1;
    }
    return at;
}

/* From memory that ends `behind` bytes after the text, into memory that is as large as it must be. */
static bool agrees(const void *bytes, size_t n, size_t behind)
{
    char want[ROOM];
    bool readable;
    size_t want_n = want_text(bytes, n, want, &readable), room = KAFKA_ESCAPED_MOST * n + KAFKA_ESCAPE_SLACK;
    uint8_t *p = malloc(n + behind + 1), *to = malloc(room);
    memset(p, '"', n + behind + 1);
    memcpy(p + 1, bytes, n);
    const uint8_t *end = kafka_escape_all(td_bytes(p + 1, n), behind, false, to, to + room);
    bool fine = (size_t)(end - to) == want_n && memcmp(to, want, want_n) == 0;
    end = kafka_escape_all(td_bytes(p + 1, n), behind, true, to, to + room);
    fine &= readable == (end != NULL) && (!end || ((size_t)(end - to) == want_n && memcmp(to, want, want_n) == 0));
    struct kafka_escaped first = kafka_escape(td_bytes(p + 1, n), behind, to, to + room);
    for (size_t i = 0; i < first.used; i++)
        fine &= kafka_is_plain(p[1 + i]) || p[1 + i] == '"' || p[1 + i] == '\\';
    fine &= first.used == n || !(kafka_is_plain(p[1 + first.used]) || p[1 + first.used] == '"' || p[1 + first.used] == '\\');
    if (!fine) {
        fputs("# bytes:", stdout);
        for (size_t i = 0; i < n; i++)
            printf(" %02x", p[1 + i]);
        tap_diag("and %zu behind", behind);
    }
    free(p);
    free(to);
    return fine;
}

static void test_each_byte(void)
{
    static const size_t lengths[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48};
    uint8_t text[LONGEST];
    int wrong = 0;
    for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
        for (size_t at = 0; at < lengths[l]; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, 'a', sizeof(text));
                text[at] = (uint8_t)byte;
                wrong += !agrees(text, lengths[l], 0);
                wrong += !agrees(text, lengths[l], byte % 33);
            }
    is_int(wrong, 0, "each byte at each place of texts of all lengths about the steps");
}

static void test_each_set(void)
{
    uint8_t text[24];
    int wrong = 0;
    for (unsigned set = 0; set < 65536; set++) {
        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = (uint8_t)(set >> (i % 16) & 1 ? "\"\\"[i & 1] : 'b' + (char)(i % 16));
        wrong += !agrees(text, 1 + set % 24, set % 17);
        wrong += !agrees(text, 16, 0);
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
                                         "\xe2\x82",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "\xc0\xaf",
                                         "\t",
                                         "\n",
                                         "\r",
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
        uint32_t rare = 1 + chance(24), kinds = 1 + chance(PIECES); /* how far apart what is odd stands, and how odd it is */
        while (n < length) {
            const char *piece = pieces[chance(kinds)];
            size_t size = *piece ? strlen(piece) : 1;
            if (chance(rare) || n + size > length) {
                text[n++] = (char)(' ' + chance(95));
            } else {
                memcpy(text + n, piece, size);
                n += size;
            }
        }
        wrong += !agrees(text, n, chance(40));
    }
    is_int(wrong, 0, "texts by chance, with all that is odd, and cut anywhere");
}

static void test_short_of_room(void)
{
    uint8_t to[256];
    int wrong = 0;
    for (size_t room = 0; room < sizeof(to); room++) {
        memset(to, 0xee, sizeof(to));
        struct kafka_escaped done =
            kafka_escape(TD_LIT("\"as\" long \\ as it may be, \"\"\"\"\" and longer than the room is"), 0, to, to + room);
        for (size_t i = room; i < sizeof(to); i++)
            wrong += to[i] != 0xee;
        wrong += room < KAFKA_ESCAPE_SLACK ? done.used != 0 : done.to > to + room;
    }
    is_int(wrong, 0, "nothing is written behind the end");
}

static void test_decimal(void)
{
    int wrong = 0;
    uint64_t around = 1;
    for (unsigned step = 0; step < 64 + 20; step++) {
        uint64_t base = step < 64 ? UINT64_C(1) << step : around;
        around *= step < 64 ? 1 : 10;
        for (int d = -2; d <= 2; d++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                int64_t value = (int64_t)((base + (uint64_t)(int64_t)d) * (uint64_t)(int64_t)sign);
                uint8_t got[24];
                char want[24];
                size_t n = (size_t)snprintf(want, sizeof(want), "%" PRId64, value);
                wrong += (size_t)(kafka_put_decimal(got, value) - got) != n || memcmp(got, want, n) != 0;
            }
        }
    }
    is_int(wrong, 0, "numbers about all powers of two and of ten");
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static char written[4 * BUFFER];
static size_t written_n;

static void sink(void *ctx, struct td_slice text)
{
    (void)ctx;
    if (text.n <= sizeof(written) - written_n)
        memcpy(written + written_n, text.p, text.n);
    written_n += text.n;
}

/* One record with that value, and a header with the same, as text; quick: whether in one go. */
static const char *record(struct td_slice value, uint64_t room, bool *ret_quick)
{
    static uint8_t buffer[BUFFER];
    static uint8_t content[BUFFER];
    struct kafka_json j;
    size_t length = value.n % 60; /* of the header's value */
    memcpy(content, value.p, value.n);
    content[value.n] = 2; /* lengths are zigzag: 1, its name's */
    content[value.n + 1] = 'h';
    content[value.n + 2] = (uint8_t)(2 * length);
    memcpy(content + value.n + 3, value.p, length);
    struct kafka_record r = {.offset = 7,
                             .timestamp = 1700000000000,
                             .has_value = true,
                             .value = td_bytes(content, value.n),
                             .headers = td_cursor(td_bytes(content + value.n, 3 + length)),
                             .header_count = 1,
                             .size = value.n + 3 + length};
    r.end = content + r.size;
    written_n = 0;
    kafka_json_init(&j, room);
    kafka_json_borrow(&j, buffer, sizeof(buffer), sink, NULL);
    (void)kafka_json_open(&j, NULL, ']');
    *ret_quick = kafka_record_json(&j, &r);
    kafka_json_close(&j);
    kafka_json_flush(&j);
    written[written_n] = 0;
    return written;
}

static void test_records(void)
{
    bool quick;
    is_str(record(TD_LIT("a \"b\"\n"), 1 << 20, &quick),
           "[{\"offset\":7,\"timestamp\":1700000000000,\"key\":null,\"value\":\"a \\\"b\\\"\\n\","
           "\"headers\":[{\"key\":\"h\",\"value\":\"a \\\"b\\\"\\n\"}]}]",
           "a record");
    is_str(record(TD_LIT("\x01\xff"), 1 << 20, &quick),
           "[{\"offset\":7,\"timestamp\":1700000000000,\"key\":null,\"valueBase64\":\"Af8=\","
           "\"headers\":[{\"key\":\"h\",\"valueBase64\":\"Af8=\"}]}]",
           "what is no text is in base64");
    (void)record(TD_LIT("x"), 1000, &quick);
    ok(!quick, "not where room is short");
    char text[4000];
    int wrong = 0, slow = 0;
    for (size_t n = 0; n < sizeof(text); n += n < 200 ? 1 : 97) {
        memset(text, n % 3 ? '"' : n % 2 ? 'x' : 0x01, n);
        json_t *read = json_loads(record(td_bytes(text, n), 1 << 20, &quick), 0, NULL);
        wrong += !read && quick;
        wrong += !quick && n < 2000;
        slow += !quick;
        json_decref(read);
    }
    is_int(wrong, 0, "records of all sizes are JSON");
    ok(slow > 0, "those that would not fit into the buffer go another way");
}

int main(void)
{
    test_each_byte();
    test_each_set();
    test_by_chance();
    test_short_of_room();
    test_decimal();
    test_records();
    return tap_done();
}
