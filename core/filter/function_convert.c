/* Conversions: int(), string() and so on. */
#include "base/json.h"
#include "filter/convert.h"
#include "filter/function_table.h"
#include "filter/time.h"

struct filter_value call_identity(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return args[0];
}

struct filter_value call_type(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return (struct filter_value){.kind = FILTER_TYPE, .type = &filter_types[args[0].kind]};
}

struct filter_value call_bool_string(struct filter_context *ctx, const struct filter_value *args)
{
    static const char *const yes[] = {"true", "True", "TRUE", "t", "T", "1"};
    static const char *const no[] = {"false", "False", "FALSE", "f", "F", "0"};
    (void)ctx;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (td_eq(args[0].bytes, td_str(yes[i])))
            return filter_bool(true);
        if (td_eq(args[0].bytes, td_str(no[i])))
            return filter_bool(false);
    }
    return filter_fail(FILTER_E_CONVERSION);
}

struct filter_value call_bytes_string(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bytes(args[0].bytes);
}

struct filter_value call_double_int(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_double((double)args[0].i);
}

struct filter_value call_double_uint(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_double((double)args[0].u);
}

struct filter_value call_double_string(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    double d;
    return filter_parse_double(args[0].bytes, &d) ? filter_double(d) : filter_fail(FILTER_E_CONVERSION);
}

struct filter_value call_int_uint(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return args[0].u > INT64_MAX ? filter_fail(FILTER_E_OVERFLOW) : filter_int((int64_t)args[0].u);
}

/* Towards zero. CEL leaves out both ends of the range, since doubles near them are not exact. */
struct filter_value call_int_double(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    double d = args[0].d;
    return d > -FILTER_2_TO_63 && d < FILTER_2_TO_63 ? filter_int((int64_t)d) : filter_fail(FILTER_E_OVERFLOW);
}

struct filter_value call_int_string(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    int64_t i;
    return filter_parse_int(args[0].bytes, &i) ? filter_int(i) : filter_fail(FILTER_E_CONVERSION);
}

struct filter_value call_int_timestamp(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].i);
}

struct filter_value call_uint_int(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return args[0].i < 0 ? filter_fail(FILTER_E_OVERFLOW) : filter_uint((uint64_t)args[0].i);
}

struct filter_value call_uint_double(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    double d = args[0].d;
    return d >= 0 && d < FILTER_2_TO_64 ? filter_uint((uint64_t)d) : filter_fail(FILTER_E_OVERFLOW);
}

struct filter_value call_uint_string(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    uint64_t u;
    return filter_parse_uint(args[0].bytes, &u) ? filter_uint(u) : filter_fail(FILTER_E_CONVERSION);
}

struct filter_value call_timestamp_int(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_time(args[0].i, 0);
}

struct filter_value call_timestamp_string(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_time_parse(args[0].bytes);
}

struct filter_value call_duration_string(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_duration_parse(args[0].bytes);
}

struct filter_value call_string_bool(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_string(args[0].b ? TD_LIT("true") : TD_LIT("false"));
}

struct filter_value call_string_int(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_text t = {.arena = ctx->arena};
    filter_text_i64(&t, args[0].i);
    return filter_text_value(&t);
}

struct filter_value call_string_uint(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_text t = {.arena = ctx->arena};
    filter_text_u64(&t, args[0].u);
    return filter_text_value(&t);
}

struct filter_value call_string_double(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_text t = {.arena = ctx->arena};
    filter_put_double(&t, args[0].d, DECIMAL_GENERAL, 0);
    return filter_text_value(&t);
}

struct filter_value call_string_bytes(struct filter_context *ctx, const struct filter_value *args)
{
    if (!filter_spend(ctx->fuel, args[0].bytes.n / FILTER_BYTES_PER_STEP))
        return filter_fail(FILTER_E_LIMIT);
    return json_is_utf8(args[0].bytes) ? filter_string(args[0].bytes) : filter_fail(FILTER_E_BAD_UTF8);
}

struct filter_value call_string_timestamp(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_text t = {.arena = ctx->arena};
    filter_time_put(&t, &args[0]);
    return filter_text_value(&t);
}

struct filter_value call_string_duration(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_text t = {.arena = ctx->arena};
    filter_duration_put(&t, args[0].i);
    return filter_text_value(&t);
}

struct filter_value call_string_ip(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_text t = {.arena = ctx->arena};
    filter_put_ip(&t, &args[0]);
    return filter_text_value(&t);
}

struct filter_value call_string_cidr(struct filter_context *ctx, const struct filter_value *args)
{
    return call_string_ip(ctx, args);
}
