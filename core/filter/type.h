/* The types of KFL, which are CEL's. A type is a small tree of shared, immutable nodes in an arena or in static memory. */
#ifndef FILTER_TYPE_H
#define FILTER_TYPE_H

#include <stdint.h>

enum filter_kind {
    FILTER_NULL,
    FILTER_BOOL,
    FILTER_INT,
    FILTER_UINT,
    FILTER_DOUBLE,
    FILTER_STRING,
    FILTER_BYTES,
    FILTER_TIMESTAMP,
    FILTER_DURATION,
    FILTER_LIST,
    FILTER_MAP,
    FILTER_TYPE, /* the type of types */
    FILTER_IP,   /* the network extension */
    FILTER_CIDR,
    FILTER_OPTIONAL,
    FILTER_DYN,   /* the checker's: known at run time */
    FILTER_PARAM, /* the checker's: a variable that stands for a type */
    FILTER_ERROR  /* a value's: evaluation failed. A type's: already reported */
};

struct filter_type {
    uint8_t kind;
    uint32_t param;                        /* FILTER_PARAM: which */
    const struct filter_type *key, *value; /* LIST: value. MAP: both. TYPE and OPTIONAL: value */
};

/* One type of each kind, by filter_kind: LIST is list(dyn), MAP map(dyn, dyn), TYPE and OPTIONAL those of dyn, PARAM the
 * variable 0. */
extern const struct filter_type filter_types[FILTER_ERROR + 1];

#endif
