/* Loading a plugin from a shared object. It stays in the process for good: unloading code that may have left pointers
 * behind is not worth its risks. The main thread only. */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include "plugin/descriptor.h"

/* Fills *file in every case, as far as things went; what is in it lives in `arena`. On failure *err says what is wrong, with the
 * path, when it was built, what it needs and what this core offers. */
int loader_load(const char *path, struct arena *arena, struct plugin_file *file, struct error *err) MUST_CHECK;

/* Puts the path in front of the reason for a refusal, and behind it when the file was built and what this core offers. */
void loader_complete_refusal(const struct plugin_file *file, struct error *err);

#endif
