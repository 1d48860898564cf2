/* The kinds of jobs that a hub has. */
#ifndef HUB_KINDS_H
#define HUB_KINDS_H

#include "hub/jobs.h"

struct hub;

/* All of them; mem_free() it. NULL: out of memory. */
struct job_kind *hub_kinds(struct hub *, size_t *ret_n);
/* Does an unfinished job need what lies below this snapshot's id? For snapshots_open(). */
bool hub_is_busy(void *hub, const char *id);

/* Run and clean up: see hub/jobs.h. Requests are JSON objects, made by the routes. */
int hub_run_create(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
void hub_clean_create(void *hub, const char *subject, struct td_slice request);
int hub_run_verify(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
int hub_run_dissect(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
void hub_clean_dissect(void *hub, const char *subject, struct td_slice request);
int hub_run_import(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
void hub_clean_import(void *hub, const char *subject, struct td_slice request);

/* The file in the work directory that a dissection of "snapshot/name" is made in; dissection_run() adds ".tmp". */
enum { HUB_STORE_NAME = JOB_SUBJECT + 16 };
void hub_store_name(const char *subject, char out[HUB_STORE_NAME]);

/* The folder of an upload, in the work directory: the file "upload", and "files", what the job makes of it. The upload's bytes are reserved
 * as long as it is there: by the request until it has become a job, then until the job has removed it. */
void hub_import_path(const struct hub *hub, const char *id, const char *rest, char out[], size_t n);
void hub_import_remove(const struct hub *hub, const char *id);
/* At the start: removes the folders of uploads that became no job, and counts what the others have. */
void hub_sweep_imports(struct hub *hub);

#endif
