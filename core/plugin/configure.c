#include "configure.h"

#include <stdalign.h>

#include "base/nearest.h"
#include "plugin/instance.h"

/* ---- Checking ------------------------------------------------------------------------------------------------ */

/* A file of that name was found, but refused: then the name is no typing error. */
static const struct plugin_file *find_refused(const struct registry *registry, uint32_t kind, const char *name)
{
    char slot[PLUGIN_OWNER];
    size_t n;
    const struct plugin_file *const *files = registry_files(registry, &n);
    snprintf(slot, sizeof(slot), "%s/%s.so", plugin_kind_folder(kind), name);
    for (size_t i = 0; i < n; i++)
        if (files[i]->reason && !files[i]->shadowed && strcmp(files[i]->slot, slot) == 0)
            return files[i];
    return NULL;
}

/* The component, or NULL and an error that says which there are. */
static const struct plugin_component *find_component(const struct registry *registry, uint32_t kind, const char *name,
                                                     const struct yaml_node *where, struct findings *f)
{
    const struct plugin_component *found = registry_find(registry, kind, name);
    if (found)
        return found;
    char quoted[FINDINGS_QUOTE], all[200] = "";
    struct nearest near;
    size_t n, length = 0;
    const struct plugin_component *const *components = registry_components(registry, kind, &n);
    nearest_init(&near, name);
    for (size_t i = 0; i < n; i++) {
        nearest_try(&near, components[i]->c.name);
        if (length < sizeof(all))
            length += (size_t)snprintf(all + length, sizeof(all) - length, "%s%s", i ? ", " : "", components[i]->c.name);
    }
    findings_quote(name, quoted);
    const struct plugin_file *refused = find_refused(registry, kind, name);
    if (refused)
        findings_error(f, where, "there is no %s %s: its plugin was refused: %s", plugin_kind_name(kind), quoted, refused->reason);
    else if (near.best)
        findings_error(f, where, "there is no %s %s; did you mean \"%s\"?", plugin_kind_name(kind), quoted, near.best);
    else
        findings_error(f, where, "there is no %s %s; available: %s%s", plugin_kind_name(kind), quoted, n ? all : "none",
                       length < sizeof(all) ? "" : "...");
    return NULL;
}

/* A component's config struct and what it points to. */
struct filled {
    struct arena arena;
    void *config;
};

static void fill_component(const struct plugin_component *component, const struct yaml_node *node, struct filled *ret, struct findings *f)
{
    char owner[PLUGIN_OWNER];
    struct options options = plugin_options(component, owner);
    arena_init(&ret->arena, INSTANCE_MAX_CONFIG_BYTES);
    ret->config = arena_alloc(&ret->arena, component->c.config_size, alignof(max_align_t));
    if (ret->config) {
        options_fill(&options, node, ret->config, &ret->arena, f);
    } else {
        struct error why;
        error_nomem(&why);
        findings_add(f, NULL, &why);
    }
}

static void check_options(const struct plugin_component *component, const struct yaml_node *node, struct findings *f)
{
    struct filled filled;
    fill_component(component, node, &filled, f);
    arena_clear(&filled.arena);
}

static const struct td_option *own_option(const struct config_section *section, const char *name)
{
    for (size_t i = 0; i < section->n; i++)
        if (strcmp(section->v[i].name, name) == 0)
            return &section->v[i];
    return NULL;
}

static void check_section(const struct config *config, const struct registry *registry, const struct config_section *section,
                          struct findings *f)
{
    const struct yaml_node *map = config_node(config, section->path);
    const char *provider = section->kind == TD_KIND_STORAGE ? config->cloud_snapshots.provider : NULL;
    if (!section->kind || !map || map->kind != YAML_MAP)
        return;
    for (uint32_t i = 0; i < map->n; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        const char *name = entry->key->text;
        if (own_option(section, name))
            continue;
        if (provider && strcmp(provider, name) == 0 && !registry_find(registry, section->kind, name))
            continue; /* told at the provider */
        const struct plugin_component *component = find_component(registry, section->kind, name, entry->key, f);
        if (component)
            check_options(component, entry->value, f);
    }
}

static void check_provider(const struct config *config, const struct registry *registry, struct findings *f)
{
    const char *provider = config->cloud_snapshots.provider;
    const struct yaml_node *cloud = config_node(config, "tap.snapshots.cloud");
    if (!provider || !*provider)
        return;
    const struct plugin_component *component = find_component(registry, TD_KIND_STORAGE, provider, yaml_get(cloud, "provider"), f);
    if (component && !yaml_get(cloud, provider)) /* else it is checked with its section */
        check_options(component, NULL, f);
}

static void check_dissectors(const struct config *config, const struct registry *registry, struct findings *f)
{
    const struct td_strlist *enabled = &config->tap.enabled_dissectors;
    const struct yaml_node *list = yaml_get(config_node(config, "tap"), "enabledDissectors");
    for (size_t i = 0; i < enabled->n; i++)
        (void)find_component(registry, TD_KIND_DISSECTOR, enabled->v[i], yaml_item(list, i), f);
    size_t n;
    const struct plugin_component *const *components = registry_components(registry, TD_KIND_DISSECTOR, &n);
    for (size_t i = 0; i < n; i++) /* those with a section of their own are checked there */
        if (config_dissector_enabled(config, components[i]->c.name) && !config_component(config, TD_KIND_DISSECTOR, components[i]->c.name))
            check_options(components[i], NULL, f);
}

static void check_decode_rules(const struct config *config, const struct registry *registry, struct findings *f)
{
    const struct yaml_node *list = yaml_get(config_node(config, "tap.dissection"), "decodeAs");
    for (size_t i = 0; i < config->decode_rule_count; i++) {
        const char *name = config->decode_rules[i].dissector;
        const struct yaml_node *where = yaml_item(list, i);
        if (find_component(registry, TD_KIND_DISSECTOR, name, where, f) && !config_dissector_enabled(config, name))
            findings_error(f, where, "dissector \"%s\" is not among tap.enabledDissectors", name);
    }
}

void configure_check(const struct config *config, const struct registry *registry, struct findings *f)
{
    size_t n;
    const struct config_section *sections = config_sections(&n);
    check_dissectors(config, registry, f);
    check_provider(config, registry, f);
    for (size_t i = 0; i < n; i++)
        check_section(config, registry, &sections[i], f);
    check_decode_rules(config, registry, f);
}

/* ---- Showing ------------------------------------------------------------------------------------------------- */

static void indent(struct buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buf_puts(out, "  ");
}

static void show_option(struct buf *out, size_t depth, const struct td_option *option, const void *values)
{
    indent(out, depth);
    buf_printf(out, "%s: ", option->name);
    options_put_value(out, option, values);
    buf_putc(out, '\n');
}

static int show_component(const struct config *config, const struct plugin_component *component, size_t depth, struct buf *out,
                          struct error *err)
{
    struct filled filled;
    struct findings f;
    findings_init(&f);
    fill_component(component, config_component(config, component->c.kind, component->c.name), &filled, &f);
    /* Not configured, and not usable without: nothing is in force. */
    int status = f.errors ? (f.status == TD_E_NOMEM ? error_nomem(err) : TD_OK) : TD_OK;
    if (!f.errors) {
        const struct td_option *rows = component->c.options.v;
        indent(out, depth);
        buf_printf(out, "%s:%s\n", component->c.name, component->c.options.n ? "" : " {}");
        for (uint32_t i = 0; i < component->c.options.n; i++)
            show_option(out, depth + 1, &rows[i], filled.config);
    }
    arena_clear(&filled.arena);
    return status;
}

/* Is its configuration in force: is it in use, or spoken of? */
static bool in_force(const struct config *config, const struct plugin_component *component)
{
    const char *name = component->c.name, *provider = config->cloud_snapshots.provider;
    if (config_component(config, component->c.kind, name))
        return true;
    if (component->c.kind == TD_KIND_STORAGE)
        return provider && strcmp(provider, name) == 0;
    return component->c.kind != TD_KIND_DISSECTOR || config_dissector_enabled(config, name);
}

/* The dissectors in use by name, also where the file does not list them; NULL when memory is short. */
static const char **enabled_names(const struct config *config, const struct registry *registry, struct arena *arena, size_t *ret_n)
{
    size_t n, enabled = 0;
    const struct plugin_component *const *components = registry_components(registry, TD_KIND_DISSECTOR, &n);
    const char **names = arena_alloc(arena, n * sizeof(names[0]), alignof(const char *));
    for (size_t i = 0; names && i < n; i++)
        if (config_dissector_enabled(config, components[i]->c.name))
            names[enabled++] = components[i]->c.name;
    *ret_n = enabled;
    return names;
}

static int show_section(const struct config *config, const struct registry *registry, const struct config_section *section, struct buf *out,
                        struct error *err)
{
    const char *name = strrchr(section->path, '.');
    size_t depth = 0, n;
    for (const char *s = section->path; *s; s++)
        depth += *s == '.';
    indent(out, depth);
    buf_printf(out, "%s:\n", name ? name + 1 : section->path);
    const void *values = (const uint8_t *)config + section->offset;
    for (size_t i = 0; i < section->n; i++)
        show_option(out, depth + 1, &section->v[i], values);
    if (!section->kind)
        return TD_OK;
    const struct plugin_component *const *components = registry_components(registry, section->kind, &n);
    int status = TD_OK;
    for (size_t i = 0; i < n && status == TD_OK; i++)
        if (in_force(config, components[i]))
            status = show_component(config, components[i], depth + 1, out, err);
    return status;
}

int configure_show(const struct config *config, const struct registry *registry, struct buf *out, struct error *err)
{
    size_t n;
    const struct config_section *sections = config_sections(&n);
    struct config shown = *config; /* with what the defaults amount to */
    struct arena arena;
    arena_init(&arena, INSTANCE_MAX_CONFIG_BYTES);
    shown.tap.enabled_dissectors.v = enabled_names(config, registry, &arena, &shown.tap.enabled_dissectors.n);
    int status = shown.tap.enabled_dissectors.v ? TD_OK : error_nomem(err);
    for (size_t i = 0; i < n && status == TD_OK; i++)
        status = show_section(&shown, registry, &sections[i], out, err);
    arena_clear(&arena);
    return status == TD_OK && out->failed ? error_nomem(err) : status;
}
