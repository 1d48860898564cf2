/* One token for many threads: asked for once, renewed before it ends, kept while its source fails. The source is a server of this test that
 * answers as Azure's identity endpoints do. */
#include "../../../plugins/storage/azblob/azblob.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

extern const struct td_plugin td_plugin_v1_azblob;

enum { THREADS = 8 };

static struct {
    struct td_host host;
    int fd;
    unsigned port;
    pthread_t server;
    atomic_bool cancelled;
    atomic_uint asked, status, lasts_s, delay_ms;
    pthread_mutex_t lock;
    char request[4096]; /* the last one */
} t;
static _Thread_local char why[1024];

static int fail(struct td_inst *inst, int status, const char *fmt, ...)
{
    va_list args;
    (void)inst;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    return status;
}

static void discard_log(struct td_inst *inst, int level, const char *fmt, ...)
{
    (void)inst, (void)level, (void)fmt;
}

static bool is_cancelled(struct td_inst *inst)
{
    (void)inst;
    return atomic_load(&t.cancelled);
}

/* ---- The server ---- */

static void answer(int fd)
{
    char text[4096] = "", body[256], reply[512];
    size_t n = 0;
    while (n < sizeof(text) - 1 && !strstr(text, "\r\n\r\n")) {
        ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
        if (got <= 0)
            return;
        n += (size_t)got;
        text[n] = 0;
    }
    unsigned number = atomic_fetch_add(&t.asked, 1) + 1, status = atomic_load(&t.status);
    pthread_mutex_lock(&t.lock);
    snprintf(t.request, sizeof(t.request), "%s", text);
    pthread_mutex_unlock(&t.lock);
    usleep(atomic_load(&t.delay_ms) * 1000);
    int length = status == 200 ? snprintf(body, sizeof(body), "{\"access_token\":\"token-%u\",\"expires_in\":\"%u\"}", number,
                                          atomic_load(&t.lasts_s))
                               : snprintf(body, sizeof(body), "{\"error\":\"invalid_request\",\"error_description\":\"as told\"}");
    int all = snprintf(reply, sizeof(reply), "HTTP/1.1 %u X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, length, body);
    (void)!send(fd, reply, (size_t)all, MSG_NOSIGNAL);
}

static void *serve(void *ctx)
{
    (void)ctx;
    for (int fd; (fd = accept(t.fd, NULL, NULL)) >= 0; close(fd))
        answer(fd);
    return NULL;
}

static bool start_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    t.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(t.fd, (struct sockaddr *)&address, n) != 0 || listen(t.fd, 64) != 0 || getsockname(t.fd, (struct sockaddr *)&address, &n) != 0)
        return false;
    t.port = ntohs(address.sin_port);
    return pthread_create(&t.server, NULL, serve, NULL) == 0;
}

static void behave(unsigned status, unsigned lasts_s, unsigned delay_ms)
{
    atomic_store(&t.asked, 0);
    atomic_store(&t.status, status);
    atomic_store(&t.lasts_s, lasts_s);
    atomic_store(&t.delay_ms, delay_ms);
}

static bool request_has(const char *part)
{
    pthread_mutex_lock(&t.lock);
    bool has = strstr(t.request, part) != NULL;
    pthread_mutex_unlock(&t.lock);
    if (!has)
        tap_diag("%s", t.request);
    return has;
}

/* ---- The plugin ---- */

static const struct azblob_config basis = {.account = "account1",
                                           .container = "box",
                                           .endpoint_suffix = "core.windows.net",
                                           .block_bytes = 1 << 20,
                                           .parallel = 2,
                                           .page = 100,
                                           .connect_ns = AZBLOB_NS,
                                           .idle_ns = 5 * AZBLOB_NS};

static struct azblob *make(const struct azblob_config *config)
{
    void *self = NULL;
    int status = td_plugin_v1_azblob.components[0]->create(NULL, &t.host, config, &self);
    if (status != TD_OK)
        tap_diag("%d %s", status, why);
    return status == TD_OK ? self : NULL;
}

static void drop(struct azblob *a)
{
    td_plugin_v1_azblob.components[0]->destroy(a);
}

static struct azblob *make_managed(const char *client_id, struct azblob_config *config, char endpoint[64])
{
    snprintf(endpoint, 64, "http://127.0.0.1:%u/", t.port);
    *config = basis;
    config->identity_endpoint = endpoint;
    config->client_id = client_id;
    return make(config);
}

static int token(struct azblob *a, char ret[64])
{
    struct cloud_text text = {0};
    int status = azblob_token(a, &text);
    snprintf(ret, 64, "%s", cloud_cstr(&text));
    cloud_text_clear(&text);
    return status;
}

/* ---- Tests ---- */

struct asker {
    struct azblob *a;
    int status;
    char text[64], why[256];
};

static void *ask(void *ctx)
{
    struct asker *k = ctx;
    k->status = token(k->a, k->text);
    snprintf(k->why, sizeof(k->why), "%.255s", why);
    return NULL;
}

static void all_ask(struct azblob *a, struct asker askers[THREADS])
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.a = a};
        pthread_create(&threads[i], NULL, ask, &askers[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_first(void)
{
    struct azblob_config config;
    struct asker askers[THREADS];
    char endpoint[64];
    unsigned good = 0;
    behave(200, 3600, 200);
    struct azblob *a = make_managed(NULL, &config, endpoint);
    all_ask(a, askers);
    for (size_t i = 0; i < THREADS; i++)
        good += askers[i].status == TD_OK && strcmp(askers[i].text, "token-1") == 0;
    ok(good == THREADS && atomic_load(&t.asked) == 1, "%d threads wait for one token, which is asked for %u times", THREADS,
       atomic_load(&t.asked));
    ok(request_has("GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F HTTP/1.1\r\n") &&
           request_has("\r\nMetadata: true\r\n"),
       "as IMDS wants it");
    drop(a);
    a = make_managed("the id", &config, endpoint);
    ok(token(a, askers[0].text) == TD_OK && request_has("&client_id=the%20id HTTP"), "for one of several identities");
    drop(a);
}

static void test_failures(void)
{
    struct azblob_config config;
    struct asker askers[THREADS];
    char endpoint[64], text[64];
    unsigned same = 0;
    behave(500, 3600, 200);
    struct azblob *a = make_managed(NULL, &config, endpoint);
    all_ask(a, askers);
    for (size_t i = 0; i < THREADS; i++)
        same += askers[i].status == TD_E_RETRY && !*askers[i].text && strstr(askers[i].why, "HTTP 500");
    ok(same == THREADS && atomic_load(&t.asked) < THREADS, "%u of %d threads are told of a failure, after %u questions", same, THREADS,
       atomic_load(&t.asked));
    behave(400, 3600, 0);
    is_int(token(a, text), TD_E_DENIED, "no such identity: %s", why);
    like(why, "as told", "in the endpoint's words");
    behave(200, 3600, 0);
    ok(token(a, text) == TD_OK && strcmp(text, "token-1") == 0, "later there is one");
    drop(a);

    config = basis;
    config.identity_endpoint = "http://127.0.0.1:1";
    a = make(&config);
    is_int(token(a, text), TD_E_RETRY, "an identity that was configured may be there later: %s", why);
    a->identity.expected = false;
    is_int(token(a, text), TD_E_DENIED, "nobody has configured one: %s", why);
    like(why, "set storageKey or sasToken", "says what to do");
    drop(a);
}

static void test_renewal(void)
{
    struct azblob_config config;
    struct asker askers[THREADS];
    char endpoint[64], text[64];
    unsigned old = 0;
    behave(200, 4, 0);
    struct azblob *a = make_managed(NULL, &config, endpoint);
    ok(token(a, text) == TD_OK && token(a, text) == TD_OK && atomic_load(&t.asked) == 1, "a token of 4 seconds is kept");
    usleep(3100 * 1000); /* renewed after 3 */
    atomic_store(&t.delay_ms, 300);
    all_ask(a, askers);
    for (size_t i = 0; i < THREADS; i++)
        old += askers[i].status == TD_OK && strcmp(askers[i].text, "token-1") == 0;
    ok(old >= 1 && old < THREADS && atomic_load(&t.asked) == 2, "one thread renews it, %u others go on with the old one meanwhile", old);
    ok(token(a, text) == TD_OK && strcmp(text, "token-2") == 0, "then there is a new one");
    behave(503, 4, 0);
    usleep(3100 * 1000);
    ok(token(a, text) == TD_OK && strcmp(text, "token-2") == 0 && atomic_load(&t.asked) == 1,
       "while it cannot be renewed, the old one serves");
    ok(token(a, text) == TD_OK && atomic_load(&t.asked) == 1, "and is not asked for each time");
    usleep(1100 * 1000);
    is_int(token(a, text), TD_E_RETRY, "until it ends: %s", why);
    behave(200, 3600, 0);
    ok(token(a, text) == TD_OK && strcmp(text, "token-1") == 0, "and then there is one again");
    ok(!azblob_token_refused(a, "token-1"), "a new token that is refused is refused for good");
    ok(azblob_token_refused(a, "token-0"), "an old one is not");
    a->tokens.got_ns -= 61 * AZBLOB_NS;
    ok(azblob_token_refused(a, "token-1") && token(a, text) == TD_OK && strcmp(text, "token-2") == 0,
       "one that is older is asked for again");
    drop(a);
    behave(200, 0, 0);
    a = make_managed(NULL, &config, endpoint);
    is_int(token(a, text), TD_E_RETRY, "one that ends when it comes: %s", why);
    drop(a);
}

static void test_cancel(void)
{
    struct azblob_config config;
    struct asker askers[THREADS];
    char endpoint[64];
    unsigned cancelled = 0;
    behave(200, 3600, 3000);
    struct azblob *a = make_managed(NULL, &config, endpoint);
    int64_t began = azblob_clock_ns();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.a = a};
        pthread_create(&threads[i], NULL, ask, &askers[i]);
    }
    usleep(200 * 1000);
    atomic_store(&t.cancelled, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cancelled += askers[i].status == TD_E_CANCELLED;
    }
    ok(cancelled == THREADS && azblob_clock_ns() - began < 2 * AZBLOB_NS, "%u threads that wait are stopped", cancelled);
    atomic_store(&t.cancelled, false);
    drop(a);
    usleep(3000 * 1000); /* the server is still at it */
}

static void test_environment(void)
{
    char text[64], endpoint[64];
    struct azblob_config config = basis;
    snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u/msi/token", t.port);
    setenv("IDENTITY_ENDPOINT", endpoint, 1);
    setenv("IDENTITY_HEADER", "the-secret", 1);
    behave(200, 3600, 0);
    struct azblob *a = make(&config);
    ok(token(a, text) == TD_OK && request_has("GET /msi/token?api-version=2019-08-01&resource=") &&
           request_has("\r\nX-IDENTITY-HEADER: the-secret\r\n"),
       "IDENTITY_ENDPOINT");
    drop(a);
    unsetenv("IDENTITY_ENDPOINT");
    unsetenv("IDENTITY_HEADER");
    config.token_file = "/nowhere";
    ok(!make(&config) && strstr(why, "AZURE_CLIENT_ID"), "workload identity without an id: %s", why);
    setenv("AZURE_CLIENT_ID", "c", 1);
    setenv("AZURE_TENANT_ID", "t", 1);
    a = make(&config);
    ok(a && token(a, text) == TD_E_CONFIG && strstr(why, "/nowhere"), "or its file: %s", why);
    drop(a);
    setenv("AZURE_AUTHORITY_HOST", "http://login", 1);
    ok(!make(&config) && strstr(why, "https://"), "or over http: %s", why);
    unsetenv("AZURE_CLIENT_ID");
    unsetenv("AZURE_TENANT_ID");
    unsetenv("AZURE_AUTHORITY_HOST");
}

int main(void)
{
    static const char *const variables[] = {"IDENTITY_ENDPOINT",
                                            "IDENTITY_HEADER",
                                            "AZURE_CLIENT_ID",
                                            "AZURE_TENANT_ID",
                                            "AZURE_AUTHORITY_HOST",
                                            "AZURE_FEDERATED_TOKEN_FILE",
                                            "AZURE_POD_IDENTITY_AUTHORITY_HOST"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    t.host = (struct td_host){.size = sizeof(t.host), .fail = fail, .log = discard_log, .cancelled = is_cancelled};
    pthread_mutex_init(&t.lock, NULL);
    if (!ok(start_server(), "a source of tokens"))
        return tap_done();
    test_first();
    test_failures();
    test_renewal();
    test_environment();
    test_cancel();
    shutdown(t.fd, SHUT_RDWR);
    pthread_join(t.server, NULL);
    close(t.fd);
    return tap_done();
}
