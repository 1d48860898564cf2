/* `tapedeck dissection`: what a hub has dissected, or is dissecting. */
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

static const struct answer_column columns[] = {
    {"SNAPSHOT", "snapshot", ANSWER_TEXT},    {"DISSECTION", "name", ANSWER_TEXT}, {"STATE", "state", ANSWER_TEXT},
    {"PROGRESS", "progress", ANSWER_PERCENT}, {"PACKETS", "packets", ANSWER_TEXT}, {"CALLS", "calls", ANSWER_TEXT},
    {"CREATED", "created_at", ANSWER_TIME},   {"ERROR", "error", ANSWER_TEXT},
};
static const struct answer_column lines[] = {
    {"snapshot", "snapshot", ANSWER_TEXT},    {"name", "name", ANSWER_TEXT},       {"state", "state", ANSWER_TEXT},
    {"progress", "progress", ANSWER_PERCENT}, {"job", "job", ANSWER_TEXT},         {"packets", "packets", ANSWER_TEXT},
    {"calls", "calls", ANSWER_TEXT},          {"size", "size", ANSWER_SIZE},       {"created", "created_at", ANSWER_TIME},
    {"finished", "finished_at", ANSWER_TIME}, {"crashes", "crashes", ANSWER_TEXT}, {"error", "error", ANSWER_TEXT},
};
static const struct answer_column quarantine_columns[] = {{"QUARANTINED", "connection", ANSWER_TEXT},
                                                          {"NODE", "node", ANSWER_TEXT},
                                                          {"DISSECTOR", "dissector", ANSWER_TEXT},
                                                          {"WHY", "why", ANSWER_TEXT}};

static int put_path(struct buf *path, const char *verb, const char *name, const char *rest)
{
    buf_lit(path, "/dissections");
    if (!client_put_dissection(path, name))
        return cli_usage(verb, "\"%s\" is no SNAPSHOT/DISSECTION; `tapedeck dissection list` shows which there are", name);
    buf_puts(path, rest);
    return CLI_OK;
}

/* Only those of the snapshot, if one is named. */
static int list(struct client *client, const struct verb_args *args)
{
    json_t *answer = NULL, *kept = json_array(), *one;
    size_t i;
    int code = client_get(client, "/dissections", &answer);
    if (code == CLI_OK && args->n) {
        json_array_foreach(json_object_get(answer, "dissections"), i, one) if (strcmp(client_text(one, "snapshot"), args->operands[0]) == 0)
            json_array_append(kept, one);
        json_object_set(answer, "dissections", kept);
    }
    if (code == CLI_OK)
        code = answer_print_list(args, answer, "dissections", columns, COUNT(columns));
    json_decref(kept);
    json_decref(answer);
    return code;
}

static int show(struct client *client, const struct verb_args *args)
{
    struct buf path;
    json_t *dissection = NULL;
    buf_init(&path, 0);
    int code = put_path(&path, "dissection show ", args->operands[0], "");
    if (code == CLI_OK)
        code = client_get(client, buf_cstr(&path), &dissection);
    if (code == CLI_OK)
        code = answer_print_object(args, dissection, lines, COUNT(lines), "quarantined", quarantine_columns, COUNT(quarantine_columns));
    json_decref(dissection);
    buf_clear(&path);
    return code;
}

static int each(struct client *client, const struct verb_args *args, const char *method, const char *rest)
{
    int code = CLI_OK;
    for (size_t i = 0; i < args->n; i++) {
        struct buf path;
        struct error err = {0};
        buf_init(&path, 0);
        int one = put_path(&path, "dissection ", args->operands[i], rest);
        if (one == CLI_OK && client_ask(client, method, buf_cstr(&path), NULL, NULL, &err) != TD_OK)
            one = client_fail(client, &err);
        code = one == CLI_OK ? code : one;
        buf_clear(&path);
    }
    return code;
}

static int stop(struct client *client, const struct verb_args *args)
{
    return each(client, args, "POST", "/stop");
}

static int delete (struct client *client, const struct verb_args *args)
{
    return each(client, args, "DELETE", "");
}

static int run_list(const struct verb_args *args)
{
    return client_with(args, list);
}

static int run_show(const struct verb_args *args)
{
    return client_with(args, show);
}

static int run_stop(const struct verb_args *args)
{
    return client_with(args, stop);
}

static int run_delete(const struct verb_args *args)
{
    return client_with(args, delete);
}

static const struct verb_option *const show_options[] = {&option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const stop_options[] = {CLIENT_OPTIONS, NULL};

static const struct verb verbs[] = {
    {"list", "[SNAPSHOT]", "List the dissections, of all snapshots or of one", 0, 1, show_options, PLACE_SNAPSHOT, NULL, run_list},
    {"show", "SNAPSHOT/DISSECTION", "Show a dissection: how far it is, what it found, what was quarantined", 1, 1, show_options,
     PLACE_DISSECTION, NULL, run_show},
    {"stop", "SNAPSHOT/DISSECTION...", "Stop dissections that run", 1, 256, stop_options, PLACE_DISSECTION, NULL, run_stop},
    {"delete", "SNAPSHOT/DISSECTION...", "Delete dissections; their snapshots stay", 1, 256, stop_options, PLACE_DISSECTION, NULL,
     run_delete},
};
const struct noun dissection_noun = {"dissection", "What was dissected of snapshots; `tapedeck snapshot dissect` begins one", NULL, verbs,
                                     COUNT(verbs)};

int cmd_dissection(int argc, char **argv)
{
    return verbs_run(&dissection_noun, argc, argv);
}
