/* `tapedeck worker --check`: everything that starting would need, without starting. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/units.h"
#include "capture/worker_internal.h"

enum { LINE = 1024 };

struct check {
    const struct config *config;
    void (*tell)(void *ctx, bool good, const char *what);
    void *ctx;
    bool failed;
};

static void say(struct check *c, bool good, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct check *c, bool good, const char *fmt, ...)
{
    char line[LINE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    c->failed |= !good;
    c->tell(c->ctx, good, line);
}

/* The directory itself, or the nearest one above it that there is. */
static void existing_directory(const char *dir, char out[WORKER_PATH])
{
    struct stat st;
    snprintf(out, WORKER_PATH, "%s", dir);
    while (stat(out, &st) != 0 && strcmp(out, "/") != 0 && strcmp(out, ".") != 0) {
        char copy[WORKER_PATH];
        snprintf(copy, sizeof(copy), "%s", out);
        snprintf(out, WORKER_PATH, "%s", dirname(copy));
    }
}

static void check_space(struct check *c, const char *dir, const char *there)
{
    const struct raw_capture_config *raw = &c->config->raw_capture;
    struct statvfs fs;
    char want[UNITS_TEXT], have[UNITS_TEXT], floor[UNITS_TEXT];
    if (statvfs(there, &fs) != 0) {
        say(c, false, "%s: %s", there, strerror(errno));
        return;
    }
    uint64_t space = (uint64_t)fs.f_bavail * fs.f_frsize;
    units_format_size(raw->storage_size, want);
    units_format_size(space, have);
    units_format_size(raw->min_free_space, floor);
    /* What is there of the raw capture already counts in storageSize, so this may be too strict by that much. */
    if (space < raw->storage_size + raw->min_free_space && strcmp(dir, there) != 0)
        say(c, false, "room: %s free, but storageSize is %s and minFreeSpace %s; it would never fill up", have, want, floor);
    else
        say(c, true, "room: %s free, storageSize %s, minFreeSpace %s", have, want, floor);
}

static void check_directory(struct check *c)
{
    char dir[WORKER_PATH], there[WORKER_PATH], lock[WORKER_PATH + 8];
    struct error err;
    if (worker_raw_path(c->config, dir, &err) != TD_OK) {
        say(c, false, "%s", err.text);
        return;
    }
    existing_directory(dir, there);
    bool made = strcmp(dir, there) == 0;
    if (access(there, W_OK | X_OK) != 0)
        say(c, false, "directory %s: %s%s cannot be written: %s; choose another tap.capture.raw.path, or run as its owner", dir,
            made ? "it" : "it is not there, and ", made ? "" : there, strerror(errno));
    else
        say(c, true, "directory %s%s", dir, made ? "" : ": will be made");
    snprintf(lock, sizeof(lock), "%s/lock", dir);
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        say(c, false, "directory %s belongs to a worker that is running", dir);
    if (fd >= 0)
        close(fd);
    check_space(c, dir, there);
}

static void check_user(struct check *c)
{
    const char *user = c->config->worker.user;
    if (!*user)
        return;
    if (getpwnam(user))
        say(c, true, "user %s", user);
    else
        say(c, false, "user %s: there is none; make it, or leave tap.worker.user empty", user);
}

/* Token, certificate and port are checked by listening for a moment. */
static void check_server(struct check *c)
{
    struct worker w = {.config = NULL};
    struct error err;
    if (worker_open_server(&w, c->config, &err) == TD_OK)
        say(c, true, "API on %s%s", http_server_url(w.server), *c->config->worker.token_file ? ", with a token" : ", without a token");
    else
        say(c, false, "API: %s", err.text);
    http_server_stop(w.server);
}

static void pass_on(void *ctx, bool good, const char *what)
{
    struct check *c = ctx;
    c->failed |= !good;
    c->tell(c->ctx, good, what);
}

static void check_source(struct check *c)
{
    char path[WORKER_PATH];
    struct error err;
    const struct live_options live = worker_live_options(c->config, NULL, 0);
    if (!worker_replays(c->config)) {
        if (packet_source_check(&live, pass_on, c, &err) != TD_OK && !c->failed)
            say(c, false, "capture: %s", err.text);
        return;
    }
    if (!config_path(c->config, c->config->capture_source.file, path, sizeof(path)))
        say(c, false, "tap.capture.source.file: the path is too long");
    else if (strcmp(path, "-") != 0 && access(path, R_OK) != 0)
        say(c, false, "source %s: %s", path, strerror(errno));
    else
        say(c, true, "source %s", path);
}

bool worker_check(const struct config *config, void (*tell)(void *ctx, bool good, const char *what), void *ctx)
{
    struct check c = {.config = config, .tell = tell, .ctx = ctx};
    char node[WORKER_NAME];
    struct error err;
    if (!config->raw_capture.enabled)
        say(&c, false, "tap.capture.raw.enabled is false: a worker has nothing to do");
    if (worker_node_name(config, node, &err) == TD_OK)
        say(&c, true, "node %s", node);
    else
        say(&c, false, "%s", err.text);
    check_source(&c);
    check_directory(&c);
    check_user(&c);
    check_server(&c);
    return !c.failed;
}
