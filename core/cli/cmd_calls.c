/* tapedeck calls: search a call store. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "call/call_csv.h"
#include "call/call_har.h"
#include "call/call_json.h"
#include "call/store.h"
#include "cli/call_table.h"
#include "cli/calls_hub.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/filter_text.h"
#include "export/output_file.h"
#include "filter/search.h"

enum { WRITE_BYTES = 256 << 10, DEFAULT_LIMIT = 100, ID_WIDTH = 14 };

const char calls_usage[] =
    "Usage: tapedeck calls SNAPSHOT[/DISSECTION]|FILE.calls [OPTION]...\n"
    "\n"
    "Prints the calls that match a filter, the newest first: those of a snapshot's dissection, which the hub has, or those of a\n"
    "call store (`tapedeck dissect -w`). What is not the name of a file is asked of the hub.\n"
    "\n"
    "      --filter KFL        only calls that match: 'http && status_code >= 500'. `tapedeck fields` lists the fields\n"
    "      --limit N           at most so many; default: 100 for a table on a terminal, else all. 0: all\n"
    "      --order ORDER       newest (default) or oldest first\n"
    "      --start TIME        only calls that began at this time or later: 2026-01-02T03:04:05.6Z, local time without zone,\n"
    "                          seconds since 1970, or now-5m\n"
    "      --end TIME          only calls that began before this time\n"
    "  -o, --output FORMAT     table (default), json (an object a line), csv (RFC 4180), har (HTTP calls, for a browser's\n"
    "                          developer tools) or count. A table that does not go to a terminal has tabs between its\n"
    "                          columns, full values and no header\n"
    "      --fields LIST       the columns of a table or of csv: id,timestamp,src,method,url; a table has tabs then\n"
    "      --payload           with headers and bodies\n"
    "  -f, --follow            goes on with what is added to a store that is still being written, or is found by a dissection that\n"
    "                          runs, until that has ended; as it comes, not in order\n"
    "  -w, --write FILE        to this file, which appears when it is whole; - is standard output\n"
    "      --explain           how the filter is run, and what it took; on stderr. Not for what the hub has\n"
    "      --hub URL           the hub; otherwise $TAPEDECK_HUB, else http://127.0.0.1:8898\n"
    "      --token-file FILE   its token; otherwise the file $TAPEDECK_TOKEN_FILE, else $TAPEDECK_TOKEN\n"
    "      --ca FILE           certificates (PEM) to trust for https; otherwise $TAPEDECK_CA, else the system's\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit codes: 0 fine (also if nothing matches), 1 failed, 2 usage or filter, 3 it is not there, 4 it may not be read, 7 the\n"
    "hub cannot be reached.\n";

enum output_mode { OUTPUT_TABLE, OUTPUT_FIELDS, OUTPUT_JSON, OUTPUT_CSV, OUTPUT_HAR, OUTPUT_COUNT };

enum { MAX_COMPONENTS = 256, FOLLOW_MS = 300 };

struct calls_command {
    enum output_mode mode;
    bool payload, explain, follow;
    const char *path, *filter_text, *fields, *out_path;
    const char *hub, *token_file, *ca;
    uint64_t limit; /* UINT64_MAX: not given */
    struct search_options options;
    struct store *store;
    struct search *search;
    struct call_table table;
    struct call_har hars[MAX_COMPONENTS]; /* by component */
    uint32_t har_n;
    uint64_t entries, left_out; /* of the HTTP Archive */
    struct output_file output;
    struct buf out;
};

/* ---- Options ---- */

static int parse_time(const char *text, const char *option, int64_t *ret_ns)
{
    if (units_parse_time(text, clock_ns(CLOCK_REALTIME), ret_ns))
        return CLI_OK;
    return cli_usage("calls ", "%s \"%s\" is no time", option, text);
}

static int parse_limit(struct calls_command *cmd, const char *text)
{
    char *end;
    errno = 0;
    cmd->limit = strtoull(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9')
        return cli_usage("calls ", "--limit takes a number, not \"%s\"", text);
    if (cmd->limit == 0)
        cmd->limit = UINT64_MAX - 1;
    return CLI_OK;
}

static int parse_output(struct calls_command *cmd, const char *text)
{
    static const struct {
        const char *name;
        enum output_mode mode;
    } modes[] = {{"table", OUTPUT_TABLE}, {"json", OUTPUT_JSON}, {"csv", OUTPUT_CSV}, {"har", OUTPUT_HAR}, {"count", OUTPUT_COUNT}};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(text, modes[i].name) == 0) {
            cmd->mode = modes[i].mode;
            return CLI_OK;
        }
    return cli_usage("calls ", "-o takes table, json, csv, har or count, not \"%s\"", text);
}

static int parse_order(struct calls_command *cmd, const char *text)
{
    cmd->options.oldest_first = strcmp(text, "oldest") == 0;
    if (cmd->options.oldest_first || strcmp(text, "newest") == 0)
        return CLI_OK;
    return cli_usage("calls ", "--order takes newest or oldest, not \"%s\"", text);
}

static int parse_options(struct calls_command *cmd, int argc, char **argv)
{
    enum {
        OPT_FILTER = 256,
        OPT_LIMIT,
        OPT_ORDER,
        OPT_START,
        OPT_END,
        OPT_FIELDS,
        OPT_PAYLOAD,
        OPT_EXPLAIN,
        OPT_HUB,
        OPT_TOKEN_FILE,
        OPT_CA
    };
    static const struct option options[] = {{"filter", required_argument, NULL, OPT_FILTER},
                                            {"limit", required_argument, NULL, OPT_LIMIT},
                                            {"order", required_argument, NULL, OPT_ORDER},
                                            {"start", required_argument, NULL, OPT_START},
                                            {"end", required_argument, NULL, OPT_END},
                                            {"output", required_argument, NULL, 'o'},
                                            {"fields", required_argument, NULL, OPT_FIELDS},
                                            {"payload", no_argument, NULL, OPT_PAYLOAD},
                                            {"write", required_argument, NULL, 'w'},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"explain", no_argument, NULL, OPT_EXPLAIN},
                                            {"hub", required_argument, NULL, OPT_HUB},
                                            {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
                                            {"ca", required_argument, NULL, OPT_CA},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int opt, code = CLI_OK;
    optind = 0;
    opterr = 0;
    while (code == CLI_OK && (opt = getopt_long(argc, argv, "o:w:fh", options, NULL)) != -1) {
        switch (opt) {
        case OPT_FILTER: cmd->filter_text = optarg; break;
        case OPT_LIMIT: code = parse_limit(cmd, optarg); break;
        case OPT_ORDER: code = parse_order(cmd, optarg); break;
        case OPT_START: code = parse_time(optarg, "--start", &cmd->options.from_ns); break;
        case OPT_END: code = parse_time(optarg, "--end", &cmd->options.to_ns); break;
        case 'o': code = parse_output(cmd, optarg); break;
        case OPT_FIELDS: cmd->fields = optarg; break;
        case OPT_PAYLOAD: cmd->payload = true; break;
        case 'w': cmd->out_path = optarg; break;
        case 'f': cmd->follow = true; break;
        case OPT_EXPLAIN: cmd->explain = true; break;
        case OPT_HUB: cmd->hub = optarg; break;
        case OPT_TOKEN_FILE: cmd->token_file = optarg; break;
        case OPT_CA: cmd->ca = optarg; break;
        case 'h': fputs(calls_usage, stdout); return -1;
        default: return cli_bad_option("calls ", argv);
        }
    }
    if (code != CLI_OK)
        return code;
    if (argc - optind != 1)
        return cli_usage("calls ", argc == optind ? "a snapshot or a call store is missing" : "one snapshot or call store at a time");
    if (cmd->fields && cmd->mode != OUTPUT_TABLE && cmd->mode != OUTPUT_CSV)
        return cli_usage("calls ", "--fields chooses the columns of a table or of csv; other outputs have none");
    if (cmd->follow && (cmd->mode == OUTPUT_HAR || cmd->mode == OUTPUT_COUNT))
        return cli_usage("calls ", "--follow has no end; -o har and count need one");
    if (cmd->options.from_ns >= cmd->options.to_ns)
        return cli_usage("calls ", "--start is not before --end");
    cmd->path = argv[optind];
    return CLI_OK;
}

/* ---- Output ---- */

static int flush_output(struct calls_command *cmd, struct error *err)
{
    int status = cmd->out.failed ? error_nomem(err) : output_file_write(&cmd->output, buf_slice(&cmd->out), err);
    buf_reset(&cmd->out);
    return status;
}

static int prepare_columns(struct calls_command *cmd, const char *list, struct error *err)
{
    uint32_t n;
    const struct field_set *const *components = store_components(cmd->store, &n);
    return column_set_parse(&cmd->table.columns, cmd->fields ? cmd->fields : list, components, n, err);
}

static int prepare_table(struct calls_command *cmd, bool terminal, struct error *err)
{
    bool tabs = cmd->fields || !terminal;
    int status = prepare_columns(cmd, tabs ? "id," CALL_TABLE_FIELDS : CALL_TABLE_FIELDS, err);
    if (status != TD_OK)
        return status;
    if (tabs) {
        cmd->mode = OUTPUT_FIELDS;
        return TD_OK;
    }
    struct winsize size;
    const char *no_colour = getenv("NO_COLOR");
    unsigned width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 120;
    call_table_init(&cmd->table, width > ID_WIDTH ? width - ID_WIDTH : width, !no_colour || !*no_colour);
    buf_printf(&cmd->out, "%*s  ", ID_WIDTH - 2, "ID");
    call_table_put_header(&cmd->out, &cmd->table);
    return TD_OK;
}

static int prepare_har(struct calls_command *cmd, struct error *err)
{
    const struct field_set *const *components = store_components(cmd->store, &cmd->har_n);
    if (cmd->har_n > MAX_COMPONENTS)
        return error_set(err, TD_E_LIMIT, "the store has calls of %u protocols; at most %d are possible here", cmd->har_n, MAX_COMPONENTS);
    for (uint32_t i = 0; i < cmd->har_n; i++)
        call_har_init(&cmd->hars[i], components[i]);
    cmd->payload = true;
    call_har_begin(&cmd->out, CLI_VERSION);
    return TD_OK;
}

static int prepare_csv(struct calls_command *cmd, struct error *err)
{
    int status = prepare_columns(cmd, "id," CALL_TABLE_FIELDS, err);
    if (status == TD_OK)
        call_csv_put_header(&cmd->out, &cmd->table.columns);
    return status;
}

static int prepare_output(struct calls_command *cmd, struct error *err)
{
    bool terminal = !cmd->out_path && isatty(STDOUT_FILENO);
    if (cmd->limit == UINT64_MAX)
        cmd->limit = terminal && cmd->mode == OUTPUT_TABLE ? DEFAULT_LIMIT : UINT64_MAX - 1;
    int status = TD_OK;
    if (cmd->mode == OUTPUT_TABLE)
        status = prepare_table(cmd, terminal, err);
    else if (cmd->mode == OUTPUT_CSV)
        status = prepare_csv(cmd, err);
    else if (cmd->mode == OUTPUT_HAR)
        status = prepare_har(cmd, err);
    return status == TD_OK ? output_file_open(&cmd->output, cmd->out_path ? cmd->out_path : "-", err) : status;
}

static void put_call(struct calls_command *cmd, const struct td_call *call)
{
    size_t begin = cmd->out.n;
    switch (cmd->mode) {
    case OUTPUT_JSON:
        buf_printf(&cmd->out, "{\"id\":%" PRIu64, call->id);
        begin = cmd->out.n;
        call_put_json(&cmd->out, call, cmd->payload);
        if (!cmd->out.failed)
            cmd->out.p[begin] = ','; /* instead of its brace */
        return;
    case OUTPUT_CSV: call_csv_put_row(&cmd->out, &cmd->table.columns, call); return;
    case OUTPUT_HAR:
        if (call_har_put(&cmd->out, &cmd->hars[call->component], call, cmd->entries == 0))
            cmd->entries++;
        else
            cmd->left_out++;
        return;
    case OUTPUT_FIELDS: column_put_row(&cmd->out, &cmd->table.columns, call); break;
    default:
        buf_printf(&cmd->out, "%*" PRIu64 "  ", ID_WIDTH - 2, call->id);
        call_table_put_row(&cmd->out, &cmd->table, call);
        break;
    }
    if (cmd->payload)
        call_put_payload(&cmd->out, call);
}

/* ---- Running ---- */

static int count_calls(struct calls_command *cmd, struct error *err)
{
    struct store_position at = {.id = 1};
    int status = TD_OK;
    uint64_t n = 0;
    while (n < cmd->limit && (status = search_next_position(cmd->search, &at, err)) == TD_OK && at.id)
        n++;
    buf_printf(&cmd->out, "%" PRIu64 "\n", n);
    return status;
}

static int put_calls(struct calls_command *cmd, struct error *err)
{
    const struct td_call *call;
    int status = TD_OK;
    for (uint64_t n = 0; n < cmd->limit && (status = search_next(cmd->search, &call, err)) == TD_OK && call; n++) {
        put_call(cmd, call);
        if (cmd->out.n >= WRITE_BYTES && (status = flush_output(cmd, err)) != TD_OK)
            break;
    }
    return status;
}

static int put_later(void *ctx, const struct td_call *call, struct error *err)
{
    (void)err;
    put_call(ctx, call);
    return TD_OK;
}

/* The calls of a chunk that came later. */
static int put_chunk(struct calls_command *cmd, uint32_t index, struct error *err)
{
    int status = search_chunk(cmd->search, index, put_later, cmd, err);
    return status == TD_OK ? flush_output(cmd, err) : status;
}

/* Until the store is complete, or its writer is gone. `seen`: chunks whose calls were printed. */
static int follow(struct calls_command *cmd, uint32_t seen, struct error *err)
{
    int status = TD_OK;
    for (bool last = false; status == TD_OK && !last;) {
        bool more;
        last = store_state(cmd->store) != STORE_WRITING;
        status = store_refresh(cmd->store, &more, err);
        while (status == TD_OK && seen < store_chunk_count(cmd->store))
            status = put_chunk(cmd, seen++, err);
        if (!last)
            usleep(FOLLOW_MS * 1000);
    }
    return status;
}

static int run(struct calls_command *cmd, struct error *err)
{
    uint32_t chunks = store_chunk_count(cmd->store);
    int status = cmd->mode == OUTPUT_COUNT ? count_calls(cmd, err) : put_calls(cmd, err);
    if (status == TD_OK && cmd->mode == OUTPUT_HAR)
        call_har_end(&cmd->out);
    if (status == TD_OK)
        status = flush_output(cmd, err);
    if (status == TD_OK && cmd->follow)
        status = follow(cmd, chunks, err);
    return status == TD_OK ? output_file_commit(&cmd->output, err) : status;
}

static void explain(const struct calls_command *cmd)
{
    struct buf out = {0};
    const struct filter_scan *scan = search_scan(cmd->search);
    const struct filter_scan_stats *stats = filter_scan_stats(scan);
    filter_scan_explain(&out, scan);
    buf_printf(&out, "%" PRIu64 " chunks, %" PRIu64 " of them decided by their statistics; %" PRIu64 " rows one by one\n", stats->chunks,
               stats->pruned, stats->rows_single);
    fwrite(out.p, 1, out.n, stderr);
    buf_clear(&out);
}

static void tell_state(const struct calls_command *cmd)
{
    if (store_state(cmd->store) == STORE_INCOMPLETE)
        cli_error("warning: %s is incomplete: its writer ended before the dissection did. All that it had committed is there", cmd->path);
    if (cmd->left_out)
        fprintf(stderr, "%" PRIu64 " calls are not HTTP and are not in the HTTP Archive\n", cmd->left_out);
    if (search_errors(cmd->search))
        fprintf(stderr, "%" PRIu64 " calls could not be judged and are left out\n", search_errors(cmd->search));
}

/* The exit code. */
static int start_search(struct calls_command *cmd)
{
    struct filter_diagnostics diagnostics;
    struct error err = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cmd->options.now_ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
    cmd->options.filter = cmd->filter_text;
    cmd->options.payload = cmd->payload;
    filter_diagnostics_init(&diagnostics);
    int status = search_open(cmd->store, &cmd->options, &cmd->search, &diagnostics, &err);
    int code = filter_text_tell(cmd->filter_text, &diagnostics, status, &err);
    filter_diagnostics_clear(&diagnostics);
    return code;
}

static int open_all(struct calls_command *cmd)
{
    struct error err;
    if (store_open(cmd->path, &cmd->store, &err) != TD_OK || prepare_output(cmd, &err) != TD_OK)
        return cli_fail(&err);
    return start_search(cmd);
}

/* What is no file is asked of the hub. */
static int run_at_hub(const struct calls_command *cmd)
{
    bool terminal = !cmd->out_path && isatty(STDOUT_FILENO);
    struct calls_hub_request want = {.hub = cmd->hub,
                                     .token_file = cmd->token_file,
                                     .ca = cmd->ca,
                                     .db = cmd->path,
                                     .filter = cmd->filter_text,
                                     .limit = cmd->limit,
                                     .oldest_first = cmd->options.oldest_first,
                                     .payload = cmd->payload,
                                     .follow = cmd->follow,
                                     .from_ns = cmd->options.from_ns,
                                     .to_ns = cmd->options.to_ns,
                                     .fields = cmd->fields,
                                     .out_path = cmd->out_path ? cmd->out_path : "-"};
    if (cmd->mode == OUTPUT_CSV || cmd->mode == OUTPUT_HAR || cmd->explain)
        return cli_usage("calls ", "-o csv, -o har and --explain need a call store in a file; \"%s\" is none", cmd->path);
    if (cmd->follow && (want.from_ns != INT64_MIN || want.to_ns != INT64_MAX || cmd->limit != UINT64_MAX))
        return cli_usage("calls ", "--follow goes on with what comes; --start, --end and --limit have no place there");
    if (want.limit == UINT64_MAX && terminal && cmd->mode == OUTPUT_TABLE)
        want.limit = DEFAULT_LIMIT;
    want.output = cmd->mode == OUTPUT_JSON          ? CALLS_HUB_JSON
                  : cmd->mode == OUTPUT_COUNT       ? CALLS_HUB_COUNT
                  : terminal && cmd->fields == NULL ? CALLS_HUB_TABLE
                                                    : CALLS_HUB_TABS;
    return calls_hub_run(&want);
}

static void cleanup(struct calls_command *cmd)
{
    output_file_abort(&cmd->output);
    buf_clear(&cmd->out);
    for (uint32_t i = 0; i < cmd->har_n; i++)
        call_har_clear(&cmd->hars[i]);
    column_set_clear(&cmd->table.columns);
    search_close(cmd->search);
    store_free(cmd->store);
}

int cmd_calls(int argc, char **argv)
{
    struct calls_command cmd = {.limit = UINT64_MAX, .output = {.fd = -1}};
    struct error err = {0};
    cmd.options.from_ns = INT64_MIN;
    cmd.options.to_ns = INT64_MAX;
    int code = parse_options(&cmd, argc, argv);
    if (code != CLI_OK)
        return code < 0 ? CLI_OK : code;
    if (calls_hub_is_name(cmd.path))
        return run_at_hub(&cmd);
    code = open_all(&cmd);
    if (code == CLI_OK && run(&cmd, &err) != TD_OK)
        code = cli_fail(&err);
    if (code == CLI_OK) {
        tell_state(&cmd);
        if (cmd.explain && search_scan(cmd.search))
            explain(&cmd);
    }
    cleanup(&cmd);
    return code;
}
