/* Timestamps, durations and time zones: as values, as text, in the calendar. */
#include "filter/time.h"

#include <stdlib.h>

#include "evaluate.h"
#include "filter/zone.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))
#define OVERFLOWS "error: the result is out of its type's range"
#define CONVERSION "error: the value cannot be converted to this type"
#define ARGUMENT "error: an argument is out of its range"

static const struct expectation timestamps[] = {
    {"timestamp('1970-01-01T00:00:00Z')", "1970-01-01T00:00:00Z"},
    {"timestamp('2024-02-29T12:34:56.000000001Z')", "2024-02-29T12:34:56.000000001Z"},
    {"timestamp('2024-02-29T12:34:56.1234567899Z')", "2024-02-29T12:34:56.123456789Z"},
    {"timestamp('2000-03-01T00:30:00+05:45')", "2000-02-29T18:45:00Z"},
    {"timestamp('0001-01-01T00:00:00Z')", "0001-01-01T00:00:00Z"},
    {"timestamp('9999-12-31T23:59:59.999999999Z')", "9999-12-31T23:59:59.999999999Z"},
    {"timestamp('0001-01-01T00:00:00+00:01')", OVERFLOWS},
    {"timestamp('9999-12-31T23:59:59-00:01')", OVERFLOWS},
    {"timestamp('2023-02-29T00:00:00Z')", CONVERSION},
    {"timestamp('1900-02-29T00:00:00Z')", CONVERSION},
    {"timestamp('2024-13-01T00:00:00Z')", CONVERSION},
    {"timestamp('2024-00-01T00:00:00Z')", CONVERSION},
    {"timestamp('2024-01-01T24:00:00Z')", CONVERSION},
    {"timestamp('2024-01-01T00:60:00Z')", CONVERSION},
    {"timestamp('2024-01-01T00:00:60Z')", CONVERSION},
    {"timestamp('2024-01-01T00:00:00')", CONVERSION},
    {"timestamp('2024-01-01 00:00:00Z')", CONVERSION},
    {"timestamp('2024-01-01T00:00:00.Z')", CONVERSION},
    {"timestamp('2024-01-01T00:00:00+24:00')", CONVERSION},
    {"timestamp('2024-01-01T00:00:00Zx')", CONVERSION},
    {"timestamp('2024-1-1T00:00:00Z')", CONVERSION},
    {"timestamp('')", CONVERSION},
    {"timestamp(1)", "1970-01-01T00:00:01Z"},
    {"timestamp(-1)", "1969-12-31T23:59:59Z"},
    {"timestamp(253402300800)", OVERFLOWS},
    {"string(timestamp('2024-05-06T07:08:09.10Z'))", "\"2024-05-06T07:08:09.1Z\""},
    {"now()", "1970-01-01T00:00:01.767323045Z"},
};

static const struct expectation durations[] = {
    {"duration('1h2m3.5s')", "3723.5s"},
    {"duration('-1.5ms')", "-0.0015s"},
    {"duration('+3us') + duration('4\xc2\xb5s') + duration('5\xce\xbcs') + duration('6ns')", "0.000012006s"},
    {"duration('.5s') + duration('1.s')", "1.5s"},
    {"duration('0')", "0s"},
    {"duration('-0')", "0s"},
    {"duration('1.0000000001h')", "3600.00000036s"},
    {"duration('0.3ns')", "0s"},
    {"duration('9223372036.854775807s')", "9223372036.854775807s"},
    {"duration('-9223372036.854775808s')", "-9223372036.854775808s"},
    {"duration('9223372036.854775808s')", CONVERSION},
    {"duration('9999999999999999999999s')", CONVERSION},
    {"duration('3000000h')", CONVERSION},
    {"duration('')", CONVERSION},
    {"duration('-')", CONVERSION},
    {"duration('1')", CONVERSION},
    {"duration('.s')", CONVERSION},
    {"duration('s')", CONVERSION},
    {"duration('1d')", CONVERSION},
    {"duration('1h-2m')", CONVERSION},
    {"duration('1 h')", CONVERSION},
    {"string(duration('90m'))", "\"5400s\""},
    {"duration('1h30m59s').getHours() + duration('1h30m59s').getMinutes()", "91"},
    {"duration('-1h30m').getHours() * 1000 + duration('-1h30m').getMinutes()", "-1090"},
    {"duration('90.789s').getSeconds() * 1000 + duration('90.789s').getMilliseconds()", "90789"},
};

static const struct expectation arithmetic[] = {
    {"timestamp('2024-03-01T00:00:00Z') - duration('1ns')", "2024-02-29T23:59:59.999999999Z"},
    {"duration('36h') + timestamp('2023-12-31T12:00:00Z')", "2024-01-02T00:00:00Z"},
    {"timestamp('2024-01-01T00:00:00Z') + duration('-0.5s')", "2023-12-31T23:59:59.5Z"},
    {"timestamp(9223372036) - duration('-9223372036.854775808s')", "2554-07-21T23:34:32.854775808Z"},
    {"timestamp('2024-01-01T00:00:01.25Z') - timestamp('2024-01-01T00:00:00.5Z')", "0.75s"},
    {"timestamp('2300-01-01T00:00:00Z') - timestamp('2000-01-01T00:00:00Z')", OVERFLOWS},
    {"timestamp(0) - timestamp(9223372036) - duration('0.854775808s')", "-9223372036.854775808s"},
    {"timestamp(-9223372037) + duration('145224192ns') - timestamp(0)", "-9223372036.854775808s"},
    {"timestamp('9999-12-31T23:59:59.9Z') + duration('100ms')", OVERFLOWS},
    {"timestamp('0001-01-01T00:00:00Z') - duration('1ns')", OVERFLOWS},
    {"duration('200000h') * 2", "error: the operation does not exist for values of these types"},
    {"duration('9000000000s') + duration('9000000000s')", OVERFLOWS},
    {"duration('-9000000000s') - duration('9000000000s')", OVERFLOWS},
    {"timestamp(1) < timestamp(1) + duration('1ns') && timestamp(-1) < timestamp(0)", "true"},
    {"duration('-1s') < duration('0') && duration('60s') == duration('1m')", "true"},
    {"timestamp(0) + timestamp(0)", "error: the operation does not exist for values of these types"},
};

static const struct expectation calendar[] = {
    {"timestamp('2024-12-31T23:59:58.987Z').getFullYear()", "2024"}, {"timestamp('2024-12-31T23:59:58.987Z').getMonth()", "11"},
    {"timestamp('2024-12-31T23:59:58.987Z').getDate()", "31"},       {"timestamp('2024-12-31T23:59:58.987Z').getDayOfMonth()", "30"},
    {"timestamp('2024-12-31T23:59:58.987Z').getDayOfWeek()", "2"},   {"timestamp('2024-12-31T23:59:58.987Z').getDayOfYear()", "365"},
    {"timestamp('2024-12-31T23:59:58.987Z').getHours()", "23"},      {"timestamp('2024-12-31T23:59:58.987Z').getMinutes()", "59"},
    {"timestamp('2024-12-31T23:59:58.987Z').getSeconds()", "58"},    {"timestamp('2024-12-31T23:59:58.987Z').getMilliseconds()", "987"},
    {"timestamp('0001-01-01T00:00:00Z').getDayOfWeek()", "1"},       {"timestamp('1969-12-31T23:59:59.001Z').getMilliseconds()", "1"},
    {"timestamp('1969-12-28T12:00:00Z').getDayOfWeek()", "0"},
};

static const struct expectation in_zones[] = {
    {"timestamp('2024-12-31T23:30:00Z').getFullYear('+00:30')", "2025"},
    {"timestamp('2025-01-01T00:15:00Z').getDayOfYear('-00:30')", "365"},
    {"timestamp('2025-01-01T00:15:00Z').getHours('14:00')", "14"},
    {"timestamp('2024-07-01T12:00:00Z').getHours('Europe/Berlin')", "14"},
    {"timestamp('2024-01-01T12:00:00Z').getHours('Europe/Berlin')", "13"},
    {"timestamp('2024-03-31T00:59:59Z').getHours('Europe/Berlin')", "1"},
    {"timestamp('2024-03-31T01:00:00Z').getHours('Europe/Berlin')", "3"},
    {"timestamp('2024-07-01T12:00:00Z').getMinutes('Asia/Kolkata')", "30"},
    {"timestamp('2024-07-01T00:00:00Z').getDate('America/New_York')", "30"},
    {"timestamp('2500-07-01T12:00:00Z').getHours('America/New_York')", "8"},
    {"timestamp('2500-01-01T12:00:00Z').getHours('America/New_York')", "7"},
    {"timestamp('2500-01-01T12:00:00Z').getHours('Australia/Sydney')", "23"},
    {"timestamp('2500-07-01T12:00:00Z').getHours('Australia/Sydney')", "22"},
    {"timestamp('1800-01-01T00:00:00Z').getMinutes('Europe/Paris')", "9"},
    {"timestamp('2024-01-01T12:00:00Z').getMonth('UTC') + timestamp('2024-01-01T12:00:00Z').getSeconds('')", "0"},
    {"timestamp(0).getDayOfWeek('Asia/Tokyo') + timestamp(0).getDayOfMonth('Asia/Tokyo')", "4"},
    {"timestamp('2024-01-01T00:00:00.5Z').getMilliseconds('Asia/Tokyo')", "500"},
    {"timestamp(0).getHours('Nowhere/Land')", ARGUMENT},
    {"timestamp(0).getHours('../../../etc/passwd')", ARGUMENT},
    {"timestamp(0).getHours('/etc/localtime')", ARGUMENT},
    {"timestamp(0).getHours('Europe//Berlin')", ARGUMENT},
    {"timestamp(0).getHours('Europe')", ARGUMENT},
    {"timestamp(0).getHours('tzdata.zi')", ARGUMENT},
    {"timestamp(0).getHours('zone1970')", ARGUMENT},
    {"timestamp(0).getHours('right/UTC')", ARGUMENT},
    {"timestamp(0).getHours('+24:00')", ARGUMENT},
    {"timestamp(0).getHours('+2:60')", ARGUMENT},
    {"timestamp(0).getHours('+2:5')", ARGUMENT},
    {"timestamp(0).getMilliseconds('Nowhere')", ARGUMENT},
};

/* Day by day over eight centuries, against counting. */
static void test_calendar(void)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = filter_days(1600, 1, 1), wrong = 0, weekday = 6; /* a Saturday */
    for (int64_t year = 1600; year < 2400; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        int32_t of_year = 0;
        for (int32_t month = 1; month <= 12; month++) {
            for (int32_t d = 1; d <= lengths[month - 1] + (leap && month == 2); d++, day++, of_year++, weekday = (weekday + 1) % 7) {
                struct filter_date got = filter_date(day * 86400 + 86399);
                wrong += got.year != year || got.month != month || got.day != d || got.day_of_year != of_year ||
                         got.day_of_week != weekday || got.second_of_day != 86399 || filter_days(year, month, d) != day;
            }
        }
    }
    is_int(wrong, 0, "each day from 1600 to 2399 has its date");
}

/* A file of version 2 with no 32-bit data, `transitions` 64-bit times, two types and a rule. */
static size_t make_file(uint8_t *out, const char *footer, uint32_t transitions)
{
    uint8_t *p = out;
    for (int block = 0; block < 2; block++) {
        uint8_t header[44] = "TZif2";
        header[35] = block ? (uint8_t)transitions : 0; /* times */
        header[39] = block ? 2 : 1;                    /* types */
        header[43] = 1;                                /* bytes of names */
        memcpy(p, header, sizeof header);
        p += sizeof header;
        for (uint32_t i = 0; block && i < transitions; i++, p += 8) {
            memset(p, 0, 8);
            p[6] = (uint8_t)(i + 1); /* 256, 512 ... */
        }
        for (uint32_t i = 0; block && i < transitions; i++)
            *p++ = (uint8_t)(1 - i % 2);
        for (int type = 0; type < (block ? 2 : 1); type++, p += 6) {
            memset(p, 0, 6);
            p[2] = type ? 0x0e : 0; /* 3600 */
            p[3] = type ? 0x10 : 0;
        }
        *p++ = 0;
    }
    *p++ = '\n';
    memcpy(p, footer, strlen(footer));
    p += strlen(footer);
    *p++ = '\n';
    return (size_t)(p - out);
}

static int64_t offset_at(const char *footer, int64_t seconds)
{
    uint8_t file[512];
    struct filter_zone *zone = NULL;
    size_t n = make_file(file, footer, 3);
    if (filter_zone_parse(td_bytes(file, n), &zone, NULL) != TD_OK)
        return -1;
    int32_t offset = filter_zone_offset(zone, seconds);
    filter_zone_free(zone);
    return offset;
}

static void test_zone_files(void)
{
    is_int(offset_at("", 255), 0, "before the first transition: the first type");
    is_int(offset_at("", 256), 3600, "at the first one");
    is_int(offset_at("", 767), 0, "before the third");
    is_int(offset_at("", 1 << 20), 3600, "without a rule the last type holds on");
    int64_t july = filter_days(2030, 7, 1) * 86400, january = filter_days(2030, 1, 1) * 86400;
    is_int(offset_at("AAA5", july), -18000, "a rule without daylight saving");
    is_int(offset_at("<+0330>-3:30", july), 12600, "a name in brackets");
    is_int(offset_at("AAA-1BBB,M3.5.0,M10.5.0/3", july), 7200, "daylight saving in the north");
    is_int(offset_at("AAA-1BBB,M3.5.0,M10.5.0/3", january), 3600, "and its end");
    is_int(offset_at("AAA-10BBB,M10.1.0,M4.1.0/3", january), 39600, "daylight saving in the south");
    is_int(offset_at("AAA3BBB2:30,J60/0,J300/0", july), -9000, "days without February 29th; an offset of its own");
    int64_t march = filter_days(2028, 3, 1) * 86400;
    is_int(offset_at("AAA0BBB,J60/0,J300/0", march), 3600, "day 60 is March 1st in a leap year");
    is_int(offset_at("AAA0BBB,J60/0,J300/0", march - 1), 0, "and not February 29th");
    int64_t sunday = filter_days(2030, 10, 27) * 86400; /* the fourth and last one */
    is_int(offset_at("AAA-1BBB,M3.5.0,M10.5.0/3", sunday + 3599), 7200, "until the last Sunday");
    is_int(offset_at("AAA-1BBB,M3.5.0,M10.5.0/3", sunday + 3600), 3600, "at three in the morning");
    is_int(offset_at("AAA0BBB,59/0,300/0", march - 1), 3600, "day 59 is February 29th in a leap year");
    is_int(offset_at("AAA0BBB,59/-1,300/0", march - 86400 - 3600), 3600, "an hour before midnight");
    is_int(offset_at("AAA0BBB,59/-1,300/0", march - 86400 - 3601), 0, "and not sooner");
    static const char *const bad[] = {
        "A:A", "AAA", "AAA5BBB", "AAA5BBB,M1.1", "AAA5BBB,M13.1.0,M1.1.0", "AAA5BBB,J0,J1", "AAA999", "AAA5BBB,M1.1.0,M2.1.0x", "<AAA5"};
    for (size_t i = 0; i < COUNT(bad); i++)
        is_int(offset_at(bad[i], 0), -1, "a bad rule is refused: %s", bad[i]);
}

/* Each byte wrong, each length short: refused or read, without harm. */
static void test_broken_files(void)
{
    uint8_t file[512];
    size_t n = make_file(file, "AAA-1BBB,M3.5.0,M10.5.0/3", 3), short_n = 0;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut + 1);
        struct filter_zone *zone = NULL;
        memcpy(copy, file, cut);
        short_n += filter_zone_parse(td_bytes(copy, cut), &zone, NULL) == TD_OK;
        filter_zone_free(zone);
        free(copy);
    }
    is_int(short_n, 0, "no file that was cut short is taken");
    size_t read_n = 0;
    for (size_t i = 0; i < 256 * n; i++) {
        uint8_t before = file[i / 256];
        struct filter_zone *zone = NULL;
        file[i / 256] = (uint8_t)i;
        if (filter_zone_parse(td_bytes(file, n), &zone, NULL) == TD_OK && ++read_n)
            (void)filter_zone_offset(zone, 1 << 30);
        filter_zone_free(zone);
        file[i / 256] = before;
    }
    ok(read_n > n, "any byte may be anything");
}

/* Captures may hold any times: also those that no whole second fits under. */
static void test_nanoseconds(void)
{
    static const struct {
        int64_t ns, seconds;
        uint32_t nanos;
    } times[] = {
        {0, 0, 0}, {-1, -1, 999999999}, {-1000000000, -1, 0}, {INT64_MIN, -9223372037, 145224192}, {INT64_MAX, 9223372036, 854775807}};
    for (size_t i = 0; i < COUNT(times); i++) {
        struct filter_value v = filter_time_ns(times[i].ns);
        is_int(v.kind, FILTER_TIMESTAMP, "%lld ns are a time", (long long)times[i].ns);
        is_int(v.i, times[i].seconds, "%lld ns: seconds", (long long)times[i].ns);
        is_int(v.nanos, times[i].nanos, "%lld ns: the rest", (long long)times[i].ns);
        v = filter_time_add(&v, INT64_MIN);
        ok(v.kind == FILTER_TIMESTAMP && v.nanos < 1000000000, "%lld ns and the longest duration", (long long)times[i].ns);
    }
}

int main(void)
{
    test_nanoseconds();
    evaluate_all(timestamps, COUNT(timestamps));
    evaluate_all(durations, COUNT(durations));
    evaluate_all(arithmetic, COUNT(arithmetic));
    evaluate_all(calendar, COUNT(calendar));
    evaluate_all(in_zones, COUNT(in_zones));
    test_calendar();
    test_zone_files();
    test_broken_files();
    evaluate_end();
    return tap_done();
}
