/* Which snapshots are in the cloud: as hubs see it that share a prefix, with what is foreign or damaged beside them. */
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

/* ---- What this hub does while it asks ---- */

static struct {
    int lists;
    bool was_there;
} own;

/* Between the list of folders and the end: it uploads. When it is asked once more for that, it must be listed still. */
static void upload_meanwhile(const char *verb, const char *key)
{
    if (strcmp(verb, "get") == 0 && own.lists == 0) {
        fake.before = NULL;
        must(hub_upload(&a, "two", NULL, NULL), "uploaded");
        fake.before = upload_meanwhile;
        own.lists = 1;
    } else if (strcmp(verb, "list") == 0 && own.lists == 1 && strcmp(key, PREFIX) == 0) {
        struct cloud_snapshot *s = cloud_pin(a.cloud, ID_B);
        own.lists = 2;
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
    ok(own.lists == 2 && own.was_there, "what this hub has uploaded since it asked stays");
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
    test_at_once();
    hub_close(&a);
    hub_close(&b);
    rig_end();
    return tap_done();
}
