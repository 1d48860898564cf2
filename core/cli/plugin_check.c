#include "plugin_check.h"

#include "plugin/host.h"
#include "plugin/instance.h"
#include "plugin/loader.h"

/* An option without which nothing can be created, or NULL. */
static const char *required_option(const struct plugin_component *component)
{
    const struct td_option *rows = component->c.options.v;
    for (uint32_t i = 0; i < component->c.options.n; i++)
        if (rows[i].flags & TD_OPT_REQUIRED)
            return rows[i].name;
    return NULL;
}

/* Creates with the options of the configuration and destroys, twice at once: instances must not share anything. */
static bool check_create(const struct plugin_component *component, const struct config *config, struct buf *out)
{
    const struct yaml_node *node = config_component(config, component->c.kind, component->c.name);
    struct td_inst *first = NULL, *second = NULL;
    struct td_host host;
    struct error err;
    const char *required = node ? NULL : required_option(component);
    if (required) {
        buf_printf(out, "-      %s %s: not created: the configuration (-c FILE) does not have its option \"%s\"\n",
                   plugin_kind_name(component->c.kind), component->c.name, required);
        return true;
    }
    host_init_control(&host);
    int status = instance_create(component, node, &host, &first, &err);
    if (status == TD_OK)
        status = instance_create(component, node, &host, &second, &err);
    instance_destroy(second);
    instance_destroy(first);
    buf_printf(out, "%s %s %s: two instances created and destroyed%s%s\n", status == TD_OK ? "ok    " : "FAILED",
               plugin_kind_name(component->c.kind), component->c.name, status == TD_OK ? "" : ": ", status == TD_OK ? "" : err.text);
    return status == TD_OK;
}

bool plugin_check(const char *path, const struct config *config, struct buf *out)
{
    static const char *const steps[] = {
        [PLUGIN_TRUST] = "the file and its directories cannot be written by others",
        [PLUGIN_OPEN] = "the dynamic linker takes it",
        [PLUGIN_SYMBOL] = "it is a plugin of this ABI major",
        [PLUGIN_VERSION] = "the sizes of its structs and its ABI minor fit",
        [PLUGIN_TABLES] = "its names, functions, options, fields and claims are sound",
    };
    struct arena arena;
    struct plugin_file file;
    struct error err;
    arena_init(&arena, 64 << 20);
    bool sound = loader_load(path, &arena, &file, &err) == TD_OK;
    for (int step = PLUGIN_TRUST; step < PLUGIN_LOADED && step <= (int)file.step; step++)
        buf_printf(out, "%s %s\n", step < (int)file.step ? "ok    " : "FAILED", steps[step]);
    if (!sound)
        buf_printf(out, "%s\n", err.text);
    for (size_t i = 0; sound && i < file.component_count; i++)
        sound = check_create(&file.components[i], config, out);
    arena_clear(&arena);
    return sound;
}
