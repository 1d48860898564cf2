/* A filter over the chunks of a call store: column by column instead of row by row.
 *
 * The tree is cut into terms, joined by && || !. A term that looks at one number, one flag, one text or the elements of one
 * list is decided for all rows of a chunk at once: numbers by comparing lanes, texts once for each entry of the dictionary,
 * whatever the expression. Statistics decide many without reading their column. Only what is left over runs as bytecode, and
 * only for the rows that the cheaper terms have not decided. The result is the same as filter_match() for each row. */
#ifndef FILTER_SCAN_H
#define FILTER_SCAN_H

#include "call/chunk.h"
#include "filter/filter.h"

struct filter_scan;

/* `registry` is the store's, by which the filter was compiled. Both outlive the scan. One thread. */
int filter_scan_new(const struct filter *, const struct field_registry *registry, struct filter_scan **ret, struct error *err) MUST_CHECK;
void filter_scan_free(struct filter_scan *);
/* Clears the bits of rows that do not match. As store_select_fn, with the scan as its context. */
int filter_scan_chunk(void *scan, struct chunk *, uint64_t *bits, struct error *err) MUST_CHECK;

/* From now on nothing is decided by statistics: the same matches, only slower. For tests and measurements. */
void filter_scan_ignore_statistics(struct filter_scan *);

struct filter_scan_stats {
    uint64_t chunks, pruned;    /* of these, decided by their statistics */
    uint64_t rows, rows_single; /* rows looked at in columns, and one by one */
    uint64_t errors;            /* rows whose evaluation was an error */
};
const struct filter_scan_stats *filter_scan_stats(const struct filter_scan *);

/* How each term is looked at, a line each, for people. */
void filter_scan_explain(struct buf *out, const struct filter_scan *);

#endif
