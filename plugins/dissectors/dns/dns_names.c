/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_names.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const types[] = {[DNS_A] = "A",
                                    [DNS_NS] = "NS",
                                    [DNS_MD] = "MD",
                                    [DNS_MF] = "MF",
                                    [DNS_CNAME] = "CNAME",
                                    [DNS_SOA] = "SOA",
                                    [DNS_MB] = "MB",
                                    [DNS_MG] = "MG",
                                    [DNS_MR] = "MR",
                                    [DNS_NULL] = "NULL",
                                    [DNS_WKS] = "WKS",
                                    [DNS_PTR] = "PTR",
                                    [DNS_HINFO] = "HINFO",
                                    [DNS_MINFO] = "MINFO",
                                    [DNS_MX] = "MX",
                                    [DNS_TXT] = "TXT",
                                    [DNS_RP] = "RP",
                                    [DNS_AFSDB] = "AFSDB",
                                    [DNS_X25] = "X25",
                                    [DNS_ISDN] = "ISDN",
                                    [DNS_RT] = "RT",
                                    [DNS_NSAP] = "NSAP",
                                    [DNS_NSAP_PTR] = "NSAP-PTR",
                                    [DNS_SIG] = "SIG",
                                    [DNS_KEY] = "KEY",
                                    [DNS_PX] = "PX",
                                    [DNS_GPOS] = "GPOS",
                                    [DNS_AAAA] = "AAAA",
                                    [DNS_LOC] = "LOC",
                                    [DNS_NXT] = "NXT",
                                    [DNS_EID] = "EID",
                                    [DNS_NIMLOC] = "NIMLOC",
                                    [DNS_SRV] = "SRV",
                                    [DNS_ATMA] = "ATMA",
                                    [DNS_NAPTR] = "NAPTR",
                                    [DNS_KX] = "KX",
                                    [DNS_CERT] = "CERT",
                                    [DNS_A6] = "A6",
                                    [DNS_DNAME] = "DNAME",
                                    [DNS_SINK] = "SINK",
                                    [DNS_OPT] = "OPT",
                                    [DNS_APL] = "APL",
                                    [DNS_DS] = "DS",
                                    [DNS_SSHFP] = "SSHFP",
                                    [DNS_IPSECKEY] = "IPSECKEY",
                                    [DNS_RRSIG] = "RRSIG",
                                    [DNS_NSEC] = "NSEC",
                                    [DNS_DNSKEY] = "DNSKEY",
                                    [DNS_DHCID] = "DHCID",
                                    [DNS_NSEC3] = "NSEC3",
                                    [DNS_NSEC3PARAM] = "NSEC3PARAM",
                                    [DNS_TLSA] = "TLSA",
                                    [DNS_SMIMEA] = "SMIMEA",
                                    [DNS_HIP] = "HIP",
                                    [DNS_NINFO] = "NINFO",
                                    [DNS_RKEY] = "RKEY",
                                    [DNS_TALINK] = "TALINK",
                                    [DNS_CDS] = "CDS",
                                    [DNS_CDNSKEY] = "CDNSKEY",
                                    [DNS_OPENPGPKEY] = "OPENPGPKEY",
                                    [DNS_CSYNC] = "CSYNC",
                                    [DNS_ZONEMD] = "ZONEMD",
                                    [DNS_SVCB] = "SVCB",
                                    [DNS_HTTPS] = "HTTPS",
                                    [DNS_DSYNC] = "DSYNC",
                                    [DNS_HHIT] = "HHIT",
                                    [DNS_BRID] = "BRID",
                                    [DNS_SPF] = "SPF",
                                    [DNS_UINFO] = "UINFO",
                                    [DNS_UID] = "UID",
                                    [DNS_GID] = "GID",
                                    [DNS_UNSPEC] = "UNSPEC",
                                    [DNS_NID] = "NID",
                                    [DNS_L32] = "L32",
                                    [DNS_L64] = "L64",
                                    [DNS_LP] = "LP",
                                    [DNS_EUI48] = "EUI48",
                                    [DNS_EUI64] = "EUI64",
                                    [DNS_NXNAME] = "NXNAME",
                                    [DNS_TKEY] = "TKEY",
                                    [DNS_TSIG] = "TSIG",
                                    [DNS_IXFR] = "IXFR",
                                    [DNS_AXFR] = "AXFR",
                                    [DNS_MAILB] = "MAILB",
                                    [DNS_MAILA] = "MAILA",
                                    [DNS_ANY] = "ANY",
                                    [DNS_URI] = "URI",
                                    [DNS_CAA] = "CAA",
                                    [DNS_AVC] = "AVC",
                                    [DNS_DOA] = "DOA",
                                    [DNS_AMTRELAY] = "AMTRELAY",
                                    [DNS_RESINFO] = "RESINFO",
                                    [DNS_WALLET] = "WALLET",
                                    [DNS_CLA] = "CLA",
                                    [DNS_IPN] = "IPN"};

const struct td_name dns_opcode_names[DNS_OPCODE_NAMES] = {{0, "QUERY"},       {1, "IQUERY"},      {2, "STATUS"},      {3, "RESERVED3"},
                                                           {4, "NOTIFY"},      {5, "UPDATE"},      {6, "DSO"},         {7, "RESERVED7"},
                                                           {8, "RESERVED8"},   {9, "RESERVED9"},   {10, "RESERVED10"}, {11, "RESERVED11"},
                                                           {12, "RESERVED12"}, {13, "RESERVED13"}, {14, "RESERVED14"}, {15, "RESERVED15"}};

const struct td_name dns_rcode_names[DNS_RCODE_NAMES] = {
    {0, "NOERROR"},     {1, "FORMERR"},     {2, "SERVFAIL"},    {3, "NXDOMAIN"},    {4, "NOTIMP"},    {5, "REFUSED"},
    {6, "YXDOMAIN"},    {7, "YXRRSET"},     {8, "NXRRSET"},     {9, "NOTAUTH"},     {10, "NOTZONE"},  {11, "DSOTYPENI"},
    {12, "RESERVED12"}, {13, "RESERVED13"}, {14, "RESERVED14"}, {15, "RESERVED15"}, {16, "BADVERS"},  {17, "BADKEY"},
    {18, "BADTIME"},    {19, "BADMODE"},    {20, "BADNAME"},    {21, "BADALG"},     {22, "BADTRUNC"}, {23, "BADCOOKIE"}};

const char *dns_type_name(unsigned type)
{
    if (type < COUNT(types))
        return types[type];
    return type == DNS_TA ? "TA" : type == DNS_DLV ? "DLV" : NULL;
}

const char *dns_class_name(unsigned cls)
{
    switch (cls) {
    case DNS_IN: return "IN";
    case DNS_CH: return "CH";
    case DNS_HS: return "HS";
    case DNS_CLASS_NONE: return "NONE";
    case DNS_CLASS_ANY: return "ANY";
    default: return NULL;
    }
}

const char *dns_rcode_name(unsigned rcode)
{
    return rcode < DNS_RCODE_NAMES ? dns_rcode_names[rcode].name : NULL;
}

const char *dns_algorithm_name(unsigned algorithm)
{
    static const char *const names[] = {
        [1] = "RSAMD5",           [2] = "DH",           [3] = "DSA",         [5] = "RSASHA1",  [6] = "NSEC3DSA",
        [7] = "NSEC3RSASHA1",     [8] = "RSASHA256",    [10] = "RSASHA512",  [12] = "ECCGOST", [13] = "ECDSAP256SHA256",
        [14] = "ECDSAP384SHA384", [15] = "ED25519",     [16] = "ED448",      [17] = "SM2SM3",  [23] = "ECC-GOST12",
        [252] = "INDIRECT",       [253] = "PRIVATEDNS", [254] = "PRIVATEOID"};
    return algorithm < COUNT(names) ? names[algorithm] : NULL;
}

const char *dns_certificate_name(unsigned type)
{
    static const char *const names[] = {[1] = "PKIX", [2] = "SPKI",   [3] = "PGP",     [4] = "IPKIX", [5] = "ISPKI",
                                        [6] = "IPGP", [7] = "ACPKIX", [8] = "IACPKIX", [253] = "URI", [254] = "OID"};
    return type < COUNT(names) ? names[type] : NULL;
}

const char *dns_extended_error_name(unsigned code)
{
    static const char *const names[] = {"Other",
                                        "Unsupported DNSKEY Algorithm",
                                        "Unsupported DS Digest Type",
                                        "Stale Answer",
                                        "Forged Answer",
                                        "DNSSEC Indeterminate",
                                        "DNSSEC Bogus",
                                        "Signature Expired",
                                        "Signature Not Yet Valid",
                                        "DNSKEY Missing",
                                        "RRSIGs Missing",
                                        "No Zone Key Bit Set",
                                        "NSEC Missing",
                                        "Cached Error",
                                        "Not Ready",
                                        "Blocked",
                                        "Censored",
                                        "Filtered",
                                        "Prohibited",
                                        "Stale NXDOMAIN Answer",
                                        "Not Authoritative",
                                        "Not Supported",
                                        "No Reachable Authority",
                                        "Network Error",
                                        "Invalid Data",
                                        "Signature Expired before Valid",
                                        "Too Early",
                                        "Unsupported NSEC3 Iterations Value",
                                        "Unable to conform to policy",
                                        "Synthesized",
                                        "Invalid Query Type",
                                        "Rate Limited",
                                        "Over Quota",
                                        "Negative Trust Anchor",
                                        "New Delegation Only",
                                        "Blocked by Upstream DNS Server"};
    return code < COUNT(names) ? names[code] : NULL;
}

static void put_name_or_number(struct dns_text *t, const char *name, const char *prefix, unsigned v)
{
    if (name) {
        dns_puts(t, name);
        return;
    }
    dns_puts(t, prefix);
    dns_put_u64(t, v);
}

void dns_put_type(struct dns_text *t, unsigned type)
{
    put_name_or_number(t, dns_type_name(type), "TYPE", type);
}

void dns_put_class(struct dns_text *t, unsigned cls)
{
    put_name_or_number(t, dns_class_name(cls), "CLASS", cls);
}
