/* Filter expressions as tcpdump has them (pcap-filter(7)), compiled by libpcap.
 *
 * A program depends on the link type, so an expression is compiled once for each that is met. Matching is safe from
 * several threads; compiling (bpf_program_for) is for one. Names of hosts in an expression are looked up by libpcap. */
#ifndef PACKET_BPF_H
#define PACKET_BPF_H

#include "base/error.h"
#include "packet/packet.h"

struct bpf;
struct bpf_program; /* libpcap's */

/* Checks the expression by compiling it for `linktype`. An error shows it with a caret under the fault, as far as
 * libpcap lets that be known. */
int bpf_new(const char *expression, uint32_t linktype, struct bpf **ret, struct error *err) MUST_CHECK;
void bpf_free(struct bpf *);
/* The program for a link type, compiled when first asked for; lives as long as the bpf. */
int bpf_program_for(struct bpf *, uint32_t linktype, const struct bpf_program **ret, struct error *err) MUST_CHECK;
bool bpf_match(const struct bpf_program *, const struct packet *);

#endif
