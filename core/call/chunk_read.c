#include "call/chunk_read.h"

#include <stdio.h>

#include "base/mem.h"

/* ---- Life ---- */

int chunk_new(const struct chunk_source *source, struct chunk **ret, struct error *err)
{
    struct chunk *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_nomem(err);
    c->source = source;
    c->column_n = OWN_COLUMNS + field_registry_count(source->registry);
    c->entries = mem_calloc(c->column_n, sizeof(struct chunk_entry *));
    if (!c->entries) {
        chunk_free(c);
        return error_nomem(err);
    }
    *ret = c;
    return TD_OK;
}

void chunk_free(struct chunk *c)
{
    if (!c)
        return;
    buf_clear(&c->directory);
    buf_clear(&c->raw);
    room_clear(&c->room);
    mem_free(c->entries);
    mem_free(c);
}

/* ---- Names for errors ---- */

static const char *column_name(const struct chunk *c, uint32_t column, char out[64])
{
    static const char *const own[] = {
        [OWN_DIRECTORY] = "directory",   [OWN_TIME] = "time",
        [OWN_COMPONENT] = "component",   [OWN_TRANSPORT] = "transport",
        [OWN_IP_VERSION] = "IP version", [OWN_FLOW_FLAGS] = "flow flags",
        [OWN_CALL_FLAGS] = "call flags", [OWN_CONN_ID] = "connection",
        [OWN_BIG] = "big numbers",       [OWN_PAYLOAD] = "payload",
    };
    static const char *const half[HALF_COLUMNS] = {"state", "address",       "port",        "first time", "last time",
                                                   "bytes", "missing bytes", "first frame", "frames"};
    if (column >= OWN_COLUMNS)
        return field_registry_at(c->source->registry, column - OWN_COLUMNS)->name;
    if (column < OWN_HALF)
        return own[column];
    if (column == OWN_NODE)
        return "node";
    uint32_t which = column - OWN_HALF;
    snprintf(out, 64, "%s of the %s", which % HALF_COLUMNS < HALF_COLUMNS ? half[which % HALF_COLUMNS] : "",
             which < HALF_COLUMNS ? "client" : "server");
    return out;
}

static int corrupt(const struct chunk *c, uint32_t column, const char *why, struct error *err)
{
    char name[64];
    return error_set(err, TD_E_CORRUPT, "%s: chunk %llu, column %s: %s", c->source->name, (unsigned long long)c->number,
                     column_name(c, column, name), why);
}

/* ---- The directory ---- */

static bool is_text(uint8_t type)
{
    return type == REGISTRY_STRING || type == REGISTRY_BYTES;
}

static bool is_many(uint8_t type)
{
    return type == REGISTRY_LIST || type == REGISTRY_MAP;
}

/* The type that a column must have. */
static uint8_t type_of(const struct chunk *c, uint32_t column)
{
    if (column >= OWN_COLUMNS) {
        const struct registry_field *f = field_registry_at(c->source->registry, column - OWN_COLUMNS);
        return f->payload ? REGISTRY_INT : f->type;
    }
    return own_column_type(column);
}

static unsigned parts_of(const struct chunk_entry *e, uint32_t rows)
{
    unsigned parts = 1u << PART_VALUES | (unsigned)(e->present < rows) << PART_PRESENT;
    if (is_text(e->type) || is_many(e->type))
        parts |= 1u << PART_TEXTS;
    if (e->type == REGISTRY_MAP)
        parts |= 1u << PART_NAMES;
    return parts;
}

static bool read_place(struct td_cursor *in, struct chunk_place *place)
{
    place->column = td_le16(in);
    place->part = td_u8(in);
    place->size = td_le32(in);
    if (place->column == 0) {
        struct td_slice bytes = td_take(in, place->size);
        place->bytes = bytes.p;
        return !in->failed && place->part == 0 && place->size <= CHUNK_INLINE;
    }
    place->checksum = td_le64(in);
    return !in->failed && place->column < CHUNK_MAX_COLUMNS && place->part < PARTS && place->size <= CHUNK_MAX_PART;
}

static bool entry_plausible(const struct chunk *c, uint32_t column, const struct chunk_entry *e)
{
    if (e->type != type_of(c, column) || e->present == 0 || e->present > c->rows)
        return false;
    if ((e->parts & ~(1u << PART_BLOOM)) != parts_of(e, c->rows))
        return false;
    if (is_many(e->type))
        return e->elements <= CHUNK_MAX_ELEMENTS && e->texts <= e->elements && e->names <= e->elements;
    return !is_text(e->type) || (e->texts > 0 && e->texts <= c->rows);
}

static int read_entry(struct chunk *c, struct td_cursor *in, uint32_t *ret_column, struct error *err)
{
    struct chunk_entry *e = room_alloc(&c->room, sizeof(*e));
    if (!e)
        return error_nomem(err);
    *e = (struct chunk_entry){0};
    uint32_t column = td_le16(in);
    e->type = td_u8(in);
    e->parts = td_u8(in);
    e->present = td_le32(in);
    e->elements = td_le32(in);
    e->texts = td_le32(in);
    e->names = td_le32(in);
    e->min = (int64_t)td_le64(in);
    e->max = (int64_t)td_le64(in);
    e->min_text = td_take(in, td_u8(in));
    e->max_text = td_take(in, td_u8(in));
    if (in->failed || column == OWN_DIRECTORY || column >= c->column_n || c->entries[column])
        return corrupt(c, OWN_DIRECTORY, "a column that cannot be", err);
    e->column.type = e->type;
    if (!entry_plausible(c, column, e))
        return corrupt(c, column, "its description contradicts itself", err);
    for (uint32_t part = 0; part < PARTS; part++)
        if (e->parts >> part & 1 && !read_place(in, &e->places[part]))
            return corrupt(c, column, "a part of it is nowhere", err);
    c->entries[column] = e;
    *ret_column = column;
    return TD_OK;
}

static int read_directory(struct chunk *c, struct error *err)
{
    struct td_cursor in = td_cursor(buf_slice(&c->directory));
    uint64_t checksum = td_le64(&in);
    if (in.failed || checksum != hash_bytes(in.p, td_left(&in), CHUNK_SEED))
        return corrupt(c, OWN_DIRECTORY, "damaged, its checksum is another", err);
    c->rows = td_le32(&in);
    uint32_t columns = td_le32(&in), column;
    c->first_ns = (int64_t)td_le64(&in);
    c->last_ns = (int64_t)td_le64(&in);
    c->payload_bytes = td_le64(&in);
    if (in.failed || c->rows == 0 || c->rows > CHUNK_MAX_ROWS || columns > c->column_n || c->first_ns > c->last_ns)
        return corrupt(c, OWN_DIRECTORY, "rows, columns or times that cannot be", err);
    for (uint32_t i = 0; i < columns; i++) {
        int status = read_entry(c, &in, &column, err);
        if (status != TD_OK)
            return status;
    }
    if (td_left(&in) || !c->entries[OWN_TIME] || c->entries[OWN_TIME]->present != c->rows)
        return corrupt(c, OWN_DIRECTORY, "columns are missing", err);
    return TD_OK;
}

int chunk_load(struct chunk *c, uint64_t number, struct buf *directory, struct error *err)
{
    struct buf old = c->directory;
    c->directory = *directory;
    *directory = old;
    c->number = number;
    c->rows = 0;
    room_reset(&c->room);
    memset(c->entries, 0, c->column_n * sizeof(*c->entries));
    return read_directory(c, err);
}

/* A fuzzer cannot make checksums, and is to find what stands behind them. */
static bool checksum_fits(const struct buf *bytes, uint64_t checksum)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)bytes, (void)checksum;
    return true;
#else
    return hash_bytes(bytes->p, bytes->n, CHUNK_SEED) == checksum;
#endif
}

/* ---- Parts ---- */

static int part_bytes(struct chunk *c, uint32_t column, const struct chunk_place *place, struct td_slice *ret, struct error *err)
{
    if (place->bytes || place->column == 0) {
        *ret = td_bytes(place->bytes, place->size);
        return TD_OK;
    }
    buf_reset(&c->raw);
    int status = c->source->fetch(c->source->ctx, part_key(c->number, place->column, place->part), place->size, &c->raw, err);
    if (status != TD_OK) {
        char name[64];
        error_prefix(err, "%s: chunk %llu, column %s: ", c->source->name, (unsigned long long)c->number, column_name(c, column, name));
        return status;
    }
    if (c->raw.n != place->size || !checksum_fits(&c->raw, place->checksum))
        return corrupt(c, column, "damaged, its checksum is another", err);
    *ret = buf_slice(&c->raw);
    return TD_OK;
}

static int unpack_failed(const struct chunk *c, uint32_t column, int status, struct error *err)
{
    return status == TD_E_NOMEM ? error_nomem(err) : corrupt(c, column, "it cannot be unpacked", err);
}

static int read_present(struct chunk *c, uint32_t column, struct chunk_entry *e, struct td_slice bytes, struct error *err)
{
    struct td_cursor in = td_cursor(bytes);
    uint32_t words = (c->rows + 63) / 64, count = 0;
    uint64_t *bits = room_alloc(&c->room, words * sizeof(*bits));
    if (!bits)
        return error_nomem(err);
    int status = unpack_bytes(c->source->unpacker, &in, words * sizeof(*bits), (uint8_t *)bits);
    if (status != TD_OK)
        return unpack_failed(c, column, status, err);
    if (c->rows % 64)
        bits[words - 1] &= (1ull << (c->rows % 64)) - 1;
    for (uint32_t i = 0; i < words; i++)
        count += (uint32_t)__builtin_popcountll(bits[i]);
    if (count != e->present)
        return corrupt(c, column, "its bitmap contradicts its description", err);
    e->column.present = bits;
    return TD_OK;
}

static uint64_t greatest_lane(const struct chunk_lanes *l, uint32_t n)
{
    uint64_t greatest = 0;
    uint8_t max8 = 0;
    uint16_t max16 = 0;
    uint32_t max32 = 0;
    switch (l->width) {
    case 1:
        for (uint32_t i = 0; i < n; i++)
            max8 = ((const uint8_t *)l->v)[i] > max8 ? ((const uint8_t *)l->v)[i] : max8;
        return max8;
    case 2:
        for (uint32_t i = 0; i < n; i++)
            max16 = ((const uint16_t *)l->v)[i] > max16 ? ((const uint16_t *)l->v)[i] : max16;
        return max16;
    case 4:
        for (uint32_t i = 0; i < n; i++)
            max32 = ((const uint32_t *)l->v)[i] > max32 ? ((const uint32_t *)l->v)[i] : max32;
        return max32;
    case 8:
        for (uint32_t i = 0; i < n; i++)
            greatest = ((const uint64_t *)l->v)[i] > greatest ? ((const uint64_t *)l->v)[i] : greatest;
        return greatest;
    default: return 0;
    }
}

static int read_ids(struct chunk *c, uint32_t column, struct td_cursor *in, uint32_t n, uint32_t texts, struct chunk_lanes *ret,
                    struct error *err)
{
    int status = unpack_numbers(c->source->unpacker, in, n, &c->room, ret);
    if (status != TD_OK)
        return unpack_failed(c, column, status, err);
    if (ret->base != 0 || ret->width > 4 || (n && greatest_lane(ret, n) >= texts))
        return corrupt(c, column, "it refers to texts that are not there", err);
    return TD_OK;
}

/* Running sums of `n` lengths: n + 1 offsets from 0 to `total`, or at most PACK_MAX_TEXT if that is unknown (0). */
static int read_offsets(struct chunk *c, uint32_t column, struct td_cursor *in, uint32_t n, uint32_t limit, const uint32_t **ret,
                        struct error *err)
{
    struct chunk_lanes lengths;
    uint64_t sum = 0;
    uint32_t *offsets = room_alloc(&c->room, ((size_t)n + 1) * sizeof(*offsets));
    if (!offsets)
        return error_nomem(err);
    int status = unpack_numbers(c->source->unpacker, in, n, &c->room, &lengths);
    if (status != TD_OK)
        return unpack_failed(c, column, status, err);
    bool good = lengths.base >= 0 && lengths.base <= limit;
    offsets[0] = 0;
    for (uint32_t i = 0; i < n && good; i++) {
        uint64_t lane = chunk_lane(&lengths, i);
        good = lane <= limit;
        sum += (uint64_t)lengths.base + lane;
        good &= sum <= limit;
        offsets[i + 1] = (uint32_t)sum;
    }
    if (!good)
        return corrupt(c, column, "lengths that cannot be", err);
    *ret = offsets;
    return TD_OK;
}

static int read_values(struct chunk *c, uint32_t column, struct chunk_entry *e, struct td_slice bytes, struct error *err)
{
    struct td_cursor in = td_cursor(bytes);
    if (is_text(e->type))
        return read_ids(c, column, &in, c->rows, e->texts, &e->column.ids, err);
    if (!is_many(e->type)) {
        int status = unpack_numbers(c->source->unpacker, &in, c->rows, &c->room, &e->column.numbers);
        return status == TD_OK ? TD_OK : unpack_failed(c, column, status, err);
    }
    int status = read_offsets(c, column, &in, c->rows, e->elements, &e->column.offsets, err);
    if (status != TD_OK)
        return status;
    if (e->column.offsets[c->rows] != e->elements)
        return corrupt(c, column, "its elements are not as many as it says", err);
    status = read_ids(c, column, &in, e->elements, e->texts, &e->column.ids, err);
    if (status == TD_OK && e->type == REGISTRY_MAP)
        status = read_ids(c, column, &in, e->elements, e->names, &e->column.name_ids, err);
    return status;
}

static int read_texts(struct chunk *c, uint32_t column, uint32_t n, struct td_slice bytes, struct chunk_dictionary *ret, struct error *err)
{
    struct td_cursor in = td_cursor(bytes);
    const uint32_t *offsets = NULL;
    int status = read_offsets(c, column, &in, n, PACK_MAX_TEXT, &offsets, err);
    if (status != TD_OK)
        return status;
    uint8_t *texts = room_alloc(&c->room, offsets[n]);
    if (!texts)
        return error_nomem(err);
    status = unpack_bytes(c->source->unpacker, &in, offsets[n], texts);
    if (status != TD_OK)
        return unpack_failed(c, column, status, err);
    *ret = (struct chunk_dictionary){n, offsets, texts};
    return TD_OK;
}

static int read_part(struct chunk *c, uint32_t column, struct chunk_entry *e, uint32_t part, struct error *err)
{
    struct td_slice bytes;
    int status = part_bytes(c, column, &e->places[part], &bytes, err);
    if (status != TD_OK)
        return status;
    switch (part) {
    case PART_PRESENT: return read_present(c, column, e, bytes, err);
    case PART_VALUES: return read_values(c, column, e, bytes, err);
    case PART_TEXTS: return read_texts(c, column, e->texts, bytes, &e->column.texts, err);
    default: return read_texts(c, column, e->names, bytes, &e->column.names, err);
    }
}

/* ---- Columns ---- */

/* A column that no row has, or the ids of the calls: made here. It is kept beside the stored ones with no parts. */
static int make_entry(struct chunk *c, uint32_t column, struct error *err)
{
    static const uint32_t no_text[2];
    struct chunk_entry *e = room_alloc(&c->room, sizeof(*e));
    uint32_t *offsets = room_alloc(&c->room, (c->rows + 1) * sizeof(*offsets));
    if (!e || !offsets)
        return error_nomem(err);
    uint8_t type = type_of(c, column);
    int64_t absent = column >= OWN_COLUMNS ? field_registry_at(c->source->registry, column - OWN_COLUMNS)->absent : 0;
    *e = (struct chunk_entry){.type = type, .column = {.type = type, .parts = ~0u}};
    if (is_text(type)) {
        e->column.texts = (struct chunk_dictionary){1, no_text, (const uint8_t *)no_text};
    } else if (is_many(type)) {
        memset(offsets, 0, (c->rows + 1) * sizeof(*offsets));
        e->column.offsets = offsets;
        e->column.texts = e->column.names = (struct chunk_dictionary){0, no_text, (const uint8_t *)no_text};
    } else {
        e->column.numbers.base = absent;
    }
    c->entries[column] = e;
    return TD_OK;
}

static bool is_id(const struct chunk *c, uint32_t column)
{
    return column >= OWN_COLUMNS && strcmp(field_registry_at(c->source->registry, column - OWN_COLUMNS)->name, STORE_ID_FIELD) == 0;
}

static int make_ids(struct chunk *c, uint32_t column, struct error *err)
{
    uint16_t *lanes = room_alloc(&c->room, c->rows * sizeof(*lanes));
    if (!lanes)
        return error_nomem(err);
    for (uint32_t i = 0; i < c->rows; i++)
        lanes[i] = (uint16_t)i;
    int status = make_entry(c, column, err);
    if (status == TD_OK)
        c->entries[column]->column.numbers = (struct chunk_lanes){lanes, sizeof(*lanes), (int64_t)chunk_first_id(c)};
    return status;
}

int chunk_read_column(struct chunk *c, uint32_t column, unsigned parts, const struct chunk_column **ret, struct error *err)
{
    static const uint32_t stored[] = {PART_PRESENT, PART_VALUES, PART_TEXTS, PART_NAMES}; /* by bit of chunk_part */
    int status = TD_OK;
    if (!c->entries[column]) {
        status = is_id(c, column) ? make_ids(c, column, err) : make_entry(c, column, err);
        if (status != TD_OK)
            return status;
    }
    struct chunk_entry *e = c->entries[column];
    unsigned wanted = parts & ~e->column.parts;
    for (uint32_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++) {
        if (!(wanted >> i & 1))
            continue;
        if (e->parts >> stored[i] & 1)
            status = read_part(c, column, e, stored[i], err);
        if (status != TD_OK)
            return status;
        e->column.parts |= 1u << i;
    }
    *ret = &e->column;
    return TD_OK;
}

int chunk_column(struct chunk *c, uint32_t field, unsigned parts, const struct chunk_column **ret, struct error *err)
{
    if (field >= c->column_n - OWN_COLUMNS || field_registry_at(c->source->registry, field)->payload)
        return error_set(err, TD_E_INTERNAL, "field %u has no column", field);
    return chunk_read_column(c, OWN_COLUMNS + field, parts, ret, err);
}

int chunk_times(struct chunk *c, const struct chunk_lanes **ret, struct error *err)
{
    const struct chunk_column *column;
    int status = chunk_read_column(c, OWN_TIME, CHUNK_VALUES, &column, err);
    if (status == TD_OK)
        *ret = &column->numbers;
    return status;
}

uint32_t chunk_rows(const struct chunk *c)
{
    return c->rows;
}

uint64_t chunk_first_id(const struct chunk *c)
{
    return c->number << CHUNK_ROW_BITS;
}

int64_t chunk_min_time(const struct chunk *c)
{
    return c->first_ns;
}

int64_t chunk_max_time(const struct chunk *c)
{
    return c->last_ns;
}

void chunk_stats(const struct chunk *c, uint32_t field, struct chunk_stats *ret)
{
    uint32_t column = OWN_COLUMNS + field;
    const struct chunk_entry *e = column < c->column_n ? c->entries[column] : NULL;
    *ret = (struct chunk_stats){0};
    if (column < c->column_n && is_id(c, column)) {
        int64_t first = (int64_t)chunk_first_id(c);
        *ret = (struct chunk_stats){.present = c->rows, .min = first, .max = first + c->rows - 1};
    } else if (e && e->parts) {
        *ret = (struct chunk_stats){e->present, e->elements, e->texts, e->min, e->max, e->min_text, e->max_text};
    } else if (column < c->column_n) {
        ret->min = ret->max = field_registry_at(c->source->registry, field)->absent;
        ret->distinct = is_text(type_of(c, column));
    }
}

/* ---- Looking for one text ---- */

/* Can `text` lie between the least and the greatest, of which only so many bytes are known? */
static bool within_bounds(const struct chunk_entry *e, struct td_slice text)
{
    struct td_slice head = td_sub(text, 0, CHUNK_PREFIX);
    size_t n = head.n < e->min_text.n ? head.n : e->min_text.n;
    int order = n ? memcmp(head.p, e->min_text.p, n) : 0;
    if (order < 0 || (order == 0 && head.n < e->min_text.n))
        return false;
    n = head.n < e->max_text.n ? head.n : e->max_text.n;
    order = n ? memcmp(head.p, e->max_text.p, n) : 0;
    return order < 0 || (order == 0 && head.n <= e->max_text.n);
}

int chunk_may_have_text(struct chunk *c, uint32_t field, struct td_slice text, bool *ret, struct error *err)
{
    uint32_t column = OWN_COLUMNS + field;
    const struct chunk_entry *e = column < c->column_n ? c->entries[column] : NULL;
    *ret = true;
    if (!e || !e->parts) {
        *ret = text.n == 0;
        return TD_OK;
    }
    if (e->elements == 0 && is_many(e->type))
        *ret = false;
    else
        *ret = within_bounds(e, text);
    if (!*ret || !(e->parts >> PART_BLOOM & 1))
        return TD_OK;
    struct td_slice bytes;
    int status = part_bytes(c, column, &e->places[PART_BLOOM], &bytes, err);
    if (status != TD_OK)
        return status;
    uint32_t words = bloom_words(e->texts);
    if (bytes.n != (size_t)words * sizeof(uint64_t))
        return corrupt(c, column, "its Bloom filter has another size", err);
    uint64_t hash = bloom_hash(text), bits = bloom_bits(hash);
    *ret = (hash_word(bytes.p + (size_t)bloom_word(hash, words) * sizeof(uint64_t)) & bits) == bits;
    return TD_OK;
}
