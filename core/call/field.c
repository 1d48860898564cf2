#include "call/field.h"

#include "base/mem.h"

int field_set_init(struct field_set *set, const struct td_table *rows, struct error *err)
{
    *set = (struct field_set){.method = -1, .target = -1, .status = -1};
    if (rows->n > FIELD_MAX)
        return error_set(err, TD_E_LIMIT, "%u fields, at most %d are possible", rows->n, FIELD_MAX);
    set->fields = mem_calloc(rows->n, sizeof(*set->fields));
    if (!set->fields)
        return error_nomem(err);
    for (uint32_t i = 0; i < rows->n; i++) {
        struct td_field row = {0};
        const uint8_t *p = (const uint8_t *)rows->v + (size_t)i * rows->stride;
        memcpy(&row, p, rows->stride < sizeof(row) ? rows->stride : sizeof(row));
        struct td_slice name = td_str(row.name);
        struct field *f = &set->fields[i];
        *f = (struct field){row.name, row.type, row.flags, row.doc, row.names, FIELD_TOP, name};
        if (td_starts(name, TD_LIT("request."))) {
            f->group = FIELD_REQUEST;
            f->key = td_sub(name, sizeof("request.") - 1, name.n);
        } else if (td_starts(name, TD_LIT("response."))) {
            f->group = FIELD_RESPONSE;
            f->key = td_sub(name, sizeof("response.") - 1, name.n);
        }
        if (row.flags & TD_F_METHOD)
            set->method = (int16_t)i;
        if (row.flags & TD_F_TARGET)
            set->target = (int16_t)i;
        if (row.flags & TD_F_STATUS)
            set->status = (int16_t)i;
    }
    set->n = rows->n;
    return TD_OK;
}

void field_set_clear(struct field_set *set)
{
    mem_free(set->fields);
    *set = (struct field_set){0};
}

int field_find(const struct field_set *set, struct td_slice name)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (td_eq(td_str(set->fields[i].name), name))
            return (int)i;
    return -1;
}

const char *field_value_name(const struct field *f, uint64_t value)
{
    for (uint32_t i = 0; i < f->names.n; i++) {
        const struct td_name *row = (const struct td_name *)((const uint8_t *)f->names.v + (size_t)i * f->names.stride);
        if (row->value == value)
            return row->name;
    }
    return NULL;
}
