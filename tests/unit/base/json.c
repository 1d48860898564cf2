#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

static struct buf out;

static const char *string_of(const char *bytes, size_t n)
{
    buf_reset(&out);
    json_put_string(&out, td_bytes(bytes, n));
    return buf_cstr(&out);
}

/* What a JSON reader makes of it; the caller's to free. */
static char *read_back(const char *text, size_t *ret_n)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char *copy = NULL;
    *ret_n = 0;
    if (v) {
        *ret_n = json_string_length(v);
        copy = malloc(*ret_n + 1);
        if (copy)
            memcpy(copy, json_string_value(v), *ret_n);
    }
    json_decref(v);
    return copy;
}

/* Every byte at every place of a run of eight, so that the fast path meets it everywhere. */
static void test_each_byte(void)
{
    int wrong = 0;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20], want[24];
            size_t n, want_n = 0;
            memset(text, 'a', sizeof(text));
            text[at] = (char)byte;
            for (size_t i = 0; i < sizeof(text); i++) {
                if (i == at && byte >= 0x80) { /* alone it is no UTF-8 */
                    memcpy(want + want_n, "\xef\xbf\xbd", 3);
                    want_n += 3;
                } else {
                    want[want_n++] = text[i];
                }
            }
            char *back = read_back(string_of(text, sizeof(text)), &n);
            if (!back || n != want_n || memcmp(back, want, n) != 0) {
                tap_diag("byte %02x at %zu: %s", (unsigned)byte, at, (const char *)out.p);
                wrong++;
            }
            free(back);
        }
    }
    is_int(wrong, 0, "each of 256 bytes at each of 20 places is read back");
}

static void test_escapes(void)
{
    is_str(string_of("", 0), "\"\"", "nothing");
    is_str(string_of(NULL, 0), "\"\"", "nothing at all");
    is_str(string_of("plain text", 10), "\"plain text\"", "plain");
    is_str(string_of("\"\\/\b\f\n\r\t", 8), "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\"", "the usual escapes");
    is_str(string_of("\0\x1f\x7f", 3), "\"\\u0000\\u001f\\u007f\"", "control characters");
}

static void test_utf8(void)
{
#define BAD "\xef\xbf\xbd"
    static const struct {
        const char *name, *text, *want; /* want NULL: as it is */
    } cases[] = {
        {"two bytes, the first", "\xc2\x80", NULL},
        {"two bytes, the last", "\xdf\xbf", NULL},
        {"three bytes, the first", "\xe0\xa0\x80", NULL},
        {"three bytes, the last", "\xef\xbf\xbf", NULL},
        {"before the surrogates", "\xed\x9f\xbf", NULL},
        {"after the surrogates", "\xee\x80\x80", NULL},
        {"four bytes, the first", "\xf0\x90\x80\x80", NULL},
        {"four bytes, the last", "\xf4\x8f\xbf\xbf", NULL},
        {"text around",
         "gr\xc3\xbc\xc3\x9f"
         "e \xe2\x82\xac \xf0\x9f\x98\x80!",
         NULL},
        {"overlong, two bytes", "\xc0\x80", BAD BAD},
        {"overlong, two bytes, the last", "\xc1\xbf", BAD BAD},
        {"overlong, three bytes", "\xe0\x9f\xbf", BAD BAD BAD},
        {"overlong, four bytes", "\xf0\x8f\xbf\xbf", BAD BAD BAD BAD},
        {"a surrogate", "\xed\xa0\x80", BAD BAD BAD},
        {"the last surrogate", "\xed\xbf\xbf", BAD BAD BAD},
        {"beyond Unicode", "\xf4\x90\x80\x80", BAD BAD BAD BAD},
        {"far beyond", "\xf5\x80\x80\x80", BAD BAD BAD BAD},
        {"a lead that never is", "\xff", BAD},
        {"a continuation alone", "a\x80z", "a" BAD "z"},
        {"cut after one of two", "a\xc3", "a" BAD},
        {"cut after two of three", "a\xe2\x82", "a" BAD BAD},
        {"cut after three of four", "a\xf0\x9f\x98", "a" BAD BAD BAD},
        {"a lead, then text", "\xe2z\x82", BAD "z" BAD},
        {"third byte wrong", "\xf0\x9f\x41\x80", BAD BAD "A" BAD},
        {"good after bad", "\xc3\xc3\xbc", BAD "\xc3\xbc"},
        {"a byte order mark", "\xef\xbb\xbfx", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].text);
        char *exact = malloc(n); /* no byte behind it may be looked at */
        memcpy(exact, cases[i].text, n);
        char want[64];
        snprintf(want, sizeof(want), "\"%s\"", cases[i].want ? cases[i].want : cases[i].text);
        is_str(string_of(exact, n), want, "%s", cases[i].name);
        ok(json_is_utf8(td_bytes(exact, n)) == !cases[i].want, "%s is %sUTF-8", cases[i].name, cases[i].want ? "no " : "");
        free(exact);
    }
    ok(json_is_utf8(td_bytes(NULL, 0)) && json_is_utf8(TD_LIT("a\0b")), "nothing is UTF-8, and so is a zero");
}

static void test_tree(void)
{
    is_int(json_tree_bytes(td_bytes(NULL, 0)), 0, "nothing takes nothing");
    is_int(json_tree_bytes(TD_LIT("[{\"a\":1},2]")), 11 + 2 * 256 + 2 * 64, "lists, objects, members and elements take memory");
    is_int(json_tree_bytes(TD_LIT("\"[{:,\\\",[\\\\\"")), 12, "texts only their own");
}

static void test_base64(void)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {{"", "\"\""},
                 {"f", "\"Zg==\""},
                 {"fo", "\"Zm8=\""},
                 {"foo", "\"Zm9v\""},
                 {"foob", "\"Zm9vYg==\""},
                 {"fooba", "\"Zm9vYmE=\""},
                 {"foobar", "\"Zm9vYmFy\""},
                 {"\xfb\xff\xbf", "\"+/+/\""},
                 {"\xff\xff\xff\xff", "\"/////w==\""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_reset(&out);
        json_put_base64(&out, td_str(cases[i].bytes));
        is_str(buf_cstr(&out), cases[i].text, "base64 of %zu bytes", strlen(cases[i].bytes));
    }
    buf_reset(&out);
    json_put_base64(&out, td_bytes("\0\0\0\0", 4));
    is_str(buf_cstr(&out), "\"AAAAAA==\"", "base64 of zeros");
}

static void test_ceiling(void)
{
    struct buf small;
    buf_init(&small, 8);
    json_put_string(&small, TD_LIT("longer than eight"));
    ok(small.failed && small.n <= 8, "a string that does not fit fails");
    buf_reset(&small);
    json_put_base64(&small, TD_LIT("longer than eight"));
    ok(small.failed && small.n <= 8, "as base64, too");
    buf_clear(&small);
}

int main(void)
{
    test_each_byte();
    test_escapes();
    test_utf8();
    test_tree();
    test_base64();
    test_ceiling();
    buf_clear(&out);
    return tap_done();
}
