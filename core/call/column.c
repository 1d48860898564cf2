#include "call/column.h"

#include "base/ip.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/units.h"
#include "base/utf8.h"
#include "call/registry_table.h"

/* What is made of several fields. */
static const struct {
    const char *name;
    uint8_t kind;
} composites[] = {
    {"src", COLUMN_SRC},
    {"dst", COLUMN_DST},
    {"summary.method", COLUMN_METHOD},
    {"summary.target", COLUMN_TARGET},
    {"summary.status", COLUMN_STATUS},
    {"request.frames", COLUMN_REQUEST_FRAMES},
    {"response.frames", COLUMN_RESPONSE_FRAMES},
};
enum { COMPOSITES = sizeof(composites) / sizeof(composites[0]) };

/* A column that is no dissector's: its kind, and of a field of the core which. */
static bool find_core_column(struct column *col)
{
    uint32_t n;
    const struct core_row *rows = registry_core_rows(&n);
    for (int i = 0; i < COMPOSITES; i++)
        if (strcmp(composites[i].name, col->name) == 0) {
            col->kind = composites[i].kind;
            return true;
        }
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, col->name) == 0) {
            col->kind = COLUMN_CORE;
            col->core = rows[i].core;
            col->type = rows[i].type;
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
    uint32_t n;
    const struct core_row *rows = registry_core_rows(&n);
    for (int i = 0; i < COMPOSITES; i++)
        nearest_try(&near, composites[i].name);
    for (uint32_t i = 0; i < n; i++)
        nearest_try(&near, rows[i].name);
    for (uint32_t i = 0; i < component_n; i++)
        for (uint32_t j = 0; j < components[i]->n; j++)
            nearest_try(&near, components[i]->fields[j].name);
    if (near.best)
        return error_set(err, TD_E_CONFIG, "there is no field \"%s\"; did you mean \"%s\"?", name, near.best);
    return error_set(err, TD_E_CONFIG, "there is no field \"%s\"; `tapedeck plugin show NAME` lists a dissector's fields", name);
}

static int resolve(struct column *col, const struct field_set *const *components, uint32_t component_n, struct error *err)
{
    bool core = find_core_column(col), found = core;
    col->fields = mem_alloc((component_n + 1) * sizeof(*col->fields));
    if (!col->fields)
        return error_nomem(err);
    for (uint32_t i = 0; i < component_n; i++) {
        switch (col->kind) {
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

static void put_address(struct buf *out, const struct td_flow *flow, int dir)
{
    char text[IP_TEXT];
    size_t n = ip_format(flow->ip[dir], flow->ip_version, text);
    if (flow->ip_version == 6)
        buf_putc(out, '[');
    buf_put(out, text, n);
    if (flow->ip_version == 6)
        buf_putc(out, ']');
    buf_putc(out, ':');
    buf_u64(out, flow->port[dir]);
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

static void put_core(struct buf *out, const struct column *col, const struct td_call *c, put_text_fn *put_text)
{
    char text[UNITS_TEXT];
    struct registry_value v = {0};
    uint32_t at = 0;
    if (!registry_core_get(col->core, c, &v))
        return;
    switch (col->type) {
    case REGISTRY_MAP:
        for (bool first = true; registry_core_next(col->core, c, &at, &v); first = false) {
            if (!first)
                buf_lit(out, "; ");
            put_text(out, v.name);
            buf_lit(out, ": ");
            put_text(out, v.bytes);
        }
        break;
    case REGISTRY_BOOL: buf_puts(out, v.number ? "true" : "false"); break;
    case REGISTRY_INT: buf_i64(out, v.number); break;
    case REGISTRY_TIMESTAMP: buf_put(out, text, units_format_time(v.number, text)); break;
    case REGISTRY_DURATION: buf_puts(out, units_format_duration(v.number, text)); break;
    default: put_text(out, v.bytes); break;
    }
}

static void put_column(struct buf *out, const struct column *col, const struct td_call *c, put_text_fn *put_text)
{
    switch (col->kind) {
    case COLUMN_CORE: put_core(out, col, c, put_text); break;
    case COLUMN_SRC: put_address(out, c->flow, TD_CLIENT); break;
    case COLUMN_DST: put_address(out, c->flow, TD_SERVER); break;
    case COLUMN_REQUEST_FRAMES: put_frames(out, &c->half[TD_CLIENT].frames); break;
    case COLUMN_RESPONSE_FRAMES: put_frames(out, &c->half[TD_SERVER].frames); break;
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

void column_put_summary(struct buf *out, enum column_kind kind, const struct td_call *c)
{
    int16_t field = kind == COLUMN_METHOD ? c->fields->method : kind == COLUMN_TARGET ? c->fields->target : c->fields->status;
    put_field(out, c, field, utf8_put_text);
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
