/* Holds: they keep segments readable, expire when nobody uses them, are bounded; and many threads use them while the ring goes on. */
#include "capture/hold.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/window.h"
#include "tap.h"

enum { MIB = 1 << 20, THREADS = 4, BASE_S = 1700000000 };

static char root[64];

static struct ring *must_open(const char *name, uint64_t storage, int level, uint32_t *ret_iface)
{
    char dir[128];
    snprintf(dir, sizeof(dir), "%s/%s", root, name);
    const struct ring_options o = {.dir = dir,
                                   .node = "node-1",
                                   .storage_size = storage,
                                   .segment_size = 2 * MIB,
                                   .segment_duration_ns = 3600 * (int64_t)NS_PER_S,
                                   .compression_level = level};
    const struct ring_interface i = {.name = "eth0", .linktype = 1};
    struct ring *r = NULL;
    struct error err = {0};
    if (ring_open(&o, &r, &err) != TD_OK || ring_add_interface(r, &i, ret_iface, &err) != TD_OK) {
        ok(false, "the ring opens: %s", err.text);
        exit(1);
    }
    return r;
}

/* Packets a millisecond apart. */
static void append(struct ring *r, uint32_t iface, int from, int to)
{
    uint8_t bytes[1024] = {0};
    for (int i = from; i < to; i++) {
        memcpy(bytes + 100, &i, sizeof(i));
        ring_append(r, iface, BASE_S * (int64_t)NS_PER_S + i * (int64_t)1000000, bytes, sizeof(bytes), sizeof(bytes));
    }
    ring_publish(r);
}

static void settle(struct ring *r)
{
    struct ring_stats s;
    for (int i = 0, settled = 0; i < 1000 && settled < 3; i++) {
        ring_stats(r, &s);
        settled = s.reserved <= 2 * s.segment_size ? settled + 1 : 0;
        usleep(2000);
    }
}

/* So that no segment waits for being sealed: their room would be taken from pins. */
static void append_slowly(struct ring *r, uint32_t iface, int from, int to)
{
    for (; from < to; from += 1000) {
        append(r, iface, from, from + 1000 < to ? from + 1000 : to);
        settle(r);
    }
}

static uint64_t pinned(struct ring *r)
{
    struct ring_stats s;
    ring_stats(r, &s);
    return s.pinned_bytes;
}

/* ---- Life of a hold ---- */

static void test_life(void)
{
    uint32_t iface;
    struct ring *r = must_open("life", 16 * MIB, 0, &iface);
    struct holds *x = NULL;
    struct hold *h = NULL, *again = NULL;
    struct error err = {0};
    char id[HOLD_ID], other[HOLD_ID];
    const int64_t all = INT64_MAX;
    append(r, iface, 0, 4500);
    settle(r);
    is_int(holds_new(r, 400 * 1000000, &x, &err), TD_OK, "holds, for 0.4 seconds");
    is_int(holds_add(x, INT64_MIN, all, true, &h, &err), TD_OK, "one");
    ok(h->n == 3, "of three segments");
    snprintf(id, sizeof(id), "%s", h->id);
    usleep(600000);
    is_int((int64_t)holds_count(x), 1, "in use it does not expire");
    append_slowly(r, iface, 4500, 20000);
    ok(pinned(r) > 2 * MIB, "its segments stay when they are recycled");
    hold_done(h);
    for (int i = 0; i < 5; i++) {
        usleep(150000);
        if (holds_use(x, id, &h, &err) == TD_OK)
            hold_done(h);
    }
    is_int((int64_t)holds_count(x), 1, "each use renews it");
    is_int(holds_use(x, id, &h, &err), TD_OK, "used again");
    struct segment *s = NULL;
    uint8_t byte;
    is_int(segment_share(h->segments[0], &s, &err), TD_OK, "a pin more");
    hold_done(h);
    for (int i = 0; i < 300 && holds_count(x); i++)
        usleep(10000);
    is_int((int64_t)holds_count(x), 0, "without use it expires");
    is_int(holds_use(x, id, &h, &err), TD_E_CANCELLED, "which is told");
    like(err.text, "has expired or was let go", "clearly");
    is_int(segment_read_file(s, 0, &byte, 1, &err), TD_OK, "who has a pin of his own goes on");
    segment_unpin(s);
    for (int i = 0; i < 300 && pinned(r); i++)
        usleep(10000);
    is_int((int64_t)pinned(r), 0, "then everything is let go");
    is_int(holds_add(x, INT64_MIN, all, true, &h, &err), TD_OK, "another one");
    snprintf(other, sizeof(other), "%s", h->id);
    is_int(holds_use(x, other, &again, &err), TD_OK, "used twice");
    is_int(holds_end(x, other, &err), TD_OK, "and let go");
    is_int(holds_end(x, other, &err), TD_E_CANCELLED, "once");
    is_int(segment_share(again->segments[0], &s, &err), TD_OK, "who uses it goes on");
    segment_unpin(s);
    hold_done(h);
    hold_done(again);
    other[strlen(other) - 1] = '9';
    is_int(holds_use(x, other, &h, &err), TD_E_NOT_FOUND, "a number that was never given");
    is_int(holds_use(x, "", &h, &err), TD_E_NOT_FOUND, "nothing");
    other[0] ^= 1;
    is_int(holds_use(x, other, &h, &err), TD_E_NOT_FOUND, "one of another run");
    const int64_t base_ns = BASE_S * (int64_t)NS_PER_S;
    is_int(holds_add(x, base_ns - NS_PER_S, base_ns, true, &h, &err), TD_OK, "one of a time when nothing was");
    is_int((int64_t)h->n, 0, "has no segment");
    hold_done(h);
    for (int i = 1; i < HOLDS_MAX; i++)
        if (holds_add(x, INT64_MIN, all, true, &h, &err) == TD_OK)
            hold_done(h);
    is_int((int64_t)holds_count(x), HOLDS_MAX, "so many");
    is_int(holds_add(x, INT64_MIN, all, true, &h, &err), TD_E_LIMIT, "and no more");
    holds_free(x);
    is_int((int64_t)pinned(r), 0, "all are let go at the end");
    ring_close(r);
}

/* ---- Files of a segment, and its window ---- */

static bool same_file(int dir_fd, const char *name, uint64_t inode, uint64_t bytes)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, 0) == 0 && (uint64_t)st.st_ino == inode && (uint64_t)st.st_size == bytes;
}

static void test_files(void)
{
    uint32_t iface;
    struct ring *r = must_open("files", 16 * MIB, 0, &iface);
    struct segment *first = NULL, *shared = NULL, *open = NULL;
    struct segment_files files, later;
    struct error err = {0};
    uint8_t magic[8] = {0};
    int dir_fd = openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    append(r, iface, 0, 4500);
    settle(r);
    is_int(ring_pin_one(r, 1, &first, &err), TD_OK, "pinned");
    is_int(ring_pin_one(r, 3, &open, &err), TD_OK, "and the one that is being written");
    is_int(segment_files(open, &files, &err), TD_E_UNSUPPORTED, "which has no files yet");
    is_int(segment_read_index(open, 0, magic, 8, &err), TD_E_UNSUPPORTED, "and no index");
    is_int(segment_link_index(open, dir_fd, "open.idx", &err), TD_E_UNSUPPORTED, "to be linked");
    is_int(segment_files(first, &files, &err), TD_OK, "its files");
    ok(files.has_index && files.bytes == segment_summary(first)->bytes && strcmp(files.name, "0000000001.pcapng") == 0, "are told");
    append_slowly(r, iface, 4500, 20000);
    is_int(segment_files(first, &later, &err), TD_OK, "and when it was recycled");
    ok(files.inode == later.inode && files.index_inode == later.index_inode && files.index_bytes == later.index_bytes, "the same");
    is_int(segment_share(first, &shared, &err), TD_OK, "another pin then");
    is_int(segment_read_index(shared, 0, magic, sizeof(magic), &err), TD_OK, "reads its index");
    is_mem(magic, sizeof(magic), "TDINDEX\n", 8, "which it is");
    is_int(segment_read_index(shared, files.index_bytes, magic, 1, &err), TD_E_CORRUPT, "to its end");
    segment_unpin(shared);
    is_int(segment_link(first, dir_fd, "first.pcapng", &err), TD_E_NOT_FOUND, "a file without a name gets none");
    segment_unpin(first);
    struct segment **v = NULL;
    size_t n = 0;
    is_int(ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err), TD_OK, "those that are there");
    ok(n && segment_files(v[0], &files, &err) == TD_OK && segment_link_index(v[0], dir_fd, "first.idx", &err) == TD_OK &&
           same_file(dir_fd, "first.idx", files.index_inode, files.index_bytes),
       "an index gets another name: %s", err.text);
    is_int(segment_link_index(v[0], dir_fd, "first.idx", &err), TD_E_EXISTS, "once");
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
    is_int(segment_read(open, 0, magic, 1, &err), TD_OK, "the open one is read, recycled as it is");
    segment_unpin(open);
    close(dir_fd);
    ring_close(r);
}

/* Descriptors of segments that are only pinned. */
static size_t open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void test_descriptors(void)
{
    uint32_t iface;
    struct ring *r = must_open("descriptors", 64 * MIB, 0, &iface);
    struct segment **v = NULL, *s = NULL, *late = NULL;
    struct segment_index *index;
    struct segment_files files;
    struct error err = {0};
    uint8_t byte;
    size_t n = 0, before, written;
    append(r, iface, 0, 30000);
    settle(r);
    before = open_files();
    is_int(ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err), TD_OK, "many segments");
    for (size_t i = 0; i < n; i++)
        if (segment_share(v[i], &s, &err) == TD_OK) {
            (void)!segment_read(s, 0, &byte, 1, &err);
            segment_unpin(s);
        }
    is_int((int64_t)open_files(), (int64_t)before, "pins that do not read keep no descriptors");
    written = n - 1;
    /* The pin of a segment that is being written opens it without an index; who pins it later has one all the same. */
    is_int(segment_read(v[written], 0, &byte, 1, &err), TD_OK, "the open one is read");
    append(r, iface, 30000, 33000);
    settle(r);
    is_int(ring_pin_one(r, segment_summary(v[written])->sequence, &late, &err), TD_OK, "and pinned again when it is sealed");
    ok(segment_files(late, &files, &err) == TD_OK && files.has_index && segment_index(late, &index, &err) == TD_OK &&
           segment_index_summary(index),
       "with its index");
    segment_unpin(late);
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
    ring_close(r);
}

static uint64_t read_window(struct segment *s, int64_t start_ns, int64_t end_ns, struct error *err)
{
    static uint8_t bytes[64 << 10];
    const struct window_request want = {start_ns, end_ns, NULL};
    struct window *w;
    size_t n = 1;
    uint64_t packets = UINT64_MAX;
    if (window_open_segment(s, &want, &w, err) != TD_OK)
        return packets;
    int status = TD_OK;
    while (status == TD_OK && n)
        status = window_read(w, bytes, sizeof(bytes), &n, err);
    if (status == TD_OK)
        packets = window_stats(w)->packets;
    window_close(w);
    return packets;
}

static void test_window(void)
{
    uint32_t iface;
    struct ring *r = must_open("window", 16 * MIB, 0, &iface);
    struct segment *s = NULL;
    struct error err = {0};
    uint64_t bytes = 0;
    const int64_t base_ns = BASE_S * (int64_t)NS_PER_S, ms = 1000000;
    append(r, iface, 0, 4500);
    settle(r);
    is_int(ring_pin_one(r, 2, &s, &err), TD_OK, "the second of three");
    int64_t first_ns = segment_summary(s)->first_ns;
    is_int((int64_t)read_window(s, base_ns, base_ns + 4500 * ms, &err), (int64_t)segment_summary(s)->packets, "all of it, and no other");
    is_int((int64_t)read_window(s, base_ns, first_ns + 100 * ms, &err), 100, "its first packets");
    is_int((int64_t)read_window(s, base_ns, first_ns, &err), 0, "none");
    is_int((int64_t)read_window(s, base_ns + 1, base_ns, &err), -1, "a window that ends before it starts");
    is_int(window_estimate(s, base_ns, first_ns + 100 * ms, &bytes, &err), TD_OK, "an estimate");
    ok(bytes >= 100 * 1056 && bytes < 100 * 1056 + (70 << 10), "that is near: %llu", (unsigned long long)bytes);
    append_slowly(r, iface, 4500, 20000);
    is_int((int64_t)read_window(s, base_ns, first_ns + 100 * ms, &err), 100, "recycled, it is the same");
    segment_unpin(s);
    ring_close(r);
}

/* ---- Many threads ---- */

struct crowd {
    struct ring *ring;
    struct holds *holds;
    atomic_bool stop;
    atomic_uint taken, lost, wrong, hashed;
};

/* A file that was told with its digest is read as such, whatever becomes of it meanwhile, or is lost, which is told. */
static void take_segment(struct crowd *c, struct segment *held)
{
    struct segment *s;
    struct error err = {0};
    struct segment_files files;
    uint8_t sha256[SEGMENT_SHA256], head[8];
    if (segment_share(held, &s, &err) != TD_OK)
        return;
    uint64_t n = segment_file_bytes(s);
    uint8_t *bytes = segment_state(s) == SEGMENT_WRITING ? NULL : malloc(n);
    int status = bytes ? segment_read_file(s, 0, bytes, n, &err) : TD_OK;
    if (bytes && status == TD_OK)
        status = segment_files(s, &files, &err);
    if (bytes && status == TD_OK && files.has_index)
        status = segment_read_index(s, 0, head, sizeof(head), &err);
    if (bytes && status == TD_OK) {
        SHA256(bytes, n, sha256);
        atomic_fetch_add(&c->taken, 1);
        if (segment_summary(s)->hashed) {
            atomic_fetch_add(&c->hashed, 1);
            atomic_fetch_add(&c->wrong, memcmp(sha256, segment_summary(s)->sha256, sizeof(sha256)) != 0);
        }
        atomic_fetch_add(&c->wrong, files.bytes != n || (files.has_index && memcmp(head, "TDINDEX\n", 8) != 0));
    } else if (status != TD_OK) {
        atomic_fetch_add(status == TD_E_NOT_FOUND ? &c->lost : &c->wrong, 1);
    }
    free(bytes);
    segment_unpin(s);
}

static void *use_holds(void *arg)
{
    struct crowd *c = arg;
    while (!atomic_load(&c->stop)) {
        struct hold *h, *again;
        struct error err;
        if (holds_add(c->holds, INT64_MIN, INT64_MAX, true, &h, &err) != TD_OK)
            continue;
        for (size_t i = 0; i < h->n; i++)
            take_segment(c, h->segments[i]);
        if (holds_use(c->holds, h->id, &again, &err) == TD_OK)
            hold_done(again);
        if (h->number % 3 == 0) /* others expire */
            (void)!holds_end(c->holds, h->id, &err);
        hold_done(h);
    }
    return NULL;
}

static void test_crowd(int level)
{
    uint32_t iface;
    char name[32];
    snprintf(name, sizeof(name), "crowd-%d", level);
    struct crowd c = {.ring = must_open(name, 24 * MIB, level, &iface)};
    pthread_t threads[THREADS];
    struct error err = {0};
    struct ring_stats stats;
    if (holds_new(c.ring, 50 * 1000000, &c.holds, &err) != TD_OK)
        exit(1);
    append_slowly(c.ring, iface, 0, 10000);
    for (int i = 0; level && i < 2000 && (ring_stats(c.ring, &stats), stats.compressed < 3); i++)
        usleep(10000);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, use_holds, &c);
    for (int i = 10; i < 70 || (i < 1000 && (ring_stats(c.ring, &stats), stats.recycled <= 5)); i++) {
        append(c.ring, iface, i * 1000, i * 1000 + 1000);
        usleep(20000);
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    holds_free(c.holds);
    for (int i = 0; i < 500 && pinned(c.ring); i++) /* by what compresses */
        usleep(10000);
    ring_stats(c.ring, &stats);
    ok(atomic_load(&c.wrong) == 0, "%u files were taken, %u of them with their digest, %u lost, %u wrong", atomic_load(&c.taken),
       atomic_load(&c.hashed), atomic_load(&c.lost), atomic_load(&c.wrong));
    ok(atomic_load(&c.taken) > 20 && (level == 0 || atomic_load(&c.hashed) > 0), "enough of them");
    ok(stats.recycled > 5, "%llu segments were recycled meanwhile", (unsigned long long)stats.recycled);
    is_int((int64_t)stats.pinned_bytes, 0, "nothing is pinned any more");
    is_int((int64_t)stats.dropped_by_disk, 0, "and nothing was lost");
    ring_close(c.ring);
}

int main(void)
{
    char command[100];
    log_set_level(0);
    snprintf(root, sizeof(root), "%s/tapedeck-hold-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(root))
        return 1;
    test_life();
    test_files();
    test_descriptors();
    test_window();
    test_crowd(0);
    test_crowd(1);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command) == 0 ? tap_done() : 1;
}
