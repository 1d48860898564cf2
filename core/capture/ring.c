/* The ring's life, its accounts, recycling and pins. */
#include "ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"

enum { AWAITED_S = 40 /* btrfs commits every 30 s */ };

/* ---- Bodies ---- */

struct body *body_new(uint64_t sequence, enum segment_file_kind kind)
{
    struct body *b = mem_calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->sequence = sequence;
    b->kind = kind;
    b->current = true;
    b->fd = b->index_fd = -1;
    /* Whoever revokes it waits with the ring's lock held: readers that overlap all the time must not keep him out. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&b->access, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return b;
}

void body_close(struct body *b)
{
    if (b->fd >= 0)
        close(b->fd);
    if (b->index_fd >= 0)
        close(b->index_fd);
    b->fd = b->index_fd = -1;
}

void body_free(struct body *b)
{
    if (!b)
        return;
    body_close(b);
    pthread_rwlock_destroy(&b->access);
    mem_free(b);
}

int body_open(struct ring *r, struct body *b, bool sealed, struct error *err)
{
    char name[SEGMENT_NAME];
    if (b->fd < 0)
        b->fd = openat(r->dir_fd, segment_file_name(b->sequence, b->kind, false, name), O_RDONLY | O_CLOEXEC);
    if (b->fd < 0 && errno == ENOENT)
        return error_set(err, TD_E_NOT_FOUND, "segment %llu has been recycled", (unsigned long long)b->sequence);
    if (b->fd < 0)
        return error_set(err, TD_E_DENIED, "%s/%s: %s", r->dir, name, strerror(errno));
    if (b->index_fd < 0 && sealed) /* without one it is rebuilt */
        b->index_fd = openat(r->dir_fd, segment_file_name(b->sequence, SEGMENT_FILE_INDEX, false, name), O_RDONLY | O_CLOEXEC);
    return TD_OK;
}

void body_release(struct ring *r, struct body *b)
{
    b->current = false;
    r->used -= b->cost;
    if (b->pins) {
        r->pinned += b->cost;
        b->next_orphan = r->orphans;
        r->orphans = b;
    } else {
        body_free(b);
    }
}

/* ---- Entries ---- */

int ring_insert(struct ring *r, const struct entry *e, struct error *err)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        struct entry *v = mem_realloc(r->entries, cap * sizeof(*v));
        if (!v)
            return error_nomem(err);
        r->entries = v;
        r->cap = cap;
    }
    r->entries[r->n++] = *e; /* sequences only grow */
    r->used += e->body->cost;
    return TD_OK;
}

struct entry *ring_find(struct ring *r, uint64_t sequence)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->entries[middle].summary.sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n && r->entries[low].summary.sequence == sequence ? &r->entries[low] : NULL;
}

/* ---- Room ---- */

static uint64_t space_shown(const struct ring *r)
{
    struct statvfs fs;
    return fstatvfs(r->dir_fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

int64_t ring_uptime(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* `removed` bytes have made `shown` bytes of free space out of `before`. Some file systems take a while: XFS a moment, btrfs until its next
 * commit. Who believes them at once removes one segment after the other for the room of one. */
static void await_space(struct ring *r, uint64_t removed, uint64_t before, uint64_t shown)
{
    uint64_t gained = shown > before ? shown - before : 0;
    if (gained >= removed / 2) /* the rest went to somebody else */
        return;
    r->awaited += removed - gained;
    r->awaited_until_ns = ring_uptime() + (int64_t)AWAITED_S * NS_PER_S;
    r->space_shown = shown;
}

/* What is free, with what was removed and will be. */
static uint64_t free_space(struct ring *r)
{
    uint64_t space = space_shown(r), more = space > r->space_shown ? space - r->space_shown : 0;
    r->awaited -= more < r->awaited ? more : r->awaited;
    if (r->awaited && ring_uptime() >= r->awaited_until_ns)
        r->awaited = 0;
    r->space_shown = space;
    return space < UINT64_MAX - r->awaited ? space + r->awaited : UINT64_MAX;
}

void body_unlink(struct ring *r, struct body *b, bool read, bool with_index)
{
    char name[SEGMENT_NAME];
    struct error ignored;
    if (read) {
        pthread_rwlock_wrlock(&b->access);
        (void)!body_open(r, b, with_index, &ignored);
        pthread_rwlock_unlock(&b->access);
    }
    if (with_index)
        unlinkat(r->dir_fd, segment_file_name(b->sequence, SEGMENT_FILE_INDEX, false, name), 0);
    unlinkat(r->dir_fd, segment_file_name(b->sequence, b->kind, false, name), 0);
}

/* Its file has another name, as a snapshot gives it: removing it makes no room on the disk. */
static bool is_shared(const struct ring *r, const struct body *b)
{
    char name[SEGMENT_NAME];
    struct stat st;
    return fstatat(r->dir_fd, segment_file_name(b->sequence, b->kind, false, name), &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1;
}

bool ring_recycle_oldest(struct ring *r)
{
    if (!r->n || r->entries[0].open)
        return false;
    struct body *b = r->entries[0].body;
    memmove(r->entries, r->entries + 1, --r->n * sizeof(*r->entries));
    r->recycled++;
    /* Removing a large file may take a while. Nobody finds the body any more; those who have pinned it hold its pins. A file that nobody
     * reads is not opened: it would go with its descriptor, when the lock is held. */
    bool read = b->pins++ > 0;
    b->current = false; /* from now on descriptors are all that there is */
    pthread_mutex_unlock(&r->lock);
    bool makes_room = !read && !is_shared(r, b);
    uint64_t before = space_shown(r);
    body_unlink(r, b, read, true);
    uint64_t shown = space_shown(r);
    pthread_mutex_lock(&r->lock);
    if (makes_room)
        await_space(r, b->cost, before, shown);
    b->pins--;
    body_release(r, b);
    return true;
}

/* Takes the oldest recycled segment that is still being read away from its readers. */
static bool revoke_oldest(struct ring *r)
{
    struct body **oldest = NULL;
    for (struct body **p = &r->orphans; *p; p = &(*p)->next_orphan)
        if (!(*p)->revoked && (!oldest || (*p)->sequence < (*oldest)->sequence))
            oldest = p;
    if (!oldest)
        return false;
    struct body *b = *oldest;
    pthread_rwlock_wrlock(&b->access); /* a read that goes on is over within one read's time */
    b->revoked = true;
    body_close(b);
    pthread_rwlock_unlock(&b->access);
    r->pinned -= b->cost;
    b->cost = 0;
    r->revoked++;
    log_event(TD_LOG_WARN, "ring", "segment %llu was taken away from those who read it: the raw capture needs its room",
              (unsigned long long)b->sequence);
    return true;
}

bool ring_make_room(struct ring *r, uint64_t need)
{
    for (;;) {
        bool fits = r->used + r->reserved + r->pinned + need <= r->options.storage_size;
        uint64_t space = free_space(r);
        if (fits && space >= need && space - need >= r->options.min_free)
            return true;
        if (!ring_recycle_oldest(r) && !revoke_oldest(r))
            return false;
    }
}

void ring_set_trouble(struct ring *r, const char *what, int failure)
{
    if (what && r->trouble != what)
        log_event(TD_LOG_ERROR, "ring", "%s: %s%s%s; packets are lost until that is over", r->dir, what, failure ? ": " : "",
                  failure ? strerror(failure) : "");
    if (!what && r->trouble)
        log_event(TD_LOG_INFO, "ring", "%s: writing goes on", r->dir);
    r->trouble = what;
    r->trouble_errno = failure;
}

void ring_set_disk_failure(struct ring *r, uint64_t sequence, int failure)
{
    if (!failure && r->disk_failure)
        log_event(TD_LOG_INFO, "ring", "%s: the disk takes what is written again", r->dir);
    r->disk_failure = failure;
    r->disk_failure_sequence = sequence;
}

/* ---- Life ---- */

static uint64_t choose_segment_size(const struct ring_options *o)
{
    uint64_t size = o->segment_size, most = o->storage_size / RING_MIN_SEGMENTS;
    if (!size) {
        size = o->storage_size / 32;
        size = size > RING_AUTO_SEGMENT ? RING_AUTO_SEGMENT : size;
    }
    size = size > most ? most : size;
    size = size > RING_MAX_SEGMENT ? RING_MAX_SEGMENT : size;
    return size < RING_MIN_SEGMENT ? RING_MIN_SEGMENT : size;
}

static int make_directories(const char *dir, struct error *err)
{
    char path[4096];
    size_t n = strlen(dir);
    if (n >= sizeof(path))
        return error_set(err, TD_E_CONFIG, "%.64s...: the path is too long", dir);
    memcpy(path, dir, n + 1);
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(path, 0750) != 0 && errno != EEXIST)
            return error_set(err, errno == ENOSPC ? TD_E_LIMIT : TD_E_DENIED, "cannot make the directory %s: %s", path, strerror(errno));
        *p = was;
        if (!was)
            return TD_OK;
    }
}

static int lock_directory(struct ring *r, struct error *err)
{
    r->lock_fd = openat(r->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (r->lock_fd < 0)
        return error_set(err, errno == ENOSPC ? TD_E_LIMIT : TD_E_DENIED, "cannot write in %s: %s", r->dir, strerror(errno));
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, TD_E_EXISTS, "%s belongs to a worker that is running; stop it, or choose another path", r->dir);
    return TD_OK;
}

static int new_ring(const char *dir, struct ring **ret, struct error *err)
{
    struct ring *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return error_nomem(err);
    r->dir_fd = r->lock_fd = -1;
    r->covered_to_ns = INT64_MIN;
    r->ended_tail = &r->ended;
    r->next_sequence = 1;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->keeper_work, NULL);
    pthread_cond_init(&r->next_ready, NULL);
    pthread_cond_init(&r->tidier_work, NULL);
    *ret = r;
    if (!(r->dir = mem_strdup(dir)))
        return error_nomem(err);
    return TD_OK;
}

static int open_directory(struct ring *r, struct error *err)
{
    r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir_fd < 0)
        return error_set(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "cannot open the raw capture %s: %s", r->dir,
                         strerror(errno));
    return TD_OK;
}

static int start_threads(struct ring *r, struct error *err)
{
    int failure = pthread_create(&r->keeper, NULL, ring_keep, r);
    r->keeper_runs = !failure;
    if (!failure) {
        failure = pthread_create(&r->tidier, NULL, ring_tidy, r);
        r->tidier_runs = !failure;
    }
    return failure ? error_set(err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure)) : TD_OK;
}

static int check_options(const struct ring_options *o, struct error *err)
{
    char least[UNITS_TEXT];
    uint64_t minimum = (uint64_t)RING_MIN_SEGMENTS * RING_MIN_SEGMENT;
    if (o->storage_size < minimum)
        return error_set(err, TD_E_CONFIG, "a raw capture takes at least %s", units_format_size(minimum, least));
    return TD_OK;
}

static int open_for_writing(struct ring *r, const struct ring_options *o, struct error *err)
{
    int status = check_options(o, err);
    r->options = *o;
    if (status == TD_OK && !(r->node = mem_strdup(o->node)))
        status = error_nomem(err);
    r->options.node = r->node;
    r->options.dir = r->dir;
    r->segment_size = choose_segment_size(o);
    r->segment_duration_ns = o->segment_duration_ns;
    if (status == TD_OK)
        status = make_directories(r->dir, err);
    if (status == TD_OK)
        status = open_directory(r, err);
    if (status == TD_OK)
        status = lock_directory(r, err);
    if (status == TD_OK)
        status = ring_recover(r, err);
    if (status == TD_OK)
        status = block_writer_new(&r->writer, err);
    return status == TD_OK ? start_threads(r, err) : status;
}

int ring_open(const struct ring_options *o, struct ring **ret, struct error *err)
{
    struct ring *r = NULL;
    int status = new_ring(o->dir, &r, err);
    if (status == TD_OK)
        status = open_for_writing(r, o, err);
    if (status == TD_OK)
        *ret = r;
    else
        ring_close(r);
    return status;
}

int ring_open_read_only(const char *dir, struct ring **ret, struct error *err)
{
    struct ring *r = NULL;
    int status = new_ring(dir, &r, err);
    if (status == TD_OK) {
        r->read_only = true;
        r->options.storage_size = UINT64_MAX;
        status = open_directory(r, err);
    }
    if (status == TD_OK)
        status = ring_recover(r, err);
    if (status == TD_OK)
        *ret = r;
    else
        ring_close(r);
    return status;
}

static void stop_threads(struct ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    atomic_store(&r->tidy_cancel, true);
    pthread_cond_broadcast(&r->keeper_work);
    pthread_cond_broadcast(&r->tidier_work);
    pthread_mutex_unlock(&r->lock);
    if (r->tidier_runs)
        pthread_join(r->tidier, NULL);
    if (r->keeper_runs) /* after all that has ended is sealed */
        pthread_join(r->keeper, NULL);
}

void ring_close(struct ring *r)
{
    if (!r)
        return;
    if (r->open)
        ring_end_open(r);
    block_writer_free(r->writer); /* what is left goes to the disk, and to the keeper */
    stop_threads(r);
    if (r->next) { /* prepared and not begun */
        char name[SEGMENT_NAME];
        unlinkat(r->dir_fd, segment_file_name(r->next->summary.sequence, SEGMENT_FILE_PLAIN, true, name), 0);
        close(r->next->file.fd);
        body_free(r->next->body);
        open_segment_unref(r->next);
    }
    for (size_t i = 0; i < r->n; i++) {
        body_free(r->entries[i].body);
        open_segment_unref(r->entries[i].open);
    }
    for (size_t i = 0; i < r->spare_n; i++)
        notes_free(r->spare[i]);
    for (size_t i = 0; i < NOTES_MAX_INTERFACES; i++) {
        mem_free(r->interfaces[i].name);
        mem_free(r->interfaces[i].description);
        mem_free(r->interfaces[i].filter);
    }
    mem_free(r->entries);
    buf_clear(&r->scratch);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    if (r->dir_fd >= 0)
        close(r->dir_fd);
    pthread_cond_destroy(&r->tidier_work);
    pthread_cond_destroy(&r->next_ready);
    pthread_cond_destroy(&r->keeper_work);
    pthread_mutex_destroy(&r->lock);
    mem_free(r->node);
    mem_free(r->dir);
    mem_free(r);
}

void ring_reconfigure(struct ring *r, const struct ring_options *o)
{
    pthread_mutex_lock(&r->lock);
    const char *dir = r->options.dir, *node = r->options.node;
    r->options = *o;
    r->options.dir = dir;
    r->options.node = node;
    r->segment_size = choose_segment_size(o);
    pthread_cond_signal(&r->keeper_work); /* a smaller budget is made true at once */
    pthread_cond_signal(&r->tidier_work);
    pthread_mutex_unlock(&r->lock);
}

/* ---- Reading ---- */

/* Of a segment that is being written: what is published. */
static void refresh(struct entry *e)
{
    struct open_segment *s = e->open;
    if (!s)
        return;
    e->summary.bytes = atomic_load_explicit(&s->bytes, memory_order_acquire);
    e->summary.packets = atomic_load_explicit(&s->packets, memory_order_relaxed);
    e->summary.captured_bytes = atomic_load_explicit(&s->captured_bytes, memory_order_relaxed);
    e->summary.original_bytes = atomic_load_explicit(&s->original_bytes, memory_order_relaxed);
    e->summary.first_ns = atomic_load_explicit(&s->first_ns, memory_order_relaxed);
    e->summary.last_ns = atomic_load_explicit(&s->last_ns, memory_order_relaxed);
}

int ring_summaries(struct ring *r, struct segment_summary **ret, size_t *ret_n, struct error *err)
{
    pthread_mutex_lock(&r->lock);
    struct segment_summary *v = mem_calloc(r->n ? r->n : 1, sizeof(*v));
    for (size_t i = 0; i < r->n && v; i++) {
        refresh(&r->entries[i]);
        v[i] = r->entries[i].summary;
    }
    size_t n = r->n;
    pthread_mutex_unlock(&r->lock);
    if (!v)
        return error_nomem(err);
    *ret = v;
    *ret_n = n;
    return TD_OK;
}

static bool overlaps(const struct segment_summary *s, int64_t start_ns, int64_t end_ns)
{
    int64_t from = s->first_ns < s->covered_from_ns ? s->first_ns : s->covered_from_ns;
    int64_t to = s->last_ns >= s->covered_to_ns ? s->last_ns : s->covered_to_ns - 1;
    return from < end_ns && to >= start_ns;
}

int ring_pin(struct ring *r, int64_t start_ns, int64_t end_ns, struct segment ***ret, size_t *ret_n, struct error *err)
{
    size_t n = 0;
    int status = TD_OK;
    pthread_mutex_lock(&r->lock);
    struct segment **v = mem_calloc(r->n ? r->n : 1, sizeof(struct segment *));
    if (!v)
        status = error_nomem(err);
    for (size_t i = 0; i < r->n && status == TD_OK; i++) {
        refresh(&r->entries[i]);
        if (overlaps(&r->entries[i].summary, start_ns, end_ns))
            status = segment_pin(r, &r->entries[i], &v[n++], err);
    }
    pthread_mutex_unlock(&r->lock);
    if (status == TD_OK) {
        *ret = v;
        *ret_n = n;
        return TD_OK;
    }
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
    return status;
}

int ring_pin_one(struct ring *r, uint64_t sequence, struct segment **ret, struct error *err)
{
    pthread_mutex_lock(&r->lock);
    struct entry *e = ring_find(r, sequence);
    int status;
    if (e) {
        refresh(e);
        status = segment_pin(r, e, ret, err);
    } else if (r->n && sequence && sequence < r->entries[0].summary.sequence) {
        status = error_set(err, TD_E_NOT_FOUND, "segment %llu has been recycled; the oldest is %llu", (unsigned long long)sequence,
                           (unsigned long long)r->entries[0].summary.sequence);
    } else {
        status = error_set(err, TD_E_NOT_FOUND, "there is no segment %llu", (unsigned long long)sequence);
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

void ring_stats(struct ring *r, struct ring_stats *ret)
{
    *ret = (struct ring_stats){.oldest_ns = INT64_MAX, .newest_ns = INT64_MIN};
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        const struct segment_summary *s = &r->entries[i].summary;
        refresh(&r->entries[i]);
        ret->oldest_ns = s->first_ns < ret->oldest_ns ? s->first_ns : ret->oldest_ns;
        ret->newest_ns = s->last_ns > ret->newest_ns ? s->last_ns : ret->newest_ns;
    }
    ret->segments = r->n;
    ret->bytes = r->used;
    ret->reserved = r->reserved;
    ret->pinned_bytes = r->pinned;
    ret->storage_size = r->options.storage_size;
    ret->segment_size = r->segment_size;
    ret->recycled = r->recycled;
    ret->revoked = r->revoked;
    ret->recovered = r->recovered;
    ret->rebuilt = r->rebuilt;
    ret->compressed = r->compressed;
    ret->hashed = r->hashed;
    ret->trouble = !r->trouble && r->disk_failure ? "the disk does not take what is written" : r->trouble;
    ret->trouble_errno = r->trouble ? r->trouble_errno : r->disk_failure;
    pthread_mutex_unlock(&r->lock);
    ret->packets =
        atomic_load_explicit(&r->published_packets, memory_order_relaxed) - atomic_load_explicit(&r->taken_back, memory_order_relaxed);
    ret->captured_bytes = atomic_load_explicit(&r->published_bytes, memory_order_relaxed);
    ret->dropped_by_disk = atomic_load_explicit(&r->dropped_by_disk, memory_order_relaxed);
    ret->waits = atomic_load_explicit(&r->waits, memory_order_relaxed);
    ret->written_bytes = r->writer ? block_writer_written(r->writer) : 0;
}
