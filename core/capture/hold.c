#include "hold.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/coverage.h"

struct holds {
    struct ring *ring;
    int64_t expires_ns;
    uint64_t nonce; /* ids of another run of the worker are unknown here, not expired */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hold *v[HOLDS_MAX]; /* without order */
    size_t n;
    uint64_t next_number;
    bool stop, runs;
    pthread_t thread;
};

static void hold_free(struct hold *h)
{
    for (size_t i = 0; h && i < h->n; i++)
        segment_unpin(h->segments[i]);
    if (h)
        mem_free(h->segments);
    mem_free(h);
}

/* ---- Expiring ---- */

/* Lock held. */
static struct hold *take_out(struct holds *x, size_t i)
{
    struct hold *h = x->v[i];
    x->v[i] = x->v[--x->n];
    h->ended = true;
    return h;
}

/* Lock held. One that has expired, or NULL and how long it takes until one may. */
static struct hold *find_expired(struct holds *x, int64_t *ret_wait_ns)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    *ret_wait_ns = x->expires_ns;
    for (size_t i = 0; i < x->n; i++) {
        int64_t left_ns = x->v[i]->used_ns + x->expires_ns - now_ns;
        if (x->v[i]->users)
            continue;
        if (left_ns <= 0)
            return take_out(x, i);
        *ret_wait_ns = left_ns < *ret_wait_ns ? left_ns : *ret_wait_ns;
    }
    return NULL;
}

/* Lock held. */
static void wait_for(struct holds *x, int64_t ns)
{
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + ns;
    const struct timespec until = {until_ns / NS_PER_S, until_ns % NS_PER_S};
    if (x->n)
        pthread_cond_timedwait(&x->changed, &x->lock, &until);
    else
        pthread_cond_wait(&x->changed, &x->lock);
}

static void *expire(void *arg)
{
    struct holds *x = arg;
    pthread_mutex_lock(&x->lock);
    while (!x->stop) {
        int64_t wait_ns;
        struct hold *h = find_expired(x, &wait_ns);
        if (!h) {
            wait_for(x, wait_ns);
            continue;
        }
        pthread_mutex_unlock(&x->lock);
        log_event(TD_LOG_INFO, "worker", "hold %s of %zu segments has expired", h->id, h->n);
        hold_free(h);
        pthread_mutex_lock(&x->lock);
    }
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

/* ---- Life ---- */

int holds_new(struct ring *ring, int64_t expires_ns, struct holds **ret, struct error *err)
{
    struct holds *x = mem_calloc(1, sizeof(*x));
    if (!x)
        return error_nomem(err);
    x->ring = ring;
    x->expires_ns = expires_ns;
    x->next_number = 1;
    pthread_mutex_init(&x->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&x->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int failure = getrandom(&x->nonce, sizeof(x->nonce), 0) == (ssize_t)sizeof(x->nonce) ? 0 : errno;
    if (!failure)
        failure = pthread_create(&x->thread, NULL, expire, x);
    x->runs = !failure;
    if (failure) {
        holds_free(x);
        return error_set(err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure));
    }
    *ret = x;
    return TD_OK;
}

void holds_free(struct holds *x)
{
    if (!x)
        return;
    pthread_mutex_lock(&x->lock);
    x->stop = true;
    pthread_cond_signal(&x->changed);
    pthread_mutex_unlock(&x->lock);
    if (x->runs)
        pthread_join(x->thread, NULL);
    for (size_t i = 0; i < x->n; i++)
        hold_free(x->v[i]);
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->lock);
    mem_free(x);
}

size_t holds_count(struct holds *x)
{
    pthread_mutex_lock(&x->lock);
    size_t n = x->n;
    pthread_mutex_unlock(&x->lock);
    return n;
}

/* ---- Adding ---- */

/* The ring pins more than that: a replayed capture reaches, for it, from then until now. */
static int keep_those_that_reach(struct hold *h, bool replays, struct error *err)
{
    struct segment_summary *v = mem_calloc(h->n ? h->n : 1, sizeof(*v));
    if (!v)
        return error_nomem(err);
    for (size_t i = 0; i < h->n; i++)
        v[i] = *segment_summary(h->segments[i]);
    coverage_settle(v, h->n, clock_ns(CLOCK_REALTIME), replays);
    size_t kept = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (coverage_reaches(&v[i], h->start_ns, h->end_ns))
            h->segments[kept++] = h->segments[i];
        else
            segment_unpin(h->segments[i]);
    }
    h->n = kept;
    mem_free(v);
    return TD_OK;
}

static int new_hold(struct holds *x, int64_t start_ns, int64_t end_ns, bool replays, struct hold **ret, struct error *err)
{
    struct hold *h = mem_calloc(1, sizeof(*h));
    if (!h)
        return error_nomem(err);
    h->holds = x;
    h->start_ns = start_ns;
    h->end_ns = end_ns;
    h->users = 1;
    int status = ring_pin(x->ring, start_ns, end_ns, &h->segments, &h->n, err);
    if (status == TD_OK)
        status = keep_those_that_reach(h, replays, err);
    if (status == TD_OK)
        *ret = h;
    else
        hold_free(h);
    return status;
}

int holds_add(struct holds *x, int64_t start_ns, int64_t end_ns, bool replays, struct hold **ret, struct error *err)
{
    struct hold *h = NULL;
    int status = new_hold(x, start_ns, end_ns, replays, &h, err);
    if (status != TD_OK)
        return status;
    pthread_mutex_lock(&x->lock);
    if (x->n < HOLDS_MAX) {
        h->number = x->next_number++;
        snprintf(h->id, sizeof(h->id), "%016llx-%llu", (unsigned long long)x->nonce, (unsigned long long)h->number);
        h->used_ns = clock_ns(CLOCK_MONOTONIC);
        x->v[x->n++] = h;
        pthread_cond_signal(&x->changed);
    } else {
        status = error_set(err, TD_E_LIMIT, "there are %d holds, which is the most; let go one, or wait until one expires", HOLDS_MAX);
    }
    pthread_mutex_unlock(&x->lock);
    if (status == TD_OK)
        *ret = h;
    else
        hold_free(h);
    return status;
}

/* ---- Using ---- */

/* The number in an id of this table; 0: it is none. */
static uint64_t number_of(const struct holds *x, const char *id)
{
    char prefix[HOLD_ID], *end;
    int n = snprintf(prefix, sizeof(prefix), "%016llx-", (unsigned long long)x->nonce);
    if (strncmp(id, prefix, (size_t)n) != 0 || id[n] < '1' || id[n] > '9' || strlen(id + n) > 18)
        return 0;
    uint64_t number = strtoull(id + n, &end, 10);
    return *end ? 0 : number;
}

/* Lock held. */
static int find(const struct holds *x, const char *id, size_t *ret_at, struct error *err)
{
    uint64_t number = number_of(x, id);
    if (!number || number >= x->next_number)
        return error_set(err, TD_E_NOT_FOUND, "there is no hold \"%.64s\"", id);
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i]->number == number) {
            *ret_at = i;
            return TD_OK;
        }
    return error_set(err, TD_E_CANCELLED, "hold %s has expired or was let go; ask for another one", id);
}

int holds_use(struct holds *x, const char *id, struct hold **ret, struct error *err)
{
    size_t at = 0;
    pthread_mutex_lock(&x->lock);
    int status = find(x, id, &at, err);
    if (status == TD_OK) {
        x->v[at]->users++;
        *ret = x->v[at];
    }
    pthread_mutex_unlock(&x->lock);
    return status;
}

void hold_done(struct hold *h)
{
    struct holds *x = h->holds;
    pthread_mutex_lock(&x->lock);
    h->used_ns = clock_ns(CLOCK_MONOTONIC);
    bool last = --h->users == 0 && h->ended;
    pthread_cond_signal(&x->changed);
    pthread_mutex_unlock(&x->lock);
    if (last)
        hold_free(h);
}

int holds_end(struct holds *x, const char *id, struct error *err)
{
    size_t at = 0;
    struct hold *h = NULL;
    pthread_mutex_lock(&x->lock);
    int status = find(x, id, &at, err);
    if (status == TD_OK) {
        h = take_out(x, at);
        if (h->users) /* the last of them frees it */
            h = NULL;
    }
    pthread_mutex_unlock(&x->lock);
    hold_free(h);
    return status;
}
