/* The parser: CEL's grammar, macros, sugar, recovery, limits. */
#include "filter/parse.h"

#include <stdio.h>

#include "base/mem.h"
#include "filter/filter.h"
#include "filter/print.h"
#include "filter_rig.h"
#include "tap.h"

struct expectation {
    const char *text, *want;
};

static struct filter_rig rig;

static void expect(const struct expectation *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        is_str(filter_rig_parse(&rig, cases[i].text), cases[i].want, "%s", cases[i].text);
}
#define EXPECT(cases) expect(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_grammar(void)
{
    static const struct expectation cases[] = {
        {"a || b && c == d + e * -f", "a || b && c == d + e * -f"},
        {"a ? b : c ? d : e", "a ? b : c ? d : e"},
        {"a < b == c", "a < b == c"},
        {"a in b in c", "a in b in c"},
        {"!a.b", "!a.b"},
        {"-a.b(c)[d]", "-a.b(c)[d]"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"--19", "--19"},
        {"[1, 2, 3,]", "[1, 2, 3]"},
        {"{1: 'a', 2: 'b',}", "{1: \"a\", 2: \"b\"}"},
        {"{}.size()", "{}.size()"},
        {"null == true", "null == true"},
        {"a // comment\n && b # comment", "a && b"},
        {"f()", "f()"},
        {".f(.a.b)", ".f(.a.b)"},
        {"a.for()", "a.for()"},
        {"m.`a/b`.in_", "m.`a/b`.in_"},
        {"x in {1: 2}[3]", "x in {1: 2}[3]"},
        {"x in {}", "x in {}"},
        {"x in {1: 2} - {3: 4}", "x in {1: 2} - {3: 4}"},
        {"a.?b[?c].d", "a.?b[?c].d"},
        {"", "true"},
        {"  # nothing\n", "true"},
        {"a ? 16:03", "a ? 16 : 3"},
        {"{16:03}", "{16: 3}"},
        {"{a == 16:03}", "{a == 16: 3}"},
        {"a ? (b == 16:03) : c", "a ? b == b\"\\x16\\x03\" : c"},
    };
    EXPECT(cases);
}

static void test_macros(void)
{
    static const struct expectation cases[] = {
        {"has(a.b)", "has(a.b)"},
        {"has(a.b.c)", "has(a.b.c)"},
        {"has(a)", "has(a)"},
        {"l.all(x, x > 1)", "l.all(x, x > 1)"},
        {"l.existsOne(x, x > 1)", "l.exists_one(x, x > 1)"},
        {"l.exists(i, x, x > i)", "l.exists(i, x, x > i)"},
        {"l.existsOne(i, x, x > i)", "l.existsOne(i, x, x > i)"},
        {"l.map(x, x > 1, x * 2)", "l.map(x, x > 1, x * 2)"},
        {"l.filter(x, x > 1)", "l.filter(x, x > 1)"},
        {"l.transformList(i, v, i > 0, v)", "l.transformList(i, v, i > 0, v)"},
        {"m.transformMap(k, v, v + 1)", "m.transformMap(k, v, v + 1)"},
        {"m.transformMapEntry(k, v, {v: k})", "m.transformMapEntry(k, v, {v: k})"},
        {"cel.bind(x, 1 + 2, x * x)", "cel.bind(x, 1 + 2, x * x)"},
        {"l.all(x)", "l.all(x)"},
        {"l.map()", "l.map()"},
        {"l.all(1, x)", "macro 6-7"},
        {"l.all(.x, x)", "macro 6-8"},
        {"l.all(a.b, x)", "macro 6-9"},
        {"l.all(x, x, true)", "macro 9-10"},
        {"cel.bind(1, 2, 3)", "macro 9-10"},
        {"has(1)", "macro 0-6"},
        {"has(a.b())", "macro 0-10"},
        {"has(a.b, c)", "macro 0-11"},
        {"has()", "macro 0-5"},
    };
    EXPECT(cases);
    is_str(filter_rig_parse(&rig, "a.b.exists()"), "has(a.b)", "exists() without arguments");
    ok(filter_rig_find(&rig, "deprecated") != NULL, "with a warning");
}

static void test_sugar(void)
{
    static const struct expectation cases[] = {
        {"a and b or not c", "a && b || !c"},
        {"a AND b OR NOT c", "a && b || !c"},
        {"not a == b and c", "!(a == b) && c"},
        {"not (a) and b", "!a && b"},
        {"not not a", "!!a"},
        {"a xor b", "a != b"},
        {"a and b xor c or d", "(a && b) != c || d"},
        {"a eq 1 and b ne 2 and c lt 3 and d le 4 and e gt 5 and f ge 6", "a == 1 && b != 2 && c < 3 && d <= 4 && e > 5 && f >= 6"},
        {"f contains 'x' || g matches 'y' || h ~ 'z'", "f.contains(\"x\") || g.matches(\"y\") || h.matches(\"z\")"},
        {"f contains 'x' + 'y'", "f.contains(\"x\" + \"y\")"},
        {"p in {80, 443}", "p in [80, 443]"},
        {"p in {80, 443, 8000..8080}", "p in [80, 443] || p >= 8000 && p <= 8080"},
        {"p in {1..2, 3..4,}", "p >= 1 && p <= 2 || p >= 3 && p <= 4"},
        {"p in {1 .. 2}", "p >= 1 && p <= 2"},
        {"p in {-5..-1}", "p >= -5 && p <= -1"},
        {"p not in {80}", "!(p in [80])"},
        {"p not in [80]", "!(p in [80])"},
        {"p in {'a', 10.0.0.0/8}", "p in [\"a\"] || cidr(\"10.0.0.0/8\").containsIP(p)"},
        {"a == 10.0.0.1", "a == \"10.0.0.1\""},
        {"a == 10.0.0.0/8", "cidr(\"10.0.0.0/8\").containsIP(a)"},
        {"a != 10.0.0.0/8", "!cidr(\"10.0.0.0/8\").containsIP(a)"},
        {"a in 10.0.0.0/8", "cidr(\"10.0.0.0/8\").containsIP(a)"},
        {"10.0.0.0/8 == a", "cidr(\"10.0.0.0/8\").containsIP(a)"},
        {"f[0:4]", "f.substring(0, 4)"},
        {"f[2:4]", "f.substring(2, 6)"},
        {"f[:4]", "f.substring(0, 4)"},
        {"f[2:]", "f.substring(2)"},
        {"f[n:m]", "f.substring(n, n + m)"},
        {"p[0:2] == 16:03", "p.substring(0, 2) == b\"\\x16\\x03\""},
        {"p contains de:ad:be:ef", "p.contains(b\"\\xde\\xad\\xbe\\xef\")"},
        {"any f == 'x'", "f.exists(v, v == \"x\")"},
        {"all f > 3 and b", "f.all(v, v > 3) && b"},
        {"any f contains 'x'", "f.exists(v, v.contains(\"x\"))"},
        {"any f in {1, 2..3}", "f.exists(v, v in [1] || v >= 2 && v <= 3)"},
        {"any f not in {1}", "f.exists(v, !(v in [1]))"},
        {"any f == v", "f.exists(v1, v1 == v)"},
        {"f any_eq x", "f.exists(v, v == x)"},
        {"f any_ne x", "f.exists(v, v != x)"},
        {"f all_eq x", "f.all(v, v == x)"},
        {"f all_ne x", "f.all(v, v != x)"},
        {"f === x", "f.all(v, v == x)"},
        {"f !== x", "f.exists(v, v != x)"},
        {"f == any {'a', 'b'}", "[\"a\", \"b\"].exists(v, f == v)"},
        {"f != all {'a', 'b'}", "[\"a\", \"b\"].all(v, f != v)"},
        {"f == any g", "f.exists(v, v == g)"},
        {"f contains any {'a', 'b'}", "[\"a\", \"b\"].exists(v, f.contains(v))"},
    };
    EXPECT(cases);
}

/* What is CEL keeps its meaning, whatever words stand in it. */
static void test_words_as_names(void)
{
    static const struct expectation cases[] = {
        {"and || or", "and || or"},
        {"not", "not"},
        {"not.a", "not.a"},
        {"not[0]", "not[0]"},
        {"any == all", "any == all"},
        {"all in any", "all in any"},
        {"contains(a)", "contains(a)"},
        {"a.contains(b)", "a.contains(b)"},
        {"xor + eq", "xor + eq"},
        {"not - 1", "not - 1"},
        {"not == 1", "not == 1"},
        {"any.x", "any.x"},
        {"matches ? not : and", "matches ? not : and"},
    };
    EXPECT(cases);
}

static void test_faults(void)
{
    static const struct expectation cases[] = {
        {"a b", "syntax 2-3"},
        {"a &&", "syntax 4-4"},
        {"a && && b", "syntax 5-7"},
        {"(a", "syntax 2-2"},
        {"a)", "syntax 1-2"},
        {"[a, b", "syntax 5-5"},
        {"f(a,)", "syntax 4-5"},
        {"a.", "syntax 2-2"},
        {"a.1", "syntax 1-3"},
        {"a.in", "syntax 2-4"},
        {"a[", "syntax 2-2"},
        {"a ? b", "syntax 5-5"},
        {"{a}", "syntax 0-3"},
        {"{a: b, c}", "syntax 8-9"},
        {"[?a]", "unsupported 1-2"},
        {"{?a: b}", "unsupported 1-2"},
        {"while", "syntax 0-5"},
        {"a.b.`", "bad_name 4-5"},
        {"any f", "syntax 5-5"},
        {"in a", "syntax 0-2"},
        {"9223372036854775808", "bad_number 0-19"},
        {"- 9223372036854775809", "bad_number 2-21"},
        {"a = 1", "bad_operator 2-3"},
        {"'x", "unfinished 0-2"},
        {"a in {10.0.0.1..10.0.0.9}", "unsupported 6-24"},
    };
    EXPECT(cases);
}

/* After a fault the rest is understood, so that several are told at once, and completion has a tree. */
static void test_recovery(void)
{
    filter_rig_parse(&rig, "f(a b) && c( && [1, 2 && d.");
    is_int(rig.diagnostics.n, 3, "three faults in one text");
    filter_rig_parse(&rig, "l.exists(x, x.y > ");
    ok(rig.root && rig.root->kind == FILTER_MACRO && rig.root->args[1]->kind == FILTER_OPERATOR, "an unfinished macro is a macro");
    filter_rig_parse(&rig, "src.");
    ok(rig.root && rig.root->kind == FILTER_SELECT && rig.root->name.n == 0, "a selection without its name");
    filter_rig_parse(&rig, "a == 1 b == 2 c == 3");
    ok(rig.root && rig.root->kind == FILTER_OPERATOR && rig.root->arg_n == 3, "operands without operators");
}

static void test_places(void)
{
    filter_rig_parse(&rig, " ab.cd( ef ) == 5 ");
    const struct filter_node *root = rig.root, *call = root->args[0];
    ok(root->span.from == 1 && root->span.to == 17, "the whole");
    ok(root->name_span.from == 13 && root->name_span.to == 15, "the operator");
    ok(call->span.from == 1 && call->span.to == 12 && call->name_span.from == 4 && call->name_span.to == 6, "a call and its name");
    filter_rig_parse(&rig, "a and b");
    ok(rig.root->sugar, "sugar is marked");
    filter_rig_parse(&rig, "a && b");
    ok(!rig.root->sugar, "CEL is not");
}

static const char *repeat(struct buf *out, const char *head, const char *part, unsigned n, const char *tail)
{
    buf_reset(out);
    buf_puts(out, head);
    for (unsigned i = 0; i < n; i++)
        buf_puts(out, part);
    buf_puts(out, tail);
    return buf_cstr(out);
}

static void test_limits(void)
{
    struct buf text;
    buf_init(&text, 0);
    filter_rig_parse(&rig, repeat(&text, "", "(", 200, "a"));
    ok(filter_rig_find(&rig, "syntax") != NULL, "200 parentheses are only not closed");
    filter_rig_parse(&rig, repeat(&text, "", "(", 60000, "a"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "60000 parentheses are too deep");
    filter_rig_parse(&rig, repeat(&text, "", "!", 60000, "a"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "60000 negations");
    filter_rig_parse(&rig, repeat(&text, "", "-", 60000, "a"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "60000 minus signs");
    filter_rig_parse(&rig, repeat(&text, "", "a?b:", 15000, "c"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "15000 conditions");
    filter_rig_parse(&rig, repeat(&text, "a", "+a", 300, ""));
    ok(filter_rig_find(&rig, "too_large") != NULL, "300 sums are a deep tree");
    filter_rig_parse(&rig, repeat(&text, "", "any a == ", 6000, "b"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "6000 quantifiers");
    ok(filter_rig_parse(&rig, repeat(&text, "a", "+a", 240, "")) && rig.status == TD_OK, "240 sums");
    ok(filter_rig_parse(&rig, repeat(&text, "a", "||a", 5000, "")) && rig.status == TD_OK, "5000 alternatives are one node");
    filter_rig_parse(&rig, repeat(&text, "a", "||a", 12000, ""));
    ok(filter_rig_find(&rig, "too_large") != NULL, "12000 nodes are too many");
    filter_rig_parse(&rig, repeat(&text, "p in {1", ", 2..3", 9000, "}"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "so are those of ranges");
    filter_rig_parse(&rig, repeat(&text, "", " ", FILTER_MAX_TEXT, "a"));
    ok(filter_rig_find(&rig, "too_large") != NULL, "a text that is too long");
    buf_clear(&text);
}

/* Memory that fails at any place is told, and nothing is lost or used after. */
static void test_memory(void)
{
    static const char text[] =
        "a.b('x\\n', [1, 2]) and any f in {1, 2..3} or x[1:2] == 16:03 && l.map(v, v.w > {1: 2}[1], v) ? 10.0.0.0/8 : m.exists()";
    char whole[512];
    unsigned long nth = 0;
    bool failed = true, wrong = false;
    snprintf(whole, sizeof(whole), "%s", filter_rig_parse(&rig, text));
    for (; failed && nth < 1000; nth++) {
        struct arena arena;
        struct filter_diagnostics d;
        struct filter_node *root;
        arena_init(&arena, 1 << 20);
        filter_diagnostics_init(&d);
        mem_fail_at(nth + 1);
        int status = filter_parse(td_str(text), &arena, &d, &root);
        failed = mem_failed();
        mem_fail_at(0);
        wrong |= status != TD_OK && (!failed || status != TD_E_NOMEM);
        if (status == TD_OK) { /* only words about it are missing */
            struct buf shown;
            buf_init(&shown, 0);
            filter_print(&shown, root);
            wrong |= strcmp(buf_cstr(&shown), whole) != 0;
            buf_clear(&shown);
        }
        filter_diagnostics_clear(&d);
        arena_clear(&arena);
    }
    ok(nth > 3 && !wrong, "%lu failures of memory are told", nth - 1);
}

int main(void)
{
    filter_rig_init(&rig, NULL);
    test_grammar();
    test_macros();
    test_sugar();
    test_words_as_names();
    test_faults();
    test_recovery();
    test_places();
    test_limits();
    test_memory();
    filter_rig_clear(&rig);
    return tap_done();
}
