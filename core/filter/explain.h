/* What a filter is to the program: for `tapedeck filter explain`. */
#ifndef FILTER_EXPLAIN_H
#define FILTER_EXPLAIN_H

#include "filter/filter.h"

/* The canonical text, the fields that are read, and the tree as it runs, with types and costs. */
void filter_explain_put_text(struct buf *out, const struct filter *);
void filter_explain_put_json(struct buf *out, const struct filter *);

#endif
