/* A filter as it is given to a command. */
#ifndef CLI_FILTER_TEXT_H
#define CLI_FILTER_TEXT_H

#include "filter/filter.h"

/* Compiles it; tells what is wrong or doubtful on stderr, with the place. The exit code. */
int filter_text_compile(const struct field_registry *, const char *text, struct filter **ret);
/* The same for what was compiled elsewhere, with `status`. */
int filter_text_tell(const char *text, const struct filter_diagnostics *, int status, const struct error *err);
/* Tells how many records could not be judged, and why the first one could not. */
void filter_text_tell_errors(const char *text, const struct filter_run_errors *);

#endif
