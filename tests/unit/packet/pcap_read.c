/* pcap in all its kinds, and every kind of damage. */
#include "capture_build.h"

#include "base/mem.h"
#include "packet/pcap_read.h"

static struct seen s;

/* Three packets, the second cut by the snaplen; `extra` bytes more in each record header. */
static void put_three(struct buf *b, bool big, size_t extra)
{
    put_pcap_record(b, big, 10, 123456, 60, 60, extra);
    put_pcap_record(b, big, 11, 999999, 96, 1500, extra);
    put_pcap_record(b, big, 9, 0, 61, 61, extra);
}

static void check_three(const char *what, int64_t ns_per_tick)
{
    static const int64_t seconds[] = {10, 11, 9}, fractions[] = {123456, 999999, 0};
    struct buf want = {0};
    put_pattern(&want, 60, 10);
    put_pattern(&want, 96, 11);
    put_pattern(&want, 61, 9);
    is_int(s.status, 0, "%s: ends well", what);
    is_int(s.n, 3, "%s: three packets", what);
    is_mem(s.data.p, s.data.n, want.p, want.n, "%s: their bytes", what);
    for (int i = 0; i < 3; i++) {
        is_int(s.v[i].time_ns, seconds[i] * 1000000000 + fractions[i] * ns_per_tick, "%s: time of packet %d", what, i + 1);
        is_int(s.v[i].frame, i + 1, "%s: frame number %d", what, i + 1);
        is_int(s.v[i].flags, 0, "%s: packet %d has a time", what, i + 1);
    }
    is_int(s.v[1].caplen, 96, "%s: captured length", what);
    is_int(s.v[1].len, 1500, "%s: length on the wire", what);
    buf_clear(&want);
    seen_clear(&s);
}

static void test_magics(void)
{
    static const struct {
        const char *what;
        uint32_t magic;
        int64_t ns;
        const char *format;
    } kinds[] = {
        {"micro", 0xa1b2c3d4, 1000, "pcap"},
        {"nano", 0xa1b23c4d, 1, "pcap, nanoseconds"},
    };
    for (size_t k = 0; k < 2; k++)
        for (int big = 0; big < 2; big++) {
            struct buf b = {0};
            char format[64];
            put_pcap_header(&b, big, kinds[k].magic, 2, 4, 65535, 1);
            put_three(&b, big, 0);
            see_bytes(buf_slice(&b), &s);
            snprintf(format, sizeof(format), "%s%s", kinds[k].format, big ? ", big-endian" : "");
            is_str(s.format, format, "%s: format", format);
            is_int(s.ifaces[0].linktype, 1, "%s: link type", format);
            is_int(s.ifaces[0].snaplen, 65535, "%s: snaplen", format);
            is_int(s.ifaces[0].ticks_per_s, 1000000000 / kinds[k].ns, "%s: resolution", format);
            check_three(format, kinds[k].ns);
            buf_clear(&b);
        }
}

/* Kinds with other record headers, told by magic or by what the records hold. */
static void test_variants(void)
{
    static const uint8_t nokia_le[4] = {0x01, 0xb6, 0xbf, 0x9f}, nokia_be[4] = {0x9f, 0xbf, 0xb6, 0x01};
    for (int big = 0; big < 2; big++) {
        struct buf b = {0};
        put_pcap_header(&b, big, 0xa1b2cd34, 2, 4, 65535, 1);
        put_three(&b, big, 8);
        see_bytes(buf_slice(&b), &s);
        like(s.format, "modified", "modified: format");
        check_three("modified", 1000);

        buf_reset(&b);
        put_pcap_header(&b, big, 0xa1b2cd34, 2, 4, 65535, 1);
        put_three(&b, big, 12);
        see_bytes(buf_slice(&b), &s);
        like(s.format, "SuSE", "SuSE 6.3: format");
        check_three("SuSE 6.3", 1000);

        buf_reset(&b);
        put_pcap_header(&b, big, 0xa1b2c3d4, 2, 4, 65535, 1);
        put_three(&b, big, 8);
        see_bytes(buf_slice(&b), &s);
        like(s.format, "Red Hat", "Red Hat 6.1: format");
        check_three("Red Hat 6.1", 1000);

        buf_reset(&b);
        put_pcap_header(&b, big, 0xa1b2c3d4, 2, 4, 65535, 1);
        size_t at[] = {24 + 16, 24 + 20 + 60 + 16, 24 + 20 + 60 + 20 + 96 + 16};
        put_three(&b, big, 4);
        for (int i = 0; i < 3; i++)
            memcpy(b.p + at[i], big ? nokia_be : nokia_le, 4);
        see_bytes(buf_slice(&b), &s);
        like(s.format, "Nokia", "Nokia: format");
        check_three("Nokia", 1000);

        for (uint32_t ixia = 0; ixia < 2; ixia++) {
            buf_reset(&b);
            put_pcap_header(&b, big, 0x1c0001ab + ixia, 2, 4, 65535, 1);
            put32(&b, big, 12345);
            put_three(&b, big, 0);
            see_bytes(buf_slice(&b), &s);
            like(s.format, "Ixia", "Ixia: format");
            check_three("Ixia", ixia ? 1 : 1000);
        }
        buf_clear(&b);
    }
}

/* Old versions wrote the lengths the other way round; 2.3 either way. */
static void test_swapped_lengths(void)
{
    static const struct {
        unsigned major, minor;
        uint32_t first, second;
    } cases[] = {{2, 2, 1500, 96}, {543, 0, 1500, 96}, {2, 3, 1500, 96}, {2, 3, 96, 1500}, {2, 4, 96, 1500}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = {0};
        put_pcap_header(&b, false, 0xa1b2c3d4, cases[i].major, cases[i].minor, 65535, 1);
        put32(&b, false, 5);
        put32(&b, false, 6);
        put32(&b, false, cases[i].first);
        put32(&b, false, cases[i].second);
        put_pattern(&b, 96, 1);
        see_bytes(buf_slice(&b), &s);
        is_int(s.status, 0, "version %u.%u: ends well", cases[i].major, cases[i].minor);
        is_int(s.v[0].caplen, 96, "version %u.%u: captured length", cases[i].major, cases[i].minor);
        is_int(s.v[0].len, 1500, "version %u.%u: length", cases[i].major, cases[i].minor);
        seen_clear(&s);
        buf_clear(&b);
    }
}

static void test_aix(void)
{
    struct buf b = {0};
    put_pcap_header(&b, true, 0xa1b2c3d4, 2, 2, 65535, 6);
    put_pcap_record(&b, true, 10, 123456789, 60, 60, 0);
    see_bytes(buf_slice(&b), &s);
    is_str(s.format, "pcap, nanoseconds, AIX, big-endian", "AIX: format");
    is_int(s.v[0].linktype, 1, "AIX: its number for Ethernet");
    is_int(s.v[0].time_ns, 10123456789, "AIX: nanoseconds");
    seen_clear(&s);
    buf_clear(&b);
}

static void test_oddities(void)
{
    struct buf b = {0};
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 64, 0x24000000 | 113); /* with the length of the frame check sequence */
    put_pcap_record(&b, false, 4294967295u, 1, 200, 200, 0);            /* longer than the snaplen says; 2106 */
    put_pcap_record(&b, false, 1, 2000000, 0, 0, 0);                    /* two seconds of microseconds; empty */
    put_pcap_record(&b, false, 2, 0, 50, 40, 0);                        /* captured more than there was */
    see_bytes(buf_slice(&b), &s);
    is_int(s.status, 0, "oddities: accepted");
    is_int(s.n, 3, "oddities: all packets");
    is_int(s.v[0].linktype, 113, "bits above the link type are masked");
    is_int(s.v[0].caplen, 200, "a packet longer than the snaplen");
    is_int(s.v[0].time_ns, 4294967295000001000, "seconds are unsigned");
    is_int(s.v[1].time_ns, 3000000000, "a fraction of more than a second");
    is_int(s.v[2].len, 50, "the length is never below the captured length");
    seen_clear(&s);
    buf_clear(&b);
}

/* Whatever is cut off: the packets before come out, then an error that names the offset of the cut record. */
static void test_cut_everywhere(void)
{
    struct buf b = {0};
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 65535, 1);
    put_three(&b, false, 0);
    const size_t starts[] = {24, 24 + 76, 24 + 76 + 112, b.n};
    bool counts = true, errors = true, offsets = true;
    for (size_t n = 0; n <= b.n; n++) {
        unsigned whole = 0;
        while (whole < 3 && n >= starts[whole + 1])
            whole++;
        bool at_border = n >= 24 && n == starts[whole];
        see_bytes(td_bytes(b.p, n), &s);
        counts &= s.n == whole;
        errors &= at_border ? s.status == 0 : s.status < 0;
        char offset[32];
        snprintf(offset, sizeof(offset), "offset %zu:", n < 24 ? n : starts[whole]);
        offsets &= at_border || n < 4 || strstr(s.err.text, offset);
        seen_clear(&s);
    }
    ok(counts, "cut at every byte: the packets before the cut");
    ok(errors, "cut at every byte: an error unless between packets");
    ok(offsets, "cut at every byte: the offset of the cut record");
    buf_clear(&b);
}

static void test_damage(void)
{
    struct buf b = {0};
    struct capture *c;
    struct packet packets[4];
    struct block *block;
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 65535, 1);
    put_pcap_record(&b, false, 1, 0, 60, 60, 0);
    put_pcap_record(&b, false, 2, 0, 60, 60, 0);
    b.p[24 + 76 + 11] = 0x40; /* the second packet claims a gigabyte */
    see_bytes(buf_slice(&b), &s);
    is_int(s.n, 1, "a packet of a gigabyte: the one before comes out");
    is_int(s.status, TD_E_CORRUPT, "a packet of a gigabyte: damage");
    like(s.err.text, "capture: offset 100: packet 2 claims 1073741884 captured bytes", "a packet of a gigabyte: the words");
    seen_clear(&s);

    is_int(capture_open_memory(buf_slice(&b), &c, NULL), TD_OK, "opens without an error to fill");
    is_int(capture_read(c, packets, 4, &block, NULL), 1, "reads without an error to fill");
    block_unref(block);
    is_int(capture_read(c, packets, 4, &block, NULL), TD_E_CORRUPT, "damage");
    is_int(capture_read(c, packets, 4, &block, NULL), TD_E_CORRUPT, "damage again when asked again");
    capture_close(c);
    buf_clear(&b);
}

static void test_limit(void)
{
    struct buf b = {0};
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 0, 1);
    put_pcap_record(&b, false, 1, 0, CAPTURE_MAX_PACKET, CAPTURE_MAX_PACKET, 0);
    see_bytes(buf_slice(&b), &s);
    is_int(s.status, 0, "a packet as long as the limit is read");
    is_int(s.data.n, CAPTURE_MAX_PACKET, "a packet as long as the limit: its bytes");
    seen_clear(&s);
    buf_reset(&b);
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 0, 1);
    put_pcap_record(&b, false, 1, 0, CAPTURE_MAX_PACKET + 1, CAPTURE_MAX_PACKET + 1, 0);
    see_bytes(buf_slice(&b), &s);
    is_int(s.status, TD_E_CORRUPT, "a byte more is damage, even if the bytes are there");
    seen_clear(&s);
    buf_clear(&b);
}

static void test_versions(void)
{
    struct buf b = {0};
    put_pcap_header(&b, false, 0xa1b2c3d4, 3, 0, 65535, 1);
    see_bytes(buf_slice(&b), &s);
    is_int(s.open_status, TD_E_UNSUPPORTED, "version 3.0 is refused");
    like(s.err.text, "version 3.0", "version 3.0: the words");
    buf_reset(&b);
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 65535, 1);
    see_bytes(buf_slice(&b), &s);
    is_int(s.status, 0, "a header alone is a capture without packets");
    is_int(s.n, 0, "no packets");
    buf_clear(&b);
}

/* Whichever allocation fails, there is an error and no leak. */
static void test_allocation_failures(void)
{
    struct buf b = {0};
    put_plain_pcap(&b, 3);
    bool told = true;
    unsigned long nth = 0;
    do {
        mem_fail_at(++nth);
        see_bytes(buf_slice(&b), &s);
        told &= !mem_failed() || s.status < 0 || s.data.failed;
        bool reached = mem_failed();
        mem_fail_at(0);
        seen_clear(&s);
        if (!reached)
            break;
    } while (nth < 1000);
    ok(told && nth > 3 && nth < 1000, "each of %lu allocations may fail", nth - 1);
    buf_clear(&b);
}

int main(void)
{
    test_magics();
    test_variants();
    test_swapped_lengths();
    test_aix();
    test_oddities();
    test_cut_everywhere();
    test_damage();
    test_limit();
    test_versions();
    test_allocation_failures();
    return tap_done();
}
