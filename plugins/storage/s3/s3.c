/* The storage backend `s3`: options, life, and the check at the start. */
#include "s3.h"

#include <stdlib.h>

/* ---- Life ---- */

static void destroy(void *self)
{
    struct s3 *s = self;
    cloud_http_free(s->http);
    s3_credentials_free(s->credentials);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int open_parts(struct s3 *s)
{
    const struct s3_config *c = s->config;
    struct cloud_http_options http = {.inst = s->inst,
                                      .host = s->host,
                                      .ca_file = c->ca_file,
                                      .proxy = c->proxy,
                                      .connect_ns = c->connect_timeout_ns,
                                      .idle_ns = c->idle_timeout_ns,
                                      .agent = "tapedeck"};
    struct s3_credentials_options credentials = {.inst = s->inst,
                                                 .host = s->host,
                                                 .access_key = c->access_key,
                                                 .secret_key = c->secret_key,
                                                 .session_token = c->session_token,
                                                 .access_key_file = c->access_key_file,
                                                 .secret_key_file = c->secret_key_file,
                                                 .session_token_file = c->session_token_file,
                                                 .role_arn = c->role_arn,
                                                 .external_id = c->external_id,
                                                 .role_session_name = c->role_session_name,
                                                 .role_duration_ns = c->role_duration_ns,
                                                 .region = c->region,
                                                 .sts_endpoint = c->sts_endpoint,
                                                 .endpoint = c->endpoint,
                                                 .ca_file = c->ca_file,
                                                 .proxy = c->proxy};
    int status = s3_endpoint_read(s);
    if (status == TD_OK)
        status = cloud_http_new(&http, &s->http);
    return status == TD_OK ? s3_credentials_new(&credentials, &s->credentials) : status;
}

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct s3 *s = calloc(1, sizeof(*s));
    if (!s)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    s->inst = inst;
    s->host = host;
    s->config = config;
    pthread_mutex_init(&s->lock, NULL);
    int status = open_parts(s);
    if (status != TD_OK)
        destroy(s);
    else
        *ret_self = s;
    return status;
}

/* ---- The check ---- */

/* HEAD has no body that could say what is wrong: then it is asked again with another request. */
static int ask_bucket(struct s3 *s)
{
    struct s3_request head = {.method = "HEAD"}, list = {.method = "GET"};
    int status = s3_run_alone(s, &head);
    if (status != TD_OK && head.x.status >= 300) {
        s3_parameter(&list, "list-type", "2");
        s3_parameter(&list, "max-keys", "1");
        status = s3_run_alone(s, &list);
    }
    s3_request_clear(&head);
    s3_request_clear(&list);
    return status;
}

static int check(void *self)
{
    struct s3 *s = self;
    unsigned n = 0;
    int status = ask_bucket(s);
    if (status != TD_OK || !s->config->abort_unfinished_after_ns)
        return status;
    status = s3_abort_unfinished(s, "", cloud_now_ns() - s->config->abort_unfinished_after_ns, &n);
    if (n)
        s->host->log(s->inst, TD_LOG_INFO, "%s: ended %u uploads that nobody had finished in time", s->config->bucket, n);
    if (status == TD_E_CANCELLED || status == TD_OK)
        return status;
    /* Objects can be put all the same. */
    s->host->log(s->inst, TD_LOG_WARN,
                 "%s: uploads that nobody finished are not removed; allow s3:ListBucketMultipartUploads and "
                 "s3:AbortMultipartUpload, or set abortUnfinishedAfter to 0",
                 s->config->bucket);
    return TD_OK;
}

/* ---- The plugin ---- */

static const char *const path_styles[] = {"auto", "true", "false", NULL};
static const char *const sses[] = {"none", "AES256", "aws:kms", NULL};

#define DAYS(n) ((n)*INT64_C(86400000000000))
#define SECONDS(n) ((n)*INT64_C(1000000000))

static const struct td_option options[] = {
    TD_REQUIRED_STR_OPT(struct s3_config, bucket, "bucket", "Name of the bucket, which must be there."),
    TD_STR_OPT(struct s3_config, region, "region", NULL,
               "Region of the bucket. Without it us-east-1 is asked, and the region that the answer names is used from then on."),
    TD_STR_OPT(struct s3_config, endpoint, "endpoint", NULL,
               "URL of another service than Amazon's, as https://minio.example.com:9000 or https://storage.googleapis.com."),
    TD_ENUM_OPT(struct s3_config, path_style, "pathStyle", "auto", path_styles,
                "The bucket is part of the path (true) or of the host's name (false). auto: of the path with an endpoint of one's own."),
    TD_STR_OPT(
        struct s3_config, access_key, "accessKey", NULL,
        "Access key id. Without it the first of these that is there is used: AWS_ACCESS_KEY_ID and so on of the environment; "
        "AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN; the shared files credentials and config (AWS_PROFILE; not credential_process); "
        "the container's service; the instance metadata service, version 2."),
    TD_SECRET_OPT(struct s3_config, secret_key, "secretKey", "Secret access key that belongs to accessKey."),
    TD_SECRET_OPT(struct s3_config, session_token, "sessionToken", "Session token, if accessKey is one for a short time."),
    TD_STR_OPT(struct s3_config, access_key_file, "accessKeyFile", NULL,
               "File that holds the access key id, instead of accessKey. It may be replaced while the hub runs, as the other two."),
    TD_STR_OPT(struct s3_config, secret_key_file, "secretKeyFile", NULL, "File that holds the secret access key, instead of secretKey."),
    TD_STR_OPT(struct s3_config, session_token_file, "sessionTokenFile", NULL,
               "File that holds the session token, instead of sessionToken."),
    TD_STR_OPT(
        struct s3_config, role_arn, "roleArn", NULL,
        "Role that is assumed with the credentials above, as arn:aws:iam::123456789012:role/name; its keys are renewed by themselves."),
    TD_STR_OPT(struct s3_config, external_id, "externalId", NULL, "External id that the trust policy of roleArn asks for."),
    TD_STR_OPT(struct s3_config, role_session_name, "roleSessionName", "tapedeck", "Name of the role's session, as logs there show it."),
    TD_DUR_OPT(struct s3_config, role_duration_ns, "roleDuration", "1h", SECONDS(900), SECONDS(43200),
               "How long the keys of roleArn hold. No longer than the role allows, and than 1h if the credentials above are a role's too."),
    TD_STR_OPT(
        struct s3_config, sts_endpoint, "stsEndpoint", NULL,
        "URL of the service that roles are assumed at. Without it AWS_ENDPOINT_URL_STS, else endpoint, else Amazon's of the region."),
    TD_STR_OPT(struct s3_config, ca_file, "caFile", NULL,
               "File of certificate authorities, in PEM form, that are trusted instead of the system's."),
    TD_SECRET_OPT(
        struct s3_config, proxy, "proxy",
        "URL of an HTTP or SOCKS proxy, perhaps with a password; env: the one that the environment names. Without it there is none."),
    TD_ENUM_OPT(struct s3_config, sse, "sse", "none", sses,
                "Encryption there: none (what the bucket does by itself), AES256 (keys of the service) or aws:kms (a key of KMS)."),
    TD_STR_OPT(struct s3_config, kms_key_id, "kmsKeyId", NULL, "Key for aws:kms, by its id or ARN; without it the account's own."),
    TD_STR_OPT(
        struct s3_config, storage_class, "storageClass", NULL,
        "Storage class of new objects, as STANDARD_IA; without it the bucket's own. Archives that must be restored first are of no use."),
    TD_SIZE_OPT(struct s3_config, part_size, "partSize", "16Mi", 5 << 20, INT64_C(5) << 30,
                "Objects larger than this are sent in parts of this size, of which at most 10000 make an object; more if that needs it."),
    TD_INT_OPT(struct s3_config, parallel_parts, "parallelParts", "4", 1, S3_MAX_PARALLEL, "Parts of one object on the way at once."),
    TD_DUR_OPT(struct s3_config, abort_unfinished_after_ns, "abortUnfinishedAfter", "0", 0, DAYS(3650),
               "Uploads in parts, of any object of the bucket, also of other programs, that were begun so long ago and are still not "
               "finished, are removed at the start. 0: never, as a lifecycle rule of the bucket does it better."),
    TD_DUR_OPT(struct s3_config, connect_timeout_ns, "connectTimeout", "10s", SECONDS(1) / 10, SECONDS(600),
               "How long it may take until there is a connection."),
    TD_DUR_OPT(struct s3_config, idle_timeout_ns, "idleTimeout", "30s", SECONDS(1) / 10, SECONDS(3600),
               "A request fails, and is tried again, if not a byte moved for so long."),
};

static const struct td_storage ops = {
    .size = sizeof(struct td_storage),
    .check = check,
    .head = s3_head,
    .get = s3_get,
    .put_open = s3_put_open,
    .put_write = s3_put_write,
    .put_commit = s3_put_commit,
    .put_abort = s3_put_abort,
    .list = s3_list,
    .remove = s3_remove,
    .put_file = s3_put_file,
    .forget = s3_forget,
    .sweep = s3_sweep,
    .remove_many = s3_remove_many,
    .folders = s3_folders,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_STORAGE,
    .name = "s3",
    .summary = "Objects in a bucket of Amazon S3, or of a service that speaks its protocol",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct s3_config),
    .create = create,
    .destroy = destroy,
    .ops = &ops,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(s3) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "s3",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
