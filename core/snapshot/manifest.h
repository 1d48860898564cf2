/* The manifest of a snapshot: what it holds, of which window, from which nodes, and what is missing.
 *
 * It is written last, as <id>/manifest.json, and never changed: what has no manifest does not exist. Times are ns since 1970 UTC.
 *
 * The file is JSON (RFC 8259), format 1. All fields are there; readers skip those that they do not know. Times are RFC 3339 in UTC with
 * nine digits of fraction, sizes and counts plain numbers up to 2^63 - 1, digests 64 hexadecimal digits in lower case.
 *
 *     format          1
 *     id, name        of the snapshot; the id is also where it lies
 *     version         of the hub that made it
 *     created         when it was asked for
 *     completed       when its last byte was there
 *     start, end      the window that was asked for: [start, end)
 *     imported        true: from an archive or a foreign capture
 *     packets         of all nodes
 *     bytes           of all objects, without this file
 *     nodes           by name (bytes ascending), for each:
 *       node          its name
 *       version       of its worker; null: not known
 *       state         "complete", "partial", "missing"
 *       reason        what is missing, and why; null: nothing is
 *       covered_from, covered_to    within the window, capture was running: [from, to); equal: not at all
 *       clock_offset_ns             its clock less the hub's
 *       clock_error_ns              by how much that may be wrong; null: it is not known at all
 *       packets, captured_bytes     of its segments
 *       dropped_by_kernel, dropped_by_interface, dropped_by_disk    packets, while the segments of the window were captured
 *       context       {key, bytes, sha256}: "<node>/context.pcapng", what is known besides the packets: a pcapng without packets, with
 *                     blocks of addresses' names in the order in which they became known; not there: nothing is
 *       gaps          within the covered time nothing is there: [{start, end, reason}], ascending
 *       segments      by sequence, for each:
 *         sequence
 *         trimmed     true: cut at an end of the window; false: as the worker had it
 *         packets, captured_bytes
 *         first, last   times of its earliest and latest packet; null: it has none
 *         data        {key, bytes, sha256}: "<node>/<sequence>.pcapng" or "<node>/<sequence>.pcapng.zst"
 *         index       the same: "<node>/<sequence>.idx"
 *
 * Keys are below the snapshot's prefix, "<id>/"; sequences in them have ten digits or more. */
#ifndef SNAPSHOT_MANIFEST_H
#define SNAPSHOT_MANIFEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
    MANIFEST_FORMAT = 1,
    MANIFEST_MAX_BYTES = 64 << 20,
    MANIFEST_MAX_NODES = 4096,
    MANIFEST_MAX_NODE = 200, /* bytes of a node's name, which is also a folder's */
    MANIFEST_NAME = 128,     /* with its zero; [a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])? */
    MANIFEST_ID = 40,        /* "20261123T135641Z-1f3a9c04": ascends with time */
    MANIFEST_SHA256 = 32
};

struct manifest_object {
    const char *key; /* below the snapshot's prefix: "node-1/0000000042.pcapng" */
    uint64_t bytes;
    uint8_t sha256[MANIFEST_SHA256];
};

struct manifest_segment {
    uint64_t sequence;
    bool trimmed; /* cut at an end of the window; else as the worker had it */
    struct manifest_object data, index;
    uint64_t packets, captured_bytes;
    int64_t first_ns, last_ns; /* of its packets; without packets INT64_MAX, INT64_MIN */
};

struct manifest_gap {
    int64_t start_ns, end_ns;
    const char *reason;
};

enum manifest_node_state {
    MANIFEST_NODE_COMPLETE, /* the whole window */
    MANIFEST_NODE_PARTIAL,  /* part of it: see covered_from_ns, covered_to_ns, reason */
    MANIFEST_NODE_MISSING   /* nothing: see reason */
};

struct manifest_node {
    const char *name;
    const char *version;                     /* of its worker */
    const char *reason;                      /* NULL: nothing is missing */
    uint32_t state;                          /* enum manifest_node_state */
    int64_t covered_from_ns, covered_to_ns;  /* within the window, capture was running; equal: not at all */
    int64_t clock_offset_ns, clock_error_ns; /* its clock less the hub's, and by how much that may be wrong; INT64_MAX: not known */
    uint64_t packets, captured_bytes;
    uint64_t dropped_by_kernel, dropped_by_interface, dropped_by_disk;
    struct manifest_object context; /* key NULL: there is none */
    struct manifest_gap *gaps;
    size_t gap_count;
    struct manifest_segment *segments; /* by sequence */
    size_t segment_count;
};

struct manifest {
    char id[MANIFEST_ID], name[MANIFEST_NAME];
    const char *version; /* of the hub that made it */
    int64_t created_ns, completed_ns;
    int64_t start_ns, end_ns;    /* asked for: [start, end) */
    bool imported;               /* from an archive or a foreign capture */
    struct manifest_node *nodes; /* by name */
    size_t node_count;
    uint64_t packets, bytes; /* of all objects: manifest_sum() */
    struct arena arena;      /* of everything above */
};

/* [a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?; anything else is refused, never mended. */
int manifest_check_name(const char *name, struct error *err) MUST_CHECK;
/* UTF-8 without slashes and control characters, at most MANIFEST_MAX_NODE bytes, no dot in front; neither "dissections" nor
 * "manifest.json". */
int manifest_check_node(const char *node, struct error *err) MUST_CHECK;
/* A copy of UTF-8 text that is cut, where it is too long, between characters. */
void manifest_cut_text(char *out, size_t n, const char *text);
void manifest_new_id(int64_t now_ns, char out[MANIFEST_ID]);
bool manifest_is_id(const char *text);

/* An empty one, to be filled; what it points to comes from its arena. NULL: out of memory. */
struct manifest *manifest_new(void);
void manifest_free(struct manifest *);
/* "<node>/<sequence>.pcapng", ".pcapng.zst" or ".idx", from the arena. NULL: out of memory. */
enum manifest_object_kind { MANIFEST_PCAPNG, MANIFEST_PCAPNG_ZST, MANIFEST_INDEX };
const char *manifest_key(struct manifest *, const char *node, uint64_t sequence, enum manifest_object_kind);
/* "<node>/context.pcapng" */
#define MANIFEST_CONTEXT "context.pcapng"
const char *manifest_context_key(struct manifest *, const char *node);
/* Sorts nodes and segments, and adds up what the nodes and the whole have of packets and bytes. */
void manifest_sum(struct manifest *);
/* The complete window on every node, and at least one packet? If not, a line that says what is missing is appended to `reason`, which may
 * be NULL. */
bool manifest_is_whole(const struct manifest *, struct buf *reason);

/* Appends the file. */
void manifest_write(const struct manifest *, struct buf *ret);
/* Everything in it is checked: names, keys that stay below their node, numbers, sums. TD_E_CORRUPT with the place; TD_E_UNSUPPORTED: a
 * newer format; TD_E_LIMIT: it would take too much memory. manifest_free(*ret). */
int manifest_read(struct td_slice json, struct manifest **ret, struct error *err) MUST_CHECK;

#endif
