#include "ip.h"
#include "defrag.h"
#include "tunnel.h"

enum { /* protocol numbers: IANA */
       PROTOCOL_HOP_BY_HOP = 0,
       PROTOCOL_IPV4 = 4,
       PROTOCOL_TCP = 6,
       PROTOCOL_UDP = 17,
       PROTOCOL_IPV6 = 41,
       PROTOCOL_ROUTING = 43,
       PROTOCOL_FRAGMENT = 44,
       PROTOCOL_GRE = 47,
       PROTOCOL_ESP = 50,
       PROTOCOL_AH = 51,
       PROTOCOL_NO_NEXT_HEADER = 59,
       PROTOCOL_DESTINATION_OPTIONS = 60,
       PROTOCOL_ETHERIP = 97,
       PROTOCOL_MOBILITY = 135,
       PROTOCOL_MPLS = 137,
       PROTOCOL_HIP = 139,
       PROTOCOL_SHIM6 = 140
};

enum { IPV4_HEADER = 20, IPV6_HEADER = 40, TCP_HEADER = 20, UDP_HEADER = 8 };

/* The layer that a protocol number, or an extension header's type, announces. */
static inline enum layer protocol_layer(struct walk *w, uint8_t protocol)
{
    w->protocol = protocol;
    switch (protocol) {
    case PROTOCOL_TCP: return LAYER_TCP;
    case PROTOCOL_UDP: return LAYER_UDP;
    case PROTOCOL_IPV4:
    case PROTOCOL_IPV6: w->stats->tunnels++; return LAYER_IP;
    case PROTOCOL_GRE: return LAYER_GRE;
    case PROTOCOL_ETHERIP: return LAYER_ETHERIP;
    case PROTOCOL_MPLS: w->stats->tunnels++; return LAYER_MPLS;
    case PROTOCOL_AH: return LAYER_AUTHENTICATION;
    case PROTOCOL_ESP: return walk_stop(w, DECODE_ENCRYPTED);
    }
    if (w->ip_version != 6)
        return walk_stop(w, DECODE_TRANSPORT);
    switch (protocol) {
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_DESTINATION_OPTIONS:
    case PROTOCOL_MOBILITY:
    case PROTOCOL_HIP:
    case PROTOCOL_SHIM6: return LAYER_IPV6_EXTENSION;
    case PROTOCOL_FRAGMENT: return LAYER_IPV6_FRAGMENT;
    }
    return walk_stop(w, DECODE_TRANSPORT);
}

/* Hands the rest of the walk's bytes to the defragmenter, and walks on in the whole packet once it is there. */
static enum layer reassemble(struct walk *w, struct defrag_fragment *fragment)
{
    /* What the snaplen cut cannot be put together; but the first fragment tells at least the ports. */
    if (w->caplen < w->len)
        return fragment->offset == 0 ? protocol_layer(w, fragment->protocol) : walk_stop(w, DECODE_TRUNCATED);
    /* All but the last are multiples of eight bytes; what is more, the next fragment brings again. */
    if (fragment->more)
        walk_cut(w, w->len & ~7u);
    uint32_t max = w->ip_version == 4 ? UINT16_MAX - IPV4_HEADER : UINT16_MAX;
    if (w->len == 0 || w->len > max || fragment->offset > max - w->len)
        return walk_stop(w, DECODE_MALFORMED);

    struct decode_datagram *around = w->datagram; /* fragments inside of a packet that was in fragments itself */
    fragment->ip_version = w->ip_version;
    fragment->ip = w->ip;
    fragment->data = td_bytes(w->p, w->len);
    fragment->time_ns = w->packet->time_ns;
    fragment->frames = around ? around->frames : &w->packet->frame;
    fragment->frame_count = around ? around->frame_count : 1;
    struct td_slice whole;
    w->datagram = defrag_add(w->defrag, fragment, &whole);
    if (around)
        block_unref(&around->block);
    if (!w->datagram)
        return walk_stop(w, DECODE_FRAGMENT);
    w->p = whole.p;
    w->caplen = w->len = (uint32_t)whole.n;
    return LAYER_IP;
}

static enum layer fragment_v4(struct walk *w, uint16_t flags_and_offset)
{
    struct defrag_fragment fragment = {
        .protocol = w->ip[9],
        .id = walk_be16(w->ip + 4),
        .offset = (flags_and_offset & 0x1fffu) * 8u,
        .more = flags_and_offset & 0x2000,
    };
    return reassemble(w, &fragment);
}

static inline enum layer header_v4(struct walk *w)
{
    const uint8_t *h = w->p;
    if (w->caplen < IPV4_HEADER)
        return walk_stop_short(w, IPV4_HEADER);
    uint32_t header = (h[0] & 0x0fu) * 4, total = walk_be16(h + 2);
    if (total == 0) /* left to the network card, which segments the packet later */
        total = w->len;
    if (header < IPV4_HEADER || total < header)
        return walk_stop(w, DECODE_MALFORMED);
    /* A packet longer than what is around it was cut somewhere: the missing part is known to be missing. */
    w->len = total;
    if (w->caplen > total)
        w->caplen = total;
    if (!walk_take(w, header))
        return LAYER_STOP;
    w->ip = h;
    w->ip_version = 4;
    uint16_t flags_and_offset = walk_be16(h + 6);
    if (flags_and_offset & 0x3fff)
        return fragment_v4(w, flags_and_offset);
    return protocol_layer(w, h[9]);
}

/* The length that a jumbogram's hop-by-hop option gives (RFC 2675 section 2); 0 if there is none. */
static uint32_t jumbo_length(struct walk options)
{
    enum { OPTION_PAD1 = 0, OPTION_JUMBO = 0xc2 };
    const uint8_t *h = walk_take(&options, 2);
    if (!h)
        return 0;
    walk_cut(&options, h[1] * 8u + 6);
    while (options.caplen > 0) { /* each round takes a byte or more */
        uint8_t type = *walk_take(&options, 1);
        if (type == OPTION_PAD1)
            continue;
        h = walk_take(&options, 1);
        if (!h)
            break;
        const uint8_t *value = walk_take(&options, h[0]);
        if (!value)
            break;
        if (type == OPTION_JUMBO && h[0] == 4)
            return walk_be32(value);
    }
    return 0;
}

static enum layer header_v6(struct walk *w)
{
    const uint8_t *h = walk_take(w, IPV6_HEADER);
    if (!h)
        return LAYER_STOP;
    uint32_t payload = walk_be16(h + 4);
    if (payload == 0 && h[6] == PROTOCOL_HOP_BY_HOP)
        payload = jumbo_length(*w);
    if (payload == 0 && h[6] != PROTOCOL_NO_NEXT_HEADER) /* left to the network card, as in IPv4 */
        payload = w->len;
    w->len = payload;
    if (w->caplen > payload)
        w->caplen = payload;
    w->ip = h;
    w->ip_version = 6;
    return protocol_layer(w, h[6]);
}

enum layer ip_header(struct walk *w)
{
    if (w->caplen == 0)
        return walk_stop_short(w, 1);
    switch (w->p[0] >> 4) {
    case 4: return header_v4(w);
    case 6: return header_v6(w);
    }
    return walk_stop(w, DECODE_MALFORMED);
}

enum layer ip_extension(struct walk *w)
{
    if (w->caplen < 8)
        return walk_stop_short(w, 8);
    const uint8_t *h = walk_take(w, 8u + w->p[1] * 8u);
    return h ? protocol_layer(w, h[0]) : LAYER_STOP;
}

enum layer ip_fragment(struct walk *w)
{
    const uint8_t *h = walk_take(w, 8);
    if (!h)
        return LAYER_STOP;
    uint16_t offset_and_flags = walk_be16(h + 2);
    if (!(offset_and_flags & 0xfff9)) /* an atomic fragment is a whole packet (RFC 6946) */
        return protocol_layer(w, h[0]);
    struct defrag_fragment fragment = {
        .protocol = h[0],
        .id = walk_be32(h + 4),
        .offset = offset_and_flags & 0xfff8u,
        .more = offset_and_flags & 1,
    };
    return reassemble(w, &fragment);
}

/* RFC 4302 section 2: its length counts words, without the first two. */
enum layer ip_authentication(struct walk *w)
{
    if (w->caplen < 12)
        return walk_stop_short(w, 12);
    uint32_t length = (w->p[1] + 2u) * 4;
    if (length < 12)
        return walk_stop(w, DECODE_MALFORMED);
    const uint8_t *h = walk_take(w, length);
    return h ? protocol_layer(w, h[0]) : LAYER_STOP;
}

enum layer ip_tcp(struct walk *w)
{
    if (w->caplen < TCP_HEADER)
        return walk_stop_short(w, TCP_HEADER);
    uint32_t header = (w->p[12] >> 4) * 4u;
    return walk_stop(w, header < TCP_HEADER || header > w->len ? DECODE_MALFORMED : DECODE_OK);
}

enum layer ip_udp(struct walk *w)
{
    if (w->caplen < UDP_HEADER)
        return walk_stop_short(w, UDP_HEADER);
    uint32_t length = walk_be16(w->p + 4);
    if (length != 0 && length < UDP_HEADER) /* 0: a jumbogram */
        return walk_stop(w, DECODE_MALFORMED);
    enum layer inner = tunnel_udp(w);
    return inner != LAYER_STOP ? inner : walk_stop(w, DECODE_OK);
}

bool ip_plausible(const struct walk *w)
{
    if (w->caplen >= IPV4_HEADER && w->p[0] >> 4 == 4) {
        uint32_t header = (w->p[0] & 0x0fu) * 4, total = walk_be16(w->p + 2);
        return header >= IPV4_HEADER && total >= header && total <= w->len;
    }
    if (w->caplen >= IPV6_HEADER && w->p[0] >> 4 == 6)
        return IPV6_HEADER + (uint32_t)walk_be16(w->p + 4) <= w->len;
    return false;
}
