/* Fetching ranges of objects into files, in parallel, and hashing what is there from the beginning on, one thread for each object. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cloud/download_internal.h"

enum { READ_BYTES = 256 << 10, NOTHING = UINT32_MAX };

/* A thread's work. */
struct fetch {
    struct download *d;
    const struct object *o;
    struct download_item *item;
    uint32_t range; /* NOTHING: all are there, it only has to be hashed */
    struct retry retry;
    uint64_t at, end; /* of the object: what came, and what is to come */
    size_t held;      /* of what came, so many bytes are in `room` yet */
    unsigned damaged;
    int failed; /* of this side */
    struct error *err;
    uint8_t *room; /* READ_BYTES */
};

static uint64_t range_begin(const struct object *o, uint32_t range)
{
    uint64_t at = (uint64_t)range * DOWNLOAD_RANGE;
    return at < o->bytes ? at : o->bytes;
}

/* ---- What is to be done next ---- */

/* The first range of an item that is neither there nor given away. [lock] */
static bool next_range(struct download_item *i, uint32_t *ret)
{
    while (i->given < i->ranges && download_has(i, i->given))
        i->given++;
    if (i->given == i->ranges)
        return false;
    *ret = i->given++;
    return true;
}

static bool next(struct fetch *f)
{
    struct download *d = f->d;
    bool found = false;
    pthread_mutex_lock(&d->run.lock);
    while (!found && d->cursor < d->plan.n) {
        struct download_item *i = &d->items[d->cursor];
        f->o = &d->plan.v[d->cursor];
        f->item = i;
        f->range = NOTHING;
        if (!i->whole && !i->skipped)
            found = next_range(i, &f->range) || !i->taken;
        i->taken |= found;
        d->cursor += !found;
    }
    pthread_mutex_unlock(&d->run.lock);
    return found;
}

/* ---- Files ---- */

static int make_folder(struct download *d, const char *key, struct error *err)
{
    char folder[CLOUD_KEY];
    snprintf(folder, sizeof(folder), "%s", key);
    char *slash = strchr(folder, '/');
    if (!slash)
        return TD_OK;
    *slash = 0;
    return mkdirat(d->work_fd, folder, 0750) == 0 || errno == EEXIST ? TD_OK : work_fail(err, "cannot be made", folder);
}

/* Its whole size is allocated: a full disk is found out at once. */
static int open_file(struct fetch *f, struct error *err)
{
    struct download_item *i = f->item;
    int status = TD_OK, fd = -1;
    pthread_mutex_lock(&f->d->run.lock);
    if (i->fd < 0) {
        status = make_folder(f->d, f->o->key, err);
        fd = status == TD_OK ? openat(f->d->work_fd, f->o->key, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640) : -1;
        if (status == TD_OK && fd < 0)
            status = work_fail(err, "cannot be written", f->o->key);
    }
    if (fd >= 0) {
        if (f->o->bytes && fallocate(fd, 0, 0, (off_t)f->o->bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
            status = work_fail(err, "has no room", f->o->key);
        else if (ftruncate(fd, (off_t)f->o->bytes) != 0)
            status = work_fail(err, "cannot be written", f->o->key);
        i->fd = fd;
    }
    pthread_mutex_unlock(&f->d->run.lock);
    return status;
}

/* ---- Fetching a range ---- */

/* What is held goes into the file. */
static int write_held(struct fetch *f)
{
    const uint8_t *p = f->room;
    while (f->held) {
        ssize_t one = pwrite(f->item->fd, p, f->held, (off_t)(f->at - f->held));
        if (one < 0 && errno == EINTR)
            continue;
        if (one < 0)
            return f->failed = work_fail(f->err, "cannot be written", f->o->key);
        p += one;
        f->held -= (size_t)one;
    }
    return TD_OK;
}

/* Bytes come in small pieces; the disk is cheaper with large ones. */
static int take(void *ctx, struct td_slice bytes)
{
    struct fetch *f = ctx;
    if (!run_goes_on(&f->d->run))
        return TD_E_CANCELLED;
    while (bytes.n) {
        size_t n = bytes.n < READ_BYTES - f->held ? bytes.n : READ_BYTES - f->held;
        memcpy(f->room + f->held, bytes.p, n);
        bytes = td_sub(bytes, n, bytes.n);
        f->held += n;
        f->at += n;
        run_count(&f->d->run, (int64_t)n);
        int status = f->held == READ_BYTES ? write_held(f) : TD_OK;
        if (status != TD_OK)
            return status;
    }
    retry_forward(&f->retry);
    return TD_OK;
}

/* An object that is not there: it is damage, unless the whole snapshot is gone. */
static int explain_absence(struct fetch *f, struct error *err)
{
    struct download *d = f->d;
    int status = cloud_head_manifest(&d->run, d->id, err);
    if (status == TD_E_NOT_FOUND)
        return error_set(err, status, "snapshot %s was deleted from the cloud while it was downloaded", d->id);
    return status == TD_OK ? error_set(err, TD_E_CORRUPT, "snapshot %s is damaged in the cloud: %.600s is missing", d->id, f->o->key)
                           : status;
}

/* One try, which goes on at the offset reached. */
static int get(struct fetch *f, const char *key, struct error *err)
{
    uint64_t begin = range_begin(f->o, f->range);
    f->failed = TD_OK;
    f->err = err;
    if (!run_goes_on(&f->d->run))
        return error_set(err, TD_E_CANCELLED, "cancelled");
    int status = storage_get(f->d->run.cloud->storage, key, f->at, f->end - f->at, take, f, err);
    if (!f->failed && write_held(f) != TD_OK)
        status = f->failed;
    if (f->failed)
        return status;
    if (status == TD_E_CANCELLED)
        return error_set(err, status, "cancelled");
    if (status == TD_E_LIMIT)
        status = error_set(err, TD_E_CORRUPT, "snapshot %s is damaged in the cloud: %.600s is shorter than it was", f->d->id, f->o->key);
    if (status == TD_E_CORRUPT && ++f->damaged < CLOUD_TRIES) { /* it may have been the network */
        run_count(&f->d->run, -(int64_t)(f->at - begin));
        f->at = begin;
        status = TD_E_RETRY;
    }
    return status;
}

static int fetch_range(struct fetch *f, struct error *err)
{
    char key[CLOUD_KEY];
    struct download *d = f->d;
    f->at = range_begin(f->o, f->range);
    f->end = range_begin(f->o, f->range + 1);
    f->damaged = 0;
    f->held = 0;
    uint64_t bytes = f->end - f->at;
    cloud_key(d->run.cloud, d->id, f->o->key, key);
    int status;
    run_retry_begin(&d->run, &f->retry);
    do
        status = get(f, key, err);
    while (run_again(&d->run, &f->retry, &status, err));
    if (status == TD_E_NOT_FOUND)
        return explain_absence(f, err);
    if (status == TD_E_DENIED && f->o->dissection && !f->failed)
        return TD_E_NOT_FOUND; /* as good as gone; *err says why */
    if (status != TD_OK)
        return status;
    /* The disk begins at once, so that there is little left to be flushed at the end. */
    sync_file_range(f->item->fd, (off_t)(f->end - bytes), (off_t)bytes, SYNC_FILE_RANGE_WRITE);
    atomic_fetch_add(&d->got_bytes, bytes);
    status = journal_note(d->journal, f->o->key, f->range, err);
    pthread_mutex_lock(&d->run.lock);
    download_set(f->item, f->range);
    f->item->counted += bytes;
    d->got_objects += !f->item->fetched;
    f->item->fetched = true;
    pthread_mutex_unlock(&d->run.lock);
    return status;
}

/* ---- Sums ---- */

static int hash_range(struct fetch *f, uint32_t range, struct error *err)
{
    uint64_t at = range_begin(f->o, range), end = range_begin(f->o, range + 1);
    while (at < end) {
        size_t n = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;
        ssize_t one = pread(f->item->fd, f->room, n, (off_t)at);
        if (one < 0 && errno == EINTR)
            continue;
        if (one < 0)
            return work_fail(err, "cannot be read", f->o->key);
        if (one == 0)
            return error_set(err, TD_E_CORRUPT, "%.600s became shorter while it was downloaded", f->o->key);
        if (!run_goes_on(&f->d->run))
            return error_set(err, TD_E_CANCELLED, "cancelled");
        sha256_add(f->item->sum, td_bytes(f->room, (size_t)one));
        at += (uint64_t)one;
    }
    return TD_OK;
}

/* Goes on as far as it is there; of several threads one. *ret_end: it has come to the end. */
static int hash_on(struct fetch *f, bool *ret_end, struct error *err)
{
    struct download_item *i = f->item;
    pthread_mutex_t *lock = &f->d->run.lock;
    int status = TD_OK;
    pthread_mutex_lock(lock);
    if (i->hashing || i->whole) {
        pthread_mutex_unlock(lock);
        return TD_OK;
    }
    i->hashing = true;
    if (!i->sum && (i->sum = sha256_new()))
        sha256_begin(i->sum);
    status = i->sum ? TD_OK : error_nomem(err);
    while (status == TD_OK && i->hashed < i->ranges && download_has(i, i->hashed)) {
        uint32_t range = i->hashed;
        pthread_mutex_unlock(lock);
        status = hash_range(f, range, err);
        pthread_mutex_lock(lock);
        i->hashed++;
    }
    *ret_end = status == TD_OK && i->hashed == i->ranges;
    i->hashing = *ret_end; /* whoever is at the end keeps it */
    pthread_mutex_unlock(lock);
    return status;
}

static void close_file(struct download_item *i)
{
    close(i->fd);
    i->fd = -1;
    sha256_free(i->sum);
    i->sum = NULL;
}

/* From the beginning once more, or, of a dissection, not at all. */
static int refuse(struct fetch *f, struct error *err)
{
    struct download *d = f->d;
    struct download_item *i = f->item;
    bool again = ++i->damaged < CLOUD_TRIES;
    if (!again && !f->o->dissection)
        return error_set(err, TD_E_CORRUPT, "snapshot %s is damaged in the cloud: %.600s: its SHA-256 is another one", d->id, f->o->key);
    int status = journal_forget(d->journal, f->o->key, err);
    if (!again)
        log_event(TD_LOG_WARN, "cloud", "%s of snapshot %s is damaged in the cloud, or was replaced, and is left there", f->o->key, d->id);
    run_count(&d->run, -(int64_t)i->counted);
    pthread_mutex_lock(&d->run.lock);
    close_file(i);
    memset(i->came, 0, i->ranges / 8 + 1);
    i->counted = 0;
    i->given = i->hashed = 0;
    i->skipped = !again;
    i->taken = i->hashing = false;
    if (d->cursor > (size_t)(i - d->items))
        d->cursor = (size_t)(i - d->items);
    pthread_mutex_unlock(&d->run.lock);
    return status;
}

static int finish(struct fetch *f, struct error *err)
{
    uint8_t digest[SHA256_BYTES];
    if (!sha256_end(f->item->sum, digest))
        return error_set(err, TD_E_INTERNAL, "SHA-256 cannot be computed");
    if (f->o->has_sha256 && memcmp(digest, f->o->sha256, SHA256_BYTES) != 0)
        return refuse(f, err);
    int status = journal_note(f->d->journal, f->o->key, UINT64_MAX, err);
    pthread_mutex_lock(&f->d->run.lock);
    close_file(f->item);
    f->item->whole = true;
    pthread_mutex_unlock(&f->d->run.lock);
    return status;
}

/* ---- A thread ---- */

static int work_on(struct fetch *f, struct error *err)
{
    bool end = false;
    int status = open_file(f, err);
    if (status == TD_OK && f->range != NOTHING)
        status = fetch_range(f, err);
    if (status == TD_OK)
        status = hash_on(f, &end, err);
    return status == TD_OK && end ? finish(f, err) : status;
}

/* A dissection that is not to be had any more keeps nobody from the packets, of which it can be made again. */
static int skip(struct fetch *f, const struct error *why)
{
    pthread_mutex_lock(&f->d->run.lock);
    bool first = !f->item->skipped;
    f->item->skipped = true;
    pthread_mutex_unlock(&f->d->run.lock);
    if (first)
        log_event(TD_LOG_WARN, "cloud", "%s of snapshot %s is left in the cloud: %s", f->o->key, f->d->id, why->text);
    return TD_OK;
}

void download_ranges(struct run *r, void *download)
{
    struct error err = {0};
    struct fetch f = {.d = download, .room = mem_alloc(READ_BYTES)};
    if (!f.room) {
        error_nomem(&err);
        run_fail(r, &err);
    }
    while (f.room && run_goes_on(r) && next(&f)) {
        int status = work_on(&f, &err);
        if ((status == TD_E_CORRUPT || status == TD_E_NOT_FOUND) && f.o->dissection)
            status = skip(&f, &err);
        if (status != TD_OK)
            run_fail(r, &err);
    }
    mem_free(f.room);
}
