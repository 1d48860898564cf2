/* Exporting: choosing packets, merging captures, the pcap exporter, and the file that it goes into. */
#include "export/export.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "export/held.h"
#include "export/output_file.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "unit/packet/capture_build.h"

extern const struct td_plugin td_plugin_v1_pcap;

enum { FILES = 3 };

static char folder[] = "/tmp/tapedeck-test-XXXXXX";
static char paths[FILES][64];
static struct {
    struct registry *registry;
    struct td_host host;
    struct selection selection;
    bool nano;
    struct buf out;    /* what the exporter wrote */
    size_t fail_after; /* bytes after which the sink fails; 0: never */
    struct error damage[FILES];
    size_t damage_n;
    struct export_stats stats;
    struct error err;
    struct seen seen; /* the output, read again */
} t;

static void write_file(int i, const struct buf *b)
{
    int fd = open(paths[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, b->p, b->n) != (ssize_t)b->n)
        ok(false, "the test's file cannot be written");
    close(fd);
}

static int sink(void *ctx, struct td_slice bytes, struct error *err)
{
    (void)ctx;
    if (t.fail_after && t.out.n + bytes.n > t.fail_after)
        return error_set(err, TD_E_LIMIT, "the disk is full");
    buf_put_slice(&t.out, bytes);
    return TD_OK;
}

static void on_damage(void *ctx, const struct error *fault)
{
    (void)ctx;
    t.damage[t.damage_n++] = *fault;
}

/* Exports the first `n` files with t's settings and reads the output again. */
static int export_files(size_t n)
{
    const struct export_source sources[FILES] = {{.path = paths[0]}, {.path = paths[1]}, {.path = paths[2]}};
    struct td_inst *inst;
    struct yaml_tree *tree = NULL;
    if (t.nano && yaml_tree_parse(TD_LIT("precision: nano"), "test", &tree, &t.err) != TD_OK)
        return t.err.status;
    const struct yaml_node *options = tree ? yaml_tree_root(tree) : NULL;
    int status = instance_create(registry_find(t.registry, TD_KIND_EXPORTER, "pcap"), options, &t.host, &inst, &t.err);
    struct export_request request = {
        .exporter = inst, .sources = sources, .source_count = n, .selection = &t.selection, .write = sink, .damaged = on_damage};
    buf_reset(&t.out);
    t.damage_n = 0;
    if (status == TD_OK) {
        status = export_run(&request, &t.stats, &t.err);
        instance_destroy(inst);
    }
    yaml_tree_free(tree);
    seen_clear(&t.seen);
    if (status == TD_OK)
        see_bytes(buf_slice(&t.out), &t.seen);
    return status;
}

static void reset(void)
{
    bpf_free(t.selection.bpf);
    selection_init(&t.selection);
    t.nano = false;
    t.fail_after = 0;
}

/* ---- One capture ---- */

static void test_lossless(void)
{
    struct buf b = {0};
    reset();
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 262144, 1);
    put_pcap_record(&b, false, 20, 5, 100, 100, 0);
    put_pcap_record(&b, false, 10, 999999, 60, 1500, 0);
    put_pcap_record(&b, false, 4294967295u, 0, 0, 7, 0);
    put_pcap_record(&b, false, 11, 0, 200000, 200000, 0); /* more than the exporter's buffer */
    write_file(0, &b);
    is_int(export_files(1), TD_OK, "a capture is exported");
    is_mem(t.out.p, t.out.n, b.p, b.n, "byte for byte, in its order, though times go backwards");
    is_int(t.stats.packets, 4, "packets are counted");
    is_int(t.stats.bytes, 200160, "bytes are counted");
    buf_clear(&b);

    put_pcap_header(&b, false, 0xa1b23c4d, 2, 4, 500000, 113);
    put_pcap_record(&b, false, 20, 123456789, 100, 100, 0);
    write_file(0, &b);
    t.nano = true;
    is_int(export_files(1), TD_OK, "nanoseconds are exported");
    is_mem(t.out.p, t.out.n, b.p, b.n, "byte for byte, with a snaplen above the usual");
    t.nano = false;
    is_int(export_files(1), TD_OK, "with microseconds");
    is_int(t.seen.v[0].time_ns, 20123456000, "the rest is cut off");
    buf_clear(&b);

    put_pcap_header(&b, true, 0xa1b2c3d4, 2, 4, 96, 105);
    write_file(0, &b);
    is_int(export_files(1), TD_OK, "a capture without packets");
    is_int(t.seen.status, 0, "becomes one without packets");
    is_int(t.seen.ifaces[0].linktype, 105, "of the same link type");
    is_int(t.seen.ifaces[0].snaplen, 262144, "with a snaplen at which tcpdump cuts nothing");
    buf_clear(&b);
}

static void test_times_out_of_range(void)
{
    static const int64_t offsets[] = {-5000000, 4294967296};
    reset();
    for (int i = 0; i < 2; i++) {
        struct buf b = {0}, options = {0};
        put_section(&b, false);
        put_option(&options, false, 14, &offsets[i], 8);
        put_interface(&b, false, 1, 0, &options);
        put_enhanced(&b, false, 0, 0, 60, 60);
        write_file(0, &b);
        is_int(export_files(1), TD_E_UNSUPPORTED, "a time at %lld s is refused", (long long)offsets[i]);
        like(t.err.text, "pcap has times from 1970 to 2106 only", "the words");
        t.selection.start_ns = 0;
        t.selection.end_ns = 1000000000;
        is_int(export_files(1), TD_OK, "a window leaves it out");
        reset();
        buf_clear(&b);
    }
}

static void test_link_types(void)
{
    struct buf b = {0};
    reset();
    put_section(&b, false);
    put_interface(&b, false, 113, 0, NULL); /* without packets: no obstacle */
    put_interface(&b, false, 1, 0, NULL);
    put_enhanced(&b, false, 1, 1, 60, 60);
    put_interface(&b, false, 1, 0, NULL); /* shown only now, of the same link type */
    put_enhanced(&b, false, 2, 2, 61, 61);
    write_file(0, &b);
    is_int(export_files(1), TD_OK, "one link type among several interfaces");
    is_int(t.seen.n, 2, "both packets");
    is_int(t.seen.ifaces[0].linktype, 1, "the link type is that of the packets");

    put_enhanced(&b, false, 0, 3, 62, 62);
    write_file(0, &b);
    is_int(export_files(1), TD_E_UNSUPPORTED, "packets of two link types are refused");
    like(t.err.text, "link type 1 (Ethernet) and of 113 (Linux cooked)", "both are named");
    like(t.err.text, "--linktype", "and the remedy");
    t.selection.linktype = 113;
    is_int(export_files(1), TD_OK, "one of them can be chosen");
    is_int(t.seen.n, 1, "its packet");
    is_int(t.seen.v[0].caplen, 62, "which is the right one");
    reset();

    put_interface(&b, false, 105, 0, NULL);
    put_enhanced(&b, false, 3, 4, 63, 63);
    write_file(0, &b);
    t.selection.start_ns = 2000;
    is_int(export_files(1), TD_E_UNSUPPORTED, "a link type that comes late is refused");
    like(t.err.text, "link type", "the words");
    buf_clear(&b);
}

/* ---- Several captures ---- */

static void test_merge(void)
{
    static const uint32_t seconds[FILES][4] = {{1, 5, 4, 9}, {2, 3, 6, 6}, {6, 7, 8, 10}};
    static const uint32_t want[] = {1, 2, 3, 5, 4, 6, 6, 6, 7, 8, 9, 10};
    reset();
    for (int i = 0; i < FILES; i++) {
        struct buf b = {0};
        put_pcap_header(&b, i == 1, 0xa1b2c3d4, 2, 4, 65535, 1);
        for (int k = 0; k < 4; k++)
            put_pcap_record(&b, i == 1, seconds[i][k], 0, (uint32_t)(10 * i + k), 100, 0);
        write_file(i, &b);
        buf_clear(&b);
    }
    is_int(export_files(FILES), TD_OK, "three captures are merged");
    is_int(t.seen.n, 12, "all packets");
    bool ascending = true;
    for (int i = 0; i < 12; i++)
        ascending &= t.seen.v[i].time_ns == want[i] * 1000000000ll;
    ok(ascending, "by time, but a capture's own order stays (5 before 4)");
    is_int(t.seen.v[5].caplen, 12, "of equal times, the capture that was named first");
    is_int(t.seen.v[6].caplen, 13, "with all that it has of that time");
    is_int(t.seen.v[7].caplen, 20, "before the next");
    is_int(t.stats.packets_read, 12, "packets read are counted");

    t.selection.start_ns = 3000000000;
    t.selection.end_ns = 6000000000;
    is_int(export_files(FILES), TD_OK, "a window");
    is_int(t.seen.n, 3, "begins with its start and ends before its end");
    reset();
}

static void test_damaged_inputs(void)
{
    struct buf b = {0};
    reset();
    put_plain_pcap(&b, 10);
    write_file(0, &b);
    write_file(2, &b);
    b.n -= 5;
    write_file(1, &b);
    is_int(export_files(FILES), TD_OK, "one damaged capture of three");
    is_int(t.seen.n, 29, "costs one packet");
    is_int(t.stats.damaged, 1, "is counted");
    is_int(t.damage_n, 1, "and told once");
    like(t.damage[0].text, paths[1], "by its name");
    is_int(export_files(1), TD_OK, "a whole one");
    is_int(t.stats.damaged, 0, "is not");
    b.n = 30;
    write_file(0, &b);
    is_int(export_files(1), TD_OK, "a capture cut in its first packet");
    is_int(t.stats.damaged, 1, "is damaged");
    is_int(t.seen.n, 0, "and gives an output without packets");
    b.n = 10;
    write_file(0, &b);
    is_int(export_files(1), TD_E_CORRUPT, "one cut in its header is a failure");
    unlink(paths[0]);
    is_int(export_files(1), TD_E_NOT_FOUND, "one that is not there as well");
    buf_clear(&b);
}

static void test_sink_failure(void)
{
    struct buf b = {0};
    reset();
    put_plain_pcap(&b, 3000);
    write_file(0, &b);
    static const size_t limits[] = {1, 200000, 270000};
    for (int i = 0; i < 3; i++) {
        t.fail_after = limits[i];
        is_int(export_files(1), TD_E_LIMIT, "a sink that fails after %zu bytes", limits[i]);
        is_str(t.err.text, "the disk is full", "is told in its own words");
    }
    buf_clear(&b);
    reset();
}

static void test_allocation_failures(void)
{
    struct buf b = {0};
    reset();
    put_plain_pcap(&b, 3);
    write_file(0, &b);
    write_file(1, &b);
    bool reached = true, ends = true;
    unsigned long nth = 0;
    while (reached && nth < 1000) {
        mem_fail_at(++nth);
        int status = export_files(2);
        reached = mem_failed();
        mem_fail_at(0);
        ends &= status < 0 || t.damage_n || t.out.failed || t.seen.status < 0 || t.seen.n == 6;
    }
    ok(ends && nth > 8 && nth < 1000, "each of %lu allocations may fail", nth - 1);
    buf_clear(&b);
}

/* ---- Choosing ---- */

/* Appends an IPv4 packet as raw IP; `fragment` is the field with flags and offset. */
static void put_ip(struct buf *b, uint32_t seconds, unsigned from, unsigned to, uint8_t protocol, uint16_t id, uint16_t fragment,
                   const void *data, size_t n)
{
    put32(b, false, seconds);
    put32(b, false, 0);
    put32(b, false, (uint32_t)(20 + n));
    put32(b, false, (uint32_t)(20 + n));
    buf_put(b, "\x45\0", 2);
    put16(b, true, (uint16_t)(20 + n));
    put16(b, true, id);
    put16(b, true, fragment);
    buf_putc(b, 64);
    buf_putc(b, (char)protocol);
    put16(b, true, 0);
    put32(b, true, 0xc0000200u + from);
    put32(b, true, 0xc0000200u + to);
    buf_put(b, data, n);
}

/* A UDP header for `n` bytes and the bytes. */
static size_t make_udp(uint8_t *out, unsigned from, unsigned to, size_t n)
{
    struct buf b = {0};
    put16(&b, true, (uint16_t)from);
    put16(&b, true, (uint16_t)to);
    put16(&b, true, (uint16_t)(8 + n));
    put16(&b, true, 0);
    put_pattern(&b, n, from);
    memcpy(out, b.p, b.n);
    buf_clear(&b);
    return 8 + n;
}

static void check_frames(const char *what, const unsigned *seconds, unsigned n)
{
    is_int(export_files(1), TD_OK, "%s: exported", what);
    is_int(t.seen.n, n, "%s: packets", what);
    for (unsigned i = 0; i < n && i < t.seen.n; i++)
        is_int(t.seen.v[i].time_ns / 1000000000, seconds[i], "%s: packet %u", what, i + 1);
}

static void test_connection(void)
{
    uint8_t udp[100], other[100];
    struct buf b = {0};
    reset();
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 65535, 101);
    size_t n = make_udp(udp, 5000, 53, 40);
    put_ip(&b, 1, 1, 2, 17, 1, 0, udp, n); /* the connection */
    n = make_udp(other, 53, 5000, 40);
    put_ip(&b, 2, 2, 1, 17, 2, 0, other, n);         /* its other direction */
    put_ip(&b, 3, 1, 2, 17, 3, 0, other, n);         /* ports the wrong way round */
    put_ip(&b, 4, 1, 3, 17, 4, 0, udp, n);           /* another address */
    put_ip(&b, 5, 1, 2, 17, 9, 0x2000, udp, 24);     /* the first fragment of a datagram: held */
    put_ip(&b, 6, 1, 2, 17, 1, 0, udp, n);           /* the connection: held behind it */
    put_ip(&b, 7, 1, 2, 17, 8, 0x2000, other, 24);   /* a fragment of something else */
    put_ip(&b, 8, 1, 2, 17, 9, 3, udp + 24, n - 24); /* the rest */
    put_ip(&b, 9, 1, 2, 17, 8, 3, other + 24, n - 24);
    put_ip(&b, 10, 1, 2, 17, 7, 0x2000, udp, 24); /* a fragment whose rest is missing */
    put_ip(&b, 11, 1, 2, 17, 1, 0, udp, n);
    put_ip(&b, 12, 1, 2, 6, 1, 0, "\x13\x88\0\x35\0\0\0\1\0\0\0\1\x50\x10\2\0\0\0\0\0", 20); /* its namesake over TCP */
    write_file(0, &b);
    is_int(select_parse_connection("192.0.2.1:5000-192.0.2.2:53", &t.selection.connection, &t.err), TD_OK, "a connection");
    check_frames("connection", (const unsigned[]){1, 2, 5, 6, 8, 11, 12}, 7);
    is_int(t.stats.fragments_given_up, 1, "the fragment whose rest is missing is counted");
    is_int(select_parse_connection("192.0.2.2:53-192.0.2.1:5000/udp", &t.selection.connection, &t.err), TD_OK,
           "the same from the other side");
    check_frames("connection, from the other side", (const unsigned[]){1, 2, 5, 6, 8, 11}, 6);
    t.selection.end_ns = 6000000000;
    check_frames("a window that cuts the datagram", (const unsigned[]){1, 2, 5}, 3);
    t.selection.end_ns = INT64_MAX;
    t.selection.connection.transport = 6;
    check_frames("its namesake over TCP", (const unsigned[]){12}, 1);
    reset();
    is_int(bpf_compile("src port 53", &t.selection.bpf, &t.err), TD_OK, "a filter");
    check_frames("filter", (const unsigned[]){2, 3, 7}, 3);
    reset();
    buf_clear(&b);
}

static void test_parse_connection(void)
{
    struct select_connection c;
    is_int(select_parse_connection("[2001:db8::1]:1-[2001:db8::2]:65535/tcp", &c, NULL), TD_OK, "IPv6");
    is_int(c.ip_version, 6, "its version");
    is_int(c.transport, 6, "its transport");
    is_int(c.port[1], 65535, "its port");
    is_mem(c.ip[0], 16, "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, "its address");
    static const char *const wrong[] = {"",
                                        "-",
                                        "192.0.2.1:1",
                                        "192.0.2.1:1-",
                                        "192.0.2.1-192.0.2.2:1",
                                        "192.0.2.1:1-192.0.2.2:65536",
                                        "192.0.2.1:1-192.0.2.2:",
                                        "192.0.2.1:1-192.0.2.2:1x",
                                        "192.0.2.1:-1-192.0.2.2:1",
                                        "192.0.2.256:1-192.0.2.2:1",
                                        "192.0.2.1:1-[2001:db8::2]:1",
                                        "192.0.2.1:1-192.0.2.2:1/sctp",
                                        "192.0.2.1:1-192.0.2.2:+1",
                                        "[192.0.2.1:1-192.0.2.2:1",
                                        "localhost:1-localhost:2",
                                        ":1-:2",
                                        "[]:1-[]:2",
                                        "192.0.2.1:1-192.0.2.2:1-192.0.2.3:1",
                                        "/tcp"};
    bool refused = true;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (select_parse_connection(wrong[i], &c, &t.err) != TD_E_CONFIG) {
            refused = false;
            tap_diag("taken: %s", wrong[i]);
        }
    ok(refused, "everything else is refused");
    like(t.err.text, "write it as 192.0.2.1:40000", "with an example");
}

/* The hold keeps its budget by giving up the oldest fragment. */
static void test_held_budget(void)
{
    struct held h = {0};
    uint8_t bytes[8] = {0};
    struct packet p = {.p = bytes, .caplen = 8};
    bool pushed = true;
    for (p.frame = 1; p.frame <= HELD_MAX_PACKETS; p.frame++)
        pushed &= held_push(&h, &p, p.frame % 2 ? SELECT_WAIT : SELECT_YES);
    ok(pushed && !held_first(&h), "everything waits for the first");
    held_push(&h, &p, SELECT_YES);
    is_int(h.given_up, 1, "one too many: the first is given up");
    const struct packet *first = held_first(&h);
    is_int(first ? first->frame : 0, 2, "what waited behind it may leave");
    held_pop(&h);
    ok(!held_first(&h), "up to the next fragment");
    held_decide(&h, (const uint64_t[]){2, 3, 4, 7}, 4, true);
    for (uint64_t frame = 3; frame <= 4; frame++) {
        first = held_first(&h);
        is_int(first ? first->frame : 0, (int64_t)frame, "decided: frame %d leaves", (int)frame);
        held_pop(&h);
    }
    ok(!held_first(&h), "frame 5 waits");
    held_give_up_all(&h);
    size_t left = 0;
    while (held_first(&h)) {
        held_pop(&h);
        left++;
    }
    is_int(left, HELD_MAX_PACKETS / 2 - 2 + 2, "at the end all leave but the fragments nobody completed");
    held_clear(&h);
}

/* ---- The file ---- */

static void test_output_file(void)
{
    struct output_file f;
    struct error err;
    char text[16] = "";
    char *out = paths[0], link[80];
    unlink(out);
    is_int(output_file_open(&f, out, &err), TD_OK, "opens");
    is_int(output_file_write(&f, TD_LIT("first"), &err), TD_OK, "writes");
    ok(access(out, F_OK) != 0, "has no name yet");
    is_int(output_file_commit(&f, &err), TD_OK, "commits");
    ok(access(out, F_OK) == 0, "has its name");

    is_int(output_file_open(&f, out, &err), TD_OK, "opens over what is there");
    is_int(output_file_write(&f, TD_LIT("second"), &err), TD_OK, "writes");
    output_file_abort(&f);
    int fd = open(out, O_RDONLY);
    ok(read(fd, text, sizeof(text)) == 5 && memcmp(text, "first", 5) == 0, "aborted: the old one is there");
    close(fd);

    snprintf(link, sizeof(link), "%s/link", folder);
    ok(symlink(out, link) == 0 && output_file_open(&f, link, &err) == TD_OK, "a symbolic link");
    is_int(output_file_write(&f, TD_LIT("third"), &err), TD_OK, "is written");
    is_int(output_file_commit(&f, &err), TD_OK, "and committed");
    struct stat st;
    ok(lstat(link, &st) == 0 && S_ISLNK(st.st_mode), "stays a link");
    fd = open(out, O_RDONLY);
    ok(read(fd, text, sizeof(text)) == 5 && memcmp(text, "third", 5) == 0, "and the file behind it is the new one");
    close(fd);
    unlink(link);

    is_int(output_file_open(&f, paths[2], &err), TD_OK, "opens where a folder comes to stand");
    unlink(paths[2]);
    ok(mkdir(paths[2], 0700) == 0 && output_file_commit(&f, &err) < 0, "cannot be committed");
    like(err.text, "cannot be replaced: Is a directory", "is told");
    output_file_abort(&f);
    snprintf(link, sizeof(link), "%s.tmp-%ld", paths[2], (long)getpid());
    ok(access(link, F_OK) != 0 && rmdir(paths[2]) == 0, "and leaves no temporary file");

    is_int(output_file_open(&f, "/dev/full", &err), TD_OK, "a device is opened as it is");
    is_int(output_file_write(&f, TD_LIT("x"), &err), TD_E_LIMIT, "a full one");
    like(err.text, "/dev/full: the disk is full", "is told");
    output_file_abort(&f);
    is_int(output_file_open(&f, "/nonexistent/out.pcap", &err), TD_E_NOT_FOUND, "no such folder");
    like(err.text, "/nonexistent/out.pcap: cannot be created", "is told");
    output_file_abort(&f);
    is_int(output_file_open(&f, folder, &err), TD_E_CONFIG, "a folder is no file");
    output_file_abort(&f);
    for (unsigned long nth = 1; nth < 5; nth++) {
        mem_fail_at(nth);
        int status = output_file_open(&f, out, &err);
        bool reached = mem_failed();
        mem_fail_at(0);
        ok(!reached || status == TD_E_NOMEM || f.named, "allocation %lu may fail", nth);
        output_file_abort(&f);
    }
}

/* A limit on the size of files stands for a file system that runs full in the middle. */
static void test_file_too_large(void)
{
    struct output_file f;
    struct error err = {0};
    struct rlimit saved, small;
    static uint8_t bytes[10000];
    getrlimit(RLIMIT_FSIZE, &saved);
    signal(SIGXFSZ, SIG_IGN);
    small = saved;
    small.rlim_cur = 4096;
    is_int(output_file_open(&f, paths[1], &err), TD_OK, "opens");
    setrlimit(RLIMIT_FSIZE, &small);
    ok(output_file_write(&f, td_bytes(bytes, sizeof(bytes)), &err) < 0, "a write that ends half-way fails");
    setrlimit(RLIMIT_FSIZE, &saved);
    like(err.text, "cannot write: File too large", "the words");
    output_file_abort(&f);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    for (int i = 0; i < FILES; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%d.pcap", folder, i);
    log_set_level(TD_LOG_ERROR);
    is_int(registry_new(&t.registry, &t.err), TD_OK, "a registry");
    is_int(registry_add_static(t.registry, &td_plugin_v1_pcap, &t.err), TD_OK, "with the pcap exporter");
    host_init_control(&t.host);
    reset();

    test_lossless();
    test_times_out_of_range();
    test_link_types();
    test_merge();
    test_damaged_inputs();
    test_sink_failure();
    test_allocation_failures();
    test_connection();
    test_parse_connection();
    test_held_budget();
    test_output_file();
    test_file_too_large();

    reset();
    seen_clear(&t.seen);
    buf_clear(&t.out);
    registry_free(t.registry);
    for (int i = 0; i < FILES; i++)
        unlink(paths[i]);
    rmdir(folder);
    return tap_done();
}
