/* The registry as JSON, and back. */
#include <jansson.h>

#include "base/json.h"
#include "call/registry_table.h"

enum { MAX_FIELDS = 4096, MAX_COMPONENTS = 256, MAX_VALUES = 4096, FORMAT = 1 };

/* ---- Writing ---- */

static void put_member(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":", key);
    json_put_string(out, td_str(text));
}

static void put_field(struct buf *out, const struct registry_field *f)
{
    buf_lit(out, "{\"name\":");
    json_put_string(out, td_str(f->name));
    put_member(out, "type", registry_type_name(f->type));
    put_member(out, "owner", f->owner);
    put_member(out, "doc", f->doc ? f->doc : "");
    if (f->payload)
        buf_lit(out, ",\"payload\":true");
    if (f->sensitive)
        buf_lit(out, ",\"sensitive\":true");
    if (f->summary)
        buf_lit(out, ",\"summary\":true");
    if (f->absent) {
        buf_lit(out, ",\"absent\":");
        buf_i64(out, f->absent);
    }
    if (f->values) {
        buf_lit(out, ",\"values\":[");
        for (uint32_t i = 0; f->values[i]; i++) {
            if (i)
                buf_putc(out, ',');
            json_put_string(out, td_str(f->values[i]));
        }
        buf_putc(out, ']');
    }
    buf_putc(out, '}');
}

static void put_component(struct buf *out, const struct registry_component *c)
{
    buf_lit(out, "{\"protocol\":");
    json_put_string(out, td_str(c->protocol));
    buf_printf(out, ",\"method\":%d,\"target\":%d,\"status\":%d,\"fields\":[", c->method, c->target, c->status);
    for (uint32_t i = 0; i < c->n; i++) {
        if (i)
            buf_putc(out, ',');
        buf_u64(out, c->fields[i]);
    }
    buf_lit(out, "]}");
}

void field_registry_put_json(struct buf *out, const struct field_registry *r)
{
    buf_printf(out, "{\"format\":%d,\"fields\":[", FORMAT);
    for (uint32_t i = 0; i < r->n; i++) {
        if (i)
            buf_putc(out, ',');
        put_field(out, &r->fields[i]);
    }
    buf_lit(out, "],\"components\":[");
    for (uint32_t i = 0; i < r->component_n; i++) {
        if (i)
            buf_putc(out, ',');
        put_component(out, &r->components[i]);
    }
    buf_lit(out, "]}");
}

/* ---- Reading ---- */

static int damaged(struct error *err, const char *what)
{
    return error_set(err, TD_E_CORRUPT, "the table of fields is damaged: %s", what);
}

/* A copy of a text member; NULL if there is none. */
static const char *copy_text(struct field_registry *r, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strndup(&r->arena, text, strlen(text)) : NULL;
}

static uint8_t find_type(const char *name)
{
    for (uint8_t type = REGISTRY_BOOL; name && type <= REGISTRY_MAP; type++)
        if (strcmp(registry_type_name(type), name) == 0)
            return type;
    return 0;
}

static int parse_values(struct field_registry *r, struct registry_field *f, const json_t *values, struct error *err)
{
    size_t n = json_array_size(values);
    if (!values)
        return TD_OK;
    if (n > MAX_VALUES)
        return damaged(err, "a field has too many values");
    const char **texts = arena_alloc(&r->arena, (n + 1) * sizeof(*texts), 8);
    for (size_t i = 0; texts && i < n; i++) {
        const char *text = json_string_value(json_array_get(values, i));
        if (!text)
            return damaged(err, "a value of a field is no text");
        texts[i] = arena_strndup(&r->arena, text, strlen(text));
        if (!texts[i])
            return error_nomem(err);
    }
    f->values = texts;
    return texts ? TD_OK : error_nomem(err);
}

static int parse_field(struct field_registry *r, const json_t *object, struct error *err)
{
    struct registry_field *f = &r->fields[r->n];
    const char *type = json_string_value(json_object_get(object, "type"));
    *f = (struct registry_field){.name = copy_text(r, object, "name"),
                                 .doc = copy_text(r, object, "doc"),
                                 .owner = copy_text(r, object, "owner"),
                                 .type = find_type(type),
                                 .payload = json_is_true(json_object_get(object, "payload")),
                                 .sensitive = json_is_true(json_object_get(object, "sensitive")),
                                 .summary = json_is_true(json_object_get(object, "summary")),
                                 .absent = json_integer_value(json_object_get(object, "absent"))};
    if (!f->name || !*f->name || !f->doc || !f->owner || !type)
        return damaged(err, "a field lacks its name, type, doc or owner");
    if (!f->type)
        return error_set(err, TD_E_UNSUPPORTED,
                         "the field \"%.100s\" has the type \"%.100s\", which this program does not know; use a newer one", f->name, type);
    r->n++;
    return parse_values(r, f, json_object_get(object, "values"), err);
}

/* An index of a field; -1 is fine if `optional`. */
static bool parse_index(const struct field_registry *r, const json_t *number, bool optional, int32_t *ret)
{
    json_int_t i = json_integer_value(number);
    if (!json_is_integer(number) || i < (optional ? -1 : 0) || i >= (json_int_t)r->n)
        return false;
    *ret = (int32_t)i;
    return true;
}

static int parse_component(struct field_registry *r, const json_t *object, struct error *err)
{
    struct registry_component *c = &r->components[r->component_n];
    const json_t *list = json_object_get(object, "fields");
    size_t n = json_array_size(list);
    c->protocol = copy_text(r, object, "protocol");
    if (!c->protocol || n > r->n || !parse_index(r, json_object_get(object, "method"), true, &c->method) ||
        !parse_index(r, json_object_get(object, "target"), true, &c->target) ||
        !parse_index(r, json_object_get(object, "status"), true, &c->status))
        return damaged(err, "a protocol lacks its name or its columns");
    uint32_t *fields = arena_alloc(&r->arena, (n + 1) * sizeof(*fields), 8);
    if (!fields)
        return error_nomem(err);
    for (size_t i = 0; i < n; i++) {
        int32_t index;
        if (!parse_index(r, json_array_get(list, i), false, &index))
            return damaged(err, "a protocol's field is none");
        fields[i] = (uint32_t)index;
    }
    c->fields = fields;
    c->n = (uint32_t)n;
    r->component_n++;
    return TD_OK;
}

static int parse_all(struct field_registry *r, const json_t *fields, const json_t *components, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0; status == TD_OK && i < json_array_size(fields); i++)
        status = parse_field(r, json_array_get(fields, i), err);
    for (size_t i = 0; status == TD_OK && i < json_array_size(components); i++)
        status = parse_component(r, json_array_get(components, i), err);
    if (status != TD_OK)
        return status;
    registry_index(r);
    for (uint32_t i = 1; i < r->n; i++)
        if (strcmp(r->fields[r->sorted[i - 1]].name, r->fields[r->sorted[i]].name) == 0)
            return damaged(err, "two fields have one name");
    return TD_OK;
}

int field_registry_parse_json(struct td_slice json, struct field_registry **ret, struct error *err)
{
    json_error_t problem;
    struct field_registry *r = NULL;
    json_t *root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &problem);
    const json_t *fields = json_object_get(root, "fields"), *components = json_object_get(root, "components");
    int status;
    if (!root)
        status = damaged(err, problem.text);
    else if (json_integer_value(json_object_get(root, "format")) != FORMAT)
        status = error_set(err, TD_E_UNSUPPORTED, "the table of fields has a format that this program does not know; use a newer one");
    else if (!json_array_size(fields) || json_array_size(fields) > MAX_FIELDS || json_array_size(components) > MAX_COMPONENTS)
        status = damaged(err, "it has no fields, or too many");
    else if (!(r = registry_make((uint32_t)json_array_size(fields), (uint32_t)json_array_size(components))))
        status = error_nomem(err);
    else
        status = parse_all(r, fields, components, err);
    json_decref(root);
    if (status != TD_OK) {
        field_registry_free(r);
        return status;
    }
    for (uint32_t i = 0; i < r->n; i++)
        r->sources[i].core = CORE_UNKNOWN;
    *ret = r;
    return TD_OK;
}
