/* When is a zone transfer over? AXFR (RFC 5936) and IXFR (RFC 1995) answer one query with any number of messages, and only
 * the SOA records in them tell the end. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_TRANSFER_H
#define DNS_TRANSFER_H

#include "dns_parse.h"

struct dns_transfer {
    uint8_t kind;      /* DNS_TRANSFER_... */
    bool incremental;  /* an IXFR that answers with differences */
    bool client_known; /* an IXFR's query tells the client's serial */
    bool headless;     /* its first message was not seen */
    uint8_t soas;      /* seen so far; incremental: those with the new serial; at most 3 */
    uint64_t records;
    uint32_t serial, client_serial;
};

enum { DNS_TRANSFER_NONE, DNS_TRANSFER_FULL, DNS_TRANSFER_INCREMENTAL };

/* A query: `type` is what it asks for, `records` where its records begin. */
void dns_transfer_begin(struct dns_transfer *t, struct td_slice query, const struct dns_header *h, unsigned type, size_t records);

/* The next message of the answer. True if more must follow. Over UDP the answer is one message: do not ask. */
bool dns_transfer_goes_on(struct dns_transfer *t, struct td_slice answer, const struct dns_header *h, size_t records);

#endif
