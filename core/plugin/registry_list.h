/* The plugins of a registry as a list: each component, then each file that is not used, with the reason. */
#ifndef PLUGIN_REGISTRY_LIST_H
#define PLUGIN_REGISTRY_LIST_H

#include "base/buf.h"
#include "plugin/registry.h"

struct registry_row {
    char name[256], abi[24];
    const char *kind, *version, *state; /* "loaded", "hidden", "refused"; NULL: not known */
    const struct plugin_file *file;
};

void registry_each_row(const struct registry *, void (*put)(void *ctx, const struct registry_row *), void *ctx);
/* An array of objects; members that are not known are left out. */
void registry_put_json(struct buf *out, const struct registry *);

#endif
