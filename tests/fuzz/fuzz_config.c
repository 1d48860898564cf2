/* Any text as a configuration: read, checked against the sample plugin's options and, if it is right, shown. What is shown
 * must be right again and say the same. */
#include <stdio.h>
#include <stdlib.h>

#include "plugin/configure.h"
#include "plugin/host.h"
#include "plugin/instance.h"
#include "unit/plugin/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond, const char *what)
{
    if (cond)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* Reads, checks and shows; false if there was an error. */
static bool show(const struct registry *registry, struct td_slice text, struct buf *out)
{
    struct config *config = NULL;
    struct findings f;
    struct error err;
    findings_init(&f);
    int status = config_parse(text, "c.yaml", &config, &f);
    must(status == TD_OK || f.errors, "a failure without an error");
    if (config)
        configure_check(config, registry, &f);
    must(findings_status(&f, &err) == (f.errors ? f.status : TD_OK), "the status of the findings");
    if (!f.errors)
        must(configure_show(config, registry, out, &err) == TD_OK, "a right configuration cannot be shown");
    config_free(config);
    return !f.errors;
}

static void create(const struct registry *registry, struct td_slice text)
{
    struct config *config = NULL;
    struct td_inst *inst = NULL;
    struct td_host host;
    struct findings f;
    struct error err;
    findings_init(&f);
    host_init_control(&host);
    if (config_parse(text, "c.yaml", &config, &f) != TD_OK)
        return;
    const struct plugin_component *component = registry_find(registry, TD_KIND_DISSECTOR, "sample");
    if (instance_create(component, config_component(config, TD_KIND_DISSECTOR, "sample"), &host, &inst, &err) == TD_OK)
        instance_destroy(inst);
    config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct registry *registry = NULL;
    struct buf first, second;
    struct error err;
    must(registry_new(&registry, &err) == TD_OK && registry_add_static(registry, &sample_plugin, &err) == TD_OK, "the sample plugin");
    buf_init(&first, 0);
    buf_init(&second, 0);
    if (show(registry, td_bytes(data, size), &first)) {
        must(show(registry, buf_slice(&first), &second), "what is shown is not right");
        must(td_eq(buf_slice(&first), buf_slice(&second)), "what is shown says something else");
    }
    create(registry, td_bytes(data, size));
    buf_clear(&first);
    buf_clear(&second);
    registry_free(registry);
    return 0;
}
