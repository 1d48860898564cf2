/* A request and its answer as the server keeps them. Only for the files of the HTTP server. */
#ifndef NET_HTTP_EXCHANGE_H
#define NET_HTTP_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

#include "base/arena.h"
#include "base/ip.h"
#include "net/http_request.h"
#include "net/http_target.h"
#include "net/listen_address.h"
#include "net/tls_identity.h"
#include "net/token.h"

enum {
    HTTP_POOL = 256 << 10, /* libmicrohttpd's memory for a connection; heads and chunks have to fit. Pages that are not used cost nothing */
    HTTP_BLOCK = 128 << 10,      /* read at once from streams whose length is known */
    HTTP_DISCARD = 1 << 20,      /* so much of a body that nobody wants is read, for a client that listens only after it has sent all */
    HTTP_PROGRESS = 1 << 20,     /* of a body that is taken, so much has to come in the time for a request */
    HTTP_SPARE_CONNECTIONS = 16, /* beyond the most: they are told so, and health can still be asked */
};

struct http_admission {
    struct token token;
    enum http_role role;
    char name[HTTP_TOKEN_NAME + 1]; /* "": none */
};

struct http_connection {
    struct http_connection *next, **back; /* in the server's list, under its lock */
    int fd;
    bool too_many;
    _Atomic int64_t listening_since_ns; /* since when a request is waited for, or comes in; 0: one is being answered */
    struct tls_identity *identity;      /* that it was begun with */
};

struct http_server {
    char component[32], listen[80], url[LISTEN_HOST_TEXT + 16];
    struct listen_address address;
    int fd; /* -1: libmicrohttpd has it */
    uint16_t port;
    unsigned max_connections, idle_s, receive_s;
    struct http_route_set *sets;
    size_t set_count;
    void (*answered)(void *ctx, const struct http_answered *);
    void *answered_ctx;
    struct MHD_Daemon *daemon;

    pthread_mutex_t lock; /* for these: */
    struct http_admission tokens[HTTP_MAX_TOKENS];
    size_t token_count;
    _Atomic uint64_t rights;       /* counts how often the tokens were changed; read without the lock */
    struct tls_identity *identity; /* for connections to come */
    struct http_connection *connections;
    size_t connection_count;
    pthread_cond_t stop;
    pthread_t watcher;
    bool watched;

    struct tls_identity *first_identity; /* libmicrohttpd holds pointers into it */
    atomic_bool stopping;
    _Atomic uint64_t requests, failures, sent_bytes;
};

enum http_reply_kind { HTTP_REPLY_NONE, HTTP_REPLY_BODY, HTTP_REPLY_STREAM, HTTP_REPLY_OBJECT };

enum http_reply_compress { HTTP_COMPRESS_NOT, HTTP_COMPRESS_BLOCKS, HTTP_COMPRESS_LIVE };

struct http_field {
    const char *name, *value;
    struct http_field *next;
};

struct http_reply {
    enum http_reply_kind kind;
    unsigned status;
    const char *type; /* NULL: none */
    struct buf body;
    struct http_stream stream;
    enum http_reply_compress compress; /* of a stream */
    struct http_object object;
    uint64_t first; /* where the part of the object begins */
    int64_t length; /* of a stream or a part */
    struct http_field *fields;
};

/* Lives from the request line until libmicrohttpd says that the request is over; belongs to the thread of its connection. */
struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct arena arena;
    int64_t begin_ns; /* monotonic */
    const char *method;
    char *text; /* the target as it came, cut, for the log */
    struct http_target target;
    struct error target_error;
    unsigned target_status; /* 0: the target is fine */
    bool checked;           /* the head was looked at */
    bool old_client;        /* speaks less than HTTP/1.1 */
    const struct http_route *route;
    void *ctx;
    enum http_role role;
    struct token shown;                   /* what it showed, or nothing */
    uint64_t rights;                      /* the server's, when that was last looked up */
    char client[IP_TEXT];                 /* the address; "": unknown */
    char token_name[HTTP_TOKEN_NAME + 1]; /* of the token that it showed; "": none */
    struct buf body;
    struct http_sink sink; /* of zeros: none, or it is closed */
    bool sinking;          /* its end() is still to come */
    uint64_t taken;
    size_t discarded;
    struct http_reply reply;
    uint64_t sent;
    bool queued, broken;
};

/* Frees what the answer holds and closes its stream. Its further fields go too if `fields`. */
void http_reply_clear(struct http_request *, bool fields);
/* The problem for an error that a handler returned. */
void http_reply_error(struct http_request *, const struct error *);
/* Gives the answer to libmicrohttpd. */
enum MHD_Result http_reply_send(struct http_request *);

/* Is the tag among those of an If-None-Match field? */
bool http_tag_listed(const char *list, struct td_slice etag);
/* Compresses the answer if it is text, long enough, and the client accepts it. Before it is sent. */
void http_reply_encode(struct http_request *);
/* Makes it a 304 if the client has it. After http_reply_encode(). */
void http_reply_revalidate(struct http_request *);

/* [thread of the connection] Would it still be let in? Not if its token has been taken away meanwhile. It has ended then. */
bool http_still_admitted(struct http_request *);

int64_t http_now_ns(void); /* monotonic */

/* The thread that cuts clients that take too long to say what they want. Stopping sets server->stopping. */
int http_watch_start(struct http_server *, struct error *err) MUST_CHECK;
void http_watch_stop(struct http_server *);
struct http_connection *http_connection_of(struct MHD_Connection *); /* NULL: there was no memory for it, and it is cut */

/* libmicrohttpd's callbacks; cls is the server. */
void http_on_connection(void *cls, struct MHD_Connection *, void **context, enum MHD_ConnectionNotificationCode);
void *http_on_begin(void *cls, const char *uri, struct MHD_Connection *);
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *, const char *url, const char *method, const char *version,
                                const char *upload, size_t *upload_n, void **request);
void http_on_end(void *cls, struct MHD_Connection *, void **request, enum MHD_RequestTerminationCode why);

#endif
