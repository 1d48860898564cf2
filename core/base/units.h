/* Sizes, durations and times as people write them. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NS_PER_US = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

/* A size in bytes: digits, then nothing, k M G T P (powers of 1000) or Ki Mi Gi Ti Pi (powers of 1024); as
 * Kubernetes quantities. A fraction is allowed ("1.5Gi"). False on anything else, and on overflow. */
bool units_parse_size(const char *text, uint64_t *ret_bytes);

/* A duration: one or more of a number (fraction allowed) with ns us ms s m h d, "1h30m"; "0" stands alone. */
bool units_parse_duration(const char *text, int64_t *ret_ns);

/* A time: RFC 3339 with zone ("2026-01-02T03:04:05.6Z", "+02:00"), without zone (local time; a space for the T and a
 * missing time of day are allowed), seconds since 1970 ("1700000000.25"), "now" and "now-1h30m". `now_ns` is what "now" means. */
bool units_parse_time(const char *text, int64_t now_ns, int64_t *ret_ns);

enum { UNITS_TEXT = 40 };

/* "512", "1.5 KiB", "10 GiB". */
const char *units_format_size(uint64_t bytes, char out[UNITS_TEXT]);
/* "0", "850ns", "1.2ms", "3.4s", "2m5s". Three significant digits below a minute. */
const char *units_format_duration(int64_t ns, char out[UNITS_TEXT]);
/* "2026-01-02T03:04:05.000006789Z": RFC 3339 in UTC with nanoseconds, always 30 characters. Returns 30. */
size_t units_format_time(int64_t ns, char out[UNITS_TEXT]);

#endif
