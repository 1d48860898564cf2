/* `tapedeck raw`: the raw capture of a worker straight from its directory, whether the worker runs or not. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/units.h"
#include "capture/window.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "export/output_file.h"

const char raw_usage[] =
    "Usage: tapedeck raw VERB [OPTION]... DIR\n"
    "\n"
    "Reads the raw capture in a worker's directory (tap.capture.raw.path), whether the worker runs or not, and changes nothing there. What "
    "a\n"
    "running worker captured within the last second may not be there yet; its API gives that as well.\n"
    "\n"
    "  list                    the segments: times, packets, what is missing\n"
    "  window                  the packets of a time window, as pcapng\n"
    "\n"
    "  -w, --write OUT         window: the file to write; - is standard output. It appears when it is whole\n"
    "      --start TIME        from this time on: 2026-01-02T03:04:05.6Z, local time without zone, seconds since 1970, now-1h30m\n"
    "      --end TIME          before this time\n"
    "      --last DURATION     instead: the last 30s, 5m, 1h30m\n"
    "      --bpf EXPRESSION    window: only packets that match (pcap-filter(7)), as tcpdump does\n"
    "  -o, --output FORMAT     list: table or json\n"
    "  -q, --quiet             window: no summary and no progress bar\n"
    "  -h, --help              this text\n";

enum { OPT_START = 256, OPT_END, OPT_LAST, OPT_BPF };

/* Measured: writes of a megabyte took two to five times as long on ext4 as these. */
enum { COPY_BYTES = 128 << 10 };

enum { SHORT_DIGEST = 6 /* bytes of it in the table; -o json tells all */ };
_Static_assert(UNITS_TEXT <= 2 * SEGMENT_SHA256 + 1, "texts and digests share their room");

struct raw_command {
    const char *verb, *dir, *out_path;
    struct window_request want;
    bool json, quiet;
};

/* ---- Options ---- */

static int take_option(struct raw_command *cmd, int opt, char **argv)
{
    int64_t last_ns;
    switch (opt) {
    case 'w': cmd->out_path = optarg; return CLI_OK;
    case 'q': cmd->quiet = true; return CLI_OK;
    case OPT_BPF: cmd->want.filter = optarg; return CLI_OK;
    case 'o':
        cmd->json = strcmp(optarg, "json") == 0;
        return cmd->json || strcmp(optarg, "table") == 0 ? CLI_OK : cli_usage("raw ", "-o takes table or json, not \"%s\"", optarg);
    case OPT_START:
        return units_parse_time(optarg, clock_ns(CLOCK_REALTIME), &cmd->want.start_ns)
                   ? CLI_OK
                   : cli_usage("raw ", "--start \"%s\" is no time", optarg);
    case OPT_END:
        return units_parse_time(optarg, clock_ns(CLOCK_REALTIME), &cmd->want.end_ns) ? CLI_OK
                                                                                     : cli_usage("raw ", "--end \"%s\" is no time", optarg);
    case OPT_LAST:
        if (!units_parse_duration(optarg, &last_ns) || last_ns <= 0)
            return cli_usage("raw ", "--last \"%s\" is no duration", optarg);
        cmd->want.start_ns = clock_ns(CLOCK_REALTIME) - last_ns;
        return CLI_OK;
    default: return cli_bad_option("raw ", argv);
    }
}

/* The exit code, or -1: go on. */
static int parse(struct raw_command *cmd, int argc, char **argv)
{
    static const struct option options[] = {
        {"write", required_argument, NULL, 'w'},
        {"start", required_argument, NULL, OPT_START},
        {"end", required_argument, NULL, OPT_END},
        {"last", required_argument, NULL, OPT_LAST},
        {"bpf", required_argument, NULL, OPT_BPF},
        {"output", required_argument, NULL, 'o'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int opt;
    optind = 0;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, ":w:o:qh", options, NULL)) != -1) {
        if (opt == 'h')
            return printf("%s", raw_usage) < 0 ? CLI_FAILURE : CLI_OK;
        int code = take_option(cmd, opt, argv);
        if (code != CLI_OK)
            return code;
    }
    if (argc - optind != 2)
        return cli_usage("raw ", "a verb and one directory are needed");
    cmd->verb = argv[optind];
    cmd->dir = argv[optind + 1];
    return -1;
}

/* ---- list ---- */

static const char *time_text(int64_t ns, bool known, char out[UNITS_TEXT])
{
    if (!known)
        return "-";
    units_format_time(ns, out);
    return out;
}

static const char *hex_of(const uint8_t *p, size_t n, char out[2 * SEGMENT_SHA256 + 1])
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
    return out;
}

static void put_row(struct table *t, const struct segment_summary *s)
{
    char text[2 * SEGMENT_SHA256 + 1];
    bool gap = s->gap != GAP_NONE && s->gap != GAP_FIRST;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)s->sequence);
    table_cell(t, text);
    table_cell(t, time_text(s->first_ns, s->packets > 0, text));
    table_cell(t, time_text(s->last_ns, s->packets > 0, text));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)s->packets);
    table_cell(t, text);
    table_cell(t, units_format_size(s->bytes, text));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(s->dropped_by_kernel + s->dropped_by_interface + s->dropped_by_disk));
    table_cell(t, text);
    table_cell(t, s->hashed ? hex_of(s->sha256, SHORT_DIGEST, text) : "-");
    table_cell(t, gap ? segment_gap_name(s->gap) : "");
}

static void put_object(struct buf *out, const struct segment_summary *s)
{
    char first[UNITS_TEXT], last[UNITS_TEXT], sha256[2 * SEGMENT_SHA256 + 1];
    units_format_time(s->first_ns, first);
    units_format_time(s->last_ns, last);
    buf_printf(out, "{\"sequence\":%llu,\"packets\":%llu,\"bytes\":%llu,", (unsigned long long)s->sequence, (unsigned long long)s->packets,
               (unsigned long long)s->bytes);
    if (s->packets)
        buf_printf(out, "\"first\":\"%s\",\"last\":\"%s\",", first, last);
    if (s->hashed)
        buf_printf(out, "\"sha256\":\"%s\",", hex_of(s->sha256, SEGMENT_SHA256, sha256));
    buf_printf(out, "\"dropped_by_kernel\":%llu,\"dropped_by_interface\":%llu,\"dropped_by_disk\":%llu,\"recovered\":%s,\"gap_before\":",
               (unsigned long long)s->dropped_by_kernel, (unsigned long long)s->dropped_by_interface,
               (unsigned long long)s->dropped_by_disk, s->recovered ? "true" : "false");
    if (s->gap)
        json_put_string(out, td_str(segment_gap_name(s->gap)));
    else
        buf_lit(out, "null");
    buf_lit(out, "}\n");
}

static int run_list(const struct raw_command *cmd, struct ring *ring)
{
    static const char *const heads[] = {"SEGMENT", "FIRST", "LAST", "PACKETS", "SIZE", "DROPPED", "SHA-256", "GAP BEFORE"};
    struct segment_summary *v;
    struct table table;
    struct buf out;
    struct error err;
    size_t n;
    if (ring_summaries(ring, &v, &n, &err) != TD_OK)
        return cli_fail(&err);
    buf_init(&out, 0);
    table_init(&table, sizeof(heads) / sizeof(heads[0]));
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        table_cell(&table, heads[i]);
    for (size_t i = 0; i < n; i++) {
        bool overlaps = !v[i].packets || (v[i].first_ns < cmd->want.end_ns && v[i].last_ns >= cmd->want.start_ns);
        if (overlaps && cmd->json)
            put_object(&out, &v[i]);
        else if (overlaps)
            put_row(&table, &v[i]);
    }
    if (!cmd->json)
        table_put(&table, 0, &out);
    int code = cli_write(&out);
    table_clear(&table);
    buf_clear(&out);
    mem_free(v);
    return code;
}

/* ---- window ---- */

static uint64_t bytes_of_window(struct ring *ring, const struct window_request *want)
{
    struct window_piece *v;
    struct error ignored;
    uint64_t sum = 0;
    size_t n;
    if (window_pieces(ring, want->start_ns, want->end_ns, &v, &n, &ignored) != TD_OK)
        return 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i].summary.bytes;
    mem_free(v);
    return sum;
}

static int copy(const struct raw_command *cmd, struct ring *ring, struct window *window, struct output_file *out, struct error *err)
{
    struct progress progress;
    uint64_t all = cmd->want.filter ? 0 : bytes_of_window(ring, &cmd->want);
    uint8_t *bytes = mem_alloc(COPY_BYTES);
    size_t n = 1;
    int status = bytes ? TD_OK : error_nomem(err);
    progress_init(&progress);
    progress.active &= !cmd->quiet;
    while (status == TD_OK && n) {
        status = window_read(window, bytes, COPY_BYTES, &n, err);
        if (status == TD_OK && n)
            status = output_file_write(out, td_bytes(bytes, n), err);
        progress_show(&progress, "packets", window_stats(window)->bytes, all, window_stats(window)->packets);
    }
    progress_end(&progress);
    mem_free(bytes);
    return status;
}

static int run_window(const struct raw_command *cmd, struct ring *ring)
{
    struct output_file out;
    struct window *window = NULL;
    struct error err;
    char size[UNITS_TEXT];
    if (!cmd->out_path)
        return cli_usage("raw ", "say with -w where to write");
    int status = window_open(ring, &cmd->want, &window, &err);
    if (status == TD_OK && (status = output_file_open(&out, cmd->out_path, &err)) == TD_OK) {
        status = copy(cmd, ring, window, &out, &err);
        if (status == TD_OK)
            status = output_file_commit(&out, &err);
        if (status != TD_OK)
            output_file_abort(&out);
    }
    if (status == TD_OK && !cmd->quiet) {
        const struct window_stats *s = window_stats(window);
        fprintf(stderr, "%llu packets, %s, of %llu segments\n", (unsigned long long)s->packets, units_format_size(s->bytes, size),
                (unsigned long long)s->segments);
    }
    window_close(window);
    return status == TD_OK ? CLI_OK : cli_fail(&err);
}

int cmd_raw(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct raw_command *, struct ring *);
    } verbs[] = {{"list", run_list}, {"window", run_window}};
    struct raw_command cmd = {.want = {.start_ns = INT64_MIN, .end_ns = INT64_MAX}};
    struct ring *ring;
    struct error err;
    struct nearest near;
    int code = parse(&cmd, argc, argv);
    if (code >= 0)
        return code;
    nearest_init(&near, cmd.verb);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        nearest_try(&near, verbs[i].name);
        if (strcmp(verbs[i].name, cmd.verb) != 0)
            continue;
        if (ring_open_read_only(cmd.dir, &ring, &err) != TD_OK)
            return cli_fail(&err);
        code = verbs[i].run(&cmd, ring);
        ring_close(ring);
        return code;
    }
    if (near.best)
        return cli_usage("raw ", "unknown verb \"%s\"; did you mean \"%s\"?", cmd.verb, near.best);
    return cli_usage("raw ", "unknown verb \"%s\"", cmd.verb);
}
