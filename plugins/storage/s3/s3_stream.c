/* Objects that are written piece by piece: small ones in one request when they are committed, larger ones in parts.
 *
 * Memory: a part is gathered while STREAM_PARALLEL others are on the way. */
#include "s3.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

enum { STREAM_PARALLEL = 2, FIRST_ROOM = 64 << 10 };
static const int64_t ns_per_s = 1000000000;

struct upload {
    struct s3 *s3;
    char key[TD_KEY_MAX + 1];
    uint64_t part_size;
    bool has_sha256, in_parts;
    uint8_t sha256[CLOUD_SHA256]; /* as td_put told it */
    EVP_MD_CTX *whole;            /* sum of the parts that were sent */
    uint8_t *buffer;              /* the part that is gathered */
    size_t n, room;
    uint64_t bytes; /* sent or on the way */
    uint32_t number;
    struct s3_parts parts; /* if in_parts */
};

static void free_upload(struct upload *u)
{
    if (u->in_parts)
        s3_parts_clear(&u->parts);
    EVP_MD_CTX_free(u->whole);
    free(u->buffer);
    free(u);
}

uint64_t s3_part_size(const struct s3 *s, uint64_t bytes)
{
    uint64_t least = bytes == UINT64_MAX ? 0 : bytes / S3_MAX_PARTS + 1, unit = 1 << 20;
    least = (least + unit - 1) / unit * unit;
    return least > s->config->part_size ? least : s->config->part_size;
}

int s3_put_open(void *self, const char *key, const struct td_put *put, void **ret_upload)
{
    struct s3 *s = self;
    struct upload *u = calloc(1, sizeof(*u));
    if (!u)
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    u->s3 = s;
    snprintf(u->key, sizeof(u->key), "%s", key);
    u->part_size = s3_part_size(s, put->expected);
    u->has_sha256 = put->sha256 != NULL;
    if (put->sha256)
        memcpy(u->sha256, put->sha256, sizeof(u->sha256));
    u->whole = EVP_MD_CTX_new();
    if (!u->whole || EVP_DigestInit_ex(u->whole, EVP_sha256(), NULL) != 1) {
        free_upload(u);
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    }
    *ret_upload = u;
    return TD_OK;
}

/* ---- Writing ---- */

static bool make_room(struct upload *u, size_t n)
{
    if (u->n + n <= u->room)
        return true;
    size_t room = u->room ? u->room : FIRST_ROOM;
    while (room < u->n + n)
        room *= 2;
    if (room > u->part_size)
        room = (size_t)u->part_size;
    uint8_t *grown = realloc(u->buffer, room);
    if (!grown)
        return false;
    u->buffer = grown;
    u->room = room;
    return true;
}

/* What was gathered goes on its way. */
static int send_part(struct upload *u)
{
    struct s3 *s = u->s3;
    struct s3_slot *slot = NULL;
    uint8_t sum[CLOUD_SHA256];
    int status = TD_OK;
    if (!u->in_parts) {
        status = s3_parts_begin(&u->parts, s, u->key, u->has_sha256 ? u->sha256 : NULL, STREAM_PARALLEL);
        u->in_parts = status == TD_OK;
    }
    while (status == TD_OK && !slot)
        status = s3_parts_slot(&u->parts, ns_per_s, &slot);
    if (status != TD_OK)
        return status;
    size_t n = u->n;
    if (!cloud_sha256(td_bytes(u->buffer, n), sum) || EVP_DigestUpdate(u->whole, u->buffer, n) != 1)
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    s3_slot_swap(slot, &u->buffer, &u->room);
    u->n = 0;
    u->bytes += n;
    return s3_parts_send(&u->parts, slot, ++u->number, -1, 0, n, sum);
}

int s3_put_write(void *upload, struct td_slice bytes)
{
    struct upload *u = upload;
    struct s3 *s = u->s3;
    while (bytes.n) {
        if (s->host->cancelled(s->inst))
            return s->host->fail(s->inst, TD_E_CANCELLED, "%s: told to stop", s->config->bucket);
        /* A part goes only when more follows it: so what fits into one needs no parts. */
        int status = u->n == u->part_size ? send_part(u) : TD_OK;
        if (status != TD_OK)
            return status;
        size_t left = (size_t)u->part_size - u->n, n = bytes.n < left ? bytes.n : left;
        if (!make_room(u, n))
            return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
        memcpy(u->buffer + u->n, bytes.p, n);
        u->n += n;
        bytes = td_sub(bytes, n, bytes.n);
    }
    struct s3_slot *slot;
    return u->in_parts ? s3_parts_slot(&u->parts, 0, &slot) : TD_OK; /* what is on the way moves on */
}

/* ---- The end ---- */

static void fill_object(struct s3_request *r, uint64_t bytes, const uint8_t *sha256, struct td_object *ret)
{
    const char *etag = cloud_header(&r->x, "etag");
    ret->flags = TD_OBJECT_SHA256;
    ret->bytes = bytes;
    memcpy(ret->sha256, sha256, CLOUD_SHA256);
    ret->etag[0] = 0;
    if (etag)
        s3_copy_etag(ret->etag, etag);
    const char *date = cloud_header(&r->x, "date");
    if (!date || !cloud_read_http_date(date, &ret->mtime_ns))
        ret->mtime_ns = cloud_now_ns();
}

static int fail_damaged(const struct upload *u)
{
    struct s3 *s = u->s3;
    return s->host->fail(s->inst, TD_E_CORRUPT, "%s/%.500s: what was written is not what its SHA-256 says", s->config->bucket, u->key);
}

/* The server got other bytes than the sum says: was it told to us for other bytes, or was it the way there? */
static int explain_damage(const struct upload *u, const uint8_t *sha256)
{
    struct s3 *s = u->s3;
    uint8_t sum[CLOUD_SHA256];
    if (!cloud_sha256(td_bytes(u->buffer, u->n), sum))
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    if (memcmp(sum, sha256, sizeof(sum)) == 0)
        return s->host->fail(s->inst, TD_E_RETRY, "%s/%.500s: came there damaged", s->config->bucket, u->key);
    return fail_damaged(u);
}

static int put_whole(struct upload *u, const uint8_t *sha256, struct td_object *ret)
{
    struct s3 *s = u->s3;
    struct s3_request r = {.method = "PUT", .key = u->key};
    struct cloud_text hex = {0};
    uint8_t sum[CLOUD_SHA256];
    r.x = (struct cloud_exchange){.body = u->n ? (void *)u->buffer : "", .body_n = u->n, .sends_body = true};
    if (!sha256 && !cloud_sha256(td_bytes(u->buffer, u->n), sum))
        return s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    cloud_put_hex(&hex, sha256 ? sha256 : sum, CLOUD_SHA256);
    s3_object_headers(s, &r, sha256 ? sha256 : sum);
    r.payload_sha256 = cloud_cstr(&hex);
    int status = hex.failed ? s->host->fail(s->inst, TD_E_NOMEM, "out of memory") : s3_run_alone(s, &r);
    if (status == TD_E_CORRUPT && r.x.status)
        status = explain_damage(u, sha256 ? sha256 : sum);
    if (status == TD_OK)
        fill_object(&r, u->n, sha256 ? sha256 : sum, ret);
    if (status == TD_OK && !ret->etag[0])
        status = s3_head(s, u->key, ret);
    s3_request_clear(&r);
    cloud_text_clear(&hex);
    return status;
}

/* All parts have been sent. `sha256`: as td_put or the commit told it, or NULL. */
static int compare_whole(struct upload *u, const uint8_t *sha256)
{
    uint8_t sum[CLOUD_SHA256];
    if (EVP_DigestFinal_ex(u->whole, sum, NULL) != 1)
        return u->s3->host->fail(u->s3->inst, TD_E_NOMEM, "out of memory");
    bool as_told = !u->has_sha256 || memcmp(sum, u->sha256, sizeof(sum)) == 0;
    return as_told && (!sha256 || memcmp(sum, sha256, sizeof(sum)) == 0) ? TD_OK : fail_damaged(u);
}

static int complete(struct upload *u, const uint8_t *sha256, struct td_object *ret)
{
    struct s3 *s = u->s3;
    char etag[S3_MAX_ETAG];
    bool idle = false;
    int status = send_part(u);
    if (status == TD_OK)
        status = compare_whole(u, sha256);
    while (status == TD_OK && !idle)
        status = s3_parts_wait(&u->parts, ns_per_s, &idle);
    if (status == TD_OK)
        status = s3_parts_complete(&u->parts, etag);
    if (status != TD_OK)
        return status;
    /* The object is there; what it is called, it tells best itself. */
    if (s3_head(s, u->key, ret) != TD_OK) {
        ret->flags = 0;
        ret->bytes = u->bytes;
        ret->mtime_ns = cloud_now_ns();
        memcpy(ret->etag, etag, sizeof(etag));
    }
    return TD_OK;
}

int s3_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    struct upload *u = upload;
    if (!sha256 && u->has_sha256)
        sha256 = u->sha256;
    int status = u->in_parts ? complete(u, sha256, ret) : put_whole(u, sha256, ret);
    if (status != TD_OK)
        s3_put_abort(u);
    else
        free_upload(u);
    return status;
}

void s3_put_abort(void *upload)
{
    struct upload *u = upload;
    struct s3 *s = u->s3;
    char id[S3_MAX_UPLOAD_ID + 1], key[TD_KEY_MAX + 1];
    bool in_parts = u->in_parts;
    memcpy(id, u->parts.id, sizeof(id));
    memcpy(key, u->key, sizeof(key));
    free_upload(u); /* ends what is on the way first: a part that comes late would stay */
    if (in_parts)
        s3_abort_quietly(s, key, id);
}
