/* `tapedeck hub --check`: everything that starting would need, without starting. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/units.h"
#include "dissect/dissection.h"
#include "hub/hub_internal.h"
#include "hub/routes.h"
#include "plugin/host.h"

struct check {
    const struct config *config;
    void (*tell)(void *ctx, bool good, const char *what);
    void *ctx;
    bool failed;
};

static void say(struct check *c, bool good, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct check *c, bool good, const char *fmt, ...)
{
    char line[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    c->failed |= !good;
    c->tell(c->ctx, good, line);
}

/* The directory itself, or the nearest one above it that there is. */
static void existing_directory(const char *dir, char out[HUB_PATH])
{
    struct stat st;
    snprintf(out, HUB_PATH, "%s", dir);
    while (stat(out, &st) != 0 && strcmp(out, "/") != 0 && strcmp(out, ".") != 0) {
        char copy[HUB_PATH];
        snprintf(copy, sizeof(copy), "%s", out);
        snprintf(out, HUB_PATH, "%s", dirname(copy));
    }
}

static void check_directory(struct check *c, const char *dir)
{
    char there[HUB_PATH];
    existing_directory(dir, there);
    bool made = strcmp(dir, there) == 0;
    if (access(there, W_OK | X_OK) != 0)
        say(c, false, "directory %s: %s%s cannot be written: %s; choose another tap.dataDir, or run as its owner", dir,
            made ? "it" : "it is not there, and ", made ? "" : there, strerror(errno));
    else
        say(c, true, "directory %s%s", dir, made ? "" : ": will be made");
}

static void check_lock(struct check *c, const struct hub *hub)
{
    char path[HUB_PATH + 8];
    snprintf(path, sizeof(path), "%s/lock", hub->hub_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        say(c, false, "directory %s belongs to a hub that is running", hub->hub_dir);
    if (fd >= 0)
        close(fd);
}

static void check_room(struct check *c, const struct hub *hub)
{
    char there[HUB_PATH], want[UNITS_TEXT], have[UNITS_TEXT];
    struct statvfs fs;
    existing_directory(hub->snapshots_dir, there);
    if (statvfs(there, &fs) != 0) {
        say(c, false, "%s: %s", there, strerror(errno));
        return;
    }
    units_format_size(c->config->local_snapshots.storage_size, want);
    units_format_size((uint64_t)fs.f_bavail * fs.f_frsize, have);
    say(c, true, "room: %s free, storageSize %s", have, want);
}

static void check_workers(struct check *c)
{
    struct error err;
    const struct td_strlist *list = &c->config->hub.workers;
    for (size_t i = 0; i < list->n; i++)
        if (nodes_check_spec(list->v[i], &err) == TD_OK)
            say(c, true, "worker %s", list->v[i]);
        else
            say(c, false, "tap.hub.workers: %s", err.text);
}

/* Puts, gets and removes a trial object there, as the start does. */
static void check_cloud(struct check *c, const struct hub *hub, const struct registry *registry)
{
    struct buf found = {.n = 0};
    struct error err;
    if (hub_cloud_try(c->config, registry, hub->snapshots_dir, &found, &err) == TD_OK)
        say(c, true, "%s", buf_cstr(&found));
    else
        say(c, false, "%s", err.text);
    buf_clear(&found);
}

static void check_plugins(struct check *c, const struct hub *hub)
{
    struct registry *registry = NULL;
    struct enabled_dissectors dissectors;
    struct error err;
    int status = registry_open(c->config, &registry, &err);
    if (status == TD_OK && !registry_find(registry, TD_KIND_STORAGE, "local"))
        status = error_set(&err, TD_E_NOT_FOUND, "there is no storage plugin \"local\"; `tapedeck plugin list` shows where was searched");
    if (status == TD_OK)
        status = enabled_dissectors_open(&dissectors, c->config, registry, &err);
    if (status == TD_OK) {
        say(c, true, "plugins: storage local, %u dissectors", dissectors.instance_n);
        enabled_dissectors_close(&dissectors);
    } else {
        say(c, false, "plugins: %s", err.text);
    }
    if (status == TD_OK)
        check_cloud(c, hub, registry);
    registry_free(registry);
}

/* Tokens, certificate and port are checked by listening for a moment. */
static void check_server(struct check *c, struct hub *hub)
{
    struct error err;
    const char *file = c->config->hub.token_file;
    int status = hub_routes_make(&hub->arena, &hub->routes, &hub->route_count, &err);
    if (status == TD_OK)
        status = hub_open_server(hub, c->config, &err);
    if (status == TD_OK)
        say(c, true, "API on %s%s", http_server_url(hub->server), *file ? ", with tokens" : ", without tokens");
    else
        say(c, false, "API: %s", err.text);
    http_server_stop(hub->server);
}

bool hub_check(const struct config *config, const char *version, void (*tell)(void *ctx, bool good, const char *what), void *ctx)
{
    struct check c = {.config = config, .tell = tell, .ctx = ctx};
    struct hub hub = {.version = version, .lock_fd = -1};
    struct error err;
    char sandbox[128];
    arena_init(&hub.arena, 1 << 20);
    if (hub_set_paths(&hub, config, &err) != TD_OK) {
        say(&c, false, "%s", err.text);
    } else {
        check_directory(&c, hub.hub_dir);
        check_directory(&c, hub.snapshots_dir);
        check_lock(&c, &hub);
        check_room(&c, &hub);
    }
    check_plugins(&c, &hub);
    dissection_sandbox_text(sandbox);
    say(&c, true, "sandbox of dissections: %s", sandbox);
    check_workers(&c);
    check_server(&c, &hub);
    arena_clear(&hub.arena);
    return !c.failed;
}
