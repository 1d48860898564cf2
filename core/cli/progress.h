/* A progress bar on a terminal for what takes longer than a second; nothing elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool active;       /* stderr is a terminal */
    atomic_bool shown; /* who reads shows it, who writes wipes it: two threads */
    int64_t begin_ns, next_ns;
};

void progress_init(struct progress *p);
/* `done` of `all` bytes (0: unknown), and a count of packets (UINT64_MAX: not known). Cheap; draws ten times a second at most. */
void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t all, uint64_t packets);
/* Wipes the line. */
void progress_end(struct progress *p);

#endif
