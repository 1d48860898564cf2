#include "call/call_json.h"

#include "base/ip.h"
#include "base/json.h"
#include "base/units.h"

static void put_time(struct buf *out, int64_t ns)
{
    char text[UNITS_TEXT];
    buf_putc(out, '"');
    buf_put(out, text, units_format_time(ns, text));
    buf_putc(out, '"');
}

static void put_value(struct buf *out, const struct field *f, const struct call_value *v)
{
    char text[IP_TEXT];
    const char *name;
    switch (f->type) {
    case TD_BOOL:
        if (v->number)
            buf_lit(out, "true");
        else
            buf_lit(out, "false");
        break;
    case TD_U64: buf_u64(out, v->number); break;
    case TD_I64:
    case TD_DUR_NS: buf_i64(out, (int64_t)v->number); break;
    case TD_TIME_NS: put_time(out, (int64_t)v->number); break;
    case TD_ENUM:
        name = field_value_name(f, v->number);
        buf_putc(out, '"');
        if (name)
            buf_puts(out, name);
        else
            buf_u64(out, v->number);
        buf_putc(out, '"');
        break;
    case TD_IP:
        buf_putc(out, '"');
        buf_put(out, text, ip_format(v->bytes.p, v->bytes.n == 4 ? 4 : 6, text));
        buf_putc(out, '"');
        break;
    case TD_MAP:
        buf_lit(out, "{\"name\":");
        json_put_string(out, v->name);
        buf_lit(out, ",\"value\":");
        json_put_string(out, v->bytes);
        buf_putc(out, '}');
        break;
    case TD_BYTES: json_put_base64(out, v->bytes); break;
    default: json_put_string(out, v->bytes); break;
    }
}

static void put_key(struct buf *out, struct td_slice key, const char *suffix)
{
    buf_lit(out, ",\"");
    buf_put_slice(out, key);
    buf_puts(out, suffix);
    buf_lit(out, "\":");
}

static void put_body(struct buf *out, const struct field *f, const struct call_body *body)
{
    struct td_slice bytes = buf_slice(&body->bytes);
    if (json_is_utf8(bytes)) {
        put_key(out, f->key, "");
        json_put_string(out, bytes);
    } else {
        put_key(out, f->key, "_base64");
        json_put_base64(out, bytes);
    }
    if (body->cut) {
        put_key(out, f->key, "_cut");
        buf_lit(out, "true");
    }
}

static void put_field(struct buf *out, const struct td_call *c, uint32_t field)
{
    const struct field *f = &c->fields->fields[field];
    struct call_value v;
    uint32_t at = 0;
    bool many = f->type == TD_MAP || (f->flags & TD_F_LIST), first = true;
    put_key(out, f->key, "");
    if (many)
        buf_putc(out, '[');
    while (call_next_value(c, field, &at, &v)) {
        if (!first)
            buf_putc(out, ',');
        first = false;
        put_value(out, f, &v);
    }
    if (many)
        buf_putc(out, ']');
}

static void put_group(struct buf *out, const struct td_call *c, uint8_t group, bool payload)
{
    for (uint32_t word = 0; word < FIELD_MAX / 64; word++) {
        for (uint64_t bits = c->set[word]; bits; bits &= bits - 1) {
            uint32_t field = word * 64 + (uint32_t)__builtin_ctzll(bits);
            const struct field *f = &c->fields->fields[field];
            bool body = f->flags & TD_F_BODY;
            if (f->group != group || (!payload && (body || f->type == TD_MAP)))
                continue;
            if (!body) {
                put_field(out, c, field);
                continue;
            }
            const struct call_body *b = call_get_body(c, field);
            if (b)
                put_body(out, f, b);
        }
    }
}

static void put_half(struct buf *out, const struct td_call *c, int dir, bool payload)
{
    const struct call_half *h = &c->half[dir];
    if (!h->seen)
        return;
    if (dir == TD_CLIENT)
        buf_lit(out, ",\"request\":{\"first_time\":");
    else
        buf_lit(out, ",\"response\":{\"first_time\":");
    put_time(out, h->first_ns);
    buf_lit(out, ",\"last_time\":");
    put_time(out, h->last_ns);
    buf_lit(out, ",\"size\":");
    buf_u64(out, h->bytes);
    buf_lit(out, ",\"frames\":[");
    uint64_t frame = 0;
    for (size_t at = 0, n = 0; call_next_frame(&h->frames, &at, &frame); n++) {
        if (n)
            buf_putc(out, ',');
        buf_u64(out, frame);
    }
    buf_putc(out, ']');
    if (h->frames.cut)
        buf_lit(out, ",\"frames_cut\":true");
    if (call_half_complete(h))
        buf_lit(out, ",\"complete\":true");
    else
        buf_lit(out, ",\"complete\":false");
    if (h->missing) {
        buf_lit(out, ",\"missing_bytes\":");
        buf_u64(out, h->missing);
    }
    put_group(out, c, dir == TD_CLIENT ? FIELD_REQUEST : FIELD_RESPONSE, payload);
    buf_putc(out, '}');
}

static void put_end(struct buf *out, const struct td_flow *flow, int dir)
{
    char text[IP_TEXT];
    if (dir == TD_CLIENT)
        buf_lit(out, ",\"src\":{\"ip\":\"");
    else
        buf_lit(out, ",\"dst\":{\"ip\":\"");
    buf_put(out, text, ip_format(flow->ip[dir], flow->ip_version, text));
    buf_lit(out, "\",\"port\":");
    buf_u64(out, flow->port[dir]);
    buf_putc(out, '}');
}

void call_put_json(struct buf *out, const struct td_call *c, bool payload)
{
    buf_lit(out, "{\"timestamp\":");
    put_time(out, call_time(c));
    buf_lit(out, ",\"protocol\":\"");
    buf_puts(out, c->protocol);
    if (c->flow->transport == 6)
        buf_lit(out, "\",\"transport\":\"TCP\",\"conn_id\":");
    else
        buf_lit(out, "\",\"transport\":\"UDP\",\"conn_id\":");
    buf_u64(out, c->conn_id);
    if (c->node) {
        buf_lit(out, ",\"node\":{\"name\":");
        json_put_string(out, td_str(c->node));
        buf_putc(out, '}');
    }
    put_end(out, c->flow, TD_CLIENT);
    put_end(out, c->flow, TD_SERVER);
    buf_lit(out, ",\"elapsed_time\":");
    buf_u64(out, (uint64_t)call_duration(c) / NS_PER_US);
    if (c->flags & TD_PARTIAL || c->incomplete_values)
        buf_lit(out, ",\"partial\":true");
    if (c->flags & TD_ONE_WAY)
        buf_lit(out, ",\"one_way\":true");
    put_group(out, c, FIELD_TOP, payload);
    put_half(out, c, TD_CLIENT, payload);
    put_half(out, c, TD_SERVER, payload);
    buf_lit(out, "}\n");
}
