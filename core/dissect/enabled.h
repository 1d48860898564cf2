/* The dissectors that a configuration enables, created and ready for an engine. */
#ifndef DISSECT_ENABLED_H
#define DISSECT_ENABLED_H

#include "config/config.h"
#include "call/registry.h"
#include "dissect/dissector.h"
#include "plugin/instance.h"
#include "plugin/registry.h"

struct enabled_dissectors {
    struct dissector_set set;
    struct td_inst *instances[DISSECTOR_MAX];
    uint32_t instance_n;
    struct td_host host;
};

/* Creates an instance of every dissector that is found and enabled, and sets the configuration's decodeAs rules.
 * `registry` and `config` must outlive it. */
int enabled_dissectors_open(struct enabled_dissectors *d, const struct config *config, const struct registry *registry,
                            struct error *err) MUST_CHECK;
/* One more rule; it wins over those before. */
int enabled_dissectors_rule(struct enabled_dissectors *d, const struct decode_rule *rule, struct error *err) MUST_CHECK;
/* The table of all fields that their calls may have. It must not outlive them. */
int enabled_dissectors_fields(const struct enabled_dissectors *d, struct field_registry **ret, struct error *err) MUST_CHECK;
void enabled_dissectors_close(struct enabled_dissectors *d);

#endif
