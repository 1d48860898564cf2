/* One DNS message as the connection's code sees it, and how it becomes fields of a call.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include "dns_names.h"
#include "dns_parse.h"
#include "dns_plausible.h"

/* Rows of the component's field table. */
enum dns_field {
    F_ID,
    F_OPCODE,
    F_OPCODE_NAME,
    F_RCODE,
    F_RCODE_NAME,
    F_STATUS_CODE,
    F_VARIANT,
    F_QUESTION_TYPES,
    F_QUESTIONS,
    F_QUESTION_CLASSES,
    F_ANSWERS,
    F_REQUEST,
    F_RESPONSE,
    F_REQUEST_LENGTH,
    F_RESPONSE_LENGTH,
    F_TOTAL_SIZE,
    F_RETRANSMISSIONS,
    F_RESPONSE_MESSAGES,
    F_DUPLICATE,
    F_TRUNCATED,
    F_CLIENT_SUBNET,
    F_EXTENDED_ERRORS,
    F_REQUEST_FLAGS,
    F_RESPONSE_FLAGS,
    F_REQUEST_COUNTS,
    F_RESPONSE_COUNTS,
    F_REQUEST_OPTIONS,
    F_RESPONSE_OPTIONS,
    F_REQUEST_DSO,
    F_RESPONSE_DSO,
    F_REQUEST_ANSWERS, /* the sections in the order of the message, first of a query and then of a response */
    F_REQUEST_AUTHORITY,
    F_REQUEST_ADDITIONAL,
    F_RESPONSE_ANSWERS,
    F_RESPONSE_AUTHORITY,
    F_RESPONSE_ADDITIONAL,
    F_REQUEST_PREREQUISITES, /* in an UPDATE these stand for answers and authority */
    F_REQUEST_UPDATES,
    F_RESPONSE_PREREQUISITES,
    F_RESPONSE_UPDATES,
    DNS_FIELDS
};
extern const struct td_field dns_fields[DNS_FIELDS];

struct dns_message {
    struct td_slice bytes;
    struct dns_header header;
    enum dns_variant variant;
    bool question_whole; /* all questions could be read */
    bool records_whole;  /* so could all records' frames */
    bool cache_flush;    /* some record has the bit (RFC 6762 section 10.2) */
    bool unicast_wanted; /* some question has the bit (RFC 6762 section 5.4) */
    bool has_opt;        /* an OPT record is there */
    unsigned rcode;      /* with the upper bits of an OPT record */
    unsigned type, cls;  /* of the first question */
    uint64_t key;        /* of opcode and questions: equal for equal ones whatever their letters' case; 0: none were read */
    size_t questions_at, records_at;
    struct dns_record opt; /* the first one */
    size_t name_n;
    char name[DNS_NAME_TEXT]; /* of the first question, plain form; contents undefined beyond name_n */
};

/* Reads all but the records' data, as far as that is there. False if there is no header. */
bool dns_message_read(struct dns_message *m, struct td_slice bytes, enum dns_variant variant);

/* What somebody wants to see, asked once for each connection. */
struct dns_wants {
    bool records;  /* any of the sections, or the answers' data */
    uint64_t mask; /* bit by field */
};
_Static_assert(DNS_FIELDS <= 64, "a bit for each field");
struct dns_wants dns_wants(const struct td_host *host, struct td_conn *conn);

/* Where to write: the call and what limits its size. */
struct dns_call_writer {
    const struct td_host *host;
    struct td_conn *conn;
    struct td_call *call;
    const struct dns_wants *wants;
    size_t text_max; /* bytes of record text in one call */
    size_t *text;    /* bytes so far */
};

/* Sets id, opcode and questions: once for each call, from the first message that it has. */
void dns_set_question(const struct dns_call_writer *w, const struct dns_message *m);

/* Sets flags, counts, rcode, EDNS options and records of a query or a response. False if not everything could be read or kept. */
bool dns_set_content(const struct dns_call_writer *w, const struct dns_message *m);

#endif
