/* Importing: an archive of a snapshot (archive.h), or foreign captures, become the objects of a snapshot, in a folder, with its manifest.
 *
 * What comes is hostile. No name from an archive becomes a path: files are named by the node and the number that they stand for, in a
 * folder that was empty. Whatever is neither a file nor a folder is refused, as is more than `max_bytes`, however well it was compressed.
 * Every file must be as SHA256SUMS says, and every segment as the manifest says; indexes are made here. Of captures, packets, the names
 * of interfaces and those of addresses are taken over; comments of packets and secrets for decryption are not.
 *
 *     <work_dir>/<node>/0000000042.pcapng, .idx
 *     <work_dir>/<node>/context.pcapng
 *     <work_dir>/dissections/<name>.calls
 *
 * One thread. */
#ifndef SNAPSHOT_IMPORT_H
#define SNAPSHOT_IMPORT_H

#include <stdatomic.h>

#include "snapshot/manifest.h"

enum { IMPORT_MAX_DISSECTIONS = 1024 };

struct import_request {
    const char *const *paths; /* one archive; or captures (pcap, pcapng, also compressed), in the order of their packets */
    size_t path_count;
    const char *name; /* of the snapshot; NULL: that of the archive */
    const char *node; /* of captures; NULL: "imported" */
    const char *version;
    int64_t now_ns;
    const char *work_dir; /* exists and is empty */
    uint64_t max_bytes;   /* of all files that are written; 0: no limit */
    /* Room for so many more bytes of files, asked for before they are written, some MiB at once; NULL: nobody is asked. What is there after
     * all is the caller's to release. */
    int (*reserve)(void *ctx, uint64_t bytes, struct error *err);
    uint64_t segment_bytes; /* captures are split into segments of so many bytes; 0: 64 MiB */
    const atomic_bool *cancel;
    void (*progress)(void *ctx, uint64_t done, uint64_t all); /* bytes of the input; all 0: unknown. May be NULL */
    void *ctx;
};

struct import_result {
    struct manifest *manifest; /* with a new id; its keys are paths below the work directory. manifest_free() */
    char (*dissections)[MANIFEST_NAME];
    size_t dissection_count;
};

/* TD_E_CORRUPT: damaged, cut, or not what its manifest says. TD_E_UNSUPPORTED: neither an archive nor a capture. TD_E_LIMIT: more than
 * there is room for. After a failure files may be left in the work directory. */
int import_run(const struct import_request *, struct import_result *ret, struct error *err) MUST_CHECK;
void import_result_clear(struct import_result *);

#endif
