/* Snapshots in local storage: loading, room, pins, deleting, verifying, dissections. */
#include "rig.h"

#include <openssl/evp.h>
#include <pthread.h>

enum { MIB = 1 << 20 };

static struct snapshot_rig r;

/* ---- Making ---- */

static void put(const char *id, const char *rest, const char *bytes)
{
    char key[256];
    snprintf(key, sizeof(key), "%s/%s", id, rest);
    rig_must(storage_put_bytes(r.storage, key, td_str(bytes), &r.err), &r.err, key);
}

static void describe(struct manifest_object *o, const char *key, const char *bytes)
{
    o->key = key;
    o->bytes = strlen(bytes);
    EVP_Digest(bytes, o->bytes, o->sha256, NULL, EVP_sha256(), NULL);
}

/* One node with one segment, whose objects are put. */
static struct manifest *make(const char *id, const char *name, int64_t created_ns)
{
    struct manifest *m = manifest_new();
    struct manifest_node *n = arena_alloc(&m->arena, sizeof(*n), 16);
    struct manifest_segment *s = arena_alloc(&m->arena, sizeof(*s), 16);
    snprintf(m->id, sizeof(m->id), "%s", id);
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->version = "0.4";
    m->created_ns = m->completed_ns = created_ns;
    m->start_ns = RIG_T0;
    m->end_ns = RIG_T0 + 100;
    m->nodes = n;
    m->node_count = 1;
    *n = (struct manifest_node){
        .name = "node-1", .covered_from_ns = RIG_T0, .covered_to_ns = RIG_T0 + 100, .segments = s, .segment_count = 1};
    *s = (struct manifest_segment){.sequence = 1, .packets = 1, .captured_bytes = 5, .first_ns = RIG_T0, .last_ns = RIG_T0};
    describe(&s->data, manifest_key(m, "node-1", 1, MANIFEST_PCAPNG), "the data of a segment");
    describe(&s->index, manifest_key(m, "node-1", 1, MANIFEST_INDEX), "its index");
    manifest_sum(m);
    put(id, "node-1/0000000001.pcapng", "the data of a segment");
    put(id, "node-1/0000000001.idx", "its index");
    return m;
}

static void add(const char *id, const char *name, int64_t created_ns)
{
    struct manifest *m = make(id, name, created_ns);
    rig_must(snapshots_reserve(r.snapshots, m->bytes, &r.err), &r.err, "room");
    rig_must(snapshots_add(r.snapshots, m, &r.err), &r.err, name);
}

static struct snapshots_room room_now(void)
{
    struct snapshots_room room;
    snapshots_room(r.snapshots, &room);
    return room;
}

#define ID_A "20230101T000000Z-0000000a"
#define ID_B "20230102T000000Z-0000000b"
#define ID_C "20230103T000000Z-0000000c"

/* ---- Adding, listing, loading ---- */

static void test_add(void)
{
    struct snapshot **all;
    size_t n;
    snapshot_rig_load(&r, MIB, NULL, NULL);
    add(ID_A, "first", 100);
    add(ID_B, "second", 300);
    struct snapshots_room before = room_now();
    ok(before.reserved == 0 && before.used > 60, "bytes that were reserved are used: %llu", (unsigned long long)before.used);
    struct manifest *m = make(ID_C, "first", 200);
    is_int(snapshots_add(r.snapshots, m, &r.err), TD_E_EXISTS, "a name is taken once");
    snprintf(m->name, sizeof(m->name), "third");
    m->packets++;
    is_int(snapshots_add(r.snapshots, m, &r.err), TD_E_INTERNAL, "a manifest that could not be read is not written");
    like(r.err.text, "packets", "and the error says why");
    manifest_free(m);
    is_int(snapshots_clean(r.snapshots, ID_C, &r.err), TD_OK, "its objects are removed");
    is_int(rig_objects(&r, ID_C), 0, "all of them");
    is_int(snapshots_clean(r.snapshots, ID_A, &r.err), TD_E_EXISTS, "those of a snapshot are not");
    is_int(snapshots_clean(r.snapshots, "..", &r.err), TD_E_CONFIG, "nor anything else");
    snapshot_rig_load(&r, MIB, NULL, NULL);
    ok(room_now().used == before.used, "after a restart as many bytes are used");
    rig_must(snapshots_pin_all(r.snapshots, &all, &n, &r.err), &r.err, "all");
    ok(n == 2 && strcmp(snapshot_manifest(all[0])->name, "second") == 0 && strcmp(snapshot_manifest(all[1])->name, "first") == 0,
       "both are there, the newest first");
    for (size_t i = 0; i < n; i++)
        snapshot_unpin(all[i]);
    mem_free(all);
    ok(!snapshots_pin(r.snapshots, "third"), "what is not there cannot be pinned");
}

static bool is_b(void *ctx, const char *id)
{
    (void)ctx;
    return strcmp(id, ID_B) == 0;
}

/* What a crash leaves, and what is not ours. */
static void test_orphans(void)
{
    is_int(snapshots_delete(r.snapshots, "second", &r.err), TD_OK, "one is deleted");
    manifest_free(make(ID_B, "unfinished", 1));
    manifest_free(make(ID_C, "unfinished", 1));
    put(ID_C, "dissections/x.calls", "calls");
    put("20230104T000000Z-0000000d", "manifest.json", "{}");
    put("20230104T000000Z-0000000d", "node-1/0000000001.pcapng", "?");
    put("20230105T000000Z-0000000e", "node-1/0000000001.pcapng", "");
    rig_must(storage_put_bytes(r.storage, "notes/from/somebody", td_str("hello"), &r.err), &r.err, "a foreign object");
    rig_must(storage_put_bytes(r.storage, "readme", td_str("hello"), &r.err), &r.err, "a foreign object");
    rig_must(storage_put_bytes(r.storage, STORAGE_TRIAL "0123456789abcdef", td_str("hello"), &r.err), &r.err, "what a trial has left");
    struct buf other = {.n = 0};
    rig_must(storage_get_bytes(r.storage, ID_A "/manifest.json", MIB, &other, &r.err), &r.err, "a manifest");
    rig_must(storage_put_bytes(r.storage, "20230106T000000Z-0000000f/manifest.json", buf_slice(&other), &r.err), &r.err, "a copy");
    buf_clear(&other);
    snapshot_rig_load(&r, MIB, is_b, NULL);
    is_int(rig_objects(&r, ID_A), 3, "a snapshot stays");
    is_int(rig_objects(&r, ID_B), 2, "as does what a job goes on with");
    is_int(rig_objects(&r, ID_C), 0, "orphans go");
    is_int(rig_objects(&r, "20230105T000000Z-0000000e"), 0, "empty ones, too");
    is_int(rig_objects(&r, "20230104T000000Z-0000000d"), 2, "a snapshot whose manifest cannot be read is left alone");
    is_int(rig_objects(&r, "20230106T000000Z-0000000f"), 1, "as is one with the manifest of another");
    is_int(rig_objects(&r, "notes/") + rig_objects(&r, "readme"), 2, "and what is not ours");
    is_int(rig_objects(&r, STORAGE_TRIAL), 0, "but what a trial of the storage left, when the hub was killed, goes");
    struct snapshot *s = snapshots_pin(r.snapshots, "first");
    ok(s && snapshots_has_id(r.snapshots, ID_A) && !snapshots_has_id(r.snapshots, ID_B), "only whole ones are there");
    if (s)
        snapshot_unpin(s);
    snapshot_rig_load(&r, MIB, NULL, NULL);
    is_int(rig_objects(&r, ID_B), 0, "without its job it is an orphan");
    rig_must(storage_remove(r.storage, "notes/from/somebody", &r.err), &r.err, "removed");
    rig_must(storage_remove(r.storage, "readme", &r.err), &r.err, "removed");
}

/* ---- Room ---- */

static void test_room(void)
{
    uint64_t used = room_now().used;
    is_int(snapshots_reserve(r.snapshots, MIB, &r.err), TD_E_LIMIT, "more than there is cannot be reserved");
    like(r.err.text, "tap.snapshots.local.storageSize", "what to do is told");
    is_int(snapshots_reserve(r.snapshots, MIB - used, &r.err), TD_OK, "all that is left can");
    is_int(snapshots_reserve(r.snapshots, 1, &r.err), TD_E_LIMIT, "and then not a byte");
    is_int(snapshots_reserve(r.snapshots, UINT64_MAX, &r.err), TD_E_LIMIT, "nor very many");
    snapshots_release(r.snapshots, MIB - used);
    ok(room_now().reserved == 0 && room_now().used == used, "given back, it is free");
    snapshots_release(r.snapshots, 5);
    is_int(room_now().reserved, 0, "never less than nothing is reserved");
    snapshots_set_limit(r.snapshots, used / 2);
    ok(room_now().limit == used / 2 && room_now().used == used, "a limit can be set, also below what is there");
    is_int(snapshots_reserve(r.snapshots, 1, &r.err), TD_E_LIMIT, "then there is no room");
    snapshots_take(r.snapshots, MIB);
    ok(room_now().reserved == MIB, "but what is there already counts");
    snapshots_release(r.snapshots, MIB);
    snapshots_set_limit(r.snapshots, MIB);
    is_int(snapshots_reserve(r.snapshots, MIB - used, &r.err), TD_OK, "until it is raised");
    snapshots_release(r.snapshots, MIB - used);
}

/* ---- Deleting ---- */

static void *unpin_later(void *s)
{
    usleep(100000);
    snapshot_unpin(s);
    return NULL;
}

static void test_delete(void)
{
    pthread_t thread;
    uint64_t used = room_now().used;
    add(ID_B, "second", 300);
    is_int(snapshots_delete(r.snapshots, "nobody", &r.err), TD_E_NOT_FOUND, "what is not there is not deleted");
    struct snapshot *s = snapshots_pin(r.snapshots, "second");
    is_int(snapshots_delete(r.snapshots, "second", &r.err), TD_E_RETRY, "nor what is in use");
    is_int(rig_objects(&r, ID_B), 3, "it is untouched");
    pthread_create(&thread, NULL, unpin_later, s);
    is_int(snapshots_delete(r.snapshots, "second", &r.err), TD_OK, "a short use is waited for");
    pthread_join(thread, NULL);
    ok(rig_objects(&r, ID_B) == 0 && !snapshots_pin(r.snapshots, "second"), "it is gone");
    ok(room_now().used == used, "and its room is free");
    add(ID_C, "second", 300);
    ok(snapshots_has_name(r.snapshots, "second"), "its name can be used again");
    is_int(snapshots_delete(r.snapshots, "second", &r.err), TD_OK, "and deleted");
}

/* ---- Verifying ---- */

static struct buf told;
static uint64_t told_done, told_all;

static bool on_progress(void *ctx, uint64_t done, uint64_t all)
{
    told_done = done;
    told_all = all;
    return !ctx;
}

static void on_told(void *ctx, const char *key, const char *what)
{
    (void)ctx;
    buf_printf(&told, "%s: %s\n", key, what);
}

static void verify(const char *expected, const char *what)
{
    struct snapshot *s = snapshots_pin(r.snapshots, "first");
    buf_reset(&told);
    is_int(snapshot_verify(s, on_progress, on_told, NULL, &r.err), *expected ? TD_E_CORRUPT : TD_OK, "%s", what);
    is_str(buf_cstr(&told), expected, "%s: told", what);
    snapshot_unpin(s);
}

static void test_verify(void)
{
    verify("", "as it should be");
    ok(told_done == told_all && told_all == 30, "progress ends with all: %llu of %llu", (unsigned long long)told_done,
       (unsigned long long)told_all);
    put(ID_A, "node-1/0000000001.pcapng", "the data of a segmenT");
    verify("node-1/0000000001.pcapng: its SHA-256 is another one\n", "a bit");
    put(ID_A, "node-1/0000000001.pcapng", "the data of a segmen");
    verify("node-1/0000000001.pcapng: has 20 bytes instead of 21\n", "a byte less");
    rig_must(storage_remove(r.storage, ID_A "/node-1/0000000001.idx", &r.err), &r.err, "removed");
    verify("node-1/0000000001.pcapng: has 20 bytes instead of 21\nnode-1/0000000001.idx: is missing\n", "an object is missing");
    like(r.err.text, "2 objects; node-1/0000000001.pcapng: has 20", "the error names the first");
    put(ID_A, "node-1/0000000001.pcapng", "the data of a segment");
    put(ID_A, "node-1/0000000001.idx", "its index");
    struct buf json = {.n = 0};
    rig_must(storage_get_bytes(r.storage, ID_A "/manifest.json", MIB, &json, &r.err), &r.err, "the manifest");
    char *at = strstr(buf_cstr(&json), "\"version\":\"0.4\"");
    at[13] = '5';
    rig_must(storage_put_bytes(r.storage, ID_A "/manifest.json", buf_slice(&json), &r.err), &r.err, "another manifest");
    verify("manifest.json: is another one than it was\n", "the manifest was changed");
    at[13] = '4';
    rig_must(storage_put_bytes(r.storage, ID_A "/manifest.json", buf_slice(&json), &r.err), &r.err, "the manifest");
    buf_clear(&json);
    verify("", "mended");
    struct snapshot *s = snapshots_pin(r.snapshots, "first");
    is_int(snapshot_verify(s, on_progress, NULL, &told, &r.err), TD_E_CANCELLED, "it can be stopped");
    snapshot_unpin(s);
}

/* ---- Dissections ---- */

static int list_one(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    buf_printf(ctx, "%s %llu %d\n", name, (unsigned long long)bytes, mtime_ns > RIG_T0);
    return TD_OK;
}

static void test_dissections(void)
{
    char path[STORAGE_MAX_PATH];
    struct buf list = {.n = 0};
    struct snapshot *s = snapshots_pin(r.snapshots, "first");
    uint64_t used = room_now().used;
    int dir = open(r.work, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = openat(dir, "calls", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    ok(fd >= 0 && write(fd, "some calls", 10) == 10, "a file of calls");
    close(fd);
    rig_must(snapshots_reserve(r.snapshots, 20, &r.err), &r.err, "room");
    is_int(snapshot_add_dissection(s, "main", dir, "calls", &r.err), TD_OK, "a dissection is added");
    ok(room_now().used == used + 10 && room_now().reserved == 10, "its bytes are used");
    is_int(snapshot_add_dissection(s, "main", dir, "calls", &r.err), TD_OK, "again, it is replaced");
    ok(room_now().used == used + 10 && room_now().reserved == 0, "and counts once");
    is_int(snapshot_add_dissection(s, "../x", dir, "calls", &r.err), TD_E_CONFIG, "a bad name is refused");
    is_int(snapshot_add_dissection(s, "other", dir, "nothing", &r.err), TD_E_NOT_FOUND, "as is a file that is not there");
    rig_must(snapshot_list_dissections(s, list_one, &list, &r.err), &r.err, "listed");
    is_str(buf_cstr(&list), "main 10 1\n", "it is listed");
    ok(snapshot_dissection_path(s, "main", path) && access(path, R_OK) == 0, "it has a file");
    ok(!snapshot_dissection_path(s, "other", path), "another has none");
    snapshot_unpin(s);
    verify("", "a dissection is no matter of the manifest");
    snapshot_rig_load(&r, MIB, NULL, NULL);
    ok(room_now().used == used + 10, "after a restart it counts");
    s = snapshots_pin(r.snapshots, "first");
    is_int(snapshot_remove_dissection(s, "main", &r.err), TD_OK, "it is removed");
    is_int(snapshot_remove_dissection(s, "main", &r.err), TD_E_NOT_FOUND, "once");
    ok(room_now().used == used, "and its room is free");
    snapshot_unpin(s);
    close(dir);
    buf_clear(&list);
}

/* As a hub that is used for years has them. */
static void test_many(void)
{
    enum { MANY = 300 };
    char id[MANIFEST_ID], name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "20240101T000000Z-%08x", i);
        snprintf(name, sizeof(name), "many-%d", i);
        add(id, name, RIG_T0 + i);
    }
    uint64_t used = room_now().used;
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    snapshot_rig_load(&r, MIB, NULL, NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    tap_diag("%d snapshots were loaded in %.3f s", MANY, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    struct snapshot *s = snapshots_pin(r.snapshots, "many-277");
    ok(s && room_now().used == used, "%d snapshots are loaded", MANY);
    snapshot_unpin(s);
}

int main(void)
{
    snapshot_rig_open(&r, false);
    test_add();
    test_orphans();
    test_room();
    test_delete();
    test_verify();
    test_dissections();
    test_many();
    buf_clear(&told);
    snapshot_rig_close(&r);
    return tap_done();
}
