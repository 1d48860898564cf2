/* `tapedeck fields`: the field registry, for people, for programs, and as the page of the documentation. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "call/registry.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/table.h"
#include "dissect/enabled.h"

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_MARKDOWN };

struct fields_args {
    const char *config_path, *pattern;
    enum output output;
};

const char fields_usage[] =
    "Usage: tapedeck fields [OPTION]... [PART]\n\n"
    "Lists the fields that calls have: the core's and those of the dissectors that are enabled. They are what filters, columns\n"
    "and exports know. With PART, only those whose name or description contains it.\n\n"
    "  -o, --output FORMAT   table (default), json or markdown\n"
    "  -c, --config FILE     the configuration; without it, built-in defaults\n"
    "  -h, --help            this text\n";

static int parse_args(int argc, char **argv, struct fields_args *args)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    static const char *const outputs[] = {"table", "json", "markdown"};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
        int i = 0;
        switch (option) {
        case 'h': fputs(fields_usage, stdout); return -1;
        case 'c': args->config_path = optarg; break;
        case 'o':
            while (i < 3 && strcmp(optarg, outputs[i]) != 0)
                i++;
            if (i == 3)
                return cli_usage("fields ", "there is no output \"%s\": table, json or markdown", optarg);
            args->output = (enum output)i;
            break;
        default: return cli_bad_option("fields ", argv);
        }
    }
    if (argc - optind > 1)
        return cli_usage("fields ", "\"%s\" is one word too many", argv[optind + 1]);
    args->pattern = argv[optind];
    return CLI_OK;
}

static bool is_wanted(const struct registry_field *f, const char *pattern)
{
    return !pattern || strcasestr(f->name, pattern) || strcasestr(f->doc, pattern);
}

static void put_table(struct buf *out, const struct field_registry *fields, const char *pattern)
{
    struct table table;
    table_init(&table, 4);
    table_cell(&table, "FIELD");
    table_cell(&table, "TYPE");
    table_cell(&table, "OF");
    table_cell(&table, "MEANING");
    for (uint32_t i = 0; i < field_registry_count(fields); i++) {
        const struct registry_field *f = field_registry_at(fields, i);
        if (!is_wanted(f, pattern))
            continue;
        table_cell(&table, f->name);
        table_cell(&table, registry_type_name(f->type));
        table_cell(&table, f->owner);
        table_cell(&table, f->doc);
    }
    table_put(&table, 0, out);
    table_clear(&table);
}

/* Characters that end a cell or begin markup. */
static void put_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("|\\<*_`[", *text))
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
}

static void put_markdown(struct buf *out, const struct field_registry *fields, const char *pattern)
{
    buf_puts(out, "# Fields\n\nMade by `tapedeck fields -o markdown`. A call that lacks a field has \"\", 0, false or an empty list in it\n"
                  "unless another value stands here; `has(FIELD)` tells the two apart. Payloads are no part of filters.\n\n"
                  "| field | type | of | meaning |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < field_registry_count(fields); i++) {
        const struct registry_field *f = field_registry_at(fields, i);
        if (!is_wanted(f, pattern))
            continue;
        buf_printf(out, "| `%s` | %s | ", f->name, registry_type_name(f->type));
        put_cell(out, f->owner);
        buf_puts(out, " | ");
        put_cell(out, f->doc);
        for (uint32_t k = 0; f->values && f->values[k]; k++)
            buf_printf(out, "%s`%s`", k ? ", " : " One of ", f->values[k]);
        if (f->values)
            buf_putc(out, '.');
        if (f->absent)
            buf_printf(out, " %lld if absent.", (long long)f->absent);
        if (f->payload)
            buf_puts(out, " Payload.");
        if (f->sensitive)
            buf_puts(out, " Sensitive.");
        buf_puts(out, " |\n");
    }
}

static int put(const struct field_registry *fields, const struct fields_args *args)
{
    struct buf out;
    buf_init(&out, 0);
    switch (args->output) {
    case OUTPUT_TABLE: put_table(&out, fields, args->pattern); break;
    case OUTPUT_MARKDOWN: put_markdown(&out, fields, args->pattern); break;
    case OUTPUT_JSON:
        field_registry_put_json(&out, fields);
        buf_putc(&out, '\n');
        break;
    }
    int code = cli_write(&out);
    buf_clear(&out);
    return code;
}

int cmd_fields(int argc, char **argv)
{
    struct fields_args args = {0};
    struct setup setup;
    struct enabled_dissectors dissectors;
    struct field_registry *fields = NULL;
    struct error err;
    int code = parse_args(argc, argv, &args);
    if (code != CLI_OK)
        return code < 0 ? CLI_OK : code;
    code = setup_open(args.config_path, &setup);
    if (code != CLI_OK)
        return code;
    int status = enabled_dissectors_open(&dissectors, setup.config, setup.registry, &err);
    if (status == TD_OK) {
        status = enabled_dissectors_fields(&dissectors, &fields, &err);
        code = status == TD_OK ? put(fields, &args) : CLI_FAILURE;
        field_registry_free(fields);
        enabled_dissectors_close(&dissectors);
    }
    if (status != TD_OK)
        code = cli_fail(&err);
    setup_close(&setup);
    return code;
}
