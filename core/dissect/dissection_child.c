/* The child of a dissection: opens what it needs, gives up everything else, dissects, and says how it went. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "dissect/crash.h"
#include "dissect/dissection_shared.h"
#include "dissect/pipeline.h"
#include "dissect/sandbox.h"
#include "dissect/sandbox_filter.h"

struct child {
    struct dissection_shared *shared;
    struct dissection_order order;
    struct sandbox sandbox;
    struct config *config;
    struct registry *registry;
    struct pipeline pipeline;
    struct watch watches[ENGINE_MAX_THREADS];
    struct capture *capture; /* being read */
    uint64_t done_bytes;     /* of captures before it */
    uint32_t next_file;      /* the parent counts them through all nodes */
    int memory_fd;           /* /proc/self/statm; -1: none */
    uint64_t page;           /* bytes */
    uint64_t eater_weight;
    int64_t shown_ns[ENGINE_MAX_THREADS]; /* when a thread's calls were last made visible; 0: it has not begun */
};

/* Calls wait no longer than this for their chunk to fill. Those who follow see them soon, and chunks of a dissection that finds few do
 * not become so many that searching them suffers. */
#define SHOW_NS (500 * (int64_t)NS_PER_MS)

/* ---- Memory ---- */

/* What limits count: data, in bytes. 0: not known. */
static uint64_t memory_in_use(const struct child *c)
{
    char text[128];
    ssize_t n = c->memory_fd >= 0 ? pread(c->memory_fd, text, sizeof(text) - 1, 0) : -1;
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *p = text;
    for (int i = 0; i < 5; i++) /* size, resident, shared, text, lib; then data */
        (void)strtoull(p, &p, 10);
    return strtoull(p, NULL, 10) * c->page;
}

static bool memory_is_short(const struct child *c)
{
    if (mem_refused())
        return true;
    uint64_t limit = c->order.memory;
    return limit && memory_in_use(c) > limit - limit / 16;
}

/* After each event of a connection: if memory has grown, it is put down to that one. Whoever has more than all others together
 * remains in the end (Boyer and Moore's vote). */
static void measure(struct watch *w)
{
    struct child *c = w->ctx;
    struct dissection_shared *shared = c->shared;
    uint64_t now = memory_in_use(c), more = now > shared->measured ? now - shared->measured : 0;
    shared->measured = now;
    if (!more)
        return;
    if (shared->eaten && shared->eater.flow == w->slot->flow) {
        c->eater_weight += more;
        shared->eaten += more;
    } else if (c->eater_weight > more) {
        c->eater_weight -= more;
    } else {
        c->eater_weight = more;
        shared->eater = (struct dissection_suspect){w->slot->flow, w->slot->key, w->slot->client, w->slot->called};
        shared->eaten = more;
    }
}

/* ---- Files ---- */

/* The next capture, open; -1: the parent could not open it, and knows why. */
static int next_file(struct child *c)
{
    uint32_t number = c->next_file++;
    int problem = 0, fd = -1;
    struct iovec part = {&problem, sizeof(problem)};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    if (send(c->sandbox.socket, &number, sizeof(number), MSG_NOSIGNAL) != sizeof(number))
        return -1;
    ssize_t n;
    while ((n = recvmsg(c->sandbox.socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    const struct cmsghdr *head = n == sizeof(problem) ? CMSG_FIRSTHDR(&message) : NULL;
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    return fd;
}

/* ---- Callbacks ---- */

static int write_nothing(void *ctx, struct td_slice bytes)
{
    (void)ctx, (void)bytes;
    return TD_OK;
}

static void begin_thread(struct watch *w)
{
    crash_begin_thread(w->slot);
}

static bool tell_progress(void *ctx, uint64_t packets)
{
    struct child *c = ctx;
    struct dissection_shared *shared = c->shared;
    atomic_store_explicit(&shared->done_bytes, c->done_bytes + capture_position(c->capture), memory_order_relaxed);
    atomic_store_explicit(&shared->packets, packets, memory_order_relaxed);
    atomic_store_explicit(&shared->calls, store_appended(c->pipeline.store), memory_order_relaxed);
    return !atomic_load(&c->pipeline.store_failed) && !mem_refused();
}

/* Whoever reads the store meanwhile sees what its thread has found. */
static void show_calls(void *ctx, unsigned worker)
{
    struct child *c = ctx;
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
    if (!c->shown_ns[worker])
        c->shown_ns[worker] = now_ns;
    if (now_ns - c->shown_ns[worker] < SHOW_NS)
        return;
    c->shown_ns[worker] = now_ns;
    if (store_flush(c->pipeline.store, worker, NULL) != TD_OK || store_commit(c->pipeline.store, NULL) != TD_OK)
        atomic_store(&c->pipeline.store_failed, true);
}

/* ---- Opening ---- */

/* Without its parent it is of no use. If that has died meanwhile, nobody sends the signal. */
static bool follow_parent(const struct child *c)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return getppid() == c->order.parent;
}

static int open_config(struct child *c, struct error *err)
{
    struct findings f;
    findings_init(&f);
    int status = config_parse(td_str(c->order.config), c->order.config_file ? c->order.config_file : "configuration", &c->config, &f);
    if (status != TD_OK || f.errors)
        return findings_status(&f, err);
    return registry_open(c->config, &c->registry, err);
}

static int open_store(struct child *c, struct error *err)
{
    struct store_create_options options = {.appenders = c->order.threads,
                                           .about = c->order.about ? td_str(c->order.about) : td_bytes(NULL, 0),
                                           .payloads = c->order.payloads,
                                           .replace = true,
                                           .disposable = true};
    return pipeline_create_store(&c->pipeline, c->order.out_path, options, err);
}

/* For the parent, who has only numbers of them. */
static void name_dissectors(struct child *c)
{
    const struct dissector_set *set = &c->pipeline.dissectors.set;
    for (uint32_t i = 0; i < set->n && i < DISSECTOR_MAX; i++)
        snprintf(c->shared->dissectors[i], sizeof(c->shared->dissectors[i]), "%s", set->v[i].name);
    c->shared->dissector_n = set->n;
}

static int open_engine(struct child *c, struct error *err)
{
    struct engine_options options = pipeline_engine_options(&c->pipeline, c->order.threads);
    for (unsigned i = 0; i < c->order.threads; i++)
        c->watches[i] = (struct watch){.slot = &c->shared->slots[i],
                                       .begin = begin_thread,
                                       .left = c->order.measure ? measure : NULL,
                                       .ctx = c,
                                       .banned = c->order.banned,
                                       .banned_n = c->order.banned_n};
    options.on_call = pipeline_store_call;
    options.on_call_ctx = &c->pipeline;
    options.write = write_nothing;
    options.progress = tell_progress;
    options.progress_ctx = c;
    options.pause = show_calls;
    options.pause_ctx = c;
    options.watches = c->watches;
    return engine_new(&options, &c->pipeline.engine, err);
}

static int open_all(struct child *c, struct error *err)
{
    int status = open_config(c, err);
    if (status == TD_OK)
        status = pipeline_open(&c->pipeline, c->config, c->registry, err);
    if (status == TD_OK)
        status = open_store(c, err);
    if (status != TD_OK)
        return status;
    name_dissectors(c);
    c->page = (uint64_t)sysconf(_SC_PAGESIZE);
    c->memory_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (chdir("/") != 0)
        return error_set(err, TD_E_INTERNAL, "/: %s", strerror(errno));
    status = sandbox_enclose(&c->sandbox, err);
    if (status == TD_OK && !follow_parent(c)) /* a change of rights may have undone it */
        status = error_set(err, TD_E_CANCELLED, "the parent is gone");
    if (status == TD_OK)
        status = open_engine(c, err);
    return status == TD_OK ? sandbox_seal(&c->sandbox, err) : status;
}

/* ---- Dissecting ---- */

/* Is it the capture's own fault, so that others may follow? */
static bool is_damage(int status)
{
    return status == TD_E_CORRUPT || status == TD_E_UNSUPPORTED;
}

/* What stands before damage was dissected; a capture that is none at all is damage as well. */
static int run_capture(struct child *c, const char *name, struct error *err)
{
    int fd = next_file(c);
    if (fd < 0)
        return error_set(err, TD_E_NOT_FOUND, "%s: cannot be opened", name);
    int status = capture_open_fd(fd, name, -1, &c->capture, err);
    if (status == TD_OK) {
        status = pipeline_run(&c->pipeline, c->capture, err);
        c->done_bytes += capture_size(c->capture);
        capture_close(c->capture);
        c->capture = NULL;
    } else {
        pipeline_skip(&c->pipeline);
    }
    if (is_damage(status) && !memory_is_short(c)) {
        c->shared->damaged++;
        status = TD_OK;
    }
    return status;
}

static int run_node(struct child *c, const struct dissection_order_node *node, struct error *err)
{
    int status = engine_begin(c->pipeline.engine, node->name && *node->name ? node->name : NULL, err);
    for (size_t i = 0; i < node->capture_n && status == TD_OK; i++)
        status = run_capture(c, node->captures[i], err);
    return status == TD_OK ? engine_finish(c->pipeline.engine, err) : status;
}

/* Why the engine was stopped is known to others. */
static int find_reason(struct child *c, int status, struct error *err)
{
    if (memory_is_short(c)) {
        c->shared->memory_short = true;
        return error_nomem(err);
    }
    if (!atomic_load(&c->pipeline.store_failed))
        return status;
    struct error why = {0};
    int of_store = store_commit(c->pipeline.store, &why);
    if (of_store != TD_OK)
        *err = why;
    return of_store != TD_OK ? of_store : status;
}

static int finish(struct child *c, struct error *err)
{
    struct buf more = {0};
    struct engine_stats stats;
    engine_stats(c->pipeline.engine, &stats);
    if (stats.flow.no_memory || stats.dissect.no_memory || memory_is_short(c)) {
        c->shared->memory_short = true;
        return error_nomem(err);
    }
    if (c->order.quarantine) {
        buf_lit(&more, ",\"quarantined\":");
        buf_puts(&more, c->order.quarantine);
    }
    int status = more.failed ? error_nomem(err) : pipeline_finish_store(&c->pipeline, buf_slice(&more), err);
    buf_clear(&more);
    atomic_store(&c->shared->packets, stats.packets);
    atomic_store(&c->shared->calls, store_appended(c->pipeline.store));
    c->shared->bytes = stats.bytes;
    /* Closed here, so that what cannot be written is told. */
    store_writer_free(c->pipeline.store);
    c->pipeline.store = NULL;
    return status;
}

static int run(struct child *c, struct error *err)
{
    int status = open_all(c, err);
    if (status != TD_OK)
        return status;
    atomic_store(&c->shared->state, DISSECTION_RUNNING);
    c->shared->measured = memory_in_use(c);
    for (size_t i = 0; i < c->order.node_n && status == TD_OK; i++) {
        atomic_store(&c->shared->node, (unsigned)i);
        status = run_node(c, &c->order.nodes[i], err);
    }
    return status == TD_OK ? finish(c, err) : find_reason(c, status, err);
}

/* ---- Beginning and end ---- */

/* Nothing but the three that were given, and the usual three. */
static int take_descriptors(struct child *c, int fd, struct error *err)
{
    (void)!syscall(SYS_close_range, (unsigned)(fd + CHILD_DESCRIPTORS), ~0u, 0);
    c->sandbox.socket = fd + CHILD_SOCKET;
    c->shared = mmap(NULL, sizeof(*c->shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd + CHILD_SHARED, 0);
    if (c->shared == MAP_FAILED)
        return error_set(err, TD_E_INTERNAL, "this is not for people to call: %s", strerror(errno));
    crash_report_to(c->shared);
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is an error like others */
    int status = dissection_order_read(fd + CHILD_REQUEST, &c->order, err);
    if (status == TD_OK && (c->order.threads < 1 || c->order.threads > ENGINE_MAX_THREADS))
        status = error_set(err, TD_E_INTERNAL, "%u threads", c->order.threads);
    if (SANDBOX_SANITIZED)
        c->order.memory = 0; /* they reserve more than there is */
    c->sandbox.memory = c->order.memory;
    c->sandbox.room = c->order.room;
    return status;
}

int dissection_child(int fd)
{
    struct error err = {0};
    struct child *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return 1;
    c->memory_fd = -1;
    int status = take_descriptors(c, fd, &err);
    if (c->shared == MAP_FAILED) {
        fprintf(stderr, "tapedeck: %s\n", err.text);
        return 1;
    }
    if (status == TD_OK && !follow_parent(c))
        return 1;
    if (status == TD_OK)
        status = run(c, &err);
    if (status != TD_OK) {
        c->shared->status = status;
        memcpy(c->shared->error, err.text, sizeof(err.text));
    }
    atomic_store(&c->shared->state, status == TD_OK ? DISSECTION_DONE : DISSECTION_FAILED);
    _exit(status == TD_OK ? 0 : 1); /* nothing is left to do that this process may still do */
}
