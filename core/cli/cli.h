/* What all commands share: exit codes, one-line errors, output to a terminal. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"
#include "base/error.h"

#define CLI_VERSION "0.1.0"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = 2, /* usage, configuration or filter error */
    CLI_NOT_FOUND = 3,
    CLI_NOT_ALLOWED = 4,
    CLI_CONFLICT = 5, /* or a quota */
    CLI_PARTIAL = 6,
    CLI_REMOTE = 7 /* remote unavailable */
};

/* "tapedeck: <text>" on stderr. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints an error; the exit code for its status. */
int cli_fail(const struct error *err);
/* Prints a usage error and where help is: `command` is "dissect " or "". Returns CLI_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for what getopt_long() just refused. */
int cli_bad_option(const char *command, char **argv);
/* Writes all of it to standard output; the exit code. */
int cli_write(struct buf *out);
/* Columns that text for people may take: the terminal's, at most 120; 80 when it is none. */
size_t cli_width(void);
/* Appends `text` in lines of at most `width` columns, each indented; words are not cut. Ends with a newline. */
void cli_wrap(struct buf *out, const char *text, size_t indent, size_t width);

#endif
