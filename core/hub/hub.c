#include "base/clock.h"
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/hub_internal.h"
#include "hub/kinds.h"
#include "hub/routes.h"
#include "net/token.h"
#include "plugin/host.h"

enum { ROUTES_MEMORY = 1 << 20, MAX_CONNECTIONS = 256 };

/* ---- Directories ---- */

int hub_set_paths(struct hub *hub, const struct config *c, struct error *err)
{
    char below[HUB_PATH];
    bool fits = config_path(c, c->tap.data_dir, hub->data_dir, sizeof(hub->data_dir));
    fits = fits && snprintf(hub->hub_dir, HUB_PATH, "%s/hub", hub->data_dir) < HUB_PATH - 64;
    fits = fits && snprintf(hub->work_dir, HUB_PATH, "%s/work", hub->hub_dir) < HUB_PATH - 64;
    fits = fits && snprintf(below, sizeof(below), "%s/snapshots", c->tap.data_dir) < HUB_PATH;
    const char *snapshots = *c->local_snapshots.path ? c->local_snapshots.path : below;
    fits = fits && config_path(c, snapshots, hub->snapshots_dir, sizeof(hub->snapshots_dir));
    return fits ? TD_OK : error_set(err, TD_E_CONFIG, "tap.dataDir or tap.snapshots.local.path is too long");
}

/* And those above it. */
static int make_directory(const char *path, struct error *err)
{
    char part[HUB_PATH];
    struct stat st;
    for (size_t n = 1; n <= strlen(path) && n < sizeof(part); n++) {
        if (path[n] != '/' && path[n] != '\0')
            continue;
        memcpy(part, path, n);
        part[n] = '\0';
        if (mkdir(part, 0750) != 0 && errno != EEXIST && !(stat(part, &st) == 0 && S_ISDIR(st.st_mode)))
            return error_set(err, errno == EACCES || errno == EPERM ? TD_E_DENIED : TD_E_CONFIG,
                             "directory %s cannot be made: %s; choose another tap.dataDir, or run as its owner", part, strerror(errno));
    }
    return TD_OK;
}

static int lock_directory(struct hub *hub, struct error *err)
{
    char path[HUB_PATH + 8];
    snprintf(path, sizeof(path), "%s/lock", hub->hub_dir);
    hub->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (hub->lock_fd < 0)
        return error_set(err, errno == EACCES ? TD_E_DENIED : TD_E_CONFIG, "%s: %s", path, strerror(errno));
    if (flock(hub->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, TD_E_EXISTS, "%s belongs to a hub that is running", hub->hub_dir);
    return TD_OK;
}

/* What comes in becomes part of a snapshot by a link; between file systems it has to be copied. */
static void compare_devices(const struct hub *hub)
{
    struct stat work, snapshots;
    if (stat(hub->work_dir, &work) == 0 && stat(hub->snapshots_dir, &snapshots) == 0 && work.st_dev != snapshots.st_dev)
        log_event(TD_LOG_WARN, "hub", "%s and %s are on different file systems: everything will be copied", hub->work_dir,
                  hub->snapshots_dir);
}

static int open_directories(struct hub *hub, struct error *err)
{
    int status = hub_set_paths(hub, hub->config, err);
    if (status == TD_OK)
        status = make_directory(hub->work_dir, err);
    if (status == TD_OK)
        status = make_directory(hub->snapshots_dir, err);
    if (status == TD_OK)
        status = lock_directory(hub, err);
    if (status == TD_OK)
        compare_devices(hub);
    return status;
}

/* ---- The server ---- */

static int put_path(const struct config *c, const char *path, const char *what, char out[HUB_PATH], struct error *err)
{
    *out = '\0';
    if (*path && !config_path(c, path, out, HUB_PATH))
        return error_set(err, TD_E_CONFIG, "the path of %s is too long", what);
    return TD_OK;
}

/* What of a configuration belongs to the API. */
struct api_parts {
    char certificate[HUB_PATH], key[HUB_PATH];
    struct token_roles roles;
    bool roles_read;
};

static void clear_parts(struct api_parts *p)
{
    if (p->roles_read)
        token_roles_wipe(&p->roles);
}

/* Clear them, also after an error. */
static int read_parts(const struct config *c, struct api_parts *p, struct error *err)
{
    char file[HUB_PATH];
    p->roles_read = false;
    p->roles.n = 0;
    int status = put_path(c, c->hub.token_file, "tap.hub.tokenFile", file, err);
    if (status == TD_OK)
        status = put_path(c, c->hub_tls.certificate, "tap.hub.tls.cert", p->certificate, err);
    if (status == TD_OK)
        status = put_path(c, c->hub_tls.key, "tap.hub.tls.key", p->key, err);
    p->roles_read = status == TD_OK && *file;
    return p->roles_read ? token_read_roles(file, &p->roles, err) : status;
}

int hub_open_server(struct hub *hub, const struct config *c, struct error *err)
{
    struct api_parts parts;
    int status = read_parts(c, &parts, err);
    const struct http_route_set set = {hub->routes, hub->route_count, hub};
    const struct http_server_options o = {.component = "hub",
                                          .listen = c->hub.listen,
                                          .tokens = parts.roles.tokens,
                                          .token_count = parts.roles.n,
                                          .tls_certificate = parts.certificate,
                                          .tls_key = parts.key,
                                          .tls_required = true,
                                          .max_connections = MAX_CONNECTIONS,
                                          .sets = &set,
                                          .set_count = 1,
                                          .answered = audit_request,
                                          .answered_ctx = hub->audit};
    if (status == TD_OK)
        status = http_server_open(&o, &hub->server, err);
    clear_parts(&parts);
    return status;
}

static int prepare_server(struct hub *hub, const struct config *c, struct http_server_change **ret, struct error *err)
{
    struct api_parts parts;
    int status = read_parts(c, &parts, err);
    if (status == TD_OK)
        status = http_server_prepare(hub->server, parts.roles.tokens, parts.roles.n, parts.certificate, parts.key, ret, err);
    clear_parts(&parts);
    return status;
}

/* ---- Workers ---- */

/* The token of a file; NULL if there is no file. mem_free() it. */
static int read_token(const struct config *c, const char *path, const char *what, char **ret, struct error *err)
{
    char token[TOKEN_MAX + 1], file[HUB_PATH];
    *ret = NULL;
    int status = put_path(c, path, what, file, err);
    if (status != TD_OK || !*file)
        return status;
    status = token_read_file(file, token, err);
    if (status != TD_OK)
        return status;
    *ret = mem_strdup(token);
    token_wipe(token);
    return *ret ? TD_OK : error_nomem(err);
}

static void free_token(char *token)
{
    if (token)
        explicit_bzero(token, strlen(token));
    mem_free(token);
}

struct sources {
    struct nodes_source *v;
    size_t n;
    char *token, *own_token, ca[HUB_PATH], own_ca[HUB_PATH];
};

static void sources_clear(struct sources *s)
{
    free_token(s->token);
    free_token(s->own_token);
    mem_free(s->v);
}

/* The worker of this process has the token and the certificate that it is configured with. */
static int sources_init(struct sources *s, const struct hub *hub, const struct config *c, struct error *err)
{
    *s = (struct sources){.v = mem_calloc(c->hub.workers.n + 1, sizeof(*s->v))};
    int status = s->v ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = read_token(c, c->hub.worker_token_file, "tap.hub.workerTokenFile", &s->token, err);
    if (status == TD_OK)
        status = put_path(c, c->hub.worker_ca, "tap.hub.workerCa", s->ca, err);
    if (status == TD_OK && *hub->own_url)
        status = read_token(c, c->worker.token_file, "tap.worker.tokenFile", &s->own_token, err);
    if (status == TD_OK && *hub->own_url)
        status = put_path(c, c->worker_tls.certificate, "tap.worker.tls.cert", s->own_ca, err);
    if (status != TD_OK) {
        sources_clear(s);
        return status;
    }
    if (*hub->own_url)
        s->v[s->n++] = (struct nodes_source){hub->own_url, s->own_token, s->own_ca};
    for (size_t i = 0; i < c->hub.workers.n; i++)
        s->v[s->n++] = (struct nodes_source){c->hub.workers.v[i], s->token, s->ca};
    return TD_OK;
}

static int open_nodes(struct hub *hub, const struct config *c, struct error *err)
{
    struct sources s;
    char agent[80];
    int status = sources_init(&s, hub, c, err);
    if (status != TD_OK)
        return status;
    snprintf(agent, sizeof(agent), "tapedeck/%.60s", hub->version);
    const struct nodes_options o = {.sources = s.v, .source_count = s.n, .agent = agent};
    status = hub->nodes ? nodes_set_sources(hub->nodes, s.v, s.n, err) : nodes_open(&o, &hub->nodes, err);
    sources_clear(&s);
    return status;
}

/* ---- Life ---- */

static int open_exporters(struct hub *hub, struct error *err)
{
    static const char *const names[HUB_EXPORTERS] = {[HUB_PCAP] = "pcap", [HUB_PCAPNG] = "pcapng"};
    int status = TD_OK;
    for (size_t i = 0; i < HUB_EXPORTERS && status == TD_OK; i++) {
        const struct plugin_component *c = registry_find(hub->registry, TD_KIND_EXPORTER, names[i]);
        const struct yaml_node *options = config_component(hub->config, TD_KIND_EXPORTER, names[i]);
        if (c)
            status = instance_create(c, options, &hub->host, &hub->exporters[i], err);
    }
    return status;
}

static int open_plugins(struct hub *hub, struct error *err)
{
    int status = registry_open(hub->config, &hub->registry, err);
    if (status != TD_OK)
        return status;
    host_init_control(&hub->host);
    status = enabled_dissectors_open(&hub->dissectors, hub->config, hub->registry, err);
    hub->dissectors_open = status == TD_OK;
    if (status == TD_OK)
        status = enabled_dissectors_fields(&hub->dissectors, &hub->fields, err);
    return status == TD_OK ? open_exporters(hub, err) : status;
}

/* The storage, and in it the snapshots: those that are whole, and what unfinished jobs will need. */
static int open_snapshots(struct hub *hub, struct error *err)
{
    char path[HUB_PATH + 16];
    size_t n;
    snprintf(path, sizeof(path), "%s/hub.db", hub->hub_dir);
    int status = storage_open_local(hub->registry, &hub->host, hub->snapshots_dir, &hub->storage, err);
    if (status == TD_OK)
        status = storage_check(hub->storage, err);
    struct job_kind *kinds = hub_kinds(hub, &n);
    if (status == TD_OK)
        status = kinds ? jobs_open(path, kinds, n, &hub->jobs, err) : error_nomem(err);
    mem_free(kinds);
    if (status == TD_OK)
        status = snapshots_open(hub->storage, hub->config->local_snapshots.storage_size, hub_is_busy, hub, &hub->snapshots, err);
    if (status == TD_OK)
        hub_sweep_imports(hub);
    return status;
}

static int open_audit(struct hub *hub, const struct config *c, struct error *err)
{
    char path[HUB_PATH];
    int status = put_path(c, c->hub.audit_log, "tap.hub.auditLog", path, err);
    return status == TD_OK ? audit_open(path, &hub->audit, err) : status;
}

static int start(struct hub *hub, struct error *err)
{
    int status = open_directories(hub, err);
    if (status == TD_OK)
        status = open_audit(hub, hub->config, err);
    if (status == TD_OK)
        status = hub_routes_make(&hub->arena, &hub->routes, &hub->route_count, err);
    if (status == TD_OK)
        status = hub_open_server(hub, hub->config, err); /* first of what others may have: nothing else is touched in vain */
    if (status == TD_OK)
        status = open_plugins(hub, err);
    if (status == TD_OK)
        status = open_nodes(hub, hub->config, err);
    if (status == TD_OK)
        status = open_snapshots(hub, err);
    if (status == TD_OK)
        status = hub_cloud_open(hub, err);
    if (status == TD_OK) {
        hub_sweep_transfers(hub);
        status = jobs_start(hub->jobs, err);
    }
    if (status == TD_OK)
        status = http_server_start(hub->server, err);
    return status;
}

int hub_open(struct config *config, const char *version, const struct hub_own_worker *own, struct hub **ret, struct error *err)
{
    struct hub *hub = mem_calloc(1, sizeof(*hub));
    if (!hub) {
        config_free(config);
        return error_nomem(err);
    }
    hub->config = config;
    hub->version = version;
    hub->lock_fd = -1;
    hub->started_ns = clock_ns(CLOCK_REALTIME);
    arena_init(&hub->arena, ROUTES_MEMORY);
    hub_cloud_init(&hub->cloud);
    snprintf(hub->own_url, sizeof(hub->own_url), "%s", own ? own->url : "");
    int status = start(hub, err);
    if (status == TD_OK)
        *ret = hub;
    else
        hub_close(hub);
    return status;
}

void hub_close(struct hub *hub)
{
    if (!hub)
        return;
    if (hub->jobs) {
        jobs_wake(hub->jobs); /* who listens to jobs is not waited for */
        jobs_stop(hub->jobs);
    }
    if (hub->cloud.cloud)
        cloud_cancel(hub->cloud.cloud); /* what waits for the network: jobs, which know by now that they go on later, and requests */
    http_server_stop(hub->server);
    jobs_close(hub->jobs);
    hub_cloud_close(&hub->cloud);
    nodes_close(hub->nodes);
    if (hub->snapshots)
        snapshots_close(hub->snapshots);
    storage_close(hub->storage);
    field_registry_free(hub->fields);
    if (hub->dissectors_open)
        enabled_dissectors_close(&hub->dissectors);
    for (size_t i = 0; i < HUB_EXPORTERS; i++)
        instance_destroy(hub->exporters[i]);
    registry_free(hub->registry);
    audit_close(hub->audit);
    if (hub->lock_fd >= 0)
        close(hub->lock_fd);
    arena_clear(&hub->arena);
    config_free(hub->config);
    mem_free(hub);
}

/* Logs what only a restart can change. */
static void compare(const struct hub *hub, const struct config *c)
{
    const struct config *old = hub->config;
    const char *what = NULL;
    if (strcmp(old->hub.listen, c->hub.listen) != 0)
        what = "tap.hub.listen";
    else if (strcmp(old->tap.data_dir, c->tap.data_dir) != 0)
        what = "tap.dataDir";
    else if (strcmp(old->local_snapshots.path, c->local_snapshots.path) != 0)
        what = "tap.snapshots.local.path";
    else if (strcmp(old->delayed_dissection.cpu, c->delayed_dissection.cpu) != 0 ||
             old->delayed_dissection.memory != c->delayed_dissection.memory)
        what = "tap.delayedDissection";
    else if (hub_cloud_differs(old, c))
        what = "tap.snapshots.cloud";
    else if (old->hub.worker_patience_ns != c->hub.worker_patience_ns)
        what = "tap.hub.workerPatience";
    if (what)
        log_event(TD_LOG_WARN, "hub", "%s has changed: that needs a restart", what);
}

static void take_limit(struct hub *hub, const struct config *c)
{
    char limit[UNITS_TEXT], before[UNITS_TEXT], used[UNITS_TEXT];
    struct snapshots_room room;
    uint64_t wanted = c->local_snapshots.storage_size;
    snapshots_room(hub->snapshots, &room);
    if (wanted == room.limit)
        return;
    snapshots_set_limit(hub->snapshots, wanted);
    bool full = room.used + room.reserved > wanted;
    log_event(full ? TD_LOG_WARN : TD_LOG_INFO, "hub", "tap.snapshots.local.storageSize is %s now instead of %s; snapshots have %s%s",
              units_format_size(wanted, limit), units_format_size(room.limit, before), units_format_size(room.used + room.reserved, used),
              full ? ", more than that: there can be no new ones until some are deleted" : "");
}

static int prepare_audit(const struct config *c, struct audit_file **ret, struct error *err)
{
    char path[HUB_PATH];
    int status = put_path(c, c->hub.audit_log, "tap.hub.auditLog", path, err);
    return status == TD_OK ? audit_prepare(path, ret, err) : status;
}

/* All of it or nothing: what can fail comes before what is done. */
int hub_reload(struct hub *hub, struct config *c, struct error *err)
{
    struct http_server_change *server = NULL;
    struct audit_file *file = NULL;
    int status = prepare_server(hub, c, &server, err);
    if (status == TD_OK)
        status = prepare_audit(c, &file, err);
    if (status == TD_OK)
        status = open_nodes(hub, c, err); /* the last, for on errors it changes nothing itself */
    if (status != TD_OK) {
        http_server_forget(server);
        audit_forget(file);
        return status;
    }
    http_server_take(hub->server, server);
    audit_take(hub->audit, file);
    compare(hub, c);
    take_limit(hub, c);
    config_free(c);
    return TD_OK;
}

const char *hub_url(const struct hub *hub)
{
    return http_server_url(hub->server);
}
