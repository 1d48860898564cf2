/* When capture was running: of live segments, of replayed ones, with gaps, and within a window. */
#include "capture/coverage.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "tap.h"

static const int64_t s_ns = NS_PER_S;

/* Covered and packets in seconds; packets from > to: none. */
static struct segment_summary segment(uint64_t sequence, int64_t from, int64_t to, int64_t first, int64_t last, uint32_t gap)
{
    bool packets = first <= last;
    return (struct segment_summary){.sequence = sequence,
                                    .packets = packets ? 10 : 0,
                                    .first_ns = packets ? first * s_ns : INT64_MAX,
                                    .last_ns = packets ? last * s_ns : INT64_MIN,
                                    .covered_from_ns = from * s_ns,
                                    .covered_to_ns = to == INT64_MAX ? INT64_MAX : to * s_ns,
                                    .dropped_by_kernel = 1,
                                    .dropped_by_interface = 10,
                                    .dropped_by_disk = 100,
                                    .gap = gap};
}

static void put_gap(void *ctx, int64_t from_ns, int64_t to_ns, uint32_t gap)
{
    char *text = ctx;
    size_t n = strlen(text);
    snprintf(text + n, 200 - n, "%s%lld-%lld:%u", n ? " " : "", (long long)(from_ns / s_ns), (long long)(to_ns / s_ns), gap);
}

static void check(const struct segment_summary *v, size_t n, int64_t start, int64_t end, int64_t from, int64_t to, unsigned segments,
                  const char *gaps, const char *name)
{
    struct coverage c;
    char text[200] = "";
    int64_t start_ns = start == INT64_MIN ? start : start * s_ns, end_ns = end == INT64_MAX ? end : end * s_ns;
    coverage_of(v, n, start_ns, end_ns, &c);
    if (from < to) {
        is_int(c.from_ns, from * s_ns, "%s: from", name);
        is_int(c.to_ns, to * s_ns, "%s: to", name);
    } else {
        ok(c.from_ns >= c.to_ns, "%s: nothing is covered", name);
    }
    ok(c.packets <= 10 * segments && c.dropped_by_kernel == segments && c.dropped_by_interface == 10 * segments &&
           c.dropped_by_disk == 100 * segments,
       "%s: drops of %u segments", name, segments);
    coverage_each_gap(v, n, start_ns, end_ns, put_gap, text);
    is_str(text, gaps, "%s: gaps", name);
}

static void test_live(void)
{
    struct segment_summary v[] = {segment(1, 1000, 1100, 1001, 1099, GAP_FIRST), segment(2, 1100, 1200, 1101, 1199, GAP_NONE),
                                  segment(3, 1300, 1400, 1399, 1399, GAP_STOPPED), segment(5, 1500, 1600, 1, 0, GAP_NONE),
                                  segment(6, 1600, INT64_MAX, 1601, 1602, GAP_NONE)};
    coverage_settle(v, 5, 1700 * s_ns, false);
    check(v, 5, INT64_MIN, INT64_MAX, 1000, 1700, 5, "1200-1300:2 1400-1500:0", "all");
    check(v, 5, 1050, 1150, 1050, 1150, 2, "", "within");
    check(v, 5, 1150, 1350, 1150, 1350, 2, "1200-1300:2", "over a gap");
    check(v, 5, 1220, 1280, 0, 0, 0, "1220-1280:2", "within a gap");
    check(v, 5, 1250, 1310, 1300, 1310, 1, "1250-1300:2", "from within a gap on");
    check(v, 5, 1520, 1530, 1520, 1530, 1, "", "a segment without packets covers its time");
    check(v, 5, 1700, 1800, 0, 0, 0, "", "what comes later");
    check(v, 5, 100, 200, 0, 0, 0, "", "what was before");
    check(v, 0, 100, 200, 0, 0, 0, "", "no segment");
}

/* First packets had waited in the kernel's buffer, and another is ahead of a clock that was put back a little. */
static void test_near(void)
{
    struct segment_summary v[] = {segment(1, 1000, 1100, 999, 999, GAP_FIRST), segment(2, 1100, 1200, 1099, 1205, GAP_NONE)};
    coverage_settle(v, 2, 1700 * s_ns, false);
    check(v, 2, INT64_MIN, INT64_MAX, 999, 1200, 2, "", "near: from the oldest packet on");
    is_int(v[1].covered_from_ns, 1100 * s_ns, "that is for the first segment alone: the one before covers what the next one waited for");
}

static void test_replayed(void)
{
    /* Replayed at 5000 and, after a restart, at 6000. */
    struct segment_summary v[] = {segment(1, 5000, 5001, 1, 0, GAP_FIRST), segment(2, 5001, 5002, 1000, 1100, GAP_NONE),
                                  segment(3, 5002, 5003, 1101, 1200, GAP_NONE), segment(4, 6000, INT64_MAX, 1, 0, GAP_STOPPED)};
    coverage_settle(v, 4, 7000 * s_ns, true);
    is_int(v[1].covered_to_ns, 1100 * s_ns + 1, "a replayed segment covers its packets");
    v[2].covered_to_ns = v[3].covered_from_ns = v[3].covered_to_ns = 1200 * s_ns; /* whole seconds, for what follows */
    check(v, 4, INT64_MIN, INT64_MAX, 1000, 1200, 2, "", "replayed");
    check(v, 4, 5000, 8000, 0, 0, 0, "", "and not when it was replayed");
    check(v, 4, 1150, 1300, 1150, 1200, 1, "", "within");
}

static void test_extremes(void)
{
    struct segment_summary v[] = {segment(1, 5000, 5001, 1000, 1001, GAP_FIRST), segment(2, 5000, 5001, 1000, 1001, GAP_FIRST)};
    v[0].first_ns = INT64_MIN;
    v[0].covered_from_ns = INT64_MAX;
    v[1].last_ns = INT64_MAX;
    v[1].covered_from_ns = INT64_MIN;
    v[1].covered_to_ns = INT64_MIN;
    coverage_settle(v, 2, 7000 * s_ns, true);
    struct coverage c;
    coverage_of(v, 2, INT64_MIN, INT64_MAX, &c);
    ok(c.from_ns == INT64_MIN && c.to_ns == INT64_MAX, "times from a damaged disk are only times");
}

int main(void)
{
    test_live();
    test_near();
    test_replayed();
    test_extremes();
    return tap_done();
}
