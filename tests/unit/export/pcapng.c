/* The pcapng exporter: interfaces, link types, names, and what it is told besides; and sets of connections. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "export/export.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "unit/packet/capture_build.h"

extern const struct td_plugin td_plugin_v1_pcapng;

static struct {
    char path[64];
    struct registry *registry;
    struct td_host host;
    struct buf out;
    struct error err;
    struct seen seen;
} t;

static int sink(void *ctx, struct td_slice bytes, struct error *err)
{
    (void)ctx;
    (void)err;
    buf_put_slice(&t.out, bytes);
    return TD_OK;
}

static void on_damage(void *ctx, const struct error *fault)
{
    (void)ctx;
    tap_diag("%s", fault->text);
}

static int run(const struct buf *b, const char *node, const char *comment)
{
    FILE *f = fopen(t.path, "wb");
    if (!f || fwrite(b->p, 1, b->n, f) != b->n || fclose(f) != 0)
        return TD_E_INTERNAL;
    struct selection selection;
    struct export_stats stats;
    struct td_inst *inst;
    selection_init(&selection);
    const struct export_source source = {.path = t.path, .node = node};
    int status = instance_create(registry_find(t.registry, TD_KIND_EXPORTER, "pcapng"), NULL, &t.host, &inst, &t.err);
    if (status != TD_OK)
        return status;
    const struct export_request request = {.exporter = inst,
                                           .sources = &source,
                                           .source_count = 1,
                                           .selection = &selection,
                                           .comment = comment,
                                           .write = sink,
                                           .damaged = on_damage};
    buf_reset(&t.out);
    status = export_run(&request, &stats, &t.err);
    instance_destroy(inst);
    seen_clear(&t.seen);
    if (status == TD_OK)
        see_bytes(buf_slice(&t.out), &t.seen);
    return status;
}

static void test_interfaces(void)
{
    struct buf b = {0}, options = {0};
    put_section(&b, false);
    put_interface(&b, false, 113, 96, NULL); /* no packets, and another link type: it would keep tcpdump away */
    put_option(&options, false, 2, "eth0", 4);
    put_interface(&b, false, 1, 300000, &options);
    put_interface(&b, false, 1, 0, NULL);
    put_enhanced(&b, false, 2, 5, 61, 1500);
    put_enhanced(&b, false, 1, 4, 62, 62);
    is_int(run(&b, "n1", NULL), TD_OK, "three interfaces");
    is_int(t.seen.n, 2, "both packets");
    is_int(t.seen.iface_n, 2, "and the two interfaces of their link type");
    is_str(t.seen.ifaces[0].name, "n1/eth0", "one by node and name");
    is_str(t.seen.ifaces[1].name, "n1/?", "one by its node alone");
    is_int(t.seen.ifaces[0].snaplen, 300000, "the longest snaplen");
    is_int(t.seen.ifaces[1].snaplen, 300000, "for both");
    is_int(t.seen.v[0].iface, 1, "the first packet's");
    is_int(t.seen.v[1].iface, 0, "the second one's");
    is_int(t.seen.v[0].time_ns, 5000, "its time");
    is_int(t.seen.v[0].len, 1500, "its length");
    put_enhanced(&b, false, 0, 6, 63, 63);
    is_int(run(&b, NULL, NULL), TD_OK, "a packet of another link type");
    is_int(t.seen.n, 3, "is there");
    is_int(t.seen.iface_n, 3, "with its interface");
    is_int(t.seen.v[2].linktype, 113, "of that type");
    ok(!t.seen.ifaces[1].name && strcmp(t.seen.ifaces[0].name, "eth0") == 0, "names as they were");
    buf_clear(&b);
    put_section(&b, false);
    is_int(run(&b, NULL, NULL), TD_OK, "nothing at all");
    is_int(t.seen.status, 0, "becomes a capture");
    buf_clear(&b);
}

/* A comment longer than an option can be, cut between characters; packets that fill the buffer; one longer than it. */
static void test_long(void)
{
    struct buf b = {0}, comment = {0};
    put_section(&b, true);
    put_interface(&b, true, 1, 0, NULL);
    for (unsigned i = 0; i < 400; i++)
        put_enhanced(&b, true, 0, i, i == 100 ? 200000 : 1000 + i, 200000);
    for (int i = 0; i < 40000; i++)
        buf_puts(&comment, "\xc3\xa4");
    is_int(run(&b, "n", buf_cstr(&comment)), TD_OK, "long things");
    is_int(t.seen.n, 400, "all packets");
    is_int(t.seen.data.n, 200000 + 400 * 1000 + 400 * 399 / 2 - 1100, "all bytes");
    const uint8_t *at = memmem(t.out.p, t.out.n, "\xc3\xa4", 2);
    size_t n = 0;
    while (at && at[n] == 0xc3 && at[n + 1] == 0xa4)
        n += 2;
    ok(n > 60000 && n < 65536, "%zu bytes of the comment", n);
    buf_clear(&b);
    buf_clear(&comment);
}

static void put_name(struct buf *b, unsigned type, const char *ip, size_t ip_n, const char *name)
{
    struct buf value = {0};
    buf_put(&value, ip, ip_n);
    buf_put(&value, name, strlen(name) + 1);
    put_option(b, false, type, value.p, value.n);
    buf_clear(&value);
}

static void test_names(void)
{
    struct buf b = {0}, names = {0};
    struct capture *c;
    struct packet packet[1];
    struct block *block;
    size_t n;
    put_section(&b, false);
    put_interface(&b, false, 1, 0, NULL);
    put_name(&names, 1, "\x0a\0\0\2", 4, "back.shop");
    put_name(&names, 1, "\x0a\0\0\1", 4, "old.shop");
    put_name(&names, 1, "\x0a\0\0\1", 4, "front.shop");
    put_name(&names, 2, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, "six.shop");
    put32(&names, false, 0);
    put_block(&b, false, 4, &names);
    put_enhanced(&b, false, 0, 1, 60, 60);
    is_int(run(&b, NULL, NULL), TD_OK, "names");
    if (capture_open_memory(buf_slice(&t.out), &c, &t.err) != TD_OK)
        return;
    is_int(capture_read(c, packet, 1, &block, &t.err), 1, "a packet");
    const struct capture_name *v = capture_names(c, &n);
    is_int(n, 3, "an address has one name, and that before the packets");
    if (n == 3) {
        is_str(v[0].name, "front.shop", "the last one");
        is_str(v[1].name, "back.shop", "another");
        ok(v[2].ip_version == 6 && strcmp(v[2].name, "six.shop") == 0, "IPv6");
    }
    block_unref(block);
    capture_close(c);
    buf_clear(&b);
}

static struct select_connection connection(unsigned i, bool swapped)
{
    struct select_connection c = {.ip_version = i % 2 ? 4 : 6, .transport = i % 3 ? 6 : 17};
    memcpy(c.ip[swapped], &i, sizeof(i));
    c.ip[!swapped][3] = 9;
    c.port[swapped] = (uint16_t)(1000 + i % 1000);
    c.port[!swapped] = 80;
    return c;
}

static void test_connections(void)
{
    enum { COUNT = 20000 };
    struct connection_set *s = connection_set_new();
    size_t wrong = 0;
    struct select_connection none = connection(1, false);
    ok(!connection_set_has(s, &none), "an empty set");
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        struct select_connection c = connection(i % COUNT * 2, i >= COUNT);
        wrong += connection_set_add(s, &c, &t.err) != TD_OK;
    }
    is_int(connection_set_count(s), COUNT, "each counts once, whichever end comes first");
    for (unsigned i = 0; i < 2 * COUNT; i++)
        for (int swapped = 0; swapped < 2; swapped++) {
            struct select_connection c = connection(i, swapped), other = c;
            other.port[0]++;
            wrong += connection_set_has(s, &c) != (i % 2 == 0);
            wrong += connection_set_has(s, &other) && memcmp(&other, &c, sizeof(c)) == 0;
            other = c;
            other.transport = 1;
            wrong += connection_set_has(s, &other);
        }
    is_int(wrong, 0, "those that are in it, and no others");
    connection_set_free(s);
}

int main(void)
{
    log_set_level(0);
    snprintf(t.path, sizeof(t.path), "/tmp/tapedeck-test-XXXXXX");
    int fd = mkstemp(t.path);
    ok(fd >= 0 && registry_new(&t.registry, &t.err) == TD_OK && registry_add_static(t.registry, &td_plugin_v1_pcapng, &t.err) == TD_OK,
       "the exporter: %s", t.err.text);
    close(fd);
    host_init_control(&t.host);
    test_interfaces();
    test_long();
    test_names();
    test_connections();
    unlink(t.path);
    seen_clear(&t.seen);
    buf_clear(&t.out);
    registry_free(t.registry);
    return tap_done();
}
