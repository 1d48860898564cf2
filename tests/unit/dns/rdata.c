/* Record data as text: the same as dig's for each type (vectors.h), safe for each cut, and never more than there is room. */
#include "../../../plugins/dissectors/dns/dns_edns.h"
#include "../../../plugins/dissectors/dns/dns_rdata.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

struct vector {
    uint16_t type, cls;
    uint32_t ttl;
    const char *hex, *text;
};
#include "vectors.h"

/* What dig (BIND 9.18) has no form for: by RFC 9461, 9540, 9953, 9824 and others. */
static const struct vector newer[] = {
    {64, 1, 300, "000100000700102f646e732d71756572797b3f646e737d", "1 . dohpath=\"/dns-query{?dns}\""},
    {64, 1, 300, "000100000000040007000800080000", "1 . mandatory=dohpath,ohttp ohttp"},
    {65, 1, 300, "00010000090004001d11ec", "1 . tls-supported-groups=29,4588"},
    {64, 1, 300, "000100000a000903646e7304612c625c", "1 . docpath=\"dns,a\\\\,b\\\\\\\\\""},
    {64, 1, 300, "000100000a0000", "1 . docpath"},
    {64, 1, 300, "000100000b0000000c000178", "1 . pvd key12=\"x\""},
    {64, 1, 300, "00010000070000", "\\# 7 00010000070000"},
    {64, 1, 300, "0001000008000178", "\\# 8 0001000008000178"},
    {64, 1, 300, "0001000009000100", "\\# 8 0001000009000100"},
    {64, 1, 300, "000100000a000100", "\\# 8 000100000A000100"},
    {64, 1, 300, "000100000b000178", "\\# 8 000100000B000178"},
    {64, 1, 300, "00010000090000", "\\# 7 00010000090000"},
    {263, 1, 300, "016103622063", "\"a\" \"b c\""},
    {264, 1, 300, "0000000100000002", "4294967298"},
    {264, 1, 300, "00000001", "\\# 4 00000001"},
    {47, 1, 300, "017a04746573740000110000000000000000000000000000000080", "z.test. NXNAME"},
    {37, 1, 300, "0001000211aa", "PKIX 2 SM2SM3 qg=="},
};

static const struct vector newer_options[] = {
    {41, 1232, 0, "0002000400000e10", "; EDNS: version: 0, flags:; udp: 1232; UPDATE-LEASE: Lease: 3600"},
    {41, 1232, 0, "0002000800000e1000001c20", "; EDNS: version: 0, flags:; udp: 1232; UPDATE-LEASE: Lease: 3600, Key lease: 7200"},
    {41, 1232, 0, "000200020e10", "; EDNS: version: 0, flags:; udp: 1232; UPDATE-LEASE: 0e 10 (\"..\")"},
    {41, 1232, 0, "00050002080d", "; EDNS: version: 0, flags:; udp: 1232; DAU: 8, 13"},
    {41, 1232, 0, "0006000102", "; EDNS: version: 0, flags:; udp: 1232; DHU: 2"},
    {41, 1232, 0, "0007000101", "; EDNS: version: 0, flags:; udp: 1232; N3U: 1"},
    {41, 1232, 0, "00070000", "; EDNS: version: 0, flags:; udp: 1232; N3U:"},
    {41, 1232, 0, "000d000b0474617065047465737400", "; EDNS: version: 0, flags:; udp: 1232; CHAIN: tape.test."},
    {41, 1232, 0, "000d000c047461706504746573740000",
     "; EDNS: version: 0, flags:; udp: 1232; CHAIN: 04 74 61 70 65 04 74 65 73 74 00 00 (\".tape.test..\")"},
    {41, 1232, 0, "0012000e0265720474617065047465737400", "; EDNS: version: 0, flags:; udp: 1232; REPORT-CHANNEL: er.tape.test."},
    {41, 1232, 0, "0012000100", "; EDNS: version: 0, flags:; udp: 1232; REPORT-CHANNEL: ."},
    {41, 1232, 0, "00120002c000", "; EDNS: version: 0, flags:; udp: 1232; REPORT-CHANNEL: c0 00 (\"..\")"},
    {41, 1232, 0, "0012000101", "; EDNS: version: 0, flags:; udp: 1232; REPORT-CHANNEL: 01 (\".\")"},
    {41, 1232, 0, "00130000", "; EDNS: version: 0, flags:; udp: 1232; ZONEVERSION:"},
    {41, 1232, 0, "00130006020078958e71", "; EDNS: version: 0, flags:; udp: 1232; ZONEVERSION: Labels: 2, SOA-SERIAL: 2023067249"},
    {41, 1232, 0, "001300040301aabb", "; EDNS: version: 0, flags:; udp: 1232; ZONEVERSION: Labels: 3, Type: 1, Version: aabb"},
    {41, 1232, 0, "0013000102", "; EDNS: version: 0, flags:; udp: 1232; ZONEVERSION: 02 (\".\")"},
    {41, 1232, 0, "00140004001c0041", "; EDNS: version: 0, flags:; udp: 1232; MQTYPE-QUERY: AAAA HTTPS"},
    {41, 1232, 0, "00150002001c", "; EDNS: version: 0, flags:; udp: 1232; MQTYPE-RESPONSE: AAAA"},
    {41, 1232, 0, "0015000100", "; EDNS: version: 0, flags:; udp: 1232; MQTYPE-RESPONSE: 00 (\".\")"},
    {41, 1232, 0, "000f00020019", "; EDNS: version: 0, flags:; udp: 1232; EDE: 25 (Signature Expired before Valid)"},
    {41, 1232, 0, "000f0002001e", "; EDNS: version: 0, flags:; udp: 1232; EDE: 30 (Invalid Query Type)"},
    {41, 1232, 0, "000f00020023", "; EDNS: version: 0, flags:; udp: 1232; EDE: 35 (Blocked by Upstream DNS Server)"},
    {41, 1232, 0, "000f00020024", "; EDNS: version: 0, flags:; udp: 1232; EDE: 36"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { TEXT = 70000, MAX_DATA = 1024 };
static const char owner[] = "\5Owner\0";

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* A message that is just this record's owner and data, `n` bytes of it, in an allocation of exactly that size. */
static struct td_slice message_of(const struct vector *v, size_t n, struct dns_record *ret_record)
{
    uint8_t *bytes = malloc(sizeof(owner) - 1 + n);
    if (!bytes)
        abort();
    memcpy(bytes, owner, sizeof(owner) - 1);
    for (size_t i = 0; i < n; i++)
        bytes[sizeof(owner) - 1 + i] = (uint8_t)(digit(v->hex[2 * i]) << 4 | digit(v->hex[2 * i + 1]));
    *ret_record = (struct dns_record){0, v->type, v->cls, v->ttl, sizeof(owner) - 1, (uint16_t)n};
    return td_bytes(bytes, sizeof(owner) - 1 + n);
}

static void release(struct td_slice s)
{
    free((void *)(uintptr_t)s.p);
}

static const char *text_of(const struct vector *v, size_t n, char *out, size_t room)
{
    struct dns_record r;
    struct td_slice message = message_of(v, n, &r);
    struct dns_text t = dns_text(out, room);
    if (v->type == DNS_OPT)
        dns_put_edns(&t, &r, td_sub(message, r.rdata, message.n));
    else
        dns_put_rdata(&t, message, &r);
    release(message);
    out[t.n] = 0;
    return out;
}

static bool generic_fits(const char *text, size_t n)
{
    char begin[32];
    snprintf(begin, sizeof(begin), "\\# %zu", n);
    return strncmp(text, begin, strlen(begin)) == 0;
}

static void test_vectors(char *out)
{
    for (size_t i = 0; i < COUNT(records); i++) {
        const struct vector *v = &records[i];
        const char *name = dns_type_name(v->type);
        is_str(text_of(v, strlen(v->hex) / 2, out, TEXT - 1), v->text, "%s (%u), class %u", name ? name : "TYPE", v->type, v->cls);
    }
    for (size_t i = 0; i < COUNT(options); i++)
        is_str(text_of(&options[i], strlen(options[i].hex) / 2, out, TEXT - 1), options[i].text, "OPT %s", options[i].hex);
}

static void test_newer(char *out)
{
    for (size_t i = 0; i < COUNT(newer); i++)
        is_str(text_of(&newer[i], strlen(newer[i].hex) / 2, out, TEXT - 1), newer[i].text, "type %u, %s", newer[i].type, newer[i].hex);
    for (size_t i = 0; i < COUNT(newer_options); i++)
        is_str(text_of(&newer_options[i], strlen(newer_options[i].hex) / 2, out, TEXT - 1), newer_options[i].text, "OPT %s",
               newer_options[i].hex);
}

/* IANA, "Domain Name System (DNS) Parameters": each number that has a name, and no other. */
static void test_names(void)
{
    static const unsigned types[][2] = {{1, 53}, {55, 68}, {99, 109}, {128, 128}, {249, 264}, {32768, 32769}};
    unsigned wrong = 0;
    for (unsigned type = 0; type < 65536; type++) {
        bool named = false;
        for (size_t i = 0; i < COUNT(types); i++)
            named = named || (type >= types[i][0] && type <= types[i][1]);
        wrong += named != (dns_type_name(type) != NULL);
    }
    is_int(wrong, 0, "types");
    wrong = 0;
    for (unsigned code = 0; code < 65536; code++)
        wrong += (dns_extended_error_name(code) != NULL) != (code <= 35);
    is_int(wrong, 0, "extended errors");
    ok(dns_rcode_name(23) && !dns_rcode_name(24), "response codes");
    ok(dns_algorithm_name(17) && dns_algorithm_name(23) && !dns_algorithm_name(18) && !dns_algorithm_name(255), "algorithms");
}

/* Cut data is either still whole by its own rules, or in the generic form; AddressSanitizer watches the reads. */
static void test_cuts(char *out)
{
    unsigned generic = 0, typed = 0;
    for (size_t i = 0; i < COUNT(records); i++)
        for (size_t n = 0; n < strlen(records[i].hex) / 2; n++)
            generic_fits(text_of(&records[i], n, out, TEXT - 1), n) ? generic++ : typed++;
    for (size_t i = 0; i < COUNT(newer); i++)
        for (size_t n = 0; n < strlen(newer[i].hex) / 2; n++)
            (void)text_of(&newer[i], n, out, TEXT - 1);
    for (size_t i = 0; i < COUNT(newer_options); i++)
        for (size_t n = 0; n < strlen(newer_options[i].hex) / 2; n++)
            (void)text_of(&newer_options[i], n, out, TEXT - 1);
    ok(generic > 1000 && typed > 500, "cut data: %u generic, %u still typed", generic, typed);
    for (size_t i = 0; i < COUNT(options); i++)
        for (size_t n = 0; n < strlen(options[i].hex) / 2; n++)
            (void)text_of(&options[i], n, out, TEXT - 1);
    ok(strstr(text_of(&options[4], 3, out, TEXT - 1), "; malformed: 000100") != NULL, "an option that is cut says so");
}

static void test_room(char *out)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT(records); i++) {
        size_t need = strlen(records[i].text);
        for (size_t room = 0; room < need; room++) {
            out[room] = '#';
            const char *text = text_of(&records[i], strlen(records[i].hex) / 2, out, room);
            wrong += text[0] != 0 && !generic_fits(text, strlen(records[i].hex) / 2);
        }
    }
    is_int(wrong, 0, "without room nothing, or the shorter generic form, is written");
}

static void test_lines(char *out)
{
    static const struct vector a = {DNS_A, DNS_IN, 60, "c6336407", NULL}, flush = {DNS_A, 0x8001, 60, "c6336407", NULL},
                               none = {DNS_A, DNS_CLASS_ANY, 0, "", NULL};
    struct dns_record r;
    struct td_slice message = message_of(&a, 4, &r);
    struct dns_text t = dns_text(out, TEXT);
    ok(dns_put_record(&t, message, &r, false), "a record");
    is_mem(t.p, t.n, "Owner.\t60\tIN\tA\t198.51.100.7", 27, "its line");
    r.owner = message.n;
    ok(!dns_put_record(&t, message, &r, false) && t.n == 27, "without an owner nothing is written");
    release(message);
    message = message_of(&flush, 4, &r);
    t.n = 0;
    ok(dns_put_record(&t, message, &r, true), "a multicast record");
    is_mem(t.p, t.n, "Owner.\t60\tIN\tA\t198.51.100.7", 27, "its class without the top bit");
    t.n = 0;
    ok(dns_put_record(&t, message, &r, false), "the same elsewhere");
    is_mem(t.p, t.n, "Owner.\t60\tCLASS32769\tA\t\\# 4 C6336407", 36, "its class and data are unknown");
    release(message);
    message = message_of(&none, 0, &r);
    t.n = 0;
    ok(dns_put_record(&t, message, &r, false), "an update that deletes a set");
    is_mem(t.p, t.n, "Owner.\t0\tANY\tA\t", 15, "has no data");
    release(message);
    ok(dns_rdata_is_name(DNS_CNAME) && dns_rdata_is_name(DNS_PTR) && !dns_rdata_is_name(DNS_MX) && !dns_rdata_is_name(65280),
       "data that is just a name");
}

/* Type bitmaps grow most: 34 bytes become 2,560. What does not fit is written in the generic form. */
static void test_growth(void)
{
    enum { ROOM = 300000, N = 60000 };
    uint8_t *bytes = calloc(1, N + 1);
    char *out = malloc(ROOM);
    if (!bytes || !out)
        abort();
    for (size_t i = 2; i + 34 <= N; i += 34) {
        bytes[i] = (uint8_t)(i / 34);
        bytes[i + 1] = 32;
        memset(bytes + i + 2, 0xff, 32);
    }
    struct dns_record r = {0, DNS_NSEC, DNS_IN, 0, 1, (uint16_t)(1 + (N - 2) / 34 * 34)};
    struct dns_text t = dns_text(out, ROOM);
    dns_put_rdata(&t, td_bytes(bytes, N + 1), &r);
    ok(t.n > N && !t.full && memcmp(out, "\\# ", 3) == 0, "more text than fits: generic");
    free(out);
    free(bytes);
}

int main(void)
{
    char *out = malloc(TEXT);
    if (!out)
        return 1;
    test_vectors(out);
    test_newer(out);
    test_names();
    test_cuts(out);
    test_room(out);
    test_lines(out);
    test_growth();
    free(out);
    return tap_done();
}
