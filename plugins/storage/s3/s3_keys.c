/* Keys that are looked for: what all places they come from have in common. */
#include "s3_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

int s3_trouble(struct s3_trouble *t, int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->text, sizeof(t->text), fmt, args);
    va_end(args);
    t->status = status;
    return status;
}

/* ---- Keys ---- */

void s3_keys_clear(struct s3_keys *keys)
{
    explicit_bzero(keys, sizeof(*keys));
}

void s3_found_clear(struct s3_found *found)
{
    explicit_bzero(found, sizeof(*found));
}

/* Keys go into a header: nothing in them may end it. */
static bool copy(char *into, size_t room, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n >= room)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    memcpy(into, text ? text : "", n + 1);
    return true;
}

int s3_found_set(struct s3_found *f, const char *access_key, const char *secret_key, const char *token, const char **ret_wrong)
{
    *ret_wrong = NULL;
    if (!copy(f->keys.access_key, S3_MAX_KEY_ID, access_key))
        *ret_wrong = "access key";
    else if (!copy(f->keys.secret_key, S3_MAX_SECRET, secret_key))
        *ret_wrong = "secret key";
    else if (!copy(f->keys.token, S3_MAX_TOKEN, token))
        *ret_wrong = "session token";
    f->keys.expires_ns = 0;
    f->lifetime_ns = INT64_MAX;
    return *ret_wrong ? TD_E_CORRUPT : TD_OK;
}

int s3_found_take(struct s3_found *f, const char *access_key, const char *secret_key, const char *token, const char *expiration,
                  struct cloud_exchange *x, struct s3_trouble *t)
{
    const char *wrong, *date = cloud_header(x, "date");
    int64_t now_ns;
    if (s3_found_set(f, access_key, secret_key, token, &wrong) != TD_OK)
        return s3_trouble(t, TD_E_CORRUPT, "the answer has something that can be no %s", wrong);
    if (!*f->keys.access_key || !*f->keys.secret_key)
        return s3_trouble(t, TD_E_CORRUPT, "the answer has no keys");
    if (!expiration || !*expiration)
        return TD_OK;
    if (!cloud_read_iso8601(expiration, &f->keys.expires_ns))
        return s3_trouble(t, TD_E_CORRUPT, "the answer does not tell when its keys expire: \"%.40s\"", expiration);
    if (!date || !cloud_read_http_date(date, &now_ns))
        now_ns = cloud_now_ns();
    f->lifetime_ns = f->keys.expires_ns - now_ns;
    return TD_OK;
}

/* ---- The environment ---- */

static const char *const variables[S3_ENV_N] = {
    [S3_ENV_ACCESS_KEY_ID] = "AWS_ACCESS_KEY_ID",
    [S3_ENV_SECRET_ACCESS_KEY] = "AWS_SECRET_ACCESS_KEY",
    [S3_ENV_SESSION_TOKEN] = "AWS_SESSION_TOKEN",
    [S3_ENV_WEB_IDENTITY_TOKEN_FILE] = "AWS_WEB_IDENTITY_TOKEN_FILE",
    [S3_ENV_ROLE_ARN] = "AWS_ROLE_ARN",
    [S3_ENV_ROLE_SESSION_NAME] = "AWS_ROLE_SESSION_NAME",
    [S3_ENV_PROFILE] = "AWS_PROFILE",
    [S3_ENV_CREDENTIALS_FILE] = "AWS_SHARED_CREDENTIALS_FILE",
    [S3_ENV_CONFIG_FILE] = "AWS_CONFIG_FILE",
    [S3_ENV_HOME] = "HOME",
    [S3_ENV_CONTAINER_RELATIVE_URI] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    [S3_ENV_CONTAINER_FULL_URI] = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    [S3_ENV_CONTAINER_TOKEN] = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    [S3_ENV_CONTAINER_TOKEN_FILE] = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    [S3_ENV_METADATA_DISABLED] = "AWS_EC2_METADATA_DISABLED",
    [S3_ENV_METADATA_ENDPOINT] = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    [S3_ENV_METADATA_ENDPOINT_MODE] = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    [S3_ENV_REGION] = "AWS_REGION",
    [S3_ENV_DEFAULT_REGION] = "AWS_DEFAULT_REGION",
    [S3_ENV_ENDPOINT_STS] = "AWS_ENDPOINT_URL_STS",
};

int s3_environment_read(struct s3_environment *e)
{
    *e = (struct s3_environment){0};
    for (size_t i = 0; i < S3_ENV_N; i++) {
        const char *value = getenv(variables[i]);
        if (!value || !*value)
            continue;
        e->v[i] = strdup(value);
        if (!e->v[i]) {
            s3_environment_clear(e);
            return TD_E_NOMEM;
        }
    }
    return TD_OK;
}

void s3_environment_clear(struct s3_environment *e)
{
    for (size_t i = 0; i < S3_ENV_N; i++) {
        if (e->v[i])
            explicit_bzero(e->v[i], strlen(e->v[i]));
        free(e->v[i]);
        e->v[i] = NULL;
    }
}

/* ---- Files ---- */

static int read_all(int fd, size_t max, struct cloud_text *ret)
{
    char bytes[4096];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0)
            cloud_put(ret, bytes, (size_t)n);
        if (ret->failed || ret->n > max)
            break;
    }
    explicit_bzero(bytes, sizeof(bytes));
    return n < 0 ? TD_E_DENIED : ret->failed ? TD_E_NOMEM : ret->n > max ? TD_E_LIMIT : TD_OK;
}

static int open_file(const char *path, struct s3_trouble *t)
{
    struct stat st;
    char why[100];
    /* Not to wait for somebody to write into a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return s3_trouble(t, TD_E_NOT_FOUND, "%.300s is not there", path);
    if (fd < 0)
        return s3_trouble(t, TD_E_DENIED, "%.300s cannot be read: %s", path, strerror_r(errno, why, sizeof(why)));
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return s3_trouble(t, TD_E_DENIED, "%.300s is no regular file", path);
}

int s3_read_file(const char *path, size_t max, struct cloud_text *ret, struct s3_trouble *t)
{
    char why[100];
    int fd = open_file(path, t);
    if (fd < 0)
        return fd;
    int status = read_all(fd, max, ret), error = errno;
    close(fd);
    if (status == TD_E_NOMEM)
        return s3_trouble(t, status, "out of memory");
    if (status == TD_E_LIMIT)
        return s3_trouble(t, status, "%.300s is larger than %zu bytes", path, max);
    if (status != TD_OK)
        return s3_trouble(t, status, "%.300s cannot be read: %s", path, strerror_r(error, why, sizeof(why)));
    return TD_OK;
}

int s3_read_word(const char *path, size_t max, struct cloud_text *ret, struct s3_trouble *t)
{
    int status = s3_read_file(path, max + 16, ret, t);
    if (status != TD_OK)
        return status;
    size_t begin = 0, end = ret->n;
    while (end && memchr(" \t\r\n", ret->p[end - 1], 4))
        end--;
    while (begin < end && memchr(" \t\r\n", ret->p[begin], 4))
        begin++;
    for (size_t i = begin; i < end; i++)
        if (ret->p[i] <= ' ' || ret->p[i] > '~')
            return s3_trouble(t, TD_E_CONFIG, "%.300s must hold one word and nothing else", path);
    if (begin == end || end - begin > max)
        return s3_trouble(t, TD_E_CONFIG, "%.300s %s", path, begin == end ? "is empty" : "holds too much");
    memmove(ret->p, ret->p + begin, end - begin);
    ret->n = end - begin;
    ret->p[ret->n] = 0;
    return TD_OK;
}

/* ---- Addresses ---- */

/* By libcurl's own eyes, so that what is checked is what will be asked. */
static bool copy_part(CURLU *url, CURLUPart part, char *into, size_t room)
{
    char *text = NULL;
    bool good = curl_url_get(url, part, &text, 0) == CURLUE_OK && strlen(text) < room;
    if (good)
        memcpy(into, text, strlen(text) + 1);
    curl_free(text);
    return good;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static bool read_parts(CURLU *url, struct s3_url *ret)
{
    char scheme[8], port[8] = "", query[512] = "";
    if (!copy_part(url, CURLUPART_SCHEME, scheme, sizeof(scheme)) || !copy_part(url, CURLUPART_HOST, ret->host, sizeof(ret->host)) ||
        !copy_part(url, CURLUPART_PATH, ret->path, sizeof(ret->path)))
        return false;
    ret->tls = strcmp(scheme, "https") == 0;
    if (!ret->tls && strcmp(scheme, "http") != 0)
        return false;
    if (has_part(url, CURLUPART_PORT) && !copy_part(url, CURLUPART_PORT, port, sizeof(port)))
        return false;
    if (has_part(url, CURLUPART_QUERY) && !copy_part(url, CURLUPART_QUERY, query, sizeof(query)))
        return false;
    bool own = !*port || strcmp(port, ret->tls ? "443" : "80") == 0;
    snprintf(ret->authority, sizeof(ret->authority), "%s%s%s", ret->host, own ? "" : ":", own ? "" : port);
    size_t n = strlen(ret->path), more = *query ? strlen(query) + 1 : 0;
    if (n + more >= sizeof(ret->path))
        return false;
    if (more)
        snprintf(ret->path + n, sizeof(ret->path) - n, "?%s", query);
    n = strlen(ret->host);
    if (n > 2 && ret->host[0] == '[') {
        memmove(ret->host, ret->host + 1, n - 2);
        ret->host[n - 2] = 0;
    }
    return true;
}

bool s3_url_read(const char *text, struct s3_url *ret)
{
    CURLU *url = curl_url();
    bool good = url && curl_url_set(url, CURLUPART_URL, text, CURLU_DEFAULT_SCHEME) == CURLUE_OK && !has_part(url, CURLUPART_USER) &&
                !has_part(url, CURLUPART_PASSWORD) && !has_part(url, CURLUPART_ZONEID) && read_parts(url, ret);
    curl_url_cleanup(url);
    return good;
}
