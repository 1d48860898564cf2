/* Text to tree: CEL's grammar (github.com/cel-expr/cel-spec, doc/langdef.md) and what people who come from Wireshark write. That
 * sugar uses only texts that are no CEL, and leaves the tree that the CEL for it would have; nodes that it made are marked.
 *
 * What a tree looks like:
 *  - OR and AND have two or more operands, and none of them is of the same operator: a && (b && c) is one node of three.
 *  - A sign before a number literal belongs to the literal.
 *  - a.b.c is SELECT(SELECT(NAME a, b), c), whatever is declared; f(x) has receiver false, and t.f(x) has t in args[0].
 *  - HAS: args[0].name; name is empty for has(x) of a bare name, which is ours.
 *  - MACRO: args[0] is what it runs over, var[0] and perhaps var[1] its variables, args[1..] its bodies: map(x, p, e) and
 *    transformList(i, v, p, e) have a predicate in args[1] and the result in args[2].
 *  - BIND: cel.bind(var[0], args[0], args[1]).
 *  - OPT_SELECT is a.?name, with the name in `name`; OPT_INDEX is a[?b].
 *  - No path from the root is longer than FILTER_MAX_NESTING, so that recursion over a tree has its limit.
 *
 * After errors the parser goes on where it can, and leaves BAD nodes. Any thread; no state but the arguments. */
#ifndef FILTER_PARSE_H
#define FILTER_PARSE_H

#include "base/arena.h"
#include "filter/ast.h"
#include "filter/diagnostic.h"

/* Names in the tree point into `text`, which has to live as long as it does. Blank text gives the literal `true`.
 * TD_OK; TD_E_CONFIG: the text is wrong, and `diagnostics` say where (*ret is a tree still, for completion); TD_E_NOMEM. */
int filter_parse(struct td_slice text, struct arena *arena, struct filter_diagnostics *diagnostics, struct filter_node **ret) MUST_CHECK;

#endif
