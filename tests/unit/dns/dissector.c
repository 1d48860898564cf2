/* The DNS dissector as the core drives it: datagrams and streams in, calls out. */
#include "message.h"
#include "mock_host.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_dns;

enum { UDP = 17, TCP = 6, MS = 1000000, DNS_HEADER = 12 };

struct session {
    struct mock m;
    char summary[16384];
};

static struct session *begin_options(int transport, unsigned port, uint32_t flags, unsigned options)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    ok(mock_init(&s->m, &td_plugin_v1_dns, options), "the component starts");
    struct td_flow flow = {.size = sizeof(flow),
                           .flags = flags,
                           .ip = {{198, 51, 100, 1}, {198, 51, 100, 2}},
                           .port = {40000, 53},
                           .ip_version = 4,
                           .transport = (uint8_t)transport};
    if (port != 53) {
        flow.port[0] = flow.port[1] = (uint16_t)port;
        memcpy(flow.ip[1], "\xe0\0\0\xfb", 4);
    }
    mock_open_flow(&s->m, &flow);
    return s;
}

static struct session *begin(int transport)
{
    return begin_options(transport, 53, 0, MOCK_VIOLATIONS);
}

static void send_at(struct session *s, int64_t ms, int dir, struct built b)
{
    s->m.now_ns = ms * MS;
    mock_datagram(&s->m, dir, built_slice(&b), 0);
}

/* The fields that tests look at, one call after the other: "call|dns_id: 1|dns_rcode: 0|...|". */
static const char *summarise(struct session *s, const char *text)
{
    static const char *const wanted[] = {
        "  dns_id: ",   "  dns_rcode: ", "  dns_questions: ",       "  dns_answers: ",   "  request: ",
        "  response: ", "  flags: ",     "  dns_retransmissions: ", "  dns_duplicate: ", "  dns_response_messages: "};
    size_t at = 0, line_n, room = sizeof(s->summary) - 1;
    for (const char *line = text; *line; line += line_n + (line[line_n] == '\n')) {
        line_n = strcspn(line, "\n");
        bool keep = line[0] != ' ';
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            keep = keep || strncmp(line, wanted[i], strlen(wanted[i])) == 0;
        const char *from = line[0] == ' ' ? line + 2 : line;
        size_t n = line_n - (size_t)(from - line);
        if (!keep || at + n + 2 > room)
            continue;
        memcpy(s->summary + at, from, n);
        s->summary[at + n] = '|';
        at += n + 1;
    }
    s->summary[at] = 0;
    return s->summary;
}

static const char *end(struct session *s)
{
    mock_close(&s->m, TD_CLOSE_END);
    ok(!s->m.fault, "the contract is kept%s%s", s->m.fault ? ": " : "", s->m.fault ? s->m.fault : "");
    return summarise(s, buf_cstr(&s->m.out));
}

static void discard(struct session *s)
{
    mock_clear(&s->m);
    free(s);
}

#define ENDS(s, expected, what)         \
    do {                                \
        is_str(end(s), expected, what); \
        discard(s);                     \
    } while (0)

/* ---- UDP -------------------------------------------------------------------------------------------------------- */

static void test_pairs(void)
{
    struct session *s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1, TD_SERVER, answer(1, "a.test"));
    ENDS(s, "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 0-24|response: 0-46|",
         "a query and its answer");
    s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "A.tesT"));
    send_at(s, 1, TD_CLIENT, query(2, "b.test"));
    send_at(s, 2, TD_SERVER, answer(2, "b.test"));
    send_at(s, 3, TD_SERVER, answer(1, "a.TEST"));
    ENDS(s,
         "call|dns_id: 2|dns_rcode: 0|dns_questions: b.test|dns_answers: 198.51.100.7|request: 24-48|response: 0-46|"
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 0-24|response: 46-92|",
         "answers in another order, letters in another case");
    s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1, TD_CLIENT, query(1, "b.test"));
    send_at(s, 2, TD_SERVER, answer(1, "b.test"));
    ENDS(s,
         "call|dns_id: 1|dns_rcode: 0|dns_questions: b.test|dns_answers: 198.51.100.7|request: 24-48|response: 0-46|"
         "call|dns_id: 1|dns_questions: a.test|request: 0-24|",
         "an id that is used for another question");
    s = begin(UDP);
    send_at(s, 0, TD_SERVER, answer(1, "a.test"));
    ENDS(s, "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|response: 0-46|", "an answer without its query");
    s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1, TD_SERVER, header(1, 0x8181, 0, 0, 0, 0));
    ENDS(s, "call|dns_id: 1|dns_rcode: 1|dns_questions: a.test|request: 0-24|response: 0-12|", "an answer without a question");
}

static void test_repeats(void)
{
    struct session *s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1000, TD_CLIENT, query(2, "b.test"));
    send_at(s, 2000, TD_CLIENT, query(1, "a.test"));
    send_at(s, 2001, TD_SERVER, answer(1, "a.test"));
    ENDS(s,
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|dns_retransmissions: 1|request: 0-24,48-72|"
         "response: 0-46|call|dns_id: 2|dns_questions: b.test|request: 24-48|",
         "a query that is sent again");
    s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1, TD_SERVER, answer(1, "a.test"));
    send_at(s, 2, TD_SERVER, answer(1, "a.test"));
    send_at(s, 500, TD_SERVER, answer(1, "a.test"));
    ENDS(s,
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 0-24|response: 0-46|"
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|dns_duplicate: 1|response: 46-92|"
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|response: 92-138|",
         "an answer that comes twice at once, and again later");
    s = begin(UDP);
    for (int i = 0; i < 2; i++) {
        send_at(s, 10 * i, TD_CLIENT, query(1, "a.test"));
        send_at(s, 10 * i + 1, TD_SERVER, answer(1, "a.test"));
    }
    ENDS(s,
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 0-24|response: 0-46|"
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 24-48|response: 46-92|",
         "the same again is another call");
}

static void test_waiting(void)
{
    struct session *s = begin(UDP);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 30001, TD_CLIENT, query(2, "b.test"));
    is_str(summarise(s, buf_cstr(&s->m.out)), "call|dns_id: 1|dns_questions: a.test|request: 0-24|", "a query waits for half a minute");
    send_at(s, 30002, TD_SERVER, answer(1, "a.test"));
    is_int(s->m.committed, 2, "a later answer is a call of its own");
    (void)end(s);
    discard(s);

    s = begin(UDP);
    mock_option(&s->m, "maxPending", 2);
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1, TD_CLIENT, query(2, "b.test"));
    send_at(s, 2, TD_CLIENT, query(3, "c.test"));
    is_str(summarise(s, buf_cstr(&s->m.out)), "call|dns_id: 1|dns_questions: a.test|request: 0-24|", "the oldest gives way");
    (void)end(s);
    discard(s);
}

static void test_many(void)
{
    enum { MANY = 700 };
    struct session *s = begin_options(UDP, 53, 0, MOCK_QUIET);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MANY; i++)
            send_at(s, round, TD_CLIENT, query(i * 7, "a.test"));
        for (unsigned i = MANY; i-- > 0;)
            send_at(s, round, TD_SERVER, answer(i * 7, "a.test"));
        is_int(s->m.committed, MANY * (unsigned)(round + 1), "every query finds its answer");
        if (round == 0)
            ok(s->m.n_memory < MANY + 8, "an entry for each, and a table");
    }
    ok(s->m.n_memory < MANY + 8, "which are used again");
    (void)end(s);
    discard(s);
}

static void test_damaged(void)
{
    struct session *s = begin(UDP);
    struct built b = answer(1, "a.test");
    b.n -= 2;
    send_at(s, 0, TD_CLIENT, query(1, "a.test"));
    send_at(s, 1, TD_SERVER, b);
    ENDS(s, "violation: malformed records|call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|request: 0-24|response: 0-44|flags: partial|",
         "records that pass the end");
    s = begin(UDP);
    mock_datagram(&s->m, TD_SERVER, built_slice(&b), TD_CHUNK_CUT);
    ENDS(s, "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|response: 0-44|flags: response-cut|flags: partial|",
         "a datagram whose end was not captured");
    s = begin(UDP);
    for (size_t n = DNS_HEADER; n <= b.n; n++) {
        s->m.now_ns = (int64_t)n * 1000 * MS;
        mock_datagram(&s->m, TD_SERVER, td_bytes(b.p, n), TD_CHUNK_CUT);
    }
    is_int(s->m.committed, b.n - DNS_HEADER + 1, "each cut after the header gives a call");
    (void)end(s);
    discard(s);
    s = begin(UDP);
    for (int i = 0; i < 3; i++)
        mock_datagram(&s->m, TD_CLIENT, TD_LIT("no DNS at all, this one"), 0);
    ENDS(s, "violation: not a DNS message|violation: not a DNS message|violation: not a DNS message|claim lost|", "noise ends the claim");
}

static const char *field_of(struct session *s, const char *name)
{
    static char line[1024];
    char pattern[64];
    snprintf(pattern, sizeof(pattern), "  %s: ", name);
    const char *p = strstr(buf_cstr(&s->m.out), pattern);
    if (!p)
        return "";
    p += strlen(pattern);
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
    return line;
}

static void test_fields(void)
{
    struct session *s = begin(UDP);
    struct built q = header(9, 0x0110, 1, 0, 0, 1), a = header(9, 0x8500, 1, 1, 1, 1);
    put_question(&q, "X.test", 65, 3);
    put_record(&q, "", 41, 1232, 0x8000, "\0\12\0\10abcdefgh", 12);
    put_question(&a, "x.test", 65, 3);
    put_record(&a, "x.test", 5, 1, 60, "\1Y\4tEst\0", 8);
    put_soa(&a, 7);
    put_record(&a, "", 41, 512, 0x01000000, NULL, 0);
    send_at(s, 0, TD_CLIENT, q);
    send_at(s, 1, TD_SERVER, a);
    (void)end(s);
    is_str(field_of(s, "dns_rcode"), "16", "the rcode has the upper bits of the OPT record");
    is_str(field_of(s, "status_code"), "16", "so has the status");
    is_str(field_of(s, "dns_question_types"), "HTTPS", "type");
    is_str(field_of(s, "dns_question_classes"), "CH", "class");
    is_str(field_of(s, "dns_questions"), "x.test", "name");
    is_str(field_of(s, "dns_answers"), "y.test", "a name among the answers");
    is_str(field_of(s, "request.flags"), "rd, cd, do", "flags of the query, with its OPT record's");
    is_str(field_of(s, "request.counts"), "", "all records of the query are told");
    is_str(field_of(s, "response.counts"), "", "and of the response");
    is_str(field_of(s, "request.edns_options"), "COOKIE: 6162636465666768", "options of the query");
    is_str(field_of(s, "response.edns_options"), "", "the response has none");
    is_str(field_of(s, "dns_truncated"), "", "it is not truncated");
    is_str(field_of(s, "response.flags"), "qr, aa, rd", "flags of the response");
    is_str(field_of(s, "request.additional"), "; EDNS: version: 0, flags: do; udp: 1232; COOKIE: 6162636465666768", "EDNS");
    is_str(field_of(s, "response.answers"), "x.test.\\x0960\\x09IN\\x09CNAME\\x09Y.tEst.", "the record as a line");
    is_str(field_of(s, "response.authority"), ".\\x0960\\x09IN\\x09SOA\\x09. . 7 0 0 0 0", "authority");
    is_str(field_of(s, "dns_request_length"), "47", "size of the query");
    is_str(field_of(s, "dns_response_length"), "94", "size of the response");
    is_str(field_of(s, "dns_total_size"), "141", "both");
    is_str(field_of(s, "dns_request"), "1", "a query was seen");
    is_str(field_of(s, "dns_response"), "1", "a response too");
    discard(s);

    s = begin(UDP);
    q = header(9, 0x2800, 1, 1, 1, 0);
    put_question(&q, "zone.test", 6, 1);
    put_record(&q, "a.zone.test", 1, 254, 0, NULL, 0);
    put_record(&q, "b.zone.test", 1, 1, 60, "\xc6\x33\x64\7", 4);
    send_at(s, 0, TD_CLIENT, q);
    (void)end(s);
    is_str(field_of(s, "request.prerequisites"), "a.zone.test.\\x090\\x09NONE\\x09A\\x09", "an update's prerequisites");
    is_str(field_of(s, "request.updates"), "b.zone.test.\\x0960\\x09IN\\x09A\\x09198.51.100.7", "an update's updates");
    is_str(field_of(s, "dns_response"), "0", "there was no response");
    discard(s);
}

/* RFC 6891 section 6.1, RFC 7871, RFC 8914. */
static void test_options(void)
{
    static const char asked[] = "\0\10\0\7\0\1\x18\0\xc6\x33\x64",
                      told[] = "\0\10\0\7\0\1\x18\x10\xc6\x33\x64"
                               "\0\17\0\2\0\22\0\17\0\5\0\x17xyz\0\17\0\2\xff\0",
                      bad[] = "\0\17\0\2\0\6\0\3\0\11ns";
    struct session *s = begin(UDP);
    struct built q = header(1, 0x0100, 1, 0, 0, 1), a = header(1, 0x8305, 1, 0, 0, 2);
    put_question(&q, "a.test", 1, 1);
    put_record(&q, "", 41, 1232, 0, asked, sizeof(asked) - 1);
    put_question(&a, "a.test", 1, 1);
    put_record(&a, "", 41, 1232, 0x4000, told, sizeof(told) - 1);
    put_record(&a, "", 41, 1232, 0x10000000, NULL, 0);
    send_at(s, 0, TD_CLIENT, q);
    send_at(s, 1, TD_SERVER, a);
    (void)end(s);
    is_str(field_of(s, "dns_client_subnet"), "198.51.100.0/24/16", "the subnet that the answer is for");
    is_str(field_of(s, "dns_extended_errors"), "Prohibited, Network Error, 65280", "extended errors");
    is_str(field_of(s, "request.edns_options"), "CLIENT-SUBNET: 198.51.100.0/24/0", "options of the query");
    is_str(field_of(s, "response.edns_options"),
           "CLIENT-SUBNET: 198.51.100.0/24/16, EDE: 18 (Prohibited), EDE: 23 (Network Error): (xyz), EDE: 65280",
           "options of the response");
    is_str(field_of(s, "dns_truncated"), "1", "it was truncated");
    is_str(field_of(s, "response.flags"), "qr, tc, rd, co", "flags");
    is_str(field_of(s, "dns_rcode"), "5", "a second OPT record says nothing");
    discard(s);
    s = begin(UDP);
    a = header(1, 0x8105, 1, 0, 0, 1);
    put_question(&a, "a.test", 1, 1);
    put_record(&a, "", 41, 1232, 0, bad, sizeof(bad) - 1);
    send_at(s, 1, TD_SERVER, a);
    (void)end(s);
    is_str(field_of(s, "response.edns_options"), "EDE: 6 (DNSSEC Bogus)", "options before one that passes the end");
    like(buf_cstr(&s->m.out), "flags: partial", "the call is marked");
    discard(s);
}

/* RFC 8490 and RFC 8765: TLVs in place of records, one after the other. */
static void test_stateful(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *text, *what;
    } tlvs[] = {
#define TLV(literal, text, what) {literal, sizeof(literal) - 1, text, what}
        TLV("\0\1\0\10\0\0\x3a\x98\0\0\xea\x60\0\3\0\2\0\0",
            "Keepalive: inactivity 15000 ms, interval 60000 ms, Encryption Padding: 2 bytes", "timers and padding"),
        TLV("\0\2\0\4\0\0\0\x0a", "Retry Delay: 10 ms", "a delay"),
        TLV("\0\x40\0\12\1a\1B\0\0\x0c\0\1\0", "SUBSCRIBE: 0161014200000c000100", "a subscription whose data goes on"),
        TLV("\0\x40\0\11\1a\1B\0\0\x0c\0\1", "SUBSCRIBE: a.B. IN PTR", "a subscription"),
        TLV("\0\x41\0\x21\1a\0\0\1\0\1\0\0\0\x3c\0\4\xc6\x33\x64\7\xc0\x10\0\1\0\1\xff\xff\xff\xff\0\4\xc6\x33\x64\x08",
            "PUSH: a.\\x0960\\x09IN\\x09A\\x09198.51.100.7, a.\\x094294967295\\x09IN\\x09A\\x09198.51.100.8", "records"),
        TLV("\0\x42\0\2\0\7", "UNSUBSCRIBE: 7", "no more of it"),
        TLV("\0\x43\0\13\1a\0\0\1\0\1\xc6\x33\x64\7", "RECONFIRM: a. IN A 198.51.100.7", "a doubt"),
        TLV("\0\x63\0\2\xab\xcd", "DSO-TYPE-99: abcd", "an unknown type"),
    };
    for (size_t i = 0; i < sizeof(tlvs) / sizeof(tlvs[0]); i++) {
        struct session *s = begin(UDP);
        struct built q = header(i & 1 ? 0 : 5, 0x3000, 0, 0, 0, 0);
        memcpy(q.p + q.n, tlvs[i].bytes, tlvs[i].n);
        q.n += tlvs[i].n;
        send_at(s, 0, TD_CLIENT, q);
        is_int(s->m.committed, i & 1, "without an id it does not wait");
        send_at(s, 1, TD_SERVER, header(5, 0xb000, 0, 0, 0, 0));
        (void)end(s);
        is_str(field_of(s, "request.dso"), tlvs[i].text, "%s", tlvs[i].what);
        is_int(s->m.committed, 1 + (i & 1), "its calls");
        discard(s);
    }
}

/* What is damaged behind the header is told all the same. */
static void test_damaged_question(void)
{
    struct session *s = begin(UDP);
    struct built q = header(1, 0x0100, 1, 0, 0, 9607);
    put_question(&q, "a.test", 1, 0);
    send_at(s, 0, TD_CLIENT, q);
    q = header(2, 0x0100, 1, 0, 0, 0);
    put16(&q, 0x0361);
    send_at(s, 1, TD_CLIENT, q);
    const char *calls = end(s);
    is_str(field_of(s, "request.counts"), "1, 0, 0, 9607", "what the header counts");
    is_str(calls,
           "violation: malformed records|violation: malformed question|call|dns_id: 1|dns_questions: a.test|request: 0-24|flags: partial|"
           "call|dns_id: 2|request: 24-38|flags: partial|",
           "records that are not there, a question that is cut");
    discard(s);
}

static void test_limits(void)
{
    struct session *s = begin(UDP);
    struct built a = header(1, 0x8180, 1, 6, 0, 0);
    uint8_t text[256];
    memset(text, 'x', sizeof(text));
    text[0] = 255;
    put_question(&a, "a.test", 16, 1);
    for (int i = 0; i < 6; i++)
        put_record(&a, "a.test", 16, 1, 60, text, sizeof(text));
    mock_option(&s->m, "maxRecordText", 1024);
    send_at(s, 0, TD_SERVER, a);
    (void)end(s);
    like(buf_cstr(&s->m.out), "flags: partial", "more text than allowed is left out");
    like(field_of(s, "response.answers"), "a.test.", "what fits is there");
    discard(s);
}

static void test_multicast(void)
{
    struct session *s = begin_options(UDP, 5353, 0, MOCK_VIOLATIONS);
    struct built q = header(0, 0, 2, 0, 0, 0), a = header(0, 0x8400, 0, 1, 0, 0);
    put_question(&q, "_ipp._tcp.local", 12, 0x8001);
    put_question(&q, "B.local", 28, 1);
    put_record(&a, "b.local", 1, 0x8001, 120, "\xc6\x33\x64\7", 4);
    send_at(s, 0, TD_CLIENT, q);
    is_int(s->m.committed, 1, "a query to a group does not wait");
    is_str(field_of(s, "dns_variant"), "1", "by its port it is mDNS");
    is_str(field_of(s, "dns_questions"), "_ipp._tcp.local, b.local", "its questions");
    is_str(field_of(s, "dns_question_types"), "PTR, AAAA", "their types");
    is_str(field_of(s, "dns_question_classes"), "IN, IN", "their classes without the top bit");
    is_str(field_of(s, "request.flags"), "qu", "which is told as a flag");
    buf_reset(&s->m.out);
    send_at(s, 1000, TD_CLIENT, q);
    is_int(s->m.committed, 2, "the same query again is another one");
    buf_reset(&s->m.out);
    send_at(s, 2000, TD_CLIENT, a);
    is_str(field_of(s, "dns_answers"), "198.51.100.7", "an announcement on the same flow");
    is_str(field_of(s, "response.flags"), "qr, aa, cache-flush", "its flags");
    is_str(field_of(s, "response.answers"), "b.local.\\x09120\\x09IN\\x09A\\x09198.51.100.7", "its record");
    (void)end(s);
    discard(s);
    s = begin_options(UDP, 5355, 0, MOCK_VIOLATIONS);
    q = query(7, "host");
    send_at(s, 0, TD_CLIENT, q);
    is_str(field_of(s, "dns_variant"), "2", "LLMNR");
    is_str(field_of(s, "request.flags"), "t", "its flags have other meanings");
    (void)end(s);
    discard(s);
}

/* ---- TCP -------------------------------------------------------------------------------------------------------- */

static struct built framed(struct built b)
{
    struct built stream = {{0}, 0};
    put_framed(&stream, b);
    return stream;
}

static void feed(struct session *s, int dir, struct built stream)
{
    mock_feed(&s->m, dir, built_slice(&stream));
}

static const char pipelined[] =
    "call|dns_id: 2|dns_rcode: 0|dns_questions: bb.test|dns_answers: 198.51.100.7|request: 26-53|response: 0-50|"
    "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 0-26|response: 50-98|"
    "call|dns_id: 3|dns_rcode: 0|dns_questions: c.test|dns_answers: 198.51.100.7|request: 53-79|response: 98-146|";

static void pipeline(struct built *client, struct built *server)
{
    client->n = server->n = 0;
    put_framed(client, query(1, "a.test"));
    put_framed(client, query(2, "bb.test"));
    put_framed(client, query(3, "c.test"));
    put_framed(server, answer(2, "bb.test"));
    put_framed(server, answer(1, "a.test"));
    put_framed(server, answer(3, "c.test"));
}

static void feed_in_pieces(struct session *s, int dir, const struct built *b, size_t piece)
{
    for (size_t at = 0; at < b->n; at += piece)
        mock_feed(&s->m, dir, td_sub(td_bytes(b->p, b->n), at, at + piece));
}

static void test_pieces(void)
{
    struct built client, server;
    pipeline(&client, &server);
    for (size_t piece = 1; piece <= 150; piece = piece < 60 ? piece + 1 : piece + 30) {
        struct session *s = begin(TCP);
        feed_in_pieces(s, TD_CLIENT, &client, piece);
        feed_in_pieces(s, TD_SERVER, &server, piece);
        is_str(end(s), pipelined, "pipelined, in pieces of %zu", piece);
        discard(s);
    }
}

/* Whatever is lost, each call that does not say so is one that happened. */
static void check_honest(struct session *s, const char *what, size_t at)
{
    static const char *const happened[] = {"dns_questions: a.test|", "dns_questions: bb.test|", "dns_questions: c.test|"};
    const char *text = end(s);
    bool honest = true;
    for (const char *p = text; (p = strstr(p, "call|")); p++) {
        const char *next = strstr(p + 5, "call|");
        char one[512];
        size_t n = next ? (size_t)(next - p) : strlen(p);
        snprintf(one, sizeof(one), "%.*s", (int)n, p);
        bool known = strstr(one, "flags: ") != NULL;
        for (size_t i = 0; i < 3; i++)
            known = known || strstr(one, happened[i]);
        honest = honest && known;
    }
    ok(honest, "%s %zu: no call is made up", what, at);
    discard(s);
}

static void test_gaps(void)
{
    struct built client, server;
    unsigned recovered = 0;
    pipeline(&client, &server);
    for (size_t at = 0; at < server.n; at++) {
        struct session *s = begin(TCP);
        feed(s, TD_CLIENT, client);
        mock_feed(&s->m, TD_SERVER, td_sub(td_bytes(server.p, server.n), 0, at));
        mock_gap(&s->m, TD_SERVER, 7);
        mock_feed(&s->m, TD_SERVER, td_sub(td_bytes(server.p, server.n), at + 7, server.n));
        mock_close(&s->m, TD_CLOSE_FIN);
        recovered += at + 7 <= 98 && strstr(summarise(s, buf_cstr(&s->m.out)), "request: 53-79|response: 98-146|") != NULL;
        check_honest(s, "a gap at", at);
    }
    is_int(recovered, 92, "a gap before the last message never harms it");
    /* A bare error is not found by searching. Its place is known if the length of the message before was seen. */
    struct session *known = begin(TCP);
    server.n = 0;
    put_framed(&server, answer(1, "a.test"));
    put_framed(&server, header(2, 0x8181, 0, 0, 0, 0));
    mock_feed(&known->m, TD_SERVER, td_sub(td_bytes(server.p, server.n), 0, 20));
    mock_gap(&known->m, TD_SERVER, 10);
    mock_feed(&known->m, TD_SERVER, td_sub(td_bytes(server.p, server.n), 30, server.n));
    ENDS(known,
         "call|dns_id: 1|dns_rcode: 0|response: 0-20|flags: response-cut|flags: partial|"
         "call|dns_id: 2|dns_rcode: 1|response: 48-62|",
         "a gap within a message");
    pipeline(&client, &server);
    for (size_t at = 0; at < server.n; at++) {
        struct session *s = begin_options(TCP, 53, TD_FLOW_MIDSTREAM, MOCK_VIOLATIONS);
        feed(s, TD_CLIENT, client);
        mock_feed(&s->m, TD_SERVER, td_sub(td_bytes(server.p, server.n), at, server.n));
        check_honest(s, "from the middle at", at);
    }
    struct session *s = begin_options(TCP, 53, TD_FLOW_MIDSTREAM, MOCK_VIOLATIONS);
    mock_feed(&s->m, TD_SERVER, td_sub(td_bytes(server.p, server.n), 60, server.n));
    ENDS(s, "call|dns_id: 3|dns_rcode: 0|dns_questions: c.test|dns_answers: 198.51.100.7|response: 38-86|", "from the middle on");
}

static void test_stream_damage(void)
{
    struct session *s = begin(TCP);
    struct built b = {{0}, 0};
    put_framed(&b, query(1, "a.test"));
    memcpy(b.p + b.n, "\0\5junk that is no message", 25);
    b.n += 25;
    put_framed(&b, query(2, "b.test"));
    feed(s, TD_CLIENT, b);
    ENDS(s,
         "violation: not a DNS message|call|dns_id: 1|dns_questions: a.test|request: 0-26|"
         "call|dns_id: 2|dns_questions: b.test|request: 51-77|",
         "junk between messages is passed over");
    s = begin(TCP);
    b = framed(query(1, "a.test"));
    memcpy(b.p + b.n, "\x7f\xff\x7f\xff junk that seems long", 25);
    b.n += 25;
    put_framed(&b, query(2, "b.test"));
    feed(s, TD_CLIENT, b);
    is_int(s->m.violations, 1, "a length without a header behind it");
    feed(s, TD_SERVER, framed(answer(2, "b.test")));
    is_int(s->m.committed, 1, "is not waited for");
    (void)end(s);
    discard(s);
    s = begin(TCP);
    b = framed(query(1, "a.test"));
    b.n -= 4;
    feed(s, TD_CLIENT, b);
    ENDS(s, "call|dns_id: 1|request: 0-22|flags: request-cut|flags: partial|", "a query whose end is missing");
    s = begin(TCP);
    b = framed(query(1, "a.test"));
    b.n = 9;
    feed(s, TD_CLIENT, b);
    ENDS(s, "", "less than a header is no call");
    s = begin(TCP);
    b = framed(query(1, "a.test"));
    put_framed(&b, query(1, "a.test"));
    feed(s, TD_CLIENT, b);
    feed(s, TD_SERVER, framed(answer(1, "a.test")));
    ENDS(s,
         "call|dns_id: 1|dns_rcode: 0|dns_questions: a.test|dns_answers: 198.51.100.7|request: 0-26|response: 0-48|"
         "call|dns_id: 1|dns_questions: a.test|request: 26-52|",
         "TCP retransmits by itself: the same query twice is two queries");
}

static void test_transfer(void)
{
    struct session *s = begin(TCP);
    struct built q = header(1, 0, 1, 0, 0, 0), first = header(1, 0x8400, 1, 2, 0, 0), more = header(1, 0x8400, 0, 1, 0, 0),
                 last = header(1, 0x8400, 0, 1, 0, 0);
    put_question(&q, "", 252, 1);
    put_question(&first, "", 252, 1);
    put_soa(&first, 5);
    put_record(&first, "ns", 1, 1, 60, "\xc6\x33\x64\1", 4);
    put_record(&more, "a", 1, 1, 60, "\xc6\x33\x64\2", 4);
    put_soa(&last, 5);
    feed(s, TD_CLIENT, framed(q));
    feed(s, TD_SERVER, framed(first));
    feed(s, TD_SERVER, framed(more));
    is_int(s->m.committed, 0, "a transfer goes on");
    feed(s, TD_SERVER, framed(last));
    is_int(s->m.committed, 1, "until the second SOA");
    like(buf_cstr(&s->m.out), "dns_response_messages: 3", "it took three messages");
    is_str(field_of(s, "dns_answers"), ". . 5 0 0 0 0, 198.51.100.1, 198.51.100.2, . . 5 0 0 0 0", "with all records");
    is_str(field_of(s, "response.flags"), "qr, aa", "and the flags of the first");
    (void)end(s);
    discard(s);
    s = begin(TCP);
    feed(s, TD_CLIENT, framed(q));
    feed(s, TD_SERVER, framed(first));
    (void)end(s);
    like(buf_cstr(&s->m.out), "flags: response-cut", "a transfer that stops says so");
    discard(s);
}

static void test_memory(void)
{
    struct built client, server;
    pipeline(&client, &server);
    for (unsigned nth = 1; nth < 16; nth++) {
        struct session *s = begin_options(TCP, 53, 0, MOCK_VIOLATIONS);
        mock_close(&s->m, TD_CLOSE_END);
        discard(s);
        s = calloc(1, sizeof(*s));
        if (!s)
            abort();
        mock_init(&s->m, &td_plugin_v1_dns, 0);
        s->m.fail_alloc_at = nth;
        if (mock_open(&s->m, 0)) {
            feed(s, TD_CLIENT, client);
            feed(s, TD_SERVER, server);
        }
        check_honest(s, "memory ends at request", nth);
    }
}

int main(void)
{
    test_pairs();
    test_repeats();
    test_waiting();
    test_many();
    test_damaged();
    test_fields();
    test_options();
    test_stateful();
    test_damaged_question();
    test_limits();
    test_multicast();
    test_pieces();
    test_gaps();
    test_stream_damage();
    test_transfer();
    test_memory();
    return tap_done();
}
