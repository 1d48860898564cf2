/* IPv4 (RFC 791), IPv6 (RFC 8200) with its extension headers, and the first look at TCP and UDP. */
#ifndef PACKET_IP_H
#define PACKET_IP_H

#include "packet/walk.h"

enum layer ip_header(struct walk *w);
enum layer ip_extension(struct walk *w);
enum layer ip_fragment(struct walk *w);
enum layer ip_authentication(struct walk *w);
enum layer ip_tcp(struct walk *w);
enum layer ip_udp(struct walk *w);

/* True if a whole IP header is there, its lengths are right, and they fit what is around it. */
bool ip_plausible(const struct walk *w);

#endif
