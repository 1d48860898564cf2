/* CEL's macros: calls that are no functions, since their arguments are not evaluated where they stand. */
#ifndef FILTER_MACRO_H
#define FILTER_MACRO_H

#include "filter/diagnostic.h"
#include "filter/node.h"

/* A call as parsed, in `text`; what it is if it is a macro, else itself. */
struct filter_node *filter_macro_of(struct filter_builder *, struct filter_diagnostics *, struct td_slice text, struct filter_node *call);
/* "exists_one", or "existsOne" with two variables. */
const char *filter_macro_name(enum filter_macro, bool two_variables);

#endif
