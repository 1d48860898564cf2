/* Looking, reading and removing. */
#include "azblob.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { REMOVE_AT_ONCE = 8 };

/* ---- Looking ---- */

static const char *text_or(const char *text, const char *other)
{
    return text ? text : other;
}

void azblob_etag(const char *text, char ret[128])
{
    size_t n = strlen(text);
    bool quoted = n >= 2 && text[0] == '"' && text[n - 1] == '"';
    snprintf(ret, 128, "%.*s", quoted ? (int)(n - 2) : (int)n, text + quoted);
}

void azblob_object(struct azblob_request *r, struct td_object *ret)
{
    const char *date = cloud_header(&r->x, "Last-Modified");
    if (!date || !cloud_read_http_date(date, &ret->mtime_ns))
        ret->mtime_ns = cloud_now_ns();
    azblob_etag(text_or(cloud_header(&r->x, "ETag"), ""), ret->etag);
    const char *sum = cloud_header(&r->x, "x-ms-meta-sha256");
    ret->flags = sum && cloud_read_hex(sum, ret->sha256, sizeof(ret->sha256)) ? TD_OBJECT_SHA256 : 0;
}

/* What discarding has left, or a folder of an account with a hierarchical namespace. */
static bool is_no_object(struct azblob_request *r)
{
    return strcmp(text_or(cloud_header(&r->x, "Content-Type"), ""), AZBLOB_DISCARDED) == 0 ||
           strcmp(text_or(cloud_header(&r->x, "x-ms-meta-hdi_isfolder"), ""), "true") == 0;
}

int azblob_head(void *self, const char *key, struct td_object *ret)
{
    struct azblob *a = self;
    struct azblob_request r;
    azblob_request_begin(&r, a, "HEAD", key);
    int status = azblob_request_alone(&r, "cannot be looked at", NULL);
    if (status == TD_OK && is_no_object(&r))
        status = azblob_fail(a, key, TD_E_NOT_FOUND, "there is no such object");
    if (status == TD_OK && r.x.length < 0)
        status = azblob_fail(a, key, TD_E_CORRUPT, "the service does not tell its length");
    if (status == TD_OK) {
        azblob_object(&r, ret);
        ret->bytes = (uint64_t)r.x.length;
    }
    azblob_request_clear(&r);
    return status;
}

/* ---- Reading ---- */

/* One GET, so the bytes are those of one object: the service ends it if that is replaced. */
struct getting {
    struct azblob_request r;
    uint64_t offset, n, got;
    td_sink_fn *sink;
    void *ctx;
    bool looked; /* at the headers */
    int wrong;   /* what they told, if it was not what was asked for; TD_OK */
    uint64_t whole, expected;
    EVP_MD_CTX *md5; /* NULL: the service tells no sum */
};

static uint64_t read_number(const char **p)
{
    uint64_t v = 0;
    size_t n = 0;
    for (; **p >= '0' && **p <= '9' && n < 19; (*p)++, n++)
        v = v * 10 + (uint64_t)(**p - '0');
    return n ? v : UINT64_MAX;
}

/* "bytes 5-9/700" */
static bool read_range(const char *text, uint64_t *ret_from, uint64_t *ret_last, uint64_t *ret_whole)
{
    if (!text || strncmp(text, "bytes ", 6) != 0)
        return false;
    text += 6;
    *ret_from = read_number(&text);
    if (*text++ != '-')
        return false;
    *ret_last = read_number(&text);
    if (*text++ != '/')
        return false;
    *ret_whole = read_number(&text);
    return !*text && *ret_from <= *ret_last && *ret_last < *ret_whole && *ret_whole != UINT64_MAX;
}

/* The headers have come: is it what was asked for? */
static void look(struct getting *g)
{
    uint64_t from, last;
    struct cloud_exchange *x = &g->r.x;
    bool ranged = g->offset || g->n != UINT64_MAX;
    g->looked = true;
    if (is_no_object(&g->r)) {
        g->wrong = TD_E_NOT_FOUND;
    } else if (!ranged) {
        g->wrong = x->status == 200 && x->length >= 0 ? TD_OK : TD_E_CORRUPT;
        g->expected = g->whole = (uint64_t)x->length;
    } else if (x->status != 206 || !read_range(cloud_header(x, "Content-Range"), &from, &last, &g->whole) || from != g->offset) {
        g->wrong = TD_E_CORRUPT;
    } else {
        g->expected = last - from + 1;
        if (g->n == UINT64_MAX ? last + 1 != g->whole : g->expected != g->n)
            g->wrong = g->n != UINT64_MAX && g->n > g->whole - g->offset ? TD_E_LIMIT : TD_E_CORRUPT;
    }
    if (g->wrong == TD_OK && cloud_header(x, "Content-MD5")) {
        g->md5 = EVP_MD_CTX_new();
        if (!g->md5 || EVP_DigestInit_ex(g->md5, EVP_md5(), NULL) != 1)
            g->wrong = TD_E_NOMEM;
    }
}

static int take(void *ctx, struct td_slice bytes)
{
    struct getting *g = ctx;
    if (!g->looked)
        look(g);
    if (g->wrong != TD_OK)
        return g->wrong;
    if (g->md5 && EVP_DigestUpdate(g->md5, bytes.p, bytes.n) != 1)
        return g->wrong = TD_E_NOMEM;
    g->got += bytes.n;
    return g->sink(g->ctx, bytes);
}

static int too_far(struct azblob *a, const char *key, uint64_t whole)
{
    return azblob_fail(a, key, TD_E_LIMIT, "has %" PRIu64 " bytes; the range asked for ends behind them", whole);
}

/* Damage on the way looks like damage there: another try tells. */
static int compare_sum(struct getting *g)
{
    uint8_t told[CLOUD_MD5], seen[EVP_MAX_MD_SIZE];
    const char *text = cloud_header(&g->r.x, "Content-MD5");
    if (text && cloud_read_base64(text, told, sizeof(told)) == sizeof(told) && EVP_DigestFinal_ex(g->md5, seen, NULL) == 1 &&
        memcmp(told, seen, sizeof(told)) == 0)
        return TD_OK;
    return azblob_fail(g->r.a, g->r.key, TD_E_RETRY,
                       "its bytes do not have the MD5 sum that the service told: damaged on their way, or there");
}

static int finish(struct getting *g, int status)
{
    struct azblob *a = g->r.a;
    if (status == TD_OK && !g->looked)
        look(g); /* it is empty */
    switch (g->wrong) {
    case TD_OK: break;
    case TD_E_LIMIT: return too_far(a, g->r.key, g->whole);
    case TD_E_NOT_FOUND: return azblob_fail(a, g->r.key, g->wrong, "there is no such object");
    case TD_E_NOMEM: return azblob_nomem(a);
    default:
        return azblob_fail(a, g->r.key, g->wrong, "the service answers with another range than was asked for (HTTP %u)", g->r.x.status);
    }
    if (status == TD_OK && g->got != g->expected)
        return azblob_fail(a, g->r.key, TD_E_RETRY, "%" PRIu64 " bytes came, not %" PRIu64, g->got, g->expected);
    return status == TD_OK && g->md5 ? compare_sum(g) : status;
}

/* Nothing is to be read, or the service says that nothing can be: does the range end within the object? */
static int look_for_end(struct azblob *a, const char *key, uint64_t offset, uint64_t n)
{
    struct td_object object = {.size = sizeof(object)};
    int status = azblob_head(a, key, &object);
    if (status != TD_OK)
        return status;
    if (offset > object.bytes || (n != UINT64_MAX && n > object.bytes - offset))
        return too_far(a, key, object.bytes);
    if (n == UINT64_MAX ? offset == object.bytes : n == 0)
        return TD_OK;
    return azblob_fail(a, key, TD_E_RETRY, "was replaced by one of another size meanwhile");
}

int azblob_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    struct azblob *a = self;
    char range[64];
    if (n == 0 || offset > INT64_MAX || (n != UINT64_MAX && n > INT64_MAX - offset))
        return look_for_end(a, key, offset, n);
    struct getting g = {.offset = offset, .n = n, .sink = sink, .ctx = ctx};
    azblob_request_begin(&g.r, a, "GET", key);
    if (n != UINT64_MAX)
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + n - 1);
    else
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", offset);
    if (offset || n != UINT64_MAX)
        azblob_header(&g.r, "x-ms-range", range);
    if (n <= AZBLOB_MD5_RANGE)
        azblob_header(&g.r, "x-ms-range-get-content-md5", "true");
    g.r.x.sink = take;
    g.r.x.ctx = &g;
    int status = azblob_request_alone(&g.r, "cannot be read", NULL);
    /* Azurite answers with an empty range where Azure says that there is none. */
    bool beyond = g.r.x.status == 416 || (g.r.x.status == 206 && g.r.x.length == 0);
    if (!beyond && g.r.x.status)
        status = finish(&g, status);
    EVP_MD_CTX_free(g.md5);
    azblob_request_clear(&g.r);
    return beyond ? look_for_end(a, key, offset, n) : status;
}

/* ---- Removing ---- */

/* Snapshots that somebody made of a blob go with it; that there is none is as good. */
static void describe_removal(struct azblob_request *r, struct azblob *a, const char *key)
{
    azblob_request_begin(r, a, "DELETE", key);
    azblob_header(r, "x-ms-delete-snapshots", "include");
}

static int removed(int status, const struct azblob_error *error)
{
    return status == TD_E_NOT_FOUND && strcmp(error->code, "ContainerNotFound") != 0 ? TD_OK : status;
}

int azblob_remove(void *self, const char *key)
{
    struct azblob_request r;
    struct azblob_error error;
    describe_removal(&r, self, key);
    int status = azblob_request_alone(&r, "cannot be removed", &error);
    azblob_request_clear(&r);
    return removed(status, &error);
}

/* Takes what is done out of `on_the_way`; the first failure stays in *status. */
static void reap(struct azblob_request *rows, bool *on_the_way, size_t *running, int *status)
{
    struct azblob_error error;
    for (size_t i = 0; i < REMOVE_AT_ONCE; i++) {
        if (!on_the_way[i] || !rows[i].x.done)
            continue;
        int one = *status == TD_OK ? removed(azblob_request_status(&rows[i], "cannot be removed", &error), &error) : TD_OK;
        *status = *status == TD_OK ? one : *status;
        azblob_request_clear(&rows[i]);
        on_the_way[i] = false;
        (*running)--;
    }
}

/* Single requests, several at once. (A batch request would need a signature for each of its parts as well, and takes 256 at most.) */
int azblob_remove_many(void *self, const char *const *keys, size_t n)
{
    struct azblob *a = self;
    struct azblob_request *rows = calloc(REMOVE_AT_ONCE, sizeof(*rows));
    struct cloud_session *session = NULL;
    bool on_the_way[REMOVE_AT_ONCE] = {false};
    size_t running = 0, next = 0;
    int status = rows ? cloud_http_take(a->http, &session) : azblob_nomem(a);
    while (session && (running || (next < n && status == TD_OK))) {
        for (size_t i = 0; i < REMOVE_AT_ONCE && next < n && status == TD_OK; i++)
            if (!on_the_way[i]) {
                describe_removal(&rows[i], a, keys[next++]);
                status = azblob_request_start(&rows[i], session);
                on_the_way[i] = status == TD_OK;
                running += on_the_way[i];
                if (status != TD_OK)
                    azblob_request_clear(&rows[i]);
            }
        int waited = running ? cloud_wait(session, AZBLOB_NS) : TD_OK;
        reap(rows, on_the_way, &running, &status);
        if (waited != TD_OK) {
            status = waited;
            break;
        }
    }
    cloud_http_give(a->http, session); /* ends what still runs */
    for (size_t i = 0; rows && i < REMOVE_AT_ONCE; i++)
        if (on_the_way[i])
            azblob_request_clear(&rows[i]);
    free(rows);
    return status;
}
