/* The TLVs of stateful operations (RFC 8490) and of push notifications (RFC 8765) as text. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_DSO_H
#define DNS_DSO_H

#include "dns_parse.h"

struct dns_tlv {
    unsigned type;
    size_t at, n; /* where its data is in the message */
};

/* The next TLV of a message whose cursor stands behind the header. False at the end, and if the TLV passes the end; the cursor has
 * failed then. */
bool dns_next_tlv(struct td_cursor *c, struct dns_tlv *ret);

/* "Keepalive: inactivity 15000 ms, interval 60000 ms"; data that does not fit its type, and that of unknown types, in hex:
 * "Keepalive: 0102", "DSO-TYPE-99: 0102". */
void dns_put_tlv(struct dns_text *t, struct td_slice message, const struct dns_tlv *tlv);

#endif
