/* Everything that can be said of one plugin file: what the loader checks, and whether its components can be created. */
#ifndef CLI_PLUGIN_CHECK_H
#define CLI_PLUGIN_CHECK_H

#include "base/buf.h"
#include "config/config.h"

/* Appends a line for each check, "ok" or "FAILED" with the reason. `config` gives the components' options. True if all passed. */
bool plugin_check(const char *path, const struct config *config, struct buf *out);

#endif
