/* All commands: main() runs them, `tapedeck --help` lists them, and shell completion and the manual pages are made from the table. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/verbs.h"

/* Either a noun with verbs, or a command that parses by itself and has its usage text (cli/usage_text.h tells its form). */
struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit code */
    const char *help;                  /* one line without a full stop */
    const struct noun *noun;
    const char *usage;
    enum verb_place place; /* of operands, if it has a usage text */
};

const struct command *commands(size_t *ret_n);

/* Each has a file of its name. */
int cmd_call(int argc, char **argv);
int cmd_calls(int argc, char **argv);
int cmd_capture(int argc, char **argv);
int cmd_cloud(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_dissect(int argc, char **argv);
int cmd_dissection(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_fields(int argc, char **argv);
int cmd_filter(int argc, char **argv);
int cmd_job(int argc, char **argv);
int cmd_manual(int argc, char **argv);
int cmd_node(int argc, char **argv);
int cmd_plugin(int argc, char **argv);
int cmd_raw(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_sql(int argc, char **argv);

extern const struct noun capture_noun, cloud_noun, config_noun, dissection_noun, filter_noun, job_noun, node_noun, plugin_noun,
    snapshot_noun;
extern const char call_usage[], calls_usage[], completion_usage[], dissect_usage[], export_usage[], fields_usage[], manual_usage[],
    raw_usage[], sql_usage[];

#endif
