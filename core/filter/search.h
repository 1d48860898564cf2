/* Searching a call store: the calls that match a filter, in the order of time. For the command line and the API. One thread. */
#ifndef FILTER_SEARCH_H
#define FILTER_SEARCH_H

#include "call/store.h"
#include "filter/filter.h"
#include "filter/scan.h"

struct search;

struct search_options {
    const char *filter; /* NULL or blank: every call */
    bool oldest_first;
    bool as_found; /* see call/store.h */
    bool payload;
    int64_t now_ns;                     /* what "now" means in the filter */
    int64_t from_ns, to_ns;             /* from <= time < to; a zeroed pair means all */
    const struct store_position *after; /* go on behind this call; NULL: from the first */
    bool (*stop)(void *ctx);            /* asked now and then; NULL: never. TD_E_CANCELLED */
    bool (*pause)(void *ctx); /* asked as often: is there something else to do first? NULL: never. TD_E_RETRY, and search_paused() */
    void *ctx;
};

/* The store outlives the search. TD_E_CONFIG with faults in `diagnostics`: the filter is wrong. */
int search_open(struct store *, const struct search_options *, struct search **ret, struct filter_diagnostics *diagnostics,
                struct error *err) MUST_CHECK;
void search_close(struct search *);
/* The next call, which lives until this is called again; NULL: that was all. When it has paused, it is called again to go on. */
int search_next(struct search *, const struct td_call **ret, struct error *err) MUST_CHECK;
/* The same without reading it, for counting; id 0: that was all. */
int search_next_position(struct search *, struct store_position *ret, struct error *err) MUST_CHECK;
/* The calls of one chunk that match, in its order: for those that a store which is still being written got later. What `each` returns, if
 * it is not 0, ends it and is returned. */
int search_chunk(struct search *, uint32_t chunk, int (*each)(void *ctx, const struct td_call *, struct error *err), void *ctx,
                 struct error *err) MUST_CHECK;
/* Was the last error a pause? */
bool search_paused(const struct search *);
/* Of the call that came last; for search_options.after. */
struct store_position search_position(const struct search *);
/* Calls that could not be judged, and are left out. */
uint64_t search_errors(const struct search *);
/* How it is looked for; NULL: without a filter. Lives as long as the search. */
const struct filter_scan *search_scan(const struct search *);

#endif
