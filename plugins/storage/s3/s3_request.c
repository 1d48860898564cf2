/* Requests: described, signed, sent, settled. */
#include "s3.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- Describing ---- */

void s3_parameter(struct s3_request *r, const char *name, const char *value)
{
    if (r->parameter_n < S3_MAX_PARAMETERS)
        r->parameters[r->parameter_n] = (struct s3_parameter){name, value};
    r->parameter_n++; /* too many: signing fails */
}

void s3_header(struct s3_request *r, const char *fmt, ...)
{
    char line[CLOUD_MAX_HEADER];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    struct cloud_text *t = &r->lines[r->line_n < S3_MAX_LINES ? r->line_n : S3_MAX_LINES - 1];
    t->n = 0;
    cloud_puts(t, line);
    if (n < 0 || (size_t)n >= sizeof(line) || r->line_n == S3_MAX_LINES)
        t->failed = true;
    else
        r->line_n++;
}

void s3_request_clear(struct s3_request *r)
{
    for (size_t i = 0; i < S3_MAX_LINES; i++)
        cloud_text_clear(&r->lines[i]);
    cloud_text_clear(&r->url);
    cloud_text_clear(&r->host);
    s3_signature_clear(&r->signature);
    s3_keys_clear(&r->keys);
    cloud_exchange_clear(&r->x);
}

/* ---- Signing ---- */

static int hash_body(struct s3_request *r)
{
    uint8_t sum[CLOUD_SHA256];
    struct cloud_text hex = {0};
    if (!cloud_sha256(td_bytes(r->x.body, r->x.body ? (size_t)r->x.body_n : 0), sum))
        return TD_E_NOMEM;
    cloud_put_hex(&hex, sum, sizeof(sum));
    int status = hex.failed ? TD_E_NOMEM : TD_OK;
    if (status == TD_OK)
        memcpy(r->payload, hex.p, S3_HEX_SHA256);
    cloud_text_clear(&hex);
    return status;
}

static int sign(struct s3_request *r, size_t path)
{
    const char *headers[S3_MAX_LINES];
    for (size_t i = 0; i < r->line_n; i++)
        headers[i] = cloud_cstr(&r->lines[i]);
    struct s3_signing signing = {.method = r->method,
                                 .host = cloud_cstr(&r->host),
                                 .path = cloud_cstr(&r->url) + path,
                                 .parameters = r->parameters,
                                 .parameter_n = r->parameter_n,
                                 .headers = headers,
                                 .header_n = r->line_n,
                                 .payload_sha256 = r->payload_sha256 ? r->payload_sha256 : r->payload,
                                 .keys = &r->keys,
                                 .region = r->region,
                                 .service = "s3",
                                 .time_ns = cloud_now_ns(),
                                 .sends_payload_header = true};
    return s3_sign(&signing, &r->signature);
}

static void fill_exchange(struct s3_request *r)
{
    struct cloud_exchange *x = &r->x;
    x->header_n = 0;
    for (size_t i = 0; i < r->line_n; i++)
        x->headers[x->header_n++] = cloud_cstr(&r->lines[i]);
    x->headers[x->header_n++] = r->signature.date;
    x->headers[x->header_n++] = r->signature.payload;
    if (r->signature.token.n)
        x->headers[x->header_n++] = cloud_cstr(&r->signature.token);
    x->headers[x->header_n++] = cloud_cstr(&r->signature.authorization);
    x->method = r->method;
    x->url = cloud_cstr(&r->url);
}

int s3_prepare(struct s3 *s, struct s3_request *r)
{
    size_t path;
    int status = s3_credentials_get(s->credentials, &r->keys);
    if (status != TD_OK)
        return status;
    s3_region(s, r->region);
    s3_put_url(s, r->region, r->key, &r->url, &r->host, &path);
    bool failed = r->url.failed || r->host.failed;
    for (size_t i = 0; i < S3_MAX_LINES; i++)
        failed = failed || r->lines[i].failed;
    if (!failed && !r->payload_sha256)
        status = hash_body(r);
    if (!failed && status == TD_OK)
        status = sign(r, path);
    if (r->parameter_n && status == TD_OK) {
        cloud_puts(&r->url, "?");
        s3_put_query(&r->url, r->parameters, r->parameter_n);
    }
    if (failed || r->url.failed || status == TD_E_NOMEM)
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    if (status != TD_OK || r->url.n > CLOUD_MAX_URL)
        return s->host->fail(s->inst, TD_E_INTERNAL, "%s: a request that cannot be signed", s->config->bucket);
    fill_exchange(r);
    return TD_OK;
}

/* ---- What came of it ---- */

int s3_settle(struct s3 *s, struct s3_request *r)
{
    struct cloud_exchange *x = &r->x;
    memset(&r->error, 0, sizeof(r->error));
    if (x->stopped)
        return x->stopped;
    if (x->failure != TD_OK)
        return s->host->fail(s->inst, x->failure, "%s%s%.500s at %s: %s", s->config->bucket, r->key ? "/" : "", r->key ? r->key : "",
                             cloud_cstr(&r->host), x->why);
    struct td_slice answer = td_bytes(x->answer.p, x->answer.n);
    bool well = x->status >= 200 && x->status < 300;
    if (well && !s3_is_error_answer(answer))
        return TD_OK;
    s3_error_read(answer, &r->error);
    if (well)
        return s3_error_tell(s, r, 500, &r->error);
    const char *region = cloud_header(x, "x-amz-bucket-region");
    if (region && !r->error.region[0])
        snprintf(r->error.region, sizeof(r->error.region), "%s", region);
    int status = s3_error_tell(s, r, x->status, &r->error);
    if (status == TD_E_CORRUPT && !r->payload_sha256) /* its sum was made of what was about to be sent */
        status = s->host->fail(s->inst, TD_E_RETRY, "%s%s%.500s: what was sent came there damaged", s->config->bucket, r->key ? "/" : "",
                               r->key ? r->key : "");
    return status;
}

/* The bucket is in another region, which is known now. */
static bool is_elsewhere(struct s3 *s, const struct s3_request *r)
{
    unsigned status = r->x.status;
    return (status == 301 || status == 307 || status == 400 || status == 403) && r->error.region[0] &&
           strcmp(r->error.region, r->region) != 0 && s3_learn_region(s, r->error.region);
}

int s3_run(struct s3 *s, struct cloud_session *session, struct s3_request *r)
{
    int status = TD_OK;
    for (int i = 0; i < 2; i++) {
        status = s3_prepare(s, r);
        if (status == TD_OK)
            status = cloud_run(session, &r->x);
        /* Without an exchange that failed, it did not come to one, or was told to stop. */
        if (status != TD_OK && !r->x.stopped && (status == TD_E_CANCELLED || r->x.failure == TD_OK))
            return status;
        status = s3_settle(s, r);
        if (status == TD_OK || !is_elsewhere(s, r))
            return status;
    }
    return status;
}

int s3_run_alone(struct s3 *s, struct s3_request *r)
{
    struct cloud_session *session = NULL;
    int status = cloud_http_take(s->http, &session);
    if (status == TD_OK)
        status = s3_run(s, session, r);
    cloud_http_give(s->http, session);
    return status;
}
