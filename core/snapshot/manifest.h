/* The manifest of a snapshot: what it holds, of which window, from which nodes, and what is missing.
 *
 * It is written last, as <id>/manifest.json, and never changed: what has no manifest does not exist. Times are ns since 1970 UTC. */
#ifndef SNAPSHOT_MANIFEST_H
#define SNAPSHOT_MANIFEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
    MANIFEST_FORMAT = 1,
    MANIFEST_MAX_BYTES = 64 << 20,
    MANIFEST_MAX_NODES = 4096,
    MANIFEST_NAME = 128, /* with its zero; [a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])? */
    MANIFEST_ID = 40,    /* "20261123T135641Z-1f3a9c04": ascends with time */
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
    int64_t clock_offset_ns, clock_error_ns; /* its clock less the hub's, and by how much that may be wrong */
    uint64_t packets, captured_bytes;
    uint64_t dropped_by_kernel, dropped_by_interface, dropped_by_disk;
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
    uint64_t packets, bytes; /* of all objects */
    struct arena arena;      /* of everything above */
};

/* [a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?; anything else is refused, never mended. */
int manifest_check_name(const char *name, struct error *err) MUST_CHECK;
void manifest_new_id(int64_t now_ns, char out[MANIFEST_ID]);
bool manifest_is_id(const char *text);
/* The complete window on every node? If not, `reason` says in a line what is missing. */
bool manifest_is_whole(const struct manifest *, struct buf *reason);

void manifest_write(const struct manifest *, struct buf *ret);
/* Everything in it is checked: names, keys that stay below their node, numbers, sums. TD_E_CORRUPT with the place; TD_E_UNSUPPORTED: a
 * newer format. mem_free(*ret) after manifest_clear() is not needed: manifest_free(). */
int manifest_read(struct td_slice json, struct manifest **ret, struct error *err) MUST_CHECK;
void manifest_free(struct manifest *);

#endif
