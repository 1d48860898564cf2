/* The audit log: what stands in a line, in a file of its own and, without one, in the log. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/audit.h"
#include "tap.h"

static char path[64], text[4096];

static const char *file_text(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

/* What a request leaves, in the file or on standard error, which goes there meanwhile. */
static const char *told(bool to_log, const struct http_answered *q)
{
    struct audit *a = NULL;
    struct error err = {0};
    int before = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (audit_open(to_log ? "" : path, &a, &err) != TD_OK)
        return "it cannot be opened";
    dup2(fd, STDERR_FILENO);
    audit_request(a, q);
    dup2(before, STDERR_FILENO);
    close(before);
    close(fd);
    audit_close(a);
    return file_text();
}

int main(void)
{
    static const char *const names[] = {
        [HTTP_ANYONE] = "role=none ", [HTTP_VIEWER] = "role=viewer ", [HTTP_OPERATOR] = "role=operator ", [HTTP_ADMIN] = "role=admin "};
    struct http_answered q = {
        .method = "DELETE", .path = "/api/v1/snapshots/x", .who = "me", .address = "127.0.0.1", .status = 204, .complete = true};
    snprintf(path, sizeof(path), "/tmp/tapedeck-audit-XXXXXX");
    int fd = mkstemp(path);
    ok(fd >= 0, "a file");
    close(fd);
    for (int role = HTTP_ANYONE; role <= HTTP_ADMIN; role++) {
        q.role = (enum http_role)role;
        like(told(false, &q), names[role], "the file has the role's name");
        like(text, "who=\"me\"", "and who it was");
        like(told(true, &q), names[role], "as has the log");
    }
    q = (struct http_answered){.method = "GET", .path = "/api/v1/snapshots", .who = "me", .address = "", .status = 200, .complete = true};
    is_str(told(false, &q), "", "what only reads is left out");
    q.status = 403;
    like(told(false, &q), "status=403", "unless it was refused");
    unlink(path);
    return tap_done();
}
