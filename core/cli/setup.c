#include "setup.h"

#include "cli/cli.h"
#include "plugin/configure.h"

void setup_read(const char *path, struct setup *ret, struct findings *f)
{
    struct error why;
    *ret = (struct setup){NULL, NULL};
    if (config_read(path, &ret->config, f) != TD_OK)
        return;
    if (registry_open(ret->config, &ret->registry, &why) == TD_OK)
        configure_check(ret->config, ret->registry, f);
    else
        findings_add(f, NULL, &why);
}

static void tell_refused(const struct registry *registry)
{
    size_t n;
    const struct plugin_file *const *files = registry_files(registry, &n);
    for (size_t i = 0; i < n; i++)
        if (files[i]->reason && !files[i]->shadowed)
            cli_error("warning: plugin refused: %s", files[i]->reason);
}

int setup_open(const char *path, struct setup *ret)
{
    struct findings f;
    findings_init(&f);
    setup_read(path, ret, &f);
    findings_print(&f, stderr);
    if (ret->registry)
        tell_refused(ret->registry);
    if (!f.errors)
        return CLI_OK;
    setup_close(ret);
    return f.status == TD_E_NOMEM ? CLI_FAILURE : CLI_USAGE;
}

void setup_close(struct setup *setup)
{
    registry_free(setup->registry);
    config_free(setup->config);
    *setup = (struct setup){NULL, NULL};
}
