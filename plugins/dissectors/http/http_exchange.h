/* Exchanges: which response answers which request (RFC 9112 section 9.3: in the order of the requests).
 *
 * When bytes were lost, that order no longer says everything. On a connection whose client waits for each answer (nearly all),
 * causality still does: a response that begins after a request answers the latest one. On one that pipelines, nothing
 * does: then both halves are reported alone, rather than paired wrongly, until the client waits for answers again. */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "http_call.h"

enum {
    HTTP_MAX_WAITING = 1024, /* requests that wait for an answer; beyond that the oldest is given up */
    HTTP_TURNS_TO_TRUST = 3  /* turns of request and answer after which pairing is trusted again */
};

/* Bytes of the client were lost, and with them perhaps requests. */
enum http_hole {
    HTTP_NO_HOLE,
    HTTP_HOLE,         /* since then nothing came from the server: what was lost is not answered yet */
    HTTP_HOLE_ANSWERED /* since then something came (or was lost): a client that waits is owed nothing more */
};

struct http_exchange {
    struct http_exchange *next;
    struct td_call *call;
    struct content_child child;
    uint64_t number;    /* of the request on its connection */
    uint32_t flags;     /* td_commit_flag */
    uint8_t done;       /* bits 1 << TD_CLIENT, 1 << TD_SERVER: this half is over */
    uint8_t after_hole; /* http_hole before it */
    bool lone;          /* a response whose request was not seen */
    bool is_head, is_connect, is_upgrade;
};

struct http_pairing {
    struct http_exchange *waiting, **waiting_end; /* no final response yet, oldest first */
    struct http_exchange *free;
    struct td_arena *arena;
    uint64_t next_number;
    uint64_t doubtful; /* requests below this number may have been answered unseen */
    uint32_t n_waiting;
    uint32_t given_up; /* answers of requests that were given up and may still come */
    uint32_t turns;    /* while `lost`: request, answer, request, answer */
    uint8_t hole;      /* http_hole since the last request */
    bool pipelined;    /* the client does not wait for answers */
    bool lost;         /* order means nothing */
    bool answered;     /* while `lost`: the last message was a response */
};

void http_pairing_init(struct http_pairing *p, struct td_arena *arena);

/* A new request; NULL when the connection's memory is used up. */
struct http_exchange *http_exchange_request(struct http_pairing *p, const struct http_out *out);
/* The exchange that a final response belongs to: that of a request, or a new one of its own. NULL as above. */
struct http_exchange *http_exchange_response(struct http_pairing *p, const struct http_out *out);
/* The exchange that an interim response belongs to, or NULL. */
struct http_exchange *http_exchange_interim(struct http_pairing *p);

/* One half is over. Commits the call once both are; then the exchange is gone and true is returned. */
bool http_exchange_end(struct http_pairing *p, const struct http_out *out, struct http_exchange *e, int dir, uint32_t flags);

/* Bytes of `dir` were lost that may have held any number of messages. `unread`: the client has sent more than was read. */
void http_pairing_gap(struct http_pairing *p, int dir, bool unread);

/* Bytes of the server were passed over that may have been answers. */
static inline void http_pairing_doubt(struct http_pairing *p)
{
    p->doubtful = p->next_number;
}

/* Nothing more will come: commits what waits for an answer. */
void http_pairing_close(struct http_pairing *p, const struct http_out *out);

#endif
