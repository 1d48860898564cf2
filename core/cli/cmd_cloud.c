/* `tapedeck cloud`: where a hub puts snapshots besides its own disk. */
#include <stdio.h>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"

static const struct answer_column lines[] = {
    {"provider", "provider", ANSWER_TEXT},  {"prefix", "prefix", ANSWER_TEXT},       {"connected", "connected", ANSWER_TEXT},
    {"error", "error", ANSWER_TEXT},        {"snapshots", "snapshots", ANSWER_TEXT}, {"size", "bytes", ANSWER_SIZE},
    {"checked", "checked_at", ANSWER_TIME},
};

static int status(struct client *client, const struct verb_args *args)
{
    json_t *cloud = NULL;
    int code = client_get(client, "/cloud", &cloud);
    bool enabled = json_is_true(json_object_get(cloud, "enabled"));
    if (code == CLI_OK && !enabled && (!args->output || strcmp(args->output, "table") == 0))
        cli_error("the hub has no cloud storage; tap.snapshots.cloud.provider in its configuration names one");
    else if (code == CLI_OK)
        code = answer_print_object(args, cloud, lines, sizeof(lines) / sizeof(lines[0]), NULL, NULL, 0);
    if (code == CLI_OK && enabled && !json_is_true(json_object_get(cloud, "connected")))
        code = CLI_REMOTE;
    json_decref(cloud);
    return code == CLI_OK && !enabled ? CLI_NOT_FOUND : code;
}

static int run_status(const struct verb_args *args)
{
    return client_with(args, status);
}

static const struct verb_option *const status_options[] = {&option_output, CLIENT_OPTIONS, NULL};

static const struct verb verbs[] = {
    {"status", "", "Show the hub's cloud storage: whether it answers, and how much lies there", 0, 0, status_options, PLACE_TEXT,
     "Exit codes: 0 it answered when the hub last asked, 3 there is none, 7 it did not answer, or the hub does not.", run_status},
};
const struct noun cloud_noun = {"cloud", "Where a hub keeps snapshots besides its own disk", NULL, verbs, sizeof(verbs) / sizeof(verbs[0])};

int cmd_cloud(int argc, char **argv)
{
    return verbs_run(&cloud_noun, argc, argv);
}
