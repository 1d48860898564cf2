#include "base/clock.h"
#include "hub/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"

struct audit {
    pthread_mutex_t lock;
    int fd; /* -1: the log */
    bool failing;
};

static int open_file(const char *path, int *ret, struct error *err)
{
    *ret = -1;
    if (!*path)
        return TD_OK;
    *ret = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0640);
    if (*ret < 0)
        return error_set(err, errno == EACCES || errno == EPERM ? TD_E_DENIED : TD_E_CONFIG, "the audit log %s: %s", path, strerror(errno));
    return TD_OK;
}

int audit_open(const char *path, struct audit **ret, struct error *err)
{
    struct audit *a = mem_calloc(1, sizeof(*a));
    if (!a)
        return error_nomem(err);
    int status = open_file(path, &a->fd, err);
    if (status != TD_OK) {
        mem_free(a);
        return status;
    }
    pthread_mutex_init(&a->lock, NULL);
    *ret = a;
    return TD_OK;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    if (a->fd >= 0)
        close(a->fd);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
}

struct audit_file {
    int fd; /* -1: the log */
};

int audit_prepare(const char *path, struct audit_file **ret, struct error *err)
{
    struct audit_file *file = mem_calloc(1, sizeof(*file));
    if (!file)
        return error_nomem(err);
    int status = open_file(path, &file->fd, err);
    if (status == TD_OK)
        *ret = file;
    else
        mem_free(file);
    return status;
}

void audit_forget(struct audit_file *file)
{
    if (file && file->fd >= 0)
        close(file->fd);
    mem_free(file);
}

void audit_take(struct audit *a, struct audit_file *file)
{
    pthread_mutex_lock(&a->lock);
    int old = a->fd;
    a->fd = file->fd;
    pthread_mutex_unlock(&a->lock);
    file->fd = old;
    audit_forget(file);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), end_n = strlen(end);
    return n >= end_n && strcmp(text + n - end_n, end) == 0;
}

/* What changes something, takes packets away, or was refused. Questions that are too long for a path are posted. It is the route that
 * says what is done: the path may be written in many ways, and is cut. */
static bool is_wanted(const struct http_answered *q)
{
    const char *route = q->route ? q->route : "";
    bool reads = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0 || strcmp(q->method, "OPTIONS") == 0;
    if (q->status == 401 || q->status == 403)
        return true;
    if (reads)
        return ends_with(route, "/pcap") || ends_with(route, "/pcapng") || ends_with(route, "/archive");
    return strncmp(route, "/api/v1/filter/", 15) != 0 && strcmp(route, "/api/v1/calls") != 0;
}

static const char *role_of(const struct http_answered *q)
{
    return q->role == HTTP_ANYONE ? "none" : http_role_name(q->role);
}

static void put_line(struct buf *b, const struct http_answered *q)
{
    char time[UNITS_TEXT];
    units_format_time(clock_ns(CLOCK_REALTIME), time);
    buf_printf(b, "time=%s who=", time);
    json_put_string(b, td_str(q->who));
    buf_printf(b, " role=%s address=", role_of(q));
    json_put_string(b, td_str(q->address));
    buf_printf(b, " method=%s path=", q->method);
    json_put_string(b, td_str(q->path));
    buf_printf(b, " status=%u bytes=%llu duration=%.3f complete=%s\n", q->status, (unsigned long long)q->bytes,
               (double)q->duration_ns / NS_PER_S, q->complete ? "true" : "false");
}

void audit_request(void *audit, const struct http_answered *q)
{
    struct audit *a = audit;
    struct buf line = {.max = 8192};
    if (!is_wanted(q))
        return;
    put_line(&line, q);
    pthread_mutex_lock(&a->lock);
    bool good = line.n && !line.failed && (a->fd < 0 || write(a->fd, line.p, line.n) == (ssize_t)line.n);
    bool tell = !good && !a->failing, to_log = a->fd < 0 || !good;
    a->failing = !good;
    pthread_mutex_unlock(&a->lock);
    if (tell)
        log_event(TD_LOG_ERROR, "audit", "the audit log cannot be written: %s; lines go into the log", strerror(errno));
    if (to_log)
        log_event(TD_LOG_INFO, "audit", "who=%s role=%s %s %s: %u", q->who, role_of(q), q->method, q->path, q->status);
    buf_clear(&line);
}
