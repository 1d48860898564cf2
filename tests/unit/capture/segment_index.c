/* The index of a segment: no choice misses a packet, whatever the traffic; scanning a segment gives the same index again. */
#include "base/log.h"
#include "capture/frames.h"
#include "segment_build.h"

static const char *const filters[] = {
    NULL,
    "",
    "host 192.0.2.1",
    "tcp port 80",
    "udp port 53 and host 192.0.2.2",
    "port 40000",
    "portrange 40000-40100 and ip6",
    "net 192.0.2.0/30 and not port 53",
    "vlan 10 and port 443",
    "icmp or icmp6",
    "not ip and not ip6",
    "tcp[tcpflags] & tcp-syn != 0 and dst port 8080",
    "host 10.0.8.7",
    "udp port 33000 and not port 53",
    "src host 192.0.2.1 and dst host 192.0.2.0 and src port 80",
    "ip6 and src port 443 and dst port 53",
};
enum { FILTERS = sizeof(filters) / sizeof(filters[0]), WINDOWS = 12, START_NS = 1000000000 };

static uint64_t seed = 0x2545f4914f6cdd1du;

/* ---- Choices ---- */

static void random_window(const struct built *s, size_t i, int64_t *start, int64_t *end)
{
    int64_t first = s->n ? s->summary.first_ns : 0, last = s->n ? s->summary.last_ns : 1000;
    uint64_t length = (uint64_t)last - (uint64_t)first + 1;
    *start = i == 0 ? INT64_MIN : first + (int64_t)(next_random(&seed) % length);
    *end = i <= 1 ? INT64_MAX : i % 3 == 0 ? last + 1 : *start + (int64_t)(next_random(&seed) % (length / (i % 4 ? 20 : 2) + 1));
    if (s->n && i == 2) { /* one instant */
        *start = s->packets[below(&seed, (uint32_t)s->n)].time_ns;
        *end = *start + 1;
    }
    if (i == 5) { /* nothing */
        *start = last + 10;
        *end = last + 20;
    }
}

struct tally {
    size_t choices, placed, spared;
};

static struct segment_choice check_choice(const struct built *s, struct segment_index *x, const char *name, struct bpf *filter,
                                          int64_t start, int64_t end, struct tally *tally)
{
    struct segment_choice c = {0};
    struct error err = {0};
    int status = segment_index_choose(x, start, end, filter, &c, &err);
    const char *fault = status == TD_OK ? built_fault(s, s->n, start, end, &c, &tally->spared) : err.text;
    if (fault)
        ok(false, "%s, %zu packets, window %lld to %lld: %s", name, s->n, (long long)start, (long long)end, fault);
    tally->choices++;
    tally->placed += c.placed;
    return c;
}

/* File and notes know the same; but a file may find that its postings are not worth reading. */
static void check_both(const struct built *s, struct segment_index *file, struct segment_index *notes, struct bpf *filter, int64_t start,
                       int64_t end, struct tally *tally)
{
    struct segment_choice a = check_choice(s, file, "file", filter, start, end, tally);
    struct segment_choice b = check_choice(s, notes, "notes", filter, start, end, tally);
    if (a.placed && b.placed && (a.from != b.from || a.n != b.n || memcmp(a.places, b.places, a.n * sizeof(*a.places)) != 0))
        ok(false, "file and notes choose the same places: %zu, %zu", a.n, b.n);
    mem_free(a.places);
    mem_free(b.places);
}

static void check_index(struct built *s, struct segment_index *file, struct segment_index *notes, struct tally *tally)
{
    for (size_t f = 0; f < FILTERS; f++) {
        struct bpf *bpf = NULL;
        struct error err;
        if (filters[f] && bpf_compile(filters[f], &bpf, &err) != TD_OK)
            ok(false, "%s: %s", filters[f], err.text);
        built_match(s, bpf);
        for (size_t w = 0; w < WINDOWS; w++) {
            int64_t start, end;
            random_window(s, w, &start, &end);
            check_both(s, file, notes, bpf, start, end, tally);
        }
        bpf_free(bpf);
    }
}

/* ---- Whole segments ---- */

static bool same_summary(const struct segment_summary *a, const struct segment_summary *b)
{
    return a->sequence == b->sequence && a->bytes == b->bytes && a->packets == b->packets && a->captured_bytes == b->captured_bytes &&
           a->original_bytes == b->original_bytes && a->first_ns == b->first_ns && a->last_ns == b->last_ns &&
           a->covered_from_ns == b->covered_from_ns && a->covered_to_ns == b->covered_to_ns &&
           a->dropped_by_kernel == b->dropped_by_kernel && a->dropped_by_interface == b->dropped_by_interface &&
           a->dropped_by_disk == b->dropped_by_disk && a->gap == b->gap && a->recovered == b->recovered;
}

static void check_interfaces(const struct built *s, const struct segment_index *x, const char *name)
{
    size_t n, wrong = 0;
    const struct notes_interface *v = segment_index_interfaces(x, &n);
    for (size_t i = 0; i < n && i < s->interface_n; i++) {
        struct td_slice block = td_bytes(s->bytes.p + v[i].at, 8);
        wrong += v[i].linktype != s->linktypes[i] || v[i].snaplen != 256 || block.p[0] != 1 || block.p[4] != (uint8_t)v[i].length;
    }
    ok(n == s->interface_n && !wrong, "%s: interfaces stand where it says", name);
}

/* A scan of the same bytes gives the same summary and the same index, byte for byte. */
static void check_scan(const struct built *s, const struct buf *index)
{
    struct td_slice bytes = buf_slice(&s->bytes);
    const struct segment_bytes source = {&bytes, built_memory_read, bytes.n};
    struct segment_summary got = {.sequence = s->summary.sequence, .gap = s->summary.gap, .recovered = s->summary.recovered};
    struct notes *notes = notes_new(bytes.n);
    struct buf again = {0};
    struct error err = {0};
    uint64_t end = 0;
    is_int(segment_index_scan(&source, notes, &got, &end, &err), TD_OK, "scanned");
    is_int(end, bytes.n, "to its end");
    ok(same_summary(&got, &s->summary), "the summary is found again");
    is_int(segment_index_write(notes, &got, NULL, &again, &err), TD_OK, "indexed again");
    is_mem(again.p, again.n, index->p, index->n, "with the same index");
    buf_clear(&again);
    notes_free(notes);
}

/* `places`: some choice must name places. */
static void check_segment(struct built *s, const char *name, bool places)
{
    struct buf index = {0};
    struct segment_index *file = NULL, *notes = NULL;
    struct error err = {0};
    struct tally tally = {0};
    notes_publish(s->notes);
    is_int(notes_count(s->notes), s->n, "%s: packets are counted", name);
    if (s->summary.covered_from_ns == INT64_MAX) { /* as a scan has it without statistics */
        s->summary.covered_from_ns = s->summary.first_ns;
        s->summary.covered_to_ns = s->n ? s->summary.last_ns + 1 : INT64_MIN;
    }
    is_int(segment_index_write(s->notes, &s->summary, NULL, &index, &err), TD_OK, "%s: written", name);
    ok(index.n <= segment_index_bound(s->notes), "%s: %zu bytes, at most %llu", name, index.n,
       (unsigned long long)segment_index_bound(s->notes));
    int fd = built_file(buf_slice(&index));
    if (!ok(segment_index_open(fd, &file, &err) == TD_OK && segment_index_of_notes(s->notes, &notes, &err) == TD_OK, "%s: opened", name))
        tap_diag("%s", err.text);
    else {
        ok(same_summary(segment_index_summary(file), &s->summary), "%s: its summary", name);
        ok(!segment_index_summary(notes) && !segment_index_frames(file) && !segment_index_frames(notes), "%s: no frames", name);
        check_interfaces(s, file, "file");
        check_interfaces(s, notes, "notes");
        check_index(s, file, notes, &tally);
        check_scan(s, &index);
    }
    ok(tally.choices == 2 * FILTERS * WINDOWS && (!places || tally.placed > 1), "%s: %zu choices, %zu placed, %zu packets spared", name,
       tally.choices, tally.placed, tally.spared);
    segment_index_close(file);
    segment_index_close(notes);
    close(fd);
    buf_clear(&index);
}

/* ---- Kinds of traffic ---- */

/* Packets with sample_linktypes[0 .. interfaces), which may be described between packets. */
static void fill(struct built *s, size_t n, uint32_t interfaces, uint32_t hosts, uint32_t backwards)
{
    struct sample p;
    int64_t now = START_NS;
    if (interfaces)
        built_interface(s, sample_linktypes[0]);
    for (size_t i = 0; i < n; i++) {
        if (s->interface_n < interfaces && (i >= n / 2 || !below(&seed, 20)))
            built_interface(s, sample_linktypes[s->interface_n % SAMPLE_LINKTYPES]);
        uint32_t iface;
        do { /* most packets have a whole key: those without could be anything */
            iface = below(&seed, s->interface_n);
            make_sample(&seed, s->linktypes[iface], hosts, &p);
        } while (!p.plain && below(&seed, 32));
        now += below(&seed, 1000);
        if (!built_packet(s, iface, backwards ? now - below(&seed, backwards) : now, &p))
            ok(false, "packet %zu can be noted", i);
        if (!below(&seed, 50))
            notes_publish(s->notes);
    }
}

static void test_kinds(void)
{
    static const struct {
        const char *name;
        size_t n;
        uint32_t interfaces, hosts, backwards;
    } kinds[] = {
        {"nothing", 0, 0, 1, 0},
        {"no packet", 0, 1, 1, 0},
        {"one packet", 1, 1, 1, 0},
        {"few", 20, 2, 2, 0},
        {"several links", 3000, SAMPLE_LINKTYPES, 8, 0},
        {"many hosts", 8000, 3, 256, 0},
        {"times that go back", 4000, 2, 30, 3000000},
        {"times all alike", 2000, 2, 30, 1},
        {"many interfaces", 3000, NOTES_MAX_INTERFACES, 20, 1000},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct built s;
        built_begin(&s, 8 << 20);
        fill(&s, kinds[i].n, kinds[i].interfaces, kinds[i].hosts, kinds[i].backwards);
        check_segment(&s, kinds[i].name, kinds[i].n >= 1000);
        if (s.interface_n == NOTES_MAX_INTERFACES)
            ok(!notes_add_interface(s.notes, &(struct notes_interface){0, 20, 1, 0}), "no interface more");
        struct sample p = {.linktype = 1};
        ok(!notes_add(s.notes, s.interface_n, s.bytes.n, s.bytes.n + 32, 0, p.bytes, 0), "no packet of an interface that is not there");
        ok(!s.interface_n || !notes_add(s.notes, 0, 8 << 20, (8 << 20) + 32, 0, p.bytes, 0), "none behind the segment's end");
        built_clear(&s);
    }
}

/* The same packet again and again, with another one now and then. */
static void test_one_row(void)
{
    struct built s;
    struct sample p, other;
    built_begin(&s, 8 << 20);
    built_interface(&s, 1);
    do
        make_sample(&seed, 1, 1, &p);
    while (!p.plain || p.tagged || p.bytes[14] != 0x45);
    other = p;
    memcpy(other.bytes + 26, "\12\0\10\7", 4);
    for (int i = 0; i < 20000; i++)
        if (!built_packet(&s, 0, START_NS + i * 1000, i % 5000 == 4321 ? &other : &p))
            ok(false, "packet %d can be noted", i);
    check_segment(&s, "one row", true);
    built_clear(&s);
}

/* `n` flows of one packet each, from many ports or from many hosts; then old keys again, which must still be found. */
static void test_many_rows(const char *name, uint32_t n, bool by_host)
{
    struct built s;
    struct sample p, tagged = {.linktype = 1};
    built_begin(&s, 32 << 20);
    built_interface(&s, 101);
    built_interface(&s, 1);
    do
        make_sample(&seed, 101, 2, &p);
    while (!p.plain || p.bytes[0] != 0x45 || p.bytes[9] != 17);
    for (uint32_t i = 0; i < n + 1000; i++) {
        uint32_t key = i < n ? i : i - n;
        if (by_host) {
            p.bytes[12] = 10;
            p.bytes[13] = (uint8_t)(key >> 16);
            p.bytes[14] = (uint8_t)(key >> 8);
            p.bytes[15] = (uint8_t)key;
            memcpy(p.bytes + 22, "\1\273", 2);
        } else {
            p.bytes[15] = (uint8_t)(1 + (key >> 15));
            p.bytes[20] = (uint8_t)(0x80 | (key >> 8 & 0x7f));
            p.bytes[21] = (uint8_t)key;
            memcpy(p.bytes + 22, key % 3 ? "\0\65" : "\0\120", 2);
        }
        bool other = i < n && i > n - 100;
        if (other) {
            memcpy(tagged.bytes, "\2\0\0\0\0\1\2\0\0\0\0\2\201\0\0\12\10\0", 18);
            memcpy(tagged.bytes + 18, p.bytes, p.caplen);
            tagged.caplen = tagged.len = p.caplen + 18;
        }
        if (!built_packet(&s, other, START_NS + (int64_t)i * 1000, other ? &tagged : &p))
            ok(false, "packet %u can be noted", i);
    }
    struct notes_size size;
    notes_size(s.notes, &size);
    ok(size.rows <= NOTES_MAX_ROWS, "%s: %zu rows", name, size.rows);
    check_segment(&s, name, true);
    built_clear(&s);
}

/* Notes that are emptied are as new ones. */
static void test_reset(void)
{
    struct built s, other;
    struct buf index = {0}, again = {0};
    struct error err;
    built_begin(&s, 8 << 20);
    fill(&s, 3000, 3, 200, 0);
    notes_reset(s.notes);
    is_int(notes_count(s.notes), 0, "nothing is left of the segment before");
    struct notes *used = s.notes;
    s.notes = notes_new(64);
    built_clear(&s);
    built_begin(&other, 8 << 20);
    uint64_t before = seed;
    fill(&other, 500, 2, 20, 0);
    notes_publish(other.notes);
    is_int(segment_index_write(other.notes, &other.summary, NULL, &index, &err), TD_OK, "the index of new notes");
    built_clear(&other);
    built_begin(&other, 64);
    notes_free(other.notes);
    other.notes = used;
    seed = before;
    fill(&other, 500, 2, 20, 0);
    notes_publish(other.notes);
    is_int(segment_index_write(other.notes, &other.summary, NULL, &again, &err), TD_OK, "that of emptied ones");
    is_mem(again.p, again.n, index.p, index.n, "are the same");
    built_clear(&other);
    buf_clear(&index);
    buf_clear(&again);
}

/* ---- Statistics and scanning ---- */

static void put_drops(struct built *s)
{
    built_statistics(s, 0, START_NS - 500, START_NS + 100, 5, 7);
    built_statistics(s, 1, START_NS - 400, START_NS + 200, 1, 2);
    built_statistics(s, 0, START_NS - 500, START_NS + 30000000, 15, 70); /* totals: the last ones count */
    s->summary.dropped_by_interface = 16;
    s->summary.dropped_by_kernel = 72;
    s->summary.covered_from_ns = START_NS - 500;
    s->summary.covered_to_ns = START_NS + 30000000;
}

static void test_drops(void)
{
    struct built s;
    built_begin(&s, 8 << 20);
    fill(&s, 1000, 2, 20, 0);
    put_drops(&s);
    s.summary.gap = GAP_KILLED;
    s.summary.recovered = 1;
    check_segment(&s, "drops", true);
    built_clear(&s);
    /* Packets after the last statistics are covered too, though nobody says so. */
    built_begin(&s, 8 << 20);
    fill(&s, 100, 2, 20, 0);
    put_drops(&s);
    struct sample p;
    make_sample(&seed, 1, 1, &p);
    ok(built_packet(&s, 0, START_NS + 40000000, &p), "a late packet");
    s.summary.covered_to_ns = START_NS + 40000001;
    check_segment(&s, "drops, and a packet", false);
    built_clear(&s);
}

/* Expected of a scan of `bytes`, which begin as the segment does up to some place: whole blocks that are as they were. */
static uint64_t common_end(const struct built *s, struct td_slice bytes, uint64_t *ret_packets)
{
    const uint64_t *ends = (const uint64_t *)(const void *)s->ends.p;
    uint64_t end = 0;
    *ret_packets = 0;
    for (size_t i = 0; i < s->ends.n / sizeof(*ends); i++) {
        if (ends[i] > bytes.n || memcmp(bytes.p + end, s->bytes.p + end, (size_t)(ends[i] - end)) != 0)
            break;
        *ret_packets += s->bytes.p[end] == 6;
        end = ends[i];
    }
    return end;
}

static bool scan_is_right(const struct built *s, struct td_slice bytes)
{
    uint8_t *exact = malloc(bytes.n ? bytes.n : 1);
    memcpy(exact, bytes.p, bytes.n);
    struct td_slice source_bytes = td_bytes(exact, bytes.n);
    const struct segment_bytes source = {&source_bytes, built_memory_read, bytes.n};
    struct segment_summary got = {.sequence = 9};
    struct notes *notes = notes_new(bytes.n);
    struct error err = {0};
    uint64_t end = 77, packets, want = common_end(s, bytes, &packets);
    int status = segment_index_scan(&source, notes, &got, &end, &err);
    bool right = want == 0 ? status == TD_E_CORRUPT && end == 77
                           : status == TD_OK && end == want && got.bytes == want && got.packets == packets &&
                                 notes_count(notes) == packets && got.sequence == 9;
    if (!right)
        tap_diag("%zu bytes: status %d (%s), end %llu, not %llu, %llu packets, not %llu", bytes.n, status, err.text,
                 (unsigned long long)end, (unsigned long long)want, (unsigned long long)got.packets, (unsigned long long)packets);
    notes_free(notes);
    free(exact);
    return right;
}

static void test_cuts(void)
{
    struct built s;
    size_t wrong = 0;
    built_begin(&s, 1 << 20);
    fill(&s, 25, 3, 5, 0);
    put_drops(&s);
    size_t n = s.bytes.n;
    uint8_t *torn = malloc(n + 64);
    for (size_t cut = 0; cut <= n; cut++) {
        memcpy(torn, s.bytes.p, cut);
        wrong += !scan_is_right(&s, td_bytes(torn, cut));
        memset(torn + cut, 0, n + 64 - cut);
        wrong += !scan_is_right(&s, td_bytes(torn, n + 64));
        for (size_t i = cut; i < n + 64; i++)
            torn[i] = (uint8_t)next_random(&seed);
        wrong += !scan_is_right(&s, td_bytes(torn, n + 64));
        memset(torn + cut, 0xff, n + 64 - cut);
        wrong += !scan_is_right(&s, td_bytes(torn, n + 64));
    }
    is_int(wrong, 0, "cut anywhere, with and without something behind: whole blocks, and no more (%zu bytes)", n);
    free(torn);
    built_clear(&s);
}

/* What is whole, and yet not ours: the segment ends before it. */
static void test_foreign(void)
{
    struct built s;
    struct sample p;
    built_begin(&s, 8 << 20);
    fill(&s, 10, 2, 5, 0);
    make_sample(&seed, 1, 1, &p);
    static const struct {
        const char *name, *bytes;
        size_t n;
    } blocks[] = {
        {"a simple packet", "\3\0\0\0\20\0\0\0\0\0\0\0\20\0\0\0", 16},
        {"a section", "\n\r\r\n\34\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0\377\377\377\377\377\377\377\377\34\0\0\0", 28},
        {"an interface in microseconds", "\1\0\0\0\24\0\0\0\1\0\0\0\0\0\0\0\24\0\0\0", 20},
        {"a short packet block", "\6\0\0\0\34\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\34\0\0\0", 28},
        {"a packet of no interface", "\6\0\0\0\40\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\40\0\0\0", 32},
        {"a packet longer than its block", "\6\0\0\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\40\0\0\0", 32},
        {"lengths that differ", "\13\0\0\0\20\0\0\0\0\0\0\0\24\0\0\0", 16},
        {"an odd length", "\13\0\0\0\16\0\0\0\0\0\16\0\0\0", 14},
        {"no length", "\13\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
    };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct buf bytes = {0};
        buf_put(&bytes, s.bytes.p, s.bytes.n);
        buf_put(&bytes, blocks[i].bytes, blocks[i].n);
        ok(scan_is_right(&s, buf_slice(&bytes)), "the segment ends before %s", blocks[i].name);
        buf_clear(&bytes);
    }
    /* One of a kind that is not known belongs to it. */
    buf_put(&s.bytes, "\13\0\0\0\20\0\0\0\0\0\0\0\20\0\0\0", 16);
    built_end_block(&s);
    ok(scan_is_right(&s, buf_slice(&s.bytes)), "a block of another kind is a part of it");
    built_clear(&s);
}

/* A packet longer than what a scan reads at once, and many reads. */
static void test_long(void)
{
    struct built s;
    struct sample p;
    uint8_t *zeros = calloc(1, 3 << 20);
    built_begin(&s, 64 << 20);
    fill(&s, 20, 2, 5, 0);
    for (uint32_t n = 1; n < 90; n++) {
        make_sample(&seed, 1, 5, &p);
        uint32_t more = n % 4 ? below(&seed, 300000) : (1 << 20) - 40 + 4 * below(&seed, 20);
        uint32_t size = pcapng_packet_size(p.caplen + more);
        uint8_t head[PCAPNG_PACKET_HEAD], tail[4];
        uint64_t at = s.bytes.n;
        pcapng_packet_head(head, 0, START_NS + n, p.caplen + more, p.caplen + more);
        buf_put(&s.bytes, head, sizeof(head));
        buf_put(&s.bytes, p.bytes, p.caplen);
        buf_put(&s.bytes, zeros, size - sizeof(head) - p.caplen - 4);
        pcapng_le32(tail, size);
        buf_put(&s.bytes, tail, 4);
        ok(notes_add(s.notes, 0, at, s.bytes.n, START_NS + n, s.bytes.p + at + PCAPNG_PACKET_HEAD, p.caplen + more), "a long packet");
        built_end_block(&s);
        if (s.n + 1 > s.cap)
            s.packets = realloc(s.packets, (s.cap += 100) * sizeof(*s.packets));
        s.packets[s.n++] = (struct built_packet){START_NS + n, at, s.bytes.n, 1, p.caplen + more, p.caplen + more, false};
        s.summary.packets++;
        s.summary.captured_bytes += p.caplen + more;
        s.summary.original_bytes += p.caplen + more;
        s.summary.first_ns = START_NS + n < s.summary.first_ns ? START_NS + n : s.summary.first_ns;
        s.summary.last_ns = START_NS + n > s.summary.last_ns ? START_NS + n : s.summary.last_ns;
    }
    check_segment(&s, "long packets", false);
    free(zeros);
    built_clear(&s);
}

/* ---- Files that are not right ---- */

static void test_damage(void)
{
    struct built s;
    struct buf index = {0};
    struct error err;
    size_t undetected = 0, opened = 0;
    built_begin(&s, 1 << 20);
    fill(&s, 60, 2, 5, 0);
    notes_publish(s.notes);
    is_int(segment_index_write(s.notes, &s.summary, NULL, &index, &err), TD_OK, "an index to be damaged");
    struct bpf *bpf;
    is_int(bpf_compile("udp port 5353 and host 192.0.2.4", &bpf, &err), TD_OK, "a filter");
    built_match(&s, bpf);
    for (size_t i = 0; i < 2 * index.n; i++) {
        struct segment_index *x;
        struct segment_choice c = {0};
        size_t at = i / 2, spared = 0;
        struct td_slice bytes = buf_slice(&index);
        uint8_t flip = (uint8_t)(1u << below(&seed, 8));
        if (i % 2)
            index.p[at] ^= flip;
        else
            bytes.n = at;
        int fd = built_file(bytes);
        if (segment_index_open(fd, &x, &err) == TD_OK) {
            opened++;
            if (segment_index_choose(x, INT64_MIN, INT64_MAX, bpf, &c, &err) == TD_OK)
                undetected += built_fault(&s, s.n, INT64_MIN, INT64_MAX, &c, &spared) != NULL;
            mem_free(c.places);
            segment_index_close(x);
        }
        close(fd);
        if (i % 2)
            index.p[at] ^= flip;
    }
    is_int(undetected, 0, "no damage leads to a wrong choice (%zu were opened)", opened);
    bpf_free(bpf);
    built_clear(&s);
    buf_clear(&index);
}

int main(void)
{
    log_set_level(TD_LOG_ERROR);
    test_kinds();
    test_one_row();
    test_many_rows("many ports", 80000, false);
    test_many_rows("many hosts", 90000, true);
    test_reset();
    test_drops();
    test_cuts();
    test_foreign();
    test_long();
    test_damage();
    return tap_done();
}
