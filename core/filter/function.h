/* The functions and methods of KFL, one table: what the checker matches, what completion offers, what evaluation calls. */
#ifndef FILTER_FUNCTION_H
#define FILTER_FUNCTION_H

#include "base/arena.h"
#include "filter/type.h"
#include "filter/value.h"

enum { FILTER_MAX_ARGS = 4 };

struct filter_cache;

/* What a call of a function may use. */
struct filter_context {
    struct arena *arena;        /* emptied after each record */
    int64_t now_ns;             /* when the filter was compiled: now() */
    uint64_t *fuel;             /* what is left of the iterations that one record may take; a function over n elements takes n */
    const void *prepared;       /* made from a literal argument when the filter was compiled (filter_prepare); or NULL */
    struct filter_cache *cache; /* of what is made from texts that are known only now */
};

/* args[0] is the target of a method. Never sees an ERROR among its arguments. Returns a value or an ERROR. */
typedef struct filter_value filter_function_fn(struct filter_context *, const struct filter_value *args);

/* What a function wants made from its second argument, once, if that is a literal. */
enum filter_prepare {
    FILTER_PREPARE_NOTHING,
    FILTER_PREPARE_REGEX, /* filter/regex.h: struct filter_regex */
    FILTER_PREPARE_ZONE   /* filter/zone.h: struct filter_zone */
};

struct filter_function {
    const char *name; /* "startsWith", "math.greatest" */
    bool receiver;
    bool variadic;                                   /* one argument or more, each of the type args[0]; fn gets one LIST of them */
    uint8_t prepare;                                 /* filter_prepare */
    uint8_t arg_n;                                   /* with the target */
    const struct filter_type *args[FILTER_MAX_ARGS]; /* PARAMs stand for any one type each */
    const struct filter_type *result;
    filter_function_fn *fn;
    const char *doc; /* one line */
};

/* All overloads, ascending by name (strcmp), so that a name is found by bisection; those of one name stand in the order in
 * which they are tried. */
const struct filter_function *filter_functions(uint32_t *ret_n);

/* The first overload of this name, or -1. */
int32_t filter_function_find(struct td_slice name);
/* Calls the first overload, from `first` on and of the same name, that takes these values as far as their kinds say;
 * NO_OVERLOAD if none does. */
struct filter_value filter_function_call(struct filter_context *, uint32_t first, bool receiver, const struct filter_value *args,
                                         uint32_t n);

#endif
