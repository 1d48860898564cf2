/* What the commands share: exit codes, errors, output. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"
#include "base/error.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = 2, /* usage, configuration or filter error */
    CLI_NOT_FOUND = 3
};

/* "tapedeck: <text>" on stderr. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints an error; the exit code for its status. */
int cli_fail(const struct error *err);
/* Writes all of it to standard output; the exit code. */
int cli_write(struct buf *out);
/* Columns that text for people may take: the terminal's, at most 120; 80 when it is none. */
size_t cli_width(void);
/* Appends `text` in lines of at most `width` columns, each indented; words are not cut. Ends with a newline. */
void cli_wrap(struct buf *out, const char *text, size_t indent, size_t width);

#endif
