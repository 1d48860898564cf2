/* `tapedeck calls` and `tapedeck call` for what a hub has dissected. */
#ifndef CLI_CALLS_HUB_H
#define CLI_CALLS_HUB_H

#include "cli/client.h"

/* Could it be SNAPSHOT or SNAPSHOT/DISSECTION, and is there no file of that name? */
bool calls_hub_is_name(const char *word);

enum calls_hub_output { CALLS_HUB_TABLE, CALLS_HUB_TABS, CALLS_HUB_JSON, CALLS_HUB_COUNT };

struct calls_hub_request {
    const char *hub, *token_file, *ca; /* as in client_open() */
    const char *db, *filter;           /* "SNAPSHOT/DISSECTION"; the filter may be NULL */
    uint64_t limit;                    /* UINT64_MAX - 1 and above: all of them */
    bool oldest_first, payload, follow;
    int64_t from_ns, to_ns; /* INT64_MIN, INT64_MAX: no limit */
    enum calls_hub_output output;
    const char *fields;   /* of CALLS_HUB_TABS */
    const char *out_path; /* "-": standard output */
};
/* The exit code. */
int calls_hub_run(const struct calls_hub_request *);

/* One call by the id that `tapedeck calls` shows, "SNAPSHOT/DISSECTION/NUMBER". The exit code. */
int calls_hub_show(const char *hub, const char *token_file, const char *ca, const char *id, bool json);
/* Its packets, into a file. */
int calls_hub_packets(const char *hub, const char *token_file, const char *ca, const char *id, const char *out_path);

#endif
