/* Forms, as browsers and clients of APIs send them: application/x-www-form-urlencoded (the URL Standard, section 5), which query strings
 * are as well, and multipart/form-data (RFC 7578). Nothing here allocates. */
#ifndef FORM_H
#define FORM_H

#include "tapedeck/slice.h"

/* The next pair of a urlencoded form: cut off *rest, not decoded yet. False at the end. Empty pairs are skipped. */
bool form_next_pair(struct td_slice *rest, struct td_slice *ret_name, struct td_slice *ret_value);
/* Decodes into `room`, which has `in.n` bytes: %xx, and + as a space. What is no escape stays as it is. Returns `in` itself if there is
 * nothing to decode. */
struct td_slice form_decode(struct td_slice in, uint8_t *room);

/* The boundary parameter of a Content-Type; empty: there is none. */
struct td_slice form_boundary(struct td_slice content_type);
/* A parameter of a header field's value: name="value" behind a semicolon, the quotes taken off. Empty: it is not there. */
struct td_slice form_parameter(struct td_slice value, const char *name);
/* The value of a field in a part's head: lines that end with LF or CRLF. Empty: it is not there. */
struct td_slice form_part_field(struct td_slice head, const char *name);

enum {
    FORM_MAX_BOUNDARY = 70, /* RFC 2046 section 5.1.1 */
    FORM_MAX_HEAD = 1024    /* bytes of a part's head; of a longer one the rest is passed over */
};

/* A multipart form while it passes. All zero but the boundary: at its beginning. */
struct form_parts {
    uint8_t delimiter[4 + FORM_MAX_BOUNDARY]; /* CR LF - - boundary */
    uint8_t delimiter_n;
    uint8_t state;
    uint8_t matched; /* bytes of the delimiter that the content may end with */
    uint8_t lent;    /* of these, which are no part of the content */
    uint8_t head[FORM_MAX_HEAD];
    uint16_t head_n;
    uint64_t size; /* of the part's content so far */
};

enum form_event {
    FORM_MORE,    /* all bytes are used */
    FORM_HEAD,    /* a part's head is in `head` */
    FORM_CONTENT, /* content of the part, in *ret; may come in many pieces */
    FORM_PART_END /* the part is over; its size is in `size` */
};

/* False: no boundary, or too long a one. */
bool form_parts_begin(struct form_parts *parts, struct td_slice boundary);
/* What comes next in *in, from which it is cut off. Content may lie in `in` or in `parts`. */
enum form_event form_parts_next(struct form_parts *parts, struct td_slice *in, struct td_slice *ret);

#endif
