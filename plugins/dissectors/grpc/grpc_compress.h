/* Undoing the compression of a message (grpc-encoding): gzip, deflate, zstd, br as content codings, and snappy, raw or framed. */
#ifndef GRPC_COMPRESS_H
#define GRPC_COMPRESS_H

#include "tapedeck/slice.h"

/* Decompresses `in` into `room` of `cap` bytes; `encoding`: the name in grpc-encoding. False: an encoding that is unknown, data that are
 * not in it, or more than `cap` bytes. */
bool grpc_decompress(struct td_slice encoding, struct td_slice in, uint8_t *room, size_t cap, struct td_slice *ret);

#endif
