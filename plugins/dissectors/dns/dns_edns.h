/* The OPT pseudo-record (RFC 6891 section 6.1) as text: what dig writes below "OPT PSEUDOSECTION", on one line.
 *
 * "; EDNS: version: 0, flags: do; udp: 1232; COOKIE: 0102030405060708". Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_EDNS_H
#define DNS_EDNS_H

#include "dns_parse.h"

/* An option whose length passes the end is written as "; malformed: " and the rest in hex. */
void dns_put_edns(struct dns_text *t, const struct dns_record *r, struct td_slice rdata);

/* The rcode's upper eight bits. */
static inline unsigned dns_edns_extended_rcode(const struct dns_record *r)
{
    return r->ttl >> 24;
}

#endif
