/* Blocks: how large, how they are called, which are there. */
#include "azblob.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)
#define STATE "blocks-1 "

/* ---- Names and sizes ---- */

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct azblob_block_id azblob_block_id(uint32_t index, uint32_t bytes, const uint8_t md5[CLOUD_MD5])
{
    struct azblob_block_id id;
    put_u32(id.bytes, index);
    put_u32(id.bytes + 4, bytes);
    memcpy(id.bytes + 8, md5, CLOUD_MD5);
    return id;
}

void azblob_block_name(const struct azblob_block_id *id, char ret[AZBLOB_BLOCK_NAME + 1])
{
    EVP_EncodeBlock((unsigned char *)ret, id->bytes, AZBLOB_BLOCK_ID);
}

uint64_t azblob_block_bytes(uint64_t object_bytes, uint64_t wanted)
{
    uint64_t least = object_bytes / AZBLOB_MAX_BLOCKS + (object_bytes % AZBLOB_MAX_BLOCKS != 0);
    if (least <= wanted)
        return wanted;
    least = (least + MIB - 1) / MIB * MIB; /* a round number, which a larger object is likely to have as well */
    return least <= AZBLOB_MAX_BLOCK ? least : 0;
}

/* ---- State ---- */

void azblob_state(uint64_t block_bytes, char ret[TD_PUT_STATE_MAX])
{
    snprintf(ret, TD_PUT_STATE_MAX, STATE "%" PRIu64, block_bytes);
}

bool azblob_read_state(const char *state, uint64_t *ret_block_bytes)
{
    uint64_t bytes = 0;
    const char *p = state + strlen(STATE);
    if (strncmp(state, STATE, strlen(STATE)) != 0 || !*p)
        return false;
    for (; *p >= '0' && *p <= '9' && bytes <= AZBLOB_MAX_BLOCK; p++)
        bytes = bytes * 10 + (uint64_t)(*p - '0');
    if (*p || !bytes || bytes > AZBLOB_MAX_BLOCK)
        return false;
    *ret_block_bytes = bytes;
    return true;
}

/* ---- Lists ---- */

void azblob_blocks_clear(struct azblob_blocks *b)
{
    free(b->v);
    *b = (struct azblob_blocks){0};
}

bool azblob_blocks_add(struct azblob_blocks *b, const struct azblob_block_id *id)
{
    if (b->n == b->room) {
        size_t room = b->room ? 2 * b->room : 64;
        struct azblob_block_id *grown = realloc(b->v, room * sizeof(*grown));
        if (!grown)
            return false;
        b->v = grown;
        b->room = room;
    }
    b->v[b->n++] = *id;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct azblob_block_id));
}

void azblob_blocks_sort(struct azblob_blocks *b)
{
    if (b->n)
        qsort(b->v, b->n, sizeof(b->v[0]), compare_ids);
}

bool azblob_blocks_have(const struct azblob_blocks *sorted, const struct azblob_block_id *id)
{
    return sorted->n && bsearch(id, sorted->v, sorted->n, sizeof(sorted->v[0]), compare_ids);
}

void azblob_put_block_list(struct cloud_text *out, const struct azblob_blocks *b)
{
    char name[AZBLOB_BLOCK_NAME + 1];
    cloud_puts(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>");
    for (size_t i = 0; i < b->n; i++) {
        azblob_block_name(&b->v[i], name);
        cloud_puts(out, "<Latest>");
        cloud_puts(out, name);
        cloud_puts(out, "</Latest>");
    }
    cloud_puts(out, "</BlockList>");
}

struct reading {
    struct azblob_blocks *blocks;
    size_t uncommitted;
    struct azblob_block_id id;
    bool named; /* `id` is one of ours */
    uint64_t size;
};

static uint64_t read_number(const char *text)
{
    uint64_t v = 0;
    size_t n = strspn(text, "0123456789");
    if (!n || n > 18 || text[n])
        return UINT64_MAX;
    for (; *text; text++)
        v = v * 10 + (uint64_t)(*text - '0');
    return v;
}

static int read_element(void *ctx, const char *path, const char *text)
{
    struct reading *r = ctx;
    const char *rest = strchr(path, '/');
    if (!rest)
        return 0;
    if (strcmp(rest, "/Block/Name") == 0 && text) {
        uint8_t bytes[AZBLOB_BLOCK_ID];
        r->named = strlen(text) == AZBLOB_BLOCK_NAME && cloud_read_base64(text, bytes, sizeof(bytes)) == AZBLOB_BLOCK_ID;
        if (r->named)
            memcpy(r->id.bytes, bytes, sizeof(bytes));
    } else if (strcmp(rest, "/Block/Size") == 0 && text) {
        r->size = read_number(text);
    } else if (strcmp(rest, "/Block") == 0) {
        r->uncommitted += path[0] == 'U';
        if (r->named && r->size == get_u32(r->id.bytes + 4) && !azblob_blocks_add(r->blocks, &r->id))
            return TD_E_NOMEM;
        r->named = false;
        r->size = UINT64_MAX;
    }
    return 0;
}

int azblob_read_block_list(struct td_slice document, struct azblob_blocks *ret, size_t *ret_uncommitted)
{
    struct reading r = {.blocks = ret, .size = UINT64_MAX};
    int status = cloud_xml(document, "BlockList", read_element, &r);
    azblob_blocks_sort(ret);
    *ret_uncommitted = r.uncommitted;
    return status;
}
