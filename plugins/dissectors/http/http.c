/* The HTTP/1 dissector: HTTP/1.0 and 1.1 (RFC 9110, RFC 9112), and what old or odd peers send in their name.
 *
 * One call is one request with its final response. Upgrade and CONNECT end the dissection here; what follows belongs to
 * the dissector that claims ("http.upgrade", protocol) or that recognises the tunnel's content.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "http_conn.h"

#include <stdlib.h>

enum { MAX_PROBE = 4096, STATUS_LINE_PROBE = 13 /* "HTTP/1.1 200 " */ };

/* ---- What it offers ---------------------------------------------------------------------------------------------- */

/* clang-format off */
#define FIELD(name, type, flags, doc) { name, type, flags, doc, { NULL, 0, 0 } }
/* clang-format on */

static const struct td_field fields[] = {
    [F_METHOD] = FIELD("method", TD_STRING, TD_F_REQUEST | TD_F_METHOD, "Request method, as on the wire (RFC 9110 section 9)."),
    [F_URL] = FIELD("url", TD_STRING, TD_F_REQUEST,
                    "Absolute URL: http://, the Host field and the request target; the target alone without Host."),
    [F_PATH] = FIELD("path", TD_STRING, TD_F_REQUEST, "Path of the request target, without the query (RFC 3986 section 3.3)."),
    [F_QUERY_STRING] = FIELD("query_string", TD_STRING, TD_F_REQUEST, "Query of the request target, without the question mark."),
    [F_REQUEST_TARGET] = FIELD("http_request_target", TD_STRING, TD_F_REQUEST | TD_F_TARGET,
                               "Request target exactly as on the wire (RFC 9112 section 3.2)."),
    [F_HOST] = FIELD("http_host", TD_STRING, TD_F_REQUEST, "Host field, port included; without one, the authority of an absolute target."),
    [F_HTTP_VERSION] =
        FIELD("http_version", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE, "Version of the request, or of a lone response: \"1.1\", \"2\"."),
    [F_RESPONSE_VERSION] = FIELD("http_response_version", TD_STRING, TD_F_RESPONSE, "Version of the final response: \"1.1\", \"2\"."),
    [F_STATUS_CODE] = FIELD("status_code", TD_U64, TD_F_RESPONSE | TD_F_STATUS, "Status code of the final response (RFC 9110 section 15)."),
    [F_REASON] = FIELD("http_reason", TD_STRING, TD_F_RESPONSE, "Reason phrase of the final response."),
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
        FIELD("request_headers_size", TD_U64, TD_F_REQUEST, "Bytes of the request's head: request line, fields, empty line."),
    [F_RESPONSE_HEADERS_SIZE] =
        FIELD("response_headers_size", TD_U64, TD_F_RESPONSE, "Bytes of the final response's head: status line, fields, empty line."),
    [F_REQUEST_BODY_SIZE] =
        FIELD("request_body_size", TD_U64, TD_F_REQUEST, "Bytes of the request's content as transferred: without framing, not decoded."),
    [F_RESPONSE_BODY_SIZE] =
        FIELD("response_body_size", TD_U64, TD_F_RESPONSE, "Bytes of the response's content as transferred: without framing, not decoded."),
    [F_REQUEST_BODY] = FIELD("request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY | TD_F_SENSITIVE,
                             "Content of the request, decoded, up to maxBodySize bytes."),
    [F_RESPONSE_BODY] = FIELD("response.body", TD_BYTES, TD_F_RESPONSE | TD_F_BODY | TD_F_SENSITIVE,
                              "Content of the response, decoded, up to maxBodySize bytes."),
};

/* The field's bit must fit into http_out.wanted. */
_Static_assert(sizeof(fields) / sizeof(fields[0]) == F_COUNT && F_COUNT <= 32, "one row for each field");

static const struct td_option options[] = {
    TD_SIZE_OPT(struct http_config, max_body, "maxBodySize", "1Mi", 0, 64 << 20,
                "Bytes of each body that are kept, before and after decoding; sizes are told in full. 0 keeps none."),
    TD_SIZE_OPT(struct http_config, max_head, "maxHeadersSize", "64Ki", 1 << 10, 1 << 20,
                "Bytes that a message's start line and header fields may have; of a longer head the rest is passed over."),
    TD_BOOL_OPT(struct http_config, decode_bodies, "decodeBodies", "true",
                "Undo gzip, deflate, br and zstd content codings. If false, bodies are kept as they were sent."),
};

/* Ports that HTTP servers and proxies listen on out of habit. */
static const struct td_claim claims[] = {
    {TD_ON_TCP, 0, 0, NULL, NULL},         {TD_ON_TCP, 80, 81, NULL, NULL},     {TD_ON_TCP, 591, 591, NULL, NULL},
    {TD_ON_TCP, 2375, 2375, NULL, NULL},   {TD_ON_TCP, 3000, 3000, NULL, NULL}, {TD_ON_TCP, 3128, 3128, NULL, NULL},
    {TD_ON_TCP, 4200, 4200, NULL, NULL},   {TD_ON_TCP, 5000, 5001, NULL, NULL}, {TD_ON_TCP, 5601, 5601, NULL, NULL},
    {TD_ON_TCP, 5985, 5985, NULL, NULL},   {TD_ON_TCP, 8000, 8010, NULL, NULL}, {TD_ON_TCP, 8080, 8090, NULL, NULL},
    {TD_ON_TCP, 8123, 8123, NULL, NULL},   {TD_ON_TCP, 8500, 8500, NULL, NULL}, {TD_ON_TCP, 8888, 8888, NULL, NULL},
    {TD_ON_TCP, 9000, 9000, NULL, NULL},   {TD_ON_TCP, 9090, 9093, NULL, NULL}, {TD_ON_TCP, 9200, 9200, NULL, NULL},
    {TD_ON_TCP, 15672, 15672, NULL, NULL},
};

static const struct td_point points[] = {
    {"http.upgrade",
     "After 101 Switching Protocols. The key is the protocol of the Upgrade field in lower case, without version: websocket, h2c.", 0},
    {"http.content",
     "The content of a call's request and response, without framing. The key is the media type of the request, or of a lone response, "
     "without parameters: application/json; of application/grpc* without +json and the like. Such content comes as it was sent, other "
     "content without its codings. Of a request without content the query string, if it has a parameter query or extensions, with the "
     "key application/x-www-form-urlencoded.",
     TD_POINT_CALL},
};

/* ---- Recognition ------------------------------------------------------------------------------------------------- */

/* The probe's way to ask for more, within its limit. */
static int ask_for(size_t n)
{
    return n <= MAX_PROBE ? -(int)n : 0;
}

static int probe_response(struct td_slice s, size_t skipped)
{
    struct td_slice status_line = TD_LIT("HTTP/1.");
    struct http_head head;
    size_t i;
    if (!td_starts(td_sub(status_line, 0, s.n), td_sub(s, 0, status_line.n)))
        return 0;
    if (s.n < STATUS_LINE_PROBE)
        return memchr(s.p, '\n', s.n) ? 0 : ask_for(skipped + STATUS_LINE_PROBE);
    memset(&head, 0, sizeof(head));
    if (memchr(s.p, '\n', s.n))
        return http_parse_head(s, HTTP_RESPONSE, true, &head) == HTTP_OK ? 100 : 0;
    for (i = 9; i < 12; i++)
        if ((uint8_t)(s.p[i] - '0') >= 10u)
            return 0;
    return 95;
}

/* A request line whose end is not in sight. */
static int probe_partial_request(struct td_slice s, size_t skipped)
{
    const uint8_t *space = (const uint8_t *)memchr(s.p, ' ', s.n);
    struct td_slice method = td_sub(s, 0, space ? (size_t)(space - s.p) : s.n);
    struct td_slice target = td_sub(s, method.n + 1, s.n);
    size_t i;
    if (method.n > HTTP_MAX_METHOD || !http_is_token(method))
        return 0;
    /* Methods that are not registered are in capitals, or nobody would take them for methods. */
    for (i = 0; i < method.n; i++)
        if ((uint8_t)(method.p[i] - 'a') < 26u)
            return 0;
    if (!space)
        return ask_for(skipped + s.n + 1);
    if (http_known_method(method) == 2 && target.n && target.p[0] == '/')
        return 70;
    return ask_for(skipped + s.n + 1);
}

static int probe_request(struct td_slice s, size_t skipped)
{
    struct http_head head;
    memset(&head, 0, sizeof(head));
    if (!memchr(s.p, '\n', s.n))
        return probe_partial_request(s, skipped);
    if (http_parse_head(s, HTTP_REQUEST, true, &head) != HTTP_OK)
        return 0;
    if (head.version.n == 0)
        return 30;
    if (head.version.p[0] != '1')
        return 50;
    return http_known_method(head.method) == 2 ? 100 : 90;
}

static int http_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice s)
{
    size_t skipped = 0;
    (void)self;
    (void)flow;
    while (skipped < s.n && skipped < 8 && (s.p[skipped] == '\r' || s.p[skipped] == '\n'))
        skipped++;
    s = td_sub(s, skipped, s.n);
    if (s.n == 0)
        return ask_for(skipped + 1);
    return dir == TD_CLIENT ? probe_request(s, skipped) : probe_response(s, skipped);
}

/* ---- The component ----------------------------------------------------------------------------------------------- */

static int http_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct http *http = (struct http *)malloc(sizeof(*http));
    if (!http)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    http->host = host;
    http->inst = inst;
    http->config = (const struct http_config *)config;
    *ret_self = http;
    return TD_OK;
}

static void http_destroy(void *self)
{
    free(self);
}

static const struct td_dissector dissector = {
    .size = sizeof(dissector),
    .max_probe = MAX_PROBE,
    .fields = TD_TABLE(fields),
    .claims = TD_TABLE(claims),
    .points = TD_TABLE(points),
    .probe = http_probe,
    .open = http_open,
    .data = http_data,
    .gap = http_gap,
    .eof = http_eof,
    .close = http_close,
};

static const struct td_component component = {
    .size = sizeof(component),
    .kind = TD_KIND_DISSECTOR,
    .name = "http",
    .summary = "HTTP/1.0 and HTTP/1.1",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct http_config),
    .create = http_create,
    .destroy = http_destroy,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(http) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "http",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
