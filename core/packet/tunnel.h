/* Tunnels over IP and over UDP whose inner packets are dissected in their stead. */
#ifndef PACKET_TUNNEL_H
#define PACKET_TUNNEL_H

#include "packet/walk.h"

enum layer tunnel_gre(struct walk *w);
enum layer tunnel_etherip(struct walk *w);
enum layer tunnel_nsh(struct walk *w);

/* The walk stands at a captured UDP header. If a port is that of a tunnel and the payload proves to be one, strips
 * both headers and says what is inside; otherwise changes nothing and returns LAYER_STOP. Tunnel ports may well carry
 * something else: they are in the range of clients' ports. */
enum layer tunnel_udp(struct walk *w);

#endif
