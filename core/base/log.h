/* Events for the operator: logfmt on stderr, one event a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "tapedeck/plugin.h"

/* Events above this level are dropped; TD_LOG_INFO at the start. Set once, before threads start. */
void log_set_level(int level);
/* [any] `component` is the part that speaks ("plugin.http"). Newlines in the text are escaped. */
void log_event(int level, const char *component, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
