/* Which snapshots are in the cloud: as hubs see it that share a prefix, with what is foreign or damaged beside them. */
#include "cloud/cloud_internal.h"
#include "cloud_rig.h"

#define ID_A "20230101T000000Z-0000000a"
#define ID_B "20230102T000000Z-0000000b"
#define ID_C "20230103T000000Z-0000000c"
#define PREFIX "production/hub/"

static struct hub_rig a, b;

static size_t listed(struct hub_rig *h)
{
    struct cloud_status s;
    cloud_status(h->cloud, &s);
    return s.snapshots;
}

static void put(const char *key, const char *text)
{
    must(storage_put_bytes(t.seen, key, td_str(text), &t.err), key);
}

/* ---- Opening ---- */

static void try_prefix(const char *prefix, int want)
{
    struct cloud *c = NULL;
    struct cloud_options o = hub_options(&a, "fake");
    o.prefix = prefix;
    int status = cloud_open(&o, &c, &t.err);
    is_int(status, want, "prefix \"%.40s\"%s%s", prefix, status ? ": " : "", status ? t.err.text : "");
    cloud_close(c);
}

static void test_open(void)
{
    char longest[CLOUD_PREFIX + 2];
    memset(longest, 'x', sizeof(longest));
    for (size_t i = 100; i < sizeof(longest); i += 100)
        longest[i] = '/';
    longest[CLOUD_PREFIX - 2] = '/';
    longest[CLOUD_PREFIX - 1] = 0;
    try_prefix("", TD_OK);
    try_prefix("a/", TD_OK);
    try_prefix("a/b c/\xc3\xa4/", TD_OK);
    try_prefix(longest, TD_OK);
    longest[CLOUD_PREFIX - 1] = 'x';
    longest[CLOUD_PREFIX] = '/';
    longest[CLOUD_PREFIX + 1] = 0;
    try_prefix(longest, TD_E_CONFIG);
    try_prefix("a", TD_E_CONFIG);
    try_prefix("/", TD_E_CONFIG);
    try_prefix("/a/", TD_E_CONFIG);
    try_prefix("a//", TD_E_CONFIG);
    try_prefix("../a/", TD_E_CONFIG);
    try_prefix("a/.b/", TD_E_CONFIG);
    try_prefix("a\x7f/", TD_E_CONFIG);
}

static void test_away(void)
{
    struct cloud *c = NULL;
    struct cloud_status s;
    struct cloud_options o = hub_options(&a, "fake");
    atomic_store(&fake.now->down, true);
    is_int(cloud_open(&o, &c, &t.err), TD_E_RETRY, "a cloud that is away is told: %s", t.err.text);
    o = hub_options(&a, "fake");
    o.may_be_away = true;
    o.refresh_ns = 10 * NS_PER_MS;
    is_int(cloud_open(&o, &c, &t.err), TD_OK, "unless it may be");
    cloud_status(c, &s);
    ok(!s.connected && *s.error && s.asked_ns, "then the status tells it: %s", s.error);
    uint64_t version = cloud_version(c);
    atomic_store(&fake.now->down, false);
    for (int i = 0; i < 500 && !s.connected; i++) {
        usleep(10000);
        cloud_status(c, &s);
    }
    ok(s.connected && cloud_version(c) > version, "and that it is back, which is found out without asking");
    cloud_close(c);
}

/* ---- Listing ---- */

static void test_listing(void)
{
    struct cloud_snapshot **all;
    size_t n;
    hub_make(&a, ID_A, "one", 1, 100);
    hub_make(&a, ID_B, "two", 1, 100);
    uint64_t version = cloud_version(a.cloud);
    must(hub_upload(&a, "one", NULL, NULL), "uploaded");
    ok(listed(&a) == 1 && listed(&b) == 0 && cloud_version(a.cloud) > version, "whoever uploads knows at once");
    must(cloud_refresh(b.cloud, &t.err), "asked");
    is_int(listed(&b), 1, "the others when they ask");
    must(hub_upload(&a, "two", NULL, NULL), "uploaded");
    unsigned long gets = atomic_load(&fake.now->gets);
    must(cloud_refresh(b.cloud, &t.err), "asked");
    is_int(atomic_load(&fake.now->gets) - gets, 1, "only the new manifest is read");
    version = cloud_version(b.cloud);
    must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(atomic_load(&fake.now->gets) - gets == 1 && cloud_version(b.cloud) == version, "and none if there is none");
    must(cloud_pin_all(b.cloud, &all, &n, &t.err), "all");
    ok(n == 2 && strcmp(cloud_snapshot_manifest(all[0])->id, ID_B) == 0, "the newest is the first");
    struct cloud_status s;
    cloud_status(b.cloud, &s);
    ok(s.bytes == cloud_snapshot_manifest(all[0])->bytes + cloud_snapshot_manifest(all[1])->bytes && strcmp(s.prefix, PREFIX) == 0,
       "their bytes are counted");
    must(cloud_remove(a.cloud, ID_B, NULL, &t.err), "removed");
    ok(listed(&a) == 1 && listed(&b) == 2, "whoever removes knows at once");
    must(cloud_refresh(b.cloud, &t.err), "asked");
    is_int(listed(&b), 1, "the others when they ask");
    const struct manifest *m = cloud_snapshot_manifest(all[0]);
    ok(strcmp(m->name, "two") == 0 && m->node_count == 2 && strcmp(m->nodes[1].name, "node-1-b") == 0 && !m->nodes[1].segment_count,
       "what is pinned stays readable");
    for (size_t i = 0; i < n; i++)
        cloud_snapshot_unpin(all[i]);
    mem_free(all);
    ok(!cloud_pin(b.cloud, ID_B) && !cloud_pin_name(b.cloud, "two", &n) && n == 0, "and is not found any more");
}

/* Two hubs that were never connected may choose one name. */
static void test_same_name(void)
{
    size_t n;
    hub_make(&b, ID_C, "one", 1, 100);
    must(hub_upload(&b, "one", NULL, NULL), "uploaded");
    must(cloud_refresh(a.cloud, &t.err), "asked");
    struct cloud_snapshot *s = cloud_pin_name(a.cloud, "one", &n);
    ok(s && n == 2 && strcmp(cloud_snapshot_manifest(s)->id, ID_C) == 0, "of two of one name the newest is taken, and their number told");
    if (s)
        cloud_snapshot_unpin(s);
    must(cloud_remove(a.cloud, ID_C, NULL, &t.err), "removed");
}

static void test_foreign(void)
{
    struct buf manifest = {0};
    must(cloud_refresh(a.cloud, &t.err), "asked");
    size_t before = listed(&a);
    log_set_level(TD_LOG_ERROR);
    must(storage_get_bytes(t.seen, PREFIX ID_A "/manifest.json", 1 << 20, &manifest, &t.err), "a manifest");
    put(PREFIX "notes/from/somebody", "hello");
    put(PREFIX "readme", "hello");
    put(PREFIX "20230105T000000Z-0000000e/manifest.json", "{}");
    put(PREFIX "20230106T000000Z-0000000f/manifest.json", "{\"format\": 99}");
    must(storage_put_bytes(t.seen, PREFIX "20230107T000000Z-00000010/manifest.json", buf_slice(&manifest), &t.err), "that of another");
    put(PREFIX "20230108T000000Z-00000011/node-1/0000000001.pcapng", "not whole");
    put("20230109T000000Z-00000012/manifest.json", "of another prefix");
    unsigned long gets = atomic_load(&fake.now->gets);
    is_int(cloud_refresh(a.cloud, &t.err), TD_OK, "what is foreign or damaged keeps nobody from the rest: %s", t.err.text);
    is_int(listed(&a), before, "and is not listed");
    is_int(atomic_load(&fake.now->gets) - gets, 8, "each manifest is read; three times if it may have come damaged, as no sum is kept");
    must(cloud_refresh(a.cloud, &t.err), "asked");
    is_int(atomic_load(&fake.now->gets) - gets, 9, "and not again, but for one that is not there");
    uint8_t *p = memmem(manifest.p, manifest.n, ID_A, sizeof(ID_A) - 1);
    if (p)
        memcpy(p, "20230107T000000Z-00000010", sizeof(ID_A) - 1);
    must(storage_put_bytes(t.seen, PREFIX "20230107T000000Z-00000010/manifest.json", buf_slice(&manifest), &t.err), "mended");
    must(cloud_refresh(a.cloud, &t.err), "asked");
    is_int(listed(&a), before + 1, "what was mended is there");
    buf_clear(&manifest);
}

/* ---- Many, of which nothing is read but the manifests ---- */

enum { MANY = 40 };

static const char *many_id(unsigned i, char out[MANIFEST_ID])
{
    snprintf(out, MANIFEST_ID, "20230201T%06uZ-000000ff", i % 60);
    return out;
}

static const char *many_key(unsigned i, char out[128])
{
    char id[MANIFEST_ID];
    snprintf(out, 128, PREFIX "%s/manifest.json", many_id(i, id));
    return out;
}

static void put_many(const struct buf *manifest, unsigned i, size_t padding)
{
    char key[128], id[MANIFEST_ID];
    struct buf own = {0};
    buf_put_slice(&own, buf_slice(manifest));
    uint8_t *p = memmem(own.p, own.n, ID_A, sizeof(ID_A) - 1);
    if (p)
        memcpy(p, many_id(i, id), sizeof(ID_A) - 1);
    for (size_t k = 0; k < padding; k++)
        buf_putc(&own, ' ');
    must(storage_put_bytes(t.seen, many_key(i, key), buf_slice(&own), &t.err), "a manifest");
    buf_clear(&own);
}

static bool is_listed(struct hub_rig *h, unsigned i)
{
    char id[MANIFEST_ID];
    struct cloud_snapshot *s = cloud_pin(h->cloud, many_id(i, id));
    if (s)
        cloud_snapshot_unpin(s);
    return s;
}

/* A folder outlives its manifest where a removal was cut short, or something foreign lies in it. */
static void test_looked_again(size_t before)
{
    char key[128];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), PREFIX "20230201T%06uZ-000000ff/foreign", i);
        put(key, "");
        must(storage_remove(t.seen, many_key(i, key), &t.err), "removed");
    }
    unsigned long heads = atomic_load(&fake.now->heads);
    must(cloud_refresh(a.cloud, &t.err), "asked");
    ok(atomic_load(&fake.now->heads) - heads < MANY && listed(&a) < before + MANY, "some are looked at again: %zu are left",
       listed(&a) - before);
    for (int i = 0; i < 3; i++)
        must(cloud_refresh(a.cloud, &t.err), "asked");
    is_int(listed(&a), before, "in turn all");
}

static void test_many(void)
{
    struct buf manifest = {0};
    char key[128], id[MANIFEST_ID];
    must(storage_get_bytes(t.seen, PREFIX ID_A "/manifest.json", 1 << 20, &manifest, &t.err), "a manifest");
    must(cloud_refresh(a.cloud, &t.err), "asked");
    size_t before = listed(&a);
    for (unsigned i = 0; i < MANY; i++)
        put_many(&manifest, i, i % 10 ? 0 : 5 << 20);
    fake.denied_key = many_key(7, key);
    is_int(cloud_refresh(a.cloud, &t.err), TD_OK, "a manifest that may not be read keeps nobody from the rest: %s", t.err.text);
    ok(listed(&a) == before + MANY - 1 && !is_listed(&a, 7), "which are listed, large ones among them");
    fake.denied_key = NULL;
    must(cloud_refresh(a.cloud, &t.err), "asked");
    ok(is_listed(&a, 7), "and it is, as soon as it may be");

    b.cloud->most = 10;
    must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(listed(&b) == 10 && is_listed(&b, MANY - 1) && !is_listed(&b, MANY - 11), "the newest are listed where there are too many");
    must(storage_remove(t.seen, many_key(MANY - 1, key), &t.err), "removed");
    must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(listed(&b) == 10 && !is_listed(&b, MANY - 1) && is_listed(&b, MANY - 11), "what is gone makes room");
    b.cloud->most = CLOUD_MAX_SNAPSHOTS;
    b.cloud->most_bytes = b.cloud->bytes + 2 * b.cloud->bytes / 10;
    must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(listed(&b) == 12 && is_listed(&b, MANY - 2) && b.cloud->bytes <= b.cloud->most_bytes, "also where memory would be too little: %zu",
       listed(&b));
    put_many(&manifest, MANY - 1, 0);
    must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(listed(&b) == 12 && is_listed(&b, MANY - 1), "the oldest makes room for a new one");
    unsigned long gets = atomic_load(&fake.now->gets);
    must(cloud_refresh(b.cloud, &t.err), "asked");
    is_int(atomic_load(&fake.now->gets) - gets, 0, "and is not read again and again");
    b.cloud->most_bytes = CLOUD_MAX_BRIEFS;
    must(cloud_refresh(b.cloud, &t.err), "asked");
    is_int(listed(&b), before + MANY, "all, where there is room");

    must(storage_remove(t.seen, many_key(3, key), &t.err), "removed");
    is_int(cloud_look(b.cloud, many_id(4, id), NS_PER_S, &t.err), TD_OK, "one that is there");
    is_int(cloud_look(b.cloud, many_id(3, id), NS_PER_S, &t.err), TD_E_NOT_FOUND, "one that is not there any more");
    ok(!is_listed(&b, 3) && is_listed(&b, 4), "is not listed from then on");
    atomic_store(&fake.now->down, true);
    is_int(cloud_look(b.cloud, many_id(4, id), 10 * NS_PER_MS, &t.err), TD_E_RETRY, "of one that cannot be seen");
    ok(is_listed(&b, 4), "nothing is known");
    atomic_store(&fake.now->down, false);
    put_many(&manifest, 3, 0);
    buf_clear(&manifest);
    test_looked_again(before);
}

/* What comes damaged is got again, also if no sum tells that it is. */
static void test_damaged(void)
{
    fake_reset();
    atomic_store(&fake.now->keeps_no_sums, true);
    hub_make(&a, "20230301T000000Z-000000cc", "cut", 1, 100);
    must(hub_upload(&a, "cut", NULL, NULL), "uploaded");
    atomic_store(&fake.now->damaged_gets, 2);
    fake.flipped = 0x80;
    must(cloud_refresh(b.cloud, &t.err), "asked");
    struct cloud_snapshot *s = cloud_pin(b.cloud, "20230301T000000Z-000000cc");
    ok(s, "a manifest that came damaged twice is read the third time");
    if (s)
        cloud_snapshot_unpin(s);
    fake_reset();
}

/* ---- Dissections ---- */

static bool is_dissected(struct hub_rig *h, const char *id)
{
    struct cloud_snapshot *s = cloud_pin(h->cloud, id);
    bool dissected = s && cloud_snapshot_is_dissected(s);
    if (s)
        cloud_snapshot_unpin(s);
    return dissected;
}

static void test_dissected(void)
{
    static const char id[] = "20230302T000000Z-000000dd";
    hub_make(&a, id, "seen", 1, 100);
    must(hub_upload(&a, "seen", NULL, NULL), "uploaded");
    must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(!is_dissected(&a, id) && !is_dissected(&b, id), "one without dissections");
    hub_add_dissection(&a, "seen", "calls", 100, 3);
    uint64_t version = cloud_version(b.cloud);
    must(hub_upload(&a, "seen", NULL, NULL), "uploaded");
    ok(is_dissected(&a, id), "whoever uploads one knows at once");
    for (int i = 0; i < 4; i++)
        must(cloud_refresh(b.cloud, &t.err), "asked");
    ok(is_dissected(&b, id) && cloud_version(b.cloud) > version, "the others when they look at it again");
    must(cloud_refresh(a.cloud, &t.err), "asked");
    ok(is_dissected(&a, id), "which does not make it forgotten");
}

/* ---- Cancelling what waits ---- */

struct waiting {
    struct cloud *cloud;
    struct snapshot *snapshot; /* NULL: it asks */
    atomic_bool cancel, ended;
    int status;
    pthread_t thread;
};

static void *wait_for_cloud(void *arg)
{
    struct waiting *w = arg;
    const struct transfer transfer = {.cancel = &w->cancel};
    struct transfer_result result;
    struct error err;
    w->status =
        w->snapshot ? cloud_upload(w->cloud, w->snapshot, &transfer, &result, &err) : cloud_refresh_unless(w->cloud, &w->cancel, &err);
    atomic_store(&w->ended, true);
    return NULL;
}

static void test_cancel(void)
{
    enum { PATIENCE_S = 20 };
    struct cloud *c = NULL;
    struct cloud_options o = hub_options(&a, "fake");
    struct waiting all[] = {{.snapshot = snapshots_pin(a.snapshots, "one")}, {.snapshot = snapshots_pin(a.snapshots, "two")}, {0}};
    enum { N = sizeof(all) / sizeof(all[0]) };
    atomic_store(&fake.now->down, true);
    o.may_be_away = true;
    o.retry.patience_ns = 10 * NS_PER_MS;
    must(cloud_open(&o, &c, &t.err), "a cloud that is away");
    cloud_refresh_soon(c, NS_PER_S); /* the asker's own question is over */
    c->retry.patience_ns = (int64_t)PATIENCE_S * NS_PER_S;
    for (size_t i = 0; i < N; i++) {
        all[i].cloud = c;
        pthread_create(&all[i].thread, NULL, wait_for_cloud, &all[i]);
        usleep(20000);
    }
    for (size_t i = N; i-- > 0;) { /* the first, for which the others may wait, is the last */
        int64_t began_ns = run_now();
        bool waits = !atomic_load(&all[i].ended);
        atomic_store(&all[i].cancel, true);
        pthread_join(all[i].thread, NULL);
        ok(waits && all[i].status == TD_E_CANCELLED && run_now() - began_ns < (int64_t)2 * NS_PER_S,
           "%s that waits for a cloud that is away can be cancelled", all[i].snapshot ? "an upload" : "a question");
        if (all[i].snapshot)
            snapshot_unpin(all[i].snapshot);
    }
    atomic_store(&fake.now->down, false);
    cloud_close(c);
}

/* ---- What this hub does while it asks ---- */

static struct {
    atomic_int steps; /* 1: it uploads; 2: it has; 3: it has been asked again */
    bool was_there;
} own;

/* Between the list of folders and the end: it uploads. When it is asked once more for that, it must be listed still. */
static void upload_meanwhile(const char *verb, const char *key)
{
    int none = 0, uploaded = 2;
    if (strcmp(verb, "get") == 0 && atomic_compare_exchange_strong(&own.steps, &none, 1)) {
        must(hub_upload(&a, "two", NULL, NULL), "uploaded");
        atomic_store(&own.steps, 2);
    } else if (strcmp(verb, "list") == 0 && strcmp(key, PREFIX) == 0 && atomic_compare_exchange_strong(&own.steps, &uploaded, 3)) {
        struct cloud_snapshot *s = cloud_pin(a.cloud, ID_B);
        own.was_there = s;
        if (s)
            cloud_snapshot_unpin(s);
    }
}

static void test_meanwhile(void)
{
    must(hub_upload(&b, "one", NULL, NULL), "another hub has uploaded");
    fake.before = upload_meanwhile;
    must(cloud_refresh(a.cloud, &t.err), "asked");
    fake.before = NULL;
    ok(atomic_load(&own.steps) == 3 && own.was_there, "what this hub has uploaded since it asked stays");
    must(cloud_remove(a.cloud, ID_B, NULL, &t.err), "removed");
    must(cloud_remove(a.cloud, ID_C, NULL, &t.err), "removed");
}

/* ---- At once ---- */

enum { THREADS = 4, TURNS = 30 };

static void *pin_and_ask(void *arg)
{
    struct hub_rig *h = arg;
    struct error err;
    for (int i = 0; i < TURNS; i++) {
        struct cloud_snapshot **all;
        size_t n;
        if (i % 5 == 0)
            (void)!cloud_refresh(h->cloud, &err);
        if (cloud_pin_all(h->cloud, &all, &n, &err) != TD_OK)
            break;
        for (size_t k = 0; k < n; k++) {
            if (!*cloud_snapshot_manifest(all[k])->name)
                abort();
            cloud_snapshot_unpin(all[k]);
        }
        mem_free(all);
        cloud_version(h->cloud);
    }
    return NULL;
}

static void test_at_once(void)
{
    pthread_t threads[THREADS];
    unsigned wrong = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, pin_and_ask, &a);
    for (int i = 0; i < TURNS / 3; i++) {
        wrong += hub_upload(&a, "two", NULL, NULL) != TD_OK;
        struct cloud_snapshot *s = cloud_pin(a.cloud, ID_B);
        wrong += !s;
        if (s)
            cloud_snapshot_unpin(s);
        wrong += cloud_remove(a.cloud, ID_B, NULL, &t.err) != TD_OK;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    is_int(wrong, 0, "what this hub does is seen, whatever is asked meanwhile");
    must(cloud_refresh(a.cloud, &t.err), "asked");
    ok(!cloud_pin(a.cloud, ID_B), "at the end it is gone");
}

int main(void)
{
    rig_begin();
    hub_open(&a, "a");
    hub_open(&b, "b");
    test_open();
    test_away();
    test_listing();
    test_same_name();
    test_meanwhile();
    test_foreign();
    test_many();
    test_damaged();
    test_dissected();
    test_cancel();
    test_at_once();
    hub_close(&a);
    hub_close(&b);
    rig_end();
    return tap_done();
}
