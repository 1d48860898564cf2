/* Reading a whole segment: to cut it after a crash, and to make its index anew. */
#include "base/mem.h"
#include "capture/segment_index.h"
#include "tapedeck/cursor.h"

enum block_type {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2,        /* obsolete */
    BLOCK_SIMPLE_PACKET = 3, /* these two have packets that the index would not know; no segment of ours has them */
    BLOCK_STATISTICS = 5,
    BLOCK_ENHANCED_PACKET = 6
};

enum {
    READ_BYTES = 1 << 20, /* at once; blocks with options must fit in it */
    BLOCK_FRAME = 12,     /* type, length and the length again */
    SECTION_MIN = 28,     /* whole blocks without options */
    INTERFACE_MIN = 20,
    STATISTICS_MIN = 24,
    PACKET_HEAD = 28, /* before the bytes of an enhanced packet block */
    KEY_BYTES = 128,  /* of a packet that packet_key_of() looks at */
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    NANOSECONDS = 9 /* if_tsresol */
};

enum option_code {
    OPTION_END = 0,
    INTERFACE_RESOLUTION = 9,
    INTERFACE_OFFSET = 14,
    STATISTICS_START = 2,
    STATISTICS_END = 3,
    STATISTICS_INTERFACE_DROPS = 5,
    STATISTICS_SYSTEM_DROPS = 7
};

struct drops {
    uint64_t by_interface, by_kernel;
};

struct scan {
    const struct segment_bytes *source;
    struct notes *notes;
    struct segment_summary *summary;
    uint32_t interface_n;
    int64_t after_ns; /* latest packet since the last statistics that say until when they go */
    struct drops drops[NOTES_MAX_INTERFACES];
    uint64_t at; /* in the segment, of buffer[0] */
    size_t n;    /* in the buffer */
    uint8_t buffer[READ_BYTES];
};

/* What a block turned out to be. */
enum verdict { FOREIGN /* not ours, or torn: the segment ends before it */, WHOLE };

/* ---- Bytes ---- */

/* `n` bytes at `at`, which are in the segment and fit in the buffer; forward only, so that everything is read once. */
static int need(struct scan *s, uint64_t at, size_t n, const uint8_t **ret, struct error *err)
{
    uint64_t end = s->at + s->n;
    if (at + n > end) {
        size_t kept = at < end ? (size_t)(end - at) : 0;
        if (kept)
            memmove(s->buffer, s->buffer + (at - s->at), kept);
        s->at = at;
        s->n = kept;
        uint64_t left = s->source->size - at - kept;
        size_t more = left < READ_BYTES - kept ? (size_t)left : READ_BYTES - kept;
        int status = s->source->read(s->source->ctx, at + kept, s->buffer + kept, more, err);
        if (status != TD_OK)
            return status;
        s->n += more;
    }
    *ret = s->buffer + (at - s->at);
    return TD_OK;
}

struct option {
    uint16_t code;
    struct td_slice value;
};

/* False: no more. A list that does not end well makes the cursor fail. */
static bool next_option(struct td_cursor *in, struct option *ret)
{
    if (!td_left(in))
        return false;
    ret->code = td_le16(in);
    size_t n = td_le16(in);
    ret->value = td_take(in, n);
    td_skip(in, -n & 3);
    return !in->failed && ret->code != OPTION_END;
}

/* A number of 64 bits, lower half first. */
static uint64_t number(const struct option *o)
{
    struct td_cursor in = td_cursor(o->value);
    return td_le64(&in);
}

/* Times stand with their upper half first. */
static int64_t time_of(struct td_cursor *in)
{
    uint64_t high = td_le32(in);
    return (int64_t)(high << 32 | td_le32(in));
}

/* ---- Blocks; each is whole, and its lengths agree ---- */

static enum verdict take_section(struct td_slice block)
{
    struct td_cursor in = td_cursor(block);
    td_skip(&in, 8);
    uint32_t magic = td_le32(&in);
    uint16_t major = td_le16(&in);
    return block.n >= SECTION_MIN && magic == BYTE_ORDER_MAGIC && major == 1 ? WHOLE : FOREIGN;
}

static enum verdict take_interface(struct scan *s, uint64_t at, struct td_slice block)
{
    if (block.n < INTERFACE_MIN || at > UINT32_MAX)
        return FOREIGN;
    struct td_cursor in = td_cursor(td_sub(block, 0, block.n - 4));
    td_skip(&in, 8);
    uint32_t linktype = td_le16(&in);
    td_skip(&in, 2);
    struct notes_interface iface = {(uint32_t)at, (uint32_t)block.n, linktype, td_le32(&in)};
    uint8_t resolution = 0;
    for (struct option o; next_option(&in, &o);) {
        if (o.code == INTERFACE_RESOLUTION && o.value.n == 1)
            resolution = o.value.p[0];
        if (o.code == INTERFACE_OFFSET && o.value.n >= 8 && number(&o))
            return FOREIGN;
    }
    if (in.failed || resolution != NANOSECONDS || !notes_add_interface(s->notes, &iface))
        return FOREIGN;
    s->drops[s->interface_n++] = (struct drops){0};
    return WHOLE;
}

static enum verdict take_statistics(struct scan *s, struct td_slice block)
{
    if (block.n < STATISTICS_MIN)
        return FOREIGN;
    struct td_cursor in = td_cursor(td_sub(block, 0, block.n - 4));
    td_skip(&in, 8);
    uint32_t iface = td_le32(&in);
    td_skip(&in, 8);
    if (iface >= s->interface_n)
        return FOREIGN;
    struct drops drops = {0};
    struct segment_summary *summary = s->summary;
    int64_t from = summary->covered_from_ns, to = summary->covered_to_ns, after = s->after_ns;
    for (struct option o; next_option(&in, &o);) {
        struct td_cursor value = td_cursor(o.value);
        if (o.value.n != 8)
            continue;
        if (o.code == STATISTICS_START) {
            int64_t start = time_of(&value);
            from = start < from ? start : from;
        } else if (o.code == STATISTICS_END) {
            int64_t end = time_of(&value);
            to = end > to ? end : to;
            after = INT64_MIN;
        } else if (o.code == STATISTICS_INTERFACE_DROPS) {
            drops.by_interface = number(&o);
        } else if (o.code == STATISTICS_SYSTEM_DROPS) {
            drops.by_kernel = number(&o);
        }
    }
    if (in.failed)
        return FOREIGN;
    summary->covered_from_ns = from;
    summary->covered_to_ns = to;
    s->after_ns = after;
    s->drops[iface] = drops;
    return WHOLE;
}

/* `p`: the beginning of the block, with as much of the packet as a key needs. */
static int take_packet(struct scan *s, uint64_t at, uint32_t length, const uint8_t *p, enum verdict *ret, struct error *err)
{
    struct segment_summary *summary = s->summary;
    if (length < PACKET_HEAD + 4)
        return TD_OK;
    struct td_cursor in = td_cursor(td_bytes(p, PACKET_HEAD));
    td_skip(&in, 8);
    uint32_t iface = td_le32(&in);
    int64_t time_ns = time_of(&in);
    uint32_t caplen = td_le32(&in), len = td_le32(&in);
    if (iface >= s->interface_n || caplen > length - PACKET_HEAD - 4)
        return TD_OK;
    if (!notes_add(s->notes, iface, at, at + length, time_ns, p + PACKET_HEAD, caplen < KEY_BYTES ? caplen : KEY_BYTES))
        return error_set(err, TD_E_LIMIT, "offset %llu: more than can be noted of one segment", (unsigned long long)at);
    summary->packets++;
    summary->captured_bytes += caplen;
    summary->original_bytes += len > caplen ? len : caplen;
    summary->first_ns = time_ns < summary->first_ns ? time_ns : summary->first_ns;
    summary->last_ns = time_ns > summary->last_ns ? time_ns : summary->last_ns;
    s->after_ns = time_ns > s->after_ns ? time_ns : s->after_ns;
    *ret = WHOLE;
    return TD_OK;
}

/* ---- All ---- */

struct block {
    uint64_t at;
    uint32_t type, length;
    uint8_t head[PACKET_HEAD + KEY_BYTES]; /* its beginning: the buffer may move on */
    struct td_slice whole;                 /* if it fits in the buffer */
};

/* The block at `at`. FOREIGN: there is none, or not the whole of it. */
static int find_block(struct scan *s, uint64_t at, struct block *b, enum verdict *ret, struct error *err)
{
    uint64_t left = s->source->size - at;
    const uint8_t *p;
    *ret = FOREIGN;
    if (left < BLOCK_FRAME)
        return TD_OK;
    size_t n = left < sizeof(b->head) ? (size_t)left : sizeof(b->head);
    int status = need(s, at, n, &p, err);
    if (status != TD_OK)
        return status;
    memcpy(b->head, p, n);
    struct td_cursor in = td_cursor(td_bytes(p, n));
    b->at = at;
    b->type = td_le32(&in);
    b->length = td_le32(&in);
    b->whole = (struct td_slice){0};
    if (b->length < BLOCK_FRAME || b->length % 4 || b->length > left)
        return TD_OK;
    bool fits = b->length <= READ_BYTES;
    status = fits ? need(s, at, b->length, &p, err) : need(s, at + b->length - 4, 4, &p, err);
    if (status != TD_OK)
        return status;
    if (fits)
        b->whole = td_bytes(p, b->length);
    in = td_cursor(fits ? td_sub(b->whole, b->length - 4, b->length) : td_bytes(p, 4));
    *ret = td_le32(&in) == b->length ? WHOLE : FOREIGN;
    return TD_OK;
}

static int take_block(struct scan *s, const struct block *b, enum verdict *ret, struct error *err)
{
    *ret = FOREIGN;
    if ((b->type == BLOCK_SECTION) != (b->at == 0)) /* one section, and it comes first */
        return TD_OK;
    switch (b->type) {
    case BLOCK_SECTION: *ret = take_section(b->whole); break;
    case BLOCK_INTERFACE: *ret = take_interface(s, b->at, b->whole); break;
    case BLOCK_STATISTICS: *ret = take_statistics(s, b->whole); break;
    case BLOCK_ENHANCED_PACKET: return take_packet(s, b->at, b->length, b->head, ret, err);
    case BLOCK_PACKET:
    case BLOCK_SIMPLE_PACKET: break;
    default: *ret = WHOLE; break;
    }
    return TD_OK;
}

/* Where statistics told nothing, capture was running when packets came. */
static void finish_summary(struct scan *s)
{
    struct segment_summary *summary = s->summary;
    for (uint32_t i = 0; i < s->interface_n; i++) {
        summary->dropped_by_interface += s->drops[i].by_interface;
        summary->dropped_by_kernel += s->drops[i].by_kernel;
    }
    if (summary->covered_from_ns == INT64_MAX)
        summary->covered_from_ns = summary->first_ns;
    if (s->after_ns >= summary->covered_to_ns && s->after_ns != INT64_MIN)
        summary->covered_to_ns = s->after_ns < INT64_MAX ? s->after_ns + 1 : INT64_MAX;
}

int segment_index_scan(const struct segment_bytes *bytes, struct notes *notes, struct segment_summary *ret, uint64_t *ret_end,
                       struct error *err)
{
    struct segment_summary summary = {
        .first_ns = INT64_MAX, .last_ns = INT64_MIN, .covered_from_ns = INT64_MAX, .covered_to_ns = INT64_MIN};
    struct scan *s = mem_alloc(sizeof(*s)); /* not cleared: most of it is the buffer */
    if (!s)
        return error_nomem(err);
    s->source = bytes;
    s->notes = notes;
    s->summary = &summary;
    s->interface_n = 0;
    s->after_ns = INT64_MIN;
    s->at = s->n = 0;
    int status = TD_OK;
    enum verdict verdict = WHOLE;
    while (status == TD_OK && verdict == WHOLE) {
        struct block b;
        status = find_block(s, summary.bytes, &b, &verdict, err);
        if (status == TD_OK && verdict == WHOLE)
            status = take_block(s, &b, &verdict, err);
        if (status == TD_OK && verdict == WHOLE)
            summary.bytes += b.length;
    }
    if (status == TD_OK && summary.bytes == 0)
        status = error_set(err, TD_E_CORRUPT, "offset 0: no section header of pcapng; this is no segment, or nothing of it is left");
    if (status == TD_OK) {
        finish_summary(s);
        notes_publish(notes);
        summary.sequence = ret->sequence;
        summary.gap = ret->gap;
        summary.recovered = ret->recovered;
        *ret = summary;
        *ret_end = summary.bytes;
    }
    mem_free(s);
    return status;
}
