/* What a plugin says of itself, for people. NAME may be a component's name or, where two kinds share one,
 * "dissectors/NAME" and so on. */
#ifndef CLI_PLUGIN_SHOW_H
#define CLI_PLUGIN_SHOW_H

#include "base/buf.h"
#include "plugin/registry.h"

/* Both return an exit code; an unknown name is told on stderr. */
int plugin_show(const struct registry *registry, const char *name, size_t width, struct buf *out);
int plugin_help(const struct registry *registry, const char *name, size_t width, struct buf *out);

#endif
