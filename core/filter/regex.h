/* Regular expressions by RE2: linear time, limited memory, no backtracking. A shim with C linkage; no exception leaves it. */
#ifndef FILTER_REGEX_H
#define FILTER_REGEX_H

#include "base/error.h"
#include "tapedeck/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FILTER_REGEX_MEMORY = 8 << 20 };

struct filter_regex;

/* TD_OK; TD_E_CONFIG: what is wrong is in *err, and *ret_offset (which may be NULL) is where in the pattern, as far as known;
 * TD_E_LIMIT: the pattern needs more than FILTER_REGEX_MEMORY; TD_E_NOMEM. */
int filter_regex_new(struct td_slice pattern, struct filter_regex **ret, size_t *ret_offset, struct error *err) MUST_CHECK;
void filter_regex_free(struct filter_regex *);
/* Is there a match anywhere in the text? Bytes that are no UTF-8 are matched by \C only. Any thread, also several at once. */
bool filter_regex_match(const struct filter_regex *, struct td_slice text);

#ifdef __cplusplus
}
#endif
#endif
