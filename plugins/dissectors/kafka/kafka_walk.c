#include "kafka_walk.h"

enum phase { HEADER_TAGS, FIELDS, SCALARS, TAG_COUNT, TAGS };

/* What reading one item came to. */
enum item { TAKEN, SHORT, WRONG, IS_RECORDS, IS_LONG };

struct reading {
    struct kafka_walk *w;
    struct td_cursor *c;
    kafka_event_fn *on;
    void *ctx;
    uint64_t need; /* SHORT: bytes from the item's beginning, as far as known; IS_RECORDS, IS_LONG: how many */
    uint64_t left; /* of the message, from the item's beginning on */
    size_t begin;  /* the item's */
};

uint32_t kafka_uvarint(struct td_cursor *c)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = td_u8(c);
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    c->failed = true;
    return 0;
}

int64_t kafka_varlong(struct td_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = td_u8(c);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return (int64_t)(value >> 1 ^ (0 - (value & 1)));
    }
    c->failed = true;
    return 0;
}

int32_t kafka_varint(struct td_cursor *c)
{
    int64_t value = kafka_varlong(c);
    if (value < INT32_MIN || value > INT32_MAX)
        c->failed = true;
    return c->failed ? 0 : (int32_t)value;
}

void kafka_walk_begin(struct kafka_walk *w, const struct kafka_rows *rows, unsigned version, bool flexible, bool header_tags)
{
    w->rows = rows;
    w->version = (uint8_t)version;
    w->flexible = flexible;
    w->levels = 1;
    w->level[0] = (struct kafka_level){.phase = header_tags ? HEADER_TAGS : FIELDS, .behind = KAFKA_NOT_TAGGED};
}

static void tell(const struct reading *r, enum kafka_event_kind kind, const struct kafka_row *row, int64_t integer)
{
    const struct kafka_level *top = &r->w->level[r->w->levels - 1];
    struct kafka_event e = {.kind = kind, .element = top->phase == SCALARS, .row = row, .integer = integer};
    if (r->on)
        r->on(r->ctx, &e);
}

static bool is_in(const struct kafka_walk *w, const struct kafka_row *row)
{
    return row->from <= w->version && w->version <= row->to;
}

/* ---- Values ---------------------------------------------------------------------------------------------------- */

static const uint8_t sizes[] = {
    [BOOL] = 1, [INT8] = 1, [INT16] = 2, [INT32] = 4, [INT64] = 8, [UINT16] = 2, [UINT32] = 4, [FLOAT64] = 8, [UUID] = 16};

static int64_t integer_of(struct td_cursor *c, unsigned type)
{
    switch (type) {
    case INT8: return (int8_t)td_u8(c);
    case INT16: return (int16_t)td_be16(c);
    case INT32: return (int32_t)td_be32(c);
    case INT64: return (int64_t)td_be64(c);
    case UINT16: return td_be16(c);
    case UINT32: return td_be32(c);
    default: return td_u8(c) != 0;
    }
}

static double real_of(struct td_cursor *c)
{
    uint64_t bits = td_be64(c);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static enum item fixed(struct reading *r, const struct kafka_row *row, unsigned type)
{
    const struct kafka_level *top = &r->w->level[r->w->levels - 1];
    struct kafka_event e = {.kind = KAFKA_INTEGER, .element = top->phase == SCALARS, .row = row};
    r->need = td_pos(r->c) + sizes[type];
    if (td_left(r->c) < sizes[type])
        return SHORT;
    if (type == UUID) {
        e.kind = KAFKA_ID;
        e.bytes = td_take(r->c, 16);
    } else if (type == FLOAT64) {
        e.kind = KAFKA_REAL;
        e.real = real_of(r->c);
    } else {
        e.kind = type == BOOL ? KAFKA_FALSE_TRUE : KAFKA_INTEGER;
        e.integer = integer_of(r->c, type);
    }
    if (r->on)
        r->on(r->ctx, &e);
    return TAKEN;
}

/* The length before a string, byte array or array; -1: null. */
static int64_t length_of(const struct reading *r, unsigned type)
{
    if (r->w->flexible)
        return (int64_t)kafka_uvarint(r->c) - 1;
    return type == STRING ? (int16_t)td_be16(r->c) : (int32_t)td_be32(r->c);
}

static bool may_be_null(const struct kafka_walk *w, const struct kafka_row *row)
{
    return row->nulls && w->version >= row->nulls - 1;
}

/* Some senders write null where the definition does not allow it: it is taken as what it is. */
static enum item sized(struct reading *r, const struct kafka_row *row, unsigned type)
{
    const struct kafka_level *top = &r->w->level[r->w->levels - 1];
    struct kafka_event e = {.kind = type == STRING ? KAFKA_TEXT : KAFKA_BINARY, .element = top->phase == SCALARS, .row = row};
    size_t begin = td_pos(r->c);
    int64_t n = length_of(r, type);
    r->need = begin + (r->w->flexible ? 1 : 2);
    if (r->c->failed)
        return SHORT;
    if (n < -1 || (n > 0 && (uint64_t)n > r->left))
        return WRONG;
    if (n == -1) {
        tell(r, KAFKA_NULL, row, 0);
        return TAKEN;
    }
    if (type == RECORDS) {
        r->need = (uint64_t)n;
        return IS_RECORDS;
    }
    if (n > KAFKA_LONG) {
        tell(r, KAFKA_TOO_LONG, row, n);
        r->need = (uint64_t)n;
        return IS_LONG;
    }
    r->need = td_pos(r->c) + (uint64_t)n;
    e.bytes = td_take(r->c, (size_t)n);
    if (r->c->failed)
        return SHORT;
    if (r->on)
        r->on(r->ctx, &e);
    return TAKEN;
}

static bool push(struct kafka_walk *w, const struct kafka_row *row, bool array, uint32_t count)
{
    if (w->levels == KAFKA_DEPTH)
        return false;
    struct kafka_level *l = &w->level[w->levels++];
    unsigned at = (unsigned)(row - w->rows->v);
    bool scalars = (row->type & ~ARRAY) != STRUCT;
    uint16_t begin = (uint16_t)(scalars ? at : at + 1);
    *l = (struct kafka_level){begin, begin, (uint8_t)(row->depth + 1), FIELDS, array, scalars, count, 0, KAFKA_NOT_TAGGED};
    l->phase = scalars ? SCALARS : FIELDS;
    return true;
}

static enum item array(struct reading *r, const struct kafka_row *row)
{
    int64_t n = length_of(r, ARRAY);
    r->need = td_pos(r->c) + (r->w->flexible ? 1 : 4);
    if (r->c->failed)
        return SHORT;
    if (n < -1 || n > KAFKA_COUNT_MAX || (n > 0 && (uint64_t)n > r->left))
        return WRONG;
    if (n == -1) {
        tell(r, KAFKA_NULL, row, 0);
        return TAKEN;
    }
    tell(r, KAFKA_ARRAY_BEGIN, row, n);
    if (n == 0) {
        tell(r, KAFKA_ARRAY_END, row, 0);
        return TAKEN;
    }
    if (!push(r->w, row, true, (uint32_t)n - 1))
        return WRONG;
    if (!r->w->level[r->w->levels - 1].scalars)
        tell(r, KAFKA_STRUCT_BEGIN, row, 1);
    return TAKEN;
}

static enum item structure(struct reading *r, const struct kafka_row *row)
{
    if (may_be_null(r->w, row)) {
        int8_t there = (int8_t)td_u8(r->c);
        r->need = td_pos(r->c) + 1;
        if (r->c->failed)
            return SHORT;
        if (there < 0) {
            tell(r, KAFKA_NULL, row, 0);
            return TAKEN;
        }
    }
    tell(r, KAFKA_STRUCT_BEGIN, row, 0);
    return push(r->w, row, false, 0) ? TAKEN : WRONG;
}

static enum item value(struct reading *r, const struct kafka_row *row, unsigned type)
{
    if (type & ARRAY)
        return array(r, row);
    if (type == STRUCT)
        return structure(r, row);
    return type < STRING ? fixed(r, row, type) : sized(r, row, type);
}

/* ---- Structs --------------------------------------------------------------------------------------------------- */

/* The next row of this level's struct that this version has; NULL: there are no more. */
static const struct kafka_row *next_row(const struct kafka_walk *w, struct kafka_level *l)
{
    while (l->row < w->rows->n && w->rows->v[l->row].depth >= l->depth) {
        const struct kafka_row *row = &w->rows->v[l->row++];
        if (row->depth == l->depth && !row->tag && is_in(w, row))
            return row;
    }
    return NULL;
}

static const struct kafka_row *tagged_row(const struct kafka_walk *w, const struct kafka_level *l, uint32_t tag)
{
    for (unsigned i = l->begin; i < w->rows->n && w->rows->v[i].depth >= l->depth; i++) {
        const struct kafka_row *row = &w->rows->v[i];
        if (row->depth == l->depth && row->tag == tag + 1 && is_in(w, row))
            return row;
    }
    return NULL;
}

/* Bytes of the message from where the cursor is. */
static uint64_t left_here(const struct reading *r)
{
    return r->left - (td_pos(r->c) - r->begin);
}

/* Leaves the level at the top. WRONG: it was a tagged field's value, and not as long as that said. */
static enum item pop(struct reading *r)
{
    const struct kafka_level *l = &r->w->level[--r->w->levels];
    return l->behind == KAFKA_NOT_TAGGED || l->behind == left_here(r) ? TAKEN : WRONG;
}

/* The struct at the top has come to its end. */
static enum item end_struct(struct reading *r)
{
    struct kafka_walk *w = r->w;
    struct kafka_level *l = &w->level[w->levels - 1];
    const struct kafka_row *row = l->begin ? &w->rows->v[l->begin - (l->scalars ? 0 : 1)] : NULL;
    if (w->levels > 1 && !l->scalars)
        tell(r, KAFKA_STRUCT_END, row, l->array);
    if (l->left) {
        l->left--;
        l->row = l->begin;
        l->phase = l->scalars ? SCALARS : FIELDS;
        if (!l->scalars)
            tell(r, KAFKA_STRUCT_BEGIN, row, 1);
        return TAKEN;
    }
    bool was_array = l->array;
    enum item item = pop(r);
    if (was_array) /* which the message itself is not */
        tell(r, KAFKA_ARRAY_END, row, 0);
    return item;
}

/* One tagged field: its whole value must be there, as it must fit into its size. */
static enum item tagged(struct reading *r, struct kafka_level *l)
{
    uint32_t tag = kafka_uvarint(r->c), size = kafka_uvarint(r->c);
    size_t begin = td_pos(r->c);
    r->need = begin + 1;
    if (r->c->failed)
        return SHORT;
    if (size > r->left)
        return WRONG;
    const struct kafka_row *row = l->phase == HEADER_TAGS ? NULL : tagged_row(r->w, l, tag);
    if (!row || size > KAFKA_LONG) {
        l->tags--;
        r->need = size;
        return size ? IS_LONG : TAKEN;
    }
    if (td_left(r->c) < size) {
        r->need = begin + size;
        return SHORT;
    }
    uint64_t behind = left_here(r) - size;
    unsigned levels = r->w->levels;
    if (value(r, row, row->type) != TAKEN)
        return WRONG; /* all that belongs to it is there */
    l->tags--;
    if (r->w->levels > levels)
        r->w->level[r->w->levels - 1].behind = (uint32_t)behind;
    else if (left_here(r) != behind)
        return WRONG;
    return TAKEN;
}

static enum item fields(struct reading *r, struct kafka_level *l)
{
    uint16_t at = l->row;
    const struct kafka_row *row = next_row(r->w, l);
    if (row) {
        enum item item = value(r, row, row->type);
        if (item == SHORT)
            l->row = at;
        return item;
    }
    if (r->w->flexible)
        l->phase = TAG_COUNT;
    else
        return end_struct(r);
    return TAKEN;
}

static enum item tags(struct reading *r, struct kafka_level *l)
{
    if (l->phase == TAGS) {
        return l->tags ? tagged(r, l) : end_struct(r);
    }
    uint32_t n = kafka_uvarint(r->c);
    r->need = td_pos(r->c) + 1;
    if (r->c->failed)
        return SHORT;
    if (n > r->left)
        return WRONG;
    l->tags = n;
    l->phase = TAGS;
    return TAKEN;
}

/* Header tags are told apart by a count of their own: the struct has not begun yet. */
static enum item header_tags(struct reading *r, struct kafka_level *l)
{
    if (l->row == 0) {
        uint32_t n = kafka_uvarint(r->c);
        r->need = td_pos(r->c) + 1;
        if (r->c->failed)
            return SHORT;
        if (n > r->left)
            return WRONG;
        l->tags = n;
        l->row = 1;
    }
    if (l->tags)
        return tagged(r, l);
    l->row = 0;
    l->phase = FIELDS;
    return TAKEN;
}

static enum item scalar(struct reading *r, struct kafka_level *l)
{
    const struct kafka_row *row = &r->w->rows->v[l->begin];
    enum item item = value(r, row, row->type & ~(unsigned)ARRAY);
    if (item == TAKEN || item == IS_LONG) {
        if (l->left) {
            l->left--;
        } else {
            item = pop(r) == TAKEN ? item : WRONG;
            tell(r, KAFKA_ARRAY_END, row, 0);
        }
    }
    return item;
}

static enum item step(struct reading *r)
{
    struct kafka_level *l = &r->w->level[r->w->levels - 1];
    switch (l->phase) {
    case HEADER_TAGS: return header_tags(r, l);
    case FIELDS: return fields(r, l);
    case SCALARS: return scalar(r, l);
    default: return tags(r, l);
    }
}

enum kafka_walk_result kafka_walk(struct kafka_walk *w, struct td_cursor *c, uint64_t left, kafka_event_fn *on, void *ctx, uint64_t *ret_n)
{
    struct reading r = {.w = w, .c = c, .on = on, .ctx = ctx};
    uint64_t origin = td_pos(c);
    *ret_n = 0;
    while (w->levels) {
        struct td_cursor before = *c;
        uint64_t used = td_pos(c) - origin;
        r.left = left - used;
        r.begin = td_pos(c);
        enum item item = step(&r);
        if (item == TAKEN)
            continue;
        if (item == WRONG)
            return KAFKA_WALK_BAD;
        if (item == SHORT) {
            uint64_t there = (uint64_t)(before.end - before.p), need = r.need - td_pos(&before);
            *c = before;
            if (there >= r.left || need > r.left)
                return KAFKA_WALK_BAD; /* it does not fit into the message */
            *ret_n = need > there ? need : there + 1;
            return KAFKA_WALK_MORE;
        }
        *ret_n = r.need;
        if (r.need > left - (td_pos(c) - origin))
            return KAFKA_WALK_BAD;
        return item == IS_RECORDS ? KAFKA_WALK_RECORDS : KAFKA_WALK_SKIP;
    }
    return KAFKA_WALK_DONE;
}
