/* Measures what noting a packet costs on the capture path, beside copying the packet (memcpy), and what the index of a segment costs
 * and how long it is: `notes [PACKETS]`. Prints what it measured and whether each bar holds; exit status 1 if one does not. Processor
 * time, the least of a few rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "capture/segment_index.h"

enum { ROUNDS = 7, AHEAD = 16, HEAD = 64, MAX_FLOWS = 100000, BYTES = 1000 };

/* Bars: against copying 1000 bytes that are not in the cache, as capturing has to. */
static const double FEW_BAR = 0.5, MANY_BAR = 1.5, BYTES_BAR = 6;

struct traffic {
    const char *name;
    size_t flows;
    size_t burst;     /* packets of a flow in a row */
    uint32_t caplen;  /* bytes of a packet */
    double bar;       /* times memcpy at most; 0: none */
    double bytes_bar; /* of the index for each packet */
};

struct bench {
    uint8_t (*flows)[HEAD];
    uint32_t *order; /* flow of each packet */
    uint8_t *from, *to;
    size_t packets;
    struct notes *notes;
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    return x ^ x >> 29;
}

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* TCP over IPv4 over Ethernet between random addresses. */
static void make_flow(uint8_t p[HEAD], uint64_t *random)
{
    uint64_t addresses = next_random(random), ports = next_random(random);
    memset(p, 0, HEAD);
    p[12] = 8;
    p[14] = 0x45;
    p[23] = 6;
    memcpy(p + 26, &addresses, 8);
    memcpy(p + 34, &ports, 4);
}

static void make_traffic(struct bench *b, const struct traffic *t)
{
    uint64_t random = 1;
    for (size_t i = 0; i < t->flows; i++)
        make_flow(b->flows[i], &random);
    for (size_t i = 0; i < b->packets; i++)
        b->order[i] = i % t->burst ? b->order[i - 1] : (uint32_t)(next_random(&random) % t->flows);
}

static uint64_t block_bytes(const struct traffic *t)
{
    return 32 + (t->caplen + 3) / 4 * 4;
}

static double note_all(struct bench *b, const struct traffic *t)
{
    const struct notes_interface iface = {28, 40, 1, 262144};
    uint64_t at = 128, block = block_bytes(t);
    double begin = processor_s();
    notes_reset(b->notes);
    if (!notes_add_interface(b->notes, &iface))
        exit(1);
    for (size_t i = 0; i < b->packets; i++, at += block) {
        if (i + AHEAD < b->packets)
            __builtin_prefetch(b->flows[b->order[i + AHEAD]]); /* a packet that is noted has just been copied */
        if (!notes_add(b->notes, 0, at, at + block, (int64_t)i, b->flows[b->order[i]], t->caplen))
            exit(1);
    }
    notes_publish(b->notes);
    return processor_s() - begin;
}

/* Reading the flow's number and the first bytes of its packet is what any way to capture has to do. */
static double only_walk(struct bench *b)
{
    uint64_t sum = 0;
    double begin = processor_s();
    for (size_t i = 0; i < b->packets; i++)
        sum += b->flows[b->order[i]][26];
    __asm__ volatile("" : : "r"(sum));
    return processor_s() - begin;
}

static double copy_all(struct bench *b)
{
    double begin = processor_s();
    for (size_t i = 0; i < b->packets; i++) {
        size_t at = i * 1024 % ((size_t)64 << 20);
        memcpy(b->to + at, b->from + at, BYTES);
        __asm__ volatile("" : : : "memory");
    }
    return processor_s() - begin;
}

static double write_index(struct bench *b, const struct traffic *t, size_t *ret_bytes)
{
    struct segment_summary summary = {.packets = b->packets, .bytes = 128 + b->packets * block_bytes(t)};
    struct buf index = {0};
    struct error err;
    double begin = processor_s();
    if (segment_index_write(b->notes, &summary, NULL, &index, &err) != TD_OK) {
        fprintf(stderr, "notes: %s\n", err.text);
        exit(1);
    }
    double took = processor_s() - begin;
    *ret_bytes = index.n;
    if (index.n > segment_index_bound(b->notes))
        exit(1);
    buf_clear(&index);
    return took;
}

static int bar(const char *what, double value, const char *unit, double limit)
{
    bool good = value <= limit;
    printf("  %s  %s: %.2f%s, at most %g%s\n", good ? "PASS" : "FAIL", what, value, unit, limit, unit);
    return good ? 0 : 1;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static int measure(struct bench *b, const struct traffic *t)
{
    double note = 1e9, walk = 1e9, copy = 1e9, write = 1e9, packets = (double)b->packets;
    size_t bytes = 0;
    make_traffic(b, t);
    for (int i = 0; i < ROUNDS; i++) {
        note = least(note, note_all(b, t));
        walk = least(walk, only_walk(b));
        copy = least(copy, copy_all(b));
        write = least(write, write_index(b, t, &bytes));
    }
    note -= walk;
    printf("%s: noting %.1f ns a packet (a walk over the packets without noting %.1f), copying %d bytes %.1f ns; index: %.1f ns and %.2f "
           "bytes a packet, bound %.2f\n",
           t->name, note / packets * 1e9, walk / packets * 1e9, BYTES, copy / packets * 1e9, write / packets * 1e9, (double)bytes / packets,
           (double)segment_index_bound(b->notes) / packets);
    int failed = t->bar > 0 ? bar("noting beside copying a packet", note / copy, " times", t->bar) : 0;
    return failed + bar("index", (double)bytes / packets, " bytes a packet", t->bytes_bar);
}

int main(int argc, char **argv)
{
    static const struct traffic traffics[] = {
        {"1 flow", 1, 1, 1000, FEW_BAR, BYTES_BAR},
        {"20 flows", 20, 1, 1000, FEW_BAR, BYTES_BAR},
        {"20 flows, small packets", 20, 1, 60, FEW_BAR, BYTES_BAR},
        {"30000 flows", 30000, 1, 100, MANY_BAR, BYTES_BAR},
        {"100000 flows", MAX_FLOWS, 1, 100, MANY_BAR, BYTES_BAR},
        {"100000 flows, 8 packets at a time", MAX_FLOWS, 8, 100, MANY_BAR, BYTES_BAR},
    };
    struct bench b = {.packets = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000};
    b.flows = calloc(MAX_FLOWS, HEAD);
    b.order = calloc(b.packets, sizeof(*b.order));
    b.from = calloc(65, 1 << 20);
    b.to = calloc(65, 1 << 20);
    b.notes = notes_new(NOTES_MAX_SEGMENT);
    if (!b.flows || !b.order || !b.from || !b.to || !b.notes || b.packets < 1)
        return 1;
    memset(b.from, 1, (size_t)65 << 20);
    int failed = 0;
    for (size_t i = 0; i < sizeof(traffics) / sizeof(traffics[0]); i++)
        failed += measure(&b, &traffics[i]);
    notes_free(b.notes);
    free(b.flows);
    free(b.order);
    free(b.from);
    free(b.to);
    return failed ? 1 : 0;
}
