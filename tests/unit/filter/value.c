/* Equality, order and maps of values. */
#include "filter/value.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "tap.h"

static struct arena arena;
static uint64_t fuel = UINT64_MAX;

static bool equal(struct filter_value a, struct filter_value b)
{
    bool forth = filter_equal(&a, &b, &fuel), back = filter_equal(&b, &a, &fuel);
    if (forth != back)
        ok(false, "equality goes both ways");
    return forth;
}

static struct filter_value text(const char *s)
{
    return filter_string(td_str(s));
}

static struct filter_value list_of(const struct filter_value *v, uint32_t n)
{
    struct filter_list *list = filter_list_new(&arena, n);
    memcpy(list->v, v, n * sizeof *v);
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}
#define LIST(...) \
    list_of((const struct filter_value[]){__VA_ARGS__}, sizeof((const struct filter_value[]){__VA_ARGS__}) / sizeof(struct filter_value))

static struct filter_value map_of(const struct filter_value *v, uint32_t n)
{
    return filter_map_new(&arena, v, n / 2, &fuel);
}
#define MAP(...) \
    map_of((const struct filter_value[]){__VA_ARGS__}, sizeof((const struct filter_value[]){__VA_ARGS__}) / sizeof(struct filter_value))

static void test_equality(void)
{
    struct filter_value null = {.kind = FILTER_NULL};
    ok(equal(null, null) && !equal(null, filter_int(0)) && !equal(null, filter_bool(false)), "null is itself and nothing else");
    ok(equal(filter_int(3), filter_uint(3)) && equal(filter_uint(3), filter_double(3)) && equal(filter_double(3), filter_int(3)),
       "numbers of all kinds are on one line");
    ok(!equal(filter_int(-1), filter_uint(UINT64_MAX)), "the same bits are not the same number");
    ok(!equal(filter_double((double)NAN), filter_double((double)NAN)) && !equal(filter_double((double)NAN), filter_int(0)),
       "NaN is not even itself");
    ok(equal(filter_double(0.0), filter_double(-0.0)) && equal(filter_double(-0.0), filter_int(0)), "zeros are equal");
    ok(!equal(filter_bool(true), filter_int(1)), "true is not 1");
    ok(!equal(text("a"), filter_bytes(TD_LIT("a"))), "text is not bytes");
    ok(equal(text(""), filter_string(td_bytes(NULL, 0))), "empty texts are equal wherever they are");
    ok(equal(LIST(filter_int(1), text("x")), LIST(filter_double(1), text("x"))), "lists: element by element");
    ok(!equal(LIST(filter_int(1)), LIST(filter_int(1), filter_int(1))), "lists: of one length");
    ok(equal(MAP(text("a"), filter_int(1), text("b"), filter_int(2)), MAP(text("b"), filter_uint(2), text("a"), filter_double(1))),
       "maps: whatever the order");
    ok(!equal(MAP(text("a"), filter_int(1)), MAP(text("b"), filter_int(1))), "maps: other keys");
    ok(!equal(MAP(text("a"), filter_int(1)), MAP(text("a"), filter_int(2))), "maps: other values");
    ok(equal(MAP(filter_int(1), null), MAP(filter_uint(1), null)), "maps: keys are numbers too");
    struct filter_value one = filter_int(1), some = filter_optional(&arena, &one), none = {.kind = FILTER_OPTIONAL};
    ok(equal(some, some) && equal(none, none) && !equal(some, none) && !equal(some, one), "optionals");
    struct filter_value list_type = {.kind = FILTER_TYPE, .type = &filter_types[FILTER_LIST]}, int_list_type = list_type;
    struct filter_type ints = {.kind = FILTER_LIST, .value = &filter_types[FILTER_INT]};
    int_list_type.type = &ints;
    ok(equal(list_type, int_list_type) && !equal(list_type, (struct filter_value){.kind = FILTER_TYPE, .type = &filter_types[FILTER_MAP]}),
       "all lists are of one type");
}

static enum filter_order order(struct filter_value a, struct filter_value b)
{
    return filter_compare(&a, &b);
}

static void test_order(void)
{
    ok(order(filter_int(-1), filter_uint(0)) == FILTER_LESS && order(filter_uint(0), filter_int(-1)) == FILTER_MORE, "int and uint");
    ok(order(filter_uint((uint64_t)INT64_MAX + 1), filter_int(INT64_MAX)) == FILTER_MORE, "beyond what an int can be");
    ok(order(filter_int(INT64_MAX), filter_double(0x1p63)) == FILTER_SAME, "as doubles, large numbers lose digits");
    ok(order(filter_uint(UINT64_MAX), filter_double(0x1p64)) == FILTER_SAME, "also without a sign");
    ok(order(filter_double(DBL_MAX), filter_uint(UINT64_MAX)) == FILTER_MORE, "doubles beyond all whole numbers");
    ok(order(filter_double((double)NAN), filter_int(1)) == FILTER_UNORDERED, "NaN has no place");
    ok(order(filter_int(1), filter_double(-(double)INFINITY)) == FILTER_MORE, "infinity has");
    ok(order(text("Z"), text("a")) == FILTER_LESS && order(text("a"), text("a\xcc\x80")) == FILTER_LESS &&
           order(text(""), text("")) == FILTER_SAME,
       "texts by code points");
    ok(order(text("\xef\xbf\xbd"), text("\xf0\x90\x80\x80")) == FILTER_LESS, "also beyond the first plane");
    ok(order(filter_bytes(TD_LIT("\x80")), filter_bytes(TD_LIT("\x7f\xff"))) == FILTER_MORE, "bytes are unsigned");
    ok(order(filter_bool(false), filter_bool(true)) == FILTER_LESS, "false before true");
    ok(order(text("1"), filter_int(1)) == FILTER_NOT_COMPARABLE && order(filter_bool(true), filter_int(1)) == FILTER_NOT_COMPARABLE,
       "different kinds have no order");
    ok(order(LIST(filter_int(1)), LIST(filter_int(1))) == FILTER_NOT_COMPARABLE, "lists have none");
    struct filter_value early = {.kind = FILTER_TIMESTAMP, .i = -5, .nanos = 999999999}, late = {.kind = FILTER_TIMESTAMP, .i = -4};
    ok(order(early, late) == FILTER_LESS && order(late, late) == FILTER_SAME, "moments");
}

static bool finds(struct filter_value map, struct filter_value key, int64_t want)
{
    struct filter_value v = {0};
    return filter_map_find(map.map, &key, &v) && v.i == want;
}

static void test_maps(void)
{
    struct filter_value map = MAP(filter_int(1), filter_int(10), filter_uint(2), filter_int(20), filter_bool(true), filter_int(30),
                                  text("1"), filter_int(40), filter_int(-3), filter_int(50));
    ok(finds(map, filter_uint(1), 10) && finds(map, filter_double(1), 10) && finds(map, filter_double(2), 20),
       "keys are found by their number");
    ok(finds(map, filter_bool(true), 30) && finds(map, text("1"), 40) && finds(map, filter_double(-3), 50), "and by kind");
    struct filter_value ignored,
        strange[] = {filter_double(1.5), filter_double((double)NAN), filter_double(0x1p70), filter_double(-0x1p70), filter_bool(false),
                     text(""),           filter_bytes(TD_LIT("1")),  {.kind = FILTER_NULL}, filter_int(3)};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        ok(!filter_map_find(map.map, &strange[i], &ignored), "a key that is not there (%zu)", i);
    is_int(MAP(filter_int(1), filter_int(1), filter_uint(1), filter_int(2)).error, FILTER_E_DUPLICATE_KEY, "one number twice");
    is_int(MAP(text("a"), filter_int(1), text("a"), filter_int(1)).error, FILTER_E_DUPLICATE_KEY, "one text twice");
    is_int(MAP(filter_double(1), filter_int(1)).error, FILTER_E_NO_OVERLOAD, "doubles are no keys");
    is_int(MAP(LIST(filter_int(1)), filter_int(1)).error, FILTER_E_NO_OVERLOAD, "lists are no keys");
}

static void test_large_map(void)
{
    enum { N = 5000 };
    static struct filter_value pairs[2 * N + 2];
    static char names[N][8];
    for (uint32_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "k%u", i);
        pairs[2 * i] = i % 2 ? text(names[i]) : filter_int((int64_t)i - N / 2);
        pairs[2 * i + 1] = filter_int(i);
    }
    struct filter_value map = filter_map_new(&arena, pairs, N, &fuel);
    uint32_t found = 0;
    for (uint32_t i = 0; i < N; i++)
        found += finds(map, i % 2 ? text(names[i]) : filter_double((double)i - N / 2), i);
    is_int(found, N, "all keys of a large map are found");
    ok(!finds(map, text("k0"), 0) && !finds(map, filter_int(N), 0), "and no other");
    pairs[2 * N] = text(names[777]);
    is_int(filter_map_new(&arena, pairs, N + 1, &fuel).error, FILTER_E_DUPLICATE_KEY, "a key twice among many");
}

/* A value that shares its parts: small in memory, endless to walk over. */
static void test_fuel(void)
{
    struct filter_value v = filter_int(1);
    for (int i = 0; i < 60; i++)
        v = LIST(v, v);
    uint64_t some = 100000;
    filter_equal(&v, &v, &some);
    is_int(some, 0, "comparing ends when it may take no longer");
}

static void test_memory(void)
{
    struct arena small;
    struct filter_value pairs[40];
    arena_init(&small, 1024);
    for (int i = 0; i < 40; i++)
        pairs[i] = filter_int(i);
    is_int(filter_map_new(&small, pairs, 20, &fuel).error, FILTER_E_LIMIT, "a map that memory is too short for");
    ok(!filter_list_new(&small, 1000), "a list");
    arena_clear(&small);
    arena_init(&small, 0);
    is_int(filter_optional(&small, pairs).error, FILTER_E_LIMIT, "an optional");
}

static void test_names(void)
{
    for (enum filter_kind kind = 0; kind < FILTER_DYN; kind++)
        ok(filter_type_name(kind).n > 0, "type %d has a name", kind);
    for (enum filter_error error = FILTER_E_NO_SUCH_KEY; error <= FILTER_E_LIMIT; error++)
        ok(filter_error_text(error)[0] && strcmp(filter_error_text(error), "unknown error") != 0, "error %d has a text", error);
    is_int(sizeof(struct filter_value), 24, "a value is small");
}

int main(void)
{
    arena_init(&arena, 64 << 20);
    test_equality();
    test_order();
    test_maps();
    test_large_map();
    test_fuel();
    test_memory();
    test_names();
    arena_clear(&arena);
    return tap_done();
}
