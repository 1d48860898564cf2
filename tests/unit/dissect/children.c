/* Children: dissectors that see what one call of another's connection carries, and add their layer to it. */
#include "tap.h"
#include "toy_talk.h"

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

static void layers(void)
{
    start();
    client("ask a\nsub inner\nin sure\nin tag x\n");
    server("reply 1\n");
    is_str(see(), "open(toy,hint) C0+33@3 open(inner) C0+5@3 C5+6@3 S0+8@4 close(fin) close(end)", "a child is opened, fed and closed");
    is_str(calls(), "INNER[x] a>1 C6/4 S8/5;", "its parent's call becomes one of its protocol, with its fields");

    start();
    client("ask a\nsub inner\nin tag x\nin pay 3\nin bad\n");
    server("reply 1\n");
    (void)see();
    is_str(calls(), "a>1 C6/4 S8/5;", "unless it does not confirm: then its fields are dropped");

    start();
    client("ask a\nsub nobody\nin sure\n");
    is_str(see(), "open(toy,hint) C0+25@3 nochild close(end)", "nobody may claim the point");

    start();
    client("ask a\nsub inner\nsub inner\nin sure\nunsub\nsub inner\n");
    is_str(see(), "open(toy,hint) C0+50@3 open(inner) nochild C0+5@3 close(fin) nochild close(end)",
           "a call has one child at a time, and none on one that is its own any more");

    start();
    client("ask a\nsub inner\nin tag x\nunsub\nsub inner\nin sure\n");
    server("reply 1\n");
    (void)see();
    is_str(calls(), "INNER[] a>1 C6/4 S8/5;", "but another one after one that was not sure, with nothing of what that had set");
}

static void declining(void)
{
    start();
    client("ask shy\nsub inner\nin sure\n");
    server("reply 1\n");
    is_str(see(), "open(toy,hint) C0+26@3 open(inner) nochild S0+8@4 close(end)",
           "a child may decline, by what it reads of its parent's call");
    is_str(calls(), "shy>1 C8/4 S8/5;", "which is then none of its");
}

static void reading(void)
{
    start();
    client("ask a\npairs 1\nsub inner\nin read\nin steal\nin read\nin sure\n");
    server("reply 1\n");
    like(see(), "a,a value of some length ", "it can read what its parent's call has");
    ok(!strstr(buf_cstr(&seen), "stolen"), "but not set it");
    is_str(calls(), "INNER[] a>1 C14/4 S8/5 p1;", "and that stays as it is");
    is_int(rig.stats.dissect.misuse, 1, "which is counted");

    start();
    client("ask a\npairs 2\nsub inner\nin list\nin sure\n");
    server("reply 1\n");
    like(see(), "name=22,name=22,end ", "pairs one by one, whatever it sets meanwhile");
    start();
    client("ask a\nsub inner\nin list\nin sure\n");
    server("reply 1\n");
    like(see(), " end ", "or none");
}

static void feeding(void)
{
    start();
    client("ask a\nsub inner\nin sure\nin ask b\nin wait 6\nin 12\nin 345\n");
    server("reply 1\n");
    like(see(), " C11+7@3 C18+3@3 C18+7@3 ", "a need of the child's is honoured");
    is_str(calls(), "INNER[] b C19/4!;INNER[] a>1 C6/4 S8/5;", "it makes calls of its own, whose packets are known, besides its parent's");

    start();
    client("ask a\nsub inner\n");
    client("in a|b\n");
    server("reply 1\n");
    like(see(), " C0+10@4 a,- ", "what was decoded belongs to the packets that brought it");

    start();
    client("ask a\nsub inner\nin sure\nlack 7\nin sure\nfin\nin sure\nunsub\n");
    is_str(see(), "open(toy,hint) C0+57@3 open(inner) C0+5@3 gap(C,5+7) C12+5@3 eof(C) close(fin) close(end)",
           "gaps and ends are told, and nothing after the end");

    start();
    client("ask a\nsub inner\nin sure\nin tag x\nin lose\nin sure\n");
    server("reply 1\n");
    is_str(see(), "open(toy,hint) C0+49@3 open(inner) C0+5@3 C5+6@3 C11+5@3 close(lost) deaf deaf S0+8@4 close(end)",
           "a child that is lost costs its parent nothing");
    is_str(calls(), "INNER[x] a>1 C6/4 S8/5;", "what it had confirmed stays");

    start();
    client("ask a\nsub inner\nin tag x\nin over child\n");
    server("reply 1\n");
    (void)see();
    is_str(calls(), "a>1 C6/4 S8/5;", "it cannot hand over its parent's connection");
}

static void nesting(void)
{
    start();
    client("ask a\nsub inner\nin sub deep\nin in sure\nin in tag y\nin tag x\n");
    server("reply 1\n");
    is_str(
        see(),
        "open(toy,hint) C0+60@3 open(inner) C0+9@3 open(deep) C9+8@3 C0+5@3 C17+9@3 C5+6@3 C26+6@3 S0+8@4 close(fin) close(fin) close(end)",
        "a child has a child");
    is_str(calls(), "DEEP[x] a>1 C6/4 S8/5;", "and the call is of its protocol; a field that both declare is the lower one's");

    start();
    client("ask a\nsub inner\nin sub deep\nin sub deep\nin in sub deep\nin in sub inner\n");
    is_str(see(),
           "open(toy,hint) C0+71@3 open(inner) C0+9@3 open(deep) C9+9@3 nochild C18+12@3 C0+9@3 nochild C30+13@3 C9+10@3 nochild "
           "close(end) close(end) close(end)",
           "but no layer comes twice");
}

static void calls_of_its_own(void)
{
    start();
    client("ask a\nsub inner\nin ask b\nin own deep\nin in sure\n");
    server("in reply 5\nreply 1\n");
    is_str(see(),
           "open(toy,hint) C0+48@3 open(inner) C0+6@3 C6+9@3 open(deep) C15+8@3 C0+5@3 S0+19@4 S0+8@4 close(fin) close(fin) close(end)",
           "a call that a child makes has a child");
    is_str(calls(), "DEEP[] b>5 C6/4 S8/5;a>1 C6/4 S8/5;", "whose layer is on that call, not on the one that carries it all");
    is_int(rig.stats.dissect.misuse, 0, "as it may be");

    start();
    client("ask a\nsub inner\nin tag x\nin ask b\nin own deep\nin in sure\nin sub deep\nin in sure\n");
    server("in reply 5\nreply 1\n");
    (void)see();
    is_str(calls(), "DEEP[] b>5 C6/4 S8/5;DEEP[x] a>1 C6/4 S8/5;", "both may have one");

    start();
    client("ask a\nsub inner\nin ask b\nin own deep\nin in ask c\nin in own inner\nin in in sure\n");
    server("in in reply 6\nin reply 5\nreply 1\n");
    (void)see();
    is_str(calls(), "INNER[] c>6 C6/4 S8/5;INNER[] b>5 C6/4 S8/5;a>1 C6/4 S8/5;", "and so on");

    /* Each of these is the child of a call of the one before. */
    struct buf deep = {0};
    for (int depth = 0; depth < 12; depth++) {
        const char *key = depth == 0 ? "sub inner" : depth % 2 ? "own deep" : "own inner";
        for (int line = 0; line < 2; line++) {
            for (int i = 0; i < depth; i++)
                buf_puts(&deep, "in ");
            buf_puts(&deep, line ? key : "ask a");
            buf_putc(&deep, '\n');
        }
    }
    start();
    client(buf_cstr(&deep));
    size_t opened = 0;
    for (const char *at = see(); (at = strstr(at, "open(")); at++)
        opened++;
    is_int((int64_t)opened, 8, "but not as deep as one likes");
    buf_clear(&deep);
}

static void ends(void)
{
    start();
    client("ask a\nsub inner\nin sure\nin ask b\nlose\n");
    is_str(see(), "open(toy,hint) C0+38@3 open(inner) C0+5@3 C5+6@3 close(lost) close(lost)",
           "a parent that is lost takes its child with it");
    is_str(calls(), "INNER[] b C6/4!;INNER[] a C6/4!;", "and its calls");

    start();
    client("ask a\nsub inner\nin take 100\nin take 999999999999\nin sure\n");
    server("reply 1\n");
    like(see(), " took C9+18@3 refused ", "its memory is its flow's");
    is_str(calls(), "INNER[] a>1 C6/4 S8/5;", "and given back");

    start();
    client("ask a\nsub inner\nin tag x\nin sub deep\nin in tag y\nin last sure\n");
    server("reply 1\n");
    like(see(), " S0+8@4 close(fin) C6+5@3 close(fin) close(end)", "what it holds until its end it can still give to its own child");
    is_str(calls(), "DEEP[x] a>1 C6/4 S8/5;", "whose word counts then");

    start();
    client("ask a\nsub inner\nlast sure\n");
    like(see(), " close(end) C0+5@3 close(end)", "and that is of the newest packet's time");
}

int main(void)
{
    toy_talk_open();
    layers();
    declining();
    reading();
    feeding();
    nesting();
    calls_of_its_own();
    ends();
    toy_talk_close();
    return tap_done();
}
