/* The files that an import makes: within its room, hashed as they are written. Only for the files of importing. */
#ifndef SNAPSHOT_IMPORT_FILES_H
#define SNAPSHOT_IMPORT_FILES_H

#include "capture/segment_index.h"
#include "snapshot/import.h"
#include "snapshot/sha256.h"

struct import_files {
    const struct import_request *request;
    int dir_fd;       /* of the work directory */
    uint64_t written; /* bytes of all files */
    uint64_t reserved;
    struct sha256 *sha256;
    /* The file at hand. */
    int fd; /* -1: none */
    uint64_t bytes;
};

int import_files_init(struct import_files *, const struct import_request *, struct error *err) MUST_CHECK;
void import_files_clear(struct import_files *);
bool import_is_cancelled(const struct import_files *);

/* A new file in a folder of the work directory, which is made if it is not there. Both names must be safe; TD_E_CORRUPT: it is there
 * already. */
int import_file_open(struct import_files *, const char *folder, const char *name, struct error *err) MUST_CHECK;
/* TD_E_LIMIT: no room. */
int import_file_write(struct import_files *, struct td_slice bytes, struct error *err) MUST_CHECK;
/* The descriptor stays open, for reading as well, until import_file_close(). */
int import_file_end(struct import_files *, uint8_t digest[SHA256_BYTES], struct error *err) MUST_CHECK;
void import_file_close(struct import_files *);

/* Writes the index of a segment, and fills `segment` from its summary; `data` of it is filled already. */
int import_index(struct import_files *, struct manifest *, const char *node, const struct notes *, const struct segment_summary *,
                 struct manifest_segment *segment, struct error *err) MUST_CHECK;

/* import_archive.c, import_capture.c; *ret is filled but for what both have in common. */
int import_archive(struct import_files *, struct import_result *ret, struct error *err) MUST_CHECK;
int import_captures(struct import_files *, struct import_result *ret, struct error *err) MUST_CHECK;
/* Is it a tar archive, whatever it is packed in? */
int import_is_archive(const char *path, bool *ret, struct error *err) MUST_CHECK;

#endif
