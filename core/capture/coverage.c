#include "capture/coverage.h"

#include "base/units.h"

/* Packets may have waited in the kernel's buffer, and clocks are corrected; a replayed capture is further away than this. */
static const uint64_t near_ns = 10 * (uint64_t)NS_PER_S;

static bool long_before(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns && (uint64_t)b_ns - (uint64_t)a_ns > near_ns;
}

static bool is_far(const struct segment_summary *s)
{
    return s->packets && (long_before(s->last_ns, s->covered_from_ns) || long_before(s->covered_to_ns, s->first_ns));
}

/* Segments without packets shrink to an instant beside those that have some. */
static void settle_empty(struct segment_summary *v, size_t n)
{
    size_t first = 0;
    while (first < n && !v[first].packets)
        first++;
    if (first == n)
        return;
    for (size_t i = 0; i < n; i++)
        if (!v[i].packets)
            v[i].covered_from_ns = v[i].covered_to_ns = i < first ? v[first].covered_from_ns : v[i - 1].covered_to_ns;
}

void coverage_settle(struct segment_summary *v, size_t n, int64_t now_ns, bool replays)
{
    for (size_t i = 0; i < n; i++) {
        struct segment_summary *s = &v[i];
        if (s->covered_to_ns == INT64_MAX)
            s->covered_to_ns = now_ns;
        if (is_far(s)) {
            s->covered_from_ns = s->first_ns;
            s->covered_to_ns = s->last_ns < INT64_MAX ? s->last_ns + 1 : INT64_MAX;
        }
    }
    /* It was opened when its first packets were in the kernel's buffer already. Else the segment before it covers that time. */
    if (n && v[0].packets && v[0].first_ns < v[0].covered_from_ns)
        v[0].covered_from_ns = v[0].first_ns;
    if (replays)
        settle_empty(v, n);
}

bool coverage_reaches(const struct segment_summary *s, int64_t start_ns, int64_t end_ns)
{
    bool packets = s->packets && s->first_ns < end_ns && s->last_ns >= start_ns;
    return packets || (s->covered_from_ns < s->covered_to_ns && s->covered_from_ns < end_ns && s->covered_to_ns > start_ns);
}

void coverage_of(const struct segment_summary *v, size_t n, int64_t start_ns, int64_t end_ns, struct coverage *ret)
{
    struct coverage c = {.from_ns = INT64_MAX, .to_ns = INT64_MIN, .first_ns = INT64_MAX, .last_ns = INT64_MIN};
    for (size_t i = 0; i < n; i++) {
        const struct segment_summary *s = &v[i];
        if (!coverage_reaches(s, start_ns, end_ns))
            continue;
        int64_t from_ns = s->covered_from_ns > start_ns ? s->covered_from_ns : start_ns;
        int64_t to_ns = s->covered_to_ns < end_ns ? s->covered_to_ns : end_ns;
        if (from_ns < to_ns) {
            c.from_ns = from_ns < c.from_ns ? from_ns : c.from_ns;
            c.to_ns = to_ns > c.to_ns ? to_ns : c.to_ns;
        }
        c.packets += s->packets;
        c.first_ns = s->first_ns < c.first_ns ? s->first_ns : c.first_ns;
        c.last_ns = s->last_ns > c.last_ns ? s->last_ns : c.last_ns;
        c.dropped_by_kernel += s->dropped_by_kernel;
        c.dropped_by_interface += s->dropped_by_interface;
        c.dropped_by_disk += s->dropped_by_disk;
    }
    *ret = c;
}

/* Capture began with the segment, or with a packet that had waited in the kernel's buffer. */
static int64_t gap_end(const struct segment_summary *before, const struct segment_summary *after)
{
    bool waited = after->first_ns >= before->covered_to_ns && after->first_ns < after->covered_from_ns;
    return waited ? after->first_ns : after->covered_from_ns;
}

void coverage_each_gap(const struct segment_summary *v, size_t n, int64_t start_ns, int64_t end_ns,
                       void (*tell)(void *ctx, int64_t from_ns, int64_t to_ns, uint32_t gap), void *ctx)
{
    for (size_t i = 1; i < n; i++) {
        bool missing = v[i].sequence != v[i - 1].sequence + 1; /* somebody has removed what was between them */
        int64_t from_ns = v[i - 1].covered_to_ns, to_ns = gap_end(&v[i - 1], &v[i]);
        from_ns = from_ns > start_ns ? from_ns : start_ns;
        to_ns = to_ns < end_ns ? to_ns : end_ns;
        if ((v[i].gap || missing) && to_ns > from_ns)
            tell(ctx, from_ns, to_ns, v[i].gap);
    }
}
