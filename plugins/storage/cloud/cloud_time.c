/* Times, as clouds write them. */
#include "cloud_http.h"

#include <time.h>

int64_t cloud_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Exactly `n` digits; advances. */
static bool take_number(const char **at, int n, int *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *ret = *ret * 10 + (**at - '0');
    }
    return true;
}

static bool take(const char **at, const char *text)
{
    size_t n = strlen(text);
    if (strncmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

static bool take_clock(const char **at, struct tm *t)
{
    return take_number(at, 2, &t->tm_hour) && take(at, ":") && take_number(at, 2, &t->tm_min) && take(at, ":") &&
           take_number(at, 2, &t->tm_sec) && t->tm_hour < 24 && t->tm_min < 60 && t->tm_sec <= 60;
}

/* A date that exists, to nanoseconds. `t` has its month from 1 and its whole year. */
static bool to_ns(struct tm *t, int64_t fraction_ns, int64_t *ret_ns)
{
    struct tm seen = *t;
    seen.tm_mon -= 1;
    seen.tm_year -= 1900;
    int day = seen.tm_mday, month = seen.tm_mon, second = seen.tm_sec;
    if (t->tm_year < 1970 || t->tm_year > 2261)
        return false;
    seen.tm_sec = second == 60 ? 59 : second; /* a leap second has no number of its own */
    time_t s = timegm(&seen);
    if (seen.tm_mday != day || seen.tm_mon != month)
        return false;
    *ret_ns = ((int64_t)s + (second == 60)) * 1000000000 + fraction_ns;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
bool cloud_read_http_date(const char *text, int64_t *ret_ns)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec", days[] = "SunMonTueWedThuFriSat";
    struct tm t = {0};
    bool is_day = false;
    if (strnlen(text, 30) != 29)
        return false;
    for (int i = 0; i < 7; i++)
        is_day = is_day || strncmp(text, days + 3 * i, 3) == 0;
    for (int i = 0; i < 12; i++)
        if (strncmp(text + 8, months + 3 * i, 3) == 0)
            t.tm_mon = i + 1;
    const char *at = text + 3, *year = text + 12;
    if (!is_day || !t.tm_mon || !take(&at, ", ") || !take_number(&at, 2, &t.tm_mday) || *at != ' ' || text[11] != ' ')
        return false;
    return take_number(&year, 4, &t.tm_year) && take(&year, " ") && take_clock(&year, &t) && strcmp(year, " GMT") == 0 &&
           to_ns(&t, 0, ret_ns);
}

bool cloud_read_iso8601(const char *text, int64_t *ret_ns)
{
    struct tm t = {0};
    int64_t fraction = 0;
    const char *at = text;
    if (!take_number(&at, 4, &t.tm_year) || !take(&at, "-") || !take_number(&at, 2, &t.tm_mon) || !take(&at, "-") ||
        !take_number(&at, 2, &t.tm_mday) || !take(&at, "T") || !take_clock(&at, &t))
        return false;
    if (take(&at, ".")) {
        int64_t unit = 100000000;
        if (*at < '0' || *at > '9')
            return false;
        for (; *at >= '0' && *at <= '9'; at++, unit /= 10)
            fraction += unit * (*at - '0');
    }
    return strcmp(at, "Z") == 0 && to_ns(&t, fraction, ret_ns);
}
