#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
    int run, failed;
} tap;

static bool report(bool passed, const char *file, int line, const char *fmt, va_list args)
{
    char name[512];
    vsnprintf(name, sizeof(name), fmt, args);
    printf("%sok %d - %s\n", passed ? "" : "not ", ++tap.run, name);
    if (!passed) {
        tap.failed++;
        printf("# at %s:%d\n", file, line);
    }
    return passed;
}

#define REPORT(passed)                                      \
    va_list args;                                           \
    va_start(args, fmt);                                    \
    bool passed_ = report((passed), file, line, fmt, args); \
    va_end(args)

bool tap_ok(bool cond, const char *file, int line, const char *fmt, ...)
{
    REPORT(cond);
    return passed_;
}

bool tap_is_int(int64_t got, int64_t want, const char *file, int line, const char *fmt, ...)
{
    REPORT(got == want);
    if (!passed_)
        tap_diag("got %lld, want %lld", (long long)got, (long long)want);
    return passed_;
}

bool tap_is_str(const char *got, const char *want, const char *file, int line, const char *fmt, ...)
{
    REPORT(got && want ? strcmp(got, want) == 0 : got == want);
    if (!passed_)
        tap_diag("got  %s\n# want %s", got ? got : "(null)", want ? want : "(null)");
    return passed_;
}

static void dump(const char *label, const uint8_t *p, size_t n)
{
    printf("# %s %zu bytes:", label, n);
    for (size_t i = 0; i < n && i < 64; i++)
        printf(" %02x", p[i]);
    printf("%s\n", n > 64 ? " ..." : "");
}

bool tap_is_mem(const void *got, size_t ngot, const void *want, size_t nwant, const char *file, int line, const char *fmt, ...)
{
    REPORT(ngot == nwant && (ngot == 0 || memcmp(got, want, ngot) == 0));
    if (!passed_) {
        dump("got", got, ngot);
        dump("want", want, nwant);
    }
    return passed_;
}

bool tap_like(const char *got, const char *part, const char *file, int line, const char *fmt, ...)
{
    REPORT(got && strstr(got, part));
    if (!passed_)
        tap_diag("got %s\n# which lacks %s", got ? got : "(null)", part);
    return passed_;
}

void tap_diag(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("# ", stdout);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

void tap_skip(const char *why)
{
    printf("ok %d # SKIP %s\n", ++tap.run, why);
}

int tap_done(void)
{
    printf("1..%d\n", tap.run);
    return tap.failed || !tap.run;
}
