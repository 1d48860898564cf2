/* Wireless LAN: radiotap and IEEE 802.11 data frames, as far as they are not encrypted. */
#ifndef PACKET_WLAN_H
#define PACKET_WLAN_H

#include "packet/walk.h"

enum layer wlan_radiotap(struct walk *w);
enum layer wlan_frame(struct walk *w);
/* A frame whose header the capturing radio padded to four bytes. */
enum layer wlan_frame_padded(struct walk *w);
/* A frame whose fields of two bytes are in the other order, as Cisco's access points send them to their controller. */
enum layer wlan_frame_swapped(struct walk *w);

#endif
