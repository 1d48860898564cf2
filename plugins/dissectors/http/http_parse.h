/* HTTP/1 message heads: start lines and header fields (RFC 9112 sections 2 to 5).
 *
 * Pure functions over slices: they keep nothing, allocate nothing and call nobody. What they return points into
 * the input and lives as long as it. The parser is lenient, because it reports what was on the wire rather than
 * serving it: what a strict recipient would refuse is accepted as long as its meaning is clear, and told in `fault`. */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include "../content/content_decode.h"

enum {
    HTTP_MAX_FIELDS = 256,    /* header fields that are kept of one head; more are read for framing only */
    HTTP_MAX_METHOD = 32,     /* bytes; the longest registered method has 17 */
    HTTP_MAX_RESYNC = 8192,   /* bytes of a start line that is looked for after a gap */
    HTTP_MAX_FIELD_NAME = 256 /* bytes of the field name that confirms it */
};

enum http_result {
    HTTP_MORE, /* cannot tell yet: more bytes are needed */
    HTTP_OK,
    HTTP_BAD /* is not what was asked for */
};

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };

/* How a message's end is found (RFC 9112 section 6.3). */
enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,  /* Content-Length says */
    HTTP_BODY_CHUNKED, /* the chunks say */
    HTTP_BODY_CLOSE,   /* the connection's end does */
    HTTP_BODY_UNKNOWN  /* a request whose transfer coding does not tell */
};

struct http_field {
    struct td_slice name;
    struct td_slice value; /* without the whitespace around it */
    bool folded;           /* the value runs over several lines: http_unfold() joins them */
};

struct http_head {
    /* Request line, */
    struct td_slice method, target;
    /* or status line. */
    struct td_slice reason;
    unsigned status;
    struct td_slice version; /* "1.1"; empty for a request line without version (HTTP/0.9) */

    /* Header fields that matter here, the first of each name, and what the framing fields add up to. */
    struct td_slice host, user_agent, content_type, upgrade;
    uint64_t content_length;
    bool has_length;                      /* content_length is valid */
    bool has_coding;                      /* Transfer-Encoding names something other than identity */
    bool chunked;                         /* ... and its last coding is chunked */
    bool connection_upgrade;              /* Connection names upgrade */
    uint8_t n_codings, n_content_codings; /* all; those of Content-Encoding, which come first */
    uint8_t codings[CONTENT_MAX_CODINGS]; /* content_coding, in the order in which they were applied */

    struct http_field *fields; /* the caller's array of HTTP_MAX_FIELDS, or NULL */
    size_t n_fields;
    bool dropped_fields; /* there were more */
    bool cut;            /* the end of the input, not an empty line, ended it */
    size_t size;         /* bytes, from the start line through the empty line */
    const char *fault;   /* the first breach of the rules, a constant string; NULL: none */
};

/* Reads a head from the beginning of `in`. The caller zeroes *head but for `fields`. HTTP_MORE: the empty line is not
 * there yet. `last`: nothing will be added; then complete lines are taken for the head, `cut` is set, and HTTP_MORE
 * means that not even the start line is whole. HTTP_BAD: does not begin with such a start line. */
enum http_result http_parse_head(struct td_slice in, enum http_kind kind, bool last, struct http_head *head);

/* The same without a start line: a trailer section. Never HTTP_BAD. */
enum http_result http_parse_trailers(struct td_slice in, bool last, struct http_head *head);

/* Does `in` hold the empty line that ends a head? The search begins at *scanned and leaves there how far it came, so
 * that a head that arrives in many pieces is searched once. */
bool http_find_end(struct td_slice in, size_t *scanned);

/* How the message ends. `to_head`: it answers a HEAD request. */
enum http_framing http_framing(const struct http_head *head, enum http_kind kind, bool to_head);

/* Joins a folded value with one space per fold (RFC 9112 section 5.2). `out` has room for value.n bytes; returns the
 * bytes written. */
size_t http_unfold(struct td_slice value, uint8_t *out);

/* Is there a message's start at the beginning of `in`, as strictly as befits a search in the middle of a
 * stream: a start line with HTTP/1.x, in requests a registered method, and a header field or the empty line behind it? */
enum http_result http_plausible(struct td_slice in, enum http_kind kind);

/* The registered methods that begin with `prefix` (case counts): 0 none, 1 some begin so, 2 it is one. */
int http_known_method(struct td_slice prefix);

bool http_is_token(struct td_slice s);

#endif
