/* Classic pcap (draft-ietf-opsawg-pcap), version 2.4, little-endian, with microseconds unless nanoseconds are asked for.
 *
 * The format has one link type and 32-bit seconds: packets of a second link type, or from before 1970 or after 2106,
 * end the output with an error. The header is written with the first packet, because only then it is certain which
 * link type it is. The snaplen in it is never below what tcpdump takes as the longest packet: tcpdump would cut longer ones.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tapedeck/plugin.h"

enum { FILE_HEADER = 24, RECORD_HEADER = 16, BUFFER_BYTES = 128 << 10, COMMON_SNAPLEN = 262144, NS_PER_US = 1000, NS_PER_S = 1000000000 };
enum { MAGIC_MICRO = 0xa1b2c3d4u, MAGIC_NANO = 0xa1b23c4du };
enum precision { PRECISION_MICRO = 0, PRECISION_NANO };

struct config {
    uint32_t precision;
};

struct exporter {
    struct td_inst *inst;
    const struct td_host *host;
    enum precision precision;
};

struct output {
    struct exporter *exporter;
    td_sink_fn *sink;
    void *ctx;
    uint32_t *linktypes; /* by interface */
    uint32_t interface_count;
    uint32_t linktype; /* of the first packet; before it, of the first interface */
    uint32_t snaplen;
    bool begun; /* the header was written */
    bool told_rounding, told_length;
    size_t n; /* bytes in the buffer */
    uint8_t buffer[BUFFER_BYTES];
};

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
    return p + 4;
}

static int flush(struct output *o)
{
    if (!o->n)
        return TD_OK;
    int status = o->sink(o->ctx, td_bytes(o->buffer, o->n));
    o->n = 0;
    return status;
}

static int write_file_header(struct output *o)
{
    uint8_t *p = o->buffer; /* which is empty */
    p = put_le32(p, o->exporter->precision == PRECISION_NANO ? MAGIC_NANO : MAGIC_MICRO);
    p = put_le32(p, 4u << 16 | 2u); /* version 2.4, as two 16-bit numbers */
    p = put_le32(p, 0);             /* time zone: UTC */
    p = put_le32(p, 0);             /* accuracy: nobody sets it */
    p = put_le32(p, o->snaplen);
    put_le32(p, o->linktype);
    o->n = FILE_HEADER;
    o->begun = true;
    return TD_OK;
}

/* ---- Life ---- */

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    const struct config *c = config;
    struct exporter *e = calloc(1, sizeof(*e));
    if (!e)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    e->inst = inst;
    e->host = host;
    e->precision = c->precision == PRECISION_NANO ? PRECISION_NANO : PRECISION_MICRO;
    *ret_self = e;
    return TD_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const struct td_interface *interface_row(const struct td_table *t, uint32_t i)
{
    return (const struct td_interface *)(const void *)((const uint8_t *)t->v + (size_t)i * t->stride);
}

static int begin(void *self, const struct td_export *export, td_sink_fn *sink, void *ctx, void **ret_out)
{
    struct exporter *e = self;
    const struct td_table *interfaces = &export->interfaces;
    struct output *o = malloc(sizeof(*o));
    uint32_t *linktypes = calloc(interfaces->n ? interfaces->n : 1, sizeof(*linktypes));
    if (!o || !linktypes) {
        free(o);
        free(linktypes);
        return e->host->fail(e->inst, TD_E_NOMEM, "out of memory");
    }
    o->exporter = e;
    o->sink = sink;
    o->ctx = ctx;
    o->linktypes = linktypes;
    o->interface_count = interfaces->n;
    o->linktype = interfaces->n ? interface_row(interfaces, 0)->linktype : 1; /* no interface, no packet: Ethernet */
    o->snaplen = COMMON_SNAPLEN;
    o->begun = o->told_rounding = o->told_length = false;
    o->n = 0;
    for (uint32_t i = 0; i < interfaces->n; i++) {
        const struct td_interface *row = interface_row(interfaces, i);
        linktypes[i] = row->linktype;
        if (row->snaplen > o->snaplen && row->snaplen <= INT32_MAX)
            o->snaplen = row->snaplen;
    }
    *ret_out = o;
    return TD_OK;
}

static int end(void *out, bool commit)
{
    struct output *o = out;
    int status = TD_OK;
    if (commit && !o->begun)
        status = write_file_header(o); /* no packet: a capture without one is still a capture */
    if (commit && status == TD_OK)
        status = flush(o);
    free(o->linktypes);
    free(o);
    return status;
}

/* ---- Packets ---- */

/* With the names that people know, for messages. */
static const char *linktype_name(uint32_t linktype)
{
    switch (linktype) {
    case 0: return " (BSD loopback)";
    case 1: return " (Ethernet)";
    case 101: return " (raw IP)";
    case 105: return " (802.11)";
    case 113: return " (Linux cooked)";
    case 127: return " (802.11 with radiotap)";
    case 276: return " (Linux cooked v2)";
    default: return "";
    }
}

static int check_linktype(struct output *o, const struct td_packet *p)
{
    const struct exporter *e = o->exporter;
    if (p->iface >= o->interface_count)
        return e->host->fail(e->inst, TD_E_INTERNAL, "a packet of interface %u of %u", (unsigned)p->iface, (unsigned)o->interface_count);
    uint32_t linktype = o->linktypes[p->iface];
    if (!o->begun)
        o->linktype = linktype;
    if (linktype == o->linktype)
        return TD_OK;
    return e->host->fail(e->inst, TD_E_UNSUPPORTED,
                         "a pcap file holds packets of one link type, but here are packets of link type %u%s and of %u%s; choose one, "
                         "as with --linktype %u",
                         (unsigned)o->linktype, linktype_name(o->linktype), (unsigned)linktype, linktype_name(linktype),
                         (unsigned)o->linktype);
}

/* Things that the reader of the output should know, once each. */
static void tell_losses(struct output *o, const struct td_packet *p)
{
    const struct exporter *e = o->exporter;
    if (e->precision == PRECISION_MICRO && p->time_ns % NS_PER_US != 0 && !o->told_rounding) {
        o->told_rounding = true;
        e->host->log(e->inst, TD_LOG_WARN, "times are cut to microseconds; set precision to nano to keep nanoseconds");
    }
    if (p->bytes.n > COMMON_SNAPLEN && !o->told_length) {
        o->told_length = true;
        e->host->log(e->inst, TD_LOG_WARN, "a packet has %zu bytes; other programs refuse more than %d", p->bytes.n, COMMON_SNAPLEN);
    }
}

static int packet(void *out, const struct td_packet *p)
{
    struct output *o = out;
    const struct exporter *e = o->exporter;
    int status = check_linktype(o, p);
    if (status != TD_OK)
        return status;
    int64_t seconds = p->time_ns / NS_PER_S, fraction = p->time_ns % NS_PER_S;
    if (p->time_ns < 0 || seconds > UINT32_MAX)
        return e->host->fail(
            e->inst, TD_E_UNSUPPORTED,
            "a packet's time is %lld s after 1970, but pcap has times from 1970 to 2106 only; leave it out with --start or --end",
            (long long)seconds);
    tell_losses(o, p);
    if (!o->begun)
        status = write_file_header(o);
    if (status == TD_OK && sizeof(o->buffer) - o->n < RECORD_HEADER)
        status = flush(o);
    if (status != TD_OK)
        return status;

    uint8_t *at = o->buffer + o->n;
    at = put_le32(at, (uint32_t)seconds);
    at = put_le32(at, (uint32_t)(e->precision == PRECISION_NANO ? fraction : fraction / NS_PER_US));
    at = put_le32(at, (uint32_t)p->bytes.n);
    at = put_le32(at, p->orig_len);
    o->n += RECORD_HEADER;
    if (sizeof(o->buffer) - o->n < p->bytes.n)
        status = flush(o);
    if (status != TD_OK)
        return status;
    if (p->bytes.n > sizeof(o->buffer))
        return o->sink(o->ctx, p->bytes);
    if (p->bytes.n)
        memcpy(o->buffer + o->n, p->bytes.p, p->bytes.n);
    o->n += p->bytes.n;
    return TD_OK;
}

/* ---- The plugin ---- */

static const char *const precisions[] = {"micro", "nano", NULL};

static const struct td_option options[] = {
    TD_ENUM_OPT(struct config, precision, "precision", "micro", precisions,
                "How fine times are: micro, which every program reads, or nano, which all but old ones read."),
};

static const struct td_exporter ops = {
    .size = sizeof(struct td_exporter),
    .media_type = "application/vnd.tcpdump.pcap",
    .suffix = ".pcap",
    .begin = begin,
    .packet = packet,
    .end = end,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_EXPORTER,
    .name = "pcap",
    .summary = "Classic pcap, for Wireshark, tcpdump and all others",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct config),
    .create = create,
    .destroy = destroy,
    .ops = &ops,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(pcap) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "pcap",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
