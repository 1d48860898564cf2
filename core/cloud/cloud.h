/* The cloud of a hub: a storage backend, and which snapshots lie there under a prefix.
 *
 *     <prefix><id>/manifest.json            written last, removed first: a snapshot is there while its manifest is
 *     <prefix><id>/<node>/<sequence>.…      as in local storage
 *     <prefix><id>/dissections/<name>.calls
 *
 * Any number of hubs may share a prefix: ids are unique, objects never change, and whoever finds one there with the right size and sum need
 * not send it again. Which snapshots are there is asked every `refresh_ns` by a thread of its own, and after what this hub does itself; of
 * those that it knows it looks each time at some, in turn, whether their manifests are still there.
 * Any thread. */
#ifndef CLOUD_CLOUD_H
#define CLOUD_CLOUD_H

#include "cloud/retry.h"
#include "snapshot/snapshots.h"

struct cloud;

enum { CLOUD_PREFIX = 512, CLOUD_TEXT = 1024 };

struct cloud_options {
    struct storage *storage; /* opened; the cloud's from here on, also when opening fails */
    const char *prefix;      /* "", or parts that end with a slash; is checked */
    const char *work_dir;    /* on the file system of local storage: unfinished downloads, states of unfinished uploads */
    unsigned parallel;       /* objects on the way at once, in each transfer */
    int64_t refresh_ns;
    struct retry_policy retry; /* its deadline is not used */
    bool may_be_away;          /* starts also if the backend cannot be used now (TD_E_RETRY only), and tries again */
};

/* TD_E_CONFIG: it is no prefix; says what one looks like. */
int cloud_check_prefix(const char *prefix, struct error *err) MUST_CHECK;
/* Proves that the backend can be used (storage_check_below()), unless that fails in passing and it may be away. TD_E_CONFIG: the prefix. */
int cloud_open(const struct cloud_options *, struct cloud **ret, struct error *err) MUST_CHECK;
/* No transfer runs any more. NULL is fine. */
void cloud_close(struct cloud *);
/* What runs ends with TD_E_CANCELLED soon. Before transfers' threads are joined. */
void cloud_cancel(struct cloud *);
/* Asks now, and waits until it is known: for "what is there?" after a failure, and tests. */
int cloud_refresh(struct cloud *, struct error *err) MUST_CHECK;
/* The same, unless the caller cancels it. */
int cloud_refresh_unless(struct cloud *, const atomic_bool *cancel, struct error *err) MUST_CHECK;

/* For those who must not wait as long as a cloud may take: the thread asks now; returns when it has asked, or after so long. */
void cloud_refresh_soon(struct cloud *, int64_t most_ns);
/* Is this one there at this moment? TD_E_NOT_FOUND: it is not, and is not listed any more. It is tried again for so long, and what is tried
 * takes as long as the backend waits. For whoever deletes the other copy. */
int cloud_look(struct cloud *, const char *id, int64_t patience_ns, struct error *err) MUST_CHECK;

struct cloud_status {
    const char *provider; /* name of the plugin */
    const char *prefix;
    bool connected;         /* the last question was answered */
    int64_t asked_ns;       /* when that was; 0: never yet */
    char error[CLOUD_TEXT]; /* why not; "": connected */
    size_t snapshots;
    uint64_t bytes;
};
void cloud_status(struct cloud *, struct cloud_status *ret);

/* A snapshot there. Its manifest has no segments (they are read when they are needed), else all. Pinned until cloud_snapshot_unpin(). */
struct cloud_snapshot;
struct cloud_snapshot *cloud_pin(struct cloud *, const char *id);
/* By name. Several hubs may have given one name to several snapshots: *ret_n tells how many, and the newest is returned. */
struct cloud_snapshot *cloud_pin_name(struct cloud *, const char *name, size_t *ret_n);
/* All, newest first, each pinned; mem_free(*ret). */
int cloud_pin_all(struct cloud *, struct cloud_snapshot ***ret, size_t *ret_n, struct error *err) MUST_CHECK;
void cloud_snapshot_unpin(struct cloud_snapshot *);
const struct manifest *cloud_snapshot_manifest(const struct cloud_snapshot *);
/* Are dissections of it there, as far as is known? Those that other hubs add are seen at some later look. */
bool cloud_snapshot_is_dissected(struct cloud_snapshot *);
/* Changes with each change of what is there or of the status. For event streams. */
uint64_t cloud_version(struct cloud *);

#endif
