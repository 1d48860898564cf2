/* What the index of a segment knows of a packet: its addresses, ports and the headers around them.
 *
 * Packets with the same key are one row of the index. A key tells exactly which bits its packets have in common
 * (packet_key_known()), so that a packet filter is asked once for a key instead of once for each packet, and never wrongly
 * rules one out. Keys are found for IPv4 without options and IPv6 over Ethernet and Linux cooked v1 with up to two VLAN tags, Linux
 * cooked v2, and raw IP; ports of TCP, UDP and SCTP where they follow the IP header at once (not behind IPv6 extension headers, not
 * in later fragments). Every other packet, and one that was captured too short, has the key of which nothing but the link type is
 * known. */
#ifndef CAPTURE_PACKET_KEY_H
#define CAPTURE_PACKET_KEY_H

#include <stdbool.h>

#include "packet/bpf.h"

enum packet_key_flag {
    PACKET_KEY_PORTS = 1u << 0,   /* ports are known: the whole of a datagram, or its first fragment */
    PACKET_KEY_SERVICE = 1u << 1, /* with PORTS: only the lower port is known; the other one is 0 here (see notes.h) */
};

/* 48 bytes without padding, so that keys are compared and hashed as six words; unused parts are 0. */
struct packet_key {
    _Alignas(8) uint8_t source[16], target[16]; /* IPv4: the first four */
    uint16_t source_port, target_port;
    uint16_t linktype;
    uint8_t ip_version; /* 4, 6; 0: nothing is known but the link type */
    uint8_t protocol;   /* of the IP header: IPv6 next header */
    uint8_t ip_at;      /* offset of the IP header in the packet */
    uint8_t flags;      /* packet_key_flag */
    uint8_t reserved[6];
};
_Static_assert(sizeof(struct packet_key) == 48, "keys are compared as six words");

/* False: no packet can have it; for keys that come from files. */
bool packet_key_sound(const struct packet_key *);

/* On the capture path: reads at most the first 128 bytes. */
void packet_key_of(uint32_t linktype, const uint8_t *bytes, uint32_t caplen, struct packet_key *ret);
/* The same key without the higher port (which is the client's, as a rule), and without both. */
void packet_key_forget_client(struct packet_key *);
void packet_key_forget_ports(struct packet_key *);

enum { PACKET_KEY_KNOWN = 128 };
/* Of a sound key. Fills bytes and mask; *ret points into them. */
void packet_key_known(const struct packet_key *, uint8_t bytes[PACKET_KEY_KNOWN], uint8_t mask[PACKET_KEY_KNOWN], struct bpf_known *ret);

#endif
