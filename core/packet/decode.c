#include "decode.h"

#include "base/mem.h"
#include "defrag.h"
#include "ip.h"
#include "link.h"
#include "linktype.h"
#include "tunnel.h"
#include "walk.h"
#include "wlan.h"

struct decoder {
    struct defrag *defrag;
    struct decode_stats stats;
};

static enum layer (*const strip[LAYER_COUNT])(struct walk *) = {
    [LAYER_IP] = ip_header,
    [LAYER_IPV6_EXTENSION] = ip_extension,
    [LAYER_IPV6_FRAGMENT] = ip_fragment,
    [LAYER_AUTHENTICATION] = ip_authentication,
    [LAYER_TCP] = ip_tcp,
    [LAYER_UDP] = ip_udp,
    [LAYER_ETHERNET] = link_ethernet,
    [LAYER_VLAN] = link_vlan,
    [LAYER_VN_TAG] = link_vn_tag,
    [LAYER_CISCO_META_DATA] = link_cisco_meta_data,
    [LAYER_BACKBONE_TAG] = link_backbone_tag,
    [LAYER_FABRIC_PATH] = link_fabric_path,
    [LAYER_LLC] = link_llc,
    [LAYER_SNAP] = link_snap,
    [LAYER_MPLS] = link_mpls,
    [LAYER_PPPOE] = link_pppoe,
    [LAYER_PPP] = link_ppp,
    [LAYER_CISCO_HDLC] = link_cisco_hdlc,
    [LAYER_FRAME_RELAY] = link_frame_relay,
    [LAYER_NULL] = linktype_null,
    [LAYER_SLL] = linktype_sll,
    [LAYER_SLL2] = linktype_sll2,
    [LAYER_PPP_DIRECTION] = linktype_ppp_direction,
    [LAYER_PFLOG] = linktype_pflog,
    [LAYER_ENC] = linktype_enc,
    [LAYER_IPNET] = linktype_ipnet,
    [LAYER_NFLOG] = linktype_nflog,
    [LAYER_PKTAP] = linktype_pktap,
    [LAYER_PPI] = linktype_ppi,
    [LAYER_FDDI] = linktype_fddi,
    [LAYER_TOKEN_RING] = linktype_token_ring,
    [LAYER_IPOIB] = linktype_ipoib,
    [LAYER_MPACKET] = linktype_mpacket,
    [LAYER_SWITCH_TAG] = linktype_switch_tag,
    [LAYER_RADIOTAP] = wlan_radiotap,
    [LAYER_WLAN] = wlan_frame,
    [LAYER_WLAN_PADDED] = wlan_frame_padded,
    [LAYER_WLAN_SWAPPED] = wlan_frame_swapped,
    [LAYER_GRE] = tunnel_gre,
    [LAYER_ETHERIP] = tunnel_etherip,
    [LAYER_NSH] = tunnel_nsh,
};

struct decoder *decoder_new(size_t max_memory)
{
    struct decoder *d = mem_calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->defrag = defrag_new(max_memory, &d->stats);
    if (!d->defrag) {
        mem_free(d);
        return NULL;
    }
    return d;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    defrag_free(d->defrag);
    mem_free(d);
}

bool walk_leads_to_ip(const struct walk *w, enum layer next)
{
    enum { MAX_LINK_LAYERS = 8 };
    struct walk ahead = *w;
    struct decode_stats ignored = {0};
    ahead.stats = &ignored;
    for (unsigned layers = 0; layers < MAX_LINK_LAYERS && next != LAYER_STOP; layers++) {
        if (next == LAYER_IP)
            return ip_plausible(&ahead);
        next = strip[next](&ahead);
    }
    return false;
}

enum decode_skip decode_packet(struct decoder *d, const struct packet *packet, struct decoded *ret)
{
    struct walk w = {
        .p = packet->p,
        .caplen = packet->caplen,
        .len = packet->len,
        .packet = packet,
        .defrag = d->defrag,
        .stats = &d->stats,
    };
    enum layer next = linktype_layer(&w, packet->linktype);
    for (unsigned layers = 0; layers < DECODE_MAX_LAYERS && next != LAYER_STOP; layers++)
        next = strip[next](&w);
    enum decode_skip skip = next == LAYER_STOP ? w.skip : DECODE_NESTING;
    if (skip != DECODE_OK) {
        d->stats.skipped[skip]++;
        if (w.datagram)
            block_unref(&w.datagram->block);
        return skip;
    }
    ret->ip = w.ip;
    ret->l4 = w.p;
    ret->l4_caplen = w.caplen;
    ret->l4_len = w.len;
    ret->ip_version = w.ip_version;
    ret->transport = w.protocol;
    ret->datagram = w.datagram;
    return DECODE_OK;
}

const struct decode_stats *decoder_stats(const struct decoder *d)
{
    return &d->stats;
}

const char *decode_skip_name(enum decode_skip skip)
{
    switch (skip) {
    case DECODE_OK: return "decoded";
    case DECODE_LINKTYPE: return "unsupported link type";
    case DECODE_TRUNCATED: return "cut by the snapshot length";
    case DECODE_MALFORMED: return "malformed";
    case DECODE_NOT_IP: return "not IP";
    case DECODE_TRANSPORT: return "neither TCP nor UDP";
    case DECODE_ENCRYPTED: return "encrypted";
    case DECODE_FRAGMENT: return "fragment of a datagram";
    case DECODE_NESTING: return "too many layers";
    case DECODE_SKIP_COUNT: break;
    }
    return "unknown";
}
