/* A plugin without functions. */
#include "sample.h"

static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "nullops", sample_create, NULL)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(null_ops) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, TD_ABI_MINOR, "nullops", components)};
