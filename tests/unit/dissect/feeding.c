/* Feeding: what a dissector is shown of a connection, in which order and with which flags; hand-overs and lost claims. */
#include "tap.h"
#include "toy_talk.h"

/* What the dissectors saw. The calls are in rig.out. */
static const char *see(void)
{
    (void)run();
    if (seen.n && seen.p[seen.n - 1] == ' ')
        seen.n--;
    return buf_cstr(&seen);
}

static const char *calls(void)
{
    return buf_cstr(&rig.out);
}

static void chunks(void)
{
    start();
    client("ask a\n");
    server("reply 1\n");
    talk_close(&k);
    is_str(see(), "open(toy,hint) C0+6@3 S0+8@4 eof(C) eof(S) close(fin)", "a connection from SYN to FIN");
    is_str(calls(), "a>1 C6/4 S8/5;", "and its call");

    start();
    client("ask a");
    client("bc");
    client("\nask d\nas");
    client("k e\n");
    is_str(see(), "open(toy,hint) C0+5@3 C0+7@4 C0+16@5 C14+6@6 close(end)", "bytes that are not used come again with those that follow");
    is_str(calls(), "abc C8/4+5+6!;d C6/6!;e C6/6+7!;", "their packets are known");

    start();
    client("ask a\nwait 6\n12");
    client("34");
    client("56");
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+15@3 C13+6@5 C19+6@6 close(end)", "a need is honoured");
    is_str(calls(), "a C19/4+5+6!;b C6/7!;", "the bytes are there");

    start();
    client("ask a\nskip 10\n123");
    client("4567");
    client("890ask b\n");
    is_str(see(), "open(toy,hint) C0+17@3 C24+6@5 close(end)", "bytes that are skipped are not shown");
    is_str(calls(), "a C24/4+5+6!;b C6/6!;", "but counted");

    start();
    client("ask a\nask");
    talk_close(&k);
    is_str(see(), "open(toy,hint) C0+9@3 C6+3@3! eof(C) eof(S) close(fin)",
           "before the end, what was kept is shown a last time, with its own time");

    start();
    client("ask a\nhold 0\nxx");
    server("go\n");
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+15@3 S0+3@4 C13+2@3 C13+8@5 close(end)", "what one side says lets the other go on");

    start();
    client("ask a\nhold 5\nxx");
    server("go\n");
    client("yyy\nask b\n");
    is_str(see(), "open(toy,hint) C0+15@3 S0+3@4 C13+12@5 close(end)", "but never with fewer bytes than were asked for");
}

static void gaps(void)
{
    start();
    client("ask a\n");
    client("ask");
    talk_lose(&k, 0, 7);
    client("ask b\n");
    talk_close(&k);
    is_str(see(), "open(toy,hint) C0+6@3 C6+3@4 eof(S) C6+3@4! gap(C,9+7) C16+6@5 eof(C) close(end)",
           "a gap: first what was kept, a last time");

    start();
    client("ask a\nskip 20\n12345");
    talk_lose(&k, 0, 10);
    client("67890ask b\n");
    is_str(see(), "open(toy,hint) C0+19@3 C34+6@4 close(end)", "a gap within what is skipped is not told");
    is_str(calls(), "a C24/4+5-10!;b C6/5!;", "but counted");

    start();
    client("ask a\nskip 20\n12345");
    talk_lose(&k, 0, 20);
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+19@3 gap(C,34+5) C39+6@4 close(end)", "of one that goes on behind it, the rest is told");
    is_str(calls(), "a C19/4-15!;b C6/5!;", "only the skipped part belonged to the call");

    start();
    client("alpha=-50 toy=70 "); /* alpha wants to see more, but nothing can be added */
    talk_lose(&k, 0, 10);
    client("\n");
    is_str(see(), "open(toy,hint) C0+17@3! gap(C,17+10) C27+1@4 close(end)", "a gap ends the wait for a better probe");

    start();
    client("alpha=-50\nask a\n");
    server("toy~90\n");
    is_str(see(), "open(toy,hint) C0+16@3 S0+7@4 close(end)", "what one side had sent before the other told the protocol comes first");

    start();
    client("alpha=-50\nask a\nover child\n");
    server("toy~90\n");
    is_str(see(), "open(toy,hint) C0+27@3 close(takeover) open(child) S0+7@4 close(end)", "even if that hands over at once");
}

static void handovers(void)
{
    start();
    client("ask a\nover child\nrest");
    client("\nask b\n");
    is_str(see(), "open(toy,hint) C0+21@3 close(takeover) open(child) C17+4@3 C17+11@4 close(end)",
           "a hand-over to a child in the middle of a packet");

    start();
    client("ask a\n");
    server("hold 0\nok");
    client("other whatever\n");
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+6@3 S0+9@4 C6+15@5 close(takeover) open(orphan) S7+2@4 C21+6@6 S7+2@4 S7+2@4! close(end)",
           "to one that takes any key; the server's bytes go along");

    start();
    client("ask a\nover nobody\nask b\n");
    client("ask c\n");
    talk_close(&k);
    is_str(see(), "open(toy,hint) C0+24@3 close(takeover)", "to a child that is not there: nobody looks any more");
    is_int(rig.stats.dissect.reason_n, 1, "which is counted");

    start();
    client("ask a\nanew\nalpha=99\n");
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+20@3 close(takeover) open(alpha) C11+9@3 C20+6@4 close(end)", "to whoever recognises what follows");

    start();
    client("ask a\nanew\nask b\nanew\nask c\nanew\nask d\nanew\nask e\nanew\nask f\nanew\nask g\nanew\nask h\nanew\nask i\nanew\nask j\n");
    (void)see();
    like(buf_cstr(&seen), "close(lost)", "hand-overs in one packet have a limit");

    start();
    client("ask a\nover! child\n");
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+18@3 close(lost) open(toy,mid,hint) C18+6@4 close(end)", "whoever is lost hands nothing over");

    start();
    client("ask a\nover child\nrest");
    talk_close(&k);
    is_str(see(), "open(toy,hint) C0+21@3 close(takeover) open(child) C17+4@3 C17+4@3! eof(C) eof(S) close(fin)",
           "the child is shown the last bytes as such");

    start();
    client("ask a\nhold 0\nover child\nrest");
    talk_close(&k);
    is_str(see(), "open(toy,hint) C0+28@3 C13+15@3! eof(C) eof(S) close(fin)", "held to the end");
}

static void losses(void)
{
    start();
    client("ask a\nbad\nbad\n");
    client("ask b\n");
    client("bad\n");
    client("ask c\n");
    is_str(see(), "open(toy,hint) C0+14@3 C14+6@4 C20+4@5 close(lost) open(toy,mid,hint) C24+6@6 close(end)",
           "the third violation ends a claim");
    is_str(calls(), "a C14/4!;b C10/5+6!;c C6/7!;", "calls that were open are committed");
    is_int(rig.stats.dissect.lost_claims[6], 1, "the lost claim is counted");

    start();
    client("ask a\nsure\nbad\nbad\nbad\nbad\n");
    client("ask b\n");
    is_str(see(), "open(toy,hint) C0+27@3 C27+6@4 close(end)", "unless it is certain");

    start();
    client("ask a\nlose\nask b\n");
    client("ask c\n");
    is_str(see(), "open(toy,hint) C0+17@3 close(lost) open(toy,mid,hint) C17+6@4 close(end)", "the dissector gives up");

    toy_decline(true);
    start();
    client("ask a\n");
    client("ask b\n");
    is_str(see(), "open(toy,hint) open(toy,hint)", "a dissector that declines");
    toy_decline(false);
    is_str(calls(), "", "has no calls");
}

static void datagrams(void)
{
    struct peer client = {{10, 0, 0, 3}, 5000}, server = {{10, 0, 0, 4}, 7002};
    traffic_init(&t);
    traffic_udp(&t, client, server, td_str("beta=99\nask a\nhalf"));
    traffic_udp(&t, server, client, td_str("reply 7\n"));
    traffic_udp(&t, client, server, td_str(""));
    traffic_udp(&t, client, server, td_str("ask b\n"));
    is_str(see(), "open(beta,guessed,hint) C0+18@0d S0+8@1d C18+6@3d close(end)", "datagrams come once and whole");
    is_str(calls(), "a>7 C6/1 S8/2;b C6/4!;", "and make calls");
}

int main(void)
{
    toy_talk_open();
    chunks();
    gaps();
    handovers();
    losses();
    datagrams();
    toy_talk_close();
    return tap_done();
}
