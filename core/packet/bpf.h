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
const char *bpf_expression(const struct bpf *);
bool bpf_match(struct bpf *, const struct packet *);

/* What is known of packets without having them. Bit by bit: where a bit of `mask` is 1, every one of those packets has the bit of
 * `bytes`. Nothing is known of the bytes behind `n`, nor whether a packet reaches that far. */
struct bpf_known {
    uint32_t linktype;
    const uint8_t *bytes, *mask;
    size_t n;
};
/* May one of those packets match? False is certain. Takes as long as the program has instructions. */
bool bpf_possible(struct bpf *, const struct bpf_known *);

#endif
