/* Files between here and a hub: a snapshot's packets down, an archive or a capture up. */
#ifndef CLI_SNAPSHOT_FILE_H
#define CLI_SNAPSHOT_FILE_H

#include "cli/client.h"

/* GETs `path` (behind /api/v1) into a file, which appears when it is whole; "-" is standard output. `filter`: shown with a caret if the hub
 * finds fault with it; or NULL. The exit code. */
int snapshot_file_download(struct client *, const char *path, const char *filter, const char *out_path, bool quiet);
/* Sends a file; *ret is the answer: the job. `name`: of the snapshot, or NULL. The exit code. */
int snapshot_file_upload(struct client *, const char *file, const char *name, bool quiet, json_t **ret);

#endif
