/* Creating snapshots from workers that do all that they should not. */
#include <dirent.h>

#include "capture/window.h"
#include "fake_worker.h"
#include "snapshot/create.h"

enum { WORKERS = 2, GIB = 1 << 30 };
#define MINUTES(n) ((int64_t)(n)*60 * RIG_SECOND)

/* The window of most tests: two segments cut, three whole. */
#define START (RIG_T0 + (int64_t)500 * RIG_SECOND)
#define END (RIG_T0 + (int64_t)4500 * RIG_SECOND)

static struct {
    struct snapshot_rig rig;
    struct fake_worker workers[WORKERS];
    struct create_worker asked[WORKERS];
    struct create_request request;
    char id[MANIFEST_ID];
    atomic_bool cancel;
    uint64_t cancel_at; /* bytes; 0: never */
    uint64_t done, all;
    unsigned steps, backwards;
    struct error err;
} t;

static void on_progress(void *ctx, uint64_t done, uint64_t all)
{
    (void)ctx;
    t.steps++;
    t.backwards += done > all;
    t.done = done;
    t.all = all;
    if (t.cancel_at && done >= t.cancel_at)
        atomic_store(&t.cancel, true);
}

/* Workers without a fault, and a request for the window of `n` of them. */
static void begin(size_t n)
{
    for (size_t i = 0; i < WORKERS; i++) {
        struct fake_worker *w = &t.workers[i];
        w->tells_directory = w->unhashed = false;
        w->covered_from_ns = RIG_T0;
        w->covered_to_ns = RIG_T0 + (int64_t)FAKE_SEGMENTS * FAKE_SPAN_S * RIG_SECOND;
        w->clock_ahead_ns = 0;
        w->gap = w->says = NULL;
        w->node = i ? "node-2" : "node-1";
        w->recycled_below = w->refuses = w->grows = 0;
        w->lies_length = w->lies_packets = w->lies_digest = w->lies_index = w->lies_size = 0;
        w->cut_after = 100000;
        atomic_store(&w->cuts, 0);
        atomic_store(&w->stalls, 0);
        atomic_store(&w->drips, false);
        atomic_store(&w->slow, false);
        atomic_store(&w->flips, 0);
        atomic_store(&w->forgets, 0);
        atomic_store(&w->gone, false);
        atomic_store(&w->holds, 0);
        atomic_store(&w->drops, 0);
        atomic_store(&w->renewals, 0);
        atomic_store(&w->requests, 0);
        atomic_store(&w->ranges, 0);
        atomic_store(&w->served, 0);
        t.asked[i] = (struct create_worker){.url = http_server_url(w->server)};
    }
    manifest_new_id(RIG_T0 + (int64_t)t.steps, t.id);
    atomic_store(&t.cancel, false);
    t.cancel_at = t.done = t.all = t.backwards = t.steps = 0;
    t.err = (struct error){0};
    t.request = (struct create_request){.id = t.id,
                                        .name = "window",
                                        .version = "0.4",
                                        .created_ns = RIG_T0,
                                        .start_ns = START,
                                        .end_ns = END,
                                        .workers = t.asked,
                                        .worker_count = n,
                                        .patience_ns = (int64_t)3 * RIG_SECOND,
                                        .work_dir = t.rig.work,
                                        .cancel = &t.cancel,
                                        .progress = on_progress};
}

static int run(void)
{
    return create_run(t.rig.snapshots, &t.request, &t.err);
}

static size_t work_left(void)
{
    size_t n = 0;
    DIR *dir = opendir(t.rig.work);
    for (const struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

/* After a failure: as if it had never been. */
static void nothing_left(const char *what)
{
    struct snapshots_room room;
    snapshots_room(t.rig.snapshots, &room);
    ok(work_left() == 0 && rig_objects(&t.rig, "") == 0 && room.used == 0 && room.reserved == 0,
       "%s: nothing is left (%zu in work, %zu objects, %llu used, %llu reserved)", what, work_left(), rig_objects(&t.rig, ""),
       (unsigned long long)room.used, (unsigned long long)room.reserved);
}

static void fails(int status, const char *told, const char *what)
{
    if (is_int(run(), status, "%s", what))
        like(t.err.text, told, "%s: it says so", what);
    else
        tap_diag("%s", t.err.text);
    nothing_left(what);
}

/* Packets that the node's folder gives out as a ring. */
static uint64_t read_folder(const char *node)
{
    char dir[256];
    struct ring *ring;
    struct window *w;
    const struct window_request all = {.start_ns = INT64_MIN, .end_ns = INT64_MAX, .filter = "len > 0"};
    static uint8_t part[1 << 16];
    size_t n = 1;
    uint64_t packets = 0;
    snprintf(dir, sizeof(dir), "%s/%s/%s", t.rig.stored, t.id, node);
    if (ring_open_read_only(dir, &ring, &t.err) != TD_OK)
        return UINT64_MAX;
    if (window_open(ring, &all, &w, &t.err) == TD_OK) {
        while (n && window_read(w, part, sizeof(part), &n, &t.err) == TD_OK)
            ;
        packets = n ? UINT64_MAX : window_stats(w)->packets;
        window_close(w);
    }
    ring_close(ring);
    return packets;
}

/* The snapshot is there, verifies, and nothing else is. Unpin it. */
static struct snapshot *there(const char *what)
{
    struct snapshots_room room;
    size_t objects = 1;
    if (!is_int(run(), TD_OK, "%s", what))
        tap_diag("%s", t.err.text);
    struct snapshot *s = snapshots_pin(t.rig.snapshots, "window");
    if (!ok(s != NULL, "%s: the snapshot is there", what))
        exit(1);
    const struct manifest *m = snapshot_manifest(s);
    t.err.text[0] = 0;
    ok(snapshot_verify(s, NULL, NULL, NULL, &t.err) == TD_OK, "%s: it verifies %s", what, t.err.text);
    for (size_t i = 0; i < m->node_count; i++)
        objects += 2 * m->nodes[i].segment_count;
    snapshots_room(t.rig.snapshots, &room);
    ok(rig_objects(&t.rig, "") == objects && work_left() == 0 && room.reserved == 0 && room.used > m->bytes,
       "%s: nothing else is (%zu objects of %zu, %zu in work, %llu reserved)", what, rig_objects(&t.rig, ""), objects, work_left(),
       (unsigned long long)room.reserved);
    for (size_t i = 0; i < m->node_count; i++)
        if (m->nodes[i].segment_count)
            is_int(read_folder(m->nodes[i].name), m->nodes[i].packets, "%s: its folder is read as that of a ring", what);
    ok(t.backwards == 0, "%s: never more than all is done", what);
    return s;
}

static void gone_again(struct snapshot *s)
{
    snapshot_unpin(s);
    is_int(snapshots_delete(t.rig.snapshots, "window", &t.err), TD_OK, "it is deleted");
    nothing_left("deleted");
}

static const struct manifest_node *first(const struct snapshot *s)
{
    return &snapshot_manifest(s)->nodes[0];
}

/* ---- As it should be ---- */

static void test_fetched(void)
{
    begin(1);
    t.workers[0].clock_ahead_ns = (int64_t)5 * RIG_SECOND;
    struct snapshot *s = there("fetched");
    const struct manifest *m = snapshot_manifest(s);
    const struct manifest_node *n = first(s);
    ok(manifest_is_whole(m, NULL) && n->state == MANIFEST_NODE_COMPLETE && !n->reason, "it is the whole window");
    is_int(m->packets, fake_count(&t.workers[0], START, END), "with its packets");
    is_int(n->segment_count, 5, "of five segments");
    ok(n->segments[0].trimmed && !n->segments[1].trimmed && !n->segments[3].trimmed && n->segments[4].trimmed, "the ends are cut");
    ok(n->segments[0].first_ns >= START && n->segments[4].last_ns < END, "where they should be");
    ok(n->dropped_by_kernel == 7 && n->dropped_by_interface == 8 && n->dropped_by_disk == 9, "drops are told");
    int64_t off = n->clock_offset_ns - (int64_t)5 * RIG_SECOND;
    ok(n->clock_error_ns > 0 && n->clock_error_ns < RIG_SECOND && llabs(off) <= n->clock_error_ns,
       "the worker's clock is 5 s ahead, and wrong by %lld ns of %lld at most", (long long)off, (long long)n->clock_error_ns);
    is_mem(n->segments[1].data.sha256, 32, t.workers[0].segments[1].sha256, 32, "digests are those of the worker");
    is_int(atomic_load(&t.workers[0].drops), atomic_load(&t.workers[0].holds), "no hold stays behind");
    ok(t.steps && t.done == t.all, "progress ends with all: %llu of %llu", (unsigned long long)t.done, (unsigned long long)t.all);
    is_int(create_run(t.rig.snapshots, &t.request, &t.err), TD_OK, "once more with its id, it is there already");
    gone_again(s);
}

static void test_linked(bool unhashed)
{
    struct stat st;
    char path[256];
    begin(1);
    t.workers[0].tells_directory = true;
    t.workers[0].unhashed = unhashed;
    struct snapshot *s = there(unhashed ? "linked without digests" : "linked");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "it is whole");
    snprintf(path, sizeof(path), "%s/%s/node-1/0000000043.pcapng", t.rig.stored, t.id);
    ok(stat(path, &st) == 0 && st.st_ino == t.workers[0].segments[2].inode, "a whole segment is the worker's file");
    snprintf(path, sizeof(path), "%s/%s/node-1/0000000043.idx", t.rig.stored, t.id);
    ok(stat(path, &st) == 0 && st.st_ino == t.workers[0].segments[2].index_inode, "so is its index");
    ok(atomic_load(&t.workers[0].served) < t.workers[0].segments[1].built.bytes.n * 2, "only the ends were sent");
    gone_again(s);
    snprintf(path, sizeof(path), "%s/0000000043.pcapng", t.workers[0].dir);
    ok(stat(path, &st) == 0 && st.st_nlink == 1, "the worker has its file still");
}

/* A directory of this name with other files in it. */
static void test_not_linked(void)
{
    begin(1);
    struct fake_worker *w = &t.workers[0];
    char dir[sizeof(w->dir)];
    uint64_t inode = w->segments[2].inode, device = w->device;
    snprintf(dir, sizeof(dir), "%s", w->dir);
    w->tells_directory = true;
    w->segments[2].inode++;
    struct snapshot *s = there("another inode");
    struct stat st;
    char path[256];
    snprintf(path, sizeof(path), "%s/%s/node-1/0000000043.pcapng", t.rig.stored, t.id);
    ok(manifest_is_whole(snapshot_manifest(s), NULL) && stat(path, &st) == 0 && st.st_ino != inode && st.st_nlink == 1, "it is fetched");
    gone_again(s);
    w->segments[2].inode = inode;
    begin(1);
    w->tells_directory = true;
    w->device++;
    s = there("another device");
    snprintf(path, sizeof(path), "%s/%s/node-1/0000000043.pcapng", t.rig.stored, t.id);
    ok(stat(path, &st) == 0 && st.st_ino != inode, "it is fetched");
    gone_again(s);
    w->device = device;
    /* The files of the other worker have all numbers right, and other packets in them. */
    begin(1);
    w->tells_directory = true;
    snprintf(w->dir, sizeof(w->dir), "/proc/self");
    s = there("a directory that is none of a ring");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "it is fetched");
    gone_again(s);
    snprintf(w->dir, sizeof(w->dir), "%s", dir);
}

static void test_two(void)
{
    begin(2);
    t.request.parallel = 2;
    struct snapshot *s = there("two workers");
    const struct manifest *m = snapshot_manifest(s);
    ok(m->node_count == 2 && manifest_is_whole(m, NULL), "both are whole");
    is_int(m->packets, 2 * fake_count(&t.workers[0], START, END), "and have their packets");
    t.request.id = "20240101T000000Z-00000000";
    is_int(create_run(t.rig.snapshots, &t.request, &t.err), TD_E_EXISTS, "its name is in use");
    t.request.id = t.id;
    gone_again(s);
}

static void test_no_packet(void)
{
    begin(1);
    t.request.start_ns = RIG_T0 + 1000;
    t.request.end_ns = RIG_T0 + 2000;
    struct snapshot *s = there("a window between two packets");
    struct buf why = {.n = 0};
    ok(first(s)->state == MANIFEST_NODE_COMPLETE && first(s)->segment_count == 0, "the node has all of it");
    ok(!manifest_is_whole(snapshot_manifest(s), &why), "which is nothing");
    like(buf_cstr(&why), "not a single packet", "and that is told");
    buf_clear(&why);
    gone_again(s);
}

static void test_estimate(void)
{
    struct create_estimate e;
    begin(2);
    is_int(create_estimate(&t.request, &e, &t.err), TD_OK, "an estimate");
    ok(e.whole == 2 && e.partial == 0 && e.missing == 0 && e.oldest_ns == START && e.newest_ns == END, "both have the window");
    ok(e.packets == 2 * 3 * FAKE_PACKETS && e.bytes > 1000000, "%llu packets and more, %llu bytes", (unsigned long long)e.packets,
       (unsigned long long)e.bytes);
    t.workers[1].covered_to_ns = END - 7;
    is_int(create_estimate(&t.request, &e, &t.err), TD_OK, "another");
    ok(e.whole == 1 && e.partial == 1 && e.newest_ns == END - 7, "one has less");
    atomic_store(&t.workers[1].gone, true);
    t.request.patience_ns = 1;
    is_int(create_estimate(&t.request, &e, &t.err), TD_OK, "another");
    ok(e.whole == 1 && e.missing == 1 && e.oldest_ns > e.newest_ns, "one is gone");
    is_int(atomic_load(&t.workers[0].drops), atomic_load(&t.workers[0].holds), "no hold stays behind");
    nothing_left("estimates");
}

/* ---- Transfers ---- */

static void test_cuts(void)
{
    begin(1);
    atomic_store(&t.workers[0].cuts, 5);
    struct snapshot *s = there("broken off");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "it is whole");
    ok(atomic_load(&t.workers[0].ranges) > 0, "%d parts were asked for", atomic_load(&t.workers[0].ranges));
    gone_again(s);
}

static void test_stalls(void)
{
    begin(1);
    atomic_store(&t.workers[0].stalls, 2);
    struct snapshot *s = there("stalled");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "it is whole");
    gone_again(s);
}

static void test_drips(void)
{
    begin(2);
    t.request.patience_ns = (int64_t)1 * RIG_SECOND;
    atomic_store(&t.workers[1].drips, true);
    struct snapshot *s = there("dripping");
    const struct manifest *m = snapshot_manifest(s);
    ok(m->nodes[0].state == MANIFEST_NODE_COMPLETE, "the other node is complete");
    ok(m->nodes[1].state == MANIFEST_NODE_MISSING && m->nodes[1].segment_count == 0, "the one that drips was given up");
    like(m->nodes[1].reason, "5 of 5 segments could not be taken", "and why is told");
    gone_again(s);
}

static void test_flips(void)
{
    begin(1);
    atomic_store(&t.workers[0].flips, 0);
    t.request.start_ns = RIG_T0 + MINUTES(0);
    t.request.end_ns = RIG_T0 + (int64_t)2000 * RIG_SECOND;
    atomic_store(&t.workers[0].flips, 1);
    struct snapshot *s = there("a wrong byte");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "is fetched again");
    gone_again(s);
}

static void test_forgets(void)
{
    begin(1);
    atomic_store(&t.workers[0].forgets, 2);
    struct snapshot *s = there("a hold that is lost");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "is taken again");
    ok(atomic_load(&t.workers[0].holds) > 1, "by %d holds", atomic_load(&t.workers[0].holds));
    gone_again(s);
}

/* ---- Lies, and what is not there ---- */

struct lie {
    const char *what, *told;
    size_t offset; /* of the member in struct fake_worker */
    bool has_segment;
};

static void test_lies(void)
{
    static const struct lie lies[] = {
        {"a segment of another length", "bytes, and sends", offsetof(struct fake_worker, lies_length), false},
        {"a segment longer than it is", "bytes, and sends", offsetof(struct fake_worker, lies_size), false},
        {"another digest", "another SHA-256", offsetof(struct fake_worker, lies_digest), false},
        {"more packets than there are", "has 3001 packets, and it has 3000", offsetof(struct fake_worker, lies_packets), true},
        {"a segment that is not there", "segment 43", offsetof(struct fake_worker, refuses), false},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        begin(1);
        *(uint64_t *)(void *)((char *)&t.workers[0] + lies[i].offset) = 43;
        struct snapshot *s = there(lies[i].what);
        const struct manifest_node *n = first(s);
        is_int(n->state, MANIFEST_NODE_PARTIAL, "the node is partial");
        like(n->reason ? n->reason : "", lies[i].told, "and it is told plainly");
        is_int(n->segment_count, lies[i].has_segment ? 5 : 4, "with what there is");
        is_int(n->gap_count, lies[i].has_segment ? 0 : 1, "a segment that is missing is a gap");
        is_int(n->packets, fake_count(&t.workers[0], START, END) - (lies[i].has_segment ? 0 : FAKE_PACKETS), "and its packets");
        gone_again(s);
    }
    for (int end = 0; end < 2; end++) {
        begin(1);
        t.workers[0].refuses = end ? 45 : 41;
        struct snapshot *s = there(end ? "a window whose end is not there" : "a window whose beginning is not there");
        const struct manifest_node *n = first(s);
        const int64_t from_ns = end ? n->segments[3].last_ns + 1 : START, to_ns = end ? END : n->segments[0].first_ns;
        ok(n->state == MANIFEST_NODE_PARTIAL && n->gap_count == 1 && n->gaps[0].start_ns == from_ns && n->gaps[0].end_ns == to_ns,
           "is a gap up to the packets that are there");
        gone_again(s);
    }
    begin(1);
    t.workers[0].lies_index = 43;
    struct snapshot *s = there("a damaged index");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "is made anew, and nothing is missing");
    gone_again(s);
}

static void test_answers(void)
{
#define HEAD                                                                                                                           \
    "{\"id\":\"h\",\"expires_s\":9,\"node\":\"n\",\"version\":\"1\",\"now\":\"2026-01-01T00:00:00Z\",\"covered_from\":null,\"covered_" \
    "to\":null,"
#define DROPS "\"dropped_by_kernel\":0,\"dropped_by_interface\":0,\"dropped_by_disk\":0,\"gaps\":[],"
#define FILES(file, index)                                                                                             \
    "{\"sequence\":42,\"whole\":true,\"file\":\"" file "\",\"inode\":1,\"bytes\":9,\"sha256\":null,\"index\":\"" index \
    "\",\"index_inode\":2,\"index_bytes\":3,"
    static const char *const says[] = {
        "",
        "{",
        "[]",
        "{}",
        HEAD "\"segments\":[]}",
        HEAD DROPS "\"segments\":{}}",
        HEAD DROPS "\"segments\":[1]}",
        HEAD DROPS "\"segments\":[" FILES("../../etc/passwd", "0000000042.idx") "\"packets\":0,\"captured_bytes\":0}]}",
        HEAD DROPS "\"segments\":[" FILES("0000000042.pcapng", "0000000043.idx") "\"packets\":0,\"captured_bytes\":0}]}",
        HEAD DROPS "\"segments\":[" FILES("0000000043.pcapng", "0000000042.idx") "\"packets\":0,\"captured_bytes\":0}]}",
        HEAD DROPS
        "\"segments\":[" FILES("0000000042.pcapng", "0000000042.idx") "\"packets\":1,\"captured_bytes\":0,\"first\":null,\"last\":null}]}",
        HEAD DROPS "\"segments\":[" FILES("0000000042.pcapng", "0000000042.idx") "\"packets\":99999999999,\"captured_bytes\":0}]}",
        HEAD DROPS
        "\"segments\":[{\"sequence\":2,\"whole\":false,\"estimated_bytes\":1},{\"sequence\":2,\"whole\":false,\"estimated_bytes\":1}]}",
        HEAD DROPS "\"segments\":[{\"sequence\":2,\"whole\":false,\"estimated_bytes\":99999999999999}]}",
        HEAD DROPS "\"segments\":[{\"sequence\":-2,\"whole\":false,\"estimated_bytes\":1}]}",
    };
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        begin(1);
        t.workers[0].says = says[i];
        fails(TD_E_CONFIG, "makes no sense", says[i]);
    }
    begin(1);
    t.workers[0].says =
        "{\"id\":\"h\",\"expires_s\":9,\"node\":\"n\",\"version\":\"1\",\"now\":\"1677-09-21T00:12:44Z\",\"covered_from\":null,"
        "\"covered_to\":null," DROPS "\"segments\":[]}";
    fails(TD_E_CONFIG, "now is no time of a clock", "a clock with which nobody can reckon");
    struct buf many = {0};
    buf_lit(&many, "[[]");
    for (int i = 0; i < 1000000; i++)
        buf_lit(&many, ",[]");
    buf_lit(&many, "]");
    begin(1);
    t.workers[0].says = buf_cstr(&many);
    fails(TD_E_CONFIG, "more values than an answer can have", "an answer of 3 MB that would take hundreds");
    buf_clear(&many);
    begin(1);
    t.workers[0].node = "../../x";
    fails(TD_E_CONFIG, "no name that a node can have", "a node whose name is a path");
}

static void test_window_not_there(void)
{
    begin(1);
    t.workers[0].covered_from_ns = RIG_T0 + (int64_t)1000 * RIG_SECOND;
    t.workers[0].recycled_below = 42;
    fails(TD_E_CONFIG, "node-1: of the window it has 2023-11-14T22:30:00", "a window that began before the raw capture");
    t.request.allow_partial = true;
    struct snapshot *s = there("part of it");
    ok(first(s)->state == MANIFEST_NODE_PARTIAL && first(s)->covered_from_ns == RIG_T0 + (int64_t)1000 * RIG_SECOND, "is partial");
    gone_again(s);
    begin(1);
    t.workers[0].gap = "{\"start\":\"2023-11-14T22:40:00Z\",\"end\":\"2023-11-14T22:41:00Z\",\"reason\":\"the worker was stopped\"}";
    fails(TD_E_CONFIG, "the worker was stopped", "a gap in it");
    t.request.allow_partial = true;
    s = there("a gap is allowed");
    ok(first(s)->state == MANIFEST_NODE_PARTIAL && first(s)->gap_count == 1, "and told");
    gone_again(s);
    begin(1);
    t.request.start_ns = RIG_T0 - (int64_t)500 * RIG_SECOND;
    t.request.end_ns = RIG_T0 - (int64_t)400 * RIG_SECOND;
    t.request.allow_partial = true;
    fails(TD_E_CONFIG, "reaches from 2023-11-14T22:13:20", "a window of which there is nothing");
    begin(2);
    t.request.patience_ns = RIG_SECOND / 10;
    atomic_store(&t.workers[1].gone, true);
    t.asked[1].node = "node-2";
    fails(TD_E_CONFIG, "node-2", "a worker that does not answer");
    t.request.allow_partial = true;
    s = there("a worker that does not answer is allowed");
    ok(snapshot_manifest(s)->nodes[1].state == MANIFEST_NODE_MISSING, "and missing");
    is_str(snapshot_manifest(s)->nodes[1].name, "node-2", "under the name that it had");
    gone_again(s);
    begin(1);
    t.request.patience_ns = RIG_SECOND / 10;
    atomic_store(&t.workers[0].gone, true);
    fails(TD_E_RETRY, "about to end", "no worker at all");
}

static void test_same_name(void)
{
    begin(2);
    t.workers[1].node = "node-1";
    fails(TD_E_CONFIG, "calls itself node-1", "two workers with one name");
    t.request.allow_partial = true;
    struct snapshot *s = there("two workers with one name");
    const struct manifest *m = snapshot_manifest(s);
    is_int(m->packets, fake_count(&t.workers[0], START, END), "the first one counts");
    like(m->nodes[0].name, "127.0.0.1:", "the second has the name of its address");
    is_int(m->nodes[0].state, MANIFEST_NODE_MISSING, "and is missing: %s", m->nodes[0].reason);
    gone_again(s);
}

static void test_no_room(void)
{
    begin(1);
    snapshot_rig_load(&t.rig, 100000, NULL, NULL);
    fails(TD_E_LIMIT, "no room", "no room");
    /* Room for what was said, and not for what comes. */
    uint64_t said = t.workers[0].segments[0].built.bytes.n / 2;
    begin(1);
    t.request.end_ns = RIG_T0 + (int64_t)990 * RIG_SECOND;
    t.request.start_ns = RIG_T0;
    snapshot_rig_load(&t.rig, said + 100, NULL, NULL);
    fails(TD_E_LIMIT, "no room", "more comes than was said");
    begin(1);
    snapshot_rig_load(&t.rig, 20 << 20, NULL, NULL);
    t.workers[0].grows = 30 << 20;
    atomic_store(&t.workers[0].forgets, 1);
    fails(TD_E_LIMIT, "no room", "more is said when the hold was lost");
    snapshot_rig_load(&t.rig, GIB, NULL, NULL);
}

static void test_bad_requests(void)
{
    begin(1);
    t.request.name = "No";
    fails(TD_E_CONFIG, "cannot be a name", "a bad name");
    begin(1);
    t.request.end_ns = t.request.start_ns;
    fails(TD_E_CONFIG, "ends before", "an empty window");
    begin(1);
    t.request.id = "../x";
    fails(TD_E_CONFIG, "no snapshot's id", "a bad id");
    begin(0);
    fails(TD_E_CONFIG, "1 to 4096 nodes", "no worker");
}

/* ---- Interrupted ---- */

static void test_cancel(void)
{
    begin(1);
    t.cancel_at = 400000;
    atomic_store(&t.workers[0].slow, true);
    is_int(run(), TD_E_CANCELLED, "cancelled");
    is_int(work_left(), 1, "what came stays");
    uint64_t before = atomic_load(&t.workers[0].served);
    atomic_store(&t.workers[0].slow, false);
    atomic_store(&t.cancel, false);
    atomic_store(&t.workers[0].served, 0);
    t.cancel_at = 0;
    struct snapshot *s = there("gone on with");
    ok(manifest_is_whole(snapshot_manifest(s), NULL), "it is whole");
    ok(before > 0 && atomic_load(&t.workers[0].served) > 0, "%lu bytes came before, %lu after", (unsigned long)before,
       (unsigned long)atomic_load(&t.workers[0].served));
    gone_again(s);
    begin(1);
    t.cancel_at = 400000;
    atomic_store(&t.workers[0].slow, true);
    is_int(run(), TD_E_CANCELLED, "cancelled again");
    is_int(create_clean(t.rig.snapshots, t.rig.work, t.id, &t.err), TD_OK, "and removed");
    nothing_left("removed");
}

/* The ring has gone on while the hub was away. */
static void test_kept(void)
{
    begin(1);
    t.workers[0].tells_directory = true;
    atomic_store(&t.workers[0].drips, true); /* the ends do not come, whole segments are linked */
    t.cancel_at = 600000;
    is_int(run(), TD_E_CANCELLED, "cancelled with whole segments there");
    atomic_store(&t.workers[0].drips, false);
    atomic_store(&t.cancel, false);
    t.cancel_at = 0;
    t.workers[0].recycled_below = 44;
    t.workers[0].covered_from_ns = RIG_T0 + (int64_t)3000 * RIG_SECOND;
    struct snapshot *s = there("gone on with, though the worker has it no more");
    const struct manifest_node *n = first(s);
    ok(n->state == MANIFEST_NODE_PARTIAL && n->segment_count >= 3, "%zu segments are kept or taken", n->segment_count);
    like(n->reason, "before the hub was interrupted", "and that is told");
    gone_again(s);
}

/* What is here already needs no worker, not even one that could be asked. */
static void test_kept_without_client(void)
{
    begin(1);
    t.workers[0].tells_directory = true;
    atomic_store(&t.workers[0].drips, true);
    t.cancel_at = 600000;
    is_int(run(), TD_E_CANCELLED, "cancelled with whole segments there");
    atomic_store(&t.workers[0].drips, false);
    atomic_store(&t.cancel, false);
    t.cancel_at = 0;
    t.asked[0].node = "node-1";
    t.asked[0].url = "ftp://nowhere";
    struct snapshot *s = there("gone on with, though the worker's address is none any more");
    ok(first(s)->state == MANIFEST_NODE_PARTIAL && first(s)->segment_count >= 3, "%zu segments are kept", first(s)->segment_count);
    gone_again(s);
}

int main(void)
{
    char dir[96];
    snapshot_rig_open(&t.rig, false);
    snapshot_rig_load(&t.rig, GIB, NULL, NULL);
    for (int i = 0; i < WORKERS; i++) {
        snprintf(dir, sizeof(dir), "%s/raw-%d", t.rig.dir, i);
        fake_start(&t.workers[i], "node", dir);
    }
    test_fetched();
    test_linked(false);
    test_linked(true);
    test_not_linked();
    test_two();
    test_no_packet();
    test_estimate();
    test_cuts();
    test_stalls();
    test_drips();
    test_flips();
    test_forgets();
    test_lies();
    test_answers();
    test_window_not_there();
    test_same_name();
    test_no_room();
    test_bad_requests();
    test_cancel();
    test_kept();
    test_kept_without_client();
    for (int i = 0; i < WORKERS; i++)
        fake_stop(&t.workers[i]);
    snapshot_rig_close(&t.rig);
    return tap_done();
}
