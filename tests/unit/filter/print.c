/* The printer: what the parser makes of its text is the same tree. */
#include "filter/print.h"

#include "filter/parse.h"
#include "filter_rig.h"
#include "tap.h"

enum { TREES = 20000, DEPTH = 5 };

static void test_random_trees(void)
{
    uint64_t seed = 20261123;
    unsigned wrong = 0, told = 0;
    for (unsigned i = 0; i < TREES; i++) {
        struct arena arena;
        arena_init(&arena, 64 << 20);
        struct filter_builder b = {.arena = &arena};
        struct filter_diagnostics d;
        struct filter_node *tree = filter_rig_random(&b, &seed, (int)(i % DEPTH) + 1), *again = NULL;
        struct buf text, second;
        buf_init(&text, 0);
        buf_init(&second, 0);
        filter_diagnostics_init(&d);
        filter_print(&text, tree);
        int status = filter_parse(buf_slice(&text), &arena, &d, &again);
        bool same = status == TD_OK && filter_rig_same(tree, again);
        if (same) {
            filter_print(&second, again);
            same = td_eq(buf_slice(&text), buf_slice(&second));
        }
        wrong += !same;
        if (!same && told++ < 5)
            tap_diag("%s%s", buf_cstr(&text), d.n ? d.v[0].message : "");
        filter_diagnostics_clear(&d);
        buf_clear(&text);
        buf_clear(&second);
        arena_clear(&arena);
    }
    is_int(wrong, 0, "%d random trees: printed and parsed they are the same", TREES);
}

static void test_parentheses(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"((a))", "a"},
        {"(a && b) || c", "a && b || c"},
        {"a && (b || c)", "a && (b || c)"},
        {"(a && b) && (c && d)", "a && b && c && d"},
        {"a - (b - c)", "a - (b - c)"},
        {"(a - b) - c", "a - b - c"},
        {"(a + b) * c", "(a + b) * c"},
        {"(a == b) == c", "a == b == c"},
        {"a == (b == c)", "a == (b == c)"},
        {"!(a == b)", "!(a == b)"},
        {"!(!(a))", "!!a"},
        {"-(1)", "-(1)"},
        {"-(-1)", "--1"},
        {"-(1.f())", "-(1.f())"},
        {"(-1).f()", "(-1).f()"},
        {"- 1", "-1"},
        {"1 - -1", "1 - -1"},
        {"-(5u)", "-5u"},
        {"(a ? b : c) ? d : (e ? f : g)", "(a ? b : c) ? d : e ? f : g"},
        {"a ? (b ? c : d) : e", "a ? (b ? c : d) : e"},
        {"(a.b)[c].d(e)", "a.b[c].d(e)"},
        {"(a || b).c", "(a || b).c"},
        {"[1,2,].size()", "[1, 2].size()"},
        {"{'a':1,}['a']", "{\"a\": 1}[\"a\"]"},
        {"m.`content-type`", "m.`content-type`"},
        {"m.`plain`", "m.plain"},
        {"m.package", "m.package"},
        {".a.b(.c)", ".a.b(.c)"},
        {"a.?b[?c]", "a.?b[?c]"},
    };
    struct filter_rig rig;
    filter_rig_init(&rig, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(filter_rig_parse(&rig, cases[i].text), cases[i].want, "%s", cases[i].text);
    filter_rig_clear(&rig);
}

static void test_values(void)
{
    static const uint8_t address[] = {192, 0, 2, 1}, six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const struct filter_value inner = {.kind = FILTER_INT, .i = 5};
    const struct {
        struct filter_value value;
        const char *want;
    } cases[] = {
        {{.kind = FILTER_NULL}, "null"},
        {filter_bool(true), "true"},
        {{.kind = FILTER_INT, .i = INT64_MIN}, "-9223372036854775808"},
        {{.kind = FILTER_UINT, .u = UINT64_MAX}, "18446744073709551615u"},
        {{.kind = FILTER_DOUBLE, .d = 3}, "3.0"},
        {{.kind = FILTER_DOUBLE, .d = 0.1}, "0.1"},
        {{.kind = FILTER_DOUBLE, .d = 1e300}, "1e+300"},
        {{.kind = FILTER_DOUBLE, .d = 1.0 / 0.0}, "double(\"inf\")"},
        {{.kind = FILTER_DOUBLE, .d = -1.0 / 0.0}, "double(\"-inf\")"},
        {{.kind = FILTER_DOUBLE, .d = __builtin_nan("")}, "double(\"nan\")"},
        {filter_string(TD_LIT("a\"\\\n\x01")), "\"a\\\"\\\\\\n\\x01\""},
        {filter_string(TD_LIT("\\d+")), "r\"\\d+\""},
        {filter_bytes(TD_LIT("a\x00\xff")), "b\"a\\x00\\xff\""},
        {{.kind = FILTER_TIMESTAMP, .i = 0, .nanos = 120000000}, "timestamp(\"1970-01-01T00:00:00.12Z\")"},
        {{.kind = FILTER_TIMESTAMP, .i = -62135596800}, "timestamp(\"0001-01-01T00:00:00Z\")"},
        {{.kind = FILTER_DURATION, .i = -1500000000}, "duration(\"-1.5s\")"},
        {{.kind = FILTER_DURATION, .i = INT64_MIN}, "duration(\"-9223372036.854775808s\")"},
        {{.kind = FILTER_TYPE, .type = &filter_types[FILTER_INT]}, "int"},
        {{.kind = FILTER_IP, .family = 4, .bytes = {address, 4}}, "ip(\"192.0.2.1\")"},
        {{.kind = FILTER_CIDR, .family = 6, .prefix = 64, .bytes = {six, 16}}, "cidr(\"2001:db8::1/64\")"},
        {{.kind = FILTER_OPTIONAL, .content = &inner}, "optional.of(5)"},
        {{.kind = FILTER_OPTIONAL}, "optional.none()"},
    };
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_reset(&text);
        filter_print_value(&text, &cases[i].value);
        is_str(buf_cstr(&text), cases[i].want, "%s", cases[i].want);
    }
    buf_clear(&text);
}

int main(void)
{
    test_random_trees();
    test_parentheses();
    test_values();
    return tap_done();
}
