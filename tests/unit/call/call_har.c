#include "call/call_har.h"

#include <jansson.h>

#include "base/mem.h"
#include "call_maker.h"
#include "har_check.h"
#include "tap.h"

#define S INT64_C(1000000000)

extern const struct td_plugin td_plugin_v1_http;
extern const struct td_plugin td_plugin_v1_http2;
extern const struct td_plugin td_plugin_v1_dns;

static struct field_set fields, dns_fields;
static struct call_har har;
static struct td_call call;
static struct buf out;

static const struct td_flow flow = {.ip = {{192, 0, 2, 1}, {192, 0, 2, 80}}, .port = {40001, 8080}, .ip_version = 4, .transport = 6};

/* ---- Filling the call, by the names of its fields ---- */

static uint32_t field(const char *name)
{
    int at = field_find(&fields, td_str(name));
    if (at < 0)
        tap_ok(false, __FILE__, __LINE__, "the dissector has a field %s", name);
    return at < 0 ? 0 : (uint32_t)at;
}

static void set(const char *name, struct td_slice value)
{
    call_set_bytes(&call, field(name), value);
}

static void set_size(const char *name, uint64_t value)
{
    call_set_u64(&call, field(name), value);
}

static void set_pair(const char *name, struct td_slice key, struct td_slice value)
{
    call_set_pair(&call, field(name), key, value);
}

static void clear(void)
{
    call_reset(&call, 1 << 20);
}

static void fill_request(void)
{
    set("method", TD_LIT("POST"));
    set("url", TD_LIT("http://shop.example/a?b=1+2&c=%C3%A9"));
    set("query_string", TD_LIT("b=1+2&c=%C3%A9"));
    set("http_host", TD_LIT("shop.example"));
    set("http_version", TD_LIT("1.1"));
    set("request_content_type", TD_LIT("text/plain"));
    set_pair("request.headers", TD_LIT("Host"), TD_LIT("shop.example"));
    set_pair("request.headers", TD_LIT("X-a"), TD_LIT("1"));
    set_pair("request.headers", TD_LIT("X-a"), TD_LIT("2"));
    set_pair("request.cookies", TD_LIT("id"), TD_LIT("x\"y"));
    set_size("request_headers_size", 90);
    set_size("request_body_size", 5);
    set("request.body", TD_LIT("hello"));
    call_add_packet(&call.half[TD_CLIENT], 4, 1767323045 * S + 6789000, 60);
    call_add_packet(&call.half[TD_CLIENT], 5, 1767323045 * S + 8789000, 35);
}

static void fill_response(void)
{
    set_size("status_code", 302);
    set("http_reason", TD_LIT("Found"));
    set("http_response_version", TD_LIT("1.0"));
    set("response_content_type", TD_LIT("text/html; charset=utf-8"));
    set_pair("response.headers", TD_LIT("LOCATION"), TD_LIT("/login"));
    set_pair("response.cookies", TD_LIT("a"), TD_LIT("b"));
    set_size("response_headers_size", 70);
    set_size("response_body_size", 7);
    set("response.body", TD_LIT("<p>caf\xc3\xa9"));
    set_size("response_body_size", 8);
    call_add_packet(&call.half[TD_SERVER], 7, 1767323045 * S + 12789000, 70);
    call_add_packet(&call.half[TD_SERVER], 9, 1767323045 * S + 12789500, 8);
}

/* ---- Reading what came out ---- */

static bool is_valid(const char *what)
{
    struct har_check c = har_check((const char *)out.p, out.n);
    return ok(!c.fault[0] && !out.failed, "%s: a valid archive%s%s", what, c.fault[0] ? ": " : "", c.fault);
}

static json_t *archive; /* of the last entry_of() */

/* The call as the only entry of an archive. */
static json_t *entry_of(const char *what)
{
    buf_reset(&out);
    call_har_begin(&out, "1.2.3");
    ok(call_har_put(&out, &har, &call, true), "%s: written", what);
    call_har_end(&out);
    if (!is_valid(what))
        tap_diag("%s", buf_cstr(&out));
    json_decref(archive);
    archive = json_loadb((const char *)out.p, out.n, JSON_ALLOW_NUL, NULL);
    return json_array_get(json_object_get(json_object_get(archive, "log"), "entries"), 0);
}

/* A value by its path, "request.headers.0.name"; texts as they are, all else as JSON; NULL: it is not there. */
static const char *get(const json_t *v, const char *path)
{
    static char text[512];
    char name[64];
    while (v && *path) {
        size_t n = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)n, path);
        v = json_is_array(v) ? json_array_get(v, (size_t)strtoul(name, NULL, 10)) : json_object_get(v, name);
        path += n + (path[n] == '.');
    }
    if (!v || json_is_string(v))
        return v ? json_string_value(v) : NULL;
    size_t n = json_dumpb(v, text, sizeof(text) - 1, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));
    text[n < sizeof(text) ? n : 0] = 0;
    return text;
}

/* ---- Tests ---- */

static void test_whole(void)
{
    clear();
    fill_request();
    fill_response();
    entry_of("a whole call");
    is_str(buf_cstr(&out),
           "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"Tapedeck\",\"version\":\"1.2.3\"},\"pages\":[],\"entries\":[\n"
           "{\"startedDateTime\":\"2026-01-02T03:04:05.006789000Z\",\"time\":6.0005,"
           "\"timings\":{\"send\":2,\"wait\":4,\"receive\":0.0005},"
           "\"request\":{\"method\":\"POST\",\"url\":\"http://shop.example/a?b=1+2&c=%C3%A9\",\"httpVersion\":\"HTTP/1.1\","
           "\"queryString\":[{\"name\":\"b\",\"value\":\"1 2\"},{\"name\":\"c\",\"value\":\"\xc3\xa9\"}],"
           "\"postData\":{\"mimeType\":\"text/plain\",\"params\":[],\"text\":\"hello\"},"
           "\"cookies\":[{\"name\":\"id\",\"value\":\"x\\\"y\"}],"
           "\"headers\":[{\"name\":\"Host\",\"value\":\"shop.example\"},{\"name\":\"X-a\",\"value\":\"1\"},"
           "{\"name\":\"X-a\",\"value\":\"2\"}],\"headersSize\":90,\"bodySize\":5},"
           "\"response\":{\"status\":302,\"statusText\":\"Found\",\"httpVersion\":\"HTTP/1.0\","
           "\"content\":{\"size\":8,\"mimeType\":\"text/html; charset=utf-8\",\"text\":\"<p>caf\xc3\xa9\"},"
           "\"redirectURL\":\"/login\",\"cookies\":[{\"name\":\"a\",\"value\":\"b\"}],"
           "\"headers\":[{\"name\":\"LOCATION\",\"value\":\"/login\"}],\"headersSize\":70,\"bodySize\":8},"
           "\"cache\":{},\"serverIPAddress\":\"192.0.2.80\",\"connection\":\"3\"}\n]}}\n",
           "and what it is, to the byte");
}

static void test_missing_halves(void)
{
    clear();
    fill_request();
    json_t *e = entry_of("a request alone");
    is_str(get(e, "comment"), "the response was not seen", "the comment says what is missing");
    is_str(get(e, "response.status"), "0", "status 0");
    is_str(get(e, "response.statusText"), "", "and no text");
    is_str(get(e, "response.httpVersion"), "", "and no version");
    is_str(get(e, "response.headersSize"), "-1", "size of the head unknown");
    is_str(get(e, "response.bodySize"), "-1", "size of the body unknown");
    is_str(get(e, "response.content"), "{\"size\":-1,\"mimeType\":\"\"}", "and of the content");
    is_str(get(e, "timings"), "{\"send\":2,\"wait\":0,\"receive\":0}", "it was sent, that is all");
    is_str(get(e, "time"), "2", "and takes that time");

    clear();
    fill_response();
    set("http_version", TD_LIT("1.0")); /* as the dissector does for a lone response */
    e = entry_of("a response alone");
    is_str(get(e, "comment"), "the request was not seen", "the comment says what is missing");
    is_str(get(e, "startedDateTime"), "2026-01-02T03:04:05.012789000Z", "it began with the response");
    is_str(get(e, "request.method"), "", "no method");
    is_str(get(e, "request.url"), "http://192.0.2.80:8080/", "the server's address");
    is_str(get(e, "request.httpVersion"), "", "no version");
    is_str(get(e, "request.bodySize"), "-1", "size unknown");
    is_str(get(e, "request.postData"), NULL, "nothing posted");
    is_str(get(e, "response.status"), "302", "the status");
    is_str(get(e, "timings"), "{\"send\":0,\"wait\":0,\"receive\":0.0005}", "it was received, that is all");
    is_str(get(e, "time"), "0.0005", "and takes that time");

    clear();
    e = entry_of("nothing at all");
    is_str(get(e, "comment"), "the request was not seen; the response was not seen", "the comment says so");
}

static void test_marks(void)
{
    clear();
    fill_request();
    fill_response();
    call.half[TD_CLIENT].cut = call.half[TD_SERVER].cut = true;
    call.half[TD_CLIENT].missing = 1460;
    call.half[TD_SERVER].missing = 9;
    call.flags = TD_PARTIAL;
    call.incomplete_values = true;
    set("url", TD_LIT("/a"));
    call.set[field("http_host") / 64] &= ~(1ull << field("http_host") % 64);
    is_str(get(entry_of("all that can be missing"), "comment"),
           "the end of the request was not seen; 1460 bytes of the request were not captured; the end of the response was not seen; "
           "9 bytes of the response were not captured; the request names no host, so the URL has the server's address; "
           "something could not be decoded; memory was short, so values are missing",
           "is told");
}

static void test_times(void)
{
    static const struct {
        int64_t request[2], response[2]; /* first and last packet */
        const char *time, *send, *wait, *receive, *what;
    } cases[] = {
        {{0, 0}, {0, 0}, "0", "0", "0", "0", "all at once"},
        {{0, 1}, {3, 6}, "0.000006", "0.000001", "0.000002", "0.000003", "nanoseconds"},
        {{0, 1000000}, {2010000, 3010100}, "3.0101", "1", "1.01", "1.0001", "one after the other"},
        {{0, 3000000}, {2000000, 5000000}, "5", "3", "0", "2", "an answer before the request's end"},
        {{0, 9000000}, {2000000, 5000000}, "5", "5", "0", "0", "a request that goes on after the answer"},
        {{5000000, 9000000}, {2000000, 6000000}, "1", "1", "0", "0", "an answer that begins too early"},
        {{5000000, 9000000}, {0, 1000000}, "0", "0", "0", "0", "a clock that went back"},
        {{INT64_MIN, INT64_MIN}, {INT64_MAX, INT64_MAX}, "18446744073709.551615", "0", "18446744073709.551615", "0", "all of time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf want = {0};
        buf_printf(&want, "\"time\":%s,\"timings\":{\"send\":%s,\"wait\":%s,\"receive\":%s}", cases[i].time, cases[i].send, cases[i].wait,
                   cases[i].receive);
        clear();
        for (int dir = 0; dir < 2; dir++) {
            const int64_t *times = dir == TD_CLIENT ? cases[i].request : cases[i].response;
            call.half[dir] = (struct call_half){.seen = true, .first_ns = times[0], .last_ns = times[1]};
        }
        entry_of(cases[i].what);
        like(buf_cstr(&out), buf_cstr(&want), "%s: its parts", cases[i].what);
        buf_clear(&want);
    }
}

static void test_urls(void)
{
    static const struct {
        const char *method, *url, *host, *want;
    } cases[] = {
        {"GET", "http://a/b?c", "a", "http://a/b?c"},
        {"GET", "https://other:8443/", "a", "https://other:8443/"},
        {"GET", "/b", "", "http://192.0.2.80:8080/b"},
        {"GET", "", "", "http://192.0.2.80:8080/"},
        {"GET", "b", "a:81", "http://a:81/b"},
        {"OPTIONS", "*", "", "http://192.0.2.80:8080/"},
        {"CONNECT", "b:443", "a", "http://b:443/"},
        {"CONNECT", "", "", "http://192.0.2.80:8080/"},
        {"GET", "http:///b", "/", "http://192.0.2.80:8080/http:///b"},
        {"GET", "http://a/ \"<x>|\\#\x01\xff", "a", "http://a/%20%22%3Cx%3E%7C%5C%23%01%FF"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        clear();
        set("method", td_str(cases[i].method));
        set("url", td_str(cases[i].url));
        if (*cases[i].host)
            set("http_host", td_str(cases[i].host));
        call.half[TD_CLIENT].seen = true;
        is_str(get(entry_of(cases[i].want), "request.url"), cases[i].want, "%s %s of \"%s\"", cases[i].method, cases[i].url, cases[i].host);
    }
    struct td_flow ipv6 = {.ip = {{0}, {0x20, 1, 0xd, 0xb8, [15] = 1}}, .port = {1, 80}, .ip_version = 6, .transport = 6};
    clear();
    call.flow = &ipv6;
    json_t *e = entry_of("IPv6");
    is_str(get(e, "request.url"), "http://[2001:db8::1]:80/", "an address of IPv6 in brackets");
    is_str(get(e, "serverIPAddress"), "2001:db8::1", "and without");
    call.flow = &flow;
}

/* Bodies: kept or not, whole or not, coded or not, text or not. */
static void test_bodies(void)
{
    clear();
    set("response.body", td_bytes("\x89PNG\0", 5));
    set("request.body", td_bytes("\xff\xfe", 2));
    json_t *e = entry_of("bodies that are not UTF-8");
    is_str(get(e, "response.content"), "{\"size\":5,\"mimeType\":\"\",\"text\":\"iVBORwA=\",\"encoding\":\"base64\"}", "a response's");
    is_str(get(e, "request.postData"), "{\"mimeType\":\"\",\"params\":[],\"text\":\"//4=\",\"_encoding\":\"base64\"}", "a request's");

    clear();
    set_size("request_body_size", 10);
    set_size("response_body_size", 20);
    e = entry_of("bodies that were not kept");
    is_str(get(e, "response.content"), "{\"size\":20,\"mimeType\":\"\",\"comment\":\"the content was not kept\"}", "a response's");
    is_str(get(e, "request.postData"), "{\"mimeType\":\"\",\"params\":[],\"text\":\"\",\"comment\":\"the content was not kept\"}",
           "a request's");
    set("response.body", TD_LIT("twelve bytes"));
    e = entry_of("the beginning of a body");
    is_str(get(e, "response.content.size"), "20", "its whole size");
    is_str(get(e, "response.content.comment"), "of the content, only the first 12 bytes were kept", "and how much there is");

    set_pair("response.headers", TD_LIT("content-Encoding"), TD_LIT("gzip"));
    e = entry_of("a coded body");
    is_str(get(e, "response.content"), "{\"size\":12,\"mimeType\":\"\",\"text\":\"twelve bytes\"}", "its decoded size");
    is_str(get(e, "response.bodySize"), "20", "beside that on the wire");
    call.bodies[0].cut = true;
    is_str(get(entry_of("a coded body that is cut"), "response.content.comment"), "of the content, only the first 12 bytes were kept",
           "is told");

    clear();
    set_size("response_body_size", 20);
    set_pair("response.headers", TD_LIT("Content-Encoding"), TD_LIT("gzip"));
    is_str(get(entry_of("a coded body that was not kept"), "response.content.size"), "-1", "nobody knows its size");
    set_size("response_body_size", 0);
    is_str(get(entry_of("no body, though coded"), "response.content"), "{\"size\":0,\"mimeType\":\"\"}", "its size is known");
    set("response.body", TD_LIT(""));
    is_str(get(entry_of("an empty body"), "response.content"), "{\"size\":0,\"mimeType\":\"\"}", "is none");
    set_pair("response.trailers", TD_LIT("grpc-status"), TD_LIT("0"));
    is_str(get(entry_of("trailers"), "response._trailers"), "[{\"name\":\"grpc-status\",\"value\":\"0\"}]", "in a field of our own");
}

/* What is no text for those who look at it, although it is UTF-8; and values of header fields that are not even that. */
static void test_binary(void)
{
    clear();
    set("response.body", td_bytes("\0\0\0\0\x02hi", 7));
    set("request.body", TD_LIT("a\tb\r\nc\x1b[0m\f"));
    set_pair("request.headers", TD_LIT("x-trace-bin"), td_bytes("\0\xff\x10\x80z", 5));
    set_pair("response.trailers", TD_LIT("x-tags-bin"), td_bytes("\xc3\xa9\xc3", 3));
    json_t *e = entry_of("binary content");
    is_str(get(e, "response.content"), "{\"size\":7,\"mimeType\":\"\",\"text\":\"AAAAAAJoaQ==\",\"encoding\":\"base64\"}",
           "zeros are no text");
    is_str(get(e, "request.postData.text"), "a\tb\r\nc\x1b[0m\f", "but tabs, line ends and colours are");
    is_str(get(e, "response._trailers.0.value"), "\xc3\x83\xc2\xa9\xc3\x83", "bytes of a header field that are not UTF-8");
    json_t *value = json_object_get(json_array_get(json_object_get(json_object_get(e, "request"), "headers"), 0), "value");
    is_mem(json_string_value(value), json_string_length(value), "\0\xc3\xbf\x10\xc2\x80z", 7, "are those of ISO 8859-1, all of them");
}

/* With the fields of HTTP/2. */
static void test_http2(void)
{
    const struct td_dissector *http2 = td_plugin_v1_http2.components[0]->ops;
    struct field_set mine = fields, other;
    struct call_har before = har;
    is_int(field_set_init(&other, &http2->fields, NULL), TD_OK, "the fields of HTTP/2");
    call_clear(&call);
    fields = other;
    call.fields = &fields;
    call_har_init(&har, &fields);
    set("method", TD_LIT("GET"));
    set("url", TD_LIT("https://h/style.css"));
    set("http_version", TD_LIT("2"));
    set("http_response_version", TD_LIT("2"));
    set_pair("request.headers", TD_LIT(":method"), TD_LIT("GET"));
    set_pair("response.headers", TD_LIT(":status"), TD_LIT("200"));
    set_pair("response.headers", TD_LIT("server"), TD_LIT("s"));
    call.half[TD_SERVER].seen = true;
    call_set_u64(&call, field("http2_pushed"), 1);
    json_t *e = entry_of("HTTP/2");
    is_str(get(e, "request.url"), "https://h/style.css", "the URL of what was pushed");
    is_str(get(e, "request.httpVersion"), "HTTP/2", "the version that was promised");
    is_str(get(e, "request.headers"), "[{\"name\":\":method\",\"value\":\"GET\"}]", "a request's own fields are there");
    is_str(get(e, "response.headers"), "[{\"name\":\"server\",\"value\":\"s\"}]", "a response's status is its status");
    is_str(get(e, "comment"), "the server pushed it", "no request is missing");
    call_har_clear(&har);
    call_clear(&call);
    field_set_clear(&fields);
    fields = mine;
    har = before;
    call.fields = &fields;
}

static void test_hostile(void)
{
    struct td_slice nasty = td_bytes("\"\\\0\x01\x1b\x7f\r\n\xff\xc3(\xed\xa0\x80</script>", 23);
    struct buf huge = {0};
    while (huge.n < 1 << 20)
        buf_put_slice(&huge, nasty);
    static const char *const texts[] = {"method",
                                        "url",
                                        "query_string",
                                        "http_host",
                                        "http_version",
                                        "http_reason",
                                        "http_response_version",
                                        "request_content_type",
                                        "response_content_type"};
    static const char *const maps[] = {"request.headers",  "response.headers", "request.cookies",
                                       "response.cookies", "request.trailers", "response.trailers"};
    for (int round = 0; round < 2; round++) {
        struct td_slice v = round ? buf_slice(&huge) : nasty;
        clear();
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
            set(texts[i], v);
        for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
            set_pair(maps[i], v, v);
            set_pair(maps[i], td_bytes(NULL, 0), td_bytes(NULL, 0));
        }
        set("request.body", v);
        set_size("status_code", UINT64_MAX >> 1);
        set_size("response_body_size", UINT64_MAX >> 1);
        call.half[TD_CLIENT] = (struct call_half){.seen = true, .missing = UINT64_MAX, .first_ns = INT64_MIN, .last_ns = INT64_MAX};
        json_t *e = entry_of(round ? "huge hostile values" : "hostile values");
        if (!round)
            is_str(get(e, "response.headers.0.name") + 2, "", "a zero ends a C string here");
        ok(json_array_size(json_object_get(json_object_get(e, "request"), "headers")) == 2, "as many headers as there were");
    }
    buf_clear(&huge);
}

/* Random bytes in random fields. */
static void test_random(void)
{
    static const char alphabet[] = "ab&=%4+/?#:*\" \\\xff\xc3\xa9\n{";
    uint64_t random = 88172645463325252u;
    size_t faults = 0;
    for (int round = 0; round < 3000; round++) {
        clear();
        for (uint32_t f = 0; f < fields.n; f++) {
            uint8_t bytes[24];
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)alphabet[(random >> i) % (sizeof(alphabet) - 1)];
            struct td_slice v = td_bytes(bytes, random % 25);
            if (random >> 60 & 1)
                continue;
            if (!call_set_bytes(&call, f, v) && !call_set_pair(&call, f, v, td_sub(v, 3, 9)))
                call_set_u64(&call, f, random >> 8);
        }
        for (int dir = 0; dir < 2; dir++)
            call.half[dir] = (struct call_half){.seen = random >> dir & 1, .first_ns = (int64_t)(random * 3), .last_ns = (int64_t)random};
        buf_reset(&out);
        call_har_begin(&out, "1");
        call_har_put(&out, &har, &call, true);
        call_har_end(&out);
        struct har_check c = har_check((const char *)out.p, out.n);
        faults += c.fault[0] != 0;
        if (c.fault[0] && faults < 3)
            tap_diag("round %d: %s\n%s", round, c.fault, buf_cstr(&out));
    }
    is_int(faults, 0, "random values make valid archives");
}

static void test_many(void)
{
    struct call_maker maker;
    struct call_har hars[2];
    size_t http = 0;
    call_maker_init(&maker, 7);
    maker.headers = maker.bodies = true;
    for (int i = 0; i < 2; i++)
        call_har_init(&hars[i], maker.components[i]);
    ok(hars[0].http && !hars[1].http, "HTTP is, DNS is not");
    buf_reset(&out);
    call_har_begin(&out, "1");
    for (int i = 0; i < 500; i++) {
        const struct td_call *c = call_maker_next(&maker);
        size_t before = out.n;
        bool put = call_har_put(&out, &hars[c->component], c, http == 0);
        if (put != (strcmp(c->protocol, "HTTP") == 0) || put != (out.n > before))
            ok(false, "call %d: %s", i, c->protocol);
        http += put;
    }
    call_har_end(&out);
    struct har_check c = har_check((const char *)out.p, out.n);
    is_str(c.fault, "", "many calls are a valid archive");
    ok(http > 100 && http < 500, "some of them HTTP, others not");
    is_int(c.entries, http, "with all the HTTP calls");
    buf_reset(&out);
    call_har_begin(&out, "1");
    call_har_end(&out);
    ok(is_valid("none"), "an archive without entries");
    for (int i = 0; i < 2; i++)
        call_har_clear(&hars[i]);
    call_maker_clear(&maker);
}

/* Fields of these names, but of other types, are other fields. */
static void test_other_fields(void)
{
    static const struct td_field rows[] = {
        {"method", TD_STRING, 0, "", {0}},       {"url", TD_STRING, 0, "", {0}},
        {"http_version", TD_STRING, 0, "", {0}}, {"status_code", TD_STRING, 0, "", {0}},
        {"http_reason", TD_U64, 0, "", {0}},     {"request.headers", TD_STRING, 0, "", {0}},
        {"response.body", TD_BYTES, 0, "", {0}}, {"http_host", TD_STRING, TD_F_LIST, "", {0}},
    };
    static const struct td_table table = TD_TABLE(rows);
    struct field_set set;
    struct call_har other;
    is_int(field_set_init(&set, &table, NULL), TD_OK, "another dissector");
    call_har_init(&other, &set);
    ok(other.http, "it speaks HTTP");
    for (int i = HAR_METHOD; i < HAR_FIELDS; i++)
        if (i != HAR_METHOD && i != HAR_URL && i != HAR_REQUEST_VERSION)
            is_int(other.fields[i], -1, "field %d is not what it means", i);
    call_clear(&call);
    call.fields = &set;
    for (uint32_t i = 0; i < set.n; i++)
        if (!call_set_bytes(&call, i, TD_LIT("x")))
            call_set_u64(&call, i, 5);
    struct call_har mine = har;
    har = other;
    is_str(get(entry_of("its call"), "response.status"), "0", "a status that is none");
    har = mine;
    call_clear(&call);
    call.fields = &fields;
    field_set_clear(&set);
}

static void test_no_room(void)
{
    clear();
    fill_request();
    fill_response();
    buf_reset(&out);
    call_har_put(&out, &har, &call, true);
    size_t whole = out.n;
    for (size_t max = 1; max < whole; max += 13) {
        struct buf small;
        buf_init(&small, max);
        call_har_put(&small, &har, &call, true);
        if (!small.failed || small.n > max)
            ok(false, "no room with %zu bytes: the buffer says so", max);
        buf_clear(&small);
    }
    call_har_clear(&har); /* so that the query needs memory again */
    buf_reset(&out);
    mem_fail_at(1);
    call_har_put(&out, &har, &call, true);
    mem_fail_at(0);
    ok(out.failed, "no memory for a query: the buffer says so");
    buf_reset(&out);
    call_har_put(&out, &har, &call, false);
    ok(!out.failed && out.n == whole + 1 && out.p[0] == ',', "memory again: the same, behind a comma");
}

int main(void)
{
    const struct td_dissector *http = td_plugin_v1_http.components[0]->ops, *dns = td_plugin_v1_dns.components[0]->ops;
    is_int(field_set_init(&fields, &http->fields, NULL), TD_OK, "the dissector's fields");
    is_int(field_set_init(&dns_fields, &dns->fields, NULL), TD_OK, "another's");
    call_har_init(&har, &fields);
    for (int i = 0; i < HAR_PUSHED; i++)
        ok(har.fields[i] >= 0, "field %d is found", i);
    call = (struct td_call){.fields = &fields, .protocol = "HTTP", .flow = &flow, .conn_id = 3};
    test_whole();
    test_missing_halves();
    test_marks();
    test_times();
    test_urls();
    test_bodies();
    test_binary();
    test_http2();
    test_hostile();
    test_random();
    test_many();
    test_other_fields();
    test_no_room();
    json_decref(archive);
    call_har_clear(&har);
    buf_clear(&out);
    call_clear(&call);
    field_set_clear(&fields);
    field_set_clear(&dns_fields);
    return tap_done();
}
