/* A worker's answer to POST /api/v1/holds: what it holds of a window, pinned for us.
 *
 * It comes from elsewhere and is checked: names of files are those of segments and nothing else, numbers have limits, times lie within
 * the window. Whether it is true is another matter. */
#ifndef SNAPSHOT_OFFER_H
#define SNAPSHOT_OFFER_H

#include "snapshot/manifest.h"

enum {
    OFFER_MAX_BYTES = 32 << 20, /* of the answer */
    OFFER_MAX_SEGMENTS = 65536,
    OFFER_MAX_GAPS = 4096,
    OFFER_ID = 80,
    OFFER_VERSION = 64,
    OFFER_PATH = 4096,
    OFFER_REASON = 160
};

struct offer_segment {
    uint64_t sequence;
    bool whole; /* else only the next one is told */
    uint64_t estimated_bytes;
    bool compressed;
    uint64_t inode, bytes, index_inode, index_bytes; /* inode 0: not told */
    bool hashed;
    uint8_t sha256[MANIFEST_SHA256];
    uint64_t packets, captured_bytes;
    int64_t first_ns, last_ns; /* without packets INT64_MAX, INT64_MIN */
};

struct offer_gap {
    int64_t start_ns, end_ns;
    char reason[OFFER_REASON];
};

struct offer {
    char id[OFFER_ID], node[MANIFEST_MAX_NODE + 1], version[OFFER_VERSION];
    int64_t now_ns, expires_s;
    char directory[OFFER_PATH]; /* "": not told */
    uint64_t device;
    int64_t covered_from_ns, covered_to_ns; /* within the window; equal: not at all */
    uint64_t dropped_by_kernel, dropped_by_interface, dropped_by_disk;
    struct offer_gap *gaps;
    size_t gap_count;
    struct offer_segment *segments; /* by sequence */
    size_t segment_count;
};

/* TD_E_CORRUPT: it is none. *ret is to be cleared; it is left alone on errors. */
int offer_parse(struct td_slice json, int64_t start_ns, int64_t end_ns, struct offer *ret, struct error *err) MUST_CHECK;
void offer_clear(struct offer *);
/* NULL: it has none of this number. */
const struct offer_segment *offer_find(const struct offer *, uint64_t sequence);

/* "now" of any answer of a worker that has it. */
bool offer_parse_now(struct td_slice json, int64_t *ret_ns);
/* What a worker's raw capture covers, from its data boundaries. False: nothing, or it cannot be understood. */
bool offer_parse_boundaries(struct td_slice json, int64_t *ret_from_ns, int64_t *ret_to_ns);

#endif
