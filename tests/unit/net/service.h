/* A service for tests of the HTTP server, with a route of each kind, and a client that says exactly what it is told. */
#ifndef TESTS_NET_SERVICE_H
#define TESTS_NET_SERVICE_H

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/http_request.h"
#include "tap.h"

#define VIEWER "viewer-0123456789abcdef"
#define OPERATOR "operator-0123456789abcdef"
#define ADMIN "admin-0123456789abcdef"

static const struct http_token all_tokens[] = {{VIEWER, HTTP_VIEWER, NULL}, {OPERATOR, HTTP_OPERATOR, "olga"}, {ADMIN, HTTP_ADMIN, "ada"}};

struct service {
    struct http_server *server;
    atomic_uint opened, closed; /* streams and objects */
    atomic_uint waiting;        /* handlers that wait */
    atomic_bool release;
};

/* Byte `at` of every stream and object. */
static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

/* ---- Streams ---- */

struct counted {
    struct service *service;
    uint64_t at, size, fail_at;
};

static int counted_read_at(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct counted *c = ctx;
    if (offset >= c->fail_at)
        return error_set(err, TD_E_NOT_FOUND, "the segment was recycled");
    uint64_t end = c->size < c->fail_at ? c->size : c->fail_at;
    size_t take = end - offset < n ? (size_t)(end - offset) : n;
    for (size_t i = 0; i < take; i++)
        ((uint8_t *)p)[i] = pattern(offset + i);
    *ret_n = take;
    return TD_OK;
}

static int counted_read(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct counted *c = ctx;
    int status = counted_read_at(c, c->at, p, n, ret_n, err);
    if (status == TD_OK)
        c->at += *ret_n;
    return status;
}

static void counted_close(void *ctx)
{
    struct counted *c = ctx;
    atomic_fetch_add(&c->service->closed, 1);
    mem_free(c);
}

static uint64_t number(const struct http_request *r, const char *name, uint64_t otherwise)
{
    const char *text = http_parameter(r, name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct counted *count(struct service *s, const struct http_request *r)
{
    struct counted *c = mem_calloc(1, sizeof(*c));
    *c = (struct counted){s, 0, number(r, "size", UINT64_MAX), number(r, "fail", UINT64_MAX)};
    atomic_fetch_add(&s->opened, 1);
    return c;
}

/* ---- Handlers ---- */

static int hello(void *ctx, struct http_request *r, struct error *err)
{
    struct buf body = {.n = 0};
    (void)ctx;
    (void)err;
    buf_lit(&body, "hello\n");
    http_reply_body(r, 200, "text/plain", &body);
    return TD_OK;
}

static int echo(void *ctx, struct http_request *r, struct error *err)
{
    struct buf body = {.n = 0};
    (void)ctx;
    (void)err;
    buf_put_slice(&body, http_body(r));
    http_reply_body(r, 201, "application/octet-stream", &body);
    return TD_OK;
}

static int thing(void *ctx, struct http_request *r, struct error *err)
{
    struct buf body = {.n = 0};
    const char *start = http_parameter(r, "start");
    (void)ctx;
    (void)err;
    buf_printf(&body, "%s,%s,%d", http_segment(r, "name"), start ? start : "-", (int)http_role(r));
    http_reply_header(r, "X-Thing", "%s", "yes");
    http_reply_body(r, 200, "text/plain", &body);
    return TD_OK;
}

static int stream(void *ctx, struct http_request *r, struct error *err)
{
    struct counted *c = count(ctx, r);
    (void)err;
    http_reply_stream(r, 200, "application/octet-stream",
                      http_parameter(r, "length") ? (int64_t)number(r, "length", 0) : HTTP_LENGTH_UNKNOWN,
                      &(struct http_stream){c, counted_read, counted_close});
    return TD_OK;
}

static int object(void *ctx, struct http_request *r, struct error *err)
{
    struct counted *c = count(ctx, r);
    (void)err;
    http_reply_object(r, "application/octet-stream", &(struct http_object){c, c->size, "v1", counted_read_at, counted_close});
    return TD_OK;
}

static int fail(void *ctx, struct http_request *r, struct error *err)
{
    static const int statuses[] = {TD_E_CONFIG, TD_E_NOT_FOUND, TD_E_EXISTS, TD_E_DENIED, TD_E_RETRY, TD_E_INTERNAL};
    (void)ctx;
    http_reply_header(r, "X-Gone", "%s", "it belongs to an answer that was not given");
    return error_set(err, statuses[number(r, "which", 0) % 6], "why \"it\" failed");
}

static int silent(void *ctx, struct http_request *r, struct error *err)
{
    (void)ctx;
    (void)r;
    (void)err;
    return TD_OK;
}

static int bad_field(void *ctx, struct http_request *r, struct error *err)
{
    http_reply_header(r, "X-Split", "a\r\nX-Evil: b");
    return hello(ctx, r, err);
}

/* Until the client leaves, or the test says so. */
static int wait_for_it(void *ctx, struct http_request *r, struct error *err)
{
    struct service *s = ctx;
    atomic_fetch_add(&s->waiting, 1);
    while (!http_cancelled(r) && !atomic_load(&s->release))
        usleep(1000);
    atomic_fetch_sub(&s->waiting, 1);
    return hello(ctx, r, err);
}

static const char *const thing_parameters[] = {"start", "end", NULL};
static const char *const stream_parameters[] = {"size", "fail", "length", NULL};
static const char *const fail_parameters[] = {"which", NULL};

static const struct http_route routes[] = {
    {"GET", "/", HTTP_ANYONE, NULL, 0, hello},
    {"GET", "/hello", HTTP_ANYONE, NULL, 0, hello},
    {"POST", "/echo", HTTP_VIEWER, NULL, 5000000, echo},
    {"GET", "/things/{name}/part", HTTP_VIEWER, thing_parameters, 0, thing},
    {"POST", "/things/{name}/part", HTTP_OPERATOR, NULL, 0, thing},
    {"DELETE", "/things/{name}/part", HTTP_ADMIN, NULL, 0, thing},
    {"GET", "/stream", HTTP_VIEWER, stream_parameters, 0, stream},
    {"GET", "/object", HTTP_VIEWER, stream_parameters, 0, object},
    {"GET", "/fail", HTTP_VIEWER, fail_parameters, 0, fail},
    {"GET", "/silent", HTTP_VIEWER, NULL, 0, silent},
    {"GET", "/bad_field", HTTP_VIEWER, NULL, 0, bad_field},
    {"GET", "/wait", HTTP_VIEWER, NULL, 0, wait_for_it},
};

/* Fills in what is missing and starts. */
static inline void service_start(struct service *s, struct http_server_options o)
{
    struct error err = {.text = ""};
    struct http_route_set set = {routes, sizeof(routes) / sizeof(routes[0]), s};
    memset(s, 0, sizeof(*s));
    signal(SIGPIPE, SIG_IGN);
    o.component = "test";
    o.listen = o.listen ? o.listen : "127.0.0.1:0";
    o.sets = &set;
    o.set_count = 1;
    int status = http_server_open(&o, &s->server, &err);
    if (status == TD_OK)
        status = http_server_start(s->server, &err);
    if (!ok(status == TD_OK, "the server starts"))
        tap_diag("%s", err.text);
}

static inline void service_stop(struct service *s)
{
    http_server_stop(s->server);
    is_int(atomic_load(&s->closed), atomic_load(&s->opened), "every stream was closed");
}

static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Waits at most five seconds. */
#define eventually(cond)                      \
    ({                                        \
        double until_ = seconds() + 5;        \
        while (!(cond) && seconds() < until_) \
            usleep(1000);                     \
        (bool)(cond);                         \
    })

/* ---- The client ---- */

static inline int client_open(struct service *s)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(http_server_port(s->server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0)
        tap_diag("connect: %s", strerror(errno));
    return fd;
}

static inline void client_send(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

/* All that comes until the connection ends; false: it was reset. */
static inline bool client_read_all(int fd, struct buf *ret)
{
    uint8_t part[65536];
    ssize_t n;
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_put(ret, part, (size_t)n);
    return n == 0;
}

/* Says `text` (whole requests, the last with "Connection: close") and returns everything that comes back. mem_free() it. */
static inline char *client_ask(struct service *s, const char *text)
{
    struct buf all = {.n = 0};
    int fd = client_open(s);
    client_send(fd, text, strlen(text));
    client_read_all(fd, &all);
    close(fd);
    buf_cstr(&all);
    return (char *)all.p;
}

#endif
