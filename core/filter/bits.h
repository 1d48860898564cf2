/* Bitmaps over the rows of a chunk, and the loops that fill them from columns: where a scan spends its time. */
#ifndef FILTER_BITS_H
#define FILTER_BITS_H

#include <string.h>

#include "call/chunk.h"

struct filter_bits {
    uint64_t v[CHUNK_BITS];
};

/* Rows whose number lies in [low, high], of the first `rows`; bits behind them are 0. low <= high. */
void filter_bits_range(const struct chunk_lanes *, uint32_t rows, int64_t low, int64_t high, struct filter_bits *ret);
/* Rows whose id is this one. */
void filter_bits_id(const struct chunk_lanes *ids, uint32_t rows, uint32_t id, struct filter_bits *ret);

/* What a predicate came to for a text of the dictionary. */
enum filter_verdict { VERDICT_FALSE = 0, VERDICT_TRUE = 1, VERDICT_ERROR = 2 };
/* Rows by the verdict on their text: `verdicts` has one for each id. */
void filter_bits_verdicts(const struct chunk_lanes *ids, uint32_t rows, const uint8_t *verdicts, struct filter_bits *ret_true,
                          struct filter_bits *ret_error);
/* Rows of a LIST by the verdicts on their elements: true if one is; else an error if one is. */
void filter_bits_elements(const struct chunk_lanes *ids, const uint32_t *offsets, uint32_t rows, const uint8_t *verdicts,
                          struct filter_bits *ret_true, struct filter_bits *ret_error);

static inline void filter_bits_clear(struct filter_bits *b)
{
    memset(b, 0, sizeof(*b));
}

static inline bool filter_bits_any(const struct filter_bits *b)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < CHUNK_BITS; i++)
        any |= b->v[i];
    return any != 0;
}

static inline uint32_t filter_bits_count(const struct filter_bits *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < CHUNK_BITS; i++)
        n += (uint32_t)__builtin_popcountll(b->v[i]);
    return n;
}

#endif
