/* One HTTP/2 connection: the two byte streams, cut into frames and fed to streams. The dissector's callbacks. */
#ifndef HTTP2_CONN_H
#define HTTP2_CONN_H

#include "http2_call.h"

int http2_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state);
struct td_step http2_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk);
int http2_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len);
void http2_close(void *state, struct td_conn *conn, int why);

#endif
