/* Inside the dissector: a connection's state, and the parts of its machine that live in different files. */
#ifndef HTTP2_STATE_H
#define HTTP2_STATE_H

#include "http2_conn.h"
#include "http2_stream.h"

enum {
    HTTP2_MAX_FRAME_SEEN = 1 << 20,      /* bytes of a payload; more than that is taken for a loss of the framing */
    HTTP2_MAX_DATA_SEEN = (1 << 24) - 1, /* as large as a peer may allow: content is not kept for its frame's end */
    HTTP2_MAX_GOAWAYS = 8,               /* of a side, that are looked at */
    HTTP2_MAX_SETTINGS = 16,             /* that are told with one call */
    HTTP2_MAX_LOOK = 48 * 1024           /* bytes that are kept while looking for a frame */
};

enum http2_side_state {
    HTTP2_AT_PREFACE, /* what a client sends first */
    HTTP2_AT_FRAME,
    HTTP2_IN_DATA, /* content, then padding */
    HTTP2_IN_SKIP, /* the rest of a frame that is not read */
    HTTP2_LOOKING  /* after a gap or nonsense: for the next frame */
};

/* A header block that is spread over several frames. */
struct http2_block {
    uint8_t *bytes;
    size_t n, cap;
    uint32_t stream;
    uint32_t promised; /* by a PUSH_PROMISE; else 0 */
    bool open, end_stream, too_long;
    bool has_priority;
    struct http2_priority priority;
};

/* What one direction is in. */
struct http2_side {
    uint8_t state;          /* http2_side_state */
    bool packet_start;      /* HTTP2_LOOKING: nothing was passed over yet in what begins at `seen` */
    bool end_stream;        /* HTTP2_IN_DATA: the frame ends the stream's half */
    uint32_t stream;        /* HTTP2_IN_DATA: whose content; 0: nobody's */
    uint32_t content, rest; /* bytes to come: of content; behind it, or to be passed over */
    uint64_t seen;          /* stream offset up to which bytes were shown before: a packet begins there */
    struct http2_hpack hpack;
    struct http2_block block;
    uint8_t settings[HTTP2_MAX_SETTINGS * 6]; /* since the call before, to be told with the next */
    uint8_t settings_n, goaways;
};

struct http2_conn {
    struct http2_out out;
    struct http2_memory memory;
    struct http2_streams streams;
    struct http2_side side[2];
    struct http2_list list;
    int64_t now_ns; /* of the newest packet */
    bool confirmed, midstream, begun;
};

/* Bytes at hand, with their place in the stream. */
struct http2_input {
    struct td_slice bytes;
    uint64_t offset;
    bool last; /* nothing can be added to them */
};

static inline void http2_violation(struct http2_conn *c, const char *why)
{
    c->out.http2->host->violation(c->out.conn, why);
}

static inline void http2_confirm(struct http2_conn *c)
{
    if (!c->confirmed)
        c->out.http2->host->confirm(c->out.conn);
    c->confirmed = true;
}

/* http2_block.c: header blocks. */

/* HEADERS, PUSH_PROMISE, CONTINUATION: whole, at [begin, end) of what `dir` sends. */
void http2_on_headers(struct http2_conn *c, int dir, const struct http2_frame *frame, const struct http2_payload *payload, uint64_t begin);
/* The stream that a header list belongs to, perhaps a new one; NULL: none, as it is over or memory is short. */
struct http2_stream *http2_stream_for(struct http2_conn *c, int dir, uint32_t id);
/* The HTTP/1.1 request at the front of `in` that asked to go on here: into the connection's list. Returns its bytes; 0: there is none. */
size_t http2_take_upgrade(struct http2_conn *c, struct td_slice in);
/* The block that is being put together, or the next one, is not to be read. */
void http2_lose_blocks(struct http2_conn *c, int dir);

/* http2_sync.c */

/* How many bytes of the input lie before the next frame; *ret_found: one begins there. Else *ret_need bytes must be there behind them
 * before it is worth to look again, 0: any. */
size_t http2_look(struct http2_conn *c, int dir, const struct http2_input *in, bool *ret_found, size_t *ret_need);
int http2_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice in);

#endif
