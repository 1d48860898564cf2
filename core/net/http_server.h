/* The HTTP server of worker and hub: routes, tokens, TLS, limits. Made on libmicrohttpd.
 *
 * Every connection has a thread, so that handlers may block; they run in parallel. What a handler can ask and answer is in
 * net/http_request.h. Errors are answered as application/problem+json (RFC 9457) with a stable `code`; only what is so broken or so long
 * that the library below gives up (a request line that is none, a head beyond HTTP_MAX_HEAD by far) gets a short page of its own and the
 * end of the connection.
 *
 * The process must ignore SIGPIPE, or a client that leaves may end it. */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct http_request;
struct http_server;

enum {
    HTTP_MAX_TARGET = 8192, /* bytes of path and query: 414 */
    HTTP_MAX_HEAD = 32768,  /* bytes of header fields: 431 */
    HTTP_MAX_TOKENS = 64,
    HTTP_TOKEN_NAME = 63, /* bytes */
    HTTP_DEFAULT_CONNECTIONS = 64,
    HTTP_DEFAULT_IDLE_S = 60
};

/* The handler of such a route runs before the body comes. */
#define HTTP_BODY_TAKEN SIZE_MAX

/* Each may do what those before it may. */
enum http_role { HTTP_ANYONE, HTTP_VIEWER, HTTP_OPERATOR, HTTP_ADMIN };
const char *http_role_name(enum http_role); /* "anyone", "viewer", "operator", "admin" */

/* The server keeps a digest of the text only. */
struct http_token {
    const char *text;
    enum http_role role;
    const char *name; /* of who has it, for people and the audit log; NULL: none. Longer ones are cut */
};

struct http_route {
    const char *method; /* "GET" answers HEAD as well */
    const char *path;   /* "/segments/{sequence}/data": a name in braces stands for one segment that is not empty */
    enum http_role needs;
    const char *const *parameters; /* of the query, as it may have them; ends with NULL. NULL: none */
    size_t max_body;               /* bytes; 0: takes no body; HTTP_BODY_TAKEN: any, see http_take_body() */
    /* [thread of the connection] Answers through net/http_request.h. An error that it returns instead becomes a problem: TD_E_CONFIG 400,
     * TD_E_DENIED 403, TD_E_NOT_FOUND 404, TD_E_EXISTS 409, TD_E_UNSUPPORTED 501, TD_E_NOMEM, TD_E_LIMIT, TD_E_RETRY and
     * TD_E_CANCELLED 503, others 500. `code` is then the status in words: "not_found". */
    int (*handle)(void *ctx, struct http_request *, struct error *err);
};

/* The routes of one part of the program. The first route that fits a path and a method is taken, over all sets. */
struct http_route_set {
    const struct http_route *routes;
    size_t n;
    void *ctx;
};

/* A request that is over, for the audit log. Lives as long as the call. */
struct http_answered {
    const char *who;     /* the name of the token; else the address */
    const char *address; /* of the client; "": unknown */
    enum http_role role; /* that it had; HTTP_ANYONE: no token that is known */
    const char *method;  /* "-": one that cannot be */
    const char *path;    /* and the query, as they came, cut at 200 bytes */
    const char *route;   /* http_route.path of the one that was taken; NULL: none */
    unsigned status;     /* 0: the client left before there was an answer */
    uint64_t bytes;      /* of the body, given to the connection */
    int64_t duration_ns;
    bool complete; /* to its end, as far as this side knows */
};

/* All of it is copied but the routes and what they point to, which must outlive the server. */
struct http_server_options {
    const char *component; /* in the log: "worker" */
    const char *listen;    /* "127.0.0.1:48999", "[::1]:0", "localhost:48999", ":48999" (every address); port 0: any free port */
    const struct http_token *tokens;
    size_t token_count;          /* 0: everybody who reaches it is an admin; only on loopback */
    const char *tls_certificate; /* PEM files: the chain, and its key. NULL or "": no TLS */
    const char *tls_key;
    bool tls_required;        /* unless it listens on loopback */
    unsigned max_connections; /* a few more are told to come back (503), but for routes that need nobody; 0: HTTP_DEFAULT_CONNECTIONS */
    unsigned idle_s;          /* a connection ends after so long without a byte in or out; 0: HTTP_DEFAULT_IDLE_S */
    unsigned receive_s;       /* a request has to be there, body and all, so long after the one before it; 0: idle_s + 60. Of
                                    a body that is taken, each MiB */
    const struct http_route_set *sets;
    size_t set_count;
    /* [threads of connections, several at once] After each request; NULL: none. */
    void (*answered)(void *ctx, const struct http_answered *);
    void *answered_ctx;
};

/* Checks the options, reads certificate and key, and listens; starts no thread yet, so that rights can be given up between this and
 * http_server_start(). Connections wait until then. TD_E_CONFIG: options that cannot work, or that would show the traffic to everybody;
 * TD_E_EXISTS: the port is in use; TD_E_DENIED: no right to it. */
int http_server_open(const struct http_server_options *, struct http_server **ret, struct error *err) MUST_CHECK;
int http_server_start(struct http_server *, struct error *err) MUST_CHECK;
/* Ends it, started or not: listens no more, cuts connections and streams that run, waits for handlers to return, and frees. Handlers and
 * streams that wait for something have to look at http_cancelled() now and then. NULL is fine. */
void http_server_stop(struct http_server *);

/* ---- While it runs: any thread ---- */

uint16_t http_server_port(const struct http_server *);
/* "https://127.0.0.1:48999". As long as the server. */
const char *http_server_url(const struct http_server *);
/* Requests that begin from now on need these, and events that are being sent end if theirs is not among them any more, or its role is too
 * low. TD_E_CONFIG: as in http_server_open(); the old ones stay. */
int http_server_set_tokens(struct http_server *, const struct http_token *, size_t n, struct error *err) MUST_CHECK;
/* Connections that begin from now on get this certificate. TD_E_UNSUPPORTED: it was started without TLS, or is to go on without: that needs
 * a restart. On errors the old one stays. */
int http_server_set_tls(struct http_server *, const char *certificate, const char *key, struct error *err) MUST_CHECK;
/* Both at once, in two steps, for those who have more to change and want all of it or nothing: the first checks and reads, and its errors
 * are those of the two above; the second cannot fail. Each change is taken or forgotten. */
struct http_server_change;
int http_server_prepare(struct http_server *, const struct http_token *, size_t n, const char *certificate, const char *key,
                        struct http_server_change **ret, struct error *err) MUST_CHECK;
void http_server_take(struct http_server *, struct http_server_change *);
void http_server_forget(struct http_server_change *); /* NULL is fine */

struct http_server_stats {
    uint64_t requests;    /* answered or begun */
    uint64_t failures;    /* answered with a 5xx, or cut by an error of a stream */
    uint64_t sent_bytes;  /* of bodies, given to the connection */
    uint64_t connections; /* at the moment */
};
void http_server_stats(struct http_server *, struct http_server_stats *ret);

#endif
