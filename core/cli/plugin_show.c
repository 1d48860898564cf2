#include "plugin_show.h"

#include <stdio.h>

#include "base/nearest.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/options_help.h"
#include "cli/table.h"

/* ---- Which component ----------------------------------------------------------------------------------------- */

static bool is_named(const struct plugin_component *component, const char *name)
{
    const char *folder = plugin_kind_folder(component->c.kind);
    size_t n = strlen(folder);
    if (strncmp(name, folder, n) == 0 && name[n] == '/')
        name += n + 1;
    return strcmp(component->c.name, name) == 0;
}

static int fail_unknown(const struct registry *registry, const char *name)
{
    struct nearest near;
    size_t n;
    const struct plugin_component *const *components = registry_components(registry, 0, &n);
    nearest_init(&near, name);
    for (size_t i = 0; i < n; i++)
        nearest_try(&near, components[i]->c.name);
    if (near.best)
        cli_error("there is no plugin \"%s\"; did you mean \"%s\"?", name, near.best);
    else
        cli_error("there is no plugin \"%s\"; `tapedeck plugin list` lists all", name);
    return CLI_NOT_FOUND;
}

/* Calls `put` for each component of that name; one kind's name may be another's, too. */
static int each_named(const struct registry *registry, const char *name, size_t width, struct buf *out,
                      void (*put)(const struct plugin_component *, size_t width, struct buf *out))
{
    size_t n, found = 0;
    const struct plugin_component *const *components = registry_components(registry, 0, &n);
    for (size_t i = 0; i < n; i++) {
        if (!is_named(components[i], name))
            continue;
        if (found++)
            buf_putc(out, '\n');
        put(components[i], width, out);
    }
    return found ? CLI_OK : fail_unknown(registry, name);
}

/* ---- show ---------------------------------------------------------------------------------------------------- */

static void put_claims(const struct td_dissector *d, struct buf *out)
{
    const struct td_claim *claims = d->claims.v;
    if (d->claims.n)
        buf_puts(out, "\nClaims:\n");
    for (uint32_t i = 0; i < d->claims.n; i++) {
        const struct td_claim *c = &claims[i];
        const char *transport = c->on == TD_ON_TCP ? "tcp" : "udp";
        if (c->on == TD_ON_POINT)
            buf_printf(out, "  point %s %s%s%s\n", c->point, c->key ? "\"" : "", c->key ? c->key : "any key", c->key ? "\"" : "");
        else if (!c->port_lo)
            buf_printf(out, "  %s, any port, by content\n", transport);
        else if (c->port_lo == c->port_hi)
            buf_printf(out, "  %s port %u\n", transport, c->port_lo);
        else
            buf_printf(out, "  %s ports %u to %u\n", transport, c->port_lo, c->port_hi);
    }
}

static const char *field_type(const struct td_field *field, char out[32])
{
    static const char *const names[] = {"?",       "bool", "unsigned", "integer", "string", "bytes",
                                        "address", "time", "duration", "enum",    "map"};
    snprintf(out, 32, "%s%s", field->flags & TD_F_LIST ? "list of " : "", names[field->type]);
    return out;
}

static const char *field_flags(const struct td_field *field, char out[96])
{
    static const char *const names[] = {"request", "response", NULL, "sensitive", "body", "method", "target", "status"};
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i] && field->flags & 1u << i)
            n += (size_t)snprintf(out + n, 96 - n, "%s%s", n ? ", " : "", names[i]);
    return out;
}

static void put_fields(const struct td_dissector *d, struct buf *out)
{
    static const char *const heads[] = {"NAME", "TYPE", "FLAGS", "MEANING"};
    const struct td_field *fields = d->fields.v;
    struct table table;
    table_init(&table, 4);
    for (size_t i = 0; i < 4; i++)
        table_cell(&table, heads[i]);
    for (uint32_t i = 0; i < d->fields.n; i++) {
        char type[32], flags[96];
        table_cell(&table, fields[i].name);
        table_cell(&table, field_type(&fields[i], type));
        table_cell(&table, field_flags(&fields[i], flags));
        table_cell(&table, fields[i].doc);
    }
    if (d->fields.n) {
        buf_puts(out, "\nFields:\n");
        table_put(&table, 2, out);
    }
    table_clear(&table);
}

static void put_points(const struct td_dissector *d, struct buf *out)
{
    const struct td_point *points = d->points.v;
    if (d->points.n)
        buf_puts(out, "\nPoints where other dissectors take over:\n");
    for (uint32_t i = 0; i < d->points.n; i++)
        buf_printf(out, "  %s  %s\n", points[i].name, points[i].doc);
}

static void put_storage(const struct td_storage *s, struct buf *out)
{
    buf_printf(out, "  objects  %s\n", s->path ? "as files, which can be read in place" : "read and written through the plugin only");
    if (s->put_file)
        buf_puts(out, "  files    taken over without a copy where that can be\n");
}

static void put_component(const struct plugin_component *component, size_t width, struct buf *out)
{
    const struct plugin_file *file = component->file;
    buf_printf(out, "%s %s\n", plugin_kind_name(component->c.kind), component->c.name);
    cli_wrap(out, component->c.summary, 2, width);
    buf_printf(out, "\n  plugin   %s %s\n  license  %s\n  file     %s\n", file->name, file->version, file->license, file->path);
    if (file->built_ns) {
        char built[UNITS_TEXT];
        units_format_time(file->built_ns, built);
        buf_printf(out, "  built    %.19sZ\n", built);
    }
    buf_printf(out, "  ABI      needs %d.%u, built with the header of %d.%u\n", TD_ABI_MAJOR, file->target_minor, TD_ABI_MAJOR,
               file->header_minor);
    if (component->c.kind == TD_KIND_DISSECTOR) {
        put_claims(&component->dissector, out);
        put_fields(&component->dissector, out);
        put_points(&component->dissector, out);
    } else if (component->c.kind == TD_KIND_EXPORTER) {
        buf_printf(out, "  output   %s, %s\n", component->exporter.media_type, component->exporter.suffix);
    } else {
        put_storage(&component->storage, out);
    }
    if (component->c.options.n)
        buf_printf(out, "\n%u options: tapedeck plugin help %s\n", component->c.options.n, component->c.name);
}

int plugin_show(const struct registry *registry, const char *name, size_t width, struct buf *out)
{
    return each_named(registry, name, width, out, put_component);
}

/* ---- help ---------------------------------------------------------------------------------------------------- */

static void put_options(const struct plugin_component *component, size_t width, struct buf *out)
{
    const char *kind = plugin_kind_name(component->c.kind), *name = component->c.name;
    if (!component->c.options.n) {
        buf_printf(out, "%s %s has no options.\n", kind, name);
        return;
    }
    const char *section = component->c.kind == TD_KIND_STORAGE ? "snapshots.cloud" : plugin_kind_folder(component->c.kind);
    buf_printf(out, "Options of %s %s; in the configuration under tap.%s.%s:\n\n", kind, name, section, name);
    options_help_put(out, component->c.options.v, component->c.options.n, width);
}

int plugin_help(const struct registry *registry, const char *name, size_t width, struct buf *out)
{
    return each_named(registry, name, width, out, put_options);
}
