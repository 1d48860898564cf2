#include "call/chunk_build.h"

#include <sys/random.h>

#include "base/mem.h"
#include "call/chunk_pack.h"
#include "call/registry_table.h"
#include "call/text_set.h"

enum {
    FULL_BYTES = 16 << 20,  /* of texts, which ends a chunk early */
    FULL_PAYLOAD = 64 << 20 /* of payload, before it is packed */
};

/* A column while it is filled. Nothing is done for a row that lacks it: the gap is filled when the next one has it. */
struct column {
    uint32_t number;
    uint8_t type; /* registry_type */
    bool payload;
    int64_t absent;
    uint32_t present; /* rows that have it */
    uint32_t rows;    /* that are filled in */
    uint64_t bits[CHUNK_BITS];
    struct buf numbers; /* int64_t: of a row; of payload: bytes << 1 | cut */
    struct buf ids;     /* uint32_t: of a row, or of an element */
    struct buf name_ids;
    struct buf ends; /* uint32_t: behind the row's last element */
    struct text_set texts, names;
};

struct chunk_builder {
    const struct chunk_plan *plan;
    uint64_t seed;
    uint32_t rows;
    size_t text_bytes;
    uint64_t payload_bytes;
    bool failed, sorted;
    bool lost;               /* of the call that is being added: a value that no chunk can hold */
    struct column **columns; /* by number; made when first needed */
    uint32_t column_n;
    struct buf scratch, page;
    struct packer packer;
    struct packed_chunk packed;
    /* While packing. */
    uint32_t order[CHUNK_MAX_ROWS]; /* rows by time */
    int64_t gathered[CHUNK_MAX_ROWS];
    struct buf elements; /* int64_t */
};

/* ---- The plan ---- */

int chunk_plan_init(struct chunk_plan *plan, const struct field_registry *registry, bool payloads, struct error *err)
{
    *plan = (struct chunk_plan){.registry = registry, .field_n = field_registry_count(registry), .payloads = payloads};
    plan->components = field_registry_components(registry, &plan->component_n);
    if (plan->field_n > CHUNK_MAX_COLUMNS - OWN_COLUMNS)
        return error_set(err, TD_E_LIMIT, "%u fields; a call store holds %d", plan->field_n, CHUNK_MAX_COLUMNS - OWN_COLUMNS);
    plan->core = mem_calloc(plan->field_n, sizeof(*plan->core));
    if (!plan->core)
        return error_nomem(err);
    for (uint32_t i = 0; i < plan->field_n; i++) {
        uint8_t source = registry->sources[i].core;
        if (source != CORE_DECLARED && source != CORE_UNKNOWN)
            plan->core[plan->core_n++] = i;
    }
    return TD_OK;
}

void chunk_plan_clear(struct chunk_plan *plan)
{
    mem_free(plan->core);
    *plan = (struct chunk_plan){0};
}

/* ---- Life ---- */

int chunk_builder_new(const struct chunk_plan *plan, struct chunk_builder **ret, struct error *err)
{
    struct chunk_builder *b = mem_calloc(1, sizeof(*b));
    if (!b)
        return error_nomem(err);
    b->plan = plan;
    b->sorted = true;
    b->column_n = OWN_COLUMNS + plan->field_n;
    b->columns = mem_calloc(b->column_n, sizeof(struct column *));
    int status = b->columns ? packer_init(&b->packer, err) : error_nomem(err);
    if (status == TD_OK && getrandom(&b->seed, sizeof(b->seed), GRND_NONBLOCK) != sizeof(b->seed))
        b->seed = (uintptr_t)b; /* the address space is random as well */
    if (status != TD_OK)
        chunk_builder_free(b);
    else
        *ret = b;
    return status;
}

static void column_free(struct column *col)
{
    buf_clear(&col->numbers);
    buf_clear(&col->ids);
    buf_clear(&col->name_ids);
    buf_clear(&col->ends);
    text_set_clear(&col->texts);
    text_set_clear(&col->names);
    mem_free(col);
}

void chunk_builder_free(struct chunk_builder *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; b->columns && i < b->column_n; i++)
        if (b->columns[i])
            column_free(b->columns[i]);
    mem_free(b->columns);
    buf_clear(&b->scratch);
    buf_clear(&b->page);
    buf_clear(&b->elements);
    packer_clear(&b->packer);
    buf_clear(&b->packed.directory);
    buf_clear(&b->packed.data);
    buf_clear(&b->packed.parts);
    buf_clear(&b->packed.pages);
    buf_clear(&b->packed.page_ends);
    mem_free(b);
}

bool chunk_builder_full(const struct chunk_builder *b)
{
    return b->rows == CHUNK_MAX_ROWS || b->text_bytes >= FULL_BYTES || b->payload_bytes >= FULL_PAYLOAD;
}

uint32_t chunk_builder_rows(const struct chunk_builder *b)
{
    return b->rows;
}

/* ---- Filling columns ---- */

static bool is_text(const struct column *col)
{
    return col->type == REGISTRY_STRING || col->type == REGISTRY_BYTES;
}

static bool is_many(const struct column *col)
{
    return col->type == REGISTRY_LIST || col->type == REGISTRY_MAP;
}

static struct column *make_column(struct chunk_builder *b, uint32_t number, uint8_t type)
{
    struct column *col = b->columns[number] = mem_calloc(1, sizeof(*col));
    if (!col)
        return NULL;
    col->number = number;
    col->type = type;
    if (number >= OWN_COLUMNS) {
        const struct registry_field *f = field_registry_at(b->plan->registry, number - OWN_COLUMNS);
        col->type = f->payload ? REGISTRY_INT : f->type;
        col->payload = f->payload;
        col->absent = f->payload ? 0 : f->absent;
    }
    return col;
}

static inline struct column *column_of(struct chunk_builder *b, uint32_t number, uint8_t own_type)
{
    struct column *col = b->columns[number];
    return col ? col : make_column(b, number, own_type);
}

static bool add_text(struct chunk_builder *b, struct text_set *set, struct td_slice text, uint32_t *ret)
{
    uint32_t before = set->n;
    if (text.n > PACK_MAX_TEXT - set->bytes.n) {
        b->lost = true;
        text.n = 0;
    }
    if (!text_set_add(set, text, b->seed, ret))
        return false;
    if (set->n != before)
        b->text_bytes += text.n;
    return true;
}

/* Rows up to `rows` that lack the column. */
static bool fill_gap(struct chunk_builder *b, struct column *col, uint32_t rows)
{
    uint32_t id = 0;
    if (is_text(col) && !add_text(b, &col->texts, td_bytes("", 0), &id))
        return false;
    uint32_t end = (uint32_t)(col->ids.n / sizeof(uint32_t));
    for (; col->rows < rows; col->rows++) {
        if (is_many(col))
            buf_put(&col->ends, &end, sizeof(end));
        else if (is_text(col))
            buf_put(&col->ids, &id, sizeof(id));
        else
            buf_put(&col->numbers, &col->absent, sizeof(col->absent));
    }
    return true;
}

/* The row that is being added has this column. */
static inline bool begin_value(struct chunk_builder *b, struct column *col)
{
    if (!col || (col->rows < b->rows && !fill_gap(b, col, b->rows)))
        return false;
    col->bits[b->rows / 64] |= 1ull << (b->rows % 64);
    col->present++;
    col->rows++;
    return true;
}

static inline void put_number(struct chunk_builder *b, uint32_t number, int64_t value)
{
    struct column *col = column_of(b, number, REGISTRY_INT);
    if (begin_value(b, col))
        buf_put(&col->numbers, &value, sizeof(value));
    else
        b->failed = true;
}

static inline void put_text(struct chunk_builder *b, uint32_t number, struct td_slice text)
{
    struct column *col = column_of(b, number, REGISTRY_BYTES);
    uint32_t id;
    if (begin_value(b, col) && add_text(b, &col->texts, text, &id))
        buf_put(&col->ids, &id, sizeof(id));
    else
        b->failed = true;
}

static void put_elements(struct chunk_builder *b, uint32_t field, const struct td_call *c)
{
    struct column *col = column_of(b, OWN_COLUMNS + field, 0);
    struct registry_value v;
    uint32_t at = 0, id;
    if (!begin_value(b, col)) {
        b->failed = true;
        return;
    }
    while (!b->failed && field_registry_next(b->plan->registry, field, c, &at, &v)) {
        if (col->ids.n / sizeof(id) == CHUNK_MAX_ELEMENTS) {
            b->lost = true;
            break;
        }
        if (col->type == REGISTRY_MAP) {
            b->failed |= !add_text(b, &col->names, v.name, &id);
            buf_put(&col->name_ids, &id, sizeof(id));
        }
        b->failed |= !add_text(b, &col->texts, v.bytes, &id);
        buf_put(&col->ids, &id, sizeof(id));
        b->text_bytes += sizeof(id);
    }
    uint32_t end = (uint32_t)(col->ids.n / sizeof(id));
    buf_put(&col->ends, &end, sizeof(end));
}

static inline void put_field(struct chunk_builder *b, uint32_t field, const struct td_call *c)
{
    const struct registry_field *f = field_registry_at(b->plan->registry, field);
    struct registry_value v;
    if (f->type == REGISTRY_LIST || f->type == REGISTRY_MAP) {
        if (field_registry_has(b->plan->registry, field, c))
            put_elements(b, field, c);
        return;
    }
    if (!field_registry_get(b->plan->registry, field, c, &v))
        return;
    if (f->type == REGISTRY_STRING || f->type == REGISTRY_BYTES)
        put_text(b, OWN_COLUMNS + field, v.bytes);
    else
        put_number(b, OWN_COLUMNS + field, v.number);
}

/* ---- Payload ---- */

static void end_page(struct chunk_builder *b)
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

static void put_payload(struct chunk_builder *b, uint32_t field, const struct call_body *body)
{
    struct td_slice rest = buf_slice(&body->bytes);
    put_number(b, OWN_COLUMNS + field, (int64_t)((uint64_t)rest.n << 1 | body->cut));
    b->payload_bytes += rest.n;
    while (rest.n) {
        struct td_slice part = td_sub(rest, 0, CHUNK_PAGE - b->page.n);
        buf_put_slice(&b->page, part);
        if (b->page.n == CHUNK_PAGE)
            end_page(b);
        if (b->page.failed)
            return;
        rest = td_sub(rest, part.n, rest.n);
    }
}

/* ---- A call ---- */

static void put_frames(struct chunk_builder *b, int dir, const struct call_frames *f, uint64_t *request_frame)
{
    uint64_t frame = 0;
    size_t at = 0;
    struct td_slice rest = td_bytes(f->few, f->few_n);
    if (!call_next_frame(f, &at, &frame))
        return;
    put_number(b, own_half(dir, HALF_FRAME), (int64_t)(frame - *request_frame));
    if (dir == TD_CLIENT)
        *request_frame = frame;
    if (f->more.n) {
        buf_reset(&b->scratch);
        buf_put(&b->scratch, f->few, f->few_n);
        buf_put_slice(&b->scratch, buf_slice(&f->more));
        b->failed |= b->scratch.failed;
        rest = buf_slice(&b->scratch);
    }
    put_text(b, own_half(dir, HALF_FRAMES), td_sub(rest, at, rest.n));
}

static void put_half(struct chunk_builder *b, const struct td_call *c, int dir, int64_t time, uint64_t *request_frame)
{
    const struct call_half *h = &c->half[dir];
    size_t ip_n = c->flow->ip_version == 4 ? 4 : 16;
    put_text(b, own_half(dir, HALF_IP), td_bytes(c->flow->ip[dir], ip_n));
    put_number(b, own_half(dir, HALF_PORT), c->flow->port[dir]);
    if (!h->seen)
        return;
    put_number(b, own_half(dir, HALF_STATE), HALF_SEEN | (h->cut ? HALF_CUT : 0) | (h->frames.cut ? HALF_FRAMES_CUT : 0));
    put_number(b, own_half(dir, HALF_FIRST), (int64_t)((uint64_t)h->first_ns - (uint64_t)time));
    put_number(b, own_half(dir, HALF_LAST), (int64_t)((uint64_t)h->last_ns - (uint64_t)h->first_ns));
    put_number(b, own_half(dir, HALF_BYTES), (int64_t)h->bytes);
    put_number(b, own_half(dir, HALF_MISSING), (int64_t)h->missing);
    put_frames(b, dir, &h->frames, request_frame);
}

static void put_own(struct chunk_builder *b, const struct td_call *c)
{
    int64_t time = call_time(c);
    struct column *times = b->columns[OWN_TIME];
    uint64_t request_frame = 0;
    if (b->rows && b->sorted) {
        int64_t before;
        memcpy(&before, times->numbers.p + times->numbers.n - sizeof(before), sizeof(before));
        b->sorted = before <= time;
    }
    put_number(b, OWN_TIME, time);
    put_number(b, OWN_COMPONENT, c->component);
    put_number(b, OWN_TRANSPORT, c->flow->transport);
    put_number(b, OWN_IP_VERSION, c->flow->ip_version);
    put_number(b, OWN_FLOW_FLAGS, c->flow->flags);
    put_number(b, OWN_CONN_ID, (int64_t)c->conn_id);
    put_half(b, c, TD_CLIENT, time, &request_frame);
    put_half(b, c, TD_SERVER, time, &request_frame);
}

/* Numbers above INT64_MAX, which columns do not hold, stand apart, so that the call can be given back as it was. */
static inline void note_big(struct chunk_builder *b, const struct td_call *c, uint32_t own)
{
    struct call_value v;
    uint32_t at = 0;
    const struct field *f = &c->fields->fields[own];
    if (f->type != TD_U64 || f->flags & TD_F_LIST || !call_next_value(c, own, &at, &v) || v.number <= INT64_MAX)
        return;
    uint8_t field = (uint8_t)own;
    buf_put(&b->scratch, &field, sizeof(field));
    buf_put(&b->scratch, &v.number, sizeof(v.number));
}

static void put_declared(struct chunk_builder *b, const struct td_call *c)
{
    const struct registry_component *component = &b->plan->components[c->component];
    uint64_t payload_at = b->payload_bytes;
    bool payload = false;
    buf_reset(&b->scratch);
    for (uint32_t word = 0; word < FIELD_MAX / 64; word++) {
        for (uint64_t bits = c->set[word]; bits; bits &= bits - 1) {
            uint32_t own = word * 64 + (uint32_t)__builtin_ctzll(bits);
            const struct call_body *body = call_get_body(c, own);
            if (!body) {
                put_field(b, component->fields[own], c);
                note_big(b, c, own);
            } else if (b->plan->payloads) {
                put_payload(b, component->fields[own], body);
                payload = true;
            }
        }
    }
    if (payload)
        put_number(b, OWN_PAYLOAD, (int64_t)payload_at);
    if (b->scratch.n)
        put_text(b, OWN_BIG, buf_slice(&b->scratch));
}

static bool any_failed(const struct chunk_builder *b)
{
    if (b->failed || b->scratch.failed || b->page.failed || b->packed.pages.failed || b->packed.page_ends.failed)
        return true;
    for (uint32_t i = 0; i < b->column_n; i++) {
        const struct column *col = b->columns[i];
        if (col && (col->numbers.failed || col->ids.failed || col->name_ids.failed || col->ends.failed))
            return true;
    }
    return false;
}

int chunk_builder_add(struct chunk_builder *b, const struct td_call *c, struct error *err)
{
    if (c->component >= b->plan->component_n || c->fields->n > b->plan->components[c->component].n)
        return error_set(err, TD_E_INTERNAL, "a call of component %u, which the call store was not told of", c->component);
    if (b->rows == 0) {
        buf_reset(&b->packed.pages);
        buf_reset(&b->packed.page_ends);
    }
    b->lost = c->incomplete_values;
    put_own(b, c);
    for (uint32_t i = 0; i < b->plan->core_n; i++)
        put_field(b, b->plan->core[i], c);
    put_declared(b, c);
    put_number(b, OWN_CALL_FLAGS, c->flags | (b->lost ? (uint32_t)OWN_VALUES_LOST : 0));
    b->rows++;
    return b->failed || b->scratch.failed ? error_nomem(err) : TD_OK;
}

/* ---- Packing ---- */

static int64_t number_at(const struct buf *numbers, uint32_t i)
{
    return ((const int64_t *)(const void *)numbers->p)[i];
}

static uint32_t id_at(const struct buf *ids, uint32_t i)
{
    return ((const uint32_t *)(const void *)ids->p)[i];
}

/* Rows by time, those of one time as they came: a merge from the bottom up, which is quick where runs are in order already. */
static void merge_runs(const int64_t *times, const uint32_t *from, uint32_t *to, uint32_t n, uint32_t run)
{
    for (uint32_t begin = 0; begin < n; begin += 2 * run) {
        uint32_t middle = n - begin < run ? n : begin + run, end = n - middle < run ? n : middle + run;
        uint32_t a = begin, b = middle;
        for (uint32_t i = begin; i < end; i++)
            to[i] = a < middle && (b == end || times[from[a]] <= times[from[b]]) ? from[a++] : from[b++];
    }
}

static bool sort_rows(struct chunk_builder *b)
{
    const int64_t *times = (const int64_t *)(const void *)b->columns[OWN_TIME]->numbers.p;
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

static void put_le(struct buf *out, uint64_t v, size_t n)
{
    buf_put(out, &v, n);
}

/* The part that was appended to `data` at `at` goes where it belongs, and its place into the directory. */
static void end_part(struct packed_chunk *p, uint32_t column, uint32_t part, size_t at)
{
    uint32_t size = (uint32_t)(p->data.n - at);
    const struct packed_part *parts = (const struct packed_part *)(const void *)p->parts.p;
    struct packed_part self = {column, part, (uint32_t)at, size, 0};
    if (size <= CHUNK_INLINE) {
        put_le(&p->directory, 0, 3);
        put_le(&p->directory, size, 4);
        buf_put(&p->directory, p->data.p + at, size);
        p->data.n = at;
        return;
    }
    self.checksum = hash_bytes(p->data.p + at, size, CHUNK_SEED);
    for (size_t i = 0; i < p->parts.n / sizeof(*parts); i++) {
        if (parts[i].checksum == self.checksum && parts[i].size == size && memcmp(p->data.p + parts[i].at, p->data.p + at, size) == 0) {
            self = parts[i];
            p->data.n = at;
            break;
        }
    }
    put_le(&p->directory, self.column, 2);
    put_le(&p->directory, self.part, 1);
    put_le(&p->directory, size, 4);
    put_le(&p->directory, self.checksum, 8);
    if (self.column == column && self.part == part)
        buf_put(&p->parts, &self, sizeof(self));
}

static void pack_present(struct chunk_builder *b, struct column *col)
{
    uint64_t bits[CHUNK_BITS] = {0};
    size_t at = b->packed.data.n;
    for (uint32_t i = 0; i < b->rows; i++)
        bits[i / 64] |= (col->bits[b->order[i] / 64] >> (b->order[i] % 64) & 1) << (i % 64);
    pack_bytes(&b->packer, &b->packed.data, td_bytes(bits, (b->rows + 63) / 64 * sizeof(*bits)));
    end_part(&b->packed, col->number, PART_PRESENT, at);
}

/* The elements of the rows, in the rows' order. */
static void pack_elements(struct chunk_builder *b, const struct column *col, const struct buf *ids)
{
    buf_reset(&b->elements);
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t row = b->order[i], from = row ? id_at(&col->ends, row - 1) : 0, to = id_at(&col->ends, row);
        for (; from < to; from++) {
            int64_t id = id_at(ids, from);
            buf_put(&b->elements, &id, sizeof(id));
        }
    }
    b->failed |= b->elements.failed;
    if (!b->failed)
        pack_numbers(&b->packer, &b->packed.data, (const int64_t *)(const void *)b->elements.p, (uint32_t)(ids->n / sizeof(uint32_t)));
}

static void pack_values(struct chunk_builder *b, struct column *col)
{
    size_t at = b->packed.data.n;
    const int64_t *rows = b->gathered;
    if (is_many(col)) {
        for (uint32_t i = 0; i < b->rows; i++)
            b->gathered[i] = id_at(&col->ends, b->order[i]) - (b->order[i] ? id_at(&col->ends, b->order[i] - 1) : 0);
    } else if (is_text(col)) {
        for (uint32_t i = 0; i < b->rows; i++)
            b->gathered[i] = id_at(&col->ids, b->order[i]);
    } else if (b->sorted) {
        rows = (const int64_t *)(const void *)col->numbers.p;
    } else {
        for (uint32_t i = 0; i < b->rows; i++)
            b->gathered[i] = number_at(&col->numbers, b->order[i]);
    }
    pack_numbers(&b->packer, &b->packed.data, rows, b->rows);
    if (is_many(col))
        pack_elements(b, col, &col->ids);
    if (col->type == REGISTRY_MAP)
        pack_elements(b, col, &col->name_ids);
    end_part(&b->packed, col->number, PART_VALUES, at);
}

static void pack_texts(struct chunk_builder *b, const struct column *col, const struct text_set *set, uint32_t part)
{
    size_t at = b->packed.data.n;
    buf_reset(&b->elements);
    for (uint32_t i = 0; i < set->n; i++) {
        int64_t n = (int64_t)text_set_at(set, i).n;
        buf_put(&b->elements, &n, sizeof(n));
    }
    b->failed |= b->elements.failed;
    if (b->failed)
        return;
    pack_numbers(&b->packer, &b->packed.data, (const int64_t *)(const void *)b->elements.p, set->n);
    pack_bytes(&b->packer, &b->packed.data, buf_slice(&set->bytes));
    end_part(&b->packed, col->number, part, at);
}

static void pack_bloom(struct chunk_builder *b, const struct column *col)
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
    for (uint32_t i = 0; i < set->n; i++) {
        struct td_slice text = td_sub(text_set_at(set, i), 0, CHUNK_PREFIX);
        if (i == 0 || text_less(text, least))
            least = text;
        if (i == 0 || text_less(greatest, text))
            greatest = text;
    }
    put_le(out, least.n, 1);
    buf_put_slice(out, least);
    put_le(out, greatest.n, 1);
    buf_put_slice(out, greatest);
}

static void put_number_bounds(struct buf *out, const struct column *col)
{
    int64_t min = col->absent, max = min;
    for (uint32_t i = 0; i < col->numbers.n / sizeof(min); i++) {
        int64_t v = number_at(&col->numbers, i);
        min = i == 0 || v < min ? v : min;
        max = i == 0 || v > max ? v : max;
    }
    put_le(out, (uint64_t)min, 8);
    put_le(out, (uint64_t)max, 8);
}

static uint64_t payload_total(const struct column *col)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; col->payload && i < col->numbers.n / sizeof(int64_t); i++)
        sum += (uint64_t)number_at(&col->numbers, i) >> 1;
    return sum;
}

static void pack_column(struct chunk_builder *b, struct column *col)
{
    struct buf *directory = &b->packed.directory;
    bool texts = is_text(col) || is_many(col);
    bool bloom = texts && col->type != REGISTRY_MAP && col->number >= OWN_COLUMNS && col->texts.n >= CHUNK_BLOOM_MIN;
    unsigned parts = 1 << PART_VALUES | (col->present < b->rows) << PART_PRESENT | texts << PART_TEXTS |
                     (col->type == REGISTRY_MAP) << PART_NAMES | bloom << PART_BLOOM;
    uint64_t elements = is_many(col) ? col->ids.n / sizeof(uint32_t) : payload_total(col);
    put_le(directory, col->number, 2);
    put_le(directory, col->type, 1);
    put_le(directory, parts, 1);
    put_le(directory, col->present, 4);
    put_le(directory, elements < UINT32_MAX ? elements : UINT32_MAX, 4);
    put_le(directory, col->texts.n, 4);
    put_le(directory, col->names.n, 4);
    put_number_bounds(directory, col);
    put_text_bounds(directory, &col->texts);
    if (parts & 1 << PART_PRESENT)
        pack_present(b, col);
    pack_values(b, col);
    if (texts)
        pack_texts(b, col, &col->texts, PART_TEXTS);
    if (col->type == REGISTRY_MAP)
        pack_texts(b, col, &col->names, PART_NAMES);
    if (bloom)
        pack_bloom(b, col);
}

static void column_reset(struct column *col)
{
    col->present = col->rows = 0;
    memset(col->bits, 0, sizeof(col->bits));
    buf_reset(&col->numbers);
    buf_reset(&col->ids);
    buf_reset(&col->name_ids);
    buf_reset(&col->ends);
    text_set_reset(&col->texts);
    text_set_reset(&col->names);
}

static void pack_columns(struct chunk_builder *b)
{
    struct packed_chunk *p = &b->packed;
    uint32_t columns = 0;
    for (uint32_t i = 0; i < b->column_n; i++)
        columns += b->columns[i] && b->columns[i]->present;
    put_le(&p->directory, 0, 8);
    put_le(&p->directory, b->rows, 4);
    put_le(&p->directory, columns, 4);
    put_le(&p->directory, (uint64_t)p->first_ns, 8);
    put_le(&p->directory, (uint64_t)p->last_ns, 8);
    put_le(&p->directory, b->payload_bytes, 8);
    for (uint32_t i = 0; i < b->column_n && !b->failed; i++) {
        struct column *col = b->columns[i];
        if (!col || !col->present)
            continue;
        b->failed |= col->rows < b->rows && !fill_gap(b, col, b->rows);
        if (!any_failed(b))
            pack_column(b, col);
        column_reset(col);
    }
}

static void begin_anew(struct chunk_builder *b)
{
    b->rows = 0;
    b->sorted = true;
    b->text_bytes = 0;
    b->payload_bytes = 0;
}

int chunk_builder_pack(struct chunk_builder *b, const struct packed_chunk **ret, struct error *err)
{
    struct packed_chunk *p = &b->packed;
    buf_reset(&p->directory);
    buf_reset(&p->data);
    buf_reset(&p->parts);
    if (b->page.n)
        end_page(b);
    if (any_failed(b) || !sort_rows(b))
        return error_nomem(err);
    p->rows = b->rows;
    p->first_ns = number_at(&b->columns[OWN_TIME]->numbers, b->order[0]);
    p->last_ns = number_at(&b->columns[OWN_TIME]->numbers, b->order[b->rows - 1]);
    pack_columns(b);
    if (b->failed || p->directory.failed || p->data.failed || p->parts.failed || p->data.n > UINT32_MAX)
        return error_nomem(err);
    uint64_t checksum = hash_bytes(p->directory.p + sizeof(checksum), p->directory.n - sizeof(checksum), CHUNK_SEED);
    memcpy(p->directory.p, &checksum, sizeof(checksum));
    begin_anew(b);
    *ret = p;
    return TD_OK;
}
