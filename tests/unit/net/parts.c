/* Targets, ranges, addresses, tokens and metrics, each by itself. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/stat.h>

#include "net/http_answer.h"
#include "net/http_range.h"
#include "net/http_target.h"
#include "net/listen_address.h"
#include "net/metrics.h"
#include "net/token.h"
#include "tap.h"

/* ---- Targets ---- */

/* Segments in brackets, parameters behind them; "!" if it is refused. */
static void target_is(const char *text, const char *want)
{
    char copy[512], got[512] = "!";
    struct http_target t;
    struct error err;
    snprintf(copy, sizeof(copy), "%s", text);
    if (http_target_parse(copy, &t, &err) == TD_OK) {
        size_t n = 0;
        got[0] = '\0';
        for (size_t i = 0; i < t.segment_count; i++)
            n += (size_t)snprintf(got + n, sizeof(got) - n, "[%s]", t.segments[i]);
        for (size_t i = 0; i < t.parameter_count; i++)
            n += (size_t)snprintf(got + n, sizeof(got) - n, " %s=%s", t.parameters[i].name, t.parameters[i].value);
    }
    is_str(got, want, "target %s", text);
}

static void test_targets(void)
{
    target_is("/", "");
    target_is("/a", "[a]");
    target_is("/a/", "[a][]");
    target_is("//", "[][]");
    target_is("/a/b%2fc/d", "[a][b/c][d]");
    target_is("/a+b", "[a+b]");
    target_is("/%E2%82%ac", "[\xe2\x82\xac]");
    target_is("/a?b", "[a] b=");
    target_is("/a?b=c=d&e=%26&&f=+%2B", "[a] b=c=d e=& f= +");
    target_is("/a?", "[a]");
    target_is("/a?b=/?", "[a] b=/?");
    target_is("?a=b", "!");
    target_is("", "!");
    target_is("a", "!");
    target_is("http://h/a?b=c", "[a] b=c");
    target_is("HTTPS://u:p@h:1/a", "[a]");
    target_is("http://h?b=c", " b=c");
    target_is("http://h", "");
    target_is("ftp://h/a", "!");
    target_is("/a%", "!");
    target_is("/a%4", "!");
    target_is("/a%4g", "!");
    target_is("/a%00", "!");
    target_is("/a%0a", "!");
    target_is("/a?b=%0a", "[a] b=\n");
    target_is("/a?b=%00", "!");
    target_is("/%c0%af", "!");
    target_is("/..", "!");
    target_is("/.", "!");
    target_is("/%2E%2e", "!");
    target_is("/...", "[...]");
    target_is("/a#b", "!");
    target_is("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g", "[1][2][3][4][5][6][7][8][9][a][b][c][d][e][f][g]");
    target_is("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", "!");
}

static void fits(const char *text, const char *path, const char *name, const char *want)
{
    char copy[64];
    struct http_target t;
    snprintf(copy, sizeof(copy), "%s", text);
    bool good = http_target_parse(copy, &t, NULL) == TD_OK && http_target_fits(&t, path);
    is_int(good, want != NULL, "%s %s %s", text, want ? "fits" : "does not fit", path);
    if (good && want && name)
        is_str(http_target_segment(&t, path, name), want, "the segment %s", name);
}

static void test_patterns(void)
{
    fits("/", "/", NULL, "");
    fits("/a", "/", NULL, NULL);
    fits("/", "/a", NULL, NULL);
    fits("/a/b", "/a/b", NULL, "");
    fits("/a/b", "/a", NULL, NULL);
    fits("/a", "/a/b", NULL, NULL);
    fits("/a/", "/a", NULL, NULL);
    fits("/ab", "/a", NULL, NULL);
    fits("/a/b/c", "/a/{x}/c", "x", "b");
    fits("/a/b/c", "/a/{x}/{y}", "y", "c");
    fits("/a//c", "/a/{x}/c", NULL, NULL);
    fits("/a/", "/a/{x}", NULL, NULL);
    fits("/a/{x}", "/a/{x}", "x", "{x}");
}

/* ---- Ranges ---- */

static void range_is(const char *field, uint64_t size, enum http_range_kind kind, uint64_t first, uint64_t length)
{
    struct http_range r = http_range_parse(field, size);
    ok(r.kind == kind && (kind != HTTP_RANGE_PART || (r.first == first && r.length == length)), "range %s of %llu", field ? field : "none",
       (unsigned long long)size);
}

static void test_ranges(void)
{
    range_is(NULL, 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes=0-0", 10, HTTP_RANGE_PART, 0, 1);
    range_is("BYTES=2-5", 10, HTTP_RANGE_PART, 2, 4);
    range_is("bytes=2-", 10, HTTP_RANGE_PART, 2, 8);
    range_is("bytes=9-99999999999999999999999", 10, HTTP_RANGE_PART, 9, 1);
    range_is("bytes=10-", 10, HTTP_RANGE_OUTSIDE, 0, 0);
    range_is("bytes=18446744073709551616-", 10, HTTP_RANGE_OUTSIDE, 0, 0);
    range_is("bytes=-3", 10, HTTP_RANGE_PART, 7, 3);
    range_is("bytes=-30", 10, HTTP_RANGE_PART, 0, 10);
    range_is("bytes=-0", 10, HTTP_RANGE_OUTSIDE, 0, 0);
    range_is("bytes=0-", 0, HTTP_RANGE_OUTSIDE, 0, 0);
    range_is("bytes=-1", 0, HTTP_RANGE_OUTSIDE, 0, 0);
    range_is("bytes=5-2", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes=", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes=-", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes=1", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes=1-2,4-5", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes= 1-2", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("packets=1-2", 10, HTTP_RANGE_NONE, 0, 0);
    range_is("bytes=0-18446744073709551615", UINT64_MAX, HTTP_RANGE_PART, 0, UINT64_MAX);
}

/* ---- Addresses ---- */

static void test_addresses(void)
{
    static const struct {
        const char *text;
        int loopback; /* -1: wrong */
    } cases[] = {{"127.0.0.1:48999", 1},
                 {"127.9.9.9:0", 1},
                 {"localhost:65535", 1},
                 {"[::1]:1", 1},
                 {"[::ffff:127.0.0.1]:1", 1},
                 {":48999", 0},
                 {"0.0.0.0:1", 0},
                 {"[::]:1", 0},
                 {"10.0.0.1:1", 0},
                 {"[::ffff:10.0.0.1]:1", 0},
                 {"127.0.0.1", -1},
                 {"127.0.0.1:", -1},
                 {"127.0.0.1:65536", -1},
                 {"127.0.0.1:-1", -1},
                 {"127.0.0.1:1x", -1},
                 {"::1:80", -1},
                 {"[::1:80", -1},
                 {"[]:80", -1},
                 {"[:80", -1},
                 {"example.com:80", -1},
                 {"127.1:80", -1},
                 {"[127.0.0.1]:1", -1},
                 {"", -1},
                 {":", -1},
                 {":000001", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listen_address a;
        struct error err = {.text = ""};
        int status = listen_address_parse(cases[i].text, &a, &err);
        is_int(status == TD_OK ? a.loopback : -1, cases[i].loopback, "address \"%s\": %.40s", cases[i].text, err.text);
    }
}

/* ---- Tokens ---- */

static void token_file(const char *path, const char *text, size_t n, unsigned mode, int want, const char *part)
{
    char token[TOKEN_MAX + 1] = "";
    struct error err = {.text = ""};
    FILE *file = fopen(path, "w");
    fwrite(text, 1, n, file);
    fclose(file);
    chmod(path, mode);
    is_int(token_read_file(path, token, &err), want, "token file %.20s: %s", text, error_name(want));
    like(want == TD_OK ? token : err.text, part, "%s", part);
    if (want != TD_OK)
        like(err.text, path, "the error names the file");
}

static void test_tokens(void)
{
    char path[] = "/tmp/net_token.XXXXXX", missing[64], long_text[5000];
    struct token t;
    struct error err = {.text = ""};
    int fd = mkstemp(path);
    close(fd);
    memset(long_text, 'x', sizeof(long_text));
    token_file(path, " \n0123456789abcdef\r\n", 20, 0600, TD_OK, "0123456789abcdef");
    token_file(path, "0123456789abcdef", 16, 0440, TD_OK, "0123456789abcdef");
    token_file(path, "0123456789abcdef", 16, 0644, TD_E_DENIED, "chmod 600");
    token_file(path, "0123456789abcdef", 16, 0660, TD_E_DENIED, "chmod 600");
    token_file(path, "0123456789abcde", 15, 0600, TD_E_CONFIG, "it needs 16");
    token_file(path, "", 0, 0600, TD_E_CONFIG, "0 characters");
    token_file(path, "0123456789 abcdef", 17, 0600, TD_E_CONFIG, "no spaces");
    token_file(path, "0123456789\0abcdef", 17, 0600, TD_E_CONFIG, "visible characters");
    token_file(path, long_text, 1024, 0600, TD_OK, "xxx");
    token_file(path, long_text, 1025, 0600, TD_E_CONFIG, "1024 are the most");
    token_file(path, long_text, 5000, 0600, TD_E_CONFIG, "longer than");
    unlink(path);
    snprintf(missing, sizeof(missing), "%s/none", path);
    char text[TOKEN_MAX + 1];
    is_int(token_read_file(missing, text, &err), TD_E_NOT_FOUND, "a file that is not there");
    is_int(token_read_file("/", text, &err), TD_E_CONFIG, "a directory");

    token_init(&t, TD_LIT("0123456789abcdef"));
    ok(token_is(&t, TD_LIT("0123456789abcdef")), "a token is itself");
    ok(!token_is(&t, TD_LIT("0123456789abcdeF")) && !token_is(&t, TD_LIT("0123456789abcde")) && !token_is(&t, td_bytes(NULL, 0)),
       "and nothing else");
}

static void roles_file(const char *path, const char *text, size_t n, int want, const char *part)
{
    struct token_roles roles;
    struct error err = {.text = ""};
    struct buf got = {.n = 0};
    FILE *file = fopen(path, "w");
    fwrite(text, 1, n, file);
    fclose(file);
    chmod(path, 0600);
    is_int(token_read_roles(path, &roles, &err), want, "tokens file %.30s: %s", text, error_name(want));
    for (size_t i = 0; i < roles.n && want == TD_OK; i++)
        buf_printf(&got, "%d %s %s,", (int)roles.tokens[i].role, roles.tokens[i].text, roles.tokens[i].name ? roles.tokens[i].name : "-");
    like(want == TD_OK ? buf_cstr(&got) : err.text, part, "%s", part);
    if (want != TD_OK)
        like(err.text, path, "the error names the file");
    ok(!strstr(err.text, "0123456789abcdef"), "and no token");
    buf_clear(&got);
    token_roles_wipe(&roles);
}

#define TOKENS(text, want, part) roles_file(path, "" text, sizeof(text) - 1, want, part)

static void test_token_roles(void)
{
    char path[] = "/tmp/net_roles.XXXXXX", place[64];
    struct buf many = {.n = 0};
    struct token_roles roles;
    struct error err = {.text = ""};
    int fd = mkstemp(path);
    close(fd);
    TOKENS("admin 0123456789abcdef", TD_OK, "3 0123456789abcdef -,");
    TOKENS("# who\r\n\n  viewer\t0123456789abcdef0 # Vera \xc3\x84 # 2\t\r\noperator 0123456789abcdef1#2\nadmin 0123456789abcdef3 #\n",
           TD_OK, "1 0123456789abcdef0 Vera \xc3\x84 # 2,2 0123456789abcdef1#2 -,3 0123456789abcdef3 -,");
    snprintf(place, sizeof(place), "%s:2: ", path);
    TOKENS("\nroot 0123456789abcdef", TD_E_CONFIG, place);
    TOKENS("Admin 0123456789abcdef", TD_E_CONFIG, "viewer, operator or admin");
    TOKENS("0123456789abcdef", TD_E_CONFIG, "begins with a role");
    TOKENS("admin", TD_E_CONFIG, "no token behind the role");
    TOKENS("admin # 0123456789", TD_E_CONFIG, "no token behind the role");
    TOKENS("#\nadmin short", TD_E_CONFIG, place);
    TOKENS("admin short", TD_E_CONFIG, "can be guessed");
    TOKENS("admin 0123456789abcdef ada", TD_E_CONFIG, "only a comment");
    TOKENS("admin 0123456789abcdef # a\x01", TD_E_CONFIG, "plain UTF-8");
    TOKENS("admin 0123456789abcdef # \xff", TD_E_CONFIG, "plain UTF-8");
    TOKENS("admin 0123456789abcdef # 0123456789 0123456789 0123456789 0123456789 0123456789 012345678", TD_E_CONFIG, "63 are the most");
    TOKENS("admin 0123456789abcdef\nviewer 0123456789abcdef", TD_E_CONFIG, place);
    TOKENS("admin 0123456789abcdef\nviewer 0123456789abcdef", TD_E_CONFIG, "there already");
    TOKENS("admin 0123456789\0abcdef", TD_E_CONFIG, "zero");
    TOKENS("", TD_E_CONFIG, "no token is in it");
    TOKENS("# nothing\n", TD_E_CONFIG, "no token is in it");
    for (int i = 0; i < 65; i++)
        buf_printf(&many, "viewer 0123456789ABCDEF-%d # %d\n", i, i);
    snprintf(place, sizeof(place), "%s:65: ", path);
    roles_file(path, (const char *)many.p, many.n, TD_E_CONFIG, place);
    roles_file(path, (const char *)many.p, many.n - strlen("viewer 0123456789ABCDEF-64 # 64\n"), TD_OK, "1 0123456789ABCDEF-63 63,");
    buf_clear(&many);
    chmod(path, 0640 | 04);
    is_int(token_read_roles(path, &roles, &err), TD_E_DENIED, "a file that others can read");
    like(err.text, "chmod 600", "with the remedy");
    token_roles_wipe(&roles);
    unlink(path);
    is_int(token_read_roles(path, &roles, &err), TD_E_NOT_FOUND, "a file that is not there");
    token_roles_wipe(&roles);
}

/* ---- Answers ---- */

static void content_range_is(const char *text, int64_t first, int64_t n, int64_t size)
{
    struct http_content_range r = {-2, -2, -2};
    bool good = http_content_range_parse(td_str(text), &r);
    ok(good == (n > 0) && (!good || (r.first == first && r.n == n && r.size == size)), "Content-Range: %s", text ? text : "");
}

static void test_answer_fields(void)
{
    struct http_problem problem;
    char tag[8];
    content_range_is("bytes 0-0/1", 0, 1, 1);
    content_range_is("Bytes 5-9/*", 5, 5, -1);
    content_range_is("bytes 0-9223372036854775806/9223372036854775807", 0, INT64_MAX, INT64_MAX);
    static const char *const wrong[] = {"bytes */10",
                                        "bytes 5-4/10",
                                        "bytes 0-10/10",
                                        "bytes 0-1/",
                                        "bytes 0-1/1x",
                                        "bytes -1/10",
                                        "bytes 0-/10",
                                        "bytes=0-1/10",
                                        "items 0-1/2",
                                        "bytes 0-1",
                                        "bytes 0-9223372036854775807/*",
                                        "bytes 0-99999999999999999999/*",
                                        "",
                                        "bytes "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        content_range_is(wrong[i], 0, 0, 0);
    ok(http_etag_parse(TD_LIT("\"abc\""), tag, sizeof(tag)) && strcmp(tag, "abc") == 0, "a tag");
    ok(http_etag_parse(TD_LIT("W/\"1234567\""), tag, sizeof(tag)) && strcmp(tag, "1234567") == 0, "a weak one");
    ok(!http_etag_parse(TD_LIT("\"12345678\""), tag, sizeof(tag)) && !http_etag_parse(TD_LIT("abc"), tag, sizeof(tag)) &&
           !http_etag_parse(TD_LIT("\""), tag, sizeof(tag)) && !http_etag_parse(TD_LIT("\"a\"b\""), tag, sizeof(tag)),
       "and none");
    http_problem_parse(TD_LIT("{\"code\":\"Not OK\",\"detail\":5,\"title\":\"T\"}"), &problem);
    ok(!problem.code[0] && strcmp(problem.detail, "T") == 0, "a problem without code and detail has its title");
    http_problem_parse(TD_LIT("{\"code\":\"a_b.c-1\",\"detail\":\"a\\u0085b\\u007f\\u00e4\"}"), &problem);
    is_str(problem.code, "a_b.c-1", "a code");
    is_str(problem.detail, "a  b \xc3\xa4", "a detail without controls");
    char text[1200] = "{\"detail\":\"";
    for (size_t i = strlen(text); i < 1100; i += 2)
        memcpy(text + i, "\xc3\xa4", 3);
    memcpy(text + strlen(text), "\"}", 3);
    http_problem_parse(td_str(text), &problem);
    is_int(strlen(problem.detail), 510, "a long one is cut between characters");
    http_problem_parse(TD_LIT("[1]"), &problem);
    ok(!problem.code[0] && !problem.detail[0], "what is no object tells nothing");
    ok(http_same_origin("http://a", "http://A:80/x?y") && http_same_origin("https://[::1]/", "https://[::1]:443"), "the same origin");
    ok(!http_same_origin("http://a", "https://a") && !http_same_origin("http://a", "http://a:81") &&
           !http_same_origin("http://a", "http://b") && !http_same_origin("http://a", "http://a.b") &&
           !http_same_origin("http://a", "nonsense:"),
       "others");
}

/* ---- Metrics ---- */

static void test_metrics(void)
{
    struct buf out = {.n = 0};
    struct metrics m;
    struct error err = {.text = ""};
    const struct metric_label labels[] = {{"iface", "eth\"0\\"}, {"node", "a\nb"}}, reserved = {"__name", "x"}, colon = {"a:b", "x"};
    metrics_begin(&m, &out);
    metrics_family(&m, METRIC_COUNTER, "tapedeck_packets_total", "Packets\\\nthat came, \"all\".");
    metrics_u64(&m, UINT64_MAX, NULL, 0);
    metrics_u64(&m, 1, labels, 2);
    metrics_family(&m, METRIC_GAUGE, "tapedeck_newest_seconds", "Newest.");
    metrics_double(&m, 1.5, labels, 1);
    metrics_double(&m, NAN, NULL, 0);
    metrics_double(&m, -INFINITY, NULL, 0);
    is_int(metrics_end(&m, &err), TD_OK, "a page of metrics");
    is_str(buf_cstr(&out),
           "# HELP tapedeck_packets_total Packets\\\\\\nthat came, \"all\".\n"
           "# TYPE tapedeck_packets_total counter\n"
           "tapedeck_packets_total 18446744073709551615\n"
           "tapedeck_packets_total{iface=\"eth\\\"0\\\\\",node=\"a\\nb\"} 1\n"
           "# HELP tapedeck_newest_seconds Newest.\n"
           "# TYPE tapedeck_newest_seconds gauge\n"
           "tapedeck_newest_seconds{iface=\"eth\\\"0\\\\\"} 1.5\n"
           "tapedeck_newest_seconds NaN\n"
           "tapedeck_newest_seconds -Inf\n",
           "as Prometheus reads it");

    static const struct {
        enum metric_type type;
        const char *name;
    } wrong[] = {{METRIC_COUNTER, "packets"}, {METRIC_GAUGE, "packets_total"}, {METRIC_GAUGE, "9packets"}, {METRIC_GAUGE, "a-b"},
                 {METRIC_GAUGE, ""},          {METRIC_GAUGE, "twice"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        buf_reset(&out);
        metrics_begin(&m, &out);
        metrics_family(&m, METRIC_GAUGE, "twice", "");
        metrics_u64(&m, 1, NULL, 0);
        metrics_family(&m, wrong[i].type, wrong[i].name, "");
        metrics_u64(&m, 1, NULL, 0);
        is_int(metrics_end(&m, &err), TD_E_INTERNAL, "%s cannot be written", wrong[i].name);
    }
    for (size_t i = 0; i < 2; i++) {
        buf_reset(&out);
        metrics_begin(&m, &out);
        metrics_family(&m, METRIC_GAUGE, "good", "");
        metrics_u64(&m, 1, i ? &reserved : &colon, 1);
        is_int(metrics_end(&m, &err), TD_E_INTERNAL, "nor can this label");
    }
    buf_reset(&out);
    metrics_begin(&m, &out);
    metrics_u64(&m, 1, NULL, 0);
    is_int(metrics_end(&m, &err), TD_E_INTERNAL, "nor a sample of nothing");
    buf_clear(&out);
    out.max = 10;
    metrics_begin(&m, &out);
    metrics_family(&m, METRIC_GAUGE, "good", "");
    is_int(metrics_end(&m, &err), TD_E_NOMEM, "a page that does not fit is told");
    buf_clear(&out);
}

int main(void)
{
    test_targets();
    test_patterns();
    test_ranges();
    test_addresses();
    test_tokens();
    test_token_roles();
    test_answer_fields();
    test_metrics();
    return tap_done();
}
