/* `tapedeck config`: is a configuration right, what is in force, what can be configured. */
#include "cli/cli.h"

#include <stdint.h>
#include <stdio.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/options_help.h"
#include "cli/options.h"
#include "cli/setup.h"
#include "hub/hub_cloud.h"
#include "plugin/configure.h"

/* What only the provider's plugin, or the provider itself, can tell. */
static int check_cloud(const struct setup *setup, const char *file, bool connect)
{
    struct buf found;
    struct error err;
    buf_init(&found, 0);
    int status = connect ? hub_cloud_try(setup->config, setup->registry, "", &found, &err)
                         : hub_cloud_check_config(setup->config, setup->registry, &err);
    if (status == TD_OK && connect)
        printf("%s: %s\n", file, buf_cstr(&found));
    buf_clear(&found);
    if (status != TD_OK && !strstr(err.text, file))
        error_prefix(&err, "%s: ", file);
    return status == TD_OK ? CLI_OK : cli_fail(&err);
}

static int run_check(const struct verb_args *args)
{
    int code = CLI_OK;
    for (size_t i = 0; i < args->n; i++) {
        struct setup setup;
        int one = setup_open(args->operands[i], &setup);
        if (one == CLI_OK) {
            one = check_cloud(&setup, args->operands[i], args->connect);
            setup_close(&setup);
        }
        if (one == CLI_OK)
            printf("%s: ok\n", args->operands[i]);
        else
            code = one;
    }
    return code;
}

static int run_show(const struct verb_args *args)
{
    struct setup setup;
    struct error err;
    struct buf out;
    int code = setup_open(args->config_path, &setup);
    if (code != CLI_OK)
        return code;
    buf_init(&out, 0);
    code = configure_show(setup.config, setup.registry, &out, &err) == TD_OK ? cli_write(&out) : cli_fail(&err);
    buf_clear(&out);
    setup_close(&setup);
    return code;
}

static bool is_below(const char *path, const char *parent)
{
    size_t n = strlen(parent);
    return strncmp(path, parent, n) == 0 && (!path[n] || path[n] == '.');
}

static int run_help(const struct verb_args *args)
{
    const char *wanted = args->n ? args->operands[0] : "tap";
    size_t n;
    const struct config_section *sections = config_sections(&n);
    struct nearest near;
    struct buf out;
    nearest_init(&near, wanted);
    buf_init(&out, 0);
    for (size_t i = 0; i < n; i++) {
        nearest_try(&near, sections[i].path);
        if (!is_below(sections[i].path, wanted) || (!sections[i].n && !sections[i].kind))
            continue;
        buf_printf(&out, "%s%s: %s\n", out.n ? "\n" : "", sections[i].path, sections[i].help);
        options_help_put(&out, sections[i].v, sections[i].n, cli_width());
        if (sections[i].kind)
            buf_printf(&out, "  <name>: options of the %s of that name, see `tapedeck plugin help NAME`\n",
                       plugin_kind_name(sections[i].kind));
    }
    int code = CLI_NOT_FOUND;
    if (out.n)
        code = cli_write(&out);
    else if (near.best)
        cli_error("config help: there is no section \"%s\"; did you mean \"%s\"?", wanted, near.best);
    else
        cli_error("config help: there is no section \"%s\"; `tapedeck config help` lists all", wanted);
    buf_clear(&out);
    return code;
}

static const struct verb_option option_connect = {"connect",
                                                  0,
                                                  NULL,
                                                  NULL,
                                                  "also ask cloud storage whether it can be used, as a hub does when it starts",
                                                  PLACE_TEXT,
                                                  offsetof(struct verb_args, connect)};
static const struct verb_option *const check_options[] = {&option_connect, NULL};
static const struct verb_option *const show_options[] = {&option_config, NULL};

static const struct verb verbs[] = {
    {"check", "FILE...", "Check configuration files, with the options of all plugins", 1, SIZE_MAX, check_options, PLACE_FILE, NULL,
     run_check},
    {"show", "", "Print what is in force as YAML: defaults filled in, secrets masked", 0, 0, show_options, PLACE_TEXT, NULL, run_show},
    {"help", "[SECTION]", "Explain the options of a section, as tap.dissection, or of all", 0, 1, NULL, PLACE_TEXT, NULL, run_help},
};
const struct noun config_noun = {"config", "Check, show and explain the configuration", NULL, verbs, sizeof(verbs) / sizeof(verbs[0])};

int cmd_config(int argc, char **argv)
{
    return verbs_run(&config_noun, argc, argv);
}
