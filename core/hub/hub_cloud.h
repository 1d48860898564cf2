/* The hub's cloud: opening it, finding snapshots here and there, and the one move at a time that each may make.
 *
 * A snapshot is named by its name or by its id. Names are unique here; in the cloud several hubs may have given one name to several
 * snapshots, and then only their ids tell them apart. Any thread. */
#ifndef HUB_HUB_CLOUD_H
#define HUB_HUB_CLOUD_H

#include <pthread.h>

#include "cloud/cloud.h"
#include "cloud/transfer.h"
#include "hub/jobs.h"

struct hub;
struct http_request;

enum hub_direction { HUB_UP, HUB_DOWN, HUB_DIRECTIONS };

struct hub_cloud {
    struct cloud *cloud;     /* NULL: none is configured */
    pthread_mutex_t moving;  /* from the look whether a snapshot is being moved until the job is there */
    struct hub_cloud_count { /* since the start */
        _Atomic uint64_t objects, bytes, retries;
    } counts[HUB_DIRECTIONS];
};

void hub_cloud_init(struct hub_cloud *);
/* Opens the provider, if one is named, and proves that it can be used. The text of an error says what to do. */
int hub_cloud_open(struct hub *, struct error *err) MUST_CHECK;
void hub_cloud_close(struct hub_cloud *);
/* As far as that can be told without asking the provider: its options, the prefix. TD_OK if there is none. */
int hub_cloud_check_config(const struct config *, const struct registry *, struct error *err) MUST_CHECK;
/* The same, and asks it; a line that says what was found goes to `out`. `snapshots_dir`: of the local ones, "": not known. */
int hub_cloud_try(const struct config *, const struct registry *, const char *snapshots_dir, struct buf *out, struct error *err) MUST_CHECK;

/* Do they say different things of the cloud? What only a restart can change. */
bool hub_cloud_differs(const struct config *, const struct config *);

/* ---- Finding ---- */

struct hub_copy {
    char id[MANIFEST_ID], name[MANIFEST_NAME];
    bool here, there; /* in local storage; in the cloud */
    bool allow_same_name;
};

/* The different snapshots of this name or id, the one that is here first, then the newest. */
enum { HUB_COPIES = 16 };
struct hub_copies {
    struct hub_copy v[HUB_COPIES];
    size_t n, all; /* that are in `v`; that there are */
};
int hub_find_copies(struct hub *, const char *name_or_id, struct hub_copies *ret, struct error *err) MUST_CHECK;

/* The one that is here, by its name or id, pinned; NULL: none. */
struct snapshot *hub_pin(struct hub *, const char *name_or_id);
/* The only one of these that is where it is wanted; else answers why not: 404 snapshot_not_found, 409 ambiguous_name with the ids, 503
 * cloud_unavailable if the cloud would have to be asked and does not answer. `there`: only those in the cloud count, which is asked anew
 * before one is said not to be there. False: answered, or *status is an error. */
bool hub_choose_copy(struct hub *, struct http_request *, const char *name_or_id, bool there, struct hub_copy *ret, int *status,
                     struct error *err);
/* For what can only be done here, when a name was not found here: if the snapshot is in the cloud, answers 409 not_local, which says how to
 * get it; if the cloud does not answer, 503 cloud_unavailable. `name`: of a snapshot, or "snapshot/dissection". False: the snapshot is
 * here, or not there either. */
bool hub_refuse_remote(struct hub *, struct http_request *, const char *name);
/* Answers 404 snapshot_not_found, 409 not_local or 503 cloud_unavailable. TD_OK. */
int hub_no_snapshot(struct hub *, struct http_request *, const char *name);
/* Before one of two copies is deleted, whose `there` may be old: asks the cloud for it. False: answered 503 cloud_unavailable. */
bool hub_look_there(struct hub *, struct http_request *, struct hub_copy *);
/* False: answered 409 no_cloud. */
bool hub_has_cloud(struct hub *, struct http_request *);

/* ---- Moving ---- */

/* May it go there by its name, as far as is known? TD_E_EXISTS: another one has it; says what can be done. */
int hub_check_name_there(struct hub *, const struct hub_copy *, struct error *err) MUST_CHECK;

/* Is a job of this kind one? */
bool hub_is_move(const char *kind);
/* The unfinished job that uploads, downloads or removes this snapshot. */
bool hub_find_move(struct hub *, const char *id, struct job_status *ret);
/* Submits one, and answers 202 with it; or 409 in_use: there is one already, or `subject` is busy. */
int hub_submit_move(struct hub *, struct http_request *, const char *kind, const struct hub_copy *, const char *subject,
                    struct error *err) MUST_CHECK;

#endif
