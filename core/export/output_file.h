/* A file that appears under its name only when it is whole.
 *
 * Until then its bytes are in a file without a name in the same folder (or, where the file system has no such thing, in
 * NAME.tmp-PID), so that a failure or a kill leaves what stood there before. Standard output, pipes and devices are
 * written as they are. */
#ifndef EXPORT_OUTPUT_FILE_H
#define EXPORT_OUTPUT_FILE_H

#include "base/error.h"

struct output_file {
    int fd;
    bool direct;     /* standard output, a pipe or a device */
    char *path;      /* what it will be called */
    char *temporary; /* its name until then */
    bool named;      /* `temporary` exists */
};

/* "-" is standard output. */
int output_file_open(struct output_file *f, const char *path, struct error *err) MUST_CHECK;
/* All of it, or an error that says why and how much room there was. */
int output_file_write(struct output_file *f, struct td_slice bytes, struct error *err) MUST_CHECK;
/* Takes back all that was written. False: it is standard output, a pipe or a device, and was seen by others. */
bool output_file_rewind(struct output_file *f);
/* Gives it its name and closes. */
int output_file_commit(struct output_file *f, struct error *err) MUST_CHECK;
/* Throws it away and closes; also after a failed open or commit. */
void output_file_abort(struct output_file *f);

#endif
