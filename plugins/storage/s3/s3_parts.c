/* Uploads in parts: several parts on the way at once, driven by one thread. */
#include "s3.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t ns_per_s = 1000000000;
enum { COMPLETION_S = 20 * 60 }; /* it is told byte by byte that it takes long */

struct s3_slot {
    struct s3_request r;
    bool busy;
    uint32_t number; /* of the part on the way */
    uint64_t n;
    char number_text[16], payload[S3_HEX_SHA256];
    uint8_t *buffer;
    size_t room;
};

static int fail_nomem(const struct s3 *s)
{
    return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
}

/* ---- Beginning ---- */

static int init(struct s3_parts *p, struct s3 *s, const char *key, size_t parallel)
{
    *p = (struct s3_parts){.s3 = s, .parallel = parallel};
    snprintf(p->key, sizeof(p->key), "%s", key);
    p->slots = calloc(parallel, sizeof(*p->slots));
    return p->slots ? cloud_http_take(s->http, &p->session) : fail_nomem(s);
}

void s3_parts_clear(struct s3_parts *p)
{
    if (p->session)
        cloud_http_give(p->s3->http, p->session); /* ends what is on the way */
    for (size_t i = 0; p->slots && i < p->parallel; i++) {
        s3_request_clear(&p->slots[i].r);
        free(p->slots[i].buffer);
    }
    free(p->slots);
    free(p->parts);
    p->session = NULL;
    p->slots = NULL;
    p->parts = NULL;
}

static bool make_room(struct s3_parts *p, size_t n)
{
    if (n <= p->room)
        return true;
    size_t room = p->room ? p->room : 16;
    while (room < n)
        room *= 2;
    struct s3_part *grown = realloc(p->parts, room * sizeof(*grown));
    if (!grown)
        return false;
    memset(grown + p->room, 0, (room - p->room) * sizeof(*grown));
    p->parts = grown;
    p->room = room;
    return true;
}

void s3_object_headers(struct s3 *s, struct s3_request *r, const uint8_t *sha256)
{
    const struct s3_config *c = s->config;
    struct cloud_text hex = {0};
    s3_header(r, "Content-Type: application/octet-stream");
    if (sha256) {
        cloud_put_hex(&hex, sha256, CLOUD_SHA256);
        s3_header(r, "x-amz-meta-sha256: %s", cloud_cstr(&hex));
    }
    if (c->sse != S3_SSE_NONE)
        s3_header(r, "x-amz-server-side-encryption: %s", c->sse == S3_SSE_KMS ? "aws:kms" : "AES256");
    if (c->sse == S3_SSE_KMS && c->kms_key_id && *c->kms_key_id)
        s3_header(r, "x-amz-server-side-encryption-aws-kms-key-id: %s", c->kms_key_id);
    if (c->storage_class && *c->storage_class)
        s3_header(r, "x-amz-storage-class: %s", c->storage_class);
    cloud_text_clear(&hex);
}

static int read_upload_id(void *ctx, const char *path, const char *text)
{
    struct s3_parts *p = ctx;
    if (!text || strcmp(path, "UploadId") != 0)
        return 0;
    if (!*text || strlen(text) > S3_MAX_UPLOAD_ID || strpbrk(text, " \t\r\n"))
        return TD_E_CORRUPT;
    snprintf(p->id, sizeof(p->id), "%s", text);
    return 0;
}

int s3_parts_begin(struct s3_parts *p, struct s3 *s, const char *key, const uint8_t *sha256, size_t parallel)
{
    struct s3_request r = {.method = "POST", .key = key, .x = {.sends_body = true}};
    int status = init(p, s, key, parallel);
    if (status == TD_OK) {
        s3_parameter(&r, "uploads", "");
        s3_object_headers(s, &r, sha256);
        status = s3_run(s, p->session, &r);
    }
    if (status == TD_OK &&
        (cloud_xml(td_bytes(r.x.answer.p, r.x.answer.n), "InitiateMultipartUploadResult", read_upload_id, p) != TD_OK || !p->id[0]))
        status = s->host->fail(s->inst, TD_E_CORRUPT, "%s/%.500s: the server gives no usable id of the upload", s->config->bucket, key);
    s3_request_clear(&r);
    if (status != TD_OK)
        s3_parts_clear(p);
    return status;
}

/* ---- Going on: which parts are there ---- */

struct parts_page {
    struct s3_parts *parts;
    uint64_t number, bytes, next;
    char etag[S3_MAX_ETAG];
    bool truncated;
};

static int read_count(const char *text, uint64_t *ret)
{
    char *end;
    *ret = strtoull(text, &end, 10);
    return *end || !*text || *text == '-' ? TD_E_CORRUPT : 0;
}

static int take_part(struct parts_page *g)
{
    struct s3_parts *p = g->parts;
    if (!g->number || g->number > S3_MAX_PARTS)
        return TD_E_CORRUPT;
    if (!make_room(p, (size_t)g->number))
        return TD_E_NOMEM;
    struct s3_part *part = &p->parts[g->number - 1];
    if (!part->there)
        p->there_bytes += g->bytes;
    part->there = true;
    part->bytes = g->bytes;
    memcpy(part->etag, g->etag, sizeof(part->etag));
    if (g->number > p->n)
        p->n = (size_t)g->number;
    if (g->number > g->next)
        g->next = g->number;
    return 0;
}

static int read_part_element(void *ctx, const char *path, const char *text)
{
    struct parts_page *g = ctx;
    if (!text)
        return strcmp(path, "Part") == 0 ? take_part(g) : 0;
    if (strcmp(path, "Part/PartNumber") == 0)
        return read_count(text, &g->number);
    if (strcmp(path, "Part/Size") == 0)
        return read_count(text, &g->bytes);
    if (strcmp(path, "Part/ETag") == 0)
        s3_copy_etag(g->etag, text);
    if (strcmp(path, "IsTruncated") == 0)
        g->truncated = strcmp(text, "true") == 0;
    return 0;
}

static int list_page(struct s3_parts *p, struct parts_page *g)
{
    struct s3 *s = p->s3;
    struct s3_request r = {.method = "GET", .key = p->key};
    char marker[24];
    snprintf(marker, sizeof(marker), "%llu", (unsigned long long)g->next);
    s3_parameter(&r, "uploadId", p->id);
    s3_parameter(&r, "max-parts", "1000");
    if (g->next)
        s3_parameter(&r, "part-number-marker", marker);
    g->truncated = false;
    int status = s3_run(s, p->session, &r);
    if (s3_is_error(&r, "NoSuchUpload"))
        status = s->host->fail(s->inst, TD_E_NOT_FOUND, "%s/%.500s: the upload is not there any more", s->config->bucket, p->key);
    else if (status == TD_OK &&
             (status = cloud_xml(td_bytes(r.x.answer.p, r.x.answer.n), "ListPartsResult", read_part_element, g)) != TD_OK)
        status = s->host->fail(s->inst, status, "%s/%.500s: what came is no list of parts", s->config->bucket, p->key);
    s3_request_clear(&r);
    return status;
}

int s3_parts_resume(struct s3_parts *p, struct s3 *s, const char *key, const char *id, size_t parallel)
{
    struct parts_page g = {.parts = p};
    int status = init(p, s, key, parallel);
    uint64_t before;
    snprintf(p->id, sizeof(p->id), "%s", id);
    do {
        before = g.next;
        if (status == TD_OK)
            status = list_page(p, &g);
    } while (status == TD_OK && g.truncated && g.next > before);
    if (status != TD_OK)
        s3_parts_clear(p);
    return status;
}

/* ---- Parts on the way ---- */

/* What a part that is done came to. */
static int settle(struct s3_parts *p, struct s3_slot *slot)
{
    struct s3 *s = p->s3;
    int status = s3_settle(s, &slot->r);
    slot->busy = false;
    if (status == TD_E_CORRUPT && slot->r.x.failure == TD_OK) /* its sum was made of what was about to be sent */
        return s->host->fail(s->inst, TD_E_RETRY, "%s/%.500s: part %u came there damaged", s->config->bucket, p->key, slot->number);
    if (status != TD_OK)
        return status;
    const char *etag = cloud_header(&slot->r.x, "etag");
    struct s3_part *part = &p->parts[slot->number - 1];
    if (etag)
        s3_copy_etag(part->etag, etag);
    if (!etag || !part->etag[0])
        return s->host->fail(s->inst, TD_E_CORRUPT, "%s/%.500s: the server gives no ETag of part %u", s->config->bucket, p->key,
                             slot->number);
    part->there = true;
    part->bytes = slot->n;
    p->there_bytes += slot->n;
    return TD_OK;
}

/* Settles all that are done; the first failure. */
static int settle_done(struct s3_parts *p, struct s3_slot **ret_free, bool *ret_busy)
{
    int status = TD_OK;
    *ret_free = NULL;
    *ret_busy = false;
    for (size_t i = 0; i < p->parallel; i++) {
        struct s3_slot *slot = &p->slots[i];
        if (slot->busy && slot->r.x.done) {
            int one = settle(p, slot);
            status = status == TD_OK ? one : status;
        }
        if (slot->busy)
            *ret_busy = true;
        else if (!*ret_free)
            *ret_free = slot;
    }
    return status;
}

int s3_parts_slot(struct s3_parts *p, int64_t timeout_ns, struct s3_slot **ret)
{
    bool busy;
    int status = settle_done(p, ret, &busy);
    if (status != TD_OK || !busy)
        return status;
    /* What is on the way moves on also while others are still to be filled. */
    status = cloud_wait(p->session, *ret ? 0 : timeout_ns);
    return status == TD_OK ? settle_done(p, ret, &busy) : status;
}

int s3_parts_wait(struct s3_parts *p, int64_t timeout_ns, bool *ret_idle)
{
    struct s3_slot *slot;
    bool busy;
    int status = settle_done(p, &slot, &busy);
    if (status == TD_OK && busy)
        status = cloud_wait(p->session, timeout_ns);
    if (status == TD_OK)
        status = settle_done(p, &slot, &busy);
    *ret_idle = !busy;
    return status;
}

void s3_slot_swap(struct s3_slot *slot, uint8_t **buffer, size_t *room)
{
    uint8_t *had = slot->buffer;
    size_t had_room = slot->room;
    slot->buffer = *buffer;
    slot->room = *room;
    *buffer = had;
    *room = had_room;
}

int s3_parts_send(struct s3_parts *p, struct s3_slot *slot, uint32_t number, int fd, uint64_t offset, uint64_t n,
                  const uint8_t sha256[CLOUD_SHA256])
{
    struct s3 *s = p->s3;
    struct cloud_text hex = {0};
    if (number > S3_MAX_PARTS)
        return s->host->fail(s->inst, TD_E_LIMIT, "%s/%.500s: has more than %d parts; choose a larger partSize", s->config->bucket, p->key,
                             S3_MAX_PARTS);
    if (!make_room(p, number))
        return fail_nomem(s);
    if (number > p->n)
        p->n = number;
    s3_request_clear(&slot->r);
    cloud_put_hex(&hex, sha256, CLOUD_SHA256);
    if (!hex.failed)
        memcpy(slot->payload, hex.p, S3_HEX_SHA256);
    bool failed = hex.failed;
    cloud_text_clear(&hex);
    if (failed)
        return fail_nomem(s);
    slot->r = (struct s3_request){.method = "PUT", .key = p->key, .payload_sha256 = slot->payload};
    slot->r.x = (struct cloud_exchange){.body = fd < 0 ? slot->buffer : NULL, .fd = fd, .offset = offset, .body_n = n, .sends_body = true};
    slot->number = number;
    slot->n = n;
    snprintf(slot->number_text, sizeof(slot->number_text), "%u", number);
    s3_parameter(&slot->r, "partNumber", slot->number_text);
    s3_parameter(&slot->r, "uploadId", p->id);
    int status = s3_prepare(s, &slot->r);
    if (status == TD_OK)
        status = cloud_start(p->session, &slot->r.x);
    slot->busy = status == TD_OK;
    return status;
}

/* ---- The end ---- */

static void put_document(const struct s3_parts *p, struct cloud_text *t)
{
    cloud_puts(t, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < p->n; i++)
        cloud_printf(t, "<Part><PartNumber>%zu</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i + 1, p->parts[i].etag);
    cloud_puts(t, "</CompleteMultipartUpload>");
}

static int read_etag(void *ctx, const char *path, const char *text)
{
    if (text && strcmp(path, "ETag") == 0)
        s3_copy_etag(ctx, text);
    return 0;
}

int s3_parts_complete(struct s3_parts *p, char etag[S3_MAX_ETAG])
{
    struct s3 *s = p->s3;
    struct s3_request r = {.method = "POST", .key = p->key};
    struct cloud_text document = {0};
    put_document(p, &document);
    s3_parameter(&r, "uploadId", p->id);
    s3_header(&r, "Content-Type: application/xml");
    r.x.body = cloud_cstr(&document);
    r.x.body_n = document.n;
    r.x.deadline_ns = COMPLETION_S * ns_per_s;
    etag[0] = 0; /* some do not tell it here */
    int status = document.failed ? fail_nomem(s) : s3_run(s, p->session, &r);
    if (status == TD_OK && cloud_xml(td_bytes(r.x.answer.p, r.x.answer.n), "CompleteMultipartUploadResult", read_etag, etag) != TD_OK)
        status = s->host->fail(s->inst, TD_E_RETRY, "%s/%.500s: the server does not tell whether the upload is complete", s->config->bucket,
                               p->key);
    s3_request_clear(&r);
    cloud_text_clear(&document);
    return status;
}

static int run_abort(struct s3 *s, const char *key, const char *id, bool tells)
{
    struct s3_request r = {.method = "DELETE", .key = key, .x = {.cleans_up = true, .deadline_ns = 10 * ns_per_s}};
    struct cloud_session *session = NULL;
    s3_parameter(&r, "uploadId", id);
    int status = s3_prepare(s, &r);
    if (status == TD_OK)
        status = cloud_http_take(s->http, &session);
    if (status == TD_OK) {
        status = cloud_run(session, &r.x);
        if (status == TD_OK && r.x.status != 404)
            status = cloud_classify(r.x.status);
        if ((status != TD_OK || r.x.status == 404) && tells)
            status = s3_settle(s, &r);
        if (status == TD_E_NOT_FOUND && !s3_is_error(&r, "NoSuchBucket"))
            status = TD_OK;
    }
    if (s3_is_error(&r, "NoSuchUpload"))
        status = TD_OK;
    cloud_http_give(s->http, session);
    s3_request_clear(&r);
    return status;
}

int s3_abort(struct s3 *s, const char *key, const char *id)
{
    return run_abort(s, key, id, true);
}

void s3_abort_quietly(struct s3 *s, const char *key, const char *id)
{
    if (run_abort(s, key, id, false) != TD_OK)
        s->host->log(s->inst, TD_LOG_WARN, "%s/%.500s: the parts of an upload that failed could not be removed", s->config->bucket, key);
}
