/* Built with a header of the future, but using nothing of what is new there: its structs are longer, with zeros. */
#include "sample.h"

static const struct {
    struct td_dissector v1_0;
    void (*newer[4])(void);
} dissector = {{SAMPLE_DISSECTOR(sizeof(dissector), sample_data, sample_close)}, {NULL}};

static const struct {
    struct td_component v1_0;
    const char *newer;
} component = {{SAMPLE_COMPONENT(sizeof(component), "longzero", sample_create, &dissector)}, NULL};

static const struct td_component *const components[] = {&component.v1_0, NULL};

TD_EXPORT extern const struct {
    struct td_plugin v1_0;
    const char *newer[3];
} td_plugin_v1;
const __typeof__(td_plugin_v1) td_plugin_v1 = {
    {SAMPLE_PLUGIN(sizeof(td_plugin_v1), 0, 9, "longzero", components)},
    {NULL},
};
