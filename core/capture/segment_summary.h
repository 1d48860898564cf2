/* A segment in a few numbers: what boundaries, windows and statistics need to know without opening it. */
#ifndef CAPTURE_SEGMENT_SUMMARY_H
#define CAPTURE_SEGMENT_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

/* Why there is a gap between a segment and the one before it; 0: there is none. Stands in files. */
enum segment_gap {
    GAP_NONE = 0,
    GAP_FIRST,   /* nothing before it: the first of its ring */
    GAP_STOPPED, /* the worker was stopped and started again */
    GAP_KILLED,  /* the worker ended without sealing the segment before */
    GAP_DISK,    /* nothing could be written: disk full, input/output error */
    GAP_COUNT
};

enum { SEGMENT_SHA256 = 32 /* bytes */ };

struct segment_summary {
    uint64_t sequence;
    uint64_t bytes; /* of the pcapng, not compressed */
    uint64_t packets;
    uint64_t captured_bytes, original_bytes; /* of the packets */
    int64_t first_ns, last_ns;               /* earliest and latest packet; without packets INT64_MAX, INT64_MIN */
    int64_t covered_from_ns, covered_to_ns;  /* capture was running from, to (exclusive) */
    uint64_t dropped_by_kernel, dropped_by_interface, dropped_by_disk; /* packets */
    uint32_t gap;                                                      /* enum segment_gap: before it */
    uint32_t recovered;                                                /* 1: its end was cut after a crash */
    bool hashed;                                                       /* false: not yet */
    uint8_t sha256[SEGMENT_SHA256];                                    /* of its file as it is, compressed or not */
};

/* "the worker was killed" ... */
const char *segment_gap_name(uint32_t gap);

#endif
