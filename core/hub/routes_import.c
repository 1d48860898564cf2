/* Importing: a file comes in as the body of a request, and becomes the work of a job. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/kinds.h"
#include "hub/routes.h"

enum { ROOM_STEP = 16 << 20 };

struct upload {
    struct hub *hub;
    int fd;
    uint64_t bytes, reserved;
    bool kept; /* it belongs to a job */
    char name[MANIFEST_NAME], id[MANIFEST_ID];
};

/* ---- The body ---- */

/* The room is that of snapshots: the disk is the same. */
static int take_room(struct upload *u, struct http_request *q, uint64_t bytes, struct error *err)
{
    if (u->reserved - u->bytes >= bytes)
        return TD_OK;
    uint64_t more = bytes - (u->reserved - u->bytes);
    more = more > UINT64_MAX - ROOM_STEP ? more : (more + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    int status = snapshots_reserve(u->hub->snapshots, more, err);
    if (status == TD_OK)
        u->reserved += more;
    else if (status == TD_E_LIMIT)
        http_reply_problem(q, 507, "no_room", "%s", err->text);
    return status == TD_E_LIMIT ? TD_OK : status;
}

static int write_all(struct upload *u, struct http_request *q, struct td_slice piece, struct error *err)
{
    while (piece.n) {
        ssize_t n = write(u->fd, piece.p, piece.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT)) {
            http_reply_problem(q, 507, "no_room", "the upload cannot be written: %s", strerror(errno));
            return TD_OK;
        }
        if (n < 0)
            return error_set(err, TD_E_INTERNAL, "the upload cannot be written: %s", strerror(errno));
        piece = td_sub(piece, (size_t)n, piece.n);
        u->bytes += (uint64_t)n;
    }
    return TD_OK;
}

static int take_piece(void *ctx, struct http_request *q, struct td_slice piece, struct error *err)
{
    struct upload *u = ctx;
    uint64_t before = u->reserved;
    int status = take_room(u, q, piece.n, err);
    bool refused = status == TD_OK && u->reserved == before && u->reserved - u->bytes < piece.n;
    return status == TD_OK && !refused ? write_all(u, q, piece, err) : status;
}

static void close_upload(void *ctx)
{
    struct upload *u = ctx;
    if (u->fd >= 0)
        close(u->fd);
    if (!u->kept)
        hub_import_remove(u->hub, u->id);
    snapshots_release(u->hub->snapshots, u->kept ? u->reserved - u->bytes : u->reserved); /* the rest is the job's to release */
    mem_free(u);
}

static int submit(struct upload *u, struct http_request *q, struct error *err)
{
    struct buf request = {.n = 0}, b = {.n = 0};
    char job[JOB_ID];
    buf_putc(&request, '{');
    json_put_text(&request, "id", u->id);
    json_put_text(&request, "name", u->name);
    json_put_u64(&request, "bytes", u->bytes);
    buf_putc(&request, '}');
    int status = request.failed ? error_nomem(err) : jobs_submit(u->hub->jobs, "import", u->name, buf_slice(&request), job, err);
    buf_clear(&request);
    if (status == TD_E_LIMIT) {
        http_reply_problem(q, 507, "no_room", "%s", err->text);
        return TD_OK;
    }
    if (status != TD_OK)
        return status;
    u->kept = true;
    buf_putc(&b, '{');
    json_put_text(&b, "job", job);
    json_put_text(&b, "kind", "import");
    json_put_text(&b, "subject", u->name);
    json_put_text(&b, "name", u->name);
    buf_putc(&b, '}');
    http_reply_header(q, "Location", API "/jobs/%s", job);
    hub_reply_json(q, 202, &b);
    return TD_OK;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return status;
}

static int sync_upload(const struct upload *u)
{
    char folder[HUB_PATH + MANIFEST_ID];
    hub_import_path(u->hub, u->id, "", folder, sizeof(folder));
    return fsync(u->fd) == 0 && sync_directory(folder) == 0 ? sync_directory(u->hub->work_dir) : -1;
}

/* Whole, and durable before the job is. */
static int end_upload(void *ctx, struct http_request *q, struct error *err)
{
    struct upload *u = ctx;
    if (!u->bytes)
        return error_set(err, TD_E_CONFIG, "the body is empty; send an archive of a snapshot, or a capture (pcap, pcapng)");
    if (sync_upload(u) != 0)
        return error_set(err, TD_E_INTERNAL, "the upload cannot be written: %s", strerror(errno));
    return submit(u, q, err);
}

/* ---- Its name ---- */

static bool cut_suffix(char *name)
{
    static const char *const suffixes[] = {".tar", ".tgz", ".zst", ".gz", ".bz2", ".xz", ".lz4", ".pcap", ".pcapng", ".cap", ".dmp"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        size_t k = strlen(suffixes[i]);
        if (n > k && strcmp(name + n - k, suffixes[i]) == 0) {
            name[n - k] = '\0';
            return true;
        }
    }
    return false;
}

/* As it is given, or as the file is called without what says its format. */
static int take_name(struct upload *u, const struct http_request *q, struct error *err)
{
    const char *name = http_parameter(q, "name"), *file = http_parameter(q, "file");
    const char *slash = file ? strrchr(file, '/') : NULL;
    const char *from = name ? name : slash ? slash + 1 : file;
    if (!from)
        return error_set(err, TD_E_CONFIG, "name is missing: what the snapshot is to be called; or file, the name of what is sent");
    if ((size_t)snprintf(u->name, sizeof(u->name), "%s", from) >= sizeof(u->name))
        return error_set(err, TD_E_CONFIG, "the name is too long; give another one with name=");
    while (!name && cut_suffix(u->name))
        ;
    int status = manifest_check_name(u->name, err);
    return status == TD_OK || name ? status : error_prefix(err, "name the snapshot with name=, for %.128s gives it none: ", from);
}

static int open_file(struct upload *u, struct error *err)
{
    char path[HUB_PATH + MANIFEST_ID];
    hub_import_path(u->hub, u->id, "", path, sizeof(path));
    if (mkdir(path, 0750) != 0)
        return error_set(err, TD_E_INTERNAL, "%s: %s", path, strerror(errno));
    hub_import_path(u->hub, u->id, "upload", path, sizeof(path));
    u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    return u->fd >= 0 ? TD_OK : error_set(err, TD_E_INTERNAL, "%s: %s", path, strerror(errno));
}

/* False in *ret_go: answered. */
static int prepare(struct upload *u, struct http_request *q, bool *ret_go, struct error *err)
{
    uint64_t length = http_body_length(q);
    int status = take_name(u, q, err);
    if (status != TD_OK)
        return status;
    *ret_go = false;
    if (snapshots_has_name(u->hub->snapshots, u->name)) {
        http_reply_problem(q, 409, "name_taken", "there is a snapshot %s; give another name with name=", u->name);
        return TD_OK;
    }
    uint64_t before = u->reserved, want = length == UINT64_MAX ? ROOM_STEP : length;
    status = take_room(u, q, want, err);
    if (status != TD_OK || (want && u->reserved == before))
        return status;
    *ret_go = true;
    return open_file(u, err);
}

static int post_import(void *ctx, struct http_request *q, struct error *err)
{
    bool go = true;
    struct upload *u = mem_calloc(1, sizeof(*u));
    if (!u)
        return error_nomem(err);
    u->hub = ctx;
    u->fd = -1;
    manifest_new_id(clock_ns(CLOCK_REALTIME), u->id);
    int status = prepare(u, q, &go, err);
    if (status == TD_OK && go) {
        http_take_body(q, &(struct http_sink){u, take_piece, end_upload, close_upload});
        return TD_OK;
    }
    u->kept = u->fd < 0 && !go; /* there is no folder yet */
    close_upload(u);
    return status;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"
#define NAME "{\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$\"}"

static const struct hub_parameter parameters[] = {
    {"name", NAME, "What the snapshot is to be called; without it, what the file is called", false},
    {"file", TEXT, "What the file is called", false},
    {0}};
static const struct hub_answer answers[] = {{202, JSON_TYPE, "The job that imports it, and the name that the snapshot will have"},
                                            {409, "application/problem+json", "name_taken, or a job is importing it: exists"},
                                            {507, "application/problem+json", "no_room"},
                                            {0}};

static const struct hub_route routes[] = {
    {"POST", API "/snapshots/import", HTTP_OPERATOR, HTTP_BODY_TAKEN, post_import, "importSnapshot",
     "Import an archive of a snapshot, or a capture (pcap, pcapng, also compressed): the body is the file", parameters, NULL, answers},
};

const struct hub_subject *hub_routes_import(void)
{
    static const struct hub_subject subject = {"import", "Files that become snapshots", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
