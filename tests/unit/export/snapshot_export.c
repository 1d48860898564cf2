/* Exports of a snapshot: what is chosen, in which order, how interfaces are called, and what is told; and real tools that read it. */
#include "export/snapshot_export.h"

#include <sys/wait.h>

#include "base/log.h"
#include "call/store.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "unit/snapshot/snapshot_build.h"

extern const struct td_plugin td_plugin_v1_pcap;
extern const struct td_plugin td_plugin_v1_pcapng;

static struct {
    struct snap snap;
    struct registry *registry;
    struct td_host host;
    struct snapshot_export x;
    struct snapshot_export_stats stats;
    struct buf out;
    struct error err;
    size_t damaged;
    char store[256];
} t;

static int take(void *ctx, struct td_slice bytes, struct error *err)
{
    (void)ctx;
    buf_put_slice(&t.out, bytes);
    return t.out.failed ? error_nomem(err) : TD_OK;
}

static void on_damage(void *ctx, const struct error *fault)
{
    (void)ctx;
    (void)fault;
    t.damaged++;
}

static void reset(void)
{
    t.x = (struct snapshot_export){.manifest = t.snap.manifest,
                                   .dir = t.snap.dir,
                                   .start_ns = INT64_MIN,
                                   .end_ns = INT64_MAX,
                                   .linktype = -1,
                                   .version = "1.2.3",
                                   .write = take,
                                   .damaged = on_damage};
}

static int run(const char *format)
{
    struct filter_diagnostics diagnostics;
    int status = instance_create(registry_find(t.registry, TD_KIND_EXPORTER, format), NULL, &t.host, &t.x.exporter, &t.err);
    buf_reset(&t.out);
    filter_diagnostics_init(&diagnostics);
    t.damaged = 0;
    if (status == TD_OK)
        status = snapshot_export_run(&t.x, &t.stats, &diagnostics, &t.err);
    instance_destroy(t.x.exporter);
    filter_diagnostics_clear(&diagnostics);
    return status;
}

/* ---- What must come ---- */

typedef bool wanted_fn(const struct snap_packet *);

static struct bpf *expression;

static bool all(const struct snap_packet *p)
{
    (void)p;
    return true;
}

static bool by_bpf(const struct snap_packet *p)
{
    return bpf_match(expression, &(struct packet){.p = p->bytes, .caplen = p->caplen, .len = p->len, .linktype = 1});
}

static bool by_time(const struct snap_packet *p)
{
    return p->time_ns >= t.x.start_ns && p->time_ns < t.x.end_ns;
}

static bool of_node_2(const struct snap_packet *p)
{
    return p->node == 1;
}

/* Packets of requests and answers that failed, and the whole of their connections. */
static bool is_failed_talk(const struct snap_packet *p)
{
    const uint8_t *ip = p->bytes + 14, *tcp = ip + 20;
    unsigned from = (unsigned)tcp[0] << 8 | tcp[1], to = (unsigned)tcp[2] << 8 | tcp[3];
    unsigned client = from == 80 ? to : from;
    return ip[9] == 6 && client >= 20000 && (client - 20000) % 10 == 0;
}

static bool is_failed_call(const struct snap_packet *p)
{
    return is_failed_talk(p) && p->caplen > 14 + 20 + 20;
}

/* The output has these packets, in their order, and each is of the right interface. */
static void has(wanted_fn *wanted, const char *what)
{
    static const char *const names[SNAP_NODES][SNAP_INTERFACES] = {{"node-1/eth0", "node-1/eth1"}, {"node-2/eth0", "node-2/eth1"}};
    struct capture *c;
    struct packet batch[64];
    struct block *block;
    size_t at = 0, seen = 0, wrong = 0, count = 0, misnamed = 0;
    int got;
    for (size_t i = 0; i < t.snap.n; i++)
        count += wanted(&t.snap.packets[i]);
    if (capture_open_memory(buf_slice(&t.out), &c, &t.err) != TD_OK) {
        ok(false, "%s: %s", what, t.err.text);
        return;
    }
    while ((got = capture_read(c, batch, 64, &block, &t.err)) > 0) {
        for (int i = 0; i < got; i++, seen++) {
            while (at < t.snap.n && !wanted(&t.snap.packets[at]))
                at++;
            const struct snap_packet *p = at < t.snap.n ? &t.snap.packets[at++] : NULL;
            const char *name = capture_interface(c, batch[i].iface)->name;
            wrong += !p || p->time_ns != batch[i].time_ns || p->caplen != batch[i].caplen || memcmp(p->bytes, batch[i].p, p->caplen) != 0;
            misnamed += !p || !name || strcmp(name, names[p->node][p->iface]) != 0;
        }
        block_unref(block);
    }
    capture_close(c);
    is_int(seen, count, "%s: packets", what);
    is_int(wrong, 0, "%s: each is the right one", what);
    is_int(misnamed, 0, "%s: with its interface", what);
    is_int(t.stats.packets.packets, count, "%s: as many are told", what);
    ok(count > 0 && (count < t.snap.n || wanted == all), "%s: some, but not all", what);
}

/* ---- Choosing ---- */

static void test_choosing(void)
{
    static const char *const expressions[] = {"host 10.1.0.251", "tcp port 80", "udp and greater 900", "host 10.2.0.17 and tcp",
                                              "net 10.2.0.0/16"};
    static const char *const second[] = {"node-2"};
    reset();
    is_int(run("pcapng"), TD_OK, "everything: %s", t.err.text);
    has(all, "everything");
    is_int(t.damaged, 0, "nothing is damaged");
    for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
        reset();
        t.x.bpf = expressions[i];
        is_int(bpf_compile(expressions[i], &expression, &t.err), TD_OK, "a filter");
        is_int(run("pcapng"), TD_OK, "%s", expressions[i]);
        has(by_bpf, expressions[i]);
        bpf_free(expression);
    }
    reset();
    t.x.start_ns = t.snap.packets[t.snap.n / 3].time_ns;
    t.x.end_ns = t.snap.packets[t.snap.n / 2].time_ns;
    is_int(run("pcapng"), TD_OK, "a time");
    has(by_time, "a time");
    reset();
    t.x.nodes = second;
    t.x.node_count = 1;
    is_int(run("pcapng"), TD_OK, "a node");
    has(of_node_2, "a node");
}

static void test_refusals(void)
{
    static const char *const wrong[] = {"node-1", "nodee-2"}, *const missing[] = {"node-3"};
    reset();
    t.x.nodes = wrong;
    t.x.node_count = 2;
    is_int(run("pcapng"), TD_E_NOT_FOUND, "a node that is not there");
    like(t.err.text, "did you mean \"node-2\"", "the nearest is named");
    is_int(t.out.n, 0, "before anything is written");
    reset();
    t.x.nodes = missing;
    t.x.node_count = 1;
    is_int(run("pcapng"), TD_E_NOT_FOUND, "a node without packets");
    reset();
    t.x.bpf = "host";
    is_int(run("pcapng"), TD_E_CONFIG, "half an expression");
    reset();
    atomic_bool cancel;
    atomic_init(&cancel, true);
    t.x.cancel = &cancel;
    is_int(run("pcapng"), TD_E_CANCELLED, "cancelling ends it");
    reset();
    t.x.calls = "/nonexistent.calls";
    is_int(run("pcapng"), TD_E_NOT_FOUND, "a dissection that is not there");
}

/* ---- Calls ---- */

/* As the snapshot is dissected: the segments of all nodes, in order. */
static bool dissect(void)
{
    char command[1024];
    const char *build = getenv("BUILD");
    snprintf(t.store, sizeof(t.store), "%s/x.calls", t.snap.root);
    snprintf(command, sizeof(command), "%s/tapedeck dissect -q -w %s %s/node-1/*.pcapng $(ls %s/node-2/*.pcapng*) >/dev/null 2>&1",
             build ? build : "build", t.store, t.snap.dir, t.snap.dir);
    return system(command) == 0;
}

static void test_calls(void)
{
    reset();
    t.x.calls = t.store;
    t.x.filter = "status_code >= 500";
    is_int(run("pcapng"), TD_OK, "packets of calls: %s", t.err.text);
    is_int(t.stats.calls, SNAP_NODES * SNAP_ROUNDS / 10, "of those that failed");
    has(is_failed_call, "packets of calls");
    t.x.connections = true;
    is_int(run("pcapng"), TD_OK, "connections of calls: %s", t.err.text);
    has(is_failed_talk, "connections of calls");
    t.x.connections = false;
    t.x.filter = "status_code == 418";
    is_int(run("pcapng"), TD_OK, "of no call: %s", t.err.text);
    is_int(t.stats.packets.packets, 0, "nothing comes");
    t.x.filter = "status_code >=";
    is_int(run("pcapng"), TD_E_CONFIG, "half a filter is refused");
    is_int(t.out.n, 0, "before anything is written");
    t.x.filter = NULL;
    t.snap.manifest->nodes[0].packets -= 100;
    is_int(run("pcapng"), TD_E_CORRUPT, "a dissection of something else");
    t.snap.manifest->nodes[0].packets += 100;
}

/* ---- Formats ---- */

static void test_comment(void)
{
    struct buf comment = {0};
    reset();
    t.x.bpf = "udp";
    snapshot_export_comment(&t.x, &comment);
    const char *text = buf_cstr(&comment);
    like(text, "Snapshot shop-outage: ", "the snapshot");
    like(text, "packets that match \"udp\"", "what was chosen");
    like(text, "Node node-1: complete; captured from ", "what was captured");
    like(text, "dropped: 12 by the kernel, 22 by the interface", "drops");
    like(text, "Node node-3: missing (its worker did not answer)", "what is missing");
    is_int(run("pcapng"), TD_OK, "an export");
    ok(memmem(t.out.p, t.out.n, text, comment.n), "has it");
    ok(memmem(t.out.p, t.out.n, "tapedeck 1.2.3", 14), "and says who wrote it");
    buf_clear(&comment);
}

static bool write_output(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool good = fd >= 0 && write(fd, t.out.p, t.out.n) == (ssize_t)t.out.n;
    if (fd >= 0)
        close(fd);
    return good;
}

/* The command, with FILE as $1, prints this, and on stderr nothing but what says that it reads a file. */
static void tool(const char *path, const char *command, const char *wanted)
{
    char line[1024], said[8192];
    snprintf(line, sizeof(line), "set -- %s; { %s; } 2>&1", path, command);
    FILE *f = popen(line, "r");
    size_t n = f ? fread(said, 1, sizeof(said) - 1, f) : 0;
    said[n] = 0;
    int status = f ? pclose(f) : -1;
    if (!ok(status == 0 && strstr(said, wanted), "%s: %.*s", command, (int)strcspn(wanted, "\n"), wanted))
        tap_diag("status %d: %s", status, said);
}

static void test_tools(void)
{
    char path[128], count[64];
    if (system("command -v tshark capinfos tcpdump editcap mergecap >/dev/null") != 0) {
        tap_skip("needs tshark and tcpdump");
        return;
    }
    reset();
    t.x.bpf = "tcp";
    is_int(run("pcapng"), TD_OK, "for other programs");
    snprintf(path, sizeof(path), "%s/out.pcapng", t.snap.root);
    ok(write_output(path), "a file");
    snprintf(count, sizeof(count), "%llu\n", (unsigned long long)t.stats.packets.packets);
    /* Starting tshark takes long: once for all questions. */
    tool(path, "tshark -n -r $1 -T fields -e frame.interface_name >$1.names 2>$1.errors; wc -l <$1.names", count);
    tool(path, "sort -u $1.names | tr '\\n' ' '", "node-1/eth0 node-1/eth1 node-2/eth0 node-2/eth1");
    tool(path, "grep -v 'as user' $1.errors | wc -l", "0\n");
    tool(path, "tcpdump -nr $1 2>/dev/null | wc -l", count);
    tool(path, "tcpdump -nr $1 2>&1 >/dev/null | grep -v '^reading' | wc -l", "0\n");
    tool(path, "capinfos $1 | tee $1.infos", "Number of interfaces in file: 4");
    tool(path, "cat $1.infos", "Time precision = nanoseconds (9)");
    tool(path, "cat $1.infos", "Strict time order:   True");
    tool(path, "cat $1.infos", "dropped: 12 by the kernel, 22 by the interface");
    tool(path, "grep -c 'Number of stat entries = 1' $1.infos", "4\n");
    tool(path, "editcap $1 $1.edited && tcpdump -nr $1.edited 2>/dev/null | wc -l", count);
    tool(path, "mergecap -w $1.merged $1 && tcpdump -nr $1.merged 2>/dev/null | wc -l", count);
    is_int(run("pcap"), TD_OK, "as classic pcap");
    ok(write_output(path), "a file");
    tool(path, "tcpdump -nr $1 2>/dev/null | wc -l", count);
    tool(path, "capinfos $1", "Wireshark/tcpdump/... - pcap");
}

int main(void)
{
    log_set_level(0);
    ok(registry_new(&t.registry, &t.err) == TD_OK && registry_add_static(t.registry, &td_plugin_v1_pcap, &t.err) == TD_OK &&
           registry_add_static(t.registry, &td_plugin_v1_pcapng, &t.err) == TD_OK,
       "exporters: %s", t.err.text);
    host_init_control(&t.host);
    if (snap_open(&t.snap)) {
        test_choosing();
        test_refusals();
        test_comment();
        if (ok(dissect(), "the snapshot is dissected"))
            test_calls();
        test_tools();
    }
    snap_close(&t.snap);
    buf_clear(&t.out);
    registry_free(t.registry);
    return tap_done();
}
