/* The segment ring: what goes in comes out, the budget holds at every instant, readers keep what they pinned, and crashes cost nothing but
 * what had not reached the disk. */
#include "capture/ring.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "packet/capture.h"
#include "tap.h"

enum { MIB = 1 << 20, BASE_S = 1700000000 };

static char root[64];

/* ---- Helpers ---- */

static void dir_path(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", root, name);
}

static struct ring_options options(const char *dir, uint64_t storage, uint64_t segment)
{
    return (struct ring_options){
        .dir = dir, .node = "node-1", .storage_size = storage, .segment_size = segment, .segment_duration_ns = 3600 * (int64_t)NS_PER_S};
}

static struct ring *must_open(const struct ring_options *o)
{
    struct ring *r = NULL;
    struct error err = {0};
    if (!ok(ring_open(o, &r, &err) == TD_OK, "the ring opens"))
        tap_diag("%s", err.text);
    return r;
}

static uint32_t must_add(struct ring *r, const char *name)
{
    const struct ring_interface i = {.name = name, .linktype = 1, .snaplen = 0};
    struct error err;
    uint32_t iface = 0;
    if (ring_add_interface(r, &i, &iface, &err) != TD_OK)
        ok(false, "an interface: %s", err.text);
    return iface;
}

/* The nth packet: its bytes and length follow from its number. */
static uint32_t make_packet(uint64_t n, uint8_t *out)
{
    uint32_t length = 60 + (uint32_t)(n * 2654435761u >> 7) % 1400;
    for (uint32_t i = 0; i < length; i++)
        out[i] = (uint8_t)(n * 31 + i);
    memcpy(out, "\2\0\0\0\0\1\2\0\0\0\0\2\10\0\105\0", 16);
    memcpy(out + 40, &n, sizeof(n));
    return length;
}

static int64_t packet_time(uint64_t n)
{
    return BASE_S * (int64_t)NS_PER_S + (int64_t)n * 1000;
}

static void append(struct ring *r, uint32_t iface, uint64_t from, uint64_t to)
{
    uint8_t bytes[2048];
    for (uint64_t n = from; n < to; n++) {
        uint32_t length = make_packet(n, bytes);
        ring_append(r, iface, packet_time(n), bytes, length, length + 7);
    }
    ring_publish(r);
}

/* All but the newest segment, which may be open. */
static bool are_sealed(struct ring *r)
{
    struct segment **v = NULL;
    struct error err = {0};
    size_t n = 0;
    bool sealed = ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err) == TD_OK;
    for (size_t i = 0; i < n; i++) {
        sealed = sealed && (i + 1 == n || segment_state(v[i]) != SEGMENT_WRITING);
        segment_unpin(v[i]);
    }
    mem_free(v);
    return sealed;
}

/* Waits until everything that has ended is sealed. */
static void settle(struct ring *r)
{
    for (int i = 0; i < 2000 && !are_sealed(r); i++)
        usleep(5000);
}

/* Reads a segment from its pin into memory and checks each packet; the numbers of its packets must follow `*next`. */
static bool check_segment(struct segment *s, uint64_t *next, struct error *err)
{
    uint64_t size = segment_summary(s)->bytes;
    uint8_t *bytes = malloc(size ? size : 1), want[2048];
    struct capture *c = NULL;
    struct packet packets[256];
    struct block *block;
    bool good = segment_read(s, 0, bytes, size, err) == TD_OK && capture_open_memory(td_bytes(bytes, size), &c, err) == TD_OK;
    int n = 0;
    while (good && (n = capture_read(c, packets, 256, &block, err)) > 0) {
        for (int i = 0; i < n && good; i++, ++*next) {
            uint64_t number;
            memcpy(&number, packets[i].p + 40, sizeof(number));
            if (*next == UINT64_MAX)
                *next = number;
            uint32_t length = make_packet(*next, want);
            good = packets[i].caplen == length && packets[i].len == length + 7 && packets[i].time_ns == packet_time(*next) &&
                   memcmp(packets[i].p, want, length) == 0;
            if (!good)
                error_set(err, TD_E_CORRUPT, "packet %llu is not what was appended, but %llu", (unsigned long long)*next,
                          (unsigned long long)number);
        }
        block_unref(block);
    }
    capture_close(c);
    free(bytes);
    return good && n == 0;
}

/* All segments of a ring hold packets in a row; *ret_first and *ret_end are the numbers. */
static bool check_ring(struct ring *r, uint64_t *ret_first, uint64_t *ret_end)
{
    struct segment **v;
    size_t n;
    struct error err = {0};
    bool good = ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err) == TD_OK;
    uint64_t next = UINT64_MAX, packets = 0;
    *ret_first = *ret_end = 0;
    for (size_t i = 0; good && i < n; i++) {
        packets += segment_summary(v[i])->packets;
        good = check_segment(v[i], &next, &err);
        if (next != UINT64_MAX)
            *ret_end = next;
    }
    *ret_first = *ret_end - packets;
    if (!good)
        tap_diag("%s", err.text);
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
    return good;
}

static uint64_t directory_bytes(const char *dir)
{
    uint64_t sum = 0;
    DIR *d = opendir(dir);
    struct stat st;
    for (struct dirent *e; d && (e = readdir(d));)
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_blocks * 512 > (uint64_t)st.st_size ? (uint64_t)st.st_blocks * 512 : (uint64_t)st.st_size;
    if (d)
        closedir(d);
    return sum;
}

/* ---- In and out ---- */

static void test_round_trip(void)
{
    char dir[128];
    uint64_t first, end;
    dir_path("round", dir);
    const struct ring_options o = options(dir, 64 * MIB, 4 * MIB);
    struct ring *r = must_open(&o), *other = NULL;
    struct error err;
    struct ring_stats stats;
    uint32_t iface = must_add(r, "eth0");
    is_int(ring_open(&o, &other, &err), TD_E_EXISTS, "a second worker is refused");
    like(err.text, "belongs to a worker that is running", "and told why");
    append(r, iface, 0, 100);
    ok(check_ring(r, &first, &end) && first == 0 && end == 100, "packets are read before anything is on the disk");
    append(r, iface, 100, 30000);
    ok(check_ring(r, &first, &end) && first == 0 && end == 30000, "over several segments, while the last is open");
    ring_tick(r, packet_time(30000), NULL, 0);
    append(r, iface, 30000, 30500);
    settle(r);
    ok(check_ring(r, &first, &end) && first == 0 && end == 30500, "after an unfinished block was flushed, and more came");
    ring_stats(r, &stats);
    is_int(stats.packets, 30500, "packets are counted");
    is_int(stats.oldest_ns, packet_time(0), "the oldest");
    is_int(stats.newest_ns, packet_time(30499), "and the newest");
    ring_close(r);
    r = must_open(&o);
    ok(check_ring(r, &first, &end) && first == 0 && end == 30500, "all is there when it is opened again");
    ring_stats(r, &stats);
    is_int(stats.recovered + stats.rebuilt, 0, "nothing had to be mended");
    iface = must_add(r, "eth0");
    append(r, iface, 30500, 30600);
    ring_close(r);
    ok(ring_open_read_only(dir, &r, &err) == TD_OK, "it opens for reading");
    ok(check_ring(r, &first, &end) && first == 0 && end == 30600, "and goes on where it was");
    struct segment_summary *v;
    size_t n;
    ok(ring_summaries(r, &v, &n, &err) == TD_OK && n >= 6, "segments");
    is_int(v[0].gap, GAP_FIRST, "before the first there was nothing");
    is_int(v[n - 1].gap, GAP_STOPPED, "before the last the worker was stopped");
    ok(v[n - 1].covered_from_ns > v[n - 2].covered_to_ns, "for a while");
    ok(v[1].gap == GAP_NONE && v[1].covered_from_ns == v[0].covered_to_ns, "between others there is no gap");
    mem_free(v);
    ring_close(r);
}

/* ---- The budget ---- */

struct watch {
    const char *dir;
    atomic_bool stop;
    uint64_t most;
    unsigned looks;
};

static void *watch(void *arg)
{
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        uint64_t bytes = directory_bytes(w->dir);
        w->most = bytes > w->most ? bytes : w->most;
        w->looks++;
        usleep(500);
    }
    return NULL;
}

static void test_budget(uint64_t storage, uint64_t segment, int level)
{
    char dir[128];
    uint64_t first, end;
    snprintf(dir, sizeof(dir), "%s/budget-%llu-%d", root, (unsigned long long)storage, level);
    struct ring_options o = options(dir, storage, segment);
    o.compression_level = level;
    struct ring *r = must_open(&o);
    struct watch w = {.dir = dir};
    struct ring_stats s;
    pthread_t thread;
    uint32_t iface = must_add(r, "eth0");
    pthread_create(&thread, NULL, watch, &w);
    uint64_t count = 4 * storage / 800, step = 1000;
    for (uint64_t n = 0; n < count; n += step) {
        append(r, iface, n, n + step);
        if (n % 10000 == 0)
            ring_tick(r, packet_time(n), NULL, 0);
    }
    settle(r);
    for (int i = 0; level && i < 200; i++) { /* let it compress */
        ring_stats(r, &s);
        if (s.compressed + 2 >= s.segments)
            break;
        usleep(10000);
    }
    ring_stats(r, &s);
    bool good = check_ring(r, &first, &end);
    ok(good && end == (count + step - 1) / step * step && first > 0, "the newest packets are there, %llu to %llu of %llu",
       (unsigned long long)first, (unsigned long long)end, (unsigned long long)count);
    ok(s.bytes + s.reserved + s.pinned_bytes <= storage, "the accounts are within the budget");
    ok(s.recycled > 10, "segments were recycled (%llu)", (unsigned long long)s.recycled);
    ok(!level || s.compressed > 0, "and compressed, if it was asked for (%llu)", (unsigned long long)s.compressed);
    ring_close(r);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    ok(w.most <= storage, "%u looks at the directory: at most %llu of %llu bytes", w.looks, (unsigned long long)w.most,
       (unsigned long long)storage);
    ok(w.most > storage / 2, "most of which is used");
    r = must_open(&o);
    uint64_t again, again_end;
    ok(check_ring(r, &again, &again_end) && again_end == end, "all of it is there when it is opened again");
    ring_stats(r, &s);
    is_int(s.recovered + s.rebuilt, 0, "and nothing was mended");
    o.storage_size = storage / 2;
    ring_reconfigure(r, &o);
    for (int i = 0; i < 300 && directory_bytes(dir) > storage / 2; i++)
        usleep(10000);
    ok(directory_bytes(dir) <= storage / 2, "a smaller budget is kept at once");
    ring_close(r);
}

/* ---- Pins ---- */

static void test_pins(void)
{
    char dir[128];
    dir_path("pins", dir);
    const struct ring_options o = options(dir, 32 * MIB, 2 * MIB);
    struct ring *r = must_open(&o);
    struct error err = {0};
    struct segment *oldest = NULL, *open = NULL, *gone = NULL;
    struct ring_stats s;
    uint32_t iface = must_add(r, "eth0");
    append(r, iface, 0, 3000);
    ok(ring_pin_one(r, 2, &open, &err) == TD_OK && segment_state(open) == SEGMENT_WRITING, "the open segment is pinned");
    append(r, iface, 3000, 6000);
    settle(r);
    ok(ring_pin_one(r, 1, &oldest, &err) == TD_OK && segment_state(oldest) == SEGMENT_SEALED, "and the oldest");
    uint64_t next = 0, count = 6000;
    for (ring_stats(r, &s); s.recycled < 4; ring_stats(r, &s), count += 1000)
        append(r, iface, count, count + 1000);
    is_int(ring_pin_one(r, 1, &gone, &err), TD_E_NOT_FOUND, "the oldest is recycled");
    like(err.text, "segment 1 has been recycled; the oldest is", "which is told");
    ok(check_segment(oldest, &next, &err) && next > 1000, "who has pinned it still reads it");
    uint64_t end = next;
    ok(check_segment(open, &next, &err) && next == end + segment_summary(open)->packets, "and the one that was open, as it was");
    struct segment_index *index;
    ok(segment_index(oldest, &index, &err) == TD_OK && segment_index(open, &index, &err) == TD_OK, "their indexes, too");
    ring_stats(r, &s);
    ok(s.pinned_bytes >= 2 * MIB && s.bytes + s.reserved + s.pinned_bytes <= o.storage_size, "what is pinned counts in the budget");
    segment_unpin(oldest);
    segment_unpin(open);
    ring_stats(r, &s);
    is_int(s.pinned_bytes, 0, "and no more when it is let go");
    ring_close(r);
}

static void test_revoking(void)
{
    char dir[128];
    dir_path("revoked", dir);
    const struct ring_options o = options(dir, 16 * MIB, 2 * MIB);
    struct ring *r = must_open(&o);
    struct segment **v;
    size_t n;
    struct error err = {0};
    struct ring_stats s;
    uint8_t byte;
    uint32_t iface = must_add(r, "eth0");
    uint64_t count = 0, first, end;
    for (ring_stats(r, &s); s.recycled < 1; ring_stats(r, &s), count += 1000)
        append(r, iface, count, count + 1000);
    settle(r);
    ok(ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err) == TD_OK && n >= 5, "the whole ring is pinned");
    for (int i = 0; i < 40; i++, count += 1000)
        append(r, iface, count, count + 1000);
    ring_stats(r, &s);
    ok(s.revoked > 0 && s.bytes + s.reserved + s.pinned_bytes <= o.storage_size, "no reader can stop the capture");
    is_int(s.dropped_by_disk, 0, "nothing was lost");
    is_int(segment_read(v[0], 0, &byte, 1, &err), TD_E_NOT_FOUND, "the oldest reader is told");
    like(err.text, "was recycled while it was read", "clearly");
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
    settle(r);
    ok(check_ring(r, &first, &end) && end == count, "and the ring is as it should be");
    ring_close(r);
}

static void test_link(void)
{
    char dir[128], path[200];
    struct segment *s;
    struct error err = {0};
    struct stat st;
    dir_path("link", dir);
    const struct ring_options o = options(dir, 16 * MIB, 2 * MIB);
    struct ring *r = must_open(&o);
    uint32_t iface = must_add(r, "eth0");
    int fd = open(root, O_RDONLY | O_DIRECTORY);
    append(r, iface, 0, 4000);
    settle(r);
    ok(ring_pin_one(r, 1, &s, &err) == TD_OK && segment_link(s, fd, "linked.pcapng", &err) == TD_OK, "a sealed segment gets another name");
    is_int(segment_link(s, fd, "linked.pcapng", &err), TD_E_EXISTS, "once");
    segment_unpin(s);
    append(r, iface, 4000, 60000);
    settle(r);
    is_int(ring_pin_one(r, 1, &s, &err), TD_E_NOT_FOUND, "it is recycled");
    snprintf(path, sizeof(path), "%s/linked.pcapng", root);
    ok(stat(path, &st) == 0 && st.st_size > MIB && st.st_nlink == 1, "and lives on under its other name");
    close(fd);
    ring_close(r);
}

/* ---- Crashes ---- */

/* Appends without end, and says how many packets were handed to the ring before the last tick. */
static void capture_until_killed(const struct ring_options *o, int pipe_fd)
{
    struct ring *r;
    struct error err;
    if (ring_open(o, &r, &err) != TD_OK)
        _exit(1);
    uint32_t iface = must_add(r, "eth0");
    uint64_t first, end;
    (void)!check_ring(r, &first, &end);
    for (uint64_t n = end;; n += 500) {
        append(r, iface, n, n + 500);
        ring_tick(r, packet_time(n), NULL, 0);
        if (write(pipe_fd, &n, sizeof(n)) != sizeof(n))
            _exit(1);
    }
}

static void test_kills(int times)
{
    char dir[128];
    dir_path("killed", dir);
    const struct ring_options o = options(dir, 64 * MIB, 2 * MIB);
    int good = 0, gaps = 0;
    uint64_t recovered = 0;
    for (int i = 0; i < times; i++) {
        int ends[2];
        if (pipe(ends) != 0)
            abort();
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            capture_until_killed(&o, ends[1]);
        }
        close(ends[1]);
        uint64_t told = 0, first, end;
        (void)!read(ends[0], &told, sizeof(told)); /* it has begun */
        usleep((useconds_t)(rand() % 60000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &told, sizeof(told)) == sizeof(told))
            ;
        close(ends[0]);
        struct ring *r = must_open(&o);
        struct ring_stats s;
        ring_stats(r, &s);
        recovered += s.recovered + s.rebuilt;
        /* Blocks are on their way for a moment: at most those that the writer holds are lost. */
        good += check_ring(r, &first, &end) && end + 33 * MIB / 800 > told;
        struct segment_summary *v;
        size_t n;
        struct error err;
        if (ring_summaries(r, &v, &n, &err) == TD_OK) {
            for (size_t k = 0; k < n; k++)
                gaps += v[k].gap == GAP_KILLED;
            mem_free(v);
        }
        ring_close(r);
    }
    is_int(good, times, "after each of %d kills every packet is whole, and they follow each other", times);
    ok(recovered > 0, "there was something to recover (%llu segments)", (unsigned long long)recovered);
    ok(gaps > 0, "and gaps are told");
}

/* A sealed segment whose end or index is damaged in some way. */
static void test_damage(void)
{
    char dir[128], path[300];
    dir_path("damaged", dir);
    const struct ring_options o = options(dir, 16 * MIB, 2 * MIB);
    struct ring *r = must_open(&o);
    uint32_t iface = must_add(r, "eth0");
    struct ring_stats s;
    struct stat st;
    uint64_t first, end;
    append(r, iface, 0, 5000);
    ring_close(r);
    snprintf(path, sizeof(path), "%s/0000000001.idx", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/0000000002.idx", dir);
    int fd = open(path, O_WRONLY);
    ok(fd >= 0 && pwrite(fd, "\377\377\377\377", 4, 40) == 4, "an index is damaged");
    close(fd);
    r = must_open(&o);
    ring_stats(r, &s);
    is_int(s.rebuilt * 10 + s.recovered, 11, "a missing and a damaged index are made anew");
    ok(check_ring(r, &first, &end) && first == 0 && end == 5000, "and nothing is lost");
    ring_close(r);
    int good = 0;
    for (int i = 0; i < 40; i++) { /* the last segment is torn anywhere, or has a tail of zeros or of garbage */
        char garbage[3000];
        for (size_t k = 0; k < sizeof(garbage); k++)
            garbage[k] = (char)(i % 3 == 1 ? 0 : rand());
        for (unsigned sequence = 9; sequence > 0; sequence--) {
            snprintf(path, sizeof(path), "%s/%010u.pcapng", dir, sequence);
            if (stat(path, &st) == 0 && st.st_size > 400)
                break;
        }
        fd = open(path, O_WRONLY);
        uint64_t cut = i % 3 == 0 ? 300 + (uint64_t)rand() % ((uint64_t)st.st_size - 300) : (uint64_t)st.st_size;
        if (ftruncate(fd, (off_t)cut) != 0 || (i % 3 && pwrite(fd, garbage, sizeof(garbage), st.st_size) != sizeof(garbage)))
            abort();
        close(fd);
        uint64_t before = end;
        r = must_open(&o);
        good += check_ring(r, &first, &end) && first == 0 && (i % 3 == 0 ? end <= before : end == before);
        ring_close(r);
    }
    is_int(good, 40, "40 torn tails: cut at the last whole packet, never more");
}

/* A snapshot has the file of a segment whose end turns out to be damaged. */
static void test_damage_linked(void)
{
    char dir[128], path[300], linked[200];
    struct stat before, after;
    uint64_t first, end;
    dir_path("damaged-linked", dir);
    const struct ring_options o = options(dir, 16 * MIB, 2 * MIB);
    struct ring *r = must_open(&o);
    append(r, must_add(r, "eth0"), 0, 1000);
    ring_close(r);
    snprintf(path, sizeof(path), "%s/0000000001.pcapng", dir);
    snprintf(linked, sizeof(linked), "%s/kept.pcapng", root);
    int fd = open(path, O_WRONLY | O_APPEND);
    ok(fd >= 0 && write(fd, "garbage garbage garbage garbage!", 32) == 32 && link(path, linked) == 0 && stat(linked, &before) == 0,
       "a segment with a tail that is none, and with another name");
    close(fd);
    r = must_open(&o);
    ok(check_ring(r, &first, &end) && first == 0 && end == 1000, "the ring cuts it");
    ring_close(r);
    ok(stat(linked, &after) == 0 && after.st_size == before.st_size && after.st_nlink == 1, "and the other one stays as it was");
    ok(stat(path, &after) == 0 && after.st_size == before.st_size - 32, "by a copy");
    r = must_open(&o);
    struct ring_stats s;
    ring_stats(r, &s);
    ok(s.recovered + s.rebuilt == 0 && check_ring(r, &first, &end) && end == 1000, "which is whole from then on");
    ring_close(r);
}

/* The disk takes no more from some byte of a segment on. */
static void test_full_disk(void)
{
    char dir[128];
    dir_path("full", dir);
    struct ring_options o = options(dir, 32 * MIB, 4 * MIB);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct ring *r;
        struct error err;
        struct rlimit limit = {2500000, RLIM_INFINITY};
        struct ring_stats s;
        log_set_level(0);
        signal(SIGXFSZ, SIG_IGN);
        if (ring_open(&o, &r, &err) != TD_OK)
            _exit(1);
        uint32_t iface = must_add(r, "eth0");
        setrlimit(RLIMIT_FSIZE, &limit);
        append(r, iface, 0, 9000);
        for (int i = 0; i < 100; i++) {
            usleep(10000);
            ring_tick(r, packet_time(9000), NULL, 0);
            ring_stats(r, &s);
            if (s.dropped_by_disk)
                break;
        }
        limit.rlim_cur = RLIM_INFINITY;
        setrlimit(RLIMIT_FSIZE, &limit);
        ring_tick(r, packet_time(9000), NULL, 0);
        append(r, iface, 9000, 10000);
        settle(r);
        ring_stats(r, &s);
        struct segment_summary *v;
        size_t n;
        uint64_t there = 0, lost = 0;
        bool gap = false;
        if (ring_summaries(r, &v, &n, &err) != TD_OK)
            _exit(1);
        for (size_t i = 0; i < n; i++) {
            there += v[i].packets;
            lost += v[i].dropped_by_disk;
            gap |= v[i].gap == GAP_DISK;
        }
        ring_close(r);
        _exit(s.dropped_by_disk == 0 ? 2 : there + s.dropped_by_disk != 10000 ? 3 : lost == 0 ? 4 : !gap ? 5 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a disk that takes no more: what is lost is counted, and capturing goes on (%d)",
       status);
    struct ring *r = must_open(&o);
    struct segment **v;
    size_t n;
    struct error err = {0};
    bool good = ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err) == TD_OK;
    for (size_t i = 0; i < n; i++) {
        uint64_t next = UINT64_MAX;
        good = good && check_segment(v[i], &next, &err);
        segment_unpin(v[i]);
    }
    mem_free(v);
    ok(good, "and every segment is whole: %s", err.text);
    ring_close(r);
}

/* ---- Drops and interfaces ---- */

static void test_drops(void)
{
    char dir[128];
    dir_path("drops", dir);
    const struct ring_options o = options(dir, 32 * MIB, 4 * MIB);
    struct ring *r = must_open(&o);
    uint32_t a = must_add(r, "eth0"), b = must_add(r, "eth1");
    const struct ring_drops drops[] = {{a, 1000, 17, 0}, {b, 5, 0, 3}};
    struct segment_summary *v = NULL;
    size_t n = 0;
    struct error err;
    append(r, a, 0, 100);
    ring_tick(r, packet_time(100), drops, 2);
    append(r, b, 100, 200);
    ring_tick(r, packet_time(200), drops, 2);
    ring_remove_interface(r, b, "it is gone");
    append(r, a, 200, 300);
    ring_close(r);
    ok(ring_open_read_only(dir, &r, &err) == TD_OK && ring_summaries(r, &v, &n, &err) == TD_OK && n == 1, "one segment");
    is_int(v[0].dropped_by_kernel, 34, "drops by the kernel");
    is_int(v[0].dropped_by_interface, 6, "and by the interface");
    mem_free(v);
    ring_close(r);
    char path[200];
    snprintf(path, sizeof(path), "%s/0000000001.idx", dir);
    unlink(path);
    ok(ring_open_read_only(dir, &r, &err) == TD_OK && ring_summaries(r, &v, &n, &err) == TD_OK && n == 1, "without its index");
    is_int(v[0].dropped_by_kernel, 34, "they are read from the segment itself");
    is_int(v[0].packets, 300, "as are the packets");
    mem_free(v);
    ring_close(r);
}

int main(void)
{
    log_set_level(0);
    snprintf(root, sizeof(root), "%s/tapedeck-ring-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(root))
        return 1;
    srand(1);
    test_round_trip();
    test_budget(16 * MIB, 0, 0);
    test_budget(48 * MIB, 4 * MIB, 0);
    test_budget(24 * MIB, 2 * MIB, 1);
    test_pins();
    test_revoking();
    test_link();
    test_kills(8);
    test_damage();
    test_damage_linked();
    test_full_disk();
    test_drops();
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command) == 0 ? tap_done() : 1;
}
