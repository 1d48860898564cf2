/* The server against a client that says exactly what it is told, well-formed or not. */
#include "service.h"

#define HEAD_END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#define AUTH(token) " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer " token "\r\n\r\n"

static struct service service;

/* The answer to `text` begins with the status and has the part. */
static void answers(const char *text, unsigned status, const char *part)
{
    char line[32];
    char *answer = client_ask(&service, text);
    snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
    bool good = answer && strncmp(answer, line, strlen(line)) == 0 && strstr(answer, part);
    if (!ok(good, "%.60s: %u, %s", text, status, part))
        tap_diag("got %s", answer ? answer : "nothing");
    mem_free(answer);
}

static void test_routes(void)
{
    service_start(&service, (struct http_server_options){.tokens = NULL});
    answers("GET /hello" HEAD_END, 200, "\r\n\r\nhello\n");
    answers("GET /" HEAD_END, 200, "\r\n\r\nhello\n");
    answers("GET http://localhost/hello" HEAD_END, 200, "\r\n\r\nhello\n");
    answers("GET http://localhost" HEAD_END, 200, "\r\n\r\nhello\n");
    answers("GET /hello/" HEAD_END, 404, "\"code\":\"unknown_path\"");
    answers("GET //hello" HEAD_END, 404, "application/problem+json");
    answers("GET /things//part" HEAD_END, 404, "\"title\":\"Not Found\",\"status\":404");
    answers("GET /things/a%2fb%20c/part?start=x%26y+z" HEAD_END, 200, "\r\n\r\na/b c,x&y z,3");
    answers("GET /things/a/part?start" HEAD_END, 200, "a,,3");
    answers("GET /things/a/part" HEAD_END, 200, "X-Thing: yes\r\n");
    answers("GET /things/a/part" HEAD_END, 200, "Cache-Control: no-store\r\n");
    answers("POST /hello" HEAD_END, 405, "Allow: GET, HEAD\r\n");
    answers("PUT /things/a/part" HEAD_END, 405, "Allow: GET, HEAD, POST, DELETE\r\n");
    answers("BREW /hello" HEAD_END, 405, "method_not_allowed");
    answers("GET /things/a/part?strat=1" HEAD_END, 400, "unknown parameter strat; did you mean start?");
    answers("GET /things/a/part?colour=1" HEAD_END, 400, "unknown parameter colour\"");
    answers("GET /things/a/part?start=1&start=2" HEAD_END, 400, "given twice");
    answers("GET /hello?a" HEAD_END, 400, "\"code\":\"invalid_parameter\"");

    char *head = client_ask(&service, "HEAD /hello" HEAD_END);
    ok(strstr(head, "200 OK") && strstr(head, "Content-Length: 6\r\n") && strcmp(strstr(head, "\r\n\r\n"), "\r\n\r\n") == 0,
       "HEAD tells the length and sends no body");
    mem_free(head);
    head = client_ask(&service, "HEAD /stream" HEAD_END);
    ok(strstr(head, "200 OK") && strcmp(strstr(head, "\r\n\r\n"), "\r\n\r\n") == 0, "HEAD of an endless stream ends");
    mem_free(head);

    answers("GET /fail?which=0" HEAD_END, 400, "\"detail\":\"why \\\"it\\\" failed\",\"code\":\"invalid_request\"}");
    answers("GET /fail?which=1" HEAD_END, 404, "not_found");
    answers("GET /fail?which=2" HEAD_END, 409, "exists");
    answers("GET /fail?which=3" HEAD_END, 403, "not_allowed");
    answers("GET /fail?which=4" HEAD_END, 503, "temporary_failure");
    answers("GET /fail?which=5" HEAD_END, 500, "internal_error");
    answers("GET /silent" HEAD_END, 500, "no answer");
    answers("GET /bad_field" HEAD_END, 500, "internal_error");
    char *failed = client_ask(&service, "GET /fail" HEAD_END);
    ok(!strstr(failed, "X-Gone"), "fields of an answer that was not given are not sent");
    mem_free(failed);
    struct http_server_stats stats;
    http_server_stats(service.server, &stats);
    is_int(stats.failures, 4, "failures of the server are counted");
    service_stop(&service);
}

static void test_hostile(void)
{
    static const char *const bad[] = {"/%",         "/%4",          "/%zz",     "/a/%00",       "/%0d%0aX:y",
                                      "/%ff",       "/../x",        "/a/./b",   "/%2e%2e/x",    "/..%2f../x/..",
                                      "/hello?a=%", "/hello?%zz=1", "/hello#a", "/hello?a=%c3", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"};
    service_start(&service, (struct http_server_options){.tokens = NULL});
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), "GET %s" HEAD_END, bad[i]);
        answers(text, 400, "\"code\":\"invalid_address\"");
    }
    answers("GET *" HEAD_END, 400, "not a path");

    struct buf text = {.n = 0};
    buf_lit(&text, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (int i = 0; i < 40; i++)
        buf_printf(&text, "X-%d: %01000d\r\n", i, i);
    buf_lit(&text, "\r\n");
    answers(buf_cstr(&text), 431, "\"code\":\"head_too_long\"");
    buf_reset(&text);
    buf_printf(&text, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %0*d\r\n\r\n", 2 << 20, 1);
    answers(buf_cstr(&text), 431, "");
    buf_reset(&text);
    buf_printf(&text, "GET /hello?%0*d" HEAD_END, 10000, 1);
    answers(buf_cstr(&text), 414, "\"code\":\"address_too_long\"");
    buf_reset(&text);
    buf_lit(&text, "GET /hello?a");
    for (int i = 0; i < 40; i++)
        buf_lit(&text, "&a");
    buf_lit(&text, HEAD_END);
    answers(buf_cstr(&text), 400, "more than 32 parameters");
    buf_clear(&text);

    /* Nothing of this may end the server; what it says to it does not matter. */
    static const char *const nonsense[] = {"\r\n\r\n",
                                           "GET\r\n\r\n",
                                           "GET /hello HTTP/9.9\r\n\r\n",
                                           "GET /hello HTTP/1.1\r\n\r\n",
                                           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                                           "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                                           "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                                           "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                           "GET /hello HTTP/1.1\r\n Host : \x01\r\n\r\n"};
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        int fd = client_open(&service);
        client_send(fd, nonsense[i], strlen(nonsense[i]));
        shutdown(fd, SHUT_WR);
        struct buf all = {.n = 0};
        client_read_all(fd, &all);
        ok(!all.n || !strstr(buf_cstr(&all), " 200 "), "nonsense %zu is not taken for a request", i);
        buf_clear(&all);
        close(fd);
    }
    answers("GET /hello" HEAD_END, 200, "hello");
    service_stop(&service);
}

static void test_tokens(void)
{
    struct error err;
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    answers("GET /things/a/part" HEAD_END, 401, "WWW-Authenticate: Bearer realm=\"tapedeck\"\r\n");
    answers("GET /things/a/part" HEAD_END, 401, "\"code\":\"token_missing\"");
    answers("GET /things/a/part" AUTH("wrong"), 401, "error=\"invalid_token\"\r\n");
    answers("GET /things/a/part" AUTH(VIEWER "x"), 401, "\"code\":\"token_unknown\"");
    answers("GET /things/a/part HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic " VIEWER "\r\n\r\n", 401, "token_missing");
    answers("GET /things/a/part" AUTH(""), 401, "token_missing");
    answers("GET /things/a/part" AUTH(VIEWER), 200, "a,-,1");
    answers("GET /things/a/part HTTP/1.1\r\nHost: any.where\r\nConnection: close\r\nauthorization: bearer  " OPERATOR " \r\n\r\n", 200,
            "a,-,2");
    answers("POST /things/a/part" AUTH(VIEWER), 403, "needs the role operator; the token has the role viewer");
    answers("POST /things/a/part" AUTH(OPERATOR), 200, "a,-,2");
    answers("DELETE /things/a/part" AUTH(OPERATOR), 403, "\"code\":\"role_too_low\"");
    answers("DELETE /things/a/part" AUTH(ADMIN), 200, "a,-,3");
    answers("GET /hello" HEAD_END, 200, "hello");
    answers("GET /hello" AUTH("wrong"), 200, "hello");

    const struct http_token fresh = {"a-new-token-0123456789", HTTP_ADMIN, NULL}, weak = {"weak", HTTP_ADMIN, NULL};
    is_int(http_server_set_tokens(service.server, &weak, 1, &err), TD_E_CONFIG, "a short token is refused");
    answers("GET /things/a/part" AUTH(VIEWER), 200, "a,-,1");
    is_int(http_server_set_tokens(service.server, &fresh, 1, &err), TD_OK, "tokens can be replaced");
    answers("GET /things/a/part" AUTH(VIEWER), 401, "token_unknown");
    answers("GET /things/a/part" AUTH("a-new-token-0123456789"), 200, "a,-,3");
    const struct http_token first = {"the-very-first-0123456789", HTTP_VIEWER, NULL};
    struct http_server_change *change = NULL;
    is_int(http_server_prepare(service.server, &weak, 1, NULL, NULL, &change, &err), TD_E_CONFIG, "a change is checked as a whole");
    is_int(http_server_prepare(service.server, &first, 1, "/a", "/b", &change, &err), TD_E_UNSUPPORTED, "also its certificate");
    is_int(http_server_prepare(service.server, &first, 1, NULL, NULL, &change, &err), TD_OK, "one is prepared");
    answers("GET /things/a/part" AUTH("the-very-first-0123456789"), 401, "token_unknown");
    http_server_forget(change);
    answers("GET /things/a/part" AUTH("a-new-token-0123456789"), 200, "a,-,3");
    is_int(http_server_prepare(service.server, &first, 1, NULL, NULL, &change, &err), TD_OK, "and again");
    http_server_take(service.server, change);
    answers("GET /things/a/part" AUTH("the-very-first-0123456789"), 200, "a,-,1");
    answers("GET /things/a/part" AUTH("a-new-token-0123456789"), 401, "token_unknown");
    is_int(http_server_set_tokens(service.server, NULL, 0, &err), TD_OK, "on loopback all tokens can be taken away");
    answers("GET /things/a/part" HEAD_END, 200, "a,-,3");
    service_stop(&service);
}

static void test_names(void)
{
    static const char *const own[] = {"localhost", "localhost:80", "LOCALHOST", "127.0.0.1:1", "127.1.2.3", "[::1]:5"};
    static const char *const foreign[] = {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]", "10.0.0.1", ""};
    char text[256];
    service_start(&service, (struct http_server_options){.tokens = NULL});
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        snprintf(text, sizeof(text), "GET /things/a/part HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", own[i]);
        answers(text, 200, "a,-,3");
        snprintf(text, sizeof(text), "GET /things/a/part HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", foreign[i]);
        answers(text, 421, "\"code\":\"foreign_name\"");
    }
    answers("GET /hello HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n", 200, "hello");
    service_stop(&service);
}

/* A page of another machine, which the browser here shows, asks localhost. */
static void test_origins(void)
{
    static const char *const own[] = {"http://localhost:5173", "https://127.0.0.1", "HTTP://[::1]:80"};
    static const char *const foreign[] = {"https://evil.example", "null", "http://localhost.evil.example"};
    char text[256];
    service_start(&service, (struct http_server_options){.tokens = NULL});
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        snprintf(text, sizeof(text), "POST /things/a/part HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: %s\r\n\r\n", own[i]);
        answers(text, 200, "a,");
        snprintf(text, sizeof(text), "POST /things/a/part HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: %s\r\n\r\n",
                 foreign[i]);
        answers(text, 403, "\"code\":\"foreign_origin\"");
    }
    service_stop(&service);
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    answers("GET /things/a/part HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: https://tapedeck.example\r\n"
            "Authorization: Bearer " ADMIN "\r\n\r\n",
            200, "a,-,3");
    service_stop(&service);
}

/* It is written to logs. */
static void test_methods(void)
{
    service_start(&service, (struct http_server_options){.tokens = NULL});
    answers("G\x1b[31mT /hello" HEAD_END, 400, "\"code\":\"invalid_method\"");
    answers("A\"B /hello" HEAD_END, 400, "\"code\":\"invalid_method\"");
    answers("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA /hello" HEAD_END, 400, "\"code\":\"invalid_method\"");
    answers("M-SEARCH /hello" HEAD_END, 405, "\"code\":\"method_not_allowed\"");
    service_stop(&service);
}

static void test_bodies(void)
{
    struct buf text = {.n = 0};
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    answers("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " ADMIN "\r\nContent-Length: 5\r\n\r\nabcde", 201,
            "\r\n\r\nabcde");
    answers("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " ADMIN
            "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            201, "\r\n\r\nabcde");
    answers("POST /things/a/part HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " ADMIN
            "\r\nContent-Length: 5\r\n\r\nabcde",
            413, "has no body");
    answers("POST /things/a/part HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " ADMIN
            "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            413, "\"code\":\"body_too_long\"");
    answers("POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " ADMIN "\r\nExpect: 100-continue\r\nContent-Length: 6000000\r\n\r\n",
            413, "longer than 5000000 bytes");
    buf_lit(&text, "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nContent-Length: 900000\r\n\r\n");
    for (int i = 0; i < 900000; i++)
        buf_putc(&text, 'x');
    buf_lit(&text, "GET /hello" HEAD_END);
    char *answer = client_ask(&service, buf_cstr(&text));
    ok(strstr(answer, "401 Unauthorized") && strstr(answer, "hello"), "a body that is not wanted is read, and the connection goes on");
    mem_free(answer);
    buf_clear(&text);
    service_stop(&service);
}

static void test_pipelining(void)
{
    struct buf text = {.n = 0};
    unsigned found = 0;
    service_start(&service, (struct http_server_options){.tokens = NULL});
    for (int i = 0; i < 50; i++)
        buf_printf(&text, "GET /things/%d/part HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
    buf_lit(&text, "GET /stream?size=100000 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hello" HEAD_END);
    char *answer = client_ask(&service, buf_cstr(&text)), *at = answer;
    for (int i = 0; i < 50 && at; i++) {
        char want[32];
        snprintf(want, sizeof(want), "\r\n\r\n%d,-,3HTTP/1.1 404 ", i);
        at = strstr(at, want);
        found += at != NULL;
    }
    is_int(found, 50, "100 requests at once are answered in turn on one connection");
    mem_free(answer);
    buf_clear(&text);
    service_stop(&service);
}

/* ---- Streams ---- */

/* Takes chunked coding apart; false if it has no end. The bytes are those of the pattern; *ret_n is how many. */
static bool dechunk(const struct buf *all, size_t *ret_n)
{
    const uint8_t *p = memmem(all->p, all->n, "\r\n\r\n", 4), *end = all->p + all->n;
    *ret_n = 0;
    for (p = p ? p + 4 : end; p < end;) {
        char *behind;
        size_t n = strtoul((const char *)p, &behind, 16);
        p = (const uint8_t *)behind + 2;
        if (n == 0)
            return true;
        if ((size_t)(end - p) < n + 2)
            return false;
        for (size_t i = 0; i < n; i++)
            if (p[i] != pattern(*ret_n + i))
                return false;
        *ret_n += n;
        p += n + 2;
    }
    return false;
}

static void fetch(const char *text, struct buf *ret)
{
    int fd = client_open(&service);
    buf_reset(ret);
    client_send(fd, text, strlen(text));
    client_read_all(fd, ret);
    close(fd);
    buf_cstr(ret);
}

static void test_streams(void)
{
    struct buf all = {.n = 0};
    size_t n;
    service_start(&service, (struct http_server_options){.tokens = NULL});
    fetch("GET /stream?size=3000000" HEAD_END, &all);
    ok(dechunk(&all, &n) && n == 3000000, "a stream comes whole, with its end");
    fetch("GET /stream?size=0" HEAD_END, &all);
    ok(dechunk(&all, &n) && n == 0, "an empty stream has an end");
    fetch("GET /stream?size=3000000&fail=1000000" HEAD_END, &all);
    ok(!dechunk(&all, &n) && n > 900000, "a stream that fails midway has no end");
    fetch("GET /stream?fail=0" HEAD_END, &all);
    ok(!dechunk(&all, &n) && n == 0, "a stream that fails at once has no end");
    fetch("GET /stream?size=1000&length=1000" HEAD_END, &all);
    like((char *)all.p, "Content-Length: 1000\r\n", "a length that is known is told");
    fetch("GET /stream?size=1000&length=2000" HEAD_END, &all);
    ok(strstr((char *)all.p, "Content-Length: 2000\r\n") && all.n < 2000, "a stream that ends early is cut");
    fetch("GET /stream?size=300000&length=300000&fail=200000" HEAD_END, &all);
    ok(all.n < 300000, "and one that fails");
    fetch("GET /stream?size=10 HTTP/1.0\r\n\r\n", &all);
    like((char *)all.p, "\"code\":\"http_version\"", "HTTP/1.0 could not tell a cut stream from a whole one");
    fetch("GET /stream?size=10&length=10 HTTP/1.0\r\n\r\n", &all);
    like((char *)all.p, " 200 OK", "but one of known length");
    fetch("GET /hello HTTP/1.0\r\n\r\n", &all);
    like((char *)all.p, " 200 OK", "and everything else");
    struct http_server_stats stats;
    http_server_stats(service.server, &stats);
    is_int(stats.failures, 5, "broken streams are counted");
    ok(stats.sent_bytes > 4000000, "bytes are counted");
    buf_clear(&all);
    service_stop(&service);
}

static void asks_object(const char *fields, unsigned status, const char *field, uint64_t first, size_t length)
{
    struct buf all = {.n = 0};
    char text[512], line[32];
    bool good = true;
    snprintf(text, sizeof(text), "GET /object?size=1000000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", fields);
    snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
    fetch(text, &all);
    const uint8_t *body = memmem(all.p, all.n, "\r\n\r\n", 4);
    size_t n = body ? (size_t)(all.p + all.n - (body + 4)) : 0;
    for (size_t i = 0; i < n && status < 300; i++)
        good = good && body[4 + i] == pattern(first + i);
    good = good && (status > 400 || n == length) && strncmp((char *)all.p, line, strlen(line)) == 0 && strstr((char *)all.p, field);
    if (!ok(good, "object, %.50s: %u", fields, status))
        tap_diag("%.400s", all.p ? (char *)all.p : "");
    buf_clear(&all);
}

static void test_objects(void)
{
    service_start(&service, (struct http_server_options){.tokens = NULL});
    asks_object("", 200, "ETag: \"v1\"\r\n", 0, 1000000);
    asks_object("", 200, "Accept-Ranges: bytes\r\n", 0, 1000000);
    asks_object("Range: bytes=0-0\r\n", 206, "Content-Range: bytes 0-0/1000000\r\n", 0, 1);
    asks_object("Range: bytes=500000-\r\n", 206, "Content-Range: bytes 500000-999999/1000000\r\n", 500000, 500000);
    asks_object("Range: bytes=-10\r\n", 206, "Content-Range: bytes 999990-999999/1000000\r\n", 999990, 10);
    asks_object("Range: bytes=1000000-\r\n", 416, "Content-Range: bytes */1000000\r\n", 0, 0);
    asks_object("Range: bytes=0-1,5-6\r\n", 200, "Content-Length: 1000000\r\n", 0, 1000000);
    asks_object("Range: bytes=0-9\r\nIf-Range: \"v1\"\r\n", 206, "Content-Length: 10\r\n", 0, 10);
    asks_object("Range: bytes=0-9\r\nIf-Range: \"v2\"\r\n", 200, "Content-Length: 1000000\r\n", 0, 1000000);
    asks_object("Range: bytes=0-9\r\nIf-Range: W/\"v1\"\r\n", 200, "Content-Length: 1000000\r\n", 0, 1000000);
    asks_object("If-None-Match: \"v0\", W/\"v1\"\r\n", 304, "ETag: \"v1\"\r\n", 0, 0);
    asks_object("If-None-Match: \"v0\"\r\n", 200, "ETag: \"v1\"\r\n", 0, 1000000);
    struct buf all = {.n = 0};
    fetch("HEAD /object?size=1000000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes=0-9\r\n\r\n", &all);
    like((char *)all.p, "Content-Length: 1000000\r\n", "HEAD knows no ranges");
    fetch("GET /object?size=0" HEAD_END, &all);
    like((char *)all.p, "Content-Length: 0\r\n", "an empty object");
    fetch("GET /object?size=0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes=0-\r\n\r\n", &all);
    like((char *)all.p, "416", "has no ranges");
    fetch("GET /object?size=1000000&fail=500000" HEAD_END, &all);
    ok(all.n < 600000 && strstr((char *)all.p, "Content-Length: 1000000\r\n"), "an object that fails midway is cut");
    buf_clear(&all);
    service_stop(&service);
}

/* ---- Clients that leave, that are slow, that are many ---- */

static void test_leaving(void)
{
    service_start(&service, (struct http_server_options){.tokens = NULL});
    int fd = client_open(&service);
    const char *text = "GET /stream" HEAD_END;
    char part[1000];
    client_send(fd, text, strlen(text));
    ok(recv(fd, part, sizeof(part), 0) > 0, "an endless stream begins");
    close(fd);
    ok(eventually(atomic_load(&service.closed) == 1), "it is closed when its client leaves");

    fd = client_open(&service);
    text = "GET /wait" HEAD_END;
    client_send(fd, text, strlen(text));
    ok(eventually(atomic_load(&service.waiting) == 1), "a handler waits");
    close(fd);
    ok(eventually(atomic_load(&service.waiting) == 0), "and sees that its client leaves");

    for (size_t n = 1; n < strlen(text); n += 7) { /* in the middle of the head */
        fd = client_open(&service);
        client_send(fd, text, n);
        close(fd);
    }
    struct http_server_stats stats;
    ok(eventually((http_server_stats(service.server, &stats), stats.connections == 0)), "no connection is left over");
    service_stop(&service);
}

static void test_slow(void)
{
    struct buf all = {.n = 0};
    service_start(&service, (struct http_server_options){.idle_s = 1});
    int fd = client_open(&service), idle = client_open(&service), half = client_open(&service);
    const char *text = "GET /stream" HEAD_END;
    double begin = seconds();
    client_send(fd, text, strlen(text));
    client_send(half, text, 10);
    ok(eventually(atomic_load(&service.closed) == 1), "a client that takes nothing is cut");
    ok(client_read_all(idle, &all) && all.n == 0, "so is one that says nothing");
    client_read_all(half, &all);
    ok(!strstr(buf_cstr(&all), " 200 "), "and one that begins and says no more");
    ok(seconds() - begin > 0.5, "but not at once");
    close(fd);
    close(idle);
    close(half);
    buf_clear(&all);

    fd = client_open(&service); /* a byte now and then is slow, not idle */
    text = "GET /hello" HEAD_END;
    for (size_t i = 0; i < strlen(text); i++) {
        client_send(fd, text + i, 1);
        usleep(20000);
    }
    client_read_all(fd, &all);
    like(buf_cstr(&all), " 200 OK", "a client that is slow, but goes on, is served");
    close(fd);
    buf_clear(&all);
    service_stop(&service);

    service_start(&service, (struct http_server_options){.idle_s = 30, .receive_s = 1});
    fd = client_open(&service);
    int streaming = client_open(&service);
    text = "GET /stream" HEAD_END;
    client_send(streaming, text, strlen(text));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    begin = seconds();
    while (seconds() - begin < 6 && poll(&p, 1, 50) == 0)
        client_send(fd, "G", 1);
    ok(seconds() - begin > 0.5 && seconds() - begin < 5, "but not for ever");
    is_int(atomic_load(&service.closed), 0, "which does not hold for answers");
    close(fd);
    close(streaming);
    service_stop(&service);
}

static void test_crowd(void)
{
    enum { CONNECTIONS = 4 };
    int fds[CONNECTIONS];
    struct buf all = {.n = 0};
    const char *text = "GET /wait" HEAD_END, *hello_text = "GET /hello" HEAD_END;
    service_start(&service, (struct http_server_options){.max_connections = CONNECTIONS});
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = client_open(&service);
        client_send(fds[i], text, strlen(text));
    }
    ok(eventually(atomic_load(&service.waiting) == CONNECTIONS), "as many connections as there may be");
    int late = client_open(&service);
    client_send(late, "GET /wait" HEAD_END, strlen("GET /wait" HEAD_END));
    client_read_all(late, &all);
    like(buf_cstr(&all), "503 Service Unavailable", "one more is told that it is too many");
    like(buf_cstr(&all), "\"code\":\"too_many_connections\"", "with a code");
    answers(hello_text, 200, "hello");
    atomic_store(&service.release, true);
    struct http_server_stats stats;
    for (int i = 0; i < CONNECTIONS; i++)
        client_read_all(fds[i], &all);
    ok(eventually((http_server_stats(service.server, &stats), stats.connections == 0)), "those that wait are served");
    answers("GET /things/a/part" HEAD_END, 200, "a,-,3");
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    close(late);
    buf_clear(&all);
    service_stop(&service);
}

static void test_stop(void)
{
    service_start(&service, (struct http_server_options){.idle_s = 60});
    int streaming = client_open(&service), reading = client_open(&service), waiting = client_open(&service), idle = client_open(&service);
    const char *text = "GET /stream" HEAD_END;
    struct buf all = {.n = 0, .max = 1 << 28};
    size_t n;
    client_send(streaming, text, strlen(text));
    client_send(waiting, "GET /wait" HEAD_END, strlen("GET /wait" HEAD_END));
    ok(eventually(atomic_load(&service.waiting) == 1 && atomic_load(&service.opened) == 1), "a stream and a handler are under way");
    text = "GET /stream?size=100000000" HEAD_END;
    client_send(reading, text, strlen(text));
    ok(eventually(atomic_load(&service.opened) == 2), "and one more stream");
    usleep(50000);
    double begin = seconds();
    service_stop(&service);
    ok(seconds() - begin < 2, "stopping does not wait for clients");
    client_read_all(reading, &all);
    ok(!dechunk(&all, &n), "a stream that was cut so has no end");
    close(streaming);
    close(reading);
    close(waiting);
    close(idle);
    buf_clear(&all);
}

/* ---- What must not start ---- */

static void refuses(struct http_server_options o, int want, const char *part)
{
    struct http_server *server = NULL;
    struct error err = {.text = ""};
    o.component = "test";
    int status = http_server_open(&o, &server, &err);
    is_int(status, want, "%s does not start", o.listen);
    like(err.text, part, "and says why");
    if (status == TD_OK)
        http_server_stop(server);
}

static void test_options(void)
{
    char taken[64];
    struct error err;
    service_start(&service, (struct http_server_options){.listen = "localhost:0"});
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(service.server));
    like(http_server_url(service.server), "http://127.0.0.1:", "its address can be told");
    refuses((struct http_server_options){.listen = taken}, TD_E_EXISTS, "the port is in use");
    refuses((struct http_server_options){.listen = ":0"}, TD_E_CONFIG, "without a token");
    refuses((struct http_server_options){.listen = "0.0.0.0:0"}, TD_E_CONFIG, "without a token");
    refuses((struct http_server_options){.listen = "[::]:0"}, TD_E_CONFIG, "without a token");
    refuses((struct http_server_options){.listen = ":0", .tokens = all_tokens, .token_count = 1, .tls_required = true}, TD_E_CONFIG,
            "without TLS");
    refuses((struct http_server_options){.listen = "192.0.2.1:0", .tokens = all_tokens, .token_count = 1}, TD_E_CONFIG, "no such address");
    refuses(
        (struct http_server_options){.listen = "127.0.0.1:0", .tokens = &(struct http_token){"short", HTTP_ADMIN, NULL}, .token_count = 1},
        TD_E_CONFIG, "can be guessed");
    refuses((struct http_server_options){.listen = "127.0.0.1:0", .tls_key = "/nowhere"}, TD_E_CONFIG, "the certificate is not configured");
    refuses((struct http_server_options){.listen = "127.0.0.1:0", .tls_certificate = "/nowhere/c", .tls_key = "/nowhere/k"}, TD_E_NOT_FOUND,
            "/nowhere/c");
    refuses((struct http_server_options){.listen = "nonsense"}, TD_E_CONFIG, "no port");
    is_int(http_server_set_tls(service.server, "/a", "/b", &err), TD_E_UNSUPPORTED, "TLS cannot be turned on while it runs");
    service_stop(&service);

    service_start(&service, (struct http_server_options){.listen = ":0", .tokens = all_tokens, .token_count = 3});
    answers("GET /things/a/part" AUTH(VIEWER), 200, "a,-,1");
    is_int(http_server_set_tokens(service.server, NULL, 0, &err), TD_E_CONFIG, "the last token of an open server stays");
    answers("GET /things/a/part" HEAD_END, 401, "token_missing");
    service_stop(&service);
}

int main(void)
{
    test_routes();
    test_hostile();
    test_tokens();
    test_names();
    test_origins();
    test_methods();
    test_bodies();
    test_pipelining();
    test_streams();
    test_objects();
    test_leaving();
    test_slow();
    test_crowd();
    test_stop();
    test_options();
    return tap_done();
}
