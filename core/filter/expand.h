/* Puts what they stand for in the place of aliases (filter/alias.h), and of the functions that Wireshark calls by other names. A
 * comparison of an alias for two fields, or for the elements of a list, becomes one that any of them may fulfil; and one with !=
 * becomes one that all must fulfil, as in Wireshark 4. */
#ifndef FILTER_EXPAND_H
#define FILTER_EXPAND_H

#include "filter/alias.h"
#include "filter/check.h"
#include "filter/node.h"

/* The tree, rewritten. Aliases that nothing declared stands behind stay, to be told by the checker. */
struct filter_node *filter_expand_aliases(const struct filter_env *, struct filter_builder *, struct filter_diagnostics *,
                                          struct td_slice text, struct filter_node *root);
/* The first row of an alias that holds in an environment; NULL: none. */
const struct filter_alias *filter_usable_alias(const struct filter_env *, struct arena *, struct td_slice name);

#endif
