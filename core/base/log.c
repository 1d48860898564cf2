#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "units.h"

static int log_level = TD_LOG_INFO; /* configuration: written before threads start */

void log_set_level(int level)
{
    log_level = level;
}

void log_event(int level, const char *component, const char *fmt, ...)
{
    static const char *const names[] = {"none", "error", "warn", "info", "debug"};
    if (level < TD_LOG_ERROR || level > TD_LOG_DEBUG || level > log_level)
        return;
    char message[1024], line[4 * sizeof(message) + 256]; /* each byte may be escaped; the rest is the head */
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    char time_text[UNITS_TEXT];
    units_format_time(clock_ns(CLOCK_REALTIME), time_text);
    int head = snprintf(line, sizeof(line), "time=%s level=%s component=%.64s msg=\"", time_text, names[level], component);
    size_t n = (size_t)head;
    for (const char *s = message; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            line[n++] = '\\';
            line[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
        } else {
            line[n++] = (char)c;
        }
    }
    line[n++] = '"';
    line[n++] = '\n';
    fwrite(line, 1, n, stderr); /* one call, one line: stderr is unbuffered but locked */
}
