/* Leaving out the program's own traffic: without that, serving a window would be captured, and fill the next window. */
#ifndef CAPTURE_OWN_TRAFFIC_H
#define CAPTURE_OWN_TRAFFIC_H

#include "base/buf.h"
#include "base/error.h"

/* More addresses than that would make a filter that the kernel does not take. The first of the system's list count, which are those of
 * the oldest interfaces; for the others there is a warning. */
enum { OWN_TRAFFIC_MAX_ADDRESSES = 128 };

/* Appends the filter of tcpdump's language for `user_filter` ("": all) without TCP traffic between anybody and this machine's addresses at
 * these ports. The ports of other machines are not left out: they may be anybody's. Without ports it is the user's filter as it stands.
 * TD_E_CONFIG: that one is no filter. */
int own_traffic_filter(const char *user_filter, const uint16_t *ports, size_t n, struct buf *ret, struct error *err) MUST_CHECK;
/* Only what is left out, as an expression that own traffic matches; nothing without ports. It changes with the machine's addresses. */
int own_traffic_expression(const uint16_t *ports, size_t n, struct buf *ret, struct error *err) MUST_CHECK;

#endif
