/* The machine of a connection: frames in, calls out. Callbacks of struct td_dissector. */
#ifndef KAFKA_CONN_H
#define KAFKA_CONN_H

#include "kafka_call.h"

/* The component's instance. */
struct kafka {
    const struct td_host *host;
    const struct kafka_config *config;
    struct kafka_spare *spare;
};

enum { KAFKA_MAX_PROBE = 2048 };

int kafka_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes);
int kafka_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state);
struct td_step kafka_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk);
int kafka_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len);
void kafka_close(void *state, struct td_conn *conn, int why);

#endif
