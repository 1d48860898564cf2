/* A snapshot as one file: a tar archive, compressed, that any tar opens and `snapshot import` takes back.
 *
 *     NAME/manifest.json              as the snapshot has it; first
 *     NAME/NODE/0000000042.pcapng     the segments, never compressed by themselves: what opens a pcapng opens them
 *     NAME/NODE/context.pcapng        names of addresses, where they are known; before the node's segments
 *     NAME/dissections/DEFAULT.calls  if they are asked for
 *     NAME/SHA256SUMS                 of all of these, as `sha256sum -c` reads it; last, for it is made on the way
 *
 * Indexes stay behind: they are made anew. Written as a stream, without temporary files, in the memory of a few buffers. Every object is
 * compared with its digest in the manifest as it passes: a snapshot that is damaged becomes no archive. */
#ifndef SNAPSHOT_ARCHIVE_H
#define SNAPSHOT_ARCHIVE_H

#include <stdatomic.h>

#include "snapshot/manifest.h"
#include "snapshot/storage.h"

enum archive_packing { ARCHIVE_ZSTD, ARCHIVE_GZIP, ARCHIVE_PLAIN };

struct archive_request {
    struct storage *storage; /* where the snapshot is */
    const struct manifest *manifest;
    const char *const *dissections; /* by name */
    size_t dissection_count;
    enum archive_packing packing;
    int level; /* of compression; 0: the usual one */
    int (*write)(void *ctx, struct td_slice bytes, struct error *err);
    void (*progress)(void *ctx, uint64_t done, uint64_t all); /* bytes of objects; may be NULL */
    void *ctx;
    const atomic_bool *cancel; /* NULL: never */
};

/* ".tar.zst" ... */
const char *archive_suffix(enum archive_packing);
const char *archive_media_type(enum archive_packing);
/* After a failure the output is to be thrown away. One thread. */
int archive_write(const struct archive_request *, struct error *err) MUST_CHECK;

#endif
