/* Packet filters in the language of tcpdump (pcap-filter(7)), compiled by libpcap once for each link type.
 *
 * A filter is used by one thread at a time. Names of hosts in an expression are looked up by libpcap. */
#ifndef PACKET_BPF_H
#define PACKET_BPF_H

#include "base/error.h"
#include "packet/packet.h"

struct bpf;

/* Checks the expression for Ethernet and for link types with words of their own; the error shows it with a caret under the
 * fault, as far as libpcap lets that be known. Other link types are compiled when they are met; one on which the expression
 * makes no sense (ports on a link without IP) matches nothing, with a warning. */
int bpf_compile(const char *expression, struct bpf **ret, struct error *err) MUST_CHECK;
void bpf_free(struct bpf *);
bool bpf_match(struct bpf *, const struct packet *);

#endif
