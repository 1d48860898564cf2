/* URLs and queries (RFC 3986) as HAR wants them, from what was on the wire. */
#ifndef CALL_HAR_URL_H
#define CALL_HAR_URL_H

#include "base/buf.h"

/* Does it begin with a scheme and an authority: is it an absolute URL? */
bool har_url_is_absolute(struct td_slice url);
/* Appends a part of a URL. Bytes that no URL may have are percent-encoded, and so is "#": a server that was sent one did not
 * take it for a fragment. What comes out needs no escapes in JSON. */
void har_url_put(struct buf *out, struct td_slice part);

/* Takes the next "name=value" from the front of a query; false at its end. Empty ones are passed over. At most half as many as
 * the query has bytes. */
bool har_url_next_parameter(struct td_slice *query, struct td_slice *ret_name, struct td_slice *ret_value);
/* A name or value without its percent-encoding, and with spaces for "+" (as browsers encode forms). What is no encoding stays.
 * What is returned points into `text`, or into `room` until that is used again. False: no memory. */
bool har_url_decode(struct td_slice text, struct buf *room, struct td_slice *ret);

#endif
