/* Limits: what is shown when a connection, or all of them together, need more memory than they may have, or than there is. */
#include <stdlib.h>

#include "tap.h"
#include "toy_talk.h"

enum { TOY = 6 }; /* among the dissectors, by name */

static void connection(void)
{
    struct engine_options usual = rig.options;
    rig.options.max_connection_memory = 16 << 10;

    start();
    client("ask a\nwait 100000\n");
    for (int i = 0; i < 130; i++)
        client("a line of text that is to be kept, but for which there is not enough room; 100 bytes of it, or nearly\n");
    client("ask b\n");
    server("reply 1\n");
    const char *out = run();
    like(out, "a C18/4!;", "more to be kept than fits: the claim ends, its call is cut");
    like(out, "b>1 C6/135 S8/136;", "and what follows is found again");
    is_int(rig.stats.dissect.over_limit, 1, "counted");
    is_str(rig.stats.dissect.reasons[0].why, "more bytes to be kept than maxConnectionMemory allows", "the reason");

    start();
    client("ask a\nfill 4000\nfill 3000\nfill 3000\nfill 500\n");
    server("reply 1\n");
    client("ask b\nfill 4000\n");
    server("reply 2\n");
    is_str(run(), "a>1 C45/4 S8/5 b7000~;b>2 C16/6 S8/7 b4000;", "a body that does not fit is cut, and nothing comes after the cut");

    start();
    client("ask a\npairs 1000\n");
    server("reply 1\n");
    out = run();
    like(out, "a>1 C17/4 S8/5 p", "values that do not fit");
    like(out, " *;", "make the call partial");

    start();
    client("ask a\ncalls 100\n");
    client("ask b\n");
    (void)run();
    like(buf_cstr(&seen), "nocall C16+6@4 nocall", "there is an end to the calls");
    ok(rig.stats.dissect.calls[TOY] > 4 && rig.stats.dissect.calls[TOY] < 15, "%d of them fit", (int)rig.stats.dissect.calls[TOY]);

    start();
    client("ask a\ntake 4000\ntake 4000\ntake 4000\ntake 4000\ntake 100\nlose\n");
    client("ask b\ntake 3000\n");
    (void)run();
    like(buf_cstr(&seen), "took took took refused", "there is an end to the arena");
    like(buf_cstr(&seen), "close(lost) open(toy,mid,hint) C60+16@4 took", "but a new claim has a new one");

    start();
    client("ask a\n");
    for (int i = 0; i < 20000; i++) {
        client("more\n");
        talk_ack(&k, 1);
    }
    server("reply 1\n");
    out = run();
    like(out, "...", "a list of packets that does not fit is cut");
    like(out, "a>1 C100006/4+5+7+9", "the bytes are counted all the same");

    rig.options = usual;
}

/* `n` connections with an open call each, and then an answer for each. */
static void many_connections(unsigned n)
{
    traffic_init(&t);
    for (int answer = 0; answer < 2; answer++)
        for (unsigned i = 0; i < n; i++) {
            struct peer peer = {{10, 1, (uint8_t)(i >> 8), (uint8_t)i}, 5000};
            if (answer)
                traffic_tcp(&t, B, peer, 1, 107, ACK, td_str("reply 1\n"));
            else
                traffic_tcp(&t, peer, B, 101, 1, ACK, td_str("ask a\n"));
        }
}

static void table(void)
{
    struct engine_options usual = rig.options;
    rig.options.max_memory = 1 << 20; /* 64 KiB for a shard */
    many_connections(1000);
    (void)run();
    ok(rig.stats.flow.evicted > 400, "too many connections: %d were evicted", (int)rig.stats.flow.evicted);
    ok(rig.stats.dissect.evicted_calls > 400, "most with an open call");
    is_int(rig.stats.flow.evicted_embryonic, 0, "none was without payload");
    is_int(rig.stats.dissect.calls[TOY], 1000 + rig.stats.dissect.evicted_calls, "each half of a call that was torn apart is there");
    rig.options = usual;

    many_connections(1000);
    (void)run();
    is_int(rig.stats.dissect.calls[TOY], 1000, "with enough memory all are whole");
    is_int(rig.stats.flow.evicted, 0, "and none is evicted");
}

static void put_everything(void)
{
    start();
    client("ask a\nfill 5000\npairs 100\nskip 20\n12345");
    talk_lose(&k, 0, 3);
    for (int i = 0; i < 40; i++)
        client("more\n");
    k.seq[0] += 5;
    client("more\n");
    k.seq[0] -= 10;
    client("more\n");
    server("reply 1\n");
    client("ask b\nhold 0\nover child\n");
    server("go\n");
    client("ask c\ntail\nand");
    traffic_udp(&t, A, (struct peer){{10, 0, 0, 2}, 7002}, td_str("beta=99\nask d\n"));
    for (uint8_t i = 0; i < 100; i++)
        traffic_udp(&t, (struct peer){{10, 0, 1, i}, 5000}, (struct peer){{10, 0, 0, 2}, 7002}, td_str("beta=99\n"));
    talk_close(&k);
}

static size_t cuts(const char *calls)
{
    size_t n = 0;
    for (; *calls; calls++)
        n += *calls == '!';
    return n;
}

/* Each allocation fails once. What comes out is whole, or it is said that it is not. */
static void no_memory(void)
{
    put_everything();
    char *whole = strdup(rig_run(&rig, buf_slice(&t.pcap)));
    uint64_t gaps = rig.stats.flow.gaps;
    bool told = true;
    unsigned long n = 1;
    for (; n < 100000; n++) {
        rig.fail_at = n;
        const char *out = rig_run(&rig, buf_slice(&t.pcap));
        if (!rig.failed)
            break;
        const struct engine_stats *s = &rig.stats;
        bool says = rig.status != TD_OK || s->flow.no_memory || s->flow.gaps > gaps || s->dissect.no_memory || s->dissect.over_limit ||
                    s->decode.fragments_lost || s->dissect.reason_n > 1 || strpbrk(out, "~*") || strstr(out, "...") ||
                    cuts(out) > cuts(whole);
        if (strcmp(out, whole) != 0 && !says && told) {
            told = false;
            tap_diag("allocation %lu: %s\nnot %s", n, out, whole);
        }
    }
    rig.fail_at = 0;
    traffic_clear(&t);
    free(whole);
    ok(told && n > 50 && n < 100000, "each of %lu allocations fails once, and that is told", n - 1);
}

int main(void)
{
    toy_talk_open();
    connection();
    table();
    no_memory();
    toy_talk_close();
    return tap_done();
}
