#include "base/clock.h"
#include "cli/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

enum { BAR = 30 };
#define PATIENCE_NS (1ll * NS_PER_S)
#define REDRAW_NS (NS_PER_S / 10)

void progress_init(struct progress *p)
{
    *p = (struct progress){.active = isatty(STDERR_FILENO), .begin_ns = clock_ns(CLOCK_MONOTONIC)};
    p->next_ns = p->begin_ns + PATIENCE_NS;
}

void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t all, uint64_t packets)
{
    if (!p->active)
        return;
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now < p->next_ns)
        return;
    p->next_ns = now + REDRAW_NS;
    p->shown = true;
    char amount[UNITS_TEXT], rate[UNITS_TEXT], bar[BAR + 1];
    double seconds = (double)(now - p->begin_ns) / NS_PER_S;
    units_format_size(done, amount);
    units_format_size((uint64_t)((double)done / seconds), rate);
    char count[UNITS_TEXT] = "";
    if (packets != UINT64_MAX)
        snprintf(count, sizeof(count), "  %llu packets", (unsigned long long)packets);
    if (!all) {
        fprintf(stderr, "\r\033[K%.40s  %s%s  %s/s", what, amount, count, rate);
        return;
    }
    unsigned full = (unsigned)((double)done / (double)all * BAR);
    for (unsigned i = 0; i < BAR; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR] = 0;
    fprintf(stderr, "\r\033[K%.40s [%s] %3u%%%s  %s/s", what, bar, (unsigned)((double)done * 100 / (double)all), count, rate);
}

void progress_end(struct progress *p)
{
    if (atomic_exchange(&p->shown, false))
        fputs("\r\033[K", stderr);
}
