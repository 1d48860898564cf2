/* The plan of a scan: a filter's tree cut into terms that columns can decide. */
#ifndef FILTER_PLAN_H
#define FILTER_PLAN_H

#include "filter/compiled.h"

enum plan_kind {
    PLAN_CONST, /* the same for every row */
    PLAN_AND,   /* children, the cheap ones first */
    PLAN_OR,
    PLAN_NOT,     /* one child */
    PLAN_NUMBER,  /* a number in one of the ranges: BOOL, INT, TIMESTAMP, DURATION */
    PLAN_PRESENT, /* has(field) */
    PLAN_EQUAL,   /* a text that is one of `texts` */
    PLAN_PART,    /* a text that has texts[0] in it, at the place that `part` says */
    PLAN_TEXT,    /* any expression over one text */
    PLAN_ELEMENT, /* a predicate that holds for an element of one list: exists(), in */
    PLAN_ROW      /* everything else */
};

enum plan_part { PART_CONTAINS, PART_STARTS, PART_ENDS };

struct plan_range {
    int64_t low, high; /* both included */
};

struct plan {
    uint8_t kind;
    uint8_t cost;   /* of a row, roughly; terms of one chain run in its order */
    uint16_t level; /* distance from the root: whose bitmaps it may use */
    bool value;     /* CONST */
    uint8_t part;   /* PART */
    bool negated;   /* NUMBER, EQUAL: not in any of them */
    uint32_t field;
    uint32_t slot; /* ELEMENT: the variable that stands for the element */
    struct plan_range *ranges;
    struct td_slice *texts; /* EQUAL */
    uint32_t n;             /* of ranges, of texts, or of children */
    struct plan **children;
    const struct filter_node *node;
    struct plan *before;           /* the one that was made before */
    struct filter_program program; /* TEXT, ELEMENT, ROW; TEXT and ELEMENT run it for each entry of the dictionary */
};

/* In the arena; NULL with *err set. filter_plan_clear() frees the programs. */
struct plan *filter_plan_make(const struct filter *, const struct field_registry *, struct arena *, struct error *err);
void filter_plan_clear(struct plan *);
/* The greatest level, and all programs one after the other through `each`. */
uint32_t plan_levels(const struct plan *);
void plan_each_program(struct plan *, void (*each)(void *ctx, const struct filter_program *), void *ctx);

#endif
