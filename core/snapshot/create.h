/* Creating a snapshot: windows are pulled from workers in parallel, into the hub's local storage.
 *
 * Each worker is asked to hold the window (its segments stay pinned meanwhile). Segments that lie wholly inside are taken as they are: by a
 * hard link if the worker's directory is on the same file system and is really the worker's (device and inode as it says), else over HTTP,
 * in ranges, so that a broken transfer goes on where it ended. Those at the ends of the window, and the one that is being written, come
 * trimmed. Bytes are hashed as they come, linked ones only if the worker has not done it yet. What a worker says of a segment is compared
 * with what came. A worker that is gone, stalls or lies makes its node Partial or Missing, with the reason; the others go on.
 *
 * One thread calls; transfers have threads of their own. Survives a crash: run again with the same id, it takes what is there and whole. */
#ifndef SNAPSHOT_CREATE_H
#define SNAPSHOT_CREATE_H

#include <stdatomic.h>

#include "snapshot/snapshots.h"

struct create_worker {
    const char *url, *token, *ca; /* as in net/http_client.h */
    const char *node;             /* its name, as it last said; NULL: not known yet */
};

struct create_request {
    const char *id, *name, *version;
    int64_t created_ns, start_ns, end_ns;
    const struct create_worker *workers;
    size_t worker_count;
    bool allow_partial;   /* else a window that a worker does not hold wholly fails at once (TD_E_CONFIG), saying what is there */
    unsigned parallel;    /* workers at once; 0: 8 */
    int64_t patience_ns;  /* a worker that gives nothing for so long is given up; 0: 60 s */
    const char *work_dir; /* for what comes in; on the local storage's file system */
    const atomic_bool *cancel;
    void (*progress)(void *ctx, uint64_t done_bytes, uint64_t all_bytes); /* [any thread, one at a time]; may be NULL */
    void *ctx;
};

/* What the workers hold of it, and about how many bytes it will take, without taking anything. */
struct create_estimate {
    uint64_t bytes, packets;
    int64_t oldest_ns, newest_ns;   /* covered by all of those asked; oldest > newest: by none */
    size_t whole, partial, missing; /* nodes */
};
int create_estimate(const struct create_request *, struct create_estimate *ret, struct error *err) MUST_CHECK;

/* Makes the snapshot. TD_OK: it is there, though maybe with nodes that are partial or missing: ask its manifest; also if it was there
 * already, made by an earlier run with this id. TD_E_LIMIT: no room. TD_E_EXISTS: the name is in use. TD_E_CONFIG: the window is not there.
 * TD_E_RETRY: no worker could be reached. After a failure nothing of it is left, except after TD_E_CANCELLED: what came stays for another
 * run with this id, until create_clean(). */
int create_run(struct snapshots *, const struct create_request *, struct error *err) MUST_CHECK;
/* Removes what runs with this id have left, in `work_dir` and in storage; of a snapshot that is there, only the former. */
int create_clean(struct snapshots *, const char *work_dir, const char *id, struct error *err) MUST_CHECK;

#endif
