/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_dso.h"

#include "dns_rdata.h"

enum tlv_type {
    TLV_KEEPALIVE = 1,
    TLV_RETRY_DELAY = 2,
    TLV_PADDING = 3,
    TLV_SUBSCRIBE = 0x40,
    TLV_PUSH = 0x41,
    TLV_UNSUBSCRIBE = 0x42,
    TLV_RECONFIRM = 0x43
};

static void put_type_name(struct dns_text *t, unsigned type)
{
    switch (type) {
    case TLV_KEEPALIVE: dns_lit(t, "Keepalive"); break;
    case TLV_RETRY_DELAY: dns_lit(t, "Retry Delay"); break;
    case TLV_PADDING: dns_lit(t, "Encryption Padding"); break;
    case TLV_SUBSCRIBE: dns_lit(t, "SUBSCRIBE"); break;
    case TLV_PUSH: dns_lit(t, "PUSH"); break;
    case TLV_UNSUBSCRIBE: dns_lit(t, "UNSUBSCRIBE"); break;
    case TLV_RECONFIRM: dns_lit(t, "RECONFIRM"); break;
    default: dns_lit(t, "DSO-TYPE-"); dns_put_u64(t, type);
    }
}

/* Milliseconds: RFC 8490 section 7.1. */
static void put_keepalive(struct dns_text *t, struct td_cursor *c)
{
    dns_lit(t, "inactivity ");
    dns_put_u64(t, td_be32(c));
    dns_lit(t, " ms, interval ");
    dns_put_u64(t, td_be32(c));
    dns_lit(t, " ms");
}

/* A name, type and class, as of a question: RFC 8765 section 6.2. */
static void put_subscription(struct dns_text *t, struct td_slice message, struct td_cursor *c)
{
    dns_read_name(message, c, t);
    dns_putc(t, ' ');
    unsigned type = td_be16(c), cls = td_be16(c);
    dns_put_class(t, cls);
    dns_putc(t, ' ');
    dns_put_type(t, type);
}

/* The record that may be wrong: RFC 8765 section 6.5. */
static void put_reconfirmed(struct dns_text *t, struct td_slice message, struct td_cursor *c)
{
    struct dns_record r = {0};
    dns_read_name(message, c, t);
    r.type = td_be16(c);
    r.cls = td_be16(c);
    r.rdata = td_pos(c);
    r.rdata_n = (uint16_t)td_left(c);
    td_skip(c, td_left(c));
    dns_putc(t, ' ');
    dns_put_class(t, r.cls);
    dns_putc(t, ' ');
    dns_put_type(t, r.type);
    dns_putc(t, ' ');
    if (!c->failed && !t->full)
        dns_put_rdata(t, message, &r);
}

/* Records, with commas between them; a TTL of 2^32-1 or 2^32-2 says that they are gone: RFC 8765 section 6.3. */
static void put_pushed(struct dns_text *t, struct td_slice message, struct td_cursor *c)
{
    for (bool first = true; td_left(c) && !t->full; first = false) {
        struct dns_record r = dns_read_record(c);
        dns_puts(t, first ? "" : ", ");
        if (c->failed || t->full || !dns_put_record(t, message, &r, false))
            c->failed = true;
    }
}

static void put_data(struct dns_text *t, struct td_slice message, struct td_cursor *c, unsigned type)
{
    switch (type) {
    case TLV_KEEPALIVE: put_keepalive(t, c); break;
    case TLV_RETRY_DELAY:
        dns_put_u64(t, td_be32(c));
        dns_lit(t, " ms");
        break;
    case TLV_PADDING:
        dns_put_u64(t, td_left(c));
        dns_lit(t, " bytes");
        td_skip(c, td_left(c));
        break;
    case TLV_SUBSCRIBE: put_subscription(t, message, c); break;
    case TLV_PUSH: put_pushed(t, message, c); break;
    case TLV_UNSUBSCRIBE: dns_put_u64(t, td_be16(c)); break;
    case TLV_RECONFIRM: put_reconfirmed(t, message, c); break;
    default: c->failed = true;
    }
}

bool dns_next_tlv(struct td_cursor *c, struct dns_tlv *ret)
{
    if (c->failed || td_left(c) == 0)
        return false;
    ret->type = td_be16(c);
    ret->n = td_be16(c);
    ret->at = td_pos(c);
    td_skip(c, ret->n);
    return !c->failed;
}

void dns_put_tlv(struct dns_text *t, struct td_slice message, const struct dns_tlv *tlv)
{
    struct td_cursor c = td_cursor(td_sub(message, 0, tlv->at + tlv->n));
    td_seek(&c, tlv->at);
    put_type_name(t, tlv->type);
    if (tlv->n == 0 && tlv->type != TLV_PADDING)
        return;
    dns_lit(t, ": ");
    size_t start = t->n;
    put_data(t, message, &c, tlv->type);
    if (!c.failed && td_left(&c) == 0 && !t->full)
        return;
    t->n = start;
    t->full = false;
    dns_put_hex(t, td_sub(message, tlv->at, tlv->at + tlv->n), false, false);
}
