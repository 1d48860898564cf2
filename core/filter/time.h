/* Moments and spans of time: RFC 3339 from year 1 to 9999 with nanoseconds, CEL's durations, and the calendar (proleptic
 * Gregorian, without leap seconds). */
#ifndef FILTER_TIME_H
#define FILTER_TIME_H

#include "filter/text.h"

#define FILTER_TIME_MIN INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define FILTER_TIME_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct filter_date {
    int64_t year;
    int32_t month;                    /* 1 to 12 */
    int32_t day;                      /* 1 to 31 */
    int32_t day_of_year, day_of_week; /* from 0; from 0, Sunday */
    int32_t second_of_day;
};

/* A TIMESTAMP; an ERROR if it is outside of the years 1 to 9999. */
struct filter_value filter_time(int64_t seconds, uint32_t nanos);
/* A TIMESTAMP of nanoseconds since 1970, which are always in range. */
struct filter_value filter_time_ns(int64_t ns);
static inline struct filter_value filter_duration(int64_t ns)
{
    return (struct filter_value){.kind = FILTER_DURATION, .i = ns};
}

/* "2026-01-02T03:04:05.678Z", with an offset instead of Z; an ERROR if it is not that. */
struct filter_value filter_time_parse(struct td_slice text);
/* "1h2m3.5s", "-1.5ms", "0"; an ERROR if it is not that, or beyond 2^63 nanoseconds. */
struct filter_value filter_duration_parse(struct td_slice text);
void filter_time_put(struct filter_text *, const struct filter_value *timestamp); /* with as many digits as needed, in UTC */
void filter_duration_put(struct filter_text *, int64_t ns);                       /* "3723.5s" */

/* `seconds` are local ones: with the zone's offset added. */
struct filter_date filter_date(int64_t seconds);
/* Days since 1970-01-01; month from 1. */
int64_t filter_days(int64_t year, int32_t month, int32_t day);

/* timestamp + duration, and the difference of timestamps; ERROR where it is out of range. */
struct filter_value filter_time_add(const struct filter_value *timestamp, int64_t ns);
struct filter_value filter_time_sub(const struct filter_value *timestamp, int64_t ns);
struct filter_value filter_time_between(const struct filter_value *later, const struct filter_value *earlier);

#endif
