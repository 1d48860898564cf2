/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_rdata.h"

#include "dns_edns.h"

/* The data that is being written. The cursor ends where the data ends; its beginning is the message's, so that
 * positions are the message's. Whatever does not fit the type fails the cursor. */
struct rdata {
    struct td_slice message;
    struct td_cursor c;
    struct dns_text *t;
};

static void fail(struct rdata *r)
{
    r->c.failed = true;
}

static void space(struct rdata *r)
{
    dns_putc(r->t, ' ');
}

static void put_u64(struct rdata *r, uint64_t v)
{
    dns_put_u64(r->t, v);
}

static void put_name(struct rdata *r)
{
    dns_read_name(r->message, &r->c, r->t);
}

static void put_address(struct rdata *r, size_t size)
{
    const uint8_t *a = td_claim_bytes(&r->c, size);
    if (a && size == 4)
        dns_put_ipv4(r->t, a);
    else if (a)
        dns_put_ipv6(r->t, a);
}

/* Characters between quotes (RFC 1035 section 5.1). In a list within the quotes (RFC 9460 appendix A.1) commas and
 * backslashes are escaped once for the list and once for the quotes. */
static void put_characters(struct dns_text *t, struct td_slice s, bool in_list)
{
    for (size_t i = 0; i < s.n && !t->full; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c >= 0x7f || (in_list && c == ' ')) {
            dns_put_escaped(t, c);
            continue;
        }
        if (in_list && c == ',')
            dns_lit(t, "\\\\");
        else if (in_list && c == '\\')
            dns_lit(t, "\\\\\\");
        else if (c == '"' || c == '\\')
            dns_putc(t, '\\');
        dns_putc(t, (char)c);
    }
}

static void put_quoted(struct rdata *r, struct td_slice s)
{
    dns_putc(r->t, '"');
    put_characters(r->t, s, false);
    dns_putc(r->t, '"');
}

/* A character-string: a length octet and so many characters. */
static void put_string(struct rdata *r)
{
    size_t n = td_u8(&r->c);
    put_quoted(r, td_take(&r->c, n));
}

static void put_strings(struct rdata *r)
{
    do {
        put_string(r);
        if (td_left(&r->c))
            space(r);
    } while (td_left(&r->c) && !r->t->full);
}

static uint32_t leap_day(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t days_in(uint32_t month, uint32_t year)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 ? leap_day(year) : 0);
}

/* Seconds since 1970 UTC as YYYYMMDDHHMMSS (RFC 4034 section 3.2). The number is one of a circle, whose next turn begins
 * in 2106; dig goes by today's date, but here the same record has the same text for ever. */
static void put_time(struct rdata *r)
{
    uint32_t seconds = td_be32(&r->c), days = seconds / 86400, year = 1970, month = 1;
    for (uint32_t n; days >= (n = 365 + leap_day(year)); year++)
        days -= n;
    for (uint32_t n; days >= (n = days_in(month, year)); month++)
        days -= n;
    dns_put_padded(r->t, year, 4);
    dns_put_padded(r->t, month, 2);
    dns_put_padded(r->t, days + 1, 2);
    dns_put_padded(r->t, seconds / 3600 % 24, 2);
    dns_put_padded(r->t, seconds / 60 % 60, 2);
    dns_put_padded(r->t, seconds % 60, 2);
}

static void put_name_or_number(struct rdata *r, const char *name, unsigned v)
{
    if (name)
        dns_puts(r->t, name);
    else
        put_u64(r, v);
}

/* Bit 0 is the first octet's highest. */
static bool is_set(struct td_slice bits, unsigned i)
{
    return bits.p[i / 8] & 0x80 >> i % 8;
}

/* Windows of up to 256 types: RFC 4034 section 4.1.2. */
static void put_bitmap(struct rdata *r)
{
    while (td_left(&r->c) && !r->t->full) {
        unsigned window = td_u8(&r->c);
        size_t n = td_u8(&r->c);
        if (n == 0 || n > 32)
            fail(r);
        struct td_slice bits = td_take(&r->c, n);
        for (unsigned i = 0; i < bits.n * 8; i++) {
            if (!is_set(bits, i))
                continue;
            space(r);
            dns_put_type(r->t, window << 8 | i);
        }
    }
}

/* A salt (RFC 5155 section 3.3): a length octet, then octets in hex. */
static void put_salt(struct rdata *r)
{
    size_t n = td_u8(&r->c);
    if (n == 0)
        dns_putc(r->t, '-');
    dns_put_hex(r->t, td_take(&r->c, n), true, false);
}

static void put_hash(struct rdata *r)
{
    size_t n = td_u8(&r->c);
    if (n == 0)
        fail(r);
    dns_put_base32hex(r->t, td_take(&r->c, n));
}

/* A locator or node identifier: four groups in hex, nothing left out but leading zeros (RFC 6742 section 2.1). */
static void put_locator(struct rdata *r)
{
    for (int i = 0; i < 4; i++) {
        unsigned v = td_be16(&r->c);
        char digits[4];
        size_t at = 4;
        do {
            digits[--at] = "0123456789abcdef"[v & 15];
            v >>= 4;
        } while (v);
        if (i)
            dns_putc(r->t, ':');
        dns_put(r->t, digits + at, 4 - at);
    }
}

/* RFC 7043: octets in hex with hyphens. */
static void put_eui(struct rdata *r, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        struct td_slice octet = td_take(&r->c, 1);
        if (i)
            dns_putc(r->t, '-');
        dns_put_hex(r->t, octet, false, false);
    }
}

/* RFC 1876 section 2: centimetres as a digit and a power of ten. */
static void put_loc_size(struct rdata *r, uint8_t v)
{
    unsigned base = v >> 4, exponent = v & 15;
    uint64_t cm = base;
    if (base > 9 || exponent > 9)
        fail(r);
    for (unsigned i = 0; i < exponent; i++)
        cm *= 10;
    if (exponent > 1) {
        put_u64(r, cm / 100);
    } else {
        dns_lit(r->t, "0.");
        dns_put_padded(r->t, cm, 2);
    }
    dns_putc(r->t, 'm');
}

/* An angle in thousandths of a second, 2^31 being zero. */
static void put_loc_angle(struct rdata *r, uint32_t v, unsigned max_degrees, const char *sides)
{
    const uint32_t zero = 0x80000000u;
    uint32_t angle = v >= zero ? v - zero : zero - v;
    if (angle > max_degrees * 3600000u)
        fail(r);
    put_u64(r, angle / 3600000u);
    space(r);
    put_u64(r, angle / 60000u % 60);
    space(r);
    put_u64(r, angle / 1000u % 60);
    dns_putc(r->t, '.');
    dns_put_padded(r->t, angle % 1000u, 3);
    space(r);
    dns_putc(r->t, sides[v < zero]);
}

static void put_loc(struct rdata *r)
{
    const uint32_t sea_level = 10000000; /* centimetres */
    if (td_u8(&r->c) != 0)
        fail(r);
    uint8_t size = td_u8(&r->c), horizontal = td_u8(&r->c), vertical = td_u8(&r->c);
    put_loc_angle(r, td_be32(&r->c), 90, "NS");
    space(r);
    put_loc_angle(r, td_be32(&r->c), 180, "EW");
    uint32_t altitude = td_be32(&r->c);
    uint32_t cm = altitude >= sea_level ? altitude - sea_level : sea_level - altitude;
    dns_puts(r->t, altitude < sea_level ? " -" : " ");
    put_u64(r, cm / 100);
    dns_putc(r->t, '.');
    dns_put_padded(r->t, cm % 100, 2);
    dns_lit(r->t, "m ");
    put_loc_size(r, size);
    space(r);
    put_loc_size(r, horizontal);
    space(r);
    put_loc_size(r, vertical);
}

/* RFC 1035 section 3.4.2: the ports whose bits are set. */
static void put_wks(struct rdata *r)
{
    put_address(r, 4);
    space(r);
    put_u64(r, td_u8(&r->c));
    struct td_slice bits = td_rest(&r->c);
    for (unsigned port = 0; port < bits.n * 8 && port < 65536; port++) {
        if (!is_set(bits, port))
            continue;
        space(r);
        put_u64(r, port);
    }
    if (bits.n > 65536 / 8)
        fail(r);
}

/* A name and a bit for each of the first 128 types (RFC 2535 section 5.2). */
static void put_nxt(struct rdata *r)
{
    put_name(r);
    struct td_slice bits = td_rest(&r->c);
    if (bits.n > 16 || (bits.n && bits.p[0] & 0x80))
        fail(r);
    for (unsigned type = 1; type < bits.n * 8 && !r->c.failed; type++) {
        if (!is_set(bits, type))
            continue;
        space(r);
        put_name_or_number(r, dns_type_name(type), type);
    }
}

static void put_isdn(struct rdata *r)
{
    put_string(r);
    if (td_left(&r->c)) {
        space(r);
        put_string(r);
    }
}

static void put_nsap(struct rdata *r)
{
    dns_lit(r->t, "0x");
    if (td_left(&r->c) == 0)
        fail(r);
    dns_put_hex(r->t, td_rest(&r->c), false, false);
}

/* A format octet, then an NSAP address or the digits of an E.164 one. */
static void put_atma(struct rdata *r)
{
    uint8_t format = td_u8(&r->c);
    struct td_slice rest = td_rest(&r->c);
    if (rest.n == 0 || format > 1)
        fail(r);
    if (format == 0) {
        dns_put_hex(r->t, rest, false, false);
        return;
    }
    dns_putc(r->t, '+');
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] < '0' || rest.p[i] > '9')
            fail(r);
    dns_put(r->t, rest.p, rest.n);
}

static void put_cert(struct rdata *r)
{
    unsigned type = td_be16(&r->c);
    put_name_or_number(r, dns_certificate_name(type), type);
    space(r);
    put_u64(r, td_be16(&r->c));
    space(r);
    unsigned algorithm = td_u8(&r->c);
    put_name_or_number(r, dns_algorithm_name(algorithm), algorithm);
    space(r);
    if (td_left(&r->c) == 0)
        fail(r);
    dns_put_base64(r->t, td_rest(&r->c), true);
}

/* RFC 2874 section 3.1: the last 128 - prefix bits of an address, in whole octets, and the name that has the prefix. */
static void put_a6(struct rdata *r)
{
    uint8_t address[16] = {0};
    unsigned prefix = td_u8(&r->c);
    if (prefix > 128) {
        fail(r);
        return;
    }
    put_u64(r, prefix);
    space(r);
    if (prefix < 128) {
        size_t from = prefix / 8;
        const uint8_t *suffix = td_claim_bytes(&r->c, sizeof(address) - from);
        if (!suffix)
            return;
        memcpy(address + from, suffix, sizeof(address) - from);
        address[from] &= (uint8_t)(0xff >> prefix % 8);
        dns_put_ipv6(r->t, address);
    }
    if (prefix > 0) {
        space(r);
        put_name(r);
    }
}

/* RFC 3123 section 4: address prefixes, perhaps negated. */
static void put_apl(struct rdata *r)
{
    for (bool first = true; td_left(&r->c) && !r->t->full; first = false) {
        uint8_t address[16] = {0};
        unsigned family = td_be16(&r->c), prefix = td_u8(&r->c), length = td_u8(&r->c);
        size_t size = family == 1 ? 4 : family == 2 ? 16 : 0, n = length & 0x7f;
        const uint8_t *p = n ? td_claim_bytes(&r->c, n) : NULL;
        if (r->c.failed || n > size || prefix > size * 8 || size == 0) {
            fail(r);
            return;
        }
        if (p)
            memcpy(address, p, n);
        dns_puts(r->t, first ? "" : " ");
        dns_puts(r->t, length & 0x80 ? "!" : "");
        put_u64(r, family);
        dns_putc(r->t, ':');
        if (size == 4)
            dns_put_ipv4(r->t, address);
        else
            dns_put_ipv6(r->t, address);
        dns_putc(r->t, '/');
        put_u64(r, prefix);
    }
}

/* The kinds that IPSECKEY (RFC 4025 section 2.5) and AMTRELAY (RFC 8777 section 4.2.4) share. */
static void put_gateway(struct rdata *r, unsigned kind)
{
    switch (kind) {
    case 0: dns_putc(r->t, '.'); break;
    case 1: put_address(r, 4); break;
    case 2: put_address(r, 16); break;
    case 3: put_name(r); break;
    default: fail(r);
    }
}

static void put_ipseckey(struct rdata *r)
{
    put_u64(r, td_u8(&r->c));
    space(r);
    unsigned kind = td_u8(&r->c);
    put_u64(r, kind);
    space(r);
    put_u64(r, td_u8(&r->c));
    space(r);
    put_gateway(r, kind);
    if (td_left(&r->c)) {
        space(r);
        dns_put_base64(r->t, td_rest(&r->c), true);
    }
}

static void put_amtrelay(struct rdata *r)
{
    put_u64(r, td_u8(&r->c));
    space(r);
    unsigned kind = td_u8(&r->c);
    put_u64(r, kind >> 7);
    space(r);
    put_u64(r, kind & 0x7f);
    space(r);
    put_gateway(r, kind & 0x7f);
}

/* RFC 8005 section 5. */
static void put_hip(struct rdata *r)
{
    size_t hit_n = td_u8(&r->c);
    put_u64(r, td_u8(&r->c));
    size_t key_n = td_be16(&r->c);
    if (hit_n == 0 || key_n == 0)
        fail(r);
    space(r);
    dns_put_hex(r->t, td_take(&r->c, hit_n), true, false);
    space(r);
    dns_put_base64(r->t, td_take(&r->c, key_n), false);
    while (td_left(&r->c) && !r->t->full) {
        space(r);
        put_name(r);
    }
}

/* RFC 8659 section 4.1. */
static void put_caa(struct rdata *r)
{
    put_u64(r, td_u8(&r->c));
    space(r);
    size_t n = td_u8(&r->c);
    struct td_slice tag = td_take(&r->c, n);
    for (size_t i = 0; i < tag.n; i++) {
        uint8_t c = td_ascii_lower(tag.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            fail(r);
    }
    if (tag.n == 0)
        fail(r);
    dns_put(r->t, tag.p, tag.n);
    space(r);
    put_quoted(r, td_rest(&r->c));
}

static void put_doa(struct rdata *r)
{
    put_u64(r, td_be32(&r->c));
    space(r);
    put_u64(r, td_be32(&r->c));
    space(r);
    put_u64(r, td_u8(&r->c));
    space(r);
    put_string(r);
    space(r);
    if (td_left(&r->c) == 0)
        dns_putc(r->t, '-');
    dns_put_base64(r->t, td_rest(&r->c), false);
}

/* RFC 9859 section 2.1. */
static void put_dsync(struct rdata *r)
{
    dns_put_type(r->t, td_be16(&r->c));
    space(r);
    unsigned scheme = td_u8(&r->c);
    put_name_or_number(r, scheme == 1 ? "NOTIFY" : NULL, scheme);
    space(r);
    put_u64(r, td_be16(&r->c));
    space(r);
    put_name(r);
}

/* Octets that are preceded by their number: the number, a space, and the octets in base64. Returns how many. */
static size_t put_counted(struct rdata *r)
{
    size_t n = td_be16(&r->c);
    space(r);
    put_u64(r, n);
    space(r);
    dns_put_base64(r->t, td_take(&r->c, n), true);
    return n;
}

static void put_error(struct rdata *r)
{
    unsigned error = td_be16(&r->c);
    put_name_or_number(r, error == 16 ? "BADSIG" : dns_rcode_name(error), error);
}

/* RFC 8945 section 4.2. */
static void put_tsig(struct rdata *r)
{
    put_name(r);
    space(r);
    put_u64(r, td_be48(&r->c));
    space(r);
    put_u64(r, td_be16(&r->c));
    if (put_counted(r))
        space(r);
    put_u64(r, td_be16(&r->c));
    space(r);
    put_error(r);
    put_counted(r);
}

/* RFC 2930 section 2. */
static void put_tkey(struct rdata *r)
{
    put_name(r);
    space(r);
    put_u64(r, td_be32(&r->c));
    space(r);
    put_u64(r, td_be32(&r->c));
    space(r);
    put_u64(r, td_be16(&r->c));
    space(r);
    put_error(r);
    put_counted(r);
    space(r);
    size_t other_n = td_be16(&r->c);
    put_u64(r, other_n);
    if (other_n)
        space(r);
    dns_put_base64(r->t, td_take(&r->c, other_n), true);
}

/* ---- Service bindings (RFC 9460) ------------------------------------------------------------------------------ */

enum svc_key {
    SVC_MANDATORY,
    SVC_ALPN,
    SVC_NO_DEFAULT_ALPN,
    SVC_PORT,
    SVC_IPV4HINT,
    SVC_ECH,
    SVC_IPV6HINT,
    SVC_DOHPATH,              /* RFC 9461 section 5 */
    SVC_OHTTP,                /* RFC 9540 section 4 */
    SVC_TLS_SUPPORTED_GROUPS, /* draft-ietf-tls-key-share-prediction */
    SVC_DOCPATH,              /* RFC 9953 section 3.2 */
    SVC_PVD,                  /* draft-ietf-intarea-proxy-config */
    SVC_NAMED
};

static void put_svc_key(struct rdata *r, unsigned key)
{
    static const char *const names[SVC_NAMED] = {"mandatory", "alpn",  "no-default-alpn",      "port",    "ipv4hint", "ech", "ipv6hint",
                                                 "dohpath",   "ohttp", "tls-supported-groups", "docpath", "pvd"};
    if (key < SVC_NAMED) {
        dns_puts(r->t, names[key]);
        return;
    }
    dns_lit(r->t, "key");
    put_u64(r, key);
}

/* Lengths and so many characters, as a list with commas. */
static void put_svc_strings(struct rdata *value)
{
    dns_putc(value->t, '"');
    for (bool first = true; td_left(&value->c) && !value->t->full; first = false) {
        size_t n = td_u8(&value->c);
        if (n == 0)
            fail(value);
        if (!first)
            dns_putc(value->t, ',');
        put_characters(value->t, td_take(&value->c, n), true);
    }
    dns_putc(value->t, '"');
}

/* Values of a fixed size with commas between them. */
static void put_svc_list(struct rdata *value, unsigned key)
{
    for (bool first = true; td_left(&value->c) && !value->t->full; first = false) {
        if (!first)
            dns_putc(value->t, ',');
        if (key == SVC_MANDATORY)
            put_svc_key(value, td_be16(&value->c));
        else if (key == SVC_TLS_SUPPORTED_GROUPS)
            put_u64(value, td_be16(&value->c));
        else
            put_address(value, key == SVC_IPV4HINT ? 4 : 16);
    }
}

static void put_svc_value(struct rdata *value, unsigned key)
{
    switch (key) {
    case SVC_MANDATORY:
    case SVC_IPV4HINT:
    case SVC_TLS_SUPPORTED_GROUPS:
    case SVC_IPV6HINT: put_svc_list(value, key); break;
    case SVC_ALPN:
    case SVC_DOCPATH: put_svc_strings(value); break;
    case SVC_PORT: put_u64(value, td_be16(&value->c)); break;
    case SVC_ECH: dns_put_base64(value->t, td_rest(&value->c), false); break;
    default: put_quoted(value, td_rest(&value->c));
    }
}

/* Most keys must have a value; some must not; docpath may have none: the root. */
static bool svc_size_fits(unsigned key, size_t n)
{
    if (key == SVC_NO_DEFAULT_ALPN || key == SVC_OHTTP || key == SVC_PVD)
        return n == 0;
    return n || key == SVC_DOCPATH || key >= SVC_NAMED;
}

static void put_svcb(struct rdata *r)
{
    put_u64(r, td_be16(&r->c));
    space(r);
    put_name(r);
    while (td_left(&r->c) && !r->t->full) {
        unsigned key = td_be16(&r->c);
        size_t n = td_be16(&r->c);
        struct rdata value = *r;
        td_skip(&r->c, n);
        value.c.end = r->c.p;
        space(r);
        put_svc_key(r, key);
        if (!svc_size_fits(key, n))
            fail(r);
        if (r->c.failed || n == 0)
            continue;
        dns_putc(r->t, '=');
        put_svc_value(&value, key);
        if (value.c.failed || td_left(&value.c))
            fail(r);
    }
}

/* ---- All types ------------------------------------------------------------------------------------------------ */

/* How a type's data is laid out: either a function, or a letter for each field; fields are separated by spaces.
 *   1 2 4 8  a number of so many octets   a A  an IPv4, IPv6 address       n  a name
 *   s S      one or all strings, quoted   Q    the rest, quoted            T C  a record type
 *   b x      the rest in base64, hex      t    a time                      W  type bitmap (the rest)
 *   h H      a salt, a hash               l    a 64-bit locator            e E  48, 64 bits with hyphens
 * b and x may be empty in the types whose layout ends with `?`. */
struct layout {
    const char *fields;
    void (*put)(struct rdata *);
    bool only_in; /* in other classes than IN the data is opaque */
};

static const struct layout layouts[] = {[DNS_A] = {"a", NULL, true},
                                        [DNS_NS] = {"n", NULL, false},
                                        [DNS_MD] = {"n", NULL, false},
                                        [DNS_MF] = {"n", NULL, false},
                                        [DNS_CNAME] = {"n", NULL, false},
                                        [DNS_SOA] = {"nn44444", NULL, false},
                                        [DNS_MB] = {"n", NULL, false},
                                        [DNS_MG] = {"n", NULL, false},
                                        [DNS_MR] = {"n", NULL, false},
                                        [DNS_WKS] = {NULL, put_wks, true},
                                        [DNS_PTR] = {"n", NULL, false},
                                        [DNS_HINFO] = {"ss", NULL, false},
                                        [DNS_MINFO] = {"nn", NULL, false},
                                        [DNS_MX] = {"2n", NULL, false},
                                        [DNS_TXT] = {"S", NULL, false},
                                        [DNS_RP] = {"nn", NULL, false},
                                        [DNS_AFSDB] = {"2n", NULL, false},
                                        [DNS_X25] = {"s", NULL, false},
                                        [DNS_ISDN] = {NULL, put_isdn, false},
                                        [DNS_RT] = {"2n", NULL, false},
                                        [DNS_NSAP] = {NULL, put_nsap, true},
                                        [DNS_NSAP_PTR] = {"n", NULL, true},
                                        [DNS_SIG] = {"C114tt2nb", NULL, false},
                                        [DNS_KEY] = {"211b?", NULL, false},
                                        [DNS_PX] = {"2nn", NULL, true},
                                        [DNS_GPOS] = {"sss", NULL, false},
                                        [DNS_AAAA] = {"A", NULL, true},
                                        [DNS_LOC] = {NULL, put_loc, false},
                                        [DNS_NXT] = {NULL, put_nxt, false},
                                        [DNS_EID] = {"x", NULL, true},
                                        [DNS_NIMLOC] = {"x", NULL, true},
                                        [DNS_SRV] = {"222n", NULL, true},
                                        [DNS_ATMA] = {NULL, put_atma, true},
                                        [DNS_NAPTR] = {"22sssn", NULL, false},
                                        [DNS_KX] = {"2n", NULL, true},
                                        [DNS_CERT] = {NULL, put_cert, false},
                                        [DNS_A6] = {NULL, put_a6, true},
                                        [DNS_DNAME] = {"n", NULL, false},
                                        [DNS_SINK] = {"111b?", NULL, false},
                                        [DNS_APL] = {NULL, put_apl, true},
                                        [DNS_DS] = {"211x", NULL, false},
                                        [DNS_SSHFP] = {"11x", NULL, false},
                                        [DNS_IPSECKEY] = {NULL, put_ipseckey, false},
                                        [DNS_RRSIG] = {"T114tt2nb", NULL, false},
                                        [DNS_NSEC] = {"nW", NULL, false},
                                        [DNS_DNSKEY] = {"211b?", NULL, false},
                                        [DNS_DHCID] = {"b", NULL, true},
                                        [DNS_NSEC3] = {"112hHW", NULL, false},
                                        [DNS_NSEC3PARAM] = {"112h", NULL, false},
                                        [DNS_TLSA] = {"111x", NULL, false},
                                        [DNS_SMIMEA] = {"111x", NULL, false},
                                        [DNS_HIP] = {NULL, put_hip, false},
                                        [DNS_NINFO] = {"S", NULL, false},
                                        [DNS_RKEY] = {"211b", NULL, false},
                                        [DNS_TALINK] = {"nn", NULL, false},
                                        [DNS_CDS] = {"211x", NULL, false},
                                        [DNS_CDNSKEY] = {"211b?", NULL, false},
                                        [DNS_OPENPGPKEY] = {"b", NULL, false},
                                        [DNS_CSYNC] = {"42W", NULL, false},
                                        [DNS_ZONEMD] = {"411x", NULL, false},
                                        [DNS_SVCB] = {NULL, put_svcb, true},
                                        [DNS_HTTPS] = {NULL, put_svcb, true},
                                        [DNS_DSYNC] = {NULL, put_dsync, false},
                                        [DNS_HHIT] = {"b", NULL, false},
                                        [DNS_BRID] = {"b", NULL, false},
                                        [DNS_SPF] = {"S", NULL, false},
                                        [DNS_NID] = {"2l", NULL, false},
                                        [DNS_L32] = {"2a", NULL, false},
                                        [DNS_L64] = {"2l", NULL, false},
                                        [DNS_LP] = {"2n", NULL, false},
                                        [DNS_EUI48] = {"e", NULL, false},
                                        [DNS_EUI64] = {"E", NULL, false},
                                        [DNS_TKEY] = {NULL, put_tkey, false},
                                        [DNS_TSIG] = {NULL, put_tsig, false},
                                        [DNS_URI] = {"22Q", NULL, false},
                                        [DNS_CAA] = {NULL, put_caa, false},
                                        [DNS_AVC] = {"S", NULL, false},
                                        [DNS_DOA] = {NULL, put_doa, false},
                                        [DNS_AMTRELAY] = {NULL, put_amtrelay, false},
                                        [DNS_RESINFO] = {"S", NULL, false},
                                        [DNS_WALLET] = {"S", NULL, false},
                                        [DNS_CLA] = {"S", NULL, false},
                                        [DNS_IPN] = {"8", NULL, false}};

/* A Chaos address: a name and an octal number (RFC 1035 section 3.4.1 leaves it to the class). */
static void put_chaos_address(struct rdata *r)
{
    char digits[8];
    size_t at = sizeof(digits);
    put_name(r);
    space(r);
    unsigned v = td_be16(&r->c);
    do {
        digits[--at] = (char)('0' + (v & 7));
        v >>= 3;
    } while (v);
    dns_put(r->t, digits + at, sizeof(digits) - at);
}

static const struct layout *layout_of(unsigned type, unsigned cls)
{
    static const struct layout chaos_address = {NULL, put_chaos_address, false}, trust_anchor = {"211x", NULL, false};
    const struct layout *l = NULL;
    if (type == DNS_TA || type == DNS_DLV)
        return &trust_anchor;
    if (type == DNS_A && cls == DNS_CH)
        return &chaos_address;
    if (type < sizeof(layouts) / sizeof(layouts[0]))
        l = &layouts[type];
    bool internet = cls == DNS_IN || cls == DNS_CLASS_ANY || cls == DNS_CLASS_NONE || (cls == DNS_HS && type == DNS_A);
    return l && (l->fields || l->put) && (internet || !l->only_in) ? l : NULL;
}

/* What a SIG covers; unlike elsewhere a type without a name is a bare number. */
static void put_covered(struct rdata *r)
{
    unsigned type = td_be16(&r->c);
    put_name_or_number(r, dns_type_name(type), type);
}

static void put_field(struct rdata *r, char field)
{
    switch (field) {
    case '1': put_u64(r, td_u8(&r->c)); break;
    case '2': put_u64(r, td_be16(&r->c)); break;
    case '4': put_u64(r, td_be32(&r->c)); break;
    case '8': put_u64(r, td_be64(&r->c)); break;
    case 'a': put_address(r, 4); break;
    case 'A': put_address(r, 16); break;
    case 'n': put_name(r); break;
    case 's': put_string(r); break;
    case 'S': put_strings(r); break;
    case 'Q': put_quoted(r, td_rest(&r->c)); break;
    case 'T': dns_put_type(r->t, td_be16(&r->c)); break;
    case 'C': put_covered(r); break;
    case 't': put_time(r); break;
    case 'h': put_salt(r); break;
    case 'H': put_hash(r); break;
    case 'l': put_locator(r); break;
    case 'e': put_eui(r, 6); break;
    case 'E': put_eui(r, 8); break;
    case 'b': dns_put_base64(r->t, td_rest(&r->c), true); break;
    default: dns_put_hex(r->t, td_rest(&r->c), true, true); break; /* x */
    }
}

static void put_fields(struct rdata *r, const char *fields)
{
    for (const char *f = fields; *f && *f != '?' && !r->c.failed; f++) {
        if (*f == 'W') {
            put_bitmap(r);
            continue;
        }
        if ((*f == 'b' || *f == 'x') && td_left(&r->c) == 0) {
            if (f[1] != '?')
                fail(r);
            continue;
        }
        if (f > fields)
            space(r);
        put_field(r, *f);
    }
}

/* RFC 3597 section 5. */
static void put_generic(struct dns_text *t, struct td_slice rdata)
{
    dns_lit(t, "\\# ");
    dns_put_u64(t, rdata.n);
    if (rdata.n)
        dns_putc(t, ' ');
    dns_put_hex(t, rdata, true, true);
}

void dns_put_rdata(struct dns_text *t, struct td_slice message, const struct dns_record *record)
{
    size_t end = record->rdata + record->rdata_n, start = t->n;
    struct rdata r = {message, td_cursor(td_sub(message, 0, end)), t};
    const struct layout *l = layout_of(record->type, record->cls);
    td_seek(&r.c, record->rdata);
    if (l && l->put)
        l->put(&r);
    else if (l)
        put_fields(&r, l->fields);
    if (!l || r.c.failed || td_left(&r.c) || t->full) {
        t->n = start;
        t->full = false;
        put_generic(t, td_sub(message, record->rdata, end));
    }
    if (t->full)
        t->n = start;
}

bool dns_rdata_is_name(unsigned type)
{
    const struct layout *l = layout_of(type, DNS_IN);
    return l && l->fields && strcmp(l->fields, "n") == 0;
}

/* In an UPDATE, a record of class ANY or NONE without data stands for all records, or for none (RFC 2136 section 2.4). */
static bool stands_alone(const struct dns_record *r)
{
    return r->rdata_n == 0 && (r->cls == DNS_CLASS_ANY || r->cls == DNS_CLASS_NONE);
}

bool dns_put_record(struct dns_text *t, struct td_slice message, const struct dns_record *record, bool multicast)
{
    struct dns_record r = *record;
    struct td_cursor owner = td_cursor(message);
    size_t start = t->n;
    if (r.type == DNS_OPT) {
        dns_put_edns(t, &r, td_sub(message, r.rdata, r.rdata + r.rdata_n));
    } else {
        if (multicast)
            r.cls &= 0x7fff;
        td_seek(&owner, r.owner);
        dns_read_name(message, &owner, t);
        dns_putc(t, '\t');
        dns_put_u64(t, r.ttl);
        dns_putc(t, '\t');
        dns_put_class(t, r.cls);
        dns_putc(t, '\t');
        dns_put_type(t, r.type);
        dns_putc(t, '\t');
        if (!stands_alone(&r))
            dns_put_rdata(t, message, &r);
    }
    if (owner.failed || t->full)
        t->n = start;
    return t->n > start;
}
