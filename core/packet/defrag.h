/* Puts fragments of IPv4 (RFC 791, RFC 815) and IPv6 (RFC 8200 section 4.5) datagrams together.
 *
 * Fragments are copied, and wait until their datagram is whole. Where fragments overlap, the bytes of that which starts
 * lower count, and of two that start together the one that came first: as Wireshark does. (Linux drops datagrams with
 * overlaps, so with honest senders the choice does not show.) What cannot belong together, because the datagram's end
 * or the bytes of two fragments of the same place differ, is taken for a new datagram with a reused identification: the
 * old one is given up. Datagrams time out by the packets' clock.
 *
 * VLANs and tunnels are not part of a datagram's identity, as they are not part of a connection's. */
#ifndef PACKET_DEFRAG_H
#define PACKET_DEFRAG_H

#include "packet/decode.h"
#include "tapedeck/slice.h"

enum {
    DEFRAG_TIMEOUT_S = 60,       /* RFC 1122 section 3.3.2, RFC 8200 section 4.5 */
    DEFRAG_MAX_FRAGMENTS = 2048, /* of one datagram; 64 KB over the smallest legal MTU of IPv4 are 1,400 */
    DEFRAG_MAX_FRAMES = 8192     /* of one datagram; more than fragments if these come out of fragmented tunnels */
};

struct defrag;

struct defrag_fragment {
    const uint8_t *ip; /* the IP header, with 20 (IPv4) or 40 (IPv6) bytes */
    uint8_t ip_version;
    uint8_t protocol; /* what follows behind the fragment header */
    bool more;        /* not the last */
    uint32_t id;
    uint32_t offset;      /* in bytes; plus `data`, within what a datagram may hold */
    struct td_slice data; /* not empty */
    int64_t time_ns;
    const uint64_t *frames; /* those that the fragment came in, ascending */
    uint32_t frame_count;
};

/* `stats` must outlive it; datagrams and fragments_lost are counted there. NULL when memory is short. */
struct defrag *defrag_new(size_t max_memory, struct decode_stats *stats);
void defrag_free(struct defrag *);
/* Takes a fragment. If it makes its datagram whole: that, the caller's to block_unref(), with the IP packet (a header
 * without options, as if it had never been fragmented) in *ret_packet. NULL otherwise. */
struct decode_datagram *defrag_add(struct defrag *, const struct defrag_fragment *, struct td_slice *ret_packet);

#endif
