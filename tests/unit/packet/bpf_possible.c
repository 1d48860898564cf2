/* Filters asked about packets of which only some bits are known: never a wrong "no", and an exact answer where the bits suffice. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "build.h"
#include "packet/bpf.h"
#include "packet/capture.h"
#include "tap.h"

enum { MAX_PACKETS = 1500, SNAP = 256, MASKS = 12, NAMES = 64 };

struct sample {
    struct packet packet;
    uint8_t bytes[SNAP];
};

struct samples {
    struct sample *s;
    size_t n;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- Packets ---- */

static void add(struct samples *all, uint32_t linktype, const uint8_t *p, uint32_t caplen, uint32_t len)
{
    if (all->n == MAX_PACKETS)
        return;
    struct sample *s = &all->s[all->n++];
    caplen = caplen < SNAP ? caplen : SNAP;
    memcpy(s->bytes, p, caplen);
    s->packet = (struct packet){.p = s->bytes, .caplen = caplen, .len = len, .linktype = (uint16_t)linktype};
}

static void add_file(struct samples *all, const char *path)
{
    struct capture *capture;
    struct packet packets[64];
    struct block *block;
    struct error err;
    int n;
    if (!ok(capture_open(path, &capture, &err) == TD_OK, "opens %s", path))
        return;
    while ((n = capture_read(capture, packets, 64, &block, &err)) > 0) {
        for (int i = 0; i < n; i++)
            add(all, packets[i].linktype, packets[i].p, packets[i].caplen, packets[i].len);
        block_unref(block);
    }
    capture_close(capture);
}

static void add_built(struct samples *all, struct build *b, uint16_t ethertype)
{
    add(all, 101, build_bytes(b), (uint32_t)b->n, (uint32_t)b->n);
    struct build tagged = *b;
    push_ethernet(b, ethertype);
    add(all, 1, build_bytes(b), (uint32_t)b->n, (uint32_t)b->n);
    add(all, 1, build_bytes(b), (uint32_t)b->n / 2, (uint32_t)b->n);
    PUSH(&tagged, 0, 12, U16(ethertype));
    struct build twice = tagged;
    push_ethernet(&tagged, 0x8100);
    add(all, 1, build_bytes(&tagged), (uint32_t)tagged.n, (uint32_t)tagged.n);
    PUSH(&twice, 0, 7, U16(0x8100));
    push_ethernet(&twice, 0x88a8);
    add(all, 1, build_bytes(&twice), (uint32_t)twice.n, (uint32_t)twice.n);
}

static void build_kinds(struct samples *all)
{
    static struct build b;
    static const uint16_t ports[] = {53, 80, 443, 8080, 40000};
    for (size_t i = 0; i < 25; i++) {
        uint16_t from = ports[i % 5], to = ports[i / 5];
        start(&b, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        push_tcp(&b, from, to);
        push_ipv4(&b, 6);
        add_built(all, &b, 0x0800);
        start(&b, "some question");
        push_udp(&b, from, to);
        push_ipv6(&b, 17);
        add_built(all, &b, 0x86dd);
        start(&b, "a datagram's beginning");
        push_udp(&b, from, to);
        push_ipv4_fragment(&b, 17, 9, 0x20, 0);
        add_built(all, &b, 0x0800);
    }
    start(&b, "a datagram's end");
    push_ipv4_fragment(&b, 17, 9, 0, 185);
    add_built(all, &b, 0x0800);
    start(&b, "\10\0ping");
    push_ipv4(&b, 1);
    add_built(all, &b, 0x0800);
    start(&b, "to many");
    push_udp(&b, 5353, 5353);
    push_ipv4(&b, 17);
    memcpy(build_bytes(&b) + 16, (const uint8_t[]){224, 0, 0, 251}, 4);
    add_built(all, &b, 0x0800);
    start(&b, "fragment");
    push_ipv6_fragment(&b, 17, 5, 0, 1);
    add_built(all, &b, 0x86dd);
    start(&b, "");
    PUSH(&b, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2);
    push_ethernet(&b, 0x0806);
    memset(build_bytes(&b), 0xff, 6);
    add(all, 1, build_bytes(&b), (uint32_t)b.n, (uint32_t)b.n);
}

/* ---- Never a wrong "no" ---- */

static const char *const expressions[] = {
    "",
    "host 192.0.2.1",
    "not host 192.0.2.1",
    "src host 127.0.0.1 and dst port 80",
    "net 192.0.2.0/24",
    "src net 10.0.0.0/8 or dst net 192.0.0.0/16",
    "host 2001:db8::1",
    "net 2001:db8::/32 and udp",
    "port 53",
    "not port 53",
    "tcp port 80 or udp port 53",
    "portrange 50-90",
    "src portrange 30000-60000",
    "tcp",
    "udp",
    "icmp",
    "icmp6 or arp",
    "ip",
    "ip6",
    "not ip",
    "ip6 and not tcp",
    "ip proto 17",
    "ip6 proto 17",
    "vlan",
    "vlan 12 and port 53",
    "vlan and vlan 12",
    "vlan 7 and vlan 12 and tcp",
    "ether host 02:00:00:00:00:01",
    "ether src 02:00:00:00:00:01 and not ether dst ff:ff:ff:ff:ff:ff",
    "ether proto 0x0806",
    "ether broadcast or ether multicast",
    "ether[12:2] = 0x0800 and ether[0] & 1 = 0",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] = tcp-ack",
    "tcp[13] & 0x18 == 0x18",
    "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0",
    "ip[2:2] * 2 > 100",
    "ip[2:2] / 7 > 5 and ip[8] % 3 = 1",
    "ip[6:2] & 0x1fff = 0",
    "ip[6:2] & 0x3fff != 0",
    "ip[8] < 65 and ip[8] >= 64",
    "udp[4:2] ^ 0xffff > 0x100 and udp[0:2] | 1 = 53",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "udp[10:2] & 0x8000 = 0",
    "-ip[8] + 100 > 20",
    "(ip[8] << ip[9]) > 1 or (ip[2:2] >> (ip[9] - 4)) = 15",
    "ip[4:4] > ip[12:4] or ip[16:4] = ip[12:4]",
    "greater 100",
    "less 80",
    "len > 60 and len <= 1500 and tcp",
    "host 192.0.2.1 and host 192.0.2.2 and (port 80 or port 443) and not port 53",
    "ip[20:2] + ip[22:2] > 1000 and ip[20:2] - ip[22:2] < 60000",
    "not (tcp or udp or icmp or arp)",
    "ip6 protochain 17",
    "ip protochain 6",
    "ip multicast or ip6 multicast",
    "pppoes or udp",
    "geneve or (udp port 8472)",
};

enum { EXPRESSIONS = sizeof(expressions) / sizeof(expressions[0]) };

/* Some knowledge of a packet, of one kind after the other; what is not known is made wrong. */
static void some_of(const struct packet *p, size_t kind, uint64_t *seed, uint8_t *bytes, uint8_t *mask, struct bpf_known *ret)
{
    for (size_t i = 0; i < p->caplen; i++) {
        uint64_t r = next_random(seed);
        switch (kind % 6) {
        case 0: mask[i] = 0xff; break;
        case 1: mask[i] = (uint8_t)r; break;
        case 2: mask[i] = r & 0x100 ? 0xff : 0; break;
        case 3: mask[i] = (uint8_t)(r | r >> 8 | r >> 16); break;
        case 4: mask[i] = r % 8 ? 0xff : (uint8_t)(r >> 8); break;
        default: mask[i] = r % 8 ? 0 : 0xff; break;
        }
        bytes[i] = (uint8_t)((p->p[i] & mask[i]) | (~mask[i] & (r >> 24)));
    }
    size_t n = kind < MASKS / 2 || !p->caplen ? p->caplen : next_random(seed) % p->caplen;
    *ret = (struct bpf_known){.linktype = p->linktype, .bytes = bytes, .mask = mask, .n = n};
}

static void test_never_wrong(const struct samples *all)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    uint8_t bytes[SNAP], mask[SNAP];
    size_t without_match = 0;
    for (size_t e = 0; e < EXPRESSIONS; e++) {
        struct bpf *bpf;
        struct error err;
        size_t matches = 0, wrong = 0;
        if (!ok(bpf_compile(expressions[e], &bpf, &err) == TD_OK, "compiles: %s", expressions[e]))
            continue;
        for (size_t i = 0; i < all->n; i++) {
            const struct packet *p = &all->s[i].packet;
            if (!bpf_match(bpf, p))
                continue;
            matches++;
            for (size_t kind = 0; kind < MASKS; kind++) {
                struct bpf_known known;
                some_of(p, kind, &seed, bytes, mask, &known);
                wrong += !bpf_possible(bpf, &known);
            }
        }
        is_int(wrong, 0, "never wrongly ruled out (%zu matches): %s", matches, expressions[e]);
        without_match += !matches;
        bpf_free(bpf);
    }
    ok(without_match <= 2, "nearly all expressions match some packet; without: %zu", without_match);
}

/* ---- An exact answer ---- */

static void know(uint8_t *mask, size_t at, size_t n)
{
    memset(mask + at, 0xff, n);
}

/* What an index would know of it; false: nothing but its link type. */
static bool headers_of(const struct packet *p, uint8_t mask[SNAP])
{
    size_t at = p->linktype == 1 ? 14 : 0;
    memset(mask, 0, SNAP);
    if (p->caplen < at + 44)
        return false;
    if (at)
        know(mask, 12, 2);
    for (; at && p->p[at - 2] == 0x81 && at <= 18; at += 4)
        know(mask, at + 2, 2); /* the tag's number is not known */
    size_t ports = at + 40;
    if (p->p[at] == 0x45) {
        bool fragment = (p->p[at + 6] & 0x3f) || p->p[at + 7];
        know(mask, at, 1);
        mask[at + 6] = 0x3f;
        know(mask, at + 7, 1);
        know(mask, at + 9, 1);
        know(mask, at + 12, 8);
        if (fragment)
            return false;
        ports = at + 20;
    } else if (p->p[at] == 0x60) {
        know(mask, at, 1);
        know(mask, at + 6, 1);
        know(mask, at + 8, 32);
    } else {
        return false;
    }
    know(mask, ports, 4);
    return true;
}

static void test_exact(const struct samples *all)
{
    static const char *const exact[] = {
        "host 192.0.2.1",
        "not host 192.0.2.1",
        "host 192.0.2.77",
        "not host 127.0.0.1",
        "host 127.0.0.1 and not port 53",
        "net 192.0.2.0/24",
        "not net 127.0.0.0/8",
        "host 2001:db8::2",
        "not net 2001:db8::/32",
        "port 80",
        "not port 80",
        "tcp port 8080",
        "src port 53",
        "udp dst port 53",
        "portrange 50-90",
        "not portrange 50-60000",
        "net 192.0.2.0/24 and tcp port 443",
        "net 127.0.0.0/8 and tcp port 8080 or ip6 and udp port 53",
        "host 192.0.2.1 and (port 53 or port 443) and not (udp or icmp)",
        "tcp",
        "udp",
        "not tcp",
        "ip6",
        "ip and not ip6",
        "arp",
        "vlan and host 192.0.2.1",
        "vlan and not port 80",
        "ip[6:2] & 0x1fff = 0",
        "ip[9] = 17 or ip[9] = 1",
        "ip[20:2] + ip[22:2] > 1000",
        "ip[20:2] - ip[22:2] > 60000",
    };
    for (size_t e = 0; e < sizeof(exact) / sizeof(exact[0]); e++) {
        struct bpf *bpf;
        size_t asked = 0, unlike = 0;
        if (!ok(bpf_compile(exact[e], &bpf, NULL) == TD_OK, "compiles: %s", exact[e]))
            continue;
        for (size_t i = 0; i < all->n; i++) {
            const struct packet *p = &all->s[i].packet;
            uint8_t mask[SNAP];
            if (!headers_of(p, mask))
                continue;
            struct bpf_known known = {.linktype = p->linktype, .bytes = p->p, .mask = mask, .n = p->caplen};
            asked++;
            unlike += bpf_possible(bpf, &known) != bpf_match(bpf, p);
        }
        is_int(unlike, 0, "exact for %zu packets: %s", asked, exact[e]);
        bpf_free(bpf);
    }
}

static void check_one(const char *expression, const uint8_t *bytes, const uint8_t *mask, bool want, const char *why)
{
    struct bpf *bpf;
    if (bpf_compile(expression, &bpf, NULL) != TD_OK) {
        ok(false, "compiles: %s", expression);
        return;
    }
    struct bpf_known known = {.linktype = 101, .bytes = bytes, .mask = mask, .n = 40};
    ok(bpf_possible(bpf, &known) == want, "%s: %s", expression, why);
    bpf_free(bpf);
}

/* Bits that are known of a value say something though others are not. */
static void test_single_bits(void)
{
    uint8_t bytes[40] = {0x45}, mask[40] = {0xff};
    mask[9] = 0xff;
    bytes[9] = 6;
    bytes[8] = 0x40;
    mask[8] = 0xf0; /* 64 to 79 */
    check_one("ip[8] > 79", bytes, mask, false, "the most that it can be");
    check_one("ip[8] >= 79", bytes, mask, true, "the most that it can be");
    check_one("ip[8] < 64", bytes, mask, false, "the least that it can be");
    check_one("ip[8] <= 64", bytes, mask, true, "the least that it can be");
    check_one("ip[8] = 0x4a", bytes, mask, true, "no known bit differs");
    check_one("ip[8] = 0x5a", bytes, mask, false, "a known bit differs");
    check_one("ip[8] & 0x80 != 0", bytes, mask, false, "a bit that is 0");
    check_one("ip[8] & 0x40 = 0", bytes, mask, false, "a bit that is 1");
    check_one("ip[8] & 0x01 != 0", bytes, mask, true, "a bit that is not known");
    check_one("(ip[8] | 0x0f) != 0x4f", bytes, mask, false, "or with all unknown bits");
    check_one("(ip[8] >> 4) != 4", bytes, mask, false, "unknown bits shifted out");
    check_one("(ip[8] << 4) & 0xf00 != 0x400", bytes, mask, false, "shifted left");
    check_one("(ip[8] + 16) & 0xf0 != 0x50", bytes, mask, false, "no carry comes from the low bits");
    check_one("(ip[8] + 17) & 0xf0 != 0x50", bytes, mask, true, "a carry may come");
    check_one("(ip[8] - 64) > 15", bytes, mask, false, "a difference");
    check_one("(ip[8] ^ 0x40) > 15", bytes, mask, false, "exclusive or");
    check_one("tcp[0] = 1 and udp", bytes, mask, false, "protocols that exclude each other");
    check_one("ip[9] = 6", bytes, mask, true, "known");
    check_one("len > 1000000 and ip[9] = 17", bytes, mask, false, "the length may be anything, the rest is certain");
}

static void test_odds(void)
{
    struct bpf *bpf;
    uint8_t bytes[4] = {0}, mask[4] = {0};
    struct bpf_known known = {.linktype = 1, .bytes = bytes, .mask = mask, .n = 0};
    log_set_level(TD_LOG_ERROR);
    is_int(bpf_compile("port 53", &bpf, NULL), TD_OK, "compiles");
    ok(bpf_possible(bpf, &known), "of nothing that is known anything is possible");
    known.linktype = 250;
    ok(!bpf_possible(bpf, &known), "a link type for which the filter makes no sense");
    known.linktype = 101;
    mem_fail_at(1);
    ok(bpf_possible(bpf, &known), "without memory: possible");
    mem_fail_at(0);
    bpf_free(bpf);
}

int main(void)
{
    static const char *const files[] = {
        "plugins/dissectors/http/captures/nginx_curl.pcap", "plugins/dissectors/http/captures/keep-alive.pcap",
        "plugins/dissectors/dns/captures/dnsmasq_dig.pcap", "plugins/dissectors/dns/captures/multicast.pcap",
        "plugins/dissectors/dns/captures/exchanges.pcap",
    };
    struct samples all = {.s = calloc(MAX_PACKETS, sizeof(struct sample))};
    build_kinds(&all);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        add_file(&all, files[i]);
    log_set_level(TD_LOG_ERROR);
    test_never_wrong(&all);
    test_exact(&all);
    test_single_bits();
    test_odds();
    free(all.s);
    return tap_done();
}
