/* What putting a stream and putting a file have in common: whole blobs, blocks, and their list. */
#include "azblob.h"

#include <openssl/evp.h>
#include <stdio.h>

#define CLEANING_NS (10 * AZBLOB_NS) /* for each request that cleans up behind a failure */

void azblob_md5_text(const uint8_t md5[CLOUD_MD5], char ret[25])
{
    EVP_EncodeBlock((unsigned char *)ret, md5, CLOUD_MD5);
}

static void sha256_text(const uint8_t *sum, char ret[2 * CLOUD_SHA256 + 1])
{
    for (size_t i = 0; i < CLOUD_SHA256; i++)
        snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

static void describe_object(struct azblob_request *r, const char *sha256)
{
    static const char *const tiers[] = {NULL, "Hot", "Cool", "Cold"}; /* as azblob.c's choices */
    uint32_t tier = r->a->config->access_tier;
    azblob_header(r, "x-ms-meta-sha256", sha256);
    if (tier && tier < sizeof(tiers) / sizeof(tiers[0]))
        azblob_header(r, "x-ms-access-tier", tiers[tier]);
    r->x.sends_body = true;
}

void azblob_describe_blob(struct azblob_request *r, struct azblob *a, const char *key, const struct azblob_sums *sums,
                          struct azblob_sum_texts *texts)
{
    azblob_md5_text(sums->md5, texts->md5);
    sha256_text(sums->sha256, texts->sha256);
    azblob_request_begin(r, a, "PUT", key);
    azblob_header(r, "x-ms-blob-type", "BlockBlob");
    azblob_header(r, "Content-MD5", texts->md5);
    describe_object(r, texts->sha256);
}

void azblob_describe_block(struct azblob_request *r, struct azblob *a, const char *key, const char *name, const char *md5)
{
    azblob_request_begin(r, a, "PUT", key);
    azblob_query(r, "comp", "block");
    azblob_query(r, "blockid", name);
    azblob_header(r, "Content-MD5", md5);
    r->x.sends_body = true;
}

int azblob_commit(struct azblob *a, const char *key, const struct azblob_blocks *blocks, const uint8_t *sha256, struct td_object *ret)
{
    struct azblob_request r;
    struct azblob_sum_texts texts;
    uint8_t md5[CLOUD_MD5];
    struct cloud_text body = {0};
    azblob_put_block_list(&body, blocks);
    if (body.failed || !cloud_md5(td_bytes(body.p, body.n), md5)) {
        cloud_text_clear(&body);
        return azblob_nomem(a);
    }
    azblob_md5_text(md5, texts.md5);
    sha256_text(sha256, texts.sha256);
    azblob_request_begin(&r, a, "PUT", key);
    azblob_query(&r, "comp", "blocklist");
    azblob_header(&r, "Content-MD5", texts.md5);
    describe_object(&r, texts.sha256);
    r.x.body = body.p;
    r.x.body_n = body.n;
    int status = azblob_request_alone(&r, "cannot be put together from its blocks", NULL);
    if (status == TD_OK && ret)
        azblob_object(&r, ret);
    azblob_request_clear(&r);
    cloud_text_clear(&body);
    return status;
}

static void begin(struct azblob_request *r, struct azblob *a, const char *method, const char *key, bool quiet)
{
    azblob_request_begin(r, a, method, key);
    r->quiet = quiet;
    if (quiet) /* whoever is told to stop does so soon */
        r->x.deadline_ns = a->host->cancelled(a->inst) ? CLEANING_NS / 5 : CLEANING_NS;
}

int azblob_find_blocks(struct azblob *a, const char *key, bool quiet, struct azblob_blocks *ret, size_t *ret_uncommitted)
{
    struct azblob_request r;
    struct azblob_error error;
    begin(&r, a, "GET", key, quiet);
    azblob_query(&r, "comp", "blocklist");
    azblob_query(&r, "blocklisttype", "all");
    int status = azblob_request_alone(&r, "cannot be asked for its blocks", &error);
    *ret_uncommitted = 0;
    if (status == TD_E_NOT_FOUND && strcmp(error.code, "ContainerNotFound") != 0)
        status = TD_OK;
    else if (status == TD_OK)
        status = azblob_read_block_list(td_bytes(r.x.answer.p, r.x.answer.n), ret, ret_uncommitted);
    if (status == TD_E_CORRUPT && !quiet)
        status = azblob_fail(a, key, status, "the service's answer is no list of blocks");
    else if (status == TD_E_NOMEM && !quiet)
        status = azblob_nomem(a);
    azblob_request_clear(&r);
    return status;
}

/* ---- Discarding ---- */

/* An empty blob takes the place of the blocks, unless there is a blob. *ret_etag: of the one that was made, with its quotes. */
static int replace_blocks(struct azblob *a, const char *key, bool quiet, char ret_etag[128])
{
    static const char empty[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList></BlockList>";
    struct azblob_request r;
    struct azblob_error error;
    begin(&r, a, "PUT", key, quiet);
    azblob_query(&r, "comp", "blocklist");
    azblob_header(&r, "If-None-Match", "*");
    azblob_header(&r, "x-ms-blob-content-type", AZBLOB_DISCARDED);
    r.x.body = empty;
    r.x.body_n = sizeof(empty) - 1;
    int status = azblob_request_alone(&r, "its unfinished blocks cannot be discarded", &error);
    const char *etag = status == TD_OK ? cloud_header(&r.x, "ETag") : NULL;
    snprintf(ret_etag, 128, "%s", etag ? etag : "");
    azblob_request_clear(&r);
    return strcmp(error.code, "BlobAlreadyExists") == 0 || strcmp(error.code, "ConditionNotMet") == 0 ? TD_OK : status;
}

/* The ETag of what discarding has left; "": nothing. */
static int find_left(struct azblob *a, const char *key, bool quiet, char ret_etag[128])
{
    struct azblob_request r;
    struct azblob_error error;
    begin(&r, a, "HEAD", key, quiet);
    int status = azblob_request_alone(&r, "cannot be looked at", &error);
    const char *type = status == TD_OK ? cloud_header(&r.x, "Content-Type") : NULL;
    bool left = type && strcmp(type, AZBLOB_DISCARDED) == 0;
    const char *etag = left ? cloud_header(&r.x, "ETag") : NULL;
    snprintf(ret_etag, 128, "%s", etag ? etag : "");
    azblob_request_clear(&r);
    return status == TD_E_NOT_FOUND && strcmp(error.code, "ContainerNotFound") != 0 ? TD_OK : status;
}

static int remove_left(struct azblob *a, const char *key, bool quiet, const char *etag)
{
    struct azblob_request r;
    struct azblob_error error;
    begin(&r, a, "DELETE", key, quiet);
    azblob_header(&r, "If-Match", etag);
    int status = azblob_request_alone(&r, "what discarding its blocks has left cannot be removed", &error);
    azblob_request_clear(&r);
    if (strcmp(error.code, "ConditionNotMet") == 0) /* somebody has put the object meanwhile */
        return TD_OK;
    return status == TD_E_NOT_FOUND && strcmp(error.code, "ContainerNotFound") != 0 ? TD_OK : status;
}

int azblob_discard(struct azblob *a, const char *key, bool quiet)
{
    struct azblob_blocks blocks = {0};
    char etag[128] = "";
    size_t uncommitted;
    int status = azblob_find_blocks(a, key, quiet, &blocks, &uncommitted);
    azblob_blocks_clear(&blocks);
    if (status == TD_OK)
        status = uncommitted ? replace_blocks(a, key, quiet, etag) : find_left(a, key, quiet, etag);
    return status == TD_OK && *etag ? remove_left(a, key, quiet, etag) : status;
}
