/* The checker: names, overloads, conditions, and what people are told. Every fix that is offered must work. */
#include "filter/check.h"

#include <stdio.h>

#include "base/mem.h"
#include "filter/filter.h"
#include "filter/parse.h"
#include "filter_rig.h"
#include "tap.h"

struct expectation {
    const char *text, *want;
};

static struct filter_rig rig;

static void expect(const struct expectation *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        is_str(filter_rig_check(&rig, cases[i].text), cases[i].want, "%s", cases[i].text);
}
#define EXPECT(cases) expect(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_right(void)
{
    static const struct expectation cases[] = {
        {"http && status_code >= 500", "http && status_code >= 500"},
        {"src.ip == \"1\" && .dst.ip != ''", "src.ip == \"1\" && .dst.ip != \"\""},
        {"request.headers.host == 'a' && 'host' in request.headers", "request.headers.host == \"a\" && \"host\" in request.headers"},
        {"timestamp > now() - duration('5m')", "timestamp > now() - duration(\"5m\")"},
        {"latency > duration('1s') && latency + latency < latency", "latency > duration(\"1s\") && latency + latency < latency"},
        {"dns_questions.exists(src, src == dst.ip)", "dns_questions.exists(src, src == dst.ip)"},
        {"size(dns_questions) + dns_questions.size() > 2", "size(dns_questions) + dns_questions.size() > 2"},
        {"local_labels.exists(k, v, k == 'a' && v == 'b')", "local_labels.exists(k, v, k == \"a\" && v == \"b\")"},
        {"[] == [1] && {} == {'a': 1}", "[] == [1] && {} == {\"a\": 1}"},
        {"(http ? 1 : 2) == 1", "(http ? 1 : 2) == 1"},
        {"dyn(1) == 'a' || [1, 'a'][0] == true", "dyn(1) == \"a\" || [1, \"a\"][0] == true"},
        {"type(src.ip) == string && type(timestamp) == google.protobuf.Timestamp",
         "type(src.ip) == string && type(timestamp) == google.protobuf.Timestamp"},
        {"map_get(local_labels, 'a', '').startsWith('b')", "map_get(local_labels, \"a\", \"\").startsWith(\"b\")"},
        {"math.greatest(1, 2, 3, 4, 5, 6) == 6", "math.greatest(1, 2, 3, 4, 5, 6) == 6"},
        {"has(src.ip) && has(method) && has(request.headers.host)", "has(src.ip) && has(method) && has(request.headers.host)"},
        {"cel.bind(x, src.port, x == 1 || x == 2)", "cel.bind(x, src.port, x == 1 || x == 2)"},
        {"udp_payload[0:2] == 16:03", "udp_payload.substring(0, 2) == b\"\\x16\\x03\""},
        {"http xor dns", "http != dns"},
        {"", "true"},
    };
    EXPECT(cases);
}

static void test_faults(void)
{
    static const struct expectation cases[] = {
        {"statuscode > 1", "undeclared 0-10"},
        {"http && src.ipp == ''", "undeclared 8-15"},
        {"src", "undeclared 0-3"},
        {"src.ip.x == 1", "undeclared 0-8"},
        {"http.foo", "undeclared 0-8"},
        {"has(src.foo)", "undeclared 0-12"},
        {"has(nothing)", "undeclared 4-11"},
        {"dns_questions.exists(x, has(x))", "macro 24-30"},
        {"dns_questions.exists(x, x.y == 1)", "no_select 26-27"},
        {"request.body == b''", "payload 0-12"},
        {"src.ip", "not_condition 0-6"},
        {"http && src.ip", "not_condition 8-14"},
        {"!status_code", "not_condition 1-12"},
        {"status_code ? http : dns", "not_condition 0-11"},
        {"src.port xor dst.port", "not_condition 0-8"},
        {"dns_questions.all(x, size(x))", "not_condition 21-28"},
        {"status_code == \"200\"", "type 0-20"},
        {"status_code + 1.0 > 2.0", "type 0-17"},
        {"1 in 2", "type 0-6"},
        {"src.ip in dst.ip", "type 0-16"},
        {"-src.ip == ''", "type 0-7"},
        {"src.ip[0] == 'a'", "type 0-9"},
        {"(http ? 1 : 'a') == 1", "type 1-15"},
        {"dns_questions['a'] == ''", "type 0-18"},
        {"dns_questions > ['a']", "type 0-21"},
        {"foo(1)", "no_function 0-3"},
        {"src.ip.foo()", "no_function 7-10"},
        {"redact('a')", "no_function 0-11"},
        {"dns_questions.all(x)", "undeclared 18-19"},
        {"dns_questions.all()", "no_function 0-19"},
        {"src.ip.contains(1)", "no_overload 0-18"},
        {"contains(src.ip, 'a')", "no_overload 0-21"},
        {"src.ip.contains()", "no_overload 0-17"},
        {"timestamp('x') < now()", "bad_literal 10-13"},
        {"latency > duration('5')", "bad_literal 19-22"},
        {"ip('1.2.3') == ip('1.2.3.4')", "bad_literal 3-10"},
        {"cidr('10.0.0.0/40').containsIP(src.ip)", "bad_literal 5-18"},
        {"status_code.all(x, x > 1)", "no_range 0-11"},
        {"{1.5: 1} == {}", "bad_key 1-4"},
        {"ip.addr", "either_end 0-7"},
        {"grpc.method == 'a'", "undeclared 0-11"},
        {"pods.exists(a, pods.exists(b, pods.exists(c, pods.exists(d, d == a))))", "too_large 45-67"},
    };
    EXPECT(cases);
}

/* Warnings with their codes; the filters run. */
static void test_warnings(void)
{
    static const struct expectation cases[] = {
        {"protocol == 'http'", "value"},
        {"'http' == protocol", "value"},
        {"protocol in ['http']", "value"},
        {"protocol == 'SMTP'", "value"},
        {"src.pod.name == 'frontend-.*'", "regex"},
        {"src.pod.name == r'\\d'", "regex"},
        {"path != '^/api'", "regex"},
        {"src.ip == '10.0.0.0/8'", "network"},
        {"request.headers['Authorization'] == 'x'", "capitals"},
        {"request.headers.Host == 'x'", "capitals"},
        {"'Host' in request.headers", "capitals"},
        {"has(request.headers.Host)", "capitals"},
        {"map_get(request.headers, 'Host', '') == ''", "capitals"},
        {"request.headers['host'] == 'x'", "unguarded"},
        {"local_labels.app == 'x'", "unguarded"},
        {"'a' in local_labels && local_labels.app == 'x'", "unguarded"},
        {"dyn(http)", "dyn"},
        {"map_get()", "never"},
        {"map_get(local_labels, 'a', '')", "never"},
        {"src.svc == 'x'", "deprecated"},
        {"response.latency > 1000", "deprecated"},
        {"http && !src.name.exists()", "deprecated"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        filter_rig_check(&rig, cases[i].text);
        is_int(rig.status, TD_OK, "%s runs", cases[i].text);
        ok(filter_rig_find(&rig, cases[i].want) != NULL, "with the warning %s", cases[i].want);
    }
}

static void test_no_warnings(void)
{
    static const char *const cases[] = {
        "protocol == 'HTTP'",
        "protocol == ''",
        "path == '/a.b'",
        "path == '/a[1]'",
        "src.ip == '10.0.0.1'",
        "'host' in request.headers && request.headers['host'] == 'x'",
        "has(request.headers.host) && request.headers.host == 'x'",
        "request.cookies['A'] == 'x' || 'A' in request.cookies",
        "ip.src == 10.0.0.0/8",
        "dns_questions.exists(x, x.matches('a.*'))",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        filter_rig_check(&rig, cases[i]);
        ok(rig.status == TD_OK && rig.diagnostics.n == 0, "%s: nothing to say%s%s", cases[i], rig.diagnostics.n ? ", but " : "",
           rig.diagnostics.n ? rig.diagnostics.v[0].message : "");
    }
}

/* A fix for a text, and what the filter is then. */
static void test_fixes(void)
{
    static const struct {
        const char *text, *fixed;
    } cases[] = {
        {"status_code == \"200\"", "status_code == 200"},
        {"statuscode == 200", "status_code == 200"},
        {"src.ip", "src.ip != \"\""},
        {"!src.ip", "!(src.ip != \"\")"},
        {"dns_questions", "size(dns_questions) > 0"},
        {"http.host", "has(http.host)"},
        {"protocol == 'http'", "protocol == \"HTTP\""},
        {"protocol == HTTP", "protocol == \"HTTP\""},
        {"src.pod.name == 'a.*'", "src.pod.name.matches('a.*')"},
        {"src.pod.name != r'a.*'", "!src.pod.name.matches(r'a.*')"},
        {"src.ip == '10.0.0.0/8'", "cidr('10.0.0.0/8').containsIP(src.ip)"},
        {"dns_questions == 'x'", "'x' in dns_questions"},
        {"dns_questions != 'x'", "!('x' in dns_questions)"},
        {"dns_questions > 'x'", "dns_questions.exists(v, v > 'x')"},
        {"dns_questions.contains('x')", "dns_questions.exists(v, v.contains('x'))"},
        {"status_code.startsWith('4')", "string(status_code).startsWith('4')"},
        {"contains(path, 'x')", "path.contains('x')"},
        {"timestamp > '2026-01-02T03:04:05Z'", "timestamp > timestamp(\"2026-01-02T03:04:05Z\")"},
        {"latency > '5ms'", "latency > duration(\"5ms\")"},
        {"latency > 5", "latency > duration(\"5s\")"},
        {"http == 1", "http == true"},
        {"src.ip == 5", "src.ip == \"5\""},
        {"double(status_code) > 1", "double(status_code) > 1.0"},
        {"elapsed_time > 1.5", "double(elapsed_time) > 1.5"},
        {"uint(1) == 1", "uint(1) == 1u"},
        {"src.ip in dst.ip", "dst.ip.contains(src.ip)"},
        {"pods in namespaces", "pods.exists(v, v in namespaces)"},
        {"'5' in [5]", "5 in [5]"},
        {"src.ip.startswith('1')", "src.ip.startsWith('1')"},
        {"request.headers['Host'] == ''", "request.headers['host'] == ''"},
        {"local_labels.app == ''", "map_get(local_labels, \"app\", \"\") == ''"},
        {"src.svc == 'a'", "src.service.name == 'a'"},
        {"1 / response.latency > 1", "1 / (elapsed_time / 1000) > 1"},
        {"path = 'a'", "path == 'a'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf fixed;
        buf_init(&fixed, 0);
        filter_rig_check(&rig, cases[i].text);
        ok(rig.diagnostics.n > 0 && rig.diagnostics.v[0].fix_n > 0, "%s has a fix", cases[i].text);
        if (rig.diagnostics.n && rig.diagnostics.v[0].fix_n)
            filter_put_fixed(&fixed, td_str(cases[i].text), &rig.diagnostics.v[0].fixes[0]);
        is_str(buf_cstr(&fixed), cases[i].fixed, "this one");
        filter_rig_check(&rig, buf_cstr(&fixed));
        is_int(rig.status, TD_OK, "which runs");
        buf_clear(&fixed);
    }
}

static void test_messages(void)
{
    filter_rig_check(&rig, "src.pord == 1");
    ok(rig.diagnostics.n == 1 && rig.diagnostics.v[0].fix_n >= 1, "a misspelt field has a fix");
    like(rig.diagnostics.v[0].message, "src.pord", "the message names it");
    is_str(rig.diagnostics.v[0].fixes[0].text, "src.port", "and the nearest name is offered");
    filter_rig_check(&rig, "src.pod");
    like(rig.diagnostics.v[0].message, "src.pod", "an old name alone is no condition");
    filter_rig_check(&rig, "request");
    like(rig.diagnostics.v[0].message, "request.headers", "what a beginning may go on with");
    filter_rig_check(&rig, "statuscode > 1 && pathh == 'x' && src.ip && foo()");
    is_int(rig.diagnostics.n, 4, "all that is wrong is told at once");
    filter_rig_check(&rig, "ip.addr == nothing");
    is_int(rig.diagnostics.n, 1, "once, though the alias stands for two");
    filter_rig_check(&rig, "foo(nothing)");
    is_int(rig.diagnostics.n, 1, "what follows from a fault is not told");
}

/* ---- Environments of our own, without a registry ---- */

static const struct filter_type int_list = {.kind = FILTER_LIST, .value = &filter_types[FILTER_INT]};

static bool find_variable(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    static const struct {
        const char *name;
        const struct filter_type *type;
    } variables[] = {{"x", &filter_types[FILTER_INT]},
                     {"a.x", &filter_types[FILTER_STRING]},
                     {"a.b.x", &filter_types[FILTER_BOOL]},
                     {"a.b.c.x", &int_list},
                     {"y", &filter_types[FILTER_MAP]}};
    (void)ctx;
    for (uint32_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (td_eq(td_str(variables[i].name), name)) {
            *ret = (struct filter_symbol){.name = td_str(variables[i].name), .type = variables[i].type, .index = i};
            return true;
        }
    return false;
}

static enum filter_kind kind_in(const char *container, const char *text)
{
    struct filter_env env = {.find = find_variable, .container = td_str(container), .plain = true};
    filter_rig_parse(&rig, text);
    if (rig.status == TD_OK)
        rig.status = filter_check(&env, td_str(text), &rig.arena, &rig.root, &rig.diagnostics);
    return rig.status == TD_OK ? rig.root->type->kind : FILTER_ERROR;
}

static void test_containers(void)
{
    is_int(kind_in("", "x"), FILTER_INT, "x");
    is_int(kind_in("a", "x"), FILTER_STRING, "x in a");
    is_int(kind_in("a.b", "x"), FILTER_BOOL, "x in a.b");
    is_int(kind_in("a.b.c", "x"), FILTER_LIST, "x in a.b.c");
    is_int(kind_in("a.z", "x"), FILTER_STRING, "x in a.z is that of a");
    is_int(kind_in("z", "x"), FILTER_INT, "x in z is that of nothing");
    is_int(kind_in("a.b", ".x"), FILTER_INT, ".x is that of nothing, always");
    is_int(kind_in("a", "b.x"), FILTER_BOOL, "b.x in a");
    is_int(kind_in("", "[1].map(x, 'a')[0]"), FILTER_STRING, "a variable hides");
    is_int(kind_in("", "[''].map(x, .x)[0]"), FILTER_INT, "but not from a leading dot");
    is_int(kind_in("", "[{'x': 1.5}].map(a, a.x)[0]"), FILTER_DOUBLE, "nor is a.x the declared one under a variable a");
    is_int(kind_in("", "1"), FILTER_INT, "the whole may be of any type");
    is_int(kind_in("", "ip.src"), FILTER_ERROR, "no aliases");
}

static void test_dynamic(void)
{
    struct filter_env env = {.find = find_variable, .dynamic = true};
    filter_rig_parse(&rig, "unknown.f(x) || 1 + 'a' == foo(a.x) || y.z");
    is_int(filter_check(&env, (struct td_slice){0}, &rig.arena, &rig.root, &rig.diagnostics), TD_OK, "without types nothing is refused");
    const struct filter_node *call = rig.root->args[0];
    ok(call->kind == FILTER_CALL && call->index == FILTER_UNRESOLVED && call->args[0]->kind == FILTER_NAME, "what is unknown stays");
    ok(call->args[1]->kind == FILTER_FIELD && call->args[1]->index == 0, "what is declared is found");
    ok(rig.root->args[1]->args[1]->args[0]->kind == FILTER_FIELD, "with dots, too");
    ok(rig.root->args[2]->kind == FILTER_SELECT && rig.root->args[2]->args[0]->kind == FILTER_FIELD, "and what goes on behind it");
}

/* Memory that fails is told. */
static void test_memory(void)
{
    static const char text[] = "ip.addr == 10.0.0.0/8 and request.headers['Host'] == statuscode and dns.qry.name contains 'x' "
                               "and [[], [1]].exists(x, x == [] + [2]) and math.greatest(1, 2) > 1 and type(1) == int";
    struct filter_env env = filter_registry_env(rig.fields);
    unsigned long nth = 0;
    bool failed = true, wrong = false;
    for (; failed && nth < 2000; nth++) {
        struct arena arena;
        struct filter_diagnostics d;
        struct filter_node *root;
        arena_init(&arena, 1 << 20);
        filter_diagnostics_init(&d);
        mem_fail_at(nth + 1);
        int status = filter_parse(td_str(text), &arena, &d, &root);
        if (status == TD_OK)
            status = filter_check(&env, td_str(text), &arena, &root, &d);
        failed = mem_failed();
        mem_fail_at(0);
        wrong |= status == TD_OK || (!failed && status != TD_E_CONFIG);
        filter_diagnostics_clear(&d);
        arena_clear(&arena);
    }
    ok(nth > 5 && nth < 2000 && !wrong, "%lu failures of memory are told", nth - 1);
}

int main(void)
{
    filter_rig_init(&rig, NULL);
    test_right();
    test_faults();
    test_warnings();
    test_no_warnings();
    test_fixes();
    test_messages();
    test_containers();
    test_dynamic();
    test_memory();
    filter_rig_clear(&rig);
    return tap_done();
}
