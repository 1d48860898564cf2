/* The parent of a dissection: sends the child off, hands it files, looks after it, and decides what follows when it has died. */
#include "base/clock.h"
#include "dissect/dissection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store.h"
#include "dissect/dissection_shared.h"
#include "dissect/pipeline.h"
#include "dissect/sandbox.h"
#include "dissect/sandbox_filter.h"

enum {
    TICK_MS = 50, /* between two looks at the child */
    DEFAULT_CRASHES = 16,
    DEFAULT_STALL_S = 20,
    DEFAULT_IDLE_S = 600,
    STALLS_ASLEEP = 3,     /* so much longer, on the clock, may a thread sleep in a dissector, or all of them elsewhere */
    WRITE_BYTES = 8 << 20, /* of the store: so often the disk is set to work */
    FIRST_FREE = 16        /* descriptors below are the child's */
};

/* What is remembered of a slot between two looks. */
struct look {
    uint64_t beat;
    int64_t since_ns, cpu_ns; /* when it was first seen so, and the thread's processor time then; -1: not yet read */
};

/* What changes as long as the child gets anywhere. */
enum { SIGN_STEPS, SIGN_BYTES, SIGN_PACKETS, SIGN_CALLS, SIGN_SIZE, SIGN_WRITTEN, SIGNS };

struct idle {
    uint64_t signs[SIGNS];
    int64_t cpu_ns, asleep_ns, looked_ns; /* processor time when they were first seen so, -1: not yet read; asleep since; the last look */
};

struct file { /* of all nodes, in the order in which the child asks */
    const char *path;
    uint64_t size;
};

struct dissection {
    const struct dissection_request *request;
    char out_dir[PATH_MAX], final[PATH_MAX], temporary[PATH_MAX];
    struct file *files;
    size_t file_n;
    uint64_t all_bytes, memory;
    int64_t max_stall_ns, max_idle_ns;
    unsigned threads, max_crashes;
    uint64_t banned[DISSECTION_MAX_QUARANTINE]; /* ascending */
    bool measure;                               /* the next run has one thread, and looks for who has the memory */
    struct dissection_result *result;

    /* One run. */
    struct dissection_shared *shared;
    int shared_fd, socket, child_socket, pidfd;
    pid_t pid;
    struct look looks[ENGINE_MAX_THREADS];
    struct idle idle;
    struct error file_error;         /* of a file that the child asked for */
    uint64_t told_bytes, data_bytes; /* of progress; of memory, at the last look */
    uint64_t written_bytes;          /* of the store, that the disk was set to work on */
};

enum ending { ENDED, ENDED_BY_SIGNAL, HUNG, IDLE, CANCELLED };

struct outcome {
    enum ending how;
    int signal, exit_status;
    int hung; /* slot */
};

/* ---- The request ---- */

static void put_key(struct buf *out, const char *key)
{
    if (out->n > 1)
        buf_putc(out, ',');
    json_put_string(out, td_str(key));
    buf_putc(out, ':');
}

static void put_text(struct buf *out, const char *key, struct td_slice text)
{
    put_key(out, key);
    json_put_string(out, text);
}

static void put_number(struct buf *out, const char *key, uint64_t number)
{
    put_key(out, key);
    buf_u64(out, number);
}

static void put_nodes(struct buf *out, const struct dissection_request *r)
{
    put_key(out, "nodes");
    buf_putc(out, '[');
    for (size_t i = 0; i < r->node_count; i++) {
        buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
        json_put_string(out, td_str(r->nodes[i].name ? r->nodes[i].name : ""));
        buf_lit(out, ",\"captures\":[");
        for (size_t j = 0; j < r->nodes[i].path_count; j++) {
            if (j)
                buf_putc(out, ',');
            json_put_string(out, td_str(r->nodes[i].paths[j]));
        }
        buf_lit(out, "]}");
    }
    buf_putc(out, ']');
}

static void put_banned(struct buf *out, const struct dissection *d)
{
    put_key(out, "banned");
    buf_putc(out, '[');
    for (size_t i = 0; i < d->result->quarantined_count; i++) {
        if (i)
            buf_putc(out, ',');
        buf_u64(out, d->banned[i]);
    }
    buf_putc(out, ']');
}

/* For the store's summary, so that it says by itself what is not in it. */
static void put_quarantine(struct buf *out, const struct dissection_result *result)
{
    struct buf list = {0};
    buf_putc(&list, '[');
    for (size_t i = 0; i < result->quarantined_count; i++) {
        const struct dissection_quarantined *q = &result->quarantined[i];
        buf_puts(&list, i ? ",{\"node\":" : "{\"node\":");
        json_put_string(&list, td_str(q->node));
        buf_lit(&list, ",\"connection\":");
        json_put_string(&list, td_str(q->connection));
        buf_lit(&list, ",\"dissector\":");
        json_put_string(&list, td_str(q->dissector));
        buf_lit(&list, ",\"why\":");
        json_put_string(&list, td_str(q->why));
        buf_putc(&list, '}');
    }
    buf_putc(&list, ']');
    if (result->quarantined_count)
        put_text(out, "quarantine", buf_slice(&list));
    out->failed |= list.failed;
    buf_clear(&list);
}

/* As `tapedeck dissect` has it, for those who have nothing to say of their own. */
static void put_default_about(struct buf *out, const struct dissection *d)
{
    struct buf about = {0};
    buf_lit(&about, "{\"captures\":[");
    for (size_t i = 0; i < d->file_n; i++) {
        char *path = realpath(d->files[i].path, NULL);
        if (i)
            buf_putc(&about, ',');
        json_put_string(&about, td_str(path ? path : d->files[i].path));
        free(path);
    }
    buf_lit(&about, "],\"bpf\":\"\",\"filter\":\"\"}");
    put_text(out, "about", buf_slice(&about));
    out->failed |= about.failed;
    buf_clear(&about);
}

static void put_request(struct buf *out, const struct dissection *d)
{
    const struct dissection_request *r = d->request;
    struct buf config = {0};
    dissection_put_config(r->config, &config);
    buf_putc(out, '{');
    put_number(out, "parent", (uint64_t)getpid());
    put_text(out, "config", buf_slice(&config));
    if (r->config->file)
        put_text(out, "config_file", td_str(r->config->file));
    put_text(out, "out", td_str(d->temporary));
    if (r->about.n)
        put_text(out, "about", r->about);
    else
        put_default_about(out, d);
    put_quarantine(out, d->result);
    put_number(out, "threads", d->measure ? 1 : d->threads);
    put_number(out, "memory", d->memory);
    put_number(out, "room", r->max_bytes < INT64_MAX ? r->max_bytes : 0);
    put_key(out, "payloads");
    buf_puts(out, r->payloads ? "true" : "false");
    put_key(out, "measure");
    buf_puts(out, d->measure ? "true" : "false");
    put_banned(out, d);
    put_nodes(out, r);
    buf_putc(out, '}');
    out->failed |= config.failed;
    buf_clear(&config);
}

/* A descriptor of memory, away from the numbers that the child will use. */
static int make_memory(const char *name, struct error *err)
{
    int low = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), fd = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, FIRST_FREE) : -1;
    if (fd < 0)
        error_set(err, TD_E_LIMIT, "a dissection cannot begin: %s", strerror(errno));
    if (low >= 0)
        close(low);
    return fd;
}

/* Nobody makes it shorter, which would end whoever looks at it with SIGBUS, nor longer, which no limit of memory would count. */
static int seal_memory(int fd, struct error *err)
{
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return TD_OK;
    return error_set(err, TD_E_LIMIT, "a dissection cannot begin: %s", strerror(errno));
}

static int write_request(const struct dissection *d, int *ret_fd, struct error *err)
{
    struct buf text = {0};
    put_request(&text, d);
    int fd = text.failed ? -1 : make_memory("dissection", err), status = text.failed ? error_nomem(err) : fd < 0 ? TD_E_LIMIT : TD_OK;
    for (size_t at = 0; status == TD_OK && at < text.n;) {
        ssize_t n = write(fd, text.p + at, text.n - at);
        if (n < 0 && errno != EINTR)
            status = error_set(err, TD_E_LIMIT, "a dissection cannot begin: %s", strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&text);
    if (status == TD_OK)
        status = seal_memory(fd, err);
    if (status != TD_OK && fd >= 0)
        close(fd);
    *ret_fd = fd;
    return status;
}

/* ---- Starting ---- */

/* [between fork and exec: only what is safe in a copy of a process with threads] */
_Noreturn static void become_child(const int *descriptors, char *const *argv, char *const *environment)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* rights that the program's file may give are not for this one */
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) { /* if memory is short, this is what may go */
        (void)!write(fd, "1000", 4);
        close(fd);
    }
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        _exit(127);
    for (int i = 0; i < CHILD_DESCRIPTORS; i++)
        if (dup2(descriptors[i], STDERR_FILENO + 1 + i) < 0)
            _exit(127);
    execve("/proc/self/exe", argv, environment);
    _exit(127);
}

/* Nothing of the environment but where plugins are, and what sanitizers are told: keys may stand there. */
static void choose_environment(char *out[8])
{
    static const char *const kept[] = {REGISTRY_PATH_ENV "=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="};
    size_t n = 0;
    for (char **p = environ; *p; p++)
        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
            if (strncmp(*p, kept[i], strlen(kept[i])) == 0 && n < 7)
                out[n++] = *p;
    out[n] = NULL;
}

static int open_shared(struct dissection *d, struct error *err)
{
    d->shared_fd = make_memory("dissection-progress", err);
    if (d->shared_fd < 0)
        return TD_E_LIMIT;
    if (ftruncate(d->shared_fd, sizeof(*d->shared)) == 0) {
        d->shared = mmap(NULL, sizeof(*d->shared), PROT_READ | PROT_WRITE, MAP_SHARED, d->shared_fd, 0);
        if (d->shared != MAP_FAILED)
            return seal_memory(d->shared_fd, err);
    }
    d->shared = NULL;
    return error_set(err, TD_E_LIMIT, "a dissection cannot begin: %s", strerror(errno));
}

static int open_sockets(struct dissection *d, struct error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return error_set(err, TD_E_LIMIT, "a dissection cannot begin: %s", strerror(errno));
    d->socket = pair[0];
    d->child_socket = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_FREE);
    int why = errno;
    close(pair[1]);
    return d->child_socket >= 0 ? TD_OK : error_set(err, TD_E_LIMIT, "a dissection cannot begin: %s", strerror(why));
}

static int start(struct dissection *d, struct error *err)
{
    char verb[] = DISSECTION_VERB, name[] = "tapedeck", number[] = "3", *argv[] = {name, verb, number, NULL}, *environment[8];
    int request = -1, status = open_shared(d, err);
    if (status == TD_OK)
        status = open_sockets(d, err);
    if (status == TD_OK)
        status = write_request(d, &request, err);
    if (status != TD_OK)
        return status;
    choose_environment(environment);
    const int descriptors[CHILD_DESCRIPTORS] = {request, d->shared_fd, d->child_socket};
    d->pid = fork();
    if (d->pid == 0)
        become_child(descriptors, argv, environment);
    if (d->pid < 0)
        status = error_set(err, TD_E_LIMIT, "a dissection cannot begin: no process can be made: %s", strerror(errno));
    else
        d->pidfd = (int)syscall(SYS_pidfd_open, d->pid, 0);
    close(request);
    close(d->child_socket); /* so that the child's end is seen */
    d->child_socket = -1;
    return status;
}

static void end_run(struct dissection *d)
{
    if (d->pid > 0) {
        kill(d->pid, SIGKILL);
        while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (d->shared)
        munmap(d->shared, sizeof(*d->shared));
    const int fds[] = {d->shared_fd, d->socket, d->child_socket, d->pidfd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    d->pid = 0;
    d->shared = NULL;
    d->shared_fd = d->socket = d->child_socket = d->pidfd = -1;
}

/* ---- Files ---- */

static int open_file(struct dissection *d, uint32_t number)
{
    struct stat info;
    if (number >= d->file_n)
        return -1;
    const char *path = d->files[number].path;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int status = errno == ENOENT ? TD_E_NOT_FOUND : errno == EACCES ? TD_E_DENIED : TD_E_INTERNAL;
        error_set(&d->file_error, status, "%s: cannot open: %s", path, strerror(errno));
    } else if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        error_set(&d->file_error, TD_E_UNSUPPORTED, "%s: is no regular file", path);
        close(fd);
        fd = -1;
    }
    return fd;
}

static void hand_over(struct dissection *d)
{
    uint32_t number;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    if (recv(d->socket, &number, sizeof(number), MSG_DONTWAIT) != sizeof(number))
        return;
    int fd = open_file(d, number), problem = fd < 0;
    struct iovec part = {&problem, sizeof(problem)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    }
    (void)!sendmsg(d->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (fd >= 0)
        close(fd);
}

/* ---- Looking after it ---- */

/* Processor time and state of a thread, or of all together and of the first; false: it is gone. */
static bool read_stat(const char *path, int64_t *ret_cpu_ns, char *ret_state)
{
    char text[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    char *p = strrchr(text, ')');
    if (!p || p[1] != ' ' || !p[2])
        return false;
    *ret_state = p[2];
    p += 3;
    for (int i = 4; i < 14; i++) { /* proc(5): up to utime, the 14th */
        while (*p == ' ')
            p++;
        p += strcspn(p, " ");
    }
    uint64_t ticks = strtoull(p, &p, 10);
    ticks += strtoull(p, NULL, 10);
    *ret_cpu_ns = (int64_t)(ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK)));
    return true;
}

static bool read_thread(const struct dissection *d, int thread, int64_t *ret_cpu_ns, char *ret_state)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)d->pid, thread);
    return read_stat(path, ret_cpu_ns, ret_state);
}

/* Has the slot's thread been with the same call for too long? It is its own time that counts: on a busy machine it may get little. */
static bool is_hung(struct dissection *d, unsigned i, int64_t now)
{
    const struct watch_slot *s = &d->shared->slots[i];
    struct look *l = &d->looks[i];
    uint64_t beat = atomic_load(&s->beat);
    int64_t cpu;
    char state;
    if (!atomic_load(&s->inside) || beat != l->beat) {
        *l = (struct look){beat, now, -1};
        return false;
    }
    if (!read_thread(d, atomic_load(&s->thread), &cpu, &state))
        return false;
    if (l->cpu_ns < 0)
        l->cpu_ns = cpu;
    if (cpu - l->cpu_ns >= d->max_stall_ns)
        return true;
    if (state != 'S') /* it waits for the disk, or for a processor */
        l->since_ns = now;
    return now - l->since_ns >= STALLS_ASLEEP * d->max_stall_ns;
}

static void read_signs(const struct dissection *d, uint64_t signs[SIGNS])
{
    const struct dissection_shared *shared = d->shared;
    struct stat info;
    bool there = lstat(d->temporary, &info) == 0;
    signs[SIGN_STEPS] = 0;
    for (unsigned i = 0; i < ENGINE_MAX_THREADS; i++)
        signs[SIGN_STEPS] += atomic_load(&shared->slots[i].beat);
    signs[SIGN_BYTES] = atomic_load(&shared->done_bytes);
    signs[SIGN_PACKETS] = atomic_load(&shared->packets);
    signs[SIGN_CALLS] = atomic_load(&shared->calls);
    signs[SIGN_SIZE] = there ? (uint64_t)info.st_size : 0;
    signs[SIGN_WRITTEN] = there ? (uint64_t)info.st_mtim.tv_sec * NS_PER_S + (uint64_t)info.st_mtim.tv_nsec : 0;
}

/* Has the child got nowhere for too long, wherever it is? As with one thread, waiting for the disk or a processor does not count, nor does
 * being stopped. */
static bool is_idle(struct dissection *d, int64_t now)
{
    uint64_t signs[SIGNS];
    struct idle *idle = &d->idle;
    char path[64], state;
    int64_t cpu;
    read_signs(d, signs);
    if (memcmp(signs, idle->signs, sizeof(signs)) != 0 || !idle->looked_ns) {
        *idle = (struct idle){.cpu_ns = -1, .looked_ns = now};
        memcpy(idle->signs, signs, sizeof(signs));
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)d->pid);
    if (!read_stat(path, &cpu, &state))
        return false;
    if (idle->cpu_ns < 0)
        idle->cpu_ns = cpu;
    idle->asleep_ns += state == 'S' ? now - idle->looked_ns : 0;
    idle->looked_ns = now;
    return cpu - idle->cpu_ns >= d->max_idle_ns || idle->asleep_ns >= STALLS_ASLEEP * d->max_idle_ns;
}

/* proc(5), statm: the sixth number, in pages. */
static void read_memory(struct dissection *d)
{
    char path[64], text[256];
    if (SANDBOX_SANITIZED)
        return; /* they reserve more than there is */
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)d->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return;
    text[n] = 0;
    char *p = text;
    for (int i = 1; i < 6; i++)
        (void)strtoull(p, &p, 10);
    uint64_t bytes = strtoull(p, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    d->data_bytes = bytes ? bytes : d->data_bytes; /* 0: it is dead, and this is what it had */
}

/* Sets the disk to work on what the store has got, so that whoever makes it durable has not all of it to wait for. */
static void start_writing(struct dissection *d)
{
    uint64_t size = d->idle.signs[SIGN_SIZE];
    if (size < d->written_bytes) /* a child that came after another one */
        d->written_bytes = 0;
    if (size - d->written_bytes < WRITE_BYTES)
        return;
    int fd = open(d->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    close(fd);
    d->written_bytes = size;
}

static void tell_progress(struct dissection *d)
{
    const struct dissection_request *r = d->request;
    uint64_t done = atomic_load(&d->shared->done_bytes);
    if (!r->progress || done == d->told_bytes)
        return;
    d->told_bytes = done;
    r->progress(r->ctx, done < d->all_bytes ? done : d->all_bytes, d->all_bytes, atomic_load(&d->shared->packets),
                atomic_load(&d->shared->calls));
}

/* Has it ended? Then how. */
static bool reap(struct dissection *d, struct outcome *ret)
{
    int status;
    pid_t pid = waitpid(d->pid, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return false;
    d->pid = 0;
    bool by_signal = pid > 0 && WIFSIGNALED(status);
    *ret = (struct outcome){.how = by_signal ? ENDED_BY_SIGNAL : ENDED,
                            .signal = by_signal ? WTERMSIG(status) : 0,
                            .exit_status = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    return true;
}

/* Waits for a file to be asked for, for the child's end, or until it is time to look at it. True: it may have ended. */
static bool await_child(struct dissection *d, int64_t until_ns)
{
    struct pollfd waiting[] = {{.fd = d->socket, .events = POLLIN}, {.fd = d->pidfd, .events = POLLIN}};
    int64_t left = until_ns - clock_ns(CLOCK_MONOTONIC);
    struct timespec wait = {.tv_nsec = left > 0 ? (long)left : 0};
    if (ppoll(waiting, 2, &wait, NULL) <= 0)
        return false;
    if (waiting[0].revents & POLLHUP) {
        if (d->pidfd >= 0) { /* it has closed its end, and will be gone soon, which is told by the other */
            close(d->socket);
            d->socket = -1;
        } else {
            (void)poll(NULL, 0, 1);
        }
        return true;
    }
    if (waiting[0].revents)
        hand_over(d);
    return waiting[1].revents != 0;
}

static struct outcome look_after(struct dissection *d)
{
    struct outcome ret = {.hung = -1};
    for (int64_t next = clock_ns(CLOCK_MONOTONIC) + TICK_MS * NS_PER_MS;;) {
        if (await_child(d, next) && reap(d, &ret))
            return ret;
        if (d->request->cancel && atomic_load(d->request->cancel))
            return (struct outcome){.how = CANCELLED};
        int64_t now = clock_ns(CLOCK_MONOTONIC);
        if (now < next)
            continue;
        next = now + TICK_MS * NS_PER_MS;
        if (reap(d, &ret))
            return ret;
        tell_progress(d);
        read_memory(d);
        for (unsigned i = 0; i < ENGINE_MAX_THREADS; i++)
            if (is_hung(d, i, now))
                return (struct outcome){.how = HUNG, .hung = (int)i};
        if (is_idle(d, now))
            return (struct outcome){.how = IDLE, .hung = -1};
        start_writing(d);
    }
}

static void kill_child(struct dissection *d)
{
    if (d->pid <= 0)
        return;
    kill(d->pid, SIGKILL);
    while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    d->pid = 0;
}

/* ---- What follows ---- */

/* The slot of the thread that the process died of; NULL: nobody was at a connection, or it cannot be told who. */
static const struct watch_slot *find_slot(const struct dissection *d, const struct outcome *o)
{
    const struct dissection_shared *shared = d->shared;
    const struct watch_slot *found = NULL;
    int thread = o->how == HUNG ? o->hung : atomic_load(&shared->signal) ? shared->thread : -1;
    if (thread >= 0 && thread < ENGINE_MAX_THREADS)
        return atomic_load(&shared->slots[thread].inside) ? &shared->slots[thread] : NULL;
    for (unsigned i = 0; i < ENGINE_MAX_THREADS; i++) {
        if (!atomic_load(&shared->slots[i].inside))
            continue;
        if (found)
            return NULL;
        found = &shared->slots[i];
    }
    return found;
}

static void describe(const struct dissection *d, const struct outcome *o, char out[128])
{
    char text[UNITS_TEXT];
    int call = atomic_load(&d->shared->system_call) - 1;
    int number = o->how == ENDED_BY_SIGNAL ? o->signal : 0;
    const char *name = number ? sigabbrev_np(number) : NULL;
    if (o->how == HUNG)
        snprintf(out, 128, "did not come back within %s", units_format_duration(d->max_stall_ns, text));
    else if (o->how == IDLE)
        snprintf(out, 128, "got nowhere within %s", units_format_duration(d->max_idle_ns, text));
    else if (number == SIGSYS && call >= 0 && sandbox_call_name(call))
        snprintf(out, 128, "SIGSYS: tried the system call %s, which the sandbox refuses", sandbox_call_name(call));
    else if (number == SIGSYS && call >= 0)
        snprintf(out, 128, "SIGSYS: tried the system call %d, which the sandbox refuses", call);
    else if (name)
        snprintf(out, 128, "SIG%s", name);
    else if (number)
        snprintf(out, 128, "signal %d", number);
    else
        snprintf(out, 128, "ended the process with status %d", o->exit_status);
}

static int give_up(struct error *err, const char *why)
{
    return error_set(err, TD_E_INTERNAL, "the dissection failed: %s", why);
}

/* Puts a connection into quarantine, so that the next run does without it. */
static int quarantine(struct dissection *d, const struct dissection_suspect *suspect, const char *why, struct error *err)
{
    struct dissection_result *result = d->result;
    const struct dissection_request *r = d->request;
    size_t n = result->quarantined_count, at = n;
    unsigned node = atomic_load(&d->shared->node);
    uint16_t dissector = suspect->dissector;
    char text[320];
    struct dissection_quarantined q = {0};
    dissection_connection_text(suspect, q.connection, sizeof(q.connection));
    for (size_t i = 0; i < n; i++)
        if (d->banned[i] == suspect->flow) {
            snprintf(text, sizeof(text), "%s at %s, although that was left out", why, q.connection);
            return give_up(err, text);
        }
    if (++result->crashes > d->max_crashes || n == DISSECTION_MAX_QUARANTINE) {
        snprintf(text, sizeof(text), "it was begun %u times; the last one ended at %s: %s", result->crashes, q.connection, why);
        return give_up(err, text);
    }
    snprintf(q.node, sizeof(q.node), "%s", node < r->node_count && r->nodes[node].name ? r->nodes[node].name : "");
    snprintf(q.why, sizeof(q.why), "%s", why);
    if (dissector < DISSECTOR_MAX && dissector < d->shared->dissector_n)
        snprintf(q.dissector, sizeof(q.dissector), "%.*s", (int)sizeof(q.dissector) - 1, d->shared->dissectors[dissector]);
    result->quarantined[n] = q;
    result->quarantined_count = n + 1;
    for (; at > 0 && d->banned[at - 1] > suspect->flow; at--)
        d->banned[at] = d->banned[at - 1];
    d->banned[at] = suspect->flow;
    d->measure = false;
    return TD_OK;
}

static struct dissection_suspect suspect_of(const struct watch_slot *slot)
{
    return (struct dissection_suspect){slot->flow, slot->key, slot->client, slot->dissector};
}

/* Memory is used up. Who has it is found in a run of its own, one thread that measures: a connection that got more than half of all, with
 * events that have ended or with the one that has not. */
static int after_shortage(struct dissection *d, const struct outcome *o, struct error *err)
{
    char text[UNITS_TEXT];
    const struct dissection_shared *shared = d->shared;
    const struct watch_slot *slot = find_slot(d, o);
    struct dissection_suspect suspect = shared->eater;
    uint64_t all = d->data_bytes && d->data_bytes < d->memory ? d->data_bytes : d->memory;
    uint64_t recent = slot && d->data_bytes > shared->measured ? d->data_bytes - shared->measured : 0;
    if (!d->measure) {
        d->measure = true;
        return TD_OK;
    }
    if (recent >= all / 2)
        suspect = suspect_of(slot);
    if (recent >= all / 2 || shared->eaten >= all / 2)
        return quarantine(d, &suspect, "out of memory", err);
    return error_set(err, TD_E_LIMIT,
                     "the dissection needs more memory than there is for it, %s, and no single connection is at fault; "
                     "tap.delayedDissection.memory sets the limit",
                     units_format_size(d->memory, text));
}

static int after_crash(struct dissection *d, const struct outcome *o, struct error *err)
{
    char why[128], text[256];
    const struct watch_slot *slot = find_slot(d, o);
    /* The kernel kills when memory is short. Who crashes then may be anybody who did not get any. */
    bool killed = o->how == ENDED_BY_SIGNAL && o->signal == SIGKILL, full = d->data_bytes > d->memory - d->memory / 8;
    describe(d, o, why);
    if (killed || (full && !d->measure))
        return after_shortage(d, o, err);
    bool starting = atomic_load(&d->shared->state) == DISSECTION_STARTING;
    if (!slot && !starting && d->threads > 1 && !d->measure &&
        o->how != IDLE) { /* who ends the process leaves no trace; a thread alone is found */
        d->measure = true;
        return TD_OK;
    }
    if (!slot) {
        snprintf(text, sizeof(text), "%s, %s", why, starting ? "while it was begun" : "and at no connection");
        d->result->crashes++;
        return give_up(err, text);
    }
    struct dissection_suspect suspect = suspect_of(slot);
    return quarantine(d, &suspect, why, err);
}

/* Did the store get as large as it may be? What SQLite had not yet written is less than this. */
static bool is_full(const struct dissection *d)
{
    const uint64_t pending = 1 << 20, most = d->request->max_bytes;
    struct stat info;
    return most && lstat(d->temporary, &info) == 0 && info.st_size >= 0 && (uint64_t)info.st_size + pending >= most;
}

/* What the child said itself. */
static int after_failure(struct dissection *d, const struct outcome *o, struct error *err)
{
    int status = d->shared->status;
    char text[sizeof(d->shared->error)], size[UNITS_TEXT];
    if (d->file_error.status != TD_OK) {
        *err = d->file_error;
        return err->status;
    }
    if (d->shared->memory_short)
        return after_shortage(d, o, err);
    if (status == TD_E_LIMIT && is_full(d))
        return error_set(err, TD_E_LIMIT,
                         "no room: the calls take more than the %s that are left for them; delete snapshots or dissections, or raise "
                         "tap.snapshots.local.storageSize if the disk has more",
                         units_format_size(d->request->max_bytes, size));
    memcpy(text, d->shared->error, sizeof(text));
    text[sizeof(text) - 1] = 0;
    if (status == TD_E_NOMEM || status >= TD_OK)
        status = status == TD_E_NOMEM ? TD_E_LIMIT : TD_E_INTERNAL;
    return error_set(err, status, "%s", text);
}

/* ---- The end ---- */

static int sync_path(const char *path, int flags, struct error *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int status = errno == ENOSPC || errno == EDQUOT ? TD_E_LIMIT : TD_E_INTERNAL;
        error_set(err, status, "%s: cannot be made durable: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    close(fd);
    return TD_OK;
}

static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS) /* a file system that cannot do it */
        return -1;
    return link(from, to) == 0 && unlink(from) == 0 ? 0 : -1;
}

/* The store must be what it says, before it gets its name. */
static int take_result(struct dissection *d, struct error *err)
{
    struct dissection_result *ret = d->result;
    struct store *store = NULL;
    int status = d->request->work_file ? TD_OK : sync_path(d->temporary, O_RDONLY, err);
    if (status == TD_OK)
        status = store_open(d->temporary, &store, err);
    if (status != TD_OK)
        return status;
    if (store_state(store) != STORE_COMPLETE)
        status = error_set(err, TD_E_INTERNAL, "%s: the child says that it is complete, but it is not", d->temporary);
    ret->packets = atomic_load(&d->shared->packets);
    ret->bytes = d->shared->bytes;
    ret->calls = store_count(store);
    ret->damaged = d->shared->damaged;
    if (ret->summary)
        buf_put_slice(ret->summary, store_summary(store));
    if (ret->summary && ret->summary->failed)
        status = error_nomem(err);
    store_free(store);
    if (status == TD_OK && rename_new(d->temporary, d->final) != 0)
        status = error_set(err, errno == EEXIST ? TD_E_EXISTS : TD_E_INTERNAL, "%s: %s", d->final, strerror(errno));
    if (status != TD_OK || d->request->work_file)
        return status;
    status = sync_path(d->out_dir, O_RDONLY | O_DIRECTORY, err);
    if (status != TD_OK)
        unlink(d->final);
    return status;
}

static int finish_run(struct dissection *d, struct error *err)
{
    const struct dissection_request *r = d->request;
    int status = take_result(d, err);
    if (status == TD_OK && r->progress)
        r->progress(r->ctx, d->all_bytes, d->all_bytes, d->result->packets, d->result->calls);
    return status;
}

/* One run of the child. *ret_again: something was learnt from its end. */
static int run_once(struct dissection *d, bool *ret_again, struct error *err)
{
    memset(d->looks, 0, sizeof(d->looks));
    d->idle = (struct idle){.cpu_ns = -1};
    d->told_bytes = d->data_bytes = 0;
    *ret_again = false;
    int status = start(d, err);
    if (status == TD_OK) {
        struct outcome o = look_after(d);
        kill_child(d);
        int state = atomic_load(&d->shared->state);
        if (o.how == CANCELLED)
            status = error_set(err, TD_E_CANCELLED, "the dissection was stopped");
        else if (o.how == ENDED && o.exit_status == 0 && state == DISSECTION_DONE)
            status = finish_run(d, err);
        else {
            status = o.how == ENDED && state == DISSECTION_FAILED ? after_failure(d, &o, err) : after_crash(d, &o, err);
            *ret_again = status == TD_OK;
        }
    }
    end_run(d);
    return status;
}

/* ---- Preparing ---- */

static int list_files(struct dissection *d, struct error *err)
{
    const struct dissection_request *r = d->request;
    size_t n = 0;
    for (size_t i = 0; i < r->node_count; i++)
        n += r->nodes[i].path_count;
    d->files = mem_calloc(n, sizeof(*d->files));
    if (!d->files)
        return error_nomem(err);
    for (size_t i = 0; i < r->node_count; i++)
        for (size_t j = 0; j < r->nodes[i].path_count; j++) {
            struct stat info;
            const char *path = r->nodes[i].paths[j];
            uint64_t size = stat(path, &info) == 0 && info.st_size > 0 ? (uint64_t)info.st_size : 0;
            d->files[d->file_n++] = (struct file){path, size};
            d->all_bytes += size;
        }
    return TD_OK;
}

static int name_output(struct dissection *d, struct error *err)
{
    const struct dissection_request *r = d->request;
    struct stat info;
    if (!realpath(r->out_dir, d->out_dir))
        return error_set(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "%s: %s", r->out_dir, strerror(errno));
    int n = snprintf(d->final, sizeof(d->final), "%s/%s", d->out_dir, r->out_name);
    int m = snprintf(d->temporary, sizeof(d->temporary), "%s/%s.tmp", d->out_dir, r->out_name);
    if (n < 0 || m < 0 || m >= (int)sizeof(d->temporary))
        return error_set(err, TD_E_LIMIT, "%.64s...: the path is too long", d->out_dir);
    if (!json_is_utf8(td_str(d->final)))
        return error_set(err, TD_E_UNSUPPORTED, "%s: a path that is no UTF-8", d->final);
    if (lstat(d->final, &info) == 0)
        return error_set(err, TD_E_EXISTS, "%s: there is a file already", d->final);
    return TD_OK;
}

static void set_limits(struct dissection *d)
{
    const struct dissection_request *r = d->request;
    unsigned processors = 0;
    d->memory = r->max_memory ? r->max_memory : r->config->delayed_dissection.memory;
    d->max_stall_ns = r->max_stall_ns ? r->max_stall_ns : (int64_t)DEFAULT_STALL_S * NS_PER_S;
    d->max_idle_ns = r->max_idle_ns ? r->max_idle_ns : (int64_t)DEFAULT_IDLE_S * NS_PER_S;
    d->max_crashes = r->max_crashes ? r->max_crashes : DEFAULT_CRASHES;
    d->threads = pipeline_threads(r->config, 0);
    if (config_processors(r->config->delayed_dissection.cpu, &processors) && processors && processors < d->threads)
        d->threads = processors;
}

int dissection_run(const struct dissection_request *request, struct dissection_result *ret, struct error *err)
{
    struct buf *summary = ret->summary;
    struct dissection *d = mem_calloc(1, sizeof(*d));
    bool again = true;
    if (!d)
        return error_nomem(err);
    *ret = (struct dissection_result){.summary = summary};
    d->request = request;
    d->result = ret;
    d->shared_fd = d->socket = d->child_socket = d->pidfd = -1;
    set_limits(d);
    int status = name_output(d, err);
    bool named = status == TD_OK;
    if (status == TD_OK)
        status = list_files(d, err);
    while (status == TD_OK && again)
        status = run_once(d, &again, err);
    if (named && status != TD_OK)
        unlink(d->temporary);
    mem_free(d->files);
    mem_free(d);
    return status;
}

void dissection_sandbox_text(char out[128])
{
    sandbox_describe(out);
}
