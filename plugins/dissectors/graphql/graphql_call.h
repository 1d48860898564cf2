/* One GraphQL request and its answer: fields of the HTTP call, or of the WebSocket message, that carries them. */
#ifndef GRAPHQL_CALL_H
#define GRAPHQL_CALL_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include "graphql_document.h"
#include "tapedeck/plugin.h"

/* The component's fields; graphql.c documents them in this order. Those before F_LENT are the carrying call's, which are read. */
enum graphql_field_index {
    F_CONTENT_TYPE,
    F_REQUEST_BODY,
    F_RESPONSE_BODY,
    F_SUBPROTOCOL,
    F_LENT,
    F_TYPE = F_LENT,
    F_SUMMARY,
    F_NAME,
    F_FIELDS,
    F_OPERATIONS,
    F_DOCUMENT,
    F_VARIABLES,
    F_PERSISTED_QUERY,
    F_HAS_DATA,
    F_ERRORS,
    F_ERROR_MESSAGE,
    F_ERROR_CODE,
    F_ERROR_PATH,
    F_MESSAGE_TYPE,
    F_MESSAGE_ID,
    F_COUNT
};

struct graphql_config {
    uint64_t max_document; /* bytes of a request, of a response, that are kept to be read */
};

/* The component's instance. */
struct graphql {
    const struct td_host *host;
    struct td_inst *inst;
    const struct graphql_config *config;
};

int graphql_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state);
struct td_step graphql_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk);
int graphql_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len);
void graphql_close(void *state, struct td_conn *conn, int why);

#endif
