/* Calls as events of a search that takes long and finds nothing: heartbeats come meanwhile, and a token that is taken away is seen. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store.h"
#include "call_maker.h"
#include "filter/search.h"
#include "hub/kinds.h"
#include "hub/routes.h"
#include "tap.h"

enum { FIRST_CALLS = 2000, MOST_CALLS = 4000000, CHUNK = 100, LONG_S = 2, IDLE_S = 1, PATTERNS = 64, FILTER = 2600 };
#define TOKEN "viewer-0123456789abcdef"

static char dir[] = "/tmp/stream_test_XXXXXX";
static struct hub hub;
static struct call_maker maker;
static struct error err;
static char filter[FILTER];

static void must(int status)
{
    if (status == TD_OK)
        return;
    printf("Bail out! %s\n", err.text);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- What the stream is of: a dissection that runs, with a store that has grown ---- */

static int dissect(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *why)
{
    (void)ctx, (void)request, (void)again, (void)result;
    while (!atomic_load(job_cancelled(job)))
        usleep(1000);
    return error_set(why, TD_E_CANCELLED, "stopped");
}

static void begin_job(void)
{
    const struct job_kind kind = {.name = "dissect", .at_once = 1, .run = dissect};
    char path[sizeof(dir) + 16], id[JOB_ID];
    struct job_status job = {.state = JOB_PENDING};
    snprintf(path, sizeof(path), "%s/hub.db", dir);
    must(jobs_open(path, &kind, 1, &hub.jobs, &err));
    must(jobs_start(hub.jobs, &err));
    must(jobs_submit(hub.jobs, "dissect", "s/d", TD_LIT("{}"), id, &err));
    for (double until = seconds() + 10; job.state != JOB_RUNNING && seconds() < until; usleep(1000))
        must(jobs_status(hub.jobs, id, &job, &err));
    ok(job.state == JOB_RUNNING, "a dissection runs");
}

static void store_path(char out[sizeof(dir) + HUB_STORE_NAME + 1])
{
    char name[HUB_STORE_NAME];
    hub_store_name("s/d", name);
    snprintf(out, sizeof(dir) + HUB_STORE_NAME + 1, "%s/%s", dir, name);
}

/* In chunks that take little time each. */
static void write_store(unsigned n)
{
    char path[sizeof(dir) + HUB_STORE_NAME + 1];
    struct store_writer *w;
    const struct store_create_options o = {.registry = maker.registry,
                                           .components = maker.components,
                                           .component_n = 2,
                                           .appenders = 1,
                                           .about = TD_LIT("{}"),
                                           .replace = true,
                                           .disposable = true};
    store_path(path);
    must(store_create(path, &o, &w, &err));
    for (unsigned i = 0; i < n; i++) {
        must(store_append(w, 0, call_maker_next(&maker), &err));
        if (i % CHUNK == CHUNK - 1)
            must(store_flush(w, 0, &err));
    }
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
}

/* ---- A filter that no call fits ---- */

static void make_filter(void)
{
    size_t at = (size_t)snprintf(filter, sizeof(filter), "status_code==999");
    for (unsigned i = 0; i < PATTERNS; i++)
        at += (size_t)snprintf(filter + at, sizeof(filter) - at, "||path.matches(\"[a-z/]*%uq.*x$\")", i);
}

static double time_of_search(void)
{
    char path[sizeof(dir) + HUB_STORE_NAME + 1];
    struct store *s;
    struct search *search;
    struct filter_diagnostics diagnostics;
    const struct td_call *call = NULL;
    const struct search_options o = {.filter = filter, .as_found = true};
    store_path(path);
    must(store_open(path, &s, &err));
    filter_diagnostics_init(&diagnostics);
    double begin = seconds();
    must(search_open(s, &o, &search, &diagnostics, &err));
    must(search_next(search, &call, &err));
    double took = seconds() - begin;
    ok(!call, "no call fits");
    search_close(search);
    filter_diagnostics_clear(&diagnostics);
    store_free(s);
    return took;
}

/* As many calls as make it last, on this machine. */
static void make_long(void)
{
    double took = 0;
    for (unsigned n = FIRST_CALLS; took < LONG_S && n<MOST_CALLS; n = took> 0.1 ? (unsigned)(n * 1.3 * LONG_S / took) : 4 * n) {
        write_store(n);
        took = time_of_search();
        tap_diag("%u calls: %.2f s", n, took);
    }
    ok(took >= LONG_S, "a search that lasts");
}

/* ---- The stream ---- */

static struct http_server *serve(void)
{
    static const char *const parameters[] = {"db", "filter", "format", NULL};
    const struct hub_route *stream = &hub_routes_stream()->v[0];
    const struct http_route route = {"GET", stream->path, HTTP_VIEWER, parameters, 0, stream->handle};
    static struct http_route routes[1];
    const struct http_token token = {TOKEN, HTTP_VIEWER, NULL};
    struct http_server *server;
    routes[0] = route;
    const struct http_route_set set = {routes, 1, &hub};
    const struct http_server_options o = {.component = "test",
                                          .listen = "127.0.0.1:0",
                                          .tokens = &token,
                                          .token_count = 1,
                                          .idle_s = IDLE_S, /* a heartbeat every third of it */
                                          .sets = &set,
                                          .set_count = 1};
    must(http_server_open(&o, &server, &err));
    must(http_server_start(server, &err));
    return server;
}

static int ask(const struct http_server *server)
{
    struct buf request = {.n = 0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(http_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    buf_lit(&request, "GET /api/v1/calls/stream?db=s/d&filter=");
    for (const char *p = filter; *p; p++)
        buf_printf(&request, "%%%02x", (unsigned)*p);
    buf_lit(&request, " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0 || send(fd, request.p, request.n, MSG_NOSIGNAL) != (ssize_t)request.n)
        exit(1);
    buf_clear(&request);
    return fd;
}

/* Reads until the text has come so often, or so late. */
static bool comes(int fd, struct buf *all, const char *text, unsigned times, double until)
{
    for (struct pollfd p = {.fd = fd, .events = POLLIN}; seconds() < until;) {
        uint8_t part[4096];
        ssize_t n = poll(&p, 1, 20) > 0 ? recv(fd, part, sizeof(part), 0) : 0;
        buf_put(all, part, n > 0 ? (size_t)n : 0);
        unsigned found = 0;
        for (const char *at = buf_cstr(all); (at = strstr(at, text)) != NULL; at++)
            found++;
        if (found >= times)
            return true;
    }
    return false;
}

static void test_heartbeats(void)
{
    static const struct http_token other = {"another-0123456789abcdef", HTTP_VIEWER, NULL};
    struct http_server *server = serve();
    struct buf all = {.n = 0};
    double begin = seconds();
    int fd = ask(server);
    ok(comes(fd, &all, "event: dissecting\n", 1, begin + LONG_S), "the stream begins");
    ok(comes(fd, &all, ":\n\n", 3, begin + LONG_S), "heartbeats come while calls are looked for");
    must(http_server_set_tokens(server, &other, 1, &err));
    ok(comes(fd, &all, "\r\n0\r\n\r\n", 1, begin + LONG_S), "and when its token is taken away it ends");
    tap_diag("after %.2f s", seconds() - begin);
    ok(!strstr(buf_cstr(&all), "event: problem"), "without anything else");
    close(fd);
    http_server_stop(server);
    buf_clear(&all);
}

int main(void)
{
    char path[sizeof(dir) + HUB_STORE_NAME + 1];
    if (!mkdtemp(dir))
        return 1;
    signal(SIGPIPE, SIG_IGN);
    log_set_level(0);
    call_maker_init(&maker, 3);
    snprintf(hub.work_dir, sizeof(hub.work_dir), "%s", dir);
    hub.fields = maker.registry;
    make_filter();
    make_long();
    begin_job();
    test_heartbeats();
    jobs_close(hub.jobs);
    store_path(path);
    unlink(path);
    snprintf(path, sizeof(path), "%s/hub.db", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/hub.db-journal", dir);
    unlink(path);
    ok(rmdir(dir) == 0, "nothing is left");
    call_maker_clear(&maker);
    return tap_done();
}
