/* What leaves the hub as a file: packets of snapshots and of calls, and whole snapshots as archives. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/json_object.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store.h"
#include "export/snapshot_export.h"
#include "hub/routes.h"
#include "hub/stream_pipe.h"
#include "snapshot/archive.h"

enum { FIRST_BYTE_S = 10, MAX_NODES = 1024, MAX_NODE_TEXT = 8192, FILE_NAME = 512, ID_FILTER = 64 };

/* An export that runs: lives from the request to the end of its answer. */
struct export_run {
    struct hub *hub;
    struct http_request *q;
    struct snapshot *pin;
    struct hub_calls calls; /* pin NULL: none */
    char dir[STORAGE_MAX_PATH];
    char node_text[MAX_NODE_TEXT], id_filter[ID_FILTER], file[FILE_NAME];
    const char *nodes[MAX_NODES];
    const char *type;
    struct snapshot_export packets;
    struct filter_diagnostics diagnostics;
    struct archive_request archive;
    const char **dissections; /* of the archive */
    struct arena arena;
    struct stream_pipe *pipe;
    struct stream_pipe *out; /* the same, of the thread that pushes */
};

static void run_free(struct export_run *x)
{
    stream_pipe_close(x->pipe);
    filter_diagnostics_clear(&x->diagnostics);
    if (x->calls.pin)
        snapshot_unpin(x->calls.pin);
    if (x->pin)
        snapshot_unpin(x->pin);
    arena_clear(&x->arena);
    mem_free(x);
}

static struct export_run *run_new(struct hub *hub, struct http_request *q)
{
    struct export_run *x = mem_calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    x->hub = hub;
    x->q = q;
    arena_init(&x->arena, 1 << 20);
    filter_diagnostics_init(&x->diagnostics);
    return x;
}

/* ---- The thread that pushes ---- */

static int write_bytes(void *ctx, struct td_slice bytes, struct error *err)
{
    struct export_run *x = ctx;
    return stream_pipe_write(x->out, bytes, err);
}

/* What stands before the damage is there; the rest cannot be told in the middle of a file. */
static void tell_damage(void *ctx, const struct error *fault)
{
    struct export_run *x = ctx;
    log_event(TD_LOG_WARN, "hub", "export of snapshot %s: %s", snapshot_manifest(x->pin)->name, fault->text);
}

static int push_packets(void *ctx, struct stream_pipe *pipe, struct error *err)
{
    struct export_run *x = ctx;
    struct snapshot_export_stats stats;
    x->out = pipe;
    x->packets.cancel = stream_pipe_cancelled(pipe);
    return snapshot_export_run(&x->packets, &stats, &x->diagnostics, err);
}

static int push_archive(void *ctx, struct stream_pipe *pipe, struct error *err)
{
    struct export_run *x = ctx;
    x->out = pipe;
    x->archive.cancel = stream_pipe_cancelled(pipe);
    return archive_write(&x->archive, err);
}

/* ---- The connection's ---- */

static int read_run(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct export_run *x = ctx;
    return stream_pipe_read(x->pipe, p, n, ret_n, err);
}

static void close_run(void *ctx)
{
    run_free(ctx);
}

static bool has_left(void *ctx)
{
    struct export_run *x = ctx;
    return http_cancelled(x->q);
}

/* Why nothing came, as an answer. */
static int refuse(struct export_run *x, int status, struct error *err)
{
    if (status == TD_E_CONFIG && x->diagnostics.fault_n) {
        hub_refuse_filter(x->q, &x->diagnostics, x->packets.filter, err);
        return TD_OK;
    }
    return status;
}

/* Begins, and answers when the first byte is there: until then what is wrong can be told. Takes `x`. */
static int begin(struct export_run *x, int (*push)(void *, struct stream_pipe *, struct error *), struct error *err)
{
    const struct stream_pipe_options options = {.push = push, .left = has_left, .ctx = x};
    int status = stream_pipe_open(&options, &x->pipe, err);
    if (status == TD_OK)
        status = stream_pipe_wait(x->pipe, (int64_t)FIRST_BYTE_S * NS_PER_S, err);
    if (status != TD_OK) {
        stream_pipe_close(x->pipe); /* the diagnostics are ours from here */
        x->pipe = NULL;
        status = refuse(x, status, err);
        run_free(x);
        return status;
    }
    http_reply_header(x->q, "Content-Disposition", "attachment; filename=\"%s\"", x->file); /* names need no quoting */
    http_reply_stream(x->q, 200, x->type, HTTP_LENGTH_UNKNOWN, &(struct http_stream){x, read_run, close_run});
    return TD_OK;
}

/* ---- What was asked ---- */

/* The snapshot of the path. False: answered that there is none. */
static bool pin(struct export_run *x, const char *name)
{
    x->pin = hub_pin(x->hub, name);
    if (!x->pin)
        (void)hub_no_snapshot(x->hub, x->q, name);
    return x->pin != NULL;
}

static int take_dir(struct export_run *x, struct error *err)
{
    static const char last[] = "/manifest.json";
    char key[MANIFEST_ID + sizeof(last)];
    const struct manifest *m = snapshot_manifest(x->pin);
    snprintf(key, sizeof(key), "%s%s", m->id, last);
    if (!storage_path(x->hub->storage, key, x->dir))
        return error_set(err, TD_E_NOT_FOUND, "snapshot %s has no files on this machine", m->name);
    x->dir[strlen(x->dir) - strlen(last)] = '\0';
    return TD_OK;
}

static int take_time(const struct export_run *x, const char *name, int64_t *ret, struct error *err)
{
    const char *text = http_parameter(x->q, name);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (text && !units_parse_time(text, (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, ret))
        return error_set(err, TD_E_CONFIG, "%s: \"%.64s\" is no time; write it as 2026-01-02T03:04:05.6Z, or as now-5m", name, text);
    return TD_OK;
}

/* "node-1,node-2" */
static int take_nodes(struct export_run *x, struct error *err)
{
    const char *text = http_parameter(x->q, "nodes");
    if (!text)
        return TD_OK;
    if ((size_t)snprintf(x->node_text, sizeof(x->node_text), "%s", text) >= sizeof(x->node_text))
        return error_set(err, TD_E_CONFIG, "nodes: the list is too long");
    x->packets.nodes = x->nodes;
    for (char *at = x->node_text; at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        if (!*at || x->packets.node_count == MAX_NODES)
            return error_set(err, TD_E_CONFIG, "nodes: %s", *at ? "too many" : "a name is empty; write nodes=node-1,node-2");
        x->nodes[x->packets.node_count++] = at;
        at = comma ? comma + 1 : NULL;
    }
    return TD_OK;
}

static int take_flag(const struct export_run *x, const char *name, bool *ret, struct error *err)
{
    const char *text = http_parameter(x->q, name);
    *ret = text && strcmp(text, "true") == 0;
    return !text || *ret || strcmp(text, "false") == 0 ? TD_OK : error_set(err, TD_E_CONFIG, "%s must be true or false", name);
}

/* The calls that a filter chooses. False in *ret_go: answered. */
static int take_calls(struct export_run *x, bool *ret_go, struct error *err)
{
    const char *snapshot = snapshot_manifest(x->pin)->name, *name = http_parameter(x->q, "dissection");
    char db[2 * MANIFEST_NAME + 2];
    x->packets.filter = http_parameter(x->q, "filter");
    int status = take_flag(x, "connections", &x->packets.connections, err);
    if (status != TD_OK)
        return status;
    if (!x->packets.filter) {
        if (x->packets.connections || name)
            return error_set(err, TD_E_CONFIG, "connections and dissection go with filter");
        return TD_OK;
    }
    if (name && (status = manifest_check_name(name, err)) != TD_OK)
        return status;
    snprintf(db, sizeof(db), "%s%s%s", snapshot, name ? "/" : "", name ? name : "");
    status = hub_find_calls(x->hub, db, &x->calls, err);
    if (status != TD_OK)
        x->calls.pin = NULL;
    x->packets.calls = x->calls.path;
    if (status != TD_E_NOT_FOUND)
        return status;
    *ret_go = false;
    if (name)
        http_reply_problem(x->q, 404, "dissection_not_found", "snapshot %s has no dissection %s", snapshot, name);
    else
        http_reply_problem(x->q, 409, "not_dissected",
                           "a filter chooses calls, and snapshot %s is not dissected; `tapedeck snapshot dissect %s` does it (POST "
                           "" API "/dissections)",
                           snapshot, snapshot);
    return TD_OK;
}

static int prepare_packets(struct export_run *x, enum hub_exporter which, struct error *err)
{
    const struct td_inst *exporter = x->hub->exporters[which];
    x->packets = (struct snapshot_export){.manifest = snapshot_manifest(x->pin),
                                          .dir = x->dir,
                                          .start_ns = INT64_MIN,
                                          .end_ns = INT64_MAX,
                                          .linktype = -1,
                                          .exporter = x->hub->exporters[which],
                                          .version = x->hub->version,
                                          .write = write_bytes,
                                          .damaged = tell_damage,
                                          .ctx = x};
    if (!exporter)
        return error_set(err, TD_E_UNSUPPORTED, "this hub has no exporter for it; `tapedeck plugin list` shows which there are");
    x->type = exporter->component->exporter.media_type;
    return take_dir(x, err);
}

static const char *suffix_of(const struct export_run *x, enum hub_exporter which)
{
    return x->hub->exporters[which]->component->exporter.suffix;
}

static int take_packets(struct export_run *x, enum hub_exporter which, bool *ret_go, struct error *err)
{
    int status = prepare_packets(x, which, err);
    if (status == TD_OK)
        status = take_nodes(x, err);
    if (status == TD_OK)
        status = take_time(x, "start", &x->packets.start_ns, err);
    if (status == TD_OK)
        status = take_time(x, "end", &x->packets.end_ns, err);
    if (status == TD_OK && x->packets.start_ns >= x->packets.end_ns)
        status = error_set(err, TD_E_CONFIG, "start is not before end");
    if (status == TD_OK)
        status = take_calls(x, ret_go, err);
    if (status != TD_OK)
        return status;
    x->packets.bpf = http_parameter(x->q, "bpf");
    snprintf(x->file, sizeof(x->file), "%s%s", x->packets.manifest->name, suffix_of(x, which));
    return TD_OK;
}

/* ---- Handlers ---- */

static int get_packets(struct hub *hub, struct http_request *q, enum hub_exporter which, struct error *err)
{
    struct export_run *x = run_new(hub, q);
    bool go = true;
    if (!x)
        return error_nomem(err);
    if (!pin(x, http_segment(q, "name"))) {
        run_free(x);
        return TD_OK;
    }
    int status = take_packets(x, which, &go, err);
    if (status == TD_OK && go)
        return begin(x, push_packets, err);
    run_free(x);
    return status;
}

static int get_pcap(void *hub, struct http_request *q, struct error *err)
{
    return get_packets(hub, q, HUB_PCAP, err);
}

static int get_pcapng(void *hub, struct http_request *q, struct error *err)
{
    return get_packets(hub, q, HUB_PCAPNG, err);
}

/* There is such a call. */
static int check_call(const char *path, uint64_t id, struct error *err)
{
    struct store *store = NULL;
    struct store_call call = {0};
    int status = store_open(path, &store, err);
    if (status == TD_OK)
        status = store_read_call(store, id, false, &call, err);
    store_call_clear(&call);
    store_free(store);
    return status;
}

/* False in *ret_go: answered. */
static int take_call(struct export_run *x, const char *id, bool *ret_go, struct error *err)
{
    char db[JOB_SUBJECT], snapshot[MANIFEST_NAME];
    uint64_t number;
    struct job_status job;
    bool dissecting;
    if (!hub_parse_call_id(id, db, &number))
        return error_set(err, TD_E_NOT_FOUND, "\"%.200s\" is no call; ids are as GET /api/v1/calls gives them: snapshot/dissection/number",
                         id);
    int status = hub_find_dissecting(x->hub, db, &job, &dissecting, err);
    if (status == TD_OK && dissecting && job.state == JOB_RUNNING) { /* which captures its packets are in is known at the end */
        http_reply_problem(x->q, 409, "dissecting", "%s is being dissected; packets of its calls can be had once that has ended", db);
        *ret_go = false;
        return TD_OK;
    }
    if (status == TD_OK)
        status = hub_find_calls(x->hub, db, &x->calls, err);
    if (status == TD_E_NOT_FOUND && hub_refuse_remote(x->hub, x->q, db)) {
        *ret_go = false;
        return TD_OK;
    }
    if (status != TD_OK)
        return status;
    snprintf(snapshot, sizeof(snapshot), "%.*s", (int)strcspn(db, "/"), db);
    x->pin = snapshots_pin(x->hub->snapshots, snapshot);
    if (!x->pin)
        return error_set(err, TD_E_NOT_FOUND, "there is no snapshot %s", snapshot);
    status = check_call(x->calls.path, number, err);
    if (status == TD_OK)
        status = prepare_packets(x, HUB_PCAP, err);
    if (status != TD_OK)
        return status;
    snprintf(x->id_filter, sizeof(x->id_filter), "id == %" PRIu64, number);
    x->packets.calls = x->calls.path;
    x->packets.filter = x->id_filter;
    snprintf(x->file, sizeof(x->file), "%s-%s-%" PRIu64 "%s", snapshot, strchr(x->calls.db, '/') + 1, number, suffix_of(x, HUB_PCAP));
    return TD_OK;
}

static int get_call_pcap(void *ctx, struct http_request *q, struct error *err)
{
    struct export_run *x = run_new(ctx, q);
    if (!x)
        return error_nomem(err);
    bool go = true;
    int status = take_call(x, http_segment(q, "id"), &go, err);
    if (status == TD_OK && go)
        return begin(x, push_packets, err);
    run_free(x);
    return status;
}

/* ---- Archives ---- */

static int add_dissection(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    struct export_run *x = ctx;
    (void)bytes;
    (void)mtime_ns;
    size_t n = x->archive.dissection_count;
    const char **v = arena_alloc(&x->arena, (n + 1) * sizeof(*v), _Alignof(const char *));
    char *copy = arena_strndup(&x->arena, name, strlen(name));
    if (!v || !copy)
        return TD_E_NOMEM;
    if (n)
        memcpy(v, x->dissections, n * sizeof(*v));
    v[n] = copy;
    x->dissections = v;
    x->archive.dissections = v;
    x->archive.dissection_count = n + 1;
    return TD_OK;
}

static int take_archive(struct export_run *x, struct error *err)
{
    static const char *const names[] = {[ARCHIVE_ZSTD] = "zstd", [ARCHIVE_GZIP] = "gzip", [ARCHIVE_PLAIN] = "none"};
    const struct manifest *m = snapshot_manifest(x->pin);
    const char *packing = http_parameter(x->q, "compression");
    bool all;
    x->archive = (struct archive_request){.storage = x->hub->storage, .manifest = m, .write = write_bytes, .ctx = x};
    size_t i = 0;
    while (packing && i < sizeof(names) / sizeof(names[0]) && strcmp(packing, names[i]) != 0)
        i++;
    if (i == sizeof(names) / sizeof(names[0]))
        return error_set(err, TD_E_CONFIG, "compression must be zstd, gzip or none");
    x->archive.packing = (enum archive_packing)i;
    x->type = archive_media_type(x->archive.packing);
    snprintf(x->file, sizeof(x->file), "%s%s", m->name, archive_suffix(x->archive.packing));
    int status = take_flag(x, "dissections", &all, err);
    if (status == TD_OK && all)
        status = snapshot_list_dissections(x->pin, add_dissection, x, err);
    return status == TD_E_NOMEM ? error_nomem(err) : status;
}

/* Parts of a snapshot are no archive of it: its manifest and its digests would be wrong. */
static int check_whole(const struct export_run *x, struct error *err)
{
    static const char *const parts[] = {"nodes", "bpf", "filter", "start", "end", "dissection", "connections"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (http_parameter(x->q, parts[i]))
            return error_set(err, TD_E_CONFIG, "an archive is the whole snapshot: %s goes with pcap and pcapng", parts[i]);
    return TD_OK;
}

static int get_archive(void *ctx, struct http_request *q, struct error *err)
{
    struct export_run *x = run_new(ctx, q);
    if (!x)
        return error_nomem(err);
    if (!pin(x, http_segment(q, "name"))) {
        run_free(x);
        return TD_OK;
    }
    int status = check_whole(x, err);
    if (status == TD_OK)
        status = take_archive(x, err);
    if (status == TD_OK)
        return begin(x, push_archive, err);
    run_free(x);
    return status;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"
#define FLAG "{\"type\":\"boolean\",\"default\":false}"
#define NAME "{\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$\"}"

#define PACKET_PARAMETERS                                                                                                \
    {"name", NAME, "The snapshot's name", true}, {"nodes", TEXT, "Only of these nodes: node-1,node-2", false},           \
        {"bpf", TEXT, "Only packets that match, as tcpdump takes it", false},                                            \
        {"filter", TEXT, "Only the packets of calls that match (KFL); the snapshot must be dissected", false},           \
        {"start", TEXT, "Only packets of then or later: 2026-01-02T03:04:05.6Z, now-5m", false},                         \
        {"end", TEXT, "Only packets before", false},                                                                     \
        {"dissection", NAME, "The dissection whose calls the filter chooses; without it, the only one there is", false}, \
    {                                                                                                                    \
        "connections", FLAG, "The whole connections of the calls", false                                                 \
    }

static const struct hub_parameter packet_parameters[] = {PACKET_PARAMETERS, {0}};
static const struct hub_parameter archive_parameters[] = {
    PACKET_PARAMETERS,
    {"dissections", FLAG, "With the dissections (archives only)", false},
    {"compression", "{\"type\":\"string\",\"enum\":[\"zstd\",\"gzip\",\"none\"],\"default\":\"zstd\"}", "How the archive is packed", false},
    {0}};
static const struct hub_parameter call_parameters[] = {
    {"id", TEXT, "The call's id: snapshot/dissection/number, with its slashes encoded", true}, {0}};

#define PROBLEM "application/problem+json"
#define PACKET_PROBLEMS                                                                                                            \
    {400, PROBLEM, "filter_error: with diagnostics, as /filter/check has them; or invalid_request: the BPF expression or a time"}, \
        {404, PROBLEM, "snapshot_not_found, dissection_not_found, or there is no such node"},                                      \
        {409, PROBLEM, "not_dissected: a filter needs a dissection; not_local: it is in the cloud only"},                          \
        {503, PROBLEM, "cloud_unavailable: it is not here, and the cloud does not answer"},                                        \
    {                                                                                                                              \
        0                                                                                                                          \
    }
static const struct hub_answer pcap_answers[] = {{200, "application/vnd.tcpdump.pcap", "The packets, by time"}, PACKET_PROBLEMS};
static const struct hub_answer pcapng_answers[] = {
    {200, "application/x-pcapng", "The packets, by time, with the interfaces of their nodes, and in its comment what is missing"},
    PACKET_PROBLEMS};
static const struct hub_answer archive_answers[] = {
    {200, "application/zstd", "A tar archive with manifest.json, SHA256SUMS, and a folder of pcapng files for each node"},
    {404, PROBLEM, "snapshot_not_found"},
    {409, PROBLEM, "not_local: it is in the cloud only"},
    {503, PROBLEM, "cloud_unavailable: it is not here, and the cloud does not answer"},
    {0}};
static const struct hub_answer call_answers[] = {
    {200, "application/vnd.tcpdump.pcap", "The call's packets, by time"},
    {404, PROBLEM, "There is no such call"},
    {409, PROBLEM, "not_local: its snapshot is in the cloud only; dissecting: its packets can be had later"},
    {503, PROBLEM, "cloud_unavailable: its snapshot is not here, and the cloud does not answer"},
    {0}};

static const struct hub_route routes[] = {
    {"GET", API "/snapshots/{name}/pcap", HTTP_VIEWER, 0, get_pcap, "exportPcap", "Packets of a snapshot as pcap", packet_parameters, NULL,
     pcap_answers},
    {"GET", API "/snapshots/{name}/pcapng", HTTP_VIEWER, 0, get_pcapng, "exportPcapng", "Packets of a snapshot as pcapng",
     packet_parameters, NULL, pcapng_answers},
    {"GET", API "/snapshots/{name}/archive", HTTP_VIEWER, 0, get_archive, "exportArchive", "A snapshot as one file", archive_parameters,
     NULL, archive_answers},
    {"GET", API "/calls/{id}/pcap", HTTP_VIEWER, 0, get_call_pcap, "exportCall", "The packets of one call", call_parameters, NULL,
     call_answers},
};

const struct hub_subject *hub_routes_exports(void)
{
    static const struct hub_subject subject = {"exports", "Packets and archives as files", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
