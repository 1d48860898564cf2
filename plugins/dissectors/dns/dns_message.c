/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_message.h"

#include "dns_dso.h"
#include "dns_edns.h"
#include "dns_rdata.h"

enum {
    MULTICAST_BIT = 0x8000,
    /* The longest text of a record: all data as \DDD or the short options of an OPT record, two names, numbers. What would be longer
     * is in the generic form. */
    RECORD_TEXT = 5 * 65535 + 2 * DNS_NAME_TEXT + 64,
    TYPE_TEXT = 16
};

#define NO_NAMES   \
    {              \
        NULL, 0, 0 \
    }
#define REQUEST_LIST (TD_F_REQUEST | TD_F_LIST)
#define RESPONSE_LIST (TD_F_RESPONSE | TD_F_LIST)

static const struct td_name variant_names[] = {{DNS_UNICAST, "dns"}, {DNS_MULTICAST, "mdns"}, {DNS_LLMNR, "llmnr"}};

const struct td_field dns_fields[DNS_FIELDS] = {
    [F_ID] = {"dns_id", TD_U64, 0, "Id that joins query and response (RFC 1035 section 4.1.1).", NO_NAMES},
    [F_OPCODE] = {"dns_opcode", TD_U64, 0, "Kind of query, as a number.", NO_NAMES},
    [F_OPCODE_NAME] = {"dns_opcode_name",
                       TD_ENUM,
                       0,
                       "Kind of query: QUERY, NOTIFY, UPDATE ...",
                       {dns_opcode_names, DNS_OPCODE_NAMES, sizeof(struct td_name)}},
    [F_RCODE] = {"dns_rcode", TD_U64, TD_F_RESPONSE, "Response code, with the upper bits of an OPT record (RFC 6891 section 6.1.3).",
                 NO_NAMES},
    [F_RCODE_NAME] = {"dns_rcode_name",
                      TD_ENUM,
                      TD_F_RESPONSE | TD_F_STATUS,
                      "Response code by name: NOERROR, NXDOMAIN ...",
                      {dns_rcode_names, DNS_RCODE_NAMES, sizeof(struct td_name)}},
    [F_STATUS_CODE] = {"status_code", TD_U64, TD_F_RESPONSE, "Response code; the same as dns_rcode.", NO_NAMES},
    [F_VARIANT] = {"dns_variant", TD_ENUM, 0, "Whose rules hold, by the port: dns, mdns (5353, RFC 6762), llmnr (5355, RFC 4795).",
                   TD_TABLE(variant_names)},
    [F_QUESTION_TYPES] = {"dns_question_types", TD_STRING, TD_F_LIST | TD_F_METHOD, "Types asked for: A, AAAA, TYPE65534 ...", NO_NAMES},
    [F_QUESTIONS] = {"dns_questions", TD_STRING, TD_F_LIST | TD_F_TARGET,
                     "Names asked for, in lower case, without the final dot; of an UPDATE the zone.", NO_NAMES},
    [F_QUESTION_CLASSES] = {"dns_question_classes", TD_STRING, TD_F_LIST, "Classes asked for: IN, CH ...", NO_NAMES},
    [F_ANSWERS] = {"dns_answers", TD_STRING, RESPONSE_LIST,
                   "Data of the answer records: addresses; names in lower case, without the final dot; others as dig prints them.",
                   NO_NAMES},
    [F_REQUEST] = {"dns_request", TD_BOOL, TD_F_REQUEST, "Was the query seen?", NO_NAMES},
    [F_RESPONSE] = {"dns_response", TD_BOOL, TD_F_RESPONSE, "Was a response seen?", NO_NAMES},
    [F_REQUEST_LENGTH] = {"dns_request_length", TD_U64, TD_F_REQUEST, "Bytes of the query's message.", NO_NAMES},
    [F_RESPONSE_LENGTH] = {"dns_response_length", TD_U64, TD_F_RESPONSE, "Bytes of the response's message, or messages.", NO_NAMES},
    [F_TOTAL_SIZE] = {"dns_total_size", TD_U64, 0, "dns_request_length + dns_response_length, in bytes.", NO_NAMES},
    [F_RETRANSMISSIONS] = {"dns_retransmissions", TD_U64, TD_F_REQUEST,
                           "How often the query was sent again before its answer; only set if it was.", NO_NAMES},
    [F_RESPONSE_MESSAGES] = {"dns_response_messages", TD_U64, TD_F_RESPONSE,
                             "Messages that a zone transfer took; only set if more than one.", NO_NAMES},
    [F_DUPLICATE] = {"dns_duplicate", TD_BOOL, TD_F_RESPONSE,
                     "The same response came 250 ms before or less: captured or delivered twice; only set if so.", NO_NAMES},
    [F_TRUNCATED] = {"dns_truncated", TD_BOOL, TD_F_RESPONSE,
                     "The answer did not fit and was cut (tc): clients ask again over TCP, which is a call of its own; only set if so.",
                     NO_NAMES},
    [F_CLIENT_SUBNET] = {"dns_client_subnet", TD_STRING, 0,
                         "For whom the answer is (RFC 7871): address, bits of it that were asked for, and bits that the answer holds for: "
                         "198.51.100.0/24/16; the response's if it has one.",
                         NO_NAMES},
    [F_EXTENDED_ERRORS] = {"dns_extended_errors", TD_STRING, RESPONSE_LIST,
                           "Extended errors by name, those without one by number (RFC 8914): Stale Answer, DNSSEC Bogus, Prohibited ...",
                           NO_NAMES},
    [F_REQUEST_FLAGS] = {"request.flags", TD_STRING, REQUEST_LIST,
                         "Flags of the query: aa tc rd ra z ad cd; of its OPT record: do co; mdns: qu, cache-flush; llmnr: c tc t.",
                         NO_NAMES},
    [F_RESPONSE_FLAGS] = {"response.flags", TD_STRING, RESPONSE_LIST,
                          "Flags of the response, as request.flags, with qr first; of a transfer those of its first message.", NO_NAMES},
    [F_REQUEST_COUNTS] = {"request.counts", TD_U64, REQUEST_LIST,
                          "Questions, answers, authority and additional records, as the query's header counts them (of an UPDATE zones, "
                          "prerequisites, updates, additional records); only set if not all of them are told.",
                          NO_NAMES},
    [F_RESPONSE_COUNTS] = {"response.counts", TD_U64, RESPONSE_LIST, "The same of the response; of a transfer those of its first message.",
                           NO_NAMES},
    [F_REQUEST_OPTIONS] = {"request.edns_options", TD_STRING, REQUEST_LIST,
                           "Options of the query's OPT record (RFC 6891), as dig prints them: COOKIE: 0102030405060708.", NO_NAMES},
    [F_RESPONSE_OPTIONS] = {"response.edns_options", TD_STRING, RESPONSE_LIST,
                            "Options of the response's OPT record: NSID, EDE ...; of a transfer those of its first message.", NO_NAMES},
    [F_REQUEST_DSO] = {"request.dso", TD_STRING, REQUEST_LIST,
                       "TLVs of a stateful operation (RFC 8490, RFC 8765): Keepalive, SUBSCRIBE, PUSH ... with their data.", NO_NAMES},
    [F_RESPONSE_DSO] = {"response.dso", TD_STRING, RESPONSE_LIST, "The same of the answer to it.", NO_NAMES},
    [F_REQUEST_ANSWERS] = {"request.answers", TD_STRING, REQUEST_LIST,
                           "Answer section of the query: name, TTL, class, type and data with tabs between them.", NO_NAMES},
    [F_REQUEST_AUTHORITY] = {"request.authority", TD_STRING, REQUEST_LIST, "Authority section of the query.", NO_NAMES},
    [F_REQUEST_ADDITIONAL] = {"request.additional", TD_STRING, REQUEST_LIST,
                              "Additional section of the query; its OPT record as dig prints it.", NO_NAMES},
    [F_RESPONSE_ANSWERS] = {"response.answers", TD_STRING, RESPONSE_LIST,
                            "Answer section: name, TTL, class, type and data with tabs between them.", NO_NAMES},
    [F_RESPONSE_AUTHORITY] = {"response.authority", TD_STRING, RESPONSE_LIST, "Authority section of the response.", NO_NAMES},
    [F_RESPONSE_ADDITIONAL] = {"response.additional", TD_STRING, RESPONSE_LIST,
                               "Additional section of the response; its OPT record as dig prints it.", NO_NAMES},
    [F_REQUEST_PREREQUISITES] = {"request.prerequisites", TD_STRING, REQUEST_LIST, "Prerequisites of an UPDATE (RFC 2136).", NO_NAMES},
    [F_REQUEST_UPDATES] = {"request.updates", TD_STRING, REQUEST_LIST, "What an UPDATE adds or deletes (RFC 2136).", NO_NAMES},
    [F_RESPONSE_PREREQUISITES] = {"response.prerequisites", TD_STRING, RESPONSE_LIST, "Prerequisites that an UPDATE's response repeats.",
                                  NO_NAMES},
    [F_RESPONSE_UPDATES] = {"response.updates", TD_STRING, RESPONSE_LIST, "Updates that an UPDATE's response repeats.", NO_NAMES}};

/* ---- Reading --------------------------------------------------------------------------------------------------- */

static bool is_response(const struct dns_message *m)
{
    return m->header.flags & DNS_QR;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* Never 0. */
static uint64_t question_key(struct td_slice name, unsigned type, unsigned cls)
{
    uint64_t h = (uint64_t)type << 32 | cls, word;
    for (; name.n >= sizeof(word); name = td_sub(name, sizeof(word), name.n)) {
        memcpy(&word, name.p, sizeof(word));
        h = mix(h, word);
    }
    word = name.n;
    memcpy(&word, name.p, name.n);
    return mix(mix(h, word), name.n) | 1;
}

static unsigned plain_class(const struct dns_message *m, unsigned cls)
{
    return m->variant == DNS_MULTICAST ? cls & ~(unsigned)MULTICAST_BIT : cls;
}

static void read_questions(struct dns_message *m, struct td_cursor *c)
{
    unsigned n = m->header.count[DNS_QUESTION], opcode = dns_header_opcode(&m->header);
    for (unsigned i = 0; i < n; i++) {
        char ignored[DNS_NAME_TEXT];
        struct dns_text name = dns_text(i ? ignored : m->name, DNS_NAME_TEXT);
        dns_read_plain_name(m->bytes, c, &name);
        unsigned type = td_be16(c), cls = td_be16(c);
        if (c->failed)
            return;
        m->unicast_wanted |= m->variant == DNS_MULTICAST && cls & MULTICAST_BIT;
        cls = plain_class(m, cls);
        if (i == 0) {
            m->name_n = name.n;
            m->type = type;
            m->cls = cls;
        }
        m->key = mix(m->key + opcode, question_key(dns_text_slice(&name), type, cls)) | 1;
    }
    m->question_whole = true;
}

/* There should be no more than one (RFC 6891 section 6.1.1). */
static void take_opt(struct dns_message *m, const struct dns_record *r)
{
    if (m->has_opt)
        return;
    m->has_opt = true;
    m->opt = *r;
    m->rcode |= dns_edns_extended_rcode(r) << 4;
}

static void read_records(struct dns_message *m, struct td_cursor *c)
{
    for (int section = DNS_ANSWER; section < DNS_SECTIONS; section++) {
        for (unsigned i = 0; i < m->header.count[section]; i++) {
            struct dns_record r = dns_read_record(c);
            if (c->failed)
                return;
            if (r.type == DNS_OPT && section == DNS_ADDITIONAL)
                take_opt(m, &r);
            else
                m->cache_flush |= m->variant == DNS_MULTICAST && r.cls & MULTICAST_BIT;
        }
    }
    m->records_whole = true;
}

bool dns_message_read(struct dns_message *m, struct td_slice bytes, enum dns_variant variant)
{
    struct td_cursor c = td_cursor(bytes);
    memset(m, 0, offsetof(struct dns_message, name));
    m->bytes = bytes;
    m->variant = variant;
    m->header = dns_read_header(&c);
    if (c.failed)
        return false;
    m->rcode = dns_header_rcode(&m->header);
    m->questions_at = td_pos(&c);
    read_questions(m, &c);
    m->records_at = td_pos(&c);
    if (m->question_whole)
        read_records(m, &c);
    return true;
}

/* ---- Fields ---------------------------------------------------------------------------------------------------- */

struct dns_wants dns_wants(const struct td_host *host, struct td_conn *conn)
{
    struct dns_wants w = {false, 0};
    for (uint32_t field = 0; field < DNS_FIELDS; field++) {
        bool costly = field == F_ANSWERS || field == F_QUESTION_CLASSES || field >= F_CLIENT_SUBNET;
        if (!costly || !host->wants(conn, field))
            continue;
        w.mask |= (uint64_t)1 << field;
        w.records = w.records || field == F_ANSWERS || field >= F_REQUEST_ANSWERS;
    }
    return w;
}

static bool wanted(const struct dns_call_writer *w, unsigned field)
{
    return w->wants->mask >> field & 1;
}

static void set_string(const struct dns_call_writer *w, unsigned field, struct td_slice s)
{
    w->host->set_bytes(w->call, field, s);
}

static void set_type(const struct dns_call_writer *w, unsigned type)
{
    char buffer[TYPE_TEXT];
    struct dns_text t = dns_text(buffer, sizeof(buffer));
    dns_put_type(&t, type);
    set_string(w, F_QUESTION_TYPES, dns_text_slice(&t));
}

static void set_class(const struct dns_call_writer *w, unsigned cls)
{
    char buffer[TYPE_TEXT];
    struct dns_text t = dns_text(buffer, sizeof(buffer));
    if (!wanted(w, F_QUESTION_CLASSES))
        return;
    dns_put_class(&t, cls);
    set_string(w, F_QUESTION_CLASSES, dns_text_slice(&t));
}

/* The questions after the first one. */
static void set_more_questions(const struct dns_call_writer *w, const struct dns_message *m)
{
    struct td_cursor c = td_cursor(m->bytes);
    td_seek(&c, m->questions_at);
    for (unsigned i = 0; i < m->header.count[DNS_QUESTION]; i++) {
        char buffer[DNS_NAME_TEXT];
        struct dns_text name = dns_text(buffer, sizeof(buffer));
        dns_read_plain_name(m->bytes, &c, &name);
        unsigned type = td_be16(&c), cls = td_be16(&c);
        if (c.failed)
            return;
        if (i == 0)
            continue;
        if ((*w->text += name.n) > w->text_max)
            return;
        set_type(w, type);
        set_string(w, F_QUESTIONS, dns_text_slice(&name));
        set_class(w, plain_class(m, cls));
    }
}

void dns_set_question(const struct dns_call_writer *w, const struct dns_message *m)
{
    unsigned opcode = dns_header_opcode(&m->header);
    w->host->set_u64(w->call, F_ID, m->header.id);
    w->host->set_u64(w->call, F_OPCODE, opcode);
    w->host->set_u64(w->call, F_OPCODE_NAME, opcode);
    w->host->set_u64(w->call, F_VARIANT, m->variant);
    if (!m->key)
        return;
    set_type(w, m->type);
    set_string(w, F_QUESTIONS, td_bytes(m->name, m->name_n));
    set_class(w, m->cls);
    if (m->header.count[DNS_QUESTION] > 1)
        set_more_questions(w, m);
}

static void set_flags(const struct dns_call_writer *w, const struct dns_message *m)
{
    static const struct {
        uint16_t bit;
        const char *name, *llmnr;
    } bits[] = {{DNS_QR, "qr", "qr"}, {DNS_AA, "aa", "c"}, {DNS_TC, "tc", "tc"}, {DNS_RD, "rd", "t"},
                {DNS_RA, "ra", "z"},  {DNS_Z, "z", "z"},   {DNS_AD, "ad", "z"},  {DNS_CD, "cd", "z"}};
    unsigned field = is_response(m) ? F_RESPONSE_FLAGS : F_REQUEST_FLAGS;
    if (!wanted(w, field))
        return;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (m->header.flags & bits[i].bit)
            set_string(w, field, td_str(m->variant == DNS_LLMNR ? bits[i].llmnr : bits[i].name));
    if (m->has_opt && dns_edns_flags(&m->opt) & DNS_DO)
        set_string(w, field, TD_LIT("do"));
    if (m->has_opt && dns_edns_flags(&m->opt) & DNS_CO)
        set_string(w, field, TD_LIT("co"));
    if (m->unicast_wanted)
        set_string(w, field, TD_LIT("qu"));
    if (m->cache_flush)
        set_string(w, field, TD_LIT("cache-flush"));
}

/* For messages that are told whole they would only repeat how many records there are, at the price of as many values. */
static void set_counts(const struct dns_call_writer *w, const struct dns_message *m)
{
    unsigned field = is_response(m) ? F_RESPONSE_COUNTS : F_REQUEST_COUNTS;
    for (int i = 0; wanted(w, field) && i < DNS_SECTIONS; i++)
        w->host->set_u64(w->call, field, m->header.count[i]);
}

static unsigned section_field(const struct dns_message *m, int section)
{
    bool response = is_response(m);
    if (dns_header_opcode(&m->header) == DNS_UPDATE && section == DNS_ANSWER)
        return response ? F_RESPONSE_PREREQUISITES : F_REQUEST_PREREQUISITES;
    if (dns_header_opcode(&m->header) == DNS_UPDATE && section == DNS_AUTHORITY)
        return response ? F_RESPONSE_UPDATES : F_REQUEST_UPDATES;
    return (unsigned)((response ? F_RESPONSE_ANSWERS : F_REQUEST_ANSWERS) + section - DNS_ANSWER);
}

/* A record's data, for dns_answers. */
static bool put_answer(struct dns_text *t, const struct dns_message *m, const struct dns_record *record)
{
    struct dns_record r = *record;
    struct td_cursor c = td_cursor(td_sub(m->bytes, 0, r.rdata + r.rdata_n));
    r.cls = (uint16_t)plain_class(m, r.cls);
    if (dns_rdata_is_name(r.type)) {
        td_seek(&c, r.rdata);
        dns_read_plain_name(m->bytes, &c, t);
        if (!c.failed && td_left(&c) == 0)
            return true;
        t->n = 0;
    }
    dns_put_rdata(t, m->bytes, &r);
    return !t->full;
}

/* Adds what is in `t` to the call if the limit allows. */
static bool keep(const struct dns_call_writer *w, unsigned field, const struct dns_text *t)
{
    *w->text += t->n;
    if (*w->text > w->text_max)
        return false;
    set_string(w, field, dns_text_slice(t));
    return true;
}

static bool set_record(const struct dns_call_writer *w, const struct dns_message *m, const struct dns_record *r, int section, char *buffer)
{
    unsigned field = section_field(m, section);
    bool good = true;
    if (field == F_RESPONSE_ANSWERS && wanted(w, F_ANSWERS)) {
        struct dns_text t = dns_text(buffer, RECORD_TEXT);
        good = put_answer(&t, m, r) && keep(w, F_ANSWERS, &t);
    }
    if (wanted(w, field)) {
        struct dns_text t = dns_text(buffer, RECORD_TEXT);
        good = dns_put_record(&t, m->bytes, r, m->variant == DNS_MULTICAST) && keep(w, field, &t) && good;
    }
    return good;
}

static bool set_records(const struct dns_call_writer *w, const struct dns_message *m)
{
    struct td_cursor c = td_cursor(m->bytes);
    char *buffer = w->host->scratch(w->conn, RECORD_TEXT);
    bool good = buffer != NULL;
    td_seek(&c, m->records_at);
    for (int section = DNS_ANSWER; buffer && section < DNS_SECTIONS; section++) {
        for (unsigned i = 0; i < m->header.count[section]; i++) {
            struct dns_record r = dns_read_record(&c);
            if (c.failed || *w->text > w->text_max)
                return false;
            good = set_record(w, m, &r, section, buffer) && good;
        }
    }
    return good;
}

static bool set_extended_error(const struct dns_call_writer *w, unsigned code)
{
    char buffer[64]; /* the longest name */
    struct dns_text t = dns_text(buffer, sizeof(buffer));
    const char *name = dns_extended_error_name(code);
    if (name)
        dns_puts(&t, name);
    else
        dns_put_u64(&t, code);
    return keep(w, F_EXTENDED_ERRORS, &t);
}

static void set_client_subnet(const struct dns_call_writer *w, struct td_slice value)
{
    char buffer[64]; /* the longest address and two numbers */
    struct dns_text t = dns_text(buffer, sizeof(buffer));
    if (dns_put_client_subnet(&t, value))
        set_string(w, F_CLIENT_SUBNET, dns_text_slice(&t));
}

/* The options of the OPT record. False if not everything could be kept. */
static bool set_options(const struct dns_call_writer *w, const struct dns_message *m)
{
    unsigned field = is_response(m) ? F_RESPONSE_OPTIONS : F_REQUEST_OPTIONS, error;
    struct td_cursor c = td_cursor(td_sub(m->bytes, m->opt.rdata, m->opt.rdata + m->opt.rdata_n));
    char *buffer = wanted(w, field) ? w->host->scratch(w->conn, RECORD_TEXT) : NULL;
    bool good = buffer || !wanted(w, field);
    for (struct dns_option option; dns_next_option(&c, &option);) {
        if (buffer) {
            struct dns_text t = dns_text(buffer, RECORD_TEXT);
            dns_put_option(&t, &option);
            good = !t.full && keep(w, field, &t) && good;
        }
        if (option.code == DNS_OPT_CLIENT_SUBNET && wanted(w, F_CLIENT_SUBNET))
            set_client_subnet(w, option.value);
        if (is_response(m) && dns_extended_error(&option, &error) && wanted(w, F_EXTENDED_ERRORS))
            good = set_extended_error(w, error) && good;
    }
    return good && !c.failed;
}

/* What a stateful operation has in place of records. False if not everything could be read or kept. */
static bool set_tlvs(const struct dns_call_writer *w, const struct dns_message *m)
{
    unsigned field = is_response(m) ? F_RESPONSE_DSO : F_REQUEST_DSO;
    struct td_cursor c = td_cursor(m->bytes);
    char *buffer = wanted(w, field) ? w->host->scratch(w->conn, RECORD_TEXT) : NULL;
    bool good = buffer || !wanted(w, field);
    td_seek(&c, DNS_HEADER_SIZE);
    for (struct dns_tlv tlv; dns_next_tlv(&c, &tlv);) {
        if (!buffer)
            continue;
        struct dns_text t = dns_text(buffer, RECORD_TEXT);
        dns_put_tlv(&t, m->bytes, &tlv);
        good = !t.full && keep(w, field, &t) && good;
    }
    return good && !c.failed;
}

bool dns_set_content(const struct dns_call_writer *w, const struct dns_message *m)
{
    bool records = m->question_whole && m->bytes.n > m->records_at && w->wants->records;
    bool good = true;
    set_flags(w, m);
    if (m->has_opt && m->opt.rdata_n)
        good = set_options(w, m);
    if (dns_header_opcode(&m->header) == DNS_DSO)
        good = set_tlvs(w, m) && good;
    if (is_response(m)) {
        if (m->header.flags & DNS_TC)
            w->host->set_u64(w->call, F_TRUNCATED, 1);
        w->host->set_u64(w->call, F_RCODE, m->rcode);
        w->host->set_u64(w->call, F_RCODE_NAME, m->rcode);
        w->host->set_u64(w->call, F_STATUS_CODE, m->rcode);
    }
    good = (!records || set_records(w, m)) && good && m->question_whole && m->records_whole;
    if (!good)
        set_counts(w, m);
    return good;
}
