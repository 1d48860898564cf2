/* Server-sent events (WHATWG HTML, section "Server-sent events"): an answer that goes on as things happen.
 *
 * Browsers that lose it ask again by themselves, and tell the id of the last event that they got. */
#ifndef NET_HTTP_EVENTS_H
#define NET_HTTP_EVENTS_H

#include "net/http_request.h"

enum {
    HTTP_EVENTS_MAX = 4 << 20, /* bytes that one call of next() may append */
    HTTP_EVENTS_WAIT_MS = 250, /* the longest that next() is asked to wait; so soon it is seen that the client has left */
    HTTP_HEARTBEAT_MS =
        15000, /* so long without an event, a comment is sent, or proxies give the connection up; sooner where idle_s is short */
    HTTP_LAST_EVENT_ID = 256, /* bytes */
};

struct http_event {
    const char *id;       /* NULL: none. Without line breaks, or it is left out */
    const char *name;     /* NULL: "message" */
    struct td_slice data; /* UTF-8; may have several lines */
};
void http_put_event(struct buf *, const struct http_event *);

struct http_events {
    void *ctx;
    /* [thread of the connection] Appends with http_put_event() what came since the last call. If there is nothing, it waits for something,
     * at most `wait_ms`; nothing appended is fine then. *ret_end, false before: nothing more will come. After an error the connection is
     * cut, and the client asks again. */
    int (*next)(void *ctx, unsigned wait_ms, struct buf *out, bool *ret_end, struct error *err);
    void (*close)(void *ctx); /* always called, once; may be NULL */
};
/* Answers 200 with events until they end, the client leaves, its token is taken away, or the server stops. Sent compressed to clients that
 * accept it. */
void http_reply_events(struct http_request *, const struct http_events *);
/* The id of the last event that the client got before it lost the connection; NULL: it begins, or the id is none of ours. */
const char *http_last_event_id(const struct http_request *);

#endif
