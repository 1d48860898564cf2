/* kill -9 at any instant of an upload and of a download, and once more: they end whole, and nothing else is left. And two hubs that upload
 * one snapshot at once, one of which may be killed.
 *
 * Started with a number, it kills so often. */
#include <signal.h>
#include <sys/wait.h>

#include "cloud_rig.h"

enum { KILLS = 5 /* in a row */, LONGEST_US = 60000, SEGMENTS = 4, BYTES = 400000 };

static char id[MANIFEST_ID];
static unsigned killed, ended;

/* What a hub does from its start to its end, in a process of its own, that may be killed. */
static pid_t start(int (*work)(struct hub_rig *), const char *name)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct hub_rig h;
        hub_open(&h, name);
        int status = work(&h);
        if (status != TD_OK)
            fprintf(stderr, "# %s: %s\n", name, t.err.text);
        hub_close(&h);
        _exit(status == TD_OK ? 0 : 1);
    }
    return pid;
}

static bool ends_well(pid_t pid)
{
    int status = 1;
    waitpid(pid, &status, 0);
    killed += WIFSIGNALED(status) != 0;
    ended += WIFEXITED(status) != 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned below(unsigned n)
{
    static uint64_t x = 20261123;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (unsigned)(x >> 33) % n;
}

static void kill_some(int (*work)(struct hub_rig *), const char *name)
{
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = start(work, name);
        usleep(3000 + below(i % 2 ? LONGEST_US : LONGEST_US / 4)); /* how long it takes is the machine's matter */
        kill(pid, SIGKILL);
        ends_well(pid);
    }
}

static int upload(struct hub_rig *h)
{
    return hub_upload(h, "window", NULL, NULL);
}

/* As the hub's job does: what was there before it was killed is no failure. */
static int download(struct hub_rig *h)
{
    int status = hub_download(h, id, NULL, NULL);
    return status == TD_E_EXISTS && snapshots_has_id(h->snapshots, id) ? TD_OK : status;
}

/* As the hub's job does: if the other one's upload ended meanwhile, what it may lack now is sent once more. */
static int give_up(struct hub_rig *h)
{
    int status = cloud_clean_upload(h->cloud, id, NULL, &t.err);
    return status == TD_E_EXISTS ? upload(h) : status;
}

static int make(struct hub_rig *h)
{
    hub_make(h, id, "window", SEGMENTS, BYTES);
    hub_add_dissection(h, "window", "default", 200000, 9);
    return TD_OK;
}

static void check_cloud(struct hub_rig *h, int round)
{
    ok(cloud_verify(h->cloud, id, NULL, NULL, &t.err) == TD_OK, "round %d: it is whole in the cloud: %s", round, t.err.text);
    ok(cloud_count(id) == 4 * SEGMENTS + 2 && cloud_parts() == 0, "round %d: and nothing else is", round);
}

static void test_round(int round)
{
    struct hub_rig a, b;
    manifest_new_id(CLOUD_RIG_T0 + round, id);
    hub_open(&a, "a");
    make(&a);
    hub_close(&a);
    kill_some(upload, "a");
    ok(ends_well(start(upload, "a")), "round %d: the last upload ends well", round);
    hub_open(&a, "a");
    check_cloud(&a, round);
    ok(work_is_empty(&a), "round %d: nor in its work directory", round);
    kill_some(download, "b");
    ok(ends_well(start(download, "b")), "round %d: the last download ends well", round);
    hub_open(&b, "b");
    ok(hub_has(&b, "window") && rig_count(b.storage, id) == 4 * SEGMENTS + 2, "round %d: it is whole here", round);
    ok(work_is_empty(&b), "round %d: and nothing is in the work directory", round);
    must(cloud_remove(a.cloud, id, NULL, &t.err), "removed there");
    is_int(cloud_count(id), 0, "round %d: and removed", round);
    must(snapshots_delete(b.snapshots, "window", &t.err), "deleted");
    must(snapshots_delete(a.snapshots, "window", &t.err), "deleted");
    hub_close(&a);
    hub_close(&b);
}

/* One snapshot, of which both have the same bytes. */
static void test_both(int round, bool one_gives_up)
{
    struct hub_rig a;
    manifest_new_id(CLOUD_RIG_T0 + round, id);
    ok(ends_well(start(make, "a")) && ends_well(start(make, "c")), "two hubs have it");
    pid_t first = start(upload, "a"), second = start(upload, "c");
    if (one_gives_up) {
        usleep(3000 + below(LONGEST_US));
        kill(second, SIGKILL);
        ends_well(second);
        second = start(give_up, "c");
    }
    bool good = ends_well(first);
    good = ends_well(second) && good;
    ok(good, "round %d: both end well", round);
    hub_open(&a, "a");
    check_cloud(&a, round);
    must(cloud_remove(a.cloud, id, NULL, &t.err), "removed there");
    must(snapshots_delete(a.snapshots, "window", &t.err), "deleted");
    hub_close(&a);
    hub_open(&a, "c");
    must(snapshots_delete(a.snapshots, "window", &t.err), "deleted");
    hub_close(&a);
}

int main(int argc, char **argv)
{
    unsigned most = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 15;
    rig_begin();
    for (int round = 0; killed < most && round < (int)most; round++)
        test_round(round);
    for (int round = 0; round < (int)most / 5; round++)
        test_both(1000 + round, round % 3 != 0);
    ok(killed > most / 3, "%u runs were killed, %u came to their end", killed, ended);
    rig_end();
    return tap_done();
}
