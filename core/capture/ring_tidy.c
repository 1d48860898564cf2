/* The tidier: what is done for sealed segments when nothing else wants the processor or the disk, oldest first. */
#include "ring_internal.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* What linux/ioprio.h has in newer headers. */
enum { IO_CLASS_IDLE = 3, IO_CLASS_SHIFT = 13, IO_WHO_PROCESS = 1 };

enum what { NOTHING, COMPRESS, HASH };

struct task {
    enum what what;
    uint64_t sequence;
    int level; /* COMPRESS */
};

bool ring_tidy_reserve(struct ring *r, uint64_t bytes)
{
    pthread_mutex_lock(&r->lock);
    bool fits = !r->stop && ring_make_room(r, bytes);
    if (fits) {
        r->reserved += bytes;
        r->tidying += bytes;
    }
    pthread_mutex_unlock(&r->lock);
    return fits;
}

/* Lock held. Nothing while capturing has no room for its next segment yet. What is going to be compressed is hashed then. */
static struct task choose(const struct ring *r)
{
    struct task t = {.level = r->options.compression_level};
    for (size_t i = 0; r->next && i < r->n && t.what != COMPRESS; i++) {
        const struct entry *e = &r->entries[i];
        bool compress = !e->open && e->body->kind == SEGMENT_FILE_PLAIN && t.level > 0 && !e->stays_plain;
        bool hash = !e->open && !compress && !e->summary.hashed && !e->stays_unhashed;
        if (compress || (hash && t.what == NOTHING)) {
            t.what = compress ? COMPRESS : HASH;
            t.sequence = e->summary.sequence;
        }
    }
    return t;
}

/* Lock held. Not again and again what has failed; but who was only interrupted may try again. */
static void note_failure(struct ring *r, const struct task *t, int status)
{
    struct entry *e = ring_find(r, t->sequence);
    if (!e || status == TD_OK || status == TD_E_CANCELLED)
        return;
    if (t->what == COMPRESS)
        e->stays_plain = true;
    else
        e->stays_unhashed = true;
}

static void run(struct ring *r, const struct task *t, struct ring_calm *calm)
{
    struct segment *s;
    struct error err = {0};
    int status = ring_pin_one(r, t->sequence, &s, &err);
    if (status != TD_OK)
        return;
    status = t->what == COMPRESS ? ring_squeeze(r, s, t->level, &err) : ring_hash(r, s, calm, &err);
    pthread_mutex_lock(&r->lock);
    r->reserved -= r->tidying;
    r->tidying = 0;
    if (!r->stop)
        atomic_store(&r->tidy_cancel, false);
    pthread_cond_signal(&r->keeper_work);
    bool told = ring_find(r, t->sequence) != NULL;
    note_failure(r, t, status);
    pthread_mutex_unlock(&r->lock);
    if (status != TD_OK && status != TD_E_CANCELLED && told)
        log_event(TD_LOG_WARN, "ring", "segment %llu stays %s: %s", (unsigned long long)t->sequence,
                  t->what == COMPRESS ? "uncompressed" : "without a digest", err.text);
    segment_unpin(s);
}

/* Not SCHED_IDLE: this thread holds the ring's lock now and then, and must not be kept from giving it back. */
static void step_back(void)
{
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), 19) != 0)
        log_event(TD_LOG_DEBUG, "ring", "compressing at normal priority: %s", strerror(errno));
    syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0, IO_CLASS_IDLE << IO_CLASS_SHIFT);
}

/* Lock held. */
static void wait_a_second(struct ring *r)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_cond_timedwait(&r->tidier_work, &r->lock, &until);
}

void *ring_tidy(void *arg)
{
    struct ring *r = arg;
    struct ring_calm calm = {.since_ns = ring_uptime()};
    step_back();
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        struct task t = choose(r);
        if (t.what == NOTHING) {
            pthread_cond_wait(&r->tidier_work, &r->lock);
        } else if (t.what == HASH && !ring_is_calm(r, &calm)) {
            wait_a_second(r);
        } else {
            pthread_mutex_unlock(&r->lock);
            run(r, &t, &calm);
            pthread_mutex_lock(&r->lock);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}
