/* `tapedeck job`: the long work of a hub. */
#include <stdio.h>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/job_wait.h"
#include "cli/options.h"

static const struct answer_column columns[] = {
    {"ID", "id", ANSWER_TEXT},
    {"KIND", "kind", ANSWER_TEXT},
    {"OF", "subject", ANSWER_TEXT},
    {"STATE", "state", ANSWER_TEXT},
    {"PROGRESS", "progress", ANSWER_PERCENT},
    {"CREATED", "created_at", ANSWER_TIME},
    {"FINISHED", "finished_at", ANSWER_TIME},
    {"ERROR", "error", ANSWER_TEXT},
};
static const struct answer_column lines[] = {
    {"id", "id", ANSWER_TEXT},
    {"kind", "kind", ANSWER_TEXT},
    {"of", "subject", ANSWER_TEXT},
    {"state", "state", ANSWER_TEXT},
    {"progress", "progress", ANSWER_PERCENT},
    {"done", "done", ANSWER_SIZE},
    {"all", "all", ANSWER_SIZE},
    {"created", "created_at", ANSWER_TIME},
    {"started", "started_at", ANSWER_TIME},
    {"finished", "finished_at", ANSWER_TIME},
    {"error", "error", ANSWER_TEXT},
    {"code", "code", ANSWER_TEXT},
};

static void put_path(struct buf *path, const char *id, const char *verb)
{
    buf_lit(path, "/jobs/");
    http_put_encoded(path, id);
    buf_puts(path, verb);
}

static int list(struct client *client, const struct verb_args *args)
{
    json_t *answer = NULL;
    int code = client_get(client, "/jobs", &answer);
    if (code == CLI_OK)
        code = answer_print_list(args, answer, "jobs", columns, sizeof(columns) / sizeof(columns[0]));
    json_decref(answer);
    return code;
}

/* What it ended with is its exit code, if it was waited for. */
static int show(struct client *client, const struct verb_args *args)
{
    const char *id = args->operands[0];
    struct buf path, what;
    json_t *job = NULL;
    buf_init(&path, 0);
    buf_init(&what, 0);
    put_path(&path, id, "");
    buf_printf(&what, "job %s", id);
    int code = args->wait ? job_wait(client, id, buf_cstr(&what), args->quiet, &job) : client_get(client, buf_cstr(&path), &job);
    if (job) {
        int printed = answer_print_object(args, job, lines, sizeof(lines) / sizeof(lines[0]), NULL, NULL, 0);
        code = code == CLI_OK ? printed : code;
    }
    json_decref(job);
    buf_clear(&path);
    buf_clear(&what);
    return code;
}

static int cancel(struct client *client, const struct verb_args *args)
{
    int code = CLI_OK;
    for (size_t i = 0; i < args->n; i++) {
        struct buf path;
        buf_init(&path, 0);
        put_path(&path, args->operands[i], "/cancel");
        int one = client_post(client, buf_cstr(&path), NULL, NULL);
        code = one == CLI_OK ? code : one;
        buf_clear(&path);
    }
    return code;
}

static int run_list(const struct verb_args *args)
{
    return client_with(args, list);
}

static int run_show(const struct verb_args *args)
{
    return client_with(args, show);
}

static int run_cancel(const struct verb_args *args)
{
    return client_with(args, cancel);
}

static const struct verb_option *const list_options[] = {&option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const show_options[] = {&option_wait, &option_quiet, &option_output, CLIENT_OPTIONS, NULL};
static const struct verb_option *const cancel_options[] = {CLIENT_OPTIONS, NULL};

static const struct verb verbs[] = {
    {"list", "", "List the jobs, the newest first", 0, 0, list_options, PLACE_TEXT, NULL, run_list},
    {"show", "ID", "Show one job: how far it is, or why it failed", 1, 1, show_options, PLACE_JOB, NULL, run_show},
    {"cancel", "ID...", "End jobs; nothing of what they were making is left", 1, 256, cancel_options, PLACE_JOB, NULL, run_cancel},
};
const struct noun job_noun = {"job", "What the hub is working at: creating, dissecting, verifying, importing", NULL, verbs,
                              sizeof(verbs) / sizeof(verbs[0])};

int cmd_job(int argc, char **argv)
{
    return verbs_run(&job_noun, argc, argv);
}
