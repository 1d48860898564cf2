#include "mock_host.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/units.h"

enum { MAX_RANGES = 64, LONG_VALUE = 300 };

struct range {
    uint64_t begin, end;
};

/* A call that is being filled. */
struct mock_call {
    struct mock_call *next;
    struct mock *mock;
    struct buf *values; /* for each field: raw bytes, or text to print */
    bool *set;
    struct range ranges[2][MAX_RANGES];
    unsigned n_ranges[2];
};

static void breach(struct mock *m, const char *what)
{
    m->faults++;
    if (!m->fault)
        m->fault = what;
}

/* The core's own types have no members that a plugin could see, so any pointer will do for them. */
static struct mock *mock_of(const void *handle)
{
    return (struct mock *)(uintptr_t)handle;
}

static const struct td_field *field_at(const struct mock *m, uint32_t i)
{
    return i < m->ops->fields.n ? (const struct td_field *)m->ops->fields.v + i : NULL;
}

/* ---- What the host offers ------------------------------------------------------------------------------------- */

static int host_fail(struct td_inst *inst, int status, const char *fmt, ...)
{
    (void)inst;
    (void)fmt;
    return status;
}

static void host_log(struct td_inst *inst, int level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
    breach(mock_of(inst), "log() about traffic");
}

static bool host_cancelled(struct td_inst *inst)
{
    (void)inst;
    return false;
}

static const void *host_iface(struct td_inst *inst, const char *id)
{
    (void)inst;
    (void)id;
    return NULL;
}

static bool budget_left(struct mock *m)
{
    return m->fail_alloc_at == 0 || --m->fail_alloc_at > 0;
}

static void *host_alloc(struct td_arena *arena, size_t n, size_t align)
{
    struct mock *m = mock_of(arena);
    void *p;
    if (align == 0 || align > 16 || align & (align - 1))
        breach(m, "alloc() with a wrong alignment");
    if (!budget_left(m)) {
        m->fail_alloc_at = 1; /* used up stays used up */
        return NULL;
    }
    p = calloc(1, n ? n : 1);
    m->memory = (void **)realloc(m->memory, (m->n_memory + 1) * sizeof(void *));
    if (!p || !m->memory)
        abort();
    m->memory[m->n_memory++] = p;
    return p;
}

static void *host_scratch(struct td_conn *conn, size_t n)
{
    struct mock *m = mock_of(conn);
    free(m->scratch);
    m->scratch = n > 64u << 20 ? NULL : malloc(n ? n : 1);
    return m->scratch;
}

static bool host_wants(struct td_conn *conn, uint32_t i)
{
    struct mock *m = mock_of(conn);
    const struct td_field *f = field_at(m, i);
    size_t n = f ? strlen(f->name) : 0;
    if (!f)
        return false;
    if (m->options & MOCK_FEW_FIELDS)
        return (f->flags & (TD_F_METHOD | TD_F_TARGET | TD_F_STATUS)) != 0;
    if (m->options & MOCK_NO_BODIES && f->flags & TD_F_BODY)
        return false;
    return !(m->options & MOCK_NO_SIZES && n > 10 && strcmp(f->name + n - 10, "_body_size") == 0);
}

static void host_confirm(struct td_conn *conn)
{
    struct mock *m = mock_of(conn);
    if (m->confirmed)
        breach(m, "confirm() twice");
    m->confirmed = true;
}

static void host_violation(struct td_conn *conn, const char *why)
{
    struct mock *m = mock_of(conn);
    m->violations++;
    if (!why)
        breach(m, "violation() without a reason");
    else if (m->options & MOCK_VIOLATIONS)
        buf_printf(&m->out, "violation: %s\n", why);
}

static struct td_call *host_call(struct td_conn *conn)
{
    struct mock *m = mock_of(conn);
    struct mock_call *call;
    if (!budget_left(m)) {
        m->fail_alloc_at = 1;
        return NULL;
    }
    call = (struct mock_call *)calloc(1, sizeof(*call));
    if (!call)
        abort();
    call->mock = m;
    call->values = (struct buf *)calloc(m->ops->fields.n, sizeof(struct buf));
    call->set = (bool *)calloc(m->ops->fields.n, sizeof(bool));
    if (!call->values || !call->set)
        abort();
    call->next = m->calls;
    m->calls = call;
    return (struct td_call *)(void *)call;
}

static struct mock_call *call_of(struct td_call *call)
{
    return (struct mock_call *)(void *)call;
}

/* The value to be set, or NULL when the call is NULL or the dissector is wrong. */
static struct buf *value_of(struct td_call *handle, uint32_t i, unsigned types)
{
    struct mock_call *call = call_of(handle);
    const struct td_field *f;
    if (!call)
        return NULL;
    f = field_at(call->mock, i);
    if (!f || !(types >> f->type & 1)) {
        breach(call->mock, "a setter that does not fit the field");
        return NULL;
    }
    /* A list's or a map's values stand side by side; anything else is replaced. */
    if (call->set[i] && (f->flags & TD_F_LIST || f->type == TD_MAP))
        buf_lit(&call->values[i], ", ");
    else if (f->type != TD_BYTES && f->type != TD_STRING)
        buf_reset(&call->values[i]);
    call->set[i] = true;
    return &call->values[i];
}

static void host_set_u64(struct td_call *call, uint32_t i, uint64_t value)
{
    struct buf *b = value_of(call, i, 1u << TD_U64 | 1u << TD_BOOL | 1u << TD_ENUM);
    if (b)
        buf_u64(b, value);
}

static void host_set_i64(struct td_call *call, uint32_t i, int64_t value)
{
    struct buf *b = value_of(call, i, 1u << TD_I64 | 1u << TD_TIME_NS | 1u << TD_DUR_NS);
    if (b)
        buf_i64(b, value);
}

static void host_append_bytes(struct td_call *call, uint32_t i, struct td_slice more)
{
    struct buf *b = value_of(call, i, 1u << TD_STRING | 1u << TD_BYTES);
    if (b)
        buf_put_slice(b, more);
}

static void host_set_bytes(struct td_call *handle, uint32_t i, struct td_slice value)
{
    struct buf *b = value_of(handle, i, 1u << TD_STRING | 1u << TD_BYTES | 1u << TD_IP);
    struct mock_call *call = call_of(handle);
    if (!b)
        return;
    if (!(field_at(call->mock, i)->flags & TD_F_LIST))
        buf_reset(b);
    buf_put_slice(b, value);
}

static void host_set_pair(struct td_call *call, uint32_t i, struct td_slice name, struct td_slice value)
{
    struct buf *b = value_of(call, i, 1u << TD_MAP);
    if (!b)
        return;
    buf_put_slice(b, name);
    buf_putc(b, '=');
    buf_put_slice(b, value);
}

static struct td_slice host_peek(struct td_call *handle, uint32_t i)
{
    struct mock_call *call = call_of(handle);
    return call && field_at(call->mock, i) ? buf_slice(&call->values[i]) : td_bytes(NULL, 0);
}

static void host_mark(struct td_call *handle, int dir, uint64_t begin, uint64_t end)
{
    struct mock_call *call = call_of(handle);
    struct range *r;
    if (!call)
        return;
    if (begin > end || dir < 0 || dir > 1 || (dir == call->mock->dir_at_hand && begin < call->mock->chunk_offset[dir]))
        breach(call->mock, "mark() outside of what it may mark");
    if (begin >= end || dir < 0 || dir > 1)
        return;
    if (call->n_ranges[dir] && call->ranges[dir][call->n_ranges[dir] - 1].end >= begin) {
        r = &call->ranges[dir][call->n_ranges[dir] - 1];
        if (r->end > begin)
            breach(call->mock, "mark() twice for the same bytes");
        r->end = end > r->end ? end : r->end;
    } else if (call->n_ranges[dir] < MAX_RANGES) {
        r = &call->ranges[dir][call->n_ranges[dir]++];
        r->begin = begin;
        r->end = end;
    } else {
        breach(call->mock, "mark() in too many pieces");
    }
}

/* ---- The transcript ------------------------------------------------------------------------------------------- */

static void put_escaped(struct mock *m, struct td_slice s)
{
    struct buf *b = &m->out;
    size_t i;
    if (s.n > LONG_VALUE && !(m->options & MOCK_LONG_VALUES)) {
        uint64_t hash = s.n;
        for (i = 0; i < s.n; i++)
            hash = hash_mix(hash ^ s.p[i], UINT64_C(0x9e3779b97f4a7c15));
        buf_printf(b, "%zu bytes, hash %016" PRIx64, s.n, hash);
        return;
    }
    for (i = 0; i < s.n; i++) {
        if (s.p[i] >= ' ' && s.p[i] < 0x7f && s.p[i] != '\\')
            buf_putc(b, (char)s.p[i]);
        else
            buf_printf(b, "\\x%02x", s.p[i]);
    }
}

static void put_call(struct mock *m, const struct mock_call *call, uint32_t flags)
{
    static const char *const names[] = {"request", "response"};
    uint32_t i;
    unsigned r;
    int dir;
    buf_lit(&m->out, "call\n");
    for (i = 0; i < m->ops->fields.n; i++) {
        if (!call->set[i])
            continue;
        buf_printf(&m->out, "  %s: ", field_at(m, i)->name);
        put_escaped(m, buf_slice(&call->values[i]));
        buf_putc(&m->out, '\n');
    }
    for (dir = 0; dir < 2; dir++) {
        uint64_t seen = m->side[dir].offset + m->side[dir].unused.n;
        for (r = 0; r < call->n_ranges[dir]; r++) {
            uint64_t end = call->ranges[dir][r].end;
            buf_printf(&m->out, "%s%" PRIu64 "-%" PRIu64,
                       r     ? ","
                       : dir ? "  response: "
                             : "  request: ",
                       call->ranges[dir][r].begin, end < seen ? end : seen);
        }
        if (r)
            buf_putc(&m->out, '\n');
    }
    for (dir = 0; dir < 2; dir++)
        if (flags & (dir ? TD_RESPONSE_CUT : TD_REQUEST_CUT))
            buf_printf(&m->out, "  flags: %s-cut\n", names[dir]);
    if (flags & TD_PARTIAL)
        buf_lit(&m->out, "  flags: partial\n");
    if (flags & TD_ONE_WAY)
        buf_lit(&m->out, "  flags: one-way\n");
}

static void free_call(struct mock_call *call)
{
    uint32_t i;
    for (i = 0; i < call->mock->ops->fields.n; i++)
        buf_clear(&call->values[i]);
    free(call->values);
    free(call->set);
    free(call);
}

static void host_commit(struct td_call *handle, uint32_t flags)
{
    struct mock_call *call = call_of(handle), **link;
    struct mock *m;
    if (!call)
        return;
    m = call->mock;
    for (link = &m->calls; *link != call; link = &(*link)->next)
        ;
    *link = call->next;
    m->committed++;
    if (!(m->options & MOCK_QUIET))
        put_call(m, call, flags);
    free_call(call);
}

static int host_takeover(struct td_conn *conn, const char *point, struct td_slice key)
{
    struct mock *m = mock_of(conn);
    if (!m->claimed)
        breach(m, "takeover() after the end");
    m->claimed = false;
    if (!(m->options & MOCK_QUIET)) {
        buf_printf(&m->out, "takeover: %s ", point ? point : "-");
        put_escaped(m, key);
        buf_putc(&m->out, '\n');
    }
    return TD_OK;
}

static int host_tell(struct td_conn *conn, struct td_slice name, struct td_slice value)
{
    struct mock *m = mock_of(conn);
    if (m->claimed)
        breach(m, "tell() before takeover()");
    if (!(m->options & MOCK_QUIET)) {
        buf_lit(&m->out, "  ");
        put_escaped(m, name);
        buf_lit(&m->out, ": ");
        put_escaped(m, value);
        buf_putc(&m->out, '\n');
    }
    return TD_OK;
}

static bool host_told(struct td_conn *conn, struct td_slice name, struct td_slice *ret)
{
    const char *const *at = mock_of(conn)->told;
    for (; at && at[0]; at += 2)
        if (td_eq_nocase(td_str(at[0]), name)) {
            *ret = td_str(at[1]);
            return true;
        }
    return false;
}

/* Nobody is a child here. */
static struct td_call *host_layer(struct td_conn *conn)
{
    (void)conn;
    return NULL;
}

/* Nobody claims a point here: what children see is tested with the real engine. */
static struct td_conn *host_sub_open(struct td_conn *conn, struct td_call *call, const char *point, struct td_slice key)
{
    struct mock *m = mock_of(conn);
    if (!point || !key.n)
        breach(m, "sub_open() without a point or a key");
    if (call && call_of(call)->mock != m)
        breach(m, "sub_open() on another's call");
    return NULL;
}

/* ---- Feeding ---------------------------------------------------------------------------------------------------- */

static void end_claim(struct mock *m, int why)
{
    m->claimed = false;
    if (m->opened) {
        m->opened = false;
        m->dir_at_hand = -1;
        m->ops->close(m->state, (struct td_conn *)(void *)m, why);
    }
    while (m->calls)
        host_commit((struct td_call *)(void *)m->calls, TD_REQUEST_CUT | TD_RESPONSE_CUT);
}

static void lose_claim(struct mock *m)
{
    if (!(m->options & MOCK_QUIET))
        buf_lit(&m->out, "claim lost\n");
    end_claim(m, TD_CLOSE_LOST);
}

static void drop_used(struct mock_side *s, size_t used)
{
    size_t n = used < s->unused.n ? used : s->unused.n;
    if (n < s->unused.n)
        memmove(s->unused.p, s->unused.p + n, s->unused.n - n);
    s->unused.n -= n;
    s->offset += n;
    s->skip = used - n;
}

/* One data(); returns whether it got further. */
static bool present(struct mock *m, int dir, uint32_t flags)
{
    struct mock_side *s = &m->side[dir];
    size_t n = s->unused.n;
    uint8_t *copy = (uint8_t *)malloc(n ? n : 1);
    struct td_chunk chunk = {td_bytes(copy, n), s->offset, m->now_ns, flags};
    struct td_step step;
    if (!copy)
        abort();
    if (n)
        memcpy(copy, s->unused.p, n);
    m->dir_at_hand = dir;
    m->chunk_offset[dir] = s->offset;
    step = m->ops->data(m->state, (struct td_conn *)(void *)m, dir, &chunk);
    free(copy);
    if (step.status == TD_OK)
        drop_used(s, step.used);
    if (step.status != TD_OK)
        lose_claim(m);
    else if (!m->claimed)
        end_claim(m, TD_CLOSE_TAKEOVER);
    else if (m->violations >= 3 && !m->confirmed)
        lose_claim(m);
    return m->claimed && step.used > 0;
}

/* Presents what is there in `dir`, then in turn what the other side could not use before. */
static void present_both(struct mock *m, int dir)
{
    bool moved = present(m, dir, 0);
    while (moved && m->claimed) {
        dir = !dir;
        moved = m->side[dir].unused.n && !m->side[dir].ended && present(m, dir, 0);
    }
}

void mock_feed(struct mock *m, int dir, struct td_slice bytes)
{
    struct mock_side *s = &m->side[dir];
    size_t skipped = s->skip < bytes.n ? (size_t)s->skip : bytes.n;
    if (!m->claimed || s->ended)
        return;
    s->skip -= skipped;
    s->offset += skipped;
    bytes = td_sub(bytes, skipped, bytes.n);
    if (bytes.n == 0)
        return;
    buf_put_slice(&s->unused, bytes);
    present_both(m, dir);
}

void mock_datagram(struct mock *m, int dir, struct td_slice bytes, uint32_t flags)
{
    struct mock_side *s = &m->side[dir];
    uint64_t end = s->offset + bytes.n;
    if (!m->claimed)
        return;
    buf_put_slice(&s->unused, bytes);
    (void)present(m, dir, flags | TD_CHUNK_DATAGRAM);
    s->unused.n = 0; /* never presented again */
    s->offset = end;
}

static void present_last(struct mock *m, int dir)
{
    struct mock_side *s = &m->side[dir];
    if (s->unused.n)
        (void)present(m, dir, TD_CHUNK_LAST);
    s->offset += s->unused.n;
    s->unused.n = 0;
}

void mock_gap(struct mock *m, int dir, uint64_t len)
{
    struct mock_side *s = &m->side[dir];
    uint64_t skipped;
    if (!m->claimed || s->ended || len == 0)
        return;
    present_last(m, dir);
    skipped = s->skip < len ? s->skip : len;
    s->skip -= skipped;
    s->offset += skipped;
    len -= skipped;
    if (!m->claimed || len == 0)
        return;
    m->dir_at_hand = -1;
    s->offset += len;
    if (m->ops->gap(m->state, (struct td_conn *)(void *)m, dir, s->offset - len, len) != TD_OK)
        lose_claim(m);
}

void mock_eof(struct mock *m, int dir)
{
    if (!m->claimed || m->side[dir].ended)
        return;
    present_last(m, dir);
    m->side[dir].ended = true;
    m->dir_at_hand = -1;
    if (m->claimed && m->ops->eof)
        m->ops->eof(m->state, (struct td_conn *)(void *)m, dir);
    if (m->claimed && m->side[!dir].unused.n && !m->side[!dir].ended)
        present_both(m, !dir);
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static const struct td_host host_table = {
    .size = sizeof(host_table),
    .abi_minor = TD_ABI_MINOR,
    .fail = host_fail,
    .log = host_log,
    .cancelled = host_cancelled,
    .iface = host_iface,
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
    .sub_open = host_sub_open,
    .layer = host_layer,
    .tell = host_tell,
    .told = host_told,
};

static void set_option(struct mock *m, const struct td_option *o, uint64_t value)
{
    uint8_t *member = (uint8_t *)m->config + o->offset;
    bool flag = value != 0;
    if (o->type == TD_OPT_BOOL)
        memcpy(member, &flag, sizeof(flag));
    else
        memcpy(member, &value, sizeof(value));
}

static void set_default(struct mock *m, const struct td_option *o)
{
    uint64_t size = 0;
    int64_t duration = 0;
    if (!o->def)
        return;
    if (o->type == TD_OPT_BOOL)
        set_option(m, o, strcmp(o->def, "true") == 0);
    else if (o->type == TD_OPT_DUR_NS ? units_parse_duration(o->def, &duration) : units_parse_size(o->def, &size))
        set_option(m, o, o->type == TD_OPT_DUR_NS ? (uint64_t)duration : size);
    else
        breach(m, "an option type that this host does not know");
}

void mock_option(struct mock *m, const char *name, uint64_t value)
{
    const struct td_option *rows = (const struct td_option *)m->component->options.v;
    uint32_t i;
    for (i = 0; i < m->component->options.n; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            set_option(m, &rows[i], value);
            return;
        }
    }
    breach(m, "no such option");
}

bool mock_init(struct mock *m, const struct td_plugin *plugin, unsigned options)
{
    uint32_t i;
    memset(m, 0, sizeof(*m));
    m->host = host_table;
    m->options = options;
    m->component = plugin->components[0];
    m->ops = (const struct td_dissector *)m->component->ops;
    m->config = calloc(1, m->component->config_size + 1);
    if (!m->config)
        abort();
    for (i = 0; i < m->component->options.n; i++)
        set_default(m, (const struct td_option *)m->component->options.v + i);
    if (m->component->create && m->component->create((struct td_inst *)(void *)m, &m->host, m->config, &m->self) != TD_OK)
        breach(m, "create() failed");
    return m->fault == NULL;
}

bool mock_open_flow(struct mock *m, const struct td_flow *flow)
{
    m->opened = m->claimed = m->ops->open(m->self, (struct td_conn *)(void *)m, flow, (struct td_arena *)(void *)m, &m->state) == TD_OK;
    return m->opened;
}

bool mock_open(struct mock *m, uint32_t flow_flags)
{
    struct td_flow flow;
    memset(&flow, 0, sizeof(flow));
    flow.size = sizeof(flow);
    flow.flags = flow_flags | TD_FLOW_PORT_HINT;
    flow.ip_version = 4;
    flow.transport = 6;
    flow.port[TD_CLIENT] = 40000;
    flow.port[TD_SERVER] = 80;
    return mock_open_flow(m, &flow);
}

void mock_close(struct mock *m, int why)
{
    int dir;
    for (dir = 0; dir < 2; dir++)
        if (m->claimed && !m->side[dir].ended)
            present_last(m, dir);
    end_claim(m, why);
    if (m->component->destroy)
        m->component->destroy(m->self);
    m->self = NULL;
}

void mock_clear(struct mock *m)
{
    size_t i;
    for (i = 0; i < m->n_memory; i++)
        free(m->memory[i]);
    free(m->memory);
    free(m->scratch);
    free(m->config);
    buf_clear(&m->side[0].unused);
    buf_clear(&m->side[1].unused);
    buf_clear(&m->out);
}
