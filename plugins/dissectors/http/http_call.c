#include "http_call.h"

#include "../content/content_text.h"

static void set_text(const struct http_out *out, struct td_call *call, unsigned field, struct td_slice value)
{
    if (value.n && http_wants(out, field))
        out->http->host->set_bytes(call, field, value);
}

/* A header's value, unfolded if need be. The slice lives until the next scratch(). */
static struct td_slice plain_value(const struct http_out *out, struct td_slice value)
{
    uint8_t *room;
    if (value.n == 0 || !memchr(value.p, '\n', value.n))
        return value;
    room = (uint8_t *)out->http->host->scratch(out->conn, value.n);
    return room ? td_bytes(room, http_unfold(value, room)) : value;
}

static void set_value(const struct http_out *out, struct td_call *call, unsigned field, struct td_slice value)
{
    if (value.n && http_wants(out, field))
        out->http->host->set_bytes(call, field, plain_value(out, value));
}

static void set_headers(const struct http_out *out, struct td_call *call, unsigned field, const struct http_head *head)
{
    const struct td_host *host = out->http->host;
    size_t i;
    if (!http_wants(out, field))
        return;
    for (i = 0; i < head->n_fields; i++) {
        const struct http_field *f = &head->fields[i];
        host->set_pair(call, field, f->name, f->folded ? plain_value(out, f->value) : f->value);
    }
}

static void set_cookie(const struct http_out *out, struct td_call *call, unsigned field, struct td_slice pair)
{
    const uint8_t *sign = (const uint8_t *)memchr(pair.p, '=', pair.n);
    size_t n = sign ? (size_t)(sign - pair.p) : pair.n;
    out->http->host->set_pair(call, field, content_trim(td_sub(pair, 0, n)), content_trim(td_sub(pair, n + 1, pair.n)));
}

/* RFC 6265: a Cookie field lists pairs; a Set-Cookie field begins with one, and its attributes follow. */
static void set_cookies(const struct http_out *out, struct td_call *call, unsigned field, const struct http_head *head)
{
    struct td_slice name = field == F_REQUEST_COOKIES ? TD_LIT("cookie") : TD_LIT("set-cookie");
    size_t i;
    if (!http_wants(out, field))
        return;
    for (i = 0; i < head->n_fields; i++) {
        const struct http_field *f = &head->fields[i];
        struct td_slice list = f->value, pair;
        if (!td_eq_nocase(f->name, name))
            continue;
        while (content_next_element(&list, ';', &pair)) {
            set_cookie(out, call, field, pair);
            if (field == F_RESPONSE_COOKIES)
                break;
        }
    }
}

/* ---- The request's target (RFC 9112 section 3.2) ----------------------------------------------------------------- */

/* "scheme://authority" at the beginning of an absolute-form target: its length; 0: another form. */
static size_t authority_end(struct td_slice target, size_t *ret_authority)
{
    size_t i = 0;
    while (i < target.n && i < 16 && (uint8_t)(td_ascii_lower(target.p[i]) - 'a') < 26u)
        i++;
    if (i == 0 || !td_starts(td_sub(target, i, target.n), TD_LIT("://")))
        return 0;
    *ret_authority = i += 3;
    while (i < target.n && target.p[i] != '/' && target.p[i] != '?')
        i++;
    return i;
}

/* The host was on the wire, the scheme was not: what can be read here was not encrypted, so it is http. */
static void set_url(const struct http_out *out, struct td_call *call, struct td_slice target, struct td_slice host)
{
    struct td_slice scheme = TD_LIT("http://");
    uint8_t *room;
    if (!http_wants(out, F_URL))
        return;
    if (td_eq(target, TD_LIT("*")))
        target.n = 0;
    room = (uint8_t *)out->http->host->scratch(out->conn, scheme.n + host.n + target.n);
    if (!room)
        return;
    memcpy(room, scheme.p, scheme.n);
    memcpy(room + scheme.n, host.p, host.n);
    if (target.n)
        memcpy(room + scheme.n + host.n, target.p, target.n);
    out->http->host->set_bytes(call, F_URL, td_bytes(room, scheme.n + host.n + target.n));
}

static void set_target(const struct http_out *out, struct td_call *call, const struct http_head *head)
{
    struct td_slice target = head->target, path = target, query, host = head->host;
    size_t authority = 0, end = authority_end(target, &authority);
    const uint8_t *mark;
    set_text(out, call, F_REQUEST_TARGET, target);
    if (end) {
        path = td_sub(target, end, target.n);
        if (!host.n)
            host = td_sub(target, authority, end);
    }
    mark = path.n ? (const uint8_t *)memchr(path.p, '?', path.n) : NULL;
    if (mark) {
        query = td_sub(path, (size_t)(mark - path.p) + 1, path.n);
        path.n = (size_t)(mark - path.p);
        set_text(out, call, F_QUERY_STRING, query);
        if (http_wants(out, F_REQUEST_QUERY))
            content_set_query(out->http->host, out->conn, call, F_REQUEST_QUERY, query);
    }
    if (td_eq(head->method, TD_LIT("CONNECT")))
        path.n = 0;
    else if (path.n == 0)
        path = TD_LIT("/");
    set_text(out, call, F_PATH, path);
    set_value(out, call, F_HOST, host);
    if (host.n && !end && (target.p[0] == '/' || td_eq(target, TD_LIT("*"))))
        set_url(out, call, target, host);
    else
        set_text(out, call, F_URL, target);
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

void http_set_request(const struct http_out *out, struct td_call *call, const struct http_head *head)
{
    set_text(out, call, F_METHOD, head->method);
    set_target(out, call, head);
    set_text(out, call, F_HTTP_VERSION, head->version.n ? head->version : TD_LIT("0.9"));
    set_value(out, call, F_USER_AGENT, head->user_agent);
    set_value(out, call, F_REQUEST_CONTENT_TYPE, head->content_type);
    set_headers(out, call, F_REQUEST_HEADERS, head);
    set_cookies(out, call, F_REQUEST_COOKIES, head);
    if (http_wants(out, F_REQUEST_HEADERS_SIZE))
        out->http->host->set_u64(call, F_REQUEST_HEADERS_SIZE, head->size);
}

void http_set_response(const struct http_out *out, struct td_call *call, const struct http_head *head, bool alone)
{
    if (http_wants(out, F_STATUS_CODE))
        out->http->host->set_u64(call, F_STATUS_CODE, head->status);
    if (alone)
        set_text(out, call, F_HTTP_VERSION, head->version);
    set_text(out, call, F_RESPONSE_VERSION, head->version);
    set_text(out, call, F_REASON, head->reason);
    set_value(out, call, F_RESPONSE_CONTENT_TYPE, head->content_type);
    set_headers(out, call, F_RESPONSE_HEADERS, head);
    set_cookies(out, call, F_RESPONSE_COOKIES, head);
    if (http_wants(out, F_RESPONSE_HEADERS_SIZE))
        out->http->host->set_u64(call, F_RESPONSE_HEADERS_SIZE, head->size);
}

void http_set_trailers(const struct http_out *out, struct td_call *call, int dir, const struct http_head *head)
{
    set_headers(out, call, dir == TD_CLIENT ? F_REQUEST_TRAILERS : F_RESPONSE_TRAILERS, head);
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------ */

static unsigned body_field(int dir)
{
    return dir == TD_CLIENT ? F_REQUEST_BODY : F_RESPONSE_BODY;
}

struct content_sink http_sink(const struct http_out *out, struct td_call *call, int dir)
{
    return (struct content_sink){out->http->host, out->conn, call, body_field(dir), out->http->config->max_body};
}

void http_body_begin(const struct http_out *out, int dir, const struct http_head *head, struct content_body *body)
{
    bool keep = out->http->config->max_body > 0 && http_wants(out, body_field(dir));
    content_body_begin(body, keep, head->codings, head->n_codings);
}

void http_body_add(const struct http_out *out, struct td_call *call, int dir, struct content_body *body, struct td_slice content)
{
    struct content_sink sink = http_sink(out, call, dir);
    content_body_add(body, &sink, content);
}

uint32_t http_body_end(const struct http_out *out, struct td_call *call, int dir, struct content_body *body)
{
    struct content_sink sink = http_sink(out, call, dir);
    unsigned size_field = dir == TD_CLIENT ? F_REQUEST_BODY_SIZE : F_RESPONSE_BODY_SIZE;
    if (http_wants(out, size_field))
        out->http->host->set_u64(call, size_field, body->size);
    return content_body_end(body, &sink, out->http->config->decode_bodies);
}
