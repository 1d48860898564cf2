/* The dissection part of the table that plugins call into. */
#include "dissect/conn.h"

#include "base/mem.h"
#include "tapedeck/cursor.h"

enum {
    SCRATCH_MAX = 64 << 20, /* stated in plugin.h */
    VIOLATIONS_MAX = 3,     /* stated in plugin.h */
    CALL_POOL = 64,         /* calls kept for reuse by each worker */
    CALL_KEEP = 2048,       /* bytes that a buffer of such a call may hold */
};

static struct td_conn *conn_of(struct td_arena *arena)
{
    return (struct td_conn *)((uint8_t *)arena - offsetof(struct td_conn, arena));
}

static void *host_alloc(struct td_arena *arena, size_t n, size_t align)
{
    struct td_conn *c = conn_of(arena);
    size_t before = c->arena.used, limit = flow_limit(c->shard->flows), held = c->flow->memory;
    c->arena.max = held < limit ? before + (limit - held) : before;
    void *p = arena_alloc(&c->arena, n, align);
    if (!p || !flow_take(c->shard->flows, c->flow, c->arena.used - before)) {
        c->shard->worker->stats.over_limit++;
        return NULL;
    }
    return p;
}

static void *host_scratch(struct td_conn *c, size_t n)
{
    struct worker *w = c->shard->worker;
    if (n > SCRATCH_MAX)
        return NULL;
    if (n > w->scratch_n) {
        mem_free(w->scratch); /* its contents are undefined anyway */
        w->scratch = mem_alloc(n);
        w->scratch_n = w->scratch ? n : 0;
    }
    return w->scratch;
}

static bool host_wants(struct td_conn *c, uint32_t field)
{
    return call_kind_wants(c->kind, field);
}

static void host_confirm(struct td_conn *c)
{
    c->confirmed = true;
    if (c->within)
        child_confirm(c);
}

static void host_violation(struct td_conn *c, const char *why)
{
    stats_count_reason(&c->shard->worker->stats, c->owner->name, why);
    if (!c->confirmed && ++c->violations >= VIOLATIONS_MAX)
        c->lost = true;
}

/* ---- Calls ---- */

static struct td_call *host_call(struct td_conn *c)
{
    struct worker *w = c->shard->worker;
    struct td_call *call = w->call_pool;
    if (!flow_take(c->shard->flows, c->flow, sizeof(*call))) {
        w->stats.over_limit++;
        return NULL;
    }
    if (call) {
        w->call_pool = call->next;
        w->call_pool_n--;
    } else if (!(call = mem_calloc(1, sizeof(*call)))) {
        flow_give(c->shard->flows, c->flow, sizeof(*call));
        w->stats.no_memory++;
        return NULL;
    }
    call->conn = c;
    call->child = NULL;
    call_set_kind(call, &w->set->kinds[c->owner - w->set->v]);
    call->component = call->kind->index;
    call->protocol = call->kind->protocol;
    call->node = w->node;
    call->flow = &c->view;
    call->conn_id = c->flow->id;
    call->charged = sizeof(*call);
    call->next = NULL;
    call->link = c->calls_end;
    *c->calls_end = call;
    c->calls_end = &call->next;
    return call;
}

static void misuse(struct td_call *call)
{
    call->conn->shard->worker->stats.misuse++;
}

/* The call behind a handle, and the field's place in it. NULL: no call, or no such field of this layer's, or not its to set. */
static struct td_call *resolve(struct td_call *handle, uint32_t *field, bool setting)
{
    uintptr_t layer = (uintptr_t)handle & CONN_LAYER;
    if (!layer)
        return handle;
    struct td_call *call = (struct td_call *)((uintptr_t)handle - layer);
    const struct call_kind *k = child_kind(call, (uint32_t)layer + 1);
    if (!k || *field >= k->own_n || (setting && call_kind_lends(k, *field))) {
        misuse(call);
        return NULL;
    }
    *field = k->place[*field];
    return call;
}

/* A setter has nothing to do for a call that could not be made and for a field that nobody will look at. */
static bool is_idle(const struct td_call *call, uint32_t field)
{
    return !call || (field < FIELD_MAX && !(call->wanted[field / 64] >> (field % 64) & 1));
}

/* What a buffer with `n` bytes costs: as buf_grow() sizes it. Not its capacity, which depends on what the call was used for
 * before: results must not depend on that. */
static size_t buffer_cost(size_t n)
{
    if (n <= 64)
        return n ? 64 : 0;
    return (size_t)1 << (64 - __builtin_clzll(n - 1));
}

/* Takes what a buffer of the call's costs more if it grows from `n` to `to` bytes; false: over the connection's limit. */
static bool charge(struct td_call *call, size_t n, size_t to)
{
    size_t before = buffer_cost(n);
    if (to <= before)
        return true;
    size_t after = buffer_cost(to);
    struct shard *shard = call->conn->shard;
    if (!flow_take(shard->flows, call->conn->flow, after - before)) {
        shard->worker->stats.over_limit++;
        return false;
    }
    call->charged += after - before;
    return true;
}

/* Takes what one more value of `n` bytes costs. */
static bool charge_value(struct td_call *call, size_t n)
{
    if (charge(call, call->values.n, call->values.n + CALL_VALUE_HEADER + n))
        return true;
    call->incomplete_values = true;
    return false;
}

static void host_set_u64(struct td_call *handle, uint32_t field, uint64_t value)
{
    struct td_call *call = resolve(handle, &field, true);
    if (!is_idle(call, field) && charge_value(call, 0) && !call_set_u64(call, field, value))
        misuse(call);
}

static void host_set_i64(struct td_call *handle, uint32_t field, int64_t value)
{
    struct td_call *call = resolve(handle, &field, true);
    if (!is_idle(call, field) && charge_value(call, 0) && !call_set_i64(call, field, value))
        misuse(call);
}

/* The body for a field with TD_F_BODY, with `more` bytes paid for; else NULL, and it is known why. `anew`: instead of what it has. */
static struct call_body *pay_body(struct td_call *call, uint32_t field, size_t more, bool anew)
{
    struct call_body *body = call_make_body(call, field);
    if (!body) {
        misuse(call);
        return NULL;
    }
    if (body->cut && !anew)
        return NULL; /* no bytes behind a hole */
    if (charge(call, body->bytes.n, anew ? more : body->bytes.n + more)) {
        if (!anew)
            body_pool_reserve(&call->conn->shard->worker->bodies, &body->bytes, more);
        return body;
    }
    body->cut = true;
    return NULL;
}

static void host_set_bytes(struct td_call *handle, uint32_t field, struct td_slice value)
{
    struct td_call *call = resolve(handle, &field, true);
    if (is_idle(call, field))
        return;
    bool body = field < call->fields->n && (call->fields->fields[field].flags & TD_F_BODY);
    bool paid = body ? pay_body(call, field, value.n, true) != NULL : charge_value(call, value.n);
    if (paid && !call_set_bytes(call, field, value))
        misuse(call);
}

static void host_append_bytes(struct td_call *handle, uint32_t field, struct td_slice more)
{
    struct td_call *call = resolve(handle, &field, true);
    if (!is_idle(call, field) && pay_body(call, field, more.n, false))
        (void)call_append_bytes(call, field, more); /* pay_body() has checked the field */
}

static void host_set_pair(struct td_call *handle, uint32_t field, struct td_slice name, struct td_slice value)
{
    struct td_call *call = resolve(handle, &field, true);
    if (!is_idle(call, field) && charge_value(call, name.n + value.n) && !call_set_pair(call, field, name, value))
        misuse(call);
}

static struct td_slice host_peek(struct td_call *handle, uint32_t field)
{
    struct td_call *call = resolve(handle, &field, false);
    struct call_value value;
    uint32_t at = 0;
    const struct call_body *body = call ? call_get_body(call, field) : NULL;
    if (body)
        return buf_slice(&body->bytes);
    if (call && field < call->fields->n && call_next_value(call, field, &at, &value))
        return value.bytes;
    return td_bytes(NULL, 0);
}

/* The call that has this MAP, and the field's place in it; NULL: it has none. */
static struct td_call *resolve_map(struct td_call *handle, uint32_t *field)
{
    struct td_call *call = resolve(handle, field, false);
    bool has = call && *field < call->fields->n && call->fields->fields[*field].type == TD_MAP && call_has(call, *field);
    return has ? call : NULL;
}

static bool host_find_pair(struct td_call *handle, uint32_t field, struct td_slice name, struct td_slice *ret)
{
    struct td_call *call = resolve_map(handle, &field);
    return call && call_find_pair(call, field, name, ret);
}

static bool host_next_pair(struct td_call *handle, uint32_t field, uint32_t *at, struct td_slice *ret_name, struct td_slice *ret_value)
{
    struct td_call *call = resolve_map(handle, &field);
    struct call_value value;
    if (!call || !call_next_value(call, field, at, &value))
        return false;
    *ret_name = value.name;
    *ret_value = value.bytes;
    return true;
}

/* A layer that does not know yet whether it is one has nothing to say of the call. */
static void host_set_partial(struct td_call *handle)
{
    uintptr_t layer = (uintptr_t)handle & CONN_LAYER;
    struct td_call *call = (struct td_call *)((uintptr_t)handle - layer);
    if (call && call->conn->shard->worker->set->kinds[call->component].layers > layer)
        call->flags |= TD_PARTIAL;
}

/* ---- Marks ---- */

void call_set_kind(struct td_call *call, const struct call_kind *kind)
{
    call->kind = kind;
    call->fields = &kind->fields;
    call->wanted = kind->wanted;
}

void conn_add_packet(struct td_call *call, int dir, const struct flow_origin *origin, uint64_t bytes)
{
    struct call_half *half = &call->half[dir];
    size_t before = half->frames.more.n;
    bool known = half->frames.count && half->frames.last == origin->frame;
    for (uint32_t i = 0; !known && origin->datagram && i < origin->datagram->frame_count; i++)
        call_add_packet(half, origin->datagram->frames[i], origin->time_ns, 0);
    call_add_packet(half, origin->frame, origin->time_ns, bytes);
    if (!charge(call, before, half->frames.more.n))
        half->frames.cut = true; /* no further */
}

/* Remembers bytes that are still to come. */
static void promise(struct td_conn *c, struct td_call *call, int dir, uint64_t begin, uint64_t end)
{
    if (c->mark_n == c->mark_cap) {
        uint32_t cap = c->mark_cap ? c->mark_cap * 2 : 2;
        size_t more = (cap - c->mark_cap) * sizeof(*c->marks);
        struct conn_mark *marks = NULL;
        if (cap <= CONN_MARKS && flow_take(c->shard->flows, c->flow, more)) {
            marks = mem_realloc(c->marks, cap * sizeof(*marks));
            if (!marks)
                flow_give(c->shard->flows, c->flow, more);
        }
        if (!marks) {
            call->half[dir].cut = true; /* what comes of it will not be known */
            return;
        }
        c->marks = marks;
        c->mark_cap = cap;
    }
    c->marks[c->mark_n++] = (struct conn_mark){call, begin, end, (uint8_t)dir};
}

uint32_t conn_find_piece(const struct conn_stream *s, uint64_t offset)
{
    uint32_t low = s->piece_at, high = s->piece_n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->pieces[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A child's handle: neither its packets nor its end are the child's to tell. */
static bool is_layer(struct td_call *handle)
{
    uintptr_t layer = (uintptr_t)handle & CONN_LAYER;
    if (layer)
        misuse((struct td_call *)((uintptr_t)handle - layer));
    return layer != 0;
}

static void host_mark(struct td_call *call, int dir, uint64_t begin, uint64_t end)
{
    if (!call || begin >= end || is_layer(call))
        return;
    struct td_conn *c = call->conn;
    const struct conn_stream *s = &c->stream[conn_dir(c, dir)]; /* its own inverse */
    if (begin < s->next)
        begin = s->next;
    for (uint32_t i = conn_find_piece(s, begin); i < s->piece_n && begin < end; i++) {
        const struct conn_piece *piece = &s->pieces[i];
        uint64_t to = end < piece->end ? end : piece->end;
        struct flow_origin origin = {piece->frame, piece->time_ns, i + 1 == s->piece_n ? s->datagram : NULL};
        conn_add_packet(call, dir, &origin, to - begin);
        begin = to;
    }
    if (end > s->end)
        promise(c, call, dir, begin > s->end ? begin : s->end, end);
}

static void host_commit(struct td_call *call, uint32_t flags)
{
    if (call && !is_layer(call))
        conn_commit(call->conn, call, flags);
}

/* Takes a call out of its connection's list, gives back what it cost and makes it ready for use by others. */
static void release_call(struct td_conn *c, struct td_call *call)
{
    struct worker *w = c->shard->worker;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    else
        c->calls_end = call->link;
    flow_give(c->shard->flows, c->flow, call->charged);
    for (int i = 0; i < CALL_BODIES; i++)
        body_pool_take(&w->bodies, &call->bodies[i].bytes);
    if (w->call_pool_n < CALL_POOL) {
        call_reset(call, CALL_KEEP);
        call->next = w->call_pool;
        w->call_pool = call;
        w->call_pool_n++;
    } else {
        call_clear(call);
        mem_free(call);
    }
}

void conn_commit(struct td_conn *c, struct td_call *call, uint32_t flags)
{
    struct worker *w = c->shard->worker;
    if (call->child)
        child_close(call->child, TD_CLOSE_FIN);
    for (uint32_t i = 0; i < c->mark_n; i++) {
        if (c->marks[i].call != call)
            continue;
        if (c->marks[i].end != UINT64_MAX) /* promised bytes that did not come */
            call->half[c->marks[i].dir].cut = true;
        c->marks[i--] = c->marks[--c->mark_n];
    }
    call->half[TD_CLIENT].cut |= (flags & TD_REQUEST_CUT) && call->half[TD_CLIENT].seen;
    call->half[TD_SERVER].cut |= (flags & TD_RESPONSE_CUT) && call->half[TD_SERVER].seen;
    call->flags |= flags;
    uint32_t index = w->set->kinds[call->component].dissector;
    w->stats.calls[index]++;
    w->stats.incomplete[index] += !call_complete(call);
    w->on_call(w->on_call_ctx, call, &w->out);
    release_call(c, call);
}

void conn_discard_calls(struct td_conn *c)
{
    c->mark_n = 0;
    while (c->calls) {
        if (c->calls->child)
            child_close(c->calls->child, TD_CLOSE_LOST);
        release_call(c, c->calls);
    }
}

static int host_takeover(struct td_conn *c, const char *point, struct td_slice key)
{
    if (!c->feeding)
        return TD_E_INTERNAL; /* only data() says where the other protocol begins */
    if (c->within)
        return TD_E_UNSUPPORTED; /* its parent goes on */
    if (key.n >= sizeof(c->takeover_key))
        return TD_E_LIMIT;
    flow_give(c->shard->flows, c->flow, c->told.n); /* what this one was told itself */
    buf_reset(&c->told);
    c->takeover = true;
    c->takeover_point = point;
    if (key.n)
        memcpy(c->takeover_key, key.p, key.n);
    c->takeover_key[key.n] = 0;
    return TD_OK;
}

static int host_tell(struct td_conn *c, struct td_slice name, struct td_slice value)
{
    if (!c->feeding || !c->takeover)
        return TD_E_INTERNAL;
    size_t before = c->told.n;
    if (name.n > TD_TOLD_MAX || value.n > TD_TOLD_MAX || before + name.n + value.n + 4 > TD_TOLD_MAX)
        return TD_E_LIMIT;
    if (!flow_take(c->shard->flows, c->flow, name.n + value.n + 4))
        return TD_E_LIMIT;
    const uint8_t lengths[] = {(uint8_t)(name.n >> 8), (uint8_t)name.n, (uint8_t)(value.n >> 8), (uint8_t)value.n};
    buf_put_slice(&c->told, td_bytes(lengths, sizeof(lengths)));
    buf_put_slice(&c->told, name);
    buf_put_slice(&c->told, value);
    if (!c->told.failed)
        return TD_OK;
    flow_give(c->shard->flows, c->flow, name.n + value.n + 4);
    c->told.n = before;
    c->told.failed = false;
    return TD_E_NOMEM;
}

static bool host_told(struct td_conn *c, struct td_slice name, struct td_slice *ret)
{
    struct td_cursor in = td_cursor(buf_slice(&c->told));
    while (!c->takeover && td_left(&in)) {
        size_t name_n = td_be16(&in), value_n = td_be16(&in);
        struct td_slice one = td_take(&in, name_n), value = td_take(&in, value_n);
        if (in.failed || !td_eq_nocase(one, name))
            continue;
        *ret = value;
        return true;
    }
    return false;
}

const struct td_host dissect_host_template = {
    .size = sizeof(struct td_host),
    .abi_minor = TD_ABI_MINOR,
    .alloc = host_alloc,
    .scratch = host_scratch,
    .wants = host_wants,
    .confirm = host_confirm,
    .violation = host_violation,
    .call = host_call,
    .set_u64 = host_set_u64,
    .set_i64 = host_set_i64,
    .set_bytes = host_set_bytes,
    .append_bytes = host_append_bytes,
    .set_pair = host_set_pair,
    .peek = host_peek,
    .mark = host_mark,
    .commit = host_commit,
    .takeover = host_takeover,
    .sub_open = child_open,
    .sub_data = child_data,
    .sub_gap = child_gap,
    .sub_eof = child_eof,
    .sub_close = child_close,
    .layer = child_layer,
    .find_pair = host_find_pair,
    .next_pair = host_next_pair,
    .set_partial = host_set_partial,
    .tell = host_tell,
    .told = host_told,
};
