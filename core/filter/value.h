/* A value while a filter is evaluated: 24 bytes, copied freely. What it points to lives in the filter (constants), in the
 * record, or in the evaluation's arena, which is emptied after each record. */
#ifndef FILTER_VALUE_H
#define FILTER_VALUE_H

#include <stdbool.h>

#include "base/arena.h"
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

/* A map may be a view of a record's pairs: `ctx` is set then, and v is unused. Others are made by filter_map_new(). */
struct filter_map {
    uint32_t n;
    uint32_t mask;         /* of `slots`, which are one more than this; 0: there are none */
    const uint32_t *slots; /* open addressing by the hash of the key: number of the pair + 1, 0: free */
    const void *ctx;       /* for find and at; NULL: pairs in v */
    bool (*find)(const void *ctx, struct td_slice key, struct filter_value *ret_value); /* text keys only */
    bool (*at)(const void *ctx, uint32_t i, struct filter_value *ret_key, struct filter_value *ret_value);
    struct filter_value v[]; /* key, value, key, value ... */
};

static inline struct filter_value filter_bool(bool b)
{
    return (struct filter_value){.kind = FILTER_BOOL, .b = b};
}

static inline struct filter_value filter_int(int64_t i)
{
    return (struct filter_value){.kind = FILTER_INT, .i = i};
}

static inline struct filter_value filter_uint(uint64_t u)
{
    return (struct filter_value){.kind = FILTER_UINT, .u = u};
}

static inline struct filter_value filter_double(double d)
{
    return (struct filter_value){.kind = FILTER_DOUBLE, .d = d};
}

static inline struct filter_value filter_string(struct td_slice text)
{
    return (struct filter_value){.kind = FILTER_STRING, .bytes = text};
}

static inline struct filter_value filter_bytes(struct td_slice bytes)
{
    return (struct filter_value){.kind = FILTER_BYTES, .bytes = bytes};
}

static inline struct filter_value filter_fail(enum filter_error error)
{
    return (struct filter_value){.kind = FILTER_ERROR, .error = (uint8_t)error};
}

#define FILTER_2_TO_63 9223372036854775808.0
#define FILTER_2_TO_64 18446744073709551616.0

static inline bool filter_is_number(const struct filter_value *v)
{
    return v->kind == FILTER_INT || v->kind == FILTER_UINT || v->kind == FILTER_DOUBLE;
}

/* What an operation may still cost. A value can share its parts, so that a small one takes an endless walk: whatever walks
 * over values pays, and gives up at zero; its answer is void then. */
enum { FILTER_BYTES_PER_STEP = 256 }; /* bytes that a function may look at for one step */
static inline bool filter_spend(uint64_t *fuel, uint64_t n)
{
    *fuel = *fuel > n ? *fuel - n : 0;
    return *fuel != 0;
}

/* CEL's ==: values of different kinds differ, except that int, uint and double are on one line of numbers. */
bool filter_equal(const struct filter_value *a, const struct filter_value *b, uint64_t *fuel);

enum filter_order { FILTER_LESS = -1, FILTER_SAME = 0, FILTER_MORE = 1, FILTER_UNORDERED = 2 /* NaN */, FILTER_NOT_COMPARABLE = 3 };
/* For < <= > >=: numbers, texts, bytes, bools, times and durations, each with its own kind, all numbers together. */
enum filter_order filter_compare(const struct filter_value *a, const struct filter_value *b);

/* An OPTIONAL that has a copy of the value; an ERROR if the arena is full. */
struct filter_value filter_optional(struct arena *arena, const struct filter_value *v);
/* A list for `n` elements, zeroed; NULL if the arena is full. */
struct filter_list *filter_list_new(struct arena *arena, uint32_t n);
/* A map of the `n` pairs key, value, key, value ... An ERROR if a key comes twice or cannot be one, or if the arena is full. */
struct filter_value filter_map_new(struct arena *arena, const struct filter_value *pairs, uint32_t n, uint64_t *fuel);
/* The value of a key; false if there is none. */
bool filter_map_find(const struct filter_map *map, const struct filter_value *key, struct filter_value *ret_value);
/* The pair number i, which is less than n. */
void filter_map_at(const struct filter_map *map, uint32_t i, struct filter_value *ret_key, struct filter_value *ret_value);

/* "int", "google.protobuf.Timestamp", "net.IP": the names of types as values. Empty for kinds that have none. */
struct td_slice filter_type_name(enum filter_kind kind);
/* "no such key": what went wrong, for people. */
const char *filter_error_text(enum filter_error error);

#endif
