#include "capture/window_section.h"

#include <stdio.h>

#include "base/units.h"
#include "packet/bytes.h"
#include "packet/pcapng_write.h"

enum {
    SECTION_FIXED = 24, /* bytes of a section header before its options */
    SECTION_MIN = 28,
    INTERFACE_MIN = 20,
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_HEAD = 4,
    COMMENT_BYTES = 4096, /* a longer filter is cut in the comment */
    MAX_HEAD = 4 << 20    /* bytes of header and interfaces together */
};

static const uint32_t byte_order_magic = 0x1a2b3c4d;

/* ---- The comment ---- */

static void put_time(struct buf *b, int64_t ns, const char *open_end)
{
    char text[UNITS_TEXT];
    if (ns == INT64_MIN || ns == INT64_MAX) {
        buf_puts(b, open_end);
        return;
    }
    units_format_time(ns, text);
    buf_puts(b, text);
}

static void put_wish(struct buf *b, const struct window_request *want)
{
    buf_puts(b, "packets from ");
    put_time(b, want->start_ns, "the beginning");
    buf_puts(b, " to before ");
    put_time(b, want->end_ns, "the end");
    if (want->filter && *want->filter)
        buf_printf(b, " that match \"%.2048s\"", want->filter);
}

static void put_drops(struct buf *b, const struct segment_summary *s, bool whole)
{
    buf_printf(b, ". While %s, %llu packets were dropped by the kernel, %llu by the interface, %llu for want of a disk that takes them",
               whole ? "the whole segment was captured" : "the segment was captured up to now", (unsigned long long)s->dropped_by_kernel,
               (unsigned long long)s->dropped_by_interface, (unsigned long long)s->dropped_by_disk);
}

static void put_comment(struct buf *b, const struct segment_blocks *in, const struct window_request *want)
{
    const struct segment_summary *s = segment_summary(in->segment);
    buf_printf(b, "Window of segment %llu: ", (unsigned long long)s->sequence);
    put_wish(b, want);
    put_drops(b, s, segment_state(in->segment) != SEGMENT_WRITING);
}

/* ---- The section header ---- */

static void put_16(struct buf *b, size_t v)
{
    buf_put(b, (const uint8_t[]){(uint8_t)v, (uint8_t)(v >> 8)}, 2);
}

static void put_32(struct buf *b, size_t v)
{
    uint8_t bytes[4];
    pcapng_le32(bytes, (uint32_t)v);
    buf_put(b, bytes, sizeof(bytes));
}

/* Bytes of the whole options in `p`, without the end of them. */
static size_t options_length(const uint8_t *p, size_t n)
{
    size_t at = 0;
    while (n - at >= OPTION_HEAD && bytes_u16(p + at, false) != OPTION_END) {
        size_t length = OPTION_HEAD + (((size_t)bytes_u16(p + at + 2, false) + 3) & ~(size_t)3);
        if (length > n - at)
            break;
        at += length;
    }
    return at;
}

/* The header at `p` with one more comment. Its length of the section is that of the whole segment, so it is not told. */
static void put_section(struct buf *b, const uint8_t *p, size_t n, struct td_slice comment)
{
    size_t options = options_length(p + SECTION_FIXED, n - SECTION_FIXED - 4), padding = (4 - comment.n % 4) % 4;
    size_t length = SECTION_FIXED + options + OPTION_HEAD + comment.n + padding + OPTION_HEAD + 4;
    put_32(b, BLOCK_TYPE_SECTION);
    put_32(b, length);
    buf_put(b, p + 8, 8); /* magic, version */
    put_32(b, UINT32_MAX);
    put_32(b, UINT32_MAX);
    buf_put(b, p + SECTION_FIXED, options);
    put_16(b, OPTION_COMMENT);
    put_16(b, comment.n);
    buf_put_slice(b, comment);
    buf_put(b, "\0\0\0", padding);
    put_32(b, OPTION_END);
    put_32(b, length);
}

static int put_header(struct buf *b, const struct segment_blocks *in, struct td_slice comment, struct error *err)
{
    uint8_t head[BLOCKS_MIN_BLOCK];
    if (in->end < SECTION_MIN)
        return segment_blocks_damaged(in, 0, "no section header", err);
    int status = segment_read(in->segment, 0, head, sizeof(head), err);
    if (status != TD_OK)
        return status;
    uint32_t length = bytes_u32(head + 4, false);
    if (bytes_u32(head, false) != BLOCK_TYPE_SECTION || bytes_u32(head + 8, false) != byte_order_magic || length < SECTION_MIN ||
        length % 4 || length > BLOCKS_MAX_BLOCK || length > in->end)
        return segment_blocks_damaged(in, 0, "no section header", err);
    struct buf whole = {.max = BLOCKS_MAX_BLOCK};
    if (!buf_reserve(&whole, length))
        return error_nomem(err);
    status = segment_read(in->segment, 0, whole.p, length, err);
    if (status == TD_OK)
        put_section(b, whole.p, length, comment);
    buf_clear(&whole);
    return status;
}

/* ---- Interfaces ---- */

/* Those that stand one behind the other are read at once. */
static int put_adjacent(struct buf *b, const struct segment_blocks *in, const struct notes_interface *interfaces, size_t n,
                        struct error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += interfaces[i].length;
    if (!buf_reserve(b, bytes))
        return error_set(err, TD_E_LIMIT, "the descriptions of interfaces take more than %d MiB", MAX_HEAD >> 20);
    int status = segment_read(in->segment, interfaces[0].at, b->p + b->n, bytes, err);
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        const uint8_t *p = b->p + b->n;
        uint32_t length = interfaces[i].length;
        if (length < INTERFACE_MIN || length % 4 || bytes_u32(p, false) != BLOCK_TYPE_INTERFACE || bytes_u32(p + 4, false) != length ||
            bytes_u32(p + length - 4, false) != length)
            status = segment_blocks_damaged(in, interfaces[i].at, "no interface is described where one should be", err);
        b->n += length;
    }
    return status;
}

static int put_interfaces(struct buf *b, const struct segment_blocks *in, const struct notes_interface *v, size_t n, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0, end; i < n && status == TD_OK; i = end) {
        for (end = i + 1; end < n && v[end].at == v[end - 1].at + v[end - 1].length; end++)
            ;
        status = put_adjacent(b, in, v + i, end - i, err);
    }
    return status;
}

/* ---- All ---- */

int window_section_put(struct buf *b, const struct segment_blocks *in, const struct notes_interface *interfaces, size_t interface_n,
                       const struct window_request *want, struct error *err)
{
    struct buf comment = {.max = COMMENT_BYTES};
    b->max = MAX_HEAD;
    put_comment(&comment, in, want);
    int status = put_header(b, in, buf_slice(&comment), err);
    if (status == TD_OK)
        status = put_interfaces(b, in, interfaces, interface_n, err);
    if (status == TD_OK && (b->failed || comment.failed))
        status = error_nomem(err);
    buf_clear(&comment);
    return status;
}

int window_section_put_none(struct buf *b, const struct window_request *want, struct error *err)
{
    struct buf comment = {.max = COMMENT_BYTES};
    buf_puts(&comment, "The raw capture has nothing of this window: ");
    put_wish(&comment, want);
    const char *const comments[] = {buf_cstr(&comment)};
    pcapng_put_section(b, &(struct pcapng_section){.application = "tapedeck", .comments = comments, .comment_count = 1});
    int status = b->failed || comment.failed ? error_nomem(err) : TD_OK;
    buf_clear(&comment);
    return status;
}
