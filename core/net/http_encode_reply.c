/* Answers that are sent compressed, and their tags: to a cache, each coding is another thing with a tag of its own (RFC 9110
 * section 8.8.3.3). */
#include "base/log.h"
#include "base/mem.h"
#include "net/http_encoding.h"
#include "net/http_exchange.h"

static struct http_field *find_field(struct http_request *r, const char *name)
{
    for (struct http_field *field = r->reply.fields; field; field = field->next)
        if (td_eq_nocase(td_str(field->name), td_str(name)))
            return field;
    return NULL;
}

/* ---- Streams ---- */

enum { SOURCE_BLOCK = 64 << 10 };

struct encoded_stream {
    struct http_stream source;
    struct http_encoder *encoder;
    bool live, ended;
    struct buf out;
    size_t sent; /* of `out` */
    uint8_t in[SOURCE_BLOCK];
};

/* What is live is sent as soon as it is there; else output comes when there is enough of it. */
static int encode_more(struct encoded_stream *s, struct error *err)
{
    size_t n = 0;
    buf_reset(&s->out);
    s->sent = 0;
    int status = s->source.read(s->source.ctx, s->in, sizeof(s->in), &n, err);
    if (status != TD_OK)
        return status;
    s->ended = n == 0;
    enum http_coding_flush flush = s->ended ? HTTP_CODING_END : s->live ? HTTP_CODING_FLUSH : HTTP_CODING_MORE;
    return http_encode(s->encoder, td_bytes(s->in, n), flush, &s->out, err);
}

static int read_encoded(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct encoded_stream *s = ctx;
    int status = TD_OK;
    while (status == TD_OK && s->sent == s->out.n && !s->ended)
        status = encode_more(s, err);
    if (status != TD_OK)
        return status;
    *ret_n = s->out.n - s->sent < n ? s->out.n - s->sent : n;
    if (*ret_n)
        memcpy(p, s->out.p + s->sent, *ret_n);
    s->sent += *ret_n;
    return TD_OK;
}

static void close_encoded(void *ctx)
{
    struct encoded_stream *s = ctx;
    if (s->source.close)
        s->source.close(s->source.ctx);
    http_encoder_free(s->encoder);
    buf_clear(&s->out);
    mem_free(s);
}

/* False: it stays as it is. */
static bool encode_stream(struct http_request *r, enum http_coding coding)
{
    struct http_reply *reply = &r->reply;
    bool live = reply->compress == HTTP_COMPRESS_LIVE;
    struct encoded_stream *s = mem_calloc(1, sizeof(*s));
    if (!s || http_encoder_new(coding, live, &s->encoder, NULL) != TD_OK) {
        mem_free(s);
        return false;
    }
    s->source = reply->stream;
    s->live = live;
    reply->stream = (struct http_stream){s, read_encoded, close_encoded};
    reply->length = HTTP_LENGTH_UNKNOWN;
    return true;
}

/* ---- Bodies ---- */

/* False: it does not get shorter, or memory is short. */
static bool encode_body(struct http_request *r, enum http_coding coding)
{
    struct buf shorter = {.max = r->reply.body.n - 1};
    struct http_encoder *encoder = NULL;
    bool good = http_encoder_new(coding, false, &encoder, NULL) == TD_OK &&
                http_encode(encoder, buf_slice(&r->reply.body), HTTP_CODING_END, &shorter, NULL) == TD_OK;
    http_encoder_free(encoder);
    if (!good) {
        buf_clear(&shorter);
        return false;
    }
    buf_clear(&r->reply.body);
    r->reply.body = shorter;
    return true;
}

/* ---- Both ---- */

/* "v1" becomes "v1-zstd"; a weak tag stands for all codings. */
static void tag_coding(struct http_request *r, enum http_coding coding)
{
    struct http_field *tag = find_field(r, "ETag");
    size_t n = tag ? strlen(tag->value) : 0;
    if (n < 2 || tag->value[0] != '"' || tag->value[n - 1] != '"')
        return;
    struct buf text = {.max = 4096};
    buf_put(&text, tag->value, n - 1);
    buf_printf(&text, "-%s\"", http_coding_name(coding));
    const char *copy = text.failed ? NULL : arena_strndup(&r->arena, (const char *)text.p, text.n);
    buf_clear(&text);
    tag->value = copy ? copy : "W/\"\""; /* at least it is not that of another */
}

static bool may_encode(struct http_request *r)
{
    const struct http_reply *reply = &r->reply;
    if (reply->status == 204 || reply->status == 206 || reply->status == 304 || find_field(r, "Content-Encoding"))
        return false;
    if (reply->kind == HTTP_REPLY_STREAM)
        return reply->compress != HTTP_COMPRESS_NOT && !r->old_client;
    return reply->kind == HTTP_REPLY_BODY && reply->body.n >= HTTP_COMPRESS_FROM && http_type_is_text(reply->type);
}

void http_reply_encode(struct http_request *r)
{
    if (!may_encode(r))
        return;
    http_reply_header(r, "Vary", "Accept-Encoding");
    enum http_coding coding = http_coding_choose(http_header(r, "Accept-Encoding"));
    if (coding == HTTP_IDENTITY || !may_encode(r)) /* the field did not fit in, and it is a problem now */
        return;
    if (r->reply.kind == HTTP_REPLY_STREAM ? !encode_stream(r, coding) : !encode_body(r, coding))
        return;
    http_reply_header(r, "Content-Encoding", "%s", http_coding_name(coding));
    tag_coding(r, coding);
}

/* A body that the client has already is not sent again (RFC 9110 section 13.1.2). */
void http_reply_revalidate(struct http_request *r)
{
    const struct http_field *tag = find_field(r, "ETag");
    const char *known = http_header(r, "If-None-Match");
    bool reads = strcmp(r->method, "GET") == 0 || http_head_only(r);
    if (!tag || !known || !reads || r->reply.kind != HTTP_REPLY_BODY || r->reply.status != 200)
        return;
    const char *value = strncmp(tag->value, "W/", 2) == 0 ? tag->value + 2 : tag->value;
    size_t n = strlen(value);
    if (n > 2 && http_tag_listed(known, td_bytes(value + 1, n - 2)))
        http_reply_empty(r, 304);
}
