/* The OPT pseudo-record (RFC 6891 section 6.1) as text: what dig (BIND 9.18) writes below "OPT PSEUDOSECTION", on one line.
 *
 * "; EDNS: version: 0, flags: do; udp: 1232; COOKIE: 0102030405060708". Options that dig has no form for have one by their RFC:
 * UPDATE-LEASE, DAU, DHU, N3U, CHAIN, REPORT-CHANNEL, ZONEVERSION, MQTYPE. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_EDNS_H
#define DNS_EDNS_H

#include "dns_parse.h"

enum dns_edns_flag { DNS_DO = 0x8000, DNS_CO = 0x4000 };

enum dns_option_code {
    DNS_OPT_LLQ = 1,
    DNS_OPT_UPDATE_LEASE = 2,
    DNS_OPT_NSID = 3,
    DNS_OPT_DAU = 5,
    DNS_OPT_DHU = 6,
    DNS_OPT_N3U = 7,
    DNS_OPT_CLIENT_SUBNET = 8,
    DNS_OPT_EXPIRE = 9,
    DNS_OPT_COOKIE = 10,
    DNS_OPT_KEEPALIVE = 11,
    DNS_OPT_PADDING = 12,
    DNS_OPT_CHAIN = 13,
    DNS_OPT_KEY_TAG = 14,
    DNS_OPT_EXTENDED_ERROR = 15,
    DNS_OPT_CLIENT_TAG = 16,
    DNS_OPT_SERVER_TAG = 17,
    DNS_OPT_REPORT_CHANNEL = 18,
    DNS_OPT_ZONEVERSION = 19,
    DNS_OPT_MQTYPE_QUERY = 20,
    DNS_OPT_MQTYPE_RESPONSE = 21
};

struct dns_option {
    unsigned code;
    struct td_slice value;
};

/* The next option of an OPT record's data. False at the end, and if the option passes the end; the cursor has failed then. */
bool dns_next_option(struct td_cursor *c, struct dns_option *ret);

/* "COOKIE: 0102030405060708". */
void dns_put_option(struct dns_text *t, const struct dns_option *option);

/* "198.51.100.0/24/0": address, and how many bits of it count in the question and in the answer (RFC 7871 section 6). False, and
 * nothing is written, if it is not well-formed. */
bool dns_put_client_subnet(struct dns_text *t, struct td_slice value);

/* The code of an extended error (RFC 8914 section 2). False if the option is not one, or too short. */
bool dns_extended_error(const struct dns_option *option, unsigned *ret_code);

/* An option whose length passes the end is written as "; malformed: " and the rest in hex. */
void dns_put_edns(struct dns_text *t, const struct dns_record *r, struct td_slice rdata);

static inline unsigned dns_edns_flags(const struct dns_record *r)
{
    return r->ttl & 0xffff;
}

/* The rcode's upper eight bits. */
static inline unsigned dns_edns_extended_rcode(const struct dns_record *r)
{
    return r->ttl >> 24;
}

#endif
