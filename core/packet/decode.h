/* From link layer to transport: strips link headers, tags and tunnels, puts IP fragments together, and finds the
 * innermost TCP or UDP header of a packet.
 *
 * One decoder, one thread; it holds the fragments that wait for others, within a budget. What it returns points into the
 * packet, or into a reassembled datagram that travels along as a block of its own. */
#ifndef PACKET_DECODE_H
#define PACKET_DECODE_H

#include <stddef.h>

#include "packet/block.h"
#include "packet/packet.h"

/* Why a packet carries nothing to dissect. */
enum decode_skip {
    DECODE_OK = 0,
    DECODE_LINKTYPE,  /* a link layer that is not supported */
    DECODE_TRUNCATED, /* cut by the snaplen before the transport header's end */
    DECODE_MALFORMED, /* lengths that contradict each other */
    DECODE_NOT_IP,    /* ARP, LLDP, spanning tree ... */
    DECODE_TRANSPORT, /* neither TCP nor UDP: ICMP, SCTP ... */
    DECODE_ENCRYPTED, /* ESP */
    DECODE_FRAGMENT,  /* a fragment that waits for others */
    DECODE_NESTING,   /* more layers of tunnels than DECODE_MAX_LAYERS */
    DECODE_SKIP_COUNT
};

enum { DECODE_MAX_LAYERS = 32 };

/* A datagram put together from fragments. */
struct decode_datagram {
    struct block block;
    uint32_t frame_count;
    uint64_t *frames; /* of its fragments, ascending, this packet's included */
};

struct decoded {
    const uint8_t *ip;                /* innermost IP header */
    const uint8_t *l4;                /* transport header */
    uint32_t l4_caplen;               /* bytes there from `l4` on */
    uint32_t l4_len;                  /* bytes by the IP header's length; never below l4_caplen */
    uint8_t ip_version;               /* 4 or 6; addresses are at ip + 12 or ip + 8 */
    uint8_t transport;                /* 6 TCP, 17 UDP */
    struct decode_datagram *datagram; /* NULL, or what ip and l4 point into: the caller's to block_unref() */
};

struct decode_stats {
    uint64_t skipped[DECODE_SKIP_COUNT];
    uint64_t datagrams;      /* put together from fragments */
    uint64_t fragments_lost; /* datagrams given up: timeout, budget, contradiction */
    uint64_t tunnels;        /* tunnel headers stripped */
};

struct decoder;

/* `max_memory`: bytes for waiting fragments; the oldest datagram goes first. NULL when memory is short. */
struct decoder *decoder_new(size_t max_memory);
void decoder_free(struct decoder *);
/* DECODE_OK: *ret is filled, with TCP (at least 20 header bytes captured) or UDP (at least 8) whose header's lengths
 * do not contradict the packet's. */
enum decode_skip decode_packet(struct decoder *, const struct packet *, struct decoded *ret);
const struct decode_stats *decoder_stats(const struct decoder *);
/* "unsupported link type", "neither TCP nor UDP" ... */
const char *decode_skip_name(enum decode_skip);

#endif
