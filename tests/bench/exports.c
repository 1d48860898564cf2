/* Exporting one host's packets, a thousandth of a snapshot, against `tcpdump -r` with the same filter on the whole as a pcap; and
 * everything, for comparison: `exports DIR [MIB]`. DIR gets a folder of segments with MIB (1024) mebibytes, and that pcap; both are
 * removed. Shortest of several, in turn, all from the page cache. Exit status 1: the bar does not hold. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "capture/ring.h"
#include "export/snapshot_export.h"
#include "plugin/host.h"
#include "plugin/registry.h"

extern const struct td_plugin td_plugin_v1_pcap;
extern const struct td_plugin td_plugin_v1_pcapng;

enum { TIMES = 5, SHARE = 1000, BAR = 20, HOSTS = 2000, LIVE = 200, MAX_BYTES = 1400 };

#define FILTER "host 10.200.0.1"

struct bench {
    char snapshot[512], node[600], pcap[600], out[600];
    struct registry *registry;
    struct td_host host;
    struct manifest *manifest;
    int fd;
    uint64_t bytes;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void fail(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->text : "failed");
    exit(2);
}

/* Ethernet, IPv4, TCP. At any time there are LIVE connections between clients and a few servers; each has some fifty packets. */
static uint32_t make_packet(uint8_t *p, uint64_t i)
{
    uint64_t chance = i * 0x9e3779b97f4a7c15u >> 20;
    bool ours = i % SHARE == SHARE / 2;
    uint64_t connection = (i / (50 * LIVE) * LIVE + chance % LIVE) * 0x9e3779b97f4a7c15u >> 24;
    uint32_t client = (uint32_t)(connection % HOSTS), bytes = 80 + (uint32_t)(chance >> 12) % (MAX_BYTES - 80);
    memset(p, 0, 54);
    memcpy(p, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0\x45", 15);
    p[16] = (uint8_t)((bytes - 14) >> 8);
    p[17] = (uint8_t)(bytes - 14);
    p[22] = 64;
    p[23] = 6;
    memcpy(p + 26, (const uint8_t[]){10, ours ? 200 : 1, (uint8_t)(ours ? 0 : client >> 8), (uint8_t)(ours ? 1 : client)}, 4);
    memcpy(p + 30, (const uint8_t[]){10, 2, 0, (uint8_t)(connection & 15)}, 4);
    memcpy(p + 34, (const uint8_t[]){(uint8_t)(128 + (connection >> 16 & 63)), (uint8_t)(connection >> 8), 0, 80}, 4);
    p[46] = 0x50;
    p[47] = 0x10;
    return bytes;
}

static uint64_t record(struct bench *b, uint64_t mib)
{
    static uint8_t packet[MAX_BYTES];
    const struct ring_options options = {
        .dir = b->node, .node = "node-1", .storage_size = (mib + 1024) << 20, .segment_duration_ns = (int64_t)3600 * NS_PER_S};
    const struct ring_interface iface = {.name = "eth0", .linktype = 1, .snaplen = 262144};
    struct ring *ring;
    struct ring_stats stats;
    struct error err;
    uint32_t number;
    uint64_t n = 0;
    if (ring_open(&options, &ring, &err) != TD_OK || ring_add_interface(ring, &iface, &number, &err) != TD_OK)
        fail("a ring", &err);
    for (uint64_t bytes = 0; bytes < mib << 20; n++) {
        uint32_t caplen = make_packet(packet, n);
        ring_append(ring, number, 1700000000ll * NS_PER_S + (int64_t)n * 2000, packet, caplen, caplen);
        bytes += caplen + 32;
        if (n % 64 == 0)
            ring_publish(ring);
    }
    ring_publish(ring);
    ring_stats(ring, &stats);
    ring_close(ring);
    b->bytes = stats.captured_bytes;
    return n;
}

static int write_out(void *ctx, struct td_slice bytes, struct error *err)
{
    const struct bench *b = ctx;
    return write(b->fd, bytes.p, bytes.n) == (ssize_t)bytes.n ? TD_OK : error_set(err, TD_E_LIMIT, "cannot write");
}

static void on_damage(void *ctx, const struct error *fault)
{
    (void)ctx;
    fail("damage", fault);
}

static double export(struct bench *b, const char *format, const char *bpf, const char *path, uint64_t *ret_packets)
{
    struct snapshot_export x = {.manifest = b->manifest,
                                .dir = b->snapshot,
                                .start_ns = INT64_MIN,
                                .end_ns = INT64_MAX,
                                .bpf = bpf,
                                .linktype = -1,
                                .write = write_out,
                                .damaged = on_damage,
                                .ctx = b};
    struct snapshot_export_stats stats;
    struct error err;
    double begin = now_s();
    b->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (b->fd < 0 || instance_create(registry_find(b->registry, TD_KIND_EXPORTER, format), NULL, &b->host, &x.exporter, &err) != TD_OK)
        fail("an exporter", &err);
    if (snapshot_export_run(&x, &stats, NULL, &err) != TD_OK)
        fail("export", &err);
    instance_destroy(x.exporter);
    close(b->fd);
    *ret_packets = stats.packets.packets;
    return now_s() - begin;
}

static double tcpdump(const struct bench *b)
{
    char command[2048];
    snprintf(command, sizeof(command), "tcpdump -r %s -w %s '" FILTER "' 2>/dev/null", b->pcap, b->out);
    double begin = now_s();
    if (system(command) != 0)
        fail("tcpdump", NULL);
    return now_s() - begin;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void prepare(struct bench *b, const char *dir)
{
    struct error err;
    snprintf(b->snapshot, sizeof(b->snapshot), "%.400s/exports.snapshot", dir);
    snprintf(b->node, sizeof(b->node), "%s/node-1", b->snapshot);
    snprintf(b->pcap, sizeof(b->pcap), "%.400s/exports.all.pcap", dir);
    snprintf(b->out, sizeof(b->out), "%.400s/exports.out.pcap", dir);
    mkdir(b->snapshot, 0755);
    host_init_control(&b->host);
    if (registry_new(&b->registry, &err) != TD_OK || registry_add_static(b->registry, &td_plugin_v1_pcap, &err) != TD_OK ||
        registry_add_static(b->registry, &td_plugin_v1_pcapng, &err) != TD_OK)
        fail("exporters", &err);
}

int main(int argc, char **argv)
{
    static struct bench b;
    static struct manifest_segment segment;
    static struct manifest_node node = {.name = "node-1", .segments = &segment, .segment_count = 1};
    static struct manifest manifest = {.name = "bench", .nodes = &node, .node_count = 1};
    if (argc < 2 || argc > 3) {
        fputs("usage: exports DIR [MIB]\n", stderr);
        return 2;
    }
    uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024, packets, all, wanted;
    double ours = 1e9, theirs = 1e9, classic = 1e9, whole = 1e9, whole_classic = 1e9;
    char command[2048];
    b.manifest = &manifest;
    prepare(&b, argv[1]);
    wanted = record(&b, mib) / SHARE;
    export(&b, "pcap", NULL, b.pcap, &all);
    for (int i = 0; i < TIMES; i++) {
        classic = least(classic, export(&b, "pcap", FILTER, b.out, &packets));
        ours = least(ours, export(&b, "pcapng", FILTER, b.out, &packets));
        theirs = least(theirs, tcpdump(&b));
        whole = least(whole, export(&b, "pcapng", NULL, "/dev/null", &all));
        whole_classic = least(whole_classic, export(&b, "pcap", NULL, "/dev/null", &all));
    }
    double mb = (double)b.bytes / 1e6;
    printf("  %llu packets, %.0f MB; of the host %llu\n", (unsigned long long)all, mb, (unsigned long long)packets);
    printf("  one host: pcap %.1f ms, pcapng %.1f ms; tcpdump %.0f ms\n", classic * 1e3, ours * 1e3, theirs * 1e3);
    printf("  everything to nowhere: pcap %.0f MB/s, pcapng %.0f MB/s\n", mb / whole_classic, mb / whole);
    double ratio = theirs / (ours > classic ? ours : classic);
    bool good = ratio >= BAR && packets >= wanted && packets <= wanted + 1;
    printf("  %s  one host's packets, times as fast as tcpdump: %.1f, at least %d\n", good ? "PASS" : "FAIL", ratio, BAR);
    snprintf(command, sizeof(command), "rm -rf %s %s %s", b.snapshot, b.pcap, b.out);
    registry_free(b.registry);
    return system(command) == 0 && good ? 0 : 1;
}
