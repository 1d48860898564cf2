/* Jobs: long work with state, progress and cancel, journalled in the hub's database, so that a restart finds them.
 *
 * A kind of job is a function that runs in a thread of its own, a few at once (each kind has its bound), first come first served. It is
 * told whether it runs for the first time or again after the hub was interrupted; it resumes or starts over, and leaves nothing behind when
 * it fails. One during which the hub was gone JOBS_MAX_CRASHES times, without coming further than before, fails. Any thread. */
#ifndef HUB_JOBS_H
#define HUB_JOBS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/error.h"

struct jobs;
struct job; /* one that runs */

enum job_state { JOB_PENDING, JOB_RUNNING, JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED };
enum { JOB_ID = 40, JOB_KIND = 32, JOB_SUBJECT = 300, JOB_MAX_REQUEST = 1 << 20, JOBS_MAX_WAITING = 1000, JOBS_MAX_CRASHES = 8 };

struct job_kind {
    const char *name; /* "create", "dissect", "verify", "import" */
    unsigned at_once; /* at least 1 */
    bool resumes;     /* false: one that a restart interrupted becomes Failed, after clean() */
    /* [its own thread, which takes no signals] TD_OK, or why it failed. `request` is what jobs_submit() was given; `result` is JSON for
     * those who ask, or nothing; it is kept if it failed, too.
     */
    int (*run)(void *ctx, struct job *, struct td_slice request, bool again, struct buf *result, struct error *err);
    /* [its thread] After failing, being cancelled, or an interruption of one that cannot resume: removes what it left. May be NULL. */
    void (*clean)(void *ctx, const char *subject, struct td_slice request);
    void *ctx;
    bool always_clean; /* also one that is cancelled before it ran: whoever asked for it has put something there for it */
};

/* `path`: the database, made if it is not there. One that is damaged is moved aside, and told by jobs_note(). TD_E_EXISTS: another hub has
 * it. The kinds are copied, but not what they point to. */
int jobs_open(const char *path, const struct job_kind *kinds, size_t n, struct jobs **ret, struct error *err) MUST_CHECK;
/* What people should know about the database: a line, or "". */
const char *jobs_note(const struct jobs *);
/* Begins to work. Between jobs_open() and this, jobs_each() tells what an earlier run of the hub left. */
int jobs_start(struct jobs *, struct error *err) MUST_CHECK;
/* Asks what runs to stop, and begins nothing any more: before what jobs wait for is told to stop, so that they know why. */
void jobs_stop(struct jobs *);
/* Asks what runs to stop, waits, and closes. What was running is resumed by the next start. jobs_wait() returns at once, and nobody may
 * come any more. */
void jobs_close(struct jobs *);

/* Ends all jobs_wait(), also later ones; before the threads that wait are joined. */
void jobs_wake(struct jobs *);

/* Durable when it returns. `subject`: what it works on, "snapshot" or "snapshot/dissection"; two unfinished jobs of one kind and subject
 * cannot be (TD_E_EXISTS). TD_E_LIMIT: the disk is full, or JOBS_MAX_WAITING are unfinished. */
int jobs_submit(struct jobs *, const char *kind, const char *subject, struct td_slice request, char ret_id[JOB_ID],
                struct error *err) MUST_CHECK;
/* TD_OK: it will end, or has come to its end meanwhile; TD_E_NOT_FOUND; TD_E_EXISTS: it had ended before. */
int jobs_cancel(struct jobs *, const char *id, struct error *err) MUST_CHECK;

struct job_status {
    char id[JOB_ID], kind[JOB_KIND], subject[JOB_SUBJECT];
    enum job_state state;
    uint64_t done, all;                          /* units of progress (bytes); all 0: not known yet */
    int64_t created_ns, started_ns, finished_ns; /* 0: not yet */
    unsigned attempts;
    char error[512]; /* why it failed, or why one that is pending cannot begin; "": nothing is wrong */
    char code[32];   /* its stable name, as in problems */
};

/* TD_E_NOT_FOUND. */
int jobs_status(struct jobs *, const char *id, struct job_status *ret, struct error *err) MUST_CHECK;
/* Appends the request or the result as it was given. */
int jobs_request(struct jobs *, const char *id, struct buf *ret, struct error *err) MUST_CHECK;
int jobs_result(struct jobs *, const char *id, struct buf *ret, struct error *err) MUST_CHECK;
const char *job_state_name(enum job_state); /* "running" */
/* Newest first, as they were at one moment; only of this kind or subject if one is given. Non-zero from `each` ends it and is returned.
 * Finished ones are kept for a week, at most 1000. */
int jobs_each(struct jobs *, const char *kind, const char *subject, int (*each)(void *ctx, const struct job_status *), void *ctx,
              struct error *err) MUST_CHECK;
/* Waits until something has changed behind `version` (0: anything), or for so long; returns the new version. For event streams. Progress
 * counts as a change a few times a second. */
uint64_t jobs_wait(struct jobs *, uint64_t version, int64_t timeout_ns);

/* ---- While it runs: the thread of the job ---- */

const char *job_id(const struct job *);
const char *job_subject(const struct job *);
void job_progress(struct job *, uint64_t done, uint64_t all); /* cheap; [any thread] */
const atomic_bool *job_cancelled(const struct job *);
bool job_stops_for_restart(const struct job *); /* the hub ends: keep what can be resumed, and return TD_E_CANCELLED */

#endif
