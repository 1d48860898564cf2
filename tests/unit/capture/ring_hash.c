/* Digests of sealed segments: they are right, made only when capturing is calm, kept over restarts, and a kill between any two steps costs
 * nothing. The calls that change names in the ring's directory are made here, so that a process can end before each of them. */
#include "capture/ring.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/segment_index_format.h"
#include "tap.h"

enum { MIB = 1 << 20, STEPS = 6 };

static char root[64];

/* ---- Calls that are counted ---- */

static atomic_int steps_left; /* the process is killed before the call that makes it 0; 0: never */

static void step(void)
{
    if (atomic_load(&steps_left) > 0 && atomic_fetch_sub(&steps_left, 1) == 1)
        kill(getpid(), SIGKILL);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int unlinkat(int fd, const char *name, int flags)
{
    step();
    return (int)syscall(SYS_unlinkat, fd, name, flags);
}

int fdatasync(int fd)
{
    step();
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- Helpers ---- */

static struct ring_options options(const char *name, int level, char dir[128])
{
    snprintf(dir, 128, "%s/%.40s", root, name);
    return (struct ring_options){.dir = dir,
                                 .node = "node-1",
                                 .storage_size = 64 * MIB,
                                 .segment_size = 2 * MIB,
                                 .segment_duration_ns = 3600 * (int64_t)NS_PER_S,
                                 .compression_level = level};
}

static struct ring *must_open(const struct ring_options *o)
{
    struct ring *r = NULL;
    struct error err = {0};
    if (ring_open(o, &r, &err) != TD_OK) {
        ok(false, "the ring opens: %s", err.text);
        exit(1);
    }
    return r;
}

static uint32_t must_add(struct ring *r)
{
    const struct ring_interface i = {.name = "eth0", .linktype = 1};
    struct error err;
    uint32_t iface = 0;
    if (ring_add_interface(r, &i, &iface, &err) != TD_OK)
        ok(false, "an interface: %s", err.text);
    return iface;
}

static void append(struct ring *r, uint32_t iface, int n)
{
    uint8_t bytes[1024] = {0};
    for (int i = 0; i < n; i++) {
        memcpy(bytes + 100, &i, sizeof(i));
        ring_append(r, iface, i, bytes, sizeof(bytes), sizeof(bytes));
    }
    ring_publish(r);
}

static struct ring_stats stats(struct ring *r)
{
    struct ring_stats s;
    ring_stats(r, &s);
    return s;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Until so many were hashed, at most ten seconds. */
static bool wait_hashed(struct ring *r, uint64_t n)
{
    for (int64_t end = now() + 60 * (int64_t)NS_PER_S; stats(r).hashed < n && now() < end;)
        usleep(10000);
    return stats(r).hashed >= n;
}

static bool digest_of(const char *dir, const char *name, uint8_t sha256[SEGMENT_SHA256], uint64_t *ret_bytes)
{
    char path[300];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDONLY);
    uint8_t *bytes = fd >= 0 && fstat(fd, &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    bool good = bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size;
    if (good)
        SHA256(bytes, (size_t)st.st_size, sha256);
    *ret_bytes = good ? (uint64_t)st.st_size : 0;
    free(bytes);
    close(fd);
    return good;
}

/* Segments whose digest is that of their file; SIZE_MAX: one is wrong. `ret_cost`: what sealed segments take. */
static size_t count_right(struct ring *r, const char *dir, uint64_t *ret_cost)
{
    struct segment **v;
    struct error err;
    size_t n, right = 0;
    *ret_cost = 0;
    if (ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err) != TD_OK)
        return SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct segment_summary *s = segment_summary(v[i]);
        struct segment_files files;
        uint8_t sha256[SEGMENT_SHA256];
        uint64_t bytes;
        if (segment_state(v[i]) != SEGMENT_WRITING && segment_files(v[i], &files, &err) == TD_OK) {
            *ret_cost += segment_file_cost(files.bytes) + segment_file_cost(files.index_bytes);
            bool same =
                digest_of(dir, files.name, sha256, &bytes) && bytes == files.bytes && memcmp(sha256, s->sha256, sizeof(sha256)) == 0;
            if (s->hashed && right != SIZE_MAX)
                right = same ? right + 1 : SIZE_MAX;
        }
        segment_unpin(v[i]);
    }
    mem_free(v);
    return right;
}

/* ---- Tests ---- */

/* While much is captured nothing is hashed; afterwards everything is, and the budget's accounts stay right. */
static void test_calm(void)
{
    char dir[128];
    uint64_t cost;
    const struct ring_options o = options("calm", 0, dir);
    struct ring *r = must_open(&o);
    uint32_t iface = must_add(r);
    struct segment *reader = NULL;
    struct segment_index *index = NULL;
    struct segment_choice choice;
    struct error err = {0};
    for (int64_t end = now() + RING_CALM_SECONDS * (int64_t)NS_PER_S + NS_PER_S / 2; now() < end; usleep(200000))
        append(r, iface, 10000);
    is_int(stats(r).hashed, 0, "under load nothing is hashed");
    size_t sealed = stats(r).segments - 1;
    uint64_t oldest = 0;
    struct segment_summary *v;
    size_t n;
    if (ring_summaries(r, &v, &n, &err) == TD_OK && n) {
        oldest = v[0].sequence;
        mem_free(v);
    }
    is_int(ring_pin_one(r, oldest, &reader, &err), TD_OK, "the oldest is read");
    is_int(segment_index(reader, &index, &err), TD_OK, "by its index");
    int64_t begin = now();
    ok(wait_hashed(r, sealed), "when it is calm all %zu are", sealed);
    ok(now() - begin > (RING_CALM_SECONDS - 1) * (int64_t)NS_PER_S, "not at once");
    ok(!segment_summary(reader)->hashed && segment_index_choose(index, 0, INT64_MAX, NULL, &choice, &err) == TD_OK &&
           choice.packets == segment_summary(reader)->packets,
       "who read the old index goes on with it");
    struct ring_stats with = stats(r);
    segment_unpin(reader);
    struct ring_stats without = stats(r);
    ok(with.bytes > without.bytes, "which takes room until then: %llu, %llu bytes", (unsigned long long)with.bytes,
       (unsigned long long)without.bytes);
    is_int((int64_t)count_right(r, dir, &cost), (int64_t)sealed, "digests are those of the files");
    is_int((int64_t)stats(r).bytes, (int64_t)cost, "and the accounts are right");
    ring_close(r);
    r = must_open(&o);
    is_int(stats(r).rebuilt + stats(r).recovered, 0, "opened again, nothing is amiss");
    size_t known = count_right(r, dir, &cost); /* maybe with the newest, which closing has sealed */
    ok(known == sealed || known == sealed + 1, "and the digests are known: %zu", known);
    ring_close(r);
    is_int(ring_open_read_only(dir, &r, &err), TD_OK, "so they are");
    known = count_right(r, dir, &cost);
    ok(known == sealed || known == sealed + 1, "for those who only read: %zu", known);
    ring_close(r);
}

static void test_compressed(void)
{
    char dir[128];
    uint64_t cost;
    struct ring_options o = options("compressed", 0, dir);
    struct ring *r = must_open(&o);
    struct segment *reader = NULL;
    struct segment_files files = {0};
    struct error err = {0};
    uint8_t magic[8] = {0};
    append(r, must_add(r), 3000);
    for (int i = 0; i < 1000 && (!reader || segment_state(reader) == SEGMENT_WRITING); i++) {
        segment_unpin(reader);
        usleep(5000);
        is_int(ring_pin_one(r, 1, &reader, &err), TD_OK, "a sealed segment is pinned, and not read");
    }
    o.compression_level = 1;
    ring_reconfigure(r, &o);
    ok(wait_hashed(r, 1), "what is compressed is hashed at once");
    is_int(segment_read_index(reader, 0, magic, sizeof(magic), &err), TD_OK, "its plain file keeps its index");
    is_int(segment_files(reader, &files, &err), TD_OK, "both are told");
    is_str(files.name, "0000000001.pcapng", "as they were");
    ok(files.has_index && files.bytes == segment_summary(reader)->bytes, "both are there");
    segment_unpin(reader);
    is_int((int64_t)count_right(r, dir, &cost), (int64_t)stats(r).hashed, "digests are of the compressed file");
    ring_close(r);
    r = must_open(&o);
    ok(count_right(r, dir, &cost) >= 1, "and stay");
    ring_close(r);
}

static void put_le(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* An index as version 1 had it: without the digest. */
static void make_old(const char *dir, const char *name)
{
    enum { AT = INDEX_MAGIC_BYTES + 2 * 4 + 8 + INDEX_SUMMARY_BYTES, OLD = INDEX_HEADER_BYTES - INDEX_DIGEST_BYTES };
    char path[300];
    static uint8_t bytes[MIB];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDWR);
    ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n <= INDEX_HEADER_BYTES || n == sizeof(bytes))
        exit(1);
    memmove(bytes + AT, bytes + AT + INDEX_DIGEST_BYTES, (size_t)n - AT - INDEX_DIGEST_BYTES);
    n -= INDEX_DIGEST_BYTES;
    put_le(bytes + INDEX_MAGIC_BYTES, 1, 4);
    put_le(bytes + INDEX_MAGIC_BYTES + 4, OLD, 4);
    put_le(bytes + INDEX_MAGIC_BYTES + 8, (uint64_t)n, 8);
    put_le(bytes + OLD - 8, hash_bytes(bytes, OLD - 8, INDEX_SEED), 8);
    if (pwrite(fd, bytes, (size_t)n, 0) != n || ftruncate(fd, n) != 0)
        exit(1);
    close(fd);
}

/* Segments with old indexes, one that was recovered, and what a killed worker leaves in the middle of hashing. */
static struct ring *begin_old_and_recovered(void)
{
    char dir[128], path[300];
    uint64_t cost;
    const struct ring_options o = options("old", 0, dir);
    struct ring *r = must_open(&o);
    append(r, must_add(r), 7000);
    ring_close(r);
    make_old(dir, "0000000001.idx");
    snprintf(path, sizeof(path), "%s/0000000002.idx", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/0000000003.idx.tmp", dir);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    r = must_open(&o);
    is_int(stats(r).rebuilt * 10 + stats(r).recovered, 1, "an index of version 1 is read");
    ok(access(path, F_OK) != 0, "one that was not finished is removed");
    ok(count_right(r, dir, &cost) == 0, "without digests");
    return r;
}

static void end_old_and_recovered(struct ring *r)
{
    char dir[128];
    uint64_t cost;
    const struct ring_options o = options("old", 0, dir);
    ok(wait_hashed(r, 3), "all are hashed");
    is_int((int64_t)count_right(r, dir, &cost), (int64_t)stats(r).hashed, "rightly");
    is_int((int64_t)stats(r).bytes, (int64_t)cost, "and the accounts are right");
    ring_close(r);
    r = must_open(&o);
    is_int(stats(r).rebuilt + stats(r).recovered, 0, "and it stays so");
    ok(count_right(r, dir, &cost) >= 3, "with all digests");
    ring_close(r);
}

/* A process that is killed before its nth step; the parent goes on at once. */
static pid_t run_killed(const char *name, int level, int n)
{
    char dir[128], command[400];
    const struct ring_options o = options(name, level, dir);
    snprintf(command, sizeof(command), "cp -r %s/sealed %s", root, dir);
    if (system(command) != 0)
        exit(1);
    fflush(stdout);
    pid_t child = fork();
    if (child != 0)
        return child;
    struct ring *r = must_open(&o);
    atomic_store(&steps_left, n);
    must_add(r);
    (void)!wait_hashed(r, 3);
    _exit(7);
}

static void check_killed(const char *name, int level, int n, pid_t child)
{
    char dir[128], command[400];
    int status = 0;
    uint64_t cost, packets = 0;
    const struct ring_options o = options(name, level, dir);
    struct segment_summary *v = NULL;
    size_t count = 0;
    struct error err = {0};
    waitpid(child, &status, 0);
    ok(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 7), "%s: the process was ended before step %d (%s)", name, n,
       WIFSIGNALED(status) ? "killed" : "it had no such step");
    struct ring *r = must_open(&o);
    ok(count_right(r, dir, &cost) != SIZE_MAX, "%s: no digest is wrong", name);
    if (ring_summaries(r, &v, &count, &err) == TD_OK)
        for (size_t i = 0; i < count; i++)
            packets += v[i].packets;
    mem_free(v);
    is_int((int64_t)packets, 5000, "%s: nothing is lost", name);
    ring_close(r);
    snprintf(command, sizeof(command), "! ls %s | grep -q tmp", dir);
    ok(system(command) == 0, "%s: nothing is left over", name);
}

struct killed {
    char names[2 * STEPS][32];
    pid_t children[2 * STEPS];
};

static void begin_kills(struct killed *k)
{
    char dir[128];
    const struct ring_options o = options("sealed", 0, dir);
    struct ring *r = must_open(&o);
    append(r, must_add(r), 5000);
    ring_close(r);
    for (int i = 0; i < 2 * STEPS; i++) {
        snprintf(k->names[i], sizeof(k->names[i]), "killed-%s-%d", i % 2 ? "compressing" : "hashing", i / 2 + 1);
        k->children[i] = run_killed(k->names[i], i % 2, i / 2 + 1);
    }
}

static void end_kills(const struct killed *k)
{
    for (int i = 0; i < 2 * STEPS; i++)
        check_killed(k->names[i], i % 2, i / 2 + 1, k->children[i]);
}

/* Nothing is hashed for some seconds, so everything waits together. */
int main(void)
{
    char command[100];
    struct killed killed;
    log_set_level(0);
    snprintf(root, sizeof(root), "%s/tapedeck-hash-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(root))
        return 1;
    begin_kills(&killed);
    struct ring *old = begin_old_and_recovered();
    test_compressed();
    test_calm();
    end_old_and_recovered(old);
    end_kills(&killed);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command) == 0 ? tap_done() : 1;
}
