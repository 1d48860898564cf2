/* Could these bytes be DNS? Pure, for claiming connections and for finding the way back into a TCP stream.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_PLAUSIBLE_H
#define DNS_PLAUSIBLE_H

#include "dns_parse.h"

/* Multicast DNS (RFC 6762) and LLMNR (RFC 4795) share the format, but not all its rules. */
enum dns_variant { DNS_UNICAST, DNS_MULTICAST, DNS_LLMNR };

enum dns_ports { DNS_PORT = 53, DNS_NBNS_PORT = 137, DNS_NBDS_PORT = 138, DNS_MULTICAST_PORT = 5353, DNS_LLMNR_PORT = 5355 };

enum dns_score {
    DNS_NO = 0,
    DNS_WEAK = 25,      /* only on a port where DNS is expected */
    DNS_PLAUSIBLE = 50, /* right as far as it goes, but not whole, or with something behind it */
    DNS_STRONG = 75,
    DNS_CERTAIN = 100
};

/* A message of `whole` bytes, of which `message` shows the beginning. */
int dns_plausible(struct td_slice message, size_t whole, bool response, enum dns_variant variant);

/* Could this be the header of a message of `whole` bytes? Much weaker than the above. */
bool dns_header_possible(struct td_slice message, size_t whole);

/* Bytes from which dns_plausible_tcp and dns_find_frame can judge any message: length, header, the longest question. */
enum { DNS_FRAME_JUDGED = 2 + DNS_HEADER_SIZE + DNS_NAME_MAX + 4 };

/* The beginning of a TCP stream: messages after their length in two octets. As a probe: negative: show so many bytes. */
int dns_plausible_tcp(struct td_slice stream, bool response);

/* Finds a message in a stream after bytes of which nothing is known. Returns its position, with *ret_need 0; or how many
 * bytes can be dropped, with *ret_need how many after those are needed to go on. */
size_t dns_find_frame(struct td_slice stream, bool response, size_t *ret_need);

#endif
