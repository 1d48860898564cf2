#include "filter/operator.h"

#include <math.h>

#include "filter/text.h"
#include "filter/time.h"

static struct filter_value no_overload(void)
{
    return filter_fail(FILTER_E_NO_OVERLOAD);
}

static struct filter_value int_arithmetic(enum filter_op op, int64_t a, int64_t b)
{
    int64_t r = 0;
    switch (op) {
    case FILTER_ADD: return __builtin_add_overflow(a, b, &r) ? filter_fail(FILTER_E_OVERFLOW) : filter_int(r);
    case FILTER_SUB: return __builtin_sub_overflow(a, b, &r) ? filter_fail(FILTER_E_OVERFLOW) : filter_int(r);
    case FILTER_MUL: return __builtin_mul_overflow(a, b, &r) ? filter_fail(FILTER_E_OVERFLOW) : filter_int(r);
    case FILTER_DIV:
    case FILTER_MOD:
        if (b == 0)
            return filter_fail(FILTER_E_DIVISION_BY_ZERO);
        if (a == INT64_MIN && b == -1)
            return filter_fail(FILTER_E_OVERFLOW);
        return filter_int(op == FILTER_DIV ? a / b : a % b);
    default: return no_overload();
    }
}

static struct filter_value uint_arithmetic(enum filter_op op, uint64_t a, uint64_t b)
{
    uint64_t r = 0;
    switch (op) {
    case FILTER_ADD: return __builtin_add_overflow(a, b, &r) ? filter_fail(FILTER_E_OVERFLOW) : filter_uint(r);
    case FILTER_SUB: return __builtin_sub_overflow(a, b, &r) ? filter_fail(FILTER_E_OVERFLOW) : filter_uint(r);
    case FILTER_MUL: return __builtin_mul_overflow(a, b, &r) ? filter_fail(FILTER_E_OVERFLOW) : filter_uint(r);
    case FILTER_DIV:
    case FILTER_MOD:
        if (b == 0)
            return filter_fail(FILTER_E_DIVISION_BY_ZERO);
        return filter_uint(op == FILTER_DIV ? a / b : a % b);
    default: return no_overload();
    }
}

static struct filter_value double_arithmetic(enum filter_op op, double a, double b)
{
    switch (op) {
    case FILTER_ADD: return filter_double(a + b);
    case FILTER_SUB: return filter_double(a - b);
    case FILTER_MUL: return filter_double(a * b);
    case FILTER_DIV: return filter_double(a / b);
    default: return no_overload();
    }
}

static struct filter_value duration_arithmetic(enum filter_op op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool overflow = op == FILTER_ADD ? __builtin_add_overflow(a, b, &r) : __builtin_sub_overflow(a, b, &r);
    if (op != FILTER_ADD && op != FILTER_SUB)
        return no_overload();
    return overflow ? filter_fail(FILTER_E_OVERFLOW) : filter_duration(r);
}

static struct filter_value join_lists(struct filter_context *ctx, const struct filter_list *a, const struct filter_list *b)
{
    if (!filter_spend(ctx->fuel, (uint64_t)a->n + b->n) || b->n > UINT32_MAX - a->n)
        return filter_fail(FILTER_E_LIMIT);
    struct filter_list *list = filter_list_new(ctx->arena, a->n + b->n);
    if (!list)
        return filter_fail(FILTER_E_LIMIT);
    if (a->n)
        memcpy(list->v, a->v, a->n * sizeof a->v[0]);
    if (b->n)
        memcpy(list->v + a->n, b->v, b->n * sizeof b->v[0]);
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static struct filter_value same_kind_arithmetic(struct filter_context *ctx, enum filter_op op, const struct filter_value *a,
                                                const struct filter_value *b)
{
    switch (a->kind) {
    case FILTER_INT: return int_arithmetic(op, a->i, b->i);
    case FILTER_UINT: return uint_arithmetic(op, a->u, b->u);
    case FILTER_DOUBLE: return double_arithmetic(op, a->d, b->d);
    case FILTER_DURATION: return duration_arithmetic(op, a->i, b->i);
    case FILTER_TIMESTAMP: return op == FILTER_SUB ? filter_time_between(a, b) : no_overload();
    case FILTER_STRING:
    case FILTER_BYTES:
        if (op != FILTER_ADD)
            return no_overload();
        if (!filter_spend(ctx->fuel, (a->bytes.n + b->bytes.n) / FILTER_BYTES_PER_STEP))
            return filter_fail(FILTER_E_LIMIT);
        return filter_join_two(ctx->arena, a->kind, a->bytes, b->bytes);
    case FILTER_LIST: return op == FILTER_ADD ? join_lists(ctx, a->list, b->list) : no_overload();
    default: return no_overload();
    }
}

static struct filter_value arithmetic(struct filter_context *ctx, enum filter_op op, const struct filter_value *a,
                                      const struct filter_value *b)
{
    if (a->kind == b->kind)
        return same_kind_arithmetic(ctx, op, a, b);
    if (a->kind == FILTER_TIMESTAMP && b->kind == FILTER_DURATION)
        return op == FILTER_ADD ? filter_time_add(a, b->i) : op == FILTER_SUB ? filter_time_sub(a, b->i) : no_overload();
    if (a->kind == FILTER_DURATION && b->kind == FILTER_TIMESTAMP && op == FILTER_ADD)
        return filter_time_add(b, a->i);
    return no_overload();
}

static struct filter_value negate(const struct filter_value *v)
{
    if (v->kind == FILTER_DOUBLE)
        return filter_double(-v->d);
    if (v->kind != FILTER_INT)
        return no_overload();
    return v->i == INT64_MIN ? filter_fail(FILTER_E_OVERFLOW) : filter_int(-v->i);
}

static struct filter_value order(enum filter_op op, const struct filter_value *a, const struct filter_value *b)
{
    enum filter_order o = filter_compare(a, b);
    if (o == FILTER_NOT_COMPARABLE)
        return no_overload();
    switch (op) {
    case FILTER_LT: return filter_bool(o == FILTER_LESS);
    case FILTER_LE: return filter_bool(o == FILTER_LESS || o == FILTER_SAME);
    case FILTER_GT: return filter_bool(o == FILTER_MORE);
    default: return filter_bool(o == FILTER_MORE || o == FILTER_SAME);
    }
}

static struct filter_value is_in(struct filter_context *ctx, const struct filter_value *v, const struct filter_value *where)
{
    struct filter_value ignored;
    if (where->kind == FILTER_MAP)
        return filter_bool(filter_map_find(where->map, v, &ignored));
    if (where->kind != FILTER_LIST)
        return no_overload();
    for (uint32_t i = 0; i < where->list->n; i++)
        if (filter_equal(v, &where->list->v[i], ctx->fuel))
            return filter_bool(true);
    return filter_bool(false);
}

/* The position that a number stands for; false if it is none: a fraction, negative, or too large. */
static bool list_position(const struct filter_value *index, uint32_t n, uint32_t *ret)
{
    double d = index->kind == FILTER_DOUBLE ? index->d : 0;
    uint64_t u = index->kind == FILTER_DOUBLE ? (d >= 0 && d < UINT32_MAX && floor(d) == d ? (uint64_t)d : UINT64_MAX) : index->u;
    if (!filter_is_number(index) || u >= n) /* a negative int is a large number here */
        return false;
    *ret = (uint32_t)u;
    return true;
}

/* The element or value, or the error that a[b] is. */
static struct filter_value at_index(const struct filter_value *v, const struct filter_value *index)
{
    struct filter_value found;
    uint32_t position;
    if (v->kind == FILTER_MAP)
        return filter_map_find(v->map, index, &found) ? found : filter_fail(FILTER_E_NO_SUCH_KEY);
    if (v->kind == FILTER_LIST)
        return list_position(index, v->list->n, &position) ? v->list->v[position] : filter_fail(FILTER_E_BAD_INDEX);
    return no_overload();
}

/* An optional that has the value, or none if that is the error that nothing is there. */
static struct filter_value optional(struct filter_context *ctx, const struct filter_value *v)
{
    if (v->kind == FILTER_ERROR && v->error != FILTER_E_NO_SUCH_KEY && v->error != FILTER_E_BAD_INDEX)
        return *v;
    struct filter_value none = {.kind = FILTER_OPTIONAL};
    return v->kind == FILTER_ERROR ? none : filter_optional(ctx->arena, v);
}

static struct filter_value opt_index(struct filter_context *ctx, const struct filter_value *v, const struct filter_value *index)
{
    if (v->kind == FILTER_OPTIONAL && !v->content)
        return *v;
    struct filter_value found = at_index(v->kind == FILTER_OPTIONAL ? v->content : v, index);
    return optional(ctx, &found);
}

struct filter_value filter_select(struct filter_context *ctx, const struct filter_value *v, struct td_slice name)
{
    struct filter_value key = filter_string(name);
    if (v->kind == FILTER_OPTIONAL)
        return opt_index(ctx, v, &key);
    return v->kind == FILTER_MAP ? at_index(v, &key) : no_overload();
}

struct filter_value filter_opt_select(struct filter_context *ctx, const struct filter_value *v, struct td_slice name)
{
    struct filter_value key = filter_string(name);
    return opt_index(ctx, v, &key);
}

struct filter_value filter_has(const struct filter_value *v, struct td_slice name)
{
    struct filter_value key = filter_string(name), ignored;
    if (v->kind == FILTER_OPTIONAL)
        return v->content ? filter_has(v->content, name) : filter_bool(false);
    return v->kind == FILTER_MAP ? filter_bool(filter_map_find(v->map, &key, &ignored)) : no_overload();
}

struct filter_value filter_operate(struct filter_context *ctx, enum filter_op op, const struct filter_value *args)
{
    const struct filter_value *a = &args[0], *b = &args[1];
    switch (op) {
    case FILTER_EQ: return filter_bool(filter_equal(a, b, ctx->fuel));
    case FILTER_NE: return filter_bool(!filter_equal(a, b, ctx->fuel));
    case FILTER_LT:
    case FILTER_LE:
    case FILTER_GT:
    case FILTER_GE: return order(op, a, b);
    case FILTER_IN: return is_in(ctx, a, b);
    case FILTER_NEG: return negate(a);
    case FILTER_INDEX: return a->kind == FILTER_OPTIONAL ? opt_index(ctx, a, b) : at_index(a, b);
    case FILTER_OPT_INDEX: return opt_index(ctx, a, b);
    default: return arithmetic(ctx, op, a, b);
    }
}
