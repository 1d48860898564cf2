/* The HTTP client: hub to worker, CLI to hub. Made on libcurl; cloud storages use libcurl themselves.
 *
 * A client belongs to one thread at a time and keeps its connections. It asks its server only: through no proxy, whatever the environment
 * says, and along no redirect to another scheme, host or port. Failures say what was asked of whom, and why not: a problem+json answer's
 * `detail` is passed on. TD_E_RETRY: cannot be reached, broken off, timed out, 408, 429, 502, 503, 504; TD_E_DENIED: a certificate that is
 * not trusted; TD_E_CORRUPT: an answer that is none, or another range than was asked for. Else by status: 400, 421, 422 and redirects
 * elsewhere TD_E_CONFIG; 401, 403 TD_E_DENIED; 404, 410 TD_E_NOT_FOUND; 409 TD_E_EXISTS; 413, 507 TD_E_LIMIT; 405, 501, 505
 * TD_E_UNSUPPORTED; others TD_E_INTERNAL. A body whose end cannot be told from a broken connection (neither length nor chunks) is
 * TD_E_UNSUPPORTED. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/error.h"

struct http_client;

enum {
    HTTP_CLIENT_HEAD = 64 << 10,    /* bytes of header fields in an answer, more are TD_E_CORRUPT */
    HTTP_CLIENT_PROBLEM = 64 << 10, /* bytes that are looked at of a body that is not a 2xx's */
    HTTP_CLIENT_DISCARD = 1 << 20,  /* bytes that are read of a 2xx body that nobody wants */
};

struct http_client_options {
    const char *url;           /* the base: "http://127.0.0.1:48999", "https://hub.example:8898/prefix" */
    const char *token;         /* bearer; NULL: none. Sent to this server only, never along a redirect elsewhere */
    const char *ca;            /* PEM file of the CAs to trust, and no others; NULL: the system's */
    const char *agent;         /* "tapedeck/0.4" */
    unsigned connect_s;        /* 0: 10 */
    unsigned idle_s;           /* without a byte: 0: 30 */
    const atomic_bool *cancel; /* NULL, or looked at about every 100 ms: TD_E_CANCELLED */
};

struct http_result {
    unsigned status;                 /* 0: no answer */
    char code[64];                   /* of a problem+json; "": none */
    char etag[128];                  /* without quotes; "": none */
    int64_t length;                  /* Content-Length: of the part, if it is one; -1: not told */
    int64_t range_first, range_size; /* of a 206: where the part begins, and the size of the whole (-1: not told); else -1 */
    int64_t retry_after_s;           /* -1: none */
    int64_t began_ns, answered_ns;   /* CLOCK_REALTIME: request sent, head of the answer there. For clock offsets */
};

struct http_call {
    const char *method;   /* "GET" */
    const char *path;     /* "/api/v1/node?x=y", encoded; see http_put_encoded() */
    struct td_slice body; /* sent as application/json, unless body_type says else */
    const char *body_type;
    uint64_t range_first, range_n; /* n 0: no Range; UINT64_MAX: to the end */
    const char *if_range;          /* an etag; NULL: none */
    const char *accept;            /* NULL: any */
    bool compressed;               /* the answer may come compressed and is unpacked on the way. Not for ranges; `length` is then -1 */
    /* Takes the body of a 2xx; NULL: thrown away. Non-zero ends it and is returned. */
    int (*write)(void *ctx, struct td_slice bytes, struct error *err);
    /* When the head of a 2xx is there, before the first byte of its body (it may have none); may be NULL. Non-zero ends it and is
     * returned. */
    int (*head)(void *ctx, const struct http_result *, struct error *err);
    void *ctx;
};

/* TD_E_CONFIG: options that cannot work. Everything is copied but `cancel`, which must outlive the client. */
int http_client_new(const struct http_client_options *, struct http_client **ret, struct error *err) MUST_CHECK;
void http_client_free(struct http_client *); /* NULL is fine */
/* Any 2xx is TD_OK. `ret` is filled as far as it got. */
int http_client_run(struct http_client *, const struct http_call *, struct http_result *ret, struct error *err) MUST_CHECK;
/* A small body as a whole, at most `max` bytes (TD_E_LIMIT), appended to `ret`; nothing is appended on errors. `res` may be NULL. */
int http_client_get(struct http_client *, const char *path, size_t max, struct buf *ret, struct http_result *res,
                    struct error *err) MUST_CHECK;
/* Percent-encoded for a path's segment or a query's value (RFC 3986 section 2.3). */
void http_put_encoded(struct buf *, const char *text);

#endif
