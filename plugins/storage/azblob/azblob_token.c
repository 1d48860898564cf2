/* Bearer tokens of workload and managed identities: asked for, kept, renewed before they expire. */
#include "azblob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EARLY_NS (INT64_C(300) * AZBLOB_NS) /* before its end a token is renewed, */
#define AGAIN_NS (30 * AZBLOB_NS)           /* and so often asked for while that fails and the old one lasts */
#define ASKING_NS (20 * AZBLOB_NS)          /* for an answer */
#define LONGEST_NS (INT64_C(48) * 3600 * AZBLOB_NS)
#define FRESH_NS (60 * AZBLOB_NS) /* a token as young as this is not refused for its age */
#define RESOURCE "https://storage.azure.com/"
enum { MAX_TOKEN = 16 << 10 };

int64_t azblob_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * AZBLOB_NS + now.tv_nsec;
}

/* ---- Answers ---- */

/* Numbers come as numbers or as strings. -1: none. */
static int64_t number_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    const char *text = json_string_value(v);
    if (json_is_integer(v))
        return json_integer_value(v);
    size_t n = text ? strspn(text, "0123456789") : 0;
    return n && n < 18 && !text[n] ? strtoll(text, NULL, 10) : -1;
}

static void explain_refusal(unsigned http_status, const json_t *object, struct azblob_token_answer *ret)
{
    const char *error = json_string_value(json_object_get(object, "error"));
    const char *description = json_string_value(json_object_get(object, "error_description"));
    size_t n = description ? strcspn(description, "\r\n") : 0;
    snprintf(ret->why, sizeof(ret->why), "HTTP %u%s%.60s%s%.*s", http_status, error ? ", " : "", error ? error : "", n ? ": " : "",
             (int)(n < 200 ? n : 200), n ? description : "");
}

static bool is_token(const char *text)
{
    if (!text || !*text || strlen(text) > MAX_TOKEN)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

int azblob_read_token(unsigned http_status, struct td_slice json, int64_t now_ns, struct azblob_token_answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    json_t *object = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(object, "access_token"));
    int64_t lasts = number_of(object, "expires_in"), ends = number_of(object, "expires_on");
    int status = TD_OK;
    if (http_status != 200) {
        explain_refusal(http_status, object, ret);
        /* IMDS says 404 while an identity is being attached, 410 while it is updated. */
        status = http_status == 404 || http_status == 410 ? TD_E_RETRY : cloud_classify(http_status);
        status = http_status == 400 ? TD_E_DENIED : status == TD_OK ? TD_E_CORRUPT : status;
    } else if (!is_token(token)) {
        snprintf(ret->why, sizeof(ret->why), "the answer has no token");
        status = TD_E_CORRUPT;
    } else if (!(ret->token = strdup(token))) {
        status = TD_E_NOMEM;
    }
    if (lasts < 0 && ends >= 0)
        lasts = ends - now_ns / AZBLOB_NS;
    ret->lasts_ns = lasts < 0 ? 0 : lasts > LONGEST_NS / AZBLOB_NS ? LONGEST_NS : lasts * AZBLOB_NS;
    json_decref(object);
    return status;
}

/* ---- Asking ---- */

struct asking {
    struct azblob *a;
    struct cloud_text url, body, header;
    struct cloud_exchange x;
};

/* The token that Kubernetes has put there; it is renewed there, so it is read each time. */
static int put_federated(struct azblob *a, struct cloud_text *body)
{
    char text[AZBLOB_MAX_SECRET];
    const char *path = a->identity.token_file;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int number = errno;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return a->host->fail(a->inst, n == 0 ? TD_E_RETRY : TD_E_CONFIG, "the federated token file \"%.400s\" cannot be read: %s", path,
                             n == 0 ? "it is empty" : strerror(number));
    text[n] = 0;
    text[strcspn(text, " \r\n\t")] = 0;
    cloud_put_encoded(body, text, false);
    explicit_bzero(text, sizeof(text));
    return TD_OK;
}

/* OAuth 2.0 client credentials with a federated credential: "Microsoft identity platform and the OAuth 2.0 client credentials flow",
 * third case. */
static int describe_workload(struct asking *k)
{
    const struct azblob_identity_options *o = &k->a->identity;
    size_t n = strlen(o->authority);
    cloud_puts(&k->url, o->authority);
    cloud_puts(&k->url, n && o->authority[n - 1] == '/' ? "" : "/");
    cloud_put_encoded(&k->url, o->tenant_id, false);
    cloud_puts(&k->url, "/oauth2/v2.0/token");
    cloud_puts(&k->body, "client_id=");
    cloud_put_encoded(&k->body, o->client_id, false);
    cloud_puts(&k->body, "&scope=");
    cloud_put_encoded(&k->body, RESOURCE ".default", false);
    cloud_puts(&k->body, "&grant_type=client_credentials&client_assertion_type=");
    cloud_put_encoded(&k->body, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", false);
    cloud_puts(&k->body, "&client_assertion=");
    int status = put_federated(k->a, &k->body);
    k->x.method = "POST";
    k->x.sends_body = true;
    k->x.body = k->body.p;
    k->x.body_n = k->body.n;
    k->x.headers[k->x.header_n++] = "Content-Type: application/x-www-form-urlencoded";
    return status;
}

/* "How to use managed identities on an Azure VM to acquire an access token", and the same for App Service and its relatives. */
static int describe_managed(struct asking *k)
{
    const struct azblob_identity_options *o = &k->a->identity;
    cloud_puts(&k->url, o->endpoint);
    cloud_puts(&k->url,
               o->app_service ? "?api-version=2019-08-01&resource=" : "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=");
    cloud_put_encoded(&k->url, RESOURCE, false);
    if (o->client_id) {
        cloud_puts(&k->url, "&client_id=");
        cloud_put_encoded(&k->url, o->client_id, false);
    }
    if (o->app_service)
        cloud_printf(&k->header, "X-IDENTITY-HEADER: %s", o->header);
    else
        cloud_puts(&k->header, "Metadata: true");
    k->x.method = "GET";
    k->x.headers[k->x.header_n++] = cloud_cstr(&k->header);
    return TD_OK;
}

static int run(struct asking *k, struct cloud_http *http)
{
    struct cloud_session *session;
    int status = cloud_http_take(http, &session);
    if (status != TD_OK)
        return status;
    status = cloud_run(session, &k->x);
    cloud_http_give(http, session);
    return status;
}

/* Words for a failure; what to do depends on where the token was to come from. */
static int tell(struct asking *k, int status, const char *why, bool first)
{
    struct azblob *a = k->a;
    if (a->identity.kind == AZBLOB_WORKLOAD)
        return a->host->fail(a->inst, status, "workload identity: no token from %.200s: %s", a->identity.authority, why);
    if (first && !a->identity.expected && !k->x.status)
        return a->host->fail(
            a->inst, TD_E_DENIED,
            "there are no credentials: set storageKey or sasToken, or run where Azure gives this process an identity (no managed "
            "identity at %.100s: %s)",
            a->identity.endpoint, why);
    return a->host->fail(a->inst, status, "managed identity: no token from %.200s: %s", a->identity.endpoint, why);
}

static int ask(struct azblob *a, bool first, struct azblob_token_answer *ret)
{
    struct asking k = {.a = a, .x = {.fd = -1, .deadline_ns = ASKING_NS}};
    bool workload = a->identity.kind == AZBLOB_WORKLOAD;
    memset(ret, 0, sizeof(*ret));
    int status = workload ? describe_workload(&k) : describe_managed(&k);
    if (status == TD_OK && (k.url.failed || k.body.failed || k.header.failed))
        status = azblob_nomem(a);
    if (status == TD_OK) {
        k.x.url = cloud_cstr(&k.url);
        status = run(&k, workload ? a->http : a->identity_http);
        if (status == TD_OK)
            status = azblob_read_token(k.x.status, td_bytes(k.x.answer.p, k.x.answer.n), cloud_now_ns(), ret);
        else
            snprintf(ret->why, sizeof(ret->why), "%s", *k.x.why ? k.x.why : "it cannot be asked for");
        if (status != TD_OK && status != TD_E_CANCELLED)
            status = tell(&k, status, ret->why, first);
    } else {
        snprintf(ret->why, sizeof(ret->why), "it cannot be asked for");
    }
    if (k.x.answer.p)
        explicit_bzero(k.x.answer.p, k.x.answer.n);
    azblob_clear_secret(&k.body);
    azblob_clear_secret(&k.header);
    cloud_text_clear(&k.url);
    cloud_exchange_clear(&k.x);
    return status;
}

/* ---- Keeping ---- */

int azblob_tokens_init(struct azblob *a)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int result = pthread_cond_init(&a->tokens.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (result != 0)
        return azblob_nomem(a);
    pthread_mutex_init(&a->tokens.lock, NULL);
    return TD_OK;
}

void azblob_tokens_clear(struct azblob *a)
{
    azblob_free_secret(a->tokens.token);
    pthread_cond_destroy(&a->tokens.changed);
    pthread_mutex_destroy(&a->tokens.lock);
}

/* With the lock held; it is open while somebody is asked. */
static void renew(struct azblob *a)
{
    struct azblob_tokens *t = &a->tokens;
    struct azblob_token_answer answer;
    bool first = !t->got_ns;
    t->asking = true;
    pthread_mutex_unlock(&t->lock);
    int status = ask(a, first, &answer);
    int64_t now = azblob_clock_ns();
    pthread_mutex_lock(&t->lock);
    t->asking = false;
    t->answers++;
    t->failure = status;
    if (status == TD_OK) {
        azblob_free_secret(t->token);
        t->token = answer.token;
        t->got_ns = now;
        t->ends_ns = now + answer.lasts_ns;
        t->renew_ns = t->ends_ns - (answer.lasts_ns / 4 < EARLY_NS ? answer.lasts_ns / 4 : EARLY_NS);
    } else {
        t->renew_ns = now + AGAIN_NS;
        memcpy(t->why, answer.why, sizeof(answer.why));
    }
    pthread_cond_broadcast(&t->changed);
}

/* Waits until whoever asks has an answer. With the lock held. */
static int await(struct azblob *a)
{
    struct azblob_tokens *t = &a->tokens;
    uint64_t answers = t->answers;
    while (t->asking && t->answers == answers) {
        struct timespec until;
        if (a->host->cancelled(a->inst))
            return TD_E_CANCELLED;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&t->changed, &t->lock, &until);
    }
    return TD_OK;
}

int azblob_token(struct azblob *a, struct cloud_text *ret)
{
    struct azblob_tokens *t = &a->tokens;
    int status = TD_OK;
    pthread_mutex_lock(&t->lock);
    int64_t now = azblob_clock_ns();
    bool valid = t->token && now < t->ends_ns;
    if (!t->asking && (!valid || now >= t->renew_ns)) {
        renew(a);
        status = t->failure; /* told by ask() */
        valid = t->token && azblob_clock_ns() < t->ends_ns;
    } else if (!valid) {
        status = await(a);
        valid = t->token && azblob_clock_ns() < t->ends_ns;
        if (status == TD_OK && !valid)
            status = a->host->fail(a->inst, t->failure ? t->failure : TD_E_RETRY, "no token for the %s: %s", azblob_credentials(a), t->why);
    }
    if (valid) {
        cloud_puts(ret, t->token);
        status = ret->failed ? azblob_nomem(a) : TD_OK;
    } else if (status == TD_OK) {
        status = a->host->fail(a->inst, TD_E_RETRY, "the token for the %s has expired as soon as it came; look at this machine's clock",
                               azblob_credentials(a));
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

bool azblob_token_refused(struct azblob *a, const char *token)
{
    struct azblob_tokens *t = &a->tokens;
    pthread_mutex_lock(&t->lock);
    bool old = !t->token || strcmp(t->token, token) != 0;
    int64_t now = azblob_clock_ns();
    if (!old && (now >= t->ends_ns || now - t->got_ns > FRESH_NS)) {
        t->ends_ns = 0;
        old = true;
    }
    pthread_mutex_unlock(&t->lock);
    return old;
}
