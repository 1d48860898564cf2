/* Completion: what is offered where, and what it takes the place of. */
#include "filter/complete.h"

#include <stdio.h>

#include "base/mem.h"
#include "filter/filter.h"
#include "filter_rig.h"
#include "tap.h"

static struct filter_rig rig;
static struct arena arena;
static struct filter_completion completion;

/* Completes at the bar. */
static void complete(const char *with_bar)
{
    struct filter_env env = filter_registry_env(rig.fields);
    struct td_slice text = td_str(with_bar);
    const char *bar = strchr(with_bar, '^');
    arena_clear(&arena);
    int status = filter_complete(&env, text, bar ? (size_t)(bar - with_bar) : text.n, &arena, &completion);
    is_int(status, TD_OK, "completion of %s", with_bar);
}

static const struct filter_candidate *find(const char *text, enum filter_candidate_kind kind)
{
    for (uint32_t i = 0; i < completion.n; i++)
        if (strcmp(completion.v[i].text, text) == 0 && completion.v[i].kind == kind)
            return &completion.v[i];
    return NULL;
}

static void test_offers(void)
{
    static const struct {
        const char *text;
        enum filter_candidate_kind kind;
        const char *offered;
        uint32_t from;
    } cases[] = {
        {"", FILTER_CANDIDATE_FIELD, "http", 0},
        {"", FILTER_CANDIDATE_KEYWORD, "true", 0},
        {"sta", FILTER_CANDIDATE_FIELD, "status_code", 0},
        {"http && sta", FILTER_CANDIDATE_FIELD, "status_code", 8},
        {"STA", FILTER_CANDIDATE_FIELD, "status_code", 0},
        {"code", FILTER_CANDIDATE_FIELD, "status_code", 0},
        {"src.", FILTER_CANDIDATE_FIELD, "src.ip", 0},
        {"src.po", FILTER_CANDIDATE_FIELD, "src.pod.name", 0},
        {"(src.i^ == 1) && foo", FILTER_CANDIDATE_FIELD, "src.ip", 1},
        {"f(src.i", FILTER_CANDIDATE_FIELD, "src.ip", 2},
        {"path.", FILTER_CANDIDATE_METHOD, "startsWith", 5},
        {"path.st", FILTER_CANDIDATE_METHOD, "startsWith", 5},
        {"http || !path.st", FILTER_CANDIDATE_METHOD, "startsWith", 14},
        {"string(status_code).st", FILTER_CANDIDATE_METHOD, "startsWith", 20},
        {"'abc'.si", FILTER_CANDIDATE_METHOD, "size", 6},
        {"request.headers['a'].st", FILTER_CANDIDATE_METHOD, "startsWith", 21},
        {"timestamp.get", FILTER_CANDIDATE_METHOD, "getHours", 10},
        {"dns_questions.", FILTER_CANDIDATE_MACRO, "exists", 14},
        {"dns_questions.ex", FILTER_CANDIDATE_MACRO, "exists", 14},
        {"dns_questions.exists(q, q.con", FILTER_CANDIDATE_METHOD, "contains", 26},
        {"dns_questions.exists(quest, que", FILTER_CANDIDATE_VARIABLE, "quest", 28},
        {"local_labels.exists(k, val, va", FILTER_CANDIDATE_VARIABLE, "val", 28},
        {"cel.bind(thing, 1, thi", FILTER_CANDIDATE_VARIABLE, "thing", 19},
        {"protocol == ", FILTER_CANDIDATE_VALUE, "\"HTTP\"", 12},
        {"protocol == \"", FILTER_CANDIDATE_VALUE, "\"HTTP\"", 12},
        {"protocol == \"ht", FILTER_CANDIDATE_VALUE, "\"HTTP\"", 12},
        {"http && protocol != 'D", FILTER_CANDIDATE_VALUE, "\"DNS\"", 20},
        {"protocol in [", FILTER_CANDIDATE_VALUE, "\"DNS\"", 13},
        {"protocol in [\"DNS\", \"", FILTER_CANDIDATE_VALUE, "\"HTTP\"", 20},
        {"http == ", FILTER_CANDIDATE_VALUE, "true", 8},
        {"http ", FILTER_CANDIDATE_OPERATOR, "&&", 5},
        {"path == 'a' a", FILTER_CANDIDATE_OPERATOR, "and", 12},
        {"f(x) ", FILTER_CANDIDATE_OPERATOR, "==", 5},
        {"ip.s", FILTER_CANDIDATE_ALIAS, "ip.src", 0},
        {"http.req", FILTER_CANDIDATE_ALIAS, "http.request.method", 0},
        {"dur", FILTER_CANDIDATE_FUNCTION, "duration", 0},
        {"ha", FILTER_CANDIDATE_KEYWORD, "has(", 0},
        {"not ht", FILTER_CANDIDATE_FIELD, "http", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        complete(cases[i].text);
        ok(find(cases[i].offered, cases[i].kind) != NULL, "%s is offered", cases[i].offered);
        is_int(completion.span.from, cases[i].from, "in the place of what is there");
    }
}

static void test_no_offers(void)
{
    static const struct {
        const char *text;
        enum filter_candidate_kind kind;
        const char *wrong;
    } cases[] = {
        {"status_code.", FILTER_CANDIDATE_METHOD, "startsWith"},
        {"path.", FILTER_CANDIDATE_MACRO, "exists"},
        {"request.bo", FILTER_CANDIDATE_FIELD, "request.body"},
        {"path == ", FILTER_CANDIDATE_VALUE, "\"HTTP\""},
        {"http ", FILTER_CANDIDATE_FIELD, "path"},
        {"pods.exists(q, true) && ", FILTER_CANDIDATE_VARIABLE, "q"},
        {"src.s", FILTER_CANDIDATE_ALIAS, "src.svc"},
        {"grpc.m", FILTER_CANDIDATE_ALIAS, "grpc.method"},
        {"\"htt", FILTER_CANDIDATE_FIELD, "http"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        complete(cases[i].text);
        ok(!find(cases[i].wrong, cases[i].kind), "%s is not offered", cases[i].wrong);
    }
}

static void test_order(void)
{
    complete("protocol == ");
    ok(completion.n > 2 && completion.v[0].kind == FILTER_CANDIDATE_VALUE, "values come first");
    complete("src.ip");
    ok(completion.n && strcmp(completion.v[0].text, "src.ip") == 0, "names that begin so come before those that have it in them");
    const struct filter_candidate *field = find("src.ip", FILTER_CANDIDATE_FIELD);
    is_str(field ? field->type : "", "string", "with the type");
    is_str(field ? field->doc : "", "The src.ip.", "and what it means");
}

static void test_json(void)
{
    struct buf json;
    buf_init(&json, 0);
    complete("path.st");
    filter_completion_put_json(&json, &completion);
    is_str(buf_cstr(&json),
           "{\"from\":5,\"to\":7,\"cut\":false,\"candidates\":[{\"kind\":\"method\",\"text\":\"startsWith\",\"type\":\"bool\","
           "\"doc\":\"does it begin with the other?\"}]}",
           "JSON");
    buf_clear(&json);
}

/* Wherever the cursor is, something sensible or nothing comes of it. */
static void test_everywhere(void)
{
    static const char text[] = "http && (src.ip == '10.0.0.1' || dns_questions.exists(q, q.matches(r'x'))) && x in {1..2} // end";
    struct filter_env env = filter_registry_env(rig.fields);
    int wrong = 0;
    for (size_t at = 0; at <= sizeof(text); at++) {
        arena_clear(&arena);
        wrong += filter_complete(&env, td_str(text), at, &arena, &completion) != TD_OK || completion.span.from > completion.span.to ||
                 completion.span.to > sizeof(text);
    }
    is_int(wrong, 0, "at each of %zu places", sizeof(text));
}

static void test_memory(void)
{
    struct filter_env env = filter_registry_env(rig.fields);
    unsigned long nth = 0;
    bool failed = true, wrong = false;
    for (; failed && nth < 2000; nth++) {
        arena_clear(&arena);
        mem_fail_at(nth + 1);
        int status = filter_complete(&env, TD_LIT("http && request.headers['a'].st"), SIZE_MAX, &arena, &completion);
        failed = mem_failed();
        mem_fail_at(0);
        wrong |= status != TD_OK && (!failed || status != TD_E_NOMEM);
    }
    ok(nth > 3 && nth < 2000 && !wrong, "%lu failures of memory", nth - 1);
}

int main(void)
{
    filter_rig_init(&rig, NULL);
    arena_init(&arena, 16 << 20);
    test_offers();
    test_no_offers();
    test_order();
    test_json();
    test_everywhere();
    test_memory();
    arena_clear(&arena);
    filter_rig_clear(&rig);
    return tap_done();
}
