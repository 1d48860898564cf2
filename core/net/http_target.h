/* The target of a request, taken apart and decoded (RFC 3986, RFC 9112 section 3.2). */
#ifndef NET_HTTP_TARGET_H
#define NET_HTTP_TARGET_H

#include "base/error.h"

enum { HTTP_MAX_SEGMENTS = 16, HTTP_MAX_PARAMETERS = 32 };

struct http_parameter {
    const char *name, *value; /* "" if there is no "=" */
};

struct http_target {
    const char *segments[HTTP_MAX_SEGMENTS]; /* of the path, without slashes; "/" has none */
    size_t segment_count;
    struct http_parameter parameters[HTTP_MAX_PARAMETERS];
    size_t parameter_count;
};

/* Decodes in `text`, which `ret` points into afterwards. TD_E_CONFIG: percent signs without two hexadecimal digits, text that is not
 * UTF-8, control characters (in the query only zeros), segments that are "." or "..", too many of something. */
int http_target_parse(char *text, struct http_target *ret, struct error *err) MUST_CHECK;

/* Are all parameters among `known` (ends with NULL; NULL: none), and each at most once? TD_E_CONFIG: names the one that is not, and the
 * nearest that is. */
int http_target_check(const struct http_target *, const char *const *known, struct error *err) MUST_CHECK;

/* Does a path with names in braces fit? */
bool http_target_fits(const struct http_target *, const char *pattern);
/* The segment that "{name}" stands for in a pattern that fits; NULL: no such name. */
const char *http_target_segment(const struct http_target *, const char *pattern, const char *name);

#endif
