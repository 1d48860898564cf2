/* A plugin that needs a minor of the future. */
#define TD_TARGET_MINOR 7
#include "sample.h"

static const struct td_dissector dissector = {SAMPLE_DISSECTOR(sizeof(struct td_dissector), sample_data, sample_close)};
static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "toonew", sample_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(target_too_new) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, 7, "toonew", components)};
