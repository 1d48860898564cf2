/* Inside the dissector: a connection's state, and the parts of its machine that live in different files.
 *
 * Each direction is in one state; a state's function takes what input there is and says how much of it is done with. */
#ifndef HTTP_STATE_H
#define HTTP_STATE_H

#include "http_chunked.h"
#include "http_exchange.h"

enum http_side_state {
    HTTP_AT_START, /* a message begins here */
    HTTP_LOOKING,  /* after a gap or nonsense: for the next line that begins a message */
    HTTP_IN_LENGTH,
    HTTP_IN_CHUNKS,
    HTTP_IN_TRAILERS,
    HTTP_IN_CLOSE,   /* the body runs to the connection's end */
    HTTP_IN_QUESTION /* behind the head of a response to an unknown request: which may have been HEAD, without a body */
};

/* What one direction is in. */
struct http_side {
    uint8_t state;     /* http_side_state */
    uint8_t framing;   /* HTTP_IN_QUESTION: http_framing of the body, if there is one */
    bool line_start;   /* HTTP_LOOKING: the next byte begins a line */
    bool kept_back;    /* the last data() left bytes unused because of `tunnel` */
    uint64_t seen;     /* stream offset up to which bytes were shown before: a packet begins there */
    size_t scanned;    /* of the unused bytes: no head or trailer section ends in them */
    uint64_t body_end; /* HTTP_IN_LENGTH: stream offset. HTTP_IN_QUESTION: the length */
    uint64_t content;  /* where the newest byte of the body ends */
    uint64_t marked;   /* the message's bytes before this offset are marked */
    struct http_chunked chunked;
    struct content_body body;
    struct content_form *form;      /* that the body is; NULL: none */
    struct http_exchange *exchange; /* of the message that is being read */
};

/* The newest request to upgrade. */
struct http_asked {
    uint64_t number; /* of its exchange */
    bool answer_lost;
    size_t protocol_n, target_n, host_n;
    uint8_t protocol[32]; /* in lower case, without version */
    uint8_t bytes[1024];  /* the target, then the host; 0: longer than this */
};

struct http_conn {
    struct http_out out;
    struct td_arena *arena;
    struct http_out full; /* for calls with a child that sees the content as it was sent: it may read any field */
    struct http_out more; /* for calls with another child: what content is can be read */
    struct http_pairing pairing;
    struct content_forms forms;
    struct http_side side[2];
    /* A request to tunnel or to upgrade. Until its answer is known, what the client sends next may be HTTP or not. */
    struct http_exchange *tunnel;
    struct http_asked *asked; /* NULL: nobody asked to upgrade yet */
    /* The client's bytes from `held` to `handled` are such a request, for h2c. They are not reported as used while `holding`: HTTP/2, which
     * answers it, shall see them again. */
    uint64_t held, handled;
    bool holding;
    bool confirmed;
    bool keep_fields; /* somebody wants header fields or cookies */
    bool doubtful;    /* neither a port nor the user speaks for HTTP */
    bool over;        /* handed over to another protocol */
};

/* What a state's handler did. */
struct http_outcome {
    size_t used; /* may be more than there was: skip */
    enum { HTTP_GO_ON, HTTP_WAIT, HTTP_LOST } then;
};

static inline struct http_outcome http_go_on(size_t used)
{
    return (struct http_outcome){used, HTTP_GO_ON};
}

static inline struct http_outcome http_wait_after(size_t used)
{
    return (struct http_outcome){used, HTTP_WAIT};
}

static inline struct http_outcome http_lost(void)
{
    return (struct http_outcome){0, HTTP_LOST};
}

/* Bytes at hand, with their place in the stream. */
struct http_input {
    struct td_slice bytes;
    uint64_t offset;
    bool last; /* nothing can be added to them */
};

static inline uint64_t http_add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The message's bytes reach to `end`, from `begin` or from where they are marked already. */
static inline void http_mark(struct http_conn *c, int dir, uint64_t begin, uint64_t end)
{
    struct http_side *side = &c->side[dir];
    if (begin < side->marked)
        begin = side->marked;
    if (begin < end)
        c->out.http->host->mark(side->exchange->call, dir, begin, end);
    side->marked = end;
}

static inline void http_violation(struct http_conn *c, const char *why)
{
    if (why)
        c->out.http->host->violation(c->out.conn, why);
}

/* http_transfer.c: bodies and the ends of messages. */

/* Enters the body that begins at `offset`; the message's bytes from `begin` on are not marked yet. */
void http_begin_body(struct http_conn *c, int dir, enum http_framing framing, uint64_t begin, uint64_t offset, uint64_t length);
/* For the states from HTTP_IN_LENGTH on. */
struct http_outcome http_in_body(struct http_conn *c, int dir, const struct http_input *in);
/* Is the body's end still known behind a gap? Then the gap is passed over like content. */
bool http_gap_in_body(struct http_conn *c, int dir, uint64_t offset, uint64_t len);
/* The message that is being read is over; `cut`: before its end. */
void http_end_message(struct http_conn *c, int dir, bool cut);
/* Its end cannot be known: looks for the next one's start. */
void http_abandon_message(struct http_conn *c, int dir, bool line_start);
/* `line_start`: the next byte begins a line, or may do so. */
void http_look_for_start(struct http_side *side, bool line_start);

/* http_upgrade.c: handing the connection over. */

/* Keeps what a request to upgrade asked for, until its answer. */
void http_note_upgrade(struct http_conn *c, const struct http_exchange *e, const struct http_head *head);
/* The answer to this one was lost, or its end: what comes that is no HTTP may be the protocol that was asked for. */
void http_lose_answer(struct http_conn *c, const struct http_exchange *e);
/* No HTTP is found where the client goes on. True: the connection is handed over. */
bool http_try_asked(struct http_conn *c);
/* What this exchange's request asked for; NULL: not known. */
const struct http_asked *http_asked_of(const struct http_conn *c, const struct http_exchange *e);
/* The connection goes on in another protocol: a tunnel's content, or what the Upgrade field names. Its dissector is told ":status", what
 * is known of ":path" and ":authority", and the fields of the 101 response. */
void http_hand_over(struct http_conn *c, const struct http_input *in, const struct http_asked *asked, const struct http_head *head);

/* http_message.c: start lines and heads. */

/* The same head with its fields; `fields` has HTTP_MAX_FIELDS. */
bool http_reread(const struct http_input *in, enum http_kind kind, struct http_field *fields, struct http_head *ret);

struct http_outcome http_at_start(struct http_conn *c, int dir, const struct http_input *in);
struct http_outcome http_looking(struct http_conn *c, int dir, const struct http_input *in);

#endif
