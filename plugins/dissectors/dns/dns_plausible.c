/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_plausible.h"

#include "dns_names.h"

enum { FRAME_HEADER = 2 + DNS_HEADER_SIZE, FRAME_MIN = DNS_HEADER_SIZE + DNS_QUESTION_MIN, CLASS_MASK = 0x7fff, SOUND_ENOUGH = 3 };

static bool opcode_known(unsigned opcode)
{
    return opcode <= DNS_DSO && opcode != 3;
}

bool dns_header_possible(struct td_slice message, size_t whole)
{
    struct td_cursor c = td_cursor(message);
    struct dns_header h = dns_read_header(&c);
    return !c.failed && opcode_known(dns_header_opcode(&h)) && dns_counts_fit(&h, whole);
}

static bool flags_usual(const struct dns_header *h, enum dns_variant variant)
{
    if (h->flags & DNS_QR)
        return !(h->flags & DNS_Z) && dns_header_rcode(h) <= 10;
    unsigned never = DNS_AA | DNS_TC | DNS_RA | DNS_Z | 15;
    if (variant == DNS_MULTICAST)
        never &= ~(unsigned)DNS_TC; /* more known answers follow (RFC 6762 section 7.2) */
    if (variant == DNS_LLMNR || dns_header_opcode(h) == DNS_NOTIFY)
        never &= ~(unsigned)DNS_AA; /* LLMNR's conflict bit; a NOTIFY comes from an authority */
    return !(h->flags & never);
}

static bool counts_usual(const struct dns_header *h, enum dns_variant variant)
{
    unsigned questions = h->count[DNS_QUESTION], answers = h->count[DNS_ANSWER];
    if (variant == DNS_MULTICAST)
        return questions || answers;
    if (h->flags & DNS_QR)
        return questions <= 1 && dns_header_opcode(h) != DNS_DSO;
    switch (dns_header_opcode(h)) {
    case DNS_QUERY: /* IXFR brings an SOA; OPT, TSIG and SIG are additional */
        return questions == 1 && answers == 0 && h->count[DNS_AUTHORITY] <= 1 && h->count[DNS_ADDITIONAL] <= 3;
    case DNS_IQUERY: return questions == 0 && answers == 1;
    case DNS_NOTIFY: return questions == 1 && answers <= 1;
    case DNS_UPDATE: return questions == 1;
    default: return false;
    }
}

static bool class_usual(unsigned cls, enum dns_variant variant)
{
    if (variant == DNS_MULTICAST)
        cls &= CLASS_MASK;
    return dns_class_name(cls) != NULL;
}

/* What a walk over the message found. */
struct walk {
    bool first;     /* the first question is there */
    bool question;  /* so are the others */
    bool records;   /* so are the records */
    bool known;     /* all types of questions have names, or are for private use (RFC 6895 section 3.1) */
    bool usual;     /* all classes are usual */
    bool cut;       /* more was announced than is shown */
    unsigned sound; /* records that are there, of types that have names */
    size_t left;    /* bytes after the last record */
};

static struct walk walk(struct td_slice message, size_t whole, const struct dns_header *h, enum dns_variant variant)
{
    struct walk w = {.known = true, .usual = true};
    struct td_cursor c = td_cursor(message);
    td_skip(&c, DNS_HEADER_SIZE);
    for (unsigned i = 0; i < h->count[DNS_QUESTION] && !c.failed; i++) {
        dns_read_name(message, &c, NULL);
        unsigned type = td_be16(&c), cls = td_be16(&c);
        if (c.failed)
            break;
        w.first = true;
        w.known = w.known && type && (dns_type_name(type) || type >= 65280);
        w.usual = w.usual && class_usual(cls, variant);
    }
    w.question = !c.failed;
    unsigned records = (unsigned)h->count[DNS_ANSWER] + h->count[DNS_AUTHORITY] + h->count[DNS_ADDITIONAL];
    for (unsigned i = 0; i < records && !c.failed; i++) {
        struct dns_record r = dns_read_record(&c);
        if (c.failed)
            break;
        w.usual = w.usual && (r.type == DNS_OPT || class_usual(r.cls, variant));
        w.sound += dns_type_name(r.type) != NULL;
    }
    w.records = !c.failed;
    w.cut = c.failed && message.n < whole;
    w.left = c.failed ? 0 : whole - td_pos(&c);
    return w;
}

int dns_plausible(struct td_slice message, size_t whole, bool response, enum dns_variant variant)
{
    struct td_cursor c = td_cursor(message);
    struct dns_header h = dns_read_header(&c);
    unsigned opcode = dns_header_opcode(&h);
    if (c.failed || !(h.flags & DNS_QR) == response || !opcode_known(opcode))
        return DNS_NO;
    bool flags = flags_usual(&h, variant), usual = flags && counts_usual(&h, variant) && dns_counts_fit(&h, whole);
    bool empty = !(h.count[DNS_QUESTION] | h.count[DNS_ANSWER] | h.count[DNS_AUTHORITY] | h.count[DNS_ADDITIONAL]);
    if (empty) /* an error without the question, or a stateful operation (RFC 8490) */
        return (response && usual && whole == DNS_HEADER_SIZE) || (opcode == DNS_DSO && flags_usual(&h, variant)) ? DNS_WEAK : DNS_NO;
    struct walk w = walk(message, whole, &h, variant);
    bool exact = w.records && w.left == 0;
    /* What is damaged behind the header is still worth telling where DNS is expected; nobody waits for more of it. */
    bool header = flags && h.count[DNS_QUESTION] == 1 && message.n >= whole;
    if (!usual || !w.usual || !w.question)
        return header || (usual && w.usual) || (w.first && (w.usual || exact)) || (exact && w.sound) ? DNS_WEAK : DNS_NO;
    if (h.count[DNS_QUESTION] == 0)
        return exact || (w.cut && w.sound >= SOUND_ENOUGH) ? DNS_PLAUSIBLE : DNS_WEAK;
    if (exact)
        return w.known ? DNS_CERTAIN : DNS_STRONG;
    return w.cut && w.known ? DNS_STRONG : DNS_PLAUSIBLE;
}

int dns_plausible_tcp(struct td_slice stream, bool response)
{
    struct td_cursor c = td_cursor(stream);
    size_t n = td_be16(&c);
    if (c.failed)
        return -FRAME_HEADER;
    if (n < FRAME_MIN)
        return DNS_NO;
    if (stream.n < FRAME_HEADER)
        return -FRAME_HEADER;
    int score = dns_plausible(td_sub(stream, 2, 2 + n), n, response, DNS_UNICAST);
    size_t enough = n + 2 < DNS_FRAME_JUDGED ? n + 2 : DNS_FRAME_JUDGED;
    return score != DNS_NO && stream.n < enough ? -(int)enough : score;
}

size_t dns_find_frame(struct td_slice stream, bool response, size_t *ret_need)
{
    size_t at = 0, maybe = stream.n, need = FRAME_HEADER;
    *ret_need = 0;
    for (; stream.n - at >= FRAME_HEADER; at++) {
        struct td_slice rest = td_sub(stream, at, stream.n);
        size_t n = (size_t)rest.p[0] << 8 | rest.p[1];
        int score = n < FRAME_MIN ? DNS_NO : dns_plausible(td_sub(rest, 2, 2 + n), n, response, DNS_UNICAST);
        if (score >= DNS_PLAUSIBLE)
            return at;
        if (score == DNS_WEAK && maybe == stream.n && rest.n < n + 2 && rest.n < DNS_FRAME_JUDGED) {
            maybe = at;
            need = n + 2 < DNS_FRAME_JUDGED ? n + 2 : DNS_FRAME_JUDGED;
        }
    }
    *ret_need = need;
    return maybe < at ? maybe : at;
}
