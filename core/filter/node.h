/* Making the nodes of a filter's tree.
 *
 * Failures stick, so that who makes many nodes looks once, at the end: what could not be made is a spare node that nobody may
 * keep. */
#ifndef FILTER_NODE_H
#define FILTER_NODE_H

#include "base/arena.h"
#include "filter/ast.h"

enum filter_build_failure { FILTER_BUILT, FILTER_NO_MEMORY, FILTER_TOO_MANY_NODES, FILTER_TOO_DEEP };

enum { FILTER_MAX_NAME = 256 }; /* bytes of a name with dots */

struct filter_builder {
    struct arena *arena;
    uint32_t node_n;
    uint8_t failure;        /* filter_build_failure: the first one */
    struct filter_span far; /* where it happened */
    struct filter_node spare;
};

struct filter_node *filter_new(struct filter_builder *, enum filter_node_kind, struct filter_span);
/* Gives a node its operands; the array is copied. */
void filter_set_args(struct filter_builder *, struct filter_node *, struct filter_node *const *args, size_t n);
/* Its depth anew, after operands were exchanged. */
void filter_set_depth(struct filter_builder *, struct filter_node *);

struct filter_node *filter_new_name(struct filter_builder *, struct filter_span, struct td_slice name);
struct filter_node *filter_new_int(struct filter_builder *, struct filter_span, int64_t);
struct filter_node *filter_new_string(struct filter_builder *, struct filter_span, struct td_slice utf8);
/* AND or OR of two or more, which takes in the operands of those that are the same operator. */
struct filter_node *filter_new_chain(struct filter_builder *, enum filter_op, struct filter_span, struct filter_node *const *args,
                                     size_t n);
/* Any operator; b may be NULL: one operand. */
struct filter_node *filter_new_operator(struct filter_builder *, enum filter_op, struct filter_span, struct filter_node *left,
                                        struct filter_node *right);
/* target.name(arg), or target.name() if `arg` is NULL. */
struct filter_node *filter_new_method(struct filter_builder *, struct td_slice name, struct filter_span, struct filter_node *target,
                                      struct filter_node *arg);
/* range.macro(var, body). */
struct filter_node *filter_new_macro(struct filter_builder *, enum filter_macro, struct filter_span, struct td_slice var,
                                     struct filter_node *range, struct filter_node *body);
struct filter_node *filter_clone(struct filter_builder *, const struct filter_node *);
/* A copy of a text in the arena, with a zero behind it. */
struct td_slice filter_copy_text(struct filter_builder *, struct td_slice);

/* A name for a variable that is no word of the text: v, or v1, v2 ... */
struct td_slice filter_fresh_name(struct filter_builder *, struct td_slice text);
bool filter_is_name_node(const struct filter_node *, struct td_slice name);
/* A whole chain of selections from a name, as "a.b.c", into `ret`; how long it is, or 0: it is none, or longer than that. */
size_t filter_qualified_name(const struct filter_node *, char *ret, size_t size);

#endif
