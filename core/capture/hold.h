/* Holds: windows of the raw capture that somebody is going to fetch. Their segments stay pinned until they are let go, or until nobody has
 * used the hold for a while; the ring goes on and may still take away what it has recycled, if pins alone fill its budget (segment.h).
 *
 * Any thread. A thread of its own lets go what has expired. */
#ifndef CAPTURE_HOLD_H
#define CAPTURE_HOLD_H

#include "capture/ring.h"

enum { HOLDS_MAX = 64, HOLD_ID = 48, HOLD_EXPIRES_S = 120 };

struct holds;

/* Constant but for what is the table's own. */
struct hold {
    char id[HOLD_ID];
    int64_t start_ns, end_ns;  /* [start, end) */
    struct segment **segments; /* by sequence; to be read through segment_share() */
    size_t n;
    struct holds *holds;
    uint64_t number; /* the rest is guarded by its lock */
    unsigned users;
    int64_t used_ns; /* CLOCK_MONOTONIC */
    bool ended;
};

/* `expires_ns`: so long without use. */
int holds_new(struct ring *, int64_t expires_ns, struct holds **ret, struct error *err) MUST_CHECK;
/* Lets go all of them; nobody uses one any more. NULL is fine. */
void holds_free(struct holds *);
size_t holds_count(struct holds *);

/* Pins the segments that have packets, or were capturing, in [start, end); `replays`: see coverage_settle(). It is in use until
 * hold_done(). TD_E_LIMIT: there are HOLDS_MAX. */
int holds_add(struct holds *, int64_t start_ns, int64_t end_ns, bool replays, struct hold **ret, struct error *err) MUST_CHECK;
/* It is in use, and does not expire, until hold_done(). TD_E_NOT_FOUND: never there; TD_E_CANCELLED: it has expired, or was let go. */
int holds_use(struct holds *, const char *id, struct hold **ret, struct error *err) MUST_CHECK;
/* Renews it. */
void hold_done(struct hold *);
/* Ends it; who uses it goes on. Errors as holds_use(). */
int holds_end(struct holds *, const char *id, struct error *err) MUST_CHECK;

#endif
