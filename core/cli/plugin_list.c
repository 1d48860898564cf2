#include "plugin_list.h"

#include "cli/cli.h"
#include "cli/table.h"
#include "plugin/registry_list.h"

static void put_table_row(void *ctx, const struct registry_row *row)
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
    registry_each_row(registry, put_table_row, &table);
    table_put(&table, 0, out);
    table_clear(&table);
    const struct plugin_file *const *files = registry_files(registry, &n);
    for (size_t i = 0; i < n; i++)
        if (files[i]->reason) {
            buf_puts(out, files[i]->shadowed ? "\nhidden:\n" : "\nrefused:\n");
            cli_wrap(out, files[i]->reason, 2, width);
        }
}

void plugin_list_json(const struct registry *registry, struct buf *out)
{
    registry_put_json(out, registry);
}
