/* When capture was running, and when not: told from the summaries of segments in a row (ring_summaries(), or those of pins). */
#ifndef CAPTURE_COVERAGE_H
#define CAPTURE_COVERAGE_H

#include <stddef.h>

#include "capture/segment_summary.h"

/* First: makes covered_from_ns and covered_to_ns what they are at `now_ns`. A segment that is being written is covered until now.
 *
 * A capture that is replayed with its original times holds packets from long before its segments were written. Nobody asks for the hour in
 * which it was replayed, but for that in which it was captured: so where packets are far from the time in which their segment was written,
 * covered is from the first to the last of them. The first segment covers all of its packets, so that what is there can be asked for.
 * `replays`: that is what this worker does; segments without packets then cover nothing. */
void coverage_settle(struct segment_summary *v, size_t n, int64_t now_ns, bool replays);

/* Has it to do with [start, end)? */
bool coverage_reaches(const struct segment_summary *, int64_t start_ns, int64_t end_ns);

struct coverage {
    int64_t from_ns, to_ns; /* within the window; from >= to: not at all */
    uint64_t packets;       /* the rest is of all segments that reach into it */
    int64_t first_ns, last_ns;
    uint64_t dropped_by_kernel, dropped_by_interface, dropped_by_disk;
};

/* Of [start, end). When in a segment packets were dropped is not known: a segment that reaches into the window counts with all of its
 * drops, since too many are better told than too few. */
void coverage_of(const struct segment_summary *v, size_t n, int64_t start_ns, int64_t end_ns, struct coverage *ret);

/* Calls `tell` for each stretch of [start, end) between two of the segments in which nothing was captured; `gap`: enum segment_gap, or
 * GAP_NONE: segments are missing. */
void coverage_each_gap(const struct segment_summary *v, size_t n, int64_t start_ns, int64_t end_ns,
                       void (*tell)(void *ctx, int64_t from_ns, int64_t to_ns, uint32_t gap), void *ctx);

#endif
