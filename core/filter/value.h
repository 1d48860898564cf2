/* A value while a filter is evaluated: 24 bytes, copied freely. What it points to lives in the filter (constants), in the
 * record, or in the evaluation's arena, which is emptied after each record. */
#ifndef FILTER_VALUE_H
#define FILTER_VALUE_H

#include <stdbool.h>

#include "filter/type.h"
#include "tapedeck/slice.h"

enum filter_error {
    FILTER_E_NO_SUCH_KEY = 1,
    FILTER_E_BAD_INDEX,
    FILTER_E_NO_OVERLOAD,
    FILTER_E_UNDECLARED,
    FILTER_E_OVERFLOW,
    FILTER_E_DIVISION_BY_ZERO,
    FILTER_E_CONVERSION, /* a text or number that the wanted type cannot hold */
    FILTER_E_BAD_UTF8,
    FILTER_E_BAD_REGEX,
    FILTER_E_DUPLICATE_KEY,
    FILTER_E_NOT_BOOL, /* a predicate or a condition that is none */
    FILTER_E_ARGUMENT, /* of a function, out of its range */
    FILTER_E_LIMIT,    /* iterations, time or memory */
};

struct filter_value {
    uint8_t kind;   /* filter_kind */
    uint8_t prefix; /* CIDR: length of the prefix */
    uint8_t family; /* IP, CIDR: 4 or 6 */
    uint8_t error;  /* ERROR: filter_error */
    uint32_t nanos; /* TIMESTAMP: 0 to 999999999. ERROR: where in the filter's text, in bytes */
    union {
        bool b;
        int64_t i; /* INT; DURATION in nanoseconds; TIMESTAMP in seconds since 1970 */
        uint64_t u;
        double d;
        struct td_slice bytes; /* STRING (UTF-8, checked when it is made), BYTES; IP, CIDR: 4 or 16 bytes */
        const struct filter_list *list;
        const struct filter_map *map;
        const struct filter_type *type;     /* TYPE */
        const struct filter_value *content; /* OPTIONAL: NULL for none */
    };
};

struct filter_list {
    uint32_t n;
    struct filter_value v[];
};

/* A map may be a view of a record's pairs: `ctx` is set then, and v is unused. */
struct filter_map {
    uint32_t n;
    const void *ctx;                                                                    /* for find and at; NULL: pairs in v */
    bool (*find)(const void *ctx, struct td_slice key, struct filter_value *ret_value); /* text keys only */
    bool (*at)(const void *ctx, uint32_t i, struct filter_value *ret_key, struct filter_value *ret_value);
    struct filter_value v[]; /* key, value, key, value ... */
};

#endif
