#include "base/clock.h"
#include "hub/stream_pipe.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/units.h"

enum { PIPE_BYTES = 512 << 10, LOOK_MS = 250 };

struct stream_pipe {
    struct stream_pipe_options options;
    pthread_t thread;
    atomic_bool cancelled;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* for either side */
    size_t begin, n;        /* of `bytes`, around whose end they go on */
    bool written, ended;
    int status;
    struct error error;
    uint8_t bytes[PIPE_BYTES];
};

/* ---- Pushing ---- */

int stream_pipe_write(struct stream_pipe *p, struct td_slice bytes, struct error *err)
{
    pthread_mutex_lock(&p->lock);
    while (bytes.n && !atomic_load(&p->cancelled)) {
        size_t end = (p->begin + p->n) % PIPE_BYTES, room = PIPE_BYTES - p->n;
        size_t n = room < PIPE_BYTES - end ? room : PIPE_BYTES - end;
        n = n < bytes.n ? n : bytes.n;
        if (!n) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        memcpy(p->bytes + end, bytes.p, n);
        p->n += n;
        p->written = true;
        bytes = td_sub(bytes, n, bytes.n);
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return atomic_load(&p->cancelled) ? error_set(err, TD_E_CANCELLED, "nobody waits for it any more") : TD_OK;
}

const atomic_bool *stream_pipe_cancelled(const struct stream_pipe *p)
{
    return &p->cancelled;
}

static void *push(void *arg)
{
    struct stream_pipe *p = arg;
    struct error err = {.text = ""};
    int status = p->options.push(p->options.ctx, p, &err);
    pthread_mutex_lock(&p->lock);
    p->status = status;
    p->error = err;
    p->error.status = status;
    p->ended = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- Pulling ---- */

/* All signals are for others. */
static int start(struct stream_pipe *p, struct error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = pthread_create(&p->thread, NULL, push, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failure ? error_set(err, TD_E_LIMIT, "no thread can be started: %s; try again later", strerror(failure)) : TD_OK;
}

static void destroy(struct stream_pipe *p)
{
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

int stream_pipe_open(const struct stream_pipe_options *options, struct stream_pipe **ret, struct error *err)
{
    pthread_condattr_t monotonic;
    struct stream_pipe *p = mem_alloc(sizeof(*p));
    if (!p)
        return error_nomem(err);
    memset(p, 0, offsetof(struct stream_pipe, bytes));
    p->options = *options;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int status = start(p, err);
    if (status == TD_OK)
        *ret = p;
    else
        destroy(p);
    return status;
}

void stream_pipe_close(struct stream_pipe *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->cancelled, true);
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    destroy(p);
}

/* Until there is something to read, or the end. [lock held, but not while others are asked] */
static int await(struct stream_pipe *p, int64_t until_ns, struct error *err)
{
    while (!p->n && !p->ended && clock_ns(CLOCK_MONOTONIC) < until_ns) {
        int64_t look_ns = clock_ns(CLOCK_MONOTONIC) + LOOK_MS * NS_PER_MS;
        if (look_ns > until_ns)
            look_ns = until_ns;
        struct timespec t = {look_ns / NS_PER_S, look_ns % NS_PER_S};
        pthread_cond_timedwait(&p->changed, &p->lock, &t);
        if (p->n || p->ended)
            break;
        pthread_mutex_unlock(&p->lock);
        bool left = p->options.left && p->options.left(p->options.ctx);
        pthread_mutex_lock(&p->lock);
        if (left)
            return error_set(err, TD_E_CANCELLED, "the client has left");
    }
    return TD_OK;
}

int stream_pipe_wait(struct stream_pipe *p, int64_t timeout_ns, struct error *err)
{
    pthread_mutex_lock(&p->lock);
    int status = await(p, clock_ns(CLOCK_MONOTONIC) + timeout_ns, err);
    if (status == TD_OK && p->ended && !p->written) {
        status = p->status;
        *err = p->error;
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

int stream_pipe_read(struct stream_pipe *p, void *out, size_t n, size_t *ret_n, struct error *err)
{
    pthread_mutex_lock(&p->lock);
    int status = await(p, INT64_MAX, err);
    size_t run = p->n < PIPE_BYTES - p->begin ? p->n : PIPE_BYTES - p->begin;
    *ret_n = status == TD_OK ? (n < run ? n : run) : 0;
    memcpy(out, p->bytes + p->begin, *ret_n);
    p->begin = (p->begin + *ret_n) % PIPE_BYTES;
    p->n -= *ret_n;
    if (status == TD_OK && !*ret_n) {
        status = p->status;
        *err = p->error;
    }
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return status;
}
