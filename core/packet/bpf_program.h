/* A filter as libpcap compiled it for one link type: what bpf.c keeps and bpf_possible.c reasons about. */
#ifndef PACKET_BPF_PROGRAM_H
#define PACKET_BPF_PROGRAM_H

#include <pcap/pcap.h>
#include <stdbool.h>

#include "packet/bpf.h"

struct bpf_paths; /* working memory of bpf_possible() */

struct bpf_compiled {
    uint32_t linktype;
    bool usable; /* false: the expression cannot be compiled for this link type */
    struct bpf_program code;
    struct bpf_paths *paths; /* NULL until it is first needed */
};

/* As long as the filter lives. NULL: too many link types. */
struct bpf_compiled *bpf_compiled_for(struct bpf *, uint32_t linktype);

#endif
