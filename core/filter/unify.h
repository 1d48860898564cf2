/* Types with variables in them, while a filter is checked: [] is a list of something that its context tells.
 *
 * As the rules of CEL have it ("Type checking" in langdef.md): what is dyn goes with everything, and a variable that was bound
 * becomes more general if need be. */
#ifndef FILTER_UNIFY_H
#define FILTER_UNIFY_H

#include "base/arena.h"
#include "filter/type.h"
#include "filter/value.h"

enum { FILTER_SIGNATURE_VARIABLES = 3 }; /* a signature has the variables 0 to 2 */

struct filter_type_variable {
    struct filter_type type;         /* stands for the variable in types */
    const struct filter_type *bound; /* NULL: free */
};

struct filter_type_change {
    struct filter_type_variable *variable;
    const struct filter_type *before;
};

struct filter_unifier {
    struct arena *arena;
    struct filter_type_variable **v; /* by number */
    uint32_t n, cap;
    struct filter_type_change *changes; /* of the attempt that is being made */
    uint32_t change_n, change_cap;
    bool no_memory;
};

/* A new, free variable. */
const struct filter_type *filter_unify_new(struct filter_unifier *);
/* New variables for those of a signature: the number of its first, the `base` below. */
uint32_t filter_unify_instantiate(struct filter_unifier *);
/* May values of the types `from` stand where those `to` are wanted, all together? Binds variables if so, and else none. The
 * variables of `to` count from `base`. */
bool filter_unify(struct filter_unifier *, const struct filter_type *const *to, uint32_t base, const struct filter_type *const *from,
                  uint32_t n);
/* What a type is as far as known; its variables count from `base`. */
const struct filter_type *filter_unify_resolve(struct filter_unifier *, const struct filter_type *, uint32_t base);
/* The same, with free variables taken as dyn. */
const struct filter_type *filter_unify_finish(struct filter_unifier *, const struct filter_type *);
/* The type of what is one or the other (NULL: nothing yet): the more general of the two, or dyn. */
const struct filter_type *filter_unify_join(struct filter_unifier *, const struct filter_type *, const struct filter_type *);

#endif
