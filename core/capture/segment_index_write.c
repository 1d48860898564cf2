/* Writing the index of a segment. */
#include "base/hash.h"
#include "base/mem.h"
#include "capture/segment_index_parts.h"

/* What is known of a row's postings while they are counted and written. */
struct row {
    uint32_t last; /* place */
    uint32_t packets;
    uint32_t at; /* of its next posting; while counting: bytes. All postings of the longest segment take less than 1 GiB */
};

struct index_writer {
    struct notes_view view;
    struct row *rows;
    struct index_header header;
    struct buf *out;
};

static void put_16(struct buf *out, uint32_t v)
{
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_put(out, bytes, sizeof(bytes));
}

static void put_32(struct buf *out, uint32_t v)
{
    put_16(out, v);
    put_16(out, v >> 16);
}

static void put_64(struct buf *out, uint64_t v)
{
    put_32(out, (uint32_t)v);
    put_32(out, (uint32_t)(v >> 32));
}

static inline uint32_t varint_bytes(uint32_t v)
{
    return (31u - (uint32_t)__builtin_clz(v | 1)) / 7 + 1;
}

static inline uint8_t *put_varint(uint8_t *p, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

/* ---- Parts ---- */

static void end_part(struct index_writer *w, enum index_part part, uint64_t count, size_t at)
{
    if (w->out->failed)
        return;
    w->header.parts[part].count = count;
    w->header.parts[part].bytes = w->out->n - at;
    if (part != INDEX_POSTINGS)
        w->header.parts[part].checksum = hash_bytes(w->out->p + at, w->out->n - at, INDEX_SEED);
}

static void put_interfaces(struct index_writer *w)
{
    size_t at = w->out->n;
    for (size_t i = 0; i < w->view.interface_n; i++) {
        const struct notes_interface *iface = &w->view.interfaces[i];
        put_32(w->out, iface->at / 4);
        put_32(w->out, iface->length);
        put_32(w->out, iface->linktype);
        put_32(w->out, iface->snaplen);
    }
    end_part(w, INDEX_INTERFACES, w->view.interface_n, at);
}

static void put_frames(struct index_writer *w, const struct segment_frames *frames)
{
    size_t at = w->out->n, n = frames ? frames->n : 0;
    for (size_t i = 0; i < n; i++)
        put_32(w->out, (uint32_t)(frames->ends[i] - (i ? frames->ends[i - 1] : 0)));
    end_part(w, INDEX_FRAMES, n, at);
}

static void put_strides(struct index_writer *w, const struct notes *notes)
{
    size_t at = w->out->n, n = 0;
    for (; n < w->view.strides; n++) {
        struct notes_stride s = notes_stride(notes, n);
        put_32(w->out, (uint32_t)(s.from / 4));
        put_32(w->out, (uint32_t)s.packets);
        put_64(w->out, (uint64_t)s.first_ns);
        put_64(w->out, (uint64_t)s.last_ns);
    }
    end_part(w, INDEX_STRIDES, n, at);
}

/* ---- Rows and postings ---- */

/* Packets and bytes of each row. */
static void count_postings(struct index_writer *w)
{
    for (size_t i = 0; i < w->view.n; i++) {
        struct note note = w->view.notes[i];
        struct row *row = &w->rows[note.row];
        row->at += varint_bytes(note.place - row->last);
        row->last = note.place;
        row->packets++;
    }
}

static void put_key(struct buf *out, const struct packet_key *key)
{
    const uint8_t bytes[] = {(uint8_t)key->linktype, (uint8_t)(key->linktype >> 8), key->ip_version, key->protocol, key->ip_at, key->flags};
    size_t address = key->ip_version == 4 ? 4 : key->ip_version == 6 ? 16 : 0;
    buf_put(out, bytes, sizeof(bytes));
    if (key->flags & PACKET_KEY_PORTS) {
        put_16(out, key->source_port);
        put_16(out, key->target_port);
    }
    buf_put(out, key->source, address);
    buf_put(out, key->target, address);
}

/* Rows with packets; from then on they know where their postings go. Returns the bytes of all postings. */
static uint32_t put_rows(struct index_writer *w)
{
    size_t at = w->out->n, n = 0;
    uint32_t total = 0;
    for (size_t i = 0; i < w->view.rows; i++) {
        struct row *row = &w->rows[i];
        uint8_t varints[2 * INDEX_VARINT_BYTES];
        if (!row->packets)
            continue;
        put_key(w->out, &w->view.keys[i]);
        buf_put(w->out, varints, (size_t)(put_varint(put_varint(varints, row->packets), row->at) - varints));
        uint32_t bytes = row->at;
        row->at = total;
        row->last = 0;
        total += bytes;
        n++;
    }
    end_part(w, INDEX_ROWS, n, at);
    return total;
}

/* The checksums stand before the postings, so their room is taken first. */
static void put_postings(struct index_writer *w, uint64_t bytes)
{
    uint64_t pages = index_pieces(bytes, INDEX_PAGE);
    size_t sums_at = w->out->n, sums = (size_t)pages * INDEX_CHECKSUM_BYTES;
    if (!buf_reserve(w->out, sums + (size_t)bytes))
        return;
    uint8_t *postings = w->out->p + sums_at + sums;
    for (size_t i = 0; i < w->view.n; i++) {
        struct note note = w->view.notes[i];
        struct row *row = &w->rows[note.row];
        row->at = (uint32_t)(put_varint(postings + row->at, note.place - row->last) - postings);
        row->last = note.place;
    }
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t from = i * INDEX_PAGE, n = bytes - from < INDEX_PAGE ? bytes - from : INDEX_PAGE;
        put_64(w->out, hash_bytes(postings + from, (size_t)n, INDEX_SEED));
    }
    end_part(w, INDEX_PAGES, pages, sums_at);
    w->out->n += (size_t)bytes;
    end_part(w, INDEX_POSTINGS, w->view.n, w->out->n - (size_t)bytes);
}

/* ---- Header ---- */

static void put_summary(struct buf *out, const struct segment_summary *s)
{
    static const uint8_t none[SEGMENT_SHA256];
    put_64(out, s->sequence);
    put_64(out, s->bytes);
    put_64(out, s->packets);
    put_64(out, s->captured_bytes);
    put_64(out, s->original_bytes);
    put_64(out, (uint64_t)s->first_ns);
    put_64(out, (uint64_t)s->last_ns);
    put_64(out, (uint64_t)s->covered_from_ns);
    put_64(out, (uint64_t)s->covered_to_ns);
    put_64(out, s->dropped_by_kernel);
    put_64(out, s->dropped_by_interface);
    put_64(out, s->dropped_by_disk);
    put_32(out, s->gap);
    put_32(out, s->recovered);
    put_64(out, s->hashed);
    buf_put(out, s->hashed ? s->sha256 : none, SEGMENT_SHA256);
}

/* Over the room that was left for it at `at`. */
static void put_header(struct buf *out, size_t at, const struct index_header *h)
{
    struct buf head = {0};
    buf_put(&head, INDEX_MAGIC, INDEX_MAGIC_BYTES);
    put_32(&head, INDEX_VERSION);
    put_32(&head, INDEX_HEADER_BYTES);
    put_64(&head, out->n - at);
    put_summary(&head, &h->summary);
    for (int i = 0; i < INDEX_PARTS; i++) {
        put_64(&head, h->parts[i].count);
        put_64(&head, h->parts[i].bytes);
        put_64(&head, h->parts[i].checksum);
    }
    put_64(&head, head.failed ? 0 : hash_bytes(head.p, head.n, INDEX_SEED));
    if (head.failed || out->failed)
        out->failed = true;
    else
        memcpy(out->p + at, head.p, head.n);
    buf_clear(&head);
}

static void leave_room(struct buf *out)
{
    static const uint8_t zeros[INDEX_HEADER_BYTES];
    buf_put(out, zeros, sizeof(zeros));
}

/* ---- All ---- */

static int check(const struct notes_view *view, const struct segment_summary *s, const struct segment_frames *frames, struct error *err)
{
    if (s->packets != view->n || s->bytes < view->end || s->bytes > NOTES_MAX_SEGMENT)
        return error_set(err, TD_E_INTERNAL, "the index of segment %llu: %llu packets in %llu bytes, but %zu were noted, up to %llu",
                         (unsigned long long)s->sequence, (unsigned long long)s->packets, (unsigned long long)s->bytes, view->n,
                         (unsigned long long)view->end);
    if (frames && (frames->size != s->bytes || frames->n != index_pieces(s->bytes, FRAMES_BYTES)))
        return error_set(err, TD_E_INTERNAL, "the index of segment %llu: its frames hold %llu bytes, not %llu",
                         (unsigned long long)s->sequence, (unsigned long long)frames->size, (unsigned long long)s->bytes);
    return TD_OK;
}

int segment_index_write(const struct notes *notes, const struct segment_summary *summary, const struct segment_frames *frames,
                        struct buf *ret, struct error *err)
{
    struct index_writer w = {.header = {.summary = *summary}, .out = ret};
    size_t at = ret->n;
    notes_view(notes, &w.view);
    int status = check(&w.view, summary, frames, err);
    if (status != TD_OK)
        return status;
    w.rows = mem_calloc(w.view.rows, sizeof(*w.rows));
    if (!w.rows || !buf_reserve(ret, INDEX_HEADER_BYTES)) {
        status = error_nomem(err);
        goto out;
    }
    leave_room(ret);
    put_interfaces(&w);
    put_frames(&w, frames);
    put_strides(&w, notes);
    count_postings(&w);
    put_postings(&w, put_rows(&w));
    put_header(ret, at, &w.header);
    if (ret->failed)
        status = error_nomem(err);
out:
    mem_free(w.rows);
    return status;
}

/* The parts stay as they are, with their checksums, right or wrong. */
int segment_index_rewrite(const struct segment_index *x, const struct segment_summary *summary, struct buf *ret, struct error *err)
{
    struct index_header header = x->header;
    uint64_t from = x->header_bytes, n = x->header.file_bytes - from;
    size_t at = ret->n;
    header.summary = *summary;
    if (!buf_reserve(ret, INDEX_HEADER_BYTES + (size_t)n))
        return error_nomem(err);
    leave_room(ret);
    int status = index_read_at(x->fd, from, ret->p + ret->n, (size_t)n, err);
    if (status != TD_OK)
        return status;
    ret->n += (size_t)n;
    put_header(ret, at, &header);
    return ret->failed ? error_nomem(err) : TD_OK;
}

/* A posting takes one byte more for each power of 128 that its distance reaches; and of all distances in a segment, which together are at
 * most its length for each row, only so many can. */
static uint64_t postings_bound(const struct notes_size *size)
{
    uint64_t units = size->end / 4 * size->rows, bound = size->packets;
    for (int bits = 7; bits < 32; bits += 7)
        bound += units >> bits < size->packets ? units >> bits : size->packets;
    return bound;
}

uint64_t segment_index_bound(const struct notes *notes)
{
    struct notes_size size;
    notes_size(notes, &size);
    uint64_t postings = postings_bound(&size);
    return INDEX_HEADER_BYTES + size.interfaces * INDEX_INTERFACE_BYTES + (size.end / FRAMES_BYTES + 2) * INDEX_FRAME_BYTES +
           size.strides * INDEX_STRIDE_BYTES + size.row_bytes + size.rows * 2 * INDEX_VARINT_BYTES +
           (postings / INDEX_PAGE + 1) * INDEX_CHECKSUM_BYTES + postings;
}
