/* Leaving out the program's own traffic: without that, serving a window would be captured, and fill the next window. */
#ifndef CAPTURE_OWN_TRAFFIC_H
#define CAPTURE_OWN_TRAFFIC_H

#include "base/buf.h"

/* Appends the filter of tcpdump's language for `user_filter` ("": all) without TCP traffic between anybody and this machine's addresses at
 * these ports. The ports of other machines are not left out: they may be anybody's. */
int own_traffic_filter(const char *user_filter, const uint16_t *ports, size_t n, struct buf *ret, struct error *err) MUST_CHECK;

#endif
