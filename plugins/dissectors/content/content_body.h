/* The body of a message while it passes: as much of it as is wanted goes into a field of its call, and is decoded there at its end. */
#ifndef CONTENT_BODY_H
#define CONTENT_BODY_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include "content_decode.h"
#include "tapedeck/plugin.h"

/* Where a body goes. */
struct content_sink {
    const struct td_host *host;
    struct td_conn *conn;
    struct td_call *call;
    uint32_t field; /* with TD_F_BODY */
    uint64_t max;   /* bytes that are kept, before and after decoding; at most 64 MiB */
};

struct content_body {
    uint64_t size; /* content so far: without framing, before decoding */
    uint64_t kept; /* of it, bytes in the field */
    bool keep;     /* more shall be kept */
    bool decoded;  /* at its end: what stands in the field is without codings; */
    bool cut;      /* ... and is not all of it */
    uint8_t n_codings;
    uint8_t codings[CONTENT_MAX_CODINGS]; /* content_coding, in the order in which they were applied */
};

/* `keep`: the field is wanted. */
void content_body_begin(struct content_body *body, bool keep, const uint8_t *codings, uint8_t n_codings);
void content_body_add(struct content_body *body, const struct content_sink *sink, struct td_slice content);
/* Content that is not there: lost, or passed over. What follows a hole is not kept, as it would not be what was sent. */
void content_body_miss(struct content_body *body, uint64_t n);
/* Decodes what was kept. Returns 0, or TD_PARTIAL when that was not possible to its end. */
uint32_t content_body_end(struct content_body *body, const struct content_sink *sink, bool decode);

/* What a child sees at the point "http.content" (plugin.h, sub_open()). Content of application/grpc* (whose key lacks +json and the
 * like) is given to it as it comes, with its content codings; other content that has some, decoded and at its end: what could not be
 * decoded is a gap. */
struct content_child {
    struct td_conn *sub; /* NULL: there is none, or it has ended its claim */
    bool raw;
};

/* Opens a child on this call if the media type in this Content-Type has one. */
void content_child_open(struct content_child *child, const struct content_sink *sink, struct td_slice content_type);
/* A request without content has its query string for it, which is a form, if it has one of the parameters in which GraphQL asks: opens a
 * child for these; gives it the query, which stood at `begin` of what the client sends, once the call's fields are set. More is not
 * given of what the client sends. */
void content_child_open_query(struct content_child *child, const struct content_sink *sink, struct td_slice query);
void content_child_query(struct content_child *child, const struct content_sink *sink, struct td_slice query, uint64_t begin);
/* Clients like to name a type also where they send nothing: by GET and HEAD it says nothing of the request. */
static inline bool content_asks_by_query(struct td_slice method, struct td_slice content_type)
{
    return !content_type.n || td_eq(method, TD_LIT("GET")) || td_eq(method, TD_LIT("HEAD"));
}
/* The query of a request target. */
static inline struct td_slice content_query(struct td_slice target)
{
    const uint8_t *mark = target.n ? (const uint8_t *)memchr(target.p, '?', target.n) : NULL;
    return mark ? td_sub(target, (size_t)(mark - target.p) + 1, target.n) : td_bytes(NULL, 0);
}
/* Is content given to it as it comes? */
static inline bool content_child_follows(const struct content_child *child, const struct content_body *body)
{
    return child->sub && (child->raw || !body->n_codings);
}
/* Content, which stood at `begin` of what `dir` sends; content that is missing, `n` bytes or more. */
void content_child_data(struct content_child *child, const struct content_sink *sink, const struct content_body *body, int dir,
                        struct td_slice content, uint64_t begin);
void content_child_gap(struct content_child *child, const struct content_sink *sink, const struct content_body *body, int dir, uint64_t n);
/* Behind content_body_end(): the content's last byte stood before `end`. */
void content_child_end(struct content_child *child, const struct content_sink *sink, const struct content_body *body, int dir,
                       uint64_t end);

#endif
