/* Captures that are replayed: from files and fifos, at full speed and at their own. Named for `make tsan`. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/units.h"
#include "capture/packet_source.h"
#include "unit/packet/capture_build.h"

enum { MAX_INTERFACES = 8 };

/* What the sink was told. */
struct told {
    uint64_t packets, bytes;
    int64_t first_ns, last_ns;
    uint64_t sum; /* of the packets' first bytes, each times its number, so that order counts */
    uint32_t up, down, linktype[MAX_INTERFACES];
    uint64_t by_iface[MAX_INTERFACES];
    char name[MAX_INTERFACES][64], why[128];
    int fail_up; /* status */
};

static int on_up(void *ctx, const struct source_interface *i, uint32_t *ret, struct error *err)
{
    struct told *s = ctx;
    if (s->fail_up)
        return error_set(err, s->fail_up, "the sink is full");
    snprintf(s->name[s->up], sizeof(s->name[0]), "%s|%s|%s", i->name ? i->name : "", i->description ? i->description : "",
             i->filter ? i->filter : "");
    s->linktype[s->up] = i->linktype;
    *ret = s->up++;
    return TD_OK;
}

static void on_down(void *ctx, uint32_t iface, const char *why)
{
    struct told *s = ctx;
    s->down += iface < s->up;
    snprintf(s->why, sizeof(s->why), "%s", why);
}

static void on_packet(void *ctx, uint32_t iface, int64_t time_ns, const uint8_t *bytes, uint32_t caplen, uint32_t len)
{
    struct told *s = ctx;
    if (!s->packets++)
        s->first_ns = time_ns;
    s->last_ns = time_ns;
    s->by_iface[iface]++;
    s->bytes += len;
    s->sum += caplen ? s->packets * bytes[0] : 0;
}

static struct packet_source *open_source(const char *path, enum file_pace pace, enum file_times times, struct told *seen)
{
    struct packet_source *s = NULL;
    struct error err = {0};
    *seen = (struct told){0};
    if (packet_source_open_file(&(struct file_options){path, pace, times}, &(struct source_sink){seen, on_up, on_down, on_packet}, &s,
                                &err) != TD_OK)
        tap_diag("%s", err.text);
    return s;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Until it ends, fails, or `seconds` have gone. */
static int run_to_end(struct packet_source *s, int seconds, bool *ret_ended, struct error *err)
{
    int64_t until = clock_ns(CLOCK_MONOTONIC) + (int64_t)seconds * NS_PER_S;
    int status = TD_OK;
    *ret_ended = false;
    while (status == TD_OK && !*ret_ended && clock_ns(CLOCK_MONOTONIC) < until)
        status = packet_source_run(s, 100, ret_ended, err);
    return status;
}

/* ---- Captures ---- */

static void write_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok(fd >= 0 && write(fd, p, n) == (ssize_t)n, "%zu bytes are written", n);
    close(fd);
}

/* `n` packets of `size` bytes, `step_us` apart. */
static void build_pcap(struct buf *b, uint32_t n, uint32_t size, uint32_t step_us)
{
    put_pcap_header(b, false, 0xa1b2c3d4, 2, 4, 65535, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t us = (uint64_t)i * step_us;
        put_pcap_record(b, false, (uint32_t)(1700000000 + us / 1000000), (uint32_t)(us % 1000000), size, size, 0);
    }
}

static uint64_t expected_sum(const struct buf *pcap, uint32_t n, uint32_t size)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (i + 1) * pcap->p[24 + i * (16 + size) + 16];
    return sum;
}

/* Without time and captured length. */
static void put_simple(struct buf *b, uint32_t len)
{
    struct buf body = {0};
    put32(&body, false, len);
    put_pattern(&body, len, 1);
    put_block(b, false, 3, &body);
}

static void put_named_interface(struct buf *b, unsigned linktype, const char *name)
{
    struct buf options = {0};
    put_option(&options, false, 2, name, strlen(name));
    put_option(&options, false, 3, "of two", 6);
    put_option(&options, false, 11, "\0tcp", 4);
    put_interface(b, false, linktype, 0, &options);
}

/* Two interfaces with a timed packet each, and two packets without time of the first, in front or behind. */
static void build_pcapng(struct buf *b, bool simple_first)
{
    put_section(b, false);
    put_named_interface(b, 1, "first");
    put_named_interface(b, 276, "second");
    for (uint32_t i = 0; i < 4; i++)
        if (simple_first == (i < 2))
            put_simple(b, 40);
        else
            put_enhanced(b, false, i % 2, 1700000000000000ull + i % 2, 40, 40);
}

/* ---- Files ---- */

static void check_whole(const char *path, const char *what, const struct buf *pcap, uint32_t n)
{
    struct told seen;
    struct error err = {0};
    bool ended = false;
    struct packet_source *s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    ok(s != NULL, "%s: opened", what);
    if (!s)
        return;
    is_int(run_to_end(s, 20, &ended, &err), TD_OK, "%s: no error", what);
    ok(ended, "%s: ended", what);
    is_int(seen.packets, n, "%s: every packet", what);
    is_int(seen.sum, expected_sum(pcap, n, 100), "%s: in order, with their bytes", what);
    is_int(seen.first_ns, 1700000000ll * NS_PER_S, "%s: the time of the capture", what);
    is_int(seen.last_ns - seen.first_ns, (n - 1) * 10ll * NS_PER_US, "%s: nothing is shifted", what);
    is_int(seen.up * 10 + seen.down, 11, "%s: one interface, which goes at the end", what);
    struct source_drops drops[2];
    is_int(packet_source_drops(s, drops, 2), 1, "%s: counted", what);
    is_int(drops[0].received, n, "%s: as received", what);
    is_int(packet_source_drops(s, drops, 2), 0, "%s: once", what);
    is_int(packet_source_run(s, 0, &ended, &err) == TD_OK && ended, 1, "%s: it stays ended", what);
    packet_source_close(s);
}

static void test_files(const char *path)
{
    enum { N = 20000 };
    struct buf b;
    buf_init(&b, 0);
    build_pcap(&b, N, 100, 10);
    write_file(path, b.p, b.n);
    check_whole(path, "file", &b, N);
    gzFile gz = gzopen(path, "wb");
    ok(gzwrite(gz, b.p, (unsigned)b.n) == (int)b.n && gzclose(gz) == Z_OK, "gzip");
    check_whole(path, "gzip", &b, N);
    size_t room = ZSTD_compressBound(b.n);
    void *packed = malloc(room);
    size_t n = ZSTD_compress(packed, room, b.p, b.n, 1);
    write_file(path, packed, n);
    check_whole(path, "zstd", &b, N);
    free(packed);
    buf_clear(&b);
}

static void test_faults(const char *path)
{
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = true;
    struct packet_source *s = NULL;
    struct source_sink sink = {&seen, on_up, on_down, on_packet};
    is_int(packet_source_open_file(&(struct file_options){"/nowhere/at.pcap", 0, 0}, &sink, &s, &err), TD_E_NOT_FOUND, "not there");
    like(err.text, "/nowhere/at.pcap", "the error names it");
    is_int(packet_source_open_file(&(struct file_options){"/tmp", 0, 0}, &sink, &s, &err), TD_E_UNSUPPORTED, "a folder");
    write_file(path, "no capture at all", 17);
    is_int(packet_source_open_file(&(struct file_options){path, 0, 0}, &sink, &s, &err), TD_E_UNSUPPORTED, "no capture");
    buf_init(&b, 0);
    build_pcap(&b, 1000, 100, 10);
    write_file(path, b.p, b.n - 50);
    s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    is_int(run_to_end(s, 20, &ended, &err), TD_E_CORRUPT, "a cut file: an error");
    ok(!ended, "which is no end");
    like(err.text, "packet 1000 is cut", "it says where");
    is_int(seen.packets, 999, "after the packets before it");
    is_int(seen.down, 1, "its interface went down");
    is_int(packet_source_run(s, 0, &ended, &err), TD_E_CORRUPT, "it stays an error");
    packet_source_close(s);
    s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    seen.fail_up = TD_E_LIMIT;
    is_int(run_to_end(s, 20, &ended, &err), TD_E_LIMIT, "a sink that fails");
    is_int(seen.packets, 0, "gets no packet");
    is_int(packet_source_reconfigure(s, &(struct live_options){0}, &err), TD_E_UNSUPPORTED, "a file takes no live options");
    packet_source_close(s);
    buf_clear(&b);
}

static void test_interfaces(const char *path)
{
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = false;
    buf_init(&b, 0);
    build_pcapng(&b, false);
    write_file(path, b.p, b.n);
    struct packet_source *s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    is_int(run_to_end(s, 20, &ended, &err), TD_OK, "two interfaces");
    is_int(seen.up, 2, "both are told");
    is_str(seen.name[0], "first|of two|tcp", "with what the capture says of them");
    is_str(seen.name[1], "second|of two|tcp", "of the second, too");
    is_int(seen.linktype[1], 276, "each has its link type");
    is_int(seen.by_iface[0] * 10 + seen.by_iface[1], 31, "packets have their interface");
    is_int(seen.down, 2, "both go");
    is_int(seen.last_ns, 1700000000000001000, "a packet without time has that of the one before");
    packet_source_close(s);
    buf_reset(&b);
    build_pcapng(&b, true);
    write_file(path, b.p, b.n);
    int64_t before = clock_ns(CLOCK_REALTIME);
    s = open_source(path, FILE_PACE_ORIGINAL, FILE_TIMES_ORIGINAL, &seen);
    is_int(run_to_end(s, 20, &ended, &err), TD_OK, "packets without time before any that has one");
    ok(seen.first_ns >= before && seen.first_ns <= clock_ns(CLOCK_REALTIME), "have the time of their reading");
    is_int(seen.packets, 4, "none is lost");
    packet_source_close(s);
    buf_clear(&b);
}

/* ---- Pace ---- */

static void test_pace(const char *path)
{
    enum { N = 30, STEP_MS = 10 };
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = false;
    buf_init(&b, 0);
    build_pcap(&b, N, 100, STEP_MS * 1000);
    write_file(path, b.p, b.n);
    int64_t wall = clock_ns(CLOCK_REALTIME), start = clock_ns(CLOCK_MONOTONIC);
    struct packet_source *s = open_source(path, FILE_PACE_ORIGINAL, FILE_TIMES_NOW, &seen);
    while (seen.packets == 0)
        (void)!packet_source_run(s, 100, &ended, &err);
    ok(seen.packets < N, "at its own pace not all come at once (%d)", (int)seen.packets);
    is_int(run_to_end(s, 20, &ended, &err), TD_OK, "at its own pace");
    int64_t took = clock_ns(CLOCK_MONOTONIC) - start;
    is_int(seen.packets, N, "all packets");
    ok(took >= (N - 1) * (int64_t)STEP_MS * NS_PER_MS, "takes as long as it was (%.3f s)", (double)took / NS_PER_S);
    ok(took < 10 * (int64_t)NS_PER_S, "and not for ever");
    ok(seen.first_ns >= wall && seen.first_ns < wall + NS_PER_S, "shifted to now");
    is_int(seen.last_ns - seen.first_ns, (N - 1) * (int64_t)STEP_MS * NS_PER_MS, "with the distances that there were");
    packet_source_close(s);
    buf_clear(&b);
}

/* A capture with a pause of an hour in it: the wait is ended by its time, by being woken, and by closing. */
static void test_long_pause(const char *path)
{
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = false;
    buf_init(&b, 0);
    build_pcap(&b, 2, 100, 3600u * 1000000);
    write_file(path, b.p, b.n);
    struct packet_source *s = open_source(path, FILE_PACE_ORIGINAL, FILE_TIMES_ORIGINAL, &seen);
    while (seen.packets == 0)
        (void)!packet_source_run(s, 100, &ended, &err);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    is_int(packet_source_run(s, 50, &ended, &err), TD_OK, "a wait for its time");
    int64_t took = clock_ns(CLOCK_MONOTONIC) - start;
    ok(took >= 50 * (int64_t)NS_PER_MS && took < 10 * (int64_t)NS_PER_S, "lasts as long as is asked (%.3f s)", (double)took / NS_PER_S);
    packet_source_wake(s);
    start = clock_ns(CLOCK_MONOTONIC);
    is_int(packet_source_run(s, 60000, &ended, &err), TD_OK, "woken");
    ok(clock_ns(CLOCK_MONOTONIC) - start < 10 * (int64_t)NS_PER_S, "does not wait");
    is_int(seen.packets, 1, "the second packet is still to come");
    packet_source_close(s);
    buf_clear(&b);
}

/* ---- Fifos ---- */

struct waker {
    struct packet_source *source;
    int64_t after_ns;
};

static void *wake_later(void *arg)
{
    const struct waker *w = arg;
    struct timespec pause = {.tv_nsec = w->after_ns};
    nanosleep(&pause, NULL);
    packet_source_wake(w->source);
    return NULL;
}

/* Runs it for a minute unless it is woken, which another thread does. */
static void check_wake(struct packet_source *s, const char *what)
{
    struct error err = {0};
    bool ended = false;
    struct waker waker = {s, 20 * NS_PER_MS};
    pthread_t thread;
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    pthread_create(&thread, NULL, wake_later, &waker);
    is_int(packet_source_run(s, 60000, &ended, &err), TD_OK, "%s: woken by another thread", what);
    ok(!ended && clock_ns(CLOCK_MONOTONIC) - start < 30 * (int64_t)NS_PER_S, "%s: the wait is over", what);
    pthread_join(thread, NULL);
}

/* Writes [from, to) of `b` and waits until `packets` have come. */
static bool comes(struct packet_source *s, int fd, const void *p, size_t n, const struct told *seen, uint64_t packets)
{
    struct error err;
    bool ended = false;
    if (write(fd, p, n) != (ssize_t)n)
        return false;
    for (int i = 0; i < 200 && seen->packets < packets && !ended; i++)
        if (packet_source_run(s, 50, &ended, &err) != TD_OK)
            return false;
    return seen->packets == packets;
}

static void test_fifo(const char *path)
{
    enum { N = 10, RECORD = 116 };
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = false;
    unlink(path);
    is_int(mkfifo(path, 0600), 0, "a fifo");
    buf_init(&b, 0);
    build_pcap(&b, N, 100, 10);
    struct packet_source *s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    ok(s != NULL, "opened without a writer");
    check_wake(s, "a fifo without a writer");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    check_wake(s, "a fifo whose writer is silent");
    ok(comes(s, fd, b.p, 24 + RECORD, &seen, 1), "the first packet comes when it is written");
    ok(comes(s, fd, b.p + 24 + RECORD, 3 * RECORD, &seen, 4), "three more come at once");
    ok(comes(s, fd, b.p + 24 + 4 * RECORD, RECORD + 50, &seen, 5), "of a packet and a half one comes");
    check_wake(s, "in the middle of a packet");
    ok(comes(s, fd, b.p + 24 + 5 * RECORD + 50, b.n - (24 + 5 * RECORD + 50), &seen, N), "all come");
    close(fd);
    is_int(run_to_end(s, 20, &ended, &err), TD_OK, "the writer ends");
    ok(ended, "and so does the source");
    is_int(seen.sum, expected_sum(&b, N, 100), "the packets are right");
    packet_source_close(s);
    buf_clear(&b);
}

/* What a compressor has flushed must come without what follows. */
static void test_fifo_zstd(const char *path)
{
    enum { N = 6, RECORD = 116 };
    struct told seen;
    struct buf b;
    uint8_t packed[65536];
    buf_init(&b, 0);
    build_pcap(&b, N, 100, 10);
    struct packet_source *s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ZSTD_CStream *z = ZSTD_createCStream();
    for (size_t i = 0; i < N; i++) {
        size_t from = i ? 24 + i * RECORD : 0;
        ZSTD_inBuffer in = {b.p + from, 24 + (i + 1) * RECORD - from, 0};
        ZSTD_outBuffer out = {packed, sizeof(packed), 0};
        ZSTD_compressStream2(z, &out, &in, ZSTD_e_flush);
        ok(comes(s, fd, packed, out.pos, &seen, i + 1), "zstd: packet %zu comes when it is flushed", i + 1);
    }
    ZSTD_freeCStream(z);
    packet_source_close(s);
    close(fd);
    buf_clear(&b);
}

static void test_fifo_gzip(const char *path)
{
    enum { N = 6, RECORD = 116 };
    struct told seen;
    struct buf b;
    uint8_t packed[65536];
    z_stream z = {0};
    buf_init(&b, 0);
    build_pcap(&b, N, 100, 10);
    struct packet_source *s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    is_int(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK, "gzip");
    for (size_t i = 0; i < N; i++) {
        size_t from = i ? 24 + i * RECORD : 0;
        z.next_in = b.p + from;
        z.avail_in = (uInt)(24 + (i + 1) * RECORD - from);
        z.next_out = packed;
        z.avail_out = sizeof(packed);
        deflate(&z, Z_SYNC_FLUSH);
        ok(comes(s, fd, packed, sizeof(packed) - z.avail_out, &seen, i + 1), "gzip: packet %zu comes when it is flushed", i + 1);
    }
    deflateEnd(&z);
    packet_source_close(s);
    close(fd);
    buf_clear(&b);
}

static void test_standard_input(const char *path)
{
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = false;
    buf_init(&b, 0);
    build_pcap(&b, 10, 100, 10);
    unlink(path);
    write_file(path, b.p, b.n);
    int fd = open(path, O_RDONLY | O_CLOEXEC), old = dup(STDIN_FILENO);
    dup2(fd, STDIN_FILENO);
    struct packet_source *s = open_source("-", FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
    is_int(run_to_end(s, 20, &ended, &err), TD_OK, "standard input");
    is_int(seen.packets, 10, "its packets");
    packet_source_close(s);
    dup2(old, STDIN_FILENO);
    close(old);
    close(fd);
    buf_clear(&b);
}

/* Closed with packets in the queue and the reader waiting for room in it. */
static void test_early_close(const char *path)
{
    struct told seen;
    struct error err = {0};
    struct buf b;
    bool ended = false;
    buf_init(&b, 0);
    build_pcap(&b, 50000, 100, 10);
    write_file(path, b.p, b.n);
    for (int i = 0; i < 20; i++) {
        struct packet_source *s = open_source(path, FILE_PACE_FULL, FILE_TIMES_ORIGINAL, &seen);
        if (i)
            (void)!packet_source_run(s, i, &ended, &err);
        packet_source_close(s);
    }
    ok(seen.packets < 50000, "closed early");
    buf_clear(&b);
}

static void test_memory(const char *path)
{
    struct told seen;
    struct error err;
    struct packet_source *s = NULL;
    struct source_sink sink = {&seen, on_up, on_down, on_packet};
    for (unsigned long nth = 1;; nth++) {
        mem_fail_at(nth);
        int status = packet_source_open_file(&(struct file_options){path, 0, 0}, &sink, &s, &err);
        bool failed = mem_failed();
        mem_fail_at(0);
        if (status == TD_OK)
            packet_source_close(s);
        if (!failed) {
            ok(nth > 3, "%lu allocations fail one by one", nth - 1);
            break;
        }
        if (status != TD_E_NOMEM && status != TD_E_LIMIT) /* the latter: of a table in an arena */
            ok(false, "allocation %lu fails: %s", nth, error_name(status));
    }
}

int main(void)
{
    char dir[] = "/tmp/file_source.XXXXXX", path[64];
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/capture", dir);
    test_files(path);
    test_faults(path);
    test_interfaces(path);
    test_pace(path);
    test_long_pause(path);
    test_early_close(path);
    test_memory(path);
    test_fifo(path);
    test_fifo_zstd(path);
    test_fifo_gzip(path);
    test_standard_input(path);
    unlink(path);
    rmdir(dir);
    return tap_done();
}
