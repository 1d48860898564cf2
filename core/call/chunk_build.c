/* Noting calls for a chunk. */
#include "call/chunk_build.h"

#include <sys/random.h>

#include "base/mem.h"
#include "call/chunk_builder.h"
#include "call/registry_table.h"

enum {
    FULL_BYTES = 16 << 20,  /* of texts, which ends a chunk early */
    FULL_PAYLOAD = 64 << 20 /* of payload, before it is packed */
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
        if (source != CORE_DECLARED && source != CORE_UNKNOWN && source != CORE_ID)
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

/* The columns of the store's own that have a number in every row. */
static bool make_own_numbers(struct chunk_builder *b)
{
    for (uint32_t i = OWN_TIME; i < OWN_HALF + 2 * HALF_COLUMNS; i++) {
        if (own_column_type(i) != REGISTRY_INT || i == OWN_PAYLOAD)
            continue;
        struct build_column *col = builder_column(b, i);
        if (!col)
            return false;
        b->own_numbers[i] = col->numbers;
    }
    return true;
}

static bool make_components(struct chunk_builder *b)
{
    const struct chunk_plan *plan = b->plan;
    b->components = mem_calloc(plan->component_n, sizeof(*b->components));
    for (uint32_t i = 0; b->components && i < plan->component_n; i++) {
        const struct registry_component *declared = &plan->components[i];
        struct noted_component *c = &b->components[i];
        c->noted = mem_calloc(declared->n, sizeof(*c->noted));
        if (!c->noted)
            return false;
        for (uint32_t field = 0; field < declared->n; field++)
            if (!field_registry_at(plan->registry, declared->fields[field])->payload)
                c->values[field / 64] |= 1ull << (field % 64);
    }
    return b->components;
}

int chunk_builder_new(const struct chunk_plan *plan, struct chunk_builder **ret, struct error *err)
{
    struct chunk_builder *b = mem_calloc(1, sizeof(*b));
    if (!b)
        return error_nomem(err);
    b->plan = plan;
    b->sorted = true;
    b->last_ns = INT64_MIN;
    b->column_n = OWN_COLUMNS + plan->field_n;
    b->columns = mem_calloc(b->column_n, sizeof(struct build_column *));
    b->notes = mem_calloc(BLOCK_ROWS, sizeof(*b->notes));
    b->core = column_new(OWN_COLUMNS, REGISTRY_INT);
    bool made = b->columns && b->notes && b->core && make_own_numbers(b) && make_components(b);
    int status = made ? packer_init(&b->packer, err) : error_nomem(err);
    if (status == TD_OK && getrandom(&b->seed, sizeof(b->seed), GRND_NONBLOCK) != sizeof(b->seed))
        b->seed = (uintptr_t)b; /* the address space is random as well */
    if (status != TD_OK)
        chunk_builder_free(b);
    else
        *ret = b;
    return status;
}

void chunk_builder_free(struct chunk_builder *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; b->columns && i < b->column_n; i++)
        column_free(b->columns[i]);
    mem_free(b->columns);
    for (uint32_t i = 0; b->components && i < b->plan->component_n; i++)
        mem_free(b->components[i].noted);
    mem_free(b->components);
    mem_free(b->notes);
    column_free(b->core);
    buf_clear(&b->log);
    buf_clear(&b->page);
    buf_clear(&b->big);
    buf_clear(&b->elements);
    buf_clear(&b->places);
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

/* ---- Payload: straight into pages ---- */

static void put_number(struct chunk_builder *b, uint32_t number, int64_t value)
{
    struct build_column *col = builder_column(b, number);
    if (!col || !column_fill(b, col, b->rows))
        return;
    col->numbers[b->rows] = value;
    col->rows = b->rows + 1;
    column_mark(col, b->rows);
}

static void put_node(struct chunk_builder *b, const char *node)
{
    struct build_column *col = builder_column(b, OWN_NODE);
    bool lost = false;
    if (!col || !column_fill(b, col, b->rows))
        return;
    column_add_text(b, &col->texts, td_str(node), &col->ids[b->rows], &lost); /* few, and short: they fit */
    col->rows = b->rows + 1;
    column_mark(col, b->rows);
}

static void put_payload(struct chunk_builder *b, uint32_t field, const struct call_body *body)
{
    struct td_slice rest = buf_slice(&body->bytes);
    put_number(b, OWN_COLUMNS + field, (int64_t)((uint64_t)rest.n << 1 | body->cut));
    b->payload_bytes += rest.n;
    while (rest.n && !b->page.failed) {
        struct td_slice part = td_sub(rest, 0, CHUNK_PAGE - b->page.n);
        buf_put_slice(&b->page, part);
        if (b->page.n == CHUNK_PAGE)
            builder_end_page(b);
        rest = td_sub(rest, part.n, rest.n);
    }
}

static void put_bodies(struct chunk_builder *b, const struct td_call *c)
{
    const struct registry_component *component = &b->plan->components[c->component];
    int64_t at = (int64_t)b->payload_bytes;
    bool any = false;
    for (uint32_t word = 0; word < FIELD_MAX / 64; word++) {
        for (uint64_t bits = c->set[word]; bits; bits &= bits - 1) {
            uint32_t field = word * 64 + (uint32_t)__builtin_ctzll(bits);
            const struct call_body *body = call_get_body(c, field);
            if (body)
                put_payload(b, component->fields[field], body);
            any |= body != NULL;
        }
    }
    if (any)
        put_number(b, OWN_PAYLOAD, at);
}

static bool has_bodies(const struct td_call *c)
{
    for (int i = 0; i < CALL_BODIES; i++)
        if (c->bodies[i].used)
            return true;
    return false;
}

/* ---- Notes ---- */

static void set_own(struct chunk_builder *b, uint32_t column, int64_t value)
{
    b->own_numbers[column][b->rows] = value;
}

/* The list as it is, less its first number, which has a column. False: there is none. */
static bool note_frames(struct chunk_builder *b, struct noted_call *note, int dir, const struct call_frames *f, uint64_t *ret_first)
{
    size_t at = 0;
    *ret_first = 0;
    if (!call_next_frame(f, &at, ret_first))
        return false;
    size_t few = at < f->few_n ? f->few_n - at : 0;
    buf_put(&b->log, f->few + f->few_n - few, few);
    buf_put_slice(&b->log, td_sub(buf_slice(&f->more), at > f->few_n ? at - f->few_n : 0, f->more.n));
    note->frames_n[dir] = (uint32_t)(b->log.n - note->frames_at[dir]);
    return true;
}

static void note_half(struct chunk_builder *b, struct noted_call *note, const struct td_call *c, int dir, int64_t time,
                      uint64_t *request_frame)
{
    static const struct call_half nothing = {0};
    const struct call_half *h = c->half[dir].seen ? &c->half[dir] : &nothing;
    uint64_t frame = 0;
    note->frames_at[dir] = (uint32_t)b->log.n;
    note->frames_n[dir] = 0;
    bool has_frame = note_frames(b, note, dir, &h->frames, &frame);
    int64_t state = (h->seen ? HALF_SEEN : 0) | (h->cut ? HALF_CUT : 0) | (h->frames.cut ? HALF_FRAMES_CUT : 0) |
                    (h->frames.count ? HALF_HAS_FRAMES : 0) | (has_frame ? HALF_HAS_FRAME : 0);
    memcpy(note->ip[dir], c->flow->ip[dir], 16);
    set_own(b, own_half(dir, HALF_STATE), state);
    set_own(b, own_half(dir, HALF_PORT), c->flow->port[dir]);
    set_own(b, own_half(dir, HALF_FIRST), h->seen ? (int64_t)((uint64_t)h->first_ns - (uint64_t)time) : 0);
    set_own(b, own_half(dir, HALF_LAST), (int64_t)((uint64_t)h->last_ns - (uint64_t)h->first_ns));
    set_own(b, own_half(dir, HALF_BYTES), (int64_t)h->bytes);
    set_own(b, own_half(dir, HALF_MISSING), (int64_t)h->missing);
    set_own(b, own_half(dir, HALF_FRAME), has_frame ? (int64_t)(frame - *request_frame) : 0);
    if (dir == TD_CLIENT)
        *request_frame = frame;
}

static void note_values(struct chunk_builder *b, struct noted_call *note, const struct td_call *c)
{
    struct noted_component *component = &b->components[c->component];
    uint32_t at = note->values_at = (uint32_t)b->log.n, row = b->noted;
    buf_put_slice(&b->log, buf_slice(&c->values));
    b->failed |= b->log.failed;
    component->fields = c->fields;
    component->calls++;
    component->call_bits[row / 64] |= 1ull << (row % 64);
    for (uint32_t word = 0; word < FIELD_MAX / 64; word++) {
        for (uint64_t bits = c->set[word] & component->values[word]; bits; bits &= bits - 1) {
            uint32_t field = word * 64 + (uint32_t)__builtin_ctzll(bits);
            struct noted_field *noted = &component->noted[field];
            noted->rows[noted->n] = (uint16_t)row;
            noted->at[noted->n++] = at + c->first[field];
        }
    }
}

static void note_call(struct chunk_builder *b, struct noted_call *note, const struct td_call *c)
{
    int64_t time = call_time(c);
    uint64_t request_frame = 0;
    b->sorted &= b->last_ns <= time;
    b->last_ns = time;
    set_own(b, OWN_TIME, time);
    set_own(b, OWN_COMPONENT, c->component);
    set_own(b, OWN_TRANSPORT, c->flow->transport);
    set_own(b, OWN_IP_VERSION, c->flow->ip_version);
    set_own(b, OWN_FLOW_FLAGS, c->flow->flags);
    set_own(b, OWN_CALL_FLAGS, c->flags);
    set_own(b, OWN_CONN_ID, (int64_t)c->conn_id);
    note->ip_n = c->flow->ip_version == 4 ? 4 : 16;
    note->lost = c->incomplete_values;
    note_half(b, note, c, TD_CLIENT, time, &request_frame);
    note_half(b, note, c, TD_SERVER, time, &request_frame);
    note_values(b, note, c);
}

int chunk_builder_add(struct chunk_builder *b, const struct td_call *c, struct error *err)
{
    if (c->component >= b->plan->component_n || c->fields->n > b->plan->components[c->component].n)
        return error_set(err, TD_E_INTERNAL, "a call of component %u, which the call store was not told of", c->component);
    if (b->rows == 0) {
        buf_reset(&b->packed.pages);
        buf_reset(&b->packed.page_ends);
    }
    note_call(b, &b->notes[b->noted], c);
    if (b->plan->payloads && has_bodies(c))
        put_bodies(b, c);
    if (c->node)
        put_node(b, c->node);
    b->rows++;
    b->noted++;
    if (!b->failed && (b->noted == BLOCK_ROWS || b->log.n >= BLOCK_BYTES || b->rows == CHUNK_MAX_ROWS))
        builder_sort_notes(b);
    return b->failed || b->page.failed || b->packed.pages.failed || b->packed.page_ends.failed ? error_nomem(err) : TD_OK;
}
