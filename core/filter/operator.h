/* The operators whose operands are always evaluated: all but && || ! ?: and a.?b. None of the operands is an ERROR; the result may be. */
#ifndef FILTER_OPERATOR_H
#define FILTER_OPERATOR_H

#include "filter/ast.h"
#include "filter/function.h"

/* `args` has two values; NEG uses the first one. */
struct filter_value filter_operate(struct filter_context *, enum filter_op, const struct filter_value *args);
/* v.name: of a map, or of an optional one. */
struct filter_value filter_select(struct filter_context *, const struct filter_value *v, struct td_slice name);
/* v.?name. */
struct filter_value filter_opt_select(struct filter_context *, const struct filter_value *v, struct td_slice name);
/* has(v.name). */
struct filter_value filter_has(const struct filter_value *v, struct td_slice name);

#endif
