/* A packet as a capture holds it. */
#ifndef PACKET_PACKET_H
#define PACKET_PACKET_H

#include <stdint.h>

enum packet_flag {
    /* The container gives no time (simple packet block), or one outside of 1677 to 2262; time_ns is that of the packet
     * before, or 0. */
    PACKET_NO_TIME = 1u << 0
};

struct packet {
    const uint8_t *p;  /* captured bytes, in the block that came with the packet */
    uint32_t caplen;   /* how many */
    uint32_t len;      /* length on the wire; never below caplen */
    int64_t time_ns;   /* since 1970 UTC */
    uint64_t frame;    /* number in its capture, from 1, as Wireshark counts */
    uint32_t iface;    /* index for capture_interface() */
    uint16_t linktype; /* of that interface (LINKTYPE_ value) */
    uint16_t flags;    /* packet_flag */
};

#endif
