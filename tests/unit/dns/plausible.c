/* What the probe takes for DNS, and what it does not. */
#include "../../../plugins/dissectors/dns/dns_plausible.h"
#include "message.h"
#include "tap.h"

#include "tapedeck/plugin.h"

extern const struct td_plugin td_plugin_v1_dns;

static int udp(const struct built *b, bool response)
{
    return dns_plausible(built_slice(b), b->n, response, DNS_UNICAST);
}

static void test_messages(void)
{
    struct built b = query(1, "a.test");
    is_int(udp(&b, false), DNS_CERTAIN, "a query");
    is_int(udp(&b, true), DNS_NO, "a query is no response");
    b.p[b.n++] = 0;
    is_int(udp(&b, false), DNS_PLAUSIBLE, "a query with something behind it");
    b = answer(1, "a.test");
    is_int(udp(&b, true), DNS_CERTAIN, "a response");
    is_int(udp(&b, false), DNS_NO, "a response is no query");
    b.n -= 3;
    is_int(udp(&b, true), DNS_PLAUSIBLE, "a response that is cut");
    is_int(dns_plausible(built_slice(&b), b.n + 3, true, DNS_UNICAST), DNS_STRONG, "the beginning of a response");
    b = header(1, 0x8182, 0, 0, 0, 0);
    is_int(udp(&b, true), DNS_WEAK, "a bare error");
    b = header(1, 0x0100, 0, 0, 0, 0);
    is_int(udp(&b, false), DNS_NO, "a query for nothing");
    b = header(1, 0x0100, 1, 0, 0, 0);
    put_question(&b, "a", 60000, 1);
    is_int(udp(&b, false), DNS_STRONG, "a type without a name");
    b = header(1, 0x0100, 1, 0, 0, 0);
    put_question(&b, "a", 1, 77);
    is_int(udp(&b, false), DNS_WEAK, "a strange class");
    b = header(1, 0x0100, 1, 0, 0, 9);
    put_question(&b, "a", 1, 77);
    is_int(udp(&b, false), DNS_WEAK, "a strange class, and records that are not there");
    b = header(1, 0x0100, 2, 0, 0, 9);
    put16(&b, 0xc00c);
    is_int(udp(&b, false), DNS_NO, "no question can be read, and there should be two");
    b = header(1, 0x0180, 1, 0, 0, 0);
    put_question(&b, "a", 1, 1);
    is_int(udp(&b, false), DNS_WEAK, "a query with a response's flag");
    b = header(1, 0x7900, 1, 0, 0, 0);
    put_question(&b, "a", 1, 1);
    is_int(udp(&b, false), DNS_NO, "an unknown opcode");
    b = header(1, 0x0100, 1, 0, 0, 0);
    put16(&b, 0xc00c);
    put32(&b, 0x10001);
    is_int(udp(&b, false), DNS_WEAK, "a name that is a loop");
    b = header(1, 0x2800, 1, 0, 1, 0);
    put_question(&b, "zone.test", 6, 1);
    put_record(&b, "a.zone.test", 255, 255, 0, NULL, 0);
    is_int(udp(&b, false), DNS_CERTAIN, "an update");
    b = header(0, 0x8400, 0, 1, 0, 0);
    put_record(&b, "a.local", 1, 0x8001, 60, "\x7f\0\0\1", 4);
    is_int(dns_plausible(built_slice(&b), b.n, true, DNS_MULTICAST), DNS_PLAUSIBLE, "an mDNS announcement");
    is_int(udp(&b, true), DNS_WEAK, "which is strange elsewhere");
}

/* Beginnings of what else travels in datagrams. */
static void test_others(void)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t n;
    } others[] = {
#define OTHER(what, literal) {what, literal, sizeof(literal) - 1}
        OTHER("NTP", "\x23\2\6\xec\0\0\1\0\0\0\2\0\xc6\x33\x64\7\xe9\1\2\3\4\5\6\7\xe9\1\2\3\4\5\6\7\xe9\1\2\3\4\5\6\7\xe9\1\2\3\4\5\6\7"),
        OTHER("STUN", "\0\1\0\10\x21\x12\xa4\x42\1\2\3\4\5\6\7\10\11\12\13\14\0\6\0\4abcd"),
        OTHER("RTP", "\x80\0\0\1\0\0\0\xa0\1\2\3\4\xff\xff\xff\xff\x7f\x7f\x7f\x7f\xff\xff\x7f\x7f\0\0\0\0\0\0"),
        OTHER("SNMP", "\x30\x26\2\1\1\4\6public\xa0\x19\2\4\1\2\3\4\2\1\0\2\1\0\x30\x0b\x30\x09\6\5\x2b\6\1\2\1\5\0"),
        OTHER("DHCP", "\1\1\6\0\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\4\5\0\0\0\0\0\0\0\0\0\0\0\0"),
        OTHER("TFTP", "\0\1boot.bin\0octet\0tsize\0"
                      "0\0"),
        OTHER("QUIC", "\xc3\0\0\0\1\10\1\2\3\4\5\6\7\10\0\0\x44\x9e\x7b\x2a\x19\x88\3\4\5\6\7\10\11\12\13\14"),
        OTHER("DTLS", "\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x7c\1\0\0\x70\0\0\0\0\0\0\0\x70\xfe\xfd\1\2\3\4"),
        OTHER("BitTorrent", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"),
        OTHER("SIP", "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n\r\n"),
        OTHER("RADIUS", "\1\7\0\x2c\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\1\6root\2\22abcdefghijklmnop"),
        OTHER("syslog", "<34>Oct 11 22:14:15 host su: failed for user on /dev/pts/8"),
        OTHER("zeroes", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        OTHER("ones", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        OTHER("a word", "ping"),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        for (int response = 0; response < 2; response++) {
            struct td_slice s = td_bytes(others[i].bytes, others[i].n);
            is_int(dns_plausible(s, s.n, response, DNS_UNICAST), DNS_NO, "%s is no %s", others[i].what, response ? "response" : "query");
        }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void test_random(void)
{
    enum { TRIES = 300000, SIZE = 64 };
    uint32_t state = 1;
    unsigned taken = 0;
    for (int i = 0; i < TRIES; i++) {
        uint8_t bytes[SIZE];
        for (int k = 0; k < SIZE; k++)
            bytes[k] = (uint8_t)next_random(&state);
        taken += dns_plausible(td_bytes(bytes, SIZE), SIZE, i & 1, DNS_UNICAST) > DNS_WEAK;
        taken += dns_plausible_tcp(td_bytes(bytes, SIZE), i & 1) > DNS_WEAK;
    }
    is_int(taken, 0, "of %d random datagrams none is claimed without a port", TRIES);
}

static void test_stream(void)
{
    struct built s = {{0}, 0};
    size_t need;
    put_framed(&s, query(1, "a.test"));
    size_t first = s.n;
    put_framed(&s, query(2, "b.test"));
    for (size_t n = 0; n < first; n++) {
        int score = dns_plausible_tcp(td_bytes(s.p, n), false);
        ok(score < 0 && (size_t)-score > n && (size_t)-score <= first, "%zu bytes are too few to judge", n);
    }
    is_int(dns_plausible_tcp(td_bytes(s.p, first), false), DNS_CERTAIN, "one message");
    is_int(dns_plausible_tcp(td_bytes(s.p, s.n), false), DNS_CERTAIN, "two messages");
    is_int(dns_plausible_tcp(TD_LIT("GET / HTTP/1.1\r\n\r\n"), false), DNS_NO, "HTTP");
    is_int(dns_plausible_tcp(TD_LIT("\x16\3\1\2\0\1\0\1\xfc\3\3\1\2\3\4\5\6\7\10"), false), DNS_NO, "TLS");
    for (size_t n = 1; n <= first; n++) {
        size_t at = dns_find_frame(td_bytes(s.p + n, s.n - n), false, &need);
        ok(need == 0 && at == first - n, "from byte %zu on the second message is found", n);
    }
    size_t at = dns_find_frame(td_bytes(s.p + 1, first - 1), false, &need);
    ok(need > 0 && at < first, "without it more is asked for");
}

static void test_ports(void)
{
    const struct td_dissector *ops = td_plugin_v1_dns.components[0]->ops;
    struct built b = query(1, "a.test");
    struct td_flow flow = {.size = sizeof(flow), .port = {40000, 53}, .ip_version = 4, .transport = 17};
    is_int(ops->probe(NULL, &flow, TD_CLIENT, built_slice(&b)), DNS_CERTAIN, "UDP");
    flow.port[1] = 137;
    is_int(ops->probe(NULL, &flow, TD_CLIENT, built_slice(&b)), DNS_NO, "NetBIOS names are not DNS");
    flow.port[1] = 53;
    flow.transport = 6;
    is_int(ops->probe(NULL, &flow, TD_CLIENT, built_slice(&b)), DNS_NO, "TCP needs a length");
}

int main(void)
{
    test_messages();
    test_others();
    test_random();
    test_stream();
    test_ports();
    return tap_done();
}
