#include "units.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Reads ".45" as a fraction in units of 10^-9; returns what follows, or NULL. Digits beyond the ninth are dropped. */
static const char *parse_fraction(const char *s, uint32_t *nano)
{
    uint32_t place = 100000000;
    *nano = 0;
    if (*++s < '0' || *s > '9')
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++, place /= 10)
        *nano += place * (uint32_t)(*s - '0');
    return s;
}

/* Reads "123" or "123.45" as whole and a fraction in units of 10^-9; returns what follows, or NULL. */
static const char *parse_decimal(const char *s, uint64_t *whole, uint32_t *nano)
{
    uint64_t value = 0;
    if (*s < '0' || *s > '9')
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
            return NULL;
    *whole = value;
    *nano = 0;
    return *s == '.' ? parse_fraction(s, nano) : s;
}

/* whole.nano * unit, or false when it overflows 64 bits. */
static bool scale(uint64_t whole, uint32_t nano, uint64_t unit, uint64_t *ret)
{
    uint64_t value;
    if (__builtin_mul_overflow(whole, unit, &value))
        return false;
    unsigned __int128 part = (unsigned __int128)nano * unit / 1000000000u;
    return !__builtin_add_overflow(value, (uint64_t)part, ret);
}

bool units_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *suffix;
        uint64_t unit;
    } units[] = {
        {"", 1},
        {"k", 1000},
        {"M", 1000000},
        {"G", 1000000000},
        {"T", 1000000000000},
        {"P", 1000000000000000},
        {"Ki", 1ull << 10},
        {"Mi", 1ull << 20},
        {"Gi", 1ull << 30},
        {"Ti", 1ull << 40},
        {"Pi", 1ull << 50},
    };
    uint64_t whole;
    uint32_t nano;
    const char *suffix = parse_decimal(text, &whole, &nano);
    for (size_t i = 0; suffix && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(suffix, units[i].suffix) == 0)
            return scale(whole, nano, units[i].unit, ret_bytes);
    return false;
}

bool units_parse_duration(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *suffix;
        uint64_t ns;
    } units[] = {
        /* longer suffixes before their beginnings */
        {"ns", 1},       {"us", NS_PER_US},       {"µs", NS_PER_US},         {"ms", NS_PER_MS},
        {"s", NS_PER_S}, {"m", 60ull * NS_PER_S}, {"h", 3600ull * NS_PER_S}, {"d", 86400ull * NS_PER_S},
    };
    if (strcmp(text, "0") == 0) {
        *ret_ns = 0;
        return true;
    }
    uint64_t sum = 0;
    if (!*text)
        return false;
    while (*text) {
        uint64_t whole, part;
        uint32_t nano;
        const char *s = parse_decimal(text, &whole, &nano);
        size_t i = 0, n = sizeof(units) / sizeof(units[0]);
        while (s && i < n && strncmp(s, units[i].suffix, strlen(units[i].suffix)) != 0)
            i++;
        if (!s || i == n || !scale(whole, nano, units[i].ns, &part) || __builtin_add_overflow(sum, part, &sum))
            return false;
        text = s + strlen(units[i].suffix);
    }
    if (sum > INT64_MAX)
        return false;
    *ret_ns = (int64_t)sum;
    return true;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant's algorithm). */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

/* `n` digits as a number in [lo, hi]; advances *s. */
static bool parse_digits(const char **s, int n, unsigned lo, unsigned hi, unsigned *ret)
{
    unsigned v = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        v = v * 10 + (unsigned)(**s - '0');
    }
    *ret = v;
    return v >= lo && v <= hi;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (unsigned)(leap && month == 2);
}

static bool parse_rfc3339(const char *s, int64_t *ret_ns)
{
    unsigned year, month, day, hour = 0, minute = 0, second = 0;
    uint32_t nano = 0;
    if (!parse_digits(&s, 4, 0, 9999, &year) || *s++ != '-' || !parse_digits(&s, 2, 1, 12, &month) || *s++ != '-' ||
        !parse_digits(&s, 2, 1, 31, &day) || !is_date(year, month, day))
        return false;
    if (*s == 'T' || *s == 't' || *s == ' ') {
        s++;
        if (!parse_digits(&s, 2, 0, 23, &hour) || *s++ != ':' || !parse_digits(&s, 2, 0, 59, &minute))
            return false;
        if (*s == ':') {
            s++;
            if (!parse_digits(&s, 2, 0, 60, &second) || (*s == '.' && !(s = parse_fraction(s, &nano))))
                return false;
        }
    }
    int64_t seconds;
    if (!*s) { /* no zone: local time */
        struct tm tm = {.tm_year = (int)year - 1900,
                        .tm_mon = (int)month - 1,
                        .tm_mday = (int)day,
                        .tm_hour = (int)hour,
                        .tm_min = (int)minute,
                        .tm_sec = (int)second,
                        .tm_isdst = -1};
        seconds = mktime(&tm);
    } else {
        int64_t offset = 0;
        if (*s == '+' || *s == '-') {
            int sign = *s++ == '-' ? -1 : 1;
            unsigned oh, om;
            if (!parse_digits(&s, 2, 0, 23, &oh) || *s++ != ':' || !parse_digits(&s, 2, 0, 59, &om))
                return false;
            offset = sign * (int64_t)(oh * 3600 + om * 60);
        } else if (*s == 'Z' || *s == 'z') {
            s++;
        } else {
            return false;
        }
        if (*s)
            return false;
        seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    }
    return !__builtin_mul_overflow(seconds, (int64_t)NS_PER_S, ret_ns) && !__builtin_add_overflow(*ret_ns, (int64_t)nano, ret_ns);
}

bool units_parse_time(const char *text, int64_t now_ns, int64_t *ret_ns)
{
    if (strncmp(text, "now", 3) == 0) {
        int64_t back = 0;
        if (text[3] && (text[3] != '-' || !units_parse_duration(text + 4, &back)))
            return false;
        return !__builtin_sub_overflow(now_ns, back, ret_ns);
    }
    uint64_t whole, ns;
    uint32_t nano;
    const char *end = parse_decimal(text, &whole, &nano);
    if (end && !*end) {
        if (!scale(whole, nano, NS_PER_S, &ns) || ns > INT64_MAX)
            return false;
        *ret_ns = (int64_t)ns;
        return true;
    }
    int64_t value;
    if (!parse_rfc3339(text, &value))
        return false;
    *ret_ns = value;
    return true;
}

const char *units_format_size(uint64_t bytes, char out[UNITS_TEXT])
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(out, UNITS_TEXT, "%u B", (unsigned)bytes);
        return out;
    }
    double v = (double)bytes / 1024;
    size_t i = 0;
    while (v >= 1023.95 && i + 1 < sizeof(names) / sizeof(names[0])) {
        v /= 1024;
        i++;
    }
    v = round(v * 10) / 10;
    snprintf(out, UNITS_TEXT, v == floor(v) ? "%.0f %s" : "%.1f %s", v, names[i]);
    return out;
}

const char *units_format_duration(int64_t ns, char out[UNITS_TEXT])
{
    static const struct {
        double ns, end; /* from `end` on three digits would round to a whole one of the next unit */
        const char *name;
    } units[] = {{1, 999.5, "ns"}, {NS_PER_US, 999.5, "us"}, {NS_PER_MS, 999.5, "ms"}, {NS_PER_S, 59.95, "s"}};
    const char *sign = ns < 0 ? "-" : "";
    uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (v == 0) {
        snprintf(out, UNITS_TEXT, "0");
        return out;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        double scaled = (double)v / units[i].ns;
        if (scaled < units[i].end) {
            snprintf(out, UNITS_TEXT, "%s%.3g%s", sign, scaled, units[i].name);
            return out;
        }
    }
    uint64_t seconds = v < 60ull * NS_PER_S ? 60 : v / NS_PER_S;
    if (seconds < 3600)
        snprintf(out, UNITS_TEXT, "%s%um%us", sign, (unsigned)(seconds / 60), (unsigned)(seconds % 60));
    else
        snprintf(out, UNITS_TEXT, "%s%lluh%um", sign, (unsigned long long)(seconds / 3600), (unsigned)(seconds / 60 % 60));
    return out;
}

static char *put_digits(char *p, uint64_t v, int n)
{
    for (int i = n; i-- > 0; v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + n;
}

size_t units_format_time(int64_t ns, char out[UNITS_TEXT])
{
    int64_t seconds = ns / NS_PER_S, nano = ns % NS_PER_S;
    if (nano < 0) {
        nano += NS_PER_S;
        seconds--;
    }
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t year;
    unsigned month, day;
    civil_from_days(days, &year, &month, &day); /* 64 bits of nanoseconds stay within years 1677 to 2262 */
    char *p = put_digits(out, (uint64_t)year, 4);
    *p++ = '-';
    p = put_digits(p, month, 2);
    *p++ = '-';
    p = put_digits(p, day, 2);
    *p++ = 'T';
    p = put_digits(p, (uint64_t)rest / 3600, 2);
    *p++ = ':';
    p = put_digits(p, (uint64_t)rest / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, (uint64_t)rest % 60, 2);
    *p++ = '.';
    p = put_digits(p, (uint64_t)nano, 9);
    *p++ = 'Z';
    *p = 0;
    return (size_t)(p - out);
}
