/* The snapshots of a hub: those whose manifests lie in its local storage, and the room that they take.
 *
 * Kept in memory, loaded once at the start; storage is only asked again for what an operation needs. Any thread. */
#ifndef SNAPSHOT_SNAPSHOTS_H
#define SNAPSHOT_SNAPSHOTS_H

#include "snapshot/manifest.h"
#include "snapshot/storage.h"

struct snapshots;

/* Reads all manifests. Objects of no snapshot are removed, but for those of ids for which `is_busy` is true: jobs that will be resumed.
 * A manifest that cannot be read is told in the log and left alone, with its objects. `limit`: bytes. Outlived by `local`. */
int snapshots_open(struct storage *local, uint64_t limit, bool (*is_busy)(void *ctx, const char *id), void *ctx, struct snapshots **ret,
                   struct error *err) MUST_CHECK;
void snapshots_close(struct snapshots *);
struct storage *snapshots_storage(struct snapshots *);

/* A snapshot stays readable while it is pinned: deleting it waits for that, two seconds at most (TD_E_RETRY: it is in use). NULL: there is
 * none. */
struct snapshot;
struct snapshot *snapshots_pin(struct snapshots *, const char *name);
struct snapshot *snapshots_pin_id(struct snapshots *, const char *id);
void snapshot_unpin(struct snapshot *);
const struct manifest *snapshot_manifest(const struct snapshot *); /* as long as it is pinned */
struct storage *snapshot_storage(const struct snapshot *);         /* where it lies, below its id */
/* All, by creation, newest first, each pinned; mem_free(*ret). */
int snapshots_pin_all(struct snapshots *, struct snapshot ***ret, size_t *ret_n, struct error *err) MUST_CHECK;

/* Room: every byte that is going to be written is reserved first. TD_E_LIMIT: says how much there is, and what to do. */
int snapshots_reserve(struct snapshots *, uint64_t bytes, struct error *err) MUST_CHECK;
/* The same for bytes that are there already, whether there is room for them or not. */
void snapshots_take(struct snapshots *, uint64_t bytes);
void snapshots_release(struct snapshots *, uint64_t bytes);
struct snapshots_room {
    uint64_t limit, used, reserved;
};
void snapshots_room(struct snapshots *, struct snapshots_room *ret);
/* From now on so many bytes are allowed. Less than what is there removes nothing; until it fits again, nothing can be reserved. */
void snapshots_set_limit(struct snapshots *, uint64_t bytes);

/* The manifest is written, and with it the snapshot is there; takes the manifest over when it succeeds. The bytes of its objects were
 * reserved by the caller and count as used from now on. TD_E_EXISTS: a snapshot of this name, or of this id. TD_E_INTERNAL: a manifest that
 * manifest_read() would refuse. */
int snapshots_add(struct snapshots *, struct manifest *, struct error *err) MUST_CHECK;
/* The same with dissections that are there already, of so many bytes, also reserved by the caller. */
int snapshots_add_with(struct snapshots *, struct manifest *, uint64_t dissection_bytes, struct error *err) MUST_CHECK;
/* The manifest goes first, so that it is gone or there. TD_E_NOT_FOUND, TD_E_RETRY. */
int snapshots_delete(struct snapshots *, const char *name, struct error *err) MUST_CHECK;
/* Is there one of this id, or of this name, or is one being added? */
bool snapshots_has_id(struct snapshots *, const char *id);
bool snapshots_has_name(struct snapshots *, const char *name);
/* Removes everything below an id. TD_E_EXISTS: it is that of a snapshot. */
int snapshots_clean(struct snapshots *, const char *id, struct error *err) MUST_CHECK;

/* Reads every object again and compares size and SHA-256, and the manifest with what is in memory. `progress` may stop it (false:
 * TD_E_CANCELLED) and may be NULL. TD_E_CORRUPT names the first that differs or is missing; `told` is called for each that does, and may be
 * NULL. */
int snapshot_verify(struct snapshot *, bool (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void (*told)(void *ctx, const char *key, const char *what), void *ctx, struct error *err) MUST_CHECK;

/* Besides packets a snapshot carries dissections, as <id>/dissections/<name>.calls; they are no part of the manifest.
 * Their names are as those of snapshots. Adding one replaces what had its name; its bytes were reserved by the caller and count as used
 * from now on. Removing: TD_E_NOT_FOUND. Paths and lists are those of storage. */
int snapshot_add_dissection(struct snapshot *, const char *name, int dir_fd, const char *file, struct error *err) MUST_CHECK;
int snapshot_remove_dissection(struct snapshot *, const char *name, struct error *err) MUST_CHECK;
bool snapshot_dissection_path(struct snapshot *, const char *name, char out[STORAGE_MAX_PATH]);
typedef int snapshot_dissection_fn(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns);
int snapshot_list_dissections(struct snapshot *, snapshot_dissection_fn *each, void *ctx, struct error *err) MUST_CHECK;

#endif
