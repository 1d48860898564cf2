/* The database of jobs: an SQLite file with a row a job.
 *
 * It keeps a rollback journal that stays on the disk, and pages that nothing uses: so that, when the disk is full, what jobs come to can
 * still be written. Only one process has it open. For jobs.c; one thread at a time. */
#ifndef HUB_JOBS_DB_H
#define HUB_JOBS_DB_H

#include "hub/jobs.h"

struct jobs_db;

struct jobs_row {
    int64_t number; /* ascends */
    struct job_status status;
    bool cancel_asked; /* of one that had begun: it does not go on after a restart */
    unsigned crashes;  /* times that the hub was gone while it ran, since it came further than ever */
};

enum { JOBS_NOTE = 512 };

/* Makes it if it is not there. A file that is damaged is moved aside, and `note` says so; it is "" otherwise. TD_E_EXISTS: another process
 * has it; TD_E_UNSUPPORTED: written by a newer program; TD_E_CORRUPT: something else's file, which is left alone. */
int jobs_db_open(const char *path, struct jobs_db **ret, char note[JOBS_NOTE], struct error *err) MUST_CHECK;
void jobs_db_close(struct jobs_db *);

/* All rows, the oldest first. */
int jobs_db_each(struct jobs_db *, int (*each)(void *ctx, const struct jobs_row *, struct error *), void *ctx,
                 struct error *err) MUST_CHECK;
/* Durable when these return. */
int jobs_db_insert(struct jobs_db *, const struct job_status *, struct td_slice request, int64_t *ret_number, struct error *err) MUST_CHECK;
/* `result` may be NULL: as it was. TD_E_LIMIT: the disk is full. */
int jobs_db_update(struct jobs_db *, const struct jobs_row *, const struct td_slice *result, struct error *err) MUST_CHECK;
int jobs_db_remove(struct jobs_db *, const int64_t *numbers, size_t n, struct error *err) MUST_CHECK;
/* Appends what was given. TD_E_NOT_FOUND. */
int jobs_db_request(struct jobs_db *, int64_t number, struct buf *ret, struct error *err) MUST_CHECK;
int jobs_db_result(struct jobs_db *, int64_t number, struct buf *ret, struct error *err) MUST_CHECK;

#endif
