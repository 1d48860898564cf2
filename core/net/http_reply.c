#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/units.h"
#include "net/http_exchange.h"
#include "net/http_range.h"

void http_reply_clear(struct http_request *r, bool fields)
{
    struct http_reply *reply = &r->reply;
    if (reply->kind == HTTP_REPLY_STREAM && reply->stream.close)
        reply->stream.close(reply->stream.ctx);
    if (reply->kind == HTTP_REPLY_OBJECT && reply->object.close)
        reply->object.close(reply->object.ctx);
    buf_clear(&reply->body);
    *reply = (struct http_reply){.fields = fields ? NULL : reply->fields};
}

/* ---- Problems ---- */

static void put_problem(struct http_request *r, unsigned status, const char *code, const char *detail)
{
    struct buf *b = &r->reply.body;
    if (status >= 500)
        log_event(TD_LOG_WARN, r->server->component, "%s %s: %u %s: %s", r->method, r->text, status, code, detail);
    http_reply_clear(r, false);
    r->reply.kind = HTTP_REPLY_BODY;
    r->reply.status = status;
    r->reply.type = "application/problem+json";
    buf_lit(b, "{\"type\":\"about:blank\",\"title\":");
    json_put_string(b, td_str(MHD_get_reason_phrase_for(status)));
    buf_printf(b, ",\"status\":%u,\"detail\":", status);
    json_put_string(b, td_str(detail));
    buf_lit(b, ",\"code\":");
    json_put_string(b, td_str(code));
    buf_lit(b, "}\n");
    if (b->failed)
        buf_clear(b); /* the status has to do */
}

void http_reply_problem(struct http_request *r, unsigned status, const char *code, const char *fmt, ...)
{
    char detail[sizeof(((struct error *)0)->text)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    put_problem(r, status, code, detail);
}

void http_reply_error(struct http_request *r, const struct error *err)
{
    static const struct {
        int error;
        unsigned status;
        const char *code;
    } kinds[] = {
        {TD_E_CONFIG, 400, "invalid_request"}, {TD_E_DENIED, 403, "not_allowed"},        {TD_E_NOT_FOUND, 404, "not_found"},
        {TD_E_EXISTS, 409, "exists"},          {TD_E_UNSUPPORTED, 501, "not_supported"}, {TD_E_NOMEM, 503, "out_of_memory"},
        {TD_E_LIMIT, 503, "limit_reached"},    {TD_E_RETRY, 503, "temporary_failure"},   {TD_E_CANCELLED, 503, "cancelled"},
        {TD_E_CORRUPT, 500, "corrupt_data"},
    };
    http_reply_clear(r, true);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].error == err->status) {
            put_problem(r, kinds[i].status, kinds[i].code, err->text);
            return;
        }
    }
    put_problem(r, 500, "internal_error", err->text);
}

/* ---- What handlers call ---- */

static char *copy(struct http_request *r, const char *s)
{
    char *p = arena_strndup(&r->arena, s, strlen(s));
    if (!p)
        put_problem(r, 503, "out_of_memory", "out of memory");
    return p;
}

void http_reply_body(struct http_request *r, unsigned status, const char *type, struct buf *body)
{
    struct buf taken = *body;
    *body = (struct buf){.max = body->max};
    http_reply_clear(r, false);
    r->reply.kind = HTTP_REPLY_BODY;
    r->reply.status = status;
    r->reply.body = taken;
    if (taken.failed)
        put_problem(r, 503, "out_of_memory", "the answer is longer than there is room for");
    else if (type && !(type = copy(r, type)))
        return;
    else
        r->reply.type = type;
}

void http_reply_empty(struct http_request *r, unsigned status)
{
    struct buf nothing = {.n = 0};
    http_reply_body(r, status, NULL, &nothing);
}

void http_reply_stream(struct http_request *r, unsigned status, const char *type, int64_t length, const struct http_stream *stream)
{
    http_reply_clear(r, false);
    r->reply.kind = HTTP_REPLY_STREAM;
    r->reply.status = status;
    r->reply.stream = *stream;
    r->reply.length = length;
    if (type && !(type = copy(r, type)))
        return;
    r->reply.type = type;
}

void http_reply_compress(struct http_request *r, bool live)
{
    if (r->reply.kind == HTTP_REPLY_STREAM)
        r->reply.compress = live ? HTTP_COMPRESS_LIVE : HTTP_COMPRESS_BLOCKS;
}

static void add_field(struct http_request *r, const char *name, const char *value)
{
    struct http_field *field = arena_alloc(&r->arena, sizeof(*field), _Alignof(struct http_field));
    char *name_copy = copy(r, name), *value_copy = copy(r, value);
    if (!field || !name_copy || !value_copy)
        return;
    *field = (struct http_field){name_copy, value_copy, r->reply.fields};
    r->reply.fields = field;
}

void http_reply_header(struct http_request *r, const char *name, const char *fmt, ...)
{
    char value[2048];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(value))
        log_event(TD_LOG_WARN, r->server->component, "the field %s of an answer is too long; it is left out", name);
    else
        add_field(r, name, value);
}

/* Is our tag among those of the field (RFC 9110 section 13.1.2)? Tags hold no commas and no quotes. */
bool http_tag_listed(const char *list, struct td_slice etag)
{
    size_t n = etag.n;
    while (*list) {
        list += strspn(list, ", \t");
        size_t length = strcspn(list, ", \t");
        const char *tag = list;
        size_t tag_n = length;
        list += length;
        if (tag_n == 1 && *tag == '*')
            return true;
        if (tag_n > 2 && memcmp(tag, "W/", 2) == 0) {
            tag += 2;
            tag_n -= 2;
        }
        if (tag_n == n + 2 && tag[0] == '"' && (n == 0 || memcmp(tag + 1, etag.p, n) == 0) && tag[n + 1] == '"')
            return true;
    }
    return false;
}

/* A range only holds for the object that the client knows (RFC 9110 section 13.1.5). We have no dates, so only a tag can tell. */
static bool range_holds(const char *condition, const char *etag)
{
    if (!condition)
        return true;
    size_t n = etag ? strlen(etag) : 0;
    return etag && strlen(condition) == n + 2 && condition[0] == '"' && memcmp(condition + 1, etag, n) == 0 && condition[n + 1] == '"';
}

static void take_object(struct http_request *r, const char *type, const struct http_object *object)
{
    http_reply_clear(r, false);
    r->reply.kind = HTTP_REPLY_OBJECT;
    r->reply.status = 200;
    r->reply.object = *object;
    r->reply.length = (int64_t)object->size;
    if (type && (type = copy(r, type)))
        r->reply.type = type;
}

void http_reply_object(struct http_request *r, const char *type, const struct http_object *object)
{
    const char *etag = object->etag ? copy(r, object->etag) : NULL; /* closing the object may free it */
    const char *known = http_header(r, "If-None-Match");
    uint64_t size = object->size;
    take_object(r, type, object);
    add_field(r, "Accept-Ranges", "bytes");
    if (etag)
        http_reply_header(r, "ETag", "\"%s\"", etag);
    if (etag && known && http_tag_listed(known, td_str(etag))) {
        http_reply_empty(r, 304);
        return;
    }
    if (http_head_only(r) || !range_holds(http_header(r, "If-Range"), etag))
        return;
    struct http_range range = http_range_parse(http_header(r, "Range"), size);
    if (range.kind == HTTP_RANGE_OUTSIDE) {
        http_reply_header(r, "Content-Range", "bytes */%" PRIu64, size);
        http_reply_problem(r, 416, "range_outside", "the range lies behind the end; there are %" PRIu64 " bytes", size);
    } else if (range.kind == HTTP_RANGE_PART && r->reply.kind == HTTP_REPLY_OBJECT) {
        http_reply_header(r, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.first, range.first + range.length - 1, size);
        r->reply.status = 206;
        r->reply.first = range.first;
        r->reply.length = (int64_t)range.length;
    }
}

/* ---- To libmicrohttpd ---- */

/* A stream that is cut must not look like one that has ended. */
static ssize_t cut(struct http_request *r, const struct error *err)
{
    r->broken = true;
    if (!atomic_load(&r->server->stopping))
        log_event(TD_LOG_WARN, r->server->component, "%s %s: cut after %" PRIu64 " bytes: %s", r->method, r->text, r->sent, err->text);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* libmicrohttpd takes the time that a stream needs for more bytes for idling, and would cut the connection after it. Its count begins anew
 * where there was no limit. */
static void not_idle(struct http_request *r)
{
    MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
    MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, r->server->idle_s);
}

static ssize_t pull(void *cls, uint64_t at, char *p, size_t n)
{
    struct http_request *r = cls;
    struct http_reply *reply = &r->reply;
    struct error err = {.text = "the server stops"};
    size_t got = 0;
    int64_t begin_ns = http_now_ns();
    int status;
    if (atomic_load(&r->server->stopping))
        return cut(r, &err);
    if (reply->kind == HTTP_REPLY_OBJECT)
        status = reply->object.read_at(reply->object.ctx, reply->first + at, p, n, &got, &err);
    else
        status = reply->stream.read(reply->stream.ctx, p, n, &got, &err);
    if (http_now_ns() - begin_ns > NS_PER_S)
        not_idle(r);
    if (status == TD_OK && got == 0 && reply->length == HTTP_LENGTH_UNKNOWN)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (status == TD_OK && got == 0)
        error_set(&err, TD_E_INTERNAL, "it ended before the length that was told, %" PRId64, reply->length);
    if (status != TD_OK || got == 0)
        return cut(r, &err);
    r->sent += got;
    atomic_fetch_add(&r->server->sent_bytes, got);
    return (ssize_t)got;
}

static struct MHD_Response *make_response(struct http_request *r)
{
    struct http_reply *reply = &r->reply;
    if (reply->kind == HTTP_REPLY_BODY)
        return MHD_create_response_from_buffer(reply->body.n, reply->body.p, MHD_RESPMEM_PERSISTENT);
    uint64_t length = reply->length == HTTP_LENGTH_UNKNOWN ? MHD_SIZE_UNKNOWN : (uint64_t)reply->length;
    struct MHD_Response *response = MHD_create_response_from_callback(length, HTTP_BLOCK, pull, r, NULL);
    /* libmicrohttpd 0.9.75 ends even the chunks of a body that HEAD does not get; without chunks it says nothing. */
    if (response && http_head_only(r) && length == MHD_SIZE_UNKNOWN)
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

static bool add_fields(struct http_request *r, struct MHD_Response *response)
{
    bool good = true, cache_control = false;
    for (const struct http_field *field = r->reply.fields; field; field = field->next) {
        good = good && MHD_add_response_header(response, field->name, field->value) == MHD_YES;
        cache_control = cache_control || td_eq_nocase(td_str(field->name), TD_LIT("Cache-Control"));
    }
    if (r->reply.type)
        good = good && MHD_add_response_header(response, "Content-Type", r->reply.type) == MHD_YES;
    if (!cache_control) /* captured data must not lie around in caches */
        good = good && MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
    return good && MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
}

/* A client that knows no chunks would take the end of the connection for the end of the stream, cut or not. */
static void refuse_old_client(struct http_request *r)
{
    if (r->old_client && r->reply.kind == HTTP_REPLY_STREAM && r->reply.length == HTTP_LENGTH_UNKNOWN)
        put_problem(r, 505, "http_version",
                    "this needs HTTP/1.1, with which a client can tell a cut stream from a whole one; of nginx as a "
                    "proxy: proxy_http_version 1.1");
}

enum MHD_Result http_reply_send(struct http_request *r)
{
    refuse_old_client(r);
    http_reply_encode(r);
    http_reply_revalidate(r);
    struct MHD_Response *response = make_response(r);
    if (response && !add_fields(r, response)) {
        MHD_destroy_response(response);
        log_event(TD_LOG_WARN, r->server->component, "%s %s: a field of the answer cannot be sent", r->method, r->text);
        http_reply_clear(r, true);
        put_problem(r, 500, "internal_error", "a header field of the answer cannot be sent");
        response = make_response(r);
        if (response && !add_fields(r, response)) {
            MHD_destroy_response(response);
            response = NULL;
        }
    }
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(r->connection, r->reply.status, response);
    MHD_destroy_response(response);
    r->queued = result == MHD_YES;
    if (r->queued && r->reply.kind == HTTP_REPLY_BODY && !http_head_only(r)) {
        r->sent = r->reply.body.n;
        atomic_fetch_add(&r->server->sent_bytes, r->sent);
    }
    return result;
}
