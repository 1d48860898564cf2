/* Moving a snapshot between local storage and the cloud, and removing it there: what jobs do.
 *
 * Each can be interrupted at any instant, also by kill -9, and run again with the same work directory: what is there is not sent again.
 * Where it was is kept in <work_dir>/<id>.upload/ and <work_dir>/<id>.download/. Failures that pass are tried again (cloud/retry.h); a
 * transfer that fails for good, or is cancelled, must be cleaned up by its clean function, one that is to be resumed must not. TD_E_RETRY:
 * the cloud did not answer for as long as patience reaches, or the same snapshot is on its way in the same direction already. */
#ifndef CLOUD_TRANSFER_H
#define CLOUD_TRANSFER_H

#include "cloud/cloud.h"

struct transfer {
    const atomic_bool *cancel;
    void (*progress)(void *ctx, uint64_t done, uint64_t all); /* bytes; any thread, one at a time */
    void *ctx;
};

struct transfer_result {
    uint64_t objects, bytes;           /* of the snapshot, with its manifest and dissections */
    uint64_t sent_objects, sent_bytes; /* that had to be sent: less than that if something was there */
    unsigned retries;
};

/* All objects, dissections that are there now among them; then it looks whether all are there with their sizes, and sends what is missing
 * (another hub may have given up the same snapshot meanwhile); then the manifest; then looks once more. TD_E_EXISTS: another snapshot has
 * this id there. A snapshot that is there already: only what is missing, perhaps new dissections. */
int cloud_upload(struct cloud *, struct snapshot *, const struct transfer *, struct transfer_result *ret, struct error *err) MUST_CHECK;
/* Removes what was sent, unless the snapshot is there. With a transfer it waits for the cloud as long as that takes; without, it gives up
 * soon, for somebody waits. TD_E_EXISTS: another hub has ended its upload of the same snapshot while objects were removed, so that some may
 * be missing: upload it once more. */
int cloud_clean_upload(struct cloud *, const char *id, const struct transfer *, struct error *err) MUST_CHECK;

/* Into local storage: room is reserved, objects come in ranges, at most `parallel` at once, into files of the work directory, are compared
 * with the manifest's sums, and become objects; then the snapshot is added. TD_E_NOT_FOUND: it is not there; TD_E_EXISTS: its id or name is
 * here; TD_E_LIMIT: no room; TD_E_CORRUPT: what is there is damaged, says which object. Dissections that cannot be had are left out. Run
 * again after it was killed at its very end it may find nothing more to do: TD_E_EXISTS, and the id is here. */
int cloud_download(struct cloud *, struct snapshots *, const char *id, const struct transfer *, struct transfer_result *ret,
                   struct error *err) MUST_CHECK;
int cloud_clean_download(struct cloud *, struct snapshots *, const char *id, struct error *err) MUST_CHECK;

/* The manifest first, then the rest, many at once; what unfinished uploads left there as well. TD_OK if there is none. May be run again. */
int cloud_remove(struct cloud *, const char *id, const struct transfer *, struct error *err) MUST_CHECK;
/* Reads every object there and compares it with the manifest, as snapshot_verify() does. */
int cloud_verify(struct cloud *, const char *id, const struct transfer *, void (*told)(void *ctx, const char *key, const char *what),
                 struct error *err) MUST_CHECK;

#endif
