#include "verbs.h"

#include <getopt.h>
#include <stdio.h>

#include "base/nearest.h"
#include "cli/cli.h"

static int print_noun_help(const char *noun, const char *summary, const struct verb *verbs, size_t n)
{
    printf("Usage: tapedeck %s VERB [OPTIONS]\n\n%s.\n\n", noun, summary);
    for (size_t i = 0; i < n; i++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "%s %s", verbs[i].name, verbs[i].operands);
        printf("  %-20s %s\n", usage, verbs[i].summary);
    }
    printf("\n`tapedeck %s VERB --help` tells more.\n", noun);
    return CLI_OK;
}

static int print_verb_help(const char *noun, const struct verb *verb)
{
    printf("Usage: tapedeck %s %s [OPTIONS]%s%s\n\n%s.\n\n", noun, verb->name, *verb->operands ? " " : "", verb->operands, verb->summary);
    if (verb->takes_config)
        printf("  -c, --config FILE     the configuration; without it, built-in defaults\n");
    if (verb->takes_output)
        printf("  -o, --output FORMAT   table or json\n");
    if (verb->takes_at)
        printf("      --at OFFSET       the place, as a number of bytes; without it, the end\n");
    printf("  -h, --help            this text\n");
    return CLI_OK;
}

/* The exit code, or -1: the verb may run. */
static int parse_options(const char *noun, const struct verb *verb, int argc, char **argv, struct verb_args *ret)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"config", required_argument, NULL, 'c'},
        {"output", required_argument, NULL, 'o'},
        {"at", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int c;
    optind = 0; /* begin anew: another command line may have been parsed before */
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":hc:o:", options, NULL)) != -1) {
        if (c == 'h')
            return print_verb_help(noun, verb);
        if (c == 'c' && verb->takes_config) {
            ret->config_path = optarg;
        } else if (c == 'a' && verb->takes_at) {
            ret->at = optarg;
        } else if (c == 'o' && verb->takes_output && (strcmp(optarg, "table") == 0 || strcmp(optarg, "json") == 0)) {
            ret->json = strcmp(optarg, "json") == 0;
        } else {
            const char *why = c == ':'                         ? "needs a value"
                              : c == 'o' && verb->takes_output ? "is no format; there are table and json"
                                                               : "is no option here";
            cli_error("%s %s: \"%s\" %s; see tapedeck %s %s --help", noun, verb->name, argv[optind - 1], why, noun, verb->name);
            return CLI_USAGE;
        }
    }
    ret->operands = argv + optind;
    ret->n = (size_t)(argc - optind);
    if (ret->n >= verb->min_operands && ret->n <= verb->max_operands)
        return -1;
    cli_error("%s %s: too %s arguments; usage: tapedeck %s %s %s", noun, verb->name, ret->n < verb->min_operands ? "few" : "many", noun,
              verb->name, verb->operands);
    return CLI_USAGE;
}

int verbs_run(const char *summary, const struct verb *verbs, size_t n, int argc, char **argv)
{
    const char *noun = argv[0];
    struct nearest near;
    if (argc < 2) {
        cli_error("%s: a verb is missing; see tapedeck %s --help", noun, noun);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_noun_help(noun, summary, verbs, n);
    nearest_init(&near, argv[1]);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(verbs[i].name, argv[1]) == 0) {
            struct verb_args args = {0};
            int code = parse_options(noun, &verbs[i], argc - 1, argv + 1, &args);
            return code >= 0 ? code : verbs[i].run(&args);
        }
        nearest_try(&near, verbs[i].name);
    }
    if (near.best)
        cli_error("%s: unknown verb \"%s\"; did you mean \"%s\"?", noun, argv[1], near.best);
    else
        cli_error("%s: unknown verb \"%s\"; see tapedeck %s --help", noun, argv[1], noun);
    return CLI_USAGE;
}
