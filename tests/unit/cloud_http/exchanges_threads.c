/* Exchanges of HTTP with a server that does what a path says, and with one that never answers. */
#include "../../../plugins/storage/cloud/cloud_http.h"

#include <fcntl.h>
#include <stdarg.h>
#include <time.h>

#include "talking_server.h"
#include "tap.h"

static const int64_t ns_per_ms = 1000000;

static struct {
    struct td_host host;
    struct talking_server server;
    struct cloud_http *http;
    struct cloud_session *session;
    char url[256];
    atomic_bool cancelled;
} t;
static _Thread_local char why[1024];

static int fail(struct td_inst *inst, int status, const char *fmt, ...)
{
    va_list args;
    (void)inst;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    return status;
}

static bool is_cancelled(struct td_inst *inst)
{
    (void)inst;
    return atomic_load(&t.cancelled);
}

static const char *url(const char *path)
{
    snprintf(t.url, sizeof(t.url), "http://127.0.0.1:%u%s", t.server.port, path);
    return t.url;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void open_http(int64_t idle_ns, const char *proxy, const char *ca_file)
{
    struct cloud_http_options o = {.host = &t.host, .idle_ns = idle_ns, .proxy = proxy, .ca_file = ca_file, .agent = "tapedeck/1"};
    t.http = NULL;
    t.session = NULL;
    is_int(cloud_http_new(&o, &t.http), TD_OK, "a client");
    is_int(cloud_http_take(t.http, &t.session), TD_OK, "and a session");
}

static void close_http(void)
{
    cloud_http_give(t.http, t.session);
    cloud_http_free(t.http);
}

/* ---- Requests and answers ---- */

static void test_requests(void)
{
    struct cloud_exchange x = {.method = "GET", .url = url("/echo/a%20b/../c?x=%2F&y")};
    x.headers[x.header_n++] = "X-One: 1";
    x.headers[x.header_n++] = "X-Nothing:";
    open_http(0, NULL, NULL);
    ok(cloud_run(t.session, &x) == TD_OK && x.status == 200 && x.done, "a request is answered");
    like(cloud_cstr(&x.answer), "GET /echo/a%20b/../c?x=%2F&y HTTP/1.1\r\n", "with the path as it stands");
    like(cloud_cstr(&x.answer), "\r\nX-One: 1\r\n", "its header");
    like(cloud_cstr(&x.answer), "\r\nX-Nothing:\r\n", "one without a value");
    like(cloud_cstr(&x.answer), "\r\nUser-Agent: tapedeck/1\r\n", "and its name");
    ok(!strstr(x.answer.p, "Accept") && !strstr(x.answer.p, "Expect") && !strstr(x.answer.p, "Content-Length"), "and nothing more");
    is_str(cloud_header(&x, "X-Mixed-Case"), "a b", "a header of the answer");
    is_str(cloud_header(&x, "x-empty"), "", "an empty one");
    ok(!cloud_header(&x, "x-mixed") && !cloud_header(&x, "HTTP/1.1 200 OK"), "none by half its name");
    is_str(cloud_header(&x, "x-mixed-case"), "a b", "asked for again");
    is_int(x.length, (int64_t)x.answer.n, "and its length");

    struct cloud_exchange head = {.method = "HEAD", .url = t.url};
    ok(cloud_run(t.session, &head) == TD_OK && head.status == 200 && head.answer.n == 0 && head.length > 20,
       "HEAD has a length and no body");
    cloud_exchange_clear(&head);

    struct cloud_exchange put = {.method = "PUT", .url = t.url, .sends_body = true};
    ok(cloud_run(t.session, &put) == TD_OK && strstr(cloud_cstr(&put.answer), "\r\nContent-Length: 0\r\n"), "a PUT of nothing");
    cloud_exchange_clear(&put);

    struct cloud_exchange remove = {.method = "DELETE", .url = t.url};
    ok(cloud_run(t.session, &remove) == TD_OK && strncmp(cloud_cstr(&remove.answer), "DELETE ", 7) == 0, "DELETE");
    cloud_exchange_clear(&remove);

    struct cloud_exchange post = {.method = "POST", .url = t.url, .body = "hello", .body_n = 5};
    ok(cloud_run(t.session, &post) == TD_OK && post.answer.n > 9 && strcmp(post.answer.p + post.answer.n - 9, "\r\n\r\nhello") == 0,
       "a body from memory");
    is_int((int64_t)post.sent, 5, "is counted");
    ok(strncmp(post.answer.p, "POST ", 5) == 0 && !strstr(post.answer.p, "Content-Type") && !strstr(post.answer.p, "Transfer-Encoding"),
       "without headers of its own");
    cloud_exchange_clear(&post);
    is_int(atomic_load(&t.server.connections), 1, "all over one connection");

    x = (struct cloud_exchange){.method = "GET", .url = url("/interim"), .head = x.head, .answer = x.answer};
    ok(cloud_run(t.session, &x) == TD_OK && x.status == 204 && !cloud_header(&x, "x-early") && cloud_header(&x, "x-late"),
       "an interim answer is passed over");
    x.url = url("/status/503");
    ok(cloud_run(t.session, &x) == TD_OK && x.status == 503 && strcmp(cloud_cstr(&x.answer), "why") == 0, "any status is an answer");
    cloud_exchange_clear(&x);
    close_http();
}

static void test_files(void)
{
    enum { N = 3000001 };
    char name[] = "/tmp/tapedeck-exchange-XXXXXX", *bytes = malloc(N);
    int fd = mkstemp(name);
    for (size_t i = 0; i < N; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    ok(fd >= 0 && write(fd, bytes, N) == N, "a file");
    open_http(0, NULL, NULL);
    struct cloud_exchange x = {.method = "PUT", .url = url("/echo"), .fd = fd, .offset = 7, .body_n = N - 9};
    ok(cloud_run(t.session, &x) == TD_OK && x.answer.n > N && memcmp(x.answer.p + x.answer.n - (N - 9), bytes + 7, N - 9) == 0,
       "is sent, but for its ends");
    is_int((int64_t)x.sent, N - 9, "and counted");
    x.body_n = N;
    is_int(cloud_run(t.session, &x), TD_E_CORRUPT, "one that is shorter than it was");
    like(why, "became shorter", "  is told");
    x.url = url("/refuse-early");
    x.body_n = N - 9;
    ok(cloud_run(t.session, &x) == TD_OK && x.status == 403 && strcmp(cloud_cstr(&x.answer), "never") == 0,
       "an answer before all is sent is an answer %s", why);
    ok(x.sent < N - 9, "which ends the sending");

    /* The server closes a kept connection; what is sent next is sent again. */
    x.url = url("/then-close");
    ok(cloud_run(t.session, &x) == TD_OK && x.status == 200, "a connection is closed behind our back");
    usleep(20000);
    x.url = url("/echo");
    ok(cloud_run(t.session, &x) == TD_OK && x.answer.n > N && memcmp(x.answer.p + x.answer.n - (N - 9), bytes + 7, N - 9) == 0,
       "the next request goes over another one %s", why);
    cloud_exchange_clear(&x);
    close_http();
    free(bytes);
    close(fd);
    unlink(name);
}

/* ---- Sinks ---- */

struct sink {
    struct cloud_exchange *x;
    uint64_t n;
    int stop;
    unsigned status;
    int64_t length;
};

static int take(void *ctx, struct td_slice bytes)
{
    struct sink *s = ctx;
    s->n += bytes.n;
    s->status = s->x->status;
    s->length = s->x->length;
    return s->stop;
}

static void test_sinks(void)
{
    struct cloud_exchange x = {.method = "GET", .url = url("/bytes/500000"), .sink = take};
    struct sink s = {.x = &x};
    x.ctx = &s;
    open_http(0, NULL, NULL);
    ok(cloud_run(t.session, &x) == TD_OK && s.n == 500000 && x.received == 500000 && !x.answer.n, "a body goes to a sink");
    ok(s.status == 200 && s.length == 500000, "which could see the status and the length");
    s.stop = 77;
    is_int(cloud_run(t.session, &x), 77, "a sink stops it");
    s.stop = 0;
    s.n = 0;
    x.sink_max = 499999;
    is_int(cloud_run(t.session, &x), TD_E_CORRUPT, "more than was asked for");
    ok(s.n < 500000, "is not given on: %s", why);
    x.sink_max = 500000;
    s.n = 0;
    ok(cloud_run(t.session, &x) == TD_OK && s.n == 500000, "just as much");
    x.url = url("/status/500");
    s.n = 0;
    ok(cloud_run(t.session, &x) == TD_OK && s.n == 0 && strcmp(cloud_cstr(&x.answer), "why") == 0, "the text of an error is none of it");
    x.sink = NULL;
    x.url = url("/bytes/16777217");
    is_int(cloud_run(t.session, &x), TD_E_CORRUPT, "an answer that is too long: %s", why);
    cloud_exchange_clear(&x);
    close_http();
}

/* ---- Faults ---- */

static void fails(const char *to, int status, const char *text)
{
    struct cloud_exchange x = {.method = "GET", .url = to};
    why[0] = 0;
    is_int(cloud_run(t.session, &x), status, "%s fails", to);
    like(why, text, "  and says why");
    ok(x.failure == status && x.done, "  also in the exchange");
    cloud_exchange_clear(&x);
}

static void test_faults(void)
{
    open_http(300 * ns_per_ms, NULL, NULL);
    double began = seconds();
    fails(url("/slow"), TD_E_RETRY, "not a byte came for 300 ms");
    ok(seconds() - began < 1.5, "in time");
    fails(url("/cut"), TD_E_RETRY, "closed without an answer");
    fails(url("/cut-body"), TD_E_RETRY, "closed before the answer's end");
    fails(url("/cut-head"), TD_E_RETRY, "closed within the answer's head");
    fails(url("/cut-interim"), TD_E_RETRY, "closed");
    struct cloud_exchange head = {.method = "HEAD", .url = url("/cut-head")};
    is_int(cloud_run(t.session, &head), TD_E_RETRY, "also that of HEAD: %s", why);
    cloud_exchange_clear(&head);
    fails(url("/long-head"), TD_E_CORRUPT, "header fields");
    fails(url("/no-http"), TD_E_RETRY, "does not speak HTTP");
    close_http();
    open_http(300 * ns_per_ms, NULL, NULL);
    fails(url("/no-http"), TD_E_CONFIG, "does not speak HTTP");
    fails("http://127.0.0.1:1/", TD_E_RETRY, "no connection");
    fails("http://no-such-host.invalid/", TD_E_CONFIG, "no host no-such-host.invalid");
    fails("ftp://127.0.0.1/", TD_E_CONFIG, "");
    fails("http://", TD_E_CONFIG, "URL");
    snprintf(t.url, sizeof(t.url), "https://127.0.0.1:%u/", t.server.port);
    fails(t.url, TD_E_RETRY, "no secure connection");

    struct cloud_exchange x = {.method = "GET", .url = url("/drip")};
    ok(cloud_run(t.session, &x) == TD_OK && x.received == 10, "what comes slowly comes");
    x.deadline_ns = 200 * ns_per_ms;
    ok(cloud_run(t.session, &x) == TD_E_RETRY && x.received > 0 && x.received < 10, "unless it must be there by then: %s", why);
    close_http();
    open_http(100 * ns_per_ms, NULL, NULL);
    began = seconds();
    fails(url("/trickle"), TD_E_RETRY, "bytes came within 1000 ms");
    ok(seconds() - began < 2, "a byte now and then holds up nobody for long");
    x.url = url("/trickle");
    x.deadline_ns = 1500 * ns_per_ms;
    ok(cloud_run(t.session, &x) == TD_E_RETRY && strstr(why, "no whole answer within 1500 ms"), "unless it may take longer: %s", why);
    close_http();
    open_http(300 * ns_per_ms, NULL, NULL);
    enum { N = 32 << 20 };
    char *bytes = calloc(1, N);
    x = (struct cloud_exchange){.method = "PUT", .url = url("/deaf"), .body = bytes, .body_n = N, .head = x.head, .answer = x.answer};
    is_int(cloud_run(t.session, &x), TD_E_RETRY, "nobody listens");
    like(why, "could be sent", "  which is told");
    x = (struct cloud_exchange){.method = "GET", .url = url("/echo"), .head = x.head, .answer = x.answer};
    x.headers[x.header_n++] = "X-Bad: a\r\nX-Worse: b";
    is_int(cloud_run(t.session, &x), TD_E_INTERNAL, "a header of two lines is not sent");
    free(bytes);
    cloud_exchange_clear(&x);
    close_http();
}

static void test_options(void)
{
    struct cloud_http *h;
    struct cloud_http_options o = {.host = &t.host, .ca_file = "/nonexistent"};
    is_int(cloud_http_new(&o, &h), TD_E_CONFIG, "no CA file");
    like(why, "/nonexistent cannot be read", "  is told");
    o.ca_file = "/etc/passwd";
    is_int(cloud_http_new(&o, &h), TD_E_CONFIG, "one without certificates");
    like(why, "no certificate", "  is told");
    o = (struct cloud_http_options){.host = &t.host, .proxy = "gopher://user:secret@x"};
    is_int(cloud_http_new(&o, &h), TD_E_CONFIG, "no proxy");
    ok(strstr(why, "proxy") && !strstr(why, "secret"), "  is told without secrets: %s", why);
    is_int(cloud_classify(503), TD_E_RETRY, "503");
    is_int(cloud_classify(501), TD_E_UNSUPPORTED, "501");
    is_int(cloud_classify(206), TD_OK, "206");
    is_int(cloud_classify(404), TD_E_NOT_FOUND, "404");
    is_int(cloud_classify(301), TD_E_INTERNAL, "301");
}

static void test_proxy(void)
{
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "127.0.0.1:%u", t.server.port);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "*", 1);
    open_http(0, proxy, NULL);
    struct cloud_exchange x = {.method = "GET", .url = "http://elsewhere.invalid/status/200"};
    ok(cloud_run(t.session, &x) == TD_E_RETRY && strstr(why, "without an answer"), "through a proxy, whatever the environment says: %s",
       why);
    close_http();
    open_http(0, NULL, NULL);
    x.url = url("/echo");
    ok(cloud_run(t.session, &x) == TD_OK, "or through none");
    close_http();
    unsetenv("no_proxy");
    open_http(0, "env", NULL);
    ok(cloud_run(t.session, &x) == TD_E_RETRY, "or through that of the environment");
    close_http();
    setenv("http_proxy", "http://no-such-proxy.invalid:3128", 1);
    open_http(0, "env", NULL);
    is_int(cloud_run(t.session, &x), TD_E_RETRY, "whose name may be known later");
    like(why, "no-such-proxy.invalid", "  it is told");
    close_http();
    unsetenv("http_proxy");
    cloud_exchange_clear(&x);
}

/* ---- Several at once, and stopping ---- */

static void test_side_by_side(void)
{
    struct cloud_exchange x[4] = {0};
    char urls[4][256];
    open_http(0, NULL, NULL);
    double began = seconds();
    for (int i = 0; i < 4; i++) {
        snprintf(urls[i], sizeof(urls[i]), "%s", url("/drip"));
        x[i].method = "GET";
        x[i].url = urls[i];
        is_int(cloud_start(t.session, &x[i]), TD_OK, "one is started");
    }
    while (!x[0].done || !x[1].done || !x[2].done || !x[3].done)
        if (cloud_wait(t.session, 1000 * ns_per_ms) != TD_OK)
            break;
    ok(seconds() - began < 1.8, "four go side by side");
    for (int i = 0; i < 4; i++)
        ok(x[i].done && x[i].received == 10 && x[i].failure == TD_OK, "each to its end");
    ok(cloud_start(t.session, &x[0]) == TD_OK && cloud_start(t.session, &x[1]) == TD_OK, "two more");
    cloud_stop(t.session, &x[0]);
    ok(x[0].done && x[0].failure == TD_E_CANCELLED && !x[1].done, "one is stopped");
    is_int(cloud_wait(t.session, 10 * ns_per_ms), TD_OK, "a pause");
    ok(!x[1].done, "is not its end");
    cloud_http_give(t.http, t.session);
    ok(x[1].done && x[1].failure == TD_E_CANCELLED, "given back, the other one ends as well");
    is_int(cloud_http_take(t.http, &t.session), TD_OK, "a session again");
    atomic_store(&t.cancelled, true);
    is_int(cloud_run(t.session, &x[0]), TD_E_CANCELLED, "told to stop");
    ok(x[0].done, "it is done");
    atomic_store(&t.cancelled, false);
    for (int i = 0; i < 4; i++)
        cloud_exchange_clear(&x[i]);
    close_http();
}

static void *many(void *ctx)
{
    atomic_uint *good = ctx;
    for (int i = 0; i < 50; i++) {
        char to[128];
        struct cloud_session *s = NULL;
        struct cloud_exchange x = {.method = "GET", .url = to};
        snprintf(to, sizeof(to), "http://127.0.0.1:%u/echo", t.server.port);
        if (cloud_http_take(t.http, &s) == TD_OK && cloud_run(s, &x) == TD_OK && x.status == 200)
            atomic_fetch_add(good, 1);
        cloud_http_give(t.http, s);
        cloud_exchange_clear(&x);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[8];
    atomic_uint good = 0;
    open_http(0, NULL, NULL);
    unsigned before = atomic_load(&t.server.connections);
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, many, &good);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    is_int(atomic_load(&good), 400, "eight threads");
    ok(atomic_load(&t.server.connections) - before <= 8, "share eight connections");
    close_http();
}

int main(void)
{
    t.host = (struct td_host){.size = sizeof(t.host), .fail = fail, .cancelled = is_cancelled};
    if (!ok(talking_server_start(&t.server), "a server"))
        return tap_done();
    test_requests();
    test_files();
    test_sinks();
    test_faults();
    test_options();
    test_proxy();
    test_side_by_side();
    test_threads();
    talking_server_stop(&t.server);
    return tap_done();
}
