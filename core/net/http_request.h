/* What a handler can ask of a request, and its answers.
 *
 * All of it belongs to the thread of the handler. What the functions return lives as long as the request, which ends when the answer is
 * sent or the connection is gone. */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include "base/buf.h"
#include "net/http_server.h"

/* ---- The request ---- */

/* The value of "{name}" in the route's path: decoded, valid UTF-8 without control characters; never "", "." or ".."; it may have a slash in
 * it. The name must be one of the path's. */
const char *http_segment(const struct http_request *, const char *name);
/* Of the query, decoded, valid UTF-8 without zeros; NULL: not given. */
const char *http_parameter(const struct http_request *, const char *name);
/* A header field; NULL: not given. */
const char *http_header(const struct http_request *, const char *name);
struct td_slice http_body(const struct http_request *);

/* Who takes the body of a route with HTTP_BODY_TAKEN, piece by piece, in the thread of the connection. Each of these may answer by itself,
 * or return an error for http_route.handle to be answered; what is left of the body is thrown away then. */
struct http_sink {
    void *ctx;
    int (*take)(void *ctx, struct http_request *, struct td_slice piece, struct error *err);
    /* The body is whole: answers. Not called for one that was cut. */
    int (*end)(void *ctx, struct http_request *, struct error *err);
    void (*close)(void *ctx); /* always called, once; may be NULL */
};
/* Takes the sink; for handlers of such routes, which either answer (then the body is not even sent by clients that wait to be told) or call
 * this. */
void http_take_body(struct http_request *, const struct http_sink *);
/* How long the body is, as the client tells it; UINT64_MAX: it does not. */
uint64_t http_body_length(const struct http_request *);
enum http_role http_role(const struct http_request *);
/* Who asks, for people: the name of the token, or else the address. */
const char *http_caller(const struct http_request *);
/* HEAD: the answer's head is sent, its body is not, and a stream is closed unread. */
bool http_head_only(const struct http_request *);
/* The client has closed its side, or the server stops: nobody waits for the answer. Costs a system call. */
bool http_cancelled(const struct http_request *);

/* ---- The answer: one of these, once; a later one replaces an earlier one ---- */

/* Takes what is in `body`, which is empty afterwards; a body that has failed becomes a 503. `type` is copied. Text of 1 KiB and more is
 * sent compressed to clients that accept it. With a field ETag of the handler's, a client that has it already gets 304; the tag of a
 * compressed answer has the coding behind it: "v1-gzip". */
void http_reply_body(struct http_request *, unsigned status, const char *type, struct buf *body);
/* Without a body: 204, 304. */
void http_reply_empty(struct http_request *, unsigned status);

enum { HTTP_LENGTH_UNKNOWN = -1 };

/* A body that is pulled. */
struct http_stream {
    void *ctx;
    /* Up to `n` bytes, at least 1; *ret_n is 0 at the end. After an error, or an end before the length that was told, the connection is
     * cut, so that the client sees that it has not got everything, and the error is logged. */
    int (*read)(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err);
    void (*close)(void *ctx); /* always called, once; may be NULL */
};
/* Takes the stream. `length` in bytes or HTTP_LENGTH_UNKNOWN: it is then sent in chunks, which needs HTTP/1.1 (505 for others: they
 * could not tell a cut stream from a whole one). */
void http_reply_stream(struct http_request *, unsigned status, const char *type, int64_t length, const struct http_stream *);

/* The stream that was just replied is text and worth compressing, which is done for clients that accept it; its length is then unknown.
 * `live`: what each read() gives is sent at once. */
void http_reply_compress(struct http_request *, bool live);

/* A body that can be read at any place, so that a client can ask for a part of it (RFC 9110 section 14), and ask again. */
struct http_object {
    void *ctx;
    uint64_t size;
    const char *etag; /* without quotes, of characters that need none; changes whenever a byte does. NULL: none, and If-Range never holds */
    /* As in http_stream; `offset` is below `size`. */
    int (*read_at)(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *err);
    void (*close)(void *ctx); /* always called, once; may be NULL */
};
/* Takes the object. 200, 206, 304 or 416, as the request's Range, If-Range and If-None-Match want it. Several ranges at once are not
 * served: such a request gets everything. Never compressed. */
void http_reply_object(struct http_request *, const char *type, const struct http_object *);

/* A problem (RFC 9457): `code` is a stable name for programs, the text is for people: what, why, what to do. */
void http_reply_problem(struct http_request *, unsigned status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A further header field of the answer. Replies have "Cache-Control: no-store" unless they get one here. Line breaks make it a 500. */
void http_reply_header(struct http_request *, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
