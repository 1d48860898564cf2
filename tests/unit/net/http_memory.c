/* Memory that runs short at any place ends in an answer or the end of the connection, and in no leak. The switch for that is not made for
 * threads, so one request is made at a time. */
#include "service.h"

#include "base/log.h"
#include "net/http_client.h"

#define HEAD_END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#define GZIP_HEAD_END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n"

static struct service service;

/* Fails each allocation of a request in turn, until it needs no more of them. */
static void starve(const char *text)
{
    bool reached = true;
    unsigned tries = 0;
    for (; reached && tries < 200; tries++) {
        mem_fail_at(tries + 1);
        int fd = client_open(&service);
        uint8_t part[4096];
        client_send(fd, text, strlen(text));
        while (recv(fd, part, sizeof(part), 0) > 0)
            ;
        close(fd);
        struct http_server_stats stats;
        (void)eventually((http_server_stats(service.server, &stats), stats.connections == 0));
        reached = mem_failed();
    }
    mem_fail_at(0);
    ok(tries > 3 && tries < 200, "%u allocations failed in turn: %.25s", tries - 1, text);
}

static void starve_client(void)
{
    unsigned tries = 0;
    int status = TD_E_NOMEM;
    for (; status == TD_E_NOMEM && tries < 100; tries++) {
        struct http_client *c = NULL;
        mem_fail_at(tries + 1);
        status = http_client_new(&(struct http_client_options){.url = "http://a/", .token = ADMIN, .ca = "/b", .agent = "c"}, &c, NULL);
        mem_fail_at(0);
        http_client_free(c);
    }
    is_int(status, TD_OK, "a client needs little");
    ok(tries > 3, "%u allocations failed in turn", tries - 1);
}

int main(void)
{
    service_start(&service, (struct http_server_options){.tokens = NULL});
    atomic_store(&service.events, 3);
    log_set_level(0);
    starve("GET /fail?which=1" HEAD_END);
    starve("GET /text?size=5000" GZIP_HEAD_END);
    starve("GET /text_stream?size=5000" GZIP_HEAD_END);
    starve("GET /events?size=3" GZIP_HEAD_END);
    starve_client();
    log_set_level(TD_LOG_INFO);
    char *answer = client_ask(&service, "GET /hello" HEAD_END);
    like(answer, "hello", "and it goes on");
    mem_free(answer);
    service_stop(&service);
    return tap_done();
}
