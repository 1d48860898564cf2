/* tapedeck: one binary; the first word says what it does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "dissect/dissection.h"

static int help(void)
{
    size_t n;
    const struct command *all = commands(&n);
    printf("Tapedeck: the network's dashcam.\n\nUsage: tapedeck COMMAND [...]\n\n");
    for (size_t i = 0; i < n; i++)
        printf("  %-11s %s\n", all[i].name, all[i].help);
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
    size_t n;
    const struct command *all = commands(&n);
    struct nearest near;
    nearest_init(&near, word);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(word, all[i].name) == 0)
            return all[i].run(argc - 1, argv + 1);
        nearest_try(&near, all[i].name);
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
