/* tapedeck dissect: captures in, calls out. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "call/call_json.h"
#include "cli/call_table.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/filter_text.h"
#include "cli/progress.h"
#include "cli/setup.h"
#include "cli/summary.h"
#include "dissect/pipeline.h"
#include "filter/record.h"
#include "packet/bpf.h"

const char dissect_usage[] =
    "Usage: tapedeck dissect [OPTION]... FILE...\n"
    "\n"
    "Reads captures (pcap, pcapng, inside gzip or zstd; - is standard input), one after the other as if they were one, and\n"
    "prints the API calls in them, each when it is complete. A summary goes to stderr.\n"
    "\n"
    "  -o, --output FORMAT     table (default) or json: one object a line. A table that does not go to a terminal has tabs\n"
    "                          between its columns, full values and no header\n"
    "  -w, --write FILE.calls  a call store instead: for `tapedeck calls`, `call` and `sql`\n"
    "      --filter KFL        only calls that match: 'http && status_code >= 500'\n"
    "      --payload           with headers and bodies; a call store has them in any case\n"
    "      --fields LIST       only these fields, separated by commas, with tabs between them: timestamp,src,method,url\n"
    "      --bpf EXPRESSION    only packets that match (pcap-filter(7)), as tcpdump does\n"
    "  -d, --decode-as RULE    what runs on a port, as tshark: tcp.port==8888,http; may be repeated\n"
    "  -c, --config FILE       configuration; without it the built-in defaults hold\n"
    "  -j, --jobs N            dissecting threads; default: one for each core. The output is the same for any number\n"
    "  -q, --quiet             no summary and no progress bar\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit codes: 0 fine, 1 failed (a damaged capture: everything before the damage is printed), 2 usage or configuration,\n"
    "3 a file is not there, 4 it may not be read.\n";

enum output_mode { OUTPUT_TABLE, OUTPUT_FIELDS, OUTPUT_JSON, OUTPUT_STORE };

struct dissect_command {
    enum output_mode mode;
    bool payload, quiet;
    const char *fields, *bpf_text, *config_path, *filter_text, *store_path;
    const char *rules[64];
    int rule_n;
    long jobs;
    char **files;
    int file_n;
    struct setup setup;
    struct pipeline pipeline;
    struct call_table table; /* its columns serve OUTPUT_FIELDS as well */
    struct filter *filter;
    struct filter_run *runs[ENGINE_MAX_THREADS]; /* one for each worker */
    unsigned threads;
    struct bpf *bpf;
    struct progress progress;
    struct capture *capture; /* being read */
    const char *path;
};

/* ---- Options ---- */

static int parse_options(struct dissect_command *cmd, int argc, char **argv)
{
    enum { OPT_PAYLOAD = 256, OPT_FIELDS, OPT_BPF, OPT_FILTER };
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"payload", no_argument, NULL, OPT_PAYLOAD},
                                            {"fields", required_argument, NULL, OPT_FIELDS},
                                            {"bpf", required_argument, NULL, OPT_BPF},
                                            {"filter", required_argument, NULL, OPT_FILTER},
                                            {"write", required_argument, NULL, 'w'},
                                            {"decode-as", required_argument, NULL, 'd'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int opt;
    char *end;
    optind = 0;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "o:w:d:c:j:qh", options, NULL)) != -1) {
        switch (opt) {
        case 'o':
            if (strcmp(optarg, "json") == 0)
                cmd->mode = OUTPUT_JSON;
            else if (strcmp(optarg, "table") != 0)
                return cli_usage("dissect ", "-o takes table or json, not \"%s\"", optarg);
            break;
        case OPT_PAYLOAD: cmd->payload = true; break;
        case OPT_FIELDS: cmd->fields = optarg; break;
        case OPT_BPF: cmd->bpf_text = optarg; break;
        case OPT_FILTER: cmd->filter_text = optarg; break;
        case 'w': cmd->store_path = optarg; break;
        case 'd':
            if (cmd->rule_n == (int)(sizeof(cmd->rules) / sizeof(cmd->rules[0])))
                return cli_usage("dissect ", "more than %d rules (-d); a configuration file takes more", cmd->rule_n);
            cmd->rules[cmd->rule_n++] = optarg;
            break;
        case 'c': cmd->config_path = optarg; break;
        case 'j':
            errno = 0;
            cmd->jobs = strtol(optarg, &end, 10);
            if (errno || *end || end == optarg || cmd->jobs < 1 || cmd->jobs > ENGINE_MAX_THREADS)
                return cli_usage("dissect ", "-j takes a number from 1 to %d, not \"%s\"", ENGINE_MAX_THREADS, optarg);
            break;
        case 'q': cmd->quiet = true; break;
        case 'h': fputs(dissect_usage, stdout); return -1;
        default: return cli_bad_option("dissect ", argv);
        }
    }
    if (optind == argc)
        return cli_usage("dissect ", "a capture is missing");
    if (cmd->fields && cmd->mode == OUTPUT_JSON)
        return cli_usage("dissect ", "--fields and -o json exclude each other");
    if (cmd->store_path && (cmd->fields || cmd->mode == OUTPUT_JSON))
        return cli_usage("dissect ", "-w writes a call store, which has all fields; -o and --fields exclude it");
    if (cmd->store_path)
        cmd->mode = OUTPUT_STORE;
    cmd->files = argv + optind;
    cmd->file_n = argc - optind;
    return CLI_OK;
}

/* ---- Output ---- */

/* Does the filter want it? */
static bool want_call(const struct dissect_command *cmd, const struct td_call *call)
{
    const struct filter_call record = {cmd->pipeline.registry, call};
    if (!cmd->filter)
        return true;
    struct filter_record view = filter_call_record(&record);
    return filter_match(cmd->runs[call_worker(call)], &view);
}

static void put_call(void *ctx, const struct td_call *call, struct buf *out)
{
    struct dissect_command *cmd = ctx;
    if (!want_call(cmd, call))
        return;
    switch (cmd->mode) {
    case OUTPUT_STORE: pipeline_store_call(&cmd->pipeline, call, out); return;
    case OUTPUT_JSON: call_put_json(out, call, cmd->payload); return;
    case OUTPUT_FIELDS: column_put_row(out, &cmd->table.columns, call); break;
    default: call_table_put_row(out, &cmd->table, call); break;
    }
    if (cmd->payload)
        call_put_payload(out, call);
}

static int write_stdout(void *ctx, struct td_slice bytes)
{
    struct dissect_command *cmd = ctx;
    if (cmd->progress.shown && isatty(STDOUT_FILENO))
        progress_end(&cmd->progress);
    while (bytes.n) {
        ssize_t n = write(STDOUT_FILENO, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return TD_E_INTERNAL;
        bytes = td_sub(bytes, (size_t)n, bytes.n);
    }
    return TD_OK;
}

/* Tells dissectors which fields nobody will look at. */
static void choose_fields(struct dissect_command *cmd)
{
    struct dissector_set *set = &cmd->pipeline.dissectors.set;
    for (uint32_t i = 0; i < set->kind_n; i++) {
        struct call_kind *kind = &set->kinds[i];
        if (cmd->mode != OUTPUT_JSON && !cmd->filter)
            memset(kind->wanted, 0, sizeof(kind->wanted));
        for (uint32_t j = 0; j < kind->fields.n; j++) {
            const struct field *f = &kind->fields.fields[j];
            bool payload = f->type == TD_MAP || (f->flags & TD_F_BODY);
            uint64_t bit = 1ull << (j % 64);
            if (payload && !cmd->payload && !(cmd->filter && f->type == TD_MAP))
                kind->wanted[j / 64] &= ~bit;
            else if (cmd->payload && (payload || (f->flags & TD_F_LIST)))
                kind->wanted[j / 64] |= bit;
        }
        for (uint32_t k = 0; k < cmd->table.columns.n; k++) {
            int16_t j = cmd->table.columns.v[k].fields[i];
            if (j >= 0)
                kind->wanted[j / 64] |= 1ull << (j % 64);
        }
    }
    call_kinds_want_lent(set);
}

/* Where the calls come from, for whoever opens the store. */
static void put_about(const struct dissect_command *cmd, struct buf *out)
{
    buf_lit(out, "{\"captures\":[");
    for (int i = 0; i < cmd->file_n; i++) {
        char *path = strcmp(cmd->files[i], "-") == 0 ? NULL : realpath(cmd->files[i], NULL);
        if (i)
            buf_putc(out, ',');
        json_put_string(out, td_str(path ? path : cmd->files[i]));
        free(path);
    }
    buf_lit(out, "],\"bpf\":");
    json_put_string(out, td_str(cmd->bpf_text ? cmd->bpf_text : ""));
    buf_lit(out, ",\"filter\":");
    json_put_string(out, td_str(cmd->filter_text ? cmd->filter_text : ""));
    buf_putc(out, '}');
}

static int open_store(struct dissect_command *cmd, struct error *err)
{
    struct buf about = {0};
    put_about(cmd, &about);
    struct store_create_options options = {.appenders = cmd->threads, .about = buf_slice(&about), .payloads = true, .replace = true};
    int status = about.failed ? error_nomem(err) : pipeline_create_store(&cmd->pipeline, cmd->store_path, options, err);
    buf_clear(&about);
    return status;
}

static int prepare_output(struct dissect_command *cmd, struct error *err)
{
    const char *list = cmd->fields ? cmd->fields : CALL_TABLE_FIELDS;
    if (cmd->mode == OUTPUT_STORE)
        return open_store(cmd, err);
    if (cmd->mode != OUTPUT_JSON) {
        int status = column_set_parse(&cmd->table.columns, list, cmd->pipeline.components, cmd->pipeline.dissectors.set.kind_n, err);
        if (status != TD_OK)
            return status;
        if (cmd->fields || !isatty(STDOUT_FILENO))
            cmd->mode = OUTPUT_FIELDS;
    }
    choose_fields(cmd);
    if (cmd->mode == OUTPUT_TABLE) {
        struct winsize size;
        const char *no_colour = getenv("NO_COLOR");
        unsigned width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 120;
        call_table_init(&cmd->table, width, !no_colour || !*no_colour);
        struct buf header = {0};
        call_table_put_header(&header, &cmd->table);
        int status = write_stdout(cmd, buf_slice(&header));
        buf_clear(&header);
        if (status != TD_OK)
            return error_set(err, status, "the output cannot be written: %s", strerror(errno));
    }
    return TD_OK;
}

/* ---- Running ---- */

static bool want_packet(void *ctx, const struct packet *pkt)
{
    const struct dissect_command *cmd = ctx;
    return bpf_match(cmd->bpf, pkt);
}

static bool show_progress(void *ctx, uint64_t packets)
{
    struct dissect_command *cmd = ctx;
    if (cmd->progress.active)
        progress_show(&cmd->progress, cmd->path, capture_position(cmd->capture), capture_size(cmd->capture), packets);
    return !atomic_load(&cmd->pipeline.store_failed);
}

static int open_engine(struct dissect_command *cmd, struct error *err)
{
    struct engine_options options = pipeline_engine_options(&cmd->pipeline, cmd->threads);
    options.on_call = put_call;
    options.on_call_ctx = cmd;
    options.write = write_stdout;
    options.write_ctx = cmd;
    options.want = cmd->bpf ? want_packet : NULL;
    options.want_ctx = cmd;
    options.progress = cmd->progress.active || cmd->pipeline.store ? show_progress : NULL;
    options.progress_ctx = cmd;
    return engine_new(&options, &cmd->pipeline.engine, err);
}

static int prepare(struct dissect_command *cmd, struct error *err)
{
    int status = pipeline_open(&cmd->pipeline, cmd->setup.config, cmd->setup.registry, err);
    for (int i = 0; status == TD_OK && i < cmd->rule_n; i++) {
        struct decode_rule rule;
        status = decode_rule_parse(cmd->rules[i], &rule, err);
        if (status == TD_OK)
            status = enabled_dissectors_rule(&cmd->pipeline.dissectors, &rule, err);
    }
    if (status == TD_OK && cmd->bpf_text)
        status = bpf_compile(cmd->bpf_text, &cmd->bpf, err);
    cmd->threads = pipeline_threads(cmd->setup.config, cmd->jobs);
    return status;
}

static int prepare_filter(struct dissect_command *cmd)
{
    struct error err;
    if (!cmd->filter_text)
        return CLI_OK;
    int code = filter_text_compile(cmd->pipeline.registry, cmd->filter_text, &cmd->filter);
    for (unsigned i = 0; code == CLI_OK && i < cmd->threads; i++)
        if (filter_run_new(cmd->filter, &cmd->runs[i], &err) != TD_OK)
            code = cli_fail(&err);
    return code;
}

static int open_all(struct dissect_command *cmd)
{
    struct error err = {0};
    if (prepare(cmd, &err) != TD_OK)
        return cli_fail(&err);
    int code = prepare_filter(cmd);
    if (code == CLI_OK && (prepare_output(cmd, &err) != TD_OK || open_engine(cmd, &err) != TD_OK))
        code = cli_fail(&err);
    return code;
}

/* Dissects one file; its error does not stop the next. */
static int run_file(struct dissect_command *cmd, const char *path)
{
    struct error err = {0};
    cmd->path = path;
    int status = capture_open(path, &cmd->capture, &err);
    if (status == TD_OK) {
        status = pipeline_run(&cmd->pipeline, cmd->capture, &err);
        capture_close(cmd->capture);
        cmd->capture = NULL;
    } else {
        pipeline_skip(&cmd->pipeline);
    }
    progress_end(&cmd->progress);
    return status == TD_OK ? CLI_OK : atomic_load(&cmd->pipeline.store_failed) ? CLI_FAILURE : cli_fail(&err);
}

static void tell_filter_errors(const struct dissect_command *cmd)
{
    struct filter_run_errors all = {0};
    for (unsigned i = 0; cmd->filter && i < cmd->threads; i++) {
        const struct filter_run_errors *one = filter_run_errors(cmd->runs[i]);
        if (!all.count)
            all = *one;
        else
            all.count += one->count;
    }
    filter_text_tell_errors(cmd->filter_text, &all);
}

static void cleanup(struct dissect_command *cmd)
{
    for (unsigned i = 0; i < cmd->threads; i++)
        filter_run_free(cmd->runs[i]);
    filter_free(cmd->filter);
    bpf_free(cmd->bpf);
    column_set_clear(&cmd->table.columns);
    pipeline_close(&cmd->pipeline);
    setup_close(&cmd->setup);
}

int cmd_dissect(int argc, char **argv)
{
    struct dissect_command cmd = {0};
    struct error err = {0};
    int code = parse_options(&cmd, argc, argv);
    if (code != CLI_OK)
        return code < 0 ? CLI_OK : code;
    code = setup_open(cmd.config_path, &cmd.setup);
    if (code != CLI_OK)
        return code;
    progress_init(&cmd.progress);
    cmd.progress.active &= !cmd.quiet;
    code = open_all(&cmd);
    if (code != CLI_OK) {
        cleanup(&cmd);
        return code;
    }
    for (int i = 0; i < cmd.file_n; i++) {
        int one = run_file(&cmd, cmd.files[i]);
        if (code == CLI_OK)
            code = one;
    }
    if (engine_finish(cmd.pipeline.engine, &err) != TD_OK && code == CLI_OK)
        code = cli_fail(&err);
    if (cmd.pipeline.store && pipeline_finish_store(&cmd.pipeline, td_bytes(NULL, 0), &err) != TD_OK)
        code = cli_fail(&err);
    if (!cmd.quiet) {
        struct engine_stats stats;
        engine_stats(cmd.pipeline.engine, &stats);
        summary_print(stderr, &stats, &cmd.pipeline.dissectors.set);
        tell_filter_errors(&cmd);
    }
    cleanup(&cmd);
    return code;
}
