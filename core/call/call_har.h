/* HTTP calls as an HTTP Archive, HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), which browsers' developer
 * tools open: a JSON object with one entry for each call.
 *
 * What was not seen is told in an entry's `comment`; unknown sizes are -1, and a response that was not seen has the status 0.
 * Text that is not UTF-8 is mended with U+FFFD, but in URLs, where such bytes are percent-encoded, in header fields, which are read as
 * ISO 8859-1 then, as browsers do, and in bodies, which are in base64 then, or if they have control characters that no text has. HAR has
 * no word for that in requests, nor a place for trailers: they are told by "_encoding" and "_trailers".
 *
 * Of HTTP/2, a request's headers have the fields of its own (:method), as those of Chrome have; a response's :status is its status.
 *
 * Entries should stand in the order of their times; that is the caller's business. A writer serves one thread. */
#ifndef CALL_CALL_HAR_H
#define CALL_CALL_HAR_H

#include "call/call.h"

enum call_har_field {
    HAR_METHOD,
    HAR_URL,
    HAR_QUERY_STRING,
    HAR_HOST,
    HAR_REQUEST_VERSION,
    HAR_RESPONSE_VERSION,
    HAR_STATUS_CODE,
    HAR_REASON,
    HAR_REQUEST_TYPE,
    HAR_RESPONSE_TYPE,
    HAR_REQUEST_HEADERS,
    HAR_RESPONSE_HEADERS,
    HAR_REQUEST_TRAILERS,
    HAR_RESPONSE_TRAILERS,
    HAR_REQUEST_COOKIES,
    HAR_RESPONSE_COOKIES,
    HAR_REQUEST_HEADERS_SIZE,
    HAR_RESPONSE_HEADERS_SIZE,
    HAR_REQUEST_BODY_SIZE,
    HAR_RESPONSE_BODY_SIZE,
    HAR_REQUEST_BODY,
    HAR_RESPONSE_BODY,
    HAR_PUSHED, /* of HTTP/2 */
    HAR_FIELDS
};

/* A dissector's fields, found once, and memory that is used again and again. */
struct call_har {
    bool http; /* its calls are HTTP: they have a method, a URL and a version */
    int16_t fields[HAR_FIELDS];
    struct buf decoded; /* a parameter of a query, a value of a header field */
};

/* For the calls of one component. */
void call_har_init(struct call_har *, const struct field_set *);
void call_har_clear(struct call_har *);

/* `version`: the program's. */
void call_har_begin(struct buf *out, const char *version);
/* False for a call that is not HTTP, of which nothing is written. `first`: no entry was written before it. Bodies are written
 * if the call has them. */
bool call_har_put(struct buf *out, struct call_har *, const struct td_call *, bool first);
void call_har_end(struct buf *out);

#endif
