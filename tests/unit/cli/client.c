/* The commands that talk to a hub, against a server that does as a hub does, and as one does that fails. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "net/http_request.h"
#include "tap.h"

#define TOKEN "operator-0123456789abcdef"

enum { FILE_BYTES = 300000 };

struct hub {
    struct http_server *server;
    atomic_int polls;       /* of jobs */
    atomic_int pages;       /* of calls */
    char body[4096];        /* of the last POST */
    char query[1024];       /* "bpf|filter|nodes|start" of the last export */
    atomic_ulong got_bytes; /* of the last import */
    atomic_uint clouds;
};

/* ---- The hub ---- */

static void reply(struct http_request *r, unsigned status, const char *json)
{
    struct buf body = {.n = 0};
    buf_puts(&body, json);
    http_reply_body(r, status, "application/json", &body);
}

static void keep_body(struct hub *h, struct http_request *r)
{
    struct td_slice body = http_body(r);
    snprintf(h->body, sizeof(h->body), "%.*s", (int)(body.n < 4000 ? body.n : 4000), (const char *)body.p);
}

/* The name says what goes wrong. */
static int create(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    (void)err;
    keep_body(h, r);
    if (strstr(h->body, "\"taken\""))
        http_reply_problem(r, 409, "exists", "there is a snapshot \"taken\" already; choose another name");
    else if (strstr(h->body, "\"late\""))
        http_reply_problem(r, 422, "window_not_available", "node-1 holds packets from 10:00 on; --allow-partial takes what is there");
    else if (strstr(h->body, "\"huge\""))
        http_reply_problem(r, 507, "no_room", "2 GiB are needed, 1 GiB is free; delete\nsnapshots \033[31m");
    else if (strstr(h->body, "\"poor\""))
        reply(r, 202, "{\"job\":\"job-failed\",\"name\":\"poor\"}");
    else if (strstr(h->body, "\"nojob\""))
        reply(r, 202, "{}");
    else
        reply(r, 202, "{\"job\":\"job-1\"}");
    return TD_OK;
}

static int job(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    (void)err;
    if (strcmp(http_segment(r, "id"), "job-failed") == 0) {
        reply(r, 200, "{\"id\":\"job-failed\",\"state\":\"failed\",\"error\":\"the disk is full\",\"code\":\"limit_reached\"}");
        return TD_OK;
    }
    switch (atomic_fetch_add(&h->polls, 1)) {
    case 0: reply(r, 200, "{\"id\":\"job-1\",\"state\":\"pending\",\"done\":0,\"all\":0}"); break;
    case 1: http_reply_problem(r, 503, "temporary_failure", "the hub begins"); break;
    case 2: reply(r, 200, "{\"id\":\"job-1\",\"state\":\"running\",\"done\":5,\"all\":10,\"progress\":50}"); break;
    default: reply(r, 200, "{\"id\":\"job-1\",\"state\":\"completed\",\"done\":10,\"all\":10,\"progress\":100}"); break;
    }
    return TD_OK;
}

static int cancel(void *ctx, struct http_request *r, struct error *err)
{
    (void)ctx;
    if (strcmp(http_segment(r, "id"), "job-1") != 0)
        return error_set(err, TD_E_NOT_FOUND, "there is no job \"%s\"", http_segment(r, "id"));
    http_reply_empty(r, 204);
    return TD_OK;
}

#define SNAPSHOT(name, state, complete, reason)                                                                                            \
    "{\"name\":\"" name "\",\"id\":\"20260102T030405Z-1\",\"status\":\"Completed\",\"size\":1536,\"start\":\"2026-01-02T03:04:05.6Z\","    \
    "\"end\":\"2026-01-02T03:05:05.6Z\",\"packets\":42,\"location\":\"Local\",\"complete\":" complete ",\"reason\":" reason ",\"nodes\":[" \
    "{\"name\":\"node-1\",\"state\":\"complete\",\"packets\":40},{\"name\":\"node-2\",\"state\":\"" state                                  \
    "\",\"reason\":\"it is away\"}]}"

#define WHOLE(name) SNAPSHOT(name, "complete", "true", "null")
#define HALF(name) SNAPSHOT(name, "missing", "false", "\"1 of 2 nodes\"")

static int list(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    (void)err;
    snprintf(h->query, sizeof(h->query), "%s", http_parameter(r, "location") ? http_parameter(r, "location") : "");
    reply(r, 200, "{\"snapshots\":[" WHOLE("one") "," HALF("two\\t\\u001b") "]}");
    return TD_OK;
}

static int show(void *ctx, struct http_request *r, struct error *err)
{
    const char *name = http_segment(r, "name");
    (void)ctx;
    if (strcmp(name, "whole") == 0)
        reply(r, 200, WHOLE("whole"));
    else if (strcmp(name, "half") == 0)
        reply(r, 200, HALF("half"));
    else if (strcmp(name, "garbage") == 0)
        reply(r, 200, "<html>");
    else
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot \"%s\"", name);
    return TD_OK;
}

static int delete (void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    const char *from = http_parameter(r, "from");
    snprintf(h->query, sizeof(h->query), "%s", from ? from : "");
    if (from && strcmp(from, "local") != 0) {
        reply(r, 202, "{\"job\":\"job-1\",\"kind\":\"delete\"}");
        return TD_OK;
    }
    if (strcmp(http_segment(r, "name"), "whole") != 0)
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot \"%s\"", http_segment(r, "name"));
    http_reply_empty(r, 204);
    return TD_OK;
}

/* upload, download, verify */
static int move(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    const char *name = http_segment(r, "name"), *same = http_parameter(r, "allow_same_name"), *location = http_parameter(r, "location");
    (void)err;
    snprintf(h->query, sizeof(h->query), "%s|%s", same ? same : "", location ? location : "");
    if (strcmp(name, "far") == 0)
        http_reply_problem(r, 409, "not_local", "far is in the cloud only");
    else if (strcmp(name, "unknown") == 0)
        http_reply_problem(r, 503, "cloud_unavailable", "the cloud does not answer");
    else
        reply(r, 202, strcmp(name, "poor") == 0 ? "{\"job\":\"job-failed\"}" : "{\"job\":\"job-1\"}");
    return TD_OK;
}

static int cloud(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    (void)err;
    static const char *const answers[] = {
        "{\"enabled\":false,\"provider\":null,\"connected\":false,\"error\":null,\"prefix\":null,\"snapshots\":0,\"bytes\":0}",
        "{\"enabled\":true,\"provider\":\"s3\",\"connected\":false,\"error\":\"no\\u001b route\",\"prefix\":\"\",\"snapshots\":2}",
        "{\"enabled\":true,\"provider\":\"s3\",\"connected\":true,\"error\":null,\"prefix\":\"p/\",\"snapshots\":3,\"bytes\":1536}"};
    reply(r, 200, answers[atomic_fetch_add(&h->clouds, 1) % 3]);
    return TD_OK;
}

/* Bytes of an export; breaks off behind `fail_at`. */
struct bytes {
    size_t at, fail_at;
};

static int read_bytes(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct bytes *b = ctx;
    if (b->at >= b->fail_at)
        return error_set(err, TD_E_NOT_FOUND, "the disk is gone");
    size_t end = b->fail_at < FILE_BYTES ? b->fail_at : FILE_BYTES, take = end - b->at < n ? end - b->at : n;
    for (size_t i = 0; i < take; i++)
        ((uint8_t *)p)[i] = (uint8_t)((b->at + i) * 7);
    b->at += take;
    *ret_n = take;
    return TD_OK;
}

static int export(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    const char *name = http_segment(r, "name"), *filter = http_parameter(r, "filter"), *bpf = http_parameter(r, "bpf");
    const char *nodes = http_parameter(r, "nodes"), *start = http_parameter(r, "start");
    if (filter && strstr(filter, "bad"))
        return error_set(err, TD_E_CONFIG, "the filter is wrong");
    snprintf(h->query, sizeof(h->query), "%s|%s|%s|%s", bpf ? bpf : "", filter ? filter : "", nodes ? nodes : "", start ? start : "");
    struct bytes *b = mem_calloc(1, sizeof(*b));
    bool broken = strstr(name, "broken");
    b->fail_at = broken ? FILE_BYTES / 2 : SIZE_MAX;
    http_reply_stream(r, 200, "application/vnd.tcpdump.pcap", strstr(name, "chunked") ? HTTP_LENGTH_UNKNOWN : FILE_BYTES,
                      &(struct http_stream){b, read_bytes, mem_free});
    return TD_OK;
}

static int check(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    (void)err;
    keep_body(h, r);
    reply(r, 200,
          "{\"ok\":false,\"diagnostics\":[{\"from\":10,\"to\":13,\"severity\":\"error\",\"code\":\"undeclared\",\"message\":\"there is no "
          "field \\\"bad\\\"\"},{\"from\":-3,\"to\":9999999,\"severity\":\"warning\",\"message\":\"doubtful\"}]}");
    return TD_OK;
}

static int import(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    (void)err;
    atomic_store(&h->got_bytes, http_body(r).n);
    snprintf(h->query, sizeof(h->query), "%s", http_parameter(r, "name") ? http_parameter(r, "name") : "");
    reply(r, 202, "{\"job\":\"job-1\",\"name\":\"whole\"}");
    return TD_OK;
}

#define CALL(id, path)                                                                                                                   \
    "{\"id\":\"one/all/" id "\",\"timestamp\":\"2026-01-02T03:04:05.000006789Z\",\"protocol\":\"HTTP\",\"transport\":\"TCP\","           \
    "\"src\":{\"ip\":\"10.0.0.1\",\"port\":4711},\"dst\":{\"ip\":\"2001:db8::1\",\"port\":80},\"elapsed_time\":1500,\"method\":\"GET\"," \
    "\"url\":\"" path "\",\"status_code\":200,\"request\":{\"size\":10,\"frames\":[1,2],\"complete\":true,"                              \
    "\"headers\":[{\"name\":\"Host\",\"value\":\"h\"}]},\"response\":{\"complete\":true,\"body\":\"line\\nnext\"}}"

static int calls(void *ctx, struct http_request *r, struct error *err)
{
    struct hub *h = ctx;
    keep_body(h, r);
    if (strstr(h->body, "bad"))
        return error_set(err, TD_E_CONFIG, "the filter is wrong");
    atomic_fetch_add(&h->pages, 1);
    if (strstr(h->body, "\"cursor\":\"c2\""))
        reply(r, 200, "{\"calls\":[" CALL("1", "/c\\u0007") "],\"cursor\":null}");
    else if (strstr(h->body, "\"cursor\":\"c1\""))
        reply(r, 200, "{\"calls\":[],\"cursor\":\"c2\"}");
    else
        reply(r, 200, "{\"calls\":[" CALL("3", "/a") "," CALL("2", "/b") "],\"cursor\":\"c1\"}");
    return TD_OK;
}

static int one_call(void *ctx, struct http_request *r, struct error *err)
{
    (void)ctx;
    if (strcmp(http_segment(r, "id"), "one/all/3") != 0)
        return error_set(err, TD_E_NOT_FOUND, "there is no call \"%s\"", http_segment(r, "id"));
    reply(r, 200, CALL("3", "/a"));
    return TD_OK;
}

/* Events, cut in all kinds of places. */
struct events {
    const char *text;
    size_t step;
};

static int read_events(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct events *e = ctx;
    size_t take = strlen(e->text) < e->step ? strlen(e->text) : e->step;
    (void)err;
    take = take < n ? take : n;
    memcpy(p, e->text, take);
    e->text += take;
    *ret_n = take;
    return TD_OK;
}

static int stream(void *ctx, struct http_request *r, struct error *err)
{
    struct events *e = mem_calloc(1, sizeof(*e));
    const char *db = http_parameter(r, "db");
    (void)ctx;
    (void)err;
    e->text = ": hello\n\nid: 1\ndata: " CALL("1", "/x") "\n\n: beat\n\ndata:" CALL("2", "/y") "\r\n\r\nevent: end\ndata: {}\n\n";
    if (strstr(db, "failing"))
        e->text = "data: " CALL("1", "/x") "\n\nevent: problem\ndata: {\"detail\":\"it was deleted\"}\n\n";
    if (strcmp(http_parameter(r, "db"), "one/cut") == 0)
        e->text = "data: " CALL("1", "/x") "\n\n";
    if (strcmp(http_parameter(r, "db"), "one/again") == 0)
        e->text = "data: " CALL("1", "/x") "\n\nevent: restart\ndata: {\"detail\":\"it began anew\"}\n\ndata: " CALL(
            "1", "/y") "\n\nevent: end\ndata: {}\n\n";
    e->step = strstr(db, "small") ? 3 : 4096;
    http_reply_stream(r, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &(struct http_stream){e, read_events, mem_free});
    return TD_OK;
}

static int nodes(void *ctx, struct http_request *r, struct error *err)
{
    (void)ctx;
    (void)err;
    reply(r, 200, "{\"nodes\":[]}");
    return TD_OK;
}

static int dissections(void *ctx, struct http_request *r, struct error *err)
{
    (void)ctx;
    (void)err;
    reply(r, 200,
          "{\"dissections\":[{\"snapshot\":\"one\",\"name\":\"all\",\"state\":\"running\",\"progress\":7},"
          "{\"snapshot\":\"two\",\"name\":\"dns\",\"state\":\"completed\"}]}");
    return TD_OK;
}

static const char *const export_parameters[] = {"nodes", "bpf", "filter", "dissection", "connections", "start", "end", NULL};
static const char *const job_parameters[] = {"wait", NULL};
static const char *const stream_parameters[] = {"db", "filter", "format", NULL};
static const char *const import_parameters[] = {"name", "file", NULL};
static const char *const list_parameters[] = {"location", NULL};
static const char *const delete_parameters[] = {"from", NULL};
static const char *const move_parameters[] = {"allow_same_name", "location", NULL};
static const struct http_route routes[] = {
    {"POST", "/api/v1/snapshots", HTTP_OPERATOR, NULL, 65536, create},
    {"GET", "/api/v1/snapshots", HTTP_VIEWER, list_parameters, 0, list},
    {"POST", "/api/v1/snapshots/import", HTTP_OPERATOR, import_parameters, 1 << 24, import},
    {"GET", "/api/v1/snapshots/{name}", HTTP_VIEWER, NULL, 0, show},
    {"DELETE", "/api/v1/snapshots/{name}", HTTP_OPERATOR, delete_parameters, 0, delete},
    {"POST", "/api/v1/snapshots/{name}/upload", HTTP_OPERATOR, move_parameters, 0, move},
    {"POST", "/api/v1/snapshots/{name}/download", HTTP_OPERATOR, move_parameters, 0, move},
    {"POST", "/api/v1/snapshots/{name}/verify", HTTP_OPERATOR, move_parameters, 0, move},
    {"GET", "/api/v1/cloud", HTTP_VIEWER, NULL, 0, cloud},
    {"GET", "/api/v1/snapshots/{name}/pcap", HTTP_VIEWER, export_parameters, 0, export},
    {"POST", "/api/v1/filter/check", HTTP_VIEWER, NULL, 65536, check},
    {"GET", "/api/v1/jobs/{id}", HTTP_VIEWER, job_parameters, 0, job},
    {"POST", "/api/v1/jobs/{id}/cancel", HTTP_OPERATOR, NULL, 65536, cancel},
    {"POST", "/api/v1/calls", HTTP_VIEWER, NULL, 65536, calls},
    {"GET", "/api/v1/calls/stream", HTTP_VIEWER, stream_parameters, 0, stream},
    {"GET", "/api/v1/calls/{id}", HTTP_VIEWER, NULL, 0, one_call},
    {"GET", "/api/v1/nodes", HTTP_VIEWER, NULL, 0, nodes},
    {"GET", "/api/v1/dissections", HTTP_VIEWER, NULL, 0, dissections},
};

static void hub_start(struct hub *h)
{
    static const struct http_token tokens[] = {{.text = TOKEN, .role = HTTP_OPERATOR}};
    struct http_route_set set = {routes, sizeof(routes) / sizeof(routes[0]), h};
    struct http_server_options o = {
        .component = "hub", .listen = "127.0.0.1:0", .tokens = tokens, .token_count = 1, .sets = &set, .set_count = 1};
    struct error err = {0};
    int status = http_server_open(&o, &h->server, &err);
    if (status == TD_OK)
        status = http_server_start(h->server, &err);
    if (!ok(status == TD_OK, "the hub starts"))
        tap_diag("%s", err.text);
    setenv("TAPEDECK_HUB", http_server_url(h->server), 1);
    setenv("TAPEDECK_TOKEN", TOKEN, 1);
}

/* ---- A command line ---- */

struct shell {
    char out[65536], err[8192];
};

static int stand_in(int fd, int *ret_before)
{
    int file = memfd_create("output", MFD_CLOEXEC);
    *ret_before = dup(fd);
    dup2(file, fd);
    return file;
}

static void take_back(int fd, int file, int before, char *text, size_t size)
{
    ssize_t n = pread(file, text, size - 1, 0);
    text[n > 0 ? n : 0] = 0;
    dup2(before, fd);
    close(before);
    close(file);
}

/* Runs a command; its words with blanks between them, "_" standing for a blank within one. The exit code. */
static int run(struct shell *sh, const char *line)
{
    char words[1024], *argv[32], *rest = words;
    int argc = 0, out_before, err_before, code = -1;
    size_t n;
    const struct command *all = commands(&n);
    snprintf(words, sizeof(words), "%s", line);
    for (char *word; argc < 31 && (word = strsep(&rest, " "));) {
        for (char *c = word; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    fflush(stdout);
    int out = stand_in(STDOUT_FILENO, &out_before), err = stand_in(STDERR_FILENO, &err_before);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, argv[0]) == 0)
            code = all[i].run(argc, argv);
    fflush(stdout);
    take_back(STDOUT_FILENO, out, out_before, sh->out, sizeof(sh->out));
    take_back(STDERR_FILENO, err, err_before, sh->err, sizeof(sh->err));
    return code;
}

#define runs(sh, code, line) is_int(run(sh, line), code, "%s", line)

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* ---- Tests ---- */

static void test_access(struct shell *sh)
{
    setenv("TAPEDECK_TOKEN", "someone-else-0123456789", 1);
    runs(sh, CLI_NOT_ALLOWED, "snapshot list");
    like(sh->err, "--token-file", "what to do about a wrong token");
    ok(!strstr(sh->err, "someone"), "which is not told");
    setenv("TAPEDECK_TOKEN", "short", 1);
    runs(sh, CLI_USAGE, "snapshot list");
    like(sh->err, "TAPEDECK_TOKEN: ", "a token that can be none");
    runs(sh, CLI_NOT_FOUND, "snapshot list --token-file /nonesuch/token");
    setenv("TAPEDECK_TOKEN", TOKEN, 1);
    runs(sh, CLI_REMOTE, "snapshot list --hub http://127.0.0.1:1");
    like(sh->err, "--hub", "what to do about a hub that is not there");
    is_int(lines_of(sh->err), 1, "in one line");
    is_str(sh->out, "", "and nothing else");
    runs(sh, CLI_USAGE, "snapshot list --hub gopher://x");
}

static void test_create(struct hub *h, struct shell *sh)
{
    runs(sh, CLI_OK, "snapshot create incident --last 5m --nodes a,b --allow-partial");
    is_str(h->body, "{\"name\":\"incident\",\"last\":\"5m\",\"nodes\":[\"a\",\"b\"],\"allow_partial\":true}", "what the hub is told");
    is_str(sh->out, "job\tjob-1\n", "the job is named");
    runs(sh, CLI_OK, "snapshot create incident --start 2026-01-02T03:04:05+01:00 --end 2026-01-02T03:05:05Z -o json");
    like(h->body, "\"start\":\"2026-01-02T02:04:05.000000000Z\",\"end\":\"2026-01-02T03:05:05.000000000Z\"", "times in UTC");
    like(sh->out, "\"job\": \"job-1\"", "the job as JSON");
    runs(sh, CLI_CONFLICT, "snapshot create taken --last 5m");
    like(sh->err, "choose another name", "409: what the hub says");
    runs(sh, CLI_USAGE, "snapshot create late --last 5m");
    like(sh->err, "node-1 holds packets from 10:00 on", "422: what the hub says");
    runs(sh, CLI_CONFLICT, "snapshot create huge --last 5m");
    like(sh->err, "1 GiB is free; delete snapshots", "507: what the hub says, on one line");
    ok(!strchr(sh->err, 033), "and nothing in it steers the terminal");
    runs(sh, CLI_FAILURE, "snapshot create nojob --last 5m");
    like(sh->err, "names no job", "an answer without a job");
    runs(sh, CLI_USAGE, "snapshot create x");
    runs(sh, CLI_USAGE, "snapshot create x --last 5m --start now");
    runs(sh, CLI_USAGE, "snapshot create x --start yesterday");
    runs(sh, CLI_USAGE, "snapshot create x --last 5m --nodes a,,b");
    runs(sh, CLI_USAGE, "snapshot create x --last 5m -o xml");
    like(sh->err, "\"xml\" is no format; there are table, json and yaml", "the formats are told");
}

static void test_waiting(struct hub *h, struct shell *sh)
{
    runs(sh, CLI_OK, "snapshot create whole --last 5m --wait");
    is_int(atomic_load(&h->polls), 4, "it asks until the job has ended, also while the hub is away");
    like(sh->out, "name\twhole\n", "what was made is shown");
    like(sh->out, "nodes\t2\n", "with its nodes");
    runs(sh, CLI_PARTIAL, "snapshot create half --last 5m --wait");
    like(sh->err, "1 of 2 nodes", "what is missing is told");
    like(sh->out, "node-2\tmissing\t\t\t\t\tit is away", "and shown");
    runs(sh, CLI_CONFLICT, "snapshot create poor --last 5m --wait");
    is_str(sh->err, "tapedeck: snapshot poor: the disk is full\n", "why a job failed");
    runs(sh, CLI_OK, "job show job-1 --wait");
    runs(sh, CLI_CONFLICT, "job show job-failed --wait");
    runs(sh, CLI_OK, "job show job-failed");
    like(sh->out, "error\tthe disk is full\n", "a job that failed");
    runs(sh, CLI_NOT_FOUND, "job cancel job-1 job-2");
    like(sh->err, "\"job-2\"", "which job is not there");
}

static void test_lists(struct shell *sh)
{
    runs(sh, CLI_OK, "snapshot list");
    is_int(lines_of(sh->out), 2, "a line for each, no header");
    like(sh->out, "one\tCompleted\t1536\t2026-01-02T03:04:05.6Z\t2026-01-02T03:05:05.6Z\t42\t2\tLocal\t\n", "full values, tabs");
    like(sh->out, "two\\t\\x1b\tCompleted", "nothing steers the terminal");
    like(sh->out, "\t1 of 2\tLocal", "a node is missing");
    runs(sh, CLI_OK, "snapshot show half -o yaml");
    like(sh->out, "name: half\nid: \"20260102T030405Z-1\"\nstatus: Completed\nsize: 1536\n", "YAML");
    like(sh->out, "nodes:\n  - name: node-1\n    state: complete\n    packets: 40\n  - name: node-2\n", "with lists");
    runs(sh, CLI_NOT_FOUND, "snapshot show none");
    runs(sh, CLI_FAILURE, "snapshot show garbage");
    like(sh->err, "is that a hub?", "an answer that is no JSON");
    runs(sh, CLI_NOT_FOUND, "snapshot delete none whole");
    runs(sh, CLI_OK, "snapshot delete whole");
    runs(sh, CLI_OK, "node list");
    is_str(sh->out, "", "no nodes");
    runs(sh, CLI_OK, "dissection list two");
    is_str(sh->out, "two\tdns\tcompleted\t\t\t\t\t\n", "the dissections of one snapshot");
    runs(sh, CLI_USAGE, "dissection stop two");
    like(sh->err, "\"two\" is no SNAPSHOT/DISSECTION", "half a name");
}

static void test_cloud(struct hub *h, struct shell *sh)
{
    runs(sh, CLI_NOT_FOUND, "cloud status");
    like(sh->err, "tap.snapshots.cloud.provider", "without a cloud: what would name one");
    runs(sh, CLI_REMOTE, "cloud status");
    is_str(sh->out, "provider\ts3\nconnected\tfalse\nerror\tno\\x1b route\nsnapshots\t2\n", "one that does not answer");
    runs(sh, CLI_OK, "cloud status");
    is_str(sh->out, "provider\ts3\nprefix\tp/\nconnected\ttrue\nsnapshots\t3\nsize\t1536\n", "one that does");
    runs(sh, CLI_NOT_FOUND, "cloud status -o json");
    like(sh->out, "\"enabled\": false", "as JSON the hub's answer");
    runs(sh, CLI_OK, "snapshot list --location cloud");
    is_str(h->query, "cloud", "only those in the cloud");
    runs(sh, CLI_USAGE, "snapshot list --location clouds");
    like(sh->err, "\"clouds\" is no location; there are local and cloud", "the places are told");
    runs(sh, CLI_OK, "snapshot delete whole --from local");
    is_str(h->query, "local", "deleted here");
    runs(sh, CLI_OK, "snapshot delete whole --from all");
    is_str(h->query, "all", "everywhere: the job is waited for");
    is_str(sh->out, "", "without a word");
    runs(sh, CLI_USAGE, "snapshot delete whole --from here");
    runs(sh, CLI_OK, "snapshot upload whole");
    is_str(sh->out, "job\tjob-1\n", "uploading: the job is named");
    is_str(h->query, "|", "with nothing allowed");
    runs(sh, CLI_OK, "snapshot upload half --wait --allow-same-name");
    is_str(h->query, "true|", "also with another one's name");
    like(sh->out, "name\thalf\n", "what was uploaded is shown, also if it is not whole");
    runs(sh, CLI_OK, "snapshot download whole --wait -q");
    is_str(sh->out, "", "downloading, quietly");
    runs(sh, CLI_CONFLICT, "snapshot download poor --wait");
    like(sh->err, "tapedeck: download of poor: the disk is full\n", "a job that failed");
    runs(sh, CLI_CONFLICT, "snapshot upload far");
    runs(sh, CLI_REMOTE, "snapshot download unknown");
    ok(!strstr(sh->err, "--hub"), "the hub is there, it is the cloud that is not");
    runs(sh, CLI_OK, "snapshot verify whole --location cloud -q");
    is_str(h->query, "|cloud", "which copy is verified");
    runs(sh, CLI_USAGE, "snapshot upload");
    runs(sh, CLI_USAGE, "snapshot download one two");
}

static bool is_whole_file(const char *path)
{
    uint8_t *bytes = mem_alloc(FILE_BYTES + 1);
    int fd = open(path, O_RDONLY);
    bool whole = fd >= 0 && read(fd, bytes, FILE_BYTES + 1) == FILE_BYTES;
    for (size_t i = 0; whole && i < FILE_BYTES; i++)
        whole = bytes[i] == (uint8_t)(i * 7);
    close(fd);
    mem_free(bytes);
    return whole;
}

static void test_export(struct hub *h, struct shell *sh, const char *dir)
{
    char path[256], line[512];
    struct stat st;
    snprintf(path, sizeof(path), "%s/out.pcap", dir);
    snprintf(line, sizeof(line), "snapshot export one --bpf port_80_&&_tcp --filter a==1 --nodes n1,n2 --start 2026-01-02T00:00:00Z -w %s",
             path);
    runs(sh, CLI_OK, line);
    is_str(h->query, "port 80 && tcp|a==1|n1,n2|2026-01-02T00:00:00.000000000Z", "what the hub is asked for");
    ok(is_whole_file(path), "the file is there, every byte");
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof(line), "snapshot export broken%s -w %s/new.pcap", i ? "-chunked" : "", dir);
        runs(sh, CLI_REMOTE, line);
        snprintf(line, sizeof(line), "%s/new.pcap", dir);
        ok(stat(line, &st) != 0, "nothing is left of it");
        snprintf(line, sizeof(line), "snapshot export broken%s -w %s", i ? "-chunked" : "", path);
        runs(sh, CLI_REMOTE, line);
        ok(is_whole_file(path), "what was there before stays");
    }
    snprintf(line, sizeof(line), "snapshot export one -w %s --filter a_==_1_&&_bad", path);
    runs(sh, CLI_USAGE, line);
    like(sh->err, "    a == 1 && bad\n              ^~~\n", "a filter that the hub refuses is shown with the place");
    like(h->body, "{\"filter\":\"a == 1 && bad\"", "which the hub was asked for");
    runs(sh, CLI_USAGE, "snapshot export one");
    runs(sh, CLI_USAGE, "snapshot export one -w x --connections");
    runs(sh, CLI_USAGE, "snapshot export one --format wav -w x");
    snprintf(line, sizeof(line), "snapshot export one -w %s/no/such/dir", dir);
    is_int(run(sh, line), CLI_NOT_FOUND, "a folder that is not there");
    snprintf(line, sizeof(line), "snapshot import %s --name copy", path);
    runs(sh, CLI_OK, line);
    is_int(atomic_load(&h->got_bytes), FILE_BYTES, "all of it was sent");
    is_str(h->query, "copy", "with its name");
    runs(sh, CLI_NOT_FOUND, "snapshot import /nonesuch.pcap");
    runs(sh, CLI_USAGE, "snapshot import /dev/null");
    unlink(path);
}

static void test_calls(struct hub *h, struct shell *sh)
{
    runs(sh, CLI_OK, "calls one/all --filter http --start 2026-01-02T00:00:00Z");
    is_int(lines_of(sh->out), 3, "all pages");
    is_int(atomic_load(&h->pages), 3, "also behind an empty one");
    like(sh->out, "one/all/3\t2026-01-02T03:04:05.000006789Z\tHTTP\tGET\t/a\t200\t1.5ms\t10.0.0.1:4711\t[2001:db8::1]:80\n",
         "the same columns as of a file");
    like(sh->out, "/c\\x07\t", "nothing steers the terminal");
    like(h->body, "\"db\":\"one/all\",\"order\":\"newest\",\"format\":\"compact\"", "what the hub is asked");
    like(h->body, "\"filter\":\"http\",\"cursor\":\"c2\",\"start\":\"2026-01-02T00:00:00.000000000Z\"",
         "with the filter, and where it was");
    runs(sh, CLI_OK, "calls one --limit 2 --fields id,src.ip,request.headers --payload");
    like(sh->out, "one/all/3\t10.0.0.1\tHost: h\n  > Host: h\n    line\n    next\n", "chosen columns, and payload");
    runs(sh, CLI_OK, "calls one -o count");
    is_str(sh->out, "3\n", "how many");
    runs(sh, CLI_OK, "calls one -o json --limit 1");
    like(sh->out, "{\"id\":\"one/all/3\",\"timestamp\"", "JSON, the newest only");
    is_int(lines_of(sh->out), 1, "one line");
    runs(sh, CLI_USAGE, "calls one --filter a_==_1_&&_bad");
    like(sh->err, "^~~", "the place in the filter");
    runs(sh, CLI_USAGE, "calls one -o har");
    runs(sh, CLI_NOT_FOUND, "calls one -w /nonesuch/dir");
    runs(sh, CLI_NOT_FOUND, "calls nonesuch.calls");
    runs(sh, CLI_NOT_FOUND, "calls ./nonesuch");
    runs(sh, CLI_OK, "call show one/all/3");
    like(sh->out, "HTTP over TCP, 10.0.0.1:4711 to [2001:db8::1]:80, 1.5ms\n", "one call");
    runs(sh, CLI_OK, "call show one/all 3 -o json");
    runs(sh, CLI_NOT_FOUND, "call show one/all/4");
    runs(sh, CLI_USAGE, "call show");
}

static void test_follow(struct shell *sh)
{
    runs(sh, CLI_OK, "calls one --follow --fields url");
    is_str(sh->out, "/x\n/y\n", "events, one after the other");
    runs(sh, CLI_OK, "calls one/small --follow --fields url");
    is_str(sh->out, "/x\n/y\n", "however they are cut");
    runs(sh, CLI_FAILURE, "calls one/failing --follow --fields url");
    is_str(sh->out, "/x\n", "until it fails");
    like(sh->err, "it was deleted", "which is told");
    runs(sh, CLI_REMOTE, "calls one/cut --follow --fields url");
    like(sh->err, "before the end", "nor does it end before its end");
    runs(sh, CLI_OK, "calls one/again --follow --fields url");
    is_str(sh->out, "/y\n", "what came before a restart is void");
    like(sh->err, "anew", "which is told, as others may have seen it");
    char path[64], line[160], got[64] = "";
    snprintf(path, sizeof(path), "/tmp/tapedeck-followed-%d", (int)getpid());
    snprintf(line, sizeof(line), "calls one/again --follow --fields url -w %s", path);
    runs(sh, CLI_OK, line);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(got, 1, sizeof(got) - 1, f) : 0;
    got[n] = 0;
    is_str(got, "/y\n", "nor is it in a file");
    if (f)
        fclose(f);
    unlink(path);
    runs(sh, CLI_USAGE, "calls one --follow --limit 3");
}

int main(void)
{
    struct hub hub = {.server = NULL};
    struct shell *sh = mem_calloc(1, sizeof(*sh));
    char dir[] = "/tmp/tapedeck-client-XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    unsetenv("TAPEDECK_TOKEN_FILE");
    unsetenv("TAPEDECK_CA");
    ok(mkdtemp(dir) != NULL, "a folder");
    hub_start(&hub);
    test_access(sh);
    test_create(&hub, sh);
    test_waiting(&hub, sh);
    test_lists(sh);
    test_cloud(&hub, sh);
    test_export(&hub, sh, dir);
    test_calls(&hub, sh);
    test_follow(sh);
    http_server_stop(hub.server);
    rmdir(dir);
    mem_free(sh);
    return tap_done();
}
