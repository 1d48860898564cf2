/* `tapedeck filter`: is a filter right, what does it mean to the program, what may stand in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/setup.h"
#include "cli/table.h"
#include "dissect/enabled.h"
#include "filter/complete.h"
#include "filter/explain.h"
#include "filter/scan.h"
#include "filter/filter.h"
#include "filter/print.h"

enum { COMPLETION_MEMORY = 16 << 20 };

/* Runs what needs the fields of the dissectors that are enabled. */
static int with_fields(const struct verb_args *args, int (*run)(const struct field_registry *, const struct verb_args *))
{
    struct setup setup;
    struct enabled_dissectors dissectors;
    struct field_registry *fields = NULL;
    struct error err;
    int code = setup_open(args->config_path, &setup);
    if (code != CLI_OK)
        return code;
    int status = enabled_dissectors_open(&dissectors, setup.config, setup.registry, &err);
    if (status == TD_OK) {
        status = enabled_dissectors_fields(&dissectors, &fields, &err);
        if (status == TD_OK)
            code = run(fields, args);
        field_registry_free(fields);
        enabled_dissectors_close(&dissectors);
    }
    if (status != TD_OK)
        code = cli_fail(&err);
    setup_close(&setup);
    return code;
}

/* A filter compiled for a look at it; *ret is NULL if it cannot be. The exit code. */
static int compile(const struct field_registry *fields, const char *text, struct filter **ret, struct filter_diagnostics *diagnostics)
{
    struct error err;
    *ret = NULL;
    int status = filter_compile(fields, td_str(text), clock_ns(CLOCK_REALTIME), ret, diagnostics, &err);
    if (status == TD_E_CONFIG && diagnostics->fault_n)
        return CLI_USAGE;
    return status == TD_OK ? CLI_OK : cli_fail(&err);
}

/* {"ok":true,"filter":"canonical text","diagnostics":[..]} */
static void put_check_json(struct buf *out, const struct filter *filter, const struct filter_diagnostics *diagnostics, const char *text)
{
    struct buf canonical;
    buf_printf(out, "{\"ok\":%s,", filter ? "true" : "false");
    if (filter) {
        buf_init(&canonical, 0);
        filter_put_text(&canonical, filter);
        buf_lit(out, "\"filter\":");
        json_put_string(out, buf_slice(&canonical));
        buf_putc(out, ',');
        buf_clear(&canonical);
    }
    buf_lit(out, "\"diagnostics\":");
    filter_diagnostics_put_json(out, diagnostics, td_str(text));
    buf_lit(out, "}\n");
}

static int check(const struct field_registry *fields, const struct verb_args *args)
{
    const char *text = args->operands[0];
    struct filter_diagnostics diagnostics;
    struct filter *filter;
    struct buf out;
    filter_diagnostics_init(&diagnostics);
    buf_init(&out, 0);
    int code = compile(fields, text, &filter, &diagnostics);
    if (args->json && (code == CLI_OK || code == CLI_USAGE)) {
        put_check_json(&out, filter, &diagnostics, text);
    } else {
        filter_diagnostics_put_text(&out, &diagnostics, td_str(text));
        if (code == CLI_OK)
            buf_lit(&out, "ok\n");
    }
    int written = cli_write(&out);
    buf_clear(&out);
    filter_free(filter);
    filter_diagnostics_clear(&diagnostics);
    return code == CLI_OK ? written : code;
}

/* How a call store is searched with it. */
static int put_scan(struct buf *out, const struct filter *filter, const struct field_registry *fields)
{
    struct filter_scan *scan;
    struct error err;
    if (filter_scan_new(filter, fields, &scan, &err) != TD_OK)
        return cli_fail(&err);
    buf_puts(out, "over a call store\n");
    filter_scan_explain(out, scan);
    filter_scan_free(scan);
    return CLI_OK;
}

static int explain(const struct field_registry *fields, const struct verb_args *args)
{
    const char *text = args->operands[0];
    struct filter_diagnostics diagnostics;
    struct filter *filter;
    struct buf out;
    filter_diagnostics_init(&diagnostics);
    buf_init(&out, 0);
    int code = compile(fields, text, &filter, &diagnostics);
    filter_diagnostics_put_text(&out, &diagnostics, td_str(text));
    fwrite(out.p, 1, out.n, stderr);
    buf_reset(&out);
    if (code == CLI_OK && args->json) {
        filter_explain_put_json(&out, filter);
        buf_putc(&out, '\n');
    } else if (code == CLI_OK) {
        filter_explain_put_text(&out, filter);
        code = put_scan(&out, filter, fields);
    }
    if (code == CLI_OK)
        code = cli_write(&out);
    buf_clear(&out);
    filter_free(filter);
    filter_diagnostics_clear(&diagnostics);
    return code;
}

static void put_candidates(struct buf *out, const struct filter_completion *completion)
{
    struct table table;
    table_init(&table, 4);
    table_cell(&table, "TEXT");
    table_cell(&table, "KIND");
    table_cell(&table, "TYPE");
    table_cell(&table, "MEANING");
    for (uint32_t i = 0; i < completion->n; i++) {
        table_cell(&table, completion->v[i].text);
        table_cell(&table, filter_candidate_kind_name(completion->v[i].kind));
        table_cell(&table, completion->v[i].type);
        table_cell(&table, completion->v[i].doc);
    }
    table_put(&table, 0, out);
    table_clear(&table);
}

static int complete(const struct field_registry *fields, const struct verb_args *args)
{
    struct filter_completion completion;
    const char *text = args->operands[0];
    struct filter_env env = filter_registry_env(fields);
    struct arena arena;
    struct buf out;
    size_t at = strlen(text);
    char *end = NULL;
    if (args->at) {
        unsigned long long offset = strtoull(args->at, &end, 10);
        if (*args->at < '0' || *args->at > '9' || *end || offset > at)
            return cli_usage("filter complete ", "\"%s\" is no place in the filter: a number of bytes, up to %zu", args->at, at);
        at = (size_t)offset;
    }
    arena_init(&arena, COMPLETION_MEMORY);
    buf_init(&out, 0);
    int code = CLI_OK;
    if (filter_complete(&env, td_str(text), at, &arena, &completion) != TD_OK) {
        struct error err;
        error_nomem(&err);
        code = cli_fail(&err);
    } else if (args->json) {
        filter_completion_put_json(&out, &completion);
        buf_putc(&out, '\n');
    } else {
        put_candidates(&out, &completion);
    }
    if (code == CLI_OK)
        code = cli_write(&out);
    buf_clear(&out);
    arena_clear(&arena);
    return code;
}

static int run_check(const struct verb_args *args)
{
    return with_fields(args, check);
}

static int run_explain(const struct verb_args *args)
{
    return with_fields(args, explain);
}

static int run_complete(const struct verb_args *args)
{
    return with_fields(args, complete);
}

static const struct verb_option option_at = {
    "at", 0, "OFFSET", NULL, "the place, as a number of bytes; without it, the end", PLACE_TEXT, offsetof(struct verb_args, at)};
static const struct verb_option *const filter_options[] = {&option_config, &option_output_json, NULL};
static const struct verb_option *const complete_options[] = {&option_config, &option_output_json, &option_at, NULL};

static const struct verb verbs[] = {
    {"check", "FILTER", "Check a filter: what is wrong, where, and what to write instead", 1, 1, filter_options, PLACE_TEXT, NULL,
     run_check},
    {"explain", "FILTER", "Show a filter as plain CEL, the fields it reads, its types and costs", 1, 1, filter_options, PLACE_TEXT, NULL,
     run_explain},
    {"complete", "FILTER", "List what may stand at the end of a filter, or at a place in it", 1, 1, complete_options, PLACE_TEXT, NULL,
     run_complete},
};
const struct noun filter_noun = {"filter", "Check, explain and complete filters", NULL, verbs, sizeof(verbs) / sizeof(verbs[0])};

int cmd_filter(int argc, char **argv)
{
    return verbs_run(&filter_noun, argc, argv);
}
