/* The plain evaluator: walks a checked tree, with or without types. It is what the bytecode is compared with, so it does each
 * thing in the simplest way that CEL's definition allows.
 *
 * Errors are values. && || ?: and the macros all() and exists() take in an error on one side if the other decides; but not
 * running out of a limit, which ends the evaluation for good. */
#ifndef FILTER_EVAL_H
#define FILTER_EVAL_H

#include "filter/ast.h"
#include "filter/filter.h"

struct filter_eval;

enum { FILTER_EVAL_MEMORY = 4 << 20 }; /* for what one record's evaluation makes */

/* One for each thread. */
int filter_eval_new(struct filter_eval **ret, struct error *err) MUST_CHECK;
void filter_eval_free(struct filter_eval *);
/* What the tree comes to for a record. It lives until the next call. An ERROR has its place in `nanos`. */
struct filter_value filter_eval(struct filter_eval *, const struct filter_node *root, const struct filter_record *, int64_t now_ns);

#endif
