/* A dissector that ends before close(): older than the oldest. */
#include "sample.h"

static const struct td_dissector dissector = {SAMPLE_DISSECTOR(offsetof(struct td_dissector, close), sample_data, NULL)};
static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "shortstruct", sample_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(short_struct) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, TD_ABI_MINOR, "shortstruct", components)};
