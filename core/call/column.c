#include "call/column.h"

#include "base/ip.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/units.h"
#include "base/utf8.h"

static const struct {
    const char *name;
    uint8_t kind;
} core_columns[] = {
    {"id", COLUMN_ID},
    {"timestamp", COLUMN_TIMESTAMP},
    {"protocol", COLUMN_PROTOCOL},
    {"transport", COLUMN_TRANSPORT},
    {"conn_id", COLUMN_CONN_ID},
    {"elapsed_time", COLUMN_ELAPSED_TIME},
    {"latency", COLUMN_LATENCY},
    {"src", COLUMN_SRC},
    {"src.ip", COLUMN_SRC_IP},
    {"src.port", COLUMN_SRC_PORT},
    {"dst", COLUMN_DST},
    {"dst.ip", COLUMN_DST_IP},
    {"dst.port", COLUMN_DST_PORT},
    {"summary.method", COLUMN_METHOD},
    {"summary.target", COLUMN_TARGET},
    {"summary.status", COLUMN_STATUS},
    {"request.size", COLUMN_REQUEST_SIZE},
    {"response.size", COLUMN_RESPONSE_SIZE},
    {"request.frames", COLUMN_REQUEST_FRAMES},
    {"response.frames", COLUMN_RESPONSE_FRAMES},
    {"complete", COLUMN_COMPLETE},
};
enum { CORE_COLUMNS = sizeof(core_columns) / sizeof(core_columns[0]) };

static bool find_core_column(const char *name, uint8_t *ret_kind)
{
    for (int i = 0; i < CORE_COLUMNS; i++)
        if (strcmp(core_columns[i].name, name) == 0) {
            *ret_kind = core_columns[i].kind;
            return true;
        }
    return false;
}

static int unknown_column(const char *name, const struct field_set *const *components, uint32_t component_n, struct error *err)
{
    struct nearest near;
    if (!*name)
        return error_set(err, TD_E_CONFIG, "the list of fields lacks a name between the commas");
    nearest_init(&near, name);
    for (int i = 0; i < CORE_COLUMNS; i++)
        nearest_try(&near, core_columns[i].name);
    for (uint32_t i = 0; i < component_n; i++)
        for (uint32_t j = 0; j < components[i]->n; j++)
            nearest_try(&near, components[i]->fields[j].name);
    if (near.best)
        return error_set(err, TD_E_CONFIG, "there is no field \"%s\"; did you mean \"%s\"?", name, near.best);
    return error_set(err, TD_E_CONFIG, "there is no field \"%s\"; `tapedeck plugin show NAME` lists a dissector's fields", name);
}

static int resolve(struct column *col, const struct field_set *const *components, uint32_t component_n, struct error *err)
{
    uint8_t kind = COLUMN_FIELD;
    bool core = find_core_column(col->name, &kind), found = core;
    col->kind = kind;
    col->fields = mem_alloc((component_n + 1) * sizeof(*col->fields));
    if (!col->fields)
        return error_nomem(err);
    for (uint32_t i = 0; i < component_n; i++) {
        switch (kind) {
        case COLUMN_METHOD: col->fields[i] = components[i]->method; break;
        case COLUMN_TARGET: col->fields[i] = components[i]->target; break;
        case COLUMN_STATUS: col->fields[i] = components[i]->status; break;
        default: col->fields[i] = (int16_t)(core ? -1 : field_find(components[i], td_str(col->name))); break;
        }
        found |= col->fields[i] >= 0;
    }
    return found ? TD_OK : unknown_column(col->name, components, component_n, err);
}

int column_set_parse(struct column_set *set, const char *list, const struct field_set *const *components, uint32_t component_n,
                     struct error *err)
{
    *set = (struct column_set){.names = mem_strdup(list)};
    if (!set->names)
        return error_nomem(err);
    int status = TD_OK;
    for (char *name = set->names, *next; status == TD_OK && name; name = next) {
        next = strchr(name, ',');
        if (next)
            *next++ = 0;
        if (set->n == COLUMN_MAX) {
            status = error_set(err, TD_E_LIMIT, "more than %d fields", COLUMN_MAX);
            break;
        }
        struct column *col = &set->v[set->n++];
        col->name = name;
        status = resolve(col, components, component_n, err);
    }
    if (status != TD_OK)
        column_set_clear(set);
    return status;
}

void column_set_clear(struct column_set *set)
{
    for (uint32_t i = 0; i < set->n; i++)
        mem_free(set->v[i].fields);
    mem_free(set->names);
    *set = (struct column_set){0};
}

/* ---- Text ---- */

/* How text from the wire is written. */
typedef void put_text_fn(struct buf *out, struct td_slice text);

static void put_printable(struct buf *out, struct td_slice text)
{
    utf8_put_printable(out, text, UTF8_CELL);
}

static void put_value(struct buf *out, const struct field *f, const struct call_value *v, put_text_fn *put_text)
{
    char text[64]; /* an address or a time */
    const char *name;
    switch (f->type) {
    case TD_BOOL: buf_puts(out, v->number ? "true" : "false"); break;
    case TD_U64: buf_u64(out, v->number); break;
    case TD_I64:
    case TD_DUR_NS: buf_i64(out, (int64_t)v->number); break;
    case TD_TIME_NS: buf_put(out, text, units_format_time((int64_t)v->number, text)); break;
    case TD_ENUM:
        name = field_value_name(f, v->number);
        if (name)
            buf_puts(out, name);
        else
            buf_u64(out, v->number);
        break;
    case TD_IP: buf_put(out, text, ip_format(v->bytes.p, v->bytes.n == 4 ? 4 : 6, text)); break;
    case TD_MAP:
        put_text(out, v->name);
        buf_lit(out, ": ");
        put_text(out, v->bytes);
        break;
    default: put_text(out, v->bytes); break;
    }
}

static void put_field(struct buf *out, const struct td_call *c, int16_t field, put_text_fn *put_text)
{
    if (field < 0 || !call_has(c, (uint32_t)field))
        return;
    const struct field *f = &c->fields->fields[field];
    if (f->flags & TD_F_BODY) {
        const struct call_body *body = call_get_body(c, (uint32_t)field);
        if (body)
            put_text(out, buf_slice(&body->bytes));
        return;
    }
    struct call_value v;
    uint32_t at = 0;
    for (bool first = true; call_next_value(c, (uint32_t)field, &at, &v); first = false) {
        if (!first)
            buf_puts(out, f->type == TD_MAP ? "; " : ",");
        put_value(out, f, &v, put_text);
    }
}

static void put_address(struct buf *out, const struct td_flow *flow, int dir, bool with_port)
{
    char text[IP_TEXT];
    size_t n = ip_format(flow->ip[dir], flow->ip_version, text);
    bool brackets = with_port && flow->ip_version == 6;
    if (brackets)
        buf_putc(out, '[');
    buf_put(out, text, n);
    if (brackets)
        buf_putc(out, ']');
    if (with_port) {
        buf_putc(out, ':');
        buf_u64(out, flow->port[dir]);
    }
}

static void put_frames(struct buf *out, const struct call_frames *frames)
{
    uint64_t frame = 0;
    for (size_t at = 0, n = 0; call_next_frame(frames, &at, &frame); n++) {
        if (n)
            buf_putc(out, ',');
        buf_u64(out, frame);
    }
}

static void put_column(struct buf *out, const struct column *col, const struct td_call *c, put_text_fn *put_text)
{
    char text[UNITS_TEXT];
    switch (col->kind) {
    case COLUMN_ID: buf_u64(out, c->id); break;
    case COLUMN_TIMESTAMP: buf_put(out, text, units_format_time(call_time(c), text)); break;
    case COLUMN_PROTOCOL: buf_puts(out, c->protocol); break;
    case COLUMN_TRANSPORT: buf_puts(out, c->flow->transport == 6 ? "TCP" : "UDP"); break;
    case COLUMN_CONN_ID: buf_u64(out, c->conn_id); break;
    case COLUMN_ELAPSED_TIME: buf_u64(out, (uint64_t)call_duration(c) / NS_PER_US); break;
    case COLUMN_LATENCY:
        if (c->half[TD_CLIENT].seen && c->half[TD_SERVER].seen)
            buf_puts(out, units_format_duration(call_duration(c), text));
        break;
    case COLUMN_SRC: put_address(out, c->flow, TD_CLIENT, true); break;
    case COLUMN_SRC_IP: put_address(out, c->flow, TD_CLIENT, false); break;
    case COLUMN_SRC_PORT: buf_u64(out, c->flow->port[TD_CLIENT]); break;
    case COLUMN_DST: put_address(out, c->flow, TD_SERVER, true); break;
    case COLUMN_DST_IP: put_address(out, c->flow, TD_SERVER, false); break;
    case COLUMN_DST_PORT: buf_u64(out, c->flow->port[TD_SERVER]); break;
    case COLUMN_REQUEST_SIZE: buf_u64(out, c->half[TD_CLIENT].bytes); break;
    case COLUMN_RESPONSE_SIZE: buf_u64(out, c->half[TD_SERVER].bytes); break;
    case COLUMN_REQUEST_FRAMES: put_frames(out, &c->half[TD_CLIENT].frames); break;
    case COLUMN_RESPONSE_FRAMES: put_frames(out, &c->half[TD_SERVER].frames); break;
    case COLUMN_COMPLETE:
        buf_puts(out, call_half_complete(&c->half[TD_CLIENT]) && call_half_complete(&c->half[TD_SERVER]) ? "true" : "false");
        break;
    default: put_field(out, c, col->fields[c->component], put_text); break;
    }
}

void column_put(struct buf *out, const struct column *col, const struct td_call *c)
{
    put_column(out, col, c, put_printable);
}

void column_put_exact(struct buf *out, const struct column *col, const struct td_call *c)
{
    put_column(out, col, c, utf8_put_text);
}

void column_put_row(struct buf *out, const struct column_set *set, const struct td_call *c)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (i)
            buf_putc(out, '\t');
        column_put(out, &set->v[i], c);
    }
    buf_putc(out, '\n');
}
