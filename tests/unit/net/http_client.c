/* The client against our own server, and against one that says exactly what it is told. */
#include <pthread.h>

#include "net/http_client.h"
#include "service.h"

static struct service service;

static struct http_client *client_new(const char *url, const char *token, unsigned idle_s, const atomic_bool *cancel)
{
    struct http_client *c = NULL;
    struct error err = {.text = ""};
    const struct http_client_options o = {.url = url, .token = token, .agent = "tapedeck/test", .idle_s = idle_s, .cancel = cancel};
    if (http_client_new(&o, &c, &err) != TD_OK)
        tap_diag("%s", err.text);
    return c;
}

/* ---- A server that says what it is told, to each connection once ---- */

struct script {
    int fd;
    char url[64];
    const char *answer;
    size_t n;
    bool hang; /* does not end the connection by itself */
    pthread_t thread;
    struct buf requests;
    atomic_uint connections;
};

static void serve_one(struct script *s, int fd)
{
    char part[4096];
    ssize_t got;
    size_t begin = s->requests.n;
    while ((got = recv(fd, part, sizeof(part), 0)) > 0) {
        buf_put(&s->requests, part, (size_t)got);
        if (memmem(s->requests.p + begin, s->requests.n - begin, "\r\n\r\n", 4))
            break;
    }
    client_send(fd, s->answer, s->n);
    while (s->hang && recv(fd, part, sizeof(part), 0) > 0)
        ;
    close(fd);
}

static void *serve(void *ctx)
{
    struct script *s = ctx;
    for (int fd; (fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        atomic_fetch_add(&s->connections, 1);
        serve_one(s, fd);
    }
    return NULL;
}

static void script_start(struct script *s, const char *answer, size_t n, bool hang)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    memset(s, 0, sizeof(*s));
    s->answer = answer;
    s->n = n;
    s->hang = hang;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&in, size) != 0 || listen(s->fd, 8) != 0 || getsockname(s->fd, (struct sockaddr *)&in, &size) != 0)
        tap_diag("listen: %s", strerror(errno));
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(in.sin_port));
    pthread_create(&s->thread, NULL, serve, s);
}

static void script_stop(struct script *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    buf_clear(&s->requests);
}

/* ---- Receivers ---- */

struct taken {
    uint64_t first, n; /* bytes of the pattern */
    bool wrong;
    int fail;       /* returned by write() */
    int head_fail;  /* and by head() */
    unsigned heads; /* calls */
    unsigned status;
};

static int take(void *ctx, struct td_slice bytes, struct error *err)
{
    struct taken *t = ctx;
    for (size_t i = 0; i < bytes.n; i++)
        t->wrong = t->wrong || bytes.p[i] != pattern(t->first + t->n + i);
    t->n += bytes.n;
    return t->fail ? error_set(err, t->fail, "the disk is full") : TD_OK;
}

static int take_head(void *ctx, const struct http_result *res, struct error *err)
{
    struct taken *t = ctx;
    t->heads++;
    t->status = res->status;
    t->wrong = t->wrong || t->n > 0;
    return t->head_fail ? error_set(err, t->head_fail, "not that") : TD_OK;
}

static int get(struct http_client *c, const char *path, struct taken *t, struct http_result *res, struct error *err)
{
    err->text[0] = '\0';
    return http_client_run(c, &(struct http_call){.method = "GET", .path = path, .write = take, .head = take_head, .ctx = t}, res, err);
}

/* ---- Our own server ---- */

static void test_bodies(struct http_client *c)
{
    struct http_result res;
    struct error err = {.text = ""};
    struct buf body = {.n = 0};
    struct taken t = {0};
    is_int(http_client_get(c, "/hello", 100, &body, &res, &err), TD_OK, "a body: %s", err.text);
    is_str(buf_cstr(&body), "hello\n", "comes whole");
    ok(res.status == 200 && res.length == 6 && res.range_first == -1 && res.retry_after_s == -1, "with its status and length");
    ok(res.began_ns > 1600000000 * (int64_t)1000000000 && res.answered_ns >= res.began_ns, "and times");
    is_int(http_client_get(c, "/hello", 5, &body, &res, &err), TD_E_LIMIT, "one that is too long is refused");
    is_str(buf_cstr(&body), "hello\n", "and leaves nothing");
    like(err.text, "longer than it may be", "with the reason");
    is_int(get(c, "/stream?size=3000000", &t, &res, &err), TD_OK, "a stream: %s", err.text);
    ok(t.n == 3000000 && !t.wrong && t.heads == 1 && res.length == -1, "comes whole, its head first");
    t = (struct taken){0};
    is_int(get(c, "/stream?size=3000000&length=3000000", &t, &res, &err), TD_OK, "one with a length: %s", err.text);
    ok(t.n == 3000000 && !t.wrong && res.length == 3000000, "comes whole");
    is_int(http_client_run(c, &(struct http_call){.method = "HEAD", .path = "/object?size=12"}, &res, &err), TD_OK, "HEAD: %s", err.text);
    ok(res.length == 12, "tells the length");
    is_str(res.etag, "v1", "and the tag");
    buf_reset(&body);
    for (int i = 0; i < 2000000; i++)
        buf_putc(&body, (char)pattern((uint64_t)i));
    t = (struct taken){0};
    is_int(http_client_run(c, &(struct http_call){.method = "POST", .path = "/echo", .body = buf_slice(&body), .write = take, .ctx = &t},
                           &res, &err),
           TD_OK, "POST: %s", err.text);
    ok(res.status == 201 && t.n == 2000000 && !t.wrong, "is answered");
    is_int(http_client_run(c, &(struct http_call){.method = "POST", .path = "/things/a%2Fb/part"}, &res, &err), TD_OK, "without a body: %s",
           err.text);
    is_int(http_client_run(c, &(struct http_call){.method = "DELETE", .path = "/things/a/part"}, &res, &err), TD_OK, "DELETE: %s",
           err.text);
    buf_clear(&body);
}

static void test_ranges(struct http_client *c)
{
    static const struct {
        uint64_t first, n;
        const char *if_range;
        unsigned status;
        uint64_t got;
    } cases[] = {{0, 1, NULL, 206, 1},          {5000, 10000, "v1", 206, 10000},
                 {99990, 1000, NULL, 206, 10},  {10, UINT64_MAX, NULL, 206, 99990},
                 {5000, 10, "v0", 200, 100000}, {0, 0, NULL, 200, 100000}};
    struct http_result res;
    struct error err = {.text = ""};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct taken t = {.first = cases[i].status == 206 ? cases[i].first : 0};
        const struct http_call call = {.method = "GET",
                                       .path = "/object?size=100000",
                                       .range_first = cases[i].first,
                                       .range_n = cases[i].n,
                                       .if_range = cases[i].if_range,
                                       .write = take,
                                       .ctx = &t};
        is_int(http_client_run(c, &call, &res, &err), TD_OK, "range %zu: %s", i, err.text);
        ok(res.status == cases[i].status && t.n == cases[i].got && !t.wrong && res.length == (int64_t)t.n, "has its bytes");
        ok(res.status != 206 || (res.range_first == (int64_t)cases[i].first && res.range_size == 100000), "and says so");
    }
    const struct http_call call = {.method = "GET", .path = "/object?size=100", .range_first = 100, .range_n = 10};
    is_int(http_client_run(c, &call, &res, &err), TD_E_INTERNAL, "a range behind the end");
    is_str(res.code, "range_outside", "is told with its code");
}

static void fails(struct http_client *c, const char *method, const char *path, int want, unsigned status, const char *part)
{
    struct http_result res;
    struct error err = {.text = ""};
    is_int(http_client_run(c, &(struct http_call){.method = method, .path = path}, &res, &err), want, "%s %s: %s", method, path,
           error_name(want));
    is_int(res.status, status, "status %u", status);
    like(err.text, part, "%s", part);
}

static void test_errors(struct http_client *c, struct http_client *viewer, struct http_client *nobody)
{
    struct http_result res;
    struct error err;
    fails(c, "GET", "/fail?which=0", TD_E_CONFIG, 400, "/fail?which=0: why \"it\" failed (400 invalid_request)");
    fails(c, "GET", "/fail?which=1", TD_E_NOT_FOUND, 404, "why \"it\" failed");
    fails(c, "GET", "/fail?which=2", TD_E_EXISTS, 409, "GET http://127.0.0.1:");
    fails(c, "GET", "/fail?which=3", TD_E_DENIED, 403, "why");
    fails(c, "GET", "/fail?which=4", TD_E_RETRY, 503, "why");
    fails(c, "GET", "/fail?which=5", TD_E_INTERNAL, 500, "why");
    fails(c, "GET", "/nothing", TD_E_NOT_FOUND, 404, "unknown_path");
    fails(c, "PUT", "/hello", TD_E_UNSUPPORTED, 405, "method_not_allowed");
    fails(viewer, "DELETE", "/things/a/part", TD_E_DENIED, 403, "needs the role admin");
    fails(nobody, "GET", "/things/a/part", TD_E_DENIED, 401, "token_missing");
    fails(c, "GET", "@example.com/", TD_E_CONFIG, 0, "cannot be made");
    fails(c, "GET", "/a b", TD_E_CONFIG, 0, "cannot be made");
    fails(c, "GET", "/hello\r\nX: y", TD_E_CONFIG, 0, "cannot be made");
    fails(c, "GET", "/stream?size=3000000&fail=1000000", TD_E_RETRY, 200, "broken off in its answer");
    fails(c, "GET", "/stream?size=300000&length=300000&fail=100000", TD_E_RETRY, 200, "broken off in its answer");
    fails(c, "GET", "/object?size=300000&fail=100000", TD_E_RETRY, 200, "broken off in its answer");
    struct taken t = {.fail = TD_E_LIMIT};
    is_int(get(c, "/stream", &t, &res, &err), TD_E_LIMIT, "what the receiver says is returned");
    is_str(err.text, "the disk is full", "as it is");
    t = (struct taken){.head_fail = TD_E_CORRUPT};
    is_int(get(c, "/stream", &t, &res, &err), TD_E_CORRUPT, "so is what the head's receiver says");
    ok(t.n == 0 && t.heads == 1, "before a byte of the body");
    t = (struct taken){0};
    is_int(get(c, "/fail", &t, &res, &err), TD_E_CONFIG, "errors have no body for the receiver");
    ok(t.n == 0 && t.heads == 0, "and no head");
    is_int(http_client_run(c, &(struct http_call){.method = "GET", .path = "/stream"}, &res, &err), TD_OK,
           "a body that nobody wants is not read for ever");
}

static void test_own_server(void)
{
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    const char *url = http_server_url(service.server);
    char with_slash[80];
    snprintf(with_slash, sizeof(with_slash), "%s//", url);
    struct http_client *c = client_new(with_slash, ADMIN, 5, NULL), *viewer = client_new(url, VIEWER, 5, NULL),
                       *nobody = client_new(url, NULL, 5, NULL);
    test_bodies(c);
    test_ranges(c);
    struct http_server_stats stats;
    http_server_stats(service.server, &stats);
    is_int(stats.connections, 1, "all of it on one connection");
    test_errors(c, viewer, nobody);
    http_client_free(c);
    http_client_free(viewer);
    http_client_free(nobody);
    service_stop(&service);
}

/* ---- What a server may say ---- */

static void says(const char *answer, const struct http_call *call, int want, const char *part)
{
    struct script s;
    struct http_result res;
    struct error err = {.text = ""};
    script_start(&s, answer, strlen(answer), false);
    struct http_client *c = client_new(s.url, NULL, 5, NULL);
    const struct http_call plain = {.method = "GET", .path = "/"};
    is_int(http_client_run(c, call ? call : &plain, &res, &err), want, "%.70s: %s", answer, error_name(want));
    like(err.text, part, "%s", part);
    http_client_free(c);
    script_stop(&s);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define PART_HEAD "HTTP/1.1 206 Partial Content\r\n"
#define PROBLEM "Content-Type: application/problem+json\r\n\r\n"

static void test_answers(void)
{
    struct taken t = {.first = 0};
    const struct http_call part = {.method = "GET", .path = "/", .range_first = 0, .range_n = 10, .write = take, .ctx = &t};
    says(OK_HEAD "Content-Length: 0\r\n\r\n", NULL, TD_OK, "");
    says("HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\n" OK_HEAD "Content-Length: 0\r\n\r\n", NULL, TD_OK, "");
    says("HTTP/1.1 204 No Content\r\n\r\n", NULL, TD_OK, "");
    says(OK_HEAD "\r\nabc", NULL, TD_E_UNSUPPORTED, "could not be told from a broken connection");
    says(OK_HEAD "Content-Length: 5\r\n\r\nabc", NULL, TD_E_RETRY, "broken off in its answer");
    says(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", NULL, TD_E_RETRY, "broken off in its answer");
    says(OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, TD_E_RETRY, "broken off");
    says(OK_HEAD "Content-Length: 1", NULL, TD_E_RETRY, "broken off");
    says("", NULL, TD_E_RETRY, "broken off");
    says("SSH-2.0-OpenSSH_9.2\r\n", NULL, TD_E_CORRUPT, "cannot be understood");
    says(OK_HEAD "Content-Length: -1\r\n\r\n", NULL, TD_E_CORRUPT, "cannot be understood");
    says(OK_HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", NULL, TD_E_CORRUPT, "length");
    says(OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", NULL, TD_E_UNSUPPORTED, "encoded");
    says(PART_HEAD "Content-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc", NULL, TD_E_CORRUPT, "asked for all");
    says(PART_HEAD "Content-Length: 3\r\n\r\nabc", &part, TD_E_CORRUPT, "cannot be told");
    says(PART_HEAD "Content-Range: bytes 1-3/9\r\nContent-Length: 3\r\n\r\nabc", &part, TD_E_CORRUPT, "another part");
    says(PART_HEAD "Content-Range: bytes 0-3/9\r\nContent-Length: 3\r\n\r\nabc", &part, TD_E_CORRUPT, "another part");
    says(PART_HEAD "Content-Range: bytes 0-10/99\r\nContent-Length: 11\r\n\r\nabcdefghijk", &part, TD_E_CORRUPT, "another part");
    says(PART_HEAD "Content-Range: bytes 0-3/9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", &part, TD_E_RETRY,
         "1 of 4 bytes");
    says("HTTP/1.1 507 Insufficient Storage\r\n" PROBLEM "{\"code\":\"no_room\",\"detail\":\"no \\u001b[31mroom\\n\"}", NULL, TD_E_LIMIT,
         ": no  [31mroom  (507 no_room)");
    says("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>nonsense", NULL, TD_E_RETRY, ": Bad Gateway (502)");
    says("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n", NULL, TD_E_RETRY, "(429)");
    says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/x\r\nContent-Length: 0\r\n\r\n", NULL, TD_E_CONFIG,
         "on to http://127.0.0.2:1/x");
    says("HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", NULL, TD_E_CONFIG, "on to https://127.0.0.1/");
    says("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", NULL, TD_E_CONFIG, "on to file:///");
    says("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", NULL, TD_E_INTERNAL, "in a circle");
    says("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", NULL, TD_E_INTERNAL, "Found (302)");
    const struct http_call post = {.method = "POST", .path = "/"};
    says("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", &post, TD_E_CONFIG, "sends us on");
}

static void test_long_answers(void)
{
    struct buf text = {.n = 0};
    buf_lit(&text, OK_HEAD);
    for (int i = 0; i < 80; i++)
        buf_printf(&text, "X-%d: %01000d\r\n", i, i);
    buf_lit(&text, "Content-Length: 0\r\n\r\n");
    says(buf_cstr(&text), NULL, TD_E_CORRUPT, "too long");
    buf_reset(&text);
    for (int i = 0; i < 4000; i++)
        buf_lit(&text, "HTTP/1.1 100 Continue\r\n\r\n");
    says(buf_cstr(&text), NULL, TD_E_CORRUPT, "too long");
    buf_reset(&text);
    buf_lit(&text, "HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "3e8\r\n%01000d\r\n", i);
    says(buf_cstr(&text), NULL, TD_E_EXISTS, "Conflict (409)");
    buf_clear(&text);
}

static void test_request(void)
{
    struct script s;
    struct http_result res;
    struct error err;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    const char *answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    script_start(&s, answer, strlen(answer), false);
    struct http_client *c = client_new(s.url, ADMIN, 5, NULL);
    const struct http_call call = {
        .method = "PUT", .path = "/a/../b?x=%2F", .body = TD_LIT("{}"), .accept = "text/plain", .range_n = 1, .if_range = "v"};
    is_int(http_client_run(c, &call, &res, &err), TD_E_RETRY, "a request is told to come later");
    is_int(res.retry_after_s, 7, "and when");
    http_client_free(c);
    buf_cstr(&s.requests);
    static const char *const parts[] = {"PUT /a/../b?x=%2F HTTP/1.1\r\n",
                                        "\r\nAuthorization: Bearer " ADMIN "\r\n",
                                        "\r\nContent-Type: application/json\r\n",
                                        "\r\nAccept: text/plain\r\n",
                                        "\r\nRange: bytes=0-0\r\n",
                                        "\r\nIf-Range: \"v\"\r\n",
                                        "\r\nUser-Agent: tapedeck/test\r\n"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        like((char *)s.requests.p, parts[i], "%s", parts[i]);
    ok(!strcasestr((char *)s.requests.p, "Accept-Encoding"), "nothing is to come compressed");
    script_stop(&s);
    unsetenv("http_proxy");
}

/* A token goes to its server only. */
static void test_token_stays(void)
{
    struct script here, there;
    struct http_result res;
    struct error err;
    char answer[256];
    script_start(&there, OK_HEAD "Content-Length: 0\r\n\r\n", strlen(OK_HEAD "Content-Length: 0\r\n\r\n"), false);
    snprintf(answer, sizeof(answer), "HTTP/1.1 307 Temporary Redirect\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n", there.url);
    script_start(&here, answer, strlen(answer), false);
    struct http_client *c = client_new(here.url, ADMIN, 5, NULL);
    is_int(http_client_run(c, &(struct http_call){.method = "GET", .path = "/"}, &res, &err), TD_E_CONFIG, "a redirect to another port");
    is_int(atomic_load(&there.connections), 0, "is not followed");
    http_client_free(c);
    script_stop(&here);
    script_stop(&there);
}

/* ---- Time ---- */

static void test_idle(void)
{
    static const char *const answers[] = {"", OK_HEAD, OK_HEAD "Content-Length: 5\r\n\r\nab"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct script s;
        struct http_result res;
        struct error err = {.text = ""};
        script_start(&s, answers[i], strlen(answers[i]), true);
        struct http_client *c = client_new(s.url, NULL, 1, NULL);
        double begin = seconds();
        is_int(http_client_run(c, &(struct http_call){.method = "GET", .path = "/"}, &res, &err), TD_E_RETRY, "a server that stalls");
        like(err.text, "not a byte came for 1 s", "is given up");
        ok(seconds() - begin > 0.9 && seconds() - begin < 3, "after the time that it has");
        http_client_free(c);
        script_stop(&s);
    }
}

static void test_unreachable(void)
{
    struct script s;
    struct http_result res;
    struct error err = {.text = ""};
    script_start(&s, "", 0, false);
    struct http_client *c = client_new(s.url, NULL, 1, NULL);
    script_stop(&s);
    is_int(http_client_run(c, &(struct http_call){.method = "GET", .path = "/x"}, &res, &err), TD_E_RETRY, "a server that is not there");
    like(err.text, "/x: cannot be reached", "is told");
    is_int(res.status, 0, "without a status");
    http_client_free(c);
}

struct canceller {
    atomic_bool cancel;
    double at;
};

static void *cancel_soon(void *ctx)
{
    struct canceller *c = ctx;
    usleep(200000);
    c->at = seconds();
    atomic_store(&c->cancel, true);
    return NULL;
}

/* Whether it waits for the head, for more of the body, or is in the middle of a stream. */
static void test_cancel(void)
{
    static const char *const answers[] = {"", OK_HEAD "Content-Length: 5\r\n\r\nab", NULL};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct canceller canceller = {.cancel = false};
        struct script s;
        struct taken t = {0};
        struct http_result res;
        struct error err = {.text = ""};
        pthread_t thread;
        if (answers[i])
            script_start(&s, answers[i], strlen(answers[i]), true);
        else
            service_start(&service, (struct http_server_options){.tokens = NULL});
        struct http_client *c = client_new(answers[i] ? s.url : http_server_url(service.server), NULL, 20, &canceller.cancel);
        pthread_create(&thread, NULL, cancel_soon, &canceller);
        is_int(get(c, "/stream", answers[i] ? &(struct taken){0} : &t, &res, &err), TD_E_CANCELLED, "a call can be cancelled");
        double end = seconds();
        pthread_join(thread, NULL);
        ok(end - canceller.at < 0.2, "within 200 ms: %.3f s", end - canceller.at);
        is_int(get(c, "/stream", &t, &res, &err), TD_E_CANCELLED, "and the next one does not begin");
        http_client_free(c);
        if (answers[i])
            script_stop(&s);
        else
            service_stop(&service);
    }
}

/* ---- A kept connection that the server has ended meanwhile ---- */

static void test_kept(void)
{
    struct http_result res;
    struct error err = {.text = ""};
    service_start(&service, (struct http_server_options){.idle_s = 1});
    struct http_client *c = client_new(http_server_url(service.server), NULL, 5, NULL);
    struct http_server_stats stats;
    is_int(http_client_run(c, &(struct http_call){.method = "GET", .path = "/hello"}, &res, &err), TD_OK, "a call");
    ok(eventually((http_server_stats(service.server, &stats), stats.connections == 0)), "its connection is ended by the server");
    is_int(http_client_run(c, &(struct http_call){.method = "GET", .path = "/hello"}, &res, &err), TD_OK, "the next call gets its own: %s",
           err.text);
    http_client_free(c);
    service_stop(&service);
}

/* ---- Options ---- */

static void refuses(struct http_client_options o, const char *part)
{
    struct http_client *c = NULL;
    struct error err = {.text = ""};
    is_int(http_client_new(&o, &c, &err), TD_E_CONFIG, "options that cannot work");
    like(err.text, part, "%s", part);
    http_client_free(c);
}

static void test_options(void)
{
    struct buf text = {.n = 0};
    refuses((struct http_client_options){.url = NULL}, "1 to");
    refuses((struct http_client_options){.url = "ftp://a"}, "only http and https");
    refuses((struct http_client_options){.url = "127.0.0.1:1"}, "is not an address");
    refuses((struct http_client_options){.url = "http://u:p@a"}, "no user");
    refuses((struct http_client_options){.url = "http://a/?x"}, "no query");
    refuses((struct http_client_options){.url = "http://a/#x"}, "no fragment");
    refuses((struct http_client_options){.url = "http://a b/"}, "is not an address");
    refuses((struct http_client_options){.url = "http://a", .token = "short"}, "can be guessed");
    refuses((struct http_client_options){.url = "http://a", .token = "0123456789abcdef\r\nX: y"}, "visible");
    http_put_encoded(&text, "aZ9-._~ /%\xc3\xa4?&=+");
    is_str(buf_cstr(&text), "aZ9-._~%20%2F%25%C3%A4%3F%26%3D%2B", "text is encoded");
    buf_clear(&text);
}

int main(void)
{
    test_own_server();
    test_answers();
    test_long_answers();
    test_request();
    test_token_stays();
    test_idle();
    test_unreachable();
    test_cancel();
    test_kept();
    test_options();
    return tap_done();
}
