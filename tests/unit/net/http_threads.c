/* Many clients at once, while tokens and certificate are replaced, and a stop in the middle of it. */
#include "service.h"

#include <pthread.h>

#include "certificate.h"

enum { CLIENTS = 20, REQUESTS = 5 };

static struct service service;
static atomic_uint good, cut;
static atomic_bool over;

/* All requests of a client on one connection, one after the other. */
static void *ask(void *ctx)
{
    const char *text = "GET /stream?size=200000&length=200000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " ADMIN "\r\n\r\n";
    int fd = client_open(&service);
    (void)ctx;
    for (int i = 0; i < REQUESTS; i++) {
        struct buf all = {.n = 0};
        const uint8_t *body = NULL;
        uint8_t part[20000];
        ssize_t n;
        client_send(fd, text, strlen(text));
        while ((!body || (size_t)(all.p + all.n - body) < 200004) && (n = recv(fd, part, sizeof(part), 0)) > 0) {
            buf_put(&all, part, (size_t)n);
            body = memmem(all.p, all.n, "\r\n\r\n", 4);
        }
        bool same = body && (size_t)(all.p + all.n - body) == 200004;
        for (size_t k = 0; same && k < 200000; k++)
            same = body[4 + k] == pattern(k);
        atomic_fetch_add(same ? &good : &cut, 1);
        buf_clear(&all);
    }
    close(fd);
    return NULL;
}

static void *change_tokens(void *ctx)
{
    (void)ctx;
    while (!atomic_load(&over)) {
        struct error err;
        if (http_server_set_tokens(service.server, all_tokens + 2, 1, &err) || http_server_set_tokens(service.server, all_tokens, 3, &err))
            break;
        struct http_server_stats stats;
        http_server_stats(service.server, &stats);
    }
    return NULL;
}

static void test_many(void)
{
    pthread_t clients[CLIENTS], changer;
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    pthread_create(&changer, NULL, change_tokens, NULL);
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, ask, NULL);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&over, true);
    pthread_join(changer, NULL);
    is_int(atomic_load(&good), CLIENTS * REQUESTS, "%d requests over %d connections are answered", CLIENTS * REQUESTS, CLIENTS);
    service_stop(&service);
}

static void test_stop_under_load(void)
{
    pthread_t clients[CLIENTS];
    atomic_store(&good, 0);
    service_start(&service, (struct http_server_options){.tokens = all_tokens, .token_count = 3});
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, ask, NULL);
    (void)eventually(atomic_load(&good) > 10);
    service_stop(&service);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    is_int(atomic_load(&good) + atomic_load(&cut), CLIENTS * REQUESTS, "every client sees an end when the server stops under load");
}

/* Handshakes that were begun keep their certificate. */
static void test_certificates(void)
{
    char dir[] = "/tmp/http_threads.XXXXXX", one[64], one_key[64], two[64], two_key[64], command[512];
    struct error err = {.text = ""};
    int status = 0;
    if (!mkdtemp(dir))
        return;
    snprintf(one, sizeof(one), "%s/one", dir);
    snprintf(one_key, sizeof(one_key), "%s/one.key", dir);
    snprintf(two, sizeof(two), "%s/two", dir);
    snprintf(two_key, sizeof(two_key), "%s/two.key", dir);
    certificate_make("one", 3600, one, one_key);
    certificate_make("two", 3600, two, two_key);
    service_start(&service, (struct http_server_options){.tls_certificate = one, .tls_key = one_key});
    /* New connections each, some in parallel; curl counts those that failed by its exit status. */
    snprintf(command, sizeof(command),
             "exec curl -q -s -k --noproxy '*' --max-time 20 -H 'Connection: close' --parallel --parallel-immediate -o /dev/null "
             "'https://127.0.0.1:%u/stream?size=[1-40]'",
             http_server_port(service.server));
    FILE *pipe = popen(command, "r");
    for (int i = 0; i < 100 && status == TD_OK; i++) {
        status = http_server_set_tls(service.server, i % 2 ? one : two, i % 2 ? one_key : two_key, &err);
        usleep(2000);
    }
    is_int(status, TD_OK, "a certificate is replaced often");
    is_int(pipe ? pclose(pipe) : -1, 0, "while handshakes go on");
    service_stop(&service);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    is_int(system(command), 0, "nothing is left behind");
}

int main(void)
{
    test_many();
    test_stop_under_load();
    test_certificates();
    return tap_done();
}
