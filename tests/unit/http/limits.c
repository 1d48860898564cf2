/* The HTTP dissector at its stated limits: what is too long, too many or too much ends in a clean state. */
#include "mock_host.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_http;

static void open_mock(struct mock *m, unsigned options)
{
    if (!mock_init(m, &td_plugin_v1_http, options))
        abort();
    mock_option(m, "maxHeadersSize", 1024);
}

static void feed(struct mock *m, int dir, const char *text)
{
    mock_feed(m, dir, td_str(text));
}

/* Closes; the transcript is in m->out until mock_clear(). */
static const char *finish(struct mock *m)
{
    mock_close(m, TD_CLOSE_FIN);
    if (m->fault)
        ok(false, "the dissector broke the contract: %s", m->fault);
    return buf_cstr(&m->out);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

static void test_long_head(void)
{
    struct mock m;
    const char *text;
    int i;
    open_mock(&m, MOCK_VIOLATIONS);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "GET /long HTTP/1.1\r\nHost: h\r\n");
    for (i = 0; i < 200; i++)
        feed(&m, TD_CLIENT, "X-Padding: 0123456789\r\n");
    ok(m.side[TD_CLIENT].unused.n <= 1024 + 64, "no more of a head is kept than the limit says (%zu)", m.side[TD_CLIENT].unused.n);
    feed(&m, TD_CLIENT, "\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    feed(&m, TD_SERVER, "HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n");
    text = finish(&m);
    like(text, "violation: head too long", "a head that is too long is told");
    like(text, "http_request_target: /long\n", "... its call has what there was");
    like(text, "flags: request-cut", "... and is cut");
    like(text, "http_request_target: /next\n", "the next request is found");
    mock_clear(&m);
}

static void test_long_start_line(void)
{
    struct mock m;
    const char *text;
    int i;
    open_mock(&m, MOCK_VIOLATIONS);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "GET /");
    for (i = 0; i < 5000; i++)
        feed(&m, TD_CLIENT, "aaaaaaaaaa");
    ok(m.side[TD_CLIENT].unused.n <= 1024 + 64, "an endless start line is not kept (%zu)", m.side[TD_CLIENT].unused.n);
    feed(&m, TD_CLIENT, "\nGET /next HTTP/1.1\r\n\r\n");
    text = finish(&m);
    like(text, "violation: start line too long", "it is told");
    is_int(count(text, "method: GET"), 1, "only the next request is a call");
    mock_clear(&m);
}

static void test_many_fields(void)
{
    struct mock m;
    const char *text;
    int i;
    open_mock(&m, 0);
    mock_option(&m, "maxHeadersSize", 65536);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "POST / HTTP/1.1\r\n");
    for (i = 0; i < 300; i++)
        feed(&m, TD_CLIENT, "N: v\r\n");
    feed(&m, TD_CLIENT, "Content-Length: 2\r\n\r\nok");
    feed(&m, TD_SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    text = finish(&m);
    like(text, "flags: partial", "more fields than are kept");
    like(text, "request_body_size: 2", "... but framing sees them all");
    mock_clear(&m);
}

static void test_many_waiting(void)
{
    struct mock m;
    char line[96];
    const char *text;
    int i, n = 1030;
    open_mock(&m, MOCK_NO_BODIES);
    (void)mock_open(&m, 0);
    for (i = 0; i < n; i++) {
        snprintf(line, sizeof(line), "GET /%d HTTP/1.1\r\n\r\n", i);
        feed(&m, TD_CLIENT, line);
    }
    is_int(m.committed, n - 1024, "requests beyond what may wait are given up");
    for (i = 0; i < n; i++) {
        snprintf(line, sizeof(line), "HTTP/1.1 200 answer %d.\r\nContent-Length: 0\r\n\r\n", i);
        feed(&m, TD_SERVER, line);
    }
    text = finish(&m);
    is_int(count(text, "call\n"), n + 6, "their answers come alone");
    like(text,
         "http_request_target: /1029\n  http_version: 1.1\n  http_response_version: 1.1\n  status_code: 200\n  http_reason: answer 1029.",
         "the others stay in step");
    is_int(count(text, "request-cut"), 6, "six answers without request");
    is_int(count(text, "response-cut"), 6, "six requests without answer");
    mock_clear(&m);
}

static void test_body_limit(void)
{
    struct mock m;
    const char *text;
    open_mock(&m, 0);
    mock_option(&m, "maxBodySize", 4);
    mock_option(&m, "decodeBodies", 0);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "POST / HTTP/1.1\r\nContent-Length: 10\r\nContent-Encoding: gzip\r\n\r\n01234");
    feed(&m, TD_CLIENT, "56789");
    feed(&m, TD_SERVER, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n");
    text = finish(&m);
    like(text, "  request_body_size: 10\n  response_body_size: 6\n  request.body: 0123\n  response.body: abcd\n",
         "bodies are cut at their limit, sizes are not, and nothing is decoded");
    ok(!strstr(text, "flags:"), "and that is no fault");
    mock_clear(&m);
}

/* Content that nobody looks at is passed over without being presented, and its end is noticed all the same. */
static void test_skip(void)
{
    struct mock m;
    char block[4096];
    const char *text;
    uint64_t skip;
    int i;
    memset(block, 'x', sizeof(block));
    open_mock(&m, MOCK_NO_BODIES | MOCK_NO_SIZES);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "GET /big HTTP/1.1\r\n\r\n");
    feed(&m, TD_SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
    for (i = 0; i < 1023; i++)
        mock_feed(&m, TD_SERVER, td_bytes(block, sizeof(block)));
    skip = m.side[TD_SERVER].skip;
    is_int(skip, sizeof(block) - 1, "all but the last byte is skipped");
    is_int(m.committed, 0, "the call is not over before its last byte");
    mock_feed(&m, TD_SERVER, td_bytes(block, sizeof(block)));
    is_int(m.committed, 1, "and then it is");
    feed(&m, TD_CLIENT, "GET /chunks HTTP/1.1\r\n\r\n");
    feed(&m, TD_SERVER, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n");
    feed(&m, TD_SERVER, "x");
    is_int(m.side[TD_SERVER].skip, 0x10000 - 1, "a chunk's data is skipped");
    for (i = 0; i < 16; i++)
        mock_feed(&m, TD_SERVER, td_bytes(block, sizeof(block) - (i == 15)));
    feed(&m, TD_SERVER, "\r\n0\r\n\r\n");
    text = finish(&m);
    is_int(count(text, "call\n"), 2, "two calls");
    ok(!strstr(text, "cut"), "both whole");
    mock_clear(&m);
}

/* A body that never ends is not kept. */
static void test_stream(void)
{
    struct mock m;
    char block[1024];
    int i;
    memset(block, 'x', sizeof(block));
    open_mock(&m, 0);
    mock_option(&m, "maxBodySize", 16);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "GET / HTTP/1.0\r\n\r\n");
    feed(&m, TD_SERVER, "HTTP/1.0 200 OK\r\n\r\n");
    for (i = 0; i < 1000; i++)
        mock_feed(&m, TD_SERVER, td_bytes(block, sizeof(block)));
    is_int(m.side[TD_SERVER].unused.n, 0, "a stream is not kept");
    mock_eof(&m, TD_SERVER);
    like(finish(&m), "response_body_size: 1024000", "but counted");
    mock_clear(&m);
}

/* Huge lengths neither overflow nor confuse. */
static void test_huge_length(void)
{
    struct mock m;
    const char *text;
    open_mock(&m, MOCK_NO_BODIES | MOCK_NO_SIZES);
    (void)mock_open(&m, 0);
    feed(&m, TD_CLIENT, "POST / HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\nabc");
    mock_gap(&m, TD_CLIENT, UINT64_C(1) << 40);
    feed(&m, TD_CLIENT, "GET /in-the-body HTTP/1.1\r\n\r\n");
    text = finish(&m);
    is_int(count(text, "call\n"), 1, "one call");
    like(text, "flags: request-cut", "that is cut");
    mock_clear(&m);
}

int main(void)
{
    test_long_head();
    test_long_start_line();
    test_many_fields();
    test_many_waiting();
    test_body_limit();
    test_skip();
    test_stream();
    test_huge_length();
    return tap_done();
}
