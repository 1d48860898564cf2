/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_transfer.h"

#include "dns_names.h"

/* The serial follows two names (RFC 1035 section 3.3.13). False if the data is malformed. */
static bool read_serial(struct td_slice message, const struct dns_record *r, uint32_t *ret_serial)
{
    struct td_cursor c = td_cursor(td_sub(message, 0, r->rdata + r->rdata_n));
    td_seek(&c, r->rdata);
    dns_skip_name(&c);
    dns_skip_name(&c);
    uint32_t serial = td_be32(&c);
    if (c.failed)
        return false;
    *ret_serial = serial;
    return true;
}

void dns_transfer_begin(struct dns_transfer *t, struct td_slice query, const struct dns_header *h, unsigned type, size_t records)
{
    memset(t, 0, sizeof(*t));
    t->kind = type == DNS_AXFR ? DNS_TRANSFER_FULL : type == DNS_IXFR ? DNS_TRANSFER_INCREMENTAL : DNS_TRANSFER_NONE;
    if (t->kind != DNS_TRANSFER_INCREMENTAL || h->count[DNS_ANSWER] || h->count[DNS_AUTHORITY] != 1)
        return;
    struct td_cursor c = td_cursor(query);
    td_seek(&c, records);
    struct dns_record soa = dns_read_record(&c);
    t->client_known = !c.failed && soa.type == DNS_SOA && read_serial(query, &soa, &t->client_serial);
}

/* Serial numbers live on a circle (RFC 1982 section 3.2). */
static bool newer(uint32_t a, uint32_t b)
{
    return a != b && a - b < 0x80000000u;
}

/* An SOA opens and closes a full transfer. Differences have the new one three times: first of all, before the last
 * additions, and last of all (RFC 1995 section 4). True if it closes. */
static bool closes(struct dns_transfer *t, uint32_t serial)
{
    if (t->records == 1) {
        t->serial = serial;
        t->soas = 1;
        return false;
    }
    if (t->records == 2 && t->kind == DNS_TRANSFER_INCREMENTAL)
        t->incremental = serial != t->serial;
    if (t->incremental && serial != t->serial)
        return false;
    return ++t->soas == (t->incremental ? 3 : 2);
}

bool dns_transfer_goes_on(struct dns_transfer *t, struct td_slice answer, const struct dns_header *h, size_t records)
{
    struct td_cursor c = td_cursor(answer);
    if (t->kind == DNS_TRANSFER_NONE || dns_header_rcode(h) || h->count[DNS_ANSWER] == 0)
        return false;
    td_seek(&c, records);
    for (unsigned i = 0; i < h->count[DNS_ANSWER]; i++) {
        struct dns_record r = dns_read_record(&c);
        uint32_t serial;
        if (c.failed)
            return true; /* damaged: what follows still belongs to it */
        t->records++;
        t->headless |= t->records == 1 && r.type != DNS_SOA;
        if (t->headless) { /* the next SOA closes a full transfer; of differences nothing is known */
            if (r.type == DNS_SOA || t->kind == DNS_TRANSFER_INCREMENTAL)
                return false;
            continue;
        }
        if (r.type != DNS_SOA)
            continue;
        if (!read_serial(answer, &r, &serial) || closes(t, serial))
            return false;
    }
    /* A lone SOA tells an IXFR's client that it has nothing to fetch (RFC 1995 section 2), or is the first of many. */
    if (t->records == 1 && t->kind == DNS_TRANSFER_INCREMENTAL)
        return t->client_known && newer(t->serial, t->client_serial);
    return true;
}
