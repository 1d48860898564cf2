/* Claiming: who gets a connection, in which role it sees the two sides, and what it is told about the flow. */
#include "rig.h"
#include "tap.h"
#include "toy.h"
#include "traffic.h"

static const struct peer A = {{10, 0, 0, 1}, 40000}, A7001 = {{10, 0, 0, 1}, 7001};
static const struct peer B = {{10, 0, 0, 2}, 9999}, B7000 = {{10, 0, 0, 2}, 7000}, B7001 = {{10, 0, 0, 2}, 7001},
                         B7002 = {{10, 0, 0, 2}, 7002};
static const struct td_plugin *const plugins[] = {&td_plugin_v1_toy, NULL};

static struct rig usual, ruled, *rig = &usual;
static struct buf seen;
static struct traffic t;
static struct talk k;

static const char *run(void)
{
    buf_reset(&seen);
    (void)rig_run(rig, buf_slice(&t.pcap));
    traffic_clear(&t);
    if (seen.n && seen.p[seen.n - 1] == ' ')
        seen.n--;
    return buf_cstr(&seen);
}

/* One line from the client, on a connection whose beginning was captured; who opens it. */
static const char *opened_by(struct peer server, const char *text)
{
    traffic_init(&t);
    talk_open(&k, &t, A, server);
    talk_send(&k, 0, td_str(text), 0);
    char *end = strchr(run(), ' ');
    if (end)
        *end = 0;
    return (const char *)seen.p;
}

static void choice(void)
{
    is_str(opened_by(B, "toy=60 alpha=70\n"), "open(alpha)", "the best score wins");
    is_str(opened_by(B, "toy=70 alpha=70\n"), "open(alpha)", "of equals the first by name");
    is_str(opened_by(B7000, "toy=70 alpha=70\n"), "open(toy,hint)", "but a port hint breaks the tie");
    is_str(opened_by(B7000, "toy=60 alpha=70\n"), "open(alpha)", "and nothing else");
    is_str(opened_by(B, "toy=49\n"), "", "a weak score is not enough");
    is_str(opened_by(B, "toy=50\n"), "open(toy)", "a plausible one is");
    is_str(opened_by(B7000, "toy=25\n"), "open(toy,hint)", "with a port hint a weak one is");
    is_str(opened_by(B7000, "toy=24\n"), "", "down to 25");
    is_str(opened_by(B, "beta=100 alpha=50\n"), "open(beta)", "a port is only a hint");
    is_str(opened_by(B, "nonsense\n"), "", "nobody");
    is_int(rig->stats.dissect.unclaimed_tcp, 1, "is counted");
    is_int(rig->stats.dissect.ports[0].port, 9999, "with the server's port");
    is_str(opened_by(B, "child=100\n"), "", "who claims only hand-overs is not asked");
    ok(!rig->stats.dissect.misuse, "nothing was misused");
}

static void waiting(void)
{
    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 0, td_str("alpha=-20 toy=70 "), 0);
    talk_send(&k, 0, td_str("more\n"), 0);
    is_str(run(), "open(toy) C0+22@4 close(end)", "who wants to see more may still lose against a better one");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 0, td_str("alpha=-20 toy=95 "), 0);
    talk_send(&k, 0, td_str("more\n"), 0);
    is_str(run(), "open(toy) C0+17@3 C0+22@4 close(end)", "for one who is certain nobody waits");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 0, td_str("alpha=-250 "), 0);
    for (int i = 0; i < 12; i++)
        talk_send(&k, 0, td_str("twenty bytes of text"), 0);
    talk_send(&k, 0, td_str("\nask a\n"), 0);
    is_str(run(), "", "more than max_probe is not shown");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 0, td_str("greetings\n"), 0);
    talk_send(&k, 0, td_str("ask a\n"), 0);
    is_str(run(), "open(toy) C10+6@4 close(end)", "a later segment may be recognised");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    for (int i = 0; i < 64; i++)
        talk_send(&k, 0, td_str("nonsense\n"), 0);
    talk_send(&k, 0, td_str("ask a\n"), 0);
    is_str(run(), "", "but not the 65th");

    traffic_init(&t);
    for (int i = 0; i < 4; i++)
        traffic_udp(&t, A, B7002, td_str("nonsense"));
    traffic_udp(&t, A, B7002, td_str("beta=99"));
    is_str(run(), "", "of datagrams four are looked at");
    is_int(rig->stats.dissect.unclaimed_udp, 1, "the flow is counted");
}

static void roles(void)
{
    traffic_init(&t);
    talk_join(&k, &t, A, B);
    talk_send(&k, 1, td_str("reply 200\n"), 0);
    talk_send(&k, 0, td_str("ask a\n"), 0);
    is_str(run(), "open(toy,mid,guessed) S0+10@0 C0+6@1 close(end)", "without a SYN, the bytes tell who asks");

    traffic_init(&t);
    talk_join(&k, &t, B, A);
    talk_send(&k, 0, td_str("ask a\n"), 0);
    is_str(run(), "open(toy,mid,guessed) C0+6@0 close(end)", "whoever has the lower address");

    traffic_init(&t);
    talk_join(&k, &t, A7001, B7001);
    talk_send(&k, 1, td_str("alpha=60 alpha~60\n"), 0);
    is_str(run(), "open(alpha,mid,guessed,hint) C0+18@0 close(end)", "if the bytes fit both roles, who speaks first asks");

    traffic_init(&t);
    talk_join(&k, &t, A, B7001);
    talk_send(&k, 1, td_str("alpha=60 alpha~60\n"), 0);
    is_str(run(), "open(alpha,mid,guessed,hint) S0+18@0 close(end)", "unless the port says otherwise");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 1, td_str("ask a\n"), 0);
    talk_send(&k, 0, td_str("reply 7\n"), 0);
    is_str(run(), "open(toy) C0+6@3 S0+8@4 close(end)", "bytes that are certain outweigh the SYN");
    like(buf_cstr(&rig->out), "\"src\":{\"ip\":\"10.0.0.2\",\"port\":9999}", "and who asked is the source");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 1, td_str("toy=89\n"), 0);
    is_str(run(), "", "those that are not do not");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 1, td_str("ask a\n"), 0);
    traffic_tcp(&t, A, B, 1000, 0, SYN, td_str("")); /* captured again */
    talk_send(&k, 0, td_str("reply 7\n"), 0);
    is_str(run(), "open(toy) C0+6@3 S0+8@5 close(end)", "a late SYN does not turn the roles around");

    traffic_init(&t);
    talk_join(&k, &t, A, B);
    talk_send(&k, 0, td_str("ask a\nlose\n"), 0);
    talk_send(&k, 1, td_str("ask b\n"), 0);
    is_str(run(), "open(toy,mid,guessed) C0+11@0 close(lost) open(toy,mid,guessed) C0+6@1 close(end)",
           "roles that were guessed end with the claim");

    traffic_init(&t);
    traffic_tcp(&t, A, B, 100, 0, SYN, td_str(""));
    traffic_tcp(&t, A, B, 101, 1, ACK, td_str("ask a\n"));
    is_str(run(), "open(toy,mid) C0+6@1 close(end)", "one SYN tells the roles, but not that nothing is missing");

    traffic_init(&t);
    traffic_tcp(&t, A, B, 100, 0, SYN, td_str(""));
    traffic_tcp(&t, B, A, 500, 0, SYN, td_str(""));
    traffic_tcp(&t, A, B, 100, 501, SYN | ACK, td_str(""));
    traffic_tcp(&t, B, A, 500, 101, SYN | ACK, td_str(""));
    traffic_tcp(&t, B, A, 501, 101, ACK, td_str("ask a\n"));
    is_str(run(), "open(toy,guessed) C0+6@4 close(end)", "simultaneous open: the bytes tell");
}

static void rules(void)
{
    rig_open(&ruled, plugins);
    rig_decode_as(&ruled, "tcp.port==9000-9999,toy");
    rig_decode_as(&ruled, "tcp.port==9998,alpha");
    rig = &ruled;
    is_str(opened_by(B, "beta=99\n"), "open(toy,rule)", "the user's rule outweighs every probe");
    is_str(opened_by((struct peer){{10, 0, 0, 2}, 9998}, "nonsense\n"), "open(alpha,rule)", "of several rules the last one counts");
    is_str(opened_by(B7001, "alpha=50\n"), "open(alpha,hint)", "elsewhere the bytes tell");

    traffic_init(&t);
    talk_join(&k, &t, A, B);
    talk_send(&k, 1, td_str("nonsense\n"), 0);
    is_str(run(), "open(toy,mid,guessed,rule) S0+9@0 close(end)", "without a SYN the rule's port is the server's");

    traffic_init(&t);
    talk_join(&k, &t, A, B);
    talk_send(&k, 1, td_str("ask a\n"), 0);
    is_str(run(), "open(toy,mid,guessed,rule) C0+6@0 close(end)", "but its dissector may tell from the bytes");

    traffic_init(&t);
    talk_open(&k, &t, A, B);
    talk_send(&k, 0, td_str("ask a\nover child\n"), 0);
    talk_send(&k, 0, td_str("ask b\n"), 0);
    is_str(run(), "open(toy,rule) C0+17@3 close(takeover) open(child) C17+6@4 close(end)", "for the child it is no rule");
    rig = &usual;
    rig_close(&ruled);
}

int main(void)
{
    rig_open(&usual, plugins);
    toy_log(&seen);
    choice();
    waiting();
    roles();
    rules();
    rig_close(&usual);
    buf_clear(&seen);
    return tap_done();
}
