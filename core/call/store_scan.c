/* Calls of many chunks in the order of time, or chunk by chunk.
 *
 * Chunks are opened in the order of their first (or last) time, and only once that time is reached. What an open chunk holds
 * is a bitmap of the rows that are wanted, and the times of the next few of them; the chunk itself is let go. So many chunks may
 * wait at once, as when one call of each lasted long. */
#include <stdlib.h>

#include "base/mem.h"
#include "call/store_reader.h"

enum { WINDOW = 64 };

struct waiting {
    uint32_t index; /* of the chunk */
    uint64_t first_id;
    uint32_t rest;  /* rows not looked at yet: from here on, or below */
    uint32_t at, n; /* of the window */
    uint16_t rows[WINDOW];
    int64_t times[WINDOW];
    uint64_t bits[CHUNK_BITS];
};

struct store_scan {
    struct store *store;
    struct store_scan_options options;
    struct store_position after;
    uint32_t *order; /* chunks by the time at which they are reached */
    uint32_t chunk_n, next;
    struct waiting **heap; /* the next to come is at 0 */
    uint32_t heap_n, heap_cap;
    struct waiting *spare;
};

/* ---- Order ---- */

static int compare_first(const void *a, const void *b, void *ctx)
{
    const struct store_chunk *chunks = ctx, *x = &chunks[*(const uint32_t *)a], *y = &chunks[*(const uint32_t *)b];
    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static int compare_last(const void *a, const void *b, void *ctx)
{
    const struct store_chunk *chunks = ctx, *x = &chunks[*(const uint32_t *)a], *y = &chunks[*(const uint32_t *)b];
    if (x->last_ns != y->last_ns)
        return x->last_ns > y->last_ns ? -1 : 1;
    return x->number > y->number ? -1 : 1;
}

static int compare_number(const void *a, const void *b, void *ctx)
{
    const struct store_chunk *chunks = ctx, *x = &chunks[*(const uint32_t *)a], *y = &chunks[*(const uint32_t *)b];
    return x->number < y->number ? -1 : 1;
}

static struct store_position head(const struct waiting *w)
{
    return (struct store_position){w->times[w->at], w->first_id + w->rows[w->at]};
}

/* Does `a` come before `b`? */
static bool comes_before(const struct store_scan *scan, struct store_position a, struct store_position b)
{
    if (scan->options.as_found)
        return a.id < b.id;
    if (!scan->options.oldest_first) {
        struct store_position swap = a;
        a = b;
        b = swap;
    }
    return a.time_ns != b.time_ns ? a.time_ns < b.time_ns : a.id < b.id;
}

static void sift_down(struct store_scan *scan, uint32_t i)
{
    for (;;) {
        uint32_t best = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < scan->heap_n; child++)
            if (comes_before(scan, head(scan->heap[child]), head(scan->heap[best])))
                best = child;
        if (best == i)
            return;
        struct waiting *swap = scan->heap[i];
        scan->heap[i] = scan->heap[best];
        scan->heap[best] = swap;
        i = best;
    }
}

static void sift_up(struct store_scan *scan, uint32_t i)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (!comes_before(scan, head(scan->heap[i]), head(scan->heap[parent])))
            return;
        struct waiting *swap = scan->heap[i];
        scan->heap[i] = scan->heap[parent];
        scan->heap[parent] = swap;
        i = parent;
    }
}

/* ---- Life ---- */

int store_scan_new(struct store *s, const struct store_scan_options *o, struct store_scan **ret, struct error *err)
{
    struct store_scan *scan = mem_calloc(1, sizeof(*scan));
    if (!scan)
        return error_nomem(err);
    *scan = (struct store_scan){.store = s, .options = *o, .chunk_n = s->chunk_n};
    if (o->after) {
        scan->after = *o->after;
        scan->options.after = &scan->after;
    }
    if (o->from_ns == 0 && o->to_ns == 0) {
        scan->options.from_ns = INT64_MIN;
        scan->options.to_ns = INT64_MAX;
    }
    scan->order = mem_calloc(s->chunk_n, sizeof(*scan->order));
    if (!scan->order) {
        mem_free(scan);
        return error_nomem(err);
    }
    for (uint32_t i = 0; i < s->chunk_n; i++)
        scan->order[i] = i;
    if (o->as_found)
        scan->options.oldest_first = true; /* within a chunk it is the same */
    qsort_r(scan->order, s->chunk_n, sizeof(*scan->order),
            o->as_found       ? compare_number
            : o->oldest_first ? compare_first
                              : compare_last,
            s->chunks);
    *ret = scan;
    return TD_OK;
}

void store_scan_free(struct store_scan *scan)
{
    if (!scan)
        return;
    for (uint32_t i = 0; i < scan->heap_n; i++)
        mem_free(scan->heap[i]);
    mem_free(scan->heap);
    mem_free(scan->spare);
    mem_free(scan->order);
    mem_free(scan);
}

/* ---- Rows of a chunk ---- */

/* The first row at or after a time (and, at that very time, an id). */
static uint32_t first_row(const struct chunk *c, const struct chunk_lanes *times, int64_t time_ns, uint64_t id)
{
    uint32_t low = 0, high = c->rows;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int64_t time = chunk_number(times, middle);
        if (time < time_ns || (time == time_ns && chunk_first_id(c) + middle < id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The rows that lie in the times asked for. */
static int find_range(const struct store_scan *scan, struct chunk *c, uint32_t *ret_from, uint32_t *ret_to, struct error *err)
{
    const struct store_scan_options *o = &scan->options;
    const struct chunk_lanes *times;
    uint32_t row;
    *ret_from = 0;
    *ret_to = c->rows;
    bool reaches = !o->as_found && o->after && c->first_ns <= o->after->time_ns && c->last_ns >= o->after->time_ns;
    if (o->as_found && o->after && o->after->id >> CHUNK_ROW_BITS == c->number)
        *ret_from = (uint32_t)(o->after->id & ((1u << CHUNK_ROW_BITS) - 1)) + 1;
    if (c->first_ns >= o->from_ns && (c->last_ns < o->to_ns || o->to_ns == INT64_MAX) && !reaches)
        return TD_OK;
    int status = chunk_times(c, &times, err);
    if (status != TD_OK)
        return status;
    row = first_row(c, times, o->from_ns, 0);
    *ret_from = row > *ret_from ? row : *ret_from;
    if (o->to_ns != INT64_MAX)
        *ret_to = first_row(c, times, o->to_ns, 0);
    if (!reaches)
        return TD_OK;
    row = first_row(c, times, o->after->time_ns, o->after->id + (o->oldest_first ? 1 : 0));
    if (o->oldest_first)
        *ret_from = row > *ret_from ? row : *ret_from;
    else
        *ret_to = row < *ret_to ? row : *ret_to;
    return TD_OK;
}

static void set_bits(uint64_t *bits, uint32_t from, uint32_t to)
{
    memset(bits, 0, CHUNK_BITS * sizeof(*bits));
    for (uint32_t i = from; i < to && i % 64; i++)
        bits[i / 64] |= 1ull << (i % 64);
    uint32_t at = from % 64 ? (from | 63) + 1 : from;
    for (; at + 64 <= to; at += 64)
        bits[at / 64] = ~0ull;
    for (; at < to; at++)
        bits[at / 64] |= 1ull << (at % 64);
}

static bool any_bit(const uint64_t *bits, uint32_t rows)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < (rows + 63) / 64; i++)
        all |= bits[i];
    return all != 0;
}

/* The rows that come next, and their times. */
static int fill_window(const struct store_scan *scan, struct waiting *w, struct chunk *c, struct error *err)
{
    const struct chunk_lanes *times;
    int status = chunk_times(c, &times, err);
    if (status != TD_OK)
        return status;
    w->at = w->n = 0;
    while (w->n < WINDOW && (scan->options.oldest_first ? w->rest < c->rows : w->rest > 0)) {
        uint32_t row = scan->options.oldest_first ? w->rest++ : --w->rest;
        if (!(w->bits[row / 64] >> (row % 64) & 1))
            continue;
        w->rows[w->n] = (uint16_t)row;
        w->times[w->n++] = chunk_number(times, row);
    }
    return TD_OK;
}

/* What of a chunk is wanted; nothing, if *ret_any is false. */
static int examine(struct store_scan *scan, struct waiting *w, struct chunk *c, bool *ret_any, struct error *err)
{
    uint32_t from, to;
    *ret_any = false;
    int status = find_range(scan, c, &from, &to, err);
    if (status != TD_OK || from >= to)
        return status;
    set_bits(w->bits, from, to);
    if (scan->options.select) {
        status = scan->options.select(scan->options.ctx, c, w->bits, err);
        if (status != TD_OK || !any_bit(w->bits, c->rows))
            return status;
    }
    w->first_id = chunk_first_id(c);
    w->rest = scan->options.oldest_first ? from : to;
    status = fill_window(scan, w, c, err);
    *ret_any = w->n > 0;
    return status;
}

/* ---- Scanning ---- */

static bool out_of_range(const struct store_scan *scan, const struct store_chunk *c)
{
    const struct store_scan_options *o = &scan->options;
    if (c->last_ns < o->from_ns || (c->first_ns >= o->to_ns && o->to_ns != INT64_MAX))
        return true;
    if (o->after && o->as_found)
        return c->number < o->after->id >> CHUNK_ROW_BITS;
    return o->after && (o->oldest_first ? c->last_ns < o->after->time_ns : c->first_ns > o->after->time_ns);
}

static bool push(struct store_scan *scan, struct waiting *w)
{
    if (scan->heap_n == scan->heap_cap) {
        uint32_t cap = scan->heap_cap ? 2 * scan->heap_cap : 16;
        struct waiting **heap = mem_realloc(scan->heap, cap * sizeof(struct waiting *));
        if (!heap)
            return false;
        scan->heap = heap;
        scan->heap_cap = cap;
    }
    scan->heap[scan->heap_n++] = w;
    sift_up(scan, scan->heap_n - 1);
    return true;
}

/* After an error it is the next one still. */
static int open_chunk(struct store_scan *scan, uint32_t index, struct error *err)
{
    struct chunk *c;
    bool any;
    struct waiting *w = scan->spare ? scan->spare : mem_alloc(sizeof(*w));
    scan->spare = w;
    if (!w)
        return error_nomem(err);
    int status = store_chunk(scan->store, index, &c, err);
    if (status != TD_OK)
        return status;
    w->index = index;
    status = examine(scan, w, c, &any, err);
    if (status == TD_OK && any) {
        store_release(scan->store, c);
        if (!push(scan, w))
            return error_nomem(err);
        scan->spare = NULL;
    } else {
        store_drop(scan->store, c);
    }
    return status;
}

static int open_next(struct store_scan *scan, struct error *err)
{
    uint32_t index = scan->order[scan->next];
    int status = out_of_range(scan, &scan->store->chunks[index]) ? TD_OK : open_chunk(scan, index, err);
    scan->next += status == TD_OK;
    return status;
}

/* Might the next chunk have a call that comes before all that wait? */
static bool next_is_due(const struct store_scan *scan)
{
    if (scan->next == scan->chunk_n)
        return false;
    if (scan->heap_n == 0)
        return true;
    if (scan->options.as_found)
        return false;
    const struct store_chunk *c = &scan->store->chunks[scan->order[scan->next]];
    int64_t time = head(scan->heap[0]).time_ns;
    return scan->options.oldest_first ? c->first_ns <= time : c->last_ns >= time;
}

/* The chunk at the top has no more rows in its window. */
static int refill(struct store_scan *scan, struct error *err)
{
    struct waiting *w = scan->heap[0];
    struct chunk *c;
    int status = store_chunk(scan->store, w->index, &c, err);
    if (status != TD_OK)
        return status;
    status = fill_window(scan, w, c, err);
    store_release(scan->store, c);
    if (status != TD_OK)
        return status;
    if (w->n == 0) {
        scan->heap[0] = scan->heap[--scan->heap_n];
        mem_free(scan->spare);
        scan->spare = w;
    }
    return TD_OK;
}

int store_scan_next(struct store_scan *scan, struct store_position *ret, struct error *err)
{
    if (scan->heap_n && scan->heap[0]->at == scan->heap[0]->n) { /* left so by the call before, whose chunk may still be in use */
        int status = refill(scan, err);
        if (status != TD_OK)
            return status;
        sift_down(scan, 0);
    }
    while (next_is_due(scan)) {
        int status = open_next(scan, err);
        if (status != TD_OK)
            return status;
    }
    if (scan->heap_n == 0) {
        *ret = (struct store_position){0};
        return TD_OK;
    }
    struct waiting *w = scan->heap[0];
    *ret = head(w);
    if (++w->at < w->n)
        sift_down(scan, 0);
    return TD_OK;
}
