#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static char written[8192];

/* What log_event() writes to stderr. */
#define LOGGED(...) (begin(), log_event(__VA_ARGS__), end())

static int saved;
static FILE *file;

static void begin(void)
{
    file = tmpfile();
    saved = dup(STDERR_FILENO);
    if (!file || saved < 0 || dup2(fileno(file), STDERR_FILENO) < 0)
        _exit(1);
}

static const char *end(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    written[fread(written, 1, sizeof(written) - 1, file)] = 0;
    fclose(file);
    return written;
}

/* The line behind its time. */
static const char *after_time(const char *line)
{
    return strncmp(line, "time=", 5) == 0 && strlen(line) > 36 && line[34] == 'Z' ? line + 36 : line;
}

static void test_text(void)
{
    is_str(after_time(LOGGED(TD_LOG_WARN, "plugin.http", "%d of %s", 3, "them")), "level=warn component=plugin.http msg=\"3 of them\"\n",
           "an event");
    is_str(after_time(LOGGED(TD_LOG_INFO, "c", "a \"quoted\" \\ word")), "level=info component=c msg=\"a \\\"quoted\\\" \\\\ word\"\n",
           "quotes are escaped");
    is_str(after_time(LOGGED(TD_LOG_ERROR, "c", "1\n2\r3\t4\033[31m5\x7f")),
           "level=error component=c msg=\"1\\x0a2\\x0d3\\x094\\x1b[31m5\\x7f\"\n", "one event is one line, whatever it says");
    is_str(after_time(LOGGED(TD_LOG_INFO, "c", "déjà vu")), "level=info component=c msg=\"déjà vu\"\n", "UTF-8 stays");
}

static void test_long(void)
{
    char text[3000], component[500];
    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    memset(component, 'c', sizeof(component) - 1);
    component[sizeof(component) - 1] = 0;
    size_t n = strlen(LOGGED(TD_LOG_ERROR, component, "%s", text));
    ok(n > 4 * 1000 && n < sizeof(written) - 1 && strcmp(written + n - 6, "\\x0a\"\n") == 0,
       "a long text in which all is escaped is cut: %zu bytes", n);
    is_int(strchr(written, '\n') - written, n - 1, "and is one line");
}

static void test_levels(void)
{
    is_str(LOGGED(TD_LOG_DEBUG, "c", "x"), "", "debug is off at the start");
    log_set_level(TD_LOG_DEBUG);
    like(LOGGED(TD_LOG_DEBUG, "c", "x"), "level=debug", "on");
    log_set_level(TD_LOG_ERROR);
    is_str(LOGGED(TD_LOG_WARN, "c", "x"), "", "only errors");
    like(LOGGED(TD_LOG_ERROR, "c", "x"), "level=error", "errors");
    is_str(LOGGED(TD_LOG_DEBUG + 1, "c", "x"), "", "a level that there is not");
    is_str(LOGGED(-1, "c", "x"), "", "nor below");
    log_set_level(TD_LOG_INFO);
}

int main(void)
{
    test_text();
    test_long();
    test_levels();
    return tap_done();
}
