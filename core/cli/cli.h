/* What all commands share: exit codes, one-line errors, the list of commands. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/error.h"

enum cli_exit {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,     /* usage, configuration or filter */
    EXIT_NOT_FOUND = 3,
    EXIT_NOT_ALLOWED = 4,
    EXIT_CONFLICT = 5,
    EXIT_PARTIAL = 6,
    EXIT_REMOTE = 7
};

/* The exit code for a td_status. */
int cli_exit_code(int status);
/* Prints "tapedeck: text" on stderr; returns the exit code for the error. */
int cli_fail(const struct error *err);
/* Prints a usage error and where help is; returns EXIT_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What getopt_long() just refused, as a usage error. */
int cli_bad_option(const char *command, char **argv);

int cmd_capture(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_dissect(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_plugin(int argc, char **argv);

#endif
