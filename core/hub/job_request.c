#include "hub/job_request.h"

#include <stdio.h>

#include "hub/hub_internal.h"

const char *job_request_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int damaged(struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "what was asked for cannot be read any more: the hub's database is damaged");
}

int job_request_open(struct td_slice request, struct job_request *ret, struct error *err)
{
    ret->body = json_loadb(request.n ? (const char *)request.p : "", request.n, JSON_REJECT_DUPLICATES, NULL);
    ret->id = job_request_text(ret->body, "id");
    ret->name = job_request_text(ret->body, "name");
    return ret->body ? TD_OK : damaged(err);
}

int job_request_open_id(struct td_slice request, struct job_request *ret, struct error *err)
{
    int status = job_request_open(request, ret, err);
    return status != TD_OK || manifest_is_id(ret->id) ? status : damaged(err);
}

void job_request_close(struct job_request *r)
{
    json_decref(r->body);
}

/* ---- Of jobs that are there ---- */

bool hub_job_id(struct hub *hub, const char *job, char ret_id[MANIFEST_ID])
{
    struct buf request = {.n = 0};
    struct job_request r = {.body = NULL};
    bool found = jobs_request(hub->jobs, job, &request, NULL) == TD_OK && job_request_open_id(buf_slice(&request), &r, NULL) == TD_OK;
    snprintf(ret_id, MANIFEST_ID, "%s", found ? r.id : "");
    job_request_close(&r);
    buf_clear(&request);
    return found;
}

struct search {
    struct hub *hub;
    const char *id;
    bool found;
};

static int compare(void *ctx, const struct job_status *s)
{
    struct search *search = ctx;
    char id[MANIFEST_ID];
    if (s->state <= JOB_RUNNING && !search->found && hub_job_id(search->hub, s->id, id))
        search->found = strcmp(id, search->id) == 0;
    return TD_OK;
}

bool hub_has_job(struct hub *hub, const char *kind, const char *id)
{
    struct search s = {hub, id, false};
    return jobs_each(hub->jobs, kind, NULL, compare, &s, NULL) != TD_OK || s.found;
}
