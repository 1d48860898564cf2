/* Foreign captures become segments with indexes: nothing is lost, and a ring reads them. */
#include "snapshot/import.h"

#include "base/log.h"
#include "capture/window.h"
#include "unit/packet/capture_build.h"
#include "unit/snapshot/snapshot_build.h"

enum { PACKETS = 5000, FILES = 2, NAMES = 4000 };

static struct {
    char root[64], work[96], paths[FILES][96];
    struct error err;
    struct import_result result;
    uint64_t done, all;
} t;

static void on_progress(void *ctx, uint64_t done, uint64_t all)
{
    (void)ctx;
    t.done = done;
    t.all = all;
}

static struct import_request request_of(const char *const *paths, size_t n)
{
    return (struct import_request){.paths = paths,
                                   .path_count = n,
                                   .name = "taken-over",
                                   .version = "2.0",
                                   .now_ns = 1750000000ll * NS_PER_S,
                                   .work_dir = t.work,
                                   .segment_bytes = 100000,
                                   .progress = on_progress};
}

static int import(const struct import_request *request)
{
    import_result_clear(&t.result);
    snap_remove(t.work, 0);
    mkdir(t.work, 0755);
    t.err = (struct error){0};
    return import_run(request, &t.result, &t.err);
}

static void write_file(int i, const struct buf *b)
{
    FILE *f = fopen(t.paths[i], "wb");
    if (!f || fwrite(b->p, 1, b->n, f) != b->n || fclose(f) != 0)
        ok(false, "the test's file cannot be written");
}

/* A block with names of addresses 10.0.0.0 + i and one of IPv6, which has two. */
static void put_names(struct buf *b, unsigned from, unsigned n)
{
    static const uint8_t ip6[16] = {0xfd, 1, [15] = 2};
    struct buf body = {0}, value = {0};
    for (unsigned i = from; i < from + n; i++) {
        const uint8_t ip[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        buf_put(&value, ip, sizeof(ip));
        buf_printf(&value, "pod-%u.shop", i);
        put_option(&body, false, 1, buf_cstr(&value), value.n + 1);
        buf_reset(&value);
    }
    buf_put(&value, ip6, sizeof(ip6));
    buf_lit(&value, "first.six\0second.six\0");
    put_option(&body, false, 2, value.p, value.n);
    put32(&body, false, 0);
    put_block(b, false, 4, &body);
    buf_clear(&value);
}

/* Two interfaces of different kinds, the second described late; names; a packet without a time. */
static void make_pcapng(struct buf *b)
{
    struct buf options = {0};
    put_section(b, false);
    put_option(&options, false, 2, "eth7", 4);
    put_interface(b, false, 1, 0, &options);
    put_names(b, 0, NAMES / 2);
    for (unsigned i = 0; i < PACKETS; i++) {
        if (i == PACKETS / 2) {
            put_names(b, NAMES / 2, NAMES / 2);
            put_option(&options, false, 2, "tun7", 4);
            put_interface(b, false, 101, 0, &options);
        }
        put_enhanced(b, false, i > PACKETS / 2 && i % 5 == 0, 1700000000000000u + i * 1000u, 40 + i % 300, 40 + i % 700 + 300);
    }
}

static int read_window(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    return window_read(ctx, p, n, ret_n, err);
}

/* Reads both at once: the file as it was, and the segments as a window; in pieces of any size. */
static void compare(const char *path, const char *node, const char *filter)
{
    char dir[200];
    struct ring *ring;
    struct window *window;
    struct capture *a, *b;
    struct packet pa[1], pb[1];
    struct block *block_a, *block_b;
    struct bpf *bpf = NULL;
    size_t n = 0, wrong = 0;
    snprintf(dir, sizeof(dir), "%s/%s", t.work, node);
    if (!ok(ring_open_read_only(dir, &ring, &t.err) == TD_OK, "a ring reads it: %s", t.err.text))
        return;
    const struct window_request all = {INT64_MIN, INT64_MAX, filter};
    is_int(window_open(ring, &all, &window, &t.err), TD_OK, "a window");
    const struct capture_reader reader = {read_window, window, 0};
    is_int(capture_open_reader(&reader, "a window", &b, &t.err), TD_OK, "a capture from a callback: %s", t.err.text);
    is_int(capture_open(path, &a, &t.err), TD_OK, "the file");
    if (filter && bpf_compile(filter, &bpf, &t.err) != TD_OK)
        return;
    while (capture_read(a, pa, 1, &block_a, &t.err) > 0) {
        if (!bpf || bpf_match(bpf, pa)) {
            if (capture_read(b, pb, 1, &block_b, &t.err) <= 0) {
                wrong++;
                block_unref(block_a);
                break;
            }
            const char *want = capture_interface(a, pa->iface)->name, *got = capture_interface(b, pb->iface)->name;
            wrong += pa->time_ns != pb->time_ns || pa->caplen != pb->caplen || pa->len != pb->len || pa->linktype != pb->linktype ||
                     memcmp(pa->p, pb->p, pa->caplen) != 0 || (want ? !got || strcmp(want, got) != 0 : got != NULL);
            n++;
            block_unref(block_b);
        }
        block_unref(block_a);
    }
    ok(n > 0 && wrong == 0, "%zu packets, each as it was", n);
    is_int(capture_read(b, pb, 1, &block_b, &t.err), 0, "and no more");
    bpf_free(bpf);
    capture_close(a);
    capture_close(b);
    window_close(window);
    ring_close(ring);
}

/* The capture at its end, when it knows all names. */
static struct capture *read_whole(const char *path)
{
    struct capture *c = NULL;
    struct packet packets[64];
    struct block *block;
    int n = capture_open(path, &c, &t.err) == TD_OK ? 1 : -1;
    while (n > 0 && (n = capture_read(c, packets, 64, &block, &t.err)) > 0)
        block_unref(block);
    is_int(n, 0, "%s is a capture", path);
    return c;
}

static void compare_names(const char *path, const struct manifest_node *node)
{
    char context[200];
    size_t n, kept, same = 0;
    if (!ok(node->context.key && strcmp(node->context.key, "imported/context.pcapng") == 0, "names have an object"))
        return;
    snprintf(context, sizeof(context), "%s/%s", t.work, node->context.key);
    struct capture *a = read_whole(path), *b = read_whole(context);
    const struct capture_name *was = capture_names(a, &n), *is = capture_names(b, &kept);
    for (size_t i = 0; i < n && i < kept; i++)
        same += was[i].ip_version == is[i].ip_version && memcmp(was[i].ip, is[i].ip, 16) == 0 && strcmp(was[i].name, is[i].name) == 0;
    ok(n == NAMES + 4 && kept == n && same == n, "all names, in their order: %zu", kept);
    is_int(capture_packets(b), 0, "and nothing else");
    capture_close(a);
    capture_close(b);
}

static void test_pcapng(void)
{
    const char *const paths[] = {t.paths[0]};
    struct buf b = {0};
    make_pcapng(&b);
    write_file(0, &b);
    struct import_request request = request_of(paths, 1);
    if (!is_int(import(&request), TD_OK, "a pcapng: %s", t.err.text))
        return;
    const struct manifest *m = t.result.manifest;
    is_int(m->packets, PACKETS, "all packets");
    is_str(m->name, "taken-over", "its name");
    is_str(m->nodes[0].name, "imported", "its node");
    is_int(m->start_ns, 1700000000000000000, "from the first packet");
    is_int(m->end_ns, 1700000000000000000 + (PACKETS - 1) * 1000000ll + 1, "to the last one");
    ok(m->imported && m->nodes[0].segment_count > 10, "%zu segments", m->nodes[0].segment_count);
    ok(t.all > 0 && t.done == t.all, "progress comes to its end");
    uint64_t most = 0;
    for (size_t i = 0; i < m->nodes[0].segment_count; i++)
        most = m->nodes[0].segments[i].data.bytes > most ? m->nodes[0].segments[i].data.bytes : most;
    ok(most <= 100000, "none is longer than it may be: %llu", (unsigned long long)most);
    compare(t.paths[0], "imported", NULL);
    compare(t.paths[0], "imported", "greater 200");
    compare_names(t.paths[0], &m->nodes[0]);
    struct manifest *again = NULL;
    struct buf json = {0};
    manifest_write(m, &json);
    is_int(manifest_read(buf_slice(&json), &again, &t.err), TD_OK, "its manifest is one: %s", t.err.text);
    ok(again && again->nodes[0].context.bytes == m->nodes[0].context.bytes && again->bytes == m->bytes, "with the names");
    manifest_free(again);
    buf_clear(&json);
    buf_clear(&b);
}

static void test_several(void)
{
    const char *const paths[] = {t.paths[0], t.paths[1]};
    struct buf b = {0};
    put_plain_pcap(&b, 300);
    write_file(1, &b);
    buf_clear(&b);
    put_pcap_header(&b, false, 0xa1b23c4d, 2, 4, 65535, 113);
    put_pcap_record(&b, false, 2000, 7, 600000, 600000, 0); /* longer than segments have */
    put_pcap_record(&b, false, 2001, 7, 60, 60, 0);
    write_file(0, &b);
    struct import_request request = request_of(paths, 2);
    request.node = "router";
    request.segment_bytes = 0;
    is_int(import(&request), TD_OK, "several captures: %s", t.err.text);
    is_int(t.result.manifest ? t.result.manifest->packets : 0, 302, "all of their packets");
    ok(t.result.manifest && t.result.manifest->nodes[0].segment_count == 1 && strcmp(t.result.manifest->nodes[0].name, "router") == 0,
       "one segment of the node");
    buf_clear(&b);
    write_file(0, &(struct buf){0});
    put_plain_pcap(&b, 300);
    write_file(1, &b);
    const char *const one[] = {t.paths[1]};
    request.paths = one;
    request.path_count = 1;
    is_int(import(&request), TD_OK, "one capture: %s", t.err.text);
    ok(t.result.manifest && !t.result.manifest->nodes[0].context.key, "without names it has no context");
    compare(t.paths[1], "router", NULL);
    buf_clear(&b);
}

/* More interfaces than a segment can describe: the next one begins with the first that has no room. */
static void test_interfaces(void)
{
    enum { INTERFACES = 2500 };
    const char *const paths[] = {t.paths[0]};
    char path[400];
    struct stat st;
    struct buf b = {0}, options = {0};
    put_section(&b, false);
    for (unsigned i = 0; i < INTERFACES; i++)
        put_interface(&b, false, 1, 0, &options);
    for (unsigned i = 0; i < INTERFACES; i++)
        put_enhanced(&b, false, i, 1700000000000000u + i, 60, 60);
    write_file(0, &b);
    struct import_request request = request_of(paths, 1);
    request.segment_bytes = 0;
    if (!is_int(import(&request), TD_OK, "a capture of %d interfaces: %s", INTERFACES, t.err.text))
        return;
    const struct manifest_node *n = &t.result.manifest->nodes[0];
    ok(n->segment_count == 3 && n->packets == INTERFACES, "%zu segments with all its packets", n->segment_count);
    size_t wrong = 0;
    for (size_t i = 0; i < n->segment_count; i++) {
        snprintf(path, sizeof(path), "%s/%s", t.work, n->segments[i].data.key);
        wrong += stat(path, &st) != 0 || (uint64_t)st.st_size != n->segments[i].data.bytes;
    }
    is_int(wrong, 0, "each as long as the manifest says");
    compare(t.paths[0], "imported", NULL);
    buf_clear(&b);
}

static uint64_t room;

static int take_room(void *ctx, uint64_t bytes, struct error *err)
{
    (void)ctx;
    if (bytes > room)
        return error_set(err, TD_E_LIMIT, "no room");
    room -= bytes;
    return TD_OK;
}

/* Packets are not for everybody, and room is asked for as it is needed when little is left. */
static void test_files(void)
{
    const char *const paths[] = {t.paths[0]};
    char path[400];
    struct stat st;
    struct buf b = {0};
    put_plain_pcap(&b, 1000);
    write_file(0, &b);
    struct import_request request = request_of(paths, 1);
    request.reserve = take_room;
    room = 1 << 20;
    mode_t mask = umask(0);
    is_int(import(&request), TD_OK, "an import with room for little more than itself: %s", t.err.text);
    umask(mask);
    const struct manifest *m = t.result.manifest;
    ok(m && room == (1 << 20) - m->bytes, "takes as much as it needs");
    snprintf(path, sizeof(path), "%s/%s", t.work, m ? m->nodes[0].segments[0].data.key : "");
    ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640, "others cannot read its files");
    snprintf(path, sizeof(path), "%s/imported", t.work);
    ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0750, "nor open its folders");
    room = m ? m->bytes - 1 : 0;
    is_int(import(&request), TD_E_LIMIT, "too little room");
    buf_clear(&b);
}

static void test_refusals(void)
{
    const char *const paths[] = {t.paths[0]}, *const missing[] = {"/nonexistent"};
    struct buf b = {0};
    put_plain_pcap(&b, 1000);
    struct import_request request = request_of(paths, 1);
    b.n -= 20;
    write_file(0, &b);
    is_int(import(&request), TD_E_CORRUPT, "a cut capture");
    like(t.err.text, "packet 1000 is cut", "says where");
    b.n += 20;
    write_file(0, &b);
    request.max_bytes = 20000;
    is_int(import(&request), TD_E_LIMIT, "more than there is room for");
    request.max_bytes = 0;
    request.name = NULL;
    is_int(import(&request), TD_E_CONFIG, "a capture has no name");
    request.name = "../x";
    is_int(import(&request), TD_E_CONFIG, "a name that is none");
    request.name = "x";
    request.node = "..";
    is_int(import(&request), TD_E_CONFIG, "a node that is none");
    request.node = NULL;
    atomic_bool cancel;
    atomic_init(&cancel, true);
    request.cancel = &cancel;
    is_int(import(&request), TD_E_CANCELLED, "cancelled");
    request.cancel = NULL;
    request.paths = missing;
    is_int(import(&request), TD_E_NOT_FOUND, "a file that is not there");
    request.paths = paths;
    buf_clear(&b);
    put_plain_pcap(&b, 0);
    write_file(0, &b);
    is_int(import(&request), TD_E_UNSUPPORTED, "a capture without packets");
    buf_reset(&b);
    buf_puts(&b, "hello, this is no capture at all");
    write_file(0, &b);
    is_int(import(&request), TD_E_UNSUPPORTED, "text");
    like(t.err.text, "is text, neither pcap nor pcapng", "says what it looks like");
    buf_clear(&b);
}

/* Every allocation fails once: an error, and nothing else. */
static void test_memory(void)
{
    const char *const paths[] = {t.paths[0]};
    struct buf b = {0};
    put_plain_pcap(&b, 20);
    write_file(0, &b);
    struct import_request request = request_of(paths, 1);
    unsigned long nth = 1;
    int wrong = 0, failed;
    do {
        mem_fail_at(nth++);
        int status = import(&request);
        failed = mem_failed();
        mem_fail_at(0);
        bool right = failed ? status == TD_E_NOMEM || status == TD_E_LIMIT : status == TD_OK;
        if (!right)
            tap_diag("allocation %lu: %d, %s", nth - 1, status, t.err.text);
        wrong += !right;
    } while (failed && nth < 10000);
    ok(wrong == 0 && nth > 10, "%lu allocations fail one after the other", nth);
    buf_clear(&b);
}

int main(void)
{
    log_set_level(0);
    snprintf(t.root, sizeof(t.root), "/tmp/tapedeck-test-XXXXXX");
    if (!mkdtemp(t.root))
        return 1;
    snprintf(t.work, sizeof(t.work), "%s/work", t.root);
    for (int i = 0; i < FILES; i++)
        snprintf(t.paths[i], sizeof(t.paths[i]), "%s/%d.cap", t.root, i);
    test_pcapng();
    test_several();
    test_interfaces();
    test_files();
    test_refusals();
    test_memory();
    import_result_clear(&t.result);
    snap_remove(t.root, 0);
    return tap_done();
}
