/* Link types of captures, and the headers that the capturing system, not the network, put in front of packets.
 * Numbers: the link-layer header types registered at tcpdump.org.
 *
 * Each function strips one header from the walk and names the layer below. */
#ifndef PACKET_LINKTYPE_H
#define PACKET_LINKTYPE_H

#include "packet/walk.h"

/* The first layer of packets of a link type. LAYER_STOP, with the walk's `skip` set, if it is not supported. */
enum layer linktype_layer(struct walk *w, uint32_t linktype);

enum layer linktype_null(struct walk *w);
enum layer linktype_sll(struct walk *w);
enum layer linktype_sll2(struct walk *w);
enum layer linktype_ppp_direction(struct walk *w);
enum layer linktype_pflog(struct walk *w);
enum layer linktype_enc(struct walk *w);
enum layer linktype_ipnet(struct walk *w);
enum layer linktype_nflog(struct walk *w);
enum layer linktype_pktap(struct walk *w);
enum layer linktype_ppi(struct walk *w);
enum layer linktype_fddi(struct walk *w);
enum layer linktype_token_ring(struct walk *w);
enum layer linktype_ipoib(struct walk *w);
enum layer linktype_mpacket(struct walk *w);
enum layer linktype_switch_tag(struct walk *w);

#endif
