#include "snapshot/archive.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/units.h"
#include "snapshot/pack.h"
#include "snapshot/sha256.h"
#include "snapshot/tar.h"

enum { MAX_SUMS = 1 << 30, PLAIN_BYTES = 256 << 10 };

struct archive {
    const struct archive_request *request;
    struct pack *pack;
    struct buf head; /* of the member at hand */
    struct buf sums;
    struct sha256 *stored, *plain; /* of the object as it is kept, and as it stands in the archive */
    ZSTD_DStream *zstd;
    uint8_t *room; /* PLAIN_BYTES, for what is decompressed */
    uint64_t done, all;

    /* The object at hand. */
    bool compressed, counting; /* counting: nothing is written yet */
    uint64_t stored_bytes, plain_bytes;
    bool frame_open;    /* its last frame has not ended */
    struct error fault; /* of the sink */
};

const char *archive_suffix(enum archive_packing packing)
{
    return packing == ARCHIVE_ZSTD ? ".tar.zst" : packing == ARCHIVE_GZIP ? ".tar.gz" : ".tar";
}

const char *archive_media_type(enum archive_packing packing)
{
    return packing == ARCHIVE_ZSTD ? "application/zstd" : packing == ARCHIVE_GZIP ? "application/gzip" : "application/x-tar";
}

/* ---- Members ---- */

static int write_head(struct archive *a, const char *name, uint64_t bytes, struct error *err)
{
    char path[TAR_MAX_NAME];
    const struct manifest *m = a->request->manifest;
    if (snprintf(path, sizeof(path), "%s/%s", m->name, name) >= (int)sizeof(path))
        return error_set(err, TD_E_LIMIT, "\"%.200s...\" is too long a name for an archive", name);
    buf_reset(&a->head);
    tar_put_file(&a->head, path, bytes, m->completed_ns / NS_PER_S);
    return a->head.failed ? error_nomem(err) : pack_write(a->pack, buf_slice(&a->head), err);
}

static int write_padding(struct archive *a, uint64_t bytes, struct error *err)
{
    buf_reset(&a->head);
    tar_put_padding(&a->head, bytes);
    return a->head.failed ? error_nomem(err) : pack_write(a->pack, buf_slice(&a->head), err);
}

/* As sha256sum writes it: a name with a backslash has all of them doubled, and one in front of the line says so. */
static int add_sum(struct archive *a, const uint8_t digest[SHA256_BYTES], const char *name, struct error *err)
{
    char hex[SHA256_HEX];
    sha256_format(digest, hex);
    if (strchr(name, '\\'))
        buf_putc(&a->sums, '\\');
    buf_printf(&a->sums, "%s  ", hex);
    for (; *name; name++) {
        if (*name == '\\')
            buf_putc(&a->sums, '\\');
        buf_putc(&a->sums, *name);
    }
    buf_putc(&a->sums, '\n');
    return a->sums.failed ? error_nomem(err) : TD_OK;
}

static int end_member(struct archive *a, const char *name, uint64_t bytes, struct error *err)
{
    uint8_t digest[SHA256_BYTES];
    if (!sha256_end(a->plain, digest))
        return error_set(err, TD_E_INTERNAL, "a digest cannot be made");
    int status = write_padding(a, bytes, err);
    return status == TD_OK ? add_sum(a, digest, name, err) : status;
}

static int write_bytes(struct archive *a, const char *name, struct td_slice bytes, struct error *err)
{
    int status = write_head(a, name, bytes.n, err);
    if (status == TD_OK)
        status = pack_write(a->pack, bytes, err);
    sha256_begin(a->plain);
    sha256_add(a->plain, bytes);
    return status == TD_OK ? end_member(a, name, bytes.n, err) : status;
}

/* ---- Objects on their way from storage ---- */

static int pass_plain(struct archive *a, struct td_slice bytes)
{
    a->plain_bytes += bytes.n;
    if (a->counting)
        return TD_OK;
    sha256_add(a->plain, bytes);
    return pack_write(a->pack, bytes, &a->fault);
}

static int pass_compressed(struct archive *a, struct td_slice bytes)
{
    ZSTD_inBuffer in = {bytes.p, bytes.n, 0};
    bool full = false; /* there may be more to come out */
    while (in.pos < in.size || full) {
        ZSTD_outBuffer out = {a->room, PLAIN_BYTES, 0};
        size_t left = ZSTD_decompressStream(a->zstd, &out, &in);
        if (ZSTD_isError(left))
            return error_set(&a->fault, TD_E_CORRUPT, "it cannot be decompressed: %s", ZSTD_getErrorName(left));
        full = out.pos == out.size;
        a->frame_open = left != 0;
        int status = out.pos ? pass_plain(a, td_bytes(a->room, out.pos)) : TD_OK;
        if (status != TD_OK)
            return status;
    }
    return TD_OK;
}

static int take_bytes(void *ctx, struct td_slice bytes)
{
    struct archive *a = ctx;
    const struct archive_request *r = a->request;
    if (r->cancel && atomic_load_explicit(r->cancel, memory_order_relaxed))
        return error_set(&a->fault, TD_E_CANCELLED, "stopped");
    a->stored_bytes += bytes.n;
    if (!a->counting) {
        a->done += bytes.n;
        if (a->compressed)
            sha256_add(a->stored, bytes);
        if (r->progress)
            r->progress(r->ctx, a->done, a->all);
    }
    return a->compressed ? pass_compressed(a, bytes) : pass_plain(a, bytes);
}

static int get_object(struct archive *a, const char *key, bool counting, struct error *err)
{
    char path[STORAGE_MAX_KEY];
    if (snprintf(path, sizeof(path), "%s/%s", a->request->manifest->id, key) >= (int)sizeof(path))
        return error_set(err, TD_E_LIMIT, "\"%.200s...\" is too long a key", key);
    a->counting = counting;
    a->stored_bytes = a->plain_bytes = 0;
    a->frame_open = false;
    a->fault = (struct error){0};
    sha256_begin(a->stored);
    sha256_begin(a->plain);
    if (a->compressed)
        ZSTD_initDStream(a->zstd);
    int status = storage_get(a->request->storage, path, 0, UINT64_MAX, take_bytes, a, err);
    if (a->fault.status != TD_OK)
        return error_set(err, a->fault.status, "%s: %s", path, a->fault.text);
    if (status == TD_OK && a->frame_open)
        return error_set(err, TD_E_CORRUPT, "%s: it ends within a compressed frame", path);
    return status;
}

/* ---- Segments, and what is known besides ---- */

static int differs(const struct archive *a, const struct manifest_object *o, const char *what, struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "%s/%s is not what the manifest says: %s; verify the snapshot", a->request->manifest->id, o->key,
                     what);
}

static int check_object(struct archive *a, const struct manifest_object *o, uint64_t plain_bytes, struct error *err)
{
    uint8_t digest[SHA256_BYTES];
    if (a->stored_bytes != o->bytes)
        return differs(a, o, "its size", err);
    if (a->plain_bytes != plain_bytes) /* between two readings */
        return differs(a, o, "it has changed", err);
    if (!a->compressed) /* the digest of what is written is told by end_member() */
        return TD_OK;
    if (!sha256_end(a->stored, digest))
        return error_set(err, TD_E_INTERNAL, "a digest cannot be made");
    return memcmp(digest, o->sha256, SHA256_BYTES) == 0 ? TD_OK : differs(a, o, "its SHA-256", err);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && strcmp(text + n - k, suffix) == 0;
}

/* "node/0000000042.pcapng", whether it is kept compressed or not. */
static int member_name(const struct manifest_object *o, char out[STORAGE_MAX_KEY], bool *ret_compressed, struct error *err)
{
    static const char suffix[] = ".zst";
    size_t n = strlen(o->key);
    if (n >= STORAGE_MAX_KEY)
        return error_set(err, TD_E_LIMIT, "\"%.200s...\" is too long a key", o->key);
    memcpy(out, o->key, n + 1);
    *ret_compressed = has_suffix(o->key, suffix);
    if (*ret_compressed)
        out[n - (sizeof(suffix) - 1)] = 0;
    return TD_OK;
}

static int write_object(struct archive *a, const struct manifest_object *o, struct error *err)
{
    char name[STORAGE_MAX_KEY];
    uint8_t digest[SHA256_BYTES];
    uint64_t bytes = o->bytes;
    int status = member_name(o, name, &a->compressed, err);
    if (status == TD_OK && a->compressed) { /* its size stands before it, and nobody knows it without looking */
        status = get_object(a, o->key, true, err);
        bytes = a->plain_bytes;
    }
    if (status == TD_OK)
        status = write_head(a, name, bytes, err);
    if (status == TD_OK)
        status = get_object(a, o->key, false, err);
    if (status == TD_OK)
        status = check_object(a, o, bytes, err);
    if (status != TD_OK)
        return status;
    if (!sha256_end(a->plain, digest))
        return error_set(err, TD_E_INTERNAL, "a digest cannot be made");
    if (!a->compressed && memcmp(digest, o->sha256, SHA256_BYTES) != 0)
        return differs(a, o, "its SHA-256", err);
    status = write_padding(a, bytes, err);
    return status == TD_OK ? add_sum(a, digest, name, err) : status;
}

/* ---- Dissections ---- */

static int dissection_key(const struct archive *a, const char *name, bool with_id, char out[STORAGE_MAX_KEY], struct error *err)
{
    int n = snprintf(out, STORAGE_MAX_KEY, "%s%sdissections/%s.calls", with_id ? a->request->manifest->id : "", with_id ? "/" : "", name);
    return n < STORAGE_MAX_KEY ? TD_OK : error_set(err, TD_E_LIMIT, "\"%.200s...\" is too long a name", name);
}

static int write_dissection(struct archive *a, const char *name, struct error *err)
{
    char key[STORAGE_MAX_KEY];
    struct storage_object object = {0};
    int status = dissection_key(a, name, true, key, err);
    if (status == TD_OK)
        status = storage_head(a->request->storage, key, &object, err);
    if (status == TD_OK)
        status = dissection_key(a, name, false, key, err);
    if (status == TD_OK)
        status = write_head(a, key, object.bytes, err);
    a->compressed = false;
    if (status == TD_OK)
        status = get_object(a, key, false, err);
    if (status == TD_OK && a->plain_bytes != object.bytes)
        status = error_set(err, TD_E_CORRUPT, "%s has changed while it was read", key);
    return status == TD_OK ? end_member(a, key, object.bytes, err) : status;
}

/* ---- All ---- */

static int write_manifest(struct archive *a, struct error *err)
{
    char key[MANIFEST_ID + sizeof("/manifest.json")];
    struct buf bytes = {.max = MANIFEST_MAX_BYTES};
    snprintf(key, sizeof(key), "%s/manifest.json", a->request->manifest->id);
    int status = storage_get_bytes(a->request->storage, key, MANIFEST_MAX_BYTES, &bytes, err);
    if (status == TD_OK)
        status = write_bytes(a, "manifest.json", buf_slice(&bytes), err);
    buf_clear(&bytes);
    return status;
}

static int write_all(struct archive *a, struct error *err)
{
    const struct manifest *m = a->request->manifest;
    int status = write_manifest(a, err);
    for (size_t i = 0; i < m->node_count; i++) {
        if (m->nodes[i].context.key && status == TD_OK)
            status = write_object(a, &m->nodes[i].context, err);
        for (size_t k = 0; k < m->nodes[i].segment_count && status == TD_OK; k++)
            status = write_object(a, &m->nodes[i].segments[k].data, err);
    }
    for (size_t i = 0; i < a->request->dissection_count && status == TD_OK; i++)
        status = write_dissection(a, a->request->dissections[i], err);
    if (status != TD_OK)
        return status;
    struct td_slice sums = buf_slice(&a->sums);
    status = write_head(a, "SHA256SUMS", sums.n, err);
    if (status == TD_OK)
        status = pack_write(a->pack, sums, err);
    buf_reset(&a->head);
    tar_put_padding(&a->head, sums.n);
    tar_put_end(&a->head);
    if (status == TD_OK && a->head.failed)
        status = error_nomem(err);
    if (status == TD_OK)
        status = pack_write(a->pack, buf_slice(&a->head), err);
    return status == TD_OK ? pack_end(a->pack, err) : status;
}

int archive_write(const struct archive_request *request, struct error *err)
{
    const struct manifest *m = request->manifest;
    struct archive a = {.request = request, .sums = {.max = MAX_SUMS}};
    for (size_t i = 0; i < m->node_count; i++) {
        a.all += m->nodes[i].context.bytes;
        for (size_t k = 0; k < m->nodes[i].segment_count; k++)
            a.all += m->nodes[i].segments[k].data.bytes;
    }
    a.stored = sha256_new();
    a.plain = sha256_new();
    a.room = mem_alloc(PLAIN_BYTES);
    a.zstd = ZSTD_createDStream();
    int status = a.stored && a.plain && a.room && a.zstd ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = pack_new(request->packing, request->level, request->write, request->ctx, &a.pack, err);
    if (status == TD_OK)
        status = write_all(&a, err);
    pack_free(a.pack);
    ZSTD_freeDStream(a.zstd);
    mem_free(a.room);
    sha256_free(a.stored);
    sha256_free(a.plain);
    buf_clear(&a.head);
    buf_clear(&a.sums);
    return status;
}
