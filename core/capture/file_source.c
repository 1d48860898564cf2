/* A capture that is replayed.
 *
 * A thread of its own reads, so that a fifo whose writer pauses, or a slow disk, keeps nobody from waking the source or ending it. It
 * starts with the first run, after privileges were dropped. Between the two is a short queue of batches; what has arrived is put in it at
 * once. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/source_kind.h"
#include "packet/capture.h"
#include "packet/input.h"

enum {
    BATCH = 256,       /* packets */
    BATCHES = 8,       /* in the queue */
    MAX_PACKETS = 4096 /* in one run */
};

struct batch {
    struct block *block;
    size_t n, at; /* packets[at, n) are yet to be given out */
    struct packet packets[BATCH];
};

struct file_source {
    struct packet_source base;
    enum file_pace pace;
    enum file_times times;

    /* Of the thread that reads, once it runs. */
    struct capture *capture; /* NULL: `fd` is still to be opened */
    int fd;                  /* -1: the capture has it */
    char *path;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t room; /* in the queue */
    /* Under the lock, but for what is in a batch: that is the taker's until it is taken. */
    size_t put, taken; /* batches; their difference is in the queue */
    bool ended, closing;
    struct error fault; /* with which it ended; status TD_OK: none */
    const struct capture_interface **interfaces;
    size_t interface_count, interface_cap;
    struct batch *batches;
    int ready_fd;  /* an eventfd: the queue was empty, and is not any more, or it has ended */
    int cancel_fd; /* an eventfd: the reader shall end */

    /* Of the thread that runs the source. */
    struct {
        bool up;
        uint32_t number;
        uint64_t received;
    } * known; /* by interface of the capture */
    size_t known_count;
    bool any_time;
    int64_t first_time, shift, start; /* start: on the monotonic clock */
    bool told_down;
};

static struct file_source *of(struct packet_source *s)
{
    return (struct file_source *)s;
}

static void ring_bell(int fd)
{
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof(one));
}

/* ---- The thread that reads ---- */

/* Those that the capture has met since the last time. */
static int note_interfaces(struct file_source *s, struct error *err)
{
    size_t n = capture_interface_count(s->capture);
    if (n > s->interface_cap) {
        size_t cap = 2 * n;
        const struct capture_interface **grown = mem_realloc(s->interfaces, cap * sizeof(*grown));
        if (!grown)
            return error_nomem(err);
        s->interfaces = grown;
        s->interface_cap = cap;
    }
    for (; s->interface_count < n; s->interface_count++)
        s->interfaces[s->interface_count] = capture_interface(s->capture, s->interface_count);
    return TD_OK;
}

/* A free batch; NULL: the source is being closed. */
static struct batch *wait_for_room(struct file_source *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->put - s->taken == BATCHES && !s->closing)
        pthread_cond_wait(&s->room, &s->lock);
    struct batch *b = s->closing ? NULL : &s->batches[s->put % BATCHES];
    pthread_mutex_unlock(&s->lock);
    return b;
}

static bool read_batch(struct file_source *s, struct error *fault)
{
    struct batch *b = wait_for_room(s);
    if (!b)
        return false;
    int n = capture_read(s->capture, b->packets, BATCH, &b->block, fault);
    if (n <= 0)
        return false;
    b->n = (size_t)n;
    b->at = 0;
    pthread_mutex_lock(&s->lock);
    bool noted = note_interfaces(s, fault) == TD_OK, was_empty = s->put == s->taken;
    if (noted)
        s->put++;
    pthread_mutex_unlock(&s->lock);
    if (!noted)
        block_unref(b->block);
    if (was_empty)
        ring_bell(s->ready_fd);
    return noted;
}

static int open_capture(struct file_source *s, struct error *err)
{
    int fd = s->fd;
    s->fd = -1;
    return capture_open_fd(fd, s->path, s->cancel_fd, &s->capture, err);
}

static void *read_all(void *arg)
{
    struct file_source *s = arg;
    struct error fault = {0};
    int status = s->capture ? TD_OK : open_capture(s, &fault);
    while (status == TD_OK && read_batch(s, &fault))
        ;
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->fault = fault;
    pthread_mutex_unlock(&s->lock);
    ring_bell(s->ready_fd);
    return NULL;
}

/* ---- Taking from the queue ---- */

/* The first batch of the queue; NULL if it is empty. */
static struct batch *head(struct file_source *s, bool *ret_ended)
{
    pthread_mutex_lock(&s->lock);
    struct batch *b = s->put > s->taken ? &s->batches[s->taken % BATCHES] : NULL;
    *ret_ended = !b && s->ended;
    pthread_mutex_unlock(&s->lock);
    return b;
}

static void take(struct file_source *s, struct batch *b)
{
    block_unref(b->block);
    pthread_mutex_lock(&s->lock);
    s->taken++;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
}

/* Until the queue has something (if `for_data`), the source is woken, or the time is over. False: it was woken. */
static bool wait_until(struct file_source *s, bool for_data, int64_t until_ns)
{
    int64_t left = until_ns - source_kind_clock();
    struct timespec timeout = {.tv_sec = left > 0 ? left / NS_PER_S : 0, .tv_nsec = left > 0 ? left % NS_PER_S : 0};
    struct pollfd fds[] = {{.fd = s->base.wake_fd, .events = POLLIN}, {.fd = for_data ? s->ready_fd : -1, .events = POLLIN}};
    if (ppoll(fds, 2, &timeout, NULL) <= 0)
        return true;
    uint64_t count;
    if (fds[1].revents)
        (void)!read(s->ready_fd, &count, sizeof(count));
    if (fds[0].revents)
        source_kind_awake(&s->base);
    return !fds[0].revents;
}

/* ---- Interfaces ---- */

static int tell_up(struct file_source *s, uint32_t iface, struct error *err)
{
    pthread_mutex_lock(&s->lock);
    const struct capture_interface *i = s->interfaces[iface];
    size_t n = s->interface_count;
    pthread_mutex_unlock(&s->lock);
    if (iface >= s->known_count) {
        void *grown = mem_realloc(s->known, n * sizeof(*s->known));
        if (!grown)
            return error_nomem(err);
        s->known = grown;
        memset(s->known + s->known_count, 0, (n - s->known_count) * sizeof(*s->known));
        s->known_count = n;
    }
    struct source_interface told = {i->name, i->description, i->filter, i->linktype, i->snaplen};
    int status = s->base.sink.up(s->base.sink.ctx, &told, &s->known[iface].number, err);
    s->known[iface].up = status == TD_OK;
    return status;
}

static void tell_down(struct file_source *s, const char *why)
{
    for (size_t i = 0; i < s->known_count && !s->told_down; i++)
        if (s->known[i].up)
            s->base.sink.down(s->base.sink.ctx, s->known[i].number, why);
    s->told_down = true;
}

/* ---- Time ---- */

static int64_t add_clamped(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t subtract_clamped(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

/* The first packet with a time is what all others are counted from. */
static void note_time(struct file_source *s, const struct packet *p)
{
    if (s->any_time || p->flags & PACKET_NO_TIME)
        return;
    s->any_time = true;
    s->first_time = p->time_ns;
    s->start = source_kind_clock();
    if (s->times == FILE_TIMES_NOW)
        s->shift = subtract_clamped(clock_ns(CLOCK_REALTIME), p->time_ns);
}

static int64_t time_of(const struct file_source *s, const struct packet *p)
{
    return s->any_time ? add_clamped(p->time_ns, s->shift) : clock_ns(CLOCK_REALTIME);
}

/* When it shall be given out; packets whose time goes back do not wait. */
static int64_t due(const struct file_source *s, const struct packet *p)
{
    if (s->pace == FILE_PACE_FULL || !s->any_time)
        return INT64_MIN;
    return add_clamped(s->start, subtract_clamped(p->time_ns, s->first_time));
}

/* ---- Running ---- */

static int give(struct file_source *s, const struct packet *p, struct error *err)
{
    int status = p->iface < s->known_count && s->known[p->iface].up ? TD_OK : tell_up(s, p->iface, err);
    if (status != TD_OK)
        return status;
    s->known[p->iface].received++;
    s->base.sink.packet(s->base.sink.ctx, s->known[p->iface].number, time_of(s, p), p->p, p->caplen, p->len);
    return TD_OK;
}

/* Gives out what of the batch is due; *ret_due is when the next one is, if there is one. */
static int give_batch(struct file_source *s, struct batch *b, size_t *n, int64_t *ret_due, struct error *err)
{
    int64_t now = s->pace == FILE_PACE_FULL ? 0 : source_kind_clock();
    for (; b->at < b->n && *n < MAX_PACKETS; b->at++, ++*n) {
        const struct packet *p = &b->packets[b->at];
        note_time(s, p);
        *ret_due = due(s, p);
        if (*ret_due > now && *ret_due > (now = source_kind_clock()))
            return TD_OK;
        int status = give(s, p, err);
        if (status != TD_OK)
            return status;
    }
    return TD_OK;
}

static int finish(struct file_source *s, bool *ret_ended, struct error *err)
{
    if (s->fault.status != TD_OK) {
        tell_down(s, "the capture cannot be read on");
        return error_set(err, s->fault.status, "%s", s->fault.text);
    }
    tell_down(s, "the capture ends here");
    *ret_ended = true;
    return TD_OK;
}

static int start_reading(struct file_source *s, struct error *err)
{
    int code = s->started ? 0 : pthread_create(&s->thread, NULL, read_all, s);
    if (code != 0)
        return error_set(err, TD_E_INTERNAL, "cannot start a thread: %s", strerror(code));
    s->started = true;
    return TD_OK;
}

static int file_run(struct packet_source *base, int timeout_ms, bool *ret_ended, struct error *err)
{
    struct file_source *s = of(base);
    int status = start_reading(s, err);
    int64_t until = timeout_ms < 0 ? INT64_MAX : add_clamped(source_kind_clock(), (int64_t)timeout_ms * NS_PER_MS);
    size_t n = 0;
    while (status == TD_OK && n < MAX_PACKETS) {
        bool ended;
        int64_t next = INT64_MAX;
        struct batch *b = head(s, &ended);
        if (ended)
            return n ? TD_OK : finish(s, ret_ended, err);
        if (b) {
            status = give_batch(s, b, &n, &next, err);
            if (b->at == b->n) {
                take(s, b);
                continue;
            }
        }
        if (n || status != TD_OK || source_kind_clock() >= until)
            break;
        if (!wait_until(s, !b, next < until ? next : until))
            break;
    }
    return status;
}

static size_t file_drops(struct packet_source *base, struct source_drops *ret, size_t max)
{
    struct file_source *s = of(base);
    size_t n = 0;
    for (size_t i = 0; i < s->known_count && n < max; i++)
        if (s->known[i].received) {
            ret[n++] = (struct source_drops){.iface = s->known[i].number, .received = s->known[i].received};
            s->known[i].received = 0;
        }
    return n;
}

/* ---- Opening and closing ---- */

static void file_close(struct packet_source *base)
{
    struct file_source *s = of(base);
    if (s->started) {
        pthread_mutex_lock(&s->lock);
        s->closing = true;
        pthread_cond_signal(&s->room);
        pthread_mutex_unlock(&s->lock);
        ring_bell(s->cancel_fd);
        pthread_join(s->thread, NULL);
    }
    for (; s->taken < s->put; s->taken++)
        block_unref(s->batches[s->taken % BATCHES].block);
    capture_close(s->capture);
    if (s->fd >= 0)
        close(s->fd);
    if (s->ready_fd >= 0)
        close(s->ready_fd);
    if (s->cancel_fd >= 0)
        close(s->cancel_fd);
    pthread_cond_destroy(&s->room);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->interfaces);
    mem_free(s->known);
    mem_free(s->batches);
    mem_free(s->path);
    source_kind_clear(base);
    mem_free(s);
}

static const struct source_ops file_ops = {file_close, file_run, file_drops, NULL};

static int prepare(struct file_source *s, const struct file_options *o, struct error *err)
{
    s->pace = o->pace;
    s->times = o->times;
    s->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->ready_fd < 0 || s->cancel_fd < 0)
        return error_set(err, TD_E_INTERNAL, "cannot make an eventfd: %s", strerror(errno));
    s->path = mem_strdup(o->path);
    s->batches = mem_calloc(BATCHES, sizeof(*s->batches));
    if (!s->path || !s->batches)
        return error_nomem(err);
    int status = input_open_path(s->path, O_NONBLOCK, &s->fd, err);
    if (status != TD_OK)
        error_prefix(err, "%s: ", strcmp(s->path, "-") == 0 ? "standard input" : s->path);
    struct stat st;
    bool may_wait = status == TD_OK && fstat(s->fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    return status != TD_OK || may_wait ? status : open_capture(s, err);
}

int packet_source_open_file(const struct file_options *o, const struct source_sink *sink, struct packet_source **ret, struct error *err)
{
    struct file_source *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->fd = s->ready_fd = s->cancel_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->room, NULL);
    int status = source_kind_init(&s->base, &file_ops, sink, err);
    if (status == TD_OK)
        status = prepare(s, o, err);
    if (status != TD_OK) {
        file_close(&s->base);
        return status;
    }
    *ret = &s->base;
    return TD_OK;
}
