/* Where packets come from: network interfaces through libpcap, or a capture file or fifo that is replayed.
 *
 * One thread runs a source and gets its packets in callbacks. */
#ifndef CAPTURE_PACKET_SOURCE_H
#define CAPTURE_PACKET_SOURCE_H

#include <stdbool.h>

#include "base/error.h"

struct source_interface {
    const char *name, *description, *filter; /* NULL: none */
    uint32_t linktype, snaplen;
};

struct source_drops {
    uint32_t iface;
    /* Since they were last told. `received` passed the filter and includes what the kernel dropped then, for want of room. */
    uint64_t received, by_kernel, by_interface;
};

/* Called from packet_source_run(), and up() and down() also from opening and packet_source_reconfigure(). Never from closing. */
struct source_sink {
    void *ctx;
    /* A number for packets of this interface; strings are only valid during the call. */
    int (*up)(void *ctx, const struct source_interface *, uint32_t *ret_iface, struct error *err);
    void (*down)(void *ctx, uint32_t iface, const char *why);
    /* The bytes are only valid during the call. */
    void (*packet)(void *ctx, uint32_t iface, int64_t time_ns, const uint8_t *bytes, uint32_t caplen, uint32_t len);
};

struct live_options {
    const char *const *interfaces; /* names, patterns with * and ?, or "any" */
    size_t interface_count;
    const char *filter;   /* in the language of tcpdump; "": all */
    uint32_t snaplen;     /* 0: whole packets */
    uint64_t buffer_size; /* bytes of the kernel's ring for each interface */
    bool promiscuous;
    const uint16_t *own_ports; /* TCP ports of this machine's own addresses whose traffic is left out (own_traffic.h) */
    size_t own_port_count;
};

enum file_pace { FILE_PACE_FULL, FILE_PACE_ORIGINAL };
enum file_times { FILE_TIMES_ORIGINAL, FILE_TIMES_NOW };

struct file_options {
    const char *path; /* a capture in any form that packet/capture.h reads, a fifo, "-" */
    enum file_pace pace;
    enum file_times
        times; /* NOW: shifted so that the first packet is captured now. A packet before the first time has that of its reading */
};

struct packet_source;

/* Live capture: opens what is there; it is no error that no interface matches yet, but a name without pattern that cannot be opened for
 * lack of rights is (TD_E_DENIED). Interfaces that come later are opened when they come, those that go are told. */
int packet_source_open_live(const struct live_options *, const struct source_sink *, struct packet_source **ret,
                            struct error *err) MUST_CHECK;
/* A file's faults are told at once; a fifo is opened and read by packet_source_run(), so that nothing waits for its writer here. */
int packet_source_open_file(const struct file_options *, const struct source_sink *, struct packet_source **ret,
                            struct error *err) MUST_CHECK;
void packet_source_close(struct packet_source *);

/* Gives out what is there, at most some thousand packets; waits for the first at most `timeout_ms`, or until packet_source_wake().
 * *ret_ended: a file's end. A damaged file fails (TD_E_CORRUPT) after the packets before the damage; a live source only if the sink does.
 */
int packet_source_run(struct packet_source *, int timeout_ms, bool *ret_ended, struct error *err) MUST_CHECK;
/* [any thread, or a signal handler] Ends the wait. */
void packet_source_wake(struct packet_source *);
/* Drops of every interface since the last call, at most `max` interfaces; how many. Those that did not fit come first next time. Once more
 * also for interfaces that went down since: what they dropped until their end. */
size_t packet_source_drops(struct packet_source *, struct source_drops *ret, size_t max);
/* New options for a live source (interfaces, filter, own ports); buffer size, snaplen and promiscuous mode hold for interfaces opened
 * later. An interface whose filter changes goes down and comes up with another number, without losing a packet. If it fails for the
 * options' sake (TD_E_CONFIG), the old ones hold. TD_E_UNSUPPORTED: a file. */
int packet_source_reconfigure(struct packet_source *, const struct live_options *, struct error *err) MUST_CHECK;

/* Tells what capturing with these options would meet: rights, interfaces, link types, the filter; one line each, `good` or not. TD_OK: it
 * can start; else why not. */
int packet_source_check(const struct live_options *, void (*tell)(void *ctx, bool good, const char *what), void *ctx,
                        struct error *err) MUST_CHECK;

#endif
