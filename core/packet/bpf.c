#include "packet/bpf.h"

#include <pcap/pcap.h>

#include "base/mem.h"

enum { LINK_TYPES = 32, SNAPLEN = 262144 };

struct program {
    uint32_t linktype;
    bool usable; /* false: the expression cannot be compiled for this link type */
    struct bpf_program code;
};

struct bpf {
    char *expression;
    struct program programs[LINK_TYPES];
    uint32_t n;
};

/* The value that libpcap's functions take differs from the one in files for a few link types. */
static int to_dlt(uint32_t linktype)
{
    switch (linktype) {
    case 101: return DLT_RAW;
    case 108: return DLT_LOOP;
    case 109: return DLT_ENC;
    case 117: return DLT_PFLOG;
    default: return (int)linktype;
    }
}

static bool compile(const char *expression, uint32_t linktype, struct bpf_program *code, struct error *err)
{
    pcap_t *pcap = pcap_open_dead_with_tstamp_precision(to_dlt(linktype), SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
    if (!pcap) {
        error_nomem(err);
        return false;
    }
    bool done = pcap_compile(pcap, code, expression, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (!done)
        error_set(err, TD_E_CONFIG, "BPF filter \"%s\": %s; pcap-filter(7) has the language", expression, pcap_geterr(pcap));
    pcap_close(pcap);
    return done;
}

static struct program *find_program(struct bpf *bpf, uint32_t linktype)
{
    for (uint32_t i = 0; i < bpf->n; i++)
        if (bpf->programs[i].linktype == linktype)
            return &bpf->programs[i];
    if (bpf->n == LINK_TYPES)
        return NULL;
    struct program *p = &bpf->programs[bpf->n++];
    *p = (struct program){.linktype = linktype};
    p->usable = compile(bpf->expression, linktype, &p->code, NULL);
    return p;
}

int bpf_compile(const char *expression, struct bpf **ret, struct error *err)
{
    struct bpf *bpf = mem_calloc(1, sizeof(*bpf));
    if (!bpf || !(bpf->expression = mem_strdup(expression))) {
        mem_free(bpf);
        return error_nomem(err);
    }
    struct program *p = &bpf->programs[0];
    p->linktype = DLT_EN10MB;
    p->usable = compile(expression, DLT_EN10MB, &p->code, err);
    if (!p->usable) {
        bpf_free(bpf);
        return TD_E_CONFIG;
    }
    bpf->n = 1;
    *ret = bpf;
    return TD_OK;
}

void bpf_free(struct bpf *bpf)
{
    if (!bpf)
        return;
    for (uint32_t i = 0; i < bpf->n; i++)
        if (bpf->programs[i].usable)
            pcap_freecode(&bpf->programs[i].code);
    mem_free(bpf->expression);
    mem_free(bpf);
}

bool bpf_match(struct bpf *bpf, const struct packet *pkt)
{
    struct program *p = find_program(bpf, pkt->linktype);
    if (!p || !p->usable)
        return false;
    struct pcap_pkthdr head = {.caplen = pkt->caplen, .len = pkt->len};
    return pcap_offline_filter(&p->code, &head, pkt->p) != 0;
}
