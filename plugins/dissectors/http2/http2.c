/* The HTTP/2 dissector (RFC 9113): prior knowledge, after an upgrade from HTTP/1.1, and from the middle of a connection.
 *
 * Each stream is one call; a pushed one as well. Header fields that refer to what was lost have "<unknown>" as name, value or both, and
 * their call is partial. What the content of a call is, others may say: those that claim ("http.content", its media type) see it, without
 * frames and padding.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "http2_state.h"

#include <stdlib.h>

/* ---- What it offers ---------------------------------------------------------------------------------------------- */

static const struct td_name error_names[] = {
    {0x0, "NO_ERROR"},
    {0x1, "PROTOCOL_ERROR"},
    {0x2, "INTERNAL_ERROR"},
    {0x3, "FLOW_CONTROL_ERROR"},
    {0x4, "SETTINGS_TIMEOUT"},
    {0x5, "STREAM_CLOSED"},
    {0x6, "FRAME_SIZE_ERROR"},
    {0x7, "REFUSED_STREAM"},
    {0x8, "CANCEL"},
    {0x9, "COMPRESSION_ERROR"},
    {0xa, "CONNECT_ERROR"},
    {0xb, "ENHANCE_YOUR_CALM"},
    {0xc, "INADEQUATE_SECURITY"},
    {0xd, "HTTP_1_1_REQUIRED"},
};
static const struct td_name side_names[] = {{TD_CLIENT, "client"}, {TD_SERVER, "server"}};

/* clang-format off */
#define FIELD(name, type, flags, doc) { name, type, flags, doc, { NULL, 0, 0 } }
#define ENUM_FIELD(name, flags, doc, names) { name, TD_ENUM, flags, doc, TD_TABLE(names) }
/* clang-format on */

static const struct td_field fields[] = {
    [F_METHOD] = FIELD("method", TD_STRING, TD_F_REQUEST | TD_F_METHOD, "Request method, as on the wire (RFC 9110 section 9)."),
    [F_URL] =
        FIELD("url", TD_STRING, TD_F_REQUEST, "Absolute URL: :scheme, :authority (or the host field) and :path; what there is of them."),
    [F_PATH] = FIELD("path", TD_STRING, TD_F_REQUEST, "Path of the request target, without the query (RFC 3986 section 3.3)."),
    [F_QUERY_STRING] = FIELD("query_string", TD_STRING, TD_F_REQUEST, "Query of the request target, without the question mark."),
    [F_REQUEST_TARGET] =
        FIELD("http_request_target", TD_STRING, TD_F_REQUEST | TD_F_TARGET, ":path as on the wire; of CONNECT :authority."),
    [F_HOST] = FIELD("http_host", TD_STRING, TD_F_REQUEST, ":authority, port included; without one, the host field."),
    [F_HTTP_VERSION] =
        FIELD("http_version", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE, "Version of the request, or of a lone response: \"1.1\", \"2\"."),
    [F_RESPONSE_VERSION] = FIELD("http_response_version", TD_STRING, TD_F_RESPONSE, "Version of the final response: \"1.1\", \"2\"."),
    [F_STATUS_CODE] = FIELD("status_code", TD_U64, TD_F_RESPONSE | TD_F_STATUS, "Status code of the final response (RFC 9110 section 15)."),
    [F_INFORMATIONAL] =
        FIELD("http_informational", TD_U64, TD_F_RESPONSE | TD_F_LIST, "Status codes (1xx) of the interim responses before the final one."),
    [F_USER_AGENT] = FIELD("http_user_agent", TD_STRING, TD_F_REQUEST, "User-Agent field."),
    [F_REQUEST_CONTENT_TYPE] =
        FIELD("request_content_type", TD_STRING, TD_F_REQUEST, "Content-Type field of the request, with parameters."),
    [F_RESPONSE_CONTENT_TYPE] =
        FIELD("response_content_type", TD_STRING, TD_F_RESPONSE, "Content-Type field of the response, with parameters."),
    [F_REQUEST_HEADERS] = FIELD("request.headers", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE,
                                "Header fields of the request, in order, names as on the wire; in HTTP/2 with those of its own (:method)."),
    [F_RESPONSE_HEADERS] =
        FIELD("response.headers", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE,
              "Header fields of the response, in order, names as on the wire; in HTTP/2 with those of its own (:status)."),
    [F_REQUEST_TRAILERS] =
        FIELD("request.trailers", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE, "Trailer fields of the request (RFC 9110 section 6.5)."),
    [F_RESPONSE_TRAILERS] = FIELD("response.trailers", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE, "Trailer fields of the response."),
    [F_REQUEST_COOKIES] = FIELD("request.cookies", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE, "Cookies that the client sent (RFC 6265)."),
    [F_RESPONSE_COOKIES] =
        FIELD("response.cookies", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE, "Cookies that the server set, without their attributes."),
    [F_REQUEST_QUERY] = FIELD("request.query", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE,
                              "Parameters of the query string, decoded (URL Standard section 5.1)."),
    [F_REQUEST_FORM] =
        FIELD("request.form", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE,
              "Fields of a form that the client sent, urlencoded or multipart, decoded, each up to 4096 bytes; of a file its name."),
    [F_PART_NAMES] = FIELD("http_part_names", TD_STRING, TD_F_REQUEST | TD_F_LIST, "Names of a multipart form's parts (RFC 7578)."),
    [F_PART_FILE_NAMES] = FIELD("http_part_file_names", TD_STRING, TD_F_REQUEST | TD_F_LIST,
                                "File names of these parts, in the same order; empty for a part that is no file."),
    [F_PART_SIZES] = FIELD("http_part_sizes", TD_U64, TD_F_REQUEST | TD_F_LIST, "Bytes of these parts' content, in the same order."),
    [F_REQUEST_HEADERS_SIZE] =
        FIELD("request_headers_size", TD_U64, TD_F_REQUEST, "Bytes of the request's header block as sent, compressed (RFC 7541)."),
    [F_RESPONSE_HEADERS_SIZE] =
        FIELD("response_headers_size", TD_U64, TD_F_RESPONSE, "Bytes of the final response's header block as sent, compressed."),
    [F_REQUEST_BODY_SIZE] =
        FIELD("request_body_size", TD_U64, TD_F_REQUEST, "Bytes of the request's content as transferred: without framing, not decoded."),
    [F_RESPONSE_BODY_SIZE] =
        FIELD("response_body_size", TD_U64, TD_F_RESPONSE, "Bytes of the response's content as transferred: without framing, not decoded."),
    [F_REQUEST_BODY] = FIELD("request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY | TD_F_SENSITIVE,
                             "Content of the request, decoded, up to maxBodySize bytes."),
    [F_RESPONSE_BODY] = FIELD("response.body", TD_BYTES, TD_F_RESPONSE | TD_F_BODY | TD_F_SENSITIVE,
                              "Content of the response, decoded, up to maxBodySize bytes."),
    [F_STREAM_ID] = FIELD("http2_stream_id", TD_U64, TD_F_REQUEST, "Stream identifier (RFC 9113 section 5.1.1)."),
    [F_SCHEME] = FIELD("http2_scheme", TD_STRING, TD_F_REQUEST, ":scheme of the request."),
    [F_PROTOCOL] = FIELD("http2_protocol", TD_STRING, TD_F_REQUEST, ":protocol of an extended CONNECT (RFC 8441): websocket."),
    [F_ERROR] = ENUM_FIELD("http2_error", TD_F_RESPONSE, "Error code of the RST_STREAM frame that ended the stream (RFC 9113 section 7).",
                           error_names),
    [F_RESET_BY] = ENUM_FIELD("http2_reset_by", TD_F_RESPONSE, "Who sent that frame.", side_names),
    [F_PUSHED] = FIELD("http2_pushed", TD_BOOL, TD_F_REQUEST, "Did the server push it (RFC 9113 section 8.4)?"),
    [F_PROMISED_ON] = FIELD("http2_promised_on", TD_U64, TD_F_REQUEST, "Stream on which the server promised it."),
    [F_UPGRADED] =
        FIELD("http2_upgraded", TD_BOOL, TD_F_REQUEST,
              "Is it what was asked in HTTP/1.1, by the request to go on in h2c? The answer to that one, 101, is a call of its own."),
    [F_WEIGHT] = FIELD("http2_weight", TD_U64, TD_F_REQUEST, "Weight of the stream, 1 to 256 (RFC 7540 section 5.3.2)."),
    [F_DEPENDENCY] = FIELD("http2_dependency", TD_U64, TD_F_REQUEST, "Stream that it depends on (RFC 7540 section 5.3.1)."),
    [F_EXCLUSIVE] = FIELD("http2_exclusive", TD_BOOL, TD_F_REQUEST, "Is that dependency exclusive?"),
    [F_PRIORITY] = FIELD("http2_priority", TD_STRING, TD_F_REQUEST, "priority field of the request (RFC 9218): u=1, i."),
    [F_REQUEST_DATA_FRAMES] = FIELD("http2_request_data_frames", TD_U64, TD_F_REQUEST, "DATA frames of the request."),
    [F_RESPONSE_DATA_FRAMES] = FIELD("http2_response_data_frames", TD_U64, TD_F_RESPONSE, "DATA frames of the response."),
    [F_PADDING] = FIELD("http2_padding", TD_U64, TD_F_REQUEST | TD_F_RESPONSE,
                        "Bytes of padding in DATA frames, length bytes included; only set if there is some."),
    [F_REQUEST_WINDOW] = FIELD("http2_request_window", TD_U64, TD_F_REQUEST,
                               "Flow control: bytes that the server's WINDOW_UPDATE frames of the stream added for the request's content."),
    [F_RESPONSE_WINDOW] =
        FIELD("http2_response_window", TD_U64, TD_F_RESPONSE,
              "Flow control: bytes that the client's WINDOW_UPDATE frames of the stream added for the response's content."),
    [F_CLIENT_SETTINGS] = FIELD("http2_client_settings", TD_MAP, TD_F_REQUEST,
                                "SETTINGS that the client sent before this request and after the one before (RFC 9113 section 6.5)."),
    [F_SERVER_SETTINGS] = FIELD("http2_server_settings", TD_MAP, TD_F_RESPONSE,
                                "SETTINGS that the server sent before this response and after the one before."),
    [F_GOAWAY] =
        ENUM_FIELD("http2_goaway", TD_F_RESPONSE,
                   "Error code of a GOAWAY frame that said that this stream is not looked at, or that the connection fails.", error_names),
};

/* The field's bit must fit into http2_out.wanted. */
_Static_assert(sizeof(fields) / sizeof(fields[0]) == F_COUNT && F_COUNT <= 64, "one row for each field");

static const struct td_option options[] = {
    TD_SIZE_OPT(struct http2_config, max_body, "maxBodySize", "1Mi", 0, 64 << 20,
                "Bytes of each body that are kept, before and after decoding; sizes are told in full. 0 keeps none."),
    TD_SIZE_OPT(struct http2_config, max_head, "maxHeadersSize", "64Ki", 1 << 10, 1 << 20,
                "Bytes that a header block may have, and a header list; of a longer list the rest is dropped, a longer block is not read."),
    TD_BOOL_OPT(struct http2_config, decode_bodies, "decodeBodies", "true",
                "Undo gzip, deflate, br and zstd content codings. If false, bodies are kept as they were sent."),
};

/* Ports that servers of HTTP/2 and gRPC listen on without TLS, out of habit. */
static const struct td_claim claims[] = {
    {TD_ON_TCP, 0, 0, NULL, NULL},         {TD_ON_TCP, 80, 81, NULL, NULL},       {TD_ON_TCP, 2379, 2380, NULL, NULL},
    {TD_ON_TCP, 3000, 3000, NULL, NULL},   {TD_ON_TCP, 4317, 4317, NULL, NULL},   {TD_ON_TCP, 5000, 5001, NULL, NULL},
    {TD_ON_TCP, 7233, 7233, NULL, NULL},   {TD_ON_TCP, 8000, 8010, NULL, NULL},   {TD_ON_TCP, 8080, 8090, NULL, NULL},
    {TD_ON_TCP, 9000, 9000, NULL, NULL},   {TD_ON_TCP, 9090, 9090, NULL, NULL},   {TD_ON_TCP, 15010, 15010, NULL, NULL},
    {TD_ON_TCP, 29500, 29531, NULL, NULL}, {TD_ON_TCP, 50050, 50059, NULL, NULL}, {TD_ON_POINT, 0, 0, "http.upgrade", "h2c"},
};

static const struct td_point points[] = {
    {"http.content",
     "The content of a call's request and response, without framing. The key is the media type of the request, or of a lone response, "
     "without parameters: application/json; of application/grpc* without +json and the like. Such content comes as it was sent, other "
     "content without its codings. Of a request without content the query string, if it has a parameter query or extensions, with the "
     "key application/x-www-form-urlencoded.",
     TD_POINT_CALL},
    {"http.upgrade", "The content of an extended CONNECT (RFC 8441). The key is its :protocol: websocket.", TD_POINT_CALL},
};

static const char *const also[] = {"HTTP", NULL};

/* ---- The component ----------------------------------------------------------------------------------------------- */

static int http2_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct http2 *http2 = (struct http2 *)malloc(sizeof(*http2));
    if (!http2)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    http2->host = host;
    http2->inst = inst;
    http2->config = (const struct http2_config *)config;
    *ret_self = http2;
    return TD_OK;
}

static void http2_destroy(void *self)
{
    free(self);
}

static const struct td_dissector dissector = {
    .size = sizeof(dissector),
    .max_probe = 4096,
    .fields = TD_TABLE(fields),
    .claims = TD_TABLE(claims),
    .points = TD_TABLE(points),
    .probe = http2_probe,
    .open = http2_open,
    .data = http2_data,
    .gap = http2_gap,
    .close = http2_close,
    .also = also,
};

static const struct td_component component = {
    .size = sizeof(component),
    .kind = TD_KIND_DISSECTOR,
    .name = "http2",
    .summary = "HTTP/2",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct http2_config),
    .create = http2_create,
    .destroy = http2_destroy,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(http2) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "http2",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
