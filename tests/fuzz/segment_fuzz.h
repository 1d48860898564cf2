/* For the fuzzers of segments: choices by several filters and windows, which must be well formed whatever they are made of. */
#ifndef FUZZ_SEGMENT_FUZZ_H
#define FUZZ_SEGMENT_FUZZ_H

#include <stdlib.h>

#include "base/mem.h"
#include "capture/segment_index.h"

static inline void fuzz_choice(struct segment_index *x, int64_t start_ns, int64_t end_ns, struct bpf *filter, uint64_t bytes)
{
    struct segment_choice c = {0};
    struct error err;
    if (segment_index_choose(x, start_ns, end_ns, filter, &c, &err) != TD_OK)
        return;
    if (c.from > c.to || c.to > bytes || (c.placed && c.n != c.packets) || (!c.placed && c.n))
        abort();
    for (size_t i = 0; i < c.n; i++)
        if ((uint64_t)c.places[i] * 4 < c.from || (uint64_t)c.places[i] * 4 >= c.to || (i && c.places[i] <= c.places[i - 1]))
            abort();
    mem_free(c.places);
}

/* `bytes`: of the segment. */
static inline void fuzz_choices(struct segment_index *x, uint64_t bytes)
{
    static const char *const filters[] = {"host 10.0.0.1", "tcp port 80 or udp port 53", "ip6 and vlan", "not tcp"};
    enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };
    static struct bpf *compiled[FILTERS]; /* compiling is much slower than choosing */
    struct error err;
    for (size_t i = 0; i <= FILTERS; i++) {
        if (i < FILTERS && !compiled[i] && bpf_compile(filters[i], &compiled[i], &err) != TD_OK)
            abort();
        struct bpf *filter = i < FILTERS ? compiled[i] : NULL;
        fuzz_choice(x, INT64_MIN, INT64_MAX, filter, bytes);
        fuzz_choice(x, 1000000000, 1000010000, filter, bytes);
        fuzz_choice(x, 1000010000, INT64_MAX, filter, bytes);
        fuzz_choice(x, INT64_MAX, INT64_MIN, filter, bytes);
    }
}

#endif
