/* A message of Protocol Buffers as JSON.
 *
 * With its type: as the protobuf JSON mapping has it, with the names of fields and enum values; 64-bit integers are strings there, bytes
 * are base64; timestamps, durations and wrappers have their own forms. Fields that the type does not know, and everything without a type,
 * stand under their numbers; what they are is guessed from the bytes: text, a message within, or base64; numbers that doubles cannot hold
 * are strings. A field that is there several times in a row is an array. Nothing is allocated; messages within messages beyond
 * GRPC_MAX_DEPTH are base64. */
#ifndef GRPC_JSON_H
#define GRPC_JSON_H

#include "grpc_schema.h"
#include "grpc_text.h"

enum { GRPC_MAX_DEPTH = 40 };

/* Is it a message, or nothing else that can be told: fields, one after the other, to its end? */
bool grpc_is_message(struct td_slice s);
/* Appends the message to `out`, as far as there is room: see its `full`. `type` may be NULL. What is no message at all is base64. */
void grpc_put_message(struct grpc_out *out, struct td_slice message, const struct grpc_message *type);

#endif
