/* Bodies that are taken as they come: pieces, ends, refusals before and in the middle, clients that leave; and streams that take their
 * time. */
#include "service.h"

struct uploads {
    struct service service;
    _Atomic uint64_t taken;
    atomic_uint begun, ended, sinks_closed;
    atomic_bool wrong;
};

static int take(void *ctx, struct http_request *r, struct td_slice piece, struct error *err)
{
    struct uploads *u = ctx;
    uint64_t at = atomic_load(&u->taken);
    const char *fail = http_parameter(r, "fail");
    for (size_t i = 0; i < piece.n; i++)
        if (piece.p[i] != pattern(at + i))
            atomic_store(&u->wrong, true);
    atomic_store(&u->taken, at + piece.n);
    if (fail && strcmp(fail, "error") == 0 && at + piece.n > 1000)
        return error_set(err, TD_E_EXISTS, "it is there");
    if (fail && strcmp(fail, "answer") == 0 && at + piece.n > 1000)
        http_reply_problem(r, 507, "no_room", "it is full");
    return TD_OK;
}

static int end(void *ctx, struct http_request *r, struct error *err)
{
    struct uploads *u = ctx;
    struct buf b = {.n = 0};
    (void)err;
    atomic_fetch_add(&u->ended, 1);
    buf_printf(&b, "%" PRIu64 "\n", atomic_load(&u->taken));
    http_reply_body(r, 200, "text/plain", &b);
    return TD_OK;
}

static void sink_close(void *ctx)
{
    struct uploads *u = ctx;
    atomic_fetch_add(&u->sinks_closed, 1);
}

static int upload(void *ctx, struct http_request *r, struct error *err)
{
    struct uploads *u = ctx;
    const char *fail = http_parameter(r, "fail");
    atomic_store(&u->taken, 0);
    if (fail && strcmp(fail, "head") == 0)
        return error_set(err, TD_E_CONFIG, "of %" PRIu64 " bytes none is wanted", http_body_length(r));
    atomic_fetch_add(&u->begun, 1);
    http_take_body(r, &(struct http_sink){u, take, end, sink_close});
    return TD_OK;
}

static int slow_read(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    unsigned *left = ctx;
    (void)n;
    (void)err;
    if (*left == 1)
        usleep(2300000);
    *ret_n = *left ? 1 : 0;
    memcpy(p, "x", 1);
    *left -= *left ? 1 : 0;
    return TD_OK;
}

static void slow_close(void *ctx)
{
    mem_free(ctx);
}

static int slow(void *ctx, struct http_request *r, struct error *err)
{
    unsigned *left = mem_alloc(sizeof(*left));
    (void)ctx;
    if (!left)
        return error_nomem(err);
    *left = 2;
    http_reply_stream(r, 200, "text/plain", HTTP_LENGTH_UNKNOWN, &(struct http_stream){left, slow_read, slow_close});
    return TD_OK;
}

static const struct http_route upload_routes[] = {
    {"POST", "/upload", HTTP_ANYONE, stream_parameters, HTTP_BODY_TAKEN, upload},
    {"GET", "/slow", HTTP_ANYONE, NULL, 0, slow},
};

static void start(struct uploads *u, unsigned idle_s, unsigned receive_s)
{
    struct error err = {.text = ""};
    const struct http_route_set set = {upload_routes, sizeof(upload_routes) / sizeof(upload_routes[0]), u};
    const struct http_server_options o = {
        .component = "test", .listen = "127.0.0.1:0", .sets = &set, .set_count = 1, .idle_s = idle_s, .receive_s = receive_s};
    memset(u, 0, sizeof(*u));
    signal(SIGPIPE, SIG_IGN);
    int status = http_server_open(&o, &u->service.server, &err);
    if (status == TD_OK)
        status = http_server_start(u->service.server, &err);
    ok(status == TD_OK, "the server starts%s", err.text);
}

/* Sends a head, and so many bytes of a body; what comes back. mem_free() it. */
static char *post(struct uploads *u, const char *path, const char *fields, uint64_t send_n, bool chunked)
{
    struct buf head = {.n = 0}, all = {.n = 0};
    int fd = client_open(&u->service);
    char part[4096], size[32];
    buf_printf(&head, "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, fields);
    client_send(fd, (const char *)head.p, head.n);
    for (uint64_t at = 0; at < send_n;) {
        size_t n = send_n - at < sizeof(part) ? (size_t)(send_n - at) : sizeof(part);
        for (size_t i = 0; i < n; i++)
            part[i] = (char)pattern(at + i);
        if (chunked) {
            int digits = snprintf(size, sizeof(size), "%zx\r\n", n);
            client_send(fd, size, (size_t)digits);
        }
        client_send(fd, part, n);
        if (chunked)
            client_send(fd, "\r\n", 2);
        at += n;
    }
    if (chunked)
        client_send(fd, "0\r\n\r\n", 5);
    client_read_all(fd, &all);
    close(fd);
    buf_clear(&head);
    buf_cstr(&all);
    return (char *)all.p;
}

static void test_whole(void)
{
    static struct uploads u;
    start(&u, 0, 0);
    char *answer = post(&u, "/upload", "Content-Length: 20000000\r\n", 20000000, false);
    like(answer, "\r\n20000000\n", "a long body is taken");
    mem_free(answer);
    answer = post(&u, "/upload", "Transfer-Encoding: chunked\r\n", 3000000, true);
    like(answer, "\r\n3000000\n", "also in chunks");
    mem_free(answer);
    answer = post(&u, "/upload", "Content-Length: 0\r\n", 0, false);
    like(answer, "\r\n0\n", "and an empty one");
    mem_free(answer);
    ok(!atomic_load(&u.wrong), "every byte is at its place");
    is_int(atomic_load(&u.ended), 3, "each has its end");
    ok(eventually(atomic_load(&u.sinks_closed) == 3), "and is closed");
    http_server_stop(u.service.server);
}

static void test_refused(void)
{
    static struct uploads u;
    start(&u, 0, 0);
    char *answer = post(&u, "/upload?fail=head", "Content-Length: 5000000000\r\nExpect: 100-continue\r\n", 0, false);
    like(answer, "HTTP/1.1 400 ", "what is not wanted is refused at its head");
    like(answer, "of 5000000000 bytes", "with its length");
    ok(!strstr(answer, " 100 "), "and not asked for");
    mem_free(answer);
    answer = post(&u, "/upload?fail=error", "Content-Length: 300000\r\n", 300000, false);
    like(answer, "HTTP/1.1 409 ", "an error in the middle is answered");
    mem_free(answer);
    answer = post(&u, "/upload?fail=answer", "Transfer-Encoding: chunked\r\n", 300000, true);
    like(answer, "\"code\":\"no_room\"", "so is what is answered there");
    mem_free(answer);
    ok(atomic_load(&u.taken) < 300000, "and nothing is taken after it");
    is_int(atomic_load(&u.ended), 0, "none has an end");
    ok(eventually(atomic_load(&u.sinks_closed) == 2), "and each that was begun is closed");
    is_int(atomic_load(&u.begun), 2, "which the first was not");
    http_server_stop(u.service.server);
}

static void test_cut(void)
{
    static struct uploads u;
    const char *head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n01234567";
    start(&u, 0, 0);
    int fd = client_open(&u.service);
    client_send(fd, head, strlen(head));
    ok(eventually(atomic_load(&u.taken) == 8), "a body begins");
    close(fd);
    ok(eventually(atomic_load(&u.sinks_closed) == 1), "a client that leaves closes it");
    is_int(atomic_load(&u.ended), 0, "without an end");
    http_server_stop(u.service.server);

    start(&u, 30, 1);
    struct buf all = {.n = 0};
    fd = client_open(&u.service);
    double begin = seconds();
    client_send(fd, head, strlen(head));
    client_read_all(fd, &all);
    ok(seconds() - begin < 10 && atomic_load(&u.ended) == 0, "one that sends too little in the time for a request is cut");
    close(fd);
    buf_clear(&all);
    http_server_stop(u.service.server);
}

/* MiBs come one after the other, each in its time, all of them in more. */
static void test_long(void)
{
    static struct uploads u;
    static char part[1 << 20];
    const char *head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 6291456\r\n\r\n";
    struct buf all = {.n = 0};
    start(&u, 30, 1);
    int fd = client_open(&u.service);
    client_send(fd, head, strlen(head));
    for (int i = 0; i < 6; i++) {
        usleep(400000);
        client_send(fd, part, sizeof(part));
    }
    client_read_all(fd, &all);
    like(buf_cstr(&all), "\r\n6291456\n", "a long body has more time");
    close(fd);
    buf_clear(&all);
    http_server_stop(u.service.server);
}

static void test_slow_stream(void)
{
    static struct uploads u;
    start(&u, 1, 0);
    char *answer = client_ask(&u.service, "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    like(answer, "1\r\nx\r\n0\r\n", "a stream that thinks for longer than a connection may idle is not cut");
    mem_free(answer);
    http_server_stop(u.service.server);
}

int main(void)
{
    test_whole();
    test_refused();
    test_cut();
    test_long();
    test_slow_stream();
    return tap_done();
}
