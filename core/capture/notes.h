/* The index of a segment while it is being written: what is noted of each packet on the capture path.
 *
 * For each packet the row of its key and where its block begins; for each stride of the segment its earliest and latest
 * time. Memory is taken once, when notes are made, and reused for the next segment. One thread adds; any number of
 * threads may read what was published.
 *
 * Keys are bounded, whatever the traffic: when half of the rows are taken, new keys forget the client's port, after three quarters
 * both ports, and when all are taken, packets go to one row of their link type of which nothing is known. So pruning gets coarser
 * and never wrong. */
#ifndef CAPTURE_NOTES_H
#define CAPTURE_NOTES_H

#include "capture/packet_key.h"
#include "capture/segment_summary.h"

enum {
    NOTES_STRIDE = 64 << 10,     /* bytes of a segment, at least, for which times are kept */
    NOTES_MAX_INTERFACES = 1024, /* of one segment */
    NOTES_MAX_ROWS = 65536
};

#define NOTES_MAX_SEGMENT ((uint64_t)4 << 30) /* bytes */

struct notes_interface { /* where its description block stands in the segment */
    uint32_t at, length; /* bytes */
    uint32_t linktype, snaplen;
};

struct notes_stride {
    uint64_t from;    /* offset of its first packet's block; it ends where the next begins */
    uint64_t packets; /* of the segment before it */
    int64_t first_ns, last_ns;
};

struct note { /* of a packet */
    uint32_t row;
    uint32_t place; /* of its block, in units of 4 bytes */
};

struct notes;

/* For segments of up to `segment_bytes` (at most 4 GiB; longer ones are cut off by notes_add()). Virtual memory of about a quarter of that;
 * only what was ever used for notes is real. NULL: out of memory. */
struct notes *notes_new(uint64_t segment_bytes);
void notes_free(struct notes *);
/* Empties them for another segment. No reader may be at work. */
void notes_reset(struct notes *);

/* [the writing thread] Interfaces get 0, 1, 2 ... in the order of their blocks. False: full. */
bool notes_add_interface(struct notes *, const struct notes_interface *);
/* [the writing thread] A packet whose block stands at `at` (a multiple of 4) and ends at `end`, at least 32 bytes behind. `at` never goes
 * back. False: full, or no such interface; the segment must end before this packet. */
bool notes_add(struct notes *, uint32_t iface, uint64_t at, uint64_t end, int64_t time_ns, const uint8_t *bytes, uint32_t caplen);
/* [the writing thread] Lets readers see what was added so far. */
void notes_publish(struct notes *);
/* [any] Packets published. */
uint64_t notes_count(const struct notes *);

/* ---- For the index ---- */

/* What has been noted, as numbers. */
struct notes_size {
    uint64_t packets, end; /* `end`: of the last packet's block */
    size_t rows, row_bytes /* of their keys, packed (segment_index_format.h) */, strides, interfaces;
};
/* [the writing thread] Published or not. */
void notes_size(const struct notes *, struct notes_size *ret);

/* What was published; stays valid until notes_reset(). Rows, strides and interfaces may be of later notes than the last one in `notes`. */
struct notes_view {
    const struct note *notes; /* in the order of places */
    size_t n;
    const struct packet_key *keys; /* of the rows */
    size_t rows;
    const struct notes_interface *interfaces;
    size_t interface_n;
    size_t strides;
    uint64_t end; /* of the last packet's block */
};
/* [any] */
void notes_view(const struct notes *, struct notes_view *ret);
/* [any] `i` below view.strides. Times may widen later, as packets are added to the last stride. */
struct notes_stride notes_stride(const struct notes *, size_t i);

#endif
