/* What of a checked filter does not depend on the record is evaluated once, and the operands of && and || are put into the order
 * of their costs. CEL allows both: the order of the operands decides neither the result, nor whether an error is absorbed.
 *
 * The tree stays; what changes is made anew. An error is a fault if it is met for every record, and else left for the run. */
#ifndef FILTER_FOLD_H
#define FILTER_FOLD_H

#include "base/arena.h"
#include "filter/ast.h"
#include "filter/diagnostic.h"

/* TD_OK; TD_E_CONFIG with diagnostics; TD_E_NOMEM. */
int filter_fold(struct filter_node *root, struct arena *, int64_t now_ns, struct filter_node **ret, struct filter_diagnostics *) MUST_CHECK;

/* What a node costs for one record, in comparisons of two numbers, roughly. */
uint32_t filter_cost(const struct filter_node *);

#endif
