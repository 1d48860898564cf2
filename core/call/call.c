#include "call/call.h"

enum {
    FRAMES_MAX = 256 << 10 /* bytes of one half's list of frames: more than 100,000 packets */
};

static bool is_numeric(uint32_t type)
{
    return type == TD_BOOL || type == TD_U64 || type == TD_I64 || type == TD_TIME_NS || type == TD_DUR_NS || type == TD_ENUM;
}

void call_reset(struct td_call *c, size_t keep)
{
    if (c->values.cap > keep)
        buf_clear(&c->values);
    buf_reset(&c->values);
    for (int i = 0; i < CALL_BODIES; i++) {
        if (c->bodies[i].bytes.cap > keep)
            buf_clear(&c->bodies[i].bytes);
        buf_reset(&c->bodies[i].bytes);
        c->bodies[i].used = c->bodies[i].cut = false;
    }
    for (int dir = 0; dir < 2; dir++) {
        struct buf more = c->half[dir].frames.more;
        if (more.cap > keep)
            buf_clear(&more);
        buf_reset(&more);
        c->half[dir] = (struct call_half){.frames.more = more};
    }
    memset(c->set, 0, sizeof(c->set));
    c->flags = 0;
    c->incomplete_values = false;
}

void call_clear(struct td_call *c)
{
    call_reset(c, 0);
    buf_clear(&c->values);
    for (int i = 0; i < CALL_BODIES; i++)
        buf_clear(&c->bodies[i].bytes);
    for (int dir = 0; dir < 2; dir++)
        buf_clear(&c->half[dir].frames.more);
}

/* ---- Setting ---- */

static void put_record(struct td_call *c, uint32_t field, const struct call_record *r, struct td_slice name, struct td_slice bytes)
{
    size_t at = c->values.n;
    if (at >= UINT32_MAX || !buf_reserve(&c->values, sizeof(*r) + name.n + bytes.n)) {
        c->values.failed = false; /* this value is lost, later ones may be smaller */
        c->incomplete_values = true;
        return;
    }
    uint8_t *to = c->values.p + at;
    memcpy(to, r, sizeof(*r));
    if (name.n)
        memcpy(to + sizeof(*r), name.p, name.n);
    if (bytes.n)
        memcpy(to + sizeof(*r) + name.n, bytes.p, bytes.n);
    c->values.n = at + sizeof(*r) + name.n + bytes.n;
    uint32_t here = (uint32_t)at;
    const struct field *f = &c->fields->fields[field];
    if (call_has(c, field) && (f->type == TD_MAP || (f->flags & TD_F_LIST)))
        memcpy(c->values.p + c->last[field] + offsetof(struct call_record, next), &here, sizeof(here));
    else
        c->first[field] = here; /* of several, the last counts */
    c->last[field] = here;
    c->set[field / 64] |= 1ull << (field % 64);
}

static void set_number(struct td_call *c, uint32_t field, uint64_t value)
{
    put_record(c, field, &(struct call_record){.number = value}, td_bytes(NULL, 0), td_bytes(NULL, 0));
}

bool call_set_u64(struct td_call *c, uint32_t field, uint64_t value)
{
    if (field >= c->fields->n)
        return false;
    uint32_t type = c->fields->fields[field].type;
    if (type != TD_U64 && type != TD_BOOL && type != TD_ENUM)
        return false;
    set_number(c, field, value);
    return true;
}

bool call_set_i64(struct td_call *c, uint32_t field, int64_t value)
{
    if (field >= c->fields->n)
        return false;
    uint32_t type = c->fields->fields[field].type;
    if (type != TD_I64 && type != TD_TIME_NS && type != TD_DUR_NS)
        return false;
    set_number(c, field, (uint64_t)value);
    return true;
}

struct call_body *call_make_body(struct td_call *c, uint32_t field)
{
    struct call_body *unused = NULL;
    if (field >= c->fields->n || !(c->fields->fields[field].flags & TD_F_BODY))
        return NULL;
    for (int i = 0; i < CALL_BODIES; i++) {
        if (c->bodies[i].used && c->bodies[i].field == field)
            return &c->bodies[i];
        if (!c->bodies[i].used && !unused)
            unused = &c->bodies[i];
    }
    if (unused) {
        unused->used = true;
        unused->field = field;
        c->set[field / 64] |= 1ull << (field % 64);
    }
    return unused;
}

bool call_append_bytes(struct td_call *c, uint32_t field, struct td_slice more)
{
    struct call_body *body = call_make_body(c, field);
    if (!body)
        return false;
    if (!body->cut)
        buf_put_slice(&body->bytes, more);
    body->cut |= body->bytes.failed;
    return true;
}

bool call_set_bytes(struct td_call *c, uint32_t field, struct td_slice value)
{
    if (field >= c->fields->n)
        return false;
    const struct field *f = &c->fields->fields[field];
    if (f->flags & TD_F_BODY) {
        struct call_body *body = call_make_body(c, field);
        if (!body)
            return false;
        buf_reset(&body->bytes);
        body->cut = false;
        return call_append_bytes(c, field, value);
    }
    if (is_numeric(f->type) || f->type == TD_MAP || (f->type == TD_IP && value.n != 4 && value.n != 16))
        return false;
    put_record(c, field, &(struct call_record){.number = value.n}, td_bytes(NULL, 0), value);
    return true;
}

bool call_set_pair(struct td_call *c, uint32_t field, struct td_slice name, struct td_slice value)
{
    if (field >= c->fields->n || c->fields->fields[field].type != TD_MAP || name.n > UINT32_MAX)
        return false;
    put_record(c, field, &(struct call_record){.name_n = (uint32_t)name.n, .number = value.n}, name, value);
    return true;
}

/* ---- Reading ---- */

bool call_next_value(const struct td_call *c, uint32_t field, uint32_t *at, struct call_value *ret)
{
    if (!call_has(c, field) || *at == UINT32_MAX || (c->fields->fields[field].flags & TD_F_BODY))
        return false;
    size_t here = *at ? *at : c->first[field];
    struct call_record r;
    memcpy(&r, c->values.p + here, sizeof(r));
    const uint8_t *p = c->values.p + here + sizeof(r);
    *at = r.next ? r.next : UINT32_MAX;
    *ret = (struct call_value){.number = r.number};
    if (!is_numeric(c->fields->fields[field].type)) {
        ret->name = td_bytes(p, r.name_n);
        ret->bytes = td_bytes(p + r.name_n, (size_t)r.number);
    }
    return true;
}

bool call_find_pair(const struct td_call *c, uint32_t field, struct td_slice name, struct td_slice *ret)
{
    struct call_record r;
    size_t here;
    if (!call_has(c, field))
        return false;
    here = c->first[field];
    do {
        const uint8_t *p = c->values.p + here + sizeof(r);
        memcpy(&r, c->values.p + here, sizeof(r));
        if (r.name_n == name.n && td_eq_nocase(td_bytes(p, name.n), name)) {
            *ret = td_bytes(p + name.n, (size_t)r.number);
            return true;
        }
        here = r.next;
    } while (here);
    return false;
}

const struct call_body *call_get_body(const struct td_call *c, uint32_t field)
{
    for (int i = 0; i < CALL_BODIES; i++)
        if (c->bodies[i].used && c->bodies[i].field == field)
            return &c->bodies[i];
    return NULL;
}

/* ---- Packets ---- */

void call_add_frame(struct call_frames *f, uint64_t frame)
{
    if (f->count && f->last == frame)
        return;
    int64_t delta = (int64_t)(frame - f->last);
    uint64_t code = ((uint64_t)delta << 1) ^ (uint64_t)(delta >> 63);
    uint8_t bytes[10];
    uint8_t n = 0;
    for (; code >= 0x80; code >>= 7)
        bytes[n++] = (uint8_t)(code | 0x80);
    bytes[n++] = (uint8_t)code;
    f->count++;
    if (f->cut)
        return;
    if (f->more.n == 0 && f->few_n + n <= (int)sizeof(f->few)) {
        memcpy(f->few + f->few_n, bytes, n);
        f->few_n = (uint8_t)(f->few_n + n);
    } else if (f->more.n + n <= FRAMES_MAX) {
        buf_put(&f->more, bytes, n);
        f->cut = f->more.failed;
    } else {
        f->cut = true;
    }
    if (!f->cut)
        f->last = frame;
}

bool call_next_frame(const struct call_frames *f, size_t *at, uint64_t *frame)
{
    uint64_t code = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        size_t i = (*at)++;
        if (i >= f->few_n + f->more.n)
            return false;
        uint8_t byte = i < f->few_n ? f->few[i] : f->more.p[i - f->few_n];
        code |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    *frame += (uint64_t)((int64_t)(code >> 1) ^ -(int64_t)(code & 1));
    return true;
}

void call_add_packet(struct call_half *h, uint64_t frame, int64_t time_ns, uint64_t bytes)
{
    if (!h->seen || time_ns < h->first_ns)
        h->first_ns = time_ns;
    if (!h->seen || time_ns > h->last_ns)
        h->last_ns = time_ns;
    h->seen = true;
    h->bytes += bytes;
    call_add_frame(&h->frames, frame);
}
