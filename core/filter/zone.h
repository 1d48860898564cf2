/* Time zones by name: what they add to UTC at a moment. Read from the system's database (TZif files, RFC 9636), without
 * touching the process's own time zone. Immutable once made; any thread. */
#ifndef FILTER_ZONE_H
#define FILTER_ZONE_H

#include "base/error.h"
#include "tapedeck/slice.h"

struct filter_zone;

/* "Europe/Berlin", "UTC", "" (which is UTC), "+02:00", "-09:30", "02:00". TD_E_NOT_FOUND: no such zone; TD_E_CORRUPT: its file
 * is not what it should be; TD_E_NOMEM. */
int filter_zone_new(struct td_slice name, struct filter_zone **ret, struct error *err) MUST_CHECK;
void filter_zone_free(struct filter_zone *);
/* Seconds east of Greenwich at a moment (seconds since 1970 UTC). */
int32_t filter_zone_offset(const struct filter_zone *, int64_t seconds);

/* For tests: a zone from the bytes of a TZif file. */
int filter_zone_parse(struct td_slice file, struct filter_zone **ret, struct error *err) MUST_CHECK;

#endif
