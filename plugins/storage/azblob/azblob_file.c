/* Putting a file: whole if it fits into a block, else in blocks, several at once, those that are there not again. */
#include "azblob.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUMP_NS (AZBLOB_NS / 2)
enum { READ_BYTES = 256 << 10, PUMP_BYTES = 4 << 20 };

/* A block on its way. */
struct part {
    struct azblob_request r;
    bool used;
    char name[AZBLOB_BLOCK_NAME + 1], md5[25];
};

struct sending {
    struct azblob *a;
    const char *key;
    const struct td_put *put;
    int fd;
    uint64_t bytes, block_bytes;
    struct cloud_session *session;
    EVP_MD_CTX *md5, *sha256;
    uint8_t *buffer;
    struct azblob_sums sums;
    struct azblob_blocks there, list;
    struct part *parts;
    size_t part_n, running;
    uint64_t done;           /* bytes that need not be sent again */
    bool saved, sent, whole; /* whole: it is there, so that it is too late to stop */
};

/* ---- On the way ---- */

static int tell_progress(struct sending *s)
{
    if (s->a->host->cancelled(s->a->inst) || (s->put->progress && s->put->progress(s->put->ctx, s->done) != 0))
        return azblob_fail(s->a, s->key, TD_E_CANCELLED, "was told to stop");
    return TD_OK;
}

/* Takes the parts that are done. */
static int reap(struct sending *s)
{
    int status = TD_OK;
    for (size_t i = 0; i < s->part_n; i++) {
        struct part *p = &s->parts[i];
        if (!p->used || !p->r.x.done)
            continue;
        int one = status == TD_OK ? azblob_request_status(&p->r, "cannot be written", NULL) : status;
        if (one == TD_OK)
            s->done += p->r.x.body_n;
        s->whole = one == TD_OK && s->bytes <= s->block_bytes;
        status = status == TD_OK ? one : status;
        azblob_request_clear(&p->r);
        p->used = false;
        s->running--;
    }
    return status;
}

/* Moves what is on the way. */
static int pump(struct sending *s, int64_t timeout_ns)
{
    int status = s->running ? cloud_wait(s->session, timeout_ns) : TD_OK;
    if (status == TD_OK)
        status = reap(s);
    return status == TD_OK && !s->whole ? tell_progress(s) : status;
}

/* ---- Sums ---- */

static int read_some(struct sending *s, uint64_t offset, size_t n, size_t *ret)
{
    ssize_t got;
    do
        got = pread(s->fd, s->buffer, n < READ_BYTES ? n : READ_BYTES, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return azblob_fail(s->a, s->key, TD_E_CORRUPT, "its file cannot be read: %s", strerror(errno));
    if (got == 0)
        return azblob_fail(s->a, s->key, TD_E_CORRUPT, "its file became shorter while it was sent");
    *ret = (size_t)got;
    return TD_OK;
}

/* The MD5 of a part of the file; the whole's SHA-256 goes along, so parts must come in order. */
static int sum_part(struct sending *s, uint64_t offset, uint64_t n, uint8_t ret[CLOUD_MD5])
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    uint64_t pumped = 0;
    int status = EVP_DigestInit_ex(s->md5, EVP_md5(), NULL) == 1 ? TD_OK : azblob_nomem(s->a);
    for (uint64_t at = 0; at < n && status == TD_OK;) {
        size_t got = 0;
        status = read_some(s, offset + at, n - at < READ_BYTES ? (size_t)(n - at) : READ_BYTES, &got);
        if (status == TD_OK && (EVP_DigestUpdate(s->md5, s->buffer, got) != 1 || EVP_DigestUpdate(s->sha256, s->buffer, got) != 1))
            status = azblob_nomem(s->a);
        at += got;
        if (status == TD_OK && at - pumped >= PUMP_BYTES) {
            pumped = at;
            status = pump(s, 0); /* other blocks are on their way meanwhile */
        }
    }
    if (status == TD_OK && EVP_DigestFinal_ex(s->md5, sum, NULL) != 1)
        status = azblob_nomem(s->a);
    if (status == TD_OK)
        memcpy(ret, sum, CLOUD_MD5);
    return status;
}

/* All parts were summed: is it what it should be? */
static int sum_whole(struct sending *s)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(s->sha256, sum, NULL) != 1)
        return azblob_nomem(s->a);
    memcpy(s->sums.sha256, sum, CLOUD_SHA256);
    if (s->put->sha256 && memcmp(s->put->sha256, sum, CLOUD_SHA256) != 0)
        return azblob_fail(s->a, s->key, TD_E_CORRUPT, "its file is not what its SHA-256 says; it was damaged here");
    return TD_OK;
}

/* ---- In one request ---- */

static int send_whole(struct sending *s)
{
    struct part *p = &s->parts[0];
    struct azblob_sum_texts texts;
    int status = sum_part(s, 0, s->bytes, s->sums.md5);
    if (status == TD_OK)
        status = sum_whole(s);
    if (status == TD_OK)
        status = tell_progress(s);
    if (status != TD_OK)
        return status;
    azblob_describe_blob(&p->r, s->a, s->key, &s->sums, &texts);
    p->r.x.fd = s->fd;
    p->r.x.body_n = s->bytes;
    status = azblob_request_start(&p->r, s->session);
    if (status != TD_OK) {
        azblob_request_clear(&p->r);
        return status;
    }
    p->used = true;
    s->running = 1;
    while (s->running && status == TD_OK)
        status = pump(s, PUMP_NS);
    return status;
}

/* ---- In blocks ---- */

static struct part *free_part(struct sending *s)
{
    for (size_t i = 0; i < s->part_n; i++)
        if (!s->parts[i].used)
            return &s->parts[i];
    return NULL;
}

static int send_block(struct sending *s, const struct azblob_block_id *id, uint64_t offset, uint64_t n)
{
    struct part *p;
    int status = TD_OK;
    while (status == TD_OK && !(p = free_part(s)))
        status = pump(s, PUMP_NS);
    if (status != TD_OK)
        return status;
    azblob_block_name(id, p->name);
    azblob_md5_text(id->bytes + AZBLOB_BLOCK_ID - CLOUD_MD5, p->md5);
    azblob_describe_block(&p->r, s->a, s->key, p->name, p->md5);
    p->r.x.fd = s->fd;
    p->r.x.offset = offset;
    p->r.x.body_n = n;
    status = azblob_request_start(&p->r, s->session);
    if (status != TD_OK) {
        azblob_request_clear(&p->r);
        return status;
    }
    p->used = true;
    s->running++;
    s->sent = true;
    return TD_OK;
}

static int send_blocks(struct sending *s)
{
    int status = TD_OK;
    for (uint64_t at = 0; at < s->bytes && status == TD_OK; at += s->block_bytes) {
        uint64_t n = s->bytes - at < s->block_bytes ? s->bytes - at : s->block_bytes;
        uint8_t md5[CLOUD_MD5];
        status = sum_part(s, at, n, md5);
        if (status != TD_OK)
            break;
        struct azblob_block_id id = azblob_block_id((uint32_t)s->list.n, (uint32_t)n, md5);
        if (!azblob_blocks_add(&s->list, &id)) {
            status = azblob_nomem(s->a);
        } else if (azblob_blocks_have(&s->there, &id)) {
            s->done += n;
            status = pump(s, 0);
        } else {
            status = send_block(s, &id, at, n);
        }
    }
    while (status == TD_OK && s->running)
        status = pump(s, PUMP_NS);
    return status;
}

/* The object may be there since another try, or another process, has got through with it. */
static bool is_there(struct sending *s)
{
    struct td_object object = {.size = sizeof(object)};
    return *s->put->state && s->put->sha256 && azblob_head(s->a, s->key, &object) == TD_OK && object.bytes == s->bytes &&
           (object.flags & TD_OBJECT_SHA256) && memcmp(object.sha256, s->put->sha256, CLOUD_SHA256) == 0;
}

static int send_in_blocks(struct sending *s)
{
    char state[TD_PUT_STATE_MAX];
    size_t uncommitted;
    if (is_there(s))
        return TD_OK;
    azblob_state(s->block_bytes, state);
    s->saved = s->put->save && s->put->save(s->put->ctx, state) == 0;
    int status = azblob_find_blocks(s->a, s->key, false, &s->there, &uncommitted);
    s->sent = uncommitted;
    if (status == TD_OK)
        status = send_blocks(s);
    if (status == TD_OK)
        status = sum_whole(s);
    return status == TD_OK ? azblob_commit(s->a, s->key, &s->list, s->sums.sha256, NULL) : status;
}

/* ---- The whole ---- */

static int choose_blocks(struct sending *s)
{
    uint64_t known;
    s->block_bytes = azblob_block_bytes(s->bytes, s->a->config->block_bytes);
    /* What was begun goes on with its own blocks, whatever the configuration says now. */
    if (azblob_read_state(s->put->state, &known) && azblob_block_bytes(s->bytes, known) == known)
        s->block_bytes = known;
    return s->block_bytes ? TD_OK : azblob_fail(s->a, s->key, TD_E_LIMIT, "too large for a blob");
}

static int prepare(struct sending *s)
{
    s->part_n = (size_t)s->a->config->parallel;
    s->parts = calloc(s->part_n, sizeof(*s->parts));
    s->buffer = malloc(READ_BYTES);
    s->md5 = EVP_MD_CTX_new();
    s->sha256 = EVP_MD_CTX_new();
    if (!s->parts || !s->buffer || !s->md5 || !s->sha256 || EVP_DigestInit_ex(s->sha256, EVP_sha256(), NULL) != 1)
        return azblob_nomem(s->a);
    int status = choose_blocks(s);
    return status == TD_OK ? cloud_http_take(s->a->http, &s->session) : status;
}

static void clear_sending(struct sending *s)
{
    cloud_http_give(s->a->http, s->session); /* ends what is on its way */
    for (size_t i = 0; s->parts && i < s->part_n; i++)
        if (s->parts[i].used)
            azblob_request_clear(&s->parts[i].r);
    free(s->parts);
    free(s->buffer);
    EVP_MD_CTX_free(s->md5);
    EVP_MD_CTX_free(s->sha256);
    azblob_blocks_clear(&s->there);
    azblob_blocks_clear(&s->list);
}

int azblob_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *put, bool *ret_linked)
{
    struct stat st;
    struct td_put how = *put;
    how.state = how.state ? how.state : "";
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return TD_E_UNSUPPORTED; /* whoever copies it says what is wrong */
    }
    struct sending s = {.a = self, .key = key, .put = &how, .fd = fd, .bytes = (uint64_t)st.st_size};
    int status = prepare(&s);
    if (status == TD_OK)
        status = s.bytes <= s.block_bytes ? send_whole(&s) : send_in_blocks(&s);
    if (status == TD_OK && how.progress)
        (void)how.progress(how.ctx, s.bytes); /* too late to stop */
    bool left = s.sent && !(s.saved && (status == TD_E_RETRY || status == TD_E_CANCELLED));
    clear_sending(&s);
    close(fd);
    if (status != TD_OK && left)
        (void)azblob_discard(self, key, true);
    *ret_linked = false;
    return status;
}

int azblob_forget(void *self, const char *key, const char *state)
{
    return state && *state ? azblob_discard(self, key, false) : TD_OK;
}
