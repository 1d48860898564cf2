/* The walk through a packet's headers: what the functions that each strip one layer share.
 *
 * A layer's function looks at walk->p, strips its header and says what comes next. So layers nest in any order without
 * recursion: the loop is in decode.c, and it counts. */
#ifndef PACKET_WALK_H
#define PACKET_WALK_H

#include <stdbool.h>

#include "packet/decode.h"

struct defrag;

/* What the next bytes are. */
enum layer {
    LAYER_STOP, /* nothing more; walk->skip says whether it ended well */
    /* ip.c */
    LAYER_IP, /* version 4 or 6, by its first nibble */
    LAYER_IPV6_EXTENSION,
    LAYER_IPV6_FRAGMENT,
    LAYER_AUTHENTICATION,
    LAYER_TCP,
    LAYER_UDP,
    /* link.c */
    LAYER_ETHERNET,
    LAYER_VLAN,
    LAYER_VN_TAG,
    LAYER_CISCO_META_DATA,
    LAYER_BACKBONE_TAG,
    LAYER_FABRIC_PATH,
    LAYER_LLC,
    LAYER_SNAP,
    LAYER_MPLS,
    LAYER_PPPOE,
    LAYER_PPP,
    LAYER_CISCO_HDLC,
    LAYER_FRAME_RELAY,
    /* linktype.c */
    LAYER_NULL,
    LAYER_SLL,
    LAYER_SLL2,
    LAYER_PPP_DIRECTION,
    LAYER_PFLOG,
    LAYER_ENC,
    LAYER_IPNET,
    LAYER_NFLOG,
    LAYER_PKTAP,
    LAYER_PPI,
    LAYER_FDDI,
    LAYER_TOKEN_RING,
    LAYER_IPOIB,
    LAYER_MPACKET,
    LAYER_SWITCH_TAG,
    /* wlan.c */
    LAYER_RADIOTAP,
    LAYER_WLAN,
    LAYER_WLAN_PADDED,
    LAYER_WLAN_SWAPPED,
    /* tunnel.c */
    LAYER_GRE,
    LAYER_ETHERIP,
    LAYER_NSH,
    LAYER_COUNT
};

struct walk {
    const uint8_t *p;   /* the next header */
    uint32_t caplen;    /* bytes captured from there to the end of the layer around it */
    uint32_t len;       /* the same on the wire; never below caplen */
    uint8_t ip_version; /* of the innermost IP header so far; 0: none yet */
    uint8_t protocol;   /* what the IP header or the last extension header says is next; at the end 6 or 17 */
    enum decode_skip skip;
    const uint8_t *ip; /* the innermost IP header */
    const struct packet *packet;
    struct decode_datagram *datagram; /* what `p` points into if not into the packet; owned */
    struct defrag *defrag;
    struct decode_stats *stats;
};

static inline uint16_t walk_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t walk_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t walk_le16(const uint8_t *p)
{
    return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t walk_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline enum layer walk_stop(struct walk *w, enum decode_skip why)
{
    w->skip = why;
    return LAYER_STOP;
}

/* The next `n` bytes are not all there: cut by the snaplen, or never sent. */
static inline enum layer walk_stop_short(struct walk *w, uint32_t n)
{
    return walk_stop(w, w->len < n ? DECODE_MALFORMED : DECODE_TRUNCATED);
}

/* Strips `n` bytes and returns them. NULL, with the walk's `skip` set, if they were not captured. */
static inline const uint8_t *walk_take(struct walk *w, uint32_t n)
{
    const uint8_t *p = w->p;
    if (w->caplen < n) {
        (void)walk_stop_short(w, n);
        return NULL;
    }
    w->p += n;
    w->caplen -= n;
    w->len -= n;
    return p;
}

/* What is left is `len` bytes at most: the rest is padding, a trailer or a checksum. */
static inline void walk_cut(struct walk *w, uint32_t len)
{
    if (w->len > len)
        w->len = len;
    if (w->caplen > len)
        w->caplen = len;
}

/* True if what comes leads to an IP header whose version and lengths are right, over link headers only. For tunnels
 * that nothing but a port number announces. */
bool walk_leads_to_ip(const struct walk *w, enum layer next);

#endif
