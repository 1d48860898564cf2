/* The inside of the hub: shared by hub.c, which opens it, and by its routes and jobs. */
#ifndef HUB_HUB_INTERNAL_H
#define HUB_HUB_INTERNAL_H

#include "call/registry.h"
#include "dissect/enabled.h"
#include "hub/audit.h"
#include "hub/hub.h"
#include "hub/hub_cloud.h"
#include "hub/jobs.h"
#include "hub/nodes.h"
#include "net/http_server.h"
#include "plugin/registry.h"
#include "snapshot/snapshots.h"

enum { HUB_PATH = 4096 };

struct store;

enum hub_exporter { HUB_PCAP, HUB_PCAPNG, HUB_EXPORTERS };

struct hub {
    struct config *config; /* the first one: what only a restart changes. What a reload changes is kept by the parts themselves */
    const char *version;
    char own_url[NODE_URL]; /* of the worker in this process; "": none */
    char data_dir[HUB_PATH], hub_dir[HUB_PATH], work_dir[HUB_PATH], snapshots_dir[HUB_PATH];
    int lock_fd;
    int64_t started_ns;

    struct registry *registry;
    struct td_host host;
    struct td_inst *exporters[HUB_EXPORTERS]; /* NULL: there is none */
    struct enabled_dissectors dissectors;
    bool dissectors_open;
    struct field_registry *fields; /* of the dissectors that are enabled */

    struct storage *storage;
    struct snapshots *snapshots;
    struct hub_cloud cloud;
    struct jobs *jobs;
    struct nodes *nodes;
    struct audit *audit;
    struct http_server *server;
    struct arena arena; /* of the routes */
    struct http_route *routes;
    size_t route_count;
};

/* Where the store of calls of "snapshot" or "snapshot/dissection" is. */
struct hub_calls {
    char path[HUB_PATH], db[JOB_SUBJECT]; /* db: "snapshot/dissection" */
    struct snapshot *pin;                 /* to be unpinned when the store is closed; or NULL */
    bool growing;                         /* a dissection that runs fills it */
};
/* TD_E_NOT_FOUND: there is none; TD_E_CONFIG: the snapshot has several, of which one must be named. */
int hub_find_calls(struct hub *, const char *db, struct hub_calls *ret, struct error *err) MUST_CHECK;

/* The newest job that dissects "snapshot/dissection", or any dissection of "snapshot", and has not ended. False: there is none. */
int hub_find_dissecting(struct hub *, const char *db, struct job_status *ret, bool *ret_found, struct error *err) MUST_CHECK;
/* The store that a running job fills at this moment, of which only what was found so far can be read. TD_E_NOT_FOUND: there is none yet,
 * or none any more; TD_E_RETRY: it is kept by the one who fills it. Its errors are those of a process that is not trusted, or was just
 * killed. */
int hub_open_growing(struct hub *, const char *subject, struct store **ret, struct error *err) MUST_CHECK;
/* The calls of `db`: those that a running dissection has found so far, or those that are kept. *ret_store is NULL if it has only begun.
 * `ret->growing` tells which; hub_close_calls() both. Otherwise as hub_find_calls(). */
int hub_open_calls(struct hub *, const char *db, struct hub_calls *ret, struct store **ret_store, struct error *err) MUST_CHECK;
void hub_close_calls(struct hub_calls *, struct store *);

/* The parts of opening that `--check` tries out, too. */
int hub_set_paths(struct hub *, const struct config *, struct error *err) MUST_CHECK;
int hub_open_server(struct hub *, const struct config *, struct error *err) MUST_CHECK;

#endif
