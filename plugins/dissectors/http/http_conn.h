/* One HTTP/1 connection: the two byte streams, cut into messages and fed to calls. The dissector's callbacks. */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "http_call.h"

int http_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state);
struct td_step http_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk);
int http_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len);
void http_eof(void *state, struct td_conn *conn, int dir);
void http_close(void *state, struct td_conn *conn, int why);

#endif
