/* What others do to a snapshot while it is on its way, what they refuse, and what they lose. */
#include <pthread.h>
#include <time.h>

#include "cloud/cloud_internal.h"
#include "cloud_rig.h"

#define ID_A "20230101T000000Z-0000000a"
#define ID_B "20230102T000000Z-0000000b"
#define ID_C "20230103T000000Z-0000000c"
#define THERE "production/hub/" ID_A "/"

enum { SEGMENTS = 2, OBJECTS = 2 * 2 * SEGMENTS + 1, BYTES = 100000, PATIENCE_MS = 1000 };

static struct hub_rig a, b;

/* Of a transfer that ended, or was killed. */
static int leave_work(const char *id, const char *file)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s.upload", a.work, id);
    (void)mkdir(path, 0750);
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    int fd = file ? openat(dir, file, O_WRONLY | O_CREAT, 0640) : -1;
    if (dir < 0 || (file && (fd < 0 || close(fd) != 0)))
        exit(1);
    return dir;
}

static struct storage *open_beside(const char *what)
{
    char path[96];
    struct storage *s;
    snprintf(path, sizeof(path), "%s-%s", t.bucket, what);
    must(storage_open_local(t.registry, &t.host, path, &s, &t.err), what);
    return s;
}

/* Its thread has asked, and does not come again: what the fake cloud does is only changed by us from here on. */
static void settle(struct cloud *c)
{
    cloud_refresh_soon(c, 10 * (int64_t)NS_PER_S);
}

static void start_over(void)
{
    fake_reset();
    must(cloud_remove(a.cloud, ID_A, NULL, &t.err), "removed there");
    must(hub_upload(&a, "first", NULL, NULL), "uploaded");
    if (snapshots_has_name(b.snapshots, "first"))
        must(snapshots_delete(b.snapshots, "first", &t.err), "deleted here");
}

/* ---- Two hubs, one of which gives up ---- */

static struct buf manifest;
static bool removing_fails;

static void end_upload(const char *verb, const char *key)
{
    struct error err;
    if (!is_time(verb, key))
        return;
    if (storage_put_bytes(t.seen, THERE "manifest.json", buf_slice(&manifest), &err) != TD_OK)
        abort();
    if (removing_fails)
        atomic_store(&fake.now->fail_in, 1);
}

static void begin_to_give_up(bool fails)
{
    start_over();
    buf_reset(&manifest);
    must(storage_get_bytes(t.seen, THERE "manifest.json", 1 << 20, &manifest, &t.err), "a manifest");
    must(storage_remove(t.seen, THERE "manifest.json", &t.err), "is not there yet");
    close(leave_work(ID_A, NULL));
    removing_fails = fails;
    set_meddler(end_upload, "remove", ID_A, 1);
}

static void test_torn(void)
{
    begin_to_give_up(true);
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_E_EXISTS, "while objects are removed the manifest comes");
    like(t.err.text, "uploading it once more", "which is told");
    is_int(cloud_count(ID_A), OBJECTS, "with the next try none is removed any more");
    ok(work_is_empty(&a), "nothing is left of it");
    begin_to_give_up(false);
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_E_EXISTS, "what was removed by then");
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_E_CORRUPT, "is missing");
    fake.before = NULL;
    must(hub_upload(&a, "first", NULL, NULL), "until it is uploaded once more");
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "and whole");
    close(leave_work(ID_A, "removing"));
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_E_EXISTS, "also if it was killed while it removed");
    close(leave_work(ID_A, NULL));
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_OK, "but not if it had not begun");
    ok(work_is_empty(&a), "nothing is left of that");
}

/* The thread that asks has read the manifest before it went, and is late. */
static void list_again(const char *verb, const char *key)
{
    struct error err;
    struct snapshot *s = is_time(verb, key) ? snapshots_pin(a.snapshots, "first") : NULL;
    if (s && catalog_add(a.cloud, snapshot_manifest(s), false, &err) != TD_OK)
        abort();
    if (s)
        snapshot_unpin(s);
}

static void test_listed_again(void)
{
    start_over();
    set_meddler(list_again, "remove", "node-1/", 1);
    must(cloud_remove(a.cloud, ID_A, NULL, &t.err), "removed");
    struct cloud_snapshot *there = cloud_pin(a.cloud, ID_A);
    ok(!there && atomic_load(&meddler.left) <= 0, "what was removed is not listed, though its manifest was read before");
    if (there)
        cloud_snapshot_unpin(there);
}

/* ---- What is refused ---- */

static void test_refused_sweep(void)
{
    start_over();
    fake.denied_verbs = "sweep";
    fake.denied_key = ID_A;
    is_int(hub_upload(&a, "first", NULL, NULL), TD_OK, "without the right to list unfinished puts it is uploaded");
    must(storage_remove(t.seen, THERE "manifest.json", &t.err), "torn");
    close(leave_work(ID_A, NULL));
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_OK, "given up");
    ok(cloud_count(ID_A) == 0 && work_is_empty(&a), "to its end");
    is_int(cloud_remove(a.cloud, ID_A, NULL, &t.err), TD_OK, "and removed");
}

/* Puts of an earlier configuration. */
static void leave_put(void)
{
    struct storage *parts = open_beside("parts");
    struct put_state s = {.key = "elsewhere/" ID_A "/node-1/0000000001.pcapng", .bytes = 9, .text = "u1"};
    int dir = leave_work(ID_A, NULL);
    must(put_state_save(dir, &s, &t.err), "a state");
    must(storage_put_bytes(parts, "elsewhere/" ID_A "/node-1/0000000001.pcapng/u1/00000", td_str("part"), &t.err), "a part");
    storage_close(parts);
    close(dir);
}

static void test_other_prefix(void)
{
    struct transfer_result r;
    start_over();
    leave_put();
    is_int(cloud_parts(), 1, "a part under another prefix");
    atomic_store(&fake.now->fail_in, 3); /* behind the manifest and its sum */
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.retries == 1, "is given up by the next upload: %s", t.err.text);
    ok(cloud_parts() == 0 && work_is_empty(&a), "also if that fails in passing");
    leave_put();
    fake.denied_verbs = "forget";
    fake.denied_key = "elsewhere";
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && work_is_empty(&a), "if it may not be, it stays there: %s", t.err.text);
    leave_put();
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_OK, "which keeps nobody from cleaning up, either");
    ok(cloud_parts() == 1 && work_is_empty(&a), "it is still there");
    leave_put();
    fake_reset();
    must(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), "cleaned");
    is_int(cloud_parts(), 0, "until it may");
}

/* ---- A cloud that is away while somebody cleans up ---- */

static atomic_bool cancel;

static void *come_back(void *arg)
{
    (void)arg;
    usleep(PATIENCE_MS * 1500);
    atomic_store(&fake.now->down, false);
    return NULL;
}

static void *cancel_soon(void *arg)
{
    (void)arg;
    usleep(100000);
    atomic_store(&cancel, true);
    return NULL;
}

static void test_clean_waits(void)
{
    const struct transfer tr = {.cancel = &cancel};
    pthread_t thread;
    start_over();
    must(storage_remove(t.seen, THERE "manifest.json", &t.err), "an upload");
    close(leave_work(ID_A, NULL));
    atomic_store(&fake.now->down, true);
    is_int(cloud_clean_upload(a.cloud, ID_A, NULL, &t.err), TD_E_RETRY, "who cleans up does not wait long for a cloud that is away");
    pthread_create(&thread, NULL, cancel_soon, NULL);
    is_int(cloud_clean_upload(a.cloud, ID_A, &tr, &t.err), TD_E_CANCELLED, "a job does, until it is cancelled");
    pthread_join(thread, NULL);
    atomic_store(&cancel, false);
    pthread_create(&thread, NULL, come_back, NULL);
    is_int(cloud_clean_upload(a.cloud, ID_A, &tr, &t.err), TD_OK, "or the cloud is back");
    pthread_join(thread, NULL);
    ok(cloud_count(ID_A) == 0 && work_is_empty(&a), "then nothing is left");
}

/* ---- What is damaged here ---- */

static void change_file(const char *path, const char *from, const char *to)
{
    struct buf file = {0};
    char *at = NULL;
    FILE *f = fopen(path, "r+");
    if (f && buf_reserve(&file, 1 << 20))
        file.n = fread(file.p, 1, 1 << 20, f);
    if (file.n)
        at = strstr(buf_cstr(&file), from);
    if (!at || strlen(from) != strlen(to) || fseek(f, at - (char *)file.p, SEEK_SET) != 0 || fputs(to, f) < 0 || fclose(f) != 0)
        exit(1);
    buf_clear(&file);
}

static void test_damaged_manifest(void)
{
    static const struct {
        const char *good, *bad;
    } changes[] = {{"\"0.5\"", "\"0.7\""}, {"\"format\":1", "\"format\":}"}};
    char path[256];
    struct buf there = {0};
    start_over();
    buf_reset(&manifest);
    must(storage_get_bytes(t.seen, THERE "manifest.json", 1 << 20, &manifest, &t.err), "a manifest");
    snprintf(path, sizeof(path), "%s/" ID_A "/manifest.json", a.stored);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        must(storage_remove(t.seen, THERE "manifest.json", &t.err), "not there");
        change_file(path, changes[i].good, changes[i].bad);
        is_int(hub_upload(&a, "first", NULL, NULL), TD_OK, "a manifest that was damaged here since it was read");
        change_file(path, changes[i].bad, changes[i].good);
        buf_reset(&there);
        must(storage_get_bytes(t.seen, THERE "manifest.json", 1 << 20, &there, &t.err), "is uploaded");
        ok(td_eq(buf_slice(&there), buf_slice(&manifest)), "as it was");
    }
    buf_clear(&there);
}

/* ---- Dissections come and go ---- */

static struct storage *sums;

/* As another hub does that uploads one of the same name. */
static void replace_there(const char *verb, const char *key)
{
    enum { OTHER = 5000 };
    static uint8_t bytes[OTHER];
    uint8_t digest[SHA256_BYTES];
    struct error err;
    if (!is_time(verb, key))
        return;
    struct sha256 *hash = sha256_new();
    sha256_begin(hash);
    sha256_add(hash, td_bytes(bytes, OTHER));
    sha256_end(hash, digest);
    sha256_free(hash);
    if (storage_put_bytes(t.seen, key, td_bytes(bytes, OTHER), &err) != TD_OK ||
        storage_put_bytes(sums, key, td_bytes(digest, sizeof(digest)), &err) != TD_OK)
        abort();
}

static void remove_there(const char *verb, const char *key)
{
    struct error err;
    if (is_time(verb, key) && storage_remove(t.seen, key, &err) != TD_OK)
        abort();
}

static void test_dissections_there(void)
{
    struct transfer_result r;
    struct storage_object o = {0};
    struct snapshots_room room;
    const char *const key = ID_A "/dissections/default.calls";
    sums = open_beside("sums");
    hub_add_dissection(&a, "first", "default", 3000, 1);
    start_over();
    set_meddler(replace_there, "head", key, 1);
    ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && hub_has(&b, "first"), "a dissection that is replaced behind the list: %s", t.err.text);
    ok(storage_head(b.storage, key, &o, &t.err) == TD_OK && o.bytes == 5000, "comes whole");
    start_over();
    set_meddler(remove_there, "head", key, 1);
    ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && r.objects == OBJECTS, "one that is deleted is left out: %s", t.err.text);
    static const char *const verbs[] = {"head", "get"};
    for (int i = 0; i < 2; i++) {
        start_over();
        fake.denied_verbs = verbs[i];
        fake.denied_key = key;
        ok(hub_download(&b, ID_A, NULL, &r) == TD_OK && hub_has(&b, "first"), "so is one that may not be read (%s): %s", verbs[i],
           t.err.text);
        is_int(rig_count(b.storage, ID_A "/dissections/"), 0, "and nothing of it is here");
    }
    snapshots_room(b.snapshots, &room);
    ok(room.reserved == 0 && work_is_empty(&b), "no room stays reserved");
    storage_close(sums);
}

/* Files that cannot be linked: something has their names already. */
static void forbid_links(void)
{
    char name[32];
    int dir = leave_work(ID_A, NULL);
    for (int i = 0; i < 2 * OBJECTS; i++) {
        snprintf(name, sizeof(name), "dissection-%d", i);
        (void)mkdirat(dir, name, 0750);
    }
    close(dir);
}

static void replace_here(const char *verb, const char *key)
{
    if (is_time(verb, key))
        hub_add_dissection(&a, "first", "large", 200000, 3);
}

static void delete_here(const char *verb, const char *key)
{
    struct error err;
    struct snapshot *s = is_time(verb, key) ? snapshots_pin(a.snapshots, "first") : NULL;
    if (s && snapshot_remove_dissection(s, "large", &err) != TD_OK)
        abort();
    if (s)
        snapshot_unpin(s);
}

static void test_dissections_here(void)
{
    struct transfer_result r;
    struct storage_object o = {0};
    start_over();
    hub_add_dissection(&a, "first", "large", 150000, 2);
    forbid_links();
    set_meddler(replace_here, "part", "large", 1);
    atomic_store(&fake.now->broken_puts, 1);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.retries, "a dissection that is replaced here while it is sent: %s", t.err.text);
    ok(storage_head(t.seen, THERE "dissections/large.calls", &o, &t.err) == TD_OK && o.bytes == 200000, "is sent as it is then");
    fake.before = NULL;
    ok(hub_download(&b, ID_A, NULL, NULL) == TD_OK && rig_count(b.storage, ID_A "/dissections/") == 2, "and right");
    start_over();
    must(storage_remove(t.seen, THERE "dissections/large.calls", &t.err), "not there");
    forbid_links();
    set_meddler(delete_here, "part", "large", 1);
    atomic_store(&fake.now->broken_puts, 1);
    ok(hub_upload(&a, "first", NULL, &r) == TD_OK && r.objects == OBJECTS + 1, "one that is deleted is left out: %s", t.err.text);
    ok(work_is_empty(&a), "nothing is left of it");
}

/* ---- What the cloud loses ---- */

enum { PARTS = 12, UNTIL = 8 };

static int remove_part(void *ctx, const char *key, const struct storage_object *o)
{
    struct error err;
    (void)o;
    return storage_remove(ctx, key, &err);
}

/* The first put breaks off, and nothing of it is left; the next one breaks off before it has come further. */
static void lose_parts(const char *verb, const char *key)
{
    static atomic_int n;
    struct error err = {0};
    int count = strcmp(verb, "part") == 0 && strstr(key, "huge") ? atomic_fetch_add(&n, 1) + 1 : 0;
    if (count == UNTIL) {
        struct storage *parts = open_beside("parts");
        if (storage_list(parts, "", NULL, remove_part, parts, &err) != TD_OK)
            abort();
        storage_close(parts);
    }
    if (count == UNTIL || count == 2 * UNTIL - 1)
        atomic_store(&fake.now->fail_in, 1);
}

static void test_lost_parts(void)
{
    struct transfer_result r = {0};
    struct snapshot *s = snapshots_pin(a.snapshots, "first");
    struct cloud *c;
    struct cloud_options o = hub_options(&a, "fake");
    start_over();
    hub_add_dissection(&a, "first", "huge", PARTS * FAKE_PART, 4);
    o.retry.patience_ns = 600 * NS_PER_MS;
    must(cloud_open(&o, &c, &t.err), "a cloud that is not waited for long");
    settle(c);
    atomic_store(&fake.now->slow_us, 100000);
    fake.before = lose_parts;
    ok(cloud_upload(c, s, NULL, &r, &t.err) == TD_OK && r.retries == 2, "a put that has to begin anew is given its time anew: %s",
       t.err.text);
    fake_reset();
    cloud_close(c);
    snapshot_unpin(s);
    is_int(cloud_parts(), 0, "no part is left");
}

/* Lists of some clouds lag behind. */
static void test_hidden(void)
{
    start_over();
    fake.hidden_key = "node-1/0000000002.pcapng";
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_OK, "what is not listed, but there, is not missing");
    is_int(hub_download(&b, ID_A, NULL, NULL), TD_OK, "and is downloaded");
    must(storage_remove(t.seen, THERE "node-1/0000000002.pcapng", &t.err), "an object is lost");
    is_int(cloud_verify(b.cloud, ID_A, NULL, NULL, &t.err), TD_E_CORRUPT, "what is neither is");
    fake.hidden_key = NULL;
    must(hub_upload(&a, "first", NULL, NULL), "mended");
}

/* ---- Names, and what is kept of them ---- */

static void test_node_names(void)
{
    static const char *const names[] = {"ranges", "ranges.new"};
    static const char *const ids[] = {ID_B, ID_C};
    for (int i = 0; i < 2; i++) {
        fake_reset();
        a.first_node = names[i];
        hub_make(&a, ids[i], names[i], 1, BYTES);
        must(hub_upload(&a, names[i], NULL, NULL), "uploaded");
        ok(hub_download(&b, ids[i], NULL, NULL) == TD_OK && hub_has(&b, names[i]), "a node may be called %s: %s", names[i], t.err.text);
    }
    a.first_node = NULL;
}

static void test_brief(void)
{
    struct manifest *m = manifest_new(), *brief;
    struct manifest_node node = {.name = "n", .context = {.key = "n/context.pcapng", .bytes = 7}};
    m->nodes = &node;
    m->node_count = 1;
    m->version = "1";
    brief = catalog_brief(m);
    ok(brief && brief->node_count == 1 && strcmp(brief->nodes[0].name, "n") == 0, "what the catalog keeps");
    ok(brief && !brief->nodes[0].context.key, "points to nothing of the manifest");
    manifest_free(brief);
    manifest_free(m);
}

int main(void)
{
    rig_begin();
    hub_open(&a, "a");
    hub_open(&b, "b");
    settle(a.cloud);
    settle(b.cloud);
    hub_make(&a, ID_A, "first", SEGMENTS, BYTES);
    test_torn();
    test_listed_again();
    test_refused_sweep();
    test_other_prefix();
    test_clean_waits();
    test_damaged_manifest();
    test_hidden();
    test_dissections_there();
    test_dissections_here();
    test_lost_parts();
    test_node_names();
    test_brief();
    buf_clear(&manifest);
    hub_close(&a);
    hub_close(&b);
    rig_end();
    return tap_done();
}
