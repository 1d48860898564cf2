#include "commands.h"

#include "cli/service.h"

static const struct command all[] = {
    {"run", cmd_run, "a hub and a worker in one process", NULL, run_usage, PLACE_TEXT},
    {"hub", cmd_hub, "keep snapshots, run jobs, serve the API", NULL, hub_usage, PLACE_TEXT},
    {"worker", cmd_worker, "capture on this node, and serve windows of what was captured", NULL, worker_usage, PLACE_TEXT},
    {"snapshot", cmd_snapshot, "time windows of the raw capture, kept for good: create, list, export ...", &snapshot_noun, NULL,
     PLACE_TEXT},
    {"dissection", cmd_dissection, "the dissections of snapshots: list, show, stop, delete", &dissection_noun, NULL, PLACE_TEXT},
    {"cloud", cmd_cloud, "cloud storage: is there one, and does it answer?", &cloud_noun, NULL, PLACE_TEXT},
    {"job", cmd_job, "what the hub is working at", &job_noun, NULL, PLACE_TEXT},
    {"node", cmd_node, "the nodes that capture", &node_noun, NULL, PLACE_TEXT},
    {"calls", cmd_calls, "search the calls of a dissection or a call store: with a filter, the newest first", NULL, calls_usage,
     PLACE_DISSECTION},
    {"call", cmd_call, "one call: in full, or its packets", NULL, call_usage, PLACE_FILE},
    {"dissect", cmd_dissect, "a capture in, API calls out: as a table, as JSON lines, or as the fields you choose", NULL, dissect_usage,
     PLACE_FILE},
    {"export", cmd_export, "captures in, one capture out: merged by time, filtered, for Wireshark and tcpdump", NULL, export_usage,
     PLACE_FILE},
    {"capture", cmd_capture, "what a capture file holds", &capture_noun, NULL, PLACE_TEXT},
    {"raw", cmd_raw, "the raw capture in a worker's directory: its segments, and windows of it", NULL, raw_usage, PLACE_FILE},
    {"fields", cmd_fields, "the fields that calls have: names, types and what they mean", NULL, fields_usage, PLACE_TEXT},
    {"filter", cmd_filter, "check, explain and complete filters", &filter_noun, NULL, PLACE_TEXT},
    {"sql", cmd_sql, "SQL over the calls of a call store", NULL, sql_usage, PLACE_FILE},
    {"plugin", cmd_plugin, "list, show, explain and check plugins", &plugin_noun, NULL, PLACE_TEXT},
    {"config", cmd_config, "check or show the configuration", &config_noun, NULL, PLACE_TEXT},
    {"completion", cmd_completion, "completion of words for bash, zsh and fish", NULL, completion_usage, PLACE_TEXT},
    {"manual", cmd_manual, "the manual pages", NULL, manual_usage, PLACE_TEXT},
};

const struct command *commands(size_t *ret_n)
{
    *ret_n = sizeof(all) / sizeof(all[0]);
    return all;
}
