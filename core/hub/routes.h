/* The routes of the hub's API, as tables: the server is set up from them, and so is the description of the API (GET
 * /api/v1/openapi.json), so that the two cannot differ. Each subject has a file routes_<subject>.c. */
#ifndef HUB_ROUTES_H
#define HUB_ROUTES_H

#include <jansson.h>

#include "base/arena.h"
#include "hub/hub_internal.h"
#include "net/http_request.h"

#define API "/api/v1"
#define JSON_TYPE "application/json"

/* Of the query, or a name in braces of the path. */
struct hub_parameter {
    const char *name;
    const char *schema; /* JSON Schema: {"type":"integer","minimum":1} */
    const char *help;
    bool required;
};

struct hub_answer {
    unsigned status;
    const char *type; /* media type; NULL: no body */
    const char *help;
};

struct hub_route {
    const char *method, *path;
    enum http_role needs;
    size_t max_body;
    int (*handle)(void *hub, struct http_request *, struct error *err);
    const char *id;                         /* "listJobs": for programs that make clients; unique */
    const char *summary;                    /* a line without a full stop */
    const struct hub_parameter *parameters; /* ends with a name of NULL; NULL: none */
    const char *body;                       /* JSON Schema of the request's body; NULL: none */
    const struct hub_answer *answers;       /* that are particular to it, ends with a status of 0; problems that any may have are added */
};

struct hub_subject {
    const char *name, *help;
    const struct hub_route *v;
    size_t n;
};

/* All of them, one after the other; NULL behind the last. */
const struct hub_subject *hub_subject_at(size_t i);
const struct hub_subject *hub_routes_health(void);
const struct hub_subject *hub_routes_nodes(void);
const struct hub_subject *hub_routes_snapshots(void);
const struct hub_subject *hub_routes_dissections(void);
const struct hub_subject *hub_routes_jobs(void);
const struct hub_subject *hub_routes_cloud(void);
const struct hub_subject *hub_routes_filter(void);
const struct hub_subject *hub_routes_calls(void);
const struct hub_subject *hub_routes_plugins(void);
const struct hub_subject *hub_routes_exports(void);
const struct hub_subject *hub_routes_import(void);
const struct hub_subject *hub_routes_stream(void);

/* The server's form of the tables, in `arena`. */
int hub_routes_make(struct arena *arena, struct http_route **ret, size_t *ret_n, struct error *err) MUST_CHECK;
/* Appends the description: OpenAPI 3.1. */
void hub_put_openapi(struct buf *, const char *version);

/* ---- For handlers ---- */

/* Answers with what is in `b`, which is taken. */
void hub_reply_json(struct http_request *, unsigned status, struct buf *b);
/* The body as a JSON object with no other members than `names` (ends with NULL). TD_E_CONFIG, which names what is wrong; json_decref(*ret).
 */
int hub_body(struct http_request *, const char *const *names, json_t **ret, struct error *err) MUST_CHECK;
/* A member, or else what `otherwise` says; it must be of the type. NULL members are as if they were not there. */
int hub_take_text(const json_t *body, const char *name, const char *otherwise, const char **ret, struct error *err) MUST_CHECK;
int hub_take_bool(const json_t *body, const char *name, bool otherwise, bool *ret, struct error *err) MUST_CHECK;
int hub_take_number(const json_t *body, const char *name, uint64_t otherwise, uint64_t min, uint64_t max, uint64_t *ret,
                    struct error *err) MUST_CHECK;
/* What GET /cloud tells. */
void hub_put_cloud(struct hub *, struct buf *);
/* Submits a job and answers 202 with it, or why not. */
int hub_submit(struct hub *, struct http_request *, const char *kind, const char *subject, const struct buf *request,
               struct error *err) MUST_CHECK;
/* The query as such an object: values of the named parameters, as texts. json_decref() it. NULL: out of memory. */
json_t *hub_query(const struct http_request *, const char *const *names);

/* ---- Calls, for handlers ---- */

struct td_call;
struct filter_diagnostics;
struct store_position;
/* Its id is that of the API, "snapshot/dissection/number": it names the dissection `db` as well. */
void hub_put_call(struct buf *, const char *db, const struct td_call *, bool payload);
/* The other way round. False: it is no id. */
bool hub_parse_call_id(const char *id, char db[JOB_SUBJECT], uint64_t *ret_number);
/* "n1700000000000000000.42": the order, and the call behind which it goes on. False: it is none, or of the other order. */
bool hub_parse_cursor(const char *text, bool oldest_first, struct store_position *ret);
/* Answers 400, filter_error: where the filter is wrong, why, and what to write. */
void hub_refuse_filter(struct http_request *, const struct filter_diagnostics *, const char *text, const struct error *why);

#endif
