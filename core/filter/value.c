#include "filter/value.h"

#include <math.h>

#include "base/hash.h"

/* Maps with more pairs than this get a hash table. */
enum { SMALL_MAP = 8 };

static enum filter_order order_u64(uint64_t a, uint64_t b)
{
    return a < b ? FILTER_LESS : a > b ? FILTER_MORE : FILTER_SAME;
}

static enum filter_order order_i64(int64_t a, int64_t b)
{
    return a < b ? FILTER_LESS : a > b ? FILTER_MORE : FILTER_SAME;
}

static enum filter_order order_double(double a, double b)
{
    return a < b ? FILTER_LESS : a > b ? FILTER_MORE : a == b ? FILTER_SAME : FILTER_UNORDERED;
}

static enum filter_order order_bytes(struct td_slice a, struct td_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c < 0 ? FILTER_LESS : c > 0 ? FILTER_MORE : order_u64(a.n, b.n);
}

static double as_double(const struct filter_value *v)
{
    return v->kind == FILTER_INT ? (double)v->i : v->kind == FILTER_UINT ? (double)v->u : v->d;
}

/* A whole number and a double are compared as doubles, which CEL defines so although large numbers lose digits by it. */
static enum filter_order order_numbers(const struct filter_value *a, const struct filter_value *b)
{
    if (a->kind == FILTER_DOUBLE || b->kind == FILTER_DOUBLE)
        return order_double(as_double(a), as_double(b));
    if (a->kind == FILTER_INT && b->kind == FILTER_INT)
        return order_i64(a->i, b->i);
    if (a->kind == FILTER_INT && a->i < 0)
        return FILTER_LESS;
    if (b->kind == FILTER_INT && b->i < 0)
        return FILTER_MORE;
    return order_u64(a->u, b->u);
}

enum filter_order filter_compare(const struct filter_value *a, const struct filter_value *b)
{
    if (filter_is_number(a) && filter_is_number(b))
        return order_numbers(a, b);
    if (a->kind != b->kind)
        return FILTER_NOT_COMPARABLE;
    switch (a->kind) {
    case FILTER_BOOL: return order_u64(a->b, b->b);
    case FILTER_STRING: /* the order of UTF-8's bytes is that of code points */
    case FILTER_BYTES: return order_bytes(a->bytes, b->bytes);
    case FILTER_DURATION: return order_i64(a->i, b->i);
    case FILTER_TIMESTAMP: return a->i != b->i ? order_i64(a->i, b->i) : order_u64(a->nanos, b->nanos);
    default: return FILTER_NOT_COMPARABLE;
    }
}

static bool lists_equal(const struct filter_list *a, const struct filter_list *b, uint64_t *fuel)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!filter_equal(&a->v[i], &b->v[i], fuel))
            return false;
    return true;
}

static bool maps_equal(const struct filter_map *a, const struct filter_map *b, uint64_t *fuel)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        struct filter_value key, left, right;
        filter_map_at(a, i, &key, &left);
        if (!filter_map_find(b, &key, &right) || !filter_equal(&left, &right, fuel))
            return false;
    }
    return true;
}

/* The recursion is as deep as values are nested, which is no deeper than the filter's text. */
bool filter_equal(const struct filter_value *a, const struct filter_value *b, uint64_t *fuel)
{
    if (!filter_spend(fuel, 1))
        return false;
    if (filter_is_number(a) && filter_is_number(b))
        return order_numbers(a, b) == FILTER_SAME;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case FILTER_NULL: return true;
    case FILTER_CIDR:
    case FILTER_IP: return a->prefix == b->prefix && td_eq(a->bytes, b->bytes);
    case FILTER_TYPE: /* lists of whatever are of one type once the filter runs */ return a->type->kind == b->type->kind;
    case FILTER_LIST: return lists_equal(a->list, b->list, fuel);
    case FILTER_MAP: return maps_equal(a->map, b->map, fuel);
    case FILTER_OPTIONAL: return a->content && b->content ? filter_equal(a->content, b->content, fuel) : a->content == b->content;
    default: return filter_compare(a, b) == FILTER_SAME;
    }
}

/* Numbers that are equal have one form as keys: UINT, or INT if negative. False for what cannot be a key of any map. */
static bool normalize_key(const struct filter_value *key, struct filter_value *ret)
{
    *ret = *key;
    switch (key->kind) {
    case FILTER_INT:
        if (key->i >= 0)
            *ret = filter_uint((uint64_t)key->i);
        return true;
    case FILTER_DOUBLE: /* only where nothing is lost */
        if (key->d >= 0 && key->d < FILTER_2_TO_64 && key->d == floor(key->d))
            *ret = filter_uint((uint64_t)key->d);
        else if (key->d < 0 && key->d >= -FILTER_2_TO_63 && key->d == floor(key->d))
            *ret = filter_int((int64_t)key->d);
        else
            return false;
        return true;
    case FILTER_UINT:
    case FILTER_BOOL:
    case FILTER_STRING: return true;
    default: return false;
    }
}

static bool keys_equal(const struct filter_value *a, const struct filter_value *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == FILTER_STRING ? td_eq(a->bytes, b->bytes) : a->kind == FILTER_BOOL ? a->b == b->b : a->u == b->u;
}

static uint32_t hash_key(const struct filter_value *key)
{
    uint64_t h = hash_mix(key->kind + 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
    if (key->kind == FILTER_STRING) {
        struct td_slice s = key->bytes;
        for (size_t i = 0; i < s.n; i += 8) {
            uint64_t word = 0;
            memcpy(&word, s.p + i, s.n - i < 8 ? s.n - i : 8);
            h = hash_mix(h ^ word, 0xd6e8feb86659fd93u ^ s.n);
        }
    } else {
        h = hash_mix(h ^ (key->kind == FILTER_BOOL ? (uint64_t)key->b : key->u), 0xd6e8feb86659fd93u);
    }
    return (uint32_t)(h ^ h >> 32);
}

/* The slot that has this normalized key, or the free one where it belongs. */
static uint32_t find_slot(const struct filter_map *map, const struct filter_value *key)
{
    uint32_t at = hash_key(key) & map->mask;
    for (; map->slots[at]; at = (at + 1) & map->mask) {
        struct filter_value other;
        if (normalize_key(&map->v[2 * (map->slots[at] - 1)], &other) && keys_equal(&other, key))
            break;
    }
    return at;
}

static bool find_small(const struct filter_map *map, uint32_t n, const struct filter_value *key, struct filter_value *ret_value)
{
    for (uint32_t i = 0; i < n; i++) {
        struct filter_value other;
        if (normalize_key(&map->v[2 * i], &other) && keys_equal(&other, key)) {
            *ret_value = map->v[2 * i + 1];
            return true;
        }
    }
    return false;
}

bool filter_map_find(const struct filter_map *map, const struct filter_value *key, struct filter_value *ret_value)
{
    if (map->ctx)
        return key->kind == FILTER_STRING && map->find(map->ctx, key->bytes, ret_value);
    struct filter_value wanted;
    if (!normalize_key(key, &wanted))
        return false;
    if (!map->mask)
        return find_small(map, map->n, &wanted, ret_value);
    uint32_t slot = map->slots[find_slot(map, &wanted)];
    if (slot)
        *ret_value = map->v[2 * (slot - 1) + 1];
    return slot != 0;
}

void filter_map_at(const struct filter_map *map, uint32_t i, struct filter_value *ret_key, struct filter_value *ret_value)
{
    if (map->ctx && !map->at(map->ctx, i, ret_key, ret_value)) {
        *ret_key = filter_string(td_bytes(NULL, 0));
        *ret_value = *ret_key;
    } else if (!map->ctx) {
        *ret_key = map->v[2 * i];
        *ret_value = map->v[2 * i + 1];
    }
}

struct filter_value filter_optional(struct arena *arena, const struct filter_value *v)
{
    struct filter_value *content = arena_alloc(arena, sizeof *content, _Alignof(struct filter_value));
    if (!content)
        return filter_fail(FILTER_E_LIMIT);
    *content = *v;
    return (struct filter_value){.kind = FILTER_OPTIONAL, .content = content};
}

struct filter_list *filter_list_new(struct arena *arena, uint32_t n)
{
    struct filter_list *list = arena_alloc(arena, sizeof *list + n * sizeof list->v[0], _Alignof(struct filter_list));
    if (list)
        list->n = n;
    return list;
}

/* Adds the pair that stands at `i` to what finds it; false if its key is there already. */
static bool index_pair(struct filter_map *map, uint32_t *slots, uint32_t i, const struct filter_value *key)
{
    struct filter_value ignored;
    if (!map->mask)
        return !find_small(map, i, key, &ignored);
    uint32_t at = find_slot(map, key);
    if (slots[at])
        return false;
    slots[at] = i + 1;
    return true;
}

struct filter_value filter_map_new(struct arena *arena, const struct filter_value *pairs, uint32_t n, uint64_t *fuel)
{
    struct filter_map *map = arena_alloc(arena, sizeof *map + 2 * (size_t)n * sizeof map->v[0], _Alignof(struct filter_map));
    uint32_t *slots = NULL;
    if (!map || !filter_spend(fuel, n))
        return filter_fail(FILTER_E_LIMIT);
    map->n = n;
    if (n)
        memcpy(map->v, pairs, 2 * (size_t)n * sizeof map->v[0]);
    if (n > SMALL_MAP) {
        uint32_t size = 32;
        while (size / 2 < n)
            size *= 2;
        slots = arena_alloc(arena, size * sizeof *slots, _Alignof(uint32_t));
        if (!slots)
            return filter_fail(FILTER_E_LIMIT);
        map->mask = size - 1;
        map->slots = slots;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct filter_value key;
        if (map->v[2 * i].kind == FILTER_DOUBLE || !normalize_key(&map->v[2 * i], &key))
            return filter_fail(FILTER_E_NO_OVERLOAD);
        if (!index_pair(map, slots, i, &key))
            return filter_fail(FILTER_E_DUPLICATE_KEY);
    }
    return (struct filter_value){.kind = FILTER_MAP, .map = map};
}

static const char *const type_names[FILTER_ERROR + 1] = {
    [FILTER_NULL] = "null_type",
    [FILTER_BOOL] = "bool",
    [FILTER_INT] = "int",
    [FILTER_UINT] = "uint",
    [FILTER_DOUBLE] = "double",
    [FILTER_STRING] = "string",
    [FILTER_BYTES] = "bytes",
    [FILTER_TIMESTAMP] = "google.protobuf.Timestamp",
    [FILTER_DURATION] = "google.protobuf.Duration",
    [FILTER_LIST] = "list",
    [FILTER_MAP] = "map",
    [FILTER_TYPE] = "type",
    [FILTER_IP] = "net.IP",
    [FILTER_CIDR] = "net.CIDR",
    [FILTER_OPTIONAL] = "optional_type",
};

struct td_slice filter_type_name(enum filter_kind kind)
{
    return td_str(type_names[kind]);
}

const char *filter_error_text(enum filter_error error)
{
    switch (error) {
    case FILTER_E_NO_SUCH_KEY: return "no such key in the map";
    case FILTER_E_BAD_INDEX: return "no such position in the list or text";
    case FILTER_E_NO_OVERLOAD: return "the operation does not exist for values of these types";
    case FILTER_E_UNDECLARED: return "no such field";
    case FILTER_E_OVERFLOW: return "the result is out of its type's range";
    case FILTER_E_DIVISION_BY_ZERO: return "division by zero";
    case FILTER_E_CONVERSION: return "the value cannot be converted to this type";
    case FILTER_E_BAD_UTF8: return "the bytes are not valid UTF-8";
    case FILTER_E_BAD_REGEX: return "not a valid regular expression";
    case FILTER_E_DUPLICATE_KEY: return "a map has the same key twice";
    case FILTER_E_NOT_BOOL: return "a condition is neither true nor false";
    case FILTER_E_ARGUMENT: return "an argument is out of its range";
    case FILTER_E_LIMIT: return "evaluation takes too long or too much memory";
    }
    return "unknown error";
}
