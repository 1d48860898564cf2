#include "pcapng_read.h"

#include "base/mem.h"
#include "base/units.h"
#include "packet/bytes.h"

enum block_type {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE_PACKET = 3,
    BLOCK_NAMES = 4,
    BLOCK_ENHANCED_PACKET = 6,
    BLOCK_SECRETS = 10
};

enum {
    BLOCK_HEAD = 8,   /* type, length */
    BLOCK_FRAME = 12, /* and the length again behind it */
    SECTION_MIN = 28, /* whole blocks without options */
    INTERFACE_MIN = 20,
    PACKET_HEAD = 28, /* before the bytes of an enhanced or obsolete packet block */
    SIMPLE_HEAD = 12,
    SECRETS_HEAD = 16
};

enum option_code { OPTION_END = 0, OPTION_NAME = 2, OPTION_DESCRIPTION = 3, OPTION_RESOLUTION = 9, OPTION_FILTER = 11, OPTION_OFFSET = 14 };
enum name_record { RECORD_END = 0, RECORD_IPV4 = 1, RECORD_IPV6 = 2 };

static const uint32_t byte_order_magic = 0x1a2b3c4d;

/* One block whose length and repeated length agree. */
struct block_view {
    const uint8_t *p;
    uint32_t type, len;
    uint64_t offset;
    bool big;
};

bool pcapng_detect(struct td_slice head)
{
    return head.n >= 4 && bytes_u32(head.p, false) == BLOCK_SECTION;
}

static int damaged(const struct block_view *b, struct error *err, const char *what)
{
    return error_set(err, TD_E_CORRUPT, "offset %llu: %s; the file is damaged here", (unsigned long long)b->offset, what);
}

/* ---- Sections and interfaces ---- */

/* The byte order of the section whose header is at `p`, at least 12 bytes. */
static int section_order(const uint8_t *p, bool *ret_big)
{
    *ret_big = bytes_u32(p + 8, true) == byte_order_magic;
    return *ret_big || bytes_u32(p + 8, false) == byte_order_magic ? TD_OK : TD_E_CORRUPT;
}

static int read_section(struct pcapng_reader *r, const struct block_view *b, struct error *err)
{
    if (b->len < SECTION_MIN)
        return damaged(b, err, "a section header that is too short");
    uint16_t major = bytes_u16(b->p + 12, b->big), minor = bytes_u16(b->p + 14, b->big);
    if (major != 1 || (minor != 0 && minor != 2))
        return error_set(err, TD_E_UNSUPPORTED, "offset %llu: pcapng version %u.%u is not known; this program reads 1.0 and 1.2",
                         (unsigned long long)b->offset + 12, major, minor);
    /* The section's own length (bytes 16 to 23) is often missing and never needed. */
    if (r->in_section)
        r->section++;
    r->in_section = true;
    r->first_interface = r->tables->interface_count;
    r->clock_count = 0;
    return TD_OK;
}

/* if_tsresol: a power of ten, or of two if the top bit is set. False: finer than 64 bits can count. */
static bool set_resolution(uint8_t value, struct capture_interface *iface, struct pcapng_clock *clock)
{
    unsigned exponent = value & 0x7f;
    if (exponent > (value & 0x80 ? 63 : 19))
        return false;
    uint64_t ticks = 1;
    for (unsigned i = 0; i < exponent; i++)
        ticks *= value & 0x80 ? 2 : 10;
    iface->ticks_per_s = ticks;
    /* Powers of ten up to a nanosecond need no division. */
    bool exact = NS_PER_S % ticks == 0;
    clock->multiply = exact ? NS_PER_S / ticks : NS_PER_S;
    clock->divide = exact ? 1 : ticks;
    return true;
}

static int set_interface_option(struct pcapng_reader *r, const struct block_view *b, struct capture_interface *iface,
                                struct pcapng_clock *clock, uint16_t code, struct td_slice value, struct error *err)
{
    struct tables *t = r->tables;
    switch (code) {
    case OPTION_NAME: iface->name = tables_copy_text(t, value); break;
    case OPTION_DESCRIPTION: iface->description = tables_copy_text(t, value); break;
    case OPTION_FILTER:
        if (value.n > 0 && value.p[0] == 0) /* 1 would be a compiled program */
            iface->filter = tables_copy_text(t, td_sub(value, 1, value.n));
        break;
    case OPTION_RESOLUTION:
        if (value.n >= 1 && !set_resolution(value.p[0], iface, clock))
            return error_set(err, TD_E_UNSUPPORTED, "offset %llu: interface %zu counts time in steps that are too fine (if_tsresol 0x%02x)",
                             (unsigned long long)b->offset, t->interface_count - 1, value.p[0]);
        break;
    case OPTION_OFFSET:
        if (value.n >= 8)
            iface->offset_s = clock->offset_s = (int64_t)bytes_u64(value.p, b->big);
        break;
    default: break;
    }
    return TD_OK;
}

static int read_interface_options(struct pcapng_reader *r, const struct block_view *b, struct capture_interface *iface,
                                  struct pcapng_clock *clock, struct error *err)
{
    const uint8_t *p = b->p + 16, *end = b->p + b->len - 4;
    while ((size_t)(end - p) >= 4) {
        uint16_t code = bytes_u16(p, b->big), len = bytes_u16(p + 2, b->big);
        p += 4;
        if (code == OPTION_END)
            break;
        size_t padded = ((size_t)len + 3) & ~(size_t)3;
        if (padded > (size_t)(end - p))
            return damaged(b, err, "an interface description with an option longer than the block");
        int status = set_interface_option(r, b, iface, clock, code, td_bytes(p, len), err);
        if (status != TD_OK)
            return status;
        p += padded;
    }
    return TD_OK;
}

static int read_interface(struct pcapng_reader *r, const struct block_view *b, struct error *err)
{
    if (b->len < INTERFACE_MIN)
        return damaged(b, err, "an interface description that is too short");
    if (r->clock_count == r->clock_cap) {
        size_t cap = r->clock_cap ? r->clock_cap * 2 : 4;
        struct pcapng_clock *clocks = mem_realloc(r->clocks, cap * sizeof(*clocks));
        if (!clocks)
            return error_nomem(err);
        r->clocks = clocks;
        r->clock_cap = cap;
    }
    struct capture_interface *iface;
    int status = tables_add_interface(r->tables, &iface, err);
    if (status != TD_OK)
        return status;
    struct pcapng_clock *clock = &r->clocks[r->clock_count++];
    *clock = (struct pcapng_clock){.multiply = NS_PER_US, .divide = 1};
    iface->ticks_per_s = 1000000;
    iface->section = r->section;
    iface->linktype = clock->linktype = bytes_u16(b->p + 8, b->big);
    iface->snaplen = clock->snaplen = bytes_u32(b->p + 12, b->big);
    return read_interface_options(r, b, iface, clock, err);
}

/* ---- Names and secrets ---- */

/* An address and the names that it has, each ended by a zero. */
static int read_name_record(struct pcapng_reader *r, uint8_t ip_version, struct td_slice value, struct error *err)
{
    size_t address_len = ip_version == 4 ? 4 : 16;
    struct td_slice names = td_sub(value, address_len, value.n);
    while (names.n) {
        const uint8_t *zero = memchr(names.p, 0, names.n);
        size_t n = zero ? (size_t)(zero - names.p) : names.n;
        int status = n ? tables_add_name(r->tables, ip_version, value.p, td_sub(names, 0, n), err) : TD_OK;
        if (status != TD_OK)
            return status;
        names = td_sub(names, n + 1, names.n);
    }
    return TD_OK;
}

static int read_names(struct pcapng_reader *r, const struct block_view *b, struct error *err)
{
    const uint8_t *p = b->p + BLOCK_HEAD, *end = b->p + b->len - 4;
    while ((size_t)(end - p) >= 4) {
        uint16_t type = bytes_u16(p, b->big), len = bytes_u16(p + 2, b->big);
        p += 4;
        if (type == RECORD_END)
            break;
        size_t padded = ((size_t)len + 3) & ~(size_t)3;
        if (padded > (size_t)(end - p))
            return damaged(b, err, "a name resolution block with a record longer than the block");
        int status = TD_OK;
        if (type == RECORD_IPV4 || type == RECORD_IPV6)
            status = read_name_record(r, type == RECORD_IPV4 ? 4 : 6, td_bytes(p, len), err);
        if (status != TD_OK)
            return status;
        p += padded;
    }
    return TD_OK;
}

static int read_secrets(struct pcapng_reader *r, const struct block_view *b, struct error *err)
{
    if (b->len < SECRETS_HEAD + 4)
        return damaged(b, err, "a decryption secrets block that is too short");
    uint32_t len = bytes_u32(b->p + 12, b->big);
    if (len > b->len - SECRETS_HEAD - 4)
        return damaged(b, err, "a decryption secrets block with more secrets than fit in it");
    return tables_add_secrets(r->tables, bytes_u32(b->p + 8, b->big), td_bytes(b->p + SECRETS_HEAD, len), err);
}

/* ---- Packets ---- */

/* False: 64 bits of nanoseconds (1677 to 2262) cannot hold it. */
static bool clock_ns(const struct pcapng_clock *c, uint64_t ticks, int64_t *ret_ns)
{
    unsigned __int128 scaled = (unsigned __int128)ticks * c->multiply;
    if (c->divide != 1)
        scaled /= c->divide;
    __int128 ns = (__int128)scaled + (__int128)c->offset_s * NS_PER_S;
    if (ns > INT64_MAX || ns < INT64_MIN)
        return false;
    *ret_ns = (int64_t)ns;
    return true;
}

/* Enhanced and obsolete packet blocks, which differ in the first word only. */
static int read_packet(struct pcapng_reader *r, const struct block_view *b, struct packet *packet, struct error *err)
{
    if (b->len < PACKET_HEAD + 4)
        return damaged(b, err, "a packet block that is too short");
    uint32_t iface = b->type == BLOCK_PACKET ? bytes_u16(b->p + 8, b->big) : bytes_u32(b->p + 8, b->big);
    uint32_t caplen = bytes_u32(b->p + 20, b->big), len = bytes_u32(b->p + 24, b->big);
    if (iface >= r->clock_count)
        return error_set(err, TD_E_CORRUPT, "offset %llu: packet %llu names interface %u, but the section has %zu; the file is damaged",
                         (unsigned long long)b->offset, (unsigned long long)r->frames + 1, iface, r->clock_count);
    if (caplen > b->len - PACKET_HEAD - 4)
        return error_set(err, TD_E_CORRUPT, "offset %llu: packet %llu claims %u captured bytes in a block of %u; the file is damaged here",
                         (unsigned long long)b->offset, (unsigned long long)r->frames + 1, caplen, b->len);
    const struct pcapng_clock *clock = &r->clocks[iface];
    uint64_t ticks = (uint64_t)bytes_u32(b->p + 12, b->big) << 32 | bytes_u32(b->p + 16, b->big);
    bool timed = clock_ns(clock, ticks, &r->last_time_ns);
    *packet = (struct packet){
        .p = b->p + PACKET_HEAD,
        .caplen = caplen,
        .len = len > caplen ? len : caplen,
        .time_ns = r->last_time_ns,
        .frame = ++r->frames,
        .iface = (uint32_t)(r->first_interface + iface),
        .linktype = clock->linktype,
        .flags = timed ? 0 : PACKET_NO_TIME,
    };
    return TD_OK;
}

/* A simple packet block says neither time nor captured length: the latter is what snaplen and block leave of the length. */
static int read_simple_packet(struct pcapng_reader *r, const struct block_view *b, struct packet *packet, struct error *err)
{
    if (b->len < SIMPLE_HEAD + 4)
        return damaged(b, err, "a simple packet block that is too short");
    if (r->clock_count == 0)
        return damaged(b, err, "a simple packet block in a section without interfaces");
    uint32_t len = bytes_u32(b->p + 8, b->big), room = b->len - SIMPLE_HEAD - 4, caplen = len;
    if (r->clocks[0].snaplen && caplen > r->clocks[0].snaplen)
        caplen = r->clocks[0].snaplen;
    if (caplen > room)
        return error_set(err, TD_E_CORRUPT, "offset %llu: packet %llu claims %u captured bytes in a block of %u; the file is damaged here",
                         (unsigned long long)b->offset, (unsigned long long)r->frames + 1, caplen, b->len);
    *packet = (struct packet){
        .p = b->p + SIMPLE_HEAD,
        .caplen = caplen,
        .len = len,
        .time_ns = r->last_time_ns,
        .frame = ++r->frames,
        .iface = (uint32_t)r->first_interface,
        .linktype = r->clocks[0].linktype,
        .flags = PACKET_NO_TIME,
    };
    return TD_OK;
}

/* Makes the next block whole at `p`, if `wait` allows to get more bytes for it. 1: it is in *ret. 0: the end, or not whole. */
static int next_block(struct pcapng_reader *r, struct input *in, bool wait, struct block_view *ret, struct error *err)
{
    struct block_view b = {.offset = input_offset(in), .big = r->big};
    if (wait ? !input_need(in, BLOCK_FRAME) : input_left(in) < BLOCK_FRAME) {
        if (!wait || (!input_left(in) && in->error.status == TD_OK))
            return 0;
        if (in->error.status != TD_OK)
            return error_set(err, in->error.status, "%s", in->error.text);
        return error_set(err, TD_E_CORRUPT, "offset %llu: a block is cut: its header takes %d bytes and %zu are left",
                         (unsigned long long)b.offset, BLOCK_FRAME, input_left(in));
    }
    b.type = bytes_u32(in->p, b.big);
    if (b.type == BLOCK_SECTION && section_order(in->p, &b.big) != TD_OK)
        return damaged(&b, err, "a section header without the byte-order magic");
    b.len = bytes_u32(in->p + 4, b.big);
    if (b.len < BLOCK_FRAME || b.len % 4 || b.len > PCAPNG_MAX_BLOCK)
        return error_set(
            err, TD_E_CORRUPT,
            "offset %llu: a block of type 0x%x claims %u bytes, which is not a multiple of 4 from %d to %d; the file is damaged",
            (unsigned long long)b.offset, b.type, b.len, BLOCK_FRAME, PCAPNG_MAX_BLOCK);
    if (wait ? !input_need(in, b.len) : input_left(in) < b.len) {
        if (!wait)
            return 0;
        if (in->error.status != TD_OK)
            return error_set(err, in->error.status, "%s", in->error.text);
        return error_set(err, TD_E_CORRUPT, "offset %llu: a block of type 0x%x is cut: it takes %u bytes and %zu are left",
                         (unsigned long long)b.offset, b.type, b.len, input_left(in));
    }
    b.p = in->p;
    uint32_t again = bytes_u32(b.p + b.len - 4, b.big);
    if (again != b.len)
        return error_set(err, TD_E_CORRUPT,
                         "offset %llu: a block of type 0x%x is %u bytes long in front and %u behind; the file is damaged",
                         (unsigned long long)b.offset, b.type, b.len, again);
    *ret = b;
    return 1;
}

/* 1: *packet is filled. 0: a block of another kind. */
static int read_block(struct pcapng_reader *r, const struct block_view *b, struct packet *packet, struct error *err)
{
    int status = TD_OK;
    switch (b->type) {
    case BLOCK_ENHANCED_PACKET:
    case BLOCK_PACKET: status = read_packet(r, b, packet, err); return status == TD_OK ? 1 : status;
    case BLOCK_SIMPLE_PACKET: status = read_simple_packet(r, b, packet, err); return status == TD_OK ? 1 : status;
    case BLOCK_SECTION: r->big = b->big; return read_section(r, b, err);
    case BLOCK_INTERFACE: return read_interface(r, b, err);
    case BLOCK_NAMES: return read_names(r, b, err);
    case BLOCK_SECRETS: return read_secrets(r, b, err);
    default: return TD_OK;
    }
}

int pcapng_read(struct pcapng_reader *r, struct input *in, struct packet *packets, size_t max, struct error *err)
{
    size_t n = 0;
    while (n < max && r->fault.status == TD_OK) {
        struct block_view b = {0};
        /* Waiting may move on to another block of memory, so not once there are packets: they share one. */
        int status = next_block(r, in, n == 0, &b, &r->fault);
        if (status == 0)
            break;
        if (status > 0)
            status = read_block(r, &b, &packets[n], &r->fault);
        if (status < 0)
            break;
        in->p += b.len;
        n += (size_t)status;
    }
    /* A fault is told once the packets before it are gone. */
    if (n == 0 && r->fault.status != TD_OK)
        return error_set(err, r->fault.status, "%s", r->fault.text);
    return (int)n;
}

int pcapng_open(struct pcapng_reader *r, struct input *in, struct tables *tables, struct error *err)
{
    *r = (struct pcapng_reader){.tables = tables};
    struct block_view b = {0};
    int status = next_block(r, in, true, &b, err);
    if (status == 0)
        return error_set(err, TD_E_CORRUPT, "offset %llu: the file is empty", (unsigned long long)input_offset(in));
    if (status < 0)
        return status;
    r->big = b.big;
    status = read_section(r, &b, err);
    if (status == TD_OK)
        in->p += b.len;
    return status;
}

void pcapng_close(struct pcapng_reader *r)
{
    mem_free(r->clocks);
}
