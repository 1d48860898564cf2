/* The functions of math. */
#include <math.h>

#include "filter/function_table.h"

/* The one of a list that is `wanted` (MORE or LESS) than all others; the first of equals. */
static struct filter_value extreme(struct filter_context *ctx, const struct filter_list *list, enum filter_order wanted)
{
    if (!filter_spend(ctx->fuel, list->n))
        return filter_fail(FILTER_E_LIMIT);
    if (!list->n)
        return filter_fail(FILTER_E_ARGUMENT);
    uint32_t best = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        if (!filter_is_number(&list->v[i]))
            return filter_fail(FILTER_E_NO_OVERLOAD);
        if (filter_compare(&list->v[i], &list->v[best]) == wanted)
            best = i;
    }
    return list->v[best];
}

struct filter_value call_greatest(struct filter_context *ctx, const struct filter_value *args)
{
    return extreme(ctx, args[0].list, FILTER_MORE);
}

struct filter_value call_least(struct filter_context *ctx, const struct filter_value *args)
{
    return extreme(ctx, args[0].list, FILTER_LESS);
}

#define OF_DOUBLE(name, expression)                                                              \
    struct filter_value call_##name(struct filter_context *ctx, const struct filter_value *args) \
    {                                                                                            \
        (void)ctx;                                                                               \
        double d = args[0].d;                                                                    \
        return expression;                                                                       \
    }
OF_DOUBLE(ceil, filter_double(ceil(d)))
OF_DOUBLE(floor, filter_double(floor(d)))
OF_DOUBLE(round, filter_double(round(d)))
OF_DOUBLE(trunc, filter_double(trunc(d)))
OF_DOUBLE(is_nan, filter_bool(isnan(d)))
OF_DOUBLE(is_inf, filter_bool(isinf(d)))
OF_DOUBLE(is_finite, filter_bool(isfinite(d)))

struct filter_value call_sqrt(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    const struct filter_value *v = &args[0];
    return filter_double(sqrt(v->kind == FILTER_INT ? (double)v->i : v->kind == FILTER_UINT ? (double)v->u : v->d));
}

struct filter_value call_abs(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    const struct filter_value *v = &args[0];
    if (v->kind == FILTER_DOUBLE)
        return filter_double(fabs(v->d));
    if (v->kind == FILTER_UINT || v->i >= 0)
        return *v;
    return v->i == INT64_MIN ? filter_fail(FILTER_E_OVERFLOW) : filter_int(-v->i);
}

struct filter_value call_sign(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    const struct filter_value *v = &args[0];
    if (v->kind == FILTER_DOUBLE)
        return filter_double(v->d > 0 ? 1 : v->d < 0 ? -1 : v->d);
    if (v->kind == FILTER_UINT)
        return filter_uint(v->u > 0);
    return filter_int((v->i > 0) - (v->i < 0));
}

/* The same bits for both signs: only the kind differs. */
static struct filter_value whole(const struct filter_value *like, uint64_t bits)
{
    return (struct filter_value){.kind = like->kind, .u = bits};
}

struct filter_value call_bit_and(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return whole(&args[0], args[0].u & args[1].u);
}

struct filter_value call_bit_or(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return whole(&args[0], args[0].u | args[1].u);
}

struct filter_value call_bit_xor(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return whole(&args[0], args[0].u ^ args[1].u);
}

struct filter_value call_bit_not(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return whole(&args[0], ~args[0].u);
}

struct filter_value call_bit_shift_left(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    if (args[1].i < 0)
        return filter_fail(FILTER_E_ARGUMENT);
    return whole(&args[0], args[1].i > 63 ? 0 : args[0].u << args[1].i);
}

struct filter_value call_bit_shift_right(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    if (args[1].i < 0)
        return filter_fail(FILTER_E_ARGUMENT);
    return whole(&args[0], args[1].i > 63 ? 0 : args[0].u >> args[1].i);
}
