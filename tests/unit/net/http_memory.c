/* Memory that runs short at any place ends in an answer or the end of the connection, and in no leak. The switch for that is not made for
 * threads, so one request is made at a time. */
#include "service.h"

#include "base/log.h"

#define HEAD_END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static struct service service;

int main(void)
{
    bool reached = true;
    unsigned tries = 0;
    service_start(&service, (struct http_server_options){.tokens = NULL});
    log_set_level(0);
    for (; reached && tries < 100; tries++) {
        mem_fail_at(tries + 1);
        char text[] = "GET /fail?which=1" HEAD_END;
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
    log_set_level(TD_LOG_INFO);
    ok(tries > 3 && tries < 100, "%u allocations failed in turn", tries - 1);
    char *answer = client_ask(&service, "GET /hello" HEAD_END);
    like(answer, "hello", "and it goes on");
    mem_free(answer);
    service_stop(&service);
    return tap_done();
}
