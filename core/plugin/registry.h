/* All plugins of this process: finding them, loading them, looking them up.
 *
 * Searched are, in this order: the configuration's tap.plugins.path; the directories of the environment's
 * TAPEDECK_PLUGIN_PATH, between colons; `plugins` beside the executable (a build tree); `../lib/tapedeck/plugins` from there (an
 * installation). In each stand <kind>/<name>.so, kind being dissectors, exporters or storage. A file hides those of the same
 * kind and name in later directories. A file that is refused does not stop the others.
 *
 * Built by the main thread; afterwards immutable and readable by all. Components live as long as the registry. */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "config/config.h"
#include "plugin/descriptor.h"

enum { REGISTRY_MAX_FILES = 1024, REGISTRY_MAX_BYTES = 256 << 20 };
#define REGISTRY_PATH_ENV "TAPEDECK_PLUGIN_PATH"

struct registry;

/* registry_new() and registry_scan(). */
int registry_open(const struct config *config, struct registry **ret, struct error *err) MUST_CHECK;
/* An empty one. */
int registry_new(struct registry **ret, struct error *err) MUST_CHECK;
void registry_free(struct registry *registry);
/* Finds and loads. Fails if memory is short, or if a directory that the configuration or the environment names cannot be read;
 * refused plugins are no failure. */
int registry_scan(struct registry *registry, const struct config *config, struct error *err) MUST_CHECK;
/* Adds a plugin that is linked in. */
int registry_add_static(struct registry *registry, const struct td_plugin *plugin, struct error *err) MUST_CHECK;

/* A component, or NULL. */
const struct plugin_component *registry_find(const struct registry *registry, uint32_t kind, const char *name);
/* All of a kind (0: of all kinds), by kind and name. */
const struct plugin_component *const *registry_components(const struct registry *registry, uint32_t kind, size_t *ret_n);
/* All files, used or not, in the order in which they were found. */
const struct plugin_file *const *registry_files(const struct registry *registry, size_t *ret_n);

#endif
