/* Threads that work on one thing, and end together. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "cloud/cloud_internal.h"

enum { WATCH_NS = 50 * NS_PER_MS, TELL_NS = 50 * NS_PER_MS };

int64_t run_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- Life ---- */

static bool is_cancelled(const struct run *r)
{
    return atomic_load(&r->cloud->cancelled) || (r->transfer && r->transfer->cancel && atomic_load(r->transfer->cancel));
}

/* Passes the caller's cancel on to those who only look at `stop`: pauses. */
static void *watch(void *arg)
{
    struct run *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->over) {
        if (is_cancelled(r))
            atomic_store(&r->stop, true);
        int64_t ns = run_now() + WATCH_NS;
        const struct timespec until = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
        pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int run_begin(struct run *r, struct cloud *cloud, const struct transfer *transfer, struct error *err)
{
    pthread_condattr_t monotonic;
    *r = (struct run){.cloud = cloud, .transfer = transfer, .policy = cloud->retry};
    r->policy.deadline_ns = 0;
    if (is_cancelled(r))
        atomic_store(&r->stop, true);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&r->watcher, NULL, watch, r) == 0)
        return TD_OK;
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    return error_set(err, TD_E_NOMEM, "no thread can be started");
}

void run_end(struct run *r)
{
    pthread_mutex_lock(&r->lock);
    r->over = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->watcher, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}

/* ---- Ending ---- */

int run_fail(struct run *r, const struct error *err)
{
    pthread_mutex_lock(&r->lock);
    /* Who ends with TD_E_CANCELLED was told to stop: the reason for that is what counts. */
    if (r->failure.status == TD_OK && err->status != TD_E_CANCELLED)
        r->failure = *err;
    pthread_mutex_unlock(&r->lock);
    atomic_store(&r->stop, true);
    return err->status;
}

int run_status(struct run *r, struct error *err)
{
    int status = TD_OK;
    pthread_mutex_lock(&r->lock);
    if (r->failure.status != TD_OK)
        status = error_set(err, r->failure.status, "%s", r->failure.text);
    else if (atomic_load(&r->stop))
        status = error_set(err, TD_E_CANCELLED, "cancelled");
    pthread_mutex_unlock(&r->lock);
    return status;
}

bool run_goes_on(struct run *r)
{
    if (is_cancelled(r))
        atomic_store(&r->stop, true);
    return !atomic_load(&r->stop);
}

/* ---- Working ---- */

static void *work(void *arg)
{
    struct run *r = arg;
    r->work(r, r->ctx);
    return NULL;
}

int run_work(struct run *r, size_t threads, void (*what)(struct run *, void *ctx), void *ctx, struct error *err)
{
    pthread_t started[CLOUD_PARALLEL];
    size_t n = 0, most = threads < CLOUD_PARALLEL ? threads : CLOUD_PARALLEL;
    r->work = what;
    r->ctx = ctx;
    while (n < most && pthread_create(&started[n], NULL, work, r) == 0)
        n++;
    for (size_t i = 0; i < n; i++)
        pthread_join(started[i], NULL);
    if (!n && threads)
        return error_set(err, TD_E_NOMEM, "no thread can be started");
    return run_status(r, err);
}

/* ---- Progress ---- */

/* Lock held. */
static void tell(struct run *r, bool now)
{
    const struct transfer *t = r->transfer;
    int64_t now_ns = run_now();
    if (!t || !t->progress || (!now && now_ns - r->told_ns < TELL_NS))
        return;
    r->told_ns = now_ns;
    t->progress(t->ctx, r->done < r->all ? r->done : r->all, r->all);
}

void run_expect(struct run *r, uint64_t all)
{
    pthread_mutex_lock(&r->lock);
    r->all = all;
    tell(r, true);
    pthread_mutex_unlock(&r->lock);
}

void run_count(struct run *r, int64_t bytes)
{
    pthread_mutex_lock(&r->lock);
    r->done += (uint64_t)bytes;
    tell(r, r->done == r->all);
    pthread_mutex_unlock(&r->lock);
}

/* ---- Trying again ---- */

void run_retry_begin(struct run *r, struct retry *retry)
{
    retry_begin(retry, &r->policy, &r->cloud->budget, &r->stop);
}

bool run_again(struct run *r, struct retry *retry, int *status, struct error *err)
{
    bool again = retry_again(retry, status, err);
    if (again)
        atomic_fetch_add(&r->retries, 1);
    return again;
}

int run_call(struct run *r, int (*call)(void *ctx, struct error *err), void *ctx, struct error *err)
{
    struct retry retry;
    int status;
    run_retry_begin(r, &retry);
    do
        status = run_goes_on(r) ? call(ctx, err) : error_set(err, TD_E_CANCELLED, "cancelled");
    while (run_again(r, &retry, &status, err));
    return status;
}
