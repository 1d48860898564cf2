/* Streams: each is one call, its request one half and its response the other (RFC 9113 section 5).
 *
 * A stream lives from its first frame until both halves have ended, or it is reset. After bytes were lost, a half may be there whose
 * other one never comes: those are told by the ids, which a client uses in ascending order. */
#ifndef HTTP2_STREAM_H
#define HTTP2_STREAM_H

#include "http2_call.h"

enum {
    HTTP2_MAX_STREAMS = 4096, /* that are open at a time; beyond that the oldest is given up */
    HTTP2_BUCKET_BITS = 6,
    HTTP2_BUCKETS = 1 << HTTP2_BUCKET_BITS,
    HTTP2_HEADLESS = 256, /* streams whose request may still come; beyond that the oldest one's is given up */
    HTTP2_LINGERING = 64, /* streams that the client has reset and that are kept for what is still on its way to it */
    HTTP2_RECENT = 32     /* streams that were over before their peer knew: what still comes of them is no news */
};

struct http2_half {
    struct content_body body;
    uint64_t data_frames, window; /* its DATA frames; bytes that WINDOW_UPDATE has allowed it to send */
    uint64_t content_end;         /* in what its side sends: where the newest byte of content ends */
    uint32_t losses;              /* of its side's, that it knows of */
    bool begun;                   /* its header list was seen */
    bool content;                 /* so were DATA frames */
    bool ended, cut;              /* nothing more comes; its end was not seen */
};

struct http2_stream {
    struct http2_stream *next; /* in its bucket, or in the list of free ones */
    struct http2_stream *older, *newer;
    struct http2_stream *headless_older, *headless_newer; /* if it is headless */
    struct td_call *call;
    struct content_child child;
    struct content_form *form; /* that the request's content is; NULL: none */
    struct http2_half half[2];
    uint32_t id, flags; /* td_commit_flag */
    uint32_t padding;
    bool by_server; /* a pushed one */
    bool headless;  /* its request may still come */
    bool lingers;   /* the client has reset it */
    bool tunnel;    /* the child is what an extended CONNECT has asked for */
};

struct http2_streams {
    struct http2_out *out;
    struct td_arena *arena;
    struct content_forms forms;
    struct http2_stream *buckets[HTTP2_BUCKETS];
    uint32_t spread; /* by which ids are spread over them, so that nobody can choose them to be in one; odd */
    struct http2_stream *oldest, *newest, *free;
    uint32_t n;
    uint32_t highest[2]; /* id that this side has opened */
    uint32_t unseen;     /* client's streams up to this id may have requests that were lost */
    struct http2_stream *headless_oldest, *headless_newest;
    uint32_t n_headless;
    uint32_t losses[2]; /* of bytes that this side sent, with any frames in them */
    uint32_t recent[HTTP2_RECENT], recent_n;
    struct http2_lingering {
        uint32_t id;
        uint32_t until_opened; /* streams of the client's */
        int64_t until_ns;
    } lingering[HTTP2_LINGERING];
    uint32_t lingering_first, lingering_n;
    uint32_t opened;    /* how many streams the client has opened */
    bool silent_client; /* nothing was seen of it */
    bool first_used;    /* stream 1 was seen, which after an upgrade has no request here */
};

/* `all` is zeroed but for what refers to others. */
void http2_streams_init(struct http2_streams *all);
struct http2_stream *http2_stream_find(struct http2_streams *all, uint32_t id);
/* A new stream; NULL when the connection's memory is used up. */
struct http2_stream *http2_stream_open(struct http2_streams *all, uint32_t id);
/* Was it over a moment ago? */
bool http2_stream_was_open(const struct http2_streams *all, uint32_t id);
/* Nothing more comes of this half; `cut`: its end was not seen. Once both are over the call is committed and the stream gone, and true is
 * returned. */
bool http2_stream_end(struct http2_streams *all, struct http2_stream *s, int dir, bool cut);
/* Both halves are over, whatever was seen of them. `why`: td_close_why, for the child. */
void http2_stream_finish(struct http2_streams *all, struct http2_stream *s, int why);
/* The client has reset it at this time: what is on its way of the response may still come, until the client has opened a few more
 * streams, or for a minute. */
void http2_stream_linger(struct http2_streams *all, struct http2_stream *s, int64_t now_ns);
/* Ends what has lingered long enough by now. */
void http2_streams_expire(struct http2_streams *all, int64_t now_ns);
/* The client has opened this stream, so that requests of lower ids that were not seen never come. */
void http2_streams_settle(struct http2_streams *all, uint32_t id);
/* Nothing more will come: commits what is open. `why`: td_close_why. */
void http2_streams_close(struct http2_streams *all, int why);

/* A header list that begins a half or ends it; interim responses. */
void http2_stream_request(struct http2_streams *all, struct http2_stream *s, const struct http2_list *list);
void http2_stream_response(struct http2_streams *all, struct http2_stream *s, const struct http2_list *list);
void http2_stream_trailers(struct http2_streams *all, struct http2_stream *s, int dir, const struct http2_list *list);

/* Bytes of `dir` were lost that may have held any frames: what was sent meanwhile on open streams is not known. Each stream finds out when
 * it is its turn, however many are open. */
void http2_streams_doubt(struct http2_streams *all, int dir);
/* ... which is before a frame of that side's is taken for it. */
void http2_stream_catch_up(struct http2_streams *all, struct http2_stream *s, int dir);

/* Content, which stood in [begin, end) of what `dir` sends. */
void http2_stream_data(struct http2_streams *all, struct http2_stream *s, int dir, struct td_slice content, uint64_t begin);
/* `n` bytes of content that are not there, or more. */
void http2_stream_miss(struct http2_streams *all, struct http2_stream *s, int dir, uint64_t n);
/* Does nobody look at the content that this side sends, or count it? (Who wants the size must see the bytes: a capture may end early.) */
bool http2_stream_may_skip(const struct http2_streams *all, const struct http2_stream *s, int dir);

#endif
