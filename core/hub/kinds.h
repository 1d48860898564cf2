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

/* Between here and the cloud. Requests name the snapshot by its id and its name. "cleanup": what an upload that was given up left there,
 * and could not be removed then. */
int hub_run_upload(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
void hub_clean_upload(void *hub, const char *subject, struct td_slice request);
int hub_run_download(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
void hub_clean_download(void *hub, const char *subject, struct td_slice request);
int hub_run_delete(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
void hub_clean_delete(void *hub, const char *subject, struct td_slice request);
int hub_run_cleanup(void *hub, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
/* At the start, before the jobs begin: what is in the work directory of uploads and downloads that no job goes on with. */
void hub_sweep_transfers(struct hub *hub);
/* A verification's faults, in the result of its job. */
struct hub_faults {
    struct job *job;
    struct buf *out;
};
void hub_put_fault(void *faults, const char *key, const char *what);
/* Verifies what is in the cloud. */
int hub_verify_there(struct hub *, struct job *, const char *id, struct buf *result, struct error *err);

/* The file in the work directory that a dissection of "snapshot/name" is made in; dissection_run() adds ".tmp". */
enum { HUB_STORE_NAME = JOB_SUBJECT + 16 };
void hub_store_name(const char *subject, char out[HUB_STORE_NAME]);

/* The folder of an upload, in the work directory: the file "upload", and "files", what the job makes of it. The upload's bytes are reserved
 * as long as it is there: by the request until it has become a job, then until the job has removed it. */
void hub_import_path(const struct hub *hub, const char *id, const char *rest, char out[], size_t n);
void hub_import_remove(const struct hub *hub, const char *id);
void hub_remove_tree(const char *path);
/* At the start: removes the folders of uploads that became no job, and counts what the others have. */
void hub_sweep_imports(struct hub *hub);

#endif
