/* What a timestamp has in a calendar, in UTC or in a time zone; what a duration is in whole units. */
#include "base/units.h"
#include "filter/cache.h"
#include "filter/function_table.h"
#include "filter/time.h"

/* What reading a zone's file counts as. */
enum { ZONE_STEPS = 500 };

/* Picks one part of a date. */
typedef int64_t part_fn(const struct filter_date *);

static int64_t full_year(const struct filter_date *d)
{
    return d->year;
}

static int64_t month(const struct filter_date *d)
{
    return d->month - 1;
}

static int64_t date(const struct filter_date *d)
{
    return d->day;
}

static int64_t day_of_month(const struct filter_date *d)
{
    return d->day - 1;
}

static int64_t day_of_week(const struct filter_date *d)
{
    return d->day_of_week;
}

static int64_t day_of_year(const struct filter_date *d)
{
    return d->day_of_year;
}

static int64_t hours(const struct filter_date *d)
{
    return d->second_of_day / 3600;
}

static int64_t minutes(const struct filter_date *d)
{
    return d->second_of_day / 60 % 60;
}

static int64_t seconds(const struct filter_date *d)
{
    return d->second_of_day % 60;
}

/* The zone that args[1] names; NULL: there is none. */
static const struct filter_zone *zone_of(struct filter_context *ctx, const struct filter_value *args)
{
    bool made = false;
    if (ctx->prepared)
        return ctx->prepared;
    const struct filter_zone *zone = filter_cache_zone(ctx->cache, args[1].bytes, &made);
    return made && !filter_spend(ctx->fuel, ZONE_STEPS) ? NULL : zone;
}

static struct filter_value in_utc(const struct filter_value *args, part_fn *part)
{
    struct filter_date d = filter_date(args[0].i);
    return filter_int(part(&d));
}

static struct filter_value in_zone(struct filter_context *ctx, const struct filter_value *args, part_fn *part)
{
    const struct filter_zone *zone = zone_of(ctx, args);
    if (!zone)
        return filter_fail(FILTER_E_ARGUMENT);
    struct filter_date d = filter_date(args[0].i + filter_zone_offset(zone, args[0].i));
    return filter_int(part(&d));
}

/* getX() and getX(zone). */
#define ACCESSOR(part)                                                                                \
    struct filter_value call_##part(struct filter_context *ctx, const struct filter_value *args)      \
    {                                                                                                 \
        (void)ctx;                                                                                    \
        return in_utc(args, part);                                                                    \
    }                                                                                                 \
    struct filter_value call_##part##_in(struct filter_context *ctx, const struct filter_value *args) \
    {                                                                                                 \
        return in_zone(ctx, args, part);                                                              \
    }
ACCESSOR(full_year)
ACCESSOR(month)
ACCESSOR(date)
ACCESSOR(day_of_month)
ACCESSOR(day_of_week)
ACCESSOR(day_of_year)
ACCESSOR(hours)
ACCESSOR(minutes)
ACCESSOR(seconds)

/* Milliseconds are the same in every zone; that the zone exists is checked all the same. */
struct filter_value call_milliseconds(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].nanos / NS_PER_MS);
}

struct filter_value call_milliseconds_in(struct filter_context *ctx, const struct filter_value *args)
{
    return zone_of(ctx, args) ? call_milliseconds(ctx, args) : filter_fail(FILTER_E_ARGUMENT);
}

struct filter_value call_duration_hours(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].i / (INT64_C(3600) * NS_PER_S));
}

struct filter_value call_duration_minutes(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].i / (INT64_C(60) * NS_PER_S));
}

struct filter_value call_duration_seconds(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].i / NS_PER_S);
}

/* CEL: of the last second, not all of them. */
struct filter_value call_duration_milliseconds(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].i % NS_PER_S / NS_PER_MS);
}

struct filter_value call_now(struct filter_context *ctx, const struct filter_value *args)
{
    (void)args;
    return filter_time_ns(ctx->now_ns);
}
