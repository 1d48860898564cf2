/* The WebSocket dissector (RFC 6455, RFC 7692), for what HTTP/1 hands over after its handshake and for what HTTP/2 carries
 * (RFC 8441), and for connections that were open already when the capture began.
 *
 * One call is one message, or one control frame: its request if the client sent it, else its response. The handshake is a call
 * of HTTP's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "websocket_conn.h"

#include <stdlib.h>

/* ---- What it offers ---------------------------------------------------------------------------------------------- */

static const struct td_name opcode_names[] = {
    {WS_CONTINUATION, "continuation"}, {WS_TEXT, "text"}, {WS_BINARY, "binary"}, {WS_CLOSE, "close"}, {WS_PING, "ping"}, {WS_PONG, "pong"}};
/* IANA's registry of WebSocket close codes. */
static const struct td_name close_names[] = {
    {1000, "Normal Closure"},
    {1001, "Going Away"},
    {1002, "Protocol error"},
    {1003, "Unsupported Data"},
    {1007, "Invalid frame payload data"},
    {1008, "Policy Violation"},
    {1009, "Message Too Big"},
    {1010, "Mandatory Ext."},
    {1011, "Internal Error"},
    {1012, "Service Restart"},
    {1013, "Try Again Later"},
    {1014, "Bad Gateway"},
};

/* clang-format off */
#define FIELD(name, type, flags, doc) { name, type, flags, doc, { NULL, 0, 0 } }
#define ENUM_FIELD(name, flags, doc, names) { name, TD_ENUM, flags, doc, TD_TABLE(names) }
/* clang-format on */

static const struct td_field fields[] = {
    [F_URL] = FIELD("url", TD_STRING, TD_F_REQUEST, "Of a WebSocket: ws://, the host and the target of its handshake."),
    [F_PATH] =
        FIELD("path", TD_STRING, TD_F_REQUEST | TD_F_TARGET, "Path of the request target, without the query (RFC 3986 section 3.3)."),
    [F_QUERY_STRING] = FIELD("query_string", TD_STRING, TD_F_REQUEST, "Query of the request target, without the question mark."),
    [F_HOST] = FIELD("http_host", TD_STRING, TD_F_REQUEST, "Host of the handshake, port included."),
    [F_SUBPROTOCOL] = FIELD("ws_subprotocol", TD_STRING, 0, "Subprotocol that the server chose: its Sec-WebSocket-Protocol."),
    [F_EXTENSIONS] =
        FIELD("ws_extensions", TD_STRING, 0, "Extensions that the server accepted, with parameters: its Sec-WebSocket-Extensions."),
    [F_OPCODE] = ENUM_FIELD("ws_opcode", TD_F_METHOD,
                            "Kind of the message (RFC 6455 section 5.2); continuation: its beginning was not captured.", opcode_names),
    [F_REQUEST] = FIELD("ws_request", TD_BOOL, TD_F_REQUEST, "Did the client send it?"),
    [F_RESPONSE] = FIELD("ws_response", TD_BOOL, TD_F_RESPONSE, "Did the server send it?"),
    [F_REQUEST_DATA] = FIELD("ws_request_payload_data", TD_STRING, TD_F_REQUEST | TD_F_SENSITIVE,
                             "Text of the client's message, decompressed, up to 1024 bytes; also of others that are text."),
    [F_RESPONSE_DATA] =
        FIELD("ws_response_payload_data", TD_STRING, TD_F_RESPONSE | TD_F_SENSITIVE, "Text of the server's message, likewise."),
    [F_REQUEST_LENGTH] = FIELD("ws_request_payload_length", TD_U64, TD_F_REQUEST, "Bytes of the client's message, decompressed."),
    [F_RESPONSE_LENGTH] = FIELD("ws_response_payload_length", TD_U64, TD_F_RESPONSE, "Bytes of the server's message, decompressed."),
    [F_FRAMES] = FIELD("ws_frames", TD_U64, 0, "Frames that the message took."),
    [F_COMPRESSED_LENGTH] = FIELD("ws_compressed_length", TD_U64, 0,
                                  "Bytes of the message as sent; only set if it was compressed (permessage-deflate, RFC 7692)."),
    [F_CLOSE_CODE] = FIELD("ws_close_code", TD_U64, TD_F_STATUS, "Status code of a close frame (RFC 6455 section 7.4)."),
    [F_CLOSE_NAME] = ENUM_FIELD("ws_close_name", 0, "Status code of a close frame by its name in IANA's registry.", close_names),
    [F_CLOSE_REASON] = FIELD("ws_close_reason", TD_STRING, 0, "Reason in a close frame (RFC 6455 section 7.1.6)."),
    [F_INVALID_UTF8] =
        FIELD("ws_invalid_utf8", TD_BOOL, 0, "The text or the reason is not UTF-8, as it must be; only set if so (RFC 6455 section 8.1)."),
    [F_REQUEST_BODY] = FIELD("request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY | TD_F_SENSITIVE,
                             "The client's message, frames joined, decompressed, up to maxMessageSize bytes."),
    [F_RESPONSE_BODY] = FIELD("response.body", TD_BYTES, TD_F_RESPONSE | TD_F_BODY | TD_F_SENSITIVE, "The server's message, likewise."),
    [F_REQUEST_HEADERS] = FIELD("request.headers", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE,
                                "Header fields of the request, in order, names as on the wire; in HTTP/2 with those of its own (:method)."),
    [F_RESPONSE_HEADERS] =
        FIELD("response.headers", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE,
              "Header fields of the response, in order, names as on the wire; in HTTP/2 with those of its own (:status)."),
};

/* The field's bit must fit into ws_out.wanted. */
_Static_assert(sizeof(fields) / sizeof(fields[0]) == F_COUNT && F_COUNT <= 32, "one row for each field");

static const struct td_option options[] = {
    TD_SIZE_OPT(struct ws_config, max_message, "maxMessageSize", "1Mi", 0, 64 << 20,
                "Bytes of each message that are kept, decompressed; lengths are told in full. 0 keeps none."),
};

/* Ports are for connections whose handshake was not captured. */
static const struct td_claim claims[] = {
    {TD_ON_POINT, 0, 0, "http.upgrade", "websocket"},
    {TD_ON_TCP, 0, 0, NULL, NULL},
    {TD_ON_TCP, 80, 81, NULL, NULL},
    {TD_ON_TCP, 3000, 3000, NULL, NULL},
    {TD_ON_TCP, 4000, 4000, NULL, NULL},
    {TD_ON_TCP, 5000, 5001, NULL, NULL},
    {TD_ON_TCP, 8000, 8010, NULL, NULL},
    {TD_ON_TCP, 8080, 8090, NULL, NULL},
    {TD_ON_TCP, 8765, 8765, NULL, NULL},
    {TD_ON_TCP, 8888, 8888, NULL, NULL},
    {TD_ON_TCP, 9000, 9001, NULL, NULL},
};

static const struct td_point points[] = {
    {"websocket.message",
     "The text of a message. The key is the subprotocol that the server chose: graphql-transport-ws. Messages without one are not offered.",
     TD_POINT_CALL},
};

/* ---- The component ----------------------------------------------------------------------------------------------- */

static int ws_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct websocket *ws = (struct websocket *)malloc(sizeof(*ws));
    if (!ws)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    ws->host = host;
    ws->inst = inst;
    ws->config = (const struct ws_config *)config;
    *ret_self = ws;
    return TD_OK;
}

static void ws_destroy(void *self)
{
    free(self);
}

static const char *const also[] = {"WS", NULL};

static const struct td_dissector dissector = {
    .size = sizeof(dissector),
    .max_probe = WS_MAX_PROBE,
    .fields = TD_TABLE(fields),
    .claims = TD_TABLE(claims),
    .points = TD_TABLE(points),
    .probe = ws_probe,
    .open = ws_open,
    .data = ws_data,
    .gap = ws_gap,
    .close = ws_close,
    .also = also,
};

static const struct td_component component = {
    .size = sizeof(component),
    .kind = TD_KIND_DISSECTOR,
    .name = "websocket",
    .summary = "WebSocket",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct ws_config),
    .create = ws_create,
    .destroy = ws_destroy,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(websocket) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "websocket",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
