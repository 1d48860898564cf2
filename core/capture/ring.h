/* The segment ring: the raw capture on disk, bounded in bytes.
 *
 * A directory with numbered segments, each a pcapng file with its index beside it:
 *
 *     0000000042.pcapng        or .pcapng.zst, once it is compressed
 *     0000000042.idx           when it is sealed
 *     lock                     held by the worker that writes here
 *
 * The budget holds at every instant for all files in the directory, with the room that the open segment and its index may still take, with
 * what compressing takes meanwhile, and with recycled segments that somebody still reads. When there is no room the oldest segment is
 * recycled.
 *
 * A sealed segment gets a digest: the SHA-256 of its file as it is, which then stands in its index and in its summary, so that whoever
 * takes the file away need not make it. Of a compressed segment it is made while the file is written. Else the file has to be read again,
 * which costs about as much as capturing did: so it is done when capturing is calm, which is when in each of the last RING_CALM_SECONDS
 * seconds at most RING_CALM_BYTES of packets were appended, and given up in the middle when that ends. Under a lasting load segments stay
 * without.
 *
 * Threads: one writer (ring_append() and its like), and any number of readers. The ring has threads of its own that write blocks, seal,
 * compress and make digests. */
#ifndef CAPTURE_RING_H
#define CAPTURE_RING_H

#include "capture/segment.h"

struct ring;

struct ring_options {
    const char *dir;       /* made if it is not there */
    const char *node;      /* written into segments */
    uint64_t storage_size; /* the budget in bytes; at least RING_MIN_SEGMENTS segments */
    uint64_t segment_size; /* a segment ends before it gets longer; 0: chosen by the budget */
    int64_t segment_duration_ns;
    uint64_t min_free;     /* bytes of the file system that stay free */
    int compression_level; /* 0: none; 1 to 19 */
};

enum { RING_MIN_SEGMENTS = 4, RING_CALM_SECONDS = 3, RING_CALM_BYTES = 32 << 20 };

struct ring_interface {
    const char *name, *description, *filter; /* NULL: none */
    uint32_t linktype, snaplen;
};

/* Packets that did not make it into a segment since they were last told. */
struct ring_drops {
    uint32_t iface;
    uint64_t received; /* by the interface's counter, in the same time */
    uint64_t by_kernel, by_interface;
};

struct ring_stats {
    uint64_t packets;                                 /* appended, without those that the disk then did not take */
    uint64_t captured_bytes;                          /* appended */
    uint64_t written_bytes;                           /* to the disk */
    uint64_t dropped_by_disk;                         /* packets that could not be written */
    uint64_t waits;                                   /* times that the writer had to wait for the disk */
    uint64_t segments, bytes, reserved, pinned_bytes; /* what counts in the budget: bytes + reserved + pinned_bytes */
    uint64_t storage_size, segment_size;
    uint64_t recycled, revoked, recovered, rebuilt, compressed, hashed; /* segments, since the ring was opened */
    int64_t oldest_ns, newest_ns;                                       /* first and last packet; oldest > newest: none */
    const char *trouble;                                                /* NULL, or why it cannot write at the moment; a constant text */
    int trouble_errno;
};

/* Opens the ring for writing and recovers it: torn tails are cut at the last whole packet, missing and wrong indexes rebuilt, leftovers
 * removed. TD_E_EXISTS: another worker has it. */
int ring_open(const struct ring_options *, struct ring **ret, struct error *err) MUST_CHECK;
/* The ring of a directory as it is now, only for reading; nothing is changed. Segments that are not sealed are read up to their last whole
 * packet. */
int ring_open_read_only(const char *dir, struct ring **ret, struct error *err) MUST_CHECK;
/* Flushes, seals and closes. All segments must have been unpinned. */
void ring_close(struct ring *);

/* ---- Writing: one thread ---- */

/* A number for ring_append(). */
int ring_add_interface(struct ring *, const struct ring_interface *, uint32_t *ret_iface, struct error *err) MUST_CHECK;
/* It is gone; `why` is noted in the segment. */
void ring_remove_interface(struct ring *, uint32_t iface, const char *why);
/* Takes a copy. Waits while no buffer is free. What cannot be written is counted, not told. */
void ring_append(struct ring *, uint32_t iface, int64_t time_ns, const uint8_t *bytes, uint32_t caplen, uint32_t len);
/* Lets readers see everything that was appended; call it after each batch. */
void ring_publish(struct ring *);
/* Once a second or so: time limits, flushing of what waits in memory, drops. */
void ring_tick(struct ring *, int64_t now_ns, const struct ring_drops *, size_t n);
/* New limits; `dir` and `node` stay. */
void ring_reconfigure(struct ring *, const struct ring_options *);

/* ---- Reading: any thread ---- */

/* Pins the segments that have packets, or were capturing, in [start, end): oldest first. unpin each; mem_free(*ret). */
int ring_pin(struct ring *, int64_t start_ns, int64_t end_ns, struct segment ***ret, size_t *ret_n, struct error *err) MUST_CHECK;
/* One by its number. TD_E_NOT_FOUND: recycled, or never there. */
int ring_pin_one(struct ring *, uint64_t sequence, struct segment **ret, struct error *err) MUST_CHECK;
/* All of them, oldest first; mem_free(*ret). */
int ring_summaries(struct ring *, struct segment_summary **ret, size_t *ret_n, struct error *err) MUST_CHECK;
void ring_stats(struct ring *, struct ring_stats *ret);

#endif
