/* From noted calls to columns. */
#include "call/chunk_builder.h"
#include "call/registry_table.h"

enum {
    TEXTS = 512, /* numbered at a time */
    FEW_TEXTS = 2,
    LARGE_SET = 1024 /* texts, from which on a set is not in the nearest cache */
};
_Static_assert((int)TEXTS >= (int)BLOCK_ROWS, "a text for each call");

/* The block that is being sorted: rows `first` up to `first + n`. */
struct block {
    struct chunk_builder *builder;
    const struct noted_call *notes;
    uint32_t first, n;
    /* Of the component whose fields are being sorted: its calls, and which fields they have. */
    uint32_t component, call_n;
    uint16_t calls[BLOCK_ROWS];
    uint64_t set[FIELD_MAX / 64][BLOCK_ROWS];
    uint64_t any[FIELD_MAX / 64], all[FIELD_MAX / 64]; /* fields that some of them have, that all have */
    uint64_t call_bits[BLOCK_ROWS / 64];
    /* Of the field that is being sorted: the calls that have it. */
    uint32_t having_n;
    const uint16_t *having;
    const uint64_t *having_bits;
    uint16_t some[BLOCK_ROWS];
    uint64_t some_bits[BLOCK_ROWS / 64];
    /* Texts of it that are to be numbered. */
    uint32_t text_n;
    struct td_slice texts[TEXTS], names[TEXTS];
    uint64_t hashes[TEXTS];
    uint32_t ids[TEXTS];
    char told[TEXTS][IP_TEXT];
    bool lost; /* some value of the block is in no column */
};

static void find_having(struct block *blk, uint32_t field)
{
    const uint64_t *set = blk->set[field / 64];
    uint32_t n = 0;
    if (blk->all[field / 64] >> (field % 64) & 1) {
        blk->having = blk->calls;
        blk->having_n = blk->call_n;
        blk->having_bits = blk->call_bits;
        return;
    }
    memset(blk->some_bits, 0, sizeof(blk->some_bits));
    for (uint32_t i = 0; i < blk->call_n; i++) { /* without a branch: it would be guessed wrong half of the time */
        uint64_t has = set[i] >> (field % 64) & 1;
        blk->some[n] = blk->calls[i];
        blk->some_bits[blk->calls[i] / 64] |= has << (blk->calls[i] % 64);
        n += (uint32_t)has;
    }
    blk->having = blk->some;
    blk->having_n = n;
    blk->having_bits = blk->some_bits;
}

/* Notes in a column that the calls of the block have it. */
static void mark_having(const struct block *blk, struct build_column *col)
{
    uint32_t shift = blk->first % 64;
    uint64_t *bits = col->bits + blk->first / 64;
    for (uint32_t i = 0; i < BLOCK_ROWS / 64; i++) {
        if (!blk->having_bits[i])
            continue;
        bits[i] |= blk->having_bits[i] << shift;
        if (shift && blk->having_bits[i] >> (64 - shift))
            bits[i + 1] |= blk->having_bits[i] >> (64 - shift);
    }
    col->present += blk->having_n;
}

/* ---- The dissectors' fields ---- */

static struct call_record record_at(const struct block *blk, const struct noted_call *note, uint32_t offset, struct call_value *ret)
{
    struct call_record record;
    const uint8_t *p = blk->builder->log.p + note->values_at + offset;
    memcpy(&record, p, sizeof(record));
    ret->number = record.number;
    ret->name = td_bytes(p + sizeof(record), record.name_n);
    ret->bytes = td_bytes(p + sizeof(record) + record.name_n, (size_t)record.number); /* of texts */
    return record;
}

static struct call_record first_record(const struct block *blk, const struct noted_call *note, uint32_t field, struct call_value *ret)
{
    uint32_t offset;
    memcpy(&offset, blk->builder->log.p + note->firsts_at + field * sizeof(offset), sizeof(offset));
    return record_at(blk, note, offset, ret);
}

static void keep_big(struct block *blk, uint32_t i, uint32_t field, uint64_t number)
{
    struct big_number big = {i, (uint8_t)field, number};
    buf_put(&blk->builder->big, &big, sizeof(big));
}

static void sort_numbers(struct block *blk, const struct field *f, uint32_t field, struct build_column *col)
{
    uint32_t type = f->type;
    for (uint32_t k = 0; k < blk->having_n; k++) {
        struct call_value value;
        uint32_t i = blk->having[k];
        first_record(blk, &blk->notes[i], field, &value);
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

static void sort_plain_texts(struct block *blk, uint32_t field, struct build_column *col)
{
    for (uint32_t k = 0; k < blk->having_n; k++) {
        struct call_value value;
        first_record(blk, &blk->notes[blk->having[k]], field, &value);
        blk->texts[k] = value.bytes;
    }
    blk->text_n = blk->having_n;
    number_texts(blk, &col->texts);
    for (uint32_t k = 0; k < blk->having_n; k++)
        col->ids[blk->first + blk->having[k]] = blk->ids[k];
}

/* What is told as a text: addresses, enumerations. */
static void sort_told_texts(struct block *blk, const struct field *f, uint32_t field, struct build_column *col)
{
    struct chunk_builder *b = blk->builder;
    for (uint32_t k = 0; k < blk->having_n && !b->failed; k++) {
        struct call_value value;
        struct registry_value told = {0};
        uint32_t i = blk->having[k];
        first_record(blk, &blk->notes[i], field, &value);
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

static void sort_elements(struct block *blk, const struct field *f, uint32_t field, struct build_column *col)
{
    uint32_t at = (uint32_t)(col->element_ids.n / sizeof(uint32_t));
    blk->text_n = 0;
    for (uint32_t k = 0; k < blk->having_n && !blk->builder->failed; k++) {
        uint32_t i = blk->having[k], begin = at;
        struct call_value value;
        struct call_record record = first_record(blk, &blk->notes[i], field, &value);
        bool more = true;
        while (more && at < CHUNK_MAX_ELEMENTS) {
            collect_element(blk, f, &value);
            at++;
            if (blk->text_n == TEXTS)
                end_elements(blk, col);
            more = record.next != 0;
            if (more)
                record = record_at(blk, &blk->notes[i], record.next, &value);
        }
        blk->lost |= more;
        col->begins[blk->first + i] = begin;
        col->counts[blk->first + i] = at - begin;
    }
    if (!blk->builder->failed)
        end_elements(blk, col);
}

static void sort_field(struct block *blk, const struct field *f, uint32_t field)
{
    const struct registry_component *component = &blk->builder->plan->components[blk->component];
    struct build_column *col = builder_column(blk->builder, OWN_COLUMNS + component->fields[field]);
    find_having(blk, field);
    /* Where every call has the field, no row shows that it is absent, and "" is no text of the column. */
    if (!col || !column_fill(blk->builder, col, blk->having_n == blk->n ? blk->first : blk->first + blk->n))
        return;
    col->rows = blk->first + blk->n;
    mark_having(blk, col);
    if (column_is_many(col))
        sort_elements(blk, f, field, col);
    else if (f->type == TD_STRING || f->type == TD_BYTES)
        sort_plain_texts(blk, field, col);
    else if (column_is_text(col))
        sort_told_texts(blk, f, field, col);
    else
        sort_numbers(blk, f, field, col);
}

/* All fields of one component, which some of the block's calls have. */
static void sort_component(struct block *blk, uint32_t index)
{
    const struct field_set *fields = NULL;
    blk->component = index;
    blk->call_n = 0;
    memset(blk->any, 0, sizeof(blk->any));
    memset(blk->all, 0xff, sizeof(blk->all));
    memset(blk->call_bits, 0, sizeof(blk->call_bits));
    for (uint32_t i = 0; i < blk->n; i++) {
        if (blk->notes[i].component != index)
            continue;
        fields = blk->notes[i].fields;
        for (uint32_t word = 0; word < FIELD_MAX / 64; word++) {
            uint64_t set = blk->set[word][blk->call_n] = blk->notes[i].set[word];
            blk->any[word] |= set;
            blk->all[word] &= set;
        }
        blk->call_bits[i / 64] |= 1ull << (i % 64);
        blk->calls[blk->call_n++] = (uint16_t)i;
    }
    for (uint32_t field = 0; fields && field < fields->n && !blk->builder->failed; field++)
        if (blk->any[field / 64] >> (field % 64) & 1 && !(fields->fields[field].flags & TD_F_BODY))
            sort_field(blk, &fields->fields[field], field);
}

/* ---- The store's own columns ---- */

/* The texts that were collected, one for each call of the block. */
static void end_own_texts(struct block *blk, struct build_column *col)
{
    blk->text_n = blk->n;
    number_texts(blk, &col->texts);
    memcpy(col->ids + blk->first, blk->ids, blk->n * sizeof(blk->ids[0]));
    col->rows = col->present = blk->first + blk->n;
}

static void sort_own_texts(struct block *blk, int dir)
{
    struct chunk_builder *b = blk->builder;
    struct build_column *ip = builder_column(b, own_half(dir, HALF_IP)), *frames = builder_column(b, own_half(dir, HALF_FRAMES));
    if (!ip || !frames)
        return;
    for (uint32_t i = 0; i < blk->n; i++)
        blk->texts[i] = td_bytes(blk->notes[i].ip[dir], blk->notes[i].ip_n);
    end_own_texts(blk, ip);
    for (uint32_t i = 0; i < blk->n; i++)
        blk->texts[i] = td_bytes(b->log.p + blk->notes[i].frames_at[dir], blk->notes[i].frames_n[dir]);
    end_own_texts(blk, frames);
}

/* Numbers are there already. */
static void sort_own(struct block *blk)
{
    struct chunk_builder *b = blk->builder;
    for (uint32_t i = 0; i < OWN_COLUMNS; i++)
        if (b->own_numbers[i])
            b->columns[i]->rows = b->columns[i]->present = blk->first + blk->n;
    for (int dir = 0; dir < 2; dir++)
        sort_own_texts(blk, dir);
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
