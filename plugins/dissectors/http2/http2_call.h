/* From header lists to the fields of a call. */
#ifndef HTTP2_CALL_H
#define HTTP2_CALL_H

#include "http2_frame.h"
#include "http2_list.h"
#include "http2_memory.h"

#include "../content/content_body.h"
#include "../content/content_form.h"

/* The component's fields; http2.c documents them in this order. */
enum http2_field_index {
    F_METHOD,
    F_URL,
    F_PATH,
    F_QUERY_STRING,
    F_REQUEST_TARGET,
    F_HOST,
    F_HTTP_VERSION,
    F_RESPONSE_VERSION,
    F_STATUS_CODE,
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
    F_STREAM_ID,
    F_SCHEME,
    F_PROTOCOL,
    F_ERROR,
    F_RESET_BY,
    F_PUSHED,
    F_PROMISED_ON,
    F_UPGRADED,
    F_WEIGHT,
    F_DEPENDENCY,
    F_EXCLUSIVE,
    F_PRIORITY,
    F_REQUEST_DATA_FRAMES,
    F_RESPONSE_DATA_FRAMES,
    F_PADDING,
    F_REQUEST_WINDOW,
    F_RESPONSE_WINDOW,
    F_CLIENT_SETTINGS,
    F_SERVER_SETTINGS,
    F_GOAWAY,
    F_COUNT
};

struct http2_config {
    uint64_t max_body, max_head; /* bytes */
    bool decode_bodies;
};

/* The component's instance. */
struct http2 {
    const struct td_host *host;
    struct td_inst *inst;
    const struct http2_config *config;
};

/* Where the fields go. */
struct http2_out {
    const struct http2 *http2;
    struct td_conn *conn;
    uint64_t wanted; /* a bit for each field that somebody will look at */
};

static inline bool http2_wants(const struct http2_out *out, unsigned field)
{
    return out->wanted >> field & 1;
}

/* Is there anything in a request's, response's header list that must be decoded for the call's fields? */
void http2_set_request(const struct http2_out *out, struct td_call *call, const struct http2_list *list);
/* `alone`: no request is known, so that the version is the response's. */
void http2_set_response(const struct http2_out *out, struct td_call *call, const struct http2_list *list, bool alone);
void http2_set_trailers(const struct http2_out *out, struct td_call *call, int dir, const struct http2_list *list);
void http2_set_priority(const struct http2_out *out, struct td_call *call, const struct http2_priority *priority);
/* `settings`: six bytes each (RFC 9113 section 6.5.1). */
void http2_set_settings(const struct http2_out *out, struct td_call *call, int dir, struct td_slice settings);

static inline void http2_set_number(const struct http2_out *out, struct td_call *call, unsigned field, uint64_t value)
{
    if (http2_wants(out, field))
        out->http2->host->set_u64(call, field, value);
}

#endif
