/* Link headers that hold a protocol number: Ethernet with its tags, LLC/SNAP, MPLS, PPP and its relatives.
 * Each function strips one header from the walk and names the layer below. */
#ifndef PACKET_LINK_H
#define PACKET_LINK_H

#include "packet/walk.h"

enum layer link_ethernet(struct walk *w);
enum layer link_vlan(struct walk *w);
enum layer link_vn_tag(struct walk *w);
enum layer link_cisco_meta_data(struct walk *w);
enum layer link_backbone_tag(struct walk *w);
enum layer link_fabric_path(struct walk *w);
enum layer link_llc(struct walk *w);
enum layer link_snap(struct walk *w);
enum layer link_mpls(struct walk *w);
enum layer link_pppoe(struct walk *w);
enum layer link_ppp(struct walk *w);
enum layer link_cisco_hdlc(struct walk *w);
enum layer link_frame_relay(struct walk *w);

/* The layer that an EtherType, or a length in its place, announces. */
enum layer link_ethertype(struct walk *w, uint16_t type);

#endif
