#include "hub/hub_cloud.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/json_object.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/job_request.h"
#include "hub/routes.h"
#include "plugin/host.h"

/* Pauses between tries: "full jitter" within these. */
#define FIRST_PAUSE_NS (200 * (int64_t)NS_PER_MS)
#define LONGEST_PAUSE_NS (20 * (int64_t)NS_PER_S)

/* A request waits at most so long for the cloud's answer to whether there is something new. */
#define ASK_NS (5 * (int64_t)NS_PER_S)

/* ---- Life ---- */

void hub_cloud_init(struct hub_cloud *c)
{
    *c = (struct hub_cloud){.cloud = NULL};
    pthread_mutex_init(&c->moving, NULL);
}

void hub_cloud_close(struct hub_cloud *c)
{
    cloud_close(c->cloud);
    pthread_mutex_destroy(&c->moving);
}

static bool is_same_dir(const char *a, const char *b)
{
    struct stat left, right;
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* Both would find the other's objects, and remove what they do not know. */
static int check_apart(const struct config *c, const char *snapshots_dir, struct error *err)
{
    const struct yaml_node *path = yaml_get(config_component(c, TD_KIND_STORAGE, "local"), "path");
    char below[HUB_PATH];
    if (strcmp(c->cloud_snapshots.provider, "local") != 0 || !path || path->kind != YAML_TEXT)
        return TD_OK;
    snprintf(below, sizeof(below), "%s/%s", path->text, c->cloud_snapshots.prefix);
    if (!is_same_dir(snapshots_dir, path->text) && !is_same_dir(snapshots_dir, below))
        return TD_OK;
    return error_set(err, TD_E_CONFIG,
                     "tap.snapshots.cloud.local.path, or its prefix in there, is the directory of the local snapshots; choose another one");
}

static int open_storage(const struct config *c, const struct registry *registry, const struct td_host *host, struct storage **ret,
                        struct error *err)
{
    const char *provider = c->cloud_snapshots.provider;
    return storage_open(registry, host, provider, config_component(c, TD_KIND_STORAGE, provider), ret, err);
}

static int open_cloud(const struct config *config, struct storage *storage, const char *work_dir, struct cloud **ret, struct error *err)
{
    const struct cloud_snapshots_config *c = &config->cloud_snapshots;
    const struct cloud_options o = {
        .storage = storage,
        .prefix = c->prefix,
        .work_dir = work_dir,
        .parallel = (unsigned)c->parallel,
        .refresh_ns = c->refresh_interval_ns,
        .retry = {.first_ns = FIRST_PAUSE_NS, .longest_ns = LONGEST_PAUSE_NS, .patience_ns = c->patience_ns},
        .may_be_away = c->unavailable_at_start == CLOUD_ABSENCE_DEGRADED,
    };
    return cloud_open(&o, ret, err);
}

static int explain(const struct config *c, int status, struct error *err)
{
    if (status == TD_OK)
        return status;
    error_prefix(err, "cloud storage: ");
    size_t n = strlen(err->text);
    if (status == TD_E_RETRY && c->cloud_snapshots.unavailable_at_start == CLOUD_ABSENCE_REFUSE)
        snprintf(err->text + n, sizeof(err->text) - n,
                 "; with tap.snapshots.cloud.unavailableAtStart: degraded the hub starts all the same, and asks again");
    return status;
}

int hub_cloud_open(struct hub *hub, struct error *err)
{
    const struct config *c = hub->config;
    struct storage *storage = NULL;
    if (!*c->cloud_snapshots.provider)
        return TD_OK;
    int status = check_apart(c, hub->snapshots_dir, err);
    if (status == TD_OK)
        status = open_storage(c, hub->registry, &hub->host, &storage, err);
    if (status == TD_OK)
        status = open_cloud(c, storage, hub->work_dir, &hub->cloud.cloud, err);
    return explain(c, status, err);
}

int hub_cloud_check_config(const struct config *c, const struct registry *registry, struct error *err)
{
    struct td_host host;
    struct storage *storage = NULL;
    if (!*c->cloud_snapshots.provider)
        return TD_OK;
    host_init_control(&host);
    int status = cloud_check_prefix(c->cloud_snapshots.prefix, err);
    if (status == TD_OK)
        status = open_storage(c, registry, &host, &storage, err);
    storage_close(storage);
    return explain(c, status, err);
}

int hub_cloud_try(const struct config *c, const struct registry *registry, const char *snapshots_dir, struct buf *out, struct error *err)
{
    struct td_host host;
    struct storage *storage = NULL;
    struct cloud *cloud = NULL;
    struct cloud_status s;
    if (!*c->cloud_snapshots.provider) {
        buf_lit(out, "cloud storage: none");
        return TD_OK;
    }
    host_init_control(&host);
    int status = check_apart(c, snapshots_dir, err);
    if (status == TD_OK)
        status = open_storage(c, registry, &host, &storage, err);
    if (status == TD_OK)
        status = open_cloud(c, storage, "/nonexistent", &cloud, err); /* nothing is moved */
    if (status == TD_OK) {
        cloud_status(cloud, &s);
        if (*s.error) /* it may be away, and is */
            status = error_set(err, TD_E_RETRY, "%s", s.error);
    }
    if (status == TD_OK)
        status = cloud_refresh(cloud, err);
    if (status == TD_OK) {
        char bytes[UNITS_TEXT];
        cloud_status(cloud, &s);
        buf_printf(out, "cloud storage \"%s\", prefix \"%s\": can be used; %zu snapshots, %s", s.provider, s.prefix, s.snapshots,
                   units_format_size(s.bytes, bytes));
    } else if (status == TD_E_RETRY && cloud) { /* it may be away */
        buf_printf(out, "cloud storage \"%s\" does not answer; the hub starts all the same: %s", c->cloud_snapshots.provider, err->text);
        status = TD_OK;
    }
    cloud_close(cloud);
    return explain(c, status, err);
}

/* Maps of scalars and lists are what plugins' options are; the rest counts as different. */
static bool same_value(const struct yaml_node *a, const struct yaml_node *b)
{
    if (yaml_is_null(a) || yaml_is_null(b))
        return yaml_is_null(a) && yaml_is_null(b);
    if (a->kind == YAML_MAP || b->kind == YAML_MAP || (a->kind == YAML_LIST ? a->n : 1) != (b->kind == YAML_LIST ? b->n : 1))
        return false;
    for (uint32_t i = 0; i < (a->kind == YAML_LIST ? a->n : 1); i++) {
        const struct yaml_node *left = yaml_item(a, i), *right = yaml_item(b, i);
        if (left->kind != YAML_TEXT || right->kind != YAML_TEXT || strcmp(left->text, right->text) != 0)
            return false;
    }
    return true;
}

static bool same_options(const struct yaml_node *a, const struct yaml_node *b)
{
    if (yaml_is_null(a) || yaml_is_null(b))
        return yaml_is_null(a) && yaml_is_null(b);
    if (a->kind != YAML_MAP || b->kind != YAML_MAP || a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!same_value(a->entries[i].value, yaml_get(b, a->entries[i].key->text)))
            return false;
    return true;
}

bool hub_cloud_differs(const struct config *a, const struct config *b)
{
    const struct cloud_snapshots_config *x = &a->cloud_snapshots, *y = &b->cloud_snapshots;
    if (strcmp(x->provider, y->provider) != 0)
        return true;
    if (!*x->provider)
        return false;
    return strcmp(x->prefix, y->prefix) != 0 || x->parallel != y->parallel || x->refresh_interval_ns != y->refresh_interval_ns ||
           x->patience_ns != y->patience_ns ||
           !same_options(config_component(a, TD_KIND_STORAGE, x->provider), config_component(b, TD_KIND_STORAGE, y->provider));
}

/* ---- Finding ---- */

static struct hub_copy *add_copy(struct hub_copies *all, const struct manifest *m)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].id, m->id) == 0)
            return &all->v[i];
    all->all++;
    if (all->n == HUB_COPIES)
        return NULL;
    struct hub_copy *c = &all->v[all->n++];
    *c = (struct hub_copy){.here = false};
    memcpy(c->id, m->id, sizeof(c->id));
    memcpy(c->name, m->name, sizeof(c->name));
    return c;
}

static void add_there(struct hub_copies *all, struct cloud_snapshot *s)
{
    struct hub_copy *c = s ? add_copy(all, cloud_snapshot_manifest(s)) : NULL;
    if (c)
        c->there = true;
}

static int add_all_there(struct cloud *cloud, const char *name, struct hub_copies *all, struct error *err)
{
    struct cloud_snapshot **v;
    size_t n;
    int status = cloud_pin_all(cloud, &v, &n, err);
    if (status != TD_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(cloud_snapshot_manifest(v[i])->name, name) == 0)
            add_there(all, v[i]);
        cloud_snapshot_unpin(v[i]);
    }
    mem_free(v);
    return TD_OK;
}

struct snapshot *hub_pin(struct hub *hub, const char *what)
{
    return manifest_is_id(what) ? snapshots_pin_id(hub->snapshots, what) : snapshots_pin(hub->snapshots, what);
}

int hub_find_copies(struct hub *hub, const char *what, struct hub_copies *ret, struct error *err)
{
    struct cloud *cloud = hub->cloud.cloud;
    bool by_id = manifest_is_id(what);
    size_t n = 0;
    *ret = (struct hub_copies){.n = 0};
    struct snapshot *here = hub_pin(hub, what);
    if (here) {
        struct hub_copy *c = add_copy(ret, snapshot_manifest(here));
        struct cloud_snapshot *same = cloud ? cloud_pin(cloud, c->id) : NULL;
        c->here = true;
        c->there = same != NULL;
        if (same)
            cloud_snapshot_unpin(same);
        snapshot_unpin(here);
    }
    if (!cloud)
        return TD_OK;
    struct cloud_snapshot *there = by_id ? cloud_pin(cloud, what) : cloud_pin_name(cloud, what, &n);
    add_there(ret, there);
    if (there)
        cloud_snapshot_unpin(there);
    return n > 1 ? add_all_there(cloud, what, ret, err) : TD_OK;
}

static void drop_those_here_only(struct hub_copies *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].there)
            all->v[n++] = all->v[i];
    all->all -= all->n - n;
    all->n = n;
}

static int find(struct hub *hub, const char *what, bool there, struct hub_copies *ret, struct error *err)
{
    int status = hub_find_copies(hub, what, ret, err);
    if (status == TD_OK && there)
        drop_those_here_only(ret);
    return status;
}

static void refuse_ambiguous(struct http_request *q, const char *name, const struct hub_copies *all)
{
    struct buf list = {.n = 0};
    for (size_t i = 0; i < all->n; i++)
        buf_printf(&list, "%s%s (%s)", i ? ", " : "", all->v[i].id,
                   !all->v[i].there ? "here"
                   : all->v[i].here ? "here and in the cloud"
                                    : "in the cloud");
    http_reply_problem(q, 409, "ambiguous_name", "%zu snapshots are called %.128s: %s%s; name the one you mean by its id", all->all, name,
                       list.failed ? "" : buf_cstr(&list), all->n < all->all ? ", ..." : "");
    buf_clear(&list);
}

/* Nobody knows what is there. False: the cloud has answered, or there is none. */
static bool refuse_away(struct hub *hub, struct http_request *q, const char *what)
{
    struct cloud_status s = {.connected = true};
    if (hub->cloud.cloud)
        cloud_status(hub->cloud.cloud, &s);
    if (!s.connected)
        http_reply_problem(q, 503, "cloud_unavailable",
                           "whether there is a snapshot %.128s cannot be told now: the cloud does not answer: %s", what,
                           *s.error ? s.error : "it has not been asked yet");
    return !s.connected;
}

static void refuse_unknown(struct hub *hub, struct http_request *q, const char *what, bool there)
{
    struct hub_copies here;
    if (refuse_away(hub, q, what))
        return;
    if (there && hub_find_copies(hub, what, &here, NULL) == TD_OK && here.n)
        http_reply_problem(q, 409, "not_in_cloud",
                           "snapshot %.128s is here only, not in the cloud; `tapedeck snapshot upload %.128s` (POST " API
                           "/snapshots/%.128s/upload) puts it there",
                           what, what, what);
    else
        http_reply_problem(q, 404, "snapshot_not_found", "there is no snapshot %.128s", what);
}

bool hub_choose_copy(struct hub *hub, struct http_request *q, const char *what, bool there, struct hub_copy *ret, int *status,
                     struct error *err)
{
    struct hub_copies all;
    struct cloud *cloud = hub->cloud.cloud;
    *status = find(hub, what, there, &all, err);
    if (*status == TD_OK && !all.n && there && cloud) {
        cloud_refresh_soon(cloud, ASK_NS);
        *status = find(hub, what, there, &all, err);
    }
    if (*status != TD_OK)
        return false;
    if (!all.n)
        refuse_unknown(hub, q, what, there);
    else if (all.all > 1)
        refuse_ambiguous(q, what, &all);
    else
        *ret = all.v[0];
    return all.all == 1;
}

bool hub_refuse_remote(struct hub *hub, struct http_request *q, const char *name)
{
    char snapshot[JOB_SUBJECT];
    struct hub_copies all;
    snprintf(snapshot, sizeof(snapshot), "%.*s", (int)strcspn(name, "/"), name);
    if (hub_find_copies(hub, snapshot, &all, NULL) != TD_OK || (all.n && all.v[0].here))
        return false;
    if (!all.n)
        return refuse_away(hub, q, snapshot);
    http_reply_problem(q, 409, "not_local",
                       "snapshot %.128s is in the cloud only; download it first: POST " API "/snapshots/%.128s/download, or `tapedeck "
                       "snapshot download %.128s`",
                       snapshot, snapshot, snapshot);
    return true;
}

int hub_no_snapshot(struct hub *hub, struct http_request *q, const char *name)
{
    if (!hub_refuse_remote(hub, q, name))
        http_reply_problem(q, 404, "snapshot_not_found", "there is no snapshot %.128s", name);
    return TD_OK;
}

bool hub_look_there(struct hub *hub, struct http_request *q, struct hub_copy *copy)
{
    struct error why;
    int status = hub->cloud.cloud ? cloud_look(hub->cloud.cloud, copy->id, ASK_NS, &why) : TD_E_NOT_FOUND;
    copy->there = status == TD_OK;
    if (status == TD_OK || status == TD_E_NOT_FOUND)
        return true;
    http_reply_problem(q, 503, "cloud_unavailable",
                       "nothing is deleted, as whether snapshot %s is in the cloud cannot be told now: the cloud does not answer: %s",
                       copy->name, why.text);
    return false;
}

bool hub_has_cloud(struct hub *hub, struct http_request *q)
{
    if (!hub->cloud.cloud)
        http_reply_problem(q, 409, "no_cloud",
                           "this hub has no cloud storage; tap.snapshots.cloud.provider names one, and its options stand beside it");
    return hub->cloud.cloud != NULL;
}

/* ---- Moving ---- */

int hub_check_name_there(struct hub *hub, const struct hub_copy *copy, struct error *err)
{
    struct hub_copies all;
    int status = copy->allow_same_name ? TD_OK : hub_find_copies(hub, copy->name, &all, err);
    if (status != TD_OK || copy->allow_same_name)
        return status;
    for (size_t i = 0; i < all.n; i++) /* of one that is there already, new dissections may be added */
        if (strcmp(all.v[i].id, copy->id) == 0 && all.v[i].there)
            return TD_OK;
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].there)
            return error_set(
                err, TD_E_EXISTS,
                "another snapshot called %s is in the cloud: %s; with allow_same_name=true (--allow-same-name) this one, %s, is "
                "uploaded all the same, and each is told from the other by its id",
                copy->name, all.v[i].id, copy->id);
    return TD_OK;
}

bool hub_is_move(const char *kind)
{
    static const char *const kinds[] = {"upload", "download", "delete", "cleanup"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

struct move_search {
    struct hub *hub;
    const char *id;
    struct job_status *ret;
    bool found;
};

static int compare_move(void *ctx, const struct job_status *s)
{
    struct move_search *m = ctx;
    char id[MANIFEST_ID];
    if (!m->found && s->state <= JOB_RUNNING && hub_is_move(s->kind) && hub_job_id(m->hub, s->id, id) && strcmp(id, m->id) == 0) {
        m->found = true;
        *m->ret = *s;
    }
    return TD_OK;
}

bool hub_find_move(struct hub *hub, const char *id, struct job_status *ret)
{
    struct move_search m = {hub, id, ret, false};
    return jobs_each(hub->jobs, NULL, NULL, compare_move, &m, NULL) == TD_OK && m.found;
}

int hub_submit_move(struct hub *hub, struct http_request *q, const char *kind, const struct hub_copy *copy, const char *subject,
                    struct error *err)
{
    struct job_status at_it;
    struct buf request = {.n = 0};
    int status = TD_OK;
    buf_putc(&request, '{');
    json_put_text(&request, "id", copy->id);
    json_put_text(&request, "name", copy->name);
    if (copy->allow_same_name)
        json_put_bool(&request, "allow_same_name", true);
    buf_putc(&request, '}');
    pthread_mutex_lock(&hub->cloud.moving);
    if (hub_find_move(hub, copy->id, &at_it))
        http_reply_problem(q, 409, "in_use",
                           "job %s is at snapshot %s: %s; wait for it (tapedeck job show %s --wait), or end it (tapedeck job cancel %s)",
                           at_it.id, copy->name, at_it.kind, at_it.id, at_it.id);
    else
        status = hub_submit(hub, q, kind, subject, &request, err);
    pthread_mutex_unlock(&hub->cloud.moving);
    buf_clear(&request);
    return status;
}
