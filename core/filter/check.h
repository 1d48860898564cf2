/* The static checker: every name must be declared, every call must match an overload, and the whole must be bool.
 *
 * It writes the types into the tree, and turns names into what they stand for:
 *  - FIELD: `index` is the symbol's, `name` its full name.
 *  - VARIABLE: `index` is its slot. MACRO and BIND: `index` is the slot of var[0]; var[1] has the next one. Slots of macros
 *    that are open at the same time differ; all are below FILTER_MAX_SLOTS.
 *  - TYPE_NAME: `value` is of kind TYPE.
 *  - CALL: `index` is the overload's in filter_functions(). With `op` FILTER_BY_VALUES it is the first of that name, and which
 *    one runs depends on the values (an argument is dyn). FILTER_UNRESOLVED: there is none; evaluation is an error.
 *    ns.f(x), where that is a function's name, becomes a call without receiver, of the name "ns.f".
 *  - HAS with args[0] a FIELD and an empty name: does the record have that field?
 *
 * Without types (env->dynamic) names are resolved in the same way, all calls run by values, and what is unknown stays a NAME, a
 * SELECT or an unresolved CALL, whose evaluation is an error. */
#ifndef FILTER_CHECK_H
#define FILTER_CHECK_H

#include "base/arena.h"
#include "call/registry.h"
#include "filter/ast.h"
#include "filter/diagnostic.h"
#include "filter/function.h"

#define FILTER_UNRESOLVED UINT32_MAX
enum { FILTER_MAX_SLOTS = 64 };
enum filter_dispatch { FILTER_BY_TYPES, FILTER_BY_VALUES }; /* `op` of a CALL */

/* Something that a name may stand for. */
struct filter_symbol {
    struct td_slice name; /* all of it: "src.ip" */
    const struct filter_type *type;
    uint32_t index;
    bool folds_case;                    /* a map whose keys are kept in lower case: headers */
    const struct registry_field *field; /* what else is known of it, or NULL */
};

/* What a filter may name. The registry is one; the runner of the conformance suite has its own. */
struct filter_env {
    const void *ctx;
    bool (*find)(const void *ctx, struct td_slice name, struct filter_symbol *ret);
    bool (*at)(const void *ctx, uint32_t i, struct filter_symbol *ret); /* false past the last; NULL: nothing is suggested */
    struct td_slice container;                                          /* CEL's: "a.b" makes c mean a.b.c, a.c or c */
    bool dynamic;                                                       /* no types */
    /* Why a text is no regular expression; NULL: literal patterns are not looked at. */
    int (*check_regex)(struct td_slice pattern, struct error *err);
    bool plain; /* CEL and nothing else: no aliases, no advice, and the whole may be of any type */
};

/* The fields of calls. Payload is not among them. */
struct filter_env filter_registry_env(const struct field_registry *);

/* Checks and rewrites; *root may become another node. TD_OK, also with warnings; TD_E_CONFIG; TD_E_NOMEM. */
int filter_check(const struct filter_env *, struct td_slice text, struct arena *, struct filter_node **root,
                 struct filter_diagnostics *) MUST_CHECK;

#endif
