/* pcapng: sections, interfaces and their clocks, every block that is read, every kind of damage. */
#include "capture_build.h"

#include "base/mem.h"
#include "packet/pcapng_read.h"

static struct seen s;

static void test_packets(void)
{
    for (int big = 0; big < 2; big++) {
        struct buf b = {0}, body = {0};
        const char *order = big ? "big-endian" : "little-endian";
        put_section(&b, big);
        put_interface(&b, big, 1, 64, NULL);
        put_interface(&b, big, 113, 0, NULL);
        put_enhanced(&b, big, 1, 1700000000123456, 61, 1500);
        put32(&body, big, 40); /* a simple packet block, whole */
        put_pattern(&body, 40, 2);
        put_block(&b, big, 3, &body);
        put32(&body, big, 100); /* and one that the first interface's snaplen cuts */
        put_pattern(&body, 64, 3);
        put_block(&b, big, 3, &body);
        put16(&body, big, 1); /* the obsolete packet block: interface, drops */
        put16(&body, big, 7);
        put32(&body, big, 0);
        put32(&body, big, 5000000);
        put32(&body, big, 3);
        put32(&body, big, 9);
        put_pattern(&body, 3, 4);
        put_block(&b, big, 2, &body);
        see_bytes(buf_slice(&b), &s);

        is_int(s.status, 0, "%s: ends well", order);
        is_str(s.format, big ? "pcapng, big-endian" : "pcapng", "%s: format", order);
        is_int(s.n, 4, "%s: packets", order);
        is_int(s.v[0].time_ns, 1700000000123456000, "%s: enhanced: microseconds by default", order);
        is_int(s.v[0].iface, 1, "%s: enhanced: interface", order);
        is_int(s.v[0].linktype, 113, "%s: enhanced: link type", order);
        is_int(s.v[0].caplen, 61, "%s: enhanced: captured length", order);
        is_int(s.v[0].len, 1500, "%s: enhanced: length", order);
        is_int(s.v[1].flags, PACKET_NO_TIME, "%s: simple: no time", order);
        is_int(s.v[1].time_ns, s.v[0].time_ns, "%s: simple: that of the packet before", order);
        is_int(s.v[1].iface, 0, "%s: simple: the first interface", order);
        is_int(s.v[1].caplen, 40, "%s: simple: captured length", order);
        is_int(s.v[2].caplen, 64, "%s: simple: cut by the snaplen", order);
        is_int(s.v[2].len, 100, "%s: simple: length", order);
        is_int(s.v[3].caplen, 3, "%s: obsolete: captured length", order);
        is_int(s.v[3].len, 9, "%s: obsolete: length", order);
        is_int(s.v[3].iface, 1, "%s: obsolete: interface", order);
        is_int(s.v[3].time_ns, 5000000000, "%s: obsolete: time", order);
        is_int(s.v[3].frame, 4, "%s: frames are counted", order);
        seen_clear(&s);
        buf_clear(&b);
    }
}

/* The time of one packet of an interface with this resolution and offset. */
static const struct packet *see_time(int resolution, int64_t offset_s, uint64_t ticks)
{
    struct buf b = {0}, options = {0};
    uint8_t byte = (uint8_t)resolution;
    put_section(&b, false);
    if (resolution >= 0)
        put_option(&options, false, 9, &byte, 1);
    if (offset_s)
        put_option(&options, false, 14, &offset_s, 8);
    put_interface(&b, false, 1, 0, &options);
    put_enhanced(&b, false, 0, ticks, 1, 1);
    see_bytes(buf_slice(&b), &s);
    seen_clear(&s);
    buf_clear(&b);
    return &s.v[0];
}

static void test_clocks(void)
{
    static const struct {
        int resolution;
        uint64_t ticks;
        int64_t offset_s, ns;
        uint64_t ticks_per_s;
    } cases[] = {
        {-1, 1500000, 0, 1500000000, 1000000},
        {0, 7, 0, 7000000000, 1},
        {3, 7001, 0, 7001000000, 1000},
        {9, 1700000000123456789, 0, 1700000000123456789, 1000000000},
        {12, 1700000000123999, 0, 1700000000123, 1000000000000},
        {19, UINT64_MAX, 0, 1844674407, 10000000000000000000u},
        {0x80, 5, 0, 5000000000, 1},
        {0x80 | 20, (3ull << 20) + 1, 0, 3000000953, 1 << 20},
        {0x80 | 32, 0x6553f100fffffffful, 0, 1699999999999999999 + 1000000000, 1ull << 32},
        {0x80 | 63, UINT64_MAX, 0, 1999999999, 1ull << 63},
        {6, 1000000, 3600, 3601000000000, 1000000},
        {6, 1000000, -3600, -3599000000000, 1000000},
        {9, 0, -9223372036, -9223372036000000000, 1000000000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct packet *p = see_time(cases[i].resolution, cases[i].offset_s, cases[i].ticks);
        is_int(p->time_ns, cases[i].ns, "if_tsresol %d, offset %lld: exact", cases[i].resolution, (long long)cases[i].offset_s);
        is_int(p->flags, 0, "if_tsresol %d: has a time", cases[i].resolution);
        ok(s.ifaces[0].ticks_per_s == cases[i].ticks_per_s, "if_tsresol %d: ticks per second", cases[i].resolution);
        is_int(s.ifaces[0].offset_s, cases[i].offset_s, "if_tsresol %d: offset", cases[i].resolution);
    }
    is_int(see_time(6, 0, UINT64_MAX)->flags, PACKET_NO_TIME, "a time after 2262 is none");
    is_int(see_time(0, INT64_MIN, 0)->flags, PACKET_NO_TIME, "a time before 1677 is none");
    is_int(see_time(0, INT64_MAX, UINT64_MAX)->flags, PACKET_NO_TIME, "nor is what overflows everything");
    (void)see_time(20, 0, 0);
    is_int(s.status, TD_E_UNSUPPORTED, "10^-20 s is refused");
    like(s.err.text, "offset 28: interface 0 counts time in steps that are too fine", "10^-20 s: the words");
    (void)see_time(0x80 | 64, 0, 0);
    is_int(s.status, TD_E_UNSUPPORTED, "2^-64 s is refused");
}

static void test_interface_options(void)
{
    struct buf b = {0}, options = {0};
    put_section(&b, true);
    put_option(&options, true, 2, "eth0", 4);
    put_option(&options, true, 3, "uplink\0", 7);
    put_option(&options, true, 11, "\0tcp port 80", 12);
    put_option(&options, true, 0x0bad, "private", 7);
    put_interface(&b, true, 1, 96, &options);
    put_option(&options, true, 11, "\1\0\0\0", 4); /* a compiled program */
    put_interface(&b, true, 1, 0, &options);
    struct capture *c;
    struct packet p;
    struct block *block;
    is_int(capture_open_memory(buf_slice(&b), &c, NULL), TD_OK, "opens");
    is_int(capture_read(c, &p, 1, &block, NULL), 0, "no packets");
    is_int(capture_interface_count(c), 2, "two interfaces");
    is_str(capture_interface(c, 0)->name, "eth0", "if_name");
    is_str(capture_interface(c, 0)->description, "uplink", "if_description, without the zero at its end");
    is_str(capture_interface(c, 0)->filter, "tcp port 80", "if_filter");
    is_int(capture_interface(c, 0)->snaplen, 96, "snaplen");
    ok(!capture_interface(c, 1)->filter && !capture_interface(c, 1)->name, "what is not there is NULL");
    ok(!capture_interface(c, 2), "there is no third");
    capture_close(c);
    buf_clear(&b);
}

/* Sections have their own byte order and interfaces, which are numbered on. */
static void test_sections(void)
{
    struct buf b = {0};
    put_section(&b, false);
    put_interface(&b, false, 1, 0, NULL);
    put_enhanced(&b, false, 0, 1, 10, 10);
    put_section(&b, true);
    put_interface(&b, true, 113, 0, NULL);
    put_interface(&b, true, 101, 0, NULL);
    put_enhanced(&b, true, 1, 2, 11, 11);
    put_section(&b, false);
    put_interface(&b, false, 1, 0, NULL);
    put_enhanced(&b, false, 0, 3, 12, 12);
    see_bytes(buf_slice(&b), &s);
    is_int(s.status, 0, "sections: end well");
    is_int(s.n, 3, "sections: packets");
    is_int(s.v[1].iface, 2, "sections: an interface of the second");
    is_int(s.v[1].linktype, 101, "sections: its link type");
    is_int(s.v[1].caplen, 11, "sections: its byte order");
    is_int(s.v[2].iface, 3, "sections: an interface of the third");
    is_int(s.ifaces[3].section, 2, "sections: are numbered");
    is_int(s.v[2].frame, 3, "sections: frames go on");
    seen_clear(&s);

    /* Naming an interface of the section before is damage. */
    put_section(&b, false);
    put_enhanced(&b, false, 0, 3, 12, 12);
    see_bytes(buf_slice(&b), &s);
    is_int(s.n, 3, "an interface of another section: the packets before");
    is_int(s.status, TD_E_CORRUPT, "an interface of another section is damage");
    like(s.err.text, "names interface 0, but the section has 0", "an interface of another section: the words");
    seen_clear(&s);
    buf_clear(&b);
}

static void test_names_and_secrets(void)
{
    for (int big = 0; big < 2; big++) {
        struct buf b = {0}, body = {0};
        struct capture *c;
        struct packet p;
        struct block *block;
        size_t n;
        put_section(&b, big);
        put_option(&body, big, 1, "\xc0\0\2\1one.example\0uno.example\0", 4 + 12 + 12);
        put_option(&body, big, 2, "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1two.example", 16 + 11);
        put_option(&body, big, 3, "a kind of record from the future", 32);
        put_option(&body, big, 1, "\x7f", 1); /* too short to be anything */
        put32(&body, big, 0);
        put_block(&b, big, 4, &body);
        put32(&body, big, 0x544c534b);
        put32(&body, big, 13);
        buf_puts(&body, "CLIENT_RANDOM");
        put_block(&b, big, 10, &body);
        put32(&body, big, 99); /* statistics, custom, unknown: skipped */
        put_block(&b, big, 5, &body);
        put32(&body, big, 32473);
        put_block(&b, big, 0xbad, &body);
        put_block(&b, big, 0x70000001, &body);
        put_interface(&b, big, 1, 0, NULL);
        put_enhanced(&b, big, 0, 3, 12, 12);
        is_int(capture_open_memory(buf_slice(&b), &c, NULL), TD_OK, "opens");
        is_int(capture_read(c, &p, 1, &block, NULL), 1, "blocks that are not packets are passed over");
        block_unref(block);
        const struct capture_name *names = capture_names(c, &n);
        is_int(n, 3, "three names");
        is_str(names[0].name, "one.example", "a name");
        is_str(names[1].name, "uno.example", "another one of the same address");
        is_mem(names[1].ip, 4, "\xc0\0\2\1", 4, "its address");
        is_int(names[1].ip_version, 4, "of version 4");
        is_str(names[2].name, "two.example", "a name without a zero behind it");
        is_int(names[2].ip_version, 6, "of version 6");
        const struct capture_secrets *secrets = capture_secrets(c, &n);
        is_int(n, 1, "secrets");
        is_int(secrets[0].type, 0x544c534b, "their type");
        is_mem(secrets[0].data.p, secrets[0].data.n, "CLIENT_RANDOM", 13, "their bytes");
        capture_close(c);
        buf_clear(&b);
    }
}

/* Whatever is cut off: whole packets come out, then an error, unless the cut lies between blocks. */
static void test_cut_everywhere(void)
{
    struct buf b = {0};
    put_section(&b, false);
    size_t borders[6] = {0, b.n};
    put_interface(&b, false, 1, 0, NULL);
    borders[2] = b.n;
    for (int i = 0; i < 3; i++) {
        put_enhanced(&b, false, 0, (uint64_t)i, 60, 60);
        borders[3 + i] = b.n;
    }
    bool counts = true, errors = true, offsets = true;
    for (size_t n = 4; n <= b.n; n++) {
        unsigned last = 0;
        while (last < 5 && n >= borders[last + 1])
            last++;
        see_bytes(td_bytes(b.p, n), &s);
        char offset[32];
        snprintf(offset, sizeof(offset), "offset %zu:", borders[last]);
        counts &= s.n == (last < 2 ? 0 : last - 2);
        errors &= n == borders[last] ? s.status == 0 : s.status == TD_E_CORRUPT;
        offsets &= n == borders[last] || strstr(s.err.text, offset);
        seen_clear(&s);
    }
    ok(counts, "cut at every byte: the packets before the cut");
    ok(errors, "cut at every byte: an error unless between blocks");
    ok(offsets, "cut at every byte: the offset of the cut block");
    buf_clear(&b);
}

/* A good packet, then the block in `bad`, then another good packet that must not be reached. */
static void check_damage(const char *what, struct buf *bad, const char *words)
{
    struct buf b = {0};
    put_section(&b, false);
    put_interface(&b, false, 1, 65535, NULL);
    put_enhanced(&b, false, 0, 1, 60, 60);
    buf_put(&b, bad->p, bad->n);
    put_enhanced(&b, false, 0, 2, 60, 60);
    see_bytes(buf_slice(&b), &s);
    is_int(s.n, 1, "%s: the packet before comes out", what);
    is_int(s.status, TD_E_CORRUPT, "%s: damage", what);
    like(s.err.text, "capture: offset 140: ", "%s: the offset", what);
    like(s.err.text, words, "%s: the words", what);
    seen_clear(&s);
    buf_clear(&b);
    buf_clear(bad);
}

static void test_damage(void)
{
    struct buf b = {0}, body = {0};
    put_enhanced(&b, false, 0, 1, 60, 60);
    b.p[b.n - 1] = 1;
    check_damage("lengths that differ", &b, "92 bytes long in front and");

    put_enhanced(&b, false, 0, 1, 60, 60);
    b.p[4] = 93;
    check_damage("a length that is no multiple of four", &b, "claims 93 bytes");

    put_enhanced(&b, false, 0, 1, 60, 60);
    b.p[4] = 8;
    check_damage("a length too small for a block", &b, "claims 8 bytes");

    put_enhanced(&b, false, 0, 1, 60, 60);
    b.p[7] = 0x7f;
    check_damage("a length of two gigabytes", &b, "claims 2130706524 bytes");

    put_enhanced(&b, false, 0, 1, 60, 60);
    b.p[20] = 64;
    check_damage("more captured bytes than the block has", &b, "claims 64 captured bytes in a block of 92");

    put32(&body, false, 0);
    put_block(&b, false, 6, &body);
    check_damage("a packet block without its fields", &b, "too short");

    put32(&body, false, 5);
    put_block(&b, false, 3, &body);
    check_damage("a simple packet block without its bytes", &b, "claims 5 captured bytes");

    put_block(&b, false, 3, &body);
    check_damage("a simple packet block without a length", &b, "too short");

    put_block(&b, false, 1, &body);
    check_damage("an interface without its fields", &b, "too short");

    put32(&body, false, 1);
    put32(&body, false, 0);
    put16(&body, false, 2);
    put16(&body, false, 5);
    put_pattern(&body, 4, 0);
    put_block(&b, false, 1, &body);
    check_damage("an option longer than its block", &b, "option longer than the block");

    put16(&body, false, 1);
    put16(&body, false, 40);
    put_pattern(&body, 8, 0);
    put_block(&b, false, 4, &body);
    check_damage("a name record longer than its block", &b, "record longer than the block");

    put32(&body, false, 1);
    put32(&body, false, 9);
    put_pattern(&body, 8, 0);
    put_block(&b, false, 10, &body);
    check_damage("secrets longer than their block", &b, "more secrets than fit");

    put_block(&b, false, 10, &body);
    check_damage("secrets without their fields", &b, "too short");

    put32(&body, false, 0x12345678);
    put64(&body, false, 0);
    put32(&body, false, 0);
    put_block(&b, false, 0x0a0d0d0a, &body);
    check_damage("a section without byte order", &b, "byte-order magic");

    put32(&body, false, 0x1a2b3c4d);
    put_block(&b, false, 0x0a0d0d0a, &body);
    check_damage("a section header without its fields", &b, "too short");
}

static void test_refusals(void)
{
    struct buf b = {0};
    put_section(&b, false);
    b.p[12] = 2;
    see_bytes(buf_slice(&b), &s);
    is_int(s.open_status, TD_E_UNSUPPORTED, "version 2.0 is refused");
    buf_reset(&b);
    put_section(&b, false);
    struct buf body = {0};
    put32(&body, false, 10);
    put_pattern(&body, 10, 0);
    put_block(&b, false, 3, &body);
    see_bytes(buf_slice(&b), &s);
    is_int(s.status, TD_E_CORRUPT, "a simple packet block needs an interface");
    seen_clear(&s);
    buf_clear(&b);
}

static void test_allocation_failures(void)
{
    struct buf b = {0}, body = {0}, options = {0};
    put_section(&b, false);
    put_option(&options, false, 2, "eth0", 4);
    put_interface(&b, false, 1, 0, &options);
    put_option(&body, false, 1, "\xc0\0\2\1one.example", 4 + 11);
    put_block(&b, false, 4, &body);
    put32(&body, false, 1);
    put32(&body, false, 4);
    put32(&body, false, 9);
    put_block(&b, false, 10, &body);
    put_enhanced(&b, false, 0, 1, 60, 60);
    unsigned long nth = 0;
    bool ends = true, reached = true;
    while (reached && nth < 1000) {
        mem_fail_at(++nth);
        see_bytes(buf_slice(&b), &s);
        reached = mem_failed();
        mem_fail_at(0);
        ends &= s.status <= 0 && (s.status < 0 || s.n == 1);
        seen_clear(&s);
    }
    ok(ends && nth > 5 && nth < 1000, "each of %lu allocations may fail", nth - 1);
    buf_clear(&b);
}

int main(void)
{
    test_packets();
    test_clocks();
    test_interface_options();
    test_sections();
    test_names_and_secrets();
    test_cut_everywhere();
    test_damage();
    test_refusals();
    test_allocation_failures();
    return tap_done();
}
