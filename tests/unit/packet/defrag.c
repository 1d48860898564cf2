#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "build.h"
#include "packet/decode.h"
#include "tap.h"

enum { RAW = 101, UDP = 17, SECOND = 1000000000, MORE = 0x20, MEMORY = 1 << 20 };

static struct build b;
static struct decoder *decoder;
static struct decoded out;
static uint64_t frame;
static int64_t now;

/* What is built, as the next frame, in memory of its exact size. */
static enum decode_skip feed_cut(size_t caplen)
{
    uint8_t *p = malloc(caplen);
    memcpy(p, build_bytes(&b), caplen);
    struct packet packet = {.p = p, .caplen = (uint32_t)caplen, .len = (uint32_t)b.n, .time_ns = now, .frame = ++frame, .linktype = RAW};
    enum decode_skip skip = decode_packet(decoder, &packet, &out);
    free(p);
    return skip;
}

static enum decode_skip feed(void)
{
    return feed_cut(b.n);
}

static void begin(size_t memory)
{
    decoder_free(decoder);
    decoder = decoder_new(memory);
    frame = 0;
    now = 0;
}

static uint8_t message[0x10000]; /* a UDP header and its payload */

static void make_message(size_t n)
{
    for (size_t i = 8; i < n; i++)
        message[i] = (uint8_t)(i * 7 >> 3);
    memcpy(message, (const uint8_t[]){U16(4321), U16(53), U16(n), 0, 0}, 8);
}

static void build_v4(uint16_t id, size_t from, size_t to, size_t total)
{
    b.n = 0;
    push(&b, message + from, to - from);
    push_ipv4_fragment(&b, UDP, id, to < total ? MORE : 0, (uint16_t)(from / 8));
}

static void build_v6(uint32_t id, size_t from, size_t to, size_t total)
{
    b.n = 0;
    push(&b, message + from, to - from);
    push_ipv6_fragment(&b, UDP, id, (uint16_t)(from / 8), to < total);
}

static void is_message(size_t n, uint8_t version, const char *name)
{
    is_mem(out.l4, out.l4_caplen, message, n, "%s: the bytes", name);
    is_int(out.l4_len, n, "%s: the length", name);
    is_int(out.ip_version, version, "%s: IP version", name);
    size_t length_field = (size_t)(version == 4 ? out.ip[2] << 8 | out.ip[3] : out.ip[4] << 8 | out.ip[5]);
    is_int(length_field, version == 4 ? n + 20 : n, "%s: the header's length is the whole's", name);
    is_int(version == 4 ? out.ip[9] : out.ip[6], UDP, "%s: the header's protocol", name);
    is_int(version == 4 ? out.ip[19] : out.ip[39], 2, "%s: the header's address", name);
}

static void is_frames(const char *want, const char *name)
{
    char got[256] = "";
    size_t n = 0;
    for (uint32_t i = 0; out.datagram && i < out.datagram->frame_count && n < 200; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%llu", i ? " " : "", (unsigned long long)out.datagram->frames[i]);
    is_str(got, want, "%s: frames", name);
    block_unref(&out.datagram->block);
}

/* Three fragments in each order, of both versions. */
static void test_orders(void)
{
    static const size_t cuts[] = {0, 16, 40, 61};
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    make_message(61);
    begin(MEMORY);
    for (uint8_t version = 4; version <= 6; version += 2)
        for (size_t order = 0; order < 6; order++) {
            frame = 0;
            enum decode_skip skip[3];
            for (size_t i = 0; i < 3; i++) {
                size_t k = orders[order][i];
                if (version == 4)
                    build_v4((uint16_t)order, cuts[k], cuts[k + 1], 61);
                else
                    build_v6((uint32_t)order, cuts[k], cuts[k + 1], 61);
                skip[i] = feed();
            }
            ok(skip[0] == DECODE_FRAGMENT && skip[1] == DECODE_FRAGMENT, "IPv%d order %zu: two wait", version, order);
            if (!is_int(skip[2], DECODE_OK, "IPv%d order %zu: the third completes", version, order))
                continue;
            is_message(61, version, "whole");
            is_frames("1 2 3", "whole");
        }
    is_int(decoder_stats(decoder)->datagrams, 12, "all are counted");
    is_int(decoder_stats(decoder)->fragments_lost, 0, "none is lost");
    is_int(decoder_stats(decoder)->skipped[DECODE_FRAGMENT], 24, "fragments that waited");
}

static void test_repeats(void)
{
    make_message(40);
    begin(MEMORY);
    build_v4(1, 0, 24, 40);
    is_int(feed(), DECODE_FRAGMENT, "the first");
    is_int(feed(), DECODE_FRAGMENT, "again");
    build_v4(1, 24, 40, 40);
    is_int(feed(), DECODE_OK, "the second");
    is_message(40, 4, "with a repeat");
    is_frames("1 3", "with a repeat");
    is_int(feed(), DECODE_FRAGMENT, "a repeat that comes late");
    build_v4(1, 0, 24, 40);
    is_int(feed(), DECODE_OK, "when both do, they make the datagram again");
    is_message(40, 4, "again");
    is_frames("4 5", "again");

    begin(MEMORY);
    build_v4(1, 24, 40, 40);
    is_int(feed(), DECODE_FRAGMENT, "a fragment whose first is missing");
    message[30] ^= 1;
    build_v4(1, 24, 40, 40);
    is_int(feed(), DECODE_FRAGMENT, "the same place of a later datagram");
    is_int(decoder_stats(decoder)->fragments_lost, 1, "ends the earlier one");
    build_v4(1, 0, 24, 40);
    is_int(feed(), DECODE_OK, "which is completed");
    is_message(40, 4, "the later datagram");
    is_frames("2 3", "the later datagram");
}

/* The one that starts lower counts; of two that start together, the one that came first. */
static void test_overlap(void)
{
    make_message(48);
    begin(MEMORY);
    build_v6(1, 16, 48, 48);
    build_bytes(&b)[48 + 5] ^= 0xff; /* in the part that the next one has as well */
    is_int(feed(), DECODE_FRAGMENT, "16 to 48");
    build_v6(1, 0, 24, 48);
    is_int(feed(), DECODE_OK, "0 to 24 comes later, and wins from 16 to 24");
    is_message(48, 6, "overlap");
    is_frames("1 2", "overlap");

    build_v6(2, 8, 32, 48);
    is_int(feed(), DECODE_FRAGMENT, "8 to 32");
    build_v6(2, 24, 48, 48);
    is_int(feed(), DECODE_FRAGMENT, "24 to 48");
    build_v6(2, 8, 24, 48);
    build_bytes(&b)[48 + 3] ^= 0xff;
    is_int(feed(), DECODE_FRAGMENT, "8 to 24 comes later, and loses");
    build_v6(2, 0, 8, 48);
    is_int(feed(), DECODE_OK, "0 to 8");
    is_message(48, 6, "two at one place");
    is_frames("3 4 5 6", "two at one place");

    /* Teardrop: the second lies within the first. */
    begin(MEMORY);
    build_v4(1, 0, 32, 48);
    is_int(feed(), DECODE_FRAGMENT, "0 to 32");
    build_v4(1, 8, 16, 16);
    is_int(feed(), DECODE_FRAGMENT, "a last one that ends at 16");
    is_int(decoder_stats(decoder)->fragments_lost, 1, "they cannot be one datagram");
    build_v4(1, 16, 32, 32);
    is_int(feed(), DECODE_FRAGMENT, "another end");
    build_v4(1, 24, 40, 48);
    is_int(feed(), DECODE_FRAGMENT, "beyond the end");
    is_int(decoder_stats(decoder)->fragments_lost, 3, "neither can these");
}

/* Addresses, identification and, of IPv4, protocol tell datagrams apart. */
static void test_identity(void)
{
    make_message(40);
    begin(MEMORY);
    build_v6(1, 0, 24, 40);
    is_int(feed(), DECODE_FRAGMENT, "the first");
    static const struct {
        size_t offset;
        const char *what;
    } differ[] = {{8, "source"}, {39, "destination"}, {47, "identification"}};
    for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++) {
        build_v6(1, 24, 40, 40);
        build_bytes(&b)[differ[i].offset]++;
        is_int(feed(), DECODE_FRAGMENT, "another %s", differ[i].what);
    }
    build_v6(1, 24, 40, 40);
    build_bytes(&b)[40] = 6;
    is_int(feed(), DECODE_OK, "the next header of a later fragment does not count");
    is_frames("1 5", "identity");
    build_v4(1, 0, 24, 40);
    is_int(feed(), DECODE_FRAGMENT, "IPv4");
    build_v4(1, 24, 40, 40);
    build_bytes(&b)[9] = 6;
    is_int(feed(), DECODE_FRAGMENT, "another protocol");
}

static void test_limits(void)
{
    begin(MEMORY);
    build_v4(1, 0, 800, 900);
    memcpy(build_bytes(&b) + 6, (const uint8_t[]){0x1f, 0xff}, 2);
    is_int(feed(), DECODE_MALFORMED, "a datagram beyond 65535 bytes");
    build_v6(1, 0, 8, 16);
    memcpy(build_bytes(&b) + 42, (const uint8_t[]){0xff, 0xf9}, 2);
    is_int(feed(), DECODE_MALFORMED, "of IPv6 as well");
    build_v4(1, 0, 7, 16);
    is_int(feed(), DECODE_MALFORMED, "a fragment of less than eight bytes that is not the last");
    build_v4(1, 0, 0, 16);
    is_int(feed(), DECODE_MALFORMED, "an empty fragment");

    make_message(65515);
    build_v4(2, 0, 65512, 65515);
    is_int(feed(), DECODE_FRAGMENT, "65512 bytes");
    build_v4(2, 65512, 65515, 65515);
    is_int(feed(), DECODE_OK, "three more make the largest datagram");
    is_message(65515, 4, "the largest");
    is_frames("5 6", "the largest");

    make_message(40);
    build_v4(3, 0, 20, 40);
    is_int(feed(), DECODE_FRAGMENT, "20 bytes, of which 16 count");
    build_v4(3, 16, 40, 40);
    is_int(feed(), DECODE_OK, "the rest");
    is_message(40, 4, "not a multiple of eight");
    is_frames("7 8", "not a multiple of eight");

    make_message(8 * 4000);
    for (size_t i = 0; i < 4000; i++) {
        build_v4(4, 8 * i, 8 * i + 8, 8 * 4000);
        if (feed() != DECODE_FRAGMENT) {
            ok(false, "fragment %zu waits", i);
            block_unref(&out.datagram->block);
        }
    }
    is_int(decoder_stats(decoder)->fragments_lost, 1, "a datagram of too many fragments is given up");
}

static void test_snaplen(void)
{
    make_message(100);
    begin(MEMORY);
    build_v4(1, 0, 64, 100);
    is_int(feed_cut(b.n - 10), DECODE_OK, "a first fragment that was cut tells the ports");
    is_int(out.l4_caplen * 1000 + out.l4_len, 54064, "its lengths");
    ok(!out.datagram, "is no datagram");
    build_v4(1, 64, 100, 100);
    is_int(feed_cut(b.n - 10), DECODE_TRUNCATED, "another one does not");
}

static void test_time(void)
{
    make_message(40);
    begin(MEMORY);
    build_v4(1, 0, 24, 40);
    is_int(feed(), DECODE_FRAGMENT, "the first");
    now = 60LL * SECOND;
    build_v4(1, 24, 40, 40);
    is_int(feed(), DECODE_OK, "60 seconds are not too late");
    is_frames("1 2", "just in time");
    now += 1;
    is_int(feed(), DECODE_FRAGMENT, "a fragment whose first is missing");
    now += 60LL * SECOND + 1;
    build_v4(1, 0, 24, 40);
    is_int(feed(), DECODE_FRAGMENT, "a nanosecond more is too late");
    is_int(decoder_stats(decoder)->fragments_lost, 1, "the datagram is given up");
    now = INT64_MIN;
    build_v4(1, 24, 40, 40);
    is_int(feed(), DECODE_OK, "a clock that jumps back");
    is_frames("4 5", "a clock that jumps back");
    now = INT64_MIN;
    build_v4(2, 24, 40, 40);
    is_int(feed(), DECODE_FRAGMENT, "at the beginning of time");
    now = INT64_MAX;
    build_v4(2, 0, 24, 40);
    is_int(feed(), DECODE_FRAGMENT, "and at its end");
}

/* The oldest goes first. */
static void test_budget(void)
{
    make_message(1000);
    begin(100000);
    for (uint16_t id = 0; id < 1000; id++) {
        build_v4(id, 0, 800, 1000);
        if (feed() != DECODE_FRAGMENT)
            ok(false, "fragment %d waits", id);
    }
    uint64_t lost = decoder_stats(decoder)->fragments_lost;
    ok(lost > 850 && lost < 950, "about 100 datagrams fit: %llu are given up", (unsigned long long)lost);
    build_v4(999, 800, 1000, 1000);
    is_int(feed(), DECODE_OK, "the newest is completed");
    is_frames("1000 1001", "the newest");
    build_v4(0, 800, 1000, 1000);
    is_int(feed(), DECODE_FRAGMENT, "the oldest is gone");

    begin(500);
    build_v4(1, 0, 800, 1000);
    is_int(feed(), DECODE_FRAGMENT, "a fragment larger than the budget");
    is_int(decoder_stats(decoder)->fragments_lost, 1, "is lost");
}

/* A DNS query in VXLAN, which is in three fragments; and one in fragments inside of such. */
static void test_tunnels(void)
{
    make_message(61);
    begin(MEMORY);
    b.n = 0;
    push(&b, message, 61);
    push_ipv6(&b, UDP);
    push_ethernet(&b, 0x86dd);
    PUSH(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    push_udp(&b, 50000, 4789);
    uint8_t outer[512];
    size_t n = b.n;
    memcpy(outer, build_bytes(&b), n);
    for (size_t from = 0; from < n; from += 48) {
        b.n = 0;
        size_t to = from + 48 < n ? from + 48 : n;
        push(&b, outer + from, to - from);
        push_ipv4_fragment(&b, UDP, 1, to < n ? MORE : 0, (uint16_t)(from / 8));
        is_int(feed(), to < n ? DECODE_FRAGMENT : DECODE_OK, "bytes %zu to %zu of a tunnel", from, to);
    }
    is_message(61, 6, "tunnel in fragments");
    is_frames("1 2 3", "tunnel in fragments");

    frame = 0;
    for (size_t inner_from = 0; inner_from < 61; inner_from += 40) {
        size_t inner_to = inner_from + 40 < 61 ? inner_from + 40 : 61;
        build_v6(9, inner_from, inner_to, 61);
        push_ethernet(&b, 0x86dd);
        PUSH(&b, 0x20, 0, U16(0x6558), U32(1));
        n = b.n;
        memcpy(outer, build_bytes(&b), n);
        for (size_t from = 0; from < n; from += 80) {
            size_t to = from + 80 < n ? from + 80 : n;
            b.n = 0;
            push(&b, outer + from, to - from);
            push_ipv4_fragment(&b, 47, (uint16_t)(20 + inner_from), to < n ? MORE : 0, (uint16_t)(from / 8));
            is_int(feed(), inner_to == 61 && to == n ? DECODE_OK : DECODE_FRAGMENT, "inner %zu, outer %zu", inner_from, from);
        }
    }
    is_message(61, 6, "fragments in fragments");
    is_frames("1 2 3 4", "fragments in fragments");

    is_int(decoder_stats(decoder)->datagrams, 1 + 3, "datagrams of all levels");
}

static void test_memory(void)
{
    make_message(40);
    unsigned long nth = 1;
    for (bool reached = true; reached; nth++) {
        mem_fail_at(nth);
        decoder = decoder_new(MEMORY);
        bool whole = false;
        for (size_t from = 0; decoder && from < 40; from += 8) {
            build_v4(1, from, from + 8, 40);
            whole = feed() == DECODE_OK;
        }
        if (whole)
            block_unref(&out.datagram->block);
        reached = mem_failed();
        mem_fail_at(0);
        if (whole == reached)
            ok(false, "allocation %lu: %s", nth, whole ? "whole though it failed" : "not whole though it did not");
        decoder_free(decoder);
        decoder = NULL;
    }
    is_int(nth - 2, 2 + 1 + 5 + 1, "each allocation has failed once");
}

int main(void)
{
    test_orders();
    test_repeats();
    test_overlap();
    test_identity();
    test_limits();
    test_snaplen();
    test_time();
    test_budget();
    test_tunnels();
    begin(0);
    decoder_free(decoder);
    test_memory();
    return tap_done();
}
