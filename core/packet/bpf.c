#include "bpf.h"

#include <pcap/pcap.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { MAX_SNAPLEN = 1 << 30 }; /* what a program returns for a match; anything but 0 */

struct program {
    struct program *next;
    uint32_t linktype;
    struct bpf_program code;
};

struct bpf {
    struct program *programs;
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

static int explain(pcap_t *pcap, const char *expression, uint32_t linktype, struct error *err)
{
    char message[PCAP_ERRBUF_SIZE];
    snprintf(message, sizeof(message), "%s", pcap_geterr(pcap));
    const char *name = pcap_datalink_val_to_name(datalink_of(linktype));
    size_t at = 0;
    bool known = find_quoted_word(message, expression, &at);
    if (!known && is_syntax_error(message)) {
        at = find_syntax_fault(pcap, expression);
        known = true;
    }
    error_set(err, TD_E_CONFIG, "filter expression for link type %u%s%s%s: %s\n  %s", linktype, name ? " (" : "", name ? name : "",
              name ? ")" : "", message, expression);
    if (known && err) {
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof(err->text) - n, "\n  %*s", (int)at + 1, "^");
    }
    return TD_E_CONFIG;
}

/* ---- Programs ---- */

static int compile(struct bpf *bpf, uint32_t linktype, struct program **ret, struct error *err)
{
    int status = TD_OK;
    struct program *program = mem_calloc(1, sizeof(*program));
    pcap_t *pcap = pcap_open_dead(datalink_of(linktype), MAX_SNAPLEN);
    if (!program || !pcap) {
        status = error_nomem(err);
        goto fail;
    }
    if (pcap_compile(pcap, &program->code, bpf->expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
        status = explain(pcap, bpf->expression, linktype, err);
        goto fail;
    }
    pcap_close(pcap);
    program->linktype = linktype;
    program->next = bpf->programs;
    bpf->programs = program;
    *ret = program;
    return TD_OK;

fail:
    if (pcap)
        pcap_close(pcap);
    mem_free(program);
    return status;
}

int bpf_new(const char *expression, uint32_t linktype, struct bpf **ret, struct error *err)
{
    size_t n = strlen(expression) + 1;
    struct bpf *bpf = mem_alloc(sizeof(*bpf) + n);
    if (!bpf)
        return error_nomem(err);
    bpf->programs = NULL;
    memcpy(bpf->expression, expression, n);
    struct program *first;
    int status = compile(bpf, linktype, &first, err);
    if (status != TD_OK) {
        bpf_free(bpf);
        return status;
    }
    *ret = bpf;
    return TD_OK;
}

void bpf_free(struct bpf *bpf)
{
    if (!bpf)
        return;
    for (struct program *p = bpf->programs; p;) {
        struct program *next = p->next;
        pcap_freecode(&p->code);
        mem_free(p);
        p = next;
    }
    mem_free(bpf);
}

int bpf_program_for(struct bpf *bpf, uint32_t linktype, const struct bpf_program **ret, struct error *err)
{
    struct program *p = bpf->programs;
    while (p && p->linktype != linktype)
        p = p->next;
    int status = p ? TD_OK : compile(bpf, linktype, &p, err);
    if (status == TD_OK)
        *ret = &p->code;
    return status;
}

bool bpf_match(const struct bpf_program *program, const struct packet *packet)
{
    return bpf_filter(program->bf_insns, packet->p, packet->len, packet->caplen) != 0;
}
