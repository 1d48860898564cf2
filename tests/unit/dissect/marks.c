/* Marks: which packets, bytes, times and gaps a call is told to have. */
#include <time.h>

#include "tap.h"
#include "toy_talk.h"

static void present(void)
{
    start();
    client("ask a\nmore\nask b\n");
    server("reply 1\nreply 2\n");
    is_str(run(), "a>1 C11/4 S8/5;b>2 C6/4 S8/5;", "calls that share packets");

    start();
    client("ask a");
    client("\n");
    client("more");
    client("\n");
    server("reply 1\n");
    is_str(run(), "a>1 C11/4+5+6+7 S8/8;", "a call of several packets");

    start();
    talk_lose(&k, 0, 6);
    client("more\n");
    k.seq[0] -= 11;
    client("ask a\n");
    k.seq[0] += 5;
    server("reply 1\n");
    is_str(run(), "a>1 C11/5+4 S8/6;", "in the order of the stream, not of the capture");

    start();
    client("ask a\nmo");
    client("re\nask b\n");
    server("reply 1\nreply 2\n");
    is_str(run(), "a>1 C11/4+5 S8/6;b>2 C6/5 S8/6;", "a packet in which one call ends and another begins");
}

static void future(void)
{
    start();
    client("ask a\nskip 10\n");
    client("1234567890");
    server("reply 1\n");
    is_str(run(), "a>1 C24/4+5 S8/6;", "bytes to come");

    start();
    client("ask a\nahead 5 10\nxxxxxaaaaa");
    client("aaaaayyyyy\n");
    server("reply 1\n");
    is_str(run(), "a>1 C27/4+5 S8/6;", "bytes that begin later");

    start();
    client("ask a\nahead 3 4\n");
    client("12");
    client("3");
    client("456");
    client("789\n");
    server("reply 1\n");
    is_str(run(), "a>1 C20/4+7+8 S8/9;", "in the packets that have them");

    start();
    client("ask a\ntail\n");
    client("x");
    client("yz\n");
    server("reply 1\n");
    client("after\n");
    is_str(run(), "a>1 C15/4+5+6 S8/7;", "everything until the commit");

    start();
    client("ask a\ntail\n");
    client("xyz\n");
    talk_close(&k);
    is_str(run(), "a C15/4+5!;", "everything until the close, if it has no answer");

    start();
    client("ask a\nskip 10\n123");
    server("reply 1\n");
    client("4567890");
    is_str(run(), "a>1 C17/4! S8/5;", "promised bytes that had not come at the commit: cut");
}

static void missing(void)
{
    start();
    client("ask a\nskip 10\n12");
    talk_lose(&k, 0, 5);
    client("890");
    server("reply 1\n");
    is_str(run(), "a>1 C19/4+5-5 S8/6;", "a gap inside of a call");

    start();
    client("ask a\nskip 10\n12");
    talk_lose(&k, 0, 20);
    client("ask b\n");
    server("reply 1\nreply 2\n");
    is_str(run(), "a>1 C16/4-8 S8/6;b>2 C6/5 S8/6;", "one that goes on behind it");

    start();
    client("ask a\nahead 20 10\nahead 25 5\n12");
    talk_lose(&k, 0, 20);
    client("56789012345\n");
    server("reply 1\n");
    is_str(run(), "a>1 C34/4+5-10 S8/6;", "marks that lie apart");

    start();
    client("ask a\ntail\n");
    talk_lose(&k, 0, 50);
    client("xyz\n");
    server("reply 1\n");
    is_str(run(), "a>1 C15/4+5-50 S8/6;", "a gap in everything until the commit");

    start();
    t.snaplen = 14 + 40 + 16;
    client("ask a\nskip 20\n12345678901234567890");
    t.snaplen = 0;
    server("reply 1\n");
    is_str(run(), "a>1 C16/4-18 S8/5;", "bytes that the snaplen cut off");
}

static void fragments(void)
{
    struct peer server = {{10, 0, 0, 2}, 7002};
    struct buf datagram = {0};
    traffic_datagram(&datagram, A, server, td_str("toy=60\nask abc\nmore\nmore\n"));
    traffic_init(&t);
    traffic_fragment(&t, A, server, 77, buf_slice(&datagram), 0, 16);
    traffic_udp(&t, B, A, td_str("unrelated"));
    traffic_fragment(&t, A, server, 77, buf_slice(&datagram), 16, datagram.n);
    is_str(run(), "abc C18/1+3!;", "the frames of a datagram's fragments, once");
    buf_clear(&datagram);
}

/* So many packets and marks in one presentation that looking through all of the ones for each of the others would take minutes. */
static void many(void)
{
    enum { LINES = 300000 };
    struct engine_options usual = rig.options;
    struct timespec begin, end;
    rig.options.max_memory = 1u << 30;
    rig.options.max_connection_memory = 64u << 20;
    start();
    client("ask a\nhold 0\n");
    for (int i = 0; i < LINES; i++)
        client("more\n");
    server("go\n");
    server("reply 1\n");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    like(run(), "a>1 C1500013/4+5+6+7+8+9+10+", "a call with a packet for every line");
    clock_gettime(CLOCK_MONOTONIC, &end);
    ok(end.tv_sec - begin.tv_sec < 10, "in time that grows with their number");
    rig.options = usual;
}

int main(void)
{
    toy_talk_open();
    present();
    future();
    missing();
    fragments();
    many();
    toy_talk_close();
    return tap_done();
}
