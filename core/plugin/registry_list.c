#include "plugin/registry_list.h"

#include <stdio.h>

#include "base/json.h"

static void fill_row(struct registry_row *row, const struct plugin_file *file, const struct plugin_component *component)
{
    *row = (struct registry_row){.file = file, .state = !file->reason ? "loaded" : file->shadowed ? "hidden" : "refused"};
    if (component) {
        snprintf(row->name, sizeof(row->name), "%s", component->c.name);
        row->kind = plugin_kind_name(component->c.kind);
    } else { /* "dissectors/http.so": the name that it would have had */
        const char *base = strrchr(file->slot, '/') + 1;
        snprintf(row->name, sizeof(row->name), "%.*s", (int)(strlen(base) - strlen(".so")), base);
    }
    row->version = file->version;
    if (file->version)
        snprintf(row->abi, sizeof(row->abi), "%d.%u", TD_ABI_MAJOR, file->target_minor);
}

void registry_each_row(const struct registry *registry, void (*put)(void *ctx, const struct registry_row *), void *ctx)
{
    struct registry_row row;
    size_t n;
    const struct plugin_component *const *components = registry_components(registry, 0, &n);
    for (size_t i = 0; i < n; i++) {
        fill_row(&row, components[i]->file, components[i]);
        put(ctx, &row);
    }
    const struct plugin_file *const *files = registry_files(registry, &n);
    for (size_t i = 0; i < n; i++)
        if (files[i]->reason) {
            fill_row(&row, files[i], NULL);
            put(ctx, &row);
        }
}

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, td_str(value));
}

static void put_json_row(void *ctx, const struct registry_row *row)
{
    struct buf *out = ctx;
    bool first = !out->n || out->p[out->n - 1] == '['; /* empty: out of memory */
    buf_puts(out, first ? "\n {\"name\":" : ",\n {\"name\":");
    json_put_string(out, td_str(row->name));
    put_member(out, "kind", row->kind);
    put_member(out, "version", row->version);
    put_member(out, "abi", row->abi);
    put_member(out, "state", row->state);
    put_member(out, "file", row->file->path);
    put_member(out, "reason", row->file->reason);
    buf_putc(out, '}');
}

void registry_put_json(struct buf *out, const struct registry *registry)
{
    buf_putc(out, '[');
    registry_each_row(registry, put_json_row, out);
    buf_puts(out, "\n]\n");
}
