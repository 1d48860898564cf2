#include "filter/time.h"

#include "base/units.h"

enum { SECONDS_PER_DAY = 86400, DAYS_PER_400_YEARS = 146097 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Years begin in March, so that the day that leap years add is the last one. */
int64_t filter_days(int64_t year, int32_t month, int32_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_400_YEARS + day_of_era - 719468; /* from 0000-03-01 to 1970-01-01 */
}

struct filter_date filter_date(int64_t seconds)
{
    int64_t days = floor_div(seconds, SECONDS_PER_DAY);
    int64_t shifted = days + 719468;
    int64_t era = floor_div(shifted, DAYS_PER_400_YEARS);
    int64_t doe = shifted - era * DAYS_PER_400_YEARS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct filter_date d = {.year = yoe + era * 400 + (mp >= 10)};
    d.month = (int32_t)(mp < 10 ? mp + 3 : mp - 9);
    d.day = (int32_t)(doy - (153 * mp + 2) / 5 + 1);
    d.day_of_year = (int32_t)(days - filter_days(d.year, 1, 1));
    d.day_of_week = (int32_t)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
    d.second_of_day = (int32_t)(seconds - days * SECONDS_PER_DAY);
    return d;
}

struct filter_value filter_time(int64_t seconds, uint32_t nanos)
{
    if (seconds < FILTER_TIME_MIN || seconds > FILTER_TIME_MAX)
        return filter_fail(FILTER_E_OVERFLOW);
    return (struct filter_value){.kind = FILTER_TIMESTAMP, .i = seconds, .nanos = nanos};
}

/* Whole seconds, rounded down, and what is left of them. */
static int64_t split(int64_t ns, uint32_t *ret_nanos)
{
    int64_t rest = ns % NS_PER_S;
    *ret_nanos = (uint32_t)(rest < 0 ? rest + NS_PER_S : rest);
    return ns / NS_PER_S - (rest < 0);
}

struct filter_value filter_time_ns(int64_t ns)
{
    uint32_t nanos;
    int64_t seconds = split(ns, &nanos);
    return filter_time(seconds, nanos);
}

struct filter_value filter_time_add(const struct filter_value *t, int64_t ns)
{
    uint32_t nanos;
    int64_t seconds = split(ns, &nanos), sum = (int64_t)t->nanos + nanos;
    return filter_time(t->i + seconds + sum / NS_PER_S, (uint32_t)(sum % NS_PER_S));
}

struct filter_value filter_time_sub(const struct filter_value *t, int64_t ns)
{
    if (ns != INT64_MIN)
        return filter_time_add(t, -ns);
    struct filter_value almost = filter_time_add(t, INT64_MAX);
    return almost.kind == FILTER_ERROR ? almost : filter_time_add(&almost, 1);
}

struct filter_value filter_time_between(const struct filter_value *later, const struct filter_value *earlier)
{
    __int128 ns = (__int128)(later->i - earlier->i) * NS_PER_S + (int64_t)later->nanos - (int64_t)earlier->nanos;
    if (ns < INT64_MIN || ns > INT64_MAX)
        return filter_fail(FILTER_E_OVERFLOW);
    return filter_duration((int64_t)ns);
}

/* `n` digits at *at; -1 if they are not all there. */
static int32_t digits(struct td_slice text, size_t *at, int n)
{
    int32_t value = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (*at >= text.n || text.p[*at] < '0' || text.p[*at] > '9')
            return -1;
        value = value * 10 + text.p[*at] - '0';
    }
    return value;
}

static bool literal(struct td_slice text, size_t *at, char c)
{
    if (*at >= text.n || text.p[*at] != (uint8_t)c)
        return false;
    ++*at;
    return true;
}

/* ".123456789": what is finer than nanoseconds is cut off. */
static bool parse_fraction(struct td_slice text, size_t *at, uint32_t *ret_nanos)
{
    *ret_nanos = 0;
    if (!literal(text, at, '.'))
        return true;
    size_t start = *at;
    uint32_t unit = NS_PER_S / 10;
    for (; *at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9'; ++*at, unit /= 10)
        *ret_nanos += (uint32_t)(text.p[*at] - '0') * unit;
    return *at > start;
}

/* "Z", "+02:00"; the offset is east of Greenwich. */
static bool parse_offset(struct td_slice text, size_t *at, int32_t *ret_seconds)
{
    *ret_seconds = 0;
    if (literal(text, at, 'Z'))
        return true;
    bool west = *at < text.n && text.p[*at] == '-';
    if (!west && (*at >= text.n || text.p[*at] != '+'))
        return false;
    ++*at;
    int32_t hours = digits(text, at, 2);
    if (hours < 0 || hours > 23 || !literal(text, at, ':'))
        return false;
    int32_t minutes = digits(text, at, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *ret_seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static bool is_date(int32_t year, int32_t month, int32_t day)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

struct filter_value filter_time_parse(struct td_slice text)
{
    size_t at = 0;
    int32_t year = digits(text, &at, 4);
    bool good = literal(text, &at, '-');
    int32_t month = digits(text, &at, 2);
    good = good && literal(text, &at, '-');
    int32_t day = digits(text, &at, 2);
    good = good && literal(text, &at, 'T');
    int32_t hour = digits(text, &at, 2);
    good = good && literal(text, &at, ':');
    int32_t minute = digits(text, &at, 2);
    good = good && literal(text, &at, ':');
    int32_t second = digits(text, &at, 2), offset;
    uint32_t nanos;
    if (!good || !is_date(year, month, day) || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
        !parse_fraction(text, &at, &nanos) || !parse_offset(text, &at, &offset) || at != text.n)
        return filter_fail(FILTER_E_CONVERSION);
    return filter_time(filter_days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset, nanos);
}

/* The unit at *at, in nanoseconds; 0 if there is none. */
static int64_t parse_unit(struct td_slice text, size_t *at)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {/* longer ones before those that they begin with */
                 {"ns", 1},
                 {"us", NS_PER_US},
                 {"\xc2\xb5s", NS_PER_US}, /* micro sign */
                 {"\xce\xbcs", NS_PER_US}, /* Greek mu */
                 {"ms", NS_PER_MS},
                 {"s", NS_PER_S},
                 {"m", INT64_C(60) * NS_PER_S},
                 {"h", INT64_C(3600) * NS_PER_S}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (td_starts(td_sub(text, *at, text.n), td_str(units[i].name))) {
            *at += strlen(units[i].name);
            return units[i].ns;
        }
    }
    return 0;
}

/* Digits at *at as a number; false on overflow. */
static bool parse_digits(struct td_slice text, size_t *at, uint64_t *ret)
{
    for (*ret = 0; *at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9'; ++*at)
        if (__builtin_mul_overflow(*ret, 10u, ret) || __builtin_add_overflow(*ret, (uint64_t)(text.p[*at] - '0'), ret))
            return false;
    return true;
}

/* One "3.5s": adds it up. A fraction counts to the nanosecond. */
static bool parse_part(struct td_slice text, size_t *at, uint64_t *total)
{
    uint64_t whole;
    size_t start = *at, digit_n;
    if (!parse_digits(text, at, &whole))
        return false;
    digit_n = *at - start;
    size_t point = *at;
    if (literal(text, at, '.'))
        while (*at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9')
            ++*at, digit_n++;
    struct td_slice fraction = td_sub(text, point + 1, *at);
    int64_t unit = parse_unit(text, at);
    if (!digit_n || !unit || __builtin_mul_overflow(whole, (uint64_t)unit, &whole))
        return false;
    unsigned __int128 scaled = 0, scale = 1;
    for (size_t i = 0; i < fraction.n && i < 20; i++, scale *= 10) /* an hour in nanoseconds has 13 digits */
        scaled = scaled * 10 + fraction.p[i] - '0';
    whole += (uint64_t)(scaled * (uint64_t)unit / scale); /* less than a unit */
    return !__builtin_add_overflow(*total, whole, total) && *total <= (uint64_t)INT64_MAX + 1;
}

struct filter_value filter_duration_parse(struct td_slice text)
{
    size_t at = 0;
    bool negative = literal(text, &at, '-');
    if (!negative)
        (void)literal(text, &at, '+');
    uint64_t total = 0;
    if (at + 1 == text.n && text.p[at] == '0') /* the one text without a unit */
        return filter_duration(0);
    if (at == text.n)
        return filter_fail(FILTER_E_CONVERSION);
    while (at < text.n)
        if (!parse_part(text, &at, &total))
            return filter_fail(FILTER_E_CONVERSION);
    if (!negative && total > INT64_MAX)
        return filter_fail(FILTER_E_CONVERSION);
    return filter_duration(negative ? (int64_t)(0 - total) : (int64_t)total);
}

static void put_padded(struct filter_text *t, int64_t value, int width)
{
    char text[8];
    for (int i = width; i-- > 0; value /= 10)
        text[i] = (char)('0' + value % 10);
    filter_text_put(t, td_bytes(text, (size_t)width));
}

/* ".5": nothing for 0, and no zeros at the end. */
static void put_fraction(struct filter_text *t, uint32_t nanos)
{
    char text[10] = ".";
    size_t n = 10;
    for (size_t i = 9; i > 0; i--, nanos /= 10)
        text[i] = (char)('0' + nanos % 10);
    while (n > 1 && text[n - 1] == '0')
        n--;
    if (n > 1)
        filter_text_put(t, td_bytes(text, n));
}

void filter_time_put(struct filter_text *t, const struct filter_value *timestamp)
{
    struct filter_date d = filter_date(timestamp->i);
    put_padded(t, d.year, 4);
    filter_text_putc(t, '-');
    put_padded(t, d.month, 2);
    filter_text_putc(t, '-');
    put_padded(t, d.day, 2);
    filter_text_putc(t, 'T');
    put_padded(t, d.second_of_day / 3600, 2);
    filter_text_putc(t, ':');
    put_padded(t, d.second_of_day / 60 % 60, 2);
    filter_text_putc(t, ':');
    put_padded(t, d.second_of_day % 60, 2);
    put_fraction(t, timestamp->nanos);
    filter_text_putc(t, 'Z');
}

void filter_duration_put(struct filter_text *t, int64_t ns)
{
    uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        filter_text_putc(t, '-');
    filter_text_u64(t, size / NS_PER_S);
    put_fraction(t, (uint32_t)(size % NS_PER_S));
    filter_text_putc(t, 's');
}
