/* The GraphQL dissector: a layer on the calls of HTTP/1 and HTTP/2 (the GraphQL-over-HTTP draft; batches, persisted queries, GET, forms,
 * the multipart request specification) and on the messages of WebSockets (graphql-transport-ws, graphql-ws).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "graphql_call.h"

#include <stdlib.h>

/* ---- What it offers ---------------------------------------------------------------------------------------------- */

static const struct td_name type_names[] = {{GQL_QUERY, "query"}, {GQL_MUTATION, "mutation"}, {GQL_SUBSCRIPTION, "subscription"}};

/* clang-format off */
#define FIELD(name, type, flags, doc) { name, type, flags, doc, { NULL, 0, 0 } }
#define ENUM_FIELD(name, flags, doc, names) { name, TD_ENUM, flags, doc, TD_TABLE(names) }
/* clang-format on */

/* The first ones are the carrying call's, which are read. */
static const struct td_field fields[] = {
    [F_CONTENT_TYPE] = FIELD("request_content_type", TD_STRING, TD_F_REQUEST, "Content-Type field of the request, with parameters."),
    [F_REQUEST_BODY] = FIELD("request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY | TD_F_SENSITIVE,
                             "Content of the request, decoded, up to maxBodySize bytes."),
    [F_RESPONSE_BODY] = FIELD("response.body", TD_BYTES, TD_F_RESPONSE | TD_F_BODY | TD_F_SENSITIVE,
                              "Content of the response, decoded, up to maxBodySize bytes."),
    [F_SUBPROTOCOL] = FIELD("ws_subprotocol", TD_STRING, 0, "Subprotocol that the server chose: its Sec-WebSocket-Protocol."),
    [F_TYPE] = ENUM_FIELD("graphql_operation_type", TD_F_REQUEST | TD_F_METHOD,
                          "Type of the operation (specification of October 2021, section 2.3).", type_names),
    [F_SUMMARY] =
        FIELD("graphql_summary", TD_STRING, TD_F_REQUEST | TD_F_TARGET,
              "Name of the operation; of one without a name the fields that it asks for, { in braces }; else the type of the message."),
    [F_NAME] = FIELD("graphql_operation_name", TD_STRING, TD_F_REQUEST, "Name of the operation; of several, of the one that is asked for."),
    [F_FIELDS] = FIELD("graphql_fields", TD_STRING, TD_F_REQUEST | TD_F_LIST,
                       "Names of the first 64 fields that the operation asks for at the top, those of fragments included."),
    [F_OPERATIONS] =
        FIELD("graphql_batch_size", TD_U64, TD_F_REQUEST, "Operations in a batch, of which the first is told; only set if it is one."),
    [F_DOCUMENT] = FIELD("graphql_document", TD_STRING, TD_F_REQUEST | TD_F_SENSITIVE, "Document with the operation, up to 4096 bytes."),
    [F_VARIABLES] =
        FIELD("graphql_variables", TD_STRING, TD_F_REQUEST | TD_F_SENSITIVE, "Variables of the operation, as JSON, up to 4096 bytes."),
    [F_PERSISTED_QUERY] = FIELD("graphql_persisted_query", TD_STRING, TD_F_REQUEST,
                                "Hash (extensions.persistedQuery.sha256Hash) or other id of a document that the server knows."),
    [F_HAS_DATA] = FIELD("graphql_has_data", TD_BOOL, TD_F_RESPONSE, "Has the response data that is not null?"),
    [F_ERRORS] = FIELD("graphql_errors", TD_U64, TD_F_RESPONSE, "Errors in the response; of a batch or a stream in all of it."),
    [F_ERROR_MESSAGE] = FIELD("graphql_error_message", TD_STRING, TD_F_RESPONSE, "Message of the first error."),
    [F_ERROR_CODE] = FIELD("graphql_error_code", TD_STRING, TD_F_RESPONSE, "Code of the first error: its extensions.code."),
    [F_ERROR_PATH] = FIELD("graphql_error_path", TD_STRING, TD_F_RESPONSE, "Path of the first error, as JSON: [\"user\",0,\"name\"]."),
    [F_MESSAGE_TYPE] =
        FIELD("graphql_message_type", TD_STRING, 0, "Type of a WebSocket's message: connection_init, subscribe, next, error, complete ..."),
    [F_MESSAGE_ID] = FIELD("graphql_message_id", TD_STRING, 0, "Id that joins a WebSocket's messages of one operation."),
};

_Static_assert(sizeof(fields) / sizeof(fields[0]) == F_COUNT, "one row for each field");

static const struct td_option options[] = {
    TD_SIZE_OPT(struct graphql_config, max_document, "maxDocumentSize", "1Mi", 4 << 10, 16 << 20,
                "Bytes of a request, and of a response, that are kept until it has ended, to be read; of longer ones the beginning is."),
};

static const struct td_claim claims[] = {
    {TD_ON_POINT, 0, 0, "http.content", "application/json"},
    {TD_ON_POINT, 0, 0, "http.content", "application/graphql"},
    {TD_ON_POINT, 0, 0, "http.content", "application/graphql+json"},
    {TD_ON_POINT, 0, 0, "http.content", "application/x-www-form-urlencoded"},
    {TD_ON_POINT, 0, 0, "http.content", "multipart/form-data"},
    {TD_ON_POINT, 0, 0, "websocket.message", "graphql-transport-ws"},
    {TD_ON_POINT, 0, 0, "websocket.message", "graphql-ws"},
};

/* ---- The component ----------------------------------------------------------------------------------------------- */

static int graphql_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct graphql *graphql = (struct graphql *)malloc(sizeof(*graphql));
    if (!graphql)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    graphql->host = host;
    graphql->inst = inst;
    graphql->config = (const struct graphql_config *)config;
    *ret_self = graphql;
    return TD_OK;
}

static void graphql_destroy(void *self)
{
    free(self);
}

/* Only others' calls are asked, by their media type or subprotocol. */
static int graphql_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice in)
{
    (void)self;
    (void)flow;
    (void)dir;
    (void)in;
    return 0;
}

static const char *const also[] = {"GQL", NULL};

static const struct td_dissector dissector = {
    .size = sizeof(dissector),
    .fields = TD_TABLE(fields),
    .claims = TD_TABLE(claims),
    .probe = graphql_probe,
    .open = graphql_open,
    .data = graphql_data,
    .gap = graphql_gap,
    .close = graphql_close,
    .also = also,
};

static const struct td_component component = {
    .size = sizeof(component),
    .kind = TD_KIND_DISSECTOR,
    .name = "graphql",
    .summary = "GraphQL",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct graphql_config),
    .create = graphql_create,
    .destroy = graphql_destroy,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(graphql) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "graphql",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
