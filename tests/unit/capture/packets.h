/* Random packets of all shapes that a capture has: headers whole, cut and wrong, over several kinds of links. */
#ifndef TESTS_UNIT_CAPTURE_PACKETS_H
#define TESTS_UNIT_CAPTURE_PACKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 16 ^ *state << 48; /* the lowest bits alone are no good */
}

static inline uint32_t below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(next_random(seed) % n);
}

enum { SAMPLE_BYTES = 256 };

struct sample {
    uint32_t linktype, caplen, len;
    bool plain; /* whole TCP or UDP right behind whole IP over at most two VLAN tags: its key tells everything that hosts and ports need */
    bool tagged;
    uint8_t bytes[SAMPLE_BYTES];
};

static inline void sample_put(struct sample *s, const void *p, size_t n)
{
    if (s->caplen + n <= SAMPLE_BYTES)
        memcpy(s->bytes + s->caplen, p, n);
    s->caplen += s->caplen + n <= SAMPLE_BYTES ? (uint32_t)n : 0;
}

static inline void sample_put_16(struct sample *s, uint32_t v)
{
    sample_put(s, (const uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static inline void sample_put_random(struct sample *s, uint64_t *seed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sample_put(s, &(const uint8_t){(uint8_t)next_random(seed)}, 1);
}

/* Ethernet, cooked v1 and v2, raw IP in three kinds, BSD loopback, 802.11, and one that libpcap does not know. */
static const uint16_t sample_linktypes[] = {1, 113, 276, 101, 228, 229, 0, 105, 65000};
enum { SAMPLE_LINKTYPES = sizeof(sample_linktypes) / sizeof(sample_linktypes[0]) };

static inline void sample_link(struct sample *s, uint64_t *seed, uint16_t type)
{
    switch (s->linktype) {
    case 1: sample_put_random(s, seed, 12); break;
    case 113: sample_put_random(s, seed, 14); break;
    case 276:
        sample_put_16(s, type);
        sample_put_random(s, seed, 18);
        return;
    case 0: sample_put(s, type == 0x0800 ? "\2\0\0\0" : "\30\0\0\0", 4); return;
    case 105: sample_put_random(s, seed, 24); return;
    default: return;
    }
    static const uint16_t tags[] = {0x8100, 0x8100, 0x88a8, 0x9100};
    uint32_t n = below(seed, 3) ? 0 : below(seed, 4);
    s->tagged = n;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t tag = tags[below(seed, 4)];
        s->plain &= n <= 2 && tag != 0x9100;
        sample_put_16(s, tag);
        sample_put_16(s, 10 + below(seed, 3));
    }
    sample_put_16(s, type);
}

static inline uint16_t sample_port(uint64_t *seed)
{
    static const uint16_t ports[] = {53, 80, 443, 8080, 0, 5353};
    return below(seed, 2) ? ports[below(seed, 6)] : (uint16_t)(32768 + below(seed, 28000));
}

static inline void sample_transport(struct sample *s, uint64_t *seed, uint8_t protocol)
{
    if (protocol == 6 || protocol == 17 || protocol == 132) {
        sample_put_16(s, sample_port(seed));
        sample_put_16(s, sample_port(seed));
    }
    sample_put_random(s, seed, protocol == 6 ? 16 : 4 + below(seed, 12));
}

static inline uint8_t sample_protocol(struct sample *s, uint64_t *seed)
{
    static const uint8_t protocols[] = {6, 6, 17, 17, 132, 1, 58, 47};
    uint32_t i = below(seed, 8);
    s->plain &= i < 4;
    return protocols[i];
}

/* Addresses are 192.0.2.0 and so on, as many as `hosts`. */
static inline void sample_ipv4(struct sample *s, uint64_t *seed, uint32_t hosts)
{
    uint8_t options = below(seed, 8) ? 0 : (uint8_t)below(seed, 11), protocol = sample_protocol(s, seed);
    uint16_t fragment = below(seed, 8) ? 0x4000 : below(seed, 2) ? 0x2000 : (uint16_t)next_random(seed);
    uint32_t from = below(seed, hosts), to = below(seed, hosts);
    s->plain &= !options && fragment == 0x4000;
    sample_put(s, (const uint8_t[]){(uint8_t)(0x45 + options), 0}, 2);
    sample_put_16(s, 60 + 4u * options);
    sample_put_16(s, (uint32_t)next_random(seed) & 0xffff);
    sample_put_16(s, fragment);
    sample_put(s, (const uint8_t[]){64, protocol, 0, 0, 192, 0, (uint8_t)(2 + (from >> 8)), (uint8_t)from}, 8);
    sample_put(s, (const uint8_t[]){192, 0, (uint8_t)(2 + (to >> 8)), (uint8_t)to}, 4);
    sample_put_random(s, seed, 4u * options);
    sample_transport(s, seed, protocol);
}

/* 2001:db8::0 and so on. */
static inline void sample_ipv6(struct sample *s, uint64_t *seed, uint32_t hosts)
{
    static const uint8_t net[14] = {0x20, 1, 0xd, 0xb8}, headers[] = {0, 43, 44, 60};
    bool extended = !below(seed, 6);
    uint8_t protocol = sample_protocol(s, seed), header = headers[below(seed, 4)];
    s->plain &= !extended;
    sample_put(s, (const uint8_t[]){0x60 | (uint8_t)below(seed, 16), (uint8_t)next_random(seed), 0, 0, 0, 40}, 6);
    sample_put(s, (const uint8_t[]){extended ? header : protocol, 64}, 2);
    for (int i = 0; i < 2; i++) {
        sample_put(s, net, sizeof(net));
        sample_put_16(s, below(seed, hosts));
    }
    if (extended)
        sample_put(s, (const uint8_t[]){protocol, 0, 0, 0, 0, 0, 0, 1}, 8);
    sample_transport(s, seed, protocol);
}

static inline void make_sample(uint64_t *seed, uint32_t linktype, uint32_t hosts, struct sample *s)
{
    bool four = linktype == 229 ? false : linktype == 228 || below(seed, 2);
    memset(s, 0, sizeof(*s));
    s->linktype = linktype;
    s->plain = linktype == 1 || linktype == 113 || linktype == 276 || linktype == 101 || linktype == 228 || linktype == 229;
    uint32_t kind = below(seed, 32);
    if (kind == 0) { /* nothing that is known */
        sample_link(s, seed, (uint16_t)next_random(seed));
        sample_put_random(s, seed, below(seed, 60));
    } else {
        sample_link(s, seed, four ? 0x0800 : 0x86dd);
        /* Sometimes what follows is not of the version that was told. */
        if (four != (kind == 1))
            sample_ipv4(s, seed, hosts);
        else
            sample_ipv6(s, seed, hosts);
    }
    if (kind == 2 && s->caplen)
        s->bytes[below(seed, s->caplen)] ^= (uint8_t)(1u << below(seed, 8));
    s->len = s->caplen;
    if (kind == 3)
        s->caplen = below(seed, s->caplen + 1);
    s->plain &= kind > 3;
}

#endif
