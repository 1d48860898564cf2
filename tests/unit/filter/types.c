/* Types: their names, and what the checker finds out about expressions without fields. */
#include "filter/type_name.h"

#include <stdio.h>

#include "filter/check.h"
#include "filter/parse.h"
#include "filter/unify.h"
#include "filter_rig.h"
#include "tap.h"

static struct arena arena;

static const char *show(struct buf *out, const struct filter_type *type)
{
    buf_reset(out);
    filter_type_put(out, type);
    return buf_cstr(out);
}

static void test_names(void)
{
    static const char *const same[] = {"int",       "null_type", "list(int)", "map(string, list(bytes))", "list(list(list(dyn)))",
                                       "timestamp", "duration",  "net.IP",    "list(map(int, string))"};
    static const char *const none[] = {"", "integer", "list(", "list(int", "map(int)", "map(list(int), int)", "list(int) x", "list()"};
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        const struct filter_type *type = filter_type_parse(&arena, td_str(same[i]));
        ok(type != NULL, "type %zu", i);
        is_str(type ? show(&out, type) : "", same[i], "and prints so");
        ok(type && filter_type_equal(type, filter_type_parse(&arena, td_str(same[i]))), "and is itself");
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ok(!filter_type_parse(&arena, td_str(none[i])), "no type %zu", i);
    is_str(show(&out, filter_type_parse(&arena, TD_LIT("list"))), "list(dyn)", "a list of anything");
    ok(!filter_type_equal(filter_type_parse(&arena, TD_LIT("list(int)")), filter_type_parse(&arena, TD_LIT("list(uint)"))),
       "others differ");
    ok(!filter_type_equal(filter_type_parse(&arena, TD_LIT("map(int, int)")), filter_type_parse(&arena, TD_LIT("map(uint, int)"))),
       "also in their keys");
    buf_clear(&out);
}

static bool find_nothing(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    (void)ctx;
    (void)name;
    (void)ret;
    return false;
}

static void test_deduction(void)
{
    static const struct {
        const char *text, *type; /* NULL: refused */
    } cases[] = {
        {"[]", "list(dyn)"},
        {"[1, 2]", "list(int)"},
        {"[1, 'a']", "list(dyn)"},
        {"[[], [1]]", "list(list(int))"},
        {"[[1], []]", "list(list(int))"},
        {"[[[]], [], [[1.5]]]", "list(list(list(double)))"},
        {"{}", "map(dyn, dyn)"},
        {"{'a': 1}", "map(string, int)"},
        {"{'a': 1, 2: 'b'}", "map(dyn, dyn)"},
        {"[] + [1]", "list(int)"},
        {"[1] + []", "list(int)"},
        {"[1] + ['a']", NULL},
        {"[1].map(x, [x])", "list(list(int))"},
        {"[1].map(x, x > 0, string(x))", "list(string)"},
        {"{'a': 1}.map(k, k)", "list(string)"},
        {"[1].filter(x, true)", "list(int)"},
        {"{'a': 1}.filter(k, true)", "list(string)"},
        {"[1.5].transformList(i, v, i)", "list(int)"},
        {"[1.5].transformMap(i, v, v)", "map(int, double)"},
        {"{'a': 1}.transformMap(k, v, v + 1)", "map(string, int)"},
        {"{'a': 1}.transformMapEntry(k, v, {v: k})", "map(int, string)"},
        {"{'a': 1}.transformMapEntry(k, v, v)", NULL},
        {"[].map(x, x)[0].foo", "dyn"},
        {"[].exists(x, x.y == 1)", "bool"},
        {"true ? 1 : 2", "int"},
        {"true ? [] : [1]", "list(int)"},
        {"true ? 1 : 'a'", NULL},
        {"true ? dyn(1) : 'a'", "dyn"},
        {"dyn(1) + 1", "int"},
        {"dyn(1) + dyn(2)", "dyn"},
        {"dyn([1])[0]", "dyn"},
        {"[1][0]", "int"},
        {"{'a': [1]}['a'][0]", "int"},
        {"[1]['a']", NULL},
        {"1 == 1u", NULL},
        {"1 < 2.0", NULL},
        {"dyn(1) < 2.0", "bool"},
        {"1 in [2]", "bool"},
        {"1 in ['a']", NULL},
        {"1 in {1: 2}", "bool"},
        {"1 in dyn(2)", "bool"},
        {"type(1)", "type(int)"},
        {"type(1) == string", "bool"},
        {"int", "type(int)"},
        {"size([])", "int"},
        {"cel.bind(x, [1], x + x)", "list(int)"},
        {"[1].?a", NULL},
        {"{'a': 1}.?a", "optional(int)"},
        {"[1][?0]", "optional(int)"},
        {"math.greatest(1, 2.0)", "dyn"},
        {"'a'.matches('b')", "bool"},
        {"timestamp('2026-01-02T03:04:05Z') - timestamp('2026-01-02T03:04:05Z')", "duration"},
        {"null == null", "bool"},
    };
    struct filter_env env = {.find = find_nothing, .plain = true};
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct filter_diagnostics d;
        struct filter_node *root = NULL;
        struct td_slice text = td_str(cases[i].text);
        filter_diagnostics_init(&d);
        int status = filter_parse(text, &arena, &d, &root);
        if (status == TD_OK)
            status = filter_check(&env, text, &arena, &root, &d);
        is_int(status, cases[i].type ? TD_OK : TD_E_CONFIG, "%s", cases[i].text);
        if (status == TD_OK)
            is_str(show(&out, root->type), cases[i].type ? cases[i].type : "", "its type");
        filter_diagnostics_clear(&d);
    }
    buf_clear(&out);
}

/* A failed attempt leaves no trace. */
static void test_undo(void)
{
    struct filter_unifier u = {.arena = &arena};
    const struct filter_type *a = filter_unify_new(&u), *integer = &filter_types[FILTER_INT], *text = &filter_types[FILTER_STRING];
    const struct filter_type *to[2] = {a, integer}, *from[2] = {text, text};
    ok(!filter_unify(&u, to, 0, from, 2), "a goes with string, but int does not");
    is_int(filter_unify_resolve(&u, a, 0)->kind, FILTER_PARAM, "a is free again");
    ok(filter_unify(&u, &a, 0, &text, 1) && filter_unify_resolve(&u, a, 0) == text, "a is string");
    ok(!filter_unify(&u, &a, 0, &integer, 1), "and no int any more");
    const struct filter_type *b = filter_unify_new(&u), *list = filter_list_type(&arena, b);
    ok(!filter_unify(&u, &b, 0, &list, 1) || filter_unify_finish(&u, b)->kind != FILTER_LIST, "no type contains itself");
}

int main(void)
{
    arena_init(&arena, 16 << 20);
    test_names();
    test_deduction();
    test_undo();
    arena_clear(&arena);
    return tap_done();
}
