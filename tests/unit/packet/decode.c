#include "packet/decode.h"

#include <stdlib.h>

#include "build.h"
#include "tap.h"

enum { ETHERNET = 1, RAW = 101, IPV4 = 0x0800, IPV6 = 0x86dd, TCP = 6, UDP = 17, MEMORY = 1 << 20 };

static struct build b;

static enum decode_skip decode(uint16_t linktype, const uint8_t *p, size_t caplen, size_t len, struct decoded *ret)
{
    struct decoder *d = decoder_new(MEMORY);
    struct packet packet = {.p = p, .caplen = (uint32_t)caplen, .len = (uint32_t)len, .frame = 1, .linktype = linktype};
    enum decode_skip skip = decode_packet(d, &packet, ret);
    decoder_free(d);
    return skip;
}

/* Cuts the packet at each length, as a snaplen does (`len` stays) or as if no more had been sent. Each cut lies in
 * memory of exactly its size, so that the sanitizers see a byte read too far. */
static void check_cuts(uint16_t linktype, const char *name)
{
    size_t bad = 0;
    for (size_t cut = 0; cut < b.n; cut++) {
        uint8_t *p = malloc(cut ? cut : 1);
        memcpy(p, build_bytes(&b), cut);
        for (int sent = 0; sent < 2; sent++) {
            struct decoded ret;
            if (decode(linktype, p, cut, sent ? b.n : cut, &ret) != DECODE_OK)
                continue;
            bool inside = ret.ip >= p && ret.l4 > ret.ip && ret.l4 + ret.l4_caplen <= p + cut;
            bad += !inside || ret.l4_caplen > ret.l4_len || ret.l4_caplen < (ret.transport == TCP ? 20 : 8);
        }
        free(p);
    }
    ok(bad == 0, "%s, cut at %zu lengths", name, b.n);
}

/* The packet must decode to the innermost transport header, port 4321 to 53, with `payload` behind it. */
static void check(uint16_t linktype, uint8_t ip_version, uint8_t transport, const char *payload, const char *name)
{
    struct decoded ret = {0};
    size_t header = transport == TCP ? 20 : 8;
    enum decode_skip skip = decode(linktype, build_bytes(&b), b.n, b.n, &ret);
    if (!is_int(skip, DECODE_OK, "%s is decoded", name))
        return;
    is_int(ret.ip_version * 1000 + ret.transport, ip_version * 1000 + transport, "%s: IP version and transport", name);
    ok(ret.l4[0] == 4321 >> 8 && ret.l4[1] == (4321 & 255) && ret.l4[2] == 0 && ret.l4[3] == 53, "%s: ports", name);
    is_mem(ret.l4 + header, ret.l4_caplen - header, payload, strlen(payload), "%s: payload", name);
    is_int(ret.l4_len, ret.l4_caplen, "%s: nothing is missing", name);
    ok(ret.datagram == NULL, "%s: no datagram", name);
    check_cuts(linktype, name);
}

static void check_skip(uint16_t linktype, enum decode_skip want, const char *name)
{
    struct decoded ret;
    is_str(decode_skip_name(decode(linktype, build_bytes(&b), b.n, b.n, &ret)), decode_skip_name(want), "%s", name);
    check_cuts(linktype, name);
}

static void start_udp(void)
{
    start(&b, "question");
    push_udp(&b, 4321, 53);
}

/* An IPv4 packet with UDP in it. */
static void start_ipv4(void)
{
    start_udp();
    push_ipv4(&b, UDP);
}

static void start_ipv6(void)
{
    start_udp();
    push_ipv6(&b, UDP);
}

static void start_ethernet(void)
{
    start_ipv4();
    push_ethernet(&b, IPV4);
}

/* Ten bytes behind the packet. */
static void push_padding(void)
{
    memmove(build_bytes(&b) - 10, build_bytes(&b), b.n);
    b.n += 10;
}

static void test_ip(void)
{
    start_ipv4();
    check(RAW, 4, UDP, "question", "IPv4 and UDP");
    start_ipv6();
    check(RAW, 6, UDP, "question", "IPv6 and UDP");
    start(&b, "GET /");
    push_tcp(&b, 4321, 53);
    push_ipv4(&b, TCP);
    check(RAW, 4, TCP, "GET /", "IPv4 and TCP");

    start_udp();
    PUSH(&b, 0x46, 0, U16(20 + 24), 0, 7, 0, 0, 64, UDP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 1, 1, 1, 0);
    size_t n = b.n;
    build_bytes(&b)[3] = (uint8_t)n;
    check(RAW, 4, UDP, "question", "IPv4 options");

    start_ipv4();
    build_bytes(&b)[2] = build_bytes(&b)[3] = 0;
    check(RAW, 4, UDP, "question", "IPv4 total length 0");
    start_ipv6();
    build_bytes(&b)[4] = build_bytes(&b)[5] = 0;
    check(RAW, 6, UDP, "question", "IPv6 payload length 0");

    start_ipv4();
    PUSH(&b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, U16(IPV4));
    push_padding();
    check(ETHERNET, 4, UDP, "question", "Ethernet padding");

    start_ipv4();
    build_bytes(&b)[3] = 19;
    check_skip(RAW, DECODE_MALFORMED, "a total length below the header's");
    start_ipv4();
    build_bytes(&b)[0] = 0x44;
    check_skip(RAW, DECODE_MALFORMED, "an IPv4 header of 16 bytes");
    start_ipv4();
    build_bytes(&b)[0] = 0x55;
    check_skip(RAW, DECODE_MALFORMED, "IP version 5");
    start(&b, "ping");
    push_ipv4(&b, 1);
    check_skip(RAW, DECODE_TRANSPORT, "ICMP");
    start(&b, "secret");
    push_ipv4(&b, 50);
    check_skip(RAW, DECODE_ENCRYPTED, "ESP");
    start(&b, "");
    push_ipv6(&b, 59);
    check_skip(RAW, DECODE_TRANSPORT, "no next header");
    start(&b, "1234567");
    push_ipv4(&b, UDP);
    check_skip(RAW, DECODE_MALFORMED, "seven bytes of UDP");
    start(&b, "");
    push_tcp(&b, 4321, 53);
    build_bytes(&b)[12] = 0x40;
    push_ipv4(&b, TCP);
    check_skip(RAW, DECODE_MALFORMED, "a TCP header of 16 bytes");
    build_bytes(&b)[32] = 0x60;
    check_skip(RAW, DECODE_MALFORMED, "a TCP header beyond the packet");
}

/* An outer length that is larger than what was captured, or sent, shows as missing bytes. */
static void test_snaplen(void)
{
    struct decoded ret = {0};
    start_ethernet();
    is_int(decode(ETHERNET, build_bytes(&b), b.n - 3, b.n, &ret), DECODE_OK, "cut in the payload");
    is_int(ret.l4_caplen, 8 + 5, "captured bytes");
    is_int(ret.l4_len, 8 + 8, "bytes on the wire");
    is_int(decode(ETHERNET, build_bytes(&b), b.n - 3, b.n - 3, &ret), DECODE_OK, "cut without a trace in the capture's lengths");
    is_int(ret.l4_len, 8 + 8, "the IP header knows");
    is_int(decode(ETHERNET, build_bytes(&b), 14 + 20 + 7, b.n, &ret), DECODE_TRUNCATED, "cut in the UDP header");
    is_int(decode(ETHERNET, build_bytes(&b), 14 + 20 + 7, 14 + 20 + 7, &ret), DECODE_TRUNCATED, "the same, by the IP header's length");
    is_int(decode(ETHERNET, build_bytes(&b), 13, 13, &ret), DECODE_MALFORMED, "a frame of 13 bytes");

    start_ethernet();
    PUSH(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    push_udp(&b, 50000, 4789);
    push_ipv4(&b, UDP);
    is_int(decode(RAW, build_bytes(&b), b.n - 3, b.n, &ret), DECODE_OK, "VXLAN cut in the inner payload");
    is_int(ret.l4_caplen * 100 + ret.l4_len, 1316, "the inner packet's lengths");
}

static void test_extensions(void)
{
    start_udp();
    PUSH(&b, UDP, 0, 1, 4, 0, 0, 0, 0);                                 /* destination options */
    PUSH(&b, 60, 4, 0, 0, U32(1), U32(2), U32(3), U32(4), U32(5));      /* authentication */
    PUSH(&b, 51, 0, 0, 6, 0, 0, 0, 9);                                  /* atomic fragment, reserved bits set */
    PUSH(&b, 44, 0, 1, 4, 0, 0, 0, 0);                                  /* mobility */
    PUSH(&b, 135, 2, 0, 1, 0, 0, 0, 0, U32(1), U32(2), U32(3), U32(4)); /* routing */
    PUSH(&b, 43, 0, 1, 4, 0, 0, 0, 0);                                  /* hop by hop */
    push_ipv6(&b, 0);
    check(RAW, 6, UDP, "question", "IPv6 with six extension headers");

    static const uint8_t types[] = {43, 60, 135, 139, 140};
    for (size_t i = 0; i < sizeof(types); i++) {
        start_udp();
        PUSH(&b, UDP, 1, 0, 0, U32(0), U32(0), U32(0));
        push_ipv6(&b, types[i]);
        check(RAW, 6, UDP, "question", "an extension header of 16 bytes");
    }

    start_udp();
    PUSH(&b, UDP, 0, 0xc2, 4, U32(16 + 8));
    push_ipv6(&b, 0);
    build_bytes(&b)[4] = build_bytes(&b)[5] = 0;
    memmove(build_bytes(&b) - 4, build_bytes(&b), b.n); /* only the option tells where the packet ends */
    b.n += 4;
    check(RAW, 6, UDP, "question", "a jumbogram");

    start_udp();
    PUSH(&b, UDP, 4, 0, 0, U32(1), U32(2), U32(3), U32(4), U32(5));
    push_ipv4(&b, 51);
    check(RAW, 4, UDP, "question", "IPv4 with authentication");
    start_udp();
    PUSH(&b, UDP, 0, 0, 0, U32(1), U32(2));
    push_ipv4(&b, 51);
    check_skip(RAW, DECODE_MALFORMED, "an authentication header of 8 bytes");

    start_udp();
    for (int i = 0; i < 40; i++)
        PUSH(&b, i ? 60 : UDP, 0, 1, 4, 0, 0, 0, 0);
    push_ipv6(&b, 60);
    check_skip(RAW, DECODE_NESTING, "40 extension headers");
}

static void test_tags(void)
{
    start_ethernet();
    check(ETHERNET, 4, UDP, "question", "Ethernet");
    static const uint16_t tags[] = {0x8100, 0x88a8, 0x9100, 0x9200};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        start_ipv6();
        PUSH(&b, 0, 5, U16(IPV6));
        push_ethernet(&b, tags[i]);
        check(ETHERNET, 6, UDP, "question", "a VLAN");
        start_ipv4();
        PUSH(&b, 0, 5, U16(0x8100), 0, 6, U16(IPV4));
        push_ethernet(&b, tags[i]);
        memmove(build_bytes(&b) + 14, (const uint8_t[]){0, 5, U16(0x8100), 0, 6, U16(IPV4)}, 8);
        check(ETHERNET, 4, UDP, "question", "two VLANs");
    }
    start_ipv4();
    PUSH(&b, 0xc0, 0, 0, 1, U16(IPV4));
    push_ethernet(&b, 0x8926);
    check(ETHERNET, 4, UDP, "question", "VN-Tag");
    start_ipv4();
    PUSH(&b, 1, 1, 0, 1, 0, 9, U16(IPV4));
    push_ethernet(&b, 0x8909);
    check(ETHERNET, 4, UDP, "question", "Cisco metadata");
    start_ethernet();
    PUSH(&b, 0, 0, 0, 1);
    push_ethernet(&b, 0x88e7);
    check(ETHERNET, 4, UDP, "question", "Ethernet in a backbone");
    start_ethernet();
    PUSH(&b, 0x40, 0x20);
    push_ethernet(&b, 0x8903);
    check(ETHERNET, 4, UDP, "question", "Ethernet over FabricPath");

    start_ipv4();
    PUSH(&b, 0xaa, 0xaa, 3, 0, 0, 0, U16(IPV4));
    size_t length = b.n;
    push_ethernet(&b, (uint16_t)length);
    check(ETHERNET, 4, UDP, "question", "LLC and SNAP");
    start_ipv4();
    PUSH(&b, 6, 6, 3);
    length = b.n;
    push_ethernet(&b, (uint16_t)length);
    check(ETHERNET, 4, UDP, "question", "LLC with IP");
    start_ethernet();
    PUSH(&b, 0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7);
    check(100, 4, UDP, "question", "a bridged frame over ATM");

    start_ipv4();
    build_bytes(&b)[2] = build_bytes(&b)[3] = 0; /* only the frame's length tells where the packet ends */
    PUSH(&b, 6, 6, 3);
    length = b.n;
    push_ethernet(&b, (uint16_t)length);
    push_padding();
    check(ETHERNET, 4, UDP, "question", "LLC with padding");

    start(&b, "\x42\x42\x03 spanning tree");
    push_ethernet(&b, 17);
    check_skip(ETHERNET, DECODE_NOT_IP, "spanning tree");
    start(&b, "who has ...");
    push_ethernet(&b, 0x0806);
    check_skip(ETHERNET, DECODE_NOT_IP, "ARP");
    start(&b, "secret");
    push_ethernet(&b, 0x88e5);
    check_skip(ETHERNET, DECODE_ENCRYPTED, "MACsec");

    start_ipv4();
    for (int i = 0; i < 40; i++)
        PUSH(&b, 0, 5, U16(i ? 0x8100 : IPV4));
    push_ethernet(&b, 0x8100);
    check_skip(ETHERNET, DECODE_NESTING, "40 VLANs");
}

static void push_labels(void)
{
    PUSH(&b, 0, 1, 0x10, 64, 0, 1, 0x21, 64);
    push_ethernet(&b, 0x8847);
}

static void test_mpls(void)
{
    start_ipv4();
    push_labels();
    check(ETHERNET, 4, UDP, "question", "MPLS with IPv4");
    start_ipv4();
    build_bytes(&b)[12] = 0x81; /* an address like an EtherType */
    build_bytes(&b)[13] = 0x00;
    push_labels();
    check(ETHERNET, 4, UDP, "question", "MPLS with IPv4 from 129.0.2.1");
    start_ipv6();
    push_labels();
    check(ETHERNET, 6, UDP, "question", "MPLS with IPv6");
    start_ethernet();
    push_labels();
    check(ETHERNET, 4, UDP, "question", "MPLS with Ethernet");
    start_ethernet();
    PUSH(&b, 0, 0, 0, 9);
    push_labels();
    check(ETHERNET, 4, UDP, "question", "MPLS with control word and Ethernet");
    start_ethernet();
    build_bytes(&b)[0] = 0x46; /* an address that looks like an IPv4 header's first byte */
    push_labels();
    check(ETHERNET, 4, UDP, "question", "MPLS with Ethernet to 46:...");
    start(&b, "\x10\x00\x00\x07 associated channel");
    push_labels();
    check_skip(ETHERNET, DECODE_NOT_IP, "MPLS with something else");
    start_ipv4();
    for (int i = 0; i < 40; i++)
        PUSH(&b, 0, 1, 0, 64);
    check_skip(219, DECODE_NESTING, "40 labels");
}

static void test_ppp(void)
{
    start_ipv4();
    PUSH(&b, 0, 0x21);
    size_t length = b.n;
    PUSH(&b, 0x11, 0, 0, 1, U16(length));
    push_ethernet(&b, 0x8864);
    check(ETHERNET, 4, UDP, "question", "PPPoE");
    start_ipv6();
    build_bytes(&b)[4] = build_bytes(&b)[5] = 0;
    PUSH(&b, 0x57);
    length = b.n;
    PUSH(&b, 0x11, 0, 0, 1, U16(length));
    push_padding();
    check(51, 6, UDP, "question", "PPPoE with a short protocol number and padding");
    start_ipv4();
    PUSH(&b, 0xff, 3, 0, 0x21);
    check(9, 4, UDP, "question", "PPP");
    check(50, 4, UDP, "question", "PPP over HDLC");
    PUSH(&b, 1);
    check(204, 4, UDP, "question", "PPP with direction");
    start_ipv4();
    PUSH(&b, 0, 1, 1, 64, 0x0f, 0, U16(0x8847));
    memmove(build_bytes(&b), (const uint8_t[]){0x0f, 0, U16(0x8847), 0, 1, 1, 64}, 8);
    check(104, 4, UDP, "question", "Cisco HDLC with a label");
    start_ipv4();
    PUSH(&b, 0, 1, 1, 64);
    PUSH(&b, 0x02, 0x81);
    check(9, 4, UDP, "question", "PPP with a label");
    start(&b, "configure");
    PUSH(&b, 0xff, 3, 0xc0, 0x21);
    check_skip(9, DECODE_NOT_IP, "link control protocol");

    start_ipv4();
    PUSH(&b, 0x18, 0x41, 3, 0xcc);
    check(107, 4, UDP, "question", "frame relay");
    start_ipv4();
    PUSH(&b, 0x18, 0x40, 0x41, 3, 0, 0x80, 0, 0, 0, U16(IPV4));
    check(107, 4, UDP, "question", "frame relay with padding and SNAP");
    start_ipv4();
    PUSH(&b, 0x18, 0x41, U16(IPV4));
    check(107, 4, UDP, "question", "frame relay, Cisco's");
}

static void test_linktypes(void)
{
    static const uint16_t raw[] = {12, 14, 101, 228};
    for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
        start_ipv4();
        check(raw[i], 4, UDP, "question", "raw IP");
    }
    start_ipv6();
    check(229, 6, UDP, "question", "raw IPv6");

    static const uint8_t families[] = {10, 23, 24, 28, 30};
    for (size_t i = 0; i < sizeof(families); i++) {
        start_ipv6();
        PUSH(&b, families[i], 0, 0, 0);
        check(0, 6, UDP, "question", "null, little-endian");
        start_ipv6();
        PUSH(&b, 0, 0, 0, families[i]);
        check(108, 6, UDP, "question", "loop");
    }
    start_ipv4();
    PUSH(&b, 2, 0, 0, 0);
    check(0, 4, UDP, "question", "null with IPv4");
    start_ipv4();
    PUSH(&b, 0x0f, 0, U16(IPV4));
    check(0, 4, UDP, "question", "null with a serial line's header");
    start_ipv6();
    PUSH(&b, 0, 0, U16(IPV6));
    check(0, 6, UDP, "question", "null with an EtherType");
    start_ipv4();
    PUSH(&b, 99, 0, 0, 0);
    check_skip(0, DECODE_NOT_IP, "null with another family");

    start_ipv4();
    PUSH(&b, 0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, U16(IPV4));
    check(113, 4, UDP, "question", "Linux cooked");
    start_ipv6();
    PUSH(&b, 0, 5, U16(IPV6));
    PUSH(&b, U16(0x8100), 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0);
    check(276, 6, UDP, "question", "Linux cooked 2 with a VLAN");

    start_ipv4();
    start_ipv4();
    PUSH(&b, 6, 6, 3);
    PUSH(&b, 0x50, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1);
    check(10, 4, UDP, "question", "FDDI");
    start_ipv4();
    PUSH(&b, 6, 6, 3);
    PUSH(&b, 4, 0, 0, 0);
    PUSH(&b, 0, 0x40, 2, 0, 0, 0, 0, 2, 0x82, 0, 0, 0, 0, 1);
    check(6, 4, UDP, "question", "token ring with a route");

    start_ipv4();
    for (int i = 0; i < 61; i++)
        PUSH(&b, 0);
    PUSH(&b, 61, 2, 0);
    check(117, 4, UDP, "question", "pflog");
    start_ipv4();
    PUSH(&b, 2, 0, 0, 0, U32(0), U32(0));
    check(109, 4, UDP, "question", "enc");
    start_ipv4();
    PUSH(&b, 1, 2, 0, 0, U32(36), U32(1), U32(1), U32(0), U32(0));
    check(226, 4, UDP, "question", "ipnet");
    start_ipv4();
    PUSH(&b, U16(IPV4), 0, 0);
    for (int i = 0; i < 40; i++)
        PUSH(&b, 0);
    check(242, 4, UDP, "question", "IP over InfiniBand");
    start_ethernet();
    PUSH(&b, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5);
    check(274, 4, UDP, "question", "Ethernet with its preamble");
    start_ipv4();
    PUSH(&b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x20, 0, 0, 1, U16(IPV4));
    check(281, 4, UDP, "question", "a switch's tag");
    check(284, 4, UDP, "question", "another switch's tag");
    start_ethernet();
    PUSH(&b, 0x20, 0, 0, 1);
    check(282, 4, UDP, "question", "a switch's tag in front");
    check_skip(147, DECODE_LINKTYPE, "a private link type");
}

/* Headers of programs that capture: a list of attributes, metadata. */
static void test_metadata(void)
{
    start_ipv4();
    size_t length = b.n + 4;
    PUSH(&b, L16(length), L16(9));
    PUSH(&b, L16(5), L16(10), 0, 0, 0, 0); /* prefix */
    PUSH(&b, 2, 0, 0, 0);
    check(239, 4, UDP, "question", "nflog");
    start_ipv6();
    length = b.n + 4;
    PUSH(&b, U16(length), U16(9));
    PUSH(&b, U16(5), U16(10), 0, 0, 0, 0);
    PUSH(&b, 10, 0, 0, 0);
    check(239, 6, UDP, "question", "nflog, big-endian");
    start(&b, "");
    PUSH(&b, L16(5), L16(10), 0, 0, 0, 0);
    PUSH(&b, 2, 0, 0, 0);
    check_skip(239, DECODE_NOT_IP, "nflog without a packet");

    start_ethernet();
    for (int i = 0; i < 96; i++)
        PUSH(&b, 0);
    PUSH(&b, L32(108), L32(1), L32(1));
    check(258, 4, UDP, "question", "pktap");
    check(149, 4, UDP, "question", "pktap under Apple's number");
    build_bytes(&b)[4] = 2;
    check_skip(149, DECODE_LINKTYPE, "a private link type that is not pktap");

    start_ethernet();
    PUSH(&b, 0, 0, L16(12), L32(1), L32(0));
    check(192, 4, UDP, "question", "PPI");
    start_ethernet();
    for (int i = 0; i < 40; i++)
        PUSH(&b, 0, 0, L16(8), L32(192));
    check_skip(192, DECODE_NESTING, "PPI in PPI, 40 times");
}

/* An 802.11 data frame's header with LLC. */
static void push_wlan(void)
{
    PUSH(&b, 0xaa, 0xaa, 3, 0, 0, 0, U16(IPV4));
    PUSH(&b, 8, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0x10, 0);
}

static void test_wlan(void)
{
    static const uint8_t addresses[18] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3};
    start_ipv4();
    push_wlan();
    check(105, 4, UDP, "question", "802.11");
    build_bytes(&b)[1] |= 0x40;
    check_skip(105, DECODE_ENCRYPTED, "802.11, protected");
    build_bytes(&b)[1] = 5;
    check_skip(105, DECODE_FRAGMENT, "802.11, a fragment");
    build_bytes(&b)[0] = 0x80;
    check_skip(105, DECODE_NOT_IP, "802.11, a beacon");

    start_ipv4();
    PUSH(&b, 0xaa, 0xaa, 3, 0, 0, 0, U16(IPV4));
    size_t length = b.n;
    PUSH(&b, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, U16(length));
    PUSH(&b, 0x10, 0, 2, 0, 0, 0, 0, 4, 0x80, 0);
    push(&b, addresses, 18);
    PUSH(&b, 0x88, 0x03, 0, 0);
    check(105, 4, UDP, "question", "802.11 with four addresses and an aggregate");

    start_ipv4();
    PUSH(&b, 0xaa, 0xaa, 3, 0, 0, 0, U16(IPV4));
    PUSH(&b, 0x10, 0, 0, 0, 0, 0); /* quality of service, padding */
    push(&b, addresses, 18);
    PUSH(&b, 0x88, 0x01, 0, 0);
    PUSH(&b, U32(0), U32(0), 0x20, 0, 0, 0); /* timer, flags */
    PUSH(&b, 0, 0, L16(28), 3, 0, 0, 0x80, 0, 0, 0, 0, U32(0));
    check(127, 4, UDP, "question", "radiotap with two words, timer and padding");
    start_ipv4();
    push_wlan();
    PUSH(&b, 0, 0, L16(8), 0, 0, 0, 0);
    check(127, 4, UDP, "question", "radiotap without fields");
}

static void push_gre(uint16_t flags, uint16_t type)
{
    static const uint8_t options[16] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0};
    if (flags & 0x4000)
        PUSH(&b, 0, 2, 0, 4, 192, 0, 2, 9, 0, 0, 0, 0);
    if (flags & 0x1000)
        push(&b, options + 8, 4);
    if (flags & 0x2000)
        push(&b, options + 4, 4);
    if (flags & 0xc000)
        push(&b, options, 4);
    PUSH(&b, U16(flags), U16(type));
    push_ipv4(&b, 47);
}

static void test_gre(void)
{
    for (unsigned flags = 0; flags < 16; flags++) {
        start_ipv4();
        push_gre((uint16_t)(flags << 12), IPV4);
        check(RAW, 4, UDP, "question", "GRE with each set of fields");
    }
    start_ethernet();
    push_gre(0x2000, 0x6558);
    check(RAW, 4, UDP, "question", "NVGRE");
    start_ipv6();
    PUSH(&b, 0, 1, 1, 64);
    push_gre(0, 0x8847);
    check(RAW, 6, UDP, "question", "GRE with a label");
    start_ipv4();
    push_gre(0, 0x883e);
    check(RAW, 4, UDP, "question", "WCCP");
    start_ipv4();
    PUSH(&b, 0x80, 1, 2, 3);
    push_gre(0, 0x883e);
    check(RAW, 4, UDP, "question", "WCCP version 2");
    start_ipv4();
    PUSH(&b, 0x21);
    size_t length = b.n;
    PUSH(&b, U16(length), 0, 1, U32(5), U32(6)); /* key, sequence, acknowledgment */
    PUSH(&b, 0x30, 0x81, U16(0x880b));
    push_ipv4(&b, 47);
    check(RAW, 4, UDP, "question", "PPTP");
    start_ipv4();
    push_wlan();
    push_gre(0, 0x8240);
    check(RAW, 4, UDP, "question", "802.11 in GRE");
    start(&b, "");
    push_gre(0, 0);
    check_skip(RAW, DECODE_NOT_IP, "a GRE keepalive");
    start_ipv4();
    push_gre(3, IPV4);
    check_skip(RAW, DECODE_MALFORMED, "GRE version 3");

    start_ethernet();
    push_gre(0, 0x88be);
    check(RAW, 4, UDP, "question", "ERSPAN I");
    start_ethernet();
    PUSH(&b, 0x10, 5, 0, 1, U32(3));
    push_gre(0x1000, 0x88be);
    check(RAW, 4, UDP, "question", "ERSPAN II");
    start_ethernet();
    PUSH(&b, 0x20, 5, 0, 1, U32(3), 0, 0, 0, 0);
    push_gre(0x1000, 0x22eb);
    check(RAW, 4, UDP, "question", "ERSPAN III");
    start_ipv6();
    PUSH(&b, 0x20, 5, 0, 1, U32(3), 0, 0, 2 << 2, 1, U32(0), U32(0));
    push_gre(0x1000, 0x22eb);
    check(RAW, 6, UDP, "question", "ERSPAN III with a subheader and IP");
}

static void test_ip_tunnels(void)
{
    start_ipv4();
    push_ipv4(&b, 4);
    check(RAW, 4, UDP, "question", "IPv4 in IPv4");
    start_ipv6();
    push_ipv4(&b, 41);
    check(RAW, 6, UDP, "question", "IPv6 in IPv4");
    start_ipv4();
    push_ipv6(&b, 4);
    check(RAW, 4, UDP, "question", "IPv4 in IPv6");
    start_ipv6();
    push_ipv6(&b, 41);
    check(RAW, 6, UDP, "question", "IPv6 in IPv6");
    start_ethernet();
    PUSH(&b, 0x30, 0);
    push_ipv4(&b, 97);
    check(RAW, 4, UDP, "question", "Ethernet in IP");
    start_ipv4();
    PUSH(&b, 0, 1, 1, 64);
    push_ipv6(&b, 137);
    check(RAW, 4, UDP, "question", "MPLS in IP");
    start_ipv4();
    for (int i = 0; i < 40; i++)
        push_ipv4(&b, 4);
    check_skip(RAW, DECODE_NESTING, "40 tunnels");
    start_ethernet();
    PUSH(&b, 0x0f, 0xc6, 1, 3, 0, 0, 1, 255, U32(1), U32(2), U32(3), U32(4));
    push_ethernet(&b, 0x894f);
    check(ETHERNET, 4, UDP, "question", "NSH");
}

/* Finishes a UDP tunnel and checks it. */
static void check_udp_tunnel(uint16_t port, uint8_t ip_version, const char *name)
{
    push_udp(&b, 50000, port);
    push_ipv4(&b, UDP);
    check(RAW, ip_version, UDP, "question", name);
}

static void test_udp_tunnels(void)
{
    start_ethernet();
    PUSH(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    check_udp_tunnel(4789, 4, "VXLAN");
    start_ethernet();
    PUSH(&b, 0x88, 0x40, 0, 9, 0, 0, 1, 0);
    check_udp_tunnel(8472, 4, "VXLAN with a policy, on Linux's port");
    start_ipv6();
    PUSH(&b, 0x0c, 0, 0, 2, 0, 0, 1, 0);
    check_udp_tunnel(4790, 6, "VXLAN-GPE with IPv6");
    start_ipv4();
    PUSH(&b, 0x08, 0, 0, 1, 0, 0, 1, 0);
    check_udp_tunnel(4790, 4, "VXLAN-GPE without its flag");
    start_ethernet();
    PUSH(&b, 0, 2, 1, 3, 0, 0, 1, 255);
    PUSH(&b, 0x0c, 0, 0, 4, 0, 0, 1, 0);
    check_udp_tunnel(4790, 4, "VXLAN-GPE with NSH");
    start_ethernet();
    PUSH(&b, 2, 0, U16(0x6558), 0, 0, 1, 0, 1, 2, 3, 1, U32(7));
    check_udp_tunnel(6081, 4, "GENEVE with an option");
    start_ipv4();
    PUSH(&b, 0, 0, U16(IPV4), 0, 0, 1, 0);
    check_udp_tunnel(6081, 4, "GENEVE with IPv4");
    start_ipv4();
    size_t length = b.n;
    PUSH(&b, 0x30, 255, U16(length), U32(1));
    check_udp_tunnel(2152, 4, "GTP-U");
    start_ipv4();
    PUSH(&b, 1, 0x10, 2, 0x85, 2, 1, 2, 3, 4, 5, 6, 0);
    PUSH(&b, 0, 9, 0, 0xc0);
    length = b.n;
    PUSH(&b, 0x34, 255, U16(length), U32(1));
    check_udp_tunnel(2152, 4, "GTP-U with two extensions");
    start_ipv6();
    check_udp_tunnel(3544, 6, "Teredo");
    start_ipv6();
    PUSH(&b, 0, 0, 1, 2, 3, 4, 5, 6);
    PUSH(&b, 0, 1, 1, 1, 'i', 'a', U32(1), U32(2), 0);
    check_udp_tunnel(3544, 6, "Teredo with authentication and origin");
    start_ipv4();
    PUSH(&b, 0x21);
    PUSH(&b, 0x02, 0x02, 0, 1, 0, 2, 0, 1, 0xee);
    check_udp_tunnel(1701, 4, "L2TP with an offset");
    start_ipv4();
    PUSH(&b, 0xff, 3, 0, 0x21);
    length = b.n + 12;
    PUSH(&b, 0x48, 0x02, U16(length), 0, 1, 0, 2, 0, 3, 0, 4);
    check_udp_tunnel(1701, 4, "L2TP with length and sequence");
    start_ipv4();
    PUSH(&b, 0, 1, 1, 64);
    check_udp_tunnel(6635, 4, "MPLS in UDP");
    start_ipv4();
    PUSH(&b, 0x80, 0, 0, 0, U32(1));
    check_udp_tunnel(4341, 4, "LISP");
    start_ipv4();
    PUSH(&b, 0, 0, U16(IPV4));
    check_udp_tunnel(4754, 4, "GRE in UDP");
    start_ethernet();
    PUSH(&b, 0, 0x10, 0, 0, 0, 0, 0, 0);
    check_udp_tunnel(5247, 4, "CAPWAP with Ethernet");
    start_ipv4();
    push_wlan();
    PUSH(&b, 0, 0x18, 3, 0x20, 0, 0, 0, 0, 4, 1, 2, 3);
    check_udp_tunnel(5247, 4, "CAPWAP with 802.11");
    start_ipv4();
    push_wlan();
    build_bytes(&b)[0] = 1;
    build_bytes(&b)[1] = 8;
    build_bytes(&b)[22] = 6; /* of the sequence number */
    PUSH(&b, 0, 0x10, 3, 0x20, 0, 0, 0, 0);
    check_udp_tunnel(5247, 4, "CAPWAP with 802.11 of Cisco's order");
}

/* What is no tunnel although it uses a tunnel's port: the UDP packet itself is the innermost. */
static void test_not_tunnels(void)
{
    static const char answer[] = "\x0a\x34\x81\x80\0\1\0\1\0\0\0\0\7example\3org\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    static const uint16_t ports[] = {1701, 2152, 3544, 4341, 4754, 4789, 4790, 5247, 6081, 6635, 8472};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct decoded ret = {0};
        start(&b, "");
        push(&b, answer, sizeof(answer) - 1);
        push_udp(&b, 53, ports[i]);
        push_ipv4(&b, UDP);
        is_int(decode(RAW, build_bytes(&b), b.n, b.n, &ret), DECODE_OK, "DNS to port %d", ports[i]);
        is_int(ret.l4_len, 8 + sizeof(answer) - 1, "DNS to port %d stays what it is", ports[i]);
    }
    struct decoded ret = {0};
    start_ethernet();
    build_bytes(&b)[14 + 2] = 0x40; /* the inner packet claims to be longer than the outer */
    PUSH(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    push_udp(&b, 50000, 4789);
    push_ipv4(&b, UDP);
    is_int(decode(RAW, build_bytes(&b), b.n, b.n, &ret), DECODE_OK, "VXLAN with a packet that does not fit");
    is_int(ret.l4[2] << 8 | ret.l4[3], 4789, "stays what it is");
}

static void test_stats(void)
{
    struct decoder *d = decoder_new(MEMORY);
    struct decoded ret;
    start_ethernet();
    PUSH(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    push_udp(&b, 50000, 4789);
    push_ipv4(&b, UDP);
    push_gre(0, IPV4);
    struct packet packet = {.p = build_bytes(&b), .caplen = (uint32_t)b.n, .len = (uint32_t)b.n, .frame = 1, .linktype = RAW};
    is_int(decode_packet(d, &packet, &ret), DECODE_OK, "VXLAN in GRE");
    is_int(decoder_stats(d)->tunnels, 2, "two tunnels");
    packet.linktype = 147;
    is_int(decode_packet(d, &packet, &ret), DECODE_LINKTYPE, "a private link type");
    is_int(decoder_stats(d)->skipped[DECODE_LINKTYPE], 1, "is counted");
    decoder_free(d);
    decoder_free(NULL);
}

int main(void)
{
    test_ip();
    test_snaplen();
    test_extensions();
    test_tags();
    test_mpls();
    test_ppp();
    test_linktypes();
    test_metadata();
    test_wlan();
    test_gre();
    test_ip_tunnels();
    test_udp_tunnels();
    test_not_tunnels();
    test_stats();
    return tap_done();
}
