/* The evaluator: operators, macros, what becomes of errors, limits, records. */
#include "filter/eval.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "evaluate.h"
#include "filter/parse.h"
#include "filter/type_name.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))
#define OVERLOAD "error: the operation does not exist for values of these types"
#define OVERFLOWS "error: the result is out of its type's range"
#define DIVISION "error: division by zero"
#define INDEX "error: no such position in the list or text"
#define KEY "error: no such key in the map"
#define NOT_BOOL "error: a condition is neither true nor false"

static const struct expectation arithmetic[] = {
    {"7 / -2 * 10 + 7 % -2", "-29"},
    {"-7 % 3", "-1"},
    {"9223372036854775807 + 1", OVERFLOWS},
    {"-9223372036854775807 - 2", OVERFLOWS},
    {"4611686018427387904 * 2", OVERFLOWS},
    {"-9223372036854775808 / -1", OVERFLOWS},
    {"-9223372036854775808 % -1", OVERFLOWS},
    {"-(-9223372036854775807 - 1)", OVERFLOWS},
    {"1 / 0", DIVISION},
    {"1 % 0", DIVISION},
    {"1u / 0u", DIVISION},
    {"0u - 1u", OVERFLOWS},
    {"18446744073709551615u + 1u", OVERFLOWS},
    {"4294967296u * 4294967296u", OVERFLOWS},
    {"7u / 2u + 7u % 4u", "6u"},
    {"1.0 / 0.0", "Infinity"},
    {"-1.5 * 2.0 - 0.5", "-3.5"},
    {"5.0 % 2.0", OVERLOAD},
    {"1 + 1.0", OVERLOAD},
    {"1 + 1u", OVERLOAD},
    {"'a' - 'b'", OVERLOAD},
    {"-'a'", OVERLOAD},
    {"!1", OVERLOAD},
    {"'a' + 'b' + '' == 'ab'", "true"},
    {"b'a' + b'\\x00'", "b\"a\\x00\""},
    {"'a' + b'b'", OVERLOAD},
    {"[1] + 1", OVERLOAD},
};

static const struct expectation comparison[] = {
    {"[1, 2] == [1, 2] && [[]] != [[1]]", "true"},
    {"dyn('1') == 1", "false"},
    {"2 <= 2 && 2 >= 2 && 1 < 2 && 2 > 1 && !(1 > 2) && !(2 <= 1)", "true"},
    {"0.0 / 0.0 < 1.0 || 0.0 / 0.0 >= 1.0 || 0.0 / 0.0 <= 1.0 || 1.0 > 0.0 / 0.0", "false"},
    {"dyn(1u) < 1.5 && dyn(2) > 1u", "true"},
    {"[1] < [2]", OVERLOAD},
    {"null < null", OVERLOAD},
    {"'a' < 1", OVERLOAD},
    {"2 in [1, 2] && !('x' in []) && dyn(2.0) in [1, 2]", "true"},
    {"'k' in {'k': null} && !('v' in {'k': 'v'})", "true"},
    {"dyn(1.0) in {1: 2} && !(dyn(1.5) in {1: 2})", "true"},
    {"1 in 'abc'", OVERLOAD},
    {"dyn([]) in {1: 1}", "false"},
};

static const struct expectation indexing[] = {
    {"[3, 4][1]", "4"},
    {"[3, 4][dyn(1u)] + [3, 4][dyn(0.0)]", "7"},
    {"[3, 4][2]", INDEX},
    {"[3, 4][-1]", INDEX},
    {"[3, 4][dyn(0.5)]", INDEX},
    {"[3, 4][dyn(4294967296.0)]", INDEX},
    {"[3, 4][dyn('0')]", INDEX},
    {"{'a': 1}['a'] + {'a': 2}.a + {'a-b': 3}.`a-b`", "6"},
    {"{'a': 1}.b", KEY},
    {"{1: 2}[dyn('1')]", KEY},
    {"'abc'[0]", OVERLOAD},
    {"dyn(1).a", OVERLOAD},
    {"has({'a': 0}.a) && !has({'a': 0}.b)", "true"},
    {"has(dyn(1).a)", OVERLOAD},
    {"{'a': 1, 'a': 2}", "error: a map has the same key twice"},
    {"{dyn(1.5): 1}", OVERLOAD},
    {"{1: 'x', 2u: 'y'}[2]", "\"y\""},
    {"map_get({'a': 1}, 'a', 9) * 10 + map_get({'a': 1}, 'b', 9)", "19"},
    {"size([1, 2]) + [].size() + size({1: 2}) + {}.size()", "3"},
};

static const struct expectation logic[] = {
    {"true && false || true", "true"},
    {"1 / 0 == 1 && false", "false"},
    {"false && 1 / 0 == 1", "false"},
    {"1 / 0 == 1 && true", DIVISION},
    {"true || 1 / 0 == 1", "true"},
    {"1 / 0 == 1 || [1][5] == 1", DIVISION},
    {"1 / 0 == 1 || [1][5] == 1 || true", "true"},
    {"dyn(1) || true", "true"},
    {"dyn(1) || false", NOT_BOOL},
    {"dyn('x') && false", "false"},
    {"dyn('x') && true", NOT_BOOL},
    {"true ? 1 : 1 / 0", "1"},
    {"false ? 1 / 0 : 2", "2"},
    {"1 / 0 == 1 ? true : true", DIVISION},
    {"dyn(1) ? true : true", NOT_BOOL},
    {"unknown || false", "error: no such field"},
    {"f(1 / 0)", OVERLOAD},
};

static const struct expectation macros[] = {
    {"[1, 2, 3].all(x, x > 0) && ![1, 2, 3].all(x, x > 1)", "true"},
    {"[].all(x, 1 / 0 == x) && ![].exists(x, 1 / 0 == x)", "true"},
    {"[0, 1].all(x, 1 / x > 5)", "false"},
    {"[0, 1].all(x, 1 / x > 0)", DIVISION},
    {"[0, 1].exists(x, 1 / x == 1)", "true"},
    {"[0, 1].exists(x, 1 / x == 2)", DIVISION},
    {"[1].exists(x, dyn(x))", NOT_BOOL},
    {"[1, 2, 2].exists_one(x, x == 1) && ![1, 2, 2].exists_one(x, x == 2)", "true"},
    {"[0, 1].exists_one(x, 1 / x == 1)", DIVISION},
    {"[1, 2, 3].filter(x, x != 2).map(x, x * x)", "[1, 9]"},
    {"[1, 2, 3].map(x, x > 1, -x)", "[-2, -3]"},
    {"[1, 0].map(x, 1 / x)", DIVISION},
    {"{'b': 1, 'c': 2}.map(k, k + '!')", "[\"b!\", \"c!\"]"},
    {"{'b': 1}.all(k, k == 'b')", "true"},
    {"[[1, 2], [3]].map(x, x.map(y, y + size(x)))", "[[3, 4], [4]]"},
    {"[1, 2].map(x, [x].map(x, x * 10)[0] + x)", "[11, 22]"},
    {"dyn(1).all(x, true)", OVERLOAD},
    {"['a', 'b'].all(i, v, (i == 0) == (v == 'a'))", "true"},
    {"{'a': 1}.exists(k, v, k == 'a' && v == 1)", "true"},
    {"[5, 6].transformList(i, v, i * v)", "[0, 6]"},
    {"[5, 6].transformList(i, v, i == 1, v)", "[6]"},
    {"{'a': 1}.transformMap(k, v, v + 1)", "{\"a\": 2}"},
    {"['a', 'b'].transformMapEntry(i, v, {v: i})", "{\"a\": 0, \"b\": 1}"},
    {"['a', 'a'].transformMapEntry(i, v, {v: i})", "error: a map has the same key twice"},
    {"['a'].transformMapEntry(i, v, dyn(v))", OVERLOAD},
    {"cel.bind(x, 2, cel.bind(y, x + 1, x * y))", "6"},
    {"cel.bind(x, 1 / 0, true || x == 1)", "true"},
    {"cel.bind(x, 1 / 0, x)", DIVISION},
    {"[1, 2].map(v, cel.bind(w, v + 1, w * w))", "[4, 9]"},
};

static const struct expectation untyped[] = {
    {"[1] + ['x'] + []", "[1, \"x\"]"},
    {"1 == 1.0 || dyn(1) == 1.0", "true"},
    {"unknown || true", "true"},
    {"!unknown.of(1) || true", "true"},
};

static const struct expectation optionals[] = {
    {"{'a': 1}.?a.orValue(9) * 10 + {'a': 1}.?b.orValue(9)", "19"},
    {"[5][?0].value() + [5][?1].orValue(2)", "7"},
    {"[5][?1].value()", KEY},
    {"{'a': {'b': 1}}.?a.b.hasValue() && !{'a': {'b': 1}}.?x.b.hasValue()", "true"},
    {"has({'a': {'b': 1}}.?a.b) && !has({'a': {'b': 1}}.?x.b)", "true"},
    {"optional.of(1) == optional.of(dyn(1.0)) && optional.none() != optional.of(0)", "true"},
    {"optional.none().or(optional.of(3)).value()", "3"},
    {"optional.ofNonZeroValue('').hasValue() || optional.ofNonZeroValue([]).hasValue() || optional.ofNonZeroValue(0.0).hasValue()",
     "false"},
    {"optional.ofNonZeroValue('x')", "optional(\"x\")"},
    {"type(optional.none())", "optional_type"},
    {"dyn(1).?a", OVERLOAD},
};

/* Where an error comes from: the operator, the call, the key. */
static void test_places(void)
{
    static const struct {
        const char *expr;
        uint32_t at;
    } cases[] = {{"true && 1 / 0 == 1", 10}, {"[1, 2].map(x, 7 % (x - 1))", 16}, {"'a'.substring(4) == ''", 4}, {"{'a': 1}.b == 1", 9}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct filter_diagnostics diagnostics;
        struct filter_eval *eval = NULL;
        struct filter_node *root = NULL;
        struct arena arena;
        struct filter_env env = {.dynamic = true, .plain = true};
        arena_init(&arena, 1 << 20);
        filter_diagnostics_init(&diagnostics);
        bool made = filter_parse(td_str(cases[i].expr), &arena, &diagnostics, &root) == TD_OK &&
                    filter_check(&env, td_str(cases[i].expr), &arena, &root, &diagnostics) == TD_OK &&
                    filter_eval_new(&eval, NULL) == TD_OK;
        struct filter_value v = made ? filter_eval(eval, root, &(struct filter_record){0}, 0) : filter_int(0);
        ok(v.kind == FILTER_ERROR, "%s is an error", cases[i].expr);
        is_int(v.nanos, cases[i].at, "and its place is known");
        filter_eval_free(eval);
        filter_diagnostics_clear(&diagnostics);
        arena_clear(&arena);
    }
}

/* Enough iterations for a limit, whatever is around them. */
#define MANY "cel.bind(a, [0,1,2,3,4,5,6,7,8,9], cel.bind(b, a.map(x, a), "
static void test_limits(void)
{
    static const char *const endless[] = {
        MANY "b.all(x, b.all(y, b.all(z, b.all(u, b.all(v, b.all(w, true))))))))",
        MANY "true || b.exists(x, b.exists(y, b.exists(z, b.exists(u, b.exists(v, b.exists(w, false)))))))) == false ||" MANY
             "b.exists(x, b.exists(y, b.exists(z, b.exists(u, b.exists(v, b.exists(w, false)))))))) || true",
        MANY "b.map(x, b.map(y, b.map(z, b.map(u, b.map(v, b))))) == []))",
    };
    for (size_t i = 0; i < COUNT(endless); i++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        is_int(evaluate_error(endless[i]), FILTER_E_LIMIT, "iterations have an end (%zu), which nothing absorbs", i);
        clock_gettime(CLOCK_MONOTONIC, &end);
        ok(end.tv_sec - start.tv_sec < 2, "and soon");
    }
    is_int(evaluate_error("cel.bind(a, 'xxxxxxxxxxxxxxxx'.replace('', '0123456789012345'), cel.bind(b, a.replace('', a), "
                          "b.replace('', b))) == '' || true"),
           FILTER_E_LIMIT, "running out of memory is not absorbed either");
    /* Doubling what is compared: small in memory. */
    char expr[4000] = "";
    size_t n = 0;
    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(expr + n, sizeof expr - n, "cel.bind(x, %s, ", i ? "[x, x]" : "[0]");
    n += (size_t)snprintf(expr + n, sizeof expr - n, "x == x");
    memset(expr + n, ')', 40);
    is_int(evaluate_error(expr), FILTER_E_LIMIT, "so has comparing");
}

/* A record with an int that it has and a text that it lacks. */
static bool has_first(const void *ctx, uint32_t field)
{
    (void)ctx;
    return field == 0;
}

static struct filter_value get_field(const void *ctx, uint32_t field, struct arena *arena)
{
    (void)arena;
    return field == 0 ? filter_int(*(const int *)ctx) : filter_string(TD_LIT(""));
}

static bool find_field(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    (void)ctx;
    bool first = td_eq(name, TD_LIT("p.number"));
    *ret = (struct filter_symbol){.name = first ? TD_LIT("p.number") : TD_LIT("note"), .index = !first};
    ret->type = &filter_types[first ? FILTER_INT : FILTER_STRING];
    return first || td_eq(name, TD_LIT("note"));
}

static void test_records(void)
{
    static const char expr[] = "p.number > 3 && has(p.number) && !has(note) && note == ''";
    struct filter_diagnostics diagnostics;
    struct filter_eval *eval = NULL;
    struct filter_node *root = NULL;
    struct arena arena;
    struct filter_env env = {.find = find_field};
    arena_init(&arena, 1 << 20);
    filter_diagnostics_init(&diagnostics);
    ok(filter_parse(td_str(expr), &arena, &diagnostics, &root) == TD_OK &&
           filter_check(&env, td_str(expr), &arena, &root, &diagnostics) == TD_OK,
       "a filter over fields compiles");
    ok(filter_eval_new(&eval, NULL) == TD_OK, "an evaluator");
    for (int number = 3; number < 5; number++) {
        struct filter_record record = {.ctx = &number, .has = has_first, .get = get_field};
        struct filter_value v = filter_eval(eval, root, &record, 0);
        ok(v.kind == FILTER_BOOL && v.b == (number > 3), "it tells records apart (%d)", number);
    }
    filter_eval_free(eval);
    filter_diagnostics_clear(&diagnostics);
    arena_clear(&arena);
}

/* Each allocation in turn fails: an error, or the result all the same. */
static void test_short_memory(void)
{
    static const char expr[] = "[1, 2].map(x, string(x) + 'a'.replace('a', 'bbbb')).join('').matches('b' + '+') && "
                               "timestamp(0).getHours('Asia/' + 'Tokyo') == 9";
    unsigned long failed = 0;
    bool wrong = false;
    for (unsigned long n = 1; n < 10000; n++) {
        evaluate_end();
        mem_fail_at(n);
        const char *got = evaluate(expr, false);
        bool reached = mem_failed();
        mem_fail_at(0);
        if (!reached)
            break;
        failed++;
        wrong = wrong || (strcmp(got, "true") != 0 && !strstr(got, "error") && !strstr(got, "refused") && !strstr(got, "(too long)"));
    }
    ok(failed > 4 && !wrong, "memory may be short anywhere (%lu places)", failed);
    is_str(evaluate(expr, false), "true", "and when there is enough again, all is well");
}

int main(void)
{
    evaluate_all(arithmetic, COUNT(arithmetic));
    evaluate_all(comparison, COUNT(comparison));
    evaluate_all(indexing, COUNT(indexing));
    evaluate_all(logic, COUNT(logic));
    evaluate_all(macros, COUNT(macros));
    evaluate_untyped(untyped, COUNT(untyped));
    evaluate_all(optionals, COUNT(optionals));
    test_places();
    test_limits();
    test_records();
    test_short_memory();
    evaluate_end();
    return tap_done();
}
