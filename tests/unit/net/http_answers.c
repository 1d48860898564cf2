/* What the server does with answers besides sending them: compressed ones and their tags, events, and telling who got what. */
#include "service.h"

#include <pthread.h>

#include <zlib.h>
#include <zstd.h>

#include "net/http_encoding.h"

static struct service service;

/* The answer to GET with these fields, its head ended with a zero; *ret_body points into `all`. */
static const char *ask_method(const char *method, const char *path, const char *fields, struct buf *all, struct td_slice *ret_body)
{
    char request[512];
    int fd = client_open(&service);
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, path, fields);
    buf_reset(all);
    client_send(fd, request, strlen(request));
    client_read_all(fd, all);
    close(fd);
    buf_cstr(all);
    uint8_t *end = memmem(all->p, all->n, "\r\n\r\n", 4);
    if (!end) {
        *ret_body = td_bytes(NULL, 0);
        return "";
    }
    *ret_body = td_bytes(end + 4, (size_t)(all->p + all->n - (end + 4)));
    end[3] = '\0';
    return (char *)all->p;
}

static const char *ask(const char *path, const char *fields, struct buf *all, struct td_slice *ret_body)
{
    return ask_method("GET", path, fields, all, ret_body);
}

/* Takes chunks out; false if they have no end. */
static bool dechunk(struct td_slice in, struct buf *ret)
{
    const uint8_t *p = in.p, *end = in.p + in.n;
    buf_reset(ret);
    while (p < end) {
        char *behind;
        size_t n = strtoul((const char *)p, &behind, 16);
        p = (const uint8_t *)behind + 2;
        if (n == 0)
            return true;
        if (p > end || (size_t)(end - p) < n + 2)
            return false;
        buf_put(ret, p, n);
        p += n + 2;
    }
    return false;
}

/* What can be unpacked of it, end or no end; *ret_whole: with its end. */
static void unpack(const char *coding, struct td_slice in, struct buf *ret, bool *ret_whole)
{
    static uint8_t part[1 << 16];
    buf_reset(ret);
    *ret_whole = false;
    if (strcmp(coding, "zstd") == 0) {
        ZSTD_DCtx *ctx = ZSTD_createDCtx();
        ZSTD_inBuffer from = {in.p, in.n, 0};
        for (size_t status = 1; status && !ZSTD_isError(status);) {
            ZSTD_outBuffer to = {part, sizeof(part), 0};
            status = ZSTD_decompressStream(ctx, &to, &from);
            buf_put(ret, part, to.pos);
            *ret_whole = status == 0 && from.pos == in.n;
            if (from.pos == in.n && to.pos < sizeof(part))
                break;
        }
        ZSTD_freeDCtx(ctx);
        return;
    }
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
    int status = inflateInit2(&z, 15 + 16);
    while (status == Z_OK) {
        z.next_out = part;
        z.avail_out = sizeof(part);
        status = inflate(&z, Z_NO_FLUSH);
        buf_put(ret, part, sizeof(part) - z.avail_out);
    }
    *ret_whole = status == Z_STREAM_END && z.avail_in == 0;
    inflateEnd(&z);
}

/* ---- Choosing ---- */

static void test_choice(void)
{
    static const struct {
        const char *accept;
        enum http_coding want;
    } cases[] = {{NULL, HTTP_IDENTITY},
                 {"", HTTP_IDENTITY},
                 {"gzip", HTTP_GZIP},
                 {"x-gzip", HTTP_GZIP},
                 {"GZip", HTTP_GZIP},
                 {"zstd", HTTP_ZSTD},
                 {"br", HTTP_IDENTITY},
                 {"deflate, gzip, br, zstd", HTTP_ZSTD},
                 {"gzip, deflate, br", HTTP_GZIP},
                 {"gzip;q=1.0, zstd;q=0.5", HTTP_GZIP},
                 {"gzip;q=0.499, zstd;q=0.5", HTTP_ZSTD},
                 {"gzip ; q=0.5 ,\tzstd ;q=0.5", HTTP_ZSTD},
                 {"gzip;q=0", HTTP_IDENTITY},
                 {"gzip;q=0.000", HTTP_IDENTITY},
                 {"gzip;q=0.001", HTTP_GZIP},
                 {"zstd;q=0, gzip", HTTP_GZIP},
                 {"gzip;q=0.5, identity", HTTP_IDENTITY},
                 {"zstd;q=0.5, identity;q=0.6", HTTP_IDENTITY},
                 {"gzip;q=0.5, identity;q=0.5", HTTP_GZIP},
                 {"identity;q=0, gzip;q=0.1", HTTP_GZIP},
                 {"identity;q=0", HTTP_IDENTITY},
                 {"*", HTTP_IDENTITY},
                 {"*;q=0", HTTP_IDENTITY},
                 {"gzip, *;q=0", HTTP_GZIP},
                 {"gzip;q=0.5, *", HTTP_IDENTITY},
                 {"gzip;q=2", HTTP_IDENTITY},
                 {"gzip;q=0.1234", HTTP_IDENTITY},
                 {"gzip;q=1.001", HTTP_IDENTITY},
                 {"gzip;q=x", HTTP_IDENTITY},
                 {"gzip;Q=1", HTTP_GZIP},
                 {"gzip;q=1.", HTTP_GZIP},
                 {"gzip;level=9", HTTP_IDENTITY},
                 {",,gzip,", HTTP_GZIP},
                 {"gzipped", HTTP_IDENTITY},
                 {";q=1", HTTP_IDENTITY}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(http_coding_name(http_coding_choose(cases[i].accept)), http_coding_name(cases[i].want), "Accept-Encoding: %s",
               cases[i].accept ? cases[i].accept : "none");
    ok(http_type_is_text("application/json") && http_type_is_text("text/html; charset=utf-8") && http_type_is_text("image/svg+xml") &&
           http_type_is_text("application/problem+json"),
       "text is compressed");
    ok(!http_type_is_text("application/octet-stream") && !http_type_is_text("image/png") && !http_type_is_text(NULL) &&
           !http_type_is_text("application/vnd.tcpdump.pcap") && !http_type_is_text("text/"),
       "nothing else is");
}

/* ---- Bodies ---- */

static void test_bodies(void)
{
    static const char *const codings[] = {"gzip", "zstd"};
    struct buf all = {.n = 0}, plain = {.n = 0}, unpacked = {.n = 0};
    struct td_slice body;
    bool whole;
    service_start(&service, (struct http_server_options){.tokens = NULL});
    const char *head = ask("/text?size=100000", "", &all, &body);
    like(head, "Vary: Accept-Encoding\r\n", "an answer that could be compressed says what it depends on");
    like(head, "ETag: \"t1\"\r\n", "has its tag");
    ok(!strstr(head, "Content-Encoding") && body.n >= 100000, "and is not compressed unasked");
    buf_put_slice(&plain, body);
    for (size_t i = 0; i < 2; i++) {
        char fields[128], field[64];
        snprintf(fields, sizeof(fields), "Accept-Encoding: br, %s\r\n", codings[i]);
        head = ask("/text?size=100000", fields, &all, &body);
        snprintf(field, sizeof(field), "Content-Encoding: %s\r\n", codings[i]);
        like(head, field, "asked for it, it is");
        snprintf(field, sizeof(field), "ETag: \"t1-%s\"\r\n", codings[i]);
        like(head, field, "with a tag of its own");
        snprintf(field, sizeof(field), "Content-Length: %zu\r\n", body.n);
        like(head, field, "and its own length");
        like(head, "Vary: Accept-Encoding\r\n", "and says what it depends on");
        unpack(codings[i], body, &unpacked, &whole);
        ok(whole && body.n < 30000, "%s: %zu bytes of %zu", codings[i], body.n, plain.n);
        is_mem(unpacked.p, unpacked.n, plain.p, plain.n, "it is the same");
        size_t length = body.n;
        head = ask_method("HEAD", "/text?size=100000", fields, &all, &body);
        snprintf(field, sizeof(field), "Content-Length: %zu\r\n", length);
        ok(strstr(head, field) && strstr(head, codings[i]) && body.n == 0, "HEAD says the same");
    }
    head = ask("/text?size=500", "Accept-Encoding: gzip\r\n", &all, &body);
    ok(!strstr(head, "Content-Encoding") && !strstr(head, "Vary"), "short ones are never compressed");
    head = ask("/text?size=5000&which=application/octet-stream", "Accept-Encoding: gzip\r\n", &all, &body);
    ok(!strstr(head, "Content-Encoding") && !strstr(head, "Vary"), "nor is what is no text");
    head = ask("/text?size=5000&fail=1&which=text/plain", "Accept-Encoding: gzip\r\n", &all, &body);
    ok(!strstr(head, "Content-Encoding") && strstr(head, "Vary") && strstr(head, "ETag: \"t1\"\r\n") && body.n == 5000,
       "what does not get shorter stays as it is");
    head = ask("/object?size=5000", "Accept-Encoding: gzip\r\nRange: bytes=0-99\r\n", &all, &body);
    ok(strstr(head, " 206 ") && !strstr(head, "Content-Encoding") && body.n == 100, "objects and parts stay as they are");
    buf_clear(&all);
    buf_clear(&plain);
    buf_clear(&unpacked);
    service_stop(&service);
}

static void test_tags(void)
{
    static const struct {
        const char *fields;
        unsigned status;
        const char *tag;
    } cases[] = {{"If-None-Match: \"t1\"\r\n", 304, "ETag: \"t1\"\r\n"},
                 {"If-None-Match: \"t1-gzip\"\r\n", 200, "ETag: \"t1\"\r\n"},
                 {"If-None-Match: *\r\n", 304, "ETag: \"t1\"\r\n"},
                 {"If-None-Match: \"t0\", W/\"t1\"\r\n", 304, "ETag: \"t1\"\r\n"},
                 {"If-None-Match: \"t0\"\r\n", 200, "ETag: \"t1\"\r\n"},
                 {"Accept-Encoding: gzip\r\nIf-None-Match: \"t1-gzip\"\r\n", 304, "ETag: \"t1-gzip\"\r\n"},
                 {"Accept-Encoding: gzip\r\nIf-None-Match: \"t1\"\r\n", 200, "ETag: \"t1-gzip\"\r\n"},
                 {"Accept-Encoding: zstd\r\nIf-None-Match: \"t1-gzip\"\r\n", 200, "ETag: \"t1-zstd\"\r\n"}};
    struct buf all = {.n = 0};
    struct td_slice body;
    char line[32];
    service_start(&service, (struct http_server_options){.tokens = NULL});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *head = ask("/text?size=5000", cases[i].fields, &all, &body);
        snprintf(line, sizeof(line), "HTTP/1.1 %u ", cases[i].status);
        ok(strncmp(head, line, strlen(line)) == 0 && (body.n == 0) == (cases[i].status == 304), "%s%u", cases[i].fields, cases[i].status);
        ok(strstr(head, cases[i].tag) && strstr(head, "Vary: Accept-Encoding\r\n") && strstr(head, "Cache-Control: no-cache\r\n"),
           "with the fields that a cache needs");
    }
    const char *head = ask("/text?size=5000&length=1", "Accept-Encoding: gzip\r\nIf-None-Match: \"t1\"\r\n", &all, &body);
    ok(strstr(head, " 304 ") && strstr(head, "ETag: W/\"t1\"\r\n"), "a weak tag stands for all codings");
    buf_clear(&all);
    service_stop(&service);
}

/* ---- Streams ---- */

static void test_streams(void)
{
    static const char *const codings[] = {"gzip", "zstd"};
    struct buf all = {.n = 0}, chunks = {.n = 0}, unpacked = {.n = 0};
    struct td_slice body;
    bool whole;
    service_start(&service, (struct http_server_options){.tokens = NULL});
    for (size_t i = 0; i < 2; i++) {
        char fields[64];
        uint64_t right = 0;
        snprintf(fields, sizeof(fields), "Accept-Encoding: %s\r\n", codings[i]);
        const char *head = ask("/text_stream?size=3000000&length=3000000", fields, &all, &body);
        ok(strstr(head, "Vary") && strstr(head, codings[i]) && !strstr(head, "Content-Length") && dechunk(body, &chunks),
           "a stream that asks for it is compressed, %s", codings[i]);
        unpack(codings[i], buf_slice(&chunks), &unpacked, &whole);
        while (right < unpacked.n && unpacked.p[right] == pattern(right))
            right++;
        ok(whole && right == 3000000 && chunks.n < 1000000, "and is the same, in %zu bytes", chunks.n);
        ask("/text_stream?size=3000000&fail=1000000", fields, &all, &body);
        ok(!dechunk(body, &chunks), "one that fails has no end");
        head = ask_method("HEAD", "/text_stream?size=3000", fields, &all, &body);
        ok(strstr(head, codings[i]) && body.n == 0, "HEAD tells how");
    }
    const char *head = ask("/text_stream?size=3000&length=3000", "", &all, &body);
    ok(strstr(head, "Content-Length: 3000\r\n") && strstr(head, "Vary") && body.n == 3000, "others get it with its length");
    head = ask("/stream?size=3000", "Accept-Encoding: gzip\r\n", &all, &body);
    ok(!strstr(head, "Content-Encoding") && !strstr(head, "Vary"), "a stream that does not ask for it stays as it is");
    buf_clear(&all);
    buf_clear(&chunks);
    buf_clear(&unpacked);
    service_stop(&service);
}

/* ---- Events ---- */

static void put_is(const struct http_event *e, const char *want)
{
    struct buf text = {.n = 0};
    http_put_event(&text, e);
    is_str(buf_cstr(&text), want, "an event");
    buf_clear(&text);
}

static void test_event_format(void)
{
    put_is(&(struct http_event){NULL, NULL, TD_LIT("{}")}, "data: {}\n\n");
    put_is(&(struct http_event){"7", "job", TD_LIT("a")}, "event: job\ndata: a\nid: 7\n\n");
    put_is(&(struct http_event){"7", NULL, TD_LIT("")}, "data: \nid: 7\n\n");
    put_is(&(struct http_event){NULL, NULL, TD_LIT("a\nb\r\nc\rd\n\re\n")},
           "data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\ndata: \n\n");
    put_is(&(struct http_event){"7\ndata: evil", "x\revil", TD_LIT("a")}, "data: a\n\n");
    put_is(&(struct http_event){"", NULL, TD_LIT("a")}, "data: a\nid: \n\n");
}

/* Reads until `text` is there, or five seconds are over. */
static bool comes(int fd, struct buf *all, const char *text)
{
    double until = seconds() + 5;
    for (struct pollfd p = {.fd = fd, .events = POLLIN}; seconds() < until;) {
        uint8_t part[4096];
        if (all->n && memmem(all->p, all->n, text, strlen(text)))
            return true;
        ssize_t n = poll(&p, 1, 20) > 0 ? recv(fd, part, sizeof(part), 0) : 0;
        buf_put(all, part, n > 0 ? (size_t)n : 0);
    }
    return false;
}

static void test_events(void)
{
    struct buf all = {.n = 0}, chunks = {.n = 0};
    struct td_slice body;
    service_start(&service, (struct http_server_options){.tokens = NULL});
    atomic_store(&service.events, 3);
    const char *head = ask("/events?size=3", "", &all, &body);
    like(head, "Content-Type: text/event-stream\r\n", "events have their type");
    like(head, "Cache-Control: no-store\r\n", "are not kept");
    ok(dechunk(body, &chunks), "and an end, if the handler knows one");
    is_str(buf_cstr(&chunks), ":\n\ndata: tick\ndata: 0\nid: 0\n\nevent: odd\ndata: tick\ndata: 1\nid: 1\n\ndata: tick\ndata: 2\nid: 2\n\n",
           "they come in turn");
    ask("/events?size=3", "Last-Event-ID: 1\r\n", &all, &body);
    ok(dechunk(body, &chunks), "after a break");
    is_str(buf_cstr(&chunks), ":\n\ndata: tick\ndata: 2\nid: 2\n\n", "it goes on behind the last one");
    ask("/events?fail=2", "", &all, &body);
    ok(!dechunk(body, &chunks), "an error cuts it");
    like(ask("/events HTTP/1.0\r\nX: y", "", &all, &body), " 505 ", "it needs chunks");

    int fd = client_open(&service);
    const char *text = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    buf_reset(&all);
    client_send(fd, text, strlen(text));
    ok(comes(fd, &all, "id: 2\n\n"), "a stream without an end begins");
    double begin = seconds();
    atomic_store(&service.events, 4);
    ok(comes(fd, &all, "id: 3\n\n") && seconds() - begin < 3, "what happens is sent at once");
    close(fd);
    ok(eventually(atomic_load(&service.closed) == atomic_load(&service.opened)), "it ends when its client leaves");

    fd = client_open(&service);
    buf_reset(&all);
    client_send(fd, text, strlen(text));
    ok(comes(fd, &all, "id: 3\n\n"), "one more stream");
    begin = seconds();
    service_stop(&service);
    ok(seconds() - begin < 2, "does not keep the server from stopping");
    close(fd);
    buf_clear(&all);
    buf_clear(&chunks);
}

static int open_events(const char *token, struct buf *all)
{
    char request[256];
    int fd = client_open(&service);
    snprintf(request, sizeof(request), "GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token);
    client_send(fd, request, strlen(request));
    ok(comes(fd, all, "id: 2\n\n"), "who shows a token gets events");
    return fd;
}

/* Tokens that are taken away, and such that stay, under another name or with a lower role that is enough. */
static void test_revoked(void)
{
    static const struct http_token left[] = {{ADMIN, HTTP_VIEWER, "eve"}}, other[] = {{OPERATOR, HTTP_ADMIN, NULL}};
    struct buf viewer = {.n = 0}, admin = {.n = 0};
    struct error err = {.text = ""};
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    atomic_store(&service.events, 3);
    int gone = open_events(VIEWER, &viewer), stays = open_events(ADMIN, &admin);
    double begin = seconds();
    is_int(http_server_set_tokens(service.server, left, 1, &err), TD_OK, "a token is taken away");
    ok(comes(gone, &viewer, "\r\n0\r\n\r\n") && seconds() - begin < 3, "its events end, at once");
    atomic_store(&service.events, 4);
    ok(comes(stays, &admin, "id: 3\n\n"), "the others' go on");
    is_int(http_server_set_tokens(service.server, other, 1, &err), TD_OK, "that is taken away, too");
    ok(comes(stays, &admin, "\r\n0\r\n\r\n"), "and now they end");
    close(gone);
    close(stays);
    service_stop(&service);

    service_start(&service, (struct http_server_options){.tokens = NULL});
    atomic_store(&service.events, 3);
    buf_reset(&viewer);
    gone = open_events(VIEWER, &viewer);
    is_int(http_server_set_tokens(service.server, other, 1, &err), TD_OK, "where everybody was let in, a token is asked for");
    ok(comes(gone, &viewer, "\r\n0\r\n\r\n"), "who has none sees no more");
    close(gone);
    service_stop(&service);
    buf_clear(&viewer);
    buf_clear(&admin);
}

static void test_live_coding(void)
{
    static const char *const codings[] = {"gzip", "zstd"};
    for (size_t i = 0; i < 2; i++) {
        struct buf all = {.n = 0}, chunks = {.n = 0}, unpacked = {.n = 0};
        char request[256];
        bool whole, there = false;
        service_start(&service, (struct http_server_options){.tokens = NULL});
        atomic_store(&service.events, 3);
        int fd = client_open(&service);
        snprintf(request, sizeof(request), "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: %s\r\n\r\n", codings[i]);
        client_send(fd, request, strlen(request));
        for (int tries = 0; tries < 100 && !there; tries++) {
            comes(fd, &all, "\r\n\r\n");
            struct pollfd p = {.fd = fd, .events = POLLIN};
            uint8_t part[4096];
            if (poll(&p, 1, 50) > 0)
                buf_put(&all, part, (size_t)recv(fd, part, sizeof(part), 0));
            uint8_t *end = memmem(all.p, all.n, "\r\n\r\n", 4);
            buf_cstr(&all);
            dechunk(td_bytes(end + 4, (size_t)(all.p + all.n - end - 4)), &chunks);
            unpack(codings[i], buf_slice(&chunks), &unpacked, &whole);
            there = strstr(buf_cstr(&unpacked), "id: 2\n\n") != NULL;
        }
        ok(there, "events come at once, compressed with %s", codings[i]);
        close(fd);
        service_stop(&service);
        buf_clear(&all);
        buf_clear(&chunks);
        buf_clear(&unpacked);
    }
}

/* A server that cuts who is silent for two seconds sends something more often than that. */
static void test_heartbeat(void)
{
    struct buf all = {.n = 0};
    const char *text = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    service_start(&service, (struct http_server_options){.idle_s = 2});
    int fd = client_open(&service);
    client_send(fd, text, strlen(text));
    double until = seconds() + 3.5;
    for (struct pollfd p = {.fd = fd, .events = POLLIN}; seconds() < until;) {
        uint8_t part[4096];
        ssize_t n = poll(&p, 1, 20) > 0 ? recv(fd, part, sizeof(part), 0) : 0;
        buf_put(&all, part, n > 0 ? (size_t)n : 0);
    }
    unsigned beats = 0;
    for (const char *at = buf_cstr(&all); (at = strstr(at, "\n:\n\n")) != NULL; at++)
        beats++;
    ok(beats >= 3 && beats <= 7, "a silent stream has a heartbeat: %u", beats);
    is_int(atomic_load(&service.closed), 0, "and lives");
    close(fd);
    buf_clear(&all);
    service_stop(&service);
}

/* ---- Who got what ---- */

struct told {
    pthread_mutex_t lock;
    struct buf lines;
    atomic_uint n;
    int64_t longest_ns;
};

static void note(void *ctx, const struct http_answered *a)
{
    struct told *t = ctx;
    pthread_mutex_lock(&t->lock);
    buf_printf(&t->lines, "%s@%s/%d %s %s (%s) %u %u%s\n", a->who, a->address, (int)a->role, a->method, a->path, a->route ? a->route : "",
               a->status, (unsigned)a->bytes, a->complete ? "" : " cut");
    t->longest_ns = a->duration_ns > t->longest_ns ? a->duration_ns : t->longest_ns;
    atomic_fetch_add(&t->n, 1);
    pthread_mutex_unlock(&t->lock);
}

static void test_answered(void)
{
    static const char *const tokens[] = {VIEWER, OPERATOR, ADMIN, "wrong", NULL};
    struct told told = {.longest_ns = 0};
    struct buf all = {.n = 0};
    struct td_slice body;
    char fields[128];
    unsigned n = 0;
    pthread_mutex_init(&told.lock, NULL);
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3, .answered = note, .answered_ctx = &told});
    for (size_t i = 0; i < 5; i++) {
        snprintf(fields, sizeof(fields), tokens[i] ? "Authorization: Bearer %s\r\n" : "%s", tokens[i] ? tokens[i] : "");
        ask_method("POST", "/things/a%20b/part", fields, &all, &body);
        n++;
        ok(eventually(atomic_load(&told.n) == n), "a request is told of");
    }
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n", ADMIN);
    ask("/stream?size=1000&fail=500", fields, &all, &body);
    ok(eventually(atomic_load(&told.n) == 6), "one that is cut as well");
    ask("/%", "", &all, &body);
    ok(eventually(atomic_load(&told.n) == 7), "and one that is nonsense");
    service_stop(&service);
    static const char *const lines[] = {"127.0.0.1@127.0.0.1/1 POST /things/a%20b/part (/things/{name}/part) 403 ",
                                        "olga@127.0.0.1/2 POST /things/a%20b/part (/things/{name}/part) 200 7\n",
                                        "ada@127.0.0.1/3 POST /things/a%20b/part (/things/{name}/part) 200 7\n",
                                        "127.0.0.1@127.0.0.1/0 POST /things/a%20b/part (/things/{name}/part) 401 ",
                                        "ada@127.0.0.1/3 GET /stream?size=1000&fail=500 (/stream) 200 500 cut\n",
                                        "127.0.0.1@127.0.0.1/0 GET /% () 400 "};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        like(buf_cstr(&told.lines), lines[i], "who, what, how much: %s", lines[i]);
    ok(told.longest_ns > 0 && told.longest_ns < 5000000000, "and how long");
    buf_clear(&told.lines);
    buf_clear(&all);
    pthread_mutex_destroy(&told.lock);
}

int main(void)
{
    test_choice();
    test_bodies();
    test_tags();
    test_streams();
    test_event_format();
    test_events();
    test_revoked();
    test_live_coding();
    test_heartbeat();
    test_answered();
    return tap_done();
}
