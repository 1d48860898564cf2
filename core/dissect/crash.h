/* The last words of a process that ends by a signal: which one, and of which thread. */
#ifndef DISSECT_CRASH_H
#define DISSECT_CRASH_H

#include "dissect/dissection_shared.h"

/* From here on, signals that end the process are noted in `shared`, and then end it. */
void crash_report_to(struct dissection_shared *shared);
/* [the thread] Names the thread's slot and gives its handlers a stack of their own, so that one that overflows is noted as well. */
void crash_begin_thread(struct watch_slot *slot);

#endif
