/* One gRPC call: its messages and its status become fields of the HTTP call that carries it. */
#ifndef GRPC_CALL_H
#define GRPC_CALL_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include "grpc_json.h"
#include "tapedeck/plugin.h"

/* The component's fields; grpc.c documents them in this order. Those up to F_LENT are the HTTP call's, which are read. */
enum grpc_field_index {
    F_PATH,
    F_REQUEST_HEADERS,
    F_RESPONSE_HEADERS,
    F_RESPONSE_TRAILERS,
    F_SERVICE,
    F_LENT = F_SERVICE,
    F_METHOD,
    F_CALL_TYPE,
    F_STATUS,
    F_STATUS_NAME,
    F_MESSAGE,
    F_STATUS_DETAILS,
    F_TIMEOUT,
    F_CONTENT_SUBTYPE,
    F_WEB,
    F_REQUEST_ENCODING,
    F_RESPONSE_ENCODING,
    F_ACCEPT_ENCODING,
    F_REQUEST_TYPE,
    F_RESPONSE_TYPE,
    F_REQUEST_COUNT,
    F_RESPONSE_COUNT,
    F_REQUEST_SIZES,
    F_RESPONSE_SIZES,
    F_REQUEST_COMPRESSED,
    F_RESPONSE_COMPRESSED,
    F_REQUEST_METADATA,
    F_RESPONSE_METADATA,
    F_RESPONSE_TRAILING,
    F_REQUEST_MESSAGES,
    F_RESPONSE_MESSAGES,
    F_COUNT
};

enum grpc_call_type { GRPC_UNARY, GRPC_CLIENT_STREAMING, GRPC_SERVER_STREAMING, GRPC_BIDI_STREAMING };

struct grpc_config {
    uint64_t max_message, max_messages; /* bytes: of a message that is decoded; of the JSON of one direction */
    struct td_strlist descriptor_sets;
};

/* The component's instance. */
struct grpc {
    const struct td_host *host;
    struct td_inst *inst;
    const struct grpc_config *config;
    struct grpc_schema *schema; /* NULL: none */
};

int grpc_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state);
struct td_step grpc_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk);
int grpc_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len);
void grpc_eof(void *state, struct td_conn *conn, int dir);
void grpc_close(void *state, struct td_conn *conn, int why);

#endif
