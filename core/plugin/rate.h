/* How often something may be said: RATE_EVENTS in a window of RATE_WINDOW_NS, the rest is counted. */
#ifndef PLUGIN_RATE_H
#define PLUGIN_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"

enum { RATE_EVENTS = 10 };
static const int64_t RATE_WINDOW_NS = 10ll * NS_PER_S;

/* Zeroed: nothing was said yet. */
struct rate {
    int64_t window_start_ns;
    uint32_t admitted, suppressed;
};

/* May it be said at `now_ns`, of a clock that does not jump? *ret_suppressed: how many were not since the last that was; tell
 * it along. */
static inline bool rate_admit(struct rate *rate, int64_t now_ns, uint32_t *ret_suppressed)
{
    if (now_ns - rate->window_start_ns >= RATE_WINDOW_NS || (!rate->admitted && !rate->suppressed)) {
        rate->window_start_ns = now_ns;
        rate->admitted = 0;
    }
    if (rate->admitted == RATE_EVENTS) {
        rate->suppressed++;
        return false;
    }
    rate->admitted++;
    *ret_suppressed = rate->suppressed;
    rate->suppressed = 0;
    return true;
}

#endif
