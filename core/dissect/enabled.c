#include "dissect/enabled.h"

#include "dissect/conn.h"
#include "plugin/host.h"

_Static_assert((int)DESCRIPTOR_MAX_BODIES == (int)CALL_BODIES && (int)DESCRIPTOR_MAX_FIELDS == (int)FIELD_MAX,
               "what a descriptor may have, a call can hold");

/* The control part from core/plugin, the rest from here. */
static void make_host(struct td_host *host)
{
    host_init_control(host);
    struct td_host control = *host;
    *host = dissect_host_template;
    host->fail = control.fail;
    host->log = control.log;
    host->cancelled = control.cancelled;
    host->iface = control.iface;
}

static int add(struct enabled_dissectors *d, const struct config *config, const struct plugin_component *component, struct error *err)
{
    const char *name = component->c.name;
    if (d->instance_n == DISSECTOR_MAX)
        return error_set(err, TD_E_LIMIT, "more than %d dissectors; enable fewer (tap.enabledDissectors)", DISSECTOR_MAX);
    struct td_inst **inst = &d->instances[d->instance_n];
    int status = instance_create(component, config_component(config, TD_KIND_DISSECTOR, name), &d->host, inst, err);
    if (status != TD_OK)
        return status;
    d->instance_n++;
    return dissector_set_add(&d->set, name, &component->dissector, (*inst)->self, err);
}

int enabled_dissectors_rule(struct enabled_dissectors *d, const struct decode_rule *rule, struct error *err)
{
    return dissector_set_rule(&d->set, rule->transport, rule->port_lo, rule->port_hi, rule->dissector, err);
}

int enabled_dissectors_open(struct enabled_dissectors *d, const struct config *config, const struct registry *registry, struct error *err)
{
    *d = (struct enabled_dissectors){0};
    make_host(&d->host);
    size_t n;
    const struct plugin_component *const *components = registry_components(registry, TD_KIND_DISSECTOR, &n);
    int status = TD_OK;
    for (size_t i = 0; status == TD_OK && i < n; i++)
        if (config_dissector_enabled(config, components[i]->c.name))
            status = add(d, config, components[i], err);
    if (status == TD_OK)
        status = dissector_set_complete(&d->set, err);
    for (size_t i = 0; status == TD_OK && i < config->decode_rule_count; i++)
        status = enabled_dissectors_rule(d, &config->decode_rules[i], err);
    if (status != TD_OK)
        enabled_dissectors_close(d);
    return status;
}

int enabled_dissectors_fields(const struct enabled_dissectors *d, struct field_registry **ret, struct error *err)
{
    const struct field_set *components[KIND_MAX];
    struct registry_protocol protocols[KIND_MAX];
    for (uint32_t i = 0; i < d->set.kind_n; i++) {
        components[i] = &d->set.kinds[i].fields;
        protocols[i] = (struct registry_protocol){d->set.kinds[i].protocol, (const char *const *)d->set.kinds[i].also};
    }
    return field_registry_new(components, protocols, d->set.kind_n, ret, err);
}

void enabled_dissectors_close(struct enabled_dissectors *d)
{
    dissector_set_clear(&d->set);
    while (d->instance_n)
        instance_destroy(d->instances[--d->instance_n]);
}
