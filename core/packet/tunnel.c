#include "tunnel.h"
#include "ip.h"
#include "link.h"

/* Next protocol of NSH (RFC 8300) and VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe). */
static enum layer next_protocol(struct walk *w, uint8_t protocol)
{
    enum { IPV4 = 1, IPV6 = 2, ETHERNET = 3, NSH = 4, MPLS = 5 };
    switch (protocol) {
    case IPV4:
    case IPV6: return LAYER_IP;
    case ETHERNET: return LAYER_ETHERNET;
    case NSH: return LAYER_NSH;
    case MPLS: return LAYER_MPLS;
    }
    return walk_stop(w, DECODE_NOT_IP);
}

/* Strips the source routes of RFC 1701, which end with an empty one. */
static bool gre_routing(struct walk *w)
{
    for (;;) { /* each round takes four bytes or more */
        const uint8_t *route = walk_take(w, 4);
        if (!route)
            return false;
        if (walk_be16(route) == 0 && route[3] == 0)
            return true;
        if (!walk_take(w, route[3]))
            return false;
    }
}

/* ERSPAN II: version, VLAN, session, index. III (draft-foschiano-erspan): with a timestamp, the kind of frame and
 * perhaps a subheader. I has no header. */
static enum layer erspan_3(struct walk *w)
{
    enum { FRAME_ETHERNET = 0, FRAME_IP = 2, HAS_SUBHEADER = 1 };
    const uint8_t *h = walk_take(w, 12);
    if (!h || (h[11] & HAS_SUBHEADER && !walk_take(w, 8)))
        return LAYER_STOP;
    switch (h[10] >> 2 & 0x1f) {
    case FRAME_ETHERNET: return LAYER_ETHERNET;
    case FRAME_IP: return LAYER_IP;
    }
    return walk_stop(w, DECODE_NOT_IP);
}

static enum layer gre_payload(struct walk *w, uint16_t type, bool has_sequence)
{
    enum { TYPE_WCCP = 0x883e, TYPE_ERSPAN = 0x88be, TYPE_ERSPAN_3 = 0x22eb, TYPE_ARUBA = 0x8200, ARUBA_MASK = 0xff0f };
    switch (type) {
    case TYPE_ERSPAN: return has_sequence && !walk_take(w, 8) ? LAYER_STOP : LAYER_ETHERNET;
    case TYPE_ERSPAN_3: return erspan_3(w);
    case TYPE_WCCP: /* version 2 puts a header in front of the packet */
        if (!walk_leads_to_ip(w, LAYER_IP) && !walk_take(w, 4))
            return LAYER_STOP;
        return LAYER_IP;
    }
    if ((type & ARUBA_MASK) == TYPE_ARUBA)
        return LAYER_WLAN;
    return type > 1500 ? link_ethertype(w, type) : walk_stop(w, DECODE_NOT_IP);
}

/* RFC 2784 and 2890; with routing RFC 1701; version 1 is that of PPTP (RFC 2637 section 4.1). */
enum layer tunnel_gre(struct walk *w)
{
    enum { CHECKSUM = 0x8000, ROUTING = 0x4000, KEY = 0x2000, SEQUENCE = 0x1000, ACKNOWLEDGMENT = 0x0080, VERSION = 0x0007 };
    const uint8_t *h = walk_take(w, 4);
    if (!h)
        return LAYER_STOP;
    uint16_t flags = walk_be16(h), type = walk_be16(h + 2);
    bool pptp = (flags & VERSION) == 1;
    if ((flags & VERSION) > 1)
        return walk_stop(w, DECODE_MALFORMED);
    const uint8_t *key = NULL;
    if (flags & (CHECKSUM | ROUTING) && !walk_take(w, 4))
        return LAYER_STOP;
    if (flags & KEY && !(key = walk_take(w, 4)))
        return LAYER_STOP;
    if (flags & SEQUENCE && !walk_take(w, 4))
        return LAYER_STOP;
    if (pptp && flags & ACKNOWLEDGMENT && !walk_take(w, 4))
        return LAYER_STOP;
    if (!pptp && flags & ROUTING && !gre_routing(w))
        return LAYER_STOP;
    if (pptp && key)
        walk_cut(w, walk_be16(key)); /* its upper half is the payload's length */
    if (w->len == 0)
        return walk_stop(w, DECODE_NOT_IP); /* an acknowledgment, or a keepalive */
    w->stats->tunnels++;
    return gre_payload(w, type, flags & SEQUENCE);
}

/* RFC 3378. */
enum layer tunnel_etherip(struct walk *w)
{
    const uint8_t *h = walk_take(w, 2);
    if (!h)
        return LAYER_STOP;
    w->stats->tunnels++;
    return h[0] >> 4 == 3 ? LAYER_ETHERNET : walk_stop(w, DECODE_MALFORMED);
}

/* RFC 8300 section 2.2: the length counts words of the whole header. */
enum layer tunnel_nsh(struct walk *w)
{
    if (w->caplen < 8)
        return walk_stop_short(w, 8);
    uint32_t length = (w->p[1] & 0x3fu) * 4;
    if (w->p[0] >> 6 != 0 || length < 8)
        return walk_stop(w, DECODE_MALFORMED);
    const uint8_t *h = walk_take(w, length);
    if (!h)
        return LAYER_STOP;
    w->stats->tunnels++;
    return next_protocol(w, h[3]);
}

/* RFC 7348; with the group policy extension, whose bits do not matter here. */
static enum layer vxlan(struct walk *w)
{
    enum { VALID_VNI = 0x08 };
    const uint8_t *h = walk_take(w, 8);
    return h && h[0] & VALID_VNI ? LAYER_ETHERNET : LAYER_STOP;
}

static enum layer vxlan_gpe(struct walk *w)
{
    enum { VALID_VNI = 0x08 };
    const uint8_t *h = walk_take(w, 8);
    if (!h || !(h[0] & VALID_VNI))
        return LAYER_STOP;
    return h[3] ? next_protocol(w, h[3]) : LAYER_ETHERNET; /* some senders forget the flag that it is valid */
}

/* RFC 8926 section 3.4. */
static enum layer geneve(struct walk *w)
{
    const uint8_t *h = walk_take(w, 8);
    if (!h || h[0] >> 6 != 0 || !walk_take(w, (h[0] & 0x3fu) * 4))
        return LAYER_STOP;
    uint16_t type = walk_be16(h + 2);
    return type > 1500 ? link_ethertype(w, type) : LAYER_STOP;
}

/* 3GPP TS 29.281 section 5: user data in version 1. */
static enum layer gtp_u(struct walk *w)
{
    enum { VERSION_1 = 0x30, VERSION_MASK = 0xf0, HAS_OPTIONAL = 0x07, HAS_EXTENSION = 0x04, USER_DATA = 255 };
    const uint8_t *h = walk_take(w, 8);
    if (!h || (h[0] & VERSION_MASK) != VERSION_1 || h[1] != USER_DATA)
        return LAYER_STOP;
    walk_cut(w, walk_be16(h + 2));
    if (!(h[0] & HAS_OPTIONAL))
        return LAYER_IP;
    const uint8_t *optional = walk_take(w, 4);
    if (!optional)
        return LAYER_STOP;
    uint8_t extension = h[0] & HAS_EXTENSION ? optional[3] : 0;
    while (extension && w->caplen > 0) { /* each round takes four bytes or more */
        uint32_t length = w->p[0] * 4u;
        const uint8_t *e = length ? walk_take(w, length) : NULL;
        if (!e)
            return LAYER_STOP;
        extension = e[length - 1];
    }
    return LAYER_IP;
}

/* RFC 4380 section 5.1.1: perhaps authentication, perhaps the origin, then an IPv6 packet that fills the rest. */
static enum layer teredo(struct walk *w)
{
    enum { IPV6_HEADER = 40 };
    if (w->caplen >= 4 && walk_be16(w->p) == 0x0001 && !walk_take(w, 13u + w->p[2] + w->p[3]))
        return LAYER_STOP;
    if (w->caplen >= 2 && walk_be16(w->p) == 0x0000 && !walk_take(w, 8))
        return LAYER_STOP;
    bool fills = w->caplen >= IPV6_HEADER && w->p[0] >> 4 == 6 && IPV6_HEADER + (uint32_t)walk_be16(w->p + 4) == w->len;
    return fills ? LAYER_IP : LAYER_STOP;
}

/* Data messages of version 2 (RFC 2661 section 3.1). */
static enum layer l2tp(struct walk *w)
{
    enum { CONTROL = 0x8000, LENGTH = 0x4000, SEQUENCE = 0x0800, OFFSET = 0x0200, VERSION = 0x000f };
    const uint8_t *h = walk_take(w, 2);
    if (!h)
        return LAYER_STOP;
    uint16_t flags = walk_be16(h);
    if (flags & CONTROL || (flags & VERSION) != 2)
        return LAYER_STOP;
    if (flags & LENGTH) {
        const uint8_t *length = walk_take(w, 2);
        if (!length || walk_be16(length) < 4)
            return LAYER_STOP;
        walk_cut(w, walk_be16(length) - 4u);
    }
    if (!walk_take(w, 4) || (flags & SEQUENCE && !walk_take(w, 4)))
        return LAYER_STOP;
    if (flags & OFFSET) {
        const uint8_t *offset = walk_take(w, 2);
        if (!offset || !walk_take(w, walk_be16(offset)))
            return LAYER_STOP;
    }
    return LAYER_PPP;
}

/* RFC 5415 section 4.3: the header's length is in words; what it holds is Ethernet or, with the flag T, native. */
static enum layer capwap_data(struct walk *w)
{
    enum { NATIVE = 0x01, FRAGMENT = 0x80, TYPE_MASK = 0x0c, TYPE_DATA = 0x08 };
    if (w->caplen < 8 || w->p[0] != 0)
        return LAYER_STOP;
    uint32_t length = (w->p[1] >> 3) * 4u;
    const uint8_t *h = length >= 8 ? walk_take(w, length) : NULL;
    if (!h || h[3] & FRAGMENT)
        return LAYER_STOP;
    if (!(h[2] & NATIVE))
        return LAYER_ETHERNET;
    return w->caplen > 0 && (w->p[0] & TYPE_MASK) == TYPE_DATA ? LAYER_WLAN : LAYER_WLAN_SWAPPED;
}

/* RFC 9300 section 5.1. */
static enum layer lisp(struct walk *w)
{
    return walk_take(w, 8) ? LAYER_IP : LAYER_STOP;
}

/* What a tunnel of this UDP port holds; LAYER_STOP if the port is not a tunnel's. */
static enum layer tunnel_by_port(struct walk *w, uint16_t port)
{
    switch (port) {
    case 1701: return l2tp(w);
    case 2152: return gtp_u(w);
    case 3544: return teredo(w);
    case 4341: return lisp(w);
    case 4754: return LAYER_GRE; /* RFC 8086 */
    case 8472:                   /* what Linux used before the port was assigned, and flannel still does */
    case 4789: return vxlan(w);
    case 4790: return vxlan_gpe(w);
    case 5247: return capwap_data(w);
    case 6081: return geneve(w);
    case 6635: return LAYER_MPLS; /* RFC 7510 */
    }
    return LAYER_STOP;
}

/* True for the ports above and few others: most packets need no closer look. */
static inline bool maybe_tunnel(uint16_t port)
{
    return port >= 1701 && port <= 8472;
}

static enum layer try_port(struct walk *w, uint16_t port)
{
    enum { UDP_HEADER = 8 };
    struct walk inner = *w;
    if (!maybe_tunnel(port) || !walk_take(&inner, UDP_HEADER))
        return LAYER_STOP;
    enum layer next = tunnel_by_port(&inner, port);
    if (next == LAYER_STOP || !walk_leads_to_ip(&inner, next))
        return LAYER_STOP;
    *w = inner;
    w->stats->tunnels++;
    return next;
}

enum layer tunnel_udp(struct walk *w)
{
    uint16_t from = walk_be16(w->p), to = walk_be16(w->p + 2);
    if (!maybe_tunnel(from) && !maybe_tunnel(to))
        return LAYER_STOP;
    enum layer inner = try_port(w, to);
    return inner != LAYER_STOP ? inner : try_port(w, from);
}
