/* pcapng (draft-ietf-opsawg-pcapng): one section, little-endian, times in nanoseconds.
 *
 * What its readers need, as measured: tcpdump refuses a file with interfaces of two link types or two snaplens, so that all interfaces get
 * the same snaplen, and one is described only when it is of the first packet's link type or has packets itself. Wireshark finds
 * names only before the packets that need them, and shows the section's comment and the names of interfaces; custom blocks would be
 * bogus packets for it.
 *
 * Everything before the packets is written with the first of them. Memory is bounded: names go out in blocks of at most NAMES_BYTES.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define TD_TARGET_MINOR 1
#include <stdlib.h>

#include "tapedeck/plugin.h"

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_NAMES = 4,
    BLOCK_STATISTICS = 5,
    BLOCK_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1a2b3c4d
};
enum {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_RESOLUTION = 9,
    NAMES_END = 0,
    NAMES_IPV4 = 1,
    NAMES_IPV6 = 2,
    STATISTICS_START = 2,
    STATISTICS_END = 3,
    STATISTICS_RECEIVED = 4,
    STATISTICS_INTERFACE_DROPS = 5,
    STATISTICS_SYSTEM_DROPS = 7
};
enum {
    BUFFER_BYTES = 128 << 10,
    PACKET_HEAD = 28,
    NAMES_BYTES = 32 << 10,  /* of names in one block */
    MAX_TEXT = 65000,        /* bytes of an option; its length has 16 bits */
    MAX_NAME = 255,          /* of an address or an interface */
    COMMON_SNAPLEN = 262144, /* what tcpdump takes as the longest packet */
    NANOSECONDS = 9
};

#define UNDESCRIBED UINT32_MAX

struct exporter {
    struct td_inst *inst;
    const struct td_host *host;
};

struct interface {
    char name[MAX_NAME + 1]; /* "": none */
    uint32_t linktype;
    uint32_t number; /* in the file */
};

struct output {
    struct exporter *exporter;
    td_sink_fn *sink;
    void *ctx;
    char *application, *comment; /* or NULL */
    struct interface *interfaces;
    uint32_t interface_count, described;
    struct td_resolved_name *names; /* until they are written; each with a copy of its name */
    uint32_t name_count;
    struct td_interface_statistics *statistics;
    uint32_t statistics_count;
    uint32_t linktype, snaplen;
    bool begun, told_linktypes;
    int failure; /* of the sink */
    size_t n;    /* bytes in the buffer */
    uint8_t buffer[BUFFER_BYTES];
};

/* ---- Bytes ---- */

static int flush(struct output *o)
{
    if (o->n && o->failure == TD_OK)
        o->failure = o->sink(o->ctx, td_bytes(o->buffer, o->n));
    o->n = 0;
    return o->failure;
}

static void put(struct output *o, const void *p, size_t n)
{
    if (sizeof(o->buffer) - o->n < n)
        flush(o);
    if (n > sizeof(o->buffer)) {
        if (o->failure == TD_OK)
            o->failure = o->sink(o->ctx, td_bytes(p, n));
    } else if (n) {
        memcpy(o->buffer + o->n, p, n);
        o->n += n;
    }
}

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
    return p + 4;
}

static void put_16(struct output *o, uint32_t v)
{
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    put(o, bytes, sizeof(bytes));
}

static void put_32(struct output *o, uint32_t v)
{
    uint8_t bytes[4];
    put_le32(bytes, v);
    put(o, bytes, sizeof(bytes));
}

static uint32_t padded(size_t n)
{
    return ((uint32_t)n + 3) & ~3u;
}

static void put_padded(struct output *o, const void *p, size_t n)
{
    put(o, p, n);
    put(o, "\0\0\0", padded(n) - n);
}

/* ---- Options; their sizes are added up before a block begins ---- */

static uint32_t text_size(const char *text)
{
    size_t n = text ? strlen(text) : 0;
    return n ? 4 + padded(n > MAX_TEXT ? MAX_TEXT : n) : 0;
}

static void put_text(struct output *o, uint32_t code, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (!n)
        return;
    n = n > MAX_TEXT ? MAX_TEXT : n;
    put_16(o, code);
    put_16(o, (uint32_t)n);
    put_padded(o, text, n);
}

static void put_number(struct output *o, uint32_t code, uint64_t v)
{
    put_16(o, code);
    put_16(o, 8);
    put_32(o, (uint32_t)v);
    put_32(o, (uint32_t)(v >> 32));
}

/* Times stand with their upper half first. */
static void put_time(struct output *o, int64_t ns)
{
    put_32(o, (uint32_t)((uint64_t)ns >> 32));
    put_32(o, (uint32_t)(uint64_t)ns);
}

static void put_time_option(struct output *o, uint32_t code, int64_t ns)
{
    put_16(o, code);
    put_16(o, 8);
    put_time(o, ns);
}

/* ---- Blocks other than packets ---- */

static void put_section(struct output *o)
{
    uint32_t length = 28 + text_size(o->application) + text_size(o->comment) + 4;
    put_32(o, BLOCK_SECTION);
    put_32(o, length);
    put_32(o, BYTE_ORDER_MAGIC);
    put_32(o, 1);          /* version 1.0, as two 16-bit numbers */
    put_32(o, UINT32_MAX); /* how long the section gets is not known */
    put_32(o, UINT32_MAX);
    put_text(o, OPTION_COMMENT, o->comment);
    put_text(o, SECTION_APPLICATION, o->application);
    put_32(o, OPTION_END);
    put_32(o, length);
}

static void put_interface(struct output *o, struct interface *i)
{
    uint32_t length = 20 + text_size(i->name) + 8 + 4;
    i->number = o->described++;
    put_32(o, BLOCK_INTERFACE);
    put_32(o, length);
    put_16(o, i->linktype);
    put_16(o, 0);
    put_32(o, o->snaplen);
    put_text(o, INTERFACE_NAME, i->name);
    put_16(o, INTERFACE_RESOLUTION);
    put_16(o, 1);
    put_32(o, NANOSECONDS); /* and its padding */
    put_32(o, OPTION_END);
    put_32(o, length);
}

static uint32_t name_size(const struct td_resolved_name *n)
{
    return 4 + padded((n->ip_version == 4 ? 4 : 16) + strlen(n->name) + 1);
}

static void put_name(struct output *o, const struct td_resolved_name *n)
{
    uint32_t address = n->ip_version == 4 ? 4 : 16;
    size_t text = strlen(n->name) + 1, length = address + text;
    put_16(o, n->ip_version == 4 ? NAMES_IPV4 : NAMES_IPV6);
    put_16(o, (uint32_t)length);
    put(o, n->ip, address);
    put(o, n->name, text);
    put(o, "\0\0\0", padded(length) - length);
}

static void put_names(struct output *o)
{
    for (uint32_t begin = 0, end = 0; begin < o->name_count; begin = end) {
        uint32_t bytes = 0;
        while (end < o->name_count && bytes < NAMES_BYTES)
            bytes += name_size(&o->names[end++]);
        uint32_t length = 8 + bytes + 4 + 4;
        put_32(o, BLOCK_NAMES);
        put_32(o, length);
        for (uint32_t i = begin; i < end; i++)
            put_name(o, &o->names[i]);
        put_32(o, NAMES_END);
        put_32(o, length);
    }
}

static void put_statistics(struct output *o, const struct td_interface_statistics *s)
{
    enum { LENGTH = 24 + 5 * 12 + 4 };
    put_32(o, BLOCK_STATISTICS);
    put_32(o, LENGTH);
    put_32(o, o->interfaces[s->iface].number);
    put_time(o, s->end_ns);
    put_time_option(o, STATISTICS_START, s->start_ns);
    put_time_option(o, STATISTICS_END, s->end_ns);
    put_number(o, STATISTICS_RECEIVED, s->received);
    put_number(o, STATISTICS_INTERFACE_DROPS, s->dropped_by_interface);
    put_number(o, STATISTICS_SYSTEM_DROPS, s->dropped_by_kernel);
    put_32(o, OPTION_END);
    put_32(o, LENGTH);
}

/* All that stands before the packets. */
static void begin_file(struct output *o, uint32_t linktype)
{
    o->begun = true;
    o->linktype = linktype;
    put_section(o);
    for (uint32_t i = 0; i < o->interface_count; i++)
        if (o->interfaces[i].linktype == linktype)
            put_interface(o, &o->interfaces[i]);
    put_names(o);
}

/* ---- Life ---- */

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    (void)config;
    struct exporter *e = calloc(1, sizeof(*e));
    if (!e)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    e->inst = inst;
    e->host = host;
    *ret_self = e;
    return TD_OK;
}

static void destroy(void *self)
{
    free(self);
}

static void free_output(struct output *o)
{
    if (!o)
        return;
    for (uint32_t i = 0; i < o->name_count; i++)
        free((void *)(uintptr_t)o->names[i].name); /* a copy that is ours */
    free(o->names);
    free(o->statistics);
    free(o->interfaces);
    free(o->application);
    free(o->comment);
    free(o);
}

static const void *row(const struct td_table *t, uint32_t i)
{
    return (const uint8_t *)t->v + (size_t)i * t->stride;
}

/* A copy of at most `max` bytes, cut between characters; NULL: out of memory. */
static char *copy_text(const char *text, size_t max)
{
    size_t n = strlen(text);
    if (n > max)
        for (n = max; n && ((uint8_t)text[n] & 0xc0) == 0x80;)
            n--;
    char *copy = malloc(n + 1);
    if (copy) {
        memcpy(copy, text, n);
        copy[n] = 0;
    }
    return copy;
}

static bool copy_interfaces(struct output *o, const struct td_table *t)
{
    o->interfaces = calloc(t->n ? t->n : 1, sizeof(*o->interfaces));
    o->snaplen = COMMON_SNAPLEN;
    if (!o->interfaces)
        return false;
    for (; o->interface_count < t->n; o->interface_count++) {
        const struct td_interface *from = row(t, o->interface_count);
        struct interface *to = &o->interfaces[o->interface_count];
        size_t n = from->name ? strlen(from->name) : 0;
        n = n > MAX_NAME ? MAX_NAME : n;
        if (n)
            memcpy(to->name, from->name, n);
        to->linktype = from->linktype;
        to->number = UNDESCRIBED;
        if (from->snaplen > o->snaplen && from->snaplen <= INT32_MAX)
            o->snaplen = from->snaplen;
    }
    return true;
}

static bool copy_names(struct output *o, const struct td_table *t)
{
    o->names = calloc(t->n ? t->n : 1, sizeof(*o->names));
    if (!o->names)
        return false;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct td_resolved_name *from = row(t, i);
        if (!from->name || !from->name[0] || (from->ip_version != 4 && from->ip_version != 6))
            continue;
        struct td_resolved_name *to = &o->names[o->name_count];
        memcpy(to->ip, from->ip, sizeof(to->ip));
        to->ip_version = from->ip_version;
        to->name = copy_text(from->name, MAX_NAME);
        if (!to->name)
            return false;
        o->name_count++;
    }
    return true;
}

static bool copy_statistics(struct output *o, const struct td_table *t)
{
    o->statistics = calloc(t->n ? t->n : 1, sizeof(*o->statistics));
    if (!o->statistics)
        return false;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct td_interface_statistics *from = row(t, i);
        if (from->iface < o->interface_count)
            memcpy(&o->statistics[o->statistics_count++], from, sizeof(*from));
    }
    return true;
}

static bool copy_texts(struct output *o, const struct td_export *export)
{
    if (export->application)
        o->application = copy_text(export->application, MAX_TEXT);
    if (export->comment)
        o->comment = copy_text(export->comment, MAX_TEXT);
    return (o->application || !export->application) && (o->comment || !export->comment);
}

static int begin(void *self, const struct td_export *export, td_sink_fn *sink, void *ctx, void **ret_out)
{
    struct exporter *e = self;
    struct output *o = calloc(1, sizeof(*o));
    if (!o || !copy_interfaces(o, &export->interfaces) || !copy_names(o, &export->names) || !copy_statistics(o, &export->statistics) ||
        !copy_texts(o, export)) {
        free_output(o);
        return e->host->fail(e->inst, TD_E_NOMEM, "out of memory");
    }
    o->exporter = e;
    o->sink = sink;
    o->ctx = ctx;
    *ret_out = o;
    return TD_OK;
}

static int end(void *out, bool commit)
{
    struct output *o = out;
    if (commit && !o->begun) /* no packet: a capture without one is still a capture; without an interface some do not open it */
        begin_file(o, o->interface_count ? o->interfaces[0].linktype : 1);
    for (uint32_t i = 0; commit && i < o->statistics_count; i++)
        if (o->interfaces[o->statistics[i].iface].number != UNDESCRIBED)
            put_statistics(o, &o->statistics[i]);
    int status = commit ? flush(o) : TD_OK;
    free_output(o);
    return status;
}

/* ---- Packets ---- */

/* Describes its interface if that is still to be done. */
static void describe(struct output *o, struct interface *i)
{
    const struct exporter *e = o->exporter;
    if (!o->begun)
        begin_file(o, i->linktype);
    if (i->number != UNDESCRIBED)
        return;
    put_interface(o, i);
    if (!o->told_linktypes)
        e->host->log(e->inst, TD_LOG_WARN,
                     "packets of link types %u and %u in one file: Wireshark reads it, tcpdump does not; choose one, as with --linktype %u",
                     (unsigned)o->linktype, (unsigned)i->linktype, (unsigned)o->linktype);
    o->told_linktypes = true;
}

static int packet(void *out, const struct td_packet *p)
{
    struct output *o = out;
    const struct exporter *e = o->exporter;
    if (p->iface >= o->interface_count)
        return e->host->fail(e->inst, TD_E_INTERNAL, "a packet of interface %u of %u", (unsigned)p->iface, (unsigned)o->interface_count);
    if (p->bytes.n > INT32_MAX)
        return e->host->fail(e->inst, TD_E_LIMIT, "a packet of %zu bytes", p->bytes.n);
    struct interface *i = &o->interfaces[p->iface];
    if (i->number == UNDESCRIBED)
        describe(o, i);
    uint32_t length = PACKET_HEAD + padded(p->bytes.n) + 4;
    if (sizeof(o->buffer) - o->n < PACKET_HEAD)
        flush(o);
    uint8_t *at = o->buffer + o->n;
    at = put_le32(at, BLOCK_PACKET);
    at = put_le32(at, length);
    at = put_le32(at, i->number);
    at = put_le32(at, (uint32_t)((uint64_t)p->time_ns >> 32));
    at = put_le32(at, (uint32_t)(uint64_t)p->time_ns);
    at = put_le32(at, (uint32_t)p->bytes.n);
    put_le32(at, p->orig_len);
    o->n += PACKET_HEAD;
    put_padded(o, p->bytes.p, p->bytes.n);
    put_32(o, length);
    return o->failure;
}

/* ---- The plugin ---- */

static const struct td_exporter ops = {
    .size = sizeof(struct td_exporter),
    .media_type = "application/x-pcapng",
    .suffix = ".pcapng",
    .begin = begin,
    .packet = packet,
    .end = end,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_EXPORTER,
    .name = "pcapng",
    .summary = "pcapng for Wireshark, with interfaces, nanoseconds, comments and names",
    .create = create,
    .destroy = destroy,
    .ops = &ops,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(pcapng) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "pcapng",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
