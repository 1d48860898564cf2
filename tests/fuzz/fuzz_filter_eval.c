/* A filter over a record, both as the input says: parsed, checked, evaluated by walking the tree, as it is and folded, and by the
 * bytecode. They must agree unless a limit strikes. What comes out must be a value whose texts are UTF-8.
 *
 * The first byte: bit 0: without types. The next sixteen feed the record's fields. The rest is the filter. */
#include <stdlib.h>

#include "base/json.h"
#include "filter/check.h"
#include "filter/eval.h"
#include "filter/fold.h"
#include "filter/parse.h"
#include "filter/program.h"
#include "filter/time.h"
#include "filter/type_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORD_BYTES = 16 };

static const struct filter_type strings = {.kind = FILTER_LIST, .value = &filter_types[FILTER_STRING]};
static const struct filter_type string_map = {
    .kind = FILTER_MAP, .key = &filter_types[FILTER_STRING], .value = &filter_types[FILTER_STRING]};

static const struct {
    const char *name;
    const struct filter_type *type;
} fields[] = {{"n", &filter_types[FILTER_INT]},
              {"s", &filter_types[FILTER_STRING]},
              {"b", &filter_types[FILTER_BOOL]},
              {"u", &filter_types[FILTER_UINT]},
              {"d", &filter_types[FILTER_DOUBLE]},
              {"raw", &filter_types[FILTER_BYTES]},
              {"at", &filter_types[FILTER_TIMESTAMP]},
              {"span", &filter_types[FILTER_DURATION]},
              {"l", &strings},
              {"m", &string_map},
              {"x", &filter_types[FILTER_DYN]},
              {"src.ip", &filter_types[FILTER_STRING]}};

enum { FIELD_N = sizeof fields / sizeof fields[0] };

static bool find_field(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    (void)ctx;
    for (uint32_t i = 0; i < FIELD_N; i++) {
        if (td_eq(name, td_str(fields[i].name))) {
            *ret = (struct filter_symbol){.name = td_str(fields[i].name), .type = fields[i].type, .index = i};
            return true;
        }
    }
    return false;
}

/* Texts of the record: the input's bytes, as far as they are UTF-8. */
static struct td_slice text_of(const uint8_t *bytes, size_t n)
{
    while (n && !json_is_utf8(td_bytes(bytes, n)))
        n--;
    return td_bytes(bytes, n);
}

/* A view, as records have them: the texts begin at each byte in turn. */
static bool at_pair(const void *ctx, uint32_t i, struct filter_value *ret_key, struct filter_value *ret_value)
{
    *ret_key = filter_string(text_of((const uint8_t *)ctx + i, 1));
    *ret_value = filter_string(text_of((const uint8_t *)ctx + i, 4));
    return true;
}

static bool find_pair(const void *ctx, struct td_slice key, struct filter_value *ret_value)
{
    struct filter_value other;
    for (uint32_t i = 0; i < 4; i++)
        if (at_pair(ctx, i, &other, ret_value) && td_eq(other.bytes, key))
            return true;
    return false;
}

static struct filter_value get_list(const uint8_t *bytes, struct arena *arena)
{
    struct filter_list *list = filter_list_new(arena, bytes[0] % 4);
    if (!list)
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t i = 0; i < list->n; i++)
        list->v[i] = filter_string(text_of(bytes + i, 3));
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static struct filter_value get_map(const uint8_t *bytes, struct arena *arena)
{
    struct filter_map *map = arena_alloc(arena, sizeof *map, _Alignof(struct filter_map));
    if (!map)
        return filter_fail(FILTER_E_LIMIT);
    *map = (struct filter_map){.n = 4, .ctx = bytes, .find = find_pair, .at = at_pair};
    return (struct filter_value){.kind = FILTER_MAP, .map = map};
}

static struct filter_value get_field(const void *ctx, uint32_t field, struct arena *arena)
{
    const uint8_t *bytes = ctx;
    int64_t number;
    double d;
    memcpy(&number, bytes, sizeof number);
    memcpy(&d, bytes, sizeof d);
    switch (fields[field].type->kind) {
    case FILTER_INT: return filter_int(number);
    case FILTER_STRING: return filter_string(text_of(bytes, RECORD_BYTES));
    case FILTER_BOOL: return filter_bool(bytes[0] & 1);
    case FILTER_UINT: return filter_uint((uint64_t)number);
    case FILTER_DOUBLE: return filter_double(d);
    case FILTER_BYTES: return filter_bytes(td_bytes(bytes, RECORD_BYTES));
    case FILTER_TIMESTAMP: return filter_time_ns(number);
    case FILTER_DURATION: return filter_duration(number);
    case FILTER_LIST: return get_list(bytes, arena);
    case FILTER_MAP: return get_map(bytes, arena);
    default: return get_field(ctx, bytes[1] % (uint32_t)(FIELD_N - 2), arena); /* none of the two that are dyn or behind it */
    }
}

static bool has_field(const void *ctx, uint32_t field)
{
    return ((const uint8_t *)ctx)[field] & 1;
}

/* What values are made of: reads every byte of it. */
static void inspect(const struct filter_value *v, uint64_t *fuel)
{
    struct filter_value key, value;
    if (!filter_spend(fuel, 1))
        return;
    switch (v->kind) {
    case FILTER_STRING:
        if (!json_is_utf8(v->bytes))
            abort();
        break;
    case FILTER_TIMESTAMP:
        if (v->i < FILTER_TIME_MIN || v->i > FILTER_TIME_MAX || v->nanos > 999999999)
            abort();
        break;
    case FILTER_LIST:
        for (uint32_t i = 0; i < v->list->n; i++)
            inspect(&v->list->v[i], fuel);
        break;
    case FILTER_MAP:
        for (uint32_t i = 0; i < v->map->n; i++) {
            filter_map_at(v->map, i, &key, &value);
            inspect(&key, fuel);
            inspect(&value, fuel);
        }
        break;
    case FILTER_ERROR:
        if (!v->error || v->error > FILTER_E_LIMIT)
            abort();
        break;
    default:
        if (v->kind > FILTER_ERROR)
            abort();
    }
}

static bool is_nan(const struct filter_value *v)
{
    return v->kind == FILTER_DOUBLE && v->d != v->d;
}

static bool is_limit(const struct filter_value *v)
{
    return v->kind == FILTER_ERROR && v->error == FILTER_E_LIMIT;
}

/* Of one kind and equal; NaN inside a list or map is not looked for. With operands in another order, which error comes first may
 * differ. */
static void compare(const struct filter_value *walked, const struct filter_value *other, bool same_error)
{
    uint64_t fuel = 100000;
    bool deep = walked->kind == FILTER_LIST || walked->kind == FILTER_MAP || walked->kind == FILTER_OPTIONAL;
    if (is_limit(walked) || is_limit(other) || (is_nan(walked) && is_nan(other)))
        return;
    if (walked->kind != other->kind)
        abort();
    if (walked->kind == FILTER_ERROR ? same_error && walked->error != other->error : !deep && !filter_equal(walked, other, &fuel))
        abort();
}

/* What the folded tree comes to. */
static void run_folded(struct filter_node *root, const struct filter_record *record, struct arena *arena, const struct filter_value *walked)
{
    struct filter_diagnostics diagnostics;
    struct filter_node *folded = NULL;
    struct filter_eval *eval = NULL;
    filter_diagnostics_init(&diagnostics);
    int status = filter_fold(root, arena, 0, &folded, &diagnostics);
    if (status == TD_E_CONFIG && walked->kind != FILTER_ERROR) /* it said that this is an error for every record */
        abort();
    if (status == TD_OK && filter_eval_new(&eval, NULL) == TD_OK) {
        struct filter_value v = filter_eval(eval, folded, record, 0);
        compare(walked, &v, false);
    }
    filter_eval_free(eval);
    filter_diagnostics_clear(&diagnostics);
}

static void run(struct filter_node *root, const struct filter_record *record, struct arena *arena)
{
    struct filter_eval *eval = NULL;
    struct filter_vm *vm = NULL;
    struct filter_program program;
    const struct filter_program *programs = &program;
    uint64_t fuel = 100000;
    if (filter_eval_new(&eval, NULL) != TD_OK)
        return;
    struct filter_value walked = filter_eval(eval, root, record, 0);
    inspect(&walked, &fuel);
    if (filter_program_make(&program, root, 0, NULL) == TD_OK) {
        if (filter_vm_new(&programs, 1, &vm, NULL) == TD_OK) {
            struct filter_value ran = filter_vm_run(vm, &program, record);
            inspect(&ran, &fuel);
            compare(&walked, &ran, true);
        }
        filter_vm_free(vm);
        filter_program_clear(&program);
    }
    run_folded(root, record, arena, &walked);
    filter_eval_free(eval);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + RECORD_BYTES)
        return 0;
    struct filter_env env = {.find = find_field, .dynamic = data[0] & 1, .plain = true};
    struct filter_record record = {.ctx = data + 1, .has = has_field, .get = get_field};
    struct td_slice text = td_bytes(data + 1 + RECORD_BYTES, size - 1 - RECORD_BYTES);
    struct filter_diagnostics diagnostics;
    struct filter_node *root = NULL;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    filter_diagnostics_init(&diagnostics);
    if (filter_parse(text, &arena, &diagnostics, &root) == TD_OK && filter_check(&env, text, &arena, &root, &diagnostics) == TD_OK)
        run(root, &record, &arena);
    filter_diagnostics_clear(&diagnostics);
    arena_clear(&arena);
    return 0;
}
