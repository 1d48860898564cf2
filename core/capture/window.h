/* A window of the raw capture: the packets of [start, end), of those a filter wants, as one pcapng stream.
 *
 * The stream has a section for each segment that has packets in it. A sealed segment that lies wholly inside the window and is not filtered
 * is given out byte for byte; of the others the section header and the interfaces are given as they are, with a comment that
 * says what was cut and what was dropped, and then the packets' blocks as they are. Order is that of the capture. The ring
 * goes on meanwhile; what arrives after window_open() is not in the window.
 *
 * One thread. */
#ifndef CAPTURE_WINDOW_H
#define CAPTURE_WINDOW_H

#include "capture/ring.h"

struct window_request {
    int64_t start_ns, end_ns; /* [start, end) */
    const char *filter;       /* in the language of tcpdump; NULL or "": all */
};

struct window_stats {
    uint64_t segments, segments_whole;
    uint64_t packets; /* given out */
    uint64_t bytes;   /* of the stream */
    uint64_t bytes_read;
    uint64_t bytes_done, bytes_all; /* of the segments, for progress: those done with, and all */
};

struct window;

/* TD_E_CONFIG: the filter is wrong, or end is before start. A window that the raw capture does not reach has no packets. */
int window_open(struct ring *, const struct window_request *, struct window **ret, struct error *err) MUST_CHECK;
/* Of this segment alone, through a pin of its own; without packets of the window an empty section. */
int window_open_segment(const struct segment *, const struct window_request *, struct window **ret, struct error *err) MUST_CHECK;
/* Of these only the packets with such numbers, counted from 1 over all segments that are there, oldest first; ascending. They stay the
 * caller's until window_close(). */
int window_open_packets(struct ring *, const struct window_request *, const uint64_t *numbers, size_t n, struct window **ret,
                        struct error *err) MUST_CHECK;
void window_close(struct window *);
/* Up to `n` bytes of the stream (as many as there are at hand, at least 1); *ret_n is 0 at its end. TD_E_NOT_FOUND: a segment was recycled
 * meanwhile, which the text names; the stream is not whole. */
int window_read(struct window *, void *p, size_t n, size_t *ret_n, struct error *err) MUST_CHECK;
const struct window_stats *window_stats(const struct window *);

/* Sealed, and all its packets are of the window. */
bool window_has_whole(const struct segment_summary *, enum segment_state, int64_t start_ns, int64_t end_ns);
/* About how many bytes of it the window has. */
int window_estimate(const struct segment *, int64_t start_ns, int64_t end_ns, uint64_t *ret_bytes, struct error *err) MUST_CHECK;

/* What a window is made of, for those who take segments as they are. */
struct window_piece {
    struct segment_summary summary;
    enum segment_state state;
    uint64_t file_bytes;
    bool whole; /* sealed and wholly inside: all its packets are of the window */
};
/* Of the segments that overlap [start, end), oldest first. mem_free(*ret). */
int window_pieces(struct ring *, int64_t start_ns, int64_t end_ns, struct window_piece **ret, size_t *ret_n, struct error *err) MUST_CHECK;

#endif
