/* What calls of HTTP/2 carry, through the real engine: WebSockets (RFC 8441), and GraphQL in their messages. */
#include "http2_talk.h"
#include "tap.h"

extern const struct td_plugin td_plugin_v1_http2, td_plugin_v1_graphql, td_plugin_v1_websocket;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_graphql, &td_plugin_v1_http2, &td_plugin_v1_websocket, NULL};
static struct rig rig;

enum { C = TD_CLIENT, S = TD_SERVER };

/* A text message, not masked in fact. */
static void message(int dir, uint32_t stream, const char *text)
{
    struct buf out = {0};
    buf_putc(&out, (char)0x81);
    buf_putc(&out, (char)(strlen(text) | (dir == C ? 0x80 : 0)));
    if (dir == C)
        buf_put_slice(&out, td_bytes("\0\0\0\0", 4));
    buf_puts(&out, text);
    h2_frame(dir, H2_DATA, 0, stream, buf_slice(&out));
    buf_clear(&out);
}

static void connect_to(uint32_t stream)
{
    H2_HEADERS_OF(C, 0, stream, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/g", ":authority", "h",
                  "sec-websocket-protocol", "graphql-transport-ws");
}

static int count(const char *out, const char *part)
{
    int n = 0;
    while ((out = strstr(out, part))) {
        out++;
        n++;
    }
    return n;
}

static void tunnels(void)
{
    h2_start();
    connect_to(1);
    H2_HEADERS_OF(S, 0, 1, ":status", "200", "sec-websocket-protocol", "graphql-transport-ws");
    message(C, 1, "{\"id\":\"7\",\"type\":\"subscribe\",\"payload\":{\"query\":\"subscription S{s}\"}}");
    message(S, 1, "{\"id\":\"7\",\"type\":\"next\",\"payload\":{\"data\":{\"s\":1}}}");
    const char *out = h2_run(&rig);
    like(out, "\"protocol\":\"GRAPHQL\"", "a message in a WebSocket in HTTP/2 is GraphQL's");
    like(out, "\"graphql_operation_type\":\"subscription\",\"graphql_summary\":\"S\"", "a subscription");
    like(out, "\"graphql_summary\":\"next\",\"graphql_has_data\":true", "and what it gives");
    like(out, "\"protocol\":\"HTTP2\"", "what carries them is HTTP/2's");
    is_int(count(out, "\n"), 3, "in three calls");
    is_int(rig.stats.dissect.misuse, 0, "as it may be");

    h2_start();
    connect_to(1);
    H2_HEADERS_OF(S, 0, 1, ":status", "403", "content-type", "text/plain");
    message(S, 1, "no message");
    out = h2_run(&rig);
    is_int(count(out, "\n"), 1, "where it was refused, content is content");
    is_int(count(out, "ws_opcode"), 0, "and no message");

    h2_start();
    connect_to(1);
    H2_HEADERS_OF(S, 0, 1, ":status", "103");
    H2_HEADERS_OF(S, 0, 1, ":status", "204");
    message(S, 1, "a message");
    is_int(count(h2_run(&rig), "\"ws_opcode\":\"text\""), 1, "it was not by an interim response, nor by any 2xx");
}

int main(void)
{
    rig_open(&rig, plugins);
    tunnels();
    rig_close(&rig);
    return tap_done();
}
