/* `tapedeck node`: the workers that a hub knows. */
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"

static const struct answer_column columns[] = {
    {"NODE", "name", ANSWER_TEXT},     {"STATE", "state", ANSWER_TEXT},   {"VERSION", "version", ANSWER_TEXT},
    {"OLDEST", "oldest", ANSWER_TIME}, {"NEWEST", "newest", ANSWER_TIME}, {"URL", "url", ANSWER_TEXT},
    {"REASON", "reason", ANSWER_TEXT},
};

static int list(struct client *client, const struct verb_args *args)
{
    json_t *answer = NULL;
    int code = client_get(client, "/nodes", &answer);
    if (code == CLI_OK)
        code = answer_print_list(args, answer, "nodes", columns, sizeof(columns) / sizeof(columns[0]));
    json_decref(answer);
    return code;
}

static int run_list(const struct verb_args *args)
{
    return client_with(args, list);
}

static const struct verb_option *const list_options[] = {&option_output, CLIENT_OPTIONS, NULL};

static const struct verb verbs[] = {
    {"list", "", "List the nodes, whether they capture, and from when to when they still hold packets", 0, 0, list_options, PLACE_TEXT,
     NULL, run_list},
};
const struct noun node_noun = {"node", "The nodes that capture", NULL, verbs, sizeof(verbs) / sizeof(verbs[0])};

int cmd_node(int argc, char **argv)
{
    return verbs_run(&node_noun, argc, argv);
}
