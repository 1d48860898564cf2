/* One request to the service. */
#include "azblob.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int azblob_fail(struct azblob *a, const char *key, int status, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return a->host->fail(a->inst, status, "%.200s/%s%s%.200s: %s", a->account.endpoint, a->config->container, key ? "/" : "",
                         key ? key : "", text);
}

void azblob_request_begin(struct azblob_request *r, struct azblob *a, const char *method, const char *key)
{
    memset(r, 0, sizeof(*r));
    r->a = a;
    r->key = key;
    r->message.method = method;
    r->x.fd = -1;
    if (!key)
        azblob_query(r, "restype", "container");
}

void azblob_query(struct azblob_request *r, const char *name, const char *value)
{
    if (r->message.query_n < AZBLOB_MAX_PAIRS)
        r->message.query[r->message.query_n++] = (struct azblob_pair){name, value};
}

void azblob_header(struct azblob_request *r, const char *name, const char *value)
{
    if (r->message.header_n < AZBLOB_MAX_PAIRS)
        r->message.headers[r->message.header_n++] = (struct azblob_pair){name, value};
}

void azblob_request_clear(struct azblob_request *r)
{
    cloud_exchange_clear(&r->x);
    azblob_clear_secret(&r->url); /* a SAS token stands in it */
    cloud_text_clear(&r->lines);
    azblob_clear_secret(&r->secret);
    azblob_clear_secret(&r->sas);
}

/* ---- Building ---- */

static void put_url(struct azblob_request *r)
{
    const struct azblob *a = r->a;
    cloud_puts(&r->url, a->account.endpoint);
    cloud_puts(&r->url, "/");
    cloud_put_encoded(&r->url, a->config->container, false);
    if (r->key) {
        cloud_puts(&r->url, "/");
        cloud_put_encoded(&r->url, r->key, true);
    }
}

static void put_query(struct azblob_request *r)
{
    for (size_t i = 0; i < r->message.query_n; i++) {
        cloud_puts(&r->url, i ? "&" : "?");
        cloud_puts(&r->url, r->message.query[i].name);
        cloud_puts(&r->url, "=");
        cloud_put_encoded(&r->url, r->message.query[i].value, false);
    }
}

/* All header lines in one text, each with its zero; pointed to once it does not move any more. */
static void put_lines(struct azblob_request *r)
{
    for (size_t i = 0; i < r->message.header_n; i++) {
        cloud_printf(&r->lines, "%s: %s", r->message.headers[i].name, r->message.headers[i].value);
        cloud_put(&r->lines, "", 1);
    }
    const char *line = r->lines.p;
    for (size_t i = 0; i < r->message.header_n && !r->lines.failed; i++, line += strlen(line) + 1)
        r->x.headers[r->x.header_n++] = line;
    if (r->secret.n)
        r->x.headers[r->x.header_n++] = cloud_cstr(&r->secret);
}

static int build(struct azblob_request *r)
{
    if (r->key && strchr(r->key, '\\'))
        return azblob_fail(r->a, r->key, TD_E_UNSUPPORTED, "the service would take a backslash for a slash; choose another name");
    azblob_http_date(cloud_now_ns(), r->date);
    azblob_header(r, "x-ms-date", r->date);
    azblob_header(r, "x-ms-version", AZBLOB_VERSION);
    put_url(r);
    if (r->url.failed)
        return azblob_nomem(r->a);
    r->message.path = cloud_cstr(&r->url) + r->a->account.path_at;
    r->message.content_length = r->x.body_n;
    int status = azblob_authorise(r);
    if (status != TD_OK)
        return status;
    r->message.path = NULL; /* the text may move */
    put_query(r);
    if (r->sas.n) {
        cloud_puts(&r->url, r->message.query_n ? "&" : "?");
        cloud_put(&r->url, r->sas.p, r->sas.n);
    }
    put_lines(r);
    r->x.method = r->message.method;
    r->x.url = cloud_cstr(&r->url);
    if (r->url.failed || r->lines.failed || r->secret.failed || r->sas.failed)
        return azblob_nomem(r->a);
    if (r->url.n >= CLOUD_MAX_URL)
        return azblob_fail(r->a, r->key, TD_E_UNSUPPORTED, "the URL would be longer than %d bytes", CLOUD_MAX_URL - 1);
    return TD_OK;
}

/* ---- Running ---- */

int azblob_request_start(struct azblob_request *r, struct cloud_session *session)
{
    int status = build(r);
    return status == TD_OK ? cloud_start(session, &r->x) : status;
}

int azblob_request_status(struct azblob_request *r, const char *what, struct azblob_error *ret_error)
{
    struct azblob *a = r->a;
    struct azblob_error error = {0};
    if (r->x.stopped)
        return r->x.stopped;
    if (r->x.failure) {
        error.status = r->x.failure;
        snprintf(error.text, sizeof(error.text), "%s", r->x.why);
    } else if (r->x.status < 200 || r->x.status >= 300) {
        azblob_explain(&r->x, &a->account, azblob_credentials(a), r->sas.n ? cloud_cstr(&r->sas) : NULL, cloud_now_ns(), &error);
        /* Azure says 401 to a token that has ended, Azurite 403. */
        if (r->bearer && (r->x.status == 401 || strcmp(error.code, "AuthenticationFailed") == 0) &&
            azblob_token_refused(a, cloud_cstr(&r->secret) + strlen(AZBLOB_BEARER)))
            error.status = TD_E_RETRY;
        if (error.status == TD_E_DENIED && azblob_replaced(r))
            error.status = TD_E_RETRY;
    }
    if (ret_error)
        *ret_error = error;
    return error.status == TD_OK || r->quiet ? error.status : azblob_fail(a, r->key, error.status, "%s: %s", what, error.text);
}

int azblob_request_run(struct azblob_request *r, struct cloud_session *session, const char *what, struct azblob_error *ret_error)
{
    int status = build(r);
    if (ret_error)
        *ret_error = (struct azblob_error){0};
    if (status != TD_OK)
        return status;
    status = cloud_run(session, &r->x);
    return status == TD_OK || r->x.failure || r->x.stopped ? azblob_request_status(r, what, ret_error) : status;
}

int azblob_request_alone(struct azblob_request *r, const char *what, struct azblob_error *ret_error)
{
    struct cloud_http *http = r->quiet ? r->a->cleaning_http : r->a->http;
    struct cloud_session *session;
    if (ret_error)
        *ret_error = (struct azblob_error){0};
    int status = cloud_http_take(http, &session);
    if (status != TD_OK)
        return status;
    status = azblob_request_run(r, session, what, ret_error);
    cloud_http_give(http, session);
    return status;
}
