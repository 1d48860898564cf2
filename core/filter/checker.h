/* The checker's state, for the files that are the checker: check.c (names, macros, the walk), check_call.c (overloads of
 * functions and operators) and advice.c (what to write instead, and warnings). */
#ifndef FILTER_CHECKER_H
#define FILTER_CHECKER_H

#include "filter/check.h"
#include "filter/filter.h"
#include "filter/node.h"
#include "filter/unify.h"

struct checker {
    const struct filter_env *env;
    struct td_slice text;
    struct filter_builder builder;
    struct filter_diagnostics *diagnostics;
    struct filter_unifier types;
    struct {
        struct td_slice name;
        const struct filter_type *type;
    } vars[FILTER_MAX_SLOTS]; /* of the macros that are open, by slot */
    uint32_t var_n;
    uint32_t loops;                   /* macros that are open */
    const struct filter_node *chain;  /* the whole of a.b.c while its parts are looked at */
    const struct filter_node *guards; /* the whole filter, to find what guards a key */
};

#define FILTER_TYPE_OF(kind) (&filter_types[kind])

/* ---- check.c ---- */

/* The type of an operand; ERROR after a fault. */
const struct filter_type *filter_check_node(struct checker *, struct filter_node *);
/* What a name means, with the container's help; false: nothing. */
bool filter_check_find(const struct checker *, struct td_slice name, bool absolute, struct filter_symbol *ret);
/* Is it the name of an open macro's variable? Its slot, or -1. */
int32_t filter_check_variable(const struct checker *, const struct filter_node *name);
/* Says so unless the operand is a bool; `of` says what wants one: "&&". */
void filter_check_condition(struct checker *, const struct filter_node *, const char *of);

/* ---- check_call.c ---- */

const struct filter_type *filter_check_operator(struct checker *, struct filter_node *);
const struct filter_type *filter_check_call(struct checker *, struct filter_node *);

/* ---- advice.c ---- */

/* A type for a message; lives as long as the tree. */
const char *filter_show_type(struct checker *, const struct filter_type *);
/* The filter's text of an operand. */
struct td_slice filter_source(const struct checker *, const struct filter_node *);
/* A fix for the last diagnostic: the operand becomes what the format says. */
void filter_suggest(struct checker *, const struct filter_node *, const char *title, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Faults, each with the way out. */
void filter_advise_undeclared(struct checker *, const struct filter_node *);
void filter_advise_payload(struct checker *, const struct filter_node *);
void filter_advise_condition(struct checker *, const struct filter_node *, const char *of);
void filter_advise_operator(struct checker *, const struct filter_node *);
void filter_advise_call(struct checker *, const struct filter_node *, int32_t first);
void filter_advise_unknown_function(struct checker *, const struct filter_node *);
void filter_advise_bad_literal(struct checker *, const struct filter_node *call);
/* A filter that is a value: it never matches, but compiles. */
void filter_advise_value(struct checker *, const struct filter_node *);
/* Warnings about what was found right. */
void filter_advise_comparison(struct checker *, const struct filter_node *);
/* `map` is a field, `key` a literal one, at `span` in `whole`. Keys of headers become lower case. `guarded`: nothing happens if the
 * key is missing. */
void filter_check_key(struct checker *, const struct filter_node *map, const struct filter_node *whole, struct td_slice *key,
                      struct filter_span span, bool guarded);

#endif
