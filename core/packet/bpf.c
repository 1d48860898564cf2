#include "bpf.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "packet/bpf_program.h"

enum {
    MAX_SNAPLEN = 1 << 30, /* what a program returns for a match; anything but 0 */
    MAX_PROGRAMS = 64      /* link types in one run */
};

struct bpf {
    struct bpf_compiled programs[MAX_PROGRAMS];
    size_t n;
    struct bpf_compiled *last; /* of the packet before: most captures have one link type */
    char expression[];
};

/* Values in files that differ from those that libpcap's interface takes on this system. */
static int datalink_of(uint32_t linktype)
{
    switch (linktype) {
    case 100: return DLT_ATM_RFC1483;
    case 101: return DLT_RAW;
    case 102: return DLT_SLIP_BSDOS;
    case 103: return DLT_PPP_BSDOS;
    case 106: return DLT_ATM_CLIP;
    default: return (int)linktype;
    }
}

/* ---- Where in the expression is the fault? ---- */

static bool is_syntax_error(const char *text)
{
    return strstr(text, "syntax error") != NULL;
}

/* Is `text` the beginning of some expression? libpcap does not say where its parser gave up, so this tries endings of
 * every kind: if with one of them the parser does not complain, the beginning was right. */
static bool can_begin(pcap_t *pcap, const char *text, size_t n)
{
    static const char *const endings[] = {"", " ip", " 1", " 1.2.3.4", " 1:2:3:4:5:6", " mgt", " 1-2", ">1", "]>1", " 1]>1"};
    size_t open = 0;
    for (size_t i = 0; i < n; i++)
        open += text[i] == '(';
    for (size_t i = 0; i < n && open; i++)
        open -= text[i] == ')';
    bool possible = false;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && !possible; i++) {
        buf_reset(&b);
        buf_put(&b, text, n);
        buf_puts(&b, endings[i]);
        for (size_t k = 0; k < open; k++)
            buf_putc(&b, ')');
        struct bpf_program code;
        if (pcap_compile(pcap, &code, buf_cstr(&b), 1, PCAP_NETMASK_UNKNOWN) == 0) {
            pcap_freecode(&code);
            possible = true;
        } else {
            possible = !is_syntax_error(pcap_geterr(pcap));
        }
    }
    buf_clear(&b);
    return possible;
}

/* The end of the word or sign at `at`. */
static size_t token_end(const char *s, size_t at)
{
    static const char signs[] = " \t\n()[]!&|=<>+-*/^%";
    size_t n = strcspn(s + at, signs);
    return at + (n ? n : 1);
}

static size_t skip_blanks(const char *s, size_t at)
{
    return at + strspn(s + at, " \t\n");
}

enum { MAX_TOKENS = 64 }; /* each costs a few compilations */

/* The first word that cannot stand where it stands; the expression's end if something is missing there. */
static size_t find_syntax_fault(pcap_t *pcap, const char *s)
{
    size_t at = skip_blanks(s, 0);
    for (int i = 0; i < MAX_TOKENS && s[at]; i++) {
        size_t end = token_end(s, at);
        if (!can_begin(pcap, s, end))
            return at;
        at = skip_blanks(s, end);
    }
    return strlen(s);
}

/* The word that libpcap quotes, as in: unknown host 'x'. False if there is none. */
static bool find_quoted_word(const char *message, const char *s, size_t *ret_at)
{
    const char *open = strpbrk(message, "'\"");
    const char *close = open ? strchr(open + 1, *open) : NULL;
    if (!close || close == open + 1)
        return false;
    size_t n = (size_t)(close - open - 1);
    for (size_t i = 0; s[i]; i++)
        if (strncmp(s + i, open + 1, n) == 0) {
            *ret_at = i;
            return true;
        }
    return false;
}

static void explain(pcap_t *pcap, const char *expression, struct error *err)
{
    char message[PCAP_ERRBUF_SIZE];
    snprintf(message, sizeof(message), "%s", pcap_geterr(pcap));
    size_t at = 0;
    bool known = find_quoted_word(message, expression, &at);
    if (!known && is_syntax_error(message)) {
        at = find_syntax_fault(pcap, expression);
        known = true;
    }
    error_set(err, TD_E_CONFIG, "BPF filter: %s; pcap-filter(7) has the language\n  %s", message, expression);
    size_t n = strlen(err->text);
    if (known)
        snprintf(err->text + n, sizeof(err->text) - n, "\n  %*s", (int)at + 1, "^");
}

/* ---- Programs ---- */

/* `err` is filled if it is there and the expression does not compile. */
static bool compile(const char *expression, uint32_t linktype, struct bpf_program *code, struct error *err)
{
    pcap_t *pcap = pcap_open_dead(datalink_of(linktype), MAX_SNAPLEN);
    if (!pcap) {
        error_nomem(err);
        return false;
    }
    bool done = pcap_compile(pcap, code, expression, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (!done && err)
        explain(pcap, expression, err);
    pcap_close(pcap);
    return done;
}

static struct bpf_compiled *add_program(struct bpf *bpf, uint32_t linktype, struct error *err)
{
    struct bpf_compiled *p = &bpf->programs[bpf->n++];
    p->linktype = linktype;
    p->usable = compile(bpf->expression, linktype, &p->code, err);
    return p;
}

int bpf_compile(const char *expression, struct bpf **ret, struct error *err)
{
    /* Expressions that Ethernet does not know may be about 802.11, a firewall's log, or a cooked capture's direction. */
    static const uint32_t others[] = {127, 117, 113};
    struct error fault;
    size_t size = strlen(expression) + 1;
    struct bpf *bpf = mem_calloc(1, sizeof(*bpf) + size);
    if (!bpf)
        return error_nomem(err);
    memcpy(bpf->expression, expression, size);
    bool usable = add_program(bpf, DLT_EN10MB, &fault)->usable;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !usable; i++)
        usable = add_program(bpf, others[i], NULL)->usable;
    if (usable) {
        *ret = bpf;
        return TD_OK;
    }
    bpf_free(bpf);
    return error_set(err, fault.status, "%s", fault.text);
}

void bpf_free(struct bpf *bpf)
{
    if (!bpf)
        return;
    for (size_t i = 0; i < bpf->n; i++) {
        if (bpf->programs[i].usable)
            pcap_freecode(&bpf->programs[i].code);
        mem_free(bpf->programs[i].paths);
    }
    mem_free(bpf);
}

const char *bpf_expression(const struct bpf *bpf)
{
    return bpf->expression;
}

static struct bpf_compiled *find_program(struct bpf *bpf, uint32_t linktype)
{
    for (size_t i = 0; i < bpf->n; i++)
        if (bpf->programs[i].linktype == linktype)
            return &bpf->programs[i];
    if (bpf->n == MAX_PROGRAMS)
        return NULL;
    struct bpf_compiled *p = add_program(bpf, linktype, NULL);
    if (!p->usable)
        log_event(TD_LOG_WARN, "bpf", "the filter makes no sense for packets of link type %u; they are left out", linktype);
    return p;
}

struct bpf_compiled *bpf_compiled_for(struct bpf *bpf, uint32_t linktype)
{
    if (!bpf->last || bpf->last->linktype != linktype)
        bpf->last = find_program(bpf, linktype);
    return bpf->last;
}

bool bpf_match(struct bpf *bpf, const struct packet *packet)
{
    const struct bpf_compiled *p = bpf_compiled_for(bpf, packet->linktype);
    return p && p->usable && bpf_filter(p->code.bf_insns, packet->p, packet->len, packet->caplen) != 0;
}
