/* Where a capture's bytes come from: files, pipes, compressed streams; files that shrink or grow. */
#include "capture_build.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "packet/stream.h"

static struct seen s;
enum { BIG = 9 * STREAM_BUFFER + 5 };

static char path[] = "/tmp/tapedeck-test-XXXXXX";

static void write_file(struct td_slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
        ok(false, "the test's file cannot be written: %s", strerror(errno));
    close(fd);
}

/* The bytes of all packets that put_plain_pcap() and the like put into `pcap`. */
static void expect_plain(const struct buf *pcap, struct buf *ret)
{
    for (size_t at = 24; at < pcap->n;) {
        uint32_t caplen;
        memcpy(&caplen, pcap->p + at + 8, 4);
        buf_put(ret, pcap->p + at + 16, caplen);
        at += 16 + caplen;
    }
}

static void check_plain(const char *what, const struct buf *pcap, unsigned n)
{
    struct buf want = {0};
    expect_plain(pcap, &want);
    is_int(s.status, 0, "%s: ends well", what);
    is_int(s.n, n, "%s: packets", what);
    is_mem(s.data.p, s.data.n, want.p, want.n, "%s: bytes", what);
    seen_clear(&s);
    buf_clear(&want);
}

/* ---- Packing ---- */

static void pack_gzip(struct buf *out, struct td_slice bytes)
{
    z_stream z = {0};
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    buf_reserve(out, deflateBound(&z, bytes.n));
    z.next_in = (Bytef *)(uintptr_t)bytes.p;
    z.avail_in = (uInt)bytes.n;
    z.next_out = out->p + out->n;
    z.avail_out = (uInt)(out->cap - out->n);
    deflate(&z, Z_FINISH);
    out->n += z.total_out;
    deflateEnd(&z);
}

static void pack_zstd(struct buf *out, struct td_slice bytes)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    buf_reserve(out, ZSTD_compressBound(bytes.n));
    out->n += ZSTD_compress2(z, out->p + out->n, out->cap - out->n, bytes.p, bytes.n);
    ZSTD_freeCCtx(z);
}

static const struct {
    const char *name;
    void (*pack)(struct buf *, struct td_slice);
} packings[] = {{"gzip", pack_gzip}, {"zstd", pack_zstd}};

static void see_pipe(struct td_slice bytes, size_t piece, bool non_blocking);

/* ---- Files ---- */

/* Packets of all sizes, so that some cross each buffer's end. */
static void put_large_pcap(struct buf *b, unsigned n)
{
    put_pcap_header(b, false, 0xa1b2c3d4, 2, 4, 0, 1);
    for (unsigned i = 0; i < n; i++)
        put_pcap_record(b, false, i, 0, i * 37 % 9000, 9000, 0);
}

static void test_buffers(void)
{
    struct buf b = {0};
    put_large_pcap(&b, 4000); /* 18 MB */
    write_file(buf_slice(&b));
    see_path(path, &s);
    is_str(s.format, "pcap", "file: format");
    check_plain("file", &b, 4000);

    buf_reset(&b);
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 0, 1);
    put_pcap_record(&b, false, 1, 0, 100, 100, 0);
    put_pcap_record(&b, false, 2, 0, 2 * BIG, 2 * BIG, 0);
    put_pcap_record(&b, false, 3, 0, 100, 100, 0);
    write_file(buf_slice(&b));
    see_path(path, &s);
    check_plain("a packet longer than many buffers", &b, 3);
    buf_clear(&b);
}

/* Names and secrets far longer than a buffer among packets; the same through a pipe and compressed. */
static void test_pcapng_buffers(void)
{
    struct buf b = {0}, body = {0}, packed = {0}, want = {0};
    put_section(&b, false);
    put_interface(&b, false, 1, 0, NULL);
    for (unsigned i = 0; i < 3000; i++) {
        uint32_t n = i * 37 % 5000;
        put_enhanced(&b, false, 0, i, n, n);
        put_pattern(&want, n, i);
        if (i % 1000 == 500) {
            put32(&body, false, 1);
            put32(&body, false, BIG);
            put_pattern(&body, BIG, i);
            put_block(&b, false, 10, &body);
        }
    }
    write_file(buf_slice(&b));
    for (int k = 0; k < 3; k++) {
        static const char *const ways[] = {"file", "pipe", "compressed"};
        if (k == 0) {
            see_path(path, &s);
        } else if (k == 1) {
            see_pipe(buf_slice(&b), 1 << 20, false);
        } else {
            pack_zstd(&packed, buf_slice(&b));
            see_bytes(buf_slice(&packed), &s);
        }
        is_int(s.status, 0, "pcapng, %s: ends well", ways[k]);
        is_int(s.n, 3000, "pcapng, %s: packets", ways[k]);
        is_mem(s.data.p, s.data.n, want.p, want.n, "pcapng, %s: bytes", ways[k]);
        seen_clear(&s);
    }
    buf_clear(&b);
    buf_clear(&packed);
    buf_clear(&want);
}

static void test_position(void)
{
    struct buf b = {0};
    struct capture *c;
    struct packet packets[4];
    struct block *block;
    put_plain_pcap(&b, 10);
    write_file(buf_slice(&b));
    is_int(capture_open(path, &c, NULL), TD_OK, "opens");
    is_int(capture_size(c), (int64_t)b.n, "the size of a file is known");
    is_int(capture_read(c, packets, 1, &block, NULL), 1, "one packet");
    is_int(capture_position(c), 24 + 16 + 60, "the position is behind it");
    block_unref(block);
    capture_close(c);
    buf_clear(&b);
}

/* What a packet points to lives as long as its block, whatever becomes of the capture. */
static void test_block_outlives(void)
{
    struct buf b = {0}, packed = {0};
    struct packet p;
    struct block *block;
    struct capture *c;
    put_plain_pcap(&b, 10);
    write_file(buf_slice(&b));
    pack_gzip(&packed, buf_slice(&b));
    for (int k = 0; k < 3; k++) {
        int status = k == 0 ? capture_open(path, &c, NULL) : capture_open_memory(k == 1 ? buf_slice(&packed) : buf_slice(&b), &c, NULL);
        is_int(status, TD_OK, "opens");
        is_int(capture_read(c, &p, 1, &block, NULL), 1, "a packet");
        capture_close(c);
        is_mem(p.p, p.caplen, b.p + 40, 60, "it is there after the capture was closed");
        block_unref(block);
    }
    buf_clear(&packed);
    buf_clear(&b);
}

static void test_stdin_file(void)
{
    struct buf b = {0};
    int saved = dup(STDIN_FILENO);
    buf_puts(&b, "a first line that somebody has read");
    size_t skip = b.n;
    put_plain_pcap(&b, 10);
    write_file(buf_slice(&b));
    int fd = open(path, O_RDONLY);
    lseek(fd, (off_t)skip, SEEK_SET);
    dup2(fd, STDIN_FILENO);
    close(fd);
    see_path("-", &s);
    is_int(s.status, 0, "standard input, a file from its middle on: ends well");
    is_int(s.n, 10, "standard input, a file from its middle on: packets");
    seen_clear(&s);
    dup2(saved, STDIN_FILENO);
    close(saved);
    buf_clear(&b);
}

static void test_growing(void)
{
    struct buf b = {0};
    struct capture *c;
    struct packet packets[64];
    struct block *block;
    put_plain_pcap(&b, 20);
    write_file(td_bytes(b.p, 24 + 10 * 80)); /* cut somewhere */
    is_int(capture_open(path, &c, NULL), TD_OK, "opens");
    int n = capture_read(c, packets, 64, &block, NULL);
    ok(n > 0 && n < 20, "some packets are there");
    block_unref(block);
    write_file(buf_slice(&b));
    struct error err;
    int more = capture_read(c, packets, 64, &block, &err);
    is_int(n + more, 20, "what was written meanwhile is read as well");
    block_unref(block);
    is_int(capture_read(c, packets, 64, &block, &err), 0, "the end");
    capture_close(c);
    buf_clear(&b);
}

/* ---- Shrinking ---- */

/* The first record boundary of a pcap at or behind `offset`. */
static size_t record_boundary(const struct buf *pcap, size_t offset)
{
    size_t at = 24;
    while (at < offset) {
        uint32_t caplen;
        memcpy(&caplen, pcap->p + at + 8, 4);
        at += 16 + caplen;
    }
    return at;
}

/* A file that is cut behind what its reader has, between records and within one: what is left comes out as it was. */
static void test_shrinking(void)
{
    struct buf b = {0}, want = {0};
    put_large_pcap(&b, 1000); /* 4.5 MB */
    size_t end = record_boundary(&b, 2 * STREAM_BUFFER);
    expect_plain(&(struct buf){.p = b.p, .n = end}, &want);
    for (size_t more = 0; more <= 20; more += 20) {
        struct capture *c;
        char words[80];
        write_file(buf_slice(&b));
        is_int(capture_open(path, &c, NULL), TD_OK, "opens");
        is_int(truncate(path, (off_t)(end + more)), 0, "the file is cut");
        s = (struct seen){0};
        see(c, SEEN_MAX, &s);
        is_int(s.status, TD_E_CORRUPT, "a file that shrank is an error");
        snprintf(words, sizeof(words), "offset %zu: the file was made shorter while it was read", end + more);
        like(s.err.text, words, "the words");
        is_mem(s.data.p, s.data.n, want.p, want.n, "the packets up to there");
        seen_clear(&s);
    }
    buf_clear(&b);
    buf_clear(&want);
}

/* ---- Pipes ---- */

struct feeder {
    int fd;
    struct td_slice bytes;
    size_t piece;
};

static void *feed(void *arg)
{
    struct feeder *f = arg;
    while (f->bytes.n) {
        size_t n = f->bytes.n < f->piece ? f->bytes.n : f->piece;
        ssize_t written = write(f->fd, f->bytes.p, n);
        if (written < 0)
            break;
        f->bytes = td_sub(f->bytes, (size_t)written, f->bytes.n);
    }
    close(f->fd);
    return NULL;
}

/* Reads `bytes` through a pipe that is standard input. */
static void see_pipe(struct td_slice bytes, size_t piece, bool non_blocking)
{
    int ends[2], saved = dup(STDIN_FILENO);
    pthread_t thread;
    if (pipe(ends) != 0)
        abort();
    if (non_blocking)
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct feeder f = {ends[1], bytes, piece};
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    pthread_create(&thread, NULL, feed, &f);
    see_path("-", &s);
    dup2(saved, STDIN_FILENO); /* the reading end is closed: a feeder that is not done gets an error */
    close(saved);
    pthread_join(thread, NULL);
}

static void test_pipes(void)
{
    static const size_t pieces[] = {1, 7, 1000, 65536};
    struct buf b = {0};
    put_plain_pcap(&b, 200);
    for (size_t i = 0; i < 4; i++) {
        see_pipe(buf_slice(&b), pieces[i], false);
        check_plain("pipe", &b, 200);
    }
    see_pipe(buf_slice(&b), 1000, true);
    check_plain("pipe, non-blocking", &b, 200);
    buf_clear(&b);
    put_large_pcap(&b, 2000); /* 9 MB: buffers follow one another */
    see_pipe(buf_slice(&b), 1 << 20, false);
    check_plain("long pipe", &b, 2000);
    buf_reset(&b);
    put_pcap_header(&b, false, 0xa1b2c3d4, 2, 4, 0, 1);
    put_pcap_record(&b, false, 1, 0, 100, 100, 0);
    put_pcap_record(&b, false, 2, 0, 5 * STREAM_BUFFER, 5 * STREAM_BUFFER, 0);
    put_pcap_record(&b, false, 3, 0, 100, 100, 0);
    see_pipe(buf_slice(&b), 1 << 20, false);
    check_plain("a packet longer than buffers", &b, 3);
    buf_clear(&b);
    put_pcap_header(&b, false, 0xa1b2cd34, 2, 4, 65535, 1);
    put_pcap_record(&b, false, 1, 0, 100, 100, 12);
    put_pcap_record(&b, false, 2, 0, 100, 100, 12);
    see_pipe(buf_slice(&b), 1, false);
    is_int(s.n, 2, "the modified kinds are told in a pipe as well");
    like(s.format, "SuSE", "as what they are");
    seen_clear(&s);
    buf_clear(&b);
}

/* A packet comes out as soon as it has come in: the writer waits for that before it goes on. */
static void test_live_pipe(void)
{
    struct buf b = {0};
    struct capture *c;
    struct packet p;
    struct block *block;
    int ends[2], saved = dup(STDIN_FILENO);
    put_plain_pcap(&b, 2);
    if (pipe(ends) != 0)
        abort();
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    alarm(20); /* else a failure would wait for ever */
    ok(write(ends[1], b.p, 24) == 24, "the header is written");
    is_int(capture_open("-", &c, NULL), TD_OK, "opens with the header alone");
    is_int(capture_size(c), 0, "the size of a pipe is unknown");
    ok(write(ends[1], b.p + 24, 76) == 76, "a packet is written");
    is_int(capture_read(c, &p, 1, &block, NULL), 1, "it comes out at once");
    block_unref(block);
    alarm(0);
    close(ends[1]);
    is_int(capture_read(c, &p, 1, &block, NULL), 0, "the end");
    capture_close(c);
    dup2(saved, STDIN_FILENO);
    close(saved);
    buf_clear(&b);
}

/* Who holds all blocks does not stop the reader. */
static void test_holding_blocks(void)
{
    struct buf b = {0}, packed = {0};
    struct capture *c;
    static struct packet packets[4096];
    struct block *held[4096];
    int n, count = 0;
    put_large_pcap(&b, 2000);
    pack_zstd(&packed, buf_slice(&b));
    is_int(capture_open_memory(buf_slice(&packed), &c, NULL), TD_OK, "opens");
    while (count < 4096 && (n = capture_read(c, packets + count, 1, &held[count], NULL)) > 0)
        count++;
    is_int(count, 2000, "all packets come out while all blocks are held");
    bool same = true;
    for (int i = 0; i < count; i++)
        for (uint32_t k = 0; k < packets[i].caplen; k++)
            same &= packets[i].p[k] == (uint8_t)((unsigned)i * 31 + k * 7);
    ok(same, "and none was written over");
    for (int i = 0; i < count; i++)
        block_unref(held[i]);
    capture_close(c);
    buf_clear(&packed);
    buf_clear(&b);
}

/* ---- Compressed ---- */

static void test_compressed(void)
{
    struct buf b = {0}, packed = {0};
    char what[64];
    put_large_pcap(&b, 500);
    for (size_t k = 0; k < 2; k++) {
        buf_reset(&packed);
        packings[k].pack(&packed, buf_slice(&b));
        write_file(buf_slice(&packed));
        see_path(path, &s);
        snprintf(what, sizeof(what), "pcap, %s", packings[k].name);
        is_str(s.format, what, "%s: format", what);
        check_plain(what, &b, 500);
        see_pipe(buf_slice(&packed), 1000, false);
        check_plain("the same through a pipe", &b, 500);

        /* Two members or frames, split in the middle of a packet; between them one that is empty. */
        buf_reset(&packed);
        packings[k].pack(&packed, td_bytes(b.p, 100001));
        packings[k].pack(&packed, td_bytes(b.p, 0));
        packings[k].pack(&packed, td_bytes(b.p + 100001, b.n - 100001));
        see_bytes(buf_slice(&packed), &s);
        check_plain("concatenated", &b, 500);
    }
    buf_reset(&packed);
    pack_gzip(&packed, buf_slice(&b));
    put_pattern(&packed, 0, 0);
    for (int i = 0; i < 1000; i++)
        buf_putc(&packed, 0);
    see_bytes(buf_slice(&packed), &s);
    check_plain("gzip with padding", &b, 500);

    buf_reset(&packed);
    buf_put(&packed, "\x5a\x2a\x4d\x18\4\0\0\0skip", 12);
    pack_zstd(&packed, buf_slice(&b));
    buf_put(&packed, "\x50\x2a\x4d\x18\0\0\0\0", 8);
    see_bytes(buf_slice(&packed), &s);
    check_plain("zstd with skippable frames", &b, 500);
    buf_clear(&packed);
    buf_clear(&b);
}

static void test_compressed_garbage(void)
{
    struct buf b = {0}, packed = {0};
    put_plain_pcap(&b, 100);
    for (size_t k = 0; k < 2; k++) {
        buf_reset(&packed);
        packings[k].pack(&packed, buf_slice(&b));
        size_t end = packed.n;
        buf_puts(&packed, "what is this?");
        see_bytes(buf_slice(&packed), &s);
        char offset[64];
        snprintf(offset, sizeof(offset), "compressed offset %zu: ", end);
        is_int(s.n, 100, "%s with something behind it: all packets", packings[k].name);
        is_int(s.status, TD_E_CORRUPT, "%s with something behind it: an error", packings[k].name);
        like(s.err.text, offset, "%s with something behind it: where", packings[k].name);
        seen_clear(&s);
    }
    buf_clear(&packed);
    buf_clear(&b);
}

/* How many packets a plain reader finds in the first `n` decompressed bytes. */
static void test_compressed_cut_everywhere(void)
{
    struct buf b = {0}, packed = {0};
    put_plain_pcap(&b, 30);
    for (size_t k = 0; k < 2; k++) {
        buf_reset(&packed);
        packings[k].pack(&packed, buf_slice(&b));
        bool errors = true, words = true, ascending = true;
        unsigned before = 0;
        for (size_t n = 4; n < packed.n; n++) {
            see_bytes(td_bytes(packed.p, n), &s);
            errors &= s.status == TD_E_CORRUPT;
            words &= strstr(s.err.text, "compressed offset") && strstr(s.err.text, "cut");
            ascending &= s.n >= before;
            before = s.n;
            seen_clear(&s);
        }
        ok(errors, "%s cut at every byte: an error", packings[k].name);
        ok(words, "%s cut at every byte: it says that the stream is cut, and where", packings[k].name);
        ok(ascending && before == 30, "%s cut at every byte: more bytes never give fewer packets, the last byte matters not to them (%u)",
           packings[k].name, before);
    }
    buf_clear(&packed);
    buf_clear(&b);
}

/* Packets of blocks before a corrupt one are not lost. */
static void test_compressed_corrupt(void)
{
    struct buf b = {0}, packed = {0};
    put_large_pcap(&b, 500);
    for (size_t k = 0; k < 2; k++) {
        buf_reset(&packed);
        packings[k].pack(&packed, td_bytes(b.p, b.n / 2));
        size_t half = packed.n;
        packings[k].pack(&packed, td_bytes(b.p + b.n / 2, b.n - b.n / 2));
        for (size_t i = half + 20; i < packed.n; i++)
            packed.p[i] = (uint8_t)~packed.p[i];
        see_bytes(buf_slice(&packed), &s);
        is_int(s.status, TD_E_CORRUPT, "%s, corrupt: an error", packings[k].name);
        like(s.err.text, "compressed offset ", "%s, corrupt: where", packings[k].name);
        ok(s.data.n > b.n / 2 - 10000, "%s, corrupt: what stands before the fault (%zu of %zu bytes)", packings[k].name, s.data.n, b.n);
        seen_clear(&s);
    }
    buf_clear(&packed);
    buf_clear(&b);
}

/* One frame of many blocks, corrupt near its end: the blocks before are not lost with it. */
static void test_zstd_blocks(void)
{
    struct buf b = {0}, packed = {0};
    put_large_pcap(&b, 500);
    pack_zstd(&packed, buf_slice(&b));
    for (size_t i = packed.n * 7 / 8; i < packed.n; i++)
        packed.p[i] = (uint8_t)~packed.p[i];
    see_bytes(buf_slice(&packed), &s);
    is_int(s.status, TD_E_CORRUPT, "zstd, a corrupt block: an error");
    ok(s.data.n > b.n * 3 / 4, "zstd, a corrupt block: the blocks before it (%zu of %zu bytes)", s.data.n, b.n);
    seen_clear(&s);
    buf_clear(&packed);
    buf_clear(&b);
}

static void test_compressed_allocation_failures(void)
{
    struct buf b = {0}, packed = {0};
    put_plain_pcap(&b, 30);
    pack_zstd(&packed, buf_slice(&b));
    write_file(buf_slice(&b));
    for (int k = 0; k < 2; k++) {
        bool reached = true, ends = true;
        unsigned long nth = 0;
        while (reached && nth < 1000) {
            mem_fail_at(++nth);
            if (k == 0)
                see_bytes(buf_slice(&packed), &s);
            else
                see_path(path, &s);
            reached = mem_failed();
            mem_fail_at(0);
            ends &= s.status < 0 || !reached || s.data.failed;
            seen_clear(&s);
        }
        ok(ends && nth > 4 && nth < 1000, "each of %lu allocations may fail (%s)", nth - 1, k ? "plain" : "compressed");
    }
    buf_clear(&packed);
    buf_clear(&b);
}

/* ---- What is no capture ---- */

static void check_refused(struct td_slice bytes, const char *words)
{
    write_file(bytes);
    see_path(path, &s);
    ok(s.open_status < 0, "refused: %s", words);
    like(s.err.text, words, "the words");
    like(s.err.text, path, "the file's name");
}

static void test_refusals(void)
{
    check_refused(TD_LIT(""), "is empty");
    check_refused(TD_LIT("\xd4\xc3"), "is neither pcap nor pcapng");
    check_refused(TD_LIT("<html>"), "is text, neither pcap nor pcapng");
    check_refused(TD_LIT("snoop\0\0\0\0\0\0\2"), "is a snoop capture; convert it");
    check_refused(TD_LIT("\xfd"
                         "7zXZ\0\0\0\0"),
                  "is xz data; unpack it first");
    check_refused(TD_LIT("\x1f\x8b"), "the gzip stream is cut");
    check_refused(TD_LIT("\xd4\xc3\xb2\xa1\2\0"), "the pcap file header is cut");
    see_path("/nonexistent/capture.pcap", &s);
    is_int(s.open_status, TD_E_NOT_FOUND, "a file that is not there");
    like(s.err.text, "/nonexistent/capture.pcap: cannot open: No such file", "a file that is not there: the words");
    see_path("/tmp", &s);
    is_int(s.open_status, TD_E_UNSUPPORTED, "a folder");
    like(s.err.text, "/tmp: is a folder", "a folder: the words");
}

int main(void)
{
    int fd = mkstemp(path);
    close(fd);
    signal(SIGPIPE, SIG_IGN);
    test_buffers();
    test_pcapng_buffers();
    test_position();
    test_block_outlives();
    test_stdin_file();
    test_growing();
    test_shrinking();
    test_pipes();
    test_live_pipe();
    test_holding_blocks();
    test_compressed();
    test_compressed_garbage();
    test_compressed_cut_everywhere();
    test_compressed_corrupt();
    test_zstd_blocks();
    test_compressed_allocation_failures();
    test_refusals();
    unlink(path);
    return tap_done();
}
