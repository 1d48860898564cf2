/* What the filter without own traffic lets through, asked packet by packet. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "capture/own_traffic.h"
#include "packet/bpf.h"
#include "tap.h"

enum { OWN = 48999, OTHER_OWN = 8898, CLIENT = 51000 };
static const uint16_t own_ports[] = {OWN, OTHER_OWN};

struct end {
    const char *ip;
    uint16_t port;
};

static void put_port(uint8_t *p, uint16_t port)
{
    p[0] = (uint8_t)(port >> 8);
    p[1] = (uint8_t)port;
}

/* An Ethernet frame with one TCP or UDP header, with an 802.1Q tag in front if `vlan`. */
static size_t frame_of(uint8_t *out, struct end from, struct end to, uint8_t protocol, bool vlan)
{
    bool six = strchr(from.ip, ':') != NULL;
    size_t at = 12;
    memset(out, 0, 128);
    if (vlan) {
        memcpy(out + at, "\x81\x00\x00\x07", 4);
        at += 4;
    }
    memcpy(out + at, six ? "\x86\xdd" : "\x08\x00", 2);
    uint8_t *ip = out + at + 2;
    ip[0] = six ? 0x60 : 0x45;
    ip[six ? 6 : 9] = protocol;
    inet_pton(six ? AF_INET6 : AF_INET, from.ip, ip + (six ? 8 : 12));
    inet_pton(six ? AF_INET6 : AF_INET, to.ip, ip + (six ? 24 : 16));
    uint8_t *transport = ip + (six ? 40 : 20);
    put_port(transport, from.port);
    put_port(transport + 2, to.port);
    return at + 2 + (six ? 40 : 20) + 20;
}

static bool passes(struct bpf *bpf, struct end from, struct end to, uint8_t protocol, bool vlan)
{
    uint8_t frame[128];
    uint32_t n = (uint32_t)frame_of(frame, from, to, protocol, vlan);
    return bpf_match(bpf, &(struct packet){.p = frame, .caplen = n, .len = n, .linktype = 1});
}

static bool tcp_passes(struct bpf *bpf, const char *from, uint16_t from_port, const char *to, uint16_t to_port)
{
    return passes(bpf, (struct end){from, from_port}, (struct end){to, to_port}, IPPROTO_TCP, false);
}

static struct bpf *compiled(const char *user_filter, size_t ports)
{
    struct buf text;
    struct error err = {0};
    struct bpf *bpf = NULL;
    buf_init(&text, 0);
    int status = own_traffic_filter(user_filter, own_ports, ports, &text, &err);
    ok(status == TD_OK && bpf_compile(buf_cstr(&text), &bpf, &err) == TD_OK, "\"%s\" with %zu ports: a filter", user_filter, ports);
    if (!bpf)
        tap_diag("%s: %s", buf_cstr(&text), err.text);
    buf_clear(&text);
    return bpf;
}

static void check_address(struct bpf *bpf, const char *own, const char *foreign, const char *another)
{
    ok(!tcp_passes(bpf, foreign, CLIENT, own, OWN), "%s: to the own port", own);
    ok(!tcp_passes(bpf, own, OWN, foreign, CLIENT), "%s: from the own port", own);
    ok(!tcp_passes(bpf, foreign, CLIENT, own, OTHER_OWN), "%s: to the second own port", own);
    ok(tcp_passes(bpf, foreign, CLIENT, own, 80), "%s: another port is captured", own);
    ok(tcp_passes(bpf, own, CLIENT, foreign, OWN), "%s: as a client of another machine's port it is captured", own);
    ok(tcp_passes(bpf, foreign, OWN, own, CLIENT), "%s: and so is the answer", own);
    ok(tcp_passes(bpf, foreign, CLIENT, another, OWN), "another machine's port is captured");
    ok(passes(bpf, (struct end){foreign, CLIENT}, (struct end){own, OWN}, IPPROTO_UDP, false), "%s: UDP is captured", own);
}

/* An address of this machine that is not the loopback's, of IPv4 or IPv6. */
static bool own_address(int family, char out[INET6_ADDRSTRLEN])
{
    struct ifaddrs *list = NULL;
    bool found = false;
    if (getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != family)
            continue;
        const void *ip = family == AF_INET ? (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr
                                           : (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
        inet_ntop(family, ip, out, INET6_ADDRSTRLEN);
        found = strncmp(out, "127.", 4) != 0;
    }
    freeifaddrs(list);
    return found;
}

static void test_addresses(void)
{
    char own[INET6_ADDRSTRLEN];
    struct bpf *bpf = compiled("", 2);
    check_address(bpf, "127.0.0.1", "203.0.113.77", "203.0.113.99");
    check_address(bpf, "127.3.2.1", "203.0.113.77", "203.0.113.99");
    if (own_address(AF_INET, own))
        check_address(bpf, own, "203.0.113.77", "203.0.113.99");
    else
        tap_skip("this machine has no IPv4 address but the loopback's");
    if (own_address(AF_INET6, own))
        check_address(bpf, own, "2001:db8::1", "2001:db8::9");
    else
        tap_skip("this machine has no IPv6 address");
    bpf_free(bpf);
}

static void test_user_filter(void)
{
    struct bpf *bpf = compiled("port 80 or port 443", 2);
    ok(tcp_passes(bpf, "203.0.113.77", CLIENT, "203.0.113.78", 443), "what the user wants is captured");
    ok(!tcp_passes(bpf, "203.0.113.77", CLIENT, "203.0.113.78", 444), "what the user does not want is not");
    ok(!tcp_passes(bpf, "203.0.113.77", 443, "127.0.0.1", OWN), "own traffic is not, even if the user's filter matches by its `or`");
    bpf_free(bpf);
    bpf = compiled("vlan 7", 2);
    ok(passes(bpf, (struct end){"203.0.113.77", CLIENT}, (struct end){"203.0.113.78", 80}, IPPROTO_TCP, true), "a filter with vlan works");
    ok(!tcp_passes(bpf, "203.0.113.77", CLIENT, "127.0.0.1", OWN), "and leaves own traffic out");
    ok(!tcp_passes(bpf, "203.0.113.77", CLIENT, "203.0.113.78", 80), "and all without a tag");
    bpf_free(bpf);
    bpf = compiled(" \t ", 1);
    ok(tcp_passes(bpf, "203.0.113.77", CLIENT, "127.0.0.1", OTHER_OWN), "only the ports that are named");
    bpf_free(bpf);
}

static void test_texts(void)
{
    struct buf text;
    struct error err = {0};
    buf_init(&text, 0);
    is_int(own_traffic_filter("tcp or udp", NULL, 0, &text, &err), TD_OK, "no ports");
    is_str(buf_cstr(&text), "tcp or udp", "the user's filter as it stands");
    buf_reset(&text);
    is_int(own_traffic_filter("", NULL, 0, &text, &err), TD_OK, "neither ports nor filter");
    is_str(buf_cstr(&text), "", "all");
    is_int(own_traffic_expression(NULL, 0, &text, &err), TD_OK, "no ports: no expression");
    is_int(text.n, 0, "nothing is appended");
    static const char *const faulty[] = {"tcp) or (udp", "prot 80", "tcp and", "(tcp"};
    for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++) {
        buf_reset(&text);
        is_int(own_traffic_filter(faulty[i], own_ports, 2, &text, &err), TD_E_CONFIG, "\"%s\" is no filter", faulty[i]);
        like(err.text, faulty[i], "the error shows it");
    }
    buf_clear(&text);
    text.max = 40;
    is_int(own_traffic_filter("", own_ports, 2, &text, &err), TD_E_NOMEM, "no room for the text");
    buf_clear(&text);
}

int main(void)
{
    test_texts();
    test_addresses();
    test_user_filter();
    return tap_done();
}
