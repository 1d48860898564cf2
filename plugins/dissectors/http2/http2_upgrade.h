/* The HTTP/1.1 request that asked to go on in HTTP/2 (RFC 7540 section 3.2): its answer comes on stream 1.
 *
 * Pure: keeps nothing, allocates nothing and calls nobody. */
#ifndef HTTP2_UPGRADE_H
#define HTTP2_UPGRADE_H

#include "http2_list.h"

/* Reads the request's head from the front of `in` into the list, whose room must have been made before and which was emptied. Returns the
 * bytes of the head; 0: it is not whole, or is none that asks for h2c, and the list is of no use. */
size_t http2_read_upgrade(struct td_slice in, struct http2_list *list);

#endif
