#include "capture/segment_summary.h"

const char *segment_gap_name(uint32_t gap)
{
    switch (gap) {
    case GAP_NONE: return "no gap";
    case GAP_FIRST: return "the raw capture begins here";
    case GAP_STOPPED: return "the worker was stopped";
    case GAP_KILLED: return "the worker was killed";
    case GAP_DISK: return "nothing could be written to the disk";
    default: return "unknown";
    }
}
