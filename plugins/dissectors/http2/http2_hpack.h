/* Header blocks (HPACK, RFC 7541): one context for each direction, over nghttp2's inflater.
 *
 * Where blocks were lost, or the beginning of the connection was, the dynamic table is not known. Then the context reads a block
 * representation by representation: what stands in the static table or in the block itself is certain, as is what was inserted since
 * then, for entries are counted from the newest; references to older ones are told as unknown. So it does once the sender's table is
 * larger than the one that is kept here.
 *
 * The inflater takes its memory from the functions that the owner gives, and nothing is allocated for a field. */
#ifndef HTTP2_HPACK_H
#define HTTP2_HPACK_H

#include <nghttp2/nghttp2.h>

#include "tapedeck/slice.h"

enum {
    HTTP2_MAX_TABLE = 1 << 16 /* bytes of a dynamic table; what a peer keeps beyond that is unknown here */
};

/* What stands for a name or a value that is not known. */
#define HTTP2_UNKNOWN "<unknown>"

enum http2_field_flag {
    HTTP2_NAME_UNKNOWN = 1u << 0,
    HTTP2_VALUE_UNKNOWN = 1u << 1,
    HTTP2_NEVER_INDEXED = 1u << 2 /* the sender takes it for sensitive (RFC 7541 section 7.1.3) */
};

/* A header field; both slices live until this function returns. False: stop, the block is not to be read on. */
typedef bool http2_field_fn(void *ctx, struct td_slice name, struct td_slice value, unsigned flags);

struct http2_hpack {
    nghttp2_hd_inflater *inflater; /* NULL: none yet */
    nghttp2_mem *memory;
    bool lost; /* the table has entries that are not known, or may have them */
};

enum http2_hpack_result {
    HTTP2_HPACK_OK,
    HTTP2_HPACK_BAD,  /* the block breaks the rules; what comes after it is read as behind a loss */
    HTTP2_HPACK_NOMEM /* as above, for want of memory */
};

/* `memory` must live as long as the context. `lost`: it begins in the middle of a connection. */
void http2_hpack_init(struct http2_hpack *h, nghttp2_mem *memory, bool lost);
/* A block that was sent was not seen, or not read. */
void http2_hpack_lose(struct http2_hpack *h);
/* Reads a whole block. */
enum http2_hpack_result http2_hpack_read(struct http2_hpack *h, struct td_slice block, http2_field_fn *fn, void *ctx);
void http2_hpack_clear(struct http2_hpack *h);

/* Whose block is this, by its first field? 1: a request's (it begins with :method, :scheme, :authority or :path); 2: a response's; 0: it
 * cannot be told, or it is no header block. Needs no context. */
int http2_hpack_side(struct td_slice block);

/* Could this be a header block, by the form of its representations? `cut`: its end need not be there. Needs no context. */
bool http2_hpack_plausible(struct td_slice block, bool cut);

#endif
