/* `tapedeck plugin`: which plugins there are, what they say of themselves, and whether one is sound. */
#include "cli/cli.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/plugin_check.h"
#include "cli/plugin_list.h"
#include "cli/plugin_show.h"
#include "cli/setup.h"

/* The plugins that a configuration leads to, whatever it says of their options. */
static int open_registry(const char *config_path, struct setup *ret)
{
    struct error err;
    *ret = (struct setup){NULL, NULL};
    int status = config_load(config_path, &ret->config, &err);
    if (status == TD_OK)
        status = registry_open(ret->config, &ret->registry, &err);
    if (status == TD_OK)
        return CLI_OK;
    setup_close(ret);
    return cli_fail(&err);
}

/* Runs what needs the plugins and prints its output. */
static int with_registry(const struct verb_args *args, int (*put)(const struct registry *, const struct verb_args *, struct buf *))
{
    struct setup setup;
    struct buf out;
    int code = open_registry(args->config_path, &setup);
    if (code != CLI_OK)
        return code;
    buf_init(&out, 0);
    code = put(setup.registry, args, &out);
    if (code == CLI_OK)
        code = cli_write(&out);
    buf_clear(&out);
    setup_close(&setup);
    return code;
}

static int put_list(const struct registry *registry, const struct verb_args *args, struct buf *out)
{
    if (args->json)
        plugin_list_json(registry, out);
    else
        plugin_list_table(registry, cli_width(), out);
    return CLI_OK;
}

static int put_show(const struct registry *registry, const struct verb_args *args, struct buf *out)
{
    return plugin_show(registry, args->operands[0], cli_width(), out);
}

static int put_help(const struct registry *registry, const struct verb_args *args, struct buf *out)
{
    return plugin_help(registry, args->operands[0], cli_width(), out);
}

static int run_list(const struct verb_args *args)
{
    return with_registry(args, put_list);
}

static int run_show(const struct verb_args *args)
{
    return with_registry(args, put_show);
}

static int run_help(const struct verb_args *args)
{
    return with_registry(args, put_help);
}

static int run_check(const struct verb_args *args)
{
    struct config *config;
    struct error err;
    struct buf out;
    if (config_load(args->config_path, &config, &err) != TD_OK)
        return cli_fail(&err);
    buf_init(&out, 0);
    bool sound = plugin_check(args->operands[0], config, &out);
    int code = cli_write(&out);
    buf_clear(&out);
    config_free(config);
    return code == CLI_OK && !sound ? CLI_FAILURE : code;
}

static const struct verb_option *const list_options[] = {&option_config, &option_output_json, NULL};
static const struct verb_option *const name_options[] = {&option_config, NULL};

static const struct verb verbs[] = {
    {"list", "", "List all plugins that are found, and those that are refused", 0, 0, list_options, PLACE_TEXT, NULL, run_list},
    {"show", "NAME", "Show what a plugin says of itself: its claims and its fields", 1, 1, name_options, PLACE_TEXT, NULL, run_show},
    {"help", "NAME", "Explain a plugin's options", 1, 1, name_options, PLACE_TEXT, NULL, run_help},
    {"check", "FILE.so", "Check a plugin: may it be loaded, does it fit, can it be created", 1, 1, name_options, PLACE_FILE, NULL,
     run_check},
};
const struct noun plugin_noun = {"plugin", "List, show and check plugins", NULL, verbs, sizeof(verbs) / sizeof(verbs[0])};

int cmd_plugin(int argc, char **argv)
{
    return verbs_run(&plugin_noun, argc, argv);
}
