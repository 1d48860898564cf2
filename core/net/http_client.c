/* A client and what it keeps from call to call. One call: http_call.c. */
#include "net/http_client_internal.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/token.h"

enum { MAX_URL = 2048 };

/* ---- The base ---- */

static int check_part(CURLU *url, CURLUPart part, CURLUcode missing, const char *text, const char *what, struct error *err)
{
    char *value = NULL;
    CURLUcode status = curl_url_get(url, part, &value, 0);
    curl_free(value);
    return status == missing ? TD_OK : error_set(err, TD_E_CONFIG, "%.200s: the address of a server has no %s", text, what);
}

static int check_url(CURLU *url, const char *text, struct error *err)
{
    char *scheme = NULL;
    if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return error_set(err, TD_E_CONFIG, "%.200s is not an address of a server; one is http://127.0.0.1:48999", text);
    bool known = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
    curl_free(scheme);
    if (!known)
        return error_set(err, TD_E_CONFIG, "%.200s: only http and https are spoken here", text);
    int status = check_part(url, CURLUPART_USER, CURLUE_NO_USER, text, "user in it", err);
    if (status == TD_OK)
        status = check_part(url, CURLUPART_QUERY, CURLUE_NO_QUERY, text, "query", err);
    return status == TD_OK ? check_part(url, CURLUPART_FRAGMENT, CURLUE_NO_FRAGMENT, text, "fragment", err) : status;
}

/* Without the slashes at its end: a call's path begins with one. */
static int take_url(struct http_client *c, const char *text, struct error *err)
{
    size_t n = strlen(text);
    if (n == 0 || n > MAX_URL)
        return error_set(err, TD_E_CONFIG, "the address of a server has 1 to %d characters", MAX_URL);
    CURLU *url = curl_url();
    int status = url ? check_url(url, text, err) : error_nomem(err);
    curl_url_cleanup(url);
    if (status != TD_OK)
        return status;
    c->url = mem_strdup(text);
    if (!c->url)
        return error_nomem(err);
    while (n && c->url[n - 1] == '/')
        c->url[--n] = '\0';
    return TD_OK;
}

/* ---- New and free ---- */

static int take_token(struct http_client *c, const char *token, struct error *err)
{
    struct buf field = {.n = 0};
    if (!token || !*token)
        return TD_OK;
    int status = token_check(td_str(token), err);
    if (status != TD_OK)
        return status;
    if (!buf_reserve(&field, strlen(token) + 64)) /* growing would leave copies behind */
        return error_nomem(err);
    buf_printf(&field, "Authorization: Bearer %s", token);
    buf_cstr(&field);
    c->authorization = (char *)field.p;
    return TD_OK;
}

static bool copy(const char *text, char **ret)
{
    *ret = text && *text ? mem_strdup(text) : NULL;
    return *ret || !text || !*text;
}

static int take_options(struct http_client *c, const struct http_client_options *o, struct error *err)
{
    c->cancel = o->cancel;
    c->connect_s = o->connect_s ? o->connect_s : 10;
    c->idle_s = o->idle_s ? o->idle_s : 30;
    int status = take_url(c, o->url ? o->url : "", err);
    if (status == TD_OK)
        status = take_token(c, o->token, err);
    if (status == TD_OK && (!copy(o->ca, &c->ca) || !copy(o->agent ? o->agent : "tapedeck", &c->agent)))
        status = error_nomem(err);
    return status;
}

int http_client_new(const struct http_client_options *o, struct http_client **ret, struct error *err)
{
    struct http_client *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_nomem(err);
    /* It counts, and any thread may call it: libcurl 7.84 and later. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(c);
        return error_nomem(err);
    }
    int status = take_options(c, o, err);
    if (status == TD_OK) {
        c->easy = curl_easy_init();
        c->multi = curl_multi_init();
        if (!c->easy || !c->multi)
            status = error_nomem(err);
    }
    if (status == TD_OK)
        *ret = c;
    else
        http_client_free(c);
    return status;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    curl_global_cleanup();
    if (c->authorization)
        explicit_bzero(c->authorization, strlen(c->authorization));
    mem_free(c->authorization);
    mem_free(c->url);
    mem_free(c->ca);
    mem_free(c->agent);
    mem_free(c);
}

/* ---- Small bodies ---- */

struct gather {
    struct buf *to;
    size_t room;
};

static int gather(void *ctx, struct td_slice bytes, struct error *err)
{
    struct gather *g = ctx;
    if (bytes.n > g->room)
        return error_set(err, TD_E_LIMIT, "the answer is longer than it may be");
    g->room -= bytes.n;
    buf_put_slice(g->to, bytes);
    return g->to->failed ? error_nomem(err) : TD_OK;
}

int http_client_get(struct http_client *c, const char *path, size_t max, struct buf *ret, struct http_result *res, struct error *err)
{
    struct http_result own;
    struct gather g = {ret, max};
    size_t begin = ret->n;
    int status = http_client_run(c, &(struct http_call){.method = "GET", .path = path, .write = gather, .ctx = &g}, res ? res : &own, err);
    if (status != TD_OK)
        ret->n = begin;
    if (status == TD_E_LIMIT && g.room < max)
        error_prefix(err, "GET %s%.200s, %zu bytes: ", c->url, path, max);
    return status;
}

void http_put_encoded(struct buf *b, const char *text)
{
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text, lower = td_ascii_lower(c);
        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~')
            buf_putc(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}
