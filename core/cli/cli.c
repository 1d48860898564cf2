#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

void cli_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("tapedeck: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

int cli_fail(const struct error *err)
{
    cli_error("%s", err->text);
    switch (err->status) {
    case TD_OK: return CLI_OK;
    case TD_E_CONFIG: return CLI_USAGE;
    case TD_E_NOT_FOUND: return CLI_NOT_FOUND;
    case TD_E_DENIED: return CLI_NOT_ALLOWED;
    case TD_E_EXISTS: return CLI_CONFLICT;
    case TD_E_RETRY: return CLI_REMOTE;
    default: return CLI_FAILURE;
    }
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("tapedeck: ", stderr);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "; `tapedeck %s--help` tells how\n", command);
    return CLI_USAGE;
}

int cli_bad_option(const char *command, char **argv)
{
    return cli_usage(command, "%s is no option here, or lacks its value", argv[optind - 1]);
}

int cli_write(struct buf *out)
{
    if (out->failed) {
        cli_error("out of memory");
        return CLI_FAILURE;
    }
    if ((out->n && fwrite(out->p, 1, out->n, stdout) != out->n) || fflush(stdout) != 0) {
        cli_error("cannot write to standard output: %s", strerror(errno));
        return CLI_FAILURE;
    }
    return CLI_OK;
}

size_t cli_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40)
        return 80;
    return size.ws_col < 120 ? size.ws_col : 120;
}

void cli_wrap(struct buf *out, const char *text, size_t indent, size_t width)
{
    size_t column = 0;
    while (*(text += strspn(text, " \n"))) {
        size_t n = strcspn(text, " \n");
        if (column && column + 1 + n > width) {
            buf_putc(out, '\n');
            column = 0;
        }
        if (column) {
            buf_putc(out, ' ');
            column++;
        }
        for (; column < indent; column++)
            buf_putc(out, ' ');
        buf_put(out, text, n);
        column += n;
        text += n;
    }
    buf_putc(out, '\n');
}
