/* What the service's answers mean. */
#include "azblob.h"

#include <inttypes.h>
#include <stdio.h>

#define SKEW_NS (INT64_C(300) * AZBLOB_NS) /* the service refuses 15 minutes; from 5 it is worth telling */

/* learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and common-rest-api-error-codes */
static const struct known {
    const char *code;
    int status;
    const char *text; /* NULL: the service's words */
} known[] = {
    {"ServerBusy", TD_E_RETRY, "the service is busy"},
    {"OperationTimedOut", TD_E_RETRY, "the service took too long"},
    {"InternalError", TD_E_RETRY, "the service has failed"},
    {"AccountBeingCreated", TD_E_RETRY, "the storage account is being made"},
    {"ContainerBeingDeleted", TD_E_RETRY, "the container is being deleted; one of its name can be made in a while"},
    {"ConditionNotMet", TD_E_RETRY, "it was changed by somebody else meanwhile"},
    {"TargetConditionNotMet", TD_E_RETRY, "it was changed by somebody else meanwhile"},
    {"BlobAlreadyExists", TD_E_RETRY, "somebody else has put it meanwhile"},
    {"InvalidBlockList", TD_E_RETRY, "blocks of it are gone: somebody else has put or discarded the same object meanwhile"},
    {"InvalidBlobOrBlock", TD_E_RETRY, "blocks of another kind are in its way; they are gone when somebody puts or discards the object"},
    {"InvalidBlockId", TD_E_RETRY, "blocks of another kind are in its way; they are gone when somebody puts or discards the object"},
    {"Md5Mismatch", TD_E_RETRY, "what arrived there is not what was sent: it was damaged on its way"},
    {"InvalidXmlDocument", TD_E_RETRY, "what arrived there is not what was sent: it was damaged on its way"},
    {"ContainerNotFound", TD_E_NOT_FOUND, "there is no such container; make it, or correct the option \"container\""},
    {"BlobNotFound", TD_E_NOT_FOUND, "there is no such object"},
    {"ResourceNotFound", TD_E_NOT_FOUND, "there is no such thing there; are storageAccount and endpoint right?"},
    {"InvalidRange", TD_E_LIMIT, "the range asked for does not lie within the object"},
    {"RequestBodyTooLarge", TD_E_LIMIT, "too large for one request; choose a smaller blockSize"},
    {"BlockListTooLong", TD_E_LIMIT, "too many blocks; choose a larger blockSize"},
    {"BlockCountExceedsLimit", TD_E_LIMIT, "too many unfinished blocks of it are there; the service drops them after a week"},
    {"AccountIsDisabled", TD_E_DENIED, "the storage account is disabled"},
    {"ContainerDisabled", TD_E_DENIED, "the container is disabled"},
    {"AuthorizationPermissionMismatch", TD_E_DENIED,
     "not allowed: give this identity the role \"Storage Blob Data Contributor\", or the SAS token the permissions rwdl"},
    {"AuthorizationResourceTypeMismatch", TD_E_DENIED, "not allowed: the SAS token must be for containers and objects (srt=co)"},
    {"AuthorizationServiceMismatch", TD_E_DENIED, "not allowed: the SAS token must be for blobs (ss=b)"},
    {"AuthorizationProtocolMismatch", TD_E_DENIED, "not allowed: the SAS token is for https only"},
    {"AuthorizationSourceIPMismatch", TD_E_DENIED, "not allowed: the SAS token is for other IP addresses than this machine's"},
    {"InsufficientAccountPermissions", TD_E_DENIED, "the storage account is read-only or disabled"},
    {"KeyBasedAuthenticationNotPermitted", TD_E_DENIED,
     "the storage account takes no keys; use workload or managed identity, or allow keys in its configuration"},
    {"NoAuthenticationInformation", TD_E_DENIED, "the service asks for credentials; none were sent"},
    {"PublicAccessNotPermitted", TD_E_DENIED, "the service asks for credentials; none were sent"},
    {"AccountRequiresHttps", TD_E_CONFIG, "the storage account takes https only; change the endpoint"},
    {"LeaseIdMissing", TD_E_DENIED, "somebody holds a lease on it; break the lease"},
    {"BlobImmutableDueToPolicy", TD_E_DENIED, "an immutability policy or legal hold of the container forbids it"},
    {"BlobArchived", TD_E_DENIED, "it is archived; move it to the tier Hot or Cool first"},
    {"BlobBeingRehydrated", TD_E_RETRY, "it is on its way out of the archive"},
    {"InvalidBlobType", TD_E_EXISTS, "there is a page or append blob of that name"},
    {"InvalidResourceName", TD_E_UNSUPPORTED, "not a name that the service can keep"},
    {"InvalidUri", TD_E_UNSUPPORTED, "not a name that the service can keep"},
    {"OutOfRangeInput", TD_E_UNSUPPORTED, "not a name that the service can keep"},
    {"UnsupportedHeader", TD_E_UNSUPPORTED, NULL},
    {"InvalidHeaderValue", TD_E_UNSUPPORTED, NULL},
    {"FeatureVersionMismatch", TD_E_UNSUPPORTED, NULL},
};

struct answer {
    char code[64], message[300], detail[300];
};

/* The first line of a text, without control characters. */
static void take_line(char *to, size_t n, const char *text)
{
    size_t at = 0;
    for (; *text && *text != '\n' && *text != '\r' && at + 1 < n; text++)
        to[at++] = (unsigned char)*text < ' ' ? ' ' : *text;
    to[at] = 0;
}

static int read_error(void *ctx, const char *path, const char *text)
{
    struct answer *a = ctx;
    if (text && strcmp(path, "Code") == 0)
        take_line(a->code, sizeof(a->code), text);
    else if (text && strcmp(path, "Message") == 0)
        take_line(a->message, sizeof(a->message), text);
    else if (text && strcmp(path, "AuthenticationErrorDetail") == 0)
        take_line(a->detail, sizeof(a->detail), text);
    return 0;
}

static const struct known *find(const char *code)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(known[i].code, code) == 0)
            return &known[i];
    return NULL;
}

/* How far this machine's clock is ahead of the service's. */
static bool clock_skew(struct cloud_exchange *x, int64_t now_ns, int64_t *ret_ns)
{
    int64_t there;
    const char *date = cloud_header(x, "Date");
    if (!date || !cloud_read_http_date(date, &there))
        return false;
    *ret_ns = now_ns - there;
    return *ret_ns > SKEW_NS || *ret_ns < -SKEW_NS;
}

/* Credentials were refused: which of the usual reasons is it? */
static void explain_refusal(struct cloud_exchange *x, const struct azblob_account *account, const char *credentials, const char *sas,
                            int64_t now_ns, const struct answer *a, struct azblob_error *ret)
{
    int64_t skew, ends;
    char date[32];
    ret->status = TD_E_DENIED;
    if (sas && azblob_sas_expiry(sas, &ends) && ends <= now_ns) {
        azblob_http_date(ends, date);
        snprintf(ret->text, sizeof(ret->text), "the SAS token has expired, on %s; make a new one", date);
    } else if (clock_skew(x, now_ns, &skew)) {
        snprintf(ret->text, sizeof(ret->text),
                 "this machine's clock is %" PRId64 " minutes %s the service's, which it does not accept; set it right",
                 (skew < 0 ? -skew : skew) / (60 * AZBLOB_NS), skew < 0 ? "behind" : "ahead of");
    } else if (strcmp(a->code, "AuthorizationFailure") == 0) {
        snprintf(ret->text, sizeof(ret->text),
                 "not allowed: the %s is wrong or lacks the right, or the account's firewall refuses this network", credentials);
    } else if (strstr(credentials, "identity")) {
        snprintf(ret->text, sizeof(ret->text), "the service does not accept the %s; does it belong to the account's own directory?%s%.120s",
                 credentials, *a->detail ? " The service says: " : "", a->detail);
    } else {
        snprintf(ret->text, sizeof(ret->text), "the service does not accept the %s; is it of the account \"%s\", and copied whole?%s%.120s",
                 credentials, account->name, *a->detail && sas ? " It says: " : "", sas ? a->detail : "");
    }
}

void azblob_explain(struct cloud_exchange *x, const struct azblob_account *account, const char *credentials, const char *sas,
                    int64_t now_ns, struct azblob_error *ret)
{
    struct answer a = {0};
    const char *code = cloud_header(x, "x-ms-error-code");
    memset(ret, 0, sizeof(*ret));
    if (code)
        take_line(a.code, sizeof(a.code), code);
    if (x->answer.n)
        (void)cloud_xml(td_bytes(x->answer.p, x->answer.n), NULL, read_error, &a); /* what it told before it failed is of use, too */
    memcpy(ret->code, a.code, sizeof(ret->code));
    const struct known *row = find(a.code);
    if (strcmp(a.code, "AuthenticationFailed") == 0 || strcmp(a.code, "InvalidAuthenticationInfo") == 0 ||
        strcmp(a.code, "AuthorizationFailure") == 0) {
        explain_refusal(x, account, credentials, sas, now_ns, &a, ret);
    } else if (strcmp(a.code, "InvalidOperation") == 0 && strcasestr(a.message, "md5")) {
        ret->status = TD_E_RETRY; /* Azurite's word for Md5Mismatch */
        snprintf(ret->text, sizeof(ret->text), "what arrived there is not what was sent: it was damaged on its way");
    } else if (row) {
        ret->status = row->status;
        snprintf(ret->text, sizeof(ret->text), "%s", row->text ? row->text : a.message);
    } else if (x->status == 400 && !*a.code) {
        ret->status = TD_E_RETRY; /* the service gives a code with what it has understood */
        snprintf(ret->text, sizeof(ret->text), "the service could not read the request: it may have been damaged on its way");
    } else {
        ret->status = cloud_classify(x->status);
        snprintf(ret->text, sizeof(ret->text), "%s", *a.message ? a.message : "the service refuses it");
    }
    if (ret->status == TD_OK) /* a redirect, or nonsense */
        ret->status = TD_E_CORRUPT;
    size_t n = strlen(ret->text);
    snprintf(ret->text + n, sizeof(ret->text) - n, " (HTTP %u%s%s)", x->status, *a.code ? ", " : "", a.code);
}
