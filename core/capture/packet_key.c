#include "capture/packet_key.h"

#include <string.h>

#include "packet/bytes.h"

enum { LINK_ETHERNET = 1, LINK_RAW = 101, LINK_COOKED = 113, LINK_RAW_IPV4 = 228, LINK_RAW_IPV6 = 229, LINK_COOKED_2 = 276 };
enum { TYPE_IPV4 = 0x0800, TYPE_VLAN = 0x8100, TYPE_IPV6 = 0x86dd, TYPE_SERVICE_VLAN = 0x88a8 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_SCTP = 132 };
enum {
    MAX_TAGS = 2,
    TAG = 4, /* bytes of a VLAN tag */
    COOKED_2_HEADER = 20,
    IPV4_HEADER = 20,
    IPV4_PLAIN = 0x45, /* version 4, five words: no options */
    IPV4_FRAGMENT_AT = 6,
    IPV6_HEADER = 40,
    PORTS = 4 /* bytes of both */
};

/* ---- Of a packet ---- */

/* Where the type of what follows the link header stands when there are no tags, or -1: not of this kind. */
static int type_at(uint32_t linktype)
{
    switch (linktype) {
    case LINK_ETHERNET: return 12;
    case LINK_COOKED: return 14;
    default: return -1;
    }
}

static uint8_t version_of_type(uint16_t type)
{
    return type == TYPE_IPV4 ? 4 : type == TYPE_IPV6 ? 6 : 0;
}

static uint8_t version_of_raw(uint32_t linktype, uint8_t first)
{
    uint8_t version = first >> 4;
    if ((version == 4 && linktype != LINK_RAW_IPV6) || (version == 6 && linktype != LINK_RAW_IPV4))
        return version;
    return 0;
}

/* The version of the IP header, and where it begins. 0: there is none. */
static uint8_t find_ip(uint32_t linktype, const uint8_t *p, uint32_t n, uint32_t *ret_at)
{
    int at = type_at(linktype);
    if (at >= 0) {
        for (int tags = 0; (uint32_t)at + 2 <= n; tags++, at += TAG) {
            uint16_t type = bytes_u16(p + at, true);
            *ret_at = (uint32_t)at + 2;
            if ((type != TYPE_VLAN && type != TYPE_SERVICE_VLAN) || tags == MAX_TAGS)
                return version_of_type(type);
        }
        return 0;
    }
    switch (linktype) {
    case LINK_COOKED_2: *ret_at = COOKED_2_HEADER; return n >= 2 ? version_of_type(bytes_u16(p, true)) : 0;
    case LINK_RAW:
    case LINK_RAW_IPV4:
    case LINK_RAW_IPV6: *ret_at = 0; return n ? version_of_raw(linktype, *p) : 0;
    default: return 0;
    }
}

static bool has_ports(uint8_t protocol)
{
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP;
}

static void set_ports(struct packet_key *key, const uint8_t *p)
{
    key->source_port = bytes_u16(p, true);
    key->target_port = bytes_u16(p + 2, true);
    key->flags = PACKET_KEY_PORTS;
}

/* Whole words, so that they can be read back as words at once: the key is hashed next. */
static void set_address_4(uint8_t address[16], const uint8_t *p)
{
    uint64_t words[2] = {0, 0};
    memcpy(words, p, 4);
    memcpy(address, &words[0], 8);
    memcpy(address + 8, &words[1], 8);
}

static void set_address_6(uint8_t address[16], const uint8_t *p)
{
    uint64_t words[2];
    memcpy(words, p, 16);
    memcpy(address, &words[0], 8);
    memcpy(address + 8, &words[1], 8);
}

static bool set_ipv4(struct packet_key *key, const uint8_t *ip, uint32_t n)
{
    if (n < IPV4_HEADER || ip[0] != IPV4_PLAIN)
        return false;
    key->protocol = ip[9];
    set_address_4(key->source, ip + 12);
    set_address_4(key->target, ip + 16);
    bool first = (bytes_u16(ip + IPV4_FRAGMENT_AT, true) & 0x1fff) == 0;
    if (first && has_ports(key->protocol) && n >= IPV4_HEADER + PORTS)
        set_ports(key, ip + IPV4_HEADER);
    return true;
}

static bool set_ipv6(struct packet_key *key, const uint8_t *ip, uint32_t n)
{
    if (n < IPV6_HEADER || ip[0] >> 4 != 6)
        return false;
    key->protocol = ip[6];
    set_address_6(key->source, ip + 8);
    set_address_6(key->target, ip + 24);
    if (has_ports(key->protocol) && n >= IPV6_HEADER + PORTS)
        set_ports(key, ip + IPV6_HEADER);
    return true;
}

void packet_key_of(uint32_t linktype, const uint8_t *bytes, uint32_t caplen, struct packet_key *ret)
{
    uint32_t at = 0;
    struct packet_key key = {.linktype = (uint16_t)linktype};
    uint8_t version = find_ip(linktype, bytes, caplen, &at);
    if (version && at < caplen && (version == 4 ? set_ipv4(&key, bytes + at, caplen - at) : set_ipv6(&key, bytes + at, caplen - at))) {
        key.ip_version = version;
        key.ip_at = (uint8_t)at;
    }
    *ret = key;
}

/* ---- Knowing less ---- */

void packet_key_forget_client(struct packet_key *key)
{
    if (key->flags != PACKET_KEY_PORTS)
        return;
    key->flags |= PACKET_KEY_SERVICE;
    if (key->source_port > key->target_port)
        key->source_port = 0;
    else
        key->target_port = 0;
}

void packet_key_forget_ports(struct packet_key *key)
{
    key->flags = 0;
    key->source_port = key->target_port = 0;
}

/* ---- Of a key ---- */

static bool sound_place(const struct packet_key *key)
{
    int type = type_at(key->linktype);
    if (type >= 0) {
        int tags = key->ip_at - type - 2;
        return tags >= 0 && tags % TAG == 0 && tags / TAG <= MAX_TAGS;
    }
    if (key->linktype == LINK_COOKED_2)
        return key->ip_at == COOKED_2_HEADER;
    return key->ip_at == 0 && version_of_raw(key->linktype, (uint8_t)(key->ip_version << 4)) &&
           (key->linktype == LINK_RAW || key->linktype == LINK_RAW_IPV4 || key->linktype == LINK_RAW_IPV6);
}

bool packet_key_sound(const struct packet_key *key)
{
    static const uint8_t none[sizeof(key->source)];
    if (key->flags & ~(unsigned)(PACKET_KEY_PORTS | PACKET_KEY_SERVICE) || key->flags == PACKET_KEY_SERVICE)
        return false;
    if (!(key->flags & PACKET_KEY_PORTS) && (key->source_port || key->target_port))
        return false;
    if (key->flags & PACKET_KEY_SERVICE && key->source_port && key->target_port)
        return false;
    if (key->ip_version == 0)
        return !key->protocol && !key->ip_at && !key->flags && !memcmp(key->source, none, 16) && !memcmp(key->target, none, 16);
    if ((key->flags & PACKET_KEY_PORTS && !has_ports(key->protocol)) || !sound_place(key))
        return false;
    if (key->ip_version == 4)
        return !memcmp(key->source + 4, none, 12) && !memcmp(key->target + 4, none, 12);
    return key->ip_version == 6;
}

struct known {
    uint8_t *bytes, *mask;
};

static void know(const struct known *k, size_t at, const void *p, size_t n)
{
    memcpy(k->bytes + at, p, n);
    memset(k->mask + at, 0xff, n);
}

static void know_bits(const struct known *k, size_t at, uint8_t byte, uint8_t mask)
{
    k->bytes[at] = byte;
    k->mask[at] = mask;
}

static void know_16(const struct known *k, size_t at, uint16_t v)
{
    const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    know(k, at, bytes, sizeof(bytes));
}

/* A tag's type is one of two: what they have in common. */
static void know_tag(const struct known *k, size_t at)
{
    const uint16_t same = 0xffff ^ TYPE_VLAN ^ TYPE_SERVICE_VLAN, value = TYPE_VLAN & TYPE_SERVICE_VLAN;
    know_bits(k, at, value >> 8, same >> 8);
    know_bits(k, at + 1, value & 0xff, same & 0xff);
}

static void know_link(const struct packet_key *key, const struct known *k)
{
    uint16_t type = key->ip_version == 4 ? TYPE_IPV4 : TYPE_IPV6;
    int at = type_at(key->linktype);
    if (at >= 0) {
        for (; at + 2 < key->ip_at; at += TAG)
            know_tag(k, (size_t)at);
        know_16(k, (size_t)at, type);
    } else if (key->linktype == LINK_COOKED_2) {
        know_16(k, 0, type);
    }
}

/* The lower port is known, so where it is 0 there is no telling on which side. */
static void know_ports(const struct packet_key *key, const struct known *k, size_t at)
{
    if (!(key->flags & PACKET_KEY_SERVICE) || key->source_port)
        know_16(k, at, key->source_port);
    if (!(key->flags & PACKET_KEY_SERVICE) || key->target_port)
        know_16(k, at + 2, key->target_port);
}

void packet_key_known(const struct packet_key *key, uint8_t bytes[PACKET_KEY_KNOWN], uint8_t mask[PACKET_KEY_KNOWN], struct bpf_known *ret)
{
    const struct known k = {bytes, mask};
    size_t at = key->ip_at;
    *ret = (struct bpf_known){.linktype = key->linktype, .bytes = bytes, .mask = mask};
    if (!key->ip_version)
        return;
    ret->n = at + (key->ip_version == 4 ? IPV4_HEADER : IPV6_HEADER) + PORTS;
    memset(bytes, 0, ret->n);
    memset(mask, 0, ret->n);
    know_link(key, &k);
    if (key->ip_version == 4) {
        know_bits(&k, at, IPV4_PLAIN, 0xff);
        know_bits(&k, at + 9, key->protocol, 0xff);
        know(&k, at + 12, key->source, 4);
        know(&k, at + 16, key->target, 4);
        if (key->flags & PACKET_KEY_PORTS) { /* nothing lies before it in the datagram */
            know_bits(&k, at + IPV4_FRAGMENT_AT, 0, 0x1f);
            know_bits(&k, at + IPV4_FRAGMENT_AT + 1, 0, 0xff);
            know_ports(key, &k, at + IPV4_HEADER);
        }
    } else {
        know_bits(&k, at, 0x60, 0xf0);
        know_bits(&k, at + 6, key->protocol, 0xff);
        know(&k, at + 8, key->source, 16);
        know(&k, at + 24, key->target, 16);
        if (key->flags & PACKET_KEY_PORTS)
            know_ports(key, &k, at + IPV6_HEADER);
    }
}
