#include "capture/segment_interfaces.h"

#include <stdalign.h>

#include "capture/segment_blocks.h"
#include "capture/window_section.h"
#include "packet/capture.h"
#include "tapedeck/cursor.h"

enum {
    BLOCK_TYPE_STATISTICS = 5,
    STATISTICS_FIXED = 20, /* bytes before the options */
    OPTION_END = 0,
    STATISTICS_START = 2,
    STATISTICS_END = 3,
    STATISTICS_RECEIVED = 4,
    STATISTICS_INTERFACE_DROPS = 5,
    STATISTICS_SYSTEM_DROPS = 7
};

/* ---- Descriptions ---- */

static const char *copy(struct arena *arena, const char *text, bool *failed)
{
    const char *mine = text ? arena_strndup(arena, text, strlen(text)) : NULL;
    *failed = *failed || (text && !mine);
    return mine;
}

/* `head`: a section with nothing but interfaces, read as any capture is. */
static int read_descriptions(struct td_slice head, struct arena *arena, struct segment_interface *v, size_t n, struct error *err)
{
    struct capture *c;
    struct packet none[1];
    struct block *block;
    bool failed = false;
    int status = capture_open_memory(head, &c, err);
    if (status != TD_OK)
        return status;
    status = capture_read(c, none, 1, &block, err);
    if (status == TD_OK && capture_interface_count(c) != n)
        status = error_set(err, TD_E_CORRUPT, "%zu interfaces are described, its index knows %zu", capture_interface_count(c), n);
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        const struct capture_interface *from = capture_interface(c, i);
        v[i] = (struct segment_interface){.name = copy(arena, from->name, &failed),
                                          .description = copy(arena, from->description, &failed),
                                          .filter = copy(arena, from->filter, &failed),
                                          .linktype = from->linktype,
                                          .snaplen = from->snaplen};
    }
    capture_close(c);
    return status == TD_OK && failed ? error_nomem(err) : status;
}

/* ---- Statistics ---- */

static int64_t take_time(struct td_cursor *in)
{
    uint64_t high = td_le32(in);
    return (int64_t)(high << 32 | td_le32(in));
}

/* What is not as it should be is left alone: nothing depends on it but numbers for people. */
static void read_statistics(const struct segment_block *b, struct segment_interface *v, size_t n)
{
    struct td_cursor in = td_cursor(td_bytes(b->p, b->length - 4));
    td_skip(&in, BLOCKS_HEAD);
    uint32_t iface = td_le32(&in);
    td_seek(&in, STATISTICS_FIXED);
    if (in.failed || iface >= n)
        return;
    struct segment_interface *s = &v[iface];
    s->counted = true;
    while (td_left(&in) >= 4) {
        uint16_t code = td_le16(&in), length = td_le16(&in);
        struct td_slice value = td_take(&in, length);
        td_skip(&in, (4 - length % 4u) % 4);
        if (in.failed || code == OPTION_END)
            return;
        struct td_cursor number = td_cursor(value);
        if (length != 8)
            continue;
        switch (code) {
        case STATISTICS_START: s->start_ns = take_time(&number); break;
        case STATISTICS_END: s->end_ns = take_time(&number); break;
        case STATISTICS_RECEIVED: s->received = td_le64(&number); break;
        case STATISTICS_INTERFACE_DROPS: s->dropped_by_interface = td_le64(&number); break;
        case STATISTICS_SYSTEM_DROPS: s->dropped_by_kernel = td_le64(&number); break;
        default: break;
        }
    }
}

/* Those at the segment's end; of earlier ones they are the sum. */
static int find_statistics(struct segment_blocks *in, struct segment_index *index, struct segment_interface *v, size_t n, struct error *err)
{
    uint64_t at, before, until;
    int status = segment_index_locate(index, UINT64_MAX, &at, &before, err);
    if (status == TD_E_NOT_FOUND) {
        size_t interface_n;
        const struct notes_interface *last = segment_index_interfaces(index, &interface_n);
        at = interface_n ? (uint64_t)last[interface_n - 1].at + last[interface_n - 1].length : in->end;
        status = TD_OK;
    }
    while (status == TD_OK && at < in->end) {
        struct segment_block b;
        status = segment_blocks_get(in, at, &b, &until, err);
        if (status == 0) {
            status = segment_blocks_read(in, at, in->end, err);
            continue;
        }
        if (status < 0)
            break;
        if (b.type == BLOCK_TYPE_STATISTICS)
            read_statistics(&b, v, n);
        at += b.length;
        status = TD_OK;
    }
    return status;
}

/* ---- All ---- */

int segment_interfaces(struct segment *segment, struct arena *arena, struct segment_interface **ret, size_t *ret_n, struct error *err)
{
    struct segment_blocks blocks = {0};
    struct segment_index *index;
    struct buf head = {0};
    const struct window_request all = {.start_ns = INT64_MIN, .end_ns = INT64_MAX};
    const struct segment_summary *s = segment_summary(segment);
    size_t n = 0;
    struct segment_interface *v = NULL;
    int status = segment_blocks_init(&blocks, err);
    if (status == TD_OK)
        status = segment_index(segment, &index, err);
    if (status != TD_OK)
        goto out;
    const struct notes_interface *interfaces = segment_index_interfaces(index, &n);
    while (n && (uint64_t)interfaces[n - 1].at + interfaces[n - 1].length > s->bytes) /* of a segment that goes on */
        n--;
    segment_blocks_begin(&blocks, segment, s->bytes);
    v = arena_alloc(arena, (n + 1) * sizeof(*v), alignof(struct segment_interface));
    if (!v)
        status = error_nomem(err);
    if (status == TD_OK && n)
        status = window_section_put(&head, &blocks, interfaces, n, &all, err);
    if (status == TD_OK && n)
        status = read_descriptions(buf_slice(&head), arena, v, n, err);
    if (status == TD_OK && segment_state(segment) != SEGMENT_WRITING)
        status = find_statistics(&blocks, index, v, n, err);
    if (status != TD_OK)
        error_prefix(err, "segment %llu: ", (unsigned long long)s->sequence);
out:
    buf_clear(&head);
    segment_blocks_clear(&blocks);
    if (status == TD_OK) {
        *ret = v;
        *ret_n = n;
    }
    return status;
}
