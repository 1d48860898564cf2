/* The chunked transfer coding (RFC 9112 section 7.1) as a state machine over whatever bytes there are.
 *
 * It keeps a few numbers, no bytes. Bare LF line ends and whitespace around a chunk's size are accepted. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "tapedeck/slice.h"

enum {
    HTTP_MAX_CHUNK_DIGITS = 32,    /* hexadecimal digits of a size, leading zeros included */
    HTTP_MAX_CHUNK_EXT = 16 * 1024 /* bytes of a chunk's extensions */
};

struct http_chunked {
    uint32_t state, count; /* of digits or of extension bytes */
    uint64_t left;         /* of the chunk's data; while its size is read: the size so far */
};

enum http_chunked_event {
    HTTP_CHUNK_MORE,     /* all is used; feed what follows */
    HTTP_CHUNK_DATA,     /* *ret_data is content; chunked->left bytes of the same chunk are still to come */
    HTTP_CHUNK_TRAILERS, /* the last chunk is over, the trailer section follows (at least an empty line) */
    HTTP_CHUNK_BAD       /* not a chunk: where the body ends is lost */
};

/* A zeroed struct stands before the first chunk. *ret_used: the bytes of `in` that this event took. */
enum http_chunked_event http_chunked_next(struct http_chunked *chunked, struct td_slice in, size_t *ret_used, struct td_slice *ret_data);

/* Passes over up to `most` bytes of the current chunk's data unseen; returns how many. Zero outside of data. */
uint64_t http_chunked_skip(struct http_chunked *chunked, uint64_t most);

#endif
