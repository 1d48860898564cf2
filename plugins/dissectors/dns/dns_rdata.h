/* The data of DNS records as text, written as dig (BIND 9.18) writes it; what came after it by its RFC: the types CLA and IPN, and
 * service parameters from dohpath on.
 *
 * Pure. Data of unknown types, and data that does not fit its type, is written in the generic form "\# 4 C0000201"
 * (RFC 3597 section 5), so that nothing is lost.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_RDATA_H
#define DNS_RDATA_H

#include "dns_names.h"
#include "dns_parse.h"

/* The class says what the data of some types means: what is an address in IN is none in CH. ANY and NONE (RFC 2136) count
 * as IN. Text that finds no room gives way to the generic form; if that finds none either, nothing is written and t->full
 * is set. `t` must not be full before. */
void dns_put_rdata(struct dns_text *t, struct td_slice message, const struct dns_record *r);

/* The record as a line of a zone file without the final newline, columns separated by tabs:
 * "example.org.\t300\tIN\tA\t192.0.2.1". An OPT record as dns_edns.h says. False, and nothing is written, if the owner's name
 * cannot be read or there is no room. `multicast`: the class's top bit is not part of it (RFC 6762 section 10.2). */
bool dns_put_record(struct dns_text *t, struct td_slice message, const struct dns_record *r, bool multicast);

/* Is the data just one name, as of CNAME, NS and PTR? */
bool dns_rdata_is_name(unsigned type);

#endif
