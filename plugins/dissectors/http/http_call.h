/* From parsed messages to the fields of a call. */
#ifndef HTTP_CALL_H
#define HTTP_CALL_H

#include "../content/content_body.h"
#include "../content/content_form.h"
#include "http_parse.h"

/* The component's fields; http.c documents them in this order. */
enum http_field_index {
    F_METHOD,
    F_URL,
    F_PATH,
    F_QUERY_STRING,
    F_REQUEST_TARGET,
    F_HOST,
    F_HTTP_VERSION,
    F_RESPONSE_VERSION,
    F_STATUS_CODE,
    F_REASON,
    F_INFORMATIONAL,
    F_USER_AGENT,
    F_REQUEST_CONTENT_TYPE,
    F_RESPONSE_CONTENT_TYPE,
    F_REQUEST_HEADERS,
    F_RESPONSE_HEADERS,
    F_REQUEST_TRAILERS,
    F_RESPONSE_TRAILERS,
    F_REQUEST_COOKIES,
    F_RESPONSE_COOKIES,
    F_REQUEST_QUERY,
    F_REQUEST_FORM,
    F_PART_NAMES,
    F_PART_FILE_NAMES,
    F_PART_SIZES,
    F_REQUEST_HEADERS_SIZE,
    F_RESPONSE_HEADERS_SIZE,
    F_REQUEST_BODY_SIZE,
    F_RESPONSE_BODY_SIZE,
    F_REQUEST_BODY,
    F_RESPONSE_BODY,
    F_COUNT
};

struct http_config {
    uint64_t max_body, max_head; /* bytes */
    bool decode_bodies;
};

/* The component's instance. */
struct http {
    const struct td_host *host;
    struct td_inst *inst;
    const struct http_config *config;
};

/* Where the fields go. */
struct http_out {
    const struct http *http;
    struct td_conn *conn;
    uint32_t wanted; /* a bit for each field that somebody will look at */
};

static inline bool http_wants(const struct http_out *out, unsigned field)
{
    return out->wanted >> field & 1;
}

void http_set_request(const struct http_out *out, struct td_call *call, const struct http_head *head);
/* `alone`: no request is known, so that the version is the response's. */
void http_set_response(const struct http_out *out, struct td_call *call, const struct http_head *head, bool alone);
void http_set_trailers(const struct http_out *out, struct td_call *call, int dir, const struct http_head *head);

void http_body_begin(const struct http_out *out, int dir, const struct http_head *head, struct content_body *body);
void http_body_add(const struct http_out *out, struct td_call *call, int dir, struct content_body *body, struct td_slice content);
struct content_sink http_sink(const struct http_out *out, struct td_call *call, int dir);
/* Sets the size and decodes what was kept. Returns 0, or TD_PARTIAL when that was not possible to its end. */
uint32_t http_body_end(const struct http_out *out, struct td_call *call, int dir, struct content_body *body);

#endif
