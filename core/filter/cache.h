/* What is made from texts that are known only while a filter runs: regular expressions and time zones. A few of each are kept,
 * so that a pattern that many records share is made once. For one thread. */
#ifndef FILTER_CACHE_H
#define FILTER_CACHE_H

#include "filter/regex.h"
#include "filter/zone.h"

struct filter_cache;

struct filter_cache *filter_cache_new(void); /* NULL: out of memory */
void filter_cache_free(struct filter_cache *);
/* Owned by the cache until the next call. NULL: it is none. *ret_made tells whether work was done. */
const struct filter_regex *filter_cache_regex(struct filter_cache *, struct td_slice pattern, bool *ret_made);
const struct filter_zone *filter_cache_zone(struct filter_cache *, struct td_slice name, bool *ret_made);

#endif
