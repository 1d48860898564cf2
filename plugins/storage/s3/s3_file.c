/* Objects made of files: in one request, or in parts that are read from the file, several at once, and that a later try finds again.
 *
 * In parts, each byte goes through two sums, its part's and the whole's: what the parts make must be what the object's metadata says.
 *
 * The state of a put in parts: "2 <part size> <file size> <first digits of the file's SHA-256> <upload id>". */
#include "s3.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

static const int64_t tick_ns = 250000000; /* between tellings how far it is */
enum {
    MOVE_BYTES = 4 << 20, /* that are summed until what is on the way moves on */
    STATE_DIGITS = 16,
};

struct sending {
    struct s3 *s3;
    const struct td_put *put;
    const char *key;
    int fd;
    uint64_t bytes, part_size;
    uint8_t sha256[CLOUD_SHA256];      /* of the whole, as told, or as it is at the beginning */
    char digits[2 * CLOUD_SHA256 + 1]; /* the same in hexadecimal */
    EVP_MD_CTX *whole, *part;          /* sums under way */
    uint8_t *buffer;                   /* CLOUD_SEND_BYTES of the file */
    struct s3_parts parts;
    bool saved; /* a later try may go on */
};

static int tell_progress(const struct sending *f, uint64_t bytes)
{
    struct s3 *s = f->s3;
    bool stop = s->host->cancelled(s->inst) || (f->put->progress && f->put->progress(f->put->ctx, bytes) != 0);
    return stop ? s->host->fail(s->inst, TD_E_CANCELLED, "%s/%.500s: told to stop", s->config->bucket, f->key) : TD_OK;
}

static int fail_nomem(const struct sending *f)
{
    return f->s3->host->fail(f->s3->inst, TD_E_NOMEM, "out of memory");
}

static int fail_read(const struct sending *f)
{
    return f->s3->host->fail(f->s3->inst, TD_E_CORRUPT, "%.500s: the file cannot be read, or became shorter; look at its disk", f->key);
}

static int fail_damaged(const struct sending *f)
{
    return f->s3->host->fail(f->s3->inst, TD_E_CORRUPT, "%.500s: the file is not what its SHA-256 says; it was damaged here", f->key);
}

/* ---- Sums ---- */

/* What is on the way moves on, and it is told how far all is. */
static int move_on(struct sending *f)
{
    struct s3_slot *slot;
    int status = f->parts.slots ? s3_parts_slot(&f->parts, 0, &slot) : TD_OK;
    return status == TD_OK ? tell_progress(f, f->parts.there_bytes) : status;
}

static int add_range(struct sending *f, uint64_t offset, uint64_t n, bool to_whole)
{
    int status = TD_OK;
    for (uint64_t done = 0, moved = 0; done < n && status == TD_OK;) {
        ssize_t got = pread(f->fd, f->buffer, n - done < CLOUD_SEND_BYTES ? (size_t)(n - done) : CLOUD_SEND_BYTES, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_read(f);
        if (EVP_DigestUpdate(f->part, f->buffer, (size_t)got) != 1 || (to_whole && EVP_DigestUpdate(f->whole, f->buffer, (size_t)got) != 1))
            return fail_nomem(f);
        done += (uint64_t)got;
        if (done - moved >= MOVE_BYTES) {
            moved = done;
            status = move_on(f);
        }
    }
    return status;
}

/* The sum of a range of the file. `to_whole`: the whole's goes along, so that ranges must come in order. */
static int sum_range(struct sending *f, const EVP_MD *type, uint64_t offset, uint64_t n, bool to_whole, uint8_t *ret)
{
    if (EVP_DigestInit_ex(f->part, type, NULL) != 1)
        return fail_nomem(f);
    int status = add_range(f, offset, n, to_whole);
    if (status == TD_OK && EVP_DigestFinal_ex(f->part, ret, NULL) != 1)
        status = fail_nomem(f);
    return status;
}

/* It must be known before the first part, since an object's metadata cannot be changed. */
static int know_sum(struct sending *f)
{
    struct cloud_text hex = {0};
    int status = TD_OK;
    if (f->put->sha256)
        memcpy(f->sha256, f->put->sha256, sizeof(f->sha256));
    else
        status = sum_range(f, EVP_sha256(), 0, f->bytes, false, f->sha256);
    cloud_put_hex(&hex, f->sha256, sizeof(f->sha256));
    if (hex.failed)
        status = fail_nomem(f);
    else
        memcpy(f->digits, hex.p, sizeof(f->digits));
    cloud_text_clear(&hex);
    return status;
}

/* All parts have been summed. */
static int compare_whole(struct sending *f)
{
    uint8_t sum[CLOUD_SHA256];
    if (EVP_DigestFinal_ex(f->whole, sum, NULL) != 1)
        return fail_nomem(f);
    return memcmp(sum, f->sha256, sizeof(sum)) == 0 ? TD_OK : fail_damaged(f);
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
static int explain_damage(struct sending *f)
{
    struct s3 *s = f->s3;
    uint8_t sum[CLOUD_SHA256];
    int status = sum_range(f, EVP_sha256(), 0, f->bytes, false, sum);
    if (status == TD_OK && memcmp(sum, f->sha256, sizeof(sum)) == 0)
        return s->host->fail(s->inst, TD_E_RETRY, "%s/%.500s: came there damaged", s->config->bucket, f->key);
    return status == TD_OK ? fail_damaged(f) : status;
}

static int send_whole(struct sending *f)
{
    struct s3 *s = f->s3;
    struct cloud_session *session = NULL;
    struct s3_request r = {.method = "PUT", .key = f->key, .payload_sha256 = f->digits};
    s3_object_headers(s, &r, f->sha256);
    r.x = (struct cloud_exchange){.fd = f->fd, .body_n = f->bytes, .sends_body = true};
    int status = cloud_http_take(s->http, &session);
    if (status == TD_OK)
        status = run_watched(f, session, &r);
    if (status == TD_E_CORRUPT && r.x.status)
        status = explain_damage(f);
    cloud_http_give(s->http, session);
    s3_request_clear(&r);
    return status;
}

/* ---- States ---- */

struct state {
    uint64_t part_size, bytes;
    const char *digits, *id; /* STATE_DIGITS, and the rest */
};

static bool read_state(const char *text, struct state *ret)
{
    char *end;
    if (!text || strncmp(text, "2 ", 2) != 0)
        return false;
    ret->part_size = strtoull(text + 2, &end, 10);
    if (*end != ' ' || !ret->part_size)
        return false;
    ret->bytes = strtoull(end + 1, &end, 10);
    ret->digits = end + 1;
    if (*end != ' ' || strcspn(ret->digits, " ") != STATE_DIGITS || !ret->digits[STATE_DIGITS])
        return false;
    ret->id = ret->digits + STATE_DIGITS + 1;
    return ret->bytes && *ret->id && strlen(ret->id) <= S3_MAX_UPLOAD_ID;
}

static bool is_of(const struct state *state, const struct sending *f)
{
    return state->bytes == f->bytes && (state->bytes - 1) / state->part_size < S3_MAX_PARTS &&
           strncmp(state->digits, f->digits, STATE_DIGITS) == 0;
}

static void save_state(struct sending *f)
{
    char text[TD_PUT_STATE_MAX + 1];
    int n = snprintf(text, sizeof(text), "2 %llu %llu %.*s %s", (unsigned long long)f->part_size, (unsigned long long)f->bytes,
                     (int)STATE_DIGITS, f->digits, f->parts.id);
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

/* The upload is gone: was it completed by a try that did not live to tell? */
static bool is_there(const struct sending *f)
{
    struct td_object object = {.size = sizeof(object)};
    return s3_head(f->s3, f->key, &object) == TD_OK && object.bytes == f->bytes && (object.flags & TD_OBJECT_SHA256) &&
           memcmp(object.sha256, f->sha256, CLOUD_SHA256) == 0;
}

/* Goes on with an upload that was begun before. TD_E_NOT_FOUND: it must begin anew. */
static int resume(struct sending *f, bool *ret_there)
{
    struct s3 *s = f->s3;
    struct state state;
    if (!read_state(f->put->state, &state))
        return TD_E_NOT_FOUND;
    if (!is_of(&state, f)) {
        int status = s3_abort(s, f->key, state.id);
        return status == TD_OK ? TD_E_NOT_FOUND : status;
    }
    uint64_t part_size = f->part_size;
    f->part_size = state.part_size;
    int status = s3_parts_resume(&f->parts, s, f->key, state.id, (size_t)s->config->parallel_parts);
    if (status == TD_OK) {
        f->saved = true;
        f->parts.there_bytes = 0; /* until they have been compared */
        if (f->parts.n <= part_count(f))
            return TD_OK;
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
    int status = s3_parts_begin(&f->parts, f->s3, f->key, f->sha256, (size_t)f->s3->config->parallel_parts);
    if (status == TD_OK)
        save_state(f);
    return status;
}

/* ---- In parts ---- */

/* An ETag is the MD5 of its part, unless the service keeps it encrypted by a key of its own: then it is sent again. The whole's sum goes
 * along if something is read for that: *ret_summed. */
static int compare_part(struct sending *f, uint64_t number, bool *ret_same, bool *ret_summed)
{
    uint8_t theirs[CLOUD_MD5], ours[EVP_MAX_MD_SIZE];
    struct s3_part *part = number <= f->parts.n ? &f->parts.parts[number - 1] : NULL;
    uint64_t n = part_bytes(f, number);
    *ret_same = *ret_summed = false;
    if (!part || !part->there)
        return TD_OK;
    part->there = false;
    if (part->bytes != n || !cloud_read_hex(part->etag, theirs, sizeof(theirs)))
        return TD_OK;
    int status = sum_range(f, EVP_md5(), (number - 1) * f->part_size, n, true, ours);
    *ret_summed = true;
    *ret_same = status == TD_OK && memcmp(ours, theirs, sizeof(theirs)) == 0;
    if (*ret_same) {
        f->parts.parts[number - 1].there = true;
        f->parts.there_bytes += n;
    }
    return status;
}

static int send_part(struct sending *f, uint64_t number)
{
    struct s3_slot *slot = NULL;
    uint8_t sum[CLOUD_SHA256];
    uint64_t offset = (number - 1) * f->part_size, n = part_bytes(f, number);
    bool same, summed;
    int status = compare_part(f, number, &same, &summed);
    if (status != TD_OK || same)
        return status == TD_OK ? tell_progress(f, f->parts.there_bytes) : status;
    status = sum_range(f, EVP_sha256(), offset, n, !summed, sum);
    while (status == TD_OK && !slot) {
        status = s3_parts_slot(&f->parts, tick_ns, &slot);
        if (status == TD_OK)
            status = tell_progress(f, f->parts.there_bytes);
    }
    return status == TD_OK ? s3_parts_send(&f->parts, slot, (uint32_t)number, f->fd, offset, n, sum) : status;
}

static int send_parts(struct sending *f)
{
    uint64_t count = part_count(f);
    bool idle = false;
    int status = EVP_DigestInit_ex(f->whole, EVP_sha256(), NULL) == 1 ? TD_OK : fail_nomem(f);
    for (uint64_t number = 1; number <= count && status == TD_OK; number++)
        status = send_part(f, number);
    while (status == TD_OK && !idle) {
        status = s3_parts_wait(&f->parts, tick_ns, &idle);
        if (status == TD_OK)
            status = tell_progress(f, f->parts.there_bytes);
    }
    return status == TD_OK ? compare_whole(f) : status;
}

/* ---- The whole ---- */

/* What was begun in parts goes on in these, whatever the configuration says now. */
static int send_file(struct sending *f)
{
    struct s3 *s = f->s3;
    char etag[S3_MAX_ETAG], id[S3_MAX_UPLOAD_ID + 1];
    bool there = false;
    int status = resume(f, &there);
    if (there)
        return TD_OK;
    if (status == TD_E_NOT_FOUND && f->bytes <= f->part_size)
        return send_whole(f);
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

static int prepare(struct sending *f)
{
    f->part_size = s3_part_size(f->s3, f->bytes);
    f->buffer = malloc(CLOUD_SEND_BYTES);
    f->whole = EVP_MD_CTX_new();
    f->part = EVP_MD_CTX_new();
    if (!f->buffer || !f->whole || !f->part)
        return fail_nomem(f);
    int status = tell_progress(f, 0);
    return status == TD_OK ? know_sum(f) : status;
}

static void clear(struct sending *f)
{
    EVP_MD_CTX_free(f->whole);
    EVP_MD_CTX_free(f->part);
    free(f->buffer);
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
    int status = prepare(&f);
    if (status == TD_OK)
        status = send_file(&f);
    if (status == TD_OK && put->progress)
        (void)put->progress(put->ctx, f.bytes); /* it is there: too late to stop */
    clear(&f);
    close(fd);
    *ret_linked = false;
    return status;
}

int s3_forget(void *self, const char *key, const char *state)
{
    struct state read;
    return read_state(state, &read) ? s3_abort(self, key, read.id) : TD_OK;
}
