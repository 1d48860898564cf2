/* What the index keeps of a packet: never more than is true, and enough for filters of hosts and ports. */
#include "capture/packet_key.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "packets.h"
#include "tap.h"

enum { SAMPLES = 6000, EXACT = 8 };

static const char *const expressions[] = {
    "host 192.0.2.1",
    "port 53",
    "net 192.0.2.0/29",
    "tcp port 80",
    "host 2001:db8::1",
    "net 2001:db8::/125",
    "udp port 443 and host 192.0.2.2",
    "src host 192.0.2.3 and dst port 53", /* up to here (EXACT) a key tells all that they ask of plain packets */
    "",
    "not port 53",
    "not host 192.0.2.1",
    "tcp or udp",
    "sctp port 80 or sctp",
    "icmp or icmp6",
    "ip and not tcp",
    "ip6",
    "ip6 and udp",
    "ip proto 47 or ip6 proto 47",
    "portrange 50-90",
    "src portrange 30000-60000",
    "dst port 0",
    "src port 53 and dst port 53",
    "port 443 and not port 80",
    "vlan",
    "vlan 10 and port 53",
    "vlan and vlan and host 192.0.2.1",
    "vlan 11 and ip6",
    "not vlan and not ip and not ip6",
    "ether proto 0x88a8 or ether proto 0x8100",
    "ip[6:2] & 0x1fff = 0",
    "ip[6:2] & 0x3fff != 0",
    "ip[0] & 0xf > 5",
    "ip[0] = 0x45 and ip[8] = 64",
    "tcp[tcpflags] & tcp-syn != 0",
    "udp[4:2] > 100",
    "tcp[0:2] > tcp[2:2]",
    "ip[12:4] = ip[16:4] or ip[12:4] > ip[16:4]",
    "ip6[6] = 44 or ip6[6] = 0",
    "ip6 protochain 17",
    "less 70 or greater 90",
    "src net 192.0.2.0/30 and not dst net 192.0.2.0/30",
    "(port 80 or port 443) and (host 192.0.2.1 or host 2001:db8::2)",
};
enum { EXPRESSIONS = sizeof(expressions) / sizeof(expressions[0]) };

static struct sample *samples;

static void make_samples(void)
{
    uint64_t seed = 0x9e3779b97f4a7c15u;
    samples = malloc(SAMPLES * sizeof(*samples));
    for (size_t i = 0; i < SAMPLES; i++)
        make_sample(&seed, sample_linktypes[below(&seed, 3) ? i % 3 : i % SAMPLE_LINKTYPES], 8, &samples[i]);
}

static struct packet packet_of(const struct sample *s)
{
    return (struct packet){.p = s->bytes, .caplen = s->caplen, .len = s->len, .linktype = (uint16_t)s->linktype};
}

/* The key as it is, without the client's port, without ports. */
static void key_at(const struct sample *s, int level, struct packet_key *ret)
{
    packet_key_of(s->linktype, s->bytes, s->caplen, ret);
    if (level >= 1)
        packet_key_forget_client(ret);
    if (level >= 2)
        packet_key_forget_ports(ret);
}

static const char *const levels[] = {"whole", "without the client's port", "without ports"};

/* ---- Never more than is true ---- */

static bool agrees(const struct sample *s, const struct bpf_known *known)
{
    for (size_t i = 0; i < known->n; i++)
        if (known->mask[i] && (i >= s->caplen || (s->bytes[i] ^ known->bytes[i]) & known->mask[i]))
            return false;
    return known->linktype == s->linktype;
}

static void test_agreement(void)
{
    for (int level = 0; level < 3; level++) {
        size_t wrong = 0, unsound = 0, with_ip = 0, bits = 0;
        for (size_t i = 0; i < SAMPLES; i++) {
            struct packet_key key;
            struct bpf_known known;
            uint8_t bytes[PACKET_KEY_KNOWN], mask[PACKET_KEY_KNOWN];
            key_at(&samples[i], level, &key);
            packet_key_known(&key, bytes, mask, &known);
            wrong += !agrees(&samples[i], &known);
            unsound += !packet_key_sound(&key);
            with_ip += key.ip_version != 0;
            for (size_t k = 0; k < known.n; k++)
                bits += (size_t)__builtin_popcount(mask[k]);
        }
        is_int(wrong, 0, "%s: packets have what their keys say", levels[level]);
        is_int(unsound, 0, "%s: keys are sound", levels[level]);
        ok(with_ip > SAMPLES / 2 && bits > with_ip * 80, "%s: most keys say something: %zu, %zu bits", levels[level], with_ip, bits);
    }
}

/* Cut at every place, from memory that ends there. */
static void test_cuts(void)
{
    size_t wrong = 0;
    for (size_t i = 0; i < 200; i++) {
        struct sample s = samples[i];
        for (uint32_t n = 0; n <= samples[i].caplen; n++) {
            struct packet_key key;
            struct bpf_known known;
            uint8_t bytes[PACKET_KEY_KNOWN], mask[PACKET_KEY_KNOWN], *exact = malloc(n + 1);
            memcpy(exact, s.bytes, n);
            packet_key_of(s.linktype, exact, n, &key);
            free(exact);
            s.caplen = n;
            packet_key_known(&key, bytes, mask, &known);
            wrong += !agrees(&s, &known) || !packet_key_sound(&key);
        }
    }
    is_int(wrong, 0, "nothing is made of what was not captured");
}

/* ---- Filters ---- */

static bool possible(struct bpf *bpf, const struct packet_key *key)
{
    struct bpf_known known;
    uint8_t bytes[PACKET_KEY_KNOWN], mask[PACKET_KEY_KNOWN];
    packet_key_known(key, bytes, mask, &known);
    return bpf_possible(bpf, &known);
}

static void test_filters(void)
{
    size_t without_match = 0;
    for (size_t e = 0; e < EXPRESSIONS; e++) {
        struct bpf *bpf;
        struct error err;
        size_t matches = 0, wrong = 0, loose = 0, plain = 0;
        if (!ok(bpf_compile(expressions[e], &bpf, &err) == TD_OK, "compiles: %s", expressions[e]))
            continue;
        for (size_t i = 0; i < SAMPLES; i++) {
            struct packet packet = packet_of(&samples[i]);
            bool match = bpf_match(bpf, &packet);
            struct packet_key key;
            for (int level = 0; level < 3; level++) {
                key_at(&samples[i], level, &key);
                wrong += match && !possible(bpf, &key);
            }
            key_at(&samples[i], 0, &key);
            matches += match;
            plain += samples[i].plain;
            loose += samples[i].plain && possible(bpf, &key) != match;
        }
        is_int(wrong, 0, "never wrongly ruled out (%zu matches): %s", matches, expressions[e]);
        if (e < EXACT)
            is_int(loose, 0, "decided for all %zu plain packets: %s", plain, expressions[e]);
        without_match += !matches;
        bpf_free(bpf);
    }
    is_int(without_match, 0, "each expression matches some packet");
}

/* ---- Keys one by one ---- */

static void test_forgetting(void)
{
    struct packet_key key = {.linktype = 101, .ip_version = 4, .protocol = 17, .flags = PACKET_KEY_PORTS}, k = key;
    k.source_port = 53, k.target_port = 40000;
    packet_key_forget_client(&k);
    ok(k.source_port == 53 && k.target_port == 0 && k.flags == (PACKET_KEY_PORTS | PACKET_KEY_SERVICE), "the lower port stays");
    struct packet_key again = k;
    packet_key_forget_client(&again);
    is_mem(&again, sizeof(again), &k, sizeof(k), "forgetting it twice changes nothing");
    k = key;
    k.source_port = 40000, k.target_port = 53;
    packet_key_forget_client(&k);
    ok(k.source_port == 0 && k.target_port == 53, "on its side");
    k = key;
    k.source_port = k.target_port = 123;
    packet_key_forget_client(&k);
    ok((k.source_port == 123) != (k.target_port == 123), "of two alike, one stays");
    packet_key_forget_ports(&k);
    ok(!k.flags && !k.source_port && !k.target_port && packet_key_sound(&k), "then none");
}

static void test_unsound(void)
{
    const struct packet_key good = {
        .linktype = 1, .ip_version = 4, .protocol = 6, .ip_at = 14, .flags = PACKET_KEY_PORTS, .source_port = 80, .target_port = 81};
    struct packet_key k = good;
    ok(packet_key_sound(&k), "a sound key");
    k.flags = PACKET_KEY_SERVICE;
    ok(!packet_key_sound(&k), "a service without ports");
    k.flags = PACKET_KEY_PORTS | PACKET_KEY_SERVICE;
    ok(!packet_key_sound(&k), "a service with two ports");
    k.flags = 0;
    ok(!packet_key_sound(&k), "ports that are not known");
    k.flags = 4;
    ok(!packet_key_sound(&k), "an unknown flag");
    k = good, k.protocol = 1;
    ok(!packet_key_sound(&k), "ports of ICMP");
    k = good, k.ip_version = 5;
    ok(!packet_key_sound(&k), "no such version");
    k = good, k.source[4] = 1;
    ok(!packet_key_sound(&k), "an address that is too long");
    k = good, k.ip_version = 0;
    ok(!packet_key_sound(&k), "ports without IP");
    for (unsigned at = 0; at < 256; at++) {
        k = good, k.ip_at = (uint8_t)at;
        if (packet_key_sound(&k) != (at == 14 || at == 18 || at == 22))
            ok(false, "IP at %u over Ethernet", at);
    }
    k = good, k.linktype = 276, k.ip_at = 20;
    ok(packet_key_sound(&k), "cooked v2");
    k.ip_at = 24;
    ok(!packet_key_sound(&k), "which has no tags");
    k = good, k.linktype = 229, k.ip_at = 0;
    ok(!packet_key_sound(&k), "IPv4 on a link of IPv6");
    k.linktype = 105;
    ok(!packet_key_sound(&k), "IP on a link that is not looked into");
}

/* Whatever a file may say: a sound key can be used. */
static void test_random_keys(void)
{
    uint64_t seed = 77;
    size_t sound = 0, outside = 0;
    for (size_t i = 0; i < 200000; i++) {
        struct packet_key key = {0};
        struct bpf_known known;
        uint8_t bytes[PACKET_KEY_KNOWN], mask[PACKET_KEY_KNOWN];
        key.linktype = sample_linktypes[below(&seed, SAMPLE_LINKTYPES)];
        key.ip_version = (uint8_t)(below(&seed, 8) ? 4 + 2 * below(&seed, 2) : next_random(&seed));
        key.ip_at = (uint8_t)(below(&seed, 4) ? 12 + 2 * below(&seed, 8) : next_random(&seed) & (below(&seed, 2) ? 0 : 255));
        key.protocol = below(&seed, 2) ? 17 : (uint8_t)next_random(&seed);
        key.flags = (uint8_t)below(&seed, 5);
        key.source_port = key.flags & PACKET_KEY_PORTS ? (uint16_t)next_random(&seed) : 0;
        if (!packet_key_sound(&key))
            continue;
        sound++;
        packet_key_known(&key, bytes, mask, &known);
        outside += known.n > PACKET_KEY_KNOWN;
        for (size_t k = 0; k < known.n; k++)
            outside += (bytes[k] & (uint8_t)~mask[k]) != 0;
    }
    ok(sound > 1000, "some random keys are sound: %zu", sound);
    is_int(outside, 0, "and what they say is well formed");
}

int main(void)
{
    log_set_level(TD_LOG_ERROR);
    make_samples();
    test_agreement();
    test_cuts();
    test_filters();
    test_forgetting();
    test_unsound();
    test_random_keys();
    free(samples);
    return tap_done();
}
