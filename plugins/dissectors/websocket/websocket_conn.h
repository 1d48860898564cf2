/* One WebSocket: the two streams of frames, joined to messages. The dissector's callbacks. */
#ifndef WEBSOCKET_CONN_H
#define WEBSOCKET_CONN_H

#include "websocket_call.h"

enum { WS_MAX_PROBE = 4096 };

int ws_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice in);
int ws_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state);
struct td_step ws_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk);
int ws_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len);
void ws_close(void *state, struct td_conn *conn, int why);

#endif
