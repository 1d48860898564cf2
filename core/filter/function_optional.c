/* Values that may be missing: what m.?key and list[?i] give. */
#include "filter/function_table.h"

struct filter_value call_optional_none(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    (void)args;
    return (struct filter_value){.kind = FILTER_OPTIONAL};
}

struct filter_value call_optional_of(struct filter_context *ctx, const struct filter_value *args)
{
    return filter_optional(ctx->arena, &args[0]);
}

/* 0, "", [], false and so on: what a field that is missing reads as. */
static bool is_zero(const struct filter_value *v)
{
    switch (v->kind) {
    case FILTER_NULL: return true;
    case FILTER_BOOL: return !v->b;
    case FILTER_DOUBLE: return v->d == 0;
    case FILTER_INT:
    case FILTER_UINT:
    case FILTER_DURATION: return v->u == 0;
    case FILTER_TIMESTAMP: return v->i == 0 && v->nanos == 0;
    case FILTER_STRING:
    case FILTER_BYTES: return v->bytes.n == 0;
    case FILTER_LIST: return v->list->n == 0;
    case FILTER_MAP: return v->map->n == 0;
    case FILTER_OPTIONAL: return !v->content;
    default: return false;
    }
}

struct filter_value call_optional_of_non_zero(struct filter_context *ctx, const struct filter_value *args)
{
    return is_zero(&args[0]) ? call_optional_none(ctx, args) : call_optional_of(ctx, args);
}

struct filter_value call_has_value(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bool(args[0].content != NULL);
}

struct filter_value call_value(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return args[0].content ? *args[0].content : filter_fail(FILTER_E_NO_SUCH_KEY);
}

struct filter_value call_or(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return args[0].content ? args[0] : args[1];
}

struct filter_value call_or_value(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return args[0].content ? *args[0].content : args[1];
}
