/* The list of plugins: each component, then each file that is not used, with the reason. */
#ifndef CLI_PLUGIN_LIST_H
#define CLI_PLUGIN_LIST_H

#include "base/buf.h"
#include "plugin/registry.h"

void plugin_list_table(const struct registry *registry, size_t width, struct buf *out);
/* An array of objects; members that are not known are left out. */
void plugin_list_json(const struct registry *registry, struct buf *out);

#endif
