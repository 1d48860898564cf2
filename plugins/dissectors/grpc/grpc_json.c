#include "grpc_json.h"

#include "grpc_wire.h"

#include <math.h>

/* A message that is being written. */
struct level {
    struct td_cursor rest;
    const struct grpc_message *type;
    uint32_t run; /* number of the field whose values are being written; 0: none yet */
    char closer;  /* of that field's array or map; 0: it is neither */
};

struct writer {
    struct grpc_out *out;
    struct level levels[GRPC_MAX_DEPTH];
    size_t depth;
};

bool grpc_is_message(struct td_slice s)
{
    struct td_cursor c = td_cursor(s);
    struct grpc_value v;
    while (grpc_next_value(&c, &v))
        ;
    return !c.failed;
}

/* ---- Values without a type -------------------------------------------------------------------------------------------- */

static void put_wide(struct grpc_out *out, uint64_t value)
{
    bool quote = value >> 53 != 0;
    if (quote)
        grpc_put_char(out, '"');
    grpc_put_u64(out, value);
    if (quote)
        grpc_put_char(out, '"');
}

static bool is_likely(double value)
{
    double size = fabs(value);
    return value == 0 || (size > 1e-9 && size < 1e15);
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof(value));
    return value;
}

/* Begins a message within; false: too deep. */
static bool push(struct writer *w, struct td_slice message, const struct grpc_message *type)
{
    if (w->depth == GRPC_MAX_DEPTH)
        return false;
    w->levels[w->depth++] = (struct level){td_cursor(message), type, 0, 0};
    grpc_put_char(w->out, '{');
    return true;
}

static void put_guess(struct writer *w, const struct grpc_value *v)
{
    bool spaces, text;
    switch (v->wire) {
    case GRPC_VARINT: put_wide(w->out, v->bits); return;
    case GRPC_I64:
        if (is_likely(double_of(v->bits)))
            grpc_put_double(w->out, double_of(v->bits));
        else
            put_wide(w->out, v->bits);
        return;
    case GRPC_I32:
        if (is_likely((double)float_of(v->bits)))
            grpc_put_float(w->out, float_of(v->bits));
        else
            grpc_put_u64(w->out, v->bits);
        return;
    default: break;
    }
    text = grpc_is_text(v->bytes, &spaces);
    /* A message within may look like text with a line end in front (field 1, of ten bytes or thirteen). */
    if (text && !(spaces && grpc_is_message(v->bytes)))
        grpc_put_string(w->out, v->bytes);
    else if (!grpc_is_message(v->bytes) || !push(w, v->bytes, NULL))
        grpc_put_base64(w->out, v->bytes);
}

/* ---- Values with a type ------------------------------------------------------------------------------------------------ */

static int64_t zigzag(uint64_t bits)
{
    return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
}

static void put_quoted(struct grpc_out *out, bool is_signed, uint64_t bits)
{
    grpc_put_char(out, '"');
    if (is_signed)
        grpc_put_i64(out, (int64_t)bits);
    else
        grpc_put_u64(out, bits);
    grpc_put_char(out, '"');
}

static void put_enum(struct grpc_out *out, const struct grpc_enum *e, int32_t number)
{
    struct td_slice name;
    if (e && grpc_enum_name(e, number, &name))
        grpc_put_string(out, name);
    else
        grpc_put_i64(out, number);
}

static void put_scalar(struct grpc_out *out, const struct grpc_field *f, uint64_t bits)
{
    switch (f->type) {
    case GRPC_DOUBLE: grpc_put_double(out, double_of(bits)); break;
    case GRPC_FLOAT: grpc_put_float(out, float_of(bits)); break;
    case GRPC_INT64:
    case GRPC_SFIXED64: put_quoted(out, true, bits); break;
    case GRPC_UINT64:
    case GRPC_FIXED64: put_quoted(out, false, bits); break;
    case GRPC_SINT64: put_quoted(out, true, (uint64_t)zigzag(bits)); break;
    case GRPC_INT32:
    case GRPC_SFIXED32: grpc_put_i64(out, (int32_t)bits); break;
    case GRPC_SINT32: grpc_put_i64(out, (int32_t)zigzag(bits & UINT32_MAX)); break;
    case GRPC_BOOL: grpc_put(out, bits ? TD_LIT("true") : TD_LIT("false")); break;
    case GRPC_ENUM: put_enum(out, f->enumeration, (int32_t)bits); break;
    default: grpc_put_u64(out, (uint32_t)bits); break;
    }
}

/* How a single value of this type stands on the wire. */
static uint8_t wire_of(uint8_t type)
{
    switch (type) {
    case GRPC_DOUBLE:
    case GRPC_FIXED64:
    case GRPC_SFIXED64: return GRPC_I64;
    case GRPC_FLOAT:
    case GRPC_FIXED32:
    case GRPC_SFIXED32: return GRPC_I32;
    case GRPC_STRING:
    case GRPC_MESSAGE:
    case GRPC_BYTES: return GRPC_LEN;
    default: return GRPC_VARINT;
    }
}

/* Several values of a repeated field in one piece. */
static void put_packed(struct grpc_out *out, const struct grpc_field *f, struct td_slice bytes)
{
    struct td_cursor c = td_cursor(bytes);
    bool first = true;
    while (td_left(&c) && !out->full) {
        uint8_t wire = wire_of(f->type);
        uint64_t bits = wire == GRPC_I64 ? td_le64(&c) : wire == GRPC_I32 ? td_le32(&c) : grpc_varint(&c);
        if (!first)
            grpc_put_char(out, ',');
        if (c.failed)
            grpc_put(out, TD_LIT("null"));
        else
            put_scalar(out, f, bits);
        first = false;
    }
}

/* A value that stands alone: field 1 of a wrapper, or its default. */
static bool put_wrapped(struct grpc_out *out, const struct grpc_field *f, const struct grpc_value *v)
{
    if (!f || f->repeated || f->type == GRPC_MESSAGE || (v->number && v->wire != wire_of(f->type)))
        return false;
    if (f->type == GRPC_STRING)
        grpc_put_string(out, v->bytes);
    else if (f->type == GRPC_BYTES)
        grpc_put_base64(out, v->bytes);
    else
        put_scalar(out, f, v->bits);
    return true;
}

/* In the form that JSON has for it; false: it has none, or this is none of its kind, and nothing is written. */
static bool put_known(struct grpc_out *out, const struct grpc_message *type, struct td_slice message)
{
    struct td_cursor c = td_cursor(message);
    struct grpc_value v, of[2] = {{0}, {0}};
    if (!type || !type->known)
        return false;
    while (grpc_next_value(&c, &v)) {
        if (v.number > 2)
            return false;
        of[v.number - 1] = v;
    }
    if (c.failed)
        return false;
    switch (type->known) {
    case GRPC_TIMESTAMP: return grpc_put_timestamp(out, (int64_t)of[0].bits, (int32_t)of[1].bits);
    case GRPC_DURATION: return grpc_put_duration(out, (int64_t)of[0].bits, (int32_t)of[1].bits);
    default: return put_wrapped(out, grpc_message_field(type, 1), &of[0]);
    }
}

static void put_value(struct writer *w, const struct grpc_field *f, const struct grpc_value *v)
{
    if (!f || v->wire != wire_of(f->type))
        put_guess(w, v);
    else if (f->type == GRPC_STRING)
        grpc_put_string(w->out, v->bytes);
    else if (f->type == GRPC_BYTES)
        grpc_put_base64(w->out, v->bytes);
    else if (f->type != GRPC_MESSAGE)
        put_scalar(w->out, f, v->bits);
    else if (!f->message)
        put_guess(w, v);
    else if (!put_known(w->out, f->message, v->bytes) && (!grpc_is_message(v->bytes) || !push(w, v->bytes, f->message)))
        grpc_put_base64(w->out, v->bytes);
}

/* What stands for a value that was not sent. */
static void put_default(struct grpc_out *out, const struct grpc_field *f)
{
    if (f && wire_of(f->type) != GRPC_LEN)
        put_scalar(out, f, 0);
    else if (!f || f->type != GRPC_MESSAGE)
        grpc_put(out, TD_LIT("\"\""));
    else if (!put_known(out, f->message, td_bytes(NULL, 0)))
        grpc_put(out, TD_LIT("{}"));
}

/* An entry of a map: JSON's keys are strings. Both may be missing: then they are the default. */
static void put_entry(struct writer *w, const struct grpc_message *entry, struct td_slice bytes)
{
    const struct grpc_field *key = grpc_message_field(entry, 1), *value = grpc_message_field(entry, 2);
    struct td_cursor c = td_cursor(bytes);
    struct grpc_value v, k = {0}, found = {0};
    bool has_value = false;
    bool quote = key && key->type != GRPC_STRING && wire_of(key->type) != GRPC_LEN;
    while (grpc_next_value(&c, &v)) {
        if (v.number == 1)
            k = v;
        if (v.number == 2) {
            found = v;
            has_value = true;
        }
    }
    if (quote && (key->type == GRPC_INT64 || key->type == GRPC_UINT64 || key->type == GRPC_SINT64 || key->type == GRPC_FIXED64 ||
                  key->type == GRPC_SFIXED64))
        quote = false; /* has its own */
    if (quote)
        grpc_put_char(w->out, '"');
    if (key && wire_of(key->type) != GRPC_LEN)
        put_scalar(w->out, key, k.bits);
    else
        grpc_put_string(w->out, k.bytes);
    if (quote)
        grpc_put_char(w->out, '"');
    grpc_put_char(w->out, ':');
    if (has_value)
        put_value(w, value, &found);
    else
        put_default(w->out, value);
}

/* ---- Fields ------------------------------------------------------------------------------------------------------------ */

static void close_run(struct writer *w, struct level *l)
{
    if (l->closer)
        grpc_put_char(w->out, l->closer);
    l->closer = 0;
}

static bool is_map(const struct grpc_field *f)
{
    return f && f->repeated && f->type == GRPC_MESSAGE && f->message && f->message->map_entry;
}

static bool goes_on(const struct level *l, uint32_t number)
{
    struct td_cursor ahead = l->rest;
    struct grpc_value v;
    return grpc_next_value(&ahead, &v) && v.number == number;
}

static void begin_run(struct writer *w, struct level *l, const struct grpc_field *f, uint32_t number)
{
    bool array = f ? f->repeated : goes_on(l, number);
    close_run(w, l);
    if (l->run)
        grpc_put_char(w->out, ',');
    l->run = number;
    if (f) {
        grpc_put_string(w->out, f->name);
    } else {
        grpc_put_char(w->out, '"');
        grpc_put_u64(w->out, number);
        grpc_put_char(w->out, '"');
    }
    grpc_put_char(w->out, ':');
    if (!array)
        return;
    l->closer = is_map(f) ? '}' : ']';
    grpc_put_char(w->out, is_map(f) ? '{' : '[');
}

/* The last of several values counts for a field that has but one. */
static bool is_superseded(const struct level *l, const struct grpc_field *f, uint32_t number)
{
    return f && !f->repeated && goes_on(l, number);
}

static void put_field(struct writer *w, struct level *l, const struct grpc_value *v)
{
    const struct grpc_field *f = l->type ? grpc_message_field(l->type, v->number) : NULL;
    bool packed = f && f->repeated && v->wire == GRPC_LEN && wire_of(f->type) != GRPC_LEN;
    if (is_superseded(l, f, v->number) || (packed && !v->bytes.n) || (is_map(f) && v->wire != GRPC_LEN))
        return;
    if (v->number != l->run)
        begin_run(w, l, f, v->number);
    else
        grpc_put_char(w->out, ',');
    if (packed)
        put_packed(w->out, f, v->bytes);
    else if (is_map(f))
        put_entry(w, f->message, v->bytes);
    else
        put_value(w, f, v);
}

void grpc_put_message(struct grpc_out *out, struct td_slice message, const struct grpc_message *type)
{
    struct writer w;
    w.out = out;
    w.depth = 0;
    if (put_known(out, type, message))
        return;
    if (!grpc_is_message(message) || !push(&w, message, type)) {
        grpc_put_base64(out, message);
        return;
    }
    while (w.depth && !out->full) {
        struct level *l = &w.levels[w.depth - 1];
        struct grpc_value v;
        if (grpc_next_value(&l->rest, &v)) {
            put_field(&w, l, &v);
        } else {
            close_run(&w, l);
            grpc_put_char(out, '}');
            w.depth--;
        }
    }
}
