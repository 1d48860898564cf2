/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_edns.h"

#include "dns_names.h"

enum { EDNS_DO = 0x8000, EDNS_CO = 0x4000 };

enum option {
    OPT_LLQ = 1,
    OPT_NSID = 3,
    OPT_CLIENT_SUBNET = 8,
    OPT_EXPIRE = 9,
    OPT_COOKIE = 10,
    OPT_KEEPALIVE = 11,
    OPT_PADDING = 12,
    OPT_KEY_TAG = 14,
    OPT_EXTENDED_ERROR = 15,
    OPT_CLIENT_TAG = 16,
    OPT_SERVER_TAG = 17
};

static void put_option_name(struct dns_text *t, unsigned code)
{
    dns_lit(t, "; ");
    switch (code) {
    case OPT_LLQ: dns_lit(t, "LLQ:"); break;
    case OPT_NSID: dns_lit(t, "NSID:"); break;
    case OPT_CLIENT_SUBNET: dns_lit(t, "CLIENT-SUBNET:"); break;
    case OPT_EXPIRE: dns_lit(t, "EXPIRE:"); break;
    case OPT_COOKIE: dns_lit(t, "COOKIE:"); break;
    case OPT_KEEPALIVE: dns_lit(t, "TCP KEEPALIVE:"); break;
    case OPT_PADDING: dns_lit(t, "PAD:"); break;
    case OPT_KEY_TAG: dns_lit(t, "KEY-TAG:"); break;
    case OPT_EXTENDED_ERROR: dns_lit(t, "EDE:"); break;
    case OPT_CLIENT_TAG: dns_lit(t, "CLIENT-TAG:"); break;
    case OPT_SERVER_TAG: dns_lit(t, "SERVER-TAG:"); break;
    default:
        dns_lit(t, "OPT=");
        dns_put_u64(t, code);
        dns_putc(t, ':');
    }
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

/* RFC 7871 section 6. False if it is not well-formed. */
static bool put_client_subnet(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    uint8_t address[16] = {0};
    unsigned family = td_be16(&c), source = td_u8(&c), scope = td_u8(&c);
    size_t size = family == 1 ? 4 : family == 2 ? 16 : 0, n = td_left(&c);
    if (c.failed || family > 2 || source > size * 8 || scope > size * 8 || n != (source + 7) / 8)
        return false;
    if (n)
        memcpy(address, td_claim_bytes(&c, n), n);
    dns_putc(t, ' ');
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

/* RFC 8145 section 4.1. */
static void put_key_tags(struct dns_text *t, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    for (bool first = true; td_left(&c) && !t->full; first = false) {
        dns_puts(t, first ? " " : ", ");
        dns_put_u64(t, td_be16(&c));
    }
}

/* False if the option has no form of its own, or its length does not fit it. */
static bool put_known(struct dns_text *t, unsigned code, struct td_slice value)
{
    struct td_cursor c = td_cursor(value);
    switch (code) {
    case OPT_LLQ:
        if (value.n != 18)
            return false;
        put_llq(t, value);
        return true;
    case OPT_CLIENT_SUBNET: return put_client_subnet(t, value);
    case OPT_EXPIRE: {
        if (value.n != 4)
            return false;
        uint32_t seconds = td_be32(&c);
        dns_putc(t, ' ');
        dns_put_u64(t, seconds);
        dns_lit(t, " (");
        put_duration(t, seconds);
        dns_putc(t, ')');
        return true;
    }
    case OPT_COOKIE:
        dns_putc(t, ' ');
        dns_put_hex(t, value, false, false);
        return true;
    case OPT_KEEPALIVE: {
        if (value.n != 2)
            return false;
        unsigned tenths = td_be16(&c);
        dns_putc(t, ' ');
        dns_put_u64(t, tenths / 10);
        dns_putc(t, '.');
        dns_put_u64(t, tenths % 10);
        dns_lit(t, " secs");
        return true;
    }
    case OPT_PADDING:
        if (value.n == 0)
            return true;
        dns_lit(t, " (");
        dns_put_u64(t, value.n);
        dns_lit(t, " bytes)");
        return true;
    case OPT_KEY_TAG:
        if (value.n == 0 || value.n % 2)
            return false;
        put_key_tags(t, value);
        return true;
    case OPT_EXTENDED_ERROR:
        if (value.n < 2)
            return false;
        put_extended_error(t, value);
        return true;
    case OPT_CLIENT_TAG:
    case OPT_SERVER_TAG:
        if (value.n != 2)
            return false;
        dns_putc(t, ' ');
        dns_put_u64(t, td_be16(&c));
        return true;
    default: return false;
    }
}

static void put_flags(struct dns_text *t, const struct dns_record *r)
{
    unsigned flags = r->ttl & 0xffff, reserved = flags & ~(unsigned)(EDNS_DO | EDNS_CO);
    dns_lit(t, ", flags:");
    if (flags & EDNS_DO)
        dns_lit(t, " do");
    if (flags & EDNS_CO)
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
    while (td_left(&c) && !t->full) {
        struct td_cursor option = c;
        unsigned code = td_be16(&c);
        size_t n = td_be16(&c);
        struct td_slice value = td_take(&c, n);
        if (c.failed) {
            dns_lit(t, "; malformed: ");
            dns_put_hex(t, td_rest(&option), false, false);
            break;
        }
        put_option_name(t, code);
        if (!put_known(t, code, value))
            put_opaque(t, value);
    }
}
