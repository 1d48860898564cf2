/* From noted calls to columns. */
#include "call/chunk_builder.h"
#include "call/registry_table.h"

enum {
    TEXTS = 512, /* numbered at a time */
    FEW_TEXTS = 2,
    RECENT_IPS = 64,
    LARGE_SET = 1024 /* texts, from which on a set is not in the nearest cache */
};
_Static_assert((int)TEXTS >= (int)BLOCK_ROWS, "a text for each call");

/* The block that is being sorted: rows `first` up to `first + n`. */
struct block {
    struct chunk_builder *builder;
    const struct noted_call *notes;
    uint32_t first, n;
    /* The field that is being sorted. */
    const struct noted_field *having;
    /* Texts of it that are to be numbered. */
    uint32_t text_n;
    struct td_slice texts[TEXTS], names[TEXTS];
    uint64_t hashes[TEXTS];
    uint32_t ids[TEXTS];
    char told[TEXTS][IP_TEXT];
    bool lost; /* some value of the block is in no column */
};

/* Notes in a column which calls of the block have it. */
static void mark_having(const struct block *blk, const struct noted_component *component, struct build_column *col)
{
    uint32_t shift = blk->first % 64;
    uint64_t *to = col->bits + blk->first / 64, some[BLOCK_ROWS / 64] = {0};
    const uint64_t *bits = component->call_bits;
    if (blk->having->n < component->calls) {
        for (uint32_t k = 0; k < blk->having->n; k++)
            some[blk->having->rows[k] / 64] |= 1ull << (blk->having->rows[k] % 64);
        bits = some;
    }
    for (uint32_t i = 0; i < BLOCK_ROWS / 64; i++) {
        if (!bits[i])
            continue;
        to[i] |= bits[i] << shift;
        if (shift && bits[i] >> (64 - shift))
            to[i + 1] |= bits[i] >> (64 - shift);
    }
    col->present += blk->having->n;
}

/* ---- The dissectors' fields ---- */

/* The value that stands at `p` in the log. */
static struct call_record read_value(const uint8_t *p, struct call_value *ret)
{
    struct call_record record;
    memcpy(&record, p, sizeof(record));
    ret->number = record.number;
    ret->name = td_bytes(p + sizeof(record), record.name_n);
    ret->bytes = td_bytes(p + sizeof(record) + record.name_n, (size_t)record.number); /* of texts */
    return record;
}

static struct call_record first_value(const struct block *blk, uint32_t k, struct call_value *ret)
{
    return read_value(blk->builder->log.p + blk->having->at[k], ret);
}

static void keep_big(struct block *blk, uint32_t i, uint32_t field, uint64_t number)
{
    struct big_number big = {i, (uint8_t)field, number};
    buf_put(&blk->builder->big, &big, sizeof(big));
}

static void sort_numbers(struct block *blk, const struct field *f, uint32_t field, struct build_column *col)
{
    uint32_t type = f->type;
    for (uint32_t k = 0; k < blk->having->n; k++) {
        struct call_value value;
        uint32_t i = blk->having->rows[k];
        first_value(blk, k, &value);
        if (type == TD_BOOL)
            value.number = value.number != 0;
        if (type == TD_U64 && value.number > INT64_MAX) {
            keep_big(blk, i, field, value.number);
            value.number = INT64_MAX;
        }
        col->numbers[blk->first + i] = (int64_t)value.number;
    }
}

/* The texts that were collected get their numbers. Hashes come first, so that where they lead to is fetched meanwhile; in a column
 * of very few texts one that equals the one before, as most do, needs none. */
static void number_texts(struct block *blk, struct text_set *set)
{
    struct chunk_builder *b = blk->builder;
    bool large = set->n >= LARGE_SET, repeats = set->n <= FEW_TEXTS;
    uint32_t id = 0;
    for (uint32_t k = 0; k < blk->text_n; k++) {
        struct td_slice text = blk->texts[k];
        blk->hashes[k] = 0;
        if (repeats && k > 0 && text_equal(text, blk->texts[k - 1]))
            continue;
        blk->hashes[k] = hash_bytes(text.p, text.n, b->seed) | 1;
        if (large)
            text_set_prefetch(set, blk->hashes[k]);
    }
    for (uint32_t k = 0; large && k < blk->text_n; k++)
        text_set_prefetch_end(set, blk->hashes[k]);
    for (uint32_t k = 0; large && k < blk->text_n; k++)
        text_set_prefetch_text(set, blk->hashes[k]);
    for (uint32_t k = 0; k < blk->text_n && !b->failed; k++) {
        if (blk->hashes[k] && !text_set_look(set, blk->texts[k], blk->hashes[k], &id))
            column_add_hashed(b, set, blk->texts[k], blk->hashes[k], &id, &blk->lost);
        blk->ids[k] = id;
    }
}

static void sort_plain_texts(struct block *blk, struct build_column *col)
{
    for (uint32_t k = 0; k < blk->having->n; k++) {
        struct call_value value;
        first_value(blk, k, &value);
        blk->texts[k] = value.bytes;
    }
    blk->text_n = blk->having->n;
    number_texts(blk, &col->texts);
    for (uint32_t k = 0; k < blk->having->n; k++)
        col->ids[blk->first + blk->having->rows[k]] = blk->ids[k];
}

/* What is told as a text: addresses, enumerations. */
static void sort_told_texts(struct block *blk, const struct field *f, struct build_column *col)
{
    struct chunk_builder *b = blk->builder;
    for (uint32_t k = 0; k < blk->having->n && !b->failed; k++) {
        struct call_value value;
        struct registry_value told = {0};
        uint32_t i = blk->having->rows[k];
        first_value(blk, k, &value);
        registry_set_from(&told, f, &value);
        column_add_text(b, &col->texts, told.bytes, &col->ids[blk->first + i], &blk->lost);
    }
}

/* Those elements that were collected are numbered and appended. */
static void end_elements(struct block *blk, struct build_column *col)
{
    struct chunk_builder *b = blk->builder;
    uint32_t n = blk->text_n;
    number_texts(blk, &col->texts);
    buf_put(&col->element_ids, blk->ids, n * sizeof(blk->ids[0]));
    if (col->type == REGISTRY_MAP) {
        memcpy(blk->texts, blk->names, n * sizeof(blk->texts[0]));
        number_texts(blk, &col->names);
        buf_put(&col->name_ids, blk->ids, n * sizeof(blk->ids[0]));
    }
    b->failed |= col->element_ids.failed || col->name_ids.failed;
    b->text_bytes += n * sizeof(blk->ids[0]);
    blk->text_n = 0;
}

static void collect_element(struct block *blk, const struct field *f, const struct call_value *value)
{
    struct td_slice text = value->bytes;
    if (f->type != TD_STRING && f->type != TD_BYTES && f->type != TD_MAP) {
        struct registry_value told = {0};
        registry_set_from(&told, f, value);
        text = told.bytes; /* the name of an enumeration's value lasts; what was made does not */
        if (text.p == (const uint8_t *)told.text)
            text.p = memcpy(blk->told[blk->text_n], told.text, sizeof(told.text));
    }
    blk->names[blk->text_n] = value->name;
    blk->texts[blk->text_n++] = text;
}

static void sort_elements(struct block *blk, const struct field *f, struct build_column *col)
{
    uint32_t at = (uint32_t)(col->element_ids.n / sizeof(uint32_t));
    blk->text_n = 0;
    for (uint32_t k = 0; k < blk->having->n && !blk->builder->failed; k++) {
        uint32_t i = blk->having->rows[k], row = blk->first + i, begin = at;
        const uint8_t *values = blk->builder->log.p + blk->notes[i].values_at;
        struct call_value value;
        struct call_record record = first_value(blk, k, &value);
        bool more = true;
        while (more && at < CHUNK_MAX_ELEMENTS) {
            collect_element(blk, f, &value);
            at++;
            if (blk->text_n == TEXTS)
                end_elements(blk, col);
            more = record.next != 0;
            if (more)
                record = read_value(values + record.next, &value);
        }
        blk->lost |= more;
        col->begins[row] = begin;
        col->counts[row] = at - begin;
    }
    if (!blk->builder->failed)
        end_elements(blk, col);
}

static void sort_field(struct block *blk, const struct noted_component *component, const struct field *f, uint32_t field, uint32_t number)
{
    struct build_column *col = builder_column(blk->builder, number);
    blk->having = &component->noted[field];
    /* Where every call has the field, no row shows that it is absent, and "" is no text of the column. */
    if (!col || !column_fill(blk->builder, col, blk->having->n == blk->n ? blk->first : blk->first + blk->n))
        return;
    col->rows = blk->first + blk->n;
    mark_having(blk, component, col);
    if (column_is_many(col))
        sort_elements(blk, f, col);
    else if (f->type == TD_STRING || f->type == TD_BYTES)
        sort_plain_texts(blk, col);
    else if (column_is_text(col))
        sort_told_texts(blk, f, col);
    else
        sort_numbers(blk, f, field, col);
}

static void sort_component(struct block *blk, uint32_t index)
{
    const struct registry_component *declared = &blk->builder->plan->components[index];
    struct noted_component *component = &blk->builder->components[index];
    for (uint32_t field = 0; component->calls && field < component->fields->n; field++) {
        if (component->noted[field].n && !blk->builder->failed)
            sort_field(blk, component, &component->fields->fields[field], field, OWN_COLUMNS + declared->fields[field]);
        component->noted[field].n = 0;
    }
    component->calls = 0;
    memset(component->call_bits, 0, sizeof(component->call_bits));
}

/* ---- The store's own columns ---- */

/* Few addresses make most of the traffic: those that came last are told by their last byte, before they are hashed. */
static void sort_ips(struct block *blk, int dir)
{
    struct chunk_builder *b = blk->builder;
    struct build_column *col = builder_column(b, own_half(dir, HALF_IP));
    const uint8_t *recent[RECENT_IPS] = {0};
    uint32_t recent_ids[RECENT_IPS];
    for (uint32_t i = 0; i < blk->n && col && !b->failed; i++) {
        const uint8_t *ip = blk->notes[i].ip[dir];
        uint8_t n = blk->notes[i].ip_n;
        uint32_t *id = &col->ids[blk->first + i];
        unsigned slot = ip[n - 1] % RECENT_IPS;
        if (n == 4 && recent[slot] && memcmp(recent[slot], ip, 4) == 0) {
            *id = recent_ids[slot];
            continue;
        }
        column_add_text(b, &col->texts, td_bytes(ip, n), id, &blk->lost);
        recent[slot] = n == 4 ? ip : NULL;
        recent_ids[slot] = *id;
    }
    if (col && !b->failed)
        col->rows = col->present = blk->first + blk->n;
}

/* Hardly any list of frames comes twice: each is an entry of its own. */
static void sort_frames(struct block *blk, int dir)
{
    struct chunk_builder *b = blk->builder;
    struct build_column *col = builder_column(b, own_half(dir, HALF_FRAMES));
    for (uint32_t i = 0; i < blk->n && col && !b->failed; i++) {
        uint32_t at = blk->notes[i].frames_at[dir];
        struct td_slice frames = td_sub(buf_slice(&b->log), at, at + blk->notes[i].frames_n[dir]);
        if (frames.n > PACK_MAX_TEXT - col->texts.bytes.n) {
            blk->lost = true;
            frames.n = 0;
        }
        col->ids[blk->first + i] = blk->first + i;
        b->failed |= !text_set_append(&col->texts, frames);
        b->text_bytes += frames.n;
    }
    if (col && !b->failed)
        col->rows = col->present = blk->first + blk->n;
}

/* Numbers are there already. */
static void sort_own(struct block *blk)
{
    struct chunk_builder *b = blk->builder;
    for (uint32_t i = 0; i < OWN_COLUMNS; i++)
        if (b->own_numbers[i])
            b->columns[i]->rows = b->columns[i]->present = blk->first + blk->n;
    for (int dir = 0; dir < 2; dir++) {
        sort_ips(blk, dir);
        sort_frames(blk, dir);
    }
}

/* ---- What stands apart ---- */

/* The big numbers of each row, as one text. */
static void sort_big(struct block *blk)
{
    struct chunk_builder *b = blk->builder;
    const struct big_number *big = (const struct big_number *)(const void *)b->big.p;
    size_t n = b->big.n / sizeof(*big);
    struct build_column *col = n ? builder_column(b, OWN_BIG) : NULL;
    b->failed |= b->big.failed;
    bool has[BLOCK_ROWS] = {false};
    uint32_t having = 0;
    for (size_t k = 0; k < n; k++) {
        having += !has[big[k].row];
        has[big[k].row] = true;
    }
    if (!col || !column_fill(b, col, having == blk->n ? blk->first : blk->first + blk->n))
        return;
    col->rows = blk->first + blk->n;
    for (uint32_t i = 0; i < blk->n && !b->failed; i++) {
        uint8_t text[FIELD_MAX * 9];
        size_t at = 0;
        for (size_t k = 0; k < n; k++) {
            if (big[k].row != i)
                continue;
            text[at] = big[k].field;
            memcpy(text + at + 1, &big[k].number, sizeof(big[k].number));
            at += 9;
        }
        if (at == 0)
            continue;
        column_add_text(b, &col->texts, td_bytes(text, at), &col->ids[blk->first + i], &blk->lost);
        column_mark(col, blk->first + i);
    }
    buf_reset(&b->big);
}

void builder_sort_notes(struct chunk_builder *b)
{
    struct block blk;
    blk.builder = b;
    blk.notes = b->notes;
    blk.first = b->rows - b->noted;
    blk.n = b->noted;
    blk.lost = false;
    for (uint32_t i = 0; i < b->plan->component_n && !b->failed; i++)
        sort_component(&blk, i);
    sort_big(&blk);
    for (uint32_t i = 0; i < b->noted; i++)
        b->own_numbers[OWN_CALL_FLAGS][blk.first + i] |= blk.lost || b->notes[i].lost ? OWN_VALUES_LOST : 0;
    if (!b->failed)
        sort_own(&blk);
    b->noted = 0;
    buf_reset(&b->log);
}
