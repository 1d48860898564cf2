/* Another plugin with a component of the same name. */
#include "sample.h"

static const struct td_dissector dissector = {SAMPLE_DISSECTOR(sizeof(struct td_dissector), sample_data, sample_close)};
static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "good", sample_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(duplicate) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, TD_ABI_MINOR, "duplicate", components)};
