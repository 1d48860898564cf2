/* Removing objects, one by one and many at once. */
#include "s3.h"

#include <stdlib.h>

static const int64_t ns_per_s = 1000000000;

/* ---- One ---- */

static int settle_removal(struct s3 *s, struct s3_request *r)
{
    int status = s3_settle(s, r);
    return status == TD_E_NOT_FOUND && !s3_is_error(r, "NoSuchBucket") ? TD_OK : status;
}

int s3_remove(void *self, const char *key)
{
    struct s3 *s = self;
    struct s3_request r = {.method = "DELETE", .key = key};
    int status = s3_run_alone(s, &r);
    if (status == TD_E_NOT_FOUND && !s3_is_error(&r, "NoSuchBucket"))
        status = TD_OK;
    s3_request_clear(&r);
    return status;
}

/* ---- One by one, several on the way ---- */

struct removal {
    struct s3_request r;
    bool busy;
};

static int settle_done(struct s3 *s, struct removal *v, size_t n, size_t *busy)
{
    int status = TD_OK;
    for (size_t i = 0; i < n; i++) {
        if (!v[i].busy || !v[i].r.x.done)
            continue;
        int one = settle_removal(s, &v[i].r);
        status = status == TD_OK ? one : status;
        s3_request_clear(&v[i].r);
        v[i].busy = false;
        --*busy;
    }
    return status;
}

static int start_removal(struct s3 *s, struct cloud_session *session, struct removal *v, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].busy)
            continue;
        v[i].r = (struct s3_request){.method = "DELETE", .key = key};
        int status = s3_prepare(s, &v[i].r);
        if (status == TD_OK)
            status = cloud_start(session, &v[i].r.x);
        v[i].busy = status == TD_OK;
        if (status != TD_OK)
            s3_request_clear(&v[i].r);
        return status;
    }
    return TD_OK;
}

static int remove_singly(struct s3 *s, const char *const *keys, size_t n)
{
    size_t parallel = (size_t)s->config->parallel_parts, busy = 0;
    struct cloud_session *session = NULL;
    struct removal *v = calloc(parallel, sizeof(*v));
    int status = v ? cloud_http_take(s->http, &session) : s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    for (size_t at = 0; status == TD_OK && (at < n || busy);) {
        for (; status == TD_OK && at < n && busy < parallel; at++, busy++)
            status = start_removal(s, session, v, parallel, keys[at]);
        if (status == TD_OK)
            status = cloud_wait(session, ns_per_s);
        if (status == TD_OK)
            status = settle_done(s, v, parallel, &busy);
    }
    cloud_http_give(s->http, session);
    for (size_t i = 0; v && i < parallel; i++)
        if (v[i].busy)
            s3_request_clear(&v[i].r);
    free(v);
    return status;
}

/* ---- Many at once: DeleteObjects ---- */

static void put_escaped(struct cloud_text *t, const char *text)
{
    for (; *text; text++) {
        const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
        if (entity)
            cloud_puts(t, entity);
        else
            cloud_put(t, text, 1);
    }
}

static void put_document(struct cloud_text *t, const char *const *keys, size_t n)
{
    cloud_puts(t, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for (size_t i = 0; i < n; i++) {
        cloud_puts(t, "<Object><Key>");
        put_escaped(t, keys[i]);
        cloud_puts(t, "</Key></Object>");
    }
    cloud_puts(t, "</Delete>");
}

/* The first key that could not be removed, and why. */
struct refusals {
    struct s3_error at_hand, first;
    char key_at_hand[TD_KEY_MAX + 1], key[TD_KEY_MAX + 1];
    size_t n;
};

static void copy(char *into, size_t room, const char *text)
{
    size_t n = strnlen(text, room - 1);
    memcpy(into, text, n);
    into[n] = 0;
}

static int read_refusal(void *ctx, const char *path, const char *text)
{
    struct refusals *f = ctx;
    if (text && strcmp(path, "Error/Key") == 0)
        copy(f->key_at_hand, sizeof(f->key_at_hand), text);
    if (text && strcmp(path, "Error/Code") == 0)
        copy(f->at_hand.code, sizeof(f->at_hand.code), text);
    if (text && strcmp(path, "Error/Message") == 0)
        copy(f->at_hand.message, sizeof(f->at_hand.message), text);
    if (text || strcmp(path, "Error") != 0)
        return 0;
    if (strcmp(f->at_hand.code, "NoSuchKey") != 0 && f->n++ == 0) {
        f->first = f->at_hand;
        memcpy(f->key, f->key_at_hand, sizeof(f->key));
    }
    memset(&f->at_hand, 0, sizeof(f->at_hand));
    return 0;
}

static int read_refusals(struct s3 *s, struct s3_request *r)
{
    struct refusals *f = calloc(1, sizeof(*f));
    if (!f)
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    int status = cloud_xml(td_bytes(r->x.answer.p, r->x.answer.n), "DeleteResult", read_refusal, f);
    if (status != TD_OK) {
        status = s->host->fail(s->inst, status, "%s: what came is no answer to removing objects", s->config->bucket);
    } else if (f->n) {
        r->key = f->key;
        status = s3_error_tell(s, r, 500, &f->first); /* the request itself went well; what has no name may pass */
    }
    r->key = NULL;
    free(f);
    return status;
}

/* Some services say so in words of their own. */
static bool is_not_implemented(const struct s3_request *r)
{
    unsigned status = r->x.status;
    return status == 501 || status == 405 || s3_is_error(r, "NotImplemented") || s3_is_error(r, "MethodNotAllowed") ||
           (status == 400 && (s3_is_error(r, "InvalidArgument") || s3_is_error(r, "InvalidRequest") || !r->error.code[0]));
}

static int remove_at_once(struct s3 *s, const char *const *keys, size_t n, bool *ret_not_implemented)
{
    struct s3_request r = {.method = "POST"};
    struct cloud_text document = {0}, md5 = {0};
    uint8_t sum[CLOUD_MD5];
    put_document(&document, keys, n);
    int status = document.failed || !cloud_md5(td_bytes(document.p, document.n), sum) ? TD_E_NOMEM : TD_OK;
    if (status == TD_OK) {
        cloud_put_base64(&md5, sum, sizeof(sum));
        s3_parameter(&r, "delete", "");
        s3_header(&r, "Content-MD5: %s", cloud_cstr(&md5));
        s3_header(&r, "Content-Type: application/xml");
        r.x.body = document.p;
        r.x.body_n = document.n;
        status = s3_run_alone(s, &r);
        *ret_not_implemented = status != TD_OK && is_not_implemented(&r);
        if (status == TD_OK)
            status = read_refusals(s, &r);
    } else {
        status = s->host->fail(s->inst, status, "out of memory");
    }
    s3_request_clear(&r);
    cloud_text_clear(&document);
    cloud_text_clear(&md5);
    return status;
}

int s3_remove_many(void *self, const char *const *keys, size_t n)
{
    struct s3 *s = self;
    bool not_implemented = false;
    if (!atomic_load_explicit(&s->removes_singly, memory_order_relaxed)) {
        int status = remove_at_once(s, keys, n, &not_implemented);
        if (!not_implemented)
            return status;
    }
    int status = remove_singly(s, keys, n);
    if (status == TD_OK && not_implemented)
        atomic_store_explicit(&s->removes_singly, true, memory_order_relaxed);
    return status;
}
