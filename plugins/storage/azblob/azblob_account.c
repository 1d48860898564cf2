/* Account, endpoint and secrets, from options or a connection string. */
#include "azblob.h"

#include <stdarg.h>
#include <stdio.h>

TD_PRINTF(3, 4) static int wrong(char *why, size_t n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, n, fmt, args);
    va_end(args);
    return TD_E_CONFIG;
}

static bool only(const char *text, const char *letters)
{
    return *text && !text[strspn(text, letters)];
}

static bool is_account(const char *name)
{
    size_t n = strlen(name);
    return n >= 3 && n <= 24 && only(name, "abcdefghijklmnopqrstuvwxyz0123456789");
}

bool azblob_is_container(const char *name)
{
    size_t n = strlen(name);
    if (strcmp(name, "$root") == 0 || strcmp(name, "$web") == 0)
        return true;
    return n >= 3 && n <= 63 && only(name, "abcdefghijklmnopqrstuvwxyz0123456789-") && name[0] != '-' && name[n - 1] != '-' &&
           !strstr(name, "--");
}

/* ---- Connection strings ---- */

/* "Name=value;Name=value": what names this plugin knows. */
struct connection {
    struct td_slice protocol, account, key, suffix, endpoint, sas;
};

static int read_connection(const char *text, struct connection *c, char *why, size_t n)
{
    while (*text) {
        size_t length = strcspn(text, ";"), name = strcspn(text, "=");
        struct td_slice value = td_bytes(text + name + 1, name < length ? length - name - 1 : 0);
        const struct {
            const char *name;
            struct td_slice *to; /* NULL: of other services */
        } known[] = {
            {"DefaultEndpointsProtocol", &c->protocol},
            {"AccountName", &c->account},
            {"AccountKey", &c->key},
            {"EndpointSuffix", &c->suffix},
            {"BlobEndpoint", &c->endpoint},
            {"SharedAccessSignature", &c->sas},
            {"QueueEndpoint", NULL},
            {"TableEndpoint", NULL},
            {"FileEndpoint", NULL},
            {"BlobSecondaryEndpoint", NULL},
            {"QueueSecondaryEndpoint", NULL},
            {"TableSecondaryEndpoint", NULL},
            {"FileSecondaryEndpoint", NULL},
        };
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && !(strlen(known[i].name) == name && strncasecmp(text, known[i].name, name) == 0))
            i++;
        if (length && (name >= length || i == sizeof(known) / sizeof(known[0])))
            return wrong(why, n,
                         "connectionString has a part that is not known; it looks like "
                         "\"AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net\"");
        if (length && known[i].to)
            *known[i].to = value;
        text += length + (text[length] == ';');
    }
    return TD_OK;
}

/* ---- Endpoints ---- */

/* Account as a part of the path, as emulators want it: for hosts that cannot have it in their name. */
static bool needs_path(const char *host, size_t n)
{
    return (n == 9 && strncmp(host, "localhost", n) == 0) || host[0] == '[' || strspn(host, "0123456789.") >= n;
}

static int take_endpoint(struct azblob_account *a, const char *text, size_t n, char *why, size_t why_n)
{
    size_t scheme = n > 8 && strncasecmp(text, "https://", 8) == 0 ? 8 : n > 7 && strncasecmp(text, "http://", 7) == 0 ? 7 : 0;
    while (n && text[n - 1] == '/')
        n--;
    if (!scheme || n <= scheme || n + AZBLOB_MAX_ACCOUNT + 2 > sizeof(a->endpoint))
        return wrong(why, why_n, "endpoint must be a URL such as https://ACCOUNT.blob.core.windows.net"); /* it may hold a SAS token */
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("?#@\\\"", text[i]))
            return wrong(why, why_n, "endpoint must be a URL without spaces, query, fragment or user; a SAS token goes into sasToken");
    memcpy(a->endpoint, text, n);
    a->endpoint[n] = 0;
    a->https = scheme == 8;
    size_t host = scheme + strcspn(a->endpoint + scheme, "/");
    size_t name = strcspn(a->endpoint + scheme, ":/");
    a->path_at = host;
    if (host == n && needs_path(a->endpoint + scheme, name) && *a->name)
        snprintf(a->endpoint + n, sizeof(a->endpoint) - n, "/%s", a->name);
    return TD_OK;
}

/* What the endpoint says of the account, if nothing else does: its first part, or what stands before the first dot. */
static void account_of_endpoint(struct azblob_account *a)
{
    const char *path = a->endpoint + a->path_at, *host = a->endpoint + (a->https ? 8 : 7);
    const char *from = *path ? path + 1 : host;
    size_t n = strcspn(from, *path ? "/" : ".:/");
    if (n < sizeof(a->name)) {
        memcpy(a->name, from, n);
        a->name[n] = 0;
    }
}

static int choose_endpoint(struct azblob_account *a, const struct azblob_config *config, const struct connection *c, char *why, size_t n)
{
    char made[AZBLOB_MAX_ENDPOINT];
    if (config->endpoint && *config->endpoint)
        return take_endpoint(a, config->endpoint, strlen(config->endpoint), why, n);
    if (c->endpoint.n)
        return take_endpoint(a, (const char *)c->endpoint.p, c->endpoint.n, why, n);
    if (!*a->name)
        return wrong(why, n, "storageAccount is missing: the name of the storage account");
    struct td_slice suffix = c->suffix.n ? c->suffix : td_str(config->endpoint_suffix);
    bool plain = c->protocol.n == 4 && strncasecmp((const char *)c->protocol.p, "http", 4) == 0;
    int length =
        snprintf(made, sizeof(made), "%s://%s.blob.%.*s", plain ? "http" : "https", a->name, (int)suffix.n, (const char *)suffix.p);
    if (length < 0 || (size_t)length >= sizeof(made) || !suffix.n)
        return wrong(why, n, "endpointSuffix must be the cloud's, such as core.windows.net");
    return take_endpoint(a, made, (size_t)length, why, n);
}

/* ---- All of it ---- */

static bool is_given(const char *option)
{
    return option && *option;
}

static bool take_secret(char to[AZBLOB_MAX_SECRET], const char *option, struct td_slice other)
{
    struct td_slice value = is_given(option) ? td_str(option) : other;
    if (value.n >= AZBLOB_MAX_SECRET)
        return false;
    if (value.n)
        memcpy(to, value.p, value.n);
    to[value.n] = 0;
    return true;
}

static int take_secrets(struct azblob_account *a, const struct azblob_config *config, const struct connection *c, char *why, size_t n)
{
    uint8_t key[AZBLOB_MAX_KEY];
    bool has_own = is_given(config->key) || is_given(config->key_file) || is_given(config->sas) || is_given(config->sas_file);
    struct td_slice none = {0};
    if (!take_secret(a->key, config->key, has_own ? none : c->key) || !take_secret(a->sas, config->sas, has_own ? none : c->sas))
        return wrong(why, n, "storageKey or sasToken is longer than %d bytes", AZBLOB_MAX_SECRET - 1);
    int64_t length = *a->key ? cloud_read_base64(a->key, key, sizeof(key)) : 1;
    explicit_bzero(key, sizeof(key));
    if (length <= 0)
        return wrong(why, n, "storageKey is no base64; copy it whole, with the == at its end");
    size_t question = *a->sas == '?';
    memmove(a->sas, a->sas + question, strlen(a->sas + question) + 1);
    char signature[512];
    if (*a->sas && !azblob_sas_value(a->sas, "sig", signature, sizeof(signature)))
        return wrong(why, n, "sasToken has no parameter \"sig\"; copy it whole: sv=...&sig=...");
    return TD_OK;
}

int azblob_account(const struct azblob_config *config, struct azblob_account *ret, char *why, size_t n)
{
    struct connection c = {0};
    memset(ret, 0, sizeof(*ret));
    int status = config->connection ? read_connection(config->connection, &c, why, n) : TD_OK;
    struct td_slice name = config->account && *config->account ? td_str(config->account) : c.account;
    if (status == TD_OK && name.n >= sizeof(ret->name))
        status = wrong(why, n, "storageAccount is longer than the 24 letters that such a name may have");
    if (status == TD_OK && name.n)
        memcpy(ret->name, name.p, name.n);
    if (status == TD_OK)
        status = choose_endpoint(ret, config, &c, why, n);
    if (status == TD_OK && !*ret->name)
        account_of_endpoint(ret);
    if (status == TD_OK && !is_account(ret->name))
        status = wrong(why, n, "storageAccount \"%s\" is no name of a storage account: 3 to 24 letters from a to z, and digits", ret->name);
    if (status == TD_OK && !azblob_is_container(config->container))
        status = wrong(why, n, "container \"%.80s\" is no name of a container: 3 to 63 letters from a to z, digits and single hyphens",
                       config->container);
    return status == TD_OK ? take_secrets(ret, config, &c, why, n) : status;
}

/* ---- SAS tokens ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool azblob_sas_value(const char *sas, const char *name, char *ret, size_t n)
{
    size_t length = strlen(name), at = 0;
    while (strncmp(sas, name, length) != 0 || sas[length] != '=') {
        sas += strcspn(sas, "&");
        if (!*sas++)
            return false;
    }
    for (const char *p = sas + length + 1; *p && *p != '&'; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
        if (at + 1 >= n)
            return false;
        ret[at++] = low >= 0 ? (char)(high * 16 + low) : *p;
        p += low >= 0 ? 2 : 0;
    }
    ret[at] = 0;
    return at > 0;
}

bool azblob_sas_expiry(const char *sas, int64_t *ret_ns)
{
    char text[64], whole[96];
    if (!azblob_sas_value(sas, "se", text, sizeof(text)))
        return false;
    if (strlen(text) == 10) { /* a date is its midnight */
        snprintf(whole, sizeof(whole), "%sT00:00:00Z", text);
        return cloud_read_iso8601(whole, ret_ns);
    }
    if (strlen(text) == 17 && text[16] == 'Z') { /* without seconds */
        snprintf(whole, sizeof(whole), "%.16s:00Z", text);
        return cloud_read_iso8601(whole, ret_ns);
    }
    return cloud_read_iso8601(text, ret_ns);
}
