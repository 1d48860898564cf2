/* A tree as plain CEL, with the fewest parentheses. What the parser makes of that text is the same tree, whatever the sugar that it
 * was written in. */
#ifndef FILTER_PRINT_H
#define FILTER_PRINT_H

#include "base/buf.h"
#include "filter/ast.h"

void filter_print(struct buf *out, const struct filter_node *);
/* As a CEL literal; what has none, as a call that gives it: timestamp("2026-01-02T03:04:05Z"). */
void filter_print_value(struct buf *out, const struct filter_value *);
void filter_print_string(struct buf *out, struct td_slice utf8);
/* "&&", "==", "a[b]"; for messages. */
const char *filter_operator_name(enum filter_op);

#endif
