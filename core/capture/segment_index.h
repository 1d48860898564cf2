/* The index of a sealed segment: a file beside it, and the choice of the bytes that a window needs.
 *
 * It holds the segment's summary, where its interfaces are described, the times of each stride, the keys of its packets
 * (packet_key.h) and for each key the places of its packets. Everything is little-endian and guarded by checksums, and yet only a
 * hint: what it points to must be a packet's block, and it belongs to a segment of exactly the size that it names.
 * An index that is not right is rebuilt from its segment, never trusted.
 *
 * Layout: segment_index_format.h. */
#ifndef CAPTURE_SEGMENT_INDEX_H
#define CAPTURE_SEGMENT_INDEX_H

#include "base/buf.h"
#include "base/error.h"
#include "capture/notes.h"
#include "packet/bpf.h"

/* Bytes of a pcapng segment, wherever they are. As segment_read(). */
struct segment_bytes {
    void *ctx;
    int (*read)(void *ctx, uint64_t offset, void *p, size_t n, struct error *err);
    uint64_t size;
};

struct segment_frames; /* capture/frames.h: how a compressed segment is laid out */
struct segment_index;

/* ---- Making ---- */

/* Appends the file's bytes. `frames`: NULL for a segment that is not compressed. Cost: about that of sorting the notes by key. */
int segment_index_write(const struct notes *, const struct segment_summary *, const struct segment_frames *frames, struct buf *ret,
                        struct error *err) MUST_CHECK;
/* The same file again with another summary, which differs in what is told of the segment's file and not in what is in it. */
int segment_index_rewrite(const struct segment_index *, const struct segment_summary *, struct buf *ret, struct error *err) MUST_CHECK;
/* An upper bound for the bytes of the index of what has been noted so far, to be kept free in the budget. [the writing thread] */
uint64_t segment_index_bound(const struct notes *);

/* Reads a whole segment, block by block, into `notes` (empty) and *ret. *ret_end is the end of the last whole block: everything
 * behind it is torn or foreign, and *ret counts only what stands before it. Drops and coverage come from the statistics blocks and,
 * where they tell nothing, from the packets; sequence, gap and recovered are left alone. TD_E_CORRUPT: not even a section header. */
int segment_index_scan(const struct segment_bytes *, struct notes *notes, struct segment_summary *ret, uint64_t *ret_end,
                       struct error *err) MUST_CHECK;

/* ---- Using ---- */

/* Reads and checks a file; parts are read when they are needed, so `fd` must stay open as long (it stays the caller's). TD_E_CORRUPT,
 * TD_E_UNSUPPORTED (a newer version): rebuild it. */
int segment_index_open(int fd, struct segment_index **ret, struct error *err) MUST_CHECK;
/* The same for a segment that is being written; sees what is published at that moment and later. */
int segment_index_of_notes(const struct notes *, struct segment_index **ret, struct error *err) MUST_CHECK;
void segment_index_close(struct segment_index *);
/* Reads all of a file, so that later uses find no damage. TD_E_CORRUPT */
int segment_index_check(struct segment_index *, struct error *err) MUST_CHECK;

const struct segment_summary *segment_index_summary(const struct segment_index *); /* of a file; NULL for notes */
const struct segment_frames *segment_index_frames(const struct segment_index *);   /* NULL: not compressed */
const struct notes_interface *segment_index_interfaces(const struct segment_index *, size_t *ret_n);

/* Where the packets of a window can be. */
struct segment_choice {
    uint64_t from, to; /* bytes [from, to) hold all of them, in whole blocks; from == to: there is none */
    bool placed;       /* `places` names them one by one; otherwise: any block from `from` to `to` */
    uint32_t *places;  /* of their blocks, in units of 4 bytes, ascending; mem_free() it */
    size_t n;
    uint64_t packets; /* how many at most */
};

/* For packets of [start, end) that `filter` (NULL: all) may match. Places are not named if that would spare little. */
int segment_index_choose(struct segment_index *, int64_t start_ns, int64_t end_ns, struct bpf *filter, struct segment_choice *ret,
                         struct error *err) MUST_CHECK;
/* The nearest place known at or before packet `number`, which counts from 0: the offset of a packet's block, and how many packets stand
 * before it. Behind the last packet it is the place nearest to the end; TD_E_NOT_FOUND: there is no packet. */
int segment_index_locate(struct segment_index *, uint64_t number, uint64_t *ret_at, uint64_t *ret_before, struct error *err) MUST_CHECK;

#endif
