/* Reading DNS messages (RFC 1035 section 4): header, names, questions, records. Pure: no state, no allocation.
 *
 * Every message is hostile. Names are read with a bound on their length and on the pointers that they follow; the
 * counts in the header are only upper limits, the message's end is what stops a walk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_PARSE_H
#define DNS_PARSE_H

#include "dns_text.h"

#include <tapedeck/cursor.h>

enum {
    DNS_HEADER_SIZE = 12,
    DNS_QUESTION_MIN = 5, /* a root name, type, class */
    DNS_RECORD_MIN = 11,  /* a root name, type, class, TTL, length */
    DNS_NAME_MAX = 255,   /* octets on the wire, length octets and root included (RFC 1035 section 2.3.4) */
    DNS_LABEL_MAX = 63,
    DNS_JUMPS_MAX = 128, /* compression pointers in one name; a name has at most 127 labels */
    DNS_NAME_TEXT = 1024 /* holds every name as text: each octet at most as \DDD */
};

/* Bits of the header's second word; what is left are the opcode (bits 11 to 14) and the rcode (0 to 3). */
enum dns_flag {
    DNS_QR = 0x8000,
    DNS_AA = 0x0400,
    DNS_TC = 0x0200,
    DNS_RD = 0x0100,
    DNS_RA = 0x0080,
    DNS_Z = 0x0040,
    DNS_AD = 0x0020,
    DNS_CD = 0x0010
};

/* Also the index into dns_header.count. An UPDATE calls them zone, prerequisites, updates, additional (RFC 2136). */
enum dns_section { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL, DNS_SECTIONS };

struct dns_header {
    uint16_t id, flags;
    uint16_t count[DNS_SECTIONS];
};

struct dns_record {
    size_t owner; /* where its name begins in the message */
    uint16_t type, cls;
    uint32_t ttl;
    size_t rdata; /* where its data begins in the message */
    uint16_t rdata_n;
};

static inline unsigned dns_header_opcode(const struct dns_header *h)
{
    return h->flags >> 11 & 15;
}

static inline unsigned dns_header_rcode(const struct dns_header *h)
{
    return h->flags & 15;
}

/* Fails the cursor if there are fewer than 12 bytes. */
struct dns_header dns_read_header(struct td_cursor *c);

/* Can the counts be true for a message of `n` bytes? */
bool dns_counts_fit(const struct dns_header *h, size_t n);

/* Skips a name, without looking at what a pointer in it points to. */
void dns_skip_name(struct td_cursor *c);

/* Reads a name, and writes it to `t` (NULL: only checks it) as dig does: with a final dot, special characters as \c or
 * \DDD. Pointers are resolved in `message` and may go forward (which RFC 1035 does not allow) as long as they end.
 * On a bad name the cursor fails and `t` is as before. */
void dns_read_name(struct td_slice message, struct td_cursor *c, struct dns_text *t);

/* The same with letters in lower case and no final dot, the root being ".": one form for all spellings of a name. */
void dns_read_plain_name(struct td_slice message, struct td_cursor *c, struct dns_text *t);

/* Reads a record's frame. The cursor fails if anything of it is missing. */
struct dns_record dns_read_record(struct td_cursor *c);

#endif
