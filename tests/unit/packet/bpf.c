/* Filter expressions: what matches, for which link type, and how faults are shown. */
#include "packet/bpf.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "build.h"
#include "tap.h"

static struct build b;

static struct packet packet_of(uint16_t linktype)
{
    return (struct packet){.p = build_bytes(&b), .caplen = (uint32_t)b.n, .len = (uint32_t)b.n, .linktype = linktype};
}

static void test_match(void)
{
    struct bpf *bpf = NULL;
    is_int(bpf_compile("udp port 53", &bpf, NULL), TD_OK, "compiles");
    start(&b, "payload");
    push_udp(&b, 40000, 53);
    push_ipv4(&b, 17);
    struct packet raw = packet_of(101), bare = packet_of(12), ethernet, wifi;
    ok(bpf_match(bpf, &raw), "raw IP by its number in files");
    ok(bpf_match(bpf, &bare), "raw IP by its number on the system");
    push(&b, "\0\1\2\3\4\5\0\1\2\3\4\6\x08\0", 14);
    ethernet = packet_of(1);
    ok(bpf_match(bpf, &ethernet), "Ethernet");
    ok(bpf_match(bpf, &ethernet), "and again");
    wifi = packet_of(250);
    log_set_level(TD_LOG_ERROR);
    ok(!bpf_match(bpf, &wifi), "a link type without ports matches nothing");
    ethernet.caplen = 30;
    ok(!bpf_match(bpf, &ethernet), "what was not captured does not match");
    ethernet.caplen = 0;
    ok(!bpf_match(bpf, &ethernet), "nor does nothing");
    bpf_free(bpf);

    is_int(bpf_compile("udp port 54", &bpf, NULL), TD_OK, "compiles");
    ethernet.caplen = (uint32_t)b.n;
    ok(!bpf_match(bpf, &ethernet), "another port");
    bpf_free(bpf);
    is_int(bpf_compile("", &bpf, NULL), TD_OK, "an empty expression");
    ok(bpf_match(bpf, &ethernet), "matches everything");
    bpf_free(bpf);
    is_int(bpf_compile("wlan type mgt", &bpf, NULL), TD_OK, "an expression that only 802.11 knows");
    ok(!bpf_match(bpf, &ethernet), "matches no Ethernet");
    bpf_free(bpf);
    bpf_free(NULL);
}

/* The caret's column, counted from the expression's first letter. */
static int caret(const struct error *err)
{
    const char *last = strrchr(err->text, '\n');
    return last && strchr(last, '^') ? (int)(strchr(last, '^') - last) - 3 : -1;
}

static void test_faults(void)
{
    static const struct {
        const char *expression, *words;
        int column;
    } cases[] = {
        {"tcp port 80 and and udp", "syntax error", 16},
        {"tcp prot 80", "syntax error", 4},
        {"tcp port", "syntax error", 8},
        {"(tcp and port 80", "syntax error", 16},
        {"tcp port 80 )", "syntax error", 12},
        {"tcp[tcpflags & 4) != 0", "syntax error", 16},
        {"ip[0] = ", "syntax error", 8},
        {"port foo and tcp", "unknown port 'foo'", 5},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bpf *bpf;
        struct error err = {0};
        is_int(bpf_compile(cases[i].expression, &bpf, &err), TD_E_CONFIG, "refused: %s", cases[i].expression);
        like(err.text, cases[i].words, "its words");
        like(err.text, cases[i].expression, "the expression is shown");
        is_int(caret(&err), cases[i].column, "the caret stands under the fault");
    }
    struct bpf *bpf;
    is_int(bpf_compile("tcp prot 80", &bpf, NULL), TD_E_CONFIG, "without an error to fill");
    static char endless[70000];
    memset(endless, '(', sizeof(endless) - 1);
    struct error err;
    ok(bpf_compile(endless, &bpf, &err) < 0, "an endless expression is refused");
    mem_fail_at(1);
    is_int(bpf_compile("tcp", &bpf, NULL), TD_E_NOMEM, "no memory");
    mem_fail_at(0);
}

int main(void)
{
    test_match();
    test_faults();
    return tap_done();
}
