/* Addresses and networks as values. Strict: no zones (fe80::1%eth0), no leading zeros, and no IPv4 address dressed up as an IPv6
 * one (::ffff:192.0.2.1), which would be equal to another without being it. */
#ifndef FILTER_NETWORK_H
#define FILTER_NETWORK_H

#include "filter/value.h"

/* An IP or a CIDR ("10.0.0.0/8"; bits behind the prefix are kept), its bytes in the arena; or an ERROR. */
struct filter_value filter_ip_parse(struct arena *arena, struct td_slice text);
struct filter_value filter_cidr_parse(struct arena *arena, struct td_slice text);
/* Are the first `n` bits the same? */
bool filter_same_prefix(const uint8_t *a, const uint8_t *b, unsigned n);

#endif
