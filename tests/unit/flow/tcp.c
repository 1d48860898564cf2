/* What TCP reassembly makes of every trouble that a capture can hold: as a log of what it delivers. */
#include "flow/flow.h"

#include <stdlib.h>

#include "base/units.h"
#include "packet/capture.h"
#include "tap.h"
#include "traffic.h"

static const struct peer A = {{10, 0, 0, 1}, 40000}, B = {{10, 0, 0, 2}, 80};

/* ---- A recorder in place of the dissectors ---- */

struct recorder {
    struct buf log;
    struct flow_table *table;
};

/* Sides are told by A (the lower address) and B. */
static void on_data(void *ctx, struct flow *f, int side, uint64_t offset, struct td_slice bytes, const struct flow_origin *origin)
{
    struct recorder *r = ctx;
    f->user = r;
    buf_printf(&r->log, "%c%llu:%.*s/%llu ", side ? 'B' : 'A', (unsigned long long)offset, (int)bytes.n, (const char *)bytes.p,
               (unsigned long long)origin->frame);
}

static void on_datagram(void *ctx, struct flow *f, int side, struct td_slice bytes, bool cut, const struct flow_origin *origin)
{
    struct recorder *r = ctx;
    (void)origin;
    f->user = r;
    buf_printf(&r->log, "%c[%.*s]%s ", side ? 'B' : 'A', (int)bytes.n, (const char *)bytes.p, cut ? "cut" : "");
}

static void on_gap(void *ctx, struct flow *f, int side, uint64_t offset, uint64_t len)
{
    struct recorder *r = ctx;
    f->user = r;
    buf_printf(&r->log, "%cgap%llu+%llu ", side ? 'B' : 'A', (unsigned long long)offset, (unsigned long long)len);
}

static void on_eof(void *ctx, struct flow *f, int side)
{
    struct recorder *r = ctx;
    (void)f;
    buf_printf(&r->log, "%ceof ", side ? 'B' : 'A');
}

static void on_close(void *ctx, struct flow *f, enum flow_close why)
{
    static const char *const names[] = {"?", "fin", "reset", "timeout", "evicted", "end"};
    struct recorder *r = ctx;
    f->user = NULL;
    buf_printf(&r->log, "%s(%llu,%c) ", names[why], (unsigned long long)f->id, f->client < 0 ? '?' : f->client ? 'B' : 'A');
}

static const struct flow_ops recorder_ops = {on_data, on_datagram, on_gap, on_eof, on_close};

static struct flow_limits limits = {1 << 20, 256 << 10, 3600ll * NS_PER_S, 60ll * NS_PER_S};

static void feed(struct recorder *r, struct traffic *t)
{
    struct capture *capture;
    struct packet packets[64];
    struct block *block;
    struct decoder *decoder = decoder_new(1 << 20);
    int n;
    if (capture_open_memory(buf_slice(&t->pcap), &capture, NULL) != TD_OK)
        abort();
    while ((n = capture_read(capture, packets, 64, &block, NULL)) > 0) {
        for (int i = 0; i < n; i++) {
            struct decoded d;
            if (decode_packet(decoder, &packets[i], &d) != DECODE_OK)
                continue;
            struct flow_packet pkt = {
                d.ip,        d.l4, d.l4_caplen, d.l4_len, packets[i].time_ns, packets[i].frame, d.datagram, flow_hash(&d, 0), d.ip_version,
                d.transport, 0};
            flow_table_packet(r->table, &pkt);
            if (d.datagram)
                block_unref(&d.datagram->block);
        }
        block_unref(block);
    }
    capture_close(capture);
    decoder_free(decoder);
}

static int by_id(const void *a, const void *b)
{
    const struct flow *x = *(struct flow *const *)a, *y = *(struct flow *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Runs the traffic through a table and returns the log. `stats` may be NULL. */
static const char *run(struct traffic *t, struct flow_stats *stats)
{
    static struct recorder r;
    buf_clear(&r.log);
    r.table = flow_table_new(&limits, &recorder_ops, &r);
    feed(&r, t);
    uint32_t n = flow_table_count(r.table);
    struct flow **flows = calloc(n + 1, sizeof(*flows));
    flow_table_list(r.table, flows);
    qsort(flows, n, sizeof(*flows), by_id);
    for (uint32_t i = 0; i < n; i++)
        flow_table_end(r.table, flows[i]);
    free(flows);
    if (stats)
        *stats = *flow_table_stats(r.table);
    size_t left = flow_table_memory(r.table); /* of its slots: a power of two */
    ok(left >= 512 && (left & (left - 1)) == 0, "all memory was given back");
    flow_table_free(r.table);
    if (r.log.n && r.log.p[r.log.n - 1] == ' ')
        r.log.n--;
    traffic_clear(t);
    return buf_cstr(&r.log);
}

static void tcp(struct traffic *t, int from_b, uint32_t seq, uint32_t ack, uint8_t flags, const char *data)
{
    traffic_tcp(t, from_b ? B : A, from_b ? A : B, seq, ack, flags, td_str(data));
}

/* A: initial sequence number 100, B: 500; frames 1 to 3. */
static void handshake(struct traffic *t)
{
    traffic_init(t);
    tcp(t, 0, 100, 0, SYN, "");
    tcp(t, 1, 500, 101, SYN | ACK, "");
    tcp(t, 0, 101, 501, ACK, "");
}

/* ---- Cases ---- */

static void order(void)
{
    struct traffic t;
    struct flow_stats stats;

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 1, 501, 103, ACK, "xy");
    tcp(&t, 0, 103, 503, FIN | ACK, "");
    tcp(&t, 1, 503, 104, FIN | ACK, "");
    is_str(run(&t, NULL), "A0:ab/4 B0:xy/5 Aeof Beof fin(1,A)", "an orderly connection");

    handshake(&t);
    tcp(&t, 0, 103, 501, ACK, "cd");
    tcp(&t, 0, 101, 501, ACK, "ab");
    is_str(run(&t, &stats), "A0:ab/5 A2:cd/4 end(1,A)", "two segments in the wrong order");
    is_int(stats.reordered, 1, "one had to wait");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 0, 101, 501, ACK, "abcd");
    is_str(run(&t, &stats), "A0:ab/4 A2:cd/6 end(1,A)", "a retransmission that brings more");
    is_int(stats.retransmitted, 1, "one brought nothing");

    handshake(&t);
    tcp(&t, 0, 103, 501, ACK, "CD");
    tcp(&t, 0, 105, 501, ACK, "EF");
    tcp(&t, 0, 101, 501, ACK, "abcdefgh");
    is_str(run(&t, NULL), "A0:ab/6 A2:CD/4 A4:EF/5 A6:gh/6 end(1,A)", "what overlaps: the first bytes seen count");

    handshake(&t);
    tcp(&t, 0, 105, 501, ACK, "EF");
    tcp(&t, 0, 103, 501, ACK, "cdefgh");
    tcp(&t, 0, 101, 501, ACK, "ab");
    is_str(run(&t, NULL), "A0:ab/6 A2:cd/5 A4:EF/4 A6:gh/5 end(1,A)", "an overlap within the queue");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 0, 102, 501, ACK, "b");
    tcp(&t, 0, 102, 501, ACK, "");
    tcp(&t, 0, 103, 501, ACK, "cd");
    is_str(run(&t, NULL), "A0:ab/4 A2:cd/7 end(1,A)", "keep-alives with and without a byte");

    traffic_init(&t);
    tcp(&t, 0, 0xfffffffe, 0, SYN, "");
    tcp(&t, 1, 0xffffffff, 0xffffffff, SYN | ACK, "");
    tcp(&t, 0, 0xffffffff, 0, ACK, "ab");
    tcp(&t, 0, 3, 0, ACK, "ef");
    tcp(&t, 0, 1, 0, ACK, "cd");
    is_str(run(&t, NULL), "A0:ab/3 A2:cd/5 A4:ef/4 end(1,A)", "sequence numbers that wrap");

    traffic_init(&t);
    tcp(&t, 0, 100, 0, SYN, "early");
    tcp(&t, 1, 500, 106, SYN | ACK, "");
    tcp(&t, 0, 106, 501, ACK, "late");
    is_str(run(&t, NULL), "A0:early/1 A5:late/3 end(1,A)", "data in the SYN");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK | URG, "a!b");
    is_str(run(&t, NULL), "A0:a!b/4 end(1,A)", "urgent data stays in the stream (RFC 6093)");
}

static void ends(void)
{
    struct traffic t;

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 1, 501, 103, RST | ACK, "");
    tcp(&t, 0, 103, 501, ACK, "");
    is_str(run(&t, NULL), "A0:ab/4 reset(1,A)", "a reset ends it; what straggles in makes no new connection");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 0, 103, 501, FIN | ACK, "cd");
    tcp(&t, 1, 501, 106, ACK, "more");
    tcp(&t, 1, 505, 106, ACK, "than one");
    is_str(run(&t, NULL), "A0:ab/4 A2:cd/5 Aeof B0:more/6 B4:than one/7 end(1,A)", "half-closed: the other side goes on");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "one");
    tcp(&t, 0, 104, 501, FIN | ACK, "");
    tcp(&t, 1, 501, 105, FIN | ACK, "");
    tcp(&t, 0, 9000, 0, SYN, "");
    tcp(&t, 1, 7000, 9001, SYN | ACK, "");
    tcp(&t, 0, 9001, 7001, ACK, "two");
    is_str(run(&t, NULL), "A0:one/4 Aeof Beof fin(1,A) A0:two/9 end(7,A)", "the same ports again");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "one");
    tcp(&t, 0, 50000, 0, SYN, "");
    tcp(&t, 0, 50001, 501, ACK, "two");
    is_str(run(&t, NULL), "A0:one/4 fin(1,A) A0:two/6 end(5,A)", "the same ports again, and no end was seen");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "one");
    tcp(&t, 0, 100, 0, SYN, "");
    tcp(&t, 0, 104, 501, ACK, "two");
    is_str(run(&t, NULL), "A0:one/4 A3:two/6 end(1,A)", "the same SYN again is no new connection");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "one");
    tcp(&t, 1, 501, 104, RST, "");
    tcp(&t, 0, 104, 501, ACK, "two");
    is_str(run(&t, NULL), "A0:one/4 reset(1,A) A0:two/6 end(6,?)", "data that goes on after a forged reset");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "one");
    tcp(&t, 1, 999, 104, RST, "");
    tcp(&t, 0, 104, 501, ACK, "two");
    is_str(run(&t, NULL), "A0:one/4 A3:two/6 reset(1,A)", "a reset out of its place waits for the connection to fall silent");

    traffic_init(&t);
    tcp(&t, 0, 100, 0, SYN, "");
    tcp(&t, 1, 500, 0, SYN, "");
    tcp(&t, 0, 100, 501, SYN | ACK, "");
    tcp(&t, 1, 500, 101, SYN | ACK, "");
    tcp(&t, 0, 101, 501, ACK, "ab");
    is_str(run(&t, NULL), "A0:ab/5 end(1,?)", "simultaneous open: nobody is the client by the SYN");

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    t.time_ns += 4000ll * NS_PER_S;
    traffic_udp(&t, A, B, td_str("?"));
    is_str(run(&t, NULL), "A0:ab/4 timeout(1,A) A[?] end(5,?)", "idle for longer than allowed");
}

static void holes(void)
{
    struct traffic t;
    struct flow_stats stats;

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 0, 106, 501, ACK, "fg");
    tcp(&t, 1, 501, 108, ACK, "answer");
    is_str(run(&t, &stats), "A0:ab/4 Agap2+3 A5:fg/5 B0:answer/6 end(1,A)", "a hole at the end of the capture");
    is_int(stats.gap_bytes, 3, "its bytes are counted");

    handshake(&t);
    tcp(&t, 0, 106, 501, ACK, "fg");
    for (int i = 0; i < 30; i++)
        tcp(&t, 1, 501, 108, ACK, "");
    tcp(&t, 1, 501, 108, ACK, "late");
    is_str(run(&t, NULL), "Agap0+5 A5:fg/4 B0:late/35 end(1,A)", "acknowledged, so it never comes: declared after some packets");

    handshake(&t);
    tcp(&t, 0, 106, 501, ACK, "fg");
    for (int i = 0; i < 30; i++)
        tcp(&t, 1, 501, 101, ACK, "");
    tcp(&t, 0, 101, 501, ACK, "abcde");
    is_str(run(&t, NULL), "A0:abcde/35 A5:fg/4 end(1,A)", "not acknowledged: it waits for the retransmission");

    handshake(&t);
    tcp(&t, 1, 501, 103, ACK, "answer");
    tcp(&t, 0, 101, 501, ACK, "ab");
    is_str(run(&t, NULL), "A0:ab/5 B0:answer/4 end(1,A)", "causality: the question goes first although the answer was captured first");

    handshake(&t);
    tcp(&t, 1, 501, 103, ACK, "answer");
    tcp(&t, 1, 507, 103, ACK, "");
    t.time_ns += 20ll * NS_PER_S;
    tcp(&t, 1, 507, 103, ACK, "");
    is_str(run(&t, NULL), "Agap0+2 B0:answer/4 end(1,A)", "a question that was not captured: declared after some time");

    handshake(&t);
    tcp(&t, 1, 501, 103, ACK, "answer");
    tcp(&t, 0, 103, 507, ACK, "next");
    tcp(&t, 1, 507, 107, ACK, "answer");
    is_str(run(&t, NULL), "Agap0+2 B0:answer/4 A2:next/5 B6:answer/6 end(1,A)",
           "also when the capture ends: its loss is told before its answer");

    handshake(&t);
    t.snaplen = 14 + 40 + 4;
    tcp(&t, 0, 101, 501, ACK, "abcdefgh");
    tcp(&t, 0, 109, 501, ACK, "ijklmnop");
    is_str(run(&t, NULL), "A0:abcd/4 Agap4+4 A8:ijkl/5 Agap12+4 end(1,A)", "packets cut by the snaplen");

    handshake(&t);
    t.snaplen = 14 + 40 + 4;
    tcp(&t, 0, 109, 501, ACK, "ijklmnop");
    tcp(&t, 0, 101, 501, ACK, "abcdefgh");
    is_str(run(&t, NULL), "A0:abcd/5 Agap4+4 A8:ijkl/4 Agap12+4 end(1,A)", "cut and in the wrong order");

    traffic_init(&t);
    tcp(&t, 0, 5000, 7000, ACK, "mid");
    tcp(&t, 1, 7000, 5003, ACK, "stream");
    tcp(&t, 0, 4990, 7000, ACK, "old");
    is_str(run(&t, &stats), "A0:mid/1 B0:stream/2 end(1,?)", "the capture begins in mid-stream");
    is_int(stats.midstream, 1, "which is counted once");
    is_int(stats.before_start, 1, "what is older than the first segment seen is left out");
}

/* What no honest peer sends, or what only a bad capture shows. */
static void oddities(void)
{
    struct traffic t;
    struct flow_stats stats;
    struct flow_limits usual = limits;

    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "ab");
    tcp(&t, 0, 103 + (1u << 30) + 5, 501, ACK, "far");
    is_str(run(&t, &stats), "A0:ab/4 Agap2+1073741829 A1073741831:far/5 end(1,A)", "farther ahead than any window: still a gap");

    handshake(&t);
    tcp(&t, 0, 101, 501, FIN | ACK, "ab");
    tcp(&t, 0, 103, 501, ACK, "more");
    is_str(run(&t, NULL), "A0:ab/4 Aeof end(1,A)", "nothing comes after a FIN");

    handshake(&t);
    tcp(&t, 0, 110, 501, ACK, "beyond");
    tcp(&t, 0, 101, 501, FIN | ACK, "ab");
    is_str(run(&t, NULL), "A0:ab/5 Aeof end(1,A)", "nor does what waited already");

    handshake(&t);
    tcp(&t, 0, 103, 501, ACK, "cdef");
    tcp(&t, 0, 110, 501, ACK, "beyond");
    tcp(&t, 0, 105, 501, FIN | ACK, "");
    tcp(&t, 0, 101, 501, ACK, "ab");
    is_str(run(&t, NULL), "A0:ab/7 A2:cdef/4 Aeof end(1,A)", "a FIN inside of what waits ends the stream behind the segment");

    handshake(&t);
    tcp(&t, 0, 101, 503, ACK, "aa");
    tcp(&t, 1, 501, 103, ACK, "bb");
    for (int i = 0; i < 30; i++)
        tcp(&t, 0, 103, 503, ACK, "");
    traffic_udp(&t, A, B, td_str("later"));
    is_str(run(&t, NULL), "A0:aa/4 B0:bb/5 A[later] end(1,A) end(36,?)", "two segments that acknowledge each other");

    handshake(&t);
    limits.max_connection_memory = sizeof(struct flow) + 120; /* room for two short segments */
    tcp(&t, 0, 111, 501, ACK, "KL");
    tcp(&t, 0, 121, 501, ACK, "UV");
    tcp(&t, 0, 101, 501, ACK, "abcdefghijklmnopqrstuvwxyz");
    is_str(run(&t, &stats), "A0:abcdefghij/6 A10:KL/4 A12:mnopqrst/6 A20:UV/5 A22:wxyz/6 end(1,A)",
           "a retransmission around what waits needs no memory");
    is_int(stats.gaps, 0, "and makes no gap");

    handshake(&t);
    tcp(&t, 1, 503, 101, ACK, "later");
    tcp(&t, 0, 103, 506, ACK, "KL"); /* waits for its turn and for the other side */
    tcp(&t, 0, 101, 501, ACK, "abcdefgh");
    is_str(run(&t, &stats), "A0:ab/6 Bgap0+2 B2:later/4 A2:KL/5 A4:efgh/6 end(1,A)",
           "nor does one whose middle must wait, but for its rest");
    limits = usual;

    handshake(&t);
    limits.max_connection_memory = sizeof(struct flow) + 120;
    tcp(&t, 1, 503, 101, ACK, "later");
    tcp(&t, 0, 103, 506, ACK, "KL");
    tcp(&t, 0, 101, 501, ACK, "abcdefghijklmnopqrstuvwxyz");
    is_str(run(&t, &stats), "A0:ab/6 Bgap0+2 B2:later/4 A2:KL/5 A4:efghijklmnopqrstuvwxyz/6 end(1,A)",
           "no room for the rest: it is not lost");
    limits = usual;
}

static void budget(void)
{
    struct traffic t;
    struct flow_stats stats;
    struct flow_limits usual = limits;

    traffic_init(&t);
    for (uint32_t i = 0; i < 200000; i++)
        traffic_tcp(&t, (struct peer){{10, 1, (uint8_t)(i >> 16), (uint8_t)(i >> 8)}, (uint16_t)(1024 + (i & 0xff))}, B, i, 0, SYN,
                    td_str(""));
    is_str(run(&t, &stats), "", "a SYN flood delivers nothing");
    is_int(stats.tcp_connections, 200000, "each is a connection");
    ok(stats.evicted > 190000 && stats.evicted == stats.evicted_embryonic, "they make room for each other within the budget");

    traffic_init(&t);
    tcp(&t, 0, 100, 0, SYN, "");
    tcp(&t, 1, 500, 101, SYN | ACK, "");
    tcp(&t, 0, 101, 501, ACK, "before");
    for (uint32_t i = 0; i < 50000; i++)
        traffic_tcp(&t, (struct peer){{10, 1, (uint8_t)(i >> 16), (uint8_t)(i >> 8)}, (uint16_t)(1024 + (i & 0xff))}, B, i, 0, SYN,
                    td_str(""));
    tcp(&t, 0, 107, 501, ACK, "after");
    is_str(run(&t, NULL), "A0:before/3 A6:after/50004 end(1,A)", "a flood does not drive out a connection that carries data");

    limits.max_connection_memory = 4096;
    handshake(&t);
    tcp(&t, 0, 101, 501, ACK, "a");
    for (uint32_t i = 0; i < 60; i++)
        tcp(&t, 0, 110 + i * 8, 501, ACK, "waiting.");
    const char *log = run(&t, &stats);
    like(log, "A0:a/4 Agap1+8 A9:waiting./5", "a queue that is full gives up its hole");
    is_int(stats.gaps, 1, "once: everything after it is there");
    limits = usual;

    limits.max_memory = 4096;
    traffic_init(&t);
    for (uint16_t i = 0; i < 40; i++)
        traffic_udp(&t, (struct peer){{10, 0, 0, 1}, (uint16_t)(1000 + i)}, B, td_str("d"));
    (void)run(&t, &stats);
    ok(stats.evicted > 20, "UDP flows make room as well");
    limits = usual;
}

static void datagrams(void)
{
    struct traffic t;
    traffic_init(&t);
    traffic_udp(&t, A, B, td_str("q"));
    traffic_udp(&t, B, A, td_str("r"));
    t.snaplen = 14 + 28 + 2;
    traffic_udp(&t, A, B, td_str("long"));
    is_str(run(&t, NULL), "A[q] B[r] A[lo]cut end(1,?)", "datagrams, the last one cut");
}

int main(void)
{
    order();
    ends();
    holes();
    oddities();
    budget();
    datagrams();
    return tap_done();
}
