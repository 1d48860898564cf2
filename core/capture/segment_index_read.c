/* Reading the index of a segment: everything is checked before it is used. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "capture/segment_index_parts.h"

/* What opening reads at once: header, interfaces and frames of most segments. */
enum { HEAD_BYTES = 4096 };
enum { PCAPNG_MIN_INTERFACE = 20 /* bytes of a description block */ };

static const char *const part_names[INDEX_PARTS] = {"interfaces", "frames", "strides", "rows", "pages", "postings"};

static int damaged_at(uint64_t offset, const char *what, const char *how, struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "offset %llu: %s: %s; the index is damaged, it must be rebuilt from its segment",
                     (unsigned long long)offset, what, how);
}

int index_damaged(const struct segment_index *x, enum index_part part, uint64_t offset, const char *how, struct error *err)
{
    return damaged_at(x->offsets[part] + offset, part_names[part], how, err);
}

int index_read_at(int fd, uint64_t offset, void *p, size_t n, struct error *err)
{
    ssize_t got = file_read_at(fd, offset, p, n);
    if (got < 0)
        return error_set(err, TD_E_INTERNAL, "cannot read the index of a segment: %m");
    return got == (ssize_t)n ? TD_OK : damaged_at(offset + (uint64_t)got, "file", "ends too early", err);
}

/* A fuzzer cannot make checksums, and is to find what stands behind them. */
static bool checksum_fits(const uint8_t *p, size_t n, uint64_t checksum)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)p, (void)n, (void)checksum;
    return true;
#else
    return hash_bytes(p, n, INDEX_SEED) == checksum;
#endif
}

uint32_t index_varint(struct td_cursor *in)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 7 * INDEX_VARINT_BYTES; shift += 7) {
        uint8_t byte = td_u8(in);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            in->failed |= v > UINT32_MAX;
            return (uint32_t)v;
        }
    }
    in->failed = true;
    return 0;
}

/* ---- Header ---- */

static void read_summary(struct td_cursor *in, struct segment_summary *s)
{
    s->sequence = td_le64(in);
    s->bytes = td_le64(in);
    s->packets = td_le64(in);
    s->captured_bytes = td_le64(in);
    s->original_bytes = td_le64(in);
    s->first_ns = (int64_t)td_le64(in);
    s->last_ns = (int64_t)td_le64(in);
    s->covered_from_ns = (int64_t)td_le64(in);
    s->covered_to_ns = (int64_t)td_le64(in);
    s->dropped_by_kernel = td_le64(in);
    s->dropped_by_interface = td_le64(in);
    s->dropped_by_disk = td_le64(in);
    s->gap = td_le32(in);
    s->recovered = td_le32(in);
}

static void read_digest(struct td_cursor *in, struct segment_summary *s)
{
    uint64_t hashed = td_le64(in);
    const uint8_t *sha256 = td_claim_bytes(in, SEGMENT_SHA256);
    in->failed |= hashed > 1;
    s->hashed = hashed == 1 && sha256;
    if (s->hashed)
        memcpy(s->sha256, sha256, SEGMENT_SHA256);
}

static int read_header(struct segment_index *x, struct td_slice head, struct error *err)
{
    struct td_cursor in = td_cursor(head);
    if (!td_eq(td_take(&in, INDEX_MAGIC_BYTES), TD_LIT(INDEX_MAGIC)))
        return damaged_at(0, "header", "not an index of a segment", err);
    uint32_t version = td_le32(&in), bytes = td_le32(&in);
    if (version != INDEX_VERSION && version != INDEX_VERSION_WITHOUT_DIGEST)
        return error_set(err, TD_E_UNSUPPORTED, "the index of a segment has version %u, this program knows %u; it must be rebuilt", version,
                         INDEX_VERSION);
    x->header.file_bytes = td_le64(&in);
    read_summary(&in, &x->header.summary);
    if (version != INDEX_VERSION_WITHOUT_DIGEST)
        read_digest(&in, &x->header.summary);
    for (int i = 0; i < INDEX_PARTS; i++) {
        x->header.parts[i].count = td_le64(&in);
        x->header.parts[i].bytes = td_le64(&in);
        x->header.parts[i].checksum = td_le64(&in);
    }
    size_t n = td_pos(&in);
    uint64_t checksum = td_le64(&in);
    x->header_bytes = td_pos(&in);
    if (in.failed || bytes != x->header_bytes)
        return damaged_at(0, "header", "has another length", err);
    if (!checksum_fits(head.p, n, checksum))
        return damaged_at(0, "header", "wrong checksum", err);
    return TD_OK;
}

static bool sized(const struct index_header *h, enum index_part part, uint64_t max, uint64_t element)
{
    return h->parts[part].count <= max && h->parts[part].bytes == h->parts[part].count * element;
}

/* Are the numbers of the header possible, one beside the other? */
static const char *fault_of_header(const struct index_header *h)
{
    const struct segment_summary *s = &h->summary;
    uint64_t rows = h->parts[INDEX_ROWS].count, postings = h->parts[INDEX_POSTINGS].bytes;
    if (s->bytes > NOTES_MAX_SEGMENT || s->packets > s->bytes / 32 || s->gap >= GAP_COUNT || s->recovered > 1)
        return "impossible summary";
    if ((s->packets != 0) != (s->first_ns <= s->last_ns))
        return "impossible times";
    if (!sized(h, INDEX_INTERFACES, NOTES_MAX_INTERFACES, INDEX_INTERFACE_BYTES))
        return "impossible number of interfaces";
    uint64_t frames = h->parts[INDEX_FRAMES].count;
    if (!sized(h, INDEX_FRAMES, UINT32_MAX, INDEX_FRAME_BYTES) || (frames && frames != index_pieces(s->bytes, FRAMES_BYTES)))
        return "impossible number of frames";
    if (!sized(h, INDEX_STRIDES, s->bytes / NOTES_STRIDE + 1, INDEX_STRIDE_BYTES) ||
        (h->parts[INDEX_STRIDES].count != 0) != (s->packets != 0))
        return "impossible number of strides";
    if (rows > NOTES_MAX_ROWS || rows > s->packets || (rows != 0) != (s->packets != 0) ||
        h->parts[INDEX_ROWS].bytes > rows * INDEX_MAX_ROW_BYTES)
        return "impossible number of rows";
    if (h->parts[INDEX_POSTINGS].count != s->packets || postings < s->packets || postings > s->packets * INDEX_VARINT_BYTES)
        return "impossible number of postings";
    if (!sized(h, INDEX_PAGES, UINT32_MAX, INDEX_CHECKSUM_BYTES) || h->parts[INDEX_PAGES].count != index_pieces(postings, INDEX_PAGE))
        return "impossible number of pages";
    return NULL;
}

/* The parts stand one behind the other and fill the file; their sizes are limited by now, so nothing overflows. */
static bool place_parts(struct segment_index *x, uint64_t file_bytes)
{
    uint64_t at = x->header_bytes;
    for (int i = 0; i < INDEX_PARTS; i++) {
        x->offsets[i] = at;
        at += x->header.parts[i].bytes;
    }
    return at == file_bytes && x->header.file_bytes == file_bytes;
}

/* ---- Parts ---- */

/* All bytes of a part, from the beginning of the file if they are there. */
static int read_part(const struct segment_index *x, enum index_part part, struct td_slice head, struct buf *ret, struct error *err)
{
    uint64_t at = x->offsets[part], n = x->header.parts[part].bytes;
    if (!buf_reserve(ret, (size_t)n))
        return error_nomem(err);
    ret->n = (size_t)n;
    int status = TD_OK;
    if (n && at + n <= head.n)
        memcpy(ret->p, head.p + at, (size_t)n);
    else
        status = index_read_at(x->fd, at, ret->p, (size_t)n, err);
    if (status == TD_OK && !checksum_fits(ret->p, ret->n, x->header.parts[part].checksum))
        status = index_damaged(x, part, 0, "wrong checksum", err);
    return status;
}

static int load_interfaces(struct segment_index *x, struct td_slice head, struct error *err)
{
    struct buf bytes = {0};
    size_t n = (size_t)x->header.parts[INDEX_INTERFACES].count;
    int status = read_part(x, INDEX_INTERFACES, head, &bytes, err);
    x->interfaces = mem_calloc(n, sizeof(*x->interfaces));
    if (status == TD_OK && !x->interfaces)
        status = error_nomem(err);
    struct td_cursor in = td_cursor(buf_slice(&bytes));
    uint64_t end = 0;
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        struct notes_interface *iface = &x->interfaces[i];
        uint64_t at = (uint64_t)td_le32(&in) * 4;
        *iface = (struct notes_interface){(uint32_t)at, td_le32(&in), td_le32(&in), td_le32(&in)};
        if (at > UINT32_MAX || at < end || at + iface->length > x->header.summary.bytes || iface->length < PCAPNG_MIN_INTERFACE ||
            iface->length % 4 || iface->linktype > UINT16_MAX)
            status = index_damaged(x, INDEX_INTERFACES, i * INDEX_INTERFACE_BYTES, "cannot be where it says", err);
        end = at + iface->length;
    }
    x->interface_n = n;
    buf_clear(&bytes);
    return status;
}

static int load_frames(struct segment_index *x, struct td_slice head, struct error *err)
{
    struct buf bytes = {0};
    size_t n = (size_t)x->header.parts[INDEX_FRAMES].count;
    if (n == 0)
        return TD_OK;
    int status = read_part(x, INDEX_FRAMES, head, &bytes, err);
    struct segment_frames frames = {.size = x->header.summary.bytes, .ends = mem_calloc(n, sizeof(*frames.ends)), .n = n};
    if (status == TD_OK && !frames.ends)
        status = error_nomem(err);
    struct td_cursor in = td_cursor(buf_slice(&bytes));
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        uint32_t size = td_le32(&in);
        if (!size)
            status = index_damaged(x, INDEX_FRAMES, i * INDEX_FRAME_BYTES, "a frame without bytes", err);
        frames.ends[i] = frames.compressed += size;
    }
    x->frames = frames;
    buf_clear(&bytes);
    return status;
}

static const char *fault_of_stride(const struct segment_index *x, const struct notes_stride *s, const struct notes_stride *before)
{
    if (s->from >= x->header.summary.bytes || (before && s->from < before->from + NOTES_STRIDE))
        return "is not where it can be";
    if (s->packets >= x->header.summary.packets || s->packets < (before ? before->packets + 1 : 0) || (!before && s->packets))
        return "has an impossible number of packets";
    return s->first_ns > s->last_ns ? "ends before it begins" : NULL;
}

int index_load_strides(struct segment_index *x, struct error *err)
{
    struct buf bytes = {0};
    size_t n = (size_t)x->header.parts[INDEX_STRIDES].count;
    if (x->strides)
        return TD_OK;
    struct notes_stride *strides = NULL;
    int status = read_part(x, INDEX_STRIDES, (struct td_slice){0}, &bytes, err);
    if (status == TD_OK && !(strides = mem_calloc(n, sizeof(*strides))))
        status = error_nomem(err);
    struct td_cursor in = td_cursor(buf_slice(&bytes));
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        uint64_t from = (uint64_t)td_le32(&in) * 4, packets = td_le32(&in);
        int64_t first = (int64_t)td_le64(&in);
        strides[i] = (struct notes_stride){from, packets, first, (int64_t)td_le64(&in)};
        const char *fault = fault_of_stride(x, &strides[i], i ? &strides[i - 1] : NULL);
        if (fault)
            status = index_damaged(x, INDEX_STRIDES, i * INDEX_STRIDE_BYTES, fault, err);
    }
    buf_clear(&bytes);
    if (status == TD_OK)
        x->strides = strides;
    else
        mem_free(strides);
    return status;
}

bool index_next_row(struct td_cursor *in, struct index_row *ret)
{
    struct packet_key *key = &ret->key;
    *key = (struct packet_key){.linktype = td_le16(in)};
    key->ip_version = td_u8(in);
    key->protocol = td_u8(in);
    key->ip_at = td_u8(in);
    key->flags = td_u8(in);
    if (key->flags & PACKET_KEY_PORTS) {
        key->source_port = td_le16(in);
        key->target_port = td_le16(in);
    }
    if (key->ip_version == 4 || key->ip_version == 6) {
        size_t address = key->ip_version == 4 ? 4 : 16;
        const uint8_t *addresses = td_claim_bytes(in, 2 * address);
        if (!addresses)
            return false;
        memcpy(key->source, addresses, address);
        memcpy(key->target, addresses + address, address);
    }
    ret->packets = index_varint(in);
    ret->bytes = index_varint(in);
    return !in->failed && ret->packets && ret->bytes >= ret->packets && ret->bytes <= (uint64_t)ret->packets * INDEX_VARINT_BYTES &&
           packet_key_sound(key);
}

/* Walks over all rows once, so that later walks need no checks. */
static int check_rows(const struct segment_index *x, const struct buf *rows, struct error *err)
{
    struct td_cursor in = td_cursor(buf_slice(rows));
    uint64_t packets = 0, bytes = 0;
    for (uint64_t i = 0; i < x->header.parts[INDEX_ROWS].count; i++) {
        size_t at = td_pos(&in);
        struct index_row row;
        if (!index_next_row(&in, &row))
            return index_damaged(x, INDEX_ROWS, at, "a row that cannot be", err);
        packets += row.packets;
        bytes += row.bytes;
    }
    if (td_left(&in) || packets != x->header.summary.packets || bytes != x->header.parts[INDEX_POSTINGS].bytes)
        return index_damaged(x, INDEX_ROWS, td_pos(&in), "rows that do not add up", err);
    return TD_OK;
}

int index_load_rows(struct segment_index *x, struct error *err)
{
    struct buf rows = {0};
    if (x->rows.n)
        return TD_OK;
    int status = read_part(x, INDEX_ROWS, (struct td_slice){0}, &rows, err);
    if (status == TD_OK)
        status = check_rows(x, &rows, err);
    if (status == TD_OK)
        x->rows = rows;
    else
        buf_clear(&rows);
    return status;
}

int index_load_pages(struct segment_index *x, struct error *err)
{
    struct buf pages = {0};
    if (x->pages.n)
        return TD_OK;
    int status = read_part(x, INDEX_PAGES, (struct td_slice){0}, &pages, err);
    if (status == TD_OK)
        x->pages = pages;
    else
        buf_clear(&pages);
    return status;
}

int index_read_page(const struct segment_index *x, uint64_t page, uint8_t bytes[INDEX_PAGE], size_t *ret_n, struct error *err)
{
    uint64_t from = page * INDEX_PAGE, total = x->header.parts[INDEX_POSTINGS].bytes;
    size_t n = total - from < INDEX_PAGE ? (size_t)(total - from) : INDEX_PAGE;
    struct td_cursor sums = td_cursor(buf_slice(&x->pages));
    td_seek(&sums, (size_t)page * INDEX_CHECKSUM_BYTES);
    uint64_t checksum = td_le64(&sums);
    int status = index_read_at(x->fd, x->offsets[INDEX_POSTINGS] + from, bytes, n, err);
    if (status == TD_OK && (sums.failed || !checksum_fits(bytes, n, checksum)))
        status = index_damaged(x, INDEX_POSTINGS, from, "wrong checksum", err);
    if (status == TD_OK)
        *ret_n = n;
    return status;
}

int segment_index_check(struct segment_index *x, struct error *err)
{
    uint8_t bytes[INDEX_PAGE];
    size_t n;
    int status = index_load_strides(x, err);
    if (status == TD_OK)
        status = index_load_rows(x, err);
    if (status == TD_OK)
        status = index_load_pages(x, err);
    for (uint64_t i = 0; status == TD_OK && i < x->header.parts[INDEX_PAGES].count; i++)
        status = index_read_page(x, i, bytes, &n, err);
    return status;
}

/* ---- Opening ---- */

static int open_file(struct segment_index *x, struct error *err)
{
    uint8_t bytes[HEAD_BYTES];
    struct stat info;
    if (fstat(x->fd, &info) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot read the index of a segment: %m");
    uint64_t size = (uint64_t)info.st_size;
    struct td_slice head = td_bytes(bytes, size < sizeof(bytes) ? (size_t)size : sizeof(bytes));
    int status = index_read_at(x->fd, 0, bytes, head.n, err);
    if (status == TD_OK)
        status = read_header(x, head, err);
    if (status != TD_OK)
        return status;
    const char *fault = fault_of_header(&x->header);
    if (!fault && !place_parts(x, size))
        fault = "parts that do not fill the file";
    if (fault)
        return damaged_at(INDEX_MAGIC_BYTES, "header", fault, err);
    status = load_interfaces(x, head, err);
    return status == TD_OK ? load_frames(x, head, err) : status;
}

int segment_index_open(int fd, struct segment_index **ret, struct error *err)
{
    struct segment_index *x = mem_calloc(1, sizeof(*x));
    if (!x)
        return error_nomem(err);
    x->fd = fd;
    int status = open_file(x, err);
    if (status == TD_OK)
        *ret = x;
    else
        segment_index_close(x);
    return status;
}

int segment_index_of_notes(const struct notes *notes, struct segment_index **ret, struct error *err)
{
    struct segment_index *x = mem_calloc(1, sizeof(*x));
    if (!x)
        return error_nomem(err);
    x->notes = notes;
    *ret = x;
    return TD_OK;
}

void segment_index_close(struct segment_index *x)
{
    if (!x)
        return;
    mem_free(x->interfaces);
    mem_free(x->frames.ends);
    mem_free(x->strides);
    buf_clear(&x->rows);
    buf_clear(&x->pages);
    mem_free(x);
}

const struct segment_summary *segment_index_summary(const struct segment_index *x)
{
    return x->notes ? NULL : &x->header.summary;
}

const struct segment_frames *segment_index_frames(const struct segment_index *x)
{
    return x->frames.n ? &x->frames : NULL;
}

const struct notes_interface *segment_index_interfaces(const struct segment_index *x, size_t *ret_n)
{
    if (!x->notes) {
        *ret_n = x->interface_n;
        return x->interfaces;
    }
    struct notes_view view;
    notes_view(x->notes, &view);
    *ret_n = view.interface_n;
    return view.interfaces;
}
