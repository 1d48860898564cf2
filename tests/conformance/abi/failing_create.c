/* A plugin whose create() fails, with a word of explanation. */
#include "sample.h"

static int failing_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    void *self = NULL;
    if (sample_create(inst, host, config, &self) == TD_OK) /* what was begun is undone before failing */
        sample_destroy(self);
    (void)ret_self;
    return host->fail(inst, TD_E_CONFIG, "no %s today", "luck");
}

static const struct td_dissector dissector = {SAMPLE_DISSECTOR(sizeof(struct td_dissector), sample_data, sample_close)};
static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "failing", failing_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(failing_create) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), TD_TARGET_MINOR, TD_ABI_MINOR, "failing", components)};
