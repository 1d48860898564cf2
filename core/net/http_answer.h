/* What the HTTP client takes apart itself of an answer: everything here was written by the other side. */
#ifndef NET_HTTP_ANSWER_H
#define NET_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tapedeck/slice.h"

/* "Name: value" with the line's end. False: no field. The value has no white space around it. */
bool http_field_split(struct td_slice line, struct td_slice *ret_name, struct td_slice *ret_value);
/* Digits and nothing else, up to INT64_MAX. */
bool http_number_parse(struct td_slice text, int64_t *ret);

struct http_content_range {
    int64_t first, n; /* n > 0, and first + n does not overflow */
    int64_t size;     /* of the whole; -1: not told */
};
/* RFC 9110 section 14.4, of a part: "bytes 0-99/1000", "bytes 0-99/" and an asterisk. */
bool http_content_range_parse(struct td_slice value, struct http_content_range *ret);

/* The tag without quotes and without W/. False: not one, or too long for `ret`. */
bool http_etag_parse(struct td_slice value, char *ret, size_t size);

struct http_problem {
    char code[64];    /* of letters, digits, ".", "_" and "-"; "": none */
    char detail[512]; /* one line of UTF-8 without control characters, cut; "": none */
};
/* RFC 9457. Whatever cannot be understood leaves both empty. */
void http_problem_parse(struct td_slice body, struct http_problem *ret);

/* The td_status that says what a status of HTTP means; TD_OK for 2xx. As net/http_client.h has it. */
int http_status_error(unsigned status);
/* Do both have the same scheme, host and port (RFC 6454)? */
bool http_same_origin(const char *url, const char *other);

#endif
