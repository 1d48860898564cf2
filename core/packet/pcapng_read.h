/* The pcapng format (draft-ietf-opsawg-pcapng): sections in either byte order, interfaces with their own clocks, enhanced,
 * simple and obsolete packet blocks; names and decryption secrets are kept, statistics, custom and unknown blocks
 * are skipped.
 *
 * A packet whose time nanoseconds in 64 bits cannot hold (before 1677, after 2262) counts as one without a time.
 * Resolutions finer than a nanosecond are rounded down. */
#ifndef PACKET_PCAPNG_READ_H
#define PACKET_PCAPNG_READ_H

#include "packet/input.h"
#include "packet/packet.h"
#include "packet/tables.h"

enum { PCAPNG_MAX_BLOCK = 17 << 20 }; /* bytes; a longer block is damage */

/* How an interface counts: time in ns = ticks * multiply / divide + offset. */
struct pcapng_clock {
    uint64_t multiply, divide;
    int64_t offset_s;
    uint32_t snaplen;
    uint16_t linktype;
};

struct pcapng_reader {
    bool big; /* of this section */
    bool in_section;
    uint32_t section;            /* from 0 */
    size_t first_interface;      /* of this section, among all */
    struct pcapng_clock *clocks; /* of this section's interfaces */
    size_t clock_count, clock_cap;
    int64_t last_time_ns;
    uint64_t frames; /* packets given out */
    struct tables *tables;
    struct error fault; /* what ended the reading; status TD_OK: nothing */
};

bool pcapng_detect(struct td_slice head);
/* Reads up to the end of the first section header. */
int pcapng_open(struct pcapng_reader *, struct input *, struct tables *, struct error *err) MUST_CHECK;
void pcapng_close(struct pcapng_reader *);
/* As capture_read(). */
int pcapng_read(struct pcapng_reader *, struct input *, struct packet *, size_t max, struct error *err) MUST_CHECK;

#endif
