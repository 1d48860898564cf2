/* kill -9 at any instant of creating a snapshot, and once more with the same id: it ends whole, and nothing else is left. */
#include <dirent.h>
#include <sys/wait.h>

#include "fake_worker.h"
#include "snapshot/create.h"

enum { ROUNDS = 6, KILLS = 8, GIB = 1 << 30, LONGEST_US = 40000 };
#define START (RIG_T0 + (int64_t)500 * RIG_SECOND)
#define END (RIG_T0 + (int64_t)4500 * RIG_SECOND)

static struct snapshot_rig r;
static char urls[2][64], id[MANIFEST_ID];

/* Two workers in a process of their own: one that is linked from, and one that is fetched from. */
static pid_t start_workers(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        struct fake_worker *w = calloc(2, sizeof(*w));
        char dir[96];
        for (int i = 0; i < 2; i++) {
            snprintf(dir, sizeof(dir), "%s/raw-%d", r.dir, i);
            fake_start(&w[i], i ? "node-2" : "node-1", dir);
            w[i].tells_directory = i == 0;
            snprintf(urls[i], sizeof(urls[i]), "%s", http_server_url(w[i].server));
        }
        if (write(ends[1], urls, sizeof(urls)) != sizeof(urls))
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    if (pid < 0 || read(ends[0], urls, sizeof(urls)) != sizeof(urls))
        exit(1);
    close(ends[0]);
    return pid;
}

static bool is_busy(void *ctx, const char *what)
{
    (void)ctx;
    return strcmp(what, id) == 0;
}

static int create(void)
{
    const struct create_worker workers[] = {{.url = urls[0]}, {.url = urls[1]}};
    const struct create_request request = {.id = id,
                                           .name = "window",
                                           .version = "0.4",
                                           .created_ns = RIG_T0,
                                           .start_ns = START,
                                           .end_ns = END,
                                           .workers = workers,
                                           .worker_count = 2,
                                           .work_dir = r.work};
    return create_run(r.snapshots, &request, &r.err);
}

/* The hub: starts, and goes on with what it finds. */
static pid_t start_hub(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        snapshot_rig_load(&r, GIB, is_busy, NULL);
        int status = create();
        if (status != TD_OK)
            fprintf(stderr, "# %s\n", r.err.text);
        _exit(status == TD_OK ? 0 : 1);
    }
    return pid;
}

static void check(int round)
{
    size_t left = 0;
    snapshot_rig_load(&r, GIB, NULL, NULL);
    struct snapshot *s = snapshots_pin(r.snapshots, "window");
    if (!ok(s != NULL, "round %d: the snapshot is there", round))
        return;
    const struct manifest *m = snapshot_manifest(s);
    ok(manifest_is_whole(m, NULL) && m->node_count == 2 && m->packets == 2 * 4 * FAKE_PACKETS, "round %d: it is whole, with %llu packets",
       round, (unsigned long long)m->packets);
    ok(snapshot_verify(s, NULL, NULL, NULL, &r.err) == TD_OK, "round %d: it verifies", round);
    is_int(rig_objects(&r, ""), 2 * 5 * 2 + 1, "round %d: nothing else is there", round);
    snapshot_unpin(s);
    DIR *dir = opendir(r.work);
    for (const struct dirent *e; dir && (e = readdir(dir));)
        left += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    is_int(left, 0, "round %d: nor in the work directory", round);
    is_int(snapshots_delete(r.snapshots, "window", &r.err), TD_OK, "round %d: deleted", round);
    is_int(rig_objects(&r, ""), 0, "round %d: all of it", round);
    snapshots_close(r.snapshots);
    r.snapshots = NULL;
}

int main(void)
{
    uint64_t seed = 20261123;
    unsigned killed = 0;
    snapshot_rig_open(&r, false);
    pid_t workers = start_workers();
    for (int round = 0; round < ROUNDS; round++) {
        int status = 1;
        manifest_new_id(RIG_T0 + round, id);
        for (int i = 0; i < KILLS; i++) {
            pid_t hub = start_hub();
            usleep(below(&seed, i < KILLS / 2 ? LONGEST_US / 8 : LONGEST_US)); /* how long it takes is the machine's matter */
            kill(hub, SIGKILL);
            waitpid(hub, &status, 0);
            killed += WIFSIGNALED(status) != 0;
        }
        waitpid(start_hub(), &status, 0);
        ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "round %d: the last run ends well", round);
        check(round);
    }
    ok(killed > ROUNDS, "%u runs were killed", killed);
    kill(workers, SIGKILL);
    waitpid(workers, NULL, 0);
    snapshot_rig_close(&r);
    return tap_done();
}
