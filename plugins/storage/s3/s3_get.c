/* Looking at objects and reading them. */
#include "s3.h"

#include <stdio.h>

/* ---- What an object is ---- */

void s3_copy_etag(char ret[S3_MAX_ETAG], const char *text)
{
    if (strncmp(text, "W/", 2) == 0)
        text += 2;
    size_t n = strlen(text);
    if (n >= 2 && text[0] == '"' && text[n - 1] == '"') {
        text++;
        n -= 2;
    }
    if (n >= S3_MAX_ETAG)
        n = 0;
    memcpy(ret, text, n);
    ret[n] = 0;
}

static int read_object(struct s3 *s, struct s3_request *r, struct td_object *ret)
{
    struct cloud_exchange *x = &r->x;
    if (x->length < 0)
        return s->host->fail(s->inst, TD_E_CORRUPT, "%s/%.500s: the server does not tell its size", s->config->bucket, r->key);
    ret->flags = 0;
    ret->bytes = (uint64_t)x->length;
    ret->mtime_ns = 0;
    ret->etag[0] = 0;
    const char *text = cloud_header(x, "last-modified");
    if (text && !cloud_read_http_date(text, &ret->mtime_ns))
        ret->mtime_ns = 0;
    text = cloud_header(x, "etag");
    if (text)
        s3_copy_etag(ret->etag, text);
    text = cloud_header(x, "x-amz-meta-sha256");
    if (text && cloud_read_hex(text, ret->sha256, sizeof(ret->sha256)))
        ret->flags |= TD_OBJECT_SHA256;
    return TD_OK;
}

static int stop(void *ctx, struct td_slice bytes)
{
    (void)bytes;
    return *(const int *)ctx;
}

/* HEAD has no body that could say what is wrong (keys that have expired, a clock): GET has. Should that go well, what was told of HEAD
 * stays. */
static int ask_why(struct s3 *s, const char *key, int status)
{
    struct s3_request r = {.method = "GET", .key = key, .x = {.sink = stop, .ctx = &status}};
    int said = s3_run_alone(s, &r);
    s3_request_clear(&r);
    return said == TD_OK ? status : said;
}

int s3_head(void *self, const char *key, struct td_object *ret)
{
    struct s3 *s = self;
    struct s3_request r = {.method = "HEAD", .key = key};
    int status = s3_run_alone(s, &r);
    if (status == TD_OK)
        status = read_object(s, &r, ret);
    else if (r.x.status == 400 || r.x.status == 403)
        status = ask_why(s, key, status);
    s3_request_clear(&r);
    return status;
}

/* ---- Reading ---- */

struct reading {
    struct s3 *s3;
    struct s3_request *request;
    uint64_t offset, n; /* asked for; n UINT64_MAX: to the end */
    bool checked;
    uint64_t expected; /* bytes that are to come */
    td_sink_fn *sink;
    void *ctx;
};

static int fail_range(const struct reading *g, uint64_t bytes)
{
    return g->s3->host->fail(g->s3->inst, TD_E_LIMIT, "%s/%.500s: has %llu bytes; the range asked for ends behind them",
                             g->s3->config->bucket, g->request->key, (unsigned long long)bytes);
}

static bool take_number(const char **at, uint64_t *ret)
{
    const char *begin = *at;
    *ret = 0;
    for (; **at >= '0' && **at <= '9' && *at - begin < 19; (*at)++)
        *ret = *ret * 10 + (uint64_t)(**at - '0');
    return *at > begin;
}

/* "bytes 5-9/10" */
static bool read_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_bytes)
{
    if (!text || strncmp(text, "bytes ", 6) != 0)
        return false;
    text += 6;
    if (!take_number(&text, ret_first) || *text++ != '-' || !take_number(&text, ret_last) || *text++ != '/' ||
        !take_number(&text, ret_bytes))
        return false;
    return !*text && *ret_first <= *ret_last && *ret_last < *ret_bytes;
}

/* Is what is coming what was asked for? Before the first byte is given on. */
static int check_range(struct reading *g)
{
    struct cloud_exchange *x = &g->request->x;
    uint64_t first = 0, last = 0, bytes = x->length < 0 ? 0 : (uint64_t)x->length;
    g->checked = true;
    if (x->status == 206) {
        if (!read_content_range(cloud_header(x, "content-range"), &first, &last, &bytes) || first != g->offset)
            return g->s3->host->fail(g->s3->inst, TD_E_CORRUPT, "%s/%.500s: the server answers with another range than was asked for",
                                     g->s3->config->bucket, g->request->key);
    } else if (x->length < 0 || g->offset) {
        return g->s3->host->fail(g->s3->inst, TD_E_UNSUPPORTED, "%s/%.500s: the server cannot give parts of objects", g->s3->config->bucket,
                                 g->request->key);
    }
    if (g->n != UINT64_MAX && g->n > bytes - g->offset)
        return fail_range(g, bytes);
    g->expected = g->n == UINT64_MAX ? bytes - g->offset : g->n;
    x->sink_max = g->expected;
    return TD_OK;
}

static int give(void *ctx, struct td_slice bytes)
{
    struct reading *g = ctx;
    struct s3 *s = g->s3;
    if (s->host->cancelled(s->inst))
        return s->host->fail(s->inst, TD_E_CANCELLED, "%s: told to stop", s->config->bucket);
    int status = g->checked ? TD_OK : check_range(g);
    if (status == TD_OK && bytes.n > g->expected)
        status = s->host->fail(s->inst, TD_E_CORRUPT, "%s/%.500s: more bytes came than were asked for", s->config->bucket, g->request->key);
    return status == TD_OK ? g->sink(g->ctx, bytes) : status;
}

/* No byte is wanted, or there is none so far behind: only whether that is so. */
static int get_nothing(struct reading *g, const char *key)
{
    struct td_object object = {.size = sizeof(object)};
    int status = s3_head(g->s3, key, &object);
    if (status != TD_OK)
        return status;
    bool lies_within = g->offset <= object.bytes && (g->n == UINT64_MAX || g->n <= object.bytes - g->offset);
    if (!lies_within)
        return fail_range(g, object.bytes);
    if (g->n == 0 || g->offset == object.bytes)
        return TD_OK;
    return g->s3->host->fail(g->s3->inst, TD_E_RETRY, "%s/%.500s: was replaced while it was read", g->s3->config->bucket, key);
}

int s3_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    struct s3 *s = self;
    struct s3_request r = {.method = "GET", .key = key};
    struct reading g = {.s3 = s, .request = &r, .offset = offset, .n = n, .sink = sink, .ctx = ctx};
    uint64_t most = INT64_MAX;
    if (!n || offset > most)
        return get_nothing(&g, key);
    if (n != UINT64_MAX)
        s3_header(&r, "Range: bytes=%llu-%llu", (unsigned long long)offset,
                  (unsigned long long)(n - 1 > most - offset ? most : offset + n - 1));
    else if (offset)
        s3_header(&r, "Range: bytes=%llu-", (unsigned long long)offset);
    r.x.sink = give;
    r.x.ctx = &g;
    int status = s3_run_alone(s, &r);
    if (status == TD_OK && !g.checked) /* no byte came */
        status = check_range(&g);
    if (status == TD_OK && r.x.received != g.expected)
        status = s->host->fail(s->inst, TD_E_RETRY, "%s/%.500s: %llu of %llu bytes came", s->config->bucket, key,
                               (unsigned long long)r.x.received, (unsigned long long)g.expected);
    if (!r.x.stopped && r.x.status == 416)
        status = get_nothing(&g, key);
    s3_request_clear(&r);
    return status;
}
