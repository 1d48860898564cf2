/* gRPC and gRPC-Web in calls of HTTP/2, through the real engine: what is told where framing, order or encodings are not as they should be.
 */
#include "http2_talk.h"
#include "tap.h"

#include <stdio.h>

extern const struct td_plugin td_plugin_v1_http2, td_plugin_v1_grpc;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_grpc, &td_plugin_v1_http2, NULL};
static struct rig rig;

enum { C = TD_CLIENT, S = TD_SERVER };

#define GRPC "application/grpc"
#define WEB "application/grpc-web"
#define WEB_TEXT "application/grpc-web-text"
#define ONE "\0\0\0\0\2\x08\1" /* a message: field 1 is 1 */

static void ask(const char *type)
{
    h2_start();
    H2_HEADERS_OF(C, 0, 1, ":method", "POST", ":scheme", "http", ":path", "/p.S/Do", ":authority", "h", "content-type", type);
}

static void answer(const char *type)
{
    H2_HEADERS_OF(S, 0, 1, ":status", "200", "content-type", type);
}

#define DATA(dir, bytes) h2_frame(dir, H2_DATA, 0, 1, TD_LIT(bytes))
#define LAST_DATA(dir, bytes) h2_frame(dir, H2_DATA, H2_END_STREAM, 1, TD_LIT(bytes))

static void trailers(void)
{
    H2_HEADERS_OF(S, H2_END_STREAM, 1, "grpc-status", "0");
}

/* `parts`, each ending with a semicolon, stand in the only call. */
static void told(const char *parts, bool partial, const char *what)
{
    const char *out = h2_run(&rig);
    char part[200];
    like(out, "\"protocol\":\"GRPC\"", "%s: is gRPC's", what);
    for (size_t n; *parts; parts += n + (parts[n] == ';')) {
        n = strcspn(parts, ";");
        snprintf(part, sizeof(part), "%.*s", (int)n, parts);
        like(out, part, "%s: %s", what, part);
    }
    ok((strstr(out, "\"partial\":true") != NULL) == partial, "%s: %s", what, partial ? "is partial" : "is whole");
}

#define COUNTS(requests, responses) "\"grpc_request_message_count\":" #requests ",\"grpc_response_message_count\":" #responses ";"

static void framing(void)
{
    ask(GRPC);
    LAST_DATA(C, ONE ONE);
    answer(GRPC);
    DATA(S, ONE);
    trailers();
    told(COUNTS(2, 1) "\"grpc_service\":\"p.S\",\"grpc_method\":\"Do\"", false, "a call");

    ask(GRPC);
    LAST_DATA(C, ONE "\2\0\0\0\1x" ONE);
    answer(GRPC);
    DATA(S, ONE);
    trailers();
    told(COUNTS(1, 1), true, "a message with a flag that nobody knows");

    /* Cut, whether it would have been decoded or is too large for that. */
    ask(GRPC);
    LAST_DATA(C, ONE "\0\0\0\0\4ab");
    answer(GRPC);
    DATA(S, ONE);
    trailers();
    told(COUNTS(1, 1), true, "a message that is cut");
    ask(GRPC);
    LAST_DATA(C, ONE "\0\0\x7f\0\0ab");
    answer(GRPC);
    DATA(S, ONE);
    trailers();
    told(COUNTS(1, 1), true, "a large message that is cut");
}

/* Values under one name may have been joined. */
static void metadata(void)
{
    h2_start();
    H2_HEADERS_OF(C, H2_END_STREAM, 1, ":method", "POST", ":scheme", "http", ":path", "/p.S/Do", ":authority", "h", "content-type", GRPC,
                  "x-bin", "YQ==,,Yg==,", "y-bin", "", "z-bin", ",,,,");
    answer(GRPC);
    trailers();
    like(h2_run(&rig),
         "\"metadata\":[{\"name\":\"x-bin\",\"value\":\"a\"},{\"name\":\"x-bin\",\"value\":\"b\"},{\"name\":\"y-bin\",\"value\":\"\"},"
         "{\"name\":\"z-bin\",\"value\":\"\"}]",
         "joined values are told one by one, and nothing between commas");
}

static void late_request(void)
{
    h2_start();
    answer(GRPC);
    DATA(S, ONE);
    H2_HEADERS_OF(C, 0, 1, ":method", "POST", ":scheme", "http", ":path", "/p.S/Do", ":authority", "h", "content-type", GRPC,
                  "grpc-timeout", "1S");
    LAST_DATA(C, ONE);
    trailers();
    told(COUNTS(1, 1) "\"grpc_service\":\"p.S\",\"grpc_method\":\"Do\";\"grpc_timeout\":1000000000", false, "a request that comes late");
}

static void web(void)
{
    ask(WEB_TEXT);
    LAST_DATA(C, "AAAAAAIIAQ==");
    answer(WEB);
    LAST_DATA(S, ONE "\x80\0\0\0\x0fgrpc-status: 7\n");
    told(COUNTS(1, 1) "\"grpc_status\":7", false, "text there and bytes back");
    ask(WEB);
    LAST_DATA(C, ONE);
    answer(WEB_TEXT);
    LAST_DATA(S, "AAAAAAIIAQ==gAAAAA9ncnBjLXN0YXR1czogNwo=");
    told(COUNTS(1, 1) "\"grpc_status\":7", false, "and the other way round");

    ask(WEB_TEXT);
    LAST_DATA(C, "AAAAAAIIAQ==");
    answer(WEB_TEXT);
    LAST_DATA(S, "AAAAAAIIAQ==,,,,");
    told("\"grpc_request_message_count\":1", true, "text that is no base64");

    ask(WEB);
    LAST_DATA(C, ONE "\x80\0\0\0\x0fgrpc-status: 7\n");
    answer(WEB);
    LAST_DATA(S, ONE "\x80\0\0\0\x0fgrpc-status: 5\n");
    told(COUNTS(1, 1) "\"grpc_status\":5", true, "trailers are the server's");
    ask(GRPC);
    LAST_DATA(C, ONE);
    answer(GRPC);
    DATA(S, ONE "\x80\0\0\0\x0fgrpc-status: 5\n");
    trailers();
    told(COUNTS(1, 1) "\"grpc_status\":0", true, "and gRPC-Web's");
    ask(WEB);
    LAST_DATA(C, ONE);
    answer(WEB);
    LAST_DATA(S, ONE "\x81\0\0\0\2xy" ONE);
    told(COUNTS(1, 2), true, "compressed ones are passed over");
}

int main(void)
{
    rig_open(&rig, plugins);
    framing();
    metadata();
    late_request();
    web();
    rig_close(&rig);
    return tap_done();
}
