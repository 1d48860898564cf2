/* A file of a worker, over HTTP: written and hashed as it comes, and gone on with where it broke off. */
#include "snapshot/create_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "capture/notes.h"

enum {
    FLUSH = 8 << 20,        /* bytes: so often the disk is set to work, so that the end has not all of it to wait for */
    ACTIVE = 64 << 10,      /* bytes that count as something: a worker that drips is one that stalls */
    ROOM_STEP = 4 << 20,    /* bytes: what comes without a size is reserved in such steps */
    TRIES_WITHOUT_SIZE = 20 /* of streams that always begin anew */
};

/* ---- What comes ---- */

static int begin_anew(struct fetch *f)
{
    f->at = f->flushed = f->idle_from = 0;
    if (EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL) != 1)
        return create_fail(f->create, TD_E_NOMEM, "out of memory");
    if (ftruncate(f->fd, 0) != 0)
        return create_fail(f->create, TD_E_DENIED, "a segment cannot be written: %s", strerror(errno));
    if (f->counts)
        create_count(f->create, f->piece, 0);
    return TD_OK;
}

static int take_head(void *ctx, const struct http_result *res, struct error *err)
{
    struct fetch *f = ctx;
    uint64_t told = res->status == 206 ? (uint64_t)res->range_size : (uint64_t)res->length;
    bool known = res->status == 206 ? res->range_size >= 0 : res->length >= 0;
    if (known && f->size != UINT64_MAX && told != f->size)
        return error_set(err, TD_E_CORRUPT, "the worker said that it has %llu bytes, and sends %llu", (unsigned long long)f->size,
                         (unsigned long long)told);
    if (res->status != 206 && f->at)
        f->failed = begin_anew(f); /* it has changed, or parts are not to be had */
    snprintf(f->etag, sizeof(f->etag), "%s", res->etag);
    return f->failed;
}

static int write_all(struct fetch *f, struct td_slice bytes)
{
    while (bytes.n) {
        ssize_t n = pwrite(f->fd, bytes.p, bytes.n, (off_t)f->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return create_fail(f->create, errno == ENOSPC || errno == EDQUOT ? TD_E_LIMIT : TD_E_DENIED, "a segment cannot be written: %s",
                               strerror(errno));
        if (EVP_DigestUpdate(f->hash, bytes.p, (size_t)n) != 1)
            return create_fail(f->create, TD_E_INTERNAL, "SHA-256 cannot be computed");
        f->at += (uint64_t)n;
        bytes = td_sub(bytes, (size_t)n, bytes.n);
    }
    if (f->at - f->flushed >= FLUSH) {
        (void)sync_file_range(f->fd, (off_t)f->flushed, (off_t)(f->at - f->flushed), SYNC_FILE_RANGE_WRITE);
        f->flushed = f->at;
    }
    return TD_OK;
}

/* Too little for too long. */
static bool is_stalled(struct fetch *f)
{
    int64_t now_ns = create_now();
    if (f->at - f->idle_from >= ACTIVE || f->at < f->idle_from) {
        f->idle_from = f->at;
        atomic_store(&f->node->active_ns, now_ns);
        return false;
    }
    return now_ns - atomic_load(&f->node->active_ns) > f->create->patience_ns;
}

static int take_bytes(void *ctx, struct td_slice bytes, struct error *err)
{
    struct fetch *f = ctx;
    uint64_t limit = f->size == UINT64_MAX ? NOTES_MAX_SEGMENT : f->size;
    if (bytes.n > limit - f->at)
        return error_set(err, TD_E_CORRUPT, "the worker sends more than %llu bytes", (unsigned long long)limit);
    if (f->size == UINT64_MAX && f->at + bytes.n > f->piece->reserved)
        f->failed = create_reserve(f->create, f->piece, f->at + bytes.n + ROOM_STEP);
    if (f->failed == TD_OK)
        f->failed = write_all(f, bytes);
    if (f->failed != TD_OK)
        return f->failed;
    if (f->counts)
        create_count(f->create, f->piece, f->at);
    return is_stalled(f) ? error_set(err, TD_E_RETRY, "the worker sends next to nothing") : TD_OK;
}

/* ---- Asking ---- */

static int ask(struct fetch *f, const char *what, struct error *err)
{
    struct http_result res;
    struct buf path;
    buf_init(&path, 0);
    buf_lit(&path, "/api/v1/holds/");
    pthread_mutex_lock(&f->node->lock);
    http_put_encoded(&path, f->node->offer.id);
    pthread_mutex_unlock(&f->node->lock);
    buf_printf(&path, "/segments/%llu/%s", (unsigned long long)f->piece->said.sequence, what);
    struct http_call call = {.method = "GET", .path = buf_cstr(&path), .write = take_bytes, .head = take_head, .ctx = f};
    if (f->at) {
        call.range_first = f->at;
        call.range_n = f->size - f->at;
        call.if_range = f->etag;
    }
    int status = path.failed ? error_nomem(err) : http_client_run(f->client, &call, &res, err);
    buf_clear(&path);
    if (status == TD_OK && f->size != UINT64_MAX && f->at < f->size)
        status = error_set(err, TD_E_RETRY, "the worker's answer ended too early");
    return status;
}

static int fetch(struct fetch *f, const char *what, struct error *err)
{
    int status = begin_anew(f);
    for (unsigned attempt = 0; status == TD_OK; attempt++) {
        uint64_t before = f->at;
        status = ask(f, what, err);
        if (status == TD_OK || (status == TD_E_RETRY && f->at == f->size)) {
            status = TD_OK;
            break;
        }
        if (status != TD_E_RETRY || f->failed != TD_OK)
            return status;
        if (f->at > before + ACTIVE)
            attempt = 0;
        if (atomic_load(&f->node->lost) || create_now() - atomic_load(&f->node->active_ns) > f->create->patience_ns ||
            (f->size == UINT64_MAX && attempt > TRIES_WITHOUT_SIZE)) {
            atomic_store(&f->node->lost, true);
            return status;
        }
        if (!create_sleep(f->create, create_backoff(attempt)))
            return error_set(err, TD_E_CANCELLED, "cancelled");
        status = f->size == UINT64_MAX || !*f->etag ? begin_anew(f) : TD_OK;
    }
    if (status == TD_OK && EVP_DigestFinal_ex(f->hash, f->sha256, NULL) != 1)
        status = create_fail(f->create, TD_E_INTERNAL, "SHA-256 cannot be computed");
    atomic_store(&f->node->active_ns, create_now());
    return status;
}

int create_fetch(struct fetch *f, const char *what, struct error *err)
{
    f->hash = EVP_MD_CTX_new();
    f->failed = TD_OK;
    f->etag[0] = 0;
    int status = f->hash ? fetch(f, what, err) : create_fail(f->create, TD_E_NOMEM, "out of memory");
    EVP_MD_CTX_free(f->hash);
    return status;
}
