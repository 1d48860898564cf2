#include "plugin_list.h"

#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/table.h"

/* A component, or a file that is not used. */
struct row {
    char name[256], abi[24];
    const char *kind, *version, *state;
    const struct plugin_file *file;
};

static void fill_row(struct row *row, const struct plugin_file *file, const struct plugin_component *component)
{
    *row = (struct row){.file = file, .state = !file->reason ? "loaded" : file->shadowed ? "hidden" : "refused"};
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

/* Calls `put` for each row. */
static void each_row(const struct registry *registry, void (*put)(void *ctx, const struct row *), void *ctx)
{
    struct row row;
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

static void put_table_row(void *ctx, const struct row *row)
{
    const char *const cells[] = {row->name, row->kind, row->version, row->abi, row->state, row->file->path};
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        table_cell(ctx, cells[i]);
}

void plugin_list_table(const struct registry *registry, size_t width, struct buf *out)
{
    static const char *const heads[] = {"NAME", "KIND", "VERSION", "ABI", "STATE", "FILE"};
    enum { COLUMNS = sizeof(heads) / sizeof(heads[0]) };
    struct table table;
    size_t n;
    table_init(&table, COLUMNS);
    for (size_t i = 0; i < COLUMNS; i++)
        table_cell(&table, heads[i]);
    each_row(registry, put_table_row, &table);
    table_put(&table, 0, out);
    table_clear(&table);
    const struct plugin_file *const *files = registry_files(registry, &n);
    for (size_t i = 0; i < n; i++)
        if (files[i]->reason) {
            buf_puts(out, files[i]->shadowed ? "\nhidden:\n" : "\nrefused:\n");
            cli_wrap(out, files[i]->reason, 2, width);
        }
}

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, td_str(value));
}

static void put_json_row(void *ctx, const struct row *row)
{
    struct buf *out = ctx;
    buf_puts(out, out->n > 1 ? ",\n {\"name\":" : "\n {\"name\":");
    json_put_string(out, td_str(row->name));
    put_member(out, "kind", row->kind);
    put_member(out, "version", row->version);
    put_member(out, "abi", row->abi);
    put_member(out, "state", row->state);
    put_member(out, "file", row->file->path);
    put_member(out, "reason", row->file->reason);
    buf_putc(out, '}');
}

void plugin_list_json(const struct registry *registry, struct buf *out)
{
    buf_putc(out, '[');
    each_row(registry, put_json_row, out);
    buf_puts(out, "\n]\n");
}
