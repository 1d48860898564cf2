/* What a job was asked for: a JSON object, made by a route and kept by the database of jobs. */
#ifndef HUB_JOB_REQUEST_H
#define HUB_JOB_REQUEST_H

#include <jansson.h>

#include "hub/jobs.h"
#include "snapshot/manifest.h"

struct hub;

struct job_request {
    json_t *body;
    const char *id, *name; /* of the snapshot; "": not told */
};

/* TD_E_CORRUPT: it cannot be read any more. To be closed in any case. */
int job_request_open(struct td_slice request, struct job_request *ret, struct error *err) MUST_CHECK;
/* The same if there is an id in it. */
int job_request_open_id(struct td_slice request, struct job_request *ret, struct error *err) MUST_CHECK;
void job_request_close(struct job_request *);
/* A member that is a text; "": it is not there. */
const char *job_request_text(const json_t *, const char *key);

/* The id of the snapshot that a job was asked for. False: none. */
bool hub_job_id(struct hub *, const char *job, char ret_id[MANIFEST_ID]);
/* Is an unfinished job of this kind at the snapshot of this id? True as well if that cannot be told. */
bool hub_has_job(struct hub *, const char *kind, const char *id);

#endif
