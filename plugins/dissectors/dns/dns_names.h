/* Names of the numbers in DNS messages, as the IANA registry "Domain Name System (DNS) Parameters" and dig have them.
 *
 * Lookups are pure and return NULL for a number without a name; the dns_put_ ones then write the number as dig does.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_NAMES_H
#define DNS_NAMES_H

#include "dns_text.h"

#include <tapedeck/plugin.h>

enum dns_type {
    DNS_A = 1,
    DNS_NS,
    DNS_MD,
    DNS_MF,
    DNS_CNAME,
    DNS_SOA,
    DNS_MB,
    DNS_MG,
    DNS_MR,
    DNS_NULL,
    DNS_WKS,
    DNS_PTR,
    DNS_HINFO,
    DNS_MINFO,
    DNS_MX,
    DNS_TXT,
    DNS_RP,
    DNS_AFSDB,
    DNS_X25,
    DNS_ISDN,
    DNS_RT,
    DNS_NSAP,
    DNS_NSAP_PTR,
    DNS_SIG,
    DNS_KEY,
    DNS_PX,
    DNS_GPOS,
    DNS_AAAA,
    DNS_LOC,
    DNS_NXT,
    DNS_EID,
    DNS_NIMLOC,
    DNS_SRV,
    DNS_ATMA,
    DNS_NAPTR,
    DNS_KX,
    DNS_CERT,
    DNS_A6,
    DNS_DNAME,
    DNS_SINK,
    DNS_OPT,
    DNS_APL,
    DNS_DS,
    DNS_SSHFP,
    DNS_IPSECKEY,
    DNS_RRSIG,
    DNS_NSEC,
    DNS_DNSKEY,
    DNS_DHCID,
    DNS_NSEC3,
    DNS_NSEC3PARAM,
    DNS_TLSA,
    DNS_SMIMEA,
    DNS_HIP = 55,
    DNS_NINFO,
    DNS_RKEY,
    DNS_TALINK,
    DNS_CDS,
    DNS_CDNSKEY,
    DNS_OPENPGPKEY,
    DNS_CSYNC,
    DNS_ZONEMD,
    DNS_SVCB,
    DNS_HTTPS,
    DNS_DSYNC,
    DNS_HHIT,
    DNS_BRID,
    DNS_SPF = 99,
    DNS_UINFO,
    DNS_UID,
    DNS_GID,
    DNS_UNSPEC,
    DNS_NID,
    DNS_L32,
    DNS_L64,
    DNS_LP,
    DNS_EUI48,
    DNS_EUI64,
    DNS_NXNAME = 128,
    DNS_TKEY = 249,
    DNS_TSIG,
    DNS_IXFR,
    DNS_AXFR,
    DNS_MAILB,
    DNS_MAILA,
    DNS_ANY,
    DNS_URI,
    DNS_CAA,
    DNS_AVC,
    DNS_DOA,
    DNS_AMTRELAY,
    DNS_RESINFO,
    DNS_WALLET,
    DNS_CLA,
    DNS_IPN,
    DNS_TA = 32768,
    DNS_DLV
};

enum dns_class { DNS_IN = 1, DNS_CH = 3, DNS_HS = 4, DNS_CLASS_NONE = 254, DNS_CLASS_ANY = 255 };

enum dns_opcode { DNS_QUERY = 0, DNS_IQUERY = 1, DNS_STATUS = 2, DNS_NOTIFY = 4, DNS_UPDATE = 5, DNS_DSO = 6 };

const char *dns_type_name(unsigned type);
const char *dns_class_name(unsigned cls);
/* RFC 6895 section 2.3, and the codes that only TSIG and TKEY records carry. */
const char *dns_rcode_name(unsigned rcode);
/* Security algorithms (RFC 8624), certificate types (RFC 4398 section 2.1), extended errors (RFC 8914 section 4). */
const char *dns_algorithm_name(unsigned algorithm);
const char *dns_certificate_name(unsigned type);
const char *dns_extended_error_name(unsigned code);

/* "TYPE65534", "CLASS42": RFC 3597 section 5. */
void dns_put_type(struct dns_text *t, unsigned type);
void dns_put_class(struct dns_text *t, unsigned cls);

/* Rows of struct td_name for the fields that are enumerations. */
extern const struct td_name dns_opcode_names[];
extern const struct td_name dns_rcode_names[];
enum { DNS_OPCODE_NAMES = 16, DNS_RCODE_NAMES = 24 };

#endif
