/* A plugin that calls what nobody offers: refused at once, not at the first call. */
#include "sample.h"

int tapedeck_offers_no_such_function(void);

static int calling_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    return tapedeck_offers_no_such_function() ? TD_E_INTERNAL : sample_create(inst, host, config, ret_self);
}

static const struct td_dissector dissector = {SAMPLE_DISSECTOR(sizeof(struct td_dissector), sample_data, sample_close)};
static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "undefined", calling_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(undefined) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, TD_ABI_MINOR, "undefined", components)};
