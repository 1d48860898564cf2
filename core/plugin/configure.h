/* The configuration and the plugins together: what config.h leaves to the plugins' own tables is checked and shown here. */
#ifndef PLUGIN_CONFIGURE_H
#define PLUGIN_CONFIGURE_H

#include "base/buf.h"
#include "config/config.h"
#include "plugin/registry.h"

/* Checks all that needs the plugins: that every component that is named exists, and the options of all that are named or, as
 * dissectors without a word are, in use. */
void configure_check(const struct config *config, const struct registry *registry, struct findings *f);

/* Appends what is in force as YAML: every option with its value, defaults filled in, secrets masked. For a configuration
 * without errors. TD_E_NOMEM: memory is short. */
int configure_show(const struct config *config, const struct registry *registry, struct buf *out, struct error *err) MUST_CHECK;

#endif
