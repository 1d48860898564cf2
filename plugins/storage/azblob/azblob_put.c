/* Putting a stream: whole if it fits into a block, else block by block. */
#include "azblob.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { FIRST_ROOM = 64 << 10, GROW_AFTER = 10000 };

struct upload {
    struct azblob *a;
    EVP_MD_CTX *sha256;
    uint8_t *buffer; /* a block, or all so far */
    size_t n, room;
    uint64_t bytes, block_bytes;
    struct azblob_blocks blocks; /* that were sent */
    bool has_expected;
    uint8_t expected[CLOUD_SHA256]; /* as td_put told it */
    char key[TD_KEY_MAX + 1];
};

static void free_upload(struct upload *u)
{
    EVP_MD_CTX_free(u->sha256);
    azblob_blocks_clear(&u->blocks);
    free(u->buffer);
    free(u);
}

int azblob_put_open(void *self, const char *key, const struct td_put *put, void **ret_upload)
{
    struct azblob *a = self;
    uint64_t wanted = a->config->block_bytes;
    uint64_t block = put->expected == UINT64_MAX ? wanted : azblob_block_bytes(put->expected, wanted);
    if (!block || strlen(key) > TD_KEY_MAX)
        return azblob_fail(a, key, block ? TD_E_UNSUPPORTED : TD_E_LIMIT, "%s", block ? "the key is too long" : "too large for a blob");
    struct upload *u = calloc(1, sizeof(*u));
    if (!u)
        return azblob_nomem(a);
    u->a = a;
    u->block_bytes = block;
    u->has_expected = put->sha256 != NULL;
    if (put->sha256)
        memcpy(u->expected, put->sha256, sizeof(u->expected));
    memcpy(u->key, key, strlen(key) + 1);
    u->sha256 = EVP_MD_CTX_new();
    if (!u->sha256 || EVP_DigestInit_ex(u->sha256, EVP_sha256(), NULL) != 1) {
        free_upload(u);
        return azblob_nomem(a);
    }
    *ret_upload = u;
    return TD_OK;
}

/* ---- Blocks ---- */

static int send_block(struct upload *u)
{
    struct azblob *a = u->a;
    uint8_t md5[CLOUD_MD5];
    char name[AZBLOB_BLOCK_NAME + 1], sum[25];
    struct azblob_request r;
    if (u->blocks.n == AZBLOB_MAX_BLOCKS)
        return azblob_fail(a, u->key, TD_E_LIMIT, "cannot be written: more than %d blocks; choose a larger blockSize", AZBLOB_MAX_BLOCKS);
    if (!cloud_md5(td_bytes(u->buffer, u->n), md5))
        return azblob_nomem(a);
    struct azblob_block_id id = azblob_block_id((uint32_t)u->blocks.n, (uint32_t)u->n, md5);
    if (!azblob_blocks_add(&u->blocks, &id))
        return azblob_nomem(a);
    azblob_block_name(&id, name);
    azblob_md5_text(md5, sum);
    azblob_describe_block(&r, a, u->key, name, sum);
    r.x.body = u->buffer;
    r.x.body_n = u->n;
    int status = azblob_request_alone(&r, "cannot be written", NULL);
    azblob_request_clear(&r);
    u->n = 0;
    /* Nobody said how large it is going to be. */
    if (u->blocks.n % GROW_AFTER == 0 && u->block_bytes < AZBLOB_MAX_BLOCK / 2)
        u->block_bytes *= 2;
    return status;
}

static int make_room(struct upload *u, size_t more)
{
    uint64_t room = u->room ? u->room : FIRST_ROOM;
    while (room < u->n + more)
        room *= 2;
    if (room > u->block_bytes)
        room = u->block_bytes;
    if (room <= u->room)
        return TD_OK;
    uint8_t *grown = realloc(u->buffer, room);
    if (!grown)
        return azblob_nomem(u->a);
    u->buffer = grown;
    u->room = room;
    return TD_OK;
}

int azblob_put_write(void *upload, struct td_slice bytes)
{
    struct upload *u = upload;
    while (bytes.n) {
        if (u->a->host->cancelled(u->a->inst))
            return TD_E_CANCELLED;
        int status = u->n == u->block_bytes ? send_block(u) : TD_OK;
        uint64_t room = u->block_bytes - u->n;
        size_t n = bytes.n < room ? bytes.n : (size_t)room;
        if (status == TD_OK)
            status = make_room(u, n);
        if (status == TD_OK && EVP_DigestUpdate(u->sha256, bytes.p, n) != 1)
            status = azblob_nomem(u->a);
        if (status != TD_OK)
            return status;
        memcpy(u->buffer + u->n, bytes.p, n);
        u->n += n;
        u->bytes += n;
        bytes = td_sub(bytes, n, bytes.n);
    }
    return TD_OK;
}

/* ---- The end ---- */

static int put_whole(struct upload *u, struct azblob_sums *sums, struct td_object *ret)
{
    struct azblob_request r;
    struct azblob_sum_texts texts;
    if (!cloud_md5(td_bytes(u->buffer, u->n), sums->md5))
        return azblob_nomem(u->a);
    azblob_describe_blob(&r, u->a, u->key, sums, &texts);
    r.x.body = u->buffer;
    r.x.body_n = u->n;
    int status = azblob_request_alone(&r, "cannot be written", NULL);
    if (status == TD_OK)
        azblob_object(&r, ret);
    azblob_request_clear(&r);
    return status;
}

int azblob_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    struct upload *u = upload;
    struct azblob_sums sums;
    uint8_t sum[EVP_MAX_MD_SIZE];
    int status = TD_OK;
    if (EVP_DigestFinal_ex(u->sha256, sum, NULL) != 1)
        status = azblob_nomem(u->a);
    memcpy(sums.sha256, sum, sizeof(sums.sha256));
    bool as_told = !u->has_expected || memcmp(u->expected, sum, CLOUD_SHA256) == 0;
    if (status == TD_OK && (!as_told || (sha256 && memcmp(sha256, sum, CLOUD_SHA256) != 0)))
        status = azblob_fail(u->a, u->key, TD_E_CORRUPT, "cannot be written: its bytes do not have the SHA-256 sum that they should have");
    if (status == TD_OK && !u->blocks.n) {
        status = put_whole(u, &sums, ret);
    } else if (status == TD_OK) {
        status = u->n ? send_block(u) : TD_OK;
        if (status == TD_OK)
            status = azblob_commit(u->a, u->key, &u->blocks, sums.sha256, ret);
    }
    if (status != TD_OK) {
        azblob_put_abort(u);
        return status;
    }
    ret->bytes = u->bytes;
    ret->flags |= TD_OBJECT_SHA256;
    memcpy(ret->sha256, sums.sha256, sizeof(sums.sha256));
    free_upload(u);
    return TD_OK;
}

/* What cannot be discarded now, since the service is away, it drops after a week. */
void azblob_put_abort(void *upload)
{
    struct upload *u = upload;
    if (u->blocks.n)
        (void)azblob_discard(u->a, u->key, true);
    free_upload(u);
}
