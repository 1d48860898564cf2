#include "link.h"
#include "ip.h"

enum {                         /* EtherTypes: IANA, IEEE registration authority */
       TYPE_MAX_LENGTH = 1500, /* up to here the field is the length of an LLC frame (IEEE 802.3) */
       TYPE_IPV4 = 0x0800,
       TYPE_TRANSPARENT_ETHERNET = 0x6558,
       TYPE_VLAN = 0x8100,
       TYPE_IPV6 = 0x86dd,
       TYPE_PPP = 0x880b,
       TYPE_MPLS = 0x8847,
       TYPE_MPLS_UPSTREAM = 0x8848,
       TYPE_PPPOE_SESSION = 0x8864,
       TYPE_JUMBO_LLC = 0x8870,
       TYPE_SERVICE_VLAN = 0x88a8,
       TYPE_MACSEC = 0x88e5,
       TYPE_BACKBONE_TAG = 0x88e7,
       TYPE_FABRIC_PATH = 0x8903,
       TYPE_CISCO_META_DATA = 0x8909,
       TYPE_VN_TAG = 0x8926,
       TYPE_NSH = 0x894f,
       TYPE_VLAN_9100 = 0x9100, /* QinQ as it was before IEEE 802.1ad */
       TYPE_VLAN_9200 = 0x9200,
       TYPE_VLAN_9300 = 0x9300
};

enum { ETHERNET_HEADER = 14, MPLS_MAX_LABELS = 32, FRAME_RELAY_MAX_ADDRESS = 4 };

enum layer link_ethertype(struct walk *w, uint16_t type)
{
    switch (type) {
    case TYPE_IPV4:
    case TYPE_IPV6: return LAYER_IP;
    case TYPE_VLAN:
    case TYPE_SERVICE_VLAN:
    case TYPE_VLAN_9100:
    case TYPE_VLAN_9200:
    case TYPE_VLAN_9300: return LAYER_VLAN;
    case TYPE_MPLS:
    case TYPE_MPLS_UPSTREAM: return LAYER_MPLS;
    case TYPE_PPPOE_SESSION: return LAYER_PPPOE;
    case TYPE_PPP: return LAYER_PPP;
    case TYPE_TRANSPARENT_ETHERNET: return LAYER_ETHERNET;
    case TYPE_NSH: return LAYER_NSH;
    case TYPE_VN_TAG: return LAYER_VN_TAG;
    case TYPE_CISCO_META_DATA: return LAYER_CISCO_META_DATA;
    case TYPE_BACKBONE_TAG: return LAYER_BACKBONE_TAG;
    case TYPE_FABRIC_PATH: return LAYER_FABRIC_PATH;
    case TYPE_JUMBO_LLC: return LAYER_LLC;
    case TYPE_MACSEC: return walk_stop(w, DECODE_ENCRYPTED);
    }
    if (type > TYPE_MAX_LENGTH)
        return walk_stop(w, DECODE_NOT_IP);
    walk_cut(w, type);
    return LAYER_LLC;
}

enum layer link_ethernet(struct walk *w)
{
    const uint8_t *h = walk_take(w, ETHERNET_HEADER);
    return h ? link_ethertype(w, walk_be16(h + 12)) : LAYER_STOP;
}

enum layer link_vlan(struct walk *w)
{
    const uint8_t *h = walk_take(w, 4);
    return h ? link_ethertype(w, walk_be16(h + 2)) : LAYER_STOP;
}

/* Virtual interface tag: direction and interface numbers. */
enum layer link_vn_tag(struct walk *w)
{
    const uint8_t *h = walk_take(w, 6);
    return h ? link_ethertype(w, walk_be16(h + 4)) : LAYER_STOP;
}

/* Security group tag: version, length, option, tag. */
enum layer link_cisco_meta_data(struct walk *w)
{
    const uint8_t *h = walk_take(w, 8);
    return h ? link_ethertype(w, walk_be16(h + 6)) : LAYER_STOP;
}

/* IEEE 802.1ah: a whole Ethernet frame behind the service identifier. */
enum layer link_backbone_tag(struct walk *w)
{
    return walk_take(w, 4) ? LAYER_ETHERNET : LAYER_STOP;
}

/* Cisco FabricPath: a whole Ethernet frame behind topology and lifetime. */
enum layer link_fabric_path(struct walk *w)
{
    return walk_take(w, 2) ? LAYER_ETHERNET : LAYER_STOP;
}

/* IEEE 802.2. */
enum layer link_llc(struct walk *w)
{
    enum { SAP_IP = 0x06, SAP_SNAP = 0xaa, UNNUMBERED = 0x03 };
    const uint8_t *h = walk_take(w, 3);
    if (!h)
        return LAYER_STOP;
    if (h[2] != UNNUMBERED)
        return walk_stop(w, DECODE_NOT_IP);
    if (h[0] == SAP_SNAP)
        return LAYER_SNAP;
    return h[0] == SAP_IP ? LAYER_IP : walk_stop(w, DECODE_NOT_IP);
}

/* An organisation and its protocol number (IEEE 802, RFC 1042, RFC 2684 for bridged frames). */
enum layer link_snap(struct walk *w)
{
    enum { OUI_ETHERTYPE = 0x000000, OUI_BRIDGE_TUNNEL = 0x0000f8, OUI_BRIDGED = 0x0080c2 };
    const uint8_t *h = walk_take(w, 5);
    if (!h)
        return LAYER_STOP;
    uint32_t organisation = walk_be32(h) >> 8;
    uint16_t type = walk_be16(h + 3);
    if ((organisation == OUI_ETHERTYPE || organisation == OUI_BRIDGE_TUNNEL) && type > TYPE_MAX_LENGTH)
        return link_ethertype(w, type);
    if (organisation == OUI_BRIDGED && (type == 0x0001 || type == 0x0007)) /* Ethernet with, without checksum */
        return LAYER_ETHERNET;
    return walk_stop(w, DECODE_NOT_IP);
}

/* True if an Ethernet frame, known by what its type announces, starts here. */
static bool ethernet_plausible(struct walk frame)
{
    enum layer next = link_ethernet(&frame);
    if (next == LAYER_LLC)
        next = link_llc(&frame);
    return next != LAYER_STOP && (next != LAYER_IP || ip_plausible(&frame));
}

/* A label stack says nothing about what it carries: RFC 4928 makes the first nibble tell, and RFC 4385 puts a control
 * word that begins with 0 in front of pseudowires, but not of all. So what is there must prove itself. */
static enum layer below_labels(struct walk *w)
{
    if (w->caplen == 0)
        return walk_stop_short(w, 1);
    if (ip_plausible(w))
        return LAYER_IP;
    struct walk pseudowire = *w;
    if (w->p[0] >> 4 == 0 && walk_take(&pseudowire, 4) && ethernet_plausible(pseudowire)) {
        *w = pseudowire;
        return LAYER_ETHERNET;
    }
    if (ethernet_plausible(*w))
        return LAYER_ETHERNET;
    /* An IP header cut by the snaplen proves nothing, but it is what labels mostly carry. */
    return w->p[0] >> 4 == 4 || w->p[0] >> 4 == 6 ? LAYER_IP : walk_stop(w, DECODE_NOT_IP);
}

/* RFC 3032. */
enum layer link_mpls(struct walk *w)
{
    enum { BOTTOM_OF_STACK = 1 };
    for (unsigned labels = 0; labels < MPLS_MAX_LABELS; labels++) {
        const uint8_t *h = walk_take(w, 4);
        if (!h)
            return LAYER_STOP;
        if (h[2] & BOTTOM_OF_STACK)
            return below_labels(w);
    }
    return walk_stop(w, DECODE_NESTING);
}

/* RFC 2516 section 4. */
enum layer link_pppoe(struct walk *w)
{
    const uint8_t *h = walk_take(w, 6);
    if (!h)
        return LAYER_STOP;
    if (h[0] != 0x11 || h[1] != 0)
        return walk_stop(w, DECODE_NOT_IP);
    walk_cut(w, walk_be16(h + 4));
    return LAYER_PPP;
}

/* RFC 1661 section 2, RFC 1662 section 3.1; address, control and the protocol's upper byte may be left out. */
enum layer link_ppp(struct walk *w)
{
    enum { IPV4 = 0x0021, IPV6 = 0x0057, MPLS = 0x0281, MPLS_UPSTREAM = 0x0283 };
    if (w->caplen >= 2 && w->p[0] == 0xff && w->p[1] == 0x03)
        (void)walk_take(w, 2);
    const uint8_t *h = walk_take(w, 1);
    if (!h)
        return LAYER_STOP;
    uint16_t protocol = h[0];
    if (!(protocol & 1)) {
        h = walk_take(w, 1);
        if (!h)
            return LAYER_STOP;
        protocol = (uint16_t)(protocol << 8 | h[0]);
    }
    switch (protocol) {
    case IPV4:
    case IPV6: return LAYER_IP;
    case MPLS:
    case MPLS_UPSTREAM: return LAYER_MPLS;
    }
    return walk_stop(w, DECODE_NOT_IP);
}

/* Cisco HDLC, or PPP in HDLC framing: the address tells (RFC 1547 section 4.3.1, RFC 1662). */
enum layer link_cisco_hdlc(struct walk *w)
{
    enum { UNICAST = 0x0f, MULTICAST = 0x8f };
    if (w->caplen > 0 && w->p[0] != UNICAST && w->p[0] != MULTICAST)
        return LAYER_PPP;
    const uint8_t *h = walk_take(w, 4);
    if (!h)
        return LAYER_STOP;
    uint16_t type = walk_be16(h + 2);
    return type > TYPE_MAX_LENGTH ? link_ethertype(w, type) : walk_stop(w, DECODE_NOT_IP);
}

/* RFC 2427; without its control byte, Cisco's form with an EtherType. */
enum layer link_frame_relay(struct walk *w)
{
    enum { LAST_OF_ADDRESS = 0x01, UNNUMBERED = 0x03, NLPID_SNAP = 0x80, NLPID_IPV6 = 0x8e, NLPID_IPV4 = 0xcc, NLPID_PPP = 0xcf };
    const uint8_t *h;
    unsigned address = 0;
    do {
        h = walk_take(w, 1);
        if (!h)
            return LAYER_STOP;
        if (++address > FRAME_RELAY_MAX_ADDRESS)
            return walk_stop(w, DECODE_MALFORMED);
    } while (!(h[0] & LAST_OF_ADDRESS));

    h = walk_take(w, 2);
    if (!h)
        return LAYER_STOP;
    if (h[0] != UNNUMBERED) {
        uint16_t type = walk_be16(h);
        return type > TYPE_MAX_LENGTH ? link_ethertype(w, type) : walk_stop(w, DECODE_NOT_IP);
    }
    uint8_t nlpid = h[1];
    if (nlpid == 0) { /* padding to an even address */
        h = walk_take(w, 1);
        if (!h)
            return LAYER_STOP;
        nlpid = h[0];
    }
    switch (nlpid) {
    case NLPID_IPV4:
    case NLPID_IPV6: return LAYER_IP;
    case NLPID_SNAP: return LAYER_SNAP;
    case NLPID_PPP: return LAYER_PPP;
    }
    return walk_stop(w, DECODE_NOT_IP);
}
