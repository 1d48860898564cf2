/* A plugin of another major: only its symbol tells. */
#include "tapedeck/plugin.h"

TD_EXPORT extern const struct td_plugin td_plugin_v2;
const struct td_plugin td_plugin_v2 = {sizeof(struct td_plugin), 0, 0, "wrongmajor", "1.0", "Apache-2.0", NULL};
