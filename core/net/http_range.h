/* The Range field of a request (RFC 9110 section 14.2): one range of bytes. */
#ifndef NET_HTTP_RANGE_H
#define NET_HTTP_RANGE_H

#include <stdint.h>

enum http_range_kind {
    HTTP_RANGE_NONE,    /* not given, not understood, or several: the whole is to be sent */
    HTTP_RANGE_PART,    /* [first, first + length) */
    HTTP_RANGE_OUTSIDE, /* 416 */
};

struct http_range {
    enum http_range_kind kind;
    uint64_t first, length;
};

/* `field` may be NULL; `size` is that of the whole. */
struct http_range http_range_parse(const char *field, uint64_t size);

#endif
