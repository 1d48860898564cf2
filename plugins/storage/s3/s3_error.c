/* What the errors of S3 mean: for the core's policy, and for people. */
#include <stdio.h>
#include <stdlib.h>

#include "s3.h"

/* ---- Reading ---- */

/* What goes into texts must be one line. */
static void copy(char *into, size_t room, const char *text)
{
    size_t n = 0;
    for (; n < room - 1 && text[n]; n++)
        into[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? ' ' : text[n];
    while (n && ((unsigned char)into[n - 1] & 0xc0) == 0x80 && text[n]) /* not within a letter */
        n--;
    into[n] = 0;
}

static int read_element(void *ctx, const char *path, const char *text)
{
    struct s3_error *e = ctx;
    if (!text)
        return 0;
    if (strncmp(path, "Error/", 6) == 0) /* within <ErrorResponse>, of STS and some others */
        path += 6;
    if (strcmp(path, "Code") == 0)
        copy(e->code, sizeof(e->code), text);
    else if (strcmp(path, "Message") == 0)
        copy(e->message, sizeof(e->message), text);
    else if (strcmp(path, "Region") == 0)
        copy(e->region, sizeof(e->region), text);
    else if (strcmp(path, "Endpoint") == 0)
        copy(e->endpoint, sizeof(e->endpoint), text);
    else if (strcmp(path, "ServerTime") == 0)
        copy(e->server_time, sizeof(e->server_time), text);
    else if (strcmp(path, "RequestTime") == 0)
        copy(e->request_time, sizeof(e->request_time), text);
    return 0;
}

static int pass_over(void *ctx, const char *path, const char *text)
{
    (void)ctx, (void)path, (void)text;
    return 0;
}

bool s3_is_error_answer(struct td_slice answer)
{
    return cloud_xml(answer, "Error", pass_over, NULL) == TD_OK || cloud_xml(answer, "ErrorResponse", pass_over, NULL) == TD_OK;
}

void s3_error_read(struct td_slice answer, struct s3_error *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (cloud_xml(answer, NULL, read_element, ret) != TD_OK)
        memset(ret, 0, sizeof(*ret)); /* a page of a proxy, or nothing */
}

bool s3_is_error(const struct s3_request *r, const char *code)
{
    return strcmp(r->error.code, code) == 0;
}

/* ---- Meaning ---- */

struct meaning {
    const char *code;
    int status;
    const char *text; /* what it means and what to do; NULL: what the server says */
};

static const struct meaning meanings[] = {
    {"NoSuchKey", TD_E_NOT_FOUND, "there is no such object"},
    {"NoSuchVersion", TD_E_NOT_FOUND, "there is no such object"},
    {"NoSuchBucket", TD_E_NOT_FOUND, "there is no such bucket; create it, or correct the options bucket, region or endpoint"},
    {"NoSuchUpload", TD_E_RETRY, "the upload was ended by somebody else"},
    {"InvalidPart", TD_E_RETRY, "a part of the upload is missing or was replaced by somebody else"},
    {"InvalidPartOrder", TD_E_RETRY, "the parts of the upload were taken for disordered"},
    {"AccessDenied", TD_E_DENIED,
     "not allowed; give these credentials the right to list the bucket and to get, put and delete its objects"},
    {"AllAccessDisabled", TD_E_DENIED, "nobody has access to this bucket"},
    {"AccountProblem", TD_E_DENIED, NULL},
    {"NotSignedUp", TD_E_DENIED, NULL},
    {"InvalidAccessKeyId", TD_E_DENIED, "the access key is not known there; correct accessKey"},
    {"SignatureDoesNotMatch", TD_E_DENIED, "the secret key does not belong to the access key; correct secretKey"},
    {"InvalidToken", TD_E_DENIED, "the session token is wrong, or does not belong to the access key"},
    {"ExpiredToken", TD_E_DENIED, "the credentials have expired; get new ones"},
    {"ExpiredTokenException", TD_E_DENIED, "the credentials have expired; get new ones"},
    {"TokenRefreshRequired", TD_E_DENIED, "the credentials have expired; get new ones"},
    {"RequestExpired", TD_E_DENIED, "the request was too old when it came; look at this machine's clock"},
    {"InvalidObjectState", TD_E_DENIED, "the object is archived; restore it there before it can be read"},
    {"SlowDown", TD_E_RETRY, "asked to slow down"},
    {"ServiceUnavailable", TD_E_RETRY, "the service is not available now"},
    {"InternalError", TD_E_RETRY, "an internal error there"},
    {"RequestTimeout", TD_E_RETRY, "the server waited too long for the request's bytes"},
    {"RequestTimeoutException", TD_E_RETRY, "the server waited too long for the request's bytes"},
    {"RequestLimitExceeded", TD_E_RETRY, "asked to slow down"},
    {"Throttling", TD_E_RETRY, "asked to slow down"},
    {"ThrottlingException", TD_E_RETRY, "asked to slow down"},
    {"TooManyRequests", TD_E_RETRY, "asked to slow down"},
    {"BandwidthLimitExceeded", TD_E_RETRY, "asked to slow down"},
    {"IncompleteBody", TD_E_RETRY, "not all bytes came there"},
    {"OperationAborted", TD_E_RETRY, "something else was done with it at the same time"},
    {"ConditionalRequestConflict", TD_E_RETRY, "something else was done with it at the same time"},
    {"PreconditionFailed", TD_E_RETRY, "the object was replaced meanwhile"},
    {"XMinioServerNotInitialized", TD_E_RETRY, "the server is just starting"},
    {"XMinioStorageFull", TD_E_LIMIT, "the server's disks are full"},
    {"QuotaExceeded", TD_E_LIMIT, "a quota is used up; make room or raise it"},
    {"EntityTooLarge", TD_E_LIMIT, "too large for one request; choose a smaller partSize"},
    {"EntityTooSmall", TD_E_LIMIT, "a part is too small for this service; choose a larger partSize"},
    {"InvalidRange", TD_E_LIMIT, "the range does not lie within the object"},
    {"KeyTooLongError", TD_E_UNSUPPORTED, "the key is too long for this service, with the prefix before it"},
    {"NotImplemented", TD_E_UNSUPPORTED, "not implemented there"},
    {"MethodNotAllowed", TD_E_UNSUPPORTED, "not possible there"},
    {"BadDigest", TD_E_CORRUPT,
     "other bytes came there than were sent; look at what stands in between, or at the disk they were read from"},
    {"XAmzContentSHA256Mismatch", TD_E_CORRUPT,
     "other bytes came there than were sent; look at what stands in between, or at the disk they were read from"},
    {"InvalidBucketName", TD_E_CONFIG, "not a name that a bucket can have; correct bucket"},
    {"InvalidStorageClass", TD_E_CONFIG, "this service does not know the storage class; correct storageClass"},
    {"InvalidEncryptionAlgorithmError", TD_E_CONFIG, "this service cannot encrypt like this; correct sse"},
    {"ServerSideEncryptionConfigurationNotFoundError", TD_E_CONFIG, NULL},
    {"KMS.NotFoundException", TD_E_CONFIG, "the key for encryption is not there; correct kmsKeyId"},
    {"KMS.DisabledException", TD_E_DENIED, "the key for encryption is disabled"},
    {"KMS.InvalidStateException", TD_E_DENIED, "the key for encryption cannot be used"},
    {"NotFound", TD_E_NOT_FOUND, NULL},
};

static const struct meaning *find(const char *code)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strcmp(meanings[i].code, code) == 0)
            return &meanings[i];
    return NULL;
}

/* ---- Telling ---- */

/* What it happened to: "bucket/key at host"; a prefix of texts that must leave room for the rest. */
struct place {
    char text[700];
};

static struct place place_of(const struct s3 *s, const struct s3_request *r)
{
    struct place p;
    snprintf(p.text, sizeof(p.text), "%.100s%s%.400s at %.150s", s->config->bucket, r->key ? "/" : "", r->key ? r->key : "",
             r->host.n ? r->host.p : "");
    return p;
}

static int tell_skew(struct s3 *s, const struct s3_request *r, const struct s3_error *e)
{
    int64_t theirs = 0, now = cloud_now_ns();
    struct cloud_exchange *x = (struct cloud_exchange *)(uintptr_t)&r->x; /* looking for a header cuts lines */
    const char *date = cloud_header(x, "date");
    struct place p = place_of(s, r);
    bool known = cloud_read_iso8601(e->server_time, &theirs) || (date && cloud_read_http_date(date, &theirs));
    if (!known)
        return s->host->fail(s->inst, TD_E_DENIED, "%s: this machine's clock is wrong by more than the server allows; set it", p.text);
    long long off = (now - theirs) / 1000000000;
    return s->host->fail(
        s->inst, TD_E_DENIED, "%s: this machine's clock is %lld seconds %s: here it is %.24s, there it was %.40s; set the clock", p.text,
        llabs(off), off < 0 ? "slow" : "fast", r->signature.date + sizeof("X-Amz-Date: ") - 1, e->server_time[0] ? e->server_time : date);
}

static int tell_region(struct s3 *s, const struct s3_request *r, const struct s3_error *e)
{
    struct place p = place_of(s, r);
    if (e->region[0])
        return s->host->fail(s->inst, TD_E_CONFIG, "%s: the bucket is in region %s, not in %s; correct region", p.text, e->region,
                             r->region);
    if (strcmp(e->code, "AuthorizationHeaderMalformed") == 0)
        return s->host->fail(s->inst, TD_E_CONFIG, "%s: is not in region %s (%.200s); correct region", p.text, r->region,
                             e->message[0] ? e->message : "which is all it says");
    struct cloud_exchange *x = (struct cloud_exchange *)(uintptr_t)&r->x;
    const char *location = e->endpoint[0] ? e->endpoint : cloud_header(x, "location");
    return s->host->fail(s->inst, TD_E_CONFIG, "%s: is to be asked elsewhere (%.200s); correct region or endpoint", p.text,
                         location ? location : "does not say where");
}

/* "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters" */
static bool is_for_lock(const struct s3_error *e)
{
    return strcmp(e->code, "InvalidRequest") == 0 && strstr(e->message, "Content-MD5");
}

static bool is_expired(const struct s3_error *e)
{
    return strcmp(e->code, "ExpiredToken") == 0 || strcmp(e->code, "ExpiredTokenException") == 0 ||
           strcmp(e->code, "TokenRefreshRequired") == 0;
}

/* Keys that somebody has replaced meanwhile are refused by any of these. */
static bool is_refused(const struct s3_error *e)
{
    return strcmp(e->code, "InvalidAccessKeyId") == 0 || strcmp(e->code, "SignatureDoesNotMatch") == 0 ||
           strcmp(e->code, "InvalidToken") == 0;
}

static const char *plain_text(const struct s3_request *r, unsigned status)
{
    if (status == 404)
        return r->key ? "there is no such object" : "there is no such bucket; create it, or correct the options bucket, region or endpoint";
    if (status == 403)
        return "not allowed";
    if (status == 412)
        return "the object was replaced meanwhile";
    return "";
}

int s3_error_tell(struct s3 *s, const struct s3_request *r, unsigned http_status, const struct s3_error *e)
{
    bool wrong_region = e->region[0] && strcmp(e->region, r->region) != 0;
    if (strcmp(e->code, "RequestTimeTooSkewed") == 0)
        return tell_skew(s, r, e);
    if ((http_status >= 300 && http_status < 400 && http_status != 304) || strcmp(e->code, "AuthorizationHeaderMalformed") == 0 ||
        strcmp(e->code, "IllegalLocationConstraintException") == 0 || (wrong_region && http_status == 400))
        return tell_region(s, r, e);
    static const struct meaning lock = {"InvalidRequest", TD_E_UNSUPPORTED,
                                        "the bucket locks new objects by default (Object Lock), which is not done here; take its default "
                                        "retention away, or another bucket"};
    const struct meaning *m = is_for_lock(e) ? &lock : find(e->code);
    int status = m ? m->status : cloud_classify(http_status);
    if ((is_expired(e) && s3_credentials_expired(s->credentials, &r->keys)) ||
        (is_refused(e) && s3_credentials_replaced(s->credentials, &r->keys)))
        status = TD_E_RETRY;
    const char *text = m && m->text ? m->text : e->message[0] ? e->message : plain_text(r, http_status);
    return s->host->fail(s->inst, status, "%s: %s%s(HTTP %u%s%s%s%s)", place_of(s, r).text, text, *text ? " " : "", http_status,
                         e->code[0] ? " " : "", e->code, m && m->text && e->message[0] ? ": " : "",
                         m && m->text && e->message[0] ? e->message : "");
}
