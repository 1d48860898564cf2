/* A dissector that lacks data(). */
#include "sample.h"

static const struct td_dissector dissector = {SAMPLE_DISSECTOR(sizeof(struct td_dissector), NULL, sample_close)};
static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "nullmember", sample_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(null_member) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, TD_ABI_MINOR, "nullmember", components)};
