#include "options.h"

#define MEMBER(name) offsetof(struct verb_args, name)

const struct verb_option option_help = {"help", 'h', NULL, NULL, "this text", PLACE_TEXT, 0};
const struct verb_option option_config = {
    "config", 'c', "FILE", NULL, "the configuration; without it, built-in defaults", PLACE_FILE, MEMBER(config_path)};
const struct verb_option option_output_json = {"output",   'o',           "FORMAT", "table|json", "table if it is not said",
                                               PLACE_TEXT, MEMBER(output)};

const struct verb_option option_hub = {"hub",      0,          "URL", NULL, "the hub; otherwise $TAPEDECK_HUB, else http://127.0.0.1:8898",
                                       PLACE_TEXT, MEMBER(hub)};
const struct verb_option option_token_file = {
    "token-file",      0, "FILE", NULL, "its token; otherwise the file $TAPEDECK_TOKEN_FILE, else $TAPEDECK_TOKEN", PLACE_FILE,
    MEMBER(token_file)};
const struct verb_option option_ca = {
    "ca", 0, "FILE", NULL, "certificates (PEM) to trust for https; otherwise $TAPEDECK_CA, else the system's", PLACE_FILE, MEMBER(ca)};

const struct verb_option option_output = {"output",
                                          'o',
                                          "FORMAT",
                                          "table|json|yaml",
                                          "a table that does not go to a terminal has tabs between its columns, full "
                                          "values and no header",
                                          PLACE_TEXT,
                                          MEMBER(output)};
const struct verb_option option_last = {"last", 0, "DURATION", NULL, "the last 30s, 5m, 1h30m", PLACE_TEXT, MEMBER(last)};
const struct verb_option option_start = {
    "start",
    0,
    "TIME",
    NULL,
    "from this time on: 2026-01-02T03:04:05.6Z, local time without zone, seconds since 1970, or now-1h30m",
    PLACE_TEXT,
    MEMBER(start)};
const struct verb_option option_end = {"end", 0, "TIME", NULL, "before this time", PLACE_TEXT, MEMBER(end)};
const struct verb_option option_nodes = {"nodes",      0, "A,B", NULL, "only these nodes; `tapedeck node list` shows them", PLACE_NODE,
                                         MEMBER(nodes)};
const struct verb_option option_wait = {"wait",     0,           NULL, NULL, "wait until it is done; with a progress bar on a terminal",
                                        PLACE_TEXT, MEMBER(wait)};
const struct verb_option option_quiet = {"quiet", 'q', NULL, NULL, "no summary and no progress bar", PLACE_TEXT, MEMBER(quiet)};
