/* Running a program. */
#include <stdalign.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "filter/cache.h"
#include "filter/operator.h"
#include "filter/program.h"

enum {
    ARENA_MAX = 4 << 20, /* for what one record's evaluation makes */
    SPARE = 16 << 10,    /* memory that most records need no more than */
    FUEL_PER_LOOK = 256  /* iterations between two looks at the clock */
};

/* A macro that is being run. */
struct loop {
    const struct filter_list *list;
    const struct filter_map *map;
    uint32_t n, i;
    uint32_t slot, slots;
    uint8_t macro;
    uint32_t found;             /* EXISTS_ONE */
    struct filter_value result; /* ALL, EXISTS */
    struct filter_list *made;   /* macros that make lists */
    struct filter_value *pairs; /* macros that make maps */
    uint32_t pair_n, pair_cap;
};

struct filter_vm {
    struct filter_context ctx;
    struct filter_value *stack, *slots;
    struct loop *loops;
    struct arena arena;
    uint64_t fuel, fuel_at_look;
    int64_t deadline_ns; /* of the thread's processor time; 0: not looked yet */
    alignas(16) uint8_t spare[SPARE];
};

static inline struct filter_value fail_at(uint32_t place, enum filter_error error)
{
    struct filter_value v = filter_fail(error);
    v.nanos = place;
    return v;
}

static inline struct filter_value placed(const struct filter_instruction *in, struct filter_value v)
{
    if (v.kind == FILTER_ERROR)
        v.nanos = in->place;
    return v;
}

static inline struct filter_value condition(const struct filter_instruction *in, struct filter_value v)
{
    return v.kind == FILTER_BOOL || v.kind == FILTER_ERROR ? v : fail_at(in->place, FILTER_E_NOT_BOOL);
}

/* ---- Limits ---- */

static bool look_at_clock(struct filter_vm *vm)
{
    int64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    vm->fuel_at_look = vm->fuel;
    if (!vm->deadline_ns)
        vm->deadline_ns = now + FILTER_MAX_NS;
    else if (now > vm->deadline_ns)
        vm->fuel = 0;
    return vm->fuel != 0;
}

static inline bool in_time(struct filter_vm *vm)
{
    return vm->fuel_at_look - vm->fuel < FUEL_PER_LOOK ? vm->fuel != 0 : look_at_clock(vm);
}

/* ---- Terms of && and || ---- */

/* Takes a term's value into the result of a chain; true: it decides. */
static inline bool take_term(struct filter_vm *vm, struct filter_value *result, struct filter_value v, bool deciding)
{
    if (v.kind == FILTER_BOOL && v.b == deciding) {
        *result = v;
        return true;
    }
    if (v.kind != FILTER_ERROR)
        return false;
    if (v.error == FILTER_E_LIMIT) /* ends the evaluation for good, whatever else decides */
        vm->fuel = 0;
    if (result->kind == FILTER_BOOL)
        *result = v;
    return false;
}

/* The same for what is known to be a bool: most terms. */
static inline bool take_bool(struct filter_value *result, bool b, bool deciding)
{
    if (b != deciding)
        return false;
    *result = filter_bool(b);
    return true;
}

static inline bool compare_ints(uint8_t op, int64_t a, int64_t b)
{
    switch (op) {
    case FILTER_EQ: return a == b;
    case FILTER_NE: return a != b;
    case FILTER_LT: return a < b;
    case FILTER_LE: return a <= b;
    case FILTER_GT: return a > b;
    default: return a >= b;
    }
}

/* The field of a term, as any comparison sees it: for values that are not of the declared kind, which are errors mostly. */
static struct filter_value compare_any(struct filter_vm *vm, const struct filter_instruction *in, struct filter_value field,
                                       struct filter_value literal)
{
    const struct filter_value args[] = {field, literal};
    if (field.kind == FILTER_ERROR)
        return placed(in, field);
    return placed(in, filter_operate(&vm->ctx, in->compare, args));
}

static inline bool take_int(struct filter_vm *vm, const struct filter_instruction *in, struct filter_value *result,
                            const struct filter_value *field)
{
    if (field->kind != FILTER_INT)
        return take_term(vm, result, compare_any(vm, in, *field, filter_int(in->number)), in->sub);
    return take_bool(result, compare_ints(in->compare, field->i, in->number), in->sub);
}

/* Texts of a few bytes are compared without a call. */
static inline bool equal_texts(struct td_slice a, struct td_slice b)
{
    if (a.n != b.n)
        return false;
    if (a.n > 16)
        return memcmp(a.p, b.p, a.n) == 0;
    if (a.n >= 8) {
        uint64_t v[4];
        memcpy(&v[0], a.p, 8);
        memcpy(&v[1], b.p, 8);
        memcpy(&v[2], a.p + a.n - 8, 8);
        memcpy(&v[3], b.p + b.n - 8, 8);
        return v[0] == v[1] && v[2] == v[3];
    }
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i])
            return false;
    return true;
}

static inline bool take_text(struct filter_vm *vm, const struct filter_instruction *in, struct filter_value *result,
                             const struct filter_value *field, const struct filter_value *literal)
{
    if (field->kind != FILTER_STRING)
        return take_term(vm, result, compare_any(vm, in, *field, *literal), in->sub);
    return take_bool(result, equal_texts(field->bytes, literal->bytes) == (in->compare == FILTER_EQ), in->sub);
}

static inline bool take_flag(struct filter_vm *vm, const struct filter_instruction *in, struct filter_value *result,
                             const struct filter_value *field)
{
    if (field->kind != FILTER_BOOL)
        return take_term(vm, result, placed(in, condition(in, *field)), in->sub);
    return take_bool(result, field->b == (in->n != 0), in->sub);
}

/* ---- Loops ---- */

static bool loop_begin(struct filter_vm *vm, struct loop *l, const struct filter_instruction *in, const struct filter_value *range)
{
    *l = (struct loop){.macro = in->sub, .slot = in->n, .slots = in->b};
    if (range->kind == FILTER_LIST)
        l->list = range->list;
    else if (range->kind == FILTER_MAP)
        l->map = range->map;
    else
        return false;
    l->n = l->list ? l->list->n : l->map->n;
    l->result = filter_bool(in->sub == FILTER_ALL);
    if (in->sub == FILTER_MAP_TO || in->sub == FILTER_KEEP || in->sub == FILTER_TRANSFORM_LIST) {
        l->made = filter_list_new(&vm->arena, l->n);
        if (l->made)
            l->made->n = 0;
    }
    return true;
}

static void loop_variables(struct filter_vm *vm, struct loop *l)
{
    struct filter_value *var = &vm->slots[l->slot], value;
    uint32_t i = l->i++;
    if (l->map) {
        filter_map_at(l->map, i, &var[0], l->slots == 2 ? &var[1] : &value);
    } else if (l->slots == 2) {
        var[0] = filter_int(i);
        var[1] = l->list->v[i];
    } else {
        var[0] = l->list->v[i];
    }
}

static bool add_pair(struct filter_vm *vm, struct loop *l, struct filter_value key, struct filter_value value)
{
    if (l->pair_n == l->pair_cap) {
        uint32_t cap = l->pair_cap ? 2 * l->pair_cap : 8;
        struct filter_value *pairs = arena_alloc(&vm->arena, 2 * (size_t)cap * sizeof(*pairs), alignof(struct filter_value));
        if (!pairs)
            return false;
        if (l->pair_n)
            memcpy(pairs, l->pairs, 2 * (size_t)l->pair_n * sizeof(*pairs));
        l->pairs = pairs;
        l->pair_cap = cap;
    }
    l->pairs[2 * (size_t)l->pair_n] = key;
    l->pairs[2 * (size_t)l->pair_n + 1] = value;
    l->pair_n++;
    return true;
}

static struct filter_value add_entries(struct filter_vm *vm, struct loop *l, const struct filter_instruction *in, struct filter_value made)
{
    struct filter_value key, value;
    if (made.kind != FILTER_MAP)
        return fail_at(in->place, FILTER_E_NO_OVERLOAD);
    for (uint32_t i = 0; i < made.map->n; i++) {
        filter_map_at(made.map, i, &key, &value);
        if (!filter_spend(&vm->fuel, 1) || !add_pair(vm, l, key, value))
            return fail_at(in->place, FILTER_E_LIMIT);
    }
    return filter_bool(true);
}

/* Takes in what the body gave for one element. True: the loop is over, with *ret. */
static bool loop_step(struct filter_vm *vm, struct loop *l, const struct filter_instruction *in, struct filter_value v,
                      struct filter_value *ret)
{
    switch (l->macro) {
    case FILTER_ALL:
    case FILTER_EXISTS:
        if (!take_term(vm, &l->result, condition(in, v), l->macro == FILTER_EXISTS))
            return false;
        *ret = l->result;
        return true;
    case FILTER_EXISTS_ONE:
        *ret = condition(in, v);
        l->found += ret->kind == FILTER_BOOL && ret->b;
        return ret->kind == FILTER_ERROR;
    case FILTER_TRANSFORM_MAP:
        *ret = v;
        if (v.kind != FILTER_ERROR && !add_pair(vm, l, vm->slots[l->slot], v))
            *ret = fail_at(in->place, FILTER_E_LIMIT);
        return ret->kind == FILTER_ERROR;
    case FILTER_TRANSFORM_MAP_ENTRY: *ret = v.kind == FILTER_ERROR ? v : add_entries(vm, l, in, v); return ret->kind == FILTER_ERROR;
    default:
        *ret = l->made ? v : fail_at(in->place, FILTER_E_LIMIT);
        if (ret->kind == FILTER_ERROR)
            return true;
        l->made->v[l->made->n++] = v;
        return false;
    }
}

static struct filter_value loop_end(struct filter_vm *vm, const struct loop *l, const struct filter_instruction *in)
{
    switch (l->macro) {
    case FILTER_ALL:
    case FILTER_EXISTS: return l->result;
    case FILTER_EXISTS_ONE: return filter_bool(l->found == 1);
    case FILTER_TRANSFORM_MAP:
    case FILTER_TRANSFORM_MAP_ENTRY: return placed(in, filter_map_new(&vm->arena, l->pairs, l->pair_n, &vm->fuel));
    default: return l->made ? (struct filter_value){.kind = FILTER_LIST, .list = l->made} : fail_at(in->place, FILTER_E_LIMIT);
    }
}

/* ---- Calls ---- */

/* The first error among n values, or NULL. */
static inline const struct filter_value *first_error(const struct filter_value *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].kind == FILTER_ERROR)
            return &v[i];
    return NULL;
}

static struct filter_value call(struct filter_vm *vm, const struct filter_program *p, const struct filter_instruction *in,
                                const struct filter_value *args)
{
    uint32_t n;
    const struct filter_value *error = first_error(args, in->n);
    if (error)
        return *error;
    if (in->code == CODE_DISPATCH)
        return placed(in, filter_function_call(&vm->ctx, in->a, in->sub, args, in->n));
    vm->ctx.prepared = in->b ? p->prepared[in->b - 1] : NULL;
    /* Types promise what values may not keep: an argument that is dyn. So the kinds are looked at here, too. */
    struct filter_value v = placed(in, filter_function_call(&vm->ctx, in->a, filter_functions(&n)[in->a].receiver, args, in->n));
    vm->ctx.prepared = NULL;
    return v;
}

static struct filter_value collect(struct filter_vm *vm, const struct filter_instruction *in, const struct filter_value *v)
{
    const struct filter_value *error = first_error(v, in->n);
    if (error)
        return *error;
    if (in->code == CODE_MAP)
        return placed(in, filter_map_new(&vm->arena, v, in->n / 2, &vm->fuel));
    struct filter_list *list = filter_list_new(&vm->arena, in->n);
    if (!list)
        return fail_at(in->place, FILTER_E_LIMIT);
    if (in->n)
        memcpy(list->v, v, in->n * sizeof(*v));
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static inline struct filter_value operate(struct filter_vm *vm, const struct filter_instruction *in, const struct filter_value *args,
                                          uint32_t n)
{
    const struct filter_value *error = first_error(args, n);
    return error ? *error : placed(in, filter_operate(&vm->ctx, in->code == CODE_NEGATE ? FILTER_NEG : in->sub, args));
}

static struct filter_value not(const struct filter_instruction *in, struct filter_value v)
{
    if (v.kind == FILTER_BOOL)
        return filter_bool(!v.b);
    return v.kind == FILTER_ERROR ? v : fail_at(in->place, FILTER_E_NO_OVERLOAD);
}

static struct filter_value member(struct filter_vm *vm, const struct filter_instruction *in, struct filter_value v, struct td_slice name)
{
    if (v.kind == FILTER_ERROR)
        return v;
    if (in->code == CODE_HAS)
        return placed(in, filter_has(&v, name));
    return placed(in, in->code == CODE_SELECT ? filter_select(&vm->ctx, &v, name) : filter_opt_select(&vm->ctx, &v, name));
}

/* ---- The machine ---- */

/* `top` points at the value on top of the stack; below the first one there is room for one. */
static struct filter_value run(struct filter_vm *vm, const struct filter_program *p, const struct filter_record *r)
{
    struct filter_value *top = vm->stack;
    struct loop *loop = vm->loops; /* the first one is never begun */
    const struct filter_instruction *in = p->code;
    for (;; in++) {
        switch ((enum filter_code)in->code) {
        case CODE_CONST: *++top = p->constants[in->a]; break;
        case CODE_FIELD: *++top = placed(in, r->get(r->ctx, in->a, &vm->arena)); break;
        case CODE_VARIABLE: *++top = vm->slots[in->a]; break;
        case CODE_HAS_FIELD: *++top = filter_bool(r->has(r->ctx, in->a)); break;
        case CODE_HAS:
        case CODE_SELECT:
        case CODE_OPT_SELECT: *top = member(vm, in, *top, p->constants[in->a].bytes); break;
        case CODE_NOT: *top = not(in, *top); break;
        case CODE_NEGATE: *top = operate(vm, in, top, 1); break;
        case CODE_OPERATE:
            top--;
            *top = operate(vm, in, top, 2);
            break;
        case CODE_CALL:
        case CODE_DISPATCH:
            top -= in->n;
            top[1] = call(vm, p, in, top + 1);
            top++;
            break;
        case CODE_LIST:
        case CODE_MAP:
            top -= in->n;
            top[1] = collect(vm, in, top + 1);
            top++;
            break;
        case CODE_FAIL: *++top = fail_at(in->place, in->a); break;
        case CODE_JUMP: in = &p->code[in->a] - 1; break;
        case CODE_BRANCH:
            *top = condition(in, *top);
            if (top->kind == FILTER_ERROR)
                in = &p->code[in->b] - 1;
            else if (!(top--)->b)
                in = &p->code[in->a] - 1;
            break;
        case CODE_LOGIC: *++top = filter_bool(!in->sub); break;
        case CODE_LOGIC_TERM:
            top--;
            if (take_term(vm, top, condition(in, top[1]), in->sub))
                in = &p->code[in->a] - 1;
            break;
        case CODE_TERM_BOOL: {
            const struct filter_value field = r->get(r->ctx, in->b, &vm->arena);
            if (take_flag(vm, in, top, &field))
                in = &p->code[in->a] - 1;
            break;
        }
        case CODE_TERM_INT: {
            const struct filter_value field = r->get(r->ctx, in->b, &vm->arena);
            if (take_int(vm, in, top, &field))
                in = &p->code[in->a] - 1;
            break;
        }
        case CODE_TERM_TEXT: {
            const struct filter_value field = r->get(r->ctx, in->b, &vm->arena);
            if (take_text(vm, in, top, &field, &p->constants[in->number]))
                in = &p->code[in->a] - 1;
            break;
        }
        case CODE_LOOP:
            if (top->kind == FILTER_ERROR) {
                in = &p->code[in->a] - 1;
            } else if (!loop_begin(vm, ++loop, in, top)) {
                *top = fail_at(in->place, FILTER_E_NO_OVERLOAD);
                loop--;
                in = &p->code[in->a] - 1;
            } else {
                top--;
            }
            break;
        case CODE_NEXT:
            if (loop->i == loop->n) {
                *++top = loop_end(vm, loop, in);
            } else if (!filter_spend(&vm->fuel, 1) || !in_time(vm)) {
                *++top = fail_at(in->place, FILTER_E_LIMIT);
            } else {
                loop_variables(vm, loop);
                break;
            }
            loop--;
            in = &p->code[in->a] - 1;
            break;
        case CODE_STEP:
            if (loop_step(vm, loop, in, *top, top)) {
                loop--;
                in = &p->code[in->b] - 1;
            } else {
                top--;
                in = &p->code[in->a] - 1;
            }
            break;
        case CODE_KEEP:
            *top = condition(in, *top);
            if (top->kind == FILTER_ERROR) {
                loop--;
                in = &p->code[in->b] - 1;
            } else if (!(top--)->b) {
                in = &p->code[in->a] - 1;
            }
            break;
        case CODE_BIND: vm->slots[in->n] = *top--; break; /* an error counts where it is used */
        case CODE_END: return *top;
        }
    }
}

struct filter_value filter_vm_run(struct filter_vm *vm, const struct filter_program *p, const struct filter_record *record)
{
    if (vm->arena.next != vm->spare) { /* something was made for the last record */
        arena_clear(&vm->arena);
        arena_lend(&vm->arena, vm->spare, sizeof(vm->spare));
    }
    vm->ctx.now_ns = p->now_ns;
    vm->fuel = FILTER_MAX_ITERATIONS + 1; /* at zero it is over */
    vm->fuel_at_look = vm->fuel;
    vm->deadline_ns = 0;
    struct filter_value v = run(vm, p, record);
    return vm->fuel ? v : fail_at(v.kind == FILTER_ERROR ? v.nanos : 0, FILTER_E_LIMIT);
}

void filter_vm_set(struct filter_vm *vm, uint32_t slot, struct filter_value v)
{
    vm->slots[slot] = v;
}

int filter_vm_new(const struct filter_program *const *programs, uint32_t n, struct filter_vm **ret, struct error *err)
{
    struct filter_vm *vm = mem_calloc(1, sizeof(*vm));
    uint32_t stack = 0, slots = 0, loops = 0;
    if (!vm)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        stack = programs[i]->stack > stack ? programs[i]->stack : stack;
        slots = programs[i]->slots > slots ? programs[i]->slots : slots;
        loops = programs[i]->loops > loops ? programs[i]->loops : loops;
    }
    arena_init(&vm->arena, ARENA_MAX);
    vm->ctx.arena = &vm->arena;
    vm->ctx.fuel = &vm->fuel;
    vm->ctx.cache = filter_cache_new();
    vm->stack = mem_calloc(stack + 2, sizeof(*vm->stack));
    vm->slots = mem_calloc(slots + 2, sizeof(*vm->slots));
    vm->loops = mem_calloc(loops + 1, sizeof(*vm->loops));
    if (!vm->ctx.cache || !vm->stack || !vm->slots || !vm->loops) {
        filter_vm_free(vm);
        return error_nomem(err);
    }
    *ret = vm;
    return TD_OK;
}

void filter_vm_free(struct filter_vm *vm)
{
    if (!vm)
        return;
    arena_clear(&vm->arena);
    filter_cache_free(vm->ctx.cache);
    mem_free(vm->stack);
    mem_free(vm->slots);
    mem_free(vm->loops);
    mem_free(vm);
}
