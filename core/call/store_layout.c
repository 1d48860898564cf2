#include "call/store_layout.h"

#include <jansson.h>

#include "base/mem.h"

static uint32_t stored_type(uint32_t type)
{
    return type == TD_ENUM || type == TD_IP ? (uint32_t)TD_STRING : type;
}

void store_layout_put(struct buf *out, const struct field_set *const *components, uint32_t component_n)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < component_n; i++) {
        buf_puts(out, i ? ",[" : "[");
        for (uint32_t k = 0; k < components[i]->n; k++) {
            const struct field *f = &components[i]->fields[k];
            buf_printf(out, "%s[%u,%u]", k ? "," : "", stored_type(f->type), f->flags);
        }
        buf_putc(out, ']');
    }
    buf_putc(out, ']');
}

static int corrupt(struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "the list of its dissectors' fields is damaged");
}

static bool type_known(json_int_t type)
{
    return type >= TD_BOOL && type <= TD_MAP && stored_type((uint32_t)type) == (uint32_t)type;
}

/* Does the registry's type fit what the dissector declared? */
static bool fits(const struct registry_field *f, uint32_t type, uint32_t flags)
{
    if (flags & TD_F_BODY)
        return f->payload;
    if (type == TD_MAP)
        return f->type == REGISTRY_MAP;
    if (flags & TD_F_LIST)
        return f->type == REGISTRY_LIST;
    switch (type) {
    case TD_BOOL: return f->type == REGISTRY_BOOL;
    case TD_U64:
    case TD_I64: return f->type == REGISTRY_INT;
    case TD_TIME_NS: return f->type == REGISTRY_TIMESTAMP;
    case TD_DUR_NS: return f->type == REGISTRY_DURATION;
    case TD_BYTES: return f->type == REGISTRY_BYTES;
    default: return f->type == REGISTRY_STRING;
    }
}

static int parse_field(const json_t *json, const struct registry_field *f, struct td_field *ret, struct error *err)
{
    json_int_t type = json_integer_value(json_array_get(json, 0)), flags = json_integer_value(json_array_get(json, 1));
    if (!type_known(type) || flags < 0 || flags > UINT16_MAX || !fits(f, (uint32_t)type, (uint32_t)flags))
        return corrupt(err);
    *ret = (struct td_field){.name = f->name, .type = (uint32_t)type, .flags = (uint32_t)flags, .doc = f->doc};
    return TD_OK;
}

static int parse_component(const json_t *json, const struct field_registry *registry, struct store_component *ret, struct error *err)
{
    uint32_t n = ret->declared->n;
    if (json_array_size(json) != n || n > FIELD_MAX)
        return corrupt(err);
    ret->rows = mem_calloc(n, sizeof(*ret->rows));
    if (!ret->rows)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        const struct registry_field *f = field_registry_at(registry, ret->declared->fields[i]);
        int status = parse_field(json_array_get(json, i), f, &ret->rows[i], err);
        if (status != TD_OK)
            return status;
    }
    return field_set_init(&ret->fields, &(struct td_table){ret->rows, n, sizeof(*ret->rows)}, err);
}

int store_layout_parse(struct td_slice json, const struct field_registry *registry, struct store_layout *ret, struct error *err)
{
    *ret = (struct store_layout){0};
    uint32_t n;
    const struct registry_component *declared = field_registry_components(registry, &n);
    json_t *root = json_loadb((const char *)json.p, json.n, 0, NULL);
    int status = json_is_array(root) && json_array_size(root) == n ? TD_OK : corrupt(err);
    if (status == TD_OK) {
        ret->components = mem_calloc(n, sizeof(*ret->components));
        if (!ret->components)
            status = error_nomem(err);
    }
    for (uint32_t i = 0; i < n && status == TD_OK; i++) {
        ret->components[i].declared = &declared[i];
        ret->n++;
        status = parse_component(json_array_get(root, i), registry, &ret->components[i], err);
    }
    json_decref(root);
    if (status != TD_OK)
        store_layout_clear(ret);
    return status;
}

void store_layout_clear(struct store_layout *layout)
{
    for (uint32_t i = 0; i < layout->n; i++) {
        mem_free(layout->components[i].rows);
        field_set_clear(&layout->components[i].fields);
    }
    mem_free(layout->components);
    *layout = (struct store_layout){0};
}
