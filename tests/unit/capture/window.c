/* Windows of a ring that is partly compressed and still being written, against the packets that were put into it, and tcpdump. */
#include "capture/window.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "packet/capture.h"
#include "tap.h"

enum { PACKETS = 22000, MAX_CAPTURED = 1600, WINDOWS = 500, PEER_WINDOWS = 25, START_S = 1700000000 };

static const struct ring_interface interfaces[] = {
    {.name = "eth0", .linktype = 1, .snaplen = 262144, .filter = "not port 22"},
    {.name = "eth1", .description = "the other one", .linktype = 1, .snaplen = 262144},
    {.name = "tun0", .linktype = 101, .snaplen = 262144},
};

struct kept {
    int64_t time_ns;
    uint32_t iface, caplen, len;
    uint8_t *bytes;
};

/* The ring, and what is in it. */
struct world {
    char dir[64];
    struct ring *ring;
    struct kept *kept;
    size_t n;
    uint8_t *pool, *top;
};

static uint32_t draw(uint32_t n)
{
    return (uint32_t)rand() % n;
}

/* ---- Packets ---- */

static size_t put_headers(uint8_t *p, uint32_t linktype)
{
    static const uint16_t ports[] = {80, 443, 53, 8080, 9092};
    uint8_t *at = p, host = (uint8_t)(draw(40) ? 1 + draw(20) : 200), protocol = draw(3) ? 6 : 17;
    uint16_t port = ports[draw(5)], client = (uint16_t)(30000 + draw(2000));
    if (linktype == 1) {
        memcpy(at, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0", 14);
        if (draw(8) == 0) {
            memcpy(at + 12, "\x81\0\0\7\x08\0", 6);
            at += 4;
        }
        at += 14;
        if (draw(50) == 0) {
            memcpy(at - 2, "\x08\x06", 2);
            return (size_t)(at - p);
        }
    }
    memcpy(at, "\x45\0\0\0\0\1\0\0\x40\0\0\0\x0a\0\0\0\x0a\0\0\0", 20);
    at[9] = protocol;
    at[15] = host;
    at[19] = (uint8_t)(1 + draw(20));
    bool from_client = draw(2);
    uint16_t source = from_client ? client : port, target = from_client ? port : client;
    memcpy(at + 20, (const uint8_t[]){(uint8_t)(source >> 8), (uint8_t)source, (uint8_t)(target >> 8), (uint8_t)target}, 4);
    return (size_t)(at + 40 - p);
}

static void append(struct world *w, uint32_t iface, const uint32_t numbers[3], int64_t time_ns)
{
    struct kept *k = &w->kept[w->n++];
    size_t n = put_headers(w->top, interfaces[iface].linktype), more = draw(4) ? draw(200) : draw(MAX_CAPTURED - 100);
    for (size_t i = 0; i < more; i++)
        w->top[n + i] = (uint8_t)(i * (uint64_t)time_ns >> 7);
    *k = (struct kept){time_ns, iface, (uint32_t)(n + more), (uint32_t)(n + more + (draw(10) ? 0 : draw(5000))), w->top};
    w->top += n + more;
    ring_append(w->ring, numbers[iface], k->time_ns, k->bytes, k->caplen, k->len);
}

/* Everything but the last segment is sealed, and compressed if it is to be. */
static bool settled(struct ring *ring, int level)
{
    struct segment **v;
    size_t n, open = 0;
    if (ring_pin(ring, INT64_MIN, INT64_MAX, &v, &n, NULL) != TD_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        open += segment_state(v[i]) != (level ? SEGMENT_COMPRESSED : SEGMENT_SEALED);
        segment_unpin(v[i]);
    }
    mem_free(v);
    return open <= 1;
}

static bool world_open(struct world *w, int level)
{
    *w = (struct world){.dir = "/tmp/window_test_XXXXXX"};
    w->kept = calloc(PACKETS, sizeof(*w->kept));
    w->pool = w->top = malloc((size_t)PACKETS * MAX_CAPTURED);
    if (!mkdtemp(w->dir))
        return false;
    struct ring_options options = {.dir = w->dir,
                                   .node = "node-1",
                                   .storage_size = 64 << 20,
                                   .segment_size = 2 << 20,
                                   .segment_duration_ns = (int64_t)3600 * NS_PER_S,
                                   .compression_level = level};
    struct error err = {0};
    if (!ok(ring_open(&options, &w->ring, &err) == TD_OK, "a ring: %s", err.text))
        return false;
    uint32_t numbers[3];
    int64_t now = (int64_t)START_S * NS_PER_S;
    srand((unsigned)level + 1);
    for (size_t i = 0; i < PACKETS; i++) {
        size_t known = i < PACKETS / 3 ? 2 : 3; /* one comes later */
        if (i == 0 || i == PACKETS / 3)
            for (size_t k = i ? 2 : 0; k < known; k++)
                if (ring_add_interface(w->ring, &interfaces[k], &numbers[k], &err) != TD_OK)
                    return false;
        now += draw(2000) * NS_PER_US / 2 + 3;
        append(w, draw((uint32_t)known), numbers, now - (draw(30) ? 0 : draw(3) * NS_PER_MS)); /* some come late */
        if (i % 64 == 0)
            ring_publish(w->ring);
        if (i % 5000 == 4999) {
            const struct ring_drops drops = {numbers[0], 5000, 7, 3};
            ring_tick(w->ring, now, &drops, 1);
        }
    }
    ring_publish(w->ring);
    int patience = 2000;
    while (!settled(w->ring, level) && --patience)
        usleep(5000);
    return ok(patience > 0, "segments are sealed");
}

static void world_close(struct world *w)
{
    ring_close(w->ring);
    free(w->kept);
    free(w->pool);
    DIR *d = opendir(w->dir);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(w->dir);
}

/* ---- Reading ---- */

struct stream {
    uint8_t *p;
    size_t n, cap;
    struct window_stats stats;
};

/* In pieces of up to `most` bytes. */
static int read_stream(struct window *window, size_t most, struct stream *ret, struct error *err)
{
    for (;;) {
        size_t got = 0, n = 1 + draw((uint32_t)most);
        if (ret->cap - ret->n < n) {
            ret->cap = 2 * ret->cap + n;
            ret->p = realloc(ret->p, ret->cap);
        }
        int status = window_read(window, ret->p + ret->n, n, &got, err);
        if (status != TD_OK || !got)
            return status;
        ret->n += got;
    }
}

static int read_packets(struct ring *ring, const struct window_request *want, const uint64_t *numbers, size_t n, size_t most,
                        struct stream *ret, struct error *err)
{
    struct window *window;
    ret->n = 0;
    int status = numbers ? window_open_packets(ring, want, numbers, n, &window, err) : window_open(ring, want, &window, err);
    if (status != TD_OK)
        return status;
    status = read_stream(window, most, ret, err);
    ret->stats = *window_stats(window);
    window_close(window);
    return status;
}

static bool same(const struct capture *c, const struct packet *p, const struct kept *k)
{
    const char *name = capture_interface(c, p->iface)->name;
    return p->time_ns == k->time_ns && p->caplen == k->caplen && p->len == (k->len > k->caplen ? k->len : k->caplen) &&
           p->linktype == interfaces[k->iface].linktype && name && !strcmp(name, interfaces[k->iface].name) &&
           !memcmp(p->p, k->bytes, k->caplen);
}

/* The packets of the stream are these. */
static bool holds(const struct stream *s, const struct kept **want, size_t n, struct error *err)
{
    struct capture *c;
    struct packet packets[64];
    struct block *block;
    size_t seen = 0, alike = 0;
    int got;
    if (capture_open_memory(td_bytes(s->p, s->n), &c, err) != TD_OK)
        return false;
    while ((got = capture_read(c, packets, 64, &block, err)) > 0) {
        for (int i = 0; i < got; i++, seen++)
            alike += seen < n && same(c, &packets[i], want[seen]);
        block_unref(block);
    }
    capture_close(c);
    if (got == 0)
        error_set(err, TD_OK, "%zu packets, %zu of them right; %zu wanted", seen, alike, n);
    return got == 0 && seen == n && alike == n;
}

static int read_window(struct ring *ring, const struct window_request *want, size_t most, struct stream *ret, struct error *err)
{
    return read_packets(ring, want, NULL, 0, most, ret, err);
}

/* ---- 500 windows ---- */

static const char *const filters[] = {
    NULL,
    "",
    "host 10.0.0.200",
    "host 10.0.0.3",
    "not host 10.0.0.3",
    "net 10.0.0.0/28 and tcp port 443",
    "udp port 53 or vlan",
    "arp",
    "port 9092 and host 10.0.0.200",
    "src host 10.0.0.200 and greater 200",
    "host 10.0.0.200 and dst port 80",
    "tcp",
    "host 192.0.2.1",
};

static size_t expected(const struct world *w, const struct window_request *want, const struct kept **ret)
{
    struct bpf *bpf = NULL;
    size_t n = 0;
    if (want->filter && *want->filter && bpf_compile(want->filter, &bpf, NULL) != TD_OK)
        return SIZE_MAX;
    for (size_t i = 0; i < w->n; i++) {
        const struct kept *k = &w->kept[i];
        const struct packet packet = {
            .p = k->bytes, .caplen = k->caplen, .len = k->len, .linktype = (uint16_t)interfaces[k->iface].linktype};
        if (k->time_ns >= want->start_ns && k->time_ns < want->end_ns && (!bpf || bpf_match(bpf, &packet)))
            ret[n++] = k;
    }
    bpf_free(bpf);
    return n;
}

static struct window_request random_window(const struct world *w)
{
    int64_t first = w->kept[0].time_ns, span = w->kept[w->n - 1].time_ns - first;
    int64_t start = first + span * ((int64_t)draw(1200) - 100) / 1000,
            length = draw(4) ? span * draw(100) / 1000 : span * draw(1100) / 1000;
    if (draw(3) == 0)
        start = w->kept[draw((uint32_t)w->n)].time_ns; /* exactly at a packet */
    int64_t end = draw(3) ? start + length : w->kept[draw((uint32_t)w->n)].time_ns;
    if (draw(20) == 0)
        start = INT64_MIN;
    if (draw(20) == 0)
        end = INT64_MAX;
    return (struct window_request){start, end < start ? start : end, filters[draw(sizeof(filters) / sizeof(filters[0]))]};
}

static void test_windows(const struct world *w, int level)
{
    const struct kept **want = calloc(PACKETS, sizeof(struct kept *));
    struct stream s = {0};
    size_t right = 0, whole = 0, with_packets = 0;
    for (size_t i = 0; i < WINDOWS; i++) {
        struct window_request request = random_window(w);
        struct error err = {0};
        size_t n = expected(w, &request, want);
        int status = read_window(w->ring, &request, i % 3 ? 300000 : 4000, &s, &err);
        bool good = status == TD_OK && holds(&s, want, n, &err) && s.stats.packets == n && s.stats.bytes == s.n;
        if (!good)
            ok(false, "window %zu: [%lld, %lld) %s: %s", i, (long long)request.start_ns, (long long)request.end_ns,
               request.filter ? request.filter : "all", err.text);
        right += good;
        whole += s.stats.segments_whole;
        with_packets += n > 0;
    }
    is_int(right, WINDOWS, "windows as they should be, compression level %d; %zu with packets, %zu whole segments", level, with_packets,
           whole);
    ok(whole > 15 && with_packets > WINDOWS / 2, "of all kinds");
    free(s.p);
    free(want);
}

/* Packets by their numbers, few and many, near and far, with times and filters or without. */
static void test_numbers(const struct world *w, int level)
{
    enum { TIMES = 100 };
    const struct kept **want = calloc(PACKETS, sizeof(struct kept *));
    uint64_t *numbers = calloc(PACKETS + 1, sizeof(*numbers));
    struct stream s = {0};
    size_t right = 0;
    uint64_t read = 0;
    for (size_t i = 0; i < TIMES; i++) {
        struct window_request request = {INT64_MIN, INT64_MAX, NULL};
        size_t chosen = 0;
        struct error err = {0};
        uint32_t one_of = i == 0 ? 1 : i == 1 ? PACKETS / 4 : 1 + draw(3000);
        size_t n = 0;
        if (i % 4 == 3) {
            struct window_request times = random_window(w);
            request.start_ns = times.start_ns;
            request.end_ns = times.end_ns;
            request.filter = times.filter;
        }
        size_t all = expected(w, &request, want);
        for (size_t k = 0, at = 0; k < w->n; k++) {
            bool fits = at < all && want[at] == &w->kept[k];
            at += fits;
            if (draw(one_of))
                continue;
            numbers[chosen++] = k + 1;
            if (fits)
                want[n++] = &w->kept[k]; /* never before its place */
        }
        if (i % 7 == 6)
            numbers[chosen++] = w->n + 5; /* which is not there */
        int status = read_packets(w->ring, &request, numbers, chosen, i % 3 ? 300000 : 4000, &s, &err);
        bool good = status == TD_OK && holds(&s, want, n, &err);
        if (!good)
            ok(false, "numbers %zu: %zu of them, %d: %s", i, chosen, status, err.text);
        right += good;
        if (i == 1)
            read = s.stats.bytes_read;
        is_int(s.stats.bytes_done, s.stats.bytes_all, "all segments are done with");
    }
    is_int(right, TIMES, "packets by their numbers, compression level %d", level);
    ok(read < (4 << 20), "a few cost little: %llu bytes", (unsigned long long)read);
    free(s.p);
    free(want);
    free(numbers);
}

/* ---- What a stream is made of ---- */

static bool contains(const struct stream *s, const char *text)
{
    return s->n && memmem(s->p, s->n, text, strlen(text));
}

static void test_whole(const struct world *w)
{
    struct window_piece *pieces;
    struct segment **segments;
    size_t n, pinned, unlike = 0;
    struct error err;
    struct stream s = {0};
    is_int(window_pieces(w->ring, INT64_MIN, INT64_MAX, &pieces, &n, &err), TD_OK, "pieces");
    is_int(ring_pin(w->ring, INT64_MIN, INT64_MAX, &segments, &pinned, &err), TD_OK, "segments");
    ok(n == pinned && n > 3, "%zu of them", n);
    is_int(read_window(w->ring, &(struct window_request){INT64_MIN, INT64_MAX, NULL}, 1 << 20, &s, &err), TD_OK, "everything");
    uint8_t *p = malloc(4 << 20), *at = s.p;
    for (size_t i = 0; i + 1 < n; i++) {
        size_t bytes = (size_t)pieces[i].summary.bytes;
        unlike += !pieces[i].whole || segment_read(segments[i], 0, p, bytes, &err) != TD_OK || memcmp(p, at, bytes) != 0;
        at += bytes;
    }
    is_int(unlike, 0, "sealed segments are given out byte for byte");
    ok(!pieces[n - 1].whole && pieces[n - 1].state == SEGMENT_WRITING, "the last one is still being written");
    is_int(s.stats.segments, n, "segments");
    is_int(s.stats.segments_whole, n - 1, "whole ones");
    ok(contains(&s, "Window of segment") && contains(&s, "packets from the beginning to before the end"), "the last one has a comment");
    const struct segment_summary *first = &pieces[0].summary;
    struct window_piece *trimmed;
    size_t trimmed_n;
    is_int(window_pieces(w->ring, first->first_ns + 1, first->last_ns + 1, &trimmed, &trimmed_n, &err), TD_OK, "pieces");
    ok(trimmed_n >= 1 && !trimmed[0].whole, "a packet before the window");
    mem_free(trimmed);
    is_int(window_pieces(w->ring, first->first_ns, first->last_ns, &trimmed, &trimmed_n, &err), TD_OK, "pieces");
    ok(trimmed_n >= 1 && !trimmed[0].whole, "a packet at the window's end");
    mem_free(trimmed);
    is_int(window_pieces(w->ring, first->first_ns, first->last_ns + 1, &trimmed, &trimmed_n, &err), TD_OK, "pieces");
    ok(trimmed_n >= 1 && trimmed[0].whole, "none");
    mem_free(trimmed);
    for (size_t i = 0; i < pinned; i++)
        segment_unpin(segments[i]);
    mem_free(segments);
    mem_free(pieces);
    free(p);
    free(s.p);
}

static void test_comment(const struct world *w)
{
    struct stream s = {0};
    struct error err = {0};
    int64_t start = w->kept[0].time_ns + 1;
    is_int(read_window(w->ring, &(struct window_request){start, start + NS_PER_S, "tcp port 443"}, 4096, &s, &err), TD_OK, "a window");
    ok(contains(&s, "Window of segment"), "says what it is");
    ok(contains(&s, "packets from 2023-11-14T22:13:20.") && contains(&s, " to before 2023-11-14T22:13:21."), "from when to when");
    ok(contains(&s, "that match \"tcp port 443\""), "of which packets");
    ok(contains(&s, " packets were dropped by the kernel, "), "what is missing");
    ok(contains(&s, "Raw capture of node node-1, segment "), "and what the segment says");
    ok(contains(&s, "the other one"), "its interfaces are there");
    free(s.p);
}

static void test_empty(const struct world *w)
{
    static const struct {
        int64_t start_ns, end_ns;
        const char *filter;
    } cases[] = {
        {0, NS_PER_S, NULL},
        {INT64_MIN, INT64_MAX, "host 192.0.2.1"},
        {(int64_t)(START_S + 1) * NS_PER_S, (int64_t)(START_S + 1) * NS_PER_S, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stream s = {0};
        struct error err = {0};
        const struct window_request want = {cases[i].start_ns, cases[i].end_ns, cases[i].filter};
        is_int(read_window(w->ring, &want, 100, &s, &err), TD_OK, "a window without packets");
        ok(s.n > 0 && holds(&s, NULL, 0, &err), "is a capture without packets: %s", err.text);
        is_int(s.stats.packets, 0, "and counts none");
        free(s.p);
    }
    struct window *window;
    struct error err = {0};
    is_int(window_open(w->ring, &(struct window_request){5, 4, NULL}, &window, &err), TD_E_CONFIG, "ends before it starts");
    is_int(window_open(w->ring, &(struct window_request){4, 5, "prot 80"}, &window, &err), TD_E_CONFIG, "a wrong filter");
    like(err.text, "prot 80", "is shown");
}

/* What arrives after opening is not in the window. */
static void test_later(struct world *w)
{
    struct window *window;
    struct error err = {0};
    struct stream s = {0};
    const struct kept **want = calloc(PACKETS, sizeof(struct kept *));
    const struct window_request all = {INT64_MIN, INT64_MAX, "host 10.0.0.200"};
    size_t n = expected(w, &all, want);
    is_int(window_open(w->ring, &all, &window, &err), TD_OK, "a window");
    const struct kept *k = want[n - 1];
    uint32_t number;
    is_int(ring_add_interface(w->ring, &interfaces[0], &number, &err), TD_OK, "one more interface");
    ring_append(w->ring, number, k->time_ns + 5, want[n - 1]->bytes, k->caplen, k->len);
    ring_publish(w->ring);
    is_int(read_stream(window, 5000, &s, &err), TD_OK, "read");
    ok(holds(&s, want, n, &err), "as of its opening: %s", err.text);
    window_close(window);
    is_int(read_window(w->ring, &all, 5000, &s, &err), TD_OK, "another one");
    is_int(s.stats.packets, n + 1, "has it");
    free(s.p);
    free(want);
}

/* ---- Memory and damage ---- */

static void test_no_memory(const struct world *w)
{
    struct stream s = {0};
    struct error err = {0};
    const struct window_request want = {w->kept[10].time_ns, w->kept[w->n - 10].time_ns, "host 10.0.0.200"};
    int status = TD_E_NOMEM;
    unsigned long nth = 0;
    while (status == TD_E_NOMEM && nth < 1000) {
        mem_fail_at(++nth);
        status = read_window(w->ring, &want, 1 << 20, &s, &err);
        mem_fail_at(0);
    }
    ok(status == TD_OK && nth > 5, "every allocation may fail, %lu of them: %s", nth - 1, err.text);
    free(s.p);
}

/* Bytes of the first segment's file are overwritten, here and there: the reader gets an error with the place, or packets. */
static void test_damage(const struct world *w, const char *suffix)
{
    char path[128];
    struct segment **v;
    size_t n, told = 0, other = 0;
    struct error err = {0};
    if (ring_pin(w->ring, INT64_MIN, INT64_MAX, &v, &n, &err) != TD_OK)
        return;
    uint64_t sequence = segment_summary(v[0])->sequence, size = segment_file_bytes(v[0]);
    int64_t from = segment_summary(v[0])->first_ns, to = segment_summary(v[0])->last_ns;
    snprintf(path, sizeof(path), "%s/%010llu%s", w->dir, (unsigned long long)sequence, suffix);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ok(fd >= 0, "the first segment's file %s", path);
    struct stream s = {0};
    for (size_t i = 0; i < 300 && fd >= 0; i++) {
        uint8_t before[32], wrong[32];
        off_t at = i < 50 ? (off_t)(i * 8) : (off_t)draw((uint32_t)size - 32);
        size_t len = 1 + draw(32);
        for (size_t k = 0; k < len; k++)
            wrong[k] = i % 3 ? (uint8_t)draw(256) : (uint8_t)(i % 2 ? 0 : 0xff);
        if (pread(fd, before, len, at) != (ssize_t)len || pwrite(fd, wrong, len, at) != (ssize_t)len)
            break;
        int status = read_window(w->ring, &(struct window_request){from + 1, to, i % 2 ? NULL : "host 10.0.0.200"}, 100000, &s, &err);
        told += status == TD_E_CORRUPT;
        other += status != TD_E_CORRUPT && status != TD_OK;
        if (status == TD_E_CORRUPT && !strstr(err.text, "ffset"))
            other++;
        if (pwrite(fd, before, len, at) != (ssize_t)len)
            break;
    }
    is_int(other, 0, "damage is told with its place, or harmless");
    ok(told > 5, "it was told %zu times", told);
    close(fd);
    free(s.p);
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
}

static uint32_t number_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Where block number `n` of this type begins; the last block for UINT32_MAX. */
static size_t find_block(const uint8_t *p, size_t bytes, uint32_t type, size_t n)
{
    size_t at = 0, next;
    while ((next = at + number_at(p + at + 4)) < bytes) {
        if (number_at(p + at) == type && n-- == 0)
            break;
        at = next;
    }
    return at;
}

struct wound {
    size_t at; /* from the beginning of the block */
    uint32_t value;
    const char *words;
};

static void check_wound(const struct world *w, int fd, const struct window_request *want, size_t block, const struct wound *wound)
{
    struct stream s = {0};
    struct error err = {0};
    char place[40];
    uint32_t before;
    off_t at = (off_t)(block + wound->at);
    bool done = pread(fd, &before, 4, at) == 4 && pwrite(fd, &wound->value, 4, at) == 4;
    int status = read_window(w->ring, want, 50000, &s, &err);
    ok(done && status == TD_E_CORRUPT, "damage is told: %s", wound->words);
    like(err.text, wound->words, "in these words");
    snprintf(place, sizeof(place), "offset %zu:", block);
    like(err.text, place, "with the place");
    ok(pwrite(fd, &before, 4, at) == 4, "and is repaired");
    free(s.p);
}

/* One field of a block is wrong, in the first segment of a ring that is not compressed. */
static void test_wounds(const struct world *w)
{
    static const struct wound packet[] = {
        {4, 2 << 20, "length that it cannot have"},    {4, 30, "length that it cannot have"},        {4, 8, "length that it cannot have"},
        {4, 32, "length in front is not that behind"}, {8, 2, "an interface that is not described"}, {20, 1 << 20, "longer than its block"},
    };
    static const struct wound described[] = {{0, 6, "no interface is described"}, {4, 24, "no interface is described"}};
    static const struct wound section[] = {{0, 6, "no section header"}, {4, 8 << 20, "no section header"}, {8, 7, "no section header"}};
    static const struct wound last = {4, 1 << 19, "length that it cannot have"}, no_packet = {0, 5, "no packet where the index has one"};
    struct segment **v;
    size_t n, number = 0;
    struct error err = {0};
    char path[128];
    if (ring_pin(w->ring, INT64_MIN, INT64_MAX, &v, &n, &err) != TD_OK)
        return;
    const struct segment_summary *sum = segment_summary(v[0]);
    size_t bytes = (size_t)sum->bytes;
    uint8_t *p = malloc(bytes);
    const struct kept **found = calloc(PACKETS, sizeof(struct kept *));
    struct window_request all = {sum->first_ns + 1, sum->last_ns, NULL}, few = all;
    few.filter = "host 10.0.0.200";
    if (expected(w, &few, found) > 3)
        number = (size_t)(found[3] - w->kept);
    snprintf(path, sizeof(path), "%s/%010llu.pcapng", w->dir, (unsigned long long)sum->sequence);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ok(segment_read(v[0], 0, p, bytes, &err) == TD_OK && fd >= 0 && number, "the first segment");
    size_t block = find_block(p, bytes, 6, number);
    for (size_t i = 0; i < sizeof(packet) / sizeof(packet[0]); i++) {
        check_wound(w, fd, &all, block, &packet[i]);
        check_wound(w, fd, &few, block, &packet[i]);
    }
    check_wound(w, fd, &few, block, &no_packet);
    check_wound(w, fd, &all, find_block(p, bytes, 6, UINT32_MAX), &last);
    for (size_t i = 0; i < sizeof(section) / sizeof(section[0]); i++)
        check_wound(w, fd, &all, 0, &section[i]);
    for (size_t i = 0; i < sizeof(described) / sizeof(described[0]); i++)
        check_wound(w, fd, &few, find_block(p, bytes, 1, 1), &described[i]);
    close(fd);
    free(p);
    free(found);
    for (size_t i = 0; i < n; i++)
        segment_unpin(v[i]);
    mem_free(v);
}

/* ---- tcpdump ---- */

/* What `tcpdump -r` writes of a capture with this filter. */
static bool run_tcpdump(const struct stream *in, const char *filter, struct stream *ret)
{
    int from = memfd_create("in", 0), to = memfd_create("out", 0);
    bool done = pwrite(from, in->p, in->n, 0) == (ssize_t)in->n;
    pid_t pid = done ? fork() : -1;
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(from, 0);
        dup2(to, 1);
        dup2(null, 2);
        execlp("tcpdump", "tcpdump", "-r", "-", "--time-stamp-precision=nano", "-w", "-", filter, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (pid > 0)
        waitpid(pid, &status, 0);
    ret->n = (size_t)lseek(to, 0, SEEK_END);
    ret->p = realloc(ret->p, ret->n + 1);
    done = done && WIFEXITED(status) && WEXITSTATUS(status) == 0 && pread(to, ret->p, ret->n, 0) == (ssize_t)ret->n;
    close(from);
    close(to);
    return done;
}

/* The packets of two captures are the same. */
static bool same_packets(const struct stream *a, const struct stream *b, size_t *ret_n)
{
    struct capture *c[2];
    struct packet p[2];
    struct block *block[2];
    struct error err;
    int got[2] = {1, 1};
    bool alike = true;
    *ret_n = 0;
    if (capture_open_memory(td_bytes(a->p, a->n), &c[0], &err) != TD_OK)
        return false;
    if (capture_open_memory(td_bytes(b->p, b->n), &c[1], &err) != TD_OK) {
        capture_close(c[0]);
        return false;
    }
    while (alike && got[0] > 0) {
        for (int i = 0; i < 2; i++)
            got[i] = capture_read(c[i], &p[i], 1, &block[i], &err);
        alike = got[0] == got[1] && (got[0] <= 0 || (p[0].time_ns == p[1].time_ns && p[0].caplen == p[1].caplen && p[0].len == p[1].len &&
                                                     !memcmp(p[0].p, p[1].p, p[0].caplen)));
        *ret_n += got[0] > 0;
        for (int i = 0; i < 2; i++)
            if (got[i] > 0)
                block_unref(block[i]);
    }
    capture_close(c[0]);
    capture_close(c[1]);
    return alike;
}

/* tcpdump reads captures of one link type only. */
static void test_peer(const struct world *w)
{
    static const char *const ethernet[] = {"host 10.0.0.200", "tcp port 443 and not host 10.0.0.3", "arp or udp", "vlan and port 53",
                                           "len > 300",       "ether proto 0x800 and ip[9] = 17"};
    struct stream plain = {0}, ours = {0}, theirs = {0};
    struct error err = {0};
    size_t n, all = 0, unlike = 0;
    int64_t end = w->kept[PACKETS / 3 - 4000].time_ns;
    for (size_t i = 0; i < PEER_WINDOWS; i++) {
        int64_t a = w->kept[draw(PACKETS / 3 - 4000)].time_ns;
        const char *filter = ethernet[i % 6];
        bool done = read_window(w->ring, &(struct window_request){a, end, NULL}, 100000, &plain, &err) == TD_OK &&
                    read_window(w->ring, &(struct window_request){a, end, filter}, 100000, &ours, &err) == TD_OK &&
                    run_tcpdump(&plain, filter, &theirs);
        unlike += !done || !same_packets(&ours, &theirs, &n);
        all += done ? n : 0;
    }
    is_int(unlike, 0, "as tcpdump filters, %zu packets", all);
    ok(all > 1000, "enough of them");
    free(plain.p);
    free(ours.p);
    free(theirs.p);
}

int main(void)
{
    log_set_level(TD_LOG_ERROR);
    for (int level = 0; level < 2; level++) {
        struct world w;
        if (world_open(&w, level)) {
            test_windows(&w, level);
            test_numbers(&w, level);
            test_whole(&w);
            test_comment(&w);
            test_empty(&w);
            test_peer(&w);
            test_no_memory(&w);
            test_damage(&w, level ? ".pcapng.zst" : ".pcapng");
            if (!level)
                test_wounds(&w);
            test_later(&w);
        }
        world_close(&w);
    }
    return tap_done();
}
