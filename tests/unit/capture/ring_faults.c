/* The segment ring on a disk that fails, and on file systems with ways of their own: the calls that reach them are made here. */
#include "capture/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "tap.h"

enum { MIB = 1 << 20 };

static char root[64];
static atomic_ullong fake_free; /* bytes; 0: as it is */
static atomic_int write_error, read_error, sync_error;

/* ---- The disk ---- */

int fstatvfs(int fd, struct statvfs *ret)
{
    (void)fd;
    uint64_t space = atomic_load(&fake_free);
    *ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_bavail = (space ? space : (uint64_t)64 << 30) / 4096};
    return 0;
}

static int fails(const atomic_int *failure)
{
    errno = atomic_load(failure);
    return errno;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
    return fails(&write_error) ? -1 : syscall(SYS_pwrite64, fd, p, n, offset);
}

ssize_t pread(int fd, void *p, size_t n, off_t offset)
{
    return fails(&read_error) ? -1 : syscall(SYS_pread64, fd, p, n, offset);
}

int fdatasync(int fd)
{
    return fails(&sync_error) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- Helpers ---- */

static struct ring_options options(const char *name, char dir[128])
{
    snprintf(dir, 128, "%s/%s", root, name);
    return (struct ring_options){
        .dir = dir, .node = "node-1", .storage_size = 256 * MIB, .segment_size = 2 * MIB, .segment_duration_ns = 3600 * (int64_t)NS_PER_S};
}

static struct ring *must_open(const struct ring_options *o)
{
    struct ring *r = NULL;
    struct error err = {0};
    if (!ok(ring_open(o, &r, &err) == TD_OK, "the ring opens"))
        tap_diag("%s", err.text);
    return r;
}

static void append(struct ring *r, uint32_t iface, int n)
{
    static const uint8_t bytes[1024];
    for (int i = 0; i < n; i++)
        ring_append(r, iface, i, bytes, sizeof(bytes), sizeof(bytes));
    ring_publish(r);
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

static struct ring_stats stats(struct ring *r)
{
    struct ring_stats s;
    ring_stats(r, &s);
    return s;
}

static void tick(struct ring *r, int times)
{
    for (int i = 0; i < times; i++) {
        ring_tick(r, 0, NULL, 0);
        usleep(10000);
    }
}

/* ---- Tests ---- */

/* Removing one segment is enough; the file system only shows it later. */
static void test_late_space(void)
{
    char dir[128];
    struct ring_options o = options("late", dir);
    o.min_free = 100 * MIB;
    struct ring *r = must_open(&o);
    uint32_t iface = must_add(r);
    append(r, iface, 20000);
    tick(r, 20);
    uint64_t before = stats(r).segments;
    atomic_store(&fake_free, 99 * MIB);
    tick(r, 30);
    uint64_t left = stats(r).segments;
    ok(before >= 8 && left == before - 1, "free space that shows late: of %llu segments %llu are left", (unsigned long long)before,
       (unsigned long long)left);
    atomic_store(&fake_free, 0);
    ring_close(r);
}

/* Segments that a snapshot has, too: removing them makes no room, and nobody waits for it. */
static void test_shared(void)
{
    enum { SHARED = 3 };
    char dir[128], from[200], to[200];
    struct ring_options o = options("shared", dir);
    int linked = 0;
    o.min_free = 100 * MIB;
    struct ring *r = must_open(&o);
    append(r, must_add(r), 20000);
    tick(r, 20);
    for (int i = 1; i <= SHARED; i++) {
        snprintf(from, sizeof(from), "%s/%010d.pcapng", dir, i);
        snprintf(to, sizeof(to), "%s/%d.kept", root, i);
        linked += link(from, to) == 0;
    }
    uint64_t before = stats(r).segments;
    atomic_store(&fake_free, 99 * MIB);
    tick(r, 50);
    uint64_t left = stats(r).segments;
    ok(linked == SHARED && before >= 8 && left == before - SHARED - 1, "linked segments make no room: of %llu segments %llu are left",
       (unsigned long long)before, (unsigned long long)left);
    atomic_store(&fake_free, 0);
    ring_close(r);
}

/* What is in the directory. */
static uint64_t packets_on_disk(const char *dir)
{
    struct ring *r = NULL;
    struct segment_summary *v = NULL;
    struct error err = {0};
    size_t n = 0;
    uint64_t packets = 0;
    if (ring_open_read_only(dir, &r, &err) != TD_OK || ring_summaries(r, &v, &n, &err) != TD_OK)
        ok(false, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        packets += v[i].packets;
    mem_free(v);
    ring_close(r);
    return packets;
}

/* The disk fails for a while; afterwards the ring writes again, and what it says to have lost is what is missing. */
static void test_failing_disk(const char *name, atomic_int *failure, bool loses)
{
    char dir[128];
    struct ring_options o = options(name, dir);
    struct ring *r = must_open(&o);
    uint32_t iface = must_add(r);
    uint64_t appended = 0;
    append(r, iface, 3000);
    tick(r, 5);
    atomic_store(failure, EIO);
    for (appended = 3000; !stats(r).trouble && appended < 100000; appended += 1000) {
        append(r, iface, 1000);
        tick(r, 2);
    }
    struct ring_stats during = stats(r);
    ok(during.trouble && during.trouble_errno == EIO, "%s: told after %llu packets", name, (unsigned long long)appended);
    append(r, iface, 5000);
    tick(r, 5);
    appended += 5000;
    atomic_store(failure, 0);
    for (int i = 0; stats(r).trouble && i < 300; i++) {
        append(r, iface, 100);
        appended += 100;
        tick(r, 1);
    }
    struct ring_stats after = stats(r);
    ok(!after.trouble, "%s: it writes again%s%s", name, after.trouble ? ", but: " : "", after.trouble ? after.trouble : "");
    append(r, iface, 3000);
    appended += 3000;
    tick(r, 5);
    uint64_t lost = stats(r).dropped_by_disk;
    ring_close(r);
    ok((lost > 0) == loses, "%s: %llu packets were lost", name, (unsigned long long)lost);
    is_int((int64_t)packets_on_disk(dir), (int64_t)(appended - lost), "%s: all others are there", name);
}

/* A segment that the disk does not give back: said so, and no wrong bytes. */
static void test_unreadable(void)
{
    char dir[128];
    struct ring_options o = options("unreadable", dir);
    struct segment **v = NULL;
    struct error err = {0};
    uint8_t bytes[64];
    size_t n = 0;
    struct ring *r = must_open(&o);
    append(r, must_add(r), 3000);
    tick(r, 5);
    ring_close(r);
    r = must_open(&o);
    is_int(ring_pin(r, INT64_MIN, INT64_MAX, &v, &n, &err), TD_OK, "pinned");
    atomic_store(&read_error, EIO);
    ok(n && segment_read(v[0], 0, bytes, sizeof(bytes), &err) != TD_OK, "reading fails");
    like(err.text, "Input/output error", "and says why");
    atomic_store(&read_error, 0);
    ok(n && segment_read(v[0], 0, bytes, sizeof(bytes), &err) == TD_OK, "and works again with the disk");
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
    ring_close(r);
}

int main(void)
{
    char command[128];
    snprintf(root, sizeof(root), "/tmp/ring_faults.XXXXXX");
    if (!mkdtemp(root))
        return 1;
    log_set_level(0);
    test_late_space();
    test_shared();
    test_failing_disk("writing fails", &write_error, true);
    test_failing_disk("flushing fails", &sync_error, false);
    test_unreadable();
    snprintf(command, sizeof(command), "rm -rf %s", root);
    ok(system(command) == 0, "cleaned up");
    return tap_done();
}
