/* Compressed segments: any place of them is read, any tool decompresses them, damage is told. */
#include "capture/frames.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "base/mem.h"
#include "tap.h"

/* Something like packets: half of it repeats. */
static uint8_t *make_bytes(size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        p[i] = i % 64 < 32 ? (uint8_t)(i / 1000) : (uint8_t)state;
    }
    return p;
}

static int file_of(const void *p, size_t n)
{
    int fd = memfd_create("frames", MFD_CLOEXEC);
    if (fd < 0 || (n && pwrite(fd, p, n, 0) != (ssize_t)n))
        exit(1);
    return fd;
}

static bool same_frames(const struct segment_frames *a, const struct segment_frames *b)
{
    return a->size == b->size && a->compressed == b->compressed && a->n == b->n && !memcmp(a->ends, b->ends, a->n * sizeof(*a->ends));
}

/* `zstd -dc` of the file gives these bytes. */
static bool zstd_gives(int fd, const uint8_t *want, size_t n)
{
    int out = file_of(NULL, 0);
    lseek(fd, 0, SEEK_SET);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 0);
        dup2(out, 1);
        execlp("zstd", "zstd", "-dcq", (char *)NULL);
        _exit(127);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    uint8_t *got = malloc(n + 1);
    bool same = WIFEXITED(status) && WEXITSTATUS(status) == 0 && pread(out, got, n + 1, 0) == (ssize_t)n && !memcmp(got, want, n);
    free(got);
    close(out);
    return same;
}

static void check_places(int fd, const struct segment_frames *frames, const uint8_t *p, size_t n)
{
    struct frames_reader *reader;
    struct error err;
    if (!ok(frames_reader_new(fd, frames, &reader, &err) == TD_OK, "a reader"))
        return;
    uint8_t *got = malloc(n ? n : 1);
    ok(frames_read(reader, 0, got, n, &err) == TD_OK && !memcmp(got, p, n), "%zu bytes at once", n);
    size_t wrong = 0, places = n ? 300 : 0;
    srand(5);
    for (size_t i = 0; i < places; i++) {
        size_t at = (size_t)rand() % n, most = i % 3 == 0 ? n - at : i % 3 == 1 ? 64 : FRAMES_BYTES + 1;
        size_t len = (size_t)rand() % (most + 1);
        if (at + len > n)
            len = n - at;
        memset(got, 0xee, len);
        wrong += frames_read(reader, at, got, len, &err) != TD_OK || memcmp(got, p + at, len) != 0;
    }
    is_int(wrong, 0, "any place of %zu bytes", n);
    is_int(frames_read(reader, n, got, 0, &err), TD_OK, "nothing from the end");
    is_int(frames_read(reader, n, got, 1, &err), TD_E_LIMIT, "nothing is behind the end");
    is_int(frames_read(reader, UINT64_MAX, got, n, &err), TD_E_LIMIT, "nor far behind");
    free(got);
    frames_reader_free(reader);
}

static void test_sizes(void)
{
    static const size_t sizes[] = {0, 1, 100, FRAMES_BYTES - 1, FRAMES_BYTES, FRAMES_BYTES + 1, 3 * FRAMES_BYTES, 11 * FRAMES_BYTES + 7};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i];
        uint8_t *p = make_bytes(n);
        int in = file_of(p, n), out = file_of(NULL, 0);
        struct segment_frames written = {0}, found = {0};
        struct error err = {0};
        ok(segment_frames_write(in, n, out, i % 2 ? 1 : 5, NULL, NULL, NULL, &written, &err) == TD_OK, "writes %zu bytes (%s)", n,
           err.text);
        is_int(written.size, n, "their size");
        is_int(written.compressed, lseek(out, 0, SEEK_END), "the file's size");
        is_int(written.n, n ? (n + FRAMES_BYTES - 1) / FRAMES_BYTES : 1, "frames");
        ok(zstd_gives(out, p, n), "zstd -dc gives them back");
        ok(segment_frames_scan(out, &found, &err) == TD_OK, "the frames are found (%s)", err.text);
        ok(same_frames(&written, &found), "as they were written");
        check_places(out, &found, p, n);
        segment_frames_clear(&written);
        segment_frames_clear(&found);
        close(in);
        close(out);
        free(p);
    }
}

/* Random bytes do not shrink: then a frame is longer than what it holds. */
static void test_incompressible(void)
{
    size_t n = 5 * FRAMES_BYTES + 100;
    uint8_t *p = make_bytes(2 * n + 64);
    for (size_t i = 0, k = 0; k < n; i++)
        if (i % 64 >= 32)
            p[k++] = p[i];
    int in = file_of(p, n), out = file_of(NULL, 0);
    struct segment_frames written = {0}, found = {0};
    struct error err = {0};
    is_int(segment_frames_write(in, n, out, 1, NULL, NULL, NULL, &written, &err), TD_OK, "writes what does not shrink");
    ok(written.compressed > n, "it got longer");
    ok(segment_frames_scan(out, &found, &err) == TD_OK && same_frames(&written, &found), "found as written");
    check_places(out, &found, p, n);
    segment_frames_clear(&written);
    segment_frames_clear(&found);
    close(in);
    close(out);
    free(p);
}

struct allowance {
    uint64_t left;
    size_t asked;
};

static bool take_room(void *ctx, struct td_slice frame)
{
    struct allowance *a = ctx;
    a->asked++;
    if (frame.n > a->left)
        return false;
    a->left -= frame.n;
    return true;
}

static void test_stopping(void)
{
    size_t n = 4 * FRAMES_BYTES;
    uint8_t *p = make_bytes(n);
    int in = file_of(p, n), out = file_of(NULL, 0), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct segment_frames f = {.n = 77};
    struct error err = {0};
    atomic_bool cancel = true;
    is_int(segment_frames_write(in, n, out, 1, &cancel, NULL, NULL, &f, &err), TD_E_CANCELLED, "cancelled");
    is_int(lseek(out, 0, SEEK_END), 0, "before anything is written");
    struct allowance room = {.left = 300000};
    is_int(segment_frames_write(in, n, out, 1, NULL, take_room, &room, &f, &err), TD_E_LIMIT, "no room");
    is_int(lseek(out, 0, SEEK_END), 300000 - room.left, "what had room was written, and no more");
    is_int(room.asked, 3, "asked before each frame");
    is_int(segment_frames_write(in, n + 1, out, 1, NULL, NULL, NULL, &f, &err), TD_E_CORRUPT,
           "a segment that is shorter than it should be");
    is_int(segment_frames_write(in, n, closed, 1, NULL, NULL, NULL, &f, &err), TD_E_INTERNAL, "a file that cannot be written");
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    is_int(segment_frames_write(in, n, full, 1, NULL, NULL, NULL, &f, &err), TD_E_LIMIT, "a full disk");
    close(full);
    is_int(segment_frames_write(-1, n, out, 1, NULL, NULL, NULL, &f, &err), TD_E_INTERNAL, "one that cannot be read");
    is_int(segment_frames_write(in, n, out, 0, NULL, NULL, NULL, &f, &err), TD_E_LIMIT, "no level 0");
    for (unsigned long nth = 1; nth <= 2; nth++) {
        mem_fail_at(nth);
        is_int(segment_frames_write(in, n, out, 1, NULL, NULL, NULL, &f, &err), TD_E_NOMEM, "without memory (%lu)", nth);
    }
    mem_fail_at(0);
    is_int(f.n, 77, "nothing is given out after a fault");
    close(closed);
    close(in);
    close(out);
    free(p);
}

/* What scanning and reading make of a file: the bytes as they were, a fault, or (true) other bytes. */
static bool gives_other_bytes(const uint8_t *file, size_t file_n, const uint8_t *p, size_t n, size_t *faults)
{
    int fd = file_of(file, file_n);
    struct segment_frames f = {0};
    struct frames_reader *reader = NULL;
    struct error err;
    uint8_t *got = malloc(n + FRAMES_BYTES);
    bool other = false;
    int status = segment_frames_scan(fd, &f, &err);
    if (status == TD_OK)
        status = frames_reader_new(fd, &f, &reader, &err);
    if (status == TD_OK) {
        status = f.size <= n + FRAMES_BYTES ? frames_read(reader, 0, got, (size_t)f.size, &err) : TD_OK;
        other = status == TD_OK && (f.size != n || memcmp(got, p, n) != 0);
    }
    *faults += status == TD_E_CORRUPT;
    if (status != TD_OK && status != TD_E_CORRUPT)
        other = true;
    frames_reader_free(reader);
    segment_frames_clear(&f);
    free(got);
    close(fd);
    return other;
}

static void test_damage(void)
{
    size_t n = FRAMES_BYTES + 500, faults = 0, other = 0, cuts = 0;
    uint8_t *p = make_bytes(n);
    memset(p + 200, 7, FRAMES_BYTES - 400); /* a small file */
    int in = file_of(p, n), out = file_of(NULL, 0);
    struct segment_frames f = {0};
    struct error err;
    is_int(segment_frames_write(in, n, out, 3, NULL, NULL, NULL, &f, &err), TD_OK, "a file to be damaged");
    size_t size = (size_t)f.compressed;
    uint8_t *file = malloc(size + 20);
    is_int(pread(out, file, size, 0), size, "its bytes");
    for (size_t i = 0; i < size; i++)
        for (unsigned bit = 0; bit < 9; bit++) {
            uint8_t was = file[i];
            file[i] = bit < 8 ? (uint8_t)(was ^ 1u << bit) : (uint8_t)~was;
            other += gives_other_bytes(file, size, p, n, &faults);
            file[i] = was;
        }
    is_int(other, 0, "no damage gives other bytes (%zu places)", size);
    ok(faults > size * 8, "nearly all of it is told: %zu times", faults);
    for (size_t cut = 0; cut < size; cut++)
        if (cut != f.ends[0])
            other += gives_other_bytes(file, cut, p, n, &cuts);
    is_int(other, 0, "no cut gives other bytes");
    is_int(cuts, size - 1, "every cut is told but that between two frames");
    static const char *const behind[] = {"x", "\x28\xb5\x2f\xfd", "\x50\x2a\x4d\x18\1\0\0\0x", "\0\0\0\0"};
    static const size_t behind_n[] = {1, 4, 9, 4};
    for (size_t i = 0; i < 4; i++) {
        size_t told = 0;
        memcpy(file + size, behind[i], behind_n[i]);
        ok(!gives_other_bytes(file, size + behind_n[i], p, n, &told) && told, "something behind the frames is told");
    }
    segment_frames_clear(&f);
    free(file);
    close(in);
    close(out);
    free(p);
}

/* A frame of zstd's, but not as segments have them. */
static void check_foreign(size_t content, bool checksum, bool size, const char *why)
{
    uint8_t *p = make_bytes(content), *packed = malloc(ZSTD_compressBound(content));
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, checksum);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, size);
    size_t n = ZSTD_compress2(zstd, packed, ZSTD_compressBound(content), p, content);
    int fd = file_of(packed, n);
    struct segment_frames f;
    struct error err;
    is_int(segment_frames_scan(fd, &f, &err), TD_E_CORRUPT, "%s", why);
    close(fd);
    ZSTD_freeCCtx(zstd);
    free(packed);
    free(p);
}

static void test_foreign(void)
{
    check_foreign(1000, false, true, "no checksum");
    check_foreign(1000, true, false, "no size");
    check_foreign(FRAMES_BYTES + 1, true, true, "too large");
    check_foreign(8 * FRAMES_BYTES, true, true, "much too large");
    /* Lists of frames from elsewhere. */
    uint64_t ends[2] = {500, 100};
    struct segment_frames f = {.size = FRAMES_BYTES + 1, .compressed = 100, .ends = ends, .n = 2};
    struct frames_reader *reader;
    struct error err;
    uint8_t byte;
    int fd = file_of("x", 1);
    is_int(frames_reader_new(fd, &f, &reader, &err), TD_OK, "a list that goes back");
    is_int(frames_read(reader, FRAMES_BYTES, &byte, 1, &err), TD_E_CORRUPT, "is told where it goes back");
    is_int(frames_read(reader, 0, &byte, 1, &err), TD_E_CORRUPT, "and where the file is cut");
    ends[0] = UINT64_MAX;
    is_int(frames_read(reader, 0, &byte, 1, &err), TD_E_CORRUPT, "and where it goes far");
    frames_reader_free(reader);
    f.n = 1;
    is_int(frames_reader_new(fd, &f, &reader, &err), TD_E_CORRUPT, "too few");
    f.size = 5;
    f.n = 2;
    is_int(frames_reader_new(fd, &f, &reader, &err), TD_E_CORRUPT, "too many");
    f.size = UINT64_MAX;
    is_int(frames_reader_new(fd, &f, &reader, &err), TD_E_CORRUPT, "an endless segment");
    frames_reader_free(NULL);
    close(fd);
}

/* Two frames alike in length, each of one letter; then the file changes under the reader. */
static void test_changes(void)
{
    size_t n = 2 * FRAMES_BYTES;
    uint8_t *p = malloc(n), *file = malloc(n), byte = 0;
    memset(p, 'a', FRAMES_BYTES);
    memset(p + FRAMES_BYTES, 'b', FRAMES_BYTES);
    int in = file_of(p, n), out = file_of(NULL, 0);
    struct segment_frames f = {0}, found;
    struct frames_reader *reader = NULL;
    struct error err;
    is_int(segment_frames_write(in, n, out, 3, NULL, NULL, NULL, &f, &err), TD_OK, "two frames");
    is_int(frames_reader_new(out, &f, &reader, &err), TD_OK, "a reader");
    size_t size = (size_t)f.compressed, first = (size_t)f.ends[0];
    is_int(pread(out, file, size, 0), 2 * first, "of the same length");
    ok(frames_read(reader, 5, &byte, 1, &err) == TD_OK && byte == 'a', "a byte of the first");
    ok(pwrite(out, "\377", 1, (off_t)size - 1) == 1, "the second one's checksum is damaged");
    is_int(frames_read(reader, FRAMES_BYTES + 5, &byte, 1, &err), TD_E_CORRUPT, "which is told");
    ok(frames_read(reader, 5, &byte, 1, &err) == TD_OK && byte == 'a', "a byte of the first again");
    is_int(ftruncate(out, (off_t)first), 0, "the file is cut");
    is_int(frames_read(reader, FRAMES_BYTES + 5, &byte, 1, &err), TD_E_CORRUPT, "which is told");
    frames_reader_free(reader);
    /* A short frame, then another: only the last one may be short. */
    int short_one = file_of(NULL, 0);
    segment_frames_clear(&f);
    is_int(segment_frames_write(in, 100, short_one, 3, NULL, NULL, NULL, &f, &err), TD_OK, "a short frame");
    ok(pwrite(short_one, file, first, (off_t)f.compressed) == (ssize_t)first, "and a whole one behind it");
    is_int(segment_frames_scan(short_one, &found, &err), TD_E_CORRUPT, "are no segment");
    uint64_t ends[1] = {f.ends[0]};
    struct segment_frames longer = {.size = 200, .compressed = f.compressed, .ends = ends, .n = 1};
    is_int(frames_reader_new(short_one, &longer, &reader, &err), TD_OK, "a list that says too much");
    is_int(frames_read(reader, 150, &byte, 1, &err), TD_E_CORRUPT, "of a frame is told");
    frames_reader_free(reader);
    segment_frames_clear(&f);
    close(short_one);
    close(in);
    close(out);
    free(file);
    free(p);
}

int main(void)
{
    test_sizes();
    test_incompressible();
    test_stopping();
    test_damage();
    test_foreign();
    test_changes();
    return tap_done();
}
