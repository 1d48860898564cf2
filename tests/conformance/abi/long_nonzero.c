/* Built with a header of the future, and using what is new there, though it claims to need nothing new. */
#include "sample.h"

static void newer(void)
{
}

static const struct {
    struct td_dissector v1_0;
    void (*newer[4])(void);
} dissector = {{SAMPLE_DISSECTOR(sizeof(dissector), sample_data, sample_close)}, {NULL, NULL, newer, NULL}};

static const struct td_component component = {SAMPLE_COMPONENT(sizeof(struct td_component), "longnonzero", sample_create, &dissector)};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(long_nonzero) = {SAMPLE_PLUGIN(sizeof(struct td_plugin), 0, 9, "longnonzero", components)};
