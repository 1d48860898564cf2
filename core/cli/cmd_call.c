/* tapedeck call: one call of a call store, in full or as its packets. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/call_json.h"
#include "call/store.h"
#include "cli/call_table.h"
#include "cli/calls_hub.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "config/config.h"
#include "export/export.h"
#include "export/output_file.h"
#include "plugin/host.h"
#include "plugin/registry.h"

const char call_usage[] =
    "Usage: tapedeck call show ID [-o text|json]\n"
    "       tapedeck call show FILE.calls ID [-o text|json]\n"
    "       tapedeck call packets ID -w FILE.pcap\n"
    "       tapedeck call packets FILE.calls ID -w FILE.pcap [--capture FILE]...\n"
    "\n"
    "One call, of a snapshot's dissection, which the hub has, or of a call store (`tapedeck dissect -w`).\n"
    "\n"
    "  show                    one call with everything: request and response, headers and bodies\n"
    "  packets                 the packets of one call, from the capture that it was dissected from\n"
    "\n"
    "  -o, --output FORMAT     text (default) or json\n"
    "  -w, --write FILE        where to write the packets; - is standard output\n"
    "      --format NAME       exporter plugin; default: pcap\n"
    "      --capture FILE      where the capture is now, if not where it was; as often as there were captures, in their order\n"
    "  -c, --config FILE       configuration; without it the built-in defaults hold\n"
    "      --hub URL           the hub; otherwise $TAPEDECK_HUB, else http://127.0.0.1:8898\n"
    "      --token-file FILE   its token; otherwise the file $TAPEDECK_TOKEN_FILE, else $TAPEDECK_TOKEN\n"
    "      --ca FILE           certificates (PEM) to trust for https; otherwise $TAPEDECK_CA, else the system's\n"
    "  -h, --help              this text\n"
    "\n"
    "IDs are what `tapedeck calls --fields id,...` shows: numbers in a call store, SNAPSHOT/DISSECTION/NUMBER at the hub, where\n"
    "SNAPSHOT/DISSECTION NUMBER will do as well.\n";

enum { MAX_CAPTURES = 256 };

struct call_command {
    bool packets, json;
    const char *path, *out_path, *format, *config_path;
    const char *hub, *token_file, *ca;
    char hub_id[512]; /* "": it is in a file */
    uint64_t id;
    const char *captures[MAX_CAPTURES];
    size_t capture_n;
    struct store *store;
    struct store_call call;
};

/* ---- Options ---- */

static int parse_words(struct call_command *cmd, int argc, char **argv)
{
    char *end;
    if (argc - optind < 2)
        return cli_usage("call ", "it takes a verb and an id: show ID, or show FILE.calls ID");
    if (argc - optind > 3)
        return cli_usage("call ", "\"%s\" is one word too many", argv[optind + 3]);
    cmd->packets = strcmp(argv[optind], "packets") == 0;
    if (!cmd->packets && strcmp(argv[optind], "show") != 0)
        return cli_usage("call ", "there is no verb \"%s\": show or packets", argv[optind]);
    cmd->path = argv[optind + 1];
    if (argc - optind == 2) {
        if ((size_t)snprintf(cmd->hub_id, sizeof(cmd->hub_id), "%s", cmd->path) >= sizeof(cmd->hub_id) || !*cmd->path ||
            access(cmd->path, F_OK) == 0)
            return cli_usage("call ", "behind a call store an id is needed: show FILE.calls ID");
    } else {
        cmd->id = strtoull(argv[optind + 2], &end, 10);
        if (*end || !cmd->id)
            return cli_usage("call ", "\"%s\" is no id", argv[optind + 2]);
        if (calls_hub_is_name(cmd->path))
            snprintf(cmd->hub_id, sizeof(cmd->hub_id), "%s/%llu", cmd->path, (unsigned long long)cmd->id);
    }
    if (cmd->packets && !cmd->out_path)
        return cli_usage("call ", "-w is missing: where to write the packets");
    if (cmd->packets && strcmp(cmd->out_path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage("call ", "standard output is a terminal; write to a file or a pipe");
    return CLI_OK;
}

static int parse_options(struct call_command *cmd, int argc, char **argv)
{
    enum { OPT_CAPTURE = 256, OPT_FORMAT, OPT_HUB, OPT_TOKEN_FILE, OPT_CA };
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"write", required_argument, NULL, 'w'},
                                            {"format", required_argument, NULL, OPT_FORMAT},
                                            {"capture", required_argument, NULL, OPT_CAPTURE},
                                            {"config", required_argument, NULL, 'c'},
                                            {"hub", required_argument, NULL, OPT_HUB},
                                            {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
                                            {"ca", required_argument, NULL, OPT_CA},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int opt;
    optind = 0;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "o:w:c:h", options, NULL)) != -1) {
        switch (opt) {
        case 'o':
            cmd->json = strcmp(optarg, "json") == 0;
            if (!cmd->json && strcmp(optarg, "text") != 0)
                return cli_usage("call ", "-o takes text or json, not \"%s\"", optarg);
            break;
        case 'w': cmd->out_path = optarg; break;
        case OPT_FORMAT: cmd->format = optarg; break;
        case OPT_CAPTURE:
            if (cmd->capture_n == MAX_CAPTURES)
                return cli_usage("call ", "more than %d captures", MAX_CAPTURES);
            cmd->captures[cmd->capture_n++] = optarg;
            break;
        case 'c': cmd->config_path = optarg; break;
        case OPT_HUB: cmd->hub = optarg; break;
        case OPT_TOKEN_FILE: cmd->token_file = optarg; break;
        case OPT_CA: cmd->ca = optarg; break;
        case 'h': fputs(call_usage, stdout); return -1;
        default: return cli_bad_option("call ", argv);
        }
    }
    return parse_words(cmd, argc, argv);
}

/* ---- show ---- */

static void put_end(struct buf *out, const struct td_flow *flow, int dir)
{
    char text[IP_TEXT];
    size_t n = ip_format(flow->ip[dir], flow->ip_version, text);
    buf_printf(out, flow->ip_version == 6 ? "[%.*s]:%u" : "%.*s:%u", (int)n, text, flow->port[dir]);
}

static void put_half(struct buf *out, const char *name, const struct call_half *half, bool one_way)
{
    char time[UNITS_TEXT], size[UNITS_TEXT];
    if (!half->seen) {
        buf_printf(out, "%-10s %s\n", name, one_way ? "none: it goes one way" : "not seen");
        return;
    }
    size_t n = units_format_time(half->first_ns, time);
    buf_printf(out, "%-10s %.*s, %s on the wire, %llu packet%s", name, (int)n, time, units_format_size(half->bytes, size),
               (unsigned long long)half->frames.count, half->frames.count == 1 ? "" : "s");
    if (half->missing)
        buf_printf(out, ", %llu bytes were not captured", (unsigned long long)half->missing);
    if (half->cut)
        buf_puts(out, ", its end was not seen");
    buf_putc(out, '\n');
}

/* The fields that are neither maps nor bodies: those stand behind them. */
static void put_fields(struct buf *out, const struct td_call *call)
{
    for (uint32_t i = 0; i < call->fields->n; i++) {
        const struct field *f = &call->fields->fields[i];
        int16_t index = (int16_t)i;
        struct column column = {.name = f->name, .kind = COLUMN_FIELD, .fields = &index};
        struct td_call view = *call;
        if (f->type == TD_MAP || (f->flags & TD_F_BODY) || !call_has(call, i))
            continue;
        view.component = 0;
        buf_printf(out, "%-24s ", f->name);
        column_put(out, &column, &view);
        buf_putc(out, '\n');
    }
}

static void put_text(struct buf *out, const struct td_call *call)
{
    char latency[UNITS_TEXT];
    buf_printf(out, "%s over %s, ", call->protocol, call->flow->transport == 6 ? "TCP" : "UDP");
    put_end(out, call->flow, TD_CLIENT);
    buf_puts(out, " to ");
    put_end(out, call->flow, TD_SERVER);
    if (call->half[TD_CLIENT].seen && call->half[TD_SERVER].seen)
        buf_printf(out, ", %s", units_format_duration(call_duration(call), latency));
    buf_putc(out, '\n');
    bool one_way = call->flags & TD_ONE_WAY;
    put_half(out, "request", &call->half[TD_CLIENT], one_way);
    put_half(out, "response", &call->half[TD_SERVER], one_way);
    buf_putc(out, '\n');
    put_fields(out, call);
    call_put_payload(out, call);
}

static int show(const struct call_command *cmd)
{
    struct buf out = {0};
    if (cmd->json)
        call_put_json(&out, &cmd->call.call, true);
    else
        put_text(&out, &cmd->call.call);
    int code = cli_write(&out);
    buf_clear(&out);
    return code;
}

/* ---- packets ---- */

/* Where the call's packets are: numbers within each capture. */
struct packet_lists {
    struct select_frames lists[MAX_CAPTURES];
    uint64_t *frames;
};

static int compare_frames(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* All of both halves, ascending, each once. */
static uint64_t *list_frames(const struct td_call *call, size_t *ret_n)
{
    uint64_t count = call->half[0].frames.count + call->half[1].frames.count;
    uint64_t *frames = mem_calloc(count + 1, sizeof(*frames));
    size_t n = 0, kept = 0;
    for (int dir = 0; frames && dir < 2; dir++) {
        uint64_t frame = 0;
        for (size_t at = 0; n < count && call_next_frame(&call->half[dir].frames, &at, &frame);)
            frames[n++] = frame;
    }
    if (!frames)
        return NULL;
    qsort(frames, n, sizeof(*frames), compare_frames);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || frames[kept - 1] != frames[i])
            frames[kept++] = frames[i];
    *ret_n = kept;
    return frames;
}

/* The captures are read one after the other as if they were one: cuts the list where one ends. `packets`: JSON, how many each
 * has; may be missing when the store is incomplete. */
static void cut_lists(struct packet_lists *p, size_t n, size_t captures, const json_t *packets)
{
    uint64_t base = 0;
    size_t at = 0;
    for (size_t i = 0; i < captures; i++) {
        uint64_t size = UINT64_MAX - base;
        if (i + 1 < captures)
            size = (uint64_t)json_integer_value(json_array_get(packets, i));
        size_t begin = at;
        while (at < n && p->frames[at] - base <= size)
            p->frames[at++] -= base;
        p->lists[i] = (struct select_frames){p->frames + begin, at - begin};
        base += size;
    }
}

static int find_captures(struct call_command *cmd, const json_t *recorded, struct error *err)
{
    size_t n = json_array_size(recorded);
    if (n == 0 || n > MAX_CAPTURES)
        return error_set(err, TD_E_NOT_FOUND, "%s does not say which capture it was made from", cmd->path);
    if (cmd->capture_n && cmd->capture_n != n)
        return error_set(err, TD_E_CONFIG, "%s was made from %zu captures; name as many with --capture, in their order", cmd->path, n);
    for (size_t i = 0; i < n && !cmd->capture_n; i++) {
        const char *path = json_string_value(json_array_get(recorded, i));
        if (!path || strcmp(path, "-") == 0)
            return error_set(err, TD_E_NOT_FOUND, "%s was made from standard input; say with --capture where the capture is", cmd->path);
        cmd->captures[i] = path;
        if (access(path, R_OK) != 0)
            return error_set(err, TD_E_NOT_FOUND, "%s, which %s was made from, is not there any more; say with --capture where it is", path,
                             cmd->path);
    }
    cmd->capture_n = n;
    return TD_OK;
}

static int write_output(void *ctx, struct td_slice bytes, struct error *err)
{
    return output_file_write(ctx, bytes, err);
}

static void tell_damage(void *ctx, const struct error *fault)
{
    (void)ctx;
    cli_error("%s", fault->text);
}

static int export_packets(const struct call_command *cmd, const struct packet_lists *p, size_t wanted, struct td_inst *exporter,
                          struct error *err)
{
    struct selection selection;
    struct export_stats stats;
    struct output_file output = {.fd = -1};
    struct export_source sources[MAX_CAPTURES] = {0};
    selection_init(&selection);
    for (size_t i = 0; i < cmd->capture_n; i++)
        sources[i] = (struct export_source){.path = cmd->captures[i], .frames = &p->lists[i]};
    struct export_request request = {.exporter = exporter,
                                     .sources = sources,
                                     .source_count = cmd->capture_n,
                                     .application = "tapedeck " CLI_VERSION,
                                     .selection = &selection,
                                     .write = write_output,
                                     .write_ctx = &output,
                                     .damaged = tell_damage};
    int status = output_file_open(&output, cmd->out_path, err);
    if (status == TD_OK)
        status = export_run(&request, &stats, err);
    if (status == TD_OK && stats.packets != wanted)
        status =
            error_set(err, TD_E_NOT_FOUND, "only %llu of the call's %zu packets are in the capture: it is not the one that was dissected",
                      (unsigned long long)stats.packets, wanted);
    if (status == TD_OK)
        status = output_file_commit(&output, err);
    output_file_abort(&output);
    return status;
}

static int with_exporter(const struct call_command *cmd, const struct packet_lists *p, size_t wanted, struct error *err)
{
    struct config *config = NULL;
    struct registry *registry = NULL;
    struct td_inst *exporter = NULL;
    struct td_host host;
    int status = config_load(cmd->config_path, &config, err);
    if (status == TD_OK)
        status = registry_open(config, &registry, err);
    if (status == TD_OK) {
        const struct plugin_component *component = registry_find(registry, TD_KIND_EXPORTER, cmd->format);
        host_init_control(&host);
        if (!component)
            status = error_set(err, TD_E_CONFIG, "there is no exporter \"%s\"; `tapedeck plugin list` shows which there are", cmd->format);
        else
            status = instance_create(component, config_component(config, TD_KIND_EXPORTER, cmd->format), &host, &exporter, err);
    }
    if (status == TD_OK)
        status = export_packets(cmd, p, wanted, exporter, err);
    instance_destroy(exporter);
    registry_free(registry);
    config_free(config);
    return status;
}

static int packets(struct call_command *cmd)
{
    struct packet_lists p = {0};
    struct error err = {0};
    struct td_slice about = store_about(cmd->store), summary = store_summary(cmd->store);
    json_t *origin = json_loadb((const char *)about.p, about.n, 0, NULL);
    json_t *statistics = json_loadb(summary.n ? (const char *)summary.p : "{}", summary.n ? summary.n : 2, 0, NULL);
    const json_t *counts = json_object_get(statistics, "packets");
    size_t n = 0;
    int status = find_captures(cmd, json_object_get(origin, "captures"), &err);
    if (status == TD_OK && cmd->capture_n > 1 && json_array_size(counts) != cmd->capture_n)
        status = error_set(&err, TD_E_NOT_FOUND, "%s is incomplete and does not say where its captures begin", cmd->path);
    if (status == TD_OK) {
        p.frames = list_frames(&cmd->call.call, &n);
        status = p.frames ? TD_OK : error_nomem(&err);
    }
    if (status == TD_OK) {
        cut_lists(&p, n, cmd->capture_n, counts);
        status = with_exporter(cmd, &p, n, &err);
    }
    mem_free(p.frames);
    json_decref(origin);
    json_decref(statistics);
    return status == TD_OK ? CLI_OK : cli_fail(&err);
}

int cmd_call(int argc, char **argv)
{
    struct call_command cmd = {.format = "pcap"};
    struct error err = {0};
    int code = parse_options(&cmd, argc, argv);
    if (code != CLI_OK)
        return code < 0 ? CLI_OK : code;
    if (*cmd.hub_id && cmd.packets)
        return calls_hub_packets(cmd.hub, cmd.token_file, cmd.ca, cmd.hub_id, cmd.out_path);
    if (*cmd.hub_id)
        return calls_hub_show(cmd.hub, cmd.token_file, cmd.ca, cmd.hub_id, cmd.json);
    int status = store_open(cmd.path, &cmd.store, &err);
    if (status == TD_OK)
        status = store_read_call(cmd.store, cmd.id, !cmd.packets, &cmd.call, &err);
    if (status != TD_OK)
        code = cli_fail(&err);
    else
        code = cmd.packets ? packets(&cmd) : show(&cmd);
    store_call_clear(&cmd.call);
    store_free(cmd.store);
    return code;
}
