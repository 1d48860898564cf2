/* What a segment says of its interfaces: how they are described, and what was counted on them while it was captured.
 *
 * One thread. */
#ifndef CAPTURE_SEGMENT_INTERFACES_H
#define CAPTURE_SEGMENT_INTERFACES_H

#include "base/arena.h"
#include "capture/segment.h"

struct segment_interface {
    const char *name, *description, *filter; /* NULL: none */
    uint32_t linktype;
    uint32_t snaplen; /* 0: unlimited */
    bool counted;     /* what follows is told: by the last statistics of it in the segment */
    int64_t start_ns, end_ns;
    uint64_t received, dropped_by_interface, dropped_by_kernel;
};

/* In the order of their numbers in the segment. All of it is in the arena. */
int segment_interfaces(struct segment *, struct arena *, struct segment_interface **ret, size_t *ret_n, struct error *err) MUST_CHECK;

#endif
