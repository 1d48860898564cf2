/* Option tables as text for people: `tapedeck plugin help`, `tapedeck config help`. */
#ifndef CLI_OPTIONS_HELP_H
#define CLI_OPTIONS_HELP_H

#include "base/buf.h"
#include "tapedeck/plugin.h"

/* Name, type, default, limits and help of each option, in lines of at most `width` columns. */
void options_help_put(struct buf *out, const struct td_option *v, size_t n, size_t width);

#endif
