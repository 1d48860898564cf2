/* Objects made of files: in one request, or in parts that are read from the file, several at once, and that a later try finds again.
 *
 * The state of a put in parts: "1 <part size> <file size> <upload id>". */
#include "s3.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t tick_ns = 250000000; /* between tellings how far it is */

struct sending {
    struct s3 *s3;
    const struct td_put *put;
    const char *key;
    int fd;
    uint64_t bytes, part_size;
    struct s3_parts parts;
    bool saved; /* a later try may go on */
};

static int tell_progress(const struct sending *f, uint64_t bytes)
{
    struct s3 *s = f->s3;
    bool stop = f->put->progress && f->put->progress(f->put->ctx, bytes) != 0;
    return stop ? s->host->fail(s->inst, TD_E_CANCELLED, "%s/%.500s: told to stop", s->config->bucket, f->key) : TD_OK;
}

static int fail_read(const struct sending *f)
{
    return f->s3->host->fail(f->s3->inst, TD_E_CORRUPT, "%.500s: the file cannot be read, or became shorter; look at its disk", f->key);
}

/* ---- In one request ---- */

static int run_watched(const struct sending *f, struct cloud_session *session, struct s3_request *r)
{
    int status = s3_prepare(f->s3, r);
    if (status == TD_OK)
        status = cloud_start(session, &r->x);
    while (status == TD_OK && !r->x.done) {
        status = cloud_wait(session, tick_ns);
        if (status == TD_OK && !r->x.done)
            status = tell_progress(f, 0);
    }
    if (status != TD_OK) {
        cloud_stop(session, &r->x);
        return status;
    }
    return s3_settle(f->s3, r);
}

/* The server got other bytes than the sum says: is it the file that is damaged, or was it the way there? */
static int explain_damage(const struct sending *f, const uint8_t *sha256)
{
    struct s3 *s = f->s3;
    uint8_t sum[CLOUD_SHA256];
    if (!cloud_sha256_file(f->fd, 0, f->bytes, sum))
        return fail_read(f);
    if (memcmp(sum, sha256, sizeof(sum)) == 0)
        return s->host->fail(s->inst, TD_E_RETRY, "%s/%.500s: came there damaged", s->config->bucket, f->key);
    return s->host->fail(s->inst, TD_E_CORRUPT, "%.500s: the file is not what its SHA-256 says; it was damaged here", f->key);
}

static int send_whole(struct sending *f)
{
    struct s3 *s = f->s3;
    struct cloud_session *session = NULL;
    struct s3_request r = {.method = "PUT", .key = f->key};
    struct cloud_text hex = {0};
    uint8_t sum[CLOUD_SHA256];
    const uint8_t *sha256 = f->put->sha256 ? f->put->sha256 : sum;
    if (!f->put->sha256 && !cloud_sha256_file(f->fd, 0, f->bytes, sum))
        return fail_read(f);
    cloud_put_hex(&hex, sha256, CLOUD_SHA256);
    s3_object_headers(s, &r, sha256);
    r.payload_sha256 = cloud_cstr(&hex);
    r.x = (struct cloud_exchange){.fd = f->fd, .body_n = f->bytes, .sends_body = true};
    int status = hex.failed ? s->host->fail(s->inst, TD_E_NOMEM, "out of memory") : cloud_http_take(s->http, &session);
    if (status == TD_OK)
        status = run_watched(f, session, &r);
    if (status == TD_E_CORRUPT && r.x.status)
        status = explain_damage(f, sha256);
    cloud_http_give(s->http, session);
    s3_request_clear(&r);
    cloud_text_clear(&hex);
    return status;
}

/* ---- States ---- */

struct state {
    uint64_t part_size, bytes;
    const char *id;
};

static bool read_state(const char *text, struct state *ret)
{
    char *end;
    if (!text || strncmp(text, "1 ", 2) != 0)
        return false;
    ret->part_size = strtoull(text + 2, &end, 10);
    if (*end != ' ' || !ret->part_size)
        return false;
    ret->bytes = strtoull(end + 1, &end, 10);
    ret->id = end + 1;
    return *end == ' ' && *ret->id && strlen(ret->id) <= S3_MAX_UPLOAD_ID;
}

static void save_state(struct sending *f)
{
    char text[TD_PUT_STATE_MAX + 1];
    int n = snprintf(text, sizeof(text), "1 %llu %llu %s", (unsigned long long)f->part_size, (unsigned long long)f->bytes, f->parts.id);
    f->saved = f->put->save && n > 0 && n <= TD_PUT_STATE_MAX && f->put->save(f->put->ctx, text) == 0;
}

/* ---- What is there of it already ---- */

static uint64_t part_bytes(const struct sending *f, uint64_t number)
{
    uint64_t begin = (number - 1) * f->part_size;
    return f->bytes - begin < f->part_size ? f->bytes - begin : f->part_size;
}

static uint64_t part_count(const struct sending *f)
{
    return (f->bytes + f->part_size - 1) / f->part_size;
}

/* An ETag is the MD5 of its part, unless the service keeps it encrypted by a key of its own: then it is sent again. */
static int compare_part(struct sending *f, uint64_t number, bool *ret_same)
{
    uint8_t theirs[CLOUD_MD5], ours[CLOUD_MD5];
    struct s3_part *part = &f->parts.parts[number - 1];
    *ret_same = part->bytes == part_bytes(f, number) && cloud_read_hex(part->etag, theirs, sizeof(theirs));
    if (!*ret_same)
        return TD_OK;
    if (!cloud_md5_file(f->fd, (number - 1) * f->part_size, part->bytes, ours))
        return fail_read(f);
    *ret_same = memcmp(ours, theirs, sizeof(ours)) == 0;
    return TD_OK;
}

static int compare_parts(struct sending *f)
{
    struct s3_parts *p = &f->parts;
    uint64_t same_bytes = 0;
    int status = TD_OK;
    for (uint64_t number = 1; number <= p->n && status == TD_OK; number++) {
        struct s3_part *part = &p->parts[number - 1];
        bool same = false;
        if (part->there)
            status = compare_part(f, number, &same);
        part->there = same;
        same_bytes += same ? part->bytes : 0;
        if (status == TD_OK)
            status = tell_progress(f, same_bytes);
    }
    p->there_bytes = same_bytes;
    return status;
}

/* The upload is gone: was it completed by a try that did not live to tell? */
static bool is_there(const struct sending *f)
{
    struct td_object object = {.size = sizeof(object)};
    return f->put->sha256 && s3_head(f->s3, f->key, &object) == TD_OK && object.bytes == f->bytes && (object.flags & TD_OBJECT_SHA256) &&
           memcmp(object.sha256, f->put->sha256, CLOUD_SHA256) == 0;
}

/* Goes on with an upload that was begun before. TD_E_NOT_FOUND: it must begin anew. */
static int resume(struct sending *f, bool *ret_there)
{
    struct s3 *s = f->s3;
    struct state state;
    if (!read_state(f->put->state, &state))
        return TD_E_NOT_FOUND;
    if (state.bytes != f->bytes || (state.bytes - 1) / state.part_size >= S3_MAX_PARTS) {
        int status = s3_abort(s, f->key, state.id);
        return status == TD_OK ? TD_E_NOT_FOUND : status;
    }
    uint64_t part_size = f->part_size;
    f->part_size = state.part_size;
    int status = s3_parts_resume(&f->parts, s, f->key, state.id, (size_t)s->config->parallel_parts);
    if (status == TD_OK) {
        f->saved = true;
        if (f->parts.n <= part_count(f))
            return compare_parts(f);
        s3_parts_clear(&f->parts);
        status = s3_abort(s, f->key, state.id); /* not the parts of this file */
        status = status == TD_OK ? TD_E_NOT_FOUND : status;
    }
    f->saved = status == TD_E_RETRY || status == TD_E_CANCELLED; /* what is there stays there */
    f->part_size = part_size;
    *ret_there = status == TD_E_NOT_FOUND && is_there(f);
    return status;
}

static int begin(struct sending *f)
{
    struct s3 *s = f->s3;
    uint8_t sum[CLOUD_SHA256];
    /* It must be known before the first part, since an object's metadata cannot be changed. */
    if (!f->put->sha256 && !cloud_sha256_file(f->fd, 0, f->bytes, sum))
        return fail_read(f);
    int status = s3_parts_begin(&f->parts, s, f->key, f->put->sha256 ? f->put->sha256 : sum, (size_t)s->config->parallel_parts);
    if (status == TD_OK)
        save_state(f);
    return status;
}

/* ---- In parts ---- */

static int send_parts(struct sending *f)
{
    struct s3_parts *p = &f->parts;
    uint64_t count = part_count(f), number = 1;
    bool idle = false;
    int status = TD_OK;
    while (status == TD_OK && (number <= count || !idle)) {
        struct s3_slot *slot = NULL;
        while (number <= p->n && number <= count && p->parts[number - 1].there)
            number++;
        idle = false;
        if (number <= count)
            status = s3_parts_slot(p, tick_ns, &slot);
        else
            status = s3_parts_wait(p, tick_ns, &idle);
        if (status == TD_OK && slot) {
            status = s3_parts_send(p, slot, (uint32_t)number, f->fd, (number - 1) * f->part_size, part_bytes(f, number));
            number++;
        }
        if (status == TD_OK)
            status = tell_progress(f, p->there_bytes);
    }
    return status;
}

static int send_in_parts(struct sending *f)
{
    struct s3 *s = f->s3;
    char etag[S3_MAX_ETAG], id[S3_MAX_UPLOAD_ID + 1];
    bool there = false;
    int status = resume(f, &there);
    if (there)
        return TD_OK;
    if (status == TD_E_NOT_FOUND)
        status = begin(f);
    if (status == TD_OK)
        status = send_parts(f);
    if (status == TD_OK)
        status = s3_parts_complete(&f->parts, etag);
    memcpy(id, f->parts.id, sizeof(id));
    s3_parts_clear(&f->parts);
    bool stays = f->saved && (status == TD_E_RETRY || status == TD_E_CANCELLED);
    if (status != TD_OK && id[0] && !stays)
        s3_abort_quietly(s, f->key, id);
    return status;
}

int s3_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *put, bool *ret_linked)
{
    struct s3 *s = self;
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return TD_E_UNSUPPORTED; /* whoever copies it says what is wrong */
    }
    struct sending f = {.s3 = s, .put = put, .key = key, .fd = fd, .bytes = (uint64_t)st.st_size};
    f.part_size = s3_part_size(s, f.bytes);
    int status = tell_progress(&f, 0);
    if (status == TD_OK)
        status = f.bytes > f.part_size ? send_in_parts(&f) : send_whole(&f);
    if (status == TD_OK)
        (void)tell_progress(&f, f.bytes); /* it is there: too late to stop */
    close(fd);
    *ret_linked = false;
    return status;
}

int s3_forget(void *self, const char *key, const char *state)
{
    struct state read;
    return read_state(state, &read) ? s3_abort(self, key, read.id) : TD_OK;
}
