/* Where requests go: endpoint, bucket, region, and the URLs made of them. */
#include "s3.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define DEFAULT_REGION "us-east-1"

static bool is_given(const char *text)
{
    return text && *text;
}

static bool consists_of(const char *text, const char *letters)
{
    return !text[strspn(text, letters)];
}

#define LOWER_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Also the names that other services and old buckets have: it must only not break a URL. */
static bool is_bucket(const char *name)
{
    size_t n = strlen(name);
    return n >= 3 && n <= 255 && consists_of(name, LOWER_AND_DIGITS UPPER ".-_") && name[0] != '.' && !strstr(name, "..");
}

/* A bucket's name as the first label of a host. */
static bool fits_host(const char *name)
{
    return strlen(name) <= 63 && consists_of(name, LOWER_AND_DIGITS ".-") && name[strlen(name) - 1] != '-';
}

/* The host itself must not be a number: "bucket.127.0.0.1" is no name. */
static bool is_address(const char *authority)
{
    return authority[0] == '[' || !authority[strspn(authority, "0123456789.:")];
}

static int fail_endpoint(const struct s3 *s, const char *why)
{
    return s->host->fail(s->inst, TD_E_CONFIG, "endpoint %s; it is a URL such as https://s3.example.com:9000", why);
}

static int read_authority(struct s3 *s, const char *text, size_t n)
{
    struct s3_endpoint *e = &s->endpoint;
    const char *own = e->tls ? ":443" : ":80";
    if (!n || n >= sizeof(e->authority))
        return fail_endpoint(s, "has no host, or one that is too long");
    for (size_t i = 0; i < n; i++)
        e->authority[i] = (char)tolower((unsigned char)text[i]);
    e->authority[n] = 0;
    if (strchr(e->authority, '@'))
        return fail_endpoint(s, "must not hold a user or a password");
    if (!consists_of(e->authority, LOWER_AND_DIGITS ".-_:[]"))
        return fail_endpoint(s, "has a letter that no host has");
    /* The Host header has no port that is the scheme's own, and is signed. */
    if (n > strlen(own) && strcmp(e->authority + n - strlen(own), own) == 0)
        e->authority[n - strlen(own)] = 0;
    return TD_OK;
}

static int read_endpoint(struct s3 *s, const char *text)
{
    struct s3_endpoint *e = &s->endpoint;
    const char *scheme = strstr(text, "://"), *rest = scheme ? scheme + 3 : text;
    bool is_http = scheme && strncasecmp(text, "http:", 5) == 0, is_https = scheme && strncasecmp(text, "https:", 6) == 0;
    if (scheme && !is_http && !is_https)
        return fail_endpoint(s, "must begin with https:// or http://");
    e->tls = !is_http;
    size_t n = strcspn(rest, "/?#"), base = strlen(rest + n);
    int status = read_authority(s, rest, n);
    if (status != TD_OK)
        return status;
    while (base && rest[n + base - 1] == '/')
        base--;
    if (base >= sizeof(e->base) || !consists_of(rest + n, LOWER_AND_DIGITS UPPER "/.-_~%"))
        return fail_endpoint(s, "has a path that is too long, or something behind it");
    memcpy(e->base, rest + n, base);
    e->base[base] = 0;
    return TD_OK;
}

int s3_endpoint_read(struct s3 *s)
{
    const struct s3_config *c = s->config;
    struct s3_endpoint *e = &s->endpoint;
    if (!is_bucket(c->bucket))
        return s->host->fail(
            s->inst, TD_E_CONFIG,
            "\"%.200s\" is no name of a bucket: 3 to 63 lower case letters, digits, dots and hyphens, without a URL around it", c->bucket);
    const char *region = is_given(c->region) ? c->region : DEFAULT_REGION;
    if (strlen(region) >= S3_MAX_REGION || !consists_of(region, LOWER_AND_DIGITS UPPER "-_"))
        return s->host->fail(s->inst, TD_E_CONFIG, "\"%.200s\" is no region; one is called eu-west-1", region);
    memcpy(s->region, region, strlen(region) + 1);
    e->is_aws = !is_given(c->endpoint);
    e->tls = true;
    int status = e->is_aws ? TD_OK : read_endpoint(s, c->endpoint);
    if (status != TD_OK)
        return status;
    bool can_be_host = fits_host(c->bucket) && (e->is_aws || !is_address(e->authority));
    if (c->path_style == S3_PATH_NEVER && !can_be_host)
        return s->host->fail(s->inst, TD_E_CONFIG, "the bucket's name cannot be part of the endpoint's host: leave pathStyle at auto");
    /* A certificate for *.s3.region.amazonaws.com does not hold for names with a dot more. */
    bool suits = e->is_aws && can_be_host && !strchr(c->bucket, '.');
    e->path_style = c->path_style == S3_PATH_ALWAYS || (c->path_style == S3_PATH_AUTO && !suits);
    return TD_OK;
}

void s3_region(struct s3 *s, char ret[S3_MAX_REGION])
{
    pthread_mutex_lock(&s->lock);
    memcpy(ret, s->region, S3_MAX_REGION);
    pthread_mutex_unlock(&s->lock);
}

bool s3_learn_region(struct s3 *s, const char *region)
{
    size_t n = strlen(region);
    if (is_given(s->config->region) || !n || n >= S3_MAX_REGION || !consists_of(region, LOWER_AND_DIGITS "-"))
        return false;
    pthread_mutex_lock(&s->lock);
    memcpy(s->region, region, n + 1);
    pthread_mutex_unlock(&s->lock);
    return true;
}

void s3_put_url(const struct s3 *s, const char *region, const char *key, struct cloud_text *url, struct cloud_text *host, size_t *ret_path)
{
    const struct s3_endpoint *e = &s->endpoint;
    host->n = url->n = 0;
    if (!e->path_style)
        cloud_printf(host, "%s.", s->config->bucket);
    if (e->is_aws)
        cloud_printf(host, "s3.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    else
        cloud_puts(host, e->authority);
    cloud_printf(url, "%s://%s", e->tls ? "https" : "http", cloud_cstr(host));
    *ret_path = url->n;
    cloud_printf(url, "%s/", e->base);
    if (e->path_style)
        cloud_puts(url, s->config->bucket);
    if (key && e->path_style)
        cloud_puts(url, "/");
    if (key)
        cloud_put_encoded(url, key, true);
}
