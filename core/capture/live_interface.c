#include "live_interface.h"

#include <errno.h>
#include <limits.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"

enum { MIN_BUFFER = 1 << 20, ANY_INDEX = 0 };

static const char how_to_be_allowed[] =
    "CAP_NET_RAW is missing: start as root, or give it to the program (setcap cap_net_raw=ep FILE), to the service (systemd: "
    "AmbientCapabilities=CAP_NET_RAW) or to the container (securityContext: capabilities: add: [NET_RAW])";

int live_interface_allowed(struct error *err)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: receives nothing */
    if (fd >= 0) {
        close(fd);
        return TD_OK;
    }
    if (errno == EPERM || errno == EACCES)
        return error_set(err, TD_E_DENIED, "capturing is not allowed; %s", how_to_be_allowed);
    return error_set(err, TD_E_UNSUPPORTED, "this system has no packet sockets: %s", strerror(errno));
}

/* Values in files that differ from those that libpcap's interface has on this system. */
static uint32_t linktype_of(int datalink)
{
    switch (datalink) {
    case DLT_ATM_RFC1483: return 100;
    case DLT_RAW: return 101;
    case DLT_SLIP_BSDOS: return 102;
    case DLT_PPP_BSDOS: return 103;
    case DLT_ATM_CLIP: return 106;
    default: return (uint32_t)datalink;
    }
}

/* ---- Opening ---- */

static int told_by_pcap(int code, const char *name, const char *text, struct error *err)
{
    switch (code) {
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED: return error_set(err, TD_E_DENIED, "%s: %s", name, how_to_be_allowed);
    case PCAP_ERROR_NO_SUCH_DEVICE:
    case PCAP_ERROR_IFACE_NOT_UP: return error_set(err, TD_E_RETRY, "%s: %s", name, pcap_statustostr(code));
    default: return error_set(err, TD_E_INTERNAL, "%s: %s", name, *text ? text : pcap_statustostr(code));
    }
}

/* libpcap tells what the kernel said only as text. */
static bool lacks_memory(const char *text)
{
    return strstr(text, strerror(ENOMEM)) || strstr(text, strerror(EAGAIN)) || strstr(text, strerror(ENOBUFS));
}

static int activate(struct live_interface *i, const struct live_options *o, uint64_t buffer_size, bool *ret_no_memory, struct error *err)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    *ret_no_memory = false;
    i->pcap = pcap_create(i->name, text);
    if (!i->pcap)
        return error_set(err, TD_E_NOMEM, "%s: %s", i->name, text);
    pcap_set_snaplen(i->pcap, (int)i->snaplen);
    pcap_set_promisc(i->pcap, o->promiscuous && strcmp(i->name, "any") != 0);
    pcap_set_timeout(i->pcap, LIVE_RETIRE_MS);
    pcap_set_buffer_size(i->pcap, (int)buffer_size);
    pcap_set_tstamp_precision(i->pcap, PCAP_TSTAMP_PRECISION_NANO);
    int code = pcap_activate(i->pcap);
    if (code >= 0 && pcap_setnonblock(i->pcap, 1, text) == 0)
        return TD_OK;
    if (code >= 0)
        code = PCAP_ERROR;
    else
        snprintf(text, sizeof(text), "%s", pcap_geterr(i->pcap));
    *ret_no_memory = code == PCAP_ERROR && lacks_memory(text);
    pcap_close(i->pcap);
    i->pcap = NULL;
    return told_by_pcap(code, i->name, text, err);
}

/* How long the kernel's ring is: libpcap takes less when there is no more, and does not tell. 0: not known. */
static uint64_t mapped_bytes(int fd)
{
    struct stat st;
    char wanted[64], line[512];
    FILE *maps = fstat(fd, &st) == 0 ? fopen("/proc/self/maps", "re") : NULL;
    if (!maps)
        return 0;
    snprintf(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long)st.st_ino);
    uint64_t n = 0;
    while (!n && fgets(line, sizeof(line), maps)) {
        char *end = NULL;
        unsigned long long from = strtoull(line, &end, 16), to = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
        if (strstr(line, wanted) && to > from)
            n = to - from;
    }
    fclose(maps);
    return n;
}

/* The system may give away the name between listing the interfaces and opening one; what was opened is known by its index. */
static int opened_index(int fd)
{
    struct sockaddr_ll address = {0};
    socklen_t n = sizeof(address);
    return getsockname(fd, (struct sockaddr *)&address, &n) == 0 ? address.sll_ifindex : -1;
}

static int open_with_memory(struct live_interface *i, const struct live_options *o, struct error *err)
{
    uint64_t wanted = o->buffer_size < INT_MAX ? o->buffer_size : INT_MAX, size = wanted > MIN_BUFFER ? wanted : MIN_BUFFER;
    bool no_memory = false;
    int status = activate(i, o, size, &no_memory, err);
    for (; status != TD_OK && no_memory && size / 2 >= MIN_BUFFER; status = activate(i, o, size, &no_memory, err))
        size /= 2;
    if (status != TD_OK)
        return no_memory ? error_prefix(err, "no memory for the kernel's buffer, not even for a small one; ") : status;
    i->buffer_size = mapped_bytes(pcap_fileno(i->pcap));
    char have[UNITS_TEXT], want[UNITS_TEXT];
    if (i->buffer_size && i->buffer_size < wanted - wanted / 16) /* whole blocks fit, as a rule, and no more */
        log_event(TD_LOG_WARN, "capture", "%s: the kernel has memory for a buffer of %s only, not %s; bursts may be dropped sooner",
                  i->name, units_format_size(i->buffer_size, have), units_format_size(wanted, want));
    return TD_OK;
}

int live_interface_open(const char *name, const struct live_options *o, const struct source_sink *sink, struct live_interface **ret,
                        struct error *err)
{
    struct live_interface *i = mem_calloc(1, sizeof(*i));
    if (!i)
        return error_nomem(err);
    i->sink = sink;
    i->snaplen = o->snaplen && o->snaplen < LIVE_MAX_SNAPLEN ? o->snaplen : LIVE_MAX_SNAPLEN;
    snprintf(i->name, sizeof(i->name), "%s", name);
    int status = open_with_memory(i, o, err);
    if (status != TD_OK)
        goto fail;
    if (strcmp(name, "any") == 0)
        (void)pcap_set_datalink(i->pcap, DLT_LINUX_SLL2); /* tells the interface; without it, the older header */
    i->index = opened_index(pcap_fileno(i->pcap));
    i->linktype = linktype_of(pcap_datalink(i->pcap));
    *ret = i;
    return TD_OK;

fail:
    live_interface_close(i);
    return status;
}

void live_interface_close(struct live_interface *i)
{
    if (i && i->pcap)
        pcap_close(i->pcap);
    mem_free(i);
}

int live_interface_fd(const struct live_interface *i)
{
    return pcap_get_selectable_fd(i->pcap);
}

/* ---- Filter ---- */

static bool install(struct live_interface *i, const char *filter, char text[PCAP_ERRBUF_SIZE])
{
    struct bpf_program code;
    bool done = pcap_compile(i->pcap, &code, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (done) {
        done = pcap_setfilter(i->pcap, &code) == 0;
        pcap_freecode(&code);
    }
    if (!done)
        snprintf(text, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(i->pcap));
    return done;
}

int live_interface_filter(struct live_interface *i, const char *filter, const char *user_filter, struct error *err)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    if (!install(i, filter, text) && (strcmp(filter, user_filter) == 0 || !install(i, user_filter, text)))
        return error_set(err, TD_E_CONFIG, "%s: the filter makes no sense for link type %u and would match nothing: %s", i->name,
                         i->linktype, text);
    return TD_OK;
}

/* ---- Packets: the hot path ---- */

static void give(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
    const struct live_interface *i = (const struct live_interface *)(const void *)user;
    /* tv_usec has nanoseconds: that precision was asked for. */
    i->sink->packet(i->sink->ctx, i->number, (int64_t)h->ts.tv_sec * NS_PER_S + h->ts.tv_usec, bytes, h->caplen, h->len);
}

int live_interface_read(struct live_interface *i, int max, struct error *err)
{
    int n = pcap_dispatch(i->pcap, max, give, (u_char *)i);
    return n >= 0 ? n : error_set(err, TD_E_INTERNAL, "%s", pcap_geterr(i->pcap));
}

void live_interface_drops(struct live_interface *i, struct source_drops *ret)
{
    struct pcap_stat now = i->told;
    *ret = (struct source_drops){.iface = i->number};
    if (pcap_stats(i->pcap, &now) != 0)
        return;
    /* libpcap adds up in 32 bits, which wrap; differences do not mind. What was received includes what was dropped then. */
    ret->received = now.ps_recv - i->told.ps_recv;
    ret->by_kernel = now.ps_drop - i->told.ps_drop;
    ret->by_interface = now.ps_ifdrop - i->told.ps_ifdrop;
    i->told = now;
}
