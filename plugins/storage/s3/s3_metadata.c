/* Container and instance metadata. */
#include "s3_metadata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <jansson.h>

static const int64_t ns_per_s = 1000000000;
enum { CONTAINER_DEADLINE_S = 10, INSTANCE_DEADLINE_S = 2, TRIES = 2, MAX_METADATA_TOKEN = 1024, MAX_ROLE_NAME = 128 };

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_HOST_6 "http://[fd00:ec2::254]"

/* ---- Exchanges ---- */

/* TD_OK: there is an answer, of any status. */
static int run(struct cloud_http *http, struct cloud_exchange *x, const char *what, struct s3_trouble *t)
{
    struct cloud_session *session = NULL;
    int status = cloud_http_take(http, &session);
    if (status != TD_OK)
        return s3_trouble(t, status, "out of memory");
    status = cloud_run(session, x);
    cloud_http_give(http, session);
    if (status == TD_OK && x->answer.n > S3_MAX_KEYS_ANSWER)
        return s3_trouble(t, TD_E_CORRUPT, "%s: an answer of more than %d bytes", what, S3_MAX_KEYS_ANSWER);
    if (status != TD_OK)
        return s3_trouble(t, status, "%s: %s", what, status == TD_E_CANCELLED ? "told to stop" : x->why);
    return TD_OK;
}

/* ---- Answers ---- */

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* jansson frees what it has read, and does not wipe it. */
static void wipe_member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (json_is_string(value))
        explicit_bzero((char *)(uintptr_t)json_string_value(value), json_string_length(value));
}

/* For people, from elsewhere: one line. */
static void copy_line(char *into, size_t room, const char *text)
{
    size_t n = 0;
    for (; n < room - 1 && text[n]; n++)
        into[n] = text[n] < ' ' || text[n] > '~' ? ' ' : text[n];
    into[n] = 0;
}

/* Keys as both services give them, or what stands there instead. */
static int take(struct cloud_exchange *x, const char *what, struct s3_found *ret, struct s3_trouble *t)
{
    struct s3_trouble why = {0};
    json_error_t error;
    char code[64], message[256];
    json_t *root = json_loadb(x->answer.n ? x->answer.p : "", x->answer.n, JSON_REJECT_DUPLICATES, &error);
    int status = TD_OK;
    copy_line(code, sizeof(code), *member(root, "Code") ? member(root, "Code") : member(root, "code"));
    copy_line(message, sizeof(message), *member(root, "Message") ? member(root, "Message") : member(root, "message"));
    if (x->status != 200)
        status = s3_trouble(t, cloud_classify(x->status), "%s: refused (HTTP %u%s%s%s%s)", what, x->status, *code ? " " : "", code,
                            *message ? ": " : "", message);
    else if (!json_is_object(root))
        status = s3_trouble(t, TD_E_CORRUPT, "%s: an answer that is no JSON object", what);
    else if (*code && strcmp(code, "Success") != 0)
        status = s3_trouble(t, TD_E_DENIED, "%s: has no keys: %s%s%s", what, code, *message ? ": " : "", message);
    else if (s3_found_take(ret, member(root, "AccessKeyId"), member(root, "SecretAccessKey"), member(root, "Token"),
                           member(root, "Expiration"), x, &why) != TD_OK)
        status = s3_trouble(t, why.status, "%s: %.600s", what, why.text);
    wipe_member(root, "SecretAccessKey");
    wipe_member(root, "Token");
    json_decref(root);
    ret->origin = S3_FROM_SERVICE;
    return status;
}

/* ---- Containers ---- */

/* Keys travel in clear text, and an authorization token with the question: only to hosts that cannot be elsewhere. */
static bool is_near(const char *host)
{
    static const char agents[][16] = {"169.254.170.2", "169.254.170.23"};
    struct in_addr v4;
    struct in6_addr v6, eks;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        bool near = ntohl(v4.s_addr) >> 24 == 127;
        for (size_t i = 0; i < sizeof(agents) / sizeof(agents[0]); i++)
            near = near || strcmp(host, agents[i]) == 0;
        return near;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6) || (inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 && memcmp(&v6, &eks, sizeof(v6)) == 0);
    return strcasecmp(host, "localhost") == 0;
}

static int container_url(const struct s3_environment *e, struct cloud_text *ret, struct s3_trouble *t)
{
    const char *relative = e->v[S3_ENV_CONTAINER_RELATIVE_URI], *full = e->v[S3_ENV_CONTAINER_FULL_URI];
    struct s3_url url;
    if (!relative && !full)
        return s3_trouble(t, TD_E_NOT_FOUND, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
    if (relative && relative[0] != '/')
        return s3_trouble(t, TD_E_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash");
    if (relative)
        cloud_puts(ret, CONTAINER_HOST);
    cloud_puts(ret, relative ? relative : full);
    if (ret->failed)
        return s3_trouble(t, TD_E_NOMEM, "out of memory");
    if (!s3_url_read(ret->p, &url))
        return s3_trouble(t, TD_E_CONFIG, "AWS_CONTAINER_CREDENTIALS_%s_URI is no URL", relative ? "RELATIVE" : "FULL");
    if (!url.tls && !is_near(url.host))
        return s3_trouble(t, TD_E_CONFIG,
                          "AWS_CONTAINER_CREDENTIALS_FULL_URI asks %.200s without TLS; that may be only this machine, 169.254.170.2 or "
                          "169.254.170.23",
                          url.host);
    /* As libcurl has understood it. */
    ret->n = 0;
    cloud_printf(ret, "%s://%s%s", url.tls ? "https" : "http", url.authority, url.path);
    return ret->failed ? s3_trouble(t, TD_E_NOMEM, "out of memory") : TD_OK;
}

/* Of the file rather than of the variable: it may change. */
static int container_authorization(const struct s3_environment *e, struct cloud_text *ret, struct s3_trouble *t)
{
    const char *file = e->v[S3_ENV_CONTAINER_TOKEN_FILE], *token = e->v[S3_ENV_CONTAINER_TOKEN];
    struct cloud_text word = {0};
    int status = TD_OK;
    if (file) {
        status = s3_read_word(file, CLOUD_MAX_HEADER - 32, &word, t);
        if (status == TD_E_NOT_FOUND || status == TD_E_LIMIT)
            status = t->status = TD_E_CONFIG;
        token = cloud_cstr(&word);
    } else if (token && (strpbrk(token, "\r\n") || strlen(token) > CLOUD_MAX_HEADER - 32))
        status = s3_trouble(t, TD_E_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN cannot be one: it is too long, or has several lines");
    if (status == TD_OK && token)
        cloud_printf(ret, "Authorization: %s", token);
    cloud_text_clear(&word);
    return ret->failed ? s3_trouble(t, TD_E_NOMEM, "out of memory") : status;
}

int s3_container_keys(struct cloud_http *http, const struct s3_environment *e, struct s3_found *ret, struct s3_trouble *t)
{
    static const char what[] = "the container's service for credentials";
    struct cloud_text url = {0}, authorization = {0};
    struct cloud_exchange x = {.method = "GET", .deadline_ns = CONTAINER_DEADLINE_S * ns_per_s};
    int status = container_url(e, &url, t);
    if (status == TD_OK)
        status = container_authorization(e, &authorization, t);
    x.url = cloud_cstr(&url);
    if (authorization.n)
        x.headers[x.header_n++] = cloud_cstr(&authorization);
    if (status == TD_OK)
        status = run(http, &x, what, t);
    if (status == TD_OK)
        status = take(&x, what, ret, t);
    /* It is named, so that it must be there: what is not found there is no reason to look elsewhere. */
    if (status == TD_E_NOT_FOUND && url.n)
        status = t->status = TD_E_DENIED;
    snprintf(ret->source, sizeof(ret->source), "%s", what);
    cloud_text_clear(&url);
    cloud_text_clear(&authorization);
    cloud_exchange_clear(&x);
    return status;
}

/* ---- The instance ---- */

#define INSTANCE "the instance metadata service"

struct instance {
    struct cloud_http *http;
    char host[320]; /* with the scheme and without a slash at the end */
    char token[sizeof("X-aws-ec2-metadata-token: ") + MAX_METADATA_TOKEN];
    char role[MAX_ROLE_NAME + 1];
};

/* An answer's only line, of letters that do not end a header. */
static bool copy_word(char *into, size_t room, const struct cloud_text *answer)
{
    size_t n = 0;
    while (n < answer->n && answer->p[n] > ' ' && answer->p[n] <= '~')
        n++;
    if (!n || n >= room || (n < answer->n && answer->p[n] != '\n' && answer->p[n] != '\r'))
        return false;
    memcpy(into, answer->p, n);
    into[n] = 0;
    return true;
}

static int instance_host(struct instance *i, const struct s3_environment *e, struct s3_trouble *t)
{
    const char *disabled = e->v[S3_ENV_METADATA_DISABLED], *endpoint = e->v[S3_ENV_METADATA_ENDPOINT],
               *mode = e->v[S3_ENV_METADATA_ENDPOINT_MODE];
    struct s3_url url;
    if (disabled && strcasecmp(disabled, "true") == 0)
        return s3_trouble(t, TD_E_NOT_FOUND, INSTANCE " is switched off by AWS_EC2_METADATA_DISABLED");
    if (mode && strcasecmp(mode, "IPv4") != 0 && strcasecmp(mode, "IPv6") != 0)
        return s3_trouble(t, TD_E_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be IPv4 or IPv6");
    if (!endpoint)
        endpoint = mode && strcasecmp(mode, "IPv6") == 0 ? INSTANCE_HOST_6 : INSTANCE_HOST;
    if (!s3_url_read(endpoint, &url))
        return s3_trouble(t, TD_E_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL");
    snprintf(i->host, sizeof(i->host), "%s://%s", url.tls ? "https" : "http", url.authority);
    return TD_OK;
}

/* One question; `answer` is the caller's to clear. */
static int ask(struct instance *i, const char *method, const char *path, const char *header, struct cloud_exchange *x, struct s3_trouble *t)
{
    char url[1024];
    snprintf(url, sizeof(url), "%s%s", i->host, path);
    *x = (struct cloud_exchange){.method = method, .url = url, .deadline_ns = INSTANCE_DEADLINE_S * ns_per_s};
    x->headers[x->header_n++] = header;
    x->sends_body = strcmp(method, "PUT") == 0;
    int status = run(i->http, x, INSTANCE, t);
    x->url = NULL;
    return status;
}

/* A session's token. Where there is no such service nothing answers, which must not take long. */
static int open_session(struct instance *i, struct s3_trouble *t)
{
    struct cloud_exchange x = {0};
    struct cloud_text *answer = &x.answer;
    size_t name = (size_t)snprintf(i->token, sizeof(i->token), "X-aws-ec2-metadata-token: ");
    int status = TD_E_RETRY;
    for (int n = 0; n < TRIES && status == TD_E_RETRY; n++) {
        cloud_exchange_clear(&x);
        status = ask(i, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300", &x, t);
    }
    if (status != TD_OK && status != TD_E_CANCELLED && status != TD_E_NOMEM && status != TD_E_CORRUPT)
        status = s3_trouble(t, TD_E_NOT_FOUND, "nothing answers at %.100s (in a container the instance's hop limit must be 2)", i->host);
    else if (status == TD_OK && (x.status == 429 || x.status >= 500))
        status = s3_trouble(t, TD_E_RETRY, INSTANCE ": HTTP %u", x.status);
    else if (status == TD_OK && x.status != 200)
        status =
            s3_trouble(t, TD_E_NOT_FOUND, "%.100s gives no token (HTTP %u): it knows no version 2, or is switched off", i->host, x.status);
    else if (status == TD_OK && !copy_word(i->token + name, MAX_METADATA_TOKEN, answer))
        status = s3_trouble(t, TD_E_CORRUPT, INSTANCE ": an answer that is no token");
    cloud_exchange_clear(&x);
    return status;
}

#define ROLES "/latest/meta-data/iam/security-credentials/"

static int ask_role(struct instance *i, struct s3_trouble *t)
{
    struct cloud_exchange x;
    int status = ask(i, "GET", ROLES, i->token, &x, t);
    if (status == TD_OK && (x.status == 404 || (x.status == 200 && !x.answer.n)))
        status = s3_trouble(t, TD_E_NOT_FOUND, "the instance has no role");
    else if (status == TD_OK && x.status != 200) /* 401: the token was forgotten there */
        status = s3_trouble(t, x.status == 401 ? TD_E_RETRY : cloud_classify(x.status), INSTANCE ": HTTP %u", x.status);
    else if (status == TD_OK && (!copy_word(i->role, sizeof(i->role), &x.answer) || strpbrk(i->role, "/?#%:&<>\"\\")))
        status = s3_trouble(t, TD_E_CORRUPT, INSTANCE ": an answer that is no role's name");
    cloud_exchange_clear(&x);
    return status;
}

int s3_instance_keys(struct cloud_http *http, const struct s3_environment *e, struct s3_found *ret, struct s3_trouble *t)
{
    struct instance i = {.http = http};
    struct cloud_exchange x = {0};
    char path[sizeof(ROLES) + MAX_ROLE_NAME];
    int status = instance_host(&i, e, t);
    if (status == TD_OK)
        status = open_session(&i, t);
    if (status == TD_OK)
        status = ask_role(&i, t);
    if (status == TD_OK) {
        snprintf(path, sizeof(path), ROLES "%s", i.role);
        status = ask(&i, "GET", path, i.token, &x, t);
        if (status == TD_OK)
            status = take(&x, INSTANCE, ret, t);
        if (status == TD_OK && !*ret->keys.token)
            status = s3_trouble(t, TD_E_CORRUPT, INSTANCE ": keys without their token");
        /* The role was there an instant ago. */
        if (status == TD_E_NOT_FOUND || x.status == 401)
            status = t->status = TD_E_RETRY;
        cloud_exchange_clear(&x);
    }
    snprintf(ret->source, sizeof(ret->source), INSTANCE ", role %s", i.role);
    explicit_bzero(&i, sizeof(i));
    return status;
}
