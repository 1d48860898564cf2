/* The cloud: its state, and snapshots on their way there and back. */
#include "base/json_object.h"
#include "hub/routes.h"

void hub_put_cloud(struct hub *hub, struct buf *b)
{
    struct cloud_status s = {.provider = ""};
    struct cloud *cloud = hub->cloud.cloud;
    if (cloud)
        cloud_status(cloud, &s);
    buf_putc(b, '{');
    json_put_bool(b, "enabled", cloud != NULL);
    json_put_text(b, "provider", cloud ? s.provider : NULL);
    json_put_bool(b, "connected", s.connected);
    json_put_text(b, "error", *s.error ? s.error : NULL);
    json_put_text(b, "prefix", cloud ? s.prefix : NULL);
    json_put_u64(b, "snapshots", s.snapshots);
    json_put_u64(b, "bytes", s.bytes);
    json_put_time(b, "checked_at", s.asked_ns, s.asked_ns != 0);
    buf_putc(b, '}');
}

static int get_cloud(void *ctx, struct http_request *q, struct error *err)
{
    struct buf b = {.n = 0};
    (void)err;
    hub_put_cloud(ctx, &b);
    hub_reply_json(q, 200, &b);
    return TD_OK;
}

/* ---- Uploading ---- */

static int take_flag(const struct http_request *q, const char *name, bool *ret, struct error *err)
{
    const char *text = http_parameter(q, name);
    *ret = text && strcmp(text, "true") == 0;
    return !text || *ret || strcmp(text, "false") == 0 ? TD_OK : error_set(err, TD_E_CONFIG, "%s must be true or false", name);
}

static bool find_here(struct hub *hub, const char *what, struct hub_copy *ret)
{
    struct hub_copies all;
    if (hub_find_copies(hub, what, &all, NULL) != TD_OK || !all.n || !all.v[0].here)
        return false;
    *ret = all.v[0];
    return true;
}

/* Of names, what is known is looked at now; the job asks anew, which may take a while. */
static int post_upload(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *what = http_segment(q, "name");
    struct hub_copy copy;
    struct error why;
    bool same_name;
    int status = take_flag(q, "allow_same_name", &same_name, err);
    if (status != TD_OK || !hub_has_cloud(hub, q))
        return status;
    if (!find_here(hub, what, &copy))
        return hub_no_snapshot(hub, q, what);
    copy.allow_same_name = same_name;
    if (hub_check_name_there(hub, &copy, &why) == TD_OK)
        return hub_submit_move(hub, q, "upload", &copy, copy.name, err);
    http_reply_problem(q, 409, "name_taken", "%s", why.text);
    return TD_OK;
}

/* ---- Downloading ---- */

static int post_download(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    const char *what = http_segment(q, "name");
    struct hub_copy copy;
    int status = TD_OK;
    if (!hub_has_cloud(hub, q) || !hub_choose_copy(hub, q, what, true, &copy, &status, err))
        return status;
    if (copy.here)
        http_reply_problem(q, 409, "exists", "snapshot %s is here already", copy.name);
    else if (snapshots_has_name(hub->snapshots, copy.name))
        http_reply_problem(q, 409, "name_taken",
                           "there is another snapshot %s here; delete it first (tapedeck snapshot delete %s --from local)", copy.name,
                           copy.name);
    else
        return hub_submit_move(hub, q, "download", &copy, copy.name, err);
    return TD_OK;
}

/* ---- Routes ---- */

#define TEXT "{\"type\":\"string\"}"
#define PROBLEM "application/problem+json"

static const struct hub_parameter upload_parameters[] = {
    {"name", TEXT, "The snapshot's name or id", true},
    {"allow_same_name", "{\"type\":\"boolean\",\"default\":false}", "Also if another one in the cloud is called so", false},
    {0}};
static const struct hub_parameter name_parameters[] = {{"name", TEXT, "The snapshot's name or id", true}, {0}};
static const struct hub_answer cloud_answers[] = {{200, JSON_TYPE,
                                                   "enabled: one is configured; provider; connected: it answered when it was last asked, "
                                                   "at checked_at; error: why not; prefix; snapshots "
                                                   "and bytes that are there"},
                                                  {0}};
static const struct hub_answer upload_answers[] = {
    {202, JSON_TYPE, "The job that uploads it; of one that is there, what is missing"},
    {404, PROBLEM, "snapshot_not_found"},
    {409, PROBLEM, "name_taken: another one there is called so; in_use: a job moves it; not_local; no_cloud"},
    {503, PROBLEM, "cloud_unavailable: it is not here, and the cloud does not answer"},
    {0}};
static const struct hub_answer download_answers[] = {
    {202, JSON_TYPE, "The job that downloads it"},
    {404, PROBLEM, "snapshot_not_found"},
    {409, PROBLEM,
     "exists: it is here; name_taken: another one here is called so; ambiguous_name: the ids are listed; not_in_cloud; in_use: a job moves "
     "it; no_cloud"},
    {503, PROBLEM, "cloud_unavailable: whether it is there cannot be told"},
    {0}};

static const struct hub_route routes[] = {
    {"GET", API "/cloud", HTTP_VIEWER, 0, get_cloud, "getCloud", "Is there a cloud, and does it answer?", NULL, NULL, cloud_answers},
    {"POST", API "/snapshots/{name}/upload", HTTP_OPERATOR, 0, post_upload, "uploadSnapshot", "Put a snapshot into the cloud",
     upload_parameters, NULL, upload_answers},
    {"POST", API "/snapshots/{name}/download", HTTP_OPERATOR, 0, post_download, "downloadSnapshot", "Get a snapshot from the cloud",
     name_parameters, NULL, download_answers},
};

const struct hub_subject *hub_routes_cloud(void)
{
    static const struct hub_subject subject = {"cloud", "Snapshots in cloud storage", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
