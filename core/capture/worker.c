#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/privileges.h"
#include "capture/worker_internal.h"
#include "net/listen_address.h"
#include "net/token.h"

enum { POLL_MS = 200 };

int64_t worker_now(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* ---- From configuration to options ---- */

int worker_node_name(const struct config *c, char out[WORKER_NAME], struct error *err)
{
    snprintf(out, WORKER_NAME, "%s", c->tap.node);
    if (!*out && gethostname(out, WORKER_NAME - 1) != 0)
        return error_set(err, TD_E_CONFIG, "the host has no name; set tap.node");
    return TD_OK;
}

int worker_raw_path(const struct config *c, char out[WORKER_PATH], struct error *err)
{
    char below[WORKER_PATH];
    bool fits = *c->raw_capture.path ? config_path(c, c->raw_capture.path, out, WORKER_PATH)
                                     : (size_t)snprintf(below, sizeof(below), "%s/raw", c->tap.data_dir) < sizeof(below) &&
                                           config_path(c, below, out, WORKER_PATH);
    return fits ? TD_OK : error_set(err, TD_E_CONFIG, "the path of the raw capture is too long");
}

static struct ring_options ring_options(const struct config *c, const char *dir, const char *node)
{
    const struct raw_capture_config *raw = &c->raw_capture;
    return (struct ring_options){.dir = dir,
                                 .node = node,
                                 .storage_size = raw->storage_size,
                                 .segment_size = raw->segment_size,
                                 .segment_duration_ns = raw->segment_duration_ns,
                                 .min_free = raw->min_free_space,
                                 .compression_level = raw->compression == RAW_COMPRESSION_ZSTD ? (int)raw->compression_level : 0};
}

size_t worker_own_ports(const struct config *c, uint16_t own_port, uint16_t out[WORKER_OWN_PORTS])
{
    struct listen_address hub;
    struct error ignored;
    size_t n = 0;
    if (!c->capture.exclude_own_traffic)
        return 0;
    if (own_port)
        out[n++] = own_port;
    if (listen_address_parse(c->hub.listen, &hub, &ignored) == TD_OK) {
        const struct sockaddr_in *ipv4 = (const void *)&hub.address;
        const struct sockaddr_in6 *ipv6 = (const void *)&hub.address;
        uint16_t port = ntohs(hub.address.ss_family == AF_INET6 ? ipv6->sin6_port : ipv4->sin_port);
        if (port && port != own_port)
            out[n++] = port;
    }
    return n;
}

struct live_options worker_live_options(const struct config *c, const uint16_t *own_ports, size_t own_port_count)
{
    return (struct live_options){.interfaces = c->capture.interfaces.v,
                                 .interface_count = c->capture.interfaces.n,
                                 .filter = c->capture.bpf,
                                 .snaplen = (uint32_t)c->capture.snaplen,
                                 .buffer_size = c->capture.buffer_size,
                                 .promiscuous = c->capture.promiscuous,
                                 .own_ports = own_ports,
                                 .own_port_count = own_port_count};
}

bool worker_replays(const struct config *c)
{
    return *c->capture_source.file != 0;
}

/* ---- From the source to the ring ---- */

static int interface_up(void *ctx, const struct source_interface *i, uint32_t *ret_iface, struct error *err)
{
    struct worker *w = ctx;
    const struct ring_interface ri = {i->name, i->description, i->filter, i->linktype, i->snaplen};
    int status = ring_add_interface(w->ring, &ri, ret_iface, err);
    if (status != TD_OK)
        return status;
    struct interface_status *s = &w->interfaces[*ret_iface];
    pthread_mutex_lock(&w->lock);
    *s = (struct interface_status){.used = true, .up = true, .linktype = i->linktype};
    snprintf(s->name, sizeof(s->name), "%s", i->name ? i->name : "");
    pthread_mutex_unlock(&w->lock);
    log_event(TD_LOG_INFO, "worker", "capturing on %s, link type %u", i->name ? i->name : "an interface without a name", i->linktype);
    return TD_OK;
}

static void interface_down(void *ctx, uint32_t iface, const char *why)
{
    struct worker *w = ctx;
    ring_remove_interface(w->ring, iface, why);
    pthread_mutex_lock(&w->lock);
    w->interfaces[iface].up = false;
    log_event(TD_LOG_INFO, "worker", "no more packets from %s: %s", w->interfaces[iface].name, why);
    pthread_mutex_unlock(&w->lock);
}

static void packet(void *ctx, uint32_t iface, int64_t time_ns, const uint8_t *bytes, uint32_t caplen, uint32_t len)
{
    struct worker *w = ctx;
    ring_append(w->ring, iface, time_ns, bytes, caplen, len);
}

/* Drops into the segments and the statistics; time limits; flushing. */
static void tick(struct worker *w, int64_t now_ns)
{
    struct source_drops drops[WORKER_MAX_INTERFACES];
    struct ring_drops told[WORKER_MAX_INTERFACES];
    size_t n = w->source ? packet_source_drops(w->source, drops, WORKER_MAX_INTERFACES) : 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < n; i++) {
        struct interface_status *s = &w->interfaces[drops[i].iface];
        told[i] = (struct ring_drops){drops[i].iface, drops[i].received, drops[i].by_kernel, drops[i].by_interface};
        s->received += drops[i].received;
        s->by_kernel += drops[i].by_kernel;
        s->by_interface += drops[i].by_interface;
        w->received += drops[i].received;
        w->by_kernel += drops[i].by_kernel;
        w->by_interface += drops[i].by_interface;
    }
    pthread_mutex_unlock(&w->lock);
    ring_tick(w->ring, now_ns, told, n);
}

/* [the recorder] What worker_reload() has left for it. */
static void take_pending(struct worker *w)
{
    struct error err;
    pthread_mutex_lock(&w->lock);
    struct config *old = w->config, *c = w->pending;
    w->pending = NULL;
    if (c)
        w->config = c;
    pthread_mutex_unlock(&w->lock);
    if (!c)
        return;
    uint16_t ports[WORKER_OWN_PORTS];
    const struct live_options live = worker_live_options(c, ports, worker_own_ports(c, w->own_port, ports));
    if (!worker_replays(c) && packet_source_reconfigure(w->source, &live, &err) != TD_OK)
        log_event(TD_LOG_ERROR, "worker", "the changed configuration: %s; capturing goes on as before", err.text);
    config_free(old);
}

static void *record(void *arg)
{
    struct worker *w = arg;
    struct error err = {0};
    int64_t next_tick_ns = 0;
    while (!atomic_load(&w->stop)) {
        bool ended = false;
        if (!atomic_load(&w->source_ended)) {
            int status = packet_source_run(w->source, POLL_MS, &ended, &err);
            if (status != TD_OK) {
                log_event(TD_LOG_ERROR, "worker", "no more packets: %s", err.text);
                pthread_mutex_lock(&w->lock);
                snprintf(w->failure, sizeof(w->failure), "%.*s", (int)sizeof(w->failure) - 1, err.text);
                pthread_mutex_unlock(&w->lock);
            }
            if (ended || status != TD_OK)
                atomic_store(&w->source_ended, true);
            if (ended)
                log_event(TD_LOG_INFO, "worker", "%s is replayed to its end", w->source_file);
        } else {
            usleep(POLL_MS * 1000);
        }
        ring_publish(w->ring);
        int64_t now_ns = worker_now();
        if (now_ns >= next_tick_ns || next_tick_ns - now_ns > 2 * (int64_t)NS_PER_S) { /* or the clock was put back */
            tick(w, now_ns);
            next_tick_ns = now_ns + NS_PER_S / 2;
        }
        take_pending(w);
    }
    bool ended = atomic_load(&w->source_ended);
    /* What the kernel has taken and not handed over yet, it hands over within a tenth of a second. */
    if (!ended && !worker_replays(w->config) && packet_source_run(w->source, POLL_MS, &ended, &err) != TD_OK)
        log_event(TD_LOG_ERROR, "worker", "the last packets: %s", err.text);
    tick(w, worker_now());
    return NULL;
}

/* ---- Life ---- */

static int open_source(struct worker *w, struct error *err)
{
    const struct config *c = w->config;
    const struct source_sink sink = {w, interface_up, interface_down, packet};
    const struct file_options file = {.path = w->source_file,
                                      .pace = c->capture_source.pace == CAPTURE_PACE_ORIGINAL ? FILE_PACE_ORIGINAL : FILE_PACE_FULL,
                                      .times = c->capture_source.times == CAPTURE_TIMES_NOW ? FILE_TIMES_NOW : FILE_TIMES_ORIGINAL};
    uint16_t ports[WORKER_OWN_PORTS];
    const struct live_options live = worker_live_options(c, ports, worker_own_ports(c, w->own_port, ports));
    w->replays = worker_replays(c) && file.times == FILE_TIMES_ORIGINAL;
    if (!worker_replays(c))
        return packet_source_open_live(&live, &sink, &w->source, err);
    if (!config_path(c, c->capture_source.file, w->source_file, sizeof(w->source_file)))
        return error_set(err, TD_E_CONFIG, "the path of tap.capture.source.file is too long");
    return packet_source_open_file(&file, &sink, &w->source, err);
}

/* What of a configuration belongs to the API. */
struct api_parts {
    char token[TOKEN_MAX + 1], certificate[WORKER_PATH], key[WORKER_PATH];
    struct http_token tokens[1];
    size_t token_count;
};

/* Wipe the token, also after an error. */
static int read_parts(const struct config *c, struct api_parts *p, struct error *err)
{
    char token_file[WORKER_PATH];
    int status = TD_OK;
    *p = (struct api_parts){.token = ""};
    if (*c->worker.token_file) {
        if (!config_path(c, c->worker.token_file, token_file, sizeof(token_file)))
            return error_set(err, TD_E_CONFIG, "the path of tap.worker.tokenFile is too long");
        status = token_read_file(token_file, p->token, err);
    }
    if (status == TD_OK &&
        ((*c->worker_tls.certificate && !config_path(c, c->worker_tls.certificate, p->certificate, sizeof(p->certificate))) ||
         (*c->worker_tls.key && !config_path(c, c->worker_tls.key, p->key, sizeof(p->key)))))
        status = error_set(err, TD_E_CONFIG, "a path in tap.worker.tls is too long");
    p->tokens[0] = (struct http_token){.text = p->token, .role = HTTP_ADMIN};
    p->token_count = *p->token ? 1 : 0;
    return status;
}

/* Token and certificate are read while the process may still read them. */
int worker_open_server(struct worker *w, const struct config *c, struct error *err)
{
    struct api_parts parts;
    int status = read_parts(c, &parts, err);
    struct http_route_set sets[] = {{.ctx = w}, {.ctx = w}};
    sets[0].routes = worker_api_routes(&sets[0].n);
    sets[1].routes = worker_api_holds_routes(&sets[1].n);
    const struct http_server_options o = {.component = "worker",
                                          .listen = c->worker.listen,
                                          .tokens = parts.tokens,
                                          .token_count = parts.token_count,
                                          .tls_certificate = parts.certificate,
                                          .tls_key = parts.key,
                                          .sets = sets,
                                          .set_count = sizeof(sets) / sizeof(sets[0])};
    if (status == TD_OK)
        status = http_server_open(&o, &w->server, err);
    token_wipe(parts.token);
    return status;
}

/* The directory belongs to the user that the worker is going to be. */
static int give_directory(const struct worker *w, const char *user, struct error *err)
{
    const struct passwd *p = getpwnam(user);
    if (!p)
        return error_set(err, TD_E_CONFIG, "tap.worker.user: there is no user %s", user);
    if (mkdir(w->dir, 0750) != 0 && errno != EEXIST)
        return TD_OK; /* ring_open() makes the others, and tells what is wrong */
    if (chown(w->dir, p->pw_uid, p->pw_gid) != 0)
        return error_set(err, TD_E_DENIED, "%s cannot be given to user %s: %s", w->dir, user, strerror(errno));
    return TD_OK;
}

/* A recycled segment that somebody still holds takes two descriptors; nothing here uses select(). */
static void allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_event(TD_LOG_DEBUG, "worker", "the limit of open files stays: %s", strerror(errno));
}

static int start(struct worker *w, struct error *err)
{
    const struct config *c = w->config;
    const char *user = *c->worker.user ? c->worker.user : NULL;
    if (!c->raw_capture.enabled)
        return error_set(err, TD_E_CONFIG, "tap.capture.raw.enabled is false: a worker has nothing to do");
    int status = worker_node_name(c, w->node, err);
    if (status == TD_OK)
        status = worker_raw_path(c, w->dir, err);
    if (status == TD_OK)
        status = worker_open_server(w, c, err);
    if (status == TD_OK && user)
        status = give_directory(w, user, err);
    if (status == TD_OK)
        status = privileges_drop(user, !worker_replays(c), err);
    if (status != TD_OK)
        return status;
    w->own_port = http_server_port(w->server);
    const struct ring_options ro = ring_options(c, w->dir, w->node);
    allow_files();
    status = ring_open(&ro, &w->ring, err);
    if (status == TD_OK)
        status = holds_new(w->ring, (int64_t)HOLD_EXPIRES_S * NS_PER_S, &w->holds, err);
    if (status == TD_OK)
        status = open_source(w, err);
    if (status == TD_OK)
        status = http_server_start(w->server, err);
    if (status != TD_OK)
        return status;
    int failure = pthread_create(&w->recorder, NULL, record, w);
    w->recording = !failure;
    return failure ? error_set(err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure)) : TD_OK;
}

int worker_open(struct config *config, const char *version, struct worker **ret, struct error *err)
{
    struct worker *w = mem_calloc(1, sizeof(*w));
    if (!w) {
        config_free(config);
        return error_nomem(err);
    }
    w->config = config;
    w->version = version;
    w->started_ns = worker_now();
    pthread_mutex_init(&w->lock, NULL);
    int status = start(w, err);
    if (status == TD_OK)
        *ret = w;
    else
        worker_close(w);
    return status;
}

void worker_close(struct worker *w)
{
    if (!w)
        return;
    atomic_store(&w->stop, true);
    if (w->recording) {
        packet_source_wake(w->source);
        pthread_join(w->recorder, NULL);
    }
    packet_source_close(w->source); /* tells the ring which interfaces end */
    http_server_stop(w->server);    /* no window is open any more */
    holds_free(w->holds);
    ring_close(w->ring);
    config_free(w->pending);
    config_free(w->config);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

/* Logs what only a restart can change. */
static void compare(const struct worker *w, const struct config *c)
{
    const struct config *old = w->config;
    char dir[WORKER_PATH], node[WORKER_NAME];
    struct error ignored;
    const char *what = NULL;
    if (strcmp(old->worker.listen, c->worker.listen) != 0)
        what = "tap.worker.listen";
    else if (strcmp(old->worker.user, c->worker.user) != 0)
        what = "tap.worker.user";
    else if (strcmp(old->capture_source.file, c->capture_source.file) != 0)
        what = "tap.capture.source";
    else if (worker_node_name(c, node, &ignored) != TD_OK || strcmp(node, w->node) != 0)
        what = "tap.node";
    else if (worker_raw_path(c, dir, &ignored) != TD_OK || strcmp(dir, w->dir) != 0)
        what = "tap.capture.raw.path";
    if (what)
        log_event(TD_LOG_WARN, "worker", "%s has changed: that needs a restart", what);
}

int worker_prepare(struct worker *w, const struct config *c, struct http_server_change **ret, struct error *err)
{
    struct api_parts parts;
    int status = read_parts(c, &parts, err);
    if (status == TD_OK)
        status = http_server_prepare(w->server, parts.tokens, parts.token_count, parts.certificate, parts.key, ret, err);
    token_wipe(parts.token);
    return status;
}

void worker_take(struct worker *w, struct config *c, struct http_server_change *change)
{
    pthread_mutex_lock(&w->lock);
    compare(w, c);
    pthread_mutex_unlock(&w->lock);
    http_server_take(w->server, change);
    const struct ring_options ro = ring_options(c, w->dir, w->node);
    ring_reconfigure(w->ring, &ro);
    pthread_mutex_lock(&w->lock);
    config_free(w->pending);
    w->pending = c;
    pthread_mutex_unlock(&w->lock);
    packet_source_wake(w->source);
}

int worker_reload(struct worker *w, struct config *c, struct error *err)
{
    struct http_server_change *change = NULL;
    int status = worker_prepare(w, c, &change, err);
    if (status == TD_OK)
        worker_take(w, c, change);
    return status;
}

const char *worker_url(const struct worker *w)
{
    return http_server_url(w->server);
}
