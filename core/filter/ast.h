/* The tree of a filter. Nodes live in the arena of the parse and are never freed one by one; rewriting makes new nodes.
 *
 * CEL's macros stay what they are (FILTER_MACRO), so that the tree prints as it was written and an evaluator runs them as
 * loops. Operators are calls with the names of CEL's definition in spirit, but by number: filter_op. */
#ifndef FILTER_AST_H
#define FILTER_AST_H

#include "filter/value.h"

enum filter_node_kind {
    FILTER_LITERAL, /* value */
    FILTER_NAME,    /* name: an identifier, with a leading dot if `absolute` */
    FILTER_SELECT,  /* a.name */
    FILTER_HAS,     /* has(a.name); has(a) with an empty name: once checked, of a FIELD */
    FILTER_OPERATOR,
    FILTER_CALL,      /* name(args), or target.name(args): args[0] is the target if `receiver` */
    FILTER_NEW_LIST,  /* args */
    FILTER_NEW_MAP,   /* args: key, value, ... */
    FILTER_MACRO,     /* macro over args[0] with the variables var[0], var[1]; args[1], args[2]: its bodies */
    FILTER_BIND,      /* cel.bind(var[0], args[0], args[1]) */
    FILTER_FIELD,     /* made by the checker: a declared field of the record, with or without dots */
    FILTER_VARIABLE,  /* made by the checker: a macro's variable, by its slot */
    FILTER_TYPE_NAME, /* made by the checker: int, string, ... as values */
    FILTER_BAD        /* where the text was wrong; only in trees with errors */
};

enum filter_op {
    FILTER_OR,
    FILTER_AND,
    FILTER_NOT,
    FILTER_CONDITION, /* a ? b : c */
    FILTER_EQ,
    FILTER_NE,
    FILTER_LT,
    FILTER_LE,
    FILTER_GT,
    FILTER_GE,
    FILTER_IN,
    FILTER_ADD,
    FILTER_SUB,
    FILTER_MUL,
    FILTER_DIV,
    FILTER_MOD,
    FILTER_NEG,
    FILTER_INDEX, /* a[b] */
    FILTER_OPT_SELECT,
    FILTER_OPT_INDEX
};

enum filter_macro {
    FILTER_ALL,
    FILTER_EXISTS,
    FILTER_EXISTS_ONE,
    FILTER_MAP_TO,         /* map(x, e) and map(x, p, e) */
    FILTER_KEEP,           /* filter(x, p) */
    FILTER_TRANSFORM_LIST, /* the two-variable macros' own */
    FILTER_TRANSFORM_MAP,
    FILTER_TRANSFORM_MAP_ENTRY
};

struct filter_span {
    uint32_t from, to; /* bytes of the text */
};

struct filter_node {
    uint8_t kind;   /* filter_node_kind */
    uint8_t op;     /* filter_op or filter_macro; CALL, once checked: filter_dispatch */
    bool absolute;  /* NAME: written with a leading dot */
    bool receiver;  /* CALL */
    bool sugar;     /* written in a way that CEL does not have */
    uint16_t depth; /* longest path to a leaf; at most FILTER_MAX_NESTING as parsed */
    uint32_t arg_n;
    struct filter_span span;      /* all of it */
    struct filter_span name_span; /* of the name or the operator */
    struct td_slice name; /* OPERATOR: "xor" for an NE, ".." for an AND, if it was written so */
    struct td_slice var[2];
    uint32_t index; /* FIELD: in the registry. VARIABLE: slot. CALL: overload, once checked */
    struct filter_value value;
    struct filter_node **args;
    const struct filter_type *type; /* once checked */
};

#endif
