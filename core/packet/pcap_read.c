#include "pcap_read.h"

#include "base/units.h"
#include "packet/bytes.h"

enum { FILE_HEADER = 24, IXIA_EXTRA = 4, RECORD_HEADER = 16, MODIFIED_HEADER = 24, SUSE_HEADER = 28, NOKIA_HEADER = 20 };

enum magic {
    MAGIC_MICRO = 0xa1b2c3d4,
    MAGIC_NANO = 0xa1b23c4d,
    MAGIC_MODIFIED = 0xa1b2cd34,
    MAGIC_IXIA_NANO = 0x1c0001ac,
    MAGIC_IXIA_MICRO = 0x1c0001ab
};

static bool is_magic(uint32_t magic)
{
    return magic == MAGIC_MICRO || magic == MAGIC_NANO || magic == MAGIC_MODIFIED || magic == MAGIC_IXIA_NANO || magic == MAGIC_IXIA_MICRO;
}

bool pcap_detect(struct td_slice head)
{
    return head.n >= 4 && (is_magic(bytes_u32(head.p, true)) || is_magic(bytes_u32(head.p, false)));
}

struct record {
    uint32_t fraction, caplen, len;
};

/* `p` has the 16 bytes that all kinds begin a record with. */
static struct record load_record(const uint8_t *p, bool big, enum pcap_lengths lengths)
{
    struct record r = {bytes_u32(p + 4, big), bytes_u32(p + 8, big), bytes_u32(p + 12, big)};
    if (lengths == PCAP_LENGTHS_SWAPPED || (lengths == PCAP_LENGTHS_DOUBTFUL && r.caplen > r.len)) {
        uint32_t first = r.caplen;
        r.caplen = r.len;
        r.len = first;
    }
    return r;
}

/* ---- Kinds that share a magic ---- */

/* The words that ss990417, ss991029 and ss990915 put behind the common header: interface index, Ethernet type, kind
 * of packet (0 to us .. 4 from us). In 1999 nobody had more than a few interfaces. */
static bool plausible_modified(const uint8_t *p, bool big)
{
    uint32_t ifindex = bytes_u32(p, big);
    uint16_t protocol = bytes_u16(p + 4, big);
    return ifindex <= 10000 && p[6] <= 4 &&
           (protocol >= 0x600 || protocol <= 0x17 || protocol == 0x60 || protocol == 0x200 || protocol == 0x400);
}

/* Nokia's word, as far as it was ever seen: 0xXfbfYZ0W; editcap writes 0. */
static bool plausible_nokia(const uint8_t *p, bool big)
{
    uint32_t word = bytes_u32(p, big);
    uint32_t x = word >> 28, y = word >> 12 & 15, z = word >> 8 & 15, w = word & 15;
    return word == 0 ||
           ((word & 0x0fff00f0) == 0x0fbf0000 && (x == 9 || x == 11) && (y == 11 || y == 13) && (z == 6 || z == 9) && (w == 1 || w == 2));
}

/* Do the first records make sense with headers of this length? False as well if there is none. */
static bool plausible_records(struct input *in, bool big, uint32_t header_len, uint32_t snaplen)
{
    enum { RECORDS = 3, COMMON_MAX_PACKET = 256 << 10, WIRE_MAX_PACKET = 128 << 20 };
    size_t at = 0;
    for (int i = 0; i < RECORDS; i++) {
        if (!input_need(in, at + header_len))
            return i > 0 && input_left(in) == at;
        const uint8_t *p = in->p + at;
        struct record r = load_record(p, big, PCAP_LENGTHS_PLAIN);
        if (r.fraction >= 1000000 || r.caplen > r.len || r.caplen > COMMON_MAX_PACKET || r.len > WIRE_MAX_PACKET)
            return false;
        if (snaplen && r.caplen > snaplen)
            return false;
        if (header_len >= MODIFIED_HEADER && !plausible_modified(p + RECORD_HEADER, big))
            return false;
        if (header_len == NOKIA_HEADER && !plausible_nokia(p + RECORD_HEADER, big))
            return false;
        at += header_len + r.caplen;
        if (!input_need(in, at))
            return false;
    }
    return true;
}

/* Another kind is believed only if its records are flawless and the standard's are not. */
static void tell_kind(struct pcap_reader *r, struct input *in, enum magic magic, uint32_t snaplen)
{
    if (magic == MAGIC_MODIFIED) {
        r->header_len = MODIFIED_HEADER;
        r->variant = "modified";
        if (!plausible_records(in, r->big, MODIFIED_HEADER, snaplen) && plausible_records(in, r->big, SUSE_HEADER, snaplen)) {
            r->header_len = SUSE_HEADER;
            r->variant = "modified (SuSE 6.3)";
        }
    } else if (magic == MAGIC_MICRO && !in->live && !plausible_records(in, r->big, RECORD_HEADER, snaplen)) {
        /* Not for pipes: there the first packet would not come out before the third is in. */
        if (plausible_records(in, r->big, MODIFIED_HEADER, snaplen)) {
            r->header_len = MODIFIED_HEADER;
            r->variant = "modified (Red Hat 6.1)";
        } else if (plausible_records(in, r->big, NOKIA_HEADER, snaplen)) {
            r->header_len = NOKIA_HEADER;
            r->variant = "modified (Nokia)";
        }
    }
}

/* AIX writes interface types of the IANA registry (ifType) for link types, where libpcap of that time had none. */
static bool aix_linktype(uint32_t network, uint16_t *ret_linktype)
{
    switch (network) {
    case 6: *ret_linktype = 1; return true;  /* Ethernet */
    case 9: *ret_linktype = 6; return true;  /* Token Ring */
    case 24: *ret_linktype = 0; return true; /* loopback */
    default: return false;
    }
}

static int cut_header(const struct input *in, struct error *err)
{
    if (in->error.status != TD_OK)
        return error_set(err, in->error.status, "%s", in->error.text);
    return error_set(err, TD_E_CORRUPT, "offset %llu: the pcap file header is cut; there is nothing to read",
                     (unsigned long long)(input_offset(in) + input_left(in)));
}

static void set_version(struct pcap_reader *r, uint16_t major, uint16_t minor)
{
    r->lengths = PCAP_LENGTHS_PLAIN;
    if (major == 543 || (major == 2 && minor < 3))
        r->lengths = PCAP_LENGTHS_SWAPPED;
    else if (major == 2 && minor == 3)
        r->lengths = PCAP_LENGTHS_DOUBTFUL;
}

int pcap_open(struct pcap_reader *r, struct input *in, struct tables *tables, struct error *err)
{
    if (!input_need(in, FILE_HEADER))
        return cut_header(in, err);
    *r = (struct pcap_reader){.big = is_magic(bytes_u32(in->p, true)), .header_len = RECORD_HEADER, .ns_per_tick = NS_PER_US};
    enum magic magic = bytes_u32(in->p, r->big);
    uint16_t major = bytes_u16(in->p + 4, r->big), minor = bytes_u16(in->p + 6, r->big);
    uint32_t snaplen = bytes_u32(in->p + 16, r->big), network = bytes_u32(in->p + 20, r->big);
    if (major != 2 && major != 543)
        return error_set(err, TD_E_UNSUPPORTED, "offset 4: pcap version %u.%u is not known; this program reads 2.0 to 2.4", major, minor);
    set_version(r, major, minor);
    /* The upper half says how long the frame check sequence is, which packets carry at their end in any case. */
    r->linktype = (uint16_t)(network & 0xffff);
    bool ixia = magic == MAGIC_IXIA_NANO || magic == MAGIC_IXIA_MICRO;
    if (magic == MAGIC_NANO || magic == MAGIC_IXIA_NANO)
        r->ns_per_tick = 1;
    if (magic == MAGIC_MICRO && major == 2 && minor == 2 && aix_linktype(network, &r->linktype)) {
        r->ns_per_tick = 1;
        r->variant = "AIX";
    }
    if (ixia) {
        r->variant = "Ixia";
        if (!input_need(in, FILE_HEADER + IXIA_EXTRA))
            return cut_header(in, err);
    }
    in->p += FILE_HEADER + (ixia ? IXIA_EXTRA : 0);
    if (major == 2 && minor >= 4)
        tell_kind(r, in, magic, snaplen);

    struct capture_interface *iface;
    int status = tables_add_interface(tables, &iface, err);
    if (status != TD_OK)
        return status;
    iface->linktype = r->linktype;
    iface->snaplen = snaplen;
    iface->ticks_per_s = NS_PER_S / r->ns_per_tick;
    return TD_OK;
}

/* ---- Packets ---- */

/* The whole records in [p, end). Inlined once for each byte order. */
static inline __attribute__((always_inline)) size_t parse(struct pcap_reader *r, struct input *in, struct packet *packets, size_t max,
                                                          bool big)
{
    const uint8_t *p = in->p, *end = in->end;
    const size_t header_len = r->header_len;
    const enum pcap_lengths lengths = r->lengths;
    const uint32_t ns_per_tick = r->ns_per_tick;
    const uint16_t linktype = r->linktype;
    uint64_t frame = r->frames;
    size_t n = 0;
    while (n < max && (size_t)(end - p) >= header_len) {
        struct record rec = load_record(p, big, lengths);
        if (rec.caplen > (size_t)(end - p) - header_len || rec.caplen > CAPTURE_MAX_PACKET)
            break;
        frame++;
        packets[n++] = (struct packet){
            .p = p + header_len,
            .caplen = rec.caplen,
            .len = rec.len > rec.caplen ? rec.len : rec.caplen,
            .time_ns = (int64_t)bytes_u32(p, big) * NS_PER_S + (int64_t)rec.fraction * ns_per_tick,
            .frame = frame,
            .linktype = linktype,
        };
        p += header_len + rec.caplen;
    }
    in->p = p;
    r->frames = frame;
    return n;
}

/* There is no whole record at `p`: gets one. 1: now there is. 0: the end. Negative: damage. */
static int next_record(struct pcap_reader *r, struct input *in, struct error *err)
{
    unsigned long long frame = r->frames + 1;
    if (input_need(in, r->header_len)) {
        uint32_t caplen = load_record(in->p, r->big, r->lengths).caplen;
        if (caplen > CAPTURE_MAX_PACKET)
            return error_set(err, TD_E_CORRUPT,
                             "offset %llu: packet %llu claims %u captured bytes; more than %d are not possible, the file is damaged here",
                             (unsigned long long)input_offset(in), frame, caplen, CAPTURE_MAX_PACKET);
        if (input_need(in, r->header_len + caplen))
            return 1;
        if (in->error.status == TD_OK)
            return error_set(err, TD_E_CORRUPT, "offset %llu: packet %llu is cut: it claims %u captured bytes and %zu are left",
                             (unsigned long long)input_offset(in), frame, caplen, input_left(in) - r->header_len);
    }
    if (in->error.status != TD_OK)
        return error_set(err, in->error.status, "%s", in->error.text);
    if (!input_left(in))
        return 0;
    return error_set(err, TD_E_CORRUPT, "offset %llu: the header of packet %llu is cut: it takes %u bytes and %zu are left",
                     (unsigned long long)input_offset(in), frame, r->header_len, input_left(in));
}

int pcap_read(struct pcap_reader *r, struct input *in, struct packet *packets, size_t max, struct error *err)
{
    for (;;) {
        size_t n = r->big ? parse(r, in, packets, max, true) : parse(r, in, packets, max, false);
        if (n > 0)
            return (int)n;
        int status = next_record(r, in, err);
        if (status <= 0)
            return status;
    }
}
