/* The packets of calls: a filter chooses calls of a dissection, and these their packets or their connections.
 *
 * Packets are known by their numbers, which a dissection counts over its captures in the order in which it reads them; that order is
 * also the one in which the sources are named here, so that numbers become exact places, whatever else is the same about two packets. Whole
 * connections are known by their two ends: every packet between these, on the node that the call was captured on, is one of them, also
 * of an earlier or later connection that used the same ports. */
#ifndef EXPORT_CALL_CHOICE_H
#define EXPORT_CALL_CHOICE_H

#include <stdatomic.h>

#include "export/select.h"
#include "filter/diagnostic.h"

enum { CALL_CHOICE_MAX_PACKETS = 32 << 20, CALL_CHOICE_MAX_CONNECTIONS = 8 << 20 };

struct call_choice_request {
    const char *store;        /* path of a call store */
    const char *filter;       /* KFL; NULL or "": every call */
    bool connections;         /* whole connections; else the calls' packets */
    int64_t start_ns, end_ns; /* of calls that began in [start, end); INT64_MIN, INT64_MAX: no bound */
    int64_t now_ns;           /* what "now" means in the filter */
    const uint64_t *packets;  /* how many each source has, in the order of the dissection */
    size_t source_count;
    const atomic_bool *cancel; /* NULL: never */
};

/* Of each source the one or the other. */
struct call_choice {
    struct select_frames *frames;        /* or NULL */
    struct connection_set **connections; /* or NULL */
    size_t source_count;
    uint64_t calls;  /* that match */
    uint64_t cut;    /* of these, those that do not know all their packets */
    uint64_t failed; /* calls that could not be judged, and are left out */
    uint64_t *numbers;
};

/* TD_E_CONFIG: the filter is wrong, of which `diagnostics` (which may be NULL) has the places. TD_E_LIMIT: too many. TD_E_CORRUPT: the
 * store is not of these sources. */
int call_choice_make(const struct call_choice_request *, struct call_choice *ret, struct filter_diagnostics *diagnostics,
                     struct error *err) MUST_CHECK;
void call_choice_clear(struct call_choice *);

#endif
