/* The HTTP/2 dissector as the core drives it: what streams tell of their ends, windows, padding, pushes, upgrades, and of connections whose
 * beginning or middle is not there. Header blocks are of literals and of references to the static table (RFC 7541 appendix A), so that they
 * can be read here. */
#include "mock_host.h"
#include "tap.h"

#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_http2;

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define GET_ROOT "\x82\x84\x86\x41\x01h" /* :method GET, :path /, :scheme http, :authority h, which is inserted */
#define POST_ROOT "\x83\x84\x86\x41\x01h"
#define OK_200 "\x88"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8, WHOLE = 5 };

static struct mock m;

static void start(uint32_t flow_flags)
{
    ok(mock_init(&m, &td_plugin_v1_http2, 0) && mock_open(&m, flow_flags), "opened");
}

static const char *finish(void)
{
    mock_close(&m, TD_CLOSE_FIN);
    is_str(m.fault ? m.fault : "", "", "the contract is kept");
    return buf_cstr(&m.out);
}

static void put_frame(struct buf *out, uint8_t type, uint8_t flags, uint32_t stream, struct td_slice payload)
{
    uint8_t header[9] = {(uint8_t)(payload.n >> 16), (uint8_t)(payload.n >> 8), (uint8_t)payload.n,     type,           flags,
                         (uint8_t)(stream >> 24),    (uint8_t)(stream >> 16),   (uint8_t)(stream >> 8), (uint8_t)stream};
    buf_put_slice(out, td_bytes(header, sizeof(header)));
    buf_put_slice(out, payload);
}

static void send_frame(int dir, uint8_t type, uint8_t flags, uint32_t stream, struct td_slice payload)
{
    struct buf out = {0};
    put_frame(&out, type, flags, stream, payload);
    mock_feed(&m, dir, buf_slice(&out));
    buf_clear(&out);
}

#define CLIENT(type, flags, stream, payload) send_frame(TD_CLIENT, type, flags, stream, TD_LIT(payload))
#define SERVER(type, flags, stream, payload) send_frame(TD_SERVER, type, flags, stream, TD_LIT(payload))

static void start_talk(void)
{
    start(0);
    mock_feed(&m, TD_CLIENT, TD_LIT(PREFACE));
    CLIENT(SETTINGS, 0, 0, "\0\4\0\0\1\0");
    SERVER(SETTINGS, 0, 0, "\0\3\0\0\0d\0\x99\0\0\0\1");
}

/* Every line of `parts`, which end with a semicolon, stands in the transcript. */
static void has(const char *out, const char *parts, const char *what)
{
    char part[200];
    while (*parts) {
        size_t n = strcspn(parts, ";");
        memcpy(part, parts, n);
        part[n] = 0;
        like(out, part, "%s: %s", what, part);
        parts += n + (parts[n] == ';');
    }
}

static void hasnt(const char *out, const char *part, const char *what)
{
    ok(!strstr(out, part), "%s: not %s", what, part);
}

static void exchanges(void)
{
    start_talk();
    CLIENT(HEADERS, END_HEADERS, 1, POST_ROOT);
    CLIENT(DATA, PADDED, 1, "\2abc\0\0");
    CLIENT(DATA, 0, 1, "de");
    CLIENT(HEADERS, WHOLE, 1,
           "\0\5x-sum\1"
           "5");
    SERVER(WINDOW_UPDATE, 0, 1, "\0\0\1\0");
    SERVER(HEADERS, END_HEADERS, 1,
           "\x08\3"
           "103\0\4link\1a");
    SERVER(HEADERS, END_HEADERS, 1, OK_200);
    SERVER(DATA, PADDED | END_STREAM, 1, "\0hello");
    has(finish(),
        "method: POST;http_host: h;url: http://h/;http_informational: 103;status_code: 200;request.body: abcde;response.body: hello;"
        "request.trailers: x-sum=5;http2_padding: 4;http2_request_window: 256;http2_request_data_frames: 2;request_body_size: 5;"
        "http2_client_settings: INITIAL_WINDOW_SIZE=256;http2_server_settings: MAX_CONCURRENT_STREAMS=100;MAX_CONCURRENT_STREAMS=100, "
        "153=1",
        "an exchange");
    is_int(m.committed, 1, "in one call");
    hasnt(buf_cstr(&m.out), "flags:", "it is whole");
    mock_clear(&m);

    start_talk();
    CLIENT(HEADERS, END_STREAM, 1, "\x82\x84");
    CLIENT(CONTINUATION, 0, 1, "\x86");
    CLIENT(CONTINUATION, END_HEADERS, 1, "\x41\1h");
    SERVER(HEADERS, WHOLE, 1, OK_200);
    has(finish(), "url: http://h/;status_code: 200", "a header block in pieces");
    hasnt(buf_cstr(&m.out), "flags:", "which is whole");
    mock_clear(&m);

    start_talk();
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    SERVER(PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82\x85\x86\x41\1h");
    SERVER(HEADERS, WHOLE, 1, OK_200);
    SERVER(HEADERS, WHOLE, 2, OK_200);
    has(finish(), "http2_pushed: 1;http2_promised_on: 1;path: /index.html;http2_stream_id: 2", "a push");
    is_int(m.committed, 2, "is a call of its own");
    mock_clear(&m);
}

static void ends(void)
{
    start_talk();
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    SERVER(RST_STREAM, 0, 1, "\0\0\0\7");
    SERVER(DATA, 0, 1, "late");
    has(finish(), "http2_error: 7;http2_reset_by: 1;flags: response-cut", "the server resets");
    is_int(m.committed, 1, "and what comes after that is nobody's");
    mock_clear(&m);

    start_talk();
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    CLIENT(RST_STREAM, 0, 1, "\0\0\0\x08");
    SERVER(HEADERS, END_HEADERS, 1, OK_200);
    SERVER(DATA, END_STREAM, 1, "late");
    has(finish(), "http2_error: 8;http2_reset_by: 0;status_code: 200;response.body: late",
        "the client resets: what was on its way is the call's");
    is_int(m.committed, 1, "in one call");
    mock_clear(&m);

    start_talk();
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    CLIENT(HEADERS, WHOLE, 3, GET_ROOT);
    CLIENT(RST_STREAM, 0, 1, "\0\0\0\x08");
    for (int i = 0; i < 100; i++)
        CLIENT(RST_STREAM, 0, 3, "\0\0\0\x08");
    is_int(m.committed, 0, "a client that resets a stream again and again does not end what others wait for");
    SERVER(HEADERS, WHOLE, 1, OK_200);
    SERVER(HEADERS, WHOLE, 3, OK_200);
    is_int(m.committed, 2, "nor its own");
    (void)finish();
    mock_clear(&m);

    start_talk();
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    CLIENT(HEADERS, WHOLE, 3, "\x82\x84\x86\xbe");
    SERVER(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0");
    is_int(m.committed, 1, "what the server has not looked at when it goes is over");
    has(buf_cstr(&m.out), "http2_stream_id: 3;http_host: h;http2_goaway: 0;flags: response-cut", "GOAWAY");
    SERVER(HEADERS, WHOLE, 1, OK_200);
    is_int(m.committed, 2, "what it has is answered");
    hasnt(strstr(finish(), "http2_stream_id: 1\n"), "http2_goaway", "which is no error");
    mock_clear(&m);
}

static void middles(void)
{
    /* Entries 62 and 63 of the tables were inserted before. The request inserts one, so that 63 is then what was 62. */
    start(TD_FLOW_MIDSTREAM);
    CLIENT(HEADERS, WHOLE, 9, "\x82\x84\x86\xbe\x40\1n\1v\xbe");
    SERVER(HEADERS, END_HEADERS, 9, "\x88\x0f\x2f\1x\xc0");
    SERVER(DATA, END_STREAM, 9, "end");
    has(finish(),
        "method: GET;<unknown>=<unknown>, n=v, n=v;status_code: 200;response.headers: :status=200, <unknown>=x;"
        "response.body: end;flags: partial",
        "from the middle on");
    is_int(m.committed, 1, "in one call");
    hasnt(buf_cstr(&m.out), "http_host", "what is unknown is not guessed");
    hasnt(buf_cstr(&m.out), "url", "nor what is made of it");
    mock_clear(&m);

    start_talk();
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    SERVER(HEADERS, END_HEADERS, 1, OK_200 "\x40\1a\1b");
    SERVER(DATA, 0, 1, "one");
    mock_gap(&m, TD_SERVER, 40);
    SERVER(DATA, END_STREAM, 1, "two");
    CLIENT(HEADERS, WHOLE, 3, "\x82\x84\x86\xbe");
    SERVER(HEADERS, WHOLE, 3, OK_200 "\xbe\x40\1c\1d\xbe");
    has(finish(), "response.body: one\n;http2_stream_id: 3;response.headers: :status=200, <unknown>=<unknown>, c=d, c=d;flags: partial",
        "behind a gap");
    is_int(m.committed, 2, "both calls are there");
    mock_clear(&m);

    /* Bytes in each of which a frame could begin: they are not looked at anew with each one that comes. */
    start(TD_FLOW_MIDSTREAM);
    for (int i = 0; i < 4000; i++)
        mock_feed(&m, TD_SERVER, TD_LIT("\x01\x01\x01\x01\x01\x01\x01"));
    (void)finish();
    mock_clear(&m);
}

static void upgrades(void)
{
    start(0);
    mock_feed(&m, TD_CLIENT,
              TD_LIT("GET /a?b HTTP/1.1\r\nHost: h:8080\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     "HTTP2-Settings: AAMAAABk\r\nuser-agent:  curl \r\n\r\n" PREFACE));
    CLIENT(SETTINGS, 0, 0, "");
    SERVER(SETTINGS, 0, 0, "");
    SERVER(HEADERS, END_HEADERS, 1, OK_200);
    SERVER(DATA, END_STREAM, 1, "first");
    CLIENT(HEADERS, WHOLE, 3, GET_ROOT);
    SERVER(HEADERS, WHOLE, 3, OK_200);
    has(finish(),
        "http2_upgraded: 1;method: GET;url: http://h:8080/a?b;http_user_agent: curl;http_version: 1.1;http_response_version: 2;"
        "response.body: first;request: 0-132",
        "an upgrade");
    hasnt(buf_cstr(&m.out), "flags:", "whose call is whole");
    is_int(m.committed, 2, "as is the next one");
    mock_clear(&m);
}

/* What stands before the connection in its bytes is an upgrade only if HTTP/1 says so. */
static void behind_others(void)
{
    static const char *const answered[] = {":status", "101", NULL}, *const asked[] = {":path", "/", NULL};
    static const char *const *const told[] = {NULL, answered, asked};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        start(0);
        m.told = told[i];
        m.side[TD_CLIENT].offset = m.side[TD_SERVER].offset = 100;
        mock_feed(&m, TD_CLIENT, TD_LIT(PREFACE));
        CLIENT(SETTINGS, 0, 0, "");
        SERVER(SETTINGS, 0, 0, "");
        if (!told[i])
            CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
        SERVER(HEADERS, WHOLE, 1, OK_200);
        has(finish(), told[i] ? "http2_upgraded: 1;status_code: 200" : "method: GET;status_code: 200", "behind other bytes");
        is_int(m.committed, 1, "in one call");
        if (!told[i])
            hasnt(buf_cstr(&m.out), "http2_upgraded", "a tunnel is no upgrade");
        if (!told[i])
            hasnt(buf_cstr(&m.out), "flags:", "and its first request is whole");
        mock_clear(&m);
    }
}

static void oddities(void)
{
    enum { LARGE = (1 << 20) + 1000 };
    uint8_t *large = calloc(1, LARGE);
    start_talk();
    CLIENT(SETTINGS, 0, 0, "\0\3\0\0\0\7");
    CLIENT(SETTINGS, ACK, 0, "");
    CLIENT(HEADERS, END_HEADERS, 1, POST_ROOT);
    send_frame(TD_CLIENT, DATA, END_STREAM, 1, td_bytes(large, LARGE));
    SERVER(HEADERS, WHOLE, 1, OK_200);
    CLIENT(HEADERS, WHOLE, 3, GET_ROOT);
    SERVER(HEADERS, WHOLE, 3, OK_200);
    has(finish(), "request_body_size: 1049576;http2_stream_id: 3;status_code: 200", "frames of content may be larger than 1 MiB");
    has(buf_cstr(&m.out), "http2_client_settings: INITIAL_WINDOW_SIZE=256, MAX_CONCURRENT_STREAMS=7", "settings of several frames");
    is_int(m.committed, 2, "in two calls");
    hasnt(buf_cstr(&m.out), "partial", "which are whole");
    mock_clear(&m);
    free(large);

    start_talk();
    CLIENT(HEADERS, END_HEADERS, 1, POST_ROOT);
    CLIENT(DATA, 0, 1, "one");
    CLIENT(HEADERS, WHOLE, 1, GET_ROOT);
    SERVER(HEADERS, END_HEADERS, 1, OK_200);
    SERVER(HEADERS, WHOLE, 1, "\x8d"); /* 404 */
    has(finish(), "method: POST;request.body: one;status_code: 200;flags: partial", "a stream has one request and one response");
    hasnt(buf_cstr(&m.out), "method: GET", "not another");
    hasnt(buf_cstr(&m.out), "status_code: 404", "not another");
    is_int(m.committed, 1, "in one call");
    mock_clear(&m);
}

/* ---- Work for many streams ---- */

static unsigned gaps, numbers;

static struct td_conn *open_child(struct td_conn *conn, struct td_call *call, const char *point, struct td_slice key)
{
    (void)call;
    (void)point;
    return key.n ? conn : NULL;
}

static int child_data(struct td_conn *child, int dir, struct td_slice bytes, uint64_t begin, uint64_t end)
{
    (void)child;
    (void)dir;
    (void)bytes;
    (void)begin;
    (void)end;
    return TD_OK;
}

static int child_gap(struct td_conn *child, int dir, uint64_t len)
{
    (void)child;
    (void)dir;
    (void)len;
    gaps++;
    return TD_OK;
}

static void child_eof(struct td_conn *child, int dir)
{
    (void)child;
    (void)dir;
}

static void child_close(struct td_conn *child, int why)
{
    (void)child;
    (void)why;
}

static void count_number(struct td_call *call, uint32_t field, uint64_t value)
{
    (void)call;
    (void)field;
    (void)value;
    numbers++;
}

static void many_streams(void)
{
    enum { MANY = 50, TIMES = 200 };
    start_talk();
    m.host.sub_open = open_child;
    m.host.sub_data = child_data;
    m.host.sub_gap = child_gap;
    m.host.sub_eof = child_eof;
    m.host.sub_close = child_close;
    for (uint32_t i = 0; i < MANY; i++)
        CLIENT(HEADERS, END_HEADERS, 2 * i + 1,
               "\x83\x84\x86\x0f\x10\x10"
               "application/grpc");
    gaps = 0;
    for (int i = 0; i < TIMES; i++)
        mock_gap(&m, TD_CLIENT, 5);
    is_int(gaps, 0, "what was lost costs nothing for each stream that is open");
    CLIENT(DATA, 0, 1, "abc");
    CLIENT(DATA, 0, 1, "def");
    is_int(gaps, 1, "one that goes on is told of it first");
    (void)finish();
    is_int(gaps, MANY, "and each at its end, once");
    is_int(m.committed, MANY, "when they are told");
    mock_clear(&m);

    start_talk();
    for (uint32_t i = 0; i < MANY; i++)
        CLIENT(HEADERS, WHOLE, 2 * i + 1, GET_ROOT);
    m.host.set_u64 = count_number;
    numbers = 0;
    for (int i = 0; i < TIMES; i++) {
        const uint8_t payload[8] = {0, 0, 1, 0, 0, 0, 0, (uint8_t)(i + 1)};
        send_frame(TD_SERVER, GOAWAY, 0, 0, td_bytes(payload, sizeof(payload)));
    }
    ok(numbers >= MANY && numbers < MANY * 10, "GOAWAY is not looked at as often as one likes: %u", numbers);
    (void)finish();
    mock_clear(&m);

    start_talk();
    for (uint32_t i = 0; i < 300; i++)
        SERVER(HEADERS, END_HEADERS, 1001 + 2 * i, OK_200);
    CLIENT(SETTINGS, 0, 0, "");
    SERVER(DATA, END_STREAM, 1001 + 2 * 299, "");
    is_int(m.committed, 0, "a response may wait for its request");
    SERVER(DATA, END_STREAM, 1001, "");
    is_int(m.committed, 1, "but not that many of them");
    (void)finish();
    mock_clear(&m);
}

int main(void)
{
    exchanges();
    ends();
    middles();
    upgrades();
    behind_others();
    oddities();
    many_streams();
    return tap_done();
}
