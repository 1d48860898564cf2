/* tapedeck export: captures in, one capture out. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "export/export.h"
#include "export/output_file.h"
#include "plugin/host.h"
#include "plugin/registry.h"

const char export_usage[] =
    "Usage: tapedeck export [OPTION]... -w OUT FILE...\n"
    "\n"
    "Reads captures (pcap, pcapng, inside gzip or zstd; - is standard input), merges them in the order of time and writes the\n"
    "packets that are wanted. One capture by itself keeps its order.\n"
    "\n"
    "  -w, --write OUT         the file to write; - is standard output. It appears when it is whole\n"
    "      --format NAME       exporter plugin; default: pcap. `tapedeck plugin list` shows which there are\n"
    "  -O, --option KEY=VALUE  an option of the exporter, as precision=nano; may be repeated. `tapedeck plugin help NAME` explains them\n"
    "      --bpf EXPRESSION    only packets that match (pcap-filter(7)), as tcpdump does\n"
    "      --start TIME        only packets from this time on: 2026-01-02T03:04:05.6Z, local time without zone, seconds since\n"
    "                          1970, now-1h30m\n"
    "      --end TIME          only packets before this time\n"
    "      --conn A:PORT-B:PORT[/tcp|/udp]\n"
    "                          only this connection, both directions, inside tunnels and in fragments as well\n"
    "      --linktype N        only packets of this link type (1 is Ethernet)\n"
    "  -c, --config FILE       configuration; without it the built-in defaults hold\n"
    "  -q, --quiet             no summary and no progress bar\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit codes: 0 fine, 1 failed (a damaged capture: everything before the damage is written), 2 usage or configuration,\n"
    "3 a file is not there, 4 it may not be read or written.\n";

enum { MAX_OPTIONS = 64 };

struct export_command {
    const char *out_path, *format, *bpf_text, *config_path;
    const char *options[MAX_OPTIONS]; /* KEY=VALUE */
    size_t option_n;
    bool quiet;
    struct selection selection;
    char **files;
    size_t file_n;
    struct config *config;
    struct registry *registry;
    struct yaml_tree *option_tree;
    struct td_host host;
    struct td_inst *exporter;
    struct output_file output;
    struct progress progress;
};

/* ---- Options ---- */

static int parse_time(const char *text, const char *option, int64_t *ret_ns)
{
    if (units_parse_time(text, clock_ns(CLOCK_REALTIME), ret_ns))
        return CLI_OK;
    return cli_usage("export ", "%s \"%s\" is no time", option, text);
}

static int parse_linktype(const char *text, int32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || value > UINT16_MAX)
        return cli_usage("export ", "--linktype takes a number from 0 to %d, not \"%s\"", UINT16_MAX, text);
    *ret = (int32_t)value;
    return CLI_OK;
}

static int add_option(struct export_command *cmd, const char *text)
{
    if (!strchr(text, '=') || text[0] == '=')
        return cli_usage("export ", "-O takes KEY=VALUE, not \"%s\"", text);
    if (cmd->option_n == MAX_OPTIONS)
        return cli_usage("export ", "more than %d options (-O)", MAX_OPTIONS);
    cmd->options[cmd->option_n++] = text;
    return CLI_OK;
}

static int parse_connection(const char *text, struct select_connection *ret)
{
    struct error err;
    return select_parse_connection(text, ret, &err) == TD_OK ? CLI_OK : cli_usage("export ", "%s", err.text);
}

enum { OPT_FORMAT = 256, OPT_BPF, OPT_START, OPT_END, OPT_CONN, OPT_LINKTYPE };

static int take_option(struct export_command *cmd, int opt, char **argv)
{
    switch (opt) {
    case 'w': cmd->out_path = optarg; return CLI_OK;
    case 'O': return add_option(cmd, optarg);
    case 'c': cmd->config_path = optarg; return CLI_OK;
    case 'q': cmd->quiet = true; return CLI_OK;
    case OPT_FORMAT: cmd->format = optarg; return CLI_OK;
    case OPT_BPF: cmd->bpf_text = optarg; return CLI_OK;
    case OPT_START: return parse_time(optarg, "--start", &cmd->selection.start_ns);
    case OPT_END: return parse_time(optarg, "--end", &cmd->selection.end_ns);
    case OPT_CONN: return parse_connection(optarg, &cmd->selection.connection);
    case OPT_LINKTYPE: return parse_linktype(optarg, &cmd->selection.linktype);
    default: return cli_bad_option("export ", argv);
    }
}

/* The exit code, or -1: help was printed. */
static int parse_options(struct export_command *cmd, int argc, char **argv)
{
    static const struct option options[] = {
        {"write", required_argument, NULL, 'w'},
        {"format", required_argument, NULL, OPT_FORMAT},
        {"option", required_argument, NULL, 'O'},
        {"bpf", required_argument, NULL, OPT_BPF},
        {"start", required_argument, NULL, OPT_START},
        {"end", required_argument, NULL, OPT_END},
        {"conn", required_argument, NULL, OPT_CONN},
        {"linktype", required_argument, NULL, OPT_LINKTYPE},
        {"config", required_argument, NULL, 'c'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int opt, code;
    optind = 0;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "w:O:c:qh", options, NULL)) != -1) {
        if (opt == 'h') {
            fputs(export_usage, stdout);
            return -1;
        }
        code = take_option(cmd, opt, argv);
        if (code != CLI_OK)
            return code;
    }
    if (optind == argc)
        return cli_usage("export ", "a capture is missing");
    if (!cmd->out_path)
        return cli_usage("export ", "-w is missing: where to write");
    if (strcmp(cmd->out_path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage("export ", "standard output is a terminal; write to a file or a pipe");
    cmd->files = argv + optind;
    cmd->file_n = (size_t)(argc - optind);
    return CLI_OK;
}

/* ---- The exporter ---- */

/* A value that begins with a bracket is a list, as in the configuration; all else is text. */
static void put_option(struct buf *yaml, const char *text)
{
    const char *equals = strchr(text, '=');
    json_put_string(yaml, td_bytes(text, (size_t)(equals - text)));
    buf_lit(yaml, ": ");
    if (equals[1] == '[')
        buf_puts(yaml, equals + 1);
    else
        json_put_string(yaml, td_str(equals + 1));
    buf_putc(yaml, '\n');
}

static bool is_overridden(const struct export_command *cmd, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < cmd->option_n; i++)
        if (strncmp(cmd->options[i], key, n) == 0 && cmd->options[i][n] == '=')
            return true;
    return false;
}

/* What the configuration says of the exporter, less what -O says anew. */
static void put_configured(const struct export_command *cmd, const struct yaml_node *map, struct buf *yaml)
{
    for (uint32_t i = 0; map && map->kind == YAML_MAP && i < map->n; i++) {
        const struct yaml_node *key = map->entries[i].key, *value = map->entries[i].value;
        if (is_overridden(cmd, key->text) || value->kind == YAML_MAP)
            continue;
        json_put_string(yaml, td_str(key->text));
        buf_puts(yaml, value->kind == YAML_LIST ? ": [" : ": ");
        for (uint32_t k = 0; k < (value->kind == YAML_LIST ? value->n : 1); k++) {
            if (k > 0)
                buf_putc(yaml, ',');
            json_put_string(yaml, td_str(yaml_item(value, k)->text));
        }
        buf_puts(yaml, value->kind == YAML_LIST ? "]\n" : "\n");
    }
}

/* The exporter's options: the configuration's node, or a tree of their own if there are any on the command line. */
static int read_exporter_options(struct export_command *cmd, const struct yaml_node **ret, struct error *err)
{
    *ret = config_component(cmd->config, TD_KIND_EXPORTER, cmd->format);
    if (!cmd->option_n)
        return TD_OK;
    struct buf yaml;
    buf_init(&yaml, YAML_MAX_BYTES);
    put_configured(cmd, *ret, &yaml);
    for (size_t i = 0; i < cmd->option_n; i++)
        put_option(&yaml, cmd->options[i]);
    int status = yaml.failed ? error_nomem(err) : yaml_tree_parse(buf_slice(&yaml), "-O", &cmd->option_tree, err);
    buf_clear(&yaml);
    if (status == TD_OK)
        *ret = yaml_tree_root(cmd->option_tree);
    return status;
}

static int no_such_exporter(const struct export_command *cmd, struct error *err)
{
    size_t n;
    const struct plugin_component *const *all = registry_components(cmd->registry, TD_KIND_EXPORTER, &n);
    struct nearest near;
    nearest_init(&near, cmd->format);
    for (size_t i = 0; i < n; i++)
        nearest_try(&near, all[i]->c.name);
    if (near.best)
        return error_set(err, TD_E_CONFIG, "there is no exporter \"%s\"; did you mean \"%s\"?", cmd->format, near.best);
    return error_set(err, TD_E_CONFIG, "there is no exporter \"%s\"; `tapedeck plugin list` shows which there are and why some are refused",
                     cmd->format);
}

static int open_exporter(struct export_command *cmd, struct error *err)
{
    const struct yaml_node *options;
    const struct plugin_component *component = registry_find(cmd->registry, TD_KIND_EXPORTER, cmd->format);
    if (!component)
        return no_such_exporter(cmd, err);
    int status = read_exporter_options(cmd, &options, err);
    if (status != TD_OK)
        return status;
    host_init_control(&cmd->host);
    return instance_create(component, options, &cmd->host, &cmd->exporter, err);
}

/* ---- Running ---- */

static int write_output(void *ctx, struct td_slice bytes, struct error *err)
{
    struct export_command *cmd = ctx;
    return output_file_write(&cmd->output, bytes, err);
}

static void tell_damage(void *ctx, const struct error *fault)
{
    struct export_command *cmd = ctx;
    progress_end(&cmd->progress);
    cli_error("%s", fault->text);
}

static void show_progress(void *ctx, uint64_t done, uint64_t all, uint64_t packets)
{
    struct export_command *cmd = ctx;
    progress_show(&cmd->progress, cmd->out_path, done, all, packets);
}

static int prepare(struct export_command *cmd, struct error *err)
{
    int status = config_load(cmd->config_path, &cmd->config, err);
    if (status == TD_OK)
        status = registry_open(cmd->config, &cmd->registry, err);
    if (status == TD_OK)
        status = open_exporter(cmd, err);
    if (status == TD_OK && cmd->bpf_text)
        status = bpf_compile(cmd->bpf_text, &cmd->selection.bpf, err);
    if (status == TD_OK)
        status = output_file_open(&cmd->output, cmd->out_path, err);
    return status;
}

static int run(struct export_command *cmd, struct export_stats *ret, struct error *err)
{
    struct export_source *sources = mem_calloc(cmd->file_n, sizeof(*sources));
    if (!sources)
        return error_nomem(err);
    for (size_t i = 0; i < cmd->file_n; i++)
        sources[i].path = cmd->files[i];
    struct export_request request = {
        .exporter = cmd->exporter,
        .sources = sources,
        .source_count = cmd->file_n,
        .application = "tapedeck " CLI_VERSION,
        .selection = &cmd->selection,
        .write = write_output,
        .write_ctx = cmd,
        .damaged = tell_damage,
        .damaged_ctx = cmd,
        .progress = cmd->progress.active ? show_progress : NULL,
        .progress_ctx = cmd,
    };
    int status = export_run(&request, ret, err);
    mem_free(sources);
    progress_end(&cmd->progress);
    return status == TD_OK ? output_file_commit(&cmd->output, err) : status;
}

static void tell_summary(const struct export_command *cmd, const struct export_stats *stats)
{
    char size[UNITS_TEXT];
    units_format_size(stats->bytes, size);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " packets (%s) written to %s\n", stats->packets, stats->packets_read, size,
            strcmp(cmd->out_path, "-") == 0 ? "standard output" : cmd->out_path);
    if (stats->fragments_given_up)
        fprintf(stderr, "%" PRIu64 " fragments left out, because the rest of their datagrams is missing\n", stats->fragments_given_up);
}

static void cleanup(struct export_command *cmd)
{
    output_file_abort(&cmd->output);
    bpf_free(cmd->selection.bpf);
    instance_destroy(cmd->exporter);
    yaml_tree_free(cmd->option_tree);
    registry_free(cmd->registry);
    config_free(cmd->config);
}

int cmd_export(int argc, char **argv)
{
    struct export_command cmd = {.format = "pcap", .output = {.fd = -1}};
    struct export_stats stats;
    struct error err = {0};
    selection_init(&cmd.selection);
    int code = parse_options(&cmd, argc, argv);
    if (code != CLI_OK)
        return code < 0 ? CLI_OK : code;
    progress_init(&cmd.progress);
    cmd.progress.active &= !cmd.quiet;
    int status = prepare(&cmd, &err);
    if (status == TD_OK)
        status = run(&cmd, &stats, &err);
    if (status != TD_OK)
        code = cli_fail(&err);
    else if (!cmd.quiet)
        tell_summary(&cmd, &stats);
    if (status == TD_OK && stats.damaged)
        code = CLI_FAILURE;
    cleanup(&cmd);
    return code;
}
