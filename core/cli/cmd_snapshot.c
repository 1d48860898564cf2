/* `tapedeck snapshot`: time windows of the raw capture, kept by a hub. */
#include <stdio.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/job_wait.h"
#include "cli/options.h"
#include "cli/snapshot_file.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

static const struct answer_column columns[] = {
    {"NAME", "name", ANSWER_TEXT},    {"STATUS", "status", ANSWER_STATUS},   {"SIZE", "size", ANSWER_SIZE},
    {"START", "start", ANSWER_TIME},  {"END", "end", ANSWER_TIME},           {"PACKETS", "packets", ANSWER_TEXT},
    {"NODES", "nodes", ANSWER_NODES}, {"LOCATION", "location", ANSWER_TEXT}, {"CREATED", "created_at", ANSWER_TIME},
};
static const struct answer_column lines[] = {
    {"name", "name", ANSWER_TEXT},          {"id", "id", ANSWER_TEXT},
    {"status", "status", ANSWER_STATUS},    {"reason", "reason", ANSWER_TEXT},
    {"start", "start", ANSWER_TIME},        {"end", "end", ANSWER_TIME},
    {"created", "created_at", ANSWER_TIME}, {"size", "size", ANSWER_SIZE},
    {"packets", "packets", ANSWER_TEXT},    {"coverage", "coverage", ANSWER_TEXT},
    {"location", "location", ANSWER_TEXT},  {"nodes", "nodes", ANSWER_NODES},
};
static const struct answer_column node_columns[] = {
    {"NODE", "name", ANSWER_TEXT},     {"STATE", "state", ANSWER_TEXT},     {"FROM", "covered_from", ANSWER_TIME},
    {"TO", "covered_to", ANSWER_TIME}, {"PACKETS", "packets", ANSWER_TEXT}, {"DROPPED", "dropped_by_kernel", ANSWER_TEXT},
    {"REASON", "reason", ANSWER_TEXT},
};

/* "/snapshots/NAME" and what stands behind it. */
static void put_path(struct buf *path, const char *name, const char *rest)
{
    buf_lit(path, "/snapshots/");
    http_put_encoded(path, name);
    buf_puts(path, rest);
}

static int get(struct client *client, const char *name, json_t **ret)
{
    struct buf path;
    buf_init(&path, 0);
    put_path(&path, name, "");
    int code = client_get(client, buf_cstr(&path), ret);
    buf_clear(&path);
    return code;
}

static int print(const struct verb_args *args, const json_t *snapshot)
{
    return answer_print_object(args, snapshot, lines, COUNT(lines), "nodes", node_columns, COUNT(node_columns));
}

/* Shows what was made; CLI_PARTIAL if something is missing in it, which is told. */
static int show_made(struct client *client, const struct verb_args *args, const char *name)
{
    json_t *snapshot = NULL;
    int code = get(client, name, &snapshot);
    if (code == CLI_OK && !args->quiet)
        code = print(args, snapshot);
    if (code == CLI_OK && json_is_false(json_object_get(snapshot, "complete"))) {
        struct buf reason;
        buf_init(&reason, 0);
        answer_put_value(&reason, json_object_get(snapshot, "reason"));
        cli_error("snapshot %s is there, but not whole: %s; see tapedeck snapshot show %s", name, buf_cstr(&reason), name);
        buf_clear(&reason);
        code = CLI_PARTIAL;
    }
    json_decref(snapshot);
    return code;
}

/* ---- create ---- */

static int put_names(json_t *body, const char *names)
{
    json_t *list = json_array();
    while (*names) {
        size_t n = strcspn(names, ",");
        if (n == 0) {
            json_decref(list);
            return cli_usage("snapshot create ", "--nodes has an empty name; write --nodes node-1,node-2");
        }
        json_array_append_new(list, json_stringn(names, n));
        names += n + (names[n] == ',');
    }
    return json_object_set_new(body, "nodes", list) == 0 ? CLI_OK : CLI_FAILURE;
}

static int put_time(json_t *body, const char *key, const char *text)
{
    char option[16], time[40];
    snprintf(option, sizeof(option), "--%s", key);
    int code = client_time(option, text, time);
    return code == CLI_OK && json_object_set_new(body, key, json_string(time)) != 0 ? CLI_FAILURE : code;
}

/* The hub's clock says what the last five minutes are. */
static int put_window(json_t *body, const struct verb_args *args)
{
    if (args->last && (args->start || args->end))
        return cli_usage("snapshot create ", "--last and --start or --end exclude each other");
    if (args->last)
        return json_object_set_new(body, "last", json_string(args->last)) == 0 ? CLI_OK : CLI_FAILURE;
    if (!args->start)
        return cli_usage("snapshot create ", "say which window: --last 5m, or --start TIME and --end TIME");
    int code = put_time(body, "start", args->start);
    return code == CLI_OK ? put_time(body, "end", args->end ? args->end : "now") : code;
}

static int create(struct client *client, const struct verb_args *args)
{
    const char *name = args->operands[0];
    json_t *body = json_pack("{s:s}", "name", name), *answer = NULL;
    struct buf what;
    bool done = false;
    buf_init(&what, 0);
    buf_printf(&what, "snapshot %s", name);
    int code = body ? put_window(body, args) : cli_usage("snapshot create ", "the name is no UTF-8");
    if (code == CLI_OK && args->nodes)
        code = put_names(body, args->nodes);
    if (code == CLI_OK && args->allow_partial)
        json_object_set_new(body, "allow_partial", json_true());
    if (code == CLI_OK)
        code = client_post(client, "/snapshots", body, &answer);
    if (code == CLI_OK)
        code = job_begun(client, args, answer, buf_cstr(&what), args->wait, &done);
    if (done)
        code = show_made(client, args, name);
    json_decref(answer);
    json_decref(body);
    buf_clear(&what);
    return code;
}

/* ---- list, show, verify, delete ---- */

static int list(struct client *client, const struct verb_args *args)
{
    json_t *answer = NULL;
    struct buf path;
    buf_init(&path, 0);
    buf_lit(&path, "/snapshots");
    client_put_parameter(&path, "location", args->location);
    int code = client_get(client, buf_cstr(&path), &answer);
    if (code == CLI_OK)
        code = answer_print_list(args, answer, "snapshots", columns, COUNT(columns));
    json_decref(answer);
    buf_clear(&path);
    return code;
}

static int show(struct client *client, const struct verb_args *args)
{
    json_t *snapshot = NULL;
    int code = get(client, args->operands[0], &snapshot);
    if (code == CLI_OK)
        code = print(args, snapshot);
    json_decref(snapshot);
    return code;
}

static int verify(struct client *client, const struct verb_args *args)
{
    const char *name = args->operands[0];
    struct buf path, what;
    json_t *answer = NULL;
    bool done = false;
    buf_init(&path, 0);
    buf_init(&what, 0);
    put_path(&path, name, "/verify");
    client_put_parameter(&path, "location", args->location);
    buf_printf(&what, "snapshot %s", name);
    int code = client_post(client, buf_cstr(&path), NULL, &answer);
    if (code == CLI_OK)
        code = job_begun(client, args, answer, buf_cstr(&what), true, &done);
    if (done && !args->quiet)
        fprintf(stderr, "snapshot %s: every byte is as it was when it was made\n", name);
    json_decref(answer);
    buf_clear(&path);
    buf_clear(&what);
    return code;
}

/* From the cloud it takes a job, which is waited for. */
static int delete_one(struct client *client, const struct verb_args *args, const char *name)
{
    struct buf path, what;
    json_t *answer = NULL;
    struct error err = {0};
    bool done;
    buf_init(&path, 0);
    buf_init(&what, 0);
    put_path(&path, name, "");
    client_put_parameter(&path, "from", args->from);
    buf_printf(&what, "deletion of %s", name);
    int code = client_ask(client, "DELETE", buf_cstr(&path), NULL, &answer, &err) == TD_OK ? CLI_OK : client_fail(client, &err);
    if (code == CLI_OK && *client_text(answer, "job"))
        code = job_begun(client, args, answer, buf_cstr(&what), true, &done);
    json_decref(answer);
    buf_clear(&path);
    buf_clear(&what);
    return code;
}

static int delete (struct client *client, const struct verb_args *args)
{
    int code = CLI_OK;
    for (size_t i = 0; i < args->n; i++) {
        int one = delete_one(client, args, args->operands[i]);
        code = one == CLI_OK ? code : one;
    }
    return code;
}

/* ---- upload, download ---- */

static int move(struct client *client, const struct verb_args *args, const char *verb)
{
    const char *name = args->operands[0];
    struct buf path, what;
    json_t *answer = NULL, *snapshot = NULL;
    bool done = false;
    buf_init(&path, 0);
    buf_init(&what, 0);
    put_path(&path, name, "/");
    buf_puts(&path, verb);
    client_put_parameter(&path, "allow_same_name", args->allow_same_name ? "true" : NULL);
    buf_printf(&what, "%s of %s", verb, name);
    int code = client_post(client, buf_cstr(&path), NULL, &answer);
    if (code == CLI_OK)
        code = job_begun(client, args, answer, buf_cstr(&what), args->wait, &done);
    if (done && !args->quiet && (code = get(client, name, &snapshot)) == CLI_OK)
        code = print(args, snapshot);
    json_decref(snapshot);
    json_decref(answer);
    buf_clear(&path);
    buf_clear(&what);
    return code;
}

static int upload(struct client *client, const struct verb_args *args)
{
    return move(client, args, "upload");
}

static int download(struct client *client, const struct verb_args *args)
{
    return move(client, args, "download");
}

/* ---- export, import ---- */

/* Options that do not go together, before anybody is asked. */
static int check_export(const struct verb_args *args)
{
    bool archive = args->format && strcmp(args->format, "archive") == 0;
    if (!args->out_path)
        return cli_usage("snapshot export ", "say with -w where to write");
    if (strcmp(args->out_path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage("snapshot export ", "standard output is a terminal; write to a file or a pipe");
    if ((args->connections || args->dissection) && !args->filter)
        return cli_usage("snapshot export ", "--connections and --dissection belong to --filter");
    if (!archive && (args->dissections || args->compression))
        return cli_usage("snapshot export ", "--dissections and --compression belong to --format archive");
    if (archive && (args->nodes || args->bpf || args->filter || args->start || args->end))
        return cli_usage("snapshot export ", "an archive is the whole snapshot: --nodes, --bpf, --filter, --start and --end go with "
                                             "--format pcap and pcapng");
    return CLI_OK;
}

static int export_file(struct client *client, const struct verb_args *args)
{
    struct buf path;
    buf_init(&path, 0);
    put_path(&path, args->operands[0], "/");
    buf_puts(&path, args->format ? args->format : "pcap");
    client_put_parameter(&path, "nodes", args->nodes);
    client_put_parameter(&path, "bpf", args->bpf);
    client_put_parameter(&path, "filter", args->filter);
    client_put_parameter(&path, "dissection", args->dissection);
    client_put_parameter(&path, "connections", args->connections ? "true" : NULL);
    client_put_parameter(&path, "dissections", args->dissections ? "true" : NULL);
    client_put_parameter(&path, "compression", args->compression);
    int code = check_export(args);
    if (code == CLI_OK)
        code = client_put_time(&path, "start", args->start);
    if (code == CLI_OK)
        code = client_put_time(&path, "end", args->end);
    if (code == CLI_OK)
        code = snapshot_file_download(client, buf_cstr(&path), args->filter, args->out_path, args->quiet);
    buf_clear(&path);
    return code;
}

static int import(struct client *client, const struct verb_args *args)
{
    json_t *answer = NULL;
    struct buf what;
    bool done = false;
    buf_init(&what, 0);
    buf_printf(&what, "import of %s", args->operands[0]);
    int code = snapshot_file_upload(client, args->operands[0], args->name, args->quiet, &answer);
    if (code == CLI_OK)
        code = job_begun(client, args, answer, buf_cstr(&what), true, &done);
    if (done && *client_text(answer, "name"))
        code = show_made(client, args, client_text(answer, "name"));
    json_decref(answer);
    buf_clear(&what);
    return code;
}

/* ---- dissect ---- */

static int show_dissection(struct client *client, const struct verb_args *args, const char *snapshot, const char *name)
{
    static const struct answer_column dissection_lines[] = {{"snapshot", "snapshot", ANSWER_TEXT}, {"name", "name", ANSWER_TEXT},
                                                            {"state", "state", ANSWER_TEXT},       {"packets", "packets", ANSWER_TEXT},
                                                            {"calls", "calls", ANSWER_TEXT},       {"error", "error", ANSWER_TEXT}};
    struct buf path;
    json_t *dissection = NULL;
    buf_init(&path, 0);
    buf_lit(&path, "/dissections/");
    http_put_encoded(&path, snapshot);
    buf_putc(&path, '/');
    http_put_encoded(&path, name);
    int code = client_get(client, buf_cstr(&path), &dissection);
    if (code == CLI_OK)
        code = answer_print_object(args, dissection, dissection_lines, COUNT(dissection_lines), NULL, NULL, 0);
    json_decref(dissection);
    buf_clear(&path);
    return code;
}

static int dissect(struct client *client, const struct verb_args *args)
{
    const char *snapshot = args->operands[0];
    json_t *body = json_pack("{s:s}", "snapshot", snapshot), *answer = NULL;
    struct buf what;
    bool done = false;
    if (!body)
        return cli_usage("snapshot dissect ", "the name is no UTF-8");
    if (args->name)
        json_object_set_new(body, "name", json_string(args->name));
    buf_init(&what, 0);
    buf_printf(&what, "dissection of %s", snapshot);
    int code = client_post(client, "/dissections", body, &answer);
    if (code == CLI_OK)
        code = job_begun(client, args, answer, buf_cstr(&what), args->wait, &done);
    const char *slash = strchr(client_text(answer, "subject"), '/'); /* the hub knows what it is called if nobody said it */
    if (done && slash && !args->quiet)
        code = show_dissection(client, args, snapshot, slash + 1);
    json_decref(answer);
    json_decref(body);
    buf_clear(&what);
    return code;
}

/* ---- The table ---- */

static int run_create(const struct verb_args *args)
{
    return client_with(args, create);
}

static int run_list(const struct verb_args *args)
{
    return client_with(args, list);
}

static int run_show(const struct verb_args *args)
{
    return client_with(args, show);
}

static int run_verify(const struct verb_args *args)
{
    return client_with(args, verify);
}

static int run_delete(const struct verb_args *args)
{
    return client_with(args, delete);
}

static int run_upload(const struct verb_args *args)
{
    return client_with(args, upload);
}

static int run_download(const struct verb_args *args)
{
    return client_with(args, download);
}

static int run_export(const struct verb_args *args)
{
    return client_with(args, export_file);
}

static int run_dissect(const struct verb_args *args)
{
    return client_with(args, dissect);
}

static int run_import(const struct verb_args *args)
{
    return client_with(args, import);
}

#define MEMBER(name) offsetof(struct verb_args, name)

static const struct verb_option option_allow_partial = {
    "allow-partial", 0, NULL, NULL, "also if a node is away or does not hold the whole window any more", PLACE_TEXT, MEMBER(allow_partial)};
static const struct verb_option option_location = {
    "location", 0, "LOCATION", "local|cloud", "only those there; without it, all", PLACE_TEXT, MEMBER(location)};
static const struct verb_option option_copy = {
    "location", 0, "LOCATION", "local|cloud", "which copy of it; local if it is not said", PLACE_TEXT, MEMBER(location)};
static const struct verb_option option_from = {
    "from", 0, "LOCATION", "local|cloud|all", "from where; needed for one that is in both places", PLACE_TEXT, MEMBER(from)};
static const struct verb_option option_allow_same_name = {
    "allow-same-name",      0, NULL, NULL, "also if another snapshot in the cloud is called so: ids tell them apart", PLACE_TEXT,
    MEMBER(allow_same_name)};
static const struct verb_option option_format = {"format",      0, "FORMAT", "pcap|pcapng|archive", "pcap if it is not said", PLACE_TEXT,
                                                 MEMBER(format)};
static const struct verb_option option_bpf = {
    "bpf", 0, "EXPRESSION", NULL, "only packets that match (pcap-filter(7)), as tcpdump does", PLACE_TEXT, MEMBER(bpf)};
static const struct verb_option option_filter = {
    "filter",
    0,
    "KFL",
    NULL,
    "only the packets of calls that match: 'http && status_code >= 500'; it must have been dissected",
    PLACE_TEXT,
    MEMBER(filter)};
static const struct verb_option option_dissection = {
    "dissection", 0, "NAME", NULL, "the dissection whose calls --filter chooses, if there are several", PLACE_TEXT, MEMBER(dissection)};
static const struct verb_option option_connections = {
    "connections", 0, NULL, NULL, "with --filter: the whole connections of these calls", PLACE_TEXT, MEMBER(connections)};
static const struct verb_option option_dissections = {
    "dissections", 0, NULL, NULL, "with --format archive: the dissections as well", PLACE_TEXT, MEMBER(dissections)};
static const struct verb_option option_compression = {
    "compression", 0, "COMPRESSION", "zstd|gzip|none", "of an archive; zstd if it is not said", PLACE_TEXT, MEMBER(compression)};
static const struct verb_option option_write = {
    "write", 'w', "FILE", NULL, "the file to write; - is standard output. It appears when it is whole", PLACE_FILE, MEMBER(out_path)};
static const struct verb_option option_as = {"as", 0, "DISSECTION", NULL, "the name of the dissection", PLACE_TEXT, MEMBER(name)};
static const struct verb_option option_name = {
    "name", 0, "NAME", NULL, "the name of the snapshot; otherwise what the archive or the file is called", PLACE_TEXT, MEMBER(name)};

static const struct verb_option *const create_options[] = {&option_last,          &option_start, &option_end,   &option_nodes,
                                                           &option_allow_partial, &option_wait,  &option_quiet, &option_output,
                                                           CLIENT_OPTIONS,        NULL};
static const struct verb_option *const show_options[] = {&option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const list_options[] = {&option_location, &option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const verify_options[] = {&option_copy, &option_quiet, CLIENT_OPTIONS, NULL};
static const struct verb_option *const delete_options[] = {&option_from, &option_quiet, CLIENT_OPTIONS, NULL};
static const struct verb_option *const upload_options[] = {&option_wait,   &option_allow_same_name, &option_quiet,
                                                           &option_output, CLIENT_OPTIONS,          NULL};
static const struct verb_option *const download_options[] = {&option_wait, &option_quiet, &option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const export_options[] = {
    &option_write,       &option_format, &option_bpf,   &option_filter, &option_dissections, &option_compression, &option_dissection,
    &option_connections, &option_nodes,  &option_start, &option_end,    &option_quiet,       CLIENT_OPTIONS,      NULL};
static const struct verb_option *const dissect_options[] = {&option_as, &option_wait, &option_quiet, &option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const import_options[] = {&option_name, &option_quiet, &option_output, CLIENT_OPTIONS, NULL};

static const struct verb verbs[] = {
    {"create", "NAME", "Keep a time window of the raw capture, on all nodes or on some", 1, 1, create_options, PLACE_TEXT,
     "Names are of a-z, 0-9, dot, underscore and hyphen. The window has to be within the raw capture of every node, unless --allow-partial "
     "is "
     "given; what is missing then stands in the snapshot.",
     run_create},
    {"list", "", "List the snapshots, here and in the cloud, the newest first", 0, 0, list_options, PLACE_TEXT, NULL, run_list},
    {"show", "NAME", "Show a snapshot: its window, what each node holds of it, and what is missing", 1, 1, show_options, PLACE_SNAPSHOT,
     NULL, run_show},
    {"verify", "NAME", "Read a snapshot again and compare every byte with the sums in its manifest", 1, 1, verify_options, PLACE_SNAPSHOT,
     NULL, run_verify},
    {"delete", "NAME...", "Delete snapshots with their dissections, for good", 1, 256, delete_options, PLACE_SNAPSHOT,
     "One that is in local storage and in the cloud is deleted where --from says: local, cloud, or all, which is both.", run_delete},
    {"upload", "NAME", "Put a snapshot, with its dissections, into cloud storage; it stays here, too", 1, 1, upload_options, PLACE_SNAPSHOT,
     "What an earlier upload has sent is not sent again; of a snapshot that is there already only new dissections are.", run_upload},
    {"download", "NAME", "Get a snapshot from cloud storage, to export and dissect it here", 1, 1, download_options, PLACE_SNAPSHOT,
     "In the cloud several snapshots may have one name: then NAME is an id, as the hub's answer lists them.", run_download},
    {"export", "NAME", "Write a snapshot's packets to a file, for Wireshark and tcpdump, or all of it as an archive", 1, 1, export_options,
     PLACE_SNAPSHOT, NULL, run_export},
    {"dissect", "NAME", "Turn a snapshot's packets into calls, for `tapedeck calls`", 1, 1, dissect_options, PLACE_SNAPSHOT, NULL,
     run_dissect},
    {"import", "FILE", "Make a snapshot of an archive, or of a capture (pcap, pcapng) that somebody else made", 1, 1, import_options,
     PLACE_FILE,
     "Of a capture, packets, interfaces and names of addresses are kept; comments of packets, and secrets for decryption, are not.",
     run_import},
};
const struct noun snapshot_noun = {"snapshot", "Time windows of the raw capture, kept for good",
                                   "Exit codes: 0 fine, 1 failed, 2 usage, window or filter, 3 not found, 4 not allowed, 5 a name in use "
                                   "or no room, 6 made, but not whole, 7 "
                                   "the hub cannot be reached.",
                                   verbs, COUNT(verbs)};

int cmd_snapshot(int argc, char **argv)
{
    return verbs_run(&snapshot_noun, argc, argv);
}
