/* Is a component, copied by descriptor_read(), consistent in itself: names, functions, options, fields, claims, points? */
#ifndef PLUGIN_CHECK_H
#define PLUGIN_CHECK_H

#include "plugin/descriptor.h"

enum { COMPONENT_MAX_NAME = 64, FIELD_MAX_NAME = 128, DISSECTOR_MAX_PROBE = 4096 };

/* `header_minor`: of the header it was built with; flags that only a newer one knows are then no fault. */
int component_check(const struct plugin_component *component, uint32_t header_minor, struct error *err) MUST_CHECK;

#endif
