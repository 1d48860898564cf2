/* Runs conformance cases of CEL: cel FILE, one JSON object a line.
 *
 * {"id", "tier": "core" or "ext", "expr", "check": bool, "check_only": bool, "vars": {name: type}, "bindings": {name: value},
 * "expect": {"value": v, "error": text, "type": text}}. Values: {"null":true} {"bool":b} {"int":"dec"} {"uint":"dec"}
 * {"double":"text"} {"string":"text"} {"bytes":"hex"} {"type":"name"} {"list":[v..]} {"map":[[k,v]..]} {"timestamp":["sec",nanos]}
 * {"duration":["sec",nanos]}. Kinds must match; NaN is equal to NaN, 0.0 to -0.0; where an error is expected any error will do.
 * Each is evaluated twice: by walking the tree, and by the bytecode. Without FILE: our own cases,
 * tests/conformance/cel_cases.jsonl. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "filter/check.h"
#include "filter/convert.h"
#include "filter/eval.h"
#include "filter/function_table.h"
#include "filter/parse.h"
#include "filter/program.h"
#include "filter/time.h"
#include "filter/type_name.h"
#include "tap.h"

enum { MAX_VARS = 16, MEMORY = 16 << 20 };

/* Cases that are not run, each with its reason. */
static const struct {
    const char *id, *why;
} skipped[] = {{NULL, NULL}};

struct variable {
    struct td_slice name;
    const struct filter_type *type;
    struct filter_value value;
};

struct test_case {
    json_t *json;
    const char *id, *tier;
    struct td_slice expr;
    struct arena arena;
    struct variable vars[MAX_VARS];
    uint32_t var_n;
};

static struct filter_value read_value(struct arena *arena, const json_t *json);

static struct td_slice text_of(const json_t *json)
{
    return td_bytes(json_string_value(json), json_string_length(json));
}

static int64_t number_of(const json_t *json)
{
    int64_t i = 0;
    (void)filter_parse_int(text_of(json), &i);
    return i;
}

static struct filter_value read_bytes(struct arena *arena, struct td_slice hex)
{
    uint8_t *p = arena_alloc(arena, hex.n / 2, 1);
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        char pair[3] = {(char)hex.p[i], (char)hex.p[i + 1], 0};
        p[i / 2] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return filter_bytes(td_bytes(p, hex.n / 2));
}

static struct filter_value read_list(struct arena *arena, const json_t *json)
{
    struct filter_list *list = filter_list_new(arena, (uint32_t)json_array_size(json));
    for (uint32_t i = 0; i < list->n; i++)
        list->v[i] = read_value(arena, json_array_get(json, i));
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static struct filter_value read_map(struct arena *arena, const json_t *json)
{
    uint32_t n = (uint32_t)json_array_size(json);
    uint64_t fuel = UINT64_MAX;
    struct filter_value *pairs = arena_alloc(arena, 2 * n * sizeof *pairs, _Alignof(struct filter_value));
    for (uint32_t i = 0; i < 2 * n; i++)
        pairs[i] = read_value(arena, json_array_get(json_array_get(json, i / 2), i % 2));
    return filter_map_new(arena, pairs, n, &fuel);
}

static struct filter_value read_value(struct arena *arena, const json_t *json)
{
    const char *kind = json_object_iter_key(json_object_iter((json_t *)json));
    const json_t *v = json_object_get(json, kind);
    uint64_t u = 0;
    double d = 0;
    if (strcmp(kind, "bool") == 0)
        return filter_bool(json_is_true(v));
    if (strcmp(kind, "int") == 0)
        return filter_int(number_of(v));
    if (strcmp(kind, "uint") == 0)
        return filter_parse_uint(text_of(v), &u) ? filter_uint(u) : filter_fail(FILTER_E_CONVERSION);
    if (strcmp(kind, "double") == 0)
        return filter_parse_double(text_of(v), &d) ? filter_double(d) : filter_fail(FILTER_E_CONVERSION);
    if (strcmp(kind, "string") == 0)
        return filter_string(text_of(v));
    if (strcmp(kind, "bytes") == 0)
        return read_bytes(arena, text_of(v));
    if (strcmp(kind, "list") == 0)
        return read_list(arena, v);
    if (strcmp(kind, "map") == 0)
        return read_map(arena, v);
    if (strcmp(kind, "timestamp") == 0)
        return filter_time(number_of(json_array_get(v, 0)), (uint32_t)json_integer_value(json_array_get(v, 1)));
    if (strcmp(kind, "duration") == 0)
        return filter_duration(number_of(json_array_get(v, 0)) * NS_PER_S + json_integer_value(json_array_get(v, 1)));
    if (strcmp(kind, "type") == 0) {
        const struct filter_type *type = filter_type_named(text_of(v));
        return type ? (struct filter_value){.kind = FILTER_TYPE, .type = type} : filter_fail(FILTER_E_UNDECLARED);
    }
    return strcmp(kind, "null") == 0 ? (struct filter_value){.kind = FILTER_NULL} : filter_fail(FILTER_E_CONVERSION);
}

static bool same(const struct filter_value *got, const struct filter_value *want);

static bool same_maps(const struct filter_map *got, const struct filter_map *want)
{
    bool good = got->n == want->n;
    for (uint32_t i = 0; good && i < want->n; i++) {
        struct filter_value key, value, got_key, got_value;
        bool found = false;
        filter_map_at(want, i, &key, &value);
        for (uint32_t j = 0; j < got->n && !found; j++) {
            filter_map_at(got, j, &got_key, &got_value);
            found = same(&got_key, &key) && same(&got_value, &value);
        }
        good = found;
    }
    return good;
}

/* Equality that is stricter than CEL's: of the same kind. */
static bool same(const struct filter_value *got, const struct filter_value *want)
{
    uint64_t fuel = UINT64_MAX;
    if (got->kind != want->kind)
        return false;
    if (got->kind == FILTER_DOUBLE)
        return got->d == want->d || (isnan(got->d) && isnan(want->d));
    if (got->kind == FILTER_MAP)
        return same_maps(got->map, want->map);
    if (got->kind != FILTER_LIST)
        return filter_equal(got, want, &fuel);
    bool good = got->list->n == want->list->n;
    for (uint32_t i = 0; good && i < got->list->n; i++)
        good = same(&got->list->v[i], &want->list->v[i]);
    return good;
}

static bool find_variable(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    const struct test_case *c = ctx;
    for (uint32_t i = 0; i < c->var_n; i++) {
        if (td_eq(c->vars[i].name, name)) {
            *ret = (struct filter_symbol){.name = c->vars[i].name, .type = c->vars[i].type, .index = i};
            return true;
        }
    }
    return false;
}

static bool has_variable(const void *ctx, uint32_t field)
{
    (void)ctx;
    (void)field;
    return true;
}

static struct filter_value get_variable(const void *ctx, uint32_t field, struct arena *arena)
{
    (void)arena;
    return ((const struct test_case *)ctx)->vars[field].value;
}

static void read_variables(struct test_case *c)
{
    const char *name;
    json_t *type;
    json_object_foreach(json_object_get(c->json, "vars"), name, type)
    {
        const json_t *value = json_object_get(json_object_get(c->json, "bindings"), name);
        if (c->var_n == MAX_VARS)
            break;
        struct variable *v = &c->vars[c->var_n++];
        v->name = td_str(name);
        v->type = filter_type_parse(&c->arena, text_of(type));
        v->value = value ? read_value(&c->arena, value) : filter_fail(FILTER_E_UNDECLARED);
    }
}

/* What a case came to. */
struct outcome {
    struct filter_value value;
    bool agreed; /* the bytecode gave the same */
    struct buf type;
    char message[1024]; /* why it did not get so far */
};

/* Does the bytecode give the same? */
static bool runs_alike(const struct filter_node *root, const struct filter_record *record, const struct filter_value *walked)
{
    struct filter_program program;
    const struct filter_program *programs = &program;
    struct filter_vm *vm = NULL;
    bool alike = false;
    if (filter_program_make(&program, root, 0, NULL) != TD_OK)
        return false;
    if (filter_vm_new(&programs, 1, &vm, NULL) == TD_OK) {
        struct filter_value ran = filter_vm_run(vm, &program, record);
        alike = walked->kind == FILTER_ERROR ? ran.kind == FILTER_ERROR && ran.error == walked->error : same(&ran, walked);
    }
    filter_vm_free(vm);
    filter_program_clear(&program);
    return alike;
}

static void run_case(struct test_case *c, struct filter_eval *eval, struct outcome *ret)
{
    struct filter_diagnostics diagnostics;
    struct filter_node *root = NULL;
    struct error err = {0};
    struct filter_env env = {.ctx = c, .find = find_variable, .plain = true};
    struct filter_record record = {.ctx = c, .has = has_variable, .get = get_variable};
    env.dynamic = json_is_false(json_object_get(c->json, "check"));
    ret->value = filter_fail(FILTER_E_UNDECLARED);
    ret->agreed = true;
    filter_diagnostics_init(&diagnostics);
    int status = filter_parse(c->expr, &c->arena, &diagnostics, &root);
    if (status == TD_OK)
        status = filter_check(&env, c->expr, &c->arena, &root, &diagnostics);
    if (status == TD_OK) {
        if (root->type)
            filter_type_put(&ret->type, root->type);
        if (!json_is_true(json_object_get(c->json, "check_only"))) {
            ret->value = filter_eval(eval, root, &record, 0);
            ret->agreed = runs_alike(root, &record, &ret->value);
        }
        if (ret->value.kind == FILTER_ERROR)
            snprintf(ret->message, sizeof ret->message, "at byte %u: %s", ret->value.nanos, filter_error_text(ret->value.error));
    } else {
        filter_diagnostics_error(&diagnostics, c->expr, &err);
        snprintf(ret->message, sizeof ret->message, "%s", err.text);
    }
    filter_diagnostics_clear(&diagnostics);
}

static bool is_expected(struct test_case *c, struct outcome *got)
{
    const json_t *expect = json_object_get(c->json, "expect"), *value = json_object_get(expect, "value");
    const json_t *type = json_object_get(expect, "type");
    bool good = got->agreed;
    if (json_object_get(expect, "error"))
        good = good && got->value.kind == FILTER_ERROR;
    if (value) {
        struct filter_value want = read_value(&c->arena, value);
        good = good && want.kind != FILTER_ERROR && same(&got->value, &want);
    }
    return good && (!type || td_eq(buf_slice(&got->type), text_of(type)));
}

/* What came out instead. */
static void show(struct test_case *c, struct outcome *got)
{
    uint64_t fuel = UINT64_MAX;
    struct filter_context ctx = {.arena = &c->arena, .fuel = &fuel};
    struct filter_list *list = filter_list_new(&c->arena, 1);
    struct td_slice kind = filter_type_name(got->value.kind);
    tap_diag("type: %s%s", buf_cstr(&got->type), got->agreed ? "" : "; walking the tree and the bytecode do not agree");
    if (got->value.kind == FILTER_ERROR || !list) {
        tap_diag("error: %s", got->message);
        return;
    }
    list->v[0] = got->value;
    struct filter_value args[2] = {filter_string(TD_LIT("%s")), {.kind = FILTER_LIST, .list = list}};
    struct filter_value text = call_format(&ctx, args);
    tap_diag("got %.*s(%.*s)", (int)kind.n, kind.p, text.kind == FILTER_STRING ? (int)text.bytes.n : 0, text.bytes.p);
}

static const char *why_skipped(const char *id)
{
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++)
        if (skipped[i].id && strcmp(skipped[i].id, id) == 0)
            return skipped[i].why;
    return NULL;
}

struct tally {
    unsigned passed, failed, skipped;
};

static void run_line(const char *line, struct filter_eval *eval, struct tally *tallies)
{
    json_error_t parse_error;
    struct test_case c = {.json = json_loads(line, JSON_ALLOW_NUL, &parse_error)};
    struct outcome got = {0};
    if (!c.json) {
        ok(false, "a line that is no JSON: %s", parse_error.text);
        return;
    }
    c.id = json_string_value(json_object_get(c.json, "id"));
    c.tier = json_string_value(json_object_get(c.json, "tier"));
    c.expr = text_of(json_object_get(c.json, "expr"));
    struct tally *tally = &tallies[c.tier && strcmp(c.tier, "core") != 0];
    const char *why = why_skipped(c.id);
    if (why) {
        tally->skipped++;
        printf("# skipped: %s: %s\n", c.id, why);
    } else {
        arena_init(&c.arena, MEMORY);
        read_variables(&c);
        run_case(&c, eval, &got);
        bool good = is_expected(&c, &got);
        ok(good, "%s: %.*s", c.id, (int)strcspn(json_string_value(json_object_get(c.json, "expr")), "\r\n"),
           json_string_value(json_object_get(c.json, "expr")));
        if (!good)
            show(&c, &got);
        *(good ? &tally->passed : &tally->failed) += 1;
        buf_clear(&got.type);
        arena_clear(&c.arena);
    }
    json_decref(c.json);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "tests/conformance/cel_cases.jsonl";
    FILE *file = fopen(path, "r");
    struct filter_eval *eval = NULL;
    struct tally tallies[2] = {{0}};
    char *line = NULL;
    size_t cap = 0;
    if (!file || filter_eval_new(&eval, NULL) != TD_OK) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 2;
    }
    while (getline(&line, &cap, file) > 0)
        run_line(line, eval, tallies);
    for (int i = 0; i < 2; i++)
        printf("# %s: %u of %u passed, %u skipped\n", i ? "extensions" : "core", tallies[i].passed,
               tallies[i].passed + tallies[i].failed + tallies[i].skipped, tallies[i].skipped);
    free(line);
    fclose(file);
    filter_eval_free(eval);
    return tap_done();
}
