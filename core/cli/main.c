/* tapedeck: one binary; the first word says what it does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/service.h"
#include "dissect/dissection.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"run", cmd_run, "a hub and a worker in one process"},
    {"hub", cmd_hub, "keep snapshots, run jobs, serve the API"},
    {"worker", cmd_worker, "capture on this node, and serve windows of what was captured"},
    {"raw", cmd_raw, "the raw capture in a worker's directory: its segments, and windows of it"},
    {"dissect", cmd_dissect, "a capture in, API calls out: as a table, as JSON lines, or as the fields you choose"},
    {"calls", cmd_calls, "search a call store: with a filter, the newest first"},
    {"call", cmd_call, "one call of a call store: in full, or its packets"},
    {"capture", cmd_capture, "what a capture file holds"},
    {"export", cmd_export, "captures in, one capture out: merged by time, filtered, for Wireshark and tcpdump"},
    {"fields", cmd_fields, "the fields that calls have: names, types and what they mean"},
    {"filter", cmd_filter, "check, explain and complete filters"},
    {"sql", cmd_sql, "SQL over the calls of a call store"},
    {"plugin", cmd_plugin, "list, show, explain and check plugins"},
    {"config", cmd_config, "check or show the configuration"},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int help(void)
{
    printf("Tapedeck: the network's dashcam.\n\nUsage: tapedeck COMMAND [...]\n\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    printf("\n`tapedeck COMMAND --help` tells more. `tapedeck --version` tells the version.\n");
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("", "a command is missing");
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help();
    if (strcmp(word, "--version") == 0) {
        printf("tapedeck %s, plugin ABI %d.%d\n", CLI_VERSION, TD_ABI_MAJOR, TD_ABI_MINOR);
        return CLI_OK;
    }
    if (strcmp(word, DISSECTION_VERB) == 0 && argc == 3) /* for the program itself */
        return dissection_child((int)strtol(argv[2], NULL, 10));
    struct nearest near;
    nearest_init(&near, word);
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
        nearest_try(&near, commands[i].name);
    }
    if (!near.best)
        return cli_usage("", "there is no command \"%s\"", word);
    cli_error("there is no command \"%s\"; did you mean \"%s\"?", word, near.best);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    int code = run(argc, argv);
    if (fflush(stdout) != 0 && code == CLI_OK) { /* help and other text that went through stdio */
        cli_error("cannot write to standard output: %s", strerror(errno));
        code = CLI_FAILURE;
    }
    return code;
}
