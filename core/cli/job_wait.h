/* A hub's jobs, seen from the client. */
#ifndef CLI_JOB_WAIT_H
#define CLI_JOB_WAIT_H

#include <jansson.h>

#include "cli/client.h"

/* Waits for the end of a job, with a progress bar on a terminal; a hub that is away for less than a minute is waited for, since jobs
 * survive its restart. Interrupted (^C), it leaves the job to the hub. The exit code of how the job ended; *ret, if it is not NULL, is the
 * job, or NULL. `what` is shown: "snapshot incident". */
int job_wait(struct client *, const char *id, const char *what, bool quiet, json_t **ret);

/* After a POST that began a job: tells its id, or waits for it if that is wanted. `answer` is what the hub said. *ret_done: it has ended
 * well, and what it made can be shown. */
int job_begun(struct client *, const struct verb_args *args, const json_t *answer, const char *what, bool wait, bool *ret_done);

#endif
