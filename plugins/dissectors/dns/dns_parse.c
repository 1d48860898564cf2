/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_parse.h"

enum { LABEL_KIND = 0xc0, POINTER = 0xc0, POINTER_OFFSET = 0x3fff };

struct dns_header dns_read_header(struct td_cursor *c)
{
    struct dns_header h = {0};
    const uint8_t *p = td_claim_bytes(c, DNS_HEADER_SIZE);
    if (!p)
        return h;
    h.id = (uint16_t)(p[0] << 8 | p[1]);
    h.flags = (uint16_t)(p[2] << 8 | p[3]);
    for (int i = 0; i < DNS_SECTIONS; i++)
        h.count[i] = (uint16_t)(p[4 + 2 * i] << 8 | p[5 + 2 * i]);
    return h;
}

bool dns_counts_fit(const struct dns_header *h, size_t n)
{
    size_t records = (size_t)h->count[DNS_ANSWER] + h->count[DNS_AUTHORITY] + h->count[DNS_ADDITIONAL];
    return DNS_HEADER_SIZE + (size_t)h->count[DNS_QUESTION] * DNS_QUESTION_MIN + records * DNS_RECORD_MIN <= n;
}

void dns_skip_name(struct td_cursor *c)
{
    size_t length = 0;
    for (;;) {
        uint8_t n = td_u8(c);
        if (c->failed || n == 0)
            return;
        if ((n & LABEL_KIND) == POINTER) {
            td_skip(c, 1);
            return;
        }
        length += 1u + n;
        /* 01 and 10 begin label types that never came into use (RFC 6891 section 5). */
        if (n > DNS_LABEL_MAX || length >= DNS_NAME_MAX)
            c->failed = true;
        td_skip(c, n);
    }
}

/* How a character of a label is written: as it is, after a backslash, or as \DDD. RFC 1035 section 5.1 leaves the choice;
 * this is dig's. */
enum { PLAIN, BACKSLASH, DECIMAL };

static const uint8_t escapes[256] = {
    [0 ... ' '] = DECIMAL, ['"'] = BACKSLASH, ['$'] = BACKSLASH, ['('] = BACKSLASH,  [')'] = BACKSLASH,
    ['.'] = BACKSLASH,     [';'] = BACKSLASH, ['@'] = BACKSLASH, ['\\'] = BACKSLASH, [0x7f ... 0xff] = DECIMAL,
};

static void put_label(struct dns_text *t, const uint8_t *label, size_t n, bool lower)
{
    if (t->cap - t->n < 4 * n + 1) {
        t->full = true;
        return;
    }
    char *p = t->p + t->n;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = lower ? td_ascii_lower(label[i]) : label[i];
        if (escapes[c] != PLAIN)
            *p++ = '\\';
        if (escapes[c] == DECIMAL) {
            *p++ = (char)('0' + c / 100);
            *p++ = (char)('0' + c / 10 % 10);
            c = (uint8_t)('0' + c % 10);
        }
        *p++ = (char)c;
    }
    *p++ = '.';
    t->n = (size_t)(p - t->p);
}

static void read_name(struct td_slice message, struct td_cursor *c, struct dns_text *t, bool lower)
{
    struct td_cursor at = *c; /* where labels are read; leaves `c` at the first pointer */
    size_t length = 1, start = t ? t->n : 0;
    int jumps = 0;
    for (;;) {
        uint8_t n = td_u8(&at);
        if ((n & LABEL_KIND) == POINTER) {
            size_t to = ((size_t)n << 8 | td_u8(&at)) & POINTER_OFFSET;
            if (at.failed || jumps == DNS_JUMPS_MAX)
                goto bad;
            if (jumps++ == 0)
                *c = at;
            at = td_cursor(message);
            td_seek(&at, to);
            continue;
        }
        length += 1u + n;
        const uint8_t *label = n ? td_claim_bytes(&at, n) : NULL;
        if (at.failed || n > DNS_LABEL_MAX || (n && length > DNS_NAME_MAX))
            goto bad;
        if (n == 0)
            break;
        if (t)
            put_label(t, label, n, lower);
    }
    if (jumps == 0)
        *c = at;
    if (t && t->n == start)
        dns_putc(t, '.');
    return;
bad:
    c->failed = true;
    if (t)
        t->n = start;
}

void dns_read_name(struct td_slice message, struct td_cursor *c, struct dns_text *t)
{
    read_name(message, c, t, false);
}

void dns_read_plain_name(struct td_slice message, struct td_cursor *c, struct dns_text *t)
{
    size_t start = t->n;
    read_name(message, c, t, true);
    if (t->n > start + 1)
        t->n--;
}

struct dns_record dns_read_record(struct td_cursor *c)
{
    struct dns_record r = {0};
    r.owner = td_pos(c);
    dns_skip_name(c);
    const uint8_t *p = td_claim_bytes(c, 10);
    if (!p)
        return r;
    r.type = (uint16_t)(p[0] << 8 | p[1]);
    r.cls = (uint16_t)(p[2] << 8 | p[3]);
    r.ttl = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7];
    r.rdata_n = (uint16_t)(p[8] << 8 | p[9]);
    r.rdata = td_pos(c);
    td_skip(c, r.rdata_n);
    return r;
}
