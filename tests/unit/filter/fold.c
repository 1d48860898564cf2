/* Folding: constants, chains, errors that are certain, and the order of operands. */
#include "filter/fold.h"

#include "filter/print.h"
#include "filter_rig.h"
#include "tap.h"

static struct filter_rig rig;

/* The folded filter as text, or the code of the first fault. */
static const char *fold(const char *text)
{
    struct filter_node *folded;
    filter_rig_check(&rig, text);
    if (rig.status != TD_OK)
        return "refused before";
    struct buf before;
    buf_init(&before, 0);
    filter_print(&before, rig.root);
    rig.status = filter_fold(rig.root, &rig.arena, 1700000000000000000, &folded, &rig.diagnostics);
    buf_reset(&rig.shown);
    filter_print(&rig.shown, rig.root);
    ok(td_eq(buf_slice(&before), buf_slice(&rig.shown)), "%s: the tree as written stays", text);
    buf_clear(&before);
    buf_reset(&rig.shown);
    if (rig.status == TD_OK)
        filter_print(&rig.shown, folded);
    else
        buf_puts(&rig.shown, rig.diagnostics.v[0].code);
    return buf_cstr(&rig.shown);
}

static void test_results(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"status_code == 1 + 2 * 3", "status_code == 7"},
        {"timestamp > now() - duration('1h')", "timestamp > timestamp(\"2023-11-14T21:13:20Z\")"},
        {"status_code in [1, 1 + 1]", "status_code in [1, 2]"},
        {"'a' + 'b' == path", "\"ab\" == path"},
        {"cidr('10.0.0.0/8').containsIP(src.ip)", "cidr(\"10.0.0.0/8\").containsIP(src.ip)"},
        {"[1, 2].exists(x, x > 1) ? http : dns", "http"},
        {"[1, 2].map(x, x * 2) == [src.port]", "[2, 4] == [src.port]"},
        {"pods.exists(p, [1, 2].all(x, x > 0) && p == 'a' + 'b')", "pods.exists(p, p == \"ab\")"},
        {"pods.exists(p, ['a'].exists(x, x == p))", "pods.exists(p, [\"a\"].exists(x, x == p))"},
        {"cel.bind(x, 1, x + 1) == 2", "true"},
        {"cel.bind(x, src.port, x == 1 + 1)", "cel.bind(x, src.port, x == 2)"},
        {"true && http", "http"},
        {"http && true && dns", "http && dns"},
        {"http && 1 == 2", "false"},
        {"http || 1 == 1", "true"},
        {"false || false", "false"},
        {"1 / 0 == 1 && false", "false"},
        {"1 / 0 == 1 || true", "true"},
        {"1 / 0 == 1 || http", "http || 1 / 0 == 1"},
        {"true && dyn(src.port)", "true && dyn(src.port)"},
        {"http ? 1 / 0 == 1 : dns", "http ? 1 / 0 == 1 : dns"},
        {"!(1 == 1)", "false"},
        {"{'a': 1}.a == 1", "true"},
        {"has({'a': 1}.b) || http", "http"},
        {"map_get({'a': 'b'}, 'a', '') == path", "\"b\" == path"},
        {"1 / 0 == 1", "error"},
        {"[1][5] == status_code", "error"},
        {"!(http && size([1][5]) == 1)", "refused before"},
        {"(1 / 0 == 1 ? 1 : 2) == status_code", "error"},
        {"http", "http"},
        {"", "true"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(fold(cases[i].text), cases[i].want, "%s", cases[i].text);
}

static void test_order(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"path.matches('a') && path == 'b' && http", "http && path == \"b\" && path.matches(\"a\")"},
        {"path == 'b' || status_code == 1 || http", "http || status_code == 1 || path == \"b\""},
        {"pods.exists(p, p == 'a') && path.contains('x')", "path.contains(\"x\") && pods.exists(p, p == \"a\")"},
        {"src.ip == 'a' && dst.ip == 'b'", "src.ip == \"a\" && dst.ip == \"b\""},
        {"dst.ip == 'b' && src.ip == 'a'", "dst.ip == \"b\" && src.ip == \"a\""},
        {"(path.matches('a') || http) && dns", "dns && (http || path.matches(\"a\"))"},
        {"pods.exists(p, p.matches('a') || p == 'b')", "pods.exists(p, p == \"b\" || p.matches(\"a\"))"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(fold(cases[i].text), cases[i].want, "%s", cases[i].text);
}

static void test_warnings(void)
{
    fold("http && 1 == 1");
    ok(filter_rig_find(&rig, "constant") != NULL, "a condition that is always true");
    fold("1 == 2");
    ok(filter_rig_find(&rig, "constant") != NULL, "a filter that never matches");
    fold("true");
    ok(!filter_rig_find(&rig, "constant"), "true as written is meant so");
}

/* What takes too long or gets too large is left for the run. */
static void test_limits(void)
{
    struct buf text;
    buf_init(&text, 0);
    buf_lit(&text, "[");
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "%s%d", i ? "," : "", i);
    buf_lit(&text, "].map(a, a)");
    buf_lit(&text, ".exists(x, [1,2,3,4,5,6,7,8,9].map(y, [1,2,3,4,5,6,7,8,9].map(z, x*y*z))[8][8] < 0) || http");
    fold(buf_cstr(&text));
    is_int(rig.status, TD_OK, "a large computation is no fault");
    buf_clear(&text);
}

int main(void)
{
    filter_rig_init(&rig, NULL);
    test_results();
    test_order();
    test_warnings();
    test_limits();
    filter_rig_clear(&rig);
    return tap_done();
}
