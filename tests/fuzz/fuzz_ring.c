/* A ring's directory, as a crash or a bad disk may leave it: it is opened, and what is in it can be read. Opened for writing, it is mended
 * for good: opening it again finds nothing to mend.
 *
 * Input: files, each with its kind (enum segment_file_kind; SEGMENT_FILE_KINDS: one that was not finished), its number, its length
 * (3 bytes, the lowest first) and its bytes. */
#include "capture/ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "capture/segment_file.h"
#include "segment_fuzz.h"

enum { HEAD = 5, MAX_READ = 1 << 20, NUMBERS = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/dev/shm/fuzz_ring.XXXXXX";

static void check(bool good)
{
    if (!good)
        abort();
}

static void remove_directory(void)
{
    rmdir(dir);
}

static const char *name_of(uint8_t kind, uint8_t number, char name[SEGMENT_NAME])
{
    bool whole = kind < SEGMENT_FILE_KINDS;
    return segment_file_name(number, whole ? (enum segment_file_kind)kind : SEGMENT_FILE_PLAIN, !whole, name);
}

static void write_files(int dir_fd, const uint8_t *p, size_t n)
{
    char name[SEGMENT_NAME];
    while (n >= HEAD) {
        size_t length = p[2] | (size_t)p[3] << 8 | (size_t)p[4] << 16;
        length = length < n - HEAD ? length : n - HEAD;
        int fd = openat(dir_fd, name_of(p[0] % (SEGMENT_FILE_KINDS + 1), p[1], name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        check(fd >= 0 && write(fd, p + HEAD, length) == (ssize_t)length);
        close(fd);
        p += HEAD + length;
        n -= HEAD + length;
    }
}

static void remove_files(int dir_fd)
{
    char name[SEGMENT_NAME];
    for (int kind = 0; kind <= SEGMENT_FILE_KINDS; kind++)
        for (int number = 0; number < NUMBERS; number++)
            unlinkat(dir_fd, name_of((uint8_t)kind, (uint8_t)number, name), 0);
    unlinkat(dir_fd, "0000000256.pcapng", 0); /* what the ring itself had prepared */
    unlinkat(dir_fd, "lock", 0);
}

static void read_segment(struct segment *s)
{
    static uint8_t bytes[MAX_READ];
    const struct segment_summary *summary = segment_summary(s);
    struct segment_index *index;
    struct error err;
    for (uint64_t at = 0; at < summary->bytes && at < 4 * MAX_READ; at += MAX_READ) {
        uint64_t left = summary->bytes - at;
        if (segment_read(s, at, bytes, left < MAX_READ ? (size_t)left : MAX_READ, &err) != TD_OK)
            break; /* only its index had said so */
    }
    check(segment_read(s, summary->bytes, bytes, 1, &err) != TD_OK);
    if (segment_index(s, &index, &err) == TD_OK)
        fuzz_choices(index, summary->bytes);
}

static void read_ring(struct ring *r)
{
    struct segment **segments = NULL;
    struct segment_summary *summaries = NULL;
    struct error err;
    size_t n = 0, summary_n = 0;
    check(ring_pin(r, INT64_MIN, INT64_MAX, &segments, &n, &err) == TD_OK);
    for (size_t i = 0; i < n; i++) {
        read_segment(segments[i]);
        segment_unpin(segments[i]);
    }
    check(ring_summaries(r, &summaries, &summary_n, &err) == TD_OK && summary_n >= n);
    for (size_t i = 1; i < summary_n; i++)
        check(summaries[i].sequence > summaries[i - 1].sequence);
    mem_free(segments);
    mem_free(summaries);
}

static void mend(void)
{
    const struct ring_options options = {
        .dir = dir, .node = "node-1", .storage_size = 64 << 20, .segment_size = 1 << 20, .segment_duration_ns = NS_PER_S};
    struct ring *r = NULL;
    struct error err;
    struct ring_stats before, after;
    check(ring_open(&options, &r, &err) == TD_OK);
    read_ring(r);
    ring_stats(r, &before);
    check(before.bytes + before.reserved + before.pinned_bytes <= before.storage_size);
    ring_close(r);
    r = NULL;
    check(ring_open_read_only(dir, &r, &err) == TD_OK);
    ring_stats(r, &after);
    check(after.recovered == 0 && after.rebuilt == 0 && after.segments == before.segments);
    ring_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int dir_fd = -1;
    struct ring *r = NULL;
    struct error err;
    if (dir_fd < 0) {
        log_set_level(0);
        check(mkdtemp(dir) && (dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
        atexit(remove_directory);
    }
    write_files(dir_fd, data, size);
    check(ring_open_read_only(dir, &r, &err) == TD_OK);
    read_ring(r);
    ring_close(r);
    if (size % 4 == 0) /* takes ten times as long */
        mend();
    remove_files(dir_fd);
    return 0;
}
