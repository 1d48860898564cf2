/* AssumeRole and AssumeRoleWithWebIdentity. */
#include "s3.h"

#include <stdio.h>
#include <stdlib.h>

#include "s3_sts.h"

static const int64_t ns_per_s = 1000000000;
enum { DEADLINE_S = 60, TELL_SKEW_S = 240 };

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* ---- Where and who ---- */

int s3_sts_init(struct s3_sts *sts, struct cloud_http *http, const char *endpoint, const char *region, struct s3_trouble *t)
{
    char own[200];
    sts->http = http;
    /* Amazon's first service has no region in its name; its requests are signed as if it were in the first one. */
    bool is_global = strcmp(region, "aws-global") == 0;
    snprintf(sts->region, sizeof(sts->region), "%s", is_global ? "us-east-1" : region);
    snprintf(own, sizeof(own), "https://sts%s%.100s.amazonaws.com%s", is_global ? "" : ".", is_global ? "" : region,
             strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    if (s3_url_read(endpoint ? endpoint : own, &sts->url))
        return TD_OK;
    if (!endpoint)
        return s3_trouble(t, TD_E_CONFIG, "\"%.100s\" is no region; one is called eu-west-1", region);
    return s3_trouble(t, TD_E_CONFIG, "stsEndpoint must be a URL such as https://sts.example.com, without a user in it");
}

static bool consists_of(const char *text, const char *letters, size_t min, size_t max)
{
    size_t n = strlen(text);
    return n >= min && n <= max && strspn(text, letters) == n;
}

int s3_role_check(const struct s3_role *r, struct s3_trouble *t)
{
    if (strncmp(r->arn, "arn:", 4) != 0 || !consists_of(r->arn, WORD "+=,.@:/-", 20, S3_MAX_ROLE_ARN))
        return s3_trouble(t, TD_E_CONFIG, "\"%.200s\" is no role: one is called arn:aws:iam::123456789012:role/name", r->arn);
    if (r->external_id && !consists_of(r->external_id, WORD "+=,.@:/-", 2, S3_MAX_EXTERNAL_ID))
        return s3_trouble(t, TD_E_CONFIG, "an external id has 2 to %d letters, digits and +=,.@:/-_", S3_MAX_EXTERNAL_ID);
    if (r->session_name && !consists_of(r->session_name, WORD "+=,.@-", 2, S3_MAX_SESSION_NAME))
        return s3_trouble(t, TD_E_CONFIG, "\"%.100s\" is no name of a session: it has 2 to %d letters, digits and +=,.@-_", r->session_name,
                          S3_MAX_SESSION_NAME);
    return TD_OK;
}

/* ---- Asking ---- */

struct request {
    const struct s3_sts *sts;
    const struct s3_role *role;
    struct cloud_text url, body;
    struct s3_signature signature;
    struct cloud_exchange x;
};

static void clear_request(struct request *r)
{
    cloud_text_clear(&r->url);
    cloud_text_clear(&r->body);
    s3_signature_clear(&r->signature);
    cloud_exchange_clear(&r->x);
}

static void put_field(struct cloud_text *body, const char *name, const char *value)
{
    cloud_puts(body, body->n ? "&" : "");
    cloud_puts(body, name);
    cloud_puts(body, "=");
    cloud_put_encoded(body, value, false);
}

static void describe(struct request *r, const char *action)
{
    const struct s3_role *role = r->role;
    char seconds[24];
    cloud_printf(&r->url, "%s://%s%s", r->sts->url.tls ? "https" : "http", r->sts->url.authority, r->sts->url.path);
    put_field(&r->body, "Action", action);
    put_field(&r->body, "Version", "2011-06-15");
    put_field(&r->body, "RoleArn", role->arn);
    put_field(&r->body, "RoleSessionName", role->session_name ? role->session_name : S3_SESSION_NAME);
    if (role->external_id)
        put_field(&r->body, "ExternalId", role->external_id);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)role->duration_s);
    if (role->duration_s)
        put_field(&r->body, "DurationSeconds", seconds);
}

static int sign(struct request *r, const struct s3_keys *keys)
{
    uint8_t sum[CLOUD_SHA256];
    struct cloud_text hex = {0};
    if (!cloud_sha256(td_bytes(r->body.p, r->body.n), sum))
        return TD_E_NOMEM;
    cloud_put_hex(&hex, sum, sizeof(sum));
    struct s3_signing signing = {.method = "POST",
                                 .host = r->sts->url.authority,
                                 .path = r->sts->url.path,
                                 .headers = r->x.headers,
                                 .header_n = r->x.header_n,
                                 .payload_sha256 = cloud_cstr(&hex),
                                 .keys = keys,
                                 .region = r->sts->region,
                                 .service = "sts",
                                 .time_ns = cloud_now_ns(),
                                 .normalize = true};
    int status = hex.failed ? TD_E_NOMEM : s3_sign(&signing, &r->signature);
    cloud_text_clear(&hex);
    if (status != TD_OK)
        return status;
    r->x.headers[r->x.header_n++] = r->signature.date;
    if (r->signature.token.n)
        r->x.headers[r->x.header_n++] = cloud_cstr(&r->signature.token);
    r->x.headers[r->x.header_n++] = cloud_cstr(&r->signature.authorization);
    return TD_OK;
}

/* ---- What came of it ---- */

struct meaning {
    const char *code;
    int status;
    const char *text; /* NULL: what the service says */
};

static const struct meaning meanings[] = {
    {"AccessDenied", TD_E_DENIED,
     "the role may not be assumed with these credentials: look at its trust policy (who, external id), and at what they are allowed to do"},
    {"ExpiredToken", TD_E_DENIED, "the token or the keys have expired"},
    {"ExpiredTokenException", TD_E_DENIED, "the token or the keys have expired"},
    {"IDPCommunicationError", TD_E_RETRY, "the identity provider could not be reached from there"},
    {"IDPRejectedClaim", TD_E_DENIED, "the identity provider refused the token"},
    {"InvalidIdentityToken", TD_E_DENIED,
     "the token is not accepted: look at its audience, and whether its issuer is an identity provider of the account"},
    {"InvalidClientTokenId", TD_E_DENIED, "the access key, or the session token, is not known there"},
    {"InvalidAccessKeyId", TD_E_DENIED, "the access key is not known there"},
    {"UnrecognizedClientException", TD_E_DENIED, "the access key, or the session token, is not known there"},
    {"SignatureDoesNotMatch", TD_E_DENIED, "the secret key does not belong to the access key"},
    {"RequestExpired", TD_E_DENIED, "the request was too old when it came; look at this machine's clock"},
    {"RequestTimeTooSkewed", TD_E_DENIED, "this machine's clock is wrong by more than the service allows; set it"},
    {"RegionDisabledException", TD_E_CONFIG, "the service is not enabled in this region; enable it there, or set stsEndpoint"},
    {"ValidationError", TD_E_CONFIG, "a value cannot be right: look at the role, its session's name, and its duration"},
    {"InvalidParameterValue", TD_E_CONFIG, "a value cannot be right: look at the role, its session's name, and its duration"},
    {"InvalidArgument", TD_E_CONFIG, "a value cannot be right: look at the role, its session's name, and its duration"},
    {"NoSuchEntity", TD_E_CONFIG, "there is no such role"},
    {"Throttling", TD_E_RETRY, "asked to slow down"},
    {"ThrottlingException", TD_E_RETRY, "asked to slow down"},
    {"RequestLimitExceeded", TD_E_RETRY, "asked to slow down"},
    {"InternalFailure", TD_E_RETRY, "an internal error there"},
    {"InternalError", TD_E_RETRY, "an internal error there"},
    {"ServiceUnavailable", TD_E_RETRY, "the service is not available now"},
};

static const struct meaning *find(const char *code)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strcmp(meanings[i].code, code) == 0)
            return &meanings[i];
    return NULL;
}

/* How many seconds this machine's clock is fast; 0: that is not what is wrong. */
static long long skew_s(struct cloud_exchange *x)
{
    int64_t theirs = 0;
    const char *date = cloud_header(x, "date");
    if (!date || !cloud_read_http_date(date, &theirs))
        return 0;
    long long s = (cloud_now_ns() - theirs) / ns_per_s;
    return llabs(s) > TELL_SKEW_S ? s : 0;
}

static int tell(struct request *r, struct s3_trouble *t)
{
    struct s3_error e;
    struct cloud_exchange *x = &r->x;
    s3_error_read(td_bytes(x->answer.p, x->answer.n), &e);
    const struct meaning *m = find(e.code);
    int status = m ? m->status : cloud_classify(x->status);
    const char *text = m && m->text ? m->text : e.message[0] ? e.message : "refused";
    bool both = m && m->text && e.message[0];
    long long off = r->signature.authorization.n && status == TD_E_DENIED ? skew_s(x) : 0;
    if (off)
        return s3_trouble(t, TD_E_DENIED, "%.200s at %.150s: this machine's clock is %lld seconds %s; set it (HTTP %u %s)", r->role->arn,
                          r->sts->url.authority, llabs(off), off < 0 ? "slow" : "fast", x->status, e.code);
    return s3_trouble(t, status == TD_OK ? TD_E_CORRUPT : status, "%.200s at %.150s: %s (HTTP %u%s%s%s%s)", r->role->arn,
                      r->sts->url.authority, text, x->status, e.code[0] ? " " : "", e.code, both ? ": " : "", both ? e.message : "");
}

/* Credentials of an answer: places in it. */
struct answer {
    struct cloud_text access_key, secret_key, token, expiration;
};

static int read_element(void *ctx, const char *path, const char *text)
{
    struct answer *a = ctx;
    /* "AssumeRoleResult/Credentials/..." */
    const char *at = strchr(path, '/');
    struct cloud_text *into = NULL;
    if (!text || !at || strncmp(at, "/Credentials/", 13) != 0)
        return 0;
    if (strcmp(at + 13, "AccessKeyId") == 0)
        into = &a->access_key;
    else if (strcmp(at + 13, "SecretAccessKey") == 0)
        into = &a->secret_key;
    else if (strcmp(at + 13, "SessionToken") == 0)
        into = &a->token;
    else if (strcmp(at + 13, "Expiration") == 0)
        into = &a->expiration;
    if (!into)
        return 0;
    into->n = 0;
    cloud_puts(into, text);
    return into->failed ? TD_E_NOMEM : 0;
}

static int take(struct request *r, struct s3_found *ret, struct s3_trouble *t)
{
    struct answer a = {0};
    struct s3_trouble why = {0};
    int status =
        r->x.answer.n > S3_MAX_KEYS_ANSWER ? TD_E_CORRUPT : cloud_xml(td_bytes(r->x.answer.p, r->x.answer.n), NULL, read_element, &a);
    if (status == TD_E_NOMEM)
        s3_trouble(t, status, "out of memory");
    else if (status != TD_OK || !a.token.n || !a.expiration.n)
        status =
            s3_trouble(t, TD_E_CORRUPT, "%.150s: an answer that is none of a token service; look at stsEndpoint", r->sts->url.authority);
    else if (s3_found_take(ret, cloud_cstr(&a.access_key), cloud_cstr(&a.secret_key), cloud_cstr(&a.token), cloud_cstr(&a.expiration),
                           &r->x, &why) != TD_OK)
        status = s3_trouble(t, why.status, "%.150s: %.600s", r->sts->url.authority, why.text);
    cloud_text_clear(&a.access_key);
    cloud_text_clear(&a.secret_key);
    cloud_text_clear(&a.token);
    cloud_text_clear(&a.expiration);
    ret->origin = S3_FROM_SERVICE;
    return status;
}

static int exchange(struct request *r, const struct s3_keys *keys, struct s3_trouble *t)
{
    struct cloud_session *session = NULL;
    struct cloud_exchange *x = &r->x;
    x->headers[x->header_n++] = "Content-Type: application/x-www-form-urlencoded; charset=utf-8";
    int status = keys ? sign(r, keys) : TD_OK;
    if (status == TD_E_NOMEM || r->url.failed || r->body.failed)
        return s3_trouble(t, TD_E_NOMEM, "out of memory");
    if (status != TD_OK)
        return s3_trouble(t, TD_E_INTERNAL, "a request that cannot be signed");
    x->method = "POST";
    x->url = cloud_cstr(&r->url);
    x->body = r->body.p;
    x->body_n = r->body.n;
    x->deadline_ns = DEADLINE_S * ns_per_s;
    status = cloud_http_take(r->sts->http, &session);
    if (status != TD_OK)
        return s3_trouble(t, status, "out of memory");
    status = cloud_run(session, x);
    cloud_http_give(r->sts->http, session);
    if (status == TD_E_CANCELLED)
        return s3_trouble(t, status, "told to stop");
    if (status != TD_OK)
        return s3_trouble(t, status, "%.150s, where roles are assumed: %s", r->sts->url.authority, x->why);
    return TD_OK;
}

static int run(struct request *r, const struct s3_keys *keys, struct s3_found *ret, struct s3_trouble *t)
{
    int status = s3_role_check(r->role, t);
    if (status == TD_OK)
        status = exchange(r, keys, t);
    if (status == TD_OK)
        status = r->x.status == 200 ? take(r, ret, t) : tell(r, t);
    clear_request(r);
    return status;
}

int s3_assume_role(const struct s3_sts *sts, const struct s3_role *role, const struct s3_keys *base, struct s3_found *ret,
                   struct s3_trouble *t)
{
    struct request r = {.sts = sts, .role = role};
    describe(&r, "AssumeRole");
    return run(&r, base, ret, t);
}

int s3_assume_role_with_identity(const struct s3_sts *sts, const struct s3_role *role, const char *token_file, struct s3_found *ret,
                                 struct s3_trouble *t)
{
    struct request r = {.sts = sts, .role = role};
    struct cloud_text token = {0};
    int status = s3_read_word(token_file, S3_MAX_IDENTITY, &token, t);
    /* Whoever names a file means it. */
    if (status == TD_E_NOT_FOUND || status == TD_E_LIMIT)
        status = t->status = TD_E_CONFIG;
    if (status == TD_OK) {
        describe(&r, "AssumeRoleWithWebIdentity");
        put_field(&r.body, "WebIdentityToken", cloud_cstr(&token));
        status = run(&r, NULL, ret, t);
    }
    cloud_text_clear(&token);
    return status;
}
