/* Which bytes of a segment a window needs: strides by their times, then places by the keys of packets. */
#include "base/mem.h"
#include "capture/segment_index_parts.h"

enum {
    /* Places are named if they are at most this part of the packets in the range: else reading all of it in one go is as quick. */
    FEW_PACKETS = 8,
    /* Postings are read if they have at most this part of the bytes of the range. */
    FEW_BYTES = 4,
    RADIX_BITS = 11,
    RADIX = 1 << RADIX_BITS
};

/* The strides that overlap the window, from the first to the last one of them. */
struct range {
    struct notes_stride *strides; /* the index's own, or `copy` */
    struct notes_stride *copy;
    size_t n;                 /* all strides */
    size_t first, end;        /* of those that overlap */
    uint64_t packets, bytes;  /* of the segment, up to the last packet's end */
    uint64_t in_range;        /* packets of those that overlap */
    int64_t start_ns, end_ns; /* the window */
};

/* Places as they are found. */
struct places {
    uint32_t *p;
    size_t n, cap;
};

/* ---- Times ---- */

static bool overlaps(const struct range *r, size_t i)
{
    return r->start_ns < r->end_ns && r->strides[i].first_ns < r->end_ns && r->strides[i].last_ns >= r->start_ns;
}

/* Number of the packet behind stride `i`, and the offset. */
static uint64_t packets_until(const struct range *r, size_t i)
{
    return i + 1 < r->n ? r->strides[i + 1].packets : r->packets;
}

static uint64_t stride_end(const struct range *r, size_t i)
{
    return i + 1 < r->n ? r->strides[i + 1].from : r->bytes;
}

/* Strides of notes that are newer than the packets in the view are left out. */
static int copy_strides(const struct notes *notes, const struct notes_view *view, struct range *r, struct error *err)
{
    r->strides = r->copy = mem_alloc(view->strides * sizeof(*r->copy));
    if (!r->copy)
        return error_nomem(err);
    for (; r->n < view->strides; r->n++) {
        r->copy[r->n] = notes_stride(notes, r->n);
        if (r->copy[r->n].packets >= view->n)
            break;
    }
    return TD_OK;
}

static int find_range(struct segment_index *x, const struct notes_view *view, struct range *r, struct error *err)
{
    int status = x->notes ? copy_strides(x->notes, view, r, err) : index_load_strides(x, err);
    if (status != TD_OK)
        return status;
    if (!x->notes) {
        r->strides = x->strides;
        r->n = (size_t)x->header.parts[INDEX_STRIDES].count;
    }
    r->packets = x->notes ? view->n : x->header.summary.packets;
    r->bytes = x->notes ? view->end : x->header.summary.bytes;
    r->first = r->n;
    for (size_t i = 0; i < r->n; i++) {
        if (!overlaps(r, i))
            continue;
        r->first = r->first < i ? r->first : i;
        r->end = i + 1;
        r->in_range += packets_until(r, i) - r->strides[i].packets;
    }
    return TD_OK;
}

/* ---- Places ---- */

static bool add_place(struct places *places, uint32_t place)
{
    if (places->n == places->cap) {
        size_t cap = places->cap ? places->cap * 2 : 1024;
        uint32_t *p = mem_realloc(places->p, cap * sizeof(*p));
        if (!p)
            return false;
        places->p = p;
        places->cap = cap;
    }
    places->p[places->n++] = place;
    return true;
}

static void radix_pass(const uint32_t *from, uint32_t *to, size_t n, int shift)
{
    size_t starts[RADIX] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        starts[from[i] >> shift & (RADIX - 1)]++;
    for (size_t i = 0; i < RADIX; i++) {
        size_t count = starts[i];
        starts[i] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[starts[from[i] >> shift & (RADIX - 1)]++] = from[i];
}

/* The rows' lists as one. False: out of memory. */
static bool sort_places(struct places *places)
{
    uint32_t *other = mem_alloc(places->n * sizeof(*other));
    if (!other)
        return false;
    uint32_t *from = places->p, *to = other;
    for (int shift = 0; shift < 32; shift += RADIX_BITS) {
        radix_pass(from, to, places->n, shift);
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    mem_free(to);
    places->p = from;
    places->cap = places->n;
    return true;
}

/* Leaves out those in strides that do not overlap the window. False: two packets at one place. */
static bool keep_overlapping(struct places *places, const struct range *r)
{
    size_t kept = 0, stride = r->first;
    for (size_t i = 0; i < places->n; i++) {
        uint32_t place = places->p[i];
        if (i && place == places->p[i - 1])
            return false;
        places->p[i - (i - kept)] = place;
        while (stride_end(r, stride) <= (uint64_t)place * 4)
            stride++;
        kept += overlaps(r, stride);
    }
    places->n = kept;
    return true;
}

/* ---- Of a file ---- */

/* Runs through postings, a page at a time. */
struct postings {
    const struct segment_index *index;
    uint64_t page, pages; /* the one at hand; UINT64_MAX: none yet */
    size_t n;             /* its bytes */
    uint8_t bytes[INDEX_PAGE];
};

static int next_byte(struct postings *p, uint64_t at, uint8_t *ret, struct error *err)
{
    if (at / INDEX_PAGE != p->page) {
        int status = index_read_page(p->index, at / INDEX_PAGE, p->bytes, &p->n, err);
        if (status != TD_OK)
            return status;
        p->page = at / INDEX_PAGE;
    }
    *ret = p->bytes[at % INDEX_PAGE];
    return TD_OK;
}

/* The posting at *at, which moves on, but not to `end`. */
static int next_distance(struct postings *p, uint64_t *at, uint64_t end, uint64_t *ret, struct error *err)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 7 * INDEX_VARINT_BYTES && *at < end; shift += 7) {
        uint8_t byte;
        int status = next_byte(p, *at, &byte, err);
        if (status != TD_OK)
            return status;
        ++*at;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = v;
            return TD_OK;
        }
    }
    return index_damaged(p->index, INDEX_POSTINGS, *at, "a number that has no end", err);
}

/* Of one row, whose postings begin at `at`: those in the range. */
static int read_row(struct postings *p, uint64_t at, const struct index_row *row, const struct range *r, struct places *places,
                    struct error *err)
{
    uint64_t end = at + row->bytes, place = 0, distance = 0;
    uint64_t from = r->strides[r->first].from / 4, to = stride_end(r, r->end - 1) / 4;
    for (uint32_t i = 0; i < row->packets && place < to; i++) {
        int status = next_distance(p, &at, end, &distance, err);
        if (status != TD_OK)
            return status;
        place += distance;
        if (!distance || place * 4 >= r->bytes)
            return index_damaged(p->index, INDEX_POSTINGS, at, "a place that cannot be", err);
        if (place >= from && place < to && !add_place(places, (uint32_t)place))
            return error_nomem(err);
    }
    return TD_OK;
}

static bool key_possible(struct bpf *filter, const struct packet_key *key)
{
    uint8_t bytes[PACKET_KEY_KNOWN], mask[PACKET_KEY_KNOWN];
    struct bpf_known known;
    packet_key_known(key, bytes, mask, &known);
    return bpf_possible(filter, &known);
}

/* A file's rows, those possible marked; and what they hold. */
struct candidates {
    bool *possible;
    size_t rows;
    uint64_t packets, bytes;
};

static int ask_rows(const struct segment_index *x, struct bpf *filter, struct candidates *c, struct error *err)
{
    struct td_cursor in = td_cursor(buf_slice(&x->rows));
    c->possible = mem_calloc(c->rows, sizeof(*c->possible));
    if (!c->possible)
        return error_nomem(err);
    for (size_t i = 0; i < c->rows; i++) {
        struct index_row row;
        if (!index_next_row(&in, &row))
            return index_damaged(x, INDEX_ROWS, td_pos(&in), "a row that cannot be", err);
        c->possible[i] = key_possible(filter, &row.key);
        if (c->possible[i]) {
            c->packets += row.packets;
            c->bytes += row.bytes;
        }
    }
    return TD_OK;
}

static int read_rows(const struct segment_index *x, const struct candidates *c, const struct range *r, struct places *places,
                     struct error *err)
{
    struct td_cursor in = td_cursor(buf_slice(&x->rows));
    struct postings *postings = mem_alloc(sizeof(*postings));
    if (!postings)
        return error_nomem(err);
    postings->index = x;
    postings->page = UINT64_MAX;
    uint64_t at = 0;
    int status = TD_OK;
    for (size_t i = 0; i < c->rows && status == TD_OK; i++) {
        struct index_row row;
        if (!index_next_row(&in, &row))
            status = index_damaged(x, INDEX_ROWS, td_pos(&in), "a row that cannot be", err);
        else if (c->possible[i])
            status = read_row(postings, at, &row, r, places, err);
        at += row.bytes;
    }
    mem_free(postings);
    if (status != TD_OK)
        return status;
    if (!sort_places(places))
        return error_nomem(err);
    return keep_overlapping(places, r) ? TD_OK : index_damaged(x, INDEX_POSTINGS, 0, "two packets at one place", err);
}

/* Is it worth to read the postings? Of the possible packets at least those must be in the range that have no room outside. */
static bool worth_reading(const struct candidates *c, const struct range *r)
{
    uint64_t outside = r->packets - r->in_range, bytes = stride_end(r, r->end - 1) - r->strides[r->first].from;
    uint64_t least = c->packets > outside ? c->packets - outside : 0;
    return least <= r->in_range / FEW_PACKETS && c->bytes <= bytes / FEW_BYTES;
}

/* *ret_packets: how many at most; *ret_placed: they are in `places`. */
static int choose_in_file(struct segment_index *x, struct bpf *filter, const struct range *r, struct places *places, bool *ret_placed,
                          uint64_t *ret_packets, struct error *err)
{
    struct candidates c = {.rows = (size_t)x->header.parts[INDEX_ROWS].count};
    int status = index_load_rows(x, err);
    if (status == TD_OK)
        status = ask_rows(x, filter, &c, err);
    if (status != TD_OK)
        goto out;
    bool placed = worth_reading(&c, r);
    uint64_t packets = c.packets < r->in_range ? c.packets : r->in_range;
    if (c.packets && placed) {
        status = index_load_pages(x, err);
        if (status == TD_OK)
            status = read_rows(x, &c, r, places, err);
        packets = places->n;
        placed = packets <= r->in_range / FEW_PACKETS;
    }
    if (status == TD_OK) {
        *ret_placed = placed;
        *ret_packets = packets;
    }
out:
    mem_free(c.possible);
    return status;
}

/* ---- Of notes ---- */

/* Packets of possible rows are counted to the end, but only as many places are kept as are of use. */
static int choose_in_notes(const struct notes_view *view, struct bpf *filter, const struct range *r, struct places *places,
                           bool *ret_placed, uint64_t *ret_packets, struct error *err)
{
    bool *possible = mem_calloc(view->rows, sizeof(*possible));
    if (!possible)
        return error_nomem(err);
    for (size_t i = 0; i < view->rows; i++)
        possible[i] = key_possible(filter, &view->keys[i]);
    uint64_t packets = 0;
    bool enough = true;
    for (size_t i = r->first; i < r->end && enough; i++) {
        uint64_t end = packets_until(r, i);
        for (uint64_t k = r->strides[i].packets; k < end && overlaps(r, i); k++) {
            if (!possible[view->notes[k].row])
                continue;
            if (packets++ < r->in_range / FEW_PACKETS)
                enough = enough && add_place(places, view->notes[k].place);
        }
    }
    mem_free(possible);
    if (!enough)
        return error_nomem(err);
    *ret_placed = packets <= r->in_range / FEW_PACKETS;
    *ret_packets = packets;
    return TD_OK;
}

/* ---- All ---- */

int segment_index_choose(struct segment_index *x, int64_t start_ns, int64_t end_ns, struct bpf *filter, struct segment_choice *ret,
                         struct error *err)
{
    struct notes_view view = {0};
    struct range r = {.start_ns = start_ns, .end_ns = end_ns};
    struct places places = {0};
    bool placed = false;
    if (x->notes)
        notes_view(x->notes, &view);
    int status = find_range(x, &view, &r, err);
    uint64_t packets = r.in_range;
    if (status == TD_OK && filter && packets)
        status = x->notes ? choose_in_notes(&view, filter, &r, &places, &placed, &packets, err)
                          : choose_in_file(x, filter, &r, &places, &placed, &packets, err);
    if (status == TD_OK) {
        *ret = (struct segment_choice){.packets = packets};
        if (packets) {
            ret->from = r.strides[r.first].from;
            ret->to = stride_end(&r, r.end - 1);
        }
        if (packets && placed) {
            *ret = (struct segment_choice){ret->from, ret->to, true, places.p, places.n, packets};
            places.p = NULL;
        }
    }
    mem_free(places.p);
    mem_free(r.copy);
    return status;
}

int segment_index_locate(struct segment_index *x, uint64_t number, uint64_t *ret_at, uint64_t *ret_before, struct error *err)
{
    struct notes_view view = {0};
    struct range r = {.start_ns = INT64_MIN, .end_ns = INT64_MAX};
    if (x->notes)
        notes_view(x->notes, &view);
    int status = find_range(x, &view, &r, err);
    if (status == TD_OK && !r.n)
        status = error_set(err, TD_E_NOT_FOUND, "the segment has no packets");
    size_t low = 0, high = r.n;
    while (status == TD_OK && high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (r.strides[middle].packets <= number)
            low = middle;
        else
            high = middle;
    }
    if (status == TD_OK) {
        *ret_at = r.strides[low].from;
        *ret_before = r.strides[low].packets;
    }
    mem_free(r.copy);
    return status;
}
