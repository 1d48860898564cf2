/* What most commands begin with: the configuration, the plugins, and whether the two fit together. */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "config/config.h"
#include "plugin/registry.h"

struct setup {
    struct config *config;
    struct registry *registry;
};

/* Reads and checks everything; `path` may be NULL: built-in defaults. Usable, and to be closed in any case, if f->errors is 0. */
void setup_read(const char *path, struct setup *ret, struct findings *f);
/* As setup_read(), for a command: tells all errors and warnings, and plugins that were refused, on stderr. The exit code; nothing
 * is left to close unless it is CLI_OK. */
int setup_open(const char *path, struct setup *ret);
void setup_close(struct setup *setup);

#endif
