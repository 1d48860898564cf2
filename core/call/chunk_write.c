/* Packing a chunk: its columns in the order of time, its directory. */
#include "base/mem.h"
#include "call/chunk_builder.h"

static void put_le(struct buf *out, uint64_t v, size_t n)
{
    buf_put(out, &v, n);
}

/* ---- Payload ---- */

void builder_end_page(struct chunk_builder *b)
{
    struct buf *pages = &b->packed.pages;
    size_t at = pages->n;
    uint64_t checksum = 0;
    buf_put(pages, &checksum, sizeof(checksum));
    pack_bytes(&b->packer, pages, buf_slice(&b->page));
    buf_reset(&b->page);
    if (pages->failed)
        return;
    checksum = hash_bytes(pages->p + at + sizeof(checksum), pages->n - at - sizeof(checksum), CHUNK_SEED);
    memcpy(pages->p + at, &checksum, sizeof(checksum));
    uint64_t end = pages->n;
    buf_put(&b->packed.page_ends, &end, sizeof(end));
}

/* ---- Order ---- */

/* Rows by time, those of one time as they came: a merge from the bottom up, which is quick where runs are in order already. */
static void merge_runs(const int64_t *times, const uint32_t *from, uint32_t *to, uint32_t n, uint32_t run)
{
    for (uint32_t begin = 0; begin < n; begin += 2 * run) {
        uint32_t middle = n - begin < run ? n : begin + run, end = n - middle < run ? n : middle + run;
        uint32_t a = begin, b = middle;
        if (middle == end || times[from[middle - 1]] <= times[from[middle]]) {
            memcpy(to + begin, from + begin, (end - begin) * sizeof(*to));
            continue;
        }
        for (uint32_t i = begin; i < end; i++)
            to[i] = a < middle && (b == end || times[from[a]] <= times[from[b]]) ? from[a++] : from[b++];
    }
}

static bool sort_rows(struct chunk_builder *b)
{
    const int64_t *times = b->columns[OWN_TIME]->numbers;
    uint32_t *from = b->order, *to;
    for (uint32_t i = 0; i < b->rows; i++)
        b->order[i] = i;
    if (b->sorted)
        return true;
    buf_reset(&b->elements);
    if (!buf_reserve(&b->elements, sizeof(b->order)))
        return false;
    to = (uint32_t *)(void *)b->elements.p;
    for (uint32_t run = 1; run < b->rows; run *= 2) {
        merge_runs(times, from, to, b->rows, run);
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != b->order)
        memcpy(b->order, from, b->rows * sizeof(*from));
    return true;
}

/* ---- Parts ---- */

/* Where a part is, as the directory says it. */
static void put_place(struct packed_chunk *p, const struct packed_part *part)
{
    put_le(&p->directory, part->column, 2);
    put_le(&p->directory, part->part, 1);
    put_le(&p->directory, part->size, 4);
    put_le(&p->directory, part->checksum, 8);
}

/* An earlier part with the same bytes, or NULL. */
static const struct packed_part *find_same(const struct packed_chunk *p, const struct packed_part *self)
{
    const struct packed_part *parts = (const struct packed_part *)(const void *)p->parts.p;
    for (size_t i = 0; i < p->parts.n / sizeof(*parts); i++)
        if (parts[i].checksum == self->checksum && parts[i].size == self->size &&
            memcmp(p->data.p + parts[i].at, p->data.p + self->at, self->size) == 0)
            return &parts[i];
    return NULL;
}

/* The part that was appended to `data` at `at` goes where it belongs, and its place into the directory. */
static void end_part(struct packed_chunk *p, uint32_t column, uint32_t part, size_t at)
{
    struct packed_part self = {column, part, (uint32_t)at, (uint32_t)(p->data.n - at), 0};
    if (p->data.failed)
        return;
    if (self.size <= CHUNK_INLINE) {
        put_le(&p->directory, 0, 3);
        put_le(&p->directory, self.size, 4);
        buf_put(&p->directory, p->data.p + at, self.size);
        p->data.n = at;
        return;
    }
    self.checksum = hash_bytes(p->data.p + at, self.size, CHUNK_SEED);
    const struct packed_part *same = find_same(p, &self);
    put_place(p, same ? same : &self);
    if (same)
        p->data.n = at;
    else
        buf_put(&p->parts, &self, sizeof(self));
}

/* Many columns are in the same rows: a protocol's. What was packed for one is not packed again for the next. */
static const struct known_bits *find_bits(const struct chunk_builder *b, const struct build_column *col)
{
    for (uint32_t i = 0; i < b->known_n; i++)
        if (b->known[i].present == col->present && memcmp(b->known[i].bits, col->bits, sizeof(col->bits)) == 0)
            return &b->known[i];
    return NULL;
}

static void pack_present(struct chunk_builder *b, const struct build_column *col)
{
    uint64_t bits[CHUNK_BITS] = {0};
    const struct known_bits *same = find_bits(b, col);
    struct buf *directory = &b->packed.directory;
    size_t at = b->packed.data.n, place = directory->n;
    if (same) {
        buf_put(directory, same->place, same->place_n);
        return;
    }
    for (uint32_t i = 0; i < b->rows; i++)
        bits[i / 64] |= (col->bits[b->order[i] / 64] >> (b->order[i] % 64) & 1) << (i % 64);
    pack_plain_bytes(&b->packer, &b->packed.data, td_bytes(b->sorted ? col->bits : bits, (b->rows + 63) / 64 * sizeof(*bits)));
    end_part(&b->packed, col->number, PART_PRESENT, at);
    if (b->known_n < KNOWN_BITS && col != b->core && directory->n - place <= KNOWN_PLACE) {
        struct known_bits *known = &b->known[b->known_n++];
        known->present = col->present;
        known->bits = col->bits;
        known->place_n = directory->n - place;
        memcpy(known->place, directory->p + place, known->place_n);
    }
}

/* Ids or counts of the rows, in the rows' order. */
static const uint32_t *in_order(struct chunk_builder *b, const uint32_t *values)
{
    uint32_t *to = (uint32_t *)(void *)b->gathered;
    if (b->sorted)
        return values;
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = values[b->order[i]];
    return to;
}

/* The elements of the rows, in the rows' order. */
static void pack_elements(struct chunk_builder *b, const struct build_column *col, const struct buf *ids, uint32_t texts)
{
    const uint32_t *from = (const uint32_t *)(const void *)ids->p;
    size_t n = ids->n / sizeof(*from), at = 0;
    buf_reset(&b->elements);
    if (!buf_reserve(&b->elements, ids->n)) {
        b->failed = true;
        return;
    }
    uint32_t *to = (uint32_t *)(void *)b->elements.p;
    for (uint32_t i = 0; !b->sorted && i < b->rows; i++) {
        uint32_t row = b->order[i];
        for (uint32_t k = 0; k < col->counts[row]; k++)
            to[at++] = from[col->begins[row] + k];
    }
    pack_ids(&b->packer, &b->packed.data, b->sorted ? from : to, (uint32_t)n, texts);
}

static void pack_counts(struct chunk_builder *b, const uint32_t *counts)
{
    struct pack_bounds bounds;
    const uint32_t *from = in_order(b, counts);
    buf_reset(&b->elements);
    if (!buf_reserve(&b->elements, b->rows * sizeof(int64_t))) {
        b->failed = true;
        return;
    }
    int64_t *to = (int64_t *)(void *)b->elements.p;
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = from[i];
    pack_numbers(&b->packer, &b->packed.data, to, b->rows, &bounds);
}

static struct pack_bounds pack_values(struct chunk_builder *b, const struct build_column *col)
{
    struct packed_chunk *p = &b->packed;
    struct pack_bounds bounds = {0};
    size_t at = p->data.n;
    if (column_is_many(col)) {
        pack_counts(b, col->counts);
        pack_elements(b, col, &col->element_ids, col->texts.n);
        if (col->type == REGISTRY_MAP)
            pack_elements(b, col, &col->name_ids, col->names.n);
    } else if (column_is_text(col)) {
        pack_ids(&b->packer, &p->data, in_order(b, col->ids), b->rows, col->texts.n);
    } else {
        for (uint32_t i = 0; !b->sorted && i < b->rows; i++)
            b->gathered[i] = col->numbers[b->order[i]];
        pack_numbers(&b->packer, &p->data, b->sorted ? col->numbers : b->gathered, b->rows, &bounds);
    }
    end_part(p, col->number, PART_VALUES, at);
    return bounds;
}

static void pack_texts(struct chunk_builder *b, const struct build_column *col, const struct text_set *set, uint32_t part)
{
    struct pack_bounds bounds;
    size_t at = b->packed.data.n;
    buf_reset(&b->elements);
    if (!buf_reserve(&b->elements, set->n * sizeof(int64_t))) {
        b->failed = true;
        return;
    }
    int64_t *lengths = (int64_t *)(void *)b->elements.p;
    for (uint32_t i = 0; i < set->n; i++)
        lengths[i] = (int64_t)text_set_at(set, i).n;
    pack_numbers(&b->packer, &b->packed.data, lengths, set->n, &bounds);
    if (col->number == own_half(TD_CLIENT, HALF_FRAMES) || col->number == own_half(TD_SERVER, HALF_FRAMES))
        pack_plain_bytes(&b->packer, &b->packed.data, buf_slice(&set->bytes));
    else
        pack_bytes(&b->packer, &b->packed.data, buf_slice(&set->bytes));
    end_part(&b->packed, col->number, part, at);
}

static void pack_bloom(struct chunk_builder *b, const struct build_column *col)
{
    size_t at = b->packed.data.n;
    uint32_t words = bloom_words(col->texts.n);
    buf_reset(&b->elements);
    if (!buf_reserve(&b->elements, words * sizeof(uint64_t))) {
        b->failed = true;
        return;
    }
    uint64_t *filter = (uint64_t *)(void *)b->elements.p;
    memset(filter, 0, words * sizeof(*filter));
    for (uint32_t i = 0; i < col->texts.n; i++) {
        uint64_t hash = bloom_hash(text_set_at(&col->texts, i));
        filter[bloom_word(hash, words)] |= bloom_bits(hash);
    }
    buf_put(&b->packed.data, filter, words * sizeof(*filter));
    end_part(&b->packed, col->number, PART_BLOOM, at);
}

/* ---- Statistics ---- */

/* The first eight bytes as a number that orders as they do. */
static uint64_t text_head(struct td_slice text)
{
    uint64_t head = 0;
    memcpy(&head, text.p, text.n < sizeof(head) ? text.n : sizeof(head));
    return __builtin_bswap64(head);
}

/* Bytewise; of two that agree as far as the shorter goes, the shorter is less. */
static bool text_less(struct td_slice a, struct td_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order < 0 : a.n < b.n;
}

static void put_text_bounds(struct buf *out, const struct text_set *set)
{
    struct td_slice least = {0}, greatest = {0};
    uint64_t least_head = UINT64_MAX, greatest_head = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        struct td_slice text = td_sub(text_set_at(set, i), 0, CHUNK_PREFIX);
        uint64_t head = text_head(text);
        if (head <= least_head && (i == 0 || text_less(text, least))) {
            least = text;
            least_head = head;
        }
        if (head >= greatest_head && (i == 0 || text_less(greatest, text))) {
            greatest = text;
            greatest_head = head;
        }
    }
    put_le(out, least.n, 1);
    buf_put_slice(out, least);
    put_le(out, greatest.n, 1);
    buf_put_slice(out, greatest);
}

/* Elements of a list or a map; bytes of payload, as far as they can be counted. */
static uint32_t count_elements(const struct build_column *col, uint32_t rows)
{
    uint64_t sum = col->element_ids.n / sizeof(uint32_t);
    for (uint32_t i = 0; col->payload && i < rows; i++)
        sum += (uint64_t)col->numbers[i] >> 1;
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* ---- Columns ---- */

static void put_bounds(struct buf *out, struct pack_bounds bounds)
{
    buf_put(out, &bounds, sizeof(bounds));
}

/* Packs values, and remembers where those of the own columns are, for fields that have the same. */
static struct pack_bounds pack_values_once(struct chunk_builder *b, const struct build_column *col)
{
    struct buf *directory = &b->packed.directory;
    size_t at = directory->n;
    struct pack_bounds bounds = pack_values(b, col);
    if (col->number >= OWN_COLUMNS || directory->failed)
        return bounds;
    b->own[col->number] = (struct own_place){b->places.n, directory->n - at, bounds};
    buf_put(&b->places, directory->p + at, directory->n - at);
    return bounds;
}

static struct pack_bounds copy_values(struct chunk_builder *b, uint32_t own)
{
    if (!b->places.failed)
        buf_put(&b->packed.directory, b->places.p + b->own[own].at, b->own[own].n);
    return b->own[own].bounds;
}

/* `same`: an own column whose values this one has; or OWN_DIRECTORY. */
static void pack_column(struct chunk_builder *b, struct build_column *col, uint32_t same)
{
    struct buf *directory = &b->packed.directory;
    bool many = column_is_many(col), texts = column_is_text(col) || many;
    bool bloom = texts && col->type != REGISTRY_MAP && col->number >= OWN_COLUMNS && col->texts.n >= CHUNK_BLOOM_MIN;
    unsigned parts = 1u << PART_VALUES | (unsigned)(col->present < b->rows) << PART_PRESENT | (unsigned)texts << PART_TEXTS |
                     (unsigned)(col->type == REGISTRY_MAP) << PART_NAMES | (unsigned)bloom << PART_BLOOM;
    put_le(directory, col->number, 2);
    put_le(directory, col->type, 1);
    put_le(directory, parts, 1);
    put_le(directory, col->present, 4);
    put_le(directory, count_elements(col, b->rows), 4);
    put_le(directory, texts ? col->texts.n : 0, 4);
    put_le(directory, col->names.n, 4);
    size_t bounds_at = directory->n;
    put_bounds(directory, (struct pack_bounds){0});
    put_text_bounds(directory, &col->texts);
    if (parts & 1u << PART_PRESENT)
        pack_present(b, col);
    struct pack_bounds bounds = same ? copy_values(b, same) : pack_values_once(b, col);
    if (!directory->failed)
        memcpy(directory->p + bounds_at, &bounds, sizeof(bounds));
    if (texts)
        pack_texts(b, col, &col->texts, PART_TEXTS);
    if (col->type == REGISTRY_MAP)
        pack_texts(b, col, &col->names, PART_NAMES);
    if (bloom)
        pack_bloom(b, col);
}

static bool any_failed(const struct chunk_builder *b)
{
    const struct packed_chunk *p = &b->packed;
    return b->failed || b->page.failed || p->pages.failed || p->page_ends.failed || p->directory.failed || p->data.failed ||
           p->parts.failed || b->places.failed;
}

static uint32_t pack_filled(struct chunk_builder *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->column_n; i++) {
        struct build_column *col = b->columns[i];
        if (!col || !col->present || !column_fill(b, col, b->rows) || any_failed(b))
            continue;
        pack_column(b, col, OWN_DIRECTORY);
        n++;
    }
    return n;
}

static uint32_t pack_core(struct chunk_builder *b)
{
    uint32_t n = 0, same;
    if (!any_failed(b))
        builder_find_durations(b);
    for (uint32_t i = 0; i < b->plan->core_n && !any_failed(b); i++) {
        if (!builder_make_core(b, b->plan->core[i], &same) || any_failed(b))
            continue;
        pack_column(b, b->core, same);
        n++;
    }
    return n;
}

static void pack_chunk(struct chunk_builder *b)
{
    struct packed_chunk *p = &b->packed;
    enum { COLUMNS_AT = 12 };
    put_le(&p->directory, 0, 8);
    put_le(&p->directory, b->rows, 4);
    put_le(&p->directory, 0, 4);
    put_le(&p->directory, (uint64_t)p->first_ns, 8);
    put_le(&p->directory, (uint64_t)p->last_ns, 8);
    put_le(&p->directory, b->payload_bytes, 8);
    uint32_t columns = pack_filled(b) + pack_core(b);
    if (any_failed(b))
        return;
    memcpy(p->directory.p + COLUMNS_AT, &columns, sizeof(columns));
    uint64_t checksum = hash_bytes(p->directory.p + sizeof(checksum), p->directory.n - sizeof(checksum), CHUNK_SEED);
    memcpy(p->directory.p, &checksum, sizeof(checksum));
}

static void begin_anew(struct chunk_builder *b)
{
    for (uint32_t i = 0; i < b->column_n; i++)
        if (b->columns[i])
            column_reset(b->columns[i]);
    b->rows = 0;
    b->sorted = true;
    b->last_ns = INT64_MIN;
    b->text_bytes = 0;
    b->payload_bytes = 0;
}

int chunk_builder_pack(struct chunk_builder *b, const struct packed_chunk **ret, struct error *err)
{
    struct packed_chunk *p = &b->packed;
    buf_reset(&p->directory);
    buf_reset(&p->data);
    buf_reset(&p->parts);
    buf_reset(&b->places);
    b->known_n = 0;
    if (b->noted)
        builder_sort_notes(b);
    if (b->page.n)
        builder_end_page(b);
    if (any_failed(b) || !sort_rows(b))
        return error_nomem(err);
    p->rows = b->rows;
    p->first_ns = b->columns[OWN_TIME]->numbers[b->order[0]];
    p->last_ns = b->columns[OWN_TIME]->numbers[b->order[b->rows - 1]];
    pack_chunk(b);
    if (any_failed(b) || p->data.n > UINT32_MAX)
        return error_nomem(err);
    begin_anew(b);
    *ret = p;
    return TD_OK;
}
