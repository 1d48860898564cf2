/* The options that several verbs have: the same word means the same everywhere. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/verbs.h"

extern const struct verb_option option_help;
extern const struct verb_option option_config, option_output_json; /* table or json */
/* Which hub, and how. */
extern const struct verb_option option_hub, option_token_file, option_ca;
extern const struct verb_option option_output; /* table, json or yaml */
extern const struct verb_option option_last, option_start, option_end, option_nodes, option_wait, option_quiet;

#define CLIENT_OPTIONS &option_hub, &option_token_file, &option_ca

#endif
