/* One call out of a store, as the dissector made it. */
#include <stdlib.h>

#include "base/units.h"
#include "call/store_reader.h"

/* A row of a chunk whose columns are being read. */
struct row {
    struct store *store;
    struct chunk *chunk;
    uint32_t number;
    struct error *err;
    int status; /* of the first failure; later reads do nothing */
};

static int damaged(struct row *r, const char *what)
{
    if (r->status == TD_OK)
        r->status = error_set(r->err, TD_E_CORRUPT, "%s: chunk %llu, row %u: %s", r->store->path, (unsigned long long)r->chunk->number,
                              r->number, what);
    return r->status;
}

/* The column, if the row has it. */
static const struct chunk_column *column_of(struct row *r, uint32_t column, unsigned parts)
{
    const struct chunk_column *ret;
    const struct chunk_entry *e = r->chunk->entries[column];
    if (r->status != TD_OK || !e || !e->parts)
        return NULL;
    r->status = chunk_read_column(r->chunk, column, parts | CHUNK_PRESENT, &ret, r->err);
    if (r->status != TD_OK)
        return NULL;
    bool has = !ret->present || ret->present[r->number / 64] >> (r->number % 64) & 1;
    return has ? ret : NULL;
}

static bool get_number(struct row *r, uint32_t column, int64_t *ret)
{
    const struct chunk_column *c = column_of(r, column, CHUNK_VALUES);
    *ret = c ? chunk_number(&c->numbers, r->number) : 0;
    return c != NULL;
}

static int64_t number_of(struct row *r, uint32_t column)
{
    int64_t v;
    get_number(r, column, &v);
    return v;
}

static struct td_slice text_of(struct row *r, uint32_t column)
{
    const struct chunk_column *c = column_of(r, column, CHUNK_VALUES | CHUNK_DICTIONARY);
    return c ? chunk_text(&c->texts, (uint32_t)chunk_lane(&c->ids, r->number)) : td_bytes(NULL, 0);
}

/* ---- Fields ---- */

/* An element of a list that is not of texts. */
static void set_element(struct td_call *c, uint32_t field, uint32_t type, struct td_slice text)
{
    char digits[32] = {0};
    int64_t time;
    memcpy(digits, text.p, text.n < sizeof(digits) - 1 ? text.n : sizeof(digits) - 1);
    switch (type) {
    case TD_BOOL: call_set_u64(c, field, digits[0] == 't'); break;
    case TD_U64: call_set_u64(c, field, strtoull(digits, NULL, 10)); break;
    case TD_I64:
    case TD_DUR_NS: call_set_i64(c, field, strtoll(digits, NULL, 10)); break;
    case TD_TIME_NS:
        if (units_parse_time(digits, 0, &time))
            call_set_i64(c, field, time);
        break;
    default: call_set_bytes(c, field, text); break;
    }
}

static void set_elements(struct row *r, struct td_call *c, uint32_t field, uint32_t type, uint32_t column)
{
    unsigned parts = CHUNK_VALUES | CHUNK_DICTIONARY | (type == TD_MAP ? CHUNK_NAMES : 0);
    const struct chunk_column *col = column_of(r, column, parts);
    if (!col)
        return;
    for (uint32_t i = col->offsets[r->number]; i < col->offsets[r->number + 1]; i++) {
        struct td_slice text = chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, i));
        if (type == TD_MAP)
            call_set_pair(c, field, chunk_text(&col->names, (uint32_t)chunk_lane(&col->name_ids, i)), text);
        else
            set_element(c, field, type, text);
    }
}

static void set_field(struct row *r, struct td_call *c, uint32_t field, const struct field *f, uint32_t column)
{
    int64_t number;
    if (f->type == TD_MAP || f->flags & TD_F_LIST) {
        set_elements(r, c, field, f->type, column);
    } else if (f->type == TD_STRING || f->type == TD_BYTES) {
        if (column_of(r, column, CHUNK_VALUES))
            call_set_bytes(c, field, text_of(r, column));
    } else if (get_number(r, column, &number)) {
        if (f->type == TD_U64 || f->type == TD_BOOL)
            call_set_u64(c, field, (uint64_t)number);
        else
            call_set_i64(c, field, number);
    }
}

/* Numbers that are too big for columns stand apart. */
static void set_big(struct row *r, struct td_call *c)
{
    struct td_cursor in = td_cursor(text_of(r, OWN_BIG));
    while (td_left(&in)) {
        uint8_t field = td_u8(&in);
        uint64_t number = td_le64(&in);
        if (in.failed || !call_set_u64(c, field, number)) {
            damaged(r, "its big numbers are of no field");
            return;
        }
    }
}

/* ---- Payload ---- */

static int read_page(struct row *r, uint32_t page, size_t bytes, struct td_slice *ret)
{
    struct store *s = r->store;
    if (s->page_chunk == r->chunk->number && s->page_number == page && s->page_bytes.n == bytes) {
        *ret = buf_slice(&s->page_bytes);
        return TD_OK;
    }
    buf_reset(&s->page_raw);
    buf_reset(&s->page_bytes);
    int status = store_read_blob(s, &s->page, "page", page_key(r->chunk->number, page), 0, 2 * CHUNK_PAGE, &s->page_raw, r->err);
    if (status != TD_OK) {
        error_prefix(r->err, "%s: chunk %llu, payload: ", s->path, (unsigned long long)r->chunk->number);
        return status;
    }
    struct td_cursor in = td_cursor(buf_slice(&s->page_raw));
    uint64_t checksum = td_le64(&in);
    if (in.failed || hash_bytes(in.p, td_left(&in), CHUNK_SEED) != checksum)
        return damaged(r, "a page of its payload is damaged, its checksum is another");
    if (!buf_reserve(&s->page_bytes, bytes))
        return error_nomem(r->err);
    status = unpack_bytes(&s->unpacker, &in, bytes, s->page_bytes.p);
    if (status != TD_OK)
        return damaged(r, "a page of its payload cannot be unpacked");
    s->page_bytes.n = bytes;
    s->page_chunk = r->chunk->number;
    s->page_number = page;
    *ret = buf_slice(&s->page_bytes);
    return TD_OK;
}

static void set_body(struct row *r, struct td_call *c, uint32_t field, bool cut, uint64_t at, uint64_t n)
{
    struct call_body *body = call_make_body(c, field);
    uint64_t total = r->chunk->payload_bytes;
    if (!body || n > STORE_MAX_BODY || at > total || n > total - at || total > (uint64_t)CHUNK_PAGE * CHUNK_MAX_PAGES) {
        damaged(r, "its payload lies nowhere");
        return;
    }
    while (n && r->status == TD_OK) {
        uint64_t page = at / CHUNK_PAGE, begin = page * CHUNK_PAGE;
        struct td_slice bytes = {0};
        r->status = read_page(r, (uint32_t)page, total - begin < CHUNK_PAGE ? (size_t)(total - begin) : CHUNK_PAGE, &bytes);
        if (r->status != TD_OK)
            return;
        struct td_slice part = td_sub(bytes, (size_t)(at - begin), n < CHUNK_PAGE ? (size_t)(at - begin + n) : bytes.n);
        buf_put_slice(&body->bytes, part);
        at += part.n;
        n -= part.n;
    }
    if (r->status == TD_OK && body->bytes.failed)
        r->status = error_nomem(r->err);
    body->cut = cut;
}

static void set_payload(struct row *r, struct td_call *c, const struct store_component *component)
{
    int64_t number;
    uint64_t at = (uint64_t)number_of(r, OWN_PAYLOAD);
    for (uint32_t i = 0; i < component->fields.n && r->status == TD_OK; i++) {
        if (!(component->fields.fields[i].flags & TD_F_BODY) || !get_number(r, OWN_COLUMNS + component->declared->fields[i], &number))
            continue;
        uint64_t n = (uint64_t)number >> 1;
        set_body(r, c, i, number & 1, at, n);
        at += n;
    }
}

/* ---- Halves and packets ---- */

static void set_frames(struct row *r, struct call_frames *f, int dir, uint64_t *request_frame)
{
    uint64_t frame = (uint64_t)number_of(r, own_half(dir, HALF_FRAME)) + *request_frame;
    if (dir == TD_CLIENT)
        *request_frame = frame;
    call_add_frame(f, frame);
    struct td_slice rest = text_of(r, own_half(dir, HALF_FRAMES));
    struct call_frames more = {.more = {.p = (uint8_t *)(uintptr_t)rest.p, .n = rest.n}}; /* only to be read */
    for (size_t at = 0; call_next_frame(&more, &at, &frame);)
        call_add_frame(f, frame);
}

static void set_half(struct row *r, struct td_call *c, int dir, int64_t time, uint64_t *request_frame)
{
    struct call_half *h = &c->half[dir];
    int64_t state = number_of(r, own_half(dir, HALF_STATE));
    if (!(state & HALF_SEEN))
        return;
    h->seen = true;
    h->cut = state & HALF_CUT;
    h->first_ns = (int64_t)((uint64_t)time + (uint64_t)number_of(r, own_half(dir, HALF_FIRST)));
    h->last_ns = (int64_t)((uint64_t)h->first_ns + (uint64_t)number_of(r, own_half(dir, HALF_LAST)));
    h->bytes = (uint64_t)number_of(r, own_half(dir, HALF_BYTES));
    h->missing = (uint64_t)number_of(r, own_half(dir, HALF_MISSING));
    if (state & HALF_HAS_FRAME)
        set_frames(r, &h->frames, dir, request_frame);
    h->frames.cut = state & HALF_FRAMES_CUT;
}

static void set_end(struct row *r, struct td_flow *flow, int dir)
{
    struct td_slice ip = text_of(r, own_half(dir, HALF_IP));
    flow->port[dir] = (uint16_t)number_of(r, own_half(dir, HALF_PORT));
    if (r->status == TD_OK && ip.n != (flow->ip_version == 4 ? 4u : 16u))
        damaged(r, "an address of another length");
    else if (r->status == TD_OK)
        memcpy(flow->ip[dir], ip.p, ip.n);
}

/* ---- The call ---- */

static void set_node(struct row *r, struct store_call *ret)
{
    struct td_slice node = text_of(r, OWN_NODE);
    size_t n = node.n < sizeof(ret->node) ? node.n : sizeof(ret->node) - 1;
    ret->call.node = NULL;
    if (!node.p || r->status != TD_OK || !column_of(r, OWN_NODE, CHUNK_VALUES))
        return;
    memcpy(ret->node, node.p, n);
    ret->node[n] = 0;
    ret->call.node = ret->node;
}

static void set_own(struct row *r, struct store_call *ret)
{
    struct td_call *c = &ret->call;
    struct td_flow *flow = &ret->flow;
    int64_t time = number_of(r, OWN_TIME);
    uint64_t request_frame = 0;
    *flow = (struct td_flow){.size = sizeof(*flow),
                             .flags = (uint32_t)number_of(r, OWN_FLOW_FLAGS),
                             .transport = (uint8_t)number_of(r, OWN_TRANSPORT),
                             .ip_version = (uint8_t)number_of(r, OWN_IP_VERSION)};
    c->conn_id = (uint64_t)number_of(r, OWN_CONN_ID);
    set_node(r, ret);
    for (int dir = 0; dir < 2; dir++) {
        set_end(r, flow, dir);
        set_half(r, c, dir, time, &request_frame);
    }
}

static void read_row(struct row *r, bool payload, struct store_call *ret)
{
    struct td_call *c = &ret->call;
    int64_t number = number_of(r, OWN_COMPONENT);
    if (r->status != TD_OK)
        return;
    if (number < 0 || number >= r->store->layout.n) {
        damaged(r, "of a dissector that is not in the store's list");
        return;
    }
    const struct store_component *component = &r->store->layout.components[number];
    c->component = (uint32_t)number;
    c->fields = &component->fields;
    c->protocol = component->declared->protocol;
    c->flow = &ret->flow;
    set_own(r, ret);
    for (uint32_t i = 0; i < component->fields.n && r->status == TD_OK; i++) {
        const struct field *f = &component->fields.fields[i];
        if (!(f->flags & TD_F_BODY))
            set_field(r, c, i, f, OWN_COLUMNS + component->declared->fields[i]);
    }
    set_big(r, c);
    if (payload)
        set_payload(r, c, component);
    if (r->status == TD_OK && (c->incomplete_values || c->half[0].frames.more.failed || c->half[1].frames.more.failed))
        r->status = error_nomem(r->err);
    int64_t flags = number_of(r, OWN_CALL_FLAGS);
    c->flags = (uint32_t)flags & ~(uint32_t)OWN_VALUES_LOST;
    c->incomplete_values = flags & OWN_VALUES_LOST;
}

int store_read_call(struct store *s, uint64_t id, bool payload, struct store_call *ret, struct error *err)
{
    struct row r = {.store = s, .err = err};
    int status = store_locate(s, id, &r.chunk, &r.number, err);
    if (status != TD_OK)
        return status;
    call_reset(&ret->call, 1 << 20);
    ret->call.id = id;
    read_row(&r, payload, ret);
    store_release(s, r.chunk);
    return r.status;
}

void store_call_clear(struct store_call *c)
{
    call_clear(&c->call);
}
