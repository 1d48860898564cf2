/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_edns.h"

#include "dns_names.h"

static void put_option_name(struct dns_text *t, unsigned code)
{
    static const char *const names[] = {[DNS_OPT_LLQ] = "LLQ",
                                        [DNS_OPT_UPDATE_LEASE] = "UPDATE-LEASE",
                                        [DNS_OPT_NSID] = "NSID",
                                        [DNS_OPT_DAU] = "DAU",
                                        [DNS_OPT_DHU] = "DHU",
                                        [DNS_OPT_N3U] = "N3U",
                                        [DNS_OPT_CLIENT_SUBNET] = "CLIENT-SUBNET",
                                        [DNS_OPT_EXPIRE] = "EXPIRE",
                                        [DNS_OPT_COOKIE] = "COOKIE",
                                        [DNS_OPT_KEEPALIVE] = "TCP KEEPALIVE",
                                        [DNS_OPT_PADDING] = "PAD",
                                        [DNS_OPT_CHAIN] = "CHAIN",
                                        [DNS_OPT_KEY_TAG] = "KEY-TAG",
                                        [DNS_OPT_EXTENDED_ERROR] = "EDE",
                                        [DNS_OPT_CLIENT_TAG] = "CLIENT-TAG",
                                        [DNS_OPT_SERVER_TAG] = "SERVER-TAG",
                                        [DNS_OPT_REPORT_CHANNEL] = "REPORT-CHANNEL",
                                        [DNS_OPT_ZONEVERSION] = "ZONEVERSION",
                                        [DNS_OPT_MQTYPE_QUERY] = "MQTYPE-QUERY",
                                        [DNS_OPT_MQTYPE_RESPONSE] = "MQTYPE-RESPONSE"};
    const char *name = code < sizeof(names) / sizeof(names[0]) ? names[code] : NULL;
    if (name) {
        dns_puts(t, name);
    } else {
        dns_lit(t, "OPT=");
        dns_put_u64(t, code);
    }
    dns_putc(t, ':');
}

/* Control characters as dots; what lies above ASCII as it is if `utf8`. */
static void put_readable(struct dns_text *t, struct td_slice s, bool utf8)
{
    for (size_t i = 0; i < s.n && !t->full; i++) {
        uint8_t c = s.p[i];
        dns_putc(t, c < 0x20 || c == 0x7f || (c > 0x7f && !utf8) ? '.' : (char)c);
    }
}

/* Octets that dig does not interpret: " 67 70 (\"gp\")". */
static void put_opaque(struct dns_text *t, struct td_slice s)
{
    for (size_t i = 0; i < s.n && !t->full; i++) {
        dns_putc(t, ' ');
        dns_put_hex(t, td_sub(s, i, i + 1), false, false);
    }
    if (s.n == 0)
        return;
    dns_lit(t, " (\"");
    put_readable(t, s, false);
    dns_lit(t, "\")");
}

/* "1 day 2 hours": every unit that is not zero. */
static void put_duration(struct dns_text *t, uint32_t seconds)
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } units[] = {{604800, " week"}, {86400, " day"}, {3600, " hour"}, {60, " minute"}, {1, " second"}};
    uint32_t left = seconds;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint32_t n = left / units[i].seconds;
        left %= units[i].seconds;
        if (n == 0 && !(seconds == 0 && units[i].seconds == 1))
            continue;
        if (left + n * units[i].seconds < seconds)
            dns_putc(t, ' ');
        dns_put_u64(t, n);
        dns_puts(t, units[i].name);
        if (n != 1)
            dns_putc(t, 's');
    }
}

bool dns_put_client_subnet(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    uint8_t address[16] = {0};
    unsigned family = td_be16(&c), source = td_u8(&c), scope = td_u8(&c);
    size_t size = family == 1 ? 4 : family == 2 ? 16 : 0, n = td_left(&c);
    if (c.failed || family > 2 || source > size * 8 || scope > size * 8 || n != (source + 7) / 8)
        return false;
    if (n)
        memcpy(address, td_claim_bytes(&c, n), n);
    if (family == 0)
        dns_putc(t, '0');
    else if (family == 1)
        dns_put_ipv4(t, address);
    else
        dns_put_ipv6(t, address);
    dns_putc(t, '/');
    dns_put_u64(t, source);
    dns_putc(t, '/');
    dns_put_u64(t, scope);
    return true;
}

/* draft-sekar-dns-llq-06, later RFC 8764 section 3.2. */
static void put_llq(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    dns_lit(t, " Version: ");
    dns_put_u64(t, td_be16(&c));
    dns_lit(t, ", Opcode: ");
    dns_put_u64(t, td_be16(&c));
    dns_lit(t, ", Error: ");
    dns_put_u64(t, td_be16(&c));
    dns_lit(t, ", Identifier: ");
    dns_put_u64(t, td_be64(&c));
    dns_lit(t, ", Lifetime: ");
    dns_put_u64(t, td_be32(&c));
}

/* RFC 8914 section 2. */
static void put_extended_error(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    unsigned code = td_be16(&c);
    const char *name = dns_extended_error_name(code);
    dns_putc(t, ' ');
    dns_put_u64(t, code);
    if (name) {
        dns_lit(t, " (");
        dns_puts(t, name);
        dns_putc(t, ')');
    }
    if (td_left(&c)) {
        dns_lit(t, ": (");
        put_readable(t, td_rest(&c), true);
        dns_putc(t, ')');
    }
}

/* RFC 9664 section 4: seconds. */
static void put_lease(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    dns_lit(t, " Lease: ");
    dns_put_u64(t, td_be32(&c));
    if (td_left(&c)) {
        dns_lit(t, ", Key lease: ");
        dns_put_u64(t, td_be32(&c));
    }
}

/* Algorithms that are understood: RFC 6975 section 3. */
static void put_algorithms(struct dns_text *t, struct td_slice value)
{
    for (size_t i = 0; i < value.n && !t->full; i++) {
        dns_puts(t, i ? ", " : " ");
        dns_put_u64(t, value.p[i]);
    }
}

/* A name that is the whole value, not compressed. */
static bool put_name(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    size_t start = t->n;
    dns_putc(t, ' ');
    dns_read_name(td_sub(value, 0, 0), &c, t); /* there is nothing that a pointer could point to */
    bool good = !c.failed && td_left(&c) == 0;
    if (!good)
        t->n = start;
    return good;
}

/* RFC 9660 section 2.1: how many labels of the name asked for are the zone's, and its version. */
static void put_zone_version(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    dns_lit(t, " Labels: ");
    dns_put_u64(t, td_u8(&c));
    unsigned kind = td_u8(&c);
    if (kind == 0 && td_left(&c) == 4) {
        dns_lit(t, ", SOA-SERIAL: ");
        dns_put_u64(t, td_be32(&c));
        return;
    }
    dns_lit(t, ", Type: ");
    dns_put_u64(t, kind);
    dns_lit(t, ", Version: ");
    dns_put_hex(t, td_rest(&c), false, false);
}

static void put_types(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    while (td_left(&c) && !t->full) {
        dns_putc(t, ' ');
        dns_put_type(t, td_be16(&c));
    }
}

/* RFC 8145 section 4.1. */
static void put_key_tags(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    for (bool first = true; td_left(&c) && !t->full; first = false) {
        dns_puts(t, first ? " " : ", ");
        dns_put_u64(t, td_be16(&c));
    }
}

/* RFC 7314 section 2. */
static void put_expire(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    uint32_t seconds = td_be32(&c);
    dns_putc(t, ' ');
    dns_put_u64(t, seconds);
    dns_lit(t, " (");
    put_duration(t, seconds);
    dns_putc(t, ')');
}

/* RFC 7828 section 3.1: tenths of a second. */
static void put_keepalive(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    unsigned tenths = td_be16(&c);
    dns_putc(t, ' ');
    dns_put_u64(t, tenths / 10);
    dns_putc(t, '.');
    dns_put_u64(t, tenths % 10);
    dns_lit(t, " secs");
}

static void put_cookie(struct dns_text *t, struct td_slice value)
{
    dns_putc(t, ' ');
    dns_put_hex(t, value, false, false);
}

static void put_padding(struct dns_text *t, struct td_slice value)
{
    if (value.n == 0)
        return;
    dns_lit(t, " (");
    dns_put_u64(t, value.n);
    dns_lit(t, " bytes)");
}

static void put_tag(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    dns_putc(t, ' ');
    dns_put_u64(t, td_be16(&c));
}

static bool put_subnet(struct dns_text *t, struct td_slice value)
{
    size_t start = t->n;
    dns_putc(t, ' ');
    if (dns_put_client_subnet(t, value))
        return true;
    t->n = start;
    return false;
}

typedef void put_fn(struct dns_text *t, struct td_slice value);

/* How a value of `n` bytes is written; NULL if the option has no form of its own, or the length does not fit it. */
static put_fn *form_of(unsigned code, size_t n)
{
    switch (code) {
    case DNS_OPT_LLQ: return n == 18 ? put_llq : NULL;
    case DNS_OPT_UPDATE_LEASE: return n == 4 || n == 8 ? put_lease : NULL;
    case DNS_OPT_DAU:
    case DNS_OPT_DHU:
    case DNS_OPT_N3U: return put_algorithms;
    case DNS_OPT_EXPIRE: return n == 4 ? put_expire : NULL;
    case DNS_OPT_COOKIE: return put_cookie;
    case DNS_OPT_KEEPALIVE: return n == 2 ? put_keepalive : NULL;
    case DNS_OPT_PADDING: return put_padding;
    case DNS_OPT_KEY_TAG: return n && n % 2 == 0 ? put_key_tags : NULL;
    case DNS_OPT_EXTENDED_ERROR: return n >= 2 ? put_extended_error : NULL;
    case DNS_OPT_CLIENT_TAG:
    case DNS_OPT_SERVER_TAG: return n == 2 ? put_tag : NULL;
    case DNS_OPT_ZONEVERSION: return n >= 2 ? put_zone_version : NULL;
    case DNS_OPT_MQTYPE_QUERY:
    case DNS_OPT_MQTYPE_RESPONSE: return n % 2 == 0 ? put_types : NULL;
    default: return NULL;
    }
}

bool dns_next_option(struct td_cursor *c, struct dns_option *ret)
{
    if (c->failed || td_left(c) == 0)
        return false;
    ret->code = td_be16(c);
    size_t n = td_be16(c);
    ret->value = td_take(c, n);
    return !c->failed;
}

void dns_put_option(struct dns_text *t, const struct dns_option *option)
{
    put_fn *put = form_of(option->code, option->value.n);
    put_option_name(t, option->code);
    if (put) {
        put(t, option->value);
        return;
    }
    if (option->code == DNS_OPT_CLIENT_SUBNET && put_subnet(t, option->value))
        return;
    if ((option->code == DNS_OPT_CHAIN || option->code == DNS_OPT_REPORT_CHANNEL) && put_name(t, option->value))
        return;
    put_opaque(t, option->value);
}

bool dns_extended_error(const struct dns_option *option, unsigned *ret_code)
{
    if (option->code != DNS_OPT_EXTENDED_ERROR || option->value.n < 2)
        return false;
    *ret_code = (unsigned)option->value.p[0] << 8 | option->value.p[1];
    return true;
}

static void put_flags(struct dns_text *t, const struct dns_record *r)
{
    unsigned flags = dns_edns_flags(r), reserved = flags & ~(unsigned)(DNS_DO | DNS_CO);
    dns_lit(t, ", flags:");
    if (flags & DNS_DO)
        dns_lit(t, " do");
    if (flags & DNS_CO)
        dns_lit(t, " co");
    dns_lit(t, "; ");
    if (reserved) {
        uint8_t octets[2] = {(uint8_t)(reserved >> 8), (uint8_t)reserved};
        dns_lit(t, "MBZ: 0x");
        dns_put_hex(t, td_bytes(octets, 2), false, false);
        dns_lit(t, ", ");
    }
    dns_lit(t, "udp: ");
    dns_put_u64(t, r->cls);
}

void dns_put_edns(struct dns_text *t, const struct dns_record *r, struct td_slice rdata)
{
    struct td_cursor c = td_cursor(rdata);
    dns_lit(t, "; EDNS: version: ");
    dns_put_u64(t, r->ttl >> 16 & 0xff);
    put_flags(t, r);
    struct td_cursor before = c;
    struct dns_option option;
    for (; !t->full && dns_next_option(&c, &option); before = c) {
        dns_lit(t, "; ");
        dns_put_option(t, &option);
    }
    if (c.failed) {
        dns_lit(t, "; malformed: ");
        dns_put_hex(t, td_rest(&before), false, false);
    }
}
