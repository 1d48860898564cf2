/* A command that is a noun with verbs, `tapedeck plugin list`: one table gives parsing, checks and help. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <stdbool.h>
#include <stddef.h>

struct verb_args {
    const char *config_path; /* -c, or NULL */
    const char *at;          /* --at, or NULL */
    bool json;               /* -o json */
    char **operands;         /* NULL-terminated */
    size_t n;
};

struct verb {
    const char *name, *operands, *summary; /* "show", "NAME", one line without a full stop */
    size_t min_operands, max_operands;
    bool takes_config, takes_output, takes_at;
    int (*run)(const struct verb_args *); /* returns the exit code */
};

/* argv[0] is the noun. The exit code. */
int verbs_run(const char *summary, const struct verb *verbs, size_t n, int argc, char **argv);

#endif
