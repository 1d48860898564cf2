#include "http2_call.h"

#include "tapedeck/cursor.h"

#include "../content/content_text.h"

static void set_text(const struct http2_out *out, struct td_call *call, unsigned field, struct td_slice value)
{
    if (value.n)
        out->http2->host->set_bytes(call, field, value);
}

static void set_headers(const struct http2_out *out, struct td_call *call, unsigned field, const struct http2_list *list)
{
    uint32_t i;
    for (i = 0; i < list->n; i++)
        out->http2->host->set_pair(call, field, http2_item_name(list, &list->items[i]), http2_item_value(list, &list->items[i]));
}

static void set_cookie(const struct http2_out *out, struct td_call *call, unsigned field, struct td_slice pair)
{
    const uint8_t *sign = (const uint8_t *)memchr(pair.p, '=', pair.n);
    size_t n = sign ? (size_t)(sign - pair.p) : pair.n;
    out->http2->host->set_pair(call, field, content_trim(td_sub(pair, 0, n)), content_trim(td_sub(pair, n + 1, pair.n)));
}

/* RFC 6265: a Cookie field lists pairs, and there may be several fields here (RFC 9113 section 8.2.3); a Set-Cookie field begins with a
 * pair, and its attributes follow. */
static void set_cookies(const struct http2_out *out, struct td_call *call, unsigned field, const struct http2_list *list)
{
    struct td_slice wanted = field == F_REQUEST_COOKIES ? TD_LIT("cookie") : TD_LIT("set-cookie");
    uint32_t i;
    if (!http2_wants(out, field))
        return;
    for (i = 0; i < list->n; i++) {
        struct td_slice rest = http2_item_value(list, &list->items[i]), pair;
        if (list->items[i].flags & HTTP2_VALUE_UNKNOWN || !td_eq_nocase(http2_item_name(list, &list->items[i]), wanted))
            continue;
        while (content_next_element(&rest, ';', &pair)) {
            set_cookie(out, call, field, pair);
            if (field == F_RESPONSE_COOKIES)
                break;
        }
    }
}

static size_t put(uint8_t *room, size_t at, struct td_slice s)
{
    if (s.n)
        memcpy(room + at, s.p, s.n);
    return at + s.n;
}

/* RFC 9113 section 8.3.1. Without an authority, what there is of the target; but not if it is only unknown. */
static void set_url(const struct http2_out *out, struct td_call *call, const struct http2_list *list, struct td_slice host)
{
    struct td_slice scheme = list->http1 ? TD_LIT("http") : list->scheme, between = TD_LIT("://"),
                    path = td_eq(list->path, TD_LIT("*")) ? td_bytes(NULL, 0) : list->path;
    size_t n = 0;
    uint8_t *room;
    if (!http2_wants(out, F_URL) || (list->unknown && !path.n))
        return;
    if (!host.n || !scheme.n) {
        if (!list->unknown)
            set_text(out, call, F_URL, list->path.n ? list->path : host);
        return;
    }
    room = (uint8_t *)out->http2->host->scratch(out->conn, scheme.n + between.n + host.n + path.n);
    if (!room)
        return;
    n = put(room, n, scheme);
    n = put(room, n, between);
    n = put(room, n, host);
    n = put(room, n, path);
    out->http2->host->set_bytes(call, F_URL, td_bytes(room, n));
}

static void set_target(const struct http2_out *out, struct td_call *call, const struct http2_list *list)
{
    struct td_slice path = list->path, host = list->authority.n ? list->authority : list->host;
    const uint8_t *mark = path.n ? (const uint8_t *)memchr(path.p, '?', path.n) : NULL;
    if (path.n || !list->unknown)
        set_text(out, call, F_REQUEST_TARGET, path.n ? path : list->authority);
    if (mark) {
        struct td_slice query = td_sub(path, (size_t)(mark - path.p) + 1, path.n);
        set_text(out, call, F_QUERY_STRING, query);
        if (http2_wants(out, F_REQUEST_QUERY))
            content_set_query(out->http2->host, out->conn, call, F_REQUEST_QUERY, query);
        path.n = (size_t)(mark - path.p);
    }
    set_text(out, call, F_PATH, path);
    set_text(out, call, F_HOST, host);
    set_url(out, call, list, host);
}

void http2_set_request(const struct http2_out *out, struct td_call *call, const struct http2_list *list)
{
    set_text(out, call, F_METHOD, list->method);
    set_text(out, call, F_SCHEME, list->scheme);
    set_text(out, call, F_PROTOCOL, list->protocol);
    set_target(out, call, list);
    set_text(out, call, F_HTTP_VERSION, list->http1 ? TD_LIT("1.1") : TD_LIT("2"));
    set_text(out, call, F_USER_AGENT, list->user_agent);
    set_text(out, call, F_REQUEST_CONTENT_TYPE, list->content_type);
    set_text(out, call, F_PRIORITY, list->priority);
    set_headers(out, call, F_REQUEST_HEADERS, list);
    set_cookies(out, call, F_REQUEST_COOKIES, list);
    http2_set_number(out, call, F_REQUEST_HEADERS_SIZE, list->block_size);
}

void http2_set_response(const struct http2_out *out, struct td_call *call, const struct http2_list *list, bool alone)
{
    unsigned status = http2_list_status(list);
    if (status)
        http2_set_number(out, call, F_STATUS_CODE, status);
    if (alone)
        set_text(out, call, F_HTTP_VERSION, TD_LIT("2"));
    set_text(out, call, F_RESPONSE_VERSION, TD_LIT("2"));
    set_text(out, call, F_RESPONSE_CONTENT_TYPE, list->content_type);
    set_headers(out, call, F_RESPONSE_HEADERS, list);
    set_cookies(out, call, F_RESPONSE_COOKIES, list);
    http2_set_number(out, call, F_RESPONSE_HEADERS_SIZE, list->block_size);
}

void http2_set_trailers(const struct http2_out *out, struct td_call *call, int dir, const struct http2_list *list)
{
    set_headers(out, call, dir == TD_CLIENT ? F_REQUEST_TRAILERS : F_RESPONSE_TRAILERS, list);
}

void http2_set_priority(const struct http2_out *out, struct td_call *call, const struct http2_priority *priority)
{
    http2_set_number(out, call, F_WEIGHT, priority->weight);
    http2_set_number(out, call, F_DEPENDENCY, priority->dependency);
    http2_set_number(out, call, F_EXCLUSIVE, priority->exclusive);
}

static size_t put_number(char *room, uint32_t value)
{
    char digits[10];
    size_t n = 0, i;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (i = 0; i < n; i++)
        room[i] = digits[n - 1 - i];
    return n;
}

void http2_set_settings(const struct http2_out *out, struct td_call *call, int dir, struct td_slice settings)
{
    unsigned field = dir == TD_CLIENT ? F_CLIENT_SETTINGS : F_SERVER_SETTINGS;
    struct td_cursor c = td_cursor(settings);
    if (!http2_wants(out, field))
        return;
    while (td_left(&c) >= 6) {
        char id[10], value[10];
        uint16_t number = td_be16(&c);
        size_t value_n = put_number(value, td_be32(&c));
        const char *name = http2_setting_name(number);
        struct td_slice key = name ? td_str(name) : td_bytes(id, put_number(id, number));
        out->http2->host->set_pair(call, field, key, td_bytes(value, value_n));
    }
}
