/* Snapshots on their way to the cloud and back, over a cloud that works and one that does not. */
#include "cloud_rig.h"

#define ID_A "20230101T000000Z-0000000a"
#define ID_B "20230102T000000Z-0000000b"
#define ID_C "20230103T000000Z-0000000c"
#define ID_D "20230104T000000Z-0000000d"

enum { SEGMENTS = 5, OBJECTS = 2 * 2 * SEGMENTS + 1, BYTES = 150000, RANGE = 16 << 20 };

static struct hub_rig a, b;

struct watch {
    atomic_bool cancel;
    _Atomic uint64_t done, all, told;
    bool fell;
};

static void progress(void *ctx, uint64_t done, uint64_t all)
{
    struct watch *w = ctx;
    w->fell |= done < atomic_load(&w->done);
    atomic_store(&w->done, done);
    atomic_store(&w->all, all);
    atomic_fetch_add(&w->told, 1);
}

static struct transfer watched(struct watch *w)
{
    return (struct transfer){&w->cancel, progress, w};
}

/* ---- Stopping at a call of the cloud ---- */

static struct watch *stopped;

/* At the last one of so many. */
static void stop(const char *verb, const char *key)
{
    if (is_time(verb, key) && atomic_load(&meddler.left) == 0)
        atomic_store(&stopped->cancel, true);
}

static struct transfer stopping(struct watch *w, const char *verb, const char *part, int times)
{
    stopped = w;
    set_meddler(stop, verb, part, times);
    return watched(w);
}

/* ---- There and back ---- */

static void test_there_and_back(void)
{
    struct transfer_result r = {0};
    struct watch w = {0};
    struct transfer tr = watched(&w);
    hub_make(&a, ID_A, "first", SEGMENTS, BYTES);
    hub_add_dissection(&a, "first", "default", 70001, 1);
    ok(hub_upload(&a, "first", &tr, &r) == TD_OK, "a snapshot is uploaded: %s", t.err.text);
    ok(r.objects == OBJECTS + 1 && r.sent_objects == r.objects && r.sent_bytes == r.bytes && r.retries == 0, "all of it: %llu of %llu",
       (unsigned long long)r.sent_objects, (unsigned long long)r.objects);
    ok(w.done == w.all && w.all > 4 * BYTES && !w.fell, "its progress comes to its end");
    is_int(cloud_count(ID_A), OBJECTS + 1, "its objects are there");
    ok(work_is_empty(&a) && cloud_parts() == 0, "and nothing else");
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_objects == 0 && r.sent_bytes == 0, "once more nothing is sent");
    hub_add_dissection(&a, "first", "second", 5000, 2);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_objects == 1 && r.sent_bytes == 5000, "but a new dissection");
    hub_add_dissection(&a, "first", "second", 5000, 3);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_objects == 1, "or one that was replaced by one of the same size");

    struct cloud_snapshot *s = cloud_pin(a.cloud, ID_A);
    ok(s && cloud_snapshot_manifest(s)->nodes[1].segments == NULL && cloud_snapshot_manifest(s)->packets == 2 * SEGMENTS, "it is listed");
    if (s)
        cloud_snapshot_unpin(s);
    must(cloud_refresh(b.cloud, &t.err), "another hub looks");
    size_t n;
    s = cloud_pin_name(b.cloud, "first", &n);
    ok(s && n == 1 && strcmp(cloud_snapshot_manifest(s)->id, ID_A) == 0, "and sees it");
    if (s)
        cloud_snapshot_unpin(s);
    struct watch w2 = {0};
    tr = watched(&w2);
    ok(hub_download(&b, ID_A, &tr, &r) == TD_OK, "downloads it: %s", t.err.text);
    ok(r.objects == OBJECTS + 2 && r.sent_objects == r.objects && r.sent_bytes == r.bytes && w2.done == w2.all && !w2.fell,
       "all of it: %llu", (unsigned long long)r.sent_objects);
    ok(hub_has(&b, "first"), "which verifies");
    ok(rig_count(b.storage, ID_A "/") == OBJECTS + 2 && work_is_empty(&b), "with its dissections, and nothing else");
    struct snapshots_room before, after;
    snapshots_room(b.snapshots, &before);
    snapshots_close(b.snapshots);
    must(snapshots_open(b.storage, CLOUD_RIG_GIB, NULL, NULL, &b.snapshots, &t.err), "a restart");
    snapshots_room(b.snapshots, &after);
    ok(before.reserved == 0 && before.used == after.used, "its room is counted as a restart does");
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_EXISTS, "what is here is not downloaded again");
    ok(hub_upload(&b, "first", NULL, &r) == TD_OK && r.sent_objects == 0, "nor what is there uploaded by another hub");
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "it verifies there");
}

/* What is known of a node besides its packets goes with them. */
static void test_context(void)
{
    struct transfer_result r = {0};
    a.knows_more = true;
    hub_make(&a, ID_B, "known", 1, BYTES);
    a.knows_more = false;
    ok(hub_upload(&a, "known", NULL, &r) == TD_OK && r.objects == 6 && cloud_count(ID_B) == 6, "a snapshot with context is uploaded: %s",
       t.err.text);
    must(cloud_refresh(b.cloud, &t.err), "another hub looks");
    ok(hub_download(&b, ID_B, NULL, &r) == TD_OK && hub_has(&b, "known") && rig_count(b.storage, ID_B "/") == 6, "and downloaded: %s",
       t.err.text);
    must(snapshots_delete(a.snapshots, "known", &t.err), "it is deleted here");
    must(snapshots_delete(b.snapshots, "known", &t.err), "and there");
    is_int(cloud_remove(a.cloud, ID_B, NULL, &t.err), TD_OK, "and in the cloud");
    must(cloud_refresh(b.cloud, &t.err), "another hub looks");
}

static void test_remove(void)
{
    struct transfer_result r;
    must(storage_put_bytes(t.seen, "production/hub/" ID_A "/foreign", td_str("x"), &t.err), "something else below it");
    is_int(cloud_remove(a.cloud, ID_A, NULL, &t.err), TD_OK, "it is removed there");
    ok(cloud_count(ID_A) == 0 && !cloud_pin(a.cloud, ID_A), "wholly");
    is_int(cloud_remove(a.cloud, ID_A, NULL, &t.err), TD_OK, "once more");
    is_int(hub_download(&b, ID_B, NULL, &r), TD_E_NOT_FOUND, "what is not there cannot be downloaded");
    ok(cloud_clean_download(b.cloud, b.snapshots, ID_B, &t.err) == TD_OK && work_is_empty(&b), "nothing is left of that");
    struct cloud_status s;
    cloud_status(b.cloud, &s);
    is_int(s.snapshots, 1, "another hub still lists it");
    must(cloud_refresh(b.cloud, &t.err), "until it looks");
    cloud_status(b.cloud, &s);
    ok(s.connected && s.snapshots == 0 && s.bytes == 0, "and sees that it is gone");
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_E_NOT_FOUND, "nor verified");
    is_int(cloud_remove(a.cloud, "../x", NULL, &t.err), TD_E_CONFIG, "what is no id is refused");
}

/* ---- Faults ---- */

static void start_over(void)
{
    fake_reset();
    must(cloud_remove(a.cloud, ID_A, NULL, &t.err), "removed there");
    if (snapshots_has_name(b.snapshots, "first"))
        must(snapshots_delete(b.snapshots, "first", &t.err), "deleted here");
}

/* Each operation fails once. */
static void test_each_failure(void)
{
    struct transfer_result r;
    long n = 1, failed = 0;
    hub_make(&a, ID_B, "tiny", 1, 100000);
    hub_add_dissection(&a, "tiny", "default", 1001, 4);
    for (bool reached = true; reached && failed < 3; n++) {
        fake_reset();
        atomic_store(&fake.now->fail_in, n);
        bool good = hub_upload(&a, "tiny", NULL, &r) == TD_OK && hub_download(&b, ID_B, NULL, NULL) == TD_OK && hub_has(&b, "tiny");
        reached = atomic_load(&fake.now->fail_in) <= 0;
        good = good && cloud_parts() == 0 && work_is_empty(&a) && work_is_empty(&b) && r.sent_objects == 6;
        if (!good)
            tap_diag("%ld: %s", n, t.err.text);
        failed += !good;
        must(cloud_remove(a.cloud, ID_B, NULL, &t.err), "removed there");
        must(snapshots_delete(b.snapshots, "tiny", &t.err), "deleted here");
    }
    ok(failed == 0 && n > 20, "whichever of %ld operations fails in passing, it works", n - 2);
}

static void test_many_failures(void)
{
    struct transfer_result up = {0}, down = {0};
    start_over();
    atomic_store(&fake.now->fail_percent, 20);
    ok(hub_upload(&a, "first", NULL, &up) == TD_OK, "a fifth of all fails: uploaded: %s", t.err.text);
    ok(hub_download(&b, ID_A, NULL, &down) == TD_OK && hub_has(&b, "first"), "and downloaded: %s", t.err.text);
    is_int(cloud_verify(a.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "and verified");
    ok(up.retries > 0 && down.retries > 0, "after %u and %u more tries", up.retries, down.retries);
    atomic_store(&fake.now->fail_percent, 0);
    is_int(cloud_parts(), 0, "without leftovers");
}

static void test_resumed_put(void)
{
    struct transfer_result r;
    start_over();
    atomic_store(&fake.now->broken_puts, 3);
    is_int(hub_upload(&a, "first", NULL, &r), TD_OK, "puts break off");
    uint64_t all = 0;
    for (int i = 0; i < SEGMENTS; i++)
        all += 2 * (uint64_t)(BYTES + 7 * i) + 1 + 2 * (uint64_t)(i + 1 == SEGMENTS ? 1 : 100 + i);
    ok(atomic_load(&fake.now->part_bytes) == all + 70001 + 5000 && r.retries == 3, "and go on: no part was sent twice: %lu of %llu",
       atomic_load(&fake.now->part_bytes), (unsigned long long)all + 75001);
    is_int(cloud_parts(), 0, "no parts are left");
}

static void test_bad_gets(void)
{
    struct transfer_result r;
    start_over();
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    uint64_t before = atomic_load(&fake.now->got_bytes);
    atomic_store(&fake.now->broken_gets, 10);
    ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && hub_has(&b, "first"), "gets that break off: %s", t.err.text);
    ok(r.retries >= 10 && atomic_load(&fake.now->got_bytes) - before == r.bytes, "go on where they were: %llu of %llu bytes",
       (unsigned long long)(atomic_load(&fake.now->got_bytes) - before), (unsigned long long)r.bytes);
    must(snapshots_delete(b.snapshots, "first", &t.err), "deleted");
    fake.damaged_key = "node-1/0000000003.pcapng";
    atomic_store(&fake.now->damaged_gets, 1);
    ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && hub_has(&b, "first"), "what arrives damaged is fetched once more: %s", t.err.text);
    ok(r.sent_bytes > r.bytes && r.sent_bytes < r.bytes + 2 * BYTES, "and nothing else is");
    must(snapshots_delete(b.snapshots, "first", &t.err), "deleted");
    atomic_store(&fake.now->damaged_gets, 1000);
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_CORRUPT, "but not for ever");
    like(t.err.text, "its SHA-256 is another one", "and told");
    atomic_store(&fake.now->damaged_gets, 1);
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "verifying asks once more, too");
    atomic_store(&fake.now->damaged_gets, 0);
    must(cloud_clean_download(b.cloud, b.snapshots, ID_A, &t.err), "cleaned");
}

/* What is damaged there, for good. */
static void test_damage(void)
{
    struct transfer_result r;
    struct buf good = {0};
    const char *const key = "production/hub/" ID_A "/node-1/0000000002.pcapng";
    start_over();
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    must(storage_get_bytes(t.seen, key, 1 << 20, &good, &t.err), "an object");
    good.p[5000] ^= 4;
    must(storage_put_bytes(t.seen, key, buf_slice(&good), &t.err), "is damaged");
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_CORRUPT, "which is found");
    like(t.err.text, "node-1/0000000002.pcapng", "and told");
    ok(!snapshots_has_id(b.snapshots, ID_A), "there is no half snapshot");
    is_int(cloud_verify(a.cloud, ID_A, NULL, NULL, &t.err), TD_E_CORRUPT, "verifying finds it, too");
    like(t.err.text, "1 objects; node-1/0000000002.pcapng: its SHA-256 is another one", "and tells");
    good.p[5000] ^= 4;
    must(storage_put_bytes(t.seen, key, buf_slice(&good), &t.err), "mended");
    ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && hub_has(&b, "first"), "then it works: %s", t.err.text);
    ok(r.sent_bytes < 6 * BYTES, "what was there is not fetched again: %llu bytes were", (unsigned long long)r.sent_bytes);
    must(snapshots_delete(b.snapshots, "first", &t.err), "deleted");
    must(storage_remove(t.seen, key, &t.err), "an object is removed");
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_CORRUPT, "one that is missing is found");
    like(t.err.text, "0000000002.pcapng is missing", "and told");
    is_int(cloud_verify(a.cloud, ID_A, NULL, NULL, &t.err), TD_E_CORRUPT, "by verifying, too");
    must(storage_put_bytes(t.seen, key, td_str("short"), &t.err), "shortened");
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_CORRUPT, "one that is shorter, too");
    like(t.err.text, "has 5 bytes instead of 150007", "is told");
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_objects == 1, "uploading mends it");
    must(storage_remove(t.seen, "production/hub/" ID_A "/manifest.json", &t.err), "the manifest goes");
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_NOT_FOUND, "without a manifest it is not there");
    ok(cloud_clean_download(b.cloud, b.snapshots, ID_A, &t.err) == TD_OK && work_is_empty(&b) && rig_count(b.storage, ID_A) == 0,
       "nothing is left of the tries");
    buf_clear(&good);
}

static void test_damaged_dissection(void)
{
    start_over();
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    uint8_t *other = calloc(1, 70001);
    must(storage_put_bytes(t.seen, "production/hub/" ID_A "/dissections/default.calls", td_bytes(other, 70001), &t.err), "damaged");
    free(other);
    struct watch w = {0};
    struct transfer tr = watched(&w);
    log_set_level(TD_LOG_ERROR);
    ok(hub_download(&b, ID_A, &tr, NULL) == TD_OK && hub_has(&b, "first"), "without a damaged dissection it is downloaded: %s", t.err.text);
    is_int(rig_count(b.storage, ID_A "/dissections/"), 1, "with the other one");
    struct snapshots_room room;
    snapshots_room(b.snapshots, &room);
    ok(room.reserved == 0, "no room stays reserved");
}

/* ---- Stopping ---- */

static uint64_t cloud_bytes(const char *key)
{
    char whole[256];
    struct storage_object o = {0};
    snprintf(whole, sizeof(whole), "production/hub/%s", key);
    must(storage_head(t.seen, whole, &o, &t.err), whole);
    return o.bytes;
}

static void test_cancel(void)
{
    struct transfer_result r;
    struct watch w = {0};
    start_over();
    struct transfer tr = stopping(&w, "part", ID_A, 14);
    is_int(hub_upload(&a, "first", &tr, &r), TD_E_CANCELLED, "an upload is cancelled");
    size_t there = cloud_count(ID_A);
    ok(there > 0 && there < OBJECTS, "in the middle: %zu objects are there", there);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_bytes < r.bytes && r.sent_objects < r.objects,
       "and resumed: %llu of %llu bytes", (unsigned long long)r.sent_bytes, (unsigned long long)r.bytes);
    is_int(atomic_load(&fake.now->part_bytes) + cloud_bytes(ID_A "/manifest.json"), r.bytes, "no part was sent twice");
    ok(work_is_empty(&a) && cloud_parts() == 0, "nothing else is left");
    start_over();
    struct watch w2 = {0};
    tr = stopping(&w2, "part", ID_A, 14);
    is_int(hub_upload(&a, "first", &tr, &r), TD_E_CANCELLED, "another one is cancelled");
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_OK, "and given up");
    ok(cloud_count(ID_A) == 0 && cloud_parts() == 0 && work_is_empty(&a), "nothing is left of it");
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_OK, "what is whole");
    is_int(cloud_count(ID_A), OBJECTS + 2, "is not given up");
    struct watch w3 = {0};
    tr = stopping(&w3, "get", "/0000000", 9);
    is_int(hub_download(&b, ID_A, &tr, &r), TD_E_CANCELLED, "a download is cancelled");
    struct snapshots_room room;
    snapshots_room(b.snapshots, &room);
    ok(room.reserved == 0 && !snapshots_has_id(b.snapshots, ID_A), "and keeps no room");
    ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && hub_has(&b, "first") && r.sent_bytes < r.bytes, "and resumed: %llu of %llu bytes",
       (unsigned long long)r.sent_bytes, (unsigned long long)r.bytes);
    must(snapshots_delete(b.snapshots, "first", &t.err), "deleted");
    struct watch w4 = {0};
    tr = stopping(&w4, "get", "/0000000", 9);
    is_int(hub_download(&b, ID_A, &tr, &r), TD_E_CANCELLED, "another one is cancelled");
    ok(cloud_clean_download(b.cloud, b.snapshots, ID_A, &t.err) == TD_OK && work_is_empty(&b) && rig_count(b.storage, ID_A) == 0,
       "and nothing is left of it");
}

static void *cancel_soon(void *arg)
{
    usleep(100000);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void test_away(void)
{
    pthread_t thread;
    struct watch w = {0};
    struct transfer tr = watched(&w);
    start_over();
    atomic_store(&fake.now->down, true);
    pthread_create(&thread, NULL, cancel_soon, &w.cancel);
    int64_t began = time(NULL);
    is_int(hub_upload(&a, "first", &tr, NULL), TD_E_CANCELLED, "while the cloud is away an upload can be cancelled");
    ok(time(NULL) - began <= 2, "at once");
    pthread_join(thread, NULL);
    is_int(cloud_refresh(a.cloud, &t.err), TD_E_RETRY, "what is there is not known");
    struct cloud_status s;
    cloud_status(a.cloud, &s);
    ok(!s.connected && strstr(s.error, "503 Slow Down") && strstr(s.error, "tried"), "and told: %s", s.error);
    atomic_store(&fake.now->down, false);
    must(cloud_refresh(a.cloud, &t.err), "it is back");
    cloud_status(a.cloud, &s);
    ok(s.connected && !*s.error && strcmp(s.provider, "fake") == 0, "and told");
    must(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), "cleaned");
}

/* ---- Room ---- */

static void test_room(void)
{
    struct hub_rig small;
    struct transfer_result r;
    start_over();
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    hub_open_with(&small, "small", "fake", 5 * BYTES);
    is_int(hub_download(&small, ID_A, NULL, &r), TD_E_LIMIT, "without room it is not downloaded");
    like(t.err.text, "no room", "and says so");
    struct snapshots_room room;
    snapshots_room(small.snapshots, &room);
    ok(room.reserved == 0 && room.used == 0, "nothing stays reserved");
    must(cloud_clean_download(small.cloud, small.snapshots, ID_A, &t.err), "cleaned");
    hub_make(&small, ID_B, "first", 1, 100);
    hub_close(&small);
    hub_open_with(&small, "small", "fake", CLOUD_RIG_GIB);
    is_int(hub_download(&small, ID_A, NULL, &r), TD_E_EXISTS, "nor if its name is taken");
    must(cloud_clean_download(small.cloud, small.snapshots, ID_A, &t.err), "cleaned");
    ok(work_is_empty(&small), "nothing is left");
    hub_close(&small);
}

/* ---- Large and many ---- */

static void test_ranges(void)
{
    struct transfer_result r;
    fake_reset();
    hub_make(&a, ID_C, "large", 1, 2 * RANGE + 12345);
    must(hub_upload(&a, "large", NULL, NULL), "a large one is uploaded");
    fake_reset();
    struct watch w = {0};
    struct transfer tr = stopping(&w, "get", ".pcapng", 6);
    is_int(hub_download(&b, ID_C, &tr, &r), TD_E_CANCELLED, "its download is cancelled");
    uint64_t first = r.sent_bytes;
    ok(hub_download(&b, ID_C, NULL, &r) == TD_OK && hub_has(&b, "large"), "and resumed: %s", t.err.text);
    ok(first >= RANGE && r.sent_bytes + first > r.bytes && r.sent_bytes + first < r.bytes + 5000, "by ranges: %llu and %llu of %llu",
       (unsigned long long)first, (unsigned long long)r.sent_bytes, (unsigned long long)r.bytes);
    must(snapshots_delete(b.snapshots, "large", &t.err), "deleted");
    ok(atomic_load(&fake.now->most_at_once) <= 4, "never more than 4 at once: %u", atomic_load(&fake.now->most_at_once));
}

static void test_many(void)
{
    enum { MANY = 25, SLOW_MS = 5 };
    struct timespec from, to;
    fake_reset();
    hub_make(&a, ID_D, "many", MANY, 200);
    atomic_store(&fake.now->slow_us, SLOW_MS * 1000);
    clock_gettime(CLOCK_MONOTONIC, &from);
    must(hub_upload(&a, "many", NULL, NULL), "many small ones");
    clock_gettime(CLOCK_MONOTONIC, &to);
    unsigned long puts = atomic_load(&fake.now->puts), heads = atomic_load(&fake.now->heads), lists = atomic_load(&fake.now->lists);
    double up_ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    ok(puts == 4 * MANY + 1 && heads == 0 && lists == 3, "%lu puts, %lu heads, %lu lists", puts, heads, lists);
    ok(atomic_load(&fake.now->most_at_once) == 4, "4 at once");
    atomic_store(&fake.now->gets, 0);
    ok(hub_download(&b, ID_D, NULL, NULL) == TD_OK && hub_has(&b, "many"), "downloaded");
    is_int(atomic_load(&fake.now->gets), 4 * MANY + 1, "one get for each");
    tap_diag("%d objects with round trips of %d ms: %.0f ms up", 4 * MANY, SLOW_MS, up_ms);
    atomic_store(&fake.now->slow_us, 0);
    must(cloud_remove(a.cloud, ID_D, NULL, &t.err), "removed");
    is_int(cloud_count(ID_D), 0, "all of it");
}

/* ---- A backend that keeps neither sums nor parts: the plugin local itself ---- */

static void test_local_as_cloud(void)
{
    struct hub_rig plain;
    struct transfer_result r;
    hub_open_with(&plain, "plain", "local", CLOUD_RIG_GIB);
    hub_make(&plain, ID_B, "plain", 3, 3000);
    ok(hub_upload(&plain, "plain", NULL, &r) == TD_OK, "an upload into a directory: %s", t.err.text);
    ok(hub_upload(&plain, "plain", NULL, &r) == TD_OK && r.sent_objects == 0, "what is whole is not sent again");
    is_int(cloud_verify(plain.cloud, ID_B, NULL, NULL, &t.err), TD_OK, "it verifies");
    must(snapshots_delete(plain.snapshots, "plain", &t.err), "deleted here");
    ok(hub_download(&plain, ID_B, NULL, &r) == TD_OK && hub_has(&plain, "plain"), "and is fetched back");
    must(cloud_remove(plain.cloud, ID_B, NULL, &t.err), "removed there");
    hub_close(&plain);
}

/* ---- Several hubs ---- */

static void test_other_snapshot(void)
{
    struct hub_rig other;
    struct transfer_result r;
    start_over();
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    hub_open(&other, "other");
    hub_make(&other, ID_A, "another", 2, 1000);
    is_int(hub_upload(&other, "another", NULL, &r), TD_E_EXISTS, "another snapshot of the same id is refused");
    is_int(cloud_clean_upload(other.cloud, ID_A, NULL, &t.err), TD_OK, "and cleaned");
    is_int(cloud_verify(a.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "the first one is as it was");
    hub_close(&other);
}

/* ---- What others do meanwhile ---- */

static int remove_below(void *ctx, const char *key, const struct storage_object *o)
{
    (void)o;
    return storage_remove(t.seen, key, ctx);
}

/* Another hub gives up its upload of the same snapshot, or removes the manifest as well. */
static void remove_object(const char *verb, const char *key)
{
    struct error err;
    if (is_time(verb, key))
        (void)!storage_remove(t.seen, "production/hub/" ID_A "/node-1-b/0000000002.idx", &err);
}

static void remove_everything(const char *verb, const char *key)
{
    struct error err;
    if (is_time(verb, key) && (storage_remove(t.seen, "production/hub/" ID_A "/manifest.json", &err) != TD_OK ||
                               storage_list(t.seen, "production/hub/" ID_A "/", NULL, remove_below, &err, &err) != TD_OK))
        abort();
}

static void test_others(void)
{
    struct transfer_result r;
    start_over();
    set_meddler(remove_object, "put", "manifest.json", 1);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_objects == r.objects + 1,
       "an object that goes before the manifest is sent again");
    fake.before = NULL;
    is_int(cloud_verify(a.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "and it is whole");
    start_over();
    set_meddler(remove_everything, "put", "manifest.json", 1);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.sent_objects == 2 * r.objects - 1, "all that went is: %llu",
       (unsigned long long)r.sent_objects);
    fake.before = NULL;
    is_int(cloud_verify(a.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "and it is whole");
    start_over();
    set_meddler(remove_everything, "list", ID_A, 1000);
    is_int(hub_upload(&a, "first", NULL, &r), TD_E_RETRY, "who removes for ever");
    like(t.err.text, "somebody removes its objects", "is told");
    fake.before = NULL;
    must(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), "cleaned");
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    set_meddler(remove_everything, "get", "node-1/0000000003", 1);
    is_int(hub_download(&b, ID_A, NULL, &r), TD_E_NOT_FOUND, "a snapshot that is removed while it is downloaded");
    like(t.err.text, "was deleted from the cloud while it was downloaded", "is told");
    fake.before = NULL;
    ok(cloud_clean_download(b.cloud, b.snapshots, ID_A, &t.err) == TD_OK && work_is_empty(&b) && rig_count(b.storage, ID_A) == 0,
       "and leaves nothing");
}

static atomic_int before_manifest, second_try;

static void note_order(const char *verb, const char *key)
{
    struct storage_object o;
    if (strcmp(verb, "remove") == 0 && !strstr(key, "manifest.json"))
        atomic_fetch_add(&before_manifest, storage_head(t.seen, "production/hub/" ID_A "/manifest.json", &o, NULL) == TD_OK);
}

static void try_again(const char *verb, const char *key)
{
    struct error err;
    if (is_time(verb, key))
        atomic_store(&second_try, cloud_clean_upload(a.cloud, ID_A, NULL, &err));
}

static void test_order(void)
{
    start_over();
    set_meddler(try_again, "list", ID_A, 1);
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    is_int(atomic_load(&second_try), TD_E_RETRY, "what is being uploaded is not cleaned up meanwhile");
    fake.before = note_order;
    must(cloud_remove(a.cloud, ID_A, NULL, &t.err), "removed");
    is_int(atomic_load(&before_manifest), 0, "the manifest goes first");
    fake_reset();
}

/* Its dissections come and go as they like. */
static void delete_dissection(const char *verb, const char *key)
{
    struct snapshot *s = is_time(verb, key) ? snapshots_pin(a.snapshots, "first") : NULL;
    struct error err;
    if (s && snapshot_remove_dissection(s, "second", &err) != TD_OK)
        abort();
    if (s)
        snapshot_unpin(s);
}

static void test_dissection_goes(void)
{
    struct transfer_result r;
    start_over();
    set_meddler(delete_dissection, "list", ID_A, 1);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.objects == OBJECTS + 1, "a dissection that is deleted here meanwhile is left out");
    is_int(cloud_count(ID_A), OBJECTS + 1, "the rest is there");
    fake_reset();
}

int main(void)
{
    rig_begin();
    hub_open(&a, "a");
    hub_open(&b, "b");
    test_there_and_back();
    test_context();
    test_remove();
    test_each_failure();
    test_many_failures();
    test_resumed_put();
    test_bad_gets();
    test_damage();
    test_damaged_dissection();
    test_cancel();
    test_away();
    test_room();
    test_ranges();
    test_many();
    test_local_as_cloud();
    test_other_snapshot();
    test_others();
    test_order();
    test_dissection_goes();
    hub_close(&a);
    hub_close(&b);
    rig_end();
    return tap_done();
}
