#include "base/units.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tap.h"

#define S ((int64_t)NS_PER_S)
#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"4096", 4096},
        {"1k", 1000},
        {"2M", 2000000},
        {"3G", 3000000000},
        {"4T", 4000000000000},
        {"5P", 5000000000000000},
        {"1Ki", 1024},
        {"64Mi", 64 << 20},
        {"1Gi", 1 << 30},
        {"1Ti", 1ull << 40},
        {"2Pi", 2ull << 50},
        {"1.5Gi", 1610612736},
        {"0.5k", 500},
        {"1.0625Ki", 1088},
        {"18446744073709551615", UINT64_MAX},
        {"0.0000000019G", 1},
        {"16383.999Pi", 18446742947809644773u},
        {"007", 7},
    };
    static const char *const bad[] = {"",
                                      "k",
                                      " 1",
                                      "1 ",
                                      "1 k",
                                      "-1",
                                      "+1",
                                      "1K",
                                      "1ki",
                                      "1KiB",
                                      "1kB",
                                      "1m",
                                      "1.",
                                      ".5",
                                      "1.k",
                                      "1,5k",
                                      "0x10",
                                      "1e3",
                                      "18446744073709551616",
                                      "16384Pi",
                                      "18446744073709552k",
                                      "99999999999999999999999"};
    uint64_t bytes;
    for (size_t i = 0; i < COUNT(good); i++) {
        bytes = 77;
        ok(units_parse_size(good[i].text, &bytes), "%s is a size", good[i].text);
        is_int(bytes, good[i].bytes, "%s in bytes", good[i].text);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        ok(!units_parse_size(bad[i], &bytes), "\"%s\" is no size", bad[i]);
}

static void test_durations(void)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"7ns", 7},
        {"2us", 2000},
        {"2µs", 2000},
        {"3ms", 3000000},
        {"4s", 4 * S},
        {"5m", 300 * S},
        {"6h", 21600 * S},
        {"7d", 7 * 86400 * S},
        {"1h30m", 5400 * S},
        {"1d2h3m4s5ms6us7ns", (86400 + 7384) * S + 5006007},
        {"0.5s", S / 2},
        {"1.000000001s", S + 1},
        {"1.0000000019s", S + 1},
        {"0.25m", 15 * S},
        {"30m1h", 5400 * S},
        {"9223372036854775807ns", INT64_MAX},
    };
    static const char *const bad[] = {"",
                                      "1",
                                      "00",
                                      "s",
                                      "-1s",
                                      "1 s",
                                      "1s ",
                                      "1S",
                                      "1w",
                                      "1y",
                                      "1min",
                                      "1h30",
                                      "1.s",
                                      ".5s",
                                      "1..5s",
                                      "1h-30m",
                                      "9223372036854775808ns",
                                      "9223372037s",
                                      "106752d",
                                      "106751d24h",
                                      "18446744073709551616ns"};
    int64_t ns;
    for (size_t i = 0; i < COUNT(good); i++) {
        ns = 77;
        ok(units_parse_duration(good[i].text, &ns), "%s is a duration", good[i].text);
        is_int(ns, good[i].ns, "%s in ns", good[i].text);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        ok(!units_parse_duration(bad[i], &ns), "\"%s\" is no duration", bad[i]);
}

static void test_times(void)
{
    const int64_t now = 1700000000 * S;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"now", 1700000000 * S},
        {"now-0", 1700000000 * S},
        {"now-1h", 1699996400 * S},
        {"now-1h30m", 1699994600 * S},
        {"0", 0},
        {"1700000000", 1700000000 * S},
        {"1700000000.25", 1700000000 * S + S / 4},
        {"9223372036.854775807", INT64_MAX},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01 00:00:00Z", 0},
        {"1970-01-01t00:00z", 0},
        {"1970-01-01T02:00:00+02:00", 0},
        {"1969-12-31T19:30:00-04:30", 0},
        {"1969-12-31T23:59:59Z", -S},
        {"1969-12-31T23:59:59.5Z", -S / 2},
        {"1900-01-01T00:00:00Z", -2208988800 * S},
        {"2024-02-29T12:00:00Z", 1709208000 * S},
        {"2000-02-29T00:00:00Z", 951782400 * S},
        {"2000-03-01T00:00:00Z", 951868800 * S},
        {"2100-03-01T00:00:00Z", 4107542400 * S},
        {"2100-02-28T23:59:59Z", 4107542399 * S},
        {"2016-12-31T23:59:60Z", 1483228800 * S},
        {"2026-01-02T03:04:05.000000006Z", 1767323045 * S + 6},
        {"2026-01-02T03:04:05.1234567899Z", 1767323045 * S + 123456789},
        {"2026-01-02T03:04:05.6+00:00", 1767323045 * S + 600000000},
        {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
        /* In the zone of this test, an hour east of Greenwich, two in summer. */
        {"2026-01-02T03:04:05", (1767323045 - 3600) * S},
        {"2026-01-02 03:04", (1767323040 - 3600) * S},
        {"2026-01-02", (1767312000 - 3600) * S},
        {"2026-07-01", (1782864000 - 7200) * S},
        {"2026-01-02T03:04:05.5", (1767323045 - 3600) * S + S / 2},
        {"1970-01-01T00:59:59", -S},
    };
    static const char *const bad[] = {"",
                                      "nowhere",
                                      "now-",
                                      "now+1h",
                                      "now-1",
                                      "now -1h",
                                      "NOW",
                                      "-5",
                                      "1700000000 ",
                                      "1.",
                                      "9223372036.854775808",
                                      "18446744074",
                                      "2026-01",
                                      "2026-1-2",
                                      "2026-13-01",
                                      "2026-00-10",
                                      "2026-01-00",
                                      "2026-01-32",
                                      "2026-02-29",
                                      "2026-04-31",
                                      "2100-02-29T00:00:00Z",
                                      "1900-02-29",
                                      "2026-01-02T",
                                      "2026-01-02T24:00:00Z",
                                      "2026-01-02T03",
                                      "2026-01-02T03:60Z",
                                      "2026-01-02T03:04:61Z",
                                      "2026-01-02T03:04.5Z",
                                      "2026-01-02T03:04:05.",
                                      "2026-01-02T03:04:05.Z",
                                      "2026-01-02T03:04:05Zulu",
                                      "2026-01-02T03:04:05+2",
                                      "2026-01-02T03:04:05+02",
                                      "2026-01-02T03:04:05+24:00",
                                      "2026-01-02T03:04:05+0200",
                                      "2026-01-02T03:04:05 Z",
                                      "2026/01/02",
                                      "9999-12-31T00:00:00Z",
                                      "1600-01-01T00:00:00Z",
                                      "2262-04-11T23:47:16.854775808Z",
                                      "02026-01-02"};
    int64_t ns;
    for (size_t i = 0; i < COUNT(good); i++) {
        ns = 77;
        ok(units_parse_time(good[i].text, now, &ns), "%s is a time", good[i].text);
        is_int(ns, good[i].ns, "%s in ns since 1970", good[i].text);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        ok(!units_parse_time(bad[i], now, &ns), "\"%s\" is no time", bad[i]);
    ok(!units_parse_time("now-106751d", INT64_MIN + 1, &ns), "before the beginning of time");
}

/* Every day from 1678 to 2261, there and back, with the C library as the judge. */
static void test_calendar(void)
{
    int wrong = 0;
    for (int64_t day = -106650; day < 106650 && wrong < 5; day++) {
        int64_t want = day * 86400 * S + day % 1000, got = 0;
        char text[UNITS_TEXT], libc[UNITS_TEXT];
        time_t seconds = (time_t)(day * 86400 - (day % 1000 < 0));
        struct tm tm;
        size_t n = units_format_time(want, text);
        gmtime_r(&seconds, &tm);
        strftime(libc, sizeof(libc), "%Y-%m-%dT%H:%M:%S.", &tm);
        if (n != 30 || strncmp(text, libc, 20) != 0 || !units_parse_time(text, 0, &got) || got != want) {
            tap_diag("%s, want %s...; back: %lld, want %lld", text, libc, (long long)got, (long long)want);
            wrong++;
        }
    }
    is_int(wrong, 0, "every day of five centuries, there and back");
}

static void test_formats(void)
{
    char text[UNITS_TEXT];
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1 KiB"},
                 {1536, "1.5 KiB"},
                 {10240, "10 KiB"},
                 {(1 << 20) - 1, "1 MiB"},
                 {1 << 20, "1 MiB"},
                 {10ull << 30, "10 GiB"},
                 {1ull << 40, "1 TiB"},
                 {1ull << 50, "1 PiB"},
                 {UINT64_MAX, "16 EiB"},
                 {1047552, "1023 KiB"}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        is_str(units_format_size(sizes[i].bytes, text), sizes[i].text, "%llu bytes", (unsigned long long)sizes[i].bytes);

    static const struct {
        int64_t ns;
        const char *text;
    } durations[] = {{0, "0"},
                     {1, "1ns"},
                     {850, "850ns"},
                     {999, "999ns"},
                     {1000, "1us"},
                     {1234, "1.23us"},
                     {1200000, "1.2ms"},
                     {12345678, "12.3ms"},
                     {123456789, "123ms"},
                     {999400, "999us"},
                     {999600, "1ms"},
                     {999999, "1ms"},
                     {999999999, "1s"},
                     {1005000000, "1s"},
                     {3400000000, "3.4s"},
                     {59900000000, "59.9s"},
                     {59990000000, "1m0s"},
                     {60000000000, "1m0s"},
                     {125999999999, "2m5s"},
                     {3599 * S, "59m59s"},
                     {3600 * S, "1h0m"},
                     {90000 * S, "25h0m"},
                     {-1500, "-1.5us"},
                     {INT64_MIN, "-2562047h47m"},
                     {INT64_MAX, "2562047h47m"}};
    for (size_t i = 0; i < COUNT(durations); i++)
        is_str(units_format_duration(durations[i].ns, text), durations[i].text, "%lld ns", (long long)durations[i].ns);

    static const struct {
        int64_t ns;
        const char *text;
    } times[] = {{0, "1970-01-01T00:00:00.000000000Z"},
                 {-1, "1969-12-31T23:59:59.999999999Z"},
                 {951782400 * S, "2000-02-29T00:00:00.000000000Z"},
                 {1767323045 * S + 6789, "2026-01-02T03:04:05.000006789Z"},
                 {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
                 {INT64_MIN, "1677-09-21T00:12:43.145224192Z"}};
    for (size_t i = 0; i < COUNT(times); i++) {
        is_int(units_format_time(times[i].ns, text), 30, "%lld has 30 characters", (long long)times[i].ns);
        is_str(text, times[i].text, "%lld as a time", (long long)times[i].ns);
    }
}

int main(void)
{
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    test_sizes();
    test_durations();
    test_times();
    test_calendar();
    test_formats();
    return tap_done();
}
