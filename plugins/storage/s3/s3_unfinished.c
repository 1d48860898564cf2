/* Uploads in parts that nobody finished: ListMultipartUploads, and their end. */
#include "s3.h"

#include <stdlib.h>

enum { MAX_PAGE = 1000 };

struct unfinished {
    char *key, *id;
    int64_t begun_ns; /* INT64_MAX: not known, thus young */
};

struct page {
    struct unfinished v[MAX_PAGE], at_hand;
    size_t n;
    char *next_key, *next_id;
    bool truncated, encoded;
};

static void clear_one(struct unfinished *u)
{
    free(u->key);
    free(u->id);
    *u = (struct unfinished){0};
}

static void page_free(struct page *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        clear_one(&p->v[i]);
    clear_one(&p->at_hand);
    free(p->next_key);
    free(p->next_id);
    free(p);
}

/* ---- Reading a page ---- */

static int copy(char **into, const char *text)
{
    free(*into);
    *into = strdup(text);
    return *into ? 0 : TD_E_NOMEM;
}

static int read_element(void *ctx, const char *path, const char *text)
{
    struct page *p = ctx;
    if (!text) {
        if (strcmp(path, "Upload") != 0)
            return 0;
        if (p->n == MAX_PAGE || !p->at_hand.key || !p->at_hand.id || !*p->at_hand.key)
            return TD_E_CORRUPT;
        p->v[p->n++] = p->at_hand;
        p->at_hand = (struct unfinished){.begun_ns = INT64_MAX};
        return 0;
    }
    if (strcmp(path, "Upload/Key") == 0)
        return copy(&p->at_hand.key, text);
    if (strcmp(path, "Upload/UploadId") == 0)
        return copy(&p->at_hand.id, text);
    if (strcmp(path, "Upload/Initiated") == 0 && !cloud_read_iso8601(text, &p->at_hand.begun_ns))
        p->at_hand.begun_ns = INT64_MAX;
    if (strcmp(path, "NextKeyMarker") == 0)
        return copy(&p->next_key, text);
    if (strcmp(path, "NextUploadIdMarker") == 0)
        return copy(&p->next_id, text);
    if (strcmp(path, "IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    if (strcmp(path, "EncodingType") == 0)
        p->encoded = strcmp(text, "url") == 0;
    return 0;
}

static void decode(struct page *p)
{
    for (size_t i = 0; i < p->n && p->encoded; i++)
        s3_decode_name(p->v[i].key);
    if (p->encoded && p->next_key)
        s3_decode_name(p->next_key);
}

static int ask(struct s3 *s, const char *prefix, const struct page *before, struct page *p)
{
    struct s3_request r = {.method = "GET"};
    s3_parameter(&r, "uploads", "");
    s3_parameter(&r, "encoding-type", "url");
    s3_parameter(&r, "max-uploads", "1000");
    s3_parameter(&r, "prefix", prefix);
    if (before) {
        s3_parameter(&r, "key-marker", before->next_key);
        s3_parameter(&r, "upload-id-marker", before->next_id ? before->next_id : "");
    }
    int status = s3_run_alone(s, &r);
    p->at_hand.begun_ns = INT64_MAX;
    if (status == TD_OK &&
        (status = cloud_xml(td_bytes(r.x.answer.p, r.x.answer.n), "ListMultipartUploadsResult", read_element, p)) != TD_OK)
        status = s->host->fail(s->inst, status, "%s: what came is no list of uploads", s->config->bucket);
    if (status == TD_OK)
        decode(p);
    s3_request_clear(&r);
    return status;
}

/* ---- Ending them ---- */

static int abort_page(struct s3 *s, const struct page *p, size_t prefix_n, const char *prefix, int64_t before_ns, unsigned *n)
{
    int status = TD_OK;
    for (size_t i = 0; i < p->n && status == TD_OK; i++) {
        const struct unfinished *u = &p->v[i];
        if (s->host->cancelled(s->inst))
            return s->host->fail(s->inst, TD_E_CANCELLED, "%s: told to stop", s->config->bucket);
        if (strncmp(u->key, prefix, prefix_n) != 0 || (before_ns != INT64_MAX && u->begun_ns >= before_ns))
            continue;
        status = s3_abort(s, u->key, u->id);
        *n += status == TD_OK;
    }
    return status;
}

int s3_abort_unfinished(struct s3 *s, const char *prefix, int64_t before_ns, unsigned *ret_n)
{
    struct page *before = NULL, *p = NULL;
    int status;
    bool more;
    *ret_n = 0;
    do {
        p = calloc(1, sizeof(*p));
        status = p ? ask(s, prefix, before, p) : s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
        if (status == TD_OK)
            status = abort_page(s, p, strlen(prefix), prefix, before_ns, ret_n);
        more = status == TD_OK && p->truncated && p->next_key && *p->next_key &&
               (!before || strcmp(p->next_key, before->next_key) != 0 ||
                (p->next_id && before->next_id && strcmp(p->next_id, before->next_id) != 0));
        page_free(before);
        before = p;
    } while (more);
    page_free(before);
    return status;
}

int s3_sweep(void *self, const char *prefix)
{
    unsigned n;
    return s3_abort_unfinished(self, prefix, INT64_MAX, &n);
}
