/* What people write who come from Wireshark, as the CEL that it stands for. Called by the parser; all nodes are marked. */
#ifndef FILTER_SUGAR_H
#define FILTER_SUGAR_H

#include "filter/node.h"

/* An element of {80, 8000..8080}; `to` is NULL for one that is no range. */
struct filter_set_element {
    struct filter_node *from, *to;
};

/* x in {...}: x in [80] || x >= 8000 && x <= 8080. n is at least 1. */
struct filter_node *filter_sugar_in_set(struct filter_builder *, struct filter_span, struct filter_node *x,
                                        const struct filter_set_element *, size_t n);
/* An IPv4 network without quotes: cidr("10.0.0.0/8"). */
struct filter_node *filter_sugar_cidr(struct filter_builder *, struct filter_span, struct td_slice text);
/* x == 10.0.0.0/8, != and in: membership. NULL: neither side is a network without quotes, or it is another operator. */
struct filter_node *filter_sugar_compare_cidr(struct filter_builder *, enum filter_op, struct filter_span, struct filter_node *left,
                                              struct filter_node *right);
/* x[offset:length], either of which may be NULL: substring. */
struct filter_node *filter_sugar_slice(struct filter_builder *, struct filter_span, struct filter_node *x, struct filter_node *offset,
                                       struct filter_node *length);

#endif
