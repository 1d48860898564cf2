/* Sending the objects of an upload: each is looked for before it is sent again, and goes on where it broke off if the backend can. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cloud/upload_internal.h"
#include "snapshot/sha256.h"

enum { READ_BYTES = 128 << 10 };

struct sending {
    struct upload *u;
    struct object *o;
    struct upload_item *item;
    struct retry retry;
    struct put_state state; /* of this object; text "": none */
    char key[CLOUD_KEY];
    uint64_t most, told, resumed; /* bytes that need not be sent again: the most, last told, of an earlier run */
    bool had_state, has_resumed;
    unsigned damaged, restarts;
};

static void count_to(struct sending *s, uint64_t bytes)
{
    run_count(&s->u->run, (int64_t)(bytes - s->item->counted));
    s->item->counted = bytes;
}

/* ---- Dissections: their sums are nowhere, and somebody may replace them meanwhile ---- */

/* A name of its own keeps the file as it is. */
static void name_dissection(const struct sending *s, char out[64])
{
    snprintf(out, 64, "dissection-%zu", (size_t)(s->item - s->u->items));
}

static int sum_file(struct upload *u, int fd, struct object *o, struct error *err)
{
    uint8_t *bytes = mem_alloc(READ_BYTES);
    struct sha256 *hash = sha256_new();
    uint64_t all = 0;
    ssize_t n = 1;
    int status = bytes && hash ? TD_OK : error_nomem(err);
    while (status == TD_OK && n != 0) {
        n = read(fd, bytes, READ_BYTES);
        if (n < 0 && errno != EINTR)
            status = work_fail(err, "cannot be read", o->key);
        else if (!run_goes_on(&u->run))
            status = error_set(err, TD_E_CANCELLED, "cancelled");
        else if (n > 0)
            sha256_add(hash, td_bytes(bytes, (size_t)n));
        all += n > 0 ? (uint64_t)n : 0;
    }
    if (status == TD_OK && !sha256_end(hash, o->sha256))
        status = error_set(err, TD_E_INTERNAL, "SHA-256 cannot be computed");
    sha256_free(hash);
    mem_free(bytes);
    if (status == TD_OK) {
        o->bytes = all;
        o->has_sha256 = true;
    }
    return status;
}

/* TD_E_NOT_FOUND: it was deleted meanwhile. */
static int prepare_dissection(struct sending *s, struct error *err)
{
    char name[64];
    struct upload *u = s->u;
    if (s->item->summed)
        return TD_OK;
    name_dissection(s, name);
    unlinkat(u->work_fd, name, 0);
    s->item->linked = linkat(u->source_fd, s->o->key, u->work_fd, name, 0) == 0;
    if (!s->item->linked && errno == ENOENT)
        return TD_E_NOT_FOUND;
    int fd = openat(s->item->linked ? u->work_fd : u->source_fd, s->item->linked ? name : s->o->key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return TD_E_NOT_FOUND;
    struct stat st;
    int status = fd < 0 || fstat(fd, &st) != 0 ? work_fail(err, "cannot be opened", s->o->key) : sum_file(u, fd, s->o, err);
    if (fd >= 0)
        close(fd);
    s->item->summed = status == TD_OK;
    s->item->inode = status == TD_OK ? st.st_ino : 0;
    return status;
}

/* Where names cannot be linked its file may be another one by now, or gone: files of storage are replaced, never changed. */
static bool has_changed(const struct sending *s)
{
    struct stat now;
    if (!s->o->dissection || s->item->linked)
        return false;
    return fstatat(s->u->source_fd, s->o->key, &now, AT_SYMLINK_NOFOLLOW) != 0 || now.st_ino != s->item->inode;
}

/* ---- Is it there? ---- */

/* TD_E_NOT_FOUND: not, or not with this size and sum. A backend that keeps no sums gets it again. */
static int look(struct sending *s, struct error *err)
{
    struct storage_object there;
    int status = storage_head(s->u->run.cloud->storage, s->key, &there, err);
    if (status == TD_OK && (there.bytes != s->o->bytes || !there.has_sha256 || memcmp(there.sha256, s->o->sha256, SHA256_BYTES) != 0))
        return TD_E_NOT_FOUND;
    return status;
}

/* ---- Putting ---- */

static int save(void *ctx, const char *text)
{
    struct sending *s = ctx;
    struct error why;
    if (snprintf(s->state.text, sizeof(s->state.text), "%s", text) >= (int)sizeof(s->state.text))
        return -1;
    if (put_state_save(s->u->work_fd, &s->state, &why) == TD_OK)
        return 0;
    log_event(TD_LOG_WARN, "cloud", "%s could not be resumed if it broke off: %s", s->key, why.text);
    return -1;
}

static int progress(void *ctx, uint64_t bytes)
{
    struct sending *s = ctx;
    if (!run_goes_on(&s->u->run))
        return 1;
    if (!s->has_resumed)
        s->resumed = s->had_state ? bytes : 0;
    s->has_resumed = true;
    if (bytes < s->told && s->restarts < CLOUD_TRIES) { /* the cloud has lost it; what is sent again counts, but not for ever */
        s->restarts++;
        s->most = bytes;
    }
    s->told = bytes;
    if (bytes > s->most) {
        s->most = bytes;
        retry_forward(&s->retry);
    }
    count_to(s, bytes);
    return 0;
}

/* What is left in the cloud of an earlier put belongs to another file: of a dissection that was replaced since. */
static void take_state(struct sending *s)
{
    struct put_state *state = &s->state;
    struct error why;
    bool same = put_state_load(s->u->work_fd, s->key, state);
    if (same && (state->bytes != s->o->bytes || memcmp(state->sha256, s->o->sha256, SHA256_BYTES) != 0)) {
        if (storage_forget(s->u->run.cloud->storage, s->key, state->text, &why) == TD_OK)
            put_state_remove(s->u->work_fd, s->key);
        same = false;
    }
    if (!same)
        state->text[0] = 0;
    snprintf(state->key, sizeof(state->key), "%s", s->key);
    state->bytes = s->o->bytes;
    memcpy(state->sha256, s->o->sha256, SHA256_BYTES);
}

static int put(struct sending *s, struct error *err)
{
    char name[64];
    struct upload *u = s->u;
    const struct storage_put how = {.sha256 = s->o->sha256, .state = s->state.text, .save = save, .progress = progress, .ctx = s};
    char state[sizeof(s->state.text)];
    struct storage_put resumed = how;
    memcpy(state, s->state.text, sizeof(state)); /* save() overwrites the other one */
    resumed.state = state;
    s->had_state = *state;
    name_dissection(s, name);
    int status = storage_put_file_as(u->run.cloud->storage, s->key, s->item->linked ? u->work_fd : u->source_fd,
                                     s->item->linked ? name : s->o->key, &resumed, NULL, err);
    if (*s->state.text && status != TD_E_RETRY && status != TD_E_CANCELLED) { /* done, or nothing is left of it */
        put_state_remove(u->work_fd, s->key);
        s->state.text[0] = 0;
    }
    return status;
}

/* What failed may have arrived after all, or another hub has sent it. */
static int try(struct sending *s, bool *look_first, struct error *err)
{
    int status = *look_first ? look(s, err) : TD_E_NOT_FOUND;
    *look_first = true;
    if (status != TD_E_NOT_FOUND)
        return status;
    status = put(s, err);
    if (status == TD_OK) {
        atomic_fetch_add(&s->u->sent_objects, 1);
        atomic_fetch_add(&s->u->sent_bytes, s->o->bytes - (s->resumed < s->o->bytes ? s->resumed : s->o->bytes));
    } else if (status == TD_E_CORRUPT && ++s->damaged < CLOUD_TRIES) {
        status = TD_E_RETRY; /* it may have been the network */
    }
    return status;
}

/* Its file is gone, or cannot be read: of a dissection that happens, since others may delete it. */
static int skip_dissection(struct sending *s)
{
    log_event(TD_LOG_INFO, "cloud", "%s was deleted here while it was uploaded", s->key);
    s->item->gone = true;
    count_to(s, 0);
    return TD_OK;
}

static int send_one(struct upload *u, size_t i, struct sending *s, struct error *err)
{
    *s = (struct sending){.u = u, .o = &u->plan.v[i], .item = &u->items[i]};
    cloud_key(u->run.cloud, u->id, s->o->key, s->key);
    if (!run_goes_on(&u->run))
        return error_set(err, TD_E_CANCELLED, "cancelled");
    int status = s->o->dissection ? prepare_dissection(s, err) : TD_OK;
    if (status == TD_E_NOT_FOUND)
        return skip_dissection(s);
    if (status != TD_OK)
        return status;
    take_state(s);
    bool look_first = (s->o->there && s->o->there_bytes == s->o->bytes) || *s->state.text;
    run_retry_begin(&u->run, &s->retry);
    do
        status = run_goes_on(&u->run) ? try(s, &look_first, err) : error_set(err, TD_E_CANCELLED, "cancelled");
    while (run_again(&u->run, &s->retry, &status, err));
    if ((status == TD_OK || status == TD_E_CORRUPT || status == TD_E_NOT_FOUND) && has_changed(s)) {
        s->item->summed = false; /* the next round sends what is there then */
        count_to(s, 0);
        return TD_OK;
    }
    if (status == TD_OK) {
        put_state_remove(u->work_fd, s->key);
        s->item->confirmed = true;
        count_to(s, s->o->bytes);
    }
    return status;
}

void upload_send(struct run *r, void *upload)
{
    struct upload *u = upload;
    struct error err = {0};
    struct sending *s = mem_alloc(sizeof(*s));
    if (!s) {
        error_nomem(&err);
        run_fail(r, &err);
        return;
    }
    for (size_t i; (i = atomic_fetch_add(&u->next, 1)) < u->order_n && run_goes_on(r);)
        if (send_one(u, u->order[i], s, &err) != TD_OK)
            run_fail(r, &err);
    mem_free(s);
}
