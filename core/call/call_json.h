/* A call as one JSON object. */
#ifndef CALL_CALL_JSON_H
#define CALL_CALL_JSON_H

#include "call/call.h"

/* Appends the object and a newline. `payload`: with header maps and bodies. Keys stand in the order of the field table,
 * those of "request." and "response." in objects of these names. Bodies that are not UTF-8 are in base64, under
 * "<name>_base64". */
void call_put_json(struct buf *out, const struct td_call *c, bool payload);

#endif
