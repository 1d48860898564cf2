/* Reading headers, names and records, whole and damaged; when a zone transfer is over. */
#include "../../../plugins/dissectors/dns/dns_parse.h"
#include "../../../plugins/dissectors/dns/dns_transfer.h"
#include "tap.h"

#include <stdlib.h>

/* Bytes behind which the allocation ends, so that a read too far is found by AddressSanitizer. */
static struct td_slice fresh(const void *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    memcpy(copy, p, n);
    return td_bytes(copy, n);
}

static void release(struct td_slice s)
{
    free((void *)(uintptr_t)s.p);
}

/* The name at `at` as text, "!" if it is bad; *ret_pos is where the cursor ends. */
static const char *name_text(struct td_slice message, size_t at, bool plain, size_t *ret_pos)
{
    static char buffer[DNS_NAME_TEXT + 1];
    struct dns_text t = dns_text(buffer, DNS_NAME_TEXT);
    struct td_cursor c = td_cursor(message);
    td_seek(&c, at);
    if (plain)
        dns_read_plain_name(message, &c, &t);
    else
        dns_read_name(message, &c, &t);
    *ret_pos = td_pos(&c);
    buffer[t.n] = 0;
    return c.failed || t.full ? "!" : buffer;
}

struct name_case {
    const char *what;
    const char *bytes;
    size_t n, at, end;
    const char *text, *plain;
};
#define BYTES(literal) literal, sizeof(literal) - 1

static const struct name_case names[] = {
    {"the root", BYTES("\0"), 0, 1, ".", "."},
    {"a name", BYTES("\3wWw\1X\0"), 0, 7, "wWw.X.", "www.x"},
    {"special characters", BYTES("\x0d\"$().;@\\ -_\x7f\xff\0"), 0, 15, "\\\"\\$\\(\\)\\.\\;\\@\\\\\\032-_\\127\\255.",
     "\\\"\\$\\(\\)\\.\\;\\@\\\\\\032-_\\127\\255"},
    {"a zero octet", BYTES("\2a\0\0"), 0, 4, "a\\000.", "a\\000"},
    {"a pointer back", BYTES("\1a\0\1b\xc0\0"), 3, 7, "b.a.", "b.a"},
    {"a pointer to a pointer", BYTES("\1a\0\xc0\0\1b\xc0\3"), 5, 9, "b.a.", "b.a"},
    {"a pointer forward", BYTES("\1a\xc0\4\1b\0"), 0, 4, "a.b.", "a.b"},
    {"a pointer to itself", BYTES("\xc0\0"), 0, 0, "!", "!"},
    {"two pointers to each other", BYTES("\xc0\2\xc0\0"), 0, 0, "!", "!"},
    {"a loop with labels", BYTES("\1a\xc0\0"), 0, 0, "!", "!"},
    {"a pointer out of the message", BYTES("\1a\xc0\x20"), 0, 0, "!", "!"},
    {"half a pointer", BYTES("\1a\xc0"), 0, 0, "!", "!"},
    {"half a label", BYTES("\3ab"), 0, 0, "!", "!"},
    {"no end", BYTES("\1a"), 0, 0, "!", "!"},
    {"an extended label", BYTES("\x41\1a\0"), 0, 0, "!", "!"},
    {"a label of kind 10", BYTES("\x81\1a\0"), 0, 0, "!", "!"},
    {"nothing", BYTES(""), 0, 0, "!", "!"},
};

static void test_names(void)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct name_case *n = &names[i];
        struct td_slice message = fresh(n->bytes, n->n);
        size_t end;
        is_str(name_text(message, n->at, false, &end), n->text, "%s", n->what);
        if (n->text[0] != '!')
            is_int(end, n->end, "%s: ends in the right place", n->what);
        is_str(name_text(message, n->at, true, &end), n->plain, "%s, plain", n->what);
        release(message);
    }
}

/* A name of `n` octets on the wire (4 to 256), labels of up to 63. */
static size_t long_name(uint8_t *p, size_t n)
{
    size_t at = 0, left = n - 1;
    while (left) {
        size_t label = left > 64 ? 63 : left - 1;
        if (left - label - 1 == 1) /* no room for a label would be left */
            label--;
        p[at++] = (uint8_t)label;
        memset(p + at, 0xff, label);
        at += label;
        left -= label + 1;
    }
    p[at++] = 0;
    return at;
}

static void test_limits(void)
{
    uint8_t bytes[1024];
    size_t end, n = long_name(bytes, DNS_NAME_MAX);
    struct td_slice message = fresh(bytes, n);
    is_int(n, 255, "the longest name");
    is_int(strlen(name_text(message, 0, false, &end)), 4 * 250 + 4, "its octets all need escapes, and there is room");
    release(message);
    n = long_name(bytes, DNS_NAME_MAX + 1);
    message = fresh(bytes, n);
    is_str(name_text(message, 0, false, &end), "!", "a name that is one octet too long");
    release(message);

    /* Pointers, each to the one before: as many as a name may follow, and one more. */
    memset(bytes, 0, sizeof(bytes));
    for (size_t i = 1; i <= DNS_JUMPS_MAX + 1; i++) {
        size_t to = i == 1 ? 0 : 2 * (i - 1);
        bytes[2 * i] = (uint8_t)(0xc0 | to >> 8);
        bytes[2 * i + 1] = (uint8_t)to;
    }
    message = fresh(bytes, 2 * DNS_JUMPS_MAX + 4);
    is_str(name_text(message, 2 * DNS_JUMPS_MAX, false, &end), ".", "a long chain of pointers");
    is_str(name_text(message, 2 * DNS_JUMPS_MAX + 2, false, &end), "!", "a chain that is too long");
    release(message);

    char small[8];
    struct dns_text t = dns_text(small, sizeof(small));
    message = fresh("\7abcdefg\0", 9);
    struct td_cursor c = td_cursor(message);
    dns_read_name(message, &c, &t);
    ok(t.full && !c.failed && td_left(&c) == 0, "text without room is left out, and the cursor moves on");
    release(message);
}

static void test_records(void)
{
    static const uint8_t bytes[] = "\1a\0\0\x10\0\1\0\0\1\x2c\0\3\2hi";
    struct td_slice message = fresh(bytes, sizeof(bytes) - 1);
    struct td_cursor c = td_cursor(message);
    struct dns_record r = dns_read_record(&c);
    ok(!c.failed && td_left(&c) == 0, "a record");
    ok(r.type == 16 && r.cls == 1 && r.ttl == 300 && r.rdata == 13 && r.rdata_n == 3 && r.owner == 0, "its fields");
    release(message);
    for (size_t n = 0; n < sizeof(bytes) - 1; n++) {
        message = fresh(bytes, n);
        c = td_cursor(message);
        dns_read_record(&c);
        ok(c.failed, "a record that is cut after %zu bytes", n);
        release(message);
    }
    struct dns_header h = {.count = {1, 1, 0, 0}};
    ok(dns_counts_fit(&h, 28) && !dns_counts_fit(&h, 27), "counts are held against the size");
}

/* An answer with so many SOA records (serials) and, where a serial is 0, A records. */
static bool transfer_step(struct dns_transfer *t, const uint32_t *serials, unsigned n)
{
    uint8_t bytes[512];
    size_t at = DNS_HEADER_SIZE;
    struct dns_header h = {.flags = DNS_QR, .count = {0, (uint16_t)n, 0, 0}};
    memset(bytes, 0, sizeof(bytes));
    for (unsigned i = 0; i < n; i++) {
        bool soa = serials[i] != 0;
        bytes[at + 2] = soa ? 6 : 1;
        bytes[at + 4] = 1;
        bytes[at + 10] = soa ? 22 : 4;
        for (int b = 0; b < 4 && soa; b++)
            bytes[at + 13 + (size_t)b] = (uint8_t)(serials[i] >> (24 - 8 * b));
        at += soa ? 33 : 15;
    }
    return dns_transfer_goes_on(t, td_bytes(bytes, at), &h, DNS_HEADER_SIZE);
}

static struct dns_transfer transfer(unsigned type, uint32_t client_serial)
{
    uint8_t bytes[64] = {0};
    struct dns_header h = {.count = {1, 0, client_serial ? 1 : 0, 0}};
    struct dns_transfer t;
    size_t at = DNS_HEADER_SIZE;
    bytes[at + 2] = 6;
    bytes[at + 4] = 1;
    bytes[at + 10] = 22;
    for (int b = 0; b < 4; b++)
        bytes[at + 13 + (size_t)b] = (uint8_t)(client_serial >> (24 - 8 * b));
    dns_transfer_begin(&t, td_bytes(bytes, at + 33), &h, type, DNS_HEADER_SIZE);
    return t;
}

#define STEP(t, ...) transfer_step((t), (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void test_transfers(void)
{
    enum { A = 0, AXFR = 252, IXFR = 251 };
    struct dns_transfer t = transfer(1, 0);
    ok(!STEP(&t, 7), "an ordinary query has one answer");
    t = transfer(AXFR, 0);
    ok(STEP(&t, 7, A) && STEP(&t, A, A) && !STEP(&t, A, 7), "AXFR: until the second SOA");
    t = transfer(AXFR, 0);
    ok(STEP(&t, 7) && !STEP(&t, 7), "AXFR: one record in a message");
    t = transfer(AXFR, 0);
    ok(STEP(&t, A) && STEP(&t, A, A) && !STEP(&t, A, 7) && t.headless, "AXFR: whose first message is lost, until the next SOA");
    t = transfer(IXFR, 0);
    ok(!STEP(&t, A, 7) && t.headless, "IXFR: whose first message is lost: nothing is known");
    t = transfer(IXFR, 7);
    ok(!STEP(&t, 7), "IXFR: nothing new");
    t = transfer(IXFR, 0xffffffffu);
    ok(STEP(&t, 1) && STEP(&t, 0xffffffffu, A, 1, A) && !STEP(&t, 1), "IXFR: differences, the serial having wrapped");
    t = transfer(IXFR, 5);
    ok(STEP(&t, 7, 5, A, 6, A, 6, A) && STEP(&t, 7, A) && !STEP(&t, 7), "IXFR: two sets of differences");
    t = transfer(IXFR, 5);
    ok(STEP(&t, 7, A, A) && !STEP(&t, A, 7), "IXFR: answered with the whole zone");
}

int main(void)
{
    test_names();
    test_limits();
    test_records();
    test_transfers();
    return tap_done();
}
