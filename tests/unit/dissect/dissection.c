/* A dissection in its child process: what comes out of it, and what becomes of dissectors that do harm. */
#include "dissect/dissection.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/units.h"
#include "call/call_json.h"
#include "call/store.h"
#include "dissect/pipeline.h"
#include "dissect/sandbox_filter.h"
#include "plugin/registry.h"
#include "tap.h"
#include "traffic.h"

static char folder[] = "/tmp/dissection_test_XXXXXX";
static char build[PATH_MAX]; /* the folder that the plugins were built in */
static struct error err;

/* ---- Setting up ---- */

static void find_build(void)
{
    ssize_t n = readlink("/proc/self/exe", build, sizeof(build) - 1);
    char *tests = NULL;
    for (char *at = build; n > 0 && (at = strstr(at, "/tests/")); at++)
        tests = at;
    if (!tests)
        exit(1);
    *tests = 0;
}

/* `more`: of the section tap, indented by two. */
static struct config *make_config(const char *more)
{
    struct buf text = {0};
    struct findings f;
    struct config *config = NULL;
    findings_init(&f);
    buf_printf(&text, "tap:\n  plugins: {path: [\"%s/tests/plugins\", \"%s/plugins\"]}\n%s", build, build, more);
    if (config_parse(buf_slice(&text), "test", &config, &f) != TD_OK || f.errors) {
        findings_print(&f, stdout);
        exit(1);
    }
    buf_clear(&text);
    return config;
}

static const char *in_folder(const char *name)
{
    static char paths[8][sizeof(folder) + 64];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, struct td_slice bytes)
{
    const char *path = in_folder(name);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fclose(f) != 0)
        exit(1);
    return path;
}

static size_t files_in_folder(const char *suffix)
{
    char command[sizeof(folder) + 64];
    char line[16] = "";
    snprintf(command, sizeof(command), "ls %s | grep -c -e '%s$'", folder, suffix);
    FILE *pipe = popen(command, "r");
    if (!pipe || !fgets(line, sizeof(line), pipe))
        exit(1);
    pclose(pipe);
    return strtoul(line, NULL, 10);
}

/* All calls of a store, a line of JSON each, in the order of time; `without`: not those whose JSON has this in it. */
static char *list_calls(const char *path, const char *without)
{
    struct store *store = NULL;
    struct store_scan *scan = NULL;
    struct store_scan_options options = {.oldest_first = true};
    struct store_position at = {0};
    struct store_call call = {0};
    struct buf out = {0}, one = {0};
    int status = store_open(path, &store, &err);
    if (status == TD_OK)
        status = store_scan_new(store, &options, &scan, &err);
    while (status == TD_OK && (status = store_scan_next(scan, &at, &err)) == TD_OK && at.id) {
        status = store_read_call(store, at.id, true, &call, &err);
        buf_reset(&one);
        call_put_json(&one, &call.call, true);
        if (!without || !strstr(buf_cstr(&one), without))
            buf_put_slice(&out, buf_slice(&one));
    }
    if (status != TD_OK)
        tap_diag("%s: %s", path, err.text);
    store_call_clear(&call);
    store_scan_free(scan);
    store_free(store);
    buf_clear(&one);
    char *text = mem_strdup(status == TD_OK ? buf_cstr(&out) : "cannot be read");
    buf_clear(&out);
    return text;
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* A request for one node's captures, into folder/out.calls. */
static struct dissection_request request_for(const struct config *config, const struct dissection_node *nodes, size_t n)
{
    return (struct dissection_request){
        .config = config, .nodes = nodes, .node_count = n, .out_dir = folder, .out_name = "out.calls", .payloads = true};
}

static void remove_output(void)
{
    unlink(in_folder("out.calls"));
}

/* ---- The same as elsewhere ---- */

/* As `tapedeck dissect -w` does it. */
static void dissect_here(const struct config *config, const char *const *paths, size_t n, const char *out)
{
    struct registry *registry = NULL;
    struct pipeline p;
    struct capture *capture = NULL;
    struct store_create_options options = {.appenders = 2, .about = TD_LIT("{}"), .payloads = true, .replace = true};
    int status = registry_open(config, &registry, &err);
    if (status == TD_OK)
        status = pipeline_open(&p, config, registry, &err);
    if (status == TD_OK)
        status = pipeline_create_store(&p, out, options, &err);
    struct engine_options engine = {0};
    if (status == TD_OK)
        engine = pipeline_engine_options(&p, 2);
    engine.on_call = pipeline_store_call;
    engine.on_call_ctx = &p;
    if (status == TD_OK)
        status = engine_new(&engine, &p.engine, &err);
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        status = capture_open(paths[i], &capture, &err);
        if (status == TD_OK)
            status = pipeline_run(&p, capture, &err);
        capture_close(capture);
    }
    if (status == TD_OK)
        status = engine_finish(p.engine, &err);
    if (status == TD_OK)
        status = pipeline_finish_store(&p, td_bytes(NULL, 0), &err);
    ok(status == TD_OK, "the same captures are dissected here");
    if (status != TD_OK)
        tap_diag("%s", err.text);
    pipeline_close(&p);
    registry_free(registry);
}

static const char *const recorded[] = {"plugins/dissectors/http/captures/nginx_curl.pcap",
                                       "plugins/dissectors/dns/captures/dnsmasq_dig.pcap", "plugins/dissectors/http/captures/uploads.pcap"};
enum { RECORDED = 3 };

static char *summary_of(const char *path)
{
    struct store *store;
    if (store_open(path, &store, &err) != TD_OK)
        return mem_strdup(err.text);
    struct td_slice text = store_summary(store);
    char *copy = mem_alloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    store_free(store);
    return copy;
}

static void test_same(const char *more)
{
    struct config *config = make_config(more);
    struct dissection_node node = {NULL, recorded, RECORDED};
    struct dissection_request request = request_for(config, &node, 1);
    struct buf summary = {0};
    struct dissection_result result = {.summary = &summary};
    int status = dissection_run(&request, &result, &err);
    if (!is_int(status, TD_OK, "recorded captures are dissected"))
        tap_diag("%s", err.text);
    dissect_here(config, recorded, RECORDED, in_folder("here.calls"));
    char *got = list_calls(in_folder("out.calls"), NULL), *want = list_calls(in_folder("here.calls"), NULL);
    ok(count_lines(want) > 50, "there are calls");
    is_str(got, want, "the calls are the same");
    is_int(result.calls, count_lines(want), "as many as are said");
    char *said = summary_of(in_folder("out.calls")), *here = summary_of(in_folder("here.calls"));
    is_str(said, here, "and so is the summary");
    is_str(buf_cstr(&summary), here, "which is handed out as well");
    is_int(result.crashes + result.quarantined_count + result.damaged, 0, "nothing went wrong");
    is_int(files_in_folder("tmp"), 0, "nothing is left beside the store");
    status = dissection_run(&request, &result, &err);
    is_int(status, TD_E_EXISTS, "a name that is taken is refused");
    mem_free(got);
    mem_free(want);
    mem_free(said);
    mem_free(here);
    buf_clear(&summary);
    unlink(in_folder("here.calls"));
    remove_output();
    config_free(config);
}

/* ---- Nodes ---- */

/* What the program prints for calls of the store. */
static void ask_calls(const char *arguments, char *out, size_t n)
{
    char command[2 * PATH_MAX];
    snprintf(command, sizeof(command), "%s/tapedeck calls %s %s 2>/dev/null", build, in_folder("out.calls"), arguments);
    FILE *pipe = popen(command, "r");
    size_t got = pipe ? fread(out, 1, n - 1, pipe) : 0;
    out[got] = 0;
    if (pipe)
        pclose(pipe);
}

/* In the filter, in columns and as JSON. */
static void test_node_fields(void)
{
    char out[64 << 10];
    ask_calls("--fields node_name,node --filter 'node_name == \"node-2\"'", out, sizeof(out));
    is_int(count_lines(out), 27, "a filter by node_name");
    ok(strncmp(out, "node-2\tname: node-2\n", 20) == 0, "the columns node_name and node");
    ask_calls("--fields node_name --filter 'node.name == \"node-1\" && map_get(node, \"name\", \"\") == \"node-1\"'", out, sizeof(out));
    is_int(count_lines(out), 27, "a filter by node.name");
    ok(!strstr(out, "node-2"), "which leaves out the others");
    ask_calls("-o json --limit 1 --filter 'node_name.startsWith(\"node-1\")'", out, sizeof(out));
    like(out, "\"node\":{\"name\":\"node-1\"}", "and as JSON");
}

/* The same conversation on two nodes: with one table the second would be a repetition of the first. */
static void test_nodes(void)
{
    struct config *config = make_config("");
    struct dissection_node nodes[] = {{"node-1", recorded, 1}, {"node-2", recorded, 1}};
    struct dissection_request request = request_for(config, nodes, 2);
    struct dissection_result result = {0};
    int status = dissection_run(&request, &result, &err);
    if (!is_int(status, TD_OK, "two nodes"))
        tap_diag("%s", err.text);
    char *first = list_calls(in_folder("out.calls"), "node-2"), *second = list_calls(in_folder("out.calls"), "node-1");
    ok(count_lines(first) == 27 && count_lines(second) == 27, "each has its calls: %u, %u", count_lines(first), count_lines(second));
    like(first, "\"node\":{\"name\":\"node-1\"}", "which say whose they are");
    like(second, "\"node\":{\"name\":\"node-2\"}", "both");
    mem_free(first);
    mem_free(second);
    test_node_fields();
    remove_output();
    config_free(config);
}

/* ---- Captures of every state ---- */

static struct buf read_whole(const char *path)
{
    struct buf bytes = {0};
    char part[4096];
    FILE *f = fopen(path, "r");
    size_t n;
    while (f && (n = fread(part, 1, sizeof(part), f)) > 0)
        buf_put(&bytes, part, n);
    if (!f || fclose(f) != 0)
        exit(1);
    return bytes;
}

struct told {
    uint64_t done, all, packets, calls;
};

static void note_progress(void *ctx, uint64_t done, uint64_t all, uint64_t packets, uint64_t calls)
{
    *(struct told *)ctx = (struct told){done, all, packets, calls};
}

static const char *write_packed(const char *name, const char *from)
{
    struct buf whole = read_whole(from);
    size_t room = ZSTD_compressBound(whole.n);
    uint8_t *packed = mem_alloc(room);
    size_t n = ZSTD_compress(packed, room, whole.p, whole.n, 1);
    const char *path = write_file(name, td_bytes(packed, n));
    mem_free(packed);
    buf_clear(&whole);
    return path;
}

static void test_captures(void)
{
    struct config *config = make_config("");
    struct buf whole = read_whole(recorded[0]);
    const char *cut = mem_strdup(write_file("cut.pcap", td_sub(buf_slice(&whole), 0, whole.n - 20)));
    const char *none = mem_strdup(write_file("none.pcap", TD_LIT("this is no capture")));
    const char *packed = write_packed("packed.pcap.zst", recorded[1]);
    const char *paths[] = {cut, none, packed};
    struct dissection_node node = {"n", paths, 3};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    struct told told = {0};
    request.progress = note_progress;
    request.ctx = &told;
    int status = dissection_run(&request, &result, &err);
    if (!is_int(status, TD_OK, "a capture that is cut, one that is none, and a good one that is compressed"))
        tap_diag("%s", err.text);
    is_int(result.damaged, 2, "two of them are damaged");
    ok(told.all && told.done == told.all && told.calls == result.calls && told.packets == result.packets, "progress reaches its end");
    ok(result.calls >= 58, "what is there was dissected: %llu calls", (unsigned long long)result.calls);
    remove_output();
    paths[1] = in_folder("missing.pcap");
    is_int(dissection_run(&request, &result, &err), TD_E_NOT_FOUND, "a capture that is not there");
    like(err.text, "missing.pcap: cannot open", "is named");
    is_int(files_in_folder("calls"), 0, "there is no store then");
    paths[1] = folder;
    is_int(dissection_run(&request, &result, &err), TD_E_UNSUPPORTED, "a folder is no capture");
    is_int(files_in_folder("tmp"), 0, "nothing is left behind");
    unlink(cut);
    unlink(none);
    unlink(in_folder("packed.pcap.zst"));
    mem_free((void *)(uintptr_t)cut);
    mem_free((void *)(uintptr_t)none);
    buf_clear(&whole);
    config_free(config);
}

/* More files than a process may have open. */
static void test_many(void)
{
    enum { FILES = 3000 };
    struct config *config = make_config("");
    const char **paths = mem_calloc(FILES, sizeof(char *));
    struct traffic t;
    traffic_init(&t);
    traffic_udp(&t, (struct peer){{10, 0, 0, 1}, 4000}, (struct peer){{10, 0, 0, 2}, 9}, TD_LIT("nothing"));
    const char *empty = mem_strdup(write_file("small.pcap", buf_slice(&t.pcap)));
    for (int i = 0; i < FILES; i++)
        paths[i] = empty;
    paths[FILES - 1] = recorded[1];
    struct dissection_node node = {"n", paths, FILES};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    if (!is_int(dissection_run(&request, &result, &err), TD_OK, "thousands of captures"))
        tap_diag("%s", err.text);
    is_int(result.calls, 32, "all of them, to the last");
    char *summary = summary_of(in_folder("out.calls"));
    json_t *object = json_loads(summary, 0, NULL);
    is_int(json_array_size(json_object_get(object, "packets")), FILES, "and the packets of each are counted");
    json_decref(object);
    mem_free(summary);
    unlink(empty);
    mem_free((void *)(uintptr_t)empty);
    mem_free(paths);
    traffic_clear(&t);
    remove_output();
    config_free(config);
}

/* ---- Harm ---- */

enum { GOOD = 40, BAD_PORT = 6666 };

/* Many connections side by side; some of them do harm in the middle, one after the other. */
static const char *make_capture_of(const char *name, const char *const *deeds, unsigned bad_n)
{
    struct traffic t;
    struct talk good[GOOD], bad[4];
    struct buf line = {0};
    traffic_init(&t);
    struct peer server = {{10, 0, 0, 2}, 7777};
    for (uint16_t i = 0; i < GOOD; i++)
        talk_open(&good[i], &t, (struct peer){{10, 0, 1, (uint8_t)i}, (uint16_t)(20000 + i)}, server);
    for (uint16_t i = 0; i < bad_n; i++)
        talk_open(&bad[i], &t, (struct peer){{10, 0, 2, (uint8_t)i}, (uint16_t)(BAD_PORT + i)}, server);
    for (unsigned turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < GOOD; i++) {
            buf_reset(&line);
            buf_printf(&line, "do nothing of %u, turn %u\n", i, turn);
            talk_send(&good[i], 0, buf_slice(&line), 0);
        }
        for (unsigned i = 0; i < bad_n; i++)
            talk_send(&bad[i], 0, turn == i + 1 ? td_str(deeds[i]) : TD_LIT("do well\n"), 0);
    }
    for (unsigned i = 0; i < GOOD; i++)
        talk_close(&good[i]);
    const char *path = write_file(name, buf_slice(&t.pcap));
    buf_clear(&line);
    traffic_clear(&t);
    return path;
}

static const char *make_capture(const char *name, const char *deed, unsigned bad_n)
{
    const char *const deeds[] = {deed, deed, deed, deed};
    return make_capture_of(name, deeds, bad_n);
}

struct harm {
    const char *name, *deed, *why;
};

static const char *padded(const char *deed)
{
    static char line[64];
    snprintf(line, sizeof(line), "do %s\n", deed);
    return line;
}

static void check_harm(const struct harm *h, const struct config *config, unsigned bad_n, const char *want)
{
    const char *path = make_capture("bad.pcap", padded(h->deed), bad_n);
    struct dissection_node node = {"here", &path, 1};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    request.max_stall_ns = NS_PER_S / 2;
    request.max_memory = 300 << 20;
    int64_t begin = now_ns();
    int status = dissection_run(&request, &result, &err);
    double seconds = (double)(now_ns() - begin) / NS_PER_S;
    tap_diag("%s: %.2f s", h->name, seconds);
    if (!is_int(status, TD_OK, "%s: the others are dissected", h->name)) {
        tap_diag("%s", err.text);
        return;
    }
    char *got = list_calls(in_folder("out.calls"), NULL);
    is_str(got, want, "%s: all their calls are there, as without it", h->name);
    is_int(result.quarantined_count, bad_n, "%s: one connection each is in quarantine", h->name);
    is_int(result.crashes, bad_n, "%s: which cost a child each", h->name);
    for (unsigned i = 0; i < result.quarantined_count; i++) {
        const struct dissection_quarantined *q = &result.quarantined[i];
        like(q->connection, "10.0.2.", "%s: the right one", h->name);
        like(q->connection, "-10.0.0.2:7777/tcp", "%s: to the server", h->name);
        like(q->why, h->why, "%s: and it is said why", h->name);
        is_str(q->dissector, "hostile", "%s: whose fault it is", h->name);
        is_str(q->node, "here", "%s: and where", h->name);
    }
    char *summary = summary_of(in_folder("out.calls"));
    like(summary, "\"quarantined\":[{\"node\":\"here\",\"connection\":\"10.0.2.", "%s: the store says so, too", h->name);
    mem_free(summary);
    mem_free(got);
    remove_output();
}

static void test_harm(const char *more)
{
    static const struct harm harms[] = {
        {"a crash", "crash", SANDBOX_SANITIZED ? "" : "SIGSEGV"},
        {"abort()", "abort", "SIGABRT"},
        {"a stack that overflows", "overflow", SANDBOX_SANITIZED ? "" : "SIGSEGV"},
        {"a loop", "loop", "did not come back within 500ms"},
        {"waiting", "wait", "did not come back within 500ms"},
        {"opening a file", "open", "tried the system call open"},
        {"creating a file", "write", "tried the system call open"},
        {"connecting", "connect", "tried the system call socket"},
        {"executing", "exec", "tried the system call execve"},
        {"a process", "fork", "tried the system call clone"},
        {"a signal", "kill", "tried the system call "},
        {"code", "code", "tried the system call mmap"},
        {"memory that no limit counts", "stack", "tried the system call mmap"},
        {"emptying the log", "erase", "tried the system call ftruncate"},
        {"writing over the log", "overwrite", "tried the system call lseek"},
        {"sleeping", "sleep", "tried the system call "},
        {"room that no size shows", "reserve", "tried the system call fallocate"},
        {"leaving", "exit", ""},
#if !SANDBOX_SANITIZED /* there are no limits to memory then */
        {"taking all memory", "eat", "out of memory"},
        {"taking all memory, and a crash", "gorge", ""},
#endif
    };
    struct config *config = make_config(more);
    const char *path = make_capture("good.pcap", "do well\n", 1);
    struct dissection_node node = {"here", &path, 1};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    ok(dissection_run(&request, &result, &err) == TD_OK && !result.crashes, "a capture without harm");
    char *want = list_calls(in_folder("out.calls"), "10.0.2.");
    is_int(count_lines(want), 4 * GOOD, "its calls");
    remove_output();
    for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++)
        if (!(SANDBOX_SANITIZED && strcmp(harms[i].deed, "sleep") == 0))
            check_harm(&harms[i], config, 1, want);
    mem_free(want);
    config_free(config);
}

static void test_twice(void)
{
    static const struct harm harm = {"three crashes", "crash", ""};
    struct config *config = make_config("");
    const char *path = make_capture("good.pcap", "do well\n", 3);
    struct dissection_node node = {"here", &path, 1};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    ok(dissection_run(&request, &result, &err) == TD_OK, "three connections without harm");
    char *want = list_calls(in_folder("out.calls"), "10.0.2.");
    remove_output();
    check_harm(&harm, config, 3, want);
    path = make_capture("bad.pcap", "do crash\n", 3);
    request.max_crashes = 2;
    is_int(dissection_run(&request, &result, &err), TD_E_INTERNAL, "there is an end to it");
    is_int(result.crashes, 3, "after as many as may be");
    is_int(files_in_folder("calls") + files_in_folder("tmp"), 0, "and nothing is left");
    mem_free(want);
    config_free(config);
}

/* exit() does not say which thread it was, and another may be at a connection, too. */
static void test_exit_beside(void)
{
    static const char *const deeds[] = {"do wait\n", "do wait\n", "do exit\n"};
    struct config *config = make_config("  dissection: {threads: 4}\n");
    const char *path = make_capture_of("bad.pcap", deeds, 3);
    struct dissection_node node = {"here", &path, 1};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    request.max_stall_ns = NS_PER_S;
    if (!is_int(dissection_run(&request, &result, &err), TD_OK, "a process that is ended while several threads are at work"))
        tap_diag("%s", err.text);
    is_int(result.quarantined_count, 3, "who did it is found");
    remove_output();
    config_free(config);
}

/* It would end the parent, which looks at it. */
static void test_shared_memory(void)
{
    struct config *config = make_config("");
    const char *path = make_capture("bad.pcap", "do resize\n", 1);
    struct dissection_node node = {"here", &path, 1};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    ok(dissection_run(&request, &result, &err) == TD_OK && !result.crashes, "memory that is shared with the parent keeps its size");
    remove_output();
    config_free(config);
}

/* ---- Being stopped ---- */

struct stopping {
    atomic_bool cancel;
    int64_t begin_ns; /* when it was set */
};

static void request_loop(struct dissection_request *request, const struct config *config, struct dissection_node *node, const char **path)
{
    *path = make_capture("bad.pcap", "do loop\n", 1);
    *node = (struct dissection_node){"here", path, 1};
    *request = request_for(config, node, 1);
    request->max_stall_ns = 600ll * NS_PER_S;
}

static void wait_for_output(void)
{
    struct stat info;
    const char *path = in_folder("out.calls.tmp"); /* once: later ones would take the place of paths that are in use */
    for (int i = 0; i < 200 && stat(path, &info) != 0; i++)
        nanosleep(&(struct timespec){0, 10 * NS_PER_MS}, NULL);
    nanosleep(&(struct timespec){0, 200 * NS_PER_MS}, NULL);
}

static void *stop_later(void *ctx)
{
    struct stopping *s = ctx;
    wait_for_output();
    s->begin_ns = now_ns();
    atomic_store(&s->cancel, true);
    return NULL;
}

static void test_cancel(void)
{
    struct config *config = make_config("");
    struct dissection_request request;
    struct dissection_node node;
    struct dissection_result result = {0};
    const char *path;
    struct stopping s = {false, 0};
    pthread_t thread;
    request_loop(&request, config, &node, &path);
    request.cancel = &s.cancel;
    if (pthread_create(&thread, NULL, stop_later, &s) != 0)
        exit(1);
    is_int(dissection_run(&request, &result, &err), TD_E_CANCELLED, "a dissection that loops is stopped");
    pthread_join(thread, NULL);
    int64_t took = now_ns() - s.begin_ns;
    ok(took < 5ll * NS_PER_S, "at once: after %lld ms", (long long)(took / NS_PER_MS));
    is_int(files_in_folder("calls") + files_in_folder("tmp"), 0, "and leaves nothing");
    config_free(config);
}

/* The child's child becomes ours, so that its end is seen. */
static void test_killed_parent(void)
{
    struct config *config = make_config("");
    struct dissection_request request;
    struct dissection_node node;
    struct dissection_result result = {0};
    const char *path;
    request_loop(&request, config, &node, &path);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(dissection_run(&request, &result, &err) == TD_OK);
    wait_for_output();
    kill(pid, SIGKILL);
    int ended = 0, orphan = 0;
    waitpid(pid, &ended, 0);
    pid_t other = 0;
    for (int i = 0; i < 200 && (other = waitpid(-1, &orphan, WNOHANG)) == 0; i++)
        nanosleep(&(struct timespec){0, 10 * NS_PER_MS}, NULL);
    ok(other > 0 && WIFSIGNALED(orphan), "a child whose parent was killed is gone, too");
    is_int(files_in_folder("calls"), 0, "there is nothing under the final name");
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    unlink(in_folder("out.calls.tmp"));
    config_free(config);
}

/* ---- No room ---- */

static void test_full(void)
{
    enum { ROOM = 300 << 10 };
    struct config *config = make_config("");
    struct dissection_node node = {"here", recorded, RECORDED};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {ROOM / 4, ROOM / 4};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        int status = dissection_run(&request, &result, &err);
        if (status != TD_E_LIMIT || !strstr(err.text, "no room"))
            fprintf(stderr, "# %d: %s\n", status, err.text);
        _exit(status == TD_E_LIMIT && strstr(err.text, "no room") ? 0 : 1);
    }
    int ended = 0;
    waitpid(pid, &ended, 0);
    ok(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "a full disk is told");
    is_int(files_in_folder("calls") + files_in_folder("tmp"), 0, "and leaves nothing");
    config_free(config);
}

/* With room on the disk, but not for this. */
static void test_room(void)
{
    struct config *config = make_config("");
    struct dissection_node node = {"here", recorded, RECORDED};
    struct dissection_request request = request_for(config, &node, 1);
    struct dissection_result result = {0};
    struct stat info = {0};
    request.max_bytes = 64 << 10;
    is_int(dissection_run(&request, &result, &err), TD_E_LIMIT, "calls that take more than they may");
    like(err.text, "no room: the calls take more than the 64 KiB", "which is told");
    is_int(files_in_folder("calls") + files_in_folder("tmp"), 0, "and leave nothing");
    request.max_bytes = 64 << 20;
    is_int(dissection_run(&request, &result, &err), TD_OK, "enough is enough");
    remove_output();
    const char *path = make_capture("bad.pcap", "do grow\n", 1);
    node = (struct dissection_node){"here", &path, 1};
    is_int(dissection_run(&request, &result, &err), TD_OK, "a dissector that writes far behind the end");
    ok(stat(in_folder("out.calls"), &info) == 0 && info.st_size < 64 << 20, "cannot: %lld bytes", (long long)info.st_size);
    remove_output();
    config_free(config);
}

/* A child that is at no connection and comes to no end. */
static void test_idle(void)
{
    static const char *const how[] = {"loop", "sleep"};
    for (size_t i = 0; i < 2; i++) {
        char options[64];
        snprintf(options, sizeof(options), "  dissectors: {hostile: {hang: %s}}\n", how[i]);
        struct config *config = make_config(options);
        struct dissection_node node = {"here", recorded, 1};
        struct dissection_request request = request_for(config, &node, 1);
        struct dissection_result result = {0};
        request.max_idle_ns = NS_PER_S / 2;
        int64_t begin = now_ns();
        is_int(dissection_run(&request, &result, &err), TD_E_INTERNAL, "a child that hangs before it begins: %s", how[i]);
        like(err.text, "got nowhere within 500ms, while it was begun", "is ended");
        int64_t took = now_ns() - begin;
        ok(took >= NS_PER_S / 2 && took < 60ll * NS_PER_S, "in time: %lld ms", (long long)(took / NS_PER_MS));
        is_int(files_in_folder("calls") + files_in_folder("tmp"), 0, "and leaves nothing");
        config_free(config);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], DISSECTION_VERB) == 0)
        return dissection_child((int)strtol(argv[2], NULL, 10));
    char text[128];
    find_build();
    if (!mkdtemp(folder))
        return 1;
    dissection_sandbox_text(text);
    tap_diag("sandbox: %s", text);
    like(text, "seccomp", "there is a sandbox");
    test_same("");
    test_same("  delayedDissection: {cpu: 500m, memory: 1Gi}\n  enabledDissectors: [http, dns]\n"
              "  dissectors: {http: {maxBodySize: 64}}\n  dissection: {decodeAs: ['tcp.port==80,http']}\n");
    test_nodes();
    test_captures();
    test_many();
    test_harm("  dissection: {threads: 4}\n");
    test_twice();
    test_exit_beside();
    test_shared_memory();
    test_cancel();
    test_killed_parent();
    test_full();
    test_room();
    test_idle();
    unlink(in_folder("good.pcap"));
    unlink(in_folder("bad.pcap"));
    ok(rmdir(folder) == 0, "nothing else was written there");
    return tap_done();
}
