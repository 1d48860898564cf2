/* States of jobs, and the threads that run them.
 *
 * What changes a job's state holds the database's lock from reading the state until the new one is written and known, so that changes
 * follow each other in the file as in memory. The inner lock is for memory alone and is never held while the disk is waited for: asking
 * for states does not wait for a slow disk. Order: db_lock, lock. */
#include "base/clock.h"
#include "hub/jobs.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/jobs_db.h"

enum {
    TELL_NS = 200 * NS_PER_MS, /* progress is told so often ... */
    SAVE_S = 5,                /* ... and written so often */
    RETRY_S = 1,               /* what could not be written is tried again */
    KEEP_S = 7 * 24 * 3600,
    KEEP_MOST = 1000,
    KEEP_YOUNG_S = 600,
    PRUNE_S = 60,
    PRUNE_AT_ONCE = 256
};

/* What becomes of one that an earlier run of the hub began. */
enum job_fate { FATE_RUN, FATE_INTERRUPTED, FATE_CRASHES, FATE_UNKNOWN_KIND };

struct job {
    struct jobs *jobs;
    struct job *newer, *older;   /* under lock, as all of these: */
    struct jobs_row row;         /* what is known; `done` and `all` of one that runs are below */
    const struct job_kind *kind; /* NULL: of a kind that this version does not know */
    size_t kind_index;
    enum job_fate fate;
    bool threaded, ended; /* has a thread; it is about to return */
    bool unsaved;         /* its end could not be written yet */
    pthread_t thread;
    struct buf result; /* until it is written */
    uint64_t told_done;
    uint64_t saved_done; /* the furthest that this run or an earlier one came, as it is written */

    atomic_bool cancel;
    _Atomic uint64_t done, all;
    _Atomic int64_t tell_ns; /* progress is told again from then on */
};

struct jobs {
    struct job_kind *kinds;
    unsigned *running; /* by kind */
    size_t kind_count;
    char note[JOBS_NOTE];

    pthread_mutex_t db_lock;
    struct jobs_db *db;

    pthread_mutex_t lock; /* for these, and the jobs: */
    pthread_cond_t work, changed;
    struct job *newest, *oldest;
    size_t unfinished;
    uint64_t version;
    bool woken;
    bool further;   /* one with crashes came further than ever: that is written at once, for the next crash may be near */
    int64_t try_ns; /* nothing begins before this time, monotonic */

    atomic_bool stopping;
    pthread_t scheduler;
    bool started;
};

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static bool finished(const struct job *j)
{
    return j->row.status.state > JOB_RUNNING;
}

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {"pending", "running", "completed", "failed", "cancelled"};
    return names[state];
}

/* As problems have it, see net/http_server.h. */
static const char *code_of(int status)
{
    switch (status) {
    case TD_E_CONFIG: return "invalid_request";
    case TD_E_DENIED: return "not_allowed";
    case TD_E_NOT_FOUND: return "not_found";
    case TD_E_EXISTS: return "exists";
    case TD_E_UNSUPPORTED: return "not_supported";
    case TD_E_NOMEM: return "out_of_memory";
    case TD_E_LIMIT: return "limit_reached";
    case TD_E_RETRY: return "temporary_failure";
    case TD_E_CANCELLED: return "cancelled";
    case TD_E_CORRUPT: return "corrupt_data";
    default: return "internal_error";
    }
}

/* ---- The list; with the lock held ---- */

static void tell_change(struct jobs *js)
{
    js->version++;
    pthread_cond_broadcast(&js->changed);
}

static void append(struct jobs *js, struct job *j)
{
    j->older = js->newest;
    if (js->newest)
        js->newest->newer = j;
    else
        js->oldest = j;
    js->newest = j;
    js->unfinished += !finished(j);
}

static void unlink_job(struct jobs *js, struct job *j)
{
    if (j->newer)
        j->newer->older = j->older;
    else
        js->newest = j->older;
    if (j->older)
        j->older->newer = j->newer;
    else
        js->oldest = j->newer;
}

static void free_job(struct job *j)
{
    buf_clear(&j->result);
    mem_free(j);
}

static struct job *find(struct jobs *js, const char *id)
{
    for (struct job *j = js->newest; j; j = j->older)
        if (strcmp(j->row.status.id, id) == 0)
            return j;
    return NULL;
}

static struct job_status status_of(const struct job *j)
{
    struct job_status s = j->row.status;
    if (s.state == JOB_RUNNING) {
        s.done = atomic_load(&j->done);
        s.all = atomic_load(&j->all);
    }
    return s;
}

/* ---- Changing states; with db_lock held ---- */

/* The new row becomes what is known. */
static void apply(struct job *j, const struct jobs_row *row, bool saved)
{
    struct jobs *js = j->jobs;
    pthread_mutex_lock(&js->lock);
    struct job_status *to = &j->row.status;
    const struct job_status *from = &row->status;
    bool was_finished = finished(j);
    to->state = from->state; /* what never changes is read without the lock */
    to->done = from->done;
    to->all = from->all;
    to->started_ns = from->started_ns;
    to->finished_ns = from->finished_ns;
    to->attempts = from->attempts;
    memcpy(to->error, from->error, sizeof(to->error));
    memcpy(to->code, from->code, sizeof(to->code));
    j->row.cancel_asked = row->cancel_asked;
    j->unsaved = !saved;
    if (finished(j) && !was_finished)
        js->unfinished--;
    tell_change(js);
    pthread_cond_signal(&js->work);
    pthread_mutex_unlock(&js->lock);
}

static struct jobs_row row_of(struct job *j)
{
    pthread_mutex_lock(&j->jobs->lock);
    struct jobs_row row = j->row;
    row.status = status_of(j);
    pthread_mutex_unlock(&j->jobs->lock);
    return row;
}

/* Its end is known even if it cannot be written now: that is tried until it succeeds. */
static void end_job(struct job *j, const struct jobs_row *row)
{
    struct error why;
    const struct td_slice result = buf_slice(&j->result);
    int status = jobs_db_update(j->jobs->db, row, j->result.n ? &result : NULL, &why);
    if (status == TD_OK)
        buf_clear(&j->result);
    else
        log_event(TD_LOG_WARN, "hub", "the end of job %s cannot be written yet: %s", row->status.id, why.text);
    apply(j, row, status == TD_OK);
}

/* ---- A job's thread ---- */

/* Pending again: the next start of the hub goes on with it. */
static void put_back(struct job *j)
{
    struct error why;
    struct jobs_row row = row_of(j);
    row.status.state = JOB_PENDING;
    if (jobs_db_update(j->jobs->db, &row, NULL, &why) != TD_OK)
        log_event(TD_LOG_WARN, "hub", "job %s was stopped for now; to the next start it will seem to have been interrupted: %s",
                  row.status.id, why.text);
    apply(j, &row, true);
}

static void set_failure(struct job_status *s, const struct error *err)
{
    snprintf(s->error, sizeof(s->error), "%.*s", (int)sizeof(s->error) - 1, err->text);
    snprintf(s->code, sizeof(s->code), "%s", code_of(err->status));
}

static void finish(struct job *j, int status, const struct error *err)
{
    struct jobs_row row = row_of(j);
    struct job_status *s = &row.status;
    s->finished_ns = clock_ns(CLOCK_REALTIME);
    s->state = status == TD_OK ? JOB_COMPLETED : status == TD_E_CANCELLED && row.cancel_asked ? JOB_CANCELLED : JOB_FAILED;
    if (s->state == JOB_FAILED)
        set_failure(s, err);
    if (s->state == JOB_COMPLETED && s->all)
        s->done = s->all;
    end_job(j, &row);
    if (s->state == JOB_FAILED)
        log_event(TD_LOG_WARN, "hub", "job %s, %s %s, failed: %s", s->id, s->kind, s->subject, s->error);
    else
        log_event(TD_LOG_INFO, "hub", "job %s, %s %s: %s", s->id, s->kind, s->subject, job_state_name(s->state));
}

static int interrupted(struct error *err)
{
    return error_set(err, TD_E_RETRY, "the hub ended while it ran, and it cannot be resumed; start it again");
}

/* What it comes to without running, or TD_OK: it is to run. */
static int check_fate(struct job *j, struct error *err)
{
    switch (j->fate) {
    case FATE_INTERRUPTED: return interrupted(err);
    case FATE_CRASHES:
        return error_set(err, TD_E_INTERNAL, "the hub was gone %d times while it ran; it is not tried again", JOBS_MAX_CRASHES);
    case FATE_UNKNOWN_KIND: return error_set(err, TD_E_UNSUPPORTED, "this version of tapedeck does not know jobs of this kind");
    default: return TD_OK;
    }
}

/* A cancelled or doomed one only cleans up. `again`: it had begun before. *ret_goes_on: the hub ends, and its next start goes on with it.
 */
static int run_job(struct job *j, bool again, bool cancelled, bool *ret_goes_on, struct error *err)
{
    struct jobs *js = j->jobs;
    struct buf request, result;
    buf_init(&request, 0);
    buf_init(&result, JOB_MAX_REQUEST);
    pthread_mutex_lock(&js->db_lock);
    int status = jobs_db_request(js->db, j->row.number, &request, err);
    pthread_mutex_unlock(&js->db_lock);
    if (status == TD_OK && cancelled)
        status = error_set(err, TD_E_CANCELLED, "cancelled");
    if (status == TD_OK)
        status = check_fate(j, err);
    if (status == TD_OK)
        status = j->kind->run(j->kind->ctx, j, buf_slice(&request), again, &result, err);
    if (result.failed)
        log_event(TD_LOG_WARN, "hub", "the result of job %s is too long; it is not kept", j->row.status.id);
    pthread_mutex_lock(&js->lock);
    bool stopped = status == TD_E_CANCELLED && !j->row.cancel_asked && atomic_load(&js->stopping);
    *ret_goes_on = stopped && j->kind->resumes;
    if (!*ret_goes_on && !result.failed) {
        j->result = result;
        result = (struct buf){0};
    }
    pthread_mutex_unlock(&js->lock);
    if (status != TD_OK && !*ret_goes_on && j->kind && j->kind->clean)
        j->kind->clean(j->kind->ctx, j->row.status.subject, buf_slice(&request));
    if (stopped && !*ret_goes_on)
        status = interrupted(err);
    buf_clear(&request);
    buf_clear(&result);
    return status;
}

static void *job_main(void *arg)
{
    struct job *j = arg;
    struct jobs *js = j->jobs;
    struct error err = {.text = ""};
    pthread_mutex_lock(&js->lock);
    bool again = j->row.status.attempts > 1, cancelled = j->row.cancel_asked, goes_on;
    pthread_mutex_unlock(&js->lock);
    int status = run_job(j, again, cancelled, &goes_on, &err);
    pthread_mutex_lock(&js->db_lock);
    if (goes_on)
        put_back(j);
    else
        finish(j, status, &err);
    pthread_mutex_unlock(&js->db_lock);
    malloc_trim(0); /* it may have taken much, and a hub is idle most of the time */
    pthread_mutex_lock(&js->lock);
    j->ended = true;
    pthread_cond_signal(&js->work);
    pthread_mutex_unlock(&js->lock);
    return NULL;
}

/* ---- The scheduler ---- */

/* All signals are for others. */
static int make_thread(pthread_t *ret, void *(*main)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = pthread_create(ret, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failure;
}

/* [lock held] What only has to be cleaned up waits for nobody. */
static bool can_begin(const struct jobs *js, const struct job *j)
{
    if (j->row.status.state != JOB_PENDING || j->threaded)
        return false;
    return j->fate != FATE_RUN || j->row.cancel_asked || js->running[j->kind_index] < js->kinds[j->kind_index].at_once;
}

/* [lock held] The oldest that can; NULL: none. */
static struct job *next_job(struct jobs *js)
{
    if (js->try_ns > clock_ns(CLOCK_MONOTONIC))
        return NULL;
    for (struct job *j = js->oldest; j; j = j->newer)
        if (can_begin(js, j))
            return j;
    return NULL;
}

static void wait_to_begin(struct job *j, const struct error *why)
{
    struct jobs *js = j->jobs;
    pthread_mutex_lock(&js->lock);
    if (j->row.status.error[0] == '\0')
        log_event(TD_LOG_WARN, "hub", "job %s cannot begin yet: %s", j->row.status.id, why->text);
    set_failure(&j->row.status, why);
    js->try_ns = clock_ns(CLOCK_MONOTONIC) + RETRY_S * (int64_t)NS_PER_S;
    tell_change(js);
    pthread_mutex_unlock(&js->lock);
}

/* That it runs is written before it runs: whatever it leaves is found by a later start. */
static void begin_job(struct job *j)
{
    struct jobs *js = j->jobs;
    struct error err;
    pthread_mutex_lock(&js->db_lock);
    struct jobs_row row = row_of(j);
    if (row.status.state != JOB_PENDING) { /* cancelled meanwhile */
        pthread_mutex_unlock(&js->db_lock);
        return;
    }
    const struct jobs_row before = row;
    row.status.state = JOB_RUNNING;
    row.status.attempts += j->fate == FATE_RUN && !row.cancel_asked;
    row.status.error[0] = row.status.code[0] = '\0';
    if (!row.status.started_ns)
        row.status.started_ns = clock_ns(CLOCK_REALTIME);
    int status = jobs_db_update(js->db, &row, NULL, &err);
    if (status == TD_OK) {
        atomic_store(&j->done, row.status.done);
        atomic_store(&j->all, row.status.all);
        apply(j, &row, true); /* its end is not written before we give up db_lock */
        int failure = make_thread(&j->thread, job_main, j);
        if (failure) {
            status = error_set(&err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure));
            apply(j, &before, true);
        }
    }
    pthread_mutex_lock(&js->lock);
    j->threaded = status == TD_OK;
    if (j->threaded && j->kind)
        js->running[j->kind_index]++;
    pthread_mutex_unlock(&js->lock);
    if (status != TD_OK)
        wait_to_begin(j, &err);
    pthread_mutex_unlock(&js->db_lock);
}

/* [lock held, given up meanwhile] Threads that have returned. `all`: waits for those that have not. */
static void join_ended(struct jobs *js, bool all)
{
    for (struct job *j = js->oldest; j; j = j->newer) {
        if (!j->threaded || !(j->ended || all))
            continue;
        pthread_mutex_unlock(&js->lock);
        pthread_join(j->thread, NULL); /* nobody but this thread takes jobs out of the list */
        pthread_mutex_lock(&js->lock);
        j->threaded = false;
        if (j->kind)
            js->running[j->kind_index]--;
    }
}

static void save_unsaved(struct jobs *js)
{
    pthread_mutex_lock(&js->lock);
    struct job *j = js->oldest;
    while (j && !j->unsaved)
        j = j->newer;
    pthread_mutex_unlock(&js->lock);
    if (!j)
        return;
    pthread_mutex_lock(&js->db_lock);
    for (; j; j = j->newer) { /* new ones only come with the lock that we hold */
        if (!j->unsaved)
            continue;
        const struct jobs_row row = row_of(j);
        end_job(j, &row);
    }
    pthread_mutex_unlock(&js->db_lock);
}

/* One that came further than ever may be interrupted as often again. */
static void save_progress(struct jobs *js)
{
    struct error ignored;
    pthread_mutex_lock(&js->db_lock);
    for (struct job *j = js->oldest; j; j = j->newer) {
        if (j->row.status.state != JOB_RUNNING)
            continue;
        struct jobs_row row = row_of(j);
        row.crashes = 0;
        if (row.status.done <= j->saved_done || jobs_db_update(js->db, &row, NULL, &ignored) != TD_OK)
            continue;
        pthread_mutex_lock(&js->lock);
        j->saved_done = row.status.done;
        j->row.crashes = 0;
        pthread_mutex_unlock(&js->lock);
    }
    pthread_mutex_unlock(&js->db_lock);
}

static bool take_further(struct jobs *js)
{
    pthread_mutex_lock(&js->lock);
    bool further = js->further;
    js->further = false;
    pthread_mutex_unlock(&js->lock);
    return further;
}

/* The last step before a pause would not be told otherwise. */
static void tell_progress(struct jobs *js)
{
    bool any = false;
    pthread_mutex_lock(&js->lock);
    for (struct job *j = js->oldest; j; j = j->newer) {
        uint64_t done = atomic_load(&j->done);
        any |= j->row.status.state == JOB_RUNNING && j->told_done != done;
        j->told_done = done;
    }
    if (any)
        tell_change(js);
    pthread_mutex_unlock(&js->lock);
}

/* [lock held] Somebody may still want to know what became of one that has just ended, though it was begun long ago. */
static size_t choose_old(struct jobs *js, struct job **out)
{
    int64_t now = clock_ns(CLOCK_REALTIME);
    size_t n = 0, kept = 0;
    for (struct job *j = js->oldest; j; j = j->newer)
        kept += finished(j);
    for (struct job *j = js->oldest; j && n < PRUNE_AT_ONCE; j = j->newer) {
        int64_t age_s = (now - j->row.status.finished_ns) / NS_PER_S;
        bool old = age_s > KEEP_S || (kept > KEEP_MOST && age_s > KEEP_YOUNG_S) || kept > 2 * KEEP_MOST;
        if (!finished(j) || j->threaded || j->unsaved || !old)
            continue;
        out[n++] = j;
        kept--;
    }
    return n;
}

/* How many it has removed. */
static size_t prune(struct jobs *js)
{
    struct job *old[PRUNE_AT_ONCE];
    int64_t numbers[PRUNE_AT_ONCE];
    struct error err;
    pthread_mutex_lock(&js->db_lock);
    pthread_mutex_lock(&js->lock);
    size_t n = choose_old(js, old);
    pthread_mutex_unlock(&js->lock);
    for (size_t i = 0; i < n; i++)
        numbers[i] = old[i]->row.number;
    if (n && jobs_db_remove(js->db, numbers, n, &err) == TD_OK) {
        pthread_mutex_lock(&js->lock);
        for (size_t i = 0; i < n; i++)
            unlink_job(js, old[i]);
        tell_change(js);
        pthread_mutex_unlock(&js->lock);
        for (size_t i = 0; i < n; i++)
            free_job(old[i]);
    }
    pthread_mutex_unlock(&js->db_lock);
    return n;
}

/* [lock held] Sleeps until there is something to do; with nothing that runs, nearly for ever. */
static void wait_for_work(struct jobs *js)
{
    bool busy = false, ended = false;
    for (struct job *j = js->oldest; j; j = j->newer) {
        busy |= !finished(j) || j->unsaved;
        ended |= j->threaded && j->ended;
    }
    if (ended || next_job(js) || js->further || atomic_load(&js->stopping))
        return;
    const struct timespec until = timespec_of(clock_ns(CLOCK_MONOTONIC) + (busy ? RETRY_S : 3600) * (int64_t)NS_PER_S);
    pthread_cond_timedwait(&js->work, &js->lock, &until);
}

static void *schedule(void *arg)
{
    struct jobs *js = arg;
    int64_t save_ns = 0, prune_ns = 0;
    while (!atomic_load(&js->stopping)) {
        pthread_mutex_lock(&js->lock);
        wait_for_work(js);
        size_t before = js->unfinished;
        join_ended(js, false);
        struct job *j = atomic_load(&js->stopping) ? NULL : next_job(js);
        pthread_mutex_unlock(&js->lock);
        if (j) {
            begin_job(j);
            continue;
        }
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        save_unsaved(js);
        tell_progress(js);
        if (take_further(js) || (before && now_ns >= save_ns)) {
            save_progress(js);
            save_ns = now_ns + SAVE_S * (int64_t)NS_PER_S;
        }
        if (now_ns >= prune_ns) {
            bool more = prune(js) == PRUNE_AT_ONCE;
            prune_ns = more ? 0 : now_ns + PRUNE_S * (int64_t)NS_PER_S;
        }
    }
    return NULL;
}

/* ---- Opening and closing ---- */

static void find_kind(struct job *j)
{
    for (size_t i = 0; i < j->jobs->kind_count; i++)
        if (strcmp(j->jobs->kinds[i].name, j->row.status.kind) == 0) {
            j->kind = &j->jobs->kinds[i];
            j->kind_index = i;
        }
}

/* One that the last run of the hub has left running was interrupted by its end. */
static int load(void *ctx, const struct jobs_row *row, struct error *err)
{
    struct jobs *js = ctx;
    struct job *j = mem_calloc(1, sizeof(*j));
    if (!j)
        return error_nomem(err);
    j->jobs = js;
    j->row = *row;
    j->saved_done = row->status.done;
    find_kind(j);
    j->row.crashes += j->row.status.state == JOB_RUNNING;
    if (j->row.status.state == JOB_RUNNING)
        j->row.status.state = JOB_PENDING;
    if (!j->kind)
        j->fate = FATE_UNKNOWN_KIND;
    else if (j->row.status.attempts && !j->kind->resumes)
        j->fate = FATE_INTERRUPTED;
    else if (j->row.crashes >= JOBS_MAX_CRASHES)
        j->fate = FATE_CRASHES;
    append(js, j);
    return TD_OK;
}

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

int jobs_open(const char *path, const struct job_kind *kinds, size_t n, struct jobs **ret, struct error *err)
{
    struct jobs *js = mem_calloc(1, sizeof(*js));
    if (!js)
        return error_nomem(err);
    pthread_mutex_init(&js->db_lock, NULL);
    pthread_mutex_init(&js->lock, NULL);
    init_cond(&js->work);
    init_cond(&js->changed);
    js->version = 1;
    js->kind_count = n;
    js->kinds = mem_calloc(n, sizeof(*js->kinds));
    js->running = mem_calloc(n, sizeof(*js->running));
    int status = js->kinds && js->running ? TD_OK : error_nomem(err);
    for (size_t i = 0; i < n && status == TD_OK; i++)
        js->kinds[i] = kinds[i];
    if (status == TD_OK)
        status = jobs_db_open(path, &js->db, js->note, err);
    if (status == TD_OK)
        status = jobs_db_each(js->db, load, js, err);
    if (status == TD_OK)
        *ret = js;
    else
        jobs_close(js);
    return status;
}

int jobs_start(struct jobs *js, struct error *err)
{
    int failure = make_thread(&js->scheduler, schedule, js);
    js->started = !failure;
    return failure ? error_set(err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure)) : TD_OK;
}

void jobs_wake(struct jobs *js)
{
    pthread_mutex_lock(&js->lock);
    js->woken = true;
    pthread_cond_broadcast(&js->changed);
    pthread_mutex_unlock(&js->lock);
}

void jobs_stop(struct jobs *js)
{
    pthread_mutex_lock(&js->lock);
    atomic_store(&js->stopping, true);
    for (struct job *j = js->oldest; j; j = j->newer)
        atomic_store(&j->cancel, true);
    pthread_cond_signal(&js->work);
    pthread_mutex_unlock(&js->lock);
}

void jobs_close(struct jobs *js)
{
    if (!js)
        return;
    jobs_wake(js);
    jobs_stop(js);
    if (js->started) {
        pthread_join(js->scheduler, NULL);
        pthread_mutex_lock(&js->lock);
        for (struct job *j = js->oldest; j; j = j->newer) /* those that began since */
            atomic_store(&j->cancel, true);
        join_ended(js, true);
        pthread_mutex_unlock(&js->lock);
        save_unsaved(js);
    }
    for (struct job *j = js->oldest, *next; j; j = next) {
        next = j->newer;
        free_job(j);
    }
    jobs_db_close(js->db);
    mem_free(js->kinds);
    mem_free(js->running);
    pthread_cond_destroy(&js->work);
    pthread_cond_destroy(&js->changed);
    pthread_mutex_destroy(&js->lock);
    pthread_mutex_destroy(&js->db_lock);
    mem_free(js);
}

const char *jobs_note(const struct jobs *js)
{
    return js->note;
}

/* ---- Submitting and cancelling ---- */

/* "20261123T135641Z-1f3a9c04" */
static void make_id(int64_t now_ns, char out[JOB_ID])
{
    char time[24];
    struct tm tm;
    uint32_t random = 0;
    time_t s = (time_t)(now_ns / NS_PER_S);
    gmtime_r(&s, &tm);
    strftime(time, sizeof(time), "%Y%m%dT%H%M%SZ", &tm);
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (uint32_t)now_ns; /* unique keys are the database's business; this makes clashes rare */
    snprintf(out, JOB_ID, "%s-%08x", time, random);
}

/* [db_lock held] */
static int check_new(struct jobs *js, const struct job *j, struct error *err)
{
    int status = TD_OK;
    const struct job_status *s = &j->row.status;
    pthread_mutex_lock(&js->lock);
    if (js->unfinished >= JOBS_MAX_WAITING)
        status = error_set(err, TD_E_LIMIT, "%d jobs are waiting already; wait for some, or cancel them", JOBS_MAX_WAITING);
    for (struct job *o = js->newest; o && status == TD_OK; o = o->older)
        if (!finished(o) && o->kind == j->kind && strcmp(o->row.status.subject, s->subject) == 0)
            status = error_set(err, TD_E_EXISTS, "job %s is at it: %s %s", o->row.status.id, s->kind, s->subject);
    pthread_mutex_unlock(&js->lock);
    return status;
}

int jobs_submit(struct jobs *js, const char *kind, const char *subject, struct td_slice request, char ret_id[JOB_ID], struct error *err)
{
    if (strlen(subject) >= JOB_SUBJECT || strlen(kind) >= JOB_KIND || request.n > JOB_MAX_REQUEST)
        return error_set(err, TD_E_CONFIG, "a job's subject is at most %d bytes long, its request %d", JOB_SUBJECT - 1, JOB_MAX_REQUEST);
    struct job *j = mem_calloc(1, sizeof(*j));
    if (!j)
        return error_nomem(err);
    struct job_status *s = &j->row.status;
    j->jobs = js;
    s->created_ns = clock_ns(CLOCK_REALTIME);
    make_id(s->created_ns, s->id);
    snprintf(s->kind, sizeof(s->kind), "%s", kind);
    snprintf(s->subject, sizeof(s->subject), "%s", subject);
    find_kind(j);
    int status = j->kind ? TD_OK : error_set(err, TD_E_UNSUPPORTED, "there are no jobs of the kind \"%s\"", kind);
    pthread_mutex_lock(&js->db_lock);
    if (status == TD_OK)
        status = check_new(js, j, err);
    if (status == TD_OK)
        status = jobs_db_insert(js->db, s, request, &j->row.number, err);
    if (status == TD_OK) {
        memcpy(ret_id, s->id, JOB_ID);
        pthread_mutex_lock(&js->lock);
        append(js, j);
        tell_change(js);
        pthread_cond_signal(&js->work);
        pthread_mutex_unlock(&js->lock);
    } else {
        free_job(j);
    }
    pthread_mutex_unlock(&js->db_lock);
    return status;
}

/* [db_lock held] */
static int cancel(struct job *j, struct error *err)
{
    struct error why;
    struct jobs_row row = row_of(j);
    if (row.status.state > JOB_RUNNING)
        return error_set(err, TD_E_EXISTS, "job %s has ended: it is %s", row.status.id, job_state_name(row.status.state));
    row.cancel_asked = true;
    if (row.status.state == JOB_PENDING && row.status.attempts == 0 && !(j->kind && j->kind->always_clean)) { /* it has left nothing */
        row.status.state = JOB_CANCELLED;
        row.status.error[0] = row.status.code[0] = '\0';
        row.status.finished_ns = clock_ns(CLOCK_REALTIME);
        end_job(j, &row);
        return TD_OK;
    }
    if (jobs_db_update(j->jobs->db, &row, NULL, &why) != TD_OK)
        log_event(TD_LOG_WARN, "hub", "job %s is cancelled, but a restart will not know it: %s", row.status.id, why.text);
    pthread_mutex_lock(&j->jobs->lock);
    j->row.cancel_asked = true;
    atomic_store(&j->cancel, true);
    tell_change(j->jobs);
    pthread_cond_signal(&j->jobs->work);
    pthread_mutex_unlock(&j->jobs->lock);
    return TD_OK;
}

static int not_found(const char *id, struct error *err)
{
    return error_set(err, TD_E_NOT_FOUND, "there is no job %.64s", id);
}

int jobs_cancel(struct jobs *js, const char *id, struct error *err)
{
    pthread_mutex_lock(&js->db_lock); /* jobs stay in the list meanwhile */
    pthread_mutex_lock(&js->lock);
    struct job *j = find(js, id);
    pthread_mutex_unlock(&js->lock);
    int status = j ? cancel(j, err) : not_found(id, err);
    pthread_mutex_unlock(&js->db_lock);
    return status;
}

/* ---- Asking ---- */

int jobs_status(struct jobs *js, const char *id, struct job_status *ret, struct error *err)
{
    pthread_mutex_lock(&js->lock);
    const struct job *j = find(js, id);
    if (j)
        *ret = status_of(j);
    pthread_mutex_unlock(&js->lock);
    return j ? TD_OK : not_found(id, err);
}

static int get_bytes(struct jobs *js, const char *id, bool result, struct buf *ret, struct error *err)
{
    pthread_mutex_lock(&js->db_lock);
    pthread_mutex_lock(&js->lock);
    const struct job *j = find(js, id);
    int64_t number = j ? j->row.number : 0;
    bool here = j && result && finished(j) && j->unsaved && j->result.n;
    if (here)
        buf_put_slice(ret, buf_slice(&j->result));
    pthread_mutex_unlock(&js->lock);
    int status = j ? TD_OK : not_found(id, err);
    if (j && !here)
        status = result ? jobs_db_result(js->db, number, ret, err) : jobs_db_request(js->db, number, ret, err);
    else if (ret->failed)
        status = error_nomem(err);
    pthread_mutex_unlock(&js->db_lock);
    return status;
}

int jobs_request(struct jobs *js, const char *id, struct buf *ret, struct error *err)
{
    return get_bytes(js, id, false, ret, err);
}

int jobs_result(struct jobs *js, const char *id, struct buf *ret, struct error *err)
{
    return get_bytes(js, id, true, ret, err);
}

static bool is_wanted(const struct job *j, const char *kind, const char *subject)
{
    const struct job_status *s = &j->row.status;
    return (!kind || strcmp(s->kind, kind) == 0) && (!subject || strcmp(s->subject, subject) == 0);
}

int jobs_each(struct jobs *js, const char *kind, const char *subject, int (*each)(void *ctx, const struct job_status *), void *ctx,
              struct error *err)
{
    size_t n = 0, at = 0;
    pthread_mutex_lock(&js->lock);
    for (struct job *j = js->newest; j; j = j->older)
        n += is_wanted(j, kind, subject);
    struct job_status *v = mem_calloc(n + 1, sizeof(*v));
    for (struct job *j = js->newest; v && j; j = j->older)
        if (is_wanted(j, kind, subject))
            v[at++] = status_of(j);
    pthread_mutex_unlock(&js->lock);
    int status = v ? TD_OK : error_nomem(err);
    for (size_t i = 0; i < at && status == TD_OK; i++)
        status = each(ctx, &v[i]);
    mem_free(v);
    return status;
}

uint64_t jobs_wait(struct jobs *js, uint64_t version, int64_t timeout_ns)
{
    const struct timespec until = timespec_of(clock_ns(CLOCK_MONOTONIC) + timeout_ns);
    pthread_mutex_lock(&js->lock);
    while (js->version == version && !js->woken && pthread_cond_timedwait(&js->changed, &js->lock, &until) == 0)
        continue;
    version = js->version;
    pthread_mutex_unlock(&js->lock);
    return version;
}

/* ---- While it runs ---- */

const char *job_id(const struct job *j)
{
    return j->row.status.id;
}

const char *job_subject(const struct job *j)
{
    return j->row.status.subject;
}

void job_progress(struct job *j, uint64_t done, uint64_t all)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC), tell_ns = atomic_load_explicit(&j->tell_ns, memory_order_relaxed);
    atomic_store_explicit(&j->all, all, memory_order_relaxed);
    atomic_store_explicit(&j->done, done, memory_order_relaxed);
    if (now_ns < tell_ns || !atomic_compare_exchange_strong(&j->tell_ns, &tell_ns, now_ns + TELL_NS))
        return;
    pthread_mutex_lock(&j->jobs->lock);
    j->told_done = done;
    tell_change(j->jobs);
    if (j->row.crashes && done > j->saved_done) {
        j->jobs->further = true;
        pthread_cond_signal(&j->jobs->work);
    }
    pthread_mutex_unlock(&j->jobs->lock);
}

const atomic_bool *job_cancelled(const struct job *j)
{
    return &j->cancel;
}

bool job_stops_for_restart(const struct job *j)
{
    return atomic_load(&j->jobs->stopping);
}
