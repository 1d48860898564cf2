#include "descriptor.h"

#include <stdalign.h>

#include "plugin/check.h"

/* What the first minor that had a struct reached up to: `last` was its last member. These never change within the major. */
#define FIRST_SIZE(S, last) (offsetof(S, last) + sizeof(((const S *)0)->last))

/* ---- Copying ------------------------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n && !*p) {
        p++;
        n--;
    }
    return !n;
}

/* How one of the plugin's structs or rows relates to ours. */
struct shape {
    const char *name; /* of the struct in the header */
    size_t ours;      /* sizeof in this core */
    size_t least;     /* size in the first minor that had it */
    int since;        /* that minor */
};

static int check_size(const struct shape *shape, size_t size, struct error *err)
{
    if (size < shape->least)
        return error_set(err, TD_E_UNSUPPORTED, "its struct %s has %zu bytes, fewer than the %zu of plugin ABI %d.%d", shape->name, size,
                         shape->least, TD_ABI_MAJOR, shape->since);
    if (size > DESCRIPTOR_MAX_BYTES)
        return error_set(err, TD_E_UNSUPPORTED, "its struct %s claims %zu bytes, which cannot be", shape->name, size);
    return TD_OK;
}

/* Copies a struct of `size` bytes, checked before, into `dst` of shape->ours bytes. */
static int copy_struct(const struct shape *shape, const void *src, size_t size, void *dst, struct error *err)
{
    memset(dst, 0, shape->ours);
    memcpy(dst, src, size < shape->ours ? size : shape->ours);
    if (size > shape->ours && !is_zero((const uint8_t *)src + shape->ours, size - shape->ours))
        return error_set(err, TD_E_UNSUPPORTED, "its struct %s uses members that this core does not know", shape->name);
    return TD_OK;
}

/* A struct that begins with its size. */
static int copy_sized(const struct shape *shape, const void *src, void *dst, struct error *err)
{
    uint32_t size;
    memcpy(&size, src, sizeof(size));
    int status = check_size(shape, size, err);
    return status == TD_OK ? copy_struct(shape, src, size, dst, err) : status;
}

/* Replaces *table by an array of our own rows. */
static int copy_table(const struct shape *shape, struct td_table *table, uint32_t max, struct arena *arena, struct error *err)
{
    struct td_table src = *table;
    *table = (struct td_table){.stride = (uint32_t)shape->ours};
    if (!src.n)
        return TD_OK;
    if (!src.v)
        return error_set(err, TD_E_UNSUPPORTED, "its table of struct %s has %u rows but no address", shape->name, src.n);
    if (src.n > max)
        return error_set(err, TD_E_UNSUPPORTED, "its table of struct %s has %u rows; the limit is %u", shape->name, src.n, max);
    int status = check_size(shape, src.stride, err);
    if (status != TD_OK)
        return status;
    uint8_t *rows = arena_alloc(arena, src.n * shape->ours, alignof(max_align_t));
    if (!rows)
        return error_nomem(err);
    for (uint32_t i = 0; i < src.n && status == TD_OK; i++)
        status = copy_struct(shape, (const uint8_t *)src.v + (size_t)i * src.stride, src.stride, rows + i * shape->ours, err);
    table->v = rows;
    table->n = src.n;
    return status;
}

static int copy_fields(struct td_dissector *dissector, struct arena *arena, struct error *err)
{
    static const struct shape field = {"td_field", sizeof(struct td_field), FIRST_SIZE(struct td_field, names), 0};
    static const struct shape name = {"td_name", sizeof(struct td_name), FIRST_SIZE(struct td_name, name), 0};
    int status = copy_table(&field, &dissector->fields, DESCRIPTOR_MAX_FIELDS, arena, err);
    /* The rows are ours and were written just now: dropping const is safe. */
    struct td_field *rows = (struct td_field *)(uintptr_t)dissector->fields.v;
    for (uint32_t i = 0; status == TD_OK && i < dissector->fields.n; i++)
        status = copy_table(&name, &rows[i].names, DESCRIPTOR_MAX_NAMES, arena, err);
    return status;
}

static int copy_dissector(const void *ops, struct td_dissector *dst, struct arena *arena, struct error *err)
{
    static const struct shape dissector = {"td_dissector", sizeof(struct td_dissector), FIRST_SIZE(struct td_dissector, close), 0};
    static const struct shape claim = {"td_claim", sizeof(struct td_claim), FIRST_SIZE(struct td_claim, key), 0};
    static const struct shape point = {"td_point", sizeof(struct td_point), FIRST_SIZE(struct td_point, doc), 0};
    int status = copy_sized(&dissector, ops, dst, err);
    if (status == TD_OK)
        status = copy_fields(dst, arena, err);
    if (status == TD_OK)
        status = copy_table(&claim, &dst->claims, DESCRIPTOR_MAX_CLAIMS, arena, err);
    if (status == TD_OK)
        status = copy_table(&point, &dst->points, DESCRIPTOR_MAX_POINTS, arena, err);
    return status;
}

static int copy_storage(const void *ops, struct plugin_component *component, uint32_t target_minor, struct error *err)
{
    enum { SINCE = 1 };
    static const struct shape storage = {"td_storage", sizeof(struct td_storage), FIRST_SIZE(struct td_storage, path), SINCE};
    if (target_minor < SINCE)
        return error_set(
            err, TD_E_UNSUPPORTED,
            "storage backends are part of plugin ABI %d.%d, but the plugin says that %d.%u is enough; define TD_TARGET_MINOR %d",
            TD_ABI_MAJOR, SINCE, TD_ABI_MAJOR, target_minor, SINCE);
    component->c.ops = &component->storage;
    return copy_sized(&storage, ops, &component->storage, err);
}

static int copy_ops(struct plugin_component *component, uint32_t target_minor, struct arena *arena, struct error *err)
{
    static const struct shape exporter = {"td_exporter", sizeof(struct td_exporter), FIRST_SIZE(struct td_exporter, end), 0};
    const void *ops = component->c.ops;
    if (component->c.kind < TD_KIND_STORAGE || component->c.kind > TD_KIND_EXPORTER)
        return error_set(err, TD_E_UNSUPPORTED, "kind %u is unknown", component->c.kind);
    if (!ops)
        return error_set(err, TD_E_UNSUPPORTED, "it has no functions (ops is NULL)");
    if (component->c.kind == TD_KIND_STORAGE)
        return copy_storage(ops, component, target_minor, err);
    if (component->c.kind == TD_KIND_DISSECTOR) {
        component->c.ops = &component->dissector;
        return copy_dissector(ops, &component->dissector, arena, err);
    }
    component->c.ops = &component->exporter;
    return copy_sized(&exporter, ops, &component->exporter, err);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

/* "dissector "http": " in front of what is wrong with a component. */
static int blame(const struct plugin_component *component, struct error *err)
{
    char quoted[FINDINGS_QUOTE];
    return error_prefix(err, "%s %s: ", plugin_kind_name(component->c.kind),
                        component->c.name ? findings_quote(component->c.name, quoted) : "without a name");
}

static int copy_component(const struct td_component *src, uint32_t target_minor, struct plugin_component *dst, struct arena *arena,
                          struct error *err)
{
    static const struct shape component = {"td_component", sizeof(struct td_component), FIRST_SIZE(struct td_component, ops), 0};
    static const struct shape option = {"td_option", sizeof(struct td_option), FIRST_SIZE(struct td_option, choices), 0};
    int status = copy_sized(&component, src, &dst->c, err);
    if (status != TD_OK)
        return status;
    status = copy_ops(dst, target_minor, arena, err);
    if (status == TD_OK)
        status = copy_table(&option, &dst->c.options, OPTIONS_MAX, arena, err);
    return status == TD_OK ? TD_OK : blame(dst, err);
}

static int copy_components(const struct td_component *const *src, struct arena *arena, struct plugin_file *file, struct error *err)
{
    size_t n = 0;
    while (src && src[n])
        if (++n > DESCRIPTOR_MAX_COMPONENTS)
            return error_set(err, TD_E_UNSUPPORTED, "more than %d components", DESCRIPTOR_MAX_COMPONENTS);
    struct plugin_component *components = arena_alloc(arena, n * sizeof(*components), alignof(struct plugin_component));
    if (!components)
        return error_nomem(err);
    for (size_t i = 0; i < n; i++) {
        int status = copy_component(src[i], file->target_minor, &components[i], arena, err);
        if (status != TD_OK)
            return status;
        components[i].file = file;
    }
    file->components = components;
    file->component_count = n;
    return TD_OK;
}

static int check_components(const struct plugin_file *file, struct error *err)
{
    if (!file->name || !file->version || !file->license)
        return error_set(err, TD_E_UNSUPPORTED, "it lacks its %s", !file->name ? "name" : !file->version ? "version" : "license");
    if (!file->component_count)
        return error_set(err, TD_E_UNSUPPORTED, "it has no components");
    for (size_t i = 0; i < file->component_count; i++) {
        const struct plugin_component *component = &file->components[i];
        int status = component_check(component, file->header_minor, err);
        for (size_t j = 0; j < i && status == TD_OK; j++)
            if (file->components[j].c.kind == component->c.kind && strcmp(file->components[j].c.name, component->c.name) == 0)
                status = error_set(err, TD_E_UNSUPPORTED, "it is there twice in this plugin");
        if (status != TD_OK)
            return blame(component, err);
    }
    return TD_OK;
}

static int read_version(const struct td_plugin *src, struct td_plugin *dst, struct error *err)
{
    static const struct shape plugin = {"td_plugin", sizeof(struct td_plugin), FIRST_SIZE(struct td_plugin, components), 0};
    uint32_t size = src->size;
    int status = check_size(&plugin, size, err);
    if (status != TD_OK)
        return status;
    if (src->target_minor > TD_ABI_MINOR) /* before the tail: this says more */
        return error_set(err, TD_E_UNSUPPORTED, "it needs plugin ABI %d.%u", TD_ABI_MAJOR, src->target_minor);
    if (src->target_minor > src->header_minor)
        return error_set(err, TD_E_UNSUPPORTED, "it needs plugin ABI %d.%u, but was built with the header of %d.%u", TD_ABI_MAJOR,
                         src->target_minor, TD_ABI_MAJOR, src->header_minor);
    return copy_struct(&plugin, src, size, dst, err);
}

int descriptor_read(const struct td_plugin *plugin, struct arena *arena, struct plugin_file *file, struct error *err)
{
    struct td_plugin copy;
    file->step = PLUGIN_VERSION;
    int status = read_version(plugin, &copy, err);
    if (status != TD_OK)
        return status;
    file->name = copy.name;
    file->version = copy.version;
    file->license = copy.license;
    file->target_minor = copy.target_minor;
    file->header_minor = copy.header_minor;
    status = copy_components(copy.components, arena, file, err);
    if (status != TD_OK)
        return status;
    file->step = PLUGIN_TABLES;
    status = check_components(file, err);
    if (status == TD_OK)
        file->step = PLUGIN_LOADED;
    return status;
}

/* ---- Looking ------------------------------------------------------------------------------------------------- */

const char *plugin_kind_name(uint32_t kind)
{
    static const char *const names[] = {"component", "storage plugin", "dissector", "exporter"};
    return names[kind <= TD_KIND_EXPORTER ? kind : 0];
}

const char *plugin_kind_folder(uint32_t kind)
{
    static const char *const names[] = {"", "storage", "dissectors", "exporters"};
    return names[kind <= TD_KIND_EXPORTER ? kind : 0];
}

const struct td_field *plugin_fields(const struct plugin_component *component, size_t *ret_n)
{
    bool has = component->c.kind == TD_KIND_DISSECTOR;
    *ret_n = has ? component->dissector.fields.n : 0;
    return has ? component->dissector.fields.v : NULL;
}

struct options plugin_options(const struct plugin_component *component, char owner[PLUGIN_OWNER])
{
    snprintf(owner, PLUGIN_OWNER, "%s \"%s\"", plugin_kind_name(component->c.kind), component->c.name);
    return (struct options){.v = component->c.options.v, .n = component->c.options.n, .owner = owner};
}
