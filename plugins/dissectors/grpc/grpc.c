/* The gRPC dissector: a layer on the calls of HTTP/2, and on those of HTTP/1 with gRPC-Web (the protocol documents of grpc/grpc:
 * PROTOCOL-HTTP2, PROTOCOL-WEB, compression, statuscodes).
 *
 * What the messages say is told with the names of descriptor sets, if there are some, else under field numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "grpc_call.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- What it offers ---------------------------------------------------------------------------------------------- */

static const struct td_name status_names[] = {
    {0, "OK"},         {1, "CANCELLED"},        {2, "UNKNOWN"},           {3, "INVALID_ARGUMENT"},   {4, "DEADLINE_EXCEEDED"},
    {5, "NOT_FOUND"},  {6, "ALREADY_EXISTS"},   {7, "PERMISSION_DENIED"}, {8, "RESOURCE_EXHAUSTED"}, {9, "FAILED_PRECONDITION"},
    {10, "ABORTED"},   {11, "OUT_OF_RANGE"},    {12, "UNIMPLEMENTED"},    {13, "INTERNAL"},          {14, "UNAVAILABLE"},
    {15, "DATA_LOSS"}, {16, "UNAUTHENTICATED"},
};
static const struct td_name type_names[] = {{GRPC_UNARY, "unary"},
                                            {GRPC_CLIENT_STREAMING, "client_streaming"},
                                            {GRPC_SERVER_STREAMING, "server_streaming"},
                                            {GRPC_BIDI_STREAMING, "bidi_streaming"}};

/* clang-format off */
#define FIELD(name, type, flags, doc) { name, type, flags, doc, { NULL, 0, 0 } }
#define ENUM_FIELD(name, flags, doc, names) { name, TD_ENUM, flags, doc, TD_TABLE(names) }
/* clang-format on */

/* The first ones are the HTTP call's, which are read. */
static const struct td_field fields[] = {
    [F_PATH] = FIELD("path", TD_STRING, TD_F_REQUEST, "Path of the request target, without the query (RFC 3986 section 3.3)."),
    [F_REQUEST_HEADERS] = FIELD("request.headers", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE,
                                "Header fields of the request, in order, names as on the wire; in HTTP/2 with those of its own (:method)."),
    [F_RESPONSE_HEADERS] =
        FIELD("response.headers", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE,
              "Header fields of the response, in order, names as on the wire; in HTTP/2 with those of its own (:status)."),
    [F_RESPONSE_TRAILERS] = FIELD("response.trailers", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE, "Trailer fields of the response."),
    [F_SERVICE] =
        FIELD("grpc_service", TD_STRING, TD_F_REQUEST | TD_F_TARGET, "Full name of the service: the last but one segment of the path."),
    [F_METHOD] = FIELD("grpc_method", TD_STRING, TD_F_REQUEST | TD_F_METHOD, "Name of the method: the last segment of the path."),
    [F_CALL_TYPE] = ENUM_FIELD("grpc_call_type", TD_F_REQUEST,
                               "Kind of the call: as the descriptor set says, else by whether several messages were sent.", type_names),
    [F_STATUS] = FIELD("grpc_status", TD_U64, TD_F_RESPONSE | TD_F_STATUS, "Status code in grpc-status; 0 if it was not seen."),
    [F_STATUS_NAME] =
        ENUM_FIELD("grpc_status_name", TD_F_RESPONSE, "Status by name: OK, CANCELLED ...; only set if it was seen.", status_names),
    [F_MESSAGE] = FIELD("grpc_message", TD_STRING, TD_F_RESPONSE, "Message of the status, percent-decoded."),
    [F_STATUS_DETAILS] = FIELD("grpc_status_details", TD_STRING, TD_F_RESPONSE | TD_F_SENSITIVE,
                               "grpc-status-details-bin (a google.rpc.Status) as JSON, as request.messages."),
    [F_TIMEOUT] = FIELD("grpc_timeout", TD_DUR_NS, TD_F_REQUEST, "Time that the client gave the call: grpc-timeout."),
    [F_CONTENT_SUBTYPE] = FIELD("grpc_content_subtype", TD_STRING, TD_F_REQUEST,
                                "How messages are encoded: proto, json ... (behind the + of the media type)."),
    [F_WEB] = FIELD("grpc_web", TD_BOOL, TD_F_REQUEST, "Is it gRPC-Web?"),
    [F_REQUEST_ENCODING] =
        FIELD("grpc_request_encoding", TD_STRING, TD_F_REQUEST, "How the client compresses messages: its grpc-encoding."),
    [F_RESPONSE_ENCODING] =
        FIELD("grpc_response_encoding", TD_STRING, TD_F_RESPONSE, "How the server compresses messages: its grpc-encoding."),
    [F_ACCEPT_ENCODING] =
        FIELD("grpc_accept_encoding", TD_STRING, TD_F_REQUEST, "Compressions that the client takes: grpc-accept-encoding."),
    [F_REQUEST_TYPE] =
        FIELD("grpc_request_type", TD_STRING, TD_F_REQUEST, "Full name of the request messages' type, by the descriptor set."),
    [F_RESPONSE_TYPE] =
        FIELD("grpc_response_type", TD_STRING, TD_F_RESPONSE, "Full name of the response messages' type, by the descriptor set."),
    [F_REQUEST_COUNT] = FIELD("grpc_request_message_count", TD_U64, TD_F_REQUEST, "Messages that the client sent."),
    [F_RESPONSE_COUNT] = FIELD("grpc_response_message_count", TD_U64, TD_F_RESPONSE, "Messages that the server sent."),
    [F_REQUEST_SIZES] = FIELD("grpc_request_message_sizes", TD_U64, TD_F_REQUEST | TD_F_LIST,
                              "Bytes of each of the client's first 100 messages, as sent, without the five before them."),
    [F_RESPONSE_SIZES] = FIELD("grpc_response_message_sizes", TD_U64, TD_F_RESPONSE | TD_F_LIST,
                               "Bytes of each of the server's first 100 messages, likewise."),
    [F_REQUEST_COMPRESSED] = FIELD("grpc_request_compressed_count", TD_U64, TD_F_REQUEST,
                                   "How many of the client's messages were compressed; only set if some were."),
    [F_RESPONSE_COMPRESSED] = FIELD("grpc_response_compressed_count", TD_U64, TD_F_RESPONSE,
                                    "How many of the server's messages were compressed; only set if some were."),
    [F_REQUEST_METADATA] =
        FIELD("request.metadata", TD_MAP, TD_F_REQUEST | TD_F_SENSITIVE,
              "Binary metadata of the request (names that end in -bin), decoded from base64; others are in request.headers."),
    [F_RESPONSE_METADATA] = FIELD("response.metadata", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE,
                                  "Binary metadata of the response and its trailers, likewise; without grpc-status-details-bin."),
    [F_RESPONSE_TRAILING] =
        FIELD("grpc_web_trailers", TD_MAP, TD_F_RESPONSE | TD_F_SENSITIVE, "Trailers that stand behind the messages in gRPC-Web."),
    [F_REQUEST_MESSAGES] =
        FIELD("request.messages", TD_BYTES, TD_F_REQUEST | TD_F_BODY | TD_F_SENSITIVE,
              "The client's messages as an array in JSON: with names by the descriptor set, else under field numbers with likely types."),
    [F_RESPONSE_MESSAGES] =
        FIELD("response.messages", TD_BYTES, TD_F_RESPONSE | TD_F_BODY | TD_F_SENSITIVE, "The server's messages, likewise."),
};

_Static_assert(sizeof(fields) / sizeof(fields[0]) == F_COUNT, "one row for each field");

static const struct td_option options[] = {
    TD_SIZE_OPT(struct grpc_config, max_message, "maxMessageSize", "1Mi", 0, 16 << 20,
                "Bytes that a message may have, before and after decompression, to be decoded; larger ones are counted."),
    TD_SIZE_OPT(
        struct grpc_config, max_messages, "maxMessagesSize", "1Mi", 0, 16 << 20,
        "Bytes of JSON that are kept of the messages of each direction of a call; further messages are counted. 0: none is decoded."),
    TD_STRLIST_OPT(struct grpc_config, descriptor_sets, "descriptorSets", NULL,
                   "Files that protoc --descriptor_set_out --include_imports wrote, at most 64 MiB each; read once, at the start. With "
                   "them messages are "
                   "told with the names of their fields."),
};

static const struct td_claim claims[] = {
    {TD_ON_POINT, 0, 0, "http.content", "application/grpc"},
    {TD_ON_POINT, 0, 0, "http.content", "application/grpc-web"},
    {TD_ON_POINT, 0, 0, "http.content", "application/grpc-web-text"},
};

/* ---- The component ----------------------------------------------------------------------------------------------- */

/* The whole file, into memory that is the caller's to free; NULL: why is in *ret_why. */
static uint8_t *read_file(const char *path, size_t *ret_n, const char **ret_why)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long n = -1;
    *ret_why = "cannot be read";
    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0)
        n = ftell(file);
    if (n > GRPC_MAX_SET)
        *ret_why = "is larger than 64 MiB";
    else if (n >= 0 && fseek(file, 0, SEEK_SET) == 0)
        bytes = (uint8_t *)malloc((size_t)n + 1);
    if (bytes && fread(bytes, 1, (size_t)n, file) != (size_t)n) {
        free(bytes);
        bytes = NULL;
    }
    *ret_n = (size_t)n;
    (void)fclose(file);
    return bytes;
}

static int load_sets(struct grpc *grpc)
{
    const struct td_strlist *sets = &grpc->config->descriptor_sets;
    size_t i;
    if (sets->n == 0)
        return TD_OK;
    grpc->schema = grpc_schema_new();
    for (i = 0; grpc->schema && i < sets->n; i++) {
        const char *why;
        size_t n;
        uint8_t *bytes = read_file(sets->v[i], &n, &why);
        bool good = bytes && grpc_schema_add(grpc->schema, td_bytes(bytes, n), &why);
        free(bytes);
        if (!good)
            return grpc->host->fail(grpc->inst, TD_E_CONFIG, "descriptorSets: %s: %s", sets->v[i], why);
    }
    if (!grpc->schema || !grpc_schema_finish(grpc->schema))
        return grpc->host->fail(grpc->inst, TD_E_NOMEM, "out of memory");
    return TD_OK;
}

static void grpc_destroy(void *self)
{
    grpc_schema_free(((struct grpc *)self)->schema);
    free(self);
}

static int grpc_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct grpc *grpc = (struct grpc *)calloc(1, sizeof(*grpc));
    int status;
    if (!grpc)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    grpc->host = host;
    grpc->inst = inst;
    grpc->config = (const struct grpc_config *)config;
    status = load_sets(grpc);
    if (status != TD_OK)
        grpc_destroy(grpc);
    else
        *ret_self = grpc;
    return status;
}

/* Only calls of HTTP are asked, by their media type. */
static int grpc_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice in)
{
    (void)self;
    (void)flow;
    (void)dir;
    (void)in;
    return 0;
}

static const struct td_dissector dissector = {
    .size = sizeof(dissector),
    .fields = TD_TABLE(fields),
    .claims = TD_TABLE(claims),
    .probe = grpc_probe,
    .open = grpc_open,
    .data = grpc_data,
    .gap = grpc_gap,
    .eof = grpc_eof,
    .close = grpc_close,
};

static const struct td_component component = {
    .size = sizeof(component),
    .kind = TD_KIND_DISSECTOR,
    .name = "grpc",
    .summary = "gRPC and gRPC-Web",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct grpc_config),
    .create = grpc_create,
    .destroy = grpc_destroy,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(grpc) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "grpc",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
