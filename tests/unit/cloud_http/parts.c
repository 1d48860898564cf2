/* What storage backends of clouds share besides HTTP: texts, XML, sums, times. */
#include "../../../plugins/storage/cloud/cloud_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

static void test_texts(void)
{
    struct cloud_text t = {0};
    is_str(cloud_cstr(&t), "", "an empty text");
    cloud_put_encoded(&t, "a/b c~-._%+\xc3\xbc:@", true);
    is_str(cloud_cstr(&t), "a/b%20c~-._%25%2B%C3%BC%3A%40", "a path is encoded");
    t.n = 0;
    cloud_put_encoded(&t, "a/b", false);
    is_str(cloud_cstr(&t), "a%2Fb", "or a value");
    cloud_printf(&t, " %d %s", 5, "x");
    for (int i = 0; i < 1000; i++)
        cloud_puts(&t, "0123456789");
    ok(t.n == 5 + 4 + 10000 && strlen(cloud_cstr(&t)) == t.n && !t.failed && strncmp(t.p, "a%2Fb 5 x0123", 13) == 0, "texts grow");
    cloud_text_clear(&t);
}

/* ---- XML ---- */

struct seen {
    char text[2048];
    int stop_at;
};

static int note(void *ctx, const char *path, const char *text)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof(s->text) - n, "%s=%s|", path, text ? text : "(children)");
    return s->stop_at && --s->stop_at == 0 ? 42 : 0;
}

static void reads(const char *document, int status, const char *expected, const char *what)
{
    struct seen s = {0};
    is_int(cloud_xml(td_str(document), NULL, note, &s), status, "%s", what);
    if (expected)
        is_str(s.text, expected, "  as it stands");
}

static void test_xml(void)
{
    reads(
        "<?xml version='1.0' encoding=\"UTF-8\"?>\n<L xmlns='http://x/'>\n <K>a&amp;b&#x20;c</K>\n <C><K>1</K><E/> </C><C><K>2</K></C></L>",
        TD_OK, "K=a&b c|C/K=1|C/E=|C=(children)|C/K=2|C=(children)|=(children)|", "elements with their paths");
    reads("<L>eu</L>", TD_OK, "=eu|", "a root alone");
    reads("\xef\xbb\xbf<?xml version='1.0'?><L/>", TD_OK, "=|", "a byte order mark");
    reads("  \n<?xml version='1.0'?>\n <L/>", TD_OK, "=|", "space before it");
    reads("", TD_E_CORRUPT, "", "nothing");
    reads(" \n", TD_E_CORRUPT, "", "space alone");
    reads("<L><K>1</K>", TD_E_CORRUPT, "K=1|", "no end");
    reads("<L></M>", TD_E_CORRUPT, "", "a wrong end");
    reads("<html><br></html>", TD_E_CORRUPT, "", "no XML");
    reads("<!DOCTYPE l [<!ENTITY a 'b'>]><l>&a;</l>", TD_E_CORRUPT, "", "a document type");
    reads("<l>&nosuch;</l>", TD_E_CORRUPT, "", "an entity that nobody declares");
    struct seen s = {.stop_at = 2};
    is_int(cloud_xml(TD_LIT("<l><a/><b/><c/></l>"), "l", note, &s), 42, "a reader stops");
    is_str(s.text, "a=|b=|", "  at once");
    s = (struct seen){0};
    ok(cloud_xml(TD_LIT("<l><m/></l>"), "m", note, &s) == TD_E_CORRUPT && !s.text[0], "another root than is expected");

    struct cloud_text t = {0};
    for (int i = 0; i < 17; i++)
        cloud_puts(&t, "<x>");
    reads(cloud_cstr(&t), TD_E_CORRUPT, "", "too deep");
    t.n = 0;
    cloud_puts(&t, "<l><a>");
    for (int i = 0; i < 6554; i++)
        cloud_puts(&t, "0123456789");
    cloud_puts(&t, "</a></l>");
    reads(cloud_cstr(&t), TD_E_CORRUPT, "", "a text that is too long");
    t.n = 0;
    for (int i = 0; i < 16; i++)
        cloud_puts(&t, "<abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz>");
    reads(cloud_cstr(&t), TD_E_CORRUPT, "", "a path that is too long");
    cloud_text_clear(&t);
}

/* ---- Sums ---- */

static void test_sums(void)
{
    struct cloud_text t = {0};
    uint8_t sum[CLOUD_SHA256], back[CLOUD_SHA256];
    ok(cloud_sha256(TD_LIT("abc"), sum), "SHA-256");
    cloud_put_hex(&t, sum, sizeof(sum));
    is_str(cloud_cstr(&t), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "  FIPS 180-4's");
    ok(cloud_read_hex(cloud_cstr(&t), back, sizeof(back)) && memcmp(sum, back, sizeof(sum)) == 0, "  back from its digits");
    ok(!cloud_read_hex("ab", back, 2) && !cloud_read_hex("abc", back, 1) && !cloud_read_hex("0g", back, 1) && !cloud_read_hex("", back, 1),
       "what are no digits, or too few or many");
    ok(cloud_read_hex("aF", back, 1) && back[0] == 0xaf, "in either case");
    t.n = 0;
    ok(cloud_sha256((struct td_slice){0}, sum), "of nothing");
    cloud_put_hex(&t, sum, 4);
    is_str(cloud_cstr(&t), "e3b0c442", "  as known");
    t.n = 0;
    ok(cloud_md5(TD_LIT("abc"), sum), "MD5");
    cloud_put_hex(&t, sum, CLOUD_MD5);
    is_str(cloud_cstr(&t), "900150983cd24fb0d6963f7d28e17f72", "  RFC 1321's");
    t.n = 0;
    ok(cloud_hmac_sha256(TD_LIT("Jefe"), TD_LIT("what do ya want for nothing?"), sum), "HMAC");
    cloud_put_hex(&t, sum, sizeof(sum));
    is_str(cloud_cstr(&t), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "  RFC 4231's");

    char name[] = "/tmp/tapedeck-sums-XXXXXX";
    int fd = mkstemp(name);
    enum { N = 1000003 };
    uint8_t *bytes = malloc(N), whole[CLOUD_SHA256];
    for (size_t i = 0; i < N; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    ok(fd >= 0 && write(fd, bytes, N) == N, "a file");
    ok(cloud_sha256(td_bytes(bytes + 5, N - 10), whole) && cloud_sha256_file(fd, 5, N - 10, sum) && memcmp(sum, whole, sizeof(sum)) == 0,
       "a part of it has the same sum");
    ok(cloud_md5(td_bytes(bytes, N), whole) && cloud_md5_file(fd, 0, N, sum) && memcmp(sum, whole, CLOUD_MD5) == 0, "of either kind");
    ok(!cloud_sha256_file(fd, 5, N, sum), "a part that is not there has none");
    free(bytes);
    close(fd);
    unlink(name);
    cloud_text_clear(&t);
}

static void test_base64(void)
{
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9v\n", "Zm_v", "Zm9=YmE=", "Zm9vYmFyZm9v"};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct cloud_text t = {0};
        uint8_t back[8];
        cloud_put_base64(&t, pairs[i][0], strlen(pairs[i][0]));
        is_str(cloud_cstr(&t), pairs[i][1], "\"%s\" in base64", pairs[i][0]);
        int64_t n = cloud_read_base64(pairs[i][1], back, sizeof(back));
        ok(n == (int64_t)strlen(pairs[i][0]) && memcmp(back, pairs[i][0], (size_t)n) == 0, "  and back");
        cloud_text_clear(&t);
    }
    uint8_t room[8];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        is_int(cloud_read_base64(bad[i], room, sizeof(room)), -1, "\"%s\" is none", bad[i]);
    struct cloud_text t = {0};
    const uint8_t high[] = {0xfb, 0xef, 0xff};
    cloud_put_base64(&t, high, sizeof(high));
    is_str(cloud_cstr(&t), "++//", "the last two letters");
    cloud_text_clear(&t);
}

/* ---- Times ---- */

static void test_times(void)
{
    int64_t t = 0;
    ok(cloud_read_http_date("Sun, 06 Nov 1994 08:49:37 GMT", &t) && t == 784111777000000000, "RFC 9110's date");
    ok(cloud_read_iso8601("2026-01-02T03:04:05Z", &t) && t == 1767323045000000000, "a time");
    ok(cloud_read_iso8601("2026-01-02T03:04:05.123Z", &t) && t == 1767323045123000000, "with a fraction");
    ok(cloud_read_iso8601("2026-01-02T03:04:05.1234567891Z", &t) && t == 1767323045123456789, "with more digits than count");
    ok(cloud_read_iso8601("2024-02-29T23:59:60Z", &t) && t == 1709251200000000000, "a leap second");
    static const char *const dates[] = {"",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 31 Feb 1994 08:49:37 GMT",
                                        "Xxx, 06 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nox 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 24:49:37 GMT",
                                        "Sun, 06-Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:49:37 GMT "};
    static const char *const times[] = {"",
                                        "2026-01-02",
                                        "2026-01-02T03:04:05",
                                        "2026-13-02T03:04:05Z",
                                        "2025-02-29T03:04:05Z",
                                        "2026-01-02T03:04:05.Z",
                                        "2026-01-02T03:04:05Zx",
                                        "2026-01-02 03:04:05Z",
                                        "0001-01-02T03:04:05Z"};
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
        ok(!cloud_read_http_date(dates[i], &t), "\"%s\" is no date", dates[i]);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        ok(!cloud_read_iso8601(times[i], &t), "\"%s\" is no time", times[i]);
    ok(cloud_now_ns() > 1767323045000000000, "now is later");
}

int main(void)
{
    test_texts();
    test_xml();
    test_sums();
    test_base64();
    test_times();
    return tap_done();
}
