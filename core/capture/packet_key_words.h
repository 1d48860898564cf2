/* Reading the key of a packet, as words in registers: for the capture path, which compares and hashes it at once. */
#ifndef CAPTURE_PACKET_KEY_WORDS_H
#define CAPTURE_PACKET_KEY_WORDS_H

#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "capture/packet_key.h"
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

/* Where the type of what follows the link header stands when there are no tags, or -1: not of this kind. */
static inline int packet_key_type_at(uint32_t linktype)
{
    switch (linktype) {
    case LINK_ETHERNET: return 12;
    case LINK_COOKED: return 14;
    default: return -1;
    }
}

static inline uint8_t packet_key_version_of_type(uint16_t type)
{
    return type == TYPE_IPV4 ? 4 : type == TYPE_IPV6 ? 6 : 0;
}

static inline uint8_t packet_key_version_of_raw(uint32_t linktype, uint8_t first)
{
    uint8_t version = first >> 4;
    if ((version == 4 && linktype != LINK_RAW_IPV6) || (version == 6 && linktype != LINK_RAW_IPV4))
        return version;
    return 0;
}

/* The version of the IP header, and where it begins. 0: there is none. */
static inline uint8_t packet_key_find_ip(uint32_t linktype, const uint8_t *p, uint32_t n, uint32_t *ret_at)
{
    int at = packet_key_type_at(linktype);
    if (at >= 0) {
        for (int tags = 0; (uint32_t)at + 2 <= n; tags++, at += TAG) {
            uint16_t type = bytes_u16(p + at, true);
            *ret_at = (uint32_t)at + 2;
            if ((type != TYPE_VLAN && type != TYPE_SERVICE_VLAN) || tags == MAX_TAGS)
                return packet_key_version_of_type(type);
        }
        return 0;
    }
    switch (linktype) {
    case LINK_COOKED_2: *ret_at = COOKED_2_HEADER; return n >= 2 ? packet_key_version_of_type(bytes_u16(p, true)) : 0;
    case LINK_RAW:
    case LINK_RAW_IPV4:
    case LINK_RAW_IPV6: *ret_at = 0; return n ? packet_key_version_of_raw(linktype, *p) : 0;
    default: return 0;
    }
}

static inline bool packet_key_has_ports(uint8_t protocol)
{
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP;
}

/* A key as words: put together in registers, for a processor waits where several small stores meet one load. */
struct packet_key_words {
    uint64_t source[2], target[2], ports_and_head, rest;
};
_Static_assert(sizeof(struct packet_key_words) == sizeof(struct packet_key), "a key is six words");

/* A field of `size` bytes at byte `at` of a word. */
static inline uint64_t packet_key_field(uint64_t v, size_t at, size_t size)
{
    return v << 8 * (BYTES_HOST_IS_BIG ? 8 - at % 8 - size : at % 8);
}

#define PACKET_KEY_FIELD(name, v) packet_key_field((v), offsetof(struct packet_key, name), sizeof(((struct packet_key *)0)->name))

static inline void packet_key_set_ports(struct packet_key_words *w, const uint8_t *p)
{
    w->ports_and_head |= PACKET_KEY_FIELD(source_port, bytes_u16(p, true)) | PACKET_KEY_FIELD(target_port, bytes_u16(p + 2, true));
    w->rest |= PACKET_KEY_FIELD(flags, PACKET_KEY_PORTS);
}

/* Four bytes in front of four zeros. */
static inline uint64_t packet_key_word_4(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return packet_key_field(v, 0, sizeof(v));
}

static inline bool packet_key_set_ipv4(struct packet_key_words *w, const uint8_t *ip, uint32_t n)
{
    if (n < IPV4_HEADER || ip[0] != IPV4_PLAIN)
        return false;
    w->source[0] = packet_key_word_4(ip + 12);
    w->target[0] = packet_key_word_4(ip + 16);
    w->ports_and_head |= PACKET_KEY_FIELD(ip_version, 4) | PACKET_KEY_FIELD(protocol, ip[9]);
    bool first = (bytes_u16(ip + IPV4_FRAGMENT_AT, true) & 0x1fff) == 0;
    if (first && packet_key_has_ports(ip[9]) && n >= IPV4_HEADER + PORTS)
        packet_key_set_ports(w, ip + IPV4_HEADER);
    return true;
}

static inline bool packet_key_set_ipv6(struct packet_key_words *w, const uint8_t *ip, uint32_t n)
{
    if (n < IPV6_HEADER || ip[0] >> 4 != 6)
        return false;
    w->source[0] = hash_word(ip + 8);
    w->source[1] = hash_word(ip + 16);
    w->target[0] = hash_word(ip + 24);
    w->target[1] = hash_word(ip + 32);
    w->ports_and_head |= PACKET_KEY_FIELD(ip_version, 6) | PACKET_KEY_FIELD(protocol, ip[6]);
    if (packet_key_has_ports(ip[6]) && n >= IPV6_HEADER + PORTS)
        packet_key_set_ports(w, ip + IPV6_HEADER);
    return true;
}

static inline struct packet_key_words packet_key_read(uint32_t linktype, const uint8_t *bytes, uint32_t caplen)
{
    uint32_t at = 0;
    struct packet_key_words w = {.ports_and_head = PACKET_KEY_FIELD(linktype, linktype)};
    uint8_t version = packet_key_find_ip(linktype, bytes, caplen, &at);
    if (version && at < caplen &&
        (version == 4 ? packet_key_set_ipv4(&w, bytes + at, caplen - at) : packet_key_set_ipv6(&w, bytes + at, caplen - at)))
        w.rest |= PACKET_KEY_FIELD(ip_at, at);
    return w;
}

/* See packet_key_forget_client(), packet_key_forget_ports(). */
static inline void packet_key_words_forget_ports(struct packet_key_words *w)
{
    w->ports_and_head &= ~(PACKET_KEY_FIELD(source_port, UINT64_C(0xffff)) | PACKET_KEY_FIELD(target_port, UINT64_C(0xffff)));
    w->rest &= ~PACKET_KEY_FIELD(flags, UINT64_C(0xff));
}

static inline void packet_key_words_forget_client(struct packet_key_words *w)
{
    const uint64_t ports = PACKET_KEY_FIELD(flags, (uint64_t)PACKET_KEY_PORTS),
                   service = PACKET_KEY_FIELD(flags, (uint64_t)PACKET_KEY_SERVICE);
    const uint64_t source = PACKET_KEY_FIELD(source_port, UINT64_C(0xffff)), target = PACKET_KEY_FIELD(target_port, UINT64_C(0xffff));
    if (!(w->rest & ports) || w->rest & service)
        return;
    w->rest |= service;
    bool from_client = (w->ports_and_head & source) / PACKET_KEY_FIELD(source_port, UINT64_C(1)) >
                       (w->ports_and_head & target) / PACKET_KEY_FIELD(target_port, UINT64_C(1));
    w->ports_and_head &= ~(from_client ? source : target);
}

#endif
