/* A compiled filter's inside. */
#ifndef FILTER_COMPILED_H
#define FILTER_COMPILED_H

#include "filter/filter.h"
#include "filter/program.h"

struct filter {
    struct arena arena; /* the tree, and the text that it points into */
    struct td_slice text;
    struct filter_node *written; /* checked */
    struct filter_node *root;    /* checked and folded */
    struct filter_program program;
    int64_t now_ns;
};

#endif
