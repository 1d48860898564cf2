/* What a request proves that it may: a key, a SAS token or a bearer token, in this order. */
#include "azblob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_AGAIN_NS (10 * AZBLOB_NS) /* whether a file of a secret has changed */

/* ---- Secrets in files ---- */

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * AZBLOB_NS + st->st_mtim.tv_nsec;
}

/* The first line of a file. NULL with errno: cannot be read, or too long. */
static char *read_secret(const char *path, int64_t *ret_mtime_ns)
{
    struct stat st;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (text = malloc(AZBLOB_MAX_SECRET))) {
        ssize_t n = read(fd, text, AZBLOB_MAX_SECRET);
        if (n < 0 || n == AZBLOB_MAX_SECRET) {
            errno = n < 0 ? errno : EFBIG;
            free(text);
            text = NULL;
        } else {
            text[n] = 0;
            text[strcspn(text, "\r\n")] = 0;
            *ret_mtime_ns = mtime_of(&st);
        }
    } else if (fd >= 0 && !text) {
        errno = EINVAL;
    }
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return text;
}

static bool is_key(const char *text)
{
    uint8_t key[AZBLOB_MAX_KEY];
    bool good = cloud_read_base64(text, key, sizeof(key)) > 0;
    explicit_bzero(key, sizeof(key));
    return good;
}

static bool is_sas(const char *text)
{
    char signature[512];
    return azblob_sas_value(text + (*text == '?'), "sig", signature, sizeof(signature));
}

/* Reads it if it was written to. While it cannot be read, or is just being written, what it was goes on. */
static int look_at_file(struct azblob *a, struct azblob_secret_file *f, bool must_read)
{
    bool of_key = f == &a->key_file;
    const char *option = of_key ? "storageKeyFile" : "sasTokenFile";
    struct stat st;
    int64_t mtime_ns = 0;
    f->looked_ns = azblob_clock_ns();
    if (f->text && !must_read && (stat(f->path, &st) != 0 || mtime_of(&st) == f->mtime_ns))
        return TD_OK;
    char *text = read_secret(f->path, &mtime_ns);
    int number = errno;
    if (text && (of_key ? is_key(text) : is_sas(text))) {
        f->changes += f->text && strcmp(f->text, text) != 0;
        azblob_free_secret(f->text);
        f->text = text;
        f->mtime_ns = mtime_ns;
        return TD_OK;
    }
    bool read = text != NULL;
    azblob_free_secret(text);
    if (f->text)
        return TD_OK;
    if (read)
        return a->host->fail(a->inst, TD_E_CONFIG, "%s \"%.400s\" holds no %s in its first line; copy it whole", option, f->path,
                             of_key ? "key in base64" : "SAS token (sv=...&sig=...)");
    return a->host->fail(a->inst, TD_E_CONFIG, "%s \"%.400s\" cannot be read: %s", option, f->path, strerror(number));
}

/* The secret of a file, appended. It may be replaced while we run. */
static int file_secret(struct azblob_request *r, struct azblob_secret_file *f, struct cloud_text *ret)
{
    struct azblob *a = r->a;
    pthread_mutex_lock(&a->lock);
    bool look = !f->text || azblob_clock_ns() - f->looked_ns >= LOOK_AGAIN_NS;
    int status = look ? look_at_file(a, f, false) : TD_OK;
    if (status == TD_OK)
        cloud_puts(ret, f->text);
    r->changes = f->changes;
    pthread_mutex_unlock(&a->lock);
    return status;
}

void azblob_free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* ---- Which credentials ---- */

static bool has_key(const struct azblob *a)
{
    return *a->account.key || a->key_file.path;
}

static bool has_sas(const struct azblob *a)
{
    return !has_key(a) && (*a->account.sas || a->sas_file.path);
}

const char *azblob_credentials(const struct azblob *a)
{
    return has_key(a)                            ? "key (storageKey)"
           : has_sas(a)                          ? "SAS token"
           : a->identity.kind == AZBLOB_WORKLOAD ? "workload identity's token"
                                                 : "managed identity's token";
}

static int put_key(struct azblob_request *r)
{
    struct azblob *a = r->a;
    struct cloud_text key = {0};
    int status = TD_OK;
    if (*a->account.key)
        cloud_puts(&key, a->account.key);
    else
        status = file_secret(r, &a->key_file, &key);
    cloud_puts(&r->secret, "Authorization: ");
    if (status == TD_OK && (key.failed || r->secret.failed))
        status = azblob_nomem(a);
    else if (status == TD_OK && !azblob_shared_key(&r->secret, a->account.name, cloud_cstr(&key), &r->message))
        status = a->host->fail(a->inst, TD_E_CONFIG, "storageKey is no base64; copy it whole, with the == at its end");
    azblob_clear_secret(&key);
    return status;
}

static int put_sas(struct azblob_request *r)
{
    struct azblob *a = r->a;
    struct cloud_text text = {0};
    if (*a->account.sas) {
        cloud_puts(&r->sas, a->account.sas);
        return TD_OK;
    }
    int status = file_secret(r, &a->sas_file, &text);
    if (status == TD_OK)
        cloud_puts(&r->sas, cloud_cstr(&text) + (text.n && text.p[0] == '?'));
    azblob_clear_secret(&text);
    return status;
}

static int put_token(struct azblob_request *r)
{
    struct azblob *a = r->a;
    if (!a->account.https)
        return a->host->fail(a->inst, TD_E_CONFIG,
                             "%.200s: tokens of identities are only sent over https; change the endpoint, or set storageKey",
                             a->account.endpoint);
    cloud_puts(&r->secret, AZBLOB_BEARER);
    r->bearer = true;
    return azblob_token(a, &r->secret);
}

int azblob_authorise(struct azblob_request *r)
{
    return has_key(r->a) ? put_key(r) : has_sas(r->a) ? put_sas(r) : put_token(r);
}

bool azblob_replaced(struct azblob_request *r)
{
    struct azblob *a = r->a;
    struct azblob_secret_file *f = has_key(a) ? &a->key_file : &a->sas_file;
    bool from_file = has_key(a) ? !*a->account.key : has_sas(a) && !*a->account.sas;
    if (!from_file)
        return false;
    pthread_mutex_lock(&a->lock);
    if (f->changes == r->changes)
        (void)look_at_file(a, f, true);
    bool replaced = f->changes != r->changes;
    pthread_mutex_unlock(&a->lock);
    return replaced;
}

void azblob_clear_secret(struct cloud_text *t)
{
    if (t->p)
        explicit_bzero(t->p, t->n);
    cloud_text_clear(t);
}
