#include "snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "export/output_file.h"

/* ---- Down ---- */

struct download {
    struct output_file file;
    struct progress progress;
    const char *path;
    uint64_t done, all; /* all 0: not told */
};

static int take_head(void *ctx, const struct http_result *result, struct error *err)
{
    struct download *d = ctx;
    (void)err;
    d->all = result->length > 0 ? (uint64_t)result->length : 0;
    return TD_OK;
}

static int take_bytes(void *ctx, struct td_slice bytes, struct error *err)
{
    struct download *d = ctx;
    int status = output_file_write(&d->file, bytes, err);
    d->done += bytes.n;
    progress_show(&d->progress, d->path, d->done, d->all, UINT64_MAX);
    return status;
}

int snapshot_file_download(struct client *client, const char *path, const char *filter, const char *out_path, bool quiet)
{
    struct download d = {.file = {.fd = -1}, .path = out_path};
    struct http_call call = {.method = "GET", .path = path, .write = take_bytes, .head = take_head, .ctx = &d};
    struct http_result result;
    struct error err = {0};
    char size[UNITS_TEXT];
    int status = output_file_open(&d.file, out_path, &err);
    if (status != TD_OK) {
        output_file_abort(&d.file);
        return cli_fail(&err);
    }
    progress_init(&d.progress);
    d.progress.active &= !quiet;
    status = client_run(client, &call, &result, &err);
    if (status == TD_OK && d.all && d.done != d.all)
        status = error_set(&err, TD_E_RETRY, "%s: only %llu of %llu bytes came; nothing is kept of them", out_path,
                           (unsigned long long)d.done, (unsigned long long)d.all);
    progress_end(&d.progress);
    if (status == TD_OK)
        status = output_file_commit(&d.file, &err);
    output_file_abort(&d.file);
    if (status != TD_OK)
        return client_fail_filter(client, &err, filter);
    if (!quiet)
        fprintf(stderr, "%s written to %s\n", units_format_size(d.done, size), strcmp(out_path, "-") == 0 ? "standard output" : out_path);
    return CLI_OK;
}

/* ---- Up ---- */

/* The whole file, mapped: it is sent without being read into memory. */
static int map_file(const char *file, struct td_slice *ret, struct error *err)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err,
                         errno == ENOENT   ? TD_E_NOT_FOUND
                         : errno == EACCES ? TD_E_DENIED
                                           : TD_E_INTERNAL,
                         "%s: %s", file, strerror(errno));
    int status = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0
                     ? TD_OK
                     : error_set(err, TD_E_CONFIG, "%s is no file with something in it; standard input and pipes cannot be imported", file);
    if (status == TD_OK) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = error_set(err, TD_E_INTERNAL, "%s: %s", file, strerror(errno));
        else
            *ret = td_bytes(p, (size_t)st.st_size);
    }
    close(fd);
    return status;
}

static int take_answer(void *ctx, struct td_slice bytes, struct error *err)
{
    struct buf *out = ctx;
    buf_put_slice(out, bytes);
    return out->failed ? error_set(err, TD_E_LIMIT, "the hub's answer is too long") : TD_OK;
}

int snapshot_file_upload(struct client *client, const char *file, const char *name, bool quiet, json_t **ret)
{
    struct buf path, answer;
    struct td_slice bytes;
    struct http_result result;
    struct error err = {0};
    char size[UNITS_TEXT];
    const char *base = strrchr(file, '/');
    if (map_file(file, &bytes, &err) != TD_OK)
        return cli_fail(&err);
    buf_init(&path, 0);
    buf_init(&answer, 1 << 20);
    buf_lit(&path, "/snapshots/import");
    client_put_parameter(&path, "name", name);
    client_put_parameter(&path, "file", base ? base + 1 : file);
    if (!quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "sending %s to %s\n", units_format_size(bytes.n, size), client_url(client));
    struct http_call call = {.method = "POST",
                             .path = buf_cstr(&path),
                             .body = bytes,
                             .body_type = "application/octet-stream",
                             .accept = "application/json",
                             .write = take_answer,
                             .ctx = &answer};
    int status = client_run(client, &call, &result, &err);
    if (status == TD_OK) {
        *ret = json_loadb((const char *)answer.p, answer.n, 0, NULL);
        status = *ret ? TD_OK : error_set(&err, TD_E_CORRUPT, "%s answered with something else than JSON", client_url(client));
    }
    munmap((void *)(uintptr_t)bytes.p, bytes.n);
    buf_clear(&path);
    buf_clear(&answer);
    return status == TD_OK ? CLI_OK : client_fail(client, &err);
}
