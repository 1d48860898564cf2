#include "base/clock.h"
#include "filter/eval.h"

#include <stdalign.h>
#include <time.h>

#include "base/mem.h"
#include "base/units.h"
#include "filter/cache.h"
#include "filter/check.h"
#include "filter/operator.h"

enum {
    SPARE = 16 << 10,    /* memory that most records need no more than */
    STEPS_PER_LOOK = 256 /* at the clock */
};

struct filter_eval {
    struct filter_context ctx;
    const struct filter_record *record;
    struct arena arena;
    uint64_t fuel;
    uint64_t fuel_at_look;
    uint32_t steps;      /* since the last look at the clock */
    int64_t deadline_ns; /* of the thread's processor time; 0: not looked yet */
    struct filter_value slots[FILTER_MAX_SLOTS];
    alignas(16) uint8_t spare[SPARE];
};

int filter_eval_new(struct filter_eval **ret, struct error *err)
{
    struct filter_eval *e = mem_calloc(1, sizeof *e);
    struct filter_cache *cache = filter_cache_new();
    if (!e || !cache) {
        mem_free(e);
        filter_cache_free(cache);
        return error_nomem(err);
    }
    arena_init(&e->arena, FILTER_EVAL_MEMORY);
    e->ctx.arena = &e->arena;
    e->ctx.fuel = &e->fuel;
    e->ctx.cache = cache;
    *ret = e;
    return TD_OK;
}

void filter_eval_free(struct filter_eval *e)
{
    if (!e)
        return;
    arena_clear(&e->arena);
    filter_cache_free(e->ctx.cache);
    mem_free(e);
}

/* Is there time left? Looks at the clock once in a while; an evaluation that is short never does. */
static bool in_time(struct filter_eval *e)
{
    if (++e->steps < STEPS_PER_LOOK && e->fuel_at_look - e->fuel < STEPS_PER_LOOK)
        return e->fuel != 0;
    int64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    e->steps = 0;
    e->fuel_at_look = e->fuel;
    if (!e->deadline_ns)
        e->deadline_ns = now + FILTER_MAX_NS;
    else if (now > e->deadline_ns)
        e->fuel = 0;
    return e->fuel != 0;
}

static struct filter_value fail_at(uint32_t place, enum filter_error error)
{
    struct filter_value v = filter_fail(error);
    v.nanos = place;
    return v;
}

static struct filter_value fail(struct filter_eval *e, const struct filter_node *node, enum filter_error error)
{
    if (error == FILTER_E_LIMIT)
        e->fuel = 0; /* nothing takes this error in */
    return fail_at(node->span.from, error);
}

/* A result of an operation on values that are no errors: if it is one, it came from here. */
static struct filter_value placed(struct filter_eval *e, const struct filter_node *node, struct filter_value v)
{
    if (v.kind != FILTER_ERROR)
        return v;
    v = fail(e, node, v.error);
    if (node->name_span.to > node->name_span.from)
        v.nanos = node->name_span.from;
    return v;
}

static struct filter_value eval(struct filter_eval *e, const struct filter_node *node);

/* A condition: BOOL or ERROR. */
static struct filter_value eval_bool(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value v = eval(e, node);
    return v.kind == FILTER_BOOL || v.kind == FILTER_ERROR ? v : fail(e, node, FILTER_E_NOT_BOOL);
}

/* && and ||: `deciding` is what one operand makes of the whole, whatever the others are. Else the first error. */
static struct filter_value eval_logic(struct filter_eval *e, const struct filter_node *node, bool deciding)
{
    struct filter_value result = filter_bool(!deciding);
    for (uint32_t i = 0; i < node->arg_n; i++) {
        struct filter_value v = eval_bool(e, node->args[i]);
        if (v.kind == FILTER_BOOL && v.b == deciding)
            return v;
        if (v.kind == FILTER_ERROR && result.kind == FILTER_BOOL)
            result = v;
    }
    return result;
}

static struct filter_value eval_operator(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value args[2] = {{0}};
    if (node->op == FILTER_AND || node->op == FILTER_OR)
        return eval_logic(e, node, node->op == FILTER_OR);
    args[0] = node->op == FILTER_CONDITION ? eval_bool(e, node->args[0]) : eval(e, node->args[0]);
    if (args[0].kind == FILTER_ERROR)
        return args[0];
    if (node->op == FILTER_CONDITION)
        return eval(e, node->args[args[0].b ? 1 : 2]);
    if (node->op == FILTER_NOT)
        return args[0].kind == FILTER_BOOL ? filter_bool(!args[0].b) : placed(e, node, filter_fail(FILTER_E_NO_OVERLOAD));
    if (node->op == FILTER_OPT_SELECT)
        return placed(e, node, filter_opt_select(&e->ctx, &args[0], node->name));
    if (node->arg_n > 1) {
        args[1] = eval(e, node->args[1]);
        if (args[1].kind == FILTER_ERROR)
            return args[1];
    }
    return placed(e, node, filter_operate(&e->ctx, node->op, args));
}

/* The values of all arguments, in the arena; NULL and *ret_error if one is an error. */
static struct filter_value *eval_all(struct filter_eval *e, const struct filter_node *node, struct filter_value *ret_error)
{
    struct filter_value *v = arena_alloc(&e->arena, node->arg_n * sizeof *v, _Alignof(struct filter_value));
    if (!v) {
        *ret_error = fail(e, node, FILTER_E_LIMIT);
        return NULL;
    }
    for (uint32_t i = 0; i < node->arg_n; i++) {
        v[i] = eval(e, node->args[i]);
        if (v[i].kind == FILTER_ERROR) {
            *ret_error = v[i];
            return NULL;
        }
    }
    return v;
}

static struct filter_value eval_call(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value error;
    if (node->index == FILTER_UNRESOLVED)
        return placed(e, node, filter_fail(FILTER_E_NO_OVERLOAD));
    struct filter_value *args = eval_all(e, node, &error);
    return args ? placed(e, node, filter_function_call(&e->ctx, node->index, node->receiver, args, node->arg_n)) : error;
}

static struct filter_value eval_new_list(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value error;
    struct filter_value *elements = eval_all(e, node, &error);
    struct filter_list *list = elements ? filter_list_new(&e->arena, node->arg_n) : NULL;
    if (!elements || !list)
        return elements ? fail(e, node, FILTER_E_LIMIT) : error;
    memcpy(list->v, elements, node->arg_n * sizeof *elements);
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static struct filter_value eval_new_map(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value error;
    struct filter_value *pairs = eval_all(e, node, &error);
    return pairs ? placed(e, node, filter_map_new(&e->arena, pairs, node->arg_n / 2, &e->fuel)) : error;
}

/* What a macro runs over: a list or the keys of a map, with two variables also the positions or the values. */
struct range {
    const struct filter_list *list;
    const struct filter_map *map;
    uint32_t n;
};

static bool range_of(const struct filter_value *v, struct range *ret)
{
    *ret = (struct range){.list = v->kind == FILTER_LIST ? v->list : NULL, .map = v->kind == FILTER_MAP ? v->map : NULL};
    ret->n = ret->list ? ret->list->n : ret->map ? ret->map->n : 0;
    return ret->list || ret->map;
}

/* Sets the variables for the element `i`; false: too many iterations, or too much time. */
static bool next(struct filter_eval *e, const struct filter_node *node, const struct range *range, uint32_t i)
{
    bool two = node->var[1].n != 0;
    struct filter_value *var = &e->slots[node->index];
    if (!filter_spend(&e->fuel, 1))
        return false;
    if (range->map) {
        struct filter_value value;
        filter_map_at(range->map, i, &var[0], two ? &var[1] : &value);
    } else if (two) {
        var[0] = filter_int(i);
        var[1] = range->list->v[i];
    } else {
        var[0] = range->list->v[i];
    }
    return true;
}

/* all() and exists(): as && and || over the elements. */
static struct filter_value eval_quantifier(struct filter_eval *e, const struct filter_node *node, const struct range *range, bool deciding)
{
    struct filter_value result = filter_bool(!deciding);
    for (uint32_t i = 0; i < range->n; i++) {
        if (!next(e, node, range, i))
            return fail(e, node, FILTER_E_LIMIT);
        struct filter_value v = eval_bool(e, node->args[1]);
        if (v.kind == FILTER_BOOL && v.b == deciding)
            return v;
        if (v.kind == FILTER_ERROR && result.kind == FILTER_BOOL)
            result = v;
    }
    return result;
}

/* exists_one() looks at every element: an error is one, wherever it is. */
static struct filter_value eval_exists_one(struct filter_eval *e, const struct filter_node *node, const struct range *range)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < range->n; i++) {
        if (!next(e, node, range, i))
            return fail(e, node, FILTER_E_LIMIT);
        struct filter_value v = eval_bool(e, node->args[1]);
        if (v.kind == FILTER_ERROR)
            return v;
        found += v.b;
    }
    return filter_bool(found == 1);
}

/* The element that a macro makes of the current one: true and *ret, or an ERROR in *ret; false: none. */
static bool eval_element(struct filter_eval *e, const struct filter_node *node, struct filter_value *ret)
{
    bool has_predicate = node->arg_n == 3 || node->op == FILTER_KEEP;
    if (has_predicate) {
        *ret = eval_bool(e, node->args[1]);
        if (ret->kind == FILTER_ERROR)
            return true;
        if (!ret->b)
            return false;
    }
    *ret = node->op == FILTER_KEEP ? e->slots[node->index] : eval(e, node->args[node->arg_n - 1]);
    return true;
}

/* map(), filter(), transformList(). */
static struct filter_value eval_to_list(struct filter_eval *e, const struct filter_node *node, const struct range *range)
{
    struct filter_list *list = filter_list_new(&e->arena, range->n);
    if (!list)
        return fail(e, node, FILTER_E_LIMIT);
    list->n = 0;
    for (uint32_t i = 0; i < range->n; i++) {
        struct filter_value v;
        if (!next(e, node, range, i))
            return fail(e, node, FILTER_E_LIMIT);
        if (!eval_element(e, node, &v))
            continue;
        if (v.kind == FILTER_ERROR)
            return v;
        list->v[list->n++] = v;
    }
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

/* A run of pairs that grows. */
struct pairs {
    struct filter_value *v;
    size_t n, cap;
};

static bool add_pair(struct arena *arena, struct pairs *pairs, const struct filter_value *key, const struct filter_value *value)
{
    if (pairs->n == pairs->cap) {
        size_t cap = pairs->cap ? 2 * pairs->cap : 8;
        struct filter_value *v = arena_alloc(arena, 2 * cap * sizeof *v, _Alignof(struct filter_value));
        if (!v)
            return false;
        if (pairs->n)
            memcpy(v, pairs->v, 2 * pairs->n * sizeof *v);
        pairs->v = v;
        pairs->cap = cap;
    }
    pairs->v[2 * pairs->n] = *key;
    pairs->v[2 * pairs->n + 1] = *value;
    pairs->n++;
    return true;
}

/* Adds what transformMap() or transformMapEntry() made of one element. */
static bool add_entries(struct filter_eval *e, const struct filter_node *node, struct pairs *pairs, const struct filter_value *key,
                        const struct filter_value *made)
{
    if (node->op == FILTER_TRANSFORM_MAP)
        return add_pair(&e->arena, pairs, key, made);
    for (uint32_t i = 0; i < made->map->n; i++) {
        struct filter_value entry_key, value;
        filter_map_at(made->map, i, &entry_key, &value);
        if (!filter_spend(&e->fuel, 1) || !add_pair(&e->arena, pairs, &entry_key, &value))
            return false;
    }
    return true;
}

static struct filter_value eval_to_map(struct filter_eval *e, const struct filter_node *node, const struct range *range)
{
    struct pairs pairs = {0};
    for (uint32_t i = 0; i < range->n; i++) {
        struct filter_value v, key;
        if (!next(e, node, range, i))
            return fail(e, node, FILTER_E_LIMIT);
        key = e->slots[node->index];
        if (!eval_element(e, node, &v))
            continue;
        if (v.kind == FILTER_ERROR)
            return v;
        if (node->op == FILTER_TRANSFORM_MAP_ENTRY && v.kind != FILTER_MAP)
            return placed(e, node, filter_fail(FILTER_E_NO_OVERLOAD));
        if (!add_entries(e, node, &pairs, &key, &v))
            return fail(e, node, FILTER_E_LIMIT);
    }
    return placed(e, node, filter_map_new(&e->arena, pairs.v, (uint32_t)pairs.n, &e->fuel));
}

static struct filter_value eval_macro(struct filter_eval *e, const struct filter_node *node)
{
    struct range range;
    struct filter_value over = eval(e, node->args[0]);
    if (over.kind == FILTER_ERROR)
        return over;
    if (!range_of(&over, &range))
        return placed(e, node, filter_fail(FILTER_E_NO_OVERLOAD));
    if (node->index + 1u + (node->var[1].n != 0) > FILTER_MAX_SLOTS)
        return fail(e, node, FILTER_E_LIMIT);
    switch (node->op) {
    case FILTER_ALL: return eval_quantifier(e, node, &range, false);
    case FILTER_EXISTS: return eval_quantifier(e, node, &range, true);
    case FILTER_EXISTS_ONE: return eval_exists_one(e, node, &range);
    case FILTER_TRANSFORM_MAP:
    case FILTER_TRANSFORM_MAP_ENTRY: return eval_to_map(e, node, &range);
    default: return eval_to_list(e, node, &range);
    }
}

/* An error of the bound value is one only where it is used. */
static struct filter_value eval_bind(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value v = eval(e, node->args[0]);
    if (node->index >= FILTER_MAX_SLOTS)
        return fail(e, node, FILTER_E_LIMIT);
    e->slots[node->index] = v;
    return eval(e, node->args[1]);
}

static struct filter_value eval_has(struct filter_eval *e, const struct filter_node *node)
{
    const struct filter_node *of = node->args[0];
    if (of->kind == FILTER_FIELD && !node->name.n)
        return filter_bool(e->record->has(e->record->ctx, of->index));
    struct filter_value v = eval(e, of);
    return v.kind == FILTER_ERROR ? v : placed(e, node, filter_has(&v, node->name));
}

static struct filter_value eval_select(struct filter_eval *e, const struct filter_node *node)
{
    struct filter_value v = eval(e, node->args[0]);
    return v.kind == FILTER_ERROR ? v : placed(e, node, filter_select(&e->ctx, &v, node->name));
}

/* The recursion is as deep as the tree, which is at most FILTER_MAX_NESTING. */
static struct filter_value eval(struct filter_eval *e, const struct filter_node *node)
{
    if (!in_time(e))
        return fail(e, node, FILTER_E_LIMIT);
    switch (node->kind) {
    case FILTER_LITERAL:
    case FILTER_TYPE_NAME: return node->value;
    case FILTER_FIELD: return placed(e, node, e->record->get(e->record->ctx, node->index, &e->arena));
    case FILTER_VARIABLE: return node->index < FILTER_MAX_SLOTS ? e->slots[node->index] : fail(e, node, FILTER_E_LIMIT);
    case FILTER_SELECT: return eval_select(e, node);
    case FILTER_HAS: return eval_has(e, node);
    case FILTER_OPERATOR: return eval_operator(e, node);
    case FILTER_CALL: return eval_call(e, node);
    case FILTER_NEW_LIST: return eval_new_list(e, node);
    case FILTER_NEW_MAP: return eval_new_map(e, node);
    case FILTER_MACRO: return eval_macro(e, node);
    case FILTER_BIND: return eval_bind(e, node);
    default: return fail(e, node, FILTER_E_UNDECLARED); /* a NAME that stands for nothing */
    }
}

struct filter_value filter_eval(struct filter_eval *e, const struct filter_node *root, const struct filter_record *record, int64_t now_ns)
{
    arena_clear(&e->arena);
    arena_lend(&e->arena, e->spare, sizeof e->spare);
    e->record = record;
    e->ctx.now_ns = now_ns;
    e->fuel = FILTER_MAX_ITERATIONS + 1; /* at zero it is over */
    e->fuel_at_look = e->fuel;
    e->steps = 0;
    e->deadline_ns = 0;
    struct filter_value v = eval(e, root);
    return e->fuel ? v : fail_at(v.kind == FILTER_ERROR ? v.nanos : root->span.from, FILTER_E_LIMIT);
}
