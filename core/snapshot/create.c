#include "base/clock.h"
#include "snapshot/create_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"

enum { PATIENCE_S = 60, WATCH_NS = 100 * NS_PER_MS, TELL_NS = 50 * NS_PER_MS };

/* ---- Small things that all parts need ---- */

int64_t create_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int create_fail_error(struct create *c, const struct error *err)
{
    pthread_mutex_lock(&c->lock);
    if (c->failure.status == TD_OK)
        c->failure = *err;
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->stop, true);
    return err->status;
}

int create_fail(struct create *c, int status, const char *fmt, ...)
{
    struct error err = {.status = status};
    va_list args;
    va_start(args, fmt);
    vsnprintf(err.text, sizeof(err.text), fmt, args);
    va_end(args);
    return create_fail_error(c, &err);
}

static struct timespec at(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* The watching thread says when it is time to end; here it is enough to look now and then. */
bool create_sleep(struct create *c, int64_t ns)
{
    int64_t until_ns = create_now() + ns;
    for (int64_t left; (left = until_ns - create_now()) > 0 && !atomic_load(&c->stop);) {
        const struct timespec nap = at(left < WATCH_NS ? left : WATCH_NS);
        nanosleep(&nap, NULL);
    }
    return !atomic_load(&c->stop);
}

int64_t create_backoff(unsigned attempt)
{
    uint32_t chance = 0;
    int64_t ns = (int64_t)100 * NS_PER_MS << (attempt < 6 ? attempt : 6);
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        chance = 0;
    return ns / 2 + (int64_t)((uint64_t)ns * (chance & 0xffff) >> 16) / 2;
}

int create_reserve(struct create *c, struct piece *p, uint64_t bytes)
{
    struct error err;
    if (bytes <= p->reserved)
        return TD_OK;
    uint64_t more = bytes - p->reserved;
    if (snapshots_reserve(c->snapshots, more, &err) != TD_OK)
        return create_fail_error(c, &err);
    p->reserved = bytes;
    pthread_mutex_lock(&c->lock);
    c->reserved += more;
    pthread_mutex_unlock(&c->lock);
    return TD_OK;
}

/* Lock held. */
static void tell_progress(struct create *c, bool now)
{
    const struct create_request *r = c->request;
    int64_t now_ns = create_now();
    if (!r->progress || (!now && now_ns - c->told_ns < TELL_NS))
        return;
    c->told_ns = now_ns;
    r->progress(r->ctx, c->done < c->all ? c->done : c->all, c->all);
}

void create_count(struct create *c, struct piece *p, uint64_t bytes)
{
    pthread_mutex_lock(&c->lock);
    c->done = c->done - p->counted + bytes;
    p->counted = bytes;
    tell_progress(c, false);
    pthread_mutex_unlock(&c->lock);
}

/* ---- Rounds ---- */

static void *visit_nodes(void *arg)
{
    struct create *c = arg;
    for (size_t i; (i = atomic_fetch_add(&c->next_node, 1)) < c->n && !atomic_load(&c->stop);)
        c->visit(c, &c->nodes[i]);
    pthread_mutex_lock(&c->lock);
    c->visiting--;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Passes the caller's cancel on to those who look at `stop`, until they are done. */
static void watch(struct create *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->visiting) {
        if (c->request->cancel && atomic_load(c->request->cancel))
            atomic_store(&c->stop, true);
        const struct timespec until = at(create_now() + WATCH_NS);
        pthread_cond_timedwait(&c->changed, &c->lock, &until);
    }
    pthread_mutex_unlock(&c->lock);
}

/* All nodes, some at once. */
static int visit_all(struct create *c, void (*visit)(struct create *, struct create_node *), struct error *err)
{
    size_t most = c->request->parallel ? c->request->parallel : CREATE_PARALLEL, n = 0;
    most = most < c->n ? most : c->n;
    pthread_t *threads = mem_calloc(most + 1, sizeof(*threads));
    if (!threads)
        return error_nomem(err);
    c->visit = visit;
    c->visiting = most;
    atomic_store(&c->next_node, 0);
    while (n < most && pthread_create(&threads[n], NULL, visit_nodes, c) == 0)
        n++;
    pthread_mutex_lock(&c->lock);
    c->visiting -= most - n;
    pthread_mutex_unlock(&c->lock);
    watch(c);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    mem_free(threads);
    if (c->request->cancel && atomic_load(c->request->cancel))
        return error_set(err, TD_E_CANCELLED, "creating snapshot %s was cancelled", c->request->name);
    if (c->failure.status != TD_OK)
        return error_set(err, c->failure.status, "%s", c->failure.text);
    return n || !c->n ? TD_OK : error_set(err, TD_E_NOMEM, "no thread can be started");
}

/* ---- The plan ---- */

static bool is_taken(const struct create *c, const struct create_node *except, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (&c->nodes[i] != except && strcmp(c->nodes[i].name, name) == 0)
            return true;
    return false;
}

/* For a worker that never told its name: "10.0.0.3:48999". */
static void name_by_address(const struct create *c, struct create_node *n)
{
    char base[CREATE_NAME - 16];
    const char *url = n->worker->url, *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    struct error why;
    snprintf(base, sizeof(base), "%.*s", (int)strcspn(host, "/?#"), host);
    if (manifest_check_node(base, &why) != TD_OK)
        snprintf(base, sizeof(base), "worker");
    snprintf(n->name, sizeof(n->name), "%s", base);
    for (unsigned i = 2; is_taken(c, n, n->name); i++)
        snprintf(n->name, sizeof(n->name), "%s (%u)", base, i);
}

/* Of two workers with one name the second is refused: their segments could not be told apart. */
static void check_names(struct create *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct create_node *n = &c->nodes[i];
        for (size_t k = 0; k < i && !n->missing; k++) {
            const struct create_node *other = &c->nodes[k];
            if (other->missing || strcmp(other->name, n->name) != 0)
                continue;
            snprintf(n->reason, sizeof(n->reason), "the worker at %.120s calls itself %s, as the one at %.120s does; set tap.node",
                     n->worker->url, n->name, other->worker->url);
            n->missing = true;
            n->status = TD_E_EXISTS;
            n->name[0] = 0;
        }
    }
    struct error why;
    for (size_t i = 0; i < c->n; i++) {
        struct create_node *n = &c->nodes[i];
        if (!n->missing)
            continue;
        n->name[0] = 0;
        if (n->status != TD_E_EXISTS && n->worker->node && manifest_check_node(n->worker->node, &why) == TD_OK &&
            !is_taken(c, n, n->worker->node))
            snprintf(n->name, sizeof(n->name), "%s", n->worker->node);
        else
            name_by_address(c, n);
        mem_free(n->pieces);
        n->pieces = NULL;
        n->n = 0;
    }
}

static bool has_kept(const struct create_node *n)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->pieces[i].kept)
            return true;
    return false;
}

/* Says what is available where the window is not, or TD_OK. */
static int check_window(struct create *c, struct error *err)
{
    char start[UNITS_TEXT], end[UNITS_TEXT];
    struct buf why, all;
    size_t bad = 0, lost = 0;
    int first = TD_OK;
    buf_init(&why, 0);
    buf_init(&all, 0);
    for (size_t i = 0; i < c->n; i++) {
        struct create_node *n = &c->nodes[i];
        buf_reset(&why);
        create_put_deficit(c, n, &why);
        if (!why.n || has_kept(n)) /* what was begun is not refused */
            continue;
        lost += n->missing || n->offer.covered_from_ns >= n->offer.covered_to_ns;
        first = first ? first : n->status;
        buf_printf(&all, "%snode %s: %s", bad++ ? "; " : "", n->name, buf_cstr(&why));
    }
    units_format_time(c->request->start_ns, start);
    units_format_time(c->request->end_ns, end);
    int status = TD_OK;
    if (c->n && lost == c->n)
        status = error_set(err, first == TD_E_RETRY || first == TD_E_DENIED ? first : TD_E_CONFIG,
                           "nothing of the window from %s to %s is there: %.800s", start, end, buf_cstr(&all));
    else if (bad && !c->request->allow_partial)
        status = error_set(err, TD_E_CONFIG,
                           "the window from %s to %s is not wholly there: %.700s; ask for what is there, or allow a partial snapshot",
                           start, end, buf_cstr(&all));
    buf_clear(&why);
    buf_clear(&all);
    return status;
}

/* Of every piece before the first byte is written. */
static int reserve_all(struct create *c, struct error *err)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->nodes[i].n; k++) {
            struct piece *p = &c->nodes[i].pieces[k];
            p->reserved = p->said.estimated_bytes + p->said.index_bytes;
            bytes += p->reserved;
            c->all += p->said.estimated_bytes;
        }
    int status = snapshots_reserve(c->snapshots, bytes, err);
    c->reserved = status == TD_OK ? bytes : 0;
    return status;
}

static int open_folders(struct create *c, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0; status == TD_OK && i < c->n; i++)
        status = create_open_folder(c, &c->nodes[i]);
    return status == TD_OK ? TD_OK : error_set(err, c->failure.status, "%s", c->failure.text);
}

/* ---- The work directory ---- */

static int open_work(struct create *c, struct error *err)
{
    const struct create_request *r = c->request;
    char path[OFFER_PATH];
    int n = snprintf(path, sizeof(path), "%s/%s", r->work_dir, r->id);
    if (n >= (int)sizeof(path))
        return error_set(err, TD_E_CONFIG, "%s: the path is too long", r->work_dir);
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return error_set(err, errno == ENOSPC ? TD_E_LIMIT : TD_E_DENIED, "%s: %s", path, strerror(errno));
    c->work_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return c->work_fd >= 0 ? TD_OK : error_set(err, TD_E_DENIED, "%s: %s", path, strerror(errno));
}

/* The files of a folder; `folders`: or its folders with their files. */
static int empty_folder(int parent_fd, const char *name, bool folders, struct error *err)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int status = dir ? TD_OK : error_set(err, TD_E_DENIED, "%s: %s", name, strerror(errno));
    if (!dir && fd >= 0)
        close(fd);
    for (const struct dirent *e; status == TD_OK && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int gone = unlinkat(dirfd(dir), e->d_name, 0);
        if (gone != 0 && (errno == EISDIR || errno == EPERM) && folders) {
            status = empty_folder(dirfd(dir), e->d_name, false, err);
            gone = status == TD_OK ? unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR) : 0;
        }
        if (gone != 0)
            status = error_set(err, TD_E_DENIED, "%s/%s: %s", name, e->d_name, strerror(errno));
    }
    if (dir)
        closedir(dir);
    return status;
}

static int remove_work(const char *work_dir, const char *id, struct error *err)
{
    int fd = open(work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TD_OK : error_set(err, TD_E_DENIED, "%s: %s", work_dir, strerror(errno));
    int status = TD_OK;
    if (faccessat(fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        status = empty_folder(fd, id, true, err);
        if (status == TD_OK && unlinkat(fd, id, AT_REMOVEDIR) != 0)
            status = error_set(err, TD_E_DENIED, "%s/%s: %s", work_dir, id, strerror(errno));
    }
    close(fd);
    return status;
}

int create_clean(struct snapshots *snapshots, const char *work_dir, const char *id, struct error *err)
{
    if (!manifest_is_id(id))
        return error_set(err, TD_E_CONFIG, "\"%.64s\" is no snapshot's id", id);
    int status = snapshots_has_id(snapshots, id) ? TD_OK : snapshots_clean(snapshots, id, err);
    int other = remove_work(work_dir, id, status == TD_OK ? err : NULL);
    return status == TD_OK ? other : status;
}

/* ---- The whole ---- */

static int init(struct create *c, struct snapshots *snapshots, const struct create_request *r, struct error *err)
{
    pthread_condattr_t monotonic;
    *c = (struct create){.snapshots = snapshots, .request = r, .work_fd = -1};
    c->patience_ns = r->patience_ns > 0 ? r->patience_ns : (int64_t)PATIENCE_S * NS_PER_S;
    snprintf(c->agent, sizeof(c->agent), "tapedeck/%.60s", r->version);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    c->nodes = mem_calloc(r->worker_count + 1, sizeof(*c->nodes));
    if (!c->nodes)
        return error_nomem(err);
    for (; c->n < r->worker_count; c->n++) {
        struct create_node *n = &c->nodes[c->n];
        n->worker = &r->workers[c->n];
        n->dir_fd = -1;
        n->error_ns = INT64_MAX;
        n->ring_from_ns = 1;
        pthread_mutex_init(&n->lock, NULL);
    }
    return TD_OK;
}

static void clear(struct create *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct create_node *n = &c->nodes[i];
        create_release(c, n);
        if (n->dir_fd >= 0)
            close(n->dir_fd);
        offer_clear(&n->offer);
        mem_free(n->pieces);
        pthread_mutex_destroy(&n->lock);
    }
    if (c->work_fd >= 0)
        close(c->work_fd);
    if (c->reserved)
        snapshots_release(c->snapshots, c->reserved);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->nodes);
}

static int check_request(const struct create_request *r, struct error *err)
{
    if (r->start_ns >= r->end_ns)
        return error_set(err, TD_E_CONFIG, "the window ends before it starts");
    if (!r->worker_count || r->worker_count > MANIFEST_MAX_NODES)
        return error_set(err, TD_E_CONFIG, "a snapshot is taken of 1 to %d nodes, not of %zu", MANIFEST_MAX_NODES, r->worker_count);
    return TD_OK;
}

static int take_all(struct create *c, struct error *err)
{
    pthread_t renewer;
    c->renewing = true;
    if (pthread_create(&renewer, NULL, create_renew, c) != 0)
        return error_set(err, TD_E_NOMEM, "no thread can be started");
    int status = visit_all(c, create_take, err);
    pthread_mutex_lock(&c->lock);
    c->renewing = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(renewer, NULL);
    pthread_mutex_lock(&c->lock);
    c->done = status == TD_OK ? c->all : c->done;
    tell_progress(c, true);
    pthread_mutex_unlock(&c->lock);
    return status;
}

static int run(struct create *c, struct error *err)
{
    int status = open_work(c, err);
    if (status == TD_OK)
        status = visit_all(c, create_ask, err);
    if (status != TD_OK)
        return status;
    check_names(c);
    status = open_folders(c, err);
    if (status == TD_OK)
        status = check_window(c, err);
    if (status == TD_OK)
        status = reserve_all(c, err);
    if (status == TD_OK)
        status = take_all(c, err);
    if (status == TD_OK)
        status = create_finish(c, err);
    return status;
}

int create_run(struct snapshots *snapshots, const struct create_request *r, struct error *err)
{
    struct create c;
    struct error why;
    if (!manifest_is_id(r->id))
        return error_set(err, TD_E_CONFIG, "\"%.64s\" is no snapshot's id", r->id);
    if (snapshots_has_id(snapshots, r->id)) /* an earlier run came to its end, and nobody noted it */
        return remove_work(r->work_dir, r->id, err);
    int status = manifest_check_name(r->name, err);
    if (status == TD_OK)
        status = check_request(r, err);
    if (status == TD_OK && snapshots_has_name(snapshots, r->name))
        status = error_set(err, TD_E_EXISTS, "there is a snapshot %s already; choose another name, or delete it first", r->name);
    if (status == TD_OK) {
        status = init(&c, snapshots, r, err);
        if (status == TD_OK)
            status = run(&c, err);
        clear(&c);
    }
    /* What cannot be removed here is an orphan, and goes at the next start. */
    if (status != TD_E_CANCELLED)
        (void)!create_clean(snapshots, r->work_dir, r->id, &why);
    return status;
}

/* ---- Estimates ---- */

static void estimate_node(const struct create *c, const struct create_node *n, struct create_estimate *e)
{
    const struct offer *h = &n->offer;
    struct buf why;
    buf_init(&why, 0);
    create_put_deficit(c, n, &why);
    bool has_some = !n->missing && h->covered_from_ns < h->covered_to_ns;
    *(!has_some ? &e->missing : why.n ? &e->partial : &e->whole) += 1;
    buf_clear(&why);
    if (!has_some)
        return;
    e->oldest_ns = h->covered_from_ns > e->oldest_ns ? h->covered_from_ns : e->oldest_ns;
    e->newest_ns = h->covered_to_ns < e->newest_ns ? h->covered_to_ns : e->newest_ns;
    for (size_t k = 0; k < h->segment_count; k++) {
        e->bytes += h->segments[k].estimated_bytes + h->segments[k].index_bytes;
        e->packets += h->segments[k].packets;
    }
}

int create_estimate(const struct create_request *r, struct create_estimate *ret, struct error *err)
{
    struct create c;
    struct create_estimate e = {.oldest_ns = INT64_MIN, .newest_ns = INT64_MAX};
    int status = check_request(r, err);
    if (status != TD_OK)
        return status;
    status = init(&c, NULL, r, err);
    if (status == TD_OK)
        status = visit_all(&c, create_ask, err);
    if (status == TD_OK)
        check_names(&c);
    for (size_t i = 0; status == TD_OK && i < c.n; i++)
        estimate_node(&c, &c.nodes[i], &e);
    if (e.missing) {
        e.oldest_ns = INT64_MAX;
        e.newest_ns = INT64_MIN;
    }
    clear(&c);
    if (status == TD_OK)
        *ret = e;
    return status;
}
