#include "cli/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

int cli_exit_code(int status)
{
    switch (status) {
    case TD_OK: return EXIT_FINE;
    case TD_E_CONFIG: return EXIT_USAGE;
    case TD_E_NOT_FOUND: return EXIT_NOT_FOUND;
    case TD_E_DENIED: return EXIT_NOT_ALLOWED;
    case TD_E_EXISTS: return EXIT_CONFLICT;
    case TD_E_RETRY: return EXIT_REMOTE;
    default: return EXIT_FAILED;
    }
}

int cli_fail(const struct error *err)
{
    fprintf(stderr, "tapedeck: %s\n", err->text);
    return cli_exit_code(err->status);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("tapedeck: ", stderr);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "; `tapedeck %s--help` tells how\n", command);
    return EXIT_USAGE;
}

int cli_bad_option(const char *command, char **argv)
{
    return cli_usage(command, "%s is no option here, or lacks its value", argv[optind - 1]);
}
