#include "linktype.h"
#include "link.h"

enum {
    LINKTYPE_NULL = 0,
    LINKTYPE_ETHERNET = 1,
    LINKTYPE_TOKEN_RING = 6,
    LINKTYPE_PPP = 9,
    LINKTYPE_FDDI = 10,
    DLT_RAW = 12, /* written by programs that confuse DLT_ with LINKTYPE_ values */
    DLT_RAW_OPENBSD = 14,
    LINKTYPE_PPP_HDLC = 50,
    LINKTYPE_PPP_ETHER = 51,
    LINKTYPE_ATM_RFC1483 = 100,
    LINKTYPE_RAW = 101,
    LINKTYPE_C_HDLC = 104,
    LINKTYPE_IEEE802_11 = 105,
    LINKTYPE_FRELAY = 107,
    LINKTYPE_LOOP = 108,
    LINKTYPE_ENC = 109,
    LINKTYPE_LINUX_SLL = 113,
    LINKTYPE_PFLOG = 117,
    LINKTYPE_IEEE802_11_RADIOTAP = 127,
    LINKTYPE_USER2 = 149, /* Apple's tcpdump writes PKTAP so */
    LINKTYPE_PPP_WITH_DIR = 204,
    LINKTYPE_PPI = 192,
    LINKTYPE_MPLS = 219,
    LINKTYPE_IPNET = 226,
    LINKTYPE_IPV4 = 228,
    LINKTYPE_IPV6 = 229,
    LINKTYPE_NFLOG = 239,
    LINKTYPE_IPOIB = 242,
    LINKTYPE_PKTAP = 258,
    LINKTYPE_ETHERNET_MPACKET = 274,
    LINKTYPE_LINUX_SLL2 = 276,
    LINKTYPE_BRCM_TAG = 281,
    LINKTYPE_BRCM_TAG_PREPEND = 282,
    LINKTYPE_DSA_TAG_DSA = 284
};

enum layer linktype_layer(struct walk *w, uint32_t linktype)
{
    switch (linktype) {
    case LINKTYPE_ETHERNET: return LAYER_ETHERNET;
    case LINKTYPE_LINUX_SLL: return LAYER_SLL;
    case LINKTYPE_LINUX_SLL2: return LAYER_SLL2;
    case DLT_RAW:
    case DLT_RAW_OPENBSD:
    case LINKTYPE_RAW:
    case LINKTYPE_IPV4:
    case LINKTYPE_IPV6: return LAYER_IP;
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP: return LAYER_NULL;
    case LINKTYPE_PPP:
    case LINKTYPE_PPP_HDLC:
    case LINKTYPE_C_HDLC: return LAYER_CISCO_HDLC;
    case LINKTYPE_PPP_WITH_DIR: return LAYER_PPP_DIRECTION;
    case LINKTYPE_PPP_ETHER: return LAYER_PPPOE;
    case LINKTYPE_FRELAY: return LAYER_FRAME_RELAY;
    case LINKTYPE_MPLS: return LAYER_MPLS;
    case LINKTYPE_ATM_RFC1483: return LAYER_LLC;
    case LINKTYPE_IEEE802_11: return LAYER_WLAN;
    case LINKTYPE_IEEE802_11_RADIOTAP: return LAYER_RADIOTAP;
    case LINKTYPE_PPI: return LAYER_PPI;
    case LINKTYPE_NFLOG: return LAYER_NFLOG;
    case LINKTYPE_PFLOG: return LAYER_PFLOG;
    case LINKTYPE_ENC: return LAYER_ENC;
    case LINKTYPE_IPNET: return LAYER_IPNET;
    case LINKTYPE_USER2:
    case LINKTYPE_PKTAP: return LAYER_PKTAP;
    case LINKTYPE_FDDI: return LAYER_FDDI;
    case LINKTYPE_TOKEN_RING: return LAYER_TOKEN_RING;
    case LINKTYPE_IPOIB: return LAYER_IPOIB;
    case LINKTYPE_ETHERNET_MPACKET: return LAYER_MPACKET;
    case LINKTYPE_BRCM_TAG:
    case LINKTYPE_DSA_TAG_DSA: return LAYER_SWITCH_TAG;
    case LINKTYPE_BRCM_TAG_PREPEND: return walk_take(w, 4) ? LAYER_ETHERNET : LAYER_STOP;
    }
    return walk_stop(w, DECODE_LINKTYPE);
}

/* An address family as a BSD or Linux kernel numbers it. Some captures hold an EtherType in its place. */
static enum layer family_layer(struct walk *w, uint32_t family)
{
    enum { INET = 2, INET6_LINUX = 10, INET6_WINDOWS = 23, INET6_BSD = 24, INET6_FREEBSD = 28, INET6_DARWIN = 30 };
    switch (family) {
    case INET:
    case INET6_LINUX:
    case INET6_WINDOWS:
    case INET6_BSD:
    case INET6_FREEBSD:
    case INET6_DARWIN: return LAYER_IP;
    }
    return family > 1500 && family <= UINT16_MAX ? link_ethertype(w, (uint16_t)family) : walk_stop(w, DECODE_NOT_IP);
}

/* The family is in the byte order of the machine that captured (null) or in network order (loop): it is small, so
 * one look tells. What is not small either way is the header of a serial line. */
enum layer linktype_null(struct walk *w)
{
    const uint8_t *h = walk_take(w, 4);
    if (!h)
        return LAYER_STOP;
    uint32_t family = walk_be32(h), swapped = walk_le32(h);
    return family_layer(w, family <= UINT16_MAX ? family : swapped <= UINT16_MAX ? swapped : walk_be16(h + 2));
}

/* What a Linux cooked header calls its protocol depends on the interface's hardware type. */
static enum layer cooked_layer(struct walk *w, uint16_t hardware, uint16_t protocol)
{
    enum { HARDWARE_RADIOTAP = 803, HARDWARE_NETLINK = 824, ETHERNET_NO_TYPE = 0x0001, ETHERNET_LLC = 0x0004 };
    if (hardware == HARDWARE_RADIOTAP)
        return LAYER_RADIOTAP;
    if (hardware == HARDWARE_NETLINK || protocol == ETHERNET_NO_TYPE)
        return walk_stop(w, DECODE_NOT_IP);
    if (protocol == ETHERNET_LLC)
        return LAYER_LLC;
    return protocol > 1500 ? link_ethertype(w, protocol) : walk_stop(w, DECODE_NOT_IP);
}

enum layer linktype_sll(struct walk *w)
{
    const uint8_t *h = walk_take(w, 16);
    return h ? cooked_layer(w, walk_be16(h + 2), walk_be16(h + 14)) : LAYER_STOP;
}

enum layer linktype_sll2(struct walk *w)
{
    const uint8_t *h = walk_take(w, 20);
    return h ? cooked_layer(w, walk_be16(h + 8), walk_be16(h)) : LAYER_STOP;
}

enum layer linktype_ppp_direction(struct walk *w)
{
    return walk_take(w, 1) ? LAYER_CISCO_HDLC : LAYER_STOP;
}

/* The first byte is the header's length without the padding to four bytes. */
enum layer linktype_pflog(struct walk *w)
{
    if (w->caplen == 0)
        return walk_stop_short(w, 1);
    uint32_t header = (w->p[0] + 3u) & ~3u;
    if (header < 4)
        return walk_stop(w, DECODE_MALFORMED);
    return walk_take(w, header) ? LAYER_IP : LAYER_STOP;
}

/* OpenBSD's encapsulating interface: family, security parameter index, flags. Packets pass it after decryption. */
enum layer linktype_enc(struct walk *w)
{
    return walk_take(w, 12) ? LAYER_IP : LAYER_STOP;
}

enum layer linktype_ipnet(struct walk *w)
{
    return walk_take(w, 24) ? LAYER_IP : LAYER_STOP;
}

/* Attributes, each a length and a type in the byte order of the machine that captured; one of them is the packet. */
enum layer linktype_nflog(struct walk *w)
{
    enum { ATTRIBUTE_PAYLOAD = 9, TYPE_MASK = 0x7fff };
    if (!walk_take(w, 4))
        return LAYER_STOP;
    while (w->caplen >= 4) { /* each round takes four bytes or more */
        uint32_t length = walk_le16(w->p), type = walk_le16(w->p + 2);
        if ((type & TYPE_MASK) > UINT8_MAX) { /* all types are small */
            length = walk_be16(w->p);
            type = walk_be16(w->p + 2);
        }
        if (length < 4 || length > w->len)
            return walk_stop(w, DECODE_MALFORMED);
        if ((type & TYPE_MASK) == ATTRIBUTE_PAYLOAD) {
            (void)walk_take(w, 4);
            walk_cut(w, length - 4);
            return LAYER_IP;
        }
        uint32_t padded = (length + 3) & ~3u;
        if (padded > w->len || !walk_take(w, padded))
            break;
    }
    return w->caplen < w->len ? walk_stop(w, DECODE_TRUNCATED) : walk_stop(w, DECODE_NOT_IP);
}

/* Apple's packet metadata: header length, record type and link type, little-endian, before much else. */
enum layer linktype_pktap(struct walk *w)
{
    enum { MIN_HEADER = 108, RECORD_PACKET = 1 };
    if (w->caplen < MIN_HEADER)
        return walk_stop_short(w, MIN_HEADER);
    uint32_t header = walk_le32(w->p), record = walk_le32(w->p + 4), linktype = walk_le32(w->p + 8);
    if (header < MIN_HEADER || record != RECORD_PACKET)
        return walk_stop(w, DECODE_LINKTYPE);
    return walk_take(w, header) ? linktype_layer(w, linktype) : LAYER_STOP;
}

/* Per-packet information: version, flags, header length and link type, little-endian. */
enum layer linktype_ppi(struct walk *w)
{
    if (w->caplen < 8)
        return walk_stop_short(w, 8);
    uint32_t header = walk_le16(w->p + 2), linktype = walk_le32(w->p + 4);
    if (header < 8)
        return walk_stop(w, DECODE_MALFORMED);
    return walk_take(w, header) ? linktype_layer(w, linktype) : LAYER_STOP;
}

/* Frame control, two addresses, LLC. */
enum layer linktype_fddi(struct walk *w)
{
    const uint8_t *h = walk_take(w, 13);
    if (!h)
        return LAYER_STOP;
    return (h[0] & 0x70) == 0x50 ? LAYER_LLC : walk_stop(w, DECODE_NOT_IP);
}

/* IEEE 802.5: access control, frame control, two addresses, a route if the source address says so, LLC. */
enum layer linktype_token_ring(struct walk *w)
{
    const uint8_t *h = walk_take(w, 14);
    if (!h)
        return LAYER_STOP;
    if ((h[1] & 0xc0) != 0x40)
        return walk_stop(w, DECODE_NOT_IP);
    if (h[8] & 0x80) {
        if (w->caplen == 0)
            return walk_stop_short(w, 1);
        uint32_t route = w->p[0] & 0x1fu;
        if (route < 2)
            return walk_stop(w, DECODE_MALFORMED);
        if (!walk_take(w, route))
            return LAYER_STOP;
    }
    return LAYER_LLC;
}

/* A global routing header, then EtherType and two bytes that are reserved (RFC 4391). */
enum layer linktype_ipoib(struct walk *w)
{
    const uint8_t *h = walk_take(w, 44);
    return h ? link_ethertype(w, walk_be16(h + 40)) : LAYER_STOP;
}

/* IEEE 802.3br: the preamble is captured as well; only whole packets are taken. */
enum layer linktype_mpacket(struct walk *w)
{
    enum { START_EXPRESS = 0xd5 };
    const uint8_t *h = walk_take(w, 8);
    if (!h)
        return LAYER_STOP;
    return h[7] == START_EXPRESS ? LAYER_ETHERNET : walk_stop(w, DECODE_NOT_IP);
}

/* Ethernet with a switch chip's four bytes between source address and EtherType. */
enum layer linktype_switch_tag(struct walk *w)
{
    const uint8_t *h = walk_take(w, 18);
    return h ? link_ethertype(w, walk_be16(h + 16)) : LAYER_STOP;
}
