/* One network interface that is captured, through libpcap: TPACKET_V3, so that the kernel hands over blocks of packets. One thread. */
#ifndef CAPTURE_LIVE_INTERFACE_H
#define CAPTURE_LIVE_INTERFACE_H

#include <net/if.h>
#include <pcap/pcap.h>

#include "capture/packet_source.h"

enum {
    LIVE_RETIRE_MS = 100,     /* the kernel hands over a block that is not full after so long */
    LIVE_MAX_SNAPLEN = 262144 /* as libpcap has it; the kernel's blocks hold no longer packets */
};

struct live_interface {
    const struct source_sink *sink;
    uint32_t number; /* the sink's; it must be set before anything is read */
    pcap_t *pcap;
    char name[IF_NAMESIZE];
    int index;         /* 0: "any" */
    uint16_t hardware; /* ARPHRD_ value, as it was when the interface was opened */
    uint32_t linktype; /* LINKTYPE_ value */
    uint32_t snaplen;
    uint64_t buffer_size; /* what the kernel gave */
    struct pcap_stat told;
};

/* Opens it, without a filter; nothing is given out yet. What of the kernel's memory cannot be had is done without, with a warning.
 * TD_E_DENIED: no right to. TD_E_RETRY: it is down, or has just gone. */
int live_interface_open(const char *name, const struct live_options *, const struct source_sink *, struct live_interface **ret,
                        struct error *err) MUST_CHECK;
void live_interface_close(struct live_interface *);
int live_interface_fd(const struct live_interface *);

/* From now on only packets that match `filter`; where own traffic makes no sense (a link without IP), those that match `user_filter`
 * alone. TD_E_CONFIG: that makes no sense for this link type either, and would match nothing. */
int live_interface_filter(struct live_interface *, const char *filter, const char *user_filter, struct error *err) MUST_CHECK;
/* Gives out at most `max` packets of those there are, straight from the kernel's memory; how many. TD_E_INTERNAL: the interface is gone,
 * or cannot be read. */
int live_interface_read(struct live_interface *, int max, struct error *err) MUST_CHECK;
/* What was counted since the last call. */
void live_interface_drops(struct live_interface *, struct source_drops *ret);

/* TD_OK, or TD_E_DENIED with what to do about it: may this process open packet sockets? */
int live_interface_allowed(struct error *err) MUST_CHECK;

#endif
