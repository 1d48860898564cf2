/* The storage backend `azblob`: options, life, and the check at the start. */
#include "azblob.h"

#include <stdio.h>
#include <stdlib.h>

#define IMDS "http://169.254.169.254"
#define AUTHORITY "https://login.microsoftonline.com/"
#define SOON_NS (INT64_C(7) * 86400 * AZBLOB_NS) /* a SAS token that expires so soon is told of */

int azblob_nomem(struct azblob *a)
{
    return a->host->fail(a->inst, TD_E_NOMEM, "out of memory");
}

/* ---- Identities ---- */

/* An option, else an environment variable that the service's own tools know, else the default. */
static bool choose(const char *option, const char *variable, const char *fallback, char **ret)
{
    const char *value = option && *option ? option : variable ? getenv(variable) : NULL;
    if (!value || !*value)
        value = fallback;
    *ret = value ? strdup(value) : NULL;
    return *ret || !value;
}

/* The endpoint of App Service, Container Apps and so on comes with a secret header; IMDS needs none. */
static int choose_managed(struct azblob *a)
{
    struct azblob_identity_options *o = &a->identity;
    const char *option = a->config->identity_endpoint;
    o->app_service = !(option && *option) && getenv("IDENTITY_ENDPOINT") && getenv("IDENTITY_HEADER");
    bool good = o->app_service ? choose(NULL, "IDENTITY_ENDPOINT", NULL, &o->endpoint) && choose(NULL, "IDENTITY_HEADER", NULL, &o->header)
                               : choose(option, "AZURE_POD_IDENTITY_AUTHORITY_HOST", IMDS, &o->endpoint);
    if (!good)
        return azblob_nomem(a);
    o->expected = o->app_service || o->client_id || strcmp(o->endpoint, IMDS) != 0;
    size_t n = strlen(o->endpoint);
    while (n && o->endpoint[n - 1] == '/')
        o->endpoint[--n] = 0;
    return TD_OK;
}

static int choose_identity(struct azblob *a)
{
    const struct azblob_config *c = a->config;
    struct azblob_identity_options *o = &a->identity;
    if (!choose(c->client_id, "AZURE_CLIENT_ID", NULL, &o->client_id) || !choose(c->tenant_id, "AZURE_TENANT_ID", NULL, &o->tenant_id) ||
        !choose(c->token_file, "AZURE_FEDERATED_TOKEN_FILE", NULL, &o->token_file) ||
        !choose(c->authority, "AZURE_AUTHORITY_HOST", AUTHORITY, &o->authority))
        return azblob_nomem(a);
    if (o->token_file && (!o->client_id || !o->tenant_id))
        return a->host->fail(a->inst, TD_E_CONFIG,
                             "workload identity needs clientId and tenantId (or AZURE_CLIENT_ID and AZURE_TENANT_ID) besides "
                             "the federated token file");
    if (o->token_file && strncmp(o->authority, "https://", 8) != 0)
        return a->host->fail(a->inst, TD_E_CONFIG, "authorityHost must be a URL that begins with https://");
    o->kind = o->token_file ? AZBLOB_WORKLOAD : AZBLOB_MANAGED;
    return choose_managed(a);
}

static void free_identity(struct azblob_identity_options *o)
{
    free(o->client_id);
    free(o->tenant_id);
    free(o->token_file);
    free(o->authority);
    free(o->endpoint);
    azblob_free_secret(o->header);
}

/* ---- Life ---- */

static const char *set(const char *option)
{
    return option && *option ? option : NULL;
}

static int say_nothing(struct td_inst *inst, int status, const char *fmt, ...)
{
    (void)inst, (void)fmt;
    return status;
}

static bool never(struct td_inst *inst)
{
    (void)inst;
    return false;
}

static void make_quiet(const struct td_host *host, struct td_host *ret)
{
    memcpy(ret, host, host->size < sizeof(*ret) ? host->size : sizeof(*ret));
    ret->size = sizeof(*ret);
    ret->fail = say_nothing;
    ret->cancelled = never;
}

static int make_http(struct azblob *a)
{
    const struct azblob_config *c = a->config;
    struct cloud_http_options options = {.inst = a->inst,
                                         .host = a->host,
                                         .ca_file = set(c->ca_file),
                                         .proxy = set(c->proxy),
                                         .connect_ns = c->connect_ns,
                                         .idle_ns = c->idle_ns,
                                         .agent = "tapedeck"};
    int status = cloud_http_new(&options, &a->http);
    if (status != TD_OK)
        return status;
    options.host = &a->quiet;
    status = cloud_http_new(&options, &a->cleaning_http);
    if (status != TD_OK)
        return status;
    options.host = a->host;
    options.ca_file = options.proxy = NULL;
    options.connect_ns = 2 * AZBLOB_NS; /* it is on this machine's own network, or not there */
    return cloud_http_new(&options, &a->identity_http);
}

static void destroy(void *self)
{
    struct azblob *a = self;
    cloud_http_free(a->http);
    cloud_http_free(a->identity_http);
    cloud_http_free(a->cleaning_http);
    azblob_free_secret(a->key_file.text);
    azblob_free_secret(a->sas_file.text);
    azblob_tokens_clear(a);
    free_identity(&a->identity);
    pthread_mutex_destroy(&a->lock);
    explicit_bzero(&a->account, sizeof(a->account));
    free(a);
}

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    char why[400];
    struct azblob *a = calloc(1, sizeof(*a));
    if (!a)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    *a = (struct azblob){.inst = inst, .host = host, .config = config};
    make_quiet(host, &a->quiet);
    int status = azblob_tokens_init(a);
    if (status != TD_OK) {
        free(a);
        return status;
    }
    pthread_mutex_init(&a->lock, NULL);
    a->key_file.path = set(a->config->key_file);
    a->sas_file.path = set(a->config->sas_file);
    status = azblob_account(a->config, &a->account, why, sizeof(why));
    if (status != TD_OK)
        host->fail(inst, status, "%s", why);
    if (status == TD_OK)
        status = choose_identity(a);
    if (status == TD_OK)
        status = make_http(a);
    if (status == TD_OK)
        *ret_self = a;
    else
        destroy(a);
    return status;
}

/* ---- The check ---- */

static void warn_of_end(struct azblob *a, const char *sas)
{
    int64_t ends;
    char date[32];
    if (!azblob_sas_expiry(sas, &ends) || ends - cloud_now_ns() > SOON_NS || ends <= cloud_now_ns())
        return;
    azblob_http_date(ends, date);
    a->host->log(a->inst, TD_LOG_WARN, "the SAS token expires on %s", date);
}

/* Does the container exist, and are the credentials accepted? A SAS token for one container may list it, but not look at it. What
 * processes that were killed have left unfinished is for sweep(): here nobody knows whose it is. */
static int check(void *self)
{
    struct azblob *a = self;
    struct azblob_request r;
    struct azblob_error error;
    azblob_request_begin(&r, a, "GET", NULL);
    int status = azblob_request_alone(&r, "cannot be used", &error);
    bool by_sas = r.sas.n;
    if (by_sas)
        warn_of_end(a, cloud_cstr(&r.sas));
    azblob_request_clear(&r);
    if (status == TD_E_DENIED && by_sas && strncmp(error.code, "Authorization", 13) == 0)
        status = azblob_try_list(a);
    else if (status == TD_E_NOT_FOUND && strcmp(error.code, "ContainerNotFound") != 0)
        status = azblob_fail(a, NULL, status, "cannot be used: there is no storage account \"%s\" at this endpoint, or no such container",
                             a->account.name);
    return status;
}

/* ---- The plugin ---- */

static const char *const tiers[] = {"default", "hot", "cool", "cold", NULL};

static const struct td_option options[] = {
    TD_STR_OPT(struct azblob_config, account, "storageAccount", NULL, "The name of the storage account."),
    TD_REQUIRED_STR_OPT(struct azblob_config, container, "container", "The container; it must exist."),
    TD_SECRET_OPT(
        struct azblob_config, key, "storageKey",
        "A key of the storage account, in base64. Without it, a SAS token is used, else the workload's or the machine's identity."),
    TD_STR_OPT(struct azblob_config, key_file, "storageKeyFile", NULL,
               "A file whose first line is the key. Looked at again every ten seconds, so that the key can be changed."),
    TD_SECRET_OPT(
        struct azblob_config, sas, "sasToken",
        "A SAS token (sv=...&sig=...) of the account or of the container; it needs the permissions to read, write, delete and list."),
    TD_STR_OPT(struct azblob_config, sas_file, "sasTokenFile", NULL,
               "A file whose first line is the SAS token. Looked at again every ten seconds."),
    TD_SECRET_OPT(struct azblob_config, connection, "connectionString",
                  "Account, key or SAS token, and endpoint in one text, as Azure's portal shows it; the other options come first."),
    TD_STR_OPT(struct azblob_config, endpoint, "endpoint", NULL,
               "URL of the Blob service, if it is not https://ACCOUNT.blob.SUFFIX: of Azurite, a private endpoint, a custom domain."),
    TD_STR_OPT(struct azblob_config, endpoint_suffix, "endpointSuffix", "core.windows.net",
               "Of the cloud: core.chinacloudapi.cn, core.usgovcloudapi.net, or one's own."),
    TD_STR_OPT(
        struct azblob_config, client_id, "clientId", NULL,
        "Client id of the workload's identity, or of a managed identity that is not the machine's only one. Default: AZURE_CLIENT_ID."),
    TD_STR_OPT(struct azblob_config, tenant_id, "tenantId", NULL, "Directory of the workload's identity. Default: AZURE_TENANT_ID."),
    TD_STR_OPT(struct azblob_config, token_file, "federatedTokenFile", NULL,
               "The file with the token that Kubernetes gives the workload. Default: AZURE_FEDERATED_TOKEN_FILE."),
    TD_STR_OPT(struct azblob_config, authority, "authorityHost", NULL,
               "URL of the identity provider for workload identity. Default: AZURE_AUTHORITY_HOST, else " AUTHORITY "."),
    TD_STR_OPT(struct azblob_config, identity_endpoint, "identityEndpoint", NULL,
               "URL that gives tokens to managed identities. Default: IDENTITY_ENDPOINT where Azure sets it, else " IMDS "."),
    TD_STR_OPT(struct azblob_config, ca_file, "caFile", NULL,
               "Certificates of the authorities to trust, in PEM form, instead of the system's."),
    TD_SECRET_OPT(struct azblob_config, proxy, "proxy",
                  "URL of a proxy, perhaps with a password, or \"env\": what the environment says (HTTPS_PROXY, NO_PROXY)."),
    TD_ENUM_OPT(struct azblob_config, access_tier, "accessTier", "default", tiers, "Tier of the objects; default: the account's."),
    TD_SIZE_OPT(
        struct azblob_config, block_bytes, "blockSize", "16Mi", 64 << 10, AZBLOB_MAX_BLOCK,
        "Objects up to this size are sent in one request, larger ones in blocks of it, or larger blocks if there would be more than "
        "50,000. A stream keeps one in memory."),
    TD_INT_OPT(struct azblob_config, parallel, "parallelBlocks", "4", 1, 64, "Blocks of one object that are sent at once."),
    TD_INT_OPT(struct azblob_config, page, "pageSize", "2000", 1, 5000, "Entries asked for at once in lists."),
    TD_DUR_OPT(struct azblob_config, connect_ns, "connectTimeout", "10s", AZBLOB_NS / 100, 600 * AZBLOB_NS, "For a connection to be made."),
    TD_DUR_OPT(struct azblob_config, idle_ns, "idleTimeout", "30s", AZBLOB_NS / 100, 3600 * AZBLOB_NS,
               "A connection on which no byte moves for so long is given up."),
};

static const struct td_storage ops = {
    .size = sizeof(struct td_storage),
    .check = check,
    .head = azblob_head,
    .get = azblob_get,
    .put_open = azblob_put_open,
    .put_write = azblob_put_write,
    .put_commit = azblob_put_commit,
    .put_abort = azblob_put_abort,
    .list = azblob_list,
    .remove = azblob_remove,
    .put_file = azblob_put_file,
    .forget = azblob_forget,
    .sweep = azblob_sweep,
    .remove_many = azblob_remove_many,
    .folders = azblob_folders,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_STORAGE,
    .name = "azblob",
    .summary = "Objects as blobs in a container of Azure Blob Storage",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct azblob_config),
    .create = create,
    .destroy = destroy,
    .ops = &ops,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(azblob) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "azblob",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
