#include "call/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "call/registry_table.h"

enum { MAX_BYTES = 64 << 20, MAX_FLAG_DOC = 64 };

/* ---- The table ---- */

struct field_registry *registry_make(uint32_t field_n, uint32_t component_n)
{
    struct field_registry *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    arena_init(&r->arena, MAX_BYTES);
    r->fields = arena_alloc(&r->arena, (field_n + 1) * sizeof(*r->fields), 8);
    r->sources = arena_alloc(&r->arena, (field_n + 1) * sizeof(*r->sources), 8);
    r->sorted = arena_alloc(&r->arena, (field_n + 1) * sizeof(*r->sorted), 8);
    r->components = arena_alloc(&r->arena, (component_n + 1) * sizeof(*r->components), 8);
    if (!r->fields || !r->sources || !r->sorted || !r->components) {
        field_registry_free(r);
        return NULL;
    }
    return r;
}

static int compare_names(const void *a, const void *b, void *ctx)
{
    const struct registry_field *fields = ctx;
    return strcmp(fields[*(const uint32_t *)a].name, fields[*(const uint32_t *)b].name);
}

void registry_index(struct field_registry *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        r->sorted[i] = i;
    qsort_r(r->sorted, r->n, sizeof(*r->sorted), compare_names, r->fields);
}

void field_registry_free(struct field_registry *r)
{
    if (!r)
        return;
    arena_clear(&r->arena);
    mem_free(r);
}

/* ---- Making it from the dissectors' tables ---- */

static uint8_t type_of(const struct field *f)
{
    if (f->flags & TD_F_LIST && f->type != TD_MAP)
        return REGISTRY_LIST;
    switch (f->type) {
    case TD_BOOL: return REGISTRY_BOOL;
    case TD_U64:
    case TD_I64: return REGISTRY_INT;
    case TD_BYTES: return REGISTRY_BYTES;
    case TD_TIME_NS: return REGISTRY_TIMESTAMP;
    case TD_DUR_NS: return REGISTRY_DURATION;
    case TD_MAP: return REGISTRY_MAP;
    default: return REGISTRY_STRING;
    }
}

static const char *const type_names[] = {
    "", "bool", "int", "string", "bytes", "timestamp", "duration", "list(string)", "map(string, string)"};

const char *registry_type_name(uint8_t type)
{
    return type < sizeof(type_names) / sizeof(type_names[0]) ? type_names[type] : "";
}

static const char *const *names_of(struct field_registry *r, const struct field *f, bool *ret_fine)
{
    *ret_fine = true;
    if (f->type != TD_ENUM || !f->names.n)
        return NULL;
    const char **names = arena_alloc(&r->arena, (f->names.n + 1) * sizeof(*names), 8);
    if (!names) {
        *ret_fine = false;
        return NULL;
    }
    for (uint32_t i = 0; i < f->names.n; i++)
        names[i] = ((const struct td_name *)((const uint8_t *)f->names.v + (size_t)i * f->names.stride))->name;
    return names;
}

static int32_t find_linear(const struct field_registry *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

static bool has_values(const struct registry_field *field, const struct field *f)
{
    uint32_t i = 0;
    for (; field->values && field->values[i] && i < f->names.n; i++)
        if (strcmp(field->values[i], ((const struct td_name *)((const uint8_t *)f->names.v + (size_t)i * f->names.stride))->name) != 0)
            return false;
    return field->values && !field->values[i] && i == f->names.n;
}

/* Is it among "DNS, HTTP"? */
static bool has_owner(const char *owners, const char *protocol)
{
    size_t n = strlen(protocol);
    for (const char *p = owners; (p = strstr(p, protocol)); p += n)
        if ((p == owners || p[-1] == ' ') && (!p[n] || p[n] == ','))
            return true;
    return false;
}

/* Does this sentence stand among "A name. DNS: Another's name."? */
static bool has_doc(const char *docs, const char *doc)
{
    size_t n = strlen(doc);
    for (const char *p = docs; n && (p = strstr(p, doc)); p++)
        if ((p == docs || (p - docs >= 2 && memcmp(p - 2, ": ", 2) == 0)) && (!p[n] || p[n] == ' '))
            return true;
    return n == 0;
}

/* A field that several dissectors declare. */
static int share_field(struct field_registry *r, uint32_t at, const struct field *f, const char *protocol, struct error *err)
{
    struct registry_field *field = &r->fields[at];
    char owner[256], doc[1024];
    if (r->sources[at].core != CORE_DECLARED)
        return error_set(err, TD_E_CONFIG, "%s declares a field \"%s\", which is the core's own", protocol, f->name);
    if (field->type != type_of(f))
        return error_set(err, TD_E_CONFIG, "%s declares the field \"%s\" as a %s, %s as a %s", protocol, f->name,
                         registry_type_name(type_of(f)), field->owner, registry_type_name(field->type));
    field->sensitive |= (f->flags & TD_F_SENSITIVE) != 0;
    if (!has_values(field, f))
        field->values = NULL;              /* each has its own */
    if (has_owner(field->owner, protocol)) /* on another protocol below */
        return TD_OK;
    snprintf(doc, sizeof(doc), "%s %s: %s", field->doc, protocol, f->doc);
    snprintf(owner, sizeof(owner), "%s, %s", field->owner, protocol);
    if (!has_doc(field->doc, f->doc))
        field->doc = arena_strndup(&r->arena, doc, strlen(doc));
    field->owner = arena_strndup(&r->arena, owner, strlen(owner));
    return field->owner && field->doc ? TD_OK : error_nomem(err);
}

/* What a filter sees of a call without the field; of gRPC's status 0 would be OK. */
static int64_t absent_of(const char *name)
{
    return strcmp(name, "grpc_status") == 0 ? -1 : 0;
}

static int add_field(struct field_registry *r, const struct field *f, const char *protocol, uint32_t *ret_at, struct error *err)
{
    int32_t at = find_linear(r, f->name);
    if (at >= 0) {
        *ret_at = (uint32_t)at;
        return share_field(r, (uint32_t)at, f, protocol, err);
    }
    bool fine;
    struct registry_field *field = &r->fields[r->n];
    *field = (struct registry_field){.name = f->name,
                                     .doc = f->doc,
                                     .type = type_of(f),
                                     .payload = (f->flags & TD_F_BODY) != 0,
                                     .sensitive = (f->flags & TD_F_SENSITIVE) != 0,
                                     .summary = (f->flags & (TD_F_METHOD | TD_F_TARGET | TD_F_STATUS)) != 0,
                                     .values = names_of(r, f, &fine),
                                     .absent = absent_of(f->name),
                                     .owner = protocol};
    *ret_at = r->n++;
    return fine ? TD_OK : error_nomem(err);
}

static int add_component(struct field_registry *r, uint32_t index, const struct field_set *set, const char *protocol, struct error *err)
{
    struct registry_component *c = &r->components[index];
    uint32_t *fields = arena_alloc(&r->arena, (set->n + 1) * sizeof(*fields), 8);
    if (!fields)
        return error_nomem(err);
    for (uint32_t i = 0; i < set->n; i++) {
        int status = add_field(r, &set->fields[i], protocol, &fields[i], err);
        if (status != TD_OK)
            return status;
        struct registry_source *source = &r->sources[fields[i]];
        if (!source->fields) {
            source->fields = arena_alloc(&r->arena, r->component_n * sizeof(*source->fields), 8);
            if (!source->fields)
                return error_nomem(err);
            memset(source->fields, 0xff, r->component_n * sizeof(*source->fields));
        }
        source->fields[index] = (int16_t)i;
    }
    *c = (struct registry_component){.protocol = protocol,
                                     .fields = fields,
                                     .n = set->n,
                                     .method = set->method < 0 ? -1 : (int32_t)fields[set->method],
                                     .target = set->target < 0 ? -1 : (int32_t)fields[set->target],
                                     .status = set->status < 0 ? -1 : (int32_t)fields[set->status]};
    return TD_OK;
}

/* The flag of a protocol, "http": true for calls of HTTP, whatever they are besides. */
static int add_flag(struct field_registry *r, uint32_t component, const char *protocol, struct error *err)
{
    char doc[MAX_FLAG_DOC];
    char *name = arena_strndup(&r->arena, protocol, strlen(protocol));
    int n = snprintf(doc, sizeof(doc), "Is it a call of %s?", protocol);
    const char *kept = arena_strndup(&r->arena, doc, n < (int)sizeof(doc) ? (size_t)n : sizeof(doc) - 1);
    if (!name || !kept)
        return error_nomem(err);
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    int32_t at = find_linear(r, name);
    if (at >= 0 && r->sources[at].core != CORE_PROTOCOL_IS)
        return error_set(err, TD_E_CONFIG, "a dissector is named \"%s\", which is a field of the core's own", name);
    if (at < 0) {
        at = (int32_t)r->n++;
        r->fields[at] = (struct registry_field){.name = name, .doc = kept, .type = REGISTRY_BOOL, .owner = "core"};
        r->sources[at] = (struct registry_source){.core = CORE_PROTOCOL_IS};
    }
    r->sources[at].components |= 1ull << component;
    return TD_OK;
}

static int add_flags(struct field_registry *r, const struct registry_protocol *protocols, struct error *err)
{
    int status = TD_OK;
    for (uint32_t i = 0; status == TD_OK && i < r->component_n; i++) {
        status = add_flag(r, i, protocols[i].name, err);
        for (uint32_t k = 0; status == TD_OK && protocols[i].also && protocols[i].also[k]; k++)
            status = add_flag(r, i, protocols[i].also[k], err);
    }
    return status;
}

/* Their names, each once; NULL when memory is short. */
static const char *const *known_protocols(struct field_registry *r, const struct registry_protocol *protocols)
{
    uint32_t n = 0, k;
    const char **known = arena_alloc(&r->arena, (r->component_n + 1) * sizeof(*known), 8);
    for (uint32_t i = 0; known && i < r->component_n; i++) {
        for (k = 0; k < n && strcmp(known[k], protocols[i].name) != 0;)
            k++;
        if (k == n)
            known[n++] = protocols[i].name;
    }
    return known;
}

static int add_core(struct field_registry *r, const struct registry_protocol *protocols, struct error *err)
{
    uint32_t n;
    const struct core_row *rows = registry_core_rows(&n);
    const char *const *known = known_protocols(r, protocols);
    if (!known)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        const struct core_row *row = &rows[i];
        r->fields[r->n] = (struct registry_field){
            .name = row->name, .doc = row->doc, .type = row->type, .summary = row->summary, .values = row->values, .owner = "core"};
        if (row->core == CORE_PROTOCOL)
            r->fields[r->n].values = known;
        r->sources[r->n++].core = row->core;
    }
    return add_flags(r, protocols, err);
}

/* Fields that there can be at most. */
static uint32_t most_fields(const struct field_set *const *components, const struct registry_protocol *protocols, uint32_t component_n)
{
    uint32_t n;
    registry_core_rows(&n);
    for (uint32_t i = 0; i < component_n; i++) {
        n += components[i]->n + 1;
        for (uint32_t k = 0; protocols[i].also && protocols[i].also[k]; k++)
            n++;
    }
    return n;
}

int field_registry_new(const struct field_set *const *components, const struct registry_protocol *protocols, uint32_t component_n,
                       struct field_registry **ret, struct error *err)
{
    if (component_n > REGISTRY_MAX_COMPONENTS)
        return error_set(err, TD_E_LIMIT, "more than %d kinds of calls", REGISTRY_MAX_COMPONENTS);
    struct field_registry *r = registry_make(most_fields(components, protocols, component_n), component_n);
    if (!r)
        return error_nomem(err);
    r->component_n = component_n;
    int status = add_core(r, protocols, err);
    for (uint32_t i = 0; status == TD_OK && i < component_n; i++)
        status = add_component(r, i, components[i], protocols[i].name, err);
    if (status != TD_OK) {
        field_registry_free(r);
        return status;
    }
    registry_index(r);
    *ret = r;
    return TD_OK;
}

/* ---- Looking it up ---- */

uint32_t field_registry_count(const struct field_registry *r)
{
    return r->n;
}

const struct registry_field *field_registry_at(const struct field_registry *r, uint32_t index)
{
    return &r->fields[index];
}

const struct registry_component *field_registry_components(const struct field_registry *r, uint32_t *ret_n)
{
    *ret_n = r->component_n;
    return r->components;
}

int32_t field_registry_find(const struct field_registry *r, struct td_slice name)
{
    uint32_t low = 0, high = name.n ? r->n : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *here = r->fields[r->sorted[middle]].name;
        int order = strncmp(here, (const char *)name.p, name.n);
        if (order == 0 && here[name.n])
            order = 1;
        if (order == 0)
            return (int32_t)r->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
